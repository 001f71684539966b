//! What joins operands: delays that follow each other add up; what recurs has to recur at a time that is allowed. Of a single use, metered time
//! is no longer than the time that has passed; where our profile is enforced, streams add up and delays are counted from where elapsed time is.
//! And the choice of values that keep to these laws.

use super::{
    answer::Why,
    intervals::{Cut, Intervals},
    lengths,
    space::{Outcome, Pick, Region, Regions},
    test::{self, Axis, Place, Scale},
};
use crate::odrl::Instant;
use std::collections::BTreeMap;

/// Moments that recur every `period`, `width` long, one of them at `offset`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Grid {
    pub(super) period: i128,
    pub(super) offset: i128,
    width: i128,
}

/// Greatest common divisor of two positive numbers, and the factor of the first that makes it up to multiples of the second.
const fn gcd(mut one: i128, mut other: i128) -> (i128, i128) {
    let (mut factor, mut next) = (1, 0);
    while other != 0 {
        let times = one / other;
        (one, other) = (other, one - times * other);
        (factor, next) = (next, factor - times * next);
    }
    (one, factor)
}

impl Grid {
    pub(super) const fn new(period: i128, anchor: i128, width: i128) -> Self {
        Self {
            period,
            offset: anchor.rem_euclid(period),
            width,
        }
    }

    /// The moments that two grids share: there are some exactly if the distance of their offsets is a multiple of the greatest common divisor of
    /// their periods. That is so of points, and of equal stretches that lie on multiples of their width.
    fn meet(self, other: Self) -> Result<Option<Self>, &'static str> {
        if self == other {
            return Ok(Some(self));
        }
        let distance = other.offset - self.offset;
        let aligned = |number: i128| self.width == 0 || number % self.width == 0;
        if self.width != other.width || ![self.period, other.period, distance].into_iter().all(aligned) {
            return Err("recurring stretches of time that may overlap in part");
        }
        let (divisor, factor) = gcd(self.period, other.period);
        if distance % divisor != 0 {
            return Ok(None);
        }
        let far = || {
            let modulus = other.period / divisor;
            let steps = (distance / divisor)
                .rem_euclid(modulus)
                .checked_mul(factor.rem_euclid(modulus))?;
            let offset = self
                .period
                .checked_mul(steps.rem_euclid(modulus))?
                .checked_add(self.offset)?;
            let period = self.period.checked_mul(modulus)?;
            Some(Self {
                period,
                offset: offset.rem_euclid(period),
                width: self.width,
            })
        };
        far().map(Some).ok_or("moments that recur too seldom")
    }

    /// The moments that all grids share.
    pub(super) fn common(grids: &[Self]) -> Result<Option<Self>, &'static str> {
        let Some((first, rest)) = grids.split_first() else {
            return Err("no moment");
        };
        let mut common = *first;
        let mut unclear = None;
        for grid in rest {
            match common.meet(*grid) {
                Ok(Some(both)) => common = both,
                Ok(None) => return Ok(None),
                Err(why) => unclear = Some(why),
            }
        }
        unclear.map_or(Ok(Some(common)), Err)
    }

    /// One occurrence in each stretch of time that has any: enough to know whether there is one.
    fn within(self, times: &Intervals) -> Intervals {
        let end = |start: i128| {
            if self.width == 0 {
                Cut::after(start)
            } else {
                Cut::before(start.saturating_add(self.width))
            }
        };
        let near = |at: i128| {
            let first = (at.saturating_sub(self.offset).saturating_sub(self.width)).div_euclid(self.period);
            (first..=first.saturating_add(2)).map(|count| {
                let start = count.saturating_mul(self.period).saturating_add(self.offset);
                Intervals::between(Cut::before(start), end(start))
            })
        };
        let tried = times.spans().flat_map(|(low, high)| {
            let low = low.map(|cut| cut.parts().0);
            let high = high.map(|cut| cut.parts().0.saturating_sub(self.period));
            near(low.or(high).unwrap_or(0))
        });
        Intervals::union(tried).intersect(times)
    }
}

fn world(left: &str) -> Axis {
    Axis {
        place: Place::World,
        left: left.to_owned(),
        step: 0,
    }
}

fn line(regions: &Regions, axis: &Axis, wanted: Scale) -> Option<Intervals> {
    match regions.get(axis) {
        Some(Ok(Region::Line { scale, set, .. })) if *scale == wanted => Some(set.clone()),
        _ => None,
    }
}

fn put(regions: &mut Regions, axis: &Axis, narrowed: Intervals) {
    if let Some(Ok(Region::Line { set, .. })) = regions.get_mut(axis) {
        *set = narrowed;
    }
}

/// The least of a set as a cut before or behind it, no further down than zero.
fn least(set: &Intervals) -> (i128, bool) {
    set.bounds().0.map_or((0, false), Cut::parts)
}

/// Whether the regions, taken together, have a value for each operand; `enforced` as our profile has them.
pub(super) fn settle(mut regions: Regions, enforced: bool) -> Outcome {
    let scale = lengths::on_one_scale(&mut regions, enforced);
    let Some((axis, most, least)) = lengths::bounds(&regions) else {
        return settle_known(regions, scale, enforced);
    };
    match settle_known(most, scale, enforced) {
        Outcome::Inhabited(_) => {}
        other => return other,
    }
    match settle_known(least, scale, enforced) {
        Outcome::Inhabited(found) => Outcome::Inhabited(found),
        _ => Outcome::Unknown(Why::NotUnderstood {
            operand: axis.to_string(),
            why: "it depends on how long the months are".to_owned(),
        }),
    }
}

