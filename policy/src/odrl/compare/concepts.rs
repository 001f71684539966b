//! What is known about the names that policies use: which lie below which, which cannot go together, which vocabularies are complete. A name
//! that nothing is known about is equal to itself, and everything else about it is unknown.

use super::{
    codes::{self, Scheme},
    events,
    limits::Limits,
};
use crate::{
    Truth,
    vocabulary::{LeftOperand, ValueType, canonical_name},
};
use std::collections::{BTreeMap, BTreeSet};

/// As many concepts are looked at on the way up or down from one.
const REACH: usize = 4_096;

/// A name in the one spelling in which it is compared.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name {
    pub(super) scheme: Scheme,
    pub(super) text: String,
}

/// Hierarchies of names and what is certain about them. `isA` and `isPartOf` are not told apart: the caller says what lies below what.
#[derive(Debug, Clone, Default)]
pub struct Concepts {
    parents: BTreeMap<String, BTreeSet<String>>,
    children: BTreeMap<String, BTreeSet<String>>,
    /// Numbers of the sets of pairwise disjoint names that a name is in.
    apart: BTreeMap<String, BTreeSet<usize>>,
    sets: usize,
    /// The complete vocabulary that a name belongs to.
    closed: BTreeMap<String, usize>,
    implied: BTreeMap<String, BTreeSet<String>>,
    /// Whether languages and territories are read as the codes that they are in our profile.
    codes: bool,
    /// Whether operands are read as our profile enforces them.
    enforced: bool,
    limits: Limits,
}

/// Whether names of the left operand are those of credentials, which are compared as they are written.
fn is_claimed(left: &str) -> bool {
    ["membership.", "credential."]
        .iter()
        .any(|claim| codes::local(left).starts_with(claim))
}

impl Concepts {
    /// Nothing but what ODRL itself says of its actions.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads languages as BCP 47 and places as ISO 3166 and NUTS codes, which are complete and ordered by their prefixes.
    pub(super) fn with_codes(mut self) -> Self {
        self.codes = true;
        self
    }

    /// Reads operands as our profile enforces them (`policy/PROFILE.md`): `eq` of a length of time means within it or once it has passed, time
    /// is counted from the agreement, streams may be open side by side, operands of several names hold sets, prohibitions win.
    pub(super) fn under_enforcement(mut self) -> Self {
        self.enforced = true;
        self
    }

    /// Compares no longer than terms are worth that a stranger has sent: what takes more than a few milliseconds is unknown.
    pub fn briefly(mut self) -> Self {
        self.limits = Limits::BRIEF;
        self
    }

    pub(super) const fn limits(&self) -> Limits {
        self.limits
    }

    pub(super) const fn enforced(&self) -> bool {
        self.enforced
    }

    /// Whether our profile enforces this left operand by the names that somebody or something is told to hold.
    pub(super) fn is_held(&self, left: &str) -> bool {
        let known = || LeftOperand::with_claim(left);
        let held = || known().is_none_or(|(operand, _)| operand.operand().values == ValueType::Names);
        self.enforced && !events::is_event(left) && held()
    }

    /// Whether a request may state several names of this left operand at once. A connector is one, by its one identity.
    pub(super) fn holds_several(&self, left: &str) -> bool {
        let known = || LeftOperand::with_claim(left).map(|(operand, _)| operand);
        self.is_held(left) && known() != Some(LeftOperand::SystemDevice)
    }

    /// Makes a name known.
    pub fn concept(&mut self, name: &str) {
        self.parents.entry(canonical_name(name)).or_default();
    }

    /// Says that all of `name` is part of `wider`; both become known.
    pub fn below(&mut self, name: &str, wider: &str) {
        self.concept(wider);
        let (name, wider) = (canonical_name(name), canonical_name(wider));
        self.parents.entry(name.clone()).or_default().insert(wider.clone());
        self.children.entry(wider).or_default().insert(name);
    }

