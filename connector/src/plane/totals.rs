//! What the receiver of a stream is told of what was withheld: one total over all reasons, in the end line, and only where a whole group of
//! learners is behind it. Pure. Which transfer may tell one is decided elsewhere (`transfer/totals.rs`).

use super::Release;
use crate::consent::Tag;
use policy::release::GroupSize;
use std::sync::{Arc, OnceLock};

/// Fewer learners than this are no group, and totals are multiples of it: what holds of releases holds of a total as well.
const GROUP: usize = GroupSize::DEFAULT.get() as usize;

/// Different learners of whom something was withheld: as many as make a group, and no more are looked for. They are counted, because one
/// learner may have any number of records. Numbers, so that a cursor can seal them; 0 is nobody.
pub(super) type Behind = [u64; GROUP];

/// Whether so many are there that no more have to be looked for.
pub(super) fn is_group(behind: &Behind) -> bool {
    behind.iter().all(|learner| *learner != 0)
}

/// Counts a learner, by the name that they would have in the stream.
pub(super) fn count(behind: &mut Behind, learner: Tag) {
    let number = learner
        .bytes()
        .first_chunk()
        .map_or(1, |first| u64::from_be_bytes(*first).max(1));
    if behind.contains(&number) {
        return;
    }
    if let Some(free) = behind.iter_mut().find(|place| **place == 0) {
        *free = number;
    }
}

/// The total that may be told of so many withheld records: rounded down to whole groups; none below one, which looks like nothing withheld.
pub(super) fn shown(records: u64, behind: &Behind) -> Option<u64> {
    let rounded = records - records % GROUP as u64;
    (is_group(behind) && rounded > 0).then_some(rounded)
}

/// What one transfer tells at the end of its streams. It is fixed when it is told first: whoever reads on or again is told the same, so that no
/// two totals can be compared. Clones tell the same.
#[derive(Clone, Debug, Default)]
pub struct Telling(Option<Arc<OnceLock<Option<u64>>>>);

impl Telling {
    /// Nothing is told, whatever was withheld.
    pub fn nothing() -> Self {
        Self(None)
    }

    /// What the first stream that comes to its end finds.
    pub fn first() -> Self {
        Self(Some(Arc::default()))
    }

    /// What was told before.
    pub fn again(told: Option<u64>) -> Self {
        Self(Some(Arc::new(OnceLock::from(told))))
    }

    /// What the end line tells after `release`.
    pub(super) fn at_end(&self, release: &Release) -> Option<u64> {
        *self.0.as_ref()?.get_or_init(|| release.shown())
    }

    /// What was told, if a stream came to its end.
    pub fn told(&self) -> Option<u64> {
        *self.0.as_ref()?.get()?
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{consent::Pseudonyms, jose::HmacKey};

    fn behind(learners: usize, times: usize) -> Behind {
        let names = Pseudonyms::new(HmacKey::new(b"secret")).towards(&"did:web:work.example".parse().unwrap());
        let mut behind = Behind::default();
        for _ in 0..times {
            for learner in 0..learners {
                count(&mut behind, names.tag(&format!("l{learner}")));
            }
        }
        behind
    }

    #[test]
    fn a_total_is_whole_groups_and_below_one_there_is_none() {
        let many = behind(GROUP, 1);
        for (records, told) in [
            (0, None),
            (4, None),
            (9, None),
            (10, Some(10)),
            (12, Some(10)),
            (19, Some(10)),
            (20, Some(20)),
            (1_234, Some(1_230)),
        ] {
            assert_eq!(shown(records, &many), told, "{records}");
        }
    }

    #[test]
    fn many_records_of_fewer_learners_than_a_group_are_told_to_nobody() {
        for learners in 0..GROUP {
            let few = behind(learners, 3);
            assert!(!is_group(&few) && shown(1_000, &few).is_none(), "{learners}");
        }
        for learners in [GROUP, GROUP + 1, 3 * GROUP] {
            assert_eq!(shown(1_000, &behind(learners, 2)), Some(1_000), "{learners}");
        }
    }

    #[test]
    fn what_was_told_first_is_told_ever_after() {
        let release = |records| Release::of_consents(records, behind(GROUP, 1));
        let telling = Telling::first();
        assert_eq!((telling.told(), telling.at_end(&release(25))), (None, Some(20)));
        assert_eq!(
            (telling.clone().at_end(&release(31)), telling.told()),
            (Some(20), Some(20))
        );
        // Nothing is a total too: it does not become one later.
        let telling = Telling::first();
        assert_eq!(telling.at_end(&release(3)), None);
        assert_eq!(telling.at_end(&release(31)), None);
        assert_eq!(Telling::again(Some(10)).at_end(&release(31)), Some(10));
        assert_eq!(Telling::again(None).at_end(&release(31)), None);
        assert_eq!(Telling::nothing().at_end(&release(31)), None);
    }
}
