//! What must hold of every policy, whatever it says: tried on generated ones. Each property counts how often it had
//! something to say, so that none holds for lack of occasions.

use crate::{
    differential::{allowed, decided, facts, seed, triples},
    generate::{Case, RECORDS, Random, case, constraint, policy, prohibition, record},
    reference::World,
};
use policy::{
    Policy, Stage, intersect, leaving_nothing,
    odrl::{
        self, Reading,
        compare::{self, Answer, Concepts, Within},
    },
    same_terms, within,
};
use serde_json::{Value, json};

/// Asks `holds` about many cases; it answers whether the case was one in which the property says anything. That must be
/// so in the `least` per cent of them.
fn always(name: &str, least: u64, holds: impl Fn(&mut Random) -> Result<bool, String>) {
    always_in((triples() / 25).min(100_000), name, least, holds);
}

/// The same about so many cases.
fn always_in(cases: u64, name: &str, least: u64, holds: impl Fn(&mut Random) -> Result<bool, String>) {
    let mut telling = 0;
    for number in 0..cases {
        match holds(&mut Random::new(seed() ^ 0x5eed, number)) {
            Ok(said) => telling += u64::from(said),
            Err(fault) => panic!("{name}, case {number}: {fault}"),
        }
    }
    println!("property: {name}: {telling} of {cases} cases tell");
    assert!(telling * 100 >= least * cases, "{name} tells too rarely");
}

fn read(policy: &Value) -> Policy {
    Policy::parse(policy).unwrap_or_else(|malformed| panic!("{malformed}: {policy:#}"))
}

/// The rules of one kind as a list that can be changed.
fn rules<'a>(policy: &'a mut Value, kind: &str) -> &'a mut Vec<Value> {
    let object = policy.as_object_mut().unwrap();
    let written = object.remove(&format!("odrl:{kind}")).or_else(|| object.remove(kind));
    let many = match written {
        Some(Value::Array(many)) => many,
        Some(one) => vec![one],
        None => Vec::new(),
    };
    object.insert(kind.to_owned(), many.into());
    policy[kind].as_array_mut().unwrap()
}

/// What the narrower policy permits and the wider one does not.
fn beyond<'a>(narrower: &Policy, wider: &Policy, worlds: &'a [World]) -> Option<&'a World> {
    worlds
        .iter()
        .find(|world| decided(narrower, world) && !decided(wider, world))
}

/// Fails if `narrower` permits anything more; tells when the two ever differ.
fn never_more(narrower: &Value, wider: &Value, worlds: &[World]) -> Result<bool, String> {
    let (one, other) = (read(narrower), read(wider));
    match beyond(&one, &other, worlds) {
        Some(world) => Err(format!("{narrower:#}\npermits more than\n{wider:#}\nof {world:?}")),
        None => Ok(beyond(&other, &one, worlds).is_some()),
    }
}

#[test]
fn what_no_permission_covers_is_denied() {
    always("deny by default", 30, |random| {
        let Case { policy, worlds } = case(random);
        let (mut without, mut elsewhere) = (policy.clone(), policy.clone());
        rules(&mut without, "permission").clear();
        rules(&mut without, "prohibition").push(prohibition(random));
        for rule in rules(&mut elsewhere, "permission") {
            rule["action"] = "nextPolicy".into();
        }
        let refused = [without, elsewhere];
        match refused
            .iter()
            .find(|policy| worlds.iter().any(|world| decided(&read(policy), world)))
        {
            Some(policy) => Err(format!("something is permitted by {policy:#}")),
            None => Ok(worlds.iter().any(|world| decided(&read(&policy), world))),
        }
    });
}

#[test]
fn another_prohibition_never_permits_more() {
    always("adding a prohibition", 5, |random| {
        let Case { policy, worlds } = case(random);
        let mut more = policy.clone();
        rules(&mut more, "prohibition").push(prohibition(random));
        never_more(&more, &policy, &worlds)
    });
}

#[test]
fn another_constraint_on_a_permission_never_permits_more() {
    always("adding a constraint to a permission", 5, |random| {
        let Case { policy, worlds } = case(random);
        let mut more = policy.clone();
        let permissions = rules(&mut more, "permission");
        let place = random.below(permissions.len());
        let added = constraint(random, 2);
        add_constraint(&mut permissions[place], added);
        never_more(&more, &policy, &worlds)
    });
}

