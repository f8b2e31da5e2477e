//! The resolved policy: what people wrote, with every name turned into the number of what it names.
//!
//! Nothing is decided here: `extends` is not followed, wildcards are not expanded, members are not
//! gathered. Whatever the model calls a set is sorted and holds nothing twice, and every list of
//! named things is sorted by name, so that the same policy is equal whatever order it was written in.

use crate::model::{
    ActionId, Decision, DepartmentId, GroupId, ObjectId, ProjectId, Properties, RoleId, ScopeSet,
    ShiftId, TeamId, Timestamp, TypeId, UserId,
};

/// All that one company's policy says. Lists are indexed by the ids of their kind.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The company's name, a DNS label.
    pub company: String,
    /// What the company is called.
    pub title: Option<String>,
    /// Whether the project wall stands (`security: enhanced`).
    pub enhanced: bool,
    /// Whether every active user has exactly one own role (`roles_per_user: one`).
    pub one_role_each: bool,
    /// The AuthZEN subject types that mean a user.
    pub subject_types: Vec<String>,
    /// IANA name of the company's time zone.
    pub time_zone: String,
    /// The pack's vocabulary.
    pub catalogue: Catalogue,
    /// Template roles and the company's own, by name.
    pub roles: Vec<Role>,
    /// By name.
    pub departments: Vec<Department>,
    /// By name.
    pub groups: Vec<Group>,
    /// By name.
    pub teams: Vec<Team>,
    /// By name.
    pub shifts: Vec<Shift>,
    /// By id.
    pub users: Vec<User>,
    /// By type, then id.
    pub objects: Vec<Object>,
    /// `default` first, the others by name.
    pub projects: Vec<Project>,
    /// In the order written.
    pub routes: Vec<Route>,
    /// In the order written.
    pub tests: Vec<Test>,
    /// The files that [`Place::file`] counts, as paths within the policy tree.
    pub files: Vec<String>,
}

/// Where something stands, for explanations; it never takes part in a decision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Index into [`Policy::files`].
    pub file: u32,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

/// The vocabulary of a product.
#[derive(Clone, Debug)]
pub struct Catalogue {
    /// The catalogue's name.
    pub name: String,
    /// By name.
    pub types: Vec<ResourceType>,
}

/// A resource type.
#[derive(Clone, Debug)]
pub struct ResourceType {
    /// The type's name (`call`).
    pub name: String,
    /// What registers a resource of this type.
    pub registry: Registry,
    /// Whether the project wall stands around it.
    pub walled: bool,
    /// Under which names a request gives facts.
    pub fact_names: FactNames,
    /// Types whose objects may be parents; the property that names one bears the type's name.
    pub parents: Vec<TypeId>,
    /// By name.
    pub actions: Vec<Action>,
}

/// What registers a resource of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registry {
    /// The company's objects, where there is one of the id; else the request describes it.
    Open,
    /// The company's objects; an id that is not registered is denied (`registered: true`).
    Objects,
    /// The company's users: the type `user`.
    Users,
    /// The company's projects: the type `project`.
    Projects,
    /// The roles: the type `role`.
    Roles,
}

/// The names under which requests give the facts of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FactNames {
    /// One user.
    pub owner: String,
    /// One group.
    pub group: String,
    /// Each holds one department or a list; all are united (`department` and `departments`, or the catalogue's own name).
    pub departments: Vec<String>,
    /// Each holds one project or a list; all are united.
    pub projects: Vec<String>,
}

/// An action of a resource type.
#[derive(Clone, Debug)]
pub struct Action {
    /// The action's name (`listen`).
    pub name: String,
    /// Whether it is about a resource that is not there yet.
    pub new: bool,
    /// The scopes it offers.
    pub scopes: ScopeSet,
    /// Actions of the same type that must be allowed too, by name.
    pub requires: Vec<ActionId>,
    /// Linked permissions that may stand in for a scope, by type and action name.
    pub via: Vec<(TypeId, ActionId)>,
    /// Who may do this everywhere is not held by the project wall. At most one action of a catalogue.
    pub lifts_wall: bool,
    /// Who may do this everywhere may test roles. At most one action of a catalogue.
    pub tests_roles: bool,
}

/// A role, as written.
#[derive(Clone, Debug)]
pub struct Role {
    /// The role's name.
    pub name: String,
    /// What the role is called.
    pub title: Option<String>,
    /// Whether it came with the pack.
    pub template: bool,
    /// Whether some active user must have it for good.
    pub required: bool,
    /// Whether everybody has it.
    pub implicit: bool,
    /// Whether it is in force only on the user's shift.
    pub only_on_shift: bool,
    /// Roles whose grants and denies it takes over.
    pub extends: Vec<RoleId>,
    /// Its lines of grants, each pattern once.
    pub grants: Vec<GrantLine>,
    /// Its denies.
    pub denies: Vec<DenyLine>,
    /// Where it stands.
    pub place: Place,
}

