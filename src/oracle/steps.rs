//! The steps of a decision, in their order.

use crate::model::{
    ActionId, ProjectId, Properties, Query, Reason, RoleId, Scope, ScopeSet, TypeId, UserId, Value,
};
use crate::policy::{Action, Policy, ResourceType};

use super::condition::{Scene, Seen};
use super::facts::{self, Resource};
use super::names;
use super::roles::{self, Holding};

/// Decides the query by the policy, and says why.
#[must_use]
pub fn check<'p>(policy: &'p Policy, query: &Query<'_>) -> Reason<'p> {
    // Step 1, subject.
    if !policy
        .subject_types
        .iter()
        .any(|kind| kind == query.subject.kind)
    {
        return Reason::UnknownSubject;
    }
    let Some(user) = names::user_named(policy, query.subject.id) else {
        return Reason::UnknownSubject;
    };
    if !policy.users[user.index()].active {
        return Reason::InactiveSubject;
    }
    // Step 2, permission.
    let Some(kind) = names::type_named(policy, query.resource.kind) else {
        return Reason::UnknownResourceType;
    };
    let Some(action) = names::action_named(policy, kind, query.action.name) else {
        return Reason::UnknownAction;
    };
    let asked = Permission { kind, action };
    // Steps 3 to 9, or those of a section check, with the user's real roles.
    let real = Evaluation {
        policy,
        query,
        user,
        holdings: roles::held(policy, user, query.now),
    };
    match query.test_role {
        None => real.decide(asked),
        Some(role) => test_role(&real, role, asked),
    }
}

/// What a decision about one resource rests on, by names: for peers to which a client must tell
/// such things with each request.
#[derive(Clone, Debug, Default)]
pub struct Bearing {
    /// The roles in force for the resource.
    pub roles: Vec<String>,
    /// The scopes that would reach it, were they granted.
    pub reach: ScopeSet,
    /// Whether the project wall stands before it.
    pub walled_off: bool,
    /// Those of the user's and of the resource's properties that were asked for.
    pub properties: [Vec<(String, Value<'static>)>; 2],
}

/// Steps 3, 4 and 6, and what of step 7 is not about grants; nothing where the decision ends before
/// that. Links, sections and tested roles are left out.
#[must_use]
pub fn bearing(policy: &Policy, query: &Query<'_>, names: [&[&str]; 2]) -> Bearing {
    let user = names::user_named(policy, query.subject.id);
    let user = user.filter(|user| policy.users[user.index()].active);
    let kind = names::type_named(policy, query.resource.kind);
    let asked = kind.and_then(|kind| {
        let action = names::action_named(policy, kind, query.action.name)?;
        Some(Permission { kind, action })
    });
    let (Some(user), Some(asked)) = (user, asked) else {
        return Bearing::default();
    };
    let sent = &query.resource;
    let Some(resource) = facts::resource(policy, asked, sent.id, sent.properties) else {
        return Bearing::default();
    };
    let evaluation = Evaluation {
        policy,
        query,
        user,
        holdings: roles::held(policy, user, query.now),
    };
    let in_force = evaluation.in_force(Where::Resource(&resource));
    let role = |role: RoleId| policy.roles[role.index()].name.clone();
    let reach = ScopeSet::ALL.iter();
    let reach = reach.filter(|&scope| evaluation.reaches(scope, &resource));
    let stored = &policy.users[user.index()].properties;
    let of = |names: &[&str], get: &dyn Fn(&str) -> Option<Value<'static>>| {
        let named = names.iter();
        named
            .filter_map(|name| Some(((*name).to_owned(), get(name)?)))
            .collect()
    };
    Bearing {
        roles: in_force.into_iter().map(role).collect(),
        reach: reach.fold(ScopeSet::EMPTY, ScopeSet::with),
        walled_off: evaluation.outside_projects(&resource),
        properties: [
            of(names[0], &|name| {
                stored.get(name).map(|value| value.clone().into_owned())
            }),
            of(names[1], &|name| {
                (resource.property(name)).map(|value| value.clone().into_owned())
            }),
        ],
    }
}

/// Step 10, testing a role.
///
/// Choice: an empty name is a name like others, of a role that does not exist.
fn test_role<'p>(real: &Evaluation<'p, '_>, name: &str, asked: Permission) -> Reason<'p> {
    if !real.everywhere(|action| action.tests_roles) {
        return Reason::TestRoleNotAllowed;
    }
    let Some(role) = names::role_named(real.policy, name) else {
        return Reason::UnknownRole;
    };
    let tested = Evaluation {
        holdings: roles::tested(real.policy, real.user, real.query.now, role),
        ..*real
    };
    // Both are decided whole: the wall too is lifted, or not, by the roles of each.
    let shown = tested.decide(asked);
    if shown.allows() && !real.decide(asked).allows() {
        return Reason::BeyondOwnRoles;
    }
    shown
}

/// A resource type and one of its actions.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Permission {
    pub(super) kind: TypeId,
    pub(super) action: ActionId,
}

impl Permission {
    pub(super) fn resource_type(self, policy: &Policy) -> &ResourceType {
        &policy.catalogue.types[self.kind.index()]
    }

