//! What a policy says that its author may not have meant: warnings, never a reason to refuse. What is refused is said in `check`.

use crate::{
    Timestamp,
    evaluate::Stage,
    facts::Facts,
    meaning::{Order, Test},
    model::{Atomic, Connective, Constraint, Duty, Kind, Policy, Rule},
    names,
    reason::{Code, Fix, Language, Reason},
    vocabulary::{LeftOperand, Operator},
};
use serde::{Serialize, Serializer};
use std::collections::BTreeSet;

macro_rules! lints {
    ($($variant:ident = $code:literal $english:literal / $french:literal),+ $(,)?) => {
        /// A stable, documented warning. A code is never reused for another meaning.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum LintCode { $(#[doc = concat!("`", $code, "`: ", $english, ".")] $variant),+ }

        impl LintCode {
            /// Every warning, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The code as it is written, such as `LNT-01`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code),+ }
            }

            /// What the warning means, in one clause.
            pub const fn text(self, language: Language) -> &'static str {
                match self { $(Self::$variant => language.say($french, $english)),+ }
            }
        }
    };
}

lints! {
    Months = "LNT-01" "P…M counts months; minutes are written PT…M"
        / "P…M compte des mois ; les minutes s’écrivent PT…M",
    ExactlyOne = "LNT-02" "xone refuses as long as one of its parts is not known"
        / "xone refuse tant qu’une de ses parties n’est pas connue",
    Sequence = "LNT-03" "the order of an andSequence is not known here; it is judged as and"
        / "l’ordre d’un andSequence n’est pas connu ici ; il est jugé comme and",
    BelowExcluded = "LNT-04" "what is more precise than an excluded purpose, place or language is not excluded"
        / "ce qui est plus précis qu’une finalité, un lieu ou une langue exclus n’est pas exclu",
    NotAdvised = "LNT-05" "ODRL advises other operators for this operand"
        / "ODRL recommande d’autres opérateurs pour ce critère",
    CountExactly = "LNT-06" "count eq holds for one transfer alone; up to a number is written lteq"
        / "count eq ne vaut que pour un seul transfert ; « au plus » s’écrit lteq",
    RulesMeet = "LNT-07" "a permission and a prohibition meet; there the prohibition wins"
        / "une permission et une interdiction se rencontrent ; l’interdiction l’emporte",
    NeverApplies = "LNT-08" "a rule that can never apply"
        / "une règle qui ne peut jamais s’appliquer",
    AddsNothing = "LNT-09" "a rule that another one covers; it adds nothing"
        / "une règle qu’une autre couvre ; elle n’ajoute rien",
    NoPurpose = "LNT-10" "a permission, or an alternative in it, that binds to no purpose lets nothing out by itself, because consents and other lawful bases are for purposes; constrain purpose"
        / "une permission, ou une de ses alternatives, qui ne lie à aucune finalité ne laisse rien sortir par elle-même, car consentements et autres bases légales valent pour des finalités ; ajoutez une condition sur la finalité",
    UnknownName = "LNT-11" "a name that its vocabulary does not have, perhaps misspelt; nothing that the vocabulary has is met by it"
        / "un nom absent de son vocabulaire, peut-être mal écrit ; rien de ce vocabulaire n’y correspond",
    TimeIsOver = "LNT-12" "a permission whose time is over: it permits nothing any more"
        / "une permission dont le temps est écoulé : elle ne permet plus rien",
}

impl LintCode {
    /// Who can mend it: whoever writes the policy, before it is agreed.
    pub const fn fix(self) -> Fix {
        Fix::Provider
    }
}

impl Serialize for LintCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// One warning, with the node of the policy that it is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Lint {
    /// The stable code.
    pub code: LintCode,
    /// JSON pointer into the policy as it was parsed.
    pub pointer: String,
    /// The constraint, as it is named to people; of unknown names, these alone; of rules, the places of what they meet with, add nothing to
    /// or are refused by.
    pub about: String,
}

