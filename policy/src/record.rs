//! What is known about one record, and nothing else: the facts that are looked at while a stream runs. Which of them decide, and how, is
//! held by the plan of the transfer ([`crate::Plan::permits`]).

use crate::vocabulary::Category;

/// What is known about one record when it is about to leave. `None` is a fact that is missing, and a missing fact never permits. Small and
/// plain, so that making one for each record costs nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct RecordFacts {
    /// The category of the record.
    pub category: Option<Category>,
    /// Whether the learner's consent covers it.
    pub consent: Option<bool>,
    /// Whether the learner is a minor.
    pub minor: Option<bool>,
    /// Whether a guardian of the learner has consented.
    pub guardian_consent: Option<bool>,
}

impl RecordFacts {
    /// A record of this category whose learner has given consent; nothing else is known.
    pub const fn consented(category: Category) -> Self {
        Self {
            category: Some(category),
            consent: Some(true),
            minor: None,
            guardian_consent: None,
        }
    }

    /// The same record with a consent that it lacks. Whoever withdraws one must never let more leave, so a plan that permits the record
    /// permits these as well.
    pub(crate) fn with_more_consent(self) -> impl Iterator<Item = Self> {
        let given = Some(true);
        let learner = Self { consent: given, ..self };
        let guardian = self.guardian_consent.map(|_| Self {
            guardian_consent: given,
            ..self
        });
        std::iter::once(learner).chain(guardian)
    }
}
