//! The receipts of a restriction (GDPR art. 18): one of when it was set, one of when it was lifted. They are checked as those of a consent are, and
//! prove no consent.

use super::{Head, KeyFault, ReceiptError, digest, signed};
use crate::{
    consent::{
        restrictions::{may_lift, may_set},
        state::Role,
    },
    jose::{Digest, VerifyingKey},
};
use policy::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One step of a restriction, as its receipts show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// When.
    pub time: Timestamp,
    /// At whose word.
    pub role: Role,
    /// How they said it.
    pub method: String,
    /// The salted hash of where the proof is kept.
    pub evidence: Option<String>,
}

/// What the receipts of a restriction prove.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Proved {
    /// The restriction.
    pub restriction: String,
    /// Who signed: the holder of the records.
    pub issuer: String,
    /// How many receipts.
    pub receipts: usize,
    /// They begin with the first.
    pub complete: bool,
    /// Towards whom; none means towards everybody.
    pub recipient: Option<String>,
    /// How it was set.
    pub set: Step,
    /// How it was lifted; it stood at the last receipt if it was not.
    pub lifted: Option<Step>,
}

/// What a receipt says of the restriction.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Said {
    holder: String,
    recipient: Option<String>,
    set: Step,
    lifted: Option<Step>,
}

/// One receipt, read.
struct Read {
    head: Head,
    said: Said,
}

/// Checks the receipts of a restriction, the oldest first: signatures, the order, and that each step was possible. `None` if the first one, which
/// is signed, is about something else.
pub fn verify(
    receipts: &[String],
    keys: impl Fn(&str, Timestamp) -> Result<VerifyingKey, KeyFault>,
) -> Result<Option<Proved>, ReceiptError> {
    let mut before: Option<(Read, Digest)> = None;
    let mut complete = false;
    for (at, receipt) in receipts.iter().enumerate() {
        let wrong = |what: String| ReceiptError::Wrong(at, what);
        let claims = signed(at, receipt, &keys)?;
        let signer = claims.issuer().to_owned();
        let claims = claims.into_value();
        let said = claims.pointer("/dases:record/dases:restriction").cloned();
        let Some(said) = said else {
            return match before {
                None => Ok(None),
                Some(_) => Err(wrong("it is about no restriction".into())),
            };
        };
        let read = read(&claims, said, &signer).map_err(wrong)?;
        match &before {
            None => complete = read.head.is_first(),
            Some((last, digest)) => follows(last, digest, &read).map_err(|what| wrong(what.to_owned()))?,
        }
        before = Some((read, digest(receipt)));
    }
    let (last, _) = before.ok_or(ReceiptError::Empty)?;
    Ok(Some(Proved {
        restriction: last.head.about,
        issuer: last.said.holder,
        receipts: receipts.len(),
        complete,
        recipient: last.said.recipient,
        set: last.said.set,
        lifted: last.said.lifted,
    }))
}

fn follows(last: &Read, digest: &Digest, next: &Read) -> Result<(), &'static str> {
    let unlifted = Said {
        lifted: None,
        ..next.said.clone()
    };
    if last.head.about != next.head.about || last.said != unlifted {
        return Err("it is about another restriction than the one before it, or says another thing of how it was set");
    }
    next.head.follows(&last.head, digest)
}

fn read(receipt: &Value, said: Value, signer: &str) -> Result<Read, String> {
    let said: Said =
        serde_json::from_value(said).map_err(|error| format!("the restriction cannot be read: {error}"))?;
    let (head, _) = Head::read(receipt, signer)?;
    if said.holder != signer {
        return Err("it is not signed by the holder of the records".into());
    }
    let newest = said.lifted.as_ref().unwrap_or(&said.set);
    if head.created != newest.time {
        return Err("it was not made at its newest step".into());
    }
    if !may_set(said.set.role) {
        return Err(format!("{} may not set a restriction", said.set.role));
    }
    match (&said.lifted, head.number, &head.previous) {
        (None, 0, None) => {}
        // Whether the learner was a minor is not in it: a step counts if it is possible for either.
        (Some(lifted), 1, Some(_)) if lifted.time >= said.set.time && may_lift(said.set.role, lifted.role, false) => {}
        _ => return Err("its number, the one before it and its steps do not fit".into()),
    }
    Ok(Read { head, said })
}
