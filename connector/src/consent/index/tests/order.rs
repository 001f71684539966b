//! In which order things become known: at no time is more permitted than before or after, and what permits less has chunks decided again.

use super::*;
use crate::{consent::Pairwise, jose::HmacKey};
use std::{sync::Mutex, thread};
use tokio_util::sync::CancellationToken;

fn gate(index: &Index) -> Arc<Gate> {
    let names = Arc::new(crate::consent::Pseudonyms::new(HmacKey::new(b"secret")).towards(&did("work")));
    let gate = Arc::new(Gate::new(0, names, CancellationToken::new()));
    let pid = "urn:uuid:00000000-0000-4000-8000-000000000000".parse().unwrap();
    index.enter(&pid, gate.clone());
    gate
}

#[test]
fn while_a_consent_becomes_known_anew_no_other_basis_answers_for_it() {
    let (index, shared) = (Arc::new(Index::default()), Shared::new());
    index.open_basis(&shared.rule(Basis::PublicTask)).unwrap();
    let id = id(1);
    let refused = Grant {
        ended: Some(Ended::Refused),
        ..shared.grant(&id, "anna")
    };
    let pending = Grant {
        guardian_missing: true,
        ..shared.grant(&id, "anna")
    };
    index.open(&pending).unwrap();
    let asked = question(&index, &["skills"]);
    thread::scope(|scope| {
        let asking = scope.spawn(|| (0..20_000).all(|_| ask(&index, &asked, "anna", 150).is_err()));
        while !asking.is_finished() {
            index.open(&refused).unwrap();
            index.open(&pending).unwrap();
        }
        assert!(asking.join().unwrap());
    });
}

#[test]
fn a_consent_that_is_prolonged_stands_there_once_and_is_never_missing() {
    let (index, shared) = (Arc::new(Index::default()), Shared::new());
    let id = id(1);
    index.open(&shared.grant(&id, "anna")).unwrap();
    let epoch = index.epoch();
    index
        .open(&Grant {
            until: at(300),
            ..shared.grant(&id, "anna")
        })
        .unwrap();
    assert_eq!(index.in_force("anna"), std::slice::from_ref(&id));
    assert_eq!(index.epoch(), epoch, "nothing less is permitted");
    assert!(index.expired(at(299)).is_empty());
    assert!(ask(&index, &question(&index, &["skills"]), "anna", 250).is_ok());
    index.open(&shared.grant(&id, "anna")).unwrap();
    assert_eq!(index.epoch(), epoch + 1, "shortened");
    assert_eq!(index.expired(at(299)), [id]);
}

#[test]
fn a_refusal_and_a_missing_guardian_have_undelivered_chunks_decided_again() {
    let (index, shared) = (Arc::new(Index::default()), Shared::new());
    index.open_basis(&shared.rule(Basis::PublicTask)).unwrap();
    let gate = gate(&index);
    let (first, second, third) = (id(1), id(2), id(3));
    let less = [
        Grant {
            ended: Some(Ended::Refused),
            ..shared.grant(&first, "anna")
        },
        Grant {
            guardian_missing: true,
            ..shared.grant(&second, "ben")
        },
    ];
    for grant in less {
        let epoch = index.epoch();
        assert!(ask(&index, &question(&index, &["skills"]), grant.subject, 150).is_ok());
        index.open(&grant).unwrap();
        assert_eq!(gate.pass(&index, epoch, 1), Ok(Err(Stale)), "{}", grant.subject);
    }
    let epoch = index.epoch();
    index.open(&shared.grant(&third, "chloé")).unwrap();
    assert_eq!(gate.pass(&index, epoch, 1), Ok(Ok(())), "more is permitted, not less");
}

#[test]
fn a_basis_that_ends_by_its_time_has_undelivered_chunks_decided_again() {
    let (index, shared) = (Arc::new(Index::default()), Shared::new());
    index.open_basis(&shared.rule(Basis::PublicTask)).unwrap();
    let gate = gate(&index);
    assert_eq!(index.next_expiry(), Some(at(200)));
    let epoch = index.epoch();
    assert!(ask(&index, &question(&index, &["skills"]), "anna", 199).is_ok());
    assert!(index.expired(at(199)).is_empty());
    assert_eq!(gate.pass(&index, epoch, 1), Ok(Ok(())));
    assert!(index.expired(at(200)).is_empty(), "no consent ended");
    assert_eq!(gate.pass(&index, epoch, 2), Ok(Err(Stale)));
    assert_eq!(index.next_expiry(), None);
    assert_eq!(
        ask(&index, &question(&index, &["skills"]), "anna", 150),
        Err(Reason::None),
        "whatever the clock says"
    );
}

/// A stream as the data plane makes it: chunk after chunk, decided, then through the gate, or decided again.
fn stream(index: &Arc<Index>, gate: &Gate, names: &[String], chunks: usize) -> Vec<(u64, usize)> {
    let mut reader = Reader::new(index.clone(), question(index, &["skills"]));
    let (mut passed, mut sent) = (Vec::new(), 0);
    for chunk in 0..chunks {
        loop {
            reader.begin(at(150));
            let mut number = sent;
            let mut decided = Vec::new();
            for learner in (0..names.len()).map(|k| (k + chunk * 7) % names.len()) {
                if reader.ask(&names[learner]).is_ok() {
                    number += 1;
                    decided.push((number, learner));
                }
            }
            if gate.pass(index, reader.epoch(), number).unwrap().is_ok() {
                sent = number;
                passed.extend(decided);
                break;
            }
        }
    }
    passed
}

