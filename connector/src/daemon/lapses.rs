//! Wakes when a declared basis has ended or ends by its time, and has those told that received records on it. Once a day what was settled long
//! ago between connectors is forgotten.

use crate::{clock, consent::exchange::Exchange};
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// The wall clock can be set while nothing ends: it is looked at again after this time at the latest.
const LONGEST: Duration = Duration::from_secs(600);
/// After a failure.
const AGAIN: Duration = Duration::from_secs(5);

/// A table of all consents is read for it.
const SWEEP_EVERY: Duration = Duration::from_secs(24 * 3600);

/// Runs until it is told to stop.
pub(super) async fn run(exchange: Arc<Exchange>, stop: CancellationToken) {
    let lapses = exchange.lapses();
    loop {
        let told = tokio::select! {
            told = lapses.tell(clock::now()) => told,
            () = stop.cancelled() => return,
        };
        let wait = match told {
            Ok(next) => next.map_or(LONGEST, |end| end.since(clock::now()).min(LONGEST)),
            Err(error) => {
                tracing::error!(%error, "the end of a basis could not be told yet; it permits nothing all the same");
                AGAIN
            }
        };
        tokio::select! {
            // A millisecond more than none: ends are compared in milliseconds.
            () = tokio::time::sleep(wait + Duration::from_millis(1)) => {}
            () = lapses.changed() => {}
            () = stop.cancelled() => return,
        }
    }
}

/// Forgets what is long settled: first a while after the start, then once a day.
pub(super) async fn sweep(exchange: Arc<Exchange>, stop: CancellationToken) {
    let mut wait = LONGEST;
    loop {
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = stop.cancelled() => return,
        }
        wait = SWEEP_EVERY;
        match exchange.sweep(clock::now()).await {
            Ok(0) => {}
            Ok(swept) => tracing::info!(swept, "what was settled about consents long ago is forgotten"),
            Err(error) => tracing::warn!(%error, "what was settled about consents long ago could not be forgotten"),
        }
    }
}
