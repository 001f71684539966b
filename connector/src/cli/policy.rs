//! `policy`: what a policy says in plain words, and how two go together. Offline: it asks no daemon and decides nothing.

use super::{
    Context,
    exit::{Exit, Failure, Outcome},
    input,
};
use crate::clock;
use clap::{Args, Subcommand};
use policy::{Action, Code, Decision, Explanation, Facts, Language, Part, Reason, Refusal, Stage};
use serde::Serialize;
use serde_json::Value;
use std::{
    fmt::Write,
    path::{Path, PathBuf},
};

/// Read policies: what they say in plain words, and how two go together
#[derive(Args)]
#[command(
    arg_required_else_help = true,
    after_help = "EXAMPLES:
  connector policy explain offer.json
  connector policy compare asked.json offer.json
"
)]
pub(super) struct Policy {
    #[command(subcommand)]
    command: PolicyCommand,
}

#[derive(Subcommand)]
enum PolicyCommand {
    Explain(Explain),
    Compare(Compare),
}

/// Say in plain French or English what a policy permits, prohibits and obliges to
///
/// For each part: whether it is enforced here, attested, declared only, needs the consumer, or is refused and why. A policy that is refused
/// is told all the same; the command then ends with code 1.
#[derive(Args)]
#[command(after_help = "EXAMPLES:
  connector policy explain offer.json
  connector policy explain agreement.json --lang en
  connector policy explain - --json < offer.json
")]
struct Explain {
    /// The policy, in the JSON form of the Dataspace Protocol; - is standard input
    file: PathBuf,
}

/// Say whether one policy stays within another, and what both allow
///
/// Whatever the answer, the command ends with code 0; it fails only when a policy cannot be read.
#[derive(Args)]
#[command(after_help = "EXAMPLES:
  connector policy compare asked.json offer.json
  connector policy compare asked.json offer.json --json
")]
struct Compare {
    /// The first policy; - is standard input
    first: PathBuf,
    /// The second policy
    second: PathBuf,
}

impl Policy {
    pub(super) fn run(self, context: &Context) -> Outcome {
        match self.command {
            PolicyCommand::Explain(command) => command.run(context),
            PolicyCommand::Compare(command) => command.run(context),
        }
    }
}

/// A policy of a file, as JSON and read.
fn read(file: &Path, language: Language) -> Outcome<(Value, policy::Policy)> {
    let json = input::json(file)?;
    let read = policy::Policy::parse(&json).map_err(|malformed| {
        let told = Reason::from(malformed).told(language);
        Failure::new(Exit::Failed, format!("{}: {told}", file.display()))
            .code(Code::Malformed.as_str())
            .next("correct the place that is named; policy/PROFILE.md lists what is understood")
    })?;
    Ok((json, read))
}

impl Explain {
    fn run(self, context: &Context) -> Outcome {
        let language = context.language();
        let (_, policy) = read(&self.file, language)?;
        let told = policy::explain(&policy, language);
        if context.out.json {
            context.out.json(&json(&told)?)?;
        } else {
            context.out.say(text(&told, language).trim_end())?;
        }
        match told.refusals.first() {
            None => Ok(()),
            Some(first) => {
                let told = Reason::from(first.clone()).told(language);
                Err(Failure::new(Exit::Failed, told)
                    .code(first.code.as_str())
                    .next("correct the policy; until then it permits nothing"))
            }
        }
    }
}

fn json(value: &impl Serialize) -> Outcome<Value> {
    serde_json::to_value(value).map_err(|error| Failure::new(Exit::Failed, error.to_string()))
}

/// The explanation as text: a line for each part, indented under what it belongs to.
fn text(told: &Explanation, language: Language) -> String {
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

/// How two policies go together.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Comparison {
    /// They say the same.
    same: bool,
    /// The first thing that differs.
    difference: Option<String>,
    /// The first permits nothing that the second does not permit.
    first_within_second: bool,
    /// Where it goes beyond, or could not be shown not to.
    first_beyond: Option<String>,
    /// The second permits nothing that the first does not permit.
    second_within_first: bool,
    /// Where it goes beyond, or could not be shown not to.
    second_beyond: Option<String>,
    /// Rules that both allow.
    common: Option<Value>,
    /// Why there are none.
    nothing_common: Option<String>,
    first: Alone,
    second: Alone,
    /// Operand by operand, with requests that show it and the smallest sets of constraints that leave none; as far as both can be read as
    /// policies of the ODRL information model.
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
    fn of(policy: &policy::Policy) -> Self {
        let decision = policy.decide(Stage::Publish, &Facts::new(clock::now(), "", Action::Use));
        let reasons = decision.reasons().to_vec();
        Self {
            satisfiable: matches!(decision, Decision::Permit { .. }),
            contradictory: reasons
                .iter()
                .any(|reason| matches!(reason.code, Code::Conflict | Code::Unsatisfiable)),
            reasons,
            adding_nothing: policy.adding_nothing(),
        }
    }

    fn told(&self) -> String {
        let mut told: Vec<String> = match self.reasons.as_slice() {
            [] => vec!["somebody could use data under it".to_owned()],
            reasons => reasons.iter().map(ToString::to_string).collect(),
        };
        let surplus = self.adding_nothing.iter();
        told.extend(surplus.map(|lint| format!("{} adds nothing to {}", lint.pointer, lint.about)));
        told.join("; ")
    }
}

