//! Whose consent counts, as a pure function of dates and powers: the age from which a learner consents alone (GDPR art. 8), who signs with
//! them before it (Loi Informatique et Libertés art. 45), and who acts for an adult.
//!
//! Of a birth date only one consequence is kept: the date from which the learner consents alone.

use super::state::{Act, Role, Rule};
use policy::Timestamp;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr, time::Duration};
use time::{Date, Month};
use utoipa::ToSchema;

/// GDPR art. 8(1), where a member state has not chosen another.
const DEFAULT_AGE: u8 = 16;

/// The ages that states chose under art. 8(1); all others have [`DEFAULT_AGE`].
const AGES: [(&str, u8); 21] = [
    ("AT", 14),
    ("BE", 13),
    ("BG", 14),
    ("CY", 14),
    ("CZ", 15),
    ("DK", 15),
    ("EE", 13),
    ("ES", 14),
    ("FI", 13),
    ("FR", 15),
    ("GR", 15),
    ("IS", 13),
    ("IT", 14),
    ("LT", 14),
    ("LV", 13),
    ("MT", 13),
    ("NO", 13),
    ("PT", 13),
    ("SE", 13),
    ("SI", 15),
    ("GB", 13),
];

/// A country, ISO 3166-1 alpha-2.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Country([u8; 2]);

/// The text is no country code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a country code of two capital letters, such as FR")]
pub struct NoCountry;

impl Country {
    /// France.
    pub const FRANCE: Self = Self(*b"FR");

    /// As it is written.
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// From how many years on a learner consents alone.
    pub fn age_of_sole_consent(&self) -> u8 {
        let known = AGES.iter().find(|(code, _)| *code == self.code());
        known.map_or(DEFAULT_AGE, |(_, age)| *age)
    }
}

impl FromStr for Country {
    type Err = NoCountry;

    fn from_str(text: &str) -> Result<Self, NoCountry> {
        match text.as_bytes() {
            [a, b] if a.is_ascii_uppercase() && b.is_ascii_uppercase() => Ok(Self([*a, *b])),
            _ => Err(NoCountry),
        }
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for Country {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Country {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// A calendar day, `2031-04-30`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Day(Date);

/// The text is no calendar day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a day such as 2031-04-30")]
pub struct NoDay;

impl FromStr for Day {
    type Err = NoDay;

    fn from_str(text: &str) -> Result<Self, NoDay> {
        let mut parts = text.split('-');
        let (Some(year), Some(month), Some(day), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(NoDay);
        };
        let plain = |part: &str, length: usize| part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit());
        if !plain(year, 4) || !plain(month, 2) || !plain(day, 2) {
            return Err(NoDay);
        }
        let month = Month::try_from(month.parse::<u8>().map_err(|_| NoDay)?).map_err(|_| NoDay)?;
        let (year, day) = (year.parse().map_err(|_| NoDay)?, day.parse().map_err(|_| NoDay)?);
        Date::from_calendar_date(year, month, day).map(Self).map_err(|_| NoDay)
    }
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

impl Day {
    /// When it begins, in UTC.
    pub fn begins(self) -> Timestamp {
        Timestamp::from_seconds(self.0.midnight().assume_utc().unix_timestamp())
    }
}

/// When somebody born on this day begins to consent alone in this country: at the start of that birthday. Who was born on 29 February has it on
/// 1 March in other years, the later of the two possible days.
pub fn sole_consent_from(born: Day, country: Country) -> Timestamp {
    let year = born.0.year() + i32::from(country.age_of_sole_consent());
    let birthday = born.0.replace_year(year).ok();
    let birthday = birthday.or_else(|| Date::from_calendar_date(year, Month::March, 1).ok());
    birthday.map_or(Timestamp::MAX, |day| Day(day).begins())
}

/// What somebody may do for a learner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Give, refuse, put off, reaffirm.
    Give,
    /// Withdraw and object.
    Withdraw,
    /// See what there is.
    View,
}

/// By what right somebody acts for a learner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Capacity {
    /// Parental authority over a minor: signs with the child, until the child consents alone.
    ParentalAuthority,
    /// Represents an adult (a mandate, a guardianship): signs in their place.
    Represents,
    /// Assists an adult (a curatorship): signs with them.
    Assists,
}

impl Capacity {
    const fn role(self) -> Role {
        match self {
            Self::ParentalAuthority => Role::Guardian,
            Self::Represents | Self::Assists => Role::Delegate,
        }
    }
}

/// The powers of one person for one learner, for a time, with where the proof of them is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Power {
    /// Who, by the holder's own identifier.
    pub id: String,
    /// By what right.
    pub capacity: Capacity,
    /// What for.
    pub scope: Vec<Scope>,
    /// From when.
    #[schema(value_type = String, format = DateTime)]
    pub from: Timestamp,
    /// Until when.
    #[schema(value_type = String, format = DateTime)]
    pub until: Timestamp,
    /// Where the proof is kept: a school's register, a judgment.
    pub evidence: String,
}

impl Power {
    fn is_for(&self, scope: Scope, at: Timestamp) -> bool {
        self.from <= at && at < self.until && self.scope.contains(&scope)
    }
}

/// What is known of a learner that decides whose word counts. Nothing known: an adult who acts alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Standing {
    /// From when the learner consents alone; none for somebody whose age was not asked or does not matter.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub sole_consent_from: Option<Timestamp>,
    /// Who may act with or for them.
    #[serde(default)]
    pub powers: Vec<Power>,
}

