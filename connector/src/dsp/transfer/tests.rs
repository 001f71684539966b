//! Every state, sender and step, against the table of DSP 2025-1 §9.1 written out by hand.

use super::State::{Completed, Requested, Started, Suspended, Terminated};
use super::*;
use crate::dsp::exchange::{Position, Refused};

const STEPS: [Step; 5] = [
    Step::Request,
    Step::Start,
    Step::Suspend,
    Step::Complete,
    Step::Terminate,
];

/// The next state by step, in the order of `STEPS`; `None` where the step is illegal.
type Row = [Option<State>; 5];
const NONE: Row = [None; 5];

/// Before the state: what the consumer's steps lead to, then what the provider's do.
#[rustfmt::skip]
const TABLE: [(Option<State>, Row, Row); 6] = [
    //                 Request          Start          Suspend          Complete         Terminate
    (None,            [Some(Requested), None,          None,            None,            None],
                      NONE),
    (Some(Requested), [None,            None,          None,            None,            Some(Terminated)],
                      [None,            Some(Started), None,            None,            Some(Terminated)]),
    (Some(Started),   [None,            None,          Some(Suspended), Some(Completed), Some(Terminated)],
                      [None,            None,          Some(Suspended), Some(Completed), Some(Terminated)]),
    (Some(Suspended), [None,            Some(Started), None,            None,            Some(Terminated)],
                      [None,            Some(Started), None,            None,            Some(Terminated)]),
    (Some(Completed), NONE, NONE),
    (Some(Terminated), NONE, NONE),
];

#[test]
fn every_step_leads_where_the_protocol_says() {
    for (from, consumer, provider) in TABLE {
        for (at, step) in STEPS.into_iter().enumerate() {
            assert_eq!(
                Transfer::next(from, Role::Consumer, step),
                consumer[at],
                "{from:?} consumer {step}"
            );
            assert_eq!(
                Transfer::next(from, Role::Provider, step),
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
        let position = Position::<Transfer> {
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
    assert_eq!(illegal, 46, "of {} cells", TABLE.len() * 2 * STEPS.len());
}

#[test]
fn a_message_at_the_wrong_time_is_never_sent_in_any_state() {
    for (from, sender, row) in positions() {
        let position = Position::<Transfer> {
            state: from,
            pending: Vec::new(),
        };
        for (step, expected) in STEPS.into_iter().zip(row) {
            let sent = position.originate(sender, 0, step);
            let legal = expected.is_some() && !Transfer::only_tolerated(from, sender, step);
            assert_eq!(sent.is_ok(), legal, "{from:?} {sender} {step}");
        }
    }
}

#[test]
fn nothing_follows_a_terminal_state_and_something_every_other() {
    for (from, consumer, provider) in TABLE {
        let ends = consumer.iter().chain(&provider).all(Option::is_none);
        assert_eq!(from.is_some_and(Transfer::is_terminal), ends, "{from:?}");
    }
}

#[test]
fn every_legal_step_of_a_transfer_is_one_that_we_send() {
    for (from, ..) in TABLE {
        for sender in [Role::Consumer, Role::Provider] {
            assert!(
                STEPS
                    .into_iter()
                    .all(|step| !Transfer::only_tolerated(from, sender, step))
            );
        }
    }
}

#[test]
fn states_are_written_as_the_protocol_does_for_people_and_in_the_store() {
    let names = ["REQUESTED", "STARTED", "SUSPENDED", "COMPLETED", "TERMINATED"];
    for ((state, ..), name) in TABLE.iter().skip(1).zip(names) {
        let state = state.unwrap();
        assert_eq!(state.to_string(), name);
        assert_eq!(serde_json::to_value(state).unwrap(), name);
        assert_eq!(serde_json::from_value::<State>(name.into()).unwrap(), state);
    }
}
