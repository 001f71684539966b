//! Whom learners' consents, restrictions and other words name: operators write a configured peer's name as well as an id, and the rooms below know
//! ids alone. What is nobody's id is refused here: a consent for it would open nothing and a restriction keep nothing back, and both would look
//! as if they did.

use crate::{
    dsp::ParticipantId,
    http::{App, problem::Problem},
};
use std::collections::HashSet;

/// The id in place of a name.
pub(super) fn resolve(app: &App, recipient: &mut ParticipantId) -> Result<(), Problem> {
    *recipient = app.peers.recipient(recipient)?;
    Ok(())
}

/// The same of several; who is named twice, by name and id, is one.
pub(super) fn resolve_all(app: &App, recipients: &mut Vec<ParticipantId>) -> Result<(), Problem> {
    for recipient in recipients.iter_mut() {
        resolve(app, recipient)?;
    }
    let mut seen = HashSet::new();
    recipients.retain(|recipient| seen.insert(recipient.clone()));
    Ok(())
}
