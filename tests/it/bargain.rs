//! What two connectors make of terms that differ, who may open a negotiation, and both ways in which records travel.

use crate::scenes::{payload, until, with};
use connector_tests::harness::{Connector, World, dataset, offer, offer_and, text};
use serde_json::{Value, json};

/// The categories that an offer or agreement lets out.
fn categories(policy: &Value) -> &Value {
    &policy["permission"][0]["constraint"][1]["rightOperand"]
}

/// The harness's offer for other categories.
fn terms(wanted: &[&str]) -> Value {
    let mut terms = offer();
    terms["permission"][0]["constraint"][1]["rightOperand"] = json!(wanted);
    terms
}

/// A school and a workplace with these rules for terms that differ.
async fn world(other_terms: &str, counter_offers: &str) -> World {
    let settings = format!("other_terms = \"{other_terms}\"\ncounter_offers = \"{counter_offers}\"\n");
    let world = World::start_with(&["school", "work"], |_, config| with(config, "decisions", &settings)).await;
    world.get("school").publish(30, 10).await;
    world
}

/// How a request for other terms ends.
async fn asked_for(world: &World, wanted: &[&str]) -> Value {
    let work = world.get("work");
    let body = json!({"peer": "school", "offer": "records", "terms": terms(wanted)});
    let pid = text(&work.post("/v1/negotiations", &body).await, "pid");
    work.get(&format!("/v1/negotiations/{pid}/wait?timeout=30")).await
}

