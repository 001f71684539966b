//! The data endpoint and the receipts: no record for a token, cursor or receipt that is not exactly the right one.

use super::{Attack, Process, Rig, picture, repel, rests, stranger, tally, until};
use connector::{
    clock,
    jose::{Signer, token},
};
use connector_tests::peer::{Letter, Peer, uuid};
use serde_json::{Value, json};
use std::time::Duration;

/// Asks for data and expects to be refused with nothing changed.
async fn denied(rig: &Rig, name: &str, url: &str, token: Option<&str>, expected: (u16, &str)) {
    let before = picture(rig.school()).await;
    let (status, bytes) = rig.consumer.fetch(url, token).await;
    let body: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    assert_eq!(
        (status, body["code"].as_str().unwrap_or_default()),
        expected,
        "{name}: {body}"
    );
    assert_eq!(body["@type"], "TransferError", "{name}");
    let said = String::from_utf8_lossy(&bytes).into_owned();
    assert!(
        token.is_none_or(|token| token.len() < 20 || !said.contains(token)),
        "{name}: {said}"
    );
    assert_eq!(before, picture(rig.school()).await, "{name}");
}

fn flip(text: &str, at: usize) -> String {
    let mut bytes = text.as_bytes().to_vec();
    bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
    String::from_utf8(bytes).unwrap()
}

