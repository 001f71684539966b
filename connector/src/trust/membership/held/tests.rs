use super::*;
use crate::jose::{
    CredentialKey,
    credential::{self, CONTEXT, Form},
    testing,
};
use url::Url;

const SUBJECT: &str = "did:web:lycee.example";
const ISSUER: &str = "did:web:ft.example";

fn now() -> Timestamp {
    "2026-06-01T00:00:00Z".parse().unwrap()
}

fn claims_json() -> Value {
    json!({
        "@context": [CONTEXT], "type": ["VerifiableCredential", MEMBERSHIP], "issuer": ISSUER,
        "validFrom": "2026-01-01T00:00:00Z", "validUntil": "2026-12-31T00:00:00Z",
        "credentialSubject": {
            "id": SUBJECT, "type": "Organization", "legalName": "Lycée Curie", "role": ["DataProvider", "Orientation"],
            "minors": true, "pupils": 640, "ratio": 0.5, "rulebook": {"version": "2026.1"}, "9lives": "x", "empty": [],
            "purposesAllowed": ["orientation", 1, {"x": 1}],
        },
        "credentialStatus": StatusEntry::write(&Url::parse("https://a.example/1.jwt").unwrap(), 7),
    })
}

fn jkt() -> Digest {
    testing::rfc7515_public().thumbprint()
}

fn held(claims: &Value) -> Result<Held, Discounted> {
    let token = credential::issue(&testing::consumer(), Form::Credential, claims);
    // A fraction is never signed by us; it may be by others.
    let token = token.unwrap_or_else(|_| {
        let mut whole = claims.clone();
        whole["credentialSubject"].as_object_mut().unwrap().remove("ratio");
        credential::issue(&testing::consumer(), Form::Credential, &whole).unwrap()
    });
    let key = CredentialKey::from(testing::rfc7515_public());
    Held::read(
        &credential::verify(&token, Form::Credential, &key, now()).unwrap(),
        jkt(),
        SUBJECT,
    )
}

fn list(issuers: Value) -> TrustList {
    serde_json::from_value(json!({
        "v": 1, "authority": "did:web:a.example", "sequence": 1, "issued": now(), "nextUpdate": now(),
        "issuers": issuers, "revokedMembers": [], "revokedJkts": [], "minimumProtocol": "2025-1",
    }))
    .unwrap()
}

fn good_list() -> TrustList {
    list(json!([{"did": ISSUER, "types": [MEMBERSHIP]}]))
}

fn clear(_: &StatusEntry) -> Result<bool, Discounted> {
    Ok(false)
}

#[test]
fn claims_are_texts_numbers_and_truths_alone_or_in_lists() {
    let claims = held(&claims_json()).unwrap().claims;
    let set = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect::<BTreeSet<_>>();
    let expected = Claims::from([
        ("legalName".to_owned(), set(&["Lycée Curie"])),
        ("role".to_owned(), set(&["DataProvider", "Orientation"])),
        ("minors".to_owned(), set(&["true"])),
        ("pupils".to_owned(), set(&["640"])),
        ("purposesAllowed".to_owned(), set(&["orientation", "1"])),
    ]);
    assert_eq!(claims, expected);
}

#[test]
fn a_credential_about_somebody_else_is_not_held() {
    for subject in [
        json!({"id": "did:web:lycee-example"}),
        json!({"id": "did:web:edtech.example"}),
        json!({}),
    ] {
        let mut claims = claims_json();
        claims["credentialSubject"] = subject;
        assert!(matches!(held(&claims), Err(Discounted::Subject(_))));
    }
    let mut claims = claims_json();
    claims["credentialSubject"] = json!([{"id": SUBJECT}, {"id": "did:web:edtech.example"}]);
    assert_eq!(held(&claims), Err(Discounted::Subject(None)), "about two");
}

#[test]
fn it_counts_under_the_list_and_under_no_other() {
    let held = held(&claims_json()).unwrap();
    let judge = |list: &TrustList| held.judge(list, now(), clear);
    assert_eq!(judge(&good_list()), Ok(()));
    let unlisted = Err(Discounted::Issuer(ISSUER.to_owned()));
    assert_eq!(judge(&list(json!([]))), unlisted);
    assert_eq!(
        judge(&list(json!([{"did": "did:web:ft-example", "types": [MEMBERSHIP]}]))),
        unlisted
    );
    let later = json!([{"did": ISSUER, "types": [MEMBERSHIP], "validFrom": "2026-06-01T00:00:01Z"}]);
    assert_eq!(judge(&list(later)), unlisted);
    let role = judge(&list(json!([{"did": ISSUER, "types": [ROLE]}])));
    assert!(matches!(role, Err(Discounted::Type { .. })), "{role:?}");
    let other = json!([{"did": ISSUER, "types": [MEMBERSHIP], "jkts": [sha256(b"another")]}]);
    assert_eq!(judge(&list(other)), Err(Discounted::Key(jkt())));
    assert_eq!(
        judge(&list(json!([{"did": ISSUER, "types": [MEMBERSHIP], "jkts": [jkt()]}]))),
        Ok(())
    );
    let mut revoked = good_list();
    revoked.revoked_jkts = serde_json::from_value(json!([{"jkt": jkt(), "notAfter": now()}])).unwrap();
    assert_eq!(judge(&revoked), Err(Discounted::Key(jkt())));
}

