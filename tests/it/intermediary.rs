//! A learner's consents kept by an intermediary, through real daemons: the recipient asks there, the learner decides there, the records come
//! from the holder, and an end at either place is an end at both.

use crate::scenes::{
    account, entries,
    learners::{CONTEXT, but, erasing, lines_with, link, pseudonym, received},
    until,
};
use connector_tests::{
    harness::{Connector, World, consent, text},
    peer::{Peer, uuid},
};
use http::Method;
use serde_json::{Value, json};
use std::fs;

const NOTICE: &str = "Vos compétences servent à votre orientation.";

/// The DID of a peer in a configuration.
fn did_of(config: &str, peer: &str) -> String {
    let at = config.find(&format!("name = \"{peer}\"")).expect("a peer of that name");
    let before = &config[..at];
    let from = before.rfind("did = \"").expect("its DID") + "did = \"".len();
    before[from..].split('"').next().unwrap().to_owned()
}

/// Accepts the peer `home` as an intermediary.
fn accepting(config: String) -> String {
    let none = "#intermediaries = []";
    assert!(config.contains(none));
    let home = did_of(&config, "home");
    config.replace(none, &format!("intermediaries = [\"{home}\"]"))
}

/// The school holds records, the home keeps consents, work receives.
fn scene(name: &str, config: String) -> String {
    match name {
        "school" => erasing(accepting(config), 0),
        _ => erasing(config, 0),
    }
}

/// The learner is l1 at school, citizen-7 at home and job-1 at work.
async fn linked(world: &World) {
    let (school, home, work) = (world.get("school"), world.get("home"), world.get("work"));
    link(school, "l1", home, "citizen-7").await;
    link(home, "citizen-7", work, "job-1").await;
}

async fn ask(work: &Connector, home: &Connector, agreement: &str, category: &str) -> Value {
    ask_for(work, home, agreement, category, (json!([]), Value::Null)).await
}

/// Asks for these fields alone, to be counted in groups of so many learners at least.
async fn ask_for(
    work: &Connector,
    home: &Connector,
    agreement: &str,
    category: &str,
    (fields, least): (Value, Value),
) -> Value {
    let body = json!({"agreement": agreement, "at": home.did, "subject": "job-1", "categories": [category], "fields": fields,
        "minGroupSize": least, "notice": {"id": "orientation", "version": "1", "language": "fr", "text": NOTICE}});
    work.post("/v1/consents/ask", &body).await
}

/// Waits for the learner's consent in this state; the newest, if there are several.
async fn stands(who: &Connector, learner: &str, state: &str) -> Value {
    until(&format!("{}: {state}", who.name), async || {
        let list = who.get(&format!("/v1/consents?subject={learner}")).await;
        let all = list["consents"].as_array().unwrap();
        all.iter().rev().find(|one| one["state"] == state).cloned()
    })
    .await
}

/// The learner decides at home about what waits there.
async fn decided(home: &Connector, decision: &str) -> String {
    let waiting = stands(home, "citizen-7", "requested").await;
    let id = text(&waiting["consent"], "id");
    let body = json!({"event": decision, "actor": {"role": "learner", "method": "portal"}});
    home.post(&format!("/v1/consents/{id}/events"), &body).await;
    id
}

async fn fetched(work: &Connector, agreement: &str) -> String {
    let pid = work.transfer(agreement).await;
    work.transfer_until(&pid, "COMPLETED").await;
    pid
}

