//! Reads everything back from disk and computes it again: entries, tiles, checkpoints, cosignatures. Names the first thing that is wrong.

use super::{
    Log, SignedCheckpoint,
    log::{PAGE, number},
    note::NoteError,
    seal::{CHECKPOINTS, COSIGNATURES, cosigned_key, read_checkpoint, read_cosignature},
    tiles::{self, Edge, Tile, TileError},
};
use crate::{
    jose::Digest,
    store::{Pages, StoreError},
};
use serde::Serialize;

/// A log that was checked.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Verification {
    /// Number of entries.
    pub entries: u64,
    /// Number of tiles of the tree that were compared.
    pub tiles: u64,
    /// Number of signed checkpoints that were checked.
    pub checkpoints: u64,
    /// Number of witnesses' cosignatures that were checked.
    pub cosignatures: u64,
    /// Size that the newest checkpoint covers.
    pub sealed: u64,
    /// Root over all entries.
    pub root: String,
}

/// Why a log is not what was once written, or gives no proof.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no such entry.
    #[error("there is no entry {0}")]
    NoEntry(u64),
    /// No checkpoint covers the entry yet.
    #[error("entry {0} is not sealed by a checkpoint yet; a moment later it is")]
    NotSealed(u64),
    /// An entry number is missing or doubled.
    #[error("entry {0} is missing")]
    Gap(u64),
    /// Entries that a signed checkpoint covers are missing.
    #[error("a signed checkpoint covers {sealed} entries but only {found} are there")]
    Truncated {
        /// The checkpoint's size.
        sealed: u64,
        /// Entries found.
        found: u64,
    },
    /// The entries do not lead to the root that was signed.
    #[error("the first {0} entries do not have the root that was signed")]
    Rewritten(u64),
    /// A tile is not what the entries lead to.
    #[error("the tile {} of the tree is missing or not what the entries lead to", .0.path(tiles::WIDTH))]
    Tile(Tile),
    /// A checkpoint's signature does not verify, or none could be made.
    #[error("the checkpoint over {size} entries is not signed by this connector's log: {cause}")]
    Checkpoint {
        /// The checkpoint's size.
        size: u64,
        /// Why.
        cause: NoteError,
    },
    /// A witness's signature does not verify.
    #[error("a cosignature of the checkpoint over {size} entries does not hold: {cause}")]
    Cosignature {
        /// The checkpoint's size.
        size: u64,
        /// Why.
        cause: NoteError,
    },
    /// What says which checkpoint is the newest names an older one, or none.
    #[error("the checkpoint over {0} entries is newer than the one that is kept as the newest")]
    NotNewest(u64),
    /// A checkpoint that something refers to is not there.
    #[error("the checkpoint over {0} entries is missing")]
    Missing(u64),
    /// A checkpoint or a cosignature of it cannot be read.
    #[error("the checkpoint over {0} entries, or a cosignature of it, cannot be read")]
    Unreadable(u64),
}

impl From<TileError> for AuditError {
    fn from(error: TileError) -> Self {
        match error {
            TileError::Store(error) => error.into(),
            TileError::Damaged(tile) => Self::Tile(tile),
        }
    }
}

impl Log {
    /// Computes the whole tree again from the entries and compares it with every tile and with every checkpoint that is kept. That each
    /// checkpoint's root is that of the first entries of one and the same growing tree is their consistency.
    pub async fn verify(&self) -> Result<Verification, AuditError> {
        let (newest, found) = {
            let _still = self.edge.lock().await;
            (self.last_sealed().await?, self.count().await?)
        };
        // What is sealed from now on is left out: checkpoints beyond this one, and what they add to the tiles.
        let sealed = newest.as_ref().map_or(0, |newest| newest.checkpoint().size);
        let (mut edge, mut tiles, mut checkpoints) = (Edge::new(), 0, 0);
        let mut pages = Pages::new(&*self.store, CHECKPOINTS, [], PAGE);
        'older: while let Some(rows) = pages.next().await? {
            for row in rows {
                let size = number(&row.key)?;
                if size >= sealed {
                    break 'older;
                }
                tiles += self
                    .leads_to(&mut edge, &read_checkpoint(size, &row.item.value)?, found)
                    .await?;
                checkpoints += 1;
            }
        }
        if let Some(newest) = newest {
            tiles += self.leads_to(&mut edge, &newest, found).await?;
            checkpoints += 1;
        }
        for (tile, row) in edge.partial() {
            self.same(tile, row).await?;
            tiles += 1;
        }
        let cosignatures = self.verify_cosignatures().await?;
        let whole = self.rest(edge, found).await?;
        Ok(Verification {
            entries: whole.size(),
            tiles,
            checkpoints,
            cosignatures,
            sealed,
            root: whole.root().to_string(),
        })
    }

    /// Checks that the entries lead to a signed checkpoint. Returns how many tiles were compared on the way.
    async fn leads_to(&self, edge: &mut Edge, signed: &SignedCheckpoint, found: u64) -> Result<u64, AuditError> {
        self.check(signed)?;
        let size = signed.checkpoint().size;
        let tiles = self.grow(edge, size).await?;
        if edge.size() < size {
            return Err(AuditError::Truncated { sealed: size, found });
        }
        if signed.checkpoint().root != edge.root() {
            return Err(AuditError::Rewritten(size));
        }
        Ok(tiles)
    }

    /// Appends the entries up to `until`, and compares each tile that becomes full. Returns how many did.
    async fn grow(&self, edge: &mut Edge, until: u64) -> Result<u64, AuditError> {
        let (mut full, mut compared) = (Vec::new(), 0);
        while edge.size() < until {
            if self.append_page(edge, until, &mut full).await? == 0 {
                break;
            }
            for (tile, row) in full.drain(..) {
                self.same(tile, &row).await?;
                compared += 1;
            }
        }
        Ok(compared)
    }

    /// Compares a stored tile with what it should begin with.
    async fn same(&self, tile: Tile, row: &[Digest]) -> Result<(), AuditError> {
        match tiles::stored(&*self.store, tile).await? {
            Some(stored) if stored.starts_with(row) => Ok(()),
            _ => Err(AuditError::Tile(tile)),
        }
    }

    /// Appends what no checkpoint covers yet.
    async fn rest(&self, mut edge: Edge, found: u64) -> Result<Edge, AuditError> {
        let mut full = Vec::new();
        while self.append_page(&mut edge, u64::MAX, &mut full).await? > 0 {
            full.clear();
        }
        // Entries may have been added since they were counted; fewer cannot be.
        if edge.size() < found {
            return Err(AuditError::Gap(edge.size()));
        }
        Ok(edge)
    }

    async fn verify_cosignatures(&self) -> Result<u64, AuditError> {
        let (mut pages, mut checked) = (Pages::new(&*self.store, COSIGNATURES, [], PAGE), 0);
        while let Some(rows) = pages.next().await? {
            for row in rows {
                let key = row.key.first_chunk().copied().unwrap_or_default();
                let size = !u64::from_be_bytes(key);
                let (witness, signature) = read_cosignature(size, &row.item.value)?;
                let mut signed = self.signed(size).await?;
                signed.note_mut().add(signature);
                let named = row.key == [cosigned_key(size).as_slice(), witness.name().as_bytes()].concat();
                match witness.cosigned(signed.note()) {
                    Ok(_) if named => checked += 1,
                    Ok(_) => return Err(AuditError::Unreadable(size)),
                    Err(cause) => return Err(AuditError::Cosignature { size, cause }),
                }
            }
        }
        Ok(checked)
    }
}
