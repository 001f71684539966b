//! Consents that an intermediary keeps: what its own record permits (nothing), and what the holder's record makes of what was said there.

use super::{
    flows::{actor, event, key, notice, request, set_child, state},
    *,
};
use crate::{
    consent::{
        elsewhere::{Decided, Site, Word},
        receipt,
        state::{Act, Illegal, Role, State},
    },
    jose::token,
};
use serde_json::Value;

fn minutes(n: u64) -> Timestamp {
    now().plus(Duration::from_secs(60 * n))
}

fn intermediary() -> ParticipantId {
    "did:web:parcours.example".parse().unwrap()
}

/// The learner's yes to the same request, until then.
fn yes(id: &ConsentId, hash: &str, until: Timestamp) -> Decided {
    Decided {
        id: id.clone(),
        via: intermediary(),
        given: true,
        by: Some(Role::Learner),
        request: NewRequest {
            expires: Some(until),
            ..request("anna", hash)
        },
        evidence: "its receipt".into(),
    }
}

fn id(n: u128) -> ConsentId {
    ConsentId::from_uuid(uuid::Uuid::from_u128(n))
}

async fn ended(consents: &Consents, id: &ConsentId, state: State, now: Timestamp) {
    said(consents, id, (Site::Intermediary, state, None), now).await;
}

/// The other place says where a consent stands, and who brought it there.
async fn said(consents: &Consents, id: &ConsentId, (at, state, by): (Site, State, Option<Role>), now: Timestamp) {
    let word = Word {
        at,
        state,
        by,
        evidence: "its receipt".into(),
    };
    consents.do_likewise(id, &word, None, now).await.unwrap();
}

async fn adopted(consents: &Consents, decided: Decided, now: Timestamp) -> Result<(), ConsentError> {
    consents.adopt(decided, &Beside::default(), now).await
}

#[tokio::test]
async fn what_is_kept_for_another_holder_permits_nothing_here_and_says_whose_it_is() {
    let store = Arc::new(MemoryStore::new());
    let consents = over(store.clone()).await;
    let hash = notice(&consents, "1").await;
    let other: ParticipantId = "did:web:cfa.example".parse().unwrap();
    // The learner's consent to the same from this participant's own records goes on beside it.
    let own = consents.request(request("anna", &hash), None, now()).await.unwrap();
    let own = own.stored.consent.id;
    let kept = NewRequest {
        holder: Some(other.clone()),
        ..request("anna", &hash)
    };
    let kept = consents.request(kept, None, now()).await.unwrap().stored.consent;
    assert_eq!((&kept.holder, kept.via.as_ref()), (&other, Some(consents.holder())));
    let give = || event(Decision::Give, actor(Role::Learner, None));
    consents.decide(&own, &give(), minutes(1)).await.unwrap();
    consents.decide(&kept.id, &give(), minutes(2)).await.unwrap();
    assert_eq!(
        (state(&consents, &own).await, state(&consents, &kept.id).await),
        (State::Given, State::Given)
    );
    assert_eq!(consents.index.in_force("anna"), std::slice::from_ref(&own));
    let again = over(store).await;
    assert_eq!(again.index.in_force("anna"), [own], "after a start too");

    let receipts = consents.receipts(kept.id.as_str()).await.unwrap();
    let proved = receipt::verify(&receipts, key(&consents)).unwrap();
    assert_eq!(
        (proved.issuer.as_str(), proved.holder.as_str()),
        (consents.holder().as_str(), other.as_str())
    );
    let revoke = event(Decision::Revoke, actor(Role::Holder, None));
    let refused = consents.decide(&kept.id, &revoke, minutes(3)).await;
    assert!(
        matches!(refused, Err(ConsentError::Illegal(Illegal::NotTheirs(Role::Holder, _)))),
        "{refused:?}"
    );
}

