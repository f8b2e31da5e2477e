//! Which roles are in force, and what they deny and grant.

use super::condition::{Scene, Sight, Truth};
use super::resource::Resource;
use super::shift::on_shift;
use super::watch::{KeptBack, Note, Watch};
use crate::model::{Query, Scope, ScopeSet};
use crate::snapshot::Snapshot;
use crate::snapshot::tables::{
    CELL_CONDITIONAL, CELL_DENY, LimitedRow, NONE, UserRow, permission_bit, some,
};

/// Whose roles count: the user's own, or one to be tested with the implicit ones.
#[derive(Clone, Copy)]
pub(super) struct Roles<'a, W> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) query: &'a Query<'a>,
    pub(super) user: &'a UserRow,
    /// The role set of those that always are in force.
    pub(super) role_set: u32,
    /// List of those that are in force at times.
    pub(super) limited: u32,
    /// A role to be tested, or none. It is in force whatever shifts say.
    pub(super) tested: u32,
    pub(super) watch: W,
}

/// What roles are asked about.
#[derive(Clone, Copy)]
pub(super) enum About<'a> {
    /// One resource.
    Resource(&'a Resource<'a>),
    /// A section: resources at large.
    Section,
    /// Everything, so that roles limited to projects do not count.
    Everywhere,
}

/// What is known of a permission without going through the roles.
#[derive(Clone, Copy)]
pub(super) struct Plain {
    deny: Option<bool>,
    grant: Option<ScopeSet>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Effect {
    Grant,
    Deny,
}

// === impl Roles ===

impl<'a, W: Watch> Roles<'a, W> {
    /// The user's own roles.
    pub(super) fn own(
        snapshot: &'a Snapshot,
        query: &'a Query<'a>,
        user: &'a UserRow,
        watch: W,
    ) -> Self {
        let UserRow {
            role_set, limited, ..
        } = *user;
        Self {
            snapshot,
            query,
            user,
            role_set,
            limited,
            tested: NONE,
            watch,
        }
    }

    /// A role to be tested, with the implicit ones alone.
    pub(super) fn with_tested(self, role: u32) -> Self {
        let meta = self.snapshot.meta();
        Self {
            role_set: meta.implicit_set,
            limited: meta.implicit_limited,
            tested: role,
            ..self
        }
    }

    /// What the one cell of the roles held for good says by itself, as it mostly does: a deny, or a
    /// grant that reaches everything; or else no role is tested, none that is in force only at times
    /// has anything for this permission, and no condition is to be looked at. Who listens is told
    /// role by role instead.
    #[inline]
    pub(super) fn plain(&self, permission: u32) -> Plain {
        if W::LISTENS {
            return Plain {
                deny: None,
                grant: None,
            };
        }
        let limited = self.user.limited_bits & permission_bit(permission) != 0;
        let others = limited || self.tested != NONE;
        let cell = self.snapshot.role_set_cell(self.role_set, permission);
        let conditional = cell & CELL_CONDITIONAL != 0;
        let granted = ScopeSet::from_bits(cell);
        let denies = cell & CELL_DENY != 0;
        let told = denies || !others && (!conditional || !self.may_deny(permission));
        let granted_told = granted.contains(Scope::Any) || !others && !conditional;
        Plain {
            deny: told.then_some(denies),
            grant: granted_told.then_some(granted),
        }
    }

    /// Whether some role held for good may deny the permission under a condition.
    fn may_deny(&self, permission: u32) -> bool {
        if self.snapshot.shortcuts().denies_bits() & permission_bit(permission) == 0 {
            return false;
        }
        let set = self.snapshot.tables.role_sets.get(self.role_set as usize);
        set.is_none_or(|set| set.denies_bits & permission_bit(permission) != 0)
    }

    /// Whether a role in force denies the permission, of which `plain` is what is known.
    #[inline]
    pub(super) fn deny(&self, plain: Plain, permission: u32, about: About<'a>) -> bool {
        match plain.deny {
            Some(denies) => denies,
            None => self.any_denies(permission, about),
        }
    }

