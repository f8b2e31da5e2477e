//! Conditions: true, false or unknown.

use std::net::IpAddr;

use super::resource::{Many, Resource};
use super::value::{Members, View, number};
use super::watch::{Note, Seen, Watch};
use crate::model::Query;
use crate::snapshot::Snapshot;
use crate::snapshot::tables::{
    FACT_DEPARTMENTS, FACT_GROUP, FACT_ID, FACT_NONE, FACT_OWNER, FACT_PROJECTS, NetworkRow,
    OPERAND_BOOL, OPERAND_NETWORK, OPERAND_NUMBER, OPERAND_PATH, OPERAND_STRING,
    OPERAND_WHOLE_PATH, OperandRow, PathRow, ROOT_ACTION, ROOT_CONTEXT, ROOT_RESOURCE,
    ROOT_SUBJECT, TEST_AT_LEAST, TEST_AT_MOST, TEST_CONTAINS, TEST_IN, TEST_IN_NETWORK, TEST_IS,
    TEST_NOT, TEST_NOT_IN, TEST_NOT_IN_NETWORK, TEST_PRESENT, TestRow, UserRow, some,
};

/// What a test or a condition comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Truth {
    True,
    False,
    /// What it tests is absent, or not of a kind that it can test.
    Unknown,
}

/// What conditions look at.
#[derive(Clone, Copy)]
pub(super) struct Scene<'a, W> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) query: &'a Query<'a>,
    pub(super) user: &'a UserRow,
    pub(super) resource: Sight<'a>,
    pub(super) watch: W,
}

/// What of the resource conditions see.
#[derive(Clone, Copy)]
pub(super) enum Sight<'a> {
    /// The resource.
    Of(&'a Resource<'a>),
    /// No resource: what a test looks for there is absent.
    None,
    /// A section: a test that looks at the resource comes to this.
    Assumed(Truth),
}

/// What lies at a path.
#[derive(Clone, Copy)]
pub(super) enum Found<'a> {
    Value(View<'a>),
    /// A fact that is a list of names.
    Names(Names<'a>),
}

#[derive(Clone, Copy)]
pub(super) enum Names<'a> {
    Departments(Option<&'a Resource<'a>>, Many<'a>),
    Projects(Option<&'a Resource<'a>>, Many<'a>),
}

// === impl Truth ===

impl From<bool> for Truth {
    fn from(value: bool) -> Self {
        if value { Self::True } else { Self::False }
    }
}

impl Truth {
    /// The name, for people.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::True => "true",
            Self::False => "false",
            Self::Unknown => "unknown",
        }
    }
}

// === impl Scene ===

impl<'a, W: Watch> Scene<'a, W> {
    /// A condition: false with a false test, else unknown with an unknown one, else true.
    pub(super) fn condition(&self, condition: u32) -> Truth {
        let Some(row) = self.snapshot.tables.conditions.get(condition as usize) else {
            return Truth::Unknown;
        };
        let mut truth = Truth::True;
        for test in row.tests.of(&self.snapshot.tables.tests) {
            let came_to = self.test(test);
            if W::LISTENS {
                let found = match self.resource {
                    Sight::Assumed(_) if test.resource != 0 => Seen::Assumed,
                    _ => self.at(test.path).map_or(Seen::Nothing, Seen::Found),
                };
                self.watch.note(Note::Tested {
                    test,
                    came_to,
                    found,
                });
            }
            match came_to {
                Truth::True => {}
                Truth::False => return Truth::False,
                Truth::Unknown => truth = Truth::Unknown,
            }
        }
        truth
    }

    pub(super) fn test(&self, test: &TestRow) -> Truth {
        if let (Sight::Assumed(truth), 1) = (self.resource, test.resource) {
            return truth;
        }
        let found = self.at(test.path);
        let operands = test.operands.of(&self.snapshot.tables.operands);
        if test.operator == TEST_PRESENT {
            let wanted = operands.first().is_some_and(|operand| operand.a != 0);
            return (found.is_some() == wanted).into();
        }
        let truth = found.and_then(|found| self.compare(test.operator, found, operands));
        truth.map_or(Truth::Unknown, Truth::from)
    }

