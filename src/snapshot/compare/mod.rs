//! What differs between two snapshots of a company, as far as an answer may come to differ.
//!
//! Everything is compared by name, in one numbering for both (`numbering`). What cannot change an
//! answer is left out: titles, order, tests, properties that nothing reads, roles of users who are
//! not active. So no difference means that every check agrees.
//!
//! - `matters`: what is worth comparing at all. `rules`: what roles say.
//! - `catalogue`, `people`, `objects`, `routes`: the causes, each once, with all whom it reaches.
//!   `operators`, `teams`: who operates objects.
//! - `effects`: the roles and assignments by which users gain and lose something; `gains`: what that
//!   is, all causes together.
//! - `changes`: causes in the making. `impact`: all of it in numbers alone, for a log. `loss`: users
//!   and objects that would go.

mod catalogue;
mod changes;
mod effects;
mod gains;
mod impact;
mod loss;
mod matters;
mod numbering;
mod objects;
mod operators;
mod people;
mod routes;
mod rules;
mod teams;

use std::borrow::Cow;
use std::thread;

use serde::Serialize;

pub use impact::Impact;
pub use loss::Loss;

use super::Snapshot;

/// All that differs between two snapshots, sorted.
#[derive(Debug, Default, Serialize)]
pub struct Diff<'s> {
    /// What users may do by their roles and might not before.
    pub gains: Vec<Effect<'s>>,
    /// What users might do by their roles and may no longer.
    pub losses: Vec<Effect<'s>>,
    /// What was changed.
    pub changes: Vec<Change<'s>>,
}

/// What the same users gain, or lose, by their roles.
#[derive(Debug, Serialize)]
pub struct Effect<'s> {
    /// The permissions, by name.
    pub permissions: Vec<String>,
    /// Of a gain a grant that came or a deny that went; of a loss the reverse.
    pub rule: Rule<'s>,
    /// The users' ids.
    pub users: Vec<&'s str>,
}

/// What a role says of a permission.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rule<'s> {
    /// Whether it grants or denies.
    pub effect: RuleEffect,
    /// Scopes granted, from the narrowest; a deny has none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<&'static str>,
    /// The condition under which it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// When and where the role is in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits<'s>>,
}

/// Whether a rule grants or denies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RuleEffect {
    /// It grants.
    Grant,
    /// It denies.
    Deny,
}

/// When and where a role that is not held for good is in force.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Limits<'s> {
    /// From this moment on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Before this moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// For resources in one of these projects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub projects: Option<Vec<&'s str>>,
    /// On the user's shift only.
    #[serde(skip_serializing_if = "is_false")]
    pub on_shift: bool,
}

/// One thing that was changed, and all whom it reaches.
#[derive(Debug, Serialize)]
pub struct Change<'s> {
    /// What kind of thing.
    pub cause: Cause,
    /// What happened to it.
    pub event: Event,
    /// The thing's name; for what belongs to users or objects, the name of that.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub name: Cow<'s, str>,
    /// What it was, where it was something.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old: Option<Cow<'s, str>>,
    /// What it is, where it is something.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new: Option<Cow<'s, str>>,
    /// Of an assignment: when and where the role is in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits<'s>>,
    /// Of a role: what it says no more.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<Line<'s>>,
    /// Of a role: what it says now.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gained: Vec<Line<'s>>,
    /// What may come of it beyond what users gain and lose by their roles.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub may: Option<May>,
    /// Of aliases: all that came, or went.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<&'s str>,
    /// Ids of the users whom it reaches; of a role, those active users who hold it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<&'s str>,
    /// The objects that it reaches, `type:id`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<String>,
}

/// What a role says of some permissions.
#[derive(Debug, Serialize)]
pub struct Line<'s> {
    /// The permissions, by name.
    pub permissions: Vec<String>,
    /// What it says.
    pub rule: Rule<'s>,
}

/// What happened to a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Event {
    /// It is there no more.
    Removed,
    /// It was not there.
    Added,
    /// It is another.
    Changed,
}

/// What may come of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum May {
    /// Somebody may come to be allowed what was denied.
    Gain,
    /// Somebody may come to be denied what was allowed.
    Loss,
    /// Either.
    Either,
}

