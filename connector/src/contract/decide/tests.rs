use super::*;
use crate::{catalog::Decisions, dsp::Pid, process::Core};
use serde_json::json;

/// The harness of these tests: one dataset, whose published offer lets two categories out.
fn terms(categories: &[&str]) -> Value {
    let category = json!({"leftOperand": "dases:dataCategory", "operator": "isAnyOf", "rightOperand": categories});
    json!({"@id": "urn:offer:records", "@type": "Offer", "target": "records",
        "permission": [{"action": "use", "constraint": [category]}]})
}

fn asked(categories: &[&str], other_terms: OtherTerms) -> NegotiationRecord {
    let (now, base) = (Timestamp::from_seconds(0), "https://work.example/dsp".parse().unwrap());
    let pid: Pid = "urn:uuid:0198f2c4-7a31-7d20-8f00-3b6c1a9e5d11".parse().unwrap();
    let core = Core::new(pid, "did:web:work.example".parse().unwrap(), Role::Provider, base, now);
    let decisions = Decisions {
        other_terms,
        ..Decisions::default()
    };
    let offer = (terms(categories), Role::Consumer);
    let published = terms(&["skills", "results"]);
    NegotiationRecord::new(core, "records".parse().unwrap(), offer, published, decisions)
}

fn consumer() -> Party {
    Party {
        did: "did:web:work.example".parse().unwrap(),
        claims: policy::Claims::new(),
        attested: Default::default(),
    }
}

fn me() -> ParticipantId {
    "did:web:school.example".parse().unwrap()
}

/// What is negotiated about: a dataset in French.
fn french() -> Dataset {
    serde_json::from_value(json!({
        "id": "records", "title": null, "source": {"type": "file", "path": "/records"}, "subject": "/sub", "categories": {},
        "offerId": "urn:offer:records", "offer": {}, "facts": {"language": ["fr"]}, "published": "2026-01-01T00:00:00Z",
    }))
    .unwrap()
}

/// The answer, and whether it was found out how the terms differ.
fn answered(record: &NegotiationRecord) -> (Proposal, bool) {
    let differing = Differing::default();
    let now = Timestamp::from_seconds(0);
    let parties = (&consumer(), &me());
    let answer = on_request(record, &record.offer, parties, Some(&french()), &differing, now).unwrap();
    (answer, differing.differences.get().is_some())
}

#[test]
fn terms_are_not_compared_at_length_where_the_answer_is_the_published_offer() {
    for categories in [&["identity"][..], &["skills", "identity"], &["skills"]] {
        let (answer, compared) = answered(&asked(categories, OtherTerms::Offer));
        assert!(matches!(answer, Proposal::Offer(offer) if offer == terms(&["skills", "results"])));
        assert!(!compared, "{categories:?}");
    }
    let (answer, compared) = answered(&asked(&["skills"], OtherTerms::AcceptNarrower));
    assert!(matches!(answer, Proposal::Agree) && !compared);
}

#[test]
fn terms_with_nothing_in_common_end_a_negotiation_only_where_others_could_be_agreed() {
    for rule in [OtherTerms::AcceptNarrower, OtherTerms::Intersect] {
        let (answer, compared) = answered(&asked(&["identity"], rule));
        assert!(matches!(answer, Proposal::Terminate(_)) && compared, "{rule:?}");
    }
    let (answer, _) = answered(&asked(&["identity"], OtherTerms::Offer));
    assert!(matches!(answer, Proposal::Offer(_)));
}

#[test]
fn what_both_allow_is_found_out_once_for_the_same_terms() {
    let differing = Differing::default();
    let ours = terms(&["skills", "results"]);
    let common = |asked: &[&str]| differing.common(&terms(asked), &ours, &"records".parse().unwrap());
    let first = common(&["skills", "identity"]);
    assert_eq!(first, Ok(terms(&["skills"])));
    // Were it worked out again, it would be found in what is kept all the same: so what is kept is marked.
    let marked = Common {
        of: [terms(&["skills", "identity"]), ours.clone()],
        terms: Err("kept".to_owned()),
    };
    let kept = Differing::default();
    assert!(kept.common.set(marked).is_ok());
    let dataset = "records".parse().unwrap();
    let again = kept.common(&terms(&["skills", "identity"]), &ours, &dataset);
    assert_eq!(again, Err("kept".to_owned()));
    assert_eq!(
        kept.common(&terms(&["results", "identity"]), &ours, &dataset),
        Ok(terms(&["results"]))
    );
}

