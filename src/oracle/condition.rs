//! Conditions. What a test says is `Some(true)`, `Some(false)`, or `None`: unknown.

use std::borrow::Cow;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};

use crate::model::{DepartmentId, ProjectId, Query, UserId, Value};
use crate::policy::{Comparison, Condition, Operand, Operands, Path, Policy, Root};

use super::facts::{self, Resource};

/// Whom and what a condition sees.
pub(super) struct Scene<'a> {
    pub(super) policy: &'a Policy,
    pub(super) query: &'a Query<'a>,
    pub(super) user: UserId,
    pub(super) resource: Seen<'a>,
}

/// What a condition sees of the resource.
pub(super) enum Seen<'a> {
    /// The resource.
    Resource(&'a Resource<'a>),
    /// Nothing: a test of it, or against it, counts as this.
    Assumed(Option<bool>),
}

// === impl Scene ===

impl Scene<'_> {
    /// What the condition says: false with a false test, else unknown with an unknown one, else true.
    pub(super) fn holds(&self, condition: &Condition) -> Option<bool> {
        let tests: Vec<Option<bool>> = condition
            .tests
            .iter()
            .map(|(path, comparison)| self.test(path, comparison))
            .collect();
        if tests.contains(&Some(false)) {
            Some(false)
        } else if tests.contains(&None) {
            None
        } else {
            Some(true)
        }
    }

    fn test(&self, path: &Path, comparison: &Comparison) -> Option<bool> {
        if let Seen::Assumed(assumed) = self.resource
            && (path.root == Root::Resource || against_resource(comparison))
        {
            return assumed;
        }
        let value = self.value(path);
        match comparison {
            Comparison::Present(present) => Some(value.is_some() == *present),
            Comparison::Is(operand) => self.is(value, operand),
            Comparison::Not(operand) => self.is(value, operand).map(|is| !is),
            Comparison::In(operands) => self.is_in(value, operands),
            Comparison::NotIn(operands) => self.is_in(value, operands).map(|is| !is),
            Comparison::AtLeast(operand) => Some(number(value)? >= number(self.operand(operand))?),
            Comparison::AtMost(operand) => Some(number(value)? <= number(self.operand(operand))?),
            Comparison::InNetwork(operands) => self.in_network(value, operands),
            Comparison::NotInNetwork(operands) => self.in_network(value, operands).map(|is| !is),
            Comparison::Contains(operand) => {
                let sought = single(self.operand(operand))?;
                match value? {
                    Value::List(items) => Some(items.iter().any(|item| equal(item, &sought))),
                    _ => None,
                }
            }
        }
    }

    fn is(&self, value: Option<Value<'static>>, operand: &Operand) -> Option<bool> {
        Some(equal(&single(value)?, &single(self.operand(operand))?))
    }

    /// One operand that is absent or unfit makes the test unknown, even where another is equal.
    ///
    /// Choice: where a path stands for the whole list, a single value there is unfit.
    fn is_in(&self, value: Option<Value<'static>>, operands: &Operands) -> Option<bool> {
        let value = single(value)?;
        let among = match operands {
            Operands::List(operands) => operands
                .iter()
                .map(|operand| single(self.operand(operand)))
                .collect::<Option<Vec<Value<'static>>>>()?,
            Operands::Path(path) => match self.value(path)? {
                Value::List(items) => items,
                _ => return None,
            },
        };
        Some(among.iter().any(|item| equal(item, &value)))
    }

    /// Choice: where a path stands for the whole list, it is one block or a list of blocks, and one
    /// of them that is no block makes the test unknown.
    fn in_network(&self, value: Option<Value<'static>>, operands: &Operands) -> Option<bool> {
        let address = address(value)?;
        let written = match operands {
            Operands::List(operands) => operands
                .iter()
                .map(|operand| self.operand(operand))
                .collect::<Option<Vec<Value<'static>>>>()?,
            Operands::Path(path) => match self.value(path)? {
                Value::List(items) => items,
                value => vec![value],
            },
        };
        let blocks: Vec<IpNet> = written.iter().map(block).collect::<Option<_>>()?;
        Some(blocks.iter().any(|block| block.contains(&address)))
    }

    fn operand(&self, operand: &Operand) -> Option<Value<'static>> {
        match operand {
            Operand::String(written) => Some(text(written)),
            Operand::Number(number) => Some(Value::Number(*number)),
            Operand::Bool(truth) => Some(Value::Bool(*truth)),
            Operand::Path(path) => self.value(path),
        }
    }

    /// The value there, or `None` if there is none; null is none.
    fn value(&self, path: &Path) -> Option<Value<'static>> {
        let (name, nested) = path.segments.split_first()?;
        let top = match path.root {
            Root::Subject => self.of_subject(name)?,
            Root::Resource => self.of_resource(name)?,
            Root::Action => self.query.action.properties.get(name)?.clone().into_owned(),
            Root::Context => self.query.context.get(name)?.clone().into_owned(),
        };
        nested.iter().try_fold(top, |value, name| match value {
            Value::Object(members) => members.get(name).cloned(),
            _ => None,
        })
    }

    /// Choice: what a request sends of the subject is a property whatever its name, but for the
    /// four facts.
    fn of_subject(&self, name: &str) -> Option<Value<'static>> {
        let user = &self.policy.users[self.user.index()];
        match name {
            "id" => Some(text(&user.id)),
            "group" => Some(text(&self.policy.groups[user.group?.index()].name)),
            "departments" => Some(self.department_names(&user.departments)),
            "projects" => {
                Some(self.project_names(&facts::projects_of_user(self.policy, self.user)))
            }
            _ => user
                .properties
                .get(name)
                .or_else(|| self.query.subject.properties.get(name))
                .map(|value| value.clone().into_owned()),
        }
    }

    /// The names under which a request gives facts are no properties.
    fn of_resource(&self, name: &str) -> Option<Value<'static>> {
        let Seen::Resource(resource) = self.resource else {
            return None;
        };
        let names = &self.policy.catalogue.types[resource.kind.index()].fact_names;
        match name {
            "id" => Some(text(&resource.id)),
            "owner" => Some(text(&self.policy.users[resource.owner?.index()].id)),
            "group" => Some(text(&self.policy.groups[resource.group?.index()].name)),
            "departments" => Some(self.department_names(&resource.departments)),
            "projects" => Some(self.project_names(&resource.projects)),
            _ if name == names.owner
                || name == names.group
                || names.departments.iter().any(|given| given == name)
                || names.projects.iter().any(|given| given == name) =>
            {
                None
            }
            _ => resource
                .property(name)
                .map(|value| value.clone().into_owned()),
        }
    }

    fn department_names(&self, departments: &[DepartmentId]) -> Value<'static> {
        let name = |id: &DepartmentId| text(&self.policy.departments[id.index()].name);
        Value::List(departments.iter().map(name).collect())
    }

    fn project_names(&self, projects: &[ProjectId]) -> Value<'static> {
        let name = |id: &ProjectId| text(&self.policy.projects[id.index()].name);
        Value::List(projects.iter().map(name).collect())
    }
}

