//! Logs of events that comply with a policy, or do not: policies in Turtle, events in CSV.

use crate::{
    shared::folder,
    turtle::{ODRL, files, graph, json_ld, root},
};
use policy::odrl::{Event, Instant, Of, Policy, Reading, Request, World, comply};
use std::{collections::BTreeMap, fs, path::Path};

#[test]
fn every_log_is_judged_as_its_authors_did() {
    let Some(folder) = folder("odrl-logs") else { return };
    let (mut right, mut misses) = (0, Vec::new());
    for (part, complies) in [("valid", true), ("invalid", false)] {
        for file in files(&folder.join(part), "ttl") {
            match judge(&file) {
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
    let graph = graph(file);
    let policy =
        Policy::read(&json_ld(&graph, root(&graph).as_ref()), &Reading::LENIENT).map_err(|error| error.to_string())?;
    let events = events(&fs::read_to_string(file.with_extension("csv")).unwrap())?;
    let breaches = comply(&policy, &events, &World::default());
    Ok(breaches.into_iter().map(|breach| format!("{breach:?}")).collect())
}

/// The events of a log. The first four columns say when, who, what and to what; a later one names a left operand, after the term of ODRL of
/// which it is, where it is of one.
fn events(csv: &str) -> Result<Vec<Event>, String> {
    let mut lines = csv.lines().filter(|line| !line.trim().is_empty()).map(cells);
    let header: Vec<Column> = lines
        .next()
        .ok_or("no header")?
        .iter()
        .map(|title| column(title))
        .collect();
    lines.map(|cells| event(&header, &cells)).collect()
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
            Some("Asset") => (Of::Target, operand),
            _ => panic!("{of} has no operands"),
        },
    };
    Column::Operand(of, operand.trim().to_owned())
}

fn event(header: &[Column], cells: &[String]) -> Result<Event, String> {
    let (mut request, mut at, mut operands) = (Request::default(), None, BTreeMap::new());
    for (column, cell) in header.iter().zip(cells.iter().map(Some).chain(std::iter::repeat(None))) {
        let cell = cell
            .map(|cell| cell.trim())
            .filter(|cell| !cell.is_empty())
            .map(str::to_owned);
        match column {
            Column::Party => request.assignee = cell,
            Column::Action => request.action = cell.ok_or("an event without action")?,
            Column::Asset => request.target = cell,
            Column::Operand(Of::World, operand) if operand.strip_prefix(ODRL) == Some("dateTime") => {
                let text = cell.ok_or("an event without time")?;
                let (read, _) = Instant::read(&text).ok_or_else(|| format!("{text} is no time"))?;
                at = Some(read);
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

/// The cells of a line; a cell in double quotes may hold commas, and doubled quotes.
fn cells(line: &str) -> Vec<String> {
    let (mut cells, mut quoted) = (vec![String::new()], false);
    let mut chars = line.trim_end_matches('\r').chars().peekable();
    while let Some(c) = chars.next() {
        let cell = cells.last_mut().unwrap();
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                cell.push('"');
                chars.next();
            }
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(String::new()),
            c => cell.push(c),
        }
    }
    cells
}
