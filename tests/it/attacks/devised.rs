//! Attacks that stand in no list: what is right in one place, used in another.

use super::{
    Attack, Rig,
    forger::{Forger, OPEN, all_refused, claim, row, set},
    repel, rests, tally,
};
use connector::{
    clock,
    jose::{Algorithm, Signer, SigningKey, agreement::Role},
};
use connector_tests::peer::{DSP, Peer, Publication, SIGNATURE};
use http::Method;
use serde_json::json;

/// Two headers carry signatures of the same key over nearly the same bytes.
#[tokio::test(flavor = "multi_thread")]
async fn a_signature_moved_to_the_other_header_counts_for_nothing() {
    let mut rig = Rig::start().await;
    let (process, record, _) = rig.agreed().await;
    let agreement = record.sign(&rig.consumer.signer, Role::Assignee, clock::now()).unwrap();
    let right = || rig.verification(&process, std::slice::from_ref(&agreement));
    let mut moved = right();
    moved.signatures = vec![agreement.clone()];
    let mut exchanged = right();
    let message = exchanged.signatures.remove(0);
    exchanged.signatures = vec![agreement.clone()];
    exchanged.headers = vec![("x-dsp-agreement-signature", message)];
    let mut copied = right();
    let message = copied.signatures[0].clone();
    copied.headers = vec![("x-dsp-agreement-signature", message)];
    let attacks = vec![
        Attack::new("the agreement's as the message's", moved, 401, "wrong-type"),
        Attack::new("both exchanged", exchanged, 401, "wrong-type"),
        Attack::new("the message's as the agreement's", copied, 400, "agreement-signature"),
    ];
    repel("signatures in the other header", rig.school(), &rig.consumer, attacks).await;
    assert_eq!(rig.consumer.send(rig.school(), &right()).await.status, 200, "the twin");
    rests(rig.school(), "negotiations", &process.provider, "FINALIZED").await;
}

/// Both keys are the sender's and both are published: still each proves only its own key id.
#[tokio::test(flavor = "multi_thread")]
async fn the_key_id_of_another_key_of_the_same_document_is_refused() {
    let rig = Rig::start().await;
    let forger = Forger::of(&rig);
    let (second, third) = (
        SigningKey::generate(Algorithm::Es256).unwrap(),
        SigningKey::generate(Algorithm::EdDsa).unwrap(),
    );
    let mut document = forger.peer.document();
    for (name, key) in [("k2", &second), ("k3", &third)] {
        let id = format!("{}#{name}", forger.peer.did);
        document["assertionMethod"].as_array_mut().unwrap().push(json!(id));
        document["verificationMethod"].as_array_mut().unwrap().push(
            json!({"id": id, "type": "JsonWebKey2020", "controller": forger.peer.did, "publicKeyJwk": key.public_jwk()}),
        );
    }
    forger
        .peer
        .publish(Publication::Bytes(document.to_string().into_bytes()));
    let first = forger.peer.signer.key();
    let named = |key: &SigningKey, name: &str| {
        let (kid, algorithm) = (format!("{}#{name}", forger.peer.did), key.algorithm().name());
        forger.with_key(key, |protected| {
            protected["kid"] = json!(kid);
            protected["alg"] = json!(algorithm);
        })
    };
    let attacks = vec![
        Attack::new(
            "the second's signature as the first's",
            named(&second, "k1"),
            401,
            "bad-signature",
        ),
        Attack::new(
            "the first's signature as the second's",
            named(first, "k2"),
            401,
            "bad-signature",
        ),
        Attack::new(
            "the third's signature as the first's",
            named(&third, "k1"),
            401,
            "wrong-key",
        ),
        Attack::new(
            "the first's signature as the third's",
            named(first, "k3"),
            401,
            "wrong-key",
        ),
        Attack::new("a key that is not there", named(&second, "k4"), 401, "no-key"),
    ];
    let twins = vec![
        ("the first", named(first, "k1")),
        ("the second", named(&second, "k2")),
        ("the third", named(&third, "k3")),
    ];
    row("keys of one document", &rig, attacks, twins).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_to_one_connector_is_no_message_to_another() {
    let rig = Rig::start().await;
    let (school, other) = (rig.school(), rig.world.get("other"));
    let forger = Forger::of(&rig);
    let to_other = |mut letter: connector_tests::peer::Letter| {
        letter.url = format!("{}{DSP}{OPEN}", other.root());
        letter
    };
    let htu = format!("{}{DSP}{OPEN}", other.root());
    let attacks = vec![
        Attack::new("as it was", to_other(forger.letter()), 401, "wrong-audience"),
        Attack::new(
            "with the other's address",
            to_other(forger.with(claim("htu", json!(htu)))),
            401,
            "wrong-audience",
        ),
        Attack::new(
            "with the other's name",
            to_other(forger.with(claim("aud", json!(other.did)))),
            401,
            "wrong-route",
        ),
        Attack::new(
            "for both",
            to_other(forger.with(claim("aud", json!([school.did, other.did])))),
            401,
            "signature-header",
        ),
    ];
    repel("messages to another connector", other, &rig.consumer, attacks).await;
    row(
        "messages for several",
        &rig,
        all_refused(
            "signature-header",
            vec![(
                "for both".into(),
                forger.with(claim("aud", json!([school.did, other.did]))),
            )],
        ),
        vec![("to the one it is for", forger.letter())],
    )
    .await;
}

/// Lengths and shapes are the same: only the bytes themselves tell.
#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_the_same_length_is_another_body() {
    let rig = Rig::start().await;
    let forger = Forger::of(&rig);
    let swapped = |from: &str, to: &str| {
        assert_eq!(from.len(), to.len());
        forger.changed(|letter| {
            let text = String::from_utf8(letter.body.clone()).unwrap();
            assert!(text.contains(from), "{text}");
            letter.body = text.replacen(from, to, 1).into_bytes();
        })
    };
    let two = (forger.letter(), forger.letter());
    let mut crossed = two.0.clone();
    assert_eq!(crossed.body.len(), two.1.body.len());
    crossed.body = two.1.body.clone();
    let letters = vec![
        ("another category".to_owned(), swapped("\"results\"", "\"persons\"")),
        ("another action".into(), swapped("\"use\"", "\"own\"")),
        ("another operator".into(), swapped("isAnyOf", "isAllOf")),
        ("members exchanged".into(), swapped("consumerPid", "providerPid")),
        ("the body of another right message".into(), crossed),
    ];
    row(
        "bodies of the same length",
        &rig,
        all_refused("bad-signature", letters),
        vec![("as it was signed", two.0), ("and the other", two.1)],
    )
    .await;
}

