//! A policy in plain French or English: what it permits, prohibits and obliges to, and of each part how far it is enforced here. Says what
//! `check`, `lint`, `ids` and the profile say; decides nothing.

use crate::{
    evaluate::Stage,
    ids::{self, Class},
    lint::{Lint, LintCode},
    model::{Constraint, Duty, Kind, Policy, Rule},
    reason::{Code, Fix, Language, Reason},
    vocabulary::{Action, Enforcement},
    words,
};
use serde::Serialize;

/// How far a part of a policy is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// By this connector, on facts that it knows itself or that are its operator's to set.
    Enforced,
    /// By this connector, on facts that are attested.
    Attested,
    /// By this connector, on facts that a party declares.
    DeclaredOnly,
    /// Only the consumer can do it.
    NeedsConsumer,
    /// It or another part of the policy is not understood, which refuses the whole policy.
    Refused,
}

impl From<Enforcement> for Standing {
    fn from(enforcement: Enforcement) -> Self {
        match enforcement {
            Enforcement::Enforced => Self::Enforced,
            Enforcement::Attested => Self::Attested,
            Enforcement::Declared => Self::DeclaredOnly,
            Enforcement::NeedsConsumer => Self::NeedsConsumer,
        }
    }
}

impl Standing {
    /// What it is called.
    pub const fn text(self, language: Language) -> &'static str {
        match self {
            Self::Enforced => language.say("appliqué ici", "enforced here"),
            Self::Attested => language.say("appliqué ici, sur attestation", "enforced here, on attested facts"),
            Self::DeclaredOnly => language.say("déclaré seulement", "declared only"),
            Self::NeedsConsumer => language.say("dépend du destinataire", "needs the consumer"),
            Self::Refused => language.say("refusé", "refused"),
        }
    }
}

/// A part of a policy in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Part {
    /// JSON pointer into the policy.
    pub pointer: String,
    /// The part in words.
    pub text: String,
    /// How far it is kept; of a rule, the weakest of what it is made of.
    pub standing: Standing,
    /// Why it is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// Constraints, duties, remedies and consequences.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Self>,
}

/// Why the policy is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// The stable code.
    pub code: Code,
    /// JSON pointer into the policy.
    pub pointer: String,
    /// What the code means.
    pub text: String,
    /// What is wrong in this place, in English.
    pub detail: String,
    /// Who can mend it.
    pub fix: Fix,
    #[serde(skip)]
    reason: Reason,
}

impl Refusal {
    fn of(reason: Reason, language: Language) -> Self {
        Self {
            code: reason.code,
            pointer: reason.pointer.clone(),
            text: reason.code.text(language).to_owned(),
            detail: reason.text.clone(),
            fix: reason.code.fix(),
            reason,
        }
    }

    /// The reason itself, which knows the details in other languages as far as they have words there.
    pub const fn reason(&self) -> &Reason {
        &self.reason
    }
}

/// A warning in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// The stable code.
    pub code: LintCode,
    /// JSON pointer into the policy.
    pub pointer: String,
    /// What the code means.
    pub text: String,
    /// The constraint that it is about.
    pub about: String,
}

impl Warning {
    /// A warning in this language.
    pub fn of(lint: Lint, language: Language) -> Self {
        Self {
            code: lint.code,
            pointer: lint.pointer,
            text: lint.code.text(language).to_owned(),
            about: lint.about,
        }
    }
}

/// A usage-control class in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Recognised {
    /// The number of the class.
    pub number: Class,
    /// What it is called.
    pub name: String,
    /// How far it is kept.
    pub standing: Standing,
}

/// A policy in plain words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// The language of the texts.
    pub language: &'static str,
    /// The policy's `@id`.
    pub policy: String,
    /// What the policy is.
    pub kind: String,
    /// Between whom, and about what, where it says so.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub about: Vec<String>,
    /// Whether every term is understood; if not, nothing is permitted.
    pub understood: bool,
    /// What is permitted.
    pub permissions: Vec<Part>,
    /// What is prohibited.
    pub prohibitions: Vec<Part>,
    /// What must be done.
    pub obligations: Vec<Part>,
    /// Why the policy is refused, if it is.
    pub refusals: Vec<Refusal>,
    /// What its author may not have meant.
    pub warnings: Vec<Warning>,
    /// The usage-control classes of the International Data Spaces in it.
    pub classes: Vec<Recognised>,
}

