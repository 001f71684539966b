use super::*;
use crate::trust::membership::attests::Attests;
use std::collections::BTreeSet;

const LEAST: &str = "did = \"did:web:localhost%3A8443\"\n";

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, Path::new("c.toml"), Path::new("/etc/x"))
}

/// Line, column and message of a text that is refused.
fn refusal(text: &str) -> (usize, usize, String) {
    match parse(text) {
        Err(ConfigError::Invalid {
            line, column, message, ..
        }) => (line, column, message),
        other => panic!("{text}: {other:?}"),
    }
}

/// The lines of the sample with every setting switched on.
fn switched_on() -> Vec<&'static str> {
    let on = SAMPLE.lines().map(|line| match line.strip_prefix('#') {
        Some(rest) if !rest.starts_with(' ') => rest,
        _ => line,
    });
    on.collect()
}

/// The same without the event, and the peer apart.
fn uncommented() -> (String, String) {
    let on = switched_on();
    let at = |section| on.iter().position(|line| *line == section).unwrap();
    let (own, rest) = on.split_at(at("[[event]]"));
    let peer = rest.split_at(at("[[peer]]") - own.len()).1;
    (own.join("\n"), peer.join("\n"))
}

#[test]
fn the_sample_shows_the_defaults() {
    let defaults = format!("{:?}", parse(LEAST).unwrap());
    let (own, peer) = uncommented();
    assert_eq!(format!("{:?}", parse(SAMPLE).unwrap()), defaults);
    assert_eq!(format!("{:?}", parse(&own).unwrap()), defaults);
    let least = parse(&format!(
        "{LEAST}[[peer]]\ndid = \"did:web:school.example\"\nname = \"school\"\n"
    ))
    .unwrap();
    assert_eq!(parse(&format!("{LEAST}{peer}")).unwrap().peers, least.peers);
}

#[test]
fn the_sample_has_every_setting() {
    let text = switched_on().join("\n");
    for section in [
        "",
        "[tls]",
        "[management]",
        "[decisions]",
        "[log]",
        "[limits]",
        "[net]",
        "[resolver]",
        "[retry]",
        "[audit]",
        "[privacy]",
        "[consent]",
        "[membership]",
        "[authority]",
        "[[event]]",
        "[[peer]]",
    ] {
        let (_, _, message) = refusal(&if section.is_empty() {
            format!("surely_not = 1\n{LEAST}")
        } else {
            format!("{LEAST}{section}\nsurely_not = 1\n")
        });
        let fields: BTreeSet<&str> = message.split('`').skip(3).step_by(2).collect();
        assert!(
            message.starts_with("unknown field `surely_not`") && !fields.is_empty(),
            "{message}"
        );
        for field in fields {
            let shown = text.contains(&format!("{field} = ")) || text.contains(&format!("[{field}]"));
            assert!(shown, "{section} {field} is missing from the sample");
        }
    }
}

#[test]
fn defaults_are_the_documented_ones() {
    let config = parse(LEAST).unwrap();
    assert_eq!(
        (config.root().as_str(), config.listen.to_string().as_str()),
        ("https://localhost:8443", "127.0.0.1:8443")
    );
    assert_eq!(config.active_key().unwrap().id, "did:web:localhost%3A8443#k1");
    assert_eq!(config.store, Path::new("/etc/x/store"));
    assert_eq!(config.management, Management::Socket("/etc/x/management.sock".into()));
    assert_eq!(
        (
            config.limits.connections,
            config.limits.body_bytes,
            config.limits.streams
        ),
        (1024, 1 << 20, 64)
    );
    assert_eq!(
        (config.token_lifetime, config.retry.longest),
        (Duration::from_secs(3600), Duration::from_secs(60))
    );
    assert_eq!(config.tls.unwrap().minimum, TlsVersion::Tls13);
    assert!(config.peers.is_empty());
}

