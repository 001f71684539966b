mod keys;

use super::{
    chain::{Certificates, Chain},
    *,
};
use crate::jose::{
    Algorithm, Signer, SigningKey, base64url,
    credential::{self, Form},
    sha256,
};
use policy::Timestamp;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};

const DID: &str = "did:web:lycee.example";
const KID: &str = "did:web:lycee.example#k1";

/// A participant with a key, a certificate of it, and the authority that signed that.
struct World {
    signer: Signer,
    authority: Issuer<'static, KeyPair>,
    anchor: String,
    leaf: String,
}

fn now() -> Timestamp {
    "2026-11-26T12:00:00Z".parse().unwrap()
}

fn certificate(authority: &Issuer<'_, KeyPair>, key: &SigningKey, host: &str, years: std::ops::Range<i32>) -> String {
    let key = KeyPair::from_pem(&String::from_utf8(key.to_pem().unwrap()).unwrap()).unwrap();
    let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
    (params.not_before, params.not_after) = (
        rcgen::date_time_ymd(years.start, 1, 1),
        rcgen::date_time_ymd(years.end, 1, 1),
    );
    params.signed_by(&key, authority).unwrap().pem()
}

impl World {
    fn new(algorithm: Algorithm) -> Self {
        let key = SigningKey::generate(algorithm).unwrap();
        let own = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let anchor = params.self_signed(&own).unwrap().pem();
        let authority = Issuer::new(params, own);
        Self {
            leaf: certificate(&authority, &key, "lycee.example", 2026..2028),
            signer: Signer::new(KID, key).unwrap(),
            authority,
            anchor,
        }
    }

    fn document(&self) -> Value {
        let mut jwk = self.signer.key().public_jwk();
        jwk["x5u"] = json!("https://lycee.example/.well-known/x509CertificateChain.pem");
        json!({"id": DID, "assertionMethod": [KID], "authentication": ["#k1"], "verificationMethod":
            [{"id": KID, "type": "JsonWebKey2020", "controller": DID, "publicKeyJwk": jwk}]})
    }

    fn evidence(&self) -> Evidence {
        let read = |pem: &str| Chain::from_pem(pem.as_bytes(), "a test").unwrap();
        Evidence {
            documents: vec![self.document()],
            certificates: Certificates {
                chains: vec![read(&self.leaf)],
                anchors: Some(read(&self.anchor)),
            },
        }
    }

    fn description(&self) -> Description {
        describe(&self.signer, &participant(), now()).unwrap()
    }

    fn token(&self, name: &str) -> String {
        let description = self.description();
        description
            .credentials
            .into_iter()
            .find(|(known, _)| *known == name)
            .unwrap()
            .1
    }

    /// Any header and claims, rightly signed.
    fn raw(&self, typ: &str, claims: &Value) -> String {
        raw(&self.signer, typ, claims)
    }

    /// A clearing house: what signs its labels, and the evidence with what speaks for its key beside ours.
    fn clearing_house(&self) -> (Signer, Evidence) {
        let key = SigningKey::generate(Algorithm::Es256).unwrap();
        let leaf = certificate(&self.authority, &key, "clearing.example", 2026..2028);
        let signer = Signer::new("did:web:clearing.example#k1", key).unwrap();
        let mut evidence = self.evidence();
        let chain = Chain::from_pem(leaf.as_bytes(), "a test").unwrap();
        evidence.certificates.chains.push(chain);
        let method = json!({"id": signer.kid(), "controller": signer.did(), "publicKeyJwk": signer.key().public_jwk()});
        evidence
            .documents
            .push(json!({"id": signer.did(), "assertionMethod": [signer.kid()], "verificationMethod": [method]}));
        (signer, evidence)
    }

    fn check(&self, token: &str) -> Result<Vec<Checked>, &'static str> {
        judge(token, &self.evidence())
    }
}

fn raw(signer: &Signer, typ: &str, claims: &Value) -> String {
    let header = json!({"alg": signer.key().algorithm().name(), "kid": signer.kid(), "typ": typ});
    let encode = |value: &Value| base64url::encode(value.to_string().as_bytes());
    let input = format!("{}.{}", encode(&header), encode(claims));
    let signature = signer.key().sign(input.as_bytes()).unwrap();
    format!("{input}.{}", base64url::encode(&signature))
}

fn judge(token: &str, evidence: &Evidence) -> Result<Vec<Checked>, &'static str> {
    verify(&[("a test".into(), token.to_owned())], evidence, now()).map_err(|refused| refused.error.name())
}

