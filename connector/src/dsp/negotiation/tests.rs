//! Every state, sender and step, against the table of DSP 2025-1 §7.1 written out by hand.

use super::State::{Accepted, Agreed, Finalized, Offered, Requested, Terminated, Verified};
use super::*;
use crate::dsp::exchange::{Position, Refused};

const STEPS: [Step; 7] = [
    Step::Request,
    Step::Offer,
    Step::Accept,
    Step::Agree,
    Step::Verify,
    Step::Finalize,
    Step::Terminate,
];

/// The next state by step, in the order of `STEPS`; `None` where the step is illegal.
type Row = [Option<State>; 7];
const NONE: Row = [None; 7];

/// Before the state: what the consumer's steps lead to, then what the provider's do.
#[rustfmt::skip]
const TABLE: [(Option<State>, Row, Row); 8] = [
    //                 Request          Offer          Accept          Agree         Verify          Finalize         Terminate
    (None,            [Some(Requested), None,          None,           None,         None,           None,            None],
                      [None,            Some(Offered), None,           None,         None,           None,            None]),
    (Some(Requested), [None,            None,          None,           None,         None,           None,            Some(Terminated)],
                      [None,            Some(Offered), None,           Some(Agreed), None,           None,            Some(Terminated)]),
    (Some(Offered),   [Some(Requested), None,          Some(Accepted), None,         None,           None,            Some(Terminated)],
                      [None,            Some(Offered), None,           None,         None,           None,            Some(Terminated)]),
    (Some(Accepted),  [None,            None,          None,           None,         None,           None,            Some(Terminated)],
                      [None,            None,          None,           Some(Agreed), None,           None,            Some(Terminated)]),
    (Some(Agreed),    [None,            None,          None,           None,         Some(Verified), None,            Some(Terminated)],
                      [None,            None,          None,           None,         None,           None,            Some(Terminated)]),
    (Some(Verified),  [None,            None,          None,           None,         None,           None,            Some(Terminated)],
                      [None,            None,          None,           None,         None,           Some(Finalized), Some(Terminated)]),
    (Some(Finalized), NONE, NONE),
    (Some(Terminated), NONE, NONE),
];

#[test]
fn every_step_leads_where_the_protocol_says() {
    for (from, consumer, provider) in TABLE {
        for (at, step) in STEPS.into_iter().enumerate() {
            assert_eq!(
                Negotiation::next(from, Role::Consumer, step),
                consumer[at],
                "{from:?} consumer {step}"
            );
            assert_eq!(
                Negotiation::next(from, Role::Provider, step),
                provider[at],
                "{from:?} provider {step}"
            );
        }
    }
}

/// A position in which nothing is pending, and either side of it.
fn positions() -> impl Iterator<Item = (Option<State>, Role, [Option<State>; STEPS.len()])> {
    TABLE
        .into_iter()
        .flat_map(|(from, consumer, provider)| [(from, Role::Consumer, consumer), (from, Role::Provider, provider)])
}

#[test]
fn a_message_at_the_wrong_time_is_refused_by_its_receiver_in_every_state() {
    let mut illegal = 0;
    for (from, sender, row) in positions() {
        let position = Position::<Negotiation> {
            state: from,
            pending: Vec::new(),
        };
        for (step, expected) in STEPS.into_iter().zip(row) {
            let received = position.receive(sender.other(), step);
            match expected {
                Some(state) => assert_eq!(received.unwrap().state, Some(state), "{from:?} {sender} {step}"),
                None => {
                    illegal += 1;
                    let state = from.map_or_else(|| "none".to_owned(), |state| state.to_string());
                    let refused = Refused::Illegal {
                        sender,
                        step: step.to_string(),
                        state,
                    };
                    assert_eq!(received, Err(refused));
                }
            }
        }
    }
    assert_eq!(illegal, 92, "of {} cells", TABLE.len() * 2 * STEPS.len());
}

#[test]
fn a_message_at_the_wrong_time_is_never_sent_in_any_state() {
    for (from, sender, row) in positions() {
        let position = Position::<Negotiation> {
            state: from,
            pending: Vec::new(),
        };
        for (step, expected) in STEPS.into_iter().zip(row) {
            let sent = position.originate(sender, 0, step);
            let legal = expected.is_some() && !Negotiation::only_tolerated(from, sender, step);
            assert_eq!(sent.is_ok(), legal, "{from:?} {sender} {step}");
        }
    }
}

#[test]
fn nothing_follows_a_terminal_state_and_something_every_other() {
    for (from, consumer, provider) in TABLE {
        let ends = consumer.iter().chain(&provider).all(Option::is_none);
        assert_eq!(from.is_some_and(Negotiation::is_terminal), ends, "{from:?}");
    }
}

#[test]
fn only_a_replaced_offer_is_tolerated_and_never_sent() {
    for (from, ..) in TABLE {
        for sender in [Role::Consumer, Role::Provider] {
            for step in STEPS {
                let expected = (from, sender, step) == (Some(Offered), Role::Provider, Step::Offer);
                assert_eq!(
                    Negotiation::only_tolerated(from, sender, step),
                    expected,
                    "{from:?} {sender} {step}"
                );
            }
        }
    }
}

#[test]
fn states_are_written_as_the_protocol_does_for_people_and_in_the_store() {
    let names = [
        "REQUESTED",
        "OFFERED",
        "ACCEPTED",
        "AGREED",
        "VERIFIED",
        "FINALIZED",
        "TERMINATED",
    ];
    for ((state, ..), name) in TABLE.iter().skip(1).zip(names) {
        let state = state.unwrap();
        assert_eq!(state.to_string(), name);
        assert_eq!(serde_json::to_value(state).unwrap(), name);
        assert_eq!(serde_json::from_value::<State>(name.into()).unwrap(), state);
    }
}
