//! How long a residual stays the same: on the clock, over the transfers of an agreement, and while streams are open.

use super::{Question, Residual};
use crate::{
    facts::{Consumer, Moment},
    timestamp::Timestamp,
};
use std::time::Duration;

/// Where what is permitted stays what it is now. `None` has no end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    /// First millisecond.
    pub(crate) from: Option<Timestamp>,
    /// Last millisecond.
    pub(crate) until: Option<Timestamp>,
    /// How long streams may still be open.
    pub(crate) metered_left: Option<Duration>,
    /// The last transfer of the agreement, counted from its first.
    pub(crate) last_transfer: Option<u64>,
}

/// The search for a window: a block of moments that grows along one axis after the other, as long as all of it permits the same. So the axes
/// may be used independently of each other.
struct Search<'s, 'a> {
    question: &'s Question<'a>,
    consumer: Consumer<'s>,
    residual: &'s Residual,
    /// How many more times the grid may be worked out. When the work limit ends the search early, the window is narrower than it could be,
    /// never wider.
    steps: usize,
    /// One moment for each part of the block in which no comparison changes.
    block: Vec<Moment>,
}

impl Search<'_, '_> {
    fn same_at(&mut self, moment: Moment) -> bool {
        self.steps = self.steps.saturating_sub(1);
        self.steps > 0
            && self
                .question
                .residual(moment, self.consumer)
                .is_ok_and(|other| other.key() == self.residual.key())
    }

    /// Adds parts to the block, one for each of `places`; returns the first place at which something else is permitted.
    fn grow(&mut self, places: impl Iterator<Item = i64>, moved: fn(Moment, i64) -> Moment) -> Option<i64> {
        let side = self.block.clone();
        for place in places {
            let mut part: Vec<Moment> = side.iter().map(|moment| moved(*moment, place)).collect();
            part.dedup();
            if !part.iter().all(|moment| self.same_at(*moment)) {
                return Some(place);
            }
            self.block.extend(part);
        }
        None
    }
}

impl Question<'_> {
    /// The longest time around a moment in which `residual` stays the same, and how much more may be used meanwhile.
    pub(crate) fn window(&self, moment: Moment, consumer: Consumer<'_>, residual: &Residual) -> Window {
        let mut search = Search {
            question: self,
            consumer,
            residual,
            steps: self.steps,
            block: vec![moment],
        };
        let at = |moment: Moment, now| Moment { now, ..moment };
        let until = search.grow(self.instants_from(moment.now).skip(1), at);
        let earlier = self.instants.range(..=moment.now).rev();
        let from = search.grow(earlier.map(|bound| bound.saturating_sub(1)), at);
        let metered_left = moment.metered.and_then(|metered| {
            let later = self.open_times.range(metered.saturating_add(1)..).copied();
            let end = search.grow(later, |moment, reading| Moment {
                metered: Some(reading),
                ..moment
            })?;
            let left = end.saturating_sub(metered).saturating_sub(1);
            Some(Duration::from_millis(u64::try_from(left).unwrap_or(0)))
        });
        let last_transfer = moment.transfer.and_then(|transfer| {
            let later = self.transfers.range(transfer.saturating_add(1)..).copied();
            let end = search.grow(later, |moment, reading| Moment {
                transfer: Some(reading),
                ..moment
            })?;
            u64::try_from(end.saturating_sub(1)).ok()
        });
        Window {
            from: from.map(|before| Timestamp::from_millis(before.saturating_add(1))),
            until: until.map(|bound| Timestamp::from_millis(bound.saturating_sub(1))),
            metered_left,
            last_transfer,
        }
    }
}
