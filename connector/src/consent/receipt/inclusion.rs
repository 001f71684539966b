//! Whether the issuer's audit log holds a receipt: its entry carries the receipt's hash, and a proof shows that the log has the entry. Pure.

use super::digest;
use crate::{
    audit::{
        LogKey,
        proof::{self, ProofError},
    },
    dsp::json,
};
use serde::Serialize;
use serde_json::Value;

/// Why nothing is proven of any receipt.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InclusionError {
    /// The proof is wrong, or of other bytes or another log.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// No key of a log to check it with.
    #[error("no key of the issuer's log is known")]
    NoKey,
    /// What the log holds there is not JSON.
    #[error("the entry cannot be read: {0}")]
    Entry(String),
    /// It is about something else.
    #[error("the entry's object is the hash of none of the receipts")]
    Other,
}

/// A receipt that the log holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Included {
    /// Which of the receipts, from 0.
    pub receipt: usize,
    /// The entry's number.
    pub entry: u64,
    /// The log.
    pub log: String,
    /// How many entries the checkpoint in the proof covers.
    pub size: u64,
    /// When the entry was written, as it says.
    pub at: String,
}

/// Checks that the log with one of these keys holds this entry, and that it is about one of the receipts.
pub fn included<'a>(
    receipts: &[String],
    (text, entry): (&str, &[u8]),
    keys: impl Iterator<Item = &'a LogKey>,
) -> Result<Included, InclusionError> {
    let mut refused = InclusionError::NoKey;
    let mut verified = None;
    for key in keys {
        match proof::verify(text, entry, key) {
            Ok(good) => verified = Some(good),
            Err(error) => refused = error.into(),
        }
    }
    let verified = verified.ok_or(refused)?;
    let said = json::parse(entry).map_err(|error| InclusionError::Entry(error.to_string()))?;
    let member = |name: &str| said.get(name).and_then(Value::as_str);
    let object = member("object").ok_or(InclusionError::Other)?;
    let receipt = receipts.iter().position(|one| digest(one).to_string() == object);
    let checkpoint = verified.checkpoint().checkpoint();
    Ok(Included {
        receipt: receipt.ok_or(InclusionError::Other)?,
        entry: verified.index(),
        log: checkpoint.origin.clone(),
        size: checkpoint.size,
        at: member("ts").unwrap_or_default().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        audit::{Entry, Kind, Log, LogSigner},
        jose::SigningKey,
        store::{Batch, MemoryStore},
    };
    use policy::Timestamp;
    use std::sync::Arc;

    fn signer(seed: u8) -> LogSigner {
        LogSigner::new("a.example/log", SigningKey::from_seed(&[seed; 32]).unwrap()).unwrap()
    }

    #[tokio::test]
    async fn a_proof_counts_for_the_receipt_whose_hash_is_in_the_entry_and_for_no_other() {
        let log = Log::new(Arc::new(MemoryStore::default()), signer(1));
        let receipts = ["first", "second"].map(str::to_owned);
        for text in ["first", "second", "third"] {
            let entry = Entry::new(Kind::ConsentGiven).of("object", &digest(text));
            let done = log.commit(Batch::new(), entry, Vec::new(), Timestamp::from_seconds(7));
            done.await.unwrap();
        }
        log.seal().await.unwrap();
        let of = async |number| {
            let (proof, entry) = (log.proof(number).await.unwrap(), log.entry(number).await.unwrap());
            (proof.to_text(), entry.unwrap())
        };
        let (own, other) = (signer(1).key().clone(), signer(2).key().clone());
        let (proof, entry) = of(1).await;
        let found = included(&receipts, (&proof, &entry), [&other, &own].into_iter()).unwrap();
        assert_eq!((found.receipt, found.entry, found.size), (1, 1, 3));
        assert_eq!(
            (found.log.as_str(), found.at.as_str()),
            ("a.example/log", "1970-01-01T00:00:07Z")
        );

        let check = |proof: &str, entry: &[u8], key| included(&receipts, (proof, entry), std::iter::once(key));
        let (third, unrelated) = of(2).await;
        assert_eq!(check(&third, &unrelated, &own), Err(InclusionError::Other));
        let wrong = |found: Result<Included, InclusionError>| {
            assert!(matches!(found, Err(InclusionError::Proof(_))), "{found:?}")
        };
        wrong(check(&third, &entry, &own));
        wrong(check(&proof, b"{}", &own));
        wrong(check(&proof, &entry, &other));
        let none = included(&receipts, (&proof, &entry), std::iter::empty());
        assert_eq!(none, Err(InclusionError::NoKey));
    }
}
