//! The table behind the live index: entries of 64 bytes by learner, in shards that are locked one at a time and only for a moment. Knows
//! who and when; what a consent says is a number here.

use super::{cells::Cells, terms::TermsId};
use policy::Timestamp;
use siphasher::sip128::SipHasher13;
use std::{
    hash::{BuildHasher, RandomState},
    sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};
use uuid::Uuid;

/// Marks the end of a learner's entries.
const END: u32 = u32::MAX;
/// How many shards there are beside the last one.
const SHARDS: usize = 255;

/// A learner, by a keyed hash of their identifier. Two learners are the same here if all 128 bits agree. SipHash is a pseudorandom
/// function and its key is random, secret and new in each process, so nobody can look for two such identifiers, and by chance a pair
/// occurs among five million learners once in 10^25 processes: far less often than memory fails unnoticed.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Learner {
    high: u64,
    low: u64,
}

impl Learner {
    /// The part by which the shard is chosen.
    const fn shard(self) -> usize {
        (self.high >> 56) as usize
    }

    /// The part by which a place in the shard is found.
    const fn cell(self) -> u32 {
        self.low as u32
    }
}

/// What an entry is, as far as it does not follow from the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// A consent that was given.
    Given,
    /// A consent that was asked for and refused.
    Refused,
    /// A consent that was withdrawn.
    Withdrawn,
    /// A consent that somebody else than the learner ended, or that was not valid.
    Revoked,
    /// A consent whose end has been noted.
    Expired,
    /// Not a consent: an objection to other lawful bases.
    Objection,
    /// Not a consent: a restriction of everything (GDPR art. 18).
    Restricted,
}

impl Standing {
    /// Of a consent, which changes as that does.
    const fn is_of_a_consent(self) -> bool {
        match self {
            Self::Given | Self::Refused | Self::Withdrawn | Self::Revoked | Self::Expired => true,
            Self::Objection | Self::Restricted => false,
        }
    }
}

/// From when on a learner is no minor, in the room that an entry has: seconds since 1970, or not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OfAge(u32);

impl OfAge {
    pub(super) const UNKNOWN: Self = Self(u32::MAX);

    /// Rounded up, so that nobody is of age too early; whoever will be after 2106 is not within that time.
    pub(super) fn new(from: Option<Timestamp>) -> Self {
        from.map_or(Self::UNKNOWN, |from| {
            let seconds = u64::try_from(from.millis()).unwrap_or(0).div_ceil(1000);
            Self(u32::try_from(seconds).unwrap_or(u32::MAX).min(u32::MAX - 1))
        })
    }

    /// Whether they are one now, if that is known.
    pub(super) fn is_minor(self, now: Timestamp) -> Option<bool> {
        (self != Self::UNKNOWN).then(|| now.millis() < i64::from(self.0) * 1000)
    }
}

/// What else an entry says, a bit each: as truth values they would not leave it in one line of the cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks(u8);

impl Marks {
    /// For numbers about groups, never for a record.
    pub(super) const AGGREGATE_ONLY: Self = Self(1);
    /// The guardian's agreement is needed and not there.
    pub(super) const GUARDIAN_MISSING: Self = Self(1 << 1);
    /// A guardian has given it with the learner.
    pub(super) const GUARDIAN_GAVE: Self = Self(1 << 2);
    /// For a number of transfers: [`super::limits`] knows how many and which.
    pub(super) const LIMITED: Self = Self(1 << 3);

    pub(super) const fn with(self, mark: Self, set: bool) -> Self {
        if set { Self(self.0 | mark.0) } else { self }
    }

    pub(super) const fn has(self, mark: Self) -> bool {
        self.0 & mark.0 != 0
    }
}

/// One consent, objection or restriction of one learner. It lies in one line of the cache.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(super) struct Entry {
    learner: Learner,
    pub(super) id: Uuid,
    pub(super) from: Timestamp,
    pub(super) until: Timestamp,
    pub(super) terms: TermsId,
    /// The learner's next entry, or the next free place.
    next: u32,
    pub(super) of_age: OfAge,
    pub(super) standing: Standing,
    pub(super) marks: Marks,
}

const _: () = assert!(size_of::<Entry>() == 64, "an entry lies in one line of the cache");

