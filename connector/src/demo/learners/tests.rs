use super::*;
use crate::demo::terms::{CATEGORIES, SUBJECT};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap, HashSet};

const HOLDERS: [Holder; 2] = [Holder::Lycee, Holder::FranceTravail];
const SEED: u64 = 7;

fn lines(generator: Generator, count: u64) -> Vec<u8> {
    let mut out = Vec::new();
    (0..count).for_each(|k| generator.record(k, &mut out));
    out
}

fn records(generator: Generator, count: u64) -> Vec<Value> {
    let bytes = lines(generator, count);
    let text = std::str::from_utf8(&bytes).expect("UTF-8");
    assert!(text.ends_with('\n'));
    text.lines()
        .map(|line| serde_json::from_str(line).expect("one JSON object a line"))
        .collect()
}

fn sha256(bytes: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whoever changes the generator on purpose changes these two values with it: figures measured before are then not comparable.
#[test]
fn the_first_records_are_the_same_everywhere_and_for_ever() {
    assert_eq!(
        sha256(&lines(Generator::new(SEED, Holder::Lycee), 1_000)),
        "f63f85129dbaa6fb8cdc60b9ff83586126dbc1d67f659be9546ccd442deacf11"
    );
    assert_eq!(
        sha256(&lines(Generator::new(SEED, Holder::FranceTravail), 1_000)),
        "b23d0652094a12f7e04a46ddc29ddf0aa53e99ae7e7ae7fe2f8c16096e98fa12"
    );
}

#[test]
fn the_seed_and_the_holder_change_every_record() {
    let base: HashSet<_> = records(Generator::new(SEED, Holder::Lycee), 300)
        .iter()
        .map(Value::to_string)
        .collect();
    for other in [
        Generator::new(SEED + 1, Holder::Lycee),
        Generator::new(SEED, Holder::FranceTravail),
    ] {
        assert!(
            records(other, 300)
                .iter()
                .all(|record| !base.contains(&record.to_string()))
        );
    }
}

#[test]
fn any_record_can_be_made_alone() {
    let generator = Generator::new(SEED, Holder::FranceTravail).spread(35);
    let (all, mut alone) = (lines(generator, 400), Vec::new());
    generator.record(399, &mut alone);
    assert!(all.ends_with(&alone));
}

#[test]
fn a_line_is_about_a_kibibyte() {
    for holder in HOLDERS {
        let bytes = lines(Generator::new(SEED, holder), 3_000);
        let lengths: Vec<_> = bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::len).collect();
        let mean = lengths.iter().sum::<usize>() / lengths.len();
        assert!((820..=1_126).contains(&mean), "{holder:?}: mean {mean}");
        assert!(
            lengths.iter().all(|length| (640..1_400).contains(length)),
            "{holder:?}: {:?}",
            lengths.iter().max()
        );
    }
}

/// Required members and enumerations of the SkillRecord.
#[test]
fn every_record_is_a_complete_skill_record() {
    for holder in HOLDERS {
        for record in records(Generator::new(SEED, holder), 2_000) {
            let text = |pointer: &str| {
                record
                    .pointer(pointer)
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .to_owned()
            };
            assert_eq!(
                (&record["v"], &record["category"]),
                (&Value::from(1), &Value::from("skills"))
            );
            assert!(record["rev"].as_u64().is_some_and(|rev| rev >= 1));
            assert!(text("/id").parse::<uuid::Uuid>().is_ok() && text("/id").starts_with("urn:uuid:"));
            let kinds = [
                "achievement",
                "assessment",
                "activity",
                "experience",
                "self-declared",
                "qualification",
            ];
            assert!(kinds.contains(&text("/kind").as_str()), "{record}");
            assert!(
                ["certified", "assessed", "attested", "self"].contains(&text("/assurance").as_str()),
                "{record}"
            );
            for pointer in [
                "/sub",
                "/title/fr",
                "/title/en",
                "/issuer/did",
                "/issuer/name",
                "/src/format",
                "/src/id",
            ] {
                assert!(text(pointer).len() > 2, "{pointer} of {record}");
            }
            assert_eq!((text("/awarded").len(), text("/src/sha256").len()), (10, 64));
            assert_eq!(
                record["result"].is_object(),
                ["assessed", "certified"].contains(&text("/assurance").as_str())
            );
            assert!(
                text("/assurance") != "certified" || record["result"]["passed"] == true,
                "{record}"
            );
            skills_are_real_and_distinct(&record);
        }
    }
}

