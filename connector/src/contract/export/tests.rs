use super::*;
use crate::{
    jose::{
        Digest, Signer,
        agreement::{Parts, Party, Role},
        testing,
    },
    trust::did::{Own, Published, Uses},
};
use serde_json::json;

const NOW: Timestamp = Timestamp::from_seconds(1_767_225_600);

fn party(signer: &Signer, signs: bool) -> Party {
    Party {
        did: signer.did().to_owned(),
        jkt: signs.then(|| signer.key().verifying_key().thumbprint()),
    }
}

fn record(consumer_signs: bool) -> Record {
    Record::new(Parts {
        provider_pid: "urn:uuid:p".into(),
        consumer_pid: "urn:uuid:c".into(),
        provider: party(&testing::provider(), true),
        consumer: party(&testing::consumer(), consumer_signs),
        agreement: json!({"@id": "urn:uuid:a", "assigner": "did:web:lycee.example", "assignee": "did:web:ft.example"}),
        transcript: Digest::EMPTY,
        claims_hash: None,
        offer_hash: None,
        rulebook_hash: None,
    })
    .unwrap()
}

fn key_of(signer: &Signer) -> PublishedKey {
    PublishedKey::of(signer.kid(), signer.key().verifying_key())
}

/// Both parties' export, and the provider's alone.
fn exports() -> [AgreementExport; 2] {
    let (provider, consumer) = (testing::provider(), testing::consumer());
    let by_provider = |record: &Record| record.sign(&provider, Role::Assigner, NOW).unwrap();
    let both = record(true);
    let by_consumer = both.sign(&consumer, Role::Assignee, NOW).unwrap();
    let signature = by_provider(&both);
    let both = Document::assemble(both, &signature, &by_consumer)
        .unwrap()
        .to_bytes()
        .unwrap();
    let one = record(false);
    let signature = by_provider(&one);
    let one = SingleDocument::assemble(one, &signature).unwrap().to_bytes().unwrap();
    let document = |bytes: &[u8]| serde_json::from_slice(bytes).unwrap();
    [
        AgreementExport::new(document(&both), vec![key_of(&provider), key_of(&consumer)]),
        AgreementExport::new(document(&one), vec![key_of(&provider)]),
    ]
}

fn bytes(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap()
}

/// A party's DID document, in which its key has this use.
fn did_document(signer: &Signer, uses: Uses) -> DidDocument {
    let did = signer.did().parse().unwrap();
    let mut own = Own::empty(did, "https://x.example");
    own.keys.push(Published {
        kid: signer.kid().to_owned(),
        jwk: signer.key().public_jwk(),
        uses,
    });
    DidDocument::read(&own.did, &own.document()).unwrap()
}

#[test]
fn an_export_says_who_signed_and_where_the_keys_came_from() {
    let [both, one] = exports();
    let checked = verify_export(&bytes(&both)).unwrap();
    assert!(checked.is_complete());
    assert_eq!((checked.signatures_valid, checked.signed_by), (2, "both parties"));
    assert_eq!(checked.keys_from, KeySource::File);
    let shown = json!(checked);
    assert_eq!(shown["parties"][1]["kid"], "did:web:ft.example#k1");
    assert_eq!(shown["parties"][0]["at"], "2026-01-01T00:00:00Z");

    let checked = verify_export(&bytes(&one)).unwrap();
    assert!(!checked.is_complete());
    assert_eq!((checked.signatures_valid, checked.signed_by), (1, "one party"));
    let shown = json!(checked);
    assert_eq!(
        shown["parties"][1],
        json!({"role": "assignee", "did": "did:web:ft.example"})
    );
}

#[test]
fn keys_of_did_documents_count_alone_retired_ones_included() {
    let [both, one] = exports();
    for uses in [Uses::Signing, Uses::VerifyingOnly] {
        let documents = [
            did_document(&testing::provider(), uses),
            did_document(&testing::consumer(), uses),
        ];
        for file in [bytes(&both), bytes(&both.document)] {
            let checked = verify_with(&file, &documents).unwrap();
            assert!(checked.is_complete() && checked.keys_from == KeySource::DidDocuments);
        }
        assert!(!verify_with(&bytes(&one.document), &documents).unwrap().is_complete());
    }
    // The file brings both keys, but only one party's document was given.
    let refused = verify_with(&bytes(&both), &[did_document(&testing::provider(), Uses::Signing)]);
    assert!(
        matches!(&refused, Err(VerifyError::Agreement(AgreementError::Parties(failures)))
            if failures.len() == 1 && failures[0].role == Role::Assignee && failures[0].reason == JoseError::UnknownKey),
        "{refused:?}"
    );
    // Another key under the same name.
    let impostor = Signer::new("did:web:ft.example#k1", testing::rfc8037_private()).unwrap();
    let documents = [
        did_document(&testing::provider(), Uses::Signing),
        did_document(&impostor, Uses::Signing),
    ];
    assert!(matches!(
        verify_with(&bytes(&both), &documents),
        Err(VerifyError::Agreement(AgreementError::Parties(failures))) if failures[0].reason == JoseError::WrongKey
    ));
}

#[test]
fn a_bare_document_needs_did_documents() {
    let [both, _] = exports();
    assert!(matches!(
        verify_export(&bytes(&both.document)),
        Err(VerifyError::NoKeys)
    ));
}

#[test]
fn an_agreement_of_both_with_one_signature_fails_and_names_who_is_missing() {
    let [mut both, one] = exports();
    both.document["signatures"].as_array_mut().unwrap().remove(0);
    assert!(matches!(
        verify_export(&bytes(&both)),
        Err(VerifyError::Agreement(AgreementError::Parties(failures)))
            if failures.len() == 1 && failures[0].role == Role::Assigner && failures[0].reason == JoseError::SignatureMissing
    ));
    let mut emptied = one.clone();
    emptied.document["signatures"] = json!([]);
    assert!(verify_export(&bytes(&emptied)).is_err());
    let mut without_key = one;
    without_key.keys.clear();
    assert!(verify_export(&bytes(&without_key)).is_err());
}
