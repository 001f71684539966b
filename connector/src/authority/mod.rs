//! A governance authority: any operator can be one. Its whole state is a folder; its commands write there, and whatever publishes
//! `public/`, this daemon or another web server, makes it known. Nothing runs.
//!
//! Two keys: the root signs the trust list and nothing else, and may live on a machine without network; the issuer signs credentials and
//! status lists.

mod folder;
mod register;

pub use folder::PUBLIC;
pub use register::{Issued, Register, Revoked};

use crate::{
    dsp::{self, ParticipantId},
    jose::{
        Algorithm, Digest, JoseError, Signer, SigningKey,
        credential::{self, CONTEXT, Form},
        key::KeyError,
        uuid,
    },
    trust::{
        did::{self, DidError},
        membership::{
            LIST_FILE,
            held::{MEMBERSHIP, ROLE, ROLE_CLAIMS},
            list::{Issuer, ListError, MAX_VALIDITY, Signed, TrustList},
            status::{StatusEntry, StatusError, StatusList},
        },
    },
};
use folder::Folder;
use policy::Timestamp;
use serde_json::{Map, Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::Duration,
};
use url::Url;

const REGISTER: &str = "register.json";
const ROOT_KEY: &str = "root.pem";
const ISSUER_KEY: &str = "issuer.pem";

/// Terms that no published context defines mean what they say here (VCDM 2.0 §5.2).
const OWN_TERMS: &str = "https://www.w3.org/ns/credentials/undefined-terms/v2";