fn add_constraint(rule: &mut Value, added: Value) {
    let all = match rule["constraint"].take() {
        Value::Array(mut many) => {
            many.push(added);
            many
        }
        Value::Null => vec![added],
        one => vec![one, added],
    };
    rule["constraint"] = all.into();
}

#[test]
fn less_knowledge_never_permits_more() {
    always("forgetting a fact", 5, |random| {
        let Case { policy, worlds } = case(random).without_unasked();
        let policy_read = read(&policy);
        let mut tells = false;
        for world in &worlds {
            let Some(name) = world.known.keys().nth(random.below(world.known.len())) else {
                continue;
            };
            let mut less = world.clone();
            less.forget(name);
            match (decided(&policy_read, &less), decided(&policy_read, world)) {
                (true, false) => return Err(format!("without {name} more is permitted by {policy:#}, of {world:?}")),
                (before, after) => tells |= before != after,
            }
        }
        Ok(tells)
    });
}

/// Puts `instead` in the place of the comparison with this number, in document order.
fn replace(node: &mut Value, number: &mut usize, instead: &Value) {
    if node.get("leftOperand").is_some() {
        if *number == 0 {
            *node = instead.clone();
        }
        *number = number.wrapping_sub(1);
        return;
    }
    match node {
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, number, instead)),
        Value::Object(members) => members.values_mut().for_each(|member| replace(member, number, instead)),
        _ => {}
    }
}

#[test]
fn an_unknown_comparison_never_permits_more_than_a_false_or_a_true_one() {
    let comparison = |left: &str, operator: &str, right: &str| json!({"leftOperand": left, "operator": operator, "rightOperand": right});
    let unknown = comparison("membership.nobody-knows", "eq", "this");
    let fails = comparison("dateTime", "lt", "1999-01-01T00:00:00Z");
    let holds = comparison("dateTime", "gt", "1999-01-01T00:00:00Z");
    always("Unknown in place of a comparison", 5, |random| {
        let Case { policy, worlds } = case(random);
        let place = random.below(6);
        let with = |instead: &Value| {
            let mut changed = policy.clone();
            replace(&mut changed, &mut place.clone(), instead);
            changed
        };
        let (lacking, absent, present) = (with(&unknown), with(&fails), with(&holds));
        Ok(never_more(&lacking, &absent, &worlds)? | never_more(&lacking, &present, &worlds)?)
    });
}

/// The same, with every list of rules, constraints and alternatives in another order.
fn shuffled(random: &mut Random, node: &mut Value) {
    match node {
        Value::Array(items) => {
            items.iter_mut().for_each(|item| shuffled(random, item));
            for place in 1..items.len() {
                items.swap(place, random.below(place + 1));
            }
        }
        Value::Object(members) => members.values_mut().for_each(|member| shuffled(random, member)),
        _ => {}
    }
}

#[test]
fn the_order_of_rules_constraints_and_alternatives_is_irrelevant() {
    always("order", 50, |random| {
        let Case { policy, worlds } = case(random);
        let mut other = policy.clone();
        shuffled(random, &mut other);
        let (one, two) = (read(&policy), read(&other));
        for world in &worlds {
            if decided(&one, world) != decided(&two, world) {
                return Err(format!("{policy:#}\nand\n{other:#}\ndiffer over {world:?}"));
            }
        }
        let plans = [&one, &two].map(|policy| policy.plan(&facts(&worlds[0])).ok());
        let [first, second] = &plans;
        let same = match (first, second) {
            (Some(one), Some(two)) => worlds.iter().all(|world| allowed(one, world) == allowed(two, world)),
            (one, two) => one.is_none() == two.is_none(),
        };
        if same {
            Ok(policy != other)
        } else {
            Err(format!(
                "{policy:#}\nand\n{other:#}\nare planned differently: {plans:?}"
            ))
        }
    });
}

/// The terms of a policy as the crate writes them, in the envelope that they had.
fn written(policy: &Value) -> Result<Value, String> {
    let mut terms = intersect(policy, policy).map_err(|none| format!("{none}: {policy:#}"))?;
    for name in ["@id", "@type", "target", "assigner", "assignee"] {
        terms[name] = policy[name].clone();
    }
    Ok(terms)
}

