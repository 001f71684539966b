//! Signatures that are wrong as points and numbers on their curves.

use super::super::{
    Attack, Rig,
    forger::{Forger, all_refused, row, set},
};
use connector::jose::{Algorithm, Signer, SigningKey, base64url};
use connector_tests::peer::{Peer, Publication};
use serde_json::json;

/// The order n of P-256, big-endian.
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7,
    0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// n - s: the signature of the other root, valid wherever low s is not asked for.
fn other_s(signature: &[u8]) -> Vec<u8> {
    let mut changed = signature.to_vec();
    let mut borrow = 0;
    for (s, n) in changed[32..].iter_mut().zip(ORDER).rev() {
        let difference = i16::from(n) - i16::from(*s) - borrow;
        (*s, borrow) = (difference.rem_euclid(256) as u8, i16::from(difference < 0));
    }
    changed
}

/// As X.509 writes it: two integers in a sequence.
fn der(signature: &[u8]) -> Vec<u8> {
    let integer = |half: &[u8]| {
        let digits: Vec<u8> = half.iter().copied().skip_while(|byte| *byte == 0).collect();
        let sign = usize::from(digits[0] & 0x80 != 0);
        [vec![2, (digits.len() + sign) as u8], vec![0; sign], digits].concat()
    };
    let body = [integer(&signature[..32]), integer(&signature[32..])].concat();
    [vec![0x30, body.len() as u8], body].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn row_08_ecdsa_zero_beyond_the_order_wrong_length_and_der() {
    let rig = Rig::start().await;
    let forger = Forger::of(&rig);
    let with = |r: Option<[u8; 32]>, s: Option<[u8; 32]>| {
        forger.resigned(|signature| {
            let (old_r, old_s) = signature.split_at(32);
            [r.map_or(old_r.to_vec(), Vec::from), s.map_or(old_s.to_vec(), Vec::from)].concat()
        })
    };
    let (zero, mut one, mut below, mut above) = ([0; 32], [0; 32], ORDER, ORDER);
    (one[31], below[31], above[31]) = (1, 0x50, 0x52);
    let numbers = vec![
        ("r and s zero".to_owned(), with(Some(zero), Some(zero))),
        ("r zero".into(), with(Some(zero), None)),
        ("s zero".into(), with(None, Some(zero))),
        ("r and s one".into(), with(Some(one), Some(one))),
        ("r the order".into(), with(Some(ORDER), None)),
        ("s the order".into(), with(None, Some(ORDER))),
        ("s above the order".into(), with(None, Some(above))),
        ("r below the order".into(), with(Some(below), None)),
        ("all bits set".into(), with(Some([0xff; 32]), Some([0xff; 32]))),
        (
            "r and s exchanged".into(),
            forger.resigned(|signature| [&signature[32..], &signature[..32]].concat()),
        ),
        (
            "r and s little-endian".into(),
            forger.resigned(|signature| signature.iter().rev().copied().collect()),
        ),
    ];
    let shapes = vec![
        ("DER".to_owned(), forger.resigned(|signature| der(&signature))),
        (
            "a byte less".into(),
            forger.resigned(|signature| signature[..63].to_vec()),
        ),
        (
            "a zero byte more".into(),
            forger.resigned(|signature| [&signature[..], &[0]].concat()),
        ),
        (
            "a zero byte in front".into(),
            forger.resigned(|signature| [&[0], &signature[..]].concat()),
        ),
        ("r alone".into(), forger.resigned(|signature| signature[..32].to_vec())),
        ("twice".into(), forger.resigned(|signature| signature.repeat(2))),
        (
            "the length of ES384".into(),
            forger.resigned(|signature| [&signature[..], &[0; 32]].concat()),
        ),
    ];
    let mut attacks = all_refused("bad-signature", numbers);
    attacks.extend(all_refused("signature-malformed", shapes));
    let twins = vec![
        ("as it was signed", forger.letter()),
        ("with the other s", forger.resigned(|signature| other_s(&signature))),
    ];
    row("ECDSA numbers and shapes", &rig, attacks, twins).await;
}

/// The order of Ed25519's group, little-endian.
const L: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// S + L: the same number to whoever does not reduce it.
fn malleated(signature: &[u8]) -> Vec<u8> {
    let mut changed = signature.to_vec();
    let mut carry = 0;
    for (s, l) in changed[32..].iter_mut().zip(L) {
        let sum = u16::from(*s) + u16::from(l) + carry;
        (*s, carry) = (sum as u8, sum >> 8);
    }
    changed
}

/// The neutral element, and the other points of order two and four that have a plain spelling.
fn small_order() -> [[u8; 32]; 3] {
    let (mut neutral, mut minus_one) = ([0; 32], [0xff; 32]);
    neutral[0] = 1;
    (minus_one[0], minus_one[31]) = (0xec, 0x7f);
    [neutral, minus_one, [0; 32]]
}

#[tokio::test(flavor = "multi_thread")]
async fn row_09_ed25519_small_order_and_malleable_s() {
    let with_ed25519 = |peer: Peer| {
        let key = SigningKey::generate(Algorithm::EdDsa).unwrap();
        let kid = peer.signer.kid().to_owned();
        peer.signing_as(Signer::new(&kid, key).unwrap())
    };
    let rig = Rig::start_as(10, |config| config, with_ed25519).await;
    let forger = Forger::of(&rig);
    // A key of small order, for which a signature fits every message, is no key: what is published with it is refused whole.
    let mut attacks = Vec::new();
    for point in small_order() {
        let mut document = forger.peer.document();
        document["verificationMethod"][0]["publicKeyJwk"]["x"] = json!(base64url::encode(&point));
        forger
            .peer
            .publish(Publication::Bytes(document.to_string().into_bytes()));
        for r in small_order() {
            let letter = forger.resigned(|_| [r, [0; 32]].concat());
            let refused = vec![Attack::new("a published key of small order", letter, 401, "no-key")];
            super::super::repel("Ed25519 keys of small order", rig.school(), &rig.consumer, refused).await;
        }
    }
    forger.peer.publish(Publication::Own);
    let mut letters = vec![
        (
            "S beyond the order".to_owned(),
            forger.resigned(|signature| malleated(&signature)),
        ),
        (
            "S the order".into(),
            forger.resigned(|signature| [&signature[..32], &L].concat()),
        ),
        (
            "S zero".into(),
            forger.resigned(|signature| [&signature[..32], &[0; 32]].concat()),
        ),
        ("all zero".into(), forger.resigned(|_| vec![0; 64])),
        ("all bits set".into(), forger.resigned(|_| vec![0xff; 64])),
        (
            "R and S exchanged".into(),
            forger.resigned(|signature| [&signature[32..], &signature[..32]].concat()),
        ),
    ];
    for r in small_order() {
        letters.push((
            "R of small order, S zero".into(),
            forger.resigned(|_| [r, [0; 32]].concat()),
        ));
        letters.push((
            "R of small order".into(),
            forger.resigned(|signature| [&r, &signature[32..]].concat()),
        ));
    }
    attacks.extend(all_refused("bad-signature", letters));
    attacks.push(Attack::new(
        "ES256 of an Ed25519 key",
        forger.with(set("alg", json!("ES256"))),
        401,
        "wrong-key",
    ));
    let twins = vec![
        ("EdDSA", forger.letter()),
        ("under the name of RFC 9864", forger.with(set("alg", json!("Ed25519")))),
    ];
    row("Ed25519 points and numbers", &rig, attacks, twins).await;
}
