//! The tables of the profile against what this connector supplies: every operand has its value or is refused at publication, and every policy
//! class that is said to be kept here is kept on verified claims, datasets and events as they really come.

use super::*;
use crate::{
    catalog::{self, DatasetError, NewDataset, facts::DESCRIBED},
    dsp::FORMAT_HTTP_PULL,
    jose::sha256,
    trust::{
        Party,
        membership::{
            attests::{self, Attested, Attests},
            held::{self, Held, MEMBERSHIP},
        },
    },
};
use policy::{
    Action, Claims, Class, Plan, Usage,
    vocabulary::{Enforcement, Known},
};
use serde_json::{Value, json};
use std::{collections::BTreeSet, time::Duration};

const CONSUMER: &str = "did:web:agence.example";
const EVENT: &str = "urn:event:fair";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A published dataset that describes itself with "urn:x", or not at all.
fn publish(constraints: &[Value], described: bool, release: bool, events: &[Event]) -> Result<Dataset, DatasetError> {
    let mut new = json!({
        "id": "records", "source": {"type": "file", "path": "/records.ndjson"}, "subject": "/sub",
        "categories": {"skills": ["/where"]}, "offer": {"permission": [{"action": "use", "constraint": constraints}]},
    });
    if constraints.is_empty() {
        new["offer"] = json!({"permission": [{"action": "use"}]});
    }
    if described {
        new["facts"] = DESCRIBED
            .map(|operand| (operand.name(), ["urn:x"]))
            .into_iter()
            .collect();
    }
    if release {
        let dimensions = json!([{"name": "where", "field": "/where", "values": ["59", "62"]}]);
        new["release"] = json!({"mode": "aggregate", "dimensions": dimensions});
    }
    let new: NewDataset = serde_json::from_value(new).unwrap();
    Dataset::publish(new, events, at("2026-06-15T12:00:00Z"))
}

/// A published dataset of records that says nothing of itself, under these terms.
fn publish_under(offer: &Value) -> Result<Dataset, DatasetError> {
    let new = json!({
        "id": "records", "source": {"type": "file", "path": "/records.ndjson"}, "subject": "/sub",
        "categories": {"skills": ["/where"]}, "offer": offer,
    });
    Dataset::publish(serde_json::from_value(new).unwrap(), &[], at("2026-06-15T12:00:00Z"))
}

fn event(until: &str) -> Event {
    Event {
        id: EVENT.to_owned(),
        from: None,
        until: Some(at(until)),
    }
}

/// A consumer whose membership credential gives every claim that policies may ask for this value.
fn member(did: &str, value: &str) -> Party {
    let names = attests::OPERANDS
        .map(LeftOperand::name)
        .into_iter()
        .chain(["country", "level"]);
    let claims = names.map(|name| (name.to_owned(), [value.to_owned()].into())).collect();
    let membership = Held {
        issuer: "did:web:issuer.example".into(),
        jkt: sha256(b"issuer key"),
        types: [MEMBERSHIP.to_owned()].into(),
        valid_from: None,
        valid_until: None,
        status: Vec::new(),
        claims,
    };
    let claims = held::together([&membership]);
    Party {
        did: did.parse().unwrap(),
        attested: Attests::default().of(&claims),
        claims,
    }
}

/// A consumer of which nothing is verified but who it is.
fn stranger() -> Party {
    Party {
        did: CONSUMER.parse().unwrap(),
        claims: Claims::new(),
        attested: Attested::new(),
    }
}

/// All that a transfer is decided by.
struct World {
    now: Timestamp,
    party: Party,
    dataset: Dataset,
    event: Event,
    agreed: Timestamp,
    usage: Usage,
    paid: i64,
}

impl World {
    /// One in which everything is known; what has a name is "urn:x".
    fn full(release: bool) -> Self {
        Self {
            now: at("2026-06-15T12:00:00Z"),
            party: member(CONSUMER, "urn:x"),
            dataset: publish(&[], true, release, &[]).unwrap(),
            event: event("2026-07-01T00:00:00Z"),
            agreed: at("2026-06-14T12:00:00Z"),
            usage: Usage {
                transfers: 1,
                metered: Duration::from_secs(1),
                last_transfer: Some(at("2026-05-01T12:00:00Z")),
            },
            paid: 5,
        }
    }

