//! Rules as units: conditions that all have to hold, each in one of several ways, each under the id of the constraint that it comes from. The
//! ways of a unit are its disjunctive normal form, bounded.

use super::{
    answer::Why,
    codes,
    concepts::Name,
    events,
    limits::Limits,
    space::{Area, Literal, Space},
    test::{Axis, How, Place, Test},
};
use crate::{
    Truth,
    model::Connective,
    odrl::{Constraint, Deed, Entity, Statement, model::Comparison},
    vocabulary::Action,
};

/// As deep as conditions are followed.
const MAX_DEPTH: usize = 64;
/// How operands are called that stand for the order of conditions.
pub(super) const ORDER: &str = "(order)";

/// The refinements and constraints of a rule, by what they are of.
fn conditions(statement: &Statement) -> [(Place, &[Constraint]); 4] {
    let action = statement.action.as_ref().map(|deed| deed.refinements.as_slice());
    let target = statement.target.as_ref().map(|asset| asset.refinements.as_slice());
    let assignee = statement.assignee.as_ref().map(|party| party.refinements.as_slice());
    [
        (Place::Action, action.unwrap_or_default()),
        (Place::Target, target.unwrap_or_default()),
        (Place::Assignee, assignee.unwrap_or_default()),
        (Place::World, &statement.constraints),
    ]
}

/// What a rule is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Permits,
    Prohibits,
}

/// A condition that has to hold, in one of several ways.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unit {
    /// Of the constraint, or of the rule whose action, target or assignee it is.
    pub(super) id: String,
    pub(super) areas: Vec<Area>,
}

/// All ways in which one of two conditions holds, or both.
fn both(one: Vec<Area>, other: &[Area], limits: Limits) -> Result<Vec<Area>, Why> {
    if one.len().saturating_mul(other.len()) > limits.areas {
        return Err(Why::TooLarge);
    }
    let size = |areas: &[Area]| areas.iter().map(Vec::len).sum::<usize>();
    if size(&one).saturating_mul(other.len()) + size(other).saturating_mul(one.len()) > limits.literals {
        return Err(Why::TooLarge);
    }
    // The usual case costs nothing for what is there already.
    if let ([next], 1) = (other, one.len()) {
        let mut one = one;
        one.iter_mut().for_each(|area| area.extend_from_slice(next));
        return Ok(one);
    }
    let pairs = one
        .iter()
        .flat_map(|left| other.iter().map(move |right| [left.as_slice(), right].concat()));
    Ok(pairs.collect())
}

/// All ways in which one of several conditions holds.
fn either(parts: Vec<Vec<Area>>, limits: Limits) -> Result<Vec<Area>, Why> {
    let areas: Vec<Area> = parts.into_iter().flatten().collect();
    let literals: usize = areas.iter().map(Vec::len).sum();
    if areas.len() > limits.areas || literals > limits.literals {
        return Err(Why::TooLarge);
    }
    Ok(areas)
}

fn every(parts: Vec<Vec<Area>>, limits: Limits) -> Result<Vec<Area>, Why> {
    parts
        .into_iter()
        .try_fold(vec![Vec::new()], |areas, part| both(areas, &part, limits))
}

/// Where a condition stands: what it is of, and which delay of a sequence. `denying` is true where it is enough that a condition is not known to
/// hold, as for a rule that is not to apply; under `xone` the others have to be known to fail.
#[derive(Clone, Copy)]
struct At {
    place: Place,
    step: usize,
    depth: usize,
    denying: bool,
}

impl At {
    const fn new(place: Place, denying: bool) -> Self {
        Self {
            place,
            step: 0,
            depth: 0,
            denying,
        }
    }
}

