//! `authority`: running a governance authority. Its state is a folder; no daemon is asked.

use super::{
    Context,
    exit::{Exit, Failure, Outcome},
    output::items,
    shown,
};
use crate::{
    authority::{Authority as Governance, AuthorityError, PUBLIC, Wanted},
    clock, config,
    dsp::ParticipantId,
    jose::{Digest, sha256},
    trust::membership::{
        held::{MEMBERSHIP, ROLE},
        list::{Issuer, RevokedKey},
    },
};
use clap::{Args, Subcommand, ValueEnum};
use policy::Timestamp;
use serde_json::json;
use std::{
    collections::BTreeMap,
    fs::OpenOptions,
    io::Write,
    path::{Path, PathBuf},
    time::Duration,
};
use url::Url;

/// Run a governance authority: issue and revoke credentials of membership, sign the trust list
///
/// Everything is in one folder. `public/` in it is for any web server, or for a daemon with a section `[authority]`; the rest is for its
/// owner alone. The root key (root.pem) signs the trust list and nothing else: keep it elsewhere, and put it back to sign.
#[derive(Args)]
#[command(
    arg_required_else_help = true,
    after_help = "EXAMPLES:
  connector authority init --dir ./authority --did did:web:gouvernance.example
  connector authority issue --subject did:web:lycee.example --role DataProvider --claim legalName='Lycée Curie' --out membership.jwt
  connector authority trust-list --dir ./authority --valid 7d
  connector authority revoke --dir ./authority did:web:lycee.example --reason 'left the association'
"
)]
pub(super) struct Authority {
    #[command(subcommand)]
    command: AuthorityCommand,
}

#[derive(Args)]
struct Place {
    /// The authority's folder
    #[arg(long, value_name = "DIR", default_value = "authority")]
    dir: PathBuf,
}

#[derive(Subcommand)]
enum AuthorityCommand {
    /// Make an authority: its keys, DID document, first trust list and status list
    #[command(
        after_help = "EXAMPLES:\n  connector authority init --did did:web:gouvernance.example\n  connector authority init --dir ./authority --did did:web:localhost%3A8443:authority\n"
    )]
    Init {
        #[command(flatten)]
        place: Place,
        /// Who the authority is; with a path (…:authority) if a connector on the same host publishes it
        #[arg(long)]
        did: ParticipantId,
        /// Where public/ is published [default: where the DID's document is]
        #[arg(long, value_name = "URL")]
        url: Option<Url>,
    },
    /// Issue a credential
    #[command(
        after_help = "EXAMPLES:\n  connector authority issue --subject did:web:lycee.example --type membership --role DataProvider --out membership.jwt\n  connector authority issue --subject did:web:edtech.example --type role --role Processor --claim purposesAllowed=orientation --claim purposesAllowed=insertion --valid 90d\n"
    )]
    Issue(Box<Issue>),
    /// Revoke a credential by its id, or all of a participant, which is then a member no more
    #[command(
        after_help = "EXAMPLES:\n  connector authority revoke did:web:lycee.example --reason 'left the association'\n  connector authority revoke urn:uuid:0198f2c4-7a31-7d20-8f00-3b6c1a9e5d11\n"
    )]
    Revoke {
        #[command(flatten)]
        place: Place,
        /// The participant's DID, or the credential's id
        what: String,
        /// Why, for the authority's own register
        #[arg(long)]
        reason: Option<String>,
    },
    /// Sign the next trust list, with changes if there are any; the status lists are signed anew too
    #[command(
        after_help = "EXAMPLES:\n  connector authority trust-list\n  connector authority trust-list --valid 2d --add-issuer did:web:academie.example=RoleCredential\n  connector authority trust-list --revoke-key oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U\n"
    )]
    TrustList(Box<Renewal>),
    /// Show what was issued, and the root key's thumbprint that connectors pin
    #[command(
        after_help = "EXAMPLES:\n  connector authority list\n  connector authority list --dir ./authority --json\n"
    )]
    List {
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Args)]
struct Issue {
    #[command(flatten)]
    place: Place,
    /// About whom
    #[arg(long)]
    subject: ParticipantId,
    /// What kind
    #[arg(long, value_name = "TYPE", default_value = "membership")]
    r#type: Kind,
    /// A role, such as DataProvider; repeat for more
    #[arg(long, value_name = "ROLE")]
    role: Vec<String>,
    /// Something else that it says; the same name again makes a list
    #[arg(long, value_name = "NAME=VALUE", value_parser = claim)]
    claim: Vec<(String, String)>,
    /// How long it counts, in days (365d) or hours (12h)
    #[arg(long, default_value = "365d", value_parser = period)]
    valid: Duration,
    /// Where to put it [default: on the screen]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Args)]
struct Renewal {
    #[command(flatten)]
    place: Place,
    /// How long the list counts; seven days at most
    #[arg(long, default_value = "7d", value_parser = period)]
    valid: Duration,
    /// Let someone issue these types of credential, with this key alone if one is named
    #[arg(long, value_name = "DID=TYPE[,TYPE][@JKT]", value_parser = issuer)]
    add_issuer: Vec<Issuer>,
    /// Let an issuer issue nothing more; what it issued counts no more
    #[arg(long, value_name = "DID")]
    remove_issuer: Vec<ParticipantId>,
    /// A key that counts no more, by its thumbprint, from now on or from a time on
    #[arg(long, allow_hyphen_values = true, value_name = "JKT[=TIME]", value_parser = revoked_key)]
    revoke_key: Vec<(Digest, Option<Timestamp>)>,
    /// A participant that is a member no more, whoever issued its credentials
    #[arg(long, value_name = "DID")]
    remove_member: Vec<ParticipantId>,
    /// A participant that may be a member again; it needs a new credential
    #[arg(long, value_name = "DID")]
    readmit: Vec<ParticipantId>,
    /// The rulebook: its hash goes into the list, into credentials and into members' agreements
    #[arg(long, value_name = "FILE")]
    rulebook: Option<PathBuf>,
    /// The oldest version of the Dataspace Protocol that members speak
    #[arg(long, value_name = "VERSION")]
    minimum_protocol: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    /// Makes its subject a member
    Membership,
    /// Says what a member does
    Role,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Membership => MEMBERSHIP,
            Self::Role => ROLE,
        }
    }
}

