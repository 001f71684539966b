use super::*;
use crate::{
    consent::{
        Consents,
        exchange::{Post, Retraction, inbox},
        tests::{now, over},
    },
    net::Reach,
    store::MemoryStore,
    trust::{Identity, Peer, Signatures},
};
use serde_json::json;
use std::time::Duration;

const LEARNER: &str = "p:AAAAAAAAAAAAAAAAAAAAAA";

fn id(consent: u8) -> String {
    format!("urn:uuid:00000000-0000-4000-8000-0000000000{consent:02}")
}

/// A recipient, and a holder that tells it something.
struct Recipient {
    consents: Consents,
    inbox: Inbox,
    receipts: Receipts,
    retractions: Arc<Retractions>,
    holder: Peer,
}

impl Recipient {
    async fn of(holder: &str) -> Self {
        let consents = over(Arc::new(MemoryStore::new())).await;
        let (log, trust) = (consents.log.clone(), consents.trust.clone());
        let post = Post::load(&**log.store(), Arc::default()).await.unwrap();
        let retractions = Retractions::load(log.clone(), trust.clone(), Arc::new(post)).await;
        Self {
            inbox: Inbox(log.clone()),
            receipts: Receipts::load(log, trust).await.unwrap(),
            retractions: Arc::new(retractions.unwrap()),
            holder: Peer {
                did: holder.parse().unwrap(),
                name: None,
                identity: Identity::DspJws,
                signatures: Signatures::Required,
                address: None,
                reach: Reach {
                    private: true,
                    http: false,
                },
            },
            consents,
        }
    }

    fn message<T: Content>(&self, content: Value) -> Message<T> {
        let (_, body) = message::write(&serde_json::from_value::<T>(content).unwrap(), now()).unwrap();
        inbox::understand(self.consents.trust.come(&self.holder, &body, now())).unwrap()
    }

    fn receipt(&self, consent: u8, state: &str, number: u32, receipt: Option<&str>) -> Message<Receipt> {
        self.message(json!({
            "consent": id(consent), "pseudonym": LEARNER, "state": state,
            "at": now(), "until": now().plus(Duration::from_secs(60)), "number": number, "request": null,
            "digest": jose::sha256(b"receipt"), "receipt": receipt,
        }))
    }

    async fn take(&self, message: &Message<Receipt>) -> Result<Value, ExchangeError> {
        self.receipts.take(&self.inbox, message, &self.retractions, now()).await
    }

    async fn ended(&self) -> Result<Value, ExchangeError> {
        self.ended_at(now(), "withdrawn", &[]).await
    }

    /// The end of these consents, at that time by the holder's clock.
    async fn ended_at(&self, at: Timestamp, reason: &str, consents: &[u8]) -> Result<Value, ExchangeError> {
        let ending = self.message(json!({
            "holder": self.holder.did, "recipient": self.consents.holder(), "pseudonym": LEARNER, "reason": reason,
            "consents": consents.iter().map(|consent| id(*consent)).collect::<Vec<_>>(), "purposes": [], "agreements": [],
            "at": at, "epoch": 1, "streams": [], "eraseBy": at,
        }));
        self.retractions.told(&self.inbox, &ending, now()).await
    }

    /// Where each consent stands that is known.
    async fn stand(&self) -> Vec<(String, State)> {
        let kept = self.receipts.list().await.unwrap().into_iter();
        let mut kept: Vec<_> = kept.map(|one| (one.consent.to_string(), one.state)).collect();
        kept.sort_by(|one, other| one.0.cmp(&other.0));
        kept
    }
}

