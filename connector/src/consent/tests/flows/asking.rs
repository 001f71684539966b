//! What may be asked of a learner: when again, and with which notice.

use super::*;

#[tokio::test]
async fn who_has_said_no_is_left_in_peace() {
    let consents = consents().await;
    let id = asked(&consents, "anna").await;
    let hash = consents.get(&id).await.unwrap().consent.notice;
    let twice = consents.request(request("anna", &hash), None, now()).await;
    assert!(matches!(twice, Err(ConsentError::AlreadyAsked(known)) if known == id));
    consents
        .decide(&id, &event(Decision::Refuse, learner()), now())
        .await
        .unwrap();
    let soon = consents.request(request("anna", &hash), None, days(29)).await;
    assert!(matches!(soon, Err(ConsentError::TooSoon(at)) if at == days(30)));
    let other = NewRequest {
        purposes: vec!["https://w3id.org/dpv#Marketing".into()],
        ..request("anna", &hash)
    };
    assert!(consents.request(other, None, days(1)).await.is_ok(), "another purpose");
    let again = consents.request(request("anna", &hash), None, days(30)).await.unwrap();
    assert_ne!(again.stored.consent.id, id, "a new record");
    assert_eq!(state(&consents, &id).await, State::Refused);
}

#[tokio::test]
async fn who_has_said_no_to_some_data_can_be_asked_for_other_data() {
    let consents = consents().await;
    let hash = notice(&consents, "1").await;
    let asking = |categories: &[&str]| NewRequest {
        categories: categories.iter().map(|name| (*name).to_owned()).collect(),
        ..request("anna", &hash)
    };
    let skills = consents.request(asking(&["skills"]), None, now()).await.unwrap();
    // Both wait, each for an answer of its own.
    let results = consents.request(asking(&["results"]), None, now()).await.unwrap();
    let both = consents.request(asking(&["identity", "results"]), None, now()).await;
    assert!(matches!(both, Err(ConsentError::AlreadyAsked(id)) if id == results.stored.consent.id));
    for (id, decision) in [
        (&skills, Decision::Give),
        (&skills, Decision::Withdraw),
        (&results, Decision::Refuse),
    ] {
        let id = &id.stored.consent.id;
        consents.decide(id, &event(decision, learner()), now()).await.unwrap();
    }
    assert!(consents.request(asking(&["experience"]), None, days(1)).await.is_ok());
    for said_no_to in [&["skills"][..], &["results"], &["skills", "identity"]] {
        let soon = consents.request(asking(said_no_to), None, days(1)).await;
        assert!(matches!(soon, Err(ConsentError::TooSoon(_))), "{said_no_to:?}");
    }
}

#[tokio::test]
async fn what_is_asked_for_needs_a_known_notice_that_still_means_the_same() {
    let consents = consents().await;
    let unknown = format!("sha256:{}", "1".repeat(64));
    let refused = consents.request(request("anna", &unknown), None, now()).await;
    assert!(matches!(refused, Err(ConsentError::UnknownNotice(_))));
    let first = notice(&consents, "1").await;
    let id = asked(&consents, "anna").await;
    consents
        .decide(&id, &event(Decision::Give, learner()), now())
        .await
        .unwrap();
    let open = consents
        .request(request("ben", &first), None, now())
        .await
        .unwrap()
        .stored
        .consent
        .id;
    let newer = |version: &str| NewNotice {
        id: "orientation".into(),
        version: version.into(),
        language: "fr".into(),
        text: format!("version {version}"),
        url: None,
    };
    let marked = consents
        .replace_notice(&first, newer("2"), false, days(1))
        .await
        .unwrap();
    assert_eq!((marked.marked, marked.ended), (1, 0));
    assert!(consents.get(&id).await.unwrap().notice_replaced);
    assert!(
        consents
            .replace_notice(&first, newer("3"), true, days(2))
            .await
            .is_err(),
        "not the newest"
    );
    // The consent is still bound to the first; the second changes its meaning for who came after.
    let second = marked.notice.hash;
    let carl = consents
        .request(request("carl", &second), None, days(2))
        .await
        .unwrap()
        .stored
        .consent
        .id;
    consents
        .decide(&carl, &event(Decision::Give, learner()), days(2))
        .await
        .unwrap();
    let dora = consents
        .request(request("dora", &second), None, days(2))
        .await
        .unwrap()
        .stored
        .consent
        .id;
    let changed = consents
        .replace_notice(&second, newer("3"), true, days(3))
        .await
        .unwrap();
    assert_eq!((changed.ended, changed.requested), (1, 1));
    let ended = consents.get(&carl).await.unwrap();
    let last = &ended.events.last().unwrap().fact;
    assert_eq!((ended.state, last.cause), (State::Expired, Some(Cause::NoticeChanged)));
    assert!(consents.index.in_force("carl").is_empty());
    let anew = consents.list(Some("carl")).await.unwrap();
    let anew = anew.iter().find(|stored| stored.state == State::Requested).unwrap();
    assert_eq!(anew.consent.notice, changed.notice.hash);
    let late = consents.decide(&dora, &event(Decision::Give, learner()), days(3)).await;
    assert!(matches!(late, Err(ConsentError::NoticeReplaced)));
    assert!(
        consents
            .decide(&open, &event(Decision::Give, learner()), days(3))
            .await
            .is_ok()
    );
}
