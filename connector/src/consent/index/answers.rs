//! What a policy says of every record that there can be: for each data category, by what it is covered and whether the learner is a minor.
//! Asked of the plan once when a stream opens, so that a record costs a few comparisons of sets. Knows no learner and no time.

use crate::catalog::{Category, CategorySet};
use policy::{Code, Plan, RecordFacts};

/// By what the categories of one learner are covered at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cover {
    /// By a consent that a guardian has given with the learner.
    pub(super) guarded: CategorySet,
    /// By any consent.
    pub(super) consented: CategorySet,
    /// By another lawful basis.
    pub(super) based: CategorySet,
}

impl Cover {
    pub(super) const NOTHING: Self = Self {
        guarded: CategorySet::EMPTY,
        consented: CategorySet::EMPTY,
        based: CategorySet::EMPTY,
    };

    /// A consent covers this.
    pub(super) fn consent(&mut self, permits: CategorySet, guarded: bool) {
        self.consented = self.consented.union(permits);
        if guarded {
            self.guarded = self.guarded.union(permits);
        }
    }

    /// What both cover in the same way.
    pub(super) const fn and(self, other: Self) -> Self {
        Self {
            guarded: self.guarded.and(other.guarded),
            consented: self.consented.and(other.consented),
            based: self.based.and(other.based),
        }
    }

    /// What either covers.
    pub(super) const fn union(self, other: Self) -> Self {
        Self {
            guarded: self.guarded.union(other.guarded),
            consented: self.consented.union(other.consented),
            based: self.based.union(other.based),
        }
    }

    /// All that is covered.
    pub(super) const fn all(self) -> CategorySet {
        self.consented.union(self.based)
    }
}

/// The answer for categories that are all covered in the same way.
#[derive(Clone, Copy, Debug, Default)]
struct Answer {
    permits: CategorySet,
    /// The others, by the reason; in the order of [`Plan::REFUSALS`].
    refuses: [CategorySet; Plan::REFUSALS.len()],
}

impl Answer {
    fn add_part(&mut self, of: Category, part: Category) {
        for set in self.refuses.iter_mut().chain([&mut self.permits]) {
            if set.contains(of) {
                *set = set.with(part);
            }
        }
    }

    fn take(&mut self, category: Category, permitted: Result<(), Code>) {
        match permitted {
            Ok(()) => self.permits = self.permits.with(category),
            Err(code) => {
                let refused = Plan::REFUSALS.iter().zip(&mut self.refuses);
                for (_, set) in refused.filter(|(known, _)| **known == code) {
                    *set = set.with(category);
                }
            }
        }
    }
}

/// The answers for learners of whom the same is known.
#[derive(Clone, Copy, Debug)]
struct Learners {
    guarded: Answer,
    consented: Answer,
    based: Answer,
}

/// All answers of one policy about some categories. What is asked about no category here is never permitted.
#[derive(Clone, Debug)]
pub(super) struct Answers {
    adults: Learners,
    minors: Learners,
    /// Nobody has told whether they are minors.
    unknown: Learners,
}

impl Answers {
    /// Asks about each category, which the policy may know under a name of its own.
    pub(super) fn of(
        categories: &[(Category, Option<policy::Category>)],
        permits: impl Fn(&RecordFacts) -> Result<(), Code>,
    ) -> Self {
        let answer = |minor, consent, guardian_consent| {
            let mut answer = Answer::default();
            for (number, category) in categories {
                let record = RecordFacts {
                    category: *category,
                    consent: Some(consent),
                    minor,
                    guardian_consent: Some(guardian_consent),
                };
                answer.take(*number, permits(&record));
            }
            answer
        };
        let learners = |minor| Learners {
            guarded: answer(minor, true, true),
            consented: answer(minor, true, false),
            based: answer(minor, false, false),
        };
        Self {
            adults: learners(Some(false)),
            minors: learners(Some(true)),
            unknown: learners(None),
        }
    }

    /// What has this number is answered as the category is that it is a part of.
    pub(super) fn add_part(&mut self, of: Category, part: Category) {
        for learners in [&mut self.adults, &mut self.minors, &mut self.unknown] {
            for answer in [&mut learners.guarded, &mut learners.consented, &mut learners.based] {
                answer.add_part(of, part);
            }
        }
    }

