//! What the roles that were looked at say of a permission, and by which ways the user has them.

use super::super::condition::Truth;
use super::super::watch::KeptBack;
use super::facts::Words;
use super::{Assignment, RoleLine, RoleSays};
use crate::model::{Scope, ScopeSet};
use crate::snapshot::origins::{Assigned, Line, SAID_DENY, SAID_GRANT, SAID_NONE, SaidRow};
use crate::snapshot::tables::{LimitedRow, NONE, some};

/// A role that the rule looked at, or a set of roles that it looked at together.
#[derive(Clone, Debug)]
pub(super) struct Looked {
    pub(super) permission: u32,
    role_set: u32,
    /// A role, or none: the whole set.
    role: u32,
    limited: Option<LimitedKey>,
    pub(super) kept: Option<KeptBack>,
    /// Conditions and what they came to.
    pub(super) conditions: Vec<(u32, Truth)>,
}

/// What tells one row of `limited` from others.
type LimitedKey = (i64, i64, u32, u32, u32);

const fn key(row: &LimitedRow) -> LimitedKey {
    (row.from, row.until, row.role, row.projects, row.on_shift)
}

// === impl Looked ===

impl Looked {
    pub(super) fn new(
        permission: u32,
        (role_set, role, limited): (u32, u32, Option<&LimitedRow>),
        kept: Option<KeptBack>,
    ) -> Self {
        Self {
            permission,
            role_set,
            role,
            limited: limited.map(key),
            kept,
            conditions: Vec::new(),
        }
    }

    /// The roles that it stands for.
    pub(super) fn roles(&self, words: Words<'_>) -> Vec<u32> {
        match some(self.role) {
            Some(role) => vec![role],
            None => {
                let set = words.0.tables.role_sets.get(self.role_set as usize);
                set.map_or_else(Vec::new, |set| words.0.list(set.roles).to_vec())
            }
        }
    }

    /// Whether it is by this assignment that the role was looked at.
    fn is_by(&self, words: Words<'_>, assigned: &Assigned) -> bool {
        let row = assigned.limited.and_then(|id| words.0.limited(id));
        self.limited == row.map(key)
    }
}

/// What the roles that were looked at say with this effect, role by role.
pub(super) fn says(
    words: Words<'_>,
    permission: u32,
    looked: &[Looked],
    (assigned, tested): (&[Assigned], Option<u32>),
    effect: u32,
) -> Vec<RoleSays> {
    let mut roles: Vec<u32> = looked.iter().flat_map(|one| one.roles(words)).collect();
    if effect == SAID_GRANT {
        // A role whose line is `none` is not looked at; why it grants nothing is worth a word.
        roles.extend(assigned.iter().map(|assigned| assigned.role));
        roles.extend(tested);
    }
    roles.sort_unstable();
    roles.dedup();
    let of_role = |role: u32| {
        let said = words.0.said(role, permission).iter();
        let lines = said
            .filter(|row| row.effect == effect || effect == SAID_GRANT && row.effect == SAID_NONE);
        let of: Vec<&Looked> = (looked.iter())
            .filter(|one| one.roles(words).contains(&role))
            .collect();
        let lines: Vec<RoleLine> = lines.map(|row| line(words, row, &of)).collect();
        let ways = assigned.iter().filter(|assigned| assigned.role == role);
        let for_good = || tested == Some(role) || ways.clone().any(|way| way.limited.is_none());
        let in_force = of.iter().any(|one| one.kept.is_none()) || of.is_empty() && for_good();
        let assignments = ways.clone().map(|way| {
            let by = of.iter().find(|one| one.is_by(words, way));
            Assignment {
                kept_back: by.and_then(|one| one.kept).map(KeptBack::name),
                ..words.assignment(*way)
            }
        });
        (!lines.is_empty()).then(|| RoleSays {
            role: words.role(role),
            in_force,
            assignments: assignments.collect(),
            lines,
        })
    };
    roles.into_iter().filter_map(of_role).collect()
}

fn line(words: Words<'_>, said: &SaidRow, looked: &[&Looked]) -> RoleLine {
    let mut conditions = looked.iter().flat_map(|one| &one.conditions);
    let came_to = conditions.find(|(condition, _)| *condition == said.condition);
    let scopes = ScopeSet::from_bits(said.scopes as u8);
    let through = words.0.through(said).iter();
    RoleLine {
        effect: match said.effect {
            SAID_GRANT => "grant",
            SAID_DENY => "deny",
            _ => "none",
        },
        scopes: scopes.iter().map(Scope::name).collect(),
        when: (said.condition != NONE).then(|| words.0.condition_text(said.condition)),
        condition: came_to.map(|(_, truth)| truth.name()),
        pattern: words.0.pattern_text(said),
        extends: through.map(|&role| words.role(role)).collect(),
        place: words.place(Line {
            file: said.file,
            line: said.line,
        }),
    }
}

// === impl KeptBack ===

impl KeptBack {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Projects => "projects",
            Self::Shift => "shift",
        }
    }
}