/// The same where it is known what is left of each; `scale` is that of the lengths that are joined.
fn settle_known(mut regions: Regions, scale: Scale, enforced: bool) -> Outcome {
    let mut unclear = regions.values().find_map(|region| region.as_ref().err()).cloned();
    let mut joined = recurs(&mut regions) && adds_up(&mut regions, scale, &mut unclear);
    joined = joined
        && if enforced {
            one_clock(&mut regions, scale)
        } else {
            passes(&mut regions, scale)
        };
    if !joined {
        return Outcome::Empty;
    }
    if let Some(why) = unclear {
        return Outcome::Unknown(why);
    }
    let mut picks = BTreeMap::new();
    for (axis, region) in regions {
        let pick = match region {
            Ok(Region::Line { scale, unit, set }) => set
                .pick(test::step(scale))
                .map(|key| Pick::Value(test::value(scale, key), unit)),
            Ok(Region::Grid(grid)) => Some(Pick::Grid(grid)),
            Ok(Region::Names(names)) => Some(Pick::Names(names)),
            Ok(Region::NotStated | Region::Lengths(_)) | Err(_) => Some(Pick::NotStated),
        };
        match pick {
            Some(pick) => picks.insert(axis, pick),
            None => {
                return Outcome::Unknown(Why::NotUnderstood {
                    operand: axis.to_string(),
                    why: "what is left lies between two values that can be written".to_owned(),
                });
            }
        };
    }
    Outcome::Inhabited(picks)
}

/// `timeInterval` with an anchor against `dateTime`.
fn recurs(regions: &mut Regions) -> bool {
    let Some(Ok(Region::Grid(grid))) = regions.get(&world("timeInterval")) else {
        return true;
    };
    let at = world("dateTime");
    let zoned = line(regions, &at, Scale::Time(true));
    let Some(times) = zoned.or_else(|| line(regions, &at, Scale::Time(false))) else {
        return true;
    };
    let found = grid.within(&times);
    let some = !found.is_empty();
    put(regions, &at, found);
    some
}

/// The delays of a sequence against `elapsedTime`: it takes at least as long as all of them.
fn adds_up(regions: &mut Regions, scale: Scale, unclear: &mut Option<Why>) -> bool {
    let of_steps = |regions: &Regions| -> Vec<(Axis, Intervals)> {
        let steps = regions
            .keys()
            .filter(|axis| axis.left == "delayPeriod" && axis.step > 0);
        steps
            .filter_map(|axis| Some((axis.clone(), line(regions, axis, scale)?)))
            .collect()
    };
    let steps = of_steps(regions);
    if !steps.is_empty() && regions.contains_key(&world("delayPeriod")) && unclear.is_none() {
        *unclear = Some(Why::NotUnderstood {
            operand: "delayPeriod".to_owned(),
            why: "delays of a sequence and a single delay are not compared".to_owned(),
        });
    }
    let Some(elapsed) = line(regions, &world("elapsedTime"), scale) else {
        return true;
    };
    if steps.is_empty() {
        return true;
    }
    let sum = steps
        .iter()
        .map(|(_, set)| least(set))
        .fold((0_i128, false), |(sum, open), (at, after)| {
            (sum.saturating_add(at), open || after)
        });
    let from = if sum.1 { Cut::after(sum.0) } else { Cut::before(sum.0) };
    if elapsed.intersect(&Intervals::from(from)).is_empty() {
        return false;
    }
    let picked = steps
        .iter()
        .map(|(_, set)| set.pick(test::step(scale)).unwrap_or(0))
        .fold(0, i128::saturating_add);
    let enough = elapsed.intersect(&Intervals::from(Cut::before(picked)));
    if enough.is_empty() && unclear.is_none() {
        *unclear = Some(Why::NotUnderstood {
            operand: "elapsedTime".to_owned(),
            why: "the delays of a sequence only just fit".to_owned(),
        });
    }
    put(regions, &world("elapsedTime"), enough);
    true
}

/// `elapsedTime` against `delayPeriod` where both are counted from the agreement: they are the same length.
fn one_clock(regions: &mut Regions, scale: Scale) -> bool {
    let axes = [world("elapsedTime"), world("delayPeriod")];
    let [Some(elapsed), Some(delay)] = axes.each_ref().map(|axis| line(regions, axis, scale)) else {
        return true;
    };
    let both = elapsed.intersect(&delay);
    let some = !both.is_empty();
    for axis in &axes {
        put(regions, axis, both.clone());
    }
    some
}

/// `meteredTime` against `elapsedTime` of a single use: nothing is used for longer than time has passed.
fn passes(regions: &mut Regions, scale: Scale) -> bool {
    let (metered_axis, elapsed_axis) = (world("meteredTime"), world("elapsedTime"));
    let metered = line(regions, &metered_axis, scale);
    let (Some(metered), Some(elapsed)) = (metered, line(regions, &elapsed_axis, scale)) else {
        return true;
    };
    let (at, after) = least(&metered);
    let elapsed = elapsed.intersect(&Intervals::from(if after { Cut::after(at) } else { Cut::before(at) }));
    if elapsed.is_empty() {
        return false;
    }
    let most = elapsed.bounds().1.map_or_else(Intervals::all, Intervals::to);
    let metered = metered.intersect(&most);
    let picked = metered.pick(test::step(scale)).unwrap_or(at);
    put(
        regions,
        &elapsed_axis,
        elapsed.intersect(&Intervals::from(Cut::before(picked))),
    );
    put(regions, &metered_axis, metered);
    true
}

impl Grid {
    /// One of the moments.
    pub(super) const fn moment(self) -> Instant {
        Instant(self.offset)
    }
}
