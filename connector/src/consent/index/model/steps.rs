//! The index and its model take the same steps, and are asked the same on the way and at the end.

use super::{
    super::tests::{agreement, at, did, id, texts},
    *,
};

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

fn transfer(number: usize) -> Occurrence {
    let pid = format!("urn:uuid:00000000-0000-4000-8000-00000000000{number}");
    Occurrence::new(&pid.parse().unwrap(), 1)
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
                    (&did(asked.recipient), &agreement(asked.agreement)),
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
            agreement: None,
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
            assert_eq!(index.object(&objection, at(0)).unwrap().0, epoch + 1);
        }
        Sort::Restriction => {
            let restriction = Restriction {
                id: &id,
                subject: learner,
                recipients: &lists.recipients,
            };
            assert_eq!(index.restrict(&restriction, at(0)).unwrap().0, epoch + 1);
        }
        Sort::Consent => {
            let agreement = what.agreement.map(agreement);
            let grant = Grant {
                id: &id,
                subject: learner,
                covered: Covered {
                    agreement: agreement.as_ref(),
                    ..lists.covered()
                },
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
                index.close(learner, |closed| *closed == id(number), at(0));
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
