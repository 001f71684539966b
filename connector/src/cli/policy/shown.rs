//! What the commands about policies print, in French and English: a policy explained, two compared. Pure: it reads no file and no clock. The
//! details of how two differ have English words alone; French says the verdicts, the places and what is wrong with a policy itself.

mod french;

use crate::catalog::ACTIONS;
use policy::odrl::compare;
use policy::{Code, Explanation, Facts, Language, LintCode, Part, Reason, Refusal, Stage, Timestamp, Warning};
use serde::{Serialize, Serializer};
use serde_json::Value;
use std::fmt::Write;

/// Adds the rules that can never apply, which no rule by itself shows. A prohibition beside a wider permission is as it should be.
pub(super) fn warn_of_dead_rules(told: &mut Explanation, json: &Value, language: Language) {
    let dead = policy::rules_together(json).into_iter();
    let dead = dead.filter(|lint| lint.code == LintCode::NeverApplies);
    told.warnings.extend(dead.map(|lint| Warning::of(lint, language)));
}

/// Adds the permissions whose time is over, which only the clock shows.
pub(super) fn warn_of_what_is_over(
    told: &mut Explanation,
    policy: &policy::Policy,
    now: Timestamp,
    language: Language,
) {
    let over = policy.over_at(now).into_iter();
    told.warnings.extend(over.map(|lint| Warning::of(lint, language)));
}

/// The explanation as text: a line for each part, indented under what it belongs to.
pub(super) fn text(told: &Explanation, language: Language) -> String {
    let mut text = format!("{} ({})\n", told.policy, told.kind);
    for line in &told.about {
        let _ = writeln!(text, "  {line}");
    }
    for part in told
        .permissions
        .iter()
        .chain(&told.prohibitions)
        .chain(&told.obligations)
    {
        text.push('\n');
        put(&mut text, part, 0, language);
    }
    let mut section = |title: &str, lines: Vec<String>| {
        if !lines.is_empty() {
            let _ = writeln!(text, "\n{title}");
            lines.iter().for_each(|line| {
                let _ = writeln!(text, "  {line}");
            });
        }
    };
    let refusals = told.refusals.iter();
    section(
        language.say("Refusé parce que :", "Refused because:"),
        refusals.map(|one: &Refusal| one.reason().told(language)).collect(),
    );
    let warnings = told.warnings.iter();
    section(
        language.say("À vérifier :", "To be checked:"),
        warnings
            .map(|one| format!("{} {} ({}, {})", one.code.as_str(), one.text, one.about, one.pointer))
            .collect(),
    );
    let classes = told.classes.iter();
    section(
        language.say("Classes d’usage IDS :", "IDS usage-control classes:"),
        classes
            .map(|one| {
                format!(
                    "{:>2} {} [{}]",
                    one.number.number(),
                    one.name,
                    one.standing.text(language)
                )
            })
            .collect(),
    );
    text
}

fn put(text: &mut String, part: &Part, depth: usize, language: Language) {
    let code = part.code.map(|code| format!(" {code}")).unwrap_or_default();
    let standing = part.standing.text(language);
    let _ = writeln!(text, "{}{} [{standing}{code}]", "  ".repeat(depth), part.text);
    for inner in &part.parts {
        put(text, inner, depth + 1, language);
    }
}

/// What stands in the way of an answer of yes.
struct Fault {
    english: String,
    pointer: String,
    in_first: bool,
}

impl Fault {
    fn told(&self, language: Language) -> String {
        if language == Language::English {
            return self.english.clone();
        }
        let place = if self.pointer.is_empty() {
            "le début"
        } else {
            &self.pointer
        };
        let which = if self.in_first { "première" } else { "seconde" };
        format!("voir {place} de la {which} politique")
    }

    /// English already says what is in the way.
    fn as_answer(&self, language: Language) -> String {
        format!("{}{}", language.say("non : ", ""), self.told(language))
    }