#[test]
fn recipients_have_a_month_to_erase_at_most() {
    let with = |period: &str| format!("{LEAST}[privacy]\ndeletion = \"{period}\"\n");
    for (period, days) in [("7d", 7), ("30d", 30)] {
        let deletion = parse(&with(period)).unwrap().privacy.deletion;
        assert_eq!(deletion, Duration::from_secs(days * 86_400));
    }
    for period in ["31d", "721h"] {
        let (line, _, message) = refusal(&with(period));
        assert_eq!(line, 3, "{message}");
        assert!(message.contains("Art. 12(3)"), "{message}");
    }
}

#[test]
fn every_section_can_be_set() {
    let text = r#"
did = "did:web:a.example:connectors:one"
public_url = "https://b.example:444"
listen = "[::]:8443"
key_id = "did:web:a.example:connectors:one#2026-01"
store = "/var/lib/connector"
token_lifetime = "5m"
[tls]
minimum = "1.2"
[management]
listen = "127.0.0.1:9191"
token = "t"
[log]
level = "info,connector=debug"
json = true
[limits]
drain = "200ms"
[net]
trusted_ca = ["ca.pem"]
system_roots = false
[resolver]
fresh = "1d"
[retry]
first = "2s"
[[peer]]
did = "did:web:c.example"
name = "c"
allow_private = true
[[peer]]
did = "did:web:d.example"
"#;
    let config = parse(text).unwrap();
    assert_eq!(
        (config.root().as_str(), config.active_key().unwrap().id.as_str()),
        ("https://b.example:444", "did:web:a.example:connectors:one#2026-01")
    );
    assert_eq!(config.store, Path::new("/var/lib/connector"));
    let tls = config.tls.unwrap();
    assert_eq!(tls.minimum, TlsVersion::Tls12);
    assert_eq!(tls.key, Path::new("/etc/x/tls-key.pem"));
    let token = PathBuf::from("/etc/x/t");
    assert_eq!(
        config.management,
        Management::Loopback {
            listen: "127.0.0.1:9191".parse().unwrap(),
            token
        }
    );
    assert!(config.log.json && config.log.level == "info,connector=debug");
    assert_eq!(
        (config.limits.drain, config.limits.streams),
        (Duration::from_millis(200), 64)
    );
    assert_eq!(
        (config.net.trusted_ca.as_slice(), config.net.system_roots),
        ([PathBuf::from("/etc/x/ca.pem")].as_slice(), false)
    );
    assert_eq!(config.net.timeout, net::Settings::default().timeout);
    assert_eq!(
        (config.resolver.fresh.as_secs(), config.resolver.retry.as_secs()),
        (86_400, 10)
    );
    assert_eq!(config.peers.len(), 2);
    assert_eq!(
        (config.peers[0].reach, config.peers[1].reach),
        (
            net::Reach {
                private: true,
                http: false
            },
            net::Reach::default()
        )
    );
}

