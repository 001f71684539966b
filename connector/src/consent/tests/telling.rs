//! Who is told when something ends for a learner, and what: through the service over a store in memory.

use super::*;
use crate::{
    consent::{
        exchange::{Agent, Courier, EndReason, Lapses, Notices, Told},
        links::Links,
        state::Role,
    },
    jose,
    process::{Queue, outbox},
};
use serde_json::{Value, json};

mod agreements;
mod receipts;
mod times;

const AGREEMENT: &str = "urn:uuid:agreement";
const PURPOSE: &str = "https://w3id.org/dases/ns/purpose/orientation";

/// When the index is closed: a while after the change was asked for.
fn later() -> Timestamp {
    now().plus(Duration::from_secs(5))
}

fn ft() -> ParticipantId {
    "did:web:ft.example".parse().unwrap()
}

/// A holder whose recipient has an agreement, and has received records of three learners.
struct Holder {
    consents: Consents,
    notices: Arc<Notices>,
    lapses: Arc<Lapses>,
    queue: Arc<Queue>,
}

impl Holder {
    async fn start() -> Self {
        Self::on(Arc::new(MemoryStore::new())).await
    }

    async fn on(store: Arc<dyn Store>) -> Self {
        Self::of(over(store).await).await
    }

    async fn of(consents: Consents) -> Self {
        let (log, index) = (consents.log.clone(), consents.index.clone());
        let agreement = json!({"id": AGREEMENT, "dataset": "records", "provider": "did:web:lycee.example", "consumer": ft(),
            "role": "provider", "negotiation": "urn:uuid:negotiation", "document": "{}", "keys": [], "signed": now(),
            "agreement": {"@id": AGREEMENT, "@type": "Agreement", "assigner": "did:web:lycee.example", "assignee": ft(),
                "target": "records", "timestamp": "2026-01-01T00:00:00Z", "permission": [{"action": "use", "constraint": [
                    {"leftOperand": "odrl:purpose", "operator": "eq", "rightOperand": PURPOSE}]}]}});
        let mut batch = crate::store::Batch::new();
        batch.put(Table(13), AGREEMENT, agreement.to_string());
        log.store().commit(batch).await.unwrap();
        let (places, queue) = (HmacKey::new(b"places"), Arc::new(Queue::default()));
        let (trust, deletion) = (consents.trust.clone(), consents.privacy.deletion);
        let notices = Notices::load(log.clone(), trust, places, queue.clone(), deletion).await;
        let notices = Arc::new(notices.unwrap());
        for learner in ["anna", "ben", "chloé"] {
            let tag = consents.pseudonyms.towards(&ft()).tag(learner);
            let new = notices.deliveries().known().missing(learner, tag).unwrap();
            notices.deliveries().note(&[new], &ft(), now()).await.unwrap();
        }
        let links = Arc::new(Links::new(log.clone(), notices.post().clone()));
        let names = consents.pseudonyms.clone();
        let lapses = Arc::new(Lapses::new(log, notices.clone(), names, index.clone(), later));
        let (trust, post) = (consents.trust.clone(), notices.post().clone());
        let agent = Agent::new(consents.log.clone(), trust, links.clone(), post);
        let courier = Courier::new(notices.clone(), links, agent, lapses.clone(), index, later);
        consents.tell_through(Arc::new(courier));
        Self {
            consents,
            notices,
            lapses,
            queue,
        }
    }

    async fn told(&self, learner: &str) -> Vec<Told> {
        self.notices.of(&self.consents.pseudonyms, learner).await.unwrap()
    }

    async fn give(&self, learner: &str, categories: &[&str]) {
        let new = NewConsent {
            purposes: vec![PURPOSE.into()],
            categories: categories.iter().map(|name| (*name).to_owned()).collect(),
            ..new(learner)
        };
        self.consents.grant(vec![new], now()).await.unwrap();
    }

    async fn declare(&self) -> ConsentId {
        self.declare_of("skills").await
    }

    async fn declare_of(&self, category: &str) -> ConsentId {
        let basis = self.basis(category, "records").await;
        self.consents.declare(basis, now()).await.unwrap().id
    }

