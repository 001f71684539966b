//! The law of consent through real daemons: who decides, what a request, a refusal, a receipt and an objection are worth, and what time ends.

mod notices;
mod objections;
mod paper;
mod reasons;

use crate::scenes::{account, learners::released, until, verified};
use connector::clock::now;
use connector_tests::harness::{Connector, NOTICE, PURPOSE, World, consent, dataset, offer_and, text};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::{collections::BTreeSet, fs, time::Duration};

/// Calls and returns the status and the code of the refusal.
async fn refused(connector: &Connector, path: &str, body: &Value) -> (u16, String) {
    let (status, said) = connector.call(Method::POST, path, Some(body)).await;
    (status.as_u16(), text(&said["error"], "code"))
}

fn actor(role: &str, id: Option<&str>) -> Value {
    json!({"role": role, "id": id, "method": "portal", "assurance": "substantial", "evidence": "session 1"})
}

fn event(event: &str, actor: Value) -> Value {
    json!({"event": event, "actor": actor})
}

async fn notice(school: &Connector, version: &str) -> String {
    let body = json!({
        "id": "orientation", "version": version, "language": "fr",
        "text": format!("Ton lycée veut envoyer tes compétences. Version {version}."),
    });
    text(&school.post("/v1/notices", &body).await, "hash")
}

/// Has the holder ask a learner; returns the consent's id.
async fn ask(school: &Connector, learner: &str, recipient: &str, notice: &str) -> String {
    let mut body = consent(learner, recipient);
    body["notice"] = notice.into();
    let told = school.post("/v1/consents/requests", &body).await;
    assert_eq!(told["state"], "requested", "{told}");
    text(&told["consent"], "id")
}

async fn decide(school: &Connector, id: &str, body: &Value) -> Value {
    school.post(&format!("/v1/consents/{id}/events"), body).await
}

