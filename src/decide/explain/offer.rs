//! What might turn an answer: changes that an obstacle suggests. Whether one does is found out by
//! asking.

use super::observe::Obstacle;
use crate::model::{Scope, ScopeSet, Value};
use crate::snapshot::origins::{
    Giver, ROLE_IMPLICIT, ROLE_TEMPLATE, SAID_DENY, SAID_GRANT, SAID_NONE,
};
use crate::snapshot::tables::{
    FACT_NONE, OPERAND_BOOL, OPERAND_NETWORK, OPERAND_NUMBER, OPERAND_STRING, OperandRow,
    REGISTRY_OBJECTS, ROOT_ACTION, ROOT_CONTEXT, ROOT_RESOURCE, ROOT_SUBJECT, TEST_AT_LEAST,
    TEST_AT_MOST, TEST_CONTAINS, TEST_IN, TEST_IN_NETWORK, TEST_IS, TEST_NOT, TEST_NOT_IN,
    TEST_NOT_IN_NETWORK, TEST_PRESENT, TestRow, UserRow, some,
};
use crate::snapshot::{Change, Snapshot};

use super::super::value::number;

/// One change that is offered.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Edit {
    /// To the policy.
    Policy(Change),
    /// To what is sent.
    Property(Property),
}

/// A value that is sent for a property.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Property {
    /// One of the `ROOT_…` numbers.
    pub(super) root: u32,
    pub(super) name: String,
    pub(super) value: Value<'static>,
}

/// Changes that are made together, or not at all.
pub(super) type Offer = Vec<Edit>;

/// Roles that are offered for one permission.
pub(super) const ROLES_MAX: usize = 5;
/// Roles for which a new grant is offered.
const GRANTING_ROLES_MAX: usize = 2;
/// Roles that are offered for a look over the wall.
const LIFTING_ROLES_MAX: usize = 2;
/// Projects, departments and tests for which something is offered.
const PLACES_MAX: usize = 4;

/// Makes offers for one user.
pub(super) struct Offers<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) user_id: u32,
    pub(super) user: &'a UserRow,
    /// The id of the resource that is asked about.
    pub(super) resource: &'a str,
}

// === impl Offers ===