    /// What goes beyond one of the two: the library speaks of terms that are asked for beside those offered.
    fn beyond(found: policy::Wider, asked_is_first: bool) -> Self {
        let in_first = found.in_asked == asked_is_first;
        let [asked, offered] = if asked_is_first {
            ["first", "second"]
        } else {
            ["second", "first"]
        };
        Self {
            english: format!(
                "{}: {} (asked for: the {asked}; offered: the {offered})",
                at(&found.pointer, in_first),
                found.text
            ),
            pointer: found.pointer,
            in_first,
        }
    }

    /// What is for one participant alone decides so from the catalog on. Told of the policy that is for nobody else.
    fn for_others(first: &policy::Policy, second: &policy::Policy, in_first: bool) -> Self {
        let whom = |policy: &policy::Policy| match policy.assignee() {
            Some(assignee) => format!("for {assignee} alone"),
            None => "for anybody".to_owned(),
        };
        let (own, other) = if in_first { (first, second) } else { (second, first) };
        Self {
            english: format!(
                "{}: it is {}, and the other {}",
                at("", in_first),
                whom(own),
                whom(other)
            ),
            pointer: String::new(),
            in_first,
        }
    }

    /// Nothing is permitted under a policy that is not understood, and nobody could tell what it has in common with another.
    fn not_understood(first: &policy::Policy, second: &policy::Policy) -> Option<Self> {
        let reason = |policy: &policy::Policy| policy.check(Stage::Publish).err()?.into_iter().next();
        let (reason, in_first) = match (reason(first), reason(second)) {
            (Some(reason), _) => (reason, true),
            (None, Some(reason)) => (reason, false),
            (None, None) => return None,
        };
        Some(Self {
            english: format!("{}: {}: {}", at(&reason.pointer, in_first), reason.code, reason.text),
            pointer: reason.pointer,
            in_first,
        })
    }
}

/// A place in one of the two policies.
fn at(pointer: &str, in_first: bool) -> String {
    let place = if pointer.is_empty() { "the top" } else { pointer };
    let which = if in_first { "first" } else { "second" };
    format!("at {place} of the {which} policy")
}

impl Serialize for Fault {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.english)
    }
}

/// How two policies go together.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Comparison {
    /// They say the same to the same participants.
    same: bool,
    /// The first thing that differs.
    difference: Option<Fault>,
    /// The first permits nothing that the second does not permit, to nobody else.
    first_within_second: bool,
    /// Where it goes beyond, or could not be shown not to.
    first_beyond: Option<Fault>,
    /// The second permits nothing that the first does not permit, to nobody else.
    second_within_first: bool,
    /// Where it goes beyond, or could not be shown not to.
    second_beyond: Option<Fault>,
    /// Why nothing is known of how the two go together: one of them has terms that are not understood here.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_understood: Option<Fault>,
    /// Rules that both allow, and for whom alone where one of them says so.
    common: Option<Value>,
    /// Why there are none.
    nothing_common: Option<Fault>,
    first: Alone,
    second: Alone,
    /// Operand by operand, with requests that show it and the smallest sets of constraints that leave none; as far as both can be read as
    /// policies of the ODRL information model. Absent where one of them is not understood here.
    #[serde(skip_serializing_if = "Option::is_none")]
    in_detail: Option<policy::odrl::compare::Comparison>,
}

/// One of the two by itself.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Alone {
    /// Somebody could use data, or have a release of them, under it, now or later.
    satisfiable: bool,
    /// Its rules leave nothing of each other.
    contradictory: bool,
    /// Why nobody could.
    reasons: Vec<policy::Reason>,
    /// Rules that could be left out, beside those that cover them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    adding_nothing: Vec<policy::Lint>,
}

