//! Receipts: for each step of a consent a signed copy of the whole record, bound to the receipt before it. Whoever has the chain and the
//! keys of its issuer, the holder or an intermediary, can check it without asking anybody. Which keys counted when is known in `keys`, that the
//! log holds a receipt in `inclusion`.

mod inclusion;
mod keys;
pub mod objection;
pub mod restriction;

pub use inclusion::{Included, InclusionError, included};
pub use keys::{KeyFault, KeyHistory};

use super::{
    record::{ConsentId, Fact, check_27560},
    state::{self, Rule, State},
};
use crate::{
    dsp::ParticipantId,
    jose::{self, Digest, JoseError, Signer, VerifyingKey, canonical, sha256, token},
};
use policy::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

const CONFORMS: [&str; 2] = [
    "https://w3id.org/dpv/schema/dpv-27560#receipt",
    "https://w3id.org/dpv/schema/dpv-27560#receipt-eu-gdpr",
];

/// What a receipt says beside the record.
pub(super) struct Slip<'a> {
    /// Its own id.
    pub(super) id: String,
    /// The consent, the objection or the restriction.
    pub(super) about: &'a str,
    /// When it was made.
    pub(super) created: Timestamp,
    /// Who signs.
    pub(super) issuer: &'a ParticipantId,
    pub(super) agreement: Option<&'a str>,
    /// Hash of that agreement.
    pub(super) offer: Option<Digest>,
    /// Hash of the notice; a restriction has none.
    pub(super) notice: Option<&'a str>,
    /// Its number in the chain, from 0.
    pub(super) number: u32,
    /// Hash of the receipt before it.
    pub(super) previous: Option<Digest>,
    /// The newest checkpoint of the audit log: what is recorded after it is recorded after that.
    pub(super) checkpoint: Option<Value>,
    /// Of an end: the epoch, the last numbers of the streams, and until when recipients delete.
    pub(super) ended: Option<Value>,
    /// The record.
    pub(super) record: Value,
}

impl<'a> Slip<'a> {
    /// The first receipt of something of which nothing but the record is said.
    pub(super) fn new(
        about: &'a str,
        created: Timestamp,
        issuer: &'a ParticipantId,
        record: Value,
    ) -> Result<Self, JoseError> {
        Ok(Self {
            id: format!("urn:uuid:{}", jose::uuid(created)?),
            about,
            created,
            issuer,
            agreement: None,
            offer: None,
            notice: None,
            number: 0,
            previous: None,
            checkpoint: None,
            ended: None,
            record,
        })
    }

    /// Signs it.
    pub(super) fn sign(&self, signer: &Signer) -> Result<String, JoseError> {
        let claims = json!({
            "@context": super::record::CONTEXT, "@type": "dpv:ConsentReceipt", "@id": self.id, "dct:identifier": self.id,
            "dct:conformsTo": CONFORMS, "dct:created": self.created, "dases:issuer": self.issuer, "dases:recordId": self.about,
            "dases:agreement": self.agreement, "dases:offer": self.offer, "dases:notice": self.notice, "dases:number": self.number,
            "dases:previousReceipt": self.previous, "dases:checkpoint": self.checkpoint, "dases:ended": self.ended,
            "dases:record": self.record,
        });
        token::sign(signer, token::Kind::Consent, &claims)
    }
}

/// The name of a receipt in the one that follows it.
pub fn digest(receipt: &str) -> Digest {
    sha256(receipt.as_bytes())
}

/// Why a chain of receipts proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// There is none.
    #[error("there is no receipt")]
    Empty,
    /// A signature is not right, or not of a key that is known.
    #[error("receipt {0}: {1}")]
    Signature(usize, JoseError),
    /// A signature is of a key that its owner did not sign with when the receipt says that it was made.
    #[error("receipt {number}: it says that it was made at {at}, when its key {kid} was not valid")]
    KeyThen {
        /// Which receipt.
        number: usize,
        /// The key's id.
        kid: String,
        /// When the receipt was made.
        at: Timestamp,
    },
    /// A member is missing or wrong.
    #[error("receipt {0}: {1}")]
    Wrong(usize, String),
}

