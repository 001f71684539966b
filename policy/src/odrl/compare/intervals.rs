//! Sets of points on one line, as sorted intervals with exact open and closed ends. The line is dense: between two whole keys there is always
//! something. What a key stands for (a number, an instant, a length of time) is not known here.

/// A place between points: just before `at`, or just after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cut {
    at: i128,
    after: bool,
}

impl Cut {
    const START: Self = Self::before(i128::MIN);
    const END: Self = Self::after(i128::MAX);

    pub(super) const fn before(at: i128) -> Self {
        Self { at, after: false }
    }

    pub(super) const fn after(at: i128) -> Self {
        Self { at, after: true }
    }

    /// On the same side of another point.
    pub(super) const fn at(self, at: i128) -> Self {
        Self { at, after: self.after }
    }
}

/// What lies between two cuts, the first before the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Span {
    low: Cut,
    high: Cut,
}

/// Spans in order, with a gap between any two.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Intervals(Vec<Span>);

impl Intervals {
    /// Everything between two cuts; nothing when they are in the wrong order.
    pub(super) fn between(low: Cut, high: Cut) -> Self {
        Self((low < high).then_some(Span { low, high }).into_iter().collect())
    }

    pub(super) fn all() -> Self {
        Self::between(Cut::START, Cut::END)
    }

    pub(super) fn from(low: Cut) -> Self {
        Self::between(low, Cut::END)
    }

