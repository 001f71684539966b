use proptest::prelude::*;
use serde_json::{Map, Number, Value};

use super::*;

/// The verdict on a whole document of any kind.
fn check(line: &[u8]) -> Result<(), RecordError> {
    let mut scanner = Scanner::new(line)?;
    scanner.value(0)?;
    scanner.end()
}

/// What `serde_json` says, and the one difference that any document can show.
fn expected(line: &[u8]) -> bool {
    serde_json::from_slice::<Value>(line).is_ok() && !line.iter().any(|byte| matches!(byte, b'\n' | b'\r'))
}

fn agrees(line: &[u8]) -> Result<(), TestCaseError> {
    let verdict = check(line);
    prop_assume!(verdict != Err(RecordError::TooDeep));
    prop_assert_eq!(
        verdict.is_ok(),
        expected(line),
        "{:?} for {:?}",
        verdict,
        String::from_utf8_lossy(line)
    );
    Ok(())
}

/// Any JSON value; the names are few, so that pointers meet them.
pub(in crate::plane) fn any_value() -> impl Strategy<Value = Value> {
    let number = prop_oneof![
        any::<i64>().prop_map(Number::from),
        any::<u64>().prop_map(Number::from),
        // serde_json reads some numbers one step beside what it wrote, which is not what is tested here.
        any::<f64>().prop_filter_map("a number that is read as written", |number| {
            let number = Number::from_f64(number)?;
            (serde_json::from_str::<Number>(&number.to_string()).ok()? == number).then_some(number)
        }),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        number.prop_map(Value::Number),
        any_text().prop_map(Value::String),
    ];
    leaf.prop_recursive(5, 48, 6, |inner| {
        prop_oneof![
            1 => prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            3 => prop::collection::vec((any_name(), inner), 0..6).prop_map(|members| Value::Object(Map::from_iter(members))),
        ]
    })
}

pub(in crate::plane) fn any_name() -> impl Strategy<Value = String> {
    const KNOWN: &[&str] = &[
        "a",
        "b",
        "c",
        "actor",
        "account",
        "name",
        "a/b",
        "m~n",
        "",
        "été",
        "q\"\\",
        "𝄞",
        "long-enough-for-two-words",
    ];
    prop_oneof![9 => prop::sample::select(KNOWN).prop_map(String::from), 1 => any_text()]
}

pub(in crate::plane) fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~]{0,24}",
        "\\PC{0,12}",
        prop::collection::vec(any::<char>(), 0..6).prop_map(String::from_iter)
    ]
}

/// Writes a value in one of the many ways that JSON allows; `style` is consumed endlessly.
pub(in crate::plane) fn render(value: &Value, style: &mut dyn Iterator<Item = u8>, out: &mut String) {
    let blank = |style: &mut dyn Iterator<Item = u8>, out: &mut String| {
        out.push_str(["", "", "", "", "", " ", "\t", " \t  "][usize::from(style.next().unwrap_or(0) & 7)]);
    };
    blank(style, out);
    match value {
        Value::String(text) => render_text(text, style, out),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                render(item, style, out);
            }
            blank(style, out);
            out.push(']');
        }
        Value::Object(members) => {
            out.push('{');
            for (index, (name, member)) in members.iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                blank(style, out);
                render_text(name, style, out);
                blank(style, out);
                out.push(':');
                render(member, style, out);
            }
            blank(style, out);
            out.push('}');
        }
        scalar => out.push_str(&scalar.to_string()),
    }
    blank(style, out);
}

fn render_text(text: &str, style: &mut dyn Iterator<Item = u8>, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        if style.next().is_some_and(|byte| byte % 5 == 0) {
            let upper = style.next().is_some_and(|byte| byte & 1 == 1);
            for unit in character.encode_utf16(&mut [0; 2]) {
                out.push_str(&if upper {
                    format!("\\u{unit:04X}")
                } else {
                    format!("\\u{unit:04x}")
                });
            }
        } else {
            let quoted = serde_json::to_string(&character).unwrap();
            let inner = quoted.strip_prefix('"').and_then(|quoted| quoted.strip_suffix('"'));
            out.push_str(inner.unwrap());
        }
    }
    out.push('"');
}

