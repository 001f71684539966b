//! The signature of a request: every way to get it wrong, and every way to use a right one wrongly.

use super::{Attack, Rig, get, picture, repel, stranger, tally};
use connector::jose::{Algorithm, SigningKey};
use connector_tests::{
    harness::{Connector, World, text},
    peer::{Letter, Peer, catalog_request, message, uuid},
};
use http::Method;
use serde_json::{Value, json};

const OPEN: &str = "/negotiations/request";

/// A request that would be believed, before somebody changes its protected header.
struct Forger<'a> {
    peer: &'a Peer,
    to: &'a Connector,
    body: Value,
}

impl Forger<'_> {
    fn letter(&self) -> Letter {
        let mut body = self.body.clone();
        body["consumerPid"] = json!(uuid());
        body["@id"] = json!(uuid());
        self.peer.letter(self.to, OPEN, &body)
    }

    /// With another protected header, correctly signed.
    fn with(&self, change: impl FnOnce(&mut Value)) -> Letter {
        self.with_key(self.peer.signer.key(), change)
    }

    fn with_key(&self, key: &SigningKey, change: impl FnOnce(&mut Value)) -> Letter {
        let mut protected = self.peer.protected(self.to, "POST", OPEN);
        change(&mut protected);
        self.raw(key, protected.to_string().as_bytes())
    }

    fn raw(&self, key: &SigningKey, protected: &[u8]) -> Letter {
        let mut letter = self.letter();
        letter.signatures = vec![Peer::sign(key, protected, &letter.body)];
        letter
    }

    /// Changed after it was signed.
    fn changed(&self, change: impl FnOnce(&mut Letter)) -> Letter {
        let mut letter = self.letter();
        change(&mut letter);
        letter
    }
}

fn set(member: &'static str, value: Value) -> impl FnOnce(&mut Value) {
    move |protected| protected[member] = value
}

fn claim(member: &'static str, value: Value) -> impl FnOnce(&mut Value) {
    move |protected| protected["dspsig"][member] = value
}

fn shift(iat: i64, exp: i64) -> impl FnOnce(&mut Value) {
    move |protected| {
        let now = protected["dspsig"]["iat"].as_i64().unwrap();
        protected["dspsig"]["iat"] = json!(now + iat);
        protected["dspsig"]["exp"] = json!(now + exp);
    }
}

fn without(member: &'static str) -> impl FnOnce(&mut Value) {
    move |protected| {
        protected.as_object_mut().unwrap().remove(member);
    }
}

fn algorithms(forger: &Forger<'_>) -> Vec<Attack> {
    let mut attacks = Vec::new();
    for name in [
        "none", "None", "NONE", "nOnE", "HS256", "HS384", "HS512", "RS256", "PS256", "ES384", "ES512", "ES256K",
        "es256", "eS256", "ES256 ", "eddsa", "EDDSA", "ed25519", "",
    ] {
        let letter = forger.with(set("alg", json!(name)));
        attacks.push(Attack::new(
            format!("alg {name:?}"),
            letter,
            401,
            "algorithm-not-allowed",
        ));
    }
    for value in [json!(["ES256"]), json!(null), json!(1)] {
        let name = format!("alg {value}");
        attacks.push(Attack::new(
            name,
            forger.with(set("alg", value)),
            401,
            "algorithm-not-allowed",
        ));
    }
    attacks.push(Attack::new(
        "alg missing",
        forger.with(without("alg")),
        401,
        "algorithm-not-allowed",
    ));
    // The signature part left out, as the classic `none` does.
    let mut none = forger.with(set("alg", json!("none")));
    let cut = none.signatures[0].rfind('.').unwrap() + 1;
    none.signatures[0].truncate(cut);
    attacks.push(Attack::new(
        "alg none without signature",
        none,
        401,
        "signature-missing",
    ));
    attacks
}

fn keys(forger: &Forger<'_>, other: &Peer) -> Vec<Attack> {
    let es256 = SigningKey::generate(Algorithm::Es256).unwrap();
    let ed25519 = SigningKey::generate(Algorithm::EdDsa).unwrap();
    let jwk = es256.public_jwk();
    let mut attacks = vec![
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
    ];
    let embedded = [
        ("jwk", jwk),
        ("jku", json!("https://localhost/keys")),
        ("x5u", json!("https://localhost/cert")),
        ("x5c", json!(["MIIB"])),
        ("x5t", json!("AAAA")),
        ("x5t#S256", json!("AAAA")),
    ];
    for (member, value) in embedded {
        let letter = forger.with_key(&es256, set(member, value.clone()));
        attacks.push(Attack::new(
            format!("{member} of another key"),
            letter,
            401,
            "embedded-key",
        ));
        let letter = forger.with(set(member, value));
        attacks.push(Attack::new(
            format!("{member} beside the right key"),
            letter,
            401,
            "embedded-key",
        ));
    }
    attacks
}

