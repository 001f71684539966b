//! Decides: the rules of a policy against a request and a state of the world, in strong Kleene logic that collapses towards refusal at each
//! rule. A permission needs all its premises to be true, a prohibition stands unless one of them is false. Closed: what nothing permits is
//! refused.

use super::{
    Comparison, Conflict, Constraint, Deed, Duty, Entity, Policy, Statement, Value,
    operator::{at_event, compare},
    report::{Activation, ConstraintReport, Decision, DutyReport, Premise, PremiseKind, Report, RuleKind, RuleReport},
    state::{Deontic, Of, Request, State},
};
use crate::{
    Truth,
    model::Connective,
    vocabulary::{Action, ODRL},
};

/// What a duty that was not done yet means for its permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DutyMode {
    /// The permission waits for it (ODRL 2.2 §2.6.5: a duty is a pre-condition).
    #[default]
    Strict,
    /// The permission holds until the duty can no longer be done.
    Eventual,
    /// The permission does not depend on it; the report still says what is to be done.
    Advise,
}

/// What the specification leaves to whoever evaluates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    /// What a duty that was not done yet means.
    pub duties: DutyMode,
}

/// Evaluates a policy.
pub fn evaluate<'a>(policy: &'a Policy, request: &Request, state: &impl State, options: Options) -> Report<'a> {
    let asked = Asked { request, state };
    let mut rules = Vec::new();
    for permission in &policy.permissions {
        let premises = asked.premises(&permission.statement);
        let duties: Vec<DutyReport<'a>> = permission.duties.iter().map(|duty| asked.duty(duty)).collect();
        let open = duties.iter().any(|duty| holds_up(duty, options.duties));
        rules.push(RuleReport {
            kind: RuleKind::Permission,
            rule: &permission.statement,
            activation: active_if(truth(&premises) == Truth::True && !open),
            premises,
            duties,
            deontic: Deontic::NotSet,
        });
    }
    for prohibition in &policy.prohibitions {
        let premises = asked.premises(&prohibition.statement);
        rules.push(RuleReport {
            kind: RuleKind::Prohibition,
            rule: &prohibition.statement,
            activation: active_if(truth(&premises) != Truth::False),
            premises,
            duties: Vec::new(),
            deontic: asked.made_good(&prohibition.statement, &prohibition.remedies),
        });
    }
    for obligation in &policy.obligations {
        let report = asked.duty(obligation);
        rules.push(RuleReport {
            kind: RuleKind::Obligation,
            rule: &obligation.statement,
            activation: report.activation,
            premises: asked
                .constraints(&obligation.statement.constraints, Of::World)
                .map(constraint_premise)
                .collect(),
            duties: Vec::new(),
            deontic: report.deontic,
        });
    }
    let decision = decide(policy.conflict, &rules);
    Report { rules, decision }
}

fn decide<'a>(conflict: Conflict, rules: &[RuleReport<'a>]) -> Decision<'a> {
    let active = |kind: RuleKind| -> Vec<&'a str> {
        let of_kind = rules
            .iter()
            .filter(|rule| rule.kind == kind && rule.activation == Activation::Active);
        of_kind.map(|rule| rule.rule.id.as_str()).collect()
    };
    let (permissions, prohibitions) = (active(RuleKind::Permission), active(RuleKind::Prohibition));
    match (permissions.is_empty(), prohibitions.is_empty(), conflict) {
        (true, true, _) => Decision::NotPermitted,
        (false, true, _) | (false, false, Conflict::Perm) => Decision::Permitted(permissions),
        (true, false, _) | (false, false, Conflict::Prohibit) => Decision::Forbidden(prohibitions),
        (false, false, Conflict::Invalid) => Decision::Void {
            permissions,
            prohibitions,
        },
    }
}

fn active_if(holds: bool) -> Activation {
    if holds {
        Activation::Active
    } else {
        Activation::Inactive
    }
}

