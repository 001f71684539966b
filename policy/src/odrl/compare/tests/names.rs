//! What our profile knows of names.

use super::*;
use crate::LeftOperand;

/// An operator and right operands.
type Asked<'a> = (&'a str, &'a [&'a str]);

fn asking(left: &str, (operator, right): Asked<'_>) -> Policy {
    permits(vec![atom("c", left, operator, right)])
}

/// The verdict on one operand: what the profile lets a value of the one be under the other.
fn on(left: &str, one: Asked<'_>, other: Asked<'_>) -> Verdict {
    verdict(&asking(left, one), &asking(left, other), &Concepts::profile())
}

/// The same where the operand has one value, whatever the profile says of it.
fn on_one(left: &str, one: Asked<'_>, other: Asked<'_>) -> Verdict {
    verdict(&asking(left, one), &asking(left, other), &Concepts::new().with_codes())
}

#[test]
fn languages_are_ordered_by_their_subtags() {
    fn language(one: Asked<'_>, other: Asked<'_>) -> Verdict {
        on_one("language", one, other)
    }
    assert_eq!(language(("isA", &["fr"]), ("eq", &["FR-ca"])), Verdict::Compatible);
    assert_eq!(language(("isA", &["fr"]), ("eq", &["frr"])), Verdict::Conflict);
    assert_eq!(language(("isA", &["fr"]), ("isA", &["fr-CA"])), Verdict::Compatible);
    assert_eq!(language(("isA", &["fr-FR"]), ("isA", &["fr-CA"])), Verdict::Conflict);
    assert_eq!(
        language(("eq", &["fr"]), ("eq", &["https://tools.ietf.org/html/bcp47#fr"])),
        Verdict::Compatible
    );
    assert_eq!(
        language(("hasPart", &["fr-CA"]), ("isNoneOf", &["fr", "fr-CA"])),
        Verdict::Conflict
    );
    assert_eq!(
        language(("isNoneOf", &["fr"]), ("isNoneOf", &["de"])),
        Verdict::Compatible
    );
}

#[test]
fn places_are_ordered_by_their_codes() {
    fn place(one: Asked<'_>, other: Asked<'_>) -> Verdict {
        on_one("spatial", one, other)
    }
    assert_eq!(place(("isPartOf", &["FR"]), ("eq", &["FR10"])), Verdict::Compatible);
    assert_eq!(place(("isPartOf", &["FR1"]), ("isPartOf", &["FR2"])), Verdict::Conflict);
    assert_eq!(place(("isPartOf", &["FR"]), ("eq", &["DE"])), Verdict::Conflict);
    assert_eq!(place(("isPartOf", &["GR"]), ("eq", &["EL30"])), Verdict::Compatible);
    assert_eq!(place(("hasPart", &["FR101"]), ("eq", &["FR10"])), Verdict::Compatible);
    // What a code of ISO 3166 and one of NUTS have in common within a country is not in their spelling.
    assert_eq!(place(("isPartOf", &["FR-IDF"]), ("eq", &["FR10"])), Verdict::Unknown);
    assert_eq!(place(("isPartOf", &["FR"]), ("eq", &["RE"])), Verdict::Compatible);
    assert_eq!(place(("isPartOf", &["FRY"]), ("eq", &["RE"])), Verdict::Unknown);
    assert_eq!(place(("eq", &["RE"]), ("eq", &["GP"])), Verdict::Conflict);
    assert_eq!(place(("isPartOf", &["CH"]), ("eq", &["CHN"])), Verdict::Unknown);
    // A union of countries is no country, and of a name that is no code nothing is known.
    assert_eq!(place(("isPartOf", &["EU"]), ("eq", &["FR"])), Verdict::Unknown);
    assert_eq!(
        place(("isPartOf", &["https://sws.geonames.org/3017382/"]), ("eq", &["DE"])),
        Verdict::Unknown
    );
}

