//! A stream that is asked for, and what stops its transfer before it has begun.

mod totals;
mod uses;

use super::*;
use crate::{
    audit::LogSigner,
    catalog::NewDataset,
    consent::{
        Pseudonyms,
        exchange::{Disclosures, Notices, Retractions},
    },
    contract::{self, Contracts, StoredAgreement},
    jose::{HmacKey, testing},
    net::{self, Client, Reach},
    store::{Batch, HeldStore, Store, Table},
    trust::{History, Identity, KeyState, Keyring, OwnKey, Peer, Pins, Resolver, ResolverSettings, Signatures, did},
};
use serde_json::json;
use std::path::Path;
use tokio_util::sync::CancellationToken;

const ME: &str = "did:web:lycee.example";
const PEER: &str = "did:web:ft.example";
const AGREEMENT: &str = "urn:uuid:agreement";

fn now() -> Timestamp {
    Timestamp::from_seconds(1_767_225_600)
}

/// A provider with a started pull of its one peer.
struct World {
    transfers: Arc<Transfers>,
    store: Arc<HeldStore>,
    pid: Pid,
    token: String,
    folder: tempfile::TempDir,
}

fn trust(log: &Arc<Log>, pins: Pins) -> Arc<Trust> {
    let me: ParticipantId = ME.parse().unwrap();
    let key = OwnKey::signing(&format!("{ME}#k7"), KeyState::Active, testing::rfc8037_private()).unwrap();
    let peer = Peer {
        did: PEER.parse().unwrap(),
        name: None,
        identity: Identity::DspJws,
        signatures: Signatures::Required,
        address: None,
        reach: Reach::default(),
    };
    let client = Arc::new(Client::new(net::Settings::default()));
    Arc::new(Trust::new(
        did::Own::empty(me.clone(), "https://lycee.example"),
        crate::trust::Keys::new(Keyring::new(&me, vec![key]).unwrap(), None),
        pins,
        vec![peer],
        None,
        Arc::new(Resolver::new(
            client,
            ResolverSettings::default(),
            History::new(log.clone()),
        )),
    ))
}

fn policy() -> serde_json::Value {
    json!({"@id": "urn:offer:records", "@type": "Offer", "permission": [{"action": "use", "constraint": [
        {"leftOperand": "odrl:purpose", "operator": "eq", "rightOperand": "https://w3id.org/dases/ns/purpose/orientation"},
        {"leftOperand": "dases:consent", "operator": "eq", "rightOperand": "given"},
    ]}]})
}

fn agreed() -> serde_json::Value {
    let mut agreement = policy();
    for (name, value) in [
        ("@id", AGREEMENT),
        ("@type", "Agreement"),
        ("assigner", ME),
        ("assignee", PEER),
        ("target", "records"),
        ("timestamp", "2026-01-01T00:00:00Z"),
    ] {
        agreement[name] = value.into();
    }
    agreement
}

