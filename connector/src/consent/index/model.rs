//! The index against the most obvious model of it: lists that are searched from end to end, in which everything is still a text.

use super::{
    tests::{at, did, id, texts},
    *,
};
use policy::release::GroupSize;
use proptest::{collection::vec, prelude::*, sample::subsequence};
use std::collections::{BTreeMap, BTreeSet};

const LEARNERS: [&str; 3] = ["anna", "ben", "chloé"];
const RECIPIENTS: [&str; 2] = ["work", "edtech"];
const PURPOSES: [&str; 3] = ["orientation", "research", "marketing"];
const DATASETS: [&str; 2] = ["records", "courses"];
const CATEGORIES: [&str; 3] = ["skills", "results", "identity"];
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
}

#[derive(Clone, Debug)]
enum Step {
    Open(&'static str, What),
    Withdraw(&'static str, u128),
    Object(&'static str, What),
    Restrict(&'static str, What),
    Forget(&'static str, u128),
    Age(&'static str, Option<i64>),
    /// This transfer is counted for this consent.
    Count(u128, usize),
    OpenBasis(usize, Basis, bool, What),
    CloseBasis(usize),
    Expire(i64),
    Ask(i64),
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
    (lists, (0..12i64, 4..20i64), flags, most, least).prop_map(
        |((recipients, purposes, datasets, categories), period, flags, most, least)| What {
            recipients,
            purposes,
            datasets,
            categories,
            period,
            flags,
            most,
            least,
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let learner = || prop::sample::select(&LEARNERS[..]);
    let basis = prop::sample::select(vec![Basis::PublicTask, Basis::LegitimateInterest, Basis::Contract]);
    prop_oneof![
        6 => (learner(), what()).prop_map(|(learner, what)| Step::Open(learner, what)),
        2 => (learner(), 0..30u128).prop_map(|(learner, number)| Step::Withdraw(learner, number)),
        1 => (learner(), what()).prop_map(|(learner, what)| Step::Object(learner, what)),
        1 => (learner(), what()).prop_map(|(learner, what)| Step::Restrict(learner, what)),
        3 => (learner(), 0..30u128).prop_map(|(learner, number)| Step::Forget(learner, number)),
        2 => (learner(), prop::option::of(0..20i64)).prop_map(|(learner, of_age)| Step::Age(learner, of_age)),
        2 => (0..30u128, 0..3usize).prop_map(|(number, transfer)| Step::Count(number, transfer)),
        2 => (0..2usize, basis, any::<bool>(), what()).prop_map(|(name, basis, may, what)| Step::OpenBasis(name, basis, may, what)),
        1 => (0..2usize).prop_map(Step::CloseBasis),
        1 => (0..20i64).prop_map(Step::Expire),
        4 => (0..20i64).prop_map(Step::Ask),
    ]
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
    categories: Vec<&'static str>,
    rule: Rule,
    form: Form,
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

fn transfer(number: usize) -> Occurrence {
    let pid = format!("urn:uuid:00000000-0000-4000-8000-00000000000{number}");
    Occurrence::new(&pid.parse().unwrap(), 1)
}

type Set = BTreeSet<&'static str>;

impl Asked {
    fn common(&self, what: &What) -> Set {
        let named = |name: &&&str| what.categories.contains(*name) && self.rule.ever(name, None);
        self.categories.iter().filter(named).copied().collect()
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
        let (mut consented, mut guarded, mut based) = (Set::new(), Set::new(), Set::new());
        let (mut refused, mut objected) = (Set::new(), Set::new());
        let mut reasons = vec![Reason::None];
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
            let fit = asked.fit(&held.what);
            let ended = match () {
                () if held.withdrawn => Some(Reason::Withdrawn),
                () if held.expired || outside => Some(Reason::Expired),
                () if fit.is_err() => None,
                () if held.what.flags.0 && !matches!(asked.form, Form::Groups(_)) => Some(Reason::Aggregate),
                () if held.what.flags.1 => Some(Reason::Guardian),
                () if held.is_for_larger_groups_than(asked.form) => Some(Reason::GroupSize),
                () if held.is_used_up_for(asked.transfer) => Some(Reason::UsedUp),
                () => None,
            };
            match (ended, fit) {
                (Some(reason), _) => {
                    reasons.push(reason);
                    if asked.concerns(&held.what, false) {
                        refused.extend(asked.common(&held.what));
                    }
                }
                (None, Ok(categories)) => {
                    if held.what.flags.2 {
                        guarded.extend(&categories);
                    }
                    consented.extend(categories);
                }
                (None, Err(reason)) => reasons.push(reason),
            }
        }
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
                true => Reason::Objected,
                false => reasons.into_iter().max().unwrap(),
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

/// The index, and a reader for each question that goes on reading through all steps.
struct Real {
    index: Arc<Index>,
    readers: Vec<(Asked, Reader, i64)>,
}

impl Real {
    fn new(questions: Vec<Asked>) -> Self {
        let index = Arc::new(Index::default());
        let read = |asked: Asked| {
            let question = index
                .question(
                    &did(asked.recipient),
                    &texts(&asked.purposes),
                    &asked.dataset.parse().unwrap(),
                    &texts(&asked.categories),
                    |record| asked.rule.permits(record),
                )
                .unwrap();
            let form = asked.form;
            let mut reader = Reader::new(index.clone(), Question { form, ..question });
            if let Some(number) = asked.transfer {
                reader = reader.of(transfer(number));
            }
            (asked, reader, 0)
        };
        let readers = questions.into_iter().map(read).collect();
        Self { index, readers }
    }
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
        prop::sample::select(&DATASETS[..]),
        subsequence(&CATEGORIES[..], 1..=3),
        (prop::sample::select(&RULES[..]), form()),
        prop::option::of(0..3usize),
    );
    let asked = one.prop_map(
        |(recipient, purposes, dataset, categories, (rule, form), transfer)| Asked {
            transfer,
            recipient,
            purposes,
            dataset,
            categories,
            rule,
            form,
        },
    );
    vec(asked, 1..4)
}

/// Texts in the types that the index takes.
struct Lists {
    recipients: Vec<ParticipantId>,
    purposes: Vec<String>,
    datasets: Vec<DatasetId>,
    categories: Vec<String>,
}

impl Lists {
    fn of(what: &What) -> Self {
        Self {
            recipients: what.recipients.iter().map(|name| did(name)).collect(),
            purposes: texts(&what.purposes),
            datasets: what.datasets.iter().map(|name| name.parse().unwrap()).collect(),
            categories: texts(&what.categories),
        }
    }

    fn covered(&self) -> Covered<'_> {
        Covered {
            recipients: &self.recipients,
            purposes: &self.purposes,
            datasets: &self.datasets,
            categories: &self.categories,
        }
    }
}

fn open(index: &Index, model: &mut Model, learner: &'static str, what: What, sort: Sort) {
    let (lists, id, epoch) = (Lists::of(&what), id(model.made), index.epoch());
    match sort {
        Sort::Objection => {
            let objection = Objection {
                id: &id,
                subject: learner,
                recipients: &lists.recipients,
                purposes: &lists.purposes,
                datasets: &lists.datasets,
            };
            assert_eq!(index.object(&objection).unwrap().0, epoch + 1);
        }
        Sort::Restriction => {
            let restriction = Restriction {
                id: &id,
                subject: learner,
                recipients: &lists.recipients,
            };
            assert_eq!(index.restrict(&restriction).unwrap().0, epoch + 1);
        }
        Sort::Consent => {
            let grant = Grant {
                id: &id,
                subject: learner,
                covered: lists.covered(),
                fields: &[],
                from: at(what.period.0),
                until: at(what.period.1),
                aggregate_only: what.flags.0,
                min_group_size: what.least,
                guardian_missing: what.flags.1,
                guardian_gave: what.flags.2,
                most_transfers: what.most,
                of_age: model.ages.get(learner).map(|of_age| at(*of_age)),
                ended: None,
            };
            index.open(&grant).unwrap();
        }
    }
    model.held.push(Held {
        id: model.made,
        learner,
        what,
        sort,
        withdrawn: false,
        expired: false,
        // An objection and a restriction are taken in without.
        of_age: model.ages.get(learner).copied().filter(|_| sort == Sort::Consent),
        counted: Vec::new(),
    });
    model.made += 1;
}

fn open_basis(index: &Index, model: &mut Model, (name, basis, may_object): (usize, Basis, bool), what: What) {
    let lists = Lists::of(&what);
    let rule = BasisRule {
        id: &name.to_string(),
        basis,
        covered: lists.covered(),
        from: at(what.period.0),
        until: at(what.period.1),
        may_object,
    };
    index.open_basis(&rule).unwrap();
    model.rules.retain(|(old, ..)| *old != name);
    model.rules.push((name, may_object || basis != Basis::Contract, what));
}

fn expire(index: &Index, model: &mut Model, now: i64) {
    let open = |held: &Held| held.sort == Sort::Consent && !held.withdrawn && !held.expired;
    let first = model
        .held
        .iter()
        .filter(|held| open(held))
        .map(|held| at(held.what.period.1))
        .min();
    assert!(first.is_none_or(|first| index.next_expiry().is_some_and(|next| next <= first)));
    let mut ended = BTreeSet::new();
    for held in model
        .held
        .iter_mut()
        .filter(|held| open(held) && held.what.period.1 <= now)
    {
        held.expired = true;
        ended.insert(id(held.id).to_string());
    }
    model.rules.retain(|(.., what)| now < what.period.1);
    let told: Vec<String> = index.expired(at(now)).iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), ended.len());
    assert_eq!(told.into_iter().collect::<BTreeSet<_>>(), ended);
}

/// As it is on disk: a transfer is counted once, and never beyond the limit.
fn count(index: &Index, model: &mut Model, number: u128, by: usize) {
    let Some(held) = model.held.iter_mut().find(|held| held.id == number) else {
        return;
    };
    let room = held
        .what
        .most
        .is_some_and(|most| held.counted.len() < usize::try_from(most).unwrap());
    if held.sort == Sort::Consent && room && !held.counted.contains(&by) {
        held.counted.push(by);
        let before = held.counted.len() - 1;
        index.tell_counted(&id(number), held.counted.iter().copied().map(transfer).collect());
        // What was known earlier changes nothing.
        index.tell_counted(
            &id(number),
            held.counted.iter().copied().map(transfer).take(before).collect(),
        );
    }
}

fn compare(real: &mut Real, model: &Model, now: i64) {
    for (asked, reader, latest) in &mut real.readers {
        *latest = (*latest).max(now);
        reader.begin(at(now));
        for learner in LEARNERS {
            let expected = model.ask(learner, asked, *latest);
            let expected = expected.map(|names| names.iter().map(|name| real.index.category(name).unwrap()).collect());
            assert_eq!(reader.ask(learner), expected, "{learner}: {asked:?} at {latest}");
        }
    }
}

fn run(steps: Vec<Step>, questions: Vec<Asked>) {
    let (mut real, mut model) = (Real::new(questions), Model::default());
    for step in steps {
        let index = real.index.clone();
        match step {
            Step::Open(learner, what) => open(&index, &mut model, learner, what, Sort::Consent),
            Step::Object(learner, what) => open(&index, &mut model, learner, what, Sort::Objection),
            Step::Restrict(learner, what) => open(&index, &mut model, learner, what, Sort::Restriction),
            Step::Withdraw(learner, number) => {
                let named =
                    |held: &&mut Held| held.learner == learner && held.id == number && held.sort == Sort::Consent;
                index.close(learner, |closed| *closed == id(number));
                model
                    .held
                    .iter_mut()
                    .filter(named)
                    .for_each(|held| held.withdrawn = true);
            }
            Step::Forget(learner, number) => {
                index.forget(learner, |dropped| *dropped == id(number));
                model.held.retain(|held| held.learner != learner || held.id != number);
            }
            Step::Age(learner, of_age) => {
                index.tell_age(learner, of_age.map(at));
                match of_age {
                    Some(of_age) => model.ages.insert(learner, of_age),
                    None => model.ages.remove(learner),
                };
                let theirs = model.held.iter_mut().filter(|held| held.learner == learner);
                theirs.for_each(|held| held.of_age = of_age);
            }
            Step::Count(number, by) => count(&index, &mut model, number, by),
            Step::OpenBasis(name, basis, may, what) => open_basis(&index, &mut model, (name, basis, may), what),
            Step::CloseBasis(name) => {
                index.close_basis(&name.to_string());
                model.rules.retain(|(old, ..)| *old != name);
            }
            Step::Expire(now) => expire(&index, &mut model, now),
            Step::Ask(now) => compare(&mut real, &model, now),
        }
    }
    compare(&mut real, &model, 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_index_answers_as_a_list_would_that_is_searched_from_end_to_end(steps in vec(step(), 1..60), questions in questions()) {
        run(steps, questions);
    }
}