#[tokio::test]
async fn what_was_given_at_an_intermediary_is_entered_once_under_its_id_and_does_not_come_back() {
    let consents = consents().await;
    let hash = notice(&consents, "1").await;
    adopted(&consents, yes(&id(7), &hash, minutes(90)), minutes(1))
        .await
        .unwrap();
    let stored = consents.get(&id(7)).await.unwrap();
    let step = stored.events.last().unwrap();
    assert_eq!(
        (stored.consent.via.clone(), stored.state, step.fact.method.as_str()),
        (Some(intermediary()), State::Given, "intermediary")
    );
    assert_eq!(step.fact.evidence, Some(stored.salt.hash("its receipt")));
    assert_eq!(consents.index.in_force("anna"), [id(7)]);
    let receipts = consents.receipts(id(7).as_str()).await.unwrap();
    assert!(receipt::verify(&receipts, key(&consents)).unwrap().complete);

    // The same once more changes nothing; a later end prolongs it.
    adopted(&consents, yes(&id(7), &hash, minutes(90)), minutes(2))
        .await
        .unwrap();
    assert_eq!(consents.get(&id(7)).await.unwrap().receipts, 1);
    adopted(&consents, yes(&id(7), &hash, minutes(120)), minutes(3))
        .await
        .unwrap();
    assert_eq!(consents.get(&id(7)).await.unwrap().until, minutes(120));

    ended(&consents, &id(7), State::Withdrawn, minutes(4)).await;
    assert_eq!(state(&consents, &id(7)).await, State::Withdrawn);
    assert!(consents.index.in_force("anna").is_empty());
    let replay = adopted(&consents, yes(&id(7), &hash, minutes(180)), minutes(5)).await;
    assert!(
        matches!(replay, Err(ConsentError::Illegal(Illegal::Ended(State::Withdrawn)))),
        "{replay:?}"
    );
    let receipts = consents.get(&id(7)).await.unwrap().receipts;
    ended(&consents, &id(7), State::Expired, minutes(6)).await;
    assert_eq!(consents.get(&id(7)).await.unwrap().receipts, receipts, "it has ended");
}

#[tokio::test]
async fn an_end_elsewhere_is_the_same_end_here() {
    let consents = consents().await;
    let hash = notice(&consents, "1").await;
    for (n, there, here) in [
        (1, State::Withdrawn, State::Withdrawn),
        (2, State::Refused, State::Withdrawn),
        (3, State::Expired, State::Expired),
        (4, State::Superseded, State::Expired),
        (5, State::Revoked, State::Revoked),
        (6, State::Invalidated, State::Revoked),
    ] {
        adopted(&consents, yes(&id(n), &hash, minutes(90)), minutes(1))
            .await
            .unwrap();
        // A clock that went backwards keeps nothing open.
        ended(&consents, &id(n), there, now()).await;
        assert_eq!(state(&consents, &id(n)).await, here, "{there:?}");
        assert!(consents.index.in_force("anna").is_empty(), "{there:?}");
    }
}

#[tokio::test]
async fn a_minors_word_at_an_intermediary_waits_for_the_guardian_known_here() {
    let consents = consents().await;
    let hash = notice(&consents, "1").await;
    set_child(&consents, "anna", minutes(60_000)).await;
    for n in [1, 2] {
        adopted(&consents, yes(&id(n), &hash, minutes(90)), minutes(1))
            .await
            .unwrap();
        assert_eq!(state(&consents, &id(n)).await, State::PendingSecond);
        assert!(consents.index.in_force("anna").is_empty());
    }
    let mother = || event(Decision::Give, actor(Role::Guardian, Some("mother")));
    consents.decide(&id(1), &mother(), minutes(2)).await.unwrap();
    assert_eq!(consents.index.in_force("anna"), [id(1)]);
    // What the learner took back meanwhile is nobody's to give.
    ended(&consents, &id(2), State::Withdrawn, minutes(3)).await;
    let late = consents.decide(&id(2), &mother(), minutes(4)).await;
    assert!(
        matches!(late, Err(ConsentError::Illegal(Illegal::Ended(State::Refused)))),
        "{late:?}"
    );
}

#[tokio::test]
async fn what_waits_at_the_holder_for_a_second_signature_waits_at_the_intermediary_and_who_ends_it_is_told_truly() {
    let consents = consents().await;
    let hash = notice(&consents, "1").await;
    let kept = NewRequest {
        holder: Some("did:web:cfa.example".parse().unwrap()),
        ..request("anna", &hash)
    };
    let id = consents.request(kept, None, now()).await.unwrap().stored.consent.id;
    let give = || event(Decision::Give, actor(Role::Learner, None));
    consents.decide(&id, &give(), minutes(1)).await.unwrap();
    let at_holder = async |state, by, minute| said(&consents, &id, (Site::Holder, state, by), minutes(minute)).await;
    at_holder(State::PendingSecond, Some(Role::Learner), 2).await;
    assert_eq!(state(&consents, &id).await, State::PendingSecond);
    let again = consents.decide(&id, &give(), minutes(3)).await;
    assert!(
        matches!(again, Err(ConsentError::Illegal(Illegal::Twice(Role::Guardian)))),
        "{again:?}"
    );
    at_holder(State::Given, Some(Role::Guardian), 4).await;
    // What was said before comes again.
    at_holder(State::PendingSecond, Some(Role::Learner), 5).await;
    assert_eq!(state(&consents, &id).await, State::Given);
    at_holder(State::Withdrawn, Some(Role::Guardian), 6).await;
    let steps = consents.get(&id).await.unwrap().events;
    let steps: Vec<_> = steps
        .iter()
        .map(|step| (step.fact.act, step.fact.role, step.fact.state))
        .collect();
    assert_eq!(
        steps,
        [
            (Act::Request, Role::Consumer, State::Requested),
            (Act::Give, Role::Learner, State::Given),
            (Act::Request, Role::Holder, State::PendingSecond),
            (Act::Give, Role::Guardian, State::Given),
            (Act::Withdraw, Role::Guardian, State::Withdrawn),
        ]
    );
    let receipts = consents.receipts(id.as_str()).await.unwrap();
    let proved = receipt::verify(&receipts, key(&consents)).unwrap();
    assert!(proved.complete && proved.state == State::Withdrawn);
}

