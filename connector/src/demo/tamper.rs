//! A man in the middle who changes one byte of a signed message on its way.

use super::{daemons::Daemon, run::DemoError};
use crate::{
    clock,
    config::Config,
    dsp::{self, catalog},
    jose::{Binding, Digest, random, seal},
    net::{Client, Reach, Request},
    trust::SIGNATURE_HEADER,
};
use http::{HeaderMap, HeaderValue, Method, header};
use serde_json::Value;

/// What became of the message with the changed byte.
pub(super) struct Refusal {
    pub(super) refused: bool,
    pub(super) status: u16,
    pub(super) code: String,
    /// The same message as its sender wrote it was accepted.
    pub(super) genuine_accepted: bool,
}

/// Has the sender sign a catalog request, delivers it with one byte changed, and then as it was written.
pub(super) async fn send(sender: &Daemon, recipient: &Daemon) -> Result<Refusal, DemoError> {
    let failed = |error: &dyn std::fmt::Display| DemoError::Step("tampering", error.to_string());
    let config = Config::load(&sender.dir.join("connector.toml")).map_err(|error| failed(&error))?;
    let keys = config.keyring().map_err(|error| failed(&error))?;
    let port = recipient.did.rsplit("%3A").next().unwrap_or_default();
    let url = format!("https://localhost:{port}{}/catalog/request", dsp::PATH);
    let body = catalog::request().to_string();
    let now = clock::now();
    let jti = random::message_id(now).map_err(|error| failed(&error))?;
    let binding = Binding::Request {
        method: "POST",
        url: &url,
    };
    let signature = seal(
        keys.active(),
        &recipient.did,
        binding,
        Digest::EMPTY,
        body.as_bytes(),
        now,
        &jti,
    )
    .map_err(|error| failed(&error))?;
    let client = Client::new(config.net);
    let deliver = async |body: String| -> Result<(u16, Value), DemoError> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(
            SIGNATURE_HEADER,
            HeaderValue::from_str(&signature).map_err(|error| failed(&error))?,
        );
        let url = url.parse().map_err(|error| failed(&error))?;
        let request = Request {
            method: Method::POST,
            url,
            headers,
            body: body.into(),
            reach: Reach {
                private: true,
                http: false,
            },
        };
        let response = client.send(request).await.map_err(|error| failed(&error))?;
        Ok((
            response.status.as_u16(),
            serde_json::from_slice(&response.body).unwrap_or(Value::Null),
        ))
    };
    let (status, answer) = deliver(body.replacen("CatalogRequestMessage", "CatalogRequestMessagf", 1)).await?;
    let (genuine, _) = deliver(body).await?;
    let code = answer
        .get("code")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    Ok(Refusal {
        refused: status == 401,
        status,
        code,
        genuine_accepted: genuine == 200,
    })
}
