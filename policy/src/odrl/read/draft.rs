//! A policy between reading and being atomic: what it says for all its rules, its compact rules, what it inherits from. Written out rule by
//! rule at the end (ODRL 2.2 §2.7, §2.8).

use super::{
    Problem, Profiles, Reading, Unreadable,
    node::{Document, Kind, Node, holds_rules},
    rule::{Compact, Shared, rules},
};
use crate::{
    odrl::{Conflict, Constraint, Duty, Permission, Policy, Prohibition, Statement},
    parse::MAX_NODES,
    vocabulary::ODRL,
};
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};

type Result<T> = std::result::Result<T, Unreadable>;

/// How many atomic rules, constraints and values a compact policy may stand for.
pub(super) const MAX_ATOMIC: usize = 10 * MAX_NODES;

/// A policy as it was written, and after merging what it inherits.
#[derive(Clone)]
pub(super) struct Draft {
    pub(super) id: String,
    /// What it inherits from, with the pointers of the names.
    pub(super) parents: Vec<(String, String)>,
    profiles: Vec<String>,
    conflicts: Vec<Conflict>,
    needs: Needs,
    shared: Shared,
    /// Its own constraints and those of its ancestors, which hold for the rules of its children as well.
    passed_on: Vec<Constraint>,
    permissions: Vec<Compact>,
    prohibitions: Vec<Compact>,
    obligations: Vec<Compact>,
}

/// Which parties each rule must have in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Needs {
    Nobody,
    Assigner,
    Both,
}

impl Draft {
    pub(super) fn read(json: &Json, reading: &Reading<'_>) -> Result<Self> {
        let mut document = Document::new(json, reading);
        let (top, pointer) = top(json)?;
        let node = document.node(top, &pointer, Kind::Policy)?;
        if let Some((by, at)) = node.names("isReplacedBy")?.into_iter().next() {
            return Err(Problem::Replaced(by).at(&at));
        }
        let needs = match (node.is_a("Agreement")?, node.is_a("Offer")?) {
            _ if reading.lenient => Needs::Nobody,
            (true, _) => Needs::Both,
            (false, true) => Needs::Assigner,
            (false, false) => Needs::Nobody,
        };
        let id = match &node.id {
            Some(id) => id.clone(),
            None if reading.lenient => String::new(),
            None => return Err(Problem::NoUid.at(&pointer)),
        };
        document.policy.clone_from(&id);
        let (parents, profiles) = (parents(&node)?, profiles(&node, reading)?);
        document.count(parents.len() + profiles.len(), &pointer)?;
        let draft = Self {
            id,
            parents,
            profiles,
            conflicts: conflict(&node)?.into_iter().collect(),
            needs,
            shared: Shared::read(&mut document, &node)?,
            passed_on: Vec::new(),
            permissions: rules(&mut document, &node, "permission", Kind::Permission)?,
            prohibitions: rules(&mut document, &node, "prohibition", Kind::Prohibition)?,
            obligations: rules(&mut document, &node, "obligation", Kind::Duty)?,
        };
        draft.check_classes()?;
        Ok(draft)
    }

    /// One node is of one class of rules.
    fn check_classes(&self) -> Result<()> {
        let mut classes = BTreeMap::new();
        let lists = [
            (Kind::Permission, &self.permissions),
            (Kind::Prohibition, &self.prohibitions),
            (Kind::Duty, &self.obligations),
        ];
        for (class, rules) in lists {
            for rule in rules {
                let below = rule
                    .below
                    .iter()
                    .flat_map(|duty| std::iter::once(duty).chain(&duty.below));
                let duties = below.map(|duty| (Kind::Duty, duty));
                for (class, rule) in std::iter::once((class, rule)).chain(duties) {
                    if *classes.entry(rule.id.as_str()).or_insert(class) != class {
                        return Err(Problem::TwoRuleClasses(rule.id.clone()).at(&rule.pointer));
                    }
                }
            }
        }
        Ok(())
    }

    /// What it shares, and none of its rules.
    pub(super) fn without_rules(&self) -> Self {
        Self {
            permissions: Vec::new(),
            prohibitions: Vec::new(),
            obligations: Vec::new(),
            ..self.clone()
        }
    }

