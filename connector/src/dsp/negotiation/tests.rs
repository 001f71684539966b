//! Every state, sender and step, against the table of DSP 2025-1 §7.1 written out by hand.

use super::State::{Accepted, Agreed, Finalized, Offered, Requested, Terminated, Verified};
use super::*;

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
