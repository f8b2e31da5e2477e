//! What a policy demands of itself: not all that may be supposed could be written in its files.

use super::Snapshot;
use super::origins::{Giver, ROLE_REQUIRED};
use super::suppose::Change;
use super::tables::{NONE, UserRow};
use crate::policy;

/// Why files that say so would be refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Every active user has exactly one own role, and this one would have these.
    OwnRoles(OwnRoles),
    /// No active user would have a required role for good.
    NoHolder,
    /// No object may have such an id.
    BadId,
}

/// The own roles of a user for whom something is supposed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct OwnRoles {
    /// Those that the user has already.
    pub(crate) kept: Vec<u32>,
    /// Those that come with the changes; `None` is a new one.
    pub(crate) come: Vec<Option<u32>>,
}

// === impl Snapshot ===

impl Snapshot {
    /// Why the policy would be refused, were these changes made for the user; `None` if it would
    /// not be.
    pub(crate) fn refuses(&self, user: u32, changes: &[Change]) -> Option<Refused> {
        let origins = self.origins.origins.first();
        if origins.is_some_and(|row| row.one_role_each != 0) && self.is_active(user, changes) {
            let own = self.own_roles_with(user, changes);
            if own.kept.len() + own.come.len() != 1 {
                return Some(Refused::OwnRoles(own));
            }
        }
        changes.iter().find_map(|change| match change {
            Change::Unassign(role, Giver::User)
                if self.is_required(*role) && !self.has_other_holder(*role, user) =>
            {
                Some(Refused::NoHolder)
            }
            Change::Register(_, id) if !policy::is_id(id) => Some(Refused::BadId),
            _ => None,
        })
    }

    fn is_active(&self, user: u32, changes: &[Change]) -> bool {
        let row = self.tables.users.get(user as usize);
        row.is_some_and(UserRow::is_active) || changes.contains(&Change::Activate)
    }

    fn own_roles_with(&self, user: u32, changes: &[Change]) -> OwnRoles {
        let own = self.own_roles(user).into_iter().map(|own| own.role);
        let is_taken = |role| changes.contains(&Change::Unassign(role, Giver::User));
        let mut kept: Vec<u32> = own.filter(|&role| !is_taken(role)).collect();
        kept.sort_unstable();
        kept.dedup();
        let come = changes.iter().filter_map(|change| match change {
            Change::Assign(role) if !kept.contains(role) => Some(Some(*role)),
            Change::Grant(None, ..) => Some(None),
            _ => None,
        });
        let mut come: Vec<Option<u32>> = come.collect();
        come.sort_unstable();
        come.dedup();
        OwnRoles { kept, come }
    }

    fn is_required(&self, role: u32) -> bool {
        let origin = self.role_origin(role);
        origin.is_some_and(|(_, flags)| flags & ROLE_REQUIRED != 0)
    }

    /// Whether some other active user has the role as an own one, for good.
    fn has_other_holder(&self, role: u32, user: u32) -> bool {
        let rows = (0..).zip(self.tables.users.iter());
        let others = rows.filter(|&(id, row)| id != user && row.is_active());
        let mut own = others.filter_map(|(id, _)| self.origins.user_origins.get(id as usize));
        own.any(|row| {
            let mut threes = self.origin_list(row.roles).chunks_exact(3);
            threes.any(|three| matches!(*three, [of, NONE, _] if of == role))
        })
    }
}
