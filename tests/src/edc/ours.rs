//! Our connector and an EDC that know each other, with the wire between them and the shop beside them.

use super::{Edc, Release, control::Counterparty, shop::Shop, wire::Wire};
use crate::harness::{self, Connector, PURPOSE, World, consent, dataset, record, text};
use http::Method;
use serde_json::{Value, json};
use std::{
    fs,
    sync::Arc,
    time::{Duration, Instant},
};

/// Records in our dataset, of so many learners in turn.
pub const RECORDS: u64 = 20;
const LEARNERS: u64 = 4;
/// The learners who consent are the first ones; the last one's records stay here.
const CONSENTING: u64 = 3;
/// How many records may leave.
pub const PERMITTED: usize = (RECORDS / LEARNERS * CONSENTING) as usize;
/// EDC's id. Not `edc`: that is a term of EDC's own JSON-LD context, which makes another id of it.
const EDC: &str = "edc-peer";
/// Its name among our peers.
const NAME: &str = "edc";
/// The name and the folder of our connector.
const OURS: &str = "ours";

/// Both sides.
pub struct Pair {
    /// The other side.
    pub edc: Edc,
    /// All that goes from EDC to us.
    pub to_ours: Arc<Wire>,
    /// All that goes from us to EDC.
    pub to_edc: Arc<Wire>,
    /// What lies beside them.
    pub shop: Shop,
    /// The records that EDC offers.
    pub goods: String,
    world: World,
}

impl Pair {
    /// Starts both. EDC offers the asset `goods`; we offer `records`, and `closed` to somebody else.
    pub async fn start(release: &Release) -> Self {
        let goods: String = (0..RECORDS).map(|number| record(number, number % LEARNERS)).collect();
        let shop = Shop::open(&goods);
        let edc_side = harness::free();
        let edc_root = format!(
            "http://localhost:{}",
            edc_side.local_addr().expect("a bound port").port()
        );
        let edc = Edc::start(release, EDC, Some(&format!("{edc_root}/protocol")), Some(50)).await;
        let to_edc = Wire::open(edc_side, edc.protocol().trim_end_matches("/protocol"));

        let mut world = World::init(&[OURS]);
        let ours_side = harness::free();
        let connector = world.get_mut(OURS);
        let to_ours = Wire::open(ours_side, &format!("http://127.0.0.1:{}", connector.port));
        let config = config(connector, &to_ours.root, &format!("{edc_root}/protocol"));
        fs::write(connector.config(), config).expect("a configuration can be written");
        connector.start().await;

        edc.offer("goods", &format!("{}/goods", shop.root)).await;
        let pair = Self {
            edc,
            to_ours,
            to_edc,
            shop,
            goods,
            world,
        };
        pair.publish().await;
        pair
    }

    async fn publish(&self) {
        let ours = self.ours();
        let path = ours.dir.join("records.ndjson");
        fs::write(&path, &self.goods).expect("records can be written");
        ours.post("/v1/datasets", &dataset("records", &path, offer(&[]))).await;
        let somebody =
            json!({"leftOperand": "odrl:recipient", "operator": "eq", "rightOperand": "did:web:somebody.example"});
        ours.post("/v1/datasets", &dataset("closed", &path, offer(&[somebody])))
            .await;
        let consents: Vec<Value> = (0..CONSENTING)
            .map(|learner| consent(&format!("l{learner}"), EDC))
            .collect();
        ours.post("/v1/consents", &json!(consents)).await;
    }

    /// Our connector.
    pub fn ours(&self) -> &Connector {
        self.world.get(OURS)
    }

    /// Our connector, to stop or start it.
    pub fn ours_mut(&mut self) -> &mut Connector {
        self.world.get_mut(OURS)
    }

    /// Our connector as EDC's operator names it.
    pub fn us(&self) -> Counterparty {
        Counterparty {
            id: self.ours().did.clone(),
            address: format!("{}/dsp/2025-1", self.to_ours.root),
        }
    }

    /// Our published offer of a dataset.
    pub async fn our_offer(&self, dataset: &str) -> Value {
        self.ours().get(&format!("/v1/datasets/{dataset}")).await["offer"].clone()
    }

    /// Has EDC negotiate our records to the end; returns EDC's view of the negotiation.
    pub async fn edc_negotiates(&self) -> Value {
        let id = self
            .edc
            .request(&self.us(), "records", &self.our_offer("records").await)
            .await;
        let ended = self.edc.negotiation_until(&id, &["FINALIZED"]).await;
        // EDC says FINALIZED a moment before its own operator's requests find the agreement.
        self.edc.knows_agreement(&text(&ended, "contractAgreementId")).await;
        ended
    }

    /// Has our connector negotiate EDC's goods to the end; returns our view of the negotiation.
    pub async fn we_negotiate(&self) -> Value {
        let asked = json!({"peer": NAME, "offer": "goods"});
        let opened = self.ours().post("/v1/negotiations", &asked).await;
        self.we_finalize(&text(&opened, "pid")).await
    }

