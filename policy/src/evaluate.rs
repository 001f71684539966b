//! Decides: rules against facts, in three-valued logic that collapses towards refusal. The reference for every other way
//! to evaluate a policy. What remains open at transfer start is worked out in `residual`, and held in `plan`.

mod comparison;

use crate::{
    facts::{Consumer, Facts, Moment, Request, Verified},
    meaning::{Held, Meter, Order, Test},
    model::{Atomic, Connective, Constraint, Kind, Policy, Rule, Term},
    reason::{Code, Reason, quoted},
    record::RecordFacts,
    residual,
    timestamp::Timestamp,
    truth::{Between, Truth},
    vocabulary::{Action, canonical_name},
};
use std::{collections::BTreeSet, time::Duration};

/// The points in an exchange at which a policy is asked. Which facts exist, and which are still open:
///
/// | stage | `dateTime` | `recipient`, facts of the consumer | facts of the agreement and the transfer | `purpose` and facts of the record |
/// |---|---|---|---|---|
/// | Publish | now or later | any | as far as known, else open | open |
/// | Catalog, Negotiation | now or later | known | as far as known, else open | open |
/// | Transfer | now | known | known, or refused | open, and kept in the plan |
/// | Record | now | known | known, or refused | known, or unknown and then refused |
///
/// Facts of the consumer are its claims, what they attest (places, roles, levels) and which connector it is. Facts of the agreement and the
/// transfer are all those that the profile gives the stages "transfer, record": times counted from the agreement, what was used and paid,
/// formats, events, what the dataset is. Facts of the record are its category, the learner's consent, whether the learner is a minor and
/// whether a guardian has consented.
///
/// "Open" facts are decided later; an open fact refuses only if no value of it could ever permit. "Now or later":
/// what has expired for good is refused, what is not in force yet may be shown and negotiated; its transfer must wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// An operator publishes the offer.
    Publish,
    /// A peer looks at the catalog.
    Catalog,
    /// An offer, a counter-offer or an agreement arrives.
    Negotiation,
    /// A transfer starts.
    Transfer,
    /// One record is about to leave. The reference that a plan must agree with.
    Record,
}

/// The answer to one question.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Decision {
    /// It may go on.
    Permit {
        /// The first instant at which the policy permits: now, or later for a policy that is not in force yet.
        from: Timestamp,
    },
    /// It may not.
    Deny(
        /// Why; never empty.
        Vec<Reason>,
    ),
}

impl Decision {
    /// True when it may go on.
    pub fn permits(&self) -> bool {
        matches!(self, Self::Permit { .. })
    }

    /// Why not; empty when it may go on.
    pub fn reasons(&self) -> &[Reason] {
        match self {
            Self::Permit { .. } => &[],
            Self::Deny(reasons) => reasons,
        }
    }
}

/// What one evaluation sees. `None` is a fact that is missing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct World<'a> {
    pub(crate) moment: Moment,
    pub(crate) recipient: &'a str,
    pub(crate) verified: Verified<'a>,
    pub(crate) request: &'a Request,
    /// What a comparison is taken for whose fact about the transfer is missing.
    pub(crate) missing: Truth,
    /// Whether it can be asked of each record if the learner is a minor.
    pub(crate) tells_minors: bool,
    pub(crate) purpose: Option<Purpose<'a>>,
    pub(crate) record: RecordFacts,
}

impl<'a> World<'a> {
    /// What is known before any record is looked at. `assumed` is what facts are taken for that may still come.
    pub(crate) fn before_records(moment: Moment, consumer: Consumer<'a>, assumed: Truth) -> Self {
        Self {
            moment,
            recipient: consumer.recipient,
            verified: consumer.verified(assumed),
            request: consumer.request,
            missing: consumer.missing(assumed),
            tells_minors: consumer.tells_minors(),
            purpose: None,
            record: RecordFacts::default(),
        }
    }
}

/// What a missing fact means for an explanation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    /// It is decided later, per record: no reason to refuse now.
    IsOpen,
    /// It should be known, so it refuses.
    Refuses,
}

/// The purpose of a use, by canonical name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose<'a> {
    Named(&'a str),
    /// Some purpose that the policy does not mention.
    Other,
}