/// What a chain of receipts proves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Proved {
    /// The consent.
    pub consent: String,
    /// Who signed: the holder, or the intermediary that keeps the consent for the learner.
    pub issuer: String,
    /// Who holds the records.
    pub holder: String,
    /// How many receipts.
    pub receipts: usize,
    /// They begin with the first.
    pub complete: bool,
    /// Where the consent stood at the last of them.
    pub state: State,
    /// When that was.
    pub at: Timestamp,
    /// Until when it holds, if it does.
    pub until: Timestamp,
    /// The steps, the oldest first.
    pub steps: Vec<Fact>,
}

/// What receipts prove, by what the first of them is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Shown {
    /// A consent.
    Consent(Proved),
    /// A restriction.
    Restriction(restriction::Proved),
    /// An objection.
    Objection(objection::Proved),
}

/// The number that the first of these receipts has in its chain. It is the signer's word only once they are verified.
pub fn first_number(receipts: &[String]) -> usize {
    let claimed = receipts.first().and_then(|receipt| token::claimed(receipt).ok());
    let number = claimed.and_then(|claims| claims.get("dases:number").and_then(Value::as_u64));
    number.and_then(|number| usize::try_from(number).ok()).unwrap_or(0)
}

/// Checks receipts of whatever has some, the oldest first, with a key for each that counted when the receipt says that it was made.
pub fn prove(
    receipts: &[String],
    keys: impl Fn(&str, Timestamp) -> Result<VerifyingKey, KeyFault>,
) -> Result<Shown, ReceiptError> {
    if let Some(proved) = restriction::verify(receipts, &keys)? {
        return Ok(Shown::Restriction(proved));
    }
    if let Some(proved) = objection::verify(receipts, &keys)? {
        return Ok(Shown::Objection(proved));
    }
    verify_then(receipts, keys).map(Shown::Consent)
}

/// What every receipt says of itself, whatever it is about.
struct Head {
    about: String,
    issuer: String,
    number: u32,
    previous: Option<String>,
    created: Timestamp,
}

impl Head {
    /// Reads it, with the record in the receipt.
    fn read<'a>(receipt: &'a Value, signer: &str) -> Result<(Self, &'a Value), String> {
        let record = receipt.get("dases:record").ok_or("dases:record is missing")?;
        let (about, issuer) = (text(receipt, "dases:recordId")?, text(receipt, "dases:issuer")?);
        let _: ConsentId = about.parse().map_err(|_| "dases:recordId is no id")?;
        if text(record, "dct:identifier")? != about {
            return Err("its record is another one".into());
        }
        if issuer != signer {
            return Err("it is not signed by its issuer".into());
        }
        let previous = receipt.get("dases:previousReceipt").and_then(Value::as_str);
        let head = Self {
            about,
            issuer,
            number: count(receipt, "dases:number")?,
            previous: previous.map(str::to_owned),
            created: created(receipt)?,
        };
        Ok((head, record))
    }

    fn is_first(&self) -> bool {
        self.number == 0 && self.previous.is_none()
    }

    /// Whether this is of the receipt after the one with that head and digest.
    fn follows(&self, last: &Self, digest: &Digest) -> Result<(), &'static str> {
        let names_it = self.previous.as_deref() == Some(digest.to_string().as_str());
        if last.number.checked_add(1) != Some(self.number) || !names_it {
            return Err("it does not follow the one before it: one is missing, repeated or out of order");
        }
        if self.created < last.created {
            return Err("it was made before the one before it");
        }
        Ok(())
    }
}

/// One receipt of a consent, read.
struct Read {
    head: Head,
    holder: String,
    terms: Digest,
    earlier: usize,
    steps: Vec<Fact>,
    state: State,
    until: Timestamp,
}

/// Checks a chain of receipts of one consent, the oldest first: signatures, the order, the record's fields, and that every step was possible.
pub fn verify(receipts: &[String], keys: impl Fn(&str) -> Option<VerifyingKey>) -> Result<Proved, ReceiptError> {
    verify_then(receipts, |kid, _| keys(kid).ok_or(KeyFault::Unknown))
}

