//! One view of values, stored or sent.

use crate::model::{Properties, SCANNED_MAX, Value};
use crate::snapshot::Snapshot;
use crate::snapshot::tables::{
    MemberRow, NODE_BOOL, NODE_LIST, NODE_NUMBER, NODE_OBJECT, NODE_STRING, NodeRow, Span,
};

/// A value, wherever it lies. Null is no value.
#[derive(Clone, Copy)]
pub(super) enum View<'a> {
    Bool(bool),
    Number(f64),
    Text(&'a str),
    List(Items<'a>),
    Object(Members<'a>),
}

/// A list's items.
#[derive(Clone, Copy)]
pub(super) enum Items<'a> {
    Sent(&'a [Value<'a>]),
    Stored(&'a Snapshot, &'a [NodeRow]),
}

/// An object's members.
#[derive(Clone, Copy)]
pub(super) enum Members<'a> {
    Sent(&'a Properties<'a>),
    Stored(&'a Snapshot, &'a [MemberRow]),
    Nothing,
}

// === impl View ===

impl<'a> View<'a> {
    pub(super) fn sent(value: &'a Value<'a>) -> Option<Self> {
        Some(match value {
            Value::Null => return None,
            Value::Bool(value) => Self::Bool(*value),
            Value::Number(value) => Self::Number(*value),
            Value::String(text) => Self::Text(text),
            Value::List(items) => Self::List(Items::Sent(items)),
            Value::Object(members) => Self::Object(Members::Sent(members)),
        })
    }

    pub(super) fn stored(snapshot: &'a Snapshot, node: NodeRow) -> Option<Self> {
        let span = Span {
            start: node.a,
            length: node.b,
        };
        Some(match node.tag {
            NODE_BOOL => Self::Bool(node.a != 0),
            NODE_NUMBER => Self::Number(number(node.a, node.b)),
            NODE_STRING => Self::Text(snapshot.text(node.a)),
            NODE_LIST => Self::List(Items::Stored(snapshot, span.of(&snapshot.tables.nodes))),
            NODE_OBJECT => Self::Object(Members::Stored(
                snapshot,
                span.of(&snapshot.tables.members_of_nodes),
            )),
            _ => return None,
        })
    }

    /// Whether both are the same single value. Values of two kinds are not equal, and neither are
    /// lists or objects to anything.
    pub(super) fn equals(self, other: Self) -> bool {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Number(a), Self::Number(b)) => a == b,
            (Self::Text(a), Self::Text(b)) => a == b,
            _ => false,
        }
    }

    /// The value, if it is a single one.
    pub(super) fn single(self) -> Option<Self> {
        match self {
            Self::Bool(_) | Self::Number(_) | Self::Text(_) => Some(self),
            Self::List(_) | Self::Object(_) => None,
        }
    }
}

// === impl Items ===

impl<'a> Items<'a> {
    /// Whether `test` holds for some item that is a value.
    pub(super) fn any(self, mut test: impl FnMut(View<'a>) -> bool) -> bool {
        match self {
            Self::Sent(items) => items.iter().filter_map(View::sent).any(test),
            Self::Stored(snapshot, nodes) => nodes
                .iter()
                .any(|&node| View::stored(snapshot, node).is_some_and(&mut test)),
        }
    }

    /// Whether `test` holds for every item; a null comes as `None`.
    pub(super) fn all(self, mut test: impl FnMut(Option<View<'a>>) -> bool) -> bool {
        match self {
            Self::Sent(items) => items.iter().all(|item| test(View::sent(item))),
            Self::Stored(snapshot, nodes) => {
                nodes.iter().all(|&node| test(View::stored(snapshot, node)))
            }
        }
    }

    /// How many items there are, nulls among them.
    pub(super) fn count(self) -> usize {
        match self {
            Self::Sent(items) => items.len(),
            Self::Stored(_, nodes) => nodes.len(),
        }
    }

    pub(super) fn is_empty(self) -> bool {
        self.count() == 0
    }
}

// === impl Members ===

impl<'a> Members<'a> {
    /// The members that a stored row points at; none where it points nowhere.
    pub(super) fn at(snapshot: &'a Snapshot, node: u32) -> Self {
        let node = snapshot.tables.nodes.get(node as usize).copied();
        match node.and_then(|node| View::stored(snapshot, node)) {
            Some(View::Object(members)) => members,
            _ => Self::Nothing,
        }
    }

    /// The outlines of all names, or of more.
    #[inline]
    pub(super) fn outlines(self) -> u64 {
        match self {
            Self::Sent(properties) => properties.outlines(),
            Self::Stored(..) => u64::MAX,
            Self::Nothing => 0,
        }
    }

    #[inline]
    pub(super) fn get(self, name: &str) -> Option<View<'a>> {
        match self {
            Self::Sent(properties) => properties.get(name).and_then(View::sent),
            Self::Stored(snapshot, rows) => {
                let row = if rows.len() <= SCANNED_MAX {
                    rows.iter().find(|row| snapshot.text_is(row.name, name))?
                } else {
                    let order = |row: &MemberRow| snapshot.text(row.name).cmp(name);
                    rows.get(rows.binary_search_by(order).ok()?)?
                };
                let node = *snapshot.tables.nodes.get(row.node as usize)?;
                View::stored(snapshot, node)
            }
            Self::Nothing => None,
        }
    }

    /// As [`Members::get`], by a name that stands in the snapshot: there each name stands once, so
    /// that stored members are told by where it stands.
    #[inline]
    pub(super) fn named(self, snapshot: &Snapshot, name: u32) -> Option<View<'a>> {
        match self {
            Self::Stored(of, rows) if rows.len() <= SCANNED_MAX => {
                let row = rows.iter().find(|row| row.name == name)?;
                View::stored(of, *of.tables.nodes.get(row.node as usize)?)
            }
            Self::Nothing => None,
            Self::Sent(_) | Self::Stored(..) => self.get(snapshot.text(name)),
        }
    }

    /// Calls `each` with the members that are values.
    pub(super) fn for_each(self, each: &mut dyn FnMut(&'a str, View<'a>)) {
        match self {
            Self::Sent(properties) => {
                for (name, value) in properties.iter() {
                    if let Some(value) = View::sent(value) {
                        each(name, value);
                    }
                }
            }
            Self::Stored(snapshot, rows) => {
                for row in rows {
                    let node = snapshot.tables.nodes.get(row.node as usize);
                    if let Some(value) = node.and_then(|node| View::stored(snapshot, *node)) {
                        each(snapshot.text(row.name), value);
                    }
                }
            }
            Self::Nothing => {}
        }
    }
}

/// A double from the halves of its bits.
pub(super) fn number(low: u32, high: u32) -> f64 {
    f64::from_bits(u64::from(low) | u64::from(high) << 32)
}
