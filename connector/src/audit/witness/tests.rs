use super::*;
use crate::{
    audit::{note::Note, tiles::Edge},
    jose::SigningKey,
    store::MemoryStore,
};

fn signer(name: &str, seed: u8) -> LogSigner {
    LogSigner::new(name, SigningKey::from_seed(&[seed; 32]).unwrap()).unwrap()
}

fn leaves(size: u64, salt: u8) -> Vec<Digest> {
    (0..size)
        .map(|n| merkle::leaf_hash(&[&[salt], n.to_be_bytes().as_slice()].concat()))
        .collect()
}

/// The checkpoint of a log with so many entries; another `salt` gives another history.
fn signed(log: &LogSigner, size: u64, salt: u8) -> SignedCheckpoint {
    let (mut edge, mut full) = (Edge::new(), Vec::new());
    for leaf in leaves(size, salt) {
        edge.append(leaf, &mut full);
    }
    SignedCheckpoint::sign(log, size, edge.root()).unwrap()
}

fn submission(log: &LogSigner, old: u64, size: u64, salt: u8) -> Submission {
    let proof = merkle::consistency_proof(&leaves(size, salt), old).unwrap_or_default();
    Submission {
        old,
        proof,
        checkpoint: signed(log, size, salt),
    }
}

struct Rig {
    witness: Witness,
    me: LogSigner,
    log: LogSigner,
    keys: Vec<(String, LogKey)>,
}

impl Rig {
    fn new() -> Self {
        let (me, log) = (signer("w.example/log", 1), signer("a.example/log", 2));
        let keys = vec![("did:web:a.example".to_owned(), log.key().clone())];
        Self {
            witness: Witness::new(Arc::new(MemoryStore::new()), me.clone()),
            me,
            log,
            keys,
        }
    }

    async fn add(&self, submission: &Submission) -> Result<Signature, Refusal> {
        self.witness
            .add(submission, &self.keys, Timestamp::from_seconds(1_700_000_000))
            .await
    }
}

#[tokio::test]
async fn a_log_that_only_grows_is_cosigned_each_time() {
    let rig = Rig::new();
    for (old, size) in [(0, 3), (3, 3), (3, 4), (4, 9), (9, 600)] {
        let submission = submission(&rig.log, old, size, 0);
        let cosignature = rig.add(&submission).await.unwrap();
        let mut note = submission.checkpoint.note().clone();
        note.add(cosignature);
        assert_eq!(
            rig.me.key().cosigned(&note),
            Ok(Timestamp::from_seconds(1_700_000_000)),
            "{old}..{size}"
        );
        assert_eq!(rig.log.key().verify(&note), Ok(()));
    }
}

#[tokio::test]
async fn whatever_does_not_continue_what_was_cosigned_is_refused_and_changes_nothing() {
    let rig = Rig::new();
    rig.add(&submission(&rig.log, 0, 6, 0)).await.unwrap();
    let good = submission(&rig.log, 6, 13, 0);
    let mut cut = good.clone();
    cut.proof.pop();
    let mut swapped = good.clone();
    swapped.proof.reverse();
    let mut longer = good.clone();
    longer.proof.push(Digest::EMPTY);
    let mut other_root = submission(&rig.log, 6, 6, 1);
    other_root.proof.clear();
    for (what, bad, refusal) in [
        ("an older size", submission(&rig.log, 4, 8, 0), Refusal::OtherSize(6)),
        ("no size", submission(&rig.log, 0, 13, 0), Refusal::OtherSize(6)),
        (
            "a size never seen",
            submission(&rig.log, 9, 13, 0),
            Refusal::OtherSize(6),
        ),
        ("a smaller log", submission(&rig.log, 3, 5, 0), Refusal::OtherSize(6)),
        (
            "an old size greater than the new one",
            submission(&rig.log, 6, 5, 0),
            Refusal::Malformed("the old size is greater than the new one"),
        ),
        ("another history of the same size", other_root, Refusal::Forked(6)),
        (
            "another history that is longer",
            submission(&rig.log, 6, 13, 1),
            Refusal::Inconsistent,
        ),
        ("a proof that is too short", cut, Refusal::Inconsistent),
        ("a proof in the wrong order", swapped, Refusal::Inconsistent),
        ("a proof that is too long", longer, Refusal::Inconsistent),
    ] {
        assert_eq!(rig.add(&bad).await, Err(refusal), "{what}");
    }
    assert!(rig.add(&good).await.is_ok());
}