impl Offers<'_> {
    /// What might help where the answer is deny, or turn it where it is allow. Offers of one inner
    /// list are of a kind: the first that turns the answer is the smallest of them.
    pub(super) fn of(&self, obstacle: &Obstacle) -> Vec<Vec<Offer>> {
        let meta = self.snapshot.meta();
        match obstacle {
            Obstacle::Inactive => one(Change::Activate),
            Obstacle::NotRegistered { kind } => {
                let row = self.snapshot.kind(*kind);
                if row.is_some_and(|row| row.registry == REGISTRY_OBJECTS) {
                    one(Change::Register(*kind, self.resource.to_owned()))
                } else {
                    Vec::new()
                }
            }
            Obstacle::MayNotTest => match some(meta.tests_roles) {
                Some(permission) => self.permission(permission, ScopeSet::EMPTY),
                None => Vec::new(),
            },
            Obstacle::Denied { permission, roles } => self.denied(*permission, roles),
            Obstacle::Walled { kind, projects } => self.walled(*kind, projects),
            Obstacle::NotReached {
                permission,
                scopes,
                group,
                departments,
                operated,
            } => {
                let scopes = ScopeSet::from_bits(*scopes);
                let mut offers = self.places(scopes, *group, departments);
                let operated = operated.iter().take(PLACES_MAX);
                let operated = operated.filter(|_| scopes.contains(Scope::Assigned));
                offers.extend(operated.flat_map(|&object| one(Change::Operate(object))));
                offers.extend(self.permission(*permission, scopes));
                offers
            }
            Obstacle::Condition { condition, grants } => self.condition(*condition, *grants),
            Obstacle::Held { roles, .. } => {
                let taken = roles.iter().filter_map(|&role| self.take(role));
                taken.map(|offer| vec![offer]).collect()
            }
        }
    }

    /// A project in common, or a look over the wall.
    fn walled(&self, kind: u32, projects: &[u32]) -> Vec<Vec<Offer>> {
        let snapshot = self.snapshot;
        let joined = projects.iter().take(PLACES_MAX);
        let mut offers: Vec<Vec<Offer>> = joined
            .flat_map(|&project| one(Change::JoinProject(project)))
            .collect();
        if projects.is_empty() {
            // Mostly the request names neither project nor parent.
            let names = snapshot
                .kind(kind)
                .map(|kind| snapshot.list(kind.project_names));
            let name = names.and_then(|names| names.first());
            let own = snapshot.list(self.user.projects).iter();
            let own = own.filter_map(|&id| snapshot.tables.projects.get(id as usize));
            offers.extend(name.into_iter().zip(own).map(|(&name, project)| {
                vec![vec![Edit::Property(Property {
                    root: ROOT_RESOURCE,
                    name: snapshot.text(name).to_owned(),
                    value: Value::String(snapshot.text(project.name).to_owned().into()),
                })]]
            }));
        }
        if let Some(lifts) = some(snapshot.meta().lifts_wall) {
            let roles = self
                .roles_granting(lifts)
                .into_iter()
                .take(LIFTING_ROLES_MAX);
            offers.extend(roles.flat_map(|role| one(Change::Assign(role))));
        }
        offers
    }

    pub(super) fn flags(&self, role: u32) -> u32 {
        self.snapshot
            .role_origin(role)
            .map_or(0, |(_, flags)| flags)
    }

    /// A grant in a role, or a role that grants.
    fn permission(&self, permission: u32, granted: ScopeSet) -> Vec<Vec<Offer>> {
        let mut offers = Vec::new();
        let assigned = self.snapshot.assigned(self.user_id, self.user);
        let mut own: Vec<u32> = Vec::new();
        for assigned in &assigned {
            let says_none = || {
                let mut said = self.snapshot.said(assigned.role, permission).iter();
                said.any(|row| row.effect == SAID_NONE)
            };
            let flags = self.flags(assigned.role);
            let fixed = flags & (ROLE_TEMPLATE | ROLE_IMPLICIT) != 0;
            if !fixed && !own.contains(&assigned.role) && !says_none() {
                own.push(assigned.role);
            }
        }
        own.truncate(GRANTING_ROLES_MAX);
        let mut roles: Vec<Option<u32>> = own.into_iter().map(Some).collect();
        if roles.is_empty() {
            roles.push(None);
        }
        for role in roles {
            let offered = self.snapshot.offered(permission);
            let wider = offered.iter().filter(|&scope| !granted.contains(scope));
            let grants =
                wider.map(|scope| vec![Edit::Policy(Change::Grant(role, permission, scope))]);
            offers.push(grants.collect());
        }
        let roles = self.roles_granting(permission).into_iter().take(ROLES_MAX);
        offers.extend(roles.flat_map(|role| one(Change::Assign(role))));
        offers
    }

    /// Roles that would grant the permission, those first that say the least.
    fn roles_granting(&self, permission: u32) -> Vec<u32> {
        self.narrowest(|role| {
            let mut said = self.snapshot.said(role, permission).iter();
            self.flags(role) & ROLE_IMPLICIT == 0 && said.any(|row| row.effect == SAID_GRANT)
        })
    }

    /// These roles, those first that say the least.
    pub(super) fn narrowest(&self, are: impl Fn(u32) -> bool) -> Vec<u32> {
        let snapshot = self.snapshot;
        let width = snapshot.meta().permissions;
        let roles = (0..snapshot.tables.roles.len() as u32).filter(|&role| are(role));
        let mut roles: Vec<(usize, u32)> = roles
            .map(|role| {
                let cells = (0..width).map(|permission| snapshot.role_cell(role, permission));
                (cells.filter(|&cell| cell != 0).count(), role)
            })
            .collect();
        roles.sort_unstable();
        roles.into_iter().map(|(_, role)| role).collect()
    }

    /// Where the user would have to be for a scope that is granted.
    fn places(&self, scopes: ScopeSet, group: Option<u32>, departments: &[u32]) -> Vec<Vec<Offer>> {
        let mut offers = Vec::new();
        if let Some(group) = group.filter(|_| scopes.contains(Scope::Group)) {
            // A group's shift would come with it, and the tables do not tell which one.
            if some(self.user.group).is_none() && !self.snapshot.group_has_shift(group) {
                offers.extend(one(Change::JoinGroup(group)));
            }
            offers.extend(one(Change::LeadGroup(group)));
        }
        if scopes.contains(Scope::Department) || scopes.contains(Scope::Branch) {
            for &department in departments.iter().take(PLACES_MAX) {
                offers.extend(one(Change::JoinDepartment(department)));
                offers.extend(one(Change::LeadDepartment(department)));
            }
        }
        offers
    }

    /// Without the denies, or without the roles that have them.
    fn denied(&self, permission: u32, roles: &[u32]) -> Vec<Vec<Offer>> {
        let mut offers = Vec::new();
        for &role in roles {
            let said = self.snapshot.said(role, permission).iter();
            let denies = said.filter(|row| row.effect == SAID_DENY);
            let mut lines = Vec::new();
            let mut fixed = false;
            for row in denies {
                let owner = self.snapshot.through(row).last().copied().unwrap_or(role);
                fixed |= self.flags(owner) & ROLE_TEMPLATE != 0;
                lines.push(Edit::Policy(Change::RemoveDeny(row.deny_place())));
            }
            if !fixed {
                offers.push(vec![lines]);
            }
            offers.extend(self.take(role).map(|offer| vec![offer]));
        }
        offers
    }

    /// The role taken from the user, by every way; `None` if it is everybody's.
    fn take(&self, role: u32) -> Option<Offer> {
        let assigned = self.snapshot.assigned(self.user_id, self.user);
        let mut ways: Vec<Giver> = (assigned.iter())
            .filter(|one| one.role == role)
            .map(|one| one.by)
            .collect();
        ways.sort_unstable();
        ways.dedup();
        if ways.is_empty() || ways.contains(&Giver::Implicit) {
            return None;
        }
        let ways = ways.into_iter();
        Some(
            ways.map(|by| Edit::Policy(Change::Unassign(role, by)))
                .collect(),
        )
    }

    /// Values that make a condition true, or false.
    fn condition(&self, condition: u32, make: bool) -> Vec<Vec<Offer>> {
        let row = self.snapshot.tables.conditions.get(condition as usize);
        let tests = row.map_or(&[][..], |row| row.tests.of(&self.snapshot.tables.tests));
        if tests.len() > PLACES_MAX {
            return Vec::new();
        }
        let made = |test| Property::making(self.snapshot, test, make).map(Edit::Property);
        if make {
            // All tests must hold. One that holds already needs nothing: what is too much is left out.
            let all: Offer = tests.iter().filter_map(made).collect();
            vec![vec![all]]
        } else {
            let each = tests.iter().filter_map(made);
            each.map(|edit| vec![vec![edit]]).collect()
        }
    }
}

