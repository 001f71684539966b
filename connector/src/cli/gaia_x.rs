//! `gaia-x`: what a participant says of itself in the form of GAIA-X, and the offline check of such credentials.

use super::{
    Context,
    exit::{Exit, Failure, Outcome},
    input, shown,
};
use crate::{
    clock,
    gaia_x::{
        self, Evidence, GaiaXError, Number, NumberKind, Offering, Participant, Refused, Registration,
        chain::{Certificates, Chain},
    },
};
use clap::{Args, Subcommand};
use serde_json::json;
use std::{
    fs, io,
    path::{Path, PathBuf},
};
use url::Url;

/// Describe this participant for GAIA-X, and check such descriptions
#[derive(Args)]
#[command(
    arg_required_else_help = true,
    after_help = "EXAMPLES:
  connector gaia-x self-description --legal-name 'Lycée Curie' --country FR --registration-number vat:FR40303265045 --dir ./gaia-x
  connector gaia-x verify gaia-x/presentation.jwt --did-document did.json --chain chain.pem --anchors anchors.pem
"
)]
pub(super) struct GaiaX {
    #[command(subcommand)]
    command: GaiaXCommand,
}

#[derive(Subcommand)]
enum GaiaXCommand {
    SelfDescription(Box<SelfDescription>),
    Verify(Verify),
}

/// Sign what this participant says of itself: legal person, terms, registration number, perhaps a service
///
/// Credentials of the Loire form (W3C VC 2.0 as JWT), signed with the connector's own key, and a presentation that envelops them, valid
/// for ten minutes. A clearing house takes it from there; without one they say no more than that the holder of the key says so. A
/// registration number from --registration-number is marked as self-declared, one from --registration-credential is a notary's.
#[derive(Args)]
#[command(after_help = "EXAMPLES:
  connector gaia-x self-description --legal-name 'Lycée Curie' --country FR --registration-number vat:FR40303265045
  connector gaia-x self-description --legal-name 'EdTech X' --country FR --registration-credential lrn.jwt --dir ./gaia-x
  connector gaia-x self-description --legal-name 'EdTech X' --country FR --registration-number lei:529900T8BM49AURSDO55 --offering 'Skills records' --terms-url https://edtech.example/terms --terms-hash 2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae
")]
struct SelfDescription {
    /// The legal name
    #[arg(long)]
    legal_name: String,
    /// Country of the legal address, as the two letters of ISO 3166-1
    #[arg(long, value_name = "CC")]
    country: String,
    /// Country of the headquarters [default: that of the legal address]
    #[arg(long, value_name = "CC")]
    headquarters: Option<String>,
    /// The registration number: vat, lei, eori, euid or tax-id, a colon, and the number
    #[arg(long, value_name = "KIND:VALUE", value_parser = number, required_unless_present = "registration_credential")]
    registration_number: Option<Number>,
    /// A notary's credential of the registration number, as a JWT
    #[arg(long, value_name = "FILE", conflicts_with = "registration_number")]
    registration_credential: Option<PathBuf>,
    /// Describe a service too: its name
    #[arg(long, value_name = "NAME", requires = "terms_url", requires = "terms_hash")]
    offering: Option<String>,
    /// Where the service's terms and conditions are
    #[arg(long, value_name = "URL", requires = "offering")]
    terms_url: Option<Url>,
    /// SHA-256 of the service's terms and conditions, hexadecimal
    #[arg(long, value_name = "HEX", requires = "offering")]
    terms_hash: Option<String>,
    /// The folder to write them to, one file each; without it the presentation is printed
    #[arg(long)]
    dir: Option<PathBuf>,
}

/// Check credentials and presentations; needs no daemon and no network
///
/// In this order, up to the first failure: envelope, type and algorithm; issuer; DID document; key and its purpose; certificates, if the key
/// names any or some are given; time; then what the credentials say of each other (ids, holder, registration number, issuer and digests of a label).
#[derive(Args)]
#[command(after_help = "EXAMPLES:
  connector gaia-x verify presentation.jwt --did-document did.json --chain chain.pem --anchors anchors.pem
  connector gaia-x verify legal-person.jwt issuer.jwt --did-document did.json --json
")]
struct Verify {
    /// JWTs of credentials or presentations; - for standard input
    #[arg(required = true)]
    file: Vec<PathBuf>,
    /// The DID document of a signer; repeat for more
    #[arg(long, value_name = "FILE", required = true)]
    did_document: Vec<PathBuf>,
    /// Certificates of a signing key, as its x5u serves them; repeat for more signers
    #[arg(long, value_name = "FILE")]
    chain: Vec<PathBuf>,
    /// Certificates in which a chain may end
    #[arg(long, value_name = "FILE")]
    anchors: Option<PathBuf>,
}

