//! The evidence of an agreement, to be handed out.

use super::{
    Ctx,
    reply::{Path, Refusal},
};
use crate::{
    evidence::{self, Sources},
    http::problem::Problem,
};
use axum::{body::Body, extract::State, response::Response};
use http::{HeaderValue, header};

/// The evidence of one agreement, as an uncompressed tar
///
/// The agreement is named by its id, or by our id of its negotiation or of a transfer under it.
#[utoipa::path(get, path = "/v1/audit/evidence/{process}", tag = "audit", responses(
    (status = OK, body = String, content_type = "application/x-tar"),
    (status = CONFLICT, body = Refusal, description = "The archive or the log is damaged"),
    (status = PAYLOAD_TOO_LARGE, body = Refusal, description = "There is more of it than is made at once"),
))]
pub(super) async fn evidence(State(app): Ctx, Path(process): Path<String>) -> Result<Response, Problem> {
    let sources = Sources {
        contracts: &app.contracts,
        transfers: &app.transfers,
        consents: &app.consents,
        log: &app.log,
        trust: &app.trust,
    };
    let bundle = evidence::collect(&sources, &process, (app.clock)()).await?;
    let mut response = Response::new(Body::from(bundle));
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-tar"));
    Ok(response)
}
