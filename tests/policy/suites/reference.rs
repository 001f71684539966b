//! A second evaluator, written from the standard and sharing no code with the crate's: from the JSON text of a policy and
//! a flat world to yes or no. Slow and obvious on purpose. It is what `differential` holds the crate against, so nothing
//! of the crate may be used here. Each step is a method of its own, so that a mutant can get exactly one of them wrong.

mod hierarchies;
mod values;
mod words;

pub(crate) use hierarchies::is_purpose;
pub(crate) use values::{decimal, duration, months_later, period, span};
pub(crate) use words::{CATEGORIES, Kind, OPERANDS, operand, spelling};

use hierarchies::{containing, reaches};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use values::MILLIONTHS;
use words::{ACTIONS, PROFILES, PROMISES, local, odrl, term};

/// False < Unknown < True: strong Kleene logic, `and` is the least and `or` the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Truth {
    False,
    Unknown,
    True,
}

impl From<bool> for Truth {
    fn from(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }
}

/// Everything that is known when one record is asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct World {
    /// Milliseconds since 1970.
    pub(crate) now: i64,
    pub(crate) action: String,
    pub(crate) recipient: String,
    /// The values of each operand by its bare name. What is not here is not known.
    pub(crate) known: BTreeMap<String, BTreeSet<String>>,
}

/// A member under its bare, prefixed or full name.
fn member<'a>(node: &'a Value, name: &str) -> Option<&'a Value> {
    let object = node.as_object()?;
    object
        .iter()
        .find_map(|(key, value)| (key == name || local("odrl", key) == Some(name)).then_some(value))
}

/// The nodes of a member that holds one or many.
pub(crate) fn nodes<'a>(node: &'a Value, name: &str) -> Vec<&'a Value> {
    match member(node, name) {
        None => Vec::new(),
        Some(Value::Array(many)) => many.iter().collect(),
        Some(one) => vec![one],
    }
}

/// A name, or a value's lexical form.
pub(crate) fn text(value: &Value) -> &str {
    match value {
        Value::String(text) => text,
        Value::Array(one) if one.len() == 1 => text(&one[0]),
        Value::Object(object) => ["@value", "@id"]
            .iter()
            .find_map(|key| object.get(*key))
            .map_or("", text),
        _ => "",
    }
}

fn named<'a>(node: &'a Value, name: &str) -> &'a str {
    member(node, name).map_or("", text)
}

pub(crate) trait Evaluator: Sync {
    fn permits(&self, policy: &Value, world: &World) -> bool {
        self.understood(policy)
            && self.in_force(policy, world)
            && self.permitted(policy, world)
            && !self.forbidden(policy, world)
    }

    /// Some permission covers the action, and is known to hold.
    fn permitted(&self, policy: &Value, world: &World) -> bool {
        nodes(policy, "permission").into_iter().any(|rule| {
            self.covers(odrl(named(rule, "action")), &world.action) && self.satisfied(self.rule(rule, world))
        })
    }

    /// Some prohibition is about the action, and is not known to fail.
    fn forbidden(&self, policy: &Value, world: &World) -> bool {
        nodes(policy, "prohibition")
            .into_iter()
            .any(|rule| self.stops(odrl(named(rule, "action")), &world.action) && self.active(self.rule(rule, world)))
    }

    fn satisfied(&self, truth: Truth) -> bool {
        truth == Truth::True
    }

    fn active(&self, truth: Truth) -> bool {
        truth != Truth::False
    }

    /// Only an agreement (or a bare set) is enforced, and an agreement for its assignee alone.
    fn in_force(&self, policy: &Value, world: &World) -> bool {
        match odrl(named(policy, "@type")) {
            "Agreement" => named(policy, "assignee") == world.recipient,
            "Set" | "Policy" => true,
            _ => false,
        }
    }

    /// A rule on an action is about every action below it.
    fn covers(&self, of_rule: &str, asked: &str) -> bool {
        of_rule == asked
            || ACTIONS
                .iter()
                .any(|(action, wider)| *action == asked && !wider.is_empty() && self.covers(of_rule, wider))
    }

    /// Records are handed over by reading and streaming; whoever forbids that forbids all.
    fn stops(&self, of_rule: &str, asked: &str) -> bool {
        [asked, "read", "stream"].iter().any(|part| self.covers(of_rule, part))
    }

