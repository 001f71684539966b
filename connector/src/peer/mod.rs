//! Messages to other connectors: the dispatcher that empties the outbox, and the few requests that are asked and answered at once
//! (catalogs, states). Signs, retries, checks the answers' signatures. Holds no state of its own.

mod dispatch;
mod permits;
mod witnesses;

pub use dispatch::Dispatcher;
pub use witnesses::Witnesses;

use crate::{
    dsp::{self, MessageError, ParticipantId, catalog, message::Explanation},
    jose::{Digest, JoseError, did, message::signature_digest},
    net::{Client, NetError, Request, Response},
    process::{Reply, archive::Answered},
    trust::{NotAMember, Peer, SIGNATURE_HEADER, Trust, TrustError, did::DidError},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
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
    /// Neither in the configuration nor an id that anybody else could come to be known by.
    #[error(
        "{0} is neither a configured peer, by its id or its name, nor a did:web identifier; no participant is called that, so it would concern nobody"
    )]
    NoParticipant(String),
    /// Neither in the configuration nor a member.
    #[error("{did} is neither a configured peer nor a member: {cause}")]
    NotAMember {
        /// Who.
        did: ParticipantId,
        /// Why not.
        cause: NotAMember,
    },
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
        /// It is the peer that refused: the answer is signed, or the peer is one that cannot sign.
        believed: bool,
        /// The answer as it was.
        reply: Box<Reply>,
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

/// What a peer answered with success, and it was the peer.
pub struct Answer {
    /// The body; null when it was empty.
    pub body: Value,
    /// The headers.
    pub headers: HeaderMap,
    /// The answer as it was, with the signature of the request that it answers.
    pub reply: Reply,
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

    /// A configured peer by DID or name, or a member by DID.
    pub async fn named(&self, did_or_name: &str) -> Result<Arc<Peer>, PeerError> {
        if let Some(peer) = self.trust.peer(did_or_name) {
            return Ok(peer.clone());
        }
        let unknown = || PeerError::Unknown(did_or_name.to_owned());
        let did = did_or_name.parse().map_err(|_| unknown())?;
        match self.trust.meet(&did, (self.clock)()).await {
            Err(TrustError::NotAMember(cause)) => Err(PeerError::NotAMember { did, cause }),
            met => met.map_err(|_| unknown()),
        }
    }

    /// The DID of a configured peer, or of who is or was a member: to look up what was done with it.
    pub fn did_of(&self, did_or_name: &str) -> Result<ParticipantId, PeerError> {
        let unknown = || PeerError::Unknown(did_or_name.to_owned());
        match self.trust.peer(did_or_name) {
            Some(peer) => Ok(peer.did.clone()),
            None => Ok(self
                .addressee(&did_or_name.parse().map_err(|_| unknown())?)?
                .did
                .clone()),
        }
    }

    /// Whom a learner's consent, restriction or other word names: a configured peer by id or name, or anybody else by DID. Who is unknown today
    /// may be a member tomorrow; members are known by their `did:web` alone ([`did::is_did`]), and other ids by the configuration alone.
    pub fn recipient(&self, id_or_name: &ParticipantId) -> Result<ParticipantId, PeerError> {
        // A member is whoever it says, however it spells that.
        let member = || self.trust.known(id_or_name, (self.clock)());
        let known = self.trust.peer(id_or_name.as_str()).cloned().or_else(member);
        recipient(known.as_ref(), id_or_name)
    }

    /// Whom to tell about a process of ours.
    fn addressee(&self, did: &ParticipantId) -> Result<Arc<Peer>, PeerError> {
        self.trust
            .addressee(did)
            .ok_or_else(|| PeerError::Unknown(did.to_string()))
    }

    /// Whether this peer signs, as far as is known.
    fn sign(&self, peer: &Peer) -> bool {
        self.trust.is_held(peer)
    }

