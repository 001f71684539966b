use super::*;
use proptest::prelude::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn power(id: &str, capacity: Capacity, scope: &[Scope]) -> Power {
    Power {
        id: id.into(),
        capacity,
        scope: scope.to_vec(),
        from: at("2026-01-01T00:00:00Z"),
        until: at("2027-01-01T00:00:00Z"),
        evidence: "register 7".into(),
    }
}

const NOW: &str = "2026-06-01T12:00:00Z";

fn child() -> Standing {
    Standing {
        sole_consent_from: Some(at("2026-09-01T00:00:00Z")),
        powers: vec![
            power("mother", Capacity::ParentalAuthority, &[Scope::Give, Scope::Withdraw]),
            power("aunt", Capacity::Represents, &[Scope::Give]),
        ],
    }
}

#[test]
fn the_age_of_sole_consent_is_the_countrys() {
    for (code, age) in [("FR", 15), ("DE", 16), ("AT", 14), ("BE", 13), ("ZZ", 16), ("LU", 16)] {
        let country: Country = code.parse().unwrap();
        assert_eq!(country.age_of_sole_consent(), age, "{code}");
    }
    for wrong in ["", "F", "fr", "FRA", "F1", "é"] {
        assert!(wrong.parse::<Country>().is_err(), "{wrong}");
    }
    assert!(
        AGES.iter().all(|(_, age)| (13..=16).contains(age)),
        "GDPR art. 8(1) allows no other"
    );
}

#[test]
fn the_threshold_is_the_start_of_the_birthday() {
    let from =
        |born: &str, country: &str| sole_consent_from(born.parse().unwrap(), country.parse().unwrap()).to_string();
    assert_eq!(from("2011-09-01", "FR"), "2026-09-01T00:00:00Z");
    assert_eq!(from("2011-09-01", "DE"), "2027-09-01T00:00:00Z");
    assert_eq!(from("2012-02-29", "FR"), "2027-03-01T00:00:00Z", "no leap year");
    assert_eq!(from("2012-02-29", "DE"), "2028-02-29T00:00:00Z", "a leap year");
    for wrong in [
        "2011-13-01",
        "2011-02-30",
        "11-02-03",
        "2011-2-3",
        "2011-02-03T00:00:00Z",
        "",
        "+011-02-03",
    ] {
        assert!(wrong.parse::<Day>().is_err(), "{wrong}");
    }
}

#[test]
fn a_child_and_a_guardian_sign_together_until_the_birthday_and_the_learner_alone_after_it() {
    let child = child();
    let birthday = child.sole_consent_from.unwrap();
    let before = birthday.minus(std::time::Duration::from_millis(1));
    assert_eq!((child.rule(before), child.rule(birthday)), (Rule::Joint, Rule::Alone));
    let guardian = |act, time| child.may(Role::Guardian, Some("mother"), act, time);
    assert_eq!(guardian(Act::Give, before), Ok(()));
    assert_eq!(guardian(Act::Give, birthday), Err(NoPower::OfAge(birthday)));
    assert_eq!(guardian(Act::Withdraw, birthday), Err(NoPower::OfAge(birthday)));
    assert_eq!(child.threshold(before), Some(birthday));
    assert_eq!(child.threshold(birthday), None);
}

#[test]
fn powers_are_of_a_person_for_a_step_and_a_time() {
    let child = child();
    let may = |role, id, act, time: &str| child.may(role, id, act, at(time));
    assert!(may(Role::Guardian, Some("mother"), Act::Refuse, NOW).is_ok());
    assert_eq!(may(Role::Guardian, None, Act::Give, NOW), Err(NoPower::Nameless));
    for (role, id, act, time) in [
        (Role::Guardian, "stranger", Act::Give, NOW),
        (Role::Delegate, "mother", Act::Give, NOW),
        (Role::Guardian, "aunt", Act::Give, NOW),
        (Role::Guardian, "mother", Act::Give, "2025-12-31T23:59:59Z"),
        // Nobody represents a child around its parents.
        (Role::Delegate, "aunt", Act::Give, NOW),
    ] {
        assert_eq!(
            may(role, Some(id), act, time),
            Err(NoPower::Unknown(role)),
            "{id} {time}"
        );
    }
    let adult = Standing {
        sole_consent_from: None,
        ..child.clone()
    };
    assert!(adult.may(Role::Delegate, Some("aunt"), Act::Give, at(NOW)).is_ok());
    assert!(
        adult.may(Role::Delegate, Some("aunt"), Act::Withdraw, at(NOW)).is_err(),
        "only to give"
    );
    assert_eq!(adult.rule(at(NOW)), Rule::Alone);
    let assisted = Standing {
        powers: vec![power("curator", Capacity::Assists, &[Scope::Give])],
        ..Standing::default()
    };
    assert_eq!(assisted.rule(at(NOW)), Rule::Joint);
    assert_eq!(
        assisted.rule(at("2027-01-01T00:00:00Z")),
        Rule::Alone,
        "the measure has ended"
    );
}

#[test]
fn signatures_hold_as_long_as_the_age_and_the_powers_on_which_they_rest() {
    let signed = |role, id, time: &str| Signature {
        role,
        id,
        time: at(time),
    };
    let (own, mother) = (
        signed(Role::Learner, None, NOW),
        signed(Role::Guardian, Some("mother"), NOW),
    );
    let day = Duration::from_secs(24 * 3600);
    let child = child();
    let birthday = child.sole_consent_from.unwrap();
    assert_eq!(child.holds(&[own, mother], day), Ok(Some(birthday.plus(day))));
    assert_eq!(child.holds(&[own], day), Err(NoPower::NotBoth(Role::Guardian)));
    assert_eq!(child.holds(&[mother], day), Err(NoPower::NotBoth(Role::Learner)));
    assert_eq!(child.holds(&[], day), Err(NoPower::NotBoth(Role::Learner)));
    let stranger = signed(Role::Guardian, Some("stranger"), NOW);
    assert_eq!(
        child.holds(&[own, stranger], day),
        Err(NoPower::Unknown(Role::Guardian))
    );
    assert_eq!(child.holds(&[own, stranger, mother], day), Ok(Some(birthday.plus(day))));
    let mut lost = child.clone();
    lost.powers[0].until = at("2026-07-01T00:00:00Z");
    assert_eq!(
        lost.holds(&[own, mother], day),
        Ok(Some(lost.powers[0].until)),
        "no grace"
    );
    // An adult: their own word holds by itself, a representative's as long as the power.
    let adult = Standing {
        powers: vec![power("curator", Capacity::Represents, &[Scope::Give])],
        ..Standing::default()
    };
    let curator = signed(Role::Delegate, Some("curator"), NOW);
    assert_eq!(adult.holds(&[own], day), Ok(None));
    assert_eq!(adult.holds(&[curator], day), Ok(Some(adult.powers[0].until)));
    // Who was of age all along needed nobody, whoever signed beside them.
    let of_age = Standing {
        sole_consent_from: Some(at("2026-01-01T00:00:00Z")),
        powers: Vec::new(),
    };
    assert_eq!(of_age.holds(&[own, mother], day), Ok(None));
}

proptest! {
    #[test]
    fn nobody_born_later_consents_alone_earlier(a in 0i32..20_000, b in 0i32..20_000, code in 0usize..AGES.len()) {
        let day = |n: i32| Day(Date::from_julian_day(2_450_000 + n).unwrap());
        let country: Country = AGES[code].0.parse().unwrap();
        let (first, second) = (a.min(b), a.max(b));
        prop_assert!(sole_consent_from(day(first), country) <= sole_consent_from(day(second), country));
    }
}
