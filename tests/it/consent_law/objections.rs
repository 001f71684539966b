//! Objections to another basis than consent as people meet them: from the command line, with a receipt that is checked offline.

use super::*;
use crate::scenes::said;

/// The command by which a learner objects in a letter.
fn object<'a>(learner: &'a str, basis: &'a str) -> Vec<&'a str> {
    let common = ["consent", "object", "--method", "letter", "--evidence", "file:12"];
    [&common[..], &["--subject", learner, "--basis", basis]].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn consent_law_an_objection_is_made_listed_and_proved_from_the_command_line() {
    let world = World::start(&["school", "work"]).await;
    let (school, work) = (world.get("school"), world.get("work"));
    let hash = notice(school, "1").await;
    let declared = json!({
        "basis": "public-task", "grounds": "Code de l'éducation", "recipients": [work.did], "purposes": [PURPOSE],
        "categories": ["skills"], "datasets": ["records"], "notice": hash, "until": now().plus(Duration::from_secs(3_600)),
    });
    let basis = text(&school.post("/v1/bases", &declared).await, "id");
    for learner in ["l0", "l1"] {
        assert!(said(school.cli(&object(learner, &basis))).starts_with("objection urn:uuid:"));
    }
    let all = said(school.cli(&["consent", "objections"]));
    assert!(
        all.contains("l0") && all.contains("l1") && all.contains(&basis),
        "{all}"
    );
    let theirs = said(school.cli(&["consent", "objections", "--subject", "l0", "--json"]));
    let theirs: Value = serde_json::from_str(&theirs).unwrap();
    let theirs = theirs["objections"].as_array().unwrap();
    assert_eq!((theirs.len(), &theirs[0]["subject"]), (1, &json!("l0")), "{theirs:?}");
    let id = text(&theirs[0], "id");
    let nobody = said(school.cli(&["consent", "objections", "--subject", "l2"]));
    assert!(nobody.contains("no objections"), "{nobody}");

    let file = school.dir.join("objection.txt");
    fs::write(&file, said(school.cli(&["consent", "receipts", &id]))).unwrap();
    let verify = ["consent", "verify", file.to_str().unwrap()];
    let told = said(school.cli(&verify));
    assert!(
        told.contains(&id) && told.contains(&basis) && told.contains(&work.did),
        "{told}"
    );
    let proved: Value = serde_json::from_str(&said(school.cli(&[&verify[..], &["--json"]].concat()))).unwrap();
    assert_eq!(
        (&proved["objection"], &proved["basis"], &proved["issuer"]),
        (&json!(id), &json!(basis), &json!(school.did))
    );
    assert_eq!(
        (&proved["checked"], &proved["notChecked"]),
        (&json!(["signatures", "steps", "keyPeriods"]), &json!(["inclusion"]))
    );
    let twice = fs::read_to_string(&file).unwrap().repeat(2);
    fs::write(&file, twice).unwrap();
    assert_eq!(
        school.cli(&verify).status.code(),
        Some(6),
        "an objection has one receipt"
    );

    let nowhere = object("l3", "urn:uuid:0198f2c4-7a31-7d20-8f00-3b6c1a9e5d11");
    let refused = school.cli(&[&nowhere[..], &["--lang", "fr"]].concat());
    let french = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(4), "{french}");
    assert!(french.contains("cette base légale n’existe pas"), "{french}");
    verified(school).await;
}