/// Of so many permissions it is asked whether their time is over: each question may cost as much as the decision about a transfer.
const MAX_ASKED: usize = 32;

/// A refusal that is no matter of time: something may be permitted, and no transfer could hold it or no decision find it.
const fn is_beyond_us(reason: &Reason) -> bool {
    matches!(reason.code, Code::NotPlannable | Code::TooComplex)
}

impl Policy {
    /// Everything that its author may not have meant: of each constraint, in document order, and then the rules that add nothing to others.
    pub fn lints(&self) -> Vec<Lint> {
        let mut lints = Vec::new();
        for rule in &self.permissions {
            if rule.gives_here() && !rule.constraints.iter().any(binds_to_purpose) {
                lints.push(Lint {
                    code: LintCode::NoPurpose,
                    pointer: rule.pointer.clone(),
                    about: rule.action.to_string(),
                });
            }
            of_rule(rule, Side::Permits, &mut lints);
        }
        for rule in &self.prohibitions {
            of_rule(rule, Side::Prohibits, &mut lints);
        }
        self.obligations.iter().for_each(|duty| of_duty(duty, &mut lints));
        lints.extend(self.adding_nothing());
        lints
    }

    /// The permissions that time alone keeps from permitting anything from this moment on: at some time before they would have, beside the
    /// prohibitions.
    pub fn over_at(&self, now: Timestamp) -> Vec<Lint> {
        if self.check(Stage::Publish).is_err() {
            return Vec::new();
        }
        let mut alone = self.clone();
        let mut over = Vec::new();
        for rule in self.permissions.iter().take(MAX_ASKED) {
            let Some(action) = rule.action.known() else { continue };
            let mut facts = Facts::new(now, "", action);
            // A length of time since the agreement ends like any other time, once it is known when that was.
            let agreed = self.timestamp().filter(|_| self.kind == Kind::Agreement);
            if let Some(agreed) = agreed.and_then(|text| text.parse().ok()) {
                facts = facts.with_agreed(agreed);
            }
            alone.permissions = vec![rule.clone()];
            let refused = alone.decide(Stage::Publish, &facts);
            if refused.permits() || refused.reasons().iter().any(is_beyond_us) {
                continue;
            }
            facts.now = Timestamp::MIN;
            if !alone.decide(Stage::Publish, &facts).permits() {
                continue;
            }
            let places: BTreeSet<&str> = refused.reasons().iter().map(|one| one.pointer.as_str()).collect();
            let places: Vec<&str> = places.into_iter().filter(|place| !place.is_empty()).collect();
            over.push(lint(&rule.pointer, LintCode::TimeIsOver, places.join(", ")));
        }
        over
    }

    /// The rules that another rule of the same kind covers: without all of them together no decision, no duty, no remedy and no prohibition that is
    /// declared would be another. Only where that can be proved.
    pub fn adding_nothing(&self) -> Vec<Lint> {
        let told = self.surplus().into_iter().map(|surplus| Lint {
            code: LintCode::AddsNothing,
            pointer: surplus.rule,
            about: surplus.beside,
        });
        told.collect()
    }
}

/// What happens where a constraint holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Permits,
    Prohibits,
}

/// A use is bound to the purposes that its permission names, and a consent or another lawful basis has to cover them all. An alternative that
/// names none binds to none.
fn binds_to_purpose(constraint: &Constraint) -> bool {
    match constraint {
        Constraint::Atomic(atomic) => atomic.left.known() == Some(LeftOperand::Purpose),
        Constraint::Logical { connective, parts, .. } => match connective {
            Connective::And | Connective::AndSequence => parts.iter().any(binds_to_purpose),
            Connective::Or | Connective::Xone => parts.iter().all(binds_to_purpose),
        },
    }
}