/// The same with a key for each receipt that counted when the receipt says that it was made.
pub fn verify_then(
    receipts: &[String],
    keys: impl Fn(&str, Timestamp) -> Result<VerifyingKey, KeyFault>,
) -> Result<Proved, ReceiptError> {
    let mut before: Option<(Read, Digest)> = None;
    let mut chain = Chain::default();
    let mut complete = false;
    for (at, receipt) in receipts.iter().enumerate() {
        let wrong = |what: &str| ReceiptError::Wrong(at, what.to_owned());
        let claims = signed(at, receipt, &keys)?;
        let signer = claims.issuer().to_owned();
        let read = read(&claims.into_value(), &signer).map_err(|what| ReceiptError::Wrong(at, what))?;
        match &before {
            None => complete = read.head.is_first(),
            Some((last, digest)) => follows(last, digest, &read).map_err(wrong)?,
        }
        let extended = chain.extend(&read, before.is_none());
        extended.map_err(|what| ReceiptError::Wrong(at, what))?;
        before = Some((read, digest(receipt)));
    }
    let (last, _) = before.ok_or(ReceiptError::Empty)?;
    Ok(Proved {
        consent: last.head.about,
        issuer: last.head.issuer,
        holder: last.holder,
        receipts: receipts.len(),
        complete,
        state: last.state,
        at: last.head.created,
        until: last.until,
        steps: chain.steps,
    })
}

/// What a receipt says, signed with the key that counted at the time which it names. That time is read before it is proven; the signature is
/// over it, and which key to ask for is all that it decides.
fn signed(
    number: usize,
    receipt: &str,
    keys: impl Fn(&str, Timestamp) -> Result<VerifyingKey, KeyFault>,
) -> Result<token::Claims, ReceiptError> {
    let unsigned = |error| ReceiptError::Signature(number, error);
    let kid = token::kid(receipt).map_err(unsigned)?;
    let claimed = token::claimed(receipt).map_err(unsigned)?;
    let at = created(&Value::Object(claimed)).map_err(|what| ReceiptError::Wrong(number, what))?;
    let key = keys(&kid, at).map_err(|fault| match fault {
        KeyFault::Unknown => unsigned(JoseError::UnknownKey),
        KeyFault::NotThen => ReceiptError::KeyThen { number, kid, at },
    })?;
    token::verify(receipt, token::Kind::Consent, |_| Some(key.clone())).map_err(unsigned)
}

/// What must hold between two receipts of a consent, one after the other.
fn follows(last: &Read, digest: &Digest, next: &Read) -> Result<(), &'static str> {
    let (one, other) = (&last.head, &next.head);
    if one.about != other.about || one.issuer != other.issuer || last.terms != next.terms {
        return Err("it is about another consent, or other terms, than the one before it");
    }
    other.follows(one, digest)
}

/// The steps that the receipts so far have shown, the first of which has this number among all.
#[derive(Default)]
struct Chain {
    base: usize,
    steps: Vec<Fact>,
}

impl Chain {
    /// Takes the steps in that are new, each of which must be possible after the one before it; those known already must be the same.
    fn extend(&mut self, read: &Read, first: bool) -> Result<(), String> {
        if first {
            // Only the newest steps are shown; what came before is bound by a hash and not seen.
            self.base = read.earlier;
        }
        for (number, fact) in (read.earlier..).zip(&read.steps) {
            let known = number.checked_sub(self.base).and_then(|at| self.steps.get(at));
            match known {
                Some(known) if known == fact => {}
                Some(_) => return Err("a step is another one than in the receipt before it".into()),
                None if number == self.base + self.steps.len() => {
                    self.check(read, fact)?;
                    self.steps.push(fact.clone());
                }
                None => return Err("steps are missing between it and the one before it".into()),
            }
        }
        if self.base + self.steps.len() != read.earlier + read.steps.len() {
            return Err("it lacks steps that the one before it has".into());
        }
        match self.steps.last() {
            Some(last) if last.state == read.state => Ok(()),
            _ => Err("its state is not where its steps lead".into()),
        }
    }