    /// What an agreement with these members lets out, by what `transfer` knows at its start.
    fn plan(&self, members: &Value) -> Result<Plan, Vec<Reason>> {
        let mut agreement = json!({"@type": "Agreement", "@id": "urn:uuid:1", "target": "records",
            "assigner": "did:web:lycee.example", "assignee": self.party.did.as_str()});
        for (name, rules) in members.as_object().unwrap() {
            agreement[name] = rules.clone();
        }
        let facts = catalog::facts(&self.party, Action::Use, self.now).with_usage(self.usage);
        let events = std::slice::from_ref(&self.event);
        let facts: Facts = catalog::of_transfer(facts, &self.dataset, FORMAT_HTTP_PULL, events)
            .with_amount(LeftOperand::PayAmount, self.paid.into(), "EUR")
            .with_agreed(self.agreed)
            .with_minors_told();
        catalog::plan(&Policy::parse(&agreement).unwrap(), &facts)
    }
}

fn constraint(left: &str, operator: &str, right: &str) -> Value {
    json!({"leftOperand": left, "operator": operator, "rightOperand": right})
}

fn using(constraints: &[Value]) -> Value {
    json!({"permission": [{"action": "use", "constraint": constraints}]})
}

fn price() -> Value {
    let mut price = constraint("payAmount", "gteq", "5.00");
    price["unit"] = json!("EUR");
    price
}

/// A comparison that holds where everything is known.
fn met(operand: LeftOperand) -> Value {
    use LeftOperand as L;
    let name = operand.name();
    match operand {
        L::DateTime => constraint(name, "gteq", "2026-06-01T00:00:00Z"),
        L::Recipient | L::SystemDevice => constraint(name, "eq", CONSUMER),
        L::Purpose => constraint(name, "eq", "orientation"),
        L::Consent => constraint(name, "eq", "given"),
        L::DataCategory => constraint(name, "eq", "skills"),
        L::Minor => constraint(name, "eq", "false"),
        L::GuardianConsent => constraint(name, "eq", "true"),
        L::Membership => constraint("membership.country", "eq", "urn:x"),
        L::Credential => constraint("credential.MembershipCredential.level", "eq", "urn:x"),
        L::ElapsedTime => constraint(name, "lteq", "P3D"),
        L::DelayPeriod => constraint(name, "gteq", "PT1H"),
        L::TimeInterval => constraint(name, "eq", "P1M"),
        L::MeteredTime => constraint(name, "lteq", "PT1H"),
        L::Count => constraint(name, "lteq", "3"),
        L::MinGroupSize => constraint(name, "gteq", "5"),
        L::Event => constraint(name, "eq", EVENT),
        L::PayAmount => price(),
        L::FileFormat => constraint(name, "eq", "application/x-ndjson"),
        L::DeliveryChannel => constraint(name, "eq", "pull"),
        _ => constraint(name, "eq", "urn:x"),
    }
}

#[test]
fn every_operand_has_its_value_at_the_start_of_a_transfer() {
    for operand in LeftOperand::ALL {
        let world = World::full(*operand == LeftOperand::MinGroupSize);
        let planned = world.plan(&using(&[met(*operand)]));
        assert!(planned.is_ok(), "{operand}: {planned:?}");
    }
}

#[test]
fn an_offer_that_asks_for_what_can_never_be_known_is_not_published() {
    use LeftOperand as L;
    let never = [
        L::Language,
        L::Version,
        L::Product,
        L::LegalBasis,
        L::Event,
        L::MinGroupSize,
    ];
    for operand in LeftOperand::ALL {
        let constraints = [constraint("dateTime", "gteq", "2026-06-01T00:00:00Z"), met(*operand)];
        match publish(&constraints, false, false, &[]) {
            Err(DatasetError::NeverKnown(reasons)) => {
                assert!(never.contains(operand), "{operand}: {reasons:?}");
                let told: Vec<_> = reasons
                    .iter()
                    .map(|reason| (reason.code.as_str(), reason.pointer.as_str()))
                    .collect();
                assert_eq!(told, [("CST-06", "/permission/0/constraint/1")]);
            }
            // That records are pseudonymised, and no more, is known without a description.
            Err(DatasetError::NothingPermitted { .. }) => assert_eq!(*operand, L::ArtifactState),
            other => assert!(other.is_ok() && !never.contains(operand), "{operand}: {other:?}"),
        }
        let events = [event("2026-07-01T00:00:00Z")];
        let described = publish(&constraints, true, *operand == L::MinGroupSize, &events);
        assert!(described.is_ok(), "{operand}: {described:?}");
    }
    assert!(publish(&[constraint("event", "eq", "odrl:policyUsage")], false, false, &[]).is_ok());
    let bare = constraint("payAmount", "gteq", "5.00");
    assert!(
        matches!(publish(&[bare], false, false, &[]), Err(DatasetError::NeverKnown(_))),
        "no unit"
    );
}

