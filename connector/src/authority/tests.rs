use super::*;
use crate::jose::{Credential, CredentialKey};
use crate::trust::membership::{
    held::Held,
    status::{Bits, MIN_BITS},
};
use std::{fs, os::unix::fs::PermissionsExt};

const SUBJECT: &str = "did:web:lycee.example";

fn now() -> Timestamp {
    "2026-06-01T00:00:00.500Z".parse().unwrap()
}

fn made(dir: &Path) -> Authority {
    Authority::init(dir, "did:web:a.example:authority".parse().unwrap(), None, now()).unwrap()
}

fn wanted(subject: &str) -> Wanted {
    Wanted {
        subject: subject.parse().unwrap(),
        r#type: MEMBERSHIP,
        roles: ["DataProvider".to_owned()].into(),
        claims: BTreeMap::from([
            ("legalName".to_owned(), vec!["Lycée Curie".to_owned()]),
            (
                "purposesAllowed".to_owned(),
                vec!["orientation".to_owned(), "insertion".to_owned()],
            ),
        ]),
        valid: Duration::from_secs(86_400),
    }
}

fn public(dir: &Path, name: &str) -> String {
    fs::read_to_string(dir.join(PUBLIC).join(name)).unwrap()
}

fn document(dir: &Path) -> did::Document {
    let value = serde_json::from_str(&public(dir, "did.json")).unwrap();
    did::Document::read(&"did:web:a.example:authority".parse().unwrap(), &value).unwrap()
}

fn verified(dir: &Path, token: &str) -> Credential {
    let kid = credential::kid(token).unwrap();
    let document = document(dir);
    let key: &CredentialKey = document.key_for(&kid, did::Use::Assertion).unwrap();
    credential::verify(token, Form::Credential, key, now()).unwrap()
}

fn published_list(dir: &Path, authority: &Authority) -> Signed {
    let root = authority.root().unwrap();
    Signed::open(
        &public(dir, LIST_FILE),
        &authority.register().did,
        &root,
        &document(dir),
    )
    .unwrap()
    .0
}

fn bits(dir: &Path) -> Vec<usize> {
    let credential = verified(dir, &public(dir, "status/1.jwt"));
    let encoded = credential.claims()["credentialSubject"]["encodedList"]
        .as_str()
        .unwrap();
    let bits = Bits::decode(encoded).unwrap();
    (0..bits.len()).filter(|index| bits.get(*index).unwrap()).collect()
}