#[test]
fn a_mistake_is_named_with_its_line_and_column() {
    for (tail, place, words) in [
        ("lisen = \"127.0.0.1:1\"", (2, 1), "unknown field `lisen`"),
        ("[limits]\nconnections = \"many\"", (3, 15), "expected usize"),
        ("[limits]\nstreams = -1", (3, 11), "-1"),
        ("[limits]\ndrain = 30", (3, 9), "a duration in quotes"),
        ("[limits]\n  drain = \"30 parsecs\"", (3, 11), "\"30 parsecs\""),
        ("[retry]\nfirst = \"s\"", (3, 9), "a duration in quotes"),
        (
            "[retry]\nfirst = \"99999999999999999999s\"",
            (3, 9),
            "a duration in quotes",
        ),
        ("[tls]\nminimum = \"1.1\"", (3, 11), "unknown variant `1.1`"),
        ("[log]\nlevel = \"inof\"", (3, 9), "is not a log level"),
        ("public_url = \"http://a.example\"", (2, 14), "expected https://"),
        ("public_url = \"https://a.example/path\"", (2, 14), "expected https://"),
        ("public_url = \"https://u:p@a.example\"", (2, 14), "expected https://"),
        ("key_id = \"did:web:other.example#k1\"", (2, 10), "expected the DID"),
        ("key_id = \"did:web:localhost%3A8443#\"", (2, 10), "expected the DID"),
        ("listen = \"localhost\"", (2, 10), "socket address"),
        ("[net]\ntrusted_ca = \"ca.pem\"", (3, 14), "expected a sequence"),
        (
            "[management]\nlisten = \"127.0.0.1:1\"",
            (2, 1),
            "together with `token`",
        ),
        (
            "[management]\nsocket = \"a\"\ntoken = \"b\"",
            (2, 1),
            "together with `token`",
        ),
        (
            "[management]\nlisten = \"0.0.0.0:1\"\ntoken = \"b\"",
            (2, 1),
            "loopback",
        ),
        ("[[peer]]\nname = \"x\"", (2, 1), "missing field `did`"),
        ("[[peer]]\ndid = \"https://x\"", (3, 7), "is not a did:web identifier"),
        (
            "[[peer]]\ndid = \"x\"\nidentity = \"static-token\"",
            (3, 7),
            "needs `token`",
        ),
        (
            "[[peer]]\ndid = \"x\"\nidentity = \"edc-mock\"\ntoken = \"t\"",
            (3, 7),
            "`token` belongs",
        ),
        (
            "[[peer]]\ndid = \"x\"\nidentity = \"trust-me\"",
            (4, 12),
            "unknown variant `trust-me`",
        ),
        (
            "[[peer]]\ndid = \"did:web:x\"\naddress = \"ftp://x\"",
            (4, 11),
            "expected an address",
        ),
        ("tls = 1", (2, 7), "a section [tls], or false"),
        (
            "[decisions]\nnegotiations = \"never\"",
            (3, 16),
            "unknown variant `never`",
        ),
        ("store = \"é\" oops", (2, 13), ""),
    ] {
        let (line, column, message) = refusal(&format!("{LEAST}{tail}\n"));
        assert_eq!((line, column), place, "{tail}: {message}");
        assert!(message.contains(words), "{tail}: {message}");
    }
    assert!(refusal("listen = \"127.0.0.1:1\"\n").2.contains("missing field `did`"));
    assert!(
        refusal("did = \"did:key:z6Mk\"\n")
            .2
            .contains("not a did:web identifier")
    );
}

#[test]
fn an_error_shows_the_line() {
    let text = parse(&format!("{LEAST}lisen = \"1\"\n")).unwrap_err().to_string();
    assert!(
        text.starts_with("c.toml:2:1: unknown field `lisen`, expected one of `did`"),
        "{text}"
    );
    assert!(text.ends_with("\n  2 | lisen = \"1\""), "{text}");
    let missing = Config::load(Path::new("/nonexistent/c.toml")).unwrap_err().to_string();
    assert!(missing.starts_with("/nonexistent/c.toml: No such file"), "{missing}");
}

#[test]
fn filling_the_sample_sets_what_is_asked_and_nothing_else() {
    let settings = [
        ("", "did", "\"did:web:a.example\"".to_owned()),
        ("net", "trusted_ca", "[\"ca.pem\"]".to_owned()),
        ("resolver", "retry", "\"3s\"".to_owned()),
    ];
    let text = fill(&settings, "\n[[peer]]\ndid = \"did:web:b.example\"\n").unwrap();
    let config = parse(&text).unwrap();
    assert_eq!(
        (config.root().as_str(), config.resolver.retry.as_secs()),
        ("https://a.example", 3)
    );
    assert_eq!(config.retry, Retry::default());
    assert_eq!(config.peers.len(), 1);
    let changed = text.lines().zip(SAMPLE.lines()).filter(|(new, old)| new != old).count();
    assert_eq!(changed, settings.len());
    assert_eq!(fill(&[("limits", "trusted_ca", String::new())], ""), Err("trusted_ca"));
    assert_eq!(fill(&[("peer", "did", String::new())], ""), Err("did"));
}