/// What a line of grants or a deny speaks of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pattern {
    /// `type.action`
    Permission(TypeId, ActionId),
    /// `type."*"`, or the type's one grant
    Type(TypeId),
    /// `"*".action`: the action of this name, of every type that has one
    Action(String),
    /// `"*"`, `"*"."*"`
    Everything,
}

/// One line of a role's grants.
#[derive(Clone, Debug)]
pub struct GrantLine {
    /// What it speaks of.
    pub pattern: Pattern,
    /// What it grants as written, scopes that an action does not offer included; empty for `none`.
    pub grants: Vec<Grant>,
    /// Where it stands.
    pub place: Place,
}

/// Scopes, where a condition holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Grant {
    /// Never empty.
    pub scopes: ScopeSet,
    /// `None`: always.
    pub when: Option<Condition>,
}

/// One deny of a role.
#[derive(Clone, Debug)]
pub struct DenyLine {
    /// What it denies.
    pub pattern: Pattern,
    /// `None`: always.
    pub when: Option<Condition>,
    /// Where it stands.
    pub place: Place,
}

/// Tests that all must hold, sorted by path and test.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// Never empty.
    pub tests: Vec<(Path, Comparison)>,
}

/// Where a value is looked up (`resource.amount`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path {
    /// Whose property or fact.
    pub root: Root,
    /// A property's name, then names within nested objects; or a fact's name alone. Never empty.
    pub segments: Vec<String>,
}

/// Whose property or fact a path means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Root {
    /// `subject.`
    Subject,
    /// `resource.`
    Resource,
    /// `action.`
    Action,
    /// `context.`
    Context,
}

/// How a value is tested.
#[derive(Clone, Debug, PartialEq)]
pub enum Comparison {
    /// Equal.
    Is(Operand),
    /// Not equal.
    Not(Operand),
    /// Equal to one of these.
    In(Operands),
    /// Equal to none of these.
    NotIn(Operands),
    /// A number not below.
    AtLeast(Operand),
    /// A number not above.
    AtMost(Operand),
    /// An address in one of these CIDR blocks.
    InNetwork(Operands),
    /// An address in none of these CIDR blocks.
    NotInNetwork(Operands),
    /// A list that has this value.
    Contains(Operand),
    /// Whether there is a value.
    Present(bool),
}

/// The names of the tests that a condition may make, in the order of [`Comparison`].
pub const OPERATORS: [&str; 10] = [
    "is",
    "not",
    "in",
    "not_in",
    "at_least",
    "at_most",
    "in_network",
    "not_in_network",
    "contains",
    "present",
];

/// One value to compare with.
#[derive(Clone, Debug, PartialEq)]
pub enum Operand {
    /// As written.
    String(String),
    /// As written; finite.
    Number(f64),
    /// As written.
    Bool(bool),
    /// `{ path: … }`: the value there.
    Path(Path),
}

/// Several values to compare with.
#[derive(Clone, Debug, PartialEq)]
pub enum Operands {
    /// Each is one value (CIDR blocks are strings, valid as written). Sorted, never empty.
    List(Vec<Operand>),
    /// `{ path: … }` in place of the whole list.
    Path(Path),
}

/// A role given to a user, group, department or team.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The role.
    pub role: RoleId,
    /// In force from this moment on.
    pub from: Option<Timestamp>,
    /// In force before this moment.
    pub until: Option<Timestamp>,
    /// In force for resources in one of these projects only; never an empty list.
    pub projects: Option<Vec<ProjectId>>,
    /// Where it stands.
    pub place: Place,
}

/// A department.
#[derive(Clone, Debug)]
pub struct Department {
    /// The department's name.
    pub name: String,
    /// What it is called.
    pub title: Option<String>,
    /// The department above it.
    pub parent: Option<DepartmentId>,
    /// Who reaches it by scope.
    pub leaders: Vec<UserId>,
    /// Roles of everybody in it and below it.
    pub roles: Vec<Assignment>,
}

/// A group.
#[derive(Clone, Debug)]
pub struct Group {
    /// The group's name.
    pub name: String,
    /// What it is called.
    pub title: Option<String>,
    /// Who reaches it by scope.
    pub leaders: Vec<UserId>,
    /// Roles of its users.
    pub roles: Vec<Assignment>,
    /// The shift of those of its users who have none of their own.
    pub shift: Option<ShiftPlan>,
}

/// A team.
#[derive(Clone, Debug)]
pub struct Team {
    /// The team's name.
    pub name: String,
    /// What it is called.
    pub title: Option<String>,
    /// Who is in it.
    pub users: Vec<UserId>,
    /// Roles of its users.
    pub roles: Vec<Assignment>,
}

/// A timetable.
#[derive(Clone, Debug)]
pub struct Shift {
    /// The shift's name.
    pub name: String,
    /// What it is called.
    pub title: Option<String>,
    /// Its turns in a week.
    pub weekly: Vec<Turn>,
    /// Days on which no turn starts.
    pub off: Vec<Date>,
}

