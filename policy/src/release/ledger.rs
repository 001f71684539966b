//! What a recipient has learned from former releases of one source, and whether a new release adds too much to it (differencing).
//!
//! **The rule.** Former releases sort learners into *classes*: two learners are of one class when every release so far counted both in the
//! same block, or neither, and what it told of them changed at the same times. No set that can be made of published blocks, by union,
//! intersection or difference, cuts through a class. A new release is admitted when every class that it tells anything new of
//!
//! * has at least k learners, and so has each part that it is split into;
//! * has no dominant learner in any sum that is remembered of it, nor in the difference of any two of these, to which none or k of its
//!   learners add: the sum over twelve less the sum over eleven of them is what the twelfth has;
//! * differs in every attribute that rows showed of it, as far as they are remembered, as a group of rows must.
//!
//! A union of such classes is such a group, so whatever releases are combined to is one, except for what no release ever counted. A release
//! that tells nothing new is always admitted.
//!
//! **Columns.** What is told of learners is kept by what it is (a sum of hours, a level), not by table: two tables that sum the same are
//! compared with each other, whatever came between them. A class of which a column was never told is judged when it is. Of each column the
//! last [`KEPT`] different things that were told are remembered: what changes and changes back is compared with what it was before.
//!
//! **Withdrawal and change.** A learner who withdrew is in no later release, and a release that lacks one learner of a class alone would
//! tell by difference that somebody left and, to whoever knows the others, who. So it is refused until it lacks none of a class or a group.
//! Newcomers and changed contributions wait in the same way. For releases that must go on, [`Ledger::hold_back`] names
//! learners who are left out along with the ones who withdrew, until a group is missing: the recipient sees a group go and not who made it
//! go. What was released before stays with the recipient; a group that is out is out together. What was told of its learners stays here, by
//! keyed hash, because what they would be told apart by is what must not be released.
//!
//! **Bounds.** A ledger is of one source and one recipient. Beyond it are recipients that pool what they got (two names of one organisation
//! among them), a recipient that knows k - 1 of a group from elsewhere, as from records that it was given, and copies of the same
//! records; a difference to what was told before the last [`KEPT`] changes; and sums of more than two releases, such as the first, less twice
//! the second, and the third: only pairs are judged. That a release was refused tells that little has changed, or that somebody has most of a sum. Group sizes never shrink: the largest that was asked for holds on,
//! for former releases too, where something is told of their groups again.

mod bytes;

pub use bytes::Unreadable;

use super::{
    Cohort, Column, GroupSize, Learner, MAX_LEARNERS, Place, Refused, ToldOf, anonymity::DIVERSITY, groups::Sum,
};
use std::collections::{BTreeMap, BTreeSet};

/// How many different sums and attributes one source may tell one recipient.
pub const MAX_COLUMNS: usize = 32;

/// How many of the things that were told of a class in one column are remembered: a release is compared with each of them.
pub const KEPT: usize = 4;

/// How many choices of learners are tried before more of them are held back.
const MAX_TURNS: usize = 64;

/// The classes that all releases so far sort learners into.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    size: Option<GroupSize>,
    columns: Vec<Column>,
    entries: BTreeMap<Learner, Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    class: u32,
    /// The last release counted it.
    counted: bool,
    /// What was told last, for each column, the newest at the end; what was told again is there once. Learners of one class have equally
    /// many, told by the same releases: who changed and who did not are two classes.
    told: Box<[Vec<u64>]>,
}

/// Where a class, or a part of one, goes in the new release. `None`: it is not counted.
type Target = Option<In>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct In {
    block: u32,
    /// The columns, a bit each, that tell something else than they did.
    changed: u32,
}

/// One learner in the comparison.
#[derive(Clone, Copy)]
struct Member<'a> {
    learner: Learner,
    before: Option<&'a Entry>,
    now: Option<&'a Place>,
}

/// The parts of a class. Within a part in the order of the keyed hashes.
type Parts<'a> = BTreeMap<Target, Vec<Member<'a>>>;

/// A release beside the former ones.
struct Comparison<'a> {
    k: GroupSize,
    columns: Vec<Column>,
    /// For each column, where the release tells it.
    told_at: Vec<Option<usize>>,
    /// By the class that they were of; `None`: never counted.
    classes: BTreeMap<Option<u32>, Parts<'a>>,
}

impl Ledger {
    /// The group size that holds when `asked` is asked for: the largest of all releases.
    pub fn group_size(&self, asked: GroupSize) -> GroupSize {
        self.size.map_or(asked, |size| size.max(asked))
    }

