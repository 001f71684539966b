//! Doing what queues ask for: one task for each process at a time, so that a slow one holds up no other.

use super::{Protocol, Queue};
use crate::dsp::Pid;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The processes that are worked on now, each with whether it was woken meanwhile.
type Busy = Arc<Mutex<HashMap<Pid, bool>>>;

/// Works on every process that `queue` names until `stop`, and returns when all that was begun has ended. A process is worked on again
/// when it was woken meanwhile, and when its work says so.
pub async fn follow<W: Future<Output = bool> + Send + 'static>(
    queue: &Arc<Queue>,
    stop: &CancellationToken,
    work: impl Fn(Protocol, Pid) -> W,
) {
    let (busy, tracker) = (Busy::default(), TaskTracker::new());
    loop {
        let woken = tokio::select! {
            woken = queue.take() => woken,
            () = stop.cancelled() => break,
        };
        for (protocol, pid) in woken {
            if is_busy(&busy, &pid) {
                continue;
            }
            let (work, busy, queue) = (work(protocol, pid.clone()), busy.clone(), queue.clone());
            tracker.spawn(async move {
                // A panic ends this attempt and leaves the process free for the next.
                let again = tokio::spawn(work).await.unwrap_or(false);
                let woken = busy.lock().unwrap_or_else(PoisonError::into_inner).remove(&pid);
                if again || woken == Some(true) {
                    queue.wake(protocol, &pid);
                }
            });
        }
    }
    tracker.close();
    tracker.wait().await;
}

/// Takes the process up, or notes that it was woken while it is worked on.
fn is_busy(busy: &Busy, pid: &Pid) -> bool {
    let mut busy = busy.lock().unwrap_or_else(PoisonError::into_inner);
    let known = busy.contains_key(pid);
    busy.insert(pid.clone(), known);
    known
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{future::pending, time::Duration};
    use tokio::sync::mpsc;

    fn pid(name: &str) -> Pid {
        name.parse().unwrap()
    }

    async fn next(heard: &mut mpsc::UnboundedReceiver<Pid>) -> Pid {
        let heard = tokio::time::timeout(Duration::from_secs(10), heard.recv());
        heard.await.expect("in time").expect("it is followed")
    }

    #[tokio::test]
    async fn one_that_never_ends_holds_up_no_other_and_none_is_worked_on_twice_at_once() {
        let (queue, stop) = (Arc::<Queue>::default(), CancellationToken::new());
        let (told, mut heard) = mpsc::unbounded_channel();
        let dead: Vec<Pid> = (0..100).map(|n| pid(&format!("dead:{n}"))).collect();
        dead.iter().for_each(|pid| queue.wake(Protocol::Transfer, pid));
        let work = |_, pid: Pid| {
            let told = told.clone();
            async move {
                told.send(pid).unwrap();
                pending().await
            }
        };
        let listened = async {
            let mut all = Vec::new();
            while all.len() < dead.len() {
                all.push(next(&mut heard).await);
            }
            all.sort();
            all.dedup();
            assert_eq!(all.len(), dead.len());
            queue.wake(Protocol::Transfer, &dead[1]);
            queue.wake(Protocol::Transfer, &pid("late"));
            assert_eq!(next(&mut heard).await, pid("late"));
        };
        tokio::select! {
            () = follow(&queue, &stop, work) => panic!("it follows until it is told to stop"),
            () = listened => {}
        }
    }

    #[tokio::test]
    async fn what_is_woken_while_it_is_worked_on_and_what_asks_for_it_is_worked_on_again() {
        let (queue, stop) = (Arc::<Queue>::default(), CancellationToken::new());
        let (told, mut heard) = mpsc::unbounded_channel();
        let go = Arc::new(tokio::sync::Notify::new());
        queue.wake(Protocol::Transfer, &pid("a"));
        let work = |_, pid: Pid| {
            let (told, go, stop) = (told.clone(), go.clone(), stop.clone());
            async move {
                told.send(pid.clone()).unwrap();
                if pid.as_str() != "b" {
                    tokio::select! {
                        () = go.notified() => {}
                        () = stop.cancelled() => {}
                    }
                }
                pid.as_str() == "c"
            }
        };
        let listened = async {
            assert_eq!(next(&mut heard).await, pid("a"));
            // Taken in this order: when `b` is heard of, `a` is known to have been woken again.
            queue.wake(Protocol::Transfer, &pid("a"));
            queue.wake(Protocol::Transfer, &pid("b"));
            assert_eq!(next(&mut heard).await, pid("b"));
            go.notify_one();
            assert_eq!(next(&mut heard).await, pid("a"), "it was woken meanwhile");
            go.notify_one();
            queue.wake(Protocol::Transfer, &pid("c"));
            for _ in 0..3 {
                assert_eq!(next(&mut heard).await, pid("c"), "its work asks for it");
                go.notify_one();
            }
            stop.cancel();
        };
        tokio::join!(follow(&queue, &stop, work), listened);
    }
}
