//! What two policies both allow, written as the terms of a new offer: the answer to a counter-offer that asks for more than
//! is offered. Terms that are shown to permit nothing are no such offer. Whether one policy stays within another is asked in
//! `narrower`; how a rule is written, in `write`.

use crate::{
    evaluate::Stage,
    meaning::{Comparison, Holding, Order, Relation, Test, understand},
    model::{Atomic, Connective, Constraint, Duty, Policy, Rule},
    narrower::{covers, place, same_profiles},
    normal::{Normal, NormalRule},
    parse::Malformed,
    premises::Premises,
    reason::quoted,
    same_terms,
    weigh::leaving_nothing_briefly,
    write,
};
use serde_json::{Value as Json, json};
use std::{collections::BTreeSet, fmt};

/// How many permissions each of the two policies, and what they have in common, may hold.
pub const MAX_PERMISSIONS: usize = 32;

/// Why there are no terms that both policies allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoCommonTerms {
    /// JSON pointer of the node, into the asked policy if [`NoCommonTerms::in_asked`], else into the offered one.
    pub pointer: String,
    /// Which policy the pointer belongs to.
    pub in_asked: bool,
    /// What stands in the way, in plain English.
    pub text: String,
}

impl fmt::Display for NoCommonTerms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        place(f, &self.pointer, self.in_asked, &self.text)
    }
}

impl std::error::Error for NoCommonTerms {}

type Result<T> = std::result::Result<T, NoCommonTerms>;

fn nothing<T>(pointer: &str, in_asked: bool, text: impl Into<String>) -> Result<T> {
    Err(NoCommonTerms {
        pointer: pointer.to_owned(),
        in_asked,
        text: text.into(),
    })
}

