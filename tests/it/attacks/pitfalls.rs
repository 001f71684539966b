//! The pitfalls of signed messages, one test a row of the table. Each is called after its row, repels every attack of it, and shows by a
//! twin that the same thing done right is believed: a verifier that refuses everything fails as surely as one that refuses nothing.

mod curves;
pub(super) mod exchange;

use super::{
    Attack, Process, Rig,
    forger::{Forger, OPEN, all_refused, row, set, shift, without},
    record,
};
use connector::jose::{Algorithm, Digest, HmacKey, SigningKey, agreement::Role, base64url, token};
use connector_tests::peer::{Letter, Peer, uuid};
use serde_json::{Value, json};

/// An HS256 tag where a signature belongs, made with whatever of the public key could pass for a shared secret.
fn mac(forger: &Forger<'_>, secret: &[u8]) -> Letter {
    let mut protected = forger.peer.protected(forger.to, "POST", OPEN);
    protected["alg"] = json!("HS256");
    forger.changed(|letter| {
        let head = base64url::encode(protected.to_string().as_bytes());
        let input = format!("{head}.{}", base64url::encode(&letter.body));
        let tag = HmacKey::new(secret).tag(input.as_bytes());
        letter.signatures = vec![format!("{head}..{tag}")];
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn row_01_algorithm_confusion_none_and_case_variants() {
    let rig = Rig::start().await;
    let forger = Forger::of(&rig);
    let named = [
        "none", "None", "NONE", "nOnE", "HS256", "HS384", "HS512", "RS256", "PS256", "ES384", "ES512", "ES256K",
        "es256", "eS256", "ES256 ", "eddsa", "EDDSA", "ed25519", "Ed448", "dir", "",
    ];
    let mut letters: Vec<_> = named
        .into_iter()
        .map(|name| (format!("alg {name:?}"), forger.with(set("alg", json!(name)))))
        .collect();
    for value in [json!(["ES256"]), json!(null), json!(1), json!({"ES256": true})] {
        letters.push((format!("alg {value}"), forger.with(set("alg", value))));
    }
    letters.push(("alg missing".into(), forger.with(without("alg"))));
    letters.push((
        "ALG instead".into(),
        forger.with(|protected| {
            without("alg")(protected);
            protected["ALG"] = json!("ES256");
        }),
    ));
    let jwk = forger.peer.signer.key().public_jwk();
    let bytes = |name: &str| base64url::decode(jwk[name].as_str().unwrap()).unwrap();
    for (name, secret) in [
        ("the JWK", jwk.to_string().into_bytes()),
        ("the point", [vec![4], bytes("x"), bytes("y")].concat()),
        ("x", bytes("x")),
        ("nothing", Vec::new()),
    ] {
        letters.push((format!("HS256 keyed with {name}"), mac(&forger, &secret)));
    }
    let mut attacks = all_refused("algorithm-not-allowed", letters);
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
    // An allowed name, and not that of the key.
    for name in ["EdDSA", "Ed25519"] {
        let letter = forger.with(set("alg", json!(name)));
        attacks.push(Attack::new(format!("{name} of a P-256 key"), letter, 401, "wrong-key"));
    }
    row(
        "alg confusion, none, case variants",
        &rig,
        attacks,
        vec![("ES256", forger.with(|_| {}))],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_02_kid_injection() {
    let rig = Rig::start().await;
    let forger = Forger::of(&rig);
    let (did, kid) = (forger.peer.did.clone(), forger.peer.signer.kid().to_owned());
    let injected = [
        "../../../../etc/passwd".to_owned(),
        "/dev/null".into(),
        "file:///etc/passwd#k1".into(),
        format!("{kid}/../k1"),
        format!("{did}/../x#k1"),
        format!("{did}:..:x#k1"),
        "k1' OR '1'='1".into(),
        format!("{kid}'; DROP TABLE keys;--"),
        format!("{kid}\" OR \"\"=\""),
        "https://localhost/keys#k1".into(),
        "//localhost/keys#k1".into(),
        format!("{kid}?key=k1"),
        format!("{did}?x=1#k1"),
        format!("{did}#.*"),
        "did:web:.*#k1".into(),
        "did:web:[^#]*#k1".into(),
        // Where a pattern is matched, a dot stands for any character: another participant's name must not fit mine.
        kid.replace("%3A", "."),
        kid.replace("localhost", "local.ost"),
        kid.replace("localhost", "LOCALHOST"),
        kid.replace("did:web", "did:WEB"),
        format!("{kid}\0"),
        format!("{kid}\n"),
        format!(" {kid}"),
        format!("{kid} "),
        format!("{kid}#k1"),
        kid.replace('#', "%23"),
        format!("{did}#"),
        "#k1".into(),
        "k1".into(),
        String::new(),
        format!("{did}#{}", "k".repeat(300)),
        format!("{did}#ḱ1"),
    ];
    let letters = injected
        .into_iter()
        .map(|kid| (format!("kid {kid:?}"), forger.with(set("kid", json!(kid)))));
    let mut letters: Vec<_> = letters.collect();
    letters.push(("no kid".into(), forger.with(without("kid"))));
    for value in [json!(null), json!([kid]), json!({"kid": kid}), json!(1)] {
        letters.push((format!("kid {value}"), forger.with(set("kid", value))));
    }
    let mut attacks = all_refused("wrong-key", letters);
    for name in ["K1", "k2", "k1.", "k", "k11"] {
        let letter = forger.with(set("kid", json!(format!("{did}#{name}"))));
        attacks.push(Attack::new(
            format!("a key {name} that is not there"),
            letter,
            401,
            "no-key",
        ));
    }
    // The same spelling games with the whole identity, so that issuer and key id agree with each other.
    for (name, other) in [
        ("a dot for the port's colon", did.replace("%3A", ".")),
        ("a hyphen for a letter", did.replace("localhost", "local-ost")),
        ("a lower-case port's colon", did.replace("%3A", "%3a")),
        ("a trailing dot", did.replace("localhost", "localhost.")),
    ] {
        let letter = forger.with(|protected| {
            protected["kid"] = json!(format!("{other}#k1"));
            protected["dspsig"]["iss"] = json!(other);
        });
        attacks.push(Attack::new(
            format!("all of it with {name}"),
            letter,
            401,
            "unknown-peer",
        ));
    }
    row(
        "kid injection",
        &rig,
        attacks,
        vec![("the key id", forger.with(set("kid", json!(kid))))],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_03_embedded_keys() {
    let rig = Rig::start().await;
    let forger = Forger::of(&rig);
    let own = SigningKey::generate(Algorithm::Es256).unwrap();
    let members = [
        ("jwk", own.public_jwk()),
        ("jwk", forger.peer.signer.key().public_jwk()),
        ("jwk", json!(null)),
        ("jku", json!("https://localhost/keys")),
        ("x5u", json!("https://localhost/cert")),
        ("x5c", json!(["MIIB"])),
        ("x5t", json!("AAAA")),
        ("x5t#S256", json!("AAAA")),
    ];
    let mut letters = Vec::new();
    for (member, value) in members {
        letters.push((
            format!("{member} of another key"),
            forger.with_key(&own, set(member, value.clone())),
        ));
        letters.push((
            format!("{member} beside the right key"),
            forger.with(set(member, value)),
        ));
    }
    let attacks = all_refused("embedded-key", letters);
    row(
        "embedded jwk, jku, x5u, x5c",
        &rig,
        attacks,
        vec![("no key in the header", forger.with(|_| {}))],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_05_crit_unknown_duplicate_empty_or_absent() {
    let rig = Rig::start().await;
    let forger = Forger::of(&rig);
    let wrong = [
        json!([]),
        json!(["dspsig", "exp"]),
        json!(["exp", "dspsig"]),
        json!(["dspsig", "dspsig"]),
        json!(["http://example.com/UNDEFINED"]),
        json!(["dspsig", "http://example.com/UNDEFINED"]),
        json!(["alg"]),
        json!(["DSPSIG"]),
        json!("dspsig"),
        json!({"dspsig": true}),
        json!(null),
        json!([["dspsig"]]),
        json!([1]),
    ];
    let mut letters: Vec<_> = wrong
        .into_iter()
        .map(|crit| (format!("crit {crit}"), forger.with(set("crit", crit))))
        .collect();
    letters.push(("crit missing".into(), forger.with(without("crit"))));
    let mut attacks = all_refused("unknown-critical", letters);
    attacks.push(Attack::new(
        "a critical member that is absent",
        forger.with(without("dspsig")),
        401,
        "signature-header",
    ));
    row(
        "crit",
        &rig,
        attacks,
        vec![("exactly dspsig", forger.with(set("crit", json!(["dspsig"]))))],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_06_b64_false() {
    let rig = Rig::start().await;
    let forger = Forger::of(&rig);
    let critical = |value: Value| {
        move |protected: &mut Value| {
            protected["b64"] = value;
            protected["crit"] = json!(["dspsig", "b64"]);
        }
    };
    let mut letters = Vec::new();
    for value in [json!(false), json!(true), json!(null), json!("false")] {
        letters.push((format!("b64 {value}"), forger.with(set("b64", value.clone()))));
        letters.push((format!("b64 {value}, critical"), forger.with(critical(value))));
    }
    // As RFC 7797 signs: over the bytes themselves.
    let mut protected = forger.peer.protected(forger.to, "POST", OPEN);
    critical(json!(false))(&mut protected);
    let unencoded = forger.changed(|letter| {
        let head = base64url::encode(protected.to_string().as_bytes());
        let input = [head.as_bytes(), b".", &letter.body].concat();
        let signature = forger.peer.signer.key().sign(&input).unwrap();
        letter.signatures = vec![format!("{head}..{}", base64url::encode(&signature))];
    });
    letters.push(("signed over the bare body".into(), unencoded));
    let attacks = all_refused("unencoded-payload", letters);
    row("b64", &rig, attacks, vec![("no b64", forger.with(|_| {}))]).await;
}

/// A right header whose encoding is changed and then signed as it is, so that the signature itself is right.
fn encoded(forger: &Forger<'_>, edit: impl FnOnce(String) -> String) -> Letter {
    let mut protected = forger.peer.protected(forger.to, "POST", OPEN).to_string();
    // Some bits of the last character must be unused.
    while protected.len().is_multiple_of(3) {
        protected.push(' ');
    }
    forger.changed(|letter| {
        let head = edit(base64url::encode(protected.as_bytes()));
        let input = format!("{head}.{}", base64url::encode(&letter.body));
        let signature = forger.peer.signer.key().sign(input.as_bytes()).unwrap();
        letter.signatures = vec![format!("{head}..{}", base64url::encode(&signature))];
    })
}

/// The next character of the alphabet: for the last one of a part, the same bytes in another spelling.
fn next_at_end(mut text: String) -> String {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let last = text.pop().unwrap();
    let at = ALPHABET.find(last).unwrap();
    text.push(ALPHABET[at + 1..].chars().next().unwrap());
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn row_07_padding_trailing_bits_and_white_space() {
    let rig = Rig::start().await;
    let forger = Forger::of(&rig);
    let letters = vec![
        (
            "a padded header".to_owned(),
            encoded(&forger, |head| format!("{head}=")),
        ),
        ("a header with unused bits set".into(), encoded(&forger, next_at_end)),
        (
            "a header with a space".into(),
            encoded(&forger, |head| format!("{} {}", &head[..9], &head[9..])),
        ),
        (
            "a header with a space at its end".into(),
            encoded(&forger, |head| format!("{head} ")),
        ),
        (
            "a header in the other alphabet".into(),
            encoded(&forger, |head| format!("{head}+/")),
        ),
        (
            "a header with a percent sign".into(),
            encoded(&forger, |head| format!("{head}%3D")),
        ),
        ("an empty header".into(), encoded(&forger, |_| String::new())),
        ("a padded signature".into(), forger.cut(|text| format!("{text}="))),
        (
            "a doubly padded signature".into(),
            forger.cut(|text| format!("{text}==")),
        ),
        (
            "a signature with unused bits set".into(),
            forger.cut(|text| next_at_end(text.to_owned())),
        ),
        (
            "a signature with a space".into(),
            forger.cut(|text| text.replacen("..", ".. ", 1)),
        ),
        (
            "a signature in the other alphabet".into(),
            forger.cut(|text| text.replacen("..", "..+/", 1)),
        ),
        (
            "a signature with a character more".into(),
            forger.cut(|text| format!("{text}A")),
        ),
    ];
    let attacks = all_refused("signature-malformed", letters);
    row(
        "padding, trailing bits, white space",
        &rig,
        attacks,
        vec![("the canonical spelling", encoded(&forger, |head| head))],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_12_reuse_of_what_was_signed_for_another_protocol() {
    let rig = Rig::start().await;
    let forger = Forger::of(&rig);
    let mut typs: Vec<String> = token::Kind::ALL.iter().map(|kind| kind.typ().to_owned()).collect();
    let others = [
        "dsp-agreement+jws",
        "JWT",
        "jwt",
        "at+jwt",
        "dpop+jwt",
        "vc+jwt",
        "vp+jwt",
        "JOSE",
        "JOSE+JSON",
        "dsp-msg+JWS",
        "application/dsp-msg+jws",
        "dsp-msg+jws ",
        "dsp-msg",
        "",
    ];
    typs.extend(others.map(str::to_owned));
    let mut letters: Vec<_> = typs
        .into_iter()
        .map(|typ| (format!("typ {typ:?}"), forger.with(set("typ", json!(typ)))))
        .collect();
    letters.push(("no typ".into(), forger.with(without("typ"))));
    letters.push(("no cty".into(), forger.with(without("cty"))));
    letters.push(("another cty".into(), forger.with(set("cty", json!("JWT")))));
    // The real things, as their protocol signs them.
    let me = &forger.peer.signer;
    for kind in token::Kind::ALL {
        let token = token::sign(me, kind, &forger.body).unwrap();
        let (head, signature) = (token.split_once('.').unwrap().0, token.rsplit_once('.').unwrap().1);
        letters.push((format!("a {kind:?}"), forger.cut(|_| format!("{head}..{signature}"))));
    }
    let process = Process {
        consumer: uuid(),
        provider: uuid(),
        request: Digest::EMPTY,
    };
    let school = Peer::of(rig.school());
    let agreement = json!({"@id": uuid(), "assigner": school.did, "assignee": forger.peer.did});
    let signed = record(&process, &school, forger.peer, agreement)
        .sign(me, Role::Assignee, connector::clock::now())
        .unwrap();
    letters.push(("an agreement's signature".into(), forger.cut(|_| signed)));
    let attacks = all_refused("wrong-type", letters);
    row(
        "cross-protocol reuse",
        &rig,
        attacks,
        vec![("the typ of messages", forger.with(|_| {}))],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_11_clock_skew_and_far_future() {
    let rig = Rig::start().await;
    let forger = Forger::of(&rig);
    let case = |name: &str, iat, exp, code| Attack::new(name, forger.with(shift(iat, exp)), 401, code);
    let attacks = vec![
        case("expired", -300, -61, "expired"),
        case("expired long ago", -90_000, -89_900, "expired"),
        case("from the future", 70, 120, "not-yet-valid"),
        case("from next year", 31_536_000, 31_536_100, "not-yet-valid"),
        case(
            "from the end of time",
            9_000_000_000_000,
            9_000_000_000_100,
            "not-yet-valid",
        ),
        case("a lifetime too long", 0, 301, "lifetime-too-long"),
        case("a lifetime of a year", 0, 31_536_000, "lifetime-too-long"),
        case(
            "a lifetime from long ago until now",
            -31_536_000,
            60,
            "lifetime-too-long",
        ),
    ];
    let twins = vec![
        (
            "a clock that is ahead by less than a minute",
            forger.with(shift(50, 170)),
        ),
        (
            "a clock that is behind by less than a minute",
            forger.with(shift(-150, -50)),
        ),
        ("the longest lifetime", forger.with(shift(0, 300))),
    ];
    row("clock skew, far future", &rig, attacks, twins).await;
}
