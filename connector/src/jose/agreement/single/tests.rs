use super::*;
use crate::jose::{
    Digest,
    agreement::{Document, Parts, Party, transcript},
    digest::sha256,
    testing,
};
use policy::Timestamp;

const SIGNED_AT: Timestamp = Timestamp::from_seconds(1_767_225_600);

fn parts(provider: Option<Digest>, consumer: Option<Digest>) -> Parts {
    let party = |did: &str, jkt| Party {
        did: did.to_owned(),
        jkt,
    };
    Parts {
        provider_pid: "urn:uuid:a343fcbf-99fc-4ce8-8e9b-148c97605aab".into(),
        consumer_pid: "urn:uuid:32541fe6-c580-409e-85a8-8a9a32fbe833".into(),
        provider: party("did:web:lycee.example", provider),
        consumer: party("did:web:ft.example", consumer),
        agreement: json!({"@id": "urn:uuid:1", "assigner": "did:web:lycee.example", "assignee": "did:web:ft.example"}),
        transcript: Digest::EMPTY,
        claims_hash: None,
        offer_hash: None,
        rulebook_hash: None,
    }
}

fn provider_jkt() -> Option<Digest> {
    Some(testing::rfc8037_public().thumbprint())
}

fn consumer_jkt() -> Option<Digest> {
    Some(testing::rfc7515_public().thumbprint())
}

fn keys(kid: &str) -> Option<VerifyingKey> {
    match kid {
        "did:web:lycee.example#k7" => Some(testing::rfc8037_public()),
        "did:web:ft.example#k1" => Some(testing::rfc7515_public()),
        _ => None,
    }
}

fn by_provider() -> SingleDocument {
    let record = Record::new(parts(provider_jkt(), None)).unwrap();
    let signature = record.sign(&testing::provider(), Role::Assigner, SIGNED_AT).unwrap();
    SingleDocument::assemble(record, &signature).unwrap()
}

fn by_consumer() -> SingleDocument {
    let record = Record::new(parts(None, consumer_jkt())).unwrap();
    let signature = record.sign(&testing::consumer(), Role::Assignee, SIGNED_AT).unwrap();
    SingleDocument::assemble(record, &signature).unwrap()
}

#[test]
fn the_signature_of_either_party_stands_alone_and_says_whose_it_is() {
    for (document, role, kid) in [
        (by_provider(), Role::Assigner, "did:web:lycee.example#k7"),
        (by_consumer(), Role::Assignee, "did:web:ft.example#k1"),
    ] {
        let bytes = document.to_bytes().unwrap();
        assert_eq!(SingleDocument::fits(&bytes), Ok(true));
        let read = SingleDocument::parse(&bytes).unwrap();
        assert_eq!(read, document);
        let verified = read.verify(keys).unwrap();
        assert_eq!((verified.role(), verified.signed().kid.as_str()), (role, kid));
        assert_eq!(verified.signed().at, SIGNED_AT);
    }
}

#[test]
fn it_is_never_read_as_an_agreement_of_both() {
    for (document, absent) in [(by_provider(), Role::Assignee), (by_consumer(), Role::Assigner)] {
        match Document::parse(&document.to_bytes().unwrap()) {
            Err(AgreementError::Parties(failures)) => {
                let named: Vec<_> = failures
                    .iter()
                    .map(|failure| (failure.role, failure.reason.clone()))
                    .collect();
                assert_eq!(named, [(absent, JoseError::SignatureMissing)]);
            }
            other => panic!("{other:?}"),
        }
    }
    // Nor with a second signature put beside the first: the record does not name that key.
    let record = by_provider().record().clone();
    let two = Record::new(parts(provider_jkt(), consumer_jkt())).unwrap();
    let other = two.sign(&testing::consumer(), Role::Assignee, SIGNED_AT).unwrap();
    let own = record.sign(&testing::provider(), Role::Assigner, SIGNED_AT).unwrap();
    assert!(matches!(
        Document::assemble(record.clone(), &own, &other),
        Err(AgreementError::Parties(failures)) if failures[0].role == Role::Assignee
    ));
    assert_eq!(
        record.sign(&testing::consumer(), Role::Assignee, SIGNED_AT),
        Err(JoseError::WrongKey)
    );
}

