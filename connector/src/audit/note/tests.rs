use super::*;
use crate::{audit::SignedCheckpoint, jose::SigningKey};
use proptest::prelude::*;

/// golang.org/x/mod/sumdb/note, its example: the key, the text, and the signature that Ed25519 must give.
const PETER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const PETERS_SEED: &str = "AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
const PETERS_NOTE: &str = "If you think cryptography is the answer to your problem,\n\
    then you don't know what your problem is.\n\
    \n\
    — PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

/// C2SP signed-note, Verifier keys.
const EXAMPLE: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
const EXAMPLE_NOTE: &str = "This is an example message.\n\n\
    — example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";

/// A checkpoint of a public log with the cosignatures of public witnesses, and the keys that two of them have published.
const PUBLIC_NOTE: &str = "arche2025h1.staging.ct.transparency.dev\n\
    1432088532\n\
    U7WM79jrzyhGZ5/GUBTpM7NzwdyfFx61t3RovgcC4Ro=\n\
    \n\
    — arche2025h1.staging.ct.transparency.dev zTM8sQAAAZ5W0WdjBAMARjBEAiBjW5IQf9pvsYLfQFX6hoGREPMHbdQ3urbllzalApkptQIgIpwtEroeW2BXaHAI4kJXFbon5Ch9MNL5zRNZ55lvGt0=\n\
    — arche2025h1.staging.ct.transparency.dev ui8GwCF1+kWqZrxGdhj4aX3gcw7XUlXQQabg/27lefwhUkzbC3NygNI75MdhL1bfTW9g8Ei59RA23oHP7Ry1k3ZFWwQ=\n\
    — transparency.dev/DEV:witness-little-garden 2AQqhwAAAABqEiEgzgFIqqhbUoDwjMWE6UP8nd8/KYTzwZ2rhIgcqoXHAwVkjZr4AscylP3v7sEodkRAErumC2q44vdgJY096st5BQ==\n\
    — witness1.smartit.nu/witness1 pIyCDwAAAABqEiEghIp82KWebrw7/oHQwlTAm3g2RKS4+eebl8eO0WH+/iEcxZ75W3u5hNI7TOQtmJbqmNWVuE0tgh0XwzdZsDsUAQ==\n\
    — remora.n621.de 2net5wAAAABqEiEgPlfF3V06o0Y+fHM+J5J9s27wgxxcOVSpZ/2g/KSiXCg9DEZI+aVCIobWX9sXTynk5XeU/zZ0WBxtqB0DrAWfBw==\n\
    — witness.stagemole.eu Z/euoAAAAABqEiEgw0i+7g2ENfDAWHmtRzCfKTHSDwYDJA2NmKeGi9Y8FtEyOUvVr+AJmIY/2TUFucgKi7lI7cUiOvKFYe/TmN9DAg==\n";
const PUBLIC_LOG: &str =
    "arche2025h1.staging.ct.transparency.dev+ba2f06c0+AU0vHmlGCS/PdN8b2OaGmKprLI8HKM+dJ472xgFYh15f";
const PUBLIC_WITNESSES: [&str; 4] = [
    "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2",
    "witness.stagemole.eu+67f7aea0+BEqSG3yu9YrmcM3BHvQYTxwFj3uSWakQepafafpUqklv",
    "transparency.dev/DEV:witness-little-garden+d8042a87+BCtusOxINQNUTN5Oj8HObRkh2yHf/MwYaGX4CPdiVEPM",
    "witness1.smartit.nu/witness1+a48c820f+BPSFWg9G6KPiO7QPryYO5Xq4oYJJ+kAvLKLSimDhoxMO",
];

fn key(text: &str) -> LogKey {
    text.parse().unwrap()
}

fn signer(name: &str, seed: u8) -> LogSigner {
    LogSigner::new(name, SigningKey::from_seed(&[seed; 32]).unwrap()).unwrap()
}

#[test]
fn published_notes_verify_with_their_published_keys() {
    for (vkey, note) in [(PETER, PETERS_NOTE), (EXAMPLE, EXAMPLE_NOTE), (PUBLIC_LOG, PUBLIC_NOTE)] {
        let read = Note::read(note).unwrap();
        assert_eq!(key(vkey).verify(&read), Ok(()), "{vkey}");
        assert_eq!(
            (read.to_string().as_str(), key(vkey).to_string().as_str()),
            (note, vkey)
        );
    }
}

