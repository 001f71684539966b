use super::*;
use crate::{
    audit::LogSigner,
    jose::{
        Algorithm, HmacKey,
        testing::{rfc7515_private, rfc8037_private},
    },
    store::MemoryStore,
    trust::did,
};
use serde_json::{Value, json};

fn me() -> ParticipantId {
    "did:web:a.example".parse().unwrap()
}

fn kid(name: &str) -> String {
    format!("{}#{name}", me())
}

fn key(name: &str, state: KeyState) -> OwnKey {
    OwnKey::signing(&kid(name), state, SigningKey::generate(Algorithm::EdDsa).unwrap()).unwrap()
}

fn keyring(keys: Vec<OwnKey>) -> Result<Keyring, KeyringError> {
    Keyring::new(&me(), keys)
}

#[test]
fn exactly_one_key_signs() {
    use KeyState::{Active, Next, Previous, Retired};
    let all = [Next, Previous, Retired].map(|state| key(&state.to_string(), state));
    assert_eq!(keyring(Vec::new()).unwrap_err(), KeyringError::NoActive);
    assert_eq!(keyring(all.to_vec()).unwrap_err(), KeyringError::NoActive);
    let mut with_one = all.to_vec();
    with_one.push(key("now", Active));
    assert_eq!(keyring(with_one.clone()).unwrap().active().kid(), kid("now"));
    with_one.push(key("too", Active));
    assert_eq!(
        keyring(with_one).unwrap_err(),
        KeyringError::SeveralActive(kid("now"), kid("too"))
    );
}

#[test]
fn names_are_ours_and_each_is_given_once() {
    let twice = vec![key("k", KeyState::Active), key("k", KeyState::Retired)];
    assert_eq!(keyring(twice).unwrap_err(), KeyringError::Twice(kid("k")));
    for foreign in [
        "did:web:b.example#k",
        "did:web:a.example.org#k",
        "did:web:a.example:x#k",
    ] {
        let key = OwnKey::signing(foreign, KeyState::Active, rfc8037_private()).unwrap();
        assert_eq!(
            keyring(vec![key]).unwrap_err(),
            KeyringError::Foreign(foreign.to_owned(), me())
        );
    }
}

#[test]
fn only_a_retired_key_can_do_without_its_private_half() {
    let public = rfc8037_private().verifying_key().clone();
    let retired = OwnKey::retired(&kid("old"), public);
    assert!(keyring(vec![key("now", KeyState::Active), retired.clone()]).is_ok());
    for state in [KeyState::Next, KeyState::Active, KeyState::Previous] {
        let halved = OwnKey {
            state,
            ..retired.clone()
        };
        assert_eq!(
            keyring(vec![key("now", KeyState::Active), halved]).unwrap_err(),
            KeyringError::Halved(kid("old")),
            "{state}"
        );
    }
}

#[test]
fn peers_accept_all_but_the_retired_and_agreements_are_finished_with_those_before() {
    let keys = ["next", "active", "previous", "retired"].into_iter().zip([
        KeyState::Next,
        KeyState::Active,
        KeyState::Previous,
        KeyState::Retired,
    ]);
    let ring = keyring(keys.map(|(name, state)| key(name, state)).collect()).unwrap();
    let mut own = did::Own::new(me(), "https://a.example", "", Value::Null);
    own.keys = ring.published();
    let document = did::Document::read(&me(), &own.document()).unwrap();
    for accepted in ["next", "active", "previous"] {
        assert!(document.key(&kid(accepted)).is_some(), "{accepted}");
    }
    assert!(document.key(&kid("retired")).is_none());
    assert!(
        document.ever(&kid("retired")).is_some(),
        "what it signed can still be checked"
    );
    let finishing: Vec<&str> = ring.finishing().map(|signer| signer.kid()).collect();
    assert_eq!(finishing, [kid("active"), kid("previous")]);
    assert!(ring.public(&kid("retired")).is_some());
}

#[tokio::test]
async fn the_log_is_told_once_of_every_change() {
    let sealer = LogSigner::of("https://a.example", &HmacKey::new(&[1; 32])).unwrap();
    let log = Log::new(Arc::new(MemoryStore::new()), sealer);
    let now = Timestamp::from_seconds(1_767_225_600);
    let (old, new) = (rfc7515_private(), rfc8037_private());
    let at = |name: &str, state, key: &SigningKey| OwnKey::signing(&kid(name), state, key.clone()).unwrap();
    let steps = [
        vec![at("k1", KeyState::Active, &old)],
        vec![at("k1", KeyState::Active, &old)],
        vec![at("k1", KeyState::Active, &old), at("k2", KeyState::Next, &new)],
        vec![at("k1", KeyState::Previous, &old), at("k2", KeyState::Active, &new)],
        vec![at("k2", KeyState::Active, &new)],
        vec![at("k2", KeyState::Active, &old)],
    ];
    let mut told = Vec::new();
    for keys in steps {
        let events = tell(&log, &keyring(keys).unwrap(), now).await.unwrap();
        told.push(events.len());
        let abrupt = events.iter().any(|event| event.abrupt);
        assert_eq!(abrupt, told.len() == 6, "only what was never published: {events:?}");
    }
    assert_eq!(told, [1, 0, 1, 2, 1, 1]);
    let entries = log.entries(0, 10).await.unwrap();
    let shown: Vec<Value> = entries
        .iter()
        .map(|(_, entry)| json!([entry["kind"], entry["kid"], entry["state"]]))
        .collect();
    let event = |name: &str, state: &str| json!(["key-event", kid(name), state]);
    assert_eq!(
        shown,
        [
            event("k1", "active"),
            event("k2", "next"),
            event("k1", "previous"),
            event("k2", "active"),
            event("k1", "removed"),
            event("k2", "active")
        ]
    );
}

#[test]
fn a_reload_takes_effect_for_whoever_asks_next() {
    let keys = Keys::new(keyring(vec![key("k1", KeyState::Active)]).unwrap(), None);
    let before = keys.signer();
    keys.replace(
        keyring(vec![key("k1", KeyState::Previous), key("k2", KeyState::Active)]).unwrap(),
        None,
    );
    assert_eq!(
        (before.kid(), keys.signer().kid()),
        (kid("k1").as_str(), kid("k2").as_str())
    );
}