#[test]
fn an_issuer_issues_nothing_beyond_its_types_in_whatever_company() {
    let role = list(json!([{"did": ISSUER, "types": [ROLE]}]));
    for types in [
        json!(["VerifiableCredential", ROLE, MEMBERSHIP]),
        json!(["VerifiableCredential", MEMBERSHIP]),
        json!(["VerifiableCredential"]),
        json!(["VerifiableCredential", ROLE, "Other"]),
    ] {
        let mut claims = claims_json();
        claims["type"] = types;
        let judged = held(&claims).unwrap().judge(&role, now(), clear);
        assert!(
            matches!(judged, Err(Discounted::Type { .. })),
            "{}: {judged:?}",
            claims["type"]
        );
    }
    let mut claims = claims_json();
    claims["type"] = json!(["VerifiableCredential", ROLE]);
    assert_eq!(held(&claims).unwrap().judge(&role, now(), clear), Ok(()));
}

#[test]
fn a_role_credential_says_what_its_subject_does_and_not_who_it_is() {
    let mut claims = claims_json();
    claims["type"] = json!(["VerifiableCredential", ROLE]);
    let names: Vec<String> = held(&claims).unwrap().claims.into_keys().collect();
    assert_eq!(names, ["purposesAllowed", "role"]);
}

#[test]
fn it_counts_in_its_time_and_while_its_bit_is_clear() {
    let held = held(&claims_json()).unwrap();
    let at = |time: &str| held.judge(&good_list(), time.parse().unwrap(), clear);
    assert_eq!(at("2025-12-31T23:58:59Z"), Err(Discounted::Time));
    assert_eq!(at("2025-12-31T23:59:00Z"), Ok(()));
    assert_eq!(at("2026-12-30T23:59:59Z"), Ok(()));
    assert_eq!(
        at("2026-12-31T00:00:00Z"),
        Err(Discounted::Time),
        "what ends, ends at once"
    );
    let set = held.judge(&good_list(), now(), |entry| Ok(entry.index == 7));
    assert_eq!(set, Err(Discounted::Revoked));
    let unknown = held.judge(&good_list(), now(), |_| Err(Discounted::NoStatus("x".into())));
    assert_eq!(
        unknown,
        Err(Discounted::NoStatus("x".into())),
        "no news is not good news"
    );
}

#[test]
fn claims_of_several_credentials_come_together_and_have_one_hash() {
    let claims = |pairs: &[(&str, &str)]| {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), [(*value).to_owned()].into()))
            .collect::<Claims>()
    };
    let one = Held {
        claims: claims(&[("role", "A"), ("sector", "x")]),
        ..held(&claims_json()).unwrap()
    };
    let other = Held {
        claims: claims(&[("role", "B")]),
        ..one.clone()
    };
    let both = together([&one, &other]);
    assert_eq!(both["role"], ["A".to_owned(), "B".to_owned()].into());
    assert_eq!(both["credential.MembershipCredential.role"], both["role"]);
    assert_eq!(digest(&both), digest(&together([&other, &one])));
    assert_ne!(digest(&both), digest(&together([&one])));
    let canonical = br#"{"credential.MembershipCredential.role":["A","B"],"credential.MembershipCredential.sector":["x"],"role":["A","B"],"sector":["x"]}"#;
    assert_eq!(digest(&both), sha256(canonical));
}

#[test]
fn a_credential_of_another_type_says_nothing_under_a_plain_name() {
    let with = |types: &[&str]| Held {
        types: types.iter().map(|kind| (*kind).to_owned()).collect(),
        ..held(&claims_json()).unwrap()
    };
    let names = |held: &Held| together([held]).into_keys().collect::<BTreeSet<_>>();
    let diploma = names(&with(&["Diploma"]));
    assert!(diploma.contains("credential.Diploma.role"));
    assert!(
        diploma.iter().all(|name| name.starts_with("credential.Diploma.")),
        "{diploma:?}"
    );
    // A further type gives a role credential no more to say of who its subject is.
    let both = names(&with(&["Diploma", ROLE]));
    let plain: Vec<&String> = both.iter().filter(|name| !name.contains('.')).collect();
    assert_eq!(plain, ["purposesAllowed", "role"]);
    assert!(both.contains("credential.Diploma.legalName") && both.contains("credential.RoleCredential.role"));
    // Nor can a name of a type be made to look like a claim of another.
    let odd = names(&with(&["MembershipCredential.role", "https://types.example/Odd"]));
    assert_eq!(odd, BTreeSet::new());
}