    /// Says that no two of these have anything in common; all become known.
    pub fn apart<'a>(&mut self, names: impl IntoIterator<Item = &'a str>) {
        self.sets += 1;
        for name in names {
            self.concept(name);
            self.apart.entry(canonical_name(name)).or_default().insert(self.sets);
        }
    }

    /// Says that these names are a complete vocabulary: no two mean the same, and what is not said to lie below does not.
    pub fn close<'a>(&mut self, names: impl IntoIterator<Item = &'a str>) {
        self.sets += 1;
        for name in names {
            self.concept(name);
            self.closed.insert(canonical_name(name), self.sets);
        }
    }

    /// Says that doing `action` is doing `other` as well, without lying below it (ODRL 2.2, `implies`).
    pub fn implies(&mut self, action: &str, other: &str) {
        self.implied
            .entry(action.to_owned())
            .or_default()
            .insert(other.to_owned());
    }

    /// Every action of which something is implied, and all of that, over any number of steps.
    pub(super) fn implications(&self) -> Vec<(Name, BTreeSet<Name>)> {
        let near = |from: &Name| -> Vec<Name> {
            let told = self.implied.iter().filter(|(action, _)| codes::action(action) == *from);
            told.flat_map(|(_, others)| others.iter().map(|other| codes::action(other)))
                .collect()
        };
        let all = self.implied.keys().map(|action| {
            let start = codes::action(action);
            let (mut found, mut open) = (BTreeSet::new(), near(&start));
            while let Some(next) = open.pop() {
                if found.insert(next.clone()) {
                    open.extend(near(&next));
                }
            }
            (start, found)
        });
        all.collect()
    }

    /// The name that a text of a left operand stands for. `literal` is a string rather than an IRI.
    pub(super) fn name(&self, left: &str, text: &str, literal: bool) -> Name {
        // Enforcement knows no string that is not a name.
        let canonical = (self.enforced && literal && !is_claimed(left)).then(|| canonical_name(text));
        let text = canonical.as_deref().unwrap_or(text);
        codes::name(left, text, literal, self.codes && !self.parents.contains_key(text))
    }

    /// Whether the name is one of a vocabulary that is known here.
    pub(super) fn knows(&self, name: &Name) -> bool {
        match name.scheme {
            Scheme::Term => self.parents.contains_key(&name.text),
            Scheme::Fresh => false,
            _ => true,
        }
    }

    /// The name and all that is said to lie above it.
    pub(super) fn above(&self, name: &Name) -> BTreeSet<Name> {
        match name.scheme {
            Scheme::Term => Self::reach(&self.parents, name),
            scheme => codes::above(&name.text, scheme)
                .into_iter()
                .map(|text| Name { scheme, text })
                .collect(),
        }
    }

    /// The name and all that is said to lie below it; of codes, which have no end, the name alone.
    pub(super) fn all_below(&self, name: &Name) -> BTreeSet<Name> {
        match name.scheme {
            Scheme::Term => Self::reach(&self.children, name),
            _ => BTreeSet::from([name.clone()]),
        }
    }

    fn reach(edges: &BTreeMap<String, BTreeSet<String>>, name: &Name) -> BTreeSet<Name> {
        let mut found = BTreeSet::from([name.clone()]);
        let mut open = vec![name.text.clone()];
        while let Some(next) = open.pop() {
            for text in edges.get(&next).into_iter().flatten() {
                let near = Name {
                    scheme: Scheme::Term,
                    text: text.clone(),
                };
                if found.len() < REACH && found.insert(near) {
                    open.push(text.clone());
                }
            }
        }
        found
    }

    /// Whether two names are one. Different names are different only where that is certain.
    pub(super) fn same(&self, one: &Name, other: &Name) -> Truth {
        if one == other {
            return Truth::True;
        }
        let both_closed = || {
            self.closed
                .get(&one.text)
                .is_some_and(|set| self.closed.get(&other.text) == Some(set))
        };
        let different = match (one.scheme, other.scheme) {
            (Scheme::Term, Scheme::Term) => both_closed() || self.disjoint(one, other),
            // Made to be none of the names that anybody wrote.
            (Scheme::Fresh, _) | (_, Scheme::Fresh) => true,
            (scheme, same) if scheme == same => codes::different(&one.text, &other.text, scheme),
            _ => false,
        };
        if different { Truth::False } else { Truth::Unknown }
    }

    /// Whether all of `name` is part of `wider`.
    pub(super) fn is_below(&self, name: &Name, wider: &Name) -> Truth {
        if name == wider {
            return Truth::True;
        }
        match (name.scheme, wider.scheme) {
            (Scheme::Term, Scheme::Term) => {
                if self.above(name).contains(wider) {
                    Truth::True
                } else if self.disjoint(name, wider) || self.in_one_closed(name, wider) {
                    Truth::False
                } else {
                    Truth::Unknown
                }
            }
            (scheme, same) if scheme == same => codes::is_below(&name.text, &wider.text, scheme),
            _ => Truth::Unknown,
        }
    }

    /// What is known of two purposes by their canonical names.
    #[cfg(test)]
    pub(crate) fn purpose_below(&self, name: &str, wider: &str) -> Truth {
        let [name, wider] = [name, wider].map(|text| self.name("purpose", text, false));
        self.is_below(&name, &wider)
    }

    fn in_one_closed(&self, one: &Name, other: &Name) -> bool {
        let set = self.closed.get(&one.text);
        set.is_some() && set == self.closed.get(&other.text)
    }

    /// Whether it is certain that two names have nothing in common: they, or names above them, are said to be apart.
    pub(super) fn disjoint(&self, one: &Name, other: &Name) -> bool {
        if one.scheme != other.scheme {
            return false;
        }
        if one.scheme != Scheme::Term {
            return codes::disjoint(&one.text, &other.text, one.scheme);
        }
        let (above, beside) = (self.above(one), self.above(other));
        if above.contains(other) || beside.contains(one) {
            return false;
        }
        let sets = |names: &BTreeSet<Name>| -> Vec<(usize, String)> {
            let found = names.iter().flat_map(|name| {
                let sets = self.apart.get(&name.text).into_iter().flatten();
                sets.map(|set| (*set, name.text.clone()))
            });
            found.collect()
        };
        let others = sets(&beside);
        sets(&above)
            .iter()
            .any(|(set, name)| others.iter().any(|(same, other)| set == same && name != other))
    }

    /// Whether nothing lies above the name but what [`Concepts::above`] tells.
    pub(super) fn complete_above(&self, name: &Name) -> bool {
        match name.scheme {
            Scheme::Term => self.closed.contains_key(&name.text),
            Scheme::Fresh => false,
            _ => true,
        }
    }
}
