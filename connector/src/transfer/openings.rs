//! How often the stream of a transfer is opened. Each time puts entries into the audit log, which a receiver that asks and hangs up
//! without end would fill.

use super::TransferError;
use crate::dsp::Pid;
use policy::Timestamp;
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// So many times, within this time. Whoever takes a broken stream up again, waiting longer each time, stays far below.
const MOST: u32 = 120;
const WITHIN: Duration = Duration::from_secs(60);

/// When the count of a transfer began, and how far it is.
#[derive(Default)]
pub(super) struct Openings(Mutex<HashMap<Pid, (Timestamp, u32)>>);

impl Openings {
    /// Counts one more, or refuses it.
    pub(super) fn take(&self, pid: &Pid, now: Timestamp) -> Result<(), TransferError> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, (since, _)| now.since(*since) < WITHIN);
        let (_, count) = known.entry(pid.clone()).or_insert((now, 0));
        if *count >= MOST {
            return Err(TransferError::TooOften);
        }
        *count += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_opened_only_so_often_and_again_after_a_while() {
        let (openings, begun) = (Openings::default(), Timestamp::from_seconds(1000));
        let (pid, other) = ("urn:uuid:1".parse().unwrap(), "urn:uuid:2".parse().unwrap());
        for _ in 0..MOST {
            openings.take(&pid, begun).unwrap();
        }
        assert!(matches!(openings.take(&pid, begun), Err(TransferError::TooOften)));
        openings.take(&other, begun).unwrap();
        let almost = begun.plus(WITHIN - Duration::from_secs(1));
        assert!(openings.take(&pid, almost).is_err());
        openings.take(&pid, begun.plus(WITHIN)).unwrap();
    }
}
