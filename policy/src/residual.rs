//! What a policy leaves open once everything is known but the record: which purposes it permits, and what it asks of each record. Worked out
//! by asking the reference evaluation about every combination that the policy can tell apart, so that the result agrees with it by
//! construction. Plans are made of this in `plan`; why nothing is left is told in `refusal`, for how long it stays so in `window`.

use crate::{
    evaluate::{Purpose, Stage, World},
    facts::{Consumer, Facts, Moment},
    meaning::{Meter, Relation, Test},
    model::{Atomic, Policy, Rule},
    normal::Normal,
    plan::Carried,
    premises::Premises,
    program::{Condition, MAX_OPS, Program},
    purposes,
    reason::{Code, Reason},
    record::RecordFacts,
    timestamp::Timestamp,
    truth::Truth,
    vocabulary::{Action, Category, LeftOperand},
};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

mod refusal;
mod window;

/// How many single comparisons one question may cost. A policy of a peer must not buy seconds of our time.
pub(crate) const MAX_WORK: usize = 2_000_000;

/// How many purposes that the policy does not name a transfer may serve: each learner's consent would have to name them all.
const MOST_PURPOSES: usize = 64;

type Reasons = Vec<Reason>;

/// Everything about a policy and an asked action that does not depend on the moment or the recipient.
pub(crate) struct Question<'a> {
    policy: &'a Policy,
    action: Action,
    permissions: Vec<&'a Rule>,
    /// Those of them that do not contradict themselves. While facts may still come, nothing else would tell.
    possible: Vec<&'a Rule>,
    prohibitions: Vec<&'a Rule>,
    /// The purposes that the policy can tell apart: each one it names, any other, and from `written` on those of the tree, if it asks what lies
    /// below some (`isA`).
    purposes: Vec<Purpose<'a>>,
    written: usize,
    /// The records that it can tell apart.
    records: Vec<RecordFacts>,
    names_categories: bool,
    recipients: BTreeSet<&'a str>,
    /// Where some comparison changes: with the clock (milliseconds), with the number of the transfer, and with the time of use.
    instants: BTreeSet<i64>,
    transfers: BTreeSet<i64>,
    open_times: BTreeSet<i64>,
    /// How many times the whole grid may be worked out.
    steps: usize,
}

/// What is permitted: any of the purposes, for each record that the program lets pass.
#[derive(Debug, Clone)]
pub(crate) struct Residual {
    /// `None`: any purpose.
    pub(crate) purposes: Option<BTreeSet<String>>,
    /// Of which records may leave when the learner consents; `None`: the policy says nothing about categories.
    pub(crate) categories: Option<BTreeSet<Category>>,
    /// Some record of these categories needs consent.
    pub(crate) consent_required: bool,
    /// What each record is asked.
    pub(crate) program: Program,
    /// Conditions of the permissions, sorted.
    pub(crate) duties: Vec<Carried>,
}

impl Residual {
    /// What makes two residuals the same: everything but the places in the document where the duties stand.
    fn key(&self) -> impl Ord + '_ {
        let duties: Vec<_> = self.duties.iter().map(Carried::said).collect();
        (
            self.consent_required,
            self.purposes.as_ref(),
            self.categories.as_ref(),
            duties,
            &self.program,
        )
    }
}

/// One point of the grid: a purpose (index into [`Question::purposes`]) and a record.
type Cell = (usize, RecordFacts);

