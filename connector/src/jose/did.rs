//! The spelling of `did:web` identifiers and of the key ids below them. Who they belong to is not known here.
//!
//! Identities are compared as text, so only one spelling may pass: no percent-encoding but the port's colon, no empty or dotted
//! path segment, no query.

/// Longest DID URL accepted as a key id, in characters.
pub const MAX_KID: usize = 256;

/// Whether `text` is a `did:web` identifier: `did:web:` host, optionally `%3A` and a port, then `:`-separated path segments.
pub fn is_did(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("did:web:") else {
        return false;
    };
    let mut segments = rest.split(':');
    let authority = segments.next().unwrap_or_default();
    let (host, port) = match authority.split_once("%3A").or_else(|| authority.split_once("%3a")) {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    is_segment(host) && port.is_none_or(is_port) && segments.all(is_segment)
}

/// Whether a `did:web` is spelt as its owner would: a host has no capitals (RFC 3986 §3.2.2), and the colon of a port is `%3A`.
pub fn is_usual(did: &str) -> bool {
    let authority = did.strip_prefix("did:web:").and_then(|rest| rest.split(':').next());
    let host = authority.unwrap_or_default().replacen("%3A", "", 1);
    !host.contains('%') && !host.bytes().any(|byte| byte.is_ascii_uppercase())
}

/// The DID part of a key id, that is of an absolute DID URL `did:web:…#name` of at most [`MAX_KID`] characters.
pub fn of_kid(kid: &str) -> Option<&str> {
    let (did, name) = kid.split_once('#')?;
    (kid.len() <= MAX_KID && is_did(did) && !name.is_empty() && name.bytes().all(is_plain)).then_some(did)
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

fn is_segment(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_plain) && !text.bytes().all(|byte| byte == b'.')
}

fn is_port(text: &str) -> bool {
    matches!(text.len(), 1..=5) && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_hosts_ports_and_paths() {
        for good in [
            "did:web:ft.example",
            "did:web:localhost%3A8443",
            "did:web:a.example:users:b-1",
            "did:web:a%3a1:x",
        ] {
            assert!(is_did(good), "{good}");
            assert_eq!(of_kid(&format!("{good}#k-1.A_b")), Some(good));
        }
    }

    #[test]
    fn of_two_spellings_one_is_usual() {
        for (did, usual) in [
            ("did:web:ft.example:Users:B", true),
            ("did:web:localhost%3A8443", true),
            ("did:web:localhost%3a8443", false),
            ("did:web:FT.example", false),
        ] {
            assert!(is_did(did));
            assert_eq!(is_usual(did), usual, "{did}");
        }
    }

    #[test]
    fn refuses_every_injection() {
        for bad in [
            "",
            "did:web:",
            "did:key:z6Mk",
            "DID:WEB:a.example",
            "did:web:a.example/x",
            "did:web:a.example?x",
            "did:web:a:..:b",
            "did:web:a::b",
            "did:web:..",
            "did:web:a%2Fb",
            "did:web:a%3A",
            "did:web:a%3A123456",
            "did:web:a%3A80%3A80",
            "did:web:a.example'--",
            "did:web:a b",
            "did:web:a\n",
            "did:web:é.example",
            "did:web:a:b%3A1",
            "https://a.example",
        ] {
            assert!(!is_did(bad), "{bad:?}");
            assert_eq!(of_kid(&format!("{bad}#k")), None, "{bad:?}");
        }
        for bad in [
            "did:web:a",
            "#k",
            "did:web:a#",
            "did:web:a#k#k",
            "did:web:a#k/..",
            "did:web:a#k'",
            "did:web:a#k ",
            "k1",
            "../k",
        ] {
            assert_eq!(of_kid(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_key_id_is_at_most_256_characters() {
        let did = format!("did:web:{}", "a".repeat(246));
        assert!(of_kid(&format!("{did}#k")).is_some());
        assert_eq!(of_kid(&format!("{did}#kk")), None);
    }
}
