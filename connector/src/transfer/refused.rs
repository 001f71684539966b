//! What an agreement's policy refuses stands in the audit log, with the codes of the reasons and the nodes of the policy (policy.md §6.6). Decides
//! nothing. An agreement that is used up can be asked for without end: so many refusals of it are recorded in a while, and the rest counted.

use super::{TransferError, Transfers};
use crate::{
    audit::{Entry, Kind as Recorded},
    dsp::{AgreementId, ParticipantId, Pid, message::Explanation},
    process::{ProcessError, Verdict},
    store::{Batch, StoreError},
    trust::Spent,
};
use policy::{Code, Reason, Timestamp};
use serde_json::json;
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// So many refusals of one agreement are recorded within this time.
const MOST: u32 = 30;
const WITHIN: Duration = Duration::from_secs(60);

/// Who asked for what.
pub(super) struct Asking<'a> {
    pub(super) peer: &'a ParticipantId,
    pub(super) agreement: &'a AgreementId,
    /// The transfer, if there is one already.
    pub(super) process: Option<&'a Pid>,
    /// The id of the message that is refused, if it is good for no other use.
    pub(super) spent: Option<&'a Spent>,
}

/// The refusals of one agreement since a moment.
struct Window {
    since: Timestamp,
    recorded: u32,
    left_out: u64,
}

/// How many refusals of each agreement were recorded of late, and how many were not.
#[derive(Default)]
pub(super) struct Refusals(Mutex<HashMap<AgreementId, Window>>);

impl Refusals {
    /// Counts one more. If it is to be recorded, how many were left out before it.
    fn take(&self, agreement: &AgreementId, now: Timestamp) -> Option<u64> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, window| window.left_out > 0 || now.since(window.since) < WITHIN);
        let window = known.entry(agreement.clone()).or_insert(Window {
            since: now,
            recorded: 0,
            left_out: 0,
        });
        if now.since(window.since) >= WITHIN {
            (window.since, window.recorded) = (now, 0);
        }
        if window.recorded >= MOST {
            window.left_out += 1;
            return None;
        }
        window.recorded += 1;
        Some(std::mem::take(&mut window.left_out))
    }
}

/// What the other side is told of a refusal.
pub(super) fn disclosed(reasons: &[Reason]) -> Explanation {
    let code = reasons.first().map_or(Code::OutsideTime, |reason| reason.code);
    Explanation::of(code.to_string(), reasons.iter().map(Reason::disclosed))
}

impl Transfers {
    /// Records a refusal if a policy made it. Returns it, or why it could not be recorded.
    pub(super) async fn refused(&self, asked: Asking<'_>, error: TransferError, now: Timestamp) -> TransferError {
        match self.record_refusal(asked, &error.reasons(), now).await {
            Ok(()) => error,
            Err(failed) => failed,
        }
    }

    /// Records a refusal for these reasons, and spends the id of what is refused in the same commit; one without reasons was made by no policy.
    pub(super) async fn record_refusal(
        &self,
        asked: Asking<'_>,
        reasons: &[Reason],
        now: Timestamp,
    ) -> Result<(), TransferError> {
        let Some(first) = reasons.first() else { return Ok(()) };
        let entry = Entry::new(Recorded::TransferRefused)
            .with("peer", asked.peer.as_str())
            .with("agreement", asked.agreement.as_str())
            .with("code", first.code.as_str())
            .with(
                "reasons",
                json!(reasons.iter().map(Reason::disclosed).collect::<Vec<_>>()),
            );
        let entry = match asked.process {
            Some(pid) => entry.with("process", pid.as_str()),
            None => entry,
        };
        let mut batch = Batch::new();
        let spent = asked.spent.and_then(|spent| spent.burn(&mut batch));
        let log = &self.parts.log;
        let committed = match self.refusals.take(asked.agreement, now) {
            Some(0) => log.commit(batch, entry, Vec::new(), now).await,
            Some(left_out) => {
                log.commit(batch, entry.with("leftOut", left_out), Vec::new(), now)
                    .await
            }
            None if spent.is_some() => log.store().commit(batch).await,
            None => return Ok(()),
        };
        match committed {
            Ok(_) => Ok(()),
            Err(StoreError::Conflict { guard }) if Some(guard) == spent => Err(ProcessError::Replayed.into()),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_refusals_of_an_agreement_are_recorded_and_the_rest_is_counted() {
        let (refusals, begun) = (Refusals::default(), Timestamp::from_seconds(1000));
        let (one, other) = ("urn:uuid:1".parse().unwrap(), "urn:uuid:2".parse().unwrap());
        for _ in 0..MOST {
            assert_eq!(refusals.take(&one, begun), Some(0));
        }
        assert_eq!(refusals.take(&one, begun), None);
        assert_eq!(refusals.take(&one, begun.plus(WITHIN - Duration::from_secs(1))), None);
        assert_eq!(refusals.take(&other, begun), Some(0));
        assert_eq!(refusals.take(&one, begun.plus(WITHIN)), Some(2));
        assert_eq!(refusals.take(&one, begun.plus(WITHIN)), Some(0));
    }
}
