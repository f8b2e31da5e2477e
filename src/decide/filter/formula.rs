//! Formulas over the fields of a row, kept simple while they are built.
//!
//! What only says which values a field may have is a [`Set`], so that several such are one; all else
//! is an [`Atom`]. A row passes or does not: there is no third value, and nothing is ever negated
//! but an atom that looks into a list.

use std::collections::BTreeMap;

use super::set::{Set, Singles};
use super::tree::{Condition, Constant, Field, Leaf, Operand, Term, Test};

/// What a row must fulfil.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Formula<'a> {
    Never,
    Always,
    /// What stands in the field is one of these.
    In(Field<'a>, Set<'a>),
    Holds(Atom<'a>),
    /// At least two, sorted, none of them a join of the same kind.
    Join(Joint, Vec<Self>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Joint {
    All,
    Any,
}

/// A test that is true, or, negated, false.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Atom<'a> {
    pub(super) leaf: Leaf<'a>,
    pub(super) negated: bool,
}

/// What holds where a part of a join matters: in `all`, what the other parts ask; in `any`, that
/// none of the others passes.
struct Known<'k, 'a> {
    joint: Joint,
    ranges: &'k BTreeMap<Field<'a>, Set<'a>>,
    others: &'k [Formula<'a>],
    /// Which of the others is the part itself.
    itself: usize,
}

/// Up to so many parts are compared each with each.
const SIFTED_MAX: usize = 200;

/// Every one of these.
pub(super) fn all<'a>(parts: impl IntoIterator<Item = Formula<'a>>) -> Formula<'a> {
    Joint::All.join(parts)
}

/// One of these.
pub(super) fn any<'a>(parts: impl IntoIterator<Item = Formula<'a>>) -> Formula<'a> {
    Joint::Any.join(parts)
}

// === impl Joint ===

impl Joint {
    const fn dual(self) -> Self {
        match self {
            Self::All => Self::Any,
            Self::Any => Self::All,
        }
    }

    /// What one part makes of the whole.
    const fn absorbing<'a>(self) -> Formula<'a> {
        match self {
            Self::All => Formula::Never,
            Self::Any => Formula::Always,
        }
    }

    const fn neutral<'a>(self) -> Formula<'a> {
        match self {
            Self::All => Formula::Always,
            Self::Any => Formula::Never,
        }
    }

    /// Whether a part of `a` is needless beside `b`.
    fn absorbs(self, a: &Formula<'_>, b: &Formula<'_>) -> bool {
        match self {
            Self::All => b.implies(a),
            Self::Any => a.implies(b),
        }
    }

