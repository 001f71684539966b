//! Consents of one learner for one purpose each, under an agreement that has several.

use super::*;
use std::collections::BTreeMap;

const PURPOSES: [&str; 2] = ["orientation", "research"];

/// To this for these purposes.
fn shared(purposes: &[&str], categories: &[&str]) -> Shared {
    Shared {
        purposes: texts(purposes),
        categories: texts(categories),
        ..Shared::new()
    }
}

/// A question for both purposes, under a policy that says this of each record.
fn for_both(index: &Index, categories: &[&str], permits: impl Fn(&RecordFacts) -> Result<(), Code>) -> Question {
    let (purposes, dataset) = (texts(&PURPOSES), dataset("d"));
    index
        .question(
            (&did("work"), &agreement("a")),
            &purposes,
            &dataset,
            &texts(categories),
            permits,
        )
        .unwrap()
}

fn either(index: &Index) -> Question {
    for_both(index, &["skills", "results", "identity"], |_| Ok(()))
}

#[test]
fn what_each_purpose_has_a_consent_for_leaves_and_nothing_else() {
    let index = Arc::new(Index::default());
    let asked = either(&index);
    let one = shared(&["orientation"], &["skills", "results"]);
    index.open(&one.grant(&id(1), "anna")).unwrap();
    assert_eq!(ask(&index, &asked, "anna", 150), Err(Reason::Purpose));
    let other = shared(&["research", "marketing"], &["results", "identity"]);
    index.open(&other.grant(&id(2), "anna")).unwrap();
    assert_eq!(ask(&index, &asked, "anna", 150), Ok(set(&index, &["results"])));
    assert_eq!(ask(&index, &asked, "ben", 150), Err(Reason::None), "another learner");
    // One for both purposes adds to it, for its own data alone.
    let both = shared(&PURPOSES, &["identity"]);
    index.open(&both.grant(&id(3), "anna")).unwrap();
    let permitted = set(&index, &["results", "identity"]);
    assert_eq!(ask(&index, &asked, "anna", 150), Ok(permitted));
    // Two for the same purpose are not one for each.
    let (fourth, fifth) = (id(4), id(5));
    index.open(&one.grant(&fourth, "ben")).unwrap();
    index.open(&one.grant(&fifth, "ben")).unwrap();
    assert_eq!(ask(&index, &asked, "ben", 150), Err(Reason::Purpose));
}

#[test]
fn the_end_of_one_takes_its_purpose_away_and_raises_the_epoch() {
    let index = Arc::new(Index::default());
    let asked = either(&index);
    for (number, purpose) in (1..).zip(PURPOSES) {
        let one = shared(&[purpose], &["skills"]);
        index.open(&one.grant(&id(number), "anna")).unwrap();
    }
    let mut reader = Reader::new(index.clone(), asked.clone());
    reader.begin(at(150));
    assert!(reader.ask("anna").is_ok());
    let epoch = index.close("anna", |closed| *closed == id(1), at(150)).0;
    assert_eq!(reader.epoch() + 1, epoch);
    reader.begin(at(150));
    assert_eq!(reader.ask("anna"), withheld(Reason::Purpose));
    // No other basis takes its place.
    let rule = shared(&PURPOSES, &["skills"]);
    index.open_basis(&rule.rule(Basis::PublicTask)).unwrap();
    reader.begin(at(150));
    assert_eq!(reader.ask("anna"), withheld(Reason::Purpose));
    index.close("anna", |_| true, at(150));
    reader.begin(at(150));
    assert_eq!(reader.ask("anna"), withheld(Reason::Withdrawn));
}

