//! Policies, one or two, a line each: reading, checking and comparing never panic, and comparing is reflexive and symmetric.
#![no_main]

use connector::dsp::json;
use libfuzzer_sys::fuzz_target;
use policy::{Facts, Policy, Stage, Timestamp, same_terms};

const STAGES: [Stage; 3] = [Stage::Catalog, Stage::Negotiation, Stage::Transfer];

fn read(bytes: &[u8]) -> Option<Policy> {
    let value = json::parse(bytes).ok()?;
    let policy = Policy::parse(&value).ok()?;
    let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let facts = Facts::new(now, "did:web:a.example", policy::Action::Use);
    let understood = STAGES.map(|stage| policy.check(stage).is_ok());
    for (stage, understood) in STAGES.into_iter().zip(understood) {
        assert!(
            understood || !policy.decide(stage, &facts).permits(),
            "what is not understood permits nothing"
        );
    }
    let _ = policy.plan(&facts);
    assert_eq!(same_terms(&policy, &policy), Ok(()), "{value}");
    Some(policy)
}

fuzz_target!(|bytes: &[u8]| {
    let (one, other) = match bytes.iter().position(|byte| *byte == b'\n') {
        Some(at) => (&bytes[..at], &bytes[at + 1..]),
        None => (bytes, &b""[..]),
    };
    if let (Some(one), Some(other)) = (read(one), read(other)) {
        assert_eq!(same_terms(&one, &other).is_ok(), same_terms(&other, &one).is_ok());
    }
});