#[test]
fn while_streams_run_no_record_passes_a_gate_beyond_the_number_that_a_withdrawal_names() {
    const STREAMS: usize = 4;
    let (index, shared) = (Arc::new(Index::default()), Shared::new());
    let names: Vec<String> = (0..60).map(|k| format!("l{k}")).collect();
    for (number, name) in names.iter().enumerate() {
        index.open(&shared.grant(&id(number as u128), name)).unwrap();
    }
    let pairwise = Arc::new(crate::consent::Pseudonyms::new(HmacKey::new(b"secret")).towards(&did("work")));
    let pids: Vec<Pid> = (0..STREAMS)
        .map(|k| {
            format!("urn:uuid:00000000-0000-4000-8000-00000000000{k}")
                .parse()
                .unwrap()
        })
        .collect();
    let gate = |_: &Pid| {
        Arc::new(Gate::new(
            0,
            Arc::<Pairwise>::clone(&pairwise),
            CancellationToken::new(),
        ))
    };
    let gates: Vec<Arc<Gate>> = pids.iter().map(gate).collect();
    let told = Mutex::new(Vec::new());
    let passed: Vec<Vec<(u64, usize)>> = thread::scope(|scope| {
        let running: Vec<_> = pids
            .iter()
            .zip(&gates)
            .map(|(pid, gate)| {
                index.enter(pid, gate.clone());
                let (index, names) = (&index, &names);
                scope.spawn(move || stream(index, gate, names, 2000))
            })
            .collect();
        scope.spawn(|| {
            for (number, name) in names.iter().enumerate().step_by(2) {
                thread::sleep(std::time::Duration::from_millis(1));
                let ends = index.close(name, |_| true, at(150)).1;
                told.lock().unwrap().push((number, ends));
            }
        });
        running.into_iter().map(|stream| stream.join().unwrap()).collect()
    });
    let told = told.into_inner().unwrap();
    assert!(
        told.iter()
            .any(|(_, ends)| ends.iter().any(|end| end.last_sequence > 0)),
        "streams ran meanwhile"
    );
    for (learner, ends) in told {
        for (pid, records) in pids.iter().zip(&passed) {
            let end = ends.iter().find(|end| end.transfer == *pid).unwrap();
            let last = records
                .iter()
                .filter(|(_, of)| *of == learner)
                .map(|(number, _)| *number)
                .max();
            assert!(
                last.is_none_or(|last| last <= end.last_sequence),
                "{learner}: {last:?} {end:?}"
            );
        }
    }
}

/// A gate through which records pass that are asked about so, of the transfer with this number.
fn asking(index: &Index, question: Question, number: usize) -> Pid {
    let names = Arc::new(crate::consent::Pseudonyms::new(HmacKey::new(b"secret")).towards(&did("work")));
    let pid: Pid = format!("urn:uuid:00000000-0000-4000-8000-00000000000{number}")
        .parse()
        .unwrap();
    let by = Occurrence::new(&pid, 1);
    let gate = Gate::new(number as u64, names, CancellationToken::new()).of_records(Asks { question, by });
    index.enter(&pid, Arc::new(gate));
    pid
}

#[test]
fn an_end_tells_the_streams_in_which_something_else_still_permits_records_of_the_learner() {
    let (index, shared) = (Arc::new(Index::default()), Shared::new());
    let results = Shared {
        categories: texts(&["results"]),
        ..Shared::new()
    };
    let transfers =
        [&["skills"][..], &["results"], &["skills", "results"]].map(|categories| question(&index, categories));
    let pids: Vec<Pid> = transfers
        .into_iter()
        .zip(1..)
        .map(|(question, number)| asking(&index, question, number))
        .collect();
    let nobody = gate(&index);
    let goes_on = |(_, ends): (u64, Vec<StreamEnd>)| {
        assert_eq!(ends.len(), 4);
        let of = |pid: &Pid| ends.iter().find(|end| end.transfer == *pid).unwrap().goes_on;
        pids.iter().map(of).collect::<Vec<_>>()
    };
    index.open(&shared.grant(&id(1), "anna")).unwrap();
    index.open(&results.grant(&id(2), "anna")).unwrap();
    index.open(&shared.grant(&id(3), "ben")).unwrap();
    let ended = index.close("anna", |closed| *closed == id(1), at(150));
    assert_eq!(goes_on(ended), [false, true, true]);
    assert_eq!(
        goes_on(index.confirm("anna", at(200))),
        [false; 3],
        "it is over by then"
    );
    let ended = index.close("anna", |_| true, at(150));
    assert_eq!(goes_on(ended), [false; 3]);
    let ended = index.close("ben", |_| false, at(150));
    assert_eq!(goes_on(ended), [true, false, true]);
    // A restriction ends it whatever permits it, and so does the end of a basis that nothing takes the place of.
    let restriction = Restriction {
        id: &id(4),
        subject: "ben",
        recipients: &[],
    };
    assert_eq!(goes_on(index.restrict(&restriction, at(150)).unwrap()), [false; 3]);
    assert_eq!(
        goes_on(index.confirm("ben", at(150))),
        [true, false, true],
        "it may be lifted while they run"
    );
    assert_eq!(
        goes_on(index.confirm("ben", at(50))),
        [true, false, true],
        "it begins later"
    );
    index.open_basis(&results.rule(Basis::PublicTask)).unwrap();
    assert_eq!(goes_on(index.confirm("carl", at(150))), [false, true, true]);
    let objected = index.object(&Shared::objection(&id(5), "carl"), at(150)).unwrap();
    assert_eq!(goes_on(objected), [false; 3]);
    assert_eq!(nobody.last(), 0);
}