/// The cursors that a stream hands out.
fn cursors(stream: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(stream)
        .lines()
        .filter_map(|line| {
            serde_json::from_str::<Value>(line).ok()?["cursor"]
                .as_str()
                .map(str::to_owned)
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn data_takes_the_right_token_and_cursor() {
    let mut rig = Rig::start_with(4000, |config| config).await;
    let (negotiation, agreement) = rig.finalized().await;
    let (first, url, token) = rig.transfer(&agreement).await;
    let (second, second_url, second_token) = rig.transfer(&agreement).await;
    let (status, bytes) = rig.consumer.fetch(&second_url, Some(&second_token)).await;
    assert_eq!(status, 200);
    let foreign = cursors(&bytes);
    assert!(!foreign.is_empty(), "a stream of 4,000 records has checkpoints");
    let path = format!("/v1/transfers/{}", second.provider);
    until(rig.school(), &path, "released", |shown| {
        shown["release"]["complete"] == true
    })
    .await;

    let at = |pid: &str| url.replace(&first.provider, pid);
    let bad = (401, "token");
    let middle = token.len() / 2;
    let tokens: Vec<(&str, String, Option<String>)> = vec![
        ("no token", url.clone(), None),
        ("an empty token", url.clone(), Some(String::new())),
        ("garbage", url.clone(), Some("garbage".into())),
        ("the token of another transfer", url.clone(), Some(second_token.clone())),
        ("the token at another transfer", second_url.clone(), Some(token.clone())),
        ("another serial", url.clone(), Some(flip(&token, 8))),
        ("another expiry", url.clone(), Some(flip(&token, 16))),
        ("another tag", url.clone(), Some(flip(&token, middle + 10))),
        ("a shorter token", url.clone(), Some(token[..token.len() - 2].into())),
        ("a longer token", url.clone(), Some(format!("{token}AA"))),
        ("a padded token", url.clone(), Some(format!("{token}="))),
        ("two tokens", url.clone(), Some(format!("{token},{token}"))),
        ("the token at nobody's transfer", at(&uuid()), Some(token.clone())),
        (
            "the token at a negotiation",
            at(&negotiation.provider),
            Some(token.clone()),
        ),
        (
            "the token at the consumer's id",
            at(&first.consumer),
            Some(token.clone()),
        ),
        (
            "a signature as token",
            url.clone(),
            Some(rig.consumer.letter(rig.school(), "/x", &json!({})).signatures[0].clone()),
        ),
    ];
    let mut attacks = tokens.len();
    for (name, url, token) in &tokens {
        denied(&rig, name, url, token.as_deref(), bad).await;
    }
    let cursor = |text: &str| format!("{url}?cursor={text}");
    let wrong_cursors = [
        ("garbage", "garbage".to_owned()),
        ("an empty one", String::new()),
        ("of another transfer", foreign[0].clone()),
        ("changed", flip(&foreign[0], 30)),
        ("cut short", foreign[0][..20].to_owned()),
        ("of 6,000 bytes", "A".repeat(6000)),
        ("no base64url", "%00%ff".to_owned()),
    ];
    attacks += wrong_cursors.len();
    for (name, text) in &wrong_cursors {
        denied(
            &rig,
            &format!("cursor: {name}"),
            &cursor(text),
            Some(&token),
            (410, "cursor"),
        )
        .await;
    }
    let entries = rig.school().get("/v1/status").await["auditEntries"].as_u64().unwrap();
    // The same token with nothing wrong opens the stream, and its own cursor takes it up again.
    let (status, bytes) = rig.consumer.fetch(&url, Some(&token)).await;
    assert_eq!(status, 200);
    let own = cursors(&bytes).pop().unwrap();
    let (status, rest) = rig.consumer.fetch(&cursor(&own), Some(&token)).await;
    assert_eq!(status, 200);
    assert!(rest.len() < bytes.len());
    // Each stream is entered when it opens and when it has ended.
    until(rig.school(), "/v1/status", "recorded", |shown| {
        shown["auditEntries"] == entries + 4
    })
    .await;
    denied(
        &rig,
        "the second's cursor still",
        &cursor(&foreign[0]),
        Some(&token),
        (410, "cursor"),
    )
    .await;
    tally("tokens and cursors", attacks + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_worth_nothing_when_the_transfer_rests() {
    let mut rig = Rig::start().await;
    let (_, agreement) = rig.finalized().await;
    let (held, url, token) = rig.transfer(&agreement).await;
    let mut attacks = 0;
    for by_provider in [false, true] {
        let (process, url, token) = rig.transfer(&agreement).await;
        if by_provider {
            let path = format!("/v1/transfers/{}/suspend", process.provider);
            rig.school().post(&path, &json!({})).await;
        } else {
            let reply = rig.tell(&process, "TransferSuspensionMessage", "suspension").await;
            assert_eq!(reply.status, 200, "{}", reply.body);
        }
        rests(rig.school(), "transfers", &process.provider, "SUSPENDED").await;
        denied(&rig, "while suspended", &url, Some(&token), (409, "not-started")).await;
        let reply = rig.tell(&process, "TransferStartMessage", "start").await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        let (_, fresh) = super::address(&reply.body["dataAddress"]);
        denied(
            &rig,
            "the old token after a new start",
            &url,
            Some(&token),
            (401, "token"),
        )
        .await;
        assert_eq!(rig.consumer.fetch(&url, Some(&fresh)).await.0, 200);
        until(
            rig.school(),
            &format!("/v1/transfers/{}", process.provider),
            "released",
            |shown| shown["release"]["complete"] == true,
        )
        .await;
        let reply = rig.tell(&process, "TransferTerminationMessage", "termination").await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        denied(&rig, "after termination", &url, Some(&fresh), (403, "ended")).await;
        attacks += 3;
    }
    let reply = rig.tell(&held, "TransferCompletionMessage", "completion").await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    denied(&rig, "after completion", &url, Some(&token), (403, "ended")).await;
    tally("tokens of resting transfers", attacks + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_ends_with_its_time() {
    let short = |config: String| config.replace("#token_lifetime = \"1h\"", "token_lifetime = \"1s\"");
    let mut rig = Rig::start_with(10, short).await;
    let (_, agreement) = rig.finalized().await;
    let (_, url, token) = rig.transfer(&agreement).await;
    // A wrong cursor shows whether the token is still good, without opening anything.
    let probe = format!("{url}?cursor=x");
    let begun = std::time::Instant::now();
    while rig.consumer.fetch(&probe, Some(&token)).await.0 == 410 {
        assert!(begun.elapsed() < Duration::from_secs(5), "the token does not end");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    denied(&rig, "an expired token", &url, Some(&token), (401, "token")).await;
    tally("expired tokens", 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_are_limited() {
    let few = |config: String| {
        config
            .replace("#streams = 64", "streams = 2")
            .replace("#stream_bytes_per_second = 0", "stream_bytes_per_second = 1000")
    };
    let mut rig = Rig::start_with(4000, few).await;
    let (_, agreement) = rig.finalized().await;
    let mut held = Vec::new();
    for _ in 0..2 {
        let (process, url, token) = rig.transfer(&agreement).await;
        // A connection of its own: it is cut when the stream has to stop.
        let reader = Peer::of(rig.world.get("work"));
        let response = reader.open(&url, &token).await;
        assert!(response.status().is_success());
        held.push((process, response));
    }
    let (_, url, token) = rig.transfer(&agreement).await;
    denied(
        &rig,
        "one stream too many",
        &url,
        Some(&token),
        (503, "too-many-streams"),
    )
    .await;
    // Whoever reads nothing can be stopped all the same, and leaves room.
    let (unread, _response) = held.pop().unwrap();
    let reply = rig.tell(&unread, "TransferTerminationMessage", "termination").await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    until(rig.school(), "/v1/status", "with one stream", |shown| {
        shown["streams"] == 1
    })
    .await;
    assert!(rig.consumer.open(&url, &token).await.status().is_success());
    tally("too many streams", 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_nobody_reads_leaves_room() {
    let one = |config: String| {
        config
            .replace("#streams = 64", "streams = 1")
            .replace("#body_timeout = \"20s\"", "body_timeout = \"500ms\"")
    };
    // More than the windows and buffers on the way hold.
    let mut rig = Rig::start_with(100_000, one).await;
    let (_, agreement) = rig.finalized().await;
    let (_, url, token) = rig.transfer(&agreement).await;
    let unread = Peer::of(rig.world.get("work")).open(&url, &token).await;
    assert!(unread.status().is_success());
    assert_eq!(rig.school().get("/v1/status").await["streams"], 1);
    until(rig.school(), "/v1/status", "without streams", |shown| {
        shown["streams"] == 0
    })
    .await;
    assert!(
        rig.school().log().contains("nobody read it"),
        "the stream was not unread"
    );
    // Who reads gets all of it, however short the limit.
    let (status, bytes) = rig.consumer.fetch(&url, Some(&token)).await;
    assert_eq!(status, 200);
    assert!(
        bytes.ends_with(b"}\n") && bytes.len() > 5 << 20,
        "{} bytes",
        bytes.len()
    );
    tally("unread streams", 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_is_for_what_was_sent() {
    let mut rig = Rig::start().await;
    let (_, agreement) = rig.finalized().await;
    let (process, url, data_token) = rig.transfer(&agreement).await;
    assert_eq!(rig.consumer.fetch(&url, Some(&data_token)).await.0, 200);
    let path = format!("/v1/transfers/{}", process.provider);
    let shown = until(rig.school(), &path, "released", |shown| {
        shown["release"]["complete"] == true
    })
    .await;
    assert_eq!(shown["release"]["sent"], 10);
    let claims = json!({"transfer": process.provider, "agreement": agreement, "dataset": "records", "count": 10,
        "root": shown["release"]["root"], "at": clock::now()});
    let me = rig.consumer.signer.clone();
    let with = |member: &str, value: Value| {
        let mut changed = claims.clone();
        changed[member] = value;
        changed
    };
    let sign = |signer: &Signer, kind, claims: &Value| token::sign(signer, kind, claims).unwrap();
    let receipt = token::Kind::Receipt;
    let good = sign(&me, receipt, &claims);
    let (head, rest) = good.split_once('.').unwrap();
    let payload = sign(&me, receipt, &with("count", json!(9)));
    let receipts = vec![
        ("a smaller count", sign(&me, receipt, &with("count", json!(9)))),
        ("a larger count", sign(&me, receipt, &with("count", json!(11)))),
        ("a count as text", sign(&me, receipt, &with("count", json!("10")))),
        ("no count", sign(&me, receipt, &with("count", json!(null)))),
        (
            "another root",
            sign(
                &me,
                receipt,
                &with("root", json!("47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU")),
            ),
        ),
        ("another transfer", sign(&me, receipt, &with("transfer", json!(uuid())))),
        (
            "the consumer's id",
            sign(&me, receipt, &with("transfer", json!(process.consumer))),
        ),
        (
            "another agreement",
            sign(&me, receipt, &with("agreement", json!(uuid()))),
        ),
        ("another key", sign(&stranger(me.kid()), receipt, &claims)),
        (
            "a key of nobody's",
            sign(&stranger("did:web:nobody.invalid#k1"), receipt, &claims),
        ),
        (
            "an unpublished key",
            sign(&stranger(&format!("{}#k2", me.did())), receipt, &claims),
        ),
        (
            "the provider's own key",
            sign(&Peer::of(rig.school()).signer, receipt, &claims),
        ),
        ("another kind of token", sign(&me, token::Kind::Withdrawal, &claims)),
        (
            "another payload",
            format!(
                "{head}.{}",
                payload
                    .split_once('.')
                    .unwrap()
                    .1
                    .rsplit_once('.')
                    .unwrap()
                    .0
                    .to_owned()
                    + "."
                    + rest.rsplit_once('.').unwrap().1
            ),
        ),
        ("detached", format!("{head}..{}", rest.rsplit_once('.').unwrap().1)),
        ("garbage", "garbage".to_owned()),
        ("empty", String::new()),
    ];
    let attacks = receipts
        .into_iter()
        .map(|(name, receipt)| Attack::new(name, completion(&rig, &process, &receipt), 400, "receipt"))
        .collect();
    repel("receipts", rig.school(), &rig.consumer, attacks).await;
    let reply = rig
        .consumer
        .send(rig.school(), &completion(&rig, &process, &good))
        .await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let shown = rests(rig.school(), "transfers", &process.provider, "COMPLETED").await;
    assert_eq!(shown["receipt"], json!(good));
}

fn completion(rig: &Rig, process: &Process, receipt: &str) -> Letter {
    let path = format!("/transfers/{}/completion", process.provider);
    let body = process.message("TransferCompletionMessage", json!({}));
    let mut letter = rig.consumer.letter(rig.school(), &path, &body);
    letter.headers.push(("x-dases-receipt", receipt.to_owned()));
    letter
}
