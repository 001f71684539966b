//! What follows from constraints that all hold, whatever the facts are. Sound and not complete: "does not follow" may mean
//! "not shown". Three-valued: what follows is never less true than the least true premise, so that a permission that holds
//! carries over to what follows from it, and a prohibition that may hold as well.

use crate::{
    instants::Instants,
    meaning::{Held, Holding, Length, Meter, Order, Relation, Span, Test},
    model::Connective,
    normal::Normal,
    odrl::compare::containing,
    purposes,
    truth::Truth,
    vocabulary::{Category, LeftOperand},
};
use std::collections::BTreeSet;

/// Constraints that all hold, and what they say together about each left operand; `None` where they say nothing.
#[derive(Default)]
pub(crate) struct Premises<'a> {
    stated: Vec<&'a Normal>,
    time: Option<Instants>,
    purpose: Option<Names<'a>>,
    recipient: Option<Names<'a>>,
    category: Option<BTreeSet<Category>>,
    consent: Option<BTreeSet<bool>>,
    transfers: Option<Instants>,
    open_time: Option<Instants>,
    /// The alternatives of each `or`.
    choices: Vec<Vec<Self>>,
}

/// A set of names out of infinitely many: none that certainly fails a comparison. What is in `only` has passed `not` and `below`.
#[derive(Default)]
struct Names<'a> {
    /// One of these; `None` for any.
    only: Option<BTreeSet<&'a str>>,
    /// None of these.
    not: BTreeSet<&'a str>,
    /// Below one of each of these.
    below: Vec<&'a BTreeSet<String>>,
}

impl<'a> Names<'a> {
    fn of(relation: Relation, names: &'a BTreeSet<String>) -> Self {
        let listed = || names.iter().map(String::as_str).collect();
        let mut all = Self::default();
        match relation {
            Relation::AnyOf => all.only = Some(listed()),
            Relation::NoneOf => all.not = listed(),
            Relation::Below => all.below.push(names),
        }
        all
    }

    /// Each name meets each comparison once: whoever writes hundreds of both must not buy seconds of our time.
    fn and(mut self, mut other: Self) -> Self {
        let only = match (self.only.take(), other.only.take()) {
            (Some(one), Some(two)) => Some(&one & &two),
            (Some(mut one), None) => {
                one.retain(|name| other.passes(name));
                Some(one)
            }
            (None, Some(mut two)) => {
                two.retain(|name| self.passes(name));
                Some(two)
            }
            (None, None) => None,
        };
        self.only = only;
        self.not.extend(other.not);
        self.below.extend(other.below);
        self
    }

    /// A name of which it is not known whether it lies below others may: then the comparison is Unknown and not False.
    fn passes(&self, name: &str) -> bool {
        let may_lie_below = |wider: &&BTreeSet<String>| purposes::lies_below(name, wider) != Truth::False;
        !self.not.contains(name) && self.below.iter().all(may_lie_below)
    }

    fn has(&self, name: &str) -> bool {
        match &self.only {
            Some(names) => names.contains(name),
            None => self.passes(name),
        }
    }

    /// True when each of these names makes the comparison true, or no less true than the comparisons that they come from.
    fn satisfy(&self, relation: Relation, wanted: &BTreeSet<String>) -> bool {
        let each = |holds: &dyn Fn(&str) -> bool| {
            self.only
                .as_ref()
                .is_some_and(|names| names.iter().all(|name| holds(name)))
        };
        match relation {
            Relation::AnyOf => each(&|name| wanted.contains(name)),
            Relation::NoneOf => wanted.iter().all(|name| !self.has(name)),
            Relation::Below => {
                each(&|name| purposes::lies_below(name, wanted) == Truth::True) || self.lie_below(wanted)
            }
        }
    }

    /// What lies below one of a few names lies below whatever these lie below.
    fn lie_below(&self, wanted: &BTreeSet<String>) -> bool {
        let within = |names: &&BTreeSet<String>| {
            names
                .iter()
                .all(|name| purposes::lies_below(name, wanted) == Truth::True)
        };
        self.below.iter().any(within)
    }
}