fn number(text: &str) -> Result<Number, String> {
    let known = |name: &str| {
        NumberKind::ALL
            .into_iter()
            .find(|(known, _)| *known == name)
            .map(|(_, kind)| kind)
    };
    let (kind, value) = text
        .split_once(':')
        .and_then(|(name, value)| Some((known(name)?, value)))
        .ok_or_else(|| {
            let names: Vec<_> = NumberKind::ALL.iter().map(|(name, _)| format!("{name}:…")).collect();
            format!("expected one of {}", names.join(", "))
        })?;
    Ok(Number {
        kind,
        value: value.to_owned(),
    })
}

impl GaiaX {
    pub(super) fn run(self, context: &Context) -> Outcome {
        match self.command {
            GaiaXCommand::SelfDescription(command) => command.run(context),
            GaiaXCommand::Verify(command) => command.run(context),
        }
    }
}

impl SelfDescription {
    fn run(self, context: &Context) -> Outcome {
        let keyring = context.config()?.keyring()?;
        let signer = keyring.active();
        let description =
            gaia_x::describe(signer, &self.participant()?, clock::now()).map_err(|error| refused(&error))?;
        let Some(dir) = &self.dir else {
            return context.out.line(&description.presentation);
        };
        fs::create_dir_all(dir)?;
        let named = description.credentials.iter().map(|(name, token)| (*name, token));
        let mut files = Vec::new();
        for (name, token) in named.chain([("presentation", &description.presentation)]) {
            let path = dir.join(format!("{name}.jwt"));
            fs::write(&path, format!("{token}\n"))?;
            files.push(shown(&path));
        }
        if context.out.json {
            return context
                .out
                .json(&json!({"did": signer.did(), "kid": signer.kid(), "files": files}));
        }
        for file in &files {
            context.out.line(file)?;
        }
        if self.registration_number.is_some() {
            context.out.line(
                "\nThe registration number is self-declared: a clearing house asks for a notary's credential of it.",
            )?;
        }
        Ok(())
    }

    fn participant(&self) -> Outcome<Participant> {
        let registration = match (&self.registration_number, &self.registration_credential) {
            (Some(number), _) => Registration::SelfDeclared(number.clone()),
            (None, Some(path)) => Registration::Notarised(token(path)?),
            (None, None) => return Err(Failure::usage("there is no registration number")),
        };
        let offering = match (&self.offering, &self.terms_url, &self.terms_hash) {
            (Some(name), Some(url), Some(hash)) => Some(Offering {
                name: name.clone(),
                terms_url: url.clone(),
                terms_hash: hash.clone(),
            }),
            _ => None,
        };
        Ok(Participant {
            legal_name: self.legal_name.clone(),
            country: self.country.clone(),
            headquarters: self.headquarters.as_ref().unwrap_or(&self.country).clone(),
            registration,
            offering,
        })
    }
}

impl Verify {
    fn run(self, context: &Context) -> Outcome {
        let named = |path: &PathBuf| Ok((path.display().to_string(), token(path)?));
        let tokens = self.file.iter().map(named).collect::<Outcome<Vec<_>>>()?;
        let evidence = self.evidence()?;
        let checked = gaia_x::verify(&tokens, &evidence, clock::now()).map_err(|error| does_not_verify(&error))?;
        if context.out.json {
            return context.out.json(&json!({ "credentials": checked }));
        }
        for one in &checked {
            context.out.details(&json!(one))?;
            context.out.line("")?;
        }
        context.out.say(&format!("{} verified", checked.len()))
    }

    fn evidence(&self) -> Outcome<Evidence> {
        let chain = |path: &PathBuf, what| {
            Chain::from_pem(&input::bytes(path)?, what)
                .map_err(|error| Failure::usage(format!("{}: {error}", path.display())))
        };
        Ok(Evidence {
            documents: self
                .did_document
                .iter()
                .map(|path| input::json(path))
                .collect::<Outcome<_>>()?,
            certificates: Certificates {
                chains: self
                    .chain
                    .iter()
                    .map(|path| chain(path, "--chain"))
                    .collect::<Outcome<_>>()?,
                anchors: self.anchors.as_ref().map(|path| chain(path, "--anchors")).transpose()?,
            },
        })
    }
}

/// A JWT in a file of its own.
fn token(path: &Path) -> Outcome<String> {
    let text = String::from_utf8(input::bytes(path)?).map_err(io::Error::other)?;
    Ok(text.trim().to_owned())
}

fn refused(error: &GaiaXError) -> Failure {
    Failure::usage(error.to_string())
}

fn does_not_verify(refused: &Refused) -> Failure {
    let name = refused.error.name();
    Failure::new(Exit::Verification, format!("{name}: {refused}"))
        .code(name)
        .next("do not rely on it; ask whoever gave it to you for a new one")
}
