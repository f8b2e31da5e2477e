//! What roles say, piece by piece, in common numbers.

use std::collections::HashMap;

use foldhash::fast::FixedState;

use super::super::Snapshot;
use super::super::tables::{CELL_CONDITIONAL, CELL_DENY, NONE};
use super::numbering::{Pair, Side};
use super::{Limits, Line, Rule, RuleEffect};
use crate::model::{Scope, ScopeSet};
use crate::snapshot::words::moment;

/// One thing that roles say of a permission: one scope granted, or a deny.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Item {
    /// `None`: a deny.
    pub(super) scope: Option<Scope>,
    /// The text of its condition, or none.
    pub(super) condition: u32,
    /// When and where it holds, or none.
    pub(super) limit: u32,
}

/// What a role says of one permission.
#[derive(Clone, Debug, Default)]
struct Cell {
    /// All of it, tidy.
    items: Vec<Item>,
    /// What of it holds without condition.
    plain: Plain,
    /// Whether there is nothing else.
    all_plain: bool,
}

/// What holds without condition or limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Plain {
    pub(super) scopes: ScopeSet,
    pub(super) denied: bool,
}

/// What all roles of both snapshots say.
pub(super) struct Roles {
    /// By role and permission.
    old: Vec<Vec<Cell>>,
    new: Vec<Vec<Cell>>,
    /// Texts of conditions.
    conditions: Vec<String>,
}

/// Texts of conditions, each once.
#[derive(Default)]
struct Texts {
    texts: Vec<String>,
    places: HashMap<String, u32, FixedState>,
}

// === impl Item ===

impl Item {
    /// The deny of everything about a permission, for good.
    const DENIED: Self = Self {
        scope: None,
        condition: NONE,
        limit: NONE,
    };

    pub(super) const fn grants(self) -> bool {
        self.scope.is_some()
    }

    /// Whether nothing is added to `self` by `other`.
    fn covers(self, other: Self) -> bool {
        let as_wide = match (self.scope, other.scope) {
            (Some(own), Some(other)) => as_wide(own, other),
            (None, None) => true,
            _ => false,
        };
        as_wide
            && (self.condition == NONE || self.condition == other.condition)
            && (self.limit == NONE || self.limit == other.limit)
    }
}

/// Whether whatever `narrow` reaches `wide` reaches too.
const fn as_wide(wide: Scope, narrow: Scope) -> bool {
    match (wide, narrow) {
        (Scope::Any, _)
        | (Scope::Group | Scope::Department | Scope::Branch, Scope::Own)
        | (Scope::Branch, Scope::Department) => true,
        _ => wide as u8 == narrow as u8,
    }
}

/// Whether one of the items covers `item`.
pub(super) fn covered(items: &[Item], item: Item) -> bool {
    items.iter().any(|other| other.covers(item))
}

/// Drops what adds nothing to the rest, so that what comes to the same is the same.
pub(super) fn tidy(items: &mut Vec<Item>) {
    items.sort_unstable();
    items.dedup();
    // Of two of them at most one covers the other, and what covers that covers this too: so what is
    // dropped already need not be looked at.
    let mut left = items.len();
    while let Some(next) = left.checked_sub(1) {
        left = next;
        let Some(&item) = items.get(next) else {
            continue;
        };
        let mut others = items.iter().filter(|&&other| other != item);
        if others.any(|other| other.covers(item)) {
            items.remove(next);
        }
    }
}

/// As [`tidy`], of all that a user has: where a permission is denied for good, no grant counts.
fn tidy_all(items: &mut Vec<Item>) {
    tidy(items);
    if items.contains(&Item::DENIED) {
        items.retain(|item| !item.grants());
    }
}

// === impl Roles ===

impl Roles {
    pub(super) fn new(pair: &Pair<'_>) -> Self {
        let mut texts = Texts::default();
        Self {
            old: said(pair, Side::Old, &mut texts),
            new: said(pair, Side::New, &mut texts),
            conditions: texts.texts,
        }
    }

