//! What the commands about policies print, in French and English: a policy explained, two compared. Pure: it reads no file and no clock. The
//! details of a comparison have English words alone; French says the verdicts and the places.

use policy::odrl::compare::{self, Answer, Contradiction, Request, Stated, Verdict, Why, Within};
use policy::{Action, Code, Explanation, Facts, Language, LintCode, Part, Reason, Refusal, Stage, Timestamp, Warning};
use serde::{Serialize, Serializer};
use serde_json::Value;
use std::fmt::Write;

/// Adds the rules that can never apply, which no rule by itself shows. A prohibition beside a wider permission is as it should be.
pub(super) fn warn_of_dead_rules(told: &mut Explanation, json: &Value, language: Language) {
    let dead = policy::rules_together(json).into_iter();
    let dead = dead.filter(|lint| lint.code == LintCode::NeverApplies);
    told.warnings.extend(dead.map(|lint| Warning::of(lint, language)));
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
        refusals
            .map(|one: &Refusal| Reason::from(one.clone()).told(language))
            .collect(),
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
    /// They say the same.
    same: bool,
    /// The first thing that differs.
    difference: Option<Fault>,
    /// The first permits nothing that the second does not permit.
    first_within_second: bool,
    /// Where it goes beyond, or could not be shown not to.
    first_beyond: Option<Fault>,
    /// The second permits nothing that the first does not permit.
    second_within_first: bool,
    /// Where it goes beyond, or could not be shown not to.
    second_beyond: Option<Fault>,
    /// Why nothing is known of how the two go together: one of them has terms that are not understood here.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_understood: Option<Fault>,
    /// Rules that both allow.
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
    /// Somebody could use data under it, now or later.
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
        let decision = policy.decide(Stage::Publish, &Facts::new(now, "", Action::Use));
        let mut reasons = decision.reasons().to_vec();
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
    let reason = |pointer| Reason {
        code: Code::Unsatisfiable,
        pointer,
        text,
    };
    places.into_iter().next().map(reason).into_iter().collect()
}

/// Compares two policies, each as JSON and read, at this time.
pub(super) fn compare(
    first: (&Value, &policy::Policy),
    second: (&Value, &policy::Policy),
    now: Timestamp,
) -> Comparison {
    let difference = policy::same_terms(first.1, second.1).err().map(|found| Fault {
        english: found.to_string(),
        pointer: found.pointer,
        in_first: found.in_first,
    });
    let not_understood = || Fault::not_understood(first.1, second.1);
    let beyond = |asked, offered, asked_is_first| {
        let found = policy::within(asked, offered).err();
        not_understood().or_else(|| found.map(|found| Fault::beyond(found, asked_is_first)))
    };
    let first_beyond = beyond(first.1, second.1, true);
    let second_beyond = beyond(second.1, first.1, false);
    let (common, nothing_common) = match (not_understood(), policy::intersect(first.0, second.0)) {
        (Some(fault), _) => (None, Some(fault)),
        (None, Ok(common)) => (Some(common), None),
        (None, Err(none)) => {
            let fault = Fault {
                english: format!("{}: {}", at(&none.pointer, none.in_asked), none.text),
                pointer: none.pointer,
                in_first: none.in_asked,
            };
            (None, Some(fault))
        }
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
        in_detail: not_understood()
            .is_none()
            .then(|| in_detail(first.0, second.0))
            .flatten(),
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
                let _ = write!(text, "\n{}", in_french(found));
            }
        }
        text
    }
}

