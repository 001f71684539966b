//! What a new version of a notice means for the consents that were given under the old one.

use super::{
    Beside, CONSENTS, ConsentError, Consents,
    learner::Step,
    not_before,
    notice::{self, NewNotice, Notice},
    record::{Actor, Cause, Consent, ConsentId, NoticeRef, Stored, hash_of_text},
    state::{Act, Role, State},
};
use crate::{
    audit::{Entry, Kind},
    jose::{self, sha256},
    process,
    store::{Batch, StoreError},
};
use policy::Timestamp;
use serde::Serialize;
use std::collections::BTreeSet;

/// What the replacement of a notice led to.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Replacement {
    /// The newer notice.
    pub notice: Notice,
    /// Consents under the old one, or a version before it, that ended, because the newer one means something else.
    pub ended: usize,
    /// How many of them are asked for anew.
    pub requested: usize,
    /// Consents under the old one, or a version before it, that go on, marked.
    pub marked: usize,
    /// Of one that means something else: the languages in which another version of the notice still stands. What was given in these goes on, and
    /// more can be given: replace it in these too.
    pub other_languages: Vec<String>,
}

impl Notice {
    pub(super) fn reference(&self) -> NoticeRef {
        NoticeRef {
            id: self.id.clone(),
            version: self.version.clone(),
            language: self.language.clone(),
        }
    }
}

impl Consents {
    /// All notices.
    pub async fn notices(&self) -> Result<Vec<Notice>, StoreError> {
        notice::list(&**self.log.store()).await
    }

    /// Registers a notice.
    pub async fn add_notice(&self, new: NewNotice, now: Timestamp) -> Result<Notice, ConsentError> {
        let mut batch = Batch::new();
        let notice = notice::add(new, now, &mut batch)?;
        self.commit_notice(batch, notice, now).await
    }

    /// Adds the registration of a notice to what is committed beside something else, if its text is not registered yet.
    pub(super) async fn register_beside(
        &self,
        new: NewNotice,
        beside: &mut Beside,
        now: Timestamp,
    ) -> Result<(), ConsentError> {
        let store = &**self.log.store();
        if notice::find(store, &hash_of_text(&new.text)).await?.is_some() {
            return Ok(());
        }
        let mut batch = Batch::new();
        let notice = notice::add(new, now, &mut batch)?;
        if notice::is_taken(store, &notice).await? {
            return Err(ConsentError::NoticeExists);
        }
        // After what is there: who reads a conflict goes by the places of the guards.
        beside.batch.extend(batch);
        beside.entries.push(entry(&notice));
        beside.notice = Some(notice);
        Ok(())
    }

    async fn commit_notice(&self, batch: Batch, notice: Notice, now: Timestamp) -> Result<Notice, ConsentError> {
        if notice::is_taken(&**self.log.store(), &notice).await? {
            return Err(ConsentError::NoticeExists);
        }
        match self.log.commit(batch, entry(&notice), Vec::new(), now).await {
            // Somebody else has just registered it.
            Err(StoreError::Conflict { .. }) => Err(ConsentError::NoticeExists),
            Err(error) => Err(error.into()),
            Ok(_) => Ok(notice),
        }
    }

    /// Registers a newer version of the notice with this hash. If it means something else, consents under the old one and all before it end and
    /// are asked for anew; otherwise they go on and are marked. Can be repeated after a failure half-way with the same text.
    pub async fn replace_notice(
        &self,
        old: &str,
        new: NewNotice,
        changes_meaning: bool,
        now: Timestamp,
    ) -> Result<Replacement, ConsentError> {
        let store = &**self.log.store();
        let (known, version) = notice::find(store, old)
            .await?
            .ok_or_else(|| ConsentError::UnknownNotice(old.to_owned()))?;
        let mut batch = Batch::new();
        let notice = notice::add(new, now, &mut batch)?;
        let again = known
            .replaced
            .as_ref()
            .is_some_and(|by| by.by == notice.hash && by.changes_meaning == changes_meaning);
        let notice = if again {
            notice
        } else {
            notice::replace((&known, version), &notice, changes_meaning, &mut batch)?;
            self.commit_notice(batch, notice, now).await?
        };
        let mut done = self.follow(&known, notice, changes_meaning, now).await?;
        if changes_meaning {
            done.other_languages = notice::other_languages(store, &done.notice).await?;
        }
        Ok(done)
    }

