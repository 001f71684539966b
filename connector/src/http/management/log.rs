//! The audit log: reading it, proving what is in it, checking it. Its hashes are public (`http/log.rs`); its entries are here alone.

use super::{
    Ctx,
    reply::{Outcome, Path, Query, Refusal, id, ok},
};
use crate::{
    audit::{AuditError, SignedCheckpoint, Verification},
    dsp::ParticipantId,
    http::problem::Problem,
};
use axum::{body::Body, extract::State, response::Response};
use http::{HeaderValue, header};
use policy::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    /// The first entry's number.
    #[serde(default)]
    #[param(format = "uint64")]
    from: u64,
    /// How many entries at most; 1000 is the most there is.
    #[serde(default = "hundred")]
    #[param(format = "uint64")]
    limit: u64,
}

const fn hundred() -> u64 {
    100
}

#[derive(Serialize, ToSchema)]
pub(super) struct Entries {
    entries: Vec<Numbered>,
    /// Where the next page begins.
    next: u64,
    /// How many entries there are in all.
    total: u64,
}

#[derive(Serialize, ToSchema)]
struct Numbered {
    seq: u64,
    #[schema(value_type = Object)]
    entry: Value,
}

/// Entries of the audit log
#[utoipa::path(get, path = "/v1/audit/entries", tag = "audit", params(Page), responses((status = OK, body = Entries)))]
pub(super) async fn audit_entries(State(app): Ctx, Query(page): Query<Page>) -> Outcome<Entries> {
    let limit = usize::try_from(page.limit.clamp(1, 1000)).unwrap_or(1000);
    let found = app.log.entries(page.from, limit).await?;
    let next = found.last().map_or(page.from, |(seq, _)| seq + 1);
    let entries = found.into_iter().map(|(seq, entry)| Numbered { seq, entry });
    ok(Entries {
        entries: entries.collect(),
        next,
        total: app.log.count().await?,
    })
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct CheckpointView {
    /// The checkpoint as a signed note (C2SP tlog-checkpoint).
    text: String,
    /// The log's name.
    origin: String,
    /// How many entries it covers.
    size: u64,
    /// Root of the tree over them.
    root: String,
    /// The log's verifier key.
    key: String,
    /// Who has cosigned it.
    witnesses: Vec<WitnessView>,
}

#[derive(Serialize, ToSchema)]
struct WitnessView {
    /// The verifier key that it had published.
    key: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
}

async fn view(app: &crate::http::App, signed: &SignedCheckpoint) -> Result<CheckpointView, AuditError> {
    let checkpoint = signed.checkpoint();
    let found = app.log.cosignatures(checkpoint.size).await?;
    let witnesses = found.into_iter().filter_map(|(key, _)| {
        let at = key.cosigned(signed.note()).ok()?;
        Some(WitnessView { key: key.witness(), at })
    });
    Ok(CheckpointView {
        text: signed.note().to_string(),
        origin: checkpoint.origin.clone(),
        size: checkpoint.size,
        root: checkpoint.root.to_string(),
        key: app.log.signer().key().to_string(),
        witnesses: witnesses.collect(),
    })
}

/// The newest checkpoint of the audit log
///
/// Seals what is new first.
#[utoipa::path(get, path = "/v1/audit/checkpoint", tag = "audit", responses(
    (status = OK, body = CheckpointView),
    (status = NOT_FOUND, body = Refusal, description = "Nothing was logged yet"),
    (status = CONFLICT, body = Refusal, description = "The log is damaged"),
))]
pub(super) async fn audit_checkpoint(State(app): Ctx) -> Outcome<CheckpointView> {
    app.log.seal().await?;
    match app.log.checkpoint().await? {
        Some(signed) => ok(view(&app, &signed).await?),
        None => Err(Problem::not_found("checkpoint yet")),
    }
}

