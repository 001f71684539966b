//! What is wrong with a consent, a link or a message about consents. What people are told of it in which language, and who can mend it, says the
//! table of `consent` (`consent/words.rs`).

use super::Problem;
use crate::consent::{ConsentError, exchange::ExchangeError, links::LinkError, state::Illegal};
use http::StatusCode;

impl From<ConsentError> for Problem {
    fn from(error: ConsentError) -> Self {
        let (said, hint) = (error.said(), hint(&error));
        let problem = match error {
            ConsentError::Store(error) => error.into(),
            ConsentError::Signing(error) => Self::unsigned(&error),
            ConsentError::Import { entry, cause } => return Self::from(*cause).of_entry(entry),
            error => {
                let (status, code) = consent_code(&error);
                Self::new(status, code, error.to_string())
            }
        };
        Self {
            hint: hint.or(problem.hint),
            ..problem.said(said)
        }
    }
}

/// Which command shows or ends what stands in the way.
const fn hint(error: &ConsentError) -> Option<&'static str> {
    match error {
        ConsentError::InForce => {
            Some("see: connector consent list --subject LEARNER; then: connector consent withdraw --subject LEARNER")
        }
        ConsentError::ObjectionInForce | ConsentError::RefusalInForce => {
            Some("see: connector basis list; then: connector basis end ID")
        }
        ConsentError::BasisInForce(_) => Some("end it with: connector basis end ID"),
        ConsentError::RestrictionInForce => {
            Some("see: connector restriction list --subject LEARNER; then: connector restriction lift ID")
        }
        ConsentError::NoticeReplaced => Some("the newest is in: connector notice list"),
        ConsentError::LiftUntold => Some("repeat it with --evidence WHERE"),
        _ => None,
    }
}

impl Problem {
    /// The same of an entry of a list.
    #[must_use]
    pub fn of_entry(self, entry: usize) -> Self {
        Self {
            message: format!("entry {entry}: {}", self.message),
            said: self.said.map(|said| said.of_entry(entry)),
            ..self
        }
    }
}

