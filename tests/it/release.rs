//! Groups and anonymous rows instead of records, through real daemons: who counts, what is refused, and what the peer does not learn of it.

mod withheld;

use crate::scenes::{entries, until};
use connector_tests::harness::{Connector, NOTICE, World, text};
use serde_json::{Value, json};
use std::{collections::BTreeSet, fs, os::unix::fs::symlink, path::Path};

const PURPOSE: &str = "https://w3id.org/dpv#ScientificResearch";

/// One learner's record: where, at which level, and how many hours.
fn record(learner: usize, region: &str, level: &str, hours: u64) -> String {
    let record = json!({"sub": format!("l{learner}"), "person": {"name": format!("Learner {learner}")},
        "where": region, "level": level, "hours": hours, "note": "free text about one person"});
    format!("{record}\n")
}

fn offer(action: &str) -> Value {
    json!({"permission": [{"action": action, "constraint": [
        {"leftOperand": "odrl:purpose", "operator": "eq", "rightOperand": PURPOSE},
        {"leftOperand": "dases:dataCategory", "operator": "isAnyOf", "rightOperand": ["skills"]},
        {"leftOperand": "dases:consent", "operator": "eq", "rightOperand": "given"},
    ]}]})
}

/// The same for groups of so many learners at least.
fn offer_of_groups(action: &str, least: u32) -> Value {
    let mut offer = offer(action);
    let bound = json!({"leftOperand": "dases:minGroupSize", "operator": "gteq",
        "rightOperand": {"@value": least.to_string(), "@type": "xsd:integer"}});
    offer["permission"][0]["constraint"].as_array_mut().unwrap().push(bound);
    offer
}

fn table() -> Value {
    json!({"mode": "aggregate", "dimensions": [{"name": "where", "field": "/where", "values": ["59", "62", "75"]}],
        "measures": [{"name": "hours", "field": "/hours"}]})
}

fn rows() -> Value {
    json!({"mode": "training", "quasiIdentifiers": [{"name": "where", "field": "/where", "steps": {"prefixes": [1]}}],
        "sensitive": [{"name": "level", "field": "/level", "values": ["B1", "B2"]}, {"name": "hours", "field": "/hours"}]})
}

/// Publishes the records of so many learners in each region as the dataset `records`.
async fn publish(school: &Connector, regions: &[(&str, usize)], action: &str, release: Value) {
    publish_under(school, regions, offer(action), release).await;
}

async fn publish_under(school: &Connector, regions: &[(&str, usize)], offer: Value, release: Value) {
    let of = regions
        .iter()
        .flat_map(|(region, count)| std::iter::repeat_n(*region, *count));
    let records = of.enumerate().map(|(learner, region)| {
        let level = if learner.is_multiple_of(2) { "B1" } else { "B2" };
        record(learner, region, level, 10 + learner as u64 % 3)
    });
    let path = school.dir.join("records.ndjson");
    fs::write(&path, records.collect::<String>()).unwrap();
    publish_file(school, "records", &path, offer, release).await;
}

async fn publish_file(school: &Connector, id: &str, path: &Path, offer: Value, release: Value) {
    let mut dataset = json!({
        "id": id, "source": {"type": "file", "path": path}, "subject": "/sub",
        "categories": {"identity": ["/person"], "skills": ["/where", "/level", "/hours", "/note"]}, "offer": offer,
    });
    if !release.is_null() {
        dataset["release"] = release;
    }
    school.post("/v1/datasets", &dataset).await;
}

/// The dataset `records` under another name and these terms, with which less is agreed to.
async fn again(school: &Connector, offer: Value) -> Value {
    let mut dataset = school.get("/v1/datasets/records").await;
    let same = ["source", "subject", "categories", "release"];
    dataset
        .as_object_mut()
        .unwrap()
        .retain(|name, value| same.contains(&name.as_str()) && !value.is_null());
    dataset["id"] = json!("again");
    dataset["offer"] = offer;
    dataset["decisions"] = json!({"otherTerms": "accept-narrower"});
    dataset
}