#[tokio::test]
async fn a_second_yes_that_was_on_its_way_when_the_holder_began_to_wait_is_none() {
    let consents = consents().await;
    let hash = notice(&consents, "1").await;
    let kept = NewRequest {
        holder: Some("did:web:cfa.example".parse().unwrap()),
        ..request("anna", &hash)
    };
    let id = consents.request(kept, None, now()).await.unwrap().stored.consent.id;
    let give = event(Decision::Give, actor(Role::Learner, None));
    consents.decide(&id, &give, minutes(1)).await.unwrap();
    let word = Word {
        at: Site::Holder,
        state: State::PendingSecond,
        by: Some(Role::Learner),
        evidence: "its receipt".into(),
    };
    // Both wait for the learner's turn, in this order.
    let turn = consents.turns.of(&["anna"]).await;
    let (waits, again, ()) = tokio::join!(
        consents.do_likewise(&id, &word, None, minutes(2)),
        consents.decide(&id, &give, minutes(3)),
        async { drop(turn) },
    );
    waits.unwrap();
    assert!(
        matches!(again, Err(ConsentError::Illegal(Illegal::Twice(Role::Guardian)))),
        "{again:?}"
    );
    assert_eq!(state(&consents, &id).await, State::PendingSecond);
}

#[tokio::test]
async fn a_guardian_who_refuses_at_the_other_place_is_not_recorded_as_the_learner() {
    let consents = consents().await;
    let hash = notice(&consents, "1").await;
    set_child(&consents, "anna", minutes(60_000)).await;
    adopted(&consents, yes(&id(1), &hash, minutes(90)), minutes(1))
        .await
        .unwrap();
    said(
        &consents,
        &id(1),
        (Site::Intermediary, State::Withdrawn, Some(Role::Guardian)),
        minutes(2),
    )
    .await;
    let stored = consents.get(&id(1)).await.unwrap();
    let step = stored.events.last().unwrap();
    assert_eq!((stored.state, step.fact.role), (State::Refused, Role::Guardian));
}

#[tokio::test]
async fn a_refusal_at_an_intermediary_is_recorded_and_permits_nothing() {
    let consents = consents().await;
    let hash = notice(&consents, "1").await;
    let no = Decided {
        given: false,
        by: Some(Role::Guardian),
        ..yes(&id(1), &hash, minutes(90))
    };
    adopted(&consents, no, minutes(1)).await.unwrap();
    let stored = consents.get(&id(1)).await.unwrap();
    let step = stored.events.last().unwrap();
    assert_eq!((stored.state, step.fact.role), (State::Refused, Role::Guardian));
    assert!(consents.index.in_force("anna").is_empty());
}

#[tokio::test]
async fn what_a_holder_asks_for_anew_under_another_notice_is_no_intermediarys() {
    let consents = consents().await;
    let hash = notice(&consents, "1").await;
    adopted(&consents, yes(&id(1), &hash, minutes(90)), minutes(1))
        .await
        .unwrap();
    let newer = NewNotice {
        id: "orientation".into(),
        version: "2".into(),
        language: "fr".into(),
        text: "Ton lycée veut envoyer bien plus.".into(),
        url: None,
    };
    let done = consents.replace_notice(&hash, newer, true, minutes(2)).await.unwrap();
    assert_eq!((done.ended, done.requested), (1, 1));
    let all = consents.list(Some("anna")).await.unwrap();
    let anew = all.iter().find(|stored| stored.state == State::Requested).unwrap();
    assert_eq!(anew.consent.via, None);
    // For as long as the first, however little of that is left.
    let first = all.iter().find(|stored| stored.consent.id == id(1)).unwrap();
    assert_eq!(anew.consent.length(), first.consent.length());
}

