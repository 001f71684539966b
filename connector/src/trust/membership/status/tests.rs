use super::*;
use crate::jose::{
    CredentialKey, Signer,
    credential::{self, CONTEXT, Form},
    testing,
};
use policy::Timestamp;
use proptest::prelude::*;

fn address() -> Url {
    Url::parse("https://a.example/status/1.jwt").unwrap()
}

fn now() -> Timestamp {
    "2026-06-01T00:00:00Z".parse().unwrap()
}

fn claims(signer: &Signer, bits: &Bits) -> Value {
    let mut claims = StatusList::claims(&address(), signer.did(), bits).unwrap();
    claims.insert("@context".into(), json!([CONTEXT]));
    claims.insert("validFrom".into(), json!(now()));
    Value::Object(claims)
}

fn verified(signer: &Signer, claims: &Value) -> Credential {
    let token = credential::issue(signer, Form::Credential, claims).unwrap();
    let key = CredentialKey::from(signer.key().verifying_key().clone());
    credential::verify(&token, Form::Credential, &key, now()).unwrap()
}

fn entry(index: usize) -> StatusEntry {
    let claims = json!({"credentialStatus": StatusEntry::write(&address(), index)});
    let [entry] = StatusEntry::all(claims.as_object().unwrap())
        .unwrap()
        .try_into()
        .unwrap();
    entry
}

fn packed(bytes: &[u8]) -> String {
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    packed.write_all(bytes).unwrap();
    format!("u{}", base64url::encode(&packed.finish().unwrap()))
}

#[test]
fn the_first_bit_is_the_highest_of_the_first_byte() {
    let mut bits = Bits::clear();
    assert_eq!(bits.len(), MIN_BITS);
    for index in [0, 7, 8, 94, MIN_BITS - 1] {
        bits.set(index).unwrap();
    }
    assert_eq!((bits.0[0], bits.0[1], bits.0[11]), (0x81, 0x80, 0x02));
    assert_eq!(bits.set(MIN_BITS), Err(StatusError::Index));
    assert_eq!(bits.get(MIN_BITS), Err(StatusError::Index));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn what_is_packed_is_unpacked(set in proptest::collection::btree_set(0..MIN_BITS, 0..40)) {
        let mut bits = Bits::clear();
        for index in &set {
            bits.set(*index).unwrap();
        }
        let read = Bits::decode(&bits.encode().unwrap()).unwrap();
        prop_assert_eq!(&read, &bits);
        for index in (0..MIN_BITS).step_by(997).chain(set.iter().copied()) {
            prop_assert_eq!(read.get(index).unwrap(), set.contains(&index));
        }
    }
}

#[test]
fn a_list_that_unpacks_to_too_much_is_refused_before_it_is_unpacked() {
    // A gigabyte of zeros is a megabyte of gzip; this is enough to see where the reader stops.
    let bomb = packed(&vec![0; 64 * MAX_BYTES]);
    assert!(bomb.len() < 128 * 1024, "{}", bomb.len());
    assert_eq!(Bits::decode(&bomb), Err(StatusError::Size));
    assert_eq!(Bits::decode(&packed(&vec![0; MAX_BYTES + 1])), Err(StatusError::Size));
    assert_eq!(Bits::decode(&packed(&vec![0; MAX_BYTES])).unwrap().len(), MAX_BYTES * 8);
    assert_eq!(
        Bits::decode(&packed(&vec![0; MIN_BITS / 8 - 1])),
        Err(StatusError::Size)
    );
    assert_eq!(Bits::decode(&packed(b"")), Err(StatusError::Size));
}

#[test]
fn every_encoding_that_is_not_exact_is_refused() {
    let good = Bits::clear().encode().unwrap();
    assert!(Bits::decode(&good).is_ok());
    let bytes = base64url::decode(good.strip_prefix('u').unwrap()).unwrap();
    let text = |bytes: &[u8]| format!("u{}", base64url::encode(bytes));
    let mut damaged = bytes.clone();
    let last = damaged.len() - 5;
    damaged[last] ^= 1;
    for bad in [
        String::new(),
        "u".to_owned(),
        good.replacen('u', "", 1),
        good.replacen('u', "z", 1),
        format!("{good}="),
        format!("{good} "),
        good.replacen('u', "U", 1),
        text(&bytes[..bytes.len() - 1]),
        text(&bytes[..20]),
        text(&damaged),
        text(&[&bytes[..], &[0]].concat()),
        text(&[&bytes[..], &bytes[..]].concat()),
        text(b"not gzip at all"),
    ] {
        assert!(
            matches!(Bits::decode(&bad), Err(StatusError::Encoding | StatusError::Size)),
            "{}",
            bad.chars().take(40).collect::<String>()
        );
    }
}

