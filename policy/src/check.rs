//! Is every term of a policy understood? Judged before any fact is known, so that what cannot be enforced is never
//! published, negotiated or started. Decisions on facts live in `evaluate`.

use crate::{
    evaluate::Stage,
    model::{Constraint, Duty, Kind, Policy, Rule, Term},
    reason::{Code, Reason, quoted},
    vocabulary::{Action, PROFILES},
};

impl Policy {
    /// Names every profile, action, operator, left operand, value and duty that cannot be honoured, each with its
    /// pointer. Once a transfer starts ([`Stage::Transfer`], [`Stage::Record`]) an offer is refused as well: it is a
    /// proposal, and only what was agreed is enforced (policy.md §1.1).
    ///
    /// # Errors
    /// All reasons found, in document order; never empty.
    pub fn check(&self, stage: Stage) -> Result<(), Vec<Reason>> {
        let mut reasons = Vec::new();
        if matches!(stage, Stage::Transfer | Stage::Record) && self.kind == Kind::Offer {
            reasons.push(Reason::new(
                Code::WrongKind,
                "",
                "an offer permits nothing; only an agreement is enforced",
            ));
        }
        for (pointer, profile) in &self.profiles {
            if !PROFILES.contains(&profile.as_str()) {
                let text = format!("the profile {} is not understood", quoted(profile));
                reasons.push(Reason::new(Code::NotUnderstood, pointer, text));
            }
        }
        for rule in self.permissions.iter().chain(&self.prohibitions) {
            check_rule(rule, &mut reasons);
        }
        for duty in &self.obligations {
            check_duty(duty, Action::is_obligation, &mut reasons);
        }
        if reasons.is_empty() { Ok(()) } else { Err(reasons) }
    }
}

fn check_rule(rule: &Rule, reasons: &mut Vec<Reason>) {
    if let Term::Unknown(text) = &rule.action {
        let text = format!("the action {} is not understood", quoted(text));
        reasons.push(Reason::new(
            Code::NotUnderstood,
            format!("{}/action", rule.pointer),
            text,
        ));
    }
    check_constraints(&rule.constraints, reasons);
    for duty in &rule.duties {
        check_duty(duty, Action::is_promise, reasons);
    }
    for remedy in &rule.remedies {
        check_duty(remedy, Action::is_obligation, reasons);
    }
}

fn check_duty(duty: &Duty, supported: fn(Action) -> bool, reasons: &mut Vec<Reason>) {
    let pointer = || format!("{}/action", duty.pointer);
    match &duty.action {
        Term::Unknown(text) => {
            let text = format!("the action {} is not understood as a duty", quoted(text));
            reasons.push(Reason::new(Code::NotUnderstood, pointer(), text));
        }
        Term::Known(action) if supported(*action) => {}
        Term::Known(action) if action.is_precondition() => {
            let hint = if *action == Action::ObtainConsent {
                "; constrain dases:consent instead"
            } else {
                ""
            };
            let text = format!("nothing here can establish that {action} was done before the use{hint}");
            reasons.push(Reason::new(Code::DutyBeforehand, pointer(), text));
        }
        Term::Known(action) => {
            let text = format!("{action} is not supported as a duty here");
            reasons.push(Reason::new(Code::DutyNotUnderstood, pointer(), text));
        }
    }
    check_constraints(&duty.constraints, reasons);
    for consequence in &duty.consequences {
        check_duty(consequence, Action::is_obligation, reasons);
    }
}

fn check_constraints(constraints: &[Constraint], reasons: &mut Vec<Reason>) {
    for constraint in constraints {
        constraint.each_atomic(&mut |atomic| {
            if let Err(faults) = &atomic.test {
                reasons.extend(faults.iter().cloned());
            }
        });
    }
}