/// What one reader takes for the first header and another for the last.
#[tokio::test(flavor = "multi_thread")]
async fn a_signature_header_is_one_and_short() {
    let rig = Rig::start().await;
    let forger = Forger::of(&rig);
    let stranger = super::stranger(forger.peer.signer.kid());
    let forged = || forger.with_key(stranger.key(), |_| {}).signatures.remove(0);
    let twice = |first: bool| {
        forger.changed(|letter| {
            let at = usize::from(!first);
            letter.signatures.insert(at, forged());
        })
    };
    let headers = vec![
        ("a right one after a forged one".to_owned(), twice(true)),
        ("a right one before a forged one".into(), twice(false)),
        (
            "the same twice".into(),
            forger.changed(|letter| letter.signatures.push(letter.signatures[0].clone())),
        ),
        (
            "under a name with underscores".into(),
            forger.changed(|letter| {
                let signature = letter.signatures.remove(0);
                letter.headers.push(("x_jws_signature", signature));
            }),
        ),
        (
            "under a name with one character more".into(),
            forger.changed(|letter| {
                let signature = letter.signatures.remove(0);
                letter.headers.push(("x-jws-signature2", signature));
            }),
        ),
    ];
    let mut attacks = all_refused("signature-missing", headers);
    let joined = forger.cut(|text| format!("{text}, {text}"));
    attacks.push(Attack::new("two in one header", joined, 401, "signature-malformed"));
    for size in [4096, 12 << 10] {
        let long = forger.cut(|text| format!("{text}{}", "A".repeat(size)));
        attacks.push(Attack::new(
            format!("{size} bytes more"),
            long,
            401,
            "signature-too-large",
        ));
    }
    row(
        "duplicated and huge headers",
        &rig,
        attacks,
        vec![("one", forger.letter())],
    )
    .await;
    // Beyond what the connection takes there is no answer of ours, and no harm.
    let sizes = [60 << 10, 1 << 20];
    for size in sizes {
        let huge = forger.cut(|text| format!("{text}{}", "A".repeat(size)));
        let status = rig.consumer.post(&huge).await;
        assert!(status == 0 || (400..500).contains(&status), "{size}: {status}");
    }
    assert_eq!(
        rig.consumer.say(rig.school(), OPEN, &forger.fresh()).await.status,
        201,
        "others are served"
    );
    tally("headers beyond all limits", sizes.len());
}