fn categories(relation: Relation, members: &BTreeSet<Category>) -> BTreeSet<Category> {
    let holds = |category: &&Category| members.contains(category) != (relation == Relation::NoneOf);
    Category::ALL.iter().filter(holds).copied().collect()
}

/// Narrows what has been said about one left operand.
fn narrow<T>(said: &mut Option<T>, more: T, and: impl FnOnce(T, T) -> T) {
    *said = Some(match said.take() {
        Some(before) => and(before, more),
        None => more,
    });
}

impl<'a> Premises<'a> {
    pub(crate) fn of(constraints: impl IntoIterator<Item = &'a Normal>) -> Self {
        let mut premises = Self::default();
        for constraint in constraints {
            premises.add(constraint);
        }
        premises
    }

    fn add(&mut self, constraint: &'a Normal) {
        self.stated.push(constraint);
        match constraint {
            Normal::Test(test) => self.add_test(test),
            Normal::Logical(Connective::And, parts) => parts.iter().for_each(|part| self.add(part)),
            Normal::Logical(Connective::Or, parts) => {
                self.choices.push(parts.iter().map(|part| Self::of([part])).collect());
            }
            Normal::Logical(Connective::Xone | Connective::AndSequence, _) | Normal::Verbatim(..) => {}
        }
    }

    fn add_test(&mut self, test: &'a Test) {
        match test {
            Test::Time { order, spans } => {
                narrow(&mut self.time, Instants::of(*order, spans), |one, two| one.and(&two));
            }
            Test::Purpose { relation, names } => {
                narrow(&mut self.purpose, Names::of(*relation, names), Names::and);
            }
            Test::Recipient { relation, names } => {
                narrow(&mut self.recipient, Names::of(*relation, names), Names::and);
            }
            Test::Category { relation, members } => {
                narrow(&mut self.category, categories(*relation, members), |one, two| {
                    &one & &two
                });
            }
            Test::Used { meter, order, spans } => {
                // The transfer in question is counted itself, and no stream was open for less than no time.
                let (said, least) = match meter {
                    Meter::Transfers => (&mut self.transfers, 1),
                    Meter::OpenTime => (&mut self.open_time, 0),
                };
                let possible = Instants::of(Order::AfterOrIn, &[Span::at(least)]);
                narrow(said, Instants::of(*order, spans).and(&possible), |one, two| {
                    one.and(&two)
                });
            }
            // Each stands by itself: names of which there may be several are not narrowed by what is said about one of them.
            Test::Held { .. } | Test::Since { .. } | Test::Amount { .. } | Test::Flag { .. } | Test::Event { .. } => {}
            Test::Consent { given } => {
                narrow(&mut self.consent, BTreeSet::from([*given]), |one, two| &one & &two);
            }
        }
    }

    /// True when the premises cannot hold without `wanted`.
    pub(crate) fn imply(&self, wanted: &Normal) -> bool {
        if let Normal::Logical(Connective::And, parts) = wanted {
            return parts.iter().all(|part| self.imply(part));
        }
        // The alternatives are taken apart before those of `wanted` and never after them, which keeps the work below the
        // product of the two sizes.
        let every = |parts: &Vec<Self>| parts.iter().all(|part| part.imply(wanted));
        self.say(wanted) || self.choices.iter().any(every)
    }

    fn say(&self, wanted: &Normal) -> bool {
        self.stated.contains(&wanted)
            || match wanted {
                Normal::Test(test) => self.say_test(test),
                Normal::Logical(Connective::And, parts) => parts.iter().all(|part| self.say(part)),
                Normal::Logical(Connective::Or, parts) => parts.iter().any(|part| self.say(part)),
                // The order of a sequence, and that no second part holds, are known only where they are stated.
                Normal::Logical(Connective::Xone | Connective::AndSequence, _) | Normal::Verbatim(..) => false,
            }
    }

