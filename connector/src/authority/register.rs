//! What the authority remembers: every credential that it issued, and what its next trust list says. Changing a member changes what is
//! on operators' disks.

use super::AuthorityError;
use crate::{
    dsp::ParticipantId,
    jose::Digest,
    trust::membership::{
        held::MEMBERSHIP,
        list::{Issuer, MAX_VALIDITY, RevokedKey, Seen},
        status::{Bits, MIN_BITS, StatusError},
    },
};
use policy::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use url::Url;

/// The register.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Register {
    /// 1.
    pub v: u8,
    /// Who the authority is.
    pub did: ParticipantId,
    /// Under which address `public/` is published, without a slash at its end.
    pub url: Url,
    /// The next bit of the status lists; goes up only, so that no bit ever stands for two credentials.
    pub next_index: usize,
    /// Credentials in the order in which they were issued.
    pub credentials: Vec<Issued>,
    /// The newest trust list.
    pub list: Option<Seen>,
    /// Who may issue what.
    pub issuers: Vec<Issuer>,
    /// Participants that are members no more.
    pub revoked_members: BTreeSet<ParticipantId>,
    /// Keys that count no more.
    pub revoked_jkts: Vec<RevokedKey>,
    /// Hash over the rulebook.
    pub rulebook: Option<Digest>,
    /// The oldest protocol version that members speak.
    pub minimum_protocol: String,
}

/// A credential that was issued.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Issued {
    /// Its id.
    pub id: String,
    /// About whom.
    pub subject: ParticipantId,
    /// `MembershipCredential` or `RoleCredential`.
    pub r#type: String,
    /// Its roles.
    pub roles: BTreeSet<String>,
    /// Its bit, counted over all status lists.
    pub index: usize,
    /// When.
    pub issued: Timestamp,
    /// Until when it counts.
    pub valid_until: Timestamp,
    /// When and why it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Revoked>,
}

/// The end of a credential before its time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revoked {
    /// When.
    pub at: Timestamp,
    /// Why, for the authority's own files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Register {
    /// How many status lists there are: at least one.
    pub fn status_lists(&self) -> usize {
        self.next_index.saturating_sub(1) / MIN_BITS + 1
    }

    /// Under which address a file of `public/` is published.
    pub fn address(&self, name: &str) -> Result<Url, AuthorityError> {
        let url = format!("{}/{name}", self.url.as_str().trim_end_matches('/'));
        Url::parse(&url).map_err(|error| AuthorityError::Invalid(format!("{url}: {error}")))
    }

    /// Whom the trust list has to name as removed: who has no credential that could still count is no member anyway, and a list has no
    /// room for everybody who ever left. What other issuers have issued, and until when, is not known here.
    pub fn removed(&self, now: Timestamp) -> BTreeSet<ParticipantId> {
        let others = |issuer: &Issuer| issuer.did != self.did && issuer.types.contains(MEMBERSHIP);
        if self.issuers.iter().any(others) {
            return self.revoked_members.clone();
        }
        // Clocks differ, and lists from before are in use for a while.
        let could_count = |issued: &&Issued| now < issued.valid_until.plus(MAX_VALIDITY);
        let credentials = self.credentials.iter().filter(could_count);
        let subjects: BTreeSet<&ParticipantId> = credentials.map(|issued| &issued.subject).collect();
        let removed = self.revoked_members.iter();
        removed.filter(|member| subjects.contains(member)).cloned().collect()
    }

    /// In which list, counted from 1, and at which place a bit stands.
    pub fn place(index: usize) -> (usize, usize) {
        (index / MIN_BITS + 1, index % MIN_BITS)
    }

    /// The bits of one status list.
    pub fn bits(&self, number: usize) -> Result<Bits, StatusError> {
        let mut bits = Bits::clear();
        for credential in self.credentials.iter().filter(|issued| issued.revoked.is_some()) {
            let (list, place) = Self::place(credential.index);
            if list == number {
                bits.set(place)?;
            }
        }
        Ok(bits)
    }

    /// Revokes the credentials that have this id or subject, and returns how many that changed.
    pub fn revoke(&mut self, id_or_subject: &str, reason: Option<&str>, now: Timestamp) -> usize {
        let mut count = 0;
        for credential in &mut self.credentials {
            let meant = credential.id == id_or_subject || credential.subject.as_str() == id_or_subject;
            if meant && credential.revoked.is_none() {
                credential.revoked = Some(Revoked {
                    at: now,
                    reason: reason.map(str::to_owned),
                });
                count += 1;
            }
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_spread_over_lists_and_each_stands_for_one_credential() {
        assert_eq!(Register::place(0), (1, 0));
        assert_eq!(Register::place(MIN_BITS - 1), (1, MIN_BITS - 1));
        assert_eq!(Register::place(MIN_BITS), (2, 0));
        let places: BTreeSet<_> = (0..3 * MIN_BITS).step_by(1021).map(Register::place).collect();
        assert_eq!(places.len(), (0..3 * MIN_BITS).step_by(1021).count());
    }
}
