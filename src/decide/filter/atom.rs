//! Tests that a set of values does not stand for.

use super::set::Set;
use super::tree::{Constant, Leaf, Number, Operand, Term, Test};

/// A test that is true, or, negated, false.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Atom<'a> {
    pub(super) leaf: Leaf<'a>,
    pub(super) negated: bool,
}

// === impl Atom ===

impl<'a> Atom<'a> {
    /// Whether a single value in the field passes, where that can be told.
    pub(super) fn passes(&self, value: &Constant<'a>) -> Option<bool> {
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
    pub(super) fn hull(&self) -> Set<'a> {
        match self.leaf.test {
            Test::Contains => Set::NESTED,
            _ => Set::SINGLE,
        }
    }

    pub(super) fn implies(&self, other: &Self) -> bool {
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
    pub(super) fn excludes(&self, other: &Self) -> bool {
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

fn number<'o>(operand: &'o Operand<'_>) -> Option<&'o Number> {
    match operand {
        Operand::One(Term::Constant(Constant::Number(number))) => Some(number),
        _ => None,
    }
}
