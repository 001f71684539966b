//! Where `consent verify` has the issuer's keys from, and whether it is known when each counted.

use super::failed;
use crate::{
    audit::LogKey,
    cli::{
        Context,
        api::path,
        exit::{Exit, Failure, Outcome},
        input,
        output::items,
    },
    clock,
    consent::receipt::{KeyFault, KeyHistory},
    dsp::{self, ParticipantId},
    jose::{VerifyingKey, token},
    net::{Client, Reach, Request},
    trust::did::{self, Document},
};
use http::{HeaderMap, Method};
use policy::Timestamp;
use serde_json::Value;
use std::{
    collections::{BTreeSet, HashMap},
    path::Path,
};

/// The issuer's keys.
pub(super) enum Keys {
    /// Of a JWK set.
    Set(HashMap<String, VerifyingKey>),
    /// Of one DID document, which does not say since when and until when.
    Today(Box<Document>),
    /// Of all versions of it that were seen.
    Versions(KeyHistory),
}

impl Keys {
    /// From the files that are named or, without any, from the daemon or the issuer.
    pub(super) async fn find(
        context: &Context,
        (document, set): (Option<&Path>, Option<&Path>),
        receipts: &[String],
    ) -> Outcome<Self> {
        let kids: Result<BTreeSet<String>, _> = receipts.iter().map(|receipt| token::kid(receipt)).collect();
        let kids = kids.map_err(|error| failed(format!("a receipt is no JWS of ours: {error}")))?;
        if let Some(file) = set {
            return Ok(Self::Set(of_set(&input::json(file)?, &kids)));
        }
        // All receipts of a chain have one issuer; a key of somebody else is not known here.
        let kid = kids.first().map_or("", String::as_str);
        let issuer = kid.split('#').next().unwrap_or_default();
        let issuer: ParticipantId = issuer.parse().map_err(|_| failed("a receipt names no issuer"))?;
        match document {
            Some(file) => {
                let named = input::json(file)?;
                match named.get("versions") {
                    Some(_) => Ok(Self::Versions(KeyHistory::new(versions(&issuer, &named)?))),
                    None => Ok(Self::Today(Box::new(read(&issuer, &named)?))),
                }
            }
            None => Self::of_daemon(context, &issuer, &kids).await,
        }
    }

    /// What the daemon has seen; of an issuer that it does not know, or a key that is newer, the document of today.
    async fn of_daemon(context: &Context, issuer: &ParticipantId, kids: &BTreeSet<String>) -> Outcome<Self> {
        let seen = match context.api() {
            Ok(api) => api.get(&path(&["audit", "documents", issuer.as_str()])?).await.ok(),
            Err(_) => None,
        };
        let mut seen = seen.map_or(Ok(Vec::new()), |answer| versions(issuer, &answer))?;
        let known = KeyHistory::new(seen.clone());
        if kids.iter().all(|kid| known.knows(kid)) {
            return Ok(Self::Versions(known));
        }
        let today = read(issuer, &fetch(context, issuer).await?)?;
        if seen.is_empty() {
            return Ok(Self::Today(Box::new(today)));
        }
        seen.push((clock::now(), today));
        Ok(Self::Versions(KeyHistory::new(seen)))
    }

    /// The key that counted at that time, as far as that is known.
    pub(super) fn key(&self, kid: &str, at: Timestamp) -> Result<VerifyingKey, KeyFault> {
        let found = match self {
            Self::Set(keys) => keys.get(kid),
            Self::Today(document) => document.ever(kid),
            Self::Versions(history) => return history.key(kid, at),
        };
        found.cloned().ok_or(KeyFault::Unknown)
    }

    /// Whether it is known when each counted.
    pub(super) fn are_dated(&self) -> bool {
        matches!(self, Self::Versions(_))
    }

    /// The keys of the issuer's log.
    pub(super) fn log_keys(&self) -> impl Iterator<Item = &LogKey> {
        let (today, history) = match self {
            Self::Set(_) => (None, None),
            Self::Today(document) => (document.log.as_ref().map(|log| &log.key), None),
            Self::Versions(history) => (None, Some(history)),
        };
        today
            .into_iter()
            .chain(history.into_iter().flat_map(KeyHistory::log_keys))
    }
}

fn read(issuer: &ParticipantId, document: &Value) -> Outcome<Document> {
    Document::read(issuer, document).map_err(|error| failed(format!("the DID document of {issuer}: {error}")))
}

/// The versions that `audit documents` prints.
fn versions(issuer: &ParticipantId, answer: &Value) -> Outcome<Vec<(Timestamp, Document)>> {
    let each = items(answer, "versions")
        .iter()
        .map(|version| -> Outcome<(Timestamp, Document)> {
            let seen = version
                .get("seen")
                .and_then(Value::as_str)
                .and_then(|seen| seen.parse().ok());
            let seen = seen.ok_or_else(|| failed(format!("a version of the DID document of {issuer} has no time")))?;
            Ok((seen, read(issuer, version.get("document").unwrap_or(&Value::Null))?))
        });
    each.collect()
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
    let elsewhere = "name the issuer's DID document with --did-document FILE, or its keys with --jwks FILE";
    let config = context.config().map_err(|failure| failure.rather(elsewhere))?;
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
