//! Projections of records that nobody wrote, against the obvious way of making them.

use super::*;
use crate::plane::scan::tests::{any_name, any_text, any_value, render};
use proptest::prelude::*;
use serde_json::Map;

/// The same projection the obvious way: by comparing whole paths, on values.
struct Reference<'r> {
    subject: &'r [String],
    claims: &'r [(u8, Vec<String>)],
    permitted: u64,
    counts: (u32, u32),
}

impl Reference<'_> {
    fn permits(&self, path: &[String]) -> bool {
        let claims = self.claims.iter().filter(|(_, claim)| path.starts_with(claim));
        claims
            .max_by_key(|(_, claim)| claim.len())
            .is_some_and(|(category, _)| self.permitted >> category & 1 == 1)
    }

    fn leads_below(&self, path: &[String]) -> bool {
        let pointers = self
            .claims
            .iter()
            .map(|(_, claim)| claim.as_slice())
            .chain([self.subject]);
        pointers
            .into_iter()
            .any(|pointer| pointer.len() > path.len() && pointer.starts_with(path))
    }

    fn project(&mut self, path: &mut Vec<String>, value: &Value) -> Option<Value> {
        if path == self.subject {
            return Some(json!("P"));
        }
        let divided = self.leads_below(path);
        if let (true, Value::Object(members)) = (divided, value)
            && (!members.is_empty() || path.is_empty())
        {
            let mut kept = Map::new();
            for (name, member) in members {
                path.push(name.clone());
                let member = self.project(path, member);
                kept.extend(member.map(|member| (name.clone(), member)));
                path.pop();
            }
            return (!kept.is_empty() || self.permits(path)).then_some(Value::Object(kept));
        }
        let keep = self.permits(path) && !(divided && value.is_array());
        self.counts.0 += u32::from(keep);
        self.counts.1 += u32::from(!keep);
        keep.then(|| value.clone())
    }
}

fn to_pointer(path: &[String]) -> Pointer {
    let text: String = path
        .iter()
        .map(|name| format!("/{}", name.replace('~', "~0").replace('/', "~1")))
        .collect();
    text.parse().unwrap()
}

/// Puts a subject at the path, replacing what is in the way.
fn plant(value: &mut Value, path: &[String], subject: &str) {
    match path.split_first() {
        None => *value = json!(subject),
        Some((name, below)) => {
            if !value.is_object() {
                *value = json!({});
            }
            plant(
                value
                    .as_object_mut()
                    .unwrap()
                    .entry(name.clone())
                    .or_insert(Value::Null),
                below,
                subject,
            );
        }
    }
}

fn any_path() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(any_name(), 1..4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn projections_are_what_the_obvious_way_gives(
        mut value in any_value(),
        subject in any_path(),
        mut claims in prop::collection::vec((0..64_u8, any_path()), 0..8),
        permitted in any::<u64>(),
        text in any_text(),
        planted in prop::bool::weighted(0.9),
        style in prop::collection::vec(any::<u8>(), 1..64),
    ) {
        claims.sort_by(|a, b| a.1.cmp(&b.1));
        claims.dedup_by(|a, b| a.1 == b.1);
        if planted {
            plant(&mut value, &subject, &text);
        }
        let mut record = String::new();
        render(&value, &mut style.into_iter().cycle(), &mut record);
        let pointers: Vec<_> = claims.iter().map(|(number, path)| (category(*number), to_pointer(path))).collect();
        let shape = Shape::compile(&to_pointer(&subject), pointers.iter().map(|(number, at)| (*number, at))).unwrap();
        let mut scratch = Scratch::default();
        let found = shape.find(&mut scratch, record.as_bytes());

        let named = subject.iter().try_fold(&value, |value, name| value.as_object()?.get(name));
        match (value.is_object(), named) {
            (false, _) => prop_assert_eq!(found.unwrap_err(), RecordError::NotAnObject),
            (true, None) => prop_assert_eq!(found.unwrap_err(), RecordError::NoSubject),
            (true, Some(Value::String(named))) => {
                let found = found.unwrap();
                prop_assert_eq!(found.subject(), named);
                let mut reference = Reference { subject: &subject, claims: &claims, permitted, counts: (0, 0) };
                let expected = reference.project(&mut Vec::new(), &value).unwrap();
                let mut out = Vec::new();
                let done = found.project(CategorySet::from_bits(permitted), "P", &mut out);
                let projected: Value = serde_json::from_slice(&out).unwrap();
                // As texts, because maps compare without their order.
                prop_assert_eq!(projected.to_string(), expected.to_string());
                prop_assert_eq!((done.fields_kept, done.fields_removed), reference.counts);
            }
            (true, Some(_)) => prop_assert_eq!(found.unwrap_err(), RecordError::SubjectNotText),
        }
    }

    #[test]
    fn what_is_found_in_damaged_records_is_json_and_projects_to_json(
        mut value in any_value(),
        subject in any_path(),
        claim in any_path(),
        style in prop::collection::vec(any::<u8>(), 1..64),
        place in any::<prop::sample::Index>(),
        byte in prop_oneof![any::<u8>(), prop::sample::select(&b"\"\\{}[],: 0e"[..])],
    ) {
        plant(&mut value, &subject, "ana");
        let mut record = String::new();
        render(&value, &mut style.into_iter().cycle(), &mut record);
        let mut record = record.into_bytes();
        let at = place.index(record.len());
        record[at] = byte;
        let claim = to_pointer(&claim);
        let shape = Shape::compile(&to_pointer(&subject), [(category(0), &claim)]).unwrap();
        let mut scratch = Scratch::default();
        match shape.find(&mut scratch, &record) {
            Ok(found) => {
                prop_assert!(serde_json::from_slice::<Value>(&record).is_ok());
                let mut out = Vec::new();
                found.project(set(&[0]), "P", &mut out);
                prop_assert!(serde_json::from_slice::<Value>(&out).is_ok());
            }
            Err(RecordError::NotJson) => {
                let break_inside = matches!(byte, b'\n' | b'\r');
                prop_assert!(break_inside || serde_json::from_slice::<Value>(&record).is_err());
            }
            Err(_) => {}
        }
    }
}
