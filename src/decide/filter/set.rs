//! Sets of what may stand in a field.

use std::collections::BTreeSet;

use super::tree::{Constant, Field};

/// Single values: these few, or all but a few.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Singles<'a> {
    Few(BTreeSet<Constant<'a>>),
    AllBut(BTreeSet<Constant<'a>>),
}

/// What may stand in a field: nothing, a list or an object, a single value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Set<'a> {
    pub(super) absent: bool,
    /// Lists and objects, all or none.
    pub(super) nested: bool,
    pub(super) singles: Singles<'a>,
}

// === impl Singles ===

impl<'a> Singles<'a> {
    pub(super) const NONE: Self = Self::Few(BTreeSet::new());
    pub(super) const ALL: Self = Self::AllBut(BTreeSet::new());

    /// These, or, where they are not `wanted`, all others.
    pub(super) fn of(values: impl IntoIterator<Item = Constant<'a>>, wanted: bool) -> Self {
        let values = values.into_iter().collect();
        if wanted {
            Self::Few(values)
        } else {
            Self::AllBut(values)
        }
    }

    pub(super) fn has(&self, value: &Constant<'a>) -> bool {
        match self {
            Self::Few(few) => few.contains(value),
            Self::AllBut(few) => !few.contains(value),
        }
    }

    pub(super) fn values(&self) -> &BTreeSet<Constant<'a>> {
        match self {
            Self::Few(few) | Self::AllBut(few) => few,
        }
    }

    fn complement(self) -> Self {
        match self {
            Self::Few(few) => Self::AllBut(few),
            Self::AllBut(few) => Self::Few(few),
        }
    }

    fn intersection(self, other: Self) -> Self {
        match (self, other) {
            (Self::AllBut(mut a), Self::AllBut(b)) => {
                a.extend(b);
                Self::AllBut(a)
            }
            (Self::Few(mut few), other) | (other, Self::Few(mut few)) => {
                few.retain(|value| other.has(value));
                Self::Few(few)
            }
        }
    }

    fn is_within(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Few(few), other) => few.iter().all(|value| other.has(value)),
            (Self::AllBut(a), Self::AllBut(b)) => b.is_subset(a),
            (Self::AllBut(_), Self::Few(_)) => false,
        }
    }
}

// === impl Set ===

impl<'a> Set<'a> {
    /// A single value.
    pub(super) const SINGLE: Self = Self::single(Singles::ALL);
    pub(super) const ABSENT: Self = Self {
        absent: true,
        nested: false,
        singles: Singles::NONE,
    };
    pub(super) const PRESENT: Self = Self {
        absent: false,
        nested: true,
        singles: Singles::ALL,
    };
    pub(super) const NESTED: Self = Self {
        absent: false,
        nested: true,
        singles: Singles::NONE,
    };
    pub(super) const EMPTY: Self = Self::single(Singles::NONE);

    pub(super) const fn single(singles: Singles<'a>) -> Self {
        Self {
            absent: false,
            nested: false,
            singles,
        }
    }

    /// The same, and nothing at all.
    pub(super) fn or_absent(self) -> Self {
        Self {
            absent: true,
            ..self
        }
    }

    /// All that may stand in the field.
    pub(super) fn domain(field: &Field<'_>) -> Self {
        Self {
            absent: *field != Field::Id,
            nested: matches!(field, Field::Property(_)),
            singles: Singles::ALL,
        }
    }

    /// The same without what can never stand in the field: names are texts.
    pub(super) fn within_domain(mut self, field: &Field<'_>) -> Self {
        if !matches!(field, Field::Property(_)) {
            self.nested = false;
            match &mut self.singles {
                Singles::Few(few) | Singles::AllBut(few) => {
                    few.retain(|value| matches!(value, Constant::Text(_)));
                }
            }
        }
        self.absent &= *field != Field::Id;
        self
    }

    /// What else may stand in the field.
    pub(super) fn complement(self, field: &Field<'_>) -> Self {
        Self {
            absent: !self.absent,
            nested: !self.nested,
            singles: self.singles.complement(),
        }
        .within_domain(field)
    }

    pub(super) fn intersection(self, other: Self) -> Self {
        Self {
            absent: self.absent && other.absent,
            nested: self.nested && other.nested,
            singles: self.singles.intersection(other.singles),
        }
    }

    pub(super) fn union(self, other: Self) -> Self {
        let (a, b) = (self.singles.complement(), other.singles.complement());
        Self {
            absent: self.absent || other.absent,
            nested: self.nested || other.nested,
            singles: a.intersection(b).complement(),
        }
    }

    pub(super) fn is_within(&self, other: &Self) -> bool {
        (!self.absent || other.absent)
            && (!self.nested || other.nested)
            && self.singles.is_within(&other.singles)
    }

    pub(super) fn is_empty(&self) -> bool {
        *self == Self::EMPTY
    }

    pub(super) fn meets(&self, other: &Self) -> bool {
        !self.clone().intersection(other.clone()).is_empty()
    }

    /// The values, where it holds a few single values and nothing else.
    pub(super) fn few(&self) -> Option<&BTreeSet<Constant<'a>>> {
        match self {
            Self {
                absent: false,
                nested: false,
                singles: Singles::Few(few),
            } => Some(few),
            _ => None,
        }
    }
}