#[test]
fn the_published_seed_gives_the_published_signature() {
    let seed = BASE64_STANDARD.decode(PETERS_SEED).unwrap();
    let secret = SigningKey::from_seed(seed[1..].try_into().unwrap()).unwrap();
    let signer = LogSigner::new("PeterNeumann", secret).unwrap();
    assert_eq!(signer.key(), &key(PETER));
    let (text, _) = PETERS_NOTE.rsplit_once("\n\n").unwrap();
    assert_eq!(signer.sign(format!("{text}\n")).unwrap().to_string(), PETERS_NOTE);
}

#[test]
fn public_witnesses_cosigned_the_public_checkpoint() {
    let signed = SignedCheckpoint::read(PUBLIC_NOTE).unwrap();
    assert_eq!(signed.checkpoint().size, 1_432_088_532);
    assert_eq!(signed.verify(&key(PUBLIC_LOG)), Ok(()));
    for vkey in PUBLIC_WITNESSES {
        let witness = key(vkey);
        assert_eq!(
            witness.cosigned(signed.note()),
            Ok(Timestamp::from_seconds(1_779_573_024)),
            "{vkey}"
        );
        assert_eq!(witness.witness(), vkey);
        let (text, lines) = PUBLIC_NOTE.split_once("\n\n").unwrap();
        let forged = Note::read(&format!("{}\n\n{lines}", text.replace("1432088532", "42"))).unwrap();
        assert_eq!(
            witness.cosigned(&forged),
            Err(NoteError::BadSignature(witness.name().into()))
        );
    }
}

#[test]
fn a_note_signature_is_no_cosignature_and_the_other_way_round() {
    let me = signer("a.example/log", 1);
    let note = me.sign("hello\n".into()).unwrap();
    assert_eq!(me.key().verify(&note), Ok(()));
    let unsigned = NoteError::NotSigned("a.example/log".into());
    assert_eq!(me.key().cosigned(&note), Err(unsigned.clone()));
    let now = Timestamp::from_seconds(1_700_000_000);
    let cosignature = me.cosign(&note, now).unwrap();
    let only = Note {
        text: note.text.clone(),
        signatures: vec![cosignature.clone()],
    };
    assert_eq!(
        (me.key().cosigned(&only), me.key().verify(&only)),
        (Ok(now), Err(unsigned))
    );
    // The same bytes under the other key id are wrong, not merely unknown.
    let mut relabelled = cosignature;
    relabelled.id = me.key().id(SIGNATURE);
    let only = Note {
        text: note.text,
        signatures: vec![relabelled],
    };
    assert_eq!(
        me.key().verify(&only),
        Err(NoteError::BadSignature("a.example/log".into()))
    );
}

#[test]
fn signatures_of_others_are_ignored_and_a_wrong_one_of_ours_refuses_the_note() {
    let (me, other) = (signer("a.example/log", 1), signer("a.example/log", 2));
    let mut note = me.sign("hello\n".into()).unwrap();
    note.add(other.sign("another text\n".into()).unwrap().signatures()[0].clone());
    assert_eq!(me.key().verify(&note), Ok(()), "another key under the same name");
    assert!(other.key().verify(&note).is_err());
    note.add(me.sign("another text\n".into()).unwrap().signatures()[0].clone());
    assert_eq!(
        me.key().verify(&note),
        Err(NoteError::BadSignature("a.example/log".into()))
    );
    assert_eq!(note.signed_by(other.key()).signatures().len(), 1);
}

#[test]
fn a_signature_that_is_repeated_counts_once() {
    let me = signer("a.example/log", 1);
    let mut note = me.sign("hello\n".into()).unwrap();
    let one = note.clone();
    for _ in 0..90 {
        note.add(one.signatures()[0].clone());
    }
    assert_eq!(me.key().verify(&note), Ok(()));
    assert_eq!(note.signed_by(me.key()), one);
}

#[test]
fn a_cosignature_says_when_the_newest_was_made_and_never_before_the_epoch() {
    let (log, witness) = (signer("a.example/log", 1), signer("b.example/log", 2));
    let mut note = log.sign("hello\n".into()).unwrap();
    for seconds in [7, 9, 8] {
        note.add(witness.cosign(&note, Timestamp::from_seconds(seconds)).unwrap());
    }
    assert_eq!(witness.key().cosigned(&note), Ok(Timestamp::from_seconds(9)));
    let mut early = log.sign("hello\n".into()).unwrap();
    early.add(witness.cosign(&early, Timestamp::from_seconds(-5)).unwrap());
    assert_eq!(witness.key().cosigned(&early), Ok(Timestamp::from_seconds(0)));
    for (at, bytes) in [("time", [0x80_u8].as_slice()), ("length", &[])] {
        let mut bad = log.sign("hello\n".into()).unwrap();
        let mut signature = witness.cosign(&bad, Timestamp::from_seconds(1)).unwrap();
        match bytes {
            [first] => signature.bytes[0] = *first,
            _ => signature.bytes.truncate(7),
        }
        bad.add(signature);
        assert!(
            matches!(witness.key().cosigned(&bad), Err(NoteError::BadSignature(_))),
            "{at}"
        );
    }
}

