//! What may be asked of a learner: when again, and with which notice.

use super::*;
use crate::store::{Batch, HeldStore};

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
async fn what_stands_is_not_asked_for_again_unless_for_longer() {
    let consents = consents().await;
    let hash = notice(&consents, "1").await;
    let given = consents.grant(vec![new("anna")], now()).await.unwrap().remove(0);
    let id = given.consent.id;
    let asking = |expires| NewRequest {
        expires,
        ..request("anna", &hash)
    };
    // By whoever asks: a recipient, or the holder for somebody.
    let same = consents.request(asking(None), None, days(30)).await;
    assert!(matches!(same, Err(ConsentError::AlreadyGiven(known)) if known == id));
    let by_the_holder = NewConsent {
        notice: hash.clone(),
        ..new("anna")
    };
    let same = consents.ask(by_the_holder, days(30)).await;
    assert!(matches!(same, Err(ConsentError::AlreadyGiven(known)) if known == id));
    let reaffirm = event(Decision::Reaffirm, learner());
    let until = consents.decide(&id, &reaffirm, days(30)).await.unwrap().stored.ends();
    let same = consents.request(asking(Some(until)), None, days(31)).await;
    assert!(
        matches!(same, Err(ConsentError::AlreadyGiven(_))),
        "as long as it holds by now"
    );
    let longer = asking(Some(until.plus(DAY)));
    assert!(consents.request(longer, None, days(31)).await.is_ok());
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
    assert_eq!(
        (changed.ended, changed.requested),
        (2, 2),
        "anna's under the first as well"
    );
    let ended = consents.get(&carl).await.unwrap();
    let last = &ended.events.last().unwrap().fact;
    assert_eq!((ended.state, last.cause), (State::Expired, Some(Cause::NoticeChanged)));
    assert!(consents.index.in_force("carl").is_empty());
    let anew = consents.list(Some("carl")).await.unwrap();
    let anew = anew.iter().find(|stored| stored.state == State::Requested).unwrap();
    assert_eq!(anew.consent.notice, changed.notice.hash);
    for late in [&dora, &open] {
        let late = consents.decide(late, &event(Decision::Give, learner()), days(3)).await;
        assert!(matches!(late, Err(ConsentError::NoticeReplaced)));
    }
}

/// The next version after the one with this hash.
async fn replaced(consents: &Consents, old: &str, version: &str, changes_meaning: bool) -> Replacement {
    let newer = NewNotice {
        id: "orientation".into(),
        version: version.into(),
        language: "fr".into(),
        text: format!("version {version}"),
        url: None,
    };
    let done = consents.replace_notice(old, newer, changes_meaning, days(1)).await;
    done.unwrap()
}

#[tokio::test]
async fn a_version_that_means_something_else_ends_what_was_given_under_any_version_before_it() {
    let consents = consents().await;
    let first = notice(&consents, "1").await;
    let give = async |subject: &str, notice: &str| {
        let asked = consents.request(request(subject, notice), None, now()).await.unwrap();
        let id = asked.stored.consent.id;
        let yes = event(Decision::Give, learner());
        consents.decide(&id, &yes, now()).await.unwrap();
        id
    };
    let anna = give("anna", &first).await;
    let second = replaced(&consents, &first, "2", false).await;
    assert_eq!(second.marked, 1);
    // The first still means the same, so it may still be consented to; the next version marks that too.
    let ben = give("ben", &first).await;
    let third = replaced(&consents, &second.notice.hash, "3", false).await;
    assert_eq!((third.marked, third.ended), (1, 0));
    assert!(consents.get(&ben).await.unwrap().notice_replaced);
    let carl = give("carl", &second.notice.hash).await;

    let fourth = replaced(&consents, &third.notice.hash, "4", true).await;
    assert_eq!((fourth.ended, fourth.requested, fourth.marked), (3, 3, 0));
    for (subject, id) in [("anna", &anna), ("ben", &ben), ("carl", &carl)] {
        assert_eq!(state(&consents, id).await, State::Expired, "{subject}");
        assert!(consents.index.in_force(subject).is_empty(), "{subject}");
    }
    for old in [&first, &second.notice.hash, &third.notice.hash] {
        let late = consents.request(request("dora", old), None, days(2)).await;
        assert!(matches!(late, Err(ConsentError::NoticeReplaced)));
        let late = consents
            .grant(
                vec![NewConsent {
                    notice: old.clone(),
                    ..new("dora")
                }],
                days(2),
            )
            .await;
        assert!(matches!(late, Err(ConsentError::NoticeReplaced)));
    }
    give("dora", &fourth.notice.hash).await;
    let again = replaced(&consents, &third.notice.hash, "4", true).await;
    assert_eq!(
        (again.ended, again.marked),
        (0, 0),
        "what was given under the newest goes on"
    );
}

