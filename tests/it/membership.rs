//! Membership over real daemons: an authority made with the commands and published by a daemon decides who is a peer. Nobody here has a
//! `[[peer]]` section.

mod attacks;
mod holder;

use crate::{
    evidence::bundle::Bundle,
    scenes::{brisk, entries, received_at_least, until, with},
};
use connector_tests::harness::{Connector, World, binary, offer_and, text};
use http::Method;
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

/// Lists and statuses are looked at this often.
const REFRESH: &str = "1s";
/// What must be noticed within the refresh is noticed within this, on a busy machine.
const SOON: Duration = Duration::from_secs(8);

/// An authority and the connectors that follow it. The first connector publishes it and is no member.
struct Realm {
    world: World,
    authority: Authority,
}

/// The folder of an authority, and its commands.
#[derive(Clone)]
struct Authority {
    dir: PathBuf,
    did: String,
    root: String,
}

impl Authority {
    fn init(dir: PathBuf, did: &str) -> Self {
        let mut new = Self {
            dir,
            did: did.to_owned(),
            root: String::new(),
        };
        new.root = text(&new.run("init", &["--did", did]), "root");
        new
    }

    fn try_run(&self, command: &str, arguments: &[&str]) -> Result<Value, String> {
        let mut run = Command::new(binary());
        run.args(["authority", command, "--json", "--dir"])
            .arg(&self.dir)
            .args(arguments);
        let output = run.output().expect("the command runs");
        match output.status.success() {
            true => Ok(serde_json::from_slice(&output.stdout).expect("JSON")),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }

    fn run(&self, command: &str, arguments: &[&str]) -> Value {
        self.try_run(command, arguments)
            .unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    /// Issues a credential into the folder of a connector, and returns its id.
    fn issue(&self, to: &Connector, name: &str, arguments: &[&str]) -> String {
        let out = to.dir.join(name);
        let all = [&["--subject", &to.did, "--out", out.to_str().unwrap()], arguments].concat();
        text(&self.run("issue", &all)["issued"], "id")
    }

    fn public(&self, name: &str) -> PathBuf {
        self.dir.join("public").join(name)
    }

    /// The sections of a member's configuration.
    fn section(&self, credentials: &[&str]) -> String {
        format!(
            "\n[membership]\nauthority = \"{}\"\nroot = \"{}\"\nrefresh = \"{REFRESH}\"\ncredentials = {credentials:?}\nallow_private = true\n",
            self.did, self.root
        )
    }
}

/// A configuration without the peers that `init` put into it.
fn without_peers(config: &str) -> &str {
    config.split("\n[[peer]]").next().unwrap()
}

fn configure(connector: &Connector, change: impl FnOnce(String) -> String) {
    let config = fs::read_to_string(connector.config()).unwrap();
    fs::write(connector.config(), change(without_peers(&config).to_owned())).unwrap();
}

impl Realm {
    /// An authority that a connector named `registry` publishes, and members with these names and roles. Streams of all are paced.
    async fn start(members: &[(&'static str, &[&str])], bytes_per_second: u64) -> Self {
        let names: Vec<&'static str> = ["registry"]
            .into_iter()
            .chain(members.iter().map(|(name, _)| *name))
            .collect();
        let mut world = World::init(&names);
        let registry = world.get_mut("registry");
        let did = format!("{}:authority", registry.did);
        let authority = Authority::init(registry.dir.join("authority"), &did);
        configure(registry, |config| config + "\n[authority]\ndir = \"authority\"\n");
        registry.start().await;
        for (name, roles) in members {
            let connector = world.get_mut(name);
            let roles: Vec<&str> = roles.iter().flat_map(|role| ["--role", role]).collect();
            let legal = format!("legalName={name}");
            authority.issue(
                connector,
                "membership.jwt",
                &[&roles[..], &["--claim", &legal, "--claim", "sector=education"]].concat(),
            );
            let section = authority.section(&["membership.jwt"]);
            configure(connector, |config| {
                let config = with(config, "resolver", "fresh = \"1s\"\nretry = \"1s\"");
                let config = with(config, "audit", "witness_interval = \"1s\"");
                brisk(config, bytes_per_second) + &section
            });
            connector.start().await;
        }
        let realm = Self { world, authority };
        for (name, _) in members {
            realm.admits(name).await;
        }
        realm
    }

    fn get(&self, name: &str) -> &Connector {
        self.world.get(name)
    }

    /// Waits until a connector has a list that counts and its own credentials with it.
    async fn admits(&self, name: &str) {
        until(&format!("{name} has the trust list"), async || {
            let membership = self.get(name).get("/v1/status").await["membership"].clone();
            (membership["admits"] == true && membership["ownCredentials"] == 1).then_some(())
        })
        .await;
    }
}

/// An offer that asks for a role as well.
fn for_role(role: &str) -> Value {
    offer_and(json!({"leftOperand": "dases:membership.role", "operator": "eq", "rightOperand": role}))
}

async fn catalog(of: &Connector, peer: &Connector) -> (u16, Value) {
    let path = format!("/v1/catalog?peer={}", peer.did.replace('%', "%25"));
    let (status, answer) = of.call(Method::GET, &path, None).await;
    (status.as_u16(), answer)
}

fn datasets(catalog: &Value) -> usize {
    catalog["datasets"].as_array().map_or(0, Vec::len)
}

#[tokio::test(flavor = "multi_thread")]
async fn membership_admits_and_a_missing_role_refuses() {
    let realm = Realm::start(
        &[
            ("lycee", &["DataProvider"]),
            ("agence", &["Orientation"]),
            ("edtech", &["Processor"]),
        ],
        0,
    )
    .await;
    let (lycee, agence, edtech) = (realm.get("lycee"), realm.get("agence"), realm.get("edtech"));
    lycee.publish_under(200, 20, for_role("Orientation")).await;
    lycee.consent(20, &agence.did).await;

    assert_eq!(datasets(&catalog(agence, lycee).await.1), 1);
    // A consent calls it by the name in its credential.
    let consents = lycee.get("/v1/consents?subject=l0").await;
    let id = text(&consents["consents"][0]["consent"], "id");
    let consent = lycee.get(&format!("/v1/consents/{id}")).await;
    assert_eq!(consent["record"]["dpv:hasRecipient"][0]["dpv:hasName"], "agence");
    let (status, shown) = catalog(edtech, lycee).await;
    assert_eq!(
        (status, datasets(&shown)),
        (200, 0),
        "a member, without the role: {shown}"
    );

    let agreement = agence.negotiate(lycee).await;
    let pid = agence.transfer(&agreement).await;
    agence.transfer_until(&pid, "COMPLETED").await;
    assert_eq!(
        agence.received(&pid).iter().filter(|line| line["t"] == "r").count(),
        200
    );

    // The claims that decided are in what both have signed.
    let exported = agence.cli(&["agreement", "export", &agreement, "--json"]);
    let exported = String::from_utf8_lossy(&exported.stdout).into_owned();
    let exported: Value = serde_json::from_str(&exported).unwrap_or_else(|error| panic!("{error}: {exported}"));
    let payload = connector::jose::base64url::decode(exported["document"]["payload"].as_str().unwrap()).unwrap();
    let record: Value = serde_json::from_slice(&payload).unwrap();
    let claims = concat!(
        r#"{"credential.MembershipCredential.legalName":["agence"],"credential.MembershipCredential.role":["Orientation"],"#,
        r#""credential.MembershipCredential.sector":["education"],"#,
        r#""legalName":["agence"],"role":["Orientation"],"sector":["education"]}"#
    );
    assert_eq!(
        record["claimsHash"],
        connector::jose::sha256(claims.as_bytes()).to_string()
    );

    // The consumer's evidence holds the headers that named them, and they fit what was signed.
    let file = agence.dir.join("evidence.tar");
    let out = file.to_str().unwrap();
    let collected = agence.cli(&["audit", "export", &agreement, "--out", out]);
    assert!(collected.status.success(), "{collected:?}");
    let bundle = Bundle::unpack(&fs::read(&file).unwrap());
    let named = &bundle.exhibit("ContractAgreementMessage")["headers"];
    assert_eq!(named["x-dases-claims"], record["claimsHash"]);
    assert!(named["x-dases-claims"].is_string());

    // Who asks for what it was not shown is refused by name.
    let terms = json!({"peer": lycee.did, "offer": "urn:offer:records", "dataset": "records", "address": format!("{}/dsp/2025-1", lycee.root())});
    let opened = edtech.post("/v1/negotiations", &terms).await;
    until("the request is refused", async || {
        let shown = edtech.get(&format!("/v1/negotiations/{}", text(&opened, "pid"))).await;
        shown["explanation"].to_string().contains("unknown-offer").then_some(())
    })
    .await;

    let listed = agence.get("/v1/peers").await;
    let members = listed["members"].as_array().unwrap();
    assert!(
        members.iter().any(|one| one["did"] == lycee.did.as_str()
            && one["roles"] == json!(["DataProvider"])
            && one["issuer"] == realm.authority.did.as_str()
            && one["until"].is_string()),
        "{listed}"
    );
    let admitted = entries(lycee, "member-admitted").await;
    assert_eq!(admitted.len(), 2, "{admitted:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn members_cosign_each_others_logs() {
    let realm = Realm::start(&[("lycee", &["DataProvider"]), ("agence", &["Orientation"])], 0).await;
    let (lycee, agence) = (realm.get("lycee"), realm.get("agence"));
    lycee.publish(20, 20).await;
    agence.negotiate(lycee).await;
    for member in [lycee, agence] {
        until("its checkpoint is cosigned", async || {
            let verified = member.post("/v1/audit/verify", &json!({})).await;
            (verified["cosignatures"].as_u64() >= Some(1)).then_some(())
        })
        .await;
    }
}

/// `agence` receives from `lycee`, at this pace, and has some records: the agreement, and the transfer as it calls it.
async fn streaming(bytes_per_second: u64) -> (Realm, String, String) {
    let realm = Realm::start(
        &[("lycee", &["DataProvider"]), ("agence", &["Orientation"])],
        bytes_per_second,
    )
    .await;
    let (lycee, agence) = (realm.get("lycee"), realm.get("agence"));
    lycee.publish(20_000, 20).await;
    lycee.consent(20, &agence.did).await;
    let agreement = agence.negotiate(lycee).await;
    let pid = agence.transfer(&agreement).await;
    received_at_least(agence, &pid, 50).await;
    (realm, agreement, pid)
}

#[tokio::test(flavor = "multi_thread")]
async fn membership_that_ends_stops_the_stream_within_the_refresh_on_both_sides() {
    let (realm, agreement, pid) = streaming(20_000).await;
    let (lycee, agence) = (realm.get("lycee"), realm.get("agence"));
    assert!(lycee.get("/v1/agreements").await["agreements"][0]["withoutForce"].is_null());
    let theirs = text(&agence.get(&format!("/v1/transfers/{pid}")).await, "peerPid");

    let begun = Instant::now();
    realm.authority.run("revoke", &[&agence.did, "--reason", "left"]);
    until("the provider has ended the transfer", async || {
        let shown = lycee.get(&format!("/v1/transfers/{theirs}")).await;
        shown["release"].is_object().then_some(())
    })
    .await;
    assert!(begun.elapsed() < SOON, "it took {:?}", begun.elapsed());
    let ended = lycee.transfer_until(&theirs, "TERMINATED").await;
    assert_eq!(ended["release"]["complete"], false, "{ended}");
    assert!(ended["explanation"].to_string().contains("not-a-member"), "{ended}");
    // The former member is told, in a signed message, and its own side ends too.
    agence.transfer_until(&pid, "TERMINATED").await;

    // Nothing more is agreed with it, and what was agreed has no force.
    let force = lycee.get("/v1/agreements").await["agreements"][0]["withoutForce"].clone();
    assert!(force.to_string().contains("removed it from its members"), "{force}");
    let (status, answer) = catalog(agence, lycee).await;
    assert_eq!(status, 502, "{answer}");
    assert!(answer.to_string().contains("401"), "{answer}");
    let (status, _) = agence
        .call(Method::POST, "/v1/transfers", Some(&json!({"agreement": agreement})))
        .await;
    if status.is_success() {
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert!(lycee.get("/v1/transfers").await["transfers"].as_array().unwrap().len() <= 1);
    }
    let removed = entries(lycee, "member-removed").await;
    assert_eq!((removed.len(), &removed[0]["member"]), (1, &json!(agence.did)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_a_member_no_more_is_not_read_from() {
    let (realm, _, pid) = streaming(20_000).await;
    let (lycee, agence) = (realm.get("lycee"), realm.get("agence"));
    // Only its credential is revoked: the bit in the status list.
    let id = realm.authority.run("list", &[])["credentials"][0].clone();
    assert_eq!(id["subject"], lycee.did.as_str());
    realm.authority.run("revoke", &[id["id"].as_str().unwrap()]);
    let begun = Instant::now();
    let ended = agence.transfer_until(&pid, "TERMINATED").await;
    assert!(begun.elapsed() < SOON, "it took {:?}", begun.elapsed());
    assert!(ended["explanation"].to_string().contains("revoked"), "{ended}");
    let (status, answer) = catalog(agence, lycee).await;
    assert_eq!(status, 404, "{answer}");
    assert!(answer.to_string().contains("not-a-member"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn membership_survives_a_restart_without_the_authority_until_the_list_expires() {
    let mut realm = Realm::start(&[("lycee", &["DataProvider"]), ("agence", &["Orientation"])], 0).await;
    let sequence = realm.get("lycee").get("/v1/status").await["membership"]["sequence"].clone();
    realm.world.get_mut("registry").kill();
    let lycee = realm.world.get_mut("lycee");
    lycee.stop();
    lycee.start().await;
    let membership = lycee.get("/v1/status").await["membership"].clone();
    assert_eq!(
        (
            &membership["admits"],
            &membership["sequence"],
            &membership["ownCredentials"]
        ),
        (&json!(true), &sequence, &json!(1)),
        "{membership}"
    );
    // Nor is the authority needed to find out that somebody is a member: issuer and status are known from before.
    let (status, answer) = catalog(realm.get("agence"), realm.get("lycee")).await;
    assert_eq!(status, 200, "{answer}");
    until("the failed refresh is shown", async || {
        let shown = realm.get("lycee").get("/v1/status").await["membership"].clone();
        shown["problem"]
            .is_string()
            .then(|| assert_eq!(shown["admits"], true, "{shown}"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_revoked_signs_no_more_of_a_stream_that_runs() {
    let (realm, _, pid) = streaming(60_000).await;
    let (lycee, agence) = (realm.get("lycee"), realm.get("agence"));
    let key = connector_tests::peer::Peer::of(lycee)
        .signer
        .key()
        .verifying_key()
        .thumbprint();
    realm.authority.run("trust-list", &["--revoke-key", &key.to_string()]);
    until("a line with the revoked key is refused", async || {
        agence.log().contains("no key is known under this key id").then_some(())
    })
    .await;
    let shown = agence.get(&format!("/v1/transfers/{pid}")).await;
    assert_ne!(shown["stateName"], "COMPLETED", "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_negotiation_with_a_removed_member_ends_on_both_sides() {
    let realm = Realm::start(&[("lycee", &["DataProvider"]), ("agence", &["Orientation"])], 0).await;
    let (lycee, agence) = (realm.get("lycee"), realm.get("agence"));
    lycee.publish(10, 10).await;
    let terms = json!({"peer": lycee.did, "offer": "records", "manual": true});
    let ours = text(&agence.post("/v1/negotiations", &terms).await, "pid");
    let state = async |of: &Connector, pid: &str, state: &str| {
        until(&format!("{}: {state}", of.name), async || {
            let shown = of.get(&format!("/v1/negotiations/{pid}")).await;
            (shown["stateName"] == state).then_some(shown)
        })
        .await
    };
    let theirs = text(&state(agence, &ours, "AGREED").await, "peerPid");
    realm.authority.run("revoke", &[&agence.did]);
    let ended = state(lycee, &theirs, "TERMINATED").await;
    assert!(ended["explanation"].to_string().contains("not-a-member"), "{ended}");
    state(agence, &ours, "TERMINATED").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configured_peer_that_is_a_member_has_the_claims_of_one() {
    let mut realm = Realm::start(&[("lycee", &["DataProvider"]), ("agence", &["Orientation"])], 0).await;
    let peer = realm.get("agence").did.clone();
    let lycee = realm.world.get_mut("lycee");
    lycee.stop();
    configure(lycee, |config| {
        config + &format!("\n[[peer]]\nname = \"agence\"\ndid = \"{peer}\"\nallow_private = true\n")
    });
    lycee.start().await;
    let (lycee, agence) = (realm.get("lycee"), realm.get("agence"));
    lycee.publish_under(10, 10, for_role("Orientation")).await;
    until("its role is known without its having called", async || {
        let members = lycee.get("/v1/peers").await["members"].clone();
        (members[0]["did"] == peer.as_str()).then_some(())
    })
    .await;
    assert_eq!(datasets(&catalog(agence, lycee).await.1), 1);
    // Its claims end with its membership, and it is a peer all the same.
    realm.authority.run("revoke", &[&peer]);
    until("its role is gone", async || {
        let (status, shown) = catalog(agence, lycee).await;
        (status == 200 && datasets(&shown) == 0).then_some(())
    })
    .await;
}

fn copy(from: &Path, to: &Path) {
    fs::copy(from, to).unwrap_or_else(|error| panic!("{} to {}: {error}", from.display(), to.display()));
}
