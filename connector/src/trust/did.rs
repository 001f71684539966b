//! did:web identifiers and DID documents (W3C DID 1.0, did:web method): parsing and writing only.

use super::logs::{self, PublishedLog};
use crate::{
    audit::LogKey,
    dsp::{self, ParticipantId},
    jose::{CredentialKey, Digest, VerifyingKey, key::KeyError},
    net::NetError,
    store::StoreError,
};
use bytes::Bytes;
use serde_json::{Value, json};
use std::collections::HashSet;
use url::Url;

/// The name of the signature profile, as documents advertise it (`signatureProfiles`).
pub const PROFILE: &str = "DSP-JWS-1";

/// The type of the service entry that leads to a participant's credentials (W3C well-known presentation of linked claims).
pub const PRESENTATION_SERVICE: &str = "LinkedVerifiablePresentation";

/// Why a DID gives no usable key or service.
#[derive(Debug, thiserror::Error)]
pub enum DidError {
    /// Not a did:web identifier that we resolve.
    #[error("{0} is not a did:web identifier with a host")]
    NotWeb(String),
    /// The document could not be fetched.
    #[error("the DID document cannot be fetched: {0}")]
    Fetch(#[from] NetError),
    /// It did not come in time.
    #[error("the DID document cannot be fetched: no answer in time")]
    Late,
    /// Another caller's fetch of it failed while this one waited.
    #[error("the DID document cannot be fetched: it was tried a moment ago")]
    JustFailed,
    /// The answer was not a success.
    #[error("the DID document cannot be fetched: status {0}")]
    Status(u16),
    /// The document is not a DID document, or another participant's.
    #[error("the DID document is not usable: {0}")]
    Document(String),
    /// The document does not list the key for this purpose.
    #[error("the DID document does not list the key {0} for assertions")]
    UnknownKey(String),
    /// The key cannot be used.
    #[error("the key {kid} is not usable: {cause}")]
    BadKey {
        /// The key's id.
        kid: String,
        /// Why.
        cause: KeyError,
    },
    /// What was fetched could not be kept, and what cannot be kept proves nothing later.
    #[error("the DID document cannot be kept: {0}")]
    Store(#[from] StoreError),
    /// The document names no service of ours.
    #[error("the DID document names no data service")]
    NoService,
}

/// Where the document of a did:web identifier is published.
pub fn document_url(did: &ParticipantId) -> Result<Url, DidError> {
    let refuse = || DidError::NotWeb(did.to_string());
    let rest = did.as_str().strip_prefix("did:web:").ok_or_else(refuse)?;
    let mut parts = rest.split(':');
    let host = parts.next().filter(|host| !host.is_empty()).ok_or_else(refuse)?;
    let host = host.replace("%3A", ":").replace("%3a", ":");
    if host.contains('%') {
        return Err(refuse());
    }
    let path: Vec<&str> = parts.collect();
    if path.iter().any(|part| part.is_empty() || *part == "." || *part == "..") {
        return Err(refuse());
    }
    let path = if path.is_empty() {
        ".well-known".to_owned()
    } else {
        path.join("/")
    };
    let url = Url::parse(&format!("https://{host}/{path}/did.json")).map_err(|_| refuse())?;
    // What the text says must be what the parser understood: no user info, query or extra path smuggled into the host, no part that
    // climbs or cuts the end off.
    let understood = match (url.host_str(), url.port()) {
        (Some(name), Some(port)) => format!("{name}:{port}"),
        (Some(name), None) => name.to_owned(),
        (None, _) => return Err(refuse()),
    };
    let whole = url.path() == format!("/{path}/did.json") && url.query().is_none() && url.fragment().is_none();
    if !whole || !understood.eq_ignore_ascii_case(host.trim_end_matches(":443")) {
        return Err(refuse());
    }
    Ok(url)
}

/// Largest DID document that is read, in bytes.
pub const MAX_DOCUMENT: usize = 64 * 1024;

/// Most verification methods that are looked at.
const MAX_METHODS: usize = 32;

/// What a key may be used for (W3C DID 1.0 §5.3): a document lists it under this relationship or it is not for that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// `assertionMethod`: messages, agreements, credentials.
    Assertion,
    /// `authentication`: presentations.
    Authentication,
}

/// A DID document, as far as we use it.
#[derive(Clone, Debug)]
pub struct Document {
    /// Whose it is.
    pub id: ParticipantId,
    methods: Vec<Method>,
    /// It says that its owner signs messages (`signatureProfiles` of a service).
    pub signs: bool,
    /// The root of the connector (`serviceEndpoint` of the data service, without the well-known path).
    pub root: Option<Url>,
    /// Where the participant presents its credentials to anyone (`LinkedVerifiablePresentation`).
    pub presentation: Option<Url>,
    /// Its audit log.
    pub log: Option<PublishedLog>,
}

/// A verification method whose key is of a kind that we use.
#[derive(Clone, Debug)]
struct Method {
    /// Its absolute id.
    kid: String,
    key: CredentialKey,
    asserts: bool,
    authenticates: bool,
}

impl Document {
    /// Reads a document that must belong to `did`.
    pub fn read(did: &ParticipantId, value: &Value) -> Result<Self, DidError> {
        let refuse = |why: &str| DidError::Document(why.to_owned());
        if value.get("id").and_then(Value::as_str) != Some(did.as_str()) {
            return Err(refuse("its id is not the DID that was asked for"));
        }
        let list = |name: &str| {
            value
                .get(name)
                .and_then(Value::as_array)
                .map_or(&[] as &[Value], Vec::as_slice)
        };
        let listed = |under: &str, kid: &str| {
            list(under)
                .iter()
                .any(|m| m.as_str().is_some_and(|id| absolute(did, id) == kid))
        };
        let (mut methods, mut seen) = (Vec::new(), HashSet::new());
        for method in list("verificationMethod").iter().take(MAX_METHODS) {
            let Some(id) = method.get("id").and_then(Value::as_str) else {
                continue;
            };
            let kid = absolute(did, id);
            // Of two methods with one id, two readers could take either.
            if !seen.insert(kid.clone()) {
                return Err(refuse("two of its verification methods have the same id"));
            }
            let owned = method
                .get("controller")
                .and_then(Value::as_str)
                .is_none_or(|c| c == did.as_str());
            let Some(jwk) = method.get("publicKeyJwk").filter(|_| owned) else {
                continue;
            };
            if kid.strip_prefix(did.as_str()).is_none_or(|name| !name.starts_with('#')) {
                continue;
            }
            let (asserts, authenticates) = (listed("assertionMethod", &kid), listed("authentication", &kid));
            match CredentialKey::from_jwk(jwk) {
                Ok(key) => methods.push(Method {
                    kid,
                    key,
                    asserts,
                    authenticates,
                }),
                // Keys of other kinds may stand there too, for others to use, and keys that nobody uses any more.
                Err(KeyError::Member("kty" | "crv")) => {}
                Err(_) if !asserts && !authenticates => {}
                Err(cause) => return Err(DidError::BadKey { kid, cause }),
            }
        }
        let signs = list("service").iter().any(|service| {
            let profiles = service.get("signatureProfiles").and_then(Value::as_array);
            profiles.is_some_and(|profiles| profiles.iter().any(|profile| profile == PROFILE))
        });
        let root = list("service")
            .iter()
            .find(|service| service.get("type").and_then(Value::as_str) == Some("DataService"))
            .and_then(|service| service.get("serviceEndpoint")?.as_str())
            .map(|endpoint| endpoint.strip_suffix(dsp::WELL_KNOWN_VERSION).unwrap_or(endpoint))
            .map(|endpoint| Url::parse(endpoint).map_err(|_| refuse("its data service has no usable address")))
            .transpose()?;
        let presentation = list("service")
            .iter()
            .find(|service| service.get("type").and_then(Value::as_str) == Some(PRESENTATION_SERVICE))
            .and_then(|service| match service.get("serviceEndpoint")? {
                Value::Array(many) => many.first()?.as_str(),
                one => one.as_str(),
            })
            .map(|endpoint| Url::parse(endpoint).map_err(|_| refuse("its presentation has no usable address")))
            .transpose()?;
        Ok(Self {
            id: did.clone(),
            methods,
            signs,
            root,
            presentation,
            log: PublishedLog::read(value),
        })
    }