async fn services(store: Arc<HeldStore>, folder: &Path) -> Arc<Transfers> {
    let secret = HmacKey::new(&[4; 32]);
    let log = Arc::new(Log::new(
        store,
        LogSigner::of("https://lycee.example", &secret).unwrap(),
    ));
    let trust = trust(&log, Pins::load(log.clone()).await.unwrap());
    let (queue, events) = (Arc::<Queue>::default(), Arc::new(Events::new(0)));
    let catalog = Arc::new(Catalog::new(log.clone(), trust.clone(), Vec::new()));
    let base: Url = "https://lycee.example/dsp".parse().unwrap();
    let decisions = Decisions::default();
    let contracts = Contracts::load(contract::Parts {
        log: log.clone(),
        queue: queue.clone(),
        events: events.clone(),
        catalog: catalog.clone(),
        trust: trust.clone(),
        base: base.clone(),
        decisions,
        most_open: 10,
    });
    let privacy = crate::consent::Privacy::of(trust.me(), "https://lycee.example");
    let notices = Notices::load(
        log.clone(),
        trust.clone(),
        secret.clone(),
        queue.clone(),
        privacy.deletion,
    );
    let notices = notices.await.unwrap();
    let retractions = Retractions::load(log.clone(), trust.clone(), notices.post().clone());
    let disclosures = Disclosures::load(log.clone(), trust.me().clone(), notices.post().clone());
    let consents = Consents::load(
        log.clone(),
        trust.clone(),
        secret.clone(),
        Pseudonyms::new(secret.clone()),
        privacy,
    );
    let parts = Parts {
        log,
        queue,
        events,
        catalog,
        agreements: contracts.await.unwrap().agreements().clone(),
        consents: Arc::new(consents.await.unwrap()),
        deliveries: notices.deliveries().clone(),
        retractions: Arc::new(retractions.await.unwrap()),
        disclosures: Arc::new(disclosures.await.unwrap()),
        trust,
        keys: Keys {
            tokens: TokenKey::new(secret.clone()),
            cursors: Arc::new(CursorKey::new(&[7; 32]).unwrap()),
            releases: secret.clone(),
        },
        base,
        root: "https://lycee.example/".parse().unwrap(),
        token_lifetime: Duration::from_secs(3600),
        stream_bytes_per_second: 0,
        received: folder.join("received"),
        released: folder.join("released"),
        decisions,
        policy_events: Vec::new(),
        most_open: 10,
        clock: now,
    };
    Arc::new(Transfers::load(parts).await.unwrap())
}

impl World {
    async fn start() -> Self {
        Self::under(agreed()).await
    }

    async fn under(agreed: serde_json::Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("records.ndjson");
        std::fs::write(&file, "{\"sub\":\"l1\",\"skills\":[1]}\n").unwrap();
        let store = Arc::new(HeldStore::default());
        let transfers = services(store.clone(), folder.path()).await;
        let new: NewDataset = serde_json::from_value(json!({"id": "records", "source": {"type": "file", "path": file},
            "subject": "/sub", "categories": {"skills": ["/skills"]}, "offer": policy()}))
        .unwrap();
        transfers.parts.catalog.add(new, now()).await.unwrap();
        let agreement: StoredAgreement = serde_json::from_value(json!({"id": AGREEMENT, "dataset": "records",
            "provider": ME, "consumer": PEER, "role": "provider", "negotiation": "urn:uuid:negotiation",
            "agreement": agreed, "document": "{}", "keys": [], "signed": now()}))
        .unwrap();
        let mut batch = Batch::new();
        batch.put(Table(13), AGREEMENT, serde_json::to_vec(&agreement).unwrap());
        store.commit(batch).await.unwrap();
        let pid: Pid = "urn:uuid:transfer".parse().unwrap();
        let base = "https://ft.example/dsp".parse().unwrap();
        let mut core = Core::new(pid.clone(), PEER.parse().unwrap(), Role::Provider, base, now());
        core.peer_pid = Some("urn:uuid:theirs".parse().unwrap());
        core.position.state = Some(State::Started);
        let mut record = TransferRecord::new(core, &agreement, crate::dsp::FORMAT_HTTP_PULL, false);
        let address = transfers.data_address(&mut record, now());
        transfers.ledger.open(&record, Turn::default(), now()).await.unwrap();
        Self {
            transfers,
            store,
            pid,
            token: address.authorization.unwrap(),
            folder,
        }
    }

    /// A started push under the same agreement.
    async fn push(&self) -> Pid {
        let mut record = self.transfers.get(&self.pid).await.unwrap();
        record.core.pid = "urn:uuid:push".parse().unwrap();
        record.core.peer_pid = Some("urn:uuid:their-push".parse().unwrap());
        record.format = crate::dsp::FORMAT_HTTP_PUSH.to_owned();
        record.data_address = Some(DataAddress {
            endpoint_type: crate::dsp::message::ENDPOINT_TYPE_HTTP_DATA.to_owned(),
            endpoint: Some("https://ft.example/data".parse().unwrap()),
            authorization: None,
        });
        self.transfers
            .ledger
            .open(&record, Turn::default(), now())
            .await
            .unwrap();
        record.core.pid
    }