    /// What the role says of the permission, tidy.
    pub(super) fn says(&self, side: Side, role: u32, permission: u32) -> &[Item] {
        let cell = self.cell(side, role, permission);
        cell.map_or(&[], |cell| &cell.items)
    }

    /// What these roles, limited or not, say of the permission together; `None` where some of it
    /// holds under a condition or within limits only.
    pub(super) fn plain(&self, side: Side, held: &[(u32, u32)], permission: u32) -> Option<Plain> {
        let mut all = Plain::default();
        for &(role, limit) in held {
            if let Some(cell) = self.cell(side, role, permission) {
                if !cell.all_plain || limit != NONE && !cell.items.is_empty() {
                    return None;
                }
                all.scopes = all.scopes.union(cell.plain.scopes);
                all.denied |= cell.plain.denied;
            }
        }
        Some(all)
    }

    /// All that these roles, limited or not, say of the permission together, tidy, in the place of
    /// `items`.
    pub(super) fn all_says(
        &self,
        side: Side,
        held: &[(u32, u32)],
        permission: u32,
        items: &mut Vec<Item>,
    ) {
        items.clear();
        if let Some(plain) = self.plain(side, held, permission) {
            return plain.items(items);
        }
        for &(role, limit) in held {
            let said = self.says(side, role, permission).iter();
            items.extend(said.map(|&item| Item { limit, ..item }));
        }
        tidy_all(items);
    }

    fn cell(&self, side: Side, role: u32, permission: u32) -> Option<&Cell> {
        let roles = match side {
            Side::Old => &self.old,
            Side::New => &self.new,
        };
        roles.get(role as usize)?.get(permission as usize)
    }

    /// The rule of this item, with these scopes.
    pub(super) fn rule<'s>(&self, pair: &Pair<'s>, item: Item, scopes: ScopeSet) -> Rule<'s> {
        let when = self.conditions.get(item.condition as usize).cloned();
        Rule {
            effect: match item.scope {
                Some(_) => RuleEffect::Grant,
                None => RuleEffect::Deny,
            },
            scopes: scopes.iter().map(Scope::name).collect(),
            when,
            limits: limits(pair, item.limit),
        }
    }

    /// These items of one role as lines, permissions of which the same is said in one.
    pub(super) fn lines<'s>(&self, pair: &Pair<'s>, items: &[(u32, Item)]) -> Vec<Line<'s>> {
        let mut scopes = HashMap::<(u32, Item), ScopeSet, FixedState>::default();
        for &(permission, item) in items {
            let place = scopes
                .entry((permission, item.without_scope()))
                .or_default();
            *place = item.scope.map_or(*place, |scope| place.with(scope));
        }
        let mut permissions = HashMap::<(Item, ScopeSet), Vec<String>, FixedState>::default();
        for ((permission, item), scopes) in scopes {
            let place = permissions.entry((item, scopes)).or_default();
            place.push(pair.permission_name(permission));
        }
        let lines = permissions
            .into_iter()
            .map(|((item, scopes), mut permissions)| {
                permissions.sort_unstable();
                Line {
                    permissions,
                    rule: self.rule(pair, item, scopes),
                }
            });
        let mut lines: Vec<Line<'_>> = lines.collect();
        lines.sort_by(|a, b| line_order(a).cmp(&line_order(b)));
        lines
    }
}

fn line_order<'l>(line: &'l Line<'_>) -> impl Ord + use<'l> {
    let Line { permissions, rule } = line;
    (permissions, rule.effect as u8, &rule.scopes, &rule.when)
}

/// When and where a limit lets a role be in force.
pub(super) fn limits<'s>(pair: &Pair<'s>, limit: u32) -> Option<Limits<'s>> {
    let limit = pair.limits.get(limit as usize)?;
    let projects = limit.projects.as_ref().map(|projects| {
        let names = projects.iter().map(|&project| pair.project_name(project));
        let mut names: Vec<&str> = names.collect();
        names.sort_unstable();
        names
    });
    Some(Limits {
        from: (limit.from != i64::MIN).then(|| moment(limit.from)),
        until: (limit.until != i64::MAX).then(|| moment(limit.until)),
        projects,
        on_shift: limit.on_shift,
    })
}

