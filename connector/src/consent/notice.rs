//! Notices: the exact texts that learners are shown, each with a version, a language and the hash that consents are bound to. A text never
//! changes under its version; a newer version takes its place and says whether it means something else.

mod language;

use super::{ConsentError, record::hash_of_text};
use crate::{
    process::{self, decode, encode},
    store::{Batch, Guard, Store, StoreError, Table, Version},
};
use language::is_language;
use policy::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use utoipa::ToSchema;

/// Notices by their hash.
const NOTICES: Table = Table(50);
/// The hash of each notice by name, version and language.
const NAMES: Table = Table(51);
/// Longest text, in bytes.
const LONGEST: usize = 32 * 1024;

/// A registered notice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Notice {
    /// Its name, the same for all versions and languages.
    pub id: String,
    /// Its version.
    pub version: String,
    /// Its language (BCP 47).
    pub language: String,
    /// `sha256:` and the hash of the text in hex.
    pub hash: String,
    /// The text, exactly as it is shown.
    pub text: String,
    /// Where it can be read.
    #[serde(default)]
    #[schema(required)]
    pub url: Option<String>,
    /// Since when it is registered.
    #[schema(value_type = String, format = DateTime)]
    pub added: Timestamp,
    /// What took its place.
    #[serde(default)]
    #[schema(required)]
    pub replaced: Option<Replaced>,
}

/// What took a notice's place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Replaced {
    /// The hash of the newer one.
    pub by: String,
    /// The newer one means something else: what was consented to under the old one has to be asked again.
    pub changes_meaning: bool,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

/// A notice to be registered.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewNotice {
    /// Its name.
    pub id: String,
    /// Its version.
    pub version: String,
    /// Its language.
    pub language: String,
    /// The text.
    pub text: String,
    /// Where it can be read.
    #[serde(default)]
    pub url: Option<String>,
}

impl NewNotice {
    fn notice(self, now: Timestamp) -> Result<Notice, ConsentError> {
        let invalid = |what| Err(ConsentError::InvalidNotice(what));
        let plain = |text: &str| !text.is_empty() && text.len() <= 64 && !text.chars().any(char::is_control);
        if !plain(&self.id) || !plain(&self.version) {
            return invalid("id and version are short texts of at most 64 bytes");
        }
        if !is_language(&self.language) {
            return invalid("language is a tag of a language, such as fr or en-GB (BCP 47)");
        }
        if self.text.trim().is_empty() {
            return invalid("text is missing");
        }
        if self.text.len() > LONGEST {
            return invalid("text is longer than 32 KiB");
        }
        if self
            .url
            .as_ref()
            .is_some_and(|url| url.len() > 512 || url::Url::parse(url).is_err())
        {
            return invalid("url is no address");
        }
        Ok(Notice {
            hash: hash_of_text(&self.text),
            id: self.id,
            version: self.version,
            language: self.language,
            text: self.text,
            url: self.url,
            added: now,
            replaced: None,
        })
    }
}

fn name(notice: &Notice) -> Vec<u8> {
    [notice.id.as_str(), &notice.version, &notice.language]
        .join("\n")
        .into_bytes()
}

/// A notice by its hash.
pub(super) async fn find(store: &dyn Store, hash: &str) -> Result<Option<(Notice, Version)>, StoreError> {
    let item = store.get(NOTICES, hash.as_bytes()).await?;
    item.map(|item| Ok((decode(&item.value)?, item.version))).transpose()
}

/// All notices, by name, version and language.
pub(super) async fn list(store: &dyn Store) -> Result<Vec<Notice>, StoreError> {
    let mut all: Vec<Notice> = process::all(store, NOTICES).await?;
    all.sort_by_key(name);
    Ok(all)
}

/// The newest version of a notice that still holds. The versions before it have been replaced and stay as they are.
pub(super) struct Newest {
    hash: String,
    version: Version,
}

impl Newest {
    /// Has a batch committed only if nothing has taken this version's place since it was read.
    pub(super) fn guard(&self, batch: &mut Batch) {
        batch.require(NOTICES, self.hash.as_bytes(), Guard::At(self.version));
    }
}

/// The newest version after a notice; none where one of those after it means something else, however many lie between: then the notice does not
/// tell learners any more what they are to be told.
pub(super) async fn newest(store: &dyn Store, found: (Notice, Version)) -> Result<Option<Newest>, StoreError> {
    let (mut notice, mut version) = found;
    // Each version takes the place of one that was there before it, so the chain ends.
    while let Some(newer) = &notice.replaced {
        if newer.changes_meaning {
            return Ok(None);
        }
        let Some(found) = find(store, &newer.by).await? else {
            break;
        };
        (notice, version) = found;
    }
    let hash = notice.hash;
    Ok(Some(Newest { hash, version }))
}

/// The hashes of a notice and of all versions before it.
pub(super) async fn versions_up_to(store: &dyn Store, notice: &Notice) -> Result<BTreeSet<String>, StoreError> {
    let all = list(store).await?;
    let before = |hash: &str| {
        let replaced_by = |one: &&Notice| one.replaced.as_ref().is_some_and(|newer| newer.by == hash);
        all.iter().find(replaced_by)
    };
    let chain = std::iter::successors(Some(notice), |one| before(&one.hash));
    Ok(chain.map(|one| one.hash.clone()).collect())
}

/// The other languages in which another version of a notice stands.
pub(super) async fn other_languages(store: &dyn Store, notice: &Notice) -> Result<Vec<String>, StoreError> {
    let stands = |other: &Notice| {
        let is_another = other.language != notice.language && other.version != notice.version;
        other.id == notice.id && is_another && other.replaced.is_none()
    };
    let all = list(store).await?.into_iter().filter(stands);
    let languages: BTreeSet<String> = all.map(|other| other.language).collect();
    Ok(languages.into_iter().collect())
}

/// Adds a new notice to a batch. The text is new, and nothing has that name, version and language.
pub(super) fn add(new: NewNotice, now: Timestamp, batch: &mut Batch) -> Result<Notice, ConsentError> {
    let notice = new.notice(now)?;
    batch.insert(NOTICES, notice.hash.as_bytes(), encode(&notice)?);
    batch.insert(NAMES, name(&notice), notice.hash.as_bytes());
    Ok(notice)
}

/// Whether something stands in the way of a new notice.
pub(super) async fn is_taken(store: &dyn Store, notice: &Notice) -> Result<bool, StoreError> {
    let text = store.get(NOTICES, notice.hash.as_bytes()).await?;
    Ok(text.is_some() || store.get(NAMES, &name(notice)).await?.is_some())
}

/// Marks the notice read at `version` as replaced, unless it is already.
pub(super) fn replace(
    (old, version): (&Notice, Version),
    new: &Notice,
    changes_meaning: bool,
    batch: &mut Batch,
) -> Result<(), ConsentError> {
    if old.id != new.id || old.language != new.language {
        return Err(ConsentError::InvalidNotice(
            "a notice is replaced by one of the same name and language",
        ));
    }
    if old.replaced.is_some() {
        return Err(ConsentError::InvalidNotice(
            "that version is replaced already; replace the newest",
        ));
    }
    let marked = Notice {
        replaced: Some(Replaced {
            by: new.hash.clone(),
            changes_meaning,
            at: new.added,
        }),
        ..old.clone()
    };
    batch.require(NOTICES, old.hash.as_bytes(), Guard::At(version));
    batch.put(NOTICES, old.hash.as_bytes(), encode(&marked)?);
    Ok(())
}
