//! Whom the duties to inform of a policy name (ODRL 2.2 `informedParty`). A duty that cannot be kept refuses: its offer is not published, and
//! nothing flows under its agreement.

use crate::{
    dsp::ParticipantId,
    trust::{Trust, TrustError},
};
use policy::{Code, Reason, Timestamp};
use std::collections::BTreeSet;

/// Why somebody who is to be informed cannot be.
#[derive(Debug)]
pub enum Unreached {
    /// Whoever is named in these places is nobody whom we can tell: `DUT-03`.
    Nobody(Vec<Reason>),
    /// Whether they are one is not to be found out at this moment.
    NotNow(TrustError),
}

impl Unreached {
    /// The reasons, for whoever wrote the policy.
    pub fn reasons(self) -> Vec<Reason> {
        match self {
            Self::Nobody(reasons) => reasons,
            Self::NotNow(error) => vec![reason("", &error.to_string())],
        }
    }
}

fn reason(pointer: &str, why: &str) -> Reason {
    Reason {
        code: Code::InformedUnknown,
        pointer: pointer.to_owned(),
        text: format!("whoever is to be informed cannot be told: {why}"),
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
    let (mut found, mut reasons) = (BTreeSet::new(), Vec::new());
    for &(pointer, name) in named {
        let Ok(did) = name.parse::<ParticipantId>() else {
            reasons.push(reason(pointer, &format!("{name:?} is no participant's id")));
            continue;
        };
        if did == *trust.me() {
            continue;
        }
        match trust.meet(&did, now).await {
            Ok(peer) => match trust.signs(&peer, now).await {
                Ok(true) => {
                    found.insert(did);
                }
                Ok(false) => reasons.push(reason(pointer, &format!("{did} takes no signed messages"))),
                Err(error) => return Err(Unreached::NotNow(error.into())),
            },
            Err(TrustError::NotAMember(cause)) if !cause.is_final() => return Err(Unreached::NotNow(cause.into())),
            Err(error) => reasons.push(reason(pointer, &format!("{did}: {error}"))),
        }
    }
    match reasons.is_empty() {
        true => Ok(found),
        false => Err(Unreached::Nobody(reasons)),
    }
}