#[test]
fn a_check_reports_everything_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "{LEAST}public_url = \"https://elsewhere.example\"\ntoken_lifetime = \"0s\"\n[retry]\nfirst = \"2m\"\n[net]\ntrusted_ca = [\"no.pem\"]\n\
         [limits]\nstreams = 0\n[[peer]]\ndid = \"did:web:localhost%3A8443\"\n[[peer]]\ndid = \"did:web:b.example\"\n[[peer]]\ndid = \"did:web:b.example\"\n"
    );
    let config = Config::parse(&text, Path::new("c.toml"), folder.path()).unwrap();
    let problems = config.check();
    let settings: Vec<&str> = problems.iter().map(|problem| problem.setting).collect();
    for expected in [
        "signing_key",
        "secret",
        "tls.certificate",
        "tls.key",
        "public_url",
        "token_lifetime",
        "retry.longest",
        "net",
        "limits.streams",
        "peer",
    ] {
        assert!(settings.contains(&expected), "{expected} in {settings:?}");
    }
    assert_eq!(
        settings.iter().filter(|setting| **setting == "peer").count(),
        2,
        "itself, and one twice"
    );
    assert_eq!(
        problems
            .iter()
            .filter(|problem| problem.severity == Severity::Warning)
            .count(),
        1
    );
    assert!(
        problems
            .iter()
            .all(|problem| !problem.remedy.is_empty() && problem.to_string().contains("next: "))
    );
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        0,
        "a check leaves nothing behind"
    );
}

#[test]
fn a_token_must_be_long_and_printable() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    for (content, good) in [
        ("a".repeat(32) + "\n", true),
        ("a".repeat(31), false),
        (String::new(), false),
        ("a a".repeat(20), false),
    ] {
        fs::write(&path, &content).unwrap();
        assert_eq!(read_token(&path).is_ok(), good, "{content:?}");
    }
}

#[test]
fn what_gives_up_a_protection_is_refused_on_a_public_listener() {
    let settings = "tls = false\n[[peer]]\nid = \"provider\"\nidentity = \"edc-mock\"\nallow_http = true\n";
    let found = |listen: &str| {
        let config = parse(&format!("{LEAST}listen = \"{listen}\"\n{settings}")).unwrap();
        let refused = ["tls", "peer.identity", "peer.allow_http"];
        let problems = config.check().into_iter();
        problems
            .filter(|problem| problem.severity == Severity::Error && refused.contains(&problem.setting))
            .count()
    };
    assert_eq!(found("127.0.0.1:8443"), 0);
    assert_eq!(found("[::1]:8443"), 0);
    for public in ["0.0.0.0:8443", "[::]:8443", "192.168.1.2:8443"] {
        assert_eq!(found(public), 3, "{public}");
    }
}

#[test]
fn without_tls_the_address_is_http() {
    let config = parse(&format!("{LEAST}tls = false\n")).unwrap();
    assert_eq!(config.root(), "http://localhost:8443");
    assert!(config.tls.is_none());
    assert!(
        refusal(&format!("{LEAST}tls = false\npublic_url = \"https://a.example\"\n"))
            .2
            .contains("expected")
    );
}

#[test]
fn two_peers_cannot_have_the_same_token() {
    let folder = tempfile::tempdir().unwrap();
    let peer = |id: &str, token: &str| {
        let path = folder.path().join(id);
        std::fs::write(&path, token.repeat(32)).unwrap();
        format!(
            "[[peer]]\nid = \"{id}\"\nidentity = \"static-token\"\ntoken = \"{}\"\n",
            path.display()
        )
    };
    let shared = |second: &str| {
        let config = parse(&format!("{LEAST}{}{}", peer("one", "a"), peer("two", second))).unwrap();
        let problems = config.check();
        problems
            .iter()
            .any(|problem| problem.found.contains("the token of another peer"))
    };
    assert!(shared("a"));
    assert!(!shared("b"));
}

