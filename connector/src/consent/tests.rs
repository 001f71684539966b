use super::*;
use crate::{
    audit::{LogSigner, proof},
    jose::testing,
    net::{self, Client},
    store::{HeldStore, MemoryStore, Store},
    trust::{History, KeyState, Keyring, Keys, OwnKey, Pins, Resolver, ResolverSettings, did},
};
use std::{collections::BTreeSet, time::Duration};

mod elsewhere;
mod exchanging;
mod failing;
mod flows;
mod telling;

pub(super) fn now() -> Timestamp {
    Timestamp::from_seconds(1_767_225_600)
}

async fn consents() -> Consents {
    over(Arc::new(MemoryStore::new())).await
}

pub(super) async fn over(store: Arc<dyn Store>) -> Consents {
    let secret = HmacKey::new(&[4; 32]);
    let log = Arc::new(Log::new(
        store,
        LogSigner::of("https://lycee.example", &secret).unwrap(),
    ));
    let did: ParticipantId = "did:web:lycee.example".parse().unwrap();
    let key = OwnKey::signing(&format!("{did}#k7"), KeyState::Active, testing::rfc8037_private()).unwrap();
    let trust = Arc::new(Trust::new(
        did::Own::empty(did.clone(), "https://lycee.example"),
        Keys::new(Keyring::new(&did, vec![key]).unwrap(), None),
        Pins::load(log.clone()).await.unwrap(),
        Vec::new(),
        None,
        Arc::new(Resolver::new(
            Arc::new(Client::new(net::Settings::default())),
            ResolverSettings::default(),
            History::new(log.clone()),
        )),
    ));
    let privacy = Privacy::of(&did, "https://lycee.example");
    Consents::load(log, trust, secret.clone(), Pseudonyms::new(secret), privacy)
        .await
        .unwrap()
}

impl Consents {
    /// Enters consents, where only the records are of interest.
    pub(super) async fn grant(&self, new: Vec<NewConsent>, now: Timestamp) -> Result<Vec<Stored>, ConsentError> {
        let entered = self.enter(new, None, now).await?;
        Ok(entered.into_iter().map(|one| one.stored).collect())
    }
}

pub(super) fn new(subject: &str) -> NewConsent {
    NewConsent {
        subject: subject.into(),
        recipients: vec!["did:web:ft.example".parse().unwrap()],
        purposes: vec!["https://w3id.org/dpv#ServiceProvision".into()],
        categories: vec!["skills".into()],
        datasets: Vec::new(),
        expires: None,
        method: "paper-form".into(),
        notice: format!("sha256:{}", "0".repeat(64)),
        evidence: "file 7".into(),
        ..NewConsent::default()
    }
}

/// What the log says of its learners, entry by entry.
async fn subjects(consents: &Consents) -> Vec<String> {
    let entries = consents.log.entries(0, 1000).await.unwrap();
    let of = |(_, entry): &(u64, serde_json::Value)| Some(entry.get("subject")?.as_str()?.to_owned());
    entries.iter().filter_map(of).collect()
}

#[tokio::test]
async fn a_learner_has_one_name_in_the_log_and_no_two_share_one() {
    let consents = consents().await;
    let all = ["anna", "ben", "anna", "anna", "chloé"].map(new).to_vec();
    consents.grant(all, now()).await.unwrap();
    consents.grant(vec![new("ben")], now()).await.unwrap();
    consents.withdraw("anna", None, now()).await.unwrap();
    let names = subjects(&consents).await;
    // One entry for each record that a commit changes: of three grants at once the first two are replaced, later grants replace one each.
    assert_eq!(names.len(), 8);
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), 3);
    let anna = consents.audit_name("anna").await.unwrap().unwrap().to_string();
    assert_eq!(names.iter().filter(|name| **name == anna).count(), 4);
    // Without the learner's own salt, neither the secret nor the identifier leads to the name.
    let secret = HmacKey::new(&[4; 32]);
    assert_ne!(anna, secret.tag(b"anna").to_string());
    assert_eq!(consents.audit_name("nobody").await.unwrap(), None);
}

#[tokio::test]
async fn nothing_links_a_forgotten_learner_to_the_log_while_its_proofs_hold() {
    let consents = consents().await;
    consents.grant(vec![new("anna"), new("ben")], now()).await.unwrap();
    consents.withdraw("anna", None, now()).await.unwrap();
    consents.log.seal().await.unwrap();
    let anna = consents.audit_name("anna").await.unwrap().unwrap().to_string();
    let before = proof_of(&consents, 0).await;

    let forgotten = consents.forget("anna", now()).await.unwrap();
    assert_eq!(forgotten.consents, 1);
    assert_eq!(consents.audit_name("anna").await.unwrap(), None);
    assert!(!consents.knows("anna").await.unwrap() && consents.knows("ben").await.unwrap());
    assert!(consents.list(Some("anna")).await.unwrap().is_empty());
    assert_eq!(consents.list(None).await.unwrap().len(), 1, "others are not touched");

    // No value or key anywhere in the store names the learner, and no salt that is left leads to the name in the log.
    let store = consents.log.store();
    for table in 0..=u8::MAX {
        for row in store.scan(Table(table), &[], None, 1000).await.unwrap() {
            let holds = |text: &str| {
                [&row.key, &row.item.value]
                    .iter()
                    .any(|bytes| bytes.windows(text.len()).any(|part| part == text.as_bytes()))
            };
            assert!(!holds("anna"), "table {table}");
            let name = HmacKey::new(&row.item.value).tag(b"anna").to_string();
            assert_ne!(name, anna, "table {table} holds the salt");
        }
    }
    // The leaves are what they were, and so are their proofs, the old one and a new one.
    consents.log.seal().await.unwrap();
    let leaf = consents.log.entry(0).await.unwrap().unwrap();
    assert!(String::from_utf8_lossy(&leaf).contains(&anna));
    let key = consents.log.signer().key();
    for text in [before, proof_of(&consents, 0).await] {
        assert!(proof::verify(&text, &leaf, key).is_ok());
    }
    assert_eq!(consents.log.verify().await.unwrap().entries, 4);
    let last = &consents.log.entries(3, 1).await.unwrap()[0].1;
    assert_eq!(
        (last["kind"].as_str(), last.get("subject")),
        (Some("learner-forgotten"), None)
    );

    // The same learner may come back, under another name.
    consents.grant(vec![new("anna")], now()).await.unwrap();
    let again = consents.audit_name("anna").await.unwrap().unwrap().to_string();
    assert_ne!(again, anna);
}

