//! What becomes known later: that a learner is a child, that a power has ended, that a learner is to be forgotten; and what others see.

use super::*;
use crate::{
    consent::record::{Context, LegalNames, render},
    jose::sha256,
    store::Batch,
};
use std::sync::atomic::{AtomicU32, Ordering};

pub(super) async fn basis(consents: &Consents, purpose: &str) -> ConsentId {
    let hash = match consents.notices().await.unwrap().last() {
        Some(known) => known.hash.clone(),
        None => notice(consents, "1").await,
    };
    let declared = NewBasis {
        basis: LawfulBasis::PublicTask,
        grounds: "Code de l'éducation, art. L331-7".into(),
        recipients: vec!["did:web:ft.example".parse().unwrap()],
        purposes: vec![format!("https://w3id.org/dpv#{purpose}")],
        categories: vec!["skills".into(), "results".into()],
        datasets: vec!["records".parse().unwrap()],
        notice: hash,
        until: days(100),
    };
    consents.declare(declared, now()).await.unwrap().id
}

#[tokio::test]
async fn whoever_said_no_is_not_forgotten_while_another_basis_would_take_over() {
    let consents = consents().await;
    let id = asked(&consents, "anna").await;
    consents
        .decide(&id, &event(Decision::Refuse, learner()), now())
        .await
        .unwrap();
    let short = NewConsent {
        expires: Some(days(1)),
        ..new("chloé")
    };
    consents.grant(vec![new("ben"), short], now()).await.unwrap();
    consents.withdraw("ben", None, now()).await.unwrap();
    basis(&consents, "Marketing").await;
    let same = basis(&consents, "ServiceProvision").await;
    for learner in ["anna", "ben", "chloé"] {
        let kept = consents.forget(learner, days(2)).await;
        assert!(matches!(kept, Err(ConsentError::RefusalInForce)), "{learner}: {kept:?}");
        assert!(!consents.list(Some(learner)).await.unwrap().is_empty());
    }
    let ended = consents.list(Some("chloé")).await.unwrap().remove(0);
    assert_eq!(ended.state, State::Expired, "its end was recorded on the way");
    consents.end_basis(&same, days(2)).await.unwrap();
    for learner in ["anna", "ben", "chloé"] {
        consents.forget(learner, days(2)).await.unwrap();
    }
}

#[tokio::test]
async fn an_objection_is_not_forgotten_while_another_basis_for_the_same_stands() {
    let consents = consents().await;
    let first = basis(&consents, "ServiceProvision").await;
    let objection = NewObjection {
        subject: "anna".into(),
        basis: first.clone(),
        actor: learner(),
    };
    consents.object(&objection, now()).await.unwrap();
    let same = basis(&consents, "ServiceProvision").await;
    basis(&consents, "Marketing").await;
    consents.end_basis(&first, now()).await.unwrap();
    let kept = consents.forget("anna", now()).await;
    assert!(matches!(kept, Err(ConsentError::ObjectionInForce)), "{kept:?}");
    consents.end_basis(&same, now()).await.unwrap();
    consents.forget("anna", now()).await.unwrap();
}

#[tokio::test]
async fn a_declared_basis_ends_by_the_same_timer_as_consents() {
    let consents = consents().await;
    basis(&consents, "ServiceProvision").await;
    consents.ends_changed().await;
    assert_eq!(consents.next_end(), Some(days(100)));
    let epoch = consents.index.epoch();
    assert_eq!(consents.expire(|| days(100)).await.unwrap(), 0, "no consent ended");
    assert_eq!((consents.index.epoch(), consents.next_end()), (epoch + 1, None));
}

/// A child for whom the mother signed as long as this says.
fn child(of_age: Timestamp, mother_until: Option<Timestamp>) -> NewStanding {
    let power = |until| Power {
        id: "mother".into(),
        capacity: Capacity::ParentalAuthority,
        scope: vec![Scope::Give, Scope::Withdraw],
        from: now(),
        until,
        evidence: "register 3".into(),
    };
    NewStanding {
        subject: "child".into(),
        born_on: None,
        sole_consent_from: Some(of_age),
        country: None,
        powers: Some(mother_until.map(power).into_iter().collect()),
    }
}

