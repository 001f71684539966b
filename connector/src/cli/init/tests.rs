use super::{
    super::{Cli, Command},
    *,
};
use crate::{config::Severity, jose::VerifyingKey};
use clap::Parser;
use rustls::pki_types::{CertificateDer, pem::PemObject};
use std::os::unix::fs::MetadataExt;

fn init(arguments: &[&str]) -> Outcome {
    let cli = Cli::try_parse_from(["connector", "init"].iter().chain(arguments)).unwrap();
    let Command::Init(init) = cli.command else {
        panic!("not init")
    };
    init.make().map(|_| ())
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn what_init_makes_can_be_served() {
    let folder = tempfile::tempdir().unwrap();
    for (algorithm, did) in [
        ("es256", "did:web:localhost%3A8443"),
        ("eddsa", "did:web:connector.school.example"),
    ] {
        let dir = folder.path().join(algorithm);
        init(&[
            "--dir",
            text(&dir),
            "--did",
            did,
            "--algorithm",
            algorithm,
            "--peer",
            "did:web:work.example=work",
        ])
        .unwrap();
        let config = Config::load(&dir.join(CONFIG)).unwrap();
        let errors: Vec<_> = config
            .check()
            .into_iter()
            .filter(|problem| problem.severity == Severity::Error)
            .collect();
        assert_eq!(errors, []);
        assert_eq!((config.did.as_str(), config.peers.len()), (did, 1));
        let keys = config.keyring().unwrap();
        let key = keys.active().key();
        assert_eq!(key.algorithm().name().to_lowercase(), algorithm);
        let document: Value = serde_json::from_slice(&fs::read(dir.join("did.json")).unwrap()).unwrap();
        let read = did::Document::read(&config.did, &document).unwrap();
        let published: &VerifyingKey = read.key(keys.active().kid()).unwrap();
        assert_eq!(published, key.verifying_key());
        assert_eq!(read.root.unwrap().as_str(), config.public_url.as_str());
    }
}

#[test]
fn the_certificate_is_believed_by_who_trusts_the_authority_and_by_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two, other) = (
        folder.path().join("one"),
        folder.path().join("two"),
        folder.path().join("other"),
    );
    init(&["--dir", text(&one)]).unwrap();
    init(&["--dir", text(&two), "--did", "did:web:b.example", "--ca", text(&one)]).unwrap();
    init(&["--dir", text(&other)]).unwrap();
    let leaf = |dir: &Path| CertificateDer::from_pem_file(dir.join("tls.pem")).unwrap();
    let root = |dir: &Path| fs::read_to_string(dir.join("ca.pem")).unwrap();
    let now = clock::now();
    for host in ["localhost", "127.0.0.1", "::1"] {
        assert_eq!(
            certificates::verify(&root(&one), &leaf(&one), host, now),
            Ok(()),
            "{host}"
        );
    }
    assert_eq!(certificates::verify(&root(&one), &leaf(&two), "b.example", now), Ok(()));
    assert_eq!(root(&one), root(&two));
    assert!(!two.join("ca-key.pem").exists());
    assert!(certificates::verify(&root(&one), &leaf(&two), "localhost", now).is_err());
    assert!(certificates::verify(&root(&other), &leaf(&one), "localhost", now).is_err());
    let later = now.plus(std::time::Duration::from_secs(366 * 86_400));
    assert!(certificates::verify(&root(&one), &leaf(&one), "localhost", later).is_err());
}

#[test]
fn private_files_are_their_owners_alone() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("dev");
    init(&["--dir", text(&dir)]).unwrap();
    assert_eq!(fs::metadata(&dir).unwrap().mode() & 0o777, 0o700);
    for name in ["signing-key.pem", "secret.key", "tls-key.pem", "ca-key.pem"] {
        assert_eq!(fs::metadata(dir.join(name)).unwrap().mode() & 0o777, 0o600, "{name}");
    }
    assert_eq!(fs::read(dir.join("secret.key")).unwrap().len(), 32);
}

