//! How often something has happened lately: in memory alone, and at most so often for each key, so that it stays small.

use policy::Timestamp;
use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// When something happened within the last while, for each of those to whom it may happen so many times.
#[derive(Debug)]
pub struct Recent<K> {
    most: usize,
    within: Duration,
    times: Mutex<HashMap<K, Vec<Timestamp>>>,
}

impl<K: Eq + Hash> Recent<K> {
    /// At most `most` times `within` any such time.
    pub fn new(most: usize, within: Duration) -> Self {
        Self {
            most,
            within,
            times: Mutex::default(),
        }
    }

    /// What is recent at `now`. A clock that was set back makes nothing last longer.
    fn at(&self, now: Timestamp) -> MutexGuard<'_, HashMap<K, Vec<Timestamp>>> {
        let mut known = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        let is_recent = |time: &Timestamp| now.since(*time) < self.within && time.since(now) < self.within;
        known.retain(|_, times| {
            times.retain(is_recent);
            !times.is_empty()
        });
        known
    }

    /// Whether it may happen to `key` once more.
    pub fn has_room(&self, key: &K, now: Timestamp) -> bool {
        self.at(now).get(key).is_none_or(|times| times.len() < self.most)
    }

    /// Counts it once more for `key`, or says that it may not happen.
    pub fn take(&self, key: K, now: Timestamp) -> bool {
        let mut known = self.at(now);
        let times = known.entry(key).or_default();
        let has_room = times.len() < self.most;
        if has_room {
            times.push(now);
        }
        has_room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WITHIN: Duration = Duration::from_secs(60);

    #[test]
    fn something_happens_only_so_often_and_again_after_a_while() {
        let (recent, begun) = (Recent::new(3, WITHIN), Timestamp::from_seconds(1000));
        for later in 0..3 {
            assert!(recent.has_room(&"a", begun) && recent.take("a", begun.plus(Duration::from_secs(later))));
        }
        assert!(!recent.take("a", begun) && !recent.has_room(&"a", begun));
        assert!(recent.take("b", begun), "each by itself");
        let almost = begun.plus(WITHIN - Duration::from_secs(1));
        assert!(!recent.has_room(&"a", almost) && !recent.take("a", almost));
        assert!(recent.take("a", begun.plus(WITHIN)), "the first is over");
        assert!(!recent.take("a", begun.plus(WITHIN)), "and the second is not");
    }

    #[test]
    fn a_clock_set_back_by_more_than_the_while_keeps_nobody_out() {
        let (recent, begun) = (Recent::new(1, WITHIN), Timestamp::from_seconds(100_000));
        assert!(recent.take("a", begun));
        assert!(!recent.take("a", begun.minus(WITHIN - Duration::from_secs(1))));
        assert!(recent.take("a", begun.minus(WITHIN)));
    }

    #[test]
    fn what_is_over_is_forgotten() {
        let recent = Recent::new(1, WITHIN);
        for number in 0..100 {
            assert!(recent.take(number, Timestamp::from_seconds(i64::from(number) * 60)));
        }
        assert_eq!(recent.times.lock().unwrap().len(), 1);
    }
}
