//! What an intermediary and a holder tell each other of one consent, through the exchange over a store in memory: what overtakes what, and what
//! a refusal undoes.

use super::{
    flows::{actor, event, notice, request, state},
    *,
};
use crate::{
    consent::{
        elsewhere::{Site, Word},
        exchange::{Delivered, Exchange, ExchangeError, Notices, Parts, Retractions},
        links::Links,
        state::{Role, State},
    },
    contract::Agreements,
    dsp::message::Explanation,
    jose,
    net::Reach,
    process::{Answered, Outgoing, Reply, outbox, outbox::Outcome},
    trust::{Identity, Peer, Signatures},
};
use serde_json::{Value, json};

const LINKS: u8 = 65;
const LINK_INDEX: u8 = 66;
const HEARD: u8 = 78;
const PASSED_ON: u8 = 79;
const DECISION: &str = "ConsentDecisionMessage";

fn minutes(n: u64) -> Timestamp {
    now().plus(Duration::from_secs(60 * n))
}

fn holder() -> ParticipantId {
    "did:web:cfa.example".parse().unwrap()
}

fn intermediary() -> Peer {
    Peer {
        did: "did:web:parcours.example".parse().unwrap(),
        name: None,
        identity: Identity::DspJws,
        signatures: Signatures::Required,
        address: None,
        reach: Reach {
            private: false,
            http: false,
        },
    }
}

/// One participant with all of its exchange.
struct Place {
    consents: Arc<Consents>,
    exchange: Exchange,
}

impl Place {
    async fn start() -> Self {
        let consents = Arc::new(over(Arc::new(MemoryStore::new())).await);
        let (log, trust) = (consents.log.clone(), consents.trust.clone());
        let places = HmacKey::new(b"places");
        let deletion = consents.privacy.deletion;
        let notices = Notices::load(log.clone(), trust.clone(), places, Arc::default(), deletion).await;
        let notices = Arc::new(notices.unwrap());
        let post = notices.post().clone();
        let retractions = Retractions::load(log.clone(), trust.clone(), post.clone()).await;
        let parts = Parts {
            trust,
            agreements: Agreements::new(log.store().clone()),
            consents: consents.clone(),
            notices,
            retractions: Arc::new(retractions.unwrap()),
            links: Arc::new(Links::new(log.clone(), post)),
            intermediaries: [intermediary().did].into(),
            log,
        };
        Self {
            exchange: Exchange::load(parts, now).await.unwrap(),
            consents,
        }
    }

    /// A consent that is kept here for another holder, given.
    async fn kept(&self, hash: &str, categories: &[&str]) -> ConsentId {
        let kept = NewRequest {
            holder: Some(holder()),
            categories: categories.iter().map(|name| (*name).to_owned()).collect(),
            ..request("anna", hash)
        };
        let asked = self.consents.request(kept, None, now()).await.unwrap();
        let id = asked.stored.consent.id;
        self.decide(&id, Decision::Give, 1).await;
        id
    }

    async fn decide(&self, id: &ConsentId, decision: Decision, minute: u64) {
        let event = event(decision, actor(Role::Learner, None));
        self.consents.decide(id, &event, minutes(minute)).await.unwrap();
    }

    /// What waits for the holder, in the order in which it was decided.
    async fn queued(&self) -> Vec<Outgoing> {
        let mut all = Vec::new();
        let store = self.consents.log.store();
        outbox::each(&**store, |outgoing| all.push(outgoing)).await.unwrap();
        all.retain(|outgoing: &Outgoing| outgoing.kind == DECISION);
        all.sort_by_key(|outgoing| outgoing.number);
        all
    }

    /// Where a consent stands as its holder was told, and whether the holder has confirmed it.
    async fn passed_on(&self, id: &ConsentId) -> (State, Delivered) {
        let stored = self.consents.get(id).await.unwrap();
        let passed = self.exchange.passed_on(&stored).await.unwrap().unwrap();
        assert_eq!((&passed.consent, passed.holder), (id, holder()));
        (passed.state, passed.delivery)
    }

    async fn acknowledged(&self, sent: &Outgoing) {
        let outcome = Outcome::Acknowledged {
            peer_pid: None,
            body: Value::Null,
            reply: None,
        };
        self.exchange.settle(sent, &outcome, minutes(30)).await.unwrap();
    }

    async fn rows(&self, table: u8) -> usize {
        let store = self.consents.log.store();
        store.scan(Table(table), &[], None, 100).await.unwrap().len()
    }