/// Why the authority did not do what was asked. Nothing was published in any of these cases.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// The folder holds something already.
    #[error("{} is not empty: an authority is made in a folder of its own", .0.display())]
    Occupied(PathBuf),
    /// A file of the authority is not there.
    #[error("{} is not there", .0.display())]
    Missing(PathBuf),
    /// A file cannot be read or written.
    #[error("{}: {cause}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: String,
    },
    /// The register is not one.
    #[error("{REGISTER} cannot be read: {0}")]
    Register(String),
    /// A key cannot be used.
    #[error("{0}: {1}")]
    Key(&'static str, KeyError),
    /// The DID has no place where its document could be published.
    #[error(transparent)]
    Did(#[from] DidError),
    /// Signing failed.
    #[error("signing failed: {0}")]
    Signing(#[from] JoseError),
    /// The list cannot be signed as asked.
    #[error(transparent)]
    List(#[from] ListError),
    /// The status list cannot be made.
    #[error(transparent)]
    Status(#[from] StatusError),
    /// What was asked for makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// Nothing with this id or DID was ever issued.
    #[error("no credential was issued to {0} or under this id")]
    Unknown(String),
}

/// A credential to be issued.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// About whom.
    pub subject: ParticipantId,
    /// [`MEMBERSHIP`] or [`ROLE`].
    pub r#type: &'static str,
    /// Its roles.
    pub roles: BTreeSet<String>,
    /// What else it says: a name with several values becomes a list.
    pub claims: BTreeMap<String, Vec<String>>,
    /// How long it counts.
    pub valid: Duration,
}

/// The authority, held by one command at a time.
pub struct Authority {
    folder: Folder,
    register: Register,
}

impl Authority {
    /// Makes an authority with new keys, its DID document, its first trust list and an empty status list.
    pub fn init(dir: &Path, did: ParticipantId, url: Option<Url>, now: Timestamp) -> Result<Self, AuthorityError> {
        let document = did::document_url(&did)?;
        let url = match url {
            Some(url) => url,
            None => document.join(".").map_err(|_| DidError::NotWeb(did.to_string()))?,
        };
        let url = without_slash(url)?;
        let folder = Folder::make(dir)?;
        let key = |name| SigningKey::generate(Algorithm::Es256).map_err(|error| AuthorityError::Key(name, error));
        let (root, issuer) = (key(ROOT_KEY)?, key(ISSUER_KEY)?);
        for (name, key) in [(ROOT_KEY, &root), (ISSUER_KEY, &issuer)] {
            let pem = key.to_pem().map_err(|error| AuthorityError::Key(name, error))?;
            folder.write(name, true, &pem)?;
        }
        let own = Issuer {
            did: did.clone(),
            types: [MEMBERSHIP, ROLE].map(str::to_owned).into(),
            valid_from: None,
            valid_until: None,
            jkts: [issuer.verifying_key().thumbprint()].into(),
        };
        let register = Register {
            v: 1,
            did,
            url,
            next_index: 0,
            credentials: Vec::new(),
            list: None,
            issuers: vec![own],
            revoked_members: BTreeSet::new(),
            revoked_jkts: Vec::new(),
            rulebook: None,
            minimum_protocol: dsp::VERSION.to_owned(),
        };
        let mut authority = Self { folder, register };
        authority.publish_document(&root, &issuer)?;
        authority.publish_list(MAX_VALIDITY, now)?;
        Ok(authority)
    }

    /// Opens an authority that was made before.
    pub fn open(dir: &Path) -> Result<Self, AuthorityError> {
        let folder = Folder::open(dir)?;
        let register = register(dir)?;
        Ok(Self { folder, register })
    }

    /// What the authority remembers.
    pub fn register(&self) -> &Register {
        &self.register
    }

    /// What the next trust list says; [`Authority::publish_list`] publishes it.
    pub fn register_mut(&mut self) -> &mut Register {
        &mut self.register
    }

    /// RFC 7638 thumbprint of the root key: what every connector pins.
    pub fn root(&self) -> Result<Digest, AuthorityError> {
        Ok(self.key(ROOT_KEY)?.verifying_key().thumbprint())
    }

    /// Issues a credential. Its bit is taken, and remembered, before it is signed: a crash in between loses a bit and nothing else.
    pub fn issue(&mut self, wanted: &Wanted, now: Timestamp) -> Result<(Issued, String), AuthorityError> {
        let invalid = |text: String| AuthorityError::Invalid(text);
        if self.register.revoked_members.contains(&wanted.subject) {
            let text = format!("{} was removed from the members; take it back first", wanted.subject);
            return Err(invalid(text));
        }
        if let Some(name) = wanted
            .claims
            .keys()
            .find(|name| !policy::is_claim(name) || *name == "id")
        {
            return Err(invalid(format!(
                "{name:?} is not a name for a claim: a letter, then letters, digits, - and _"
            )));
        }
        let unread = |name: &&String| wanted.r#type == ROLE && !ROLE_CLAIMS.contains(&name.as_str());
        if let Some(name) = wanted.claims.keys().find(unread) {
            return Err(invalid(format!(
                "{name:?} belongs into a membership credential: of a role credential nobody reads more than {}",
                ROLE_CLAIMS.join(" and ")
            )));
        }
        did::document_url(&wanted.subject)?;
        let id = format!("urn:uuid:{}", uuid(now).map_err(JoseError::from)?);
        let issued = Issued {
            id,
            subject: wanted.subject.clone(),
            r#type: wanted.r#type.to_owned(),
            roles: wanted.roles.clone(),
            index: self.register.next_index,
            issued: whole_second(now),
            valid_until: whole_second(now.plus(wanted.valid)),
            revoked: None,
        };
        self.register.next_index += 1;
        self.register.credentials.push(issued.clone());
        self.save()?;
        let (list, place) = Register::place(issued.index);
        if place == 0 {
            self.publish_all(self.statuses(now)?)?;
        }
        let claims = json!({
            "@context": [CONTEXT, OWN_TERMS],
            "id": issued.id, "type": ["VerifiableCredential", issued.r#type], "issuer": self.register.did,
            "validFrom": issued.issued, "validUntil": issued.valid_until,
            "credentialSubject": self.subject(wanted),
            "credentialStatus": StatusEntry::write(&self.register.address(&format!("status/{list}.jwt"))?, place),
        });
        let token = credential::issue(&self.issuer()?, Form::Credential, &claims)?;
        Ok((issued, token))
    }

    fn subject(&self, wanted: &Wanted) -> Value {
        let mut subject = Map::new();
        subject.insert("id".into(), json!(wanted.subject));
        for (name, values) in &wanted.claims {
            let value = match values.as_slice() {
                [one] => json!(one),
                many => json!(many),
            };
            subject.insert(name.clone(), value);
        }
        if !wanted.roles.is_empty() {
            subject.insert("role".into(), json!(wanted.roles));
        }
        if let Some(rulebook) = self.register.rulebook {
            subject.entry("rulebook").or_insert_with(|| json!(rulebook));
        }
        Value::Object(subject)
    }

    /// Revokes one credential by its id, or everything of a subject, who is then also on the list of removed members.
    pub fn revoke(
        &mut self,
        id_or_subject: &str,
        reason: Option<&str>,
        now: Timestamp,
    ) -> Result<usize, AuthorityError> {
        let subject = self
            .register
            .credentials
            .iter()
            .find(|issued| issued.subject.as_str() == id_or_subject);
        let subject = subject.map(|issued| issued.subject.clone());
        let known = subject.is_some()
            || self
                .register
                .credentials
                .iter()
                .any(|issued| issued.id == id_or_subject);
        if !known {
            return Err(AuthorityError::Unknown(id_or_subject.to_owned()));
        }
        let count = self.register.revoke(id_or_subject, reason, now);
        match subject {
            // Again for who was removed before: the list may not have been published then.
            Some(subject) => {
                self.register.revoked_members.insert(subject);
                self.publish_list(MAX_VALIDITY, now)?;
            }
            None => {
                let statuses = self.statuses(now)?;
                self.save()?;
                self.publish_all(statuses)?;
            }
        }
        Ok(count)
    }

    /// Signs and publishes the next trust list, valid for this long, and the status lists anew. All is signed before anything changes:
    /// where a key is missing, nothing does. The number is remembered before the list is published: after a crash in between, the next
    /// list has the number after it.
    pub fn publish_list(&mut self, valid: Duration, now: Timestamp) -> Result<Signed, AuthorityError> {
        let register = &self.register;
        let list = TrustList {
            v: 1,
            authority: register.did.clone(),
            sequence: register.list.as_ref().map_or(1, |seen| seen.sequence + 1),
            issued: whole_second(now),
            next_update: whole_second(now).plus(valid),
            previous: register.list.as_ref().map(|seen| seen.digest),
            issuers: register.issuers.clone(),
            revoked_members: register.removed(now),
            revoked_jkts: register.revoked_jkts.clone(),
            rulebook: register.rulebook,
            minimum_protocol: register.minimum_protocol.clone(),
        };
        let root = Signer::new(&format!("{}#root", register.did), self.key(ROOT_KEY)?)?;
        let signed = Signed::seal(list, &root)?;
        let statuses = self.statuses(now)?;
        self.register.list = Some(signed.seen());
        self.save()?;
        self.publish(LIST_FILE, signed.token.as_bytes())?;
        self.publish_all(statuses)?;
        Ok(signed)
    }

    /// The status lists as they are to be published, by their names. They count as long as a trust list may: whoever renews one renews
    /// the others.
    fn statuses(&self, now: Timestamp) -> Result<Vec<(String, String)>, AuthorityError> {
        let issuer = self.issuer()?;
        let status = |number| {
            let name = format!("status/{number}.jwt");
            let bits = self.register.bits(number)?;
            let mut claims = StatusList::claims(&self.register.address(&name)?, self.register.did.as_str(), &bits)?;
            claims.insert("@context".into(), json!([CONTEXT]));
            claims.insert("validFrom".into(), json!(whole_second(now)));
            claims.insert("validUntil".into(), json!(whole_second(now).plus(MAX_VALIDITY)));
            Ok((
                name,
                credential::issue(&issuer, Form::Credential, &Value::Object(claims))?,
            ))
        };
        (1..=self.register.status_lists()).map(status).collect()
    }

    fn publish_all(&self, files: Vec<(String, String)>) -> Result<(), AuthorityError> {
        files
            .iter()
            .try_for_each(|(name, token)| self.publish(name, token.as_bytes()))
    }

    /// The issuer key is for credentials; the root key is in the document to be found, and for nothing: the pin makes it the root.
    fn publish_document(&self, root: &SigningKey, issuer: &SigningKey) -> Result<(), AuthorityError> {
        let did = &self.register.did;
        let method = |name: &str, key: &SigningKey| json!({"id": format!("{did}#{name}"), "type": "JsonWebKey2020", "controller": did, "publicKeyJwk": key.public_jwk()});
        let kid = format!("{did}#issuer");
        let document = json!({
            "@context": ["https://www.w3.org/ns/did/v1", "https://w3id.org/security/suites/jws-2020/v1"],
            "id": did,
            "verificationMethod": [method("root", root), method("issuer", issuer)],
            "assertionMethod": [kid], "authentication": [kid], "capabilityInvocation": [kid],
            "service": [{"id": format!("{did}#trust-list"), "type": "DasesTrustList", "serviceEndpoint": self.register.address(LIST_FILE)?}],
        });
        self.publish("did.json", format!("{document:#}\n").as_bytes())
    }

    fn publish(&self, name: &str, content: &[u8]) -> Result<(), AuthorityError> {
        self.folder.write(&format!("{PUBLIC}/{name}"), false, content)
    }

    fn save(&self) -> Result<(), AuthorityError> {
        let text =
            serde_json::to_vec_pretty(&self.register).map_err(|error| AuthorityError::Register(error.to_string()))?;
        self.folder.write(REGISTER, true, &text)
    }

    fn key(&self, name: &'static str) -> Result<SigningKey, AuthorityError> {
        SigningKey::from_pem(&self.folder.read(name)?).map_err(|error| AuthorityError::Key(name, error))
    }

    fn issuer(&self) -> Result<Signer, AuthorityError> {
        Ok(Signer::new(
            &format!("{}#issuer", self.register.did),
            self.key(ISSUER_KEY)?,
        )?)
    }
}

/// The register of a folder. It is replaced whole: reading it waits for no command, and needs no right to write.
fn register(dir: &Path) -> Result<Register, AuthorityError> {
    let unreadable = |error: &dyn std::fmt::Display| AuthorityError::Register(error.to_string());
    let limits = dsp::json::Limits {
        bytes: usize::MAX,
        depth: 8,
    };
    let value = dsp::json::parse_within(&folder::read(&dir.join(REGISTER))?, limits);
    let register: Register =
        serde_json::from_value(value.map_err(|error| unreadable(&error))?).map_err(|error| unreadable(&error))?;
    match register.v {
        1 => Ok(register),
        _ => Err(unreadable(&"it is of another version")),
    }
}

/// What a daemon publishes for an authority: paths below a root address, and the files behind them.
pub fn published(dir: &Path, root: &Url) -> Result<BTreeMap<String, PathBuf>, AuthorityError> {
    let register = register(dir)?;
    let public = dir.join(PUBLIC);
    let mut files = BTreeMap::new();
    let document = did::document_url(&register.did)?;
    let beside = [(document, "did.json"), (register.address(LIST_FILE)?, LIST_FILE)];
    for (url, name) in beside {
        if url.origin() == root.origin() {
            files.insert(url.path().to_owned(), public.join(name));
        }
    }
    let statuses = register.address("status")?;
    if statuses.origin() == root.origin() {
        files.insert(statuses.path().to_owned(), public.join("status"));
    }
    match files.is_empty() {
        false => Ok(files),
        true => Err(AuthorityError::Invalid(format!(
            "neither {} nor {} is below {root}: another web server publishes this authority",
            register.did, register.url
        ))),
    }
}

/// Credentials and lists name whole seconds, as everybody writes them.
fn whole_second(time: Timestamp) -> Timestamp {
    Timestamp::from_seconds(time.seconds())
}

/// An address to which file names can be added.
fn without_slash(url: Url) -> Result<Url, AuthorityError> {
    let invalid = || AuthorityError::Invalid(format!("{url} is not an https address without query and fragment"));
    if url.scheme() != "https" || url.host().is_none() || url.query().is_some() || url.fragment().is_some() {
        return Err(invalid());
    }
    let text = url.as_str().trim_end_matches('/');
    Url::parse(text).map_err(|_| invalid())
}

#[cfg(test)]
mod tests;
