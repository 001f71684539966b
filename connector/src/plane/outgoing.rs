//! The body of a data response: decided chunks pass the consent gate one by one as TLS asks for them. Bounded: at most two chunks
//! and one piece wait. Before a chunk passes, what it does for the first time is written down: learners that this recipient had no record of, uses
//! of consents that are limited to a number of transfers, a total of what was withheld.

use super::{
    PlaneError,
    notes::note,
    pipeline::{Chunk, Decider, Framing, Piece, Pipeline, Release, Rules, Sealer, State},
};
use crate::{
    consent::{Gate, Index},
    dsp::Pid,
    jose::Digest,
};
use bytes::Bytes;
use http_body::{Body, Frame};
use std::{
    num::NonZero,
    pin::Pin,
    sync::{
        Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError,
        mpsc::{Receiver, SyncSender},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    runtime::Handle,
    sync::{Semaphore, mpsc, oneshot},
    task::JoinHandle,
    time::{Instant, Sleep},
};

/// How a stream ended.
#[derive(Clone, Debug)]
pub struct Report {
    /// Number of the last record that was handed to TLS, since the transfer's first stream.
    pub sent: u64,
    /// What was withheld so far.
    pub release: Release,
    /// The root over the record lines.
    pub root: Digest,
    /// The end line was handed over.
    pub complete: bool,
    /// The signed lines that this stream began and ended with, as far as they were handed over.
    pub framing: Framing,
}

/// Where the producer has to go on from after a change of epoch.
struct Restart {
    generation: u64,
    state: State,
    begun: bool,
}

/// How the body sends the producer back. The producer sleeps here once it has nothing more to do.
#[derive(Default)]
struct Slot {
    wanted: Mutex<(Option<Restart>, bool)>,
    changed: Condvar,
}

impl Slot {
    fn lock(&self) -> MutexGuard<'_, (Option<Restart>, bool)> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask(&self, restart: Restart) {
        self.lock().0 = Some(restart);
        self.changed.notify_one();
    }

    fn close(&self) {
        self.lock().1 = true;
        self.changed.notify_one();
    }

    /// Waits until the producer is sent back (`true`) or no longer needed (`false`).
    fn wait(&self) -> bool {
        let slot = self
            .changed
            .wait_while(self.lock(), |(wanted, closed)| wanted.is_none() && !*closed);
        slot.unwrap_or_else(PoisonError::into_inner).0.is_some()
    }
}

/// A chunk of which something is being noted, on a task of its own: a body has to be `Sync`. None where it does not stand and is decided again.
type Noting = JoinHandle<Result<Option<Chunk>, PlaneError>>;

/// The body of one data response.
pub struct Outgoing {
    transfer: Pid,
    index: Arc<Index>,
    gate: Arc<Gate>,
    chunks: mpsc::Receiver<(u64, Result<Chunk, PlaneError>)>,
    restart: Arc<Slot>,
    rules: Arc<Rules>,
    /// The chunk of which something is being noted.
    noting: Option<Noting>,
    generation: u64,
    passed: State,
    begun: bool,
    framing: Framing,
    done: bool,
    report: Option<oneshot::Sender<Report>>,
    pace: Option<Pace>,
}

/// Spreads a stream over time, so that it leaves room for others on a narrow line.
struct Pace {
    bytes_per_second: u64,
    next: Pin<Box<Sleep>>,
}

impl Pace {
    fn new(bytes_per_second: u64) -> Option<Self> {
        (bytes_per_second > 0).then(|| Self {
            bytes_per_second,
            next: Box::pin(tokio::time::sleep(Duration::ZERO)),
        })
    }

    fn spent(&mut self, bytes: usize) {
        let nanos = (bytes as u64).saturating_mul(1_000_000_000) / self.bytes_per_second;
        let next = Instant::now() + Duration::from_nanos(nanos);
        self.next.as_mut().reset(next);
    }
}

/// So many pieces are decided or sealed at the same time, over all streams, for each core: some wait for the disk, or for a key that a program keeps.
const PIECES_PER_CORE: usize = 4;
/// Each stream has two threads. A thousand streams that all decide again would keep whoever waits for the acknowledgement of a withdrawal from the
/// cores.
static PIECES: LazyLock<Semaphore> = LazyLock::new(|| {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    Semaphore::new(cores * PIECES_PER_CORE)
});

/// Works on a piece, in the order in which threads ask for it.
fn in_turn<T>(handle: &Handle, work: impl FnOnce() -> T) -> T {
    // It is never closed; without a permit the work would be done all the same.
    let _permit = handle.block_on(PIECES.acquire());
    work()
}

/// Starts the two stages of the producer on blocking threads and returns the body, and what will be known at its end.
/// `bytes_per_second` of 0 is no limit.
pub fn start(
    transfer: Pid,
    index: Arc<Index>,
    gate: Arc<Gate>,
    pipeline: Pipeline,
    bytes_per_second: u64,
) -> (Outgoing, oneshot::Receiver<Report>) {
    let (sender, chunks) = mpsc::channel(2);
    let restart = Arc::new(Slot::default());
    let (report, reported) = oneshot::channel();
    let passed = pipeline.state().clone();
    let rules = pipeline.rules().clone();
    index.enter(&transfer, gate.clone());
    let body = Outgoing {
        transfer,
        index,
        gate,
        chunks,
        restart: restart.clone(),
        rules,
        noting: None,
        generation: 0,
        passed,
        begun: false,
        framing: Framing::default(),
        done: false,
        report: Some(report),
        pace: Pace::new(bytes_per_second),
    };
    let Pipeline { decider, sealer } = pipeline;
    let (pieces, decided) = std::sync::mpsc::sync_channel(1);
    let handle = Handle::current();
    let of_sealer = handle.clone();
    tokio::task::spawn_blocking(move || decide(decider, &pieces, &restart, &handle));
    tokio::task::spawn_blocking(move || seal(sealer, &decided, &sender, &of_sealer));
    (body, reported)
}