    async fn refused(&self, sent: &Outgoing) {
        let reply = Reply {
            about: Answered {
                signature: None,
                status: 410,
                answer_signature: None,
                length: 2,
            },
            body: "{}".into(),
        };
        let outcome = Outcome::Refused {
            status: 410,
            explanation: Explanation::new("stale", "it comes too late"),
            reply,
        };
        self.exchange.settle(sent, &outcome, minutes(30)).await.unwrap();
    }
}

#[tokio::test]
async fn an_end_does_not_wait_for_a_yes_that_the_holder_fails_to_take_and_the_yes_undoes_nothing_later() {
    let place = Place::start().await;
    let id = place.kept(&notice(&place.consents, "1").await, &["skills"]).await;
    place.decide(&id, Decision::Withdraw, 2).await;
    let [given, ended]: [Outgoing; 2] = place.queued().await.try_into().unwrap();
    assert_ne!(given.pid, ended.pid);
    assert_eq!((given.not_before, ended.not_before), (None, None));
    let receipts = place.consents.get(&id).await.unwrap().receipts;
    place.refused(&given).await;
    let stored = place.consents.get(&id).await.unwrap();
    assert_eq!((stored.state, stored.receipts), (State::Withdrawn, receipts));
}

#[tokio::test]
async fn a_holder_that_takes_no_prolongation_keeps_the_consent_and_one_that_takes_no_consent_ends_it() {
    let place = Place::start().await;
    let id = place.kept(&notice(&place.consents, "1").await, &["skills"]).await;
    place.decide(&id, Decision::Reaffirm, 2).await;
    let [given, prolonged]: [Outgoing; 2] = place.queued().await.try_into().unwrap();
    place.refused(&prolonged).await;
    assert_eq!(state(&place.consents, &id).await, State::Given);
    place.refused(&given).await;
    assert_eq!(state(&place.consents, &id).await, State::Revoked);
}

#[tokio::test]
async fn what_a_guardian_gives_at_the_holder_is_not_told_back_to_it() {
    let place = Place::start().await;
    let id = place.kept(&notice(&place.consents, "1").await, &["skills"]).await;
    for (state, minute) in [(State::PendingSecond, 2), (State::Given, 3)] {
        let word = Word {
            at: Site::Holder,
            state,
            by: Some(Role::Guardian),
            evidence: "its receipt".into(),
        };
        place
            .consents
            .do_likewise(&id, &word, None, minutes(minute))
            .await
            .unwrap();
        assert_eq!(super::flows::state(&place.consents, &id).await, state);
    }
    assert_eq!(place.queued().await.len(), 1, "what the learner gave here");
    place.decide(&id, Decision::Withdraw, 4).await;
    assert_eq!(place.queued().await.len(), 2);
}

#[tokio::test]
async fn a_no_to_what_waits_at_the_holder_does_not_wait_for_what_the_holder_fails_to_take() {
    let place = Place::start().await;
    let id = place.kept(&notice(&place.consents, "1").await, &["skills"]).await;
    let word = Word {
        at: Site::Holder,
        state: State::PendingSecond,
        by: Some(Role::Learner),
        evidence: "its receipt".into(),
    };
    let waits = place.consents.do_likewise(&id, &word, None, minutes(2)).await;
    waits.unwrap();
    place.consents.withdraw("anna", None, minutes(3)).await.unwrap();
    assert_eq!(state(&place.consents, &id).await, State::Refused);
    let queued = place.queued().await;
    let (no, yes): (Vec<_>, Vec<_>) = queued.iter().partition(|sent| sent.body.contains("refused"));
    assert_eq!((no.len(), yes.len()), (1, 1));
    assert_ne!(no[0].pid, yes[0].pid);
}

#[tokio::test]
async fn a_withdrawal_at_an_intermediary_says_whose_holder_has_not_confirmed_it_until_that_has() {
    let place = Place::start().await;
    let id = place.kept(&notice(&place.consents, "1").await, &["skills"]).await;
    place.consents.grant(vec![new("ben")], now()).await.unwrap();
    let own = place.consents.withdraw("ben", None, now()).await.unwrap();
    assert!(own.unconfirmed.is_empty(), "what is held here");
    let told = place.consents.withdraw("anna", None, minutes(2)).await.unwrap();
    assert_eq!(told.unconfirmed, [holder()]);
    let waiting = (State::Withdrawn, Delivered::Waiting);
    assert_eq!(place.passed_on(&id).await, waiting);
    let [given, ended]: [Outgoing; 2] = place.queued().await.try_into().unwrap();
    // What has become of an older message says nothing of the newest.
    place.acknowledged(&given).await;
    assert_eq!(place.passed_on(&id).await, waiting);
    place.acknowledged(&ended).await;
    let confirmed = place.passed_on(&id).await;
    assert!(matches!(confirmed.1, Delivered::Acknowledged { .. }), "{confirmed:?}");
    // A second message of the same is refused, because the first was taken.
    place.refused(&ended).await;
    assert_eq!(place.passed_on(&id).await, confirmed);
    assert_eq!(place.rows(PASSED_ON).await, 1);
    place.consents.forget("anna", minutes(40)).await.unwrap();
    assert_eq!(place.rows(PASSED_ON).await, 0, "nothing of it is left");
}

