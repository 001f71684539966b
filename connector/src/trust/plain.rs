//! Peers that cannot sign, or need not: what proves, or merely says, who they are in the header `Authorization`, and what we say to them.
//! Only for peers whose configuration names such an identity; what they send is never taken for signed because of it.

use crate::{
    dsp::{self, ParticipantId},
    jose::{self, Digest},
};
use serde_json::{Value, json};
use std::fmt;
use url::Url;

/// How a peer shows who it is, and how we show it to that peer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Identity {
    /// By its signatures: `DSP-JWS-1`.
    #[default]
    DspJws,
    /// A secret that both know: the whole value of `Authorization`, the same in both directions.
    StaticToken(Token),
    /// The mock identity of Eclipse EDC: says who it is and proves nothing.
    EdcMock,
}

/// A shared secret. Its text never shows in logs.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    text: String,
    digest: Digest,
}

impl Token {
    /// From the text of the secret.
    pub fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        let digest = jose::sha256(text.as_bytes());
        Self { text, digest }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

impl Identity {
    /// The value of `Authorization` for a request of ours to `url`; none for a peer that knows us by our
    /// signature alone.
    pub(super) fn authorization(&self, me: &ParticipantId, url: &Url) -> Option<String> {
        match self {
            Self::DspJws => None,
            Self::StaticToken(token) => Some(token.text.clone()),
            Self::EdcMock => {
                Some(json!({"region": "eu", "audience": url.as_str(), "clientId": me.as_str()}).to_string())
            }
        }
    }

    /// Whether a caller with this `Authorization` is the participant `id`. Secrets are compared in constant time, by their hashes.
    pub(super) fn admits(&self, id: &ParticipantId, authorization: &str) -> bool {
        match self {
            Self::DspJws => false,
            Self::StaticToken(token) => jose::sha256(authorization.as_bytes()).matches(&token.digest),
            Self::EdcMock => client_id(authorization).as_deref() == Some(id.as_str()),
        }
    }
}

/// Whom EDC's mock identity claims to be.
fn client_id(authorization: &str) -> Option<String> {
    let claims = dsp::json::parse(authorization.as_bytes()).ok()?;
    claims.get("clientId").and_then(Value::as_str).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> ParticipantId {
        text.parse().unwrap()
    }

    #[test]
    fn a_token_admits_its_bearer_and_nobody_else() {
        let identity = Identity::StaticToken(Token::new("a-secret"));
        assert!(identity.admits(&id("peer"), "a-secret"));
        for wrong in ["", "a-secre", "a-secret ", "Bearer a-secret", "{\"clientId\":\"peer\"}"] {
            assert!(!identity.admits(&id("peer"), wrong), "{wrong:?}");
        }
        assert!(!format!("{identity:?}").contains("a-secret"));
    }

    #[test]
    fn the_mock_identity_is_the_client_id_exactly() {
        let me = id("did:web:me.example");
        let url = Url::parse("http://peer.example/dsp/negotiations/request").unwrap();
        let sent = Identity::EdcMock.authorization(&me, &url).unwrap();
        assert!(Identity::EdcMock.admits(&me, &sent));
        assert!(!Identity::EdcMock.admits(&id("did:web:me.exampl"), &sent));
        for wrong in [
            "",
            "{",
            "[]",
            "{\"clientId\":1}",
            "{\"clientid\":\"did:web:me.example\"}",
            "did:web:me.example",
        ] {
            assert!(!Identity::EdcMock.admits(&me, wrong), "{wrong:?}");
        }
    }

    #[test]
    fn a_peer_that_signs_is_never_admitted_without_a_signature() {
        let me = id("did:web:me.example");
        let url = Url::parse("https://peer.example/").unwrap();
        assert_eq!(Identity::DspJws.authorization(&me, &url), None);
        assert!(!Identity::DspJws.admits(&me, "{\"clientId\":\"did:web:me.example\"}"));
    }
}
