//! Who listens while the rule decides.
//!
//! The rule tells each step as it takes it, so that an explanation is what happened and not a
//! second reading of the rule. With [`Silent`] the telling is compiled away.

use super::condition::{Found, Truth};
use super::resource::Resource;
use crate::model::{Scope, ScopeSet};
use crate::snapshot::tables::{LimitedRow, TestRow, UserRow};

/// Is told each step of a decision.
pub(super) trait Watch: Copy {
    /// Whether it listens: what is looked up for its sake alone need not be, if not.
    const LISTENS: bool = true;

    /// A step was taken.
    fn note(&self, note: Note<'_>);
}

/// Does not listen.
#[derive(Clone, Copy)]
pub(super) struct Silent;

/// What keeps a role from being in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeptBack {
    /// It is not yet in force, or no longer.
    Time,
    /// The resource is in none of its projects.
    Projects,
    /// The user is not on shift.
    Shift,
}

/// What a test found at its path.
#[derive(Clone, Copy)]
pub(super) enum Seen<'a> {
    /// It was not looked at: a section has no resource.
    Assumed,
    Nothing,
    Found(Found<'a>),
}

/// A step of a decision. Numbers are those of the snapshot's tables.
#[derive(Clone, Copy)]
pub(super) enum Note<'a> {
    /// The subject is this user.
    Subject { user: &'a UserRow, active: bool },
    /// The catalogue has the permission.
    Permission { permission: u32 },
    /// Whether the user may test roles.
    MayTest { tests: bool },
    /// From here on with this role and the implicit ones alone.
    TestedRole { role: u32 },
    /// From here on with the user's own roles.
    OwnRoles,
    /// No such resource of this type.
    NoResource { kind: u32 },
    /// The resource was found.
    Resource { resource: &'a Resource<'a> },
    /// A role that has something for the permission is looked at: by its number, or by that of the
    /// role set that it stands for together with others; and what keeps it back.
    Role {
        permission: u32,
        held: (u32, u32, Option<&'a LimitedRow>),
        kept: Option<KeptBack>,
    },
    /// Whether a role in force denies.
    Denied { permission: u32, denied: bool },
    /// Whether the resource is within the user's projects, or else the wall is lifted.
    Wall {
        inside: bool,
        lifted: bool,
        resource: &'a Resource<'a>,
    },
    /// What is granted, and which scope reached the resource.
    Granted {
        permission: u32,
        granted: ScopeSet,
        reached: Option<Scope>,
        resource: Option<&'a Resource<'a>>,
    },
    /// A test of a condition was made.
    Tested {
        test: &'a TestRow,
        came_to: Truth,
        found: Seen<'a>,
    },
    /// What a condition of the role that was looked at last came to.
    Condition { condition: u32, came_to: Truth },
    /// Links to this permission's type are looked at.
    Link { permission: u32 },
    /// From here on about what a link names.
    Linked {
        id: &'a str,
        resource: Option<&'a Resource<'a>>,
    },
    /// Back from the link.
    LinkDone { allows: bool },
    /// What is allowed so far requires this permission.
    Required { permission: u32 },
}

impl Watch for Silent {
    const LISTENS: bool = false;

    #[inline(always)]
    fn note(&self, _: Note<'_>) {}
}
