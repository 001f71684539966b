//! The most obvious model of the index: lists that are searched from end to end, in which everything is still a text. `steps` takes the index
//! and the model through the same.

use super::*;
use policy::release::GroupSize;
use proptest::{collection::vec, prelude::*, sample::subsequence};
use std::collections::{BTreeMap, BTreeSet};

mod steps;

const LEARNERS: [&str; 3] = ["anna", "ben", "chloé"];
const RECIPIENTS: [&str; 2] = ["work", "edtech"];
const PURPOSES: [&str; 3] = ["orientation", "research", "marketing"];
const DATASETS: [&str; 2] = ["records", "courses"];
const CATEGORIES: [&str; 3] = ["skills", "results", "identity"];
const AGREEMENTS: [&str; 2] = ["a", "b"];
const SIZES: [u32; 3] = [5, 10, 20];

/// What consents, objections and rules have in common.
#[derive(Clone, Debug)]
struct What {
    recipients: Vec<&'static str>,
    purposes: Vec<&'static str>,
    datasets: Vec<&'static str>,
    categories: Vec<&'static str>,
    period: (i64, i64),
    flags: (bool, bool, bool),
    /// For so many transfers and no more.
    most: Option<u64>,
    /// In groups of so many learners and no fewer.
    least: Option<u32>,
    /// Under this agreement alone. It says something of consents; no basis is for one, and a no is about all.
    agreement: Option<&'static str>,
}

fn what() -> impl Strategy<Value = What> {
    let lists = (
        subsequence(&RECIPIENTS[..], 0..=2),
        subsequence(&PURPOSES[..], 0..=3),
        subsequence(&DATASETS[..], 0..=1),
        subsequence(&CATEGORIES[..], 0..=3),
    );
    let flags = (prop::bool::weighted(0.1), prop::bool::weighted(0.1), any::<bool>());
    let most = prop::option::weighted(0.3, 1..3u64);
    let least = prop::option::weighted(0.3, prop::sample::select(&SIZES[..]));
    let agreement = prop::option::weighted(0.3, prop::sample::select(&AGREEMENTS[..]));
    (lists, (0..12i64, 4..20i64), flags, most, (least, agreement)).prop_map(
        |((recipients, purposes, datasets, categories), period, flags, most, (least, agreement))| What {
            recipients,
            purposes,
            datasets,
            categories,
            period,
            flags,
            most,
            least,
            agreement,
        },
    )
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    Consent,
    Objection,
    /// Of which only the recipients say something.
    Restriction,
}

/// What the model knows of one consent, objection or restriction.
struct Held {
    id: u128,
    learner: &'static str,
    what: What,
    sort: Sort,
    withdrawn: bool,
    expired: bool,
    of_age: Option<i64>,
    /// The transfers that were counted.
    counted: Vec<usize>,
}

#[derive(Clone, Debug)]
struct Asked {
    /// By which transfer; none has no name yet.
    transfer: Option<usize>,
    recipient: &'static str,
    purposes: Vec<&'static str>,
    dataset: &'static str,
    agreement: &'static str,
    categories: Vec<&'static str>,
    rule: Rule,
    form: Form,
}

fn form() -> impl Strategy<Value = Form> {
    let size = || prop::sample::select(&SIZES[..]).prop_map(|size| GroupSize::new(size).unwrap());
    prop_oneof![
        3 => Just(Form::Records),
        1 => size().prop_map(Form::Rows),
        2 => size().prop_map(Form::Groups),
    ]
}

fn questions() -> impl Strategy<Value = Vec<Asked>> {
    let one = (
        prop::sample::select(&RECIPIENTS[..]),
        subsequence(&PURPOSES[..], 0..=2),
        (
            prop::sample::select(&DATASETS[..]),
            prop::sample::select(&AGREEMENTS[..]),
        ),
        subsequence(&CATEGORIES[..], 1..=3),
        (prop::sample::select(&RULES[..]), form()),
        prop::option::of(0..3usize),
    );
    let asked = one.prop_map(
        |(recipient, purposes, (dataset, agreement), categories, (rule, form), transfer)| Asked {
            transfer,
            recipient,
            purposes,
            dataset,
            agreement,
            categories,
            rule,
            form,
        },
    );
    vec(asked, 1..4)
}

/// What a policy asks of each record.
#[derive(Clone, Copy, Debug)]
enum Rule {
    Nothing,
    Consent,
    /// Consent, but for skills.
    ConsentToSome,
    /// A guardian's consent for minors.
    Guardian,
    /// Skills of adults alone.
    Adults,
}

