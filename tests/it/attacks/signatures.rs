//! The signature of a request: ways to get it wrong beyond the rows of `pitfalls`, and ways to use a right one wrongly.

use super::{
    Attack, Rig,
    forger::{Forger, OPEN, claim, row, set, shift, without},
    get, picture, repel, stranger, tally,
};
use connector::jose::{Algorithm, SigningKey};
use connector_tests::{
    harness::{Connector, World, text},
    peer::{Peer, catalog_request, message, uuid},
};
use http::Method;
use serde_json::{Value, json};

fn keys(forger: &Forger<'_>, other: &Peer) -> Vec<Attack> {
    let es256 = SigningKey::generate(Algorithm::Es256).unwrap();
    let ed25519 = SigningKey::generate(Algorithm::EdDsa).unwrap();
    vec![
        Attack::new("another key", forger.with_key(&es256, |_| {}), 401, "bad-signature"),
        Attack::new(
            "the key of another peer",
            forger.with_key(other.signer.key(), |_| {}),
            401,
            "bad-signature",
        ),
        Attack::new(
            "another algorithm's key",
            forger.with_key(&ed25519, set("alg", json!("EdDSA"))),
            401,
            "wrong-key",
        ),
        Attack::new(
            "the right key under another algorithm",
            forger.with(set("alg", json!("EdDSA"))),
            401,
            "wrong-key",
        ),
        Attack::new(
            "another peer's kid",
            forger.with(set("kid", json!(other.signer.kid()))),
            401,
            "wrong-key",
        ),
        Attack::new(
            "another peer's iss",
            forger.with(claim("iss", json!(other.did))),
            401,
            "wrong-key",
        ),
        Attack::new(
            "a kid of nobody's",
            forger.with(set("kid", json!(format!("{}#k2", forger.peer.did)))),
            401,
            "no-key",
        ),
        Attack::new(
            "a relative kid",
            forger.with(set("kid", json!("#k1"))),
            401,
            "wrong-key",
        ),
        Attack::new("no kid", forger.with(without("kid")), 401, "wrong-key"),
        Attack::new(
            "a kid with a path",
            forger.with(set("kid", json!(format!("{}/x#k1", forger.peer.did)))),
            401,
            "wrong-key",
        ),
    ]
}

fn members(forger: &Forger<'_>) -> Vec<Attack> {
    let header = |name: &str, letter| Attack::new(name, letter, 401, "signature-header");
    vec![
        header("an unknown member", forger.with(set("zip", json!("DEF")))),
        header("an unknown claim", forger.with(claim("sub", json!("x")))),
        header("dspsig missing", forger.with(without("dspsig"))),
        header("dspsig no object", forger.with(set("dspsig", json!("x")))),
        header("v 2", forger.with(claim("v", json!(2)))),
        header("v as text", forger.with(claim("v", json!("1")))),
        header("a short jti", forger.with(claim("jti", json!("abc")))),
        header("a long jti", forger.with(claim("jti", json!("a".repeat(65))))),
        header(
            "a jti with a space",
            forger.with(claim("jti", json!(format!("{} b", "a".repeat(30))))),
        ),
        header("prev no hash", forger.with(claim("prev", json!("abc")))),
        header("dir missing", forger.with(claim("dir", json!(null)))),
        header("a fraction as iat", forger.with(claim("iat", json!(1.5)))),
        header("a negative iat", forger.with(claim("iat", json!(-1)))),
        header("iat beyond doubles", forger.with(claim("iat", json!(u64::MAX)))),
        header("exp before iat", forger.with(shift(0, -1))),
        header("exp equal to iat", forger.with(shift(0, 0))),
    ]
}

