//! Whether a participant that nobody configured is a member: what is known already, then what its DID document leads to.

use super::{
    Member, Memberships, NotAMember,
    held::{Discounted, Held},
    presentation,
    refresh::RefreshError,
};
use crate::{
    audit::{Entry, Kind},
    dsp::ParticipantId,
    jose::credential::MAX_PRESENTATION,
    store::Batch,
    trust::Peer,
};
use policy::Timestamp;
use std::{sync::Arc, time::Duration};

/// The longest that looking somebody up may take.
const PATIENCE: Duration = Duration::from_secs(15);

impl Memberships {
    /// The participant as a member. One that is known was looked at within the refresh; one that is not is looked up, within bounds.
    pub async fn admit(&self, did: &ParticipantId, now: Timestamp) -> Result<Arc<Member>, NotAMember> {
        self.admit_as(&Arc::new(self.stranger(did)), now).await
    }

    /// The same for a peer of the configuration, reached as the configuration says: as a member it has verified claims.
    pub async fn admit_as(&self, peer: &Arc<Peer>, now: Timestamp) -> Result<Arc<Member>, NotAMember> {
        let did = &peer.did;
        if let Some(member) = self.at_hand(did, now)? {
            return Ok(member);
        }
        match self.renewed(peer, now).await {
            // Anybody can keep all turns taken by naming strangers. What a member showed before counts until it is its turn.
            Err(NotAMember::Busy) => self.member(did, now).ok_or(NotAMember::Busy),
            other => other,
        }
    }

    async fn renewed(&self, peer: &Arc<Peer>, now: Timestamp) -> Result<Arc<Member>, NotAMember> {
        let did = &peer.did;
        let turn = self.lookups.enter(did).await?;
        // Whoever had the turn before may have found out.
        if let Some(member) = self.at_hand(did, now)? {
            return Ok(member);
        }
        let _permit = self.lookups.begin(turn, now)?;
        let found = tokio::time::timeout(PATIENCE, self.look_up(peer, now))
            .await
            .unwrap_or_else(|_| Err(NotAMember::Unreachable("it takes too long".into())));
        match (found, self.member(did, now)) {
            (Ok(member), known) => {
                if known.is_none() {
                    self.admitted(&member, now).await;
                }
                Ok(self.know(member))
            }
            // What it showed before still counts; it is asked again after the next refresh.
            (Err(why), Some(known)) if !why.is_final() => {
                tracing::warn!(member = %did, reason = %why, "a member's presentation was not renewed");
                Ok(self.know(Member {
                    presented: now,
                    ..Member::clone(&known)
                }))
            }
            (Err(why), _) => {
                self.expel(did, &why, now).await;
                Err(why)
            }
        }
    }

    /// What is known without asking anybody; nothing where it is time to ask.
    pub(super) fn at_hand(&self, did: &ParticipantId, now: Timestamp) -> Result<Option<Arc<Member>>, NotAMember> {
        let signed = self.list(now)?;
        if signed.list.revoked_members.contains(did) {
            return Err(NotAMember::Removed);
        }
        if let Some(member) = self.member(did, now) {
            let recent = member.presented <= now && now.since(member.presented) < self.settings.refresh;
            return Ok(recent.then_some(member));
        }
        match self.lookups.refused(did, now) {
            Some(why) => Err(why),
            None => Ok(None),
        }
    }

    /// Whether somebody is a member, as far as that is known without asking anybody. Whoever is not known may be one.
    pub fn standing(&self, did: &ParticipantId, now: Timestamp) -> Result<(), NotAMember> {
        let recent = self.at_hand(did, now)?;
        if recent.is_some() || self.member(did, now).is_some() {
            return Ok(());
        }
        self.state().out.get(did).map_or(Ok(()), |why| Err(why.clone()))
    }

    /// Remembers, until it is a member again, why somebody is none with whom something was agreed.
    pub fn note_out(&self, did: &ParticipantId, why: &NotAMember) {
        if why.is_final() {
            self.state_mut().out.insert(did.clone(), why.clone());
        }
    }

    pub(super) fn know(&self, member: Member) -> Arc<Member> {
        let member = Arc::new(member);
        self.lookups.forgive(&member.peer.did);
        let mut state = self.state_mut();
        state.out.remove(&member.peer.did);
        state.members.insert(member.peer.did.clone(), member.clone());
        drop(state);
        member
    }