    /// Waits until EDC, too, says that a negotiation of ours is finalized: until our acknowledgement has reached it, it knows no agreement.
    pub async fn edc_finalized(&self, pid: &str) {
        let begun = Instant::now();
        loop {
            let theirs = self.edc.negotiation_of(pid).await;
            if theirs.as_ref().is_some_and(|one| one["state"] == "FINALIZED") {
                return;
            }
            assert!(
                begun.elapsed() < Duration::from_secs(20),
                "EDC has not finalized {pid}: {theirs:?}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until our negotiation is finalized.
    pub async fn we_finalize(&self, pid: &str) -> Value {
        let path = format!("/v1/negotiations/{pid}/wait?timeout=30");
        let ended = self.ours().get(&path).await;
        assert_eq!(text(&ended, "stateName"), "FINALIZED", "{ended}");
        ended
    }

    /// Our transfer or negotiation that has this id at EDC, once it has this state.
    pub async fn ours_until(&self, resource: &str, peer_pid: &str, state: &str) -> Value {
        let begun = Instant::now();
        loop {
            let all = self.ours().get(&format!("/v1/{resource}")).await;
            let found = all[resource].as_array().and_then(|all| {
                let mut all = all.iter();
                all.find(|one| one["peerPid"] == peer_pid || one["pid"] == peer_pid)
                    .cloned()
            });
            if let Some(found) = found.as_ref().filter(|found| found["stateName"] == state) {
                return found.clone();
            }
            assert!(
                begun.elapsed() < Duration::from_secs(15),
                "ours has not become {state}: {}",
                found.unwrap_or_default()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Our agreement by its id.
    pub async fn our_agreement(&self, id: &str) -> Value {
        let all = self.ours().get("/v1/agreements").await;
        let found = all["agreements"]
            .as_array()
            .and_then(|all| all.iter().find(|one| one["id"] == id));
        found
            .cloned()
            .unwrap_or_else(|| panic!("we have no agreement {id}: {all}"))
    }

    /// A command to one of our processes.
    pub async fn we(&self, resource: &str, pid: &str, command: &str) -> Value {
        let why = match command {
            "suspend" | "terminate" => json!({"reason": "the suite says so"}),
            _ => json!({}),
        };
        self.ours().post(&format!("/v1/{resource}/{pid}/{command}"), &why).await
    }

    /// Reads an address with a token, sent as it is.
    pub async fn fetch(&self, endpoint: &str, authorization: &str) -> (u16, String) {
        let request = self
            .edc
            .client
            .request(Method::GET, endpoint)
            .header("authorization", authorization);
        let answer = request.send().await.expect("an answer");
        let status = answer.status().as_u16();
        (status, answer.text().await.unwrap_or_default())
    }

    /// What both logs say about a failure; EDC's after its first `before` bytes.
    pub fn evidence(&self, before: usize) -> String {
        let ours = self.ours().log();
        let mut lines = ours.lines().rev();
        let last = lines.find(|line| ["WARN", "ERROR", "refused"].iter().any(|sign| line.contains(sign)));
        let theirs = self.edc.complaint(before);
        let refused = [&self.to_ours, &self.to_edc].map(|wire| wire.last_refusal().unwrap_or_default());
        format!(
            "EDC's log: {}; ours: {}; last refused by ours: {}; by EDC: {}",
            theirs.as_deref().unwrap_or("no complaint"),
            last.unwrap_or("no complaint"),
            refused[0],
            refused[1]
        )
    }

    /// Makes the next row possible after one that failed.
    pub async fn recover(&mut self) {
        self.to_ours.heal();
        self.to_edc.heal();
        if self.ours().is_stopped() {
            self.ours_mut().start().await;
        }
    }
}

/// An offer that survives EDC's JSON-LD: every right operand is one value (two or more come back as one garbled text).
fn offer(more: &[Value]) -> Value {
    let mut constraints = vec![
        json!({"leftOperand": "odrl:purpose", "operator": "eq", "rightOperand": PURPOSE}),
        json!({"leftOperand": "dases:dataCategory", "operator": "isAnyOf", "rightOperand": "skills"}),
        json!({"leftOperand": "dases:consent", "operator": "eq", "rightOperand": "given"}),
    ];
    constraints.extend_from_slice(more);
    json!({"permission": [{"action": "use", "constraint": constraints}]})
}

fn config(ours: &Connector, public_url: &str, edc: &str) -> String {
    format!(
        "did = \"{}\"\npublic_url = \"{public_url}\"\nlisten = \"127.0.0.1:{}\"\ntls = false\n\
         [decisions]\nother_terms = \"refuse\"\n\
         [net]\ntimeout = \"3s\"\n[retry]\nfirst = \"100ms\"\nlongest = \"1s\"\n\
         [[peer]]\nid = \"{EDC}\"\nname = \"{NAME}\"\nidentity = \"edc-mock\"\naddress = \"{edc}\"\n\
         allow_http = true\nallow_private = true\n",
        ours.did, ours.port
    )
}
