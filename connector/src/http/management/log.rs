//! The audit log: reading and checking it.

use super::{
    Ctx,
    reply::{Outcome, Query, ok},
};
use crate::{
    audit::{AuditError, Verification},
    http::problem::Problem,
};
use axum::extract::State;
use http::StatusCode;
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

/// Check the whole audit log
#[utoipa::path(post, path = "/v1/audit/verify", tag = "audit", responses((status = OK, body = Verification)))]
pub(super) async fn audit_verify(State(app): Ctx) -> Outcome<Verification> {
    let checked = async {
        app.log.seal((app.clock)()).await?;
        app.log.verify().await
    };
    match checked.await {
        Ok(verification) => ok(verification),
        Err(AuditError::Store(error)) => Err(error.into()),
        Err(error) => Err(Problem::new(StatusCode::CONFLICT, "audit-broken", error.to_string())),
    }
}
