//! Where every error becomes an HTTP status and a stable code. What it says to peers never tells more than they may know; what is
//! wrong inside is logged and not told.

use crate::{
    audit::{AuditError, witness::Refusal},
    catalog::CatalogError,
    consent::{ConsentError, exchange::ExchangeError, links::LinkError, state::Illegal},
    contract::ContractError,
    dsp::{
        MessageError,
        message::{self, Explanation, Pids},
    },
    evidence::EvidenceError,
    jose::JoseError,
    peer::PeerError,
    plane::PlaneError,
    process::{ProcessError, Verdict},
    store::StoreError,
    transfer::{NEUTRAL, TransferError},
    trust::{NotAMember, TrustError, did::DidError},
};
use http::StatusCode;
use policy::{Language, Reason};
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

    /// What people on this side are told: of a policy's refusal the same text as everywhere, in their language.
    pub fn told(&self, language: Language) -> String {
        match self.reasons.as_slice() {
            [] => self.message.clone(),
            reasons => reasons
                .iter()
                .map(|reason| reason.told(language))
                .collect::<Vec<_>>()
                .join("\n"),
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

impl From<TrustError> for Problem {
    fn from(error: TrustError) -> Self {
        let unauthorized = |code| Self::new(StatusCode::UNAUTHORIZED, code, error.to_string());
        match &error {
            TrustError::SignatureMissing => unauthorized("signature-missing"),
            TrustError::UnknownPeer => unauthorized("unknown-peer"),
            TrustError::NotAMember(NotAMember::Busy) => Self::unavailable("busy", error.to_string()),
            // Its signature was not looked at yet: whoever asks could have any address tried, and would read here what was found.
            TrustError::NotAMember(cause) => {
                tracing::info!(%cause, "a caller is no member");
                let text = format!("the sender is neither a known peer nor a member: {}", cause.outline());
                Self::new(StatusCode::UNAUTHORIZED, "not-a-member", text)
            }
            TrustError::RevokedKey => unauthorized("revoked-key"),
            TrustError::Unauthorized => unauthorized("unauthorized"),
            TrustError::Did(DidError::Store(error)) => error.clone().into(),
            TrustError::Did(_) => {
                tracing::warn!(%error, "a caller's keys are not to be had");
                unauthorized("no-key")
            }
            TrustError::Stripped(_) => unauthorized("signature-stripped"),
            TrustError::Signature(cause) => unauthorized(signature_code(cause)),
            TrustError::Store(cause) => cause.clone().into(),
        }
    }
}

/// A stable code for each way in which a signature fails.
fn signature_code(error: &JoseError) -> &'static str {
    match error {
        JoseError::SignatureMissing => "signature-missing",
        JoseError::TooLarge(_) => "signature-too-large",
        JoseError::Malformed(_) | JoseError::NotBase64Url | JoseError::NotCanonical | JoseError::Json(_) => {
            "signature-malformed"
        }
        JoseError::AlgorithmNotAllowed => "algorithm-not-allowed",
        JoseError::EmbeddedKey(_) => "embedded-key",
        JoseError::UnencodedPayload => "unencoded-payload",
        JoseError::UnknownCritical => "unknown-critical",
        JoseError::UnknownMember(_) | JoseError::MissingMember(_) | JoseError::InvalidMember(_) => "signature-header",
        JoseError::WrongType => "wrong-type",
        JoseError::WrongKeyId | JoseError::WrongIssuer | JoseError::UnknownKey | JoseError::WrongKey => "wrong-key",
        JoseError::WrongParty => "wrong-party",
        JoseError::WrongAudience => "wrong-audience",
        JoseError::WrongRoute | JoseError::WrongRequest | JoseError::WrongStatus => "wrong-route",
        JoseError::Expired => "expired",
        JoseError::NotYetValid => "not-yet-valid",
        JoseError::LifetimeTooLong => "lifetime-too-long",
        JoseError::BadSignature => "bad-signature",
        JoseError::CannotSign(_) | JoseError::SignerFailed(_) | JoseError::Canonical(_) => "cannot-sign",
    }
}

impl From<CatalogError> for Problem {
    fn from(error: CatalogError) -> Self {
        match error {
            CatalogError::Dataset(error) => {
                let status = StatusCode::UNPROCESSABLE_ENTITY;
                Self::by_policy(status, "invalid-dataset", &error, error.reasons())
            }
            CatalogError::Exists(_) => Self::new(StatusCode::CONFLICT, "exists", error.to_string()),
            CatalogError::NotFound => Self::not_found("dataset"),
            CatalogError::Store(error) => error.into(),
        }
    }
}

impl From<ContractError> for Problem {
    fn from(error: ContractError) -> Self {
        let by_policy = |code| Self::by_policy(StatusCode::BAD_REQUEST, code, &error, error.reasons());
        match error {
            ContractError::Policy(_) => by_policy("policy-not-understood"),
            ContractError::NotPermitted(_) => by_policy("not-permitted"),
            ContractError::Process(error) => error.into(),
            ContractError::Message(error) => error.into(),
            ContractError::UnknownOffer(_) => Self::bad_request("unknown-offer", error.to_string()),
            ContractError::AgreementDiffers(_) => Self::bad_request("agreement-differs", error.to_string()),
            ContractError::NotJudged => Self::unavailable("not-yet", error.to_string()),
            ContractError::AgreementSignature(_) => Self::bad_request("agreement-signature", error.to_string()),
            ContractError::Callback(_) => Self::bad_request("callback", error.to_string()),
            ContractError::Invalid(_) => Self::bad_request("invalid", error.to_string()),
            ContractError::Did(error) => Self::unavailable("no-key", error.to_string()),
            ContractError::Signing(error) => Self::unsigned(&error),
            ContractError::Trust(error) => error.into(),
        }
    }
}

impl From<TransferError> for Problem {
    fn from(error: TransferError) -> Self {
        let text = error.to_string();
        match error {
            TransferError::Process(error) => error.into(),
            TransferError::Message(_) => Self::bad_request("invalid-message", text),
            TransferError::UnknownAgreement(_) => Self::bad_request("unknown-agreement", text),
            TransferError::UnknownDataset => Self::bad_request("unknown-dataset", text),
            TransferError::UnknownFormat(_) => Self::bad_request("unknown-format", text),
            TransferError::NotPermitted(_) | TransferError::Policy(_) | TransferError::UsedUp(_) => {
                Self::by_policy(StatusCode::BAD_REQUEST, "not-permitted", &error, error.reasons())
            }
            TransferError::Callback(_) => Self::bad_request("callback", text),
            TransferError::Invalid(_) => Self::bad_request("invalid", text),
            TransferError::Receipt(_) => Self::bad_request("receipt", text),
            TransferError::Signing(error) => Self::unsigned(&error),
            // Who is a member no more is told so; what is about this moment may pass.
            TransferError::NotAPeer(TrustError::NotAMember(cause)) if !cause.is_final() => {
                Self::unavailable("not-now", text)
            }
            TransferError::NotAPeer(_) => Self::new(StatusCode::FORBIDDEN, "not-a-member", text),
            TransferError::Token => Self::new(StatusCode::UNAUTHORIZED, "token", text),
            TransferError::NotStarted => Self::new(StatusCode::CONFLICT, "not-started", text),
            TransferError::Ended => Self::new(StatusCode::FORBIDDEN, "ended", text),
            TransferError::TooManyStreams => Self::unavailable("too-many-streams", text),
            TransferError::TooOften => Self::new(StatusCode::TOO_MANY_REQUESTS, "too-often", text),
            TransferError::Release(error) => {
                tracing::warn!(%error, "a release was refused");
                Self::new(StatusCode::CONFLICT, "release", NEUTRAL)
            }
            TransferError::Plane(PlaneError::Cursor(_)) => Self::new(StatusCode::GONE, "cursor", text),
            TransferError::Plane(error) => Self::internal(&error),
        }
    }
}

impl From<ConsentError> for Problem {
    fn from(error: ConsentError) -> Self {
        match error {
            ConsentError::Store(error) => return error.into(),
            ConsentError::Signing(error) => return Self::unsigned(&error),
            ConsentError::Import { entry, cause } => {
                let known = Self::from(*cause);
                return Self {
                    message: format!("entry {entry}: {}", known.message),
                    ..known
                };
            }
            _ => {}
        }
        let (status, code) = consent_code(&error);
        Self::new(status, code, error.to_string())
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
        ConsentError::NoObjection => (StatusCode::CONFLICT, "no-objection"),
        ConsentError::AlreadyObjected => (StatusCode::CONFLICT, "already-objected"),
        ConsentError::Standing(_) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid-standing"),
        ConsentError::Future(_) => (StatusCode::UNPROCESSABLE_ENTITY, "in-the-future"),
        ConsentError::Illegal(Illegal::Backwards { .. }) => (StatusCode::UNPROCESSABLE_ENTITY, "backwards"),
        ConsentError::UnknownNotice(_) => (StatusCode::UNPROCESSABLE_ENTITY, "unknown-notice"),
        ConsentError::NothingToWithdraw => (StatusCode::NOT_FOUND, "nothing-to-withdraw"),
        ConsentError::UnknownLearner => (StatusCode::NOT_FOUND, "unknown-learner"),
        ConsentError::Unknown => (StatusCode::NOT_FOUND, "not-found"),
        ConsentError::InForce | ConsentError::ObjectionInForce | ConsentError::RefusalInForce => {
            (StatusCode::CONFLICT, "in-force")
        }
        ConsentError::BasisInForce(_) => (StatusCode::CONFLICT, "basis-in-force"),
        ConsentError::Illegal(Illegal::NotTheirs(..)) | ConsentError::NoPower(_) => (StatusCode::FORBIDDEN, "no-power"),
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
        let text = error.to_string();
        match error {
            LinkError::Invalid(_) => Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid-link", text),
            LinkError::NotFound => Self::not_found("link"),
            LinkError::Step(_) => Self::new(StatusCode::CONFLICT, "not-at-this-step", text),
            LinkError::Busy => Self::unavailable("busy", text),
            LinkError::Store(error) => error.into(),
            LinkError::Random(error) => Self::internal(&error),
        }
    }
}

impl From<ExchangeError> for Problem {
    fn from(error: ExchangeError) -> Self {
        let text = error.to_string();
        let refused = |status, code| Self::new(status, code, text.clone());
        match error {
            ExchangeError::Invalid(_) => refused(StatusCode::BAD_REQUEST, "invalid-message"),
            ExchangeError::Unsigned => refused(StatusCode::UNAUTHORIZED, "signature-missing"),
            ExchangeError::WrongParty(_) => refused(StatusCode::FORBIDDEN, "wrong-party"),
            ExchangeError::NoAgreement => refused(StatusCode::FORBIDDEN, "no-agreement"),
            ExchangeError::UnknownNotice => refused(StatusCode::NOT_FOUND, "unknown-notice"),
            ExchangeError::Notice => refused(StatusCode::BAD_REQUEST, "notice-hash"),
            ExchangeError::UnknownLearner => refused(StatusCode::NOT_FOUND, "unknown-learner"),
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
        }
    }
}

impl From<AuditError> for Problem {
    fn from(error: AuditError) -> Self {
        match error {
            AuditError::Store(error) => error.into(),
            AuditError::NoEntry(_) => Self::new(StatusCode::NOT_FOUND, "not-found", error.to_string()),
            AuditError::NotSealed(_) => Self::unavailable("not-sealed", error.to_string()),
            error => Self::new(StatusCode::CONFLICT, "audit-broken", error.to_string()),
        }
    }
}

impl From<Refusal> for Problem {
    fn from(error: Refusal) -> Self {
        let refused = |status, code| Self::new(status, code, error.to_string());
        match error {
            Refusal::Malformed(_) => refused(StatusCode::BAD_REQUEST, "invalid"),
            Refusal::UnknownOrigin => refused(StatusCode::NOT_FOUND, "unknown-origin"),
            Refusal::NotSigned => refused(StatusCode::FORBIDDEN, "not-signed"),
            Refusal::Contested => refused(StatusCode::FORBIDDEN, "contested"),
            Refusal::OtherSize(_) => refused(StatusCode::CONFLICT, "other-size"),
            Refusal::Forked(_) => refused(StatusCode::CONFLICT, "forked"),
            Refusal::Inconsistent => refused(StatusCode::UNPROCESSABLE_ENTITY, "inconsistent"),
            Refusal::Store(error) => error.into(),
            Refusal::Signing(error) => Self::internal(&error),
        }
    }
}

impl From<EvidenceError> for Problem {
    fn from(error: EvidenceError) -> Self {
        match error {
            EvidenceError::NotFound(_) => Self::new(StatusCode::NOT_FOUND, "not-found", error.to_string())
                .hint("list what there is with: connector agreement list"),
            EvidenceError::Unrecorded(_) | EvidenceError::Damaged(_) => {
                Self::new(StatusCode::CONFLICT, "audit-broken", error.to_string())
            }
            EvidenceError::Busy => Self::unavailable("busy", error.to_string()),
            EvidenceError::TooLarge => Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", error.to_string()),
            EvidenceError::Store(error) => error.into(),
            EvidenceError::Audit(error) => error.into(),
            EvidenceError::Signing(error) => Self::internal(&error),
            EvidenceError::Archive(error) => Self::internal(&error),
        }
    }
}

impl From<PeerError> for Problem {
    fn from(error: PeerError) -> Self {
        match error {
            PeerError::NotAMember { .. } => Self::new(StatusCode::NOT_FOUND, "not-a-member", error.to_string()),
            PeerError::Unknown(_) => Self::new(StatusCode::NOT_FOUND, "unknown-peer", error.to_string()),
            PeerError::Signing(error) => Self::unsigned(&error),
            other => Self::new(StatusCode::BAD_GATEWAY, "peer-failed", other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use policy::Code;

    fn refused(code: Code) -> Problem {
        TransferError::NotPermitted(vec![Reason {
            code,
            pointer: "/permission/0/constraint/1".to_owned(),
            text: "3 learners of did:web:lycee.example".to_owned(),
        }])
        .into()
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
