use super::*;
use serde_json::json;

fn dataset(id: &str, title: Option<&str>) -> ListedDataset {
    ListedDataset {
        id: id.parse().unwrap(),
        title: title.map(str::to_owned),
        offers: Vec::new(),
        formats: Vec::new(),
    }
}

fn one(filter: Value) -> Result<Filter, FilterError> {
    read(&[filter])
}

fn expression(left: &str, operator: &str, right: Value) -> Value {
    json!({"filterExpression": [{"operandLeft": left, "operator": operator, "operandRight": right}]})
}

/// Whether a dataset with this id and title is kept.
fn keeps(filter: Value, id: &str, title: &str) -> bool {
    one(filter).unwrap().keeps(&dataset(id, Some(title)))
}

fn refused(filter: Value) -> String {
    one(filter).unwrap_err().to_string()
}

#[test]
fn no_filter_and_the_query_that_edc_always_sends_keep_everything() {
    let edc = json!({"@type": "QuerySpec", "limit": 50, "offset": 0, "sortOrder": "ASC", "filterExpression": []});
    for none in [vec![], vec![json!(null)], vec![json!({})], vec![edc.clone()]] {
        let filter = read(&none).unwrap();
        assert!(filter.keeps(&dataset("a", None)) && filter.offset == 0, "{none:?}");
    }
    assert_eq!(one(edc).unwrap().limit, Some(50));
    assert_eq!(one(json!({})).unwrap().limit, None);
}

#[test]
fn names_are_read_bare_prefixed_and_in_full() {
    for prefix in ["", "edc:", EDC] {
        let name = |local: &str| format!("{prefix}{local}");
        let filter = one(json!({
            "@type": name("QuerySpec"), name("offset"): 3, name("limit"): 2, name("sortOrder"): "DESC", name("sortField"): null,
            name("filterExpression"): {
                "@type": name("Criterion"), name("operandLeft"): name("id"), name("operator"): "=", name("operandRight"): "a",
            },
        }))
        .unwrap();
        assert_eq!((filter.offset, filter.limit), (3, Some(2)), "{prefix}");
        assert!(
            filter.keeps(&dataset("a", None)) && !filter.keeps(&dataset("b", None)),
            "{prefix}"
        );
    }
}

#[test]
fn ids_and_titles_are_compared() {
    for left in ["id", "@id", "https://w3id.org/edc/v0.0.1/ns/id"] {
        assert!(
            keeps(expression(left, "=", json!("a")), "a", "t") && !keeps(expression(left, "=", json!("a")), "b", "a")
        );
    }
    for left in ["title", "dct:title", "dcterms:title", "http://purl.org/dc/terms/title"] {
        assert!(
            keeps(expression(left, "=", json!("t")), "a", "t") && !keeps(expression(left, "=", json!("t")), "t", "u")
        );
    }
    let both = || expression("id", "in", json!(["a", "b"]));
    assert!(keeps(both(), "a", "t") && keeps(both(), "b", "t") && !keeps(both(), "c", "t"));
    assert!(keeps(expression("id", "in", json!("a")), "a", "t"));
    assert!(!keeps(expression("id", "in", json!([])), "a", "t"));
    assert!(
        !one(expression("title", "like", json!("%")))
            .unwrap()
            .keeps(&dataset("a", None))
    );
}

#[test]
fn every_expression_must_hold() {
    let two = json!({"filterExpression": [
        {"operandLeft": "id", "operator": "=", "operandRight": "a"},
        {"operandLeft": "title", "operator": "=", "operandRight": "t"},
    ]});
    assert!(keeps(two.clone(), "a", "t") && !keeps(two.clone(), "a", "u") && !keeps(two, "b", "t"));
}

#[test]
fn like_knows_the_percent_sign_at_the_ends() {
    let like = |pattern: &str, id: &str| keeps(expression("id", "like", json!(pattern)), id, "t");
    assert!(like("rec%", "records") && !like("rec%", "my-records"));
    assert!(like("%ords", "records") && !like("%ords", "records2"));
    assert!(like("%cor%", "records") && like("records", "records") && !like("record", "records"));
    assert!(like("%", "records") && like("%%", "records"));
    for pattern in ["a%b", "a_b", "a\\%"] {
        assert!(
            refused(expression("id", "like", json!(pattern))).contains("the pattern"),
            "{pattern}"
        );
    }
}

#[test]
fn what_is_not_supported_is_named() {
    let unsupported = |filter: Value, what: &str| {
        assert_eq!(one(filter), Err(FilterError::Unsupported { what: what.to_owned() }));
    };
    unsupported(json!({"sortField": "id"}), "sortField");
    unsupported(json!({"query": "x"}), "the member \"query\"");
    unsupported(json!({"@type": "Other"}), "the type \"Other\"");
    unsupported(json!("x"), "a filter that is not an object");
    unsupported(expression("name", "=", json!("x")), "a comparison of \"name\"");
    unsupported(expression("id", "contains", json!("x")), "the operator \"contains\"");
    assert_eq!(
        read(&[json!({}), json!({})]).unwrap_err().to_string(),
        "the filter is not supported: more than one filter"
    );
    let long = "\u{1b}x".repeat(10_000);
    assert!(refused(json!({ long: 1 })).len() < 500);
}

#[test]
fn absurd_values_are_refused() {
    for (member, value) in [
        ("offset", json!(-1)),
        ("offset", json!(1.5)),
        ("offset", json!("1")),
        ("offset", json!(true)),
        ("limit", json!(-50)),
        ("limit", json!(0)),
        ("limit", json!([])),
        ("limit", json!(1e300)),
        ("sortOrder", json!("UP")),
        ("sortOrder", json!(1)),
        ("filterExpression", json!("x")),
        ("filterExpression", json!([null])),
        ("filterExpression", json!([[]])),
    ] {
        let error = one(json!({member: value})).unwrap_err();
        assert!(
            matches!(error, FilterError::Invalid { member: named, .. } if named == member),
            "{member} {value}"
        );
    }
    assert!(matches!(
        one(json!({"@type": 1})),
        Err(FilterError::Invalid { member: "@type", .. })
    ));
    let twice = json!({"limit": 1, "edc:limit": 2});
    assert_eq!(refused(twice), "limit of the filter is written twice");
}

#[test]
fn an_expression_needs_its_three_members_as_strings() {
    let whole = expression("id", "=", json!("a"));
    for member in ["operandLeft", "operator", "operandRight"] {
        for bad in [json!(null), json!(1), json!({"@value": "a"}), json!(["a", 1])] {
            let mut filter = whole.clone();
            filter["filterExpression"][0][member] = bad.clone();
            let error = one(filter).unwrap_err();
            assert!(
                matches!(error, FilterError::Invalid { member: named, .. } if named == member),
                "{member} {bad}"
            );
        }
    }
    assert!(one(expression("id", "in", json!(["a", 1]))).is_err());
}

#[test]
fn the_number_of_expressions_is_bounded() {
    let many = |count: usize| {
        let list = vec![json!({"operandLeft": "id", "operator": "=", "operandRight": "a"}); count];
        one(json!({"filterExpression": list}))
    };
    assert!(many(MAX_EXPRESSIONS).is_ok());
    assert_eq!(many(MAX_EXPRESSIONS + 1), Err(FilterError::TooMany));
}
