//! What was erased because of which message of a holder, transfer by transfer, until the holder is told. Apart from the transfers' records: those
//! hold totals, and no number of withdrawals makes them too large to be stored.

use crate::{
    consent::exchange::ErasedOf,
    dsp::{MessageId, Pid},
    jose,
    process::{decode, encode},
    store::{Batch, Pages, Store, StoreError, Table},
};

/// What was erased, by the hash of the holder's message and the hash of our id of the transfer.
const ERASED: Table = Table(74);
/// How many rows are read at a time.
const PAGE: usize = 256;

fn of_notice(notice: &MessageId) -> Vec<u8> {
    jose::sha256(notice.as_str().as_bytes()).as_bytes().to_vec()
}

fn key(notice: &MessageId, transfer: &Pid) -> Vec<u8> {
    let transfer = jose::sha256(transfer.as_str().as_bytes());
    [of_notice(notice).as_slice(), transfer.as_bytes()].concat()
}

/// What is known, once so many more records of a transfer are erased: what an attempt before has erased counts as well.
pub(super) async fn more(
    store: &dyn Store,
    (notice, transfer): (&MessageId, &Pid),
    theirs: &Pid,
    records: u64,
) -> Result<(Vec<u8>, Vec<u8>), StoreError> {
    let key = key(notice, transfer);
    let before: Option<ErasedOf> = match store.get(ERASED, &key).await? {
        Some(item) => Some(decode(&item.value)?),
        None => None,
    };
    let known = ErasedOf {
        transfer: theirs.clone(),
        records: before.map_or(0, |before| before.records) + records,
    };
    Ok((key, encode(&known)?))
}

/// Adds what [`more`] made to the commit of the erasure.
pub(super) fn note((key, value): &(Vec<u8>, Vec<u8>), batch: &mut Batch) {
    batch.put(ERASED, key.as_slice(), value.as_slice());
}

/// What was erased because of a message, and the batch that forgets it: for the commit that tells the holder.
pub(super) async fn of(store: &dyn Store, notice: &MessageId) -> Result<(Vec<ErasedOf>, Batch), StoreError> {
    let (mut found, mut batch) = (Vec::new(), Batch::new());
    let mut pages = Pages::new(store, ERASED, of_notice(notice), PAGE);
    while let Some(rows) = pages.next().await? {
        for row in rows {
            found.push(decode(&row.item.value)?);
            batch.delete(ERASED, row.key);
        }
    }
    Ok((found, batch))
}
