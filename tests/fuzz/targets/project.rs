//! Records under one shape: the scanner takes nothing that is not JSON, and a projection keeps no field that is not permitted.
#![no_main]

use connector::{
    catalog::{Category, CategorySet, Shape, shape::Pointer},
    plane::{project::Scratch, scan},
};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use std::sync::LazyLock;

static SHAPE: LazyLock<Shape> = LazyLock::new(|| {
    let pointer = |text: &str| text.parse::<Pointer>().unwrap();
    let claims = [(0, "/open"), (1, "/person"), (0, "/person/nick"), (1, "/list/0")]
        .map(|(number, text)| (Category::new(number).unwrap(), pointer(text)));
    Shape::compile(
        &pointer("/sub"),
        claims.iter().map(|(category, pointer)| (*category, pointer)),
    )
    .unwrap()
});

fuzz_target!(|bytes: &[u8]| {
    let parsed = serde_json::from_slice::<Value>(bytes);
    if scan::is_object(bytes) {
        assert!(parsed.as_ref().is_ok_and(Value::is_object));
    }
    let mut scratch = Scratch::default();
    let Ok(found) = SHAPE.find(&mut scratch, bytes) else {
        return;
    };
    let parsed = parsed.unwrap();
    assert_eq!(parsed["sub"].as_str(), Some(found.subject()));
    let mut all = None;
    for bits in 0..4 {
        let mut out = Vec::new();
        let done = found.project(CategorySet::from_bits(bits), "pseudonym", &mut out);
        let kept: Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(kept["sub"], "pseudonym");
        assert_eq!(
            *all.get_or_insert(done.fields_kept + done.fields_removed),
            done.fields_kept + done.fields_removed
        );
        assert!(
            bits & 1 == 1 || kept.get("open").is_none(),
            "a field of a category that is not permitted"
        );
        assert!(bits & 1 == 1 || kept.pointer("/person/nick").is_none());
        let others = kept
            .get("person")
            .and_then(Value::as_object)
            .map_or(0, |person| person.keys().filter(|name| *name != "nick").count());
        assert!(bits & 2 == 2 || others == 0);
        for name in kept.as_object().unwrap().keys() {
            assert!(
                ["sub", "open", "person", "list"].contains(&name.as_str()),
                "{name} is covered by no claim"
            );
        }
    }
});
