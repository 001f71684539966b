//! A peer that is a program of the tests and not a connector: holds the key of a configured participant, signs whatever it is told to,
//! well or badly, and can listen where that participant's connector would. Keeps no protocol state and decides nothing.

mod listener;

pub use listener::{Asked, Listener};

use crate::harness::Connector;
use bytes::Bytes;
use connector::{
    clock,
    jose::{Binding, Digest, Signer, SigningKey, Unverified, base64url, message::signature_digest, random, seal},
    trust::did::Own,
};
use http::Method;
use serde_json::{Value, json};
use std::{
    fs,
    path::PathBuf,
    sync::{Arc, RwLock},
    time::Duration,
};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, RootCertStore,
        pki_types::{CertificateDer, ServerName, pem::PemObject},
    },
};

/// The header of message signatures.
pub const SIGNATURE: &str = "x-jws-signature";
/// The path of the protocol.
pub const DSP: &str = "/dsp/2025-1";
/// The protocol's JSON-LD context.
pub const CONTEXT: &str = "https://w3id.org/dspace/2025/1/context.jsonld";

/// A fresh identifier.
pub fn uuid() -> String {
    format!("urn:uuid:{}", connector::jose::uuid(clock::now()).expect("a uuid"))
}

/// A message body with context, type and a fresh `@id`; `members` come on top and may replace them.
pub fn message(kind: &str, members: Value) -> Value {
    let mut body = json!({"@context": [CONTEXT], "@type": kind, "@id": uuid()});
    body.as_object_mut()
        .expect("an object")
        .extend(members.as_object().expect("members").clone());
    body
}

/// The catalog request.
pub fn catalog_request() -> Value {
    json!({"@context": [CONTEXT], "@type": "CatalogRequestMessage"})
}

/// The key and address of one participant.
#[derive(Clone)]
pub struct Peer {
    /// Its DID.
    pub did: String,
    /// Its public root address.
    pub root: String,
    /// Its key under its published id.
    pub signer: Arc<Signer>,
    dir: PathBuf,
    port: u16,
    client: reqwest::Client,
    publication: Arc<RwLock<Publication>>,
}

/// What a listening peer answers whoever asks for its DID document.
pub enum Publication {
    /// The document of its key.
    Own,
    /// These bytes.
    Bytes(Vec<u8>),
    /// The document is elsewhere.
    Redirect(String),
}

/// A request as it will be sent: everything can be changed after it was signed.
#[derive(Clone, Debug)]
pub struct Letter {
    /// The method.
    pub method: Method,
    /// The whole address.
    pub url: String,
    /// Values of the signature header; normally one.
    pub signatures: Vec<String>,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// Its body's bytes.
    pub bytes: Bytes,
    /// Its body, or null.
    pub body: Value,
    /// It carries a signature of the addressee that belongs to this request, status and body.
    pub signed: bool,
}

impl Reply {
    /// The stable code of a refusal.
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    /// The first reason of a refusal.
    pub fn reason(&self) -> &str {
        self.body["reason"][0].as_str().unwrap_or_default()
    }

    /// The `@type`.
    pub fn kind(&self) -> &str {
        self.body["@type"].as_str().unwrap_or_default()
    }
}

