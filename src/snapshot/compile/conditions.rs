//! Conditions: each once, as stretches of tests.

use std::collections::HashMap;

use foldhash::fast::FixedState;

use super::super::tables::{
    ConditionRow, FACT_DEPARTMENTS, FACT_GROUP, FACT_ID, FACT_NONE, FACT_OWNER, FACT_PROJECTS,
    NetworkRow, OPERAND_BOOL, OPERAND_NETWORK, OPERAND_NUMBER, OPERAND_PATH, OPERAND_STRING,
    OPERAND_WHOLE_PATH, OperandRow, PathRow, ROOT_ACTION, ROOT_CONTEXT, ROOT_RESOURCE,
    ROOT_SUBJECT, Span, TEST_AT_LEAST, TEST_AT_MOST, TEST_CONTAINS, TEST_IN, TEST_IN_NETWORK,
    TEST_IS, TEST_NOT, TEST_NOT_IN, TEST_NOT_IN_NETWORK, TEST_PRESENT, Tables, TestRow,
};
use super::Builder;
use super::values::halves;
use crate::policy::{Comparison, Condition, Operand, Operands, Path, Root};

/// Conditions in the making.
#[derive(Default)]
pub(super) struct Conditions<'p> {
    /// By a text that says all of the condition.
    places: HashMap<String, u32, FixedState>,
    paths_places: HashMap<&'p Path, u32, FixedState>,
    conditions: Vec<ConditionRow>,
    tests: Vec<TestRow>,
    paths: Vec<PathRow>,
    operands: Vec<OperandRow>,
    networks: Vec<NetworkRow>,
}

// === impl Conditions ===

impl Conditions<'_> {
    pub(super) fn finish(self, tables: &mut Tables) {
        tables.conditions = self.conditions.into();
        tables.tests = self.tests.into();
        tables.paths = self.paths.into();
        tables.operands = self.operands.into();
        tables.networks = self.networks.into();
    }
}

// === impl Builder ===

impl<'p> Builder<'p> {
    /// The number of this condition.
    pub(super) fn condition(&mut self, condition: &'p Condition) -> u32 {
        let key = format!("{condition:?}");
        if let Some(&id) = self.conditions.places.get(&key) {
            return id;
        }
        let rows: Vec<TestRow> = condition
            .tests
            .iter()
            .map(|(path, comparison)| self.test(path, comparison))
            .collect();
        let start = self.conditions.tests.len() as u32;
        let tests = Span {
            start,
            length: rows.len() as u32,
        };
        self.conditions.tests.extend(rows);
        let id = self.conditions.conditions.len() as u32;
        self.conditions.conditions.push(ConditionRow { tests });
        self.conditions.places.insert(key, id);
        id
    }

    fn test(&mut self, path: &'p Path, comparison: &'p Comparison) -> TestRow {
        let (operator, operands) = match comparison {
            Comparison::Is(operand) => (TEST_IS, vec![self.operand(operand)]),
            Comparison::Not(operand) => (TEST_NOT, vec![self.operand(operand)]),
            Comparison::In(operands) => (TEST_IN, self.operands(operands, false)),
            Comparison::NotIn(operands) => (TEST_NOT_IN, self.operands(operands, false)),
            Comparison::AtLeast(operand) => (TEST_AT_LEAST, vec![self.operand(operand)]),
            Comparison::AtMost(operand) => (TEST_AT_MOST, vec![self.operand(operand)]),
            Comparison::InNetwork(operands) => (TEST_IN_NETWORK, self.operands(operands, true)),
            Comparison::NotInNetwork(operands) => {
                (TEST_NOT_IN_NETWORK, self.operands(operands, true))
            }
            Comparison::Contains(operand) => (TEST_CONTAINS, vec![self.operand(operand)]),
            Comparison::Present(present) => (
                TEST_PRESENT,
                vec![OperandRow {
                    tag: OPERAND_BOOL,
                    a: u32::from(*present),
                    b: 0,
                }],
            ),
        };
        let start = self.conditions.operands.len() as u32;
        let length = operands.len() as u32;
        self.conditions.operands.extend(operands);
        TestRow {
            path: self.path(path),
            operator,
            operands: Span { start, length },
            resource: u32::from(path.root == Root::Resource || comparison.reads_resource()),
        }
    }