fn one(change: Change) -> Vec<Vec<Offer>> {
    vec![vec![vec![Edit::Policy(change)]]]
}

// === impl Property ===

impl Property {
    /// A value of a property that would make the test true, or false; `None` where no single value
    /// is the obvious one.
    fn making(snapshot: &Snapshot, test: &TestRow, make: bool) -> Option<Self> {
        let path = snapshot.tables.paths.get(test.path as usize)?;
        let [name] = snapshot.list(path.segments) else {
            return None;
        };
        if path.fact != FACT_NONE {
            return None;
        }
        let operand = test.operands.of(&snapshot.tables.operands).first()?;
        let value = match (test.operator, make) {
            (TEST_IS | TEST_IN, true) | (TEST_NOT | TEST_NOT_IN, false) => {
                constant(snapshot, operand)?
            }
            (TEST_IS, false) | (TEST_NOT, true) if operand.tag == OPERAND_BOOL => {
                Value::Bool(operand.a == 0)
            }
            (TEST_AT_LEAST | TEST_AT_MOST, true) if operand.tag == OPERAND_NUMBER => {
                constant(snapshot, operand)?
            }
            (TEST_AT_LEAST, false) => Value::Number(numeric(operand)? - 1.0),
            (TEST_AT_MOST, false) => Value::Number(numeric(operand)? + 1.0),
            (TEST_IN_NETWORK, true) | (TEST_NOT_IN_NETWORK, false)
                if operand.tag == OPERAND_NETWORK =>
            {
                let network = snapshot
                    .tables
                    .networks
                    .get(operand.a as usize)?
                    .to_string();
                let (address, _) = network.split_once('/')?;
                Value::String(address.to_owned().into())
            }
            (TEST_CONTAINS, true) => Value::List(vec![constant(snapshot, operand)?]),
            (TEST_PRESENT, true) if operand.a != 0 => Value::Bool(true),
            (TEST_PRESENT, false) if operand.a == 0 => Value::Bool(true),
            _ => return None,
        };
        Some(Self {
            root: path.root,
            name: snapshot.text(*name).to_owned(),
            value,
        })
    }

    /// Where it is sent (`context.ip`).
    pub(super) fn path(&self) -> String {
        let root = match self.root {
            ROOT_SUBJECT => "subject",
            ROOT_RESOURCE => "resource",
            ROOT_ACTION => "action",
            ROOT_CONTEXT => "context",
            _ => "",
        };
        format!("{root}.{}", self.name)
    }
}

fn numeric(operand: &OperandRow) -> Option<f64> {
    (operand.tag == OPERAND_NUMBER).then(|| number(operand.a, operand.b))
}

/// A value as written; `None` if it is looked up elsewhere.
fn constant(snapshot: &Snapshot, operand: &OperandRow) -> Option<Value<'static>> {
    match operand.tag {
        OPERAND_BOOL => Some(Value::Bool(operand.a != 0)),
        OPERAND_NUMBER => numeric(operand).map(Value::Number),
        OPERAND_STRING => Some(Value::String(snapshot.text(operand.a).to_owned().into())),
        _ => None,
    }
}
