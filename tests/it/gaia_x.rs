//! GAIA-X by the commands alone: a self-description, its certificates as the daemon serves them, and the check of it by name.

use crate::scenes::until;
use connector::jose::{Algorithm, SigningKey};
use connector_tests::{
    harness::{Connector, World},
    peer::Peer,
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};
use std::{fs, path::PathBuf, process::Output};

/// A chain for the connector's signing key, and the anchor that it leads to, as files in its folder.
fn certified(connector: &Connector, host: &str) -> (PathBuf, PathBuf) {
    let own = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let anchor = params.self_signed(&own).unwrap().pem();
    let authority = Issuer::new(params, own);
    let key = KeyPair::from_pem(&fs::read_to_string(connector.dir.join("signing-key.pem")).unwrap()).unwrap();
    let leaf = CertificateParams::new(vec![host.to_owned()])
        .unwrap()
        .signed_by(&key, &authority)
        .unwrap()
        .pem();
    let (chain, anchors) = (connector.dir.join("chain.pem"), connector.dir.join("anchors.pem"));
    fs::write(&chain, leaf).unwrap();
    fs::write(&anchors, anchor).unwrap();
    (chain, anchors)
}

/// A configuration as `init` makes it, with the setting taken from behind its comment sign.
fn naming_certificates(config: &str) -> String {
    let named = config.replace("#   certificates = ", "certificates = ");
    assert_ne!(named, config);
    named
}

fn described(connector: &Connector) -> PathBuf {
    let dir = connector.dir.join("gaia-x");
    let made = connector.cli(&[
        "gaia-x",
        "self-description",
        "--legal-name",
        "Lycée Curie",
        "--country",
        "FR",
        "--registration-number",
        "lei:529900T8BM49AURSDO55",
        "--dir",
        dir.to_str().unwrap(),
    ]);
    assert!(made.status.success(), "{made:?}");
    assert!(
        String::from_utf8_lossy(&made.stdout).contains("self-declared"),
        "{made:?}"
    );
    dir
}

