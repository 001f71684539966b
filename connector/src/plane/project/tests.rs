mod reference;

use std::collections::HashSet;
use std::io::Read;

use serde_json::{Value, json};

use super::super::scan::MAX_RECORD;
use super::*;
use crate::catalog::shape::{Category, Pointer};

fn category(number: u8) -> Category {
    Category::new(number).unwrap()
}

fn shape(subject: &str, claims: &[(u8, &str)]) -> Shape {
    let claims: Vec<(Category, Pointer)> = claims
        .iter()
        .map(|(number, pointer)| (category(*number), pointer.parse().unwrap()))
        .collect();
    Shape::compile(
        &subject.parse().unwrap(),
        claims.iter().map(|(category, pointer)| (*category, pointer)),
    )
    .unwrap()
}

fn set(numbers: &[u8]) -> CategorySet {
    numbers.iter().map(|number| category(*number)).collect()
}

/// The subject, the projection and its counts (kept, removed).
fn project(shape: &Shape, permitted: &[u8], record: &str) -> Result<(String, String, (u32, u32)), RecordError> {
    let mut scratch = Scratch::default();
    let found = shape.find(&mut scratch, record.as_bytes())?;
    let mut out = b"before".to_vec();
    let done = found.project(set(permitted), "P", &mut out);
    let out = String::from_utf8(out)
        .unwrap()
        .strip_prefix("before")
        .unwrap()
        .to_owned();
    Ok((found.subject().to_owned(), out, (done.fields_kept, done.fields_removed)))
}

fn out(shape: &Shape, permitted: &[u8], record: &str) -> String {
    project(shape, permitted, record).unwrap().1
}

fn refusal(shape: &Shape, record: &str) -> RecordError {
    project(shape, &[], record).unwrap_err()
}

/// The records of a real platform, unless the data are not here.
pub(super) fn statements() -> Option<Vec<Vec<u8>>> {
    let data = std::env::var("SHARED_DATA")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data").to_owned());
    let Ok(file) = std::fs::File::open(format!("{data}/records/statements.json.gz")) else {
        println!("skipped: ../shared/data is not here");
        return None;
    };
    let mut text = Vec::new();
    flate2::read::MultiGzDecoder::new(file).read_to_end(&mut text).unwrap();
    Some(
        text.split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(<[u8]>::to_vec)
            .collect(),
    )
}

pub(super) fn statement_shape() -> (Shape, CategorySet) {
    let claims = [
        (0, "/actor"),
        (1, "/verb"),
        (1, "/object"),
        (1, "/timestamp"),
        (2, "/result"),
        (3, "/context"),
        (1, "/id"),
    ];
    (shape("/actor/account/name", &claims), set(&[0, 1, 2]))
}

