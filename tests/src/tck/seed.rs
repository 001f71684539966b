//! What the kit expects to find: 17 datasets, published through the management API, and 32 agreements, really negotiated with
//! [`Plain`] as the other party; the running [`operator`](super::operator) takes the connector's part.

use super::{
    PARTICIPANT,
    plain::Plain,
    properties::offer_id,
    script::{BOUGHT, Group, SOLD},
    subject::Subject,
};
use crate::harness::{record, text};
use futures_util::future::join_all;
use serde_json::json;
use std::{
    collections::BTreeMap,
    fs,
    time::{Duration, Instant},
};

/// Publishes the datasets of the negotiation tests and two more; CAT0103 must not exist.
pub async fn datasets(subject: &Subject) {
    let connector = subject.connector();
    let path = connector.dir.join("records.ndjson");
    fs::write(&path, record(1, 1)).expect("records can be written");
    let catalog = Group::named("CAT").keys().take(2);
    for id in Group::named("CN").keys().chain(catalog) {
        let dataset = json!({
            "id": id, "title": id, "source": {"type": "file", "path": path}, "subject": "/sub",
            "categories": {"identity": ["/person"], "skills": ["/skills"]},
            "offer": {"@id": offer_id(&id), "@type": "Offer", "permission": [{"action": "use"}]},
        });
        connector.post("/v1/datasets", &dataset).await;
    }
}

/// Negotiates the agreements; their ids by the keys of the tests.
pub async fn agreements(subject: &Subject, plain: &Plain) -> BTreeMap<String, String> {
    let (base, offer) = (subject.base(), offer_id(SOLD));
    let sold = join_all(
        Group::named("TP")
            .keys()
            .map(async |key| (key, plain.buy(&base, SOLD, &offer).await)),
    )
    .await;
    let bought = join_all(
        Group::named("TP_C")
            .keys()
            .map(async |key| (key, buy(subject, plain).await)),
    )
    .await;
    sold.into_iter().chain(bought).collect()
}

/// The connector as the consumer.
async fn buy(subject: &Subject, plain: &Plain) -> String {
    let connector = subject.connector();
    let wish = json!({"peer": PARTICIPANT, "address": plain.root, "offer": offer_id(BOUGHT), "dataset": BOUGHT});
    let pid = text(&connector.post("/v1/negotiations", &wish).await, "pid");
    // The call that waits for the end also returns when the operator is to decide, as here.
    let begun = Instant::now();
    loop {
        let shown = connector.get(&format!("/v1/negotiations/{pid}")).await;
        if text(&shown, "stateName") == "FINALIZED" {
            return text(&shown, "agreementId");
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "not finalized: {shown}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