    fn join<'a>(self, parts: impl IntoIterator<Item = Formula<'a>>) -> Formula<'a> {
        let mut flat = Vec::new();
        for part in parts {
            self.push(&mut flat, part);
        }
        loop {
            let Some((sets, others)) = self.gather(flat) else {
                return self.absorbing();
            };
            let ranges = sets.clone().into_iter().map(|(field, set)| {
                let range = match self {
                    Self::All => set,
                    Self::Any => set.complement(&field),
                };
                (field, range)
            });
            let ranges: BTreeMap<_, _> = ranges.collect();
            let mut changed = false;
            flat = sets.into_iter().map(|(f, s)| Formula::In(f, s)).collect();
            for (itself, part) in others.iter().enumerate() {
                let simpler = part.clone().where_it_matters(&Known {
                    joint: self,
                    ranges: &ranges,
                    others: &others,
                    itself,
                });
                changed |= simpler != *part;
                self.push(&mut flat, simpler);
            }
            if !changed && !self.sift(&mut flat) {
                break;
            }
        }
        flat.sort();
        match flat.len() {
            0 => self.neutral(),
            1 => flat.pop().unwrap_or(Formula::Never),
            _ => Formula::Join(self, flat),
        }
    }

    fn push<'a>(self, flat: &mut Vec<Formula<'a>>, part: Formula<'a>) {
        match part {
            Formula::Join(joint, parts) if joint == self => flat.extend(parts),
            part if part == self.neutral() => {}
            part => flat.push(part),
        }
    }

    /// The sets, one a field, and all else, each once; `None` where one part decides alone.
    #[expect(
        clippy::type_complexity,
        reason = "two lists, named where they are taken"
    )]
    fn gather<'a>(
        self,
        parts: Vec<Formula<'a>>,
    ) -> Option<(BTreeMap<Field<'a>, Set<'a>>, Vec<Formula<'a>>)> {
        let mut sets = BTreeMap::<Field<'a>, Set<'a>>::new();
        let mut others = Vec::new();
        for part in parts {
            match part {
                part if part == self.absorbing() => return None,
                Formula::In(field, set) => {
                    let set = set.within_domain(&field);
                    let set = match (sets.remove(&field), self) {
                        (None, _) => set,
                        (Some(before), Self::All) => before.intersection(set),
                        (Some(before), Self::Any) => before.union(set),
                    };
                    sets.insert(field, set);
                }
                other => others.push(other),
            }
        }
        others.sort();
        others.dedup();
        let atoms = || others.iter().filter_map(Formula::atom);
        if self == Self::All && atoms().any(|a| atoms().any(|b| a.excludes(b))) {
            return None;
        }
        for (field, set) in &mut sets {
            for atom in atoms().filter(|atom| atom.leaf.field == *field) {
                if self == Self::All {
                    *set = set.clone().intersection(atom.hull());
                }
                // What an atom says of a value, the set need not say again.
                let told = Some(self == Self::Any);
                let (Singles::Few(few) | Singles::AllBut(few)) = &mut set.singles;
                few.retain(|value| atom.passes(value) != told);
            }
        }
        for (field, set) in &sets {
            let absorbing = match self {
                Self::All => set.is_empty(),
                Self::Any => *set == Set::domain(field),
            };
            if absorbing {
                return None;
            }
        }
        sets.retain(|field, set| match self {
            Self::All => *set != Set::domain(field),
            Self::Any => !set.is_empty(),
        });
        Some((sets, others))
    }

    /// Takes out what others make needless, and unites parts that differ in one part of theirs.
    /// Whether there was any to unite.
    fn sift(self, parts: &mut Vec<Formula<'_>>) -> bool {
        if parts.len() > SIFTED_MAX {
            return false;
        }
        let mut at = 0;
        while let Some(part) = parts.get(at) {
            let mut others = parts.iter().enumerate().filter(|(n, _)| *n != at);
            if others.any(|(_, other)| self.absorbs(part, other)) {
                parts.remove(at);
            } else {
                at += 1;
            }
        }
        for a in 0..parts.len() {
            for b in a + 1..parts.len() {
                if let Some(united) = self.unite(parts.get(a), parts.get(b)) {
                    parts.remove(b);
                    parts.remove(a);
                    self.push(parts, united);
                    return true;
                }
            }
        }
        false
    }

    /// `any` of `all` A B and `all` A C is `all` of A and `any` of B C; and the other way round.
    fn unite<'a>(self, a: Option<&Formula<'a>>, b: Option<&Formula<'a>>) -> Option<Formula<'a>> {
        let (Some(Formula::Join(_, a)), Some(Formula::Join(_, b))) = (a, b) else {
            return None;
        };
        let (mut only_a, mut only_b) = (
            a.iter().filter(|part| !b.contains(part)),
            b.iter().filter(|part| !a.contains(part)),
        );
        let differ = self.join([only_a.next()?.clone(), only_b.next()?.clone()]);
        if only_a.next().is_some() || only_b.next().is_some() {
            return None;
        }
        let common = a.iter().filter(|part| b.contains(part)).cloned();
        Some(self.dual().join(common.chain([differ])))
    }
}

// === impl Formula ===

impl From<bool> for Formula<'_> {
    fn from(value: bool) -> Self {
        if value { Self::Always } else { Self::Never }
    }
}

impl<'a> Formula<'a> {
    /// What stands in the field is a single value, one of these.
    pub(super) fn single(field: Field<'a>, singles: Singles<'a>) -> Self {
        Self::set(field, Set::single(singles))
    }

    pub(super) fn set(field: Field<'a>, set: Set<'a>) -> Self {
        all([Self::In(field, set)])
    }

    pub(super) fn test(field: Field<'a>, test: Test, value: Operand<'a>) -> Self {
        Self::Holds(Atom {
            leaf: Leaf { field, test, value },
            negated: false,
        })
    }

