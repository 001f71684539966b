use super::*;
use crate::jose::{JoseError, SigningKey, testing};
use serde_json::Value;

const AUTHORITY: &str = "did:web:lycee.example";

fn authority() -> ParticipantId {
    AUTHORITY.parse().unwrap()
}

/// The authority's root, under a key id of its own.
fn root() -> Signer {
    testing::provider()
}

fn pin() -> Digest {
    root().key().verifying_key().thumbprint()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn list() -> Value {
    json!({
        "v": 1, "authority": AUTHORITY, "sequence": 2, "issued": "2026-06-01T00:00:00Z", "nextUpdate": "2026-06-08T00:00:00Z",
        "previous": sha256(b"first"),
        "issuers": [{"did": "did:web:issuer.example", "types": ["MembershipCredential"]}],
        "revokedMembers": ["did:web:gone.example"],
        "revokedJkts": [{"jkt": sha256(b"key"), "notAfter": "2026-05-01T00:00:00Z"}],
        "minimumProtocol": "2025-1",
    })
}

fn sealed(claims: &Value) -> String {
    token::sign(&root(), token::Kind::TrustList, claims).unwrap()
}

fn opened(claims: &Value) -> Result<Signed, ListError> {
    Signed::open_with(&sealed(claims), &authority(), &pin(), root().key().verifying_key())
}

fn with(mut list: Value, pointer: &str, value: Value) -> Value {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = list.pointer_mut(parent).unwrap();
    match (parent, value) {
        (Value::Object(members), Value::Null) => drop(members.remove(name).unwrap()),
        (Value::Object(members), value) => drop(members.insert(name.to_owned(), value)),
        (other, _) => panic!("{other}"),
    }
    list
}

#[test]
fn a_list_says_what_was_signed() {
    let signed = opened(&list()).unwrap();
    assert_eq!(
        (signed.list.sequence, signed.digest),
        (2, sha256(signed.token.as_bytes()))
    );
    let again = Signed::seal(signed.list.clone(), &root()).unwrap();
    let read = Signed::open_with(&again.token, &authority(), &pin(), root().key().verifying_key()).unwrap();
    assert_eq!(read.list, signed.list);
}

#[test]
fn only_the_pinned_key_of_the_authority_signs_lists() {
    let token = sealed(&list());
    let other = SigningKey::generate(crate::jose::Algorithm::Es256).unwrap();
    let refused = Signed::open_with(&token, &authority(), &pin(), other.verifying_key());
    assert_eq!(refused, Err(ListError::WrongRoot));
    // The forger is who the pin says, and the list was signed with the true key.
    let refused = Signed::open_with(
        &token,
        &authority(),
        &other.verifying_key().thumbprint(),
        other.verifying_key(),
    );
    assert_eq!(refused, Err(ListError::Signature(JoseError::WrongKey)));
    let forged = Signer::new(&format!("{AUTHORITY}#k7"), other).unwrap();
    let forged = token::sign(&forged, token::Kind::TrustList, &list()).unwrap();
    assert!(Signed::open_with(&forged, &authority(), &pin(), root().key().verifying_key()).is_err());
    let stranger = testing::consumer();
    let foreign = token::sign(&stranger, token::Kind::TrustList, &list()).unwrap();
    let jkt = stranger.key().verifying_key().thumbprint();
    let refused = Signed::open_with(&foreign, &authority(), &jkt, stranger.key().verifying_key());
    assert_eq!(refused, Err(ListError::WrongRoot), "signed by another participant");
    let receipt = token::sign(&root(), token::Kind::Receipt, &list()).unwrap();
    let refused = Signed::open_with(&receipt, &authority(), &pin(), root().key().verifying_key());
    assert_eq!(refused, Err(ListError::Signature(JoseError::WrongType)));
}

#[test]
fn the_root_key_is_found_in_the_document_by_its_id_and_needs_no_purpose_there() {
    let did = authority();
    let jwk = root().key().public_jwk();
    let document = |id: &str| {
        Document::read(
            &did,
            &json!({"id": AUTHORITY, "verificationMethod": [{"id": id, "publicKeyJwk": jwk}]}),
        )
        .unwrap()
    };
    let token = sealed(&list());
    assert!(Signed::open(&token, &did, &pin(), &document("#k7")).is_ok());
    assert_eq!(
        Signed::open(&token, &did, &pin(), &document("#k8")).map(drop),
        Err(ListError::WrongRoot)
    );
}

#[test]
fn every_member_that_breaks_its_rule_refuses_the_list() {
    let issuer = list()["issuers"][0].clone();
    for (pointer, value) in [
        ("/v", json!(2)),
        ("/v", Value::Null),
        ("/authority", json!("did:web:other.example")),
        ("/sequence", json!(0)),
        ("/sequence", json!(1)),
        ("/sequence", json!("2")),
        ("/previous", Value::Null),
        ("/previous", json!("x")),
        ("/issued", json!("2026-06-01")),
        ("/issued", json!("2026-06-08T00:00:00Z")),
        ("/nextUpdate", json!("2026-06-08T00:00:01Z")),
        ("/nextUpdate", Value::Null),
        ("/issuers", Value::Null),
        ("/issuers", json!([issuer, issuer])),
        ("/issuers", json!([{"did": "did:web:a.example", "types": []}])),
        (
            "/issuers",
            json!([{"did": "did:web:a.example", "types": ["X"], "extra": 1}]),
        ),
        (
            "/issuers",
            json!([{"did": "did:web:a.example", "types": ["X"], "jkts": ["x"]}]),
        ),
        ("/revokedMembers", Value::Null),
        ("/revokedMembers", json!([1])),
        ("/revokedJkts", json!([{"jkt": sha256(b"key")}])),
        (
            "/revokedJkts",
            json!([{"jkt": "short", "notAfter": "2026-05-01T00:00:00Z"}]),
        ),
        ("/minimumProtocol", json!("2025")),
        ("/minimumProtocol", Value::Null),
        ("/rulebook", json!("x")),
        ("/surprise", json!(1)),
    ] {
        let refused = opened(&with(list(), pointer, value.clone()));
        assert!(
            matches!(refused, Err(ListError::Content(_))),
            "{pointer} {value}: {refused:?}"
        );
    }
    let first = with(with(list(), "/sequence", json!(1)), "/previous", Value::Null);
    assert!(opened(&first).is_ok());
}

#[test]
fn a_list_never_goes_back_and_never_forks() {
    let signed = opened(&list()).unwrap();
    let seen = |sequence: u64, digest: Digest| Some(Seen { sequence, digest });
    let follows = |seen: Option<Seen>| signed.follows(seen.as_ref());
    assert_eq!(follows(None), Ok(true));
    assert_eq!(follows(seen(1, sha256(b"first"))), Ok(true));
    assert_eq!(follows(seen(2, signed.digest)), Ok(false), "the same again");
    assert_eq!(follows(seen(1, sha256(b"another first"))), Err(ListError::Forked(2)));
    assert_eq!(follows(seen(2, sha256(b"another second"))), Err(ListError::Forked(2)));
    assert_eq!(
        follows(seen(3, signed.digest)),
        Err(ListError::RolledBack { seen: 3, found: 2 })
    );
    let later = opened(&with(list(), "/sequence", json!(9))).unwrap();
    assert_eq!(
        later.follows(seen(2, sha256(b"x")).as_ref()),
        Ok(true),
        "lists in between were missed"
    );
}

#[test]
fn a_list_counts_from_its_issue_until_its_next_update() {
    let list = opened(&list()).unwrap().list;
    assert_eq!(
        list.check_time(at("2026-05-31T23:58:59Z")),
        Err(ListError::Future(list.issued))
    );
    assert_eq!(list.check_time(at("2026-05-31T23:59:00Z")), Ok(()));
    assert_eq!(list.check_time(at("2026-06-07T23:59:59Z")), Ok(()));
    assert_eq!(
        list.check_time(at("2026-06-08T00:00:00Z")),
        Err(ListError::Expired(list.next_update))
    );
}

#[test]
fn issuers_and_keys_count_in_their_time() {
    let issuer = json!([{
        "did": "did:web:issuer.example", "types": ["X"], "validFrom": "2026-06-02T00:00:00Z", "validUntil": "2026-06-03T00:00:00Z",
    }]);
    let list = opened(&with(list(), "/issuers", issuer)).unwrap().list;
    for (time, found) in [
        ("2026-06-01T23:59:59Z", false),
        ("2026-06-02T00:00:00Z", true),
        ("2026-06-03T00:00:00Z", false),
    ] {
        assert_eq!(
            list.issuer("did:web:issuer.example", at(time)).is_some(),
            found,
            "{time}"
        );
    }
    assert!(
        list.issuer("did:web:issuer-example", at("2026-06-02T00:00:00Z"))
            .is_none()
    );
    assert!(list.is_revoked(&sha256(b"key"), at("2026-05-01T00:00:00Z")));
    assert!(!list.is_revoked(&sha256(b"key"), at("2026-04-30T23:59:59Z")));
    assert!(!list.is_revoked(&sha256(b"other"), at("2026-06-01T00:00:00Z")));
}

#[test]
fn a_newer_protocol_is_one_of_a_later_year_or_number() {
    let list = opened(&list()).unwrap().list;
    let needs = |minimum: &str, own: &str| {
        let minimum_protocol = minimum.to_owned();
        TrustList {
            minimum_protocol,
            ..list.clone()
        }
        .needs_newer_than(own)
    };
    assert!(!needs("2025-1", "2025-1") && !needs("2024-1", "2025-1"));
    assert!(needs("2025-2", "2025-1") && needs("2026-1", "2025-10") && needs("2025-10", "2025-9"));
}
