//! Learners together and what they add up to, with what the dominance rule asks of a sum. Which of them are together is decided in the modules
//! above.

use crate::release::GroupSize;

/// Learners together, with what the dominance rule asks of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) learners: u64,
    pub(super) sums: Vec<Sum>,
}

/// A sum with what the dominance rule asks of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::release) struct Sum {
    pub(super) all: u128,
    /// The largest contribution and the next.
    largest: [u128; 2],
}

impl Sum {
    /// What one learner adds.
    pub(in crate::release) fn of(amount: u128) -> Self {
        Self {
            all: amount,
            largest: [amount, 0],
        }
    }

    pub(in crate::release) fn with(self, other: Self) -> Self {
        let ([a, b], [c, d]) = (self.largest, other.largest);
        let largest = if a >= c { [a, b.max(c)] } else { [c, d.max(a)] };
        Self {
            all: self.all + other.all,
            largest,
        }
    }

    /// No contributor above 50 %, no two above 80 %. A union of groups for which it holds is a group for which it holds.
    pub(in crate::release) fn has_no_dominant(&self) -> bool {
        let [first, second] = self.largest;
        first * 2 <= self.all && (first + second) * 5 <= self.all * 4
    }
}

impl Group {
    pub(super) fn add(&mut self, amounts: &[u128]) {
        self.learners += 1;
        self.sums.resize(amounts.len(), Sum::default());
        for (sum, amount) in self.sums.iter_mut().zip(amounts) {
            *sum = sum.with(Sum::of(*amount));
        }
    }

    pub(super) fn join(&mut self, other: &Self) {
        self.learners += other.learners;
        self.sums.resize(self.sums.len().max(other.sums.len()), Sum::default());
        for (sum, more) in self.sums.iter_mut().zip(&other.sums) {
            *sum = sum.with(*more);
        }
    }

    pub(super) fn of<'g>(groups: impl IntoIterator<Item = &'g Self>) -> Self {
        let mut all = Self::default();
        groups.into_iter().for_each(|group| all.join(group));
        all
    }

    pub(super) fn has_no_dominant(&self) -> bool {
        self.sums.iter().all(Sum::has_no_dominant)
    }

    pub(super) fn may_be_published(&self, k: GroupSize) -> bool {
        k.allows(self.learners) && self.has_no_dominant()
    }
}
