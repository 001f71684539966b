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
