//! Logs of events that comply with a policy, or do not: policies in Turtle, events in CSV.

use crate::{
    csv,
    shared::{folder, guarded},
    turtle::{self, ODRL, files, json_ld, name, odrl, subject, triples},
};
use oxrdf::{Graph, NamedNodeRef, NamedOrBlankNode, TermRef, Triple};
use policy::{
    Action,
    odrl::{Event, Hierarchy, Instant, Of, Policy, Reading, Request, World, comply},
};
use std::{collections::BTreeMap, fs, path::Path};

#[test]
fn every_log_is_judged_as_its_authors_did() {
    let Some(folder) = folder("odrl-logs") else { return };
    let (mut right, mut misses) = (0, Vec::new());
    for (part, complies) in [("valid", true), ("invalid", false)] {
        for file in files(&folder.join(part), "ttl") {
            match guarded(|| judge(&file)) {
                Ok(breaches) if breaches.is_empty() == complies => right += 1,
                Ok(breaches) => misses.push(format!("{}: {breaches:?}\n{}", file.display(), why(&file))),
                Err(error) => misses.push(format!("{}: {error}\n{}", file.display(), why(&file))),
            }
        }
    }
    println!("logs: {right} of {}", right + misses.len());
    assert!(misses.is_empty(), "{}", misses.join("\n"));
}

fn why(file: &Path) -> String {
    fs::read_to_string(file.with_extension("txt")).unwrap_or_default()
}

/// What breaks the policy of a file in the log beside it.
fn judge(file: &Path) -> Result<Vec<String>, String> {
    let log = file.with_extension("csv");
    let log = fs::read_to_string(&log).map_err(|error| format!("{}: {error}", log.display()))?;
    let triples = triples(file)?;
    let graph = triples.iter().collect();
    let policy = policy(&graph, &triples)?;
    let events = events(&log)?;
    let breaches = comply(&policy, &events, &world(&graph));
    Ok(breaches.into_iter().map(|breach| format!("{breach:?}")).collect())
}

/// What a file lays down: the rules of all its policies, but of those that another one there inherits from, which brings them in itself.
fn policy(graph: &Graph, triples: &[Triple]) -> Result<Policy, String> {
    let inherited = |node: &NamedOrBlankNode| {
        let mut parents = graph.triples_for_predicate(&odrl("inheritFrom"));
        parents.any(|triple| subject(triple.object) == Some(node.as_ref()))
    };
    let parent = |iri: &str| {
        let node = NamedNodeRef::new(iri).ok()?;
        graph.triples_for_subject(node).next()?;
        Some(json_ld(graph, node.into()))
    };
    let nodes = turtle::policies(triples);
    let own = nodes.iter().filter(|node| !inherited(node));
    let read = own.map(|node| Policy::resolve(&json_ld(graph, node.as_ref()), &Reading::LENIENT, parent));
    let policies: Vec<Policy> = read.collect::<Result<_, _>>().map_err(|error| error.to_string())?;
    let whole = policies.into_iter().reduce(|mut all, more| {
        all.permissions.extend(more.permissions);
        all.prohibitions.extend(more.prohibitions);
        all.obligations.extend(more.obligations);
        // Where they settle conflicts differently, prohibitions win.
        all.conflict = all.conflict.max(more.conflict);
        all
    });
    whole.ok_or_else(|| "no policy in the file".to_owned())
}

/// What a file says of what belongs to what, and of which actions are included in which (ODRL 2.2, Vocabulary §4.4).
fn world(graph: &Graph) -> World {
    let below = |relation: &str| {
        let mut hierarchy = Hierarchy::default();
        for triple in graph.triples_for_predicate(&odrl(relation)) {
            if let TermRef::NamedNode(whole) = triple.object {
                hierarchy.insert(name(triple.subject), whole.as_str());
            }
        }
        hierarchy
    };
    let mut concepts = below("includedIn");
    for triple in graph.triples_for_predicate(&odrl("includedIn")) {
        let known = subject(triple.object).and_then(|wider| Action::read(&name(wider)));
        for action in std::iter::successors(known, |action| action.included_in()) {
            if let Some(wider) = action.included_in() {
                concepts.insert(action.iri(), wider.iri());
            }
        }
    }
    World {
        part_of: below("partOf"),
        concepts,
        ..World::default()
    }
}

