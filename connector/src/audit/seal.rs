//! Sealing: the tiles of what is new and one signed checkpoint over everything, and what is read from them: checkpoints, proofs, tiles.

use super::{
    AuditError, Log,
    checkpoint::{Checkpoint, SignedCheckpoint},
    log::number,
    note::{LogKey, Signature},
    proof::Proof,
    tiles::{self, Edge, PARTIAL, Reader, Row, Tile, WIDTH},
};
use crate::{
    jose::Digest,
    store::{Batch, StoreError, Table},
};
use std::collections::{BTreeMap, btree_map::Entry};

/// Signed checkpoints by tree size (big-endian).
pub(super) const CHECKPOINTS: Table = Table(2);
/// The size of the newest checkpoint, so that a start need not look for it.
pub(super) const NEWEST: Table = Table(14);
/// Cosignatures by the size of the checkpoint, the greatest first, and the witness's name. A value is the witness's verifier key and the
/// signature line.
pub(super) const COSIGNATURES: Table = Table(17);
/// Most full tiles in one commit: half a megabyte.
const STEP: usize = 64;

/// The key prefix of the cosignatures of one checkpoint.
pub(super) const fn cosigned_key(size: u64) -> [u8; 8] {
    (!size).to_be_bytes()
}

impl Log {
    /// Signs the root over everything logged so far, if anything is new; returns the size that is now sealed.
    ///
    /// The tiles go into the same commit as the checkpoint. Only when much is new do full tiles go ahead in commits of their own, so that
    /// memory stays flat; a crash in between leaves tiles that the next seal finds there.
    pub async fn seal(&self) -> Result<u64, AuditError> {
        let mut kept = self.edge.lock().await;
        let mut edge = match kept.take() {
            Some(edge) => edge,
            None => self.last_edge().await?,
        };
        let (sealed, mut full) = (edge.size(), Vec::new());
        while self.append_page(&mut edge, u64::MAX, &mut full).await? > 0 {
            if full.len() >= STEP {
                let mut batch = Batch::new();
                self.put_full(&mut batch, full.drain(..)).await?;
                self.store.commit(batch).await?;
            }
        }
        let size = edge.size();
        if size > sealed {
            let signed = SignedCheckpoint::sign(&self.signer, size, edge.root())
                .map_err(|cause| AuditError::Checkpoint { size, cause })?;
            let mut batch = Batch::new();
            self.put_full(&mut batch, full.into_iter()).await?;
            for (tile, row) in edge.partial() {
                batch.put(PARTIAL, tile.key(), tiles::bytes(row));
            }
            batch.put(CHECKPOINTS, size.to_be_bytes(), signed.note().to_string());
            batch.put(NEWEST, [], size.to_be_bytes());
            // One that nobody cosigned proves nothing that the new one does not: the tiles prove every older tree.
            if self.cosignatures(sealed).await?.is_empty() {
                batch.delete(CHECKPOINTS, sealed.to_be_bytes());
            }
            self.store.commit(batch).await?;
            self.sealed.send_replace(size);
        }
        *kept = Some(edge);
        Ok(size)
    }

    /// Adds tiles that have become full to a batch, unless a seal that did not come to its end has left them.
    async fn put_full(&self, batch: &mut Batch, rows: impl Iterator<Item = Row> + Send) -> Result<(), AuditError> {
        let mut next = BTreeMap::new();
        for (tile, hashes) in rows {
            let next = match next.entry(tile.level) {
                Entry::Occupied(next) => next.into_mut(),
                Entry::Vacant(next) => next.insert(self.store.appended(tile.full()).await?),
            };
            if tile.index > *next {
                // Those before it are gone.
                return Err(AuditError::Tile(tile));
            }
            if tile.index == *next {
                batch.append(tile.full(), tiles::bytes(&hashes));
                batch.delete(PARTIAL, tile.key());
                *next += 1;
            }
        }
        Ok(())
    }

    /// Appends the hashes of up to a page of entries that the edge has not yet, none beyond `until`; tiles that become full go to `full`.
    /// Returns how many there were.
    pub(super) async fn append_page(
        &self,
        edge: &mut Edge,
        until: u64,
        full: &mut Vec<Row>,
    ) -> Result<usize, AuditError> {
        // The store answers at once, page after page: without this, a long log would keep a worker from all other work.
        tokio::task::yield_now().await;
        let leaves = self.leaves(edge.size(), until).await?;
        let appended = leaves.len();
        for leaf in leaves {
            edge.append(leaf, full);
        }
        Ok(appended)
    }

