//! The client of a daemon's management API on this machine: over its Unix socket, or over loopback with a token.

use super::NetError;
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http::{Method, StatusCode};
use serde_json::Value;
use std::path::PathBuf;

/// Where a daemon's management API listens.
#[derive(Clone, Debug)]
pub enum Endpoint {
    /// A Unix socket; its file permissions decide who may use it.
    Socket(PathBuf),
    /// A loopback port and the token to present.
    Loopback {
        /// `127.0.0.1:9191`
        address: String,
        /// The content of the token file.
        token: String,
    },
}

/// A connection to one daemon.
#[derive(Clone)]
pub struct Local {
    client: reqwest::Client,
    base: String,
    token: Option<String>,
    place: String,
}

impl Local {
    /// Prepares the client; nothing is contacted yet.
    pub fn new(endpoint: Endpoint) -> Result<Self, NetError> {
        let builder = reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only([])
            .redirect(reqwest::redirect::Policy::none());
        let (builder, base, token, place) = match endpoint {
            Endpoint::Socket(path) => {
                let place = path.display().to_string();
                (builder.unix_socket(path), "http://connector".to_owned(), None, place)
            }
            Endpoint::Loopback { address, token } => (builder, format!("http://{address}"), Some(token), address),
        };
        let client = builder.build().map_err(|error| NetError::Setup(error.to_string()))?;
        Ok(Self {
            client,
            base,
            token,
            place,
        })
    }

    async fn start(
        &self,
        method: Method,
        path: &str,
        header: Option<(&'static str, String)>,
        body: Option<&Value>,
    ) -> Result<reqwest::Response, NetError> {
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        request.send().await.map_err(|error| self.lost(&error))
    }

    fn lost(&self, error: &reqwest::Error) -> NetError {
        super::unreachable(self.place.clone(), error)
    }

    /// Calls the API and reads a JSON answer (`null` when there is none).
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(StatusCode, Value), NetError> {
        let response = self.start(method, path, None, body).await?;
        let status = response.status();
        let bytes = response.bytes().await.map_err(|error| self.lost(&error))?;
        Ok((status, serde_json::from_slice(&bytes).unwrap_or(Value::Null)))
    }

    /// Calls the API and hands out the answer's body as it arrives.
    pub async fn open(&self, path: &str) -> Result<(StatusCode, impl Body + use<>), NetError> {
        self.follow(path, None).await
    }

    /// The same for a feed of events, from the one after number `since` on.
    pub async fn follow(&self, path: &str, since: Option<u64>) -> Result<(StatusCode, impl Body + use<>), NetError> {
        let header = since.map(|since| ("last-event-id", since.to_string()));
        let response = self.start(Method::GET, path, header, None).await?;
        let (status, place) = (response.status(), self.place.clone());
        let body = response
            .bytes_stream()
            .map(move |chunk| chunk.map_err(|error| super::unreachable(place.clone(), &error)));
        Ok((status, Box::pin(body)))
    }
}

/// An answer's body as it arrives.
pub trait Body: Stream<Item = Result<Bytes, NetError>> + Send + Unpin {}

impl<S: Stream<Item = Result<Bytes, NetError>> + Send + Unpin> Body for S {}