/// The events of a log. The first four columns say when, who, what and to what; a later one names a left operand, after the term of ODRL of
/// which it is, where it is of one.
fn events(csv: &str) -> Result<Vec<Event>, String> {
    let mut rows = csv::rows(csv).into_iter();
    let header = rows.next().ok_or("no header")?;
    let header: Vec<Column> = header.iter().map(|title| column(title)).collect();
    rows.map(|cells| event(&header, &cells)).collect()
}

enum Column {
    Party,
    Action,
    Asset,
    Operand(Of, String),
}

fn column(title: &str) -> Column {
    let local = |name: &str| name.strip_prefix(ODRL).map(str::to_owned);
    let (of, operand) = match title.split_once(' ') {
        None => match local(title).as_deref() {
            Some("Party") => return Column::Party,
            Some("Action") => return Column::Action,
            Some("Asset") => return Column::Asset,
            _ => (Of::World, title),
        },
        Some((of, operand)) => match local(of).as_deref() {
            Some("Party") => (Of::Party, operand),
            Some("Action") => (Of::Action, operand),
            Some("Asset" | "Target") => (Of::Target, operand),
            // Whatever else it is of, no rule asks of that.
            _ => (Of::World, title),
        },
    };
    Column::Operand(of, operand.trim().to_owned())
}

fn event(header: &[Column], cells: &[String]) -> Result<Event, String> {
    let (mut request, mut at, mut operands) = (Request::default(), None, BTreeMap::new());
    for (column, cell) in header.iter().zip(cells.iter().map(Some).chain(std::iter::repeat(None))) {
        let cell = cell.filter(|cell| !cell.is_empty()).cloned();
        match column {
            Column::Party => request.assignee = cell,
            Column::Action => request.action = cell.ok_or("an event without action")?,
            Column::Asset => request.target = cell,
            Column::Operand(Of::World, operand) if operand.strip_prefix(ODRL) == Some("dateTime") => {
                let text = cell.ok_or("an event without time")?;
                at = Some(moment(&text).ok_or_else(|| format!("{text} is no time"))?);
            }
            Column::Operand(of, operand) => {
                operands.insert((*of, operand.clone()), cell);
            }
        }
    }
    Ok(Event {
        at: at.ok_or("an event without time")?,
        request,
        cells: operands,
    })
}

