//! What may ever pass under a policy, whatever the time, the usage and the claims of the consumer: for whoever has to know what may have passed
//! before now, which no plan says. What passes now is for `plan`.

use crate::{
    evaluate::{Purpose, World},
    facts::{Moment, Request, Verified},
    meaning::Test,
    model::{Policy, Rule},
    reach::Reach,
    record::RecordFacts,
    residual::MAX_WORK,
    truth::Truth,
    vocabulary::{Action, Category},
};
use std::collections::BTreeSet;

/// Whether a rule holds for what one world says of recipient, purpose and category. All else may have been so, and otherwise at another time.
fn ever(rule: &Rule, world: &World<'_>) -> Truth {
    let judge = |test: &Test| match test {
        Test::Recipient { .. } | Test::Purpose { .. } | Test::Category { .. } => test.truth(world),
        _ => Truth::Unknown,
    };
    let constraints = rule.constraints.iter();
    let truths = constraints.map(|one| one.judged(&|atomic| atomic.test.as_ref().map_or(Truth::Unknown, judge)));
    truths.min().unwrap_or(Truth::True)
}

impl Policy {
    /// The most that may ever pass to this recipient for one of these actions; `None` where that is nothing, or takes too long to tell: whoever must not
    /// overlook anything takes it for everything.
    pub fn bounds(&self, recipient: &str, actions: &[Action]) -> Option<Reach> {
        let comparisons = self.comparisons();
        let named: BTreeSet<&str> = comparisons
            .iter()
            .filter_map(|atomic| match &atomic.test {
                Ok(Test::Purpose { names, .. }) => Some(names.iter().map(String::as_str)),
                _ => None,
            })
            .flatten()
            .collect();
        let asked: Vec<Purpose<'_>> = named.into_iter().map(Purpose::Named).chain([Purpose::Other]).collect();
        let work = asked.len() * Category::ALL.len() * actions.len();
        if work.saturating_mul(1 + comparisons.len()) > MAX_WORK {
            return None;
        }
        let (mut purposes, mut categories) = (Vec::new(), BTreeSet::new());
        for purpose in asked {
            let passing = |category: &&Category| self.may_ever_pass((recipient, actions), purpose, **category);
            let passing: Vec<Category> = Category::ALL.iter().filter(passing).copied().collect();
            if !passing.is_empty() {
                purposes.push(purpose);
                categories.extend(passing);
            }
        }
        let is_bound = !purposes.contains(&Purpose::Other);
        let names = purposes.into_iter().filter(|_| is_bound).filter_map(Purpose::name);
        (!categories.is_empty()).then(|| Reach {
            purposes: names.map(str::to_owned).collect(),
            categories: (categories.len() < Category::ALL.len()).then_some(categories),
        })
    }

    fn may_ever_pass(&self, (recipient, actions): (&str, &[Action]), purpose: Purpose<'_>, category: Category) -> bool {
        let world = World {
            moment: Moment {
                now: 0,
                transfer: None,
                metered: None,
            },
            recipient,
            verified: Verified::Assumed(Truth::Unknown),
            request: &Request::default(),
            missing: Truth::Unknown,
            tells_minors: true,
            purpose: Some(purpose),
            record: RecordFacts {
                category: Some(category),
                ..RecordFacts::default()
            },
        };
        actions.iter().any(|action| {
            let permitted = self.covering(*action).any(|rule| ever(rule, &world) != Truth::False);
            permitted && self.forbidding(*action).all(|rule| ever(rule, &world) != Truth::True)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{CONSUMER, agreement, constraint};
    use serde_json::{Value, json};

    fn permission(constraints: &[Value]) -> Value {
        json!({"action": "use", "constraint": constraints})
    }

    fn category(operator: &str, name: &str) -> Value {
        constraint("dases:dataCategory", operator, json!(name))
    }

    fn bounds(members: Value) -> Option<Reach> {
        agreement(members).bounds(CONSUMER, &[Action::Use])
    }

    fn categories(members: Value) -> Option<Vec<&'static str>> {
        let categories = bounds(members).unwrap().categories?;
        Some(categories.into_iter().map(Category::name).collect())
    }

    #[test]
    fn what_was_permitted_once_may_have_passed_whatever_the_clock_and_the_claims_say_now() {
        let until = constraint("dateTime", "lt", json!("2020-01-01T00:00:00Z"));
        let role = constraint("dases:membership.role", "eq", json!("school"));
        let rules = json!({"permission": [
            permission(&[until, category("eq", "results")]), permission(&[role, category("eq", "skills")]),
        ]});
        assert_eq!(categories(rules), Some(vec!["results", "skills"]));
    }

    #[test]
    fn what_was_never_permitted_or_always_prohibited_has_not_passed() {
        let skills = json!({"permission": [permission(&[category("eq", "skills")])]});
        assert_eq!(categories(skills), Some(vec!["skills"]));
        let always =
            json!({"permission": [permission(&[])], "prohibition": [permission(&[category("isNoneOf", "skills")])]});
        assert_eq!(categories(always), Some(vec!["skills"]));
        let at_times = constraint("dateTime", "lt", json!("2020-01-01T00:00:00Z"));
        let at_times = json!({"permission": [permission(&[])],
            "prohibition": [permission(&[category("isNoneOf", "skills"), at_times])]});
        assert_eq!(categories(at_times), None);
        let others = constraint("recipient", "eq", json!("did:web:other.example"));
        assert_eq!(bounds(json!({"permission": [permission(&[others])]})), None);
    }

    #[test]
    fn a_use_is_bound_to_the_purposes_of_all_permissions_unless_one_names_none() {
        let purpose = |name: &str| permission(&[constraint("purpose", "eq", json!(name))]);
        let both = bounds(json!({"permission": [purpose("orientation"), purpose("dpv:Marketing")]})).unwrap();
        assert_eq!(both.purposes.len(), 2, "{both:?}");
        let any = bounds(json!({"permission": [purpose("orientation"), permission(&[])]})).unwrap();
        assert!(any.purposes.is_empty() && any.categories.is_none(), "{any:?}");
    }
}
