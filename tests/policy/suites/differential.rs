//! The crate against the reference evaluator, on random policies, requests and records: the decision per record, the plan
//! made at the start of a transfer, and the plan over time. `CONNECTOR_LONG=1` asks a hundred times as many questions,
//! `DIFFERENTIAL_SEED` others.

use crate::{
    generate::{Case, RECORDS, Random, case, minimal},
    mutants::MUTANTS,
    reference::{
        Evaluator, Kind, OPERANDS, Reference, World, duration, is_purpose, months_later, nodes, period, span, spelling,
    },
};
use policy::{
    Action, Category, Claims, Facts, LeftOperand, Plan, Policy, RecordFacts, Stage, Timestamp, Usage, odrl::Decimal,
};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    ops::AddAssign,
    sync::LazyLock,
    thread,
    time::{Duration, Instant},
};

/// One case in so many is followed over time as well.
const OVER_TIME: u64 = 2;

/// What was asked, and what came out.
#[derive(Debug, Default, Clone, Copy)]
struct Tally {
    triples: u64,
    permitted: u64,
    incomplete: u64,
    planned: u64,
    not_held: u64,
    narrowed: u64,
    instants: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.triples += other.triples;
        self.permitted += other.permitted;
        self.incomplete += other.incomplete;
        self.planned += other.planned;
        self.not_held += other.not_held;
        self.narrowed += other.narrowed;
        self.instants += other.instants;
    }
}

/// Reading a term looks through a whole table, which would cost more than all the rest.
static ACTIONS: LazyLock<BTreeMap<&str, Action>> =
    LazyLock::new(|| Action::ALL.iter().map(|action| (action.name(), *action)).collect());
static LEFT_OPERANDS: LazyLock<BTreeMap<&str, LeftOperand>> = LazyLock::new(|| {
    LeftOperand::ALL
        .iter()
        .map(|operand| (operand.name(), *operand))
        .collect()
});

/// What the crate is told of a world.
pub(crate) fn facts(world: &World) -> Facts {
    let one = |name: &str| world.known.get(name).and_then(|values| values.first());
    let number = |name: &str| one(name).map(|text| text.parse::<u64>().unwrap());
    let instant = |text: &String| Timestamp::from_millis(text.parse().unwrap());
    let claims: Claims = world
        .known
        .iter()
        .filter_map(|(name, values)| Some((claim(name)?, values.clone())))
        .collect();
    let action = ACTIONS[world.action.as_str()];
    let mut facts = Facts::new(Timestamp::from_millis(world.now), &world.recipient, action)
        .with_claims(claims)
        .with_minors_told();
    facts.purpose = one("purpose").cloned();
    facts.category = one("dataCategory").map(|text| Category::read(text).unwrap());
    facts.consent = one("consent").map(|text| text == "given");
    facts.minor = one("minor").map(|text| text == "true");
    facts.guardian_consent = one("guardianConsent").map(|text| text == "true");
    if let Some(agreed) = one("agreed") {
        facts = facts.with_agreed(instant(agreed));
    }
    if let (Some(transfers), Some(metered), Some(last)) = (number("count"), number("metered"), one("lastTransfer")) {
        facts = facts.with_usage(Usage {
            transfers,
            metered: Duration::from_millis(metered),
            last_transfer: (last != "never").then(|| instant(last)),
        });
    }
    for (name, values) in &world.known {
        facts = named(facts, name, values);
    }
    facts
}

fn claim(name: &str) -> Option<String> {
    let member = name.strip_prefix("membership.").map(str::to_owned);
    member.or_else(|| name.starts_with("credential.").then(|| name.to_owned()))
}

/// Names, numbers and events.
fn named(facts: Facts, name: &str, values: &BTreeSet<String>) -> Facts {
    let one = values.first().map_or("", String::as_str);
    if let Some(event) = name.strip_prefix("event ") {
        let (from, until) = period(one);
        let instant = |millis: Option<i64>| millis.map(Timestamp::from_millis);
        return facts.with_event(event, instant(from), instant(until));
    }
    if let Some(contained) = name.strip_prefix("above ") {
        return facts.with_containers(LEFT_OPERANDS[contained], values);
    }
    let Some((_, _, kind, _)) = OPERANDS.iter().find(|operand| operand.1 == name) else {
        return facts;
    };
    let operand = LEFT_OPERANDS[name];
    match (kind, one.split_once(' ')) {
        (Kind::Names, _) => facts.with_named(operand, values),
        (Kind::Number, Some((number, unit))) => facts.with_amount(operand, Decimal::read(number).unwrap(), unit),
        (Kind::Number, None) if name != "count" => facts.with_number(operand, Decimal::read(one).unwrap()),
        _ => facts,
    }
}

