//! What a learner's word names, through real daemons: recipients by name or id, all of those that a consent names, nobody who is not there; and
//! the one agreement that a consent is for.

use crate::scenes::{
    brisk, file,
    learners::{grant, numbers, pseudonym, release},
    payload, received_at_least, said,
};
use connector_tests::harness::{NOTICE, PURPOSE, World, consent, dataset, offer, text};
use http::Method;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_is_named_by_its_name_wherever_a_learners_word_names_it() {
    let world = World::start(&["school", "work", "edtech"]).await;
    let (school, work, edtech) = (world.get("school"), world.get("work"), world.get("edtech"));
    school.publish(40, 4).await;
    let agreement = work.negotiate(school).await;
    let mut both = consent("l0", "work");
    both["recipients"] = json!(["work", work.did, "edtech"]);
    let granted = school.post("/v1/consents", &json!([both, consent("l1", "work")])).await;
    assert_eq!(
        granted["consents"][0]["recipients"],
        json!([work.did, edtech.did]),
        "{granted}"
    );
    assert_eq!(release(school, work, &agreement).await["sent"], 20);

    let set = [
        "restriction",
        "set",
        "--subject",
        "l1",
        "--recipient",
        "work",
        "--method",
        "letter",
    ];
    assert!(said(school.cli(&set)).starts_with("restricted: "));
    let shown = release(school, work, &agreement).await;
    assert_eq!(
        (&shown["sent"], &shown["withheld"]["CNS-14"]),
        (&json!(10), &json!(10)),
        "{shown}"
    );

    let withdraw = ["consent", "withdraw", "--subject", "l0", "--recipient", "work"];
    let told = said(school.cli(&withdraw));
    for ended in [&work.did, &edtech.did] {
        assert!(told.contains(&format!("ended towards {ended}")), "{told}");
    }
    let list = school.get("/v1/consents?subject=l0").await;
    assert_eq!(list["consents"][0]["state"], "withdrawn", "{list}");
    assert_eq!(release(school, work, &agreement).await["sent"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recipient_that_nobody_could_be_is_refused_by_every_route_and_leaves_nothing_behind() {
    let world = World::start(&["school", "work"]).await;
    let (school, work) = (world.get("school"), world.get("work"));
    school.publish(4, 2).await;
    school.consent(1, &work.did).await;
    let learner = json!({"role": "learner", "method": "portal"});
    let bodies = |recipient: &str| {
        [
            (
                "/v1/consents",
                json!([consent("l9", &work.did), consent("l9", recipient)]),
            ),
            ("/v1/consents/requests", consent("l9", recipient)),
            (
                "/v1/shares",
                json!({"subject": "l9", "recipient": recipient, "purpose": PURPOSE, "categories": ["skills"],
                "until": "2999-01-01T00:00:00Z", "notice": NOTICE, "actor": learner}),
            ),
            (
                "/v1/restrictions",
                json!({"subject": "l9", "recipient": recipient, "actor": learner}),
            ),
            (
                "/v1/bases",
                json!({"basis": "public-task", "grounds": "law", "recipients": [recipient], "purposes": [PURPOSE],
                "categories": ["skills"], "datasets": ["records"], "notice": NOTICE, "until": "2999-01-01T00:00:00Z"}),
            ),
        ]
    };
    for (path, body) in bodies("nodid") {
        let (status, refused) = school.call(Method::POST, path, Some(&body)).await;
        let told = (status.as_u16(), refused["error"]["code"].as_str());
        assert_eq!(told, (422, Some("unknown-recipient")), "{path} {refused}");
        // Of several, it is said which.
        let entry = if body.is_array() { "entry 2: " } else { "" };
        let message = text(&refused["error"], "message");
        assert!(message.starts_with(&format!("{entry}nodid is neither")), "{refused}");
    }
    // A slip of the pen is not answered with that there is nothing to withdraw, nor one that could be somebody without naming them.
    for (recipient, expected) in [
        ("nodid", (422, "unknown-recipient")),
        ("did:web:wrok.example", (404, "nothing-to-withdraw")),
    ] {
        let body = json!({"subject": "l0", "recipient": recipient});
        let (status, refused) = school.call(Method::POST, "/v1/consents/withdraw", Some(&body)).await;
        let told = (status.as_u16(), refused["error"]["code"].as_str().unwrap());
        assert_eq!(told, expected, "{refused}");
        assert!(text(&refused["error"], "message").contains(recipient), "{refused}");
    }
    assert_eq!(
        school.get("/v1/consents?subject=l0").await["consents"][0]["state"],
        "given"
    );
    let left = school.get("/v1/consents?subject=l9").await;
    assert_eq!(left["consents"], json!([]), "not even what was beside it");
    for (path, members) in [("/v1/restrictions", "restrictions"), ("/v1/bases", "bases")] {
        assert_eq!(school.get(path).await[members], json!([]), "{path}");
    }
    // Who is no peer today may be a member tomorrow.
    let stranger = "did:web:agence.example";
    school.post("/v1/consents", &json!([consent("l9", stranger)])).await;
    let body = json!({"subject": "l9", "recipient": stranger, "actor": {"role": "learner", "method": "letter"}});
    school.post("/v1/restrictions", &body).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consent_for_an_agreement_lets_nothing_out_under_another() {
    let world = World::start(&["school", "work"]).await;
    let (school, work) = (world.get("school"), world.get("work"));
    let path = school.publish(20, 2).await;
    school.post("/v1/datasets", &dataset("courses", &path, offer())).await;
    let agreements = [
        work.negotiate(school).await,
        work.negotiate(school).await,
        work.negotiate_for(school, "courses").await,
    ];
    let more = ["--notice", NOTICE, "--agreement", &agreements[0]];
    said(school.cli(&grant("l0", "work", &more)));
    let shown = release(school, work, &agreements[0]).await;
    assert_eq!(
        (&shown["sent"], &shown["withheld"]),
        (&json!(10), &json!({"CNS-01": 10}))
    );
    for other in &agreements[1..] {
        let shown = release(school, work, other).await;
        let withheld = json!({"CNS-01": 10, "CNS-16": 10});
        assert_eq!((&shown["sent"], &shown["withheld"]), (&json!(0), &withheld), "{other}");
    }
    // What is for any agreement opens all of them, as before.
    school.consent(1, &work.did).await;
    for agreement in &agreements {
        assert_eq!(release(school, work, agreement).await["sent"], 10, "{agreement}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_tells_in_which_streams_other_consents_go_on_and_promises_nothing_there() {
    let world = World::start_with(&["school", "work"], |_, config| brisk(config, 100_000)).await;
    let (school, work) = (world.get("school"), world.get("work"));
    let path = school.publish(3_000, 10).await;
    school.post("/v1/datasets", &dataset("courses", &path, offer())).await;
    let (mut running, mut withdrawn) = (Vec::new(), String::new());
    for name in ["courses", "records"] {
        let given = (0..10).map(|learner| {
            let mut given = consent(&format!("l{learner}"), &work.did);
            given["datasets"] = json!([name]);
            given
        });
        let given = school.post("/v1/consents", &json!(given.collect::<Vec<Value>>())).await;
        withdrawn = text(&given["consents"][5], "id");
        let agreement = work.negotiate_for(school, name).await;
        let pid = work.transfer(&agreement).await;
        received_at_least(work, &pid, 1).await;
        let peer = text(&work.get(&format!("/v1/transfers/{pid}")).await, "peerPid");
        running.push((pid, peer));
    }
    let said = json!({"event": "withdraw", "actor": {"role": "learner", "method": "letter"}});
    let told = school.post(&format!("/v1/consents/{withdrawn}/events"), &said).await;
    let told = told["streams"].as_array().unwrap();
    let of = |peer: &str| told.iter().find(|end| end["transfer"] == peer).unwrap();
    let ends = running.iter().map(|(_, peer)| of(peer)["goesOn"].clone());
    assert_eq!(ends.collect::<Vec<_>>(), [true, false], "{told:?}");
    let receipts = school.get(&format!("/v1/consents/{withdrawn}/receipts")).await;
    let last = receipts["receipts"].as_array().unwrap().last().unwrap();
    let ended = &payload(last.as_str().unwrap())["dases:ended"];
    let named: Vec<String> = ended["streams"]
        .as_array()
        .unwrap()
        .iter()
        .map(|stream| text(stream, "transfer"))
        .collect();
    assert_eq!(named, [running[1].1.clone()], "{ended}");
    let name = pseudonym(school, work, "l5").await;
    for ((pid, peer), goes_on) in running.iter().zip([true, false]) {
        work.transfer_until(pid, "COMPLETED").await;
        let last = of(peer)["lastSequence"].as_u64().unwrap();
        let (theirs, _) = numbers(&file(work, pid), &name);
        assert_eq!(theirs.iter().any(|number| *number > last), goes_on, "{pid}: {last}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consent_that_could_open_nothing_does_not_take_the_place_of_one_that_does_without_a_word() {
    let world = World::start(&["school", "work", "edtech"]).await;
    let (school, work, edtech) = (world.get("school"), world.get("work"), world.get("edtech"));
    school.publish(20, 2).await;
    let agreement = work.negotiate(school).await;
    let others = edtech.negotiate(school).await;
    school.consent(1, &work.did).await;
    let nobodys = "urn:uuid:0198f2c4-7a31-7d20-8f00-3b6c1a9e5d11";
    for wrong in [others.as_str(), nobodys] {
        let mut new = consent("l0", "work");
        new["agreement"] = json!(wrong);
        for (path, body) in [("/v1/consents", json!([new])), ("/v1/consents/requests", new)] {
            let (status, refused) = school.call(Method::POST, path, Some(&body)).await;
            let told = (status.as_u16(), refused["error"]["code"].as_str());
            assert_eq!(told, (422, Some("unknown-agreement")), "{path} {refused}");
        }
    }
    assert_eq!(
        release(school, work, &agreement).await["sent"],
        10,
        "the one that there was stands"
    );

    // What may be published later is recorded, and whoever records it is told.
    let mut new = consent("l1", "work");
    new["datasets"] = json!(["records", "nosuch"]);
    new["categories"] = json!(["skills"]);
    new["fields"] = json!(["/skills", "/nope", "/result"]);
    let granted = school.post("/v1/consents", &json!([new])).await;
    assert_eq!(
        granted["consents"][0]["unknown"],
        json!({"datasets": ["nosuch"], "fields": ["/nope", "/result"]}),
        "{granted}"
    );
    let more = ["--notice", NOTICE, "--dataset", "nosuch", "--agreement", &agreement];
    let told = said(school.cli(&grant("l1", "work", &more)));
    assert!(
        told.contains("warning: no dataset is published here as nosuch"),
        "{told}"
    );
    let told = said(school.cli(&grant("l1", "work", &["--notice", NOTICE, "--agreement", &agreement])));
    assert!(!told.contains("warning"), "{told}");
}