    /// The edge of the tree that was sealed last, if its root was signed: whoever can write to the store and has no key must not get a log
    /// of his own making signed.
    async fn last_edge(&self) -> Result<Edge, AuditError> {
        let Some(signed) = self.last_sealed().await? else {
            return Ok(Edge::new());
        };
        let size = signed.checkpoint().size;
        self.check(&signed)?;
        let edge = Edge::load(&*self.store, size).await?;
        if signed.checkpoint().root == edge.root() {
            Ok(edge)
        } else {
            Err(AuditError::Rewritten(size))
        }
    }

    /// The newest checkpoint, none when nothing was ever sealed. No other one may cover more.
    pub(super) async fn last_sealed(&self) -> Result<Option<SignedCheckpoint>, AuditError> {
        let size = self.sealed_size().await?;
        let after = size.to_be_bytes();
        let beyond = self.store.scan(CHECKPOINTS, &[], Some(&after), 1).await?;
        if let Some(row) = beyond.first() {
            return Err(AuditError::NotNewest(number(&row.key)?));
        }
        match size {
            0 => Ok(None),
            size => self.signed(size).await.map(Some),
        }
    }

    /// Checks that this log signed a checkpoint: with its key, whatever its address and so its name were then, or with one that it had
    /// before.
    pub(super) fn check(&self, signed: &SignedCheckpoint) -> Result<(), AuditError> {
        let Checkpoint { size, origin, .. } = signed.checkpoint();
        let check = |key: &LogKey| signed.verify(&key.named(origin)?);
        if self.past.iter().any(|key| check(key).is_ok()) {
            return Ok(());
        }
        check(self.signer.key()).map_err(|cause| AuditError::Checkpoint { size: *size, cause })
    }

    /// The size of the newest checkpoint; 0 when there is none.
    pub async fn sealed_size(&self) -> Result<u64, StoreError> {
        match self.store.get(NEWEST, &[]).await? {
            Some(newest) => number(&newest.value),
            None => Ok(0),
        }
    }

    /// The checkpoint of this size as it was signed, without cosignatures. Only the newest and those that were cosigned are kept.
    pub(super) async fn signed(&self, size: u64) -> Result<SignedCheckpoint, AuditError> {
        let item = self.store.get(CHECKPOINTS, &size.to_be_bytes()).await?;
        let item = item.ok_or(AuditError::Missing(size))?;
        read_checkpoint(size, &item.value)
    }

    /// The newest checkpoint as it was signed, without cosignatures, if anything was ever sealed.
    pub async fn newest(&self) -> Result<Option<SignedCheckpoint>, AuditError> {
        loop {
            let size = self.sealed_size().await?;
            if size == 0 {
                return Ok(None);
            }
            match self.signed(size).await {
                // It went when a newer one came.
                Err(AuditError::Missing(_)) if self.sealed_size().await? != size => {}
                found => return found.map(Some),
            }
        }
    }

    /// The newest checkpoint with its cosignatures, if anything was ever sealed.
    pub async fn checkpoint(&self) -> Result<Option<SignedCheckpoint>, AuditError> {
        match self.newest().await? {
            None => Ok(None),
            Some(newest) => self.cosigned(newest).await.map(Some),
        }
    }

    /// A checkpoint with its cosignatures.
    async fn cosigned(&self, mut checkpoint: SignedCheckpoint) -> Result<SignedCheckpoint, AuditError> {
        for (_, signature) in self.cosignatures(checkpoint.checkpoint().size).await? {
            checkpoint.note_mut().add(signature);
        }
        Ok(checkpoint)
    }

    /// The witnesses that cosigned the checkpoint of this size, with their signatures.
    pub async fn cosignatures(&self, size: u64) -> Result<Vec<(LogKey, Signature)>, AuditError> {
        let rows = self
            .store
            .scan(COSIGNATURES, &cosigned_key(size), None, MAX_WITNESSES)
            .await?;
        rows.iter().map(|row| read_cosignature(size, &row.item.value)).collect()
    }

    /// Keeps a witness's cosignature of a checkpoint of this log, after having checked it, and the checkpoint with it: a newer one may have
    /// taken its place while the witness was asked.
    pub async fn add_cosignature(
        &self,
        signed: &SignedCheckpoint,
        witness: &LogKey,
        signature: Signature,
    ) -> Result<(), AuditError> {
        self.check(signed)?;
        let size = signed.checkpoint().size;
        let mut note = signed.note().clone();
        note.add(signature.clone());
        witness
            .cosigned(&note)
            .map_err(|cause| AuditError::Cosignature { size, cause })?;
        // No seal meanwhile, which might be about to drop the checkpoint.
        let _still = self.edge.lock().await;
        let key = [cosigned_key(size).as_slice(), witness.name().as_bytes()].concat();
        let mut batch = Batch::new();
        batch.put(CHECKPOINTS, size.to_be_bytes(), signed.note().to_string());
        batch.put(COSIGNATURES, key, format!("{}\n{signature}", witness.witness()));
        self.store.commit(batch).await?;
        Ok(())
    }