    /// The document without these keys; none if it has none of them.
    pub fn without(&self, hidden: impl Fn(&Digest) -> bool) -> Option<Self> {
        let (gone, methods): (Vec<Method>, _) = self
            .methods
            .iter()
            .cloned()
            .partition(|method| hidden(&method.key.thumbprint()));
        (!gone.is_empty()).then(|| Self {
            methods,
            ..self.clone()
        })
    }

    /// The key with this absolute id, if it is one for messages and its owner signs with it today.
    pub fn key(&self, kid: &str) -> Option<&VerifyingKey> {
        self.key_for(kid, Use::Assertion)?.for_messages()
    }

    /// The key with this absolute id, be it one that only proves what was signed before (`verificationMethod`).
    pub fn ever(&self, kid: &str) -> Option<&VerifyingKey> {
        self.method(kid)?.for_messages()
    }

    /// The key with this absolute id, if the document lists it for this use.
    pub fn key_for(&self, kid: &str, wanted: Use) -> Option<&CredentialKey> {
        let method = self.methods.iter().find(|method| method.kid == kid)?;
        let listed = match wanted {
            Use::Assertion => method.asserts,
            Use::Authentication => method.authenticates,
        };
        listed.then_some(&method.key)
    }

    /// The key with this absolute id, whatever it is for: only for who knows the key by other means, such as a pinned thumbprint.
    pub fn method(&self, kid: &str) -> Option<&CredentialKey> {
        self.methods
            .iter()
            .find(|method| method.kid == kid)
            .map(|method| &method.key)
    }
}

fn absolute(did: &ParticipantId, id: &str) -> String {
    if id.starts_with('#') {
        format!("{did}{id}")
    } else {
        id.to_owned()
    }
}

/// Our own document, as it is published: keys, the catalog and the data service (DSP 2025-1 §4.4), the signature profile that we speak.
#[derive(Clone, Debug)]
pub struct Own {
    /// Who we are.
    pub did: ParticipantId,
    /// The root under which peers reach us, without a slash at its end.
    pub root: String,
    /// All keys that anything of ours is checked with.
    pub keys: Vec<Published>,
    /// The key of our audit log.
    pub log: Option<LogKey>,
    /// Services beside those that every connector has, each with its `id`, `type` and `serviceEndpoint`.
    pub services: Vec<Value>,
    /// Certificates that speak for one of the keys, if any do.
    pub certified: Option<Certified>,
}

/// The X.509 certificates of a key, as RFC 7517 §4.6 and §4.7 put them beside it.
#[derive(Clone, Debug, PartialEq)]
pub struct Certified {
    /// The public JWK that they belong to.
    pub jwk: Value,
    /// Where they are served.
    pub x5u: String,
    /// The certificates themselves.
    pub x5c: Value,
    /// The same as PEM, as they are served.
    pub pem: Bytes,
}

impl Certified {
    /// The JWK as it is published: with its certificates, if they are its own.
    fn beside(certified: Option<&Self>, jwk: &Value) -> Value {
        let mut jwk = jwk.clone();
        if let Some(certified) = certified.filter(|certified| certified.jwk == jwk)
            && let Value::Object(members) = &mut jwk
        {
            members.insert("x5u".to_owned(), json!(certified.x5u));
            members.insert("x5c".to_owned(), certified.x5c.clone());
        }
        jwk
    }
}

/// A public key of ours in the document.
#[derive(Clone, Debug, PartialEq)]
pub struct Published {
    /// Its absolute DID URL.
    pub kid: String,
    /// The public JWK.
    pub jwk: Value,
    /// What it is good for today.
    pub uses: Uses,
}

/// What a published key is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Uses {
    /// Messages signed with it are accepted: it stands under the verification relationships.
    Signing,
    /// It only proves what it signed before: it stands under `verificationMethod` alone.
    VerifyingOnly,
}