    /// `None`: unknown.
    fn compare(&self, operator: u32, found: Found<'a>, operands: &[OperandRow]) -> Option<bool> {
        let first = operands.first()?;
        match operator {
            TEST_IS => Some(found.single()?.equals(self.operand(first)?)),
            TEST_NOT => Some(!found.single()?.equals(self.operand(first)?)),
            TEST_IN => self.is_one_of(found.single()?, operands),
            TEST_NOT_IN => self
                .is_one_of(found.single()?, operands)
                .map(|found| !found),
            TEST_AT_LEAST => Some(found.number()? >= self.operand_number(first)?),
            TEST_AT_MOST => Some(found.number()? <= self.operand_number(first)?),
            TEST_IN_NETWORK => self.in_network(found.address()?, operands),
            TEST_NOT_IN_NETWORK => self
                .in_network(found.address()?, operands)
                .map(|found| !found),
            TEST_CONTAINS => {
                let wanted = self.operand(first)?;
                self.contains(found, wanted)
            }
            _ => None,
        }
    }

    /// Whether a list holds a value; unknown of what is no list.
    fn contains(&self, found: Found<'a>, wanted: View<'_>) -> Option<bool> {
        match found {
            Found::Names(names) => {
                Some(self.any_name(names, |name| View::Text(name).equals(wanted)))
            }
            Found::Value(View::List(items)) => Some(items.any(|item| item.equals(wanted))),
            Found::Value(_) => None,
        }
    }

    fn is_one_of(&self, value: View<'_>, operands: &[OperandRow]) -> Option<bool> {
        if let [
            OperandRow {
                tag: OPERAND_WHOLE_PATH,
                a: path,
                ..
            },
        ] = *operands
        {
            return self.contains(self.at(path)?, value);
        }
        let mut found = false;
        for operand in operands {
            // An operand that is absent or unfit makes the test unknown, whatever the others say.
            found |= self.operand(operand)?.equals(value);
        }
        Some(found)
    }

    /// A path that stands for all blocks holds one or a list of them; whatever is no block makes the
    /// test unknown.
    fn in_network(&self, address: IpAddr, operands: &[OperandRow]) -> Option<bool> {
        let mut found = false;
        let mut meet = |block: Option<NetworkRow>| {
            found |= block.is_some_and(|block| holds(&block, address));
            block.is_some()
        };
        for operand in operands {
            let fits = match operand.tag {
                OPERAND_NETWORK => meet(
                    self.snapshot
                        .tables
                        .networks
                        .get(operand.a as usize)
                        .copied(),
                ),
                OPERAND_WHOLE_PATH => match self.at(operand.a)? {
                    Found::Value(View::List(blocks)) => {
                        blocks.all(|block| meet(block.and_then(told_network)))
                    }
                    Found::Value(block) => meet(told_network(block)),
                    Found::Names(names) => !self.any_name(names, |_| true),
                },
                _ => meet(told_network(self.operand(operand)?)),
            };
            if !fits {
                return None;
            }
        }
        Some(found)
    }

    /// A single value to compare with; `None` where it is absent or none.
    pub(super) fn operand(&self, operand: &OperandRow) -> Option<View<'a>> {
        match operand.tag {
            OPERAND_BOOL => Some(View::Bool(operand.a != 0)),
            OPERAND_NUMBER => Some(View::Number(number(operand.a, operand.b))),
            OPERAND_STRING => Some(View::Text(self.snapshot.text(operand.a))),
            OPERAND_PATH => self.at(operand.a)?.single(),
            _ => None,
        }
    }

    fn operand_number(&self, operand: &OperandRow) -> Option<f64> {
        match self.operand(operand)? {
            View::Number(number) => Some(number),
            _ => None,
        }
    }

    pub(super) fn at(&self, path: u32) -> Option<Found<'a>> {
        let path = self.snapshot.tables.paths.get(path as usize)?;
        if path.fact != FACT_NONE {
            return match path.root {
                ROOT_SUBJECT => self.subject_fact(path.fact),
                _ => self.resource_fact(path.fact),
            };
        }
        self.property(path).map(Found::Value)
    }

    fn property(&self, path: &PathRow) -> Option<View<'a>> {
        let snapshot = self.snapshot;
        let (&name, rest) = snapshot.list(path.segments).split_first()?;
        let sent = |properties| Members::Sent(properties).named(snapshot, name);
        let top = match (path.root, self.resource) {
            (ROOT_SUBJECT, _) => Members::at(snapshot, self.user.properties)
                .named(snapshot, name)
                .or_else(|| sent(self.query.subject.properties)),
            (ROOT_RESOURCE, Sight::Of(resource)) => resource.property(name),
            (ROOT_ACTION, _) => sent(self.query.action.properties),
            (ROOT_CONTEXT, _) => sent(self.query.context),
            _ => None,
        }?;
        rest.iter().try_fold(top, |value, &segment| match value {
            View::Object(members) => members.named(snapshot, segment),
            _ => None,
        })
    }

    fn subject_fact(&self, fact: u32) -> Option<Found<'a>> {
        let listed = |list: u32| Many::Listed(self.snapshot.list(list));
        match fact {
            FACT_ID => Some(self.text(self.user.id)),
            FACT_GROUP => self.group_name(some(self.user.group)?),
            FACT_DEPARTMENTS => Some(Found::Names(Names::Departments(
                None,
                listed(self.user.departments),
            ))),
            FACT_PROJECTS => Some(Found::Names(Names::Projects(
                None,
                listed(self.user.projects),
            ))),
            _ => None,
        }
    }

    fn resource_fact(&self, fact: u32) -> Option<Found<'a>> {
        let Sight::Of(resource) = self.resource else {
            return None;
        };
        match fact {
            FACT_ID => Some(Found::Value(View::Text(resource.id()))),
            FACT_OWNER => Some(self.text(self.snapshot.user(resource.owner()?)?.id)),
            FACT_GROUP => self.group_name(resource.group()?),
            FACT_DEPARTMENTS => Some(Found::Names(Names::Departments(
                Some(resource),
                resource.departments(),
            ))),
            FACT_PROJECTS => Some(Found::Names(Names::Projects(
                Some(resource),
                resource.projects(),
            ))),
            _ => None,
        }
    }

    fn group_name(&self, group: u32) -> Option<Found<'a>> {
        Some(self.text(self.snapshot.tables.groups.get(group as usize)?.name))
    }

    fn text(&self, id: u32) -> Found<'a> {
        Found::Value(View::Text(self.snapshot.text(id)))
    }

    pub(super) fn any_name(&self, names: Names<'a>, test: impl FnMut(&str) -> bool) -> bool {
        names.any(self.snapshot, test)
    }
}