    /// Proves that entry `index` is in the log, under the checkpoint that [covers](Self::covering) it.
    pub async fn proof(&self, index: u64) -> Result<Proof, AuditError> {
        let checkpoint = self.covering(index).await?;
        self.proof_under(index, &checkpoint).await
    }

    /// The newest checkpoint that a witness cosigned or, where none of those covers entry `index`, the newest one; with its cosignatures.
    pub async fn covering(&self, index: u64) -> Result<SignedCheckpoint, AuditError> {
        let checkpoint = match self.newest_cosigned().await? {
            Some(size) if size > index => Some(self.signed(size).await?),
            _ => self.newest().await?,
        };
        match checkpoint {
            Some(checkpoint) if checkpoint.checkpoint().size > index => self.cosigned(checkpoint).await,
            _ if index < self.count().await? => Err(AuditError::NotSealed(index)),
            _ => Err(AuditError::NoEntry(index)),
        }
    }

    /// Proves it under one checkpoint, so that several entries can be proven under one root.
    pub async fn proof_under(&self, index: u64, checkpoint: &SignedCheckpoint) -> Result<Proof, AuditError> {
        let mut reader = Reader::new(&*self.store, checkpoint.checkpoint().size);
        let path = reader.inclusion(index).await?.ok_or(AuditError::NotSealed(index))?;
        Ok(Proof::new(index, path, checkpoint.clone()))
    }

    async fn newest_cosigned(&self) -> Result<Option<u64>, StoreError> {
        let rows = self.store.scan(COSIGNATURES, &[], None, 1).await?;
        let first = rows.first().and_then(|row| row.key.first_chunk().copied());
        Ok(first.map(|key| !u64::from_be_bytes(key)))
    }

    /// Proof that the first `old` of the `size` entries that a checkpoint covers are those of the older tree.
    pub async fn consistency(&self, old: u64, size: u64) -> Result<Vec<Digest>, AuditError> {
        let proof = Reader::new(&*self.store, size).consistency(old).await?;
        proof.ok_or(AuditError::NoEntry(old))
    }

    /// The bytes of a tile with this many hashes, if a checkpoint covers them.
    pub async fn tile(&self, tile: Tile, width: u64) -> Result<Option<Vec<u8>>, AuditError> {
        let size = self.sealed_size().await?;
        if width == 0 || width > tile.width_in(size) {
            return Ok(None);
        }
        let mut reader = Reader::new(&*self.store, size);
        let row = reader.tile(tile).await?;
        let end = usize::try_from(width).unwrap_or(usize::MAX);
        Ok(row.get(..end).map(tiles::bytes))
    }

    /// The entries whose hashes are in the `index`-th tile of the leaves, as a bundle: each with its length before it in 16 bits. None
    /// when no checkpoint covers the first of them.
    pub async fn bundle(&self, index: u64) -> Result<Option<Vec<u8>>, AuditError> {
        let width = Tile { level: 0, index }.width_in(self.sealed_size().await?);
        let limit = usize::try_from(width).unwrap_or_default();
        if limit == 0 {
            return Ok(None);
        }
        let mut bundle = Vec::new();
        for (number, bytes) in self.raw_entries(index.saturating_mul(WIDTH), limit).await? {
            let length = u16::try_from(bytes.len()).map_err(|_| AuditError::Gap(number))?;
            bundle.extend_from_slice(&length.to_be_bytes());
            bundle.extend_from_slice(&bytes);
        }
        Ok(Some(bundle))
    }
}

/// Most witnesses whose cosignatures of one checkpoint are handed out.
const MAX_WITNESSES: usize = 64;

pub(super) fn read_checkpoint(size: u64, value: &[u8]) -> Result<SignedCheckpoint, AuditError> {
    let text = std::str::from_utf8(value).ok();
    text.and_then(|text| SignedCheckpoint::read(text).ok())
        .filter(|signed| signed.checkpoint().size == size)
        .ok_or(AuditError::Unreadable(size))
}

pub(super) fn read_cosignature(size: u64, value: &[u8]) -> Result<(LogKey, Signature), AuditError> {
    let parts = std::str::from_utf8(value).ok().and_then(|text| {
        let (key, line) = text.strip_suffix('\n')?.split_once('\n')?;
        Some((key.parse().ok()?, Signature::read(line).ok()?))
    });
    parts.ok_or(AuditError::Unreadable(size))
}

#[cfg(test)]
mod tests;
