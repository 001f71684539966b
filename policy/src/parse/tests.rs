use super::*;
use crate::{
    Stage,
    testing::{agreement_json, constraint, named},
};
use serde_json::json;
use std::collections::BTreeMap;

fn refused(value: &Json) -> (String, String) {
    let malformed = Policy::parse(value).unwrap_err();
    (malformed.pointer, malformed.problem)
}

fn with_rule(rule: Json) -> Json {
    json!({"@id": "urn:uuid:1", "permission": [rule]})
}

#[test]
fn every_policy_in_the_examples_of_the_specification_is_read_and_its_unknown_terms_are_named() {
    let root = std::env::var("SHARED_DATA")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data").to_owned());
    let root = std::path::Path::new(&root).join("dsp-2025-1");
    if !root.is_dir() {
        println!("skipped: ../shared/data is not here");
        return;
    }
    let mut read = BTreeMap::new();
    for part in ["catalog", "common", "negotiation", "transfer"] {
        let Ok(folder) = std::fs::read_dir(root.join(part).join("example")) else {
            continue;
        };
        for file in folder {
            let path = file.unwrap().path();
            let json: Json = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            find_policies(&json, &mut |value| {
                let policy = Policy::parse(value).unwrap_or_else(|malformed| panic!("{name}: {malformed}"));
                let unknown = policy.check(Stage::Negotiation).err().unwrap_or_default();
                read.entry(name.clone())
                    .or_insert_with(Vec::new)
                    .push(named(&unknown).len());
                for reason in unknown {
                    assert_eq!(reason.code.as_str(), "POL-04", "{name}: {reason}");
                    assert!(value.pointer(&reason.pointer).is_some(), "{name}: {reason}");
                }
            });
        }
    }
    let read: Vec<_> = read
        .iter()
        .map(|(name, unknown)| (name.as_str(), unknown.as_slice()))
        .collect();
    // A test profile and the operands `partner`, `constraint1`, `constraint2` in the last.
    assert_eq!(
        read,
        [
            ("catalog.json", [0_usize].as_slice()),
            ("contract-agreement-message-full.json", &[1 + 2 + 2 + 1 + 2 + 2 + 3]),
            ("contract-agreement-message.json", &[0]),
            ("contract-offer-message.json", &[0]),
            ("contract-offer-message_initial.json", &[0]),
            ("contract-request-message.json", &[0]),
            ("contract-request-message_initial.json", &[0]),
            ("dataset.json", &[0]),
        ]
    );
}

fn find_policies(json: &Json, visit: &mut dyn FnMut(&Json)) {
    match json {
        Json::Object(object) if object.contains_key("permission") || object.contains_key("prohibition") => visit(json),
        Json::Object(object) => object.values().for_each(|value| find_policies(value, visit)),
        Json::Array(items) => items.iter().for_each(|value| find_policies(value, visit)),
        _ => {}
    }
}

#[test]
fn the_accessors_tell_what_was_written() {
    let policy = Policy::parse(&agreement_json(json!({
        "timestamp": "2026-01-01T00:00:00Z", "profile": ["https://w3id.org/dases/ns/profile"],
        "permission": [{"action": "use"}], "obligation": [{"action": "delete"}],
    })))
    .unwrap();
    assert_eq!((policy.id(), policy.kind()), ("urn:uuid:1", Kind::Agreement));
    assert_eq!(policy.target(), Some("urn:uuid:2"));
    assert_eq!(policy.assigner(), Some("did:web:school.example"));
    assert_eq!(policy.assignee(), Some("did:web:agency.example"));
    assert_eq!(policy.timestamp(), Some("2026-01-01T00:00:00Z"));
    assert_eq!(policy.profiles().count(), 1);
    assert_eq!(
        (
            policy.permissions().len(),
            policy.prohibitions().len(),
            policy.obligations().len()
        ),
        (1, 0, 1)
    );
}

