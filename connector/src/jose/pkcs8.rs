//! What a PKCS#8 file claims to hold (RFC 5958), found out before the crypto library sees it: josekit's own DER reader allocates
//! whatever length a damaged file declares, and that ends the process.

use super::{base64url, key::Algorithm};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

/// `AlgorithmIdentifier` of a P-256 key (RFC 5480 §2.1.1).
const P256: &[u8] = b"\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";

/// `AlgorithmIdentifier` of an Ed25519 key (RFC 8410 §3).
const ED25519: &[u8] = b"\x30\x05\x06\x03\x2b\x65\x70";

const VERSION_0: &[u8] = b"\x02\x01\x00";
const SEQUENCE: u8 = 0x30;
const OCTET_STRING: u8 = 0x04;
const ATTRIBUTES: u8 = 0xa0;

/// A P-256 private key before its 32 bytes (RFC 5958, RFC 5915 without the optional public key).
const P256_PRIVATE: &[u8] =
    b"\x30\x41\x02\x01\x00\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x04\x27\x30\x25\x02\x01\x01\x04\x20";

/// An Ed25519 private key before its 32 bytes (RFC 8410 §7).
const ED25519_PRIVATE: &[u8] = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";

/// A P-256 public key, uncompressed, before its coordinates (RFC 5480 §2).
const P256_PUBLIC: &[u8] =
    b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00\x04";

/// An Ed25519 public key before its 32 bytes (RFC 8410 §4).
const ED25519_PUBLIC: &[u8] = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";

/// The DER inside exactly one `PRIVATE KEY` block of PEM (RFC 7468 §10); `None` for another kind of block.
pub(super) fn from_pem(pem: &[u8]) -> Option<Vec<u8>> {
    block(pem, "PRIVATE KEY")
}

fn block(pem: &[u8], label: &str) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(pem).ok()?.trim();
    let body = text
        .strip_prefix(&format!("-----BEGIN {label}-----"))?
        .strip_suffix(&format!("-----END {label}-----"))?;
    let base64: String = body.split_ascii_whitespace().collect();
    BASE64_STANDARD.decode(base64).ok()
}

/// A private value as PKCS#8.
pub(super) fn wrap(algorithm: Algorithm, private: &[u8; 32]) -> Vec<u8> {
    let before = match algorithm {
        Algorithm::Es256 => P256_PRIVATE,
        Algorithm::EdDsa => ED25519_PRIVATE,
    };
    [before, private].concat()
}

/// The JWK of the public key in exactly one `PUBLIC KEY` block of PEM (RFC 7468 §13); `None` for any other key.
pub(super) fn public_jwk(pem: &[u8]) -> Option<Value> {
    let der = block(pem, "PUBLIC KEY")?;
    if let Some(point) = der.strip_prefix(P256_PUBLIC) {
        let (x, y) = point.split_at_checked(32)?;
        return Some(json!({"kty": "EC", "crv": "P-256", "x": base64url::encode(x), "y": base64url::encode(y)}));
    }
    let x = der.strip_prefix(ED25519_PUBLIC)?;
    Some(json!({"kty": "OKP", "crv": "Ed25519", "x": base64url::encode(x)}))
}

/// Which of our algorithms the key is for; `None` when it is for another, or when an element does not fit into the file.
pub(super) fn algorithm(der: &[u8]) -> Option<Algorithm> {
    let (body, []) = element(SEQUENCE, der)? else {
        return None;
    };
    let body = body.strip_prefix(VERSION_0)?;
    let (algorithm, rest) = body
        .strip_prefix(P256)
        .map(|rest| (Algorithm::Es256, rest))
        .or_else(|| body.strip_prefix(ED25519).map(|rest| (Algorithm::EdDsa, rest)))?;
    let (key, rest) = element(OCTET_STRING, rest)?;
    if algorithm == Algorithm::Es256 && !is_p256_scalar(key) {
        return None;
    }
    let fits = rest.is_empty() || element(ATTRIBUTES, rest).is_some_and(|(_, rest)| rest.is_empty());
    fits.then_some(algorithm)
}

