//! Reads a policy of ODRL 2.2 from JSON or JSON-LD. Strict where leniency would widen a permission; only the notation is free: members are
//! bare, prefixed or full IRIs, values stand alone, in arrays, in `@list` or `@set`, and a node may be written once and named elsewhere by its
//! `@id`. Terms are read by their names, never through a `@context` that came with the policy. Nothing is ever fetched.

mod constraint;
mod draft;
mod error;
mod node;
mod rule;

pub(super) use constraint::by_shape;
pub use error::{Problem, Unreadable};
pub(super) use node::left_operand;

use super::Policy;
use draft::Draft;
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// How far policies may inherit from one another.
const MAX_ANCESTORS: usize = crate::parse::MAX_DEPTH;

/// Which profiles a policy may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profiles<'a> {
    /// Any: the caller takes it upon itself that their terms are understood.
    Any,
    /// These alone (ODRL 2.2 §3.2: a profile that is not understood stops the processing).
    Known(&'a [&'a str]),
}

/// How a policy is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading<'a> {
    /// Lets through rules without action or target, collections that are refined under their `uid`, offers and agreements without their
    /// parties, and members that are not known. For policies that are looked at and never enforced.
    pub lenient: bool,
    /// Which profiles are understood.
    pub profiles: Profiles<'a>,
}

impl Reading<'_> {
    /// What ODRL requires, and no profile.
    pub const STRICT: Self = Self {
        lenient: false,
        profiles: Profiles::Known(&[]),
    };
    /// Whatever can be read at all.
    pub const LENIENT: Self = Self {
        lenient: true,
        profiles: Profiles::Any,
    };
}

impl Policy {
    /// Reads a policy that inherits from no other.
    ///
    /// # Errors
    /// [`Unreadable`] for the first node that is not as ODRL 2.2 wants it.
    pub fn read(json: &Json, reading: &Reading<'_>) -> Result<Self, Unreadable> {
        let draft = Draft::read(json, reading)?;
        match draft.parents.first() {
            Some((parent, pointer)) => Err(Problem::Inherits(parent.clone()).at(pointer)),
            None => draft.into_policy(reading),
        }
    }

    /// Reads a policy and merges in the rules and the shared properties of all that it inherits from (ODRL 2.2 §2.8). `parent` gives what
    /// the caller holds under an IRI.
    ///
    /// # Errors
    /// [`Unreadable`] as for [`Policy::read`], and for a parent that is missing or inherits from its own child. Pointers into a parent start
    /// with its IRI.
    pub fn resolve(
        child: &Json,
        reading: &Reading<'_>,
        mut parent: impl FnMut(&str) -> Option<Json>,
    ) -> Result<Self, Unreadable> {
        let mut draft = Draft::read(child, reading)?;
        let mut line = vec![draft.id.clone()];
        let mut seen = BTreeMap::new();
        inherit(&mut draft, reading, &mut parent, &mut line, &mut seen)?;
        draft.into_policy(reading)
    }
}

/// Merges the parents of `draft` into it. `line` leads from the child up to `draft`. The rules of what was `seen`
/// are merged already; what it shares holds for whoever else inherits from it.
fn inherit(
    draft: &mut Draft,
    reading: &Reading<'_>,
    parent: &mut impl FnMut(&str) -> Option<Json>,
    line: &mut Vec<String>,
    seen: &mut BTreeMap<String, Draft>,
) -> Result<(), Unreadable> {
    let mut parents = Vec::new();
    for (iri, pointer) in std::mem::take(&mut draft.parents) {
        if line.contains(&iri) {
            return Err(Problem::InheritsItself(iri).at(&pointer));
        }
        if line.len() > MAX_ANCESTORS {
            return Err(Problem::TooDeep.at(&pointer));
        }
        if let Some(known) = seen.get(&iri) {
            parents.push(known.clone());
            continue;
        }
        let json = parent(&iri).ok_or_else(|| Problem::NoParent(iri.clone()).at(&pointer))?;
        let mut from = Draft::read(&json, reading).map_err(|error| error.within(&iri))?;
        if from.id != iri {
            return Err(Problem::OtherParent(from.id).at(&pointer));
        }
        line.push(iri.clone());
        inherit(&mut from, reading, parent, line, seen)?;
        line.pop();
        seen.insert(iri, from.without_rules());
        parents.push(from);
    }
    draft.merge(parents).map_err(|problem| problem.at(""))
}

#[cfg(test)]
mod tests;