#[test]
fn nothing_is_overwritten_and_a_refusal_makes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("dev");
    init(&["--dir", text(&dir)]).unwrap();
    let before = fs::read(dir.join("secret.key")).unwrap();
    let failure = init(&["--dir", text(&dir)]).unwrap_err();
    assert_eq!(failure.exit(), Exit::Failed);
    assert!(failure.to_string().contains("secret.key"), "{failure}");
    assert_eq!(fs::read(dir.join("secret.key")).unwrap(), before);

    let taken = folder.path().join("taken");
    fs::create_dir(&taken).unwrap();
    fs::write(taken.join("ca.pem"), "mine").unwrap();
    assert!(init(&["--dir", text(&taken)]).is_err());
    assert_eq!(fs::read_dir(&taken).unwrap().count(), 1);
    assert_eq!(fs::read(taken.join("ca.pem")).unwrap(), b"mine");
}

#[test]
fn a_failure_half_way_removes_what_was_written_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let made = |name| Made {
        name,
        what: "",
        private: false,
        content: Vec::new(),
    };
    fs::write(folder.path().join("b"), "mine").unwrap();
    assert!(write_all(folder.path(), &[made("a"), made("b")]).is_err());
    assert!(!folder.path().join("a").exists());
    assert_eq!(fs::read(folder.path().join("b")).unwrap(), b"mine");
}

#[test]
fn an_authority_that_does_not_fit_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two, mixed, next) = (
        folder.path().join("1"),
        folder.path().join("2"),
        folder.path().join("m"),
        folder.path().join("n"),
    );
    init(&["--dir", text(&one)]).unwrap();
    init(&["--dir", text(&two)]).unwrap();
    fs::create_dir(&mixed).unwrap();
    fs::copy(one.join("ca.pem"), mixed.join("ca.pem")).unwrap();
    fs::copy(two.join("ca-key.pem"), mixed.join("ca-key.pem")).unwrap();
    assert_eq!(
        init(&["--dir", text(&next), "--ca", text(&mixed)]).unwrap_err().exit(),
        Exit::Usage
    );
    assert_eq!(
        init(&["--dir", text(&next), "--ca", "/nonexistent"])
            .unwrap_err()
            .exit(),
        Exit::NotFound
    );
    assert!(!next.exists());
}

#[test]
fn a_key_that_others_can_read_or_that_does_not_fit_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (folder.path().join("1"), folder.path().join("2"));
    init(&["--dir", text(&one)]).unwrap();
    init(&["--dir", text(&two)]).unwrap();
    fs::set_permissions(
        one.join("secret.key"),
        std::os::unix::fs::PermissionsExt::from_mode(0o644),
    )
    .unwrap();
    fs::copy(two.join("tls-key.pem"), one.join("tls-key.pem")).unwrap();
    fs::write(one.join("signing-key.pem"), "nonsense").unwrap();
    let problems = Config::load(&one.join(CONFIG)).unwrap().check();
    let found = |setting: &str| {
        problems
            .iter()
            .find(|problem| problem.setting == setting)
            .map(|problem| problem.found.as_str())
    };
    assert!(found("secret").unwrap().contains("mode 0644"));
    assert!(found("tls").unwrap().contains("is not the key of"));
    assert!(found("signing_key").unwrap().contains("PKCS#8"));
}

#[test]
fn a_certificate_for_another_host_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("dev");
    init(&["--dir", text(&dir)]).unwrap();
    let path = dir.join(CONFIG);
    let moved = fs::read_to_string(&path).unwrap().replace(
        "public_url = \"https://localhost:8443\"",
        "public_url = \"https://b.example\"",
    );
    fs::write(&path, moved).unwrap();
    let problems = Config::load(&path).unwrap().check();
    assert!(
        problems
            .iter()
            .any(|problem| problem.setting == "tls.certificate" && problem.found.contains("b.example")),
        "{problems:?}"
    );
}

#[test]
fn a_peer_is_a_did_web_with_an_optional_name() {
    assert_eq!(peer("did:web:a.example=a").unwrap().1.as_deref(), Some("a"));
    assert_eq!(peer("did:web:a.example").unwrap().1, None);
    for bad in [
        "a.example",
        "did:web:a.example=",
        "did:web:a.example=a b",
        "did:key:z6Mk=a",
    ] {
        assert!(peer(bad).is_err(), "{bad}");
    }
}