    pub(super) fn action(self, policy: &Policy) -> &Action {
        &self.resource_type(policy).actions[self.action.index()]
    }
}

/// For which resources a role that a user holds is in force, and what then may be tested.
#[derive(Clone, Copy)]
enum Where<'a> {
    /// For this resource.
    Resource(&'a Resource<'a>),
    /// Whatever the resource: for `lifts_wall` and `tests_roles`.
    Everywhere,
    /// In a section, for what is granted.
    SectionGrants,
    /// In a section, for what is denied.
    SectionDenies,
}

/// Whether links may be followed: not within a linked check.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Links {
    Followed,
    Ignored,
}

/// One user's question, with the roles that it is decided with.
struct Evaluation<'p, 'q> {
    policy: &'p Policy,
    query: &'q Query<'q>,
    user: UserId,
    /// Step 3: all that hold now, those limited to projects included.
    holdings: Vec<Holding<'p>>,
}

// === impl Evaluation ===

impl<'p> Evaluation<'p, '_> {
    /// Steps 4 to 9 for the resource of the query, or the section check.
    fn decide(&self, asked: Permission) -> Reason<'p> {
        if self.query.section {
            return self.section(asked);
        }
        let sent = &self.query.resource;
        match facts::resource(self.policy, asked, sent.id, sent.properties) {
            None => Reason::UnknownResource,
            Some(resource) => self.steps_5_to_9(&resource, asked.action, Links::Followed),
        }
    }

    /// The section check.
    fn section(&self, asked: Permission) -> Reason<'p> {
        if self.denied(asked, Where::SectionDenies) {
            return Reason::DeniedByRole;
        }
        if self.granted(asked, Where::SectionGrants).is_empty() {
            return Reason::NoGrant;
        }
        for &action in &asked.action(self.policy).requires {
            if !self.section(Permission { action, ..asked }).allows() {
                return self.requires(asked.kind, action);
            }
        }
        Reason::Section
    }

    /// Steps 5 to 9 for an action on a resource whose facts are known.
    fn steps_5_to_9(&self, resource: &Resource<'_>, action: ActionId, links: Links) -> Reason<'p> {
        let asked = Permission {
            kind: resource.kind,
            action,
        };
        // Step 5, deny.
        if self.denied(asked, Where::Resource(resource)) {
            return Reason::DeniedByRole;
        }
        // Step 6, project wall.
        if self.outside_projects(resource) {
            return Reason::OutsideProjects;
        }
        // Step 7, grant.
        let scopes = self.granted(asked, Where::Resource(resource));
        let mut reason = if scopes.is_empty() {
            Reason::NoGrant
        } else if scopes.iter().any(|scope| self.reaches(scope, resource)) {
            Reason::Granted
        } else {
            Reason::OutOfScope
        };
        // Step 8, link. A link that does not help leaves the reason of step 7.
        if !reason.allows()
            && links == Links::Followed
            && let Some(via) = self.linked(resource, asked)
        {
            reason = via;
        }
        if !reason.allows() {
            return reason;
        }
        // Step 9, requires: the same resource, with the facts it has for the action first asked.
        // Choice: links are followed for what is required too, unless this is itself a linked check.
        for &needed in &asked.action(self.policy).requires {
            if !self.steps_5_to_9(resource, needed, links).allows() {
                return self.requires(asked.kind, needed);
            }
        }
        reason
    }

    /// Step 5: whether a role in force denies, its condition not being false.
    fn denied(&self, asked: Permission, place: Where<'_>) -> bool {
        let scene = self.scene(place);
        self.in_force(place)
            .into_iter()
            .flat_map(|role| roles::denies(self.policy, role, asked))
            .any(|deny| match &deny.when {
                None => true,
                Some(condition) => scene.holds(condition) != Some(false),
            })
    }

    /// Step 6: whether the project wall stands between the user and the resource.
    fn outside_projects(&self, resource: &Resource<'_>) -> bool {
        self.policy.enhanced
            && self.policy.catalogue.types[resource.kind.index()].walled
            && !self.everywhere(|action| action.lifts_wall)
            && !facts::projects_of_user(self.policy, self.user)
                .iter()
                .any(|project| resource.projects.contains(project))
    }

    /// Whether the user may do everywhere the action that is marked so: steps 5 and 7 by the
    /// assignments that are not limited to projects. Where the catalogue marks none: no.
    fn everywhere(&self, marked: impl Fn(&Action) -> bool) -> bool {
        let permissions = (0..)
            .map(TypeId)
            .zip(&self.policy.catalogue.types)
            .flat_map(|(kind, ty)| {
                let actions = (0..).map(ActionId).zip(&ty.actions);
                actions.map(move |(action, _)| Permission { kind, action })
            });
        permissions
            .filter(|permission| marked(permission.action(self.policy)))
            .any(|permission| {
                !self.denied(permission, Where::Everywhere)
                    && self
                        .granted(permission, Where::Everywhere)
                        .contains(Scope::Any)
            })
    }

    /// Step 7, first half: the scopes of all grants whose condition is true, united.
    fn granted(&self, asked: Permission, place: Where<'_>) -> ScopeSet {
        let scene = self.scene(place);
        self.in_force(place)
            .into_iter()
            .flat_map(|role| roles::grants(self.policy, role, asked))
            .filter(|grant| match &grant.when {
                None => true,
                Some(condition) => scene.holds(condition) == Some(true),
            })
            .fold(ScopeSet::EMPTY, |all, grant| all.union(grant.scopes))
    }

    /// Step 7, second half: whether the scope reaches the resource.
    fn reaches(&self, scope: Scope, resource: &Resource<'_>) -> bool {
        let own = resource.owner == Some(self.user);
        let user = &self.policy.users[self.user.index()];
        let groups: Vec<_> = user
            .group
            .into_iter()
            .chain(facts::groups_led(self.policy, self.user))
            .collect();
        let departments: Vec<_> = user
            .departments
            .iter()
            .copied()
            .chain(facts::departments_led(self.policy, self.user))
            .collect();
        match scope {
            Scope::Any => true,
            Scope::Own => own,
            Scope::Assigned => resource
                .operators
                .iter()
                .any(|members| facts::is_member(self.policy, members, self.user)),
            Scope::Group => own || resource.group.is_some_and(|group| groups.contains(&group)),
            Scope::Department => {
                own || resource
                    .departments
                    .iter()
                    .any(|department| departments.contains(department))
            }
            Scope::Branch => {
                own || resource.departments.iter().any(|&department| {
                    facts::upwards(self.policy, department)
                        .iter()
                        .any(|above| departments.contains(above))
                })
            }
        }
    }

    /// Step 8: the first linked permission, in the catalogue's order, that passes for a linked resource.
    fn linked(&self, resource: &Resource<'_>, asked: Permission) -> Option<Reason<'p>> {
        for &(kind, action) in &asked.action(self.policy).via {
            let linked = Permission { kind, action };
            let name = &linked.resource_type(self.policy).name;
            let passes = named_resources(resource.property(name))
                .into_iter()
                .filter_map(|(id, sent)| facts::resource(self.policy, linked, id, sent))
                .any(|resource| {
                    self.steps_5_to_9(&resource, action, Links::Ignored)
                        .allows()
                });
            if passes {
                return Some(Reason::Via {
                    kind: name,
                    action: &linked.action(self.policy).name,
                });
            }
        }
        None
    }

    /// The roles whose grants and denies count there; one that is held twice stands twice.
    ///
    /// Choice: an assignment limited to projects is so in either security mode, and for types
    /// without wall too; what is in no project is out of reach for it.
    fn in_force(&self, place: Where<'_>) -> Vec<RoleId> {
        let counts = |projects: Option<&[ProjectId]>| match (projects, place) {
            (None, _) | (Some(_), Where::SectionGrants) => true,
            (Some(_), Where::Everywhere | Where::SectionDenies) => false,
            (Some(projects), Where::Resource(resource)) => projects
                .iter()
                .any(|project| resource.projects.contains(project)),
        };
        self.holdings
            .iter()
            .filter(|holding| counts(holding.projects))
            .map(|holding| holding.role)
            .collect()
    }

    /// What conditions see there.
    fn scene<'s>(&'s self, place: Where<'s>) -> Scene<'s> {
        Scene {
            policy: self.policy,
            query: self.query,
            user: self.user,
            resource: match place {
                Where::Resource(resource) => Seen::Resource(resource),
                // The reader of policies refuses such conditions; were there one, it would not be known.
                Where::Everywhere => Seen::Assumed(None),
                Where::SectionGrants => Seen::Assumed(Some(true)),
                Where::SectionDenies => Seen::Assumed(Some(false)),
            },
        }
    }

    fn requires(&self, kind: TypeId, action: ActionId) -> Reason<'p> {
        let needed = Permission { kind, action };
        Reason::Requires {
            action: &needed.action(self.policy).name,
        }
    }
}

/// The ids and properties that a link names: an id, an object with `id` and perhaps `properties`,
/// or a list of these. Whatever else stands there names nothing.
///
/// Choice: members of such an object beside these two are not looked at; with `properties` that are
/// no object it names nothing; a list within the list names nothing.
fn named_resources<'v>(link: Option<&'v Value<'v>>) -> Vec<(&'v str, &'v Properties<'v>)> {
    static NONE: Properties<'static> = Properties::EMPTY;
    let one = |value: &'v Value<'v>| -> Option<(&'v str, &'v Properties<'v>)> {
        match value {
            Value::String(id) => Some((id.as_ref(), &NONE)),
            Value::Object(members) => match (members.get("id"), members.get("properties")) {
                (Some(Value::String(id)), None) => Some((id.as_ref(), &NONE)),
                (Some(Value::String(id)), Some(Value::Object(sent))) => Some((id.as_ref(), sent)),
                _ => None,
            },
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::List(_) => None,
        }
    };
    match link {
        None => Vec::new(),
        Some(Value::List(items)) => items.iter().filter_map(one).collect(),
        Some(value) => one(value).into_iter().collect(),
    }
}