impl Alone {
    fn of(json: &Value, policy: &policy::Policy, now: Timestamp) -> Self {
        let refusals = ACTIONS.map(|action| {
            let decision = policy.decide(Stage::Publish, &Facts::new(now, "", action));
            decision.reasons().to_vec()
        });
        // Where nothing is given, why is asked of an action that some permission speaks of.
        let unspoken = |reasons: &[Reason]| reasons.iter().any(|reason| reason.code == Code::NoPermission);
        let least = refusals.into_iter().min_by_key(|one| (!one.is_empty(), unspoken(one)));
        let mut reasons = least.unwrap_or_default();
        if policy.check(Stage::Publish).is_ok() {
            let together = impossible(json);
            // What contradicts itself never comes into force, and is not what it is for want of patience.
            reasons.retain(|reason| together.is_empty() || reason.code != Code::OutsideTime);
            reasons.splice(0..0, together);
        }
        Self {
            satisfiable: reasons.is_empty(),
            contradictory: reasons
                .iter()
                .any(|reason| matches!(reason.code, Code::Conflict | Code::Unsatisfiable)),
            reasons,
            adding_nothing: policy.adding_nothing(),
        }
    }

    fn told(&self, language: Language) -> String {
        let mut told: Vec<String> = match (self.reasons.as_slice(), language) {
            ([], _) => vec![
                language
                    .say(
                        "quelqu’un pourrait utiliser des données selon elle",
                        "somebody could use data under it",
                    )
                    .to_owned(),
            ],
            (reasons, Language::English) => reasons.iter().map(ToString::to_string).collect(),
            (reasons, Language::French) => reasons.iter().map(|reason| reason.told(language)).collect(),
        };
        let adds = language.say("n’ajoute rien à", "adds nothing to");
        let surplus = self.adding_nothing.iter();
        told.extend(surplus.map(|lint| format!("{} {adds} {}", lint.pointer, lint.about)));
        told.join(language.say(" ; ", "; "))
    }
}

/// A reason for each of the rules and constraints that leave nothing of each other.
fn impossible(json: &Value) -> Vec<Reason> {
    let mut places = policy::leaving_nothing(json);
    places.sort_unstable();
    let text = match places.as_slice() {
        [_] => "nothing can ever satisfy it".to_owned(),
        all => format!("impossible together: {}", all.join(", ")),
    };
    let reason = |pointer| Reason::new(Code::Unsatisfiable, pointer, text);
    places.into_iter().next().map(reason).into_iter().collect()
}

/// The rules that both allow, for whom the narrower of the two is.
fn common(first: &Value, second: &Value, assignee: Option<&str>) -> Result<Value, Fault> {
    let mut common = policy::intersect(first, second).map_err(|none| Fault {
        english: format!("{}: {}", at(&none.pointer, none.in_asked), none.text),
        pointer: none.pointer,
        in_first: none.in_asked,
    })?;
    if let (Some(members), Some(assignee)) = (common.as_object_mut(), assignee) {
        members.insert("assignee".to_owned(), assignee.into());
    }
    Ok(common)
}

/// What is proved at length stands above what is written after a brief look: where nothing satisfies both, no rules are called common.
fn proved(common: Result<Value, Fault>, in_detail: Option<&policy::odrl::compare::Comparison>) -> Result<Value, Fault> {
    match in_detail.map(|found| &found.common) {
        Some(compare::Answer::Impossible(ids)) if common.is_ok() => Err(Fault {
            english: format!("nothing satisfies both: impossible together: {}", ids.join(", ")),
            pointer: String::new(),
            in_first: true,
        }),
        _ => common,
    }
}

