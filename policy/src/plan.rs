//! The plan of one transfer: everything known at its start is folded, and what remains is what each record needs. Made by
//! [`Policy::plan`] and by nothing else; how a plan is applied to records is the data plane's affair.

use crate::{
    evaluate::{Stage, World},
    facts::{Consumer, Facts, Moment},
    model::{Constraint, Duty, Policy, Rule},
    program::Program,
    reach::Reach,
    reason::{Code, Reason},
    record::RecordFacts,
    residual::{self, Question},
    timestamp::Timestamp,
    truth::Truth,
    vocabulary::{Action, Category, canonical_name},
};
use serde::{Serialize, Serializer};
use std::{collections::BTreeSet, time::Duration};

/// A duty, or a prohibition of something that only the consumer can do: written in the policy, understood, and not
/// enforceable from here, except `log` and `inform`, which this connector does. It needs the consumer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Carried {
    /// What must be done, or must not be done.
    pub action: Action,
    /// Who is to be informed, of a duty that names somebody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub informed: Option<String>,
    /// Under which constraints, in words such as `dateTime lteq 2026-12-31T00:00:00Z`; all of them; sorted.
    pub when: Vec<String>,
    /// JSON pointer of the duty or prohibition.
    pub pointer: String,
    /// What must be done as well when it was not done: the consequences of a duty, the remedies of a prohibition.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub otherwise: Vec<Self>,
}

impl Carried {
    fn new(action: Action, constraints: &[Constraint], pointer: &str, otherwise: &[Duty]) -> Self {
        let mut when: Vec<String> = constraints.iter().map(ToString::to_string).collect();
        when.sort_unstable();
        Self {
            action,
            informed: None,
            when,
            pointer: pointer.to_owned(),
            otherwise: Self::of_duties(otherwise),
        }
    }

    /// The duties of a rule or a policy, sorted. Unknown actions were refused by [`Policy::check`].
    pub(crate) fn of_duties(duties: &[Duty]) -> Vec<Self> {
        let carried = |duty: &Duty| {
            let action = duty.action.known()?;
            Some(Self {
                informed: duty.informed.clone(),
                ..Self::new(action, &duty.constraints, &duty.pointer, &duty.consequences)
            })
        };
        let mut all: Vec<Self> = duties.iter().filter_map(carried).collect();
        all.sort_unstable();
        all
    }

    fn of_rule(rule: &Rule) -> Option<Self> {
        let action = rule.action.known()?;
        Some(Self::new(action, &rule.constraints, &rule.pointer, &rule.remedies))
    }

    /// What is said, without where it is said.
    pub(crate) fn said(&self) -> Said {
        let otherwise = self
            .otherwise
            .iter()
            .map(|one| (one.action, one.when.clone()))
            .collect();
        (self.action, self.informed.clone(), self.when.clone(), otherwise)
    }
}

/// Action, who is informed, constraints, and what must be done otherwise.
pub(crate) type Said = (Action, Option<String>, Vec<String>, Vec<(Action, Vec<String>)>);