impl<'a> Question<'a> {
    pub(crate) fn new(policy: &'a Policy, facts: &Facts, stage: Stage) -> Result<Self, Reasons> {
        let consumer = facts.consumer(stage);
        let permissions: Vec<&Rule> = policy.covering(facts.action).collect();
        let prohibitions: Vec<&Rule> = policy.forbidding(facts.action).collect();
        let mut named = BTreeSet::new();
        let mut question = Self {
            policy,
            action: facts.action,
            possible: permissions
                .iter()
                .copied()
                .filter(|rule| !contradicts_itself(rule))
                .collect(),
            permissions,
            prohibitions,
            purposes: Vec::new(),
            written: 0,
            records: Vec::new(),
            names_categories: false,
            recipients: BTreeSet::new(),
            instants: BTreeSet::new(),
            transfers: BTreeSet::new(),
            open_times: BTreeSet::new(),
            steps: 0,
        };
        let mut flags = BTreeSet::new();
        let mut looked_up = 0;
        let comparisons = question.each_test(&mut |test| match test {
            Test::Purpose { relation, names } => {
                named.extend(names.iter().map(String::as_str));
                if *relation == Relation::Below {
                    // Whether a purpose lies below some is asked of each of them.
                    looked_up += names.len();
                }
            }
            Test::Flag { operand, .. } if consumer.tells_minors() => {
                flags.insert(*operand);
            }
            _ => {}
        });
        let comparisons = 1 + comparisons + looked_up;
        question.note(consumer);
        // Without such a question the tree tells no purpose from any other. With one all of it counts, and not what lies below the names alone:
        // else one more name would permit more.
        let tree: BTreeSet<&str> = (looked_up > 0).then(purposes::all).into_iter().flatten().collect();
        let unnamed: Vec<&str> = tree.difference(&named).copied().collect();
        question.written = named.len() + 1;
        let written = named.into_iter().map(Purpose::Named).chain([Purpose::Other]);
        question.purposes = written.chain(unnamed.into_iter().map(Purpose::Named)).collect();
        question.records = records(&flags);
        let cells = question.purposes.len().saturating_mul(question.records.len());
        question.steps = MAX_WORK / cells.saturating_mul(comparisons);
        if question.steps == 0 {
            return Err(vec![too_complex(
                "the policy names too many purposes under too many constraints",
            )]);
        }
        Ok(question)
    }

    /// Shows every comparison that is understood; returns how many comparisons there are.
    fn each_test(&self, visit: &mut impl FnMut(&'a Test)) -> usize {
        let mut comparisons = 0;
        let mut look = |atomic: &'a Atomic| {
            comparisons += 1;
            if let Ok(test) = &atomic.test {
                visit(test);
            }
        };
        for rule in self.permissions.iter().chain(&self.prohibitions) {
            for constraint in &rule.constraints {
                constraint.each_atomic(&mut look);
            }
        }
        comparisons
    }

    /// Notes who and what is named, and where comparisons change.
    fn note(&mut self, consumer: Consumer<'_>) {
        let mut names_categories = false;
        let (mut recipients, mut instants) = (BTreeSet::new(), BTreeSet::new());
        let (mut transfers, mut open_times) = (BTreeSet::new(), BTreeSet::new());
        self.each_test(&mut |test| {
            match test {
                Test::Recipient { names, .. } => recipients.extend(names.iter().map(String::as_str)),
                Test::Category { .. } => names_categories = true,
                _ => {}
            }
            instants.extend(test.instants(consumer.request));
            transfers.extend(test.readings(Meter::Transfers));
            open_times.extend(test.readings(Meter::OpenTime));
        });
        self.names_categories = names_categories;
        self.recipients = recipients;
        self.instants = instants;
        self.transfers = transfers;
        self.open_times = open_times;
    }

