//! Turtle as the JSON-LD that the crate reads. Nothing here knows ODRL, but that a policy is a tree below its node.

use oxrdf::{
    Graph, NamedNode, NamedNodeRef, NamedOrBlankNode, NamedOrBlankNodeRef, Term, TermRef, Triple,
    vocab::{rdf, xsd},
};
use oxttl::TurtleParser;
use serde_json::{Map, Value as Json, json};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Namespaces of the suites.
pub(crate) const ODRL: &str = "http://www.w3.org/ns/odrl/2/";

/// A term of ODRL.
pub(crate) fn odrl(name: &str) -> NamedNode {
    NamedNode::new(format!("{ODRL}{name}")).unwrap()
}

/// The files of a folder with an ending, in the order of their names; none of a folder that is not there.
pub(crate) fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|found| found == ending))
        .collect();
    files.sort();
    files
}

/// What one Turtle file says, in the order in which it is written.
pub(crate) fn triples(file: &Path) -> Result<Vec<Triple>, String> {
    let text = fs::read(file).map_err(|error| error.to_string())?;
    let triples = TurtleParser::new().for_slice(&text).collect::<Result<_, _>>();
    triples.map_err(|error| error.to_string())
}

/// Reads one Turtle file.
pub(crate) fn graph(file: &Path) -> Result<Graph, String> {
    Ok(triples(file)?.iter().collect())
}

/// The policies that a file speaks of, in their order: what has rules, inherits, or says that it is a policy.
pub(crate) fn policies(triples: &[Triple]) -> Vec<NamedOrBlankNode> {
    const MEMBERS: [&str; 4] = ["permission", "prohibition", "obligation", "inheritFrom"];
    const TYPES: [&str; 8] = [
        "Policy",
        "Set",
        "Offer",
        "Agreement",
        "Request",
        "Assertion",
        "Privacy",
        "Ticket",
    ];
    let of_odrl = |iri: &str, names: &[&str]| iri.strip_prefix(ODRL).is_some_and(|local| names.contains(&local));
    let mut policies = Vec::new();
    for triple in triples {
        let typed = triple.predicate == rdf::TYPE
            && matches!(&triple.object, Term::NamedNode(kind) if of_odrl(kind.as_str(), &TYPES));
        if (typed || of_odrl(triple.predicate.as_str(), &MEMBERS)) && !policies.contains(&triple.subject) {
            policies.push(triple.subject.clone());
        }
    }
    policies
}

/// The subject of which a graph says something and that nothing else points to; the policy of a file that holds one.
pub(crate) fn root(graph: &Graph) -> NamedOrBlankNode {
    let rules = [odrl("permission"), odrl("prohibition"), odrl("obligation")];
    let mut with_rules = graph
        .iter()
        .filter(|triple| rules.iter().any(|rule| rule.as_ref() == triple.predicate));
    with_rules.next().expect("a policy with a rule").subject.into_owned()
}

/// The node and all below it as JSON-LD with full IRIs. A node that lies below itself is named there, and not written again.
pub(crate) fn json_ld(graph: &Graph, node: NamedOrBlankNodeRef<'_>) -> Json {
    write(graph, node, &mut Vec::new())
}

fn write(graph: &Graph, node: NamedOrBlankNodeRef<'_>, line: &mut Vec<NamedOrBlankNode>) -> Json {
    let mut object = Map::new();
    if let NamedOrBlankNodeRef::NamedNode(node) = node {
        object.insert("@id".to_owned(), json!(node.as_str()));
    }
    if line.iter().any(|above| above.as_ref() == node) {
        return Json::Object(object);
    }
    line.push(node.into_owned());
    for triple in graph.triples_for_subject(node) {
        let (key, value) = match triple.object {
            TermRef::NamedNode(kind) if triple.predicate == rdf::TYPE => ("@type", json!(kind.as_str())),
            // A type without a name says nothing.
            _ if triple.predicate == rdf::TYPE => continue,
            object => (triple.predicate.as_str(), value(graph, object, line)),
        };
        match object.entry(key).or_insert_with(|| json!([])) {
            Json::Array(values) => values.push(value),
            _ => unreachable!("every member but @id is an array"),
        }
    }
    line.pop();
    Json::Object(object)
}