impl Policy {
    /// Decides whether `facts` allow the exchange to go on at `stage`. Denies by default: something must permit, nothing
    /// may prohibit, and every term must be understood ([`Policy::check`]). Publication and negotiation also require
    /// that a transfer plan could hold what remains ([`Policy::plan`]), so that nothing is agreed that never starts.
    ///
    /// Only permissions whose action covers the asked one count. A prohibition forbids when it covers the asked action
    /// or one that the handing over itself consists of (`read`, `stream`). Prohibitions of other actions, such as
    /// `distribute` or `sell`, bind the consumer's later use; they are declared in the plan and forbid nothing here.
    /// Where both speak, the prohibition wins.
    pub fn decide(&self, stage: Stage, facts: &Facts) -> Decision {
        let decided = self
            .check(stage)
            .and_then(|()| self.right_party(stage, facts))
            .and_then(|()| match stage {
                Stage::Publish | Stage::Negotiation => {
                    residual::first_plannable(self, facts, stage).map(|(from, _)| from)
                }
                Stage::Catalog => residual::first_permitting(self, facts),
                Stage::Transfer => residual::permitting_now(self, facts).map(|()| facts.now),
                Stage::Record => self.decide_record(facts).map(|()| facts.now),
            });
        match decided {
            Ok(from) => Decision::Permit { from },
            Err(reasons) => Decision::Deny(reasons),
        }
    }

    /// Whether somebody could ever be permitted something of an offer where these comparisons are never made, whatever else comes to be known:
    /// [`Policy::decide`] takes what is not known yet for what helps most.
    pub fn permits_never_knowing(&self, facts: &Facts, never: impl Fn(&Atomic) -> bool) -> bool {
        let mut known = self.clone();
        for rule in known.permissions.iter_mut().chain(&mut known.prohibitions) {
            rule.constraints
                .iter_mut()
                .for_each(|constraint| constraint.forget(&never));
        }
        self.check(Stage::Publish).is_ok() && residual::first_plannable(&known, facts, Stage::Publish).is_ok()
    }

    /// At publication there is no consumer yet; from the catalog on there is.
    pub(crate) fn right_party(&self, stage: Stage, facts: &Facts) -> Result<(), Vec<Reason>> {
        match stage {
            Stage::Publish => Ok(()),
            Stage::Catalog | Stage::Negotiation | Stage::Transfer | Stage::Record => self.grants_to(&facts.recipient),
        }
    }

    /// Whether the rules are for this party (ODRL 2.2 §2.3): what names an assignee is for that one and nobody else, an offer that names none
    /// is for everybody.
    ///
    /// # Errors
    /// The one reason against it.
    pub fn grants_to(&self, recipient: &str) -> Result<(), Vec<Reason>> {
        let is_for = match self.kind {
            Kind::Agreement => "agreement is with",
            Kind::Offer => "offer is for",
            // Rules alone, whose parties nobody has bound to anything.
            Kind::Set => return Ok(()),
        };
        match self.assignee() {
            Some(assignee) if assignee != recipient => {
                let text = format!("the {is_for} {}, not {}", quoted(assignee), quoted(recipient));
                Err(vec![Reason::new(Code::WrongParty, "/assignee", text)])
            }
            _ => Ok(()),
        }
    }

    fn decide_record(&self, facts: &Facts) -> Result<(), Vec<Reason>> {
        let purpose = facts.purpose.as_deref().map(canonical_name);
        let world = World {
            purpose: purpose.as_deref().map(Purpose::Named),
            record: facts.record(),
            ..World::before_records(Moment::of(facts), facts.consumer(Stage::Record), Truth::Unknown)
        };
        let permitted = self
            .covering(facts.action)
            .any(|rule| rule.truth(&world) == Truth::True);
        let prohibited = self
            .forbidding(facts.action)
            .any(|rule| rule.truth(&world) != Truth::False);
        if permitted && !prohibited {
            Ok(())
        } else {
            Err(self.explain(facts.action, &world, Missing::Refuses))
        }
    }

    /// The permissions that speak about `action`.
    pub(crate) fn covering(&self, action: Action) -> impl Iterator<Item = &Rule> {
        self.permissions.iter().filter(move |rule| rule.covers(action))
    }

    /// The prohibitions that can forbid `action` itself.
    pub(crate) fn forbidding(&self, action: Action) -> impl Iterator<Item = &Rule> {
        self.prohibitions.iter().filter(move |rule| rule.forbids(action))
    }

