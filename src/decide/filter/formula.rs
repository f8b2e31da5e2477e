//! Formulas over the fields of a row, kept simple while they are built.
//!
//! What only says which values a field may have is a [`Set`], so that several such are one; all else
//! is an [`Atom`]. A row passes or does not: there is no third value, and nothing is ever negated
//! but an atom that looks into a list.

use super::atom::Atom;
use super::join::Known;
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

/// Every one of these.
pub(super) fn all<'a>(parts: impl IntoIterator<Item = Formula<'a>>) -> Formula<'a> {
    Joint::All.join(parts)
}

/// One of these.
pub(super) fn any<'a>(parts: impl IntoIterator<Item = Formula<'a>>) -> Formula<'a> {
    Joint::Any.join(parts)
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

    pub(super) fn atom(&self) -> Option<&Atom<'a>> {
        match self {
            Self::Holds(atom) => Some(atom),
            _ => None,
        }
    }

    /// The same where it matters, with what is known there.
    pub(super) fn where_it_matters(self, known: &Known<'_, 'a>) -> Self {
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
    pub(super) fn implies(&self, other: &Self) -> bool {
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
