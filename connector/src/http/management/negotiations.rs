//! Negotiations and the agreements that they lead to.

use super::{Command, Ctx, answer, body, ok, parse, pending};
use crate::{
    catalog::Mode,
    contract::{self, NegotiationRecord, Proposed, StoredAgreement, Wanted},
    dsp::{AgreementId, DatasetId, FORMATS, Pid, catalog::ListedDataset},
    http::{App, problem::Problem},
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
use url::Url;

fn negotiation_json(record: &NegotiationRecord) -> Value {
    json!({
        "pid": record.core.pid, "peer": record.core.peer, "peerPid": record.core.peer_pid, "role": record.core.role,
        "state": record.core.position.state, "stateName": record.core.state_name(), "pending": pending(&record.core.position),
        "dataset": record.dataset, "offer": record.offer, "offerBy": record.offer_by,
        "manual": record.decisions.negotiations == Mode::Manual, "held": record.is_held(),
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

/// What a consumer's operator asks for: an offer of the peer's catalog, or one that is known without it, by address and dataset.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Negotiate {
    peer: String,
    offer: String,
    #[serde(default)]
    address: Option<Url>,
    #[serde(default)]
    dataset: Option<DatasetId>,
    #[serde(default)]
    terms: Option<Value>,
    #[serde(default)]
    manual: bool,
}

pub(super) async fn negotiate(State(app): Ctx, request: Request) -> Response {
    answer(
        async {
            let asked: Negotiate = body(&app, request).await?;
            let wanted = wanted(&app, asked).await?;
            Ok((
                StatusCode::CREATED,
                negotiation_json(&app.contracts.request(wanted, (app.clock)()).await?),
            ))
        }
        .await,
    )
}

async fn wanted(app: &App, asked: Negotiate) -> Result<Wanted, Problem> {
    let peer = app.peers.named(&asked.peer)?;
    let (base, dataset, offer) = match (asked.address, asked.dataset) {
        (Some(address), Some(dataset)) => {
            let offer = json!({"@id": asked.offer, "@type": "Offer", "permission": [{"action": "use"}]});
            (address, dataset, offer)
        }
        (None, None) => {
            let listed = app.peers.catalog(peer).await?;
            let (dataset, offer) = contract::pick(&listed.datasets, &asked.offer).ok_or_else(|| {
                Problem::not_found("offer in the peer's catalog").hint("list it with: connector catalog PEER")
            })?;
            transferable(dataset)?;
            (app.peers.base(peer).await?, dataset.id.clone(), offer.clone())
        }
        _ => {
            return Err(Problem::bad_request(
                "invalid",
                "address and dataset belong together: both, to negotiate without the peer's catalog, or neither",
            ));
        }
    };
    Ok(Wanted {
        peer: peer.did.clone(),
        base,
        dataset,
        // Without a catalog the operator's terms are all that is known of the offer.
        offer,
        terms: asked.terms,
        manual: asked.manual,
    })
}

/// What a provider's operator proposes to a consumer that has not asked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Propose {
    peer: String,
    dataset: DatasetId,
    #[serde(default)]
    address: Option<Url>,
    #[serde(default)]
    terms: Option<Value>,
    #[serde(default)]
    manual: bool,
}

pub(super) async fn propose(State(app): Ctx, request: Request) -> Response {
    answer(
        async {
            let asked: Propose = body(&app, request).await?;
            let peer = app.peers.named(&asked.peer)?;
            let dataset = app.catalog.get(&asked.dataset).await?;
            let proposed = Proposed {
                peer: peer.did.clone(),
                base: match asked.address {
                    Some(address) => address,
                    None => app.peers.base(peer).await?,
                },
                dataset: dataset.ok_or_else(|| Problem::not_found("dataset"))?,
                terms: asked.terms,
                manual: asked.manual,
            };
            Ok((
                StatusCode::CREATED,
                negotiation_json(&app.contracts.propose(proposed, (app.clock)()).await?),
            ))
        }
        .await,
    )
}

fn transferable(dataset: &ListedDataset) -> Result<(), Problem> {
    if dataset.formats.iter().any(|format| FORMATS.contains(&format.as_str())) {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "unknown-format",
        format!(
            "the dataset is not offered as {}, but as {}",
            FORMATS.join(" or "),
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
            let mut events = app.transfers.events().subscribe();
            let ended = async {
                loop {
                    let record = app.contracts.get(&pid).await?;
                    if record.core.position.is_terminal() || record.is_held() {
                        return ok(negotiation_json(&record));
                    }
                    loop {
                        match events.recv().await {
                            Ok(event) if event.protocol == Protocol::Negotiation && event.pid == pid => break,
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
            let terms = details.terms.as_ref();
            let record = match command.as_str() {
                "accept" => app.contracts.accept(&pid, now).await?,
                "counter" => app.contracts.counter(&pid, terms, now).await?,
                "verify" => app.contracts.verify(&pid, now).await?,
                "offer" => app.contracts.offer(&pid, terms, now).await?,
                "agree" => app.contracts.agree(&pid, now).await?,
                "finalize" => app.contracts.finalize(&pid, now).await?,
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
        "role": stored.role, "negotiation": stored.negotiation, "signed": stored.signed, "signatures": stored.signatures(),
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
            let export = stored.export()?.ok_or_else(|| {
                Problem::new(
                    StatusCode::CONFLICT,
                    "unsigned",
                    "this agreement carries no signatures: the peer is one that cannot sign",
                )
            })?;
            ok(json!(export))
        }
        .await,
    )
}
