//! Paper forms that a child and a guardian both signed, entered from the command line, and what people are told of them.

use super::*;
use crate::scenes::{learners, said};

#[tokio::test(flavor = "multi_thread")]
async fn consent_law_a_form_that_a_child_and_a_guardian_signed_is_entered_as_given_by_both() {
    let world = World::start(&["school", "work"]).await;
    let (school, work) = (world.get("school"), world.get("work"));
    school.publish(40, 4).await;
    for learner in ["l0", "l1", "l2"] {
        let standing = json!({
            "subject": learner, "bornOn": "2020-05-01",
            "powers": [{"id": "mother", "capacity": "parental-authority", "scope": ["give", "withdraw"],
                "from": "2026-01-01T00:00:00Z", "until": "2038-01-01T00:00:00Z", "evidence": "register 7"}],
        });
        school.post("/v1/learners", &standing).await;
    }
    let grant = |learner: &str, more: &[&str]| {
        let more = [&["--notice", NOTICE], more].concat();
        school.cli(&learners::grant(learner, &work.did, &more))
    };
    let both = said(grant("l0", &["--signed-by", "mother"]));
    assert!(
        both.starts_with("recorded: urn:uuid:") && both.contains("(given)"),
        "{both}"
    );
    let all = school.get("/v1/consents?subject=l0").await;
    let events = all["consents"][0]["events"].as_array().unwrap();
    let signers: BTreeSet<String> = events
        .iter()
        .filter(|event| event["act"] == "give")
        .map(|event| text(event, "role"))
        .collect();
    assert_eq!(signers, ["guardian", "learner"].map(str::to_owned).into(), "{all}");
    let alone = said(grant("l1", &[]));
    assert!(alone.contains("(pending-second)"), "{alone}");
    let stranger = grant("l2", &["--signed-by", "stranger"]);
    let told = String::from_utf8_lossy(&stranger.stderr).into_owned();
    assert!(!stranger.status.success() && told.contains("no power"), "{told}");

    let (mut both, mut mother, adult) = (
        consent("l2", &work.did),
        consent("l1", &work.did),
        consent("l3", &work.did),
    );
    let signed = |role: &str, id: Option<&str>| json!({"role": role, "id": id, "method": "paper-form"});
    both["signedBy"] = json!([signed("learner", None), signed("guardian", Some("mother"))]);
    mother["signedBy"] = json!([signed("guardian", Some("mother"))]);
    let file = school.dir.join("forms.jsonl");
    fs::write(&file, format!("{both}\n{mother}\n{adult}\n")).unwrap();
    let import = ["consent", "import", file.to_str().unwrap()];
    let told = said(school.cli(&import));
    assert!(
        told.contains("3 consents recorded: 2 given, 1 pending-learner"),
        "{told}"
    );
    assert_eq!(release(school, work).await["sent"], 30, "all but l1's");

    // What is corrected is the age alone: the mother stays, and the end is shown as the record says it.
    let of_age = json!({"subject": "l0", "soleConsentFrom": now().plus(Duration::from_secs(86_400))});
    let standing = school.post("/v1/learners", &of_age).await;
    assert_eq!(standing["powers"][0]["id"], "mother", "{standing}");
    let all = school.get("/v1/consents?subject=l0").await;
    let listed = &all["consents"][0];
    let id = text(&listed["consent"], "id");
    let shown = school.get(&format!("/v1/consents/{id}")).await;
    assert_eq!((&shown["state"], &shown["until"]), (&json!("given"), &listed["until"]));
    assert_eq!(shown["until"], shown["record"]["dpv:hasDuration"][0]["dct:valid"]);
    assert_ne!(shown["until"], shown["consent"]["expires"]);
    verified(school).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn consent_law_an_import_that_stops_half_way_says_where_and_is_gone_on_with_there() {
    let world = World::start(&["school", "work"]).await;
    let (school, work) = (world.get("school"), world.get("work"));
    let file = school.dir.join("forms.json");
    let import = ["consent", "import", file.to_str().unwrap(), "--lang", "fr"];
    let mut forms: Vec<Value> = (0..70)
        .map(|number| consent(&format!("l{number}"), &work.did))
        .collect();
    forms[69]["categories"] = json!(["skillz"]);
    fs::write(&file, json!(forms).to_string()).unwrap();
    let stopped = school.cli(&import);
    let told = String::from_utf8_lossy(&stopped.stderr).into_owned();
    assert_eq!(stopped.status.code(), Some(1), "{told}");
    assert!(
        told.contains("entrée 70\u{a0}:") && told.contains("entry 70:"),
        "{told}"
    );
    assert!(
        told.contains("les consentements 1 à 64 du fichier sont enregistrés") && told.contains("à partir du 65"),
        "{told}"
    );
    let recorded = async || school.get("/v1/consents").await["consents"].as_array().unwrap().clone();
    assert_eq!(recorded().await.len(), 64);

    forms[69]["categories"] = json!(["skills"]);
    fs::write(&file, json!(forms[64..]).to_string()).unwrap();
    assert!(said(school.cli(&import)).contains("6 consents recorded"));
    let all = recorded().await;
    assert_eq!(all.len(), 70);
    assert!(all.iter().all(|one| one["state"] == "given"), "none was entered twice");
}