/// When an event was. Tables write a space for the `T`, and a day for its beginning.
fn moment(text: &str) -> Option<Instant> {
    let written = [text.replacen(' ', "T", 1), format!("{text}T00:00:00")];
    written.iter().find_map(|text| Instant::read(text)).map(|(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::made;

    const PREFIXES: &str = "@prefix odrl: <http://www.w3.org/ns/odrl/2/> . @prefix : <urn:> .\n";

    /// What becomes of a policy beside a log, of which every `odrl:` stands for the whole name.
    fn judged(name: &str, turtle: &str, log: &str) -> String {
        let (turtle, log) = (format!("{PREFIXES}{turtle}"), log.replace("odrl:", ODRL));
        let folder = made(
            "odrl-logs",
            &[(&format!("{name}.ttl"), &turtle), (&format!("{name}.csv"), &log)],
        );
        match guarded(|| judge(&folder.join(format!("{name}.ttl")))) {
            Ok(breaches) if breaches.is_empty() => "complies".to_owned(),
            Ok(breaches) => breaches.join(", "),
            Err(_) => "a miss".to_owned(),
        }
    }

    fn log(rows: &str) -> String {
        format!("odrl:dateTime,odrl:Party,odrl:Action,odrl:Asset\n{rows}")
    }

    const PRINT: &str = "2026-01-11T11:43:10,urn:john,odrl:print,urn:d";

    #[test]
    fn what_a_file_says_of_collections_and_actions_holds() {
        let asset = ":p odrl:permission [ odrl:action odrl:print ; odrl:target :c ] .";
        assert_ne!(judged("asset", asset, &log(PRINT)), "complies");
        assert_eq!(
            judged("assets", &format!("{asset} :d odrl:partOf :c ."), &log(PRINT)),
            "complies"
        );
        let party = ":p odrl:permission [ odrl:action odrl:print ; odrl:assignee [ a odrl:PartyCollection ; odrl:source :c ] ] .";
        assert_eq!(
            judged("party", &format!("{party} :john odrl:partOf :c ."), &log(PRINT)),
            "complies"
        );
        let train = log(&PRINT.replace("odrl:print", "urn:train"));
        let anything = ":p odrl:permission [ odrl:action odrl:use ] .";
        assert_ne!(judged("train", anything, &train), "complies");
        for wider in ["use", "display", "extract"] {
            let included = format!("{anything} :train odrl:includedIn odrl:{wider} .");
            assert_eq!(judged(wider, &included, &train), "complies");
        }
    }

    #[test]
    fn all_policies_of_a_file_hold() {
        let both = log(&format!("{PRINT}\n{}", PRINT.replace("print", "display")));
        let two = ":p odrl:permission [ odrl:action odrl:print ] . :q odrl:permission [ odrl:action odrl:display ] .";
        assert_eq!(judged("two", two, &both), "complies");
        let inherits = ":p odrl:inheritFrom :q ; odrl:target :d ; odrl:permission [ odrl:action odrl:print ] .
            :q a odrl:Set ; odrl:permission [ odrl:action odrl:display ] .";
        assert_eq!(judged("inherits", inherits, &both), "complies");
        let forbids = format!("{two} :r odrl:prohibition [ odrl:action odrl:print ] .");
        assert!(judged("forbids", &forbids, &both).starts_with("Forbidden"));
    }

    #[test]
    fn a_log_is_read_whatever_program_wrote_it() {
        let policy = ":p odrl:permission [ odrl:action odrl:print ] .";
        let marked = format!("\u{feff}{}", log(PRINT).replace('\n', "\r\n"));
        assert_eq!(judged("marked", policy, &marked), "complies");
        for time in ["2026-01-11", "2026-01-11 11:43:10", "2026-01-11T11:43Z"] {
            assert_eq!(
                judged("time", policy, &log(&PRINT.replace("2026-01-11T11:43:10", time))),
                "complies",
                "{time}"
            );
        }
        let pages = "odrl:dateTime,odrl:Party,odrl:Action,odrl:Asset,odrl:Target urn:pages,a note\n";
        let few = ":p odrl:permission [ odrl:action odrl:print ; odrl:target [ odrl:source :d ; odrl:refinement [
            odrl:leftOperand :pages ; odrl:operator odrl:lt ; odrl:rightOperand 5 ] ] ] .";
        assert_eq!(judged("few", few, &format!("{pages}{PRINT},4,x")), "complies");
        assert_ne!(judged("many", few, &format!("{pages}{PRINT},6,x")), "complies");
    }

    #[test]
    fn an_odd_file_is_one_miss() {
        let policy = ":p odrl:permission [ odrl:action odrl:print ] .";
        assert_eq!(judged("turtle", "odrl:permission", &log(PRINT)), "a miss");
        assert_eq!(judged("empty", "", &log(PRINT)), "a miss");
        assert_eq!(judged("header", policy, ""), "a miss");
        assert_eq!(
            judged(
                "never",
                policy,
                &log(&PRINT.replace("2026-01-11T11:43:10", "yesterday"))
            ),
            "a miss"
        );
        assert_eq!(judged("typed", &format!("{policy} :p a [] ."), &log(PRINT)), "complies");
        let alone = made("odrl-logs", &[("alone.ttl", policy)]).join("alone.ttl");
        assert!(judge(&alone).is_err_and(|error| error.contains("alone.csv")));
    }
}