pub(crate) fn decided(policy: &Policy, world: &World) -> bool {
    policy.decide(Stage::Record, &facts(world)).permits()
}

/// The plan's answer for one record, the way a data plane applies it.
pub(crate) fn allowed(plan: &Plan, world: &World) -> bool {
    let facts = facts(world);
    let record = RecordFacts {
        category: facts.category,
        consent: facts.consent,
        minor: facts.minor,
        guardian_consent: facts.guardian_consent,
    };
    let permits = plan.permits(&record).is_ok();
    assert_eq!(permits, plan.permits_by_operations(&record), "{plan:?} {record:?}");
    let purpose = facts.purpose.is_none_or(|purpose| plan.allows_purpose(&purpose));
    permits && purpose && plan.open_at(facts.now).is_ok()
}

/// Whether a plan made at `start` holds in `world`, where more may have been used meanwhile.
fn open(plan: &Plan, start: &World, world: &World) -> bool {
    let used = |world: &World, name: &str| {
        world
            .known
            .get(name)
            .map(|values| values.first().unwrap().parse::<u64>().unwrap())
    };
    let transfers = plan
        .count_limit
        .is_none_or(|limit| used(world, "count").unwrap() < limit);
    let metered = plan.metered_left.is_none_or(|left| {
        let more = used(world, "metered").unwrap() - used(start, "metered").unwrap();
        u128::from(more) <= left.as_millis()
    });
    transfers && metered && plan.open_at(Timestamp::from_millis(world.now)).is_ok()
}

/// Every fact about the record is known, and about its learner as well.
fn known_in_full(world: &World) -> bool {
    let about_the_learner = ["minor", "guardianConsent"];
    complete(world) && about_the_learner.iter().all(|name| world.known.contains_key(*name))
}

/// Every fact about the record is known.
fn complete(world: &World) -> bool {
    ["purpose", "dataCategory", "consent"]
        .iter()
        .all(|name| world.known.contains_key(*name))
}

fn compare_decisions(case: &Case, policy: &Policy, reference: &dyn Evaluator) -> Result<Tally, String> {
    let mut tally = Tally::default();
    for world in &case.worlds {
        let (wanted, got) = (reference.permits(&case.policy, world), decided(policy, world));
        if wanted != got {
            return Err(format!("the reference says {wanted}, the decision {got}, of {world:?}"));
        }
        tally.triples += 1;
        tally.permitted += u64::from(wanted);
        tally.incomplete += u64::from(!complete(world));
    }
    Ok(tally)
}

/// Whether a plan answers as the reference does; true where it gives less because it could not hold all that is permitted.
fn compare_plan(case: &Case, plan: &Plan, world: &World) -> Result<bool, String> {
    // A plan binds the use to its purposes, so there is no use whose purpose is missing.
    if !world.known.contains_key("purpose") {
        return Ok(false);
    }
    let (wanted, got) = (Reference.permits(&case.policy, world), allowed(plan, world));
    // Beside one permission alone a plan may leave out what others give.
    let may_be_narrower = nodes(&case.policy, "permission").len() > 1;
    match (wanted, got) {
        (true, false) if may_be_narrower => Ok(true),
        (true, false) if asks_below(case, world) && !holds_purpose(case, plan, world) => Ok(true),
        // A record leaves for every purpose of the plan. Of one that is known in full the policy says the same for each, or there is no plan.
        (true, false) if !known_in_full(world) && !for_every_purpose(case, plan, world) => Ok(true),
        _ if wanted == got => Ok(false),
        _ => Err(format!(
            "the reference says {wanted}, the plan {got}, of {world:?}: {plan:?}"
        )),
    }
}

/// Whether the policy asks what lies below some purposes, and the purpose of this world is one of the tree. A plan binds the use to purposes by
/// their names, as consent has them, and to those that the rules about its action write: it may hold less than such a policy permits.
fn asks_below(case: &Case, world: &World) -> bool {
    let mut written = BTreeSet::new();
    texts(&case.policy, &mut written);
    let purpose = world.known.get("purpose").and_then(|purposes| purposes.first());
    written.iter().any(|text| text.ends_with("isA")) && purpose.is_some_and(|purpose| is_purpose(&spelling(purpose)))
}