#[test]
fn narrower_terms_that_this_dataset_never_meets_are_not_agreed_to() {
    for (language, agreed) in [("fr", true), ("de", false)] {
        let mut record = asked(&["skills"], OtherTerms::AcceptNarrower);
        let only = json!({"leftOperand": "language", "operator": "eq", "rightOperand": language});
        let constraints = record.offer["permission"][0]["constraint"].as_array_mut().unwrap();
        constraints.push(only);
        match answered(&record).0 {
            Proposal::Agree => assert!(agreed, "{language}"),
            Proposal::Terminate(why) => {
                assert!(
                    !agreed && why.reasons[0].starts_with("nothing of this dataset"),
                    "{why:?}"
                );
            }
            _ => panic!("{language}"),
        }
    }
}

#[test]
fn the_published_terms_are_agreed_with_whom_they_name_and_with_nobody_else() {
    let answer = |assignee: &str| {
        let mut record = asked(&["skills", "results"], OtherTerms::Offer);
        record.published["assignee"] = assignee.into();
        on_request(
            &record,
            &record.offer,
            (&consumer(), &me()),
            Some(&french()),
            &Differing::default(),
            Timestamp::from_seconds(0),
        )
    };
    assert!(matches!(answer("did:web:work.example"), Ok(Proposal::Agree)));
    match answer("did:web:lab.example") {
        Err(ContractError::NotPermitted(reasons)) => assert_eq!(reasons[0].code.as_str(), "POL-11"),
        _ => panic!("it is for somebody else"),
    }
}

#[test]
fn terms_offered_in_place_of_the_published_ones_name_no_other_party() {
    let (work, me) = (consumer().did, "did:web:lycee.example".parse().unwrap());
    let offered = |member: &str, party: &str| {
        let mut terms = terms(&["skills"]);
        terms[member] = party.into();
        offerable(&terms, &work, &me).map(|_| ())
    };
    assert!(offered("assignee", work.as_str()).is_ok() && offered("assigner", me.as_str()).is_ok());
    assert!(matches!(
        offered("assignee", me.as_str()),
        Err(ContractError::NotPermitted(_))
    ));
    assert!(matches!(
        offered("assigner", work.as_str()),
        Err(ContractError::Policy(_))
    ));
    assert!(offerable(&terms(&["skills"]), &work, &me).is_ok());
}

#[test]
fn whom_a_provider_informs_is_not_for_a_consumer_to_add() {
    let informing = |mut terms: Value, party: &str| {
        terms["obligation"] = json!([{"action": "inform", "informedParty": party}]);
        terms
    };
    let ministry = "did:web:ministry.example";
    for rule in [OtherTerms::AcceptNarrower, OtherTerms::Intersect] {
        let mut record = asked(&["skills"], rule);
        record.published = informing(record.published, ministry);
        record.offer = informing(record.offer, ministry);
        assert!(matches!(answered(&record).0, Proposal::Agree), "{rule:?}");
        let ourselves = json!({"action": "inform", "informedParty": me()});
        record.offer["obligation"].as_array_mut().unwrap().push(ourselves);
        assert!(matches!(answered(&record).0, Proposal::Agree), "{rule:?}");
        let more = json!({"action": "inform", "informedParty": "did:web:stranger.example"});
        record.offer["obligation"].as_array_mut().unwrap().push(more);
        match (rule, answered(&record).0) {
            (OtherTerms::Intersect, Proposal::Terminate(why)) => {
                assert!(why.reasons[0].contains("informed"), "{why:?}")
            }
            (OtherTerms::AcceptNarrower, Proposal::Offer(offer)) => assert_eq!(offer, record.published),
            (rule, _) => panic!("{rule:?}"),
        }
    }
}