fn value(graph: &Graph, term: TermRef<'_>, line: &mut Vec<NamedOrBlankNode>) -> Json {
    let node: NamedOrBlankNodeRef<'_> = match term {
        TermRef::Literal(literal) if literal.datatype() == xsd::STRING => return json!(literal.value()),
        TermRef::Literal(literal) => return json!({"@value": literal.value(), "@type": literal.datatype().as_str()}),
        TermRef::NamedNode(node) => node.into(),
        TermRef::BlankNode(node) => node.into(),
    };
    match list(graph, node) {
        Some(items) => json!({"@list": items.into_iter().map(|item| value(graph, item, line)).collect::<Vec<_>>()}),
        None => write(graph, node, line),
    }
}

/// The items of an RDF list; nothing when it never ends.
pub(crate) fn list<'a>(graph: &'a Graph, node: NamedOrBlankNodeRef<'_>) -> Option<Vec<TermRef<'a>>> {
    one(graph, node, rdf::FIRST)?;
    let (mut items, mut at) = (Vec::new(), node.into_owned());
    while let Some(item) = one(graph, at.as_ref(), rdf::FIRST) {
        items.push(item);
        let rest = one(graph, at.as_ref(), rdf::REST);
        at = subject(rest?)?.into_owned();
        if items.len() > graph.len() {
            return None;
        }
    }
    Some(items)
}

/// A term as something that can be said something of.
pub(crate) fn subject(term: TermRef<'_>) -> Option<NamedOrBlankNodeRef<'_>> {
    match term {
        TermRef::NamedNode(node) => Some(node.into()),
        TermRef::BlankNode(node) => Some(node.into()),
        TermRef::Literal(_) => None,
    }
}

/// The IRI of a node, or what a file calls it.
pub(crate) fn name(node: NamedOrBlankNodeRef<'_>) -> String {
    match node {
        NamedOrBlankNodeRef::NamedNode(node) => node.as_str().to_owned(),
        NamedOrBlankNodeRef::BlankNode(node) => node.to_string(),
    }
}

/// The one object of a subject under a predicate.
pub(crate) fn one<'a>(
    graph: &'a Graph,
    subject: NamedOrBlankNodeRef<'_>,
    predicate: NamedNodeRef<'_>,
) -> Option<TermRef<'a>> {
    graph.object_for_subject_predicate(subject, predicate)
}

#[test]
fn what_is_odd_in_a_file_is_read_or_refused() {
    let read = |turtle: &str| -> Vec<Triple> {
        let text = format!(
            "@prefix odrl: <{ODRL}> . @prefix rdf: <{}> . {turtle}",
            "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
        );
        TurtleParser::new()
            .for_slice(text.as_bytes())
            .map(Result::unwrap)
            .collect()
    };
    let forbids = read(
        "<urn:a> odrl:permission [] . <urn:b> odrl:prohibition [] . <urn:c> a odrl:Offer . <urn:d> a odrl:Asset .",
    );
    let names: Vec<String> = policies(&forbids).iter().map(ToString::to_string).collect();
    assert_eq!(names, ["<urn:a>", "<urn:b>", "<urn:c>"]);
    let json = |turtle: &str| {
        json_ld(
            &read(turtle).iter().collect(),
            NamedNodeRef::new("urn:a").unwrap().into(),
        )
    };
    assert_eq!(json("<urn:a> a [], \"b\" ."), json!({"@id": "urn:a"}));
    let endless = json("<urn:a> odrl:and <urn:b> . <urn:b> rdf:first 1 ; rdf:rest <urn:b> .");
    assert_eq!(endless[&format!("{ODRL}and")][0]["@id"], "urn:b");
    assert!(graph(Path::new("nowhere.ttl")).is_err());
    assert!(files(Path::new("nowhere"), "ttl").is_empty());
}