    fn operands(&mut self, operands: &'p Operands, networks: bool) -> Vec<OperandRow> {
        match operands {
            Operands::Path(path) => {
                vec![OperandRow {
                    tag: OPERAND_WHOLE_PATH,
                    a: self.path(path),
                    b: 0,
                }]
            }
            Operands::List(list) => list
                .iter()
                .map(|operand| match operand {
                    Operand::String(block) if networks => self.network(block),
                    operand => self.operand(operand),
                })
                .collect(),
        }
    }

    fn operand(&mut self, operand: &'p Operand) -> OperandRow {
        match operand {
            Operand::String(text) => OperandRow {
                tag: OPERAND_STRING,
                a: self.intern(text),
                b: 0,
            },
            Operand::Number(number) => {
                let (a, b) = halves(*number);
                OperandRow {
                    tag: OPERAND_NUMBER,
                    a,
                    b,
                }
            }
            Operand::Bool(value) => OperandRow {
                tag: OPERAND_BOOL,
                a: u32::from(*value),
                b: 0,
            },
            Operand::Path(path) => OperandRow {
                tag: OPERAND_PATH,
                a: self.path(path),
                b: 0,
            },
        }
    }

    /// A CIDR block; one that is none (the reader refuses those) stays a text, which is no block.
    fn network(&mut self, block: &'p str) -> OperandRow {
        let Some(network) = NetworkRow::parse(block) else {
            return OperandRow {
                tag: OPERAND_STRING,
                a: self.intern(block),
                b: 0,
            };
        };
        let a = self.conditions.networks.len() as u32;
        self.conditions.networks.push(network);
        OperandRow {
            tag: OPERAND_NETWORK,
            a,
            b: 0,
        }
    }

    fn path(&mut self, path: &'p Path) -> u32 {
        if let Some(&id) = self.conditions.paths_places.get(path) {
            return id;
        }
        let root = match path.root {
            Root::Subject => ROOT_SUBJECT,
            Root::Resource => ROOT_RESOURCE,
            Root::Action => ROOT_ACTION,
            Root::Context => ROOT_CONTEXT,
        };
        let row = PathRow {
            root,
            fact: fact(path),
            segments: self.text_list(&path.segments),
        };
        let id = self.conditions.paths.len() as u32;
        self.conditions.paths.push(row);
        self.conditions.paths_places.insert(path, id);
        id
    }
}

// === impl Comparison ===

impl Comparison {
    /// Whether the value it compares with is, or may be, of the resource.
    fn reads_resource(&self) -> bool {
        let one = |operand: &Operand| matches!(operand, Operand::Path(path) if path.root == Root::Resource);
        match self {
            Self::Is(operand)
            | Self::Not(operand)
            | Self::AtLeast(operand)
            | Self::AtMost(operand)
            | Self::Contains(operand) => one(operand),
            Self::In(operands)
            | Self::NotIn(operands)
            | Self::InNetwork(operands)
            | Self::NotInNetwork(operands) => match operands {
                Operands::List(list) => list.iter().any(one),
                Operands::Path(path) => path.root == Root::Resource,
            },
            Self::Present(_) => false,
        }
    }
}

/// Which fact the path means, if it means one.
fn fact(path: &Path) -> u32 {
    let [name] = path.segments.as_slice() else {
        return FACT_NONE;
    };
    match (path.root, name.as_str()) {
        (Root::Subject | Root::Resource, "id") => FACT_ID,
        (Root::Subject | Root::Resource, "group") => FACT_GROUP,
        (Root::Subject | Root::Resource, "departments") => FACT_DEPARTMENTS,
        (Root::Subject | Root::Resource, "projects") => FACT_PROJECTS,
        (Root::Resource, "owner") => FACT_OWNER,
        _ => FACT_NONE,
    }
}