/// The terms that both policies allow, in the JSON form of DSP 2025-1: for each pair of permissions that speak about the
/// same action one permission, under the constraints and with the duties of both; every prohibition and obligation of
/// either. What says nothing beside the rest is left out. The result has profiles and rules only; `@id`, `@type`, target,
/// parties and timestamp are for the caller to set. The same terms have themselves in common, whatever they say, unless they
/// permit nothing.
///
/// # Errors
/// [`NoCommonTerms`] when nothing is permitted by both, as far as a few milliseconds show, when both name a target and not the
/// same, when a policy cannot be read, when one of two different policies is not understood (nobody could tell what they have
/// in common), or when the terms would be too long.
pub fn intersect(asked: &Json, offered: &Json) -> Result<Json> {
    let (asked, offered) = (Side::read(asked, true)?, Side::read(offered, false)?);
    if let (Some(one), Some(other)) = (asked.policy.target(), offered.policy.target())
        && one != other
    {
        let text = format!("the target is {}, and offered is {}", quoted(one), quoted(other));
        return nothing("/target", true, text);
    }
    let profiles = write::profiles(asked.json);
    let both = |of: fn(&Side<'_>) -> Vec<Written>| once_each(of(&asked).into_iter().chain(of(&offered)));
    let prohibitions = both(|side| side.rules(&side.policy.prohibitions));
    let obligations = both(|side| side.duties(&side.policy.obligations));
    if same_terms(&asked.policy, &offered.policy).is_ok() {
        let permissions = once_each(asked.rules(&asked.policy.permissions));
        let terms = write::terms(profiles, permissions, prohibitions, obligations);
        return match in_the_way(&terms) {
            Some(why) => nothing("", true, format!("nothing is permitted: {why}")),
            None => Ok(terms),
        };
    }
    if !same_profiles(&asked.policy, &offered.policy) {
        return nothing("", true, "the policies name different profiles");
    }
    asked.understood()?;
    offered.understood()?;
    let permissions = permissions(&asked, &offered)?;
    let places = permissions.first().map(|permission| permission.places);
    let written = permissions.into_iter().map(Permission::into_json).collect();
    let terms = write::terms(profiles, written, prohibitions, obligations);
    readable(&terms)?;
    match (in_the_way(&terms), places) {
        (Some(why), Some([own, other])) => {
            let text = format!("nothing is left of this permission and the one offered at {other}: {why}");
            nothing(own, true, text)
        }
        _ => Ok(terms),
    }
}

/// The terms as a policy that can be read.
fn parsed(terms: &Json) -> std::result::Result<Policy, Malformed> {
    let mut policy = terms.clone();
    if let Some(object) = policy.as_object_mut() {
        object.insert("@id".to_owned(), json!("urn:common"));
    }
    Policy::parse(&policy)
}

/// The rules and constraints that leave nothing of each other, as they are named to people, where the terms permit nothing.
fn in_the_way(terms: &Json) -> Option<String> {
    let places = leaving_nothing_briefly(terms);
    let policy = parsed(terms).ok();
    let rules = policy.iter().flat_map(|policy| {
        let permissions = policy.permissions.iter().map(|rule| ("permission", rule));
        permissions.chain(policy.prohibitions.iter().map(|rule| ("prohibition", rule)))
    });
    let rules: Vec<(&str, &Rule)> = rules.collect();
    let named = |place: &String| {
        let found = rules.iter().find_map(|(kind, rule)| {
            if rule.pointer == *place {
                return Some(format!("the {kind} of {}", rule.action));
            }
            let part = rule.constraints.iter().find_map(|constraint| constraint.at(place));
            part.map(|constraint| quoted(&constraint.to_string()))
        });
        found.unwrap_or_else(|| place.clone())
    };
    let named: Vec<String> = places.iter().map(named).collect();
    match named.as_slice() {
        [] => None,
        [one] => Some(format!("nothing satisfies {one}")),
        all => Some(format!("nothing satisfies all of {}", all.join("; "))),
    }
}

/// Whoever receives the terms must be able to read them; together two policies may be longer than one may be.
fn readable(terms: &Json) -> Result<()> {
    match parsed(terms) {
        Ok(_) => Ok(()),
        Err(malformed) => nothing(
            "",
            true,
            format!("the common terms would be too long: {}", malformed.problem),
        ),
    }
}

/// A rule or duty: what it says, and how.
type Written = (NormalRule, Json);

/// One of the two policies, as JSON and parsed.
struct Side<'a> {
    json: &'a Json,
    policy: Policy,
    asked: bool,
}

impl<'a> Side<'a> {
    fn read(json: &'a Json, asked: bool) -> Result<Self> {
        match Policy::parse(json) {
            Ok(policy) => Ok(Self { json, policy, asked }),
            Err(Malformed { pointer, problem, .. }) => nothing(&pointer, asked, problem),
        }
    }

    /// The node from which the parser read something; its pointers lead into this very JSON.
    fn node(&self, pointer: &str) -> &'a Json {
        self.json.pointer(pointer).unwrap_or(&Json::Null)
    }

    fn understood(&self) -> Result<()> {
        match self
            .policy
            .check(Stage::Publish)
            .err()
            .and_then(|reasons| reasons.into_iter().next())
        {
            None => Ok(()),
            Some(reason) => nothing(&reason.pointer, self.asked, reason.text),
        }
    }

    fn rules(&self, rules: &[Rule]) -> Vec<Written> {
        let written = |rule: &Rule| (rule.into(), write::whole_rule(self.node(&rule.pointer)));
        rules.iter().map(written).collect()
    }

    fn duties(&self, duties: &[Duty]) -> Vec<Written> {
        let written = |duty: &Duty| (duty.into(), write::whole_rule(self.node(&duty.pointer)));
        duties.iter().map(written).collect()
    }

    /// The constraints of a rule; an `and` at the top is the same as its parts.
    fn clauses<'s>(&'s self, constraints: &'s [Constraint], clauses: &mut Vec<Clause<'s>>) {
        for constraint in constraints {
            match constraint {
                Constraint::Logical {
                    connective: Connective::And,
                    parts,
                    ..
                } => self.clauses(parts, clauses),
                other => clauses.push(Clause {
                    node: self.node(other.pointer()),
                    constraint: other,
                    normal: other.into(),
                    kept: None,
                }),
            }
        }
    }
}