#[test]
fn an_offer_that_permits_something_without_what_is_never_known_is_published_with_a_warning() {
    let (language, until) = (
        constraint("language", "eq", "fr"),
        constraint("dateTime", "lteq", "2030-01-01T00:00:00Z"),
    );
    let offers = [
        json!({"permission": [{"action": "use", "constraint": [{"or": [until, language]}]}]}),
        json!({"permission": [{"action": "use", "constraint": [until]}, {"action": "use", "constraint": [language]}]}),
        json!({"permission": [{"action": "use"}], "prohibition": [{"action": "distribute", "constraint": [language]}]}),
    ];
    for offer in offers {
        let published = publish_under(&offer).unwrap();
        let warnings = published.warnings(&[], policy::Language::English);
        let never: Vec<_> = warnings.iter().filter(|warning| warning.code == "CST-06").collect();
        assert_eq!(never.len(), 1, "{offer}: {warnings:?}");
        assert!(never[0].about.starts_with("language is asked for"), "{never:?}");
    }
    let forbidden =
        json!({"permission": [{"action": "use"}], "prohibition": [{"action": "use", "constraint": [language]}]});
    assert!(matches!(publish_under(&forbidden), Err(DatasetError::NeverKnown(_))));
}

#[test]
fn a_category_that_no_field_is_in_is_told_and_an_offer_of_nothing_else_is_not_published() {
    let category = |operator: &str, names: Value| json!({"leftOperand": "dataCategory", "operator": operator, "rightOperand": names});
    let absent = |offer: &Value| -> Vec<String> {
        let warnings = publish_under(offer).unwrap().warnings(&[], policy::Language::English);
        let never = warnings.into_iter().filter(|warning| warning.code == "CST-06");
        never
            .map(|warning| format!("{} {}", warning.pointer, warning.about))
            .collect()
    };
    // The dataset has skills and nothing else.
    let some = absent(&using(&[category("isAnyOf", json!(["skills", "certificates"]))]));
    assert_eq!(some.len(), 1, "{some:?}");
    assert!(
        some[0].starts_with("/permission/0/constraint/0 ") && some[0].contains("category certificates;"),
        "{some:?}"
    );
    let until = constraint("dateTime", "lteq", "2030-01-01T00:00:00Z");
    let other = category("eq", json!("certificates"));
    assert_eq!(absent(&using(&[json!({"or": [other, until]})])).len(), 1);
    let none = Vec::<String>::new();
    assert_eq!(absent(&using(&[category("isAnyOf", json!(["skills"]))])), none);
    assert_eq!(absent(&using(&[category("isNoneOf", json!(["special-needs"]))])), none);
    let prohibited = json!({"permission": [{"action": "use", "constraint": [until]}],
        "prohibition": [{"action": "use", "constraint": [category("eq", json!("special-needs"))]}]});
    assert_eq!(absent(&prohibited), none);
    for nothing in [other, category("isNoneOf", json!(["skills", "results"]))] {
        match publish_under(&using(&[until.clone(), nothing])) {
            Err(DatasetError::NeverKnown(reasons)) => assert_eq!(reasons[0].pointer, "/permission/0/constraint/1"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn an_offer_under_which_no_transfer_can_ever_start_is_not_published() {
    let count = |operator, number| constraint("count", operator, number);
    let within = |delay, end| {
        [
            constraint("delayPeriod", "gteq", delay),
            constraint("elapsedTime", "lteq", end),
        ]
    };
    let counted = json!({"permission": [{"action": "use"}], "prohibition": [{"action": "use", "constraint": [count("gteq", "1")]}]});
    let never = [
        using(&[count("lteq", "0")]),
        using(&[count("lt", "1")]),
        using(&[count("eq", "0")]),
        using(&within("P1M", "P3D")),
        using(&within("P4D", "P3D")),
        counted,
    ];
    for offer in never {
        let refused = publish_under(&offer);
        let Err(error @ DatasetError::NothingPermitted { .. }) = refused else {
            panic!("{offer}: {refused:?}");
        };
        assert!(
            error.reasons().iter().any(|reason| reason.code == Code::Unsatisfiable),
            "{error}"
        );
        assert!(
            error.to_string().contains("/permission/0") || error.to_string().contains("/prohibition/0"),
            "{error}"
        );
    }
    for offer in [
        using(&[count("lteq", "1")]),
        using(&within("P1D", "P3D")),
        using(&within("P1M", "P30D")),
    ] {
        assert!(publish_under(&offer).is_ok(), "{offer}");
    }
}

#[test]
fn an_offer_without_a_purpose_is_published_with_a_warning_because_nothing_leaves_under_it() {
    let warned = |offer: &Value| -> Vec<String> {
        let warnings = publish_under(offer).unwrap().warnings(&[], policy::Language::English);
        let without = warnings.into_iter().filter(|warning| warning.code == "LNT-10");
        without.map(|warning| warning.pointer).collect()
    };
    assert_eq!(
        warned(&using(&[constraint("consent", "eq", "given")])),
        ["/permission/0"]
    );
    assert_eq!(
        warned(&using(&[constraint("purpose", "eq", "orientation")])),
        Vec::<String>::new()
    );
}

#[test]
fn what_was_agreed_is_not_published_as_an_offer() {
    let typed = |kind: &Value| publish_under(&json!({"@type": kind, "permission": [{"action": "use"}]}));
    for kind in ["Offer", "odrl:Offer", "http://www.w3.org/ns/odrl/2/Offer", "Set"] {
        assert_eq!(typed(&json!(kind)).unwrap().offer["@type"], "Offer", "{kind}");
    }
    for kind in [
        "Agreement",
        "odrl:Agreement",
        "http://www.w3.org/ns/odrl/2/Agreement",
        "Request",
    ] {
        let refused = typed(&json!(kind)).unwrap_err().to_string();
        assert!(refused.contains(&format!("its @type is {kind}")), "{refused}");
    }
    assert!(typed(&json!(["Offer"])).is_err());
}

#[test]
fn an_offer_for_what_the_dataset_is_not_is_not_published() {
    let german = publish(&[constraint("language", "eq", "de")], true, false, &[]);
    assert!(
        matches!(german, Err(DatasetError::NothingPermitted { .. })),
        "{german:?}"
    );
    // Groups are as large as an offer asks.
    assert!(publish(&[constraint("minGroupSize", "gteq", "12")], false, true, &[]).is_ok());
}

#[test]
fn who_lacks_what_credentials_must_say_does_not_see_the_offer() {
    for operand in LeftOperand::ALL {
        let asked = publish(
            &[met(*operand)],
            true,
            *operand == LeftOperand::MinGroupSize,
            &[event("2026-07-01T00:00:00Z")],
        );
        let (asked, now) = (asked.unwrap(), at("2026-06-15T12:00:00Z"));
        assert!(asked.visible_to(&member(CONSUMER, "urn:x"), now).is_ok(), "{operand}");
        // Who asks, and with which connector, is known of a stranger too.
        let itself = matches!(operand, LeftOperand::Recipient | LeftOperand::SystemDevice);
        let hidden = operand.operand().known == Known::Consumer && !itself;
        assert_eq!(asked.visible_to(&stranger(), now).is_err(), hidden, "{operand}");
        assert_eq!(
            asked.visible_to(&member(CONSUMER, "urn:y"), now).is_err(),
            hidden,
            "{operand}"
        );
    }
}

/// Members of an agreement of this class, and what breaks it; none for a class that asks for nothing that is known at the start.
fn example(class: Class) -> (Value, Option<fn(&mut World)>) {
    use Class as C;
    let one = |left: &str, operator: &str, right: &str| using(&[constraint(left, operator, right)]);
    let other: fn(&mut World) = |world| world.party = member("did:web:edtech.example", "urn:x");
    let unattested: fn(&mut World) = |world| world.party = stranger();
    match class {
        C::Consumer => (one("recipient", "eq", CONSUMER), Some(other)),
        C::Connector => (one("idsc:CONNECTOR", "isAnyOf", CONSUMER), Some(other)),
        C::Application => (one("idsc:APPLICATION", "isPartOf", "urn:x"), Some(unattested)),
        C::Role => (one("idsc:ROLE", "eq", "urn:x"), Some(unattested)),
        C::Location => (
            one("idsc:ABSOLUTE_SPATIAL_POSITION", "isPartOf", "urn:x"),
            Some(unattested),
        ),
        C::Purpose => (one("idsc:PURPOSE", "eq", "orientation"), None),
        C::Event => (
            one("idsc:EVENT", "eq", EVENT),
            Some(|world| world.event = event("2026-06-01T00:00:00Z")),
        ),
        C::Security => (one("idsc:SECURITY_LEVEL", "isPartOf", "urn:x"), Some(unattested)),
        C::Interval => (
            one("dateTime", "lteq", "2026-06-30T00:00:00Z"),
            Some(|world| world.now = at("2026-07-01T00:00:00Z")),
        ),
        C::Duration => (
            one("idsc:ELAPSED_TIME", "eq", "P3M"),
            Some(|world| world.agreed = at("2026-03-01T00:00:00Z")),
        ),
        C::Times => (one("idsc:COUNT", "lteq", "2"), Some(|world| world.usage.transfers = 2)),
        C::Delete => (duty("delete"), None),
        C::InTransit => (one("dataCategory", "isAnyOf", "skills"), None),
        C::AtRest => (
            json!({"permission": [{"action": "use"}], "obligation": [{"action": "anonymize"}]}),
            None,
        ),
        C::Log => (duty("idsc:LOG"), None),
        C::Inform => (duty("inform"), None),
        C::PassOn => (duty("nextPolicy"), None),
        C::Artifact => (
            one("idsc:ARTIFACT_STATE", "isAllOf", "pseudonymised"),
            Some(|world| world.dataset = publish(&[], false, true, &[]).unwrap()),
        ),
        C::Sale => (using(&[price()]), Some(|world| world.paid = 4)),
        C::Rental => (
            using(&[price(), constraint("timeInterval", "eq", "P1M")]),
            Some(|world| world.usage.last_transfer = Some(at("2026-06-01T00:00:00Z"))),
        ),
        C::Environment => (one("idsc:state", "eq", "urn:x"), Some(unattested)),
        C::Participant => (one("membership.country", "eq", "urn:x"), Some(unattested)),
        C::UserConsent => (one("consent", "eq", "given"), None),
        C::Classification => (one("dataCategory", "isNoneOf", "special-needs"), None),
        C::Anonymisation => (
            one("artifactState", "isAnyOf", "anonymised"),
            Some(|world| world.dataset = publish(&[], false, false, &[]).unwrap()),
        ),
    }
}

fn duty(action: &str) -> Value {
    json!({"permission": [{"action": "use", "duty": [{"action": action}]}]})
}

#[test]
fn the_policy_classes_that_are_said_to_be_kept_here_are_kept_on_what_this_connector_knows() {
    let mut kept = BTreeSet::new();
    for class in Class::ALL {
        let (members, breaks) = example(*class);
        let mut world = World::full(false);
        if *class == Class::Anonymisation {
            let mut anonymous = world.dataset.clone();
            anonymous
                .facts
                .insert("artifactState".into(), ["anonymised".to_owned()].into());
            world.dataset = anonymous;
        }
        let plan = world.plan(&members).unwrap_or_else(|why| panic!("{class:?}: {why:?}"));
        match breaks {
            Some(breaks) => {
                breaks(&mut world);
                assert!(world.plan(&members).is_err(), "{class:?}");
            }
            None => assert!(
                !plan.duties.is_empty()
                    || !plan.purposes.is_empty()
                    || plan.categories.is_some()
                    || plan.consent_required,
                "{class:?}: {plan:?}"
            ),
        }
        // What needs the consumer is told to the operator as that, and counted as nothing else.
        if class.enforcement() != Enforcement::NeedsConsumer && class.number() <= 21 {
            kept.insert(class.number());
        }
    }
    assert!(kept.len() >= 16, "{kept:?}");
}
