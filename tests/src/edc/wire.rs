//! The wire between two connectors: a plain HTTP proxy that passes everything on, and on demand loses the first answer to every message of
//! a process, or holds one kind of message so that a test can act while it is under way.

use super::shop;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use serde_json::Value;
use std::{
    collections::HashSet,
    net::TcpListener,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::{mpsc, oneshot};

/// How the wire treats messages.
enum Mode {
    Open,
    /// Every message arrives, its first answer does not: the sender sees a 503 and must send again.
    LosesFirstAnswers {
        /// Of these kinds alone; empty for all.
        kinds: Vec<String>,
        seen: HashSet<String>,
    },
    Holds {
        kind: &'static str,
        deliver: bool,
        held: mpsc::Sender<Held>,
    },
}

/// A message that the wire holds; dropping it gives its sender a 503.
pub struct Held(#[expect(dead_code, reason = "its end is the signal")] oneshot::Sender<()>);

/// A message that passed.
#[derive(Clone, Debug)]
pub struct Passed {
    /// Below the root of the addressee.
    pub path: String,
    /// Its body.
    pub body: Value,
    /// What the addressee answered, whether or not the sender saw it.
    pub status: u16,
    /// The answer's body, or null.
    pub answer: Value,
}

/// One direction of the wire.
pub struct Wire {
    /// Where senders reach it.
    pub root: String,
    target: String,
    client: reqwest::Client,
    mode: Mutex<Mode>,
    passed: Mutex<Vec<Passed>>,
    lost: Mutex<HashSet<String>>,
}

impl Wire {
    /// Listens at `at` and passes everything on to `target`, a root address.
    pub fn open(at: TcpListener, target: &str) -> Arc<Self> {
        let port = at.local_addr().expect("a bound port").port();
        let wire = Arc::new(Self {
            root: format!("http://localhost:{port}"),
            target: target.to_owned(),
            client: reqwest::Client::builder()
                .no_proxy()
                // A restarted daemon does not know the connections of the one before.
                .pool_max_idle_per_host(0)
                .build()
                .expect("a client"),
            mode: Mutex::new(Mode::Open),
            passed: Mutex::default(),
            lost: Mutex::default(),
        });
        let serving = Arc::clone(&wire);
        shop::serve(at, move |request| {
            let wire = Arc::clone(&serving);
            async move { wire.pass(request).await }
        });
        wire
    }

    fn mode(&self) -> MutexGuard<'_, Mode> {
        self.mode.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Passes everything on, from now on.
    pub fn heal(&self) {
        *self.mode() = Mode::Open;
    }

    /// Loses the first answer to every message of a process, from now on.
    pub fn lose_first_answers(&self) {
        self.lose_first_answers_to(&[]);
    }

    /// As [`lose_first_answers`](Self::lose_first_answers), of these kinds of message alone; all when there are none.
    pub fn lose_first_answers_to(&self, kinds: &[&str]) {
        *self.mode() = Mode::LosesFirstAnswers {
            kinds: kinds.iter().map(|kind| (*kind).to_owned()).collect(),
            seen: HashSet::new(),
        };
    }

    /// Holds the next message of this kind, after its delivery or before; the wire heals by itself then.
    pub fn hold(&self, kind: &'static str, deliver: bool) -> mpsc::Receiver<Held> {
        let (held, receiver) = mpsc::channel(1);
        *self.mode() = Mode::Holds { kind, deliver, held };
        receiver
    }

    /// All messages that passed so far.
    pub fn passed(&self) -> Vec<Passed> {
        self.passed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The messages of one kind that passed so far.
    pub fn passed_of(&self, kind: &str) -> Vec<Passed> {
        let mut passed = self.passed();
        passed.retain(|one| one.body["@type"] == kind);
        passed
    }

    /// Whether an answer to this kind of message was lost so far.
    pub fn has_lost(&self, kind: &str) -> bool {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner).contains(kind)
    }

    /// The last message that its addressee refused, and how.
    pub fn last_refusal(&self) -> Option<String> {
        let passed = self.passed();
        let refused = passed.iter().rev().find(|one| one.status >= 400)?;
        Some(format!(
            "{} {}: {} {}",
            refused.path, refused.body, refused.status, refused.answer
        ))
    }

    async fn pass(&self, request: Request<Bytes>) -> Response<Bytes> {
        let kind = serde_json::from_slice::<Value>(request.body())
            .ok()
            .and_then(|body| body["@type"].as_str().map(str::to_owned));
        let gate = match &*self.mode() {
            Mode::Holds {
                kind: wanted,
                deliver,
                held,
            } if kind.as_deref() == Some(*wanted) => Some((*deliver, held.clone())),
            _ => None,
        };
        if let Some((deliver, held)) = gate {
            self.heal();
            if deliver {
                let _ = self.forward(&request).await;
            }
            let (holder, released) = oneshot::channel();
            let _ = held.send(Held(holder)).await;
            let _ = tokio::time::timeout(Duration::from_secs(20), released).await;
            return lost();
        }
        let Some(answer) = self.forward(&request).await else {
            return lost();
        };
        let loses = match (&mut *self.mode(), &kind) {
            // A catalog is asked for and answered on the spot: there is nothing to be sent again by itself.
            (Mode::LosesFirstAnswers { kinds, seen }, Some(kind))
                if kind != "CatalogRequestMessage" && (kinds.is_empty() || kinds.contains(kind)) =>
            {
                seen.insert(format!("{} {}", request.uri(), String::from_utf8_lossy(request.body())))
            }
            _ => false,
        };
        if !loses {
            return answer;
        }
        let mut losses = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        losses.extend(kind);
        lost()
    }

    async fn forward(&self, request: &Request<Bytes>) -> Option<Response<Bytes>> {
        let url = format!("{}{}", self.target, request.uri());
        let mut headers = HeaderMap::new();
        for name in [header::AUTHORIZATION, header::CONTENT_TYPE, header::ACCEPT] {
            if let Some(value) = request.headers().get(&name) {
                headers.insert(name, value.clone());
            }
        }
        let sent = self.client.request(request.method().clone(), url).headers(headers);
        let answer = sent.body(request.body().clone()).send().await.ok()?;
        let (status, kind) = (answer.status(), answer.headers().get(header::CONTENT_TYPE).cloned());
        let body = answer.bytes().await.ok()?;
        if request.method() == Method::POST {
            let read = |bytes: &Bytes| serde_json::from_slice(bytes).unwrap_or_default();
            let passed = Passed {
                path: request.uri().path().to_owned(),
                body: read(request.body()),
                status: status.as_u16(),
                answer: read(&body),
            };
            self.passed.lock().unwrap_or_else(PoisonError::into_inner).push(passed);
        }
        let mut response = Response::new(body);
        *response.status_mut() = status;
        if let Some(kind) = kind {
            response.headers_mut().insert(header::CONTENT_TYPE, kind);
        }
        Some(response)
    }
}

fn lost() -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    response
}