    fn check(&self, read: &Read, fact: &Fact) -> Result<(), String> {
        let Some(before) = self.steps.last() else {
            if self.base > 0 {
                return Ok(());
            }
            if fact.previous != read.terms {
                return Err("its first step is not bound to the terms".into());
            }
            return match state::begin(fact.act, fact.role) {
                Ok(begun) if begun == fact.state => Ok(()),
                _ => Err("a consent cannot begin like this".into()),
            };
        };
        if fact.previous != before.digest().map_err(|error| error.to_string())? {
            return Err("a step does not follow the one before it".into());
        }
        if !possible(before, fact) {
            let (act, role, state) = (fact.act, fact.role, before.state);
            return Err(format!("{role} cannot take the step {act} when it is {state}"));
        }
        Ok(())
    }
}

/// Whether two had to sign is not in a receipt: a step counts if it is possible under either rule.
fn possible(before: &Fact, fact: &Fact) -> bool {
    let to = |rule| state::step(before.state, (fact.act, fact.role), rule, before.time, fact.time);
    to(Rule::Alone) == Ok(fact.state) || to(Rule::Joint) == Ok(fact.state)
}

fn text(value: &Value, name: &str) -> Result<String, String> {
    let found = value.get(name).and_then(Value::as_str);
    found.map(str::to_owned).ok_or_else(|| format!("{name} is missing"))
}

/// A counter. Ours have 32 bits: what is larger is nobody's, and cannot be counted on from.
fn count(within: &Value, name: &str) -> Result<u32, String> {
    let found = within.get(name).and_then(Value::as_u64);
    found
        .and_then(|count| u32::try_from(count).ok())
        .ok_or_else(|| format!("{name} is missing"))
}

fn created(receipt: &Value) -> Result<Timestamp, String> {
    text(receipt, "dct:created")?
        .parse::<Timestamp>()
        .map_err(|error| format!("dct:created: {error}"))
}

/// The hash of the terms, computed anew.
fn terms(record: &Value) -> Result<Digest, String> {
    let terms = record.get("dases:terms").ok_or("dases:terms is missing")?;
    let bytes = canonical::signable(terms).map_err(|error| error.to_string())?;
    Ok(sha256(&bytes))
}

fn read(receipt: &Value, signer: &str) -> Result<Read, String> {
    let record = receipt.get("dases:record").ok_or("dases:record is missing")?;
    check_27560(record).map_err(|missing| {
        let all: Vec<String> = missing.iter().map(ToString::to_string).collect();
        all.join("; ")
    })?;
    let (head, record) = Head::read(receipt, signer)?;
    let controllers = record.get("dpv:hasDataController").and_then(Value::as_array);
    let is_issuer = |party: &Value| party.get("dct:identifier").and_then(Value::as_str) == Some(head.issuer.as_str());
    let keeps_it = record.get("dases:intermediary").is_some_and(is_issuer);
    if !keeps_it && !controllers.is_some_and(|all| all.iter().any(is_issuer)) {
        return Err("its issuer is neither the controller of the record nor its intermediary".into());
    }
    let status = record.get("dpv:hasConsentStatus").and_then(Value::as_array);
    let facts = status.into_iter().flatten().map(|event| {
        let fact = event.get("dases:event").cloned().unwrap_or_default();
        serde_json::from_value::<Fact>(fact).map_err(|error| format!("a step cannot be read: {error}"))
    });
    let holder = record.pointer("/dases:terms/holder").and_then(Value::as_str);
    let until = record.pointer("/dpv:hasDuration/0/dct:valid").and_then(Value::as_str);
    Ok(Read {
        terms: terms(record)?,
        earlier: usize::try_from(count(record, "dases:earlierEvents")?).map_err(|error| error.to_string())?,
        steps: facts.collect::<Result<_, _>>()?,
        state: serde_json::from_value(record.get("dases:state").cloned().unwrap_or_default())
            .map_err(|_| "dases:state is missing")?,
        until: until
            .unwrap_or_default()
            .parse::<Timestamp>()
            .map_err(|error| format!("dct:valid: {error}"))?,
        holder: holder.ok_or("the holder is missing")?.to_owned(),
        head,
    })
}
