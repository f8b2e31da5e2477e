//! What rows of the tables say, as policy files would.

use super::Snapshot;
use super::tables::{
    NODE_BOOL, NODE_LIST, NODE_NUMBER, NODE_OBJECT, NODE_STRING, NetworkRow, NodeRow, OPERAND_BOOL,
    OPERAND_NETWORK, OPERAND_NUMBER, OPERAND_PATH, OPERAND_STRING, OPERAND_WHOLE_PATH, OPERATORS,
    OperandRow, ROOT_ACTION, ROOT_RESOURCE, ROOT_SUBJECT, Span, TEST_IN, TEST_IN_NETWORK,
    TEST_NOT_IN, TEST_NOT_IN_NETWORK, TestRow,
};

/// A text in quotes, as in JSON.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A moment as policy files write it, to the second where that is all.
pub(crate) fn moment(micros: i64) -> String {
    jiff::Timestamp::from_microsecond(micros)
        .map_or_else(|_| micros.to_string(), |moment| moment.to_string())
}

// === impl Snapshot ===

impl Snapshot {
    /// `call.listen`
    pub(crate) fn permission_name(&self, permission: u32) -> String {
        let Some(row) = self.permission(permission) else {
            return String::new();
        };
        let kind = self.kind(row.kind).map_or("", |kind| self.text(kind.name));
        format!("{kind}.{}", self.text(row.name))
    }

    /// `resource.status is "open", resource.amount at_most 5000`; two conditions that say the same
    /// have the same text, and no others have.
    pub(crate) fn condition_text(&self, condition: u32) -> String {
        let row = self.tables.conditions.get(condition as usize);
        let tests = row.map_or(&[][..], |row| row.tests.of(&self.tables.tests));
        let tests: Vec<String> = tests.iter().map(|test| self.test_text(test)).collect();
        tests.join(", ")
    }

    /// `resource.amount at_most 5000`
    pub(crate) fn test_text(&self, test: &TestRow) -> String {
        let operator = OPERATORS.get(test.operator as usize).copied();
        let operands = test.operands.of(&self.tables.operands);
        let many = [TEST_IN, TEST_NOT_IN, TEST_IN_NETWORK, TEST_NOT_IN_NETWORK];
        let texts: Vec<String> = operands.iter().map(|one| self.operand_text(one)).collect();
        let whole = matches!(operands, [one] if one.tag == OPERAND_WHOLE_PATH);
        let with = if many.contains(&test.operator) && !whole {
            format!("[{}]", texts.join(", "))
        } else {
            texts.join(", ")
        };
        format!(
            "{} {} {with}",
            self.path_text(test.path),
            operator.unwrap_or_default()
        )
    }

    fn operand_text(&self, operand: &OperandRow) -> String {
        match operand.tag {
            OPERAND_BOOL => (operand.a != 0).to_string(),
            OPERAND_NUMBER => number(operand.a, operand.b).to_string(),
            OPERAND_STRING => quoted(self.text(operand.a)),
            OPERAND_PATH | OPERAND_WHOLE_PATH => self.path_text(operand.a),
            OPERAND_NETWORK => {
                let network = self.tables.networks.get(operand.a as usize);
                network.map(network_text).unwrap_or_default()
            }
            _ => String::new(),
        }
    }

    /// `resource.amount`
    pub(crate) fn path_text(&self, path: u32) -> String {
        let Some(path) = self.tables.paths.get(path as usize) else {
            return String::new();
        };
        let mut text = match path.root {
            ROOT_SUBJECT => "subject",
            ROOT_RESOURCE => "resource",
            ROOT_ACTION => "action",
            _ => "context",
        }
        .to_owned();
        for &segment in self.list(path.segments) {
            text.push('.');
            text.push_str(self.text(segment));
        }
        text
    }

    /// The stored value of this name below a node of properties.
    pub(crate) fn property(&self, properties: u32, name: &str) -> Option<NodeRow> {
        let node = *self.tables.nodes.get(properties as usize)?;
        let members = span(node).of(&self.tables.members_of_nodes);
        let found = members.binary_search_by(|row| self.text(row.name).cmp(name));
        let member = members.get(found.ok()?)?;
        self.tables.nodes.get(member.node as usize).copied()
    }

    /// Whether the value, here, is the same as another snapshot's. Lists and objects may be said
    /// to differ that do not.
    pub(crate) fn is_same(&self, value: NodeRow, other: &Self, others: NodeRow) -> bool {
        value.tag == others.tag
            && match value.tag {
                NODE_STRING => self.text(value.a) == other.text(others.a),
                NODE_BOOL | NODE_NUMBER => (value.a, value.b) == (others.a, others.b),
                _ => false,
            }
    }

    /// A stored value as JSON. Equal values have equal texts.
    pub(crate) fn value_text(&self, node: NodeRow) -> String {
        match node.tag {
            NODE_BOOL => (node.a != 0).to_string(),
            NODE_NUMBER => number(node.a, node.b).to_string(),
            NODE_STRING => quoted(self.text(node.a)),
            NODE_LIST => {
                let items = span(node).of(&self.tables.nodes).iter();
                let items: Vec<String> = items.map(|&item| self.value_text(item)).collect();
                format!("[{}]", items.join(","))
            }
            NODE_OBJECT => {
                let members = span(node).of(&self.tables.members_of_nodes).iter();
                let member = |row: &super::tables::MemberRow| {
                    let value = self.tables.nodes.get(row.node as usize);
                    let value = value.map_or_else(String::new, |&node| self.value_text(node));
                    format!("{}:{value}", quoted(self.text(row.name)))
                };
                format!("{{{}}}", members.map(member).collect::<Vec<_>>().join(","))
            }
            _ => "null".to_owned(),
        }
    }
}

const fn span(node: NodeRow) -> Span {
    Span {
        start: node.a,
        length: node.b,
    }
}

fn number(low: u32, high: u32) -> f64 {
    f64::from_bits(u64::from(low) | u64::from(high) << 32)
}

fn network_text(network: &NetworkRow) -> String {
    let [a, b, c, d, ..] = network.address;
    match network.family {
        4 => format!("{}/{}", std::net::Ipv4Addr::new(a, b, c, d), network.prefix),
        _ => format!(
            "{}/{}",
            std::net::Ipv6Addr::from(network.address),
            network.prefix
        ),
    }
}
