//! Whom the duties to inform of a policy name (ODRL 2.2 `informedParty`). A duty that cannot be kept refuses: its offer is not published, and
//! nothing flows under its agreement.

use crate::{
    dsp::ParticipantId,
    trust::{Signatures, Trust, TrustError},
};
use policy::{Code, Reason, Timestamp};
use std::collections::BTreeSet;

/// Why somebody who is to be informed cannot be.
#[derive(Debug)]
pub enum Unreached {
    /// Whoever is named in these places is nobody whom we can tell: `DUT-03`.
    Nobody(Vec<Reason>),
    /// Whether this one can be told is not to be found out at this moment.
    NotNow(Reason),
}

impl Unreached {
    /// The reasons, for whoever wrote the policy.
    pub fn reasons(self) -> Vec<Reason> {
        match self {
            Self::Nobody(reasons) => reasons,
            Self::NotNow(reason) => vec![reason],
        }
    }
}

/// What keeps one party from being told, and whether that is about the party and not about the moment.
enum Kept {
    ForGood(String),
    ForNow(String),
}

async fn reach(trust: &Trust, did: &ParticipantId, now: Timestamp) -> Result<(), Kept> {
    let peer = trust.meet(did, now).await.map_err(|error| match &error {
        TrustError::NotAMember(cause) if !cause.is_final() => Kept::ForNow(error.to_string()),
        _ => Kept::ForGood(error.to_string()),
    })?;
    match trust.signs(&peer, now).await {
        Ok(true) => Ok(()),
        // One that may sign is asked only so often.
        Ok(false) if peer.signatures == Signatures::IfOffered => Err(Kept::ForNow("it is not known to sign".into())),
        Ok(false) => Err(Kept::ForGood("it takes no signed messages".into())),
        Err(error) => Err(Kept::ForNow(error.to_string())),
    }
}

/// The participants among those that are named, each with the pointer of its duty; without ourselves, who know what we do.
///
/// # Errors
/// Where one of them is no participant that we deal with, or one that takes no signed messages, or that is not known now.
pub async fn informed(
    trust: &Trust,
    named: &[(&str, &str)],
    now: Timestamp,
) -> Result<BTreeSet<ParticipantId>, Unreached> {
    let (mut found, mut nobody, mut not_now) = (BTreeSet::new(), Vec::new(), None);
    for &(pointer, name) in named {
        let refused = |why: &str| {
            let text = format!("{name:?} is to be informed and cannot be told: {why}");
            Reason::new(Code::InformedUnknown, pointer, text)
        };
        match name.parse::<ParticipantId>() {
            Err(_) => nobody.push(refused("that is no participant's id")),
            Ok(did) if did == *trust.me() => {}
            Ok(did) => match reach(trust, &did, now).await {
                Ok(()) => {
                    found.insert(did);
                }
                Err(Kept::ForGood(why)) => nobody.push(refused(&why)),
                Err(Kept::ForNow(why)) => not_now = Some(refused(&format!("for the moment, {why}"))),
            },
        }
    }
    match (nobody.is_empty(), not_now) {
        (false, _) => Err(Unreached::Nobody(nobody)),
        (true, Some(reason)) => Err(Unreached::NotNow(reason)),
        (true, None) => Ok(found),
    }
}
