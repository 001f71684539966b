//! The check of GAIA-X credentials, offline and in the order in which it counts: envelope and header, issuer, DID document, key and
//! purpose, certificates, time; then what the credentials say of each other. It stops at the first failure.

use super::{
    FORMER_TERMS, GaiaXError, NumberKind, TERMS,
    chain::{self, Certificates},
    document,
};
use crate::jose::{
    self, Credential, CredentialError, JoseError,
    credential::{self, Form},
    did,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use policy::Timestamp;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeSet;

/// Most credentials that one presentation may carry.
const MAX_CREDENTIALS: usize = 32;

/// What the reader has beside the credentials.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// DID documents of the signers, as they were fetched.
    pub documents: Vec<Value>,
    /// Certificates and anchors.
    pub certificates: Certificates,
}

/// A credential or presentation that passed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Checked {
    /// Which file, or which place in a presentation.
    pub name: String,
    /// Its own id.
    pub id: Option<String>,
    /// Its types.
    pub types: Vec<String>,
    /// Who signed it.
    pub issuer: String,
    /// With which key.
    pub kid: String,
    /// Until when it counts.
    pub valid_until: Option<Timestamp>,
    /// Whether certificates speak for the key, up to an anchor.
    pub certified: bool,
    /// What a reader must know and this check does not settle.
    pub notes: Vec<&'static str>,
}

/// A credential that did not pass, and the rule that it broke.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {error}")]
pub struct Refused {
    /// Which file, or which place in a presentation.
    pub name: String,
    /// The rule.
    pub error: GaiaXError,
}

/// One token that was read.
struct Read {
    name: String,
    token: String,
    credential: Credential,
    certified: bool,
    /// The presentation that it came in.
    holder: Option<String>,
}

/// Checks tokens, each under a name, presentations with all that they carry.
pub fn verify(tokens: &[(String, String)], evidence: &Evidence, now: Timestamp) -> Result<Vec<Checked>, Refused> {
    let mut read = Vec::new();
    for (name, token) in tokens {
        let refuse = |error: GaiaXError| Refused {
            name: name.clone(),
            error,
        };
        let one = open(name, token, evidence, now).map_err(refuse)?;
        let carried = carried(&one).map_err(refuse)?;
        let holder = one.credential.issuer().to_owned();
        read.push(one);
        for (at, inner) in carried.into_iter().enumerate() {
            let name = format!("{name}[{at}]");
            let opened = as_form(&name, &inner, Form::Credential, evidence, now);
            let mut inner = opened.map_err(|error| Refused { name, error })?;
            inner.holder = Some(holder.clone());
            read.push(inner);
        }
    }
    ids(&read)?;
    for one in &read {
        let refuse = |error| Refused {
            name: one.name.clone(),
            error,
        };
        claims(one, &read).map_err(refuse)?;
    }
    Ok(read.iter().map(report).collect())
}

/// A token of either form: its `typ` says which, and each reader takes only its own.
fn open(name: &str, token: &str, evidence: &Evidence, now: Timestamp) -> Result<Read, GaiaXError> {
    match as_form(name, token, Form::Credential, evidence, now) {
        Err(GaiaXError::Credential(CredentialError::Signature(JoseError::WrongType))) => {
            as_form(name, token, Form::Presentation, evidence, now)
        }
        other => other,
    }
}

fn as_form(name: &str, token: &str, form: Form, evidence: &Evidence, now: Timestamp) -> Result<Read, GaiaXError> {
    let purpose = match form {
        Form::Credential => "assertionMethod",
        Form::Presentation => "authentication",
    };
    let kid = credential::kid(token)?;
    let owner = did::of_kid(&kid).ok_or(JoseError::WrongKeyId)?;
    let method = document::find(&evidence.documents, owner, &kid, purpose)?;
    // Time comes after the certificates: who is not who it says need not be told that it is late.
    let verified = match credential::verify(token, form, &method.key, now) {
        in_time @ Ok(_) => in_time,
        late @ Err(CredentialError::Expired | CredentialError::NotYetValid) => late,
        Err(error) => return Err(error.into()),
    };
    let certified = chain::check(method.jwk, host(owner), &evidence.certificates, now)?;
    Ok(Read {
        name: name.to_owned(),
        token: token.to_owned(),
        credential: verified?,
        certified,
        holder: None,
    })
}

