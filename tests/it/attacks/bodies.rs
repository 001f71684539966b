//! Rightly signed, wrongly written: bodies that are no messages, and messages that ask for what cannot be had.

use super::{Attack, Rig, picture, records_offer, repel, tally};
use connector_tests::peer::{Letter, catalog_request, message, uuid};
use http::Method;
use serde_json::{Value, json};

const OPEN: &str = "/negotiations/request";

fn raw_bodies(rig: &Rig, path: &str, good: &Value) -> Vec<Attack> {
    let school = rig.school();
    let letter = |body: Vec<u8>| rig.consumer.seal(school, Method::POST, path, body);
    let good = good.to_string();
    let mut invalid = good.clone().into_bytes();
    let at = invalid.len() / 2;
    invalid[at] = 0xff;
    let doubled = good.replacen('{', "{\"@type\":\"CatalogRequestMessage\",", 1);
    let escaped = good.replacen('{', "{\"\\u0040type\":\"CatalogRequestMessage\",", 1);
    let deep = |open: &str, close: &str, depth: usize| {
        let value = format!("{}1{}", open.repeat(depth), close.repeat(depth));
        good.replacen('{', &format!("{{\"x\":{value},"), 1)
    };
    let json = |name: &str, body: String| {
        Attack::new(
            format!("{path}: {name}"),
            letter(body.into_bytes()),
            400,
            "invalid-json",
        )
    };
    let mut attacks = vec![
        json("no JSON", "hello".into()),
        json("nothing", String::new()),
        json("half", good[..good.len() / 2].into()),
        json("two values", format!("{good}{good}")),
        json("a byte order mark", format!("\u{feff}{good}")),
        json("a duplicate key", doubled),
        json("a duplicate key, escaped", escaped),
        json("depth 49", deep("[", "]", 49)),
        json("depth 10,000 of arrays", deep("[", "]", 10_000)),
        json("depth 10,000 of objects", deep("{\"a\":", "}", 10_000)),
        json("depth 100,000", deep("[", "]", 100_000)),
        json("a half surrogate", good.replacen('{', "{\"x\":\"\\ud800\",", 1)),
        json("NaN", good.replacen('{', "{\"x\":NaN,", 1)),
        json("a comment", good.replacen('{', "{/**/", 1)),
        json("a number beyond all", good.replacen('{', "{\"x\":1e999,", 1)),
    ];
    attacks.push(Attack::new(
        format!("{path}: invalid UTF-8"),
        letter(invalid),
        400,
        "invalid-json",
    ));
    for (name, body) in [
        ("an array", "[]"),
        ("text", "\"x\""),
        ("null", "null"),
        ("true", "true"),
    ] {
        attacks.push(Attack::new(
            format!("{path}: {name}"),
            letter(body.into()),
            400,
            "invalid-message",
        ));
    }
    attacks
}

