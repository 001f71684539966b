use super::*;
use crate::{
    dsp::json::parse,
    jose::{digest::sha256, testing},
};
use proptest::prelude::*;
use serde_json::json;

fn canonical(text: &str) -> String {
    String::from_utf8(canonicalize(&parse(text.as_bytes()).unwrap()).unwrap()).unwrap()
}

fn double(value: f64) -> String {
    let mut out = String::new();
    put_double(&Number::from_f64(value).unwrap(), &mut out);
    out
}

/// RFC 8785 app. B.
#[test]
fn numbers_of_the_standard() {
    for (bits, expected) in [
        (0x0000_0000_0000_0000, "0"),
        (0x8000_0000_0000_0000, "0"),
        (0x0000_0000_0000_0001, "5e-324"),
        (0x8000_0000_0000_0001, "-5e-324"),
        (0x7fef_ffff_ffff_ffff, "1.7976931348623157e+308"),
        (0xffef_ffff_ffff_ffff, "-1.7976931348623157e+308"),
        (0x4340_0000_0000_0000, "9007199254740992"),
        (0xc340_0000_0000_0000, "-9007199254740992"),
        (0x4430_0000_0000_0000, "295147905179352830000"),
        (0x44b5_2d02_c7e1_4af5, "9.999999999999997e+22"),
        (0x44b5_2d02_c7e1_4af6, "1e+23"),
        (0x44b5_2d02_c7e1_4af7, "1.0000000000000001e+23"),
        (0x444b_1ae4_d6e2_ef4e, "999999999999999700000"),
        (0x444b_1ae4_d6e2_ef4f, "999999999999999900000"),
        (0x444b_1ae4_d6e2_ef50, "1e+21"),
        (0x3eb0_c6f7_a0b5_ed8c, "9.999999999999997e-7"),
        (0x3eb0_c6f7_a0b5_ed8d, "0.000001"),
        (0x41b3_de43_5555_5553, "333333333.3333332"),
        (0x41b3_de43_5555_5554, "333333333.33333325"),
        (0x41b3_de43_5555_5555, "333333333.3333333"),
        (0x41b3_de43_5555_5556, "333333333.3333334"),
        (0x41b3_de43_5555_5557, "333333333.33333343"),
        (0xbecb_f647_612f_3696, "-0.0000033333333333333333"),
        (0x4314_3ff3_c1cb_0959, "1424953923781206.2"),
    ] {
        assert_eq!(double(f64::from_bits(bits)), expected, "{bits:016x}");
    }
}

/// 82,000 doubles: random bit patterns, everyday magnitudes, the edge of the subnormals. The expected hash is of the lines that V8's
/// `JSON.stringify` writes, the reference that RFC 8785 app. B names.
#[test]
fn numbers_as_v8_writes_them() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    };
    let mut patterns: Vec<u64> = (0..40_000).map(|_| next()).collect();
    patterns.extend((0..40_000).map(|_| {
        let bits = next();
        (bits & 0x800f_ffff_ffff_ffff) | ((0x3ff - 40 + ((bits >> 52) & 0x7f)) << 52)
    }));
    patterns.extend((0..2_000).map(|serial| 0x0010_0000_0000_0000 - 1000 + serial));
    let finite = patterns
        .into_iter()
        .map(f64::from_bits)
        .filter(|value| value.is_finite());
    let lines: String = finite.map(|value| double(value) + "\n").collect();
    let expected = testing::hex("08159318586cb842b36c11916077a8ed569c68ecb25b33a239ee05c1ce9653a0");
    assert_eq!(sha256(lines.as_bytes()).as_bytes().as_slice(), expected);
}

/// RFC 8785 §3.2.3.
#[test]
fn names_are_sorted_by_utf16_code_units() {
    let text = r#"{"\u20ac":"Euro Sign","\r":"Carriage Return","\ufb33":"Hebrew Letter Dalet With Dagesh","1":"One",
        "\ud83d\ude00":"Emoji: Grinning Face","\u0080":"Control","\u00f6":"Latin Small Letter O With Diaeresis"}"#;
    let expected = "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\u{80}\":\"Control\",\"ö\":\"Latin Small Letter O With Diaeresis\",\
        \"€\":\"Euro Sign\",\"😀\":\"Emoji: Grinning Face\",\"\u{fb33}\":\"Hebrew Letter Dalet With Dagesh\"}";
    assert_eq!(canonical(text), expected);
}

/// RFC 8785 §3.2.2, output of §3.2.3.
#[test]
fn the_example_of_the_standard() {
    let text = r#"{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],
        "string":"\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/","literals":[null,true,false]}"#;
    let expected = r#"{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}"#;
    assert_eq!(canonical(text), expected);
}

#[test]
fn every_control_character_has_its_one_escape() {
    let controls: String = (0..0x20u8).map(char::from).chain(['\u{7f}']).collect();
    let expected = concat!(
        r#""\u0000\u0001\u0002\u0003\u0004\u0005\u0006\u0007\b\t\n\u000b\f\r\u000e\u000f"#,
        r#"\u0010\u0011\u0012\u0013\u0014\u0015\u0016\u0017\u0018\u0019\u001a\u001b\u001c\u001d\u001e\u001f"#,
        "\u{7f}\""
    );
    assert_eq!(
        String::from_utf8(canonicalize(&json!(controls)).unwrap()).unwrap(),
        expected
    );
}

#[test]
fn integers_that_a_double_cannot_hold_are_refused() {
    assert_eq!(
        canonical("[9007199254740991,-9007199254740991,0]"),
        "[9007199254740991,-9007199254740991,0]"
    );
    for bad in ["9007199254740992", "-9007199254740992", "18446744073709551615"] {
        assert_eq!(
            canonicalize(&parse(bad.as_bytes()).unwrap()),
            Err(CanonicalError::UnsafeInteger),
            "{bad}"
        );
    }
}

#[test]
fn what_is_signed_has_no_fractions() {
    assert_eq!(signable(&json!({"b": 1, "a": [-2]})).unwrap(), br#"{"a":[-2],"b":1}"#);
    for bad in ["1.5", "1e3", "[[{\"a\":56.0}]]", "-0"] {
        assert_eq!(
            signable(&parse(bad.as_bytes()).unwrap()),
            Err(CanonicalError::Fraction),
            "{bad}"
        );
    }
}

proptest! {
    #[test]
    fn order_and_spacing_of_the_input_do_not_matter(members in proptest::collection::hash_map(any::<String>(), any::<i32>(), 0..8)) {
        let forward: Value = Value::Object(members.iter().map(|(k, v)| (k.clone(), json!(v))).collect());
        let mut listed: Vec<_> = members.iter().collect();
        listed.reverse();
        let backward: Value = Value::Object(listed.into_iter().map(|(k, v)| (k.clone(), json!(v))).collect());
        let bytes = canonicalize(&forward).unwrap();
        prop_assert_eq!(&bytes, &canonicalize(&backward).unwrap());
        prop_assert_eq!(parse(&bytes).unwrap(), forward, "and it is still the same value");
    }

    #[test]
    fn a_double_is_read_back_as_itself(bits in any::<u64>()) {
        let value = f64::from_bits(bits);
        prop_assume!(value.is_finite());
        prop_assert_eq!(double(value).parse::<f64>().unwrap(), value);
    }
}