    fn rule(&self, rule: &Value, world: &World) -> Truth {
        self.all(&self.parts(rule, "constraint", world))
    }

    fn parts(&self, node: &Value, name: &str, world: &World) -> Vec<Truth> {
        nodes(node, name)
            .into_iter()
            .map(|part| self.constraint(part, world))
            .collect()
    }

    fn constraint(&self, node: &Value, world: &World) -> Truth {
        for connective in ["and", "or", "xone", "andSequence"] {
            if member(node, connective).is_some() {
                return self.combined(connective, &self.parts(node, connective, world));
            }
        }
        self.comparison(node, world)
    }

    fn combined(&self, connective: &str, parts: &[Truth]) -> Truth {
        match connective {
            "or" => self.any(parts),
            "xone" => self.one(parts),
            _ => self.all(parts),
        }
    }

    fn all(&self, parts: &[Truth]) -> Truth {
        parts.iter().copied().min().unwrap_or(Truth::True)
    }

    fn any(&self, parts: &[Truth]) -> Truth {
        parts.iter().copied().max().unwrap_or(Truth::False)
    }

    fn one(&self, parts: &[Truth]) -> Truth {
        let count = |wanted| parts.iter().filter(|part| **part == wanted).count();
        match (count(Truth::True), count(Truth::Unknown)) {
            (2.., _) | (0, 0) => Truth::False,
            (1, 0) => Truth::True,
            _ => Truth::Unknown,
        }
    }

    fn missing(&self) -> Truth {
        Truth::Unknown
    }

    fn comparison(&self, node: &Value, world: &World) -> Truth {
        let Some((name, kind, _)) = operand(named(node, "leftOperand")) else {
            return Truth::Unknown;
        };
        let operator = odrl(named(node, "operator"));
        let right = nodes(node, "rightOperand");
        match kind {
            Kind::Clock => Truth::from(self.on_line(
                operator,
                &right.iter().filter_map(|value| span(value)).collect::<Vec<_>>(),
                world.now,
            )),
            Kind::Since => self.since(&name, operator, right[0], world),
            Kind::Stretch => self.metered(operator, right[0], world),
            Kind::Number => self.number(&name, operator, node, world),
            Kind::Event => self.event(operator, text(right[0]), world),
            _ => self.names(&name, kind, operator, &right, world),
        }
    }

    /// The instant that lies so far after the agreement, or after the transfer before. Nothing is ever met to the millisecond: `eq` is
    /// "within" of what runs out and "once over" of what must pass.
    fn since(&self, name: &str, operator: &str, right: &Value, world: &World) -> Truth {
        let from = if name == "timeInterval" {
            "lastTransfer"
        } else {
            "agreed"
        };
        let runs_out = name == "elapsedTime";
        let order = self.within_or_over(operator, runs_out);
        match self.fact(from, world).as_deref() {
            None => self.missing(),
            // There was no transfer before: any time has passed since.
            Some("never") => Truth::from(order.starts_with('g')),
            Some(from) => {
                let (months, millis) = duration(text(right)).unwrap();
                let at = months_later(from.parse().unwrap(), months) + millis;
                Truth::from(self.on_line(order, &[(at, at)], world.now))
            }
        }
    }

    fn metered(&self, operator: &str, right: &Value, world: &World) -> Truth {
        match self.fact("metered", world) {
            None => self.missing(),
            Some(metered) => {
                let (_, limit) = duration(text(right)).unwrap();
                let order = self.within_or_over(operator, true);
                Truth::from(self.on_line(order, &[(limit, limit)], metered.parse().unwrap()))
            }
        }
    }

