//! The development authority and the certificates that it signs.

use super::{
    super::exit::{Exit, Failure, Outcome},
    cannot_make,
};
use policy::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, SanType,
};
use rustls::{
    RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier},
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
};
use std::{
    fs,
    net::{Ipv4Addr, Ipv6Addr},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use time::OffsetDateTime;

/// The subject of every development authority. It is fixed: an authority that is loaded again must name itself as in its certificate.
const NAME: &str = "Connector development authority";
const DAY: Duration = Duration::from_secs(86_400);

/// A certificate and its key, in PEM.
pub(super) struct Leaf {
    pub(super) certificate: String,
    pub(super) key: String,
}

/// An authority for the machines of one developer.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
    /// Where it was read from; none for a new one.
    folder: Option<PathBuf>,
}

impl Authority {
    /// A new authority, valid for ten years.
    pub(super) fn new(now: Timestamp) -> Outcome<Self> {
        let make = || -> Result<Self, rcgen::Error> {
            let key = key_pair()?;
            let mut params = params();
            (params.not_before, params.not_after) = validity(now, 3650);
            let certificate = params.self_signed(&key)?.pem();
            Ok(Self {
                issuer: Issuer::new(params, key),
                certificate,
                folder: None,
            })
        };
        make().map_err(|error| cannot_make("the development authority", &error))
    }

    /// The authority that an earlier `init` made in this folder.
    pub(super) fn load(folder: &Path) -> Outcome<Self> {
        let read = |name: &str| {
            let path = folder.join(name);
            fs::read_to_string(&path).map_err(|error| {
                Failure::new(Exit::NotFound, format!("{}: {error}", path.display()))
                    .next("--ca takes the folder of an earlier `connector init`, with ca.pem and ca-key.pem")
            })
        };
        let certificate = read("ca.pem")?;
        let key = KeyPair::from_pem(&read("ca-key.pem")?).map_err(|_| {
            Failure::usage(format!(
                "{} is not a private key in PEM",
                folder.join("ca-key.pem").display()
            ))
        })?;
        Ok(Self {
            issuer: Issuer::new(params(), key),
            certificate,
            folder: Some(folder.to_owned()),
        })
    }

    /// A certificate for a server on this host, valid for one year.
    pub(super) fn issue(&self, host: &str, now: Timestamp) -> Outcome<Leaf> {
        let make = || -> Result<(String, CertificateDer<'static>, String), rcgen::Error> {
            let key = key_pair()?;
            let mut params = CertificateParams::new(vec![host.to_owned()])?;
            if host == "localhost" {
                params
                    .subject_alt_names
                    .push(SanType::IpAddress(Ipv4Addr::LOCALHOST.into()));
                params
                    .subject_alt_names
                    .push(SanType::IpAddress(Ipv6Addr::LOCALHOST.into()));
            }
            params.distinguished_name = rcgen::DistinguishedName::new();
            params.distinguished_name.push(DnType::CommonName, host);
            params.use_authority_key_identifier_extension = true;
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            (params.not_before, params.not_after) = validity(now, 365);
            let certificate = params.signed_by(&key, &self.issuer)?;
            Ok((certificate.pem(), certificate.der().clone(), key.serialize_pem()))
        };
        let (certificate, der, key) = make().map_err(|error| cannot_make("the certificate", &error))?;
        self.prove(&der, host, now)?;
        Ok(Leaf { certificate, key })
    }

    /// Verifies a certificate as a peer would: an authority with another name or key than its certificate's would sign in vain.
    fn prove(&self, leaf: &CertificateDer<'_>, host: &str, now: Timestamp) -> Outcome {
        let verified = verify(&self.certificate, leaf, host, now);
        let place = self.folder.as_deref().unwrap_or_else(|| Path::new("."));
        verified.map_err(|error| {
            Failure::usage(format!("{} cannot sign for {host}: {error}", place.join("ca.pem").display()))
                .next("--ca takes the folder of an earlier `connector init`; certificates of another authority go into tls.pem by hand")
        })
    }

    /// The authority's certificate in PEM.
    pub(super) fn certificate(&self) -> &str {
        &self.certificate
    }

    /// The authority's key in PEM.
    pub(super) fn key(&self) -> String {
        self.issuer.key().serialize_pem()
    }
}

/// Whether a client that trusts the authority in `root` (PEM) would believe this server certificate.
pub(super) fn verify(root: &str, leaf: &CertificateDer<'_>, host: &str, now: Timestamp) -> Result<(), String> {
    let mut roots = RootCertStore::empty();
    let root =
        CertificateDer::from_pem_slice(root.as_bytes()).map_err(|_| "it is not a certificate in PEM".to_owned())?;
    roots.add(root).map_err(|error| error.to_string())?;
    let verifier =
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::new(aws_lc_rs::default_provider()))
            .build()
            .map_err(|error| error.to_string())?;
    let name = ServerName::try_from(host).map_err(|error| error.to_string())?;
    let seconds = u64::try_from(now.seconds()).unwrap_or(0);
    let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    verifier
        .verify_server_cert(leaf, &[], &name, &[], now)
        .map(|_| ())
        .map_err(|error| error.to_string())
}

fn key_pair() -> Result<KeyPair, rcgen::Error> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)
}

fn params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, NAME);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// From yesterday, for clocks that are behind, for so many days.
fn validity(now: Timestamp, days: u32) -> (OffsetDateTime, OffsetDateTime) {
    let at = |instant: Timestamp| {
        OffsetDateTime::from_unix_timestamp(instant.seconds()).unwrap_or(OffsetDateTime::UNIX_EPOCH)
    };
    (at(now.minus(DAY)), at(now.plus(DAY * days)))
}
