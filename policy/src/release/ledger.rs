//! What a recipient has learned from former releases of a dataset, and whether a new release adds too much to it (differencing).
//!
//! **The rule.** Former releases sort learners into *classes*: two learners are of one class when every release so far counted both in the
//! same block, or neither, with contributions that changed at the same times. No set that can be made of published blocks, by union,
//! intersection or difference, cuts through a class. A new release is admitted when it splits no class into a part of fewer than k
//! learners. Then every class has at least k, and so has every set that any number of releases can be combined to, except for what no
//! release ever counted. A release that changed nothing is always admitted.
//!
//! **Withdrawal and change.** A learner who withdrew is in no later release, and a release that lacks one learner of a class alone would
//! tell by difference that somebody left and, to whoever knows the others, who. So it is refused until it lacks none of a class or at
//! least k. Newcomers and changed contributions wait in the same way. For releases that must go on, [`Ledger::hold_back`] names
//! learners who are left out along with the ones who withdrew, until k are missing: the recipient sees a group go and not who made it go.
//! What was released before stays with the recipient; a group of k that is out is out together.
//!
//! **Bounds.** A ledger is of one dataset and one recipient; recipients that pool what they got are beyond it. That a release was refused
//! tells that little has changed. Group sizes never shrink: the largest that was asked for holds on.

use super::{Cohort, GroupSize, Learner, MAX_LEARNERS, Refused};
use std::collections::BTreeMap;

/// The classes that all releases so far sort learners into.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    size: Option<GroupSize>,
    entries: BTreeMap<Learner, Entry>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    class: u32,
    /// The contribution when it was counted last.
    content: u64,
}

/// Where a class, or a part of one, goes in the new release. `None`: it is not counted.
type Target = Option<In>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct In {
    block: u32,
    /// The contribution is not what it was.
    changed: bool,
}

/// Learners by the class they were of (`None`: never counted) and where they go. Within a part in the order of the keyed hashes.
type Parts = BTreeMap<Option<u32>, BTreeMap<Target, Vec<Learner>>>;

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

    /// The ledger with one more release, whose blocks have at least k learners each, or why that release may not be.
    pub fn admit(&self, asked: GroupSize, cohort: &Cohort) -> Result<Self, Refused> {
        let k = self.group_size(asked);
        let parts = self.parts(cohort);
        if parts.iter().any(|(class, parts)| splits_too_finely(k, *class, parts)) {
            return Err(Refused::Differencing(k));
        }
        let mut next = Self {
            size: Some(k),
            entries: BTreeMap::new(),
        };
        let counted = parts
            .into_iter()
            .flat_map(|(class, parts)| {
                parts
                    .into_iter()
                    .map(move |(target, learners)| (class, target, learners))
            })
            .filter(|(class, target, _)| class.is_some() || target.is_some());
        for (class, (_, _, learners)) in (0..).zip(counted) {
            for learner in learners {
                let now = cohort.get(&learner).map(|place| place.content);
                let before = self.entries.get(&learner).map(|entry| entry.content);
                let content = now.or(before).unwrap_or_default();
                next.entries.insert(learner, Entry { class, content });
            }
        }
        if next.entries.len() > MAX_LEARNERS {
            return Err(Refused::Differencing(k));
        }
        Ok(next)
    }

    /// Who has to be left out of a release so that it is admitted: parts of a class that are too small, and others of that class until
    /// at least k of it are missing. A part that gives some of its learners keeps at least k. Empty where nothing has to be done.
    pub fn hold_back(&self, asked: GroupSize, cohort: &Cohort) -> Vec<Learner> {
        let k = self.group_size(asked);
        let parts = self.parts(cohort);
        let too_fine = parts
            .into_iter()
            .filter(|(class, parts)| splits_too_finely(k, *class, parts));
        too_fine.flat_map(|(class, parts)| held_back(k, class, parts)).collect()
    }

    fn parts(&self, cohort: &Cohort) -> Parts {
        let mut parts = Parts::new();
        for (learner, place) in cohort {
            let known = self.entries.get(learner);
            let target = In {
                block: place.block,
                changed: known.is_some_and(|entry| entry.content != place.content),
            };
            let of_class = parts.entry(known.map(|entry| entry.class)).or_default();
            of_class.entry(Some(target)).or_default().push(*learner);
        }
        for (learner, entry) in &self.entries {
            if !cohort.contains_key(learner) {
                let of_class = parts.entry(Some(entry.class)).or_default();
                of_class.entry(None).or_default().push(*learner);
            }
        }
        parts
    }
}

