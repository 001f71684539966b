//! What a policy leaves open once clock, recipient and action are known: which purposes, data categories and consent
//! states it permits. Worked out by asking the reference evaluation about every combination that the policy can tell
//! apart, so that the result agrees with it by construction. Plans are made of this in `plan`.

use crate::{
    evaluate::{Consumer, Facts, Missing, Purpose, Stage, World, explain_atomic},
    meaning::Test,
    model::{Atomic, Policy, Rule},
    plan::Carried,
    reason::{Code, Reason, quoted},
    timestamp::Timestamp,
    truth::Truth,
    vocabulary::{Action, Category},
};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

/// How many single comparisons one question may cost. A policy of a peer must not buy seconds of our time.
const MAX_WORK: usize = 2_000_000;

type Reasons = Vec<Reason>;

/// Everything about a policy and an asked action that does not depend on time or recipient.
pub(crate) struct Question<'a> {
    policy: &'a Policy,
    action: Action,
    permissions: Vec<&'a Rule>,
    prohibitions: Vec<&'a Rule>,
    /// The purposes that the policy can tell apart: each one it names, and any other.
    purposes: Vec<Purpose<'a>>,
    names_categories: bool,
    recipients: BTreeSet<&'a str>,
    /// The instants at which some comparison with the clock changes, in milliseconds.
    bounds: BTreeSet<i64>,
    /// How many times the whole grid may be worked out.
    steps: usize,
}

/// What is permitted per record, as independent choices: any of the purposes, with any of the categories.
#[derive(Debug, Clone)]
pub(crate) struct Residual {
    /// `None`: any purpose.
    pub(crate) purposes: Option<BTreeSet<String>>,
    /// `None`: the policy says nothing about categories.
    pub(crate) categories: Option<BTreeSet<Category>>,
    pub(crate) consent_required: bool,
    /// Conditions of the permissions, sorted.
    pub(crate) duties: Vec<Carried>,
}

impl Residual {
    /// What makes two residuals the same: everything but the places in the document where the duties stand.
    fn key(&self) -> impl Ord + '_ {
        let duties: Vec<_> = self.duties.iter().map(Carried::key).collect();
        (
            self.consent_required,
            self.purposes.as_ref(),
            self.categories.as_ref(),
            duties,
        )
    }
}

/// One point of the grid: a purpose (index into [`Question::purposes`]), a category, and whether consent was given.
type Cell = (usize, Category, bool);

