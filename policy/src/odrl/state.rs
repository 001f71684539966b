//! What is known when a policy is evaluated: the request, and the state of the world. Facts come in here; nothing is looked up elsewhere.

use super::{Comparison, Instant, Value};
use crate::{Truth, vocabulary::ODRL};
use std::collections::{BTreeMap, BTreeSet};

/// What somebody wants to do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Request {
    /// The action.
    pub action: String,
    /// The asset, where it is known.
    pub target: Option<String>,
    /// Who asks, where that is known.
    pub assignee: Option<String>,
}

/// Of what a left operand is asked: a constraint asks the world, a refinement asks the request (ODRL 2.2 §2.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Of {
    /// The state of the world.
    World,
    /// What exactly is done.
    Action,
    /// The asset asked for.
    Target,
    /// The party that asks.
    Party,
}

/// How far a duty has come, or a prohibition been kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Deontic {
    /// Neither; for a prohibition: kept so far.
    #[default]
    NotSet,
    /// Done. For a prohibition: violated, and all its remedies done.
    Fulfilled,
    /// Not done, and too late. For a prohibition: what it forbids was done.
    Violated,
}

/// The facts that a policy is evaluated against.
pub trait State {
    /// The trusted clock.
    fn now(&self) -> Option<Instant>;

    /// The values of the left operand of a comparison, in the unit that it asks for: none when they are not known, an empty list when it is
    /// known that there are none.
    fn values(&self, of: Of, comparison: &Comparison) -> Option<Vec<Value>>;

    /// The truth of a comparison whose left operand is not known.
    fn missing(&self) -> Truth {
        Truth::Unknown
    }

    /// Whether a party or an asset belongs to a collection. Who knows collections knows all their members.
    fn is_member(&self, member: &str, collection: &str) -> bool;

    /// Whether a thing is contained in another, a place in a region.
    fn is_part_of(&self, part: &str, whole: &str) -> Truth;

    /// Whether a concept lies below another.
    fn is_a(&self, concept: &str, wider: &str) -> Truth;

    /// Beginning and end of an event; no end when it goes on.
    fn event(&self, _event: &str) -> Option<(Instant, Option<Instant>)> {
        None
    }

    /// Since when a constraint has held, for `andSequence`.
    fn holds_since(&self, _constraint: &str) -> Option<Instant> {
        None
    }

    /// How far the rule of this id has come.
    fn deontic(&self, rule: &str) -> Deontic;
}

/// Names, each below those that it points to, over any number of steps; circles are harmless.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hierarchy {
    above: BTreeMap<String, BTreeSet<String>>,
    tops: BTreeSet<String>,
}

impl Hierarchy {
    /// Says that `below` lies directly below `above`.
    pub fn insert(&mut self, below: impl Into<String>, above: impl Into<String>) {
        let above = above.into();
        self.tops.insert(above.clone());
        self.above.entry(below.into()).or_default().insert(above);
    }

    /// Whether `name` is `above` or lies below it.
    pub fn reaches(&self, name: &str, above: &str) -> bool {
        let (mut open, mut seen) = (vec![name], BTreeSet::new());
        while let Some(at) = open.pop() {
            if at == above {
                return true;
            }
            if seen.insert(at) {
                open.extend(self.above.get(at).into_iter().flatten().map(String::as_str));
            }
        }
        false
    }

    /// As [`Hierarchy::reaches`], but of a name that the hierarchy does not hold nothing is known.
    pub fn places(&self, name: &str, above: &str) -> Truth {
        if self.reaches(name, above) {
            Truth::True
        } else if self.above.contains_key(name) || self.tops.contains(name) {
            Truth::False
        } else {
            Truth::Unknown
        }
    }
}

/// A value with the unit that it is measured in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measured {
    /// The value.
    pub value: Value,
    /// Its unit.
    pub unit: Option<String>,
}

impl From<Value> for Measured {
    fn from(value: Value) -> Self {
        Self { value, unit: None }
    }
}

/// A state of the world held in memory.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct World {
    /// The trusted clock.
    pub now: Option<Instant>,
    /// The values of left operands, by what they are of and by full IRI.
    pub values: BTreeMap<(Of, String), Vec<Measured>>,
    /// `odrl:partOf`: members in collections, parts in wholes.
    pub part_of: Hierarchy,
    /// Narrower concepts below wider ones.
    pub concepts: Hierarchy,
    /// Beginnings and ends of events.
    pub events: BTreeMap<String, (Instant, Option<Instant>)>,
    /// Since when constraints have held, by their id.
    pub since: BTreeMap<String, Instant>,
    /// What became of rules, by their id.
    pub deontic: BTreeMap<String, Deontic>,
}

impl World {
    /// Adds a value of a left operand, which is a name of ODRL when it stands bare.
    pub fn know(&mut self, of: Of, left: &str, value: impl Into<Measured>) {
        let left = super::read::left_operand(left);
        self.values.entry((of, left)).or_default().push(value.into());
    }
}

impl State for World {
    fn now(&self) -> Option<Instant> {
        self.now
    }

    /// The clock is what `dateTime` means, of the world and of what is done now. `status` is what the policy itself says of an operand, and
    /// stands in where nothing newer is known. A value in another unit is no value: nothing here converts.
    fn values(&self, of: Of, comparison: &Comparison) -> Option<Vec<Value>> {
        if let Some(known) = self.values.get(&(of, comparison.left.clone())) {
            let fits = known.iter().all(|measured| measured.unit == comparison.unit);
            return fits.then(|| known.iter().map(|measured| measured.value.clone()).collect());
        }
        match ODRL.local(&comparison.left) {
            Some("dateTime") if matches!(of, Of::World | Of::Action) => Some(vec![Value::Instant(self.now?, true)]),
            _ => comparison.status.clone().map(|status| vec![status]),
        }
    }

    fn is_member(&self, member: &str, collection: &str) -> bool {
        self.part_of.reaches(member, collection)
    }

    fn is_part_of(&self, part: &str, whole: &str) -> Truth {
        self.part_of.places(part, whole)
    }

    fn is_a(&self, concept: &str, wider: &str) -> Truth {
        self.concepts.places(concept, wider)
    }

    fn event(&self, event: &str) -> Option<(Instant, Option<Instant>)> {
        self.events.get(event).copied()
    }

    fn holds_since(&self, constraint: &str) -> Option<Instant> {
        self.since.get(constraint).copied()
    }

    fn deontic(&self, rule: &str) -> Deontic {
        self.deontic.get(rule).copied().unwrap_or_default()
    }
}
