//! What a forger, a former authority, another issuer or a false member tries. Of every attack is asked that nobody becomes a peer by it,
//! and that the connector says why.

use super::{Authority, Realm, SOON, catalog, configure, copy, holder::Holder, until};
use connector::{
    clock,
    jose::{
        Signer, SigningKey,
        credential::{self, CONTEXT, Form},
    },
    trust::membership::{
        held::MEMBERSHIP,
        presentation,
        status::{Bits, StatusList},
    },
};
use connector_tests::{
    harness::{Connector, free},
    peer::catalog_request,
};
use policy::Timestamp;
use serde_json::{Value, json};
use std::{fs, path::Path, slice, time::Duration};

/// Waits for what the status says about membership.
async fn status(of: &Connector, what: &str, is: impl Fn(&Value) -> bool) -> Value {
    until(&format!("{}: {what}", of.name), async || {
        let shown = of.get("/v1/status").await["membership"].clone();
        is(&shown).then_some(shown)
    })
    .await
}

fn problem(shown: &Value) -> &str {
    shown["problem"].as_str().unwrap_or_default()
}

fn key(path: &Path) -> SigningKey {
    SigningKey::from_pem(&fs::read(path).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn membership_lists_that_are_forged_rolled_back_or_expired_do_not_count() {
    let realm = Realm::start(&[("lycee", &["DataProvider"]), ("agence", &["Orientation"])], 0).await;
    let (lycee, agence, authority) = (realm.get("lycee"), realm.get("agence"), &realm.authority);
    let (list, document) = (authority.public("trust-list.jws"), authority.public("did.json"));
    let old = realm.world.folder.path().join("old.jws");
    copy(&list, &old);
    let true_document = realm.world.folder.path().join("did.json");
    copy(&document, &true_document);
    assert_eq!(catalog(agence, lycee).await.0, 200);

    // Whoever takes the web server over can put a list and a DID document of its own there: the pin does not know its key.
    let forger = Authority::init(realm.world.folder.path().join("forger"), &authority.did);
    copy(&forger.public("trust-list.jws"), &list);
    status(lycee, "a list of another key", |shown| {
        problem(shown).contains("signature does not match")
    })
    .await;
    copy(&forger.public("did.json"), &document);
    let shown = status(lycee, "with its document", |shown| problem(shown).contains("root key")).await;
    assert_eq!(
        shown["admits"], true,
        "the last list counts until its nextUpdate: {shown}"
    );
    copy(&true_document, &document);

    // A newer list, then the old one again.
    let newer = authority.run("trust-list", &[]);
    status(lycee, "the newer list", |shown| shown["sequence"] == newer["sequence"]).await;
    copy(&old, &list);
    let shown = status(lycee, "a list that was rolled back", |shown| {
        problem(shown).contains("rolled back")
    })
    .await;
    assert_eq!(shown["sequence"], newer["sequence"]);

    // A list with the next number that expires: nobody is a member until there is a new one.
    authority.run("trust-list", &["--valid", "3s"]);
    status(lycee, "an expired list", |shown| {
        shown["admits"] == false && problem(shown).contains("expired")
    })
    .await;
    let (code, answer) = catalog(agence, lycee).await;
    assert_ne!(code, 200, "{answer}");
    authority.run("trust-list", &[]);
    status(lycee, "a new list", |shown| shown["admits"] == true).await;
    status(agence, "a new list", |shown| shown["admits"] == true).await;
    assert_eq!(catalog(agence, lycee).await.0, 200);
}

/// What a connector whose own credential is this one is told when it calls the lycée.
async fn told(realm: &mut Realm, prepare: impl FnOnce(&Authority, &Connector)) -> (u16, String) {
    let name = "agence";
    realm.world.get_mut(name).stop();
    fs::remove_file(realm.get(name).dir.join("membership.jwt")).unwrap();
    prepare(&realm.authority, realm.get(name));
    realm.world.get_mut(name).start().await;
    status(realm.get(name), "the list", |shown| shown["admits"] == true).await;
    // A refusal that the lycée remembers from before must have been forgotten.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let (code, answer) = catalog(realm.get(name), realm.get("lycee")).await;
    (code, answer.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn membership_credentials_that_do_not_count_admit_nobody() {
    let mut realm = Realm::start(&[("lycee", &["DataProvider"]), ("agence", &["Orientation"])], 0).await;
    let other = Authority::init(realm.world.folder.path().join("other"), "did:web:other.example");
    type Spoil = Box<dyn FnOnce(&Authority, &Connector)>;
    let cases: [(&str, &str, Spoil); 5] = [
        (
            "of an issuer that is not on the list",
            "not on the trust list",
            Box::new(move |_, to| drop(other.issue(to, "membership.jwt", &[]))),
        ),
        (
            "of another subject",
            "not about who presents it",
            Box::new(|authority, to| {
                let out = to.dir.join("membership.jwt");
                authority.run(
                    "issue",
                    &["--subject", "did:web:somebody.example", "--out", out.to_str().unwrap()],
                );
            }),
        ),
        (
            "of no membership",
            "no membership credential",
            Box::new(|authority, to| drop(authority.issue(to, "membership.jwt", &["--type", "role", "--role", "X"]))),
        ),
        (
            "revoked",
            "revoked",
            Box::new(|authority, to| {
                let id = authority.issue(to, "membership.jwt", &[]);
                authority.run("revoke", &[&id]);
            }),
        ),
        (
            "that has expired",
            "expired",
            Box::new(|authority, to| {
                authority.issue(to, "membership.jwt", &["--valid", "1s"]);
                // Clocks may differ by a minute, but what ended is over here at once.
                std::thread::sleep(Duration::from_millis(1_100));
            }),
        ),
    ];
    for (name, reason, prepare) in cases {
        let (code, answer) = told(&mut realm, prepare).await;
        assert_eq!(code, 502, "{name}: {answer}");
        assert!(answer.contains("401"), "{name}: {answer}");
        let log = realm.get("lycee").log();
        assert!(
            log.contains(reason) || answer.contains(reason) || reason == "expired",
            "{name}: {answer}\n{log}"
        );
    }
    let (code, answer) = told(&mut realm, |authority, to| {
        drop(authority.issue(to, "membership.jwt", &[]))
    })
    .await;
    assert_eq!(code, 200, "and a good one does: {answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_issues_what_the_list_lets_it_and_nothing_else() {
    let realm = Realm::start(&[("lycee", &["DataProvider"]), ("agence", &["Orientation"])], 0).await;
    let (lycee, agence, authority) = (realm.get("lycee"), realm.get("agence"), &realm.authority);
    assert_eq!(catalog(agence, lycee).await.0, 200);
    let roles_only = format!("{}=RoleCredential", authority.did);
    authority.run("trust-list", &["--add-issuer", &roles_only]);
    let begun = std::time::Instant::now();
    until("the members are members no more", async || {
        (catalog(agence, lycee).await.0 != 200).then_some(())
    })
    .await;
    assert!(begun.elapsed() < SOON);
    let both = format!("{}=MembershipCredential,RoleCredential", authority.did);
    authority.run("trust-list", &["--add-issuer", &both]);
    until("and are again", async || {
        (catalog(agence, lycee).await.0 == 200).then_some(())
    })
    .await;
    let jkt = key(&authority.dir.join("issuer.pem"))
        .verifying_key()
        .thumbprint()
        .to_string();
    authority.run("trust-list", &["--revoke-key", &jkt]);
    until("a revoked key signs nothing", async || {
        (catalog(agence, lycee).await.0 != 200).then_some(())
    })
    .await;
}

/// A status list, signed by this signer, with these bits instead of its own.
fn status_list(signer: &Signer, address: &str, encoded: Option<&str>) -> String {
    let mut claims = StatusList::claims(&address.parse().unwrap(), signer.did(), &Bits::clear()).unwrap();
    claims.insert("@context".into(), json!([CONTEXT]));
    claims.insert("validFrom".into(), json!(clock::now()));
    if let Some(encoded) = encoded {
        claims["credentialSubject"]["encodedList"] = encoded.into();
    }
    credential::issue(signer, Form::Credential, &Value::Object(claims)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn status_lists_that_are_not_the_issuers_or_are_bombs_admit_nobody() {
    let mut realm = Realm::start(&[("lycee", &["DataProvider"]), ("agence", &["Orientation"])], 0).await;
    assert_eq!(catalog(realm.get("agence"), realm.get("lycee")).await.0, 200);
    let authority = realm.authority.clone();
    let address = format!("{}/authority/status/1.jwt", realm.get("registry").root());
    let true_list = fs::read(authority.public("status/1.jwt")).unwrap();
    let issuer = |dir: &Path, did: &str| Signer::new(&format!("{did}#issuer"), key(&dir.join("issuer.pem"))).unwrap();
    let own = issuer(&authority.dir, &authority.did);
    let other = Authority::init(realm.world.folder.path().join("other"), "did:web:other.example");
    let foreign = issuer(&other.dir, &other.did);
    // What the product itself would not make: 16 MiB of zeros.
    let bomb = pack(&vec![0; 16 << 20]);
    assert!(bomb.len() < 100_000, "{}", bomb.len());
    let write = |text: &str| fs::write(authority.public("status/1.jwt"), text).unwrap();
    for (name, list) in [
        ("another issuer's", status_list(&foreign, &address, None)),
        (
            "another list's",
            status_list(&own, &address.replace("/1.", "/2."), None),
        ),
        ("a bomb", status_list(&own, &address, Some(&bomb))),
        ("too short", status_list(&own, &address, Some(&pack(&[0; 100])))),
        ("no credential", "x".to_owned()),
        ("oversized", "x".repeat(200_000)),
    ] {
        write(&list);
        // One that it knows from before would count until its end; without its store it knows none.
        let lycee = realm.world.get_mut("lycee");
        lycee.stop();
        fs::remove_dir_all(lycee.dir.join("store")).unwrap();
        lycee.start().await;
        let (code, answer) = catalog(realm.get("agence"), realm.get("lycee")).await;
        assert_eq!(code, 502, "{name}: {answer}");
        assert!(answer.to_string().contains("401"), "{name}: {answer}");
    }
    write(&String::from_utf8(true_list).unwrap());
    until("the true list counts again", async || {
        (catalog(realm.get("agence"), realm.get("lycee")).await.0 == 200).then_some(())
    })
    .await;
}

/// `u`, base64url, gzip.
fn pack(bytes: &[u8]) -> String {
    let mut child = std::process::Command::new("gzip")
        .args(["-9", "-n", "-c"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("gzip runs");
    let mut stdin = child.stdin.take().unwrap();
    let bytes = bytes.to_vec();
    let writer = std::thread::spawn(move || std::io::Write::write_all(&mut stdin, &bytes));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    format!("u{}", connector::jose::base64url::encode(&output.stdout))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_false_holder_is_no_member_and_costs_no_endless_requests() {
    let realm = Realm::start(&[("lycee", &["DataProvider"])], 0).await;
    let (lycee, authority) = (realm.get("lycee"), &realm.authority);
    // The registry's own keys are those of a participant that is nobody's peer; it stops so that the test can be it.
    let mut world = connector_tests::harness::World::init(&["registry"]);
    let stranger = world.get_mut("registry");
    for name in ["tls.pem", "tls-key.pem", "ca.pem"] {
        copy(&lycee.dir.join(name), &stranger.dir.join(name));
    }
    let holder = Holder::start(stranger).await;
    authority.issue(stranger, "membership.jwt", &["--role", "Orientation"]);
    let own = fs::read_to_string(stranger.dir.join("membership.jwt"))
        .unwrap()
        .trim()
        .to_owned();
    let stolen = fs::read_to_string(lycee.dir.join("membership.jwt"))
        .unwrap()
        .trim()
        .to_owned();
    let now: fn() -> Timestamp = clock::now;
    let show = |credentials: &[String], audience: Option<&str>| {
        presentation::make(&holder.peer.signer, credentials, audience, now()).unwrap()
    };
    let by_another = {
        let key = SigningKey::generate(connector::jose::Algorithm::Es256).unwrap();
        let signer = Signer::new(holder.peer.signer.kid(), key).unwrap();
        presentation::make(&signer, slice::from_ref(&own), None, now()).unwrap()
    };
    let replaced = |change: &dyn Fn(&mut Value)| {
        let mut document = holder.document();
        change(&mut document);
        document.to_string()
    };
    let (good, did) = (show(slice::from_ref(&own), None), holder.document().to_string());
    let cases: Vec<(&str, String, String)> = vec![
        ("somebody else's credential", show(&[stolen], None), did.clone()),
        ("no credential", show(&[], None), did.clone()),
        (
            "a presentation for another reader",
            show(slice::from_ref(&own), Some("did:web:other.example")),
            did.clone(),
        ),
        ("a presentation of another key", by_another, did.clone()),
        ("a credential where a presentation belongs", own.clone(), did.clone()),
        (
            "a document of another DID",
            good.clone(),
            replaced(&|document| document["id"] = "did:web:other.example".into()),
        ),
        (
            "a key that is not for authentication",
            good.clone(),
            replaced(&|document| document["authentication"] = json!([])),
        ),
        (
            "a document without presentation",
            good.clone(),
            replaced(&|document| document["service"] = json!([])),
        ),
        (
            "a presentation on a forbidden scheme",
            good.clone(),
            replaced(&|document| document["service"][0]["serviceEndpoint"] = "http://localhost/vp.jwt".into()),
        ),
        (
            "a document beyond 64 KiB",
            good.clone(),
            replaced(&|document| document["padding"] = "x".repeat(66_000).into()),
        ),
    ];
    for (name, shown, document) in cases {
        holder.publish("/vp.jwt", &shown);
        holder.publish("/.well-known/did.json", &document);
        tokio::time::sleep(Duration::from_millis(1_200)).await;
        let reply = holder.peer.say(lycee, "/catalog/request", &catalog_request()).await;
        assert_eq!(
            (reply.status, reply.code()),
            (401, "not-a-member"),
            "{name}: {}",
            reply.body
        );
        assert!(!reply.signed, "{name}");
        let told = reply.body.to_string();
        assert!(
            !told.contains("localhost"),
            "{name}: what was found is told to anybody: {told}"
        );
    }
    holder.publish("/vp.jwt", &show(&[own], None));
    holder.publish("/.well-known/did.json", &did);
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    let reply = holder.peer.say(lycee, "/catalog/request", &catalog_request()).await;
    assert_eq!(reply.status, 200, "and a true one is: {}", reply.body);

    // The document is replaced, by whoever took the address over: the old key signs nothing any more, and the new one is not held to be
    // the member's unless it presents the credential too.
    let thief = SigningKey::generate(connector::jose::Algorithm::Es256).unwrap();
    let jwk = thief.public_jwk();
    holder.publish(
        "/.well-known/did.json",
        &replaced(&|document| document["verificationMethod"][0]["publicKeyJwk"] = jwk.clone()),
    );
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    let reply = holder.peer.say(lycee, "/catalog/request", &catalog_request()).await;
    assert_eq!(reply.status, 401, "{}", reply.body);
}

/// A membership credential of this subject whose status would be in a list at this address.
fn with_status(signer: &Signer, subject: &str, list: &str) -> String {
    let claims = json!({
        "@context": [CONTEXT], "type": ["VerifiableCredential", MEMBERSHIP], "issuer": signer.did(),
        "credentialSubject": {"id": subject},
        "credentialStatus": {
            "type": "BitstringStatusListEntry", "statusPurpose": "revocation", "statusListIndex": "1", "statusListCredential": list,
        },
    });
    credential::issue(signer, Form::Credential, &claims).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn status_lists_lead_to_no_place_that_is_forbidden_and_nowhere_by_a_redirect() {
    let mut realm = Realm::start(&[("lycee", &["DataProvider"]), ("agence", &["Orientation"])], 0).await;
    realm.world.get_mut("agence").stop();
    let canary = free();
    canary.set_nonblocking(true).unwrap();
    let port = canary.local_addr().unwrap().port();
    let own = key(&realm.authority.dir.join("issuer.pem"));
    let issuer = Signer::new(&format!("{}#issuer", realm.authority.did), own).unwrap();
    let holder = Holder::start(realm.get("agence")).await;
    let did = holder.peer.did.clone();
    let show = |lists: &[String]| {
        let credentials: Vec<String> = lists.iter().map(|list| with_status(&issuer, &did, list)).collect();
        let token = presentation::make(&holder.peer.signer, &credentials, None, clock::now()).unwrap();
        holder.publish("/vp.jwt", &token);
    };

    // By a redirect of a place that may be asked.
    holder.redirect("/status.jwt", &format!("https://localhost:{port}/status.jwt"));
    show(&[format!("{}/status.jwt", holder.peer.root)]);
    let reply = holder
        .peer
        .say(realm.get("lycee"), "/catalog/request", &catalog_request())
        .await;
    assert_eq!((reply.status, reply.code()), (401, "not-a-member"), "{}", reply.body);
    assert_eq!(holder.asked("/status.jwt"), 1);

    // Where the configuration allows no private addresses. The holder itself is one that it lets be reached, and the list is known from
    // before; whoever presents a credential chooses none of the addresses in it, but an issuer may have been careless.
    let lycee = realm.world.get_mut("lycee");
    lycee.stop();
    configure(lycee, |config| {
        assert!(config.contains("allow_private = true"));
        config.replace("allow_private = true", "allow_private = false")
            + &format!("\n[[peer]]\nname = \"agence\"\ndid = \"{did}\"\nallow_private = true\n")
    });
    show(&[
        format!("https://localhost:{port}/"),
        format!("https://127.0.0.1:{port}/"),
        format!("https://[::ffff:127.0.0.1]:{port}/"),
        format!("http://localhost:{port}/"),
        format!("https://user:secret@localhost:{port}/"),
        "https://10.0.0.1/".to_owned(),
        "https://169.254.169.254/latest/meta-data".to_owned(),
        "file:///etc/passwd".to_owned(),
    ]);
    let before = holder.asked("/vp.jwt");
    lycee.start().await;
    until("the lycee has looked at all of them, and asks again", async || {
        (holder.asked("/vp.jwt") >= before + 2).then_some(())
    })
    .await;
    let lycee = realm.get("lycee");
    assert_eq!(lycee.get("/v1/peers").await["members"], json!([]));
    assert!(canary.accept().is_err(), "somebody has called where nobody may");
    let reply = holder.peer.say(lycee, "/catalog/request", &catalog_request()).await;
    assert_eq!(reply.status, 200, "it is a peer all the same: {}", reply.body);
}