#[tokio::test]
async fn what_was_prolonged_beyond_its_first_end_is_asked_for_anew_like_all_that_is_in_force() {
    let consents = consents().await;
    let hash = notice(&consents, "1").await;
    for (until, minute) in [(90, 1), (300, 2)] {
        let yes = yes(&id(1), &hash, minutes(until));
        adopted(&consents, yes, minutes(minute)).await.unwrap();
    }
    let newer = NewNotice {
        id: "orientation".into(),
        version: "2".into(),
        language: "fr".into(),
        text: "Ton lycée veut envoyer bien plus.".into(),
        url: None,
    };
    let done = consents.replace_notice(&hash, newer, true, minutes(100)).await.unwrap();
    assert_eq!((done.ended, done.requested), (1, 1));
}

/// A running stream of ours to the recipient.
fn stream(consents: &Consents) {
    let names = consents.pseudonyms.towards(&"did:web:ft.example".parse().unwrap());
    let gate = Gate::new(7, Arc::new(names), tokio_util::sync::CancellationToken::new());
    let transfer = "urn:uuid:0198f2c4-7a31-7d20-8f00-3b6c1a9e5d12".parse().unwrap();
    consents.index.enter(&transfer, Arc::new(gate));
}

/// Whether the newest receipt says where streams ended.
async fn names_an_end(consents: &Consents, id: &ConsentId) -> bool {
    let receipts = consents.receipts(id.as_str()).await.unwrap();
    let newest = token::verify(receipts.last().unwrap(), token::Kind::Consent, key(consents)).unwrap();
    newest.members().get("dases:ended").is_some_and(Value::is_object)
}

#[tokio::test]
async fn a_withdrawal_of_what_is_kept_for_another_holder_closes_and_names_no_stream_of_ours() {
    let consents = consents().await;
    let hash = notice(&consents, "1").await;
    stream(&consents);
    let give = || event(Decision::Give, actor(Role::Learner, None));
    let kept = |subject: &str| NewRequest {
        holder: Some("did:web:cfa.example".parse().unwrap()),
        ..request(subject, &hash)
    };
    let id = consents.request(kept("anna"), None, now()).await.unwrap();
    let id = id.stored.consent.id;
    consents.decide(&id, &give(), minutes(1)).await.unwrap();
    let epoch = consents.index.epoch();
    let told = consents.withdraw("anna", None, minutes(2)).await.unwrap();
    assert_eq!((&told.consents, told.epoch), (&vec![id.clone()], epoch));
    assert_eq!(
        (consents.index.epoch(), state(&consents, &id).await),
        (epoch, State::Withdrawn)
    );
    assert!(!names_an_end(&consents, &id).await);

    // Beside one of our own, whose receipt names the stream.
    let own = consents
        .grant(vec![new("ben")], now())
        .await
        .unwrap()
        .remove(0)
        .consent
        .id;
    let id = consents.request(kept("ben"), None, now()).await.unwrap();
    let id = id.stored.consent.id;
    consents.decide(&id, &give(), minutes(1)).await.unwrap();
    let told = consents.withdraw("ben", None, minutes(2)).await.unwrap();
    assert_eq!((told.consents.len(), told.streams.len(), told.epoch), (2, 1, epoch + 1));
    assert!(names_an_end(&consents, &own).await && !names_an_end(&consents, &id).await);
}

#[tokio::test]
async fn what_an_intermediary_reads_names_no_learner_as_the_recipient_knows_them_and_no_stream() {
    let consents = consents().await;
    let hash = notice(&consents, "1").await;
    adopted(&consents, yes(&id(1), &hash, minutes(90)), minutes(1))
        .await
        .unwrap();
    ended(&consents, &id(1), State::Withdrawn, minutes(2)).await;
    let known = consents.pseudonyms.towards(&"did:web:ft.example".parse().unwrap());
    let receipts = consents.receipts(id(1).as_str()).await.unwrap();
    assert_eq!(
        receipt::verify(&receipts, key(&consents)).unwrap().state,
        State::Withdrawn
    );
    for receipt in &receipts {
        let claims = token::verify(receipt, token::Kind::Consent, key(&consents)).unwrap();
        let claims = claims.into_value();
        assert!(!claims.to_string().contains(&known.name("anna")), "{claims}");
        let ended = &claims["dases:ended"];
        assert_eq!(
            (ended.get("streams"), ended.get("moreStreams")),
            (None, None),
            "{claims}"
        );
    }
}
