//! Sealing: the tiles of what is new and one signed checkpoint over everything, and what is read from them: checkpoints, proofs, tiles.

use super::{
    AuditError, Log,
    checkpoint::SignedCheckpoint,
    log::number,
    note::{LogKey, Signature},
    proof::Proof,
    tiles::{self, Edge, Reader, Row, TILES, Tile, WIDTH},
};
use crate::{
    jose::Digest,
    store::{Batch, StoreError, Table},
};

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
    /// memory stays flat; a crash in between leaves tiles that the next seal writes again, the same.
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
                put(&mut batch, full.drain(..));
                self.store.commit(batch).await?;
            }
        }
        let size = edge.size();
        if size > sealed {
            let signed = SignedCheckpoint::sign(&self.signer, size, edge.root())
                .map_err(|cause| AuditError::Checkpoint { size, cause })?;
            let mut batch = Batch::new();
            put(&mut batch, full.into_iter());
            put(&mut batch, edge.partial().map(|(tile, row)| (tile, row.to_vec())));
            batch.put(CHECKPOINTS, size.to_be_bytes(), signed.note().to_string());
            batch.put(NEWEST, [], size.to_be_bytes());
            self.store.commit(batch).await?;
            self.sealed.send_replace(size);
        }
        *kept = Some(edge);
        Ok(size)
    }

    /// Appends the hashes of up to a page of entries that the edge has not yet, none beyond `until`; tiles that become full go to `full`.
    /// Returns how many there were.
    pub(super) async fn append_page(
        &self,
        edge: &mut Edge,
        until: u64,
        full: &mut Vec<Row>,
    ) -> Result<usize, AuditError> {
        let leaves = self.leaves(edge.size(), until).await?;
        let appended = leaves.len();
        for leaf in leaves {
            edge.append(leaf, full);
        }
        Ok(appended)
    }

    /// The edge of the tree that was sealed last, if it has the root that was signed.
    async fn last_edge(&self) -> Result<Edge, AuditError> {
        let size = self.sealed_size().await?;
        if size == 0 {
            return Ok(Edge::new());
        }
        let signed = self.signed(size).await?;
        let edge = Edge::load(&*self.store, size).await?;
        if signed.checkpoint().root == edge.root() {
            Ok(edge)
        } else {
            Err(AuditError::Rewritten(size))
        }
    }

    /// The size of the newest checkpoint; 0 when there is none.
    pub async fn sealed_size(&self) -> Result<u64, StoreError> {
        match self.store.get(NEWEST, &[]).await? {
            Some(newest) => number(&newest.value),
            None => Ok(0),
        }
    }

    /// The checkpoint of this size as it was signed, without cosignatures.
    pub async fn signed(&self, size: u64) -> Result<SignedCheckpoint, AuditError> {
        let item = self.store.get(CHECKPOINTS, &size.to_be_bytes()).await?;
        let item = item.ok_or(AuditError::Missing(size))?;
        read_checkpoint(size, &item.value)
    }

    /// The newest checkpoint with its cosignatures, if anything was ever sealed.
    pub async fn checkpoint(&self) -> Result<Option<SignedCheckpoint>, AuditError> {
        match self.sealed_size().await? {
            0 => Ok(None),
            size => self.cosigned(size).await.map(Some),
        }
    }

    /// The checkpoint of this size with its cosignatures.
    async fn cosigned(&self, size: u64) -> Result<SignedCheckpoint, AuditError> {
        let mut checkpoint = self.signed(size).await?;
        for (_, signature) in self.cosignatures(size).await? {
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

    /// Keeps a witness's cosignature of the checkpoint of this size, after having checked it.
    pub async fn add_cosignature(&self, size: u64, witness: &LogKey, signature: Signature) -> Result<(), AuditError> {
        let mut checkpoint = self.signed(size).await?;
        checkpoint.note_mut().add(signature.clone());
        witness
            .cosigned(checkpoint.note())
            .map_err(|cause| AuditError::Cosignature { size, cause })?;
        let key = [cosigned_key(size).as_slice(), witness.name().as_bytes()].concat();
        let mut batch = Batch::new();
        batch.put(COSIGNATURES, key, format!("{}\n{signature}", witness.witness()));
        self.store.commit(batch).await?;
        Ok(())
    }

    /// Proves that entry `index` is in the log, against the newest checkpoint that a witness cosigned or, where none of those covers the
    /// entry, the newest one.
    pub async fn proof(&self, index: u64) -> Result<Proof, AuditError> {
        let size = match self.newest_cosigned().await? {
            Some(size) if size > index => size,
            _ => self.sealed_size().await?,
        };
        self.proof_at(index, size).await
    }

    /// The same against the checkpoint of this size, so that several entries can be proven to be under one root.
    pub async fn proof_at(&self, index: u64, size: u64) -> Result<Proof, AuditError> {
        let path = Reader::new(&*self.store, size).inclusion(index).await?;
        let path = match path {
            Some(path) => path,
            None if index < self.count().await? => return Err(AuditError::NotSealed(index)),
            None => return Err(AuditError::NoEntry(index)),
        };
        Ok(Proof::new(index, path, self.cosigned(size).await?))
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

fn put(batch: &mut Batch, rows: impl Iterator<Item = Row>) {
    for (tile, hashes) in rows {
        batch.put(TILES, tile.key(), tiles::bytes(&hashes));
    }
}

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
