//! Which types of credential are believed about what policies ask of a consumer under a plain name: its role, its place, its security level.
//! Pure; who may issue a type is for the trust list to say, what follows from a value for policies.

use super::held::{MEMBERSHIP, ROLE, typed};
use policy::{Claims, LeftOperand, is_claim};
use std::collections::{BTreeMap, BTreeSet};

/// The operands whose value is a claim of the consumer. Each is a claim of the same name.
pub const OPERANDS: [LeftOperand; 7] = [
    LeftOperand::Spatial,
    LeftOperand::Industry,
    LeftOperand::Application,
    LeftOperand::Role,
    LeftOperand::Assurance,
    LeftOperand::SecurityLevel,
    LeftOperand::State,
];

/// What is attested of a participant. What is not there is not known.
pub type Attested = BTreeMap<LeftOperand, BTreeSet<String>>;

/// The types of credential that count for each of the operands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attests(BTreeMap<LeftOperand, BTreeSet<String>>);

impl Default for Attests {
    /// The membership credential; what its subject does, its role credentials say as well.
    fn default() -> Self {
        let types = |operand| match operand {
            LeftOperand::Role => BTreeSet::from([MEMBERSHIP.to_owned(), ROLE.to_owned()]),
            _ => BTreeSet::from([MEMBERSHIP.to_owned()]),
        };
        Self(OPERANDS.into_iter().map(|operand| (operand, types(operand))).collect())
    }
}

impl Attests {
    /// Other types for the operands of these names, in place of the defaults; none where nobody is believed.
    pub fn over_defaults(chosen: BTreeMap<String, BTreeSet<String>>) -> Result<Self, String> {
        let mut all = Self::default();
        for (name, types) in chosen {
            let Some(operand) = OPERANDS.into_iter().find(|operand| operand.name() == name) else {
                let known = OPERANDS.map(LeftOperand::name).join(", ");
                return Err(format!(
                    "{name:?} is nothing that a credential attests, expected one of {known}"
                ));
            };
            if let Some(kind) = types.iter().find(|kind| !is_claim(kind)) {
                return Err(format!("{kind:?} is not the name of a type of credential"));
            }
            all.0.insert(operand, types);
        }
        Ok(all)
    }

    /// What claims attest to whoever believes these types.
    pub fn of(&self, claims: &Claims) -> Attested {
        let said = |(operand, types): (&LeftOperand, &BTreeSet<String>)| {
            let names = types.iter().map(|kind| typed(kind, operand.name()));
            let values: BTreeSet<String> = names.filter_map(|name| claims.get(&name)).flatten().cloned().collect();
            (!values.is_empty()).then_some((*operand, values))
        };
        self.0.iter().filter_map(said).collect()
    }
}

/// What claims attest to whoever believes all types. So we look at ourselves: which types count is for the provider to say.
pub fn at_most(claims: &Claims) -> Attested {
    let said = |operand: LeftOperand| {
        let values: BTreeSet<String> = claims
            .iter()
            .filter(|(name, _)| {
                let claim = name.strip_prefix("credential.").and_then(|name| name.split_once('.'));
                claim.is_some_and(|(_, claim)| claim == operand.name())
            })
            .flat_map(|(_, values)| values.iter().cloned())
            .collect();
        (!values.is_empty()).then_some((operand, values))
    };
    OPERANDS.into_iter().filter_map(said).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(values: &[&str]) -> BTreeSet<String> {
        values.iter().map(|value| (*value).to_owned()).collect()
    }

    fn claims() -> Claims {
        [
            ("credential.MembershipCredential.role", "school"),
            ("credential.RoleCredential.role", "Orientation"),
            ("credential.Diploma.role", "authority"),
            ("credential.Diploma.securityLevel", "high"),
            ("credential.MembershipCredential.spatial", "FR-75"),
            ("spatial", "FR-75"),
            ("role", "school"),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), set(&[value])))
        .collect()
    }

    #[test]
    fn what_a_type_says_that_is_not_listed_for_it_attests_nothing() {
        let attested = Attests::default().of(&claims());
        let expected = Attested::from([
            (LeftOperand::Role, set(&["school", "Orientation"])),
            (LeftOperand::Spatial, set(&["FR-75"])),
        ]);
        assert_eq!(attested, expected);
    }

    #[test]
    fn the_operator_lists_the_types_that_count_for_an_operand() {
        let chosen = |name: &str, types: &[&str]| Attests::over_defaults([(name.to_owned(), set(types))].into());
        let level = chosen("securityLevel", &["Diploma"]).unwrap().of(&claims());
        assert_eq!(level[&LeftOperand::SecurityLevel], set(&["high"]));
        assert_eq!(
            level[&LeftOperand::Spatial],
            set(&["FR-75"]),
            "the others stay as they are"
        );
        let nobody = chosen("role", &[]).unwrap().of(&claims());
        assert!(!nobody.contains_key(&LeftOperand::Role));
        for (name, types) in [
            ("language", &["Diploma"][..]),
            ("role", &["a.b"]),
            ("dases:role", &["Diploma"]),
        ] {
            assert!(chosen(name, types).is_err(), "{name} {types:?}");
        }
    }

    #[test]
    fn of_ourselves_all_types_are_taken_because_the_provider_says_which_count() {
        let own = at_most(&claims());
        assert_eq!(own[&LeftOperand::Role], set(&["school", "Orientation", "authority"]));
        assert_eq!(own[&LeftOperand::SecurityLevel], set(&["high"]));
    }
}