impl<'a> Question<'a> {
    pub(crate) fn new(policy: &'a Policy, action: Action) -> Result<Self, Reasons> {
        let permissions: Vec<&Rule> = policy.covering(action).collect();
        let prohibitions: Vec<&Rule> = policy.forbidding(action).collect();
        let (mut named, mut recipients, mut bounds) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let (mut names_categories, mut comparisons) = (false, 1_usize);
        let mut look = |atomic: &'a Atomic| {
            comparisons += 1;
            match &atomic.test {
                Ok(Test::Purpose { names, .. }) => named.extend(names.iter().map(String::as_str)),
                Ok(Test::Recipient { names, .. }) => recipients.extend(names.iter().map(String::as_str)),
                Ok(Test::Category { .. }) => names_categories = true,
                Ok(test @ Test::Time { .. }) => bounds.extend(test.bounds()),
                Ok(Test::Consent { .. } | Test::Membership { .. }) | Err(_) => {}
            }
        };
        for rule in permissions.iter().chain(&prohibitions) {
            rule.constraints
                .iter()
                .for_each(|constraint| constraint.each_atomic(&mut look));
        }
        let purposes: Vec<Purpose> = named.into_iter().map(Purpose::Named).chain([Purpose::Other]).collect();
        let cost = purposes
            .len()
            .saturating_mul(Category::ALL.len() * 2)
            .saturating_mul(comparisons);
        let steps = MAX_WORK / cost;
        if steps == 0 {
            return Err(vec![too_complex(
                "the policy names too many purposes under too many constraints",
            )]);
        }
        Ok(Self {
            policy,
            action,
            permissions,
            prohibitions,
            purposes,
            names_categories,
            recipients,
            bounds,
            steps,
        })
    }

    fn cells(&self) -> impl Iterator<Item = Cell> + '_ {
        (0..self.purposes.len()).flat_map(|purpose| {
            Category::ALL
                .iter()
                .flat_map(move |category| [(purpose, *category, false), (purpose, *category, true)])
        })
    }

    /// For each permission that permits anything: the cells that it permits and no prohibition may forbid.
    /// Of nobody in particular the claims are assumed that help most.
    fn grants(&self, now: i64, consumer: Consumer<'_>) -> Vec<(&'a Rule, BTreeSet<Cell>)> {
        let open = World {
            now,
            recipient: consumer.recipient,
            verified: consumer.verified(Truth::True),
            purpose: None,
            category: None,
            consent: None,
        };
        let mut grants: Vec<_> = self.permissions.iter().map(|rule| (*rule, BTreeSet::new())).collect();
        for cell in self.cells() {
            let (purpose, category, consent) = cell;
            let purpose = self.purposes.get(purpose).copied();
            let world = World {
                purpose,
                category: Some(category),
                consent: Some(consent),
                ..open
            };
            let against = World {
                verified: consumer.verified(Truth::False),
                ..world
            };
            if self
                .prohibitions
                .iter()
                .any(|rule| rule.truth(&against) != Truth::False)
            {
                continue;
            }
            for (rule, permitted) in &mut grants {
                if rule.truth(&world) == Truth::True {
                    permitted.insert(cell);
                }
            }
        }
        grants.retain(|(_, permitted)| !permitted.is_empty());
        grants
    }

    /// What remains open at `now` for `recipient`.
    ///
    /// The permissions together, if their union is a free choice of purpose, category and consent, and if they carry the
    /// same duties. Otherwise the one permission that gives most by itself; ties are broken by content, never by the
    /// order of rules, which JSON-LD does not keep. Never more than the policy permits.
    pub(crate) fn residual(&self, now: i64, consumer: Consumer<'_>) -> Result<Residual, Reasons> {
        let grants = self.grants(now, consumer);
        if grants.is_empty() {
            return Err(self.why_nothing(now, consumer));
        }
        let duties: BTreeMap<_, _> = grants
            .iter()
            .map(|(rule, _)| Carried::of_duties(&rule.duties))
            .map(|duties| (duties.iter().map(Carried::key_owned).collect::<Vec<_>>(), duties))
            .collect();
        if let (1, Some(duties)) = (duties.len(), duties.into_values().next()) {
            let union: BTreeSet<Cell> = grants.iter().flat_map(|(_, cells)| cells).copied().collect();
            if let Ok(residual) = self.as_product(&union, duties) {
                return Ok(residual);
            }
        }
        let (mut candidates, mut reasons) = (Vec::new(), Vec::new());
        for (rule, cells) in grants {
            match self.as_product(&cells, Carried::of_duties(&rule.duties)) {
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

    /// The cells as independent choices, or why they are not independent.
    fn as_product(&self, cells: &BTreeSet<Cell>, duties: Vec<Carried>) -> Result<Residual, String> {
        let purposes: BTreeSet<usize> = cells.iter().map(|cell| cell.0).collect();
        let categories: BTreeSet<Category> = cells.iter().map(|cell| cell.1).collect();
        let consents: BTreeSet<bool> = cells.iter().map(|cell| cell.2).collect();
        if purposes.len() * categories.len() * consents.len() != cells.len() {
            return Err(
                "which data may be used depends on the purpose or on the consent in a way that a transfer cannot \
                        hold; split the permission into policies of their own"
                    .to_owned(),
            );
        }
        if !consents.contains(&true) {
            return Err("only data without consent may be used, which a transfer cannot hold".to_owned());
        }
        let named: BTreeSet<String> = purposes.iter().filter_map(|index| self.purpose_name(*index)).collect();
        let any_other = named.len() < purposes.len();
        if any_other && purposes.len() < self.purposes.len() {
            return Err("every purpose but some may be used; a transfer needs the permitted purposes named".to_owned());
        }
        Ok(Residual {
            purposes: (!any_other).then_some(named),
            categories: self.names_categories.then_some(categories),
            consent_required: !consents.contains(&false),
            duties,
        })
    }

    fn purpose_name(&self, index: usize) -> Option<String> {
        match self.purposes.get(index)? {
            Purpose::Named(name) => Some((*name).to_owned()),
            Purpose::Other => None,
        }
    }

    /// Why no cell is permitted: what is known refuses, or what is open contradicts itself.
    fn why_nothing(&self, now: i64, consumer: Consumer<'_>) -> Reasons {
        let open = World {
            now,
            recipient: consumer.recipient,
            verified: consumer.verified(Truth::Unknown),
            purpose: None,
            category: None,
            consent: None,
        };
        let reasons = self.policy.explain(self.action, &open, Missing::IsOpen);
        if !reasons.is_empty() {
            return reasons;
        }
        let unproven = self.unproven(&open);
        if !unproven.is_empty() {
            return unproven;
        }
        let in_the_way = self
            .prohibitions
            .iter()
            .filter(|rule| rule.truth(&open) != Truth::False);
        let conflicts: Reasons = in_the_way
            .map(|rule| {
                let text = "together the prohibitions leave nothing of what the permissions give";
                Reason::new(Code::Conflict, &rule.pointer, text)
            })
            .collect();
        if !conflicts.is_empty() {
            return conflicts;
        }
        let contradiction = |rule: &&Rule| {
            let wanted: Vec<String> = rule.constraints.iter().map(ToString::to_string).collect();
            let text = format!("nothing can satisfy all of {}", quoted(&wanted.join("; ")));
            Reason::new(Code::Unsatisfiable, &rule.pointer, text)
        };
        self.permissions.iter().map(contradiction).collect()
    }

    /// The claims that a permission needs and nobody vouches for. Other facts may still be found per record, these may not.
    fn unproven(&self, open: &World<'_>) -> Reasons {
        let mut reasons = BTreeSet::new();
        for constraint in self.permissions.iter().flat_map(|rule| &rule.constraints) {
            constraint.each_atomic(&mut |atomic| {
                if matches!(atomic.test, Ok(Test::Membership { .. })) && atomic.truth(open) == Truth::Unknown {
                    reasons.insert(explain_atomic(atomic, open));
                }
            });
        }
        reasons.into_iter().collect()
    }

    /// `now` and every later instant at which a comparison with the clock changes.
    fn instants_from(&self, now: i64) -> impl Iterator<Item = i64> + '_ {
        let later = (
            std::ops::Bound::Excluded(now),
            std::ops::Bound::Included(Timestamp::MAX.millis()),
        );
        let later = (now < Timestamp::MAX.millis()).then(|| self.bounds.range(later).copied());
        std::iter::once(now).chain(later.into_iter().flatten())
    }

    /// The longest time around `now` in which `residual` stays the same: first and last millisecond, `None` where it
    /// has no end. When the work limit ends the search early, the window is narrower than it could be, never wider.
    pub(crate) fn window(
        &self,
        now: i64,
        consumer: Consumer<'_>,
        residual: &Residual,
    ) -> (Option<Timestamp>, Option<Timestamp>) {
        let mut steps = self.steps;
        let mut same_at = |instant: i64| {
            steps = steps.saturating_sub(1);
            steps > 0
                && self
                    .residual(instant, consumer)
                    .is_ok_and(|other| other.key() == residual.key())
        };
        let until = self.instants_from(now).skip(1).find(|bound| !same_at(*bound));
        let from = self
            .bounds
            .range(..=now)
            .rev()
            .copied()
            .find(|bound| !same_at(bound.saturating_sub(1)));
        (
            from.map(Timestamp::from_millis),
            until.map(|bound| Timestamp::from_millis(bound.saturating_sub(1))),
        )
    }
}

fn too_complex(text: &str) -> Reason {
    Reason::new(Code::TooComplex, "", text)
}

/// Whether anything is permitted at this instant.
pub(crate) fn permitting_now(policy: &Policy, facts: &Facts) -> Result<(), Reasons> {
    let question = Question::new(policy, facts.action)?;
    let now = facts.now.millis();
    if question.grants(now, facts.consumer()).is_empty() {
        Err(question.why_nothing(now, facts.consumer()))
    } else {
        Ok(())
    }
}

/// The first instant, now or later, at which anything is permitted.
pub(crate) fn first_permitting(policy: &Policy, facts: &Facts) -> Result<Timestamp, Reasons> {
    let question = Question::new(policy, facts.action)?;
    let now = facts.now.millis();
    for (step, instant) in question.instants_from(now).enumerate() {
        if step >= question.steps {
            return Err(vec![too_complex("the policy changes too often over time")]);
        }
        if !question.grants(instant, facts.consumer()).is_empty() {
            return Ok(Timestamp::from_millis(instant));
        }
    }
    Err(question.why_nothing(now, facts.consumer()))
}

/// The first instant, now or later, at which a plan can be made; at publication, for anybody.
pub(crate) fn first_plannable(policy: &Policy, facts: &Facts, stage: Stage) -> Result<Timestamp, Reasons> {
    let question = Question::new(policy, facts.action)?;
    let nobody = |recipient| Consumer {
        recipient,
        claims: None,
    };
    let consumers: Vec<Consumer<'_>> = match stage {
        // The empty name stands for somebody whom the policy does not mention.
        Stage::Publish => std::iter::once("")
            .chain(question.recipients.iter().copied())
            .map(nobody)
            .collect(),
        _ => vec![facts.consumer()],
    };
    let (mut first_refusal, mut not_plannable, mut step) = (None, None, 0);
    for instant in question.instants_from(facts.now.millis()) {
        for consumer in &consumers {
            if step >= question.steps {
                return Err(vec![too_complex(
                    "the policy changes too often over time and recipients",
                )]);
            }
            step += 1;
            match question.residual(instant, *consumer) {
                Ok(_) => return Ok(Timestamp::from_millis(instant)),
                Err(reasons) if reasons.iter().any(|reason| reason.code == Code::NotPlannable) => {
                    not_plannable.get_or_insert(reasons);
                }
                Err(reasons) => {
                    first_refusal.get_or_insert(reasons);
                }
            }
        }
    }
    Err(not_plannable.or(first_refusal).unwrap_or_default())
}