async fn given_by_both(consents: &Consents) -> ConsentId {
    set_child(consents, "child", days(100)).await;
    let both = NewConsent {
        signed_by: vec![learner(), actor(Role::Guardian, Some("mother"))],
        ..new("child")
    };
    let given = consents.grant(vec![both], now()).await.unwrap().remove(0);
    assert_eq!((given.state, given.ends()), (State::Given, days(100)));
    given.consent.id
}

async fn outcome(consents: &Consents, id: &ConsentId) -> (State, Option<Cause>) {
    let stored = consents.get(id).await.unwrap();
    let receipts = consents.receipts(id.as_str()).await.unwrap();
    assert_eq!(receipts.len(), stored.receipts as usize);
    let proved = receipt::verify(&receipts, key(consents)).unwrap();
    assert_eq!(proved.state, stored.state);
    let in_force = consents.index.in_force("child");
    assert_eq!(in_force.contains(id), stored.state == State::Given);
    (stored.state, stored.events.last().unwrap().fact.cause)
}

#[tokio::test]
async fn the_sole_consent_of_who_turns_out_to_be_a_child_is_invalid() {
    let consents = consents().await;
    let id = consents.grant(vec![new("child")], now()).await.unwrap().remove(0);
    let id = id.consent.id;
    let epoch = consents.index.epoch();
    set_child(&consents, "child", days(100)).await;
    let expected = (State::Invalidated, Some(Cause::SignatureMissing));
    assert_eq!(outcome(&consents, &id).await, expected);
    assert!(consents.index.epoch() > epoch);
    // What both gave knowing that stays, however often the same is recorded.
    let both = given_by_both(&consents).await;
    let before = consents.get(&both).await.unwrap().receipts;
    set_child(&consents, "child", days(100)).await;
    assert_eq!(outcome(&consents, &both).await.0, State::Given);
    assert_eq!(consents.get(&both).await.unwrap().receipts, before);
}

#[tokio::test]
async fn what_an_adult_gave_alone_stays_when_their_age_is_recorded() {
    let consents = consents().await;
    let given = consents.grant(vec![new("child")], now()).await.unwrap().remove(0);
    let adult = child(now().minus(DAY), None);
    consents.set_standing(&adult, days(1)).await.unwrap();
    assert_eq!(outcome(&consents, &given.consent.id).await, (State::Given, None));
    assert_eq!(consents.get(&given.consent.id).await.unwrap().receipts, 1);
}

#[tokio::test]
async fn a_consent_ends_with_the_guardianship_on_which_it_rests() {
    // Recorded after it ended.
    let consents = consents().await;
    let id = given_by_both(&consents).await;
    let ended = child(days(100), Some(days(5)));
    consents.set_standing(&ended, days(10)).await.unwrap();
    let expected = (State::Expired, Some(Cause::PowerEnded));
    assert_eq!(outcome(&consents, &id).await, expected);
    // Recorded before.
    let consents = self::consents().await;
    let id = given_by_both(&consents).await;
    consents.set_standing(&ended, days(1)).await.unwrap();
    assert_eq!(outcome(&consents, &id).await.0, State::Given);
    assert_eq!(consents.next_end(), Some(days(5)));
    assert_eq!(consents.expire(|| days(5)).await.unwrap(), 1);
    assert_eq!(outcome(&consents, &id).await, expected);
    // It never was.
    let consents = self::consents().await;
    let id = given_by_both(&consents).await;
    consents.set_standing(&child(days(100), None), days(1)).await.unwrap();
    let expected = (State::Invalidated, Some(Cause::SignatureMissing));
    assert_eq!(outcome(&consents, &id).await, expected);
}

#[tokio::test]
async fn a_corrected_birth_date_moves_the_end_of_what_both_gave() {
    let consents = consents().await;
    let id = given_by_both(&consents).await;
    consents
        .set_standing(&child(days(200), Some(days(1000))), days(1))
        .await
        .unwrap();
    assert_eq!(consents.get(&id).await.unwrap().ends(), days(200));
    consents
        .set_standing(&child(days(3), Some(days(1000))), days(4))
        .await
        .unwrap();
    let expected = (State::Expired, Some(Cause::CameOfAge));
    assert_eq!(outcome(&consents, &id).await, expected);
}