fn skills_are_real_and_distinct(record: &Value) {
    let held = record["skills"].as_array().expect("an array");
    assert!((1..=3).contains(&held.len()), "{record}");
    let mut seen = HashSet::new();
    for skill in held {
        let (fw, code) = (skill["fw"].as_str().expect("fw"), skill["code"].as_str().expect("code"));
        assert_eq!(
            fw == "esco",
            code.starts_with("http://data.europa.eu/esco/skill/"),
            "{skill}"
        );
        assert!(fw == "esco" || (fw == "rome" && code.len() == 5), "{skill}");
        assert!(
            skill["label"].as_str().is_some_and(|label| !label.is_empty()) && seen.insert(code),
            "{record}"
        );
        assert!(
            skill["level"]
                .as_str()
                .and_then(|level| level.parse::<u8>().ok())
                .is_some_and(|l| (1..=5).contains(&l))
        );
    }
}

#[test]
fn every_field_stands_in_one_category_or_in_the_envelope() {
    let mut pointers: Vec<_> = CATEGORIES.iter().flat_map(|(_, fields)| *fields).copied().collect();
    pointers.push(SUBJECT);
    let mut written = HashSet::new();
    for record in HOLDERS
        .iter()
        .flat_map(|holder| records(Generator::new(SEED, *holder), 300))
    {
        written.extend(
            record
                .as_object()
                .expect("an object")
                .keys()
                .map(|name| format!("/{name}")),
        );
    }
    assert_eq!(written, pointers.into_iter().map(String::from).collect());
}

#[test]
fn a_learner_has_one_to_five_records_three_on_average_and_they_lie_apart() {
    let generator = Generator::new(SEED, Holder::Lycee).spread(1_000);
    let mut places: HashMap<u64, Vec<u64>> = HashMap::new();
    (0..6_000).for_each(|k| places.entry(generator.learner_of(k)).or_default().push(k));
    assert_eq!(places.len(), 2_000);
    assert!(places.iter().all(|(i, ks)| *i < 2_000 && ks.len() as u64 == 5 - i % 5));
    assert!(
        places
            .values()
            .flat_map(|ks| ks.windows(2))
            .all(|pair| pair[1] - pair[0] >= 200)
    );
}

#[test]
fn any_spread_gives_every_learner_of_the_block() {
    for asked in [0, 1, 5, 6, 99, 100] {
        let generator = Generator::new(SEED, Holder::Lycee).spread(asked);
        let block = asked.max(1).div_ceil(5) * 5;
        let learners: HashSet<_> = (0..block * RECORDS_PER_LEARNER)
            .map(|k| generator.learner_of(k))
            .collect();
        assert_eq!(learners, (0..block).collect(), "spread({asked})");
    }
}

#[test]
fn both_holders_know_half_of_the_learners_under_unrelated_identifiers() {
    let (school, employment) = (
        Generator::new(SEED, Holder::Lycee),
        Generator::new(SEED, Holder::FranceTravail),
    );
    let mut ids = HashSet::new();
    for i in 0..2_000 {
        let (here, there) = (school.learner(i), employment.learner(i));
        assert!(
            ids.insert(here.id.clone()) && ids.insert(there.id.clone()),
            "identifiers repeat at {i}"
        );
        assert_eq!(here.email == there.email, i % 2 == 0, "learner {i}");
        if i % 2 == 0 {
            assert_eq!(
                (here.given_name, here.family_name, &here.birth_date),
                (there.given_name, there.family_name, &there.birth_date)
            );
        }
        assert!((2006..=2010).contains(&here.birth_year) && (1966..=2010).contains(&there.birth_year));
        assert!(here.birth_date.starts_with(&here.birth_year.to_string()));
        assert!(here.id.len() == 11 && there.id.len() == 8, "{} {}", here.id, there.id);
    }
}

