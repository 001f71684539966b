//! Why a consent was not recorded or changed. In each of these cases nothing changed, except where the store failed so that nobody knows: then what
//! was to be stopped stays stopped until the next start.

use super::{
    law::NoPower,
    record::{ConsentId, GrantError},
    state::{Illegal, Role},
};
use crate::{
    dsp::{AgreementId, ParticipantId},
    jose::JoseError,
    store::StoreError,
};
use policy::Timestamp;

/// Why a consent was not recorded or changed.
#[derive(Debug, thiserror::Error)]
pub enum ConsentError {
    /// The consent is not complete or makes no sense.
    #[error(transparent)]
    Grant(#[from] GrantError),
    /// An entry of a list is not usable; of its piece and those after it nothing was recorded.
    #[error("entry {entry}: {cause}")]
    Import {
        /// Its number in the list, from 1.
        entry: usize,
        /// What is wrong.
        cause: Box<Self>,
    },
    /// Nothing is there to withdraw.
    #[error("this learner has no consent here that is in force or waits for a second signature")]
    NothingToWithdraw,
    /// Nor towards this recipient, who may be misspelt.
    #[error("this learner has no consent here that names {0} and is in force or waits for a second signature")]
    NothingTowards(ParticipantId),
    /// A consent that nothing agreed could use.
    #[error(
        "no agreement {0} under which one of these recipients receives from us is known here; see: connector agreement list"
    )]
    UnknownAgreement(AgreementId),
    /// A learner is not forgotten while a consent is in force.
    #[error("this learner has a consent in force here; withdraw it first")]
    InForce,
    /// Nor while an objection stands: to forget it would let go on what the learner stopped.
    #[error("this learner's objection stands against a basis in force; end the basis first")]
    ObjectionInForce,
    /// Nor while a refusal or an ended consent does: another basis for the same does not count for who was asked for consent.
    #[error("a refusal or an ended consent of this learner stands against a basis in force; end the basis first")]
    RefusalInForce,
    /// Nor while a basis stands on which their records may have gone out: nobody would know any more whom to tell of its end (GDPR art. 19).
    #[error(
        "records of this learner may have gone out on another lawful basis in force; end it first, so that its recipients are told: {0}"
    )]
    BasisInForce(ConsentId),
    /// Nothing here refers to this learner.
    #[error("nothing about this learner was ever recorded here, or the learner is forgotten already")]
    UnknownLearner,
    /// No consent has this id.
    #[error("there is no such consent")]
    Unknown,
    /// The step is not possible.
    #[error(transparent)]
    Illegal(#[from] Illegal),
    /// Whoever acts has no power to.
    #[error(transparent)]
    NoPower(#[from] NoPower),
    /// What is said to happen in the future has not happened.
    #[error("the event is said to happen at {0}, which is in the future")]
    Future(Timestamp),
    /// The time for which it was asked for is over.
    #[error("the time for which this consent was asked for is over since {0}")]
    Lapsed(Timestamp),
    /// The notice is not registered.
    #[error("no notice with the hash {0} is registered here; add it first: connector notice add")]
    UnknownNotice(String),
    /// The notice was replaced by one that means something else.
    #[error(
        "the notice was replaced by one that means something else; show the learner the new one, and have the consent asked for or given under that"
    )]
    NoticeReplaced,
    /// A notice is not usable.
    #[error("the notice is not usable: {0}")]
    InvalidNotice(&'static str),
    /// There is such a notice.
    #[error("a notice with this text, or with this name, version and language, is registered already")]
    NoticeExists,
    /// The same is asked for already.
    #[error("the same is asked for already: {0}")]
    AlreadyAsked(ConsentId),
    /// The learner has said yes to the same already.
    #[error("the learner has given the same already: {0}; name a later end to ask for longer")]
    AlreadyGiven(ConsentId),
    /// The learner has said no, before or after a yes, and is left in peace for a while.
    #[error("the learner has refused or withdrawn this; it may be asked for again from {0} on")]
    TooSoon(Timestamp),
    /// This participant waits for too many answers of this learner.
    #[error("{0} requests to this learner wait for an answer, which is as many as there may be")]
    TooManyRequests(usize),
    /// A consent has had as many steps as it may have; it can still end.
    #[error("this consent was changed as often as it may be; only its end is left")]
    TooManySteps,
    /// What is known of a learner makes no sense.
    #[error("{0}")]
    Standing(&'static str),
    /// What is declared as a lawful basis makes no sense.
    #[error("{0}")]
    Basis(&'static str),
    /// No declared basis has this id.
    #[error("there is no such basis")]
    UnknownBasis,
    /// A basis does not end twice.
    #[error("this basis has ended already")]
    BasisEnded,
    /// A contract leaves no right to object.
    #[error("processing that a contract with the learner needs leaves no right to object (GDPR art. 21)")]
    NoObjection,
    /// The learner has objected already.
    #[error("the learner has objected to this already")]
    AlreadyObjected,
    /// What is said of a restriction makes no sense.
    #[error("{0}")]
    Restriction(&'static str),
    /// No restriction has this id.
    #[error("there is no such restriction")]
    UnknownRestriction,
    /// The same side has asked for the same.
    #[error("the learner's records are restricted like this already: {0}")]
    AlreadyRestricted(ConsentId),
    /// It does not stand any more.
    #[error("this restriction was lifted at {0}")]
    AlreadyLifted(Timestamp),
    /// Whoever acts may not set a restriction, or not lift this one.
    #[error(
        "{0} may not set or lift this restriction: an authority's order is lifted by the authority, a holder's pause by the holder or an authority, and of a child and a guardian neither lifts what the other asked for"
    )]
    NotTheirRestriction(Role),
    /// A learner who asked for a restriction is told before it is lifted.
    #[error(
        "the learner asked for this restriction and is told before it is lifted (GDPR art. 18(3)); name the proof of that as evidence"
    )]
    LiftUntold,
    /// What is restricted is kept.
    #[error(
        "this learner's records are restricted, and kept while they are (GDPR art. 18(2)); lift the restriction first"
    )]
    RestrictionInForce,
    /// The record is too long to be signed.
    #[error("the lists are too long for one consent")]
    TooLarge,
    /// The store failed. Where it is not certain that nothing was changed, access stays closed to what was to end.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Signing failed.
    #[error("signing failed: {0}")]
    Signing(#[from] JoseError),
}

impl ConsentError {
    /// Whether it is certain that nothing was recorded.
    pub(super) fn changed_nothing(&self) -> bool {
        match self {
            Self::Store(error) => error.changed_nothing(),
            Self::Import { cause, .. } => cause.changed_nothing(),
            _ => true,
        }
    }
}