/// Explains a policy.
pub fn explain(policy: &Policy, language: Language) -> Explanation {
    let refusals: Vec<Refusal> = policy
        .check(Stage::Publish)
        .err()
        .unwrap_or_default()
        .into_iter()
        .map(|reason| Refusal::of(reason, language))
        .collect();
    let reader = Reader {
        language,
        refusals: &refusals,
    };
    Explanation {
        language: language.tag(),
        policy: policy.id().to_owned(),
        kind: kind(policy.kind(), language).to_owned(),
        about: about(policy, language),
        understood: refusals.is_empty(),
        permissions: policy.permissions.iter().map(|rule| reader.permission(rule)).collect(),
        prohibitions: policy
            .prohibitions
            .iter()
            .map(|rule| reader.prohibition(rule))
            .collect(),
        obligations: policy
            .obligations
            .iter()
            .map(|duty| reader.duty(duty, DutyOf::Transfer))
            .collect(),
        warnings: policy
            .lints()
            .into_iter()
            .map(|lint| Warning::of(lint, language))
            .collect(),
        classes: ids::kept(policy)
            .into_iter()
            .map(|(class, kept)| Recognised {
                number: class,
                name: class.name(language).to_owned(),
                standing: kept.into(),
            })
            .collect(),
        refusals,
    }
}

const fn kind(kind: Kind, language: Language) -> &'static str {
    match kind {
        Kind::Offer => language.say(
            "offre : une proposition, qui ne permet rien par elle-même",
            "offer: a proposal, which permits nothing by itself",
        ),
        Kind::Agreement => language.say("accord", "agreement"),
        Kind::Set => language.say("ensemble de règles", "set of rules"),
    }
}

fn about(policy: &Policy, language: Language) -> Vec<String> {
    let dated = match policy.kind() {
        Kind::Agreement => language.say("Conclu le", "Agreed at"),
        Kind::Offer | Kind::Set => language.say("Daté du", "Dated"),
    };
    let said = [
        (language.say("Accordé par", "Granted by"), policy.assigner()),
        (language.say("Accordé à", "Granted to"), policy.assignee()),
        (language.say("Sur", "About"), policy.target()),
        (dated, policy.timestamp()),
    ];
    let said = said.into_iter().filter_map(|(what, who)| Some((what, who?)));
    let profiles = policy
        .profiles()
        .map(|profile| (language.say("Selon le profil", "By the profile"), profile));
    said.chain(profiles)
        .map(|(what, who)| format!("{what} {who}"))
        .collect()
}

/// What a duty belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum DutyOf {
    /// The whole policy, or a permission under which this connector gives something.
    Transfer,
    /// A permission of what only the consumer does: nothing here knows when to keep the duty.
    Elsewhere,
    /// It comes after something that was not done, or was done against a prohibition. That is the consumer's, and so is what mends it.
    Failure,
}

/// How far conditions are kept.
#[derive(Clone, Copy)]
enum Conditions {
    /// No further than what they are conditions of: nobody here judges them for a consumer.
    Of(Standing),
    /// Nobody judges them: what they are conditions of is done whether they hold or not, and needs nothing on their account.
    Beside(Standing),
}

struct Reader<'a> {
    language: Language,
    refusals: &'a [Refusal],
}

