//! Which consents of one learner stand beside each other, and which take the place of others.

use super::*;

fn texts(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// A consent of Anna's to these categories, and of them to these fields alone.
fn to(categories: &[&str], fields: &[&str]) -> NewConsent {
    NewConsent {
        categories: texts(categories),
        fields: texts(fields),
        ..new("anna")
    }
}

const PURPOSES: [&str; 2] = [
    "https://w3id.org/dpv#ServiceProvision",
    "https://w3id.org/dpv#ScientificResearch",
];

/// What a learner sends to share, with these members for the purposes.
fn sharing(subject: &str, notice: &str, purposes: serde_json::Value) -> NewShare {
    let mut body = json!({
        "subject": subject, "recipient": "did:web:ft.example", "categories": ["skills"], "until": days(30), "notice": notice,
        "actor": {"role": "learner", "method": "portal"},
    });
    for (name, value) in purposes.as_object().unwrap() {
        body[name] = value.clone();
    }
    serde_json::from_value(body).unwrap()
}

/// Gives the one after the other; returns where the older stands then.
async fn older_after(older: NewConsent, newer: NewConsent) -> State {
    let consents = consents().await;
    let id = consents.grant(vec![older], now()).await.unwrap().remove(0).consent.id;
    consents.grant(vec![newer], now()).await.unwrap();
    state(&consents, &id).await
}

#[tokio::test]
async fn consents_to_different_data_stand_beside_each_other() {
    let of = |dataset: &str| NewConsent {
        datasets: vec![dataset.parse().unwrap()],
        ..new("anna")
    };
    for (older, newer) in [
        (to(&["skills"], &[]), to(&["results"], &[])),
        (to(&["skills", "identity"], &[]), to(&["results"], &[])),
        (to(&["skills"], &["/skill/name"]), to(&["skills"], &["/skill/level"])),
        (of("courses"), of("records")),
    ] {
        let told = format!("{older:?} {newer:?}");
        assert_eq!(older_after(older, newer).await, State::Given, "{told}");
    }
}

#[tokio::test]
async fn a_newer_consent_ends_an_older_one_whole_where_both_cover_something() {
    let one_dataset = NewConsent {
        datasets: vec!["records".parse().unwrap()],
        ..new("anna")
    };
    for (older, newer) in [
        (to(&["skills", "results"], &[]), to(&["skills"], &[])),
        (to(&["skills"], &[]), to(&["results", "skills"], &[])),
        (to(&["skills", "results"], &[]), to(&["results", "identity"], &[])),
        (to(&["skills"], &[]), to(&["skills"], &["/skill/name"])),
        (to(&["skills"], &["/skill/name"]), to(&["skills"], &[])),
        (to(&["skills"], &["/a", "/b"]), to(&["skills"], &["/b", "/c"])),
        (new("anna"), one_dataset.clone()),
        (one_dataset, new("anna")),
    ] {
        let told = format!("{older:?} {newer:?}");
        assert_eq!(older_after(older, newer).await, State::Superseded, "{told}");
    }
}

#[tokio::test]
async fn whoever_gives_a_consent_is_told_which_older_ones_have_ended_by_that() {
    let consents = consents().await;
    let both = vec![to(&["skills"], &[]), to(&["results"], &[])];
    let given = consents.enter(both, None, now()).await.unwrap();
    assert!(given.iter().all(|one| one.superseded.is_empty()));
    let mut older: Vec<ConsentId> = given.into_iter().map(|one| one.stored.consent.id).collect();
    older.sort();
    // Of several at once, each names its own.
    let first = to(&["skills", "results", "identity"], &[]);
    let given = consents
        .enter(vec![first, to(&["skills"], &[])], None, now())
        .await
        .unwrap();
    let mut told = given[0].superseded.clone();
    told.sort();
    assert_eq!((&told, given[0].stored.state), (&older, State::Superseded));
    assert_eq!(given[1].superseded, [given[0].stored.consent.id.clone()]);

    let hash = notice(&consents, "1").await;
    let share = sharing("anna", &hash, json!({"purposes": [PURPOSES[0]]}));
    let shared = consents.share(share, now()).await.unwrap();
    assert_eq!(shared.superseded, [given[1].stored.consent.id.clone()]);
    let more = NewRequest {
        categories: texts(&["skills", "results"]),
        ..request("anna", &hash)
    };
    let asked = consents.request(more, None, now()).await.unwrap().stored.consent.id;
    let yes = consents.decide(&asked, &event(Decision::Give, learner()), now()).await;
    assert_eq!(yes.unwrap().superseded, [shared.stored.consent.id]);
    let no = consents
        .decide(&asked, &event(Decision::Withdraw, learner()), now())
        .await;
    assert!(no.unwrap().superseded.is_empty());
}

/// Whether skills leave under an agreement for both purposes.
fn for_both(consents: &Consents, subject: &str) -> Result<(), Withheld> {
    let (recipient, dataset) = ("did:web:ft.example".parse().unwrap(), "records".parse().unwrap());
    let (purposes, categories) = (texts(&PURPOSES), texts(&["skills"]));
    let agreement = "urn:uuid:agreement".parse().unwrap();
    let question = consents
        .index
        .question((&recipient, &agreement), &purposes, &dataset, &categories, |_| Ok(()));
    let mut reader = Reader::new(consents.index.clone(), question.unwrap());
    reader.begin(now());
    reader.ask(subject).map(drop)
}

#[tokio::test]
async fn a_learner_shares_for_several_purposes_at_once_or_for_one_after_the_other() {
    let consents = consents().await;
    let hash = notice(&consents, "1").await;
    let at_once = sharing("anna", &hash, json!({ "purposes": PURPOSES }));
    let shared = consents.share(at_once, now()).await.unwrap();
    assert_eq!(shared.stored.consent.purposes, PURPOSES);
    assert_eq!(for_both(&consents, "anna"), Ok(()));

    // As it was written when there was only one.
    let mut ids = Vec::new();
    for purpose in PURPOSES {
        assert!(for_both(&consents, "ben").is_err(), "before {purpose}");
        let one = sharing("ben", &hash, json!({ "purpose": purpose }));
        let shared = consents.share(one, now()).await.unwrap();
        assert!(shared.superseded.is_empty(), "each is about something else");
        ids.push(shared.stored.consent.id);
    }
    assert_eq!(for_both(&consents, "ben"), Ok(()));
    let withdraw = event(Decision::Withdraw, learner());
    consents.decide(&ids[0], &withdraw, now()).await.unwrap();
    assert_eq!(for_both(&consents, "ben"), Err(Withheld::Consent(Reason::Purpose)));

    let none = consents.share(sharing("ben", &hash, json!({})), now()).await;
    assert!(matches!(
        none,
        Err(ConsentError::Grant(GrantError::Invalid("purposes", _)))
    ));
}
