//! `policy`: what a policy says in plain words, and how two go together. Offline: it asks no daemon and decides nothing. What is printed is
//! made in `shown`.

mod shown;

use super::{
    Context,
    exit::{Exit, Failure, Outcome},
    input,
};
use crate::clock;
use clap::{Args, Subcommand};
use policy::{Language, Reason};
use serde::Serialize;
use serde_json::Value;
use std::{
    fmt,
    path::{Path, PathBuf},
};

/// Read policies: what they say in plain words, and how two go together
#[derive(Args)]
#[command(
    arg_required_else_help = true,
    after_help = "EXAMPLES:
  connector policy explain examples/policies/offer.json
  connector policy compare examples/policies/asked.json examples/policies/offer.json

examples/policies/README.md shows what these print and how it is read.
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
  connector policy explain examples/policies/offer.json
  connector policy explain agreement.json --lang en
  connector policy explain - --json < offer.json
")]
struct Explain {
    /// The policy, in the JSON form of the Dataspace Protocol; - is standard input
    file: PathBuf,
}

/// Say whether one policy stays within another, and what both allow
///
/// In French (--lang fr, or the language of the environment) without the details of how conditions differ, which have English words alone.
/// Whatever the answer, the command ends with code 0; it fails only when a policy cannot be read.
#[derive(Args)]
#[command(after_help = "EXAMPLES:
  connector policy compare examples/policies/asked.json examples/policies/offer.json
  connector policy compare asked.json offer.json --lang fr
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
    let read = parsed(&json, &file.display(), language)?;
    Ok((json, read))
}

fn parsed(json: &Value, named: &impl fmt::Display, language: Language) -> Outcome<policy::Policy> {
    policy::Policy::parse(json).map_err(|malformed| {
        let then = language.say(
            "corrigez l’endroit nommé ; policy/PROFILE.md énumère ce qui est compris",
            "correct the place that is named; policy/PROFILE.md lists what is understood",
        );
        refused(&format!("{named}: "), &Reason::from(malformed), language).next(then)
    })
}

/// A refusal in the language, for programs with the English beside any other.
fn refused(begin: &str, reason: &Reason, language: Language) -> Failure {
    let failure = Failure::new(Exit::Failed, format!("{begin}{}", reason.told(language))).code(reason.code.as_str());
    match language {
        Language::English => failure,
        Language::French => failure.english(&reason.text),
    }
}

impl Explain {
    fn run(self, context: &Context) -> Outcome {
        let language = context.language();
        let (written, policy) = read(&self.file, language)?;
        let then = language.say(
            "corrigez la politique ; d’ici là elle ne permet rien",
            "correct the policy; until then it permits nothing",
        );
        explain(context, &policy, &written, then)
    }
}

/// Says what the terms of an agreement are.
pub(super) fn explain_agreement(context: &Context, id: &str, agreement: &Value) -> Outcome {
    let language = context.language();
    let policy = parsed(agreement, &id, language)?;
    let then = language.say(
        "convenez d’autres conditions ; rien n’est permis selon celles-ci",
        "agree anew on other terms; nothing is permitted under these",
    );
    explain(context, &policy, agreement, then)
}

/// Says what a policy says, which stands as it was `written`. One that is refused fails all the same; `then` is what to do about it.
fn explain(context: &Context, policy: &policy::Policy, written: &Value, then: &str) -> Outcome {
    let language = context.language();
    let mut told = policy::explain(policy, language);
    if told.understood {
        shown::warn_of_dead_rules(&mut told, written, language);
        shown::warn_of_what_is_over(&mut told, policy, clock::now(), language);
    }
    if context.out.json {
        context.out.json(&json(&told)?)?;
    } else {
        context.out.say(shown::text(&told, language).trim_end())?;
    }
    match told.refusals.first() {
        None => Ok(()),
        Some(first) => Err(refused("", first.reason(), language).next(then)),
    }
}

fn json(value: &impl Serialize) -> Outcome<Value> {
    serde_json::to_value(value).map_err(|error| Failure::new(Exit::Failed, error.to_string()))
}

impl Compare {
    fn run(self, context: &Context) -> Outcome {
        let language = context.language();
        let ((first_json, first), (second_json, second)) =
            (read(&self.first, language)?, read(&self.second, language)?);
        let found = shown::compare((&first_json, &first), (&second_json, &second), clock::now());
        if context.out.json {
            return context.out.json(&json(&found)?);
        }
        context.out.say(found.told(language).trim_end())
    }
}
