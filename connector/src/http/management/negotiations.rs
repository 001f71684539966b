//! Negotiations and the agreements that they lead to.

use super::{Command, Ctx, answer, body, ok, parse, pending};
use crate::{
    contract::{self, NegotiationRecord, StoredAgreement, Wanted},
    dsp::{AgreementId, FORMAT_HTTP_PULL, Pid, catalog::ListedDataset, negotiation::State as NegotiationState},
    http::problem::Problem,
    process::Protocol,
};
use axum::{
    extract::{Path, Query, Request, State},
    response::Response,
};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use std::{collections::HashMap, time::Duration};

fn negotiation_json(record: &NegotiationRecord) -> Value {
    json!({
        "pid": record.core.pid, "peer": record.core.peer, "peerPid": record.core.peer_pid, "role": record.core.role,
        "state": record.core.position.state, "stateName": record.core.state_name(), "pending": pending(&record.core.position),
        "dataset": record.dataset, "offer": record.offer, "offerBy": record.offer_by, "manual": record.manual,
        "agreementId": record.agreement_id(), "created": record.core.created, "updated": record.core.updated,
        "explanation": record.core.explanation,
    })
}

pub(super) async fn negotiations(State(app): Ctx) -> Response {
    answer(
        async {
            let all = app.contracts.list().await?;
            ok(json!({ "negotiations": all.iter().map(negotiation_json).collect::<Vec<_>>() }))
        }
        .await,
    )
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Negotiate {
    peer: String,
    offer: String,
    #[serde(default)]
    terms: Option<Value>,
    #[serde(default)]
    manual: bool,
}

pub(super) async fn negotiate(State(app): Ctx, request: Request) -> Response {
    answer(
        async {
            let wanted: Negotiate = body(&app, request).await?;
            let peer = app.peers.named(&wanted.peer)?;
            let listed = app.peers.catalog(peer).await?;
            let (dataset, offer) = contract::pick(&listed.datasets, &wanted.offer).ok_or_else(|| {
                Problem::not_found("offer in the peer's catalog").hint("list it with: connector catalog PEER")
            })?;
            pullable(dataset)?;
            let wanted = Wanted {
                peer: peer.did.clone(),
                base: app.peers.base(peer).await?,
                dataset: dataset.id.clone(),
                offer: offer.clone(),
                terms: wanted.terms,
                manual: wanted.manual,
            };
            Ok((
                StatusCode::CREATED,
                negotiation_json(&app.contracts.request(wanted, (app.clock)()).await?),
            ))
        }
        .await,
    )
}

fn pullable(dataset: &ListedDataset) -> Result<(), Problem> {
    if dataset.can_pull() {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "unknown-format",
        format!(
            "the dataset is not offered as {FORMAT_HTTP_PULL}, but as {}",
            dataset.formats.join(", ")
        ),
    ))
}

pub(super) async fn negotiation(State(app): Ctx, Path(pid): Path<String>) -> Response {
    answer(
        async {
            ok(negotiation_json(
                &app.contracts.get(&parse(&pid, "negotiation")?).await?,
            ))
        }
        .await,
    )
}

/// Answers when the negotiation has ended or waits for the operator. Listens before it looks, so that nothing is missed.
pub(super) async fn negotiation_wait(
    State(app): Ctx,
    Path(pid): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    answer(
        async {
            let pid: Pid = parse(&pid, "negotiation")?;
            let seconds = query
                .get("timeout")
                .and_then(|text| text.parse().ok())
                .unwrap_or(60_u64)
                .min(3600);
            let mut events = app.transfers.events().stirred();
            let ended = async {
                loop {
                    let record = app.contracts.get(&pid).await?;
                    let held = record.manual && record.core.position.state == Some(NegotiationState::Offered);
                    if record.core.position.is_terminal() || (held && record.core.position.pending.is_empty()) {
                        return ok(negotiation_json(&record));
                    }
                    loop {
                        match events.recv().await {
                            Ok((Protocol::Negotiation, stirred)) if stirred == pid => break,
                            Ok(_) => {}
                            Err(_) => break,
                        }
                    }
                }
            };
            let late = Problem::new(
                StatusCode::REQUEST_TIMEOUT,
                "timeout",
                "the negotiation has not ended in that time",
            );
            let stopping = Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "stopping",
                "the daemon is stopping; the negotiation goes on when it runs again",
            );
            tokio::select! {
                ended = tokio::time::timeout(Duration::from_secs(seconds), ended) => ended.unwrap_or(Err(late)),
                () = app.shutdown.cancelled() => Err(stopping),
            }
        }
        .await,
    )
}

pub(super) async fn negotiation_command(
    State(app): Ctx,
    Path((pid, command)): Path<(String, String)>,
    request: Request,
) -> Response {
    answer(
        async {
            let pid: Pid = parse(&pid, "negotiation")?;
            let details: Command = body(&app, request).await?;
            let now = (app.clock)();
            let record = match command.as_str() {
                "accept" => app.contracts.accept(&pid, now).await?,
                "counter" => {
                    let terms = details
                        .terms
                        .ok_or_else(|| Problem::bad_request("invalid", "terms are missing"))?;
                    app.contracts.counter(&pid, &terms, now).await?
                }
                "terminate" => app.contracts.terminate(&pid, details.why(), now).await?,
                _ => return Err(Problem::not_found("command")),
            };
            ok(negotiation_json(&record))
        }
        .await,
    )
}

fn agreement_json(stored: &StoredAgreement) -> Value {
    json!({
        "id": stored.id, "dataset": stored.dataset, "provider": stored.provider, "consumer": stored.consumer,
        "role": stored.role, "negotiation": stored.negotiation, "signed": stored.signed, "signatures": 2,
        "agreement": stored.agreement,
    })
}

pub(super) async fn agreements(State(app): Ctx) -> Response {
    answer(
        async {
            let all = app.contracts.agreements().list().await?;
            ok(json!({ "agreements": all.iter().map(agreement_json).collect::<Vec<_>>() }))
        }
        .await,
    )
}

pub(super) async fn agreement(State(app): Ctx, Path(id): Path<String>) -> Response {
    answer(
        async {
            let id: AgreementId = parse(&id, "agreement")?;
            let stored = app
                .contracts
                .agreements()
                .get(&id)
                .await?
                .ok_or_else(|| Problem::not_found("agreement"))?;
            ok(json!(stored.export()?))
        }
        .await,
    )
}