#[test]
fn a_set_bit_revokes_its_credential_and_no_other() {
    let signer = testing::consumer();
    let mut bits = Bits::clear();
    bits.set(94).unwrap();
    let list = StatusList::read(&verified(&signer, &claims(&signer, &bits)), &address()).unwrap();
    for (index, set) in [(93, false), (94, true), (95, false), (0, false)] {
        assert_eq!(list.is_set(&entry(index), signer.did()), Ok(set), "{index}");
    }
    assert_eq!(list.is_set(&entry(MIN_BITS), signer.did()), Err(StatusError::Index));
}

#[test]
fn a_list_of_another_issuer_address_purpose_or_type_says_nothing() {
    let signer = testing::consumer();
    let good = claims(&signer, &Bits::clear());
    let list = StatusList::read(&verified(&signer, &good), &address()).unwrap();
    assert_eq!(
        list.is_set(&entry(1), "did:web:lycee.example"),
        Err(StatusError::WrongList)
    );
    let suspension = StatusEntry {
        purpose: "suspension".into(),
        ..entry(1)
    };
    assert_eq!(list.is_set(&suspension, signer.did()), Err(StatusError::WrongList));
    let elsewhere = Url::parse("https://a.example/status/2.jwt").unwrap();
    assert_eq!(
        StatusList::read(&verified(&signer, &good), &elsewhere),
        Err(StatusError::WrongList)
    );
    for (pointer, value) in [
        ("/type/1", json!("MembershipCredential")),
        ("/id", json!("https://a.example/status/3.jwt")),
        ("/credentialSubject/type", json!("RevocationList2020")),
        ("/credentialSubject/statusPurpose", json!(1)),
        ("/credentialSubject/encodedList", json!(null)),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).unwrap() = value;
        assert_eq!(
            StatusList::read(&verified(&signer, &bad), &address()),
            Err(StatusError::WrongList),
            "{pointer}"
        );
    }
}

#[test]
fn a_list_counts_for_a_week_at_most_and_gives_way_to_newer_ones_only() {
    let signer = testing::consumer();
    let read = |from: Option<&str>, until: Option<&str>| {
        let mut claims = claims(&signer, &Bits::clear());
        claims["validFrom"] = json!(from);
        claims["validUntil"] = json!(until);
        claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        StatusList::read(&verified(&signer, &claims), &address())
    };
    assert_eq!(read(None, Some("2026-06-02T00:00:00Z")), Err(StatusError::Undated));
    let at = |text: &str| text.parse().unwrap();
    let (old, new) = (
        read(Some("2026-05-31T00:00:00Z"), None).unwrap(),
        read(Some("2026-06-01T00:00:00Z"), Some("2026-06-02T00:00:00Z")).unwrap(),
    );
    assert!(old.counts(at("2026-06-06T23:59:59Z")) && !old.counts(at("2026-06-07T00:00:00Z")));
    assert!(new.counts(at("2026-06-01T23:59:59Z")) && !new.counts(at("2026-06-02T00:00:00Z")));
    assert_eq!(new.follows(Some(&old), now()), Ok(()));
    assert_eq!(new.follows(Some(&new), now()), Ok(()));
    assert_eq!(old.follows(Some(&new), now()), Err(StatusError::RolledBack));
    assert_eq!(new.follows(None, at("2026-06-02T00:00:00Z")), Err(StatusError::Expired));
    // The newer one is over, and still keeps the older one out as long as that would count.
    assert!(new.is_needed(at("2026-06-07T23:59:59Z")) && !new.is_needed(at("2026-06-08T00:00:00Z")));
}

#[test]
fn every_entry_that_cannot_be_checked_is_refused() {
    let read = |value: Value| StatusEntry::all(json!({"credentialStatus": value}).as_object().unwrap());
    let good = StatusEntry::write(&address(), 94);
    assert_eq!(read(good.clone()).unwrap(), [entry(94)]);
    assert_eq!(read(json!([good, good])).unwrap().len(), 2);
    assert_eq!(StatusEntry::all(&Map::new()).unwrap(), []);
    for (name, value) in [
        ("type", json!("StatusList2021Entry")),
        ("type", json!(["BitstringStatusListEntry"])),
        ("statusPurpose", json!("message")),
        ("statusPurpose", json!(null)),
        ("statusListIndex", json!(94)),
        ("statusListIndex", json!("-1")),
        ("statusListIndex", json!("+1")),
        ("statusListIndex", json!(" 1")),
        ("statusListIndex", json!("")),
        ("statusListIndex", json!("99999999999999999999999")),
        ("statusListCredential", json!("no address")),
        ("statusListCredential", json!(null)),
    ] {
        let mut bad = good.clone();
        bad[name] = value.clone();
        assert_eq!(read(bad), Err(StatusError::Entry), "{name} {value}");
    }
    assert_eq!(read(json!(null)), Err(StatusError::Entry));
    assert_eq!(read(json!([good, good, good])), Err(StatusError::Entry));
}