fn code(output: &Output) -> String {
    let error: Value = serde_json::from_slice(&output.stderr).unwrap_or_default();
    error["error"]["code"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_self_description_convinces_with_the_certificates_that_the_daemon_serves() {
    let mut world = World::init(&["school", "work"]);
    let school = world.get_mut("school");
    let (chain, anchors) = certified(school, "localhost");
    let config = fs::read_to_string(school.config()).unwrap();
    fs::write(school.config(), naming_certificates(&config)).unwrap();
    school.start().await;
    let school = world.get("school");
    // What anybody sees: the key names its certificates, and they are where it says.
    let visitor = Peer::of(world.get("work"));
    let (status, document) = visitor
        .fetch(&format!("{}/.well-known/did.json", school.root()), None)
        .await;
    assert_eq!(status, 200);
    let shown: Value = serde_json::from_slice(&document).unwrap();
    let jwk = &shown["verificationMethod"][0]["publicKeyJwk"];
    let address = jwk["x5u"].as_str().unwrap();
    assert_eq!(
        address,
        format!("{}/.well-known/x509CertificateChain.pem", school.root())
    );
    let (status, served) = visitor.fetch(address, None).await;
    assert_eq!((status, served.to_vec()), (200, fs::read(&chain).unwrap()));

    let dir = described(school);
    let path = |name: &str| dir.join(name).to_str().unwrap().to_owned();
    fs::write(dir.join("did.json"), &document).unwrap();
    fs::write(dir.join("chain.pem"), &served).unwrap();
    let check = |more: &[&str]| {
        let mut arguments = vec![
            "--json".to_owned(),
            "gaia-x".into(),
            "verify".into(),
            path("presentation.jwt"),
        ];
        arguments.extend(["--did-document".into(), path("did.json")]);
        arguments.extend(more.iter().map(|text| (*text).to_owned()));
        school.cli(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let anchors = anchors.to_str().unwrap();
    let good = check(&["--anchors", anchors]);
    assert!(good.status.success(), "{good:?}");
    let said: Value = serde_json::from_slice(&good.stdout).unwrap();
    assert_eq!(said["credentials"].as_array().unwrap().len(), 4);
    assert!(
        said["credentials"]
            .as_array()
            .unwrap()
            .iter()
            .all(|one| one["certified"] == true),
        "{said}"
    );
    assert!(
        check(&["--anchors", anchors, "--chain", &path("chain.pem")])
            .status
            .success()
    );
    let bare = check(&[]);
    assert_eq!((bare.status.code(), code(&bare).as_str()), (Some(6), "no-anchors"));
    // Certificates of another key, and of another host.
    let work = world.get("work");
    let (foreign, _) = certified(work, "localhost");
    let other = check(&["--anchors", anchors, "--chain", foreign.to_str().unwrap()]);
    assert_eq!(
        (other.status.code(), code(&other).as_str()),
        (Some(6), "key-not-in-certificate")
    );
    let (elsewhere, its_anchors) = certified(school, "other.example");
    let other = check(&[
        "--anchors",
        its_anchors.to_str().unwrap(),
        "--chain",
        elsewhere.to_str().unwrap(),
    ]);
    assert_eq!(
        (other.status.code(), code(&other).as_str()),
        (Some(6), "certificate-not-for-host")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_credential_is_refused_by_the_name_of_its_fault() {
    let world = World::init(&["school", "work"]);
    let (school, work) = (world.get("school"), world.get("work"));
    let dir = described(school);
    let document = dir.join("did.json");
    fs::write(&document, Peer::of(school).document().to_string()).unwrap();
    let check = |token: &str| {
        let file = dir.join("one.jwt");
        fs::write(&file, token).unwrap();
        let (file, document) = (file.to_str().unwrap(), document.to_str().unwrap());
        work.cli(&["--json", "gaia-x", "verify", file, "--did-document", document])
    };
    let token = fs::read_to_string(dir.join("legal-person.jwt"))
        .unwrap()
        .trim()
        .to_owned();
    assert!(check(&token).status.success(), "the twin");
    let (head, signature) = token.rsplit_once('.').unwrap();
    let flipped = if signature.starts_with('A') { "B" } else { "A" };
    let broken = check(&format!("{head}.{flipped}{}", &signature[1..]));
    assert_eq!(
        (broken.status.code(), code(&broken).as_str()),
        (Some(6), "bad-signature")
    );
    let signer = Peer::of(school).signer;
    let receipt =
        connector::jose::token::sign(&signer, connector::jose::token::Kind::Receipt, &json!({"a": 1})).unwrap();
    let broken = check(&receipt);
    assert_eq!((broken.status.code(), code(&broken).as_str()), (Some(6), "wrong-typ"));
}

#[test]
fn certificates_of_another_key_are_not_published() {
    let world = World::init(&["school", "work"]);
    let (school, work) = (world.get("school"), world.get("work"));
    let (foreign, _) = certified(work, "localhost");
    fs::copy(foreign, school.dir.join("chain.pem")).unwrap();
    let config = fs::read_to_string(school.config()).unwrap();
    fs::write(school.config(), naming_certificates(&config)).unwrap();
    let checked = school.cli(&["serve", "--check"]);
    let said = String::from_utf8_lossy(&checked.stdout).into_owned() + &String::from_utf8_lossy(&checked.stderr);
    assert!(
        !checked.status.success() && said.contains("gaia_x.certificates"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_read_again_and_unfit_ones_hold_up_no_rotation() {
    let mut world = World::init(&["school", "work"]);
    let school = world.get_mut("school");
    certified(school, "localhost");
    let config = fs::read_to_string(school.config()).unwrap();
    fs::write(school.config(), naming_certificates(&config)).unwrap();
    school.start().await;
    let (school, visitor) = (world.get("school"), Peer::of(world.get("work")));
    let document = format!("{}/.well-known/did.json", school.root());
    let address = format!("{}/.well-known/x509CertificateChain.pem", school.root());
    let chain = async || {
        let (status, chain) = visitor.fetch(&address, None).await;
        (status == 200).then(|| chain.to_vec())
    };
    // The JWK as it is published now, and the certificates that are served: of one moment, though they are asked for one after the other.
    let shown = async || {
        loop {
            let served = chain().await;
            let (_, bytes) = visitor.fetch(&document, None).await;
            if chain().await == served {
                let document: Value = serde_json::from_slice(&bytes).unwrap();
                break (document["verificationMethod"][0]["publicKeyJwk"].clone(), served);
            }
        }
    };
    let certified_anew = async || {
        let (chain, _) = certified(school, "localhost");
        school.signal("HUP");
        until("the new certificates are served", async || {
            let (jwk, served) = shown().await;
            (served == Some(fs::read(&chain).unwrap())).then_some(jwk)
        })
        .await
    };
    assert_eq!(certified_anew().await["x5u"], address);

    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    fs::write(school.dir.join("signing-key.pem"), key.to_pem().unwrap()).unwrap();
    school.signal("HUP");
    let (jwk, served) = until("the new key is published", async || {
        let (jwk, served) = shown().await;
        (jwk["x"] == key.public_jwk()["x"]).then_some((jwk, served))
    })
    .await;
    assert_eq!((&jwk["x5u"], &jwk["x5c"], served), (&Value::Null, &Value::Null, None));
    assert!(
        school
            .log()
            .contains("the signing key is published without certificates")
    );
    let jwk = certified_anew().await;
    assert_eq!((&jwk["x"], &jwk["x5u"]), (&key.public_jwk()["x"], &json!(address)));
}
