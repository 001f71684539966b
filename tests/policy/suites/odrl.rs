//! The ODRL Test Suite: policy, request and state of the world in Turtle, and the report that is expected of them, compared three ways: which
//! rules are active; what became of each constraint; and the report graph as a whole.

mod report;

use crate::{
    shared::{folder, guarded, made},
    turtle::{ODRL, files, graph, json_ld, name, odrl, one, root, subject},
};
use oxrdf::{
    BlankNode, Graph, NamedNode, NamedNodeRef, NamedOrBlankNode, NamedOrBlankNodeRef, Term, TermRef, Triple,
    dataset::CanonicalizationAlgorithm, vocab::rdf,
};
use policy::odrl::{Deontic, DutyMode, Instant, Options, Policy, Reading, Request, World, evaluate};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::{Duration, Instant as Clock},
};

const EX: &str = "http://example.org/";
const REPORT: &str = "https://w3id.org/force/compliance-report#";
const DCT: &str = "http://purl.org/dc/terms/";

/// Cases whose expected report is no report, and what is wrong with it. Each must really be so: see [`dangling`].
const DEFECTIVE: &[(&str, &str)] = &[(
    "testcase-065-alice",
    "its rule report and its logical constraint point to premise reports that the file does not hold",
)];

fn term(namespace: &str, name: &str) -> NamedNode {
    NamedNode::new(format!("{namespace}{name}")).unwrap()
}

fn iri(graph: &Graph, subject: NamedOrBlankNodeRef<'_>, predicate: NamedNodeRef<'_>) -> Option<String> {
    match one(graph, subject, predicate)? {
        TermRef::NamedNode(node) => Some(node.as_str().to_owned()),
        _ => None,
    }
}

/// The files of a folder by the IRI of what they hold; constraints of different policies share IRIs, so each file stays a graph of its own. One
/// that cannot be read is missed by the cases that need it.
fn by_iri(folder: &Path, find: impl Fn(&Graph) -> NamedOrBlankNode) -> BTreeMap<String, Graph> {
    let read = |file: &Path| {
        let graph = graph(file)?;
        Ok((name(find(&graph).as_ref()), graph))
    };
    let graphs = files(folder, "ttl").into_iter().filter_map(|file| {
        let told = guarded(|| read(&file)).inspect_err(|error| println!("odrl: {}: {error}", file.display()));
        told.ok()
    });
    graphs.collect()
}

fn typed(graph: &Graph, kind: &NamedNode) -> NamedOrBlankNode {
    let found = graph.subjects_for_predicate_object(rdf::TYPE, kind).next();
    found.unwrap_or_else(|| panic!("nothing of type {kind}")).into_owned()
}

/// The files of the suite.
struct Suite {
    policies: BTreeMap<String, Graph>,
    requests: BTreeMap<String, Graph>,
    worlds: BTreeMap<String, Graph>,
}

/// One case: what is asked of what in which world.
struct Case<'a> {
    policy: &'a Graph,
    request: &'a Graph,
    world: &'a Graph,
    expected: Graph,
}

impl Suite {
    fn read(folder: &Path) -> Self {
        Self {
            policies: by_iri(&folder.join("policies"), root),
            requests: by_iri(&folder.join("requests"), |graph| typed(graph, &odrl("Request"))),
            worlds: by_iri(&folder.join("sotw"), |graph| typed(graph, &term(EX, "Sotw"))),
        }
    }