#[test]
fn each_of_them_is_held_to_its_own_conditions() {
    let index = Arc::new(Index::default());
    let asked = either(&index);
    let [one, other] = PURPOSES.map(|purpose| shared(&[purpose], &["skills"]));
    let ids: Vec<ConsentId> = (0..8).map(id).collect();
    type Change = fn(&mut Grant<'_>);
    let cases: [(Reason, Change); 4] = [
        (Reason::Aggregate, |grant: &mut Grant<'_>| grant.aggregate_only = true),
        (Reason::Guardian, |grant: &mut Grant<'_>| grant.guardian_missing = true),
        // Before what it lacks counts what the other is not for.
        (Reason::Purpose, |grant: &mut Grant<'_>| grant.until = at(150)),
        (Reason::Purpose, |grant: &mut Grant<'_>| grant.from = at(151)),
    ];
    for (number, (reason, change)) in cases.into_iter().enumerate() {
        let learner = format!("l{number}");
        index.open(&one.grant(&ids[2 * number], &learner)).unwrap();
        let mut grant = other.grant(&ids[2 * number + 1], &learner);
        change(&mut grant);
        index.open(&grant).unwrap();
        assert_eq!(ask(&index, &asked, &learner, 150), Err(reason), "{learner}");
    }
    let groups = Question {
        form: Form::Groups(GroupSize::DEFAULT),
        ..asked
    };
    assert!(ask(&index, &groups, "l0", 150).is_ok(), "for groups one is enough");
}

#[test]
fn a_guardian_has_to_give_each_of_them_where_the_policy_asks_for_that() {
    let index = Arc::new(Index::default());
    let guarded = |record: &RecordFacts| match record.guardian_consent {
        Some(true) => Ok(()),
        _ => Err(Code::GuardianMissing),
    };
    let question = for_both(&index, &["skills", "results"], guarded);
    let one = shared(&["orientation"], &["skills", "results"]);
    let guardian_gave = true;
    let ids: Vec<ConsentId> = (0..4).map(id).collect();
    let grant = one.grant(&ids[1], "child");
    index.open(&Grant { guardian_gave, ..grant }).unwrap();
    let other = shared(&["research"], &["skills"]);
    index.open(&other.grant(&id(2), "child")).unwrap();
    let refused = Err(Withheld::Policy(Code::GuardianMissing));
    assert_eq!(asked(&index, &question, "child", 150), refused);
    let other = shared(&["research"], &["results"]);
    let grant = other.grant(&ids[3], "child");
    index.open(&Grant { guardian_gave, ..grant }).unwrap();
    assert_eq!(asked(&index, &question, "child", 150), Ok(set(&index, &["results"])));
}

#[test]
fn a_limited_one_is_used_where_it_took_part_and_not_where_it_was_not_enough() {
    let index = Arc::new(Index::default());
    let most_transfers = Some(1);
    let one = shared(&["orientation"], &["skills"]);
    let first = id(1);
    let grant = one.grant(&first, "anna");
    index
        .open(&Grant {
            most_transfers,
            ..grant
        })
        .unwrap();
    let whole = shared(&PURPOSES, &["results"]);
    index.open(&whole.grant(&id(2), "anna")).unwrap();
    let mut reader = Reader::new(index.clone(), either(&index));
    reader.begin(at(150));
    assert_eq!(reader.ask("anna"), Ok(set(&index, &["results"])));
    assert!(reader.uses().is_empty(), "it let nothing out");
    let other = shared(&["research"], &["skills"]);
    index.open(&other.grant(&id(3), "anna")).unwrap();
    reader.begin(at(150));
    assert_eq!(reader.ask("anna"), Ok(set(&index, &["results", "skills"])));
    assert_eq!(reader.uses(), std::slice::from_ref(&first));
    let counted = Occurrence::new(&"urn:uuid:00000000-0000-4000-8000-000000000001".parse().unwrap(), 1);
    index.tell_counted(&first, vec![counted]);
    reader.begin(at(150));
    assert_eq!(reader.ask("anna"), Ok(set(&index, &["results"])), "another transfer");
    let mut same = Reader::new(index.clone(), either(&index)).of(counted);
    same.begin(at(150));
    assert_eq!(same.ask("anna"), Ok(set(&index, &["results", "skills"])));
    assert!(same.uses().is_empty(), "it is counted");
}

#[test]
fn a_single_field_for_one_purpose_joins_the_whole_category_for_the_other() {
    let index = Arc::new(Index::default());
    let mut asked = either(&index);
    let claims = BTreeMap::from([("skills".to_owned(), texts(&["/skill", "/level"]))]);
    let covers = index.number_fields(&mut asked, &claims).unwrap();
    let whole = shared(&["orientation"], &["skills"]);
    index.open(&whole.grant(&id(1), "anna")).unwrap();
    let field = shared(&["research"], &["skills"]);
    let (level, skill) = (texts(&["/level"]), texts(&["/skill"]));
    let only = |fields: &Vec<String>, grant: Grant<'_>| {
        index.open(&Grant { fields, ..grant }).unwrap();
    };
    only(&level, field.grant(&id(2), "anna"));
    let permitted = ask(&index, &asked, "anna", 150).unwrap();
    assert!(permitted.meets(covers["/level"]) && !permitted.meets(covers["/skill"]));
    assert!(!permitted.meets(set(&index, &["skills"])));
    // Different fields for the two purposes have nothing in common.
    only(&level, whole.grant(&id(3), "ben"));
    only(&skill, field.grant(&id(4), "ben"));
    assert_eq!(ask(&index, &asked, "ben", 150), Err(Reason::Purpose));
}
