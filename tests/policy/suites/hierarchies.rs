//! Comparison against enforcement where names lie below each other: purposes, places and languages. What comparison shows of two policies must be
//! what `Policy::decide` and the plans do, for every purpose and every set of places that the policies can tell apart.

use crate::{
    differential::{seed, triples},
    generate::Random,
};
use policy::{
    Action, Facts, LeftOperand, Policy, RecordFacts, Stage, Timestamp,
    odrl::{
        self, Reading, Value as Known,
        compare::{self, Answer, Concepts, Request, Stated, Within},
    },
    within,
};
use serde_json::{Value, json};

const PURPOSES: &[&str] = &[
    "dpv:Marketing",
    "dpv:Advertising",
    "dpv:TargetedAdvertising",
    "dpv:Personalisation",
    "dpv:ResearchAndDevelopment",
    "dpv:ScientificResearch",
    "dpv:CommercialResearch",
    "dpv:CommercialPurpose",
    "dpv:NonCommercialPurpose",
    "orientation",
    "urn:purpose",
];
const PLACES: &[&str] = &[
    "FR",
    "FR1",
    "FR10",
    "nuts:FR10",
    "FR-75",
    "RE",
    "EL30",
    "GR",
    "DE",
    "EU",
    "CHN",
    "CH",
    "urn:place",
];
const LANGUAGES: &[&str] = &["fr", "fr-CA", "FR", "bcp47:fr-ca", "de", "urn:language"];
/// A name that no policy here writes.
const OTHER: &str = "urn:another";

/// What is known of a request; nothing is a fact that is missing.
#[derive(Debug, Clone, Default)]
struct World {
    purpose: Option<String>,
    places: Vec<String>,
    languages: Vec<String>,
}

impl World {
    fn facts(&self) -> Facts {
        let mut facts = Facts::new(Timestamp::from_millis(0), "did:web:a", Action::Use);
        facts.purpose = self.purpose.clone();
        for (operand, names) in [
            (LeftOperand::Spatial, &self.places),
            (LeftOperand::Language, &self.languages),
        ] {
            if !names.is_empty() {
                facts = facts.with_named(operand, names);
            }
        }
        facts
    }

    /// The request that a comparison shows.
    fn shown(request: &Request) -> Self {
        let names = |operand: &str| -> Vec<String> {
            let text = |value: &Known| match value {
                Known::Iri(text) | Known::Text(text) => text.clone(),
                other => panic!("{other:?} is no name"),
            };
            match request.get(operand) {
                Some(Stated::One(value, _)) => vec![text(value)],
                Some(Stated::All(values)) => values.iter().map(text).collect(),
                Some(Stated::Other) => vec![OTHER.to_owned()],
                Some(Stated::Nothing) | None => Vec::new(),
            }
        };
        Self {
            purpose: names("purpose").pop(),
            places: names("spatial"),
            languages: names("language"),
        }
    }

    /// Every purpose beside a few places and languages.
    fn some(random: &mut Random) -> Vec<Self> {
        let purposes = PURPOSES.iter().chain([&OTHER]).map(|name| Some((*name).to_owned()));
        let mut names =
            |from: &[&str]| -> Vec<String> { (0..random.below(3)).map(|_| random.pick(from).to_owned()).collect() };
        let world = |purpose| Self {
            purpose,
            places: names(PLACES),
            languages: names(LANGUAGES),
        };
        purposes.chain([None]).map(world).collect()
    }
}

fn comparison(random: &mut Random) -> Value {
    let several: &[&str] = &["isA", "isA", "isAnyOf", "isAnyOf", "isNoneOf"];
    let (left, operators, names) = match random.below(4) {
        0 => (
            "spatial",
            &["isPartOf", "isA", "isAnyOf", "isNoneOf", "isAllOf", "hasPart"][..],
            PLACES,
        ),
        1 => (
            "language",
            &["isPartOf", "isA", "isAnyOf", "isNoneOf", "isAllOf", "hasPart"][..],
            LANGUAGES,
        ),
        _ => ("purpose", several, PURPOSES),
    };
    let right: Vec<&str> = (0..1 + random.below(3)).map(|_| random.pick(names)).collect();
    json!({"leftOperand": left, "operator": random.pick(operators), "rightOperand": right})
}

fn policy(random: &mut Random) -> Value {
    let mut rule = |most: usize| {
        let constraints: Vec<Value> = (0..1 + random.below(most)).map(|_| comparison(random)).collect();
        json!({"action": "use", "constraint": constraints})
    };
    let (permission, another, prohibition) = (rule(3), rule(2), rule(2));
    let mut policy = json!({"@type": "Set", "@id": "urn:uuid:1", "target": "urn:uuid:2", "permission": [permission]});
    if random.one_in(4) {
        policy["permission"] = json!([permission, another]);
    }
    if random.one_in(3) {
        policy["prohibition"] = json!([prohibition]);
    }
    policy
}

/// The same with a comparison more, or another policy.
fn beside(random: &mut Random, first: &Value) -> Value {
    let mut other = first.clone();
    match random.below(4) {
        0 => return policy(random),
        1 => {}
        2 => other["permission"][0]["constraint"][0] = comparison(random),
        _ => {
            let added = comparison(random);
            other["permission"][0]["constraint"].as_array_mut().unwrap().push(added);
        }
    }
    other
}

fn read(policy: &Value) -> Policy {
    Policy::parse(policy).unwrap()
}

fn modelled(policy: &Value) -> odrl::Policy {
    odrl::Policy::read(policy, &Reading::LENIENT).unwrap()
}