    fn case(&self, file: &Path) -> Result<Case<'_>, String> {
        let mut expected = graph(file)?;
        let case = typed(&expected, &term(EX, "TestCase"));
        let part = |name: &str, held| {
            let iri = iri(&expected, case.as_ref(), term(EX, name).as_ref());
            let iri = iri.ok_or_else(|| format!("the case names no {name}"))?;
            BTreeMap::get(held, &iri).ok_or_else(|| format!("no file holds {iri}, its {name}"))
        };
        let policy = part("policy", &self.policies)?;
        let (request, world) = (part("request", &self.requests)?, part("sotw", &self.worlds)?);
        let about_the_case: Vec<Triple> = expected.triples_for_subject(case.as_ref()).map(Into::into).collect();
        about_the_case.iter().for_each(|triple| {
            expected.remove(triple);
        });
        Ok(Case {
            policy,
            request,
            world,
            expected,
        })
    }

    /// The cases that can be read.
    fn cases(&self, folder: &Path) -> impl Iterator<Item = Case<'_>> {
        let files = files(&folder.join("test_cases"), "ttl").into_iter();
        files.filter_map(|file| guarded(|| self.case(&file)).ok())
    }
}

/// The three comparators, and whether each finds two reports the same.
type Verdicts = [(&'static str, bool); 3];

impl Case<'_> {
    fn verdicts(&self) -> Verdicts {
        let actual = self.actual();
        [
            ("activation", activations(&actual) == activations(&self.expected)),
            (
                "constraint states",
                constraint_states(&actual) == constraint_states(&self.expected),
            ),
            ("isomorphism", canonical(&actual) == canonical(&self.expected)),
        ]
    }

    fn policy(&self) -> Policy {
        Policy::read(&json_ld(self.policy, root(self.policy).as_ref()), &Reading::LENIENT).unwrap()
    }

    fn request(&self) -> Request {
        let asked = typed(self.request, &odrl("Permission"));
        let part = |name: &str| iri(self.request, asked.as_ref(), odrl(name).as_ref());
        Request {
            action: part("action").unwrap(),
            target: part("target"),
            assignee: part("assignee"),
        }
    }

    fn world(&self) -> World {
        let mut world = World::default();
        let now = report::now(self.world);
        world.now = Instant::read(now.value()).map(|(at, _)| at);
        for triple in self.world.triples_for_predicate(&odrl("partOf")) {
            if let Some(whole) = subject(triple.object) {
                world.part_of.insert(name(triple.subject), name(whole));
            }
        }
        for (_, rule, state) in report::duties(self.world) {
            world.deontic.insert(rule, state);
        }
        world
    }

    /// The report of this crate as a graph, in the vocabulary of the suite.
    fn actual(&self) -> Graph {
        let policy = self.policy();
        let report = evaluate(&policy, &self.request(), &self.world(), options());
        report::graph(&report, self)
    }
}

/// The suite reads a duty as one that may still be done (case 059).
fn options() -> Options {
    Options {
        duties: DutyMode::Eventual,
    }
}

/// The rules of a report: which, of which kind, in force or not.
fn activations(report: &Graph) -> BTreeSet<(String, String, String)> {
    let rules = report
        .triples_for_predicate(&term(REPORT, "ruleReport"))
        .filter_map(|triple| subject(triple.object));
    let part = |node, name: &str| iri(report, node, term(REPORT, name).as_ref()).unwrap_or_default();
    let of = |node| {
        (
            part(node, "rule"),
            iri(report, node, rdf::TYPE).unwrap_or_default(),
            part(node, "activationState"),
        )
    };
    rules.map(of).collect()
}

/// The constraints that the rules of a report lead to, with what became of them.
fn constraint_states(report: &Graph) -> BTreeSet<(String, String)> {
    let premise = term(REPORT, "premiseReport");
    let rules = report
        .triples_for_predicate(&term(REPORT, "ruleReport"))
        .filter_map(|triple| subject(triple.object));
    let (mut open, mut states): (Vec<_>, _) = (rules.collect(), BTreeSet::new());
    while let Some(node) = open.pop() {
        open.extend(report.objects_for_subject_predicate(node, &premise).filter_map(subject));
        if let Some(constraint) = iri(report, node, term(REPORT, "constraint").as_ref()) {
            let state = iri(report, node, term(REPORT, "satisfactionState").as_ref());
            states.insert((constraint, state.unwrap_or_default()));
        }
    }
    states
}

/// The same graph in canonical form; the names of its reports are nothing but names.
fn canonical(report: &Graph) -> Graph {
    let reports: BTreeSet<String> = report.iter().map(|triple| name(triple.subject)).collect();
    let mut blanks = BTreeMap::new();
    let mut blank = |named: String| {
        let number = blanks.len();
        blanks
            .entry(named)
            .or_insert_with(|| BlankNode::new(format!("r{number}")).unwrap())
            .clone()
    };
    let mut renamed = Graph::new();
    for triple in report {
        let object = match subject(triple.object).map(name).filter(|name| reports.contains(name)) {
            Some(name) => Term::from(blank(name)),
            None => triple.object.into_owned(),
        };
        renamed.insert(&Triple::new(
            blank(name(triple.subject)),
            triple.predicate.into_owned(),
            object,
        ));
    }
    renamed.canonicalize(CanonicalizationAlgorithm::Unstable);
    renamed
}

/// Whether an expected report points to a report that its file does not hold.
fn dangling(expected: &Graph) -> bool {
    ["ruleReport", "premiseReport"].iter().any(|link| {
        let link = term(REPORT, link);
        let linked: Vec<_> = expected
            .triples_for_predicate(&link)
            .map(|triple| triple.object)
            .collect();
        let is_there = |term| subject(term).is_some_and(|node| expected.triples_for_subject(node).next().is_some());
        !linked.into_iter().all(is_there)
    })
}

#[test]
fn every_case_gets_the_report_that_is_expected() {
    let Some(folder) = folder("odrl") else { return };
    let suite = Suite::read(&folder);
    let (mut cases, mut defective, mut misses) = (0, 0, Vec::new());
    let mut scores = BTreeMap::from([("activation", 0), ("constraint states", 0), ("isomorphism", 0)]);
    for file in files(&folder.join("test_cases"), "ttl") {
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        cases += 1;
        let judged = guarded(|| {
            let case = suite.case(&file)?;
            Ok((case.verdicts(), dangling(&case.expected)))
        });
        let (verdicts, dangling) = match judged {
            Ok(judged) => judged,
            Err(error) => {
                misses.push(format!("{name}: {error}"));
                continue;
            }
        };
        let named = DEFECTIVE.iter().find(|(defective, _)| *defective == name);
        if named.is_some() != dangling {
            misses.push(format!(
                "{name}: its expected report is defective, or named so, but not both"
            ));
        }
        defective += usize::from(named.is_some());
        for (comparator, same) in verdicts {
            *scores.get_mut(comparator).unwrap() += usize::from(same);
            let excused = named.is_some() && comparator != "activation";
            // A defective report that suddenly fits would mean that the comparator sees nothing.
            if same == excused {
                misses.push(format!("{name}: {comparator}"));
            }
        }
    }
    for (comparator, right) in &scores {
        println!("odrl: {comparator} {right} of {cases}");
    }
    for (name, defect) in DEFECTIVE {
        println!("odrl: {name} cannot match beyond activation: {defect}");
    }
    assert!(misses.is_empty(), "{}", misses.join("\n"));
    assert_eq!(scores["isomorphism"] + defective, cases);
}

#[test]
fn a_calendar_of_hundreds_of_windows_is_judged_in_no_time() {
    let Some(folder) = folder("odrl") else { return };
    let suite = Suite::read(&folder);
    let Some(largest) = suite.cases(&folder).max_by_key(|case| case.policy.len()) else {
        panic!("no case can be read");
    };
    let (policy, request, world) = (largest.policy(), largest.request(), largest.world());
    let times = (0..101).map(|_| {
        let begun = Clock::now();
        let report = evaluate(&policy, &request, &world, options());
        assert!(!report.rules.is_empty());
        begun.elapsed()
    });
    let mut times: Vec<Duration> = times.collect();
    times.sort();
    println!(
        "odrl: {} triples of policy judged in {:?} (median of {})",
        largest.policy.len(),
        times[50],
        times.len()
    );
    assert!(times[0] < Duration::from_millis(20), "{:?}", times[0]);
}

#[test]
fn the_comparators_see_a_changed_report() {
    let Some(folder) = folder("odrl") else { return };
    let suite = Suite::read(&folder);
    let telling = |case: &Case<'_>| !dangling(&case.expected) && !constraint_states(&case.expected).is_empty();
    let case = suite.cases(&folder).find(telling).unwrap();
    for (from, to) in [
        ("Active", "Inactive"),
        ("Inactive", "Active"),
        ("Satisfied", "Unsatisfied"),
        ("Unsatisfied", "Satisfied"),
    ] {
        let (from, to) = (term(REPORT, from), term(REPORT, to));
        let changed: Graph = case
            .expected
            .iter()
            .map(|triple| {
                let object = if triple.object == from.as_ref().into() {
                    to.clone().into()
                } else {
                    triple.object.into_owned()
                };
                Triple::new(triple.subject.into_owned(), triple.predicate.into_owned(), object)
            })
            .collect();
        if changed == case.expected {
            continue;
        }
        let same = (
            activations(&changed) == activations(&case.expected),
            constraint_states(&changed) == constraint_states(&case.expected),
        );
        assert_eq!(same.0, !from.as_str().contains("ctive"));
        assert_eq!(same.1, !from.as_str().contains("atisfied"));
        assert_ne!(canonical(&changed), canonical(&case.expected));
    }
}

#[test]
fn an_odd_file_is_missed_by_the_cases_that_need_it() {
    let case = |policy: &str| {
        format!("<urn:c> a <{EX}TestCase> ; <{EX}policy> <urn:{policy}> ; <{EX}request> <urn:r> ; <{EX}sotw> <urn:w> .")
    };
    let odrl = |turtle: &str| format!("@prefix odrl: <{ODRL}> . {turtle}");
    let time = "<http://example.com/request/currentTime>";
    let texts = [
        (
            "policies/nameless.ttl",
            odrl(
                "<urn:p> odrl:permission [ odrl:action odrl:use ; odrl:constraint [
            odrl:leftOperand odrl:count ; odrl:operator odrl:lt ; odrl:rightOperand 5 ] ] .",
            ),
        ),
        ("policies/unreadable.ttl", "<urn:q> odrl:permission".to_owned()),
        (
            "requests/r.ttl",
            odrl("<urn:r> a odrl:Request ; odrl:permission [ a odrl:Permission ; odrl:action odrl:use ] ."),
        ),
        (
            "sotw/w.ttl",
            format!("<urn:w> a <{EX}Sotw> . {time} <{DCT}issued> \"2026-01-01T00:00:00Z\" ."),
        ),
        ("test_cases/fine.ttl", case("p")),
        ("test_cases/without.ttl", case("q")),
        ("test_cases/empty.ttl", String::new()),
    ];
    let folder = made("odrl", &texts.each_ref().map(|(file, text)| (*file, text.as_str())));
    let suite = Suite::read(&folder);
    let cases: Vec<_> = suite.cases(&folder).collect();
    assert_eq!(cases.len(), 1);
    // Nothing is expected of it, and its report is written all the same.
    assert!(guarded(|| Ok(cases[0].verdicts())).is_ok_and(|verdicts| verdicts.iter().all(|(_, same)| !same)));
}

/// The states of duties as the suite names them.
fn deontic(name: &str) -> Deontic {
    match name.strip_prefix(REPORT) {
        Some("Fulfilled") => Deontic::Fulfilled,
        Some("Violated") => Deontic::Violated,
        Some("NonSet") => Deontic::NotSet,
        other => panic!("{other:?} is no state of a duty"),
    }
}
