//! What a PKCS#8 file claims to hold (RFC 5958), found out before the crypto library sees it: josekit's own DER reader allocates
//! whatever length a damaged file declares, and that ends the process.

use super::key::Algorithm;
use base64::{Engine, prelude::BASE64_STANDARD};

/// `AlgorithmIdentifier` of a P-256 key (RFC 5480 §2.1.1).
const P256: &[u8] = b"\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";

/// `AlgorithmIdentifier` of an Ed25519 key (RFC 8410 §3).
const ED25519: &[u8] = b"\x30\x05\x06\x03\x2b\x65\x70";

const VERSION_0: &[u8] = b"\x02\x01\x00";
const SEQUENCE: u8 = 0x30;
const OCTET_STRING: u8 = 0x04;
const ATTRIBUTES: u8 = 0xa0;

/// The DER inside exactly one `PRIVATE KEY` block of PEM (RFC 7468 §10); `None` for another kind of block.
pub(super) fn from_pem(pem: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(pem).ok()?.trim();
    let body = text
        .strip_prefix("-----BEGIN PRIVATE KEY-----")?
        .strip_suffix("-----END PRIVATE KEY-----")?;
    let base64: String = body.split_ascii_whitespace().collect();
    BASE64_STANDARD.decode(base64).ok()
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
    let (_, rest) = element(OCTET_STRING, rest)?;
    let fits = rest.is_empty() || element(ATTRIBUTES, rest).is_some_and(|(_, rest)| rest.is_empty());
    fits.then_some(algorithm)
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
    use crate::jose::testing::{hex, pem, rfc7515_private, rfc8037_private};

    #[test]
    fn recognises_both_kinds() {
        assert_eq!(
            algorithm(&from_pem(&rfc7515_private().to_pem()).unwrap()),
            Some(Algorithm::Es256)
        );
        assert_eq!(
            algorithm(&from_pem(&rfc8037_private().to_pem()).unwrap()),
            Some(Algorithm::EdDsa)
        );
    }

    #[test]
    fn an_element_that_does_not_fit_is_refused() {
        let good = from_pem(&rfc8037_private().to_pem()).unwrap();
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