#[tokio::test]
async fn a_receipt_for_which_there_is_no_room_is_acknowledged_and_a_known_consent_ends() {
    let recipient = Recipient::of("did:web:school.example").await;
    recipient.take(&recipient.receipt(1, "given", 0, None)).await.unwrap();
    recipient.receipts.kept.fill(&recipient.holder.did);
    recipient.take(&recipient.receipt(2, "given", 0, None)).await.unwrap();
    recipient
        .take(&recipient.receipt(1, "withdrawn", 1, None))
        .await
        .unwrap();
    let kept = recipient.receipts.list().await.unwrap();
    let kept: Vec<_> = kept.iter().map(|one| (one.state, one.number)).collect();
    assert_eq!(kept, [(State::Withdrawn, 1)]);
}

#[tokio::test]
async fn an_ending_is_taken_however_many_of_its_holder_are_kept() {
    let recipient = Recipient::of("did:web:school.example").await;
    recipient.ended().await.unwrap();
    let [told]: [Retraction; 1] = recipient.retractions.list().try_into().unwrap();
    let erased = Retraction {
        erased: Some(1),
        ..told
    };
    for _ in 0..200_000 {
        recipient.retractions.remember(erased.clone());
    }
    recipient.ended().await.unwrap();
    assert_eq!(recipient.retractions.pending().len(), 2, "both are to be erased");
}

#[tokio::test]
async fn nobody_waits_for_a_learners_turn_while_the_keys_of_a_holder_are_fetched() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let recipient = Recipient::of(&format!("did:web:127.0.0.1%3A{port}")).await;
    let receipt = recipient.receipt(1, "given", 0, Some("receipt"));
    let others = async {
        let _asked = silent.accept().await.unwrap();
        recipient.ended().await.unwrap();
    };
    tokio::select! {
        taken = recipient.take(&receipt) => panic!("{taken:?}"),
        () = others => {}
    }
}

#[tokio::test]
async fn what_a_holder_says_has_ended_is_shown_as_ended_with_the_message_that_says_so() {
    let recipient = Recipient::of("did:web:school.example").await;
    for consent in 1..=4 {
        recipient
            .take(&recipient.receipt(consent, "given", 0, None))
            .await
            .unwrap();
    }
    recipient.ended_at(now(), "withdrawn", &[1]).await.unwrap();
    recipient.ended_at(now(), "expired", &[2]).await.unwrap();
    recipient.ended_at(now(), "revoked", &[3, 9]).await.unwrap();
    let states = [State::Withdrawn, State::Expired, State::Revoked, State::Given];
    let expected: Vec<_> = (1..).map(id).zip(states).collect();
    assert_eq!(recipient.stand().await, expected);
    let told = recipient.retractions.list();
    for known in recipient.receipts.list().await.unwrap() {
        let of = told.iter().find(|told| told.consents.contains(&known.consent));
        assert_eq!(known.ended, of.map(|told| told.notice.clone()));
    }
    // The receipt of the end says more, and a late one of its being given does not bring it back.
    recipient
        .take(&recipient.receipt(2, "superseded", 2, None))
        .await
        .unwrap();
    let late = recipient.take(&recipient.receipt(1, "given", 1, None)).await;
    assert!(matches!(late, Err(ExchangeError::Stale(_))), "{late:?}");
    let stand = recipient.stand().await;
    assert_eq!((stand[0].1, stand[1].1), (State::Withdrawn, State::Superseded));
}

#[tokio::test]
async fn an_ending_from_before_the_holders_clock_went_back_is_taken_and_lets_what_is_given_later_in() {
    let recipient = Recipient::of("did:web:school.example").await;
    let ahead = now().plus(Duration::from_secs(7_200));
    recipient.take(&recipient.receipt(1, "given", 0, None)).await.unwrap();
    recipient.ended_at(ahead, "withdrawn", &[1]).await.unwrap();
    assert_eq!(recipient.stand().await, [(id(1), State::Withdrawn)]);
    let [told]: [Retraction; 1] = recipient.retractions.pending().try_into().unwrap();
    assert_eq!((told.at, told.reopened), (ahead, None), "it is to be erased");
    recipient.take(&recipient.receipt(2, "given", 0, None)).await.unwrap();
    assert_eq!(recipient.retractions.list()[0].reopened, Some(now()));
}