fn of_rule(rule: &Rule, side: Side, lints: &mut Vec<Lint>) {
    of_constraints(&rule.constraints, side, lints);
    for duty in rule.duties.iter().chain(&rule.remedies) {
        of_duty(duty, lints);
    }
}

fn of_duty(duty: &Duty, lints: &mut Vec<Lint>) {
    of_constraints(&duty.constraints, Side::Permits, lints);
    duty.consequences.iter().for_each(|duty| of_duty(duty, lints));
}

fn lint(pointer: &str, code: LintCode, about: String) -> Lint {
    Lint {
        code,
        pointer: pointer.to_owned(),
        about,
    }
}

fn of_constraints(constraints: &[Constraint], side: Side, lints: &mut Vec<Lint>) {
    for constraint in constraints {
        let mut warn = |code| lints.push(lint(constraint.pointer(), code, constraint.to_string()));
        match constraint {
            Constraint::Atomic(atomic) => {
                of_atomic(atomic, side, &mut warn);
                let unknown = names::unknown(atomic);
                if !unknown.is_empty() {
                    lints.push(lint(&atomic.pointer, LintCode::UnknownName, unknown.join(", ")));
                }
            }
            Constraint::Logical { connective, parts, .. } => {
                match connective {
                    Connective::Xone => warn(LintCode::ExactlyOne),
                    Connective::AndSequence => warn(LintCode::Sequence),
                    Connective::And | Connective::Or => {}
                }
                of_constraints(parts, side, lints);
            }
        }
    }
}

/// Operands whose names lie below each other, where `eq`, `isAnyOf` and their opposites mean the name itself.
const ORDERED: [LeftOperand; 3] = [LeftOperand::Purpose, LeftOperand::Spatial, LeftOperand::Language];

/// Whether a comparison shuts names out: a permission that asks for none of them, a prohibition that is for them.
const fn excludes(operator: Operator, side: Side) -> bool {
    match side {
        Side::Permits => matches!(operator, Operator::IsNoneOf | Operator::Neq),
        Side::Prohibits => matches!(operator, Operator::IsAnyOf | Operator::Eq),
    }
}

fn of_atomic(atomic: &Atomic, side: Side, warn: &mut impl FnMut(LintCode)) {
    let (Some(left), Some(operator)) = (atomic.left.known(), atomic.operator.known()) else {
        return;
    };
    let timed = matches!(
        left,
        LeftOperand::ElapsedTime | LeftOperand::DelayPeriod | LeftOperand::MeteredTime | LeftOperand::TimeInterval
    );
    if timed && atomic.right.iter().any(|value| looks_like_minutes(&value.text)) {
        warn(LintCode::Months);
    }
    if ORDERED.contains(&left) && excludes(operator, side) {
        warn(LintCode::BelowExcluded);
    }
    if left
        .operand()
        .advised
        .is_some_and(|advised| !advised.contains(&operator))
    {
        warn(LintCode::NotAdvised);
    }
    let counts_one = |test: &Test| matches!(test, Test::Used { order: Order::In, .. });
    if left == LeftOperand::Count && atomic.test.as_ref().is_ok_and(counts_one) {
        warn(LintCode::CountExactly);
    }
}