    /// Has the consents under a replaced notice follow, and those under the versions before it.
    async fn follow(
        &self,
        old: &Notice,
        notice: Notice,
        changes_meaning: bool,
        now: Timestamp,
    ) -> Result<Replacement, ConsentError> {
        let store = &**self.log.store();
        let versions = notice::versions_up_to(store, old).await?;
        let concerned = |stored: &Stored| {
            let follows = stored.state == State::Given && versions.contains(&stored.consent.notice);
            follows && self.is_held_here(stored) && (changes_meaning || !stored.notice_replaced)
        };
        let mut subjects = BTreeSet::new();
        process::each(store, CONSENTS, |stored: Stored| {
            if concerned(&stored) {
                subjects.insert(stored.consent.subject);
            }
            Ok(())
        })
        .await?;
        let mut done = Replacement {
            notice: notice.clone(),
            ended: 0,
            requested: 0,
            marked: 0,
            other_languages: Vec::new(),
        };
        for subject in &subjects {
            let ids: Vec<ConsentId> = self.fresh_ids(subject, now).await?;
            let (counts, _) = self
                .change(&[subject], None, now, |learners| {
                    let (mut counts, mut ids) = ([0, 0, 0], ids.iter());
                    for learner in learners.iter_mut() {
                        for at in 0..learner.records.len() {
                            let found = learner.stored(at).filter(|stored| concerned(stored));
                            let Some(stored) = found.cloned() else { continue };
                            if !changes_meaning {
                                learner.flag(at);
                                counts[2] += 1;
                                continue;
                            }
                            let time = not_before(now, stored.last());
                            let actor = Actor::of(Role::Holder, "notice-replaced");
                            let step = Step::new(Act::Expire, actor.clone(), time, now).because(Cause::NoticeChanged);
                            learner.step(at, step)?;
                            counts[0] += 1;
                            let Some(id) = ids.next().filter(|_| now < stored.until) else {
                                continue;
                            };
                            let again = Consent {
                                id: id.clone(),
                                given: now,
                                // For as long as was chosen first, as a yes that is said again: the learner reads the end and answers.
                                expires: now.plus(stored.consent.length()),
                                notice: notice.hash.clone(),
                                notice_ref: Some(notice.reference()),
                                // The holder asks by itself: no intermediary knows this one, nor can answer for it.
                                via: None,
                                ..stored.consent
                            };
                            learner.begin(again, actor, now)?;
                            counts[1] += 1;
                        }
                    }
                    Ok(counts)
                })
                .await?;
            done.ended += counts[0];
            done.requested += counts[1];
            done.marked += counts[2];
        }
        Ok(done)
    }

    /// As many ids as a learner has consents.
    async fn fresh_ids(&self, subject: &str, now: Timestamp) -> Result<Vec<ConsentId>, ConsentError> {
        let count = self.list(Some(subject)).await?.len();
        let ids = (0..count).map(|_| jose::uuid(now).map(ConsentId::from_uuid));
        ids.collect::<Result<_, _>>()
            .map_err(|error| ConsentError::Signing(error.into()))
    }
}

fn entry(notice: &Notice) -> Entry {
    Entry::new(Kind::Notice)
        .with("notice", notice.id.as_str())
        .with("version", notice.version.as_str())
        .with("language", notice.language.as_str())
        .of("text", &sha256(notice.text.as_bytes()))
}
