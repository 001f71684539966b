//! Learners for whom a guardian signs as well: what both give, until when it counts, and what the index knows of it.

use super::*;
use crate::consent::law::NoPower;

#[tokio::test]
async fn a_child_and_a_guardian_give_together_and_each_of_them_can_say_no() {
    let consents = consents().await;
    let mother = || actor(Role::Guardian, Some("mother"));
    for (subject, first, second) in [("child1", learner(), mother()), ("child2", mother(), learner())] {
        set_child(&consents, subject, days(100)).await;
        let id = asked(&consents, subject).await;
        let half = consents
            .decide(&id, &event(Decision::Give, first.clone()), now())
            .await
            .unwrap();
        assert!(half.stored.state.is_open() && half.stored.state != State::Requested);
        assert!(matches!(
            consents.decide(&id, &event(Decision::Give, first), now()).await,
            Err(ConsentError::Illegal(Illegal::Twice(_)))
        ));
        let whole = consents
            .decide(&id, &event(Decision::Give, second), now())
            .await
            .unwrap();
        assert_eq!(whole.stored.state, State::Given);
        assert_eq!(whole.stored.ends(), days(100), "it ends when the child comes of age");
        assert!(whole.stored.until > days(100));
        assert_eq!(whole.stored.clone().shown().until, days(100), "and is shown so");
        let ended = consents
            .decide(&id, &event(Decision::Withdraw, mother()), days(1))
            .await
            .unwrap();
        assert_eq!(ended.stored.state, State::Withdrawn);
    }
    for who in [learner(), mother()] {
        let subject = format!("no-{:?}", who.role);
        set_child(&consents, &subject, days(100)).await;
        let id = asked(&consents, &subject).await;
        let other = if who.role == Role::Learner { mother() } else { learner() };
        consents
            .decide(&id, &event(Decision::Give, other), now())
            .await
            .unwrap();
        let no = consents
            .decide(&id, &event(Decision::Refuse, who), now())
            .await
            .unwrap();
        assert_eq!(no.stored.state, State::Refused);
    }
    // A stranger's word is none, and a guardian's alone neither, on paper or not.
    set_child(&consents, "child3", days(100)).await;
    let stranger = NewConsent {
        signed_by: vec![actor(Role::Guardian, Some("stranger"))],
        ..new("child3")
    };
    assert!(matches!(
        consents.grant(vec![stranger], now()).await,
        Err(ConsentError::NoPower(NoPower::Unknown(Role::Guardian)))
    ));
    let guardian_alone = NewConsent {
        signed_by: vec![mother()],
        ..new("child3")
    };
    let entered = consents.grant(vec![guardian_alone], now()).await.unwrap();
    assert_eq!(entered[0].state, State::PendingLearner);
    let both = NewConsent {
        signed_by: vec![learner(), mother()],
        ..new("child3")
    };
    assert_eq!(consents.grant(vec![both], now()).await.unwrap()[0].state, State::Given);
}

#[tokio::test]
async fn at_the_birthday_the_guardians_powers_end_and_the_consent_with_them() {
    let consents = consents().await;
    set_child(&consents, "child", days(10)).await;
    let id = asked(&consents, "child").await;
    for who in [learner(), actor(Role::Guardian, Some("mother"))] {
        consents.decide(&id, &event(Decision::Give, who), now()).await.unwrap();
    }
    assert_eq!(consents.next_end(), Some(days(10)));
    assert_eq!(
        consents
            .expire(|| days(10).minus(Duration::from_millis(1)))
            .await
            .unwrap(),
        0
    );
    assert_eq!(consents.expire(|| days(10)).await.unwrap(), 1);
    let stored = consents.get(&id).await.unwrap();
    let last = &stored.events.last().unwrap().fact;
    assert_eq!(
        (stored.state, last.role, last.cause),
        (State::Expired, Role::Clock, Some(Cause::CameOfAge))
    );
    // From then on the learner's word alone counts.
    let changed = consents
        .request(request("child", &stored.consent.notice), None, days(11))
        .await
        .unwrap();
    let id = changed.stored.consent.id;
    let mother = || actor(Role::Guardian, Some("mother"));
    let refused = consents.decide(&id, &event(Decision::Give, mother()), days(11)).await;
    let since = |refused: &ConsentError| match refused {
        ConsentError::NoPower(NoPower::OfAge(since)) => Some(*since),
        _ => None,
    };
    assert_eq!(since(&refused.unwrap_err()), Some(days(10)), "why her word is none");
    let on_paper = NewConsent {
        signed_by: vec![mother(), learner()],
        ..new("child")
    };
    let refused = consents.grant(vec![on_paper], days(11)).await;
    assert_eq!(since(&refused.unwrap_err()), Some(days(10)));
    let given = consents
        .decide(&id, &event(Decision::Give, learner()), days(11))
        .await
        .unwrap();
    assert_eq!(given.stored.state, State::Given);
    let all: String = format!("{:?}", consents.standing("child").await.unwrap());
    assert!(!all.contains("born"), "no birth date is kept");
}

#[tokio::test]
async fn what_two_gave_is_reaffirmed_by_none_of_them_alone_and_the_refusal_says_so() {
    let consents = consents().await;
    set_child(&consents, "child", days(100)).await;
    let id = asked(&consents, "child").await;
    let both = || [learner(), actor(Role::Guardian, Some("mother"))];
    for who in both() {
        consents.decide(&id, &event(Decision::Give, who), now()).await.unwrap();
    }
    for who in both() {
        let refused = consents.decide(&id, &event(Decision::Reaffirm, who), days(1)).await;
        assert!(
            matches!(refused, Err(ConsentError::Illegal(Illegal::BothAnew))),
            "{refused:?}"
        );
    }
}

