use super::*;
use crate::{
    audit::LogSigner,
    jose::{HmacKey, VerifyingKey, sha256, testing},
    net,
    store::{MemoryStore, Store},
    trust::{History, ResolverSettings},
};
use serde_json::{Value, json};

const AUTHORITY: &str = "did:web:lycee.example";
const MEMBER: &str = "did:web:edtech.example";

fn did(text: &str) -> ParticipantId {
    text.parse().unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn now() -> Timestamp {
    at("2026-06-02T00:00:00Z")
}

fn root() -> VerifyingKey {
    testing::rfc8037_public()
}

fn settings() -> Settings {
    Settings {
        authority: did(AUTHORITY),
        root: root().thumbprint(),
        // Refused by the guard before any connection.
        list: Url::parse("https://127.0.0.1/trust-list.jws").unwrap(),
        refresh: Duration::from_secs(300),
        credentials: Vec::new(),
        reach: Reach::default(),
    }
}

fn signed(sequence: u64, change: impl FnOnce(&mut Value)) -> Signed {
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

async fn loaded(store: &Arc<MemoryStore>, settings: Settings) -> Result<Memberships, StoreError> {
    let signer = LogSigner::of("https://ft.example", &HmacKey::new(&[4; 32])).unwrap();
    let store: Arc<dyn Store> = store.clone();
    let log = Arc::new(Log::new(store, signer));
    let client = Arc::new(Client::new(net::Settings::default()));
    let history = History::new(log.clone());
    let resolver = Arc::new(Resolver::new(client.clone(), ResolverSettings::default(), history));
    Memberships::load(settings, did("did:web:ft.example"), client, resolver, log).await
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
    assert_eq!(
        loaded(&store, own.clone())
            .await
            .unwrap()
            .present(&testing::consumer(), now()),
        Ok(None)
    );
    own.credentials = vec!["a.b.c".into()];
    let memberships = loaded(&store, own).await.unwrap();
    let shown = |signer: &Signer, now| memberships.present(signer, now).unwrap().unwrap();
    let first = shown(&testing::consumer(), now());
    assert_eq!(shown(&testing::consumer(), now().plus(Duration::from_secs(299))), first);
    assert_ne!(shown(&testing::consumer(), now().plus(Duration::from_secs(300))), first);
    assert_ne!(shown(&testing::provider(), now().plus(Duration::from_secs(300))), first);
}