/// Names that look the same to people, or that a laxer reader would take for the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_looks_the_same_is_another_name() {
    let rig = Rig::start().await;
    let forger = Forger::of(&rig);
    let (me, school) = (forger.peer.did.clone(), rig.school().did.clone());
    let look_alikes = |did: &str| {
        [
            ("a Greek omicron", did.replacen('o', "\u{3bf}", 1)),
            ("a Cyrillic o", did.replacen('o', "\u{43e}", 1)),
            ("a full-width letter", did.replacen('l', "\u{ff4c}", 1)),
            ("a zero-width space", did.replacen("host", "\u{200b}host", 1)),
            ("a soft hyphen", did.replacen("host", "\u{ad}host", 1)),
            ("a capital letter", did.replacen("localhost", "Localhost", 1)),
            ("capital letters", did.replacen("localhost", "LOCALHOST", 1)),
            ("a final dot", did.replacen("localhost", "localhost.", 1)),
            ("an escaped letter", did.replacen("localhost", "%6cocalhost", 1)),
            ("its port's colon in small letters", did.replacen("%3A", "%3a", 1)),
            ("a zero before its port", did.replacen("%3A", "%3A0", 1)),
            (
                "another address of the same machine",
                did.replacen("localhost", "127.0.0.1", 1),
            ),
            ("a path", format!("{did}:x")),
            ("a space", format!("{did} ")),
        ]
    };
    let mut attacks = Vec::new();
    for (name, did) in look_alikes(&me) {
        // As a name it must be read at all before it can be unknown.
        let code = if connector::jose::did::is_did(&did) {
            "unknown-peer"
        } else {
            "wrong-key"
        };
        let letter = forger.with(|protected| {
            protected["kid"] = json!(format!("{did}#k1"));
            protected["dspsig"]["iss"] = json!(did);
        });
        attacks.push(Attack::new(format!("a sender with {name}"), letter, 401, code));
        let letter = forger.with(claim("iss", json!(did)));
        attacks.push(Attack::new(format!("an issuer with {name}"), letter, 401, "wrong-key"));
        let letter = forger.with(set("kid", json!(format!("{did}#k1"))));
        attacks.push(Attack::new(
            format!("a key's owner with {name}"),
            letter,
            401,
            "wrong-key",
        ));
    }
    for (name, did) in look_alikes(&school) {
        let code = if connector::jose::did::is_did(&did) {
            "wrong-audience"
        } else {
            "signature-header"
        };
        attacks.push(Attack::new(
            format!("a recipient with {name}"),
            forger.with(claim("aud", json!(did))),
            401,
            code,
        ));
    }
    row(
        "names that look the same",
        &rig,
        attacks,
        vec![("the names themselves", forger.with(claim("iss", json!(me))))],
    )
    .await;
}

/// An answer of mine is signed, and so is a question: neither passes for the other, whoever brings it.
#[tokio::test(flavor = "multi_thread")]
async fn a_connectors_own_signatures_sent_back_to_it_count_for_nothing() {
    let mut rig = Rig::start().await;
    let process = rig.open(&super::records_offer()).await;
    let (headers, body) = rig.heard("ContractAgreementMessage", &process.consumer).await;
    let own = headers[SIGNATURE].to_str().unwrap().to_owned();
    let path = format!("/negotiations/{}/agreement", process.provider);
    let mut back = rig.consumer.letter(rig.school(), &path, &body);
    back.signatures = vec![own];
    // A thief that takes the connector's own name instead of another's.
    let school = Peer::of(rig.school());
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    let itself = rig.consumer.signing_as(Signer::new(school.signer.kid(), key).unwrap());
    let open = itself.seal(rig.school(), Method::POST, OPEN, rig.request().to_string().into_bytes());
    let attacks = vec![
        Attack::new("its own message, sent back", back, 401, "unknown-peer"),
        Attack::new("its own name, another key", open, 401, "unknown-peer"),
    ];
    let twins = vec![(
        "a message of a peer",
        rig.consumer.letter(rig.school(), OPEN, &rig.request()),
    )];
    rests(rig.school(), "negotiations", &process.provider, "AGREED").await;
    row("own signatures sent back", &rig, attacks, twins).await;
}