#[test]
fn purposes_are_compared_along_the_tree_of_the_profile() {
    fn purpose(one: Asked<'_>, other: Asked<'_>) -> Verdict {
        on("purpose", one, other)
    }
    let (research, science) = ("dpv:ResearchAndDevelopment", "https://w3id.org/dpv#ScientificResearch");
    let (sold, free) = ("dpv:CommercialResearch", "dpv:NonCommercialPurpose");
    assert_eq!(
        purpose(("isA", &[research]), ("eq", &["dpv:ScientificResearch"])),
        Verdict::Compatible
    );
    // The tree is complete for what it holds, as it is when it is enforced.
    assert_eq!(purpose(("eq", &[research]), ("eq", &[science])), Verdict::Conflict);
    assert_eq!(purpose(("isA", &[free]), ("eq", &[science])), Verdict::Conflict);
    // Two of them may have something in common that it does not hold (DPV says of no siblings that they exclude each other).
    assert_eq!(
        purpose(("isA", &[research]), ("isA", &["dpv:Marketing"])),
        Verdict::Unknown
    );
    assert_eq!(
        purpose(("isA", &[research]), ("isA", &["dpv:CommercialPurpose"])),
        Verdict::Compatible
    );
    assert_eq!(purpose(("isA", &[free]), ("eq", &[sold])), Verdict::Conflict);
    assert_eq!(
        purpose(("eq", &["dases:orientation"]), ("eq", &["orientation^^string"])),
        Verdict::Compatible
    );
    assert_eq!(
        purpose(("eq", &["dases:orientation"]), ("eq", &[science])),
        Verdict::Conflict
    );
    assert_eq!(
        purpose(("eq", &["dases:training"]), ("eq", &[science])),
        Verdict::Unknown
    );
    assert_eq!(purpose(("eq", &["urn:p"]), ("neq", &["urn:p"])), Verdict::Conflict);
}

#[test]
fn identities_are_equal_or_not() {
    fn recipient(one: Asked<'_>, other: Asked<'_>) -> Verdict {
        on("recipient", one, other)
    }
    assert_eq!(
        recipient(("eq", &["did:web:a"]), ("eq", &["did:web:a"])),
        Verdict::Compatible
    );
    assert_eq!(
        recipient(("eq", &["did:web:a"]), ("isAnyOf", &["did:web:b", "did:web:c"])),
        Verdict::Conflict
    );
    assert_eq!(
        recipient(("eq", &["https://a.example"]), ("eq", &["https://b.example"])),
        Verdict::Unknown
    );
    fn category(one: Asked<'_>, other: Asked<'_>) -> Verdict {
        on("https://w3id.org/dases/ns/dataCategory", one, other)
    }
    assert_eq!(
        category(("isAnyOf", &["dases:skills"]), ("eq", &["dases:results"])),
        Verdict::Conflict
    );
    assert_eq!(
        category(("isAnyOf", &["dases:skills"]), ("eq", &["skills^^string"])),
        Verdict::Compatible
    );
}

#[test]
fn there_is_no_data_category_beside_those_that_are_known() {
    let category = "https://w3id.org/dases/ns/dataCategory";
    let all: Vec<String> = crate::Category::ALL
        .iter()
        .map(|category| format!("dases:{}", category.name()))
        .collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    let others: Vec<&str> = all.iter().copied().filter(|name| *name != "dases:skills").collect();
    let (rest, skills) = (("isNoneOf", others.as_slice()), &["dases:skills"][..]);
    for concepts in [Concepts::profile(), Concepts::new()] {
        let asked = |asked: Asked<'_>| asking(category, asked);
        assert_eq!(
            verdict(&asked(rest), &asked(("neq", skills)), &concepts),
            Verdict::Conflict
        );
        assert_eq!(within(&asked(rest), &asked(("eq", skills)), &concepts), Within::Yes);
        assert_eq!(within(&asked(("eq", skills)), &asked(rest), &concepts), Within::Yes);
        let none = satisfiable(&asked(("isNoneOf", &all)), &concepts);
        assert!(matches!(none, Answer::Impossible(_)), "{none:?}");
    }
    let none = asking(category, ("isNoneOf", &all));
    assert_eq!(contradiction(&none, &Concepts::profile()).dead.len(), 1);
}

