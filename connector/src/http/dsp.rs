//! The routes that peers call (DSP 2025-1 §6, §8, §10): read the raw bytes, verify them, parse, ask the service, sign the answer.

use super::{App, problem::Problem, read_body, room};
use crate::{
    contract::{self, AGREEMENT_DOCUMENT_HEADER, AGREEMENT_SIGNATURE_HEADER},
    dsp::{
        self, Pid, catalog,
        message::{self, NegotiationMessage, Pids, TransferMessage},
    },
    peer,
    process::Answer,
    transfer::{self, RECEIPT_HEADER},
    trust::{SIGNATURE_HEADER, Verified},
};
use axum::{
    Router,
    body::Body,
    extract::{Path, Request, State},
    response::Response,
    routing::{get, post},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts};
use serde_json::Value;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

/// Which typed error a route answers with.
#[derive(Clone, Copy)]
enum Family {
    Catalog,
    Negotiation,
    Transfer,
}

impl Family {
    fn error(self) -> &'static str {
        match self {
            Self::Catalog => "CatalogError",
            Self::Negotiation => "ContractNegotiationError",
            Self::Transfer => "TransferError",
        }
    }

    fn body(self, problem: &Problem, pids: &Pids) -> Value {
        match self {
            Self::Catalog => problem.dsp(self.error(), None),
            Self::Negotiation | Self::Transfer => problem.dsp(self.error(), Some(pids)),
        }
    }
}

/// The routes of the public listener.
pub fn routes(app: Arc<App>) -> Router {
    // Whole paths, not a nested router: signatures name the whole path, and nesting cuts it.
    let at = |path: &str| format!("{}{path}", dsp::PATH);
    Router::new()
        .route(&at("/catalog/request"), post(catalog_request))
        .route(&at("/catalog/datasets/{id}"), get(dataset))
        .route(&at("/negotiations/request"), post(negotiation_open))
        .route(&at("/negotiations/{pid}"), get(negotiation_state))
        .route(&at("/negotiations/{pid}/request"), post(negotiation))
        .route(&at("/negotiations/{pid}/offers"), post(negotiation))
        .route(&at("/negotiations/{pid}/events"), post(negotiation))
        .route(&at("/negotiations/{pid}/agreement"), post(negotiation))
        .route(&at("/negotiations/{pid}/agreement/verification"), post(negotiation))
        .route(&at("/negotiations/{pid}/termination"), post(negotiation))
        .route(&at("/transfers/request"), post(transfer_open))
        .route(&at("/transfers/{pid}"), get(transfer_state))
        .route(&at("/transfers/{pid}/start"), post(transfer))
        .route(&at("/transfers/{pid}/suspension"), post(transfer))
        .route(&at("/transfers/{pid}/completion"), post(transfer))
        .route(&at("/transfers/{pid}/termination"), post(transfer))
        .route(dsp::WELL_KNOWN_VERSION, get(versions))
        .route("/.well-known/did.json", get(did_document))
        .route("/data/{pid}", get(super::data::stream))
        .with_state(app)
}

async fn versions() -> Response {
    plain(StatusCode::OK, &dsp::versions())
}

async fn did_document(State(app): State<Arc<App>>) -> Response {
    plain(StatusCode::OK, &app.document)
}

/// An unsigned JSON answer.
pub(super) fn plain(status: StatusCode, body: &Value) -> Response {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

struct Reply {
    status: StatusCode,
    body: Value,
}

/// A refusal together with the ids that its body should carry.
struct Refusal {
    problem: Problem,
    pids: Pids,
}

impl<E: Into<Problem>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self {
            problem: error.into(),
            pids: Pids {
                consumer: None,
                provider: None,
            },
        }
    }
}