    async fn basis(&self, category: &str, dataset: &str) -> NewBasis {
        let notice = NewNotice {
            id: format!("public-task-{category}"),
            version: jose::uuid(now()).unwrap().to_string(),
            language: "fr".into(),
            text: format!("Le lycée transmet {category}. {}", jose::uuid(now()).unwrap()),
            url: None,
        };
        let notice = self.consents.add_notice(notice, now()).await.unwrap().hash;
        NewBasis {
            basis: LawfulBasis::PublicTask,
            grounds: "Code de l'éducation".into(),
            recipients: vec![ft()],
            purposes: vec![PURPOSE.into()],
            categories: vec![category.into()],
            datasets: vec![dataset.parse().unwrap()],
            notice,
            until: now().plus(Duration::from_secs(3600)),
        }
    }

    async fn object(&self, learner: &str, basis: &ConsentId) {
        let objection = NewObjection {
            subject: learner.into(),
            basis: basis.clone(),
            actor: Actor::of(Role::Learner, "portal"),
        };
        self.consents.object(&objection, now()).await.unwrap();
    }

    /// How many queues whoever delivers was told of since the last time.
    async fn woken(&self) -> usize {
        let taken = tokio::time::timeout(Duration::from_millis(50), self.queue.take()).await;
        taken.map_or(0, |lanes| lanes.len())
    }

    /// What waits for the recipient, in its order.
    async fn queued(&self) -> Vec<(String, Value)> {
        let mut all = Vec::new();
        outbox::each(&**self.consents.log.store(), |outgoing| all.push(outgoing))
            .await
            .unwrap();
        all.sort_by_key(|outgoing| outgoing.number);
        let read = |outgoing: outbox::Outgoing| (outgoing.kind, serde_json::from_str(&outgoing.body).unwrap());
        all.into_iter().map(read).collect()
    }
}

#[tokio::test]
async fn who_received_more_than_a_narrower_consent_permits_is_told_before_its_receipt() {
    let holder = Holder::start().await;
    holder.give("anna", &["skills", "results"]).await;
    holder.give("anna", &["results", "skills"]).await;
    assert!(holder.told("anna").await.is_empty(), "the same again");
    holder.give("anna", &["skills"]).await;
    let told = holder.told("anna").await;
    assert_eq!((told.len(), told[0].notice.reason), (1, EndReason::Expired));
    assert_eq!(told[0].notice.agreements, [AGREEMENT.parse().unwrap()]);
    let queued = holder.queued().await;
    let kinds: Vec<&str> = queued.iter().map(|(kind, _)| kind.as_str()).collect();
    let (receipt, ending) = ("ConsentReceiptMessage", "ConsentWithdrawalMessage");
    assert_eq!(kinds, [receipt, receipt, receipt, ending, receipt, receipt]);
    // The receipt is not older than the ending, so that it lets later records in.
    let at = |number: usize| queued[number].1["at"].as_str().unwrap().parse::<Timestamp>().unwrap();
    assert!(at(3) <= at(5));
    let states = [0, 1, 2, 4, 5].map(|number: usize| queued[number].1["state"].as_str().unwrap());
    assert_eq!(states, ["given", "superseded", "given", "superseded", "given"]);
}

#[tokio::test]
async fn who_received_records_is_told_when_only_groups_are_agreed_to_any_more_and_not_when_that_ends() {
    let holder = Holder::start().await;
    holder.give("anna", &["skills"]).await;
    let for_groups = NewConsent {
        purposes: vec![PURPOSE.into()],
        aggregate_only: true,
        ..new("anna")
    };
    holder.consents.grant(vec![for_groups], now()).await.unwrap();
    let told = holder.told("anna").await;
    assert_eq!((told.len(), told[0].notice.reason), (1, EndReason::Expired));
    assert!(told[0].notice.agreements.is_empty(), "no record goes there any more");
    // What lets no record through lets none in at the recipient either.
    let queued = holder.queued().await.into_iter();
    assert_eq!(queued.filter(|(_, message)| message["state"] == "given").count(), 1);
    holder.consents.withdraw("anna", None, now()).await.unwrap();
    assert_eq!(holder.told("anna").await.len(), 1);
}

#[tokio::test]
async fn an_objection_is_told_to_who_received_records_on_the_basis() {
    let holder = Holder::start().await;
    let basis = holder.declare().await;
    holder.object("anna", &basis).await;
    let told = holder.told("anna").await;
    assert_eq!((told.len(), told[0].notice.reason), (1, EndReason::Objected));
    assert_eq!((&told[0].notice.consents, told[0].notice.at), (&vec![basis], later()));
    assert!(holder.told("ben").await.is_empty(), "another learner");
}