#[tokio::test]
async fn the_first_checkpoint_needs_no_proof_and_allows_none() {
    let rig = Rig::new();
    let mut with = submission(&rig.log, 0, 8, 0);
    with.proof.push(Digest::EMPTY);
    assert_eq!(rig.add(&with).await, Err(Refusal::Inconsistent));
    let odd = Submission {
        old: 0,
        proof: Vec::new(),
        checkpoint: SignedCheckpoint::sign(&rig.log, 0, merkle::leaf_hash(b"x")).unwrap(),
    };
    assert_eq!(
        rig.add(&odd).await,
        Err(Refusal::Forked(0)),
        "the empty log has one root"
    );
    assert!(rig.add(&submission(&rig.log, 0, 0, 0)).await.is_ok());
    assert!(rig.add(&submission(&rig.log, 0, 8, 0)).await.is_ok());
}

#[tokio::test]
async fn unknown_origins_and_keys_are_refused() {
    let mut rig = Rig::new();
    let stranger = signer("a.example/log", 9);
    assert_eq!(rig.add(&submission(&stranger, 0, 8, 0)).await, Err(Refusal::NotSigned));
    // Beside the right key's signature a stranger's does no harm.
    let mut both = submission(&rig.log, 0, 8, 0);
    let extra = stranger.sign(both.checkpoint.note().text().to_owned()).unwrap();
    both.checkpoint.note_mut().add(extra.signatures()[0].clone());
    assert!(rig.add(&both).await.is_ok());
    rig.keys.clear();
    assert_eq!(
        rig.add(&submission(&rig.log, 8, 9, 0)).await,
        Err(Refusal::UnknownOrigin)
    );
}

#[tokio::test]
async fn who_claims_the_origin_of_another_has_a_history_of_his_own() {
    let mut rig = Rig::new();
    rig.add(&submission(&rig.log, 0, 8, 0)).await.unwrap();
    let thief = signer("a.example/log", 9);
    rig.keys
        .insert(0, ("did:web:thief.example".into(), thief.key().clone()));
    assert!(rig.add(&submission(&thief, 0, 20, 7)).await.is_ok());
    assert!(
        rig.add(&submission(&rig.log, 8, 9, 0)).await.is_ok(),
        "the owner goes on where he was"
    );
}

#[tokio::test]
async fn another_peer_that_publishes_the_same_key_begins_no_second_history() {
    let mut rig = Rig::new();
    rig.add(&submission(&rig.log, 0, 8, 0)).await.unwrap();
    let (owner, accomplice) = (
        rig.keys[0].clone(),
        ("did:web:b.example".to_owned(), rig.log.key().clone()),
    );
    for keys in [
        vec![owner.clone(), accomplice.clone()],
        vec![accomplice.clone(), owner.clone()],
        vec![accomplice.clone()],
    ] {
        rig.keys = keys;
        let fork = rig.add(&submission(&rig.log, 0, 20, 7)).await;
        assert_eq!(fork, Err(Refusal::OtherSize(8)));
        let fork = rig.add(&submission(&rig.log, 8, 20, 7)).await;
        assert_eq!(fork, Err(Refusal::Inconsistent));
    }
    // The accomplice has cosigned checkpoints of a log of its own under this origin: the two do not become one.
    let own = signer("a.example/log", 9);
    rig.keys = vec![(accomplice.0.clone(), own.key().clone())];
    rig.add(&submission(&own, 0, 30, 7)).await.unwrap();
    rig.keys = vec![owner.clone(), accomplice];
    for old in [8, 30] {
        let fork = rig.add(&submission(&rig.log, old, 40, 7)).await;
        assert_eq!(fork, Err(Refusal::Contested));
    }
    rig.keys = vec![owner];
    assert!(rig.add(&submission(&rig.log, 8, 9, 0)).await.is_ok());
}