    /// How many learners were counted at least once.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing was released yet.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The ledger with one more release, whose blocks may be published each, or why that release may not be.
    pub fn admit(&self, asked: GroupSize, cohort: &Cohort) -> Result<Self, Refused> {
        let comparison = self.compare(asked, cohort);
        let k = comparison.k;
        if comparison.columns.len() > MAX_COLUMNS {
            return Err(Refused::Full);
        }
        let mut classes = comparison.classes.iter();
        if classes.any(|(class, parts)| !comparison.too_fine(*class, parts).is_empty()) {
            return Err(Refused::Differencing(k));
        }
        let mut entries = BTreeMap::new();
        let parts = comparison.classes.values().flatten();
        for (class, (target, members)) in (0..).zip(parts) {
            for member in members {
                let entry = Entry {
                    class,
                    counted: target.is_some(),
                    told: comparison.told(member),
                };
                entries.insert(member.learner, entry);
            }
        }
        if entries.len() > MAX_LEARNERS {
            return Err(Refused::Full);
        }
        Ok(Self {
            size: Some(k),
            columns: comparison.columns,
            entries,
        })
    }

    /// Who has to be left out of a release so that it is admitted: parts of a class that show too much, and others of that class until
    /// those who are missing are a group. A part that gives some of its learners stays one. Empty where nothing has to be done.
    pub fn hold_back(&self, asked: GroupSize, cohort: &Cohort) -> Vec<Learner> {
        let comparison = self.compare(asked, cohort);
        let classes = comparison.classes.iter();
        classes
            .flat_map(|(class, parts)| comparison.held_back(*class, parts))
            .map(|member| member.learner)
            .collect()
    }

    fn compare<'a>(&'a self, asked: GroupSize, cohort: &'a Cohort) -> Comparison<'a> {
        let mut columns = self.columns.clone();
        let new = cohort.columns.iter().filter(|column| !self.columns.contains(column));
        columns.extend(new);
        let told_at = columns
            .iter()
            .map(|column| cohort.columns.iter().position(|told| told == column));
        let mut comparison = Comparison {
            k: self.group_size(asked),
            told_at: told_at.collect(),
            columns,
            classes: BTreeMap::new(),
        };
        for (learner, place) in &cohort.places {
            comparison.sort(Member {
                learner: *learner,
                before: self.entries.get(learner),
                now: Some(place),
            });
        }
        for (learner, entry) in &self.entries {
            if !cohort.places.contains_key(learner) {
                comparison.sort(Member {
                    learner: *learner,
                    before: Some(entry),
                    now: None,
                });
            }
        }
        comparison
    }
}

impl<'a> Comparison<'a> {
    fn sort(&mut self, member: Member<'a>) {
        let target = member.now.map(|place| In {
            block: place.block,
            changed: self.changed(&member),
        });
        let of_class = self.classes.entry(member.before.map(|entry| entry.class)).or_default();
        of_class.entry(target).or_default().push(member);
    }