/// Whether the plan lets something leave for this purpose, and the reference for each that it holds.
fn holds_purpose(case: &Case, plan: &Plan, world: &World) -> bool {
    let purpose = world.known.get("purpose").and_then(|purposes| purposes.first());
    match plan.purposes.is_empty() {
        true => for_every_purpose(case, plan, world),
        false => purpose.is_some_and(|purpose| plan.allows_purpose(purpose)),
    }
}

/// Whether the reference permits this record for each purpose that the plan lets it leave for.
fn for_every_purpose(case: &Case, plan: &Plan, world: &World) -> bool {
    let mut purposes: BTreeSet<String> = plan.purposes.iter().cloned().collect();
    if purposes.is_empty() {
        // Any: whatever the policy names, and one that it does not.
        texts(&case.policy, &mut purposes);
        purposes.insert("https://example.org/another-purpose".to_owned());
    }
    purposes.into_iter().all(|purpose| {
        let mut one = world.clone();
        one.known.insert("purpose".to_owned(), BTreeSet::from([purpose]));
        Reference.permits(&case.policy, &one)
    })
}

fn texts(policy: &Value, all: &mut BTreeSet<String>) {
    match policy {
        Value::Array(items) => items.iter().for_each(|item| texts(item, all)),
        Value::Object(members) => members.values().for_each(|member| texts(member, all)),
        Value::String(text) => all.extend([text.clone()]),
        _ => {}
    }
}

/// The plan made from the facts of the request, asked about each record at the time it was made.
fn compare_plans(case: &Case, policy: &Policy) -> Result<Tally, String> {
    let mut tally = Tally::default();
    for start in case.worlds.iter().take(2) {
        let plan = policy.plan(&facts(start));
        for record in &case.worlds {
            let world = World {
                now: start.now,
                ..record.clone()
            };
            match &plan {
                Ok(plan) => {
                    tally.planned += 1;
                    tally.narrowed += u64::from(compare_plan(case, plan, &world)?);
                }
                Err(reasons) if reasons.iter().any(|reason| reason.code.as_str() == "POL-08") => tally.not_held += 1,
                // A plan needs a purpose to be bound to.
                Err(_) if asks_below(case, &world) => {}
                Err(reasons) if complete(&world) && Reference.permits(&case.policy, &world) => {
                    return Err(format!("no plan, and the reference permits {world:?}: {reasons:?}"));
                }
                Err(_) => {}
            }
        }
    }
    Ok(tally)
}

/// Every instant at which a comparison with the clock may change, and those just before and after.
fn instants(policy: &Value, world: &World, all: &mut BTreeSet<i64>) {
    match policy {
        Value::Array(items) => items.iter().for_each(|item| instants(item, world, all)),
        Value::Object(members) => members.values().for_each(|member| instants(member, world, all)),
        Value::String(written) => {
            all.extend(span(policy).into_iter().flat_map(around));
            let Some((months, millis)) = duration(written) else {
                return;
            };
            for from in ["agreed", "lastTransfer"]
                .iter()
                .filter_map(|name| world.known.get(*name)?.first()?.parse().ok())
            {
                let at = months_later(from, months) + millis;
                all.extend(around((at, at)));
            }
        }
        _ => {}
    }
}

fn around((first, last): (i64, i64)) -> [i64; 4] {
    [first - 1, first, last, last + 1]
}

/// A plan, made anew whenever it has closed, answers at every instant, and for all that is used meanwhile, as the reference does.
fn compare_over_time(case: &Case, policy: &Policy) -> Result<Tally, String> {
    let (mut tally, mut all) = (Tally::default(), BTreeSet::new());
    let Some(record) = case.worlds.iter().find(|world| complete(world)) else {
        return Ok(tally);
    };
    instants(&case.policy, record, &mut all);
    for (_, times) in record.known.iter().filter(|(name, _)| name.starts_with("event ")) {
        let (from, until) = period(times.first().unwrap());
        all.extend(from.into_iter().chain(until).flat_map(|at| around((at, at))));
    }
    all.insert(record.now);
    let mut made: Option<(Plan, World)> = None;
    for now in all {
        for (more_transfers, more_metered) in [(0, 0), (1, 0), (0, 1), (1, 60_000)] {
            let mut world = World { now, ..record.clone() };
            add(&mut world, "count", more_transfers);
            add(&mut world, "metered", more_metered);
            if made.as_ref().is_none_or(|(plan, start)| !open(plan, start, &world)) {
                made = policy.plan(&facts(&world)).ok().map(|plan| (plan, world.clone()));
            }
            if let Some((plan, _)) = &made {
                tally.instants += 1;
                tally.narrowed += u64::from(compare_plan(case, plan, &world)?);
            }
            // Nothing is ever used less.
            made = made.filter(|(_, start)| {
                start.known.get("count") == record.known.get("count")
                    && start.known.get("metered") == record.known.get("metered")
            });
        }
    }
    Ok(tally)
}