/// Terms that permit less than `use`, under which nothing of `records` could leave: they are not published, and not agreed to where less is.
async fn never_agreed(school: &Connector, lab: &Connector, terms: &Value) {
    let never = again(school, terms.clone()).await;
    let (status, refused) = school.call(http::Method::POST, "/v1/datasets", Some(&never)).await;
    assert_eq!(status.as_u16(), 422, "{refused}");
    school.post("/v1/datasets", &again(school, offer("use")).await).await;
    let body = json!({"peer": school.did, "offer": "again", "terms": terms});
    let pid = text(&lab.post("/v1/negotiations", &body).await, "pid");
    let ended = lab.get(&format!("/v1/negotiations/{pid}/wait?timeout=30")).await;
    assert_eq!(ended["stateName"], "TERMINATED", "{ended}");
}

async fn consent(school: &Connector, learners: impl IntoIterator<Item = usize>, recipient: &str) {
    let consent = |learner| {
        json!({"subject": format!("l{learner}"), "recipients": [recipient], "purposes": [PURPOSE], "categories": ["skills"],
            "method": "paper-form", "notice": NOTICE, "evidence": "file 1"})
    };
    let consents: Vec<Value> = learners.into_iter().map(consent).collect();
    school.post("/v1/consents", &json!(consents)).await;
}

async fn withdraw(school: &Connector, learner: usize) {
    let subject = format!("l{learner}");
    school
        .post("/v1/consents/withdraw", &json!({ "subject": subject }))
        .await;
}

/// The lines of one release that arrives.
async fn fetch(lab: &Connector, agreement: &str) -> Vec<Value> {
    let pid = lab.transfer(agreement).await;
    lab.transfer_until(&pid, "COMPLETED").await;
    let lines = lab.received(&pid).into_iter().filter(|line| line["t"] == "r");
    lines.map(|line| line["record"].clone()).collect()
}

/// A transfer that is refused: ended on both sides, with nothing received and nothing said about why. Returns the code that the
/// provider's log has, and its record.
async fn refused(school: &Connector, lab: &Connector, agreement: &str) -> String {
    refused_in(school, lab, agreement, "HttpData-PULL").await
}

