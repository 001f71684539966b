//! What every handler takes and gives: paths, queries and bodies that are wrong become a refusal of one shape before a handler runs, and
//! answers are typed values, so that the OpenAPI document can say what they look like.

use crate::{
    dsp::json,
    http::{App, Limits, problem::Problem, read_body},
};
use axum::{
    extract::{FromRequest, FromRequestParts, Request, path::ErrorKind, rejection::PathRejection},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts};
use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use std::sync::Arc;
use utoipa::ToSchema;

/// Largest body of a management request: an import of consents.
const MAX_BODY: usize = 64 * 1024 * 1024;

/// What handlers return.
pub(super) type Outcome<T> = Result<Reply<T>, Problem>;

/// An answer in JSON.
pub(super) struct Reply<T>(StatusCode, T);

/// The ordinary answer.
pub(super) fn ok<T>(body: T) -> Outcome<T> {
    Ok(Reply(StatusCode::OK, body))
}

/// The answer after something was made.
pub(super) fn created<T>(body: T) -> Outcome<T> {
    Ok(Reply(StatusCode::CREATED, body))
}

impl<T: Serialize> IntoResponse for Reply<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.1) {
            Ok(bytes) => written(self.0, bytes),
            Err(error) => Problem::internal(&error).into_response(),
        }
    }
}

/// A refusal.
#[derive(Serialize, ToSchema)]
pub(super) struct Refusal {
    error: RefusalDetails,
}

/// Why a request was refused.
#[derive(Serialize, ToSchema)]
struct RefusalDetails {
    /// A stable code.
    code: &'static str,
    /// One sentence for people.
    message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    hint: Option<&'static str>,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status;
        let error = RefusalDetails {
            code: self.code,
            message: self.message,
            hint: self.hint,
        };
        // Strings alone: nothing in them can fail to be written.
        written(status, serde_json::to_vec(&Refusal { error }).unwrap_or_default())
    }
}

/// A JSON answer from its bytes.
pub(super) fn written(status: StatusCode, body: Vec<u8>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// The variable segments of the path.
pub(super) struct Path<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let rejection = match axum::extract::Path::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => return Ok(Self(value)),
            Err(rejection) => rejection,
        };
        let PathRejection::FailedToDeserializePathParams(failed) = rejection else {
            return Err(Problem::internal(&rejection));
        };
        Err(match failed.kind() {
            ErrorKind::InvalidUtf8InPathParam { .. } => Problem::bad_request("invalid", failed.body_text()),
            ErrorKind::WrongNumberOfParameters { .. } | ErrorKind::UnsupportedType { .. } => Problem::internal(&failed),
            _ => Problem::not_found("resource of the management API"),
        })
    }
}

/// The query.
pub(super) struct Query<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Query::from_request_parts(parts, state).await {
            Ok(axum::extract::Query(value)) => Ok(Self(value)),
            Err(rejection) => Err(Problem::bad_request("invalid", rejection.body_text())),
        }
    }
}

/// The body; nothing at all counts as `{}`.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Arc<App>> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let bytes = read(app, body).await?;
        if bytes.is_empty() {
            return parse(b"{}").map(Self);
        }
        expect_json(&parts.headers)?;
        parse(&bytes).map(Self)
    }
}

/// A member of a body that is an object, where there is one: whatever a command makes of it, nothing else is taken.
pub(super) fn object<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Ok(Option::<Map<String, Value>>::deserialize(deserializer)?.map(Value::Object))
}

/// Reads the whole body of a request.
pub(super) async fn read(app: &App, body: axum::body::Body) -> Result<Bytes, Problem> {
    let limits = Limits {
        body_bytes: MAX_BODY,
        ..app.limits.clone()
    };
    read_body(body, &limits).await
}

/// A body that is said to be something else is not read as JSON.
fn expect_json(headers: &HeaderMap) -> Result<(), Problem> {
    let Some(named) = headers.get(header::CONTENT_TYPE) else {
        return Ok(());
    };
    let essence = named
        .to_str()
        .ok()
        .and_then(|text| text.split(';').next())
        .unwrap_or_default();
    if essence.trim().eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "content-type",
        "the body is said to be something else than JSON",
    )
    .hint("send it with the header Content-Type: application/json"))
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let limits = json::Limits {
        bytes: MAX_BODY,
        ..json::Limits::MESSAGE
    };
    let invalid = |error: &dyn std::fmt::Display| {
        Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid",
            format!("the request is not what is expected here: {error}"),
        )
    };
    let value = json::parse_within(bytes, limits).map_err(|error| invalid(&error))?;
    serde_json::from_value(value).map_err(|error| invalid(&error))
}

/// An id from the path; what cannot be one names nothing.
pub(super) fn id<T: std::str::FromStr>(text: &str, what: &str) -> Result<T, Problem> {
    text.parse().map_err(|_| Problem::not_found(what))
}
