//! What a newer version of a notice does to the consents that were given under the versions before it, all of them.

use super::*;
use crate::scenes::said;

/// Replaces a notice from the command line; returns the newer one's hash and what was said of the consents.
fn replace(school: &Connector, old: &str, version: &str, more: &[&str]) -> (String, String) {
    let file = school.dir.join("notice.txt");
    fs::write(&file, format!("Version {version}.")).unwrap();
    let common = [
        "notice",
        "replace",
        "orientation",
        "--version",
        version,
        "--language",
        "fr",
        "--file",
        file.to_str().unwrap(),
        "--old",
        old,
    ];
    let told = said(school.cli(&[&common[..], more].concat()));
    let (hash, rest) = told.trim().rsplit_once(": ").unwrap();
    (hash.to_owned(), rest.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn consent_law_a_notice_that_means_something_else_ends_what_was_given_under_each_version_before_it() {
    let world = World::start(&["school", "work"]).await;
    let (school, work) = (world.get("school"), world.get("work"));
    school.publish(40, 4).await;
    let first = notice(school, "1").await;
    let id = ask(school, "l0", &work.did, &first).await;
    decide(school, &id, &event("give", actor("learner", None))).await;
    let (second, told) = replace(school, &first, "2", &[]);
    assert_eq!(told, "0 consent(s) ended, 0 asked for anew, 1 marked");
    let share = |learner: &str, notice: &str| {
        json!({
            "subject": learner, "recipient": work.did, "purpose": PURPOSE, "categories": ["skills"], "notice": notice,
            "until": now().plus(Duration::from_secs(3_600)), "actor": actor("learner", None),
        })
    };
    let shared = school.post("/v1/shares", &share("l1", &first)).await;
    assert_eq!(shared["state"], "given", "the first still means the same: {shared}");
    assert_eq!(release(school, work).await["sent"], 20);

    let (third, told) = replace(school, &second, "3", &["--changes-meaning"]);
    assert_eq!(told, "2 consent(s) ended, 2 asked for anew, 0 marked");
    assert_eq!(school.get(&format!("/v1/consents/{id}")).await["state"], "expired");
    assert_eq!(release(school, work).await["sent"], 0);
    for old in [&first, &second] {
        assert_eq!(
            refused(school, "/v1/shares", &share("l2", old)).await,
            (409, "notice-replaced".into())
        );
    }
    let all = school.get("/v1/consents?subject=l0").await;
    let all = all["consents"].as_array().unwrap();
    let anew = all.iter().find(|one| one["state"] == "requested").unwrap();
    assert_eq!(anew["consent"]["notice"], json!(third), "{anew}");
    let at = text(&anew["consent"], "id");
    decide(school, &at, &event("give", actor("learner", None))).await;
    assert_eq!(release(school, work).await["sent"], 10);
    verified(school).await;
}