#[test]
fn reading_and_writing_again_changes_nothing() {
    always("reading, writing, reading", 50, |random| {
        let Case { policy, worlds } = case(random);
        // What permits nothing has nothing in common with itself that could be written.
        if !leaving_nothing(&policy).is_empty() {
            return Ok(false);
        }
        let once = written(&policy)?;
        let twice = written(&once)?;
        if once != twice {
            return Err(format!("{once:#}\nis written again as\n{twice:#}"));
        }
        let (one, two) = (read(&policy), read(&once));
        same_terms(&one, &two).map_err(|difference| format!("{difference}: {policy:#}"))?;
        match worlds.iter().find(|world| decided(&one, world) != decided(&two, world)) {
            Some(world) => Err(format!(
                "{policy:#}\nis written as\n{once:#}\nwhich differs over {world:?}"
            )),
            None => Ok(policy != once),
        }
    });
}

/// A policy that differs from another in a few places, narrower here and wider there.
fn varied(random: &mut Random, policy: &Value) -> Value {
    let mut varied = policy.clone();
    for _ in 0..1 + random.below(2) {
        let mut next = varied.clone();
        match random.below(4) {
            0 => rules(&mut next, "prohibition").push(prohibition(random)),
            1 => {
                let permissions = rules(&mut next, "permission");
                let place = random.below(permissions.len().max(1));
                let added = constraint(random, 1);
                if let Some(rule) = permissions.get_mut(place) {
                    add_constraint(rule, added);
                }
            }
            _ => without_one(random, &mut next),
        }
        if Policy::parse(&next).is_ok() {
            varied = next;
        }
    }
    varied
}

/// Leaves out one rule, constraint, part or alternative, wherever it stands.
fn without_one(random: &mut Random, node: &mut Value) {
    match node {
        Value::Array(items) if !items.is_empty() => {
            let place = random.below(items.len());
            if random.one_in(2) || items[place].is_string() {
                items.remove(place);
            } else {
                without_one(random, &mut items[place]);
            }
        }
        Value::Object(members) if !members.is_empty() => {
            let nodes: Vec<&mut Value> = members.values_mut().filter(|member| !member.is_string()).collect();
            let place = random.below(nodes.len());
            if let Some(member) = nodes.into_iter().nth(place) {
                without_one(random, member);
            }
        }
        _ => {}
    }
}

/// Many records under several requests.
fn sampled(random: &mut Random) -> Vec<World> {
    let requests = [case(random), case(random)];
    let mut worlds: Vec<World> = requests.into_iter().flat_map(|case| case.worlds).collect();
    for place in 0..RECORDS {
        let more = record(random, &worlds[place].clone());
        worlds.push(more);
    }
    worlds
}

#[test]
fn what_is_within_a_policy_permits_nothing_beyond_it() {
    always("within", 20, |random| {
        let offered = policy(random);
        let asked = if random.one_in(5) {
            policy(random)
        } else {
            varied(random, &offered)
        };
        let mut told = false;
        for (narrow, wide) in [(&asked, &offered), (&offered, &asked)] {
            let (one, other) = (read(narrow), read(wide));
            if one.kind() != other.kind() || one.assignee() != other.assignee() || within(&one, &other).is_err() {
                continue;
            }
            told |= within(&other, &one).is_err();
            if let Some(world) = beyond(&one, &other, &sampled(random)) {
                return Err(format!(
                    "{narrow:#}\nis said to be within\n{wide:#}\nand permits {world:?}"
                ));
            }
        }
        Ok(told)
    });
}

#[test]
fn what_two_policies_have_in_common_is_permitted_by_both() {
    always("intersect", 10, |random| {
        let offered = policy(random);
        let asked = if random.one_in(2) {
            policy(random)
        } else {
            varied(random, &offered)
        };
        let Ok(mut common) = intersect(&asked, &offered) else {
            return Ok(false);
        };
        for (name, value) in [("@id", "urn:c"), ("@type", "Set")] {
            common[name] = value.into();
        }
        let [mut asked, mut offered] = [asked, offered];
        asked["@type"] = "Set".into();
        offered["@type"] = "Set".into();
        let worlds = sampled(random);
        let told = never_more(&common, &asked, &worlds)? | never_more(&common, &offered, &worlds)?;
        let (one, two, both) = (read(&asked), read(&offered), read(&common));
        let lost = worlds
            .iter()
            .find(|world| decided(&one, world) && decided(&two, world) && !decided(&both, world));
        match lost {
            Some(world) => Err(format!(
                "{asked:#}\nand\n{offered:#}\nboth permit {world:?}, and not\n{common:#}"
            )),
            None => Ok(told),
        }
    });
}

