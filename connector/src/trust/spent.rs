//! Spent message ids: a signature is good for one use, across restarts (`jti`, DSP-JWS-1).

use crate::{
    jose::{self, Opened},
    store::{Batch, Store, StoreError, Table},
};
use policy::Timestamp;

/// Keyed by the time until which it must be remembered and then by a hash of sender and id, so that old ones are found in order.
const SPENT: Table = Table(3);

/// One message id, to be burnt after its signature was checked and in the same commit as its effect. A message without signature has
/// none.
#[derive(Clone, Debug)]
pub struct Spent(Option<Vec<u8>>);

impl Spent {
    pub(super) fn new(opened: &Opened) -> Self {
        let id = jose::sha256(format!("{}\0{}", opened.issuer(), opened.jti()).as_bytes());
        let mut key = opened.remember_until().seconds().max(0).to_be_bytes().to_vec();
        key.extend_from_slice(id.as_bytes());
        Self(Some(key))
    }

    #[cfg(test)]
    pub(crate) fn of(id: &[u8]) -> Self {
        Self(Some(id.to_vec()))
    }

    pub(super) fn nothing() -> Self {
        Self(None)
    }

    /// Adds the burning to a batch; the commit conflicts at the returned guard if the id was spent before.
    pub fn burn(&self, batch: &mut Batch) -> Option<usize> {
        batch.insert(SPENT, self.0.clone()?, []);
        batch.guards.len().checked_sub(1)
    }
}

/// Forgets ids whose signatures have expired; returns how many.
pub async fn sweep(store: &dyn Store, now: Timestamp) -> Result<usize, StoreError> {
    let mut swept = 0;
    let limit = now.seconds().max(0).to_be_bytes();
    loop {
        let rows = store.scan(SPENT, &[], None, 256).await?;
        let old: Vec<_> = rows
            .into_iter()
            .map(|row| row.key)
            .take_while(|key| key.as_slice() < limit.as_slice())
            .collect();
        if old.is_empty() {
            return Ok(swept);
        }
        swept += old.len();
        let mut batch = Batch::new();
        for key in old {
            batch.delete(SPENT, key);
        }
        store.commit(batch).await?;
    }
}