#[test]
fn identifiers_stay_distinct_for_a_large_population() {
    for holder in HOLDERS {
        let generator = Generator::new(u64::MAX, holder);
        let ids: HashSet<_> = (0..100_000).map(|i| generator.local_id(i)).collect();
        assert_eq!(ids.len(), 100_000, "{holder:?}");
    }
}

#[test]
fn a_record_carries_the_local_identifier_and_the_person_of_its_learner() {
    for holder in HOLDERS {
        let generator = Generator::new(SEED, holder);
        for (k, record) in (0..).zip(records(generator, 300)) {
            let learner = generator.learner(generator.learner_of(k));
            assert_eq!(record["sub"], learner.id);
            assert_eq!(record["person"]["familyName"], learner.family_name);
            assert_eq!(record["person"]["birthDate"], learner.birth_date);
            let needs = record.pointer("/specialNeeds/arrangement").and_then(Value::as_str);
            assert_eq!(needs, learner.special_needs);
            let (email, domain) = learner.email.split_once('@').expect("an address");
            assert!(
                ["courriel.example.org", "courriel.example.net"].contains(&domain),
                "{domain} may deliver"
            );
            assert!(
                email
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-".contains(&b)),
                "{email}"
            );
        }
    }
}

#[test]
fn kinds_assurances_and_special_needs_come_in_the_intended_shares() {
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    for record in records(Generator::new(SEED, Holder::Lycee), 6_000) {
        *counts
            .entry(record["kind"].as_str().expect("kind").to_owned())
            .or_default() += 1;
        *counts
            .entry(record["assurance"].as_str().expect("assurance").to_owned())
            .or_default() += 1;
        *counts.entry(format!("rev {}", record["rev"])).or_default() += 1;
    }
    let near = |name: &str, percent: u32| {
        let count = counts.get(name).copied().unwrap_or_default();
        assert!(
            count.abs_diff(percent * 60) < 150,
            "{name}: {count} of 6000, {percent} % intended"
        );
    };
    let kinds = [
        ("assessment", 50),
        ("achievement", 20),
        ("activity", 10),
        ("qualification", 20),
    ];
    let others = [("certified", 20), ("attested", 30), ("rev 1", 92), ("rev 2", 8)];
    kinds
        .into_iter()
        .chain(others)
        .for_each(|(name, share)| near(name, share));
    let generator = Generator::new(SEED, Holder::Lycee);
    let needing = (0..10_000)
        .filter(|i| generator.learner(*i).special_needs.is_some())
        .count();
    assert!((900..=1_100).contains(&needing), "{needing}");
}

#[test]
fn about_the_asked_share_consents() {
    for holder in HOLDERS {
        let generator = Generator::new(SEED, holder);
        for (share, expected) in [(0.0, 0), (0.1, 2_000), (0.6, 12_000), (0.95, 19_000), (1.0, 20_000)] {
            let given = (0..20_000_u64).filter(|i| generator.consents(*i, share)).count();
            assert!(
                given.abs_diff(expected) <= if expected % 20_000 == 0 { 0 } else { 300 },
                "{share}: {given}"
            );
        }
        assert!(
            (0..100).all(|i| !generator.consents(i, f64::NAN)),
            "a share that is no number opens nothing"
        );
    }
}

#[test]
fn consent_is_one_persons_answer_and_grows_with_the_share() {
    let (school, employment) = (
        Generator::new(SEED, Holder::Lycee),
        Generator::new(SEED, Holder::FranceTravail),
    );
    for i in 0..2_000 {
        assert!(i % 2 == 1 || school.consents(i, 0.6) == employment.consents(i, 0.6));
        assert!(!school.consents(i, 0.3) || school.consents(i, 0.6));
    }
    assert!(
        (0..2_000).any(|i| school.consents(i, 0.6) != employment.consents(i, 0.6)),
        "odd learners answer on their own"
    );
}

#[test]
fn the_last_indices_do_not_panic() {
    for holder in HOLDERS {
        let generator = Generator::new(u64::MAX, holder).spread(u64::MAX);
        let mut out = Vec::new();
        generator.record(u64::MAX, &mut out);
        assert!(serde_json::from_slice::<Value>(&out).is_ok());
        generator.learner(u64::MAX);
    }
}