#[test]
fn an_agreement_of_both_that_lost_a_signature_is_not_one_of_one_party() {
    let record = Record::new(parts(provider_jkt(), consumer_jkt())).unwrap();
    let own = record.sign(&testing::provider(), Role::Assigner, SIGNED_AT).unwrap();
    let other = record.sign(&testing::consumer(), Role::Assignee, SIGNED_AT).unwrap();
    let missing = Err(AgreementError::Document(JoseError::SignatureMissing));
    assert_eq!(SingleDocument::assemble(record.clone(), &own), missing);
    let whole = Document::assemble(record, &own, &other).unwrap().to_bytes().unwrap();
    assert_eq!(SingleDocument::fits(&whole), Ok(false));
    let mut stripped: serde_json::Value = serde_json::from_slice(&whole).unwrap();
    stripped["signatures"].as_array_mut().unwrap().pop();
    assert_eq!(SingleDocument::parse(stripped.to_string().as_bytes()), missing);
}

#[test]
fn a_record_names_the_key_of_one_party_at_least() {
    assert_eq!(
        Record::new(parts(None, None)),
        Err(AgreementError::Record(JoseError::MissingMember("jkt")))
    );
}

#[test]
fn the_one_signature_is_checked_like_each_of_two() {
    let good: serde_json::Value = serde_json::from_slice(&by_provider().to_bytes().unwrap()).unwrap();
    let with = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut value = good.clone();
        change(&mut value);
        SingleDocument::parse(value.to_string().as_bytes()).and_then(|document| document.verify(keys).map(|_| ()))
    };
    assert_eq!(with(&|_| {}), Ok(()));
    let of_consumer: serde_json::Value = serde_json::from_slice(&by_consumer().to_bytes().unwrap()).unwrap();
    let reason = |result: Result<(), AgreementError>| match result {
        Err(AgreementError::Parties(failures)) => failures[0].reason.clone(),
        other => panic!("{other:?}"),
    };
    let swapped = with(&|value| value["signatures"] = of_consumer["signatures"].clone());
    assert_eq!(reason(swapped), JoseError::WrongParty);
    let other_text = with(&|value| {
        let mut parts = parts(provider_jkt(), None);
        parts.consumer_pid = "urn:uuid:other".into();
        value["payload"] = base64url::encode(Record::new(parts).unwrap().bytes()).into();
    });
    assert_eq!(reason(other_text), JoseError::BadSignature);
    assert_eq!(
        reason(
            SingleDocument::parse(good.to_string().as_bytes())
                .unwrap()
                .verify(|_| None)
                .map(|_| ())
        ),
        JoseError::UnknownKey
    );
    assert_eq!(
        with(&|value| {
            let one = value["signatures"][0].clone();
            value["signatures"].as_array_mut().unwrap().push(one);
        }),
        Err(AgreementError::Document(JoseError::Malformed(
            "more than one signature over a record of one"
        )))
    );
    for member in ["header", "protect"] {
        let malformed = with(&|value| value["signatures"][0][member] = json!({}));
        assert_eq!(reason(malformed), JoseError::UnknownMember(member.into()));
    }
}

/// Computed with Python: `sha256(sha256(b"request") + sha256(b"offer") + sha256(b"accepted"))`, base64url.
#[test]
fn the_transcript_is_the_hash_over_the_ordered_hashes_of_the_bodies() {
    let bodies = [&b"request"[..], b"offer", b"accepted"].map(sha256);
    assert_eq!(
        transcript(&bodies).to_string(),
        "DYLRf8grli0fb2gZKzy7QJrxJ9_RvugpU1vyfh2S-r4"
    );
    let mut other = bodies;
    other.swap(0, 1);
    assert_ne!(transcript(&other), transcript(&bodies), "the order counts");
    assert_eq!(
        transcript(&[]),
        Digest::EMPTY,
        "as in the known answer of the agreement"
    );
    assert_eq!(transcript(&[sha256(b"x")]), sha256(sha256(b"x").as_bytes()));
}
