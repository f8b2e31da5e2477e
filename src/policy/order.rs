//! An order of conditions, so that a policy is equal whatever order it was written in.

use std::cmp::Ordering;

use super::resolved::{Comparison, Condition, Operand, Operands, Path};

/// An order of conditions, the absent one first.
pub(super) fn order_conditions(a: Option<&Condition>, b: Option<&Condition>) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) => {
            let mut pairs = a.tests.iter().zip(&b.tests).map(|(a, b)| order_tests(a, b));
            let differs = pairs.find(|order| order.is_ne());
            differs.unwrap_or_else(|| a.tests.len().cmp(&b.tests.len()))
        }
        (a, b) => a.is_some().cmp(&b.is_some()),
    }
}

/// An order of tests: by path, then by what is tested.
pub(super) fn order_tests(a: &(Path, Comparison), b: &(Path, Comparison)) -> Ordering {
    a.0.cmp(&b.0).then_with(|| order_comparisons(&a.1, &b.1))
}

fn order_comparisons(a: &Comparison, b: &Comparison) -> Ordering {
    rank(a)
        .cmp(&rank(b))
        .then_with(|| {
            let (a, b) = (values(a), values(b));
            let mut pairs = a.iter().zip(b).map(|(a, b)| order_operands(a, b));
            let differs = pairs.find(|order| order.is_ne());
            differs.unwrap_or_else(|| a.len().cmp(&b.len()))
        })
        .then_with(|| path(a).cmp(&path(b)))
}

const fn rank(test: &Comparison) -> u8 {
    match test {
        Comparison::Is(_) => 0,
        Comparison::Not(_) => 1,
        Comparison::In(_) => 2,
        Comparison::NotIn(_) => 3,
        Comparison::AtLeast(_) => 4,
        Comparison::AtMost(_) => 5,
        Comparison::InNetwork(_) => 6,
        Comparison::NotInNetwork(_) => 7,
        Comparison::Contains(_) => 8,
        Comparison::Present(false) => 9,
        Comparison::Present(true) => 10,
    }
}

/// What a test compares with, as far as it is a value or a list of values.
fn values(test: &Comparison) -> &[Operand] {
    match test {
        Comparison::Is(it)
        | Comparison::Not(it)
        | Comparison::AtLeast(it)
        | Comparison::AtMost(it)
        | Comparison::Contains(it) => std::slice::from_ref(it),
        Comparison::In(Operands::List(items))
        | Comparison::NotIn(Operands::List(items))
        | Comparison::InNetwork(Operands::List(items))
        | Comparison::NotInNetwork(Operands::List(items)) => items,
        _ => &[],
    }
}

/// The path that stands in place of a whole list.
const fn path(test: &Comparison) -> Option<&Path> {
    match test {
        Comparison::In(Operands::Path(path))
        | Comparison::NotIn(Operands::Path(path))
        | Comparison::InNetwork(Operands::Path(path))
        | Comparison::NotInNetwork(Operands::Path(path)) => Some(path),
        _ => None,
    }
}

/// An order of values: texts, numbers, booleans, paths.
pub(super) fn order_operands(a: &Operand, b: &Operand) -> Ordering {
    const fn rank(operand: &Operand) -> u8 {
        match operand {
            Operand::String(_) => 0,
            Operand::Number(_) => 1,
            Operand::Bool(_) => 2,
            Operand::Path(_) => 3,
        }
    }
    match (a, b) {
        (Operand::String(a), Operand::String(b)) => a.cmp(b),
        (Operand::Number(a), Operand::Number(b)) => a.total_cmp(b),
        (Operand::Bool(a), Operand::Bool(b)) => a.cmp(b),
        (Operand::Path(a), Operand::Path(b)) => a.cmp(b),
        (a, b) => rank(a).cmp(&rank(b)),
    }
}