/// The host of a did:web identifier, without port and path.
fn host(did: &str) -> &str {
    let rest = did.strip_prefix("did:web:").unwrap_or_default();
    let authority = rest.split(':').next().unwrap_or_default();
    authority.split('%').next().unwrap_or_default()
}

/// The tokens that a presentation carries; none for a credential.
fn carried(one: &Read) -> Result<Vec<String>, GaiaXError> {
    let claims = one.credential.claims();
    let Some(list) = claims.get("verifiableCredential") else {
        return Ok(Vec::new());
    };
    let list = list.as_array().filter(|list| list.len() <= MAX_CREDENTIALS);
    let list = list.ok_or(GaiaXError::Claim("verifiableCredential"))?;
    list.iter()
        .map(|value| Ok(credential::unwrap_enveloped(value)?.to_owned()))
        .collect()
}

/// Presentation, credentials and subjects are told apart by their ids.
fn ids(read: &[Read]) -> Result<(), Refused> {
    let mut seen = BTreeSet::new();
    for one in read {
        let own = one.credential.id();
        for id in [own, one.credential.subject_id()].into_iter().flatten() {
            if !seen.insert(id) {
                return Err(Refused {
                    name: one.name.clone(),
                    error: GaiaXError::Ids(format!("{id} twice")),
                });
            }
        }
        if own.is_none() {
            return Err(Refused {
                name: one.name.clone(),
                error: GaiaXError::Ids("none on this one".to_owned()),
            });
        }
    }
    Ok(())
}

fn has(one: &Read, kind: &str) -> bool {
    one.credential.types().iter().any(|name| name == kind)
}

/// Notaries spell some of these types in two ways.
fn is_registration(one: &Read) -> bool {
    let ours = NumberKind::ALL.iter().any(|(_, kind)| has(one, kind.terms().0));
    ours || has(one, "gx:Eori") || has(one, "gx:Euid")
}

fn subject<'a>(one: &'a Read, path: &str) -> Option<&'a str> {
    one.credential
        .claims()
        .get("credentialSubject")?
        .pointer(path)?
        .as_str()
}

/// What each type must say, and what it says of the others.
fn claims(one: &Read, all: &[Read]) -> Result<(), GaiaXError> {
    let own = ["gx:LegalPerson", "gx:Issuer", "gx:ServiceOffering"]
        .into_iter()
        .any(|kind| has(one, kind));
    if let Some(holder) = &one.holder
        && own
    {
        let about = one.credential.subject_id().unwrap_or_default();
        let about = about.split_once('#').map_or(about, |(owner, _)| owner);
        let elsewhere = about.starts_with("did:") && about != holder;
        if one.credential.issuer() != holder || elsewhere {
            return Err(GaiaXError::Holder(one.name.clone()));
        }
    }
    if has(one, "gx:LegalPerson") {
        legal_person(one, all)?;
    }
    if has(one, "gx:Issuer") && !matches!(subject(one, "/gx:gaiaxTermsAndConditions"), Some(TERMS | FORMER_TERMS)) {
        return Err(GaiaXError::Terms);
    }
    if has(one, "gx:LabelCredential") {
        label(one, all)?;
    }
    Ok(())
}

fn legal_person(one: &Read, all: &[Read]) -> Result<(), GaiaXError> {
    for (claim, path) in [
        ("gx:legalAddress", "/gx:legalAddress/gx:countryCode"),
        ("gx:headquartersAddress", "/gx:headquartersAddress/gx:countryCode"),
    ] {
        subject(one, path).ok_or(GaiaXError::Claim(claim))?;
    }
    let number = subject(one, "/gx:registrationNumber/id").ok_or(GaiaXError::Claim("gx:registrationNumber"))?;
    // A credential alone cannot be asked for what it refers to; a presentation must bring it.
    let found = all
        .iter()
        .any(|other| is_registration(other) && other.credential.subject_id() == Some(number));
    if one.holder.is_some() && !found {
        return Err(GaiaXError::NoRegistration(number.to_owned()));
    }
    Ok(())
}