/// The JSON of the rules, without those that say what an earlier one says.
fn once_each(rules: impl IntoIterator<Item = Written>) -> Vec<Json> {
    let mut seen = BTreeSet::new();
    rules
        .into_iter()
        .filter_map(|(normal, json)| seen.insert(normal).then_some(json))
        .collect()
}

/// A constraint of the common terms.
struct Clause<'a> {
    node: &'a Json,
    constraint: &'a Constraint,
    normal: Normal,
    /// The places of the right operands that are left, when some went.
    kept: Option<Vec<usize>>,
}

impl Clause<'_> {
    fn json(&self) -> Json {
        match &self.kept {
            None => write::constraint(self.node),
            Some(places) => write::with_alternatives(self.node, places),
        }
    }

    /// Leaves out the alternatives that `premises` exclude. Some are left, or `premises` would contradict themselves.
    fn without_excluded(mut self, premises: &Premises<'_>) -> Self {
        let Constraint::Atomic(atomic) = self.constraint else {
            return self;
        };
        if !atomic.offers_alternatives() {
            return self;
        }
        let admitted = |place: &usize| atomic.test_of(&[*place]).is_some_and(|test| premises.admit(&test));
        let places: Vec<usize> = (0..atomic.right.len()).filter(admitted).collect();
        if places.len() < atomic.right.len()
            && let Some(test) = atomic.test_of(&places)
        {
            self.normal = test.into();
            self.kept = Some(places);
        }
        self
    }
}

impl Atomic {
    /// True when each right operand by itself makes the comparison true.
    fn offers_alternatives(&self) -> bool {
        match &self.test {
            Ok(Test::Time { order, .. } | Test::Used { order, .. } | Test::Amount { order, .. }) => *order == Order::In,
            Ok(Test::Purpose { relation, .. } | Test::Recipient { relation, .. } | Test::Category { relation, .. }) => {
                *relation == Relation::AnyOf
            }
            Ok(Test::Held { holding, .. }) => *holding == Holding::Any,
            Ok(Test::Consent { .. } | Test::Flag { .. } | Test::Since { .. } | Test::Event { .. }) | Err(_) => false,
        }
    }

    /// What this comparison would mean with the right operands at these places only.
    fn test_of(&self, places: &[usize]) -> Option<Test> {
        let right: Vec<_> = places
            .iter()
            .filter_map(|place| self.right.get(*place))
            .cloned()
            .collect();
        let written = Comparison {
            pointer: &self.pointer,
            left: &self.left,
            claim: self.claim.as_deref(),
            operator: &self.operator,
            right: &right,
            unit: self.unit.as_deref(),
        };
        understand(&written).ok().filter(|_| !right.is_empty())
    }
}

/// A permission that both policies give.
struct Permission<'a> {
    /// Of the narrower of the two.
    rule: &'a Rule,
    /// Where the one that is asked for stands, and the one that is offered.
    places: [&'a str; 2],
    action: Json,
    clauses: Vec<Clause<'a>>,
    duties: Vec<Written>,
}

impl Permission<'_> {
    fn into_json(self) -> Json {
        let constraints = self.clauses.iter().map(Clause::json).collect();
        write::rule(self.action, constraints, once_each(self.duties))
    }

    /// Whether `other` permits whatever this one permits, on no other conditions than this one has.
    fn is_within(&self, other: &Self) -> bool {
        let premises = Premises::of(self.clauses.iter().map(|clause| &clause.normal));
        covers(&other.rule.action, &self.rule.action)
            && other.clauses.iter().all(|clause| premises.imply(&clause.normal))
            && other
                .duties
                .iter()
                .all(|(duty, _)| self.duties.iter().any(|(own, _)| own == duty))
    }
}