impl Entry {
    /// An entry that stands alone so far.
    pub(super) fn new(
        learner: Learner,
        id: Uuid,
        terms: TermsId,
        (from, until): (Timestamp, Timestamp),
        standing: Standing,
    ) -> Self {
        Self {
            learner,
            id,
            from,
            until,
            terms,
            next: END,
            of_age: OfAge::UNKNOWN,
            standing,
            marks: Marks::default(),
        }
    }

    /// Something that the earlier entry of the same consent let out does not leave under this one.
    pub(super) fn permits_less_than(&self, before: &Self) -> bool {
        before.from < self.from
            || self.until < before.until
            || self.terms != before.terms
            || before.marks.has(Marks::GUARDIAN_GAVE) && !self.marks.has(Marks::GUARDIAN_GAVE)
    }
}

/// The learners whose hashes begin with the same byte.
struct Shard {
    /// Where each learner's first entry is.
    first: Cells,
    entries: Vec<Entry>,
    /// The first place in `entries` that nobody uses.
    free: u32,
    /// No given consent here ends before. It may be earlier than the first end: a withdrawal does not look for the next one.
    soonest: Timestamp,
}

impl Default for Shard {
    fn default() -> Self {
        Self {
            first: Cells::default(),
            entries: Vec::new(),
            free: END,
            soonest: Timestamp::MAX,
        }
    }
}

impl Shard {
    fn get(&self, at: u32) -> Option<&Entry> {
        self.entries.get(at as usize)
    }

    fn get_mut(&mut self, at: u32) -> Option<&mut Entry> {
        self.entries.get_mut(at as usize)
    }

    fn head(&self, learner: Learner) -> u32 {
        let same = |at| self.get(at).is_some_and(|entry| entry.learner == learner);
        self.first.find(learner.cell(), same).unwrap_or(END)
    }

    /// Writes an entry where there is room, growing by an eighth: doubling would leave half of the memory unused.
    fn place(&mut self, entry: Entry) -> u32 {
        let at = self.free;
        if let Some(place) = self.get_mut(at) {
            let free = place.next;
            *place = entry;
            self.free = free;
            return at;
        }
        if self.entries.len() == self.entries.capacity() {
            self.entries.reserve_exact(self.entries.len() / 8 + 8);
        }
        let at = u32::try_from(self.entries.len()).unwrap_or(END);
        self.entries.push(entry);
        at
    }

    /// Puts an entry in the place of the learner's one of the same id, which it returns, or beside the others.
    fn put(&mut self, entry: Entry) -> Option<Entry> {
        let mut at = self.head(entry.learner);
        while let Some(place) = self.get_mut(at) {
            if place.id == entry.id {
                let before = std::mem::replace(place, entry);
                place.next = before.next;
                self.note_end(&entry);
                return Some(before);
            }
            at = place.next;
        }
        self.insert(entry);
        None
    }

    fn note_end(&mut self, entry: &Entry) {
        if entry.standing == Standing::Given {
            self.soonest = self.soonest.min(entry.until);
        }
    }

    fn insert(&mut self, entry: Entry) {
        let learner = entry.learner;
        self.note_end(&entry);
        let head = self.head(learner);
        let at = self.place(entry);
        match self.get_mut(head) {
            // Behind the first, so that the table need not change.
            Some(first) => {
                let next = std::mem::replace(&mut first.next, at);
                if let Some(placed) = self.get_mut(at) {
                    placed.next = next;
                }
            }
            None => self.first.insert(learner.cell(), at),
        }
    }

    /// Takes the entries out that `which` names, and puts the others back as they were.
    fn remove(&mut self, learner: Learner, which: impl Fn(Uuid) -> bool) {
        let head = self.head(learner);
        self.first.remove(learner.cell(), head);
        let (mut at, mut kept) = (head, Vec::new());
        while let Some(entry) = self.get(at).copied() {
            self.vacate(at);
            at = entry.next;
            if !which(entry.id) {
                kept.push(Entry { next: END, ..entry });
            }
        }
        kept.into_iter().for_each(|entry| self.insert(entry));
    }

    /// An unused place is nobody's, and nothing in it ends.
    fn vacate(&mut self, at: u32) {
        let free = std::mem::replace(&mut self.free, at);
        if let Some(place) = self.get_mut(at) {
            place.standing = Standing::Withdrawn;
            place.next = free;
        }
    }