    /// Takes over what the parents say, each of them merged already. Each policy's own rules have its own properties; where it says nothing
    /// of a property, the others' fill the gap. Constraints are passed on to the rules of a child, and never from a child to the rules of
    /// its parent or from one parent to another: they would narrow a prohibition of somebody else.
    pub(super) fn merge(&mut self, parents: Vec<Self>) -> std::result::Result<(), Problem> {
        self.passed_on = std::mem::take(&mut self.shared.constraints);
        let inherited = parents.iter().flat_map(|parent| parent.passed_on.iter().cloned());
        self.passed_on.extend(inherited);
        let rules = self.permissions.len() + self.prohibitions.len() + self.obligations.len();
        if rules.max(1).saturating_mul(self.passed_on.len()) > MAX_ATOMIC {
            return Err(Problem::TooManyAtomic);
        }
        let (shared, passed_on) = (&self.shared, &self.passed_on);
        for rule in self
            .permissions
            .iter_mut()
            .chain(&mut self.prohibitions)
            .chain(&mut self.obligations)
        {
            share(&mut rule.says, shared);
            rule.says.constraints.extend(passed_on.iter().cloned());
        }
        // Whoever is inherited from on many ways says what it says once.
        let mut named: BTreeSet<String> = self.profiles.iter().cloned().collect();
        for mut parent in parents {
            share(&mut self.shared, &parent.shared);
            self.permissions.append(&mut parent.permissions);
            self.prohibitions.append(&mut parent.prohibitions);
            self.obligations.append(&mut parent.obligations);
            self.profiles.extend(
                parent
                    .profiles
                    .into_iter()
                    .filter(|profile| named.insert(profile.clone())),
            );
            parent.conflicts.retain(|conflict| !self.conflicts.contains(conflict));
            self.conflicts.append(&mut parent.conflicts);
            self.needs = self.needs.max(parent.needs);
        }
        self.check_classes().map_err(|error| error.problem)
    }

    /// Shares what the policy says with its rules, and writes them out one by one.
    pub(super) fn into_policy(self, reading: &Reading<'_>) -> Result<Policy> {
        let mut atomic = Atomic {
            shared: self.shared,
            lenient: reading.lenient,
            needs: self.needs,
            written: 0,
        };
        let mut policy = Policy {
            id: self.id,
            profiles: self.profiles,
            conflict: merged(&self.conflicts),
            ..Policy::default()
        };
        for rule in self.permissions {
            let (duties, below) = atomic.duties(&rule.below)?;
            for statement in atomic.statements(&rule, below, true)? {
                policy.permissions.push(Permission {
                    statement,
                    duties: duties.clone(),
                });
            }
        }
        for rule in self.prohibitions {
            let (remedies, below) = atomic.nested(&rule.below)?;
            for statement in atomic.statements(&rule, below, true)? {
                policy.prohibitions.push(Prohibition {
                    statement,
                    remedies: remedies.clone(),
                });
            }
        }
        for rule in self.obligations {
            let (consequences, below) = atomic.nested(&rule.below)?;
            for statement in atomic.statements(&rule, below, false)? {
                policy.obligations.push(Duty {
                    statement,
                    consequences: consequences.clone(),
                });
            }
        }
        if policy.permissions.is_empty() && policy.prohibitions.is_empty() && policy.obligations.is_empty() {
            return Err(Problem::NoRule.at(""));
        }
        Ok(policy)
    }
}

/// The one policy of a document: itself, or the one node with rules of an array or a `@graph`.
fn top(json: &Json) -> Result<(&Json, String)> {
    let (nodes, pointer) = match json {
        Json::Array(nodes) => (nodes, ""),
        Json::Object(document) => match document.get("@graph") {
            Some(Json::Array(nodes)) if document.keys().all(|key| matches!(key.as_str(), "@graph" | "@context")) => {
                (nodes, "/@graph")
            }
            _ => return Ok((json, String::new())),
        },
        _ => return Ok((json, String::new())),
    };
    let places = nodes
        .iter()
        .enumerate()
        .map(|(place, node)| (node, format!("{pointer}/{place}")));
    let mut policies = places.filter(|(node, _)| holds_rules(node));
    match (policies.next(), policies.next()) {
        (Some(policy), None) => Ok(policy),
        _ => Err(Problem::Expected("one policy").at(pointer)),
    }
}

/// Fills what `says` leaves open; constraints apart.
fn share(says: &mut Shared, from: &Shared) {
    fn fill<T: Clone>(own: &mut Vec<T>, from: &[T]) {
        if own.is_empty() {
            own.extend_from_slice(from);
        }
    }
    fill(&mut says.actions, &from.actions);
    fill(&mut says.targets, &from.targets);
    fill(&mut says.assigners, &from.assigners);
    fill(&mut says.assignees, &from.assignees);
    fill(&mut says.functions, &from.functions);
    says.output = says.output.take().or_else(|| from.output.clone());
}

/// What the policy inherits from, each once: to say it twice says no more.
fn parents(node: &Node<'_>) -> Result<Vec<(String, String)>> {
    let (mut parents, mut seen) = (node.names("inheritFrom")?, BTreeSet::new());
    parents.retain(|(iri, _)| seen.insert(iri.clone()));
    Ok(parents)
}

