//! X.509 behind a key: the leaf certificate holds exactly the key, names the host of the did:web identifier, and the chain ends in an anchor
//! that the reader pinned. Revocation (OCSP, CRL) takes the network and is not looked at here.

use crate::jose::base64url;
use base64::{Engine, prelude::BASE64_STANDARD};
use policy::Timestamp;
use rustls::pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime, pem::PemObject};
use serde_json::Value;
use std::time::Duration;
use webpki::{
    ALL_VERIFICATION_ALGS, EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter, anchor_from_trusted_cert,
};

/// Longest chain that is looked at, leaf included.
const MAX_CHAIN: usize = 8;

/// Why certificates do not speak for a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// The key names certificates, and there are none to look at.
    #[error("the key names certificates (x5u); give them with --chain")]
    NoChain,
    /// Nobody said which anchors count.
    #[error("there are no anchors to trust; give them with --anchors")]
    NoAnchors,
    /// Not certificates in PEM, or in `x5c`.
    #[error("{0} holds no certificates that can be read")]
    Unreadable(&'static str),
    /// The certificate is of another key.
    #[error("the key is not the one in the certificate")]
    KeyNotInCertificate,
    /// The certificate is of another host.
    #[error("the certificate is not for {0}, where the DID document lives")]
    NotForHost(String),
    /// The chain does not end in an anchor, or a certificate is out of time or breaks a rule.
    #[error("the certificates do not lead to a trusted anchor: {0}")]
    Untrusted(String),
}

impl ChainError {
    /// A stable name for programs.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::NoChain => "no-chain",
            Self::NoAnchors => "no-anchors",
            Self::Unreadable(_) => "unreadable-certificates",
            Self::KeyNotInCertificate => "key-not-in-certificate",
            Self::NotForHost(_) => "certificate-not-for-host",
            Self::Untrusted(_) => "untrusted-certificate",
        }
    }
}

/// Certificates in the order in which they are served: the leaf first.
#[derive(Debug, Clone)]
pub struct Chain(Vec<CertificateDer<'static>>);

impl Chain {
    /// Reads PEM.
    pub fn from_pem(pem: &[u8], what: &'static str) -> Result<Self, ChainError> {
        let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        Self::of(read.unwrap_or_default(), what)
    }

    /// Reads the member `x5c` of a JWK (RFC 7517 §4.7): DER in standard base64.
    fn from_x5c(value: &Value) -> Result<Self, ChainError> {
        let decode = |entry: &Value| BASE64_STANDARD.decode(entry.as_str()?).ok().map(CertificateDer::from);
        let entries = value.as_array().map_or(&[] as &[Value], Vec::as_slice);
        Self::of(
            entries.iter().map(decode).collect::<Option<_>>().unwrap_or_default(),
            "x5c",
        )
    }

    fn of(certificates: Vec<CertificateDer<'static>>, what: &'static str) -> Result<Self, ChainError> {
        match certificates.len() {
            1..=MAX_CHAIN => Ok(Self(certificates)),
            _ => Err(ChainError::Unreadable(what)),
        }
    }

    /// The chain as the member `x5c` of a JWK.
    pub fn to_x5c(&self) -> Value {
        self.0
            .iter()
            .map(|certificate| BASE64_STANDARD.encode(certificate))
            .collect()
    }

    /// Whether the leaf holds exactly the key of this JWK.
    pub fn holds(&self, jwk: &Value) -> Result<(), ChainError> {
        let leaf = self.leaf()?;
        match public_key_info(jwk) {
            Some(expected) if *leaf.subject_public_key_info() == *expected => Ok(()),
            _ => Err(ChainError::KeyNotInCertificate),
        }
    }

    fn leaf(&self) -> Result<EndEntityCert<'_>, ChainError> {
        let leaf = self.0.first().ok_or(ChainError::Unreadable("the chain"))?;
        EndEntityCert::try_from(leaf).map_err(|_| ChainError::Unreadable("the chain"))
    }

    fn leads_to(&self, anchors: &[CertificateDer<'_>], host: &str, now: Timestamp) -> Result<(), ChainError> {
        let leaf = self.leaf()?;
        let name = ServerName::try_from(host).map_err(|_| ChainError::NotForHost(host.to_owned()))?;
        leaf.verify_is_valid_for_subject_name(&name)
            .map_err(|_| ChainError::NotForHost(host.to_owned()))?;
        let read: Result<Vec<TrustAnchor<'_>>, _> =
            anchors.iter().map(|anchor| anchor_from_trusted_cert(anchor)).collect();
        let anchors = read.map_err(|_| ChainError::Unreadable("the list of anchors"))?;
        let time = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(now.seconds()).unwrap_or_default()));
        let others = self.0.get(1..).unwrap_or_default();
        leaf.verify_for_usage(ALL_VERIFICATION_ALGS, &anchors, others, time, AnyPurpose, None, None)
            .map(drop)
            .map_err(|error| ChainError::Untrusted(error.to_string()))
    }
}

