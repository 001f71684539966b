//! Messages at the wrong time, at the wrong address, for somebody else's process: as a consumer against a provider.

use super::{Attack, Process, Rig, get, picture, records_offer, repel, rests, stranger, tally};
use connector::{clock, jose::agreement::Role};
use connector_tests::{
    harness::text,
    peer::{Letter, Peer, message, uuid},
};
use serde_json::{Value, json};

/// Every kind of negotiation message: its name here, its address, its `@type`, its members.
fn negotiation_kinds() -> Vec<(&'static str, &'static str, &'static str, Value)> {
    let agreement = json!({"@id": uuid(), "@type": "Agreement", "target": "records",
        "permission": records_offer()["permission"]});
    vec![
        (
            "request",
            "request",
            "ContractRequestMessage",
            json!({"offer": records_offer()}),
        ),
        (
            "offer",
            "offers",
            "ContractOfferMessage",
            json!({"offer": records_offer()}),
        ),
        (
            "accepted",
            "events",
            "ContractNegotiationEventMessage",
            json!({"eventType": "ACCEPTED"}),
        ),
        (
            "agreement",
            "agreement",
            "ContractAgreementMessage",
            json!({"agreement": agreement}),
        ),
        (
            "verification",
            "agreement/verification",
            "ContractAgreementVerificationMessage",
            json!({}),
        ),
        (
            "finalized",
            "events",
            "ContractNegotiationEventMessage",
            json!({"eventType": "FINALIZED"}),
        ),
        (
            "termination",
            "termination",
            "ContractNegotiationTerminationMessage",
            json!({"code": "1", "reason": ["x"]}),
        ),
    ]
}

fn transfer_kinds() -> Vec<(&'static str, &'static str)> {
    vec![
        ("TransferStartMessage", "start"),
        ("TransferSuspensionMessage", "suspension"),
        ("TransferCompletionMessage", "completion"),
        ("TransferTerminationMessage", "termination"),
    ]
}

