//! Lengths of time of which some are told in months and some in days. How long a month is depends on when it begins (XML Schema 1.1 §3.3.6), so
//! that only bounds of what they leave are known. Where these decide, they decide.

use super::{
    intervals::{Cut, Intervals},
    space::{Region, Regions},
    test::{Axis, Place, Scale},
};
use crate::meaning::months_millis;

/// What is left of a length of time, in nanoseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lengths {
    /// Nothing outside of this is left.
    most: Intervals,
    /// All of this is left.
    least: Intervals,
}

/// How long so many months are at least and at most.
fn nanos(months: i128) -> (i128, i128) {
    let count = u32::try_from(months.unsigned_abs()).unwrap_or(u32::MAX);
    let (least, most) = months_millis(count);
    let (least, most) = (i128::from(least) * 1_000_000, i128::from(most) * 1_000_000);
    if months < 0 { (-most, -least) } else { (least, most) }
}

fn shortest(cut: Cut) -> Cut {
    cut.at(nanos(cut.parts().0).0)
}

fn longest(cut: Cut) -> Cut {
    cut.at(nanos(cut.parts().0).1)
}

impl Lengths {
    pub(super) fn of_months(months: &Intervals) -> Self {
        let moved = |low: fn(Cut) -> Cut, high: fn(Cut) -> Cut| {
            Intervals::union(months.spans().map(|(start, end)| {
                let start = start.map_or_else(Intervals::all, |cut| Intervals::from(low(cut)));
                let end = end.map_or_else(Intervals::all, |cut| Intervals::to(high(cut)));
                start.intersect(&end)
            }))
        };
        Self {
            most: moved(shortest, longest),
            least: moved(longest, shortest),
        }
    }

    /// What is left of both; nothing where that is certain.
    pub(super) fn within(&self, days: &Intervals) -> Option<Self> {
        let most = self.most.intersect(days);
        let least = self.least.intersect(days);
        (!most.is_empty()).then_some(Self { most, least })
    }
}

/// The lengths that laws join: counted from the same moment, or one no longer than the other.
fn is_joined(axis: &Axis, enforced: bool) -> bool {
    let joined = match axis.left.as_str() {
        "elapsedTime" => true,
        "delayPeriod" => enforced || axis.step > 0,
        "meteredTime" => !enforced,
        _ => false,
    };
    joined && axis.place == Place::World
}

/// Gives all lengths that laws join one scale, which is returned: where they are told in months and in days, days.
pub(super) fn on_one_scale(regions: &mut Regions, enforced: bool) -> Scale {
    let (mut months, mut days) = (Vec::new(), false);
    for (axis, region) in regions.iter_mut().filter(|(axis, _)| is_joined(axis, enforced)) {
        match region {
            Ok(Region::Line {
                scale: Scale::Months, ..
            }) => months.push(axis.clone()),
            Ok(Region::Line { .. } | Region::Lengths(_)) => days = true,
            _ => {}
        }
    }
    if !days {
        return if months.is_empty() { Scale::Span } else { Scale::Months };
    }
    for axis in months {
        if let Some(Ok(region)) = regions.get_mut(&axis)
            && let Region::Line { set, .. } = region
        {
            *region = Region::Lengths(Lengths::of_months(set));
        }
    }
    Scale::Span
}

/// The first length of which only bounds are known, and the regions with all that may be left of each, and with what certainly is.
pub(super) fn bounds(regions: &Regions) -> Option<(Axis, Regions, Regions)> {
    let is_bounded = |region: &Result<Region, _>| matches!(region, Ok(Region::Lengths(_)));
    let (axis, _) = regions.iter().find(|(_, region)| is_bounded(region))?;
    let with = |choose: fn(&Lengths) -> &Intervals| -> Regions {
        let chosen = regions.iter().map(|(axis, region)| {
            let region = match region {
                Ok(Region::Lengths(lengths)) => Ok(Region::Line {
                    scale: Scale::Span,
                    unit: None,
                    set: choose(lengths).clone(),
                }),
                other => other.clone(),
            };
            (axis.clone(), region)
        });
        chosen.collect()
    };
    Some((
        axis.clone(),
        with(|lengths| &lengths.most),
        with(|lengths| &lengths.least),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Timestamp;
    use proptest::prelude::*;

    const DAY: i64 = 86_400_000;

    proptest! {
        #[test]
        fn bounds_hold_whenever_the_months_begin(
            months in 1_u32..600,
            beside in -40_i64..40,
            start in 0_i64..40_000,
            (until, closed) in (any::<bool>(), any::<bool>()),
        ) {
            let start = Timestamp::from_millis(start * DAY);
            let days = (i64::from(months) * 30 + beside).max(0);
            let (now, end) = (start.millis() + days * DAY, start.plus_months(months).millis());
            let at = i128::from(months);
            let (set, holds) = match (until, closed) {
                (true, true) => (Intervals::to(Cut::after(at)), now <= end),
                (true, false) => (Intervals::to(Cut::before(at)), now < end),
                (false, true) => (Intervals::from(Cut::before(at)), now >= end),
                (false, false) => (Intervals::from(Cut::after(at)), now > end),
            };
            let lengths = Lengths::of_months(&set);
            let key = i128::from(days * DAY) * 1_000_000;
            let here = Intervals::between(Cut::before(key), Cut::after(key));
            prop_assert!(lengths.least.intersect(&here).is_empty() || holds);
            prop_assert!(!lengths.most.intersect(&here).is_empty() || !holds);
        }
    }
}
