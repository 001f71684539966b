//! The only outbound HTTP client: time-outs, size limits, no redirects, and one guard against requests to places a peer must not
//! make us reach (SSRF). Knows nothing of messages or signatures.

pub mod guard;
pub mod local;

pub use guard::Reach;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http::{HeaderMap, Method, StatusCode};
use std::{
    path::PathBuf,
    pin::Pin,
    sync::OnceLock,
    task::{Context, Poll},
    time::Duration,
};
use tokio_util::sync::{CancellationToken, DropGuard};
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

/// A `POST` whose body is made while it is sent.
pub struct Upload<B> {
    /// The absolute URL.
    pub url: Url,
    /// Headers to add.
    pub headers: HeaderMap,
    /// The body.
    pub body: B,
    /// Which addresses are allowed.
    pub reach: Reach,
}

/// The client. Cheap to share; connections are kept alive.
pub struct Client {
    settings: Settings,
    /// By [`Kind`].
    built: [OnceLock<reqwest::Client>; 4],
}

/// What a connection is for.
#[derive(Clone, Copy)]
struct Kind {
    /// It may lead to private addresses.
    private: bool,
    /// Its request may take longer to send than any answer may take to come.
    upload: bool,
}

impl Client {
    /// A client; TLS is set up at first use.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            built: Default::default(),
        }
    }

    /// Checks that the settings can be used, so that a wrong file is found at start and not at the first message.
    pub fn check(&self) -> Result<(), NetError> {
        let kind = Kind {
            private: true,
            upload: false,
        };
        self.client(kind).map(|_| ())
    }

    fn client(&self, kind: Kind) -> Result<&reqwest::Client, NetError> {
        let [public, private, public_upload, private_upload] = &self.built;
        let slot = match (kind.upload, kind.private) {
            (false, false) => public,
            (false, true) => private,
            (true, false) => public_upload,
            (true, true) => private_upload,
        };
        match slot.get() {
            Some(client) => Ok(client),
            None => {
                let built = build(&self.settings, kind)?;
                Ok(slot.get_or_init(|| built))
            }
        }
    }

    async fn start(&self, request: Request) -> Result<reqwest::Response, NetError> {
        allowed(&request.url, request.reach)?;
        let host = host(&request.url);
        let kind = Kind {
            private: request.reach.private,
            upload: false,
        };
        self.client(kind)?
            .request(request.method, request.url)
            .headers(request.headers)
            .body(request.body)
            .send()
            .await
            .map_err(|error| unreachable(host, &error))
    }

    /// Sends a request and reads the whole answer, up to the size limit and within the time-out.
    pub async fn send(&self, request: Request) -> Result<Response, NetError> {
        self.send_within(request, self.settings.max_response).await
    }

    /// As [`Client::send`], for an answer that may be `limit` bytes long at most.
    pub async fn send_within(&self, request: Request, limit: usize) -> Result<Response, NetError> {
        let host = host(&request.url);
        let whole = async { read(host.clone(), self.start(request).await?, limit).await };
        tokio::time::timeout(self.settings.timeout, whole)
            .await
            .unwrap_or_else(|_| Err(late(host.clone())))
    }

    /// Sends a body for as long as it takes, and reads the whole answer within the time-out that begins when all of it is sent.
    pub async fn upload<B>(&self, upload: Upload<B>) -> Result<Response, NetError>
    where
        B: http_body::Body<Data = Bytes> + Send + Sync + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        allowed(&upload.url, upload.reach)?;
        let host = host(&upload.url);
        let kind = Kind {
            private: upload.reach.private,
            upload: true,
        };
        let sent = CancellationToken::new();
        let body = Watched {
            body: upload.body,
            _sent: sent.clone().drop_guard(),
        };
        let request = self
            .client(kind)?
            .post(upload.url)
            .headers(upload.headers)
            .body(reqwest::Body::wrap(body));
        let answer = async {
            let response = request
                .send()
                .await
                .map_err(|error| unreachable(host.clone(), &error))?;
            read(host.clone(), response, self.settings.max_response).await
        };
        let late = async {
            sent.cancelled().await;
            tokio::time::sleep(self.settings.timeout).await;
            late(host.clone())
        };
        tokio::select! {
            answer = answer => answer,
            late = late => Err(late),
        }
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
        let response = tokio::time::timeout(self.settings.timeout, self.start(request))
            .await
            .unwrap_or_else(|_| Err(late(host.clone())))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response
            .bytes_stream()
            .map(move |chunk| chunk.map_err(|error| unreachable(host.clone(), &error)));
        Ok((status, headers, Box::pin(body)))
    }
}

/// Reads an answer of at most `limit` bytes, unpacked.
async fn read(host: String, response: reqwest::Response, limit: usize) -> Result<Response, NetError> {
    let (status, headers) = (response.status(), response.headers().clone());
    let mut body = Vec::new();
    let mut chunks = response.bytes_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| unreachable(host.clone(), &error))?;
        if body.len() + chunk.len() > limit {
            return Err(NetError::TooLarge { host, limit });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Response {
        status,
        headers,
        body: body.into(),
    })
}

/// A body that tells when the client has let go of it: sent, or given up.
struct Watched<B> {
    body: B,
    _sent: DropGuard,
}

impl<B: http_body::Body + Unpin> http_body::Body for Watched<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }
}

fn allowed(url: &Url, reach: Reach) -> Result<(), NetError> {
    guard::check(url, reach).map_err(|why| NetError::Forbidden {
        url: url.to_string(),
        why,
    })
}

fn late(host: String) -> NetError {
    NetError::Unreachable {
        host,
        cause: "no complete answer in time".into(),
    }
}

fn build(settings: &Settings, kind: Kind) -> Result<reqwest::Client, NetError> {
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
        .pool_idle_timeout(Duration::from_secs(60))
        .tcp_nodelay(true)
        .http2_initial_stream_window_size(4 * 1024 * 1024)
        .http2_initial_connection_window_size(8 * 1024 * 1024)
        .dns_resolver(guard::Resolver { private: kind.private });
    let builder = if kind.upload {
        builder
    } else {
        builder.read_timeout(settings.timeout)
    };
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