/// Negotiates and fetches the dataset; returns what the provider released.
async fn release(school: &Connector, work: &Connector) -> Value {
    let agreement = work.negotiate(school).await;
    let pid = work.transfer(&agreement).await;
    let done = work.transfer_until(&pid, "COMPLETED").await;
    released(school, &text(&done, "peerPid")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn consent_law_a_request_opens_nothing_until_the_learner_gives_and_closes_with_their_word() {
    let world = World::start(&["school", "work"]).await;
    let (school, work) = (world.get("school"), world.get("work"));
    school.publish(40, 4).await;
    school.consent(3, &work.did).await;
    let hash = notice(school, "1").await;
    let id = ask(school, "l3", &work.did, &hash).await;
    assert_eq!(release(school, work).await["sent"], 30, "l3 was only asked");

    let told = decide(school, &id, &event("give", actor("learner", None))).await;
    assert_eq!(told["state"], "given");
    assert_eq!(release(school, work).await["sent"], 40);
    let at = format!("/v1/consents/{id}/events");
    let give = event("give", actor("learner", None));
    assert_eq!(
        refused(school, &at, &give).await,
        (409, "illegal-step".into()),
        "given twice"
    );

    let told = decide(school, &id, &event("withdraw", actor("learner", None))).await;
    assert_eq!(told["state"], "withdrawn");
    assert!(told["epoch"].is_u64() && told["streams"].is_array(), "{told}");
    assert_eq!(release(school, work).await["sent"], 30);
    assert_eq!(
        refused(school, &at, &give).await,
        (409, "ended".into()),
        "a replay of the give"
    );
    let mut again = consent("l3", &work.did);
    again["notice"] = hash.into();
    assert_eq!(
        refused(school, "/v1/consents/requests", &again).await,
        (429, "too-soon".into()),
        "who has said no is left in peace"
    );
    verified(school).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn consent_law_bad_decisions_are_refused_with_a_reason_and_change_nothing() {
    let world = World::start(&["school", "work"]).await;
    let (school, work) = (world.get("school"), world.get("work"));
    let hash = notice(school, "1").await;
    let id = ask(school, "l0", &work.did, &hash).await;
    let before = school.get("/v1/consents").await;
    let at = format!("/v1/consents/{id}/events");
    let timed = |time: &str| {
        let mut body = event("give", actor("learner", None));
        body["time"] = time.into();
        body
    };
    let long = "x".repeat(100_000);
    for (path, body, expected) in [
        (&at, event("give", actor("consumer", Some("x"))), (403, "no-power")),
        (&at, event("give", actor("holder", None)), (403, "no-power")),
        (&at, event("give", actor("clock", None)), (403, "no-power")),
        (
            &at,
            event("give", actor("guardian", Some("stranger"))),
            (403, "no-power"),
        ),
        (
            &at,
            event("give", actor("delegate", Some("stranger"))),
            (403, "no-power"),
        ),
        (&at, event("withdraw", actor("learner", None)), (409, "illegal-step")),
        (&at, event("reaffirm", actor("learner", None)), (409, "illegal-step")),
        (&at, event("expire", actor("clock", None)), (422, "invalid")),
        (&at, event("give", actor("king", None)), (422, "invalid")),
        (&at, timed("2001-01-01T00:00:00Z"), (422, "backwards")),
        (&at, timed("2999-01-01T00:00:00Z"), (422, "in-the-future")),
        (
            &at,
            event("give", actor("learner", Some(&long))),
            (422, "invalid-consent"),
        ),
        (
            &"/v1/consents/nonsense/events".to_owned(),
            event("give", actor("learner", None)),
            (404, "not-found"),
        ),
        (
            &"/v1/consents/urn:uuid:0198f2c4-7a31-7d20-8f00-3b6c1a9e5d11/events".to_owned(),
            event("give", actor("learner", None)),
            (404, "not-found"),
        ),
    ] {
        let (status, code) = refused(school, path, &body).await;
        assert_eq!((status, code.as_str()), expected, "{body}");
    }
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut body = consent("l9", &work.did);
        body["notice"] = hash.clone().into();
        change(&mut body);
        body
    };
    let many: Vec<String> = (0..100_000).map(|n| format!("p{n}")).collect();
    for (body, expected) in [
        (changed(&|body| body["notice"] = NOTICE.into()), (422, "unknown-notice")),
        (
            changed(&|body| body["categories"] = json!(["special-needs"])),
            (422, "invalid-consent"),
        ),
        (
            changed(&|body| body["categories"] = json!(["skillz"])),
            (422, "invalid-consent"),
        ),
        (
            changed(&|body| body["expires"] = "2001-01-01T00:00:00Z".into()),
            (422, "invalid-consent"),
        ),
        (
            changed(&|body| body["expires"] = "2999-01-01T00:00:00Z".into()),
            (422, "invalid-consent"),
        ),
        (
            changed(&|body| body["purposes"] = json!(many)),
            (422, "invalid-consent"),
        ),
        (
            changed(&|body| body["fields"] = json!(["skills"])),
            (422, "invalid-consent"),
        ),
        (changed(&|body| body["maxCount"] = 0.into()), (422, "invalid-consent")),
        (
            changed(&|body| body["minGroupSize"] = 4.into()),
            (422, "invalid-consent"),
        ),
        (changed(&|body| body["subject"] = "l0".into()), (409, "already-asked")),
    ] {
        let (status, code) = refused(school, "/v1/consents/requests", &body).await;
        assert_eq!((status, code.as_str()), expected, "{}", &body.to_string()[..200]);
    }
    assert_eq!(school.get("/v1/consents").await, before);
    verified(school).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn consent_law_under_fifteen_the_child_and_a_guardian_decide_together() {
    let world = World::start(&["school", "work"]).await;
    let (school, work) = (world.get("school"), world.get("work"));
    school.publish(10, 1).await;
    let hash = notice(school, "1").await;
    let standing = json!({
        "subject": "l0", "bornOn": "2020-05-01",
        "powers": [{"id": "mother", "capacity": "parental-authority", "scope": ["give", "withdraw"],
            "from": "2026-01-01T00:00:00Z", "until": "2038-01-01T00:00:00Z", "evidence": "register 7"}],
    });
    let mut unborn = standing.clone();
    unborn["bornOn"] = "2112-05-01".into();
    assert_eq!(
        refused(school, "/v1/learners", &unborn).await,
        (422, "invalid-standing".into())
    );
    let kept = school.post("/v1/learners", &standing).await;
    assert_eq!(kept["soleConsentFrom"], "2035-05-01T00:00:00Z", "{kept}");
    assert!(!school.get("/v1/learners?subject=l0").await.to_string().contains("2020"));

    let id = ask(school, "l0", &work.did, &hash).await;
    let guardian = || actor("guardian", Some("mother"));
    assert_eq!(
        decide(school, &id, &event("give", guardian())).await["state"],
        "pending-learner"
    );
    assert_eq!(
        release(school, work).await["sent"],
        0,
        "the guardian alone is not enough"
    );
    let given = decide(school, &id, &event("give", actor("learner", None))).await;
    assert_eq!(given["state"], "given");
    assert_eq!(release(school, work).await["sent"], 10);
    assert_eq!(
        decide(school, &id, &event("withdraw", guardian())).await["state"],
        "withdrawn"
    );
    assert_eq!(
        release(school, work).await["sent"],
        0,
        "one of the two is enough to stop it"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn consent_law_a_policy_for_minors_lets_adults_and_guarded_minors_go_and_nobody_else() {
    let world = World::start(&["school", "work"]).await;
    let (school, work) = (world.get("school"), world.get("work"));
    let file = school.publish(50, 5).await;
    let terms = offer_and(json!({"or": [
        {"leftOperand": "dases:minor", "operator": "eq", "rightOperand": "false"},
        {"leftOperand": "dases:guardianConsent", "operator": "eq", "rightOperand": "true"},
    ]}));
    school.post("/v1/datasets", &dataset("guarded", &file, terms)).await;
    let standing = |learner: &str, born: &str| {
        json!({"subject": learner, "bornOn": born, "powers": [{"id": "mother", "capacity": "parental-authority",
            "scope": ["give", "withdraw"], "from": "2026-01-01T00:00:00Z", "until": "2038-01-01T00:00:00Z", "evidence": "register 7"}]})
    };
    let hash = notice(school, "1").await;
    let (child, mother) = (actor("learner", None), actor("guardian", Some("mother")));
    // An adult; a child whose mother agreed; one whose mother did not; one of whom the school did not know it; and one of unknown age.
    for (learner, born, signers) in [
        ("l0", Some("1990-01-01"), vec![&child]),
        ("l1", Some("2020-05-01"), vec![&child, &mother]),
        ("l2", Some("2020-05-01"), vec![&child]),
        ("l3", None, vec![&child]),
        ("l4", None, vec![&child]),
    ] {
        if let Some(born) = born {
            school.post("/v1/learners", &standing(learner, born)).await;
        }
        let id = ask(school, learner, &work.did, &hash).await;
        for signer in signers {
            decide(school, &id, &event("give", signer.clone())).await;
        }
    }
    school.post("/v1/learners", &standing("l3", "2020-05-01")).await;

    let agreement = work.negotiate_for(school, "guarded").await;
    // The learners whose records came, ten of each, and how many were withheld for want of a guardian.
    let fetched = async || {
        let pid = work.transfer(&agreement).await;
        let done = work.transfer_until(&pid, "COMPLETED").await;
        let numbers = account(school, work, &pid).await;
        let learners: BTreeSet<u64> = numbers.iter().map(|number| number % 5).collect();
        assert_eq!(numbers.len(), learners.len() * 10);
        let shown = school.get(&format!("/v1/transfers/{}", text(&done, "peerPid"))).await;
        (learners, shown["release"]["withheld"].clone())
    };
    let (learners, withheld) = fetched().await;
    assert_eq!(learners, BTreeSet::from([0, 1]), "{withheld}");
    let counted = withheld.as_object().unwrap().values().filter_map(Value::as_u64);
    assert_eq!(counted.sum::<u64>(), 30, "{withheld}");
    assert!(
        withheld["CNS-09"].as_u64().is_some_and(|count| count >= 20),
        "{withheld}"
    );

    school.post("/v1/learners", &standing("l4", "1990-01-01")).await;
    let (learners, withheld) = fetched().await;
    assert_eq!(learners, BTreeSet::from([0, 1, 4]), "{withheld}");
    verified(school).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn consent_law_a_consent_ends_by_its_time_and_a_restart_notices_what_it_slept_through() {
    let mut world = World::start(&["school", "work"]).await;
    let (school, work) = (world.get("school"), world.get("work"));
    let ends = |seconds| now().plus(Duration::from_millis(seconds));
    let mut short = consent("l0", &work.did);
    short["expires"] = json!(ends(1_500));
    let mut longer = consent("l1", &work.did);
    longer["expires"] = json!(ends(4_000));
    let granted = school.post("/v1/consents", &json!([short, longer])).await;
    let ids: Vec<String> = (0..2).map(|n| text(&granted["consents"][n], "id")).collect();
    let state = async |id: &str| text(&world.get("school").get(&format!("/v1/consents/{id}")).await, "state");
    until("the first has ended", async || {
        (state(&ids[0]).await == "expired").then_some(())
    })
    .await;
    assert_eq!(state(&ids[1]).await, "given");
    world.get_mut("school").kill();
    tokio::time::sleep(Duration::from_secs(4)).await;
    world.get_mut("school").start().await;
    let school = world.get("school");
    until("the second has ended", async || {
        (text(&school.get(&format!("/v1/consents/{}", ids[1])).await, "state") == "expired").then_some(())
    })
    .await;
    let at = format!("/v1/consents/{}/events", ids[1]);
    let reaffirm = event("reaffirm", actor("learner", None));
    // Its time is over at once; that it has ended is noted right after.
    let (status, code) = refused(school, &at, &reaffirm).await;
    assert!(
        status == 409 && ["ended", "lapsed"].contains(&code.as_str()),
        "{status} {code}"
    );
    verified(school).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn consent_law_receipts_are_verified_by_whoever_has_the_holders_document() {
    let world = World::start(&["school", "work"]).await;
    let (school, work) = (world.get("school"), world.get("work"));
    let hash = notice(school, "1").await;
    let share = json!({
        "subject": "l0", "recipient": work.did, "purpose": PURPOSE, "categories": ["skills"], "notice": hash,
        "until": now().plus(Duration::from_secs(3_600)), "actor": actor("learner", None),
    });
    let shared = school.post("/v1/shares", &share).await;
    assert_eq!(shared["state"], "given", "{shared}");
    let id = text(&shared["consent"], "id");
    decide(school, &id, &event("withdraw", actor("learner", None))).await;
    let said = |arguments: &[&str]| {
        let output = school.cli(arguments);
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stdout).into_owned(),
        )
    };
    let (code, receipts) = said(&["consent", "receipts", &id]);
    assert_eq!((code, receipts.lines().count()), (Some(0), 2));
    let file = school.dir.join("receipts.txt");
    fs::write(&file, &receipts).unwrap();
    let file = file.to_str().unwrap();
    let (code, verdict) = said(&["consent", "verify", file, "--json"]);
    let verdict: Value = serde_json::from_str(&verdict).unwrap();
    assert_eq!(
        (code, &verdict["state"], &verdict["complete"]),
        (Some(0), &json!("withdrawn"), &json!(true))
    );
    assert_eq!(
        (&verdict["checked"], &verdict["notChecked"]),
        (
            &json!(["signatures", "chain", "steps", "fields", "keyPeriods"]),
            &json!(["inclusion"])
        ),
        "the daemon knows when its keys counted"
    );
    // Out of order, or with an earlier yes once more, they prove nothing.
    let swapped = school.dir.join("swapped.txt");
    let lines: Vec<&str> = receipts.lines().rev().collect();
    fs::write(&swapped, lines.join("\n")).unwrap();
    let twice = school.dir.join("twice.txt");
    fs::write(&twice, format!("{receipts}{}", lines[1])).unwrap();
    for wrong in [swapped, twice] {
        assert_eq!(said(&["consent", "verify", wrong.to_str().unwrap()]).0, Some(6));
    }
    let record = school.dir.join("record.json");
    let (_, shown) = said(&["consent", "show", &id, "--json"]);
    fs::write(&record, &shown).unwrap();
    assert_eq!(said(&["consent", "verify", record.to_str().unwrap()]).0, Some(0));
    let mut lacking: Value = serde_json::from_str(&shown).unwrap();
    lacking["record"].as_object_mut().unwrap().remove("dpv:hasNotice");
    fs::write(&record, lacking.to_string()).unwrap();
    assert_eq!(said(&["consent", "verify", record.to_str().unwrap()]).0, Some(6));
}

#[tokio::test(flavor = "multi_thread")]
async fn consent_law_the_same_request_with_the_same_key_decides_once() {
    let world = World::start(&["school", "work"]).await;
    let (school, work) = (world.get("school"), world.get("work"));
    let hash = notice(school, "1").await;
    let id = ask(school, "l0", &work.did, &hash).await;
    let before = school.get("/v1/status").await["auditEntries"].as_u64().unwrap();
    let body = event("give", actor("learner", None)).to_string();
    let path = format!("http://localhost/v1/consents/{id}/events");
    let socket = school.dir.join("management.sock");
    let call = || {
        std::process::Command::new("curl")
            .args([
                "--silent",
                "--unix-socket",
                socket.to_str().unwrap(),
                "-H",
                "Idempotency-Key: k1",
            ])
            .args(["-H", "Content-Type: application/json", "-d", &body, &path])
            .output()
            .map(|output| serde_json::from_slice::<Value>(&output.stdout).unwrap())
    };
    let Ok(first) = call() else {
        println!("skipped: curl is not installed");
        return;
    };
    assert_eq!(first["state"], "given", "{first}");
    assert_eq!(call().unwrap(), first);
    let after = school.get("/v1/status").await["auditEntries"].as_u64().unwrap();
    assert_eq!(after, before + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn consent_law_what_rests_on_another_basis_says_so_and_ends_with_an_objection() {
    let world = World::start(&["school", "work"]).await;
    let (school, work) = (world.get("school"), world.get("work"));
    let hash = notice(school, "1").await;
    let declared = json!({
        "basis": "public-task", "grounds": "Code de l'éducation", "recipients": [work.did], "purposes": [PURPOSE],
        "categories": ["skills"], "datasets": ["records"], "notice": hash, "until": now().plus(Duration::from_secs(3_600)),
    });
    let file = school.dir.join("basis.json");
    fs::write(&file, declared.to_string()).unwrap();
    assert!(
        school
            .cli(&["basis", "declare", file.to_str().unwrap()])
            .status
            .success()
    );
    let bases = school.get("/v1/bases").await;
    let id = text(&bases["bases"][0], "id");
    let objection = json!({"subject": "l0", "basis": id, "actor": actor("learner", None)});
    let told = school.post("/v1/objections", &objection).await;
    assert!(told["acknowledgement"]["epoch"].is_u64(), "{told}");
    assert_eq!(
        refused(school, "/v1/objections", &objection).await,
        (409, "already-objected".into())
    );
    let stranger = json!({"subject": "l1", "basis": id, "actor": actor("consumer", Some("x"))});
    assert_eq!(
        refused(school, "/v1/objections", &stranger).await,
        (403, "no-power".into())
    );
    let mut special = declared.clone();
    special["categories"] = json!(["special-needs"]);
    assert_eq!(
        refused(school, "/v1/bases", &special).await,
        (422, "invalid-basis".into())
    );
    let receipts = school
        .get(&format!("/v1/consents/{}/receipts", text(&told["objection"], "id")))
        .await;
    assert_eq!(receipts["receipts"].as_array().unwrap().len(), 1);
    assert_eq!(
        school.get("/v1/consents").await["consents"],
        json!([]),
        "nobody consented"
    );
    assert!(school.cli(&["basis", "end", &id]).status.success());
    assert_eq!(
        refused(school, &format!("/v1/bases/{id}/end"), &json!({})).await,
        (409, "ended".into())
    );
    let (status, _) = school.call(Method::GET, "/v1/objections?learner=l0", None).await;
    assert_eq!(
        status,
        StatusCode::BAD_REQUEST,
        "not all where one learner's were meant"
    );
    verified(school).await;
}