/// The order of P-256 (SEC 2 §2.4.2).
const P256_ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
    0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// Whether an `ECPrivateKey` (RFC 5915) holds a private value that leads to a point: josekit panics over the point at infinity.
fn is_p256_scalar(key: &[u8]) -> bool {
    let private = element(SEQUENCE, key)
        .and_then(|(body, _)| body.strip_prefix(b"\x02\x01\x01"))
        .and_then(|body| element(OCTET_STRING, body));
    private.is_some_and(|(private, _)| private.iter().any(|byte| *byte != 0) && private != P256_ORDER)
}

/// The content of the element at the front, which must have this tag, and what follows it. Lengths up to 65,535.
fn element(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = match der {
        [found, ..] if *found != tag => return None,
        [_, length @ 0..=0x7f, rest @ ..] => (usize::from(*length), rest),
        [_, 0x81, length @ 0x80..=0xff, rest @ ..] => (usize::from(*length), rest),
        [_, 0x82, high @ 1..=0xff, low, rest @ ..] => (usize::from(u16::from_be_bytes([*high, *low])), rest),
        _ => return None,
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::{
        SigningKey,
        testing::{hex, pem, rfc7515_private, rfc8037_private},
    };

    #[test]
    fn recognises_both_kinds() {
        assert_eq!(
            algorithm(&from_pem(&rfc7515_private().to_pem().unwrap()).unwrap()),
            Some(Algorithm::Es256)
        );
        assert_eq!(
            algorithm(&from_pem(&rfc8037_private().to_pem().unwrap()).unwrap()),
            Some(Algorithm::EdDsa)
        );
    }

    #[test]
    fn an_element_that_does_not_fit_is_refused() {
        let good = from_pem(&rfc8037_private().to_pem().unwrap()).unwrap();
        assert_eq!(good.len(), 48);
        for length in 0..good.len() {
            assert_eq!(algorithm(&good[..length]), None, "cut to {length}");
        }
        assert_eq!(algorithm(&[&good[..], &[0]].concat()), None, "a byte more");
        for at in [0, 1, 2, 3, 4, 5, 6, 8, 11, 12, 13] {
            let mut bad = good.clone();
            bad[at] ^= 0x40;
            assert_eq!(algorithm(&bad), None, "byte {at}");
        }
        for monstrous in ["3084ffffffff", "308800ffffffffffffff", "3080", "30820010", "308110"] {
            assert_eq!(algorithm(&hex(monstrous)), None);
        }
    }

    #[test]
    fn a_private_value_without_a_point_is_refused() {
        for nothing in [[0; 32], P256_ORDER] {
            assert_eq!(algorithm(&wrap(Algorithm::Es256, &nothing)), None);
        }
        let mut one = [0; 32];
        one[31] = 1;
        assert_eq!(algorithm(&wrap(Algorithm::Es256, &one)), Some(Algorithm::Es256));
        assert!(SigningKey::from_pem(&pem(&wrap(Algorithm::Es256, &one))).is_ok());
        assert!(SigningKey::from_pem(&pem(&wrap(Algorithm::Es256, &P256_ORDER))).is_err());
    }

    #[test]
    fn only_one_block_of_the_right_name_counts() {
        let good = String::from_utf8(pem(b"abc")).unwrap();
        assert_eq!(from_pem(good.as_bytes()).as_deref(), Some(b"abc".as_slice()));
        assert_eq!(
            from_pem(format!("\r\n{}\n", good.replace('\n', "\r\n")).as_bytes()).as_deref(),
            Some(b"abc".as_slice())
        );
        for bad in [
            format!("{good}{good}"),
            format!("x{good}"),
            good.replace("PRIVATE", "EC PRIVATE"),
            good.replace("YWJj", "YW!j"),
        ] {
            assert_eq!(from_pem(bad.as_bytes()), None, "{bad}");
        }
    }
}
