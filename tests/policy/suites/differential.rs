//! The crate against the reference evaluator, on random policies, requests and records: the decision per record, the plan
//! made at the start of a transfer, and the plan over time. `CONNECTOR_LONG=1` asks a hundred times as many questions,
//! `DIFFERENTIAL_SEED` others.

use crate::{
    generate::{Case, RECORDS, Random, case, minimal},
    mutants::MUTANTS,
    reference::{Evaluator, Reference, World, nodes, span},
};
use policy::{Action, Category, Claims, Facts, Plan, Policy, Stage, Timestamp};
use serde_json::Value;
use std::{collections::BTreeSet, env, ops::AddAssign, thread, time::Instant};

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

/// What the crate is told of a world.
pub(crate) fn facts(world: &World) -> Facts {
    let one = |name: &str| world.known.get(name).and_then(|values| values.first());
    let claims: Claims = world
        .known
        .iter()
        .filter_map(|(name, values)| Some((name.strip_prefix("membership.")?.to_owned(), values.clone())))
        .collect();
    let action = Action::read(&world.action).unwrap();
    let mut facts = Facts::new(Timestamp::from_millis(world.now), &world.recipient, action).with_claims(claims);
    facts.purpose = one("purpose").cloned();
    facts.category = one("dataCategory").map(|text| Category::read(text).unwrap());
    facts.consent = one("consent").map(|text| text == "given");
    facts
}

pub(crate) fn decided(policy: &Policy, world: &World) -> bool {
    policy.decide(Stage::Record, &facts(world)).permits()
}

/// The plan's answer for one record, the way a data plane applies it.
pub(crate) fn allowed(plan: &Plan, world: &World) -> bool {
    let facts = facts(world);
    let purpose = facts
        .purpose
        .map_or_else(|| plan.any_purpose(), |purpose| plan.allows_purpose(&purpose));
    let category = facts
        .category
        .map_or_else(|| plan.categories.is_none(), |one| plan.allows_category(one.name()));
    purpose && category && (!plan.consent_required || facts.consent == Some(true)) && plan.open_at(facts.now).is_ok()
}

/// Every fact about the record is known.
fn complete(world: &World) -> bool {
    ["purpose", "dataCategory", "consent"]
        .iter()
        .all(|name| world.known.contains_key(*name))
}

fn compare_decisions(case: &Case, reference: &dyn Evaluator) -> Result<Tally, String> {
    let policy = Policy::parse(&case.policy).map_err(|malformed| malformed.to_string())?;
    let mut tally = Tally::default();
    for world in &case.worlds {
        let (wanted, got) = (reference.permits(&case.policy, world), decided(&policy, world));
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
    // Beside one permission alone a plan may leave out what others give; a missing fact stops a record at the plan.
    let may_be_narrower = nodes(&case.policy, "permission").len() > 1 || !complete(world);
    match (wanted, got) {
        (true, false) if may_be_narrower => Ok(true),
        (false, true) if !world.known.contains_key("consent") => Ok(true),
        _ if wanted == got => Ok(false),
        _ => Err(format!(
            "the reference says {wanted}, the plan {got}, of {world:?}: {plan:?}"
        )),
    }
}

/// The plan made from the facts of the request, asked about each record at the time it was made.
fn compare_plans(case: &Case) -> Result<Tally, String> {
    let policy = Policy::parse(&case.policy).map_err(|malformed| malformed.to_string())?;
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
fn instants(policy: &Value, all: &mut BTreeSet<i64>) {
    match policy {
        Value::Array(items) => items.iter().for_each(|item| instants(item, all)),
        Value::Object(members) => {
            all.extend(span(policy).into_iter().flat_map(around));
            members.values().for_each(|member| instants(member, all));
        }
        other => all.extend(span(other).into_iter().flat_map(around)),
    }
}

fn around((first, last): (i64, i64)) -> [i64; 4] {
    [first - 1, first, last, last + 1]
}

/// A plan, made anew whenever it has closed, answers at every instant as the reference does.
fn compare_over_time(case: &Case) -> Result<Tally, String> {
    let policy = Policy::parse(&case.policy).map_err(|malformed| malformed.to_string())?;
    let (mut tally, mut all) = (Tally::default(), BTreeSet::new());
    instants(&case.policy, &mut all);
    let Some(record) = case.worlds.iter().find(|world| complete(world)) else {
        return Ok(tally);
    };
    let mut plan: Option<Plan> = None;
    for now in all {
        let world = World { now, ..record.clone() };
        if plan
            .as_ref()
            .is_none_or(|plan| plan.open_at(Timestamp::from_millis(now)).is_err())
        {
            plan = policy.plan(&facts(&world)).ok();
        }
        if let Some(plan) = &plan {
            tally.instants += 1;
            tally.narrowed += u64::from(compare_plan(case, plan, &world)?);
        }
    }
    Ok(tally)
}

fn compare(number: u64, case: &Case) -> Result<Tally, String> {
    let mut tally = compare_decisions(case, &Reference)?;
    tally += compare_plans(case)?;
    if number.is_multiple_of(OVER_TIME) {
        tally += compare_over_time(case)?;
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
        let one = case(&mut Random::new(seed(), number));
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
    let mut alive = Vec::new();
    for (name, mutant) in MUTANTS {
        let noticed = (0..cases).find(|number| {
            let case = case(&mut Random::new(seed(), *number));
            compare_decisions(&case, *mutant).is_err()
        });
        match noticed {
            Some(number) => println!("mutant: {name} noticed at case {number}"),
            None => alive.push(name),
        }
    }
    println!("mutants: {} of {} noticed", MUTANTS.len() - alive.len(), MUTANTS.len());
    assert!(alive.is_empty(), "nobody noticed: {alive:?}");
}