#[test]
fn less_consent_never_lets_more_records_leave() {
    always("narrowing consent", 2, |random| {
        let Case { mut policy, worlds } = case(random);
        if random.one_in(2) {
            let asked = json!({"leftOperand": "dases:consent", "operator": "eq", "rightOperand": "given"});
            rules(&mut policy, "permission")
                .iter_mut()
                .for_each(|rule| add_constraint(rule, asked.clone()));
        }
        let Ok(plan) = read(&policy).plan(&facts(&worlds[0])) else {
            return Ok(false);
        };
        let mut told = false;
        for world in &worlds {
            let with = |consent: Option<&str>| {
                let mut world = World {
                    now: worlds[0].now,
                    ..world.clone()
                };
                world.known.remove("consent");
                world
                    .known
                    .extend(consent.map(|text| ("consent".to_owned(), [text.to_owned()].into())));
                allowed(&plan, &world)
            };
            let given = with(Some("given"));
            for less in [Some("absent"), None] {
                match (with(less), given) {
                    (true, false) => return Err(format!("{plan:?} lets {world:?} leave without consent alone")),
                    (without, given) => told |= without != given,
                }
            }
        }
        Ok(told)
    });
}

/// The same policy as the information model has it.
fn modelled(policy: &Value) -> odrl::Policy {
    odrl::Policy::read(policy, &Reading::LENIENT).unwrap_or_else(|unreadable| panic!("{unreadable}: {policy:#}"))
}

#[test]
fn what_comparison_shows_is_so_for_every_record() {
    let concepts = Concepts::profile();
    // Each case asks for a search.
    always_in((triples() / 250).min(10_000), "comparison by areas", 20, |random| {
        let mut offered = policy(random);
        let mut asked = if random.one_in(3) {
            policy(random)
        } else {
            varied(random, &offered)
        };
        for policy in [&mut offered, &mut asked] {
            policy["@type"] = "Set".into();
        }
        let understood = |policy: &Value| read(policy).check(Stage::Publish).is_ok();
        if !understood(&asked) || !understood(&offered) {
            return Ok(false);
        }
        let (one, other) = (modelled(&asked), modelled(&offered));
        let worlds = sampled(random);
        let mut told = false;
        if compare::within(&one, &other, &concepts) == Within::Yes {
            told = true;
            never_more(&asked, &offered, &worlds).map_err(|fault| format!("said to be within: {fault}"))?;
        }
        let (first, second) = (read(&asked), read(&offered));
        if let Answer::Impossible(why) = compare::compatible(&one, &other, &concepts) {
            told = true;
            if let Some(world) = worlds
                .iter()
                .find(|world| decided(&first, world) && decided(&second, world))
            {
                return Err(format!(
                    "{asked:#}\nand\n{offered:#}\nare said to conflict ({why:?}), and both permit {world:?}"
                ));
            }
            // What is written as common looks less long for a proof, and may be terms that permit nothing.
            if let Ok(mut common) = intersect(&asked, &offered) {
                common["@id"] = "urn:common".into();
                let terms = read(&common);
                if let Some(world) = worlds.iter().find(|world| decided(&terms, world)) {
                    return Err(format!(
                        "{asked:#}\nand\n{offered:#}\nare said to conflict ({why:?}), and {common:#} permits {world:?}"
                    ));
                }
            }
        }
        if let Answer::Impossible(why) = compare::satisfiable(&one, &concepts) {
            told = true;
            if let Some(world) = worlds.iter().find(|world| decided(&first, world)) {
                return Err(format!(
                    "{asked:#}\nis said to permit nothing ({why:?}), and permits {world:?}"
                ));
            }
        }
        Ok(told)
    });
}