/// The agreement that a finalized negotiation led to, the same on both sides and signed by both.
async fn agreed(world: &World, ended: &Value) -> Value {
    assert_eq!(ended["stateName"], "FINALIZED", "{ended}");
    let mut found = Vec::new();
    for connector in &world.connectors {
        let all = connector.get("/v1/agreements").await;
        let wanted = |stored: &&Value| stored["id"] == ended["agreementId"];
        let stored = all["agreements"]
            .as_array()
            .unwrap()
            .iter()
            .find(wanted)
            .unwrap()
            .clone();
        assert_eq!(stored["signatures"], 2);
        found.push(stored["agreement"].clone());
    }
    assert_eq!(found[0], found[1]);
    found.remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_accepts_less_agrees_to_narrower_terms_and_to_no_wider_ones() {
    let world = world("accept-narrower", "published").await;
    let ended = asked_for(&world, &["skills"]).await;
    assert_eq!(ended["agreedTerms"], "asked");
    assert_eq!(categories(&agreed(&world, &ended).await), &json!(["skills"]));
    let ended = asked_for(&world, &["skills", "results", "identity"]).await;
    assert_eq!(ended["agreedTerms"], "published");
    assert_eq!(
        categories(&agreed(&world, &ended).await),
        &json!(["skills", "results"]),
        "the published terms, accepted"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn two_sides_that_meet_in_the_middle_agree_on_what_both_allow() {
    let world = world("intersect", "intersect").await;
    let ended = asked_for(&world, &["skills", "identity"]).await;
    assert_eq!(ended["agreedTerms"], "others");
    assert_eq!(categories(&agreed(&world, &ended).await), &json!(["skills"]));
    let ended = asked_for(&world, &["identity"]).await;
    assert_eq!(ended["stateName"], "TERMINATED", "nothing is allowed by both: {ended}");
    assert_eq!(ended["explanation"]["code"], "no-agreement");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_refuses_other_terms_ends_the_negotiation_and_says_why() {
    let world = world("refuse", "published").await;
    let ended = asked_for(&world, &["skills"]).await;
    assert_eq!(ended["stateName"], "TERMINATED", "{ended}");
    assert_eq!(ended["explanation"]["code"], "no-agreement");
    let same = asked_for(&world, &["skills", "results"]).await;
    agreed(&world, &same).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_that_nobody_asked_for_waits_for_the_operator_and_leads_to_an_agreement() {
    let world = World::start(&["school", "work"]).await;
    let (school, work) = (world.get("school"), world.get("work"));
    school.publish(3, 3).await;
    let proposed = school
        .post("/v1/offers", &json!({"peer": "work", "dataset": "records"}))
        .await;
    assert_eq!(
        (&proposed["role"], &proposed["offerBy"]),
        (&json!("provider"), &json!("provider"))
    );
    let pid = until("the offer arrives", async || {
        let all = work.get("/v1/negotiations").await;
        let held = all["negotiations"].as_array()?.first()?.clone();
        (held["stateName"] == "OFFERED" && held["held"] == true).then(|| text(&held, "pid"))
    })
    .await;
    work.post(&format!("/v1/negotiations/{pid}/accept"), &json!({})).await;
    let held = work.get(&format!("/v1/negotiations/{pid}/wait?timeout=30")).await;
    assert_eq!(
        (&held["stateName"], &held["held"]),
        (&json!("AGREED"), &json!(true)),
        "{held}"
    );
    work.post(&format!("/v1/negotiations/{pid}/verify"), &json!({})).await;
    let ended = work.get(&format!("/v1/negotiations/{pid}/wait?timeout=30")).await;
    agreed(&world, &ended).await;
}

/// Waits until the operator of one side may decide, in this state, and decides.
async fn decide(connector: &Connector, pid: &str, state: &str, command: &str) {
    until(state, async || {
        let shown = connector.get(&format!("/v1/negotiations/{pid}")).await;
        (shown["stateName"] == state && shown["held"] == true).then_some(())
    })
    .await;
    connector
        .post(&format!("/v1/negotiations/{pid}/{command}"), &json!({}))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_operators_decide_nothing_moves_without_them_and_no_agreement_has_force_before_its_finalization() {
    let manual = "negotiations = \"manual\"\ntransfers = \"manual\"\n";
    let world = World::start_with(&["school", "work"], |_, config| with(config, "decisions", manual)).await;
    let (school, work) = (world.get("school"), world.get("work"));
    school.publish(30, 10).await;
    school.consent(10, &work.did).await;
    let begun = work
        .post("/v1/negotiations", &json!({"peer": "school", "offer": "records"}))
        .await;
    let ours = text(&begun, "pid");
    let theirs = until("the request arrives", async || {
        let shown = work.get(&format!("/v1/negotiations/{ours}")).await;
        shown["peerPid"].as_str().map(str::to_owned)
    })
    .await;
    decide(school, &theirs, "REQUESTED", "offer").await;
    decide(work, &ours, "OFFERED", "accept").await;
    decide(school, &theirs, "ACCEPTED", "agree").await;
    decide(work, &ours, "AGREED", "verify").await;
    until("the verification arrives", async || {
        let shown = school.get(&format!("/v1/negotiations/{theirs}")).await;
        (shown["stateName"] == "VERIFIED").then_some(())
    })
    .await;
    assert_eq!(
        school.get("/v1/agreements").await["agreements"],
        json!([]),
        "not finalized yet"
    );
    decide(school, &theirs, "VERIFIED", "finalize").await;
    let ended = work.get(&format!("/v1/negotiations/{ours}/wait?timeout=30")).await;
    agreed(&world, &ended).await;

    let pid = work.transfer(&text(&ended, "agreementId")).await;
    let requested = work.transfer_until(&pid, "REQUESTED").await;
    let theirs = text(&requested, "peerPid");
    school.post(&format!("/v1/transfers/{theirs}/start"), &json!({})).await;
    let started = work.transfer_until(&pid, "STARTED").await;
    assert_eq!(
        started["progress"]["records"], 0,
        "nothing is fetched before the operator says so"
    );
    work.post(&format!("/v1/transfers/{pid}/fetch"), &json!({})).await;
    until("the records are there", async || {
        let shown = work.get(&format!("/v1/transfers/{pid}")).await;
        (shown["progress"]["complete"] == true).then(|| assert_eq!(shown["stateName"], "STARTED"))
    })
    .await;
    work.post(&format!("/v1/transfers/{pid}/complete"), &json!({})).await;
    work.transfer_until(&pid, "COMPLETED").await;
    let sent = school.get(&format!("/v1/transfers/{theirs}")).await;
    assert!(
        sent["receipt"].is_string(),
        "the receipt travels with the completion: {sent}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn pushed_records_are_those_that_would_be_pulled_and_are_receipted() {
    let world = World::start(&["school", "work"]).await;
    let (school, work) = (world.get("school"), world.get("work"));
    school.publish(300, 10).await;
    school.consent(6, &work.did).await;
    let agreement = work.negotiate(school).await;
    let pulled = work.transfer(&agreement).await;
    work.transfer_until(&pulled, "COMPLETED").await;
    let body = json!({"agreement": agreement, "format": "HttpData-PUSH"});
    let pushed = text(&work.post("/v1/transfers", &body).await, "pid");
    let done = work.transfer_until(&pushed, "COMPLETED").await;
    assert_eq!(done["progress"]["records"], 180, "six of ten learners consent");
    assert_eq!(done["progress"]["signed"], true);
    let records = |pid: &str| -> Vec<Value> {
        let lines = work.received(pid);
        lines
            .into_iter()
            .filter(|line| line["t"] == "r")
            .map(|line| line["record"].clone())
            .collect()
    };
    assert_eq!(records(&pushed), records(&pulled));
    let theirs = school.get(&format!("/v1/transfers/{}", text(&done, "peerPid"))).await;
    assert_eq!(theirs["release"]["sent"], 180);
    assert_eq!(
        theirs["receipt"], done["receipt"],
        "the provider holds the consumer's receipt"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalog_of_many_pages_is_read_whole() {
    let world = World::start_with(&["school", "work"], |_, config| {
        with(config, "limits", "catalog_page = 2\n")
    })
    .await;
    let (school, work) = (world.get("school"), world.get("work"));
    let file = school.publish(3, 3).await;
    for number in 0..6 {
        let id = format!("more-{number}");
        school.post("/v1/datasets", &dataset(&id, &file, offer())).await;
    }
    let listed = work.get("/v1/catalog?peer=school").await;
    let mut ids: Vec<String> = listed["datasets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| text(one, "id"))
        .collect();
    let all = ids.len();
    ids.dedup();
    assert_eq!((all, ids.len()), (7, 7), "{ids:?}");
}

/// The sentences with which a negotiation ended.
fn reasons(ended: &Value) -> Vec<&str> {
    let reasons = ended["explanation"]["reasons"].as_array().unwrap();
    reasons.iter().map(|reason| reason.as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_counter_offer_is_told_what_differs_operand_by_operand() {
    let world = world("refuse", "published").await;
    let ended = asked_for(&world, &["skills", "identity"]).await;
    assert_eq!(ended["stateName"], "TERMINATED", "{ended}");
    let told = reasons(&ended);
    assert_eq!(told[0], "only the published terms are accepted");
    let has = |text: &str| assert!(told.iter().any(|one| one.contains(text)), "{text}: {told:?}");
    has("POL-01: only what is asked permits, for instance: ");
    has("dataCategory identity");
    has("dataCategory: asked is identity or skills; offered is results or skills");
    let same = |one: &&str| !one.starts_with("purpose: ");
    assert!(told.iter().all(same), "they agree about the purpose: {told:?}");
    // It has ended on both sides, on the other once our acknowledgement is there.
    let (school, theirs) = (world.get("school"), text(&ended, "peerPid"));
    until("the other side has ended as well", async || {
        let kept = school.get(&format!("/v1/negotiations/{theirs}")).await;
        (kept["stateName"] == "TERMINATED").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn terms_with_nothing_in_common_are_refused_with_the_smallest_set_that_says_so() {
    let world = world("accept-narrower", "published").await;
    let ended = asked_for(&world, &["identity"]).await;
    assert_eq!(ended["stateName"], "TERMINATED", "{ended}");
    assert_eq!(ended["explanation"]["code"], "no-agreement");
    let told = reasons(&ended);
    let set = "CST-05: nothing is permitted by both; together impossible: asked /permission/0/constraint/1, offered /permission/0/constraint/1";
    assert!(told.contains(&set), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_offers_its_terms_again_does_so_whatever_was_asked_for() {
    let world = world("offer", "published").await;
    let agreement = agreed(&world, &asked_for(&world, &["identity"]).await).await;
    assert_eq!(categories(&agreement), &json!(["skills", "results"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn terms_that_let_nothing_out_are_refused_or_told_at_publication() {
    let world = World::start(&["school"]).await;
    let school = world.get("school");
    let file = school.publish(3, 3).await;
    let warned = async |id: &str, offer: Value| -> Vec<String> {
        let published = school.post("/v1/datasets", &dataset(id, &file, offer)).await;
        let warnings = published["warnings"].as_array().unwrap().iter();
        warnings
            .map(|warning| format!("{} {}", text(warning, "code"), text(warning, "pointer")))
            .collect()
    };
    let bare = json!({"permission": [{"action": "use"}]});
    assert_eq!(warned("bare", bare).await, ["LNT-10 /permission/0"]);
    let partly = terms(&["skills", "certificates"]);
    assert_eq!(warned("partly", partly).await, ["CST-06 /permission/0/constraint/1"]);
    let constraint = |left, operator, right| json!({"leftOperand": left, "operator": operator, "rightOperand": right});
    let mut waiting = offer_and(constraint("delayPeriod", "gteq", "P1M"));
    let ending = constraint("elapsedTime", "lteq", "P3D");
    waiting["permission"][0]["constraint"]
        .as_array_mut()
        .unwrap()
        .push(ending);
    for (offer, code) in [
        (terms(&["certificates"]), "CST-06"),
        (offer_and(constraint("count", "lteq", "0")), "CST-05"),
        (waiting, "CST-05"),
    ] {
        let never = dataset("never", &file, offer);
        let (status, answer) = school.call(http::Method::POST, "/v1/datasets", Some(&never)).await;
        assert_eq!(status, 422, "{answer}");
        assert!(answer.to_string().contains(code), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_meet_are_told_at_publication_and_an_agreement_is_shown_with_those_that_it_contradicts() {
    let world = World::start(&["school", "work"]).await;
    let (school, work) = (world.get("school"), world.get("work"));
    let file = school.publish(3, 3).await;
    let mut strict = dataset("strict", &file, offer());
    strict["offer"]["prohibition"] = json!([{"action": "distribute"}]);
    let published = school.post("/v1/datasets", &strict).await;
    let warning = &published["warnings"][0];
    assert_eq!(
        (&published["id"], &warning["code"], &warning["pointer"]),
        (&json!("strict"), &json!("LNT-07"), &json!("/prohibition/0")),
        "{published}"
    );
    let agree = async || {
        let body = json!({"peer": "school", "offer": "strict"});
        let pid = text(&work.post("/v1/negotiations", &body).await, "pid");
        let ended = work.get(&format!("/v1/negotiations/{pid}/wait?timeout=30")).await;
        assert_eq!(ended["stateName"], "FINALIZED", "{ended}");
        text(&ended, "agreementId")
    };
    let first = agree().await;
    // Offered anew without the prohibition: what is permitted now, the first agreement prohibits.
    school.call(http::Method::DELETE, "/v1/datasets/strict", None).await;
    let free = school.post("/v1/datasets", &dataset("strict", &file, offer())).await;
    assert_eq!(free["warnings"], json!([]));
    let second = agree().await;
    for connector in [school, work] {
        for (id, other) in [(&first, &second), (&second, &first)] {
            let shown = connector.get(&format!("/v1/agreements/{id}")).await;
            let found = &shown["contradicts"];
            assert_eq!(
                (found.as_array().unwrap().len(), &found[0]["agreement"]),
                (1, &json!(other)),
                "{shown}"
            );
            assert!(
                found[0]["reasons"][0]
                    .as_str()
                    .unwrap()
                    .contains("prohibits at /prohibition/0"),
                "{found}"
            );
            assert_eq!(shown["notCompared"], 0);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_that_leaves_nothing_is_refused_with_the_places_that_do_not_go_together() {
    let world = World::start(&["school", "work"]).await;
    let school = world.get("school");
    let file = school.publish(3, 3).await;
    let mut terms = offer();
    let constraints = terms["permission"][0]["constraint"].as_array_mut().unwrap();
    constraints.push(json!({"leftOperand": "dases:dataCategory", "operator": "eq", "rightOperand": "identity"}));
    let body = dataset("nothing", &file, terms);
    let (status, refused) = school.call(http::Method::POST, "/v1/datasets", Some(&body)).await;
    assert_eq!(status, 422, "{refused}");
    let reasons = refused["error"]["reasons"].as_array().unwrap();
    let together: Vec<String> = reasons[1..].iter().map(|reason| text(reason, "pointer")).collect();
    assert_eq!(
        together,
        ["/permission/0/constraint/1", "/permission/0/constraint/3"],
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_that_names_its_assignee_is_seen_and_agreed_by_that_one_alone() {
    let world = World::start(&["school", "work", "edtech"]).await;
    let (school, work, edtech) = (world.get("school"), world.get("work"), world.get("edtech"));
    let mut named = offer();
    named["assigner"] = json!("did:web:somebody-else.example");
    let path = school.dir.join("records.ndjson");
    std::fs::write(&path, connector_tests::harness::record(0, 0)).unwrap();
    let foreign = dataset("records", &path, named.clone());
    let (status, refused) = school.call(http::Method::POST, "/v1/datasets", Some(&foreign)).await;
    assert_eq!(
        (status.as_u16(), &refused["error"]["code"]),
        (422, &json!("invalid-dataset"))
    );
    assert!(
        text(&refused["error"], "message").contains("somebody-else"),
        "{refused}"
    );

    named["assigner"] = json!(school.did);
    named["assignee"] = json!("did:web:edtehc.example");
    let published = school
        .post("/v1/datasets", &dataset("misspelt", &path, named.clone()))
        .await;
    let warned = &published["warnings"][0];
    assert_eq!(
        (&warned["code"], &warned["pointer"]),
        (&json!("POL-11"), &json!("/assignee")),
        "{published}"
    );
    named["assignee"] = json!(edtech.did);
    school.publish_under(3, 3, named).await;
    let seen = async |consumer: &Connector| {
        let listed = consumer.get("/v1/catalog?peer=school").await;
        listed["datasets"].as_array().unwrap().len()
    };
    assert_eq!((seen(work).await, seen(edtech).await), (0, 1));
    let agreement = edtech.negotiate(school).await;
    let kept = school.get(&format!("/v1/agreements/{agreement}")).await;
    let signed = payload(&format!(".{}.", text(&kept["document"], "payload")));
    assert_eq!(signed["agreement"]["assignee"], json!(edtech.did), "{signed}");
    let body = json!({"peer": "school", "offer": "records"});
    let (status, refused) = work.call(http::Method::POST, "/v1/negotiations", Some(&body)).await;
    assert!(status.is_client_error(), "{status} {refused}");
    // Nor does the provider offer it to another unasked, as it is or with terms that name somebody else.
    for terms in [json!(null), json!({"assignee": edtech.did})] {
        let mut body = json!({"peer": "work", "dataset": "records"});
        if terms.is_object() {
            body["terms"] = offer();
            body["terms"]["assignee"] = terms["assignee"].clone();
        }
        let (status, refused) = school.call(http::Method::POST, "/v1/offers", Some(&body)).await;
        assert_eq!(
            (status.as_u16(), &refused["error"]["code"]),
            (400, &json!("POL-11")),
            "{refused}"
        );
    }
}
