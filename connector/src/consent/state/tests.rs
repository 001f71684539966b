use super::*;
use std::collections::BTreeSet;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

const RULES: [Rule; 2] = [Rule::Alone, Rule::Joint];

/// The table of steps, written a second time as data: from, act, role, rule, to.
fn table() -> BTreeSet<String> {
    use {Act as A, Role as R, State as S};
    let open = [S::Requested, S::Deferred, S::PendingSecond, S::PendingLearner];
    let mut rows = BTreeSet::new();
    let mut row = |from: S, act: A, role: R, rule: Rule, to: S| {
        rows.insert(format!("{from:?} {act:?} {role:?} {rule:?} {to:?}"));
    };
    for from in open {
        for role in [R::Learner, R::Delegate] {
            row(from, A::Give, role, Rule::Alone, S::Given);
            row(from, A::Refuse, role, Rule::Alone, S::Refused);
        }
        for role in [R::Learner, R::Guardian, R::Delegate] {
            row(from, A::Refuse, role, Rule::Joint, S::Refused);
        }
    }
    for from in [S::Requested, S::Deferred] {
        row(from, A::Give, R::Learner, Rule::Joint, S::PendingSecond);
        row(from, A::Give, R::Guardian, Rule::Joint, S::PendingLearner);
        row(from, A::Give, R::Delegate, Rule::Joint, S::PendingLearner);
        for role in [R::Learner, R::Delegate] {
            row(from, A::Defer, role, Rule::Alone, S::Deferred);
        }
        for role in [R::Learner, R::Guardian, R::Delegate] {
            row(from, A::Defer, role, Rule::Joint, S::Deferred);
        }
    }
    row(S::PendingLearner, A::Give, R::Learner, Rule::Joint, S::Given);
    row(S::PendingSecond, A::Give, R::Guardian, Rule::Joint, S::Given);
    row(S::PendingSecond, A::Give, R::Delegate, Rule::Joint, S::Given);
    for role in [R::Learner, R::Delegate] {
        row(S::Given, A::Withdraw, role, Rule::Alone, S::Withdrawn);
        row(S::Given, A::Reaffirm, role, Rule::Alone, S::Given);
        row(S::Given, A::Supersede, role, Rule::Alone, S::Superseded);
    }
    for role in [R::Learner, R::Guardian, R::Delegate] {
        row(S::Given, A::Withdraw, role, Rule::Joint, S::Withdrawn);
        row(S::Given, A::Supersede, role, Rule::Joint, S::Superseded);
    }
    for rule in RULES {
        row(S::Given, A::Request, R::Holder, rule, S::PendingSecond);
        row(S::Given, A::Expire, R::Clock, rule, S::Expired);
        row(S::Given, A::Expire, R::Holder, rule, S::Expired);
        for role in [R::Holder, R::Authority] {
            row(S::Given, A::Revoke, role, rule, S::Revoked);
            row(S::Given, A::Invalidate, role, rule, S::Invalidated);
        }
    }
    rows
}

#[test]
fn of_all_steps_those_of_the_table_are_possible_and_no_other() {
    let mut possible = BTreeSet::new();
    let mut tried = 0;
    for from in State::ALL {
        for act in Act::ALL {
            for role in Role::ALL {
                for rule in RULES {
                    tried += 1;
                    if let Ok(to) = step(from, (act, role), rule, at(5), at(5)) {
                        possible.insert(format!("{from:?} {act:?} {role:?} {rule:?} {to:?}"));
                    }
                }
            }
        }
    }
    assert_eq!(tried, 11 * 10 * 7 * 2);
    let expected = table();
    let (missing, surplus): (Vec<_>, Vec<_>) = (
        expected.difference(&possible).collect(),
        possible.difference(&expected).collect(),
    );
    assert!(
        missing.is_empty() && surplus.is_empty(),
        "missing {missing:#?}, surplus {surplus:#?}"
    );
}

#[test]
fn every_state_is_open_in_force_or_ended_and_what_has_ended_never_reopens() {
    for state in State::ALL {
        let kinds = [state.is_open(), state == State::Given, state.is_terminal()];
        assert_eq!(kinds.iter().filter(|kind| **kind).count(), 1, "{state:?}");
        if !state.is_terminal() {
            continue;
        }
        for act in Act::ALL {
            for role in Role::ALL {
                for rule in RULES {
                    let refused = step(state, (act, role), rule, at(5), at(9));
                    assert_eq!(refused, Err(Illegal::Ended(state)));
                }
            }
        }
    }
}

#[test]
fn a_step_before_the_one_that_precedes_it_is_refused() {
    let give = (Act::Give, Role::Learner);
    let refused = step(State::Requested, give, Rule::Alone, at(5), at(4));
    assert_eq!(refused, Err(Illegal::Backwards { at: at(4), last: at(5) }));
    assert!(step(State::Requested, give, Rule::Alone, at(5), at(5)).is_ok());
}

#[test]
fn a_consent_begins_as_a_request_of_somebody_who_may_ask() {
    for act in Act::ALL {
        for role in Role::ALL {
            let begun = begin(act, role);
            let may = act == Act::Request && matches!(role, Role::Consumer | Role::Holder | Role::Learner);
            assert_eq!(begun == Ok(State::Requested), may, "{act:?} {role:?}");
        }
    }
}

#[test]
fn who_has_signed_does_not_sign_for_the_other_side() {
    let joint = |state, role| step(state, (Act::Give, role), Rule::Joint, at(1), at(1));
    assert_eq!(
        joint(State::PendingSecond, Role::Learner),
        Err(Illegal::Twice(Role::Guardian))
    );
    assert_eq!(
        joint(State::PendingLearner, Role::Guardian),
        Err(Illegal::Twice(Role::Learner))
    );
    // Come of age meanwhile: the learner's own word is enough, the guardian's is none.
    let alone = |state, role| step(state, (Act::Give, role), Rule::Alone, at(1), at(1));
    assert_eq!(alone(State::PendingSecond, Role::Learner), Ok(State::Given));
    assert!(alone(State::PendingSecond, Role::Guardian).is_err());
}