fn permissions<'a>(asked: &'a Side<'_>, offered: &'a Side<'_>) -> Result<Vec<Permission<'a>>> {
    let mut common: Vec<Permission<'_>> = Vec::new();
    let mut first_fault = None;
    for side in [asked, offered] {
        if side.policy.permissions.len() > MAX_PERMISSIONS {
            return nothing(
                "/permission",
                side.asked,
                format!("there are more than {MAX_PERMISSIONS} permissions"),
            );
        }
    }
    for own in &asked.policy.permissions {
        for other in &offered.policy.permissions {
            let found = match pair((asked, own), (offered, other)) {
                None => continue,
                Some(Err(fault)) => {
                    first_fault.get_or_insert(fault);
                    continue;
                }
                Some(Ok(found)) => found,
            };
            if common.iter().any(|wide| found.is_within(wide)) {
                continue;
            }
            common.retain(|narrow| !narrow.is_within(&found));
            common.push(found);
            if common.len() > MAX_PERMISSIONS {
                let text = format!("the policies have more than {MAX_PERMISSIONS} permissions in common");
                return nothing("/permission", true, text);
            }
        }
    }
    match first_fault {
        _ if !common.is_empty() => Ok(common),
        Some(fault) => Err(fault),
        None => nothing("/permission", true, "no action is permitted by both policies"),
    }
}

/// What two permissions both permit; `None` when they speak about different actions.
fn pair<'a>(asked: (&'a Side<'_>, &'a Rule), offered: (&'a Side<'_>, &'a Rule)) -> Option<Result<Permission<'a>>> {
    let ((ours, own), (theirs, other)) = (asked, offered);
    let (side, rule) = if covers(&other.action, &own.action) {
        asked
    } else if covers(&own.action, &other.action) {
        offered
    } else {
        return None;
    };
    let mut clauses = Vec::new();
    ours.clauses(&own.constraints, &mut clauses);
    theirs.clauses(&other.constraints, &mut clauses);
    let premises = Premises::of(clauses.iter().map(|clause| &clause.normal));
    if let Some(what) = premises.contradiction() {
        let text = format!(
            "no {what} is left under the constraints of this permission and those of the one offered at {}",
            other.pointer
        );
        return Some(nothing(&own.pointer, true, text));
    }
    Some(Ok(Permission {
        rule,
        places: [&own.pointer, &other.pointer],
        action: write::action(side.node(&rule.pointer)),
        clauses: tightest(clauses),
        duties: ours
            .duties(&own.duties)
            .into_iter()
            .chain(theirs.duties(&other.duties))
            .collect(),
    }))
}

/// The same constraints without excluded alternatives, and without each one that another implies; of two that say the same
/// the earlier stays.
fn tightest(clauses: Vec<Clause<'_>>) -> Vec<Clause<'_>> {
    let stated: Vec<Normal> = clauses.iter().map(|clause| clause.normal.clone()).collect();
    let premises = Premises::of(&stated);
    let clauses: Vec<Clause<'_>> = clauses
        .into_iter()
        .map(|clause| clause.without_excluded(&premises))
        .collect();
    let mut single: Vec<(usize, Premises<'_>)> = clauses
        .iter()
        .map(|clause| Premises::of([&clause.normal]))
        .enumerate()
        .collect();
    for (place, clause) in clauses.iter().enumerate().rev() {
        if single
            .iter()
            .any(|(other, premises)| *other != place && premises.imply(&clause.normal))
        {
            single.retain(|(other, _)| *other != place);
        }
    }
    let left: BTreeSet<usize> = single.into_iter().map(|(place, _)| place).collect();
    let numbered = clauses.into_iter().enumerate();
    numbered
        .filter_map(|(place, clause)| left.contains(&place).then_some(clause))
        .collect()
}

#[cfg(test)]
mod tests;
