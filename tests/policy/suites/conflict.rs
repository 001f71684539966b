//! Pairs of policies of which others say whether they conflict: `../shared/data/odrl-conflict`. Each line names the question that was asked of the
//! pair. A line is unjudged where it asks nothing of two policies that its file holds; it is printed with its reason, and no share counts it.

use crate::{
    csv,
    shared::{PANICKED, folder, guarded},
    turtle::{self, files, graph, json_ld, list, odrl, subject, triples},
};
use oxrdf::{Graph, Term, TermRef, Triple};
use policy::{
    Connective, Operator,
    odrl::{
        Conflict, Constraint, Policy, Reading,
        compare::{self, Concepts, Verdict, Within},
    },
};
use serde_json::Value as Json;
use std::{fs, path::Path};

/// Of so many pairs that are judged so many have to be right.
const ENOUGH: (usize, usize) = (145, 151);
/// What the pairs call the term of our profile that says when one occurrence of an interval is.
const ANCHOR: [&str; 2] = [
    "http://w3id.org/drk/ontology/anchor",
    "https://w3id.org/dases/ns/anchor",
];
/// Problems whose label is not what the question is about, and why. One that fits all the same counts as any other.
const UNFAIR: &[(&str, &str)] = &[
    (
        "ODRL635-1",
        "its label is that of a theorem about the pair, not that of the pair",
    ),
    ("ODRL840-1", "its execution stands in a comment"),
    (
        "ODRL869-1",
        "it wants a wrong reading, which ODRL870 asks about as well and wants refused",
    ),
    (
        "KGC430-1",
        "its source calls it a conflict and counter-satisfiable at once",
    ),
];

/// What a relation asks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Question {
    /// Is there a request that satisfies both?
    Common,
    /// Does the first lie in the second?
    Within,
    /// Does the second, which is an execution, lie in the first?
    Runtime,
    /// What holds operand by operand?
    Operands,
    /// Does each operand of the first lie in that of the second?
    Algebra,
    /// Can it be satisfied at all?
    Realizable,
}

impl Question {
    fn of(relation: &str) -> Option<Self> {
        Some(match relation.to_lowercase().as_str() {
            "conflict" | "sort-ablation" | "" => Self::Common,
            "subsumption" | "refinement" => Self::Within,
            "runtime" => Self::Runtime,
            "verdict" => Self::Operands,
            "verdict_algebra" => Self::Algebra,
            "realizability" => Self::Realizable,
            _ => return None,
        })
    }
}

/// The verdict that a label stands for; none where it is one of a theorem, of a false claim about the pair, or missing.
fn verdict(label: &str) -> Option<Verdict> {
    Some(match label.to_lowercase().as_str() {
        "conflict" | "notrefines" | "unrealizable" | "deny" => Verdict::Conflict,
        "compatible" | "refines" | "realizable" | "permit" => Verdict::Compatible,
        "unknown" => Verdict::Unknown,
        _ => return None,
    })
}

/// What becomes of a line.
enum Outcome {
    /// What we say, and what is right.
    Told(Verdict, Verdict),
    /// It cannot be judged, for this reason.
    Unjudged(&'static str),
}

/// One line of the table.
struct Line {
    problem: String,
    relation: String,
    verdict: String,
    file: String,
}

impl Line {
    fn read(cells: Vec<String>) -> Result<Self, String> {
        let [problem, _, relation, verdict, file] =
            <[String; 5]>::try_from(cells).map_err(|cells| format!("{}: not five cells", cells.join(",")))?;
        Ok(Self {
            problem,
            relation,
            verdict,
            file,
        })
    }

    /// Why its label does not count.
    fn unfair(&self) -> Option<&'static str> {
        let found = UNFAIR.iter().find(|(problem, _)| self.problem == *problem);
        found.map(|(_, reason)| *reason)
    }

    fn judge(&self, folder: &Path, concepts: &Concepts) -> Result<Outcome, String> {
        use Outcome::{Told, Unjudged};
        let Some(question) = Question::of(&self.relation) else {
            return Ok(Unjudged("its relation is no question about two policies"));
        };
        let Some(right) = verdict(&self.verdict) else {
            return Ok(Unjudged("its label is no verdict about two policies"));
        };
        let file = folder.join("policies").join(&self.file);
        let triples = reading(|| triples(&file))?;
        if triples.iter().any(names_a_connective) {
            return Ok(Unjudged(
                "it writes a connective as an operator, which is not the form of ODRL 2.2 §2.5",
            ));
        }
        let policies = policies(&triples)?;
        let found = match (question, policies.as_slice()) {
            (Question::Realizable, [_, ..]) => {
                let each = policies.iter().map(|policy| compare::satisfiable(policy, concepts));
                each.map(|answer| Verdict::from(&answer)).min()
            }
            (Question::Runtime, [_, second]) if !is_execution(second) && comments_on_an_execution(&file)? => {
                return Ok(Unjudged("its execution stands in a comment"));
            }
            (Question::Common, [permits, forbids] | [forbids, permits])
                if forbids.permissions.is_empty()
                    && !forbids.prohibitions.is_empty()
                    && !permits.permissions.is_empty() =>
            {
                Some(spared(permits, forbids, concepts))
            }
            (_, [a, b]) if a.permissions.is_empty() || b.permissions.is_empty() => {
                return Ok(Unjudged("one of its policies permits nothing"));
            }
            (_, [a, b]) => Some(ask(question, a, b, concepts)),
            _ => None,
        };
        Ok(found.map_or(
            Unjudged("its file does not hold the two policies that it asks about"),
            |found| Told(found, right),
        ))
    }
}