/// A turn of a shift: `[from, to)` on each of its days, in the company's time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Turn {
    /// Days on which it starts: bit 0 Monday to bit 6 Sunday.
    pub days: u8,
    /// Minute of the day at which it starts, below 1440.
    pub from: u16,
    /// Minute of the day at which it ends, at most 1440; not above `from`: on the next day.
    pub to: u16,
}

/// A day: days since 1970-01-01.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date(pub i32);

/// Which shift counts on which day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShiftPlan {
    /// The shift whose turns count that start before the change.
    pub shift: ShiftId,
    /// The change: the new shift, and the first day whose turns are its.
    pub next: Option<(ShiftId, Date)>,
}

/// A user.
#[derive(Clone, Debug)]
pub struct User {
    /// The user's id.
    pub id: String,
    /// What the user is called.
    pub title: Option<String>,
    /// Other names of the same user.
    pub aliases: Vec<String>,
    /// Whether checks of this user may allow.
    pub active: bool,
    /// The user's group.
    pub group: Option<GroupId>,
    /// The user's departments.
    pub departments: Vec<DepartmentId>,
    /// The user's own roles.
    pub roles: Vec<Assignment>,
    /// The user's own shift.
    pub shift: Option<ShiftPlan>,
    /// What conditions may test; no nulls.
    pub properties: Properties<'static>,
}

/// A registered resource.
#[derive(Clone, Debug)]
pub struct Object {
    /// The resource type; its registry is [`Registry::Open`] or [`Registry::Objects`].
    pub kind: TypeId,
    /// The id within the type.
    pub id: String,
    /// What it is called.
    pub title: Option<String>,
    /// Who owns it.
    pub owner: Option<UserId>,
    /// Whose it is.
    pub group: Option<GroupId>,
    /// Whose it is; empty where the registration leaves them out.
    pub departments: Vec<DepartmentId>,
    /// The object it belongs to.
    pub parent: Option<ObjectId>,
    /// Who operates it and what belongs to it.
    pub operators: Members,
    /// What conditions may test; no nulls.
    pub properties: Properties<'static>,
}

/// People, by any of four ways.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members {
    /// Named one by one.
    pub users: Vec<UserId>,
    /// Everybody in these groups.
    pub groups: Vec<GroupId>,
    /// Everybody in these departments and below them.
    pub departments: Vec<DepartmentId>,
    /// Everybody in these teams.
    pub teams: Vec<TeamId>,
}

/// A project.
#[derive(Clone, Debug)]
pub struct Project {
    /// The project's name.
    pub name: String,
    /// What it is called.
    pub title: Option<String>,
    /// Whose project it is.
    pub members: Members,
    /// What is in it.
    pub objects: Vec<ObjectId>,
    /// Roles that are in it as resources of the type `role`.
    pub roles: Vec<RoleId>,
}

/// An HTTP request as a check, for reverse proxies.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// Methods it speaks of, upper case; empty: all.
    pub methods: Vec<String>,
    /// The host, lower case, without port; `None`: any.
    pub host: Option<String>,
    /// The path's segments; none: the root. A slash at the end makes none.
    pub path: Vec<Segment>,
    /// Who may pass.
    pub rule: RouteRule,
    /// Where it stands.
    pub place: Place,
}

/// A segment of a route's path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Segment {
    /// This text.
    Literal(String),
    /// `{name}`: one segment, not empty.
    Capture(String),
    /// `{*name}`: all that follows, which may be nothing; the last segment only.
    Rest(String),
}

/// Who may pass a route.
#[derive(Clone, Debug, PartialEq)]
pub enum RouteRule {
    /// `allow: public`
    Public,
    /// `allow: authenticated`
    Authenticated,
    /// `check:` the permission of a resource whose id may be filled from the path.
    Check {
        /// The resource's type.
        kind: TypeId,
        /// The action.
        action: ActionId,
        /// The id, with `{name}` for what a capture holds; `None` with `section`.
        id: Option<String>,
        /// Whether it is a section check.
        section: bool,
        /// Constant properties of the resource.
        properties: Properties<'static>,
    },
}

/// What the policy must decide.
#[derive(Clone, Debug)]
pub struct Test {
    /// What it shows, unique in its file.
    pub name: String,
    /// The subject's type.
    pub subject_type: String,
    /// The subject's id, as asked.
    pub subject: String,
    /// What the request tells of the subject.
    pub subject_properties: Properties<'static>,
    /// The action's name, as asked.
    pub action: String,
    /// What the request tells of the action.
    pub action_properties: Properties<'static>,
    /// The resource's type, as asked.
    pub resource_type: String,
    /// The resource's id, as asked; empty for a section check.
    pub resource: String,
    /// What the request tells of the resource.
    pub resource_properties: Properties<'static>,
    /// The circumstances.
    pub context: Properties<'static>,
    /// Whether it is a section check.
    pub section: bool,
    /// The role to be tested.
    pub test_role: Option<String>,
    /// When it is asked; `None`: when the test runs.
    pub at: Option<Timestamp>,
    /// The decision it must get.
    pub expect: Decision,
    /// The reason it must get, if it says one.
    pub reason: Option<String>,
    /// Where it stands.
    pub place: Place,
}
