//! Negotiations with members of the governance authority: they go on as long as the other party is one.

use super::{ContractError, Contracts};
use crate::{
    dsp::{ParticipantId, Role, message::Explanation},
    trust::{Standings, TrustError},
};
use policy::Timestamp;
use std::collections::HashSet;

impl super::StoredAgreement {
    /// The party that is not us.
    pub fn other_party(&self) -> &ParticipantId {
        match self.role {
            Role::Provider => &self.consumer,
            Role::Consumer => &self.provider,
        }
    }
}

impl Contracts {
    /// With whom something is negotiated or agreed.
    pub async fn parties(&self) -> Result<HashSet<ParticipantId>, ContractError> {
        let records = self.list().await?.into_iter();
        let open = records.filter(|record| !record.core.position.is_terminal());
        let mut parties: HashSet<ParticipantId> = open.map(|record| record.core.peer).collect();
        let agreements = self.agreements.list().await?;
        parties.extend(agreements.iter().map(|stored| stored.other_party().clone()));
        Ok(parties)
    }

    /// Ends negotiations with participants that are members no more.
    pub async fn keep_to(&self, standings: &Standings, now: Timestamp) -> Result<(), ContractError> {
        for record in self.list().await? {
            if record.core.position.is_terminal() || record.wants_termination.is_some() {
                continue;
            }
            let (pid, peer) = (&record.core.pid, &record.core.peer);
            let Some(Err(TrustError::NotAMember(why))) = standings.get(peer) else {
                continue;
            };
            if !why.is_final() {
                continue;
            }
            let reason = Explanation::new("not-a-member", why.to_string());
            match self.terminate(pid, reason, now).await {
                Ok(_) => tracing::warn!(%pid, %peer, reason = %why, "terminated: the other party is a member no more"),
                // It is being ended already.
                Err(error) => tracing::debug!(%pid, %peer, %error, "not terminated"),
            }
        }
        Ok(())
    }
}
