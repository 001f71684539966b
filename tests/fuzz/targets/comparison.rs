//! Two policies of the information model, a line each, weighed against each other: the answers never contradict one another, whoever asks
//! first, and each is given in the time that it may take.
#![no_main]

use connector::dsp::json;
use libfuzzer_sys::fuzz_target;
use policy::odrl::{
    Policy, Reading,
    compare::{Answer, Concepts, Verdict, Within, compatible, report, satisfiable, within},
};

fn read(bytes: &[u8]) -> Option<Policy> {
    Policy::read(&json::parse(bytes).ok()?, &Reading::LENIENT).ok()
}

fuzz_target!(|bytes: &[u8]| {
    let (one, other) = match bytes.iter().position(|byte| *byte == b'\n') {
        Some(at) => (&bytes[..at], &bytes[at + 1..]),
        None => (bytes, bytes),
    };
    let (Some(one), Some(other)) = (read(one), read(other)) else {
        return;
    };
    let concepts = Concepts::profile();
    let [there, back] = [compatible(&one, &other, &concepts), compatible(&other, &one, &concepts)];
    let verdicts = [&there, &back].map(Verdict::from);
    let shown = [Verdict::Compatible, Verdict::Conflict];
    assert!(
        verdicts[0] == verdicts[1] || !verdicts.iter().all(|verdict| shown.contains(verdict)),
        "{there:?} {back:?} {one:?} {other:?}"
    );
    // What permits nothing is within everything, and has nothing in common with anything.
    let alone = satisfiable(&one, &concepts);
    let inside = within(&one, &other, &concepts);
    if matches!(alone, Answer::Impossible(_)) {
        assert!(!matches!(inside, Within::No { .. }), "{inside:?} {one:?} {other:?}");
        assert!(!matches!(there, Answer::Possible(_)), "{there:?} {one:?} {other:?}");
    }
    // What permits something and lies within another has that in common with it.
    if matches!(alone, Answer::Possible(_)) && inside == Within::Yes {
        assert!(!matches!(there, Answer::Impossible(_)), "{there:?} {one:?} {other:?}");
    }
    assert!(
        !matches!(within(&one, &one, &concepts), Within::No { .. }),
        "not within itself: {one:?}"
    );
    assert_eq!(report(&one, &other, &concepts).verdict, verdicts[0]);
});
