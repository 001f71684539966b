//! Whether everything that happened complies with a policy: a log of events instead of one request.
//!
//! - Every event must be permitted: some permission covers it, and each duty of that permission was done by then. A duty that was done too late
//!   needs its consequences as well, and they count from the use onwards, never beforehand (ODRL 2.2 §2.6.6).
//! - No event may be prohibited, unless every remedy was done after it (ODRL 2.2 §2.6.7). A prohibition stands above a permission unless the
//!   policy says `perm`.
//! - Every obligation must have been done by some event; one that was done outside its constraints needs its consequences as well, and they
//!   count from then onwards, or from when it could no longer be done in time.
//! - Whoever does a duty, a remedy or a consequence does it for all, unless it names a party.
//! - What the log has no column for is open, and what is compared with it holds. An empty cell says that the event has no such value.
//! - A cell has the type of what it is compared with. Where the policy wrote a plain string, a cell of the same shape is compared by value.
//! - `count`, where the log does not record it, is how often the rule has been exercised, this event included.

use super::{
    Comparison, Constraint, Decimal, Deontic, Duty, Instant, Of, Permission, Policy, Request, State, Statement, Value,
    World, evaluate::Asked, model::Conflict, operator::same, read::by_shape,
};
use crate::{Truth, vocabulary::ODRL};
use std::collections::BTreeMap;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub at: Instant,
    /// What was done, to what, by whom.
    pub request: Request,
    /// What the log records of it, as it is written: by what it is of and by the full IRI of the left operand. An empty cell is none.
    pub cells: BTreeMap<(Of, String), Option<String>>,
}

/// Why a log does not comply. Events are counted in the order in which they were given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Breach<'a> {
    /// Nothing permits this event.
    NotPermitted {
        /// Which.
        event: usize,
    },
    /// It would be permitted if these duties had been done.
    DutiesOpen {
        /// Which event.
        event: usize,
        /// The duties of the permissions that cover it.
        duties: Vec<&'a str>,
    },
    /// It is prohibited and not made good.
    Forbidden {
        /// Which event.
        event: usize,
        /// The prohibition.
        rule: &'a str,
    },
    /// Nobody did this.
    ObligationOpen {
        /// The obligation.
        rule: &'a str,
    },
}

/// Everything in which a log does not comply with a policy; nothing when it does. `world` holds the hierarchies in which names are compared.
pub fn comply<'a>(policy: &'a Policy, events: &[Event], world: &World) -> Vec<Breach<'a>> {
    let mut in_time: Vec<(usize, &Event)> = events.iter().enumerate().collect();
    in_time.sort_by_key(|(_, event)| event.at);
    let log = Log { events: in_time, world };
    let permitted = log.permitted(&policy.permissions);
    let mut breaches = log.forbidden(policy, &permitted);
    breaches.extend(permitted.into_values().flatten());
    let open = policy.obligations.iter().filter(|obligation| !log.done(obligation));
    breaches.extend(open.map(|obligation| Breach::ObligationOpen {
        rule: &obligation.statement.id,
    }));
    breaches
}

/// The events in the order of time, with their places in the order in which they were given.
struct Log<'e> {
    events: Vec<(usize, &'e Event)>,
    world: &'e World,
}

/// An event that a statement speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Hit {
    event: usize,
    at: Instant,
}

/// A duty with what was done for it.
struct Doing<'a> {
    duty: &'a Duty,
    done: Vec<Hit>,
    consequences: Vec<Vec<Hit>>,
}