    /// The scopes that the roles in force grant for the permission.
    #[inline]
    pub(super) fn grant(&self, plain: Plain, permission: u32, about: About<'a>) -> ScopeSet {
        match plain.grant {
            Some(granted) => granted,
            None => self.all_grant(permission, about),
        }
    }

    #[inline(never)]
    fn any_denies(&self, permission: u32, about: About<'a>) -> bool {
        self.any(permission, about, Effect::Deny, |cell, role| {
            cell & CELL_DENY != 0
                || cell & CELL_CONDITIONAL != 0
                    && self
                        .conditional(role, permission)
                        .any(|(scopes, condition)| {
                            scopes.is_empty()
                                && self.condition(condition, about, Effect::Deny) != Truth::False
                        })
        })
    }

    #[inline(never)]
    fn all_grant(&self, permission: u32, about: About<'a>) -> ScopeSet {
        let mut granted = ScopeSet::EMPTY;
        // Roles mostly have one condition in common: what it came to is found once.
        let mut last = None;
        let mut holds = |condition| match last {
            Some((same, came_to)) if same == condition && !W::LISTENS => came_to,
            _ => {
                let came_to = self.condition(condition, about, Effect::Grant) == Truth::True;
                last = Some((condition, came_to));
                came_to
            }
        };
        self.any(permission, about, Effect::Grant, |cell, role| {
            granted = granted.union(ScopeSet::from_bits(cell));
            if cell & CELL_CONDITIONAL != 0 {
                for (scopes, condition) in self.conditional(role, permission) {
                    let adds = scopes.union(granted) != granted;
                    if adds && holds(condition) {
                        granted = granted.union(scopes);
                    }
                }
            }
            // There is nothing that `any` does not reach.
            granted.contains(Scope::Any) && !W::LISTENS
        });
        granted
    }

    /// Whether the user may do this everywhere: no deny, and a grant, of roles in force everywhere.
    #[inline]
    pub(super) fn everywhere(&self, permission: u32) -> bool {
        let plain = self.plain(permission);
        !self.deny(plain, permission, About::Everywhere)
            && !self.grant(plain, permission, About::Everywhere).is_empty()
    }

    /// Whether the roles lift the project wall.
    #[inline]
    pub(super) fn lift_wall(&self) -> bool {
        let own = self.tested == NONE;
        if own && !self.user.may_lift() {
            return false;
        }
        some(self.snapshot.meta().lifts_wall).is_some_and(|lifts| self.everywhere(lifts))
    }

    /// Calls `test` with the cell of each role in force that has something for the permission,
    /// until it is true.
    fn any(
        &self,
        permission: u32,
        about: About<'a>,
        effect: Effect,
        mut test: impl FnMut(u8, u32) -> bool,
    ) -> bool {
        let effect_told = (!W::LISTENS).then_some(effect);
        self.lines_of(permission, effect_told, |cell, role, limited| {
            let kept = limited.and_then(|limited| self.kept_back(limited, about, effect));
            self.watch.note(Note::Role {
                permission,
                held: (self.role_set, role, limited),
                kept,
            });
            kept.is_none() && test(cell, role)
        })
    }

    /// Calls `test` with the cell of each role that has something for the permission, and with what
    /// limits it, until it is true. Roles held for good come as one united cell, and only where that
    /// has a condition one by one.
    pub(super) fn lines(
        &self,
        permission: u32,
        test: impl FnMut(u8, u32, Option<&LimitedRow>) -> bool,
    ) -> bool {
        self.lines_of(permission, None, test)
    }

