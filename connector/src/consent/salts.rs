//! What names learners in the audit log: HMAC of the identifier under a random salt of the learner's own. The salt is kept under a keyed hash
//! of the identifier; once it is deleted, nobody who does not know it can link the name to the learner (trust digest 2.7, GDPR row).

use crate::{
    jose::{Digest, HmacKey, random},
    store::{Batch, Guard, Store, StoreError, Table, Version},
};
use std::collections::HashMap;

/// Salts by the keyed hash of the learner's identifier.
const SALTS: Table = Table(19);

/// A learner's salt.
pub(super) type Salt = [u8; 32];

/// The name of a learner in the audit log.
pub(super) fn name(salt: &Salt, subject: &str) -> Digest {
    HmacKey::new(salt).tag(subject.as_bytes())
}

/// The salts of all learners.
pub(super) struct Salts(HmacKey);

impl Salts {
    pub(super) fn new(key: HmacKey) -> Self {
        Self(key)
    }

    /// Where what belongs to a learner stands in a table, without naming them.
    pub(super) fn place(&self, subject: &str) -> Vec<u8> {
        self.0.tag(subject.as_bytes()).as_bytes().to_vec()
    }

    /// A learner's salt, with the version that it was read at.
    pub(super) async fn get(&self, store: &dyn Store, subject: &str) -> Result<Option<(Salt, Version)>, StoreError> {
        let Some(item) = store.get(SALTS, &self.place(subject)).await? else {
            return Ok(None);
        };
        let salt = item.value.try_into();
        let salt = salt.map_err(|_| StoreError::Corrupt("a learner's salt is not 32 bytes long".into()))?;
        Ok(Some((salt, item.version)))
    }

    /// Writes the salts of these learners again, or new ones, so that whoever deletes one meanwhile conflicts. Returns their names.
    pub(super) async fn renew<'a>(
        &self,
        store: &dyn Store,
        subjects: impl Iterator<Item = &'a str> + Send,
        batch: &mut Batch,
    ) -> Result<HashMap<&'a str, Digest>, StoreError> {
        let mut names = HashMap::new();
        for subject in subjects {
            if names.contains_key(subject) {
                continue;
            }
            let salt = match self.get(store, subject).await? {
                Some((salt, version)) => {
                    batch.replace(SALTS, self.place(subject), version, salt);
                    salt
                }
                None => {
                    let salt = random::bytes().map_err(|error| StoreError::Corrupt(format!("a salt: {error}")))?;
                    batch.insert(SALTS, self.place(subject), salt);
                    salt
                }
            };
            names.insert(subject, name(&salt, subject));
        }
        Ok(names)
    }

    /// Deletes the salt that was read at this version, or makes sure that there still is none.
    pub(super) fn delete(&self, subject: &str, version: Option<Version>, batch: &mut Batch) {
        batch.require(SALTS, self.place(subject), version.map_or(Guard::Absent, Guard::At));
        batch.delete(SALTS, self.place(subject));
    }
}
