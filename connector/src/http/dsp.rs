//! The routes that peers call (DSP 2025-1 §6, §8, §10): read the raw bytes, verify them, parse, ask the service, sign the answer.

use super::{App, compress, page, problem::Problem, published, read_body, room};
use crate::{
    contract::{self, AGREEMENT_DOCUMENT_HEADER, AGREEMENT_SIGNATURE_HEADER, Basis, CLAIMS_HEADER, RULEBOOK_HEADER},
    dsp::{
        self, Pid, catalog, filter,
        message::{self, NegotiationMessage, Pids, TransferMessage},
    },
    gaia_x, peer,
    process::Answer,
    transfer::{self, RECEIPT_HEADER},
    trust::{SIGNATURE_HEADER, TrustError, Verified},
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
pub(super) enum Family {
    Catalog,
    Negotiation,
    Transfer,
    Consent,
}

impl Family {
    fn error(self) -> &'static str {
        match self {
            Self::Catalog => "CatalogError",
            Self::Negotiation => "ContractNegotiationError",
            Self::Transfer => "TransferError",
            Self::Consent => "ConsentError",
        }
    }

    fn body(self, problem: &Problem, pids: &Pids) -> Value {
        match self {
            Self::Catalog | Self::Consent => problem.dsp(self.error(), None),
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
        .route(&at("/negotiations/offers"), post(negotiation_open))
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
        .route(published::PRESENTATION, get(published::presentation))
        .route(gaia_x::CHAIN_PATH, get(certificates))
        .route("/data/{pid}", get(super::data::stream).post(super::data::receive))
        .route("/log/checkpoint", get(super::log::checkpoint))
        .route("/log/tile/{*path}", get(super::log::tile))
        .route("/log/add-checkpoint", post(super::log::add_checkpoint))
        .merge(super::consents::routes())
        .fallback(published::file)
        .with_state(app)
}

async fn versions() -> Response {
    plain(StatusCode::OK, &dsp::versions())
}

async fn did_document(State(app): State<Arc<App>>) -> Response {
    plain(StatusCode::OK, &app.trust.document())
}

/// The certificates that the key in the DID document names (RFC 8555 §9.1 for the media type).
async fn certificates(State(app): State<Arc<App>>) -> Response {
    let keys = app.trust.keys().all();
    let Some(certified) = &keys.certified else {
        let problem = Problem::not_found("certificate");
        return plain(problem.status, &problem.dsp("Error", None));
    };
    let mut response = Response::new(Body::from(certified.pem.clone()));
    let kind = HeaderValue::from_static("application/pem-certificate-chain");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
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

pub(super) struct Reply {
    status: StatusCode,
    body: Value,
    headers: HeaderMap,
}

impl Reply {
    pub(super) fn new(status: StatusCode, body: Value) -> Self {
        Self {
            status,
            body,
            headers: HeaderMap::new(),
        }
    }
}

const NO_PIDS: Pids = Pids {
    consumer: None,
    provider: None,
};

/// A refusal together with the ids that its body should carry.
pub(super) struct Refusal {
    problem: Box<Problem>,
    pids: Pids,
}

impl<E: Into<Problem>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self {
            problem: Box::new(error.into()),
            pids: NO_PIDS,
        }
    }
}

/// The way of every request of a peer. What cannot be verified is answered without a signature; what was signed is answered with one,
/// and its id is spent even when it was refused, so that a refused message cannot be played again when its time has come.
pub(super) async fn verified<F, R>(app: &Arc<App>, request: Request, family: Family, serve: F) -> Response
where
    F: FnOnce(Arc<App>, Verified<Bytes>, Parts) -> R,
    R: Future<Output = Result<Reply, Refusal>>,
{
    let (parts, body) = request.into_parts();
    let gzip = compress::accepts_gzip(&parts.headers);
    let (_room, verified) = match believed(app, &parts, body).await {
        Ok(believed) => believed,
        Err(problem) => {
            tracing::info!(
                code = problem.code,
                problem.message,
                path = parts.uri.path(),
                "a request was not believed"
            );
            return plain(problem.status, &family.body(&problem, &NO_PIDS));
        }
    };
    let (caller, exchange, spent) = (verified.sender().did.clone(), verified.exchange(), verified.clone());
    let reply = match serve(app.clone(), verified, parts).await {
        Ok(reply) => reply,
        Err(refusal) => {
            // It is spent already where the refusal was committed, and where the message is a replay.
            let _ = app.contracts.spend(&spent).await;
            tracing::info!(peer = %caller, code = refusal.problem.code, message = refusal.problem.message, "refused");
            Reply::new(refusal.problem.status, family.body(&refusal.problem, &refusal.pids))
        }
    };
    let bytes = Bytes::from(reply.body.to_string());
    let mut response = plain(reply.status, &Value::Null);
    response.headers_mut().extend(reply.headers);
    if let Some(exchange) = exchange {
        let signed = app
            .trust
            .sign_response(&exchange, reply.status.as_u16(), &bytes, (app.clock)())
            .map_err(|error| Problem::unsigned(&error))
            .and_then(|signature| HeaderValue::from_str(&signature).map_err(|error| Problem::internal(&error)));
        match signed {
            Ok(signature) => response.headers_mut().insert(SIGNATURE_HEADER, signature),
            // Nothing is lost: the caller does not believe this, asks again, and what was decided is answered again (R2).
            Err(problem) => return plain(problem.status, &family.body(&problem, &NO_PIDS)),
        };
    }
    compress::body(response, bytes, gzip)
}

/// Reads the body of a request whose sender we believe, by its signature or, without any, by its `Authorization`; the cheapest checks
/// come first.
async fn believed(app: &App, parts: &Parts, body: Body) -> Result<(OwnedSemaphorePermit, Verified<Bytes>), Problem> {
    if parts.headers.contains_key(header::CONTENT_ENCODING) {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "encoded",
            "request bodies are not compressed",
        ));
    }
    let authorization = header(&parts.headers, header::AUTHORIZATION.as_str());
    if !parts.headers.contains_key(SIGNATURE_HEADER) || app.trust.ignores_signatures(authorization) {
        let sender = app.trust.admitted(authorization, (app.clock)()).await?;
        let (room, body) = taken(app, body).await?;
        return Ok((room, app.trust.admit(sender, body)));
    }
    let method = parts.method.as_str();
    let url = advertised(app, parts);
    let signature = peer::single(&parts.headers).ok_or(TrustError::SignatureMissing)?;
    let unverified = app.trust.plausible(signature, method, &url, (app.clock)()).await?;
    let (room, body) = taken(app, body).await?;
    let now = (app.clock)();
    let verified = app.trust.authenticate(unverified, method, &url, body, now).await?;
    Ok((room, verified))
}