    /// Why `world` is refused: each covering permission that does not hold, and each prohibition that may. Empty when
    /// missing facts are open and nothing that is known refuses by itself.
    pub(crate) fn explain(&self, action: Action, world: &World<'_>, missing: Missing) -> Vec<Reason> {
        let least = if missing == Missing::IsOpen {
            Truth::Unknown
        } else {
            Truth::True
        };
        let mut reasons = BTreeSet::new();
        if self.covering(action).all(|rule| rule.truth(world) < least) {
            for constraint in self.covering(action).flat_map(|rule| &rule.constraints) {
                reasons.extend(failing(constraint, world, least));
            }
        }
        for rule in self.forbidding(action) {
            let pointer = rule.pointer.as_str();
            match rule.truth(world) {
                Truth::False => {}
                Truth::True => {
                    let text = format!("{} is prohibited", rule.action);
                    reasons.insert(Reason::new(Code::Prohibited, pointer, text));
                }
                Truth::Unknown if missing == Missing::IsOpen => {}
                Truth::Unknown => {
                    let text = format!("{} may be prohibited; a fact to rule that out is missing", rule.action);
                    reasons.insert(Reason::new(Code::Prohibited, pointer, text));
                }
            }
        }
        if self.covering(action).next().is_none() {
            let text = format!("no permission covers the action {action}");
            reasons.insert(Reason::new(Code::NoPermission, "", text));
        }
        reasons.into_iter().collect()
    }
}

impl Rule {
    pub(crate) fn covers(&self, action: Action) -> bool {
        self.action.known().is_some_and(|own| action.is_covered_by(own))
    }

    /// An unknown action could mean anything, so it forbids; `check` has named it before this is asked.
    pub(crate) fn forbids(&self, action: Action) -> bool {
        match self.action {
            Term::Known(own) => action.is_covered_by(own) || own.stops_handing_over(),
            Term::Unknown(_) => true,
        }
    }

    /// Whether this connector gives anything under a permission: records, numbers about groups, anonymous rows. What else is permitted, the
    /// consumer does, be it a part of `use` such as `read`: for nothing but a whole use do records leave.
    pub(crate) fn gives_here(&self) -> bool {
        let given = [Action::Use, Action::Aggregate, Action::Anonymize];
        given.iter().any(|action| self.covers(*action))
    }

    /// Whether this connector refuses anything by a prohibition. What else is prohibited, only the consumer can leave undone.
    pub(crate) fn refuses_here(&self) -> bool {
        self.forbids(Action::Use)
    }

    /// Whether all constraints hold.
    pub(crate) fn truth(&self, world: &World<'_>) -> Truth {
        self.constraints
            .iter()
            .map(|constraint| constraint.truth(world))
            .min()
            .unwrap_or(Truth::True)
    }

    /// The same while facts may still come, which are taken for false in the first world and for true in the second.
    pub(crate) fn between(&self, worlds: [&World<'_>; 2]) -> Between {
        let each = self.constraints.iter();
        each.map(|constraint| constraint.between(&|atomic| atomic.between(worlds)))
            .fold(Between::TRUE, Between::and)
    }

    /// Whether exactly one of several parts has to hold, some of which may still come to be either.
    pub(crate) fn is_one_of_open(&self, worlds: [&World<'_>; 2]) -> bool {
        self.constraints
            .iter()
            .any(|constraint| constraint.is_one_of_open(worlds))
    }
}

impl<'a> Purpose<'a> {
    /// Its name, if the policy mentions it.
    pub(crate) const fn name(self) -> Option<&'a str> {
        match self {
            Self::Named(name) => Some(name),
            Self::Other => None,
        }
    }
}

impl Constraint {
    pub(crate) fn truth(&self, world: &World<'_>) -> Truth {
        self.judged(&|atomic| atomic.truth(world))
    }

    /// Its truth where `judge` tells that of each comparison.
    pub(crate) fn judged(&self, judge: &impl Fn(&Atomic) -> Truth) -> Truth {
        self.between(&|atomic| Between::known(judge(atomic))).most
    }

    /// Between which truths it lies where `judge` tells that of each comparison, each on its own.
    fn between(&self, judge: &impl Fn(&Atomic) -> Between) -> Between {
        match self {
            Self::Atomic(atomic) => judge(atomic),
            Self::Logical { connective, parts, .. } => {
                let parts = parts.iter().map(|part| part.between(judge));
                match connective {
                    Connective::And | Connective::AndSequence => parts.fold(Between::TRUE, Between::and),
                    Connective::Or => parts.fold(Between::FALSE, Between::or),
                    Connective::Xone => Between::exactly_one(&parts.collect::<Vec<_>>()),
                }
            }
        }
    }

