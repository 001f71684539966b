use super::*;
use crate::{
    audit::LogSigner,
    jose::{
        HmacKey, SigningKey, VerifyingKey,
        key::{External, ExternalError},
        sha256, testing,
    },
    net,
    store::{MemoryStore, Store},
    trust::{History, ResolverSettings},
};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};

const AUTHORITY: &str = "did:web:lycee.example";
const MEMBER: &str = "did:web:edtech.example";

fn did(text: &str) -> ParticipantId {
    text.parse().unwrap()
}

pub(super) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(super) fn now() -> Timestamp {
    at("2026-06-02T00:00:00Z")
}

pub(super) fn root() -> VerifyingKey {
    testing::rfc8037_public()
}

pub(super) fn settings() -> Settings {
    Settings {
        authority: did(AUTHORITY),
        root: root().thumbprint(),
        // Refused by the guard before any connection.
        list: Url::parse("https://127.0.0.1/trust-list.jws").unwrap(),
        refresh: Duration::from_secs(300),
        credentials: Vec::new(),
        attests: Attests::default(),
        reach: Reach::default(),
    }
}

pub(super) fn signed(sequence: u64, change: impl FnOnce(&mut Value)) -> Signed {
    let mut list = json!({
        "v": 1, "authority": AUTHORITY, "sequence": sequence, "issued": "2026-06-01T00:00:00Z", "nextUpdate": "2026-06-08T00:00:00Z",
        "previous": sha256(b"before"), "issuers": [{"did": "did:web:issuer.example", "types": [MEMBERSHIP, held::ROLE]}],
        "revokedMembers": [], "revokedJkts": [], "minimumProtocol": "2025-1",
    });
    change(&mut list);
    Signed::seal(serde_json::from_value(list).unwrap(), &testing::provider()).unwrap()
}

fn credential(kind: &str, role: &str, until: &str) -> Held {
    Held {
        issuer: "did:web:issuer.example".into(),
        jkt: sha256(b"issuer key"),
        types: [kind.to_owned()].into(),
        valid_from: None,
        valid_until: Some(at(until)),
        status: Vec::new(),
        claims: Claims::from([("role".to_owned(), [role.to_owned()].into())]),
    }
}

pub(super) async fn loaded(store: &Arc<MemoryStore>, settings: Settings) -> Result<Memberships, StoreError> {
    let signer = LogSigner::of("https://ft.example", &HmacKey::new(&[4; 32])).unwrap();
    let store: Arc<dyn Store> = store.clone();
    let log = Arc::new(Log::new(store, signer));
    let client = Arc::new(Client::new(net::Settings::default()));
    let history = History::new(log.clone());
    let resolver = Arc::new(Resolver::new(client.clone(), ResolverSettings::default(), history));
    Memberships::load(settings, did("did:web:ft.example"), client, resolver, log, now()).await
}

/// With this list, and one member who presented these credentials.
async fn with(list: Signed, credentials: &[Held]) -> Memberships {
    let memberships = loaded(&Arc::new(MemoryStore::new()), settings()).await.unwrap();
    let peer = Arc::new(memberships.stranger(&did(MEMBER)));
    let counting: Vec<&Held> = credentials.iter().collect();
    let member = Member::of(peer, credentials, &counting, now()).unwrap();
    memberships.state_mut().members.insert(did(MEMBER), Arc::new(member));
    memberships.state_mut().list = Some(Arc::new(list));
    memberships
}

#[tokio::test]
async fn without_a_list_nobody_is_a_member() {
    let memberships = loaded(&Arc::new(MemoryStore::new()), settings()).await.unwrap();
    assert!(matches!(
        memberships.admit(&did(MEMBER), now()).await,
        Err(NotAMember::NoList(_))
    ));
    let shown = memberships.overview(now());
    assert!(!shown.admits && shown.problem.is_some());
    assert!(memberships.claims(&did(MEMBER), now()).is_empty());
}

