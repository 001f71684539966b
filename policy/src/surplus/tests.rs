use crate::testing::{agreement, constraint};
use serde_json::{Value, json};

/// The rules of these that add nothing, with what they add nothing to.
fn surplus(members: Value) -> Vec<(String, String)> {
    let found = agreement(members).surplus().into_iter();
    found.map(|surplus| (surplus.rule, surplus.beside)).collect()
}

fn pair(rule: &str, beside: &str) -> Vec<(String, String)> {
    vec![(rule.to_owned(), beside.to_owned())]
}

fn using(constraints: &[Value]) -> Value {
    json!({"action": "use", "constraint": constraints})
}

fn owing(constraints: &[Value], duties: &[&str]) -> Value {
    let duties: Vec<Value> = duties.iter().map(|action| json!({"action": action})).collect();
    json!({"action": "use", "constraint": constraints, "duty": duties})
}

fn category(names: &[&str]) -> Value {
    constraint("dases:dataCategory", "isAnyOf", json!(names))
}

fn purpose(operator: &str, name: &str) -> Value {
    constraint("purpose", operator, json!(name))
}

#[test]
fn a_permission_that_a_wider_one_covers_adds_nothing_wherever_it_stands() {
    let (few, many) = (
        using(&[category(&["skills"])]),
        using(&[category(&["skills", "results"])]),
    );
    assert_eq!(
        surplus(json!({"permission": [few, many]})),
        pair("/permission/0", "/permission/1")
    );
    assert_eq!(
        surplus(json!({"permission": [many, few]})),
        pair("/permission/1", "/permission/0")
    );
    let other = using(&[category(&["results", "identity"])]);
    assert_eq!(surplus(json!({"permission": [many, other]})), []);
    let reading = json!({"action": "read", "constraint": [category(&["skills"])]});
    assert_eq!(
        surplus(json!({"permission": [reading, few]})),
        pair("/permission/0", "/permission/1")
    );
    assert_eq!(surplus(json!({"permission": [few, {"action": "read"}]})), []);
}

#[test]
fn a_permission_that_names_a_purpose_below_another_binds_plans_to_it() {
    let rule = |operator: &str, name: &str| using(&[purpose(operator, name)]);
    let (narrow, wide) = (rule("eq", "dpv:Advertising"), rule("isA", "dpv:Marketing"));
    assert_eq!(surplus(json!({"permission": [narrow, wide]})), []);
    assert_eq!(
        surplus(json!({"permission": [rule("eq", "dpv:Marketing"), wide]})),
        pair("/permission/0", "/permission/1")
    );
}

#[test]
fn of_rules_that_say_the_same_only_the_first_stays() {
    let (one, turned) = (
        using(&[category(&["skills", "results"]), purpose("eq", "orientation")]),
        using(&[purpose("eq", "orientation"), category(&["results", "skills"])]),
    );
    let found = surplus(json!({"permission": [one, turned, one], "prohibition": [using(&[]), using(&[])]}));
    let told: Vec<&str> = found.iter().map(|(rule, _)| rule.as_str()).collect();
    assert_eq!(told, ["/permission/1", "/permission/2", "/prohibition/1"]);
}

#[test]
fn a_permission_with_fewer_duties_than_the_wider_one_adds_something() {
    let narrow = [category(&["skills"])];
    assert_eq!(
        surplus(json!({"permission": [owing(&[], &["delete"]), owing(&narrow, &[])]})),
        []
    );
    let heavier = json!({"permission": [owing(&[], &["delete"]), owing(&narrow, &["delete", "inform"])]});
    assert_eq!(surplus(heavier), pair("/permission/1", "/permission/0"));
}

#[test]
fn a_prohibition_adds_nothing_when_a_wider_one_has_its_remedies_and_is_declared_as_it_is() {
    let remedied = |action: &str, constraints: &[Value], remedies: &[&str]| {
        let remedies: Vec<Value> = remedies.iter().map(|action| json!({"action": action})).collect();
        json!({"action": action, "constraint": constraints, "remedy": remedies})
    };
    let skills = [category(&["skills"])];
    let among = |one: Value, other: Value| surplus(json!({"permission": [using(&[])], "prohibition": [one, other]}));
    let found = pair("/prohibition/1", "/prohibition/0");
    assert_eq!(among(remedied("sell", &[], &[]), remedied("sell", &skills, &[])), found);
    assert_eq!(
        among(
            remedied("sell", &[], &["delete"]),
            remedied("sell", &skills, &["delete"])
        ),
        found
    );
    assert_eq!(
        among(remedied("sell", &[], &[]), remedied("sell", &skills, &["delete"])),
        []
    );
    // `use` is refused here and not declared to the consumer, `distribute` is declared: without it nobody would be told.
    assert_eq!(
        among(remedied("use", &skills, &[]), remedied("distribute", &skills, &[])),
        []
    );
    assert_eq!(
        among(remedied("use", &skills, &[]), remedied("read", &skills, &[])),
        found
    );
}

#[test]
fn a_permission_without_which_no_plan_could_be_made_adds_something() {
    let narrow = using(&[purpose("eq", "orientation"), category(&["skills"])]);
    // Every purpose but one is what no plan can hold.
    assert_eq!(
        surplus(json!({"permission": [using(&[purpose("neq", "dpv:Marketing")]), narrow]})),
        []
    );
    let either = json!({"or": [purpose("eq", "orientation"), category(&["skills"])]});
    assert_eq!(surplus(json!({"permission": [using(&[either]), narrow]})), []);
    let marketing = using(&[purpose("eq", "dpv:Marketing"), category(&["results"])]);
    let permissions = json!([using(&[]), narrow]);
    assert_eq!(
        surplus(json!({"permission": permissions, "prohibition": [marketing]})),
        []
    );
    assert_eq!(
        surplus(json!({"permission": permissions})),
        pair("/permission/1", "/permission/0")
    );
}

#[test]
fn a_rule_that_asks_for_larger_groups_adds_something() {
    let groups = |least: &str| {
        let number = json!({"@value": least, "@type": "xsd:integer"});
        using(&[constraint("dases:minGroupSize", "gteq", number)])
    };
    assert_eq!(surplus(json!({"permission": [groups("5"), groups("10")]})), []);
    assert_eq!(
        surplus(json!({"permission": [groups("10"), groups("10")]})),
        pair("/permission/1", "/permission/0")
    );
}

#[test]
fn what_is_not_understood_or_never_applies_is_not_told() {
    let unknown = using(&[constraint("moonPhase", "eq", json!("full"))]);
    assert_eq!(surplus(json!({"permission": [using(&[]), unknown]})), []);
    let never = using(&[category(&["skills"]), category(&["results"])]);
    assert_eq!(surplus(json!({"permission": [using(&[]), never]})), []);
    let many: Vec<Value> = (0..40).map(|_| category(&["skills"])).collect();
    assert_eq!(surplus(json!({"permission": [using(&many), using(&many)]})), []);
}