/// A label is somebody else's word. It covers the very credentials that it was given for: legal person, issuer and one registration number among them.
fn label(one: &Read, all: &[Read]) -> Result<(), GaiaXError> {
    let issuer = one.credential.issuer();
    let persons = all.iter().filter(|other| has(other, "gx:LegalPerson"));
    let mut labelled = persons
        .map(|person| person.credential.issuer())
        .chain(one.holder.as_deref());
    if labelled.any(|labelled| labelled == issuer) {
        return Err(GaiaXError::OwnLabel(issuer.to_owned()));
    }
    let covered = one
        .credential
        .claims()
        .get("credentialSubject")
        .and_then(|subject| subject.get("gx:compliantCredentials"));
    let covered = covered
        .and_then(Value::as_array)
        .ok_or(GaiaXError::Claim("gx:compliantCredentials"))?;
    let of = |entry: &Value, name: &str| entry.get(name).and_then(Value::as_str).map(str::to_owned);
    for wanted in ["gx:LegalPerson", "gx:Issuer"] {
        let named =
            |entry: &Value| of(entry, "type").is_some_and(|kinds| kinds.split(',').any(|kind| kind.trim() == wanted));
        if !covered.iter().any(named) {
            return Err(GaiaXError::Label(wanted.to_owned()));
        }
    }
    for other in all
        .iter()
        .filter(|other| !has(other, "VerifiablePresentation") && !has(other, "gx:LabelCredential"))
    {
        let id = other.credential.id().unwrap_or_default();
        let entry = covered.iter().find(|entry| of(entry, "id").as_deref() == Some(id));
        let entry = entry.ok_or_else(|| GaiaXError::Label(id.to_owned()))?;
        let stated = of(entry, "gx:digestSRI").or_else(|| of(entry, "digestSRI"));
        if !stated.is_some_and(|stated| is_digest_of(&stated, &other.token)) {
            return Err(GaiaXError::Digest(id.to_owned()));
        }
    }
    Ok(())
}

/// `sha256-` over the compact JWT: in hexadecimal, as clearing houses write it, or in base64, as Subresource Integrity says.
fn is_digest_of(stated: &str, token: &str) -> bool {
    let digest = jose::sha256(token.as_bytes());
    let stated = stated.strip_prefix("sha256-");
    stated.is_some_and(|stated| stated == digest.to_hex() || stated == BASE64_STANDARD.encode(digest.as_bytes()))
}

/// A registration number that whoever has it signed itself.
fn is_self_declared(one: &Read) -> bool {
    let issuer = one.credential.issuer();
    let about = one.credential.subject_id().and_then(|id| id.split_once('#'));
    is_registration(one) && (one.holder.as_deref() == Some(issuer) || about.is_some_and(|(owner, _)| owner == issuer))
}

fn report(one: &Read) -> Checked {
    let mut notes = Vec::new();
    if is_self_declared(one) {
        notes.push("the registration number is self-declared: no notary has looked it up");
    }
    if has(one, "gx:LabelCredential") {
        notes.push("whether its issuer is one that may give labels is not judged here");
    }
    if subject(one, "/gx:gaiaxTermsAndConditions") == Some(FORMER_TERMS) {
        notes.push("the terms and conditions signed are former ones");
    }
    if one.credential.claims().contains_key("credentialStatus") {
        notes.push("whether it was revoked is not known offline");
    }
    if one.certified {
        notes.push("whether its certificates were revoked is not known offline");
    } else {
        notes.push("no certificate speaks for the key");
    }
    Checked {
        name: one.name.clone(),
        id: one.credential.id().map(str::to_owned),
        types: one.credential.types().to_vec(),
        issuer: one.credential.issuer().to_owned(),
        kid: one.credential.kid().to_owned(),
        valid_until: one.credential.valid_until(),
        certified: one.certified,
        notes,
    }
}