#[test]
fn keys_that_are_no_keys_are_refused() {
    for bad in [
        "",
        "example.com/foo",
        "example.com/foo+530d903a",
        "example.com/foo+530D903A+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530d903b+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/fox+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530d903a+BekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530d903a+AukyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k=",
        "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U",
        "example.com/foo+530d903a+AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "example com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "rekor.sigstore.dev+12345678+AwEB",
    ] {
        assert!(matches!(bad.parse::<LogKey>(), Err(NoteError::Key(_))), "{bad}");
    }
}

#[test]
fn a_note_has_one_spelling() {
    let good = PETERS_NOTE;
    for (what, bad) in [
        ("nothing", String::new()),
        ("no signature", "text\n".into()),
        ("no signature after the blank line", "text\n\n".into()),
        ("no end of the last line", good.trim_end().to_owned()),
        ("an empty line at the end", format!("{good}\n")),
        ("a hyphen", good.replace('—', "-")),
        ("two spaces", good.replace("PeterNeumann ", "PeterNeumann  ")),
        ("a tab in the text", good.replace("If you", "If\tyou")),
        ("carriage returns", good.replace('\n', "\r\n")),
        ("no padding", good.replace("JnAM=", "JnAM")),
        ("trailing bits", good.replace("JnAM=", "JnAN=")),
        ("no name", good.replace("PeterNeumann ", " ")),
        ("a plus in the name", good.replace("PeterNeumann", "Peter+Neumann")),
        ("a short signature", "text\n\n— a AAAA\n".into()),
        ("a line too many", good.replace("\n\n", "\n\nx\n")),
        ("too long", format!("{}\n\n— a AAAAAAA=\n", "x".repeat(MAX_LEN))),
        (
            "too many",
            format!("x\n\n{}", "— a AAAAAAA=\n".repeat(MAX_SIGNATURES + 1)),
        ),
    ] {
        assert!(Note::read(&bad).is_err(), "{what}");
    }
    assert!(Note::read(&format!("x\n\n{}", "— a AAAAAAA=\n".repeat(MAX_SIGNATURES))).is_ok());
    let blank = "a\n\nb\n\n— a AAAAAAA=\n";
    assert_eq!(
        Note::read(blank).unwrap().text(),
        "a\n\nb\n",
        "blank lines in the text are its own"
    );
}

#[test]
fn the_key_of_a_log_comes_from_secret_and_address() {
    let secret = HmacKey::new(&[5; 32]);
    let of = |root: &str| LogSigner::of(root, &secret).unwrap().key().clone();
    assert_eq!(of("https://localhost:8443").name(), "localhost:8443/log");
    assert_eq!(of("https://a.example/"), of("http://a.example"));
    let other = LogSigner::of("https://a.example", &HmacKey::new(&[6; 32])).unwrap();
    assert_ne!(&of("https://a.example"), other.key());
}

#[test]
fn nothing_that_cannot_be_read_is_signed() {
    let me = signer("a", 1);
    for bad in ["", "x", "x\ty\n", "x\r\n"] {
        assert!(me.sign(bad.into()).is_err(), "{bad:?}");
    }
    assert!(LogSigner::new("a b", SigningKey::from_seed(&[1; 32]).unwrap()).is_err());
}

proptest! {
    #[test]
    fn whatever_is_read_writes_back(text in "(\\PC|\n|— [a-z]{1,3} [A-Za-z0-9+/]{8}\n){0,12}") {
        if let Ok(note) = Note::read(&text) {
            prop_assert_eq!(note.to_string(), text);
        }
    }

    #[test]
    fn every_changed_byte_of_a_signed_text_is_seen(at in any::<prop::sample::Index>(), flip in 1_u8..128) {
        let me = signer("a.example/log", 1);
        let mut bytes = me.sign("one\ntwo\nthree\n".into()).unwrap().to_string().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        let changed = String::from_utf8(bytes).ok().and_then(|text| Note::read(&text).ok());
        prop_assert!(changed.is_none_or(|note| me.key().verify(&note).is_err()));
    }
}
