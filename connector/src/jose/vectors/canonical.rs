//! JSON Canonicalization: the published pairs, and the published sequence of doubles, of which only the hash over its lines is kept.

use crate::{
    dsp::json::parse,
    jose::{
        canonical::canonicalize,
        digest::sha256,
        testing::{self, Tally, hex},
    },
};
use serde_json::json;
use std::fmt::Write as _;

#[test]
fn pairs() {
    let Some(folder) = testing::shared("jcs") else { return };
    let mut tally = Tally::default();
    for entry in std::fs::read_dir(folder.join("input")).unwrap() {
        let name = entry.unwrap().file_name();
        let input = std::fs::read(folder.join("input").join(&name)).unwrap();
        let output = std::fs::read(folder.join("output").join(&name)).unwrap();
        assert_eq!(canonicalize(&parse(&input).unwrap()).unwrap(), output, "{name:?}");
        tally.accepted += 1;
    }
    tally.show("RFC 8785, input and output", 4);
}

/// The edges that the sequence of cyberphone/json-canonicalization begins with (Apache-2.0), as bits. Between the first four and these
/// stand [`MAGNITUDES`], first negative and then positive.
const EDGES: &str = "
    4024000000000000 4014000000000000 3fe0000000000000 3fa999999999999a 3f747ae147ae147b 3f40624dd2f1a9fc 3f0a36e2eb1c432d
    3ed4f8b588e368f1 3ea0c6f7a0b5ed8d 3e6ad7f29abcaf48 3e35798ee2308c3a 3ed539223589fa95 3ed4ff26cd5a7781 3ed4f95a762283ff
    3ed4f8c60703520c 3ed4f8b72f19cd0d 3ed4f8b5b31c0c8d 3ed4f8b58d1c461a 3ed4f8b5894f7f0e 3ed4f8b588ee37f3 3ed4f8b588e47da4
    3ed4f8b588e3849c 3ed4f8b588e36bb5 3ed4f8b588e36937 3ed4f8b588e368f8 3ed4f8b588e368f1 3ff0000000000000 bff0000000000000
    bfeffffffffffffa bfeffffffffffffb 3feffffffffffffa 3feffffffffffffb 3feffffffffffffc 3feffffffffffffe bfefffffffffffff
    bfefffffffffffff 3fefffffffffffff 3fefffffffffffff 3fd3333333333332 3fd3333333333333 3fd3333333333334 0010000000000000
    000ffffffffffffd 000fffffffffffff 7fefffffffffffff ffefffffffffffff 4340000000000000 c340000000000000 4430000000000000
    44b52d02c7e14af5 44b52d02c7e14af6 44b52d02c7e14af7 444b1ae4d6e2ef4e 444b1ae4d6e2ef4f 444b1ae4d6e2ef50 3eb0c6f7a0b5ed8c
    3eb0c6f7a0b5ed8d 41b3de4355555553 41b3de4355555554 41b3de4355555555 41b3de4355555556 41b3de4355555557 becbf647612f3696
    43143ff3c1cb0959";

/// One third of powers of ten, from 10^21 down.
const MAGNITUDES: &str = "
    446696695dbd1cc3 443211ede4974a35 43fce97ca0f21056 43c7213080c1a6ac 439280f39a348556 435d9b1f5d20d557 4327af4c4a80aaac
    42f2f2a36ecd5556 42be51057e155558 428840d131aaaaac 4253670dc1555557 421f0b4935555557 41e8d5d42aaaaaac 41b3de4355555556
    417fca0555555556 41496e6aaaaaaaab 4114585555555555 40e046aaaaaaaaab 40aa0aaaaaaaaaaa 4074d55555555555 4040aaaaaaaaaaab
    400aaaaaaaaaaaab 3fd5555555555555 3fa1111111111111 3f6b4e81b4e81b4f 3f35d867c3ece2a5 3f0179ec9cbd821e 3ecbf647612f3696
    3e965e9f80f29212 3e61e54c672874db 3e2ca213d840baf8 3df6e80fe033c8c6 3dc2533fe68fd3d2 3d8d51ffd74c861c 3d5774ccac3d3817
    3d22c3d6f030f9ac 3cee0624b3818f79 3cb804ea293472c7 3c833721ba905bd3 3c4ebe9c5db3c61e 3c18987d17c304e5 3be3ad30dfcf371d
    3baf7b816618582f 3b792f9ab81379bf 3b442615600f9499 3b101e77800c76e1 3ad9ca58cce0be35 3aa4a1e0a3e6fe90 3a708180831f320d
    3a3a68cd9e985016";

const SIGN: u64 = 1 << 63;

/// The serial values begin at the smallest normal double.
const SERIAL: std::ops::Range<u64> = 0x0010_0000_0000_0000..0x0010_0000_0000_0000 + 2000;

fn bits(list: &str) -> impl Iterator<Item = u64> {
    list.split_whitespace()
        .map(|digits| u64::from_str_radix(digits, 16).unwrap())
}

/// SHA-256 over 32 zero bytes, then over each hash again: four little-endian doubles a hash.
fn chain() -> impl Iterator<Item = u64> {
    let hashes = std::iter::successors(Some(sha256(&[0; 32])), |hash| Some(sha256(hash.as_bytes())));
    let words = |hash: crate::jose::Digest| {
        let (words, _) = hash.as_bytes().as_chunks::<8>();
        words.iter().copied().map(u64::from_le_bytes).collect::<Vec<_>>()
    };
    hashes
        .flat_map(words)
        .filter(|bits| f64::from_bits(*bits).is_finite() && f64::from_bits(*bits) != 0.0)
}

/// The sequence of doubles that anybody can make again, in the order of its lines.
fn sequence() -> impl Iterator<Item = u64> {
    [0, SIGN, 1, SIGN | 1]
        .into_iter()
        .chain(bits(MAGNITUDES).map(|bits| SIGN | bits))
        .chain(bits(MAGNITUDES))
        .chain(bits(EDGES))
        .chain(SERIAL)
        .chain(chain())
}

/// The published hashes over the first lines `bits,text` of the sequence.
#[test]
fn numbers() {
    let long = std::env::var_os("CONNECTOR_LONG").is_some();
    let published: &[(usize, &str)] = &[
        (
            1_000,
            "be18b62b6f69cdab33a7e0dae0d9cfa869fda80ddc712221570f9f40a5878687",
        ),
        (
            10_000,
            "b9f7a8e75ef22a835685a52ccba7f7d6bdc99e34b010992cbc5864cd12be6892",
        ),
        (
            100_000,
            "22776e6d4b49fa294a0d0f349268e5c28808fe7e0cb2bcbe28f63894e494d4c7",
        ),
        (
            1_000_000,
            "49415fee2c56c77864931bd3624faad425c3c577d6d74e89a83bc725506dad16",
        ),
    ];
    let published = if long { published } else { &published[..3] };
    let (mut lines, mut count) = (String::new(), 0);
    let mut sequence = sequence();
    for (length, hash) in published {
        for bits in sequence.by_ref().take(length - count) {
            let text = canonicalize(&json!(f64::from_bits(bits))).unwrap();
            writeln!(lines, "{bits:x},{}", String::from_utf8(text).unwrap()).unwrap();
            count += 1;
        }
        assert_eq!(
            sha256(lines.as_bytes()).as_bytes().as_slice(),
            hex(hash),
            "the first {length} lines"
        );
    }
    let tally = Tally {
        accepted: count,
        ..Tally::default()
    };
    tally.show("RFC 8785, numbers", if long { 1_000_000 } else { 100_000 });
}
