//! Consents of one learner that are each for some of the purposes of a question: what they permit together is what, for each purpose, one of
//! them permits. Sets alone; knows no learner and no time.

use super::{answers::Cover, terms::Scope};
use crate::catalog::CategorySet;

/// What terms permit for some of the purposes of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// These categories and single fields. Of a whole category each of its fields too, because another consent may be to those alone.
    pub(super) permits: CategorySet,
    /// For these purposes: a bit each, by their places in the question.
    purposes: u64,
}

impl Part {
    /// Where terms are for all purposes, for none, or about something else.
    pub(super) const NONE: Self = Self {
        permits: CategorySet::EMPTY,
        purposes: 0,
    };

    /// For those of the `asked` purposes that are among the `named`. Of more than have a bit, nothing is joined.
    pub(super) fn of(permits: CategorySet, asked: &[u32], named: &Scope) -> Self {
        if asked.len() > u64::BITS as usize {
            return Self::NONE;
        }
        let held = asked
            .iter()
            .rev()
            .fold(0, |bits, purpose| bits << 1 | u64::from(named.holds(*purpose)));
        match held {
            purposes if purposes != 0 && permits != CategorySet::EMPTY => Self { permits, purposes },
            _ => Self::NONE,
        }
    }

    const fn is_for(self, place: usize) -> bool {
        self.purposes >> place & 1 == 1
    }
}

/// What the consents of one learner cover for each purpose. The room is used again for each learner, and taken when the first needs it.
#[derive(Debug)]
pub(super) struct Joint {
    /// How many the question names.
    purposes: usize,
    /// By their places; empty where no consent for a part of them was met.
    covers: Vec<Cover>,
}

impl Joint {
    /// For a question with so many purposes.
    pub(super) const fn new(purposes: usize) -> Self {
        Self {
            purposes,
            covers: Vec::new(),
        }
    }

    /// Another learner is looked at.
    pub(super) fn clear(&mut self) {
        self.covers.clear();
    }

    /// A consent in force permits this.
    pub(super) fn add(&mut self, part: Part, guarded: bool) {
        self.covers.resize(self.purposes, Cover::NOTHING);
        let theirs = self.covers.iter_mut().enumerate();
        for (_, cover) in theirs.filter(|(place, _)| part.is_for(*place)) {
            cover.consent(part.permits, guarded);
        }
    }

    /// What is covered for every purpose. With what one consent covers for all of them, it is all that they cover: a category that one covers
    /// alone is covered for each purpose.
    pub(super) fn cover(&self) -> Cover {
        self.covers.iter().copied().reduce(Cover::and).unwrap_or(Cover::NOTHING)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(bits: u64) -> CategorySet {
        CategorySet::from_bits(bits)
    }

    #[test]
    fn what_each_purpose_has_a_consent_for_is_covered_whoever_gave_which() {
        let mut joint = Joint::new(3);
        assert_eq!(joint.cover(), Cover::NOTHING);
        let asked = [7, 3, 5];
        let part = |permits, named: &[u32]| Part::of(set(permits), &asked, &Scope::only(named.iter().copied()));
        joint.add(part(0b0111, &[7, 9]), true);
        joint.add(part(0b0110, &[5, 3]), false);
        assert_eq!(joint.cover().consented, set(0b0110));
        assert_eq!(joint.cover().guarded, CategorySet::EMPTY, "for one purpose alone");
        joint.add(part(0b0101, &[3]), true);
        assert_eq!(joint.cover().consented, set(0b0110), "not for every purpose");
        joint.add(part(0b0100, &[5]), true);
        assert_eq!(
            (joint.cover().consented, joint.cover().guarded),
            (set(0b0110), set(0b0100))
        );
        joint.clear();
        assert_eq!(joint.cover(), Cover::NOTHING);
    }

    #[test]
    fn terms_for_no_purpose_of_the_question_are_no_part_and_nothing_is_joined_over_too_many() {
        let (all, asked): (Vec<u32>, [u32; 2]) = ((0..65).collect(), [1, 2]);
        assert_eq!(Part::of(CategorySet::ALL, &asked, &Scope::only([3])), Part::NONE);
        assert_eq!(Part::of(CategorySet::EMPTY, &asked, &Scope::only([1])), Part::NONE);
        assert_eq!(Part::of(CategorySet::ALL, &[], &Scope::All), Part::NONE);
        assert_eq!(Part::of(CategorySet::ALL, &all, &Scope::only([3])), Part::NONE);
        let most = Part::of(CategorySet::ALL, &all[..64], &Scope::only([0, 63, 64]));
        assert!((0..64).all(|place| most.is_for(place) == [0, 63].contains(&place)));
    }
}
