//! The client of a daemon's management API on this machine: over its Unix socket, or over loopback with a token.

use super::NetError;
use crate::jose;
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
    language: Option<&'static str>,
}

impl Local {
    /// Asks to be told refusals in this language (BCP 47).
    pub fn in_language(self, tag: &'static str) -> Self {
        Self {
            language: Some(tag),
            ..self
        }
    }

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
            language: None,
        })
    }

    async fn start(
        &self,
        method: Method,
        path: &str,
        header: Option<(&'static str, &str)>,
        body: Option<&Value>,
    ) -> reqwest::Result<reqwest::Response> {
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        if let Some(language) = self.language {
            request = request.header("accept-language", language);
        }
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        request.send().await
    }

    fn lost(&self, error: &reqwest::Error) -> NetError {
        super::unreachable(self.place.clone(), error)
    }

    /// Calls the API and reads a JSON answer (`null` when there is none). What changes something carries a fresh key: when the connection
    /// breaks before an answer has come, the daemon may have carried it out, and with the key it is safe to ask once more.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(StatusCode, Value), NetError> {
        let key = match method.is_safe() {
            true => None,
            false => Some(jose::random::token().map_err(|error| NetError::Setup(error.to_string()))?),
        };
        let key = key.as_deref().map(|key| ("idempotency-key", key));
        match self.ask(method.clone(), path, key, body).await {
            Err(error) if key.is_some() && !error.is_connect() && !error.is_builder() => {
                self.ask(method, path, key, body).await
            }
            other => other,
        }
        .map_err(|error| self.lost(&error))
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        header: Option<(&'static str, &str)>,
        body: Option<&Value>,
    ) -> reqwest::Result<(StatusCode, Value)> {
        let response = self.start(method, path, header, body).await?;
        let status = response.status();
        let bytes = response.bytes().await?;
        Ok((status, serde_json::from_slice(&bytes).unwrap_or(Value::Null)))
    }

    /// Calls the API and hands out the answer's body as it arrives.
    pub async fn open(&self, path: &str) -> Result<(StatusCode, impl Body + use<>), NetError> {
        self.follow(path, None).await
    }

    /// The same for a feed of events, from the one after number `since` on.
    pub async fn follow(&self, path: &str, since: Option<u64>) -> Result<(StatusCode, impl Body + use<>), NetError> {
        let since = since.map(|since| since.to_string());
        let header = since.as_deref().map(|since| ("last-event-id", since));
        let response = self.start(Method::GET, path, header, None).await;
        let response = response.map_err(|error| self.lost(&error))?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// Answers each connection in turn, `None` by hanging up; returns the keys that came.
    async fn daemon(listener: tokio::net::UnixListener, answers: &[Option<&str>]) -> Vec<Option<String>> {
        let mut keys = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.windows(4).any(|four| four == b"\r\n\r\n") {
                assert!(stream.read_buf(&mut request).await.unwrap() > 0);
            }
            let head = String::from_utf8(request).unwrap();
            let key = head.lines().find_map(|line| line.strip_prefix("idempotency-key: "));
            keys.push(key.map(str::to_owned));
            if let Some(answer) = answer {
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    answer.len()
                );
                stream.write_all(format!("{head}{answer}").as_bytes()).await.unwrap();
            }
        }
        keys
    }

    #[tokio::test]
    async fn a_change_is_asked_for_once_more_with_the_same_key_when_the_connection_breaks() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let listener = tokio::net::UnixListener::bind(&path).unwrap();
        let local = Local::new(Endpoint::Socket(path)).unwrap();
        let asking = async {
            assert_eq!(local.call(Method::DELETE, "/a", None).await.unwrap().1, 1);
            assert_eq!(local.call(Method::DELETE, "/a", None).await.unwrap().1, 2);
            assert!(local.call(Method::DELETE, "/a", None).await.is_err());
            assert!(local.call(Method::GET, "/a", None).await.is_err());
        };
        let answers = [None, Some("1"), Some("2"), None, None, None];
        let (keys, ()) = tokio::join!(daemon(listener, &answers), asking);
        let [a, b, c, d, e, f] = keys.try_into().unwrap();
        assert!(a.is_some() && a == b && b != c && c != d && d == e && f.is_none());
    }
}