#[tokio::test]
async fn evidence_is_hashed_under_a_salt_that_no_receipt_shows() {
    let consents = consents().await;
    let given = consents.grant(vec![new("anna"), new("ben")], now()).await.unwrap();
    let hashes: Vec<Digest> = given
        .iter()
        .filter_map(|stored| stored.events.last()?.fact.evidence)
        .collect();
    assert_eq!(hashes.len(), 2);
    assert_ne!(hashes[0], hashes[1], "each consent has its own");
    for (stored, hash) in given.iter().zip(hashes) {
        assert_ne!(hash, sha256(b"file 7"), "nobody guesses it");
        assert_eq!(hash, stored.salt.hash("file 7"), "who has both can check it");
        let salt = json!(stored)["salt"].as_str().unwrap().to_owned();
        let receipts = consents.receipts(stored.consent.id.as_str()).await.unwrap();
        let claims = jose::token::verify(&receipts[0], jose::token::Kind::Consent, key(&consents)).unwrap();
        let text = claims.into_value().to_string();
        assert!(text.contains(&hash.to_string()) && !text.contains(&salt));
    }
    let objection = NewObjection {
        subject: "anna".into(),
        basis: basis(&consents, "Marketing").await,
        actor: learner(),
    };
    let (kept, _) = consents.object(&objection, now()).await.unwrap();
    let receipts = consents.receipts(kept.id.as_str()).await.unwrap();
    let claims = jose::token::verify(&receipts[0], jose::token::Kind::Consent, key(&consents)).unwrap();
    let shown = &claims.members()["dases:record"]["dases:evidence"];
    assert_eq!(*shown, json!(kept.salt.hash("session 8")));
}

#[tokio::test]
async fn a_consent_limited_to_fields_says_so_in_its_record() {
    let consents = consents().await;
    let limited = |fields: &[&str]| NewConsent {
        fields: fields.iter().map(|field| (*field).to_owned()).collect(),
        ..new("anna")
    };
    for wrong in ["score", "", "/a~2"] {
        let refused = consents.grant(vec![limited(&[wrong])], now()).await;
        assert!(
            matches!(refused, Err(ConsentError::Grant(GrantError::Invalid("fields", _)))),
            "{wrong}"
        );
    }
    let given = consents.grant(vec![limited(&["/skill/level"])], now()).await.unwrap();
    let record = consents.rendered(&given[0]).await.unwrap();
    check_27560(&record).unwrap();
    let data = &record["dpv:hasPersonalData"][0];
    assert_eq!(data["dct:identifier"], "dases:skills");
    assert_eq!(data["dpv:hasPersonalData"][0]["dct:identifier"], "/skill/level");
    assert_eq!(record["dpv:hasDuration"][0]["@type"], "dpv:UntilTimeDuration");
}

#[tokio::test]
async fn a_record_calls_a_recipient_by_the_legal_name_that_is_known_and_else_by_its_did() {
    let consents = consents().await;
    let given = consents.grant(vec![new("anna")], now()).await.unwrap();
    let did = &given[0].consent.recipients[0];
    let known = [(did.clone(), "France Travail".to_owned())].into();
    for (names, expected) in [(known, "France Travail"), (LegalNames::new(), did.as_str())] {
        let context = Context {
            keeper: consents.holder(),
            privacy: &consents.privacy,
            notice: None,
            subject: "p".into(),
            names: &names,
        };
        let record = render(&given[0], &context).unwrap();
        let recipient = &record["dpv:hasRecipient"][0];
        assert_eq!(recipient["dpv:hasName"], expected);
        assert_eq!(recipient["dct:identifier"], did.as_str());
    }
}

