//! Why a learner's record is withheld: the numbers by which streams count these reasons. What they are called and who can mend them is said by
//! the one table of `policy`.

use policy::Code;
use std::cmp::Ordering;

/// Why a learner's record is withheld. For the provider's operator and audit log only. When several consents of a learner fail, the greatest
/// reason is reported: it came nearest to permitting. That of one about somebody or something else is reported where none is about this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Reason {
    /// There is no consent, and no other lawful basis.
    None,
    /// It was asked for, and not answered yet.
    Requested,
    /// It was refused.
    Refused,
    /// The learner withdrew it.
    Withdrawn,
    /// It has expired, or has not begun.
    Expired,
    /// It does not cover every purpose of the agreement, and no others cover the rest.
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
    /// It is for a number of transfers, and that many have been made.
    UsedUp,
    /// Whatever permits it: the learner's records are restricted (GDPR art. 18).
    Restricted,
    /// It is for larger groups than those that are released.
    GroupSize,
    /// It is for another agreement.
    Agreement,
    /// Somebody else than the learner ended it, or it was not valid.
    Revoked,
    /// The agreement binds the use to no purpose, and nothing that the learner could say covers that.
    Unbound,
}

impl Reason {
    /// All of them, in the order of their numbers, which are kept.
    pub const ALL: [Self; 17] = [
        Self::None,
        Self::Requested,
        Self::Refused,
        Self::Withdrawn,
        Self::Expired,
        Self::Purpose,
        Self::Recipient,
        Self::Category,
        Self::Aggregate,
        Self::Guardian,
        Self::Objected,
        Self::UsedUp,
        Self::Restricted,
        Self::GroupSize,
        Self::Agreement,
        Self::Revoked,
        Self::Unbound,
    ];

    /// How near it came to permitting: as its number says, but for what has a number that came later.
    const fn nearness(self) -> (u8, bool) {
        match self {
            Self::Revoked => (Self::Withdrawn as u8, true),
            other => (other as u8, false),
        }
    }

    /// The stable code.
    pub const fn code(self) -> Code {
        match self {
            Self::None => Code::ConsentNone,
            Self::Requested => Code::ConsentRequested,
            Self::Refused => Code::ConsentRefused,
            Self::Withdrawn => Code::ConsentWithdrawn,
            Self::Expired => Code::ConsentExpired,
            Self::Purpose => Code::ConsentPurpose,
            Self::Recipient => Code::ConsentRecipient,
            Self::Category => Code::ConsentCategory,
            Self::Aggregate => Code::ConsentAggregate,
            Self::Guardian => Code::GuardianMissing,
            Self::Objected => Code::ConsentObjected,
            Self::UsedUp => Code::ConsentUsedUp,
            Self::Restricted => Code::ProcessingRestricted,
            Self::GroupSize => Code::ConsentGroupSize,
            Self::Agreement => Code::ConsentAgreement,
            Self::Revoked => Code::ConsentRevoked,
            Self::Unbound => Code::NoPurpose,
        }
    }
}

impl Ord for Reason {
    fn cmp(&self, other: &Self) -> Ordering {
        self.nearness().cmp(&other.nearness())
    }
}

impl PartialOrd for Reason {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use policy::Fix;
    use std::collections::BTreeSet;

    #[test]
    fn every_reason_has_a_code_of_its_own_about_the_learners_consent_or_what_the_agreement_lacks() {
        let codes: BTreeSet<Code> = Reason::ALL.iter().map(|reason| reason.code()).collect();
        assert_eq!(codes.len(), Reason::ALL.len());
        for code in codes {
            // A restriction is lifted at the holder; everything else is mended by a consent, or the guardian's word beside it.
            let (about, fix) = match code {
                Code::NoPurpose => ("POL-", Fix::Provider),
                Code::ProcessingRestricted => ("CNS-", Fix::Provider),
                Code::GuardianMissing => ("CNS-", Fix::Guardian),
                _ => ("CNS-", Fix::Learner),
            };
            assert!(code.as_str().starts_with(about) && code.fix() == fix, "{code}");
        }
        // Cursors and stored counts go by these numbers.
        assert!(
            Reason::ALL
                .iter()
                .enumerate()
                .all(|(number, reason)| *reason as usize == number)
        );
    }

    #[test]
    fn what_was_revoked_came_as_near_as_what_was_withdrawn() {
        let mut all = Reason::ALL;
        all.sort_unstable();
        let place = |reason| all.iter().position(|one| *one == reason).unwrap();
        assert_eq!(place(Reason::Revoked), place(Reason::Withdrawn) + 1);
        assert_eq!(all[0], Reason::None);
    }

    #[test]
    fn every_code_about_consents_is_given_for_a_record_but_the_one_that_a_single_node_has_no_use_for() {
        let about_consents = Code::ALL.iter().filter(|code| code.as_str().starts_with("CNS-"));
        for code in about_consents {
            let given = Reason::ALL.iter().any(|reason| reason.code() == *code);
            // One node has one store, and its index is whole before it serves: it always knows the latest state.
            let reserved = *code == Code::ConsentUnconfirmed;
            assert_eq!(given, !reserved, "{code}");
            assert_eq!(code.meaning().contains("reserved"), reserved, "{code}");
        }
    }
}