#[test]
fn one_object_stands_for_an_array_and_prefixed_members_are_read() {
    let atom = constraint(
        "odrl:dateTime",
        "odrl:lteq",
        json!({"@value": "2026-12-31T00:00:00Z", "@type": "xsd:dateTime"}),
    );
    let arrays = json!({"@type": "Offer", "@id": "urn:uuid:1", "permission": [
        {"action": "use", "constraint": [{"and": [atom]}]}
    ]});
    let compact = json!({"@type": "odrl:Offer", "odrl:uid": "urn:uuid:1", "odrl:permission":
        {"odrl:action": {"@id": "odrl:use"}, "http://www.w3.org/ns/odrl/2/constraint": {"odrl:and": atom}}
    });
    let (arrays, compact) = (Policy::parse(&arrays).unwrap(), Policy::parse(&compact).unwrap());
    assert_eq!(crate::same_terms(&arrays, &compact), Ok(()));
    assert_eq!(compact.permissions()[0].pointer, "/odrl:permission");
    assert_eq!(
        compact.permissions()[0].constraints[0].pointer(),
        "/odrl:permission/http:~1~1www.w3.org~1ns~1odrl~12~1constraint"
    );
}

#[test]
fn the_same_policy_is_read_in_every_notation_that_json_ld_leaves_of_it() {
    let plain = json!({
        "@id": "o", "@type": "Offer", "target": "d", "assigner": "did:web:a.example", "profile": ["https://example.org/p"],
        "permission": [{"action": "use", "constraint": [
            {"and": [{"leftOperand": "purpose", "operator": "isAnyOf", "rightOperand": ["https://example.org/a"]}]},
        ]}],
    });
    let expanded = json!({
        "@id": "o", "@type": ["http://www.w3.org/ns/odrl/2/Offer"], "odrl:target": {"@id": "d"},
        "odrl:assigner": [{"@id": "did:web:a.example"}], "odrl:profile": {"@id": "https://example.org/p"},
        "odrl:permission": {
            "odrl:action": {"@id": "odrl:use"},
            "odrl:constraint": {"odrl:and": {
                "odrl:leftOperand": [{"@id": "odrl:purpose"}], "odrl:operator": {"@id": "odrl:isAnyOf"},
                "odrl:rightOperand": "https://example.org/a",
            }},
        },
        "odrl:prohibition": [], "odrl:obligation": [],
    });
    let [plain, expanded] = [plain, expanded].map(|json| Policy::parse(&json).unwrap());
    assert_eq!(crate::same_terms(&plain, &expanded), Ok(()));
    assert_eq!(
        (plain.target(), plain.assigner()),
        (expanded.target(), expanded.assigner())
    );
}

#[test]
fn empty_rule_arrays_are_read_as_absent_but_a_policy_must_say_something() {
    let policy =
        json!({"@id": "x", "permission": [{"action": "use", "constraint": []}], "prohibition": [], "obligation": []});
    assert!(Policy::parse(&policy).is_ok());
    for silent in [
        json!({"@id": "x"}),
        json!({"@id": "x", "permission": []}),
        json!({"@id": "x", "obligation": {"action": "delete"}}),
    ] {
        assert!(refused(&silent).1.contains("needs a permission or a prohibition"));
    }
}

#[test]
fn prose_and_context_are_passed_over_at_the_top_only() {
    let mut policy = with_rule(json!({"action": "use"}));
    policy["dct:title"] = json!("Carnet");
    policy["http://www.w3.org/2000/01/rdf-schema#label"] = json!({"@value": "x", "@language": "fr"});
    policy["@context"] = json!(["https://w3id.org/dspace/2025/1/context.jsonld"]);
    assert!(Policy::parse(&policy).is_ok());
    assert_eq!(
        refused(&with_rule(json!({"action": "use", "dct:title": "x"}))).0,
        "/permission/0/dct:title"
    );
}