/// What panics while a file is read says that the file is odd, and nothing of the crate that judges.
fn reading<T>(read: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    guarded(read).map_err(|error| format!("it cannot be read: {error}"))
}

/// The policies of a file, in the order in which they are written.
fn policies(triples: &[Triple]) -> Result<Vec<Policy>, String> {
    let graph: Graph = triples.iter().collect();
    let nodes = reading(|| Ok(turtle::policies(triples)))?.into_iter();
    let read = nodes.map(|node| {
        let json = reading(|| Ok(json_ld(&graph, node.as_ref())))?;
        let json = json.to_string().replace(ANCHOR[0], ANCHOR[1]);
        let json: Json = serde_json::from_str(&json).map_err(|error| error.to_string())?;
        Policy::read(&json, &Reading::LENIENT).map_err(|error| format!("{node}: {error}"))
    });
    read.collect()
}

fn names_a_connective(triple: &Triple) -> bool {
    let mut connectives = ["and", "or", "xone", "andSequence"].into_iter();
    triple.predicate == odrl("operator") && connectives.any(|name| triple.object == Term::from(odrl(name)))
}

/// Whether a policy says of each operand one value, as what was done has it.
fn is_execution(policy: &Policy) -> bool {
    fn states(constraint: &Constraint) -> bool {
        match constraint {
            Constraint::Atomic(comparison) => comparison.operator == Operator::Eq && comparison.right.len() == 1,
            Constraint::Logical { connective, parts, .. } => *connective == Connective::And && parts.iter().all(states),
        }
    }
    let mut rules = policy.permissions.iter();
    rules.all(|permission| permission.statement.constraints.iter().all(states))
}

/// Whether a comment of the file speaks of an execution; a licence does not.
fn comments_on_an_execution(file: &Path) -> Result<bool, String> {
    let text = fs::read_to_string(file).map_err(|error| error.to_string())?;
    let mut comments = text.lines().filter(|line| line.trim_start().starts_with('#'));
    Ok(comments.any(|line| line.to_lowercase().contains("execution")))
}

/// Whether something is left of what one policy permits where the other forbids and permits nothing.
fn spared(permits: &Policy, forbids: &Policy, concepts: &Concepts) -> Verdict {
    let mut both = permits.clone();
    both.prohibitions.extend(forbids.prohibitions.iter().cloned());
    both.conflict = Conflict::Prohibit;
    Verdict::from(&compare::satisfiable(&both, concepts))
}

fn text(term: TermRef<'_>) -> String {
    match term {
        TermRef::NamedNode(node) => node.as_str().to_owned(),
        other => other.to_string(),
    }
}

/// The members of a list of names.
fn members(graph: &Graph, term: TermRef<'_>) -> Vec<String> {
    let items = subject(term).and_then(|node| list(graph, node));
    items.into_iter().flatten().map(text).collect()
}

