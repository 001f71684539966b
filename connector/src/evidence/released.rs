//! Checking what a bundle says about streams: the provider's signed lines, the consumer's receipts, and the counts and roots in the log.

use super::{
    Flaw,
    checks::{Bundle, Keys, When},
    manifest::Item,
};
use crate::{
    dsp::Role,
    jose::{did::of_kid, token},
    plane::lines::{self, Line},
    process::{Protocol, archive::Form},
};
use serde::Serialize;
use serde_json::{Map, Value};

/// What left under the agreement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Release {
    /// The exporter's id of the transfer.
    pub transfer: String,
    /// How many records the provider signed that it sent; none when no stream came to its end.
    pub records: Option<u64>,
    /// The root over them.
    pub root: Option<String>,
    /// The consumer signed that it received exactly that.
    pub receipt: bool,
}

/// Checks the lines and receipts of every transfer.
pub(super) fn check(
    bundle: &Bundle,
    keys: &Keys,
    entries: &dyn Fn(u64) -> Option<Value>,
) -> Result<Vec<Release>, Flaw> {
    let transfers = bundle.manifest.processes.iter();
    let mut releases = Vec::new();
    for process in transfers.filter(|process| process.protocol == Protocol::Transfer) {
        let mut release = Release {
            transfer: process.pid.to_string(),
            records: None,
            root: None,
            receipt: false,
        };
        let items = || {
            bundle
                .manifest
                .exhibits
                .iter()
                .filter(|item| item.process == process.pid)
        };
        for item in items().filter(|item| item.form == Form::Line) {
            let members = line(bundle, keys, item)?;
            if item.kind == "end" {
                release.records = members.get("n").and_then(Value::as_u64);
                release.root = members.get("root").and_then(Value::as_str).map(str::to_owned);
                recorded(item, &release, entries)?;
            }
        }
        for item in items().filter(|item| item.form == Form::Receipt) {
            receipt(bundle, keys, item, &release)?;
            release.receipt = true;
        }
        releases.push(release);
    }
    Ok(releases)
}

/// When a line or a receipt was signed. What the other party signs is recorded when it is here, but for the line that begins a stream: that
/// one waits for the end. What the exporter signs itself may lie in its record for a while as well.
fn signed(bundle: &Bundle, item: &Item, by: Role) -> When {
    if by == bundle.manifest.role || item.kind == "begin" {
        return bundle.during(&item.process);
    }
    When::at(item.entries.last().copied().unwrap_or_default())
}

/// One signed line of the provider.
fn line(bundle: &Bundle, keys: &Keys, item: &Item) -> Result<Map<String, Value>, Flaw> {
    let refuse = |why: &str| Flaw::of(item.body.as_str(), why);
    let bytes = bundle.bytes(&item.body)?;
    let when = signed(bundle, item, Role::Provider);
    let read = keys.attempt("lines of streams", when, |keys| match lines::read(bytes, 1, keys) {
        Ok(Line::Control(members)) => Ok(members),
        Ok(Line::Record { .. }) => Err("it is a record, which no bundle holds".to_owned()),
        Err(error) => Err(error.to_string()),
    });
    let (members, kid) = read.map_err(|why| refuse(&why))?;
    let text = |name: &str| members.get(name).and_then(Value::as_str);
    if of_kid(&kid) != Some(bundle.party(Role::Provider).as_str()) {
        return Err(refuse("it is not signed by the provider"));
    }
    if text("t") != Some(&item.kind)
        || text("transfer") != bundle.pid_of(Role::Provider, &item.process).map(|pid| pid.as_str())
    {
        return Err(refuse(
            "it belongs to another transfer, or to another place in the stream",
        ));
    }
    if item.kind == "begin" && text("agreement") != Some(bundle.manifest.agreement.as_str()) {
        return Err(refuse("it belongs to another agreement"));
    }
    Ok(members)
}

/// The log says the same of the stream as its end line.
fn recorded(item: &Item, release: &Release, entries: &dyn Fn(u64) -> Option<Value>) -> Result<(), Flaw> {
    for entry in item.entries.iter().filter_map(|number| entries(*number)) {
        let count = entry.get("sent").or_else(|| entry.get("count")).and_then(Value::as_u64);
        if count != release.records || entry.get("root").and_then(Value::as_str) != release.root.as_deref() {
            return Err(Flaw::of(
                item.body.as_str(),
                "its count or root is not the one in the log",
            ));
        }
    }
    Ok(())
}

/// The consumer's receipt for the whole stream.
fn receipt(bundle: &Bundle, keys: &Keys, item: &Item, release: &Release) -> Result<(), Flaw> {
    let refuse = |why: &str| Flaw::of(item.body.as_str(), why);
    let text = bundle.text(&item.body)?;
    let when = signed(bundle, item, Role::Consumer);
    let verified = keys.attempt("receipts", when, |keys| token::verify(text, token::Kind::Receipt, keys));
    let (claims, _) = verified.map_err(|error| refuse(&error.to_string()))?;
    if claims.issuer() != bundle.party(Role::Consumer).as_str() {
        return Err(refuse("it is not signed by the consumer"));
    }
    let claim = |name: &str| claims.members().get(name).and_then(Value::as_str);
    if claim("transfer") != bundle.pid_of(Role::Provider, &item.process).map(|pid| pid.as_str())
        || claim("agreement") != Some(bundle.manifest.agreement.as_str())
    {
        return Err(refuse("it is a receipt for another transfer"));
    }
    let count = claims.members().get("count").and_then(Value::as_u64);
    if release.records.is_some() && (count != release.records || claim("root") != release.root.as_deref()) {
        return Err(refuse("its count or root is not that of the stream's end line"));
    }
    Ok(())
}