    fn expire(&mut self, now: Timestamp, expired: &mut Vec<Uuid>) {
        let mut soonest = Timestamp::MAX;
        for entry in self
            .entries
            .iter_mut()
            .filter(|entry| entry.standing == Standing::Given)
        {
            if entry.until <= now {
                entry.standing = Standing::Expired;
                expired.push(entry.id);
            } else {
                soonest = soonest.min(entry.until);
            }
        }
        self.soonest = soonest;
    }
}

/// All learners.
pub(super) struct Table {
    key: (u64, u64),
    shards: Box<[RwLock<Shard>]>,
    /// Also a shard: so every first byte leads to one, whatever the compiler knows of the number of the others.
    last: RwLock<Shard>,
}

impl Default for Table {
    fn default() -> Self {
        // The standard library's own random key, which comes from the system, makes ours.
        let random = RandomState::new();
        Self {
            key: (random.hash_one(1), random.hash_one(2)),
            shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
            last: RwLock::default(),
        }
    }
}

impl Table {
    pub(super) fn learner(&self, subject: &str) -> Learner {
        let hash = SipHasher13::new_with_keys(self.key.0, self.key.1).hash(subject.as_bytes());
        Learner {
            high: hash.h1,
            low: hash.h2,
        }
    }

    fn shard(&self, learner: Learner) -> &RwLock<Shard> {
        self.shards.get(learner.shard()).unwrap_or(&self.last)
    }

    fn read(&self, learner: Learner) -> RwLockReadGuard<'_, Shard> {
        self.shard(learner).read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, learner: Learner) -> RwLockWriteGuard<'_, Shard> {
        self.shard(learner).write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows a learner's entries, first to last. `true` if there is one.
    pub(super) fn each(&self, learner: Learner, mut show: impl FnMut(&Entry)) -> bool {
        let shard = self.read(learner);
        let head = shard.head(learner);
        let mut at = head;
        while let Some(entry) = shard.get(at) {
            show(entry);
            at = entry.next;
        }
        head != END
    }

    /// Takes an entry in. Returns the one of the same learner and id in whose place it stands, if there was one: whoever looks sees the one
    /// or the other, never none and never both.
    pub(super) fn put(&self, entry: Entry) -> Option<Entry> {
        self.write(entry.learner).put(entry)
    }

    /// Changes the standing of those of a learner's consents that `which` names. An objection stays one, and so does a restriction.
    pub(super) fn set(&self, learner: Learner, standing: Standing, which: impl Fn(Uuid) -> bool) {
        let mut shard = self.write(learner);
        let mut at = shard.head(learner);
        while let Some(entry) = shard.get_mut(at) {
            if entry.standing.is_of_a_consent() && which(entry.id) {
                entry.standing = standing;
            }
            at = entry.next;
        }
    }

    /// Changes from when on a learner is no minor; `true` if an entry of theirs said something else.
    pub(super) fn tell_age(&self, learner: Learner, of_age: OfAge) -> bool {
        let mut shard = self.write(learner);
        let (mut at, mut changed) = (shard.head(learner), false);
        while let Some(entry) = shard.get_mut(at) {
            changed |= std::mem::replace(&mut entry.of_age, of_age) != of_age;
            at = entry.next;
        }
        changed
    }

    pub(super) fn remove(&self, learner: Learner, which: impl Fn(Uuid) -> bool) {
        self.write(learner).remove(learner, which);
    }

    fn all(&self) -> impl Iterator<Item = &RwLock<Shard>> {
        self.shards.iter().chain([&self.last])
    }

    fn soonest(shard: &RwLock<Shard>) -> Timestamp {
        shard.read().unwrap_or_else(PoisonError::into_inner).soonest
    }

    /// An instant before which no given consent ends.
    pub(super) fn next_expiry(&self) -> Option<Timestamp> {
        let soonest = self.all().map(Self::soonest).min()?;
        (soonest < Timestamp::MAX).then_some(soonest)
    }

    /// Marks what has ended by now and was not marked yet. A heap of all ends would cost a quarter more memory; looking through those
    /// shards in which something ends costs some 20 µs for each, and consents live for months.
    pub(super) fn expire(&self, now: Timestamp) -> Vec<Uuid> {
        let mut expired = Vec::new();
        for shard in self.all().filter(|shard| Self::soonest(shard) <= now) {
            let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
            shard.expire(now, &mut expired);
        }
        expired
    }
}