fn claim(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if policy::is_claim(name) && !value.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE, the name a letter followed by letters, digits, - and _".to_owned()),
    }
}

fn period(text: &str) -> Result<Duration, String> {
    let possible = Duration::from_secs(1)..=Duration::from_secs(3_660 * 86_400);
    config::parse_period(text)
        .filter(|period| possible.contains(period))
        .ok_or_else(|| "expected a number of days or hours, such as 365d or 12h".to_owned())
}

fn issuer(text: &str) -> Result<Issuer, String> {
    let expected = || "expected DID=TYPE[,TYPE][@JKT], such as did:web:academie.example=RoleCredential".to_owned();
    let (did, rest) = text.split_once('=').ok_or_else(expected)?;
    let (types, jkt) = rest
        .split_once('@')
        .map_or((rest, None), |(types, jkt)| (types, Some(jkt)));
    if types.split(',').any(str::is_empty) {
        return Err(expected());
    }
    Ok(Issuer {
        did: did.parse().map_err(|error| format!("{error}; {}", expected()))?,
        types: types.split(',').map(str::to_owned).collect(),
        valid_from: None,
        valid_until: None,
        jkts: jkt
            .map(|jkt| jkt.parse().map_err(|error| format!("{error}; {}", expected())))
            .transpose()?
            .into_iter()
            .collect(),
    })
}

fn revoked_key(text: &str) -> Result<(Digest, Option<Timestamp>), String> {
    let (jkt, time) = text
        .split_once('=')
        .map_or((text, None), |(jkt, time)| (jkt, Some(time)));
    let jkt = jkt.parse().map_err(|error| format!("the thumbprint is {error}"))?;
    let time = time
        .map(|time| time.parse().map_err(|error| format!("{error}")))
        .transpose()?;
    Ok((jkt, time))
}

impl From<AuthorityError> for Failure {
    fn from(error: AuthorityError) -> Self {
        let exit = match error {
            AuthorityError::Unknown(_) => Exit::NotFound,
            AuthorityError::Did(_) | AuthorityError::Invalid(_) => Exit::Usage,
            _ => Exit::Failed,
        };
        let text = format!("{error}; nothing was published");
        match &error {
            AuthorityError::Missing(path) if path.ends_with("root.pem") => {
                Self::new(exit, text).next("put the root key back into the folder for as long as it signs the list")
            }
            AuthorityError::Missing(_) => {
                Self::new(exit, text).next("name the folder with --dir, or make one with: connector authority init")
            }
            AuthorityError::Occupied(_) => Self::new(exit, text).next("choose another folder with --dir"),
            _ => Self::new(exit, text),
        }
    }
}

impl Authority {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let now = clock::now();
        match self.command {
            AuthorityCommand::Init { place, did, url } => init(context, &place.dir, did, url, now),
            AuthorityCommand::Issue(issue) => issue.run(context, now),
            AuthorityCommand::Revoke { place, what, reason } => {
                let mut authority = Governance::open(&place.dir)?;
                let count = authority.revoke(&what, reason.as_deref(), now)?;
                context
                    .out
                    .details(&json!({"revoked": what, "credentials": count, "list": authority.register().list}))
            }
            AuthorityCommand::TrustList(renewal) => renewal.run(context, now),
            AuthorityCommand::List { place } => list(context, &place.dir),
        }
    }
}