/// What kind of thing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The company's security mode.
    Security,
    /// A subject type that means a user.
    SubjectType,
    /// What the company's clocks show.
    Clocks,
    /// The permission that is marked `lifts_wall` or `tests_roles`.
    Mark,
    /// A resource type.
    ResourceType,
    /// An action of a resource type.
    Action,
    /// A group.
    Group,
    /// A department.
    Department,
    /// The department above a department.
    DepartmentParent,
    /// A project.
    Project,
    /// A role: what it grants and denies.
    Role,
    /// A project that a role, as a resource, is in.
    RoleProject,
    /// A role that everybody has.
    ImplicitRole,
    /// A user; changed: the user's id.
    User,
    /// Whether a user is active.
    UserActive,
    /// Aliases of users.
    UserAlias,
    /// A role that users have, in whatever way they came by it.
    Assignment,
    /// The group of users.
    UserGroup,
    /// A department of users.
    UserDepartment,
    /// A team of users, which operates objects.
    UserTeam,
    /// A group that users lead.
    LedGroup,
    /// A department that users lead.
    LedDepartment,
    /// A project of users.
    UserProject,
    /// A property of users that a condition reads.
    UserProperty,
    /// The shift of users who have a role on shift only.
    UserShift,
    /// A registered object.
    Object,
    /// The owner of objects.
    ObjectOwner,
    /// The group of objects.
    ObjectGroup,
    /// A department of objects.
    ObjectDepartment,
    /// A project of objects.
    ObjectProject,
    /// A user who operates objects, by name.
    OperatorUser,
    /// A team that operates objects.
    OperatorTeam,
    /// A group that operates objects.
    OperatorGroup,
    /// A department that operates objects.
    OperatorDepartment,
    /// A property of objects that a condition or a link reads.
    ObjectProperty,
    /// Who may pass with an HTTP request: a method, host and path.
    Route,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde asks for"
)]
const fn is_false(value: &bool) -> bool {
    !*value
}

// === impl Diff ===

impl Diff<'_> {
    /// Whether every check agrees.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.gains.is_empty() && self.losses.is_empty() && self.changes.is_empty()
    }

    /// Whether somebody gains, or may gain.
    #[must_use]
    pub fn has_gain(&self) -> bool {
        let may = |change: &Change<'_>| matches!(change.may, Some(May::Gain | May::Either));
        !self.gains.is_empty() || self.changes.iter().any(may)
    }

    /// Whether somebody loses, or may lose.
    #[must_use]
    pub fn has_loss(&self) -> bool {
        let may = |change: &Change<'_>| matches!(change.may, Some(May::Loss | May::Either));
        !self.losses.is_empty() || self.changes.iter().any(may)
    }
}

// === impl Snapshot ===

impl Snapshot {
    /// What differs in `newer`. Nothing exactly if every check agrees, but that a condition or a
    /// timetable that says the same in other words is another.
    #[must_use]
    pub fn diff<'s>(&'s self, newer: &'s Self) -> Diff<'s> {
        if self.digest == newer.digest {
            return Diff::default();
        }
        let pair = numbering::Pair::new(self, newer);
        let matters = matters::Matters::of(&pair);
        let roles = rules::Roles::new(&pair);
        let mut changes = changes::Changes::new(&pair);
        catalogue::compare(&pair, &matters, &mut changes);
        routes::compare(&pair, &mut changes);
        // At size L either takes its time, and neither needs the other.
        let (objects, (gains, losses)) = thread::scope(|scope| {
            let objects = scope.spawn(|| {
                let mut changes = changes::Changes::new(&pair);
                objects::compare(&pair, &matters, &mut changes);
                changes.finish(&matters, Vec::new())
            });
            let profiles = people::compare(&pair, &matters, &mut changes);
            let mut touched = gains::Touched::new(&pair);
            let touch = |group, permissions: &[u32]| touched.add(group, permissions);
            effects::compare(&pair, &matters, &roles, profiles, &mut changes, touch);
            let effects = gains::compare(&pair, &roles, &touched);
            let objects = objects.join();
            let objects = objects.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            (objects, effects)
        });
        Diff {
            gains,
            losses,
            changes: changes.finish(&matters, objects),
        }
    }
}
