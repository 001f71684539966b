use super::*;
use crate::{
    audit::{LogSigner, tiles::Edge},
    jose::SigningKey,
};

fn signer(name: &str, seed: u8) -> LogSigner {
    LogSigner::new(name, SigningKey::from_seed(&[seed; 32]).unwrap()).unwrap()
}

fn entries() -> Vec<Vec<u8>> {
    (0..11_u8).map(|n| format!("entry {n}").into_bytes()).collect()
}

fn checkpoint(log: &LogSigner) -> SignedCheckpoint {
    let (mut edge, mut full) = (Edge::new(), Vec::new());
    for entry in entries() {
        edge.append(merkle::leaf_hash(&entry), &mut full);
    }
    SignedCheckpoint::sign(log, edge.size(), edge.root()).unwrap()
}

/// A proof of entry 6 of 11, cosigned by a witness.
fn proof() -> (Proof, LogKey, LogKey) {
    let (log, witness) = (signer("a.example/log", 1), signer("b.example/log", 2));
    let mut signed = checkpoint(&log);
    let cosignature = witness
        .cosign(signed.note(), Timestamp::from_seconds(1_700_000_000))
        .unwrap();
    signed.note_mut().add(cosignature);
    let leaves: Vec<Digest> = entries().iter().map(|entry| merkle::leaf_hash(entry)).collect();
    let path = merkle::inclusion_proof(&leaves, 6).unwrap();
    (Proof::new(6, path, signed), log.key().clone(), witness.key().clone())
}

#[test]
fn a_proof_is_written_as_published_and_read_back() {
    let (proof, log, witness) = proof();
    let text = proof.to_text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(&lines[..2], ["c2sp.org/tlog-proof@v1", "index 6"]);
    assert_eq!((lines[6], lines[7], lines[8]), ("", "a.example/log", "11"));
    assert_eq!(Proof::read(&text), Ok(proof));
    let verified = verify(&text, b"entry 6", &log).unwrap();
    assert_eq!((verified.index(), verified.checkpoint().checkpoint().size), (6, 11));
    assert_eq!(
        verified.cosigned_by(&witness),
        Ok(Timestamp::from_seconds(1_700_000_000))
    );
}

#[test]
fn the_only_entry_of_a_log_needs_no_path() {
    let log = signer("a.example/log", 1);
    let signed = SignedCheckpoint::sign(&log, 1, merkle::leaf_hash(b"x")).unwrap();
    let text = Proof::new(0, Vec::new(), signed).to_text();
    assert!(text.starts_with("c2sp.org/tlog-proof@v1\nindex 0\n\na.example/log\n1\n"));
    assert!(verify(&text, b"x", log.key()).is_ok());
    assert_eq!(
        verify(&text, b"y", log.key()),
        Err(ProofError::NotIncluded { index: 0, size: 1 })
    );
}

#[test]
fn extra_data_is_carried_and_means_nothing() {
    let (proof, log, _) = proof();
    let text = proof.to_text().replacen("index", "extra ZXh0cmE=\nindex", 1);
    let read = Proof::read(&text).unwrap();
    assert_eq!(
        (read.extra.as_deref(), read.to_text()),
        (Some(b"extra".as_slice()), text.clone())
    );
    assert!(verify(&text, b"entry 6", &log).is_ok());
}

/// Every bit of every byte: what is not refused by its form is refused by a signature, the path, or the witness.
#[test]
fn every_flipped_bit_of_a_proof_is_noticed() {
    let (proof, log, witness) = proof();
    let text = proof.to_text();
    let convinces = |bytes: Vec<u8>| {
        let text = String::from_utf8(bytes).ok()?;
        let verified = verify(&text, b"entry 6", &log).ok()?;
        verified.cosigned_by(&witness).ok()
    };
    assert!(convinces(text.clone().into_bytes()).is_some());
    for at in 0..text.len() {
        for bit in 0..8 {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1 << bit;
            assert_eq!(convinces(bytes), None, "byte {at}, bit {bit}");
        }
    }
    println!("{} changed proofs refused", text.len() * 8);
}

#[test]
fn every_cut_or_lengthened_proof_is_refused() {
    let (proof, log, witness) = proof();
    let text = proof.to_text();
    for end in (0..text.len()).filter(|end| text.is_char_boundary(*end)) {
        let verified = verify(text.get(..end).unwrap(), b"entry 6", &log);
        // Without its last line the proof stands, but it is not cosigned any more.
        assert!(
            verified.is_err() || verified.unwrap().cosigned_by(&witness).is_err(),
            "cut to {end}"
        );
    }
    assert!(verify(&format!("{text}\n"), b"entry 6", &log).is_err());
    assert!(verify(&format!("{text}x"), b"entry 6", &log).is_err());
    assert!(verify(&format!(" {text}"), b"entry 6", &log).is_err());
}

#[test]
fn every_changed_entry_is_refused() {
    let (proof, log, _) = proof();
    let (text, entry) = (proof.to_text(), b"entry 6");
    for at in 0..entry.len() {
        for bit in 0..8 {
            let mut changed = *entry;
            changed[at] ^= 1 << bit;
            assert!(verify(&text, &changed, &log).is_err(), "byte {at}, bit {bit}");
        }
    }
    assert!(verify(&text, b"", &log).is_err() && verify(&text, b"entry 6 ", &log).is_err());
}

#[test]
fn other_logs_keys_and_origins_are_named() {
    let (proof, log, _) = proof();
    let text = proof.to_text();
    let unsigned = ProofError::Checkpoint(NoteError::NotSigned("a.example/log".into()));
    let another = signer("a.example/log", 9);
    assert_eq!(verify(&text, b"entry 6", another.key()), Err(unsigned));
    let elsewhere = signer("c.example/log", 1);
    assert!(matches!(
        verify(&text, b"entry 6", elsewhere.key()),
        Err(ProofError::Checkpoint(NoteError::Malformed(_)))
    ));
    // The right key over another root.
    let signed = SignedCheckpoint::sign(&signer("a.example/log", 1), 11, Digest::EMPTY).unwrap();
    let moved = Proof::new(6, proof.path, signed);
    assert_eq!(
        moved.verify(b"entry 6", &log),
        Err(ProofError::NotIncluded { index: 6, size: 11 })
    );
}

#[test]
fn malformed_proofs_are_refused_with_their_part() {
    let good = proof().0.to_text();
    let line = good.lines().nth(2).unwrap();
    let long = format!("{line}\n").repeat(MAX_PATH);
    for (what, bad) in [
        ("the first line", good.replacen("@v1", "@v2", 1)),
        ("no index", good.replacen("index 6\n", "", 1)),
        ("an index that is no number", good.replacen("index 6", "index six", 1)),
        ("a negative index", good.replacen("index 6", "index -6", 1)),
        ("a leading zero", good.replacen("index 6", "index 06", 1)),
        (
            "extra data that is not base64",
            good.replacen("index", "extra !\nindex", 1),
        ),
        (
            "extra data after the index",
            good.replacen("index 6\n", "index 6\nextra AAAA\n", 1),
        ),
        ("a hash that is too short", good.replacen(line, "AAAA", 1)),
        ("a hash that is not base64", good.replacen(line, &"!".repeat(44), 1)),
        (
            "a path that is too long",
            good.replacen(line, &format!("{long}{line}"), 1),
        ),
        ("no checkpoint", good.split_once("\n\n").unwrap().0.to_owned()),
        ("no signatures", good.rsplit_once("\n\n").unwrap().0.to_owned()),
    ] {
        assert!(Proof::read(&bad).is_err(), "{what}");
    }
}