impl Log<'_> {
    /// The events of which a statement holds at least this much, in the order of time.
    fn hits(&self, statement: &Statement, least: Truth) -> Vec<Hit> {
        let mut count = 0;
        let mut hits = Vec::new();
        for &(place, event) in &self.events {
            let covers = |count| {
                let state = Row {
                    event,
                    count,
                    missing: Truth::True,
                    world: self.world,
                };
                let request = &event.request;
                let asked = Asked { request, state: &state };
                asked.covers(statement) >= least
            };
            if !covers(None) {
                continue;
            }
            count += 1;
            if covers(Some(count)) {
                hits.push(Hit {
                    event: place,
                    at: event.at,
                });
            }
        }
        hits
    }

    /// Every event, with the reason why it is not permitted where it is not.
    fn permitted<'a>(&self, permissions: &'a [Permission]) -> BTreeMap<usize, Option<Breach<'a>>> {
        let nothing = |&(event, _): &(usize, &Event)| (event, Some(Breach::NotPermitted { event }));
        let mut verdicts: BTreeMap<usize, Option<Breach<'a>>> = self.events.iter().map(nothing).collect();
        for permission in permissions {
            let duties: Vec<Doing<'a>> = permission.duties.iter().map(|duty| self.doing(duty)).collect();
            for hit in self.hits(&permission.statement, Truth::True) {
                let open: Vec<&str> = duties
                    .iter()
                    .filter(|doing| !doing.was_done_for(hit))
                    .map(Doing::id)
                    .collect();
                let verdict = verdicts.entry(hit.event).or_default();
                *verdict = match verdict.take() {
                    None => None,
                    Some(_) if open.is_empty() => None,
                    Some(Breach::DutiesOpen { event, mut duties }) => {
                        duties.extend(open);
                        Some(Breach::DutiesOpen { event, duties })
                    }
                    Some(_) => Some(Breach::DutiesOpen {
                        event: hit.event,
                        duties: open,
                    }),
                };
            }
        }
        verdicts
    }

    fn forbidden<'a>(&self, policy: &'a Policy, permitted: &BTreeMap<usize, Option<Breach<'a>>>) -> Vec<Breach<'a>> {
        let mut breaches = Vec::new();
        for prohibition in &policy.prohibitions {
            let remedies: Vec<Vec<Hit>> = prohibition
                .remedies
                .iter()
                .map(|remedy| self.hits(remedy, Truth::True))
                .collect();
            for hit in self.hits(&prohibition.statement, Truth::Unknown) {
                let outweighed = policy.conflict == Conflict::Perm && permitted.get(&hit.event) == Some(&None);
                let made_good = !remedies.is_empty() && remedies.iter().all(|done| after(done, hit));
                if !outweighed && !made_good {
                    breaches.push(Breach::Forbidden {
                        event: hit.event,
                        rule: &prohibition.statement.id,
                    });
                }
            }
        }
        breaches
    }

    fn doing<'a>(&self, duty: &'a Duty) -> Doing<'a> {
        Doing {
            duty,
            done: self.hits(&duty.statement, Truth::True),
            consequences: duty
                .consequences
                .iter()
                .map(|one| self.hits(one, Truth::True))
                .collect(),
        }
    }

    /// Whether an obligation was done, or done late with all its consequences, none of which can be done beforehand.
    fn done(&self, obligation: &Duty) -> bool {
        let doing = self.doing(obligation);
        if !doing.done.is_empty() {
            return true;
        }
        let late = Statement {
            constraints: Vec::new(),
            ..obligation.statement.clone()
        };
        let made_good = |late: Hit| {
            let counts =
                |hit: &Hit| hit.event != late.event && (hit.at >= late.at || !self.in_time(obligation, hit.at));
            doing.consequences.iter().all(|done| done.iter().any(counts))
        };
        !doing.consequences.is_empty() && self.hits(&late, Truth::True).into_iter().any(made_good)
    }

    /// Whether an obligation could be done in its constraints at a moment, or after it, whatever else they ask. What a clock says of them changes
    /// only at the times that they name.
    fn in_time(&self, obligation: &Duty, from: Instant) -> bool {
        let statement = Statement {
            constraints: obligation.statement.constraints.clone(),
            ..Statement::default()
        };
        let mut moments = vec![from];
        named_times(&statement.constraints, &mut moments);
        moments.into_iter().filter(|at| *at >= from).any(|at| {
            let event = Event {
                at,
                request: Request::default(),
                cells: BTreeMap::new(),
            };
            let state = Row {
                event: &event,
                count: None,
                missing: Truth::Unknown,
                world: self.world,
            };
            let asked = Asked {
                request: &event.request,
                state: &state,
            };
            asked.covers(&statement) != Truth::False
        })
    }
}

impl<'a> Doing<'a> {
    fn id(&self) -> &'a str {
        &self.duty.statement.id
    }

    /// Whether the duty was done by the time of a use, or after it together with all its consequences.
    fn was_done_for(&self, using: Hit) -> bool {
        let mut by_then = self.done.iter().take_while(|hit| hit.at <= using.at);
        by_then.any(|hit| hit.event != using.event)
            || (!self.consequences.is_empty()
                && after(&self.done, using)
                && self.consequences.iter().all(|done| after(done, using)))
    }
}