fn add(world: &mut World, name: &str, more: u64) {
    if let Some(values) = world.known.get_mut(name) {
        let sum = values.first().unwrap().parse::<u64>().unwrap() + more;
        *values = BTreeSet::from([sum.to_string()]);
    }
}

fn compare(number: u64, case: &Case) -> Result<Tally, String> {
    let policy = Policy::parse(&case.policy).map_err(|malformed| malformed.to_string())?;
    let mut tally = compare_decisions(case, &policy, &Reference)?;
    tally += compare_plans(case, &policy)?;
    if number.is_multiple_of(OVER_TIME) {
        tally += compare_over_time(case, &policy)?;
    }
    Ok(tally)
}

pub(crate) fn seed() -> u64 {
    env::var("DIFFERENTIAL_SEED").map_or(2026, |text| text.parse().expect("DIFFERENTIAL_SEED is a number"))
}

/// How many questions a run asks.
pub(crate) fn triples() -> u64 {
    if env::var_os("CONNECTOR_LONG").is_some() {
        10_000_000
    } else {
        100_000
    }
}

fn run(numbers: impl Iterator<Item = u64>) -> Tally {
    let mut tally = Tally::default();
    for number in numbers {
        let one = case(&mut Random::new(seed(), number)).without_unasked();
        match compare(number, &one) {
            Ok(more) => tally += more,
            Err(_) => {
                let small = minimal(one, &|smaller| {
                    Policy::parse(&smaller.policy).is_ok() && compare(number, smaller).is_err()
                });
                panic!("case {number}: {}\n{small}", compare(number, &small).unwrap_err());
            }
        }
    }
    tally
}

#[test]
fn the_crate_decides_and_plans_as_the_reference_does() {
    let (start, cases) = (Instant::now(), triples() / RECORDS as u64);
    let mut tally = Tally::default();
    thread::scope(|scope| {
        let halves = [0, 1].map(|half| scope.spawn(move || run((half..cases).step_by(2))));
        halves
            .into_iter()
            .for_each(|half| tally += half.join().expect("no difference"));
    });
    let share = |part: u64, whole: u64| part * 100 / whole.max(1);
    println!(
        "differential: {} triples, 0 differences, {} % permitted, {} % with facts missing; {} plan answers, {} % narrower than the policy, \
         {} without a plan that could hold them, {} at instants of change; seed {}, {:.1} s",
        tally.triples,
        share(tally.permitted, tally.triples),
        share(tally.incomplete, tally.triples),
        tally.planned,
        share(tally.narrowed, tally.planned + tally.instants),
        tally.not_held,
        tally.instants,
        seed(),
        start.elapsed().as_secs_f64(),
    );
    assert!(
        (20..=80).contains(&share(tally.permitted, tally.triples)),
        "one answer is too rare"
    );
    assert!(tally.instants > 0 && tally.not_held > 0 && tally.incomplete > 0);
}

#[test]
fn every_mutant_of_the_reference_is_noticed() {
    let cases = triples().min(100_000) / RECORDS as u64;
    let mut alive: Vec<(&str, &dyn Evaluator)> = MUTANTS.to_vec();
    for number in 0..cases {
        let case = case(&mut Random::new(seed(), number)).without_unasked();
        let policy = Policy::parse(&case.policy).unwrap();
        alive.retain(|(name, mutant)| {
            let noticed = compare_decisions(&case, &policy, *mutant).is_err();
            if noticed {
                println!("mutant: {name} noticed at case {number}");
            }
            !noticed
        });
        if alive.is_empty() {
            break;
        }
    }
    let names: Vec<&str> = alive.iter().map(|(name, _)| *name).collect();
    println!("mutants: {} of {} noticed", MUTANTS.len() - names.len(), MUTANTS.len());
    assert!(names.is_empty(), "nobody noticed: {names:?}");
}