fn places(forger: &Forger<'_>, other: &Connector) -> Vec<Attack> {
    let root = forger.to.root();
    let base = format!("{root}/dsp/2025-1");
    let route = |name: &str, letter| Attack::new(name, letter, 401, "wrong-route");
    let mut attacks = vec![
        Attack::new(
            "for another audience",
            forger.with(claim("aud", json!(other.did))),
            401,
            "wrong-audience",
        ),
        Attack::new(
            "for an audience in capitals",
            forger.with(claim("aud", json!(forger.to.did.replace("localhost", "LOCALHOST")))),
            401,
            "wrong-audience",
        ),
        route(
            "for another path",
            forger.with(claim("htu", json!(format!("{base}/catalog/request")))),
        ),
        route(
            "for a longer path",
            forger.with(claim("htu", json!(format!("{base}{OPEN}/")))),
        ),
        route(
            "for another host",
            forger.with(claim("htu", json!(format!("{}/dsp/2025-1{OPEN}", other.root())))),
        ),
        route(
            "for http",
            forger.with(claim("htu", json!(format!("{base}{OPEN}").replace("https", "http")))),
        ),
        route(
            "for the bare path",
            forger.with(claim("htu", json!(format!("{}/", root)))),
        ),
        Attack::new(
            "for an address with a query",
            forger.with(claim("htu", json!(format!("{base}{OPEN}?a=1")))),
            401,
            "signature-header",
        ),
        Attack::new(
            "for an address with a fragment",
            forger.with(claim("htu", json!(format!("{base}{OPEN}#a")))),
            401,
            "signature-header",
        ),
        route("for another method", forger.with(claim("htm", json!("PUT")))),
        Attack::new(
            "for a method in small letters",
            forger.with(claim("htm", json!("post"))),
            401,
            "signature-header",
        ),
        route(
            "as a response",
            forger.with(|protected| {
                let claims = protected["dspsig"].as_object_mut().unwrap();
                claims.shift_remove("htm");
                claims.shift_remove("htu");
                claims.insert("dir".into(), json!("res"));
                claims.insert("req".into(), json!("47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"));
                claims.insert("sts".into(), json!(200));
            }),
        ),
    ];
    let sent_elsewhere = forger.changed(|letter| letter.url = format!("{base}/catalog/request"));
    attacks.push(route("sent to another path", sent_elsewhere));
    // The address is the advertised one, whatever the caller says that it called.
    let mut elsewhere = forger.with(claim("htu", json!(format!("{}/dsp/2025-1{OPEN}", other.root()))));
    elsewhere
        .headers
        .push(("host", other.root().trim_start_matches("https://").to_owned()));
    attacks.push(route("for another host, and called so", elsewhere));
    let mut forwarded = forger.with(claim("htu", json!(format!("{}/dsp/2025-1{OPEN}", other.root()))));
    let host = other.root().trim_start_matches("https://").to_owned();
    forwarded.headers.push(("x-forwarded-host", host.clone()));
    forwarded.headers.push(("forwarded", format!("host=\"{host}\"")));
    attacks.push(route("for another host, and forwarded from there", forwarded));
    let mut state = get(forger.peer, forger.to, "/catalog/datasets/records");
    state.url = format!("{base}/negotiations/urn:uuid:x");
    attacks.push(route("a GET sent to another path", state));
    attacks
}

