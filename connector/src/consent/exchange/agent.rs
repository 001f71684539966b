//! The intermediary's side of a consent that it keeps for a learner and another holder: what it tells that holder, in the commit of each
//! decision.

use super::{
    courier::{LONGEST_RECEIPT, asked},
    decisions::Decision,
    passed,
    post::{Post, Posted, Sheet},
    requests::NoticeText,
};
use crate::{
    audit::Log,
    consent::{About, Changed, Consent, elsewhere::was_given_at_holder, links::Links, notice, receipt, state::State},
    store::StoreError,
    trust::Trust,
};
use policy::Timestamp;
use std::{sync::Arc, time::Duration};

/// After this time what has ended because another has taken its place is told by itself, whatever has become of the other.
const AT_LAST: Duration = Duration::from_secs(600);

/// Speaks for the learners that linked themselves here.
pub struct Agent {
    log: Arc<Log>,
    trust: Arc<Trust>,
    links: Arc<Links>,
    post: Arc<Post>,
}

impl Agent {
    /// For what is kept in the log's store.
    pub fn new(log: Arc<Log>, trust: Arc<Trust>, links: Arc<Links>, post: Arc<Post>) -> Self {
        Self {
            log,
            trust,
            links,
            post,
        }
    }

    /// It is kept here for another holder.
    pub(super) fn keeps(&self, consent: &Consent) -> bool {
        consent.via.as_ref() == Some(self.trust.me())
    }

    /// Adds to the commit of a learner's decisions that their holders are told. Nobody else is: a recipient hears of it from the holder.
    pub(super) async fn tell(&self, about: &About<'_>, sheet: &mut Sheet, now: Timestamp) -> Result<(), StoreError> {
        let decided = |one: &&Changed| {
            let stored = &one.stored;
            self.keeps(&stored.consent) && !stored.state.is_open() && !was_given_at_holder(stored)
        };
        let mut all: Vec<&Changed> = about.changed.iter().filter(decided).collect();
        all.sort_by_key(|one| one.stored.state != State::Given);
        for one in all {
            let (id, holder) = (&one.stored.consent.id, &one.stored.consent.holder);
            let decision = self.decision(about.subject, one).await?;
            let batch = &mut sheet.batch;
            passed::note(&one.stored, &decision, now, batch)?;
            // A no to what was given here is an end: it waits for nothing, for somebody may sign at the holder meanwhile.
            let is_answer = match one.stored.state {
                State::Refused => one.stored.given_receipt.is_none(),
                state => state == State::Given,
            };
            let posted = match one.stored.state {
                _ if is_answer => {
                    // Not the holder's name for the learner, which the learner can unlink: this has an order, whatever it is called.
                    let ours = about.pseudonyms.towards(holder).name(about.subject);
                    vec![self.post.put(batch, holder, &ours, &decision, now)?]
                }
                State::Superseded => {
                    // Behind what takes its place, so that the holder enters that first and no recipient erases what may stay. And once
                    // more by itself: whatever that queue waits for, it ends. The holder takes the number once.
                    let ours = about.pseudonyms.towards(holder).name(about.subject);
                    let behind = self.post.put(batch, holder, &ours, &decision, now)?;
                    let (at, alone) = (now.plus(AT_LAST), (holder, id.as_str()));
                    vec![behind, self.post.put_later(batch, alone, &decision, at, now)?]
                }
                // In a queue of its own: an end waits for nothing, least of all for what the holder fails to take. Numbers say what is newer.
                _ => vec![self.post.put(batch, holder, id.as_str(), &decision, now)?],
            };
            for Posted { lane, entry, .. } in posted {
                sheet.add(lane, entry);
            }
        }
        Ok(())
    }

    async fn decision(&self, subject: &str, changed: &Changed) -> Result<Decision, StoreError> {
        let stored = &changed.stored;
        let notice = match stored.state {
            State::Given | State::Refused => notice::find(&**self.log.store(), &stored.consent.notice).await?,
            _ => None,
        };
        Ok(Decision {
            consent: stored.consent.id.clone(),
            learner: self.links.pseudonym(&stored.consent.holder, subject).await?,
            state: stored.state,
            request: asked(stored).and_then(|(_, id)| id),
            notice: notice.map(|(notice, _)| NoticeText {
                id: notice.id,
                version: notice.version,
                language: notice.language,
                sha256: notice.hash,
                text: notice.text,
            }),
            number: stored.receipts.saturating_sub(1),
            digest: receipt::digest(&changed.receipt),
            receipt: (changed.receipt.len() <= LONGEST_RECEIPT).then(|| changed.receipt.clone()),
        })
    }
}