#[tokio::test]
async fn a_member_is_one_as_long_as_list_and_credential_count() {
    let member = credential(MEMBERSHIP, "A", "2026-06-05T00:00:00Z");
    let memberships = with(
        signed(2, |_| {}),
        &[member, credential(held::ROLE, "B", "2026-06-30T00:00:00Z")],
    )
    .await;
    let is = |time: &str| memberships.member(&did(MEMBER), at(time)).is_some();
    assert!(
        is("2026-06-04T23:59:59Z") && !is("2026-06-05T00:00:00Z"),
        "until its credential ends"
    );
    let roles = &memberships.claims(&did(MEMBER), now())["role"];
    assert_eq!(*roles, ["A".to_owned(), "B".to_owned()].into());
    assert!(
        memberships.admit(&did(MEMBER), now()).await.is_ok(),
        "nobody is asked within the refresh"
    );
    assert!(memberships.claims(&did("did:web:edtech-example"), now()).is_empty());

    let long = credential(MEMBERSHIP, "A", "2026-12-31T00:00:00Z");
    let memberships = with(signed(2, |_| {}), std::slice::from_ref(&long)).await;
    let is = |time: &str| memberships.member(&did(MEMBER), at(time)).is_some();
    assert!(
        is("2026-06-07T23:59:59Z") && !is("2026-06-08T00:00:00Z"),
        "until the list's next update"
    );

    let removed = with(
        signed(2, |list| list["revokedMembers"] = json!([MEMBER])),
        std::slice::from_ref(&long),
    )
    .await;
    assert!(removed.member(&did(MEMBER), now()).is_none());
    assert!(matches!(
        removed.admit(&did(MEMBER), now()).await,
        Err(NotAMember::Removed)
    ));
    let newer = with(signed(2, |list| list["minimumProtocol"] = json!("2031-1")), &[long]).await;
    assert!(newer.member(&did(MEMBER), now()).is_none() && !newer.overview(now()).admits);
}

#[tokio::test]
async fn a_role_from_an_issuer_of_diplomas_is_nobodys_role() {
    let member = credential(MEMBERSHIP, "school", "2026-12-31T00:00:00Z");
    let diploma = credential("Diploma", "authority", "2026-12-31T00:00:00Z");
    let memberships = with(signed(2, |_| {}), &[member, diploma]).await;
    let claims = memberships.claims(&did(MEMBER), now());
    assert_eq!(claims["role"], ["school".to_owned()].into());
    assert_eq!(claims["credential.Diploma.role"], ["authority".to_owned()].into());
    let attested = memberships.attested(&did(MEMBER), &claims);
    assert_eq!(attested[&policy::LeftOperand::Role], ["school".to_owned()].into());
}

#[tokio::test]
async fn a_refresh_judges_again_what_was_presented_before() {
    let both = [
        credential(MEMBERSHIP, "A", "2026-12-31T00:00:00Z"),
        credential(held::ROLE, "B", "2026-06-03T00:00:00Z"),
    ];
    let memberships = with(signed(2, |_| {}), &both).await;
    memberships.refresh(now()).await;
    assert_eq!(memberships.claims(&did(MEMBER), now())["role"].len(), 2);
    assert!(
        memberships.overview(now()).problem.is_some(),
        "the list cannot be fetched, and counts all the same"
    );
    let later = at("2026-06-04T00:00:00Z");
    memberships.refresh(later).await;
    assert_eq!(
        memberships.claims(&did(MEMBER), later)["role"],
        ["A".to_owned()].into(),
        "the role has ended"
    );
    let without = signed(3, |list| list["issuers"] = json!([]));
    memberships.state_mut().list = Some(Arc::new(without));
    memberships.refresh(later).await;
    assert!(memberships.state().members.is_empty());
    assert!(matches!(
        memberships.admit(&did(MEMBER), later).await,
        Err(NotAMember::Refused(_))
    ));
    let entries = memberships.log.entries(0, 100).await.unwrap();
    assert!(
        entries
            .iter()
            .any(|(_, entry)| entry["kind"] == "member-removed" && entry["member"] == MEMBER)
    );
}