/// Qualified certificates of seals and of web sites differ in their extended key usage; either may stand behind a signing key.
struct AnyPurpose;

impl ExtendedKeyUsageValidator for AnyPurpose {
    fn validate(&self, _: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        Ok(())
    }
}

/// Certificates that the reader was given: the chains that `x5u` points to, and the anchors that count.
#[derive(Debug, Clone, Default)]
pub struct Certificates {
    /// The chains, one for each signer.
    pub chains: Vec<Chain>,
    /// The anchors.
    pub anchors: Option<Chain>,
}

/// Checks the certificates of a published key. `false` where the key names none and none were given: then nothing but the DID document
/// speaks for it.
pub(super) fn check(jwk: &Value, host: &str, given: &Certificates, now: Timestamp) -> Result<bool, ChainError> {
    let chain = match (given.chains.as_slice(), jwk.get("x5c")) {
        ([_, ..], _) => given
            .chains
            .iter()
            .find(|chain| chain.holds(jwk).is_ok())
            .ok_or(ChainError::KeyNotInCertificate)?
            .clone(),
        ([], Some(inline)) => Chain::from_x5c(inline)?,
        ([], None) if jwk.get("x5u").is_some() => return Err(ChainError::NoChain),
        ([], None) => return Ok(false),
    };
    chain.holds(jwk)?;
    let Chain(anchors) = given.anchors.as_ref().ok_or(ChainError::NoAnchors)?;
    chain.leads_to(anchors, host, now)?;
    Ok(true)
}

/// The SubjectPublicKeyInfo (RFC 5280 §4.1.2.7) of a JWK, byte for byte as a certificate has it: so that all of a key is compared and
/// not its modulus or one coordinate alone.
fn public_key_info(jwk: &Value) -> Option<Vec<u8>> {
    /// id-ecPublicKey on prime256v1, and a bit string of an uncompressed point (RFC 5480).
    const P256: [u8; 27] = [
        0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
        0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
    ];
    /// id-Ed25519, and a bit string of the key (RFC 8410).
    const ED25519: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
    /// rsaEncryption with its null (RFC 3279 §2.3.1).
    const RSA: [u8; 15] = [
        0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
    ];
    let part = |name: &str| base64url::decode(jwk.get(name)?.as_str()?);
    match (jwk.get("kty")?.as_str()?, jwk.get("crv").and_then(Value::as_str)) {
        ("EC", Some("P-256")) => Some([P256.as_slice(), &part("x")?, &part("y")?].concat()),
        ("OKP", Some("Ed25519")) => Some([ED25519.as_slice(), &part("x")?].concat()),
        ("RSA", None) => {
            let key = tagged(0x30, &[integer(&part("n")?), integer(&part("e")?)].concat());
            Some(tagged(
                0x30,
                &[RSA.to_vec(), tagged(0x03, &[vec![0], key].concat())].concat(),
            ))
        }
        _ => None,
    }
}

/// A DER element (X.690 §8.1) of less than 64 KiB.
fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let [_, _, _, _, _, _, high, low] = u64::try_from(content.len()).unwrap_or(u64::MAX).to_be_bytes();
    let length = match (high, low) {
        (0, low @ ..0x80) => vec![low],
        (0, low) => vec![0x81, low],
        (high, low) => vec![0x82, high, low],
    };
    [vec![tag], length, content.to_vec()].concat()
}

/// A positive INTEGER: a zero byte before a first bit that would make it negative.
fn integer(bytes: &[u8]) -> Vec<u8> {
    let sign: &[u8] = if bytes.first().is_some_and(|first| first & 0x80 != 0) {
        &[0]
    } else {
        &[]
    };
    tagged(0x02, &[sign, bytes].concat())
}