    pub(super) fn to(high: Cut) -> Self {
        Self::between(Cut::START, high)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn union(sets: impl IntoIterator<Item = Self>) -> Self {
        let mut spans: Vec<Span> = sets.into_iter().flat_map(|set| set.0).collect();
        spans.sort_unstable();
        let mut merged: Vec<Span> = Vec::new();
        for span in spans {
            match merged.last_mut() {
                Some(last) if span.low <= last.high => last.high = last.high.max(span.high),
                _ => merged.push(span),
            }
        }
        Self(merged)
    }

    pub(super) fn intersect(&self, other: &Self) -> Self {
        let (mut left, mut right) = (self.0.iter().peekable(), other.0.iter().peekable());
        let mut common = Vec::new();
        while let (Some(one), Some(two)) = (left.peek(), right.peek()) {
            let (low, high) = (one.low.max(two.low), one.high.min(two.high));
            if low < high {
                common.push(Span { low, high });
            }
            if one.high < two.high {
                left.next();
            } else {
                right.next();
            }
        }
        Self(common)
    }

    /// The intersection of many, in the order of a tournament, so that no one of them is walked through again for each other.
    pub(super) fn intersect_all(mut sets: Vec<Self>) -> Self {
        while sets.len() > 1 {
            sets = sets
                .chunks(2)
                .map(|pair| match pair {
                    [one, two] => one.intersect(two),
                    rest => rest.first().map_or_else(Self::all, Self::clone),
                })
                .collect();
        }
        sets.pop().unwrap_or_else(Self::all)
    }

    pub(super) fn complement(&self) -> Self {
        let lows = std::iter::once(Cut::START).chain(self.0.iter().map(|span| span.high));
        let highs = self.0.iter().map(|span| span.low).chain(std::iter::once(Cut::END));
        let gaps = lows.zip(highs).filter(|(low, high)| low < high);
        Self(gaps.map(|(low, high)| Span { low, high }).collect())
    }

    /// What remains when only whole multiples of `unit` count; ends become closed ones.
    pub(super) fn whole(&self, unit: i128) -> Self {
        let up = |cut: Cut| -> Cut {
            if cut == Cut::START {
                return cut;
            }
            let floor = cut.at.div_euclid(unit) * unit;
            let keep = floor == cut.at && !cut.after;
            Cut::before(if keep { floor } else { floor.saturating_add(unit) })
        };
        let down = |cut: Cut| -> Cut {
            if cut == Cut::END {
                return cut;
            }
            let floor = cut.at.div_euclid(unit) * unit;
            let drop = floor == cut.at && !cut.after;
            Cut::after(if drop { floor.saturating_sub(unit) } else { floor })
        };
        Self::union(self.0.iter().map(|span| Self::between(up(span.low), down(span.high))))
    }

    /// Every point moved by so much.
    pub(super) fn shifted(&self, by: i128) -> Self {
        let moved = |cut: Cut| match cut {
            Cut::START | Cut::END => cut,
            Cut { at, after } => Cut {
                at: at.saturating_add(by),
                after,
            },
        };
        let spans = self.0.iter().map(|span| Span {
            low: moved(span.low),
            high: moved(span.high),
        });
        Self(spans.collect())
    }

    /// Where the set begins and ends; nothing for an end that is open to infinity, or for the empty set.
    pub(super) fn bounds(&self) -> (Option<Cut>, Option<Cut>) {
        let low = self.0.first().map(|span| span.low).filter(|cut| *cut != Cut::START);
        let high = self.0.last().map(|span| span.high).filter(|cut| *cut != Cut::END);
        (low, high)
    }

    /// Each span as its two ends, as [`Intervals::bounds`] gives them.
    pub(super) fn spans(&self) -> impl Iterator<Item = (Option<Cut>, Option<Cut>)> {
        self.0.iter().map(|span| Self(vec![*span]).bounds())
    }

    /// A point of the set: an end that belongs to it if there is one, or else one `step` into it, or between its ends. Nothing for the empty
    /// set, and for one that lies between two keys.
    pub(super) fn pick(&self, step: i128) -> Option<i128> {
        self.0.iter().find_map(|Span { low, high }| {
            let (open_low, open_high) = (*low == Cut::START, *high == Cut::END);
            let inside = |at: i128| *low <= Cut::before(at) && Cut::after(at) <= *high;
            let middle = low.at.checked_add(high.at.checked_sub(low.at).unwrap_or(0) / 2);
            let tries = match (open_low, open_high) {
                (true, true) => [Some(0), None, None, None],
                (true, false) => [Some(high.at), high.at.checked_sub(step), None, None],
                (false, true) => [Some(low.at), low.at.checked_add(step), None, None],
                (false, false) => [Some(low.at), Some(high.at), low.at.checked_add(step), middle],
            };
            tries.into_iter().flatten().find(|at| inside(*at))
        })
    }
}

impl Cut {
    /// The point that the cut lies at, and whether it lies behind it.
    pub(super) const fn parts(self) -> (i128, bool) {
        (self.at, self.after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn set() -> impl Strategy<Value = Intervals> {
        let cut = || (-6_i128..6, any::<bool>()).prop_map(|(at, after)| Cut { at, after });
        let span = (cut(), cut()).prop_map(|(low, high)| Intervals::between(low, high));
        let end = prop_oneof![cut().prop_map(Intervals::from), cut().prop_map(Intervals::to)];
        proptest::collection::vec(prop_oneof![3 => span, 1 => end], 0..4).prop_map(Intervals::union)
    }

    /// Half keys stand for what lies between two keys.
    fn has(set: &Intervals, doubled: i128) -> bool {
        let at = doubled.div_euclid(2);
        let (before, after) = if doubled % 2 == 0 {
            (Cut::before(at), Cut::after(at))
        } else {
            (Cut::after(at), Cut::before(at + 1))
        };
        set.0.iter().any(|span| span.low <= before && after <= span.high)
    }

    proptest! {
        #[test]
        fn sets_mean_what_their_points_say(one in set(), two in set()) {
            let (both, either, not) = (one.intersect(&two), Intervals::union([one.clone(), two.clone()]), one.complement());
            let whole = one.whole(2);
            for doubled in -16..16 {
                prop_assert_eq!(has(&both, doubled), has(&one, doubled) && has(&two, doubled));
                prop_assert_eq!(has(&either, doubled), has(&one, doubled) || has(&two, doubled));
                prop_assert_eq!(has(&not, doubled), !has(&one, doubled));
                if doubled % 4 == 0 {
                    prop_assert_eq!(has(&whole, doubled), has(&one, doubled));
                }
            }
            if let Some(at) = one.pick(1) {
                prop_assert!(has(&one, 2 * at));
            } else {
                prop_assert!((-16..16).all(|doubled| doubled % 2 != 0 || !has(&one, doubled)));
            }
            prop_assert_eq!(not.complement(), one);
        }
    }
}
