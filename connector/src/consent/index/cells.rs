//! Where each learner's first entry is: open addressing over cells of eight bytes, so that finding a place takes one line of the cache.

/// A cell that nobody uses. No entry has the highest number, so no used cell looks like it.
const EMPTY: u64 = u64::MAX;
/// The least number of cells, if there are any.
const LEAST: usize = 16;

/// Numbers of entries by a part of a hash. A cell holds both, so that growing and removing need not look at any entry.
#[derive(Default)]
pub(super) struct Cells {
    /// As many as a power of two, or none; a quarter of them is always empty.
    all: Vec<u64>,
    used: usize,
}

const fn cell(hash: u32, entry: u32) -> u64 {
    (hash as u64) << 32 | entry as u64
}

const fn hash(cell: u64) -> u32 {
    (cell >> 32) as u32
}

const fn entry(cell: u64) -> u32 {
    cell as u32
}

impl Cells {
    fn at(&self, place: usize) -> u64 {
        self.all.get(place).copied().unwrap_or(EMPTY)
    }

    fn put(&mut self, place: usize, cell: u64) {
        if let Some(old) = self.all.get_mut(place) {
            *old = cell;
        }
    }

    fn mask(&self) -> usize {
        self.all.len().wrapping_sub(1)
    }

    /// The places from where a hash belongs on. It comes to an empty one, if only because there are none at all.
    fn from(&self, hash: u32) -> impl Iterator<Item = (usize, u64)> {
        let mask = self.mask();
        let places = (hash as usize..).map(move |place| place & mask);
        places
            .map(|place| (place, self.at(place)))
            .take_while(|(_, cell)| *cell != EMPTY)
    }

    /// The entry of this hash that is the `same`.
    pub(super) fn find(&self, of: u32, same: impl Fn(u32) -> bool) -> Option<u32> {
        self.from(of)
            .find(|(_, cell)| hash(*cell) == of && same(entry(*cell)))
            .map(|(_, cell)| entry(cell))
    }

    /// Adds an entry, which must not be there yet.
    pub(super) fn insert(&mut self, hash: u32, entry: u32) {
        if (self.used + 1) * 4 > self.all.len() * 3 {
            self.grow();
        }
        self.used += 1;
        self.place(cell(hash, entry));
    }

    fn place(&mut self, cell: u64) {
        let mask = self.mask();
        let mut place = hash(cell) as usize & mask;
        while self.at(place) != EMPTY {
            place = (place + 1) & mask;
        }
        self.put(place, cell);
    }

    fn grow(&mut self) {
        let size = (self.all.len() * 2).max(LEAST);
        let old = std::mem::replace(&mut self.all, vec![EMPTY; size]);
        for cell in old.into_iter().filter(|cell| *cell != EMPTY) {
            self.place(cell);
        }
    }

    /// Takes an entry out and moves those behind it that would no longer be found.
    pub(super) fn remove(&mut self, of: u32, number: u32) {
        let Some((mut hole, _)) = self.from(of).find(|(_, found)| *found == cell(of, number)) else {
            return;
        };
        let mask = self.mask();
        self.used -= 1;
        let mut place = hole;
        loop {
            place = (place + 1) & mask;
            let moving = self.at(place);
            if moving == EMPTY {
                break;
            }
            let home = hash(moving) as usize & mask;
            // How far it stands from where it belongs, and from the hole: nobody moves in front of the own place.
            if place.wrapping_sub(home) & mask >= place.wrapping_sub(hole) & mask {
                self.put(hole, moving);
                hole = place;
            }
        }
        self.put(hole, EMPTY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        /// Few hashes, high and low, so that cells collide and runs go round the end.
        #[test]
        fn what_was_inserted_and_not_removed_is_found(steps in prop::collection::vec((any::<bool>(), 0..12u32, 0..40u32), 0..200)) {
            let (mut cells, mut model) = (Cells::default(), BTreeSet::new());
            for (insert, few, entry) in steps {
                let hash = few.wrapping_mul(0x5555_5555).wrapping_sub(few % 3);
                if insert && model.insert((hash, entry)) {
                    cells.insert(hash, entry);
                } else if !insert {
                    model.remove(&(hash, entry));
                    cells.remove(hash, entry);
                }
                for entry in 0..40 {
                    let found = cells.find(hash, |same| same == entry);
                    assert_eq!(found, model.contains(&(hash, entry)).then_some(entry));
                }
                assert_eq!(cells.used, model.len());
            }
        }
    }
}
