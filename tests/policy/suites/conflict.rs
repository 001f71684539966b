//! Pairs of policies of which others say whether they conflict: `../shared/data/odrl-conflict`. Each line names the question that was asked of the
//! pair.

use crate::shared::folder;
use oxrdf::{NamedOrBlankNode, Term, Triple};
use oxttl::TurtleParser;
use policy::{
    Connective, Operator,
    odrl::{
        Comparison, Constraint, Deed, Permission, Policy, Statement, Value,
        compare::{self, Answer, Concepts, Verdict, Within},
    },
};
use std::{fs, path::Path};

const ODRL: &str = "http://www.w3.org/ns/odrl/2/";
const RDF: &str = "http://www.w3.org/1999/02/22-rdf-syntax-ns#";
/// As many of the pairs have to be right.
const ENOUGH: usize = 145;

/// A graph in the order in which it was written.
struct Graph(Vec<Triple>);

impl Graph {
    fn read(path: &Path) -> Self {
        let text = fs::read(path).unwrap();
        Self(TurtleParser::new().for_slice(&text).map(Result::unwrap).collect())
    }

    fn objects(&self, subject: &NamedOrBlankNode, predicate: &str) -> Vec<Term> {
        let of = self
            .0
            .iter()
            .filter(|triple| triple.subject == *subject && triple.predicate.as_str() == predicate);
        of.map(|triple| triple.object.clone()).collect()
    }

    /// The objects, with the members of a list in place of the list.
    fn values(&self, subject: &NamedOrBlankNode, predicate: &str) -> Vec<Term> {
        let objects = self.objects(subject, predicate);
        objects.into_iter().flat_map(|object| self.members(object)).collect()
    }

    fn members(&self, object: Term) -> Vec<Term> {
        let Some(node) = node(&object) else { return vec![object] };
        let first = self.objects(&node, &format!("{RDF}first"));
        if first.is_empty() {
            return vec![object];
        }
        let rest = self.objects(&node, &format!("{RDF}rest"));
        let rest = rest.into_iter().filter(|rest| !rest.to_string().ends_with("#nil>"));
        first
            .into_iter()
            .chain(rest.flat_map(|rest| self.members(rest)))
            .collect()
    }

    fn policies(&self) -> Vec<Policy> {
        let mut policies = Vec::new();
        for triple in &self.0 {
            let permissions = self.objects(&triple.subject, &format!("{ODRL}permission"));
            if triple.predicate.as_str() != format!("{RDF}type") || permissions.is_empty() {
                continue;
            }
            let permissions = permissions.iter().map(|object| Permission {
                statement: self.statement(&node(object).unwrap()),
                duties: Vec::new(),
            });
            policies.push(Policy {
                id: text(&triple.subject.clone().into()),
                permissions: permissions.collect(),
                ..Policy::default()
            });
        }
        policies
    }

    fn statement(&self, rule: &NamedOrBlankNode) -> Statement {
        let action = self.objects(rule, &format!("{ODRL}action"));
        let constraints = self.objects(rule, &format!("{ODRL}constraint"));
        Statement {
            id: rule.to_string(),
            action: action.first().map(|action| Deed {
                action: text(action),
                refinements: Vec::new(),
            }),
            constraints: constraints.iter().map(|object| self.constraint(object)).collect(),
            ..Statement::default()
        }
    }

    fn constraint(&self, object: &Term) -> Constraint {
        let at = node(object).unwrap();
        for (name, connective) in [
            ("and", Connective::And),
            ("or", Connective::Or),
            ("xone", Connective::Xone),
            ("andSequence", Connective::AndSequence),
        ] {
            let parts = self.values(&at, &format!("{ODRL}{name}"));
            if !parts.is_empty() {
                return Constraint::Logical {
                    id: at.to_string(),
                    connective,
                    parts: parts.iter().map(|part| self.constraint(part)).collect(),
                };
            }
        }
        let one = |name: &str| self.objects(&at, &format!("{ODRL}{name}")).first().cloned();
        let anchor = self
            .0
            .iter()
            .find(|triple| triple.subject == at && triple.predicate.as_str().ends_with("anchor"));
        Constraint::Atomic(Comparison {
            id: at.to_string(),
            left: text(&one("leftOperand").unwrap()),
            operator: Operator::read(&text(&one("operator").unwrap())).unwrap(),
            right: self
                .values(&at, &format!("{ODRL}rightOperand"))
                .iter()
                .map(value)
                .collect(),
            unit: one("unit").as_ref().map(text),
            status: one("status").as_ref().map(value),
            anchor: anchor.map(|triple| value(&triple.object)),
        })
    }
}