#[test]
fn an_unknown_member_is_refused_at_every_level_with_its_pointer() {
    let atom = constraint("purpose", "eq", json!("p"));
    let with = |mut object: Json, member: &str| {
        object[member] = json!("x");
        object
    };
    let rule = |constraint: Json| with_rule(json!({"action": "use", "constraint": [constraint]}));
    let cases = [
        (with(with_rule(json!({"action": "use"})), "inheritFrom"), "/inheritFrom"),
        (
            with(with_rule(json!({"action": "use"})), "x:prohibition"),
            "/x:prohibition",
        ),
        (
            with(with_rule(json!({"action": "use"})), "dct:isReplacedBy"),
            "/dct:isReplacedBy",
        ),
        (with(with_rule(json!({"action": "use"})), "constraint"), "/constraint"),
        (
            with_rule(with(json!({"action": "use"}), "target")),
            "/permission/0/target",
        ),
        (
            with_rule(with(json!({"action": "use"}), "assignee")),
            "/permission/0/assignee",
        ),
        (
            with_rule(with(json!({"action": "use"}), "refinement")),
            "/permission/0/refinement",
        ),
        (
            with_rule(with(json!({"action": "use"}), "a/b~c")),
            "/permission/0/a~1b~0c",
        ),
        (
            with_rule(json!({"action": "use", "duty": [with(json!({"action": "delete"}), "refinement")]})),
            "/permission/0/duty/0/refinement",
        ),
        (rule(with(atom.clone(), "unit")), "/permission/0/constraint/0/unit"),
        (
            rule(with(atom.clone(), "rightOperandReference")),
            "/permission/0/constraint/0/rightOperandReference",
        ),
        (
            rule(with(json!({"and": [atom]}), "status")),
            "/permission/0/constraint/0/status",
        ),
        (
            with_rule(json!({"action": "use", "remedy": []})),
            "/permission/0/remedy",
        ),
        (
            json!({"@id": "x", "prohibition": [{"action": "use", "remedy": [{"action": "delete", "consequence": []}]}]}),
            "/prohibition/0/remedy/0/consequence",
        ),
        (
            json!({"@id": "x", "prohibition": [{"action": "use", "consequence": []}]}),
            "/prohibition/0/consequence",
        ),
        (
            with_rule(
                json!({"action": "use", "duty": [{"action": "inform", "consequence": {"action": "delete", "consequence": []}}]}),
            ),
            "/permission/0/duty/0/consequence/consequence",
        ),
        (
            with_rule(json!({"action": "use", "duty": [{"action": "inform", "remedy": []}]})),
            "/permission/0/duty/0/remedy",
        ),
        (
            with_rule(json!({"action": "use", "duty": [{"action": "delete", "informedParty": "did:web:a"}]})),
            "/permission/0/duty/0/informedParty",
        ),
        (
            with_rule(
                json!({"action": "use", "duty": [{"action": "inform", "informedParty": ["did:web:a", "did:web:b"]}]}),
            ),
            "/permission/0/duty/0/informedParty",
        ),
        (
            with_rule(json!({"action": "use", "duty": [{"action": "inform", "informedParty": {"name": "a"}}]})),
            "/permission/0/duty/0/informedParty",
        ),
        (
            with_rule(json!({"action": "use", "informedParty": "did:web:a"})),
            "/permission/0/informedParty",
        ),
        (
            json!({"@id": "x", "prohibition": [{"action": "use", "remedy": [{"action": "inform", "informedParty": "did:web:a"}]}]}),
            "/prohibition/0/remedy/0/informedParty",
        ),
        (
            json!({"@id": "x", "prohibition": [{"action": "use", "duty": []}]}),
            "/prohibition/0/duty",
        ),
        (
            rule(constraint("purpose", "eq", json!({"@value": "p", "@language": "fr"}))),
            "/permission/0/constraint/0/rightOperand/@language",
        ),
    ];
    for (policy, pointer) in cases {
        assert_eq!(refused(&policy).0, pointer, "{policy}");
    }
}