async fn refused_in(school: &Connector, lab: &Connector, agreement: &str, format: &str) -> String {
    let body = json!({"agreement": agreement, "format": format});
    let pid = text(&lab.post("/v1/transfers", &body).await, "pid");
    let ended = lab.transfer_until(&pid, "TERMINATED").await;
    assert!(
        !ended.to_string().contains("AGG") && !ended.to_string().contains("\"CNS-"),
        "{ended}"
    );
    assert_eq!(ended["progress"]["records"], 0);
    let refusals = entries(school, "release-refused").await;
    let code = text(refusals.last().expect("the refusal is in the log"), "code");
    let theirs = text(&ended, "peerPid");
    let own = school.transfer_until(&theirs, "TERMINATED").await;
    assert_eq!(
        (&own["releaseRefused"], &own["explanation"]["code"]),
        (&json!(code), &json!("release")),
        "{own}"
    );
    let noted = refusals.last().expect("the refusal is in the log");
    let not_counted = own.get("releaseWithheld").cloned().unwrap_or_else(|| json!({}));
    assert_eq!(
        not_counted, noted["withheld"],
        "what was withheld stands with the transfer too"
    );
    let shown = school.cli(&["transfer", "show", &theirs, "--lang", "en"]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    let code = policy::Code::read(&code).expect("a code of the table");
    assert!(shown.contains(&code.told(policy::Language::English)), "{shown}");
    code.to_string()
}

fn of_kind<'l>(lines: &'l [Value], kind: &str) -> Vec<&'l Value> {
    lines.iter().filter(|line| line["kind"] == kind).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_counts_learners_who_consented_and_nobody_else() {
    let world = World::start(&["school", "lab"]).await;
    let (school, lab) = (world.get("school"), world.get("lab"));
    publish(school, &[("59", 20), ("62", 20), ("75", 20)], "aggregate", table()).await;
    // Ten of each region; three more of the first consented to somebody else.
    consent(school, (0..60).filter(|learner| learner % 2 == 0), &lab.did).await;
    consent(school, [1, 3, 5], &school.did).await;
    let agreement = lab.negotiate(school).await;
    let lines = fetch(lab, &agreement).await;
    assert_eq!(
        (&lines[0]["mode"], &lines[0]["minGroupSize"]),
        (&json!("aggregate"), &json!(10))
    );
    let total = of_kind(&lines, "total")[0];
    assert_eq!(total["learners"], 30);
    let hours: u64 = (0..60)
        .filter(|learner| learner % 2 == 0)
        .map(|learner| 10 + learner % 3)
        .sum();
    assert_eq!(total["sums"]["hours"], hours as f64);
    let cells = of_kind(&lines, "cell");
    assert_eq!(cells.len(), 3);
    assert!(cells.iter().all(|cell| cell["learners"] == 10));
    // Nothing of any record, and no name.
    let all = json!(lines).to_string();
    for never in ["l0", "Learner", "free text", "p:", "B1"] {
        assert!(!all.contains(&format!("\"{never}")), "{never}: {all}");
    }
    let noted = entries(school, "groups-released").await;
    assert_eq!((noted.len(), &noted[0]["learners"]), (1, &json!(30)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_learner_whose_consent_is_for_one_transfer_is_in_one_release() {
    let world = World::start(&["school", "lab"]).await;
    let (school, lab) = (world.get("school"), world.get("lab"));
    publish(school, &[("59", 20), ("62", 20), ("75", 20)], "aggregate", table()).await;
    consent(school, 0..40, &lab.did).await;
    let limited = |learner: usize| {
        json!({"subject": format!("l{learner}"), "recipients": [lab.did], "purposes": [PURPOSE], "categories": ["skills"],
            "maxCount": 1, "method": "paper-form", "notice": NOTICE, "evidence": "file 1"})
    };
    school
        .post("/v1/consents", &json!((40..60).map(limited).collect::<Vec<_>>()))
        .await;
    let agreement = lab.negotiate(school).await;
    for learners in [60, 40] {
        let lines = fetch(lab, &agreement).await;
        assert_eq!(of_kind(&lines, "total")[0]["learners"], learners);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn learners_who_agreed_to_groups_alone_are_in_the_groups_and_none_of_their_records_leaves() {
    let world = World::start(&["school", "lab"]).await;
    let (school, lab) = (world.get("school"), world.get("lab"));
    publish(school, &[("59", 20), ("62", 20), ("75", 20)], "aggregate", table()).await;
    let path = school.dir.join("records.ndjson");
    publish_file(school, "plain", &path, offer("use"), Value::Null).await;
    let for_groups = |learner: usize| {
        json!({"subject": format!("l{learner}"), "recipients": [lab.did], "purposes": [PURPOSE], "categories": ["skills"],
            "aggregateOnly": true, "method": "paper-form", "notice": NOTICE, "evidence": "file 1"})
    };
    let given: Vec<Value> = (0..30).map(for_groups).collect();
    let given = school.post("/v1/consents", &json!(given)).await;
    assert_eq!(given["consents"][0]["aggregateOnly"], true);
    consent(school, 30..60, &lab.did).await;

    let lines = fetch(lab, &lab.negotiate(school).await).await;
    assert_eq!(of_kind(&lines, "total")[0]["learners"], 60);
    let cells = of_kind(&lines, "cell");
    assert!(
        cells.len() == 3 && cells.iter().all(|cell| cell["learners"] == 20),
        "{cells:?}"
    );

    let pid = lab.transfer(&lab.negotiate_for(school, "plain").await).await;
    let ours = lab.transfer_until(&pid, "COMPLETED").await;
    let lines = lab.received(&pid);
    let records = lines.iter().filter(|line| line["t"] == "r");
    // Half of the second region and all of the third.
    let regions = records.map(|line| text(&line["record"], "where"));
    assert_eq!(regions.collect::<Vec<_>>(), [vec!["62"; 10], vec!["75"; 20]].concat());
    let theirs = until("the provider has noted what left", async || {
        let path = format!("/v1/transfers/{}", text(&ours, "peerPid"));
        let theirs = school.get(&path).await;
        theirs["release"]["complete"].eq(&json!(true)).then_some(theirs)
    })
    .await;
    assert_eq!(theirs["release"]["withheld"], json!({"CNS-12": 30}));
}

#[tokio::test(flavor = "multi_thread")]
async fn learners_who_ask_for_larger_groups_are_in_no_release_of_smaller_ones() {
    let world = World::start(&["school", "lab"]).await;
    let (school, lab) = (world.get("school"), world.get("lab"));
    publish(school, &[("59", 40), ("62", 40), ("75", 40)], "aggregate", table()).await;
    let path = school.dir.join("records.ndjson");
    let larger = offer_of_groups("aggregate", 20);
    publish_file(school, "larger", &path, larger, table()).await;
    // Twenty of each region ask for groups of twenty, and the others for none of any size.
    let given = |learner: usize| {
        let mut given = json!({"subject": format!("l{learner}"), "recipients": [lab.did], "purposes": [PURPOSE],
            "categories": ["skills"], "method": "paper-form", "notice": NOTICE, "evidence": "file 1"});
        if learner.is_multiple_of(2) {
            given["minGroupSize"] = json!(20);
        }
        given
    };
    let given: Vec<Value> = (0..120).map(given).collect();
    let given = school.post("/v1/consents", &json!(given)).await;
    assert_eq!(given["consents"][0]["minGroupSize"], 20);
    let tens = lab.negotiate(school).await;
    let twenties = lab.negotiate_for(school, "larger").await;
    // What was told of groups of twenty is told of no smaller ones later, so these learners stay in.
    for (agreement, least, learners) in [(&tens, 10, 60), (&twenties, 20, 120), (&tens, 20, 120)] {
        let lines = fetch(lab, agreement).await;
        let total = of_kind(&lines, "total")[0];
        assert_eq!(
            (&lines[0]["minGroupSize"], &total["learners"]),
            (&json!(least), &json!(learners)),
            "{lines:?}"
        );
    }
    let noted = entries(school, "groups-released").await;
    let withheld: Vec<&Value> = noted.iter().map(|entry| &entry["withheld"]).collect();
    assert_eq!(withheld, [&json!({"CNS-15": 60}), &json!({}), &json!({})]);
}

#[tokio::test(flavor = "multi_thread")]
async fn small_groups_are_merged_and_too_few_learners_refused() {
    let world = World::start(&["school", "lab"]).await;
    let (school, lab) = (world.get("school"), world.get("lab"));
    publish(school, &[("59", 12), ("62", 3), ("75", 14)], "aggregate", table()).await;
    consent(school, 0..9, &lab.did).await;
    let agreement = lab.negotiate(school).await;
    assert_eq!(refused(school, lab, &agreement).await, "AGG-01");
    assert_eq!(refused_in(school, lab, &agreement, "HttpData-PUSH").await, "AGG-01");
    let noted = entries(school, "release-refused").await;
    let withheld: Vec<&Value> = noted.iter().map(|entry| &entry["withheld"]).collect();
    let missing = json!({"CNS-01": 20});
    assert_eq!(withheld, [&missing, &missing], "the operator sees who could help");
    consent(school, 9..29, &lab.did).await;
    let lines = fetch(lab, &agreement).await;
    let cells = of_kind(&lines, "cell");
    assert_eq!(cells.len(), 2);
    assert_eq!(cells[1]["values"]["where"], json!(["62", "75"]));
    // Two of three cells are not shown alone: counts are rounded.
    assert_eq!(
        (&lines[0]["roundedTo"], &cells[0]["learners"], &cells[1]["learners"]),
        (&json!(5), &json!(10), &json!(15))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn after_one_withdrawal_nothing_is_released_until_a_group_has_gone() {
    let mut world = World::start(&["school", "lab"]).await;
    let school = world.get("school");
    publish(school, &[("59", 30), ("62", 20), ("75", 20)], "aggregate", table()).await;
    consent(school, 0..70, &world.get("lab").did).await;
    let agreement = world.get("lab").negotiate(school).await;
    let first = fetch(world.get("lab"), &agreement).await;
    let again = fetch(world.get("lab"), &agreement).await;
    assert_eq!(first[1..], again[1..], "the same learners, the same table");
    assert_ne!(first[0]["release"], again[0]["release"]);
    withdraw(school, 0).await;
    assert_eq!(refused(school, world.get("lab"), &agreement).await, "AGG-02");
    // What was released is remembered over a restart.
    let school = world.get_mut("school");
    school.kill();
    school.start().await;
    let (school, lab) = (world.get("school"), world.get("lab"));
    assert_eq!(refused(school, lab, &agreement).await, "AGG-02");
    for learner in 1..10 {
        withdraw(school, learner).await;
    }
    let lines = fetch(lab, &agreement).await;
    assert_eq!(of_kind(&lines, "cell")[0]["learners"], 20);
    assert_eq!(of_kind(&lines, "total")[0]["learners"], 60);
}

#[tokio::test(flavor = "multi_thread")]
async fn training_rows_are_of_consenting_learners_and_lose_a_group_with_each_who_withdraws() {
    let world = World::start(&["school", "lab"]).await;
    let (school, lab) = (world.get("school"), world.get("lab"));
    publish(school, &[("59", 40), ("62", 30), ("75", 4)], "use", rows()).await;
    consent(school, (0..70).filter(|learner| learner % 5 != 0), &lab.did).await;
    let agreement = lab.negotiate(school).await;
    let first = fetch(lab, &agreement).await;
    assert_eq!((&first[0]["mode"], first.len() - 1), (&json!("training"), 56));
    let names: BTreeSet<&str> = first[1..]
        .iter()
        .flat_map(|row| row.as_object().unwrap().keys().map(String::as_str))
        .collect();
    assert_eq!(names, BTreeSet::from(["hours", "level", "where"]));
    withdraw(school, 1).await;
    let second = fetch(lab, &agreement).await;
    assert_eq!(
        second.len(),
        first.len() - 10,
        "ten rows go, and nobody can say which of them had to"
    );
    assert_ne!(first[0]["release"], second[0]["release"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_alone_are_neither_offered_of_records_nor_agreed_to() {
    let world = World::start(&["school", "lab"]).await;
    let (school, lab) = (world.get("school"), world.get("lab"));
    publish(school, &[("59", 30)], "use", Value::Null).await;
    consent(school, 0..30, &lab.did).await;
    never_agreed(school, lab, &offer("aggregate")).await;
    assert!(entries(school, "stream-opened").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_to_make_anonymous_is_seen_and_agreed_for_rows_and_one_of_groups_is_not_published_for_them() {
    let world = World::start(&["school", "lab"]).await;
    let (school, lab) = (world.get("school"), world.get("lab"));
    publish(school, &[("59", 30)], "anonymize", rows()).await;
    lab.negotiate(school).await;
    let (status, refused) = school
        .call(
            http::Method::POST,
            "/v1/datasets",
            Some(&again(school, offer("aggregate")).await),
        )
        .await;
    assert_eq!(status.as_u16(), 422, "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_are_as_large_as_the_agreement_asks() {
    let world = World::start(&["school", "lab"]).await;
    let (school, lab) = (world.get("school"), world.get("lab"));
    let regions = [("59", 11), ("62", 30), ("75", 30)];
    publish_under(school, &regions, offer_of_groups("aggregate", 12), table()).await;
    consent(school, 0..71, &lab.did).await;
    let agreement = lab.negotiate(school).await;
    let lines = fetch(lab, &agreement).await;
    assert_eq!(lines[0]["minGroupSize"], 12);
    let cells = of_kind(&lines, "cell");
    assert_eq!(cells.len(), 2, "eleven learners are no group here: {lines:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_record_leaves_under_an_agreement_that_asks_for_groups() {
    let world = World::start(&["school", "lab"]).await;
    let (school, lab) = (world.get("school"), world.get("lab"));
    publish_under(school, &[("59", 30)], offer("use"), Value::Null).await;
    let shown = school.get("/v1/datasets/records").await;
    let mut never = json!({"id": "never", "offer": offer_of_groups("use", 12)});
    for same in ["source", "subject", "categories"] {
        never[same] = shown[same].clone();
    }
    let (status, refused) = school.call(http::Method::POST, "/v1/datasets", Some(&never)).await;
    assert_eq!(status.as_u16(), 422, "records show no group: {refused}");
    assert!(
        refused.to_string().contains("CST-06 at /permission/0/constraint/3"),
        "{refused}"
    );
    // What cannot be offered can be asked for, and agreed to as less than what is offered.
    never["id"] = json!("narrower");
    never["offer"] = offer("use");
    never["decisions"] = json!({"otherTerms": "accept-narrower"});
    school.post("/v1/datasets", &never).await;
    consent(school, 0..30, &lab.did).await;
    let body = json!({"peer": school.did, "offer": "narrower", "terms": offer_of_groups("use", 12)});
    let pid = lab.post("/v1/negotiations", &body).await["pid"]
        .as_str()
        .unwrap()
        .to_owned();
    let ended = lab.get(&format!("/v1/negotiations/{pid}/wait?timeout=30")).await;
    assert_eq!(ended["stateName"], "FINALIZED", "{ended}");
    let pid = lab.transfer(ended["agreementId"].as_str().unwrap()).await;
    let ended = lab.transfer_until(&pid, "TERMINATED").await;
    assert_eq!(ended["progress"]["records"], 0, "{ended}");
    assert!(entries(school, "stream-opened").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_datasets_over_one_source_are_compared_under_whatever_name_it_goes() {
    let world = World::start(&["school", "lab"]).await;
    let (school, lab) = (world.get("school"), world.get("lab"));
    publish(school, &[("59", 30), ("62", 20), ("75", 20)], "aggregate", table()).await;
    let link = school.dir.join("again.ndjson");
    symlink(school.dir.join("records.ndjson"), &link).unwrap();
    publish_file(school, "again", &link, offer("aggregate"), table()).await;
    consent(school, 0..70, &lab.did).await;
    let first = lab.negotiate(school).await;
    let again = lab.negotiate_for(school, "again").await;
    assert_eq!(fetch(lab, &first).await[1..], fetch(lab, &again).await[1..]);
    withdraw(school, 0).await;
    assert_eq!(refused(school, lab, &again).await, "AGG-02");
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_are_neither_offered_nor_released_where_aggregating_is_forbidden_beside_a_permission_of_use() {
    let world = World::start(&["school", "lab"]).await;
    let (school, lab) = (world.get("school"), world.get("lab"));
    publish_under(school, &[("59", 30)], offer("use"), table()).await;
    consent(school, 0..30, &lab.did).await;
    let mut forbidding = offer("use");
    forbidding["prohibition"] = json!([{"action": "aggregate"}]);
    never_agreed(school, lab, &forbidding).await;
    assert!(entries(school, "groups-released").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bound_below_the_size_of_all_groups_is_not_published_and_is_for_the_provider_to_mend() {
    let world = World::start(&["school"]).await;
    let school = world.get("school");
    publish_under(school, &[("59", 30)], offer("use"), table()).await;
    let mut small = offer_of_groups("use", 8);
    small["permission"][0]["constraint"][3]["operator"] = json!("lt");
    let small = again(school, small).await;
    let (status, refused) = school.call(http::Method::POST, "/v1/datasets", Some(&small)).await;
    let error = &refused["error"];
    assert_eq!((status.as_u16(), &error["fix"]), (422, &json!("provider")), "{refused}");
    let reasons = error["reasons"].as_array().unwrap();
    assert!(reasons.iter().any(|reason| reason["code"] == "CST-01"), "{refused}");
    assert!(reasons.iter().all(|reason| reason["fix"] == "provider"), "{refused}");
    assert!(!text(error, "message").contains("by: the consumer"), "{refused}");
}
