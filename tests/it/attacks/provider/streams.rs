//! A provider that tampers with what it streams.

use super::{Process, Rig, acknowledgement, rests, stranger, tally};
use connector::{
    audit::merkle::{Frontier, leaf_hash},
    plane::lines,
};
use connector_tests::{harness, peer::uuid};
use serde_json::{Value, json};

/// A stream as a provider would send it: the lines, numbered and signed as `edit` leaves them.
fn stream(rig: &Rig, process: &Process, agreement: &str, edit: impl Fn(&mut Vec<Value>)) -> Vec<u8> {
    let mut tree = Frontier::new();
    let control = |t: &str, n: u64, tree: &Frontier| json!({"t": t, "transfer": process.provider, "agreement": agreement, "n": n, "root": tree.root().to_string()});
    let mut all = vec![control("begin", 0, &tree)];
    for n in 1..=3_u64 {
        let line = format!("{{\"t\":\"r\",\"n\":{n},\"record\":{{\"sub\":\"p:{n}\"}}}}");
        tree.append(leaf_hash(line.as_bytes()));
        all.push(json!(line));
    }
    all.push(control("end", 3, &tree));
    edit(&mut all);
    let mut bytes = Vec::new();
    for line in all {
        match line {
            Value::String(text) => bytes.extend_from_slice(text.as_bytes()),
            Value::Object(members) if members.contains_key("sig") => {
                bytes.extend_from_slice(Value::Object(members).to_string().as_bytes());
            }
            Value::Object(members) => {
                bytes.extend_from_slice(&lines::control(&rig.provider.signer, members).unwrap());
            }
            _ => unreachable!(),
        }
        bytes.push(b'\n');
    }
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_was_tampered_with_is_never_complete() {
    let mut rig = Rig::start().await;
    let agreement = rig.finalized().await;
    let process = rig.transfer(&agreement).await;
    let start = rig.start_message(&process, rig.address(&process));
    let reply = rig.provider.send(rig.work(), &start).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let strange = stranger(rig.provider.signer.kid());
    let forged = |line: &Value| {
        let bytes = lines::control(&strange, line.as_object().unwrap().clone()).unwrap();
        serde_json::from_slice::<Value>(&bytes).unwrap()
    };
    type Edit<'a> = Box<dyn Fn(&mut Vec<Value>) + 'a>;
    let edits: Vec<(&str, Edit<'_>)> = vec![
        (
            "a record changed",
            Box::new(|all| all[2] = json!("{\"t\":\"r\",\"n\":2,\"record\":{\"sub\":\"p:x\"}}")),
        ),
        ("a record left out", Box::new(|all| drop(all.remove(2)))),
        ("a record twice", Box::new(|all| all.insert(2, all[2].clone()))),
        ("records swapped", Box::new(|all| all.swap(1, 2))),
        ("no begin", Box::new(|all| drop(all.remove(0)))),
        ("two begins", Box::new(|all| all.insert(0, all[0].clone()))),
        ("no end", Box::new(|all| drop(all.pop()))),
        (
            "a record after the end",
            Box::new(|all| all.push(json!("{\"t\":\"r\",\"n\":4,\"record\":{}}"))),
        ),
        ("another count", Box::new(|all| all[4]["n"] = json!(4))),
        ("another root", Box::new(|all| all[4]["root"] = all[0]["root"].clone())),
        ("another transfer", Box::new(|all| all[0]["transfer"] = json!(uuid()))),
        ("another agreement", Box::new(|all| all[0]["agreement"] = json!(uuid()))),
        (
            "an end of another transfer",
            Box::new(|all| all[4]["transfer"] = json!(uuid())),
        ),
        (
            "an unknown line",
            Box::new(|all| all.insert(1, json!({"t": "x", "n": 0}))),
        ),
        ("an unsigned end", Box::new(|all| all[4] = json!(all[4].to_string()))),
        (
            "an end with a stranger's signature",
            Box::new(|all| all[4] = forged(&all[4])),
        ),
        (
            "a begin with a stranger's signature",
            Box::new(|all| all[0] = forged(&all[0])),
        ),
        (
            "a record that is no object",
            Box::new(|all| all[1] = json!("{\"t\":\"r\",\"n\":1,\"record\":[1]}")),
        ),
        ("no JSON", Box::new(|all| all.insert(1, json!("hello")))),
        (
            "a line of 20 MiB",
            Box::new(|all| all.insert(1, json!("a".repeat(20 << 20)))),
        ),
        (
            "a record nested deeply",
            Box::new(|all| {
                let deep = format!("{}{}", "{\"a\":".repeat(10_000), "1".to_owned() + &"}".repeat(10_000));
                all[1] = json!(format!("{{\"t\":\"r\",\"n\":1,\"record\":{deep}}}"));
            }),
        ),
    ];
    let count = edits.len() + 3;
    for (name, edit) in &edits {
        let asked = rig.listener.expect(&format!("/data/{}", process.provider)).await;
        asked.answer_raw(200, stream(&rig, &process, &agreement, edit), &[]);
        let shown = rig.work().get(&format!("/v1/transfers/{}", process.consumer)).await;
        assert_eq!(shown["stateName"], "STARTED", "{name}: {shown}");
        assert_eq!(shown["progress"]["complete"], false, "{name}: {shown}");
    }
    for (status, body) in [(500, Vec::new()), (302, Vec::new()), (403, vec![b'a'; 1 << 20])] {
        let asked = rig.listener.expect(&format!("/data/{}", process.provider)).await;
        asked.answer_raw(status, body, &[("location", "https://localhost/".into())]);
    }
    // Asked again after all of it, and then complete; nothing of the false streams is left in the file.
    let asked = rig.listener.expect(&format!("/data/{}", process.provider)).await;
    let shown = rig.work().get(&format!("/v1/transfers/{}", process.consumer)).await;
    assert_eq!(
        (shown["stateName"].as_str(), shown["progress"]["records"].as_u64()),
        (Some("STARTED"), Some(0))
    );
    asked.answer_raw(200, stream(&rig, &process, &agreement, |_| {}), &[]);
    let asked = rig.listener.expect("/completion").await;
    assert!(asked.headers.contains_key("x-dases-receipt"));
    asked.answer(200, &acknowledgement("TransferProcess", &process, "COMPLETED"));
    rests(rig.work(), "transfers", &process.consumer, "COMPLETED").await;
    let lines = rig.work().received(&process.consumer);
    let subjects: Vec<_> = lines.iter().map(|line| line["record"]["sub"].clone()).collect();
    assert_eq!(
        subjects,
        [json!(null), json!("p:1"), json!("p:2"), json!("p:3"), json!(null)],
        "{lines:?}"
    );
    tally("tampered streams", count);
}

#[tokio::test(flavor = "multi_thread")]
async fn providers_that_do_not_answer_hold_up_no_other() {
    let mut rig = Rig::start().await;
    let agreement = rig.finalized().await;
    let dead = harness::free().local_addr().unwrap().port();
    let start = async |rig: &Rig, process: &Process, address: Value| {
        let reply = rig
            .provider
            .send(rig.work(), &rig.start_message(process, address))
            .await;
        assert_eq!(reply.status, 200, "{}", reply.body);
    };
    for _ in 0..20 {
        let process = rig.transfer(&agreement).await;
        let mut address = rig.address(&process);
        address["endpoint"] = json!(format!("https://localhost:{dead}/data/x"));
        start(&rig, &process, address).await;
    }
    let process = rig.transfer(&agreement).await;
    let address = rig.address(&process);
    start(&rig, &process, address).await;
    let asked = rig.listener.expect(&format!("/data/{}", process.provider)).await;
    asked.answer_raw(200, stream(&rig, &process, &agreement, |_| {}), &[]);
    rig.listener.expect("/completion").await.acknowledge("COMPLETED");
    rests(rig.work(), "transfers", &process.consumer, "COMPLETED").await;
    tally("providers that do not answer", 20);
}