#[test]
fn what_a_transfer_is_only_one_of_is_not_two() {
    fn channel(one: Asked<'_>, other: Asked<'_>) -> Verdict {
        on("deliveryChannel", one, other)
    }
    let (push, pull) = (&["push^^string"][..], &["pull^^string"][..]);
    assert_eq!(channel(("eq", push), ("eq", pull)), Verdict::Conflict);
    assert_eq!(
        channel(("eq", push), ("isAnyOf", &["pull^^string", "push^^string"])),
        Verdict::Compatible
    );
    assert_eq!(channel(("eq", push), ("neq", pull)), Verdict::Compatible);
    assert_eq!(
        channel(("isAllOf", &["pull^^string", "push^^string"]), ("eq", pull)),
        Verdict::Conflict
    );
    // Its format goes with one of them.
    assert_eq!(
        channel(("eq", push), ("eq", &["HttpData-PUSH^^string"])),
        Verdict::Compatible
    );
    assert_eq!(
        channel(("eq", pull), ("eq", &["HttpData-PUSH^^string"])),
        Verdict::Conflict
    );
    assert_eq!(channel(("eq", push), ("eq", &["urn:channel"])), Verdict::Compatible);
    fn format(one: Asked<'_>, other: Asked<'_>) -> Verdict {
        on("fileFormat", one, other)
    }
    let (csv, lines) = (&["text/csv^^string"][..], &["application/x-ndjson^^string"][..]);
    assert_eq!(format(("eq", csv), ("eq", lines)), Verdict::Conflict);
    assert_eq!(
        format(
            ("neq", lines),
            (
                "eq",
                &["https://www.iana.org/assignments/media-types/application/X-NDJSON"]
            )
        ),
        Verdict::Conflict
    );
}

#[test]
fn a_connector_is_one_and_no_part_of_another() {
    fn device(one: Asked<'_>, other: Asked<'_>) -> Verdict {
        on("systemDevice", one, other)
    }
    let (this, that) = (&["did:web:a"][..], &["did:web:b"][..]);
    assert_eq!(device(("eq", this), ("eq", that)), Verdict::Conflict);
    assert_eq!(device(("eq", this), ("neq", that)), Verdict::Compatible);
    assert_eq!(
        device(("isAllOf", &["did:web:a", "did:web:b"]), ("isAnyOf", this)),
        Verdict::Conflict
    );
    assert_eq!(device(("isAllOf", this), ("eq", this)), Verdict::Compatible);
    let inside = |one, other| {
        let asked = |asked| asking("systemDevice", asked);
        within(&asked(one), &asked(other), &Concepts::profile())
    };
    assert_eq!(inside(("eq", this), ("neq", that)), Within::Yes);
    // What is not known to contain a name is unknown when it is enforced, and a prohibition of it then applies.
    let mut elsewhere = permits(Vec::new());
    let part = atom("c", "systemDevice", "isPartOf", that);
    elsewhere.prohibitions = vec![prohibition(rule("prohibition", "use", vec![part]))];
    assert_ne!(
        verdict(&asking("systemDevice", ("eq", this)), &elsewhere, &Concepts::profile()),
        Verdict::Compatible
    );
}

#[test]
fn an_operand_of_odrl_has_one_value_so_that_all_of_several_is_one_of_them() {
    fn language(one: Asked<'_>, other: Asked<'_>) -> Verdict {
        on_one("language", one, other)
    }
    let all = ("isAllOf", &["de", "fr"][..]);
    assert_eq!(language(all, ("eq", &["it"])), Verdict::Conflict);
    assert_eq!(language(all, ("isAnyOf", &["it", "es"])), Verdict::Conflict);
    assert_eq!(language(all, ("isAllOf", &["it", "es"])), Verdict::Conflict);
    assert_eq!(language(all, ("isNoneOf", &["de", "fr"])), Verdict::Conflict);
    assert_eq!(language(all, ("eq", &["fr"])), Verdict::Compatible);
    assert_eq!(language(all, ("isAllOf", &["fr", "it"])), Verdict::Compatible);
    // Two that are asked for together are not the one that is asked for alone.
    assert_eq!(language(("eq", &["de", "fr"]), ("eq", &["de"])), Verdict::Conflict);
    assert_eq!(
        language(("eq", &["de", "fr"]), ("eq", &["fr", "de"])),
        Verdict::Compatible
    );
}

