//! What a decision looks at first, put together once when a snapshot is made or read.

use super::tables::{Tables, TypeRow};
use super::{StrId, lists, strings};
use crate::model::outline;

/// See the module.
pub(crate) struct Shortcuts {
    /// The types that mean a user.
    subject_types: Box<[Box<str>]>,
    /// By type.
    told: Box<[Told]>,
}

/// The outlines of the names under which a request about a type tells its facts: a request none of
/// whose names has such an outline tells no such fact.
#[derive(Clone, Copy, Default)]
pub(crate) struct Told {
    pub(crate) owner: u64,
    pub(crate) group: u64,
    pub(crate) departments: u64,
    pub(crate) projects: u64,
    pub(crate) parents: u64,
}

// === impl Shortcuts ===

impl Shortcuts {
    pub(super) fn new(heap: &str, tables: &Tables) -> Self {
        let text = |id: &u32| strings::text(heap, StrId(*id));
        let list = |id: u32| lists::list(&tables.lists, id);
        let outlines = |names: &[u32]| {
            let each = names.iter().map(|name| outline(text(name)));
            each.fold(0, |all, one| all | one)
        };
        let parents = |of: &TypeRow| {
            let rows = list(of.parents).iter();
            let rows = rows.filter_map(|&parent| tables.types.get(parent as usize));
            rows.fold(0, |all, row| all | outline(text(&row.name)))
        };
        let told = |of: &TypeRow| Told {
            owner: outline(text(&of.owner_name)),
            group: outline(text(&of.group_name)),
            departments: outlines(list(of.department_names)),
            projects: outlines(list(of.project_names)),
            parents: parents(of),
        };
        let subject_types = tables.meta.first().map(|meta| list(meta.subject_types));
        let subject_types = subject_types.unwrap_or_default().iter();
        Self {
            subject_types: subject_types.map(|id| text(id).into()).collect(),
            told: tables.types.iter().map(told).collect(),
        }
    }

    /// Whether a subject of this type is a user.
    #[inline]
    pub(crate) fn means_user(&self, kind: &str) -> bool {
        let mut types = self.subject_types.iter();
        types.any(|of| crate::model::same(of.as_bytes(), kind.as_bytes()))
    }

    /// How requests about the type tell its facts.
    #[inline]
    pub(crate) fn told(&self, kind: u32) -> Told {
        self.told.get(kind as usize).copied().unwrap_or_default()
    }
}
