//! What the holder of a consent was told of it by the intermediary that keeps it, and whether it has confirmed that. Until then an end holds at the
//! intermediary alone, and records may still leave.

use super::{
    decisions::Decision,
    message::{self, Content},
    notices::{Delivered, delivered},
};
use crate::{
    consent::{ConsentId, Stored, state::State},
    dsp::ParticipantId,
    process::{Outgoing, decode, encode, outbox::Outcome},
    store::{Batch, Store, StoreError, Table},
};
use policy::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What was told last of each consent, by its id.
const PASSED_ON: Table = Table(79);

/// What the holder of a consent was told last by the intermediary that keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PassedOn {
    /// The consent.
    pub consent: ConsentId,
    /// Who holds the records.
    pub holder: ParticipantId,
    /// Where it stands here, as the holder was told.
    pub state: State,
    /// When it was decided here.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// The number of the receipt that went with it.
    pub number: u32,
    /// Whether the holder has confirmed it. Until then what ended here may go on there.
    pub delivery: Delivered,
}

/// Adds to the commit of a decision that the holder is told of it.
pub(super) fn note(stored: &Stored, said: &Decision, at: Timestamp, batch: &mut Batch) -> Result<(), StoreError> {
    let passed = PassedOn {
        consent: said.consent.clone(),
        holder: stored.consent.holder.clone(),
        state: said.state,
        at,
        number: said.number,
        delivery: Delivered::Waiting,
    };
    batch.put(PASSED_ON, said.consent.as_str(), encode(&passed)?);
    Ok(())
}

/// What the holder of a consent was told of it.
pub(super) async fn of(store: &dyn Store, consent: &ConsentId) -> Result<Option<PassedOn>, StoreError> {
    let item = store.get(PASSED_ON, consent.as_str().as_bytes()).await?;
    item.map(|item| decode(&item.value)).transpose()
}

/// Adds to the commit that settles a message what is known of it from then on, if it is the newest about its consent.
pub(super) async fn settle(
    store: &dyn Store,
    sent: &Outgoing,
    outcome: &Outcome,
    batch: &mut Batch,
    now: Timestamp,
) -> Result<(), StoreError> {
    if sent.kind != Decision::TYPE {
        return Ok(());
    }
    let Ok(said) = message::read::<Decision>(sent.body.as_bytes()) else {
        return Ok(());
    };
    let id = said.content.consent.as_str();
    let Some(item) = store.get(PASSED_ON, id.as_bytes()).await? else {
        return Ok(());
    };
    let mut passed: PassedOn = decode(&item.value)?;
    // What is told twice is refused the second time, because it is known.
    let is_known = matches!(passed.delivery, Delivered::Acknowledged { .. });
    if passed.number == said.content.number && !is_known {
        passed.delivery = delivered(outcome, now);
        batch.replace(PASSED_ON, id, item.version, encode(&passed)?);
    }
    Ok(())
}

/// Adds to the removal of a consent that nothing is known any more of what its holder was told.
pub(in crate::consent) fn erase(consent: &ConsentId, batch: &mut Batch) {
    batch.delete(PASSED_ON, consent.as_str());
}
