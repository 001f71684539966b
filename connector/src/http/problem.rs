//! Where every error becomes an HTTP status and a stable code. What it says to peers never tells more than they may know; what is
//! wrong inside is logged and not told. Here is the refusal itself and what every room shares; the errors of single rooms are in the files below.

mod audit;
mod consent;
mod contract;
mod trust;

use crate::{
    consent::Said,
    dsp::{
        MessageError,
        message::{self, Explanation, Pids},
    },
    jose::JoseError,
    process::ProcessError,
    store::StoreError,
};
use http::StatusCode;
use policy::{Fix, Language, Reason};
use serde_json::Value;

/// A peer is told so many reasons at most.
const MOST_REASONS: usize = 8;

/// A refusal on its way out.
#[derive(Clone, Debug)]
pub struct Problem {
    /// The status.
    pub status: StatusCode,
    /// A stable code.
    pub code: &'static str,
    /// One sentence for people.
    pub message: String,
    /// What to do about it.
    pub hint: Option<&'static str>,
    /// What a policy has against it; the code is that of the first.
    pub reasons: Vec<Reason>,
    /// Who alone can mend what a policy has against it, where that is not for the codes to say.
    pub by: Option<Fix>,
    /// The message in French and who can mend it, of what is refused about a consent.
    pub said: Option<Said>,
}

impl Problem {
    /// A problem without a hint.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            hint: None,
            reasons: Vec::new(),
            by: None,
            said: None,
        }
    }

    /// What a policy refuses has the code of the first reason; `code` is for what it refuses without one.
    fn by_policy(status: StatusCode, code: &'static str, error: &impl std::fmt::Display, reasons: Vec<Reason>) -> Self {
        let code = reasons.first().map_or(code, |reason| reason.code.as_str());
        Self {
            reasons,
            ..Self::new(status, code, error.to_string())
        }
    }

    /// What people on this side are told: of the refusal of a policy or about a consent the same text as everywhere, in their language.
    pub fn told(&self, language: Language) -> String {
        match (self.reasons.as_slice(), &self.said) {
            ([], Some(said)) => said.told(&self.message, language),
            ([], None) => self.message.clone(),
            (reasons, _) => reasons
                .iter()
                .map(|reason| reason.told_to(self.fix_of(reason), language))
                .collect::<Vec<_>>()
                .join("\n"),
        }
    }

    /// Who can mend what this reason is about.
    pub fn fix_of(&self, reason: &Reason) -> Fix {
        self.by.unwrap_or_else(|| reason.code.fix())
    }

    /// Who can mend it, where that is known.
    pub fn fix(&self) -> Option<Fix> {
        let reason = self.reasons.first().map(|reason| self.fix_of(reason));
        reason.or_else(|| self.said.as_ref().map(|said| said.fix))
    }

    /// It is told in more than one language.
    pub fn is_translated(&self) -> bool {
        !self.reasons.is_empty() || self.said.is_some()
    }

    fn said(self, said: Said) -> Self {
        Self {
            said: Some(said),
            ..self
        }
    }

    /// 400.
    pub fn bad_request(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// 404 for what does not exist or may not be known to exist.
    pub fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", format!("there is no such {what}"))
    }

    /// 413.
    pub fn too_large(limit: usize) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too-large",
            format!("the body is larger than {limit} bytes"),
        )
    }

    /// 408.
    pub fn timeout() -> Self {
        Self::new(
            StatusCode::REQUEST_TIMEOUT,
            "timeout",
            "the body did not arrive in time",
        )
    }

    pub(super) fn internal(error: &dyn std::fmt::Display) -> Self {
        tracing::error!(%error, "internal error");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "this connector failed; its operator finds the cause in its log",
        )
    }

    /// We could not sign. Where that is for the keeper of our key to mend, trying again later helps.
    pub(super) fn unsigned(error: &JoseError) -> Self {
        match error {
            JoseError::SignerFailed(_) => {
                tracing::error!(%error, "nothing can be signed");
                Self::unavailable("signer-failed", format!("nothing was changed: {error}"))
                    .hint("see that the command of the active [[key]] signs; connector serve --check tries it")
            }
            _ => Self::internal(error),
        }
    }

    /// 503.
    pub fn unavailable(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, message)
    }

    /// The same with a hint.
    pub fn hint(self, hint: &'static str) -> Self {
        Self {
            hint: Some(hint),
            ..self
        }
    }

    /// As the protocol writes it. Of a policy's refusal a peer is told codes and nodes alone.
    pub fn dsp(&self, type_name: &str, pids: Option<&Pids>) -> Value {
        let explanation = match self.reasons.as_slice() {
            [] => Explanation::new(self.code, self.message.clone()),
            reasons => Explanation {
                code: Some(self.code.to_owned()),
                reasons: reasons.iter().take(MOST_REASONS).map(Reason::disclosed).collect(),
            },
        };
        message::error(type_name, pids, &explanation)
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict { .. } => Self::unavailable("busy", "the state changed meanwhile; try again"),
            StoreError::TooLarge { .. } => Self::bad_request("too-large", "the content is too large to be stored"),
            StoreError::Failed(_) | StoreError::Closed => {
                tracing::error!(%error, "the store does not take writes");
                Self::unavailable(
                    "store-failed",
                    "this connector cannot write to its disk; nothing was changed",
                )
            }
            StoreError::InUse(_) | StoreError::Corrupt(_) | StoreError::Numbered => Self::internal(&error),
        }
    }
}