#[test]
fn only_permitted_fields_are_kept_in_source_order() {
    let shape = shape("/sub", &[(0, "/name"), (1, "/score"), (1, "/at")]);
    let record = r#"{"score":1.50,"sub":"ana","name":"Ana","secret":1,"at":[1, 2]}"#;
    let (subject, out, counts) = project(&shape, &[1], record).unwrap();
    assert_eq!((subject.as_str(), counts), ("ana", (2, 2)));
    assert_eq!(out, r#"{"score":1.50,"sub":"P","at":[1, 2]}"#);
    assert_eq!(project(&shape, &[], record).unwrap().1, r#"{"sub":"P"}"#);
    assert_eq!(project(&shape, &[0, 1], record).unwrap().2, (3, 1));
}

#[test]
fn the_subject_becomes_the_pseudonym_inside_what_is_kept() {
    let shape = shape("/actor/account/name", &[(0, "/actor")]);
    let record = r#"{"actor":{"type":"Agent","account":{"home":"h","name":"ana"}},"x":1}"#;
    assert_eq!(
        out(&shape, &[0], record),
        r#"{"actor":{"type":"Agent","account":{"home":"h","name":"P"}}}"#
    );
    assert_eq!(out(&shape, &[], record), r#"{"actor":{"account":{"name":"P"}}}"#);
}

#[test]
fn a_claim_on_the_subject_itself_changes_nothing() {
    let shape = shape("/sub", &[(0, "/sub"), (1, "/sub/deeper")]);
    for permitted in [&[][..], &[0], &[0, 1]] {
        assert_eq!(
            project(&shape, permitted, r#"{"sub":"ana"}"#).unwrap().1,
            r#"{"sub":"P"}"#
        );
    }
    assert_eq!(refusal(&shape, r#"{"sub":{"deeper":1}}"#), RecordError::SubjectNotText);
}

#[test]
fn the_most_specific_claim_decides() {
    let shape = shape("/sub", &[(0, "/r"), (1, "/r/score"), (0, "/r/score/raw")]);
    let record = r#"{"sub":"ana","r":{"ok":true,"score":{"raw":1,"max":2}}}"#;
    assert_eq!(
        out(&shape, &[0], record),
        r#"{"sub":"P","r":{"ok":true,"score":{"raw":1}}}"#
    );
    assert_eq!(out(&shape, &[1], record), r#"{"sub":"P","r":{"score":{"max":2}}}"#);
    assert_eq!(project(&shape, &[1], record).unwrap().2, (1, 2));
}

#[test]
fn an_object_that_becomes_empty_is_kept_only_by_its_own_category() {
    let shape = shape("/sub", &[(0, "/r"), (1, "/r/score"), (1, "/s/deep/er")]);
    let record = r#"{"r":{"score":1},"s":{"deep":{"er":2}},"sub":"ana"}"#;
    assert_eq!(out(&shape, &[0], record), r#"{"r":{},"sub":"P"}"#);
    assert_eq!(
        out(&shape, &[1], record),
        r#"{"r":{"score":1},"s":{"deep":{"er":2}},"sub":"P"}"#
    );
    assert_eq!(out(&shape, &[], record), r#"{"sub":"P"}"#);
    // Empty from the start: a field like another.
    assert_eq!(
        project(&shape, &[1], r#"{"r":{},"sub":"ana"}"#).unwrap().1,
        r#"{"sub":"P"}"#
    );
    assert_eq!(
        project(&shape, &[0], r#"{"r":{ },"sub":"ana"}"#).unwrap().1,
        r#"{"r":{ },"sub":"P"}"#
    );
    assert_eq!(project(&shape, &[0], r#"{"r":{},"sub":"ana"}"#).unwrap().2, (1, 0));
}

#[test]
fn an_array_cannot_smuggle_a_field_past_its_own_category() {
    let shape = shape("/sub", &[(0, "/r"), (1, "/r/score")]);
    let record = r#"{"sub":"ana","r":[{"score":1}]}"#;
    assert_eq!(project(&shape, &[0], record).unwrap().1, r#"{"sub":"P"}"#);
    assert_eq!(project(&shape, &[0], record).unwrap().2, (0, 1));
    assert_eq!(
        project(&shape, &[0], r#"{"sub":"ana","r":"text"}"#).unwrap().1,
        r#"{"sub":"P","r":"text"}"#
    );
}

#[test]
fn records_that_do_not_name_one_learner_are_refused() {
    let shape = shape("/actor/account/name", &[(0, "/actor")]);
    for record in [
        "{}",
        r#"{"actor":{}}"#,
        r#"{"actor":{"account":{}}}"#,
        r#"{"actor":"x"}"#,
        r#"{"actor":[{"account":{"name":"x"}}]}"#,
    ] {
        assert_eq!(refusal(&shape, record), RecordError::NoSubject, "{record}");
    }
    for subject in ["null", "1", "true", "[\"ana\"]", "{}"] {
        let record = format!(r#"{{"actor":{{"account":{{"name":{subject}}}}}}}"#);
        assert_eq!(refusal(&shape, &record), RecordError::SubjectNotText, "{record}");
    }
    for record in ["[]", "null", "\"x\"", r#"[{"actor":{"account":{"name":"x"}}}]"#] {
        assert_eq!(refusal(&shape, record), RecordError::NotAnObject, "{record}");
    }
}

#[test]
fn what_follows_the_subject_is_checked_as_well() {
    let shape = shape("/sub", &[]);
    for record in [
        r#"{"sub":"ana"} {}"#,
        r#"{"sub":"ana""#,
        r#"{"sub":"ana",}"#,
        r#"{"sub":"ana","x":nul}"#,
        r#"{"sub":"ana"}}"#,
        "[1,",
        "",
    ] {
        assert_eq!(refusal(&shape, record), RecordError::NotJson, "{record}");
    }
    let broken = [br#"{"sub":"ana","x":""#.as_slice(), b"\xff\"}"].concat();
    assert_eq!(
        shape.find(&mut Scratch::default(), &broken).unwrap_err(),
        RecordError::NotJson
    );
    let long = format!(r#"{{"sub":"ana","x":"{}"}}"#, "x".repeat(MAX_RECORD));
    assert_eq!(refusal(&shape, &long), RecordError::TooLong);
}

#[test]
fn a_second_subject_is_refused_however_it_is_written() {
    let shape = shape("/actor/account/name", &[(0, "/actor")]);
    for record in [
        r#"{"actor":{"account":{"name":"ana","name":"bob"}}}"#,
        r#"{"actor":{"account":{"name":"ana","n\u0061me":"bob"}}}"#,
        r#"{"actor":{"account":{"\u006eame":"ana","n\u0061me":"bob"}}}"#,
        r#"{"actor":{"account":{"name":"ana"},"account":{"name":"bob"}}}"#,
        r#"{"actor":{"account":{"name":"ana"}},"actor":{"account":{"name":"ana"}}}"#,
        r#"{"actor":{"account":{"name":"ana"}},"\u0061ctor":null}"#,
        r#"{"x":1,"actor":{"account":{"name":"ana"}},"x":2}"#,
    ] {
        assert_eq!(refusal(&shape, record), RecordError::DuplicateMember, "{record}");
    }
    // An object that no pointer enters is its producer's affair.
    assert!(
        project(
            &shape,
            &[0],
            r#"{"actor":{"account":{"name":"ana"}},"x":{"y":1,"y":2}}"#
        )
        .is_ok()
    );
}

#[test]
fn names_match_after_their_escapes_are_undone() {
    let shape = shape("/actor/m~0n", &[(0, "/a~1b"), (1, "/été")]);
    let record = r#"{"\u0061ctor":{"m~\u006e":"\u00e9\ud834\udd1e"},"a\/b":1,"\u00e9t\u00E9":2}"#;
    let (subject, out, counts) = project(&shape, &[0], record).unwrap();
    assert_eq!((subject.as_str(), counts), ("é𝄞", (1, 1)));
    assert_eq!(out, r#"{"\u0061ctor":{"m~\u006e":"P"},"a\/b":1}"#);
}

#[test]
fn a_nested_or_quoted_namesake_is_not_the_subject() {
    let shape = shape("/sub", &[(0, "/x")]);
    let record = r#"{"x":{"sub":"eve","y":"\"sub\":\"eve\""},"z":[{"sub":"eve"}],"sub":"ana"}"#;
    assert_eq!(project(&shape, &[], record).unwrap().0, "ana");
    assert_eq!(refusal(&shape, r#"{"x":{"sub":"eve"}}"#), RecordError::NoSubject);
}

#[test]
fn duplicates_are_found_among_many_names_without_quadratic_time() {
    let shape = shape("/sub", &[(0, "/x")]);
    let record = |extra: &str| {
        // Equal lengths and equal ends: every fingerprint collides.
        let names: Vec<_> = (0..6_000)
            .map(|number| format!("\"01234567-{number:05}-01234567\":0"))
            .collect();
        format!(r#"{{"sub":"ana",{}{extra}}}"#, names.join(","))
    };
    assert_eq!(project(&shape, &[], &record("")).unwrap().2, (0, 6_000));
    assert_eq!(
        refusal(&shape, &record(r#","01234567-03000-01234567":1"#)),
        RecordError::DuplicateMember
    );
    assert_eq!(
        refusal(&shape, &record(r#","01234567-0300\u0030-01234567":1"#)),
        RecordError::DuplicateMember
    );
    assert_eq!(
        refusal(&shape, &record(r#","sub":"bob""#)),
        RecordError::DuplicateMember
    );
}

#[test]
fn duplicates_are_found_on_both_sides_of_the_sorting_threshold() {
    let shape = shape("/sub", &[]);
    for members in 1..2 * FEW_NAMES + 2 {
        for twin in 0..members {
            let names: Vec<_> = (0..members).map(|number| format!("\"n{number}\":0")).collect();
            let names = names.join(",");
            assert!(project(&shape, &[], &format!(r#"{{{names},"sub":"ana"}}"#)).is_ok());
            assert_eq!(
                refusal(&shape, &format!(r#"{{"sub":"ana",{names},"n{twin}":0}}"#)),
                RecordError::DuplicateMember
            );
        }
    }
}

#[test]
fn objects_on_the_way_count_towards_the_depth() {
    let path = "/a".repeat(64);
    let shape = shape(&path, &[(0, "/b")]);
    let nested = |depth: usize, inner: &str| "{\"a\":".repeat(depth) + inner + &"}".repeat(depth);
    assert_eq!(project(&shape, &[], &nested(64, "\"ana\"")).unwrap().0, "ana");
    assert_eq!(refusal(&shape, &nested(65, "\"ana\"")), RecordError::SubjectNotText);
    assert_eq!(refusal(&shape, &nested(63, "{\"b\":[]}")), RecordError::TooDeep);
    assert_eq!(refusal(&shape, &nested(62, "{\"b\":[]}")), RecordError::NoSubject);
}

#[test]
fn the_pseudonym_is_escaped() {
    let shape = shape("/sub", &[]);
    let mut scratch = Scratch::default();
    let found = shape.find(&mut scratch, br#"{"sub":"ana"}"#).unwrap();
    let pseudonym: String = (0..0x80_u8).map(char::from).chain("é𝄞\u{2028}".chars()).collect();
    let mut out = Vec::new();
    found.project(CategorySet::EMPTY, &pseudonym, &mut out);
    assert_eq!(
        serde_json::from_slice::<Value>(&out).unwrap(),
        json!({ "sub": pseudonym })
    );
    assert!(!out.contains(&b'\n'));
}

#[test]
fn nothing_of_an_earlier_record_stays_in_the_scratch() {
    let shape = shape("/sub", &[(0, "/x")]);
    let mut scratch = Scratch::default();
    assert!(
        shape
            .find(&mut scratch, br#"{"\u0073ub":"\u0061na","x":1,"y":"#)
            .is_err()
    );
    assert_eq!(shape.find(&mut scratch, b"{}").unwrap_err(), RecordError::NoSubject);
    let found = shape.find(&mut scratch, br#"{"x":2,"s\u0075b":"b\u006fb"}"#).unwrap();
    let mut out = Vec::new();
    found.project(set(&[0]), "P", &mut out);
    assert_eq!(
        (found.subject(), out.as_slice()),
        ("bob", br#"{"x":2,"s\u0075b":"P"}"#.as_slice())
    );
}

#[test]
fn buffers_stop_growing_after_the_first_record() {
    let shape = shape("/a/sub", &[(0, "/x"), (1, "/a/y")]);
    let record = br#"{"x":1,"\u0061":{"sub":"\u0061na","y":[{}],"\u007a":2},"w":3}"#;
    let mut scratch = Scratch::default();
    let mut out = Vec::with_capacity(record.len() + 8);
    let mut capacities = HashSet::new();
    for _ in 0..100 {
        out.clear();
        shape
            .find(&mut scratch, record)
            .unwrap()
            .project(set(&[0, 1]), "P", &mut out);
        let Scratch {
            steps,
            names,
            unescaped,
            subject,
        } = &scratch;
        capacities.insert([
            steps.capacity(),
            names.capacity(),
            unescaped.capacity(),
            subject.capacity(),
            out.capacity(),
        ]);
    }
    assert_eq!(capacities.len(), 1);
}

#[test]
fn every_record_of_a_real_platform_names_its_learner() {
    let Some(records) = statements() else { return };
    let (shape, permitted) = statement_shape();
    let (mut scratch, mut out) = (Scratch::default(), Vec::new());
    let mut subjects = HashSet::new();
    for record in &records {
        out.clear();
        let found = shape.find(&mut scratch, record).unwrap();
        let done = found.project(permitted, "P", &mut out);
        let mut expected: Value = serde_json::from_slice(record).unwrap();
        expected.as_object_mut().unwrap().shift_remove("context");
        let name = expected.pointer_mut("/actor/account/name").unwrap();
        assert_eq!(name.as_str(), Some(found.subject()));
        *name = json!("P");
        assert_eq!(serde_json::from_slice::<Value>(&out).unwrap(), expected);
        assert_eq!(done.fields_removed, 1);
        subjects.insert(found.subject().to_owned());
    }
    assert_eq!((records.len(), subjects.len()), (22_000, 1_452));
}
