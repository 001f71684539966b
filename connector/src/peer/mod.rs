//! Messages to other connectors: the dispatcher that empties the outbox, and the few requests that are asked and answered at once
//! (catalogs, states). Signs, retries, checks the answers' signatures. Holds no state of its own.

mod dispatch;

pub use dispatch::Dispatcher;

use crate::{
    dsp::{self, MessageError, ParticipantId, catalog, message::Explanation},
    jose::{Digest, JoseError, message::signature_digest},
    net::{Client, NetError, Request},
    trust::{Peer, SIGNATURE_HEADER, Trust, TrustError, did::DidError},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use policy::Timestamp;
use serde_json::Value;
use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};
use url::Url;

/// Why a peer's answer is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// Not in the configuration.
    #[error("{0} is not a configured peer; add it to the configuration as [[peer]]")]
    Unknown(String),
    /// The network failed.
    #[error(transparent)]
    Net(#[from] NetError),
    /// The DID document is not to be had.
    #[error(transparent)]
    Did(#[from] DidError),
    /// The answer's signature does not convince.
    #[error("the answer is not believed: {0}")]
    Trust(#[from] TrustError),
    /// The peer refused.
    #[error("the peer answered {status}: {}", .explanation.reasons.join("; "))]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What it said.
        explanation: Explanation,
        /// The answer was signed by the peer.
        signed: bool,
    },
    /// The answer is not what it should be.
    #[error("the answer is not usable: {0}")]
    Answer(String),
    /// The peer speaks no version that we speak.
    #[error("the peer does not speak DSP {} over HTTPS", dsp::VERSION)]
    NoVersion,
    /// Signing failed.
    #[error("signing failed: {0}")]
    Signing(#[from] JoseError),
}

impl From<MessageError> for PeerError {
    fn from(error: MessageError) -> Self {
        Self::Answer(error.to_string())
    }
}

/// What a peer answered, with its signature checked.
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The body; null when it was empty.
    pub body: Value,
}

/// Talks to peers.
pub struct Peers {
    client: Arc<Client>,
    trust: Arc<Trust>,
    bases: RwLock<HashMap<ParticipantId, Url>>,
    clock: fn() -> Timestamp,
}

impl Peers {
    /// Over the guarded client.
    pub fn new(client: Arc<Client>, trust: Arc<Trust>, clock: fn() -> Timestamp) -> Self {
        Self {
            client,
            trust,
            bases: RwLock::default(),
            clock,
        }
    }

    /// A configured peer by DID or name.
    pub fn named(&self, did_or_name: &str) -> Result<&Peer, PeerError> {
        self.trust
            .peer(did_or_name)
            .ok_or_else(|| PeerError::Unknown(did_or_name.to_owned()))
    }

    /// The peer's DSP base address, by its DID document and version discovery (DSP 2025-1 §4.3); found once.
    pub async fn base(&self, peer: &Peer) -> Result<Url, PeerError> {
        if let Some(base) = self.bases.read().unwrap_or_else(PoisonError::into_inner).get(&peer.did) {
            return Ok(base.clone());
        }
        let document = self.trust.resolver().document(peer, (self.clock)()).await?;
        let root = document.root.clone().ok_or(DidError::NoService)?;
        let root = root.as_str().trim_end_matches('/').to_owned();
        let url = parse(&format!("{root}{}", dsp::WELL_KNOWN_VERSION))?;
        let request = Request {
            method: Method::GET,
            url,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            reach: peer.reach,
        };
        let response = self.client.send(request).await?;
        let versions = dsp::json::parse(&response.body).map_err(|error| PeerError::Answer(error.to_string()))?;
        let path = versions
            .get("protocolVersions")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .find(|entry| {
                let text = |name: &str| entry.get(name).and_then(Value::as_str);
                text("version") == Some(dsp::VERSION) && text("binding").is_none_or(|binding| binding == "HTTPS")
            })
            .and_then(|entry| entry.get("path")?.as_str())
            .ok_or(PeerError::NoVersion)?;
        let base = parse(&format!("{root}{}", path.trim_end_matches('/')))?;
        self.bases
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(peer.did.clone(), base.clone());
        Ok(base)
    }

    /// Forgets where a peer is, so that it is looked up again.
    pub fn forget(&self, did: &ParticipantId) {
        self.bases.write().unwrap_or_else(PoisonError::into_inner).remove(did);
    }

    /// Fetches what a peer offers us.
    pub async fn catalog(&self, peer: &Peer) -> Result<catalog::Listed, PeerError> {
        let base = self.base(peer).await?;
        let url = parse(&format!("{}/catalog/request", base.as_str().trim_end_matches('/')))?;
        let body = catalog::request().to_string();
        let answer = self
            .ask(peer, Method::POST, url, body.into_bytes(), Digest::EMPTY, &[])
            .await?;
        let listed = catalog::read(&answer.body)?;
        if listed.participant != peer.did {
            return Err(PeerError::Answer(format!(
                "it is the catalog of {}",
                listed.participant
            )));
        }
        Ok(listed)
    }

    /// Sends one signed request and checks the signature of its answer. A status that is no success is an error.
    pub async fn ask(
        &self,
        peer: &Peer,
        method: Method,
        url: Url,
        body: Vec<u8>,
        prev: Digest,
        extra: &[(String, String)],
    ) -> Result<Answer, PeerError> {
        let signature = self
            .trust
            .sign_request(&peer.did, method.as_str(), &url, prev, &body, (self.clock)())?;
        let sent = signature_digest(&signature)?;
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        insert(&mut headers, SIGNATURE_HEADER, &signature)?;
        for (name, value) in extra {
            insert(&mut headers, name, value)?;
        }
        let request = Request {
            method,
            url,
            headers,
            body: body.into(),
            reach: peer.reach,
        };
        let response = self
            .client
            .send(request)
            .await
            .inspect_err(|_| self.forget(&peer.did))?;
        let status = response.status;
        let header = single(&response.headers);
        let verified = self
            .trust
            .authenticate_response(
                header,
                &peer.did,
                &sent,
                status.as_u16(),
                &response.body,
                (self.clock)(),
            )
            .await;
        let body = match response.body.len() {
            0 => Ok(Value::Null),
            _ => dsp::json::parse(&response.body).map_err(|error| PeerError::Answer(error.to_string())),
        };
        if !status.is_success() {
            // An unsigned refusal may come from anybody on the way: it is shown, but it settles nothing.
            let explanation = body.map(|body| dsp::message::read_error(&body)).unwrap_or_default();
            return Err(PeerError::Refused {
                status: status.as_u16(),
                explanation,
                signed: verified.is_ok(),
            });
        }
        verified?;
        Ok(Answer { status, body: body? })
    }
}

/// The one signature header of a message, if there is exactly one.
pub fn single(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(SIGNATURE_HEADER).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

fn parse(text: &str) -> Result<Url, PeerError> {
    Url::parse(text).map_err(|error| PeerError::Answer(format!("{text} is not an address: {error}")))
}

fn insert(headers: &mut HeaderMap, name: &str, value: &str) -> Result<(), PeerError> {
    let unusable = |_| PeerError::Answer(format!("the header {name} cannot be sent"));
    let name =
        HeaderName::from_bytes(name.as_bytes()).map_err(|_| PeerError::Answer(format!("{name} is no header name")))?;
    let value = HeaderValue::from_str(value).map_err(unusable)?;
    headers.insert(name, value);
    Ok(())
}