#[derive(Serialize, ToSchema)]
pub(super) struct Proved {
    /// The entry's number.
    seq: u64,
    /// The entry as the bytes that are hashed.
    entry: String,
    /// The proof (C2SP tlog-proof).
    proof: String,
    /// The checkpoint in it.
    checkpoint: CheckpointView,
}

/// Prove that an entry is in the audit log
///
/// Against the newest checkpoint that a witness has cosigned or, if none of those covers the entry, the newest one. Seals what is new first.
#[utoipa::path(get, path = "/v1/audit/entries/{seq}/proof", tag = "audit", params(("seq" = u64, Path)), responses(
    (status = OK, body = Proved),
    (status = CONFLICT, body = Refusal, description = "The log is damaged"),
))]
pub(super) async fn audit_proof(State(app): Ctx, Path(seq): Path<u64>) -> Outcome<Proved> {
    let entry = app.log.entry(seq).await?.ok_or(AuditError::NoEntry(seq))?;
    if app.log.sealed_size().await? <= seq {
        app.log.seal().await?;
    }
    let proof = app.log.proof(seq).await?;
    ok(Proved {
        seq,
        entry: String::from_utf8(entry).map_err(|error| Problem::internal(&error))?,
        proof: proof.to_text(),
        checkpoint: view(&app, proof.checkpoint()).await?,
    })
}

#[derive(Serialize, ToSchema)]
pub(super) struct DocumentVersions {
    did: ParticipantId,
    /// The first seen first; none of a participant whose document was never needed here.
    versions: Vec<DocumentVersion>,
}

#[derive(Serialize, ToSchema)]
struct DocumentVersion {
    /// When it was first seen here.
    #[schema(value_type = String, format = DateTime)]
    seen: Timestamp,
    #[schema(value_type = Object)]
    document: Value,
}

/// The versions of a participant's DID document that were seen
///
/// Our own included. The log has an entry of each. Which key counted when can be read from them.
#[utoipa::path(get, path = "/v1/audit/documents/{did}", tag = "audit", responses((status = OK, body = DocumentVersions)))]
pub(super) async fn audit_documents(State(app): Ctx, Path(wanted): Path<String>) -> Outcome<DocumentVersions> {
    let did: ParticipantId = id(&wanted, "participant")?;
    let mut versions = Vec::new();
    for (seen, version) in app.trust.resolver().history().of(&did).await? {
        let document = serde_json::from_slice(version.bytes()).map_err(|error| Problem::internal(&error))?;
        versions.push(DocumentVersion { seen, document });
    }
    ok(DocumentVersions { did, versions })
}

/// Entries as a bundle
///
/// The `bundle`-th 256 entries, as far as a checkpoint covers them, each after its length in two bytes (C2SP tlog-tiles, entry bundles; the
/// number is not split into parts of three digits here). Their hashes are public, under
/// `/log/tile/0/` of the address at which peers reach this connector.
#[utoipa::path(get, path = "/v1/log/tile/entries/{bundle}", tag = "audit", params(("bundle" = u64, Path)), responses(
    (status = OK, body = String, content_type = "application/octet-stream"),
    (status = CONFLICT, body = Refusal, description = "The log is damaged"),
))]
pub(super) async fn audit_bundle(State(app): Ctx, Path(bundle): Path<u64>) -> Result<Response, Problem> {
    let bytes = app.log.bundle(bundle).await?;
    let mut response = Response::new(Body::from(
        bytes.ok_or_else(|| Problem::not_found("bundle of entries"))?,
    ));
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    Ok(response)
}

/// Check the whole audit log
///
/// Reads everything back and computes it again: entries, tiles, checkpoints with their signatures, cosignatures of witnesses.
#[utoipa::path(post, path = "/v1/audit/verify", tag = "audit", responses((status = OK, body = Verification)))]
pub(super) async fn audit_verify(State(app): Ctx) -> Outcome<Verification> {
    app.log.seal().await?;
    ok(app.log.verify().await?)
}