    fn within_or_over<'a>(&self, operator: &'a str, runs_out: bool) -> &'a str {
        match operator {
            "eq" if runs_out => "lteq",
            "neq" if runs_out => "gt",
            "eq" => "gteq",
            "neq" => "lt",
            other => other,
        }
    }

    /// Numbers by their value; an amount in another unit is not comparable. The transfer that is asked about counts as well.
    fn number(&self, name: &str, operator: &str, node: &Value, world: &World) -> Truth {
        let Some(fact) = self.fact(name, world) else {
            return self.missing();
        };
        let (number, unit) = fact.split_once(' ').unwrap_or((&fact, ""));
        if spelling(unit) != spelling(named(node, "unit")) {
            return self.missing();
        }
        let number = decimal(number).unwrap() + if name == "count" { MILLIONTHS } else { 0 };
        let right: Vec<(i64, i64)> = nodes(node, "rightOperand")
            .iter()
            .filter_map(|value| decimal(text(value)))
            .map(|one| (one, one))
            .collect();
        Truth::from(self.on_line(operator, &right, number))
    }

    /// The one value of an operand.
    fn fact(&self, name: &str, world: &World) -> Option<String> {
        world.known.get(name)?.first().cloned()
    }

    fn event(&self, operator: &str, name: &str, world: &World) -> Truth {
        let time = match spelling(name).as_str() {
            "http://www.w3.org/ns/odrl/2/policyUsage" => Some("- -".to_owned()),
            name => self.fact(&format!("event {name}"), world),
        };
        match time.as_deref() {
            None => self.missing(),
            Some(time) => Truth::from(self.on_line(operator, &[(0, 0)], self.beside(period(time), world.now))),
        }
    }

    /// Before an event, during it, or after: -1, 0, 1. What has not begun is not over, whatever its end says.
    fn beside(&self, (from, until): (Option<i64>, Option<i64>), now: i64) -> i64 {
        match (from, until) {
            (Some(from), _) if now < from => -1,
            (_, Some(until)) if now >= until => 1,
            _ => 0,
        }
    }

    fn names(&self, name: &str, kind: Kind, operator: &str, right: &[&Value], world: &World) -> Truth {
        let wanted: BTreeSet<String> = right.iter().map(|value| self.value(kind, text(value))).collect();
        let of = |name: &str| -> Option<BTreeSet<String>> {
            Some(
                world
                    .known
                    .get(name)?
                    .iter()
                    .map(|value| self.value(kind, value))
                    .collect(),
            )
        };
        let held = if name == "recipient" {
            Some(BTreeSet::from([world.recipient.clone()]))
        } else {
            of(name)
        };
        let Some(held) = held else { return self.missing() };
        match operator {
            "isA" if kind == Kind::Purpose => {
                let truths: Vec<Truth> = wanted.iter().map(|wider| self.purpose_below(&held, wider)).collect();
                self.any(&truths)
            }
            "isA" | "isPartOf" => {
                let told = of(&format!("above {name}")).unwrap_or_default();
                let coded = held.union(&told).flat_map(|one| self.around(name, one));
                self.below(&held, &coded.chain(told.iter().cloned()).collect(), &wanted)
            }
            _ => self.compare(kind, operator, &held, &wanted),
        }
    }

    /// Each name lies below itself and below what is known to contain it. What else it lies below is not known.
    fn below(&self, held: &BTreeSet<String>, above: &BTreeSet<String>, wanted: &BTreeSet<String>) -> Truth {
        if self.overlap(held, wanted) || self.overlap(above, wanted) {
            Truth::True
        } else {
            self.missing()
        }
    }

    /// What a code says of what contains it.
    fn around(&self, operand: &str, name: &str) -> BTreeSet<String> {
        containing(operand, name)
    }

    /// Whether a purpose is another or lies below it. The tree is complete for what it holds; of other purposes nothing is known.
    fn purpose_below(&self, held: &BTreeSet<String>, wider: &str) -> Truth {
        let below = |name: &String| {
            if self.climbs(name, wider) {
                Truth::True
            } else if is_purpose(name) && is_purpose(wider) {
                Truth::False
            } else {
                self.missing()
            }
        };
        held.iter().map(below).max().unwrap_or(Truth::Unknown)
    }

    fn climbs(&self, name: &str, wider: &str) -> bool {
        reaches(name, wider)
    }

    /// The form in which a value is compared.
    fn value(&self, kind: Kind, written: &str) -> String {
        match kind {
            Kind::Purpose | Kind::Names => spelling(written),
            Kind::Category => term("dases", written).unwrap_or(written).to_owned(),
            Kind::Consent if spelling(written) == "https://w3id.org/dpv#ConsentGiven" => "given".to_owned(),
            Kind::Consent => spelling(written),
            _ => written.to_owned(),
        }
    }

    /// Of several names held one is enough for `eq`: the profile reads "has this one". What lies below a name is not known, so
    /// neither is what it has for a part; a credential's texts have no parts but themselves.
    fn compare(&self, kind: Kind, operator: &str, held: &BTreeSet<String>, wanted: &BTreeSet<String>) -> Truth {
        match operator {
            "eq" | "isAnyOf" => Truth::from(self.overlap(held, wanted)),
            "neq" | "isNoneOf" => Truth::from(!self.overlap(held, wanted)),
            "hasPart" if kind == Kind::Names && !self.contains(held, wanted) => self.missing(),
            _ => Truth::from(self.contains(held, wanted)),
        }
    }

    fn overlap(&self, held: &BTreeSet<String>, wanted: &BTreeSet<String>) -> bool {
        held.iter().any(|value| wanted.contains(value))
    }

    fn contains(&self, held: &BTreeSet<String>, wanted: &BTreeSet<String>) -> bool {
        wanted.iter().all(|value| held.contains(value))
    }

    /// A place on a line beside stretches of it, each from its first to its last place.
    fn on_line(&self, operator: &str, right: &[(i64, i64)], at: i64) -> bool {
        let in_one = right.iter().any(|(first, last)| *first <= at && at <= *last);
        let (first, last) = right.first().copied().unwrap_or_default();
        match operator {
            "lt" => at < first,
            "lteq" => at <= last,
            "gt" => at > last,
            "gteq" => at >= first,
            "eq" | "isAnyOf" => in_one,
            _ => !in_one,
        }
    }

    /// One word that is not understood voids the whole policy.
    fn understood(&self, policy: &Value) -> bool {
        let acted = |rule: &&Value| ACTIONS.iter().any(|(name, _)| *name == odrl(named(rule, "action")));
        let clear = |rule: &&Value| nodes(rule, "constraint").into_iter().all(|part| self.clear(part));
        let promised = |duty: &&Value| PROMISES.contains(&odrl(named(duty, "action"))) && clear(duty);
        let monitored = |duty: &&Value| {
            promised(duty) || matches!(odrl(named(duty, "action")), "anonymize" | "compensate") && clear(duty)
        };
        let rules = [nodes(policy, "permission"), nodes(policy, "prohibition")].concat();
        nodes(policy, "profile")
            .into_iter()
            .all(|profile| PROFILES.contains(&text(profile)))
            && rules.iter().all(|rule| acted(rule) && clear(rule))
            && rules.iter().all(|rule| nodes(rule, "duty").iter().all(promised))
            && nodes(policy, "obligation").iter().all(monitored)
    }

    fn clear(&self, node: &Value) -> bool {
        let parts = ["and", "or", "xone", "andSequence"]
            .map(|name| nodes(node, name))
            .concat();
        if !parts.is_empty() {
            return parts.into_iter().all(|part| self.clear(part));
        }
        let Some((_, kind, operators)) = operand(named(node, "leftOperand")) else {
            return false;
        };
        let operator = odrl(named(node, "operator"));
        let right = nodes(node, "rightOperand");
        operators.contains(&operator)
            && (right.len() == 1 || operator.starts_with("is") || operator == "hasPart")
            && right.iter().all(|value| fits(kind, value))
    }
}

/// The evaluator that the crate is held against.
pub(crate) struct Reference;

impl Evaluator for Reference {}

/// Whether a right operand can be compared with an operand of this kind.
fn fits(kind: Kind, value: &Value) -> bool {
    let datatype = value
        .get("@type")
        .map(text)
        .map(|written| local("xsd", written).unwrap_or(written));
    let name = matches!(datatype, None | Some("string" | "anyURI"))
        && !text(value).is_empty()
        && text(value).trim() == text(value);
    let length = || duration(text(value)).filter(|_| matches!(datatype, None | Some("duration")));
    match kind {
        Kind::Clock => span(value).is_some(),
        Kind::Since => length().is_some(),
        Kind::Stretch => length().is_some_and(|(months, _)| months == 0),
        Kind::Number => decimal(text(value)).is_some(),
        Kind::Flag => matches!(text(value), "true" | "false"),
        Kind::Name | Kind::Purpose | Kind::Claim | Kind::Names | Kind::Event => name,
        Kind::Category => name && CATEGORIES.contains(&Reference.value(kind, text(value)).as_str()),
        Kind::Consent => name && Reference.value(kind, text(value)) == "given",
    }
}
