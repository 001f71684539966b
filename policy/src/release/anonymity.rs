//! Rows that nobody can be told by: what could identify a learner is made coarser until at least k learners share it (k-anonymity), and
//! what must not be learned of one differs among them (l-diversity, l = 2).
//!
//! A row holds the declared quasi-identifiers and sensitive attributes and nothing else: no identifier, no pseudonym, no free text. Each
//! learner has one row, the first; a second would tell that both are of the same learner. Of all generalisations the one with the fewest
//! steps wins, then the one that withholds fewest rows, then the first in order: the same rows give the same release.

use super::{
    Cohort, Column, GroupSize, Learner, MAX_LEARNERS, Place, Refused, ToldOf, TooMany, hierarchy::Hierarchy,
    ledger::Ledger,
};
use std::collections::{BTreeMap, HashMap, btree_map};

/// How many generalisations are tried at most.
pub const MAX_GENERALISATIONS: usize = 512;
/// How many rows in a hundred may be withheld at most.
pub const MAX_WITHHELD: u8 = 20;
/// How many different values of each sensitive attribute a group needs.
pub const DIVERSITY: usize = 2;

/// How often rows are made again without those held back before the release is refused: leaving learners out may change what else is needed.
const HOLDING_BACK: usize = 8;

/// Why rows cannot be asked for like this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The search would take too long.
    #[error("there are more than {MAX_GENERALISATIONS} generalisations; take fewer quasi-identifiers or steps")]
    TooManyGeneralisations,
    /// Almost anything could be hidden by withholding.
    #[error("at most {MAX_WITHHELD} rows in a hundred may be withheld")]
    TooManyWithheld,
}

/// What is asked of the released rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    hierarchies: Vec<Hierarchy>,
    sensitive: Vec<Column>,
    withheld: u8,
}

impl Plan {
    /// Rows with these sensitive attributes, each by the name that it has in all rows that show it, of which so many in a hundred may be
    /// withheld so that the others stay finer.
    pub fn new(hierarchies: Vec<Hierarchy>, sensitive: &[&str], withheld: u8) -> Result<Self, PlanError> {
        let all = hierarchies
            .iter()
            .try_fold(1usize, |all, hierarchy| all.checked_mul(hierarchy.levels()));
        if all.is_none_or(|all| all > MAX_GENERALISATIONS) {
            return Err(PlanError::TooManyGeneralisations);
        }
        if withheld > MAX_WITHHELD {
            return Err(PlanError::TooManyWithheld);
        }
        let columns = sensitive.iter().map(|of| Column::new(ToldOf::Value, of));
        Ok(Self {
            hierarchies,
            sensitive: columns.collect(),
            withheld,
        })
    }

    /// Every choice of one level for each quasi-identifier, fewest steps first.
    fn generalisations(&self) -> Vec<Vec<usize>> {
        let mut all = vec![Vec::new()];
        for hierarchy in &self.hierarchies {
            let longer = |levels: &Vec<usize>| {
                let levels = levels.clone();
                (0..hierarchy.levels()).map(move |level| levels.iter().copied().chain([level]).collect())
            };
            all = all.iter().flat_map(longer).collect();
        }
        all.sort_by_key(|levels| levels.iter().sum::<usize>());
        all
    }
}

/// One learner's row as it was read, and which rows may follow from it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    quasi: Vec<String>,
    sensitive: Vec<Option<String>>,
}

/// Takes rows, then makes [`Anonymous`] ones. Memory grows with the number of learners alone.
#[derive(Clone, Debug)]
pub struct Rows {
    plan: Plan,
    rows: BTreeMap<Learner, Row>,
}

impl Rows {
    /// No row yet.
    pub fn new(plan: Plan) -> Self {
        Self {
            plan,
            rows: BTreeMap::new(),
        }
    }

    /// Takes a learner's row; a second one of the same learner is left out, and so is one with the wrong number of attributes. A
    /// sensitive attribute that is missing makes no group more diverse.
    pub fn add(&mut self, learner: Learner, quasi: Vec<String>, sensitive: Vec<Option<String>>) -> Result<(), TooMany> {
        if quasi.len() != self.plan.hierarchies.len() || sensitive.len() != self.plan.sensitive.len() {
            return Ok(());
        }
        let full = self.rows.len() >= MAX_LEARNERS;
        match self.rows.entry(learner) {
            btree_map::Entry::Occupied(_) => Ok(()),
            btree_map::Entry::Vacant(_) if full => Err(TooMany),
            btree_map::Entry::Vacant(place) => {
                place.insert(Row { quasi, sensitive });
                Ok(())
            }
        }
    }