#[test]
fn several_values_at_once_are_asked_of_several() {
    fn states(one: Asked<'_>, other: Asked<'_>) -> Verdict {
        on("urn:state", one, other)
    }
    let (all, texts) = (
        &["encrypted^^string", "anonymized^^string"][..],
        &["encrypted^^string"][..],
    );
    assert_eq!(states(("isAllOf", all), ("isAnyOf", texts)), Verdict::Compatible);
    assert_eq!(states(("isAllOf", all), ("isNoneOf", texts)), Verdict::Conflict);
    assert_eq!(states(("isAllOf", all), ("eq", all)), Verdict::Compatible);
    assert_eq!(states(("eq", all), ("isAnyOf", &["other^^string"])), Verdict::Conflict);
    assert_eq!(
        on("urn:flag", ("neq", &["true^^boolean"]), ("neq", &["false^^boolean"])),
        Verdict::Conflict
    );
    assert_eq!(
        on("urn:flag", ("neq", &["true^^boolean"]), ("eq", &["false^^boolean"])),
        Verdict::Compatible
    );
}

#[test]
fn an_operand_that_holds_several_names_is_compared_by_sets_of_them() {
    let role = "https://w3id.org/dases/ns/role";
    let inside = |left: &str, one, other| within(&asking(left, one), &asking(left, other), &Concepts::profile());
    // Somebody may be both, and a data set may be in two languages.
    assert_eq!(
        on(role, ("eq", &["teacher^^string"]), ("eq", &["counsellor^^string"])),
        Verdict::Compatible
    );
    assert_eq!(on("language", ("isA", &["fr"]), ("isA", &["de"])), Verdict::Compatible);
    assert_eq!(
        on("spatial", ("isPartOf", &["FR"]), ("isPartOf", &["DE"])),
        Verdict::Compatible
    );
    assert_ne!(inside("language", ("eq", &["fr"]), ("isNoneOf", &["de"])), Within::Yes);
    assert_ne!(
        inside(
            role,
            ("isAnyOf", &["teacher^^string"]),
            ("neq", &["counsellor^^string"])
        ),
        Within::Yes
    );
    // What holds of every set with the name still does.
    assert_eq!(
        inside("language", ("eq", &["fr"]), ("isAnyOf", &["fr", "de"])),
        Within::Yes
    );
    assert_eq!(
        inside("language", ("isAllOf", &["fr", "de"]), ("eq", &["de"])),
        Within::Yes
    );
    assert_eq!(
        inside("spatial", ("eq", &["FR101"]), ("isPartOf", &["FR1"])),
        Within::Yes
    );
    assert_eq!(
        inside("spatial", ("isPartOf", &["FR10"]), ("isPartOf", &["FR1"])),
        Within::Yes
    );
    assert_eq!(
        on("language", ("eq", &["fr"]), ("isNoneOf", &["fr"])),
        Verdict::Conflict
    );
    assert_eq!(
        on("language", ("isAllOf", &["fr", "de"]), ("isNoneOf", &["de", "en"])),
        Verdict::Conflict
    );
    // What a name contains is not known when it is enforced, and what does not contain it by its code may do so all the same.
    assert_eq!(
        on("spatial", ("hasPart", &["FR101"]), ("isNoneOf", &["FR101"])),
        Verdict::Unknown
    );
    assert_ne!(
        inside("spatial", ("eq", &["FR10"]), ("hasPart", &["FR101"])),
        Within::Yes
    );
    assert_ne!(
        inside("spatial", ("hasPart", &["FR10"]), ("hasPart", &["FR101"])),
        Within::Yes
    );
    let mut elsewhere = permits(Vec::new());
    let in_france = atom("c", "spatial", "isPartOf", &["FR"]);
    elsewhere.prohibitions = vec![prohibition(rule("prohibition", "use", vec![in_france]))];
    assert_eq!(
        verdict(&asking("spatial", ("eq", &["DE"])), &elsewhere, &Concepts::profile()),
        Verdict::Unknown
    );
    // Of one name there is no other at the same time.
    assert_eq!(
        on("recipient", ("eq", &["did:web:a"]), ("eq", &["did:web:b"])),
        Verdict::Conflict
    );
}

#[test]
fn a_language_tag_that_is_longer_than_any_is_no_tag() {
    let names = |tag: &str| super::super::containing(LeftOperand::Language, tag).len();
    assert_eq!([names("fr"), names("fr-a-a")], [1, 3]);
    assert_eq!(names(&format!("fr{}", "-a".repeat(100_000))), 1);
}
