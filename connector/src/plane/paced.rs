//! A body that notes how its reader moves, and the watch that cuts a reader who takes nothing any more.

use http_body::{Body, Frame};
use std::{
    pin::Pin,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio_util::sync::CancellationToken;

/// A body under watch.
pub struct Paced<B> {
    body: B,
    pace: Arc<Pace>,
}

/// How a stream moves.
#[derive(Default)]
struct Pace {
    /// How often more was asked for.
    asked: AtomicU64,
    /// What was asked for was given: the next move is the reader's.
    given: AtomicBool,
}

impl<B> Paced<B> {
    /// Watches `body`: `reset` is cancelled when its reader takes nothing for as long as `longest`. Whoever holds all streams and reads
    /// none would keep out the others; it can take the stream up again with its cursor.
    pub fn new(body: B, longest: Duration, reset: CancellationToken) -> Self {
        let pace = Arc::new(Pace::default());
        tokio::spawn(cut_when_stalled(Arc::downgrade(&pace), longest, reset));
        Self { body, pace }
    }
}

async fn cut_when_stalled(pace: Weak<Pace>, longest: Duration, reset: CancellationToken) {
    let mut before = None;
    loop {
        tokio::time::sleep(longest).await;
        let Some(pace) = pace.upgrade() else { return };
        let asked = pace.asked.load(Ordering::Relaxed);
        if pace.given.load(Ordering::Relaxed) && before == Some(asked) {
            tracing::info!("a stream was cut because nobody read it");
            reset.cancel();
            return;
        }
        before = Some(asked);
    }
}

impl<B: Body + Unpin> Body for Paced<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        self.pace.asked.fetch_add(1, Ordering::Relaxed);
        self.pace.given.store(polled.is_ready(), Ordering::Relaxed);
        polled
    }
}
