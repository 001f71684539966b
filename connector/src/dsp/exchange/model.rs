//! Exhaustive search: two sides run the real [`Position`] over a channel that loses, repeats, delays and reorders, and wherever
//! nothing is left to deliver both must be in the same state. Around `Position` stands only what `process`, `contract` and
//! `transfer` do with it. `rules` takes each rule away once, to show that the search notices; `plain` has a side without message ids.
//!
//! The channel needs no state of its own. A message that was once the oldest of its outbox may arrive at any moment from then on
//! and any number of times (delay, repetition, reordering), or never (loss); an answer, once given, may be read at any moment while
//! its message is undecided for the sender, or never. Since everything may be lost, *at rest* means no more than: both outboxes are empty.
//!
//! Every message carries its `prev`, and every arrival and every state of rest is looked at for what the chains of both sides say.

use super::*;
use crate::dsp::{
    negotiation::{self, Negotiation},
    transfer::{self, Transfer},
};
use search::{Found, Search};
use std::hash::Hash;
use world::ROLES;

mod plain;
mod rules;
mod search;
mod world;

/// `CONNECTOR_LONG=1` takes the larger bound.
fn most<N>(short: N, long: N) -> N {
    if std::env::var_os("CONNECTOR_LONG").is_some() {
        long
    } else {
        short
    }
}

fn negotiation(opener: Role) -> Search<Negotiation> {
    use negotiation::Step::{Accept, Agree, Finalize, Offer, Request, Terminate, Verify};
    Search {
        opener,
        opening: if opener == Role::Consumer { Request } else { Offer },
        steps: vec![Request, Offer, Accept, Agree, Verify, Finalize, Terminate],
        most: most(4, 7),
        receive: Position::receive,
        gives_up: |_| true,
        refusals_are_final: true,
        opening_refusals_are_final: true,
        answers_at_once: false,
        settles_by_kind: false,
        refuses_content: true,
        replaces_offers: false,
        chained_when_decided: false,
        plain: None,
        remembers_by_state: false,
        no_late_copies: false,
    }
}

fn transfer() -> Search<Transfer> {
    use transfer::Step::{Complete, Request, Start, Suspend, Terminate};
    Search {
        opener: Role::Consumer,
        opening: Request,
        steps: vec![Request, Start, Suspend, Complete, Terminate],
        most: most(4, 5),
        receive: Position::receive,
        gives_up: |state| state == transfer::State::Requested,
        refusals_are_final: true,
        opening_refusals_are_final: true,
        answers_at_once: false,
        settles_by_kind: false,
        refuses_content: true,
        replaces_offers: false,
        chained_when_decided: false,
        plain: None,
        remembers_by_state: false,
        no_late_copies: false,
    }
}

/// Nothing is left open or unequal, and the search went through all states of the protocol.
fn assert_sound(found: &Found, states: &[&str]) {
    assert_eq!((found.disagreements, found.stuck), (0, 0), "{}", found.trace);
    for state in states {
        assert!(found.rests_in(state), "nothing rests in {state}: {:?}", found.rests);
    }
}

/// What exchange.rs says of `prev`.
fn assert_chained(found: &Found) {
    assert_eq!(
        (found.gaps, found.other_forks, found.broken_chains),
        (0, 0, 0),
        "{}",
        found.chain_trace
    );
    assert_ne!(
        found.forks, 0,
        "the exception does not occur: two terminations that cross"
    );
}

const NEGOTIATION: [&str; 7] = [
    "REQUESTED",
    "OFFERED",
    "ACCEPTED",
    "AGREED",
    "VERIFIED",
    "FINALIZED",
    "TERMINATED",
];
const TRANSFER: [&str; 5] = ["REQUESTED", "STARTED", "SUSPENDED", "COMPLETED", "TERMINATED"];

#[test]
fn negotiations_never_end_in_disagreement_whoever_opens() {
    for opener in ROLES {
        let found = negotiation(opener).run(&format!("negotiation, {opener} opens"));
        assert_sound(&found, &NEGOTIATION);
        assert_chained(&found);
        found.assert_visited(most(1_100, 2_500)..=most(1_300, 2_800));
    }
}

#[test]
fn transfers_never_end_in_disagreement() {
    let found = transfer().run("transfer");
    assert_sound(&found, &TRANSFER);
    assert_chained(&found);
    found.assert_visited(most(80_000, 1_800_000)..=most(90_000, 2_100_000));
}

#[test]
fn where_no_copy_arrives_late_both_heads_are_the_same_message() {
    fn check<M: Machine>(search: Search<M>, name: &str)
    where
        M::State: Hash,
        M::Step: Hash,
    {
        let found = Search {
            no_late_copies: true,
            ..search
        }
        .run(name);
        assert_eq!((found.disagreements, found.stuck), (0, 0), "{}", found.trace);
        assert_eq!(
            (found.gaps, found.forks, found.broken_chains),
            (0, 0, 0),
            "{}",
            found.chain_trace
        );
    }
    for opener in ROLES {
        check(
            negotiation(opener),
            &format!("negotiation without late copies, {opener} opens"),
        );
    }
    check(transfer(), "transfer without late copies");
}

#[test]
fn a_negotiation_that_nobody_ends_is_not_ended_by_the_channel() {
    for opener in ROLES {
        let mut search = negotiation(opener);
        search.refuses_content = false;
        search.steps.retain(|step| *step != Negotiation::TERMINATE);
        let found = search.run(&format!("negotiation without termination, {opener} opens"));
        assert!(found.rests_in("FINALIZED"));
        assert!(
            !found.rests.iter().any(|rest| rest.contains("TERMINATED")),
            "{:?}",
            found.rests
        );
    }
}
