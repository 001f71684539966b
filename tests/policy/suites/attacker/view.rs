//! What the recipient sees in one world: the answers of the very code that is attacked, or of one with a protection off.

use super::{K, Kind, Off, Query, REFUSED, Scenario};
use policy::release::{
    Cohort, GroupSize, Learner, Place,
    anonymity::{Plan, Rows},
    groups::{Amount, Dimension, Layout, Measure, Tally},
    hierarchy::Hierarchy,
    ledger::Ledger,
};
use std::{collections::HashMap, fmt::Write};

impl Scenario {
    /// What the recipient sees in this world, and how much of it was permitted.
    pub(super) fn view(&self, kinds: &[Kind], world: &[u32]) -> (String, u64) {
        let (mut view, mut permitted) = (String::new(), 0);
        let mut ledgers: HashMap<Option<Query>, Ledger> = HashMap::new();
        for (query, time) in &self.asked {
            let consenting = kinds.iter().zip(world).enumerate();
            let consenting = consenting.filter(|(_, (kind, _))| kind.history >> time & 1 == 1);
            let people: Vec<(Learner, &Kind)> = consenting
                .flat_map(|(number, (kind, count))| (0..*count).map(move |copy| (learner(number, copy), kind)))
                .collect();
            let ledger = ledgers
                .entry((self.off == Off::OneLedger).then_some(*query))
                .or_default();
            let answer = self.answer(*query, usize::from(*time), &people, ledger);
            permitted += u64::from(answer.is_some());
            write!(view, "{} | ", answer.as_deref().unwrap_or(REFUSED)).unwrap();
        }
        (view, permitted)
    }

    fn answer(&self, query: Query, time: usize, people: &[(Learner, &Kind)], ledger: &mut Ledger) -> Option<String> {
        let k = GroupSize::new(K).unwrap();
        if matches!(query, Query::Rows) {
            return self.rows(people, k, ledger);
        }
        let attributes = query.attributes();
        if matches!(self.off, Off::Suppression | Off::ComplementarySuppression) {
            return Some(self.naive(attributes, people));
        }
        let dimension = |attribute: &usize| Dimension {
            name: format!("attribute {attribute}"),
            values: (0..self.values[*attribute]).map(|value| value.to_string()).collect(),
        };
        let measure = Measure {
            name: "one".into(),
            of: "one".into(),
        };
        let layout = Layout::new(attributes.iter().map(dimension).collect(), vec![measure]).unwrap();
        let mut tally = Tally::new(layout);
        for (learner, kind) in people {
            let values: Vec<String> = attributes
                .iter()
                .map(|attribute| kind.value(*attribute).to_string())
                .collect();
            let values: Vec<Option<&str>> = values.iter().map(|value| Some(value.as_str())).collect();
            // Counts of tables this small are nearly always rounded. The sum of a one from each learner is the exact count.
            let amount = self.amount(kind, time);
            tally.add(*learner, &values, &[Amount::new(amount.into())]).unwrap();
        }
        let table = match self.off {
            Off::Ledger => tally.table(k).ok()?,
            Off::LedgerOfSums => {
                let table = tally.table(k).ok()?;
                *ledger = ledger.admit(k, &counted(table.cohort())).ok()?;
                table
            }
            _ => {
                let (table, next) = tally.release(k, ledger).ok()?;
                *ledger = next;
                table
            }
        };
        let lines = std::iter::once(table.total())
            .chain(table.margins())
            .chain(table.cells());
        Some(
            lines
                .map(|line| format!("{:?}={} {:?} ", line.values, line.learners, line.sums))
                .collect(),
        )
    }

    fn rows(&self, people: &[(Learner, &Kind)], k: GroupSize, ledger: &mut Ledger) -> Option<String> {
        let mut rows = Rows::new(Plan::new(vec![Hierarchy::Bands(vec![])], &["second"], 0).unwrap());
        for (learner, kind) in people {
            let (quasi, sensitive) = (kind.first.to_string(), kind.second.to_string());
            rows.add(*learner, vec![quasi], vec![Some(sensitive)]).unwrap();
        }
        let rows = if self.off == Off::Ledger {
            rows.anonymise(k).ok()?
        } else {
            let (rows, next) = rows.release(k, ledger).ok()?;
            *ledger = next;
            rows
        };
        Some(format!("{:?}", rows.rows()))
    }

    /// Counts and totals without protection, or with the small counts taken out and nothing else.
    fn naive(&self, attributes: &[usize], people: &[(Learner, &Kind)]) -> String {
        let mut lines: Vec<String> = Vec::new();
        let mut publish = |name: String, count: usize| {
            if self.off == Off::Suppression || count >= K as usize {
                lines.push(format!("{name}={count}"));
            }
        };
        publish("all".into(), people.len());
        for attribute in attributes {
            for value in 0..self.values[*attribute] {
                let inside = people.iter().filter(|(_, kind)| kind.value(*attribute) == value);
                publish(format!("{attribute}:{value}"), inside.count());
            }
        }
        if attributes.len() > 1 {
            for first in 0..self.values[0] {
                for second in 0..self.values[1] {
                    let inside = people
                        .iter()
                        .filter(|(_, kind)| (kind.first, kind.second) == (first, second));
                    publish(format!("{first},{second}"), inside.count());
                }
            }
        }
        lines.join(" ")
    }
}

impl Kind {
    fn value(&self, attribute: usize) -> usize {
        [self.first, self.second][attribute]
    }
}

impl Query {
    fn attributes(self) -> &'static [usize] {
        match self {
            Self::First | Self::Rows => &[0],
            Self::Second => &[1],
            Self::Both => &[0, 1],
            Self::BothReversed => &[1, 0],
        }
    }
}

/// Who is counted where, and nothing else of them.
fn counted(cohort: &Cohort) -> Cohort {
    let place = |place: &Place| Place {
        told: Box::default(),
        ..*place
    };
    let places = cohort.places.iter().map(|(learner, known)| (*learner, place(known)));
    Cohort {
        columns: Vec::new(),
        places: places.collect(),
    }
}

/// A learner whose hash has nothing to do with what they are, as a keyed hash.
fn learner(kind: usize, copy: u32) -> Learner {
    let number = (kind as u128 * 1000 + u128::from(copy) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    Learner::new((number ^ number >> 67).to_be_bytes())
}