/// The way of every signed request. What cannot be verified is answered without a signature; everything else with one, and its id is
/// spent even when it was refused, so that a refused message cannot be played again when its time has come.
async fn signed<F, R>(app: &Arc<App>, request: Request, family: Family, serve: F) -> Response
where
    F: FnOnce(Verified<Bytes>, Parts) -> R,
    R: Future<Output = Result<Reply, Refusal>>,
{
    let (parts, body) = request.into_parts();
    let unsigned = |problem: &Problem| {
        plain(
            problem.status,
            &family.body(
                problem,
                &Pids {
                    consumer: None,
                    provider: None,
                },
            ),
        )
    };
    if parts.headers.contains_key(header::CONTENT_ENCODING) {
        return unsigned(&Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "encoded",
            "signed bodies are not compressed",
        ));
    }
    let url = format!("{}{}", app.root, parts.uri.path());
    let Some(signature) = peer::single(&parts.headers).map(str::to_owned) else {
        return unsigned(&crate::trust::TrustError::SignatureMissing.into());
    };
    if let Err(error) = app
        .trust
        .plausible(&signature, parts.method.as_str(), &url, (app.clock)())
    {
        tracing::info!(%error, path = parts.uri.path(), "a request was not believed");
        return unsigned(&error.into());
    }
    let (_room, body) = match taken(app, body).await {
        Ok(taken) => taken,
        Err(problem) => return unsigned(&problem),
    };
    let now = (app.clock)();
    let verified = match app
        .trust
        .authenticate(Some(&signature), parts.method.as_str(), &url, body, now)
        .await
    {
        Ok(verified) => verified,
        Err(error) => {
            tracing::info!(%error, path = parts.uri.path(), "a request was not believed");
            return unsigned(&error.into());
        }
    };
    let exchange = verified.exchange();
    let spent = verified.clone();
    let reply = match serve(verified, parts).await {
        Ok(reply) => reply,
        Err(refusal) => {
            let replayed = app.contracts.spend(&spent).await.is_err() && refusal.problem.status.is_client_error();
            tracing::info!(peer = %exchange.caller, code = refusal.problem.code, message = refusal.problem.message, replayed, "refused");
            Reply {
                status: refusal.problem.status,
                body: family.body(&refusal.problem, &refusal.pids),
            }
        }
    };
    let bytes = reply.body.to_string();
    let mut response = plain(reply.status, &reply.body);
    match app
        .trust
        .sign_response(&exchange, reply.status.as_u16(), bytes.as_bytes(), (app.clock)())
    {
        Ok(signature) => {
            if let Ok(value) = HeaderValue::from_str(&signature) {
                response.headers_mut().insert(SIGNATURE_HEADER, value);
            }
            response
        }
        Err(error) => {
            tracing::error!(%error, "an answer could not be signed");
            unsigned(&Problem::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "the answer could not be signed",
            ))
        }
    }
}

/// A body, and the room that it takes until the request is answered.
async fn taken(app: &App, body: Body) -> Result<(OwnedSemaphorePermit, Bytes), Problem> {
    let room = room(&app.bodies, &body, &app.limits)?;
    Ok((room, read_body(body, &app.limits).await?))
}

fn parsed(bytes: &Bytes) -> Result<Value, Problem> {
    dsp::json::parse(bytes).map_err(|error| Problem::bad_request("invalid-json", error.to_string()))
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

async fn catalog_request(State(app): State<Arc<App>>, request: Request) -> Response {
    let context = app.clone();
    signed(&app, request, Family::Catalog, |verified, _| async move {
        let app = context;
        let body = parsed(verified.value())?;
        let filtered =
            catalog::read_request(&body).map_err(|error| Problem::bad_request("invalid-message", error.to_string()))?;
        if filtered {
            return Err(Problem::bad_request("unsupported-filter", "this catalog supports no filter").into());
        }
        app.contracts.spend(&verified).await?;
        let listed = app.catalog.shown_to(&verified.sender().did, (app.clock)()).await?;
        Ok(Reply {
            status: StatusCode::OK,
            body: catalog::write(&listed, &app.base()),
        })
    })
    .await
}

async fn dataset(State(app): State<Arc<App>>, Path(id): Path<String>, request: Request) -> Response {
    let context = app.clone();
    signed(&app, request, Family::Catalog, |verified, _| async move {
        let app = context;
        let id = id.parse().map_err(|_| Problem::not_found("dataset"))?;
        app.contracts.spend(&verified).await?;
        let listed = app
            .catalog
            .dataset_shown_to(&id, &verified.sender().did, (app.clock)())
            .await?;
        Ok(Reply {
            status: StatusCode::OK,
            body: catalog::write_dataset(&listed, &app.base(), true),
        })
    })
    .await
}

fn pid(text: &str) -> Result<Pid, Problem> {
    text.parse().map_err(|_| Problem::not_found("process"))
}

fn acknowledged(type_name: &str, answer: &Answer) -> Result<Reply, Refusal> {
    if let Some(refusal) = &answer.refusal {
        return Err(with_pids(&answer.pids, Problem::bad_request("refused", refusal)));
    }
    let mut body = message::acknowledgement(type_name, &answer.pids, &answer.state);
    if let (Some(address), Some(members)) = (&answer.extra, body.as_object_mut()) {
        members.insert("dataAddress".into(), address.clone());
    }
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    Ok(Reply { status, body })
}

fn with_pids(pids: &Pids, error: impl Into<Problem>) -> Refusal {
    Refusal {
        problem: error.into(),
        pids: pids.clone(),
    }
}

async fn negotiation_open(State(app): State<Arc<App>>, request: Request) -> Response {
    let context = app.clone();
    signed(&app, request, Family::Negotiation, |verified, parts| async move {
        let message = verified.try_map(|bytes| {
            NegotiationMessage::read(&parsed(&bytes)?)
                .map_err(|error| Problem::from(contract::ContractError::from(error)))
        })?;
        let call = negotiation_call(&message, &parts.headers);
        let (answer, status) = context
            .contracts
            .open(call, (context.clock)())
            .await
            .map_err(|error| with_pids(&message.value().pids, error))?;
        acknowledged("ContractNegotiation", &Answer { status, ..answer })
    })
    .await
}

fn negotiation_call<'a>(
    message: &'a Verified<message::Received<NegotiationMessage>>,
    headers: &'a HeaderMap,
) -> contract::Call<'a> {
    contract::Call {
        message,
        signature: header(headers, AGREEMENT_SIGNATURE_HEADER),
        document: header(headers, AGREEMENT_DOCUMENT_HEADER),
    }
}

