//! What one credential says of its holder, and whether it counts: pure, so that every change of the trust list or of a status can judge
//! again what was read before.

use super::{
    list::TrustList,
    status::{StatusEntry, StatusError},
};
use crate::jose::{Credential, Digest, canonical, sha256};
use policy::{Claims, Timestamp, is_claim};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// The credential that makes its subject a member.
pub const MEMBERSHIP: &str = "MembershipCredential";

/// The credential that says what a member does.
pub const ROLE: &str = "RoleCredential";

/// What a role credential says of its subject under a plain name. Who it is, and the rest, is for the issuer of its membership to say.
pub const ROLE_CLAIMS: [&str; 2] = ["role", "purposesAllowed"];

/// Most values of one claim that are looked at.
const MAX_VALUES: usize = 64;

/// Why a credential does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Discounted {
    /// Its issuer is not on the trust list now.
    #[error("its issuer {0} is not on the trust list")]
    Issuer(String),
    /// Not a type that this issuer may issue.
    #[error("the trust list does not let {issuer} issue it as {types}")]
    Type {
        /// The issuer.
        issuer: String,
        /// The types that the credential has.
        types: String,
    },
    /// The key is not one of the issuer's listed ones, or was revoked.
    #[error("it is signed with a key that does not count (thumbprint {0})")]
    Key(Digest),
    /// About somebody else.
    #[error("it is about {0:?}, not about who presents it")]
    Subject(Option<String>),
    /// Its time has not come or has passed.
    #[error("it is not valid at this time")]
    Time,
    /// The bit is set.
    #[error("it was revoked")]
    Revoked,
    /// The status cannot be established.
    #[error("{0}")]
    Status(#[from] StatusError),
    /// The list that holds its status is not at hand.
    #[error("its status list {0} is not to be had")]
    NoStatus(String),
}

impl Discounted {
    /// Whether this is about the credential and not about the moment.
    pub const fn is_final(&self) -> bool {
        !matches!(self, Self::NoStatus(_))
    }
}

/// A credential of a holder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Who issued it.
    pub issuer: String,
    /// Thumbprint of the key that signed it.
    pub jkt: Digest,
    /// Its types without `VerifiableCredential`.
    pub types: BTreeSet<String>,
    /// From when it counts.
    pub valid_from: Option<Timestamp>,
    /// Until when.
    pub valid_until: Option<Timestamp>,
    /// Where to see whether it was revoked.
    pub status: Vec<StatusEntry>,
    /// What it says of its subject.
    pub claims: Claims,
}

impl Held {
    /// Reads a verified credential about `subject`, signed with the key of this thumbprint.
    pub fn read(credential: &Credential, jkt: Digest, subject: &str) -> Result<Self, Discounted> {
        if credential.subject_id() != Some(subject) {
            return Err(Discounted::Subject(credential.subject_id().map(str::to_owned)));
        }
        let said = match credential.claims().get("credentialSubject") {
            Some(Value::Array(one)) => one.first().and_then(Value::as_object),
            other => other.and_then(Value::as_object),
        };
        let types: BTreeSet<String> = credential
            .types()
            .iter()
            .filter(|name| *name != "VerifiableCredential")
            .cloned()
            .collect();
        let mut claims = said.map(claims).unwrap_or_default();
        if types.iter().eq([ROLE]) {
            claims.retain(|name, _| ROLE_CLAIMS.contains(&name.as_str()));
        }
        Ok(Self {
            issuer: credential.issuer().to_owned(),
            jkt,
            types,
            valid_from: credential.valid_from(),
            valid_until: credential.valid_until(),
            status: StatusEntry::all(credential.claims())?,
            claims,
        })
    }

    /// Whether it is a credential of this type.
    pub fn is(&self, name: &str) -> bool {
        self.types.contains(name)
    }

    /// Whether what it says under this name needs no type before it: all that the issuer of a membership says, and of a role credential what
    /// its subject does.
    fn says_plainly(&self, claim: &str) -> bool {
        self.is(MEMBERSHIP) || self.is(ROLE) && ROLE_CLAIMS.contains(&claim)
    }

    /// Whether it counts under this list. `revoked` looks a status up.
    pub fn judge(
        &self,
        list: &TrustList,
        now: Timestamp,
        revoked: impl Fn(&StatusEntry) -> Result<bool, Discounted>,
    ) -> Result<(), Discounted> {
        let issuer = list
            .issuer(&self.issuer, now)
            .ok_or_else(|| Discounted::Issuer(self.issuer.clone()))?;
        // All of them: one that it may not issue would make of its credential what the list does not let it make.
        if self.types.is_empty() || !self.types.is_subset(&issuer.types) {
            return Err(Discounted::Type {
                issuer: self.issuer.clone(),
                types: self.types.iter().cloned().collect::<Vec<_>>().join(", "),
            });
        }
        if !list.counts(issuer, &self.jkt, now) {
            return Err(Discounted::Key(self.jkt));
        }
        if self.valid_from.is_some_and(|from| from > now.plus(SKEW))
            || self.valid_until.is_some_and(|until| until <= now)
        {
            return Err(Discounted::Time);
        }
        for entry in &self.status {
            if revoked(entry)? {
                return Err(Discounted::Revoked);
            }
        }
        Ok(())
    }
}

/// Clocks may differ by this; a membership that ends, ends at once.
const SKEW: std::time::Duration = std::time::Duration::from_secs(60);

/// What a credential says of its subject, as far as policies can ask for it: texts, numbers and truth values, alone or in lists.
fn claims(subject: &Map<String, Value>) -> Claims {
    subject
        .iter()
        .filter(|(name, _)| *name != "id" && *name != "type" && is_claim(name))
        .map(|(name, value)| (name.clone(), values(value)))
        .filter(|(_, values)| !values.is_empty())
        .collect()
}

fn values(value: &Value) -> BTreeSet<String> {
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Number(number) if number.is_i64() || number.is_u64() => Some(number.to_string()),
        _ => None,
    };
    match value {
        Value::Array(many) => many.iter().take(MAX_VALUES).filter_map(text).collect(),
        one => text(one).into_iter().collect(),
    }
}

/// The name of what credentials of a type say, as policies ask for it.
pub fn typed(kind: &str, claim: &str) -> String {
    format!("credential.{kind}.{claim}")
}

/// What several credentials say together: each claim under the type of its credential, and under its plain name only what the credentials of
/// membership and role are there to say. Whoever may issue another type makes nobody a school by calling a claim `role`.
pub fn together<'a>(held: impl IntoIterator<Item = &'a Held>) -> Claims {
    let mut all = Claims::new();
    for held in held {
        for (claim, values) in &held.claims {
            let plain = held.says_plainly(claim).then(|| claim.clone());
            let kinds = held.types.iter().filter(|kind| is_claim(kind));
            for name in kinds.map(|kind| typed(kind, claim)).chain(plain) {
                all.entry(name).or_default().extend(values.iter().cloned());
            }
        }
    }
    all
}

/// SHA-256 over a claim set in canonical form (RFC 8785): the `claimsHash` of an agreement.
pub fn digest(claims: &Claims) -> Digest {
    // Names and texts alone always have a canonical form.
    sha256(&canonical::signable(&json!(claims)).unwrap_or_default())
}

#[cfg(test)]
mod tests;
