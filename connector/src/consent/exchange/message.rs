//! Messages about consents as connectors write them to each other: JSON with `@context`, `@type` and `@id` like those of DSP, signed like them.
//! Reading is strict: a member that is not known could change what the others mean. No I/O.

use crate::{
    consent::{ConsentId, Pseudonym},
    dsp::{AgreementId, MessageId, ParticipantId, Pid, json},
    jose::{self, random::RandomError},
};
use policy::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

/// The vocabulary of these messages.
const CONTEXT: &str = "https://w3id.org/dases/consent/v1/context.jsonld";

/// What a message says, without what every message carries.
pub trait Content: Serialize + DeserializeOwned {
    /// Its `@type`.
    const TYPE: &'static str;
    /// Where it goes, below the recipient's root.
    const PATH: &'static str;
}

/// Why a message is not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// It is no JSON object, or a member is missing, wrong or unknown.
    #[error("it is not a {kind}: {problem}")]
    Shape {
        /// What was expected.
        kind: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// A message of another kind, or of no kind.
    #[error("its @type is not {0}")]
    Type(&'static str),
    /// Another vocabulary.
    #[error("its @context is not {CONTEXT}")]
    Context,
    /// No usable `@id`.
    #[error("its @id is missing or no identifier")]
    Id,
}

/// A message that was understood.
#[derive(Clone, Debug)]
pub struct Received<T> {
    /// Under which a repetition is recognised.
    pub id: MessageId,
    /// What it says.
    pub content: T,
}

/// Reads a message of one kind.
pub fn read<T: Content>(bytes: &[u8]) -> Result<Received<T>, Malformed> {
    let shape = |problem: String| Malformed::Shape { kind: T::TYPE, problem };
    let Value::Object(mut members) = json::parse(bytes).map_err(|error| shape(error.to_string()))? else {
        return Err(shape("it is not an object".into()));
    };
    let mut text = |name: &str| match members.remove(name) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    };
    if text("@type").as_deref() != Some(T::TYPE) {
        return Err(Malformed::Type(T::TYPE));
    }
    if text("@context").as_deref() != Some(CONTEXT) {
        return Err(Malformed::Context);
    }
    let id = text("@id").and_then(|id| id.parse().ok()).ok_or(Malformed::Id)?;
    let content = serde_json::from_value(Value::Object(members)).map_err(|error| shape(error.to_string()))?;
    Ok(Received { id, content })
}

/// A message of ours: its id and its text.
pub fn write<T: Content>(content: &T, now: Timestamp) -> Result<(MessageId, String), RandomError> {
    let id = MessageId::from_uuid(jose::uuid(now)?);
    let mut members = Map::new();
    members.insert("@context".into(), CONTEXT.into());
    members.insert("@type".into(), T::TYPE.into());
    members.insert("@id".into(), id.as_str().into());
    // Our types are structs: they are written as objects, and nothing in them can fail to be written.
    if let Ok(Value::Object(content)) = serde_json::to_value(content) {
        members.extend(content);
    }
    Ok((id, Value::Object(members).to_string()))
}

/// The answer to a message that was taken.
pub(in crate::consent) fn taken(id: &MessageId) -> Value {
    json!({"@context": CONTEXT, "@type": "ConsentAcknowledgement", "message": id})
}

/// Why what was permitted is not permitted any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EndReason {
    /// The learner withdrew (GDPR Art. 7(3)).
    Withdrawn,
    /// The learner objects (Art. 21).
    Objected,
    /// Its time is over.
    Expired,
    /// The holder or an authority ended it, or it never was valid.
    Revoked,
}

/// The last record of a stream that may hold records of the learner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LastOf {
    /// The holder's id of the transfer.
    pub transfer: Pid,
    /// No record of the learner that rests on what has ended comes after this number.
    pub last_sequence: u64,
    /// Something else permits records of the learner in this stream: those after that number are to be kept.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub goes_on: bool,
}

