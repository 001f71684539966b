//! Peers that may come without signatures: who is known to sign is held to it, and what one party signed alone is shown as that.

use super::quick;
use crate::scenes::{entries, until};
use connector_tests::{
    harness::{World, binary},
    peer::Peer,
};
use serde_json::{Value, json};
use std::{fs, os::unix::fs::PermissionsExt, process::Command};

const TOKEN: &str = "a-token-that-both-sides-know-0123456789abcdef";

/// The school, to which work may come without signatures until it is known to sign.
fn tolerant(name: &str, config: String) -> String {
    let config = quick(config);
    if name != "school" {
        return config;
    }
    config.replace(
        "name = \"work\"",
        "name = \"work\"\nidentity = \"static-token\"\ntoken = \"work.token\"\nsignatures = \"if-offered\"",
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_once_seen_signing_is_never_taken_without_a_signature() {
    let mut world = World::init(&["school", "work"]);
    for connector in &world.connectors {
        let config = fs::read_to_string(connector.config()).unwrap();
        fs::write(connector.config(), tolerant(connector.name, config)).unwrap();
    }
    let token = world.get("school").dir.join("work.token");
    fs::write(&token, TOKEN).unwrap();
    fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).unwrap();
    world.get_mut("school").start().await;
    let school = world.get("school");
    school.publish(3, 3).await;
    let work = Peer::of(world.get("work"));
    let catalog =
        json!({"@context": ["https://w3id.org/dspace/2025/1/context.jsonld"], "@type": "CatalogRequestMessage"});
    let stripped = || {
        let mut letter = work.letter(school, "/catalog/request", &catalog);
        letter.signatures.clear();
        letter.headers.push(("authorization", TOKEN.to_owned()));
        letter
    };
    let pin = async || school.get("/v1/peers").await["peers"][0].clone();

    // Nothing is known of it: its document is not to be had.
    let taken = work.send(school, &stripped()).await;
    assert_eq!((taken.status, taken.signed), (200, false), "{}", taken.body);
    assert_eq!(pin().await["pin"], Value::Null);
    assert_eq!(
        (&pin().await["signatures"], &pin().await["signs"]),
        (&json!("if-offered"), &json!(false))
    );

    // It signs once, and is held to it.
    let mut listener = work.listen().await;
    let signed = work.say(school, "/catalog/request", &catalog).await;
    assert_eq!((signed.status, signed.signed), (200, true), "{}", signed.body);
    assert_eq!(pin().await["pin"]["reason"], "signed");
    for _ in 0..3 {
        let refused = work.send(school, &stripped()).await;
        assert_eq!(
            (refused.status, refused.reason().contains("carries no signature")),
            (401, true),
            "{}",
            refused.body
        );
        assert_eq!(refused.body["code"], "signature-stripped");
    }
    let told = entries(school, "signature-stripped").await;
    assert_eq!(told.len(), 1, "whoever sends them cannot fill the log");
    assert_eq!(told[0]["peer"], json!(work.did));
    // So are its answers.
    let shown = school.cli(&["peer", "list"]);
    assert!(
        String::from_utf8_lossy(&shown.stdout).contains("if-offered"),
        "{shown:?}"
    );
    let asking = {
        let (config, bin) = (school.config(), binary());
        tokio::task::spawn_blocking(move || {
            Command::new(bin)
                .arg("--config")
                .arg(config)
                .args(["catalog", "work"])
                .output()
                .unwrap()
        })
    };
    let asked = listener.expect("/catalog/request").await;
    assert!(!asked.signature().is_empty(), "what goes to it is signed too");
    asked.answer_raw(200, b"{}".to_vec(), &[]);
    let refused = asking.await.unwrap();
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("carries no signature"),
        "{refused:?}"
    );

    // A restart forgets nothing.
    world.get_mut("school").stop();
    world.get_mut("school").start().await;
    let school = world.get("school");
    let mut letter = work.letter(school, "/catalog/request", &catalog);
    letter.signatures.clear();
    letter.headers.push(("authorization", TOKEN.to_owned()));
    assert_eq!(work.send(school, &letter).await.status, 401);

    // The operator can let it go, and its document takes it back as soon as it is asked for.
    let unpinned = school.cli(&["peer", "unpin", "work", "--json"]);
    assert!(unpinned.status.success(), "{unpinned:?}");
    let unpinned: Value = serde_json::from_slice(&unpinned.stdout).unwrap();
    assert_eq!(unpinned["wasPinned"], true);
    assert_eq!(
        work.send(school, &letter).await.status,
        401,
        "its DID document says that it signs"
    );
    let peers = school.get("/v1/peers").await;
    assert_eq!(peers["peers"][0]["pin"]["reason"], "advertised");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_party_alone_can_sign_is_shown_as_that_everywhere() {
    let mut world = World::init(&["school", "work"]);
    for (connector, other) in world.connectors.iter().zip(["work", "school"]) {
        let token = connector.dir.join("peer.token");
        fs::write(&token, TOKEN).unwrap();
        fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).unwrap();
        let config = quick(fs::read_to_string(connector.config()).unwrap());
        let name = format!("\nname = \"{other}\"");
        let plain = format!("{name}\nidentity = \"static-token\"\ntoken = \"peer.token\"");
        fs::write(connector.config(), config.replace(&name, &plain)).unwrap();
    }
    for connector in &mut world.connectors {
        connector.start().await;
    }
    let (school, work) = (world.get("school"), world.get("work"));
    school.publish(3, 3).await;
    let agreement = work.negotiate(school).await;
    for (connector, ours) in [(school, "assigner"), (work, "assignee")] {
        let listed = until("the agreement", async || {
            connector.get("/v1/agreements").await["agreements"].get(0).cloned()
        })
        .await;
        assert_eq!(
            (&listed["signatures"], &listed["signedBy"]),
            (&json!(1), &json!("one party"))
        );
        let file = connector.dir.join("agreement.json");
        let file = file.to_str().unwrap();
        assert!(
            connector
                .cli(&["agreement", "export", &agreement, "-o", file])
                .status
                .success()
        );
        let checked = connector.cli(&["agreement", "verify", file, "--json"]);
        assert_eq!(checked.status.code(), Some(7), "{checked:?}");
        assert!(
            String::from_utf8_lossy(&checked.stderr).contains("signed by one party"),
            "{checked:?}"
        );
        let checked: Value = serde_json::from_slice(&checked.stdout).unwrap();
        for party in checked["parties"].as_array().unwrap() {
            assert_eq!(party.get("jkt").is_some(), party["role"] == ours, "{checked}");
        }
        let page = connector.cli(&["agreement", "export", &agreement, "--format", "html"]);
        assert!(page.status.success(), "{page:?}");
        assert!(String::from_utf8_lossy(&page.stdout).contains("Signed by one party."));
        let file = connector.dir.join("evidence.tar");
        let file = file.to_str().unwrap();
        let exported = connector.cli(&["audit", "export", &agreement, "--out", file]);
        assert!(exported.status.success(), "{exported:?}");
        let checked = connector.cli(&["audit", "verify-bundle", file, "--json"]);
        assert_eq!(checked.status.code(), Some(7), "{checked:?}");
        let checked: Value = serde_json::from_slice(&checked.stdout).unwrap();
        assert_eq!(checked["signatures"], 1);
        assert!(
            checked["signedBy"].as_str().unwrap().starts_with("one party"),
            "{checked}"
        );
        assert_eq!(checked["messages"]["fromCounterparty"], 0);
        assert_eq!(checked["messages"]["unsigned"], 4);
        let shown = connector.cli(&["agreement", "list"]);
        assert!(
            String::from_utf8_lossy(&shown.stdout).contains("one party"),
            "{shown:?}"
        );
    }
}