fn participant() -> Participant {
    Participant {
        legal_name: "Lycée Curie".into(),
        country: "FR".into(),
        headquarters: "FR".into(),
        registration: Registration::SelfDeclared(Number {
            kind: NumberKind::Vat,
            value: "FR40303265045".into(),
        }),
        offering: Some(Offering {
            name: "Skills records".into(),
            terms_url: "https://lycee.example/terms".parse().unwrap(),
            terms_hash: "0".repeat(64),
        }),
    }
}

fn claims_of(token: &str) -> Value {
    serde_json::from_slice(&base64url::decode(token.split('.').nth(1).unwrap()).unwrap()).unwrap()
}

#[test]
fn a_self_description_verifies_and_says_what_it_is_not() {
    for algorithm in [Algorithm::Es256, Algorithm::EdDsa] {
        let world = World::new(algorithm);
        let checked = world.check(&world.description().presentation).unwrap();
        let types: Vec<_> = checked.iter().map(|one| one.types.last().unwrap().as_str()).collect();
        assert_eq!(
            types,
            [
                "VerifiablePresentation",
                "gx:VatID",
                "gx:LegalPerson",
                "gx:Issuer",
                "gx:ServiceOffering"
            ]
        );
        assert!(
            checked
                .iter()
                .all(|one| one.certified && one.issuer == DID && one.valid_until.is_some())
        );
        assert!(
            checked[1].notes.iter().any(|note| note.contains("self-declared")),
            "{:?}",
            checked[1].notes
        );
        assert!(
            checked[2..]
                .iter()
                .all(|one| one.notes.iter().all(|note| !note.contains("self-declared")))
        );
        for (name, token) in world.description().credentials {
            assert_eq!(world.check(&token).unwrap().len(), 1, "{name}");
        }
    }
}

#[test]
fn the_terms_and_addresses_are_there() {
    let world = World::new(Algorithm::Es256);
    let issuer = claims_of(&world.token("issuer"));
    assert_eq!(issuer["credentialSubject"]["gx:gaiaxTermsAndConditions"], TERMS);
    assert_eq!(
        issuer["@context"],
        json!(["https://www.w3.org/ns/credentials/v2", CONTEXT])
    );
    let person = claims_of(&world.token("legal-person"));
    assert_eq!(person["credentialSubject"]["gx:legalAddress"]["gx:countryCode"], "FR");
    let number = claims_of(&world.token("registration-number"));
    assert_eq!(
        person["credentialSubject"]["gx:registrationNumber"]["id"],
        number["credentialSubject"]["id"]
    );
    assert!(number["description"].as_str().unwrap().starts_with("Self-declared"));
}

#[test]
fn five_broken_ones_are_refused_each_by_name() {
    let world = World::new(Algorithm::Es256);
    let good = claims_of(&world.token("legal-person"));
    let with = |member: &str, value: Value| {
        let mut claims = good.clone();
        claims[member] = value;
        claims
    };
    assert!(world.check(&world.raw("vc+jwt", &good)).is_ok(), "the twin");
    let other = World::new(Algorithm::Es256);
    let mut unlike = world.evidence();
    unlike.certificates.chains = other.evidence().certificates.chains;
    let signed = world.raw("vc+jwt", &with("issuer", json!("did:web:lycee-example")));
    assert_eq!(world.check(&signed).unwrap_err(), "wrong-issuer");
    assert_eq!(
        judge(&world.raw("vc+jwt", &good), &unlike).unwrap_err(),
        "key-not-in-certificate"
    );
    let expired = with("validUntil", json!("2026-11-26T11:58:59Z"));
    assert_eq!(world.check(&world.raw("vc+jwt", &expired)).unwrap_err(), "expired");
    for typ in [
        "JWT",
        "vc",
        "vc+ld",
        "VC+JWT",
        "xvc+jwt",
        "vc+jwtx",
        "dases-receipt+jws",
    ] {
        assert_eq!(world.check(&world.raw(typ, &good)).unwrap_err(), "wrong-typ", "{typ}");
    }
    let (house, evidence) = world.clearing_house();
    let altered = labelled(&world, &house, |digest| digest.replacen(['0', '1', '2', '3'], "f", 1));
    assert_eq!(
        judge(&presented(&world, altered), &evidence).unwrap_err(),
        "altered-digest"
    );
    let good = presented(&world, labelled(&world, &house, |digest| digest));
    assert!(judge(&good, &evidence).is_ok(), "the twin");
}