/// Whether the comparison is with something of the resource.
fn against_resource(comparison: &Comparison) -> bool {
    let of_resource =
        |operand: &Operand| matches!(operand, Operand::Path(path) if path.root == Root::Resource);
    match comparison {
        Comparison::Is(operand)
        | Comparison::Not(operand)
        | Comparison::AtLeast(operand)
        | Comparison::AtMost(operand)
        | Comparison::Contains(operand) => of_resource(operand),
        Comparison::In(operands)
        | Comparison::NotIn(operands)
        | Comparison::InNetwork(operands)
        | Comparison::NotInNetwork(operands) => match operands {
            Operands::List(operands) => operands.iter().any(of_resource),
            Operands::Path(path) => path.root == Root::Resource,
        },
        Comparison::Present(_) => false,
    }
}

/// Whether both are single values of one kind, and equal. Values of two kinds, lists and objects never are.
fn equal(one: &Value<'_>, other: &Value<'_>) -> bool {
    match (one, other) {
        (Value::String(one), Value::String(other)) => one == other,
        (Value::Number(one), Value::Number(other)) => one == other,
        (Value::Bool(one), Value::Bool(other)) => one == other,
        _ => false,
    }
}

/// The value, if there is one and it is no list and no object.
fn single(value: Option<Value<'static>>) -> Option<Value<'static>> {
    value.filter(|value| matches!(value, Value::Bool(_) | Value::Number(_) | Value::String(_)))
}

fn number(value: Option<Value<'static>>) -> Option<f64> {
    match value? {
        Value::Number(number) => Some(number),
        _ => None,
    }
}

/// The address in a string; one of IPv4 mapped into IPv6 is of IPv4.
///
/// Choice: the address alone, without port, brackets, zone or surrounding space.
fn address(value: Option<Value<'static>>) -> Option<IpAddr> {
    match value? {
        Value::String(text) => text.parse::<IpAddr>().ok().map(|ip| ip.to_canonical()),
        _ => None,
    }
}

/// A CIDR block. Choice: an address without a prefix length is none, nor is one with host bits set;
/// a block of mapped addresses is the block of IPv4 addresses that they map, and any other block of
/// IPv6 has no address of IPv4 in it.
fn block(value: &Value<'_>) -> Option<IpNet> {
    let block: IpNet = value.as_str()?.parse().ok()?;
    if block.addr() != block.network() {
        return None;
    }
    let mapped = match block {
        IpNet::V6(v6) if v6.prefix_len() >= 96 => v6.addr().to_ipv4_mapped(),
        IpNet::V6(_) | IpNet::V4(_) => None,
    };
    match mapped {
        Some(v4) => Some(IpNet::V4(Ipv4Net::new(v4, block.prefix_len() - 96).ok()?)),
        None => Some(block),
    }
}

fn text(text: &str) -> Value<'static> {
    Value::String(Cow::Owned(text.to_owned()))
}
