//! The only outbound HTTP client: time-outs, size limits, no redirects, and one guard against requests to places a peer must not
//! make us reach (SSRF). Knows nothing of messages or signatures.

pub mod guard;
pub mod local;

pub use guard::Reach;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http::{HeaderMap, Method, StatusCode};
use std::{path::PathBuf, sync::OnceLock, time::Duration};
use url::Url;

/// What the operator chooses for outgoing connections.
#[derive(Clone, Debug)]
pub struct Settings {
    /// PEM files of certificate authorities to trust besides or instead of the system's.
    pub trusted_ca: Vec<PathBuf>,
    /// Also trust the system's certificate authorities.
    pub system_roots: bool,
    /// Longest wait for a connection.
    pub connect_timeout: Duration,
    /// Longest wait for a whole answer; for streams, the longest silence.
    pub timeout: Duration,
    /// Largest answer that is read into memory, in bytes.
    pub max_response: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            trusted_ca: Vec::new(),
            system_roots: true,
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(20),
            max_response: 4 * 1024 * 1024,
        }
    }
}

/// Why a request brought no answer.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// The address is one that this client never contacts for this peer.
    #[error("{url}: {why}")]
    Forbidden {
        /// The URL.
        url: String,
        /// The rule that it breaks.
        why: guard::Violation,
    },
    /// No connection, no answer in time, or a broken one.
    #[error("no answer from {host}: {cause}")]
    Unreachable {
        /// The host.
        host: String,
        /// The cause, innermost first.
        cause: String,
    },
    /// The answer is larger than the limit.
    #[error("the answer from {host} is larger than {limit} bytes")]
    TooLarge {
        /// The host.
        host: String,
        /// The limit in bytes.
        limit: usize,
    },
    /// The client could not be built from its settings.
    #[error("the outgoing TLS client cannot be built: {0}")]
    Setup(String),
}

/// A request that is wholly in memory.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The absolute URL.
    pub url: Url,
    /// Headers to add.
    pub headers: HeaderMap,
    /// The body; empty for none.
    pub body: Bytes,
    /// Which addresses are allowed.
    pub reach: Reach,
}

/// An answer that is wholly in memory.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, identity-coded.
    pub body: Bytes,
}

/// The client. Cheap to share; connections are kept alive.
pub struct Client {
    settings: Settings,
    public: OnceLock<reqwest::Client>,
    private: OnceLock<reqwest::Client>,
}

impl Client {
    /// A client; TLS is set up at first use.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            public: OnceLock::new(),
            private: OnceLock::new(),
        }
    }

    /// Checks that the settings can be used, so that a wrong file is found at start and not at the first message.
    pub fn check(&self) -> Result<(), NetError> {
        self.client(Reach::PrivateAllowed).map(|_| ())
    }

    fn client(&self, reach: Reach) -> Result<&reqwest::Client, NetError> {
        let slot = match reach {
            Reach::PublicOnly => &self.public,
            Reach::PrivateAllowed => &self.private,
        };
        match slot.get() {
            Some(client) => Ok(client),
            None => {
                let built = build(&self.settings, reach)?;
                Ok(slot.get_or_init(|| built))
            }
        }
    }

    async fn start(&self, request: Request) -> Result<reqwest::Response, NetError> {
        guard::check(&request.url, request.reach).map_err(|why| NetError::Forbidden {
            url: request.url.to_string(),
            why,
        })?;
        let host = host(&request.url);
        self.client(request.reach)?
            .request(request.method, request.url)
            .headers(request.headers)
            .body(request.body)
            .send()
            .await
            .map_err(|error| unreachable(host, &error))
    }

    /// Sends a request and reads the whole answer, up to the size limit and within the time-out.
    pub async fn send(&self, request: Request) -> Result<Response, NetError> {
        let host = host(&request.url);
        let late = NetError::Unreachable {
            host: host.clone(),
            cause: "no complete answer in time".into(),
        };
        let whole = async {
            let response = self.start(request).await?;
            let (status, headers) = (response.status(), response.headers().clone());
            let mut body = Vec::new();
            let mut chunks = response.bytes_stream();
            while let Some(chunk) = chunks.next().await {
                let chunk = chunk.map_err(|error| unreachable(host.clone(), &error))?;
                if body.len() + chunk.len() > self.settings.max_response {
                    return Err(NetError::TooLarge {
                        host: host.clone(),
                        limit: self.settings.max_response,
                    });
                }
                body.extend_from_slice(&chunk);
            }
            Ok(Response {
                status,
                headers,
                body: body.into(),
            })
        };
        tokio::time::timeout(self.settings.timeout, whole)
            .await
            .unwrap_or(Err(late))
    }

    /// Sends a request and hands out the answer's body as it arrives. A silence longer than the time-out ends it with an error.
    pub async fn open(
        &self,
        request: Request,
    ) -> Result<
        (
            StatusCode,
            HeaderMap,
            impl Stream<Item = Result<Bytes, NetError>> + Send + Unpin + use<>,
        ),
        NetError,
    > {
        let host = host(&request.url);
        let late = NetError::Unreachable {
            host: host.clone(),
            cause: "no answer in time".into(),
        };
        let response = tokio::time::timeout(self.settings.timeout, self.start(request))
            .await
            .unwrap_or(Err(late))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response
            .bytes_stream()
            .map(move |chunk| chunk.map_err(|error| unreachable(host.clone(), &error)));
        Ok((status, headers, Box::pin(body)))
    }
}

fn build(settings: &Settings, reach: Reach) -> Result<reqwest::Client, NetError> {
    let setup = |error: &dyn std::fmt::Display| NetError::Setup(error.to_string());
    let mut roots = Vec::new();
    for path in &settings.trusted_ca {
        let pem = std::fs::read(path).map_err(|error| NetError::Setup(format!("{}: {error}", path.display())))?;
        let found = reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| setup(&error))?;
        if found.is_empty() {
            return Err(NetError::Setup(format!("{}: holds no certificate", path.display())));
        }
        roots.extend(found);
    }
    let builder = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(settings.connect_timeout)
        .read_timeout(settings.timeout)
        .pool_idle_timeout(Duration::from_secs(60))
        .tcp_nodelay(true)
        .http2_initial_stream_window_size(4 * 1024 * 1024)
        .http2_initial_connection_window_size(8 * 1024 * 1024)
        .dns_resolver(guard::Resolver(reach));
    let builder = if settings.system_roots {
        builder.tls_certs_merge(roots)
    } else {
        builder.tls_certs_only(roots)
    };
    builder.build().map_err(|error| setup(&error))
}

fn host(url: &Url) -> String {
    match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (Some(host), None) => host.to_owned(),
        (None, _) => url.to_string(),
    }
}

fn unreachable(host: String, error: &reqwest::Error) -> NetError {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    NetError::Unreachable {
        host,
        cause: cause.to_string(),
    }
}
