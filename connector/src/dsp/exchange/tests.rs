//! The rules of a position, one by one. That they suffice is shown in `model.rs`.

use super::*;
use crate::dsp::{
    negotiation::{self, Negotiation},
    transfer::{self, Transfer},
};
use Role::{Consumer, Provider};

fn negotiation(state: negotiation::State, pending: &[(u64, negotiation::Step)]) -> Position<Negotiation> {
    Position {
        state: Some(state),
        pending: pending.to_vec(),
    }
}

fn transfer(state: transfer::State, pending: &[(u64, transfer::Step)]) -> Position<Transfer> {
    Position {
        state: Some(state),
        pending: pending.to_vec(),
    }
}

#[test]
fn an_answer_that_overtakes_the_acknowledgement_counts_as_one() {
    use negotiation::{State, Step};
    let asked = Position::<Negotiation>::default()
        .originate(Consumer, 0, Step::Request)
        .unwrap();
    for (answer, state) in [
        (Step::Offer, State::Offered),
        (Step::Agree, State::Agreed),
        (Step::Terminate, State::Terminated),
    ] {
        let after = asked.receive(Consumer, answer).unwrap();
        assert_eq!(after, negotiation(state, &[]));
        assert_eq!(
            after.acknowledged(Consumer, 0),
            after,
            "the late acknowledgement changes nothing"
        );
    }
}

#[test]
fn a_late_acknowledgement_does_not_settle_a_newer_message_of_the_same_kind() {
    use transfer::{State, Step};
    let position = transfer(State::Suspended, &[(0, Step::Start)]);
    let overtaken = position.receive(Provider, Step::Suspend).unwrap();
    assert_eq!(overtaken, transfer(State::Suspended, &[]));
    let again = overtaken.originate(Provider, 2, Step::Start).unwrap();
    assert_eq!(again.acknowledged(Provider, 0), again);
    assert_eq!(again.refused(Provider, 0), again);
    assert_eq!(again.acknowledged(Provider, 2), transfer(State::Started, &[]));
}

#[test]
fn when_messages_cross_the_provider_stands_and_the_consumer_waits() {
    use transfer::{State, Step};
    let provider = transfer(State::Started, &[(1, Step::Suspend)]);
    let consumer = transfer(State::Started, &[(1, Step::Complete)]);
    assert_eq!(provider.receive(Provider, Step::Complete), Err(Refused::Crossed));
    assert_eq!(consumer.receive(Consumer, Step::Suspend), Err(Refused::NotYet));
    assert!(Refused::NotYet.is_temporary() && !Refused::Crossed.is_temporary());
    let decided = consumer.refused(Consumer, 1);
    assert_eq!(
        decided.receive(Consumer, Step::Suspend),
        Ok(transfer(State::Suspended, &[]))
    );
}

#[test]
fn termination_crosses_everything() {
    use negotiation::{State, Step};
    let ended = negotiation(State::Terminated, &[]);
    let finalizing = negotiation(State::Verified, &[(3, Step::Finalize)]);
    assert_eq!(finalizing.receive(Provider, Step::Terminate), Ok(ended.clone()));
    let ending = negotiation(State::Verified, &[(3, Step::Terminate)]);
    assert_eq!(ending.receive(Consumer, Step::Finalize), Err(Refused::Terminating));
    assert_eq!(ending.receive(Consumer, Step::Terminate), Ok(ended));
}

#[test]
fn after_terminating_nothing_more_is_sent() {
    use negotiation::{State, Step};
    let ending = negotiation(State::Offered, &[(1, Step::Terminate)]);
    assert_eq!(ending.originate(Consumer, 2, Step::Accept), Err(Refused::Terminating));
    assert_eq!(
        ending.originate(Consumer, 2, Step::Terminate),
        Err(Refused::Terminating)
    );
}

#[test]
fn an_offer_is_replaced_by_peers_only() {
    use negotiation::{State, Step};
    let offered = negotiation(State::Offered, &[]);
    assert_eq!(offered.receive(Consumer, Step::Offer), Ok(offered.clone()));
    assert!(matches!(
        offered.originate(Provider, 1, Step::Offer),
        Err(Refused::Illegal { .. })
    ));
    let offering = negotiation(State::Requested, &[(0, Step::Offer)]);
    assert!(matches!(
        offering.originate(Provider, 1, Step::Offer),
        Err(Refused::Illegal { .. })
    ));
}

#[test]
fn a_refusal_drops_what_built_on_the_refused_message() {
    use transfer::{State, Step};
    let position = transfer(
        State::Started,
        &[(1, Step::Suspend), (2, Step::Start), (3, Step::Suspend)],
    );
    let after = position.refused(Provider, 1);
    assert_eq!(after, transfer(State::Started, &[(3, Step::Suspend)]));
    assert_eq!(after.left_since(&position).collect::<Vec<_>>(), [1, 2]);
    let ending = transfer(State::Requested, &[(0, Step::Start), (1, Step::Terminate)]);
    assert_eq!(
        ending.refused(Provider, 0),
        transfer(State::Requested, &[(1, Step::Terminate)])
    );
}