    fn is_one_of_open(&self, worlds: [&World<'_>; 2]) -> bool {
        let Self::Logical { connective, parts, .. } = self else {
            return false;
        };
        if *connective != Connective::Xone {
            return parts.iter().any(|part| part.is_one_of_open(worlds));
        }
        let mut open = false;
        self.each_atomic(&mut |atomic| {
            let Between { least, most } = atomic.between(worlds);
            open |= least != most;
        });
        open
    }
}

impl Atomic {
    pub(crate) fn truth(&self, world: &World<'_>) -> Truth {
        match &self.test {
            Ok(test) => test.truth(world),
            Err(_) => Truth::Unknown,
        }
    }

    fn between(&self, [worst, best]: [&World<'_>; 2]) -> Between {
        let most = self.truth(best);
        // What may be either is true at best.
        let least = if most == Truth::True { self.truth(worst) } else { most };
        Between { least, most }
    }
}

/// A smallest set of comparisons that keep `constraint` below the truth that is needed: what has to come true for it to hold. Of alternatives
/// one is enough: that of which the fewest comparisons fail, or else the first in the document.
fn failing(constraint: &Constraint, world: &World<'_>, least: Truth) -> Vec<Reason> {
    if constraint.truth(world) >= least {
        return Vec::new();
    }
    match constraint {
        Constraint::Atomic(atomic) => vec![explain_atomic(atomic, world)],
        Constraint::Logical {
            pointer,
            connective,
            parts,
        } => {
            let each = parts.iter().map(|part| failing(part, world, least));
            match connective {
                Connective::And | Connective::AndSequence => each.flatten().collect(),
                Connective::Or => each.min_by_key(Vec::len).unwrap_or_default(),
                Connective::Xone => {
                    let text = format!("not exactly one part holds: {}", quoted(&constraint.to_string()));
                    vec![Reason::new(Code::ConstraintFalse, pointer, text)]
                }
            }
        }
    }
}

pub(crate) fn explain_atomic(atomic: &Atomic, world: &World<'_>) -> Reason {
    let wanted = quoted(&atomic.to_string());
    match (atomic.truth(world), &atomic.test) {
        (Truth::False, Ok(Test::Time { order, .. } | Test::Since { order, .. } | Test::Event { order, .. })) => {
            let state = match order {
                Order::Before | Order::BeforeOrIn => "expired",
                Order::After | Order::AfterOrIn => "not in force yet",
                Order::In | Order::NotIn => "not in force at this time",
            };
            let now = Timestamp::from_millis(world.moment.now);
            Reason::new(
                Code::OutsideTime,
                &atomic.pointer,
                format!("{state}: {wanted} is required, and it is {now}"),
            )
        }
        (Truth::False, Ok(Test::Recipient { .. })) => {
            let text = match world.recipient {
                "" => format!("{wanted} is required, and whom the policy does not name does not meet it"),
                recipient => format!("{wanted} is required, and the recipient is {}", quoted(recipient)),
            };
            Reason::new(Code::ConstraintFalse, &atomic.pointer, text)
        }
        (Truth::False, Ok(test)) if test.is_used_up(world.moment) => {
            let text = format!("{wanted} is required, and {}", used(test, world.moment));
            Reason::new(Code::CountExhausted, &atomic.pointer, text)
        }
        (
            Truth::Unknown,
            Ok(Test::Held {
                what: Held::Claim(claim),
                ..
            }),
        ) => {
            let text = format!("{wanted} is required, and no verified credential of the consumer says its {claim}");
            Reason::new(Code::ConstraintUnknown, &atomic.pointer, text)
        }
        (Truth::Unknown, _) => {
            let text = format!("{wanted} is required, and the fact to judge it is missing");
            Reason::new(Code::ConstraintUnknown, &atomic.pointer, text)
        }
        _ => Reason::new(
            Code::ConstraintFalse,
            &atomic.pointer,
            format!("{wanted} is required, and it does not hold"),
        ),
    }
}

/// How much is used.
fn used(test: &Test, moment: Moment) -> String {
    match test {
        Test::Used {
            meter: Meter::OpenTime, ..
        } => {
            let open = u64::try_from(moment.metered.unwrap_or_default()).unwrap_or_default();
            format!("streams were open for {:?}", Duration::from_millis(open))
        }
        _ => format!("this is transfer number {}", moment.transfer.unwrap_or_default()),
    }
}

#[cfg(test)]
mod stages;
#[cfg(test)]
mod tests;
