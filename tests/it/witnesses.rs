//! The audit log towards everybody else, through real daemons: what is public, proofs that stand alone, and peers as witnesses of each
//! other's logs.

use crate::scenes::{browser, until, with};
use connector::{
    audit::{
        LogKey, LogSigner, SignedCheckpoint, Submission,
        merkle::{self, leaf_hash, root},
    },
    jose::{Digest, HmacKey},
};
use connector_tests::harness::{Connector, World, text};
use http::Method;
use serde_json::{Value, json};
use std::{fs, path::Path, process::Output};

/// Two connectors that ask each other to cosign without a long pause.
async fn world() -> World {
    World::start_with(&["school", "work"], |_, config| {
        with(config, "audit", "witness_interval = \"50ms\"")
    })
    .await
}

struct Answer {
    status: u16,
    kind: String,
    cache: String,
    body: Vec<u8>,
}

impl Answer {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// Asks the public listener, as anybody can.
async fn public(connector: &Connector, method: Method, path: &str, body: &str) -> Answer {
    let client = browser(connector).no_proxy().build().unwrap();
    let url = format!("{}{path}", connector.root());
    let response = client.request(method, url).body(body.to_owned()).send().await.unwrap();
    let header = |name: &str| {
        let value = response.headers().get(name);
        value
            .map(|value| value.to_str().unwrap().to_owned())
            .unwrap_or_default()
    };
    Answer {
        status: response.status().as_u16(),
        kind: header("content-type"),
        cache: header("cache-control"),
        body: response.bytes().await.unwrap().to_vec(),
    }
}

async fn read(connector: &Connector, path: &str) -> Answer {
    public(connector, Method::GET, path, "").await
}

/// The key that a connector publishes for its log.
async fn log_key(connector: &Connector) -> LogKey {
    let document = read(connector, "/.well-known/did.json").await;
    let document: Value = serde_json::from_slice(&document.body).unwrap();
    let services = document["service"].as_array().unwrap();
    let service = services
        .iter()
        .find(|service| service["type"] == "DasesConnector")
        .unwrap();
    let key: LogKey = service["logKey"].as_str().unwrap().parse().unwrap();
    assert_eq!(service["logOrigin"], key.name());
    key
}

/// The private key of a connector's log, from its folder.
fn sealer(connector: &Connector) -> LogSigner {
    let secret = fs::read(connector.dir.join("secret.key")).unwrap();
    LogSigner::of(&connector.root(), &HmacKey::new(&secret)).unwrap()
}

async fn cosigned(connector: &Connector, witness: &LogKey) -> SignedCheckpoint {
    until("the checkpoint is cosigned", async || {
        let answer = read(connector, "/log/checkpoint").await;
        let signed = SignedCheckpoint::read(answer.text()).ok()?;
        witness.cosigned(signed.note()).is_ok().then_some(signed)
    })
    .await
}

fn path(dir: &Path, name: &str) -> String {
    dir.join(name).to_str().unwrap().to_owned()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_cosign_each_others_checkpoints_and_a_proof_with_them_stands_alone() {
    let world = world().await;
    let (school, work) = (world.get("school"), world.get("work"));
    assert_eq!(
        read(school, "/log/checkpoint").await.status,
        404,
        "nothing is sealed yet"
    );
    school.publish(3, 3).await;
    work.negotiate(school).await;
    let (ours, theirs) = (log_key(school).await, log_key(work).await);
    for (connector, key, witness) in [(school, &ours, &theirs), (work, &theirs, &ours)] {
        let signed = cosigned(connector, witness).await;
        assert_eq!(signed.verify(key), Ok(()));
        let verified = connector.post("/v1/audit/verify", &json!({})).await;
        assert!(verified["cosignatures"].as_u64() >= Some(1), "{verified}");
    }

    let (proof, entry) = (path(&school.dir, "e.tlog-proof"), path(&school.dir, "e.json"));
    let proved = school.cli(&["audit", "prove", "1", "--out", &proof, "--entry", &entry]);
    assert!(proved.status.success(), "{proved:?}");
    // The other participant checks with what it knows: the keys of the DID documents.
    let check = |entry: &str, key: &str, witness: &str| {
        let arguments = [
            "audit",
            "check-proof",
            &proof,
            "--entry",
            entry,
            "--key",
            key,
            "--witness",
            witness,
            "--json",
        ];
        work.cli(&arguments)
    };
    let (ours, theirs) = (ours.to_string(), theirs.to_string());
    let checked = check(&entry, &ours, &theirs);
    assert!(checked.status.success(), "{checked:?}");
    let checked: Value = serde_json::from_slice(&checked.stdout).unwrap();
    assert_eq!(
        (&checked["entry"], checked["log"].as_str()),
        (&json!(1), ours.split('+').next())
    );

    let other = path(&school.dir, "other.json");
    let changed = fs::read_to_string(&entry).unwrap().replacen("\"v\":1", "\"v\":2", 1);
    fs::write(&other, changed).unwrap();
    for (what, refused) in [
        ("another entry", check(&other, &ours, &theirs)),
        ("another log", check(&entry, &theirs, &theirs)),
        ("another witness", check(&entry, &ours, &ours)),
    ] {
        assert_eq!(refused.status.code(), Some(6), "{what}: {refused:?}");
    }
    let refused = check(&entry, "no-key", &theirs);
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    let missing = school.cli(&["audit", "prove", "100000"]);
    assert_eq!(missing.status.code(), Some(4), "{}", said(&missing));
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_can_read_hashes_and_nobody_entries() {
    let world = World::start(&["school"]).await;
    let school = world.get("school");
    // Enough for a full tile.
    let consents: Vec<Value> = (0..300)
        .map(|learner| connector_tests::harness::consent(&format!("l{learner}"), "did:web:work.example"))
        .collect();
    school.post("/v1/consents", &json!(consents)).await;
    let shown = school.get("/v1/audit/checkpoint").await;
    // What it said of its keys at its start stands there as well.
    let size = shown["size"].as_u64().unwrap();
    assert!((300..512).contains(&size), "{shown}");
    let tail = size - 256;

    let checkpoint = read(school, "/log/checkpoint").await;
    assert_eq!(
        (checkpoint.status, checkpoint.kind.as_str()),
        (200, "text/plain; charset=utf-8")
    );
    assert_eq!(checkpoint.cache, "no-cache");
    assert_eq!(checkpoint.text(), text(&shown, "text"));
    let signed = SignedCheckpoint::read(checkpoint.text()).unwrap();
    assert_eq!(signed.verify(&log_key(school).await), Ok(()));

    let full = read(school, "/log/tile/0/000").await;
    assert_eq!(
        (full.status, full.kind.as_str(), full.body.len()),
        (200, "application/octet-stream", 8192)
    );
    assert!(full.cache.contains("immutable"), "{}", full.cache);
    let partial = read(school, &format!("/log/tile/0/001.p/{tail}")).await;
    assert_eq!((partial.status, partial.body.len() as u64), (200, tail * 32));
    let above = read(school, "/log/tile/1/000.p/1").await;
    let hashes = |bytes: &[u8]| -> Vec<Digest> {
        bytes
            .chunks(32)
            .map(|hash| Digest::from_bytes(hash.try_into().unwrap()))
            .collect()
    };
    let mut leaves = hashes(&full.body);
    assert_eq!(hashes(&above.body), [root(&leaves)]);
    leaves.extend(hashes(&partial.body));
    assert_eq!(
        root(&leaves),
        signed.checkpoint().root,
        "a monitor gets to the signed root"
    );

    for missing in [
        "/log/tile/0/001",
        &format!("/log/tile/0/001.p/{}", tail + 1),
        "/log/tile/0/002",
        "/log/tile/1/000",
        "/log/tile/1/000.p/2",
        "/log/tile/2/000.p/1",
        "/log/tile/0/1",
        "/log/tile/entries/000",
        &format!("/log/tile/entries/001.p/{tail}"),
        "/log/entries",
        "/log/tile/0/000.p/256",
    ] {
        assert_eq!(read(school, missing).await.status, 404, "{missing}");
    }

    // The operator has the entries, and they are those whose hashes everybody sees.
    let (mut found, mut bundles) = (Vec::new(), Vec::new());
    for bundle in 0..2 {
        bundles.extend(bundle_of(school, bundle).await);
    }
    let mut rest = bundles.as_slice();
    while let Some((length, more)) = rest.split_first_chunk::<2>() {
        let (entry, more) = more.split_at(usize::from(u16::from_be_bytes(*length)));
        found.push(leaf_hash(entry));
        rest = more;
    }
    assert_eq!(found, leaves);
}

async fn bundle_of(connector: &Connector, number: u64) -> Vec<u8> {
    use futures_util::StreamExt;
    let api = connector.api();
    let (status, mut body) = api
        .follow(&format!("/v1/log/tile/entries/{number}"), None)
        .await
        .unwrap();
    assert!(status.is_success(), "{status}");
    let mut all = Vec::new();
    while let Some(chunk) = body.next().await {
        all.extend_from_slice(&chunk.unwrap());
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_witness_refuses_whatever_does_not_continue_what_it_cosigned() {
    let world = World::start(&["school", "work"]).await;
    let (school, work) = (world.get("school"), world.get("work"));
    let (me, witness) = (sealer(work), log_key(school).await);
    assert_eq!(me.key(), &log_key(work).await, "the key comes from the secret file");
    let leaves: Vec<Digest> = (0..40_u8).map(|n| leaf_hash(&[n])).collect();
    let of = |signer: &LogSigner, old: usize, leaves: &[Digest]| Submission {
        old: old as u64,
        proof: merkle::consistency_proof(leaves, old as u64).unwrap_or_default(),
        checkpoint: SignedCheckpoint::sign(signer, leaves.len() as u64, root(leaves)).unwrap(),
    };
    let add = async |body: String| public(school, Method::POST, "/log/add-checkpoint", &body).await;

    let first = of(&me, 0, &leaves[..7]);
    let answer = add(first.to_string()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let note = format!("{}{}", first.checkpoint.note(), answer.text());
    assert!(witness.cosigned(SignedCheckpoint::read(&note).unwrap().note()).is_ok());
    let second = add(of(&me, 7, &leaves[..20]).to_string()).await;
    assert_eq!(second.status, 200, "{}", second.text());

    let conflict = add(of(&me, 7, &leaves).to_string()).await;
    assert_eq!(
        (conflict.status, conflict.kind.as_str(), conflict.text()),
        (409, "text/x.tlog.size", "20\n")
    );
    let mut forked = leaves.clone();
    forked[3] = leaf_hash(b"rewritten");
    let stranger = LogSigner::of(&work.root(), &HmacKey::new(&[1; 32])).unwrap();
    let nowhere = LogSigner::of("https://nowhere.example", &HmacKey::new(&[1; 32])).unwrap();
    let mut cut = of(&me, 20, &leaves);
    cut.proof.pop();
    for (what, body, status) in [
        ("a rewritten log", of(&me, 20, &forked).to_string(), 422),
        ("a proof that is too short", cut.to_string(), 422),
        (
            "another log of the same size",
            of(&me, 20, &forked[..20]).to_string(),
            409,
        ),
        ("a log that is shorter now", of(&me, 20, &leaves[..9]).to_string(), 400),
        ("another key", of(&stranger, 20, &leaves).to_string(), 403),
        ("an unknown log", of(&nowhere, 0, &leaves).to_string(), 404),
        ("no request", "old 20\n\n".to_owned(), 400),
        ("nothing", String::new(), 400),
        ("a body that is too long", "x".repeat(70 * 1024), 413),
    ] {
        let answer = add(body).await;
        assert_eq!(answer.status, status, "{what}: {}", answer.text());
        assert!(!answer.text().contains('—'), "{what} is not cosigned");
    }
    let good = add(of(&me, 20, &leaves).to_string()).await;
    assert_eq!(good.status, 200, "nothing of that changed anything: {}", good.text());
    let log = school.log();
    assert!(
        log.contains("does not continue what was cosigned"),
        "the operator is told: {log}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_set_back_is_noticed_by_its_witness() {
    let mut world = world().await;
    let folder = world.folder.path().join("backup");
    let (school, work) = (world.get("school"), world.get("work"));
    school.publish(3, 3).await;
    work.negotiate(school).await;
    let witness = log_key(work).await;
    cosigned(school, &witness).await;
    let school = world.get_mut("school");
    school.stop();
    copy(&school.dir.join("store"), &folder);
    school.start().await;
    let (school, work) = (world.get("school"), world.get("work"));
    work.negotiate(school).await;
    let size = school.get("/v1/audit/checkpoint").await["size"].as_u64().unwrap();
    until("the longer log is cosigned", async || {
        (cosigned(school, &witness).await.checkpoint().size >= size).then_some(())
    })
    .await;

    // Somebody puts the older store back: inside, all is well.
    let school = world.get_mut("school");
    school.stop();
    fs::remove_dir_all(school.dir.join("store")).unwrap();
    copy(&folder, &school.dir.join("store"));
    school.start().await;
    let school = world.get("school");
    school.post("/v1/audit/verify", &json!({})).await;
    school
        .post(
            "/v1/consents",
            &json!([connector_tests::harness::consent("l0", &work_did(&world))]),
        )
        .await;
    until("the witness objects", async || {
        school.log().contains("this log is not what it was").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_that_a_witness_missed_is_cosigned_when_it_is_back() {
    let mut world = world().await;
    let (school, work) = (world.get("school"), world.get("work"));
    school.publish(3, 3).await;
    work.negotiate(school).await;
    let witness = log_key(work).await;
    cosigned(school, &witness).await;
    let consent = connector_tests::harness::consent("l0", &work.did);
    // Nothing changes once the witness is there again; the second time what it missed was sealed at the shutdown.
    for restarted in [false, true] {
        world.get_mut("work").stop();
        let school = world.get_mut("school");
        school.post("/v1/consents", &json!([consent])).await;
        let size = school.get("/v1/audit/checkpoint").await["size"].as_u64().unwrap();
        if restarted {
            school.stop();
            world.get_mut("work").start().await;
            world.get_mut("school").start().await;
        } else {
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
            world.get_mut("work").start().await;
        }
        let school = world.get("school");
        until("the missed checkpoint is cosigned", async || {
            (cosigned(school, &witness).await.checkpoint().size >= size).then_some(())
        })
        .await;
    }
}

fn work_did(world: &World) -> String {
    world.get("work").did.clone()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).unwrap()),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_learner_leaves_a_log_that_still_verifies() {
    let world = World::start(&["school"]).await;
    let school = world.get("school");
    school.consent(2, "did:web:work.example").await;
    let forget = |learner: &str| school.cli(&["consent", "forget", learner]);
    let refused = forget("l0");
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
    assert!(said(&refused).contains("withdraw it first"), "{}", said(&refused));
    school.post("/v1/consents/withdraw", &json!({"subject": "l0"})).await;
    let done = forget("l0");
    assert!(done.status.success(), "{}", said(&done));
    assert_eq!(forget("l0").status.code(), Some(4), "twice");
    let left = school.get("/v1/consents").await;
    assert!(
        !left.to_string().contains("\"l0\"") && left.to_string().contains("\"l1\""),
        "{left}"
    );
    school.post("/v1/audit/verify", &json!({})).await;
}