    fn cells(&self, purposes: Range<usize>) -> impl Iterator<Item = Cell> + '_ {
        purposes.flat_map(|purpose| self.records.iter().map(move |record| (purpose, *record)))
    }

    /// For each permission that permits anything: the cells that it permits and no prohibition may forbid. A use is bound to purposes that the
    /// policy names, as consent has them by name; to such as lie below them only where none of these is permitted.
    fn grants(&self, moment: Moment, consumer: Consumer<'_>) -> Vec<(&'a Rule, BTreeSet<Cell>)> {
        let grants = self.grants_for(0..self.written, moment, consumer);
        if grants.is_empty() && self.written < self.purposes.len() {
            return self.grants_for(self.written..self.purposes.len(), moment, consumer);
        }
        grants
    }

    /// The same for these purposes alone. Claims of nobody in particular, and facts that may still come, may each be what helps most.
    fn grants_for(
        &self,
        purposes: Range<usize>,
        moment: Moment,
        consumer: Consumer<'_>,
    ) -> Vec<(&'a Rule, BTreeSet<Cell>)> {
        let mut grants: Vec<_> = self.possible.iter().map(|rule| (*rule, BTreeSet::new())).collect();
        for cell in self.cells(purposes) {
            let (purpose, record) = cell;
            let at = |assumed| World {
                purpose: self.purposes.get(purpose).copied(),
                record,
                ..World::before_records(moment, consumer, assumed)
            };
            let worlds = [&at(Truth::False), &at(Truth::True)];
            if self
                .prohibitions
                .iter()
                .any(|rule| rule.between(worlds).least != Truth::False)
            {
                continue;
            }
            for (rule, permitted) in &mut grants {
                if rule.between(worlds).most == Truth::True {
                    permitted.insert(cell);
                }
            }
        }
        grants.retain(|(_, permitted)| !permitted.is_empty());
        grants
    }

    /// What remains open at a moment for a consumer.
    ///
    /// The permissions together, if their union lets pass the same records for each purpose, and if they carry the same duties. Otherwise the one permission that gives most by itself; ties are broken by content, never by the
    /// order of rules, which JSON-LD does not keep. Never more than the policy permits.
    pub(crate) fn residual(&self, moment: Moment, consumer: Consumer<'_>) -> Result<Residual, Reasons> {
        let grants = self.grants(moment, consumer);
        if grants.is_empty() {
            return Err(self.why_nothing(moment, consumer));
        }
        let duties: BTreeMap<_, _> = grants
            .iter()
            .map(|(rule, _)| Carried::of_duties(&rule.duties))
            .map(|duties| (duties.iter().map(Carried::said).collect::<Vec<_>>(), duties))
            .collect();
        if let (1, Some(duties)) = (duties.len(), duties.into_values().next()) {
            let union: BTreeSet<Cell> = grants.iter().flat_map(|(_, cells)| cells).copied().collect();
            let rules: Vec<&Rule> = grants.iter().map(|(rule, _)| *rule).collect();
            if let Ok(residual) = self.as_choice(&rules, &union, duties, (moment, consumer)) {
                return Ok(residual);
            }
        }
        let (mut candidates, mut reasons) = (Vec::new(), Vec::new());
        for (rule, cells) in grants {
            match self.as_choice(&[rule], &cells, Carried::of_duties(&rule.duties), (moment, consumer)) {
                Ok(residual) => candidates.push((cells.len(), residual)),
                Err(text) => reasons.push(Reason::new(Code::NotPlannable, &rule.pointer, text)),
            }
        }
        let preference = |(size, residual): &(usize, Residual)| (Reverse(*size), residual.duties.len());
        candidates.sort_by(|a, b| {
            preference(a)
                .cmp(&preference(b))
                .then_with(|| a.1.key().cmp(&b.1.key()))
        });
        candidates
            .into_iter()
            .next()
            .map(|(_, residual)| residual)
            .ok_or(reasons)
    }

    /// The cells as a choice of purposes and a program for each record, or why there is none.
    fn as_choice(
        &self,
        rules: &[&Rule],
        cells: &BTreeSet<Cell>,
        duties: Vec<Carried>,
        at: (Moment, Consumer<'_>),
    ) -> Result<Residual, String> {
        let purposes: BTreeSet<usize> = cells.iter().map(|cell| cell.0).collect();
        let records: BTreeSet<RecordFacts> = cells.iter().map(|cell| cell.1).collect();
        if purposes.len() * records.len() != cells.len() {
            return Err(
                "which data may be used depends on the purpose in a way that a transfer cannot hold; split the \
                        permission into policies of their own"
                    .to_owned(),
            );
        }
        let consented: BTreeSet<RecordFacts> = records
            .iter()
            .filter(|record| record.consent == Some(true))
            .copied()
            .collect();
        if !records
            .iter()
            .all(|record| record.with_more_consent().all(|more| records.contains(&more)))
        {
            return Err(ONLY_WITHOUT_CONSENT.to_owned());
        }
        let named: BTreeSet<String> = purposes.iter().filter_map(|index| self.purpose_name(*index)).collect();
        let any_other = named.len() < purposes.len();
        if any_other && purposes.len() < self.written {
            return Err("every purpose but some may be used; a transfer needs the permitted purposes named".to_owned());
        }
        if purposes.iter().any(|index| *index >= self.written) && named.len() > MOST_PURPOSES {
            return Err(format!(
                "more than {MOST_PURPOSES} purposes remain, and no consent names so many; name the permitted ones"
            ));
        }
        let freely = |record: &RecordFacts| {
            records.contains(&RecordFacts {
                consent: Some(false),
                ..*record
            })
        };
        let consent_required = !consented.iter().all(freely);
        let program = self.program(rules, &purposes, at)?;
        // Where it is not known who is a minor as well.
        if !program.grows_with_consent() && !self.is_one_of_open(rules, at) {
            return Err(ONLY_WITHOUT_CONSENT.to_owned());
        }
        let categories = consented.into_iter().filter_map(|record| record.category).collect();
        Ok(Residual {
            purposes: (!any_other).then_some(named),
            categories: self.names_categories.then_some(categories),
            consent_required,
            program,
            duties,
        })
    }

    /// What each record is asked, so that it may leave for every one of the purposes.
    fn program(
        &self,
        rules: &[&Rule],
        purposes: &BTreeSet<usize>,
        (moment, consumer): (Moment, Consumer<'_>),
    ) -> Result<Program, String> {
        let conditions: BTreeSet<Condition> = purposes
            .iter()
            .map(|index| {
                let at = |assumed| World {
                    purpose: self.purposes.get(*index).copied(),
                    ..World::before_records(moment, consumer, assumed)
                };
                Condition::of(rules, &at(Truth::True), &self.prohibitions, &at(Truth::False))
            })
            .collect();
        Program::of(&Condition::all(conditions)).ok_or_else(|| {
            format!("more than {MAX_OPS} comparisons remain for each record, which a transfer cannot hold")
        })
    }

    /// Whether a rule asks for exactly one of what may still be either. Which record it leaves is known once that is, and no program before.
    fn is_one_of_open(&self, rules: &[&Rule], (moment, consumer): (Moment, Consumer<'_>)) -> bool {
        let at = |assumed| World::before_records(moment, consumer, assumed);
        let worlds = [&at(Truth::False), &at(Truth::True)];
        let mut all = rules.iter().chain(&self.prohibitions);
        all.any(|rule| rule.is_one_of_open(worlds))
    }

    fn purpose_name(&self, index: usize) -> Option<String> {
        self.purposes.get(index)?.name().map(str::to_owned)
    }

    /// `now` and every later instant at which a comparison with the clock changes.
    fn instants_from(&self, now: i64) -> impl Iterator<Item = i64> + '_ {
        let later = (
            std::ops::Bound::Excluded(now),
            std::ops::Bound::Included(Timestamp::MAX.millis()),
        );
        let later = (now < Timestamp::MAX.millis()).then(|| self.instants.range(later).copied());
        std::iter::once(now).chain(later.into_iter().flatten())
    }
}

fn contradicts_itself(rule: &Rule) -> bool {
    let stated: Vec<Normal> = rule.constraints.iter().map(Normal::from).collect();
    Premises::of(&stated).contradiction().is_some()
}

/// Why there is no plan where withdrawing a consent would let more leave.
const ONLY_WITHOUT_CONSENT: &str = "some data may be used only without consent, which a transfer cannot hold";

/// The records that can be told apart by category, consent and these flags.
fn records(flags: &BTreeSet<LeftOperand>) -> Vec<RecordFacts> {
    let both = |named: bool| {
        if named {
            vec![Some(false), Some(true)]
        } else {
            vec![None]
        }
    };
    let mut records = Vec::new();
    for category in Category::ALL {
        for consent in both(true) {
            for minor in both(flags.contains(&LeftOperand::Minor)) {
                for guardian_consent in both(flags.contains(&LeftOperand::GuardianConsent)) {
                    records.push(RecordFacts {
                        category: Some(*category),
                        consent,
                        minor,
                        guardian_consent,
                    });
                }
            }
        }
    }
    records
}

fn too_complex(text: &str) -> Reason {
    Reason::new(Code::TooComplex, "", text)
}

/// Whether anything is permitted at this moment.
pub(crate) fn permitting_now(policy: &Policy, facts: &Facts) -> Result<(), Reasons> {
    let question = Question::new(policy, facts, Stage::Transfer)?;
    let (moment, consumer) = (Moment::of(facts), facts.consumer(Stage::Transfer));
    if question.grants(moment, consumer).is_empty() {
        Err(question.why_nothing(moment, consumer))
    } else {
        Ok(())
    }
}

/// The first instant, now or later, at which anything is permitted to whoever looks at the catalog.
pub(crate) fn first_permitting(policy: &Policy, facts: &Facts) -> Result<Timestamp, Reasons> {
    let question = Question::new(policy, facts, Stage::Catalog)?;
    let (moment, consumer) = (Moment::of(facts), facts.consumer(Stage::Catalog));
    for (step, now) in question.instants_from(moment.now).enumerate() {
        if step >= question.steps {
            return Err(vec![too_complex("the policy changes too often over time")]);
        }
        if !question.grants(Moment { now, ..moment }, consumer).is_empty() {
            return Ok(Timestamp::from_millis(now));
        }
    }
    Err(question.why_nothing(moment, consumer))
}

/// The first instant, now or later, at which a plan can be made; at publication, for anybody.
/// With it what remains open then.
pub(crate) fn first_plannable(policy: &Policy, facts: &Facts, stage: Stage) -> Result<(Timestamp, Residual), Reasons> {
    let question = Question::new(policy, facts, stage)?;
    let moment = Moment::of(facts);
    let nobody = |recipient| Consumer {
        recipient,
        claims: None,
        ..facts.consumer(stage)
    };
    let consumers: Vec<Consumer<'_>> = match stage {
        // The empty name stands for somebody whom the policy does not mention.
        Stage::Publish => question.recipients.iter().copied().chain([""]).map(nobody).collect(),
        _ => vec![facts.consumer(stage)],
    };
    let (mut refusal, mut not_plannable, mut step) = (None::<Reasons>, None, 0);
    for now in question.instants_from(moment.now) {
        for consumer in &consumers {
            if step >= question.steps {
                return Err(vec![too_complex(
                    "the policy changes too often over time and recipients",
                )]);
            }
            step += 1;
            match question.residual(Moment { now, ..moment }, *consumer) {
                Ok(residual) => return Ok((Timestamp::from_millis(now), residual)),
                Err(reasons) if reasons.iter().any(|reason| reason.code == Code::NotPlannable) => {
                    not_plannable.get_or_insert(reasons);
                }
                // What is told is why it is refused now to those whom the fewest reasons speak against, and not who else is not meant.
                Err(reasons) => {
                    let fewer = |before: &Reasons| now == moment.now && reasons.len() < before.len();
                    if refusal.as_ref().is_none_or(fewer) {
                        refusal = Some(reasons);
                    }
                }
            }
        }
    }
    Err(not_plannable.or(refusal).unwrap_or_default())
}