#[test]
fn a_shape_that_says_two_things_or_nothing_is_refused() {
    let atom = constraint("purpose", "eq", json!("p"));
    let both = json!({"leftOperand": "purpose", "operator": "eq", "rightOperand": "p", "and": [atom]});
    let faults = [
        json!({}),
        json!({"and": []}),
        json!({"and": [atom], "or": [atom]}),
        both,
        json!({"leftOperand": "purpose", "operator": "eq"}),
        json!({"operator": "eq", "rightOperand": "p"}),
        constraint("purpose", "eq", json!([])),
        constraint("purpose", "eq", json!(5)),
        constraint("purpose", "eq", json!(true)),
        constraint("purpose", "eq", json!(null)),
        constraint("purpose", "eq", json!([["p"]])),
        constraint("purpose", "eq", json!({"@value": 5})),
        constraint("purpose", "eq", json!({"@value": "p", "@id": "p"})),
        json!("purpose"),
        json!([[atom]]),
        json!({"@type": "Permission", "leftOperand": "purpose", "operator": "eq", "rightOperand": "p"}),
    ];
    for fault in faults {
        let policy = with_rule(json!({"action": "use", "constraint": [fault]}));
        assert!(refused(&policy).0.starts_with("/permission/0/constraint/0"), "{policy}");
    }
    let top = [
        json!([]),
        json!("x"),
        json!(null),
        json!({"permission": [{"action": "use"}]}),
        json!({"@id": "", "permission": [{"action": "use"}]}),
        json!({"@id": "x", "permission": ["use"]}),
        json!({"@id": "x", "permission": [{}]}),
        json!({"@id": "x", "permission": [{"action": ["use", "read"]}]}),
        json!({"@id": "x", "permission": [{"action": {"@id": "use", "refinement": []}}]}),
        json!({"@id": "x", "permission": [{"action": "use", "@type": "Prohibition"}]}),
        json!({"@id": "x", "uid": "y", "permission": [{"action": "use"}]}),
        json!({"@id": "x", "permission": [{"action": "use"}], "odrl:permission": [{"action": "use"}]}),
        json!({"@id": "x", "@type": "Ticket", "permission": [{"action": "use"}]}),
        json!({"@id": "x", "@type": "Agreement", "permission": [{"action": "use"}]}),
        json!({"@id": "x", "target": ["a", "b"], "permission": [{"action": "use"}]}),
        json!({"@id": "x", "conflict": "perm", "permission": [{"action": "use"}]}),
        json!({"@id": "x", "conflict": "invalid", "permission": [{"action": "use"}]}),
    ];
    for policy in top {
        assert!(Policy::parse(&policy).is_err(), "{policy}");
    }
    assert!(Policy::parse(&json!({"@id": "x", "conflict": "odrl:prohibit", "permission": {"action": "use"}})).is_ok());
}

#[test]
fn what_cannot_be_read_names_its_cause_in_french_too() {
    let told = |rule: Json| {
        let malformed = Policy::parse(&with_rule(rule)).unwrap_err();
        crate::Reason::from(malformed).told(crate::Language::French)
    };
    let number = json!({"action": "use", "constraint": [constraint("count", "lteq", json!(5))]});
    let unit = json!({"action": "use", "constraint": [{"leftOperand": "count", "operator": "lteq", "rightOperand": "5", "unit": "EUR"}]});
    for (rule, cause) in [
        (
            json!({"action": "use", "target": "urn:t"}),
            "une règle n’a pas de cible à elle",
        ),
        (number, "ni nombre ni booléen nu ; écrivez {\"@value\""),
        (unit, "unit n’est pas pris en charge dans cette condition"),
        (
            json!({"action": "use", "assigner": "did:web:a.example"}),
            "une permission ne nomme pas de parties à elle",
        ),
        (
            json!({"action": "use", "color": "red"}),
            "\"color\" est inconnu dans une permission",
        ),
        (json!("use"), "une permission doit être un objet JSON"),
        (json!({}), "action manque"),
    ] {
        let told = told(rule);
        assert!(told.contains(cause), "{told}");
    }
}

#[test]
fn nesting_and_size_are_bounded() {
    let nested = |depth: usize| {
        let mut inner = constraint("purpose", "eq", json!("p"));
        for _ in 0..depth {
            inner = json!({"and": [inner]});
        }
        with_rule(json!({"action": "use", "constraint": [inner]}))
    };
    assert!(Policy::parse(&nested(MAX_DEPTH - 1)).is_ok());
    assert!(refused(&nested(MAX_DEPTH)).1.contains("nest"));
    let wide = |values: usize| {
        let names: Vec<String> = (0..values).map(|i| format!("p{i}")).collect();
        with_rule(json!({"action": "use", "constraint": [constraint("purpose", "isAnyOf", json!(names))]}))
    };
    assert!(Policy::parse(&wide(MAX_NODES - 2)).is_ok());
    assert!(refused(&wide(MAX_NODES - 1)).1.contains("at most 1000"));
}