#[test]
fn a_refused_opening_or_termination_closes_this_side() {
    use transfer::{State, Step};
    let asked = Position::<Transfer>::default()
        .originate(Consumer, 0, Step::Request)
        .unwrap();
    assert_eq!(asked.refused(Consumer, 0), transfer(State::Terminated, &[]));
    let ending = transfer(State::Started, &[(1, Step::Terminate)]);
    assert_eq!(ending.refused(Consumer, 1), transfer(State::Terminated, &[]));
}

#[test]
fn entering_a_final_state_empties_the_outbox() {
    use transfer::{State, Step};
    let position = transfer(State::Started, &[(1, Step::Suspend), (2, Step::Terminate)]);
    let after = position.receive(Provider, Step::Terminate).unwrap();
    assert!(after.is_terminal());
    assert_eq!(after.left_since(&position).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn what_is_intended_follows_from_what_is_pending() {
    use transfer::{State, Step};
    assert_eq!(
        transfer(State::Started, &[(1, Step::Suspend)]).intended(Provider),
        Some(State::Suspended)
    );
    assert_eq!(
        transfer(State::Requested, &[(0, Step::Start)]).intended(Provider),
        Some(State::Started)
    );
    assert_eq!(transfer(State::Started, &[]).intended(Provider), Some(State::Started));
    assert_eq!(Position::<Transfer>::default().intended(Consumer), None);
}

#[test]
fn an_equal_body_is_a_repetition_until_what_set_out_after_it_is_acknowledged() {
    use transfer::{State, Step};
    let before = transfer(State::Started, &[]);
    let suspended = before.receive(Provider, Step::Suspend).unwrap();
    let since = suspended.sets_out_next(true, 3);
    assert_eq!(since, 3);
    let repeats = |position: &Position<Transfer>, acknowledged| {
        position.repeats(Provider, Step::Suspend, true, since, acknowledged)
    };
    assert_eq!(repeats(&suspended, 3), Ok(true));
    // A start is on its way: the peer may have taken it and suspended again.
    let starting = suspended.originate(Provider, 3, Step::Start).unwrap();
    assert_eq!(repeats(&starting, 3), Err(Refused::NotYet));
    assert_eq!(repeats(&starting.refused(Provider, 3), 3), Ok(true));
    assert_eq!(repeats(&starting.acknowledged(Provider, 3), 4), Ok(false));
    // A termination is on its way: what it crosses can only be a repetition.
    let ending = suspended.originate(Provider, 3, Step::Terminate).unwrap();
    assert_eq!(repeats(&ending, 3), Ok(true));
}

#[test]
fn a_refused_body_is_refused_again_until_what_set_out_after_it_is_acknowledged() {
    use transfer::{State, Step};
    let crossed = transfer(State::Started, &[(1, Step::Suspend), (2, Step::Start)]);
    assert_eq!(crossed.receive(Provider, Step::Complete), Err(Refused::Crossed));
    let since = crossed.sets_out_next(false, 3);
    assert_eq!(since, 2, "message 1 is on its way already");
    let repeats = |position: &Position<Transfer>, acknowledged| {
        position.repeats(Provider, Step::Complete, false, since, acknowledged)
    };
    assert_eq!(repeats(&crossed, 1), Ok(true));
    assert_eq!(repeats(&crossed.acknowledged(Provider, 1), 2), Ok(true));
    assert_eq!(repeats(&transfer(State::Started, &[]), 3), Ok(false));
    assert_eq!(transfer(State::Started, &[]).sets_out_next(false, 3), 3);
}

#[test]
fn a_refusal_says_who_cannot_do_what_where() {
    use negotiation::{State, Step};
    let error = negotiation(State::Offered, &[])
        .receive(Consumer, Step::Agree)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "ContractAgreementMessage from the provider is not possible in state OFFERED"
    );
    let error = Position::<Negotiation>::default()
        .receive(Provider, Step::Accept)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "event ACCEPTED from the consumer is not possible in state none"
    );
}

#[test]
fn a_position_is_stored_and_read_back() {
    use transfer::{State, Step};
    let position = transfer(State::Suspended, &[(7, Step::Start), (8, Step::Terminate)]);
    let text = serde_json::to_string(&position).unwrap();
    assert_eq!(text, r#"{"state":"SUSPENDED","pending":[[7,"start"],[8,"terminate"]]}"#);
    assert_eq!(serde_json::from_str::<Position<Transfer>>(&text).unwrap(), position);
}
