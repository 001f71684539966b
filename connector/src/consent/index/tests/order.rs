//! In which order things become known: at no time is more permitted than before or after, and what permits less has chunks decided again.

use super::*;

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
