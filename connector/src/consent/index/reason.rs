//! Why a learner's record is withheld: the one place where these reasons get their names.

/// Why a learner's record is withheld. For the provider's operator and audit log only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Reason {
    /// There is no consent, and no other lawful basis.
    None,
    /// It was refused.
    Refused,
    /// It was withdrawn.
    Withdrawn,
    /// It has expired, or has not begun.
    Expired,
    /// It does not cover every purpose of the agreement.
    Purpose,
    /// It is for other recipients.
    Recipient,
    /// It covers none of the data categories, or another dataset.
    Category,
    /// It is for aggregates only, and this is a record.
    Aggregate,
    /// The learner is a minor and the guardian has not agreed.
    Guardian,
    /// There is another lawful basis, and the learner has objected to it (GDPR art. 21).
    Objected,
}

impl Reason {
    /// All of them, in the order of their numbers. When several consents of a learner fail, the one named last here is reported: it came
    /// nearest to permitting.
    pub const ALL: [Self; 10] = [
        Self::None,
        Self::Refused,
        Self::Withdrawn,
        Self::Expired,
        Self::Purpose,
        Self::Recipient,
        Self::Category,
        Self::Aggregate,
        Self::Guardian,
        Self::Objected,
    ];

    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::None => "consent-none",
            Self::Refused => "consent-refused",
            Self::Withdrawn => "consent-withdrawn",
            Self::Expired => "consent-expired",
            Self::Purpose => "consent-other-purpose",
            Self::Recipient => "consent-other-recipient",
            Self::Category => "consent-other-category",
            Self::Aggregate => "consent-aggregate-only",
            Self::Guardian => "consent-guardian-missing",
            Self::Objected => "consent-objected",
        }
    }
}
