//! Transfers with members of the governance authority: they run as long as the other party is one, and under the claims that it has.

use super::{TransferError, TransferRecord, Transfers};
use crate::{
    dsp::{ParticipantId, Pid, message::Explanation},
    jose::Digest,
    trust::{NotAMember, Party, Standings, TrustError, membership::held},
};
use policy::Timestamp;
use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, PoisonError},
};

/// Hashes over the claims under which streams were opened.
#[derive(Default)]
pub(super) struct Claims(Mutex<HashMap<Pid, Digest>>);

impl Claims {
    /// Notes what was verified about the consumer when a stream was opened; returns the hash over it.
    pub(super) fn note(&self, pid: &Pid, consumer: &Party) -> Digest {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let claims = held::digest(&consumer.claims);
        known.insert(pid.clone(), claims);
        claims
    }

    /// Whether they are others now; told once.
    fn changed(&self, pid: &Pid, consumer: &Party) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = known
            .get(pid)
            .is_some_and(|before| *before != held::digest(&consumer.claims));
        if changed {
            known.remove(pid);
        }
        changed
    }

    fn forget(&self, pid: &Pid) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(pid);
    }
}

impl Transfers {
    /// With whom something runs.
    pub async fn parties(&self) -> Result<HashSet<ParticipantId>, TransferError> {
        let records = self.list().await?.into_iter();
        let running = records.filter(|record| !record.core.position.is_terminal());
        Ok(running.map(|record| record.core.peer).collect())
    }

    /// Ends transfers with participants that are members no more; stops the streams of those whose membership cannot be established now,
    /// and of those whose claims have changed. What was only stopped is taken up again, and decided again, by who receives it.
    pub async fn keep_to(&self, standings: &Standings, now: Timestamp) -> Result<(), TransferError> {
        for record in self.list().await? {
            let (pid, peer) = (&record.core.pid, &record.core.peer);
            if record.core.position.is_terminal() {
                self.claims.forget(pid);
                self.halt(&record);
                continue;
            }
            match standings.get(peer) {
                Some(Ok(())) if self.claims.changed(pid, &self.parts.trust.party(peer, now)) => {
                    tracing::info!(%pid, %peer, "its claims have changed; the stream is opened again");
                    self.halt(&record);
                }
                // Who could not be asked now, because strangers take all turns, loses nothing by that.
                Some(Ok(()) | Err(TrustError::NotAMember(NotAMember::Busy))) | None => {}
                Some(Err(TrustError::NotAMember(why))) if why.is_final() => self.end(&record, why, now).await,
                Some(Err(_)) => self.halt(&record),
            }
        }
        Ok(())
    }

    async fn end(&self, record: &TransferRecord, why: &NotAMember, now: Timestamp) {
        self.halt(record);
        let (pid, peer) = (&record.core.pid, &record.core.peer);
        let reason = Explanation::new("not-a-member", why.to_string());
        match self.terminate(pid, reason, now).await {
            Ok(_) => tracing::warn!(%pid, %peer, reason = %why, "terminated: the other party is a member no more"),
            // It is being ended already, or the peer has not named its process yet: nothing flows either way.
            Err(error) => tracing::debug!(%pid, %peer, %error, "not terminated"),
        }
    }
}