// === impl Names ===

impl<'a> Names<'a> {
    /// Whether `test` holds for some name.
    pub(super) fn any(self, snapshot: &Snapshot, mut test: impl FnMut(&str) -> bool) -> bool {
        let tables = &snapshot.tables;
        let mut department = |id: u32| {
            tables
                .departments
                .get(id as usize)
                .is_some_and(|row| test(snapshot.text(row.name)))
        };
        let (resource, many) = match self {
            Names::Departments(resource, many) => {
                return any_of(resource, many, &mut department);
            }
            Names::Projects(resource, many) => (resource, many),
        };
        any_of(resource, many, &mut |id| {
            tables
                .projects
                .get(id as usize)
                .is_some_and(|row| test(snapshot.text(row.name)))
        })
    }
}

fn any_of<'a>(
    resource: Option<&'a Resource<'a>>,
    many: Many<'a>,
    test: &mut dyn FnMut(u32) -> bool,
) -> bool {
    match (resource, many) {
        (Some(resource), many) => resource.any(many, test),
        (None, Many::Listed(list)) => list.iter().any(|&id| test(id)),
        (None, _) => false,
    }
}

// === impl Found ===

impl<'a> Found<'a> {
    pub(super) fn single(self) -> Option<View<'a>> {
        match self {
            Self::Value(value) => value.single(),
            Self::Names(_) => None,
        }
    }

    fn number(self) -> Option<f64> {
        match self {
            Self::Value(View::Number(number)) => Some(number),
            _ => None,
        }
    }

    /// An address in a text; IPv4-mapped ones are IPv4.
    fn address(self) -> Option<IpAddr> {
        match self {
            Self::Value(View::Text(text)) => Some(text.parse::<IpAddr>().ok()?.to_canonical()),
            _ => None,
        }
    }
}

/// A CIDR block in a text.
pub(super) fn told_network(value: View<'_>) -> Option<NetworkRow> {
    match value {
        View::Text(text) => NetworkRow::parse(text),
        _ => None,
    }
}

/// Whether the address lies in the block. Blocks and addresses of two families never meet.
fn holds(network: &NetworkRow, address: IpAddr) -> bool {
    let prefix = network.prefix;
    match (address, network.family) {
        (IpAddr::V4(address), 4) => {
            let [a, b, c, d, ..] = network.address;
            let differs = u32::from(address) ^ u32::from_be_bytes([a, b, c, d]);
            differs
                .checked_shr(32_u32.saturating_sub(prefix))
                .unwrap_or(0)
                == 0
        }
        (IpAddr::V6(address), 6) => {
            let differs = u128::from(address) ^ u128::from_be_bytes(network.address);
            differs
                .checked_shr(128_u32.saturating_sub(prefix))
                .unwrap_or(0)
                == 0
        }
        _ => false,
    }
}