#[tokio::test(flavor = "multi_thread")]
async fn a_learner_gives_and_withdraws_at_an_intermediary_and_the_holders_records_follow() {
    let mut world = World::start_with(&["school", "work", "home"], scene).await;
    linked(&world).await;
    let (school, home, work) = (world.get("school"), world.get("home"), world.get("work"));
    school.publish(40, 4).await;
    // Another learner, so that there is something to receive at any time.
    school.post("/v1/consents", &json!([consent("l2", &work.did)])).await;
    let agreement = work.negotiate(school).await;
    let asked = ask_for(work, home, &agreement, "skills", (json!(["/id"]), json!(20))).await;
    assert_eq!(
        (&asked["holder"], &asked["via"]),
        (&json!(school.did), &json!(home.did))
    );
    let id = decided(home, "give").await;

    // The recipient hears of it from the holder, under the holder's name for the learner.
    let given = received(work, "given").await;
    let name = pseudonym(school, work, "l1").await;
    assert_eq!(
        (
            text(&given, "holder"),
            text(&given, "consent"),
            text(&given, "pseudonym")
        ),
        (school.did.clone(), id.clone(), name.clone())
    );
    assert_eq!(given["request"], asked["id"]);
    let held = stands(school, "l1", "given").await;
    assert_eq!(
        (
            &held["consent"]["via"],
            &held["events"][1]["method"],
            &held["consent"]["id"]
        ),
        (&json!(home.did), &json!("intermediary"), &json!(id))
    );
    // Each of the two says which agreement it is about: the intermediary by the recipient's word, which the holder has checked.
    let kept = stands(home, "citizen-7", "given").await;
    assert!(held["consent"]["offer"].is_string(), "{held}");
    assert_eq!(kept["consent"]["offer"], held["consent"]["offer"]);
    let shown = school.cli(&["consent", "show", &id]);
    assert!(String::from_utf8_lossy(&shown.stdout).contains(&home.did));
    assert_eq!(text(&received(home, "given").await, "holder"), school.did);
    let pid = fetched(work, &agreement).await;
    assert_eq!(account(school, work, &pid).await.len(), 20);
    assert_eq!(lines_with(work, &pid, &name), 10);
    assert_eq!(held["consent"]["fields"], json!(["/id"]));
    // Of which groups it speaks, the holder has from the intermediary; records leave as it says.
    for record in [&kept, &held] {
        assert_eq!(record["consent"]["minGroupSize"], 20, "{record}");
    }
    assert_eq!(lines_with(work, &pid, "esco"), 10, "of the other learner alone");

    // The holder is down when the learner withdraws, and hears of it when it is back.
    world.get_mut("school").kill();
    let (home, school) = (world.get("home"), world.get("school").did.clone());
    let told = home
        .post("/v1/consents/withdraw", &json!({"subject": "citizen-7"}))
        .await;
    assert_eq!(told["unconfirmed"], json!([school]));
    for command in [vec!["consent", "told", "citizen-7"], vec!["consent", "list"]] {
        let shown = String::from_utf8(home.cli(&command).stdout).unwrap();
        assert!(shown.contains("waiting") && shown.contains("withdrawn"), "{shown}");
    }
    world.get_mut("school").start().await;
    let (school, home, work) = (world.get("school"), world.get("home"), world.get("work"));
    stands(school, "l1", "withdrawn").await;
    until("the holder has confirmed", async || {
        let told = home.get("/v1/consents/told?subject=citizen-7").await;
        (told["passedOn"][0]["delivery"]["is"] == "acknowledged").then_some(())
    })
    .await;
    received(work, "withdrawn").await;
    until("the recipient has erased", async || {
        let told = school.get("/v1/consents/told?subject=l1").await;
        (told["told"][0]["erased"]["records"] == 10).then_some(())
    })
    .await;
    assert_eq!(lines_with(work, &pid, &name), 0);
    let second = fetched(work, &agreement).await;
    assert_eq!(lines_with(work, &second, &name), 0, "nothing flows any more");
    received(home, "withdrawn").await;

    // Both chains can be checked offline, each by its own issuer.
    for connector in [school, home] {
        let receipts = connector.cli(&["consent", "receipts", &id]);
        let path = connector.dir.join("receipts.txt");
        fs::write(&path, &receipts.stdout).unwrap();
        let verified = connector.cli(&["consent", "verify", path.to_str().unwrap(), "--json"]);
        let told: Value = serde_json::from_slice(&verified.stdout).unwrap();
        assert_eq!(
            (&told["issuer"], &told["holder"]),
            (&json!(connector.did), &json!(school.did))
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawal_at_the_holder_ends_the_consent_at_the_intermediary_too() {
    let world = World::start_with(&["school", "work", "home"], scene).await;
    linked(&world).await;
    let (school, home, work) = (world.get("school"), world.get("home"), world.get("work"));
    school.publish(40, 4).await;
    let agreement = work.negotiate(school).await;
    ask(work, home, &agreement, "skills").await;
    decided(home, "give").await;
    stands(school, "l1", "given").await;
    school.post("/v1/consents/withdraw", &json!({"subject": "l1"})).await;
    let ended = stands(home, "citizen-7", "withdrawn").await;
    let step = ended["events"].as_array().unwrap().last().unwrap();
    assert_eq!(step["method"], "holder");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_holder_does_not_take_is_not_in_force_at_the_intermediary_either() {
    let world = World::start_with(&["school", "work", "home"], scene).await;
    let (school, home, work) = (world.get("school"), world.get("home"), world.get("work"));
    school.publish(40, 4).await;
    let agreement = work.negotiate(school).await;
    // Linked with the recipient alone.
    link(home, "citizen-7", work, "job-1").await;
    let asked = ask(work, home, &agreement, "skills").await;
    let refused = until("it is refused", async || {
        let all = work.get("/v1/consents/asked").await;
        let mut all = all["asked"].as_array().unwrap().clone();
        all.retain(|one| one["id"] == asked["id"] && one["refused"].is_string());
        all.pop()
    })
    .await;
    assert!(text(&refused, "refused").contains("no learner is known"), "{refused}");

    link(school, "l1", home, "citizen-7").await;
    ask(work, home, &agreement, "identity").await;
    decided(home, "give").await;
    let ended = stands(home, "citizen-7", "revoked").await;
    let step = ended["events"].as_array().unwrap().last().unwrap();
    assert!(text(step, "proof").contains("data category"), "{step}");
    assert_eq!(school.get("/v1/consents").await["consents"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_childs_yes_waits_at_the_intermediary_for_the_guardian_at_the_holder_and_both_say_who_ended_it() {
    let world = World::start_with(&["school", "work", "home"], scene).await;
    linked(&world).await;
    let (school, home, work) = (world.get("school"), world.get("home"), world.get("work"));
    school.publish(40, 4).await;
    let mother = json!({"id": "mother", "capacity": "parental-authority", "scope": ["give", "withdraw"],
        "from": "2020-01-01T00:00:00Z", "until": "2098-01-01T00:00:00Z", "evidence": "register 3"});
    let child = json!({"subject": "l1", "soleConsentFrom": "2099-01-01T00:00:00Z", "powers": [mother]});
    school.post("/v1/learners", &child).await;
    let agreement = work.negotiate(school).await;
    ask(work, home, &agreement, "skills").await;
    let id = decided(home, "give").await;
    stands(home, "citizen-7", "pending-second").await;
    for (decision, state) in [("give", "given"), ("withdraw", "withdrawn")] {
        let body = json!({"event": decision, "actor": {"role": "guardian", "id": "mother", "method": "paper-form"}});
        school.post(&format!("/v1/consents/{id}/events"), &body).await;
        let kept = stands(home, "citizen-7", state).await;
        let step = kept["events"].as_array().unwrap().last().unwrap();
        assert_eq!(
            (&step["role"], &step["method"]),
            (&json!("guardian"), &json!("holder")),
            "{step}"
        );
    }
    let receipts = home.cli(&["consent", "receipts", &id]);
    let path = home.dir.join("receipts.txt");
    fs::write(&path, &receipts.stdout).unwrap();
    let verified = home.cli(&["consent", "verify", path.to_str().unwrap(), "--json"]);
    let told: Value = serde_json::from_slice(&verified.stdout).unwrap();
    assert_eq!(
        (&told["state"], &told["complete"]),
        (&json!("withdrawn"), &json!(true)),
        "{told}"
    );
}

async fn sent(peer: &Peer, to: &Connector, body: &Value) -> (u16, String) {
    let path = "/dases/consents/decisions";
    let letter = peer.seal_below_root(to, Method::POST, path, body.to_string().into_bytes());
    let reply = peer.send(to, &letter).await;
    (reply.status, reply.code().to_owned())
}

/// A decision that was given at home while the school did not accept it, as home would send it; then the school accepts home.
async fn not_yet_taken(world: &mut World) -> Value {
    linked(world).await;
    let (school, home, work) = (world.get("school"), world.get("home"), world.get("work"));
    school.publish(40, 4).await;
    let agreement = work.negotiate(school).await;
    let asked = ask(work, home, &agreement, "skills").await;
    let id = decided(home, "give").await;
    let ended = stands(home, "citizen-7", "revoked").await;
    let why = ended["events"].as_array().unwrap().last().unwrap().clone();
    assert!(text(&why, "proof").contains("no such intermediary"), "{why}");
    let receipts = home.get(&format!("/v1/consents/{id}/receipts")).await;
    let receipt = receipts["receipts"][1].as_str().unwrap();
    let hash = connector::jose::sha256(NOTICE.as_bytes()).to_hex();
    let message = json!({
        "@context": CONTEXT, "@type": "ConsentDecisionMessage", "@id": uuid(), "consent": id, "state": "given",
        "learner": pseudonym(school, home, "l1").await, "request": asked["id"], "number": 1,
        "digest": connector::jose::sha256(receipt.as_bytes()), "receipt": receipt,
        "notice": {"id": "orientation", "version": "1", "language": "fr", "sha256": format!("sha256:{hash}"), "text": NOTICE},
    });
    // So is what home says of its end.
    until("both are refused", async || {
        let refused = entries(home, "refused").await;
        let told = refused
            .iter()
            .filter(|entry| entry["message"] == "ConsentDecisionMessage");
        (told.count() == 2).then_some(())
    })
    .await;
    let school = world.get_mut("school");
    school.kill();
    let config = fs::read_to_string(school.config()).unwrap();
    fs::write(school.config(), accepting(config)).unwrap();
    school.start().await;
    message
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_counts_only_from_a_named_intermediary_about_what_is_the_learners_the_holders_and_agreed() {
    let before = |name: &str, config: String| match name {
        // Another holder, which accepts the same intermediary.
        "cfa" => erasing(accepting(config), 0),
        _ => erasing(config, 0),
    };
    let mut world = World::start_with(&["school", "work", "home", "cfa"], before).await;
    let message = not_yet_taken(&mut world).await;
    let (school, home, work) = (world.get("school"), world.get("home"), world.get("work"));
    let (agent, stranger) = (Peer::of(home), Peer::of(work));
    school.post("/v1/consents", &json!([consent("l2", &work.did)])).await;
    let other = text(&stands(school, "l2", "given").await["consent"], "id");
    let unlinked = pseudonym(school, home, "l2").await;
    let mut notice = message["notice"].clone();
    notice["text"] = "Autre chose.".into();
    for (what, peer, to, members, code) in [
        ("by one who is not named", &stranger, school, json!({}), "wrong-party"),
        (
            "about another holder's records",
            &agent,
            world.get("cfa"),
            json!({}),
            "wrong-party",
        ),
        (
            "about a consent that came otherwise",
            &agent,
            school,
            json!({"consent": other}),
            "wrong-party",
        ),
        (
            "about another consent",
            &agent,
            school,
            json!({"consent": uuid()}),
            "invalid-message",
        ),
        (
            "of a learner who is not linked",
            &agent,
            school,
            json!({"learner": unlinked}),
            "unknown-learner",
        ),
        ("of nobody", &agent, school, json!({"learner": null}), "unknown-learner"),
        (
            "with another text",
            &agent,
            school,
            json!({"notice": notice}),
            "notice-hash",
        ),
        ("without a text", &agent, school, json!({"notice": null}), "notice-hash"),
        (
            "without a receipt",
            &agent,
            school,
            json!({"receipt": null}),
            "invalid-message",
        ),
        (
            "with another number",
            &agent,
            school,
            json!({"number": 2}),
            "invalid-message",
        ),
        (
            "that says another state",
            &agent,
            school,
            json!({"state": "refused"}),
            "invalid-message",
        ),
        (
            "that is none",
            &agent,
            school,
            json!({"state": "requested"}),
            "invalid-message",
        ),
        (
            "with a member that nobody knows",
            &agent,
            school,
            json!({"also": 1}),
            "invalid-message",
        ),
    ] {
        let (status, said) = sent(peer, to, &but(&message, members)).await;
        assert_eq!(said, code, "{what}: {status}");
    }
    let list = school.get("/v1/consents?subject=l1").await;
    assert_eq!(list["consents"], json!([]), "nothing was recorded");

    // Of a child the true one waits for the guardian, and an older one does not come back after the end.
    let child = json!({"subject": "l1", "soleConsentFrom": "2099-01-01T00:00:00Z", "powers": []});
    school.post("/v1/learners", &child).await;
    assert_eq!(sent(&agent, school, &but(&message, json!({}))).await.0, 200);
    stands(school, "l1", "pending-second").await;
    let end = but(
        &message,
        json!({"state": "withdrawn", "number": 5, "learner": null, "notice": null}),
    );
    assert_eq!(sent(&agent, school, &end).await.0, 200);
    stands(school, "l1", "refused").await;
    let replay = sent(&agent, school, &but(&message, json!({}))).await;
    assert_eq!(replay, (410, "stale".to_owned()));
}