#[tokio::test]
async fn whoever_delivers_is_woken_by_what_is_recorded_and_by_nothing_else() {
    let store = Arc::new(HeldStore::default());
    let holder = Holder::on(store.clone()).await;
    holder.give("anna", &["skills"]).await;
    assert_eq!(holder.woken().await, 1, "for the receipt");
    store.fail([StoreError::Corrupt("a row".into())]);
    holder.consents.withdraw("anna", None, now()).await.unwrap_err();
    assert_eq!(holder.woken().await, 0);
    assert!(holder.told("anna").await.is_empty());
    holder.consents.withdraw("anna", None, now()).await.unwrap();
    assert_eq!(holder.woken().await, 1, "for the ending");
    let basis = holder.declare().await;
    holder.object("ben", &basis).await;
    assert_eq!(holder.woken().await, 1, "for the objection");
}

#[tokio::test]
async fn the_end_of_a_basis_is_told_once_of_each_learner_whom_nothing_else_covers() {
    let holder = Holder::start().await;
    let basis = holder.declare().await;
    holder.give("ben", &["skills"]).await;
    assert_eq!(
        holder.lapses.tell(now()).await.unwrap(),
        Some(now().plus(Duration::from_secs(3600)))
    );
    assert!(holder.told("anna").await.is_empty(), "it is in force");
    holder.consents.end_basis(&basis, now()).await.unwrap();
    for _ in 0..2 {
        assert_eq!(holder.lapses.tell(later()).await.unwrap(), None);
        for (learner, times) in [("anna", 1), ("ben", 0), ("chloé", 1)] {
            let told = holder.told(learner).await;
            assert_eq!(told.len(), times, "{learner}");
            assert!(told.iter().all(|told| told.notice.reason == EndReason::Revoked));
        }
    }
}

#[tokio::test]
async fn a_basis_whose_time_is_over_is_told_as_expired() {
    let holder = Holder::start().await;
    holder.declare().await;
    let end = now().plus(Duration::from_secs(3600));
    assert_eq!(holder.lapses.tell(end).await.unwrap(), None);
    let told = holder.told("anna").await;
    assert_eq!((told.len(), told[0].notice.reason), (1, EndReason::Expired));
    assert_eq!(told[0].notice.at, end);
}

#[tokio::test]
async fn nobody_is_told_of_a_restriction_because_what_they_have_is_not_to_be_erased() {
    let holder = Holder::start().await;
    holder.give("anna", &["skills"]).await;
    let before = holder.queued().await;
    let new = NewRestriction {
        subject: "anna".into(),
        recipient: Some(ft()),
        actor: Actor::of(Role::Learner, "portal"),
    };
    let (restriction, _) = holder.consents.restrict(&new, now()).await.unwrap();
    let lift = NewLift {
        actor: Actor::of(Role::Learner, "portal"),
    };
    holder.consents.lift(&restriction.id, &lift, now()).await.unwrap();
    assert!(holder.told("anna").await.is_empty());
    assert_eq!(holder.queued().await, before);
}

#[tokio::test]
async fn an_objection_is_told_although_another_basis_for_the_same_is_declared() {
    let holder = Holder::start().await;
    let basis = holder.declare().await;
    holder.declare().await;
    holder.object("anna", &basis).await;
    let told = holder.told("anna").await;
    assert_eq!((told.len(), told[0].notice.reason), (1, EndReason::Objected));
    // Of other categories, which it holds back as well.
    let holder = Holder::start().await;
    let basis = holder.declare().await;
    holder.declare_of("results").await;
    holder.give("ben", &["skills"]).await;
    holder.object("ben", &basis).await;
    assert_eq!(holder.told("ben").await.len(), 1);
}

#[tokio::test]
async fn a_basis_that_does_not_count_for_a_learner_does_not_go_on_for_them_when_another_ends() {
    let holder = Holder::start().await;
    let (first, second) = (holder.declare().await, holder.declare().await);
    holder.object("anna", &first).await;
    holder.give("ben", &["skills"]).await;
    holder.consents.withdraw("ben", None, now()).await.unwrap();
    holder.consents.end_basis(&first, now()).await.unwrap();
    holder.lapses.tell(later()).await.unwrap();
    for (learner, times) in [("anna", 2), ("ben", 2), ("chloé", 0)] {
        assert_eq!(holder.told(learner).await.len(), times, "{learner}");
    }
    // What the learners said stands against the second: it is not forgotten.
    let refused = holder.consents.forget("anna", now()).await;
    assert!(matches!(refused, Err(ConsentError::ObjectionInForce)), "{refused:?}");
    let refused = holder.consents.forget("ben", now()).await;
    assert!(matches!(refused, Err(ConsentError::RefusalInForce)), "{refused:?}");
    holder.consents.end_basis(&second, now()).await.unwrap();
    holder.consents.forget("anna", now()).await.unwrap();
}