    async fn admitted(&self, member: &Member, now: Timestamp) {
        let did = &member.peer.did;
        tracing::info!(member = %did, issuer = member.issuer, "a member is admitted");
        let entry = Entry::new(Kind::MemberAdmitted)
            .with("member", did.as_str())
            .with("issuer", member.issuer.as_str())
            .of("claims", &super::held::digest(&member.claims));
        if let Err(error) = self.log.commit(Batch::new(), entry, Vec::new(), now).await {
            tracing::error!(member = %did, %error, "an admission could not be recorded");
        }
    }

    async fn look_up(&self, peer: &Arc<Peer>, now: Timestamp) -> Result<Member, NotAMember> {
        let did = &peer.did;
        let stranger = self
            .resolver
            .of_stranger(peer)
            .await
            .map_err(|error| refusal(error.into()))?;
        let document = stranger.document();
        let Some(address) = &document.presentation else {
            let why = "its DID document names no LinkedVerifiablePresentation";
            return Err(NotAMember::Refused(why.to_owned()));
        };
        let token = self.get(address, MAX_PRESENTATION, peer.reach).await.map_err(refusal)?;
        let presented = presentation::open(&token, did.as_str(), document, self.me.as_str(), now)
            .map_err(|error| NotAMember::Refused(error.to_string()))?;
        let (mut held, mut reasons) = (Vec::new(), Vec::new());
        for credential in presented {
            match self.accept(&credential, did, now).await {
                Ok(credential) => held.push(credential),
                Err(why) => reasons.push(why),
            }
        }
        let counting: Vec<&Held> = held.iter().collect();
        let member = Member::of(peer.clone(), &held, &counting, now).ok_or_else(|| why_none_counts(reasons))?;
        let kept = self.resolver.keep(stranger, now).await;
        kept.map_err(|error| refusal(error.into()))?;
        Ok(member)
    }

    /// A credential about `subject` that counts now. Its status list is fetched if it is not at hand.
    pub(super) async fn accept(
        &self,
        token: &str,
        subject: &ParticipantId,
        now: Timestamp,
    ) -> Result<Held, Unaccepted> {
        let (credential, jkt) = self.verified(token, now).await?;
        let held = Held::read(&credential, jkt, subject.as_str())?;
        let signed = self.list(now).map_err(RefreshError::from)?;
        for entry in &held.status {
            let known = self.state().statuses.get(&entry.list).cloned();
            if !known.is_some_and(|known| known.counts(&signed.list, now)) {
                let renewed = self.renew_status(&entry.list, &held.issuer, now).await;
                renewed.map_err(|error| Unaccepted::Status(entry.list.to_string(), error))?;
            }
        }
        self.judge(&held, &signed.list, now)?;
        Ok(held)
    }
}

/// Why a credential was not accepted.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unaccepted {
    #[error(transparent)]
    Fetched(#[from] RefreshError),
    #[error("its status list {0} is not to be had: {1}")]
    Status(String, RefreshError),
    #[error(transparent)]
    Discounted(#[from] Discounted),
}

impl Unaccepted {
    pub(super) fn is_final(&self) -> bool {
        match self {
            Self::Fetched(error) => error.is_final(),
            // Whatever is wrong with the list, it is not the credential's fault.
            Self::Status(..) => false,
            Self::Discounted(error) => error.is_final(),
        }
    }
}

/// Why nothing that somebody showed makes it a member. As long as one of the reasons may pass, that is the one.
pub(super) fn why_none_counts(reasons: Vec<Unaccepted>) -> NotAMember {
    let passing = reasons.iter().position(|why| !why.is_final());
    match reasons.into_iter().nth(passing.unwrap_or_default()) {
        None => NotAMember::Refused("it presents no membership credential".to_owned()),
        Some(why) if passing.is_some() => NotAMember::Unreachable(why.to_string()),
        Some(why) => NotAMember::Refused(format!("its credential does not count: {why}")),
    }
}

fn refusal(error: RefreshError) -> NotAMember {
    match error.is_final() {
        true => NotAMember::Refused(error.to_string()),
        false => NotAMember::Unreachable(error.to_string()),
    }
}