    /// A left operand about which nothing is said implies nothing, even what holds for all its values: the fact may be
    /// missing.
    fn say_test(&self, wanted: &Test) -> bool {
        let names = |said: &Option<Names<'_>>, relation, wanted| {
            said.as_ref().is_some_and(|names| names.satisfy(relation, wanted))
        };
        match wanted {
            Test::Time { order, spans } => {
                let wanted = Instants::of(*order, spans);
                self.time.as_ref().is_some_and(|time| time.within(&wanted))
            }
            Test::Purpose {
                relation,
                names: wanted,
            } => names(&self.purpose, *relation, wanted),
            Test::Recipient {
                relation,
                names: wanted,
            } => names(&self.recipient, *relation, wanted),
            Test::Category { relation, members } => {
                let wanted = categories(*relation, members);
                self.category.as_ref().is_some_and(|members| members.is_subset(&wanted))
            }
            Test::Consent { given } => self.consent.as_ref().is_some_and(|said| !said.contains(&!given)),
            Test::Used { meter, order, spans } => {
                let wanted = Instants::of(*order, spans);
                self.used(*meter).is_some_and(|said| said.within(&wanted))
            }
            Test::Held { what, holding, values } => self.say_held(what, *holding, values),
            Test::Since { operand, order, length } => self.say_since(*operand, *order, *length),
            Test::Amount { .. } => self.say_amount(wanted),
            // Only the same says the same, and that was looked for among what is stated.
            Test::Flag { .. } | Test::Event { .. } => false,
        }
    }

    /// One of few values is one of more, and below what it lies below; whoever holds all or none of many holds all or none of fewer.
    fn say_held(&self, wanted: &Held, how: Holding, more: &BTreeSet<String>) -> bool {
        let lies_below = |name: &String| match wanted {
            Held::Named(operand) => containing(*operand, name).iter().any(|wider| more.contains(wider)),
            Held::Claim(_) => more.contains(name),
        };
        self.stated.iter().any(|stated| match stated {
            Normal::Test(Test::Held { what, holding, values }) if what == wanted => match (*holding, how) {
                (Holding::Any, Holding::Any) => values.is_subset(more),
                (Holding::Any | Holding::Below, Holding::Below) => values.iter().all(lies_below),
                (Holding::All, Holding::All) | (Holding::Above, Holding::Above) | (Holding::None, Holding::None) => {
                    more.is_subset(values)
                }
                _ => false,
            },
            _ => false,
        })
    }

    fn used(&self, meter: Meter) -> Option<&Instants> {
        match meter {
            Meter::Transfers => self.transfers.as_ref(),
            Meter::OpenTime => self.open_time.as_ref(),
        }
    }

    /// Within a shorter time is within a longer one; after a longer one, after a shorter one. Months and the rest are not converted.
    fn say_since(&self, wanted: LeftOperand, how: Order, limit: Length) -> bool {
        self.stated.iter().any(|stated| match stated {
            Normal::Test(Test::Since { operand, order, length }) if *operand == wanted && *order == how => {
                let (shorter, longer) = match how {
                    Order::Before | Order::BeforeOrIn => (*length, limit),
                    Order::After | Order::AfterOrIn => (limit, *length),
                    Order::In | Order::NotIn => return false,
                };
                shorter.months <= longer.months && shorter.millis <= longer.millis
            }
            _ => false,
        })
    }

    /// At most less is at most more; at least more is at least less, in the same unit.
    fn say_amount(&self, wanted: &Test) -> bool {
        let Test::Amount {
            operand: wanted,
            order: how,
            numbers: limit,
            unit: currency,
        } = wanted
        else {
            return false;
        };
        self.stated.iter().any(|stated| match stated {
            Normal::Test(Test::Amount {
                operand,
                order,
                numbers,
                unit,
            }) if operand == wanted && order == how && unit == currency => match how {
                Order::Before | Order::BeforeOrIn => numbers.last() <= limit.last(),
                Order::After | Order::AfterOrIn => numbers.first() >= limit.first(),
                Order::In => numbers.is_subset(limit),
                Order::NotIn => limit.is_subset(numbers),
            },
            _ => false,
        })
    }

    /// True when `test` can hold beside the premises, as far as they speak about its left operand.
    pub(crate) fn admit(&self, test: &Test) -> bool {
        let mut both = Self::default();
        both.add_test(test);
        let overlap = |said: &Option<Names<'_>>, also: &Option<Names<'_>>| match (said, also) {
            (Some(names), Some(Names { only: Some(few), .. })) => few.iter().any(|name| names.has(name)),
            _ => true,
        };
        let time = match (&self.time, &both.time) {
            (Some(one), Some(two)) => !one.and(two).is_empty(),
            _ => true,
        };
        let category = match (&self.category, &both.category) {
            (Some(one), Some(two)) => !one.is_disjoint(two),
            _ => true,
        };
        let used = match test {
            Test::Used { meter, .. } => match (self.used(*meter), both.used(*meter)) {
                (Some(one), Some(two)) => !one.and(two).is_empty(),
                _ => true,
            },
            _ => true,
        };
        time && used && category && overlap(&self.purpose, &both.purpose) && overlap(&self.recipient, &both.recipient)
    }

    /// Whether the time since the agreement has to be shorter than the delay that is counted from there too. Months and the rest are held against
    /// each other only where no month is so short or so long that it could matter.
    fn ends_before_it_begins(&self) -> bool {
        let stated = || {
            self.stated.iter().filter_map(|stated| match stated {
                Normal::Test(Test::Since { operand, order, length }) if *operand != LeftOperand::TimeInterval => {
                    Some((*order, *length))
                }
                _ => None,
            })
        };
        // As the evaluation has it (`Span::at`): a length takes one millisecond, up to its end or from its beginning on.
        let longer = |length: Length, by| Length {
            millis: length.millis.saturating_add(by),
            ..length
        };
        let ends = stated().filter_map(|(order, length)| match order {
            Order::Before => Some(length),
            Order::BeforeOrIn => Some(longer(length, 1)),
            Order::After | Order::AfterOrIn | Order::In | Order::NotIn => None,
        });
        let begins = stated().filter_map(|(order, length)| match order {
            Order::After => Some(longer(length, 1)),
            Order::AfterOrIn => Some(length),
            Order::Before | Order::BeforeOrIn | Order::In | Order::NotIn => None,
        });
        let (least, most) = (|length: &Length| length.bounds().0, |length: &Length| length.bounds().1);
        match (ends.min_by_key(most), begins.max_by_key(least)) {
            (Some(end), Some(begin)) => {
                most(&end) <= least(&begin) || end.months <= begin.months && end.millis <= begin.millis
            }
            _ => false,
        }
    }

    /// The left operand for which the premises leave no value.
    pub(crate) fn contradiction(&self) -> Option<&'static str> {
        let none = |names: &Option<Names<'_>>| {
            names
                .as_ref()
                .and_then(|names| names.only.as_ref())
                .is_some_and(BTreeSet::is_empty)
        };
        [
            (self.time.as_ref().is_some_and(Instants::is_empty), "time"),
            (
                self.transfers.as_ref().is_some_and(Instants::is_empty),
                "number of transfers",
            ),
            (self.open_time.as_ref().is_some_and(Instants::is_empty), "time of use"),
            (self.ends_before_it_begins(), "time since the agreement"),
            (none(&self.purpose), "purpose"),
            (none(&self.recipient), "recipient"),
            (self.category.as_ref().is_some_and(BTreeSet::is_empty), "data category"),
            (
                self.consent.as_ref().is_some_and(BTreeSet::is_empty),
                "state of consent",
            ),
        ]
        .into_iter()
        .find_map(|(empty, what)| empty.then_some(what))
    }
}

#[cfg(test)]
mod tests;