fn truth(premises: &[Premise<'_>]) -> Truth {
    premises
        .iter()
        .map(|premise| premise.truth)
        .min()
        .unwrap_or(Truth::True)
}

/// Whether a duty keeps its permission from holding.
fn holds_up(duty: &DutyReport<'_>, mode: DutyMode) -> bool {
    duty.activation == Activation::Active
        && match mode {
            DutyMode::Strict => duty.deontic != Deontic::Fulfilled,
            DutyMode::Eventual => duty.deontic == Deontic::Violated,
            DutyMode::Advise => false,
        }
}

fn constraint_premise(constraint: ConstraintReport<'_>) -> Premise<'_> {
    Premise {
        kind: PremiseKind::Constraint,
        truth: constraint.truth(),
        constraints: vec![constraint],
    }
}

/// A request in a state of the world.
pub(super) struct Asked<'s, S> {
    pub(super) request: &'s Request,
    pub(super) state: &'s S,
}

impl<S: State> Asked<'_, S> {
    /// What a statement needs, and whether it holds.
    pub(super) fn premises<'a>(&self, statement: &'a Statement) -> Vec<Premise<'a>> {
        let target = statement.target.as_ref().map(|target| {
            let asked = self.request.target.as_deref();
            self.entity(target, asked, PremiseKind::Target, Of::Target)
        });
        let party = statement.assignee.as_ref().map(|assignee| {
            let asking = self.request.assignee.as_deref();
            self.entity(assignee, asking, PremiseKind::Party, Of::Party)
        });
        let action = statement.action.as_ref().map(|deed| self.action(deed));
        let constraints = self
            .constraints(&statement.constraints, Of::World)
            .map(constraint_premise);
        target
            .into_iter()
            .chain(party)
            .chain(action)
            .chain(constraints)
            .collect()
    }

    /// All premises at once.
    pub(super) fn covers(&self, statement: &Statement) -> Truth {
        truth(&self.premises(statement))
    }

    fn action<'a>(&self, deed: &'a Deed) -> Premise<'a> {
        let covered = match (Action::read(&deed.action), Action::read(&self.request.action)) {
            (Some(own), Some(asked)) => asked.is_covered_by(own),
            // An action that the vocabulary does not have is included in what the world says (ODRL 2.2, Vocabulary §4.4).
            _ => {
                let asked = self.request.action.as_str();
                deed.action == asked || self.state.is_a(asked, &deed.action) == Truth::True
            }
        };
        self.refined(PremiseKind::Action, Truth::from(covered), &deed.refinements, Of::Action)
    }

    fn entity<'a>(&self, entity: &'a Entity, asked: Option<&str>, kind: PremiseKind, of: Of) -> Premise<'a> {
        let named = match asked {
            _ if entity.names.is_empty() => Truth::True,
            None => Truth::Unknown,
            Some(asked) => Truth::from(
                entity
                    .names
                    .iter()
                    .any(|name| name == asked || self.state.is_member(asked, name)),
            ),
        };
        self.refined(kind, named, &entity.refinements, of)
    }

    fn refined<'a>(&self, kind: PremiseKind, named: Truth, refinements: &'a [Constraint], of: Of) -> Premise<'a> {
        let constraints: Vec<ConstraintReport<'a>> = self.constraints(refinements, of).collect();
        let refined = constraints
            .iter()
            .map(ConstraintReport::truth)
            .min()
            .unwrap_or(Truth::True);
        Premise {
            kind,
            truth: named.min(refined),
            constraints,
        }
    }

    fn constraints<'a>(&self, constraints: &'a [Constraint], of: Of) -> impl Iterator<Item = ConstraintReport<'a>> {
        constraints
            .iter()
            .map(move |constraint| self.constraint(constraint, of))
    }

    pub(super) fn constraint<'a>(&self, constraint: &'a Constraint, of: Of) -> ConstraintReport<'a> {
        match constraint {
            Constraint::Atomic(comparison) => {
                let left = self.state.values(of, comparison);
                let truth = self.comparison(comparison, left.as_deref());
                ConstraintReport::Atomic {
                    comparison,
                    left,
                    truth,
                }
            }
            Constraint::Logical { id, connective, parts } => {
                let parts: Vec<ConstraintReport<'a>> = self.constraints(parts, of).collect();
                let truth = self.logical(*connective, &parts);
                ConstraintReport::Logical {
                    id,
                    connective: *connective,
                    parts,
                    truth,
                }
            }
        }
    }

    fn comparison(&self, comparison: &Comparison, left: Option<&[Value]>) -> Truth {
        if ODRL.local(&comparison.left) == Some("event") && left.is_none() {
            return self.event(comparison);
        }
        // Whether now is one of the moments that recur from an anchor is not measured.
        if comparison.anchor.is_some() {
            return self.state.missing();
        }
        match left {
            Some(left) => compare(left, comparison.operator, &comparison.right, self.state),
            None => self.state.missing(),
        }
    }

    /// `event lt E`: before the beginning of E; `eq`: while it lasts; `gt`: after its end (ODRL 2.2, Vocabulary §4.9.12).
    fn event(&self, comparison: &Comparison) -> Truth {
        let known = match (comparison.right.as_slice(), self.state.now()) {
            ([Value::Iri(event) | Value::Text(event)], Some(now)) => self.state.event(event).map(|event| (now, event)),
            _ => None,
        };
        known.map_or_else(
            || self.state.missing(),
            |(now, event)| at_event(now, comparison.operator, event),
        )
    }

    fn logical(&self, connective: Connective, parts: &[ConstraintReport<'_>]) -> Truth {
        let mut truths = parts.iter().map(ConstraintReport::truth);
        match connective {
            Connective::And => truths.min().unwrap_or(Truth::True),
            Connective::Or => truths.max().unwrap_or(Truth::False),
            Connective::Xone => Truth::exactly_one(&mut truths),
            Connective::AndSequence => {
                let all = truths.min().unwrap_or(Truth::True);
                if self.in_order(parts) { all } else { Truth::False }
            }
        }
    }

    /// Whether the parts came to hold one after the other. Without the times of all of them, their order is taken as it is written.
    fn in_order(&self, parts: &[ConstraintReport<'_>]) -> bool {
        let times: Option<Vec<_>> = parts.iter().map(|part| self.state.holds_since(part.id())).collect();
        times.is_none_or(|times| times.is_sorted())
    }

    /// A duty is to be done unless its constraints are known not to hold. One that failed counts as done once all its consequences are.
    fn duty<'a>(&self, duty: &'a Duty) -> DutyReport<'a> {
        let wanted = self
            .constraints(&duty.statement.constraints, Of::World)
            .map(|report| report.truth())
            .min();
        DutyReport {
            duty,
            activation: active_if(wanted != Some(Truth::False)),
            deontic: self.made_good(&duty.statement, &duty.consequences),
        }
    }

    /// What became of a rule; a violation is made good when all that follows from it was done.
    fn made_good(&self, statement: &Statement, by: &[Statement]) -> Deontic {
        match self.state.deontic(&statement.id) {
            Deontic::Violated
                if !by.is_empty() && by.iter().all(|one| self.state.deontic(&one.id) == Deontic::Fulfilled) =>
            {
                Deontic::Fulfilled
            }
            own => own,
        }
    }
}

#[cfg(test)]
mod tests;