/// A status and a stable code for each way in which a consent is not recorded or changed.
fn consent_code(error: &ConsentError) -> (StatusCode, &'static str) {
    match error {
        ConsentError::Grant(_) | ConsentError::TooLarge | ConsentError::Import { .. } => {
            (StatusCode::UNPROCESSABLE_ENTITY, "invalid-consent")
        }
        ConsentError::InvalidNotice(_) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid-notice"),
        ConsentError::Basis(_) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid-basis"),
        ConsentError::Restriction(_) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid-restriction"),
        ConsentError::LiftUntold => (StatusCode::UNPROCESSABLE_ENTITY, "learner-not-told"),
        ConsentError::AlreadyRestricted(_) => (StatusCode::CONFLICT, "already-restricted"),
        ConsentError::AlreadyLifted(_) => (StatusCode::CONFLICT, "already-lifted"),
        ConsentError::BasisEnded => (StatusCode::CONFLICT, "ended"),
        ConsentError::NoObjection => (StatusCode::CONFLICT, "no-objection"),
        ConsentError::AlreadyObjected => (StatusCode::CONFLICT, "already-objected"),
        ConsentError::Standing(_) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid-standing"),
        ConsentError::Future(_) => (StatusCode::UNPROCESSABLE_ENTITY, "in-the-future"),
        ConsentError::Illegal(Illegal::Backwards { .. }) => (StatusCode::UNPROCESSABLE_ENTITY, "backwards"),
        ConsentError::UnknownNotice(_) => (StatusCode::UNPROCESSABLE_ENTITY, "unknown-notice"),
        ConsentError::UnknownAgreement(_) => (StatusCode::UNPROCESSABLE_ENTITY, "unknown-agreement"),
        ConsentError::NothingToWithdraw | ConsentError::NothingTowards(_) => {
            (StatusCode::NOT_FOUND, "nothing-to-withdraw")
        }
        ConsentError::UnknownLearner => (StatusCode::NOT_FOUND, "unknown-learner"),
        ConsentError::Unknown | ConsentError::UnknownBasis | ConsentError::UnknownRestriction => {
            (StatusCode::NOT_FOUND, "not-found")
        }
        ConsentError::InForce
        | ConsentError::ObjectionInForce
        | ConsentError::RefusalInForce
        | ConsentError::RestrictionInForce => (StatusCode::CONFLICT, "in-force"),
        ConsentError::BasisInForce(_) => (StatusCode::CONFLICT, "basis-in-force"),
        ConsentError::Illegal(Illegal::NotTheirs(..) | Illegal::BothAnew)
        | ConsentError::NoPower(_)
        | ConsentError::NotTheirRestriction(_) => (StatusCode::FORBIDDEN, "no-power"),
        ConsentError::Illegal(Illegal::Ended(_)) => (StatusCode::CONFLICT, "ended"),
        ConsentError::Illegal(_) => (StatusCode::CONFLICT, "illegal-step"),
        ConsentError::Lapsed(_) => (StatusCode::CONFLICT, "lapsed"),
        ConsentError::NoticeReplaced => (StatusCode::CONFLICT, "notice-replaced"),
        ConsentError::NoticeExists => (StatusCode::CONFLICT, "exists"),
        ConsentError::AlreadyAsked(_) => (StatusCode::CONFLICT, "already-asked"),
        ConsentError::AlreadyGiven(_) => (StatusCode::CONFLICT, "already-given"),
        ConsentError::TooManySteps => (StatusCode::CONFLICT, "too-many-steps"),
        ConsentError::TooSoon(_) => (StatusCode::TOO_MANY_REQUESTS, "too-soon"),
        ConsentError::TooManyRequests(_) => (StatusCode::TOO_MANY_REQUESTS, "too-many-requests"),
        ConsentError::Store(_) | ConsentError::Signing(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
    }
}

impl From<LinkError> for Problem {
    fn from(error: LinkError) -> Self {
        let (text, said) = (error.to_string(), error.said());
        let problem = match error {
            LinkError::Invalid(_) => Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid-link", text),
            LinkError::NotFound => Self::not_found("link"),
            LinkError::NothingToConfirm => Self::new(StatusCode::CONFLICT, "nothing-to-confirm", text),
            LinkError::TimeOver => Self::new(StatusCode::CONFLICT, "lapsed", text),
            LinkError::Busy => Self::unavailable("busy", text),
            LinkError::Store(error) => error.into(),
            LinkError::Random(error) => Self::internal(&error),
        };
        problem.said(said)
    }
}

impl From<ExchangeError> for Problem {
    fn from(error: ExchangeError) -> Self {
        let (text, said) = (error.to_string(), error.said());
        let refused = |status, code| Self::new(status, code, text.clone());
        let problem = match error {
            ExchangeError::Invalid(_) => refused(StatusCode::BAD_REQUEST, "invalid-message"),
            ExchangeError::Unsigned => refused(StatusCode::UNAUTHORIZED, "signature-missing"),
            ExchangeError::WrongParty(_) => refused(StatusCode::FORBIDDEN, "wrong-party"),
            ExchangeError::NoAgreement => refused(StatusCode::FORBIDDEN, "no-agreement"),
            ExchangeError::UnknownNotice => refused(StatusCode::NOT_FOUND, "unknown-notice"),
            ExchangeError::Notice => refused(StatusCode::BAD_REQUEST, "notice-hash"),
            ExchangeError::UnknownLearner => refused(StatusCode::NOT_FOUND, "unknown-learner"),
            ExchangeError::LinkedOtherwise => refused(StatusCode::NOT_FOUND, "linked-otherwise"),
            ExchangeError::NotCovered(_) => refused(StatusCode::FORBIDDEN, "not-covered"),
            // Not a matter of moments: the message is not to be sent again and again until then.
            ExchangeError::Consent(ConsentError::TooSoon(_)) => refused(StatusCode::FORBIDDEN, "too-soon"),
            ExchangeError::Consent(error) => error.into(),
            ExchangeError::Link => refused(StatusCode::NOT_FOUND, "link"),
            ExchangeError::TooOften => refused(StatusCode::TOO_MANY_REQUESTS, "too-often"),
            ExchangeError::Stale(_) => refused(StatusCode::GONE, "stale"),
            ExchangeError::Replayed => refused(StatusCode::CONFLICT, "replayed"),
            ExchangeError::Reused => refused(StatusCode::CONFLICT, "id-reused"),
            ExchangeError::Busy => Self::unavailable("busy", text),
            ExchangeError::Store(error) => error.into(),
        };
        problem.said(said)
    }
}

#[cfg(test)]
mod tests;
