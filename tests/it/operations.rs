//! What an operator does with a daemon: signals, configuration, the management interface, and every command of the CLI.

use crate::scenes::{account, brisk, file, received_at_least, until, with};
use connector::net::local::{Endpoint, Local};
use connector_tests::harness::{Connector, NOTICE, PURPOSE, World, binary, consent, offer, record, text};
use http::{Method, StatusCode, Version};
use reqwest::{Certificate, tls};
use serde_json::{Value, json};
use std::{
    fs,
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::{Duration, Instant},
};

/// "Within a few seconds", far below every time-out that could hide a hang.
const SOON: Duration = Duration::from_secs(5);

fn authority(world: &World) -> Certificate {
    let pem = fs::read(world.connectors[0].dir.join("ca.pem")).unwrap();
    Certificate::from_pem(&pem).unwrap()
}

fn browser(world: &World) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .tls_certs_only([authority(world)])
        .tls_info(true)
}

async fn did_document(client: reqwest::ClientBuilder, of: &Connector) -> reqwest::Result<reqwest::Response> {
    let url = format!("{}/.well-known/did.json", of.root());
    client.build().unwrap().get(url).send().await
}

/// The certificate that a new connection is shown.
async fn served(world: &World, of: &Connector) -> Vec<u8> {
    let response = did_document(browser(world), of).await.unwrap();
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
    let first = served(&world, school).await;

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
    assert_eq!(served(&world, school).await, first, "not before it is told to");
    assert!(!school.log().contains("DEBUG"));
    school.signal("HUP");
    until("the new certificate", async || {
        (served(&world, school).await != first).then_some(())
    })
    .await;
    let second = served(&world, school).await;
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
    assert_eq!(served(&world, school).await, second);

    // A key that is not the certificate's is refused too.
    fs::copy(new.join("tls.pem"), school.dir.join("tls.pem")).unwrap();
    fs::copy(work.dir.join("tls-key.pem"), school.dir.join("tls-key.pem")).unwrap();
    let complaints = || school.log().matches("certificate could not be reloaded").count();
    let before = complaints();
    school.signal("HUP");
    until("another complaint", async || (complaints() > before).then_some(())).await;
    assert_eq!(served(&world, school).await, second);
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
    let only_12 = || browser(&world).tls_version_max(tls::Version::TLS_1_2);
    assert!(did_document(only_12(), new).await.is_err());
    assert_eq!(did_document(only_12(), old).await.unwrap().status(), StatusCode::OK);
    for connector in [new, old] {
        let only_13 = browser(&world).tls_version_min(tls::Version::TLS_1_3);
        let second = did_document(only_13, connector).await.unwrap();
        assert_eq!((second.status(), second.version()), (StatusCode::OK, Version::HTTP_2));
        let first = did_document(browser(&world).http1_only(), connector).await.unwrap();
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

/// What a command that succeeded printed.
fn said(output: Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Runs a command, first for people and then, where asking twice does no harm, for programs.
fn shown(connector: &Connector, arguments: &[&str], expected: &str) -> Value {
    let text = said(connector.cli(arguments));
    assert!(
        text.contains(expected),
        "{arguments:?} does not say {expected}:\n{text}"
    );
    asked(connector, arguments)
}

fn asked(connector: &Connector, arguments: &[&str]) -> Value {
    let text = said(connector.cli(&[arguments, &["--json"]].concat()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{arguments:?}: {error}\n{text}"))
}

/// The exit code of a command that fails, and what it says on standard error, which must not be empty.
fn refused(connector: &Connector, arguments: &[&str], code: i32) -> String {
    let output = connector.cli(arguments);
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {complaint}");
    assert!(!complaint.is_empty() && output.stdout.is_empty(), "{arguments:?}");
    complaint
}

fn written(connector: &Connector, name: &str, content: &str) -> String {
    let path: PathBuf = connector.dir.join(name);
    fs::write(&path, content).unwrap();
    path.to_str().unwrap().to_owned()
}

fn publish(school: &Connector, records: u64) {
    let lines: String = (0..records).map(|k| record(k, k % 4)).collect();
    let (source, terms) = (
        written(school, "r.ndjson", &lines),
        written(school, "o.json", &offer().to_string()),
    );
    let add = [
        "dataset",
        "add",
        "--id",
        "records",
        "--title",
        "Records of skills",
        "--file",
        &source,
        "--subject",
        "/sub",
        "--category",
        "identity=/person",
        "--category",
        "skills=/id,/skills",
        "--category",
        "results=/result",
        "--offer",
        &terms,
    ];
    assert!(said(school.cli(&add)).contains("records is published"));
    let again = refused(school, &[&add[..], &["--json"]].concat(), 1);
    assert_eq!(
        serde_json::from_str::<Value>(&again).unwrap()["error"]["code"],
        "exists",
        "{again}"
    );
}

fn consents(school: &Connector, work: &Connector) {
    let grant = [
        "consent",
        "grant",
        "--subject",
        "l0",
        "--recipient",
        &work.did,
        "--purpose",
        PURPOSE,
        "--category",
        "skills",
        "--category",
        "results",
        "--method",
        "paper-form",
        "--notice",
        NOTICE,
        "--evidence",
        "file 1",
    ];
    assert!(said(school.cli(&grant)).contains("recorded: urn:uuid:"));
    let notice = written(school, "notice.txt", "how your records are used");
    let mut with_file: Vec<&str> = grant.to_vec();
    with_file.splice(14..16, ["--notice-file", &notice]);
    assert_eq!(asked(school, &with_file)["granted"], 1);
    let lines: String = (1..4)
        .map(|learner| format!("{}\n", consent(&format!("l{learner}"), &work.did)))
        .collect();
    let import = written(school, "consents.jsonl", &lines);
    assert!(said(school.cli(&["consent", "import", &import])).contains("3 consents recorded"));
    let list = shown(school, &["consent", "list", "--subject", "l0"], "l0");
    assert_eq!(list["consents"].as_array().unwrap().len(), 2, "{list}");
    assert!(said(school.cli(&["consent", "withdraw", "--subject", "l3"])).contains("1 consent(s) of l3 ended"));
    refused(school, &["consent", "withdraw", "--subject", "l3"], 4);
    let towards = ["consent", "withdraw", "--subject", "l0", "--recipient", &work.did];
    assert_eq!(asked(school, &towards)["consents"].as_array().unwrap().len(), 2);
    said(school.cli(&grant));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_does_its_work_for_people_and_for_programs() {
    let mut world = World::start(&["school", "work"]).await;
    let (school, work) = (world.get("school"), world.get("work"));
    publish(school, 40);
    assert_eq!(
        shown(school, &["dataset", "list"], "Records of skills")["datasets"][0]["id"],
        "records"
    );
    assert_eq!(
        shown(school, &["dataset", "show", "records"], "/sub")["subject"],
        "/sub"
    );
    consents(school, work);

    assert_eq!(shown(work, &["status"], "school")["did"], *work.did);
    let catalog = shown(work, &["catalog", "school"], "Records of skills");
    let offered = text(&catalog["datasets"][0]["offers"][0], "@id");
    let done = said(work.cli(&["negotiate", "school", &offered, "--wait"]));
    let agreement = done.split_whitespace().nth(1).unwrap().to_owned();
    assert!(done.starts_with("agreed: urn:uuid:"), "{done}");
    let ended = asked(work, &["negotiate", &school.did, &offered, "--wait"]);
    assert_eq!(ended["stateName"], "FINALIZED");
    let list = shown(work, &["negotiation", "list"], "FINALIZED");
    assert_eq!(list["negotiations"].as_array().unwrap().len(), 2);
    let pid = text(&ended, "pid");
    assert_eq!(shown(work, &["negotiation", "show", &pid], "FINALIZED")["pid"], *pid);
    assert!(shown(school, &["agreement", "list"], &agreement)["agreements"].is_array());
    assert!(shown(work, &["agreement", "show", &agreement], "signatures")["document"].is_object());
    let export = work.dir.join("agreement.json");
    let export = export.to_str().unwrap();
    said(work.cli(&["agreement", "export", &agreement, "-o", export]));
    shown(work, &["agreement", "verify", export], "both signatures are valid");
    let changed = fs::read_to_string(export)
        .unwrap()
        .replacen(r#""payload": "e"#, r#""payload": "f"#, 1);
    refused(
        work,
        &["agreement", "verify", &written(work, "changed.json", &changed)],
        6,
    );

    let output = work.dir.join("records.jsonl");
    let output = output.to_str().unwrap();
    assert!(said(work.cli(&["transfer", "start", &agreement, "-o", output])).contains("30 records"));
    let records = fs::read_to_string(output).unwrap();
    assert_eq!(records.lines().count(), 30, "three of four learners consent");
    assert!(records.lines().all(|line| !line.contains("\"t\":")));
    assert_eq!(said(work.cli(&["transfer", "start", &agreement, "-o", "-"])), records);
    let raw = said(work.cli(&["transfer", "start", &agreement, "-o", "-", "--raw"]));
    assert_eq!(raw.lines().count(), 32, "with the begin and the end");
    assert_eq!(
        asked(work, &["transfer", "start", &agreement])["stateName"],
        "COMPLETED"
    );
    let begun = asked(work, &["transfer", "start", &agreement, "--detach"]);
    let transfer = text(&begun, "pid");
    work.transfer_until(&transfer, "COMPLETED").await;
    assert_eq!(said(work.cli(&["transfer", "records", &transfer])), records);
    assert_eq!(
        shown(work, &["transfer", "list"], "COMPLETED")["transfers"]
            .as_array()
            .unwrap()
            .len(),
        5
    );
    let peer_pid = text(&shown(work, &["transfer", "show", &transfer], "COMPLETED"), "peerPid");
    shown(school, &["transfer", "show", &peer_pid], "consent-withdrawn");

    let tail = said(work.cli(&["audit", "tail", "-n", "5"]));
    assert_eq!(tail.lines().count(), 5, "{tail}");
    let lines = said(work.cli(&["audit", "tail", "-n", "5", "--json"]));
    assert!(
        lines.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()),
        "{lines}"
    );
    shown(school, &["audit", "verify"], "the audit log is whole");
    assert!(said(school.cli(&["dataset", "remove", "records"])).contains("no longer offered"));

    let nowhere = "urn:uuid:00000000-0000-7000-8000-000000000000";
    for command in [
        &["dataset", "show", "records"][..],
        &["dataset", "remove", "records"],
        &["negotiation", "show", nowhere],
        &["agreement", "show", nowhere],
        &["transfer", "show", nowhere],
        &["transfer", "start", nowhere],
        &["negotiate", "school", "urn:offer:none"],
        &["catalog", "nobody"],
    ] {
        refused(work, command, 4);
    }
    for command in [
        &["negotiate"][..],
        &["transfer", "start", &agreement, "--speed", "9"],
        &["nonsense"],
    ] {
        refused(work, command, 2);
    }
    world.get_mut("work").stop();
    let work = world.get("work");
    for command in [&["status"][..], &["transfer", "list"], &["audit", "verify"]] {
        assert!(refused(work, command, 3).contains("connector serve"));
    }
    assert_eq!(
        work.cli(&["agreement", "verify", export]).status.code(),
        Some(0),
        "it needs no daemon"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn counter_offers_are_steered_by_hand() {
    let world = World::start(&["school", "work"]).await;
    let (school, work) = (world.get("school"), world.get("work"));
    school.publish(4, 4).await;
    let mut less = offer();
    less["permission"][0]["constraint"][1]["rightOperand"] = json!(["skills"]);
    let less = written(work, "less.json", &less.to_string());
    let ours = |pid: &str| asked(work, &["negotiation", "show", pid]);
    let open = || {
        let held = asked(
            work,
            &["negotiate", "school", "records", "--terms", &less, "--manual", "--wait"],
        );
        assert_eq!(
            (&held["stateName"], &held["offerBy"]),
            (&json!("OFFERED"), &json!("provider")),
            "{held}"
        );
        text(&held, "pid")
    };
    let pid = open();
    assert_eq!(
        ours(&pid)["offer"]["permission"][0]["constraint"][1]["rightOperand"],
        json!(["skills", "results"]),
        "the provider offers its own terms"
    );
    said(work.cli(&["negotiation", "counter", &pid, "--terms", &less]));
    until("the provider's second offer", async || {
        let shown = ours(&pid);
        (shown["stateName"] == "OFFERED" && shown["pending"] == json!([])).then_some(())
    })
    .await;
    assert!(said(work.cli(&["negotiation", "accept", &pid])).contains(&pid));
    let ended = work.get(&format!("/v1/negotiations/{pid}/wait?timeout=30")).await;
    assert_eq!(ended["stateName"], "FINALIZED", "{ended}");
    refused(work, &["negotiation", "accept", &pid], 1);

    let pid = open();
    let words = "the purpose has gone";
    said(work.cli(&["negotiation", "terminate", &pid, "--reason", words]));
    let ended = work.get(&format!("/v1/negotiations/{pid}/wait?timeout=30")).await;
    assert_eq!(ended["stateName"], "TERMINATED");
    let peer_pid = text(&ended, "peerPid");
    until("the provider knows why", async || {
        let theirs = asked(school, &["negotiation", "show", &peer_pid]);
        (theirs["stateName"] == "TERMINATED" && theirs["explanation"].to_string().contains(words)).then_some(())
    })
    .await;

    // Without --manual the provider's published terms are what was asked for: other terms lead back to them.
    let back = asked(work, &["negotiate", "school", "records", "--terms", &less, "--wait"]);
    assert_eq!(back["stateName"], "FINALIZED");
    // Offers that never meet come to an end.
    let pid = open();
    for _ in 0..8 {
        let shown = until("an answer", async || {
            let shown = ours(&pid);
            (shown["stateName"] != "REQUESTED" && shown["pending"] == json!([])).then_some(shown)
        })
        .await;
        if shown["stateName"] == "TERMINATED" {
            return;
        }
        said(work.cli(&["negotiation", "counter", &pid, "--terms", &less]));
    }
    panic!("the provider never ended it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_transfer_is_suspended_resumed_and_terminated_by_hand() {
    const RECORDS: u64 = 8_000;
    let world = World::start_with(&["school", "work"], |_, config| brisk(config, 300_000)).await;
    let (school, work) = (world.get("school"), world.get("work"));
    school.publish(RECORDS, 10).await;
    school.consent(10, &work.did).await;
    let agreement = work.negotiate(school).await;
    for by in [work, school] {
        let begun = text(&asked(work, &["transfer", "start", &agreement, "--detach"]), "pid");
        received_at_least(work, &begun, 1_100).await;
        let peer_pid = text(&work.get(&format!("/v1/transfers/{begun}")).await, "peerPid");
        let own = if by.name == "work" { &begun } else { &peer_pid };
        said(by.cli(&["transfer", "suspend", own, "--reason", "maintenance"]));
        for (connector, pid) in [(work, &begun), (school, &peer_pid)] {
            let held = connector.transfer_until(pid, "SUSPENDED").await;
            assert!(held["explanation"].to_string().contains("maintenance"), "{held}");
        }
        until("the stream is over", async || {
            (school.get("/v1/status").await["streams"] == 0).then_some(())
        })
        .await;
        let stopped = work.get(&format!("/v1/transfers/{begun}")).await["progress"].clone();
        assert!(stopped["records"].as_u64().unwrap() < RECORDS, "{stopped}");
        assert_eq!(asked(by, &["transfer", "resume", own])["pid"], **own);
        work.transfer_until(&begun, "COMPLETED").await;
        let all: Vec<u64> = (0..RECORDS).collect();
        assert_eq!(account(school, work, &begun).await, all, "suspended by {}", by.name);
    }
    let begun = text(&asked(work, &["transfer", "start", &agreement, "--detach"]), "pid");
    received_at_least(work, &begun, 1).await;
    let ended = asked(work, &["transfer", "terminate", &begun, "--reason", "not needed"]);
    let peer_pid = text(&ended, "peerPid");
    let there = school.transfer_until(&peer_pid, "TERMINATED").await;
    assert!(there["explanation"].to_string().contains("not needed"), "{there}");
    work.transfer_until(&begun, "TERMINATED").await;
    refused(work, &["transfer", "resume", &begun], 1);
    refused(work, &["transfer", "records", &begun], 1);
}