/// The address of a request as we advertise it, whatever `Host` says.
fn advertised(app: &App, parts: &Parts) -> String {
    format!("{}{}", app.root, super::requested_path(parts))
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
    verified(&app, request, Family::Catalog, |app, verified, parts| async move {
        let body = parsed(verified.value())?;
        let filter = filter::read(catalog::read_request(&body)?)
            .map_err(|error| Problem::bad_request("unsupported-filter", error.to_string()))?;
        let at = page::Place::of(parts.uri.query())?;
        app.contracts.spend(&verified).await?;
        let now = (app.clock)();
        let caller = app.trust.party(&verified.sender().did, now);
        let mut listed = app.catalog.shown_to(&caller, now).await?;
        listed.datasets = filter.page(listed.datasets);
        let links = page::cut(&mut listed.datasets, &at, app.limits.catalog_page);
        let mut reply = Reply::new(StatusCode::OK, catalog::write(&listed, &app.base()));
        for link in links.headers(&format!("{}/catalog/request", app.base())) {
            reply.headers.append(header::LINK, link);
        }
        Ok(reply)
    })
    .await
}

async fn dataset(State(app): State<Arc<App>>, Path(id): Path<String>, request: Request) -> Response {
    verified(&app, request, Family::Catalog, |app, verified, _| async move {
        let id = id.parse().map_err(|_| Problem::not_found("dataset"))?;
        app.contracts.spend(&verified).await?;
        let now = (app.clock)();
        let caller = app.trust.party(&verified.sender().did, now);
        let listed = app.catalog.dataset_shown_to(&id, &caller, now).await?;
        Ok(Reply::new(
            StatusCode::OK,
            catalog::write_dataset(&listed, &app.base(), true),
        ))
    })
    .await
}

fn pid(text: &str) -> Result<Pid, Problem> {
    text.parse().map_err(|_| Problem::not_found("process"))
}

fn acknowledged(type_name: &str, answer: &Answer) -> Result<Reply, Refusal> {
    if let Some(refusal) = &answer.refusal {
        let code = answer.code.as_deref().and_then(policy::Code::read);
        let code = code.map_or("refused", policy::Code::as_str);
        return Err(with_pids(&answer.pids, Problem::bad_request(code, refusal)));
    }
    let mut body = message::acknowledgement(type_name, &answer.pids, &answer.state);
    if let (Some(address), Some(members)) = (&answer.extra, body.as_object_mut()) {
        members.insert("dataAddress".into(), address.clone());
    }
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    Ok(Reply::new(status, body))
}

fn with_pids(pids: &Pids, error: impl Into<Problem>) -> Refusal {
    Refusal {
        problem: Box::new(error.into()),
        pids: pids.clone(),
    }
}