#[tokio::test]
async fn a_checkpoint_that_is_known_is_cosigned_again_without_a_commit() {
    let rig = Rig::new();
    rig.add(&submission(&rig.log, 0, 8, 0)).await.unwrap();
    let place = format!("did:web:a.example\0{}", rig.log.key().name());
    let version = async || {
        let item = rig.witness.store.get(WITNESSED, place.as_bytes()).await.unwrap();
        item.unwrap().version
    };
    let before = version().await;
    for _ in 0..3 {
        assert!(rig.add(&submission(&rig.log, 8, 8, 0)).await.is_ok());
    }
    assert_eq!(version().await, before);
}

#[tokio::test]
async fn a_new_key_of_the_same_owner_does_not_begin_a_new_history() {
    let mut rig = Rig::new();
    rig.add(&submission(&rig.log, 0, 8, 0)).await.unwrap();
    rig.log = signer("a.example/log", 5);
    rig.keys[0].1 = rig.log.key().clone();
    assert_eq!(
        rig.add(&submission(&rig.log, 0, 20, 7)).await,
        Err(Refusal::OtherSize(8))
    );
    assert_eq!(
        rig.add(&submission(&rig.log, 8, 20, 7)).await,
        Err(Refusal::Inconsistent)
    );
    assert!(rig.add(&submission(&rig.log, 8, 20, 0)).await.is_ok());
}

#[tokio::test]
async fn of_many_at_once_none_rolls_the_memory_back() {
    let rig = Arc::new(Rig::new());
    rig.add(&submission(&rig.log, 0, 8, 0)).await.unwrap();
    let tries: Vec<_> = (9..20)
        .map(|size| {
            let rig = rig.clone();
            tokio::spawn(async move { rig.add(&submission(&rig.log, 8, size, 0)).await })
        })
        .collect();
    let mut cosigned = 0;
    for one in tries {
        match one.await.unwrap() {
            Ok(_) => cosigned += 1,
            Err(refusal) => assert!(matches!(refusal, Refusal::OtherSize(9..20)), "{refusal}"),
        }
    }
    assert_eq!(cosigned, 1, "each starts from 8, so only one can be the next");
}

/// The example of tlog-witness.
#[test]
fn the_published_request_is_read_and_written_back() {
    let text = "old 20852014\n\
        PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n\
        jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=\n\
        5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=\n\
        /6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=\n\
        \n\
        example.com/behind-the-sofa\n\
        20852163\n\
        CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\
        \n\
        — example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n\
        — example.com/behind-the-sofa opLqBQsREYCgu6xQkYQwJr9fo45a62DN9EdmHXnZdXNqlcVGlCum2Wks+49/V6267UEjw6QUXTS5Rovnzv++qbSzm9Q=\n";
    let read = Submission::read(text).unwrap();
    assert_eq!(
        (read.old, read.proof.len(), read.checkpoint.checkpoint().size),
        (20_852_014, 4, 20_852_163)
    );
    assert_eq!(read.to_string(), text);
    assert_eq!(
        Note::read(text.split_once("\n\n").unwrap().1)
            .unwrap()
            .signatures()
            .len(),
        2
    );
}

#[test]
fn malformed_requests_are_refused() {
    let good = submission(&signer("a.example/log", 2), 3, 8, 0).to_string();
    assert!(Submission::read(&good).is_ok());
    let hash = good.lines().nth(1).unwrap();
    for (what, bad) in [
        ("nothing", String::new()),
        ("no size", good.replacen("old 3\n", "", 1)),
        ("another word", good.replacen("old 3", "size 3", 1)),
        ("a leading zero", good.replacen("old 3", "old 03", 1)),
        ("a negative size", good.replacen("old 3", "old -3", 1)),
        ("two spaces", good.replacen("old 3", "old  3", 1)),
        ("too many lines", good.replacen(hash, &vec![hash; 64].join("\n"), 1)),
        ("a short hash", good.replacen(hash, "AAAA", 1)),
        ("an unpadded hash", good.replacen(hash, hash.trim_end_matches('='), 1)),
        ("no empty line", good.replacen("\n\n", "\n", 1)),
        ("no signature", good.rsplit_once("\n\n").unwrap().0.to_owned()),
        ("no checkpoint", good.split_once("\n\n").unwrap().0.to_owned()),
        ("an end that is cut", good.trim_end().to_owned()),
    ] {
        assert!(matches!(Submission::read(&bad), Err(Refusal::Malformed(_))), "{what}");
    }
    assert!(Submission::read(&good.replacen(hash, &vec![hash; 60].join("\n"), 1)).is_ok());
}
