//! What an exchange by consent must keep and the reference stack does not: the properties that concern signatures, consents, and who may
//! ask for what, one test each.

use super::{
    Attack, Process, Rig,
    forger::{Forger, all_refused, row, shift},
    pitfalls::exchange::Canary,
    provider::{Rig as Hostile, acknowledgement},
    repel, rests, tally, until,
};
use connector::jose::token;
use connector_tests::{
    harness::{consent, text},
    peer::{catalog_request, uuid},
};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// The records in a stream, by pseudonym.
fn subjects(stream: &[u8]) -> Vec<String> {
    let lines = String::from_utf8_lossy(stream).into_owned();
    let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines
        .filter(|line| line["t"] == "r")
        .map(|line| text(&line["record"], "sub"))
        .collect()
}

async fn withdraw(rig: &Rig, learner: &str) {
    rig.school()
        .post("/v1/consents/withdraw", &json!({ "subject": learner }))
        .await;
}

async fn pseudonym(rig: &Rig, learner: &str) -> String {
    let body = json!({"recipient": rig.consumer.did, "subjects": [learner]});
    text(&rig.school().post("/v1/pseudonyms", &body).await["pseudonyms"], learner)
}

/// Negotiates, transfers and fetches as the hostile consumer.
async fn fetched(rig: &mut Rig, agreement: &str) -> Vec<String> {
    let (_, url, token) = rig.transfer(agreement).await;
    let (status, bytes) = rig.consumer.fetch(&url, Some(&token)).await;
    assert_eq!(status, 200);
    subjects(&bytes)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_consent_is_refused() {
    let mut rig = Rig::start().await;
    let (_, agreement) = rig.finalized().await;
    let genuine = rig.school().get("/v1/consents").await;
    for learner in 0..5 {
        withdraw(&rig, &format!("l{learner}")).await;
    }
    let before = rig.school().get("/v1/consents").await;
    // Forged by whoever would profit, in the form in which the holder keeps them; and the holder's own, with a byte changed.
    let mut forged = consent("l0", &rig.consumer.did);
    forged["id"] = json!(uuid());
    forged["holder"] = json!(rig.school().did);
    let signed = token::sign(&rig.consumer.signer, token::Kind::Consent, &forged).unwrap();
    let mut flipped = genuine.to_string();
    flipped.replace_range(flipped.len() / 2..=flipped.len() / 2, "~");
    let proofs = [
        forged.clone(),
        json!(signed),
        json!(flipped),
        genuine["consents"][0].clone(),
    ];
    let mut attacks = 0;
    for proof in &proofs {
        for path in [
            "/v1/consents",
            "/consents",
            "/dsp/2025-1/consents",
            "/dsp/2025-1/consent/give",
        ] {
            let mut letter = rig.consumer.letter(rig.school(), "/x", proof);
            letter.url = format!("{}{path}", rig.school().root());
            let status = rig.consumer.post(&letter).await;
            assert!(matches!(status, 401 | 404 | 405), "{path}: {status}");
            attacks += 1;
        }
        for member in ["consent", "consents", "signedConsent", "dases:consent"] {
            let mut body = rig.transfer_request(&agreement);
            body[member] = proof.clone();
            let reply = rig.consumer.say(rig.school(), "/transfers/request", &body).await;
            assert_eq!(reply.status, 201, "{member}: {}", reply.body);
            let (_, start) = rig.heard("TransferStartMessage", &text(&body, "consumerPid")).await;
            let (url, token) = super::address(&start["dataAddress"]);
            let (status, bytes) = rig.consumer.fetch(&url, Some(&token)).await;
            assert_eq!(
                (status, subjects(&bytes).len()),
                (200, 0),
                "{member}: records left for a forged consent"
            );
            attacks += 1;
        }
    }
    assert_eq!(before, rig.school().get("/v1/consents").await);
    // The twin: what the holder records itself opens the records again.
    rig.school().consent(5, &rig.consumer.did).await;
    assert_eq!(fetched(&mut rig, &agreement).await.len(), 10);
    tally("forged consents", attacks);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_consent_is_refused_at_once() {
    let mut rig = Rig::start_with(4000, |config| config).await;
    let (_, agreement) = rig.finalized().await;
    let (_, url, token) = rig.transfer(&agreement).await;
    let (status, bytes) = rig.consumer.fetch(&url, Some(&token)).await;
    assert_eq!((status, subjects(&bytes).len()), (200, 4000), "the twin");
    let cursor = String::from_utf8_lossy(&bytes)
        .lines()
        .find_map(|line| {
            serde_json::from_str::<Value>(line).ok()?["cursor"]
                .as_str()
                .map(str::to_owned)
        })
        .unwrap();
    let revoked = pseudonym(&rig, "l1").await;
    let begun = Instant::now();
    withdraw(&rig, "l1").await;
    let took = begun.elapsed();
    // With everything that was handed out while the consent was there.
    let resumed = format!("{url}?cursor={cursor}");
    for (name, address) in [("from the start", &url), ("from an old checkpoint", &resumed)] {
        let (status, bytes) = rig.consumer.fetch(address, Some(&token)).await;
        let left = subjects(&bytes);
        assert_eq!(status, 200, "{name}");
        assert!(
            !left.is_empty() && !left.contains(&revoked),
            "{name}: a record left after the withdrawal"
        );
    }
    let anew = fetched(&mut rig, &agreement).await;
    assert!(anew.len() == 3200 && !anew.contains(&revoked), "{}", anew.len());
    assert!(
        took < Duration::from_secs(1),
        "the withdrawal was acknowledged after {took:?}"
    );
    println!("a withdrawal was in force after {took:?}");
    tally("revoked consents", 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consent_for_another_consumer_is_refused() {
    let mut rig = Rig::start().await;
    let (_, agreement) = rig.finalized().await;
    let (process, url, token) = rig.transfer(&agreement).await;
    // A third participant has an agreement of its own for the same dataset, and no learner's consent.
    let other = rig.world.get("other");
    let theirs = other.negotiate(rig.school()).await;
    let transfer = other.transfer(&theirs).await;
    let done = other.transfer_until(&transfer, "COMPLETED").await;
    let received = other.received(&text(&done, "pid"));
    assert!(received.iter().all(|line| line["t"] != "r"), "{received:?}");
    // Nor can it come in by what belongs to the consumer with the consents.
    let thief = connector_tests::peer::Peer::of(other);
    let mut body = rig.transfer_request(&agreement);
    body["callbackAddress"] = json!(thief.base());
    let request = Attack::new(
        "another's agreement",
        thief.letter(rig.school(), "/transfers/request", &body),
        400,
        "unknown-agreement",
    );
    let path = format!("/transfers/{}", process.provider);
    let state = Attack::new(
        "another's transfer",
        super::get(&thief, rig.school(), &path),
        404,
        "not-found",
    );
    let start = process.message("TransferSuspensionMessage", json!({}));
    let suspend = thief.letter(rig.school(), &format!("{path}/suspension"), &start);
    let suspend = Attack::new("suspending another's transfer", suspend, 404, "not-found");
    repel(
        "consents for another consumer",
        rig.school(),
        &thief,
        vec![request, state, suspend],
    )
    .await;
    let (status, bytes) = rig.consumer.fetch(&url, Some(&token)).await;
    assert_eq!(
        (status, subjects(&bytes).len()),
        (200, 10),
        "the twin: the consumer with the consents"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consent_for_another_purpose_resource_or_person_is_refused() {
    let mut rig = Rig::start().await;
    let (_, agreement) = rig.finalized().await;
    for learner in 0..5 {
        withdraw(&rig, &format!("l{learner}")).await;
    }
    let me = rig.consumer.did.clone();
    let with = |learner: &str, member: &str, value: Value| {
        let mut changed = consent(learner, &me);
        changed[member] = value;
        changed
    };
    let mutated = [
        (
            "another purpose",
            with("l0", "purposes", json!(["https://w3id.org/dpv#Marketing"])),
        ),
        ("another resource", with("l1", "datasets", json!(["others"]))),
        ("another person", with("l2", "subject", json!("L2"))),
        ("another category", with("l3", "categories", json!(["experience"]))),
        (
            "another recipient",
            with("l4", "recipients", json!([rig.world.get("other").did])),
        ),
        (
            "a purpose in another spelling",
            with(
                "l0",
                "purposes",
                json!([format!("{} ", consent("l0", &me)["purposes"][0].as_str().unwrap())]),
            ),
        ),
        (
            "a recipient in another spelling",
            with("l4", "recipients", json!([me.replace("%3A", "%3a")])),
        ),
    ];
    let count = mutated.len();
    for (name, consent) in mutated {
        // What is refused as a consent opens nothing; what is recorded must not fit.
        let (status, _) = rig
            .school()
            .call(Method::POST, "/v1/consents", Some(&json!([consent])))
            .await;
        assert!(status.is_success() || status.is_client_error(), "{name}: {status}");
        assert_eq!(fetched(&mut rig, &agreement).await, Vec::<String>::new(), "{name}");
    }
    rig.school().post("/v1/consents", &json!([consent("l0", &me)])).await;
    assert_eq!(fetched(&mut rig, &agreement).await.len(), 2, "the twin");
    tally("consents for something else", count);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_token_is_refused() {
    let rig = Rig::start().await;
    let forger = Forger::of(&rig);
    let hours = 3 * 3600 + 1;
    let letters = vec![
        (
            "three hours and a second ago".to_owned(),
            forger.with(shift(-hours, 120 - hours)),
        ),
        ("a minute after its end".into(), forger.with(shift(-180, -61))),
        ("a year ago".into(), forger.with(shift(-31_536_000, -31_535_700))),
    ];
    row(
        "expired tokens of messages",
        &rig,
        all_refused("expired", letters),
        vec![("in time", forger.letter())],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replayed_message_is_refused() {
    let mut rig = Rig::start().await;
    let (_, agreement) = rig.finalized().await;
    let (transfer, _, _) = rig.transfer(&agreement).await;
    let suspension = transfer.message("TransferSuspensionMessage", json!({}));
    let path = format!("/transfers/{}/suspension", transfer.provider);
    let letters = [
        (
            "a question",
            rig.consumer
                .letter(rig.school(), "/catalog/request", &catalog_request()),
            200,
        ),
        (
            "a suspension",
            rig.consumer.letter(rig.school(), &path, &suspension),
            200,
        ),
    ];
    for (name, letter, status) in &letters {
        let reply = rig.consumer.send(rig.school(), letter).await;
        assert_eq!(
            (reply.status, reply.signed),
            (*status, true),
            "{name}, the twin: {}",
            reply.body
        );
    }
    rests(rig.school(), "transfers", &transfer.provider, "SUSPENDED").await;
    // Back in the state in which the old message would be legal again.
    assert_eq!(rig.tell(&transfer, "TransferStartMessage", "start").await.status, 200);
    rests(rig.school(), "transfers", &transfer.provider, "STARTED").await;
    let attacks = letters
        .into_iter()
        .map(|(name, letter, _)| Attack::new(name, letter, 409, "replayed"))
        .collect();
    repel("replayed messages", rig.school(), &rig.consumer, attacks).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_without_authentication_serves_nobody() {
    let mut rig = Rig::start().await;
    let (process, agreement) = rig.finalized().await;
    let (transfer, url, _) = rig.transfer(&agreement).await;
    let (n, t) = (
        format!("/negotiations/{}", process.provider),
        format!("/transfers/{}", transfer.provider),
    );
    let posts = [
        "/catalog/request".to_owned(),
        "/negotiations/request".into(),
        "/negotiations/offers".into(),
        format!("{n}/request"),
        format!("{n}/offers"),
        format!("{n}/events"),
        format!("{n}/agreement"),
        format!("{n}/agreement/verification"),
        format!("{n}/termination"),
        "/transfers/request".into(),
        format!("{t}/start"),
        format!("{t}/suspension"),
        format!("{t}/completion"),
        format!("{t}/termination"),
    ];
    let gets = ["/catalog/datasets/records".to_owned(), n, t];
    let mut attacks = Vec::new();
    let all = posts
        .into_iter()
        .map(|path| (Method::POST, path))
        .chain(gets.into_iter().map(|path| (Method::GET, path)));
    for (method, path) in all {
        let body = if method == Method::POST {
            rig.request().to_string()
        } else {
            String::new()
        };
        let mut bare = rig
            .consumer
            .seal(rig.school(), method.clone(), &path, body.into_bytes());
        bare.signatures.clear();
        let mut bearer = bare.clone();
        bearer
            .headers
            .push(("authorization", "Bearer eyJhbGciOiJub25lIn0.e30.".into()));
        attacks.push(Attack::new(format!("{method} {path}"), bare, 401, "signature-missing"));
        attacks.push(Attack::new(
            format!("{method} {path} with a token of nobody's"),
            bearer,
            401,
            "unauthorized",
        ));
    }
    repel("routes without authentication", rig.school(), &rig.consumer, attacks).await;
    assert_eq!(rig.consumer.fetch(&url, None).await.0, 401, "the data endpoint");
    let reply = rig.consumer.ask(rig.school(), "/catalog/datasets/records").await;
    assert_eq!((reply.status, reply.signed), (200, true), "the twin");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_address_beyond_the_agreed_ones_is_called() {
    let mut rig = Hostile::start().await;
    let canary = Canary::new();
    let elsewhere = format!("https://{}/", canary.host());
    let catalog = rig.catalog();
    let mut attacks = 0;
    // Every question of the connector is answered with a redirect.
    for status in [301, 302, 303, 307, 308] {
        let (shown, _) = rig
            .asked_for_catalog(|asked| asked.answer_raw(status, Vec::new(), &[("location", elsewhere.clone())]))
            .await;
        assert_eq!(shown, StatusCode::BAD_GATEWAY, "{status}");
        attacks += 1;
    }
    // So is every message, until the right answer comes.
    let work = rig.work().did.clone();
    let wanted = json!({"peer": rig.provider.did, "offer": "records"});
    let api = rig.work().api();
    let opening = tokio::spawn(async move {
        api.call(Method::POST, "/v1/negotiations", Some(&wanted))
            .await
            .unwrap()
            .1
    });
    rig.listener.expect("/catalog/request").await.answer(200, &catalog);
    let opened = opening.await.unwrap();
    for status in [302, 307, 308] {
        let asked = rig.listener.expect("/negotiations/request").await;
        asked.answer_raw(status, Vec::new(), &[("location", elsewhere.clone())]);
        attacks += 1;
    }
    let process = Process {
        consumer: text(&opened, "pid"),
        provider: uuid(),
        request: connector::jose::Digest::EMPTY,
    };
    let asked = rig.listener.expect("/negotiations/request").await;
    assert_eq!(
        asked.json()["callbackAddress"],
        json!(format!("{}/dsp/2025-1", rig.work().root())),
        "{work}"
    );
    asked.answer(201, &acknowledgement("ContractNegotiation", &process, "REQUESTED"));
    rests(rig.work(), "negotiations", &process.consumer, "REQUESTED").await;
    assert!(!canary.was_called(), "a redirect was followed");
    tally("addresses beyond the agreed ones", attacks);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_access_stands_in_a_log_that_verifies() {
    let mut rig = Rig::start().await;
    let (_, agreement) = rig.finalized().await;
    let (transfer, url, token) = rig.transfer(&agreement).await;
    let entries = |shown: &Value| shown["auditEntries"].as_u64().unwrap();
    let before = entries(&rig.school().get("/v1/status").await);
    assert_eq!(rig.consumer.fetch(&url, Some(&token)).await.0, 200);
    // Opened, and ended with what left.
    until(rig.school(), "/v1/status", "recorded", |shown| {
        entries(shown) == before + 2
    })
    .await;
    let told = rig.school().cli(&["--json", "audit", "tail", "-n", "20"]);
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.contains(&transfer.provider) && told.contains("release"), "{told}");
    // A stream that was refused is none: it leaves the log as it was.
    let (status, _) = rig.consumer.fetch(&url, Some("stolen")).await;
    assert_eq!(status, 401);
    assert_eq!(entries(&rig.school().get("/v1/status").await), before + 2);
    let verified = rig.school().cli(&["audit", "verify"]);
    assert!(verified.status.success(), "{verified:?}");
    tally("accesses without an entry", 1);
}
