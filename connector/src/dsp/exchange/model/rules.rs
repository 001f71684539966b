//! What goes wrong without one of the rules: each search here must find it, or the searches that find nothing prove nothing.

use super::{negotiation, transfer, *};

/// Without R3: what follows from an unacknowledged message is not recognised.
fn without_r3<M: Machine>(position: &Position<M>, me: Role, step: M::Step) -> Result<Position<M>, Refused> {
    let bare = Position {
        state: position.state,
        pending: Vec::new(),
    };
    let after = bare.receive(me, step)?;
    if position.pending.is_empty() || step == M::TERMINATE {
        Ok(after)
    } else {
        position.receive(me, step)
    }
}

/// Without R4: a pending termination is no reason to refuse.
fn without_r4<M: Machine>(position: &Position<M>, me: Role, step: M::Step) -> Result<Position<M>, Refused> {
    let (ends, others): (Vec<_>, Vec<_>) = position
        .pending
        .iter()
        .copied()
        .partition(|(_, step)| *step == M::TERMINATE);
    let mut after = Position {
        state: position.state,
        pending: others,
    }
    .receive(me, step)?;
    if !after.is_terminal() {
        after.pending.extend(ends);
    }
    Ok(after)
}

/// Without R5: a crossing message is taken, and what is pending stays so.
fn without_r5<M: Machine>(position: &Position<M>, me: Role, step: M::Step) -> Result<Position<M>, Refused> {
    match position.receive(me, step) {
        Err(Refused::Crossed | Refused::NotYet) => {
            let state = M::next(position.state, me.other(), step);
            Ok(Position {
                state,
                pending: position.pending.clone(),
            })
        }
        other => other,
    }
}

#[test]
fn a_forgotten_refusal_of_the_opening_does_no_harm_where_the_opening_is_answered_at_once() {
    fn check<M: Machine>(search: Search<M>)
    where
        M::State: Hash,
        M::Step: Hash,
    {
        let mut search = Search {
            opening_refusals_are_final: false,
            ..search
        };
        assert_ne!(search.run("forgotten, not answered").disagreements, 0);
        search.answers_at_once = true;
        assert_eq!(search.run("forgotten, answered at once").disagreements, 0);
    }
    ROLES.into_iter().for_each(|opener| check(negotiation(opener)));
    check(Search { most: 3, ..transfer() });
}

#[test]
fn without_rule_2_for_refusals_a_late_copy_parts_the_sides() {
    for opener in ROLES {
        let found = Search {
            refusals_are_final: false,
            most: 3,
            ..negotiation(opener)
        }
        .run("negotiation without R2");
        assert!(found.rests.contains("FINALIZED/TERMINATED"), "{:?}", found.rests);
    }
    let found = Search {
        refusals_are_final: false,
        most: 3,
        ..transfer()
    }
    .run("transfer without R2");
    assert!(found.rests.contains("STARTED/SUSPENDED"), "{:?}", found.rests);
}

#[test]
fn without_rule_3_a_lost_acknowledgement_parts_the_sides() {
    for opener in ROLES {
        assert_ne!(
            Search {
                receive: without_r3,
                most: 3,
                ..negotiation(opener)
            }
            .run("negotiation without R3")
            .disagreements,
            0
        );
    }
    assert_ne!(
        Search {
            receive: without_r3,
            most: 3,
            ..transfer()
        }
        .run("transfer without R3")
        .disagreements,
        0
    );
}

#[test]
fn without_rule_4_a_finalization_crosses_a_termination() {
    for opener in ROLES {
        let found = Search {
            receive: without_r4,
            most: 3,
            ..negotiation(opener)
        }
        .run("negotiation without R4");
        assert!(found.rests.contains("FINALIZED/TERMINATED"), "{:?}", found.rests);
    }
    let found = Search {
        receive: without_r4,
        most: 3,
        ..transfer()
    }
    .run("transfer without R4");
    assert!(found.rests.contains("COMPLETED/TERMINATED"), "{:?}", found.rests);
}

#[test]
fn without_rule_5_a_suspension_crosses_a_completion() {
    let found = Search {
        receive: without_r5,
        most: 3,
        ..transfer()
    }
    .run("transfer without R5");
    assert!(found.rests.contains("SUSPENDED/COMPLETED"), "{:?}", found.rests);
}

#[test]
fn without_numbers_a_late_acknowledgement_settles_a_newer_message() {
    let found = Search {
        settles_by_kind: true,
        most: 3,
        ..negotiation(Role::Consumer)
    }
    .run("negotiation by kind");
    assert!(found.rests.contains("REQUESTED/OFFERED"), "{:?}", found.rests);
    let found = Search {
        settles_by_kind: true,
        most: 3,
        ..transfer()
    }
    .run("transfer by kind");
    assert!(found.rests.contains("SUSPENDED/STARTED"), "{:?}", found.rests);
}

#[test]
fn an_offer_in_place_of_an_offer_cannot_be_told_from_an_answer() {
    let found = Search {
        replaces_offers: true,
        most: 3,
        ..negotiation(Role::Consumer)
    }
    .run("negotiation with replaced offers");
    assert!(
        found.rests.contains("OFFERED/REQUESTED") || found.rests.contains("REQUESTED/OFFERED"),
        "{:?}",
        found.rests
    );
}

#[test]
fn a_prev_that_is_chosen_at_the_decision_leaves_messages_out_of_the_chain() {
    let found = Search {
        chained_when_decided: true,
        most: 3,
        ..transfer()
    }
    .run("transfer chained when decided");
    assert_ne!((found.gaps, found.broken_chains), (0, 0));
    assert_eq!(found.disagreements, 0, "prev is evidence and decides nothing");
}