#[test]
fn nobody_labels_itself_and_whose_label_counts_is_left_to_the_reader() {
    let world = World::new(Algorithm::Es256);
    let (house, evidence) = world.clearing_house();
    let by = |signer: &Signer| labelled(&world, signer, |digest| digest);
    let checked = judge(&presented(&world, by(&house)), &evidence).unwrap();
    let note = "whether its issuer is one that may give labels is not judged here";
    assert!(checked.last().unwrap().notes.contains(&note));
    assert!(checked.iter().filter(|one| one.notes.contains(&note)).count() == 1);
    let own = by(&world.signer);
    assert_eq!(
        judge(&presented(&world, own.clone()), &evidence).unwrap_err(),
        "own-label"
    );
    // The same, file by file, without a presentation.
    let tokens = |all: &[String]| -> Vec<_> { all.iter().map(|token| ("a test".to_owned(), token.clone())).collect() };
    let refused = verify(&tokens(&own), &evidence, now()).unwrap_err();
    assert_eq!(refused.error.name(), "own-label");
    assert!(verify(&tokens(&by(&house)), &evidence, now()).is_ok(), "the twin");
}

/// Our credentials and a label over them; the legal person's digest goes through `edit`.
fn labelled(world: &World, by: &Signer, edit: impl Fn(String) -> String) -> Vec<String> {
    let credentials = world.description().credentials;
    let covered: Vec<Value> = credentials
        .iter()
        .map(|(name, token)| {
            let claims = claims_of(token);
            let digest = sha256(token.as_bytes()).to_hex();
            let digest = if *name == "legal-person" { edit(digest) } else { digest };
            json!({"id": claims["id"], "type": claims["type"][1], "gx:digestSRI": format!("sha256-{digest}")})
        })
        .collect();
    let label = json!({
        "@context": [credential::CONTEXT, CONTEXT], "id": "urn:uuid:label", "type": ["VerifiableCredential", "gx:LabelCredential"],
        "issuer": by.did(), "validFrom": now(),
        "credentialSubject": {"id": "urn:uuid:label-subject", "gx:labelLevel": "SC", "gx:compliantCredentials": covered},
    });
    let mut all: Vec<String> = credentials.into_iter().map(|(_, token)| token).collect();
    all.push(raw(by, "vc+jwt", &label));
    all
}

fn presented(world: &World, tokens: Vec<String>) -> String {
    let credentials = tokens.iter().map(|token| credential::enveloped(token)).collect();
    presented_as(world, credentials)
}

fn presented_as(world: &World, credentials: Vec<Value>) -> String {
    let claims = json!({"@context": [credential::CONTEXT], "id": "urn:uuid:vp", "type": ["VerifiablePresentation"], "holder": DID,
        "verifiableCredential": credentials});
    credential::issue(&world.signer, Form::Presentation, &claims).unwrap()
}

#[test]
fn who_is_late_is_told_so_only_when_it_is_who_it_says() {
    let world = World::new(Algorithm::Es256);
    let mut claims = claims_of(&world.token("issuer"));
    claims["validUntil"] = json!("2020-01-01T00:00:00Z");
    let late = world.raw("vc+jwt", &claims);
    let mut evidence = world.evidence();
    evidence.certificates.anchors = None;
    assert_eq!(judge(&late, &evidence).unwrap_err(), "no-anchors");
    assert_eq!(world.check(&late).unwrap_err(), "expired");
}

#[test]
fn what_a_presentation_carries_must_fit_together() {
    let world = World::new(Algorithm::Es256);
    let envelop = |token: &str| credential::enveloped(token);
    let (person, number, issuer) = (
        world.token("legal-person"),
        world.token("registration-number"),
        world.token("issuer"),
    );
    let says = |credentials: Vec<Value>| world.check(&presented_as(&world, credentials)).map(drop);
    assert_eq!(
        says(vec![envelop(&person), envelop(&number), envelop(&issuer)]),
        Ok(()),
        "the twin"
    );
    assert_eq!(says(vec![envelop(&person), envelop(&issuer)]), Err("no-registration"));
    assert_eq!(says(vec![envelop(&number), envelop(&number)]), Err("ids-not-distinct"));
    assert_eq!(
        says(vec![json!({"type": "VerifiableCredential", "id": "x"})]),
        Err("not-enveloped")
    );
    let mut claims = claims_of(&person);
    claims["credentialSubject"]["id"] = claims["id"].clone();
    assert_eq!(
        world.check(&world.raw("vc+jwt", &claims)).unwrap_err(),
        "ids-not-distinct"
    );
    let mut claims = claims_of(&person);
    claims["credentialSubject"]["id"] = json!("did:web:other.example#legal-person");
    assert_eq!(
        says(vec![envelop(&world.raw("vc+jwt", &claims)), envelop(&number)]),
        Err("wrong-holder")
    );
    for gone in ["gx:legalAddress", "gx:headquartersAddress", "gx:registrationNumber"] {
        let mut claims = claims_of(&person);
        claims["credentialSubject"].as_object_mut().unwrap().shift_remove(gone);
        assert_eq!(
            world.check(&world.raw("vc+jwt", &claims)).unwrap_err(),
            "claim",
            "{gone}"
        );
    }
    let mut claims = claims_of(&issuer);
    claims["credentialSubject"]["gx:gaiaxTermsAndConditions"] = json!("0".repeat(64));
    assert_eq!(world.check(&world.raw("vc+jwt", &claims)).unwrap_err(), "unknown-terms");
    claims["credentialSubject"]["gx:gaiaxTermsAndConditions"] = json!(FORMER_TERMS);
    let checked = world.check(&world.raw("vc+jwt", &claims)).unwrap();
    assert!(
        checked[0]
            .notes
            .contains(&"the terms and conditions signed are former ones")
    );
}

