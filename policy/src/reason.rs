//! Why something was refused: one table of stable codes, and the reason that carries one. Nothing here decides.

use crate::parse::Malformed;
use serde::{Serialize, Serializer};
use std::fmt;

macro_rules! codes {
    ($($variant:ident = $code:literal $meaning:literal),+ $(,)?) => {
        /// A stable, documented refusal code. A code is never reused for another meaning.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code { $(#[doc = concat!("`", $code, "`: ", $meaning, ".")] $variant),+ }

        impl Code {
            /// Every code, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The code as it is written in answers and logs, such as `POL-02`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code),+ }
            }

            /// What the code means, in one English clause.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning),+ }
            }
        }
    };
}

codes! {
    NoPermission = "POL-01" "no permission covers the action",
    Prohibited = "POL-02" "a prohibition forbids the action, or may do so",
    Conflict = "POL-03" "the prohibitions leave nothing of what the permissions give",
    NotUnderstood = "POL-04" "a profile, action, operator or left operand is not understood",
    OutsideTime = "POL-05" "not in force yet, or expired",
    Superseded = "POL-06" "replaced by a newer policy (reserved)",
    Malformed = "POL-07" "not a policy in the JSON form of the Dataspace Protocol",
    NotPlannable = "POL-08" "the condition that remains per record cannot be held by a transfer plan",
    TooComplex = "POL-09" "too many different values to be decided within the work limit",
    WrongKind = "POL-10" "only an agreement can be enforced, an offer is a proposal",
    WrongParty = "POL-11" "the agreement was made with another party",
    ConstraintFalse = "CST-01" "a constraint does not hold",
    ConstraintUnknown = "CST-02" "a constraint cannot be judged because a fact is missing",
    OperatorUnfit = "CST-03" "the operator makes no sense for the left operand",
    ValueUnfit = "CST-04" "the right operand is not a value of the left operand's type",
    Unsatisfiable = "CST-05" "no purpose, data category and consent can satisfy the constraints together",
    DutyBeforehand = "DUT-01" "a duty must be fulfilled before the use, and this connector cannot establish that",
    DutyNotUnderstood = "DUT-02" "an action that is not supported as a duty",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// One reason for a refusal: the code, the node of the policy (JSON pointer, RFC 6901; empty for the whole policy) and
/// the story in plain English. Holds terms of the policy and public identifiers, never a value of a record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Reason {
    /// The stable code.
    pub code: Code,
    /// JSON pointer into the policy as it was parsed.
    pub pointer: String,
    /// Plain English, for an operator.
    pub text: String,
}

impl Reason {
    pub(crate) fn new(code: Code, pointer: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            code,
            pointer: pointer.into(),
            text: text.into(),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.pointer.is_empty() {
            "the policy"
        } else {
            &self.pointer
        };
        write!(f, "{} at {place}: {}", self.code, self.text)
    }
}

impl std::error::Error for Reason {}

impl From<Malformed> for Reason {
    fn from(malformed: Malformed) -> Self {
        Self::new(Code::Malformed, malformed.pointer, malformed.problem)
    }
}

/// Foreign text for a message: quoted, control characters escaped, cut to a bounded length.
pub(crate) fn quoted(text: &str) -> String {
    const MOST: usize = 120;
    let mut shown: String = text.chars().take(MOST).collect();
    if text.chars().nth(MOST).is_some() {
        shown.push('…');
    }
    format!("{shown:?}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_code_is_written_once_and_has_a_meaning() {
        let codes: BTreeSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(codes.len(), Code::ALL.len());
        assert!(Code::ALL.iter().all(|code| !code.meaning().is_empty()));
    }

    #[test]
    fn a_reason_reads_as_a_sentence_and_serialises_its_code() {
        let reason = Reason::new(Code::Prohibited, "/prohibition/0", "use is prohibited");
        assert_eq!(reason.to_string(), "POL-02 at /prohibition/0: use is prohibited");
        let json = serde_json::to_value(&reason).unwrap();
        assert_eq!(json["code"], "POL-02");
    }

    #[test]
    fn foreign_text_is_cut_and_escaped() {
        let shown = quoted(&format!("a\u{1b}[31m{}", "x".repeat(10_000)));
        assert!(shown.len() < 200 && !shown.contains('\u{1b}'));
    }
}
