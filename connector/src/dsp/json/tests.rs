use super::*;
use proptest::prelude::*;
use serde_json::json;

fn text(bytes: &str) -> Result<Value, JsonError> {
    parse(bytes.as_bytes())
}

#[test]
fn reads_every_kind_of_value() {
    let read = text(r#" {"a":[null,true,false,-1,18446744073709551615,1.5,"é\n"],"b":{}} "#).unwrap();
    assert_eq!(
        read,
        json!({"a": [null, true, false, -1, u64::MAX, 1.5, "é\n"], "b": {}})
    );
}

#[test]
fn refuses_a_name_twice_at_any_level_and_after_unescaping() {
    assert_eq!(text(r#"{"a":1,"a":1}"#), Err(JsonError::DuplicateKey("a".into())));
    assert_eq!(
        text(r#"{"x":[{"y":{"a":1,"b":2,"a":3}}]}"#),
        Err(JsonError::DuplicateKey("a".into()))
    );
    assert_eq!(
        text("{\"a\":1,\"\\u0061\":2}"),
        Err(JsonError::DuplicateKey("a".into()))
    );
    assert!(text(r#"[{"a":1},{"a":1}]"#).is_ok());
}

#[test]
fn a_long_duplicate_name_is_shortened_in_the_error() {
    let name = "n".repeat(5000);
    let Err(JsonError::DuplicateKey(shown)) = text(&format!(r#"{{"{name}":1,"{name}":2}}"#)) else {
        panic!()
    };
    assert_eq!(shown.len(), NAME_SHOWN);
}

#[test]
fn depth_is_bounded_exactly() {
    let nested = |open: &str, close: &str, n: usize| format!("{}1{}", open.repeat(n), close.repeat(n));
    assert!(text(&nested("[", "]", MAX_DEPTH)).is_ok());
    assert_eq!(text(&nested("[", "]", MAX_DEPTH + 1)), Err(JsonError::TooDeep));
    assert!(text(&nested("{\"a\":", "}", MAX_DEPTH)).is_ok());
    assert_eq!(text(&nested("{\"a\":", "}", MAX_DEPTH + 1)), Err(JsonError::TooDeep));
    assert_eq!(text("1").map_err(|_| ()), Ok(json!(1)));
    assert_eq!(
        parse_within(b"[]", Limits { bytes: 2, depth: 0 }),
        Err(JsonError::TooDeep)
    );
}

#[test]
fn the_deepest_policy_is_read_wherever_it_stands_and_a_deeper_one_is_named_by_its_place() {
    let conditions = |connectives: usize| {
        let value = json!([{"@value": "P1M", "@type": "xsd:duration"}]);
        let leaf = json!({"leftOperand": "elapsedTime", "operator": "lteq", "rightOperand": value});
        json!([(0..connectives).fold(leaf, |inner, _| json!({"and": [inner]}))])
    };
    let consequence = json!([{"action": "inform", "constraint": conditions(policy::MAX_DEPTH - 1)}]);
    let duty = json!([{"action": "delete", "consequence": consequence}]);
    let offer = json!({"@id": "urn:offer:1", "permission": [{"action": "use", "duty": duty}]});
    let catalog = json!({"catalog": [{"dataset": [{"hasPolicy": [offer]}]}]});
    let read = text(&catalog.to_string()).unwrap();
    assert!(policy::Policy::parse(&read["catalog"][0]["dataset"][0]["hasPolicy"][0]).is_ok());

    let rule = json!({"action": "use", "constraint": conditions(policy::MAX_DEPTH)});
    let deeper = json!({"@id": "urn:offer:1", "permission": [rule]});
    let malformed = policy::Policy::parse(&text(&deeper.to_string()).unwrap()).unwrap_err();
    assert!(malformed.pointer.ends_with("/and/0"), "{malformed}");
}

#[test]
fn ten_thousand_levels_do_not_exhaust_the_stack() {
    assert_eq!(text(&"[".repeat(10_000)), Err(JsonError::TooDeep));
    assert_eq!(text(&"{\"a\":".repeat(10_000)), Err(JsonError::TooDeep));
    let careless = Limits {
        bytes: usize::MAX,
        depth: usize::MAX,
    };
    assert!(matches!(
        parse_within("[".repeat(10_000).as_bytes(), careless),
        Err(JsonError::Syntax { .. })
    ));
}

#[test]
fn size_is_bounded_exactly() {
    let limits = Limits { bytes: 4, depth: 1 };
    assert!(parse_within(b"1234", limits).is_ok());
    assert_eq!(
        parse_within(b"12345", limits),
        Err(JsonError::TooLarge { limit: 4, actual: 5 })
    );
}

#[test]
fn refuses_bytes_that_are_not_utf8() {
    assert_eq!(parse(b"\"\xff\""), Err(JsonError::NotUtf8));
    assert_eq!(
        parse(b"\"\xed\xa0\x80\""),
        Err(JsonError::NotUtf8),
        "a surrogate in UTF-8"
    );
}

#[test]
fn a_byte_order_mark_is_named() {
    for marked in ["\u{feff}{}", "\u{feff}", "\u{feff}\u{feff}[]"] {
        assert_eq!(text(marked), Err(JsonError::ByteOrderMark));
    }
    assert!(matches!(text(" \u{feff}{}"), Err(JsonError::Syntax { .. })));
    assert_eq!(text("\"\u{feff}\"").unwrap(), "\u{feff}");
}

#[test]
fn refuses_what_is_not_json() {
    for bad in [
        "",
        " ",
        "{",
        "[1,]",
        "{\"a\":1,}",
        "{a:1}",
        "01",
        "+1",
        ".5",
        "1.",
        "NaN",
        "Infinity",
        "1e999",
        "'a'",
        "\"\t\"",
        "\"\\x\"",
        "\"\\ud800\"",
        "\"\\udc00\"",
        "tru",
        "[] []",
        "1 x",
        "{}\u{0}",
        "// c\n1",
        "{\"a\"}",
        "{1:2}",
        "nul",
    ] {
        assert!(matches!(text(bad), Err(JsonError::Syntax { .. })), "{bad:?}");
    }
}

#[test]
fn names_the_place_of_the_fault() {
    assert_eq!(text("{\n \"a\": x}"), Err(JsonError::Syntax { line: 2, column: 7 }));
}

#[test]
fn the_raw_value_marker_of_serde_json_is_an_ordinary_name() {
    let marker = "$serde_json::private::RawValue";
    let read = text(&format!(r#"{{"{marker}":"[1,2]"}}"#)).unwrap();
    assert_eq!(read.get(marker), Some(&json!("[1,2]")));
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 64, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::hash_map(any::<String>(), inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_serde_json_writes_is_read_back(value in any_value()) {
        prop_assert_eq!(parse(value.to_string().as_bytes()), Ok(value));
    }

    #[test]
    fn agrees_with_serde_json_on_any_text(text in r#"[\[\]{}:,"\\ua0-9eE+. -]{0,24}"#) {
        let theirs = serde_json::from_str::<Value>(&text);
        match parse(text.as_bytes()) {
            Ok(ours) => prop_assert_eq!(ours, theirs.unwrap()),
            Err(JsonError::DuplicateKey(_)) => {}
            Err(_) => prop_assert!(theirs.is_err()),
        }
    }

    #[test]
    fn never_panics_on_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
        let _ = parse(&bytes);
    }
}