#[test]
fn a_notarys_credential_is_passed_on_and_not_marked() {
    let (world, notary) = (World::new(Algorithm::Es256), World::new(Algorithm::EdDsa));
    let notary_did = "did:web:notary.example";
    let signer = Signer::new(&format!("{notary_did}#k"), notary.signer.key().clone()).unwrap();
    let claims = json!({"@context": [credential::CONTEXT, CONTEXT], "id": "urn:uuid:number", "type": ["VerifiableCredential", "gx:VatID"],
        "issuer": notary_did, "credentialSubject": {"id": "did:web:lycee.example#vat", "gx:vatID": "FR40303265045", "gx:countryCode": "FR"}});
    let token = credential::issue(&signer, Form::Credential, &claims).unwrap();
    let described = Participant {
        registration: Registration::Notarised(token.clone()),
        ..participant()
    };
    let description = describe(&world.signer, &described, now()).unwrap();
    assert!(description.credentials.contains(&("registration-number", token)));
    let mut evidence = world.evidence();
    let mut document = notary
        .document()
        .to_string()
        .replace(KID, signer.kid())
        .replace(DID, notary_did);
    document = document.replace("#k1", "#k");
    evidence.documents.push(serde_json::from_str(&document).unwrap());
    let leaf = certificate(&world.authority, notary.signer.key(), "notary.example", 2026..2028);
    evidence
        .certificates
        .chains
        .push(Chain::from_pem(leaf.as_bytes(), "a test").unwrap());
    let checked = judge(&description.presentation, &evidence).unwrap();
    assert_eq!(checked[1].issuer, notary_did);
    assert!(checked[1].notes.iter().all(|note| !note.contains("self-declared")));
    for bad in ["", "a.b.c", "no token"] {
        let described = Participant {
            registration: Registration::Notarised(bad.into()),
            ..participant()
        };
        assert_eq!(
            describe(&world.signer, &described, now()).unwrap_err().name(),
            "argument",
            "{bad:?}"
        );
    }
}

#[test]
fn arguments_that_cannot_be_right_are_refused() {
    let world = World::new(Algorithm::Es256);
    let refused = |change: &dyn Fn(&mut Participant)| {
        let mut changed = participant();
        change(&mut changed);
        describe(&world.signer, &changed, now())
            .map(drop)
            .map_err(|error| error.name())
    };
    let number = |kind, value: &str| {
        Registration::SelfDeclared(Number {
            kind,
            value: value.into(),
        })
    };
    assert_eq!(refused(&|_| {}), Ok(()), "the twin");
    assert_eq!(
        refused(&|one| one.registration = number(NumberKind::Lei, "529900T8BM49AURSDO55")),
        Ok(()),
        "a published LEI"
    );
    for bad in [
        "529900T8BM49AURSDO56",
        "529900t8bm49aursdo55",
        "529900T8BM49AURSDO5",
        "",
    ] {
        assert_eq!(
            refused(&|one| one.registration = number(NumberKind::Lei, bad)),
            Err("argument"),
            "{bad:?}"
        );
    }
    for bad in ["fr", "FRA", "F", "", "F1"] {
        assert_eq!(refused(&|one| one.country = bad.into()), Err("argument"), "{bad:?}");
        assert_eq!(
            refused(&|one| one.headquarters = bad.into()),
            Err("argument"),
            "{bad:?}"
        );
    }
    for bad in ["", "  ", "a\nb", &"a".repeat(257)] {
        assert_eq!(refused(&|one| one.legal_name = bad.into()), Err("argument"), "{bad:?}");
    }
    for bad in ["", "0", &"G".repeat(64), &"A".repeat(64)] {
        assert_eq!(
            refused(&|one| one.offering.as_mut().unwrap().terms_hash = bad.into()),
            Err("argument"),
            "{bad:?}"
        );
    }
    let plain = |one: &mut Participant| one.offering.as_mut().unwrap().terms_url = "http://a.example/".parse().unwrap();
    assert_eq!(refused(&plain), Err("argument"));
}
