//! What the holder tells about itself in every consent record (GDPR art. 13), and how long things take here.

use super::law::Country;
use crate::dsp::ParticipantId;
use std::time::Duration;

/// A day.
pub const DAY: Duration = Duration::from_secs(24 * 3600);

/// Nobody has longer to erase: the month of GDPR Art. 12(3), counted as 30 days.
pub const MOST_DELETION: Duration = Duration::from_secs(30 * 24 * 3600);

/// The holder as a controller, and its rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Privacy {
    /// Legal name.
    pub name: String,
    /// Postal address.
    pub address: String,
    /// How to reach it.
    pub contact: String,
    /// How to reach its data protection officer.
    pub dpo: String,
    /// Whose law applies; it also decides the age of sole consent.
    pub country: Country,
    /// The supervisory authority: its name and where to complain.
    pub authority: Authority,
    /// Countries in which records are stored and processed.
    pub storage: Vec<Country>,
    /// Rights of the learner, as terms of DPV's GDPR extension.
    pub rights: Vec<String>,
    /// Where consent is withdrawn.
    pub withdraw_at: String,
    /// For how many days a recipient may keep records, where a consent does not say.
    pub retention_days: u32,
    /// A recipient deletes what it has within this time after a withdrawal, at most [`MOST_DELETION`].
    pub deletion: Duration,
    /// For how long a consent without a stated end holds.
    pub validity: Duration,
    /// After a refusal, nobody asks for the same within this time.
    pub request_pause: Duration,
    /// For how long what a child and a guardian gave goes on after the learner comes of age, for the learner to reaffirm it.
    pub coming_of_age_grace: Duration,
}

/// A supervisory authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// Its name.
    pub name: String,
    /// Where to complain.
    pub contact: String,
}

/// Withdrawal, access, rectification, erasure, restriction, portability, objection, complaint.
const RIGHTS: [&str; 8] = ["A7-3", "A15", "A16", "A17", "A18", "A20", "A21", "A77"];

impl Privacy {
    /// What can be said of a participant whose operator said nothing more.
    pub fn of(did: &ParticipantId, root: &str) -> Self {
        Self {
            name: did.to_string(),
            address: root.to_owned(),
            contact: root.to_owned(),
            dpo: root.to_owned(),
            country: Country::FRANCE,
            authority: Authority {
                name: "Commission nationale de l'informatique et des libertés (CNIL)".into(),
                contact: "https://www.cnil.fr/fr/plaintes".into(),
            },
            storage: vec![Country::FRANCE],
            rights: RIGHTS.map(|article| format!("eu-gdpr:{article}")).to_vec(),
            withdraw_at: root.to_owned(),
            retention_days: 365,
            deletion: MOST_DELETION,
            validity: 365 * DAY,
            request_pause: 30 * DAY,
            coming_of_age_grace: Duration::ZERO,
        }
    }
}