    fn atom(&self) -> Option<&Atom<'a>> {
        match self {
            Self::Holds(atom) => Some(atom),
            _ => None,
        }
    }

    /// The same where it matters, with what is known there.
    fn where_it_matters(self, known: &Known<'_, 'a>) -> Self {
        match self {
            Self::In(field, set) => match known.ranges.get(&field) {
                Some(range) if range.is_within(&set) => Self::Always,
                Some(range) if !range.meets(&set) => Self::Never,
                _ => Self::In(field, set),
            },
            Self::Holds(atom) => known.of_atom(&atom).unwrap_or(Self::Holds(atom)),
            Self::Join(joint, parts) => joint.join(
                parts
                    .into_iter()
                    .map(|part| part.where_it_matters(known))
                    .collect::<Vec<_>>(),
            ),
            constant => constant,
        }
    }

    /// Whether every row that passes this passes `other`. A `false` may be wrong.
    fn implies(&self, other: &Self) -> bool {
        match (self, other) {
            (a, b) if a == b => true,
            (Self::Never, _) | (_, Self::Always) => true,
            (Self::In(f, set), Self::In(g, of)) => f == g && set.is_within(of),
            (Self::Holds(atom), Self::In(g, of)) => {
                atom.leaf.field == *g && atom.hull().is_within(of)
            }
            (Self::In(f, set), Self::Holds(atom)) => {
                let passes = |value: &Constant<'a>| atom.passes(value) == Some(true);
                atom.leaf.field == *f && set.few().is_some_and(|few| few.iter().all(passes))
            }
            (Self::Holds(a), Self::Holds(b)) => a.implies(b),
            (Self::Join(Joint::Any, parts), other) => parts.iter().all(|part| part.implies(other)),
            (this, Self::Join(Joint::All, parts)) => parts.iter().all(|part| this.implies(part)),
            (Self::Join(Joint::All, parts), other) => {
                parts.iter().any(|part| part.implies(other))
                    || matches!(other, Self::Join(_, of) if of.iter().any(|of| self.implies(of)))
            }
            (this, Self::Join(Joint::Any, parts)) => parts.iter().any(|part| this.implies(part)),
            _ => false,
        }
    }

    /// How many values stand in it, and tests.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Never | Self::Always => 0,
            Self::In(_, set) => 1 + set.singles.values().len(),
            Self::Holds(atom) => match &atom.leaf.value {
                Operand::Many(terms) => 1 + terms.len(),
                Operand::One(_) | Operand::Whole(_) => 1,
            },
            Self::Join(_, parts) => parts.iter().map(Self::size).sum(),
        }
    }

    /// As a tree; of what always or never passes there is none.
    pub(super) fn into_tree(self) -> Option<Condition<'a>> {
        let leaf = |field, test, value| Condition::Leaf(Leaf { field, test, value });
        Some(match self {
            Self::Never | Self::Always => return None,
            Self::Holds(Atom { leaf, negated }) if negated => {
                Condition::Not(Box::new(Condition::Leaf(leaf)))
            }
            Self::Holds(Atom { leaf, .. }) => Condition::Leaf(leaf),
            Self::In(field, set) => {
                let present = |present| Operand::One(Term::Constant(Constant::Bool(present)));
                let mut leaves = Vec::new();
                let anything = set.nested || !matches!(field, Field::Property(_));
                match set.singles {
                    Singles::AllBut(few) if few.is_empty() && anything => {
                        leaves.push(leaf(field.clone(), Test::Present, present(true)));
                    }
                    Singles::AllBut(few) => {
                        let (test, value) = operand([Test::Not, Test::NotIn], few);
                        leaves.push(leaf(field.clone(), test, value));
                    }
                    Singles::Few(few) if few.is_empty() => {}
                    Singles::Few(few) => {
                        let (test, value) = operand([Test::Is, Test::In], few);
                        leaves.push(leaf(field.clone(), test, value));
                    }
                }
                if set.absent {
                    leaves.push(leaf(field, Test::Present, present(false)));
                }
                match leaves.len() {
                    1 => leaves.pop()?,
                    _ => Condition::Any(leaves),
                }
            }
            Self::Join(Joint::All, parts) => {
                Condition::All(parts.into_iter().filter_map(Self::into_tree).collect())
            }
            Self::Join(Joint::Any, parts) => {
                let mut children = Vec::new();
                for part in parts.into_iter().filter_map(Self::into_tree) {
                    match part {
                        Condition::Any(parts) => children.extend(parts),
                        part => children.push(part),
                    }
                }
                Condition::Any(children)
            }
        })
    }
}

