//! Random policies with the requests and records they are asked about, from a seed: well-formed within the profile, with
//! values so near each other that both answers are common. What fails is made small here before it is shown.

use crate::reference::{CATEGORIES, Kind, OPERANDS, World, span, spelling};
use serde_json::{Map, Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

pub(crate) const CONSUMER: &str = "did:web:agency.example";
const OTHER: &str = "did:web:other.example";
const PURPOSES: &[&str] = &[
    "orientation",
    "dases:orientation",
    "https://w3id.org/dases/ns/orientation",
    "dpv:Marketing",
    "https://w3id.org/dpv#Marketing",
    "dpv:Advertising",
    "dpv:TargetedAdvertising",
    "dpv:ScientificResearch",
    "elsewhere",
];
const ROLES: &[&str] = &["school", "agency", "edtech"];
const CLAIMS: &[&str] = &["membership.role", "membership.country", "credential.Diploma.level"];
const EVENTS: &[&str] = &["urn:fair", "dases:fair", "odrl:policyUsage"];
/// Places, and other names that operands have.
const NAMED: &[&str] = &[
    "FR-75",
    "FR",
    "FR10",
    "dases:FR",
    "eu-gdpr:A6-1-a",
    "https://w3id.org/dpv/legal/eu/gdpr#A6-1-a",
];
const LENGTHS: &[&str] = &["P1D", "PT24H", "PT12H", "P1M", "P30D", "P1M1D"];
const STRETCHES: &[&str] = &["PT60M", "PT1H", "PT59M", "P1D"];
const NUMBERS: &[&str] = &["2", "2.0", "3", "3.00", "4"];
const UNITS: &[&str] = &["", "dases:euro", "euro"];
/// When things were agreed and transferred: so long before the times below that lengths of time end among them.
const ANCHORS: &[&str] = &[
    "2026-06-14T12:00:00Z",
    "2026-05-15T12:00:00Z",
    "2026-05-31T00:00:00Z",
    "2026-06-15T00:00:00Z",
];
/// Instants and days, near each other and partly the same.
const TIMES: &[&str] = &[
    "2026-06-14T23:59:59.999Z",
    "2026-06-15T00:00:00Z",
    "2026-06-15T12:00Z",
    "2026-06-15T14:00:00+02:00",
    "2026-06-15T12:00:00.250Z",
    "2026-06-15Z",
    "2026-06-15-05:00",
    "2026-06-16Z",
    "2026-06-16T00:00:00Z",
];
/// Those that forbid or permit what is asked for stand first and are picked most.
const RULED: &[&str] = &[
    "use",
    "use",
    "use",
    "use",
    "read",
    "display",
    "play",
    "distribute",
    "sell",
    "stream",
];
const ASKED: &[&str] = &["use", "use", "use", "use", "read", "read", "display", "derive", "sell"];

/// A small generator of random numbers (SplitMix64), so that a seed means the same everywhere and for ever.
pub(crate) struct Random(u64);

impl Random {
    /// The numbers of one case of a run.
    pub(crate) fn new(seed: u64, case: u64) -> Self {
        let mut mixed = Self(seed ^ case.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        mixed.next();
        mixed
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    pub(crate) fn one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    fn some(&mut self, from: &[&str], most: usize) -> Vec<String> {
        let count = 1 + self.below(most);
        (0..count).map(|_| self.pick(from).to_owned()).collect()
    }
}

/// A policy, one request under it, and several records that are asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Case {
    pub(crate) policy: Value,
    /// They share what is known when a transfer starts: action, recipient and its claims.
    pub(crate) worlds: Vec<World>,
}

/// What was used of an agreement is known together or not at all.
const USAGE: &[&str] = &["count", "metered", "lastTransfer"];

impl World {
    /// Leaves out one fact, and those that come with it.
    pub(crate) fn forget(&mut self, name: &str) {
        let together: &[&str] = if USAGE.contains(&name) { USAGE } else { &[name] };
        self.known.retain(|name, _| !together.contains(&name.as_str()));
    }
}

impl Case {
    /// The same without the names and events that the policy does not ask about.
    pub(crate) fn without_unasked(mut self) -> Self {
        let text = self.policy.to_string();
        for world in &mut self.worlds {
            world.known.retain(|name, _| {
                let word = name.strip_prefix("above ").unwrap_or(name);
                let word = word.split_once(' ').map_or(word, |(word, _)| word);
                let named = OPERANDS
                    .iter()
                    .any(|(_, name, kind, _)| *name == word && matches!(kind, Kind::Names | Kind::Event));
                !named || text.contains(word)
            });
        }
        self
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:#}", self.policy)?;
        self.worlds.iter().try_for_each(|world| writeln!(f, "{world:?}"))
    }
}

/// How many records of one request are asked about.
pub(crate) const RECORDS: usize = 8;

pub(crate) fn case(random: &mut Random) -> Case {
    let policy = policy(random);
    let request = request(random);
    Case {
        worlds: (0..RECORDS).map(|_| record(random, &request)).collect(),
        policy,
    }
}

pub(crate) fn policy(random: &mut Random) -> Value {
    let permissions: Vec<Value> = (0..1 + random.below(3)).map(|_| permission(random)).collect();
    let prohibitions: Vec<Value> = (0..[0, 0, 0, 1, 2][random.below(5)])
        .map(|_| prohibition(random))
        .collect();
    let mut policy = json!({
        "@id": "urn:uuid:1", "@type": "Agreement", "target": "urn:uuid:2",
        "assigner": "did:web:school.example", "assignee": CONSUMER,
    });
    if random.one_in(20) {
        policy["@type"] = random
            .pick(&["odrl:Set", "Offer", "http://www.w3.org/ns/odrl/2/Agreement"])
            .into();
    }
    if random.one_in(10) {
        policy["profile"] = random
            .pick(&["https://w3id.org/dases/ns/profile", "http://www.w3.org/ns/odrl/2/core"])
            .into();
    }
    if random.one_in(10) {
        policy["obligation"] = json!([{"action": random.pick(&["delete", "inform", "anonymize"])}]);
    }
    policy[random.pick(&["permission", "permission", "odrl:permission"])] = one_or_many(random, permissions);
    if !prohibitions.is_empty() {
        policy["prohibition"] = one_or_many(random, prohibitions);
    }
    if random.one_in(60) {
        spoil(random, &mut policy);
    }
    policy
}

/// One thing that nobody understands, at a place where it might be overlooked.
fn spoil(random: &mut Random, policy: &mut Value) {
    match random.below(4) {
        0 => policy["profile"] = "https://example.org/profile".into(),
        1 => policy["prohibition"] = json!([{"action": "sing"}]),
        2 => {
            policy["prohibition"] = json!([{"action": "sell", "constraint": [{"leftOperand": "phaseOfTheMoon", "operator": "eq", "rightOperand": "full"}]}])
        }
        _ => {
            policy["prohibition"] = json!([{"action": "sell", "constraint": [{"leftOperand": "recipient", "operator": "lt", "rightOperand": OTHER}]}])
        }
    }
}

/// One node stands for an array of one.
fn one_or_many(random: &mut Random, mut nodes: Vec<Value>) -> Value {
    if nodes.len() == 1 && random.one_in(3) {
        nodes.remove(0)
    } else {
        nodes.into()
    }
}

pub(crate) fn permission(random: &mut Random) -> Value {
    let most = [0, 0, 1, 1, 2, 3][random.below(6)];
    let mut rule = rule(random, most);
    if random.one_in(8) {
        rule["duty"] = json!([{"action": random.pick(&["delete", "inform"])}]);
    }
    rule
}

pub(crate) fn prohibition(random: &mut Random) -> Value {
    let most = [0, 1, 1, 1, 2, 2, 3, 3][random.below(8)];
    rule(random, most)
}

fn rule(random: &mut Random, constraints: usize) -> Value {
    let action = random.pick(RULED);
    let action = spelled(random, "odrl", action);
    let constraints: Vec<Value> = (0..constraints).map(|_| constraint(random, 3)).collect();
    let mut rule = json!({"action": action});
    if !constraints.is_empty() || random.one_in(4) {
        rule["constraint"] = one_or_many(random, constraints);
    }
    rule
}

/// A comparison, or several under a connective, at most `depth` deep.
pub(crate) fn constraint(random: &mut Random, depth: usize) -> Value {
    if depth == 0 || !random.one_in(3) {
        return comparison(random);
    }
    let connective = random.pick(&["or", "or", "and", "xone", "andSequence"]);
    let parts: Vec<Value> = (0..1 + random.below(3))
        .map(|_| constraint(random, depth - 1))
        .collect();
    let parts = one_or_many(random, parts);
    Value::Object(Map::from_iter([(connective.to_owned(), parts)]))
}

fn comparison(random: &mut Random) -> Value {
    let (space, name, kind, operators) = any_operand(random);
    let operator = random.pick(operators);
    let left = match kind {
        Kind::Claim => random.pick(CLAIMS),
        _ => name,
    };
    let most = if operator.starts_with("is") || operator == "hasPart" {
        3
    } else {
        1
    };
    let right = match kind {
        Kind::Clock => random.some(TIMES, most),
        Kind::Since => random.some(LENGTHS, 1),
        Kind::Stretch => random.some(STRETCHES, 1),
        Kind::Number => random.some(if name == "count" { &["2", "3", "4"] } else { NUMBERS }, most),
        Kind::Flag => random.some(&["true", "false"], 1),
        Kind::Event => random.some(EVENTS, 1),
        Kind::Names => random.some(NAMED, most),
        Kind::Purpose => random.some(PURPOSES, most),
        Kind::Name => random.some(&[CONSUMER, OTHER], most),
        Kind::Category => random.some(&["skills", "dases:results", "identity"], most),
        Kind::Consent => random.some(&["given", "dases:given", "dpv:ConsentGiven"], 1),
        Kind::Claim => random.some(ROLES, most),
    };
    let right: Vec<Value> = right.into_iter().map(|text| typed(random, kind, text)).collect();
    let mut comparison = json!({
        "leftOperand": spelled(random, space, left),
        "operator": spelled(random, "odrl", operator),
        "rightOperand": one_or_many(random, right),
    });
    let unit = random.pick(UNITS);
    if name == "payAmount" && !unit.is_empty() {
        comparison["unit"] = unit.into();
    }
    comparison
}

/// Any operand, and often one of those that nearly every policy names.
fn any_operand(random: &mut Random) -> (&'static str, &'static str, Kind, &'static [&'static str]) {
    let plain = |kind| {
        matches!(
            kind,
            Kind::Clock | Kind::Purpose | Kind::Name | Kind::Category | Kind::Consent | Kind::Claim
        )
    };
    loop {
        let operand = random.pick(OPERANDS);
        if plain(operand.2) || random.one_in(4) {
            return operand;
        }
    }
}

/// A plain string, or a value with its type.
fn typed(random: &mut Random, kind: Kind, text: String) -> Value {
    match kind {
        Kind::Clock if random.one_in(4) => {
            let datatype = if text.contains('T') { "xsd:dateTime" } else { "xsd:date" };
            json!({"@value": text, "@type": datatype})
        }
        Kind::Since | Kind::Stretch if random.one_in(4) => json!({"@value": text, "@type": "xsd:duration"}),
        Kind::Number if random.one_in(4) => {
            json!({"@value": text, "@type": "http://www.w3.org/2001/XMLSchema#decimal"})
        }
        Kind::Flag if random.one_in(4) => json!({"@value": text, "@type": "xsd:boolean"}),
        Kind::Name | Kind::Purpose | Kind::Names | Kind::Event if random.one_in(8) => json!({"@id": text}),
        _ => text.into(),
    }
}

fn spelled(random: &mut Random, space: &str, name: &str) -> String {
    match random.below(6) {
        0 => format!("{space}:{name}"),
        1 if space == "odrl" => format!("http://www.w3.org/ns/odrl/2/{name}"),
        1 if space == "dases" => format!("https://w3id.org/dases/ns/{name}"),
        _ => name.to_owned(),
    }
}

/// What is known before any record is looked at.
fn request(random: &mut Random) -> World {
    let mut known = BTreeMap::new();
    let mut tell =
        |name: &str, values: Vec<String>| known.insert(name.to_owned(), values.into_iter().collect::<BTreeSet<_>>());
    for claim in CLAIMS {
        if !random.one_in(6) {
            tell(claim, random.some(ROLES, 3));
        }
    }
    for (_, name, _, _) in OPERANDS.iter().filter(|(_, _, kind, _)| *kind == Kind::Names) {
        if !random.one_in(6) {
            // A connector has one identity.
            let most = if *name == "systemDevice" { 1 } else { 2 };
            tell(name, random.some(NAMED, most));
        }
    }
    if !random.one_in(6) {
        tell("above spatial", random.some(NAMED, 2));
    }
    for event in EVENTS {
        if !random.one_in(6) {
            tell(&format!("event {}", spelling(event)), vec![event_time(random)]);
        }
    }
    if !random.one_in(6) {
        tell("agreed", vec![instant(random.pick(ANCHORS))]);
    }
    if !random.one_in(6) {
        tell("count", random.some(&["0", "1", "2", "3"], 1));
        tell("metered", random.some(&["0", "3540000", "3600000", "3600001"], 1));
        let last = random.pick(ANCHORS);
        tell(
            "lastTransfer",
            vec![if random.one_in(3) {
                "never".to_owned()
            } else {
                instant(last)
            }],
        );
    }
    for (name, unit) in [("minGroupSize", ""), ("payAmount", random.pick(UNITS))] {
        if !random.one_in(6) {
            let number = random.pick(NUMBERS);
            tell(name, vec![format!("{number} {unit}").trim().to_owned()]);
        }
    }
    World {
        now: 0,
        action: random.pick(ASKED).to_owned(),
        recipient: if random.one_in(20) { OTHER } else { CONSUMER }.to_owned(),
        known,
    }
}

fn instant(text: &str) -> String {
    span(&text.into()).unwrap().0.to_string()
}

/// When an event begins and when it is over; near each other, so that one of them often comes first that should not.
fn event_time(random: &mut Random) -> String {
    let mut end = || match random.below(5) {
        0 => "-".to_owned(),
        _ => instant(random.pick(TIMES)),
    };
    format!("{} {}", end(), end())
}

/// The request with one record; some facts about it are not known.
pub(crate) fn record(random: &mut Random, request: &World) -> World {
    let mut world = request.clone();
    for flag in ["minor", "guardianConsent"] {
        if !random.one_in(12) {
            world.known.insert(
                flag.to_owned(),
                BTreeSet::from([random.pick(&["true", "false"]).to_owned()]),
            );
        }
    }
    let (first, last) = span(&random.pick(TIMES).into()).unwrap();
    world.now = random.pick(&[first - 1, first, first + 1, last, last + 1]);
    let consent = random.pick(&["given", "given", "absent"]);
    let purpose = if random.one_in(6) {
        "unheard of"
    } else {
        random.pick(PURPOSES)
    };
    let category = if random.one_in(2) {
        "skills"
    } else {
        random.pick(CATEGORIES)
    };
    for (name, value) in [("purpose", purpose), ("dataCategory", category), ("consent", consent)] {
        if !random.one_in(12) {
            world.known.insert(name.to_owned(), BTreeSet::from([value.to_owned()]));
        }
    }
    world
}

/// The smallest case that can be reached from `case` by leaving out one thing after another while it still `fails`.
pub(crate) fn minimal(mut case: Case, fails: &dyn Fn(&Case) -> bool) -> Case {
    while let Some(smaller) = smaller(&case).into_iter().find(|smaller| fails(smaller)) {
        case = smaller;
    }
    case
}

fn smaller(case: &Case) -> Vec<Case> {
    let mut all = Vec::new();
    for place in 0..case.worlds.len() {
        let mut one = case.clone();
        one.worlds.remove(place);
        all.push(one);
    }
    for policy in smaller_json(&case.policy) {
        all.push(Case { policy, ..case.clone() });
    }
    for place in 0..case.worlds.len() {
        for name in case.worlds[place].known.keys() {
            let mut one = case.clone();
            one.worlds[place].forget(name);
            all.push(one);
        }
    }
    all
}

fn smaller_json(value: &Value) -> Vec<Value> {
    let mut all = Vec::new();
    match value {
        Value::Array(items) => {
            for (place, item) in items.iter().enumerate() {
                let mut fewer = items.clone();
                fewer.remove(place);
                all.push(fewer.into());
                for smaller in smaller_json(item) {
                    let mut changed = items.clone();
                    changed[place] = smaller;
                    all.push(changed.into());
                }
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                if matches!(name.as_str(), "and" | "or" | "xone" | "andSequence") {
                    all.extend(member.as_array().into_iter().flatten().cloned());
                }
                let mut fewer = members.clone();
                fewer.remove(name);
                all.push(fewer.into());
                for smaller in smaller_json(member) {
                    let mut changed = members.clone();
                    changed[name] = smaller;
                    all.push(changed.into());
                }
            }
        }
        _ => {}
    }
    all
}