const JKT: &str = "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U";

#[test]
fn membership_needs_an_authority_and_its_root_and_has_defaults_for_the_rest() {
    let section =
        |more: &str| format!("{LEAST}[membership]\nauthority = \"did:web:a.example:gov\"\nroot = \"{JKT}\"\n{more}");
    let membership = parse(&section("")).unwrap().membership.unwrap();
    assert_eq!(membership.list.as_str(), "https://a.example/gov/trust-list.jws");
    assert_eq!(
        (membership.refresh, membership.credentials.len()),
        (Duration::from_secs(300), 0)
    );
    assert_eq!((membership.reach.private, membership.reach.http), (false, false));
    assert_eq!(membership.root.to_string(), JKT);
    let more =
        "list = \"https://b.example/l.jws\"\nrefresh = \"1s\"\ncredentials = [\"m.jwt\"]\nallow_private = true\n";
    let membership = parse(&section(more)).unwrap().membership.unwrap();
    assert_eq!(membership.list.as_str(), "https://b.example/l.jws");
    assert_eq!(membership.credentials, [Path::new("/etc/x/m.jwt")]);
    assert!(membership.reach.private);
    assert_eq!(membership.attests, Attests::default());
    let more = "attests = { securityLevel = [\"CertificationCredential\"] }\n";
    assert_ne!(
        parse(&section(more)).unwrap().membership.unwrap().attests,
        Attests::default()
    );
    assert!(parse(LEAST).unwrap().membership.is_none());
    for (wrong, line) in [
        (section("").replace("did:web:a.example:gov", "did:key:z6Mk"), 3),
        (section("").replace(JKT, "short"), 4),
        (section("").replace("root = ", "#root = "), 2),
        (section("allow_http = true\n"), 5),
        (section("refresh = 5\n"), 5),
        (section("attests = { language = [\"CertificationCredential\"] }\n"), 5),
    ] {
        assert_eq!(refusal(&wrong).0, line, "{wrong}");
    }
}

#[test]
fn a_refresh_that_no_list_lasts_for_is_found_before_serving() {
    let problems = |refresh: &str| {
        let section =
            format!("[membership]\nauthority = \"did:web:a.example\"\nroot = \"{JKT}\"\nrefresh = {refresh:?}\n");
        let found = parse(&format!("{LEAST}{section}")).unwrap().check();
        found
            .iter()
            .filter(|problem| problem.setting == "membership.refresh")
            .count()
    };
    assert_eq!((problems("0s"), problems("8d"), problems("169h")), (1, 1, 1));
    assert_eq!((problems("7d"), problems("5m")), (0, 0));
}

#[test]
fn an_authority_is_published_from_a_folder() {
    let config = parse(&format!("{LEAST}[authority]\ndir = \"gov\"\n")).unwrap();
    assert_eq!(config.authority.as_deref(), Some(Path::new("/etc/x/gov")));
    assert!(parse(LEAST).unwrap().authority.is_none());
}

#[test]
fn an_authority_whose_document_would_hide_the_connectors_own_is_found_before_serving() {
    let folder = tempfile::tempdir().unwrap();
    let now = crate::clock::now();
    let problems = |did: &str, dir: &str| {
        let at = folder.path().join(dir);
        drop(crate::authority::Authority::init(&at, did.parse().unwrap(), None, now).unwrap());
        let config = parse(&format!("{LEAST}[authority]\ndir = {:?}\n", at.display().to_string())).unwrap();
        let found = config.check();
        found
            .into_iter()
            .filter(|problem| problem.setting == "authority.dir")
            .count()
    };
    assert_eq!(problems("did:web:localhost%3A8443", "own"), 1);
    assert_eq!(problems("did:web:elsewhere.example", "elsewhere"), 1);
    assert_eq!(problems("did:web:localhost%3A8443:authority", "below"), 0);
}
