use super::*;

const DID: &str = "did:web:lycee.x.fr";

fn jwk() -> Value {
    json!({"kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"})
}

fn document() -> Value {
    json!({
        "id": DID,
        "verificationMethod": [
            {"id": format!("{DID}#both"), "type": "JsonWebKey2020", "controller": DID, "publicKeyJwk": jwk()},
            {"id": "#asserts", "type": "JsonWebKey2020", "controller": DID, "publicKeyJwk": jwk()},
            {"id": "#authenticates", "type": "JsonWebKey2020", "controller": DID, "publicKeyJwk": jwk()},
            {"id": "#retired", "type": "JsonWebKey2020", "controller": DID, "publicKeyJwk": jwk()},
        ],
        "assertionMethod": ["#both", format!("{DID}#asserts")],
        "authentication": [format!("{DID}#both"), "#authenticates"],
        "service": [
            {"id": "#x", "type": "Other", "serviceEndpoint": "https://a.example/x"},
            {"id": "#dsp", "type": "DataService", "serviceEndpoint": "https://a.example/.well-known/dspace-version"},
            {"id": "#vp", "type": "LinkedVerifiablePresentation", "serviceEndpoint": ["https://a.example/vp.jwt"]},
        ],
    })
}

fn read(document: &Value) -> Result<Document, DidError> {
    Document::read(&DID.parse().unwrap(), document)
}

#[test]
fn a_key_is_good_for_what_the_document_lists_it_for_and_nothing_else() {
    let found = read(&document()).unwrap();
    for (name, asserts, authenticates) in [
        ("both", true, true),
        ("asserts", true, false),
        ("authenticates", false, true),
        ("retired", false, false),
        ("absent", false, false),
    ] {
        let kid = format!("{DID}#{name}");
        assert_eq!(found.key(&kid).is_some(), asserts, "{name}");
        assert_eq!(found.key_for(&kid, Use::Assertion).is_some(), asserts, "{name}");
        assert_eq!(
            found.key_for(&kid, Use::Authentication).is_some(),
            authenticates,
            "{name}"
        );
        assert_eq!(found.method(&kid).is_some(), name != "absent", "{name}");
    }
    assert!(found.key("#both").is_none() && found.key("did:web:other.example#both").is_none());
    assert_eq!(found.root.unwrap().as_str(), "https://a.example/");
    assert_eq!(found.presentation.unwrap().as_str(), "https://a.example/vp.jwt");
}

#[test]
fn a_hidden_key_is_good_for_nothing_and_was_never_there() {
    let mut document = document();
    let other = crate::jose::testing::rfc8037_jwk();
    document["verificationMethod"][0]["publicKeyJwk"] = other.clone();
    let found = read(&document).unwrap();
    let jkt = VerifyingKey::from_jwk(&other).unwrap().thumbprint();
    let without = found.without(|key| *key == jkt).unwrap();
    let (gone, kept) = (format!("{DID}#both"), format!("{DID}#asserts"));
    assert!(without.key(&gone).is_none() && without.ever(&gone).is_none() && without.key(&kept).is_some());
    assert!(without.without(|key| *key == jkt).is_none(), "there is nothing to hide");
}

/// EDC compares with a regular expression in which a dot is any character; identities are equal or not.
#[test]
fn a_name_that_only_looks_like_it_is_another() {
    for id in [
        "did:web:lycee-x.fr",
        "did:web:lyceexx.fr",
        "did:web:lycee.x.fr:a",
        "did:web:LYCEE.x.fr",
        "",
    ] {
        let mut other = document();
        other["id"] = id.into();
        assert!(read(&other).is_err(), "{id}");
    }
    for kid in [
        "did:web:lycee-x.fr#k",
        "did:web:lycee.x.frx#k",
        "did:web:lycee.x.fr:a#k",
    ] {
        let mut foreign = document();
        foreign["verificationMethod"][0]["id"] = kid.into();
        foreign["assertionMethod"] = json!([kid]);
        assert!(read(&foreign).unwrap().key(kid).is_none(), "{kid}");
    }
    let mut controlled = document();
    controlled["verificationMethod"][0]["controller"] = "did:web:lycee-x.fr".into();
    assert!(read(&controlled).unwrap().key(&format!("{DID}#both")).is_none());
}

#[test]
fn two_methods_with_one_id_refuse_the_document_in_any_spelling() {
    for id in ["#both".to_owned(), format!("{DID}#both")] {
        let mut twice = document();
        twice["verificationMethod"][1]["id"] = id.into();
        assert!(read(&twice).is_err());
    }
}

#[test]
fn keys_of_other_kinds_are_passed_over_and_broken_ones_refuse_the_document_if_they_are_listed() {
    let with = |at: usize, jwk: Value| {
        let mut changed = document();
        changed["verificationMethod"][at]["publicKeyJwk"] = jwk;
        read(&changed)
    };
    let other = json!({"kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA"});
    assert!(with(0, other).unwrap().key(&format!("{DID}#both")).is_none());
    let mut broken = jwk();
    broken["x"] = "AA".into();
    assert!(with(0, broken.clone()).is_err());
    assert!(with(3, broken).is_ok(), "nobody uses it");
    let mut private = jwk();
    private["d"] = "AA".into();
    assert!(with(0, private).is_err());
}

fn url(did: &str) -> Result<String, DidError> {
    document_url(&did.parse().unwrap()).map(|url| url.to_string())
}

#[test]
fn did_web_maps_to_its_document() {
    assert_eq!(
        url("did:web:a.example").unwrap(),
        "https://a.example/.well-known/did.json"
    );
    assert_eq!(
        url("did:web:localhost%3A8443").unwrap(),
        "https://localhost:8443/.well-known/did.json"
    );
    assert_eq!(
        url("did:web:a.example:u:bob").unwrap(),
        "https://a.example/u/bob/did.json"
    );
}

#[test]
fn did_web_that_would_reach_elsewhere_is_refused() {
    for bad in [
        "did:web:a.example:b#c",
        "did:web:a.example:b?c",
        "did:web:a.example:b:%2e%2e:c",
        "did:web:a.example:%2E%2E",
        "did:key:z6Mk",
        "did:web:a.example%2Fx",
        "did:web:a@b.example",
        "did:web:a.example:..:x",
        "did:web:a.example::x",
        "did:web:a.example\\b",
    ] {
        assert!(url(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_key_that_only_verifies_leaves_every_relationship_and_stays_readable() {
    let did: ParticipantId = "did:web:a.example".parse().unwrap();
    let (old, new) = (crate::jose::testing::rfc8037_jwk(), crate::jose::testing::rfc7515_jwk());
    let mut own = Own::new(did.clone(), "https://a.example", "did:web:a.example#k2", new);
    own.keys.push(Published {
        kid: "did:web:a.example#k1".into(),
        jwk: old,
        uses: Uses::VerifyingOnly,
    });
    own.services
        .push(json!({"id": "did:web:a.example#x", "type": "X", "serviceEndpoint": "https://a.example/x"}));
    let document = own.document();
    assert_eq!(document["verificationMethod"].as_array().unwrap().len(), 2);
    for relationship in ["assertionMethod", "authentication", "capabilityInvocation"] {
        assert_eq!(
            document[relationship],
            json!(["did:web:a.example#k2"]),
            "{relationship}"
        );
    }
    assert_eq!(document["service"].as_array().unwrap().last().unwrap()["type"], "X");
    let read = Document::read(&did, &document).unwrap();
    assert!(read.key("did:web:a.example#k2").is_some());
    assert!(read.key("did:web:a.example#k1").is_none(), "it signs nothing any more");
}