#[tokio::test]
async fn the_newest_list_survives_a_restart_under_its_own_root_only() {
    let store = Arc::new(MemoryStore::new());
    let memberships = loaded(&store, settings()).await.unwrap();
    let list = signed(7, |_| {});
    memberships.keep(&list, &root(), now()).await.unwrap();
    let again = loaded(&store, settings()).await.unwrap();
    assert_eq!(again.overview(now()).sequence, Some(7));
    assert_eq!(again.state().seen, Some(list.seen()));
    assert!(again.overview(now()).admits);
    let other = Settings {
        root: sha256(b"another root"),
        ..settings()
    };
    assert_eq!(loaded(&store, other).await.unwrap().overview(now()).sequence, None);
    let mut batch = crate::store::Batch::new();
    batch.put(
        crate::store::Table(25),
        AUTHORITY,
        signed(8, |_| {}).token.replace('A', "B"),
    );
    store.commit(batch).await.unwrap();
    assert!(
        matches!(loaded(&store, settings()).await, Err(StoreError::Corrupt(_))),
        "a typed error, no panic"
    );
}

#[tokio::test]
async fn a_key_that_was_revoked_stays_so_when_the_list_has_expired() {
    let jkt = sha256(b"stolen");
    let revoked = json!([{"jkt": jkt, "notAfter": "2026-06-02T00:00:00Z"}]);
    let memberships = with(
        signed(2, |list| list["revokedJkts"] = revoked),
        &[credential(MEMBERSHIP, "A", "2026-12-31T00:00:00Z")],
    )
    .await;
    assert!(!memberships.is_revoked(&jkt, at("2026-06-01T23:59:59Z")));
    assert!(memberships.is_revoked(&jkt, now()) && memberships.is_revoked(&jkt, at("2027-01-01T00:00:00Z")));
    assert!(!memberships.is_revoked(&sha256(b"other"), now()));
}

#[tokio::test]
async fn our_own_presentation_is_signed_once_in_a_while_and_anew_with_another_key() {
    let mut own = settings();
    let store = Arc::new(MemoryStore::new());
    let without = loaded(&store, own.clone()).await.unwrap();
    assert_eq!(without.present(&testing::consumer(), now()).await, Ok(None));
    own.credentials = vec!["a.b.c".into()];
    let memberships = loaded(&store, own).await.unwrap();
    let shown = async |signer: &Signer, now| memberships.present(signer, now).await.unwrap().unwrap();
    let first = shown(&testing::consumer(), now()).await;
    let later = |seconds| now().plus(Duration::from_secs(seconds));
    assert_eq!(shown(&testing::consumer(), later(299)).await, first);
    assert_ne!(shown(&testing::consumer(), later(300)).await, first);
    assert_ne!(shown(&testing::provider(), later(300)).await, first);
}

#[tokio::test]
async fn a_signer_that_fails_is_not_asked_again_at_once() {
    struct Failing(Arc<AtomicUsize>);
    impl External for Failing {
        fn sign(&self, _: &[u8]) -> Result<[u8; 64], ExternalError> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Err(ExternalError::TimedOut)
        }
    }
    let own = Settings {
        credentials: vec!["a.b.c".into()],
        ..settings()
    };
    let memberships = loaded(&Arc::new(MemoryStore::new()), own).await.unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let key = SigningKey::external(testing::rfc8037_public(), Failing(asked.clone()));
    let signer = Signer::new("did:web:ft.example#hsm", key).unwrap();
    for _ in 0..10 {
        assert!(matches!(
            memberships.present(&signer, now()).await,
            Err(JoseError::SignerFailed(_))
        ));
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    assert!(
        memberships.present(&testing::consumer(), now()).await.is_ok(),
        "another key may work"
    );
}