/// A decided piece, and the order to go back that came before it, if there was one.
type Decided = (Option<Restart>, Result<Piece, PlaneError>);

fn decide(mut decider: Decider, pieces: &SyncSender<Decided>, restart: &Slot, handle: &Handle) {
    loop {
        let wanted = restart.lock().0.take();
        let piece = in_turn(handle, || {
            let ready = wanted.as_ref().map_or(Ok(()), |wanted| decider.rewind(&wanted.state));
            ready.and_then(|()| decider.piece())
        });
        let over = piece.as_ref().map_or(true, Piece::is_last);
        if pieces.send((wanted, piece)).is_err() {
            return;
        }
        // The epoch may still change before the end line has passed.
        if over && !restart.wait() {
            return;
        }
    }
}

fn seal(
    mut sealer: Sealer,
    pieces: &Receiver<Decided>,
    chunks: &mpsc::Sender<(u64, Result<Chunk, PlaneError>)>,
    handle: &Handle,
) {
    let mut generation = 0;
    while let Ok((restart, piece)) = pieces.recv() {
        if let Some(restart) = restart {
            generation = restart.generation;
            sealer.rewind(restart.state, restart.begun);
        }
        let chunk = piece.and_then(|piece| in_turn(handle, || sealer.seal(piece)));
        if chunks.blocking_send((generation, chunk)).is_err() {
            return;
        }
    }
}

impl Outgoing {
    fn finish(&mut self, complete: bool) {
        self.done = true;
        self.chunks.close();
        self.restart.close();
        self.index.leave(&self.transfer, &self.gate);
        if let Some(report) = self.report.take() {
            let state = &self.passed;
            // Nobody waiting for the report is no error.
            let _ = report.send(Report {
                sent: state.sent,
                release: state.release.clone(),
                root: state.frontier.root(),
                complete,
                framing: std::mem::take(&mut self.framing),
            });
        }
    }

    /// The next chunk of which everything is noted that must be; none when there are no more.
    fn poll_noted(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Chunk, PlaneError>>> {
        loop {
            if let Some(noting) = &mut self.noting {
                let noted = std::task::ready!(Pin::new(noting).poll(cx));
                self.noting = None;
                match noted.unwrap_or(Err(PlaneError::Incomplete)).transpose() {
                    Some(noted) => return Poll::Ready(Some(noted)),
                    None => self.decide_again(),
                }
            }
            if let Some(pace) = &mut self.pace {
                std::task::ready!(pace.next.as_mut().poll(cx));
            }
            let Some((generation, chunk)) = std::task::ready!(self.chunks.poll_recv(cx)) else {
                return Poll::Ready(None);
            };
            if generation != self.generation {
                continue;
            }
            match chunk {
                // What is decided again anyway leaves no trace.
                Ok(chunk) if !chunk.notes.is_empty() && chunk.epoch == self.index.epoch() => {
                    let rules = self.rules.clone();
                    self.noting = Some(tokio::spawn(async move {
                        let stands = note(&rules, &chunk.notes).await?;
                        Ok(stands.then_some(chunk))
                    }));
                }
                chunk => return Poll::Ready(Some(chunk)),
            }
        }
    }

    /// Sends the producer back to what has passed.
    fn decide_again(&mut self) {
        self.generation += 1;
        self.restart.ask(Restart {
            generation: self.generation,
            state: self.passed.clone(),
            begun: self.begun,
        });
    }

    /// Lets the chunk through, or has it decided again.
    fn pass(&mut self, chunk: Chunk) -> Result<Option<Bytes>, PlaneError> {
        match self.gate.pass(&self.index, chunk.epoch, chunk.after.sent) {
            Err(_) => Err(PlaneError::Stopped),
            Ok(Err(_)) => {
                self.decide_again();
                Ok(None)
            }
            Ok(Ok(())) => {
                self.passed = chunk.after;
                self.begun = true;
                self.framing.begin = chunk.framing.begin.or_else(|| self.framing.begin.take());
                self.framing.end = chunk.framing.end;
                if chunk.last {
                    self.finish(true);
                }
                Ok(Some(chunk.bytes))
            }
        }
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = PlaneError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, PlaneError>>> {
        loop {
            if self.done {
                return Poll::Ready(None);
            }
            let Poll::Ready(next) = self.poll_noted(cx) else {
                self.gate.wait();
                return Poll::Pending;
            };
            let Some(chunk) = next else {
                self.finish(false);
                return Poll::Ready(Some(Err(PlaneError::Incomplete)));
            };
            match chunk.and_then(|chunk| self.pass(chunk)) {
                // Everything of this piece was withheld.
                Ok(Some(bytes)) if bytes.is_empty() => {}
                Ok(Some(bytes)) => {
                    if let Some(pace) = &mut self.pace {
                        pace.spent(bytes.len());
                    }
                    return Poll::Ready(Some(Ok(Frame::data(bytes))));
                }
                Ok(None) => {}
                Err(error) => {
                    self.finish(false);
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        if !self.done {
            self.finish(false);
        }
    }
}