/// What the vocabularies say: what lies below what, and what is all different.
fn vocabularies(folder: &Path) -> Concepts {
    const WIDER: [&str; 5] = ["broader", "subClassOf", "parentFeature", "parentCountry", "parentADM1"];
    let mut concepts = Concepts::new();
    for file in files(&folder.join("vocabularies"), "ttl") {
        let Ok(graph) = graph(&file).inspect_err(|error| println!("conflict: {}: {error}", file.display())) else {
            continue;
        };
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

/// The answer to the question about two policies.
fn ask(question: Question, a: &Policy, b: &Policy, concepts: &Concepts) -> Verdict {
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
    match question {
        Question::Within => contained(),
        Question::Runtime => match compare::within(b, a, concepts) {
            Within::Yes => Verdict::Compatible,
            _ if common() == Verdict::Conflict => Verdict::Conflict,
            _ => Verdict::Unknown,
        },
        Question::Operands => folded(|operand| operand.overlap).min(common()),
        Question::Algebra => folded(|operand| operand.contained).min(common()),
        Question::Common | Question::Realizable => common(),
    }
}

/// How many lines came out how.
#[derive(Debug, Default)]
struct Score {
    all: usize,
    right: usize,
    unjudged: usize,
    false_compatible: usize,
    false_conflict: usize,
    panicked: usize,
}

impl Score {
    /// Counts a line, and says so where it is not right.
    fn count(&mut self, line: &Line, outcome: Result<Outcome, String>) {
        let Line { problem, relation, .. } = line;
        self.all += 1;
        match (outcome, line.unfair()) {
            (Ok(Outcome::Told(found, right)), _) if found == right => self.right += 1,
            (Ok(Outcome::Unjudged(reason)), _) | (Ok(Outcome::Told(..)), Some(reason)) => {
                self.unjudged += 1;
                println!("{problem} ({relation}): unjudged: {reason}");
            }
            (Ok(Outcome::Told(found, right)), None) => {
                self.false_compatible += usize::from(found == Verdict::Compatible);
                self.false_conflict += usize::from(found == Verdict::Conflict);
                println!("{problem} ({relation}): {found}, not {right}");
            }
            (Err(error), _) => {
                self.panicked += usize::from(error.starts_with(PANICKED));
                println!("{problem} ({relation}): {error}");
            }
        }
    }

    fn is_enough(&self) -> bool {
        self.right * ENOUGH.1 >= (self.all - self.unjudged) * ENOUGH.0
    }
}

#[test]
fn pairs_of_policies_are_judged_as_others_judge_them() {
    let Some(folder) = folder("odrl-conflict") else { return };
    let concepts = vocabularies(&folder);
    let expected = fs::read_to_string(folder.join("expected.csv")).unwrap();
    let mut score = Score::default();
    for cells in csv::rows(&expected).into_iter().skip(1) {
        match Line::read(cells) {
            Ok(line) => score.count(&line, guarded(|| line.judge(&folder, &concepts))),
            Err(error) => {
                score.all += 1;
                println!("{error}");
            }
        }
    }
    let Score {
        all, right, unjudged, ..
    } = score;
    let judged = all - unjudged;
    println!(
        "conflict: {right} of {judged}, and {unjudged} unjudged (false Compatible {}, false Conflict {})",
        score.false_compatible, score.false_conflict
    );
    assert_eq!((score.false_compatible, score.panicked), (0, 0));
    assert!(score.is_enough());
    assert!(unjudged <= judged, "most of the table is not understood");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::made;

    /// What becomes of a problem whose file holds this.
    fn judged(problem: &str, relation: &str, label: &str, turtle: &str) -> String {
        const PREFIXES: &str = "@prefix odrl: <http://www.w3.org/ns/odrl/2/> . @prefix : <urn:> .\n";
        let turtle = format!("{PREFIXES}{turtle}");
        let file = format!("{problem}-{}.ttl", label.len());
        let folder = made("odrl-conflict", &[(&format!("policies/{file}"), &turtle)]);
        let [problem, relation, verdict] = [problem, relation, label].map(str::to_owned);
        let line = Line {
            problem,
            relation,
            verdict,
            file,
        };
        let mut score = Score::default();
        let outcome = guarded(|| line.judge(&folder, &Concepts::new()));
        let told = match &outcome {
            Ok(Outcome::Told(found, _)) => found.to_string(),
            Ok(Outcome::Unjudged(reason)) => (*reason).to_owned(),
            Err(_) => "a miss".to_owned(),
        };
        score.count(&line, outcome);
        assert_eq!((score.all, score.false_compatible, score.panicked), (1, 0, 0));
        let counted = if score.unjudged == 1 { "unjudged: " } else { "" };
        format!("{counted}{told}")
    }

    fn policy(name: &str, rule: &str, operator: &str, value: i32) -> String {
        format!(
            ":{name} a odrl:Set ; odrl:{rule} [ odrl:action odrl:use ; odrl:constraint [ odrl:leftOperand :width ;
             odrl:operator odrl:{operator} ; odrl:rightOperand {value} ] ] .\n"
        )
    }

    #[test]
    fn a_file_without_the_policies_that_its_line_asks_about_is_unjudged() {
        let one = policy("a", "permission", "lteq", 5);
        let missing = "unjudged: its file does not hold the two policies that it asks about";
        for relation in ["conflict", "runtime", "subsumption", "verdict", ""] {
            assert_eq!(judged("one", relation, "Conflict", &one), missing, "{relation}");
        }
        let loose = "[] odrl:leftOperand :width ; odrl:operator odrl:lt ; odrl:rightOperand 0 .";
        assert_eq!(judged("loose", "conflict", "Conflict", loose), missing);
        let three = ["a", "b", "c"]
            .map(|name| policy(name, "permission", "lteq", 5))
            .concat();
        assert_eq!(judged("three", "conflict", "Conflict", &three), missing);
        let commented = format!("# execution: width 7\n{one}{}", policy("b", "permission", "lteq", 4));
        assert_eq!(
            judged("comment", "runtime", "Conflict", &commented),
            "unjudged: its execution stands in a comment"
        );
        let licensed = format!("# Licence: MIT\n{one}{}", policy("b", "permission", "lteq", 4));
        assert_eq!(judged("licence", "runtime", "Compatible", &licensed), "compatible");
        let executed = format!("# width 4\n{one}{}", policy("b", "permission", "eq", 4));
        assert_eq!(judged("executed", "runtime", "Compatible", &executed), "compatible");
        assert_eq!(judged("alone", "realizability", "Realizable", &one), "compatible");
    }

    #[test]
    fn a_policy_that_only_forbids_is_a_policy() {
        let permits = policy("a", "permission", "lteq", 5);
        let against = |operator, value| format!("{permits}{}", policy("b", "prohibition", operator, value));
        assert_eq!(judged("same", "conflict", "Conflict", &against("lteq", 5)), "conflict");
        assert_eq!(judged("wider", "", "Conflict", &against("lteq", 6)), "conflict");
        assert_eq!(
            judged("less", "conflict", "Compatible", &against("lteq", 4)),
            "compatible"
        );
        let empty = format!("{permits}:b a odrl:Set .");
        assert_ne!(judged("empty", "conflict", "Conflict", &empty), "compatible");
        let within = judged("within", "subsumption", "Conflict", &against("lteq", 5));
        assert_eq!(within, "unjudged: one of its policies permits nothing");
    }

    #[test]
    fn what_is_no_question_about_two_policies_is_unjudged() {
        let pair = policy("a", "permission", "lteq", 5) + &policy("b", "permission", "lteq", 6);
        for label in ["", "CSA", "SAT", "UNS", "AndConflict", "Monotonicity"] {
            let told = judged("label", "conflict", label, &pair);
            assert_eq!(told, "unjudged: its label is no verdict about two policies", "{label}");
        }
        let told = judged("relation", "wellformedness", "Conflict", &pair);
        assert_eq!(told, "unjudged: its relation is no question about two policies");
        let or = pair.replace("odrl:operator odrl:lteq ; odrl:rightOperand 5", "odrl:operator odrl:or");
        let told = judged("operator", "conflict", "Conflict", &or);
        assert_eq!(
            told,
            "unjudged: it writes a connective as an operator, which is not the form of ODRL 2.2 §2.5"
        );
        for (problem, _) in UNFAIR {
            assert_eq!(judged(problem, "conflict", "Conflict", &pair), "unjudged: compatible");
            assert_eq!(judged(problem, "conflict", "Compatible", &pair), "compatible");
            // What is known of its label excuses no failure to read it, and no other problem.
            assert_eq!(judged(problem, "conflict", "Conflict", "odrl:permission"), "a miss");
            let cells = [&format!("{problem}0"), "", "conflict", "Conflict", ""].map(str::to_owned);
            assert_eq!(Line::read(cells.into()).unwrap().unfair(), None);
        }
    }

    #[test]
    fn what_panics_once_its_file_is_read_is_counted() {
        let line = || Line::read(["a", "", "conflict", "Conflict", ""].map(str::to_owned).into()).unwrap();
        let mut score = Score::default();
        score.count(&line(), reading(|| panic!("the file")));
        assert_eq!((score.all, score.panicked), (1, 0));
        score.count(&line(), guarded(|| panic!("the crate")));
        assert_eq!((score.all, score.panicked), (2, 1));
    }

    #[test]
    fn an_odd_file_is_one_miss() {
        for odd in [
            "odrl:permission",
            ":a odrl:permission [ odrl:action odrl:use ; odrl:constraint [] ] .",
        ] {
            assert_eq!(judged("odd", "conflict", "Unknown", odd), "a miss", "{odd}");
        }
        let typed = format!(
            "{}:b a [] ; odrl:permission [ odrl:action odrl:use ] .",
            policy("a", "permission", "lt", 5)
        );
        assert_eq!(judged("typed", "conflict", "Compatible", &typed), "compatible");
        assert!(Line::read(vec!["a".to_owned()]).is_err());
    }

    #[test]
    fn enough_is_a_share_of_what_is_judged() {
        let enough = |all, right, unjudged| {
            Score {
                all,
                right,
                unjudged,
                ..Score::default()
            }
            .is_enough()
        };
        assert!(enough(151, 145, 0) && !enough(151, 144, 0));
        assert!(enough(300, 289, 0) && !enough(300, 288, 0));
        assert!(enough(155, 145, 4) && !enough(155, 145, 3));
    }
}