const RULES: [Rule; 5] = [
    Rule::Nothing,
    Rule::Consent,
    Rule::ConsentToSome,
    Rule::Guardian,
    Rule::Adults,
];

impl Rule {
    fn permits(self, record: &RecordFacts) -> Result<(), Code> {
        let skills = record.category == Some(policy::Category::Skills);
        let adult = record.minor == Some(false);
        let (permits, code) = match self {
            Self::Nothing => (true, Code::ConstraintFalse),
            Self::Consent => (record.consent == Some(true), Code::ConsentNone),
            Self::ConsentToSome => (skills || record.consent == Some(true), Code::ConsentNone),
            Self::Guardian => (adult || record.guardian_consent == Some(true), Code::GuardianMissing),
            Self::Adults => (skills && adult, Code::ConstraintFalse),
        };
        if permits { Ok(()) } else { Err(code) }
    }

    /// Whether it ever permits this category with consent, or without.
    fn ever(self, category: &str, consent: Option<bool>) -> bool {
        let all = [Some(false), Some(true)];
        all.iter().any(|guardian_consent| {
            all.iter().any(|minor| {
                let record = |consent| RecordFacts {
                    category: policy::Category::read(category),
                    consent,
                    minor: *minor,
                    guardian_consent: if consent == Some(true) {
                        *guardian_consent
                    } else {
                        Some(false)
                    },
                };
                match consent {
                    Some(_) => self.permits(&record(consent)).is_ok(),
                    None => all.iter().any(|consent| self.permits(&record(*consent)).is_ok()),
                }
            })
        })
    }
}

impl Held {
    fn is_for_larger_groups_than(&self, form: Form) -> bool {
        let (Form::Rows(size) | Form::Groups(size)) = form else {
            return false;
        };
        self.what.least.is_some_and(|least| least > size.get())
    }

    fn is_used_up_for(&self, transfer: Option<usize>) -> bool {
        let full = self
            .what
            .most
            .is_some_and(|most| self.counted.len() >= usize::try_from(most).unwrap());
        full && !transfer.is_some_and(|transfer| self.counted.contains(&transfer))
    }
}

type Set = BTreeSet<&'static str>;

impl Asked {
    fn common(&self, what: &What) -> Set {
        let named = |name: &&&str| what.categories.contains(*name) && self.rule.ever(name, None);
        self.categories.iter().filter(named).copied().collect()
    }

    /// The same of a consent, which may be for one agreement.
    fn fit_consent(&self, what: &What) -> Result<Set, Reason> {
        let set = self.fit(what)?;
        match what.agreement.is_none_or(|agreement| agreement == self.agreement) {
            true => Ok(set),
            false => Err(Reason::Agreement),
        }
    }

    /// Why terms that are in force do not permit, or what they permit.
    fn fit(&self, what: &What) -> Result<Set, Reason> {
        let dataset = what.datasets.is_empty() || what.datasets.contains(&self.dataset);
        if !what.recipients.contains(&self.recipient) {
            Err(Reason::Recipient)
        } else if self.purposes.is_empty() || self.purposes.iter().any(|purpose| !what.purposes.contains(purpose)) {
            Err(Reason::Purpose)
        } else if !dataset || self.common(what).is_empty() {
            Err(Reason::Category)
        } else {
            Ok(self.common(what))
        }
    }

    /// What terms say anything about, for one of the purposes at least.
    fn about(&self, what: &What) -> Set {
        match self.concerns(what, false) {
            true => self.common(what),
            false => Set::new(),
        }
    }

    /// The categories for which there is, for each purpose, a consent among these; or one that a guardian gave.
    fn covered(&self, in_force: &[&What], guarded: bool) -> Set {
        let covers = |what: &What, purpose: &str, category: &str| {
            what.purposes.contains(&purpose) && self.about(what).contains(category) && (what.flags.2 || !guarded)
        };
        let for_each_purpose = |category: &&&'static str| {
            let mut purposes = self.purposes.iter();
            purposes.all(|purpose| in_force.iter().any(|what| covers(what, purpose, category)))
        };
        // Without a purpose, everything could be done with it.
        let asked = self.categories.iter().filter(|_| !self.purposes.is_empty());
        asked.filter(for_each_purpose).copied().collect()
    }

    /// Whether the learner was asked about anything of this.
    fn concerns(&self, what: &What, none_is_all: bool) -> bool {
        let all = |list: &[&str]| none_is_all && list.is_empty();
        (all(&what.recipients) || what.recipients.contains(&self.recipient))
            && (what.datasets.is_empty() || what.datasets.contains(&self.dataset))
            && self
                .purposes
                .iter()
                .any(|purpose| all(&what.purposes) || what.purposes.contains(purpose))
    }
}