    fn union(&self, permitted: impl Fn(&Learners) -> CategorySet) -> CategorySet {
        let [adults, minors, unknown] = [&self.adults, &self.minors, &self.unknown].map(permitted);
        adults.union(minors).union(unknown)
    }

    /// The categories that leave for some learner.
    pub(super) fn permitted(&self) -> CategorySet {
        let each = |of: &Learners| of.guarded.permits.union(of.consented.permits).union(of.based.permits);
        self.union(each)
    }

    /// The categories that leave for some learner without consent.
    pub(super) fn permitted_without_consent(&self) -> CategorySet {
        self.union(|of| of.based.permits)
    }

    /// What of the covered categories may leave; if nothing, why: what would help most.
    pub(super) fn decide(&self, minor: Option<bool>, cover: Cover) -> Result<CategorySet, Code> {
        let of = match minor {
            Some(false) => &self.adults,
            Some(true) => &self.minors,
            None => &self.unknown,
        };
        // Each category is decided by the best that covers it.
        let parts = [
            (&of.guarded, cover.guarded),
            (&of.consented, cover.consented.without(cover.guarded)),
            (&of.based, cover.based.without(cover.consented)),
        ];
        let permitted = parts.iter().fold(CategorySet::EMPTY, |permitted, (answer, covered)| {
            permitted.union(answer.permits.and(*covered))
        });
        if permitted != CategorySet::EMPTY {
            return Ok(permitted);
        }
        let refused = |at: usize, (answer, covered): &(&Answer, CategorySet)| {
            answer.refuses.get(at).is_some_and(|set| set.meets(*covered))
        };
        let mut codes = Plan::REFUSALS.iter().enumerate();
        let found = codes.find(|(at, _)| parts.iter().any(|part| refused(*at, part)));
        Err(found.map_or(Code::ConstraintFalse, |(_, code)| *code))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use policy::{Action, Facts, Policy, Timestamp};
    use serde_json::{Value, json};

    const NAMES: [&str; 3] = ["skills", "results", "identity"];

    fn plan(constraint: Value) -> Plan {
        let policy = json!({
            "@type": "Agreement", "@id": "urn:uuid:1", "target": "urn:uuid:2", "assigner": "did:web:a", "assignee": "did:web:b",
            "permission": [{"action": "use", "constraint": [constraint]}],
        });
        let facts = Facts::new(Timestamp::from_seconds(0), "did:web:b", Action::Use).with_minors_told();
        Policy::parse(&policy).unwrap().plan(&facts).unwrap()
    }

    fn is(left: &str, operator: &str, right: &str) -> Value {
        json!({"leftOperand": left, "operator": operator, "rightOperand": right})
    }

    fn numbered() -> Vec<(Category, Option<policy::Category>)> {
        let number = |at: usize| Category::new(u8::try_from(at).unwrap()).unwrap();
        let known = NAMES.iter().enumerate();
        let mut all: Vec<_> = known
            .map(|(at, name)| (number(at), policy::Category::read(name)))
            .collect();
        // One that only the holder knows.
        all.push((number(NAMES.len()), None));
        all
    }

    /// Every way to cover three categories and one that no policy knows, decided one category at a time.
    fn agrees(plan: &Plan) {
        let (categories, answers) = (numbered(), Answers::of(&numbered(), |record| plan.permits(record)));
        let set = CategorySet::from_bits;
        for minor in [None, Some(false), Some(true)] {
            for (guarded, consented, based) in
                (0..16).flat_map(|g| (0..16).flat_map(move |c| (0..16).map(move |b| (g, g | c, b))))
            {
                let cover = Cover {
                    guarded: set(guarded),
                    consented: set(consented),
                    based: set(based),
                };
                let mut expected = CategorySet::EMPTY;
                let mut codes = Vec::new();
                for (number, category) in categories.iter().filter(|(number, _)| cover.all().contains(*number)) {
                    let record = RecordFacts {
                        category: *category,
                        consent: Some(cover.consented.contains(*number)),
                        minor,
                        guardian_consent: Some(cover.guarded.contains(*number)),
                    };
                    match plan.permits(&record) {
                        Ok(()) => expected = expected.with(*number),
                        Err(code) => codes.push(code),
                    }
                }
                let rank = |code: &Code| Plan::REFUSALS.iter().position(|known| known == code).unwrap();
                let told = answers.decide(minor, cover);
                match codes.into_iter().min_by_key(rank) {
                    Some(code) if expected == CategorySet::EMPTY => assert_eq!(told, Err(code), "{minor:?} {cover:?}"),
                    None if expected == CategorySet::EMPTY => assert!(told.is_err()),
                    _ => assert_eq!(told, Ok(expected), "{minor:?} {cover:?}"),
                }
            }
        }
    }

    #[test]
    fn the_answers_are_those_of_the_plan_for_each_category_by_itself() {
        let (consent, skills) = (is("consent", "eq", "given"), is("dataCategory", "eq", "skills"));
        let (adult, guardian) = (is("minor", "neq", "true"), is("guardianConsent", "eq", "true"));
        for constraint in [
            consent.clone(),
            skills.clone(),
            is("dateTime", "gteq", "1970-01-01T00:00:00Z"),
            json!({"or": [consent, skills]}),
            json!({"or": [adult, guardian]}),
            json!({"and": [consent, {"or": [adult, guardian]}]}),
            json!({"or": [skills, {"and": [consent, guardian]}]}),
            json!({"and": [is("dataCategory", "neq", "identity"), {"or": [adult, guardian, consent]}]}),
        ] {
            agrees(&plan(constraint));
        }
    }

    #[test]
    fn a_part_of_a_category_is_answered_like_the_category() {
        let plan = plan(json!({"or": [is("consent", "eq", "given"), is("dataCategory", "eq", "skills")]}));
        let mut answers = Answers::of(&numbered(), |record| plan.permits(record));
        let number = |at| Category::new(at).unwrap();
        answers.add_part(number(0), number(40));
        answers.add_part(number(1), number(41));
        let parts = CategorySet::EMPTY.with(number(40)).with(number(41));
        let consented = Cover {
            consented: parts,
            ..Cover::NOTHING
        };
        assert_eq!(answers.decide(None, consented), Ok(parts));
        let based = Cover {
            based: parts,
            ..Cover::NOTHING
        };
        assert_eq!(answers.decide(None, based), Ok(CategorySet::EMPTY.with(number(40))));
        let unknown = Cover {
            consented: CategorySet::EMPTY.with(number(50)),
            ..Cover::NOTHING
        };
        assert!(
            answers.decide(None, unknown).is_err(),
            "what was not asked about is not permitted"
        );
    }

    #[test]
    fn consent_may_be_needed_for_some_categories_alone() {
        let plan = plan(json!({"or": [is("consent", "eq", "given"), is("dataCategory", "eq", "skills")]}));
        let answers = Answers::of(&numbered(), |record| plan.permits(record));
        let skills = CategorySet::from_bits(0b0001);
        assert_eq!(answers.permitted_without_consent(), skills);
        assert_eq!(answers.permitted(), CategorySet::from_bits(0b1111));
        let based = Cover {
            based: CategorySet::from_bits(0b0111),
            ..Cover::NOTHING
        };
        assert_eq!(answers.decide(None, based), Ok(skills));
        let others = Cover {
            based: CategorySet::from_bits(0b0110),
            ..Cover::NOTHING
        };
        assert_eq!(answers.decide(None, others), Err(Code::ConsentNone));
    }

    #[test]
    fn minors_and_those_of_whom_it_is_not_known_need_a_guardian_where_the_policy_says_so() {
        let plan = plan(json!({"or": [is("minor", "eq", "false"), is("guardianConsent", "eq", "true")]}));
        let answers = Answers::of(&numbered(), |record| plan.permits(record));
        let all = CategorySet::from_bits(0b111);
        let alone = Cover {
            consented: all,
            ..Cover::NOTHING
        };
        let guarded = Cover { guarded: all, ..alone };
        for minor in [None, Some(true)] {
            assert_eq!(answers.decide(minor, alone), Err(Code::GuardianMissing));
            assert_eq!(answers.decide(minor, guarded), Ok(all));
        }
        assert_eq!(answers.decide(Some(false), alone), Ok(all));
        let mixed = Cover {
            guarded: CategorySet::from_bits(0b010),
            ..alone
        };
        assert_eq!(answers.decide(Some(true), mixed), Ok(CategorySet::from_bits(0b010)));
    }
}
