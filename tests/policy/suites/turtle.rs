//! Turtle as the JSON-LD that the crate reads. Nothing here knows ODRL, but that a policy is a tree below its node.

use oxrdf::{
    Graph, NamedNode, NamedNodeRef, NamedOrBlankNode, NamedOrBlankNodeRef, TermRef,
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

/// The files of a folder with an ending, in the order of their names.
pub(crate) fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries
        .filter(|path| path.extension().is_some_and(|found| found == ending))
        .collect();
    files.sort();
    files
}

/// Reads one Turtle file.
pub(crate) fn graph(file: &Path) -> Graph {
    let text = fs::read(file).unwrap();
    let triples = TurtleParser::new().for_slice(&text);
    triples
        .map(|triple| triple.unwrap_or_else(|error| panic!("{}: {error}", file.display())))
        .collect()
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
        let (key, value) = if triple.predicate == rdf::TYPE {
            ("@type", json!(name(triple.object)))
        } else {
            (triple.predicate.as_str(), value(graph, triple.object, line))
        };
        match object.entry(key).or_insert_with(|| json!([])) {
            Json::Array(values) => values.push(value),
            _ => unreachable!("every member but @id is an array"),
        }
    }
    line.pop();
    Json::Object(object)
}

fn name(term: TermRef<'_>) -> &str {
    match term {
        TermRef::NamedNode(node) => node.as_str(),
        _ => panic!("{term} is no name"),
    }
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

/// The items of an RDF list.
fn list<'a>(graph: &'a Graph, node: NamedOrBlankNodeRef<'_>) -> Option<Vec<TermRef<'a>>> {
    one(graph, node, rdf::FIRST)?;
    let (mut items, mut at) = (Vec::new(), node.into_owned());
    while let Some(item) = one(graph, at.as_ref(), rdf::FIRST) {
        items.push(item);
        let rest = one(graph, at.as_ref(), rdf::REST);
        at = subject(rest?)?.into_owned();
        assert!(items.len() <= graph.len(), "a list that never ends");
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

/// The one object of a subject under a predicate.
pub(crate) fn one<'a>(
    graph: &'a Graph,
    subject: NamedOrBlankNodeRef<'_>,
    predicate: NamedNodeRef<'_>,
) -> Option<TermRef<'a>> {
    graph.object_for_subject_predicate(subject, predicate)
}
