//! Why nothing is permitted: asked once no cell of the grid is. What is permitted is worked out in the module above.

use super::{Question, Reasons};
use crate::{
    evaluate::{Missing, World, explain_atomic},
    facts::{Consumer, Moment},
    meaning::{Held, Test},
    model::{Atomic, Connective, Constraint, Rule},
    reason::{Code, Reason, quoted},
    truth::Truth,
    vocabulary::Known,
};
use std::collections::BTreeSet;

impl Question<'_> {
    /// Why no cell is permitted: what is known refuses, or what is open contradicts itself.
    pub(super) fn why_nothing(&self, moment: Moment, consumer: Consumer<'_>) -> Reasons {
        let open = World::before_records(moment, consumer, Truth::Unknown);
        let reasons = self.policy.explain(self.action, &open, Missing::IsOpen);
        if !reasons.is_empty() {
            return reasons;
        }
        let unproven = self.unproven(&open, consumer);
        if !unproven.is_empty() {
            return unproven;
        }
        let in_the_way = self
            .prohibitions
            .iter()
            .filter(|rule| rule.truth(&open) != Truth::False);
        let conflicts: Reasons = in_the_way
            .map(|rule| {
                let text = "together the prohibitions leave nothing of what the permissions give";
                Reason::new(Code::Conflict, &rule.pointer, text)
            })
            .collect();
        if !conflicts.is_empty() {
            return conflicts;
        }
        let contradiction = |rule: &&Rule| {
            let wanted: Vec<String> = rule.constraints.iter().map(ToString::to_string).collect();
            let text = format!("nothing can satisfy all of {}", quoted(&wanted.join("; ")));
            Reason::new(Code::Unsatisfiable, &rule.pointer, text)
        };
        self.permissions.iter().map(contradiction).collect()
    }

    /// The facts that a permission needs and that are missing: what nobody vouches for of the consumer, and what should be known of the
    /// transfer. Other facts may still be found per record, these may not.
    fn unproven(&self, open: &World<'_>, consumer: Consumer<'_>) -> Reasons {
        let due = |test: &Test| match test {
            Test::Held { what, .. } => match what {
                Held::Claim(_) => true,
                Held::Named(operand) => !consumer.open || operand.operand().known == Known::Consumer,
            },
            Test::Since { .. } | Test::Used { .. } | Test::Amount { .. } | Test::Event { .. } => !consumer.open,
            Test::Flag { .. } => !consumer.tells_minors(),
            Test::Time { .. }
            | Test::Purpose { .. }
            | Test::Recipient { .. }
            | Test::Consent { .. }
            | Test::Category { .. } => false,
        };
        let mut reasons = BTreeSet::new();
        let undecided = self
            .permissions
            .iter()
            .filter(|rule| rule.truth(open) == Truth::Unknown);
        for constraint in undecided.flat_map(|rule| &rule.constraints) {
            let lacking = fewest(constraint, open, &due).into_iter();
            reasons.extend(lacking.map(|atomic| explain_atomic(atomic, open)));
        }
        reasons.into_iter().collect()
    }
}

/// What is lacking of a constraint that neither holds already nor can no longer hold: of alternatives that lack something, the one that lacks
/// least, or else the first in the document.
fn fewest<'c>(constraint: &'c Constraint, open: &World<'_>, due: &impl Fn(&Test) -> bool) -> Vec<&'c Atomic> {
    if constraint.truth(open) != Truth::Unknown {
        return Vec::new();
    }
    match constraint {
        Constraint::Atomic(atomic) => {
            let lacks = atomic.test.as_ref().is_ok_and(due);
            lacks.then_some(atomic).into_iter().collect()
        }
        Constraint::Logical { connective, parts, .. } => {
            let each = parts.iter().map(|part| fewest(part, open, due));
            match connective {
                Connective::Or => each
                    .filter(|part| !part.is_empty())
                    .min_by_key(Vec::len)
                    .unwrap_or_default(),
                Connective::And | Connective::AndSequence | Connective::Xone => each.flatten().collect(),
            }
        }
    }
}