/// What is left to look at per record. Everything else has been decided, for one policy, recipient and action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Plan {
    /// `@id` of the policy that was folded.
    pub policy: String,
    /// The verified consumer for whom the plan was made.
    pub recipient: String,
    /// The action that the plan permits.
    pub action: Action,
    /// The purposes to which the policy binds the use, as [`canonical_name`] writes them, sorted. The learner's consent
    /// must cover each of them. Empty means that the policy binds the use to no purpose: see [`Plan::any_purpose`].
    pub purposes: Vec<String>,
    /// The data categories that may leave with the learner's consent, sorted; `None` when the policy does not restrict them. Whether a
    /// record may leave is for [`Plan::permits`] to say: what the policy ties to minors does not show here.
    pub categories: Option<Vec<String>>,
    /// True when records of these categories need the learner's consent because the policy says so; of some categories alone, perhaps.
    pub consent_required: bool,
    /// First instant at which the plan holds; `None` when it always did.
    pub valid_from: Option<Timestamp>,
    /// Last millisecond in which the plan holds; `None` when it has no end. After it a new plan may be asked for.
    pub valid_until: Option<Timestamp>,
    /// How long the streams of the agreement may still be open, all together, from the usage on that the plan was made with; `None` when the
    /// policy does not limit it.
    #[serde(
        rename = "metered_left_millis",
        serialize_with = "millis",
        skip_serializing_if = "Option::is_none"
    )]
    pub metered_left: Option<Duration>,
    /// How many transfers may ever be started under this agreement, this one included; `None` when the policy does not limit it. Whoever
    /// starts one reserves it first, durably, while fewer than this were started before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count_limit: Option<u64>,
    /// Duties of the permissions and obligations of the policy that the consumer has to fulfil.
    pub duties: Vec<Carried>,
    /// Prohibitions of actions that are the consumer's alone, such as `distribute`.
    pub declared: Vec<Carried>,
    /// Who else is to be informed of the transfer, as the duties to inform among [`Plan::duties`] name them; sorted. A duty whose constraints
    /// do not hold when the plan is made informs nobody; one of which that is not known does.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub informed: BTreeSet<String>,
    /// What each record is asked.
    #[serde(skip)]
    pub(crate) program: Program,
}

fn millis<S: Serializer>(left: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    left.map(|left| u64::try_from(left.as_millis()).unwrap_or(u64::MAX))
        .serialize(serializer)
}

impl Plan {
    /// The reasons with which [`Plan::permits`] refuses; what would help most comes first.
    pub const REFUSALS: [Code; 4] = [
        Code::ConsentNone,
        Code::GuardianMissing,
        Code::ConstraintUnknown,
        Code::ConstraintFalse,
    ];

    /// True when the policy names no purpose, so that the consumer may use the data for any.
    pub fn any_purpose(&self) -> bool {
        self.purposes.is_empty()
    }

    /// Who is to be informed of the transfer, each after the pointer of the duty that says so.
    pub fn informs(&self) -> impl Iterator<Item = (&str, &str)> {
        let named = self
            .duties
            .iter()
            .filter_map(|duty| Some((duty, duty.informed.as_deref()?)));
        let due = named.filter(|(_, party)| self.informed.contains(*party));
        due.map(|(duty, party)| (duty.pointer.as_str(), party))
    }

    /// True when the policy lets records of this category leave; any accepted spelling. A record whose category is not
    /// known leaves only if the policy does not restrict categories.
    pub fn allows_category(&self, category: &str) -> bool {
        match &self.categories {
            None => true,
            Some(allowed) => {
                Category::read(category).is_some_and(|category| allowed.iter().any(|one| one == category.name()))
            }
        }
    }

    /// True when the plan permits a use for this purpose.
    pub fn allows_purpose(&self, purpose: &str) -> bool {
        self.any_purpose() || self.purposes.contains(&canonical_name(purpose))
    }

    /// Whether a record may leave, for each of the plan's purposes. Permits only what [`Policy::decide`] at [`Stage::Record`] permits for the
    /// same facts, as long as the plan is open ([`Plan::open_at`]).
    ///
    /// # Errors
    /// One of [`Plan::REFUSALS`]: `CNS-01` when consent would help, `CNS-09` when a guardian's would, `CST-02` when a fact is missing, otherwise
    /// `CST-01`.
    pub fn permits(&self, record: &RecordFacts) -> Result<(), Code> {
        if self.program.permits(record) {
            Ok(())
        } else {
            Err(self.program.why_not(record))
        }
    }

    /// The same, worked out operation by operation instead of looked up: what the answers were made from, for whoever checks or measures.
    pub fn permits_by_operations(&self, record: &RecordFacts) -> bool {
        self.program.run(record) == Truth::True
    }

    /// What the plan answers for every record that there can be: for each category, and last for one that is not known, a bit for each
    /// combination of consent, minor and guardian, missing ones among them. Two plans with the same answers let the same records leave.
    pub fn answers(&self) -> &[u32] {
        self.program.answers()
    }