/// The verdicts of the detailed comparison.
fn in_french(found: &compare::Comparison) -> String {
    let verdict = match &found.common {
        Answer::Possible(request) => format!("Compatibles. Toutes deux permettent, par exemple : {}", wanted(request)),
        Answer::Impossible(ids) if ids.is_empty() => "Conflit. L’une d’elles n’a aucune permission.".to_owned(),
        Answer::Impossible(ids) => format!("Conflit. Rien ne remplit à la fois {}", ids.join(", ")),
        Answer::Unknown(why) => format!("On ne sait pas : {}", not_known(why)),
    };
    let mut text = format!("{verdict}\n");
    for (title, one) in [("Première", &found.first), ("Seconde", &found.second)] {
        let _ = writeln!(text, "{title} politique, {} :", one.id);
        let permits = match &one.satisfiable {
            Answer::Possible(request) => format!("elle permet, par exemple : {}", wanted(request)),
            Answer::Impossible(ids) if ids.is_empty() => "elle ne permet rien : elle n’a aucune permission".to_owned(),
            Answer::Impossible(ids) => format!("elle ne permet rien, à cause de {}", ids.join(", ")),
            Answer::Unknown(why) => format!("on ne sait pas si elle permet quelque chose ({})", not_known(why)),
        };
        let _ = writeln!(text, "  {permits}");
        contradictions(&mut text, &one.contradiction);
        let within = match &one.within_other {
            Within::Yes => "tout ce qu’elle permet, l’autre le permet aussi".to_owned(),
            Within::No { request, .. } => format!("elle seule permet : {}", wanted(request)),
            Within::Unknown(why) => format!("on ne sait pas si l’autre permet tout cela ({})", not_known(why)),
        };
        let _ = writeln!(text, "  {within}");
    }
    if !found.operands.is_empty() {
        text.push_str("Critères :\n");
    }
    for operand in &found.operands {
        let overlap = match operand.overlap {
            Verdict::Conflict => "en conflit",
            Verdict::Unknown => "inconnu",
            Verdict::Compatible => "compatibles",
        };
        let within = match operand.contained {
            Verdict::Compatible => "la première reste dans la seconde",
            Verdict::Conflict => "la première va au-delà de la seconde",
            Verdict::Unknown => "on ne sait pas laquelle est la plus large",
        };
        let one = if operand.in_both {
            ""
        } else {
            " ; une seule politique en parle"
        };
        let _ = writeln!(text, "  {} : {overlap}, {within}{one}", operand.operand);
    }
    text
}

fn contradictions(text: &mut String, found: &Contradiction) {
    for overlap in &found.overlaps {
        let (permission, prohibition) = (&overlap.permission, &overlap.prohibition);
        let request = wanted(&overlap.request);
        let _ = writeln!(text, "  {permission} permet et {prohibition} interdit : {request}");
    }
    for (permission, prohibition, why) in &found.undecided {
        let why = not_known(why);
        let _ = writeln!(
            text,
            "  on ne sait pas si {permission} et {prohibition} se rencontrent ({why})"
        );
    }
    for (rule, ids) in &found.dead {
        let _ = writeln!(text, "  {rule} ne s’applique jamais, à cause de {}", ids.join(", "));
    }
}

/// A request in French. Names and values stay as they are.
fn wanted(request: &Request) -> String {
    let facts = request.facts.iter().map(|fact| {
        let value = match &fact.value {
            Stated::Other => "autre".to_owned(),
            Stated::Nothing => "non indiqué".to_owned(),
            Stated::All(values) => {
                let each = values.iter().map(|value| Stated::One(value.clone(), None).to_string());
                each.collect::<Vec<_>>().join(" et ")
            }
            one @ Stated::One(..) => one.to_string(),
        };
        format!("{} {value}", fact.operand)
    });
    let facts: Vec<String> = facts.collect();
    if facts.is_empty() {
        "n’importe quelle demande".to_owned()
    } else {
        facts.join(", ")
    }
}

fn not_known(why: &Why) -> String {
    match why {
        Why::TooLarge => "les conditions ont plus de cas que l’on n’en examine".to_owned(),
        Why::TooDeep => "les conditions sont trop imbriquées".to_owned(),
        Why::NotUnderstood { operand, .. } => format!("{operand} n’est pas compris ici"),
    }
}

#[cfg(test)]
mod tests;
