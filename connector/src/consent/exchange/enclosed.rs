//! The receipt that a message about a consent encloses: that it is the sender's, says what the message says, and follows the one that is known.
//! What its terms must be for whoever takes the message is checked there. Pure.

use super::ExchangeError;
use crate::{
    consent::{
        ConsentId, Fact,
        receipt::{self, Proved, ReceiptError},
        state::{Role, State},
    },
    dsp::ParticipantId,
    jose::{Digest, JoseError, VerifyingKey, token},
};
use serde_json::Value;

/// What a message says of the receipt in it.
pub(super) struct Said<'a> {
    pub(super) consent: &'a ConsentId,
    pub(super) state: State,
    pub(super) number: u32,
    pub(super) digest: &'a Digest,
}

/// A receipt that is what its message says.
#[derive(Debug)]
pub(super) struct Enclosed {
    /// What it proves.
    pub(super) proved: Proved,
    /// The terms of its record.
    pub(super) terms: Value,
}

/// Why a receipt does not count for its message.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum EnclosedError {
    #[error("its hash is another one")]
    Hash,
    #[error(transparent)]
    Signature(#[from] JoseError),
    #[error("its number is another one")]
    Number,
    #[error(transparent)]
    Chain(#[from] ReceiptError),
    /// Not the sender's: nobody hands on what others say.
    #[error("a receipt is the sender's")]
    Issuer,
    #[error("it is about another consent, or another state of it")]
    About,
}

impl From<EnclosedError> for ExchangeError {
    fn from(error: EnclosedError) -> Self {
        match error {
            EnclosedError::Issuer => Self::WrongParty("a receipt is the sender's"),
            error => Self::Invalid(format!("the receipt: {error}")),
        }
    }
}

/// Checks a receipt with the keys that count of its sender; `before` is the one that it must follow, where that is known.
pub(super) fn enclosed(
    text: &str,
    said: &Said<'_>,
    sender: &ParticipantId,
    before: Option<&str>,
    key: impl Fn(&str) -> Option<VerifyingKey>,
) -> Result<Enclosed, EnclosedError> {
    if receipt::digest(text) != *said.digest {
        return Err(EnclosedError::Hash);
    }
    let claims = token::verify(text, token::Kind::Consent, &key)?.into_value();
    if claims.get("dases:number").and_then(Value::as_u64) != Some(said.number.into()) {
        return Err(EnclosedError::Number);
    }
    let chain: Vec<String> = before.into_iter().chain([text]).map(str::to_owned).collect();
    let proved = receipt::verify(&chain, key)?;
    if proved.issuer != sender.as_str() {
        return Err(EnclosedError::Issuer);
    }
    if proved.consent != said.consent.as_str() || proved.state != said.state {
        return Err(EnclosedError::About);
    }
    let terms = claims.pointer("/dases:record/dases:terms").cloned().unwrap_or_default();
    Ok(Enclosed { proved, terms })
}

/// As whom somebody brought a consent to the state that a receipt shows. It proves nothing: the receipt is checked, or is in a message of whoever
/// signed it.
pub(super) fn said_by(receipt: Option<&str>, state: State) -> Option<Role> {
    let claims = token::claimed(receipt?).ok()?;
    let steps = claims.get("dases:record")?.get("dpv:hasConsentStatus")?.as_array()?;
    let newest: Fact = serde_json::from_value(steps.last()?.get("dases:event")?.clone()).ok()?;
    Some(newest.role).filter(|_| newest.state == state)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        consent::tests::{new, now, over},
        jose::testing,
        store::MemoryStore,
    };
    use std::sync::Arc;

    /// Two receipts of one consent, the second of its withdrawal, and whose they are.
    async fn two() -> (ConsentId, [String; 2], ParticipantId) {
        let consents = over(Arc::new(MemoryStore::new())).await;
        let id = consents
            .grant(vec![new("anna")], now())
            .await
            .unwrap()
            .remove(0)
            .consent
            .id;
        consents.withdraw("anna", None, now()).await.unwrap();
        let receipts = consents.receipts(id.as_str()).await.unwrap();
        (id, receipts.try_into().unwrap(), consents.holder().clone())
    }

    fn known(_: &str) -> Option<VerifyingKey> {
        Some(testing::rfc8037_public())
    }

    #[tokio::test]
    async fn a_receipt_counts_only_if_it_is_what_the_message_says_and_the_senders() {
        let (id, [given, withdrawn], holder) = two().await;
        let digest = receipt::digest(&withdrawn);
        let said = || Said {
            consent: &id,
            state: State::Withdrawn,
            number: 1,
            digest: &digest,
        };
        let why = |said: &Said<'_>, sender: &ParticipantId| enclosed(&withdrawn, said, sender, None, known).err();
        let found = enclosed(&withdrawn, &said(), &holder, None, known).unwrap();
        assert_eq!(found.terms["holder"], holder.as_str());
        assert_eq!(found.proved.state, State::Withdrawn);
        assert_eq!(said_by(Some(&withdrawn), State::Withdrawn), Some(Role::Learner));
        let silent = [
            (Some(withdrawn.as_str()), State::Refused),
            (Some("receipt"), State::Given),
            (None, State::Given),
        ];
        assert!(silent.into_iter().all(|(text, state)| said_by(text, state).is_none()));
        let other: ConsentId = "urn:uuid:00000000-0000-4000-8000-000000000001".parse().unwrap();
        let first = receipt::digest(&given);
        let wrong = [
            (
                Said {
                    digest: &first,
                    ..said()
                },
                EnclosedError::Hash,
            ),
            (Said { number: 2, ..said() }, EnclosedError::Number),
            (
                Said {
                    consent: &other,
                    ..said()
                },
                EnclosedError::About,
            ),
            (
                Said {
                    state: State::Given,
                    ..said()
                },
                EnclosedError::About,
            ),
        ];
        for (said, expected) in wrong {
            assert_eq!(why(&said, &holder), Some(expected));
        }
        let stranger = "did:web:work.example".parse().unwrap();
        assert_eq!(why(&said(), &stranger), Some(EnclosedError::Issuer));
        let unknown = enclosed(&withdrawn, &said(), &holder, None, |_| None);
        assert_eq!(unknown.err(), Some(EnclosedError::Signature(JoseError::UnknownKey)));
    }

    #[tokio::test]
    async fn a_receipt_follows_the_one_that_is_known() {
        let (id, [given, withdrawn], holder) = two().await;
        let (_, [another, _], _) = two().await;
        let digest = receipt::digest(&withdrawn);
        let said = Said {
            consent: &id,
            state: State::Withdrawn,
            number: 1,
            digest: &digest,
        };
        let after = |before: &str| enclosed(&withdrawn, &said, &holder, Some(before), known);
        assert_eq!(after(&given).unwrap().proved.receipts, 2);
        assert!(matches!(after(&another), Err(EnclosedError::Chain(_))));
    }
}