#[tokio::test]
async fn the_index_knows_who_is_a_minor_and_to_what_a_guardian_agreed_through_a_restart_as_well() {
    let consents = consents().await;
    let missing = Err(Withheld::Policy(policy::Code::GuardianMissing));
    set_child(&consents, "child", days(10)).await;
    let id = asked(&consents, "child").await;
    for who in [actor(Role::Guardian, Some("mother")), learner()] {
        consents.decide(&id, &event(Decision::Give, who), now()).await.unwrap();
    }
    for subject in ["unknown", "told later", "a child after all"] {
        let id = asked(&consents, subject).await;
        consents
            .decide(&id, &event(Decision::Give, learner()), now())
            .await
            .unwrap();
        assert_eq!(under_a_guarded_policy(&consents, subject, now()), missing, "{subject}");
    }
    set_child(&consents, "told later", now()).await;
    assert_eq!(under_a_guarded_policy(&consents, "told later", now()), Ok(()));
    set_child(&consents, "a child after all", days(10)).await;
    let check = |consents: &Consents| {
        let leaves = |subject, at| under_a_guarded_policy(consents, subject, at);
        assert_eq!(leaves("child", days(1)), Ok(()), "the mother agreed");
        assert_eq!(leaves("told later", days(1)), Ok(()), "of age, as is known now");
        // Nobody agreed with them, so what they gave alone is not valid.
        let invalid = Err(Withheld::Consent(Reason::Revoked));
        assert_eq!(leaves("a child after all", days(1)), invalid);
        assert_eq!(
            leaves("a child after all", days(10)),
            invalid,
            "of age, and not asked again"
        );
        assert_eq!(leaves("unknown", days(10)), missing);
    };
    check(&consents);
    let secret = HmacKey::new(&[4; 32]);
    let (log, trust, privacy) = (consents.log.clone(), consents.trust.clone(), consents.privacy.clone());
    drop(consents);
    let consents = Consents::load(log, trust, secret.clone(), Pseudonyms::new(secret), privacy);
    check(&consents.await.unwrap());
}

#[tokio::test]
async fn nobody_is_born_later_than_today() {
    let consents = consents().await;
    let given = consents.grant(vec![new("anna")], now()).await.unwrap().remove(0);
    let born = |day: &str| NewStanding {
        subject: "anna".into(),
        born_on: Some(day.into()),
        sole_consent_from: None,
        country: None,
        powers: Some(Vec::new()),
    };
    let date = |at: Timestamp| at.to_string().split('T').next().unwrap().to_owned();
    let today = date(now());
    let tomorrow = date(days(1));
    for wrong in [tomorrow.as_str(), "2112-04-30"] {
        let refused = consents.set_standing(&born(wrong), now()).await;
        assert!(
            matches!(refused, Err(ConsentError::Standing(_))),
            "{wrong}: {refused:?}"
        );
    }
    assert_eq!(
        state(&consents, &given.consent.id).await,
        State::Given,
        "nothing changed"
    );
    assert_eq!(consents.standing("anna").await.unwrap().sole_consent_from, None);
    consents
        .set_standing(&born(&today), days(1).minus(Duration::from_millis(1)))
        .await
        .unwrap();
    assert_eq!(
        state(&consents, &given.consent.id).await,
        State::Invalidated,
        "a child of today"
    );
}

/// What is said of the child alone.
fn about_the_child(powers: Option<Vec<Power>>) -> NewStanding {
    NewStanding {
        subject: "child".into(),
        born_on: None,
        sole_consent_from: None,
        country: None,
        powers,
    }
}

#[tokio::test]
async fn a_child_whose_last_guardian_is_removed_is_still_a_child() {
    let consents = consents().await;
    set_child(&consents, "child", days(100)).await;
    let left = about_the_child(Some(Vec::new()));
    let standing = consents.set_standing(&left, days(1)).await.unwrap();
    assert_eq!(standing.sole_consent_from, Some(days(100)));
    assert_eq!(consents.standing("child").await.unwrap(), standing);
    assert!(standing.powers.is_empty());
    let alone = consents.grant(vec![new("child")], days(1)).await.unwrap();
    assert_eq!(alone[0].state, State::PendingSecond);
    assert!(consents.index.in_force("child").is_empty());
}

#[tokio::test]
async fn what_a_record_of_a_learner_does_not_name_stays_and_one_that_says_nothing_is_refused() {
    let consents = consents().await;
    set_child(&consents, "child", days(100)).await;
    let before = consents.standing("child").await.unwrap();
    let abroad = NewStanding {
        country: Some("DE".parse().unwrap()),
        ..about_the_child(Some(Vec::new()))
    };
    for nothing in [about_the_child(None), abroad] {
        let refused = consents.set_standing(&nothing, days(1)).await;
        assert!(matches!(refused, Err(ConsentError::Standing(_))), "{refused:?}");
    }
    assert_eq!(consents.standing("child").await.unwrap(), before);
    let corrected = NewStanding {
        sole_consent_from: Some(days(200)),
        ..about_the_child(None)
    };
    let after = consents.set_standing(&corrected, days(1)).await.unwrap();
    assert_eq!(
        (after.sole_consent_from, after.powers),
        (Some(days(200)), before.powers)
    );
}

#[tokio::test]
async fn a_child_is_no_guardian_of_their_own() {
    let consents = consents().await;
    set_child(&consents, "child", days(100)).await;
    let mother = consents.standing("child").await.unwrap().powers.remove(0);
    for id in ["child", " child"] {
        let own = Power {
            id: id.into(),
            ..mother.clone()
        };
        let refused = consents.set_standing(&about_the_child(Some(vec![own])), days(1)).await;
        assert!(matches!(refused, Err(ConsentError::Standing(_))), "{refused:?}");
    }
}