    /// The rows with the least generalisation under which all but a few are in groups of at least `k`, diverse in every sensitive
    /// attribute; those few are left out.
    pub fn anonymise(&self, k: GroupSize) -> Result<Anonymous, Refused> {
        let coded = Coded::of(self);
        let bound = self.rows.len() as u64 * u64::from(self.plan.withheld) / 100;
        let mut best: Option<(usize, u64, Vec<usize>)> = None;
        for levels in self.plan.generalisations() {
            let height = levels.iter().sum();
            if best.as_ref().is_some_and(|(least, ..)| *least < height) {
                break;
            }
            let withheld = coded.withheld(&levels, k);
            let fewer = best.as_ref().is_none_or(|(_, fewest, _)| withheld < *fewest);
            if withheld <= bound && fewer && withheld < self.rows.len() as u64 {
                best = Some((height, withheld, levels));
            }
        }
        let (_, _, levels) = best.ok_or_else(|| self.refused(k))?;
        Ok(self.released(&coded, levels, k))
    }

    /// Why no generalisation will do. The last one makes one group of all: if that is large enough, it is not diverse.
    fn refused(&self, k: GroupSize) -> Refused {
        if k.allows(self.rows.len() as u64) {
            Refused::Alike
        } else {
            Refused::TooSmall(k)
        }
    }

    /// The rows together with the ledger that has them. Learners whose absence or presence would be told by comparison with former
    /// releases are left out, and others with them, as [`Ledger::hold_back`] says.
    pub fn release(mut self, k: GroupSize, ledger: &Ledger) -> Result<(Anonymous, Ledger), Refused> {
        let k = ledger.group_size(k);
        for _ in 0..HOLDING_BACK {
            let rows = self.anonymise(k)?;
            match ledger.admit(k, rows.cohort()) {
                Ok(ledger) => return Ok((rows, ledger)),
                Err(Refused::Differencing(_)) => {}
                Err(refused) => return Err(refused),
            }
            let held = ledger.hold_back(k, rows.cohort());
            held.iter().for_each(|learner| {
                self.rows.remove(learner);
            });
        }
        Err(Refused::Differencing(k))
    }

    fn released(&self, coded: &Coded<'_>, levels: Vec<usize>, k: GroupSize) -> Anonymous {
        let mut groups: Vec<Vec<u32>> = (coded.groups(&levels).into_iter())
            .filter_map(|(key, group)| group.may_be_published(k).then_some(key))
            .collect();
        groups.sort();
        let numbers: BTreeMap<Vec<u32>, u32> = groups.into_iter().zip(0..).collect();
        let mut rows = Vec::new();
        let mut cohort = Cohort {
            columns: self.plan.sensitive.clone(),
            places: BTreeMap::new(),
        };
        for (learner, row) in &self.rows {
            let Some(block) = (coded.numbers(&row.quasi))
                .and_then(|found| coded.key(&found, &levels))
                .and_then(|key| numbers.get(&key).copied())
            else {
                continue;
            };
            let quasi = self.plan.hierarchies.iter().zip(&row.quasi).zip(&levels);
            let quasi: Vec<String> = quasi
                .map(|((hierarchy, value), level)| hierarchy.at(value, *level))
                .collect();
            let told = row.sensitive.iter().map(|value| Column::value(value.as_deref()));
            let told = told.collect();
            cohort.places.insert(*learner, Place { block, told });
            let sensitive = row.sensitive.clone();
            rows.push(AnonymousRow { quasi, sensitive });
        }
        // The order of the keyed hashes would be the same in every release.
        rows.sort();
        Anonymous {
            levels,
            rows,
            cohort,
            k,
        }
    }
}

/// Rows that may be released.
#[derive(Clone, Debug)]
pub struct Anonymous {
    levels: Vec<usize>,
    rows: Vec<AnonymousRow>,
    cohort: Cohort,
    k: GroupSize,
}

/// One row of a release, with nothing that tells whose it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AnonymousRow {
    /// The quasi-identifiers, made coarser.
    pub quasi: Vec<String>,
    /// The sensitive attributes as they were.
    pub sensitive: Vec<Option<String>>,
}

impl Anonymous {
    /// The rows, sorted by what they hold.
    pub fn rows(&self) -> &[AnonymousRow] {
        &self.rows
    }

    /// How many steps each quasi-identifier was made coarser by.
    pub fn levels(&self) -> &[usize] {
        &self.levels
    }

    /// Who is in it, and in which group.
    pub fn cohort(&self) -> &Cohort {
        &self.cohort
    }

    /// The group size that holds for every group.
    pub fn group_size(&self) -> GroupSize {
        self.k
    }
}

/// Learners with the same quasi-identifiers.
#[derive(Clone, Debug, Default)]
struct Group {
    learners: u64,
    sensitive: Vec<Diverse>,
}

/// The first values of a sensitive attribute that occur, no more of them than diversity asks for.
#[derive(Clone, Copy, Debug, Default)]
struct Diverse([Option<u32>; DIVERSITY]);

