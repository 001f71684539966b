//! Lawful bases other than consent (GDPR art. 6(1)(b), (e), (f)): rules of the holder that permit records of every learner who was not
//! asked for consent to the same and has not objected.

use super::{
    Question,
    terms::{Covered, Terms},
};
use crate::catalog::CategorySet;
use policy::Timestamp;
use std::sync::{
    PoisonError, RwLock,
    atomic::{AtomicU64, Ordering},
};

/// On what the holder bases the processing, if not on consent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Basis {
    /// A task in the public interest, GDPR art. 6(1)(e).
    PublicTask,
    /// A legitimate interest, GDPR art. 6(1)(f).
    LegitimateInterest,
    /// A contract with the learner, GDPR art. 6(1)(b).
    Contract,
}

impl Basis {
    /// Whether a learner has the right to object (GDPR art. 21(1): not to a contract).
    pub const fn objectable(self) -> bool {
        matches!(self, Self::PublicTask | Self::LegitimateInterest)
    }
}

/// A rule of the holder: these records may go out without consent.
#[derive(Clone, Copy, Debug)]
pub struct BasisRule<'a> {
    /// The holder's name for it; opening a rule of the same name replaces it.
    pub id: &'a str,
    /// On what it rests.
    pub basis: Basis,
    /// To whom, what for, and of what.
    pub covered: Covered<'a>,
    /// From when.
    pub from: Timestamp,
    /// Until when: the first instant at which it no longer holds.
    pub until: Timestamp,
    /// A learner's objection ends it for them. Always so where [`Basis::objectable`] says that they have the right.
    pub may_object: bool,
}

/// A rule as the index holds it.
struct Rule {
    id: String,
    terms: Terms,
    from: Timestamp,
    until: Timestamp,
    may_object: bool,
}

/// The holder's rules. They are few.
#[derive(Default)]
pub(super) struct Rules {
    all: RwLock<Vec<Rule>>,
    version: AtomicU64,
}

impl Rules {
    pub(super) fn open(&self, rule: &BasisRule<'_>, terms: Terms) {
        let new = Rule {
            id: rule.id.to_owned(),
            terms,
            from: rule.from,
            until: rule.until,
            may_object: rule.may_object || rule.basis.objectable(),
        };
        self.change(|all| {
            all.retain(|old| old.id != new.id);
            all.push(new);
        });
    }

    pub(super) fn close(&self, id: &str) {
        self.change(|all| all.retain(|old| old.id != id));
    }

    /// No rule ends before.
    pub(super) fn next_end(&self) -> Option<Timestamp> {
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        all.iter().map(|rule| rule.until).min()
    }

    /// Takes the rules out whose end has come. `true` if there was one.
    pub(super) fn expire(&self, now: Timestamp) -> bool {
        let due = self.next_end().is_some_and(|end| end <= now);
        if due {
            self.change(|all| all.retain(|rule| now < rule.until));
        }
        due
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Rule>)) {
        let mut all = self.all.write().unwrap_or_else(PoisonError::into_inner);
        change(&mut all);
        self.version.fetch_add(1, Ordering::Release);
    }

    /// Works out again which rules bear on a question, if any has changed.
    pub(super) fn follow(&self, bases: &mut Bases, question: &Question) {
        if self.version.load(Ordering::Acquire) == bases.version {
            return;
        }
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        bases.version = self.version.load(Ordering::Acquire);
        bases.bearing.clear();
        bases.bearing.extend(all.iter().map(|rule| Bearing {
            // What the policy never lets out without consent has no other basis here.
            permits: question.verdict(&rule.terms).permits.and(question.without_consent),
            from: rule.from,
            until: rule.until,
            may_object: rule.may_object,
        }));
    }
}

/// What one rule means to one question.
struct Bearing {
    permits: CategorySet,
    from: Timestamp,
    until: Timestamp,
    may_object: bool,
}

/// What the rules mean to one question, as of one version of them.
#[derive(Default)]
pub(super) struct Bases {
    bearing: Vec<Bearing>,
    version: u64,
}

impl Bases {
    /// What is permitted at one instant.
    pub(super) fn ground(&self, now: Timestamp) -> Ground {
        let mut ground = Ground::default();
        for rule in self.bearing.iter().filter(|rule| rule.from <= now && now < rule.until) {
            let set = if rule.may_object {
                &mut ground.unless_objected
            } else {
                &mut ground.firm
            };
            *set = set.union(rule.permits);
        }
        ground
    }
}

/// What goes out without consent for now.
#[derive(Clone, Copy, Default)]
pub(super) struct Ground {
    firm: CategorySet,
    unless_objected: CategorySet,
}

impl Ground {
    /// Whether anything would go out.
    pub(super) fn is_some(self) -> bool {
        self.firm.union(self.unless_objected) != CategorySet::EMPTY
    }

    /// What is left for a learner who was `asked` for consent to some categories and has `objected` for some. Where consent was chosen
    /// as the basis there is no falling back on another once it has ended (EDPB guidelines 05/2020, 122).
    pub(super) fn without(self, asked: CategorySet, objected: CategorySet) -> CategorySet {
        self.firm.union(self.unless_objected.without(objected)).without(asked)
    }
}
