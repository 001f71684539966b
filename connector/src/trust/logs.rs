//! Logs that participants publish in their DID documents: the service `DasesConnector` says where a log is, under which origin it signs
//! and with which key (`logOrigin`, `logKey`).

use super::{
    Trust,
    did::{self, Document},
};
use crate::audit::LogKey;
use policy::Timestamp;
use serde_json::Value;
use std::{sync::Arc, time::Duration};
use url::Url;

/// The type of the service.
pub(super) const SERVICE: &str = "DasesConnector";

/// A log as its owner publishes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedLog {
    /// The key that seals it and that cosigns the checkpoints of others; its name is the origin.
    pub key: LogKey,
    /// Under which address it is read and asked to cosign, without a slash at the end.
    pub address: Url,
}

impl PublishedLog {
    /// What a document says of its owner's log. A key that does not fit the origin counts as none: there is nothing to check with it.
    pub(super) fn read(document: &Value) -> Option<Self> {
        let services = document.get("service")?.as_array()?;
        let service = services
            .iter()
            .find(|service| service.get("type").and_then(Value::as_str) == Some(SERVICE))?;
        let text = |name: &str| service.get(name).and_then(Value::as_str);
        let key: LogKey = text("logKey")?.parse().ok()?;
        let root = text("serviceEndpoint")?.trim_end_matches('/');
        let address = Url::parse(&format!("{root}/log")).ok()?;
        (text("logOrigin") == Some(key.name())).then_some(Self { key, address })
    }
}

/// Adds the log with this key to that service of our own document.
pub(super) fn publish(service: &mut Value, key: &LogKey) {
    if let Some(members) = service.as_object_mut() {
        members.insert("logOrigin".into(), key.name().into());
        members.insert("logKey".into(), key.to_string().into());
    }
}

impl Trust {
    /// The keys that peers and members have published for a log with this origin, each with its owner's DID. A document that is not here is fetched
    /// only when its host is that of the origin, so that a caller without a name makes us fetch one at most.
    pub async fn logs(&self, origin: &str, now: Timestamp) -> Vec<(String, LogKey)> {
        let mut found = Vec::new();
        let members = self.memberships().map(|memberships| memberships.peers(now));
        let known = self.peers().cloned().chain(members.into_iter().flatten());
        for peer in known.filter(|peer| self.is_held(peer)) {
            let known = self.resolver().cached(&peer.did, now, Duration::MAX);
            let may_be = match &known {
                Some(document) => names(document, origin).is_some(),
                None => did::document_url(&peer.did).is_ok_and(|url| is_below(&url, origin)),
            };
            if !may_be {
                continue;
            }
            if let Ok(document) = self.resolver().document(&peer, now).await
                && let Some(key) = names(&document, origin)
            {
                found.push((peer.did.to_string(), key));
            }
        }
        found
    }
}

/// The key of the log with this origin in a document.
fn names(document: &Arc<Document>, origin: &str) -> Option<LogKey> {
    let log = document.log.as_ref()?;
    (log.key.name() == origin).then(|| log.key.clone())
}

/// Whether an origin begins with the host and port of an address.
fn is_below(url: &Url, origin: &str) -> bool {
    let host = url.host_str().unwrap_or_default();
    let place = origin.split('/').next().unwrap_or_default();
    match url.port() {
        Some(port) => place == format!("{host}:{port}"),
        None => place == host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{audit::LogSigner, jose::HmacKey};
    use serde_json::json;

    fn key() -> LogKey {
        let signer = LogSigner::of("https://a.example:8443", &HmacKey::new(&[1; 32])).unwrap();
        signer.key().clone()
    }

    fn document() -> Value {
        let mut service = json!({"type": "DasesConnector", "serviceEndpoint": "https://a.example:8443/"});
        publish(&mut service, &key());
        json!({"service": [{"type": "DataService", "serviceEndpoint": "https://a.example:8443/x"}, service]})
    }

    #[test]
    fn what_is_published_is_read_back() {
        let log = PublishedLog::read(&document()).unwrap();
        assert_eq!(log.key, key());
        assert_eq!(log.key.name(), "a.example:8443/log");
        assert_eq!(log.address.as_str(), "https://a.example:8443/log");
        assert_eq!(document().pointer("/service/0/logKey"), None);
    }

    #[test]
    fn a_log_without_a_usable_key_or_with_anothers_origin_is_none() {
        let changes = [
            ("/service/1/logKey", json!("nonsense")),
            ("/service/1/logKey", json!(null)),
            ("/service/1/logOrigin", json!("b.example/log")),
            ("/service/1/serviceEndpoint", json!("nowhere")),
            ("/service/1/type", json!("Other")),
        ];
        for (place, value) in changes {
            let mut document = document();
            *document.pointer_mut(place).unwrap() = value;
            assert_eq!(PublishedLog::read(&document), None, "{place}");
        }
        assert_eq!(PublishedLog::read(&json!({})), None);
    }

    #[test]
    fn an_origin_is_below_its_own_host_and_port_alone() {
        let url = |text| Url::parse(text).unwrap();
        assert!(is_below(
            &url("https://a.example:8443/.well-known/did.json"),
            "a.example:8443/log"
        ));
        assert!(is_below(&url("https://a.example/u/did.json"), "a.example/log"));
        for other in [
            "a.example/log",
            "a.example:84430/log",
            "xa.example:8443/log",
            "",
            "/log",
        ] {
            assert!(!is_below(&url("https://a.example:8443/"), other), "{other}");
        }
    }
}