fn node(term: &Term) -> Option<NamedOrBlankNode> {
    match term {
        Term::NamedNode(node) => Some(node.clone().into()),
        Term::BlankNode(node) => Some(node.clone().into()),
        _ => None,
    }
}

fn text(term: &Term) -> String {
    match term {
        Term::NamedNode(node) => node.as_str().to_owned(),
        Term::Literal(literal) => literal.value().to_owned(),
        other => other.to_string(),
    }
}

fn value(term: &Term) -> Value {
    match term {
        Term::Literal(literal) => Value::literal(literal.value(), Some(literal.datatype().as_str())).unwrap(),
        other => Value::Iri(text(other)),
    }
}

/// What the vocabularies say: what lies below what, and what is all different.
fn vocabularies(folder: &Path) -> Concepts {
    const WIDER: [&str; 5] = ["broader", "subClassOf", "parentFeature", "parentCountry", "parentADM1"];
    let mut concepts = Concepts::new();
    for file in fs::read_dir(folder.join("vocabularies")).unwrap() {
        let graph = Graph::read(&file.unwrap().path());
        for triple in &graph.0 {
            let (name, predicate) = (text(&triple.subject.clone().into()), triple.predicate.as_str());
            let local = predicate.rsplit(['#', '/']).next().unwrap_or(predicate);
            match local {
                "type" if matches!(triple.subject, NamedOrBlankNode::NamedNode(_)) => concepts.concept(&name),
                "distinctMembers" => {
                    let members: Vec<String> = graph.members(triple.object.clone()).iter().map(text).collect();
                    concepts.apart(members.iter().map(String::as_str));
                }
                local if WIDER.contains(&local) => concepts.below(&name, &text(&triple.object)),
                _ => {}
            }
        }
    }
    concepts
}

/// The answer to the question that a relation asks.
fn ask(relation: &str, a: &Policy, b: &Policy, concepts: &Concepts) -> Verdict {
    let operands = || {
        compare::operands(a, b, concepts)
            .into_iter()
            .filter(|found| !["action", "target", "assignee"].contains(&found.operand.as_str()))
    };
    // An operand that only one of them speaks of, or neither, leaves it open.
    let folded = |of: fn(&compare::Operand) -> Verdict| {
        let each = operands().map(|found| {
            if found.in_both {
                of(&found)
            } else {
                of(&found).min(Verdict::Unknown)
            }
        });
        each.min().unwrap_or(Verdict::Unknown)
    };
    let contained = || match compare::within(a, b, concepts) {
        Within::Yes => Verdict::Compatible,
        Within::No { .. } => Verdict::Conflict,
        Within::Unknown(_) => Verdict::Unknown,
    };
    let common = || Verdict::from(&compare::compatible(a, b, concepts));
    match relation {
        "subsumption" | "refinement" => contained(),
        // The second is an execution: it has to lie in the first.
        "runtime" => match compare::within(b, a, concepts) {
            Within::Yes => Verdict::Compatible,
            _ if common() == Verdict::Conflict => Verdict::Conflict,
            _ => Verdict::Unknown,
        },
        "verdict" => folded(|operand| operand.overlap).min(common()),
        // The algebra of containments: each operand of the first has to lie in that of the second.
        "verdict_algebra" => folded(|operand| operand.contained).min(common()),
        "realizability" => Verdict::from(&compare::satisfiable(a, concepts)),
        _ => common(),
    }
}

#[test]
fn pairs_of_policies_are_judged_as_others_judge_them() {
    let Some(folder) = folder("odrl-conflict") else { return };
    let concepts = vocabularies(&folder);
    let expected = fs::read_to_string(folder.join("expected.csv")).unwrap();
    let (mut right, mut all, mut false_compatible, mut false_conflict) = (0, 0, 0, 0);
    for line in expected.lines().skip(1) {
        let [problem, _, relation, verdict, file] = line.split(',').collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        let policies = Graph::read(&folder.join("policies").join(file)).policies();
        let (a, b) = (policies.first().unwrap(), policies.last().unwrap());
        let found = ask(relation, a, b, &concepts);
        all += 1;
        if found.to_string() == verdict.to_lowercase() {
            right += 1;
            continue;
        }
        false_compatible += usize::from(found == Verdict::Compatible);
        false_conflict += usize::from(found == Verdict::Conflict);
        println!("{problem} ({relation}): {found}, not {verdict}");
    }
    println!("conflict: {right} of {all} (false Compatible {false_compatible}, false Conflict {false_conflict})");
    assert_eq!(false_compatible, 0);
    assert!(right >= ENOUGH.min(all));
}
