//! What the receiver of a stream is told of what was withheld: one total over all reasons, in the end line, of learners and not of records, and
//! only where a whole group of them is behind it. Pure. Which transfer may tell one, and what was told before, is decided in `telling`.

use crate::consent::Tag;
use policy::release::GroupSize;

/// Fewer learners than this are no group, and totals are multiples of it: what holds of releases holds of a total as well.
const GROUP: u64 = GroupSize::DEFAULT.get() as u64;
/// Words of 64 places each.
const WORDS: usize = 32;

/// Learners of whom something was withheld, each at one place of 2048, by the name that they would have in the stream. The places taken are
/// never more than the learners, and nearly as many while these are few. One learner takes one place, whatever the number of their records: of
/// records one learner could be nearly all, and the total would tell what became of that one. Numbers, so that a cursor can seal them.
pub(super) type Behind = [u64; WORDS];

/// Counts a learner.
pub(super) fn count(behind: &mut Behind, learner: Tag) {
    let [.., word, bit] = learner.bytes();
    if let Some(places) = behind.get_mut(usize::from(word) % WORDS) {
        *places |= 1 << (bit % 64);
    }
}

/// The total that may be told: at least so many learners, rounded down to whole groups; none below one, which looks like nothing withheld.
pub(super) fn shown(behind: &Behind) -> Option<u64> {
    let learners: u64 = behind.iter().map(|word| u64::from(word.count_ones())).sum();
    let rounded = learners - learners % GROUP;
    (rounded > 0).then_some(rounded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{consent::Pseudonyms, jose::HmacKey};

    fn behind(learners: u64, times: u64) -> Behind {
        let names = Pseudonyms::new(HmacKey::new(b"secret")).towards(&"did:web:work.example".parse().unwrap());
        let mut behind = [0; WORDS];
        for _ in 0..times {
            for learner in 0..learners {
                count(&mut behind, names.tag(&format!("l{learner}")));
            }
        }
        behind
    }

    #[test]
    fn a_total_is_whole_groups_of_learners_and_below_one_there_is_none() {
        for learners in 0..GROUP {
            assert_eq!(shown(&behind(learners, 1)), None, "{learners}");
        }
        for learners in [GROUP + 2, 2 * GROUP + 5, 100, 1_000, 100_000] {
            let told = shown(&behind(learners, 1)).unwrap();
            assert!(told.is_multiple_of(GROUP) && told <= learners, "{told} of {learners}");
            assert!(told + 2 * GROUP > learners || learners > 100, "{told} of {learners}");
        }
    }

    #[test]
    fn a_learner_counts_once_whatever_the_number_of_their_records() {
        for learners in [1, 9, 12, 25] {
            assert_eq!(behind(learners, 1_000), behind(learners, 1), "{learners}");
        }
        let (mut one, nine) = ([0; WORDS], behind(9, 1));
        let names = Pseudonyms::new(HmacKey::new(b"secret")).towards(&"did:web:work.example".parse().unwrap());
        for _ in 0..10_000 {
            count(&mut one, names.tag("heavy"));
        }
        let all: Vec<u64> = one.iter().zip(&nine).map(|(one, nine)| one | nine).collect();
        assert!(shown(&all.try_into().unwrap()).is_none_or(|told| told == GROUP));
    }
}