/// A running stream that hands nothing over, and what cuts it.
fn stalled(consents: &Consents) -> tokio_util::sync::CancellationToken {
    let reset = tokio_util::sync::CancellationToken::new();
    let names = consents.pseudonyms.towards(&"did:web:ft.example".parse().unwrap());
    let transfer = "urn:uuid:0198f2c4-7a31-7d20-8f00-3b6c1a9e5d12".parse().unwrap();
    let gate = Gate::new(0, Arc::new(names), reset.clone());
    consents.index.enter(&transfer, Arc::new(gate));
    reset
}

async fn is_cut(reset: &tokio_util::sync::CancellationToken) -> bool {
    tokio::time::timeout(Duration::from_secs(3), reset.cancelled())
        .await
        .is_ok()
}

#[tokio::test]
async fn stalled_streams_are_cut_after_every_decision_that_takes_something_away_and_no_other() {
    // Revoked and invalidated as well as withdrawn.
    for decision in [Decision::Withdraw, Decision::Revoke, Decision::Invalidate] {
        let consents = consents().await;
        let id = consents.grant(vec![new("anna")], now()).await.unwrap().remove(0);
        let reset = stalled(&consents);
        let by = match decision {
            Decision::Withdraw => learner(),
            _ => actor(Role::Holder, None),
        };
        consents
            .decide(&id.consent.id, &event(decision, by), now())
            .await
            .unwrap();
        assert!(is_cut(&reset).await, "{decision:?}");
    }
    // A refusal takes away what another basis let out, where there is one.
    for declared in [false, true] {
        let consents = consents().await;
        let id = asked(&consents, "anna").await;
        if declared {
            basis(&consents, "ServiceProvision").await;
        }
        let reset = stalled(&consents);
        let no = event(Decision::Refuse, learner());
        consents.decide(&id, &no, now()).await.unwrap();
        assert_eq!(is_cut(&reset).await, declared);
    }
}

#[tokio::test]
async fn what_waits_for_a_second_signature_does_not_outlive_a_withdrawal_of_everything() {
    let consents = consents().await;
    let mother = || actor(Role::Guardian, Some("mother"));
    for (subject, first, second) in [("child1", learner(), mother()), ("child2", mother(), learner())] {
        set_child(&consents, subject, days(100)).await;
        let id = asked(&consents, subject).await;
        let give = |who| event(Decision::Give, who);
        consents.decide(&id, &give(first), now()).await.unwrap();
        let other = "did:web:work.example".parse().unwrap();
        let elsewhere = consents.withdraw(subject, Some(&other), days(1)).await;
        assert!(matches!(elsewhere, Err(ConsentError::NothingToWithdraw)));
        let told = consents.withdraw(subject, None, days(1)).await.unwrap();
        assert_eq!(
            (&told.consents, told.epoch),
            (&vec![id.clone()], consents.index.epoch())
        );
        assert_eq!(state(&consents, &id).await, State::Refused);
        let late = consents.decide(&id, &give(second), days(2)).await;
        assert!(
            matches!(late, Err(ConsentError::Illegal(Illegal::Ended(State::Refused)))),
            "{late:?}"
        );
    }
    // What only was asked for is left to be answered.
    let id = asked(&consents, "anna").await;
    let nothing = consents.withdraw("anna", None, days(1)).await;
    assert!(matches!(nothing, Err(ConsentError::NothingToWithdraw)));
    assert_eq!(state(&consents, &id).await, State::Requested);
}

#[tokio::test]
async fn a_half_signed_request_is_not_swept_away_while_another_basis_yields_to_it() {
    let consents = consents().await;
    set_child(&consents, "child", days(1000)).await;
    let known = notice(&consents, "1").await;
    let short = |subject: &str| NewRequest {
        expires: Some(days(1)),
        ..request(subject, &known)
    };
    let id = consents.request(short("child"), None, now()).await.unwrap();
    let id = id.stored.consent.id;
    consents
        .decide(&id, &event(Decision::Give, learner()), now())
        .await
        .unwrap();
    consents.request(short("anna"), None, now()).await.unwrap();
    let same = basis(&consents, "ServiceProvision").await;
    assert_eq!(consents.drop_unanswered(days(40)).await.unwrap(), 1, "nobody answered");
    assert_eq!(state(&consents, &id).await, State::PendingSecond);
    consents.end_basis(&same, days(40)).await.unwrap();
    assert_eq!(consents.drop_unanswered(days(41)).await.unwrap(), 1);
    assert!(matches!(consents.get(&id).await, Err(ConsentError::Unknown)));
}