fn init(context: &Context, dir: &Path, did: ParticipantId, url: Option<Url>, now: Timestamp) -> Outcome {
    let authority = Governance::init(dir, did, url, now)?;
    let (register, root) = (authority.register(), authority.root()?);
    let public = dir.join(PUBLIC);
    let section = format!("[membership]\nauthority = \"{}\"\nroot = \"{root}\"\n", register.did);
    if context.out.json {
        return context.out.json(
            &json!({"did": register.did, "root": root, "url": register.url, "public": public, "section": section}),
        );
    }
    context.out.say(&format!(
        "{} is made in {}\n  root key: {root}\n  publish {} at {}: with any web server, or with a daemon that has\n    [authority]\n    dir = {:?}\n  \
         every connector that follows it has\n    {}\n  next: connector authority issue --dir {} --subject DID --role ROLE --out membership.jwt",
        register.did,
        dir.display(),
        public.display(),
        register.url,
        std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned()),
        section.trim_end().replace('\n', "\n    "),
        shown(dir),
    ))
}

impl Issue {
    fn run(self, context: &Context, now: Timestamp) -> Outcome {
        let mut claims: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in self.claim {
            claims.entry(name).or_default().push(value);
        }
        if claims.contains_key("role") {
            return Err(Failure::usage("roles are given with --role"));
        }
        if let Some(out) = self.out.as_ref().filter(|out| out.exists()) {
            return Err(Failure::usage(format!("{} exists; nothing was issued", out.display())));
        }
        let wanted = Wanted {
            subject: self.subject,
            r#type: self.r#type.name(),
            roles: self.role.into_iter().collect(),
            claims,
            valid: self.valid,
        };
        let (issued, token) = Governance::open(&self.place.dir)?.issue(&wanted, now)?;
        if let Some(out) = &self.out {
            write(out, &token)?;
        }
        if context.out.json {
            return context
                .out
                .json(&json!({"issued": issued, "credential": token, "file": self.out}));
        }
        match &self.out {
            None => context.out.line(&token),
            Some(out) => context.out.say(&format!(
                "{} for {} is in {}\n  next: give it to the participant, which lists it under [membership] credentials",
                issued.r#type,
                issued.subject,
                out.display()
            )),
        }
    }
}

fn write(out: &Path, token: &str) -> Outcome {
    let mut options = OpenOptions::new();
    let written = options.write(true).create_new(true).open(out).and_then(|mut file| {
        file.write_all(token.as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()
    });
    written.map_err(|error| {
        Failure::new(
            Exit::Failed,
            format!("{}: {error}; the credential is in the register", out.display()),
        )
    })
}

impl Renewal {
    fn run(self, context: &Context, now: Timestamp) -> Outcome {
        let rulebook = match &self.rulebook {
            None => None,
            Some(path) => {
                let content = std::fs::read(path);
                let content = content.map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
                Some(sha256(&content))
            }
        };
        let mut authority = Governance::open(&self.place.dir)?;
        let register = authority.register_mut();
        let replaced = |issuer: &Issuer| {
            !self.remove_issuer.contains(&issuer.did) && !self.add_issuer.iter().any(|new| new.did == issuer.did)
        };
        register.issuers.retain(replaced);
        register.issuers.extend(self.add_issuer.iter().cloned());
        for (jkt, time) in self.revoke_key {
            register.revoked_jkts.retain(|revoked| revoked.jkt != jkt);
            register.revoked_jkts.push(RevokedKey {
                jkt,
                not_after: time.unwrap_or(now),
            });
        }
        register.revoked_members.extend(self.remove_member);
        register.revoked_members.retain(|member| !self.readmit.contains(member));
        register.rulebook = rulebook.or(register.rulebook);
        if let Some(version) = self.minimum_protocol {
            register.minimum_protocol = version;
        }
        let signed = authority.publish_list(self.valid, now)?;
        context.out.details(&json!(signed.list))
    }
}

fn list(context: &Context, dir: &Path) -> Outcome {
    let authority = Governance::open(dir)?;
    // Where the root key is kept elsewhere, its thumbprint is in every connector's configuration.
    let root = authority.root().ok();
    let mut shown = json!(authority.register());
    if let (Some(members), Some(root)) = (shown.as_object_mut(), root) {
        members.insert("root".into(), json!(root));
    }
    if !context.out.json {
        let root = root.map_or_else(|| "not here".to_owned(), |root| root.to_string());
        context
            .out
            .line(&format!("{}  root key: {root}\n", authority.register().did))?;
    }
    let columns = [
        ("SUBJECT", &["subject"] as &[_]),
        ("TYPE", &["type"]),
        ("ROLES", &["roles"]),
        ("UNTIL", &["validUntil"]),
        ("REVOKED", &["/revoked/at"]),
        ("ID", &["id"]),
    ];
    let rows = items(&shown, "credentials").to_vec();
    context.out.table(
        &shown,
        &rows,
        &columns,
        "nothing was issued: connector authority issue --subject DID",
    )
}
