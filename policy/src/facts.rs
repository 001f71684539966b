//! What is known about the world when a policy is asked: facts come in here, and every one that is missing refuses whatever asks for it.
//! Nothing here decides; how facts are compared lives in `evaluate`.

use crate::{
    evaluate::Stage,
    meaning::Span,
    odrl::{
        Decimal,
        compare::{containing, spelling},
    },
    record::RecordFacts,
    timestamp::Timestamp,
    truth::Truth,
    vocabulary::{Action, Category, LeftOperand, ODRL, canonical_name},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// What is verified about a participant: the values of each claim, and under `credential.TYPE.CLAIM` those of other credentials that it
/// presented. A claim that is not there is not known.
pub type Claims = BTreeMap<String, BTreeSet<String>>;

/// What was used of an agreement before the transfer in question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// How many transfers were started before.
    pub transfers: u64,
    /// How long streams were open, all together.
    pub metered: Duration,
    /// When the transfer before was started; `None` when there was none.
    pub last_transfer: Option<Timestamp>,
}

/// What is known about the world when a policy is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Facts {
    /// The trusted clock.
    pub now: Timestamp,
    /// The verified identity (DID) of the consumer; compared character by character.
    pub recipient: String,
    /// What is verified about the consumer. A claim that is missing here refuses whatever asks for it.
    pub claims: Claims,
    /// What the consumer asks to do.
    pub action: Action,
    /// The purpose of the use; looked at in [`Stage::Record`] only.
    pub purpose: Option<String>,
    /// The category of the record; looked at in [`Stage::Record`] only.
    pub category: Option<Category>,
    /// Whether the learner has given consent; looked at in [`Stage::Record`] only.
    pub consent: Option<bool>,
    /// Whether the learner is a minor; looked at in [`Stage::Record`] only.
    pub minor: Option<bool>,
    /// Whether a guardian has consented; looked at in [`Stage::Record`] only.
    pub guardian_consent: Option<bool>,
    pub(crate) request: Request,
}

/// Facts about the agreement and the transfer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Request {
    pub(crate) agreed: Option<Timestamp>,
    pub(crate) usage: Option<Usage>,
    pub(crate) named: BTreeMap<LeftOperand, BTreeSet<String>>,
    /// What contains the names, as their codes say (`FR1` and `FR` of `FR10`).
    pub(crate) coded: BTreeMap<LeftOperand, BTreeSet<String>>,
    /// What else contains them, as it was told.
    pub(crate) told: BTreeMap<LeftOperand, BTreeSet<String>>,
    pub(crate) numbers: BTreeMap<LeftOperand, (Decimal, Option<String>)>,
    /// When each event goes on.
    pub(crate) events: BTreeMap<String, Span>,
    /// Whoever applies the plan tells for each record whether the learner is a minor and whether a guardian has consented.
    pub(crate) tells_minors: bool,
}

/// The time of an event that has no bounds: every instant that the clock can show, and more.
const ALWAYS: Span = Span {
    start: i64::MIN,
    end: i64::MAX,
};

impl Request {
    /// Whether one of these names is known to contain a name of the operand.
    pub(crate) fn is_within(&self, operand: LeftOperand, wanted: &BTreeSet<String>) -> bool {
        let containers = [&self.coded, &self.told];
        let mut containers = containers.into_iter().filter_map(|known| known.get(&operand));
        containers.any(|known| !wanted.is_disjoint(known))
    }

    /// When an event goes on, if that is known. The use itself (`odrl:policyUsage`) goes on whenever it is asked about.
    pub(crate) fn event(&self, name: &str) -> Option<Span> {
        if ODRL.local(name) == Some("policyUsage") {
            return Some(ALWAYS);
        }
        self.events.get(name).copied()
    }
}

/// These names, and all that contains one of them as its code says.
fn all_containing(operand: LeftOperand, names: &BTreeSet<String>) -> BTreeSet<String> {
    names.iter().flat_map(|name| containing(operand, name)).collect()
}

impl Facts {
    /// Facts that are known before any record is looked at.
    pub fn new(now: Timestamp, recipient: impl Into<String>, action: Action) -> Self {
        Self {
            now,
            recipient: recipient.into(),
            claims: Claims::new(),
            action,
            purpose: None,
            category: None,
            consent: None,
            minor: None,
            guardian_consent: None,
            request: Request::default(),
        }
    }

    /// The same with what is verified about the consumer.
    pub fn with_claims(self, claims: Claims) -> Self {
        Self { claims, ..self }
    }

    /// The same with the moment of the agreement: `elapsedTime` and `delayPeriod` are counted from it.
    pub fn with_agreed(mut self, agreed: Timestamp) -> Self {
        self.request.agreed = Some(agreed);
        self
    }

    /// The same with what was used before this transfer: `count`, `meteredTime` and `timeInterval` are judged by it.
    pub fn with_usage(mut self, usage: Usage) -> Self {
        self.request.usage = Some(usage);
        self
    }

