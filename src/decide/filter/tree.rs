//! What a filter answers: a tree of tests over the fields of a row.

use std::borrow::Cow;
use std::fmt;

/// A column of a row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field<'a> {
    /// The id.
    Id,
    /// The owner's user id.
    Owner,
    /// The row's own group.
    Group,
    /// The row's own department.
    Department,
    /// The row's own project.
    Project,
    /// The group of the owner.
    OwnerGroup,
    /// The department of the owner. Owners with several are told by id beside it, so that none or
    /// any one of them may stand here.
    OwnerDepartment,
    /// The parent of this type.
    Parent(&'a str),
    /// A property; dots lead into nested objects.
    Property(Cow<'a, str>),
}

/// A test of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Test {
    /// The same single value.
    Is,
    /// Another single value.
    Not,
    /// One of these.
    In,
    /// A single value, and none of these.
    NotIn,
    /// A number, so large or larger.
    AtLeast,
    /// A number, so large or smaller.
    AtMost,
    /// An address in one of these blocks.
    InNetwork,
    /// An address in none of these blocks.
    NotInNetwork,
    /// A list with this value.
    Contains,
    /// Whether there is anything.
    Present,
}

/// A single value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Constant<'a> {
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(Number),
    /// Text.
    Text(Cow<'a, str>),
}

/// A finite number, in the order of numbers.
#[derive(Clone, Copy, Debug)]
pub struct Number(f64);

/// What a leaf compares with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operand<'a> {
    /// One value.
    One(Term<'a>),
    /// Several.
    Many(Vec<Term<'a>>),
    /// The list that stands in this field.
    Whole(Field<'a>),
}

/// One value to compare with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Term<'a> {
    /// This one.
    Constant(Constant<'a>),
    /// The one in another field of the row.
    Field(Field<'a>),
}

/// One test of one field. As in a condition it is unknown where the field is absent or unfit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Leaf<'a> {
    /// What is tested.
    pub field: Field<'a>,
    /// How.
    pub test: Test,
    /// Against what.
    pub value: Operand<'a>,
}

/// What a row must fulfil. What is unknown is not fulfilled, and neither is its contrary.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition<'a> {
    /// One test.
    Leaf(Leaf<'a>),
    /// The contrary of a test that is not unknown.
    Not(Box<Condition<'a>>),
    /// Every one of these, at least two.
    All(Vec<Condition<'a>>),
    /// One of these, at least two.
    Any(Vec<Condition<'a>>),
}

// === impl Field ===

impl fmt::Display for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id => f.write_str("id"),
            Self::Owner => f.write_str("owner"),
            Self::Group => f.write_str("group"),
            Self::Department => f.write_str("department"),
            Self::Project => f.write_str("project"),
            Self::OwnerGroup => f.write_str("owner.group"),
            Self::OwnerDepartment => f.write_str("owner.department"),
            Self::Parent(kind) => f.write_str(kind),
            Self::Property(path) => write!(f, "properties.{path}"),
        }
    }
}

// === impl Test ===

impl Test {
    /// The name in policy files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Is => "is",
            Self::Not => "not",
            Self::In => "in",
            Self::NotIn => "not_in",
            Self::AtLeast => "at_least",
            Self::AtMost => "at_most",
            Self::InNetwork => "in_network",
            Self::NotInNetwork => "not_in_network",
            Self::Contains => "contains",
            Self::Present => "present",
        }
    }
}

// === impl Number ===

impl Number {
    pub(super) fn new(number: f64) -> Self {
        // There is one zero only.
        Self(number + 0.0)
    }

    /// As a double.
    #[must_use]
    pub const fn value(self) -> f64 {
        self.0
    }

    /// As a whole number, if it is one that a double holds exactly.
    #[must_use]
    pub fn whole(self) -> Option<i64> {
        const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;
        #[expect(clippy::cast_possible_truncation, reason = "whole, and in range")]
        (self.0.fract() == 0.0 && self.0.abs() <= WHOLE_MAX).then_some(self.0 as i64)
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Number {}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

// === impl Condition ===

impl Condition<'_> {
    /// Calls `each` with every leaf.
    pub fn for_each_leaf<'c>(&'c self, each: &mut dyn FnMut(&'c Leaf<'c>)) {
        match self {
            Self::Leaf(leaf) => each(leaf),
            Self::Not(inner) => inner.for_each_leaf(each),
            Self::All(inner) | Self::Any(inner) => {
                inner.iter().for_each(|inner| inner.for_each_leaf(each));
            }
        }
    }
}
