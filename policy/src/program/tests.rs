use super::*;
use crate::{
    evaluate::Stage,
    facts::Moment,
    testing::{agreement, constraint, facts},
};
use serde_json::{Value, json};

fn program(constraint: Value) -> Option<Program> {
    let policy = agreement(json!({"permission": [{"action": "use", "constraint": [constraint]}]}));
    let facts = facts().with_minors_told();
    let rules: Vec<&Rule> = policy.permissions().iter().collect();
    let world = World::before_records(Moment::of(&facts), facts.consumer(Stage::Transfer), Truth::Unknown);
    Program::of(&Condition::of(&rules, &world, &[], &world))
}

fn minor(operator: &str) -> Value {
    constraint("minor", operator, json!("true"))
}

fn guardian() -> Value {
    constraint("guardianConsent", "eq", json!("true"))
}

fn given() -> Value {
    constraint("consent", "eq", json!("given"))
}

fn categories(names: &[&str]) -> Value {
    constraint("dataCategory", "isAnyOf", json!(names))
}

#[test]
fn operations_and_answers_agree_with_the_evaluation_for_every_record() {
    let conditions = [
        given(),
        json!({"or": [given(), categories(&["skills"])]}),
        json!({"and": [given(), {"or": [minor("neq"), guardian()]}]}),
        json!({"xone": [given(), categories(&["skills", "results"]), guardian()]}),
        json!({"xone": [given(), given()]}),
        json!({"xone": [{"or": [given(), minor("eq")]}, constraint("purpose", "isA", json!("x"))]}),
        json!({"andSequence": [constraint("dataCategory", "isNoneOf", json!(["identity"])), minor("eq")]}),
        constraint("spatial", "eq", json!("FR")),
    ];
    let mut refusals = std::collections::BTreeSet::new();
    for condition in conditions {
        let policy = agreement(json!({"permission": [{"action": "use", "constraint": [condition.clone()]}]}));
        let facts = facts().with_minors_told();
        let world = World::before_records(Moment::of(&facts), facts.consumer(Stage::Record), Truth::Unknown);
        let program = program(condition.clone()).unwrap();
        for record in Category::ALL
            .iter()
            .copied()
            .map(Some)
            .chain([None])
            .flat_map(records_of)
        {
            let expected = policy.permissions()[0].truth(&World { record, ..world });
            assert_eq!(program.run(&record), expected, "{condition} {record:?}");
            assert_eq!(
                program.permits(&record),
                expected == Truth::True,
                "{condition} {record:?}"
            );
            if expected != Truth::True {
                refusals.insert(program.why_not(&record));
            }
        }
    }
    assert_eq!(refusals, crate::Plan::REFUSALS.into());
}

#[test]
fn a_refusal_names_what_would_help_most() {
    let program =
        program(json!({"and": [given(), categories(&["skills"]), {"or": [minor("neq"), guardian()]}]})).unwrap();
    let adult = RecordFacts {
        minor: Some(false),
        ..RecordFacts::consented(Category::Skills)
    };
    assert!(program.permits(&adult));
    let why = |record: RecordFacts| program.why_not(&record);
    assert_eq!(
        why(RecordFacts {
            consent: Some(false),
            ..adult
        }),
        Code::ConsentNone
    );
    assert_eq!(
        why(RecordFacts {
            minor: Some(true),
            ..adult
        }),
        Code::GuardianMissing
    );
    assert_eq!(
        why(RecordFacts {
            category: None,
            ..adult
        }),
        Code::ConstraintUnknown
    );
    assert_eq!(
        why(RecordFacts {
            category: Some(Category::Results),
            ..adult
        }),
        Code::ConstraintFalse
    );
}

#[test]
fn what_is_known_is_folded_and_what_says_nothing_goes() {
    let length = |condition| program(condition).unwrap().len();
    assert_eq!(length(constraint("recipient", "neq", json!("did:web:x"))), 1);
    assert_eq!(
        length(json!({"and": [given(), given(), constraint("recipient", "neq", json!("did:web:x"))]})),
        1
    );
    assert_eq!(
        length(json!({"or": [given(), constraint("recipient", "eq", json!("did:web:x"))]})),
        1
    );
    assert_eq!(length(json!({"and": [given(), minor("neq")]})), 4);
}

#[test]
fn a_program_is_bounded() {
    // Parts of an xone are not taken for one, so a long one stays long.
    let many = |number: usize| json!({"xone": vec![given(); number]});
    assert!(program(many(100)).is_some());
    assert!(program(many(129)).is_none(), "the stack holds 128 truths");
    let deep: Vec<Value> = (0..10).map(|_| many(30)).collect();
    assert!(program(json!({"xone": deep})).is_none(), "more than 256 operations");
}
