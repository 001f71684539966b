//! The truth of one comparison: a typed test against what one evaluation sees. Rules are judged in `evaluate`.

use super::{Purpose, World};
use crate::{
    facts::{Moment, Verified},
    meaning::{Anchor, Held, Holding, Meter, Order, Relation, Span, Test},
    odrl::Decimal,
    purposes,
    truth::Truth,
    vocabulary::{Known, LeftOperand},
};
use std::collections::BTreeSet;

impl Test {
    pub(crate) fn truth(&self, world: &World<'_>) -> Truth {
        let fact = |fact: Option<bool>| fact.map_or(Truth::Unknown, Truth::from);
        match self {
            Self::Time { order, spans } => Truth::from(on_line(*order, spans, world.moment.now)),
            Self::Since { operand, order, length } => match Anchor::of(*operand, world.request) {
                None => world.missing,
                Some(Anchor::Never) => Truth::from(matches!(order, Order::After | Order::AfterOrIn | Order::NotIn)),
                Some(Anchor::At(from)) => {
                    Truth::from(on_line(*order, &[Span::at(length.after(from))], world.moment.now))
                }
            },
            Self::Used { meter, order, spans } => {
                let reading = meter.reading(world.moment);
                reading.map_or(world.missing, |reading| Truth::from(on_line(*order, spans, reading)))
            }
            Self::Amount {
                operand,
                order,
                numbers,
                unit,
            } => match world.request.numbers.get(operand) {
                None => world.missing,
                Some((_, other)) if other != unit => Truth::Unknown,
                Some((number, _)) => Truth::from(compares(*order, numbers, *number)),
            },
            Self::Recipient { relation, names } => in_names(*relation, names, world.recipient),
            Self::Purpose { relation, names } => match world.purpose {
                None => Truth::Unknown,
                Some(Purpose::Named(name)) => match relation {
                    Relation::Below => purposes::lies_below(name, names),
                    named => in_names(*named, names, name),
                },
                Some(Purpose::Other) => outside(*relation),
            },
            Self::Consent { given } => fact(world.record.consent.map(|fact| fact == *given)),
            Self::Flag { operand, set } => {
                let flag = match operand {
                    LeftOperand::Minor => world.record.minor,
                    _ => world.record.guardian_consent,
                };
                fact(flag.map(|flag| flag == *set))
            }
            Self::Category { relation, members } => {
                let among = |category| members.contains(&category) != (*relation == Relation::NoneOf);
                fact(world.record.category.map(among))
            }
            Self::Held { what, holding, values } => held(what, *holding, values, world),
            // `lt` is before the event, `eq` during, `gt` after (ODRL 2.2, Common Vocabulary §4.4 `event`).
            Self::Event { order, name } => match world.request.event(name) {
                None => world.missing,
                Some(time) => Truth::from(on_line(*order, &[time], world.moment.now)),
            },
        }
    }
}

impl Test {
    /// What it compares is used up: it does not hold, and no further use will make it hold.
    pub(super) fn is_used_up(&self, moment: Moment) -> bool {
        let Self::Used { meter, order, spans } = self else {
            return false;
        };
        let passed = |reading: i64| match order {
            Order::Before | Order::BeforeOrIn => !on_line(*order, spans, reading),
            Order::In => spans.iter().all(|span| span.end <= reading),
            Order::After | Order::AfterOrIn | Order::NotIn => false,
        };
        meter.reading(moment).is_some_and(passed)
    }
}

impl Meter {
    const fn reading(self, moment: Moment) -> Option<i64> {
        match self {
            Self::Transfers => moment.transfer,
            Self::OpenTime => moment.metered,
        }
    }
}

fn on_line(order: Order, spans: &[Span], at: i64) -> bool {
    let any = |holds: fn(&Span, i64) -> bool| spans.iter().any(|span| holds(span, at));
    match order {
        Order::Before => any(|span, at| at < span.start),
        Order::BeforeOrIn => any(|span, at| at < span.end),
        Order::After => any(|span, at| at >= span.end),
        Order::AfterOrIn => any(|span, at| at >= span.start),
        Order::In => any(|span, at| span.start <= at && at < span.end),
        Order::NotIn => !any(|span, at| span.start <= at && at < span.end),
    }
}

fn compares(order: Order, numbers: &BTreeSet<Decimal>, number: Decimal) -> bool {
    match order {
        Order::Before => numbers.iter().any(|limit| number < *limit),
        Order::BeforeOrIn => numbers.iter().any(|limit| number <= *limit),
        Order::After => numbers.iter().any(|limit| number > *limit),
        Order::AfterOrIn => numbers.iter().any(|limit| number >= *limit),
        Order::In => numbers.contains(&number),
        Order::NotIn => !numbers.contains(&number),
    }
}

fn in_names(relation: Relation, names: &BTreeSet<String>, name: &str) -> Truth {
    if names.contains(name) {
        Truth::from(relation != Relation::NoneOf)
    } else {
        outside(relation)
    }
}

fn held(what: &Held, holding: Holding, wanted: &BTreeSet<String>, world: &World<'_>) -> Truth {
    let held = match what {
        Held::Claim(claim) => match world.verified {
            Verified::Assumed(truth) => return truth,
            Verified::Claims(claims) => claims.get(claim),
        },
        Held::Named(operand) => match world.request.named.get(operand) {
            None => return absent(*operand, world),
            named => named,
        },
    };
    let Some(held) = held else { return Truth::Unknown };
    match holding {
        Holding::Any => Truth::from(!wanted.is_disjoint(held)),
        Holding::All => Truth::from(wanted.is_subset(held)),
        Holding::None => Truth::from(wanted.is_disjoint(held)),
        Holding::Above if wanted.is_subset(held) => Truth::True,
        Holding::Below if !wanted.is_disjoint(held) => Truth::True,
        Holding::Below => match what {
            Held::Named(operand) if world.request.is_within(*operand, wanted) => Truth::True,
            _ => Truth::Unknown,
        },
        Holding::Above => Truth::Unknown,
    }
}

/// What a comparison is taken for whose operand has no names. What says something of the consumer comes with the consumer, as its claims do:
/// what is not there then does not come later (policy.md §1.10, stages C and N).
fn absent(operand: LeftOperand, world: &World<'_>) -> Truth {
    match world.verified {
        Verified::Claims(_) if operand.operand().known == Known::Consumer => Truth::Unknown,
        _ => world.missing,
    }
}

/// For a name that is not listed. Whether it lies *below* a listed one is not known of a name that nobody wrote.
fn outside(relation: Relation) -> Truth {
    match relation {
        Relation::AnyOf => Truth::False,
        Relation::NoneOf => Truth::True,
        Relation::Below => Truth::Unknown,
    }
}
