//! What the live index is told: the one place that turns a record into what permits.

use super::{
    index::{Covered, Ended, Grant, Index, Request},
    record::{Consent, GrantError, Stored},
    state::{Act, Role, State},
};
use policy::Timestamp;

/// What the index hears of every record, decided or not.
fn covered(consent: &Consent) -> Covered<'_> {
    Covered {
        recipients: &consent.recipients,
        purposes: &consent.purposes,
        datasets: &consent.datasets,
        categories: &consent.categories,
        agreement: consent.agreement.as_ref(),
    }
}

/// The record as the index takes it in; none while it is undecided. `of_age`: from when on the learner is no minor, where that is known.
fn grant(stored: &Stored, of_age: Option<Timestamp>) -> Option<Grant<'_>> {
    let (ended, guardian_missing) = match stored.state {
        State::Given => (None, false),
        // The learner has said yes: what is missing is the guardian's word, and that is the reason to name.
        State::PendingSecond => (None, true),
        State::Expired | State::Superseded => (Some(Ended::Expired), false),
        State::Withdrawn => (Some(Ended::Withdrawn), false),
        State::Revoked | State::Invalidated => (Some(Ended::Revoked), false),
        State::Refused => (Some(Ended::Refused), false),
        State::Requested | State::Deferred | State::PendingLearner => return None,
    };
    let consent = &stored.consent;
    let mut facts = stored.events.iter().map(|event| &event.fact);
    Some(Grant {
        id: &consent.id,
        subject: &consent.subject,
        covered: covered(consent),
        fields: &consent.fields,
        from: consent.given,
        until: stored.ends(),
        aggregate_only: consent.aggregate_only,
        min_group_size: consent.min_group_size,
        guardian_missing,
        guardian_gave: facts.any(|fact| fact.act == Act::Give && fact.role == Role::Guardian),
        most_transfers: consent.max_count,
        of_age,
        ended,
    })
}

/// The record as the index takes it in while it is undecided: it permits nothing, and keeps nothing back.
fn request(stored: &Stored) -> Request<'_> {
    let consent = &stored.consent;
    Request {
        id: &consent.id,
        subject: &consent.subject,
        covered: covered(consent),
        until: stored.until,
    }
}

/// Takes a record in at the start.
pub(super) fn load(index: &Index, stored: &Stored, of_age: Option<Timestamp>) -> Result<(), GrantError> {
    let Some(grant) = grant(stored, of_age) else {
        return index.ask(&request(stored));
    };
    index.answered(grant.subject, grant.id);
    index.open(&grant)
}

/// Takes in what was committed, as it is from now on. What a word of the learner's ended was closed before the commit, and stands as it is.
pub(super) fn follow(index: &Index, stored: &Stored, of_age: Option<Timestamp>) -> Result<(), GrantError> {
    match stored.state {
        State::Withdrawn => Ok(()),
        _ => load(index, stored, of_age),
    }
}

/// Whether another lawful basis yields to what this record says: the learner was asked, and said something.
pub(super) fn counts(stored: &Stored) -> bool {
    grant(stored, None).is_some()
}
