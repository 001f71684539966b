//! Wakes when the next consent ends, and has its end recorded. After a long sleep of the machine or the daemon it catches up.

use crate::{clock, consent::Consents};
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// The wall clock can be set while nothing ends: it is looked at again after this time at the latest.
const LONGEST: Duration = Duration::from_secs(600);
/// After a failure.
const AGAIN: Duration = Duration::from_secs(5);

/// Runs until it is told to stop.
pub(super) async fn run(consents: Arc<Consents>, stop: CancellationToken) {
    loop {
        let wait = match consents.expire(clock::now).await {
            Ok(ended) => {
                if ended > 0 {
                    tracing::info!(ended, "consents have ended by their time");
                }
                consents
                    .next_end()
                    .map_or(LONGEST, |end| end.since(clock::now()).min(LONGEST))
            }
            Err(error) => {
                tracing::error!(%error, "the end of a consent could not be recorded; it permits nothing all the same");
                AGAIN
            }
        };
        tokio::select! {
            // A millisecond more than none: ends are compared in milliseconds.
            () = tokio::time::sleep(wait + Duration::from_millis(1)) => {}
            () = consents.ends_changed() => {}
            () = stop.cancelled() => return,
        }
    }
}
