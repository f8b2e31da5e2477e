//! What would go, were one snapshot replaced by another.

use super::super::{Kind, Snapshot};

/// What would go, were one snapshot replaced by another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loss {
    /// Users whose id means no user any more.
    pub users: usize,
    /// Registered objects that are registered no more.
    pub objects: usize,
}

// === impl Snapshot ===

impl Snapshot {
    /// What is here and is not in `newer`. A user who only got another id is not lost as long as
    /// the old id stays an alias.
    #[must_use]
    pub fn lost_in(&self, newer: &Self) -> Loss {
        let users = self.tables.users.iter();
        let gone = users.filter(|user| newer.find(Kind::USER, self.text(user.id)).is_none());
        let objects = self.tables.objects.iter().filter(|object| {
            let kind = self
                .kind(object.kind)
                .map_or("", |kind| self.text(kind.name));
            newer
                .find(Kind::TYPE, kind)
                .and_then(|kind| newer.find(Kind::object_of(kind), self.text(object.id)))
                .is_none()
        });
        Loss {
            users: gone.count(),
            objects: objects.count(),
        }
    }
}
