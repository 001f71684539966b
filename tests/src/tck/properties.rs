//! The kit's configuration: a Java properties file, made anew for each run. No I/O.

use super::{FORMAT, script::Group};
use std::{collections::BTreeMap, fmt::Write};

/// What the kit has to be told.
pub struct Settings {
    /// The connector's public root.
    pub root: String,
    /// The base below which it speaks the protocol, without a slash at the end.
    pub base: String,
    /// Its participant id.
    pub participant: String,
    /// The whole value of the `Authorization` header that it expects.
    pub authorization: String,
    /// Where the two "initiate" calls go.
    pub hooks: String,
    /// Where the kit listens, on loopback.
    pub port: u16,
    /// Agreement ids by the keys of the transfer tests.
    pub agreements: BTreeMap<String, String>,
}

/// How long the kit waits for each step, in seconds.
const WAIT: u32 = 15;

/// The id of the offer of a seeded dataset. One test of the kit (CN:01-02) names `CD123:ACN0102:456` whatever it is told.
pub fn offer_id(dataset: &str) -> String {
    format!("CD123:{dataset}:456")
}

/// The file's text.
pub fn write(settings: &Settings) -> String {
    let mut file = String::new();
    let mut put = |name: &str, value: &str| writeln!(file, "{name}={value}").expect("a string can be written to");
    let port = settings.port;
    put("dataspacetck.dsp.connector.http.url", &settings.base);
    put("dataspacetck.dsp.connector.http.base.url", &settings.root);
    put(
        "dataspacetck.dsp.connector.http.headers.authorization",
        &settings.authorization,
    );
    put("dataspacetck.dsp.connector.agent.id", &settings.participant);
    put(
        "dataspacetck.dsp.connector.negotiation.initiate.url",
        &format!("{}/negotiations", settings.hooks),
    );
    put(
        "dataspacetck.dsp.connector.transfer.initiate.url",
        &format!("{}/transfers", settings.hooks),
    );
    put("dataspacetck.dsp.default.wait", &WAIT.to_string());
    put("dataspacetck.callback.address", &format!("http://127.0.0.1:{port}"));
    put("dataspacetck.host", "127.0.0.1");
    put("dataspacetck.port", &port.to_string());
    put("dataspacetck.ansi", "false");
    put("dataspacetck.debug", "true");
    for name in ["CAT", "CN", "CN_C", "TP", "TP_C"] {
        let group = Group::named(name);
        for (part, number) in group.tests() {
            let (test, key) = (format!("{name}_{part:02}_{number:02}"), group.key(part, number));
            if name.starts_with("TP") {
                let agreement = settings.agreements.get(&key).map_or(key.as_str(), String::as_str);
                put(&format!("{test}_AGREEMENTID"), agreement);
                put(&format!("{test}_FORMAT"), FORMAT);
            } else {
                put(&format!("{test}_DATASETID"), &key);
            }
            if name == "CN" {
                put(&format!("{test}_OFFERID"), &offer_id(&key));
            }
        }
    }
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_test_is_told_its_dataset_offer_or_agreement() {
        let settings = Settings {
            root: "http://localhost:1".into(),
            base: "http://localhost:1/dsp".into(),
            participant: "did:web:localhost%3A1".into(),
            authorization: "Bearer x".into(),
            hooks: "http://127.0.0.1:2".into(),
            port: 3,
            agreements: [("ATPC0205".to_owned(), "urn:uuid:five".to_owned())].into(),
        };
        let text = write(&settings);
        for line in [
            "dataspacetck.dsp.connector.http.headers.authorization=Bearer x",
            "dataspacetck.dsp.connector.transfer.initiate.url=http://127.0.0.1:2/transfers",
            "dataspacetck.callback.address=http://127.0.0.1:3",
            "CAT_01_03_DATASETID=CAT0103",
            "CN_02_07_DATASETID=ACN0207",
            "CN_02_07_OFFERID=CD123:ACN0207:456",
            "CN_C_03_06_DATASETID=ACNC0306",
            "TP_03_06_FORMAT=HttpData-PULL",
            "TP_C_02_05_AGREEMENTID=urn:uuid:five",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
        }
    }
}
