//! `consent verify`: receipts and records checked with nothing but their bytes and the public keys of their issuer, the holder or an intermediary.

use crate::{
    cli::{
        Context,
        exit::{Exit, Failure, Outcome},
        input,
    },
    consent::{
        check_27560,
        receipt::{self, restriction},
    },
    dsp::{self, ParticipantId},
    jose::{VerifyingKey, token},
    net::{Client, Reach, Request},
    trust::did,
};
use clap::Args;
use http::{HeaderMap, Method};
use serde_json::{Value, json};
use std::{
    collections::{BTreeSet, HashMap},
    path::{Path, PathBuf},
};

/// Check receipts of a consent: signatures, the chain, every step, and the fields of ISO/IEC TS 27560; or only the fields of a bare record
///
/// Receipts of a restriction are checked in the same way. Without --did-document or --jwks, the DID document of the issuer is fetched.
#[derive(Args)]
#[command(after_help = "EXAMPLES:
  connector consent verify receipts.txt
  connector consent verify receipts.json --did-document school.json
  connector consent verify record.json
")]
pub(super) struct Verify {
    /// Receipts, one a line or as the API gives them, or a record in JSON-LD; - for standard input
    file: PathBuf,
    /// The issuer's DID document
    #[arg(long, value_name = "FILE", conflicts_with = "jwks")]
    did_document: Option<PathBuf>,
    /// The issuer's keys as a JWK set
    #[arg(long, value_name = "FILE")]
    jwks: Option<PathBuf>,
}

/// What a file holds.
enum Held {
    Receipts(Vec<String>),
    Record(Value),
}

impl Verify {
    pub(super) async fn run(self, context: &Context) -> Outcome {
        match read(&input::bytes(&self.file)?, &self.file)? {
            Held::Record(record) => {
                fields(&record)?;
                context
                    .out
                    .say("complete: the record has every mandatory field of ISO/IEC TS 27560 and the GDPR")?;
                match context.out.json {
                    true => context.out.json(&json!({"complete": true})),
                    false => Ok(()),
                }
            }
            Held::Receipts(receipts) => {
                let keys = self.keys(context, &receipts).await?;
                let key = |kid: &str| keys.get(kid).cloned();
                let restricted = restriction::verify(&receipts, key).map_err(|error| failed(error.to_string()))?;
                if let Some(proved) = restricted {
                    return say_restriction(context, &proved);
                }
                let proved = receipt::verify(&receipts, key).map_err(|error| failed(error.to_string()))?;
                let told = serde_json::to_value(&proved).map_err(std::io::Error::from)?;
                if context.out.json {
                    return context.out.json(&told);
                }
                let state = told.get("state").and_then(Value::as_str).unwrap_or_default();
                context.out.say(&format!(
                    "verified: {} receipt(s) of {}, signed by {}; it was {state} at {}",
                    proved.receipts, proved.consent, proved.issuer, proved.at
                ))?;
                if proved.holder != proved.issuer {
                    let holder = &proved.holder;
                    context.out.say(&format!(
                        "signed by the intermediary: the records are those of {holder}"
                    ))?;
                }
                if !proved.complete {
                    context.out.say("the first receipts are not among them")?;
                }
                Ok(())
            }
        }
    }

    /// The keys that the receipts name, from where they were said to be.
    async fn keys(&self, context: &Context, receipts: &[String]) -> Outcome<HashMap<String, VerifyingKey>> {
        let kids: Result<BTreeSet<String>, _> = receipts.iter().map(|receipt| token::kid(receipt)).collect();
        let kids = kids.map_err(|error| failed(format!("a receipt is no JWS of ours: {error}")))?;
        if let Some(file) = &self.jwks {
            return Ok(of_set(&input::json(file)?, &kids));
        }
        let mut keys = HashMap::new();
        for kid in kids {
            let issuer = kid.split('#').next().unwrap_or_default();
            let issuer: ParticipantId = issuer.parse().map_err(|_| failed("a receipt names no issuer"))?;
            let document = match &self.did_document {
                Some(file) => input::json(file)?,
                None => fetch(context, &issuer).await?,
            };
            let document = did::Document::read(&issuer, &document)
                .map_err(|error| failed(format!("the DID document of {issuer}: {error}")))?;
            if let Some(key) = document.ever(&kid) {
                keys.insert(kid, key.clone());
            }
        }
        Ok(keys)
    }
}

