//! The section `[privacy]`: what the holder tells about itself in consent records, and how long things take.

use crate::{
    consent::{MOST_DELETION, Privacy, law::Country},
    dsp::ParticipantId,
};
use serde::{Deserialize, de::Error};
use std::time::Duration;
use url::Url;

/// The section as it is written; what is left out is made from the participant's id and address.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Written {
    name: Option<String>,
    address: Option<String>,
    contact: Option<String>,
    dpo: Option<String>,
    country: Option<Country>,
    authority: Option<String>,
    authority_contact: Option<String>,
    storage: Option<Vec<Country>>,
    withdraw_at: Option<String>,
    #[serde(deserialize_with = "period")]
    retention: Option<Duration>,
    #[serde(deserialize_with = "deletion")]
    deletion: Option<Duration>,
    #[serde(deserialize_with = "period")]
    validity: Option<Duration>,
    #[serde(deserialize_with = "period")]
    request_pause: Option<Duration>,
    #[serde(deserialize_with = "period")]
    coming_of_age_grace: Option<Duration>,
}

fn period<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    super::file::period(deserializer).map(Some)
}

fn deletion<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    match super::file::period(deserializer)? {
        period if period > MOST_DELETION => Err(D::Error::custom(
            "recipients have to erase within a month, at most \"30d\" (GDPR Art. 12(3))",
        )),
        period => Ok(Some(period)),
    }
}

impl Written {
    /// With what was left out.
    pub(super) fn known(self, did: &ParticipantId, public_url: &Url) -> Privacy {
        let mut known = Privacy::of(did, public_url.as_str().trim_end_matches('/'));
        let texts = [
            (&mut known.name, self.name),
            (&mut known.address, self.address),
            (&mut known.contact, self.contact),
            (&mut known.dpo, self.dpo),
            (&mut known.authority.name, self.authority),
            (&mut known.authority.contact, self.authority_contact),
            (&mut known.withdraw_at, self.withdraw_at),
        ];
        for (place, text) in texts {
            if let Some(text) = text.filter(|text| !text.trim().is_empty()) {
                *place = text;
            }
        }
        known.country = self.country.unwrap_or(known.country);
        known.storage = self.storage.filter(|all| !all.is_empty()).unwrap_or(known.storage);
        let days = |period: Duration| u32::try_from(period.as_secs().div_ceil(86_400)).unwrap_or(u32::MAX);
        known.retention_days = self.retention.map_or(known.retention_days, days);
        known.deletion = self.deletion.unwrap_or(known.deletion);
        known.validity = self.validity.unwrap_or(known.validity);
        known.request_pause = self.request_pause.unwrap_or(known.request_pause);
        known.coming_of_age_grace = self.coming_of_age_grace.unwrap_or(known.coming_of_age_grace);
        known
    }
}
