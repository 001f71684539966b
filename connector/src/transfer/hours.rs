//! Streams end when their time is over: at the end of what the plan permits, and when the open time that the agreement allows is used up. By
//! a timer of each stream, so that one that waits for its receiver ends as well; what is decided per chunk does not depend on it.

use super::{TransferError, Transfers, question::Wanted, refused::disclosed, usage::Limits};
use crate::{
    catalog::ReleaseSpec,
    consent::Gate,
    dsp::{AgreementId, Pid, Role},
};
use policy::{Action, Decision, Stage, Timestamp};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// The wall clock is looked at this often at least: it may be set while a stream waits.
const LOOK: Duration = Duration::from_secs(5);

/// What one stream may use.
pub(super) struct Hours {
    pub(super) pid: Pid,
    pub(super) format: String,
    pub(super) agreement: AgreementId,
    /// The last millisecond in which the plan permits it.
    pub(super) until: Option<Timestamp>,
    pub(super) limits: Limits,
    /// The open time that is reserved.
    pub(super) piece: Option<Duration>,
}

impl Hours {
    /// What is asked about when this stream is over: it has its place in the count.
    fn wanted(&self) -> Wanted<'_> {
        Wanted {
            pid: &self.pid,
            format: &self.format,
            again: false,
        }
    }
}

impl Transfers {
    /// Watches a stream until it has `ended`, closes its gate when its time is over, and gives back the open time that it did not use.
    pub(super) async fn watch(self: Arc<Self>, hours: Hours, gate: Arc<Gate>, ended: impl Future<Output = ()>) {
        let begun = Instant::now();
        // Once for the whole stream: what has gone by counts from its beginning, however often open time is reserved anew.
        let over_for_good = passed(hours.until, self.parts.clock);
        tokio::pin!(ended, over_for_good);
        let mut reserved = hours.piece;
        loop {
            let over = async {
                match reserved {
                    Some(reserved) => tokio::time::sleep_until(begun + reserved).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = &mut ended => break,
                () = &mut over_for_good => {
                    gate.close();
                    self.end_of_time(&hours).await;
                    break;
                }
                () = over => match self.longer(&hours).await {
                    Some(piece) => reserved = reserved.map(|reserved| reserved + piece),
                    None => {
                        gate.close();
                        self.end_of_time(&hours).await;
                        break;
                    }
                },
            }
        }
        let unused = reserved.map(|reserved| reserved.saturating_sub(begun.elapsed()));
        if let Some(unused) = unused.filter(|unused| !unused.is_zero())
            && let Err(error) = self.usage.give_back(&hours.agreement, unused).await
        {
            tracing::error!(pid = %hours.pid, %error, "open time that was not used could not be given back");
        }
    }

    async fn longer(&self, hours: &Hours) -> Option<Duration> {
        self.usage.go_on(&hours.agreement, hours.limits.open?).await.ok()
    }

    /// A transfer that its agreement will never permit again is terminated; one that it may permit later only has no stream.
    async fn end_of_time(&self, hours: &Hours) {
        let now = (self.parts.clock)();
        let pid = &hours.pid;
        match self.permits_later(hours.wanted(), &hours.agreement, now).await {
            Ok(Decision::Permit { .. }) => {
                tracing::info!(%pid, "the stream was stopped; the agreement does not permit it now")
            }
            Ok(Decision::Deny(reasons)) => match self.terminate(pid, disclosed(&reasons), now).await {
                Ok(_) => {
                    let why = crate::catalog::list(&reasons);
                    tracing::info!(%pid, why, "terminated: the agreement permits no more")
                }
                Err(error) => tracing::debug!(%pid, %error, "not terminated"),
            },
            Err(error) => {
                tracing::warn!(%pid, %error, "whether the agreement permits more is not known; the stream stays stopped")
            }
        }
    }

    /// Whether an agreement permits what its transfers carry, now or at any time to come.
    pub(super) async fn permits_later(
        &self,
        wanted: Wanted<'_>,
        agreement: &AgreementId,
        now: Timestamp,
    ) -> Result<Decision, TransferError> {
        let stored = self.agreement(agreement, Role::Provider).await?;
        let mut asked = self.question(wanted, &stored, now).await?;
        // Without a release only records are carried: groups alone open nothing.
        asked.facts.action = asked.release.as_ref().map_or(Action::Use, ReleaseSpec::action);
        Ok(asked.policy.decide(Stage::Negotiation, &asked.facts))
    }
}

/// Returns when the clock has passed `until`, or as much time as that would take has gone by: a clock that is set back keeps no stream open.
async fn passed(until: Option<Timestamp>, clock: fn() -> Timestamp) {
    let Some(until) = until else {
        return std::future::pending().await;
    };
    let end = Instant::now() + until.since(clock()) + Duration::from_millis(1);
    while clock() <= until && Instant::now() < end {
        let left = until.since(clock()) + Duration::from_millis(1);
        tokio::time::sleep_until(end.min(Instant::now() + left.min(LOOK))).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicI64, Ordering};

    static SET: AtomicI64 = AtomicI64::new(1_000_000);

    fn set() -> Timestamp {
        Timestamp::from_millis(SET.load(Ordering::SeqCst))
    }

    #[tokio::test]
    async fn a_clock_that_is_set_neither_prolongs_the_time_nor_hides_its_end() {
        // It stands still: the time ends when it has gone by.
        let begun = Instant::now();
        passed(Some(Timestamp::from_millis(1_000_300)), set).await;
        assert!(begun.elapsed() >= Duration::from_millis(300));
        // It is set forward: there is nothing to wait for at the next look, far before the time has gone by.
        let waiting = tokio::spawn(passed(Some(Timestamp::from_millis(2_000_000)), set));
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(!waiting.is_finished());
        SET.store(3_000_000, Ordering::SeqCst);
        tokio::time::timeout(LOOK * 2, waiting).await.unwrap().unwrap();
        // It is past already.
        passed(Some(Timestamp::from_millis(2_999_999)), set).await;
    }
}