    /// How many operations the plan holds; at most 256.
    pub fn operations(&self) -> usize {
        self.program.len()
    }

    /// Whether the plan holds at `now`. To be asked at least once per batch, and by a timer at [`Plan::valid_until`].
    ///
    /// # Errors
    /// `POL-05` before [`Plan::valid_from`] and after [`Plan::valid_until`].
    pub fn open_at(&self, now: Timestamp) -> Result<(), Reason> {
        match (self.valid_from, self.valid_until) {
            (Some(from), _) if now < from => Err(Reason::new(
                Code::OutsideTime,
                "",
                format!("the plan holds from {from} on, and it is {now}"),
            )),
            (_, Some(until)) if now > until => Err(Reason::new(
                Code::OutsideTime,
                "",
                format!("the plan held until {until}, and it is {now}"),
            )),
            _ => Ok(()),
        }
    }
}

impl Policy {
    /// What the policy could let out to this consumer, now or later. Facts of a transfer that are not known yet refuse nothing, as in a
    /// negotiation ([`Stage::Negotiation`]).
    ///
    /// # Errors
    /// Whatever [`Policy::decide`] refuses at that stage.
    pub fn scope(&self, facts: &Facts) -> Result<Reach, Vec<Reason>> {
        self.check(Stage::Negotiation)?;
        let (_, residual) = residual::first_plannable(self, facts, Stage::Negotiation)?;
        Ok(Reach {
            purposes: residual.purposes.into_iter().flatten().collect(),
            categories: residual.categories,
        })
    }

    /// Folds everything known at the start of a transfer: all facts but those of a record and the purpose. The plan never
    /// permits what [`Policy::decide`] at [`Stage::Record`] would refuse.
    ///
    /// # Errors
    /// Whatever [`Policy::decide`] at [`Stage::Transfer`] refuses, for the same reasons; and `POL-08` when the condition
    /// that remains differs from purpose to purpose, or is too long, so that no plan can hold it.
    pub fn plan(&self, facts: &Facts) -> Result<Plan, Vec<Reason>> {
        self.check(Stage::Transfer)?;
        self.right_party(Stage::Transfer, facts)?;
        let question = Question::new(self, facts, Stage::Transfer)?;
        let (moment, consumer) = (Moment::of(facts), facts.consumer(Stage::Transfer));
        let residual = question.residual(moment, consumer)?;
        let window = question.window(moment, consumer, &residual);
        let mut duties = residual.duties;
        duties.extend(Carried::of_duties(&self.obligations));
        let declared = self.prohibitions.iter().filter(|rule| !rule.forbids(facts.action));
        let names = |categories: BTreeSet<Category>| {
            categories
                .into_iter()
                .map(|category| category.name().to_owned())
                .collect()
        };
        Ok(Plan {
            policy: self.id.clone(),
            recipient: facts.recipient.clone(),
            action: facts.action,
            purposes: residual.purposes.into_iter().flatten().collect(),
            categories: residual.categories.map(names),
            consent_required: residual.consent_required,
            valid_from: window.from,
            valid_until: window.until,
            metered_left: window.metered_left,
            count_limit: window.last_transfer,
            informed: self.informed(&duties, moment, consumer),
            duties,
            declared: declared.filter_map(Carried::of_rule).collect(),
            program: residual.program,
        })
    }

    fn informed(&self, carried: &[Carried], moment: Moment, consumer: Consumer<'_>) -> BTreeSet<String> {
        let world = World::before_records(moment, consumer, Truth::Unknown);
        let applies = |duty: &&Duty| {
            carried.iter().any(|one| one.pointer == duty.pointer)
                && !duty.constraints.iter().any(|one| one.truth(&world) == Truth::False)
        };
        let due = self.duties().filter(applies);
        due.filter_map(|duty| duty.informed.clone()).collect()
    }
}

#[cfg(test)]
mod tests;
