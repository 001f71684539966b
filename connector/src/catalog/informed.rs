//! Whom the duties to inform of a policy name (ODRL 2.2 `informedParty`). A duty that cannot be kept refuses: its offer is not published, and
//! nothing flows under its agreement.

use crate::{dsp::ParticipantId, trust::Trust};
use policy::{Code, Reason, Timestamp};
use std::collections::BTreeSet;

/// The participants among those that are named, each with the pointer of its duty; without ourselves, who know what we do.
///
/// # Errors
/// `DUT-03` for each that is no participant that we deal with.
pub async fn informed(
    trust: &Trust,
    named: &[(&str, &str)],
    now: Timestamp,
) -> Result<BTreeSet<ParticipantId>, Vec<Reason>> {
    let (mut found, mut reasons) = (BTreeSet::new(), Vec::new());
    for &(pointer, name) in named {
        let refused = |why: &str| Reason {
            code: Code::InformedUnknown,
            pointer: pointer.to_owned(),
            text: format!("{name:?} is to be informed, and {why}"),
        };
        let Ok(did) = name.parse::<ParticipantId>() else {
            reasons.push(refused("that is no participant's id"));
            continue;
        };
        if did == *trust.me() {
            continue;
        }
        match trust.meet(&did, now).await {
            Ok(_) => {
                found.insert(did);
            }
            Err(error) => reasons.push(refused(&format!("it cannot be told: {error}"))),
        }
    }
    if reasons.is_empty() { Ok(found) } else { Err(reasons) }
}