#[tokio::test]
async fn a_learner_of_whom_only_deliveries_are_known_can_be_forgotten() {
    let holder = Holder::start().await;
    let deliveries = holder.notices.deliveries();
    assert_eq!(deliveries.recipients("anna").await.unwrap(), [ft()]);
    let forgotten = holder.consents.forget("anna", now()).await.unwrap();
    assert_eq!(forgotten.consents, 0);
    assert!(deliveries.recipients("anna").await.unwrap().is_empty());
    for learner in ["anna", "nobody"] {
        let unknown = holder.consents.forget(learner, now()).await;
        assert!(matches!(unknown, Err(ConsentError::UnknownLearner)), "{learner}");
    }
}

#[tokio::test]
async fn a_learner_whose_records_went_out_on_a_basis_is_not_forgotten_until_its_end_is_told() {
    let holder = Holder::start().await;
    let basis = holder.declare().await;
    let refused = holder.consents.forget("anna", now()).await;
    assert!(
        matches!(&refused, Err(ConsentError::BasisInForce(id)) if *id == basis),
        "{refused:?}"
    );
    assert_eq!(holder.notices.deliveries().recipients("anna").await.unwrap(), [ft()]);
    assert!(holder.told("anna").await.is_empty());
    // Nobody has told its end yet: whoever forgets has it told first, of every learner.
    holder.consents.end_basis(&basis, now()).await.unwrap();
    holder.consents.forget("anna", now()).await.unwrap();
    assert!(holder.notices.deliveries().recipients("anna").await.unwrap().is_empty());
    let name = holder.consents.pseudonyms.towards(&ft()).name("anna");
    let queued = holder.queued().await;
    let told = queued
        .iter()
        .filter(|(_, message)| message["pseudonym"] == name.as_str());
    let reasons: Vec<&Value> = told.map(|(_, message)| &message["reason"]).collect();
    assert_eq!(reasons, ["revoked"]);
    assert_eq!(holder.told("ben").await.len(), 1);
}

#[tokio::test]
async fn a_basis_whose_time_is_over_is_told_before_its_learner_is_forgotten() {
    let holder = Holder::start().await;
    let basis = holder.declare().await;
    let end = now().plus(Duration::from_secs(3600));
    let refused = holder.consents.forget("anna", now()).await;
    assert!(
        matches!(&refused, Err(ConsentError::BasisInForce(id)) if *id == basis),
        "{refused:?}"
    );
    holder.consents.forget("anna", end).await.unwrap();
    assert_eq!(holder.queued().await.len(), 3, "each of the three learners");
}

#[tokio::test]
async fn a_basis_on_which_nothing_can_have_gone_out_keeps_nobody_from_being_forgotten() {
    let holder = Holder::start().await;
    let basis = holder.basis("skills", "another").await;
    holder.consents.declare(basis, now()).await.unwrap();
    holder.consents.forget("anna", now()).await.unwrap();
}

#[tokio::test]
async fn a_basis_ends_once() {
    let holder = Holder::start().await;
    let basis = holder.declare().await;
    holder.consents.end_basis(&basis, now()).await.unwrap();
    let epoch = holder.consents.index.epoch();
    let again = holder.consents.end_basis(&basis, now()).await;
    assert!(matches!(again, Err(ConsentError::BasisEnded)), "{again:?}");
    assert_eq!(holder.consents.index.epoch(), epoch, "nothing is closed again");
}

