//! What the daemon is doing, and with whom.

use super::{
    Ctx,
    reply::{Outcome, ok},
};
use crate::{dsp::ParticipantId, trust::membership::Overview};
use axum::extract::State;
use policy::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Status {
    /// Our own participant id.
    did: ParticipantId,
    version: &'static str,
    /// Our public address.
    address: String,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    ready: Timestamp,
    uptime_seconds: u64,
    #[schema(required)]
    datasets: Option<usize>,
    peers: usize,
    /// Where membership of the governance authority stands, if one is configured.
    #[schema(required)]
    membership: Option<Overview>,
    #[schema(required)]
    negotiations: Option<usize>,
    #[schema(required)]
    agreements: Option<usize>,
    #[schema(required)]
    transfers: Option<usize>,
    /// Outgoing streams that run now.
    streams: usize,
    #[schema(required)]
    audit_entries: Option<u64>,
}

/// What the daemon is doing
#[utoipa::path(get, path = "/v1/status", tag = "status", responses((status = OK, body = Status)))]
pub(super) async fn status(State(app): Ctx) -> Outcome<Status> {
    let now = (app.clock)();
    // After a failed write the store does not say what of that write is there; the status is wanted then most of all.
    ok(Status {
        did: app.trust.me().clone(),
        version: env!("CARGO_PKG_VERSION"),
        address: app.root.clone(),
        ready: app.started,
        uptime_seconds: now.since(app.started).as_secs(),
        datasets: app.catalog.list().await.ok().map(|all| all.len()),
        peers: app.trust.peers().count(),
        membership: app.trust.memberships().map(|memberships| memberships.overview(now)),
        negotiations: app.contracts.list().await.ok().map(|all| all.len()),
        agreements: app.contracts.agreements().list().await.ok().map(|all| all.len()),
        transfers: app.transfers.list().await.ok().map(|all| all.len()),
        streams: app.limits.streams.saturating_sub(app.streams.available_permits()),
        audit_entries: app.log.count().await.ok(),
    })
}
