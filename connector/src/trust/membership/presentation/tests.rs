use super::*;
use crate::jose::testing;

const HOLDER: &str = "did:web:ft.example";
const ME: &str = "did:web:lycee.example";

fn now() -> Timestamp {
    "2026-06-01T00:00:00Z".parse().unwrap()
}

fn document_with(under: &str) -> Document {
    let value = json!({
        "id": HOLDER,
        "verificationMethod": [{"id": "#k1", "controller": HOLDER, "publicKeyJwk": testing::rfc7515_jwk()}],
        under: ["#k1"],
    });
    Document::read(&HOLDER.parse().unwrap(), &value).unwrap()
}

fn shown(audience: Option<&str>) -> String {
    make(
        &testing::consumer(),
        &["a.b.c".to_owned(), "d.e.f".to_owned()],
        audience,
        now(),
    )
    .unwrap()
}

fn opened(token: &str, now: Timestamp) -> Result<Vec<String>, PresentationError> {
    open(token, HOLDER, &document_with("authentication"), ME, now)
}

fn signed(claims: Value) -> String {
    credential::issue(&testing::consumer(), Form::Presentation, &claims).unwrap()
}

#[test]
fn credentials_that_are_shown_are_read_back() {
    assert_eq!(opened(&shown(None), now()).unwrap(), ["a.b.c", "d.e.f"]);
    assert_eq!(opened(&shown(Some(ME)), now()).unwrap(), ["a.b.c", "d.e.f"]);
}

#[test]
fn a_presentation_for_another_reader_is_refused() {
    for audience in ["did:web:other.example", "did:web:lycee-example", ""] {
        assert_eq!(
            opened(&shown(Some(audience)), now()),
            Err(PresentationError::WrongAudience)
        );
    }
    let with = |audience: Value| {
        signed(json!({
            "@context": [CONTEXT], "type": "VerifiablePresentation", "exp": now().seconds() + 60, "aud": audience,
            "verifiableCredential": [],
        }))
    };
    assert!(opened(&with(json!(["x", ME])), now()).is_ok());
    for audience in [json!([]), json!(["x"]), json!(null), json!({"id": ME})] {
        assert_eq!(opened(&with(audience), now()), Err(PresentationError::WrongAudience));
    }
}

#[test]
fn the_key_must_be_the_holders_and_listed_for_authentication() {
    let token = shown(None);
    let wrong = open(&token, ME, &document_with("authentication"), ME, now());
    assert_eq!(wrong, Err(PresentationError::WrongHolder(HOLDER.into())));
    let wrong = open(&token, HOLDER, &document_with("assertionMethod"), ME, now());
    assert_eq!(wrong, Err(PresentationError::UnknownKey(format!("{HOLDER}#k1"))));
}

#[test]
fn a_presentation_lives_short() {
    let end = now().plus(LIFETIME);
    assert!(opened(&shown(None), end).is_ok(), "skew");
    let late = opened(&shown(None), end.plus(Duration::from_secs(61)));
    assert_eq!(late, Err(PresentationError::Token(CredentialError::Expired)));
    let without = json!({"@context": [CONTEXT], "type": "VerifiablePresentation", "verifiableCredential": []});
    assert_eq!(
        opened(&signed(without.clone()), now()),
        Err(PresentationError::NotShortLived)
    );
    let mut long = without;
    long["exp"] = json!(now().seconds() + 24 * 3600 + 1);
    assert_eq!(opened(&signed(long), now()), Err(PresentationError::NotShortLived));
}

#[test]
fn what_it_shows_is_a_bounded_list_of_envelopes() {
    let with = |list: Value| {
        signed(json!({
            "@context": [CONTEXT], "type": "VerifiablePresentation", "exp": now().seconds() + 60, "verifiableCredential": list,
        }))
    };
    assert_eq!(opened(&with(enveloped("a.b.c")), now()).unwrap(), ["a.b.c"]);
    let many = vec![enveloped("a.b.c"); MAX_CREDENTIALS + 1];
    assert_eq!(opened(&with(json!(many)), now()), Err(PresentationError::Credentials));
    assert_eq!(
        opened(&with(json!("a.b.c")), now()),
        Err(PresentationError::Credentials)
    );
    let bare = opened(&with(json!([{"type": "VerifiableCredential"}])), now());
    assert_eq!(bare, Err(PresentationError::Token(CredentialError::NotEnveloped)));
    let nothing = signed(json!({"@context": [CONTEXT], "type": "VerifiablePresentation", "exp": now().seconds() + 60}));
    assert_eq!(opened(&nothing, now()), Err(PresentationError::Credentials));
}