/// Forgets Anna beside what the test does.
fn forgetting(holder: &Arc<Holder>) -> tokio::task::JoinHandle<Result<Forgotten, ConsentError>> {
    let holder = holder.clone();
    tokio::spawn(async move { holder.consents.forget("anna", now()).await })
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_while_ends_are_told_before_a_forgetting_and_an_end_meanwhile_is_told_as_well() {
    let store = Arc::new(HeldStore::default());
    let holder = Arc::new(Holder::on(store.clone()).await);
    let (first, second) = (holder.declare().await, holder.declare_of("results").await);
    holder.give("anna", &["skills"]).await;
    holder.consents.end_basis(&first, now()).await.unwrap();
    // What it commits first is how far the end of the first basis is told.
    let (came, go) = store.hold_before();
    let forgetting = forgetting(&holder);
    came.await.unwrap();
    let meanwhile = async {
        holder.consents.end_basis(&second, now()).await.unwrap();
        holder.consents.withdraw("anna", None, now()).await.unwrap();
    };
    let through = tokio::time::timeout(Duration::from_secs(20), meanwhile).await;
    through.expect("neither the bases' turn nor the learner's is kept");
    go.send(()).unwrap();
    forgetting.await.unwrap().unwrap();
    assert!(holder.lapses.are_told(now()).await.unwrap());
    let told = holder.told("chloé").await;
    let ended: Vec<&ConsentId> = told.iter().flat_map(|told| &told.notice.consents).collect();
    assert_eq!(ended, [&first, &second]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_basis_that_is_declared_while_a_learner_is_forgotten_is_in_force_after_that() {
    let store = Arc::new(HeldStore::default());
    let holder = Arc::new(Holder::on(store.clone()).await);
    let basis = holder.basis("skills", "records").await;
    let epoch = holder.consents.index.epoch();
    let (came, go) = store.hold_before();
    let forgetting = forgetting(&holder);
    came.await.unwrap();
    // Were it opened now, a record could go out on it to a recipient that is noted still, and whom this commit forgets.
    let other = holder.clone();
    let declaring = tokio::spawn(async move { other.consents.declare(basis, now()).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!declaring.is_finished(), "it waits for the forgetting");
    assert_eq!(holder.consents.index.epoch(), epoch, "and permits nothing yet");
    assert!(holder.consents.bases().await.unwrap().is_empty());
    go.send(()).unwrap();
    forgetting.await.unwrap().unwrap();
    let declared = declaring.await.unwrap().unwrap();
    let entries = holder.consents.log.entries(0, 1000).await.unwrap();
    let kinds: Vec<&str> = entries.iter().filter_map(|(_, entry)| entry["kind"].as_str()).collect();
    let place = |kind: &str| kinds.iter().position(|known| *known == kind).unwrap();
    assert!(place("learner-forgotten") < place("basis"), "{kinds:?}");
    assert!(declared.is_in_force(now()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_basis_that_is_ended_while_a_learner_is_forgotten_permits_nothing_at_once_and_is_recorded_as_ended_after_that()
 {
    let store = Arc::new(HeldStore::default());
    let holder = Arc::new(Holder::on(store.clone()).await);
    let basis = holder.basis("skills", "another").await;
    let basis = holder.consents.declare(basis, now()).await.unwrap().id;
    let epoch = holder.consents.index.epoch();
    let (came, go) = store.hold_before();
    let forgetting = forgetting(&holder);
    came.await.unwrap();
    let (other, ended) = (holder.clone(), basis.clone());
    let ending = tokio::spawn(async move { other.consents.end_basis(&ended, now()).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!ending.is_finished(), "it waits for the forgetting");
    assert_eq!(holder.consents.index.epoch(), epoch + 1, "and is closed already");
    assert!(holder.consents.bases().await.unwrap()[0].ended.is_none());
    go.send(()).unwrap();
    forgetting.await.unwrap().unwrap();
    assert_eq!(ending.await.unwrap().unwrap().ended, Some(now()));
    assert!(holder.consents.bases().await.unwrap()[0].ended.is_some());
}

#[tokio::test]
async fn a_basis_is_said_to_be_over_when_nothing_passes_on_it_any_more() {
    // Its time is over, and nobody else has had the index closed for it.
    let holder = Holder::start().await;
    holder.declare().await;
    let epoch = holder.consents.index.epoch();
    holder.lapses.tell(now().plus(Duration::from_secs(3600))).await.unwrap();
    assert_eq!(holder.consents.index.epoch(), epoch + 1);
    assert_eq!(holder.told("anna").await[0].notice.epoch, epoch + 1);
    // The time is read after that.
    let holder = Holder::start().await;
    let basis = holder.declare().await;
    holder.consents.end_basis(&basis, now()).await.unwrap();
    holder.lapses.tell(now()).await.unwrap();
    assert_eq!(holder.told("anna").await[0].notice.at, later());
}
