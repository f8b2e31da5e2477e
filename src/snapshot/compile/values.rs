//! Stored property values.

use super::super::tables::{
    MemberRow, NODE_BOOL, NODE_LIST, NODE_NULL, NODE_NUMBER, NODE_OBJECT, NODE_STRING, NONE,
    NodeRow, Tables,
};
use super::texts::Texts;
use crate::model::{Properties, Value};

/// Values in the making.
#[derive(Default)]
pub(super) struct Values {
    nodes: Vec<NodeRow>,
    members: Vec<MemberRow>,
}

// === impl Values ===

impl Values {
    pub(super) fn finish(self, tables: &mut Tables) {
        tables.nodes = self.nodes.into();
        tables.members_of_nodes = self.members.into();
    }

    fn push(&mut self, node: NodeRow) -> u32 {
        self.nodes.push(node);
        self.nodes.len() as u32 - 1
    }
}

// === impl Texts ===

impl<'p> Texts<'p> {
    /// The node of these properties; none where there are none.
    pub(super) fn properties(&mut self, properties: &'p Properties<'static>) -> u32 {
        if properties.is_empty() {
            return NONE;
        }
        let node = self.object(properties);
        self.values.push(node)
    }

    fn node(&mut self, value: &'p Value<'static>) -> NodeRow {
        match value {
            Value::Null => NodeRow {
                tag: NODE_NULL,
                a: 0,
                b: 0,
            },
            Value::Bool(value) => NodeRow {
                tag: NODE_BOOL,
                a: u32::from(*value),
                b: 0,
            },
            Value::Number(value) => {
                let (a, b) = halves(*value);
                NodeRow {
                    tag: NODE_NUMBER,
                    a,
                    b,
                }
            }
            Value::String(text) => NodeRow {
                tag: NODE_STRING,
                a: self.intern(text),
                b: 0,
            },
            Value::List(items) => {
                let items: Vec<NodeRow> = items.iter().map(|item| self.node(item)).collect();
                let start = self.values.nodes.len() as u32;
                let length = items.len() as u32;
                self.values.nodes.extend(items);
                NodeRow {
                    tag: NODE_LIST,
                    a: start,
                    b: length,
                }
            }
            Value::Object(members) => self.object(members),
        }
    }

    fn object(&mut self, properties: &'p Properties<'static>) -> NodeRow {
        let mut rows = Vec::new();
        for (name, value) in properties.iter() {
            let node = self.node(value);
            rows.push(MemberRow {
                name: self.intern(name),
                node: self.values.push(node),
            });
        }
        let start = self.values.members.len() as u32;
        let length = rows.len() as u32;
        self.values.members.extend(rows);
        NodeRow {
            tag: NODE_OBJECT,
            a: start,
            b: length,
        }
    }
}

/// A double's bits, low half first. Zero has one form, so that equal policies make equal bytes.
pub(super) fn halves(number: f64) -> (u32, u32) {
    let bits = (number + 0.0).to_bits();
    (bits as u32, (bits >> 32) as u32)
}
