//! What every handler takes and gives: paths, queries and bodies that are wrong become a refusal of one shape before a handler runs, and
//! answers are typed values, so that the OpenAPI document can say what they look like.

use crate::{
    dsp::json,
    http::{App, Limits, language, problem::Problem, read_body},
};
use axum::{
    extract::{FromRequest, FromRequestParts, Request, path::ErrorKind, rejection::PathRejection},
    middleware::Next,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts};
use policy::{Fix, Language, Reason};
use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use std::{convert::Infallible, sync::Arc};
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
    /// A stable code. Of what a policy refuses it is that of the first reason (`policy/PROFILE.md`), such as `POL-05`.
    code: &'static str,
    /// For people. What a policy refuses, and what is refused about a consent, is told in the language that `Accept-Language` asks for: of a
    /// policy one line for each reason.
    message: String,
    /// What is refused about a consent, in English with all details, where the message is in another language.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    detail: Option<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    hint: Option<&'static str>,
    /// Who can mend what a policy refuses, or what is refused about a consent: `learner`, `guardian`, `consumer`, `provider`, `operator` (of
    /// this connector) or `nobody`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    fix: Option<&'static str>,
    /// What a policy has against it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<PolicyReason>,
}

/// One reason why a policy refuses something.
#[derive(Serialize, ToSchema)]
struct PolicyReason {
    /// The stable code.
    code: &'static str,
    /// JSON pointer into the policy; empty for the whole.
    pointer: String,
    /// What the code means, in the language of the answer.
    text: &'static str,
    /// What is wrong in this place, in English.
    detail: String,
    /// Who can mend it: `learner`, `consumer`, `provider` or `nobody`.
    fix: &'static str,
}

impl Problem {
    fn written(&self, language: Language) -> Response {
        let reason = |reason: &Reason| PolicyReason {
            code: reason.code.as_str(),
            pointer: reason.pointer.clone(),
            text: reason.code.text(language),
            detail: reason.text.clone(),
            fix: self.fix_of(reason).as_str(),
        };
        let error = RefusalDetails {
            code: self.code,
            message: self.told(language),
            detail: self
                .said
                .as_ref()
                .filter(|_| language != Language::English)
                .map(|_| self.message.clone()),
            hint: self.hint,
            fix: self.fix().map(Fix::as_str),
            reasons: self.reasons.iter().map(reason).collect(),
        };
        // Strings alone: nothing in them can fail to be written.
        written(self.status, serde_json::to_vec(&Refusal { error }).unwrap_or_default())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.written(Language::English);
        if self.is_translated() {
            response.extensions_mut().insert(self);
        }
        response
    }
}

/// Tells what a policy refuses, and what is refused about a consent, in the caller's language.
pub(super) async fn in_language(request: Request, next: Next) -> Response {
    let language = language::preferred(request.headers());
    let mut response = next.run(request).await;
    let Some(problem) = response.extensions_mut().remove::<Problem>() else {
        return response;
    };
    let mut told = problem.written(language);
    let tag = HeaderValue::from_static(language.tag());
    told.headers_mut().insert(header::CONTENT_LANGUAGE, tag);
    told
}

/// The language in which the caller wants to be told something.
pub(super) struct In(pub(super) Language);

impl<S: Sync> FromRequestParts<S> for In {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(language::preferred(&parts.headers)))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{consent::ConsentError, transfer::TransferError};
    use axum::{Router, body::Body as AxumBody, middleware, routing::get};
    use http_body_util::BodyExt;
    use policy::Code;
    use tower::ServiceExt;

    async fn asked<E: Into<Problem> + 'static>(refuse: fn() -> E, language: Option<&str>) -> (HeaderMap, Value) {
        let refuse = move || async move { Into::<Problem>::into(refuse()) };
        let routes = Router::new()
            .route("/", get::<_, _, ()>(refuse))
            .route_layer(middleware::from_fn(in_language));
        let mut request = Request::builder().uri("/");
        if let Some(language) = language {
            request = request.header(header::ACCEPT_LANGUAGE, language);
        }
        let response = routes.oneshot(request.body(AxumBody::empty()).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        (parts.headers, serde_json::from_slice(&bytes).unwrap())
    }

    const LANGUAGES: [(Option<&str>, Language); 3] = [
        (None, Language::English),
        (Some("fr-FR,fr;q=0.9,en;q=0.5"), Language::French),
        (Some("de"), Language::English),
    ];

    #[tokio::test]
    async fn a_policys_refusal_is_told_in_the_callers_language_with_who_can_mend_it() {
        for (wanted, language) in LANGUAGES {
            let (headers, body) = asked(|| TransferError::UsedUp("all the time was used"), wanted).await;
            assert_eq!(headers[header::CONTENT_LANGUAGE], language.tag());
            let error = &body["error"];
            assert_eq!((&error["code"], &error["fix"]), (&"SYS-01".into(), &"nobody".into()));
            assert_eq!(error["reasons"][0]["text"], Code::CountExhausted.text(language));
            assert!(
                error["message"]
                    .as_str()
                    .unwrap()
                    .contains(Code::CountExhausted.text(language))
            );
        }
    }

    #[tokio::test]
    async fn what_is_refused_about_a_consent_is_told_in_the_callers_language_with_who_can_mend_it() {
        for (wanted, language) in LANGUAGES {
            let (headers, body) = asked(|| ConsentError::TooManyRequests(5), wanted).await;
            assert_eq!(headers[header::CONTENT_LANGUAGE], language.tag());
            let error = &body["error"];
            let code = ("too-many-requests".into(), "learner".into());
            assert_eq!((&error["code"], &error["fix"]), (&code.0, &code.1));
            let message = error["message"].as_str().unwrap();
            let (mine, other) = match language {
                Language::French => ("attendent une réponse", "wait for an answer"),
                Language::English => ("wait for an answer", "attendent une réponse"),
            };
            assert!(message.contains(mine) && !message.contains(other), "{message}");
            assert!(message.contains(Fix::Learner.text(language)), "{message}");
            let detail = ConsentError::TooManyRequests(5).to_string();
            match language {
                Language::French => assert_eq!(error["detail"], detail),
                Language::English => assert_eq!(error.get("detail"), None),
            }
        }
    }
}
