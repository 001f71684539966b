//! What an operator does with a daemon: signals, configuration and the management interface.

use crate::scenes::{account, brisk, browser, file, received_at_least, until, with};
use connector::net::local::{Endpoint, Local};
use connector_tests::harness::{Connector, World, binary, offer, text};
use http::{Method, StatusCode, Version};
use reqwest::tls;
use serde_json::json;
use std::{
    fs,
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

/// "Within a few seconds", far below every time-out that could hide a hang.
const SOON: Duration = Duration::from_secs(5);

async fn did_document(client: reqwest::ClientBuilder, of: &Connector) -> reqwest::Result<reqwest::Response> {
    let url = format!("{}/.well-known/did.json", of.root());
    client.build().unwrap().get(url).send().await
}

/// The certificate that a new connection is shown.
async fn served(of: &Connector) -> Vec<u8> {
    let response = did_document(browser(of).tls_info(true), of).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let info = response.extensions().get::<tls::TlsInfo>().unwrap();
    info.peer_certificate().unwrap().to_vec()
}

fn stopped_soon(connector: &mut Connector) {
    let begun = Instant::now();
    let status = connector.stop();
    assert_eq!(status.code(), Some(0), "{}", connector.log());
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    assert!(!connector.dir.join("management.sock").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_ends_an_idle_daemon_at_once_whoever_waits_for_an_answer() {
    let mut world = World::start(&["school", "work"]).await;
    let (school, work) = (world.get("school"), world.get("work"));
    school.publish(3, 3).await;
    let agreement = work.negotiate(school).await;
    let mut terms = offer();
    terms["permission"][0]["constraint"][1]["rightOperand"] = json!(["skills"]);
    let body = json!({"peer": "school", "offer": "records", "terms": terms, "manual": true});
    let held = text(&work.post("/v1/negotiations", &body).await, "pid");
    work.get(&format!("/v1/negotiations/{held}/wait?timeout=30")).await;
    let peer_pid = text(&work.get(&format!("/v1/negotiations/{held}")).await, "peerPid");
    let api = school.api();
    let path = format!("/v1/negotiations/{peer_pid}/wait?timeout=60");
    let waiting = tokio::spawn(async move { api.call(Method::GET, &path, None).await });
    // An answer to a later request shows that the daemon had time to take the earlier one.
    tokio::time::sleep(Duration::from_millis(50)).await;
    school.get("/v1/status").await;
    assert!(!waiting.is_finished());
    stopped_soon(world.get_mut("school"));
    if let Ok((status, said)) = waiting.await.unwrap() {
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{said}");
    }
    stopped_soon(world.get_mut("work"));
    world.get_mut("work").start().await;
    let found = world.get("work").get(&format!("/v1/agreements/{agreement}")).await;
    assert!(found["document"].is_object());
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_while_a_stream_runs_ends_soon_and_the_stream_goes_on_after_the_restart() {
    const RECORDS: u64 = 8_000;
    let change = |_: &str, config: String| with(brisk(config, 250_000), "limits", "drain = \"1s\"");
    let mut world = World::start_with(&["school", "work"], change).await;
    let (school, work) = (world.get("school"), world.get("work"));
    school.publish(RECORDS, 10).await;
    school.consent(10, &work.did).await;
    let agreement = work.negotiate(school).await;
    for victim in ["school", "work"] {
        let work = world.get("work");
        let pid = work.transfer(&agreement).await;
        received_at_least(work, &pid, 1_100).await;
        stopped_soon(world.get_mut(victim));
        world.get_mut(victim).start().await;
        let (school, work) = (world.get("school"), world.get("work"));
        work.transfer_until(&pid, "COMPLETED").await;
        let all: Vec<u64> = (0..RECORDS).collect();
        assert_eq!(account(school, work, &pid).await, all);
        let opened = crate::scenes::entries(school, "stream-opened").await;
        assert!(opened.last().unwrap()["from"].as_u64() > Some(1_000), "{opened:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sighup_reloads_certificate_and_log_level_and_keeps_what_works() {
    let world = World::start(&["school", "work"]).await;
    let (school, work) = (world.get("school"), world.get("work"));
    school.publish(3, 3).await;
    let first = served(school).await;

    let new = world.folder.path().join("renewed");
    let made = Command::new(binary())
        .args(["init", "--did", &school.did, "--ca"])
        .arg(&school.dir)
        .arg("--dir")
        .arg(&new)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    for name in ["tls.pem", "tls-key.pem"] {
        fs::copy(new.join(name), school.dir.join(name)).unwrap();
    }
    let config = fs::read_to_string(school.config()).unwrap();
    fs::write(
        school.config(),
        with(config.clone(), "log", "level = \"connector=debug\""),
    )
    .unwrap();
    assert_eq!(served(school).await, first, "not before it is told to");
    assert!(!school.log().contains("DEBUG"));
    school.signal("HUP");
    until("the new certificate", async || {
        (served(school).await != first).then_some(())
    })
    .await;
    let second = served(school).await;
    until("the new log level", async || {
        school.log().contains("log level reloaded").then_some(())
    })
    .await;
    work.negotiate(school).await;
    assert!(school.log().contains("DEBUG"), "{}", school.log());

    fs::write(school.dir.join("tls.pem"), "-----BEGIN CERTIFICATE-----\nbroken").unwrap();
    fs::write(school.config(), config.replace("[log]", "[log]\nlevel = 7")).unwrap();
    school.signal("HUP");
    until("the complaints", async || {
        let log = school.log();
        (log.contains("certificate could not be reloaded") && log.contains("configuration could not be reloaded"))
            .then_some(())
    })
    .await;
    assert_eq!(served(school).await, second);

    // A key that is not the certificate's is refused too.
    fs::copy(new.join("tls.pem"), school.dir.join("tls.pem")).unwrap();
    fs::copy(work.dir.join("tls-key.pem"), school.dir.join("tls-key.pem")).unwrap();
    let complaints = || school.log().matches("certificate could not be reloaded").count();
    let before = complaints();
    school.signal("HUP");
    until("another complaint", async || (complaints() > before).then_some(())).await;
    assert_eq!(served(school).await, second);
    work.negotiate(school).await;
}

#[test]
fn a_typing_error_in_the_configuration_is_named_with_its_line() {
    let world = World::init(&["school"]);
    let school = world.get("school");
    let whole = fs::read_to_string(school.config()).unwrap();
    let fine = school.cli(&["serve", "--check"]);
    assert_eq!(fine.status.code(), Some(0), "{fine:?}");
    for (section, typed, named) in [
        ("limits", "conections = 5", "conections"),
        ("limits", "drain = \"5 parsecs\"", "parsecs"),
        ("tls", "minimum = \"1.1\"", "1.1"),
        ("log", "level = ", ""),
    ] {
        let wrong = with(whole.clone(), section, typed);
        let line = 1 + wrong.lines().position(|line| line == typed).unwrap();
        fs::write(school.config(), wrong).unwrap();
        for arguments in [&["serve", "--check"][..], &["serve"], &["status"]] {
            let refused = school.cli(arguments);
            let said = String::from_utf8(refused.stderr).unwrap();
            assert_eq!(refused.status.code(), Some(2), "{said}");
            assert!(
                said.contains(&format!("connector.toml:{line}:")) && said.contains(named),
                "{said}"
            );
        }
    }
    fs::write(school.config(), &whole).unwrap();
    fs::set_permissions(school.dir.join("secret.key"), fs::Permissions::from_mode(0o644)).unwrap();
    let refused = school.cli(&["serve", "--check"]);
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(
        refused.status.code() == Some(2) && said.contains("secret.key"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_is_ready_soon_and_its_files_are_its_users_alone() {
    let mut world = World::init(&["school", "work"]);
    for name in ["school", "work"] {
        let begun = Instant::now();
        world.get_mut(name).start().await;
        println!("ready after {:?}", begun.elapsed());
        assert!(begun.elapsed() < SOON);
    }
    let (school, work) = (world.get("school"), world.get("work"));
    school.publish(3, 3).await;
    school.consent(3, &work.did).await;
    let agreement = work.negotiate(school).await;
    let pid = work.transfer(&agreement).await;
    work.transfer_until(&pid, "COMPLETED").await;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for name in ["management.sock", "signing-key.pem", "tls-key.pem", "secret.key"] {
        assert_eq!(mode(&work.dir.join(name)), 0o600, "{name}");
    }
    assert_eq!(mode(&file(work, &pid)), 0o600, "received records are personal data");
    for path in [work.dir.clone(), work.dir.join("received"), work.dir.join("store")] {
        assert_eq!(mode(&path), 0o700, "{}", path.display());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_1_2_is_refused_unless_it_is_configured_and_both_http_versions_are_spoken() {
    let change = |name: &str, config: String| match name {
        "old" => with(config, "tls", "minimum = \"1.2\""),
        _ => config,
    };
    let world = World::start_with(&["new", "old"], change).await;
    let (new, old) = (world.get("new"), world.get("old"));
    let only_12 = || browser(new).tls_version_max(tls::Version::TLS_1_2);
    assert!(did_document(only_12(), new).await.is_err());
    assert_eq!(did_document(only_12(), old).await.unwrap().status(), StatusCode::OK);
    for connector in [new, old] {
        let only_13 = browser(connector).tls_version_min(tls::Version::TLS_1_3);
        let second = did_document(only_13, connector).await.unwrap();
        assert_eq!((second.status(), second.version()), (StatusCode::OK, Version::HTTP_2));
        let first = did_document(browser(connector).http1_only(), connector).await.unwrap();
        assert_eq!((first.status(), first.version()), (StatusCode::OK, Version::HTTP_11));
        assert_eq!(first.text().await.unwrap(), second.text().await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_management_port_wants_its_token() {
    let mut world = World::init(&["school"]);
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    let school = world.get_mut("school");
    let token = "0123456789abcdef0123456789abcdef";
    let token_file = school.dir.join("management.token");
    fs::write(&token_file, format!("{token}\n")).unwrap();
    fs::set_permissions(&token_file, fs::Permissions::from_mode(0o600)).unwrap();
    let config = fs::read_to_string(school.config()).unwrap();
    let settings = format!("listen = \"{address}\"\ntoken = \"management.token\"");
    fs::write(school.config(), with(config, "management", &settings)).unwrap();
    school.spawn();
    let school = world.get("school");
    let local = |token: &str| {
        Local::new(Endpoint::Loopback {
            address: address.clone(),
            token: token.to_owned(),
        })
        .unwrap()
    };
    until("the port answers", async || {
        let answer = local(token).call(Method::GET, "/v1/status", None).await.ok()?;
        assert_eq!(answer.0, StatusCode::OK);
        Some(())
    })
    .await;
    for wrong in [
        "",
        "0123456789abcdef0123456789abcdee",
        &token[..31],
        &format!("{token}0"),
    ] {
        for (method, path) in [
            (Method::GET, "/v1/status"),
            (Method::POST, "/v1/consents"),
            (Method::GET, "/nothing"),
        ] {
            let (status, said) = local(wrong).call(method, path, None).await.unwrap();
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{path}: {said}");
            assert_eq!(said["error"]["code"], "token");
        }
    }
    let bare = reqwest::get(format!("http://{address}/v1/status")).await.unwrap();
    assert_eq!(bare.status(), StatusCode::UNAUTHORIZED);
    assert!(school.cli(&["status"]).status.success(), "the CLI presents it");
    assert!(!school.dir.join("management.sock").exists());
    assert!(!school.log().contains(token), "the token is in no log");
    fs::write(&token_file, "ffffffffffffffffffffffffffffffff").unwrap();
    assert_eq!(school.cli(&["status"]).status.code(), Some(1));
}
