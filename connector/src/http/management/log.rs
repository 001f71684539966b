//! The audit log: reading and checking it.

use super::{Ctx, answer, ok};
use crate::{audit::AuditError, http::problem::Problem};
use axum::{
    extract::{Query, State},
    response::Response,
};
use http::StatusCode;
use serde_json::{Value, json};
use std::collections::HashMap;

pub(super) async fn audit_entries(State(app): Ctx, Query(query): Query<HashMap<String, String>>) -> Response {
    answer(
        async {
            let number = |name: &str| query.get(name).and_then(|text| text.parse::<u64>().ok());
            let (from, limit) = (
                number("from").unwrap_or(0),
                number("limit").unwrap_or(100).clamp(1, 1000),
            );
            let entries = app.log.entries(from, usize::try_from(limit).unwrap_or(100)).await?;
            let next = entries.last().map_or(from, |(seq, _)| seq + 1);
            let entries: Vec<Value> = entries
                .into_iter()
                .map(|(seq, entry)| json!({"seq": seq, "entry": entry}))
                .collect();
            ok(json!({"entries": entries, "next": next, "total": app.log.count().await?}))
        }
        .await,
    )
}

pub(super) async fn audit_verify(State(app): Ctx) -> Response {
    let checked = async {
        app.log.seal((app.clock)()).await?;
        app.log.verify().await
    };
    answer(match checked.await {
        Ok(verification) => ok(json!(verification)),
        Err(AuditError::Store(error)) => Err(error.into()),
        Err(error) => Err(Problem::new(StatusCode::CONFLICT, "audit-broken", error.to_string())),
    })
}