    /// Pushes, and does `meanwhile` until it is done.
    async fn pushing(&self, meanwhile: impl AsyncFnOnce(&Transfers)) {
        let shutdown = CancellationToken::new();
        let pusher = Arc::new(Pusher {
            transfers: self.transfers.clone(),
            client: Arc::new(Client::new(net::Settings::default())),
            retry: (Duration::from_millis(1), Duration::from_millis(10)),
            silence: Duration::from_secs(10),
            shutdown: shutdown.clone(),
        });
        let running = tokio::spawn(pusher.run());
        let done = meanwhile(&self.transfers);
        tokio::time::timeout(Duration::from_secs(60), done).await.unwrap();
        shutdown.cancel();
        running.await.unwrap().unwrap();
    }

    /// The refusals that stand in the log.
    async fn refusals(&self) -> Vec<serde_json::Value> {
        let entries = self.transfers.parts.log.entries(0, 1000).await.unwrap();
        let entries = entries.into_iter().map(|(_, entry)| entry);
        entries.filter(|entry| entry["kind"] == "transfer-refused").collect()
    }

    /// Asks for the stream, and does `meanwhile` while its opening is being recorded.
    async fn asked_while(&self, meanwhile: impl AsyncFnOnce(&Transfers)) -> Result<(), TransferError> {
        let (came, go) = self.store.hold_before();
        let (transfers, pid, token) = (self.transfers.clone(), self.pid.clone(), self.token.clone());
        let reset = CancellationToken::new();
        let mut asked = tokio::spawn(async move { transfers.stream(&pid, &token, None, reset, now()).await.map(drop) });
        tokio::select! {
            came = came => came.unwrap(),
            ended = &mut asked => panic!("it came to no commit: {ended:?}"),
        }
        meanwhile(&self.transfers).await;
        go.send(()).unwrap();
        asked.await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_does_not_outlive_what_stopped_its_transfer_while_it_was_opened() {
    let world = World::start().await;
    world.asked_while(async |_| {}).await.unwrap();
    let why = || Explanation::new("test", "enough");

    let world = World::start().await;
    let suspended = world.asked_while(async |transfers| {
        transfers.suspend(&world.pid, why(), now()).await.unwrap();
    });
    assert!(matches!(suspended.await, Err(TransferError::NotStarted)));

    let world = World::start().await;
    let terminated = world.asked_while(async |transfers| {
        transfers.terminate(&world.pid, why(), now()).await.unwrap();
    });
    assert!(matches!(terminated.await, Err(TransferError::NotStarted)));
    world.transfers.stop_streams().await;
    let record = world.transfers.get(&world.pid).await.unwrap();
    assert_eq!(record.release, None, "nothing left");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_was_opened_with_a_token_of_before_is_not_that_of_the_transfer_started_anew() {
    let world = World::start().await;
    let anew = world.asked_while(async |transfers| {
        let change = transfers
            .ledger
            .change(&world.pid, now(), |record: &mut TransferRecord, _| {
                transfers.data_address(record, now());
                Ok::<(), TransferError>(())
            });
        change.await.unwrap();
    });
    assert!(matches!(anew.await, Err(TransferError::NotStarted)));
}

/// A transfer that we received from the peer, with these lines.
async fn received(transfers: &Transfers, uuid: u32, created: Timestamp, bytes: u64) -> Pid {
    let agreement: StoredAgreement = serde_json::from_value(json!({"id": AGREEMENT, "dataset": "records",
        "provider": PEER, "consumer": ME, "role": "consumer", "negotiation": "urn:uuid:negotiation",
        "agreement": agreed(), "document": "{}", "keys": [], "signed": now()}))
    .unwrap();
    let pid: Pid = format!("urn:uuid:00000000-0000-4000-8000-{uuid:012}").parse().unwrap();
    let base = "https://ft.example/dsp".parse().unwrap();
    let mut core = Core::new(pid.clone(), PEER.parse().unwrap(), Role::Consumer, base, created);
    core.peer_pid = Some(format!("urn:uuid:theirs-{uuid}").parse().unwrap());
    let mut record = TransferRecord::new(core, &agreement, crate::dsp::FORMAT_HTTP_PULL, false);
    record.progress.bytes = bytes;
    transfers.ledger.open(&record, Turn::default(), now()).await.unwrap();
    pid
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_is_erased_from_whatever_the_number_of_withdrawals_and_others_are_not_read() {
    const LEARNERS: u64 = 700;
    let (folder, store) = (tempfile::tempdir().unwrap(), Arc::new(HeldStore::default()));
    let names = Pseudonyms::new(HmacKey::new(b"theirs")).towards(&ME.parse().unwrap());
    let (mut lines, mut batch) = (Vec::new(), Batch::new());
    for number in 1..=LEARNERS {
        let pseudonym = names.name(&number.to_string());
        crate::plane::lines::begin_record(&mut lines, number);
        lines.extend_from_slice(json!({ "sub": pseudonym }).to_string().as_bytes());
        crate::plane::lines::end_record(&mut lines);
        lines.push(b'\n');
        let notice = format!("urn:uuid:notice-{number}");
        let name = crate::jose::sha256(format!("{PEER}\0{pseudonym}").as_bytes());
        let told = json!({"notice": notice, "holder": PEER, "pseudonym": pseudonym, "name": name, "reason": "withdrawn",
            "at": now(), "received": now(), "agreements": [], "streams": [], "eraseBy": now(), "erased": null, "reopened": null});
        let key = [
            name.as_bytes().as_slice(),
            crate::jose::sha256(notice.as_bytes()).as_bytes(),
        ]
        .concat();
        batch.put(Table(63), key, told.to_string());
    }
    store.commit(batch).await.unwrap();
    let transfers = services(store.clone(), folder.path()).await;
    let hour = Duration::from_secs(3600);
    let pid = received(&transfers, 1, now().minus(hour), lines.len() as u64).await;
    std::fs::create_dir(folder.path().join("received")).unwrap();
    let path = file(&transfers.parts.received, &pid);
    std::fs::write(&path, &lines).unwrap();
    // What was asked for long after the withdrawals cannot hold anything of them; reading it would fail.
    let later = received(&transfers, 2, now().plus(hour), 10).await;
    std::fs::create_dir(file(&transfers.parts.received, &later)).unwrap();

    let retractions = transfers.parts.retractions.clone();
    let shutdown = CancellationToken::new();
    let eraser = Arc::new(Eraser {
        transfers: transfers.clone(),
        retractions: retractions.clone(),
        after: Duration::ZERO,
        shutdown: shutdown.clone(),
    });
    let running = tokio::spawn(eraser.run());
    let done = async {
        while !retractions.pending().is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), done).await.unwrap();
    shutdown.cancel();
    running.await.unwrap().unwrap();
    let record = transfers.get(&pid).await.unwrap();
    assert_eq!((record.erased.len(), record.erased[0].records), (1, LEARNERS));
    assert!(retractions.list().iter().all(|told| told.erased == Some(1)));
    assert!(!std::fs::read_to_string(&path).unwrap().contains("\"p:"));
    let left = store.scan(Table(74), &[], None, 10).await.unwrap();
    assert_eq!(left, [], "what was told is forgotten");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_was_opened_too_often_is_refused_before_its_source_is_read() {
    let world = World::start().await;
    while world.transfers.openings.take(world.pid.clone(), now()) {}
    std::fs::remove_file(world.folder.path().join("records.ndjson")).unwrap();
    let reset = CancellationToken::new();
    let asked = world.transfers.stream(&world.pid, &world.token, None, reset, now());
    assert!(matches!(asked.await.map(drop), Err(TransferError::TooOften)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_was_made_while_minors_were_permitted_is_not_that_of_adults_alone() {
    let world = World::start().await;
    let dataset = world.transfers.parts.catalog.get(&"records".parse().unwrap()).await;
    let dataset = dataset.unwrap().unwrap();
    let mut agreement = agreed();
    agreement["permission"][0]["constraint"] = json!([{"or": [
        {"leftOperand": "dases:minor", "operator": "eq", "rightOperand": "false"},
        {"leftOperand": "dateTime", "operator": "lteq", "rightOperand": "2026-06-20T00:00:00Z"},
    ]}]);
    let policy = policy::Policy::parse(&agreement).unwrap();
    let terms = |now: &str| {
        let facts = policy::Facts::new(now.parse().unwrap(), PEER, policy::Action::Use).with_minors_told();
        streams::terms(&dataset, &policy.plan(&facts).unwrap())
    };
    assert_ne!(terms("2026-06-19T00:00:00Z"), terms("2026-06-21T00:00:00Z"));
    assert_eq!(terms("2026-06-18T00:00:00Z"), terms("2026-06-19T00:00:00Z"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_request_is_good_for_no_second_one_and_cannot_fill_the_log() {
    let world = World::start().await;
    let agreement: AgreementId = AGREEMENT.parse().unwrap();
    let refuse = async |spent: &crate::trust::Spent| {
        let asked = refused::Asking {
            peer: &PEER.parse().unwrap(),
            agreement: &agreement,
            process: None,
            spent: Some(spent),
        };
        world
            .transfers
            .refused(asked, TransferError::UsedUp("all"), now())
            .await
    };
    let replayed = |error: TransferError| matches!(error, TransferError::Process(ProcessError::Replayed));
    let first = crate::trust::Spent::of(b"first");
    assert!(!replayed(refuse(&first).await));
    assert!(replayed(refuse(&first).await));
    assert_eq!(world.refusals().await.len(), 1);
    for number in 0..100_u32 {
        let next = crate::trust::Spent::of(&number.to_be_bytes());
        assert!(!replayed(refuse(&next).await));
        assert!(
            replayed(refuse(&next).await),
            "what is not recorded is spent all the same"
        );
    }
    assert!(world.refusals().await.len() < 40);
}

/// A release of a transfer as it is stored, and its lines.
async fn released(world: &World, number: u32) -> std::path::PathBuf {
    let digest = crate::jose::sha256(b"");
    let release = json!({"release": format!("urn:uuid:{number}"), "digest": digest, "terms": digest});
    let mut batch = Batch::new();
    batch.put(Table(73), world.pid.as_str(), release.to_string());
    world.store.commit(batch).await.unwrap();
    lines(world, number)
}

fn lines(world: &World, number: u32) -> std::path::PathBuf {
    let folder = world.folder.path().join("released");
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(format!("{number}.ndjson"));
    std::fs::write(&path, "").unwrap();
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_goes_with_its_transfer() {
    let world = World::start().await;
    let path = released(&world, 1).await;
    let why = Explanation::new("test", "enough");
    world.transfers.terminate(&world.pid, why, now()).await.unwrap();
    let entry = crate::process::outbox::next(&*world.store, &world.pid).await.unwrap();
    let outcome = Outcome::Acknowledged {
        peer_pid: None,
        body: serde_json::Value::Null,
        reply: None,
    };
    world.transfers.settle(&entry.unwrap(), &outcome, now()).await.unwrap();
    assert!(!path.exists());
    assert_eq!(world.store.scan(Table(73), &[], None, 10).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_that_no_running_transfer_needs_are_dropped_at_the_start() {
    let world = World::start().await;
    let (kept, orphan) = (released(&world, 1).await, lines(&world, 2));
    services(world.store.clone(), world.folder.path()).await;
    assert!(kept.exists() && !orphan.exists());
    let over = |record: &mut TransferRecord, _: &mut Turn| {
        record.core.position.state = Some(State::Terminated);
        Ok::<_, TransferError>(())
    };
    world.transfers.ledger.change(&world.pid, now(), over).await.unwrap();
    services(world.store.clone(), world.folder.path()).await;
    assert!(!kept.exists());
    assert_eq!(world.store.scan(Table(73), &[], None, 10).await.unwrap(), []);
}
