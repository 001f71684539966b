//! Pairs of policies of which others say whether they conflict: `../shared/data/odrl-conflict`. Each line names the question that was asked of the
//! pair.

use crate::{
    shared::folder,
    turtle::{files, graph, json_ld, one, subject},
};
use oxrdf::{
    Graph, NamedOrBlankNode, TermRef,
    vocab::rdf::{FIRST, REST},
};
use oxttl::TurtleParser;
use policy::odrl::{
    Policy, Reading,
    compare::{self, Concepts, Verdict, Within},
};
use serde_json::Value as Json;
use std::{fs, path::Path};

/// As many of the pairs have to be right.
const ENOUGH: usize = 145;
/// What the pairs call the term of our profile that says when one occurrence of an interval is.
const ANCHOR: [&str; 2] = [
    "http://w3id.org/drk/ontology/anchor",
    "https://w3id.org/dases/ns/anchor",
];

/// The policies of a file, in the order in which they are written; none when one of them is not in the form of ODRL.
fn policies(file: &Path) -> Vec<Policy> {
    let mut nodes: Vec<NamedOrBlankNode> = Vec::new();
    for triple in TurtleParser::new().for_slice(&fs::read(file).unwrap()) {
        let triple = triple.unwrap();
        if triple.predicate.as_str().ends_with("/permission") && !nodes.contains(&triple.subject) {
            nodes.push(triple.subject);
        }
    }
    let graph = graph(file);
    let policies = nodes.iter().map(|node| {
        let json = json_ld(&graph, node.as_ref()).to_string().replace(ANCHOR[0], ANCHOR[1]);
        let json: Json = serde_json::from_str(&json).unwrap();
        Policy::read(&json, &Reading::LENIENT)
            .inspect_err(|error| println!("{}: {error}", file.display()))
            .ok()
    });
    policies.collect::<Option<_>>().unwrap_or_default()
}

fn text(term: TermRef<'_>) -> String {
    match term {
        TermRef::NamedNode(node) => node.as_str().to_owned(),
        other => other.to_string(),
    }
}

/// The members of a list of names.
fn members(graph: &Graph, list: TermRef<'_>) -> Vec<String> {
    let node = subject(list);
    let found = node.and_then(|node| Some((one(graph, node, FIRST)?, one(graph, node, REST)?)));
    found.map_or_else(Vec::new, |(first, rest)| {
        let mut all = vec![text(first)];
        all.extend(members(graph, rest));
        all
    })
}

/// What the vocabularies say: what lies below what, and what is all different.
fn vocabularies(folder: &Path) -> Concepts {
    const WIDER: [&str; 5] = ["broader", "subClassOf", "parentFeature", "parentCountry", "parentADM1"];
    let mut concepts = Concepts::new();
    for file in files(&folder.join("vocabularies"), "ttl") {
        let graph = graph(&file);
        for triple in &graph {
            let (name, predicate) = (text(triple.subject.into()), triple.predicate.as_str());
            match predicate.rsplit(['#', '/']).next().unwrap_or(predicate) {
                "type" if !name.starts_with('_') => concepts.concept(&name),
                "distinctMembers" => {
                    let members = members(&graph, triple.object);
                    concepts.apart(members.iter().map(String::as_str));
                }
                local if WIDER.contains(&local) => concepts.below(&name, &text(triple.object)),
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
        let policies = policies(&folder.join("policies").join(file));
        let found = match policies.as_slice() {
            [] => Verdict::Unknown,
            [a, .., b] | [a @ b] => ask(relation, a, b, &concepts),
        };
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