fn decided(policy: &Policy, world: &World) -> bool {
    policy.decide(Stage::Record, &world.facts()).permits()
}

/// Asks about many pairs of policies; the answer says whether the property had something to say, which it must in `least` per cent.
fn always(name: &str, least: u64, holds: impl Fn(&mut Random, &Value, &Value) -> bool) {
    let cases = (triples() / 50).min(50_000);
    let mut telling = 0;
    for number in 0..cases {
        let random = &mut Random::new(seed() ^ 0xc04e, number);
        let one = policy(random);
        let other = beside(random, &one);
        telling += u64::from(holds(random, &one, &other));
    }
    println!("hierarchies: {name}: {telling} of {cases} cases tell");
    assert!(telling * 100 >= least * cases, "{name} tells too rarely");
}

#[test]
fn the_request_that_a_comparison_shows_is_permitted_by_both_policies() {
    let concepts = Concepts::profile();
    always("compatible", 20, |_, one, other| {
        let Answer::Possible(request) = compare::compatible(&modelled(one), &modelled(other), &concepts) else {
            return false;
        };
        let world = World::shown(&request);
        for policy in [one, other] {
            let decision = read(policy).decide(Stage::Record, &world.facts());
            assert!(
                decision.permits(),
                "{one:#}\nand\n{other:#}\nare said to be compatible ({request}), and of {world:?} one says {decision:?}"
            );
        }
        true
    });
}

#[test]
fn what_a_comparison_shows_to_be_impossible_no_policy_permits() {
    let concepts = Concepts::profile();
    always("conflict", 5, |random, one, other| {
        let (first, second) = (modelled(one), modelled(other));
        let together = matches!(compare::compatible(&first, &second, &concepts), Answer::Impossible(_));
        let alone = matches!(compare::satisfiable(&first, &concepts), Answer::Impossible(_));
        for world in World::some(random) {
            let [permits, also] = [one, other].map(|policy| decided(&read(policy), &world));
            assert!(
                !(alone && permits),
                "{one:#}\nis said to permit nothing, and permits {world:?}"
            );
            assert!(
                !(together && permits && also),
                "{one:#}\nand\n{other:#}\nboth permit {world:?}"
            );
        }
        together || alone
    });
}

#[test]
fn what_lies_within_a_policy_permits_nothing_beyond_it() {
    let concepts = Concepts::profile();
    always("within", 20, |random, one, other| {
        let mut told = false;
        for (narrow, wide) in [(one, other), (other, one)] {
            let by_areas = compare::within(&modelled(narrow), &modelled(wide), &concepts) == Within::Yes;
            let by_structure = within(&read(narrow), &read(wide)).is_ok();
            if !by_areas && !by_structure {
                continue;
            }
            told |= narrow != wide;
            for world in World::some(random) {
                assert!(
                    !decided(&read(narrow), &world) || decided(&read(wide), &world),
                    "{narrow:#}\nis said to be within (areas: {by_areas}, structure: {by_structure})\n{wide:#}\nand permits {world:?}"
                );
            }
        }
        told
    });
}

#[test]
fn a_plan_lets_leave_what_is_decided_for_each_purpose_that_the_policy_names() {
    always("plans", 10, |random, one, _| {
        let policy = read(one);
        let mut told = false;
        for world in World::some(random) {
            let plan = policy.plan(&world.facts());
            let Some(purpose) = &world.purpose else { continue };
            let leaves = plan.as_ref().is_ok_and(|plan| {
                let record = RecordFacts {
                    category: Some(policy::Category::Skills),
                    consent: Some(false),
                    ..RecordFacts::default()
                };
                plan.allows_purpose(purpose) && plan.permits(&record).is_ok()
            });
            let decides = decided(&policy, &world);
            assert!(!leaves || decides, "{one:#}\nis planned for {world:?}: {plan:?}");
            let single = one["permission"].as_array().unwrap().len() == 1;
            let named = one.to_string().contains(&format!("\"{purpose}\""));
            let holds = plan.as_ref().map_or_else(
                |reasons| reasons.iter().all(|reason| reason.code.as_str() != "POL-08"),
                |_| true,
            );
            assert!(
                !(decides && single && named && holds) || leaves,
                "{one:#}\nleaves out {world:?}: {plan:?}"
            );
            told |= leaves;
        }
        told
    });
}

#[test]
fn a_policy_is_compatible_with_itself_exactly_where_it_permits_something() {
    let concepts = Concepts::profile();
    let policy = |constraints: Value| json!({"@type": "Set", "@id": "urn:uuid:1", "permission": [{"action": "use", "constraint": constraints}]});
    let below = |wider: &str| json!({"leftOperand": "purpose", "operator": "isA", "rightOperand": wider});
    let science = json!({"leftOperand": "purpose", "operator": "isAnyOf", "rightOperand": ["dpv:ScientificResearch"]});
    for (wider, permits) in [
        ("dpv:ResearchAndDevelopment", true),
        ("dpv:Marketing", false),
        ("urn:purpose", false),
    ] {
        let json = policy(json!([science, below(wider)]));
        let model = modelled(&json);
        let compatible = matches!(compare::compatible(&model, &model, &concepts), Answer::Possible(_));
        let facts = World::default().facts();
        assert_eq!(compatible, permits, "{wider}");
        assert_eq!(read(&json).decide(Stage::Publish, &facts).permits(), permits, "{wider}");
        let plan = read(&json).plan(&facts);
        assert_eq!(
            plan.ok().map(|plan| plan.purposes),
            permits.then(|| vec!["https://w3id.org/dpv#ScientificResearch".to_owned()])
        );
    }
}
