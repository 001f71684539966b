//! The management API as programs use it: its document, keys that make requests safe to repeat, and what it does with bad input.

mod repeated;

use connector_tests::harness::{Connector, World, text};
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// What a request brought back.
struct Got {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

impl Got {
    fn code(&self) -> &str {
        self.body["error"]["code"].as_str().unwrap_or_default()
    }

    fn is_replayed(&self) -> bool {
        self.headers.contains_key("idempotency-replayed")
    }
}

/// A request with these headers, over the daemon's socket.
async fn raw(
    connector: &Connector,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: Vec<u8>,
) -> Option<Got> {
    let client = reqwest::Client::builder()
        .unix_socket(connector.dir.join("management.sock"))
        .build()
        .unwrap();
    let mut request = client.request(method, format!("http://connector{path}")).body(body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = request.send().await.ok()?;
    let (status, headers) = (response.status(), response.headers().clone());
    let body = serde_json::from_slice(&response.bytes().await.ok()?).unwrap_or(Value::Null);
    Some(Got { status, headers, body })
}

const JSON: (&str, &str) = ("content-type", "application/json");

/// The paths of the document with the methods that it names for each.
fn documented(document: &Value) -> Vec<(String, BTreeSet<String>)> {
    let paths = document["paths"].as_object().unwrap();
    let methods = |item: &Value| {
        item.as_object()
            .unwrap()
            .keys()
            .map(|name| name.to_uppercase())
            .collect()
    };
    paths.iter().map(|(path, item)| (path.clone(), methods(item))).collect()
}

/// Every place that a value points to.
fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
            members.values().for_each(|inner| references(inner, found));
        }
        Value::Array(items) => items.iter().for_each(|inner| references(inner, found)),
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_names_every_route_and_every_answer() {
    let world = World::start(&["school"]).await;
    let school = world.get("school");
    let document = school.get("/v1/openapi.json").await;
    assert!(text(&document, "openapi").starts_with("3.1"));
    let printed = school.cli(&["openapi"]);
    assert_eq!(serde_json::from_slice::<Value>(&printed.stdout).unwrap(), document);
    let mut pointers = BTreeSet::new();
    references(&document, &mut pointers);
    assert!(pointers.len() > 20, "{pointers:?}");
    for pointer in pointers {
        let inside = pointer.strip_prefix('#').unwrap();
        assert!(document.pointer(inside).is_some(), "{pointer} leads nowhere");
    }
    for process in ["Negotiation", "Transfer"] {
        let own = &document["components"]["schemas"][process]["allOf"][1];
        let state = own["properties"]["state"]["oneOf"].as_array().unwrap();
        assert!(state.contains(&json!({"type": "null"})), "unknown at first: {own}");
        assert!(own["required"].as_array().unwrap().contains(&json!("state")));
    }
    let paths = documented(&document);
    assert!(paths.len() >= 20, "{paths:?}");
    for (path, methods) in &paths {
        let filled = path.replace(['{', '}'], "");
        // A method that no route takes shows which are taken; HEAD comes with GET.
        let got = raw(school, Method::PATCH, &filled, &[], Vec::new()).await.unwrap();
        assert_eq!(
            (got.status, got.code()),
            (StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed"),
            "{path}"
        );
        let allowed = got.headers["allow"].to_str().unwrap();
        let mut allowed: BTreeSet<String> = allowed.split(',').map(|name| name.trim().to_owned()).collect();
        allowed.remove("HEAD");
        assert_eq!(allowed, *methods, "{path}");
        for method in methods {
            let operation = &document["paths"][path][method.to_lowercase()];
            let answers = operation["responses"].as_object().unwrap();
            for status in ["400", "401", "500", "503"] {
                assert!(answers.contains_key(status), "{method} {path}: {status}");
            }
            let names = operation["parameters"].as_array().cloned().unwrap_or_default();
            let names: Vec<String> = names.iter().map(|parameter| text(parameter, "name")).collect();
            assert_eq!(
                names.iter().any(|name| name == "idempotency-key"),
                method != "GET",
                "{path}"
            );
            assert!(names.iter().any(|name| name == "Accept-Language"), "{method} {path}");
            assert!(
                !text(operation, "summary").is_empty(),
                "{method} {path} does not say what it does"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn terms_that_are_no_object_are_refused_whatever_the_step_makes_of_them() {
    let world = World::start(&["school"]).await;
    let school = world.get("school");
    for step in ["terminate", "accept", "counter"] {
        let path = format!("/v1/negotiations/urn:uuid:none/{step}");
        for (terms, status) in [
            (json!(-5), StatusCode::UNPROCESSABLE_ENTITY),
            (json!("x"), StatusCode::UNPROCESSABLE_ENTITY),
            (json!([]), StatusCode::UNPROCESSABLE_ENTITY),
            (json!({}), StatusCode::NOT_FOUND),
            (json!(null), StatusCode::NOT_FOUND),
        ] {
            let body = json!({"terms": terms}).to_string().into_bytes();
            let got = raw(school, Method::POST, &path, &[JSON], body).await.unwrap();
            assert_eq!(got.status, status, "{step} {terms}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_refused_by_name_wherever_it_comes() {
    let world = World::start(&["school"]).await;
    let school = world.get("school");
    let (get, post, put) = (Method::GET, Method::POST, Method::PUT);
    let huge = "9".repeat(40);
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let cases: Vec<(&Method, String, &str, u16, &str)> = vec![
        (&get, "/v1/nothing".into(), "", 404, "not-found"),
        (&get, "/v1/datasets/a%20b".into(), "", 404, "not-found"),
        (&get, format!("/v1/datasets/{huge}"), "", 404, "not-found"),
        (&get, "/v1/datasets/%FF".into(), "", 400, "invalid"),
        (&get, "/v1/negotiations/%FF%FE/wait".into(), "", 400, "invalid"),
        (
            &get,
            format!("/v1/negotiations/x/wait?timeout={huge}"),
            "",
            400,
            "invalid",
        ),
        (&get, "/v1/negotiations/x/wait?timeout=-1".into(), "", 400, "invalid"),
        (
            &get,
            "/v1/negotiations/x/wait?timeout=1&timeout=2".into(),
            "",
            400,
            "invalid",
        ),
        (&get, "/v1/negotiations/x/wait?patience=1".into(), "", 400, "invalid"),
        (
            &get,
            "/v1/negotiations/x/wait?timeout=18446744073709551615".into(),
            "",
            404,
            "not-found",
        ),
        (&get, "/v1/audit/entries?limit=many".into(), "", 400, "invalid"),
        (&get, "/v1/transfers/x/records?raw=perhaps".into(), "", 400, "invalid"),
        (&get, "/v1/catalog".into(), "", 400, "invalid"),
        (&get, "/v1/catalog?peer=nobody".into(), "", 404, "unknown-peer"),
        (&put, "/v1/status".into(), "", 405, "method-not-allowed"),
        (&get, "/v1/transfers/x/suspend".into(), "", 405, "method-not-allowed"),
        (&post, "/v1/negotiations/x/dance".into(), "{}", 404, "not-found"),
        (&post, "/v1/negotiations/x/accept".into(), "{}", 404, "not-found"),
        (
            &post,
            "/v1/negotiations/x/accept".into(),
            r#"{"reason":1}"#,
            422,
            "invalid",
        ),
        (
            &post,
            "/v1/negotiations/x/accept".into(),
            r#"{"resaon":"x"}"#,
            422,
            "invalid",
        ),
        (&post, "/v1/negotiations/x/accept".into(), "null", 422, "invalid"),
        (&post, "/v1/negotiations".into(), "", 422, "invalid"),
        (
            &post,
            "/v1/negotiations".into(),
            r#"{"peer":"x","offer":"y","peer":"z"}"#,
            422,
            "invalid",
        ),
        (
            &post,
            "/v1/negotiations".into(),
            r#"{"peer":"x","offer":null}"#,
            422,
            "invalid",
        ),
        (&post, "/v1/negotiations".into(), "{", 422, "invalid"),
        (&post, "/v1/consents".into(), "{}", 422, "invalid"),
        (&post, "/v1/consents".into(), &deep, 422, "invalid"),
        (&post, "/v1/transfers".into(), r#"{"agreement":""}"#, 422, "invalid"),
        (
            &post,
            "/v1/transfers".into(),
            r#"{"agreement":"urn:none"}"#,
            404,
            "not-found",
        ),
    ];
    for (method, path, body, status, code) in cases {
        let got = raw(school, method.clone(), &path, &[JSON], body.into()).await.unwrap();
        assert_eq!(
            (got.status.as_u16(), got.code()),
            (status, code),
            "{method} {path} {body}: {}",
            got.body
        );
        assert!(!text(&got.body["error"], "message").is_empty());
    }
    let not_utf8 = b"{\"peer\":\"\xFF\",\"offer\":\"x\"}".to_vec();
    let got = raw(school, post.clone(), "/v1/negotiations", &[JSON], not_utf8)
        .await
        .unwrap();
    assert_eq!((got.status.as_u16(), got.code()), (422, "invalid"));
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonx",
        "",
    ] {
        let headers = [("content-type", kind)];
        let got = raw(school, post.clone(), "/v1/negotiations", &headers, b"{}".to_vec())
            .await
            .unwrap();
        assert_eq!((got.status.as_u16(), got.code()), (415, "content-type"), "{kind}");
    }
    let kind = [("content-type", "Application/JSON; charset=utf-8")];
    let got = raw(school, post, "/v1/negotiations", &kind, b"{}".to_vec())
        .await
        .unwrap();
    assert_eq!(got.status.as_u16(), 422);
    let since = [("last-event-id", "yesterday")];
    let got = raw(school, get, "/v1/events", &since, Vec::new()).await.unwrap();
    assert_eq!((got.status.as_u16(), got.code()), (400, "invalid"));
}
