//! What must be true of a consent that comes in, whoever enters it. Pure.

use super::{Actor, GrantError, NewConsent};
use crate::{
    catalog::shape::Pointer,
    dsp::{DatasetId, ParticipantId},
};
use policy::{
    Category, Timestamp, purpose_iri,
    release::{GroupSize, MAX_LEARNERS},
};
use std::{ops::RangeInclusive, time::Duration};

/// Most members of a list.
const MOST: usize = 64;
/// Most text in all lists together, in bytes: a receipt repeats them, and has to fit into what is stored and signed.
const MOST_TEXT: usize = 8 * 1024;
/// A consent that never ends is none (DPV's `EndlessDuration` is refused): this is as good as never.
const LONGEST: Duration = Duration::from_secs(10 * 366 * 24 * 3600);
/// Most transfers of a consent that is limited to a number of them, each of which is kept by name: one a day for a year.
const MOST_TRANSFERS: u64 = 366;
/// Group sizes that a consent may ask for: no release has smaller groups, and none counts enough learners for larger ones.
const GROUP_SIZES: RangeInclusive<u32> = GroupSize::FLOOR..=MAX_LEARNERS as u32;

pub(super) fn text(name: &'static str, text: &str, limit: usize) -> Result<(), GrantError> {
    if text.trim().is_empty() {
        Err(GrantError::Invalid(name, "is missing"))
    } else if text.len() > limit {
        Err(GrantError::Invalid(name, "is too long"))
    } else {
        Ok(())
    }
}

/// Whether what comes in is complete and makes sense.
pub(super) fn check(new: &NewConsent, now: Timestamp) -> Result<(), GrantError> {
    text("subject", &new.subject, 512)?;
    if new.subject.chars().any(char::is_control) {
        return Err(GrantError::Invalid("subject", "has a control character"));
    }
    text("method (how the consent was collected)", &new.method, 128)?;
    text("evidence (where the proof of the consent is kept)", &new.evidence, 1024)?;
    let hex = new.notice.strip_prefix("sha256:").unwrap_or_default();
    if hex.len() != 64 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(GrantError::Invalid(
            "notice",
            "must be the notice's hash: sha256: and 64 hex digits",
        ));
    }
    lists(new)?;
    special(new)?;
    if new.expires.is_some_and(|expires| expires <= now) {
        return Err(GrantError::Invalid("expires", "is in the past"));
    }
    if new.expires.is_some_and(|expires| expires > now.plus(LONGEST)) {
        return Err(GrantError::Invalid(
            "expires",
            "is more than ten years from now: a consent has an end",
        ));
    }
    if new.max_count.is_some_and(|most| !(1..=MOST_TRANSFERS).contains(&most)) {
        return Err(GrantError::Invalid(
            "maxCount",
            "must be a number of transfers from 1 to 366; leave it out for any number",
        ));
    }
    // One of them could use up what the learner meant for the other, and each would see how often the other asked.
    if new.max_count.is_some() && new.recipients.len() > 1 {
        return Err(GrantError::Invalid(
            "maxCount",
            "is for one recipient: give each of them a consent of its own",
        ));
    }
    if new.min_group_size.is_some_and(|least| !GROUP_SIZES.contains(&least)) {
        return Err(GrantError::Invalid(
            "minGroupSize",
            "must be a number of learners from 5, the least of any release, to 1000000; leave it out for groups of any size",
        ));
    }
    if new.retention_days == Some(0) {
        return Err(GrantError::Invalid(
            "retentionDays",
            "must be at least one day; leave it out for what the holder's privacy settings say",
        ));
    }
    if new.signed_by.len() > 2 {
        return Err(GrantError::Invalid("signedBy", "has more than 2 members"));
    }
    new.signed_by.iter().try_for_each(Actor::check)
}

fn lists(new: &NewConsent) -> Result<(), GrantError> {
    let some = |name: &'static str, empty: bool| match empty {
        true => Err(GrantError::Invalid(name, "are missing")),
        false => Ok(()),
    };
    some("recipients", new.recipients.is_empty())?;
    some("purposes", new.purposes.is_empty())?;
    some("categories", new.categories.is_empty())?;
    let lengths = [
        new.recipients.len(),
        new.purposes.len(),
        new.categories.len(),
        new.datasets.len(),
        new.fields.len(),
    ];
    if lengths.iter().any(|length| *length > MOST) {
        return Err(GrantError::Invalid("a list", "has more than 64 members"));
    }
    let recipients = new.recipients.iter().map(ParticipantId::as_str);
    let datasets = new.datasets.iter().map(DatasetId::as_str);
    let texts = new.purposes.iter().chain(&new.categories).chain(&new.fields);
    let all = recipients.chain(datasets).chain(texts.map(String::as_str));
    if all.map(str::len).sum::<usize>() > MOST_TEXT {
        return Err(GrantError::Invalid("the lists", "are longer than 8 KiB together"));
    }
    new.purposes
        .iter()
        .try_for_each(|purpose| text("purpose", purpose, 512))?;
    if new.purposes.iter().any(|purpose| purpose_iri(purpose).is_none()) {
        return Err(GrantError::Invalid(
            "purposes",
            "has a text that is no purpose: an IRI such as https://w3id.org/dpv#Marketing, or one name such as orientation",
        ));
    }
    // The spelling of a pointer is unique, so that those of consents and of datasets are compared as texts.
    if new.fields.iter().any(|field| field.parse::<Pointer>().is_err()) {
        return Err(GrantError::Invalid(
            "fields",
            "has a text that is no JSON pointer to a field, such as /result/score",
        ));
    }
    // A misspelt category would be recorded and then cover nothing.
    let is_category = |name: &String| Category::read(name).is_some_and(|known| known.name() == name);
    if !new.categories.iter().all(is_category) {
        return Err(GrantError::Invalid(
            "categories",
            "has a name that is no data category (identity, results, skills, certificates, activity-traces, experience, provenance, special-needs)",
        ));
    }
    Ok(())
}

/// Special categories are never among what is agreed to by the way (GDPR art. 9).
fn special(new: &NewConsent) -> Result<(), GrantError> {
    let asked = new.categories.iter().any(|name| name == Category::SpecialNeeds.name());
    match (asked, new.explicit) {
        (true, false) => Err(GrantError::Invalid(
            "explicit",
            "must be true for special-needs: special categories of data take explicit consent (GDPR art. 9)",
        )),
        (false, true) => Err(GrantError::Invalid(
            "explicit",
            "is for special categories of data alone, and none is named",
        )),
        _ => Ok(()),
    }
}
