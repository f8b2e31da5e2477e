//! What a decision looks at first, put together once when a snapshot is made or read.

use super::pairs::Pairs;
use super::tables::{Span, Tables, TypeRow};
use super::walls::{self, Classes, NO_CLASSES};
use super::{StrId, lists, strings};
use crate::model::{ProjectId, outline, same};

/// See the module.
pub(crate) struct Shortcuts {
    /// The types that mean a user.
    subject_types: Box<[Box<str>]>,
    permissions: Pairs,
    /// By type.
    told: Box<[Told]>,
    /// Stretches of `conditional`, by role and permission; none at all where nothing has a
    /// condition.
    conditional: Box<[Span]>,
    /// The bits of what any role set denies under a condition.
    denies_bits: u64,
}

/// The outlines of the names under which a request about a type tells its facts: a request none of
/// whose names has such an outline tells no such fact.
pub(crate) struct Told {
    pub(crate) owner: u64,
    pub(crate) group: u64,
    pub(crate) departments: u64,
    pub(crate) projects: u64,
    pub(crate) parents: u64,
    /// The classes of a resource that is told by a request which names neither projects nor parents.
    pub(crate) classes: Classes,
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
            classes: match list(of.parents) {
                [] => walls::classes(&[ProjectId::DEFAULT.0]),
                _ => NO_CLASSES,
            },
        };
        let permissions = tables.permissions.iter().zip(0..).filter_map(|(row, id)| {
            let kind = tables.types.get(row.kind as usize)?;
            Some((text(&kind.name), text(&row.name), id))
        });
        let subject_types = tables.meta.first().map(|meta| list(meta.subject_types));
        let subject_types = subject_types.unwrap_or_default().iter();
        Self {
            subject_types: subject_types.map(|id| text(id).into()).collect(),
            permissions: Pairs::new(permissions),
            told: tables.types.iter().map(told).collect(),
            conditional: conditional(tables),
            denies_bits: (tables.role_sets.iter()).fold(0, |bits, set| bits | set.denies_bits),
        }
    }

    /// What has a condition, by the number of the cell.
    #[inline]
    pub(super) fn conditional(&self, cell: usize) -> Span {
        self.conditional.get(cell).copied().unwrap_or_default()
    }

    /// The bits (see `permission_bit`) of what some roles deny under a condition.
    #[inline]
    pub(crate) fn denies_bits(&self) -> u64 {
        self.denies_bits
    }

    /// Whether a subject of this type is a user.
    #[inline]
    pub(crate) fn means_user(&self, kind: &str) -> bool {
        let mut types = self.subject_types.iter();
        types.any(|of| same(of.as_bytes(), kind.as_bytes()))
    }

    /// The permission of these names, where both are short and there is one.
    #[inline]
    pub(crate) fn permission(&self, kind: &str, action: &str) -> Option<u32> {
        self.permissions.find(kind, action)
    }

    /// How requests about the type tell its facts.
    #[inline]
    pub(crate) fn told(&self, kind: u32) -> &Told {
        static NOTHING: Told = Told {
            owner: 0,
            group: 0,
            departments: 0,
            projects: 0,
            parents: 0,
            classes: NO_CLASSES,
        };
        self.told.get(kind as usize).unwrap_or(&NOTHING)
    }
}

/// The stretch of each cell: the rows of a role lie sorted by permission.
fn conditional(tables: &Tables) -> Box<[Span]> {
    if tables.conditional.is_empty() {
        return Box::default();
    }
    let width = tables.permissions.len();
    let mut cells = vec![Span::default(); tables.role_cells.len()];
    for (role, cells) in tables
        .roles
        .iter()
        .zip(cells.chunks_exact_mut(width.max(1)))
    {
        let rows = role.conditional.of(&tables.conditional).iter();
        for (row, at) in rows.zip(role.conditional.start..) {
            match cells.get_mut(row.permission as usize) {
                Some(cell) if cell.length == 0 => {
                    *cell = Span {
                        start: at,
                        length: 1,
                    }
                }
                Some(cell) => cell.length += 1,
                None => {}
            }
        }
    }
    cells.into()
}

// === impl Told ===

impl Told {
    /// The outlines of all names of facts.
    #[inline]
    pub(crate) const fn facts(&self) -> u64 {
        self.owner | self.group | self.departments | self.projects
    }
}