/// Compares two policies, each as JSON and read, at this time.
pub(super) fn compare(
    first: (&Value, &policy::Policy),
    second: (&Value, &policy::Policy),
    now: Timestamp,
) -> Comparison {
    let [for_first, for_second] = [first.1.assignee(), second.1.assignee()];
    let for_others = |in_first| Fault::for_others(first.1, second.1, in_first);
    let difference = policy::same_terms(first.1, second.1).err().map(|found| Fault {
        english: found.to_string(),
        pointer: found.pointer,
        in_first: found.in_first,
    });
    let difference = difference.or_else(|| (for_first != for_second).then(|| for_others(for_first.is_some())));
    let not_understood = || Fault::not_understood(first.1, second.1);
    let beyond = |asked: &policy::Policy, offered: &policy::Policy, asked_is_first: bool| {
        let found = policy::within(asked, offered).err();
        let elsewhere = offered.assignee().is_some() && offered.assignee() != asked.assignee();
        not_understood()
            .or_else(|| found.map(|found| Fault::beyond(found, asked_is_first)))
            .or_else(|| elsewhere.then(|| for_others(!asked_is_first)))
    };
    let first_beyond = beyond(first.1, second.1, true);
    let second_beyond = beyond(second.1, first.1, false);
    let apart = for_first.is_some() && for_second.is_some() && for_first != for_second;
    let in_detail = not_understood()
        .is_none()
        .then(|| in_detail(first.0, second.0))
        .flatten();
    let common = match not_understood().or_else(|| apart.then(|| for_others(true))) {
        Some(fault) => Err(fault),
        None => proved(common(first.0, second.0, for_first.or(for_second)), in_detail.as_ref()),
    };
    let (common, nothing_common) = match common {
        Ok(common) => (Some(common), None),
        Err(fault) => (None, Some(fault)),
    };
    Comparison {
        same: difference.is_none(),
        difference,
        first_within_second: first_beyond.is_none(),
        first_beyond,
        second_within_first: second_beyond.is_none(),
        second_beyond,
        common,
        nothing_common,
        first: Alone::of(first.0, first.1, now),
        second: Alone::of(second.0, second.1, now),
        in_detail,
        not_understood: not_understood(),
    }
}

/// The comparison by what conditions leave of each operand. It reads operands as the profile enforces them; some hold several
/// names.
fn in_detail(first: &Value, second: &Value) -> Option<policy::odrl::compare::Comparison> {
    use policy::odrl::{Policy, Reading};
    let read = |json| Policy::read(json, &Reading::LENIENT).ok();
    Some(compare::report(
        &read(first)?,
        &read(second)?,
        &compare::Concepts::profile(),
    ))
}

/// The width of what stands before the answers: more than the longest title.
const TITLE: usize = 24;

impl Comparison {
    pub(super) fn told(&self, language: Language) -> String {
        let say = |french, english| language.say(french, english);
        let mut text = String::new();
        let mut line = |title: &str, said: &str| {
            let _ = writeln!(text, "{title:<TITLE$}{said}");
        };
        let or_yes = |fault: &Option<Fault>| {
            let told = fault.as_ref().map(|fault| fault.as_answer(language));
            told.unwrap_or_else(|| say("oui", "yes").to_owned())
        };
        line(say("mêmes conditions", "same terms"), &or_yes(&self.difference));
        line(
            say("1re dans la 2de", "first within second"),
            &or_yes(&self.first_beyond),
        );
        line(
            say("2de dans la 1re", "second within first"),
            &or_yes(&self.second_beyond),
        );
        line(say("la 1re seule", "first by itself"), &self.first.told(language));
        line(say("la 2de seule", "second by itself"), &self.second.told(language));
        let both = say("toutes deux permettent", "both allow");
        match (&self.common, &self.nothing_common) {
            (Some(common), _) => {
                let _ = writeln!(text, "{both}\n{common:#}");
            }
            (None, why) => {
                let why = why.as_ref().map(|fault| fault.told(language)).unwrap_or_default();
                let _ = writeln!(text, "{both:<TITLE$}{}{why}", say("rien : ", "nothing: "));
            }
        }
        if let Some(fault) = &self.not_understood {
            let begin = say(
                "On ne sait pas si elles vont ensemble : une politique n’est pas comprise",
                "Unknown: a policy is not understood",
            );
            let _ = writeln!(text, "\n{begin}{}{}", say(" ; ", ", "), fault.told(language));
        }
        match (&self.in_detail, language) {
            (None, _) => {}
            (Some(found), Language::English) => {
                let _ = write!(text, "\n{found}");
            }
            (Some(found), Language::French) => {
                let _ = write!(text, "\n{}", french::in_detail(found));
            }
        }
        text
    }
}

#[cfg(test)]
mod tests;
