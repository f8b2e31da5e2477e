//! Who listens while the rule decides.
//!
//! The rule tells each step as it takes it, so that an explanation is what happened and not a
//! second reading of the rule. With [`Silent`] the telling is compiled away.

use super::condition::Truth;
use super::resource::Resource;
use crate::model::{Scope, ScopeSet};
use crate::snapshot::tables::{TestRow, UserRow};

/// Is told each step of a decision.
pub(super) trait Watch: Copy {
    /// A step was taken.
    fn note(&self, note: Note<'_>);
}

/// Does not listen.
#[derive(Clone, Copy)]
pub(super) struct Silent;

/// A step of a decision. Numbers are those of the snapshot's tables.
#[derive(Clone, Copy)]
pub(super) enum Note<'a> {
    /// The subject is this user.
    Subject { user: &'a UserRow, active: bool },
    /// The catalogue has the permission.
    Permission { permission: u32 },
    /// From here on with this role and the implicit ones alone.
    TestedRole { role: u32 },
    /// From here on with the user's own roles.
    OwnRoles,
    /// No such resource.
    NoResource,
    /// The resource was found.
    Resource { resource: &'a Resource<'a> },
    /// Whether a role in force denies.
    Denied { permission: u32, denied: bool },
    /// Whether the resource is within the user's projects, or else the wall is lifted.
    Wall { inside: bool, lifted: bool },
    /// What is granted, and which scope reached the resource.
    Granted {
        permission: u32,
        granted: ScopeSet,
        reached: Option<Scope>,
    },
    /// A test of a condition was made.
    Tested { test: &'a TestRow, came_to: Truth },
    /// Links to this permission's type are looked at.
    Link { permission: u32 },
    /// What is allowed so far requires this permission.
    Required { permission: u32 },
}

impl Watch for Silent {
    #[inline(always)]
    fn note(&self, _: Note<'_>) {}
}