/// Why somebody's word does not count. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoPower {
    /// A guardian or delegate without a name.
    #[error("a guardian or delegate acts under an id, which is missing")]
    Nameless,
    /// Nothing of the kind is recorded, or not for now.
    #[error("no power of {0} of this name for this step is recorded and in force; record it with its proof first")]
    Unknown(Role),
    /// The learner consents alone since then.
    #[error("the powers of a guardian ended on {0}, when the learner began to consent alone; it is for the learner")]
    OfAge(Timestamp),
    /// One word was not enough: whose is missing, the learner's or a guardian's.
    #[error("the learner and whoever signs with them have to sign, and the word of {0} is missing")]
    NotBoth(Role),
}

/// Somebody's yes.
#[derive(Clone, Copy, Debug)]
pub struct Signature<'a> {
    /// As whom.
    pub role: Role,
    /// Who, by the holder's own identifier.
    pub id: Option<&'a str>,
    /// When.
    pub time: Timestamp,
}

impl Standing {
    /// The learner is still below the age of sole consent.
    pub fn is_minor(&self, at: Timestamp) -> bool {
        self.sole_consent_from.is_some_and(|from| at < from)
    }

    /// Whether one word is enough now.
    pub fn rule(&self, at: Timestamp) -> Rule {
        let assisted = |power: &Power| power.capacity == Capacity::Assists && power.is_for(Scope::Give, at);
        match self.is_minor(at) || self.powers.iter().any(assisted) {
            true => Rule::Joint,
            false => Rule::Alone,
        }
    }

    /// When what is given now stops by itself because the learner comes of age.
    pub fn threshold(&self, at: Timestamp) -> Option<Timestamp> {
        self.sole_consent_from.filter(|from| at < *from)
    }

    /// Whether these signatures make a consent, and when what they made ends by itself: `grace` after the learner comes of age, or with the
    /// power on which it rests. A power that ends is not kept up by the fact that it once was used.
    pub fn holds(&self, signatures: &[Signature<'_>], grace: Duration) -> Result<Option<Timestamp>, NoPower> {
        let newest = signatures.iter().map(|signature| signature.time).max();
        let newest = newest.ok_or(NoPower::NotBoth(Role::Learner))?;
        let theirs = signatures.iter().any(|signature| signature.role == Role::Learner);
        let joint = self.rule(newest) == Rule::Joint;
        if theirs && !joint {
            return Ok(None);
        }
        let (mut ends, mut lacking) = (None, NoPower::NotBoth(Role::Guardian));
        for signature in signatures.iter().filter(|signature| signature.role != Role::Learner) {
            match self.may(signature.role, signature.id, Act::Give, signature.time) {
                Ok(()) => ends = ends.max(self.power_ends(signature)),
                Err(no_power) => lacking = no_power,
            }
        }
        match ends {
            Some(_) if joint && !theirs => Err(NoPower::NotBoth(Role::Learner)),
            Some(ends) => {
                let of_age = self.threshold(newest).map_or(Timestamp::MAX, |from| from.plus(grace));
                Ok(Some(ends.min(of_age)).filter(|end| *end < Timestamp::MAX))
            }
            None => Err(lacking),
        }
    }

    /// When what somebody signed by a power ends with it. Parental authority that lasts until the learner comes of age ends by that alone.
    fn power_ends(&self, signature: &Signature<'_>) -> Option<Timestamp> {
        let used = |power: &&Power| {
            Some(power.id.as_str()) == signature.id
                && power.capacity.role() == signature.role
                && power.is_for(Scope::Give, signature.time)
        };
        let to_age = |power: &Power| {
            power.capacity == Capacity::ParentalAuthority
                && self.sole_consent_from.is_some_and(|from| from <= power.until)
        };
        let end = |power: &Power| if to_age(power) { Timestamp::MAX } else { power.until };
        self.powers.iter().filter(used).map(end).max()
    }

    /// Whether this person's word counts for this step at this time.
    pub fn may(&self, role: Role, id: Option<&str>, act: Act, at: Timestamp) -> Result<(), NoPower> {
        if !matches!(role, Role::Guardian | Role::Delegate) {
            return Ok(());
        }
        let id = id.ok_or(NoPower::Nameless)?;
        if role == Role::Guardian
            && let Some(from) = self.sole_consent_from.filter(|from| *from <= at)
        {
            return Err(NoPower::OfAge(from));
        }
        let scope = match act {
            Act::Withdraw => Scope::Withdraw,
            _ => Scope::Give,
        };
        let known = |power: &Power| power.id == id && power.capacity.role() == role && power.is_for(scope, at);
        // A child's own affairs are the child's and the parents': nobody represents a minor around them.
        let fits = |power: &Power| !(self.is_minor(at) && power.capacity != Capacity::ParentalAuthority);
        match self.powers.iter().any(|power| known(power) && fits(power)) {
            true => Ok(()),
            false => Err(NoPower::Unknown(role)),
        }
    }
}

#[cfg(test)]
mod tests;
