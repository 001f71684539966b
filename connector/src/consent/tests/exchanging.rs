//! What an intermediary and a holder tell each other of one consent, through the exchange over a store in memory: what overtakes what, and what
//! a refusal undoes.

use super::{
    flows::{actor, event, notice, request, state},
    *,
};
use crate::{
    consent::{
        exchange::{Exchange, ExchangeError, Notices, Parts, Retractions},
        links::Links,
        state::{Role, State},
    },
    contract::Agreements,
    dsp::message::Explanation,
    net::Reach,
    process::{Answered, Outgoing, Reply, outbox, outbox::Outcome},
    trust::{Identity, Peer, Signatures},
};
use serde_json::json;

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
        let notices = Notices::load(log.clone(), trust.clone(), places, Arc::default()).await;
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
async fn a_yes_that_comes_after_its_end_is_refused_as_stale() {
    let place = Place::start().await;
    let id = "urn:uuid:00000000-0000-4000-8000-000000000001";
    let said = |state: &str, number: u32| {
        let body = json!({
            "@context": "https://w3id.org/dases/consent/v1/context.jsonld", "@type": DECISION,
            "@id": format!("urn:uuid:{number}"), "consent": id, "learner": null, "state": state, "request": null,
            "notice": null, "number": number, "digest": crate::jose::sha256(b"receipt"), "receipt": null,
        });
        let body = body.to_string();
        place.consents.trust.come(&intermediary(), &body, now())
    };
    place.exchange.decision(said("withdrawn", 2), now()).await.unwrap();
    let late = place.exchange.decision(said("given", 1), now()).await;
    assert!(matches!(late, Err(ExchangeError::Stale(_))), "{late:?}");
}

#[tokio::test]
async fn what_another_has_taken_the_place_of_is_told_a_while_after_the_other() {
    let place = Place::start().await;
    let hash = notice(&place.consents, "1").await;
    let older = place.kept(&hash, &["skills"]).await;
    place.kept(&hash, &["skills", "results"]).await;
    assert_eq!(state(&place.consents, &older).await, State::Superseded);
    let queued = place.queued().await;
    let later: Vec<bool> = queued.iter().map(|sent| sent.not_before.is_some()).collect();
    let ends: Vec<bool> = queued.iter().map(|sent| sent.body.contains("superseded")).collect();
    assert_eq!((queued.len(), later), (3, ends));
}
