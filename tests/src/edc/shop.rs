//! Plain HTTP servers of the suite: the source of EDC's data, the place that data are pushed to, and the ear for EDC's events.

use crate::harness;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::{
    convert::Infallible,
    net::TcpListener,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Answers whole requests at `at` until the process ends.
pub fn serve<F, A>(at: TcpListener, answer: F)
where
    F: Fn(Request<Bytes>) -> A + Clone + Send + 'static,
    A: Future<Output = Response<Bytes>> + Send,
{
    at.set_nonblocking(true).expect("a socket");
    let listener = tokio::net::TcpListener::from_std(at).expect("a listener");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                let service = service_fn(move |request: Request<Incoming>| {
                    let answer = answer.clone();
                    async move {
                        let (head, body) = request.into_parts();
                        let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
                        let response = answer(Request::from_parts(head, body)).await;
                        Ok::<_, Infallible>(response.map(Full::new))
                    }
                });
                // The other side ends the connection when it likes.
                let _ = http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
}

/// What came in.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Where.
    pub path: String,
    /// With what.
    pub headers: HeaderMap,
    /// The bytes.
    pub body: Bytes,
}

/// Gives the same records to everyone who asks and takes whatever is sent.
pub struct Shop {
    /// Its root address.
    pub root: String,
    deliveries: Arc<Mutex<Vec<Delivery>>>,
}

impl Shop {
    /// Opens on a free port; every GET is answered with `goods`.
    pub fn open(goods: &str) -> Self {
        let at = harness::free();
        let root = format!("http://localhost:{}", at.local_addr().expect("a bound port").port());
        let deliveries = Arc::new(Mutex::new(Vec::new()));
        let (taken, goods) = (Arc::clone(&deliveries), Bytes::copy_from_slice(goods.as_bytes()));
        serve(at, move |request| {
            let mut response = Response::new(Bytes::new());
            if request.method() == Method::GET {
                *response.body_mut() = goods.clone();
                let kind = header::HeaderValue::from_static("application/x-ndjson");
                response.headers_mut().insert(header::CONTENT_TYPE, kind);
            } else {
                *response.status_mut() = StatusCode::OK;
                let delivery = Delivery {
                    path: request.uri().path().to_owned(),
                    headers: request.headers().clone(),
                    body: request.into_body(),
                };
                taken.lock().unwrap_or_else(PoisonError::into_inner).push(delivery);
            }
            async { response }
        });
        Self { root, deliveries }
    }

    /// What came in at a path so far.
    pub fn deliveries(&self, path: &str) -> Vec<Delivery> {
        let all = self.deliveries.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().filter(|delivery| delivery.path == path).cloned().collect()
    }

    /// Waits for an event of EDC that came in at a path.
    pub async fn event(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            let events = self.deliveries(path).into_iter().rev();
            let mut events = events.filter_map(|delivery| serde_json::from_slice::<Value>(&delivery.body).ok());
            if let Some(found) = events.find(|event| wanted(event)) {
                return found;
            }
            assert!(
                begun.elapsed() < Duration::from_secs(10),
                "no such event came to {path}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