/// The times that constraints on `dateTime` name, and the first instants after them.
fn named_times(constraints: &[Constraint], times: &mut Vec<Instant>) {
    for constraint in constraints {
        match constraint {
            Constraint::Logical { parts, .. } => named_times(parts, times),
            Constraint::Atomic(comparison) if ODRL.local(&comparison.left) == Some("dateTime") => {
                times.extend(comparison.right.iter().flat_map(|value| match value {
                    Value::Instant(at, _) => vec![*at, Instant(at.0.saturating_add(1))],
                    Value::Day(start, end, _) => vec![*start, *end],
                    _ => Vec::new(),
                }));
            }
            Constraint::Atomic(_) => {}
        }
    }
}

/// Whether something was done after an event; the event itself does not count.
fn after(done: &[Hit], event: Hit) -> bool {
    let not_before = done.iter().rev().take_while(|hit| hit.at >= event.at);
    not_before.into_iter().any(|hit| hit.event != event.event)
}

/// One event as a state of the world.
struct Row<'e> {
    event: &'e Event,
    /// How often the rule has been exercised, once that is known.
    count: Option<i64>,
    /// The truth of what it has no column for.
    missing: Truth,
    world: &'e World,
}

impl Row<'_> {
    /// The cell that says something of a left operand: its own column, the column that is of nothing in particular, or for the world the
    /// only other one.
    fn cell(&self, of: Of, left: &str) -> Option<&Option<String>> {
        let column = |of: Of| self.event.cells.get(&(of, left.to_owned()));
        column(of).or_else(|| column(Of::World)).or_else(|| {
            let mut others = [Of::Action, Of::Target, Of::Party].into_iter().filter_map(column);
            let only = others.next().filter(|_| of == Of::World)?;
            others.next().is_none().then_some(only)
        })
    }
}

impl State for Row<'_> {
    fn now(&self) -> Option<Instant> {
        Some(self.event.at)
    }

    fn values(&self, of: Of, comparison: &Comparison) -> Option<Vec<Value>> {
        if let Some(cell) = self.cell(of, &comparison.left) {
            return Some(cell.iter().map(|text| typed(text, comparison)).collect());
        }
        match ODRL.local(&comparison.left) {
            Some("dateTime") => Some(vec![Value::Instant(self.event.at, true)]),
            Some("count") => self.count.map(|count| vec![Value::Number(Decimal::from(count))]),
            _ => None,
        }
    }

    fn missing(&self) -> Truth {
        self.missing
    }

    fn is_member(&self, member: &str, collection: &str) -> bool {
        self.world.is_member(member, collection)
    }

    fn is_part_of(&self, part: &str, whole: &str) -> Truth {
        self.world.is_part_of(part, whole)
    }

    fn is_a(&self, concept: &str, wider: &str) -> Truth {
        self.world.is_a(concept, wider)
    }

    fn deontic(&self, _rule: &str) -> Deontic {
        Deontic::NotSet
    }
}

/// A cell as a value of a type that it is compared with; as text when it is none.
fn typed(text: &str, comparison: &Comparison) -> Value {
    let read = comparison.right.iter().find_map(|right| like(text, right));
    read.unwrap_or_else(|| Value::Text(text.to_owned()))
}

/// A cell as a value of the type of a right operand. A log has no types, so a plain string there is meant by what it looks like as well: a cell
/// that says the same number, time or length of time in other digits is that string.
fn like(text: &str, right: &Value) -> Option<Value> {
    let datatypes: &[&str] = match right {
        Value::Number(_) => &["xsd:decimal", "xsd:double"],
        Value::Instant(..) | Value::Day(..) => &["xsd:dateTime", "xsd:date", "xsd:gYearMonth", "xsd:gYear"],
        Value::Duration(_) => &["xsd:duration"],
        // Some programs write `True` into their tables.
        Value::Boolean(_) => return Value::literal(&text.to_ascii_lowercase(), Some("xsd:boolean")).ok(),
        Value::Iri(_) => &[],
        Value::Text(written) => {
            let means_it = same(&by_shape(text)?, &by_shape(written)?) == Truth::True;
            return means_it.then(|| right.clone());
        }
    };
    let mut read = datatypes
        .iter()
        .filter_map(|datatype| Value::literal(text, Some(datatype)).ok());
    read.next()
}

#[cfg(test)]
mod tests;