/// Pieces that make near-misses likely.
fn any_soup() -> impl Strategy<Value = Vec<u8>> {
    let pieces: &[&[u8]] = &[
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b"\"",
        b"\\",
        b"\"a\"",
        b"\"a\":",
        b"\"\\u00e9\"",
        b"\\u",
        b"\\ud834",
        b"\\udd1e",
        b"d83",
        b"\\n",
        b"\\x",
        b"0",
        b"-",
        b"1",
        b"12",
        b".",
        b"e",
        b"E+",
        b"-0",
        b"1e400",
        b"1e-400",
        b"0e999",
        b"1.5",
        b"true",
        b"false",
        b"null",
        b"nul",
        b" ",
        b"\t",
        b"\r",
        b"\n",
        b"\x00",
        b"\x1f",
        b"\x7f",
        b"\x0c",
        b"\xc3\xa9",
        b"\xff",
        b"\xc0\x80",
        b"\xed\xa0\x80",
        b"\xef\xbb\xbf",
        b"/",
        b"+",
        b"abcdefgh",
    ];
    prop::collection::vec(prop::sample::select(pieces), 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn random_bytes_are_judged_as_serde_json_judges_them(line in prop::collection::vec(any::<u8>(), 0..24)) {
        agrees(&line)?;
    }

    #[test]
    fn token_soup_is_judged_as_serde_json_judges_it(line in any_soup()) {
        agrees(&line)?;
        agrees(&[b"[", line.as_slice(), b"]"].concat())?;
        agrees(&[b"{\"a\":", line.as_slice(), b"}"].concat())?;
        agrees(&[b"\"", line.as_slice(), b"\""].concat())?;
    }

    #[test]
    fn numbers_are_judged_as_serde_json_judges_them(line in "-?[0-9]{0,3}(\\.[0-9]{0,3})?([eE][+-]?[0-9]{0,4})?") {
        // Within one step of the largest f64 the two may round to different sides, which three digits cannot reach.
        agrees(line.as_bytes())?;
    }

    #[test]
    fn values_are_accepted_however_they_are_written(value in any_value(), style in prop::collection::vec(any::<u8>(), 1..64)) {
        let mut text = String::new();
        render(&value, &mut style.into_iter().cycle(), &mut text);
        prop_assert_eq!(&serde_json::from_str::<Value>(&text).unwrap(), &value, "the generator writes {}", text);
        prop_assert_eq!(check(text.as_bytes()), Ok(()), "{}", text);
    }

    #[test]
    fn damaged_values_are_judged_as_serde_json_judges_them(
        value in any_value(),
        style in prop::collection::vec(any::<u8>(), 1..64),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4_u8), 1..4),
    ) {
        let mut text = String::new();
        render(&value, &mut style.into_iter().cycle(), &mut text);
        let mut line = text.into_bytes();
        for (place, byte, kind) in damage {
            if line.is_empty() {
                break;
            }
            let at = place.index(line.len());
            match kind {
                0 => line[at] = byte,
                1 => line.insert(at, byte),
                2 => drop(line.remove(at)),
                _ => line.truncate(at),
            }
        }
        agrees(&line)?;
    }

    #[test]
    fn escapes_are_undone_as_serde_json_undoes_them(text in any_text(), style in prop::collection::vec(any::<u8>(), 1..64)) {
        let mut line = String::new();
        render_text(&text, &mut style.into_iter().cycle(), &mut line);
        let mut scanner = Scanner::new(line.as_bytes()).unwrap();
        let span = scanner.string().unwrap();
        let mut unescaped = String::new();
        scanner.unescape(span, &mut unescaped).unwrap();
        prop_assert_eq!(&unescaped, &text);
        prop_assert_eq!(span.escaped, line.contains('\\'));
    }
}

