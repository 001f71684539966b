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
use policy::{Code, Language, Reason};
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
/// In French (--lang fr, or the language of the environment) without the details of conditions, which have English words alone. Whatever the
/// answer, the command ends with code 0; it fails only when a policy cannot be read.
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
        let told = Reason::from(malformed).told(language);
        Failure::new(Exit::Failed, format!("{named}: {told}"))
            .code(Code::Malformed.as_str())
            .next("correct the place that is named; policy/PROFILE.md lists what is understood")
    })
}

impl Explain {
    fn run(self, context: &Context) -> Outcome {
        let (written, policy) = read(&self.file, context.language())?;
        let then = "correct the policy; until then it permits nothing";
        explain(context, &policy, &written, then)
    }
}

/// Says what the terms of an agreement are.
pub(super) fn explain_agreement(context: &Context, id: &str, agreement: &Value) -> Outcome {
    let policy = parsed(agreement, &id, context.language())?;
    explain(
        context,
        &policy,
        agreement,
        "agree anew on other terms; nothing is permitted under these",
    )
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
        Some(first) => {
            let told = Reason::from(first.clone()).told(language);
            Err(Failure::new(Exit::Failed, told).code(first.code.as_str()).next(then))
        }
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
