use crate::{
    config::{Config, ConfigError, KeyFile},
    trust::{KeyState, Signatures},
};
use std::{path::Path, time::Duration};

const LEAST: &str = "did = \"did:web:a.example\"\n";

fn parse(text: &str) -> Result<Config, String> {
    Config::parse(&format!("{LEAST}{text}"), Path::new("c.toml"), Path::new("/etc/x")).map_err(|error| match error {
        ConfigError::Invalid { message, .. } => message,
        other => panic!("{other:?}"),
    })
}

#[test]
fn without_sections_there_is_the_one_key_that_init_makes() {
    let keys = parse("").unwrap().keys;
    assert_eq!(keys.len(), 1);
    assert_eq!(
        (keys[0].id.as_str(), keys[0].state),
        ("did:web:a.example#k1", KeyState::Active)
    );
    assert_eq!(keys[0].kept, KeyFile::Private("/etc/x/signing-key.pem".into()));
    let keys = parse("signing_key = \"/k.jwk\"\nkey_id = \"did:web:a.example#2026\"\n")
        .unwrap()
        .keys;
    assert_eq!(
        (keys[0].id.as_str(), &keys[0].kept),
        ("did:web:a.example#2026", &KeyFile::Private("/k.jwk".into()))
    );
}

#[test]
fn sections_name_keys_of_every_kind() {
    let config = parse(
        r#"
[[key]]
id = "k1"
public = "k1.jwk"
state = "retired"
[[key]]
id = "did:web:a.example#k2"
file = "k2.pem"
state = "previous"
[[key]]
id = "k3"
command = ["/usr/bin/hsm-sign", "--slot", "1"]
public = "k3.jwk"
[[key]]
id = "k4"
command = ["/usr/bin/hsm-sign"]
public = "k4.jwk"
timeout = "30s"
state = "next"
"#,
    )
    .unwrap();
    let states: Vec<KeyState> = config.keys.iter().map(|key| key.state).collect();
    assert_eq!(
        states,
        [KeyState::Retired, KeyState::Previous, KeyState::Active, KeyState::Next]
    );
    assert!(config.keys.iter().all(|key| key.id.starts_with("did:web:a.example#k")));
    assert_eq!(config.active_key().unwrap().id, "did:web:a.example#k3");
    let command = |timeout, arguments: &[&str], public: &str| KeyFile::Command {
        program: "/usr/bin/hsm-sign".into(),
        arguments: arguments.iter().map(|text| (*text).to_owned()).collect(),
        timeout: Duration::from_secs(timeout),
        public: public.into(),
    };
    let kept: Vec<KeyFile> = config.keys.into_iter().map(|key| key.kept).collect();
    assert_eq!(
        kept,
        [
            KeyFile::Public("/etc/x/k1.jwk".into()),
            KeyFile::Private("/etc/x/k2.pem".into()),
            command(5, &["--slot", "1"], "/etc/x/k3.jwk"),
            command(30, &[], "/etc/x/k4.jwk"),
        ]
    );
}

#[test]
fn a_section_that_makes_no_sense_says_what_was_expected() {
    let key = |more: &str| format!("[[key]]\nid = \"k1\"\n{more}");
    for (text, expected) in [
        (key(""), "expected `file`"),
        (key("file = \"a\"\npublic = \"b\""), "expected `file`"),
        (key("public = \"b\""), "for a retired key `public` alone"),
        (
            key("public = \"b\"\nstate = \"next\""),
            "for a retired key `public` alone",
        ),
        (key("command = [\"/bin/sign\"]"), "`command` with `public`"),
        (key("command = []\npublic = \"b\""), "absolute path"),
        (key("command = [\"sign\"]\npublic = \"b\""), "absolute path"),
        (key("command = \"/bin/sign\"\npublic = \"b\""), "expected a sequence"),
        (key("file = \"a\"\nstate = \"old\""), "unknown variant `old`"),
        (key("file = \"a\"\ntimeout = 5"), "a duration in quotes"),
        (key("file = \"a\"\nx = 1"), "unknown field `x`"),
        ("[[key]]\nfile = \"a\"".into(), "missing field `id`"),
        ("[[key]]\nid = \"\"\nfile = \"a\"".into(), "or the name alone"),
        ("[[key]]\nid = \"a b\"\nfile = \"a\"".into(), "or the name alone"),
        (
            "[[key]]\nid = \"did:web:b.example#k1\"\nfile = \"a\"".into(),
            "expected the DID",
        ),
        (
            format!("signing_key = \"k.pem\"\n{}", key("file = \"a\"")),
            "expected either",
        ),
        (
            format!("key_id = \"did:web:a.example#k1\"\n{}", key("file = \"a\"")),
            "expected either",
        ),
        ("key_id = \"k1\"".into(), "expected the DID"),
    ] {
        let message = parse(&text).expect_err(&text);
        assert!(message.contains(expected), "{text}: {message}");
    }
}

#[test]
fn signatures_go_with_how_a_peer_shows_who_it_is() {
    let peer = |id: &str, more: &str| {
        let text = format!("[[peer]]\nid = \"{id}\"\n{more}");
        parse(&text).map(|config| config.peers[0].signatures)
    };
    let did = "did:web:b.example";
    let token = "identity = \"static-token\"\ntoken = \"t\"\n";
    assert_eq!(peer(did, ""), Ok(Signatures::Required));
    assert_eq!(peer(did, "signatures = \"required\""), Ok(Signatures::Required));
    assert_eq!(peer(did, token), Ok(Signatures::Off));
    assert_eq!(peer("edc", "identity = \"edc-mock\""), Ok(Signatures::Off));
    for (mode, expected) in [
        ("required", Signatures::Required),
        ("if-offered", Signatures::IfOffered),
        ("off", Signatures::Off),
    ] {
        assert_eq!(peer(did, &format!("{token}signatures = \"{mode}\"")), Ok(expected));
    }
    for mode in ["if-offered", "off"] {
        let refused = peer(did, &format!("signatures = \"{mode}\"")).unwrap_err();
        assert!(refused.contains("is shown by signatures alone"), "{refused}");
    }
    for mode in ["required", "if-offered"] {
        let refused = peer("edc", &format!("identity = \"edc-mock\"\nsignatures = \"{mode}\"")).unwrap_err();
        assert!(
            refused.contains("did:web") && refused.contains("`signatures` needs"),
            "{refused}"
        );
    }
    assert!(peer(did, "signatures = \"IfOffered\"").is_err());
}