/// `P60M` and the like: months alone, where minutes may have been meant.
fn looks_like_minutes(text: &str) -> bool {
    let months = text.strip_prefix('P').and_then(|rest| rest.strip_suffix('M'));
    months.is_some_and(|months| !months.is_empty() && months.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{agreement, constraint};
    use serde_json::{Value, json};
    use std::collections::BTreeSet;

    fn codes(policy: &Policy) -> Vec<&'static str> {
        policy.lints().iter().map(|lint| lint.code.as_str()).collect()
    }

    fn purpose() -> Value {
        constraint("purpose", "eq", json!("orientation"))
    }

    /// An agreement with one permission of `use` for a purpose under one more constraint.
    fn permitting(constraint: Value) -> Policy {
        agreement(json!({"permission": [{"action": "use", "constraint": [purpose(), constraint]}]}))
    }

    #[test]
    fn each_warning_is_given_for_what_it_is_about_and_not_otherwise() {
        let cases = [
            ("elapsedTime", "lteq", json!("P60M"), vec!["LNT-01"]),
            ("delayPeriod", "gteq", json!("P1M"), vec!["LNT-01"]),
            ("meteredTime", "lteq", json!("P60M"), vec!["LNT-01"]),
            ("elapsedTime", "lteq", json!("PT60M"), vec![]),
            ("elapsedTime", "lteq", json!("P1Y2M"), vec![]),
            ("elapsedTime", "gt", json!("P30D"), vec!["LNT-05"]),
            ("delayPeriod", "lteq", json!("P30D"), vec!["LNT-05"]),
            ("timeInterval", "gteq", json!("P30D"), vec!["LNT-05"]),
            ("timeInterval", "eq", json!("P30D"), vec![]),
            ("purpose", "isNoneOf", json!(["dpv:Marketing"]), vec!["LNT-04"]),
            ("purpose", "isAnyOf", json!(["dpv:Marketing"]), vec![]),
            ("spatial", "isNoneOf", json!(["FR"]), vec!["LNT-04"]),
            ("spatial", "isPartOf", json!(["FR"]), vec![]),
            ("language", "neq", json!("fr"), vec!["LNT-04"]),
            ("language", "eq", json!("fr"), vec![]),
            ("recipient", "neq", json!("did:web:a.example"), vec![]),
            ("count", "eq", json!("5"), vec!["LNT-06"]),
            ("count", "lteq", json!("5"), vec![]),
        ];
        for (left, operator, right, expected) in cases {
            let policy = permitting(constraint(left, operator, right.clone()));
            assert_eq!(codes(&policy), expected, "{left} {operator} {right}");
        }
        let parts = json!([constraint("consent", "eq", json!("given"))]);
        assert_eq!(codes(&permitting(json!({"xone": parts}))), ["LNT-02"]);
        assert_eq!(codes(&permitting(json!({"andSequence": parts}))), ["LNT-03"]);
        assert_eq!(codes(&permitting(json!({"and": parts}))), Vec::<&str>::new());
    }

    #[test]
    fn a_prohibition_excludes_what_it_names_and_not_what_lies_below() {
        let prohibiting = |left: &str, operator: &str| {
            let name = if left == "spatial" { "FR" } else { "fr" };
            agreement(json!({
                "permission": [{"action": "use", "constraint": [purpose()]}],
                "prohibition": [{"action": "use", "constraint": [constraint(left, operator, json!(name))]}],
            }))
        };
        for left in ["purpose", "spatial", "language"] {
            assert_eq!(codes(&prohibiting(left, "eq")), ["LNT-04"], "{left}");
            assert_eq!(codes(&prohibiting(left, "isAnyOf")), ["LNT-04"], "{left}");
            // What lies below a spared name is prohibited with the rest.
            assert_eq!(codes(&prohibiting(left, "isNoneOf")), Vec::<&str>::new(), "{left}");
        }
        assert_eq!(codes(&prohibiting("purpose", "isA")), Vec::<&str>::new());
    }

    #[test]
    fn a_permission_to_hand_something_over_needs_a_purpose() {
        let given = || constraint("consent", "eq", json!("given"));
        let permitting = |action: &str, constraints: Vec<Value>| {
            agreement(
                json!({"permission": [{"action": "use", "constraint": [purpose()]}, {"action": action, "constraint": constraints}]}),
            )
        };
        for action in ["use", "aggregate", "anonymize"] {
            let lints = permitting(action, vec![given()]).lints();
            let named = lints.iter().find(|lint| lint.code == LintCode::NoPurpose).unwrap();
            assert_eq!(
                (named.pointer.as_str(), named.about.ends_with(action)),
                ("/permission/1", true)
            );
        }
        let has = |policy: Policy| policy.lints().iter().any(|lint| lint.code == LintCode::NoPurpose);
        let other = || constraint("purpose", "eq", json!("training"));
        for bound in [
            json!({"or": [purpose(), other()]}),
            json!({"and": [purpose(), given()]}),
            json!({"or": [{"and": [purpose(), given()]}, {"xone": [other()]}]}),
        ] {
            assert!(!has(permitting("use", vec![given(), bound.clone()])), "{bound}");
        }
        for unbound in [
            json!({"or": [purpose(), given()]}),
            json!({"and": [{"or": [purpose(), given()]}, given()]}),
            json!({"xone": [purpose(), given()]}),
        ] {
            assert!(has(permitting("use", vec![given(), unbound.clone()])), "{unbound}");
        }
        // What the consumer does later, nothing leaves for; nor for a part of a use alone.
        for action in ["distribute", "read"] {
            assert!(!has(permitting(action, vec![given()])), "{action}");
        }
        assert!(has(agreement(json!({"permission": [{"action": "use"}]}))));
    }

    #[test]
    fn warnings_are_found_wherever_a_constraint_stands() {
        let minutes = || json!([constraint("delayPeriod", "gteq", json!("P60M"))]);
        let policy = agreement(json!({
            "permission": [{"action": "use", "constraint": [purpose()], "duty": [{"action": "inform", "consequence": [{"action": "delete", "constraint": minutes()}]}]}],
            "prohibition": [{"action": "sell", "remedy": [{"action": "delete", "constraint": minutes()}]}],
            "obligation": [{"action": "delete", "constraint": minutes()}],
        }));
        let pointers: Vec<String> = policy.lints().into_iter().map(|lint| lint.pointer).collect();
        assert_eq!(
            pointers,
            [
                "/permission/0/duty/0/consequence/0/constraint/0",
                "/prohibition/0/remedy/0/constraint/0",
                "/obligation/0/constraint/0",
            ]
        );
    }

    #[test]
    fn rules_that_add_nothing_are_told_after_all_else_with_the_rules_that_cover_them() {
        let exactly = json!([{"xone": [constraint("consent", "eq", json!("given"))]}]);
        let policy = agreement(json!({
            "permission": [{"action": "use", "constraint": [purpose()]}, {"action": "read", "constraint": [purpose()]}],
            "prohibition": [{"action": "sell"}, {"action": "sell", "constraint": exactly}],
        }));
        let lints = policy.lints();
        let told: Vec<_> = lints
            .iter()
            .map(|lint| (lint.code.as_str(), lint.pointer.as_str(), lint.about.as_str()))
            .collect();
        assert_eq!(told[0].0, "LNT-02");
        assert_eq!(
            told[1..],
            [
                ("LNT-09", "/permission/1", "/permission/0"),
                ("LNT-09", "/prohibition/1", "/prohibition/0"),
            ]
        );
    }

    #[test]
    fn names_that_their_vocabulary_does_not_have_are_told_alone() {
        let policy = permitting(constraint("language", "isAnyOf", json!(["fr", "french", "german"])));
        let told = policy.lints();
        let [lint] = told.as_slice() else { panic!("{told:?}") };
        assert_eq!(
            (lint.code, lint.pointer.as_str(), lint.about.as_str()),
            (LintCode::UnknownName, "/permission/0/constraint/1", "french, german")
        );
        let misspelt = agreement(json!({
            "permission": [{"action": "use", "constraint": [purpose()]}],
            "prohibition": [{"action": "use", "constraint": [{"or": [constraint("purpose", "isA", json!("dpv:Marketting"))]}]}],
        }));
        assert_eq!(codes(&misspelt), ["LNT-11"]);
    }

    #[test]
    fn a_permission_whose_time_is_over_is_told_once_it_is() {
        let until = |year: u32| constraint("dateTime", "lteq", json!(format!("{year}-01-01T00:00:00Z")));
        let from = |year: u32| constraint("dateTime", "gteq", json!(format!("{year}-01-01T00:00:00Z")));
        let within = || constraint("elapsedTime", "lteq", json!("P3M"));
        let over = |members: Value, now: &str| -> Vec<(String, String)> {
            let found = agreement(members).over_at(crate::testing::at(now));
            found.into_iter().map(|lint| (lint.pointer, lint.about)).collect()
        };
        let (before, after) = ("2029-12-31T00:00:00Z", "2030-01-02T00:00:00Z");
        let rules = |constraints: Value| json!({"permission": [{"action": "use"}, {"action": "distribute", "constraint": constraints}]});
        let told = |at: &str| vec![("/permission/1".to_owned(), format!("/permission/1{at}"))];
        for (constraints, places) in [
            (json!([purpose(), until(2030)]), "/constraint/1"),
            (
                json!([{"or": [until(2028), {"and": [until(2030), from(2029)]}]}]),
                "/constraint/0/or/0",
            ),
        ] {
            assert_eq!(over(rules(constraints.clone()), before), [], "{constraints}");
            assert_eq!(over(rules(constraints.clone()), after), told(places), "{constraints}");
        }
        // What comes later, and what never comes, is not over.
        assert_eq!(over(rules(json!([from(2031)])), after), []);
        assert_eq!(over(rules(json!([from(2025), until(2024)])), after), []);
        // Since an agreement of which it is not known when it was made, no time is over.
        assert_eq!(over(rules(json!([within()])), after), []);
        let mut dated = rules(json!([within()]));
        dated["timestamp"] = json!("2029-11-01T00:00:00Z");
        assert_eq!(over(dated.clone(), before), []);
        assert_eq!(over(dated.clone(), "2030-02-02T00:00:00Z"), told("/constraint/0"));
        // When an offer was written is not when it is agreed.
        dated["@type"] = json!("Offer");
        assert_eq!(over(dated, "2030-02-02T00:00:00Z"), []);
        // What may be used from now on, though no transfer can hold it, is not over.
        let but = || constraint("purpose", "neq", json!("training"));
        let either = json!({"or": [{"and": [until(2030), purpose()]}, {"and": [from(2030), but()]}]});
        let unheld = json!({"permission": [{"action": "use", "constraint": [either]}]});
        let now = Facts::new(crate::testing::at(after), "", crate::Action::Use);
        let refused = agreement(unheld.clone()).decide(Stage::Publish, &now);
        assert!(refused.reasons().iter().any(is_beyond_us), "{:?}", refused.reasons());
        assert_eq!(over(unheld, after), []);
        // Only so many permissions are asked about.
        let one = || json!({"action": "use", "constraint": [until(2030)]});
        let many: Vec<Value> = std::iter::repeat_with(one).take(MAX_ASKED + 1).collect();
        assert_eq!(over(json!({"permission": many}), after).len(), MAX_ASKED);
        // A prohibition that begins leaves nothing either.
        let closed =
            json!({"permission": [{"action": "use"}], "prohibition": [{"action": "use", "constraint": [from(2030)]}]});
        assert_eq!(over(closed.clone(), before), []);
        assert_eq!(
            over(closed, after),
            [("/permission/0".to_owned(), "/prohibition/0".to_owned())]
        );
        let refused = json!({"permission": [{"action": "use", "constraint": [until(2030), constraint("weather", "eq", json!("fine"))]}]});
        assert_eq!(over(refused, after), []);
    }

    #[test]
    fn every_warning_has_its_own_code_and_both_languages() {
        let codes: BTreeSet<_> = LintCode::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(codes.len(), LintCode::ALL.len());
        assert!(
            LintCode::ALL
                .iter()
                .all(|code| code.text(Language::French) != code.text(Language::English))
        );
    }
}