/// One value for the first of the tests, several for the second.
fn operand<'a>(
    [one, many]: [Test; 2],
    few: impl IntoIterator<Item = Constant<'a>>,
) -> (Test, Operand<'a>) {
    let mut terms: Vec<_> = few.into_iter().map(Term::Constant).collect();
    match (terms.len(), terms.pop()) {
        (1, Some(term)) => (one, Operand::One(term)),
        (_, last) => {
            terms.extend(last);
            (many, Operand::Many(terms))
        }
    }
}

// === impl Known ===

impl<'a> Known<'_, 'a> {
    fn of_atom(&self, atom: &Atom<'a>) -> Option<Formula<'a>> {
        for (_, other) in (self.others.iter().enumerate()).filter(|(n, _)| *n != self.itself) {
            match (self.joint, other.atom()) {
                (Joint::All, Some(other)) if other.implies(atom) => return Some(Formula::Always),
                (Joint::All, Some(other)) if other.excludes(atom) => return Some(Formula::Never),
                (Joint::Any, Some(other)) if atom.implies(other) => return Some(Formula::Never),
                _ => {}
            }
        }
        let range = self.ranges.get(&atom.leaf.field)?;
        if !range.meets(&atom.hull()) {
            return Some(Formula::Never);
        }
        let mut passes = range.few()?.iter().map(|value| atom.passes(value));
        let first = passes.next()??;
        passes
            .all(|passes| passes == Some(first))
            .then_some(first.into())
    }
}

// === impl Atom ===

impl<'a> Atom<'a> {
    /// Whether a single value in the field passes, where that can be told.
    fn passes(&self, value: &Constant<'a>) -> Option<bool> {
        let Operand::One(Term::Constant(Constant::Number(limit))) = &self.leaf.value else {
            return None;
        };
        let number = match value {
            Constant::Number(number) => Some(number),
            Constant::Bool(_) | Constant::Text(_) => None,
        };
        match self.leaf.test {
            Test::AtLeast => Some(number.is_some_and(|number| number >= limit)),
            Test::AtMost => Some(number.is_some_and(|number| number <= limit)),
            _ => None,
        }
    }

    /// All that may stand in the field where it passes.
    fn hull(&self) -> Set<'a> {
        match self.leaf.test {
            Test::Contains => Set::NESTED,
            _ => Set::SINGLE,
        }
    }

    fn implies(&self, other: &Self) -> bool {
        if self == other {
            return true;
        }
        let (
            Leaf {
                field: f,
                test,
                value,
            },
            of,
        ) = (&self.leaf, &other.leaf);
        *f == of.field
            && *test == of.test
            && match (test, number(value), number(&of.value)) {
                (Test::AtLeast, Some(limit), Some(of)) => limit >= of,
                (Test::AtMost, Some(limit), Some(of)) => limit <= of,
                _ => false,
            }
    }

    /// Whether no row passes both.
    fn excludes(&self, other: &Self) -> bool {
        let (
            Leaf {
                field: f,
                test,
                value,
            },
            of,
        ) = (&self.leaf, &other.leaf);
        if *f != of.field {
            return false;
        }
        if *value == of.value {
            let contrary = matches!(
                (test, of.test),
                (Test::Is, Test::Not)
                    | (Test::Not, Test::Is)
                    | (Test::In, Test::NotIn)
                    | (Test::NotIn, Test::In)
                    | (Test::InNetwork, Test::NotInNetwork)
                    | (Test::NotInNetwork, Test::InNetwork)
            );
            return contrary || *test == of.test && self.negated != other.negated;
        }
        match (test, number(value), of.test, number(&of.value)) {
            (Test::AtLeast, Some(least), Test::AtMost, Some(most))
            | (Test::AtMost, Some(most), Test::AtLeast, Some(least)) => least > most,
            _ => false,
        }
    }
}

fn number<'o>(operand: &'o Operand<'_>) -> Option<&'o super::tree::Number> {
    match operand {
        Operand::One(Term::Constant(Constant::Number(number))) => Some(number),
        _ => None,
    }
}