    /// As [`Roles::lines`], without roles that have nothing of the effect, if one is told.
    fn lines_of(
        &self,
        permission: u32,
        effect: Option<Effect>,
        mut test: impl FnMut(u8, u32, Option<&LimitedRow>) -> bool,
    ) -> bool {
        let telling = match effect {
            None => u8::MAX,
            Some(Effect::Grant) => !CELL_DENY,
            Some(Effect::Deny) => CELL_DENY | CELL_CONDITIONAL,
        };
        let tells = |cell: u8| cell & telling != 0;
        let united = self.snapshot.role_set_cell(self.role_set, permission);
        if united & CELL_CONDITIONAL == 0 {
            if tells(united) && test(united, NONE, None) {
                return true;
            }
        } else if let Some(set) = self.snapshot.tables.role_sets.get(self.role_set as usize) {
            // The united cell once, for what holds without condition; then the conditions.
            if test(united & !CELL_CONDITIONAL, NONE, None) {
                return true;
            }
            if effect != Some(Effect::Deny) || self.may_deny(permission) {
                for &role in self.snapshot.list(set.roles) {
                    let cell = self.snapshot.role_cell(role, permission);
                    if cell & CELL_CONDITIONAL != 0 && test(cell, role, None) {
                        return true;
                    }
                }
            }
        }
        if self.tested != NONE {
            let cell = self.snapshot.role_cell(self.tested, permission);
            if tells(cell) && test(cell, self.tested, None) {
                return true;
            }
        }
        self.snapshot.list(self.limited).iter().any(|&limited| {
            let Some(limited) = self.snapshot.limited(limited) else {
                return false;
            };
            let cell = self.snapshot.role_cell(limited.role, permission);
            tells(cell) && test(cell, limited.role, Some(limited))
        })
    }

    /// The first limit that keeps a role from being in force.
    fn kept_back(
        &self,
        limited: &LimitedRow,
        about: About<'a>,
        effect: Effect,
    ) -> Option<KeptBack> {
        if !self.in_time(limited) {
            Some(KeptBack::Time)
        } else if limited.projects != NONE && !self.reaches(limited.projects, about, effect) {
            Some(KeptBack::Projects)
        } else if !self.on_shift(limited) {
            Some(KeptBack::Shift)
        } else {
            None
        }
    }

    /// Whether a role's limits in time hold.
    pub(super) fn in_time(&self, limited: &LimitedRow) -> bool {
        (limited.from..limited.until).contains(&self.query.now.0)
    }

    /// Whether a role's binding to shifts, if it has one, holds.
    pub(super) fn on_shift(&self, limited: &LimitedRow) -> bool {
        limited.on_shift == 0 || on_shift(self.snapshot, self.user.shift_plan, self.query.now)
    }

    /// Whether roles limited to these projects count.
    fn reaches(&self, projects: u32, about: About<'a>, effect: Effect) -> bool {
        match about {
            About::Everywhere => false,
            About::Section => effect == Effect::Grant,
            About::Resource(resource) => {
                let projects = self.snapshot.list(projects);
                resource.any(resource.projects(), |project| {
                    projects.binary_search(&project).is_ok()
                })
            }
        }
    }

    /// What a role grants (scopes) or denies (no scopes) under conditions.
    pub(super) fn conditional(
        &self,
        role: u32,
        permission: u32,
    ) -> impl Iterator<Item = (ScopeSet, u32)> + use<'a, W> {
        let rows = self.snapshot.conditional(role, permission).iter();
        rows.map(|row| (ScopeSet::from_bits(row.scopes as u8), row.condition))
    }

    fn condition(&self, condition: u32, about: About<'a>, effect: Effect) -> Truth {
        let resource = match (about, effect) {
            (About::Resource(resource), _) => Sight::Of(resource),
            (About::Everywhere, _) => Sight::None,
            (About::Section, Effect::Grant) => Sight::Assumed(Truth::True),
            (About::Section, Effect::Deny) => Sight::Assumed(Truth::False),
        };
        let Self {
            snapshot,
            query,
            user,
            watch,
            ..
        } = *self;
        let came_to = Scene {
            snapshot,
            query,
            user,
            resource,
            watch,
        }
        .condition(condition);
        watch.note(Note::Condition { condition, came_to });
        came_to
    }
}
