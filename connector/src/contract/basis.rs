//! What an agreement rests on beside its terms: the verified claims of the consumer and the rulebook of the governance authority. Their
//! hashes stand in the record that both parties sign; headers tell the consumer which ones the provider has put there.

use super::ContractError;
use crate::{
    jose::Digest,
    trust::{Party, Trust, membership::held},
};
use policy::Timestamp;
use serde::{Deserialize, Serialize};

/// The header with the hash over the consumer's claims.
pub const CLAIMS_HEADER: &str = "x-dases-claims";
/// The header with the hash over the rulebook.
pub const RULEBOOK_HEADER: &str = "x-dases-rulebook";

/// Hashes over claims and rulebook; none for a consumer that the provider does not know as a member.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Basis {
    /// Over the consumer's claim set (RFC 8785, SHA-256).
    pub claims: Option<Digest>,
    /// Over the rulebook.
    pub rulebook: Option<Digest>,
}

impl Basis {
    /// What is verified about the consumer now.
    pub(super) fn of(consumer: &Party, trust: &Trust, now: Timestamp) -> Self {
        match trust.memberships().filter(|_| !consumer.claims.is_empty()) {
            None => Self::default(),
            Some(memberships) => Self {
                claims: Some(held::digest(&consumer.claims)),
                rulebook: memberships.rulebook(now),
            },
        }
    }

    /// From the values of the two headers.
    pub fn read(claims: Option<&str>, rulebook: Option<&str>) -> Result<Self, ContractError> {
        let digest = |name: &str, text: Option<&str>| {
            let unreadable = |_| ContractError::Invalid(format!("{name} is not a SHA-256 value in base64url"));
            text.map(|text| text.parse().map_err(unreadable)).transpose()
        };
        Ok(Self {
            claims: digest(CLAIMS_HEADER, claims)?,
            rulebook: digest(RULEBOOK_HEADER, rulebook)?,
        })
    }

    pub(super) fn headers(&self) -> impl Iterator<Item = (String, String)> {
        let header = |name: &str, digest: Option<Digest>| Some((name.to_owned(), digest?.to_string()));
        [
            header(CLAIMS_HEADER, self.claims),
            header(RULEBOOK_HEADER, self.rulebook),
        ]
        .into_iter()
        .flatten()
    }

    /// A consumer signs no claims about itself but its own, and no rulebook but the one that it knows. A provider that names none has it in
    /// its configuration and does not know it as a member, or not yet.
    pub(super) fn check(&self, own: &Self) -> Result<(), ContractError> {
        let differs = |what: &str| ContractError::AgreementDiffers(format!("it rests on {what}"));
        if self.claims.is_some() && self.claims != own.claims {
            return Err(differs("other claims about this connector than its credentials say"));
        }
        if self.rulebook.is_some() && self.rulebook != own.rulebook {
            return Err(differs("another rulebook than the one in the trust list"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::sha256;

    #[test]
    fn headers_say_what_they_were_made_of() {
        let both = Basis {
            claims: Some(sha256(b"claims")),
            rulebook: Some(sha256(b"rules")),
        };
        for basis in [both, Basis { rulebook: None, ..both }, Basis::default()] {
            let headers: Vec<_> = basis.headers().collect();
            let value = |name: &str| {
                headers
                    .iter()
                    .find(|(found, _)| found == name)
                    .map(|(_, value)| value.as_str())
            };
            assert_eq!(
                Basis::read(value(CLAIMS_HEADER), value(RULEBOOK_HEADER)).unwrap(),
                basis
            );
        }
        assert!(Basis::read(Some("x"), None).is_err() && Basis::read(None, Some("")).is_err());
    }

    #[test]
    fn a_consumer_signs_its_own_claims_and_its_own_rulebook_or_none() {
        let own = Basis {
            claims: Some(sha256(b"claims")),
            rulebook: Some(sha256(b"rules")),
        };
        let other = Some(sha256(b"other"));
        assert!(own.check(&own).is_ok() && Basis::default().check(&own).is_ok());
        assert!(Basis { claims: other, ..own }.check(&own).is_err());
        assert!(Basis { rulebook: other, ..own }.check(&own).is_err());
        assert!(own.check(&Basis::default()).is_err());
    }
}