    /// The same with all names that an operand has, in any accepted spelling: what claims of the consumer attest, or what the dataset and the
    /// transfer are. What contains a place or a language is read from its code, and what else does is told apart ([`Facts::with_containers`]).
    /// Names of [`LeftOperand::Event`] are events that always go on.
    pub fn with_named<T: Into<String>>(mut self, operand: LeftOperand, names: impl IntoIterator<Item = T>) -> Self {
        let names = names.into_iter().map(|name| spelling(operand, &name.into()));
        if operand == LeftOperand::Event {
            self.request.events.extend(names.map(|name| (name, ALWAYS)));
        } else {
            let names: BTreeSet<String> = names.collect();
            self.request.coded.insert(operand, all_containing(operand, &names));
            self.request.named.insert(operand, names);
        }
        self
    }

    /// The same with all that contains the names of an operand, such as a union of countries. Only `isA` and `isPartOf` look there: `eq`,
    /// `isAnyOf` and `isNoneOf` mean the name itself, and `hasPart` looks the other way (policy.md §1.5, decision 1).
    pub fn with_containers<T: Into<String>>(
        mut self,
        operand: LeftOperand,
        names: impl IntoIterator<Item = T>,
    ) -> Self {
        let names = names.into_iter().map(|name| spelling(operand, &name.into())).collect();
        self.request.told.insert(operand, all_containing(operand, &names));
        self
    }

    /// The same with an event: its first instant, and the first at which it is over. Without the one it has always gone on, without the
    /// other it never ends. The clock says whether it is to come, goes on or is over, so a plan ends when that changes.
    pub fn with_event(mut self, name: &str, from: Option<Timestamp>, until: Option<Timestamp>) -> Self {
        let start = from.map_or(ALWAYS.start, Timestamp::millis);
        // What would end before it begins is over from its beginning on.
        let end = until.map_or(ALWAYS.end, Timestamp::millis).max(start);
        self.request.events.insert(canonical_name(name), Span { start, end });
        self
    }

    /// The same with the number that an operand has, without a unit.
    pub fn with_number(mut self, operand: LeftOperand, number: Decimal) -> Self {
        self.request.numbers.insert(operand, (number, None));
        self
    }

    /// The same with the amount that an operand has, in a unit.
    pub fn with_amount(mut self, operand: LeftOperand, number: Decimal, unit: &str) -> Self {
        self.request
            .numbers
            .insert(operand, (number, Some(canonical_name(unit))));
        self
    }

    /// The same, and whoever applies the plan promises to ask [`crate::Plan::permits`] about each record, telling whether the learner is a
    /// minor and whether a guardian has consented. Without this promise a policy that asks for it permits nothing at [`Stage::Transfer`].
    pub fn with_minors_told(mut self) -> Self {
        self.request.tells_minors = true;
        self
    }

    /// What is known about the record.
    pub(crate) fn record(&self) -> RecordFacts {
        RecordFacts {
            category: self.category,
            consent: self.consent,
            minor: self.minor,
            guardian_consent: self.guardian_consent,
        }
    }

    /// The consumer at a stage.
    pub(crate) fn consumer(&self, stage: Stage) -> Consumer<'_> {
        Consumer {
            recipient: &self.recipient,
            claims: Some(&self.claims),
            request: &self.request,
            open: !matches!(stage, Stage::Transfer | Stage::Record),
        }
    }
}

/// A place on everything that moves while an agreement is used: the clock in milliseconds since 1970, the number of the transfer, and for how
/// many milliseconds streams were open. `None` is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) now: i64,
    pub(crate) transfer: Option<i64>,
    pub(crate) metered: Option<i64>,
}

impl Moment {
    pub(crate) fn of(facts: &Facts) -> Self {
        let usage = facts.request.usage;
        let clip = |number: u128| i64::try_from(number).unwrap_or(i64::MAX);
        Self {
            now: facts.now.millis(),
            transfer: usage.map(|usage| clip(u128::from(usage.transfers) + 1)),
            metered: usage.map(|usage| clip(usage.metered.as_millis())),
        }
    }
}

/// For whom a policy is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Consumer<'a> {
    pub(crate) recipient: &'a str,
    /// `None` before there is anybody: at publication.
    pub(crate) claims: Option<&'a Claims>,
    pub(crate) request: &'a Request,
    /// Facts about the transfer that are missing may still come.
    pub(crate) open: bool,
}

impl<'a> Consumer<'a> {
    /// Its claims, or what is assumed of nobody in particular.
    pub(crate) fn verified(self, assumed: Truth) -> Verified<'a> {
        self.claims.map_or(Verified::Assumed(assumed), Verified::Claims)
    }

    /// What a comparison is taken for whose fact may still come; unknown once it should be there.
    pub(crate) fn missing(self, assumed: Truth) -> Truth {
        if self.open { assumed } else { Truth::Unknown }
    }

    /// Whether it may be asked of each record if the learner is a minor.
    pub(crate) fn tells_minors(self) -> bool {
        self.open || self.request.tells_minors
    }
}

/// What comparisons of claims are judged by.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Verified<'a> {
    /// These claims and no others.
    Claims(&'a Claims),
    /// Every such comparison has this truth.
    Assumed(Truth),
}