impl Item {
    /// What items that differ in scope alone share.
    pub(super) const fn without_scope(self) -> Self {
        Self {
            scope: match self.scope {
                Some(_) => Some(Scope::Own),
                None => None,
            },
            ..self
        }
    }
}

// === impl Plain ===

impl Plain {
    /// Adds the same as items, tidy, as all that a user has.
    pub(super) fn items(self, into: &mut Vec<Item>) {
        if self.denied {
            return into.push(Item::DENIED);
        }
        let wider = |narrow: Scope| {
            let mut others = self.scopes.iter();
            others.any(|wide| wide != narrow && as_wide(wide, narrow))
        };
        let scopes = self.scopes.iter().filter(|&scope| !wider(scope));
        let item = |scope| Item {
            scope: Some(scope),
            ..Item::DENIED
        };
        into.extend(scopes.map(item));
    }
}

// === impl Cell ===

impl Cell {
    fn new(mut items: Vec<Item>) -> Self {
        tidy(&mut items);
        let plain = items.iter().filter(|item| item.condition == NONE);
        Self {
            plain: Plain {
                scopes: plain.clone().filter_map(|item| item.scope).collect(),
                denied: plain.clone().any(|item| !item.grants()),
            },
            all_plain: plain.count() == items.len(),
            items,
        }
    }
}

// === impl Texts ===

impl Texts {
    fn number(&mut self, text: String) -> u32 {
        let next = self.texts.len() as u32;
        *self.places.entry(text).or_insert_with_key(|text| {
            self.texts.push(text.clone());
            next
        })
    }
}

/// What the roles of a side say, by common numbers of roles and permissions.
fn said(pair: &Pair<'_>, side: Side, texts: &mut Texts) -> Vec<Vec<Cell>> {
    let snapshot = pair.on(side);
    let conditions = 0..snapshot.tables.conditions.len() as u32;
    let conditions: Vec<u32> = conditions
        .map(|condition| texts.number(snapshot.condition_text(condition)))
        .collect();
    let of_role = |role: u32| {
        let Some(role) = pair.roles.at(side, role) else {
            return Vec::new();
        };
        let of_permission = |permission: u32| {
            let permission = pair.permissions.at(side, permission);
            let items = permission.map_or_else(Vec::new, |permission| {
                items(snapshot, role, permission, &conditions)
            });
            Cell::new(items)
        };
        pair.permissions.all().map(of_permission).collect()
    };
    pair.roles.all().map(of_role).collect()
}

fn items(snapshot: &Snapshot, role: u32, permission: u32, conditions: &[u32]) -> Vec<Item> {
    let item = |scope, condition| Item {
        scope,
        condition,
        limit: NONE,
    };
    let cell = snapshot.role_cell(role, permission);
    let scopes = ScopeSet::from_bits(cell).iter();
    let mut items: Vec<Item> = scopes.map(|scope| item(Some(scope), NONE)).collect();
    if cell & CELL_DENY != 0 {
        items.push(item(None, NONE));
    }
    if cell & CELL_CONDITIONAL != 0 {
        let rows = snapshot.role(role).map_or(&[][..], |role| {
            role.conditional.of(&snapshot.tables.conditional)
        });
        for row in rows.iter().filter(|row| row.permission == permission) {
            let condition = conditions.get(row.condition as usize).copied();
            let condition = condition.unwrap_or(NONE);
            let scopes = ScopeSet::from_bits(row.scopes as u8);
            if scopes.is_empty() {
                items.push(item(None, condition));
            }
            items.extend(scopes.iter().map(|scope| item(Some(scope), condition)));
        }
    }
    items
}
