//! Sets of instants: when a test on the clock holds. Whether the clock is in one of them is asked in `evaluate`.

use crate::{
    meaning::{Order, Span},
    timestamp::Timestamp,
};

/// Disjoint spans in ascending order, none of them empty and no two of them touching.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Instants(Vec<Span>);

/// Every instant that the clock can show.
const ALWAYS: Span = Span {
    start: Timestamp::MIN.millis(),
    end: Timestamp::MAX.millis() + 1,
};

impl Instants {
    /// When the comparison holds.
    pub(crate) fn of(order: Order, spans: &[Span]) -> Self {
        let until = |end| Span { end, ..ALWAYS };
        let from = |start| Span { start, ..ALWAYS };
        let holding = |span: &Span| match order {
            Order::Before => until(span.start),
            Order::BeforeOrIn => until(span.end),
            Order::After => from(span.end),
            Order::AfterOrIn => from(span.start),
            Order::In | Order::NotIn => *span,
        };
        let union = Self::union(spans.iter().map(holding).collect());
        if order == Order::NotIn {
            union.complement()
        } else {
            union
        }
    }

    fn union(mut spans: Vec<Span>) -> Self {
        spans.sort_unstable();
        let mut merged: Vec<Span> = Vec::new();
        for span in spans {
            let (start, end) = (span.start.max(ALWAYS.start), span.end.min(ALWAYS.end));
            match merged.last_mut() {
                _ if start >= end => {}
                Some(last) if start <= last.end => last.end = last.end.max(end),
                _ => merged.push(Span { start, end }),
            }
        }
        Self(merged)
    }

    fn complement(&self) -> Self {
        let starts = std::iter::once(ALWAYS.start).chain(self.0.iter().map(|span| span.end));
        let ends = self.0.iter().map(|span| span.start).chain([ALWAYS.end]);
        Self::union(starts.zip(ends).map(|(start, end)| Span { start, end }).collect())
    }

    /// The instants in both.
    pub(crate) fn and(&self, other: &Self) -> Self {
        let mut both = Vec::new();
        let (mut ours, mut theirs) = (self.0.iter().peekable(), other.0.iter().peekable());
        while let (Some(one), Some(two)) = (ours.peek(), theirs.peek()) {
            both.push(Span {
                start: one.start.max(two.start),
                end: one.end.min(two.end),
            });
            if one.end < two.end {
                ours.next()
            } else {
                theirs.next()
            };
        }
        Self::union(both)
    }

    /// True when each of these instants is one of the others.
    pub(crate) fn within(&self, other: &Self) -> bool {
        self.and(other) == *self
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(start: i64, end: i64) -> Span {
        Span { start, end }
    }

    #[test]
    fn each_order_holds_where_the_evaluation_says_so() {
        let of = |order| Instants::of(order, &[span(10, 20)]).0;
        assert_eq!(of(Order::Before), [span(ALWAYS.start, 10)]);
        assert_eq!(of(Order::BeforeOrIn), [span(ALWAYS.start, 20)]);
        assert_eq!(of(Order::After), [span(20, ALWAYS.end)]);
        assert_eq!(of(Order::AfterOrIn), [span(10, ALWAYS.end)]);
        assert_eq!(of(Order::In), [span(10, 20)]);
        assert_eq!(of(Order::NotIn), [span(ALWAYS.start, 10), span(20, ALWAYS.end)]);
    }

    #[test]
    fn alternatives_that_overlap_or_touch_are_one_span() {
        let spans = [span(30, 40), span(10, 20), span(20, 25), span(12, 15)];
        assert_eq!(Instants::of(Order::In, &spans).0, [span(10, 25), span(30, 40)]);
        let rest = Instants::of(Order::NotIn, &spans);
        assert_eq!(rest.0.len(), 3);
        assert!(rest.and(&Instants::of(Order::In, &spans)).is_empty());
    }

    #[test]
    fn a_set_is_within_another_when_nothing_of_it_lies_outside() {
        let (wide, narrow) = (
            Instants(vec![span(0, 10), span(20, 30)]),
            Instants(vec![span(2, 3), span(20, 30)]),
        );
        assert!(narrow.within(&wide) && !wide.within(&narrow));
        assert!(!Instants(vec![span(5, 25)]).within(&wide));
        let whole = Instants(vec![span(0, 30)]);
        assert!(wide.within(&whole) && wide == whole.and(&wide));
        assert!(Instants(Vec::new()).within(&narrow));
    }
}
