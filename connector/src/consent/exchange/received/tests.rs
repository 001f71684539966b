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
            "consent": format!("urn:uuid:00000000-0000-4000-8000-0000000000{consent:02}"), "pseudonym": LEARNER, "state": state,
            "at": now(), "until": now().plus(Duration::from_secs(60)), "number": number, "request": null,
            "digest": jose::sha256(b"receipt"), "receipt": receipt,
        }))
    }

    async fn take(&self, message: &Message<Receipt>) -> Result<Value, ExchangeError> {
        self.receipts.take(&self.inbox, message, &self.retractions, now()).await
    }

    async fn ended(&self) -> Result<Value, ExchangeError> {
        let ending = self.message(json!({
            "holder": self.holder.did, "recipient": self.consents.holder(), "pseudonym": LEARNER, "reason": "withdrawn",
            "consents": [], "purposes": [], "agreements": [], "at": now(), "epoch": 1, "streams": [], "eraseBy": now(),
        }));
        self.retractions.told(&self.inbox, &ending, now()).await
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