fn shapes(forger: &Forger<'_>) -> Vec<Attack> {
    let key = forger.peer.signer.key();
    let malformed = |name: &str, letter| Attack::new(name, letter, 401, "signature-malformed");
    let protected = forger.peer.protected(forger.to, "POST", OPEN).to_string();
    let doubled = protected.replacen("{\"alg\"", "{\"alg\":\"none\",\"alg\"", 1);
    let mut invalid = protected.clone().into_bytes();
    let at = invalid.iter().position(|byte| *byte == b'j').unwrap();
    invalid[at] = 0xff;
    vec![
        Attack::new(
            "no signature",
            forger.changed(|letter| letter.signatures.clear()),
            401,
            "signature-missing",
        ),
        Attack::new(
            "two signatures",
            forger.changed(|letter| letter.signatures.push(letter.signatures[0].clone())),
            401,
            "signature-missing",
        ),
        Attack::new(
            "a good one and a bad one",
            forger.changed(|letter| letter.signatures.insert(0, "a..b".into())),
            401,
            "signature-missing",
        ),
        Attack::new(
            "an empty one",
            forger.changed(|letter| letter.signatures[0].clear()),
            401,
            "signature-missing",
        ),
        malformed("payload attached", forger.cut(|text| text.replacen("..", ".e30.", 1))),
        malformed("two parts", forger.cut(|text| text.replacen("..", ".", 1))),
        malformed("four parts", forger.cut(|text| format!("{text}.a"))),
        malformed("an algorithm named twice", forger.raw(key, doubled.as_bytes())),
        malformed("invalid UTF-8 in the header", forger.raw(key, &invalid)),
        malformed("a header that is no object", forger.raw(key, b"[]")),
        malformed(
            "a header nested deeply",
            forger.raw(key, format!("{}{}", "[".repeat(1000), "]".repeat(1000)).as_bytes()),
        ),
        Attack::new(
            "a header of 8 KiB",
            forger.with(set("x", json!("a".repeat(6000)))),
            401,
            "signature-too-large",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_that_breaks_any_rule_is_refused() {
    let rig = Rig::start().await;
    let other = rig.world.get("other");
    let forger = Forger::of(&rig);
    let mut attacks = keys(&forger, &Peer::of(other));
    attacks.extend(members(&forger));
    attacks.extend(places(&forger, other));
    attacks.extend(shapes(&forger));
    // What was forged is otherwise right, so that each refusal is for its own reason.
    row("signatures", &rig, attacks, vec![("the control", forger.with(|_| {}))]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_is_good_for_one_use() {
    let rig = Rig::start().await;
    let (school, peer) = (rig.school(), &rig.consumer);
    let process = rig.open(&records_with_other_terms()).await;
    super::rests(school, "negotiations", &process.provider, "OFFERED").await;
    let verification = process.message("ContractAgreementVerificationMessage", json!({}));
    let path = format!("/negotiations/{}/agreement/verification", process.provider);
    // Accepted, accepted without a change, refused for good, refused before the service saw it.
    let uses = [
        (
            "a catalog request",
            peer.letter(school, "/catalog/request", &catalog_request()),
            200,
        ),
        ("a dataset request", get(peer, school, "/catalog/datasets/records"), 200),
        (
            "a state request",
            get(peer, school, &format!("/negotiations/{}", process.provider)),
            200,
        ),
        ("a negotiation request", peer.letter(school, OPEN, &rig.request()), 201),
        ("a refused message", peer.letter(school, &path, &verification), 400),
    ];
    let mut resting = Vec::new();
    for (name, letter, status) in &uses {
        let first = peer.send(school, letter).await;
        assert_eq!(first.status, *status, "{name}: {}", first.body);
        if *status == 201 {
            resting.push(text(&first.body, "providerPid"));
        }
    }
    for pid in resting {
        super::rests(school, "negotiations", &pid, "AGREED").await;
    }
    let attacks = uses
        .into_iter()
        .map(|(name, letter, _)| Attack::new(format!("{name} again"), letter, 409, "replayed"))
        .collect();
    repel("replays", school, peer, attacks).await;
}

fn records_with_other_terms() -> Value {
    let mut offer = super::records_offer();
    offer["permission"][0]["constraint"][1]["rightOperand"] = json!(["skills"]);
    offer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_refused_too_early_is_not_good_when_its_time_has_come() {
    let rig = Rig::start().await;
    let (school, peer) = (rig.school(), &rig.consumer);
    let mut body = rig.request();
    body["offer"]["@id"] = json!("urn:offer:later");
    body["offer"]["target"] = json!("later");
    let letter = peer.letter(school, OPEN, &body);
    let early = peer.send(school, &letter).await;
    assert_eq!((early.status, early.code()), (400, "unknown-offer"), "{}", early.body);
    let source = school.dir.join("records.ndjson");
    let later = connector_tests::harness::dataset("later", &source, connector_tests::harness::offer());
    school.post("/v1/datasets", &later).await;
    let attacks = vec![Attack::new("a refused request, later", letter, 409, "replayed")];
    repel("replays of refused messages", school, peer, attacks).await;
    // The same message signed anew is a new attempt of its sender, and is accepted.
    assert_eq!(peer.say(school, OPEN, &body).await.status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_costs_no_look_at_its_did_document() {
    let mut world = World::init(&["school", "work", "unlisted"]);
    let (work, unlisted) = (world.get("work").did.clone(), world.get("unlisted").did.clone());
    let school = world.get_mut("school");
    let config = std::fs::read_to_string(school.config()).unwrap();
    let keep: Vec<&str> = config.split("\n[[peer]]").collect();
    let mut kept = keep[0].to_owned();
    for section in &keep[1..] {
        if section.contains(&work) {
            // Known, but on a network on which it may not be.
            kept += &format!(
                "\n[[peer]]{}",
                section.replace("allow_private = true", "allow_private = false")
            );
        } else {
            assert!(section.contains(&unlisted));
        }
    }
    std::fs::write(school.config(), kept).unwrap();
    school.start().await;
    let school = world.get("school");
    let mut attacks = 0;
    for (name, code) in [("unlisted", "unknown-peer"), ("work", "no-key")] {
        let peer = Peer::of(world.get(name));
        let listener = peer.listen().await;
        let before = picture(school).await;
        let invented = peer.signing_as(stranger("did:web:nobody.invalid#k1"));
        let open = message(
            "ContractRequestMessage",
            json!({"consumerPid": uuid(), "callbackAddress": peer.base(), "offer": super::records_offer()}),
        );
        let letters = [
            (peer.letter(school, "/catalog/request", &catalog_request()), code),
            (peer.letter(school, OPEN, &open), code),
            (get(&peer, school, "/catalog/datasets/records"), code),
            (
                peer.seal(school, Method::POST, "/transfers/request", b"{}".to_vec()),
                code,
            ),
            (
                invented.letter(school, "/catalog/request", &catalog_request()),
                "unknown-peer",
            ),
        ];
        for (letter, code) in letters {
            let reply = peer.send(school, &letter).await;
            assert_eq!((reply.status, reply.code()), (401, code), "{}", reply.body);
            assert!(!reply.signed);
            attacks += 1;
        }
        assert_eq!(listener.documents(), 0, "{name}: its document was fetched");
        assert_eq!(before, picture(school).await);
        // The other way round: nothing is sent to a place that the configuration forbids.
        let path = format!("/v1/catalog?peer={name}");
        let (status, answer) = school.call(Method::GET, &path, None).await;
        let expected = if name == "work" {
            (502, "peer-failed")
        } else {
            (404, "unknown-peer")
        };
        assert_eq!(
            (status.as_u16(), answer["error"]["code"].as_str().unwrap()),
            expected,
            "{answer}"
        );
        assert_eq!(listener.documents(), 0, "{name}: its document was fetched");
    }
    tally("strangers and forbidden networks", attacks);
}