fn members(forger: &Forger<'_>) -> Vec<Attack> {
    let header = |name: &str, letter| Attack::new(name, letter, 401, "signature-header");
    let critical = |name: &str, letter| Attack::new(name, letter, 401, "unknown-critical");
    vec![
        critical("crit missing", forger.with(without("crit"))),
        critical("crit empty", forger.with(set("crit", json!([])))),
        critical("crit with more", forger.with(set("crit", json!(["dspsig", "exp"])))),
        critical("crit twice", forger.with(set("crit", json!(["dspsig", "dspsig"])))),
        critical("crit of another member", forger.with(set("crit", json!(["b64"])))),
        critical("crit no array", forger.with(set("crit", json!("dspsig")))),
        Attack::new(
            "b64 false",
            forger.with(set("b64", json!(false))),
            401,
            "unencoded-payload",
        ),
        Attack::new(
            "b64 false and critical",
            forger.with(|protected| {
                protected["b64"] = json!(false);
                protected["crit"] = json!(["dspsig", "b64"]);
            }),
            401,
            "unencoded-payload",
        ),
        Attack::new(
            "b64 true",
            forger.with(set("b64", json!(true))),
            401,
            "unencoded-payload",
        ),
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
        Attack::new("another typ", forger.with(set("typ", json!("JWT"))), 401, "wrong-type"),
        Attack::new(
            "an agreement's typ",
            forger.with(set("typ", json!("dsp-agreement+jws"))),
            401,
            "wrong-type",
        ),
        Attack::new("no cty", forger.with(without("cty")), 401, "wrong-type"),
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
    let mut state = get(forger.peer, forger.to, "/catalog/datasets/records");
    state.url = format!("{base}/negotiations/urn:uuid:x");
    attacks.push(route("a GET sent to another path", state));
    attacks
}

fn times_and_shapes(forger: &Forger<'_>) -> Vec<Attack> {
    let key = forger.peer.signer.key();
    let malformed = |name: &str, letter| Attack::new(name, letter, 401, "signature-malformed");
    let cut = |edit: fn(&str) -> String| forger.changed(|letter| letter.signatures[0] = edit(&letter.signatures[0]));
    let protected = forger.peer.protected(forger.to, "POST", OPEN).to_string();
    let doubled = protected.replacen("{\"alg\"", "{\"alg\":\"none\",\"alg\"", 1);
    let mut invalid = protected.clone().into_bytes();
    let at = invalid.iter().position(|byte| *byte == b'j').unwrap();
    invalid[at] = 0xff;
    let flipped = |at: usize| {
        forger.changed(move |letter| {
            letter.body[at] ^= 1;
        })
    };
    vec![
        Attack::new("expired", forger.with(shift(-300, -61)), 401, "expired"),
        Attack::new("expired long ago", forger.with(shift(-90_000, -89_900)), 401, "expired"),
        Attack::new("from the future", forger.with(shift(70, 120)), 401, "not-yet-valid"),
        Attack::new(
            "lifetime too long",
            forger.with(shift(0, 301)),
            401,
            "lifetime-too-long",
        ),
        Attack::new(
            "lifetime of a year",
            forger.with(shift(0, 31_536_000)),
            401,
            "lifetime-too-long",
        ),
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
        malformed("payload attached", cut(|text| text.replacen("..", ".e30.", 1))),
        malformed("two parts", cut(|text| text.replacen("..", ".", 1))),
        malformed("four parts", cut(|text| format!("{text}.a"))),
        malformed("padded", cut(|text| format!("{text}="))),
        malformed("no base64url", cut(|text| text.replacen("..", "..+/", 1))),
        malformed("a shorter signature", cut(|text| text[..text.len() - 4].to_owned())),
        malformed("a longer signature", cut(|text| format!("{text}AAAA"))),
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
        Attack::new("first byte of the body changed", flipped(0), 401, "bad-signature"),
        Attack::new("a byte of the body changed", flipped(40), 401, "bad-signature"),
        Attack::new(
            "a space after the body",
            forger.changed(|letter| letter.body.push(b' ')),
            401,
            "bad-signature",
        ),
        Attack::new(
            "no body",
            forger.changed(|letter| letter.body.clear()),
            401,
            "bad-signature",
        ),
        Attack::new(
            "compressed",
            forger.changed(|letter| letter.headers.push(("content-encoding", "gzip".into()))),
            415,
            "encoded",
        ),
        Attack::new(
            "encoded as identity",
            forger.changed(|letter| letter.headers.push(("content-encoding", "identity".into()))),
            415,
            "encoded",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_that_breaks_any_rule_is_refused() {
    let rig = Rig::start().await;
    let (school, other) = (rig.school(), rig.world.get("other"));
    let forger = Forger {
        peer: &rig.consumer,
        to: school,
        body: rig.request(),
    };
    let mut attacks = algorithms(&forger);
    attacks.extend(keys(&forger, &Peer::of(other)));
    attacks.extend(members(&forger));
    attacks.extend(places(&forger, other));
    attacks.extend(times_and_shapes(&forger));
    repel("signatures", school, &rig.consumer, attacks).await;
    // What was forged is otherwise right, so that each refusal is for its own reason.
    let before = picture(school).await;
    let control = rig.consumer.send(school, &forger.with(|_| {})).await;
    assert_eq!((control.status, control.signed), (201, true), "{}", control.body);
    assert_ne!(before, picture(school).await);
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
        .map(|(name, letter, _)| Attack::new(format!("{name} again"), letter, 401, "replayed"))
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
    let attacks = vec![Attack::new("a refused request, later", letter, 401, "replayed")];
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
