//! The management API: what operators and their programs do with a running daemon. JSON over a Unix socket, or over loopback with a token.

mod events;
mod learners;
mod log;
mod negotiations;
mod offers;
mod transfers;

use super::{App, dsp::plain, problem::Problem, read_body};
use crate::{
    dsp::{Machine, Position, message::Explanation},
    jose,
};
use axum::{
    Router,
    extract::{Request, State},
    middleware::{self, Next},
    response::Response,
    routing::{get, post},
};
use events::events;
use http::{StatusCode, header};
use learners::{consent_grant, consent_withdraw, consents, pseudonyms};
use log::{audit_entries, audit_verify};
use negotiations::{
    agreement, agreements, negotiate, negotiation, negotiation_command, negotiation_wait, negotiations,
};
use offers::{catalog, dataset_add, dataset_remove, dataset_show, datasets};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::sync::Arc;
use transfers::{transfer_command, transfer_progress, transfer_records, transfer_show, transfer_start, transfers};

type Ctx = State<Arc<App>>;
type Outcome = Result<(StatusCode, Value), Problem>;

/// Largest body of a management request: an import of consents.
const MAX_BODY: usize = 64 * 1024 * 1024;

/// The routes; with a token's hash when they are served on a port.
pub fn routes(app: Arc<App>, token: Option<jose::Digest>) -> Router {
    let routes = Router::new()
        .route("/v1/status", get(|ctx: Ctx| async { answer(status(ctx).await) }))
        .route("/v1/peers", get(|ctx: Ctx| async { answer(peers(ctx).await) }))
        .route(
            "/v1/datasets",
            get(|ctx: Ctx| async { answer(datasets(ctx).await) }).post(dataset_add),
        )
        .route("/v1/datasets/{id}", get(dataset_show).delete(dataset_remove))
        .route("/v1/catalog", get(catalog))
        .route("/v1/negotiations", get(negotiations).post(negotiate))
        .route("/v1/negotiations/{pid}", get(negotiation))
        .route("/v1/negotiations/{pid}/wait", get(negotiation_wait))
        .route("/v1/negotiations/{pid}/{command}", post(negotiation_command))
        .route("/v1/agreements", get(agreements))
        .route("/v1/agreements/{id}", get(agreement))
        .route("/v1/transfers", get(transfers).post(transfer_start))
        .route("/v1/transfers/{pid}", get(transfer_show))
        .route("/v1/transfers/{pid}/progress", get(transfer_progress))
        .route("/v1/transfers/{pid}/records", get(transfer_records))
        .route("/v1/transfers/{pid}/{command}", post(transfer_command))
        .route("/v1/consents", get(consents).post(consent_grant))
        .route("/v1/consents/withdraw", post(consent_withdraw))
        .route("/v1/pseudonyms", post(pseudonyms))
        .route("/v1/events", get(events))
        .route("/v1/audit/entries", get(audit_entries))
        .route("/v1/audit/verify", post(audit_verify))
        .fallback(|| async { answer(Err(Problem::not_found("resource of the management API"))) })
        .with_state(app);
    match token {
        None => routes,
        Some(token) => routes.layer(middleware::from_fn(move |request, next| {
            authorized(token, request, next)
        })),
    }
}

async fn authorized(token: jose::Digest, request: Request, next: Next) -> Response {
    let given = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))
        .map(|given| jose::sha256(given.trim().as_bytes()));
    match given {
        Some(given) if given.matches(&token) => next.run(request).await,
        _ => answer(Err(Problem::new(
            StatusCode::UNAUTHORIZED,
            "token",
            "the management token is missing or wrong",
        ))),
    }
}

fn answer(outcome: Outcome) -> Response {
    match outcome {
        Ok((status, body)) => plain(status, &body),
        Err(problem) => plain(problem.status, &problem.json()),
    }
}

fn ok(body: Value) -> Outcome {
    Ok((StatusCode::OK, body))
}

async fn body<T: DeserializeOwned>(app: &App, request: Request) -> Result<T, Problem> {
    let limits = super::Limits {
        body_bytes: MAX_BODY,
        ..app.limits.clone()
    };
    let bytes = read_body(request.into_body(), &limits).await?;
    let bytes: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
    let limits = crate::dsp::json::Limits {
        bytes: MAX_BODY,
        ..crate::dsp::json::Limits::MESSAGE
    };
    let invalid = |error: &dyn std::fmt::Display| {
        Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid",
            format!("the request is not what is expected here: {error}"),
        )
    };
    let value = crate::dsp::json::parse_within(bytes, limits).map_err(|error| invalid(&error))?;
    serde_json::from_value(value).map_err(|error| invalid(&error))
}

fn parse<T: std::str::FromStr>(text: &str, what: &str) -> Result<T, Problem> {
    text.parse().map_err(|_| Problem::not_found(what))
}

/// The steps that are not acknowledged yet.
fn pending<M: Machine>(position: &Position<M>) -> Vec<String> {
    position.pending.iter().map(|(_, step)| step.to_string()).collect()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Command {
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    terms: Option<Value>,
}

impl Command {
    fn why(&self) -> Explanation {
        Explanation::new(
            "operator",
            self.reason
                .clone()
                .unwrap_or_else(|| "the operator decided so".to_owned()),
        )
    }
}

async fn status(State(app): Ctx) -> Outcome {
    let now = (app.clock)();
    let (negotiations, transfers) = (app.contracts.list().await?, app.transfers.list().await?);
    let running = app.limits.streams.saturating_sub(app.streams.available_permits());
    ok(json!({
        "did": app.trust.me(),
        "version": env!("CARGO_PKG_VERSION"),
        "address": app.root,
        "ready": app.started,
        "uptimeSeconds": now.since(app.started).as_secs(),
        "datasets": app.catalog.list().await?.len(),
        "peers": app.trust.peers().count(),
        "negotiations": negotiations.len(),
        "agreements": app.contracts.agreements().list().await?.len(),
        "transfers": transfers.len(),
        "streams": running,
        // After a failed write the store does not say what of that write is there; the status is wanted then most of all.
        "auditEntries": app.log.count().await.ok(),
    }))
}

async fn peers(State(app): Ctx) -> Outcome {
    let mut peers: Vec<Value> = app
        .trust
        .peers()
        .map(|peer| json!({"did": peer.did, "name": peer.name}))
        .collect();
    peers.sort_by_key(ToString::to_string);
    ok(json!({ "peers": peers }))
}