#[tokio::test]
async fn whoever_changes_what_a_notice_means_is_told_in_which_languages_the_old_one_still_stands() {
    let consents = consents().await;
    let first = notice(&consents, "1").await;
    let english = |version: &str| NewNotice {
        id: "orientation".into(),
        version: version.into(),
        language: "en".into(),
        text: format!("in English, version {version}"),
        url: None,
    };
    let unrelated = NewNotice {
        id: "another".into(),
        text: "another notice".into(),
        ..english("1")
    };
    consents.add_notice(unrelated, now()).await.unwrap();
    let old = consents.add_notice(english("1"), now()).await.unwrap().hash;
    let second = replaced(&consents, &first, "2", false).await;
    assert!(second.other_languages.is_empty(), "it means the same");
    let third = replaced(&consents, &second.notice.hash, "3", true).await;
    assert_eq!(third.other_languages, ["en"]);
    let too = consents
        .replace_notice(&old, english("3"), true, days(1))
        .await
        .unwrap();
    assert!(too.other_languages.is_empty(), "the French says the same by now");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_yes_on_its_way_while_the_meaning_of_its_notice_changes_is_none() {
    let store = Arc::new(HeldStore::default());
    let consents = Arc::new(over(store.clone()).await);
    let first = notice(&consents, "1").await;
    let asked = consents.request(request("anna", &first), None, now()).await.unwrap();
    let id = asked.stored.consent.id;
    let (came, go) = store.hold_before();
    let (deciding, yes) = (consents.clone(), id.clone());
    let giving = tokio::spawn(async move { deciding.decide(&yes, &event(Decision::Give, learner()), now()).await });
    came.await.unwrap();
    let changed = replaced(&consents, &first, "2", true).await;
    assert_eq!(changed.ended, 0, "nothing is in force yet");
    go.send(()).unwrap();
    let late = giving.await.unwrap();
    assert!(matches!(late, Err(ConsentError::NoticeReplaced)), "{late:?}");
    assert_eq!(state(&consents, &id).await, State::Requested);
    assert!(consents.index.in_force("anna").is_empty());
}

#[tokio::test]
async fn a_yes_said_again_is_none_under_a_version_whose_meaning_has_changed_since() {
    let consents = consents().await;
    let first = notice(&consents, "1").await;
    let elsewhere = consents
        .grant(
            vec![NewConsent {
                notice: first.clone(),
                ..new("anna")
            }],
            now(),
        )
        .await
        .unwrap();
    let id = &elsewhere[0].consent.id;
    let again = event(Decision::Reaffirm, learner());
    let second = replaced(&consents, &first, "2", false).await.notice.hash;
    assert!(consents.decide(id, &again, days(1)).await.is_ok(), "it means the same");
    // As it stands in a store in which the consents under the first have not followed.
    let (known, version) = notice::find(&**consents.log.store(), &second).await.unwrap().unwrap();
    let third = NewNotice {
        id: "orientation".into(),
        version: "3".into(),
        language: "fr".into(),
        text: "version 3".into(),
        url: None,
    };
    let mut batch = Batch::new();
    let third = notice::add(third, days(2), &mut batch).unwrap();
    notice::replace((&known, version), &third, true, &mut batch).unwrap();
    consents.log.store().commit(batch).await.unwrap();
    let late = consents.decide(id, &again, days(2)).await;
    assert!(matches!(late, Err(ConsentError::NoticeReplaced)), "{late:?}");
    assert_eq!(
        replaced(&consents, &second, "3", true).await.ended,
        1,
        "it follows when that is repeated"
    );
}

#[tokio::test]
async fn each_agreement_may_be_asked_for_and_a_no_to_one_is_respected_under_another() {
    let consents = consents().await;
    let hash = notice(&consents, "1").await;
    let under = |name: &str| NewRequest {
        agreement: Some(format!("urn:uuid:{name}").parse().unwrap()),
        ..request("anna", &hash)
    };
    let first = consents
        .request(under("a"), None, now())
        .await
        .unwrap()
        .stored
        .consent
        .id;
    let twice = consents.request(under("a"), None, now()).await;
    assert!(matches!(twice, Err(ConsentError::AlreadyAsked(known)) if known == first));
    let second = consents
        .request(under("b"), None, now())
        .await
        .unwrap()
        .stored
        .consent
        .id;
    let any = consents.request(request("anna", &hash), None, now()).await;
    assert!(
        matches!(any, Err(ConsentError::AlreadyAsked(_))),
        "it would be about both"
    );
    let give = event(Decision::Give, learner());
    for id in [&first, &second] {
        consents.decide(id, &give, now()).await.unwrap();
    }
    assert_eq!(state(&consents, &first).await, State::Given, "one for each agreement");
    // The agreement of the questions here is neither of the two.
    let refused = under_a_guarded_policy(&consents, "anna", days(1));
    assert_eq!(refused, Err(Withheld::Consent(Reason::Agreement)));
    let withdraw = event(Decision::Withdraw, learner());
    consents.decide(&first, &withdraw, days(1)).await.unwrap();
    assert_eq!(state(&consents, &second).await, State::Given);
    let soon = consents.request(under("c"), None, days(2)).await;
    assert!(
        matches!(soon, Err(ConsentError::TooSoon(at)) if at == days(31)),
        "a no is a no"
    );
}

#[tokio::test]
async fn a_consent_for_any_agreement_takes_the_place_of_those_for_one_and_the_other_way_round() {
    let consents = consents().await;
    let under = |name: Option<&str>| NewConsent {
        agreement: name.map(|name| format!("urn:uuid:{name}").parse().unwrap()),
        ..new("anna")
    };
    let mut ids = Vec::new();
    for (step, name) in [Some("a"), Some("b"), None, Some("a")].into_iter().enumerate() {
        let at = days(u32::try_from(step).unwrap());
        let granted = consents.grant(vec![under(name)], at).await.unwrap();
        ids.push(granted[0].consent.id.clone());
        let mut given = Vec::new();
        for (number, id) in ids.iter().enumerate() {
            if state(&consents, id).await == State::Given {
                given.push(number);
            }
        }
        let expected = [&[0][..], &[0, 1], &[2], &[3]][step];
        assert_eq!(given, expected, "{name:?}");
    }
}
