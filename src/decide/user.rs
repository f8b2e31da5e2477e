//! A user, as an application behind a proxy is told of one.

use super::shift::on_shift;
use crate::model::{Reason, Timestamp};
use crate::snapshot::tables::{NONE, UserRow};
use crate::snapshot::{Kind, Snapshot};

/// An active user.
#[derive(Clone, Copy)]
pub struct User<'s> {
    snapshot: &'s Snapshot,
    row: &'s UserRow,
}

// === impl User ===

impl<'s> User<'s> {
    /// The user of this id or alias.
    ///
    /// # Errors
    /// There is none, or the user is not active.
    pub fn find(snapshot: &'s Snapshot, name: &str) -> Result<Self, Reason<'static>> {
        let user = snapshot.find(Kind::USER, name);
        let row = user.and_then(|user| snapshot.user(user));
        match row {
            None => Err(Reason::UnknownSubject),
            Some(row) if !row.is_active() => Err(Reason::InactiveSubject),
            Some(row) => Ok(Self { snapshot, row }),
        }
    }

    /// The id, whatever alias the user was found by.
    #[must_use]
    pub fn id(self) -> &'s str {
        self.snapshot.text(self.row.id)
    }

    /// Calls `each` with the name of each role in force everywhere, once: implicit ones too, and
    /// none that is limited to projects.
    pub fn roles(self, now: Timestamp, mut each: impl FnMut(&'s str)) {
        let snapshot = self.snapshot;
        let mut tell = |role: u32| {
            if let Some(role) = snapshot.role(role) {
                each(snapshot.text(role.name));
            }
        };
        let set = snapshot.tables.role_sets.get(self.row.role_set as usize);
        let always = set.map_or(&[][..], |set| snapshot.list(set.roles));
        for &role in always {
            tell(role);
        }
        let limited = snapshot.list(self.row.limited);
        let in_force = |id: &u32| {
            let row = snapshot.limited(*id)?;
            let holds = (row.from..row.until).contains(&now.0)
                && row.projects == NONE
                && (row.on_shift == 0 || on_shift(snapshot, self.row.shift_plan, now));
            holds.then_some(row.role)
        };
        for (at, id) in limited.iter().enumerate() {
            let mut before = limited.iter().take(at).filter_map(in_force);
            match in_force(id) {
                Some(role) if !always.contains(&role) && !before.any(|is| is == role) => tell(role),
                _ => {}
            }
        }
    }
}

/// The subject type that means a user; where there are several, the first.
#[must_use]
pub fn user_type(snapshot: &Snapshot) -> &str {
    let types = snapshot.list(snapshot.meta().subject_types);
    types.first().map_or("", |&kind| snapshot.text(kind))
}