#[test]
fn every_byte_at_every_place_of_a_word_is_seen() {
    for length in 0..20 {
        for at in 0..length {
            for byte in 0..=0x7F_u8 {
                let mut line = vec![b'x'; length];
                line[at] = byte;
                let special = byte < 0x20 || byte == b'"' || byte == b'\\';
                assert_eq!(
                    plain_run(&line),
                    if special { at } else { length },
                    "{byte:#x} at {at} of {length}"
                );
            }
        }
    }
    // High bytes borrow nothing and hide nothing.
    assert_eq!(plain_run("éééé\"".as_bytes()), 8);
    assert_eq!(plain_run(b"\xff\x80\xa0\xdc\xa2\x9f\xff\xff\x1f"), 8);
}

#[test]
fn depth_is_refused_exactly_above_the_limit() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let inner = if open == "[" { "" } else { "1" };
        let nested = |depth: usize| open.repeat(depth) + inner + &close.repeat(depth);
        assert_eq!(check(nested(64).as_bytes()), Ok(()));
        assert_eq!(check(nested(65).as_bytes()), Err(RecordError::TooDeep));
    }
    assert_eq!(check("[".repeat(200_000).as_bytes()), Err(RecordError::TooDeep));
    // The kinds of all sixty-four are remembered.
    let mixed = "[{\"a\":".repeat(32) + "0" + &"}]".repeat(32);
    assert_eq!(check(mixed.as_bytes()), Ok(()));
    assert_eq!(check(mixed.replace("0}]", "0]}").as_bytes()), Err(RecordError::NotJson));
    // Depth goes down again.
    assert_eq!(
        check(format!("[{0},{0}]", "[".repeat(63) + &"]".repeat(63)).as_bytes()),
        Ok(())
    );
}

#[test]
fn length_is_refused_exactly_above_the_limit() {
    let text = |length: usize| format!("\"{}\"", "x".repeat(length - 2));
    assert_eq!(check(text(MAX_RECORD).as_bytes()), Ok(()));
    assert_eq!(check(text(MAX_RECORD + 1).as_bytes()), Err(RecordError::TooLong));
}

#[test]
fn numbers_that_no_receiver_can_read_are_refused() {
    for number in ["1e309", "-1e309", "1e99999999999999999999", &"9".repeat(400)] {
        assert_eq!(check(number.as_bytes()), Err(RecordError::NotJson), "{number}");
        assert!(!expected(number.as_bytes()));
    }
    let long_but_small = format!("{}e-390", "9".repeat(400));
    for number in [
        "1e308",
        "1e-99999",
        "0e99999999999999999999",
        &"9".repeat(308),
        &long_but_small,
    ] {
        assert_eq!(check(number.as_bytes()), Ok(()), "{number}");
        assert!(expected(number.as_bytes()));
    }
}

#[test]
fn a_line_break_inside_a_record_is_refused() {
    for line in ["{\"a\":\n1}", "{\"a\":1\r}", "\n{}", "{}\r", "[1,\r2]"] {
        assert_eq!(check(line.as_bytes()), Err(RecordError::NotJson), "{line:?}");
    }
}

#[test]
fn codes_are_stable() {
    let codes = [
        (RecordError::NotJson, "not-json"),
        (RecordError::NotAnObject, "not-an-object"),
        (RecordError::TooDeep, "too-deep"),
        (RecordError::DuplicateMember, "duplicate-member"),
        (RecordError::NoSubject, "no-subject"),
        (RecordError::SubjectNotText, "subject-not-text"),
        (RecordError::TooLong, "too-long"),
    ];
    codes.iter().for_each(|(error, code)| assert_eq!(error.code(), *code));
    assert_eq!(std::mem::size_of::<RecordError>(), 1);
}