impl Compare {
    fn run(self, context: &Context) -> Outcome {
        let language = context.language();
        let ((first_json, first), (second_json, second)) =
            (read(&self.first, language)?, read(&self.second, language)?);
        let found = compare((&first_json, &first), (&second_json, &second));
        if context.out.json {
            return context.out.json(&json(&found)?);
        }
        context.out.say(found.told()?.trim_end())
    }
}

fn compare(first: (&Value, &policy::Policy), second: (&Value, &policy::Policy)) -> Comparison {
    let difference = policy::same_terms(first.1, second.1)
        .err()
        .map(|found| found.to_string());
    let beyond = |asked, offered| policy::within(asked, offered).err().map(|found| found.to_string());
    let (first_beyond, second_beyond) = (beyond(first.1, second.1), beyond(second.1, first.1));
    let (common, nothing_common) = match policy::intersect(first.0, second.0) {
        Ok(common) => (Some(common), None),
        Err(none) => (None, Some(none.to_string())),
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
        first: Alone::of(first.1),
        second: Alone::of(second.1),
        in_detail: in_detail(first.0, second.0),
    }
}

/// The comparison by what conditions leave of each operand. It takes an operand to have one value at a time.
fn in_detail(first: &Value, second: &Value) -> Option<policy::odrl::compare::Comparison> {
    use policy::odrl::{Policy, Reading, compare};
    let read = |json| Policy::read(json, &Reading::LENIENT).ok();
    Some(compare::report(
        &read(first)?,
        &read(second)?,
        &compare::Concepts::profile(),
    ))
}

impl Comparison {
    fn told(&self) -> Outcome<String> {
        let mut text = String::new();
        let mut line = |title: &str, said: &str| {
            let _ = writeln!(text, "{title:<22}{said}");
        };
        let or_yes = |fault: &Option<String>| fault.clone().unwrap_or_else(|| "yes".to_owned());
        line("same terms", &or_yes(&self.difference));
        line("first within second", &or_yes(&self.first_beyond));
        line("second within first", &or_yes(&self.second_beyond));
        line("first by itself", &self.first.told());
        line("second by itself", &self.second.told());
        match (&self.common, &self.nothing_common) {
            (Some(common), _) => {
                let pretty = serde_json::to_string_pretty(common)
                    .map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
                line("both allow", "");
                text.push_str(&pretty);
                text.push('\n');
            }
            (None, why) => line(
                "both allow",
                &format!("nothing: {}", why.as_deref().unwrap_or_default()),
            ),
        }
        if let Some(found) = &self.in_detail {
            let _ = write!(text, "\n{found}");
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn offer(constraint: &Value) -> (Value, policy::Policy) {
        let json = json!({"@type": "Offer", "@id": "urn:offer:1", "permission": [{"action": "use", "constraint": [constraint]}]});
        let read = policy::Policy::parse(&json).unwrap();
        (json, read)
    }

    fn purposes(names: &[&str]) -> (Value, policy::Policy) {
        offer(&json!({"leftOperand": "purpose", "operator": "isAnyOf", "rightOperand": names}))
    }

    #[test]
    fn an_explanation_reads_in_both_languages_and_names_what_is_refused() {
        let (_, read) = purposes(&["orientation"]);
        let french = text(&policy::explain(&read, Language::French), Language::French);
        assert!(
            french.contains("Permet : utiliser les données") && french.contains("déclaré seulement"),
            "{french}"
        );
        let english = text(&policy::explain(&read, Language::English), Language::English);
        assert!(
            english.contains("\n  if purpose is one of: orientation [declared only]\n"),
            "{english}"
        );
        let (_, refused) = offer(&json!({"leftOperand": "virtualLocation", "operator": "eq", "rightOperand": "x"}));
        let told = text(&policy::explain(&refused, Language::English), Language::English);
        assert!(
            told.contains("[refused POL-04]") && told.contains("Refused because:"),
            "{told}"
        );
    }

    #[test]
    fn two_policies_are_compared_both_ways() {
        let (narrow, wide, other) = (purposes(&["a"]), purposes(&["a", "b"]), purposes(&["c"]));
        let between =
            |one: &(Value, policy::Policy), two: &(Value, policy::Policy)| compare((&one.0, &one.1), (&two.0, &two.1));
        let found = between(&narrow, &wide);
        assert!(!found.same && found.first_within_second && !found.second_within_first);
        assert_eq!(
            found.common.as_ref().unwrap()["permission"][0]["constraint"][0]["rightOperand"],
            json!(["a"])
        );
        assert!(found.told().unwrap().contains("first within second   yes"));
        assert!(between(&wide, &wide).same);
        let apart = between(&narrow, &other);
        assert!(apart.common.is_none() && apart.told().unwrap().contains("nothing: "));
        assert!(apart.first.satisfiable && !apart.first.contradictory);
        assert!(
            found
                .told()
                .unwrap()
                .contains("Compatible. Both permit, for instance: ")
        );
    }

    #[test]
    fn a_policy_against_itself_is_told_to_be() {
        let json = json!({"@id": "urn:1", "permission": [{"action": "use"}], "prohibition": [{"action": "use"}]});
        let alone = Alone::of(&policy::Policy::parse(&json).unwrap());
        assert!(!alone.satisfiable && !alone.reasons.is_empty());
    }

    #[test]
    fn a_rule_that_could_be_left_out_is_told_beside_the_one_that_covers_it() {
        let json = json!({"@id": "urn:1", "permission": [{"action": "use"}, {"action": "read"}]});
        let alone = Alone::of(&policy::Policy::parse(&json).unwrap());
        assert_eq!(
            alone.told(),
            "somebody could use data under it; /permission/1 adds nothing to /permission/0"
        );
    }
}
