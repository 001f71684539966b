//! Receipts as others check them: by keys of their time, and by proofs that the issuer's log holds them.

use connector_tests::harness::{Connector, World, binary, consent, text};
use serde_json::{Value, json};
use std::{fs, path::Path, process::Command};

/// The entry of the log with this number, and the proof of it, as files.
fn proven(of: &Connector, number: usize) -> [String; 2] {
    let files = ["tlog-proof", "json"].map(|end| of.dir.join(format!("entry-{number}.{end}")));
    let [proof, entry] = files.map(|file| file.to_str().unwrap().to_owned());
    let done = of.cli(&["audit", "prove", &number.to_string(), "-o", &proof, "--entry", &entry]);
    assert!(done.status.success(), "{done:?}");
    [proof, entry]
}

#[tokio::test(flavor = "multi_thread")]
async fn records_and_receipts_tell_a_json_ld_processor_what_they_tell_people() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let python = root.join("target/pyld/bin/python");
    if !Command::new(&python)
        .args(["-c", "import pyld"])
        .status()
        .is_ok_and(|status| status.success())
    {
        println!("skipped: pyld is not installed (tests/run --install --suite consent)");
        return;
    }
    let world = World::start(&["school", "work"]).await;
    let school = world.get("school");
    let mut new = consent("l0", &world.get("work").did);
    new["purposes"] = json!(["orientation", "dpv:Marketing"]);
    new["maxCount"] = json!(3);
    let granted = school.post("/v1/consents", &json!([new])).await;
    let id = text(&granted["consents"][0], "id");
    let restriction = json!({"subject": "l0", "actor": {"role": "learner", "method": "portal"}});
    let restriction = school.post("/v1/restrictions", &restriction).await;
    school.post("/v1/consents/withdraw", &json!({"subject": "l0"})).await;
    let record = school.get(&format!("/v1/consents/{id}")).await["record"].clone();
    let mut lines = record.to_string();
    for id in [&id, &text(&restriction["restriction"], "id")] {
        let receipts = school.cli(&["consent", "receipts", id]);
        lines = format!("{lines}\n{}", String::from_utf8_lossy(&receipts.stdout));
    }
    let file = school.dir.join("records.txt");
    let check = |lines: &str| {
        fs::write(&file, lines).unwrap();
        let done = Command::new(&python)
            .arg(root.join("tests/check-records"))
            .arg(&file)
            .output();
        let done = done.unwrap();
        (done.status.code(), String::from_utf8_lossy(&done.stdout).into_owned())
    };
    assert_eq!(check(&lines), (Some(0), "4 read, 0 misread\n".to_owned()));
    // Whatever is no term is seen.
    let mut wrong = record;
    wrong["dpv:hasProcess"][0]["dpv:hasPurpose"] = "orientation".into();
    assert_eq!(
        check(&wrong.to_string()),
        (Some(1), "orientation is no IRI\n1 read, 1 misread\n".to_owned())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_counts_by_a_key_of_its_time_and_proofs_show_that_the_log_holds_it() {
    let world = World::start(&["school", "work"]).await;
    let school = world.get("school");
    let granted = school
        .post("/v1/consents", &json!([consent("l0", &world.get("work").did)]))
        .await;
    let id = text(&granted["consents"][0], "id");
    let receipts = school.cli(&["consent", "receipts", &id]);
    let file = school.dir.join("receipts.txt");
    fs::write(&file, &receipts.stdout).unwrap();
    let alone = Command::new(binary())
        .args(["--config", "/nonexistent/connector.toml", "consent", "verify"])
        .arg(&file)
        .output()
        .unwrap();
    let hint = String::from_utf8(alone.stderr).unwrap();
    assert!(
        alone.status.code() == Some(2)
            && hint.contains("next: name the issuer's DID document with --did-document FILE"),
        "{hint}"
    );
    let versions = school.cli(&["audit", "documents", &school.did]);
    let versions: Value = serde_json::from_slice(&versions.stdout).unwrap();
    let known = school.dir.join("school.json");
    fs::write(&known, versions.to_string()).unwrap();
    let verify = |more: &[&str]| {
        let common = [
            "consent",
            "verify",
            file.to_str().unwrap(),
            "--did-document",
            known.to_str().unwrap(),
            "--json",
        ];
        let output = school.cli(&[&common[..], more].concat());
        let told: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        (output.status.code(), told)
    };

    let page = school.get("/v1/audit/entries?limit=1000").await;
    let all: Vec<&Value> = page["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["entry"])
        .collect();
    let of_receipt = all.iter().position(|entry| entry["kind"] == "consent-given").unwrap();
    let [proof, entry] = proven(school, of_receipt);
    let (code, told) = verify(&["--proof", &proof, "--entry", &entry]);
    assert_eq!((code, &told["notChecked"]), (Some(0), &json!([])), "{told}");
    assert_eq!(
        (&told["inclusion"][0]["receipt"], &told["inclusion"][0]["entry"]),
        (&json!(0), &json!(of_receipt))
    );
    // A proof of another entry, and the entry under another proof.
    let other = all.iter().position(|entry| entry["kind"] == "did-doc").unwrap();
    let [other_proof, other_entry] = proven(school, other);
    assert_eq!(verify(&["--proof", &other_proof, "--entry", &other_entry]).0, Some(6));
    assert_eq!(verify(&["--proof", &other_proof, "--entry", &entry]).0, Some(6));
    assert_eq!(verify(&["--proof", &proof]).0, Some(2));

    // Had the school given the key up before, the receipt would prove nothing; without versions nobody can tell.
    let today = versions["versions"][0]["document"].clone();
    let mut given_up = today.clone();
    given_up["assertionMethod"] = json!([]);
    let history = json!({"versions": [
        {"seen": "2020-01-01T00:00:00Z", "document": today}, {"seen": "2021-01-01T00:00:00Z", "document": given_up},
    ]});
    fs::write(&known, history.to_string()).unwrap();
    assert_eq!(verify(&[]).0, Some(6));
    fs::write(&known, given_up.to_string()).unwrap();
    let (code, told) = verify(&[]);
    assert_eq!(
        (code, &told["notChecked"]),
        (Some(0), &json!(["keyPeriods", "inclusion"]))
    );
}