impl Reader<'_> {
    fn permission(&self, rule: &Rule) -> Part {
        let (standing, of) = if rule.gives_here() {
            (Standing::Enforced, DutyOf::Transfer)
        } else {
            (Standing::NeedsConsumer, DutyOf::Elsewhere)
        };
        let duties = rule.duties.iter().map(|duty| self.duty(duty, of));
        let conditions = Conditions::Of(standing);
        let parts = self.constraints(&rule.constraints, conditions).chain(duties).collect();
        let text = words::permits(&rule.action, self.language);
        self.part(&rule.pointer, text, standing, parts)
    }

    /// What the handing over consists of is refused here; what else is prohibited, only the consumer can leave undone.
    fn prohibition(&self, rule: &Rule) -> Part {
        let standing = if rule.refuses_here() {
            Standing::Enforced
        } else {
            Standing::NeedsConsumer
        };
        let remedies = rule.remedies.iter().map(|duty| self.duty(duty, DutyOf::Failure));
        let conditions = Conditions::Of(standing);
        let parts = self
            .constraints(&rule.constraints, conditions)
            .chain(remedies)
            .collect();
        let text = words::prohibits(&rule.action, self.language);
        self.part(&rule.pointer, text, standing, parts)
    }

    fn duty(&self, duty: &Duty, of: DutyOf) -> Part {
        let kept = duty.action.known().filter(|action| action.is_kept_here());
        let (standing, conditions) = match kept.filter(|_| of == DutyOf::Transfer) {
            // The entry is made whatever its condition; only the telling is left out where a condition does not hold.
            Some(Action::Log) => (Standing::Enforced, Conditions::Beside(Standing::Enforced)),
            Some(_) => (Standing::Enforced, Conditions::Of(Standing::Enforced)),
            None => (Standing::NeedsConsumer, Conditions::Of(Standing::NeedsConsumer)),
        };
        let text = match of {
            DutyOf::Transfer | DutyOf::Elsewhere => words::obliges(duty, self.language),
            DutyOf::Failure => words::mends(duty, self.language),
        };
        let consequences = duty.consequences.iter().map(|duty| self.duty(duty, DutyOf::Failure));
        let parts = self
            .constraints(&duty.constraints, conditions)
            .chain(consequences)
            .collect();
        self.part(&duty.pointer, text, standing, parts)
    }

    fn constraints<'s>(&'s self, constraints: &'s [Constraint], of: Conditions) -> impl Iterator<Item = Part> + 's {
        constraints
            .iter()
            .map(move |constraint| self.constraint(constraint, of))
    }

    fn constraint(&self, constraint: &Constraint, of: Conditions) -> Part {
        match constraint {
            Constraint::Atomic(atomic) => {
                let known = atomic.left.known();
                let own = known.map_or(Standing::Refused, |left| left.operand().enforcement.into());
                let standing = match of {
                    Conditions::Of(whole) => own.max(whole),
                    Conditions::Beside(whole) => whole,
                };
                let text = words::written(atomic, self.language);
                self.part(&atomic.pointer, text, standing, Vec::new())
            }
            Constraint::Logical {
                pointer,
                connective,
                parts,
            } => {
                let (Conditions::Of(whole) | Conditions::Beside(whole)) = of;
                let parts = self.constraints(parts, of).collect();
                let text = words::connective(*connective, self.language).to_owned();
                self.part(pointer, text, whole, parts)
            }
        }
    }

    /// A part that is refused itself says why, and nothing of a policy is kept where any of it is refused; one that is made of others is kept as
    /// far as the weakest of them.
    fn part(&self, pointer: &str, text: String, own: Standing, parts: Vec<Part>) -> Part {
        let inside = |refused: &&Refusal| {
            let below = refused
                .pointer
                .strip_prefix(pointer)
                .and_then(|rest| rest.strip_prefix('/'));
            below.is_some_and(|member| !member.contains('/'))
        };
        let code = self.refusals.iter().find(inside).map(|refusal| refusal.code);
        let standing = if self.refusals.is_empty() {
            own
        } else {
            Standing::Refused
        };
        let weakest = parts.iter().map(|part| part.standing).fold(standing, Ord::max);
        Part {
            pointer: pointer.to_owned(),
            text,
            standing: weakest,
            code,
            parts,
        }
    }
}

#[cfg(test)]
mod tests;