/// Holder to recipient: a learner's consent has ended; what was received under it is to be erased (GDPR Art. 17, 19).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Withdrawal {
    /// Who holds the records.
    pub holder: ParticipantId,
    /// Who received some of them.
    pub recipient: ParticipantId,
    /// The learner, as this recipient knows them.
    pub pseudonym: Pseudonym,
    /// Why.
    pub reason: EndReason,
    /// Which consents ended.
    pub consents: Vec<ConsentId>,
    /// The purposes that they were given for.
    pub purposes: Vec<String>,
    /// The agreements under which nothing may be used any more; none listed: all of this recipient's with the holder.
    pub agreements: Vec<AgreementId>,
    /// When it ended.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// The epoch from which on the holder lets no record pass.
    pub epoch: u64,
    /// This recipient's streams that ran when it ended.
    pub streams: Vec<LastOf>,
    /// Until when everything is to be erased.
    #[schema(value_type = String, format = DateTime)]
    pub erase_by: Timestamp,
}

impl Content for Withdrawal {
    const TYPE: &'static str = "ConsentWithdrawalMessage";
    const PATH: &'static str = "/dases/consents/withdrawals";
}

/// What was erased of one transfer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ErasedOf {
    /// The holder's id of the transfer.
    pub transfer: Pid,
    /// How many records.
    pub records: u64,
}

/// Recipient to holder: what it erased after a [`Withdrawal`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Erasure {
    /// The message that it answers.
    pub notice: MessageId,
    /// Who holds the records.
    pub holder: ParticipantId,
    /// Who erased.
    pub recipient: ParticipantId,
    /// The learner, as this recipient knew them.
    pub pseudonym: Pseudonym,
    /// When it was done.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// How many records, of all transfers.
    pub records: u64,
    /// Of which transfers; the first hundred.
    pub transfers: Vec<ErasedOf>,
}

impl Content for Erasure {
    const TYPE: &'static str = "ConsentErasureMessage";
    const PATH: &'static str = "/dases/consents/erasures";
}

#[cfg(test)]
mod tests {
    use super::*;

    fn withdrawal() -> Withdrawal {
        Withdrawal {
            holder: "did:web:school.example".parse().unwrap(),
            recipient: "did:web:work.example".parse().unwrap(),
            pseudonym: "p:AAAAAAAAAAAAAAAAAAAAAA".parse().unwrap(),
            reason: EndReason::Withdrawn,
            consents: Vec::new(),
            purposes: vec!["https://w3id.org/dpv#ServiceProvision".into()],
            agreements: Vec::new(),
            at: Timestamp::from_seconds(1),
            epoch: 7,
            streams: vec![LastOf {
                transfer: "urn:uuid:1".parse().unwrap(),
                last_sequence: 9,
                goes_on: false,
            }],
            erase_by: Timestamp::from_seconds(2),
        }
    }

    #[test]
    fn a_message_is_read_as_it_was_written_and_each_has_its_own_id() {
        let now = Timestamp::from_seconds(5);
        let (id, text) = write(&withdrawal(), now).unwrap();
        let read = read::<Withdrawal>(text.as_bytes()).unwrap();
        assert_eq!((read.id, read.content), (id.clone(), withdrawal()));
        assert_ne!(write(&withdrawal(), now).unwrap().0, id);
    }

    #[test]
    fn what_is_missing_unknown_or_of_another_kind_is_refused() {
        let (_, text) = write(&withdrawal(), Timestamp::from_seconds(5)).unwrap();
        let whole: Value = serde_json::from_str(&text).unwrap();
        for name in whole.as_object().unwrap().keys() {
            let mut lacking = whole.clone();
            lacking.as_object_mut().unwrap().remove(name);
            assert!(read::<Withdrawal>(lacking.to_string().as_bytes()).is_err(), "{name}");
        }
        let mut more = whole.clone();
        more["also"] = true.into();
        assert!(matches!(
            read::<Withdrawal>(more.to_string().as_bytes()),
            Err(Malformed::Shape { .. })
        ));
        assert_eq!(
            read::<Erasure>(text.as_bytes()).unwrap_err(),
            Malformed::Type(Erasure::TYPE)
        );
        let mut foreign = whole;
        foreign["pseudonym"] = "e".into();
        assert!(read::<Withdrawal>(foreign.to_string().as_bytes()).is_err());
    }
}
