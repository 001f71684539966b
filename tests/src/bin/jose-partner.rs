//! The connector's side of the talk with an independent JOSE library: `jose-partner sign` prints what we sign, as JSON; `jose-partner open`
//! reads what the library signed and prints what we say of it. `tests/check-jose` speaks for the other side.
#![forbid(unsafe_code)]

use connector::{
    clock,
    jose::{
        self, Algorithm, Binding, CredentialKey, Digest, Signer, SigningKey, Unverified, VerifyingKey,
        agreement::{Document, Parts, Party, Record, Role},
        credential::{self, Form},
        random, token,
    },
};
use policy::Timestamp;
use serde_json::{Value, json};
use std::{io::Read, process::ExitCode};

const BODY: &str =
    r#"{"@context":["https://w3id.org/dspace/2025/1/context.jsonld"],"@type":"CatalogRequestMessage","é":"ü"}"#;
const AUDIENCE: &str = "did:web:lycee.example";
const URL: &str = "https://lycee.example/dsp/2025-1/catalog/request";

fn main() -> ExitCode {
    let answer = match std::env::args().nth(1).as_deref() {
        Some("sign") => signed(),
        Some("open") => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).expect("standard input");
            let cases: Vec<Value> = serde_json::from_str(&text).expect("a list of cases");
            cases.iter().map(|case| verdict(case, clock::now())).collect()
        }
        _ => {
            eprintln!("usage: jose-partner sign|open");
            return ExitCode::from(2);
        }
    };
    println!("{answer}");
    ExitCode::SUCCESS
}

/// A participant with a new key.
fn signer(name: &str, algorithm: Algorithm) -> Signer {
    let key = SigningKey::generate(algorithm).expect("a key");
    Signer::new(&format!("did:web:{name}.example#k1"), key).expect("a key id")
}

/// Everything that we sign, with the key to check it: compact tokens, detached ones with their payload, and general JSON.
fn signed() -> Value {
    let mut all = Vec::new();
    let now = clock::now();
    for algorithm in [Algorithm::Es256, Algorithm::EdDsa] {
        let (provider, consumer) = (signer("lycee", algorithm), signer("ft", algorithm));
        let jwk = consumer.key().public_jwk();
        let name = algorithm.name();
        for (what, binding) in [
            (
                "request",
                Binding::Request {
                    method: "POST",
                    url: URL,
                },
            ),
            (
                "response",
                Binding::Response {
                    request: &jose::sha256(b"a request"),
                    status: 200,
                },
            ),
        ] {
            let id = random::message_id(now).expect("an id");
            let jws = jose::seal(&consumer, AUDIENCE, binding, Digest::EMPTY, BODY.as_bytes(), now, &id)
                .expect("a signature");
            all.push(
                json!({"name": format!("{name}: a message, {what}"), "detached": jws, "payload": BODY, "keys": [jwk],
                "crit": ["dspsig"]}),
            );
        }
        let record = record(&provider, &consumer);
        let sign = |signer: &Signer, role| record.sign(signer, role, now).expect("a signature");
        let (assigner, assignee) = (sign(&provider, Role::Assigner), sign(&consumer, Role::Assignee));
        let document = Document::assemble(record, &assigner, &assignee).expect("a document");
        let document: Value = serde_json::from_slice(&document.to_bytes().expect("bytes")).expect("JSON");
        all.push(
            json!({"name": format!("{name}: an agreement"), "general": document, "crit": ["dspsig"],
            "keys": [provider.key().public_jwk(), jwk]}),
        );
        for kind in token::Kind::ALL {
            let jws = token::sign(&consumer, kind, &json!({"b": [1, "é"], "a": {"x": true}})).expect("a token");
            all.push(json!({"name": format!("{name}: {}", kind.typ()), "compact": jws, "keys": [jwk]}));
        }
        let credential =
            credential::issue(&consumer, Form::Credential, &credential_of(consumer.did(), now)).expect("a credential");
        let presentation = json!({"@context": [credential::CONTEXT], "type": ["VerifiablePresentation"], "holder": consumer.did(),
            "verifiableCredential": [credential::enveloped(&credential)]});
        let presentation = credential::issue(&consumer, Form::Presentation, &presentation).expect("a presentation");
        all.push(json!({"name": format!("{name}: a credential"), "compact": credential, "keys": [jwk]}));
        all.push(json!({"name": format!("{name}: a presentation"), "compact": presentation, "keys": [jwk]}));
    }
    Value::Array(all)
}

fn credential_of(issuer: &str, now: Timestamp) -> Value {
    json!({"@context": [credential::CONTEXT], "id": "urn:uuid:1", "type": ["VerifiableCredential"], "issuer": issuer, "validFrom": now,
        "credentialSubject": {"id": "did:web:subject.example", "name": "Lycée"}})
}

fn record(provider: &Signer, consumer: &Signer) -> Record {
    let party = |signer: &Signer| Party {
        did: signer.did().to_owned(),
        jkt: Some(signer.key().verifying_key().thumbprint()),
    };
    Record::new(Parts {
        provider_pid: "urn:uuid:1".into(),
        consumer_pid: "urn:uuid:2".into(),
        provider: party(provider),
        consumer: party(consumer),
        agreement: json!({"@id": "urn:uuid:3", "@type": "Agreement", "assigner": provider.did(), "assignee": consumer.did()}),
        transcript: Digest::EMPTY,
        claims_hash: None,
        offer_hash: None,
        rulebook_hash: None,
    })
    .expect("a record")
}

/// What our verifier says of one case: `name`, and `accepted` or the `error`.
fn verdict(case: &Value, now: Timestamp) -> Value {
    match accepts(case, now) {
        Ok(()) => json!({"name": case["name"], "accepted": true}),
        Err(error) => json!({"name": case["name"], "accepted": false, "error": error}),
    }
}

fn accepts(case: &Value, now: Timestamp) -> Result<(), String> {
    let text = |name: &str| case[name].as_str().ok_or(format!("{name} is no text"));
    let key = |jwk: &Value| VerifyingKey::from_jwk(jwk).map_err(|error| error.to_string());
    match text("kind")? {
        "message" => {
            let binding = Binding::Request {
                method: "POST",
                url: text("url")?,
            };
            let checked = Unverified::parse(text("jws")?)
                .and_then(|message| message.check(text("audience").unwrap_or_default(), binding, now));
            let checked = checked.map_err(|error| error.to_string())?;
            checked
                .verify(&key(&case["jwk"])?, text("payload")?.as_bytes())
                .map(drop)
                .map_err(|error| error.to_string())
        }
        "agreement" => {
            let document = Document::parse(case["jws"].to_string().as_bytes()).map_err(|error| error.to_string())?;
            let keys = |kid: &str| VerifyingKey::from_jwk(&case["keys"][kid]).ok();
            document.verify(keys).map(drop).map_err(|error| error.to_string())
        }
        "token" => {
            let kind = token::Kind::ALL
                .into_iter()
                .find(|kind| Some(kind.typ()) == case["typ"].as_str());
            let key = key(&case["jwk"])?;
            let opened = token::verify(text("jws")?, kind.ok_or("no such kind")?, |_| Some(key.clone()));
            opened.map(drop).map_err(|error| error.to_string())
        }
        "credential" => {
            let key = CredentialKey::from_jwk(&case["jwk"]).map_err(|error| error.to_string())?;
            credential::verify(text("jws")?, Form::Credential, &key, now)
                .map(drop)
                .map_err(|error| error.to_string())
        }
        other => Err(format!("no kind {other}")),
    }
}