/// Says what the receipts of a restriction prove.
fn say_restriction(context: &Context, proved: &restriction::Proved) -> Outcome {
    if context.out.json {
        let told = serde_json::to_value(proved).map_err(std::io::Error::from)?;
        return context.out.json(&told);
    }
    let towards = proved.recipient.as_deref().unwrap_or("everybody");
    let lifted = match &proved.lifted {
        Some(lifted) => format!("lifted at {}", lifted.time),
        None => "not lifted".to_owned(),
    };
    context.out.say(&format!(
        "verified: {} receipt(s) of the restriction {}, signed by {}; towards {towards} from {} on, {lifted}",
        proved.receipts, proved.restriction, proved.issuer, proved.set.time
    ))?;
    match proved.complete {
        true => Ok(()),
        false => context.out.say("the first receipt is not among them"),
    }
}

fn failed(message: impl Into<String>) -> Failure {
    Failure::new(Exit::Verification, message)
        .next("do not rely on it; ask the holder for the receipts and its keys again")
}

fn fields(record: &Value) -> Outcome {
    check_27560(record).map_err(|missing| {
        let all: Vec<String> = missing.iter().map(ToString::to_string).collect();
        failed(all.join("\n"))
    })
}

/// Receipts in lines or in JSON, or a record.
fn read(bytes: &[u8], path: &Path) -> Outcome<Held> {
    let nothing = || Failure::usage(format!("{} holds neither receipts nor a record", path.display()));
    let text = std::str::from_utf8(bytes).map_err(|_| nothing())?;
    let texts =
        |list: &[Value]| -> Option<Vec<String>> { list.iter().map(|one| one.as_str().map(str::to_owned)).collect() };
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Array(list)) => texts(&list).map(Held::Receipts).ok_or_else(nothing),
        Ok(Value::Object(members)) => {
            if let Some(Value::Array(list)) = members.get("receipts") {
                return texts(list).map(Held::Receipts).ok_or_else(nothing);
            }
            let record = members.get("record").filter(|record| record.is_object()).cloned();
            Ok(Held::Record(record.unwrap_or(Value::Object(members))))
        }
        _ => {
            let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
            let receipts: Vec<String> = lines.map(str::to_owned).collect();
            match receipts.is_empty() {
                true => Err(nothing()),
                false => Ok(Held::Receipts(receipts)),
            }
        }
    }
}

/// Keys of a JWK set by the ids that receipts name; a set may write them without the DID.
fn of_set(set: &Value, kids: &BTreeSet<String>) -> HashMap<String, VerifyingKey> {
    let all = set.get("keys").and_then(Value::as_array);
    let all = all.map_or(&[] as &[Value], Vec::as_slice);
    let found = kids.iter().filter_map(|kid| {
        let name = kid.split_once('#').map(|(_, name)| name);
        let is_it = |key: &&Value| {
            let id = key.get("kid").and_then(Value::as_str);
            id == Some(kid.as_str()) || (id.is_some() && id == name)
        };
        let key = VerifyingKey::from_jwk(all.iter().find(is_it)?).ok()?;
        Some((kid.clone(), key))
    });
    found.collect()
}

async fn fetch(context: &Context, issuer: &ParticipantId) -> Outcome<Value> {
    let config = context.config()?;
    let url = did::document_url(issuer).map_err(|error| failed(error.to_string()))?;
    let known = config.peers.iter().find(|peer| peer.did == *issuer);
    let private = known.map(|peer| peer.reach).unwrap_or(Reach {
        private: *issuer == config.did,
        http: false,
    });
    let request = Request {
        method: Method::GET,
        url,
        headers: HeaderMap::new(),
        body: bytes::Bytes::new(),
        reach: private,
    };
    let unreachable = |error: String| {
        Failure::new(
            Exit::Failed,
            format!("the DID document of {issuer} cannot be fetched: {error}"),
        )
        .next("name it with --did-document FILE")
    };
    let answer = Client::new(config.net.clone()).send(request).await;
    let answer = answer.map_err(|error| unreachable(error.to_string()))?;
    if !answer.status.is_success() {
        return Err(unreachable(format!("status {}", answer.status)));
    }
    dsp::json::parse(&answer.body).map_err(|error| unreachable(error.to_string()))
}