/// The last part of the path must fit the message: an agreement does not arrive as a termination.
fn fits_path(path: &str, allowed: &[&str]) -> Result<(), Problem> {
    if allowed.iter().any(|last| path.ends_with(last)) {
        return Ok(());
    }
    Err(Problem::bad_request(
        "wrong-address",
        "this kind of message has another address",
    ))
}

fn negotiation_path(message: &NegotiationMessage) -> &'static [&'static str] {
    match message {
        NegotiationMessage::Request { .. } => &["/request"],
        NegotiationMessage::Offer { .. } => &["/offers"],
        NegotiationMessage::Accepted | NegotiationMessage::Finalized => &["/events"],
        NegotiationMessage::Agreement { .. } => &["/agreement"],
        NegotiationMessage::Verification => &["/agreement/verification"],
        NegotiationMessage::Termination(_) => &["/termination"],
    }
}

fn transfer_path(message: &TransferMessage) -> &'static [&'static str] {
    match message {
        TransferMessage::Request { .. } => &["/request"],
        TransferMessage::Start { .. } => &["/start"],
        TransferMessage::Suspension(_) => &["/suspension"],
        TransferMessage::Completion => &["/completion"],
        TransferMessage::Termination(_) => &["/termination"],
    }
}

async fn negotiation(State(app): State<Arc<App>>, Path(path_pid): Path<String>, request: Request) -> Response {
    let context = app.clone();
    signed(&app, request, Family::Negotiation, |verified, parts| async move {
        let pid = pid(&path_pid)?;
        let message = verified.try_map(|bytes| {
            NegotiationMessage::read(&parsed(&bytes)?)
                .map_err(|error| Problem::from(contract::ContractError::from(error)))
        })?;
        fits_path(parts.uri.path(), negotiation_path(&message.value().message))?;
        let call = negotiation_call(&message, &parts.headers);
        let answer = context
            .contracts
            .receive(&pid, call, (context.clock)())
            .await
            .map_err(|error| with_pids(&message.value().pids, error))?;
        acknowledged("ContractNegotiation", &answer)
    })
    .await
}

async fn negotiation_state(State(app): State<Arc<App>>, Path(path_pid): Path<String>, request: Request) -> Response {
    let context = app.clone();
    signed(&app, request, Family::Negotiation, |verified, _| async move {
        context.contracts.spend(&verified).await?;
        let record = context
            .contracts
            .get_for(&pid(&path_pid)?, &verified.sender().did)
            .await?;
        let body = message::acknowledgement("ContractNegotiation", &record.core.pids(), &record.core.state_name());
        Ok(Reply {
            status: StatusCode::OK,
            body,
        })
    })
    .await
}

async fn transfer_open(State(app): State<Arc<App>>, request: Request) -> Response {
    let context = app.clone();
    signed(&app, request, Family::Transfer, |verified, _| async move {
        let message = verified.try_map(|bytes| {
            TransferMessage::read(&parsed(&bytes)?).map_err(|error| Problem::from(transfer::TransferError::from(error)))
        })?;
        let call = transfer::Call {
            message: &message,
            receipt: None,
        };
        let answer = context
            .transfers
            .open(call, (context.clock)())
            .await
            .map_err(|error| with_pids(&message.value().pids, error))?;
        acknowledged("TransferProcess", &answer)
    })
    .await
}

async fn transfer(State(app): State<Arc<App>>, Path(path_pid): Path<String>, request: Request) -> Response {
    let context = app.clone();
    signed(&app, request, Family::Transfer, |verified, parts| async move {
        let pid = pid(&path_pid)?;
        let message = verified.try_map(|bytes| {
            TransferMessage::read(&parsed(&bytes)?).map_err(|error| Problem::from(transfer::TransferError::from(error)))
        })?;
        fits_path(parts.uri.path(), transfer_path(&message.value().message))?;
        let call = transfer::Call {
            message: &message,
            receipt: header(&parts.headers, RECEIPT_HEADER),
        };
        let answer = context
            .transfers
            .receive(&pid, call, (context.clock)())
            .await
            .map_err(|error| with_pids(&message.value().pids, error))?;
        acknowledged("TransferProcess", &answer)
    })
    .await
}

async fn transfer_state(State(app): State<Arc<App>>, Path(path_pid): Path<String>, request: Request) -> Response {
    let context = app.clone();
    signed(&app, request, Family::Transfer, |verified, _| async move {
        context.transfers.spend(&verified).await?;
        let record = context
            .transfers
            .get_for(&pid(&path_pid)?, &verified.sender().did)
            .await?;
        let body = message::acknowledgement("TransferProcess", &record.core.pids(), &record.core.state_name());
        Ok(Reply {
            status: StatusCode::OK,
            body,
        })
    })
    .await
}