impl Peer {
    /// The participant whose folder `connector init` made.
    pub fn of(connector: &Connector) -> Self {
        let pem = fs::read(connector.dir.join("signing-key.pem")).expect("init wrote a key");
        let key = SigningKey::from_pem(&pem).expect("a key");
        let signer = Signer::new(&format!("{}#k1", connector.did), key).expect("a key id");
        let ca = fs::read(connector.dir.join("ca.pem")).expect("init wrote an authority");
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(20))
            .tls_certs_only(reqwest::Certificate::from_pem_bundle(&ca).expect("a certificate"))
            .build()
            .expect("a client");
        Self {
            did: connector.did.clone(),
            root: connector.root(),
            signer: Arc::new(signer),
            dir: connector.dir.clone(),
            port: connector.port,
            client,
            publication: Arc::new(RwLock::new(Publication::Own)),
        }
    }

    /// The same place with another identity.
    pub fn signing_as(&self, signer: Signer) -> Self {
        Self {
            did: signer.did().to_owned(),
            signer: Arc::new(signer),
            ..self.clone()
        }
    }

    /// From now on whoever asks for its DID document is answered so.
    pub fn publish(&self, publication: Publication) {
        *self.publication.write().expect("no poison") = publication;
    }

    /// The base address for callbacks.
    pub fn base(&self) -> String {
        format!("{}{DSP}", self.root)
    }

    /// A correctly signed request; `path` is below the protocol's path.
    pub fn seal(&self, to: &Connector, method: Method, path: &str, body: Vec<u8>) -> Letter {
        self.seal_below_root(to, method, &format!("{DSP}{path}"), body)
    }

    /// The same for a path outside of the protocol's.
    pub fn seal_below_root(&self, to: &Connector, method: Method, path: &str, body: Vec<u8>) -> Letter {
        let url = format!("{}{path}", to.root());
        let binding = Binding::Request {
            method: method.as_str(),
            url: &url,
        };
        let now = clock::now();
        let id = random::message_id(now).expect("an id");
        let signature = seal(&self.signer, &to.did, binding, Digest::EMPTY, &body, now, &id).expect("a signature");
        Letter {
            method,
            url,
            signatures: vec![signature],
            headers: Vec::new(),
            body,
        }
    }

    /// A correctly signed `POST` of JSON.
    pub fn letter(&self, to: &Connector, path: &str, body: &Value) -> Letter {
        self.seal(to, Method::POST, path, body.to_string().into_bytes())
    }

    /// The protected header that [`Peer::seal`] would sign, to be changed before [`Peer::sign`].
    pub fn protected(&self, to: &Connector, method: &str, path: &str) -> Value {
        let now = clock::now();
        json!({
            "alg": self.signer.key().algorithm().name(), "typ": "dsp-msg+jws", "cty": "json", "kid": self.signer.kid(),
            "crit": ["dspsig"],
            "dspsig": {
                "v": 1, "iss": self.did, "aud": to.did, "iat": now.seconds(), "exp": now.seconds() + 120,
                "jti": random::message_id(now).expect("an id"), "prev": Digest::EMPTY,
                "dir": "req", "htm": method, "htu": format!("{}{DSP}{path}", to.root()),
            },
        })
    }

    /// Signs any protected header with any key.
    pub fn sign(key: &SigningKey, protected: &[u8], body: &[u8]) -> String {
        let head = base64url::encode(protected);
        let signed = key
            .sign(format!("{head}.{}", base64url::encode(body)).as_bytes())
            .expect("a signature");
        format!("{head}..{}", base64url::encode(&signed))
    }

    /// Sends a letter; `None` when the connection was cut instead of answered.
    pub async fn try_send(&self, to: &Connector, letter: &Letter) -> Option<Reply> {
        let mut request = self
            .client
            .request(letter.method.clone(), &letter.url)
            .header("content-type", "application/json");
        for signature in &letter.signatures {
            request = request.header(SIGNATURE, signature);
        }
        for (name, value) in &letter.headers {
            request = request.header(*name, value);
        }
        let response = request.body(letter.body.clone()).send().await.ok()?;
        let status = response.status().as_u16();
        let signature = response
            .headers()
            .get(SIGNATURE)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);
        let bytes = response.bytes().await.ok()?;
        let signed = match (&signature, letter.signatures.first()) {
            (Some(signature), Some(request)) => self.is_signed_by(to, signature, request, status, &bytes),
            _ => false,
        };
        Some(Reply {
            status,
            body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
            bytes,
            signed,
        })
    }

    /// Sends a letter.
    pub async fn send(&self, to: &Connector, letter: &Letter) -> Reply {
        self.try_send(to, letter)
            .await
            .unwrap_or_else(|| panic!("{} {}: no answer\n{}", letter.method, letter.url, to.log()))
    }

    /// Signs and sends JSON.
    pub async fn say(&self, to: &Connector, path: &str, body: &Value) -> Reply {
        self.send(to, &self.letter(to, path, body)).await
    }

    /// Signs and sends a `GET`.
    pub async fn ask(&self, to: &Connector, path: &str) -> Reply {
        self.send(to, &self.seal(to, Method::GET, path, Vec::new())).await
    }

    /// Fetches from a data endpoint, or anything else that takes no signature.
    pub async fn fetch(&self, url: &str, token: Option<&str>) -> (u16, Bytes) {
        let mut request = self.client.get(url);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let response = request.send().await.expect("an answer");
        (response.status().as_u16(), response.bytes().await.unwrap_or_default())
    }

    /// Sends a letter and looks at the status alone; 0 for none.
    pub async fn post(&self, letter: &Letter) -> u16 {
        let mut request = self.client.request(letter.method.clone(), &letter.url);
        for signature in &letter.signatures {
            request = request.header(SIGNATURE, signature);
        }
        let response = request.body(letter.body.clone()).send().await;
        response.map_or(0, |response| response.status().as_u16())
    }

    /// Sends `size` bytes of a body that promises one more; the status of the answer, 0 for none.
    pub async fn stall(&self, letter: &Letter, size: usize) -> u16 {
        let sent = futures_util::stream::once(async move { Ok::<_, std::io::Error>(Bytes::from(vec![b'a'; size])) });
        let body = futures_util::StreamExt::chain(sent, futures_util::stream::pending());
        let request = self.client.post(&letter.url).header(SIGNATURE, &letter.signatures[0]);
        let response = request.body(reqwest::Body::wrap_stream(body)).send().await;
        response.map_or(0, |response| response.status().as_u16())
    }

    /// Opens a stream and leaves it unread.
    pub async fn open(&self, url: &str, token: &str) -> reqwest::Response {
        let request = self.client.get(url).bearer_auth(token);
        request.send().await.expect("an answer")
    }

    fn is_signed_by(&self, to: &Connector, signature: &str, request: &str, status: u16, body: &[u8]) -> bool {
        let Ok(request) = signature_digest(request) else {
            return false;
        };
        let binding = Binding::Response {
            request: &request,
            status,
        };
        let key = Self::of(to).signer.key().verifying_key().clone();
        Unverified::parse(signature)
            .and_then(|message| message.check(&self.did, binding, clock::now()))
            .and_then(|message| message.verify(&key, body))
            .is_ok_and(|opened| opened.issuer() == to.did)
    }

    /// The DID document of this key.
    pub fn document(&self) -> Value {
        let did = self.did.parse().expect("a DID");
        Own::new(
            did,
            self.root.as_str(),
            self.signer.kid(),
            self.signer.key().public_jwk(),
        )
        .document()
    }

    /// A TLS connection to a connector, offering these protocols.
    pub async fn tls(&self, to: &Connector, protocols: &[&str]) -> std::io::Result<TlsStream<tokio::net::TcpStream>> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(self.dir.join("ca.pem")).expect("an authority") {
            roots.add(certificate.expect("a certificate")).expect("an anchor");
        }
        let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let stream = tokio::net::TcpStream::connect(("127.0.0.1", to.port)).await?;
        TlsConnector::from(Arc::new(config))
            .connect(ServerName::try_from("localhost").expect("a name"), stream)
            .await
    }

    /// Listens where this participant's connector would.
    pub async fn listen(&self) -> Listener {
        Listener::start(self.clone()).await
    }
}
