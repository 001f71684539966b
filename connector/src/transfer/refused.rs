//! What an agreement's policy refuses stands in the audit log, with the codes of the reasons and the nodes of the policy (policy.md §6.6). Decides
//! nothing.

use super::{TransferError, Transfers};
use crate::{
    audit::{Entry, Kind as Recorded},
    dsp::{AgreementId, ParticipantId, Pid, message::Explanation},
    process::Verdict,
    store::Batch,
};
use policy::{Code, Reason, Timestamp};
use serde_json::json;

/// Who asked for what.
pub(super) struct Asking<'a> {
    pub(super) peer: &'a ParticipantId,
    pub(super) agreement: &'a AgreementId,
    /// The transfer, if there is one already.
    pub(super) process: Option<&'a Pid>,
}

/// What the other side is told of a refusal.
pub(super) fn disclosed(reasons: &[Reason]) -> Explanation {
    let code = reasons.first().map_or(Code::OutsideTime, |reason| reason.code);
    Explanation {
        code: Some(code.to_string()),
        reasons: reasons.iter().map(Reason::disclosed).collect(),
    }
}

impl Transfers {
    /// Records a refusal if a policy made it. Returns it, or why it could not be recorded.
    pub(super) async fn refused(&self, asked: Asking<'_>, error: TransferError, now: Timestamp) -> TransferError {
        match self.record_refusal(asked, &error.reasons(), now).await {
            Ok(()) => error,
            Err(failed) => failed,
        }
    }

    /// Records a refusal for these reasons; one without any was made by no policy.
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
        self.parts.log.commit(Batch::new(), entry, Vec::new(), now).await?;
        Ok(())
    }
}