async fn proof_of(consents: &Consents, entry: u64) -> String {
    consents.log.proof(entry).await.unwrap().to_text()
}

#[tokio::test]
async fn a_learner_with_a_consent_in_force_is_not_forgotten() {
    let consents = consents().await;
    let short = NewConsent {
        expires: Some(now().plus(Duration::from_secs(60))),
        ..new("ben")
    };
    consents
        .grant(vec![new("anna"), new("anna"), short], now())
        .await
        .unwrap();
    for learner in ["anna", "ben"] {
        assert!(matches!(
            consents.forget(learner, now()).await,
            Err(ConsentError::InForce)
        ));
    }
    let later = now().plus(Duration::from_secs(60));
    assert_eq!(
        consents.forget("ben", later).await.unwrap().consents,
        1,
        "it has expired"
    );
    consents.withdraw("anna", None, now()).await.unwrap();
    assert_eq!(consents.forget("anna", now()).await.unwrap().consents, 2);
    for learner in ["anna", "ben", "nobody"] {
        assert!(matches!(
            consents.forget(learner, later).await,
            Err(ConsentError::UnknownLearner)
        ));
    }
    assert!(consents.index.in_force("anna").is_empty());
}

#[tokio::test]
async fn what_was_decided_before_a_learner_was_forgotten_is_decided_again() {
    let consents = consents().await;
    consents.grant(vec![new("anna")], now()).await.unwrap();
    consents.withdraw("anna", None, now()).await.unwrap();
    let epoch = consents.index.epoch();
    consents.forget("anna", now()).await.unwrap();
    assert_eq!(consents.index.epoch(), epoch + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_grant_and_a_forgetting_at_once_neither_undoes_the_other() {
    for _ in 0..50 {
        let consents = Arc::new(consents().await);
        consents.grant(vec![new("anna")], now()).await.unwrap();
        consents.withdraw("anna", None, now()).await.unwrap();
        let (one, other) = (consents.clone(), consents.clone());
        let granting = tokio::spawn(async move { one.grant(vec![new("anna")], now()).await });
        let forgetting = tokio::spawn(async move { other.forget("anna", now()).await });
        granting.await.unwrap().unwrap();
        let forgotten = forgetting.await.unwrap();
        // Whoever came first: the consent in force has its salt, and its name stands in the log.
        let name = consents.audit_name("anna").await.unwrap().unwrap().to_string();
        assert_eq!(consents.index.in_force("anna").len(), 1);
        let under_it = subjects(&consents).await.iter().filter(|found| **found == name).count();
        assert_eq!(under_it, if forgotten.is_ok() { 1 } else { 3 });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawal_that_could_read_a_grant_before_it_is_durable_still_has_the_last_word() {
    let store = Arc::new(HeldStore::default());
    let consents = Arc::new(over(store.clone()).await);
    let (came, go) = store.hold_after();
    let granting = consents.clone();
    let granting = tokio::spawn(async move { granting.grant(vec![new("anna")], now()).await });
    came.await.unwrap();
    let withdrawing = consents.clone();
    let withdrawing = tokio::spawn(async move { withdrawing.withdraw("anna", None, now()).await });
    // Whoever does not wait for the grant is through by now.
    tokio::time::sleep(Duration::from_millis(200)).await;
    go.send(()).unwrap();
    granting.await.unwrap().unwrap();
    withdrawing.await.unwrap().unwrap();
    assert!(consents.index.in_force("anna").is_empty());
}

#[tokio::test]
async fn a_list_is_recorded_piece_by_piece_and_what_is_wrong_is_named_by_its_number_in_it() {
    let consents = consents().await;
    let mut list: Vec<NewConsent> = (0..IMPORT_PIECE + 6).map(|n| new(&format!("l{n}"))).collect();
    list[IMPORT_PIECE + 5].categories.clear();
    let refused = consents.enter(list, Some(501), now()).await.unwrap_err();
    let expected = 501 + IMPORT_PIECE + 5;
    assert!(
        matches!(refused, ConsentError::Import { entry, .. } if entry == expected),
        "{refused}"
    );
    assert_eq!(consents.list(None).await.unwrap().len(), IMPORT_PIECE);
}