fn until(subject: &str, expires: Timestamp) -> NewConsent {
    NewConsent {
        expires: Some(expires),
        ..new(subject)
    }
}

#[tokio::test]
async fn what_ends_while_other_ends_are_recorded_is_closed_at_its_time() {
    let consents = consents().await;
    let both = vec![until("anna", days(1)), until("ben", days(2))];
    consents.grant(both, now()).await.unwrap();
    let day = AtomicU32::new(1);
    let ended = consents
        .expire(|| days(day.fetch_add(1, Ordering::Relaxed)))
        .await
        .unwrap();
    assert!(consents.index.in_force("ben").is_empty());
    // Recorded by now, or the next time.
    assert_eq!(ended + consents.expire(|| days(3)).await.unwrap(), 2);
    assert_eq!(consents.next_end(), None);
}

#[tokio::test]
async fn an_end_that_cannot_be_recorded_keeps_no_other_waiting() {
    let consents = consents().await;
    let both = vec![until("anna", days(1)), until("ben", days(1))];
    let mut given = consents.grant(both, now()).await.unwrap();
    given.sort_by(|one, other| one.consent.id.cmp(&other.consent.id));
    let (first, second) = (&given[0].consent.id, &given[1].consent.id);
    let mut batch = Batch::new();
    batch.put(CONSENTS, first.as_str(), "damaged");
    consents.log.store().commit(batch).await.unwrap();
    for _ in 0..2 {
        assert!(consents.expire(|| days(1)).await.is_err(), "it stays due");
        assert_eq!(state(&consents, second).await, State::Expired);
    }
}

#[tokio::test]
async fn a_receipt_with_a_count_that_nothing_can_follow_is_refused() {
    let consents = consents().await;
    let given = consents.grant(vec![new("anna")], now()).await.unwrap();
    let receipts = consents.receipts(given[0].consent.id.as_str()).await.unwrap();
    let kind = jose::token::Kind::Consent;
    let claims = jose::token::verify(&receipts[0], kind, key(&consents))
        .unwrap()
        .into_value();
    for member in ["/dases:number", "/dases:record/dases:earlierEvents"] {
        let mut claims = claims.clone();
        *claims.pointer_mut(member).unwrap() = json!(u64::from(u32::MAX) + 1);
        let signed = jose::token::sign(&consents.trust.signer(), kind, &claims).unwrap();
        let refused = receipt::verify(&[signed], key(&consents)).unwrap_err();
        assert!(
            matches!(refused, receipt::ReceiptError::Wrong(0, _)),
            "{member}: {refused}"
        );
    }
}

#[tokio::test]
async fn a_withdrawal_towards_one_recipient_ends_a_consent_for_all_whom_it_names_and_says_so() {
    let consents = consents().await;
    let (work, edtech, lab): (ParticipantId, ParticipantId, ParticipantId) = (
        "did:web:work.example".parse().unwrap(),
        "did:web:edtech.example".parse().unwrap(),
        "did:web:lab.example".parse().unwrap(),
    );
    let named = |recipients: &[&ParticipantId]| NewConsent {
        recipients: recipients.iter().map(|one| (*one).clone()).collect(),
        ..new("anna")
    };
    let new = vec![named(&[&work, &edtech]), named(&[&lab])];
    let granted = consents.grant(new, now()).await.unwrap();
    let (both, alone) = (&granted[0], &granted[1]);
    let told = consents.withdraw("anna", Some(&work), days(1)).await.unwrap();
    assert_eq!(told.consents, std::slice::from_ref(&both.consent.id));
    assert_eq!(told.recipients, [edtech, work]);
    assert_eq!(state(&consents, &both.consent.id).await, State::Withdrawn);
    assert_eq!(state(&consents, &alone.consent.id).await, State::Given);
}