#[derive(Default)]
struct Model {
    held: Vec<Held>,
    rules: Vec<(usize, bool, What)>,
    ages: BTreeMap<&'static str, i64>,
    made: u128,
}

impl Model {
    fn is_restricted(&self, learner: &str, recipient: &str) -> bool {
        let towards = |what: &What| what.recipients.is_empty() || what.recipients.contains(&recipient);
        let mut theirs = self.held.iter().filter(|held| held.learner == learner);
        theirs.any(|held| held.sort == Sort::Restriction && towards(&held.what))
    }

    fn ask(&self, learner: &str, asked: &Asked, now: i64) -> Result<Set, Withheld> {
        let (mut in_force, mut based) = (Vec::new(), Set::new());
        let (mut refused, mut objected) = (Set::new(), Set::new());
        // Those of what is about this before all others.
        let mut reasons = vec![(false, Reason::None)];
        if self.is_restricted(learner, asked.recipient) {
            return Err(Withheld::Consent(Reason::Restricted));
        }
        let theirs = self.held.iter().filter(|held| held.learner == learner);
        for held in theirs.filter(|held| held.sort != Sort::Restriction) {
            if held.sort == Sort::Objection {
                if asked.concerns(&held.what, true) {
                    objected.extend(&asked.categories);
                }
                continue;
            }
            let outside = now < held.what.period.0 || now >= held.what.period.1;
            let about = asked.about(&held.what);
            let elsewhere = held.what.agreement.is_some_and(|named| named != asked.agreement);
            let ended = match () {
                () if held.withdrawn => Some(Reason::Withdrawn),
                () if held.expired || outside => Some(Reason::Expired),
                () if about.is_empty() || elsewhere => None,
                () if held.what.flags.0 && !matches!(asked.form, Form::Groups(_)) => Some(Reason::Aggregate),
                () if held.what.flags.1 => Some(Reason::Guardian),
                () if held.is_for_larger_groups_than(asked.form) => Some(Reason::GroupSize),
                () if held.is_used_up_for(asked.transfer) => Some(Reason::UsedUp),
                () => None,
            };
            match ended {
                Some(reason) => {
                    reasons.extend((!about.is_empty()).then_some((true, reason)));
                    refused.extend(about);
                }
                None => {
                    let reason = asked.fit_consent(&held.what).err();
                    reasons.extend(reason.map(|reason| (!about.is_empty(), reason)));
                    in_force.extend((!elsewhere).then_some(&held.what));
                }
            }
        }
        let (consented, guarded) = (asked.covered(&in_force, false), asked.covered(&in_force, true));
        let mut any = false;
        for (_, may_object, what) in &self.rules {
            if now >= what.period.0 && now < what.period.1 {
                let fit = asked.fit(what).unwrap_or_default();
                for category in fit.iter().filter(|name| asked.rule.ever(name, Some(false))) {
                    any = true;
                    if !(refused.contains(category) || *may_object && objected.contains(category)) {
                        based.insert(*category);
                    }
                }
            }
        }
        if consented.is_empty() && based.is_empty() {
            return Err(Withheld::Consent(match any && !objected.is_empty() {
                _ if asked.purposes.is_empty() => Reason::Unbound,
                true => Reason::Objected,
                false => reasons.into_iter().max().unwrap().1,
            }));
        }
        let mut theirs = self.held.iter().filter(|held| held.learner == learner);
        let of_age = theirs.find_map(|held| held.of_age);
        let decide = |category: &&str| {
            asked.rule.permits(&RecordFacts {
                category: policy::Category::read(category),
                consent: Some(consented.contains(category)),
                minor: of_age.map(|of_age| now < of_age),
                guardian_consent: Some(guarded.contains(category)),
            })
        };
        let covered: Set = consented.union(&based).copied().collect();
        let permitted: Set = covered.iter().filter(|name| decide(name).is_ok()).copied().collect();
        match covered.iter().find_map(|name| decide(name).err()) {
            Some(code) if permitted.is_empty() => Err(Withheld::Policy(code)),
            _ => Ok(permitted),
        }
    }
}
