//! Is every term of a policy understood? Judged before any fact is known, so that what cannot be enforced is never
//! published, negotiated or started. Decisions on facts live in `evaluate`.

use crate::{
    evaluate::Stage,
    model::{Constraint, Duty, Kind, Policy, Rule, Term},
    reason::{Code, Reason, Said, quoted},
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
                let profile = quoted(profile);
                let said = Said::new(
                    format!("the profile {profile} is not understood"),
                    format!("le profil {profile} n’est pas compris"),
                );
                reasons.push(Reason::said(Code::NotUnderstood, pointer, said));
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
        let action = quoted(text);
        let said = Said::new(
            format!("the action {action} is not understood"),
            format!("l’action {action} n’est pas comprise"),
        );
        let pointer = format!("{}/action", rule.pointer);
        reasons.push(Reason::said(Code::NotUnderstood, pointer, said));
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
            let action = quoted(text);
            let said = Said::new(
                format!("the action {action} is not understood as a duty"),
                format!("l’action {action} n’est pas comprise comme obligation"),
            );
            reasons.push(Reason::said(Code::NotUnderstood, pointer(), said));
        }
        Term::Known(action) if supported(*action) => {}
        Term::Known(action) if action.is_precondition() => {
            let mut said = Said::new(
                format!("nothing here can establish that {action} was done before the use"),
                format!("rien ici ne peut établir que {action} a eu lieu avant l’usage"),
            );
            if *action == Action::ObtainConsent {
                said.english.push_str("; constrain dases:consent instead");
                said.french.push_str(" ; posez plutôt une condition sur dases:consent");
            }
            reasons.push(Reason::said(Code::DutyBeforehand, pointer(), said));
        }
        Term::Known(action) => {
            let said = Said::new(
                format!("{action} is not supported as a duty here"),
                format!("{action} n’est pas pris en charge ici comme obligation"),
            );
            reasons.push(Reason::said(Code::DutyNotUnderstood, pointer(), said));
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