    /// The peer's DSP base address, by version discovery (DSP 2025-1 §4.3) below the address that its configuration or its DID document
    /// names; found once.
    pub async fn base(&self, peer: &Peer) -> Result<Url, PeerError> {
        if let Some(base) = self.bases.read().unwrap_or_else(PoisonError::into_inner).get(&peer.did) {
            return Ok(base.clone());
        }
        let root = self.root(peer).await?;
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

    /// The root below which a peer serves everything: its configuration or its DID document names it.
    async fn root(&self, peer: &Peer) -> Result<Url, PeerError> {
        if let Some(address) = &peer.address {
            return Ok(address.clone());
        }
        let document = self.trust.resolver().document(peer, (self.clock)()).await?;
        Ok(document.root.clone().ok_or(DidError::NoService)?)
    }

    /// Fetches what a peer offers us, page by page.
    pub async fn catalog(&self, peer: &Peer) -> Result<catalog::Listed, PeerError> {
        let base = self.base(peer).await?;
        let mut url = parse(&format!("{}/catalog/request", base.as_str().trim_end_matches('/')))?;
        let mut listed: Option<catalog::Listed> = None;
        for _ in 0..MAX_PAGES {
            let body = catalog::request().to_string().into_bytes();
            let asked = Question {
                body,
                longest: None,
                ..Question::new(Method::POST, url.clone())
            };
            let answer = self.ask(peer, asked).await?;
            let page = catalog::read(&answer.body)?;
            if page.participant != peer.did {
                return Err(PeerError::Answer(format!("it is the catalog of {}", page.participant)));
            }
            match &mut listed {
                None => listed = Some(page),
                Some(listed) => listed.datasets.extend(page.datasets),
            }
            match next_page(&url, &answer.headers)? {
                Some(next) => url = next,
                None => break,
            }
        }
        listed.ok_or_else(|| PeerError::Answer("it has no page".into()))
    }

    /// Sends one request, signed or with the `Authorization` that this peer knows us by or both, and checks the signature of its answer
    /// unless it is a peer that does not sign. A status that is no success is an error.
    pub async fn ask(&self, peer: &Peer, question: Question<'_>) -> Result<Answer, PeerError> {
        let Question {
            method,
            url,
            body,
            prev,
            headers: extra,
            longest,
        } = question;
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        let signature = self.identify(peer, &method, &url, prev, &body, &mut headers).await?;
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
        let response = match longest {
            Some(longest) => self.client.send_within(request, longest).await,
            None => self.client.send(request).await,
        };
        let response = response.inspect_err(|_| self.forget(&peer.did))?;
        let sent = signature.as_deref().map(signature_digest).transpose()?;
        let believed = self.believe(peer, sent.as_ref(), &response).await;
        let status = response.status;
        let reply = Reply {
            about: Answered {
                answer_signature: single(&response.headers)
                    .filter(|_| signature.is_some())
                    .map(str::to_owned),
                signature,
                status: status.as_u16(),
                length: response.body.len(),
            },
            body: response.body.clone(),
        };
        let body = match response.body.len() {
            0 => Ok(Value::Null),
            _ => dsp::json::parse(&response.body).map_err(|error| PeerError::Answer(error.to_string())),
        };
        if !status.is_success() {
            // A refusal that nobody vouches for may come from anybody on the way: it is shown, but it settles nothing.
            let explanation = body.map(|body| dsp::message::read_error(&body)).unwrap_or_default();
            return Err(PeerError::Refused {
                status: status.as_u16(),
                explanation,
                believed: believed.is_ok(),
                reply: Box::new(reply),
            });
        }
        believed?;
        Ok(Answer {
            body: body?,
            headers: response.headers,
            reply,
        })
    }

    /// Adds what shows the peer that a request is ours; the signature, if there is one.
    async fn identify(
        &self,
        peer: &Peer,
        method: &Method,
        url: &Url,
        prev: Digest,
        body: &[u8],
        headers: &mut HeaderMap,
    ) -> Result<Option<String>, PeerError> {
        if let Some(authorization) = self.trust.authorization(peer, url) {
            insert(headers, header::AUTHORIZATION.as_str(), &authorization)?;
        }
        let now = (self.clock)();
        if !self.trust.signs(peer, now).await.map_err(TrustError::from)? {
            return Ok(None);
        }
        let signature = self
            .trust
            .sign_request(&peer.did, method.as_str(), url, prev, body, now)?;
        insert(headers, SIGNATURE_HEADER, &signature)?;
        Ok(Some(signature))
    }

    /// Whether an answer is the peer's: by its signature over the answer to the request `sent`, or because this peer does not sign.
    async fn believe(&self, peer: &Peer, sent: Option<&Digest>, response: &Response) -> Result<(), TrustError> {
        let Some(sent) = sent else { return Ok(()) };
        let (signature, status) = (single(&response.headers), response.status.as_u16());
        self.trust
            .authenticate_response(signature, peer, sent, status, response.body.clone(), (self.clock)())
            .await?;
        Ok(())
    }
}

/// A request to a peer.
pub struct Question<'a> {
    /// Its method.
    pub method: Method,
    /// Where it goes.
    pub url: Url,
    /// Its body.
    pub body: Vec<u8>,
    /// SHA-256 over the last message of its process; [`Digest::EMPTY`] for what belongs to none.
    pub prev: Digest,
    /// Further headers.
    pub headers: &'a [(String, String)],
    /// Most bytes of the answer that are read; none for what the configuration allows.
    pub longest: Option<usize>,
}

impl Question<'_> {
    /// Without a body, and with an answer of the length of an acknowledgement or an error.
    pub fn new(method: Method, url: Url) -> Self {
        Self {
            method,
            url,
            body: Vec::new(),
            prev: Digest::EMPTY,
            headers: &[],
            longest: Some(MAX_ANSWER),
        }
    }
}

/// Most bytes of an acknowledgement or an error: it is archived, so that a peer may not make it long.
const MAX_ANSWER: usize = 64 * 1024;
/// Most pages of one catalog that are followed.
const MAX_PAGES: usize = 1_000;

/// Where the next page is (`Link`, RFC 8288; DSP 2025-1 §6.2): at the address that was asked, whatever host the link names.
fn next_page(asked: &Url, headers: &HeaderMap) -> Result<Option<Url>, PeerError> {
    let next = headers
        .get_all(header::LINK)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .find_map(|link| {
            let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
            let is_next = |parameter: &str| {
                parameter.trim().strip_prefix("rel=").is_some_and(|rel| {
                    rel.trim_matches('"')
                        .split(' ')
                        .any(|rel| rel.eq_ignore_ascii_case("next"))
                })
            };
            parameters.split(';').any(is_next).then_some(target)
        });
    let Some(next) = next else { return Ok(None) };
    let target = asked
        .join(next)
        .map_err(|_| PeerError::Answer(format!("the link {next} is not an address")))?;
    let mut url = asked.clone();
    url.set_query(target.query());
    Ok((url != *asked).then_some(url))
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

fn recipient(configured: Option<&Arc<Peer>>, id_or_name: &ParticipantId) -> Result<ParticipantId, PeerError> {
    match configured {
        Some(peer) => Ok(peer.did.clone()),
        // Another spelling of a peer's id would be another participant, and nobody.
        None if did::is_did(id_or_name.as_str()) && did::is_usual(id_or_name.as_str()) => Ok(id_or_name.clone()),
        None => Err(PeerError::NoParticipant(id_or_name.to_string())),
    }
}

#[cfg(test)]
mod tests;
