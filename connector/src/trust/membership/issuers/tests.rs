use super::*;
use crate::{
    jose::{Signer, credential::CONTEXT, testing},
    store::MemoryStore,
    trust::membership::{
        Settings,
        held::MEMBERSHIP,
        status::{Bits, StatusEntry},
        tests::{at, loaded, now, root, settings, signed},
    },
};
use serde_json::json;

const ADDRESS: &str = "https://127.0.0.1/status/1.jwt";

fn address() -> Url {
    Url::parse(ADDRESS).unwrap()
}

fn key(signer: &Signer) -> CredentialKey {
    CredentialKey::from(signer.key().verifying_key().clone())
}

fn status(from: &str) -> (String, KnownStatus) {
    let signer = testing::consumer();
    let mut claims = StatusList::claims(&address(), signer.did(), &Bits::clear()).unwrap();
    claims.insert("@context".into(), json!([CONTEXT]));
    claims.insert("validFrom".into(), json!(from));
    let token = credential::issue(&signer, Form::Credential, &Value::Object(claims)).unwrap();
    let credential = credential::verify(&token, Form::Credential, &key(&signer), now()).unwrap();
    let list = StatusList::read(&credential, &address()).unwrap();
    let jkt = key(&signer).thumbprint();
    (token, KnownStatus { list, jkt })
}

/// A membership credential that the consumer has issued to itself, with its status in that list.
fn own() -> String {
    let signer = testing::consumer();
    let claims = json!({
        "@context": [CONTEXT], "type": ["VerifiableCredential", MEMBERSHIP], "issuer": signer.did(),
        "validUntil": "2026-12-31T00:00:00Z",
        "credentialSubject": {"id": signer.did(), "role": "Orientation"},
        "credentialStatus": StatusEntry::write(&address(), 7),
    });
    credential::issue(&signer, Form::Credential, &claims).unwrap()
}

fn member() -> Settings {
    Settings {
        credentials: vec![own()],
        ..settings()
    }
}

fn issued_by_the_consumer(jkts: Vec<Digest>) -> super::super::list::Signed {
    signed(2, |list| {
        list["issuers"] = json!([{"did": testing::consumer().did(), "types": [MEMBERSHIP], "jkts": jkts}]);
    })
}

#[tokio::test]
async fn a_start_without_network_knows_its_own_credentials() {
    let store = Arc::new(MemoryStore::new());
    let before = loaded(&store, member()).await.unwrap();
    assert!(!before.knows_itself(now()), "there is no list yet");
    before
        .keep(&issued_by_the_consumer(vec![]), &root(), now())
        .await
        .unwrap();
    let signer = testing::consumer();
    before.note_key(signer.kid(), &key(&signer), now()).await.unwrap();
    let (token, known) = status("2026-06-01T00:00:00Z");
    before.take_status(&address(), &token, known, now()).await.unwrap();

    let after = loaded(&store, member()).await.unwrap();
    assert!(after.knows_itself(now()));
    assert_eq!(after.overview(now()).own_credentials, 1);
    assert_eq!(
        after.claims(&after.me, now())["role"],
        ["Orientation".to_owned()].into()
    );
    // With a credential that it cannot check without asking, it does not know itself, and does not say that it has none.
    let other = Settings {
        credentials: vec![own(), "e30.e30.e30".to_owned()],
        ..settings()
    };
    assert!(!loaded(&store, other).await.unwrap().knows_itself(now()));
}

#[tokio::test]
async fn an_older_status_list_does_not_take_the_place_of_a_newer_one_not_even_after_a_restart() {
    let store = Arc::new(MemoryStore::new());
    let memberships = loaded(&store, settings()).await.unwrap();
    let signer = testing::consumer();
    memberships.note_key(signer.kid(), &key(&signer), now()).await.unwrap();
    let take = async |memberships: &Memberships, from: &str| {
        let (token, known) = status(from);
        memberships.take_status(&address(), &token, known, now()).await
    };
    take(&memberships, "2026-06-01T00:00:00Z").await.unwrap();
    for memberships in [memberships, loaded(&store, settings()).await.unwrap()] {
        let old = take(&memberships, "2026-05-31T00:00:00Z").await;
        assert!(
            matches!(old, Err(RefreshError::Bits(StatusError::RolledBack))),
            "{old:?}"
        );
    }
    let memberships = loaded(&store, settings()).await.unwrap();
    take(&memberships, "2026-06-01T00:00:01Z").await.unwrap();
    // It is forgotten when nothing older could count.
    memberships
        .forget_statuses(|_| false, at("2026-06-08T00:00:00Z"))
        .await
        .unwrap();
    assert_eq!(memberships.state().statuses.len(), 1);
    memberships
        .forget_statuses(|_| false, at("2026-06-08T00:00:01Z"))
        .await
        .unwrap();
    assert!(memberships.state().statuses.is_empty());
    assert!(loaded(&store, settings()).await.unwrap().state().statuses.is_empty());
}

#[tokio::test]
async fn a_status_list_of_a_key_that_does_not_count_for_its_issuer_says_nothing() {
    let (_, known) = status("2026-06-01T00:00:00Z");
    let counts = |jkts| known.counts(&issued_by_the_consumer(jkts).list, now());
    assert!(counts(vec![]) && counts(vec![key(&testing::consumer()).thumbprint()]));
    assert!(!counts(vec![sha256(b"the only key of this issuer")]), "the pin");
    assert!(
        !known.counts(&signed(2, |_| {}).list, now()),
        "an issuer that is not listed"
    );
    let mut list = issued_by_the_consumer(vec![]).list;
    list.revoked_jkts = serde_json::from_value(json!([{"jkt": known.jkt, "notAfter": now()}])).unwrap();
    assert!(!known.counts(&list, now()));
}

#[tokio::test]
async fn a_key_counts_for_a_day_while_its_issuer_is_away() {
    let memberships = loaded(&Arc::new(MemoryStore::new()), settings()).await.unwrap();
    let signer = testing::consumer();
    // An address that the guard forbids: its document cannot be had.
    let issuer: ParticipantId = "did:web:localhost".parse().unwrap();
    let asked = async |now| memberships.issuer_key(&issuer, signer.kid(), now).await;
    assert!(asked(now()).await.is_err());
    memberships.note_key(signer.kid(), &key(&signer), now()).await.unwrap();
    assert!(asked(now().plus(MAX_FRESH - Duration::from_secs(1))).await.is_ok());
    assert!(asked(now().plus(MAX_FRESH)).await.is_err());
}
