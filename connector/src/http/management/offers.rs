//! Datasets of our own, catalogs of peers.

use super::{Ctx, Outcome, answer, body, ok, parse};
use crate::{catalog::NewDataset, dsp::DatasetId, http::problem::Problem};
use axum::{
    extract::{Path, Query, Request, State},
    response::Response,
};
use http::StatusCode;
use serde_json::json;
use std::collections::HashMap;

pub(super) async fn datasets(State(app): Ctx) -> Outcome {
    ok(json!({ "datasets": app.catalog.list().await? }))
}

pub(super) async fn dataset_add(State(app): Ctx, request: Request) -> Response {
    answer(
        async {
            let new: NewDataset = body(&app, request).await?;
            Ok((StatusCode::CREATED, json!(app.catalog.add(new, (app.clock)()).await?)))
        }
        .await,
    )
}

pub(super) async fn dataset_show(State(app): Ctx, Path(id): Path<String>) -> Response {
    answer(
        async {
            let id: DatasetId = parse(&id, "dataset")?;
            ok(json!(
                app.catalog
                    .get(&id)
                    .await?
                    .ok_or_else(|| Problem::not_found("dataset"))?
            ))
        }
        .await,
    )
}

pub(super) async fn dataset_remove(State(app): Ctx, Path(id): Path<String>) -> Response {
    answer(
        async {
            let id: DatasetId = parse(&id, "dataset")?;
            app.catalog.remove(&id, (app.clock)()).await?;
            ok(json!({ "removed": id }))
        }
        .await,
    )
}

pub(super) async fn catalog(State(app): Ctx, Query(query): Query<HashMap<String, String>>) -> Response {
    answer(
        async {
            let peer = query
                .get("peer")
                .ok_or_else(|| Problem::bad_request("invalid", "the query needs peer=DID or name"))?;
            let peer = app.peers.named(peer)?;
            ok(json!(app.peers.catalog(peer).await?))
        }
        .await,
    )
}