fn profiles(node: &Node<'_>, reading: &Reading<'_>) -> Result<Vec<String>> {
    let mut named = Vec::new();
    for (profile, at) in node.names("profile")? {
        match reading.profiles {
            Profiles::Known(known) if !known.contains(&profile.as_str()) => {
                return Err(Problem::UnknownProfile(profile).at(&at));
            }
            _ => named.push(profile),
        }
    }
    Ok(named)
}

fn conflict(node: &Node<'_>) -> Result<Option<Conflict>> {
    let mut found = None;
    for (written, at) in node.names("conflict")? {
        let conflict = match ODRL.local_or_bare(&written) {
            Some("perm") => Conflict::Perm,
            Some("prohibit") => Conflict::Prohibit,
            Some("invalid") => Conflict::Invalid,
            _ => return Err(Problem::UnknownConflict(written).at(&at)),
        };
        if found.replace(conflict).is_some_and(|before| before != conflict) {
            return Err(Problem::TwoConflicts.at(&at));
        }
    }
    Ok(found)
}

/// Several different strategies after a merge make any conflict void the policy (ODRL 2.2 §2.10).
fn merged(conflicts: &[Conflict]) -> Conflict {
    match conflicts {
        [first, rest @ ..] if rest.iter().all(|other| other == first) => *first,
        _ => Conflict::Invalid,
    }
}

/// Writes out compact rules, and counts what comes of it.
struct Atomic {
    shared: Shared,
    lenient: bool,
    needs: Needs,
    written: usize,
}

impl Atomic {
    /// The atomic rules of a compact one: every action with every target, every assigner and every assignee.
    /// `below` is the size of the duties that each of them carries.
    fn statements(&mut self, rule: &Compact, below: usize, targeted: bool) -> Result<Vec<Statement>> {
        let mut says = rule.says.clone();
        share(&mut says, &self.shared);
        says.constraints.extend(self.shared.constraints.iter().cloned());
        if targeted && says.targets.is_empty() && !self.lenient {
            return Err(Problem::NoTarget.at(&rule.pointer));
        }
        if self.needs >= Needs::Assigner && says.assigners.is_empty() {
            return Err(Problem::NoParty("assigner").at(&rule.pointer));
        }
        if self.needs == Needs::Both && says.assignees.is_empty() {
            return Err(Problem::NoParty("assignee").at(&rule.pointer));
        }
        self.write_out(rule, &says, below)
    }

    fn write_out(&mut self, rule: &Compact, says: &Shared, below: usize) -> Result<Vec<Statement>> {
        if says.actions.is_empty() && !self.lenient {
            return Err(Problem::NoAction.at(&rule.pointer));
        }
        let counts = [
            says.actions.len(),
            says.targets.len(),
            says.assigners.len(),
            says.assignees.len(),
        ];
        let product = counts
            .into_iter()
            .fold(1, |product: usize, count| product.saturating_mul(count.max(1)));
        self.written = self
            .written
            .saturating_add(product.saturating_mul(says.weight() + below));
        if self.written > MAX_ATOMIC {
            return Err(Problem::TooManyAtomic.at(&rule.pointer));
        }
        let mut statements = Vec::new();
        for action in each(&says.actions) {
            for target in each(&says.targets) {
                for assigner in each(&says.assigners) {
                    for assignee in each(&says.assignees) {
                        statements.push(Statement {
                            id: rule.id.clone(),
                            action: action.cloned(),
                            target: target.cloned(),
                            assigner: assigner.cloned(),
                            assignee: assignee.cloned(),
                            functions: says.functions.clone(),
                            output: says.output.clone(),
                            constraints: says.constraints.clone(),
                        });
                    }
                }
            }
        }
        Ok(statements)
    }

    /// Remedies or consequences, and their size. What is below a rule shares nothing with the policy: whom and what it concerns, it says
    /// itself, or it is open.
    fn nested(&mut self, duties: &[Compact]) -> Result<(Vec<Statement>, usize)> {
        let before = self.written;
        let mut statements = Vec::new();
        for duty in duties {
            statements.extend(self.write_out(duty, &duty.says, 0)?);
        }
        Ok((statements, self.written - before))
    }

    fn duties(&mut self, duties: &[Compact]) -> Result<(Vec<Duty>, usize)> {
        let before = self.written;
        let mut read = Vec::new();
        for duty in duties {
            let (consequences, below) = self.nested(&duty.below)?;
            for statement in self.write_out(duty, &duty.says, below)? {
                let consequences = consequences.clone();
                read.push(Duty {
                    statement,
                    consequences,
                });
            }
        }
        Ok((read, self.written - before))
    }
}

/// The values, or one that is absent.
fn each<T>(values: &[T]) -> impl Iterator<Item = Option<&T>> + Clone {
    values.iter().map(Some).chain(values.is_empty().then_some(None))
}
