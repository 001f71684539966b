//! The same question put to Cedar 4: may this recipient use this learner's records of this category for this purpose now?

use super::{EACH, Order, People, ROUNDS, decide, nanos, people};
use crate::bench::{Figure, median};
use crate::harness::PURPOSE;
use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityId, EntityTypeName, EntityUid, PolicySet, Request,
    RestrictedExpression,
};
use serde_json::json;
use std::{
    collections::{HashMap, HashSet},
    str::FromStr,
};

const SUBJECTS: usize = 1000;
/// Cedar takes microseconds.
const ASKED: usize = EACH / 16;
const RECIPIENT: &str = "did:web:work.example";

/// What our question and its verdicts amount to. The house rule makes it two policies, as a real set would have at least.
const POLICIES: &str = r#"
permit (principal, action == Action::"use", resource in Dataset::"records")
when {
  ["https://w3id.org/dases/ns/purpose/orientation"].contains(context.purpose) &&
  ["skills", "results"].contains(context.category) &&
  resource.consent.given && resource.consent.recipients.contains(principal) &&
  resource.consent.purposes.contains(context.purpose) && resource.consent.categories.contains(context.category) &&
  resource.consent.from <= context.now && context.now < resource.consent.until
};
forbid (principal, action, resource) when { context.category == "special-needs" };
"#;

fn uid(kind: &str, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(EntityTypeName::from_str(kind).expect("a type"), EntityId::new(id))
}

fn set(texts: &[&str]) -> RestrictedExpression {
    RestrictedExpression::new_set(
        texts
            .iter()
            .map(|text| RestrictedExpression::new_string((*text).to_owned())),
    )
}

/// A learner's records, with what the learner consented to.
fn entity(people: &People, who: u32) -> Entity {
    let purpose = if people.is_denied(who) {
        "https://w3id.org/dpv#Marketing"
    } else {
        PURPOSE
    };
    let now = people::now().millis();
    let consent = RestrictedExpression::new_record([
        ("given".to_owned(), RestrictedExpression::new_bool(true)),
        (
            "recipients".to_owned(),
            RestrictedExpression::new_set([RestrictedExpression::new_entity_uid(uid("Participant", RECIPIENT))]),
        ),
        ("purposes".to_owned(), set(&[purpose])),
        ("categories".to_owned(), set(&["skills", "results"])),
        ("from".to_owned(), RestrictedExpression::new_long(now)),
        ("until".to_owned(), RestrictedExpression::new_long(now + 3_600_000)),
    ])
    .expect("a record");
    let attributes = HashMap::from([("consent".to_owned(), consent)]);
    Entity::new(
        uid("Learner", people.name(who)),
        attributes,
        HashSet::from([uid("Dataset", "records")]),
    )
    .expect("an entity")
}

fn request(people: &People, who: u32) -> Request {
    let context = Context::from_pairs([
        (
            "purpose".to_owned(),
            RestrictedExpression::new_string(PURPOSE.to_owned()),
        ),
        (
            "category".to_owned(),
            RestrictedExpression::new_string("skills".to_owned()),
        ),
        ("now".to_owned(), RestrictedExpression::new_long(people::now().millis())),
    ])
    .expect("a context");
    let (principal, action) = (uid("Participant", RECIPIENT), uid("Action", "use"));
    Request::new(principal, action, uid("Learner", people.name(who)), context, None).expect("a request")
}

/// Prints `policy_vs_cedar`. Cedar has its entities and requests ready, which only helps it.
pub fn run() {
    let people = People::new(SUBJECTS, 10);
    let policies = PolicySet::from_str(POLICIES).expect("policies");
    let all = (0..SUBJECTS as u32).map(|who| entity(&people, who));
    let others = [uid("Dataset", "records"), uid("Participant", RECIPIENT)].map(Entity::with_uid);
    let entities = Entities::from_entities(all.chain(others), None).expect("entities");
    let authorizer = Authorizer::new();
    let requests: Vec<Request> = (0..SUBJECTS as u32).map(|who| request(&people, who)).collect();
    let permits =
        |request: &Request| authorizer.is_authorized(request, &policies, &entities).decision() == Decision::Allow;
    for (who, request) in (0..).zip(&requests) {
        assert_eq!(permits(request), !people.is_denied(who), "the same answers");
    }
    let records = people.records(Order::Random, EACH);
    let (mut ours, mut ready, mut made) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(nanos(EACH, || decide(&people, &records)));
        let asked = || {
            records
                .iter()
                .take(ASKED)
                .filter(|who| permits(&requests[**who as usize]))
                .count()
        };
        ready.push(nanos(ASKED, asked));
        let asked = || {
            records
                .iter()
                .take(ASKED)
                .filter(|who| permits(&request(&people, **who)))
                .count()
        };
        made.push(nanos(ASKED, asked));
    }
    let figure = Figure {
        name: "policy_vs_cedar",
        value: 1e9 / median(&ours),
        unit: "decisions/s",
        reference: "Cedar 4 with entities and requests made beforehand, the same question, one core (aim: ratio at least 20)",
        reference_value: 1e9 / median(&ready),
    };
    figure.print(
        json!({"subjects": SUBJECTS, "order": "random", "ns": median(&ours), "cedar_ns": median(&ready),
        "cedar_ns_with_its_request": median(&made)}),
    );
}