#[tokio::test]
async fn strangers_who_take_all_lookups_shut_no_member_out() {
    let memberships = with(
        signed(2, |_| {}),
        &[credential(MEMBERSHIP, "A", "2026-12-31T00:00:00Z")],
    )
    .await;
    let mut taken = Vec::new();
    loop {
        let stranger = did(&format!("did:web:s{}.example", taken.len()));
        let turn = memberships.lookups.enter(&stranger).await.unwrap();
        match memberships.lookups.begin(turn, now()) {
            Ok(permit) => taken.push(permit),
            Err(_) => break,
        }
    }
    let due = now().plus(Duration::from_secs(300));
    assert!(
        memberships.at_hand(&did(MEMBER), due).unwrap().is_none(),
        "it is time to ask it again"
    );
    assert!(memberships.admit(&did(MEMBER), due).await.is_ok());
    let stranger = did("did:web:nobody.example");
    assert!(matches!(memberships.admit(&stranger, due).await, Err(NotAMember::Busy)));
}

#[tokio::test]
async fn a_status_list_that_is_not_to_be_had_says_nothing_for_good() {
    let mut member = credential(MEMBERSHIP, "A", "2026-12-31T00:00:00Z");
    let list = Url::parse("https://127.0.0.1/status/1.jwt").unwrap();
    let entry = json!({"credentialStatus": StatusEntry::write(&list, 7)});
    member.status = StatusEntry::all(entry.as_object().unwrap()).unwrap();
    let ended = credential(held::ROLE, "B", "2026-06-01T00:00:00Z");
    let memberships = with(signed(2, |_| {}), &[ended, member]).await;
    memberships.refresh(now()).await;
    let why = memberships.admit(&did(MEMBER), now()).await.unwrap_err();
    assert!(!why.is_final() && why.to_string().contains("status list"), "{why}");
}

#[tokio::test]
async fn who_was_expelled_meanwhile_is_not_brought_back_by_an_older_judgement() {
    let memberships = with(
        signed(2, |_| {}),
        &[credential(MEMBERSHIP, "A", "2026-12-31T00:00:00Z")],
    )
    .await;
    let known = memberships.member(&did(MEMBER), now()).unwrap();
    let again = || Ok(Member::clone(&known));
    memberships.expel(&did(MEMBER), &NotAMember::Removed, now()).await;
    assert_eq!(memberships.replace(&known, again()), None);
    assert!(memberships.member(&did(MEMBER), now()).is_none());
    // Nor is who has shown something newer expelled for what it showed before.
    memberships.know(Member::clone(&known));
    assert_eq!(memberships.replace(&known, Err(NotAMember::Removed)), None);
    assert!(memberships.member(&did(MEMBER), now()).is_some());
}

#[tokio::test]
async fn why_somebody_is_out_is_known_until_it_is_in_again() {
    let memberships = with(
        signed(2, |_| {}),
        &[credential(MEMBERSHIP, "A", "2026-12-31T00:00:00Z")],
    )
    .await;
    let standing = |seconds| memberships.standing(&did(MEMBER), now().plus(Duration::from_secs(seconds)));
    let known = memberships.member(&did(MEMBER), now()).unwrap();
    assert_eq!(
        (standing(0), standing(3_600)),
        (Ok(()), Ok(())),
        "also when it is time to ask it again"
    );
    let why = NotAMember::Refused("its credential was revoked".into());
    memberships.expel(&did(MEMBER), &why, now()).await;
    // Longer than a refusal is remembered.
    assert_eq!((standing(0), standing(3_600)), (Err(why.clone()), Err(why)));
    memberships.know(Member::clone(&known));
    assert_eq!(standing(0), Ok(()));
    let stranger = did("did:web:nobody.example");
    assert_eq!(
        memberships.standing(&stranger, now()),
        Ok(()),
        "who is not known may be one"
    );
    memberships.note_out(&stranger, &NotAMember::Unreachable(String::new()));
    assert_eq!(
        memberships.standing(&stranger, now()),
        Ok(()),
        "what may pass is not remembered"
    );
}