impl Own {
    /// A document with one key that signs, and no service of its own.
    pub fn new(did: ParticipantId, root: impl Into<String>, kid: &str, jwk: Value) -> Self {
        let key = Published {
            kid: kid.to_owned(),
            jwk,
            uses: Uses::Signing,
        };
        Self {
            keys: vec![key],
            ..Self::empty(did, root)
        }
    }

    /// A document without keys or services of its own yet.
    pub fn empty(did: ParticipantId, root: impl Into<String>) -> Self {
        Self {
            did,
            root: root.into(),
            keys: Vec::new(),
            log: None,
            services: Vec::new(),
            certified: None,
        }
    }

    /// The document. Methods are of the type `JsonWebKey2020`, the one kind of JWK that Eclipse EDC reads.
    pub fn document(&self) -> Value {
        let (did, root) = (self.did.as_str(), &self.root);
        let methods: Vec<Value> = self
            .keys
            .iter()
            .map(|key| json!({"id": key.kid, "type": "JsonWebKey2020", "controller": did, "publicKeyJwk": Certified::beside(self.certified.as_ref(), &key.jwk)}))
            .collect();
        let signing: Vec<&str> = self
            .keys
            .iter()
            .filter(|key| key.uses == Uses::Signing)
            .map(|key| key.kid.as_str())
            .collect();
        let mut connector = json!({
            "id": format!("{did}#dases"), "type": logs::SERVICE, "serviceEndpoint": root, "signatureProfiles": [PROFILE],
        });
        if let Some(log) = &self.log {
            logs::publish(&mut connector, log);
        }
        let mut services = vec![
            json!({"id": format!("{did}#catalog"), "type": "CatalogService", "serviceEndpoint": format!("{root}{}/catalog", dsp::PATH)}),
            json!({"id": format!("{did}#dsp"), "type": "DataService", "serviceEndpoint": format!("{root}{}", dsp::WELL_KNOWN_VERSION)}),
            connector,
        ];
        services.extend(self.services.iter().cloned());
        json!({
            "@context": ["https://www.w3.org/ns/did/v1", "https://w3id.org/security/suites/jws-2020/v1"],
            "id": did,
            "verificationMethod": methods,
            "assertionMethod": signing,
            "authentication": signing,
            "capabilityInvocation": signing,
            "service": services,
        })
    }
}

/// The service entry of our own document that leads to our credentials.
pub fn presentation_service(did: &ParticipantId, endpoint: &str) -> Value {
    json!({"id": format!("{did}#membership"), "type": PRESENTATION_SERVICE, "serviceEndpoint": endpoint})
}

#[cfg(test)]
mod tests;
