//! What anyone may read without a signature: the connector's own credentials, and the files of a governance authority that this daemon
//! publishes.

use super::{App, problem::Problem};
use axum::{
    body::Body,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use http::{HeaderValue, Method, StatusCode, header};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// Where the connector presents its credentials.
pub const PRESENTATION: &str = "/.well-known/membership.jwt";

/// Largest file that is published, in bytes.
const MAX_FILE: u64 = 256 * 1024;

/// Our credentials, in a presentation for anyone.
pub(super) async fn presentation(State(app): State<Arc<App>>) -> Response {
    let Some(memberships) = app.trust.memberships() else {
        return Problem::not_found("presentation").into_response();
    };
    match memberships.present(&app.trust.signer(), (app.clock)()).await {
        Ok(Some(token)) => with_type(token.into(), "application/vp+jwt"),
        Ok(None) => Problem::not_found("presentation").into_response(),
        Err(_) => Problem::unavailable("signer-failed", "nothing can be signed now; try again later").into_response(),
    }
}

/// Whatever no other route knows: a file of the authority, or nothing.
pub(super) async fn file(State(app): State<Arc<App>>, request: Request) -> Response {
    let found = match *request.method() {
        Method::GET | Method::HEAD => place(&app, request.uri().path()),
        _ => None,
    };
    match found {
        Some((path, kind)) => match read(&path).await {
            Some(content) => with_type(content, kind),
            None => Problem::not_found("file").into_response(),
        },
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// The file behind a path, and its media type. Of a folder only what the authority puts there: numbered status lists.
fn place(app: &App, path: &str) -> Option<(PathBuf, &'static str)> {
    if let Some(file) = app.authority.get(path) {
        let kind = match path.ends_with(".json") {
            true => "application/did+json",
            false => "application/jose",
        };
        return Some((file.clone(), kind));
    }
    let (folder, name) = path.rsplit_once('/')?;
    let number = name.strip_suffix(".jwt")?;
    let numbered = !number.is_empty() && number.len() < 8 && number.bytes().all(|byte| byte.is_ascii_digit());
    let folder = app.authority.get(folder).filter(|_| numbered)?;
    Some((folder.join(name), "application/vc+jwt"))
}

async fn read(path: &Path) -> Option<Body> {
    let is_file = |metadata: std::fs::Metadata| metadata.is_file() && metadata.len() <= MAX_FILE;
    if !tokio::fs::metadata(path).await.is_ok_and(is_file) {
        return None;
    }
    tokio::fs::read(path).await.ok().map(Body::from)
}

fn with_type(body: Body, kind: &'static str) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    // A list that was replaced must not live on in a cache on the way.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}