fn contexts(rig: &Rig, path: &str, good: &Value) -> Vec<Attack> {
    let school = rig.school();
    let changes: [(&str, Value); 9] = [
        ("@context", json!(null)),
        ("@context", json!("https://w3id.org/dspace/2024/1/context.json")),
        ("@context", json!(["https://evil.example/context.jsonld"])),
        ("@context", json!({"@vocab": "https://w3id.org/dspace/2025/1/"})),
        ("@context", json!([])),
        ("@type", json!(null)),
        ("@type", json!("CatalogErrorMessage")),
        ("@type", json!(["CatalogRequestMessage"])),
        ("@type", json!("")),
    ];
    changes
        .into_iter()
        .map(|(member, value)| {
            let mut body = good.clone();
            let name = format!("{path}: {member} {value}");
            body[member] = value;
            Attack::new(name, rig.consumer.letter(school, path, &body), 400, "invalid-message")
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_no_message_is_refused() {
    let rig = Rig::start().await;
    rig.introduce().await;
    let routes = [
        ("/catalog/request", catalog_request()),
        (OPEN, rig.request()),
        ("/transfers/request", rig.transfer_request("urn:uuid:none")),
    ];
    let mut attacks = Vec::new();
    for (path, good) in &routes {
        attacks.extend(raw_bodies(&rig, path, good));
        attacks.extend(contexts(&rig, path, good));
    }
    let mut filtered = catalog_request();
    filtered["filter"] = json!([{"a": 1}]);
    let letter = rig.consumer.letter(rig.school(), "/catalog/request", &filtered);
    attacks.push(Attack::new("a filter", letter, 400, "unsupported-filter"));
    repel("bodies", rig.school(), &rig.consumer, attacks).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_mebibytes_are_refused_and_not_kept() {
    let rig = Rig::start().await;
    let school = rig.school();
    rig.consumer.say(school, "/catalog/request", &catalog_request()).await;
    let (before, memory) = (picture(school).await, school.rss_mib());
    let large = |size: usize| {
        let body = format!("{{\"x\":\"{}\"}}", "a".repeat(size));
        rig.consumer
            .seal(school, Method::POST, "/catalog/request", body.into_bytes())
    };
    let mut forged = large(10 << 20);
    forged.body[100] = b'b';
    let letters = [large(10 << 20), large(10 << 20), forged, large(1 << 20)];
    for letter in &letters {
        let reply = rig.consumer.send(school, letter).await;
        assert_eq!((reply.status, reply.code()), (413, "too-large"), "{}", reply.body);
        assert_eq!(reply.kind(), "CatalogError");
    }
    // Without a signature that could be one nobody reads the body at all.
    let stranger = rig.consumer.signing_as(super::stranger("did:web:nobody.invalid#k1"));
    let unknown = stranger
        .letter(school, "/catalog/request", &catalog_request())
        .signatures;
    for (signatures, code) in [
        (Vec::new(), "signature-missing"),
        (vec!["a..b".to_owned()], "signature-malformed"),
        (unknown, "unknown-peer"),
    ] {
        let mut letter = large(10 << 20);
        letter.signatures = signatures;
        let reply = rig.consumer.send(school, &letter).await;
        assert_eq!((reply.status, reply.code()), (401, code), "{}", reply.body);
    }
    let many = futures_util::future::join_all((0..8).map(|_| {
        let letter = large(10 << 20);
        let peer = &rig.consumer;
        async move { peer.send(school, &letter).await.status }
    }));
    assert!(many.await.into_iter().all(|status| status == 413));
    let grown = school.rss_mib() - memory;
    assert!(grown < 20.0, "grown by {grown:.1} MiB after 120 MiB");
    assert_eq!(before, picture(school).await);
    tally("large bodies", letters.len() + 11);
}

fn open_with(rig: &Rig, change: impl FnOnce(&mut Value)) -> Letter {
    let mut body = rig.request();
    change(&mut body);
    rig.consumer.letter(rig.school(), OPEN, &body)
}

fn requests(rig: &Rig) -> Vec<Attack> {
    let case = |name: &str, code: &'static str, names: &'static str, change: &dyn Fn(&mut Value)| Attack {
        names,
        ..Attack::new(name, open_with(rig, |body| change(body)), 400, code)
    };
    let constraint = |at: &'static str, value: &'static str| {
        move |body: &mut Value| body["offer"]["permission"][0]["constraint"][0][at] = json!(value)
    };
    let not_understood = "POL-04";
    vec![
        case("an offer that never was", "unknown-offer", "urn:offer:none", &|body| {
            body["offer"]["@id"] = json!("urn:offer:none");
        }),
        case("another target", "invalid", "target", &|body| {
            body["offer"]["target"] = json!("others")
        }),
        case("no target", "invalid-message", "target", &|body| {
            body["offer"]["target"] = json!(null)
        }),
        case("no offer id", "invalid-message", "@id", &|body| {
            body["offer"]["@id"] = json!(null)
        }),
        case("no offer", "invalid-message", "offer", &|body| {
            body["offer"] = json!(null)
        }),
        case(
            "an unknown left operand",
            not_understood,
            "https://evil.example/age",
            &constraint("leftOperand", "https://evil.example/age"),
        ),
        case(
            "an unknown operator",
            not_understood,
            "resembles",
            &constraint("operator", "resembles"),
        ),
        case("an unknown action", not_understood, "exploit", &|body| {
            body["offer"]["permission"][0]["action"] = json!("exploit");
        }),
        case(
            "an unknown profile",
            not_understood,
            "https://evil.example/profile",
            &|body| {
                body["offer"]["profile"] = json!("https://evil.example/profile");
            },
        ),
        case("an unknown prohibition", not_understood, "exploit", &|body| {
            body["offer"]["prohibition"] = json!([{"action": "exploit"}]);
        }),
        case("an unknown duty", not_understood, "exploit", &|body| {
            body["offer"]["permission"][0]["duty"] = json!([{"action": "exploit"}]);
        }),
        case("a policy that is none", "POL-07", "", &|body| {
            body["offer"]["permission"] = json!("all");
        }),
        case("a policy of 100 KiB", "policy-not-understood", "", &|body| {
            body["offer"]["x"] = json!("a".repeat(100 << 10));
        }),
        case("callback over http", "callback", "https", &|body| {
            body["callbackAddress"] = json!("http://localhost:1/dsp");
        }),
        case(
            "callback with credentials",
            "invalid-message",
            "callbackAddress",
            &|body| {
                body["callbackAddress"] = json!("https://u:p@localhost:1/dsp");
            },
        ),
        case("callback to a file", "invalid-message", "callbackAddress", &|body| {
            body["callbackAddress"] = json!("file:///etc/passwd");
        }),
        case("callback relative", "invalid-message", "callbackAddress", &|body| {
            body["callbackAddress"] = json!("/dsp");
        }),
        case(
            "callback of 3,000 bytes",
            "invalid-message",
            "callbackAddress",
            &|body| {
                body["callbackAddress"] = json!(format!("https://localhost/{}", "a".repeat(3000)));
            },
        ),
        case("no callback", "invalid-message", "callbackAddress", &|body| {
            body["callbackAddress"] = json!(null);
        }),
        case("callback and provider pid", "invalid-message", "providerPid", &|body| {
            body["providerPid"] = json!(uuid());
        }),
        case("no consumer pid", "invalid-message", "consumerPid", &|body| {
            body["consumerPid"] = json!(null)
        }),
        case(
            "a consumer pid with a space",
            "invalid-message",
            "consumerPid",
            &|body| {
                body["consumerPid"] = json!("a b");
            },
        ),
        case(
            "a consumer pid of 600 bytes",
            "invalid-message",
            "consumerPid",
            &|body| {
                body["consumerPid"] = json!("a".repeat(600));
            },
        ),
        case(
            "a consumer pid that is a number",
            "invalid-message",
            "consumerPid",
            &|body| {
                body["consumerPid"] = json!(7);
            },
        ),
    ]
}

fn other_kinds(rig: &Rig) -> Vec<Attack> {
    let school = rig.school();
    let pids = json!({"consumerPid": uuid(), "providerPid": uuid()});
    let with = |kind: &str, more: Value| {
        let mut members = pids.clone();
        members
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        message(kind, members)
    };
    let wrong_here = [
        ("ContractNegotiationEventMessage", json!({"eventType": "ACCEPTED"})),
        ("ContractNegotiationEventMessage", json!({"eventType": "FINALIZED"})),
        ("ContractAgreementVerificationMessage", json!({})),
        ("ContractNegotiationTerminationMessage", json!({"code": "1"})),
        ("ContractAgreementMessage", json!({"agreement": {"@id": "urn:x"}})),
    ];
    let mut attacks: Vec<Attack> = wrong_here
        .into_iter()
        .map(|(kind, more)| {
            let letter = rig.consumer.letter(school, OPEN, &with(kind, more));
            Attack::new(format!("{kind} to open with"), letter, 400, "invalid")
        })
        .collect();
    let invalid = [
        (
            "an unknown event",
            OPEN,
            with("ContractNegotiationEventMessage", json!({"eventType": "CANCELLED"})),
        ),
        ("no event", OPEN, with("ContractNegotiationEventMessage", json!({}))),
        ("a transfer message", OPEN, with("TransferCompletionMessage", json!({}))),
        (
            "a negotiation message",
            "/transfers/request",
            with("ContractAgreementVerificationMessage", json!({})),
        ),
    ];
    for (name, path, body) in invalid {
        let letter = rig.consumer.letter(school, path, &body);
        attacks.push(Attack::new(name, letter, 400, "invalid-message"));
    }
    for kind in [
        "TransferStartMessage",
        "TransferCompletionMessage",
        "TransferTerminationMessage",
    ] {
        let letter = rig
            .consumer
            .letter(school, "/transfers/request", &with(kind, json!({})));
        attacks.push(Attack::new(format!("{kind} to open with"), letter, 400, "invalid"));
    }
    attacks
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_for_what_cannot_be_had_is_refused_by_name() {
    let mut rig = Rig::start().await;
    let mut attacks = requests(&rig);
    attacks.extend(other_kinds(&rig));
    let (_, agreement) = rig.finalized().await;
    attacks.extend(transfer_requests(&rig, &agreement));
    repel("requests", rig.school(), &rig.consumer, attacks).await;
    // Somebody else's agreement looks like none.
    let other = rig.world.get("other");
    let theirs = other.negotiate(rig.school()).await;
    let of = |id: &str| {
        rig.consumer
            .letter(rig.school(), "/transfers/request", &rig.transfer_request(id))
    };
    let attacks = vec![
        Attack::new("somebody else's agreement", of(&theirs), 400, "unknown-agreement"),
        Attack::new("nobody's agreement", of("urn:uuid:none"), 400, "unknown-agreement"),
    ];
    repel("agreements of others", rig.school(), &rig.consumer, attacks).await;
    let control = rig.consumer.send(rig.school(), &of(&agreement)).await;
    assert_eq!(control.status, 201, "{}", control.body);
    assert_eq!(rig.open(&records_offer()).await.consumer.len(), 45);
}

fn transfer_requests(rig: &Rig, agreement: &str) -> Vec<Attack> {
    let case = |name: &str, code: &'static str, member: &str, value: Value| {
        let mut body = rig.transfer_request(agreement);
        body[member] = value;
        let letter = rig.consumer.letter(rig.school(), "/transfers/request", &body);
        Attack::new(format!("transfer: {name}"), letter, 400, code)
    };
    vec![
        case("an unknown format", "unknown-format", "format", json!("AmazonS3-PUSH")),
        case(
            "a push that names no destination",
            "invalid-message",
            "format",
            json!("HttpData-PUSH"),
        ),
        case(
            "a format in small letters",
            "unknown-format",
            "format",
            json!("httpdata-pull"),
        ),
        case("no format", "invalid-message", "format", json!(null)),
        case(
            "a data address in a pull",
            "invalid",
            "dataAddress",
            json!({"@type": "DataAddress",
            "endpointType": "https://w3id.org/idsa/v4.1/HTTP", "endpoint": "https://localhost/"}),
        ),
        case(
            "callback over http",
            "callback",
            "callbackAddress",
            json!("http://localhost/"),
        ),
        case(
            "callback with credentials",
            "invalid-message",
            "callbackAddress",
            json!("https://u:p@localhost/"),
        ),
        case("no agreement", "invalid-message", "agreementId", json!(null)),
        case(
            "an agreement id with a line break",
            "invalid-message",
            "agreementId",
            json!("a\nb"),
        ),
        case("no consumer pid", "invalid-message", "consumerPid", json!(null)),
    ]
}