#[test]
fn what_is_made_can_be_read_by_everybody_and_its_keys_by_nobody_else() {
    let dir = tempfile::tempdir().unwrap();
    let authority = made(dir.path());
    for (name, mode) in [
        (ROOT_KEY, 0o600),
        (ISSUER_KEY, 0o600),
        (REGISTER, 0o600),
        ("public/did.json", 0o644),
        ("public/trust-list.jws", 0o644),
        ("public/status/1.jwt", 0o644),
    ] {
        let found = fs::metadata(dir.path().join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!(found & !mode, 0, "{name} has mode {found:o}");
    }
    let signed = published_list(dir.path(), &authority);
    assert_eq!((signed.list.sequence, signed.list.previous), (1, None));
    assert_eq!(bits(dir.path()), [0; 0]);
    // The root key is found by its pin and is good for nothing else.
    let document = document(dir.path());
    let root = "did:web:a.example:authority#root";
    assert!(document.method(root).is_some() && document.key_for(root, did::Use::Assertion).is_none());
}

#[test]
fn a_credential_says_what_was_asked_and_where_its_status_is() {
    let dir = tempfile::tempdir().unwrap();
    let mut authority = made(dir.path());
    let (issued, token) = authority.issue(&wanted(SUBJECT), now()).unwrap();
    let credential = verified(dir.path(), &token);
    assert_eq!(
        (credential.id(), credential.subject_id()),
        (Some(issued.id.as_str()), Some(SUBJECT))
    );
    let jkt = authority.issuer().unwrap().key().verifying_key().thumbprint();
    let held = Held::read(&credential, jkt, SUBJECT).unwrap();
    assert!(held.is(MEMBERSHIP));
    assert_eq!(held.claims["purposesAllowed"].len(), 2);
    assert_eq!(held.claims["role"], ["DataProvider".to_owned()].into());
    assert_eq!(held.status[0].list.as_str(), "https://a.example/authority/status/1.jwt");
    let list = published_list(dir.path(), &authority).list;
    assert_eq!(held.judge(&list, now(), |_| Ok(false)), Ok(()));
}

#[test]
fn no_bit_is_ever_used_twice_across_restarts_and_lists() {
    let dir = tempfile::tempdir().unwrap();
    let mut seen = BTreeSet::new();
    drop(made(dir.path()));
    for _ in 0..3 {
        let mut authority = Authority::open(dir.path()).unwrap();
        for _ in 0..2 {
            assert!(seen.insert(authority.issue(&wanted(SUBJECT), now()).unwrap().0.index));
        }
    }
    let mut authority = Authority::open(dir.path()).unwrap();
    authority.register_mut().next_index = MIN_BITS;
    let (_, token) = authority.issue(&wanted(SUBJECT), now()).unwrap();
    let status = verified(dir.path(), &token).claims()["credentialStatus"].clone();
    assert_eq!(
        status["statusListCredential"],
        "https://a.example/authority/status/2.jwt"
    );
    assert_eq!(status["statusListIndex"], "0");
    verified(dir.path(), &public(dir.path(), "status/2.jwt"));
}

#[test]
fn revoking_one_credential_sets_its_bit_and_revoking_a_subject_removes_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut authority = made(dir.path());
    let (first, _) = authority.issue(&wanted(SUBJECT), now()).unwrap();
    authority.issue(&wanted("did:web:edtech.example"), now()).unwrap();
    authority.issue(&wanted(SUBJECT), now()).unwrap();
    assert_eq!(authority.revoke(&first.id, Some("lost"), now()).unwrap(), 1);
    assert_eq!(bits(dir.path()), [0]);
    assert_eq!(
        published_list(dir.path(), &authority).list.sequence,
        1,
        "the list need not change"
    );
    assert_eq!(authority.revoke(&first.id, None, now()).unwrap(), 0, "once is enough");
    assert_eq!(
        authority.register().credentials[0]
            .revoked
            .as_ref()
            .unwrap()
            .reason
            .as_deref(),
        Some("lost")
    );

    assert_eq!(authority.revoke(SUBJECT, None, now()).unwrap(), 1);
    assert_eq!(bits(dir.path()), [0, 2]);
    let signed = published_list(dir.path(), &authority);
    assert!(signed.list.revoked_members.contains(&SUBJECT.parse().unwrap()));
    assert_eq!(signed.list.sequence, 2);
    assert!(matches!(
        authority.issue(&wanted(SUBJECT), now()),
        Err(AuthorityError::Invalid(_))
    ));
    assert!(matches!(
        authority.revoke("did:web:nobody.example", None, now()),
        Err(AuthorityError::Unknown(_))
    ));
}

#[test]
fn a_removal_happens_whole_or_not_at_all_and_is_published_when_it_is_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let mut authority = made(dir.path());
    authority.issue(&wanted(SUBJECT), now()).unwrap();
    drop(authority);
    let (here, away) = (dir.path().join(ROOT_KEY), dir.path().join("away.pem"));
    let before = fs::read(dir.path().join(REGISTER)).unwrap();
    fs::rename(&here, &away).unwrap();
    let mut authority = Authority::open(dir.path()).unwrap();
    assert!(matches!(
        authority.revoke(SUBJECT, None, now()),
        Err(AuthorityError::Missing(_))
    ));
    drop(authority);
    assert_eq!(fs::read(dir.path().join(REGISTER)).unwrap(), before);
    assert_eq!(bits(dir.path()), [0; 0]);

    fs::rename(&away, &here).unwrap();
    let mut authority = Authority::open(dir.path()).unwrap();
    authority.revoke(SUBJECT, None, now()).unwrap();
    // As if the power had gone before the list was there: whoever repeats it gets what it asks for.
    fs::write(dir.path().join(PUBLIC).join(LIST_FILE), "gone").unwrap();
    assert_eq!(authority.revoke(SUBJECT, None, now()).unwrap(), 0);
    let list = published_list(dir.path(), &authority).list;
    assert!(list.revoked_members.contains(&SUBJECT.parse().unwrap()));
}

#[test]
fn who_was_removed_leaves_the_list_when_nothing_that_it_holds_could_count() {
    let dir = tempfile::tempdir().unwrap();
    let mut authority = made(dir.path());
    let member: ParticipantId = SUBJECT.parse().unwrap();
    authority.issue(&wanted(SUBJECT), now()).unwrap();
    authority.revoke(SUBJECT, None, now()).unwrap();
    let named = |authority: &mut Authority, days: u64| {
        let later = now().plus(Duration::from_secs(days * 86_400));
        let list = authority.publish_list(MAX_VALIDITY, later).unwrap().list;
        list.revoked_members.contains(&member)
    };
    // The credential counts for a day, and clocks and lists of before get a week.
    assert!(named(&mut authority, 7) && !named(&mut authority, 9));
    let asked = authority.issue(&wanted(SUBJECT), now());
    assert!(
        matches!(asked, Err(AuthorityError::Invalid(_))),
        "it is removed all the same"
    );
    let another = Issuer {
        did: "did:web:academie.example".parse().unwrap(),
        types: [MEMBERSHIP.to_owned()].into(),
        valid_from: None,
        valid_until: None,
        jkts: BTreeSet::new(),
    };
    authority.register_mut().issuers.push(another);
    assert!(named(&mut authority, 9), "another issuer may have issued something");
}

