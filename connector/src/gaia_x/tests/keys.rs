//! Which key counts: by its document and purpose, and by the certificates that speak for it.

use super::*;

#[test]
fn a_key_counts_by_its_document_and_purpose() {
    let world = World::new(Algorithm::Es256);
    let (token, presentation) = (world.token("issuer"), world.description().presentation);
    let judged = |edit: &dyn Fn(&mut Value), token: &str| {
        let mut evidence = world.evidence();
        edit(&mut evidence.documents[0]);
        judge(token, &evidence).map(drop)
    };
    assert_eq!(judged(&|_| {}, &token), Ok(()), "the twin");
    assert_eq!(
        judged(&|document| document["id"] = json!("did:web:other.example"), &token),
        Err("no-did-document")
    );
    assert_eq!(
        judged(&|document| document["assertionMethod"] = json!([]), &token),
        Err("unlisted-key")
    );
    assert_eq!(
        judged(&|document| document["authentication"] = json!([]), &token),
        Ok(())
    );
    assert_eq!(
        judged(&|document| document["authentication"] = json!([]), &presentation),
        Err("unlisted-key")
    );
    assert_eq!(
        judged(
            &|document| document["verificationMethod"][0]["controller"] = json!("did:web:x"),
            &token
        ),
        Err("unlisted-key")
    );
    let twice = |document: &mut Value| {
        let method = document["verificationMethod"][0].clone();
        document["verificationMethod"].as_array_mut().unwrap().push(method);
    };
    assert_eq!(judged(&twice, &token), Err("unlisted-key"));
    let wrong = |document: &mut Value| document["verificationMethod"][0]["publicKeyJwk"]["alg"] = json!("EdDSA");
    assert_eq!(judged(&wrong, &token), Err("unusable-key"));
}

#[test]
fn certificates_hold_the_whole_key_name_the_host_and_lead_to_an_anchor() {
    let world = World::new(Algorithm::Es256);
    let token = world.token("issuer");
    let with = |edit: &dyn Fn(&mut Certificates)| {
        let mut evidence = world.evidence();
        edit(&mut evidence.certificates);
        judge(&token, &evidence).map(drop)
    };
    let chain = |pem: &str| vec![Chain::from_pem(pem.as_bytes(), "a test").unwrap()];
    assert_eq!(with(&|_| {}), Ok(()), "the twin");
    assert_eq!(with(&|given| given.chains.clear()), Err("no-chain"));
    assert_eq!(with(&|given| given.anchors = None), Err("no-anchors"));
    let other = World::new(Algorithm::Es256);
    assert_eq!(
        with(&|given| given.anchors = other.evidence().certificates.anchors),
        Err("untrusted-certificate")
    );
    for (host, years, expected) in [
        ("other.example", 2026..2028, Err("certificate-not-for-host")),
        ("lycee.example", 2024..2025, Err("untrusted-certificate")),
        ("lycee.example", 2027..2028, Err("untrusted-certificate")),
    ] {
        let leaf = certificate(&world.authority, world.signer.key(), host, years.clone());
        assert_eq!(with(&|given| given.chains = chain(&leaf)), expected, "{host} {years:?}");
    }
    // The mirrored point has the same x: who compares that alone takes another key for this one.
    let mut evidence = world.evidence();
    let jwk = &mut evidence.documents[0]["verificationMethod"][0]["publicKeyJwk"];
    jwk["y"] = json!(mirrored(jwk["y"].as_str().unwrap()));
    let claims = claims_of(&token);
    let forged = world.raw("vc+jwt", &claims);
    assert_eq!(
        judge(&forged, &evidence).unwrap_err(),
        "bad-signature",
        "the signature comes first"
    );
    let Certificates { chains, .. } = world.evidence().certificates;
    assert!(chains[0].holds(&world.signer.key().public_jwk()).is_ok());
    assert!(
        chains[0]
            .holds(&evidence.documents[0]["verificationMethod"][0]["publicKeyJwk"])
            .is_err()
    );
}

/// p - y on P-256.
fn mirrored(y: &str) -> String {
    let prime = crate::jose::testing::hex("ffffffff00000001000000000000000000000000ffffffffffffffffffffffff");
    let mut y = base64url::decode(y).unwrap();
    let mut borrow = 0;
    for (y, p) in y.iter_mut().zip(prime).rev() {
        let difference = i16::from(p) - i16::from(*y) - borrow;
        (*y, borrow) = (difference.rem_euclid(256) as u8, i16::from(difference < 0));
    }
    base64url::encode(&y)
}

#[test]
fn certificates_inside_the_key_count_as_those_beside_it() {
    let world = World::new(Algorithm::Es256);
    let mut evidence = world.evidence();
    let chain = evidence.certificates.chains.remove(0);
    evidence.documents[0]["verificationMethod"][0]["publicKeyJwk"]["x5c"] = chain.to_x5c();
    assert!(judge(&world.token("issuer"), &evidence).unwrap()[0].certified);
    evidence.documents[0]["verificationMethod"][0]["publicKeyJwk"]["x5c"] = json!(["AAAA"]);
    assert_eq!(
        judge(&world.token("issuer"), &evidence).unwrap_err(),
        "unreadable-certificates"
    );
    for gone in ["x5c", "x5u"] {
        let jwk = evidence.documents[0]["verificationMethod"][0]["publicKeyJwk"]
            .as_object_mut()
            .unwrap();
        jwk.shift_remove(gone);
    }
    let checked = judge(&world.token("issuer"), &evidence).unwrap();
    assert!(!checked[0].certified && checked[0].notes.contains(&"no certificate speaks for the key"));
}