    fn before<'m>(member: &Member<'m>, column: usize) -> &'m [u64] {
        let told = member.before.and_then(|entry| entry.told.get(column));
        told.map_or(&[], Vec::as_slice)
    }

    fn now(&self, member: &Member<'_>, column: usize) -> Option<u64> {
        let at = self.told_at.get(column).copied().flatten()?;
        member.now?.told.get(at).copied()
    }

    fn pair(&self, member: &Member<'_>, column: usize) -> (Option<u64>, Option<u64>) {
        (Self::before(member, column).last().copied(), self.now(member, column))
    }

    /// What is told of a learner at one of the times that are remembered, of which the new release is the last.
    fn at(&self, member: &Member<'_>, column: usize, time: usize) -> Option<u64> {
        let before = Self::before(member, column);
        if time == before.len() {
            return self.now(member, column);
        }
        before.get(time).copied()
    }

    fn changed(&self, member: &Member<'_>) -> u32 {
        let is_other = |column: &usize| matches!(self.pair(member, *column), (Some(old), Some(new)) if old != new);
        let changed = (0..self.columns.len().min(MAX_COLUMNS)).filter(is_other);
        changed.fold(0, |bits, column| bits | 1 << column)
    }

    /// What was told of a learner once the release is out.
    fn told(&self, member: &Member<'_>) -> Box<[Vec<u64>]> {
        let remembered = |column| {
            let mut told = Self::before(member, column).to_vec();
            if let Some(now) = self.now(member, column)
                && told.last() != Some(&now)
            {
                told.push(now);
            }
            told.drain(..told.len().saturating_sub(KEPT));
            told
        };
        (0..self.columns.len()).map(remembered).collect()
    }

    /// The parts of a class that would show too much.
    fn too_fine(&self, class: Option<u32>, parts: &Parts<'a>) -> BTreeSet<Target> {
        let is_split = class.is_none() || parts.len() > 1;
        parts
            .iter()
            .filter(|(target, part)| (is_split || self.is_news(**target, part)) && !self.may_be_told(part))
            .map(|(target, _)| *target)
            .collect()
    }

    /// Whether a release tells of a whole class what none has told: it comes, it goes, it changed, or a column is new to it.
    fn is_news(&self, target: Target, class: &[Member<'_>]) -> bool {
        let is_new = |member: &Member<'_>, column: usize| matches!(self.pair(member, column), (None, Some(_)));
        target.is_some_and(|target| target.changed != 0)
            || class.iter().any(|member| {
                member.before.is_some_and(|entry| entry.counted != member.now.is_some())
                    || (0..self.columns.len()).any(|column| is_new(member, column))
            })
    }

    /// Whether these learners may be told of as a group, by what was told of them, by what will be, and by the differences.
    fn may_be_told(&self, part: &[Member<'_>]) -> bool {
        self.k.allows(part.len() as u64)
            && self.columns.iter().enumerate().all(|(column, is)| {
                (0..=KEPT).all(|time| {
                    let told = part.iter().filter_map(|member| self.at(member, column, time));
                    match is.kind {
                        ToldOf::Sum => {
                            dominates_nobody(told)
                                && (0..time).all(|earlier| self.difference_may_be_told(part, column, earlier, time))
                        }
                        ToldOf::Value => is_diverse(told),
                    }
                })
            })
    }

    /// Whether what a sum over these learners has become shows none of them, and neither a few.
    fn difference_may_be_told(&self, part: &[Member<'_>], column: usize, earlier: usize, later: usize) -> bool {
        let differences = part.iter().filter_map(|member| {
            let (old, new) = (self.at(member, column, earlier)?, self.at(member, column, later)?);
            Some(old.abs_diff(new))
        });
        let changed = differences.clone().filter(|difference| *difference != 0).count() as u64;
        (changed == 0 || self.k.allows(changed)) && dominates_nobody(differences)
    }

    /// The learners of one class who are left out.
    fn held_back(&self, class: Option<u32>, parts: &Parts<'a>) -> Vec<Member<'a>> {
        let too_fine = self.too_fine(class, parts);
        let absent = parts.get(&None).map_or(&[][..], Vec::as_slice);
        let (small, mut large): (Vec<_>, Vec<_>) = parts
            .iter()
            .filter(|(target, _)| target.is_some())
            .partition(|(target, _)| too_fine.contains(target));
        let mut missing: Vec<Member<'a>> = absent
            .iter()
            .chain(small.into_iter().flat_map(|(_, part)| part))
            .copied()
            .collect();
        large.sort_by_key(|(_, part)| part.len());
        while class.is_some() && !too_fine.is_empty() && !self.may_be_told_absent(&missing) {
            let Some((_, largest)) = large.last() else { break };
            match self.taken(&missing, largest) {
                Some(taken) => missing.extend(taken),
                None => missing.extend(large.remove(0).1),
            }
        }
        missing.split_off(absent.len())
    }

    /// Some of a part that make a group together with who is missing and leave one behind: as few as there may be, so that k are missing
    /// whoever had to go, and of each number those who fit before there is one more. How many go tells less the less it depends on who
    /// they are.
    fn taken(&self, missing: &[Member<'a>], part: &[Member<'a>]) -> Option<Vec<Member<'a>>> {
        let k = self.k.get() as usize;
        std::iter::successors(Some(k.max(missing.len() + 1)), |total| total.checked_add(total / k))
            .map(|total| total - missing.len())
            .take_while(|more| part.len() >= more.saturating_add(k))
            .find_map(|more| self.fitting(missing, part, more))
    }

    /// The first in the order of the keyed hashes, or those who come next in it until some fit.
    fn fitting(&self, missing: &[Member<'a>], part: &[Member<'a>], more: usize) -> Option<Vec<Member<'a>>> {
        let mut turned = part.to_vec();
        for _ in 0..part.len().min(MAX_TURNS) {
            let (taken, left) = turned.split_at_checked(more)?;
            if self.may_be_told(left) && self.may_be_told_absent(&[missing, taken].concat()) {
                return Some(taken.to_vec());
            }
            turned.rotate_left(1);
        }
        None
    }

    /// The same of learners whom the release does not count after all.
    fn may_be_told_absent(&self, missing: &[Member<'_>]) -> bool {
        let absent = missing.iter().map(|member| Member { now: None, ..*member });
        self.may_be_told(&absent.collect::<Vec<_>>())
    }
}

fn dominates_nobody(amounts: impl Iterator<Item = u64>) -> bool {
    let sum = amounts.fold(Sum::default(), |sum, amount| sum.with(Sum::of(amount.into())));
    sum.has_no_dominant()
}

/// Whether there are enough different values, if there is any.
fn is_diverse(values: impl Iterator<Item = u64>) -> bool {
    let (mut none, mut seen) = (true, BTreeSet::new());
    for value in values {
        none = false;
        // A value that is missing makes no group more diverse.
        if value != Column::MISSING {
            seen.insert(value);
        }
        if seen.len() >= DIVERSITY {
            return true;
        }
    }
    none
}

#[cfg(test)]
mod tests;
