//! Every command of the CLI against running daemons, for people and for programs, with its exit codes.

use crate::scenes::{account, brisk, learners::grant, received_at_least, said, until};
use connector_tests::harness::{Connector, NOTICE, World, consent, offer, record, text};
use serde_json::{Value, json};
use std::{fs, path::PathBuf};

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

/// Offers of which a prohibition would be lost, or which were agreed with somebody: nothing is published.
fn misread(school: &Connector, source: &str) {
    let twice = r#"{"permission": [{"action": "use"}], "prohibition": [{"action": "use"}], "prohibition": [{"action": "sell"}]}"#;
    let twice = written(school, "twice.json", twice);
    let mut agreed = offer();
    for (member, value) in [
        ("@type", "Agreement"),
        ("target", "records"),
        ("assigner", "did:web:a.example"),
        ("assignee", "did:web:b.example"),
    ] {
        agreed[member] = json!(value);
    }
    let agreed = written(school, "agreed.json", &agreed.to_string());
    let fields = ["--subject", "/sub", "--category", "skills=/skills", "--file", source];
    let add = [&["dataset", "add", "--id", "records"][..], &fields].concat();
    let told = refused(school, &[&add[..], &["--offer", &twice]].concat(), 2);
    assert!(
        told.contains("twice.json") && told.contains(r#"the member "prohibition" more than once"#),
        "{told}"
    );
    let told = refused(school, &["policy", "explain", &twice], 2);
    assert!(told.contains(r#"the member "prohibition" more than once"#), "{told}");
    let told = refused(school, &[&add[..], &["--offer", &agreed]].concat(), 1);
    assert!(told.contains("its @type is Agreement"), "{told}");
    let published = asked(school, &["dataset", "list"]);
    assert_eq!(published["datasets"], json!([]));
}

fn publish(school: &Connector, records: u64) {
    let lines: String = (0..records).map(|k| record(k, k % 4)).collect();
    let (source, terms) = (
        written(school, "r.ndjson", &lines),
        written(school, "o.json", &offer().to_string()),
    );
    misread(school, &source);
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
    let with_results = |option, notice| grant("l0", &work.did, &["--category", "results", option, notice]);
    let on_paper = with_results("--notice", NOTICE);
    let first = said(school.cli(&on_paper));
    let first = first
        .trim()
        .strip_prefix("recorded: ")
        .and_then(|rest| rest.strip_suffix(" (given)"))
        .expect("it is given, and nothing ended")
        .to_owned();
    let notice = written(school, "notice.txt", "how your records are used");
    let second = asked(school, &with_results("--notice-file", &notice));
    assert_eq!(
        (&second["granted"], &second["consents"][0]["superseded"]),
        (&json!(1), &json!([first])),
        "{second}"
    );
    let lines: String = (1..4)
        .map(|learner| format!("{}\n", consent(&format!("l{learner}"), &work.did)))
        .collect();
    let import = written(school, "consents.jsonl", &lines);
    assert!(said(school.cli(&["consent", "import", &import])).contains("3 consents recorded: 3 given"));
    let list = shown(school, &["consent", "list", "--subject", "l0"], "l0");
    assert_eq!(list["consents"].as_array().unwrap().len(), 2, "{list}");
    assert!(said(school.cli(&["consent", "withdraw", "--subject", "l3"])).contains("1 consent(s) of l3 ended"));
    refused(school, &["consent", "withdraw", "--subject", "l3"], 4);
    let french = refused(school, &["consent", "withdraw", "--subject", "l3", "--lang", "fr"], 4);
    assert!(
        french.contains("aucun consentement de cette personne") && french.contains("peut y remédier"),
        "{french}"
    );
    let towards = ["consent", "withdraw", "--subject", "l0", "--recipient", &work.did];
    // The second grant took the place of the first.
    assert_eq!(asked(school, &towards)["consents"].as_array().unwrap().len(), 1);
    let third = said(school.cli(&on_paper));
    assert!(third.contains("recorded: ") && !third.contains("ended"), "{third}");
    let fourth = said(school.cli(&on_paper));
    assert!(
        fourth.contains("  ended, because this one takes its place: urn:uuid:"),
        "{fourth}"
    );
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
    for (connector, lang, says) in [
        (work, "en", "Permits: use the data"),
        (school, "fr", "Permet : utiliser les données"),
    ] {
        let explain = ["agreement", "explain", &agreement, "--lang", lang];
        let told = shown(connector, &explain, says);
        assert_eq!(
            (&told["policy"], &told["refusals"]),
            (&json!(agreement), &json!([])),
            "{told}"
        );
    }
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
    until("the provider lists what it sent", async || {
        let list = said(school.cli(&["transfer", "list"]));
        let row = list.lines().find(|row| row.contains(&peer_pid)).expect("the transfer");
        row.trim_end().ends_with(" 30").then_some(())
    })
    .await;
    let record = shown(
        school,
        &["transfer", "show", &peer_pid],
        "the learner withdrew the consent",
    );
    assert!(
        record["release"]["withheld"]["CNS-04"].is_u64(),
        "scripts get the code: {record}"
    );
    let french = said(school.cli(&["transfer", "show", &peer_pid, "--lang", "fr"]));
    assert!(
        french.contains("CNS-04") && french.contains("la personne a retiré son consentement"),
        "{french}"
    );

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
        &["agreement", "explain", nowhere],
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
async fn warnings_of_a_publication_are_told_in_the_language_of_whoever_publishes() {
    let world = World::start(&["school"]).await;
    let school = world.get("school");
    let mut meeting = offer();
    meeting["prohibition"] = json!([{"action": "distribute"}]);
    let (source, terms) = (
        written(school, "r.ndjson", &record(0, 0)),
        written(school, "o.json", &meeting.to_string()),
    );
    for (lang, begin, rules) in [
        (
            "fr",
            "avertissement LNT-07 dans /prohibition/0",
            "une permission et une interdiction se rencontrent",
        ),
        (
            "en",
            "warning LNT-07 at /prohibition/0",
            "a permission and a prohibition meet",
        ),
    ] {
        let add = [
            "dataset",
            "add",
            "--id",
            lang,
            "--file",
            &source,
            "--subject",
            "/sub",
            "--category",
            "skills=/skills",
            "--offer",
            &terms,
            "--lang",
            lang,
        ];
        let told = said(school.cli(&add));
        assert!(told.contains(begin) && told.contains(rules), "{told}");
    }
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
    let held = work.get(&format!("/v1/negotiations/{pid}/wait?timeout=30")).await;
    assert_eq!(
        (&held["stateName"], &held["held"]),
        (&json!("AGREED"), &json!(true)),
        "{held}"
    );
    assert!(said(work.cli(&["negotiation", "verify", &pid])).contains(&pid));
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
    assert_eq!(
        (&back["stateName"], &back["agreedTerms"]),
        (&json!("FINALIZED"), &json!("published"))
    );
    let told = said(work.cli(&[
        "negotiate",
        "school",
        "records",
        "--terms",
        &less,
        "--wait",
        "--lang",
        "en",
    ]));
    assert!(
        told.contains("on the published terms, not on those that were asked for"),
        "{told}"
    );
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