#[test]
fn what_is_published_is_read_while_a_command_holds_the_folder_and_without_the_right_to_write() {
    let dir = tempfile::tempdir().unwrap();
    let held = made(dir.path());
    let root = Url::parse("https://a.example").unwrap();
    fs::remove_file(dir.path().join(".lock")).unwrap();
    assert_eq!(published(dir.path(), &root).unwrap().len(), 3);
    assert!(!dir.path().join(".lock").exists());
    drop(held);
}

#[test]
fn every_list_names_the_one_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut authority = made(dir.path());
    let mut before = published_list(dir.path(), &authority);
    for _ in 0..3 {
        drop(authority);
        authority = Authority::open(dir.path()).unwrap();
        let next = authority.publish_list(MAX_VALIDITY, now()).unwrap();
        assert_eq!(next.follows(Some(&before.seen())), Ok(true));
        assert_eq!(published_list(dir.path(), &authority), next);
        before = next;
    }
    let too_long = authority.publish_list(MAX_VALIDITY + Duration::from_secs(1), now());
    assert!(matches!(too_long, Err(AuthorityError::List(_))));
    assert_eq!(published_list(dir.path(), &authority), before, "nothing was published");
}

#[test]
fn nothing_is_made_where_something_is_and_nothing_is_issued_without_keys() {
    let dir = tempfile::tempdir().unwrap();
    drop(made(dir.path()));
    let again = Authority::init(dir.path(), "did:web:a.example".parse().unwrap(), None, now());
    assert!(matches!(again, Err(AuthorityError::Occupied(_))));
    let mut authority = Authority::open(dir.path()).unwrap();
    fs::rename(dir.path().join(ROOT_KEY), dir.path().join("away.pem")).unwrap();
    assert!(
        authority.issue(&wanted(SUBJECT), now()).is_ok(),
        "the root key may be elsewhere"
    );
    let before = public(dir.path(), LIST_FILE);
    assert!(matches!(
        authority.publish_list(MAX_VALIDITY, now()),
        Err(AuthorityError::Missing(_))
    ));
    assert_eq!(public(dir.path(), LIST_FILE), before);
    let empty = tempfile::tempdir().unwrap();
    assert!(matches!(Authority::open(empty.path()), Err(AuthorityError::Missing(_))));
    fs::write(dir.path().join(REGISTER), "{}").unwrap();
    drop(authority);
    assert!(matches!(Authority::open(dir.path()), Err(AuthorityError::Register(_))));
}

#[test]
fn what_a_daemon_publishes_is_below_its_own_address() {
    let dir = tempfile::tempdir().unwrap();
    drop(made(dir.path()));
    let root = Url::parse("https://a.example").unwrap();
    let files = published(dir.path(), &root).unwrap();
    let paths: Vec<&str> = files.keys().map(String::as_str).collect();
    assert_eq!(
        paths,
        ["/authority/did.json", "/authority/status", "/authority/trust-list.jws"]
    );
    let elsewhere = Url::parse("https://b.example").unwrap();
    assert!(matches!(
        published(dir.path(), &elsewhere),
        Err(AuthorityError::Invalid(_))
    ));
}

#[test]
fn a_claim_needs_a_name_that_policies_can_ask_for() {
    let dir = tempfile::tempdir().unwrap();
    let mut authority = made(dir.path());
    for name in ["id", "", "1a", "a b", "a.b", "é"] {
        let mut asked = wanted(SUBJECT);
        asked.claims.insert(name.to_owned(), vec!["x".to_owned()]);
        assert!(
            matches!(authority.issue(&asked, now()), Err(AuthorityError::Invalid(_))),
            "{name:?}"
        );
    }
    let mut role = wanted(SUBJECT);
    role.r#type = ROLE;
    assert!(
        matches!(authority.issue(&role, now()), Err(AuthorityError::Invalid(why)) if why.contains("legalName")),
        "nobody would read it"
    );
    assert_eq!(authority.register().next_index, 0, "no bit was taken");
    role.claims.remove("legalName");
    assert!(authority.issue(&role, now()).is_ok());
}