impl Diverse {
    fn insert(&mut self, value: u32) {
        let known = self.0.iter().flatten().any(|known| *known == value);
        if let Some(free) = self.0.iter_mut().find(|place| place.is_none() && !known) {
            *free = Some(value);
        }
    }
}

impl Group {
    fn join(&mut self, other: &Self) {
        self.learners += other.learners;
        let attributes = self.sensitive.len().max(other.sensitive.len());
        self.sensitive.resize(attributes, Diverse::default());
        for (mine, theirs) in self.sensitive.iter_mut().zip(&other.sensitive) {
            theirs.0.iter().flatten().for_each(|value| mine.insert(*value));
        }
    }

    fn may_be_published(&self, k: GroupSize) -> bool {
        k.allows(self.learners) && self.sensitive.iter().all(|values| values.0.iter().all(Option::is_some))
    }
}

/// The rows in numbers, so that a generalisation is tried without a text being made.
struct Coded<'r> {
    quasi: Vec<Values<'r>>,
    /// Learners with the same values, by the numbers of these.
    finest: HashMap<Vec<u32>, Group>,
}

/// The values of one quasi-identifier.
struct Values<'r> {
    /// Each with its number.
    numbers: BTreeMap<&'r str, u32>,
    /// For each level, and there for each number: the number of what the value becomes.
    levels: Vec<Vec<u32>>,
}

impl<'r> Values<'r> {
    fn of(hierarchy: &Hierarchy, texts: impl Iterator<Item = &'r String>) -> Self {
        let (mut numbers, mut known) = (BTreeMap::new(), vec![BTreeMap::new(); hierarchy.levels()]);
        let mut levels = vec![Vec::new(); hierarchy.levels()];
        for text in texts {
            if numbers.contains_key(text.as_str()) {
                continue;
            }
            number(&mut numbers, text.as_str());
            for (level, (known, codes)) in known.iter_mut().zip(&mut levels).enumerate() {
                codes.push(number(known, hierarchy.at(text, level)));
            }
        }
        Self { numbers, levels }
    }

    fn at(&self, number: u32, level: usize) -> Option<u32> {
        self.levels.get(level)?.get(number as usize).copied()
    }
}

impl<'r> Coded<'r> {
    fn of(rows: &'r Rows) -> Self {
        let texts = |at: usize| rows.rows.values().filter_map(move |row| row.quasi.get(at));
        let hierarchies = rows.plan.hierarchies.iter().enumerate();
        let quasi = hierarchies.map(|(at, hierarchy)| Values::of(hierarchy, texts(at)));
        let mut coded = Self {
            quasi: quasi.collect(),
            finest: HashMap::new(),
        };
        let mut known: Vec<BTreeMap<&str, u32>> = vec![BTreeMap::new(); rows.plan.sensitive.len()];
        for row in rows.rows.values() {
            let values = known.iter_mut().zip(&row.sensitive);
            let values = values.map(|(known, value)| {
                let mut one = Diverse::default();
                value.iter().for_each(|value| one.insert(number(known, value.as_str())));
                one
            });
            let one = Group {
                learners: 1,
                sensitive: values.collect(),
            };
            if let Some(numbers) = coded.numbers(&row.quasi) {
                coded.finest.entry(numbers).or_default().join(&one);
            }
        }
        coded
    }

    fn numbers(&self, quasi: &[String]) -> Option<Vec<u32>> {
        let pairs = self.quasi.iter().zip(quasi);
        pairs
            .map(|(values, text)| values.numbers.get(text.as_str()).copied())
            .collect()
    }

    /// What these values become at these levels.
    fn key(&self, numbers: &[u32], levels: &[usize]) -> Option<Vec<u32>> {
        let triples = self.quasi.iter().zip(numbers).zip(levels);
        triples
            .map(|((values, number), level)| values.at(*number, *level))
            .collect()
    }

    fn groups(&self, levels: &[usize]) -> HashMap<Vec<u32>, Group> {
        let mut groups: HashMap<Vec<u32>, Group> = HashMap::new();
        for (numbers, finest) in &self.finest {
            if let Some(key) = self.key(numbers, levels) {
                groups.entry(key).or_default().join(finest);
            }
        }
        groups
    }

    fn withheld(&self, levels: &[usize], k: GroupSize) -> u64 {
        let groups = self.groups(levels);
        let small = groups.values().filter(|group| !group.may_be_published(k));
        small.map(|group| group.learners).sum()
    }
}

/// The number of what is known, or the next.
fn number<K: Ord>(known: &mut BTreeMap<K, u32>, value: K) -> u32 {
    let next = u32::try_from(known.len()).unwrap_or(u32::MAX);
    *known.entry(value).or_insert(next)
}