fn splits_too_finely(k: GroupSize, class: Option<u32>, parts: &BTreeMap<Target, Vec<Learner>>) -> bool {
    let is_split = class.is_none() || parts.len() > 1;
    is_split && parts.values().any(|part| !k.allows(part.len() as u64))
}

fn held_back(k: GroupSize, class: Option<u32>, mut parts: BTreeMap<Target, Vec<Learner>>) -> Vec<Learner> {
    let missing = parts.remove(&None).map_or(0, |gone| gone.len());
    let (mut large, small): (Vec<_>, Vec<_>) = parts.into_values().partition(|part| k.allows(part.len() as u64));
    let mut held: Vec<Learner> = small.into_iter().flatten().collect();
    let wanted = (k.get() as usize).saturating_sub(missing + held.len());
    if class.is_none() || missing + held.len() == 0 || wanted == 0 {
        return held;
    }
    large.sort_by_key(Vec::len);
    match large.last() {
        Some(largest) if k.allows((largest.len() - wanted.min(largest.len())) as u64) => {
            held.extend(largest.iter().take(wanted));
        }
        _ => held.extend(large.into_iter().next().unwrap_or_default()),
    }
    held
}

/// Why bytes are no ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("these are not the bytes of a ledger: {0}")]
pub struct Unreadable(&'static str);

const VERSION: u8 = 1;
const HEAD: usize = 1 + 4;
const ENTRY: usize = 16 + 4 + 8;

impl Ledger {
    /// The ledger as bytes, 28 for each learner: keyed hashes in order, so that equal ledgers are equal bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD + self.entries.len() * ENTRY);
        bytes.push(VERSION);
        bytes.extend(self.size.map_or(0, GroupSize::get).to_be_bytes());
        for (learner, entry) in &self.entries {
            bytes.extend(learner.as_bytes());
            bytes.extend(entry.class.to_be_bytes());
            bytes.extend(entry.content.to_be_bytes());
        }
        bytes
    }

    /// Reads what [`Self::to_bytes`] wrote, and nothing else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Unreadable> {
        let (version, rest) = bytes.split_first().ok_or(Unreadable("they are empty"))?;
        if *version != VERSION {
            return Err(Unreadable("of an unknown version"));
        }
        let (size, rest) = rest.split_first_chunk::<4>().ok_or(Unreadable("they are too short"))?;
        let size = match u32::from_be_bytes(*size) {
            0 if rest.is_empty() => None,
            size => Some(GroupSize::new(size).map_err(|_| Unreadable("the group size is below the floor"))?),
        };
        let mut entries = BTreeMap::new();
        for entry in rest.chunks(ENTRY) {
            let (learner, entry) = entry
                .split_first_chunk::<16>()
                .ok_or(Unreadable("an entry is cut off"))?;
            let (class, entry) = entry
                .split_first_chunk::<4>()
                .ok_or(Unreadable("an entry is cut off"))?;
            let content: &[u8; 8] = entry.try_into().map_err(|_| Unreadable("an entry is cut off"))?;
            let learner = Learner::new(*learner);
            if entries.last_key_value().is_some_and(|(last, _)| *last >= learner) {
                return Err(Unreadable("the learners are not in order"));
            }
            let entry = Entry {
                class: u32::from_be_bytes(*class),
                content: u64::from_be_bytes(*content),
            };
            entries.insert(learner, entry);
        }
        if entries.len() > MAX_LEARNERS {
            return Err(Unreadable("there are too many learners"));
        }
        Ok(Self { size, entries })
    }
}
