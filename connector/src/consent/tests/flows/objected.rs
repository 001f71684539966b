//! Objections (GDPR art. 21): what their receipts prove.

use super::{later::basis, restricted::dated, *};
use crate::consent::receipt::{
    KeyFault, ReceiptError, Shown,
    objection::{self, Proved},
};

async fn objected(consents: &Consents, subject: &str) -> (Objection, String) {
    let objection = NewObjection {
        subject: subject.into(),
        basis: basis(consents, "Marketing").await,
        actor: learner(),
    };
    let (objection, _) = consents.object(&objection, now()).await.unwrap();
    let receipts = consents.receipts(objection.id.as_str()).await.unwrap();
    let [receipt] = receipts.try_into().unwrap();
    (objection, receipt)
}

fn verify(consents: &Consents, receipts: &[String]) -> Result<Option<Proved>, ReceiptError> {
    objection::verify(receipts, dated(consents))
}

#[tokio::test]
async fn its_receipt_proves_when_to_what_and_at_whose_word_and_passes_for_nothing_else() {
    let consents = consents().await;
    let (kept, receipt) = objected(&consents, "anna").await;
    let proved = verify(&consents, std::slice::from_ref(&receipt)).unwrap().unwrap();
    assert_eq!((&proved.objection, &proved.basis), (&kept.id.to_string(), &kept.basis));
    assert_eq!(
        (proved.at, proved.role, proved.legal_basis),
        (now(), Role::Learner, LawfulBasis::PublicTask)
    );
    assert_eq!(proved.issuer, consents.holder().as_str());
    assert_eq!(proved.recipients, ["did:web:ft.example"]);
    assert_eq!(proved.purposes, ["https://w3id.org/dpv#Marketing"]);
    let hidden = proved.evidence.as_ref().is_some_and(|hash| !hash.contains("session"));
    assert!(hidden, "evidence is there as a hash");
    let alone = [receipt];
    let shown = receipt::prove(&alone, dated(&consents)).unwrap();
    assert_eq!(shown, Shown::Objection(proved));
    assert!(receipt::verify(&alone, key(&consents)).is_err(), "it is no consent");
    let restricted = receipt::restriction::verify(&alone, dated(&consents));
    assert_eq!(restricted, Ok(None));

    let given = consents.grant(vec![new("anna")], now()).await.unwrap().remove(0);
    let theirs = consents.receipts(given.consent.id.as_str()).await.unwrap();
    assert_eq!(verify(&consents, &theirs), Ok(None));
    let shown = receipt::prove(&theirs, dated(&consents)).unwrap();
    assert!(matches!(shown, Shown::Consent(proved) if proved.state == State::Given));
    assert_eq!(verify(&consents, &[]), Err(ReceiptError::Empty));
}

#[tokio::test]
async fn a_receipt_of_an_objection_that_nobody_could_make_proves_nothing() {
    let consents = consents().await;
    let (_, receipt) = objected(&consents, "anna").await;
    let (_, other) = objected(&consents, "ben").await;
    for more in [&receipt, &other] {
        let two = verify(&consents, &[receipt.clone(), more.clone()]);
        assert!(matches!(two, Err(ReceiptError::Wrong(1, _))), "there is one: {two:?}");
    }
    let stranger = objection::verify(std::slice::from_ref(&receipt), |_, _| Err(KeyFault::Unknown));
    assert!(matches!(stranger, Err(ReceiptError::Signature(0, _))));
    let kind = jose::token::Kind::Consent;
    let claims = jose::token::verify(&receipt, kind, key(&consents))
        .unwrap()
        .into_value();
    for (member, value) in [
        ("/dases:number", json!(1)),
        ("/dases:previousReceipt", json!("x")),
        ("/dases:issuer", json!("did:web:ft.example")),
        (
            "/dases:recordId",
            json!("urn:uuid:0198f2c4-7a31-7d20-8f00-3b6c1a9e5d11"),
        ),
        ("/dct:created", json!(days(1))),
        ("/dases:record/dases:role", json!("holder")),
        ("/dases:record/dases:basis", json!("the law")),
        ("/dases:record/dpv:hasLegalBasis", json!("eu-gdpr:A6-1-b")),
        ("/dases:record/dpv:hasLegalBasis", json!("eu-gdpr:A6-1-a")),
        ("/dases:record/dpv:isIndicatedAtTime", json!(days(1))),
        ("/dases:record/dpv:hasPurpose", json!(null)),
        (
            "/dases:record/dpv:hasDataController/0/dct:identifier",
            json!("did:web:ft.example"),
        ),
    ] {
        let mut claims = claims.clone();
        *claims.pointer_mut(member).unwrap() = value;
        let signed = jose::token::sign(&consents.trust.signer(), kind, &claims).unwrap();
        let refused = verify(&consents, &[signed]);
        assert!(
            matches!(refused, Err(ReceiptError::Wrong(0, _))),
            "{member}: {refused:?}"
        );
    }
}

#[tokio::test]
async fn a_basis_that_nobody_declared_is_not_taken_for_a_consent_that_is_missing() {
    let consents = consents().await;
    let basis = ConsentId::from_uuid(jose::uuid(now()).unwrap());
    let ended = consents.end_basis(&basis, now()).await;
    assert!(matches!(ended, Err(ConsentError::UnknownBasis)), "{ended:?}");
    let objection = NewObjection {
        subject: "anna".into(),
        basis,
        actor: learner(),
    };
    let refused = consents.object(&objection, now()).await;
    assert!(matches!(refused, Err(ConsentError::UnknownBasis)), "{refused:?}");
}