impl Space<'_> {
    /// What the rule asks of a request and of the world.
    pub(super) fn units(&mut self, statement: &Statement, side: Side) -> Result<Vec<Unit>, Why> {
        let mut units = self.named_units(statement, side);
        for (place, constraints) in conditions(statement) {
            let at = At::new(place, false);
            constraints
                .iter()
                .try_for_each(|constraint| self.flatten(constraint, at, &mut units))?;
        }
        Ok(units)
    }

    /// One unit that holds where the rule does not apply: for a prohibition where that is certain, for a permission where it is not certain that
    /// it does.
    pub(super) fn denied_rule(&mut self, statement: &Statement, side: Side) -> Result<Unit, Why> {
        let certain = side == Side::Prohibits;
        let mut ways = Vec::new();
        for unit in self.named_units(statement, side) {
            let mut areas = self.denied_areas(&unit.areas)?;
            if certain {
                areas
                    .iter_mut()
                    .flatten()
                    .for_each(|literal| *literal = Self::stated(*literal));
            }
            ways.push(areas);
        }
        for (place, constraints) in conditions(statement) {
            ways.extend(self.each(constraints, false, At::new(place, !certain))?);
        }
        Ok(Unit {
            id: statement.id.clone(),
            areas: either(ways, self.limits())?,
        })
    }

    /// What is done, to what, by whom.
    fn named_units(&mut self, statement: &Statement, side: Side) -> Vec<Unit> {
        let mut named = Vec::new();
        if let Some(Deed { action, .. }) = &statement.action {
            named.push((Place::Action, Test::names(How::Below, self.covered(action, side))));
        }
        if let Some(Entity { names, .. }) = statement.target.as_ref().filter(|target| !target.names.is_empty()) {
            named.push((Place::Target, self.identity("target", names)));
        }
        if let Some(Entity { names, .. }) = statement
            .assignee
            .as_ref()
            .filter(|assignee| !assignee.names.is_empty())
        {
            named.push((Place::Assignee, self.identity("assignee", names)));
        }
        named
            .into_iter()
            .map(|(place, test)| self.unit(&statement.id, place, test))
            .collect()
    }

    /// The actions that a rule on this one covers, with all below them. Where our profile is enforced, a prohibition of what handing over consists
    /// of refuses whatever is asked for: all that lies below the roots.
    fn covered(&self, action: &str, side: Side) -> Vec<Name> {
        let stops = |action: Action| action.stops_handing_over();
        if side == Side::Prohibits && self.concepts.enforced() && Action::read(action).is_some_and(stops) {
            let roots = Action::ALL.iter().filter(|action| action.included_in().is_none());
            return roots.map(|root| codes::action(&root.iri())).collect();
        }
        vec![codes::action(action)]
    }

    /// The thing itself, or what is said to be a part or member of it.
    fn identity(&self, left: &str, names: &[String]) -> Test {
        Test::names(
            How::Below,
            names.iter().map(|name| self.concepts.name(left, name, false)),
        )
    }

    pub(super) fn unit(&mut self, id: &str, place: Place, test: Test) -> Unit {
        let axis = Axis {
            place,
            left: String::new(),
            step: 0,
        };
        Unit {
            id: id.to_owned(),
            areas: vec![vec![self.literal(axis, test)]],
        }
    }

    /// The parts of an `and` are units of their own, so that a conflict can be told to lie in one of them.
    fn flatten(&mut self, constraint: &Constraint, at: At, units: &mut Vec<Unit>) -> Result<(), Why> {
        let (id, parts) = match constraint {
            Constraint::Atomic(comparison) => (&comparison.id, None),
            Constraint::Logical {
                id,
                connective: Connective::And,
                parts,
            } if at.depth < MAX_DEPTH => (id, Some(parts)),
            Constraint::Logical { id, .. } => (id, None),
        };
        let Some(parts) = parts else {
            let areas = self.areas(constraint, true, at)?;
            units.push(Unit { id: id.clone(), areas });
            return Ok(());
        };
        let at = At {
            depth: at.depth + 1,
            ..at
        };
        parts.iter().try_for_each(|part| self.flatten(part, at, units))
    }

    /// All ways in which a constraint holds, or does not.
    fn areas(&mut self, constraint: &Constraint, holds: bool, at: At) -> Result<Vec<Area>, Why> {
        // Under a `xone` each part is written out as holding and as failing: twice as often with every level.
        self.writing.spend(1)?;
        let (connective, parts) = match constraint {
            Constraint::Atomic(comparison) => return Ok(vec![vec![self.atom(comparison, holds, at)]]),
            Constraint::Logical { connective, parts, .. } => (*connective, parts),
        };
        if at.depth >= MAX_DEPTH {
            return Err(Why::TooDeep);
        }
        let at = At {
            depth: at.depth + 1,
            ..at
        };
        // Exactly one of one holds where it does, and fails where it fails.
        if let (Connective::Xone, [part]) = (connective, parts.as_slice()) {
            return self.areas(part, holds, at);
        }
        // Each part has its own way to hold, or to fail.
        let by_one = matches!(
            (connective, holds),
            (Connective::Or, true) | (Connective::And | Connective::AndSequence, false) | (Connective::Xone, _)
        );
        if by_one && parts.len() > self.limits().areas {
            return Err(Why::TooLarge);
        }
        match (connective, holds) {
            (Connective::And, true) | (Connective::Or, false) => every(self.each(parts, holds, at)?, self.limits()),
            (Connective::Or, true) | (Connective::And, false) => either(self.each(parts, holds, at)?, self.limits()),
            (Connective::Xone, true) => self.exactly_one(parts, at),
            (Connective::Xone, false) => self.not_exactly_one(parts, at),
            (Connective::AndSequence, _) => self.in_order(parts, holds, at),
        }
    }

    fn each(&mut self, parts: &[Constraint], holds: bool, at: At) -> Result<Vec<Vec<Area>>, Why> {
        let mut all = Vec::new();
        let mut size = 0;
        for part in parts {
            let areas = self.areas(part, holds, at)?;
            size += areas.len();
            if size > self.limits().literals {
                return Err(Why::TooLarge);
            }
            all.push(areas);
        }
        Ok(all)
    }

    fn exactly_one(&mut self, parts: &[Constraint], at: At) -> Result<Vec<Area>, Why> {
        if parts.len().saturating_mul(parts.len()) > self.limits().literals {
            return Err(Why::TooLarge);
        }
        let sure = At { denying: false, ..at };
        let (hold, fail) = (self.each(parts, true, sure)?, self.each(parts, false, sure)?);
        let ways = hold.iter().enumerate().map(|(chosen, areas)| {
            let others = fail.iter().enumerate().filter(|(other, _)| *other != chosen);
            others
                .map(|(_, areas)| areas)
                .try_fold(areas.clone(), |areas, part| both(areas, part, self.limits()))
        });
        either(ways.collect::<Result<_, _>>()?, self.limits())
    }

    fn not_exactly_one(&mut self, parts: &[Constraint], at: At) -> Result<Vec<Area>, Why> {
        if parts.len().saturating_mul(parts.len()) > self.limits().literals {
            return Err(Why::TooLarge);
        }
        let hold = self.each(parts, true, At { denying: false, ..at })?;
        let mut ways = vec![every(self.each(parts, false, at)?, self.limits())?];
        // Beside one that holds, one of which it is not known makes it unknown whether there is exactly one.
        let mut beside = hold.clone();
        if at.denying {
            beside.iter_mut().for_each(|areas| self.loosen(areas));
        }
        for (first, one) in hold.iter().enumerate() {
            for (_, other) in beside.iter().enumerate().filter(|(other, _)| *other != first) {
                ways.push(both(one.clone(), other, self.limits())?);
            }
        }
        either(ways, self.limits())
    }

    /// The parts of a sequence, each a step of it, and their order, which nothing else says.
    fn in_order(&mut self, parts: &[Constraint], holds: bool, at: At) -> Result<Vec<Area>, Why> {
        let mut all = Vec::new();
        for (number, part) in parts.iter().enumerate() {
            all.push(self.areas(part, holds, At { step: number + 1, ..at })?);
        }
        if parts.len() > 1 {
            let axis = Axis {
                place: at.place,
                left: ORDER.to_owned(),
                step: 0,
            };
            let order = self.literal(axis, Test::sequence(parts));
            let order = if holds { Some(order) } else { self.denied(order) };
            all.extend(order.map(|order| vec![vec![order]]));
        }
        let limits = self.limits();
        if holds { every(all, limits) } else { either(all, limits) }
    }

    fn atom(&mut self, comparison: &Comparison, holds: bool, at: At) -> Literal {
        let left = events::operand(comparison);
        // Where our profile enforces them, all delays are counted from the agreement.
        let of_sequence = left == "delayPeriod" && !self.concepts.enforced();
        let step = if of_sequence { at.step } else { 0 };
        let axis = Axis {
            place: at.place,
            left,
            step,
        };
        let test = Test::read(comparison, self.concepts);
        let literal = self.literal(axis, test);
        if holds {
            return literal;
        }
        match self.denied(literal) {
            Some(denied) if at.denying => denied,
            denied => denied.map_or(literal, Self::stated),
        }
    }

    /// All ways in which none of some areas holds.
    pub(super) fn denied_areas(&mut self, areas: &[Area]) -> Result<Vec<Area>, Why> {
        let mut ways = Vec::new();
        for area in areas {
            let denied = area.iter().filter_map(|literal| self.denied(*literal));
            ways.push(denied.map(|literal| vec![literal]).collect());
        }
        every(ways, self.limits())
    }

    /// Two units that cannot hold together, under these ids.
    pub(super) fn contradicting(&mut self, ids: &[String; 2]) -> [Unit; 2] {
        let [one, other] = ids;
        let axis = Axis {
            place: Place::World,
            left: ORDER.to_owned(),
            step: 0,
        };
        let holds = self.literal(axis, Test::void());
        let fails = self.denied(holds).map(Self::stated);
        let unit = |id: &String, areas| Unit { id: id.clone(), areas };
        [
            unit(one, vec![vec![holds]]),
            unit(other, fails.map(|literal| vec![literal]).into_iter().collect()),
        ]
    }

    /// A unit that asks for this action, or one below it.
    pub(super) fn asked(&mut self, action: &Name) -> Unit {
        self.unit("", Place::Action, Test::names(How::Below, [action.clone()]))
    }

    /// Whether a unit is what a rule says of its action, without refinements.
    pub(super) fn is_action(&self, unit: &Unit) -> bool {
        let axis = unit
            .areas
            .first()
            .and_then(|area| area.first())
            .and_then(|literal| self.axis(*literal));
        axis.is_some_and(|axis| axis.place == Place::Action && axis.left.is_empty())
    }

    /// The actions that a rule on `of` covers and that imply something that a rule on `against` covers.
    pub(super) fn implying(&self, of: &str, against: &str) -> Vec<Name> {
        let covers = |wide: &str, name: &Name| self.concepts.is_below(name, &codes::action(wide)) == Truth::True;
        let implying =
            self.concepts.implications().into_iter().filter(|(action, implied)| {
                covers(of, action) && implied.iter().any(|implied| covers(against, implied))
            });
        implying.map(|(action, _)| action).collect()
    }
}
