//! Datasets of our own, catalogs of peers.

use super::{
    Ctx,
    reply::{Body, In, Outcome, Path, Query, Refusal, created, id, ok},
};
use crate::{
    catalog::{Dataset, NewDataset, Warning},
    dsp::{DatasetId, catalog::Listed},
    http::problem::Problem,
};
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

#[derive(Serialize, ToSchema)]
pub(super) struct Datasets {
    datasets: Vec<Dataset>,
}

/// The datasets that are offered
#[utoipa::path(get, path = "/v1/datasets", tag = "datasets", responses((status = OK, body = Datasets)))]
pub(super) async fn datasets(State(app): Ctx) -> Outcome<Datasets> {
    ok(Datasets {
        datasets: app.catalog.list().await?,
    })
}

/// A dataset that was just published.
#[derive(Serialize, ToSchema)]
pub(super) struct Published {
    #[serde(flatten)]
    dataset: Dataset,
    /// What the author of its offer may not have meant: rules that meet or never apply, constraints that are often misread,
    /// what is asked for and never known, and an assignee whom nobody here knows.
    warnings: Vec<Warning>,
}

/// Offer a dataset
///
/// Terms under which nobody could ever use the data are refused. What their author may not have meant is told as warnings, and published.
#[utoipa::path(post, path = "/v1/datasets", tag = "datasets", request_body = NewDataset, responses((status = CREATED, body = Published)))]
pub(super) async fn dataset_add(State(app): Ctx, In(language): In, Body(new): Body<NewDataset>) -> Outcome<Published> {
    let now = (app.clock)();
    let dataset = app.catalog.add(new, now).await?;
    let warnings = app.catalog.warnings(&dataset, language, now);
    created(Published { dataset, warnings })
}

/// One dataset
#[utoipa::path(get, path = "/v1/datasets/{id}", tag = "datasets", responses((status = OK, body = Dataset)))]
pub(super) async fn dataset_show(State(app): Ctx, Path(name): Path<String>) -> Outcome<Dataset> {
    let wanted: DatasetId = id(&name, "dataset")?;
    let found = app.catalog.get(&wanted).await?;
    ok(found.ok_or_else(|| Problem::not_found("dataset"))?)
}

#[derive(Serialize, ToSchema)]
pub(super) struct Removed {
    removed: DatasetId,
}

/// No longer offer a dataset
#[utoipa::path(delete, path = "/v1/datasets/{id}", tag = "datasets", responses((status = OK, body = Removed)))]
pub(super) async fn dataset_remove(State(app): Ctx, Path(name): Path<String>) -> Outcome<Removed> {
    let removed: DatasetId = id(&name, "dataset")?;
    app.catalog.remove(&removed, (app.clock)()).await?;
    ok(Removed { removed })
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct OfPeer {
    /// The peer's id or name.
    peer: String,
}

/// What a peer offers us
#[utoipa::path(get, path = "/v1/catalog", tag = "datasets", params(OfPeer), responses(
    (status = OK, body = Listed),
    (status = NOT_FOUND, body = Refusal, description = "There is no such peer"),
    (status = BAD_GATEWAY, body = Refusal, description = "The peer does not answer, or not as it should"),
))]
pub(super) async fn catalog(State(app): Ctx, Query(query): Query<OfPeer>) -> Outcome<Listed> {
    let peer = app.peers.named(&query.peer).await?;
    ok(app.peers.catalog(&peer).await?)
}