#[tokio::test]
async fn an_end_that_the_holder_will_not_have_is_shown_as_refused() {
    let place = Place::start().await;
    let id = place.kept(&notice(&place.consents, "1").await, &["skills"]).await;
    place.consents.withdraw("anna", None, minutes(2)).await.unwrap();
    let [_, ended]: [Outgoing; 2] = place.queued().await.try_into().unwrap();
    place.refused(&ended).await;
    let (_, delivery) = place.passed_on(&id).await;
    assert!(
        matches!(delivery, Delivered::Refused { status: 410, .. }),
        "{delivery:?}"
    );
}

/// What an intermediary says of a consent that is not known here.
async fn said(place: &Place, state: &str, number: u32) -> Result<Value, ExchangeError> {
    let body = json!({
        "@context": "https://w3id.org/dases/consent/v1/context.jsonld", "@type": DECISION, "@id": format!("urn:uuid:{number}"),
        "consent": "urn:uuid:00000000-0000-4000-8000-000000000001", "learner": null, "state": state, "request": null,
        "notice": null, "number": number, "digest": jose::sha256(b"receipt"), "receipt": null,
    });
    let message = place.consents.trust.come(&intermediary(), &body.to_string(), now());
    place.exchange.decision(message, now()).await
}

#[tokio::test]
async fn a_yes_that_comes_after_its_end_is_refused_as_stale() {
    let place = Place::start().await;
    said(&place, "withdrawn", 2).await.unwrap();
    let late = said(&place, "given", 1).await;
    assert!(matches!(late, Err(ExchangeError::Stale(_))), "{late:?}");
}

#[tokio::test]
async fn which_decision_is_the_newest_is_forgotten_with_what_is_long_settled() {
    let place = Place::start().await;
    said(&place, "withdrawn", 2).await.unwrap();
    let kept = Duration::from_secs(5 * 366 * 24 * 3600);
    place.exchange.sweep(now().plus(kept)).await.unwrap();
    assert_eq!(place.rows(HEARD).await, 1);
    place.exchange.sweep(minutes(1).plus(kept)).await.unwrap();
    assert_eq!(place.rows(HEARD).await, 0);
}

#[tokio::test]
async fn a_link_that_nobody_confirmed_is_forgotten_and_nothing_leads_to_a_link_that_is_gone() {
    let place = Place::start().await;
    let links = place.exchange.links();
    let offered = links.offer("anna", &holder(), now()).await.unwrap();
    links.remove(&offered.link.id, now()).await.unwrap();
    assert_eq!((place.rows(LINKS).await, place.rows(LINK_INDEX).await), (0, 0));

    links.offer("anna", &holder(), now()).await.unwrap();
    links.redeem(&holder(), "0123456789ABCDEF", "ben", now()).await.unwrap();
    place.exchange.sweep(minutes(24 * 60)).await.unwrap();
    assert_eq!(
        (place.rows(LINKS).await, place.rows(LINK_INDEX).await),
        (2, 2),
        "of late"
    );
    place.exchange.sweep(minutes(9 * 24 * 60)).await.unwrap();
    assert_eq!((place.rows(LINKS).await, place.rows(LINK_INDEX).await), (0, 0));
}

#[tokio::test]
async fn what_another_has_taken_the_place_of_is_told_behind_the_other_and_by_itself_at_last() {
    let place = Place::start().await;
    let hash = notice(&place.consents, "1").await;
    let older = place.kept(&hash, &["skills"]).await;
    place.kept(&hash, &["skills", "results"]).await;
    assert_eq!(state(&place.consents, &older).await, State::Superseded);
    let queued = place.queued().await;
    let (ends, given): (Vec<_>, Vec<_>) = queued.iter().partition(|sent| sent.body.contains("superseded"));
    let (at_last, behind): (Vec<_>, Vec<_>) = ends.into_iter().partition(|sent| sent.not_before.is_some());
    assert_eq!((given.len(), behind.len(), at_last.len()), (2, 1, 1));
    let follows = |yes: &&Outgoing| yes.pid == behind[0].pid && yes.number < behind[0].number;
    assert!(given.iter().all(follows) && at_last[0].pid != behind[0].pid);
}
