//! Agreements and their ends, as a provider would have them that wants something else than was asked for.

use super::*;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn an_agreement_with_other_terms_or_signatures_is_not_signed() {
    let mut rig = Rig::start().await;
    let process = rig.requested().await;
    let (work, agreement) = (Peer::of(rig.work()), rig.agreement());
    let with = |change: &dyn Fn(&mut Value)| {
        let mut changed = agreement.clone();
        change(&mut changed);
        changed
    };
    let set = |member: &str, value: Value| {
        with(&|changed| match &value {
            Value::Null => drop(changed.as_object_mut().unwrap().shift_remove(member)),
            value => changed[member] = value.clone(),
        })
    };
    let days = |days: i64| json!(connector_time(days * 86_400));
    let constraint = |at: usize, member: &str, value: Value| {
        with(&|changed| changed["permission"][0]["constraint"][at][member] = value.clone())
    };
    let differing = [
        (
            "another purpose",
            constraint(0, "rightOperand", json!("https://w3id.org/dases/ns/purpose/other")),
        ),
        (
            "more categories",
            constraint(1, "rightOperand", json!(["skills", "results", "identity"])),
        ),
        ("fewer categories", constraint(1, "rightOperand", json!(["skills"]))),
        (
            "no consent needed",
            with(&|changed| {
                changed["permission"][0]["constraint"]
                    .as_array_mut()
                    .unwrap()
                    .truncate(2);
            }),
        ),
        ("a prohibition more", set("prohibition", json!([{"action": "use"}]))),
        ("an obligation more", set("obligation", json!([{"action": "delete"}]))),
        (
            "a permission more",
            with(&|changed| {
                let first = changed["permission"][0].clone();
                changed["permission"].as_array_mut().unwrap().push(first);
                changed["permission"][1]["constraint"]
                    .as_array_mut()
                    .unwrap()
                    .truncate(1);
            }),
        ),
        ("another assigner", set("assigner", json!("did:web:nobody.invalid"))),
        ("another assignee", set("assignee", json!(rig.provider.did))),
        ("another target", set("target", json!("others"))),
        ("no timestamp", set("timestamp", json!(null))),
        (
            "a timestamp without zone",
            set("timestamp", json!("2026-01-01T00:00:00")),
        ),
        ("a timestamp of tomorrow", set("timestamp", days(1))),
        ("a timestamp of last year", set("timestamp", days(-365))),
        ("another type", set("@type", json!("Offer"))),
    ];
    let mut attacks = Vec::new();
    for (name, changed) in differing {
        // Signed as far as such a thing can be signed at all.
        let parties_fit = changed["assigner"] == json!(rig.provider.did) && changed["assignee"] == json!(work.did);
        let signature = parties_fit.then(|| rig.signed(&process, &changed));
        let letter = rig.proposal(
            &process,
            &changed,
            signature.or_else(|| Some(rig.signed(&process, &agreement))),
        );
        attacks.push(Attack::new(name, letter, 400, "agreement-differs"));
    }
    attacks.push(Attack {
        names: "exploit",
        ..Attack::new(
            "a term that is not understood",
            rig.proposal(
                &process,
                &set("prohibition", json!([{"action": "exploit"}])),
                Some(rig.signed(&process, &agreement)),
            ),
            400,
            "POL-04",
        )
    });
    let unusable = [
        ("no permission", "permission", json!([]), "permission"),
        ("a permission of nothing", "permission", json!([{}]), "permission"),
        ("no assigner", "assigner", json!(null), "assigner"),
        ("no assignee", "assignee", json!(null), "assignee"),
        ("no target", "target", json!(null), "target"),
        ("no id", "@id", json!(null), "@id"),
    ];
    for (name, member, value, names) in unusable {
        let letter = rig.proposal(&process, &set(member, value), Some(rig.signed(&process, &agreement)));
        attacks.push(Attack {
            names,
            ..Attack::new(name, letter, 400, "POL-07")
        });
    }
    let right = record(&process, &rig.provider, &work, agreement.clone());
    let other_process = Process {
        request: jose::sha256(b"another conversation"),
        ..process.clone()
    };
    let swapped = Process {
        provider: uuid(),
        ..process.clone()
    };
    let now = clock::now();
    let strange = stranger(rig.provider.signer.kid());
    let unpublished = stranger(&format!("{}#k2", rig.provider.did));
    let mut signatures = vec![
        ("no signature", None),
        ("an empty signature", Some(String::new())),
        ("no signature at all", Some("hello".into())),
        (
            "signed over other terms",
            Some(rig.signed(&process, &constraint(1, "rightOperand", json!(["skills"])))),
        ),
        (
            "signed over another conversation",
            Some(rig.signed(&other_process, &agreement)),
        ),
        ("signed over another process", Some(rig.signed(&swapped, &agreement))),
        (
            "a message's signature",
            Some(rig.provider.letter(rig.work(), "/x", &json!({})).signatures[0].clone()),
        ),
    ];
    for (name, signed) in [
        ("signed with another key", right.sign(&strange, Role::Assigner, now)),
        (
            "signed with a key that is not published",
            right.sign(&unpublished, Role::Assigner, now),
        ),
        (
            "signed in the consumer's role",
            right.sign(&rig.provider.signer, Role::Assignee, now),
        ),
        ("signed by the consumer", right.sign(&work.signer, Role::Assignee, now)),
    ] {
        if let Ok(signature) = signed {
            signatures.push((name, Some(signature)));
        }
    }
    for (name, signature) in signatures {
        let letter = rig.proposal(&process, &agreement, signature);
        attacks.push(Attack::new(name, letter, 400, "agreement-signature"));
    }
    repel("agreements of a hostile provider", rig.work(), &rig.provider, attacks).await;
    assert!(
        rig.listener.next(Duration::from_millis(200)).await.is_none(),
        "the consumer signed or ended something"
    );
    let good = rig.proposal(&process, &agreement, Some(rig.signed(&process, &agreement)));
    let reply = rig.provider.send(rig.work(), &good).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
}

fn connector_time(offset: i64) -> String {
    let now = clock::now();
    let by = Duration::from_secs(offset.unsigned_abs());
    if offset < 0 { now.minus(by) } else { now.plus(by) }.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn another_document_is_not_final() {
    let mut rig = Rig::start().await;
    let (process, agreement, hash) = rig.verified().await;
    let other = jose::sha256(b"another document").to_string();
    let attacks = vec![
        ("no hash", rig.finalization(&process, None)),
        ("another hash", rig.finalization(&process, Some(&other))),
        ("an empty hash", rig.finalization(&process, Some(""))),
        (
            "a hash in capitals",
            rig.finalization(&process, Some(&hash.to_uppercase())),
        ),
        (
            "a hash with padding",
            rig.finalization(&process, Some(&format!("{hash}="))),
        ),
    ];
    let attacks = attacks
        .into_iter()
        .map(|(name, letter)| Attack::new(name, letter, 400, "agreement-signature"))
        .collect();
    repel("finalizations", rig.work(), &rig.provider, attacks).await;
    let (status, _) = rig
        .work()
        .call(
            Method::GET,
            &format!("/v1/agreements/{}", text(&agreement, "@id")),
            None,
        )
        .await;
    assert_eq!(status, 404, "an agreement is in force before it is final");
    let reply = rig
        .provider
        .send(rig.work(), &rig.finalization(&process, Some(&hash)))
        .await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    rig.work()
        .get(&format!("/v1/agreements/{}", text(&agreement, "@id")))
        .await;
}