fn negotiation_message(bytes: Bytes) -> Result<message::Received<NegotiationMessage>, Problem> {
    NegotiationMessage::read(&parsed(&bytes)?).map_err(|error| contract::ContractError::from(error).into())
}

fn transfer_message(bytes: Bytes) -> Result<message::Received<TransferMessage>, Problem> {
    TransferMessage::read(&parsed(&bytes)?).map_err(|error| transfer::TransferError::from(error).into())
}

async fn negotiation_open(State(app): State<Arc<App>>, request: Request) -> Response {
    verified(&app, request, Family::Negotiation, |app, verified, parts| async move {
        let message = verified.try_map(negotiation_message)?;
        if let NegotiationMessage::Request { .. } | NegotiationMessage::Offer { .. } = &message.value().message {
            fits_path(parts.uri.path(), negotiation_path(&message.value().message))?;
        }
        let url = advertised(&app, &parts);
        let call = negotiation_call(&message, &parts.headers, &url)?;
        let answer = app
            .contracts
            .open(call, (app.clock)())
            .await
            .map_err(|error| with_pids(&message.value().pids, error))?;
        acknowledged("ContractNegotiation", &answer)
    })
    .await
}

fn negotiation_call<'a>(
    message: &'a Verified<message::Received<NegotiationMessage>>,
    headers: &'a HeaderMap,
    url: &'a str,
) -> Result<contract::Call<'a>, Problem> {
    let basis = Basis::read(header(headers, CLAIMS_HEADER), header(headers, RULEBOOK_HEADER))?;
    Ok(contract::Call {
        message,
        signature: header(headers, AGREEMENT_SIGNATURE_HEADER),
        document: header(headers, AGREEMENT_DOCUMENT_HEADER),
        basis,
        url,
    })
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
    verified(&app, request, Family::Negotiation, |app, verified, parts| async move {
        let pid = pid(&path_pid)?;
        let message = verified.try_map(negotiation_message)?;
        fits_path(parts.uri.path(), negotiation_path(&message.value().message))?;
        let url = advertised(&app, &parts);
        let call = negotiation_call(&message, &parts.headers, &url)?;
        let answer = app
            .contracts
            .receive(&pid, call, (app.clock)())
            .await
            .map_err(|error| with_pids(&message.value().pids, error))?;
        acknowledged("ContractNegotiation", &answer)
    })
    .await
}

async fn negotiation_state(State(app): State<Arc<App>>, Path(path_pid): Path<String>, request: Request) -> Response {
    verified(&app, request, Family::Negotiation, |app, verified, _| async move {
        app.contracts.spend(&verified).await?;
        let record = app.contracts.get_for(&pid(&path_pid)?, &verified.sender().did).await?;
        let body = message::acknowledgement("ContractNegotiation", &record.core.pids(), &record.core.state_name());
        Ok(Reply::new(StatusCode::OK, body))
    })
    .await
}

async fn transfer_open(State(app): State<Arc<App>>, request: Request) -> Response {
    verified(&app, request, Family::Transfer, |app, verified, parts| async move {
        let message = verified.try_map(transfer_message)?;
        let call = transfer::Call {
            message: &message,
            receipt: None,
            url: &advertised(&app, &parts),
        };
        let answer = app
            .transfers
            .open(call, (app.clock)())
            .await
            .map_err(|error| with_pids(&message.value().pids, error))?;
        acknowledged("TransferProcess", &answer)
    })
    .await
}

async fn transfer(State(app): State<Arc<App>>, Path(path_pid): Path<String>, request: Request) -> Response {
    verified(&app, request, Family::Transfer, |app, verified, parts| async move {
        let pid = pid(&path_pid)?;
        let message = verified.try_map(transfer_message)?;
        fits_path(parts.uri.path(), transfer_path(&message.value().message))?;
        let call = transfer::Call {
            message: &message,
            receipt: header(&parts.headers, RECEIPT_HEADER),
            url: &advertised(&app, &parts),
        };
        let answer = app
            .transfers
            .receive(&pid, call, (app.clock)())
            .await
            .map_err(|error| with_pids(&message.value().pids, error))?;
        acknowledged("TransferProcess", &answer)
    })
    .await
}

async fn transfer_state(State(app): State<Arc<App>>, Path(path_pid): Path<String>, request: Request) -> Response {
    verified(&app, request, Family::Transfer, |app, verified, _| async move {
        app.transfers.spend(&verified).await?;
        let record = app.transfers.get_for(&pid(&path_pid)?, &verified.sender().did).await?;
        let body = message::acknowledgement("TransferProcess", &record.core.pids(), &record.core.state_name());
        Ok(Reply::new(StatusCode::OK, body))
    })
    .await
}
