//! The management API: what operators and their programs do with a running daemon. JSON over a Unix socket, or over loopback with a token.
//!
//! A route exists by being listed in `table`, which makes its entry in the OpenAPI document in the same stroke.

mod bases;
mod consents;
mod document;
mod events;
mod evidence;
mod exchange;
mod idempotency;
mod learners;
mod log;
mod negotiations;
mod notices;
mod offers;
mod peers;
mod process;
mod recipients;
mod reply;
mod restrictions;
mod status;
mod transfers;
mod uses;

pub use idempotency::sweep;

use super::{App, problem::Problem};
use crate::{dsp::message::Explanation, jose};
use axum::{
    Router,
    extract::{Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use http::{StatusCode, header};
use idempotency::Keys;
use serde::Deserialize;
use serde_json::Value;
use std::sync::{Arc, LazyLock};
use utoipa::{ToSchema, openapi::OpenApi};
use utoipa_axum::{
    router::{OpenApiRouter, UtoipaMethodRouter},
    routes,
};

type Ctx = State<Arc<App>>;

/// Every route with its description, and the schemas of what it takes and answers.
fn table() -> Vec<UtoipaMethodRouter<Arc<App>>> {
    vec![
        routes!(openapi),
        routes!(status::status),
        routes!(peers::peers),
        routes!(peers::unpin),
        routes!(offers::datasets, offers::dataset_add),
        routes!(offers::dataset_show, offers::dataset_remove),
        routes!(offers::catalog),
        routes!(negotiations::negotiations, negotiations::negotiate),
        routes!(negotiations::negotiation),
        routes!(negotiations::negotiation_wait),
        routes!(negotiations::negotiation_command),
        routes!(negotiations::propose),
        routes!(negotiations::agreements),
        routes!(negotiations::agreement),
        routes!(negotiations::payment, negotiations::payment_record),
        routes!(transfers::transfers, transfers::transfer_start),
        routes!(transfers::transfer_show),
        routes!(transfers::transfer_progress),
        routes!(transfers::transfer_records),
        routes!(transfers::transfer_command),
        routes!(events::events),
        routes!(consents::consents, consents::consent_grant),
        routes!(consents::consent_withdraw),
        routes!(consents::consent_forget),
        routes!(consents::consent),
        routes!(consents::consent_receipts),
        routes!(consents::consent_event),
        routes!(consents::share),
        routes!(consents::consent_request),
        routes!(notices::notices, notices::notice_add),
        routes!(notices::notice_replace),
        routes!(bases::bases, bases::basis_declare),
        routes!(bases::basis_end),
        routes!(bases::objections, bases::object),
        routes!(restrictions::restrictions, restrictions::restrict),
        routes!(restrictions::lift),
        routes!(learners::standing, learners::standing_set),
        routes!(learners::recipients),
        routes!(learners::pseudonyms),
        routes!(exchange::told),
        routes!(exchange::ask),
        routes!(exchange::asked),
        routes!(exchange::received),
        routes!(exchange::retractions),
        routes!(exchange::disclosures),
        routes!(exchange::links, exchange::link_create),
        routes!(exchange::link_redeem),
        routes!(exchange::link_confirm),
        routes!(exchange::link_remove),
        routes!(log::audit_entries),
        routes!(log::audit_proof),
        routes!(log::audit_checkpoint),
        routes!(log::audit_documents),
        routes!(log::audit_verify),
        routes!(log::audit_bundle),
        routes!(evidence::evidence),
    ]
}

fn described() -> (Router<Arc<App>>, OpenApi) {
    let begun = OpenApiRouter::with_openapi(document::begin());
    table().into_iter().fold(begun, OpenApiRouter::routes).split_for_parts()
}

/// The OpenAPI document of this API.
pub fn document() -> OpenApi {
    document::complete(described().1)
}

/// This document
#[utoipa::path(get, path = "/v1/openapi.json", tag = "status", responses((status = OK, body = Value)))]
async fn openapi() -> Response {
    static DOCUMENT: LazyLock<Vec<u8>> = LazyLock::new(|| serde_json::to_vec(&document()).unwrap_or_default());
    reply::written(StatusCode::OK, DOCUMENT.clone())
}

/// The routes; with a token's hash when they are served on a port.
pub fn routes(app: Arc<App>, token: Option<jose::Digest>) -> Router {
    let (routes, _) = described();
    let keys = Arc::new(Keys::new(app.clone()));
    let routes = routes
        // Below the keys: what is repeated is the answer that was given, in its language.
        .route_layer(middleware::from_fn(reply::in_language))
        .route_layer(middleware::from_fn(move |request, next| {
            keys.clone().once(request, next)
        }))
        .fallback(|| async { Problem::not_found("resource of the management API") })
        .method_not_allowed_fallback(|| async {
            Problem::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "this resource does not take this method; see the header Allow",
            )
        })
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
        _ => Problem::new(
            StatusCode::UNAUTHORIZED,
            "token",
            "the management token is missing or wrong",
        )
        .into_response(),
    }
}

/// What goes with a step that the operator takes.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Command {
    /// Why; the peer reads it.
    #[serde(default)]
    reason: Option<String>,
    /// Terms instead of those on the table.
    #[serde(default, deserialize_with = "reply::object")]
    #[schema(value_type = Option<Object>)]
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
