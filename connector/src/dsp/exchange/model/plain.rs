//! A peer that sends no message ids. The worst case is searched: all messages of one kind have equal bodies, as completions, suspensions
//! and events do. That peer keeps the other rules; its own view of our messages is not in question here, because ours carry ids.
//!
//! What R6 cannot do is shown as well: a copy that arrives after its sender has read the answer is taken for news.

use super::*;
use crate::dsp::exchange::model::search::Found;

/// Both protocols, every opener, with one side plain.
fn each(plain: Role, change: impl Fn(Bounds) -> Bounds) -> Vec<(String, Found)> {
    let bounds = change(Bounds {
        by_state: false,
        no_late_copies: true,
        most: 4,
    });
    let mut all = Vec::new();
    for opener in ROLES {
        let name = format!("negotiation with a plain {plain}, {opener} opens");
        let found = bounds.of(plain, negotiation(opener)).run(&name);
        all.push((name, found));
    }
    let name = format!("transfer with a plain {plain}");
    let found = bounds.of(plain, transfer()).run(&name);
    all.push((name, found));
    all
}

struct Bounds {
    by_state: bool,
    no_late_copies: bool,
    most: u8,
}

impl Bounds {
    fn of<M: Machine>(&self, plain: Role, search: Search<M>) -> Search<M> {
        Search {
            plain: Some(plain),
            remembers_by_state: self.by_state,
            no_late_copies: self.no_late_copies,
            most: self.most,
            ..search
        }
    }
}

#[test]
fn a_peer_without_message_ids_is_never_in_disagreement_over_a_channel_without_late_copies() {
    for plain in ROLES {
        for (name, found) in each(plain, |bounds| bounds) {
            assert_sound(
                &found,
                if name.starts_with("transfer") {
                    &TRANSFER
                } else {
                    &NEGOTIATION
                },
            );
            if name.starts_with("transfer") {
                found.assert_visited(130_000..=190_000);
            } else {
                found.assert_visited(1_700..=2_300);
            }
        }
    }
}

#[test]
fn an_answer_that_holds_while_its_state_does_takes_news_for_repetitions_and_repetitions_for_news() {
    for plain in ROLES {
        for (name, found) in each(plain, |bounds| Bounds {
            by_state: true,
            ..bounds
        }) {
            assert_ne!(found.disagreements, 0, "{name}");
        }
    }
}

#[test]
fn without_message_ids_a_late_copy_parts_the_sides() {
    for plain in ROLES {
        for (name, found) in each(plain, |bounds| Bounds {
            no_late_copies: false,
            most: 3,
            ..bounds
        }) {
            assert_ne!(found.disagreements, 0, "{name}");
        }
    }
}