impl From<ProcessError> for Problem {
    fn from(error: ProcessError) -> Self {
        match error {
            ProcessError::NotFound => Self::not_found("process"),
            ProcessError::Refused(refused) if refused.is_temporary() => {
                Self::unavailable("not-yet", refused.to_string())
            }
            ProcessError::Refused(refused) => Self::bad_request("illegal-state", refused.to_string()),
            ProcessError::Replayed => Self::new(StatusCode::CONFLICT, "replayed", error.to_string()),
            ProcessError::PidMismatch => Self::bad_request("pid-mismatch", error.to_string()),
            ProcessError::Store(error) => error.into(),
            ProcessError::TooManyOpen(_) => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, "too-many-processes", error.to_string())
            }
            ProcessError::Busy => Self::unavailable("busy", error.to_string()),
        }
    }
}

impl From<MessageError> for Problem {
    fn from(error: MessageError) -> Self {
        Self::bad_request("invalid-message", error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        catalog::{CatalogError, DatasetError},
        transfer::TransferError,
    };
    use policy::Code;

    fn refused(code: Code) -> Problem {
        let text = "3 learners of did:web:lycee.example";
        TransferError::NotPermitted(vec![Reason::new(code, "/permission/0/constraint/1", text)]).into()
    }

    #[test]
    fn a_policys_refusal_has_the_code_and_the_text_of_its_table_in_both_languages() {
        for code in [Code::OutsideTime, Code::ConsentWithdrawn, Code::GroupTooSmall] {
            let problem = refused(code);
            assert_eq!(problem.code, code.as_str());
            for language in Language::ALL {
                let told = problem.told(language);
                assert!(told.contains(code.text(language)), "{told}");
                assert!(told.contains(code.fix().text(language)), "{told}");
            }
        }
        let used_up = Problem::from(TransferError::UsedUp("all the time was used"));
        assert_eq!(used_up.code, "SYS-01");
    }

    #[test]
    fn what_is_not_published_is_for_the_provider_to_mend_whatever_its_code_says_elsewhere() {
        for code in [Code::ConstraintFalse, Code::OutsideTime, Code::Prohibited] {
            let text = "\"minGroupSize lt 8\" is required, and it does not hold";
            let reason = Reason::new(code, "/permission/0/constraint/0", text);
            let problem = Problem::from(CatalogError::Dataset(DatasetError::NotUnderstood(vec![reason])));
            assert_eq!((problem.code, problem.fix()), (code.as_str(), Some(Fix::Provider)));
            for language in Language::ALL {
                let told = problem.told(language);
                assert!(told.ends_with(&format!("({})", Fix::Provider.told(language))), "{told}");
            }
        }
    }

    #[test]
    fn a_peer_is_told_the_code_and_the_node_and_neither_learners_nor_counts() {
        for code in Code::ALL {
            let told = refused(*code).dsp("TransferError", None);
            assert_eq!(told["code"], code.as_str());
        }
        for code in [
            Code::OutsideTime,
            Code::ConsentNone,
            Code::GroupTooSmall,
            Code::CountExhausted,
        ] {
            let told = refused(code).dsp("TransferError", None).to_string();
            assert!(
                told.contains(&format!("{code} at /permission/0/constraint/1")),
                "{told}"
            );
            assert!(!told.contains("learner") && !told.contains("lycee"), "{told}");
        }
    }
}
