//! What is wrong with an exchange rather than with a signature: where it leads, what its body became, which answer belongs to it.

use super::super::{
    Attack, Rig,
    forger::{Forger, OPEN, all_refused, claim, row},
    picture,
    provider::Rig as Hostile,
    records_offer, repel, stranger, tally,
};
use connector::{
    clock,
    jose::{self, Binding, Digest, message::signature_digest, random},
};
use connector_tests::{
    harness::{World, free},
    peer::{Asked, Letter, Peer, Publication, SIGNATURE, message},
};
use http::{Method, StatusCode};
use serde_json::{Map, Value, json};
use std::net::TcpListener;

/// A place that nobody has any business to call.
pub(in crate::attacks) struct Canary(TcpListener);

impl Canary {
    pub(in crate::attacks) fn new() -> Self {
        let listener = free();
        listener.set_nonblocking(true).unwrap();
        Self(listener)
    }

    pub(in crate::attacks) fn host(&self) -> String {
        format!("localhost:{}", self.0.local_addr().unwrap().port())
    }

    pub(in crate::attacks) fn was_called(&self) -> bool {
        self.0.accept().is_ok()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn row_04_ssrf_through_did_documents_and_callbacks() {
    let rig = Rig::start().await;
    let (forger, canary) = (Forger::of(&rig), Canary::new());
    let peer = forger.peer;
    let mut foreign = peer.document();
    foreign["id"] = json!(rig.school().did);
    let mut private = peer.document();
    private["verificationMethod"][0]["publicKeyJwk"]["d"] = json!("AAAA");
    let mut large = peer.document();
    large["x"] = json!("a".repeat(2 << 20));
    let bytes = |document: &Value| Publication::Bytes(document.to_string().into_bytes());
    let published = vec![
        (
            "a redirect to another port",
            Publication::Redirect(format!("https://{}/.well-known/did.json", canary.host())),
        ),
        (
            "a redirect to http",
            Publication::Redirect(format!("http://{}/", canary.host())),
        ),
        (
            "a redirect to a file",
            Publication::Redirect("file:///etc/passwd".into()),
        ),
        ("somebody else's document", bytes(&foreign)),
        ("a private key", bytes(&private)),
        ("a document of 2 MiB", bytes(&large)),
        ("no JSON", Publication::Bytes(b"hello".to_vec())),
        ("nothing", Publication::Bytes(Vec::new())),
    ];
    for (name, publication) in published {
        peer.publish(publication);
        let attack = vec![Attack::new(name, forger.letter(), 401, "no-key")];
        repel("DID documents", rig.school(), &rig.consumer, attack).await;
    }
    peer.publish(Publication::Own);
    let callback = |address: &str| {
        let mut body = forger.fresh();
        body["callbackAddress"] = json!(address);
        peer.letter(rig.school(), OPEN, &body)
    };
    let host = canary.host();
    let mut attacks = Vec::new();
    for (address, code) in [
        (format!("http://{host}/dsp"), "callback"),
        ("http://169.254.169.254/latest/meta-data".into(), "callback"),
        (format!("https://user:secret@{host}/dsp"), "invalid-message"),
        (format!("ftp://{host}/"), "invalid-message"),
        (format!("gopher://{host}/_x"), "invalid-message"),
        ("file:///etc/passwd".into(), "invalid-message"),
        ("unix:///run/connector.sock".into(), "invalid-message"),
        ("data:text/plain,x".into(), "invalid-message"),
        (format!("//{host}/dsp"), "invalid-message"),
        ("/dsp".into(), "invalid-message"),
        (String::new(), "invalid-message"),
    ] {
        attacks.push(Attack::new(
            format!("a callback to {address:?}"),
            callback(&address),
            400,
            code,
        ));
    }
    let twins = vec![("its own address", callback(&peer.base()))];
    row("SSRF", &rig, attacks, twins).await;
    assert!(!canary.was_called());
}

#[tokio::test(flavor = "multi_thread")]
async fn row_10_headers_of_unverified_signatures_in_general_json() {
    let world = World::start(&["school", "work"]).await;
    let (school, work) = (world.get("school"), world.get("work"));
    school.publish(3, 3).await;
    let agreement = work.negotiate(school).await;
    let path = work.dir.join("agreement.json");
    let file = path.to_str().unwrap();
    assert!(
        work.cli(&["agreement", "export", &agreement, "-o", file])
            .status
            .success()
    );
    let good: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let says = |export: &Value| {
        std::fs::write(&path, export.to_string()).unwrap();
        work.cli(&["agreement", "verify", file]).status.code()
    };
    let entry = |at: usize| good["document"]["signatures"][at].clone();
    type Edit<'a> = Box<dyn Fn(&mut Value) + 'a>;
    let edits: Vec<(&str, Edit<'_>)> = vec![
        (
            "an unprotected header",
            Box::new(|document| document["signatures"][0]["header"] = json!({"kid": "did:web:x.example#k"})),
        ),
        (
            "an empty unprotected header",
            Box::new(|document| document["signatures"][1]["header"] = json!({})),
        ),
        (
            "an unprotected algorithm",
            Box::new(|document| document["signatures"][0]["header"] = json!({"alg": "none"})),
        ),
        (
            "a header over both",
            Box::new(|document| document["header"] = json!({"alg": "ES256"})),
        ),
        (
            "nothing protected",
            Box::new(|document| {
                document["signatures"][0].as_object_mut().unwrap().remove("protected");
                document["signatures"][0]["header"] = json!({"alg": "ES256"});
            }),
        ),
        (
            "a third signature",
            Box::new(|document| document["signatures"].as_array_mut().unwrap().push(entry(0))),
        ),
        (
            "one party twice",
            Box::new(|document| document["signatures"][1] = entry(0)),
        ),
        (
            "signatures of each other",
            Box::new(|document| {
                document["signatures"][0]["signature"] = entry(1)["signature"].clone();
                document["signatures"][1]["signature"] = entry(0)["signature"].clone();
            }),
        ),
        (
            "one signature emptied",
            Box::new(|document| document["signatures"][0]["signature"] = json!("")),
        ),
        ("no signatures", Box::new(|document| document["signatures"] = json!([]))),
        (
            "flattened",
            Box::new(|document| {
                let one = entry(0);
                *document = json!({"payload": document["payload"], "protected": one["protected"], "signature": one["signature"]});
            }),
        ),
        (
            "flattened and general at once",
            Box::new(|document| {
                document["protected"] = entry(0)["protected"].clone();
                document["signature"] = entry(0)["signature"].clone();
            }),
        ),
    ];
    for (name, edit) in &edits {
        let mut export = good.clone();
        edit(&mut export["document"]);
        assert_eq!(says(&export), Some(6), "{name}");
    }
    assert_eq!(says(&good), Some(0), "the twin: as it was exported");
    let mut exchanged = good.clone();
    exchanged["document"]["signatures"] = json!([entry(1), entry(0)]);
    assert_eq!(
        says(&exchanged),
        Some(0),
        "the twin: the order of signatures says nothing"
    );
    tally("unprotected headers", edits.len());
}

/// The members of an object the other way round, at every depth.
fn reversed(value: &Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(
            members
                .iter()
                .rev()
                .map(|(name, value)| (name.clone(), reversed(value)))
                .collect::<Map<_, _>>(),
        ),
        Value::Array(items) => items.iter().map(reversed).collect(),
        other => other.clone(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn row_13_body_written_anew_on_the_way() {
    let rig = Rig::start().await;
    let forger = Forger::of(&rig);
    type Writing = fn(&Value) -> String;
    let writings: [(&str, Writing); 7] = [
        ("on several lines", |value| serde_json::to_string_pretty(value).unwrap()),
        ("its members in another order", |value| reversed(value).to_string()),
        ("with a space after it", |value| format!("{value} ")),
        ("with a line break after it", |value| format!("{value}\n")),
        ("with spaces after its colons", |value| {
            value.to_string().replace("\":", "\": ")
        }),
        ("with characters escaped", |value| {
            value.to_string().replace('@', "\\u0040")
        }),
        ("with slashes escaped", |value| value.to_string().replace('/', "\\/")),
    ];
    let (mut letters, mut twins) = (Vec::new(), Vec::new());
    for (name, write) in writings {
        let letter = |value: &Value| {
            let mut letter = forger.peer.letter(rig.school(), OPEN, value);
            letter.body = write(value).into_bytes();
            letter
        };
        let value = forger.fresh();
        let read: Value = serde_json::from_str(&write(&value)).unwrap();
        assert_eq!(read, value, "{name}: it must still say the same");
        letters.push((name.to_owned(), letter(&value)));
        let written = write(&forger.fresh()).into_bytes();
        twins.push((name, forger.peer.seal(rig.school(), Method::POST, OPEN, written)));
    }
    letters.push((
        "with its first byte changed".into(),
        forger.changed(|letter| letter.body[0] ^= 1),
    ));
    letters.push((
        "with a byte changed".into(),
        forger.changed(|letter| letter.body[40] ^= 1),
    ));
    letters.push(("without a body".into(), forger.changed(|letter| letter.body.clear())));
    letters.push((
        "with half of it".into(),
        forger.changed(|letter| letter.body.truncate(letter.body.len() / 2)),
    ));
    letters.push((
        "twice".into(),
        forger.changed(|letter| letter.body.extend(letter.body.clone())),
    ));
    row("body re-serialised", &rig, all_refused("bad-signature", letters), twins).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_14_content_encoding_on_what_is_signed() {
    let rig = Rig::start().await;
    let forger = Forger::of(&rig);
    let with = |coding: &str| forger.changed(|letter| letter.headers.push(("content-encoding", coding.to_owned())));
    let codings = [
        "gzip",
        "deflate",
        "br",
        "zstd",
        "identity",
        "GZIP",
        "x-gzip",
        "gzip, gzip",
        "aes128gcm",
        "",
    ];
    let mut attacks: Vec<_> = codings
        .into_iter()
        .map(|coding| Attack::new(format!("content-encoding {coding:?}"), with(coding), 415, "encoded"))
        .collect();
    // Signed over the coded bytes, as a middleware would see them, and so a right signature over what is sent: an empty gzip member.
    let coded = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let mut letter = forger.peer.seal(rig.school(), Method::POST, OPEN, coded.clone());
    letter.headers.push(("content-encoding", "gzip".into()));
    attacks.push(Attack::new("signed over coded bytes", letter, 415, "encoded"));
    // And without saying that it is coded.
    let letter = forger.peer.seal(rig.school(), Method::POST, OPEN, coded);
    attacks.push(Attack::new("coded bytes as a body", letter, 400, "invalid-json"));
    row(
        "compression",
        &rig,
        attacks,
        vec![("identity-coded, and not said", forger.letter())],
    )
    .await;
}

/// A signature of the provider over an answer, for any audience and binding.
fn sealed(provider: &Peer, audience: &str, binding: Binding<'_>, body: &[u8]) -> String {
    let now = clock::now();
    let id = random::message_id(now).unwrap();
    jose::seal(&provider.signer, audience, binding, Digest::EMPTY, body, now, &id).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn row_15_answer_unsigned_or_swapped() {
    let mut rig = Hostile::start().await;
    let (catalog, provider, me) = (rig.catalog(), rig.provider.clone(), rig.work().did.clone());
    let (status, shown) = rig.asked_for_catalog(|asked| asked.answer(200, &catalog)).await;
    assert_eq!(status, StatusCode::OK, "the twin: {shown}");
    let before = picture(rig.work()).await;
    let bytes = catalog.to_string().into_bytes();
    // An answer of mine that was right once, to be given again as it was.
    let mut kept = String::new();
    rig.asked_for_catalog(|asked| {
        let request = signature_digest(&asked.signature()).unwrap();
        kept = sealed(
            &provider,
            &me,
            Binding::Response {
                request: &request,
                status: 200,
            },
            &bytes,
        );
        asked.answer_raw(200, bytes.clone(), &[(SIGNATURE, kept.clone())]);
    })
    .await;
    let forged = provider.signing_as(stranger(provider.signer.kid()));
    let nobody = provider.signing_as(stranger("did:web:nobody.invalid#k1"));
    let answered = |asked: Asked, who: &Peer, audience: &str, status: u16, body: &[u8]| {
        let request = signature_digest(&asked.signature()).unwrap();
        let signature = sealed(
            who,
            audience,
            Binding::Response {
                request: &request,
                status,
            },
            body,
        );
        asked.answer_raw(200, bytes.clone(), &[(SIGNATURE, signature)]);
    };
    // As long as the right one, byte for byte another.
    let mut equally_long = bytes.clone();
    *equally_long.last_mut().unwrap() = b' ';
    type Answer<'a> = Box<dyn FnOnce(Asked) + 'a>;
    let answers: Vec<(&str, Answer<'_>)> = vec![
        ("unsigned", Box::new(|asked| asked.answer_raw(200, bytes.clone(), &[]))),
        (
            "an older answer, whole",
            Box::new(|asked| asked.answer_raw(200, bytes.clone(), &[(SIGNATURE, kept.clone())])),
        ),
        (
            "the request's own signature",
            Box::new(|asked| {
                let echo = asked.signature();
                asked.answer_raw(200, bytes.clone(), &[(SIGNATURE, echo)]);
            }),
        ),
        (
            "signed as a request",
            Box::new(|asked| {
                let url = format!("{}/dsp/2025-1/catalog/request", provider.root);
                let signature = sealed(
                    &provider,
                    &me,
                    Binding::Request {
                        method: "POST",
                        url: &url,
                    },
                    &bytes,
                );
                asked.answer_raw(200, bytes.clone(), &[(SIGNATURE, signature)]);
            }),
        ),
        (
            "signed for another recipient",
            Box::new(|asked| answered(asked, &provider, &provider.did, 200, &bytes)),
        ),
        (
            "signed for another status",
            Box::new(|asked| answered(asked, &provider, &me, 201, &bytes)),
        ),
        (
            "signed over another body of the same length",
            Box::new(|asked| answered(asked, &provider, &me, 200, &equally_long)),
        ),
        (
            "signed over nothing",
            Box::new(|asked| answered(asked, &provider, &me, 200, b"")),
        ),
        (
            "signed by nobody",
            Box::new(|asked| answered(asked, &nobody, &me, 200, &bytes)),
        ),
        (
            "signed with another key",
            Box::new(|asked| answered(asked, &forged, &me, 200, &bytes)),
        ),
        (
            "signed twice",
            Box::new(|asked| {
                let request = signature_digest(&asked.signature()).unwrap();
                let one = || {
                    sealed(
                        &provider,
                        &me,
                        Binding::Response {
                            request: &request,
                            status: 200,
                        },
                        &bytes,
                    )
                };
                asked.answer_raw(200, bytes.clone(), &[(SIGNATURE, one()), (SIGNATURE, one())]);
            }),
        ),
    ];
    let count = answers.len();
    for (name, answer) in answers {
        let (status, shown) = rig.asked_for_catalog(answer).await;
        assert_eq!(status, StatusCode::BAD_GATEWAY, "{name}: {shown}");
    }
    assert_eq!(before, picture(rig.work()).await);
    let (status, shown) = rig.asked_for_catalog(|asked| asked.answer(200, &catalog)).await;
    assert_eq!(status, StatusCode::OK, "the twin, after all: {shown}");
    tally("answers unsigned or swapped", count);
}

#[tokio::test(flavor = "multi_thread")]
async fn row_16_the_same_jti_after_a_timeout() {
    let rig = Rig::start().await;
    let (school, forger) = (rig.school(), Forger::of(&rig));
    rig.introduce().await;
    // Whoever knows an id beforehand cannot spend it: that takes a right signature.
    let jti = random::message_id(clock::now()).unwrap();
    let good = forger.with(claim("jti", json!(jti)));
    let thief = stranger(forger.peer.signer.kid());
    let stolen = forger.with_key(thief.key(), claim("jti", json!(jti)));
    let attacks = vec![Attack::new("an id spent by a forger", stolen, 401, "bad-signature")];
    repel("ids of others", school, &rig.consumer, attacks).await;
    let first = rig.consumer.send(school, &good).await;
    assert_eq!((first.status, first.signed), (201, true), "{}", first.body);
    super::super::rests(
        school,
        "negotiations",
        first.body["providerPid"].as_str().unwrap(),
        "AGREED",
    )
    .await;
    let before = picture(school).await;
    // The answer was lost, and the caller sends the same again.
    let again = forger.with(claim("jti", json!(jti)));
    let attacks = vec![
        Attack::new("the same letter", good.clone(), 409, "replayed"),
        Attack::new("another letter under the same id", again, 409, "replayed"),
    ];
    repel("the same jti", school, &rig.consumer, attacks).await;
    // The twin: the same message signed anew gets the same answer, and changes nothing.
    let retry = rig.consumer.seal(school, Method::POST, OPEN, good.body.clone());
    let second = rig.consumer.send(school, &retry).await;
    assert_eq!((second.status, second.bytes), (201, first.bytes));
    assert_eq!(before, picture(school).await);
    // An id belongs to its sender: another may use the same.
    let other = Peer::of(rig.world.get("other"));
    let mut protected = other.protected(school, "POST", OPEN);
    protected["dspsig"]["jti"] = json!(jti);
    let body = message(
        "ContractRequestMessage",
        json!({"consumerPid": connector_tests::peer::uuid(), "callbackAddress": other.base(), "offer": records_offer()}),
    );
    let mut letter: Letter = other.letter(school, OPEN, &body);
    letter.signatures = vec![Peer::sign(
        other.signer.key(),
        protected.to_string().as_bytes(),
        &letter.body,
    )];
    let theirs = other.send(school, &letter).await;
    assert_eq!((theirs.status, theirs.signed), (201, true), "{}", theirs.body);
}
