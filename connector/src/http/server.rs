//! Accept loops: a permit before each connection, time-outs on everything, HTTP/1.1 or HTTP/2 by ALPN (hyper-util's sniffing never times a
//! silent client out), and a drain at the end.

use super::{Connection, Limits, tls::Tls};
use axum::{Router, body::Body, response::Response};
use http::{Request, StatusCode};
use hyper::{body::Incoming, server::conn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::{
    collections::HashMap,
    convert::Infallible,
    io,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
    sync::Semaphore,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

/// Pause after a failed accept (out of file descriptors), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How many connections each address has.
type Visits = Arc<Mutex<HashMap<IpAddr, usize>>>;

/// One connection of one address; counts as long as it lives.
struct Visit(Visits, IpAddr);

impl Visit {
    fn admit(visits: &Visits, from: IpAddr, limit: usize) -> Option<Self> {
        let mut counts = visits.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(from).or_default();
        if *count >= limit {
            return None;
        }
        *count += 1;
        Some(Self(visits.clone(), from))
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.1) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.1);
            }
        }
    }
}

/// Serves the public routes until it is told to stop, then drains. Without `tls` it speaks plain HTTP/1.1: only for loopback.
pub async fn serve_public(
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    routes: Router,
    limits: Limits,
    stop: CancellationToken,
) {
    let (tracker, permits) = (TaskTracker::new(), Arc::new(Semaphore::new(limits.connections)));
    let visits: Visits = Arc::default();
    loop {
        let accepted = tokio::select! {
            accepted = async {
                let permit = permits.clone().acquire_owned().await.map_err(io::Error::other)?;
                listener.accept().await.map(|(stream, from)| (stream, from.ip(), permit))
            } => accepted,
            () = stop.cancelled() => break,
        };
        let (stream, from, permit) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Some(visit) = Visit::admit(&visits, from, limits.connections_per_address) else {
            tracing::debug!(%from, "too many connections from one address");
            continue;
        };
        let (acceptor, routes, limits, stop, handlers) = (
            tls.as_ref().map(|tls| TlsAcceptor::from(tls.current())),
            routes.clone(),
            limits.clone(),
            stop.clone(),
            tracker.clone(),
        );
        tracker.spawn(async move {
            let _held = (permit, visit);
            // Without TCP_NODELAY small answers wait for the peer's delayed acknowledgement.
            let _ = stream.set_nodelay(true);
            let Some(acceptor) = acceptor else {
                return connection(stream, false, routes, &handlers, &limits, &stop).await;
            };
            let Ok(Ok(stream)) = tokio::time::timeout(limits.handshake_timeout, acceptor.accept(stream)).await else {
                return;
            };
            let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            connection(stream, http2, routes, &handlers, &limits, &stop).await;
        });
    }
    drain(tracker, limits.drain).await;
}

/// Serves the management routes on a Unix socket until it is told to stop, then drains.
pub async fn serve_unix(listener: UnixListener, routes: Router, limits: Limits, stop: CancellationToken) {
    let tracker = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((stream, _)) => local(&tracker, stream, &routes, &limits, &stop),
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
    drain(tracker, limits.drain).await;
}

/// Serves the management routes on a loopback port; the routes check the token.
pub async fn serve_loopback(listener: TcpListener, routes: Router, limits: Limits, stop: CancellationToken) {
    let tracker = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((stream, _)) => local(&tracker, stream, &routes, &limits, &stop),
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
    drain(tracker, limits.drain).await;
}

fn local<S>(tracker: &TaskTracker, stream: S, routes: &Router, limits: &Limits, stop: &CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (routes, limits, stop, handlers) = (routes.clone(), limits.clone(), stop.clone(), tracker.clone());
    tracker.spawn(async move { connection(stream, false, routes, &handlers, &limits, &stop).await });
}

async fn drain(tracker: TaskTracker, longest: Duration) {
    tracker.close();
    if tokio::time::timeout(longest, tracker.wait()).await.is_err() {
        tracing::warn!(connections = tracker.len(), "connections were cut after the drain time");
    }
}

/// What may change something runs to its end even when its caller goes away: between the commit and what follows from it (waking the
/// dispatcher, stopping a stream) a handler must not be dropped.
async fn answer(handlers: TaskTracker, routes: Router, request: Request<Body>) -> Result<Response, Infallible> {
    let safe = request.method().is_safe();
    let answer = routes.oneshot(request);
    if safe {
        return answer.await;
    }
    handlers.spawn(answer).await.unwrap_or_else(|_| {
        let mut failed = Response::default();
        *failed.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        Ok(failed)
    })
}

async fn connection<S>(
    stream: S,
    http2: bool,
    routes: Router,
    handlers: &TaskTracker,
    limits: &Limits,
    stop: &CancellationToken,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (reset, asked) = (CancellationToken::new(), CancellationToken::new());
    let (this, first, handlers) = (Connection(reset.clone()), asked.clone(), handlers.clone());
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        first.cancel();
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(this.clone());
        super::tolerate_slash(&mut request);
        answer(handlers.clone(), routes.clone(), request)
    });
    let io = TokioIo::new(stream);
    let result = if http2 {
        let mut connection = std::pin::pin!(http2_builder(limits).serve_connection(io, service));
        tokio::select! {
            result = connection.as_mut() => result,
            () = reset.cancelled() => return,
            () = never_asked(&asked, limits.header_timeout) => return,
            () = stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        }
    } else {
        let mut connection = std::pin::pin!(http1_builder(limits).serve_connection(io, service));
        tokio::select! {
            result = connection.as_mut() => result,
            () = reset.cancelled() => return,
            () = stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "a connection ended with an error");
    }
}

fn http2_builder(limits: &Limits) -> conn::http2::Builder<TokioExecutor> {
    let mut builder = conn::http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .keep_alive_interval(limits.header_timeout)
        .keep_alive_timeout(limits.header_timeout)
        .max_concurrent_streams(128)
        .max_header_list_size(32 * 1024)
        .max_send_buf_size(256 * 1024)
        .initial_stream_window_size(1024 * 1024)
        .initial_connection_window_size(2 * 1024 * 1024);
    builder
}

fn http1_builder(limits: &Limits) -> conn::http1::Builder {
    let mut builder = conn::http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_headers(64)
        .max_buf_size(128 * 1024);
    builder
}

/// Ends when no request has come in time. HTTP/2 has pings only once the client has sent its preface, and no other limit before.
async fn never_asked(asked: &CancellationToken, longest: Duration) {
    if tokio::time::timeout(longest, asked.cancelled()).await.is_ok() {
        std::future::pending::<()>().await;
    }
}