fn say(rig: &Rig, process: &Process, address: &str, kind: &str, members: Value) -> Letter {
    let path = format!("/negotiations/{}/{address}", process.provider);
    rig.consumer
        .letter(rig.school(), &path, &process.message(kind, members))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_at_the_wrong_time_moves_nothing() {
    let mut rig = Rig::start().await;
    let mut other_terms = records_offer();
    other_terms["permission"][0]["constraint"][1]["rightOperand"] = json!(["skills"]);
    let offered = rig.open(&other_terms).await;
    rests(rig.school(), "negotiations", &offered.provider, "OFFERED").await;
    let (agreed, _, _) = rig.agreed().await;
    let (finalized, _) = rig.finalized().await;
    let terminated = rig.open(&other_terms).await;
    rests(rig.school(), "negotiations", &terminated.provider, "OFFERED").await;
    let over = say(
        &rig,
        &terminated,
        "termination",
        "ContractNegotiationTerminationMessage",
        json!({}),
    );
    assert_eq!(rig.consumer.send(rig.school(), &over).await.status, 200);
    // What is legal for a consumer in each state; everything else is an attack.
    let states: [(&str, &Process, &[&str]); 4] = [
        ("OFFERED", &offered, &["request", "accepted", "termination"]),
        ("AGREED", &agreed, &["verification", "termination"]),
        ("FINALIZED", &finalized, &[]),
        ("TERMINATED", &terminated, &[]),
    ];
    let mut attacks = Vec::new();
    for (state, process, legal) in states {
        for (name, address, kind, members) in negotiation_kinds() {
            if !legal.contains(&name) {
                let letter = say(&rig, process, address, kind, members);
                attacks.push(Attack {
                    names: state,
                    ..Attack::new(format!("{name} in {state}"), letter, 400, "illegal-state")
                });
            }
        }
    }
    assert_eq!(attacks.len(), 28 - 5);
    repel(
        "negotiation messages at the wrong time",
        rig.school(),
        &rig.consumer,
        attacks,
    )
    .await;
    // Nothing of it kept the negotiations from going on.
    let accept = say(
        &rig,
        &offered,
        "events",
        "ContractNegotiationEventMessage",
        json!({"eventType": "ACCEPTED"}),
    );
    assert_eq!(rig.consumer.send(rig.school(), &accept).await.status, 200);
    rests(rig.school(), "negotiations", &offered.provider, "AGREED").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_message_at_the_wrong_time_moves_nothing() {
    let mut rig = Rig::start().await;
    let (_, agreement) = rig.finalized().await;
    let mut attacks = Vec::new();
    let ways: [(&str, &[&str], &[&str]); 4] = [
        ("STARTED", &[], &["suspension", "completion", "termination"]),
        ("SUSPENDED", &["suspension"], &["start", "termination"]),
        ("COMPLETED", &["completion"], &[]),
        ("TERMINATED", &["termination"], &[]),
    ];
    for (state, way, legal) in ways {
        let (process, _, _) = rig.transfer(&agreement).await;
        for step in way {
            let kind = transfer_kinds().into_iter().find(|(_, path)| path == step).unwrap().0;
            assert_eq!(rig.tell(&process, kind, step).await.status, 200);
        }
        rests(rig.school(), "transfers", &process.provider, state).await;
        for (kind, address) in transfer_kinds() {
            if !legal.contains(&address) {
                let path = format!("/transfers/{}/{address}", process.provider);
                let letter = rig
                    .consumer
                    .letter(rig.school(), &path, &process.message(kind, json!({})));
                attacks.push(Attack {
                    names: state,
                    ..Attack::new(format!("{kind} in {state}"), letter, 400, "illegal-state")
                });
            }
        }
    }
    assert_eq!(attacks.len(), 16 - 5);
    repel(
        "transfer messages at the wrong time",
        rig.school(),
        &rig.consumer,
        attacks,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_goes_to_its_own_address_with_its_own_ids() {
    let mut rig = Rig::start().await;
    let (agreed, _, _) = rig.agreed().await;
    let (_, agreement) = rig.finalized().await;
    let (transfer, _, _) = rig.transfer(&agreement).await;
    let mut attacks = Vec::new();
    let addresses = [
        "request",
        "offers",
        "events",
        "agreement",
        "agreement/verification",
        "termination",
    ];
    for (name, own, kind, members) in negotiation_kinds() {
        for address in addresses.into_iter().filter(|address| *address != own) {
            let letter = say(&rig, &agreed, address, kind, members.clone());
            attacks.push(Attack::new(
                format!("{name} at {address}"),
                letter,
                400,
                "wrong-address",
            ));
        }
    }
    for (kind, own) in transfer_kinds() {
        for (_, address) in transfer_kinds().into_iter().filter(|(_, address)| *address != own) {
            let path = format!("/transfers/{}/{address}", transfer.provider);
            let letter = rig
                .consumer
                .letter(rig.school(), &path, &transfer.message(kind, json!({})));
            attacks.push(Attack::new(
                format!("{kind} at {address}"),
                letter,
                400,
                "wrong-address",
            ));
        }
    }
    let mut pids = |protocol: &str, process: &Process, kind: &'static str, address: &str| {
        let path = format!("/{protocol}/{}/{address}", process.provider);
        let cases = [
            ("providerPid", json!(uuid()), "invalid-message"),
            ("consumerPid", json!(uuid()), "pid-mismatch"),
            ("providerPid", json!(null), "invalid-message"),
            ("consumerPid", json!(null), "invalid-message"),
            ("providerPid", json!(process.consumer), "invalid-message"),
            ("consumerPid", json!(process.provider), "pid-mismatch"),
        ];
        for (member, value, code) in cases {
            let name = format!("{kind} with {member} {value}");
            let mut body = process.message(kind, json!({}));
            body[member] = value;
            let letter = rig.consumer.letter(rig.school(), &path, &body);
            attacks.push(Attack::new(name, letter, 400, code));
        }
    };
    pids(
        "negotiations",
        &agreed,
        "ContractNegotiationTerminationMessage",
        "termination",
    );
    pids("transfers", &transfer, "TransferTerminationMessage", "termination");
    repel("wrong addresses and ids", rig.school(), &rig.consumer, attacks).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_of_others_looks_like_none() {
    let mut rig = Rig::start().await;
    let (_, mine) = rig.finalized().await;
    let (my_transfer, _, _) = rig.transfer(&mine).await;
    let other = rig.world.get("other");
    let agreement = other.negotiate(rig.school()).await;
    let theirs = rig.school().get("/v1/negotiations").await;
    let theirs = theirs["negotiations"]
        .as_array()
        .unwrap()
        .iter()
        .find(|negotiation| negotiation["peer"] == json!(other.did))
        .unwrap()
        .clone();
    // The consumer can know that it is final before the provider has read the acknowledgement.
    let theirs = super::rests(rig.school(), "negotiations", &text(&theirs, "pid"), "FINALIZED").await;
    assert_eq!(theirs["agreementId"], json!(agreement));
    let transfer = other.transfer(&agreement).await;
    let done = other.transfer_until(&transfer, "COMPLETED").await;
    rests(rig.school(), "transfers", &text(&done, "peerPid"), "COMPLETED").await;

    let before = picture(rig.school()).await;
    let mut attacks = 0;
    for kind in negotiation_kinds()
        .into_iter()
        .map(|(_, address, kind, members)| ("negotiations", address, kind, members))
        .chain(
            transfer_kinds()
                .into_iter()
                .map(|(kind, address)| ("transfers", address, kind, json!({}))),
        )
    {
        let (protocol, address, kind, members) = kind;
        let existing = match protocol {
            "negotiations" => Process {
                consumer: text(&theirs, "peerPid"),
                provider: text(&theirs, "pid"),
                request: connector::jose::Digest::EMPTY,
            },
            _ => Process {
                consumer: text(&done, "pid"),
                provider: text(&done, "peerPid"),
                request: connector::jose::Digest::EMPTY,
            },
        };
        // Somebody else's, nobody's, and for negotiations a transfer of mine.
        let unknown = Process {
            provider: uuid(),
            ..existing.clone()
        };
        let confused = Process {
            provider: my_transfer.provider.clone(),
            ..existing.clone()
        };
        let mut processes = vec![&existing, &unknown];
        if protocol == "negotiations" {
            processes.push(&confused);
        }
        let mut answers = Vec::new();
        for process in processes {
            let path = format!("/{protocol}/{}/{address}", process.provider);
            let body = process.message(kind, members.clone());
            let reply = rig.consumer.say(rig.school(), &path, &body).await;
            assert_eq!(
                (reply.status, reply.code(), reply.signed),
                (404, "not-found", true),
                "{kind}"
            );
            let bytes = String::from_utf8(reply.bytes.to_vec()).unwrap();
            answers.push(bytes.replace(&process.provider, "PROVIDER"));
            attacks += 1;
        }
        assert!(answers.windows(2).all(|two| two[0] == two[1]), "{kind}: {answers:?}");
        assert_eq!(before, picture(rig.school()).await, "{kind}");
    }
    for (protocol, pid) in [
        ("negotiations", text(&theirs, "pid")),
        ("transfers", text(&done, "peerPid")),
    ] {
        let ask = |pid: &str| get(&rig.consumer, rig.school(), &format!("/{protocol}/{pid}"));
        let existing = rig.consumer.send(rig.school(), &ask(&pid)).await;
        let unknown = rig.consumer.send(rig.school(), &ask(&uuid())).await;
        let strange = rig.consumer.send(rig.school(), &ask("a%20b")).await;
        for reply in [&existing, &unknown, &strange] {
            assert_eq!((reply.status, reply.signed), (404, true), "{}", reply.body);
            assert_eq!(reply.bytes, unknown.bytes, "a state request tells what exists");
            attacks += 1;
        }
    }
    let shown = rig
        .school()
        .get(&format!("/v1/negotiations/{}", text(&theirs, "pid")))
        .await;
    assert_eq!(shown, theirs, "the negotiation of others is untouched");
    tally("processes of others", attacks);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agreement_counts_with_the_right_signature_only() {
    let mut rig = Rig::start().await;
    let (process, record, _) = rig.agreed().await;
    let (now, me) = (clock::now(), rig.consumer.clone());
    let (school, other) = (Peer::of(rig.school()), Peer::of(rig.world.get("other")));
    let (second, foreign, _) = rig.agreed().await;
    let of = |record: &connector::jose::agreement::Record, signer: &connector::jose::Signer, role| {
        record.sign(signer, role, now)
    };
    let good = of(&record, &me.signer, Role::Assignee).unwrap();
    let cut = good[..good.len() - 4].to_owned();
    let swapped = {
        let (head, _) = good.split_once("..").unwrap();
        let another = of(&foreign, &me.signer, Role::Assignee).unwrap();
        format!("{head}..{}", another.split_once("..").unwrap().1)
    };
    let mut cases = vec![
        ("no signature", Vec::new()),
        ("an empty signature", vec![String::new()]),
        (
            "a signature over another agreement",
            vec![of(&foreign, &me.signer, Role::Assignee).unwrap()],
        ),
        ("a signature cut short", vec![cut]),
        ("parts of two signatures", vec![swapped]),
        (
            "the message's kind of signature",
            me.letter(rig.school(), "/x", &json!({})).signatures,
        ),
    ];
    // What the library refuses to sign cannot be sent.
    let strange = stranger(me.signer.kid());
    for (name, signed) in [
        ("another key under the right id", of(&record, &strange, Role::Assignee)),
        ("the provider's role", of(&record, &me.signer, Role::Assigner)),
        ("another peer's signature", of(&record, &other.signer, Role::Assignee)),
        (
            "the provider's own signature",
            of(&record, &school.signer, Role::Assigner),
        ),
    ] {
        if let Ok(signature) = signed {
            cases.push((name, vec![signature]));
        }
    }
    let attacks = cases
        .into_iter()
        .map(|(name, signatures)| {
            Attack::new(
                name,
                rig.verification(&process, &signatures),
                400,
                "agreement-signature",
            )
        })
        .collect();
    repel("verifications", rig.school(), &rig.consumer, attacks).await;
    let reply = rig.verify(&process, &[good]).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    rests(rig.school(), "negotiations", &process.provider, "FINALIZED").await;
    rests(rig.school(), "negotiations", &second.provider, "AGREED").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_opening_under_the_same_id_is_not_a_second_negotiation() {
    let rig = Rig::start().await;
    let first = rig.request();
    let reply = rig.consumer.say(rig.school(), "/negotiations/request", &first).await;
    assert_eq!(reply.status, 201, "{}", reply.body);
    rests(
        rig.school(),
        "negotiations",
        &text(&reply.body, "providerPid"),
        "AGREED",
    )
    .await;
    let before = picture(rig.school()).await;
    // The same message, signed anew, gets the same answer (R2).
    let again = rig.consumer.say(rig.school(), "/negotiations/request", &first).await;
    assert_eq!((again.status, &again.bytes), (201, &reply.bytes));
    assert_eq!(before, picture(rig.school()).await);
    let with = |change: &dyn Fn(&mut Value)| {
        let mut body = rig.request();
        body["consumerPid"] = first["consumerPid"].clone();
        change(&mut body);
        rig.consumer.letter(rig.school(), "/negotiations/request", &body)
    };
    let attacks = vec![
        Attack::new("another message", with(&|_| {}), 400, "invalid"),
        Attack::new(
            "another callback",
            with(&|body| body["callbackAddress"] = json!("https://localhost:1/dsp")),
            400,
            "invalid",
        ),
        Attack::new(
            "another offer",
            with(&|body| body["offer"]["@id"] = json!("urn:offer:none")),
            400,
            "invalid",
        ),
    ];
    repel("openings of what exists", rig.school(), &rig.consumer, attacks).await;
    // Another participant may use the same id: it is its own.
    let other = Peer::of(rig.world.get("other"));
    let body = message(
        "ContractRequestMessage",
        json!({"consumerPid": first["consumerPid"], "callbackAddress": other.base(), "offer": records_offer()}),
    );
    let theirs = other.say(rig.school(), "/negotiations/request", &body).await;
    assert_eq!(theirs.status, 201, "{}", theirs.body);
    assert_ne!(theirs.body["providerPid"], reply.body["providerPid"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_without_message_ids_repeats_its_last_message_and_may_say_the_same_anew() {
    let mut rig = Rig::start().await;
    let (_, agreement) = rig.finalized().await;
    let (process, _, _) = rig.transfer(&agreement).await;
    let plain = |kind: &str, path: &str| {
        let mut body = process.message(kind, json!({}));
        body.as_object_mut().unwrap().remove("@id");
        (format!("/transfers/{}/{path}", process.provider), body)
    };
    let suspension = plain("TransferSuspensionMessage", "suspension");
    let start = plain("TransferStartMessage", "start");
    let completion = plain("TransferCompletionMessage", "completion");
    let say = async |(path, body): &(String, Value)| rig.consumer.say(rig.school(), path, body).await;
    let first = say(&suspension).await;
    assert_eq!(first.status, 200, "{}", first.body);
    let before = picture(rig.school()).await;
    let again = say(&suspension).await;
    assert_eq!((again.status, &again.bytes), (200, &first.bytes), "a repetition");
    assert_eq!(before, picture(rig.school()).await);
    let early = say(&completion).await;
    assert_eq!((early.status, early.code()), (400, "illegal-state"), "{}", early.body);
    assert_eq!(say(&completion).await.status, 400, "a refusal is repeated as well");
    assert_eq!(say(&start).await.status, 200);
    rests(rig.school(), "transfers", &process.provider, "STARTED").await;
    // The school suspends by itself. An equal suspension would lead to the state that holds, and still is not a repetition.
    rig.school()
        .post(&format!("/v1/transfers/{}/suspend", process.provider), &json!({}))
        .await;
    rests(rig.school(), "transfers", &process.provider, "SUSPENDED").await;
    let late = say(&suspension).await;
    assert_eq!((late.status, late.code()), (400, "illegal-state"), "{}", late.body);
    assert_eq!(say(&start).await.status, 200);
    assert_eq!(say(&suspension).await.status, 200, "the same words at another time");
    rests(rig.school(), "transfers", &process.provider, "SUSPENDED").await;
    assert_eq!(say(&start).await.status, 200);
    assert_eq!(say(&completion).await.status, 200, "refused before, possible now");
    rests(rig.school(), "transfers", &process.provider, "COMPLETED").await;
}
