//! Which names there are, what roles say of one permission, and how many users hold them.

use super::compare::{Rule, RuleEffect};
use super::tables::{CELL_CONDITIONAL, CELL_DENY};
use super::{Kind, Snapshot};
use crate::model::{Scope, ScopeSet};

// === impl Snapshot ===

impl Snapshot {
    /// Whether the catalogue has the permission, `type.action`.
    #[must_use]
    pub fn has_permission(&self, name: &str) -> bool {
        self.permission_named(name).is_some()
    }

    /// Whether this is a user's id or alias.
    #[must_use]
    pub fn has_user(&self, name: &str) -> bool {
        self.find(Kind::USER, name).is_some()
    }

    /// Whether the catalogue has the type.
    #[must_use]
    pub fn has_type(&self, name: &str) -> bool {
        self.find(Kind::TYPE, name).is_some()
    }

    /// Whether subjects of this type are users.
    #[must_use]
    pub fn has_subject_type(&self, name: &str) -> bool {
        let types = self.list(self.meta().subject_types);
        types.iter().any(|&id| self.text(id) == name)
    }

    fn permission_named(&self, name: &str) -> Option<u32> {
        let (kind, action) = name.split_once('.')?;
        let kind = self.find(Kind::TYPE, kind)?;
        self.find(Kind::action_of(kind), action)
    }

    /// What each role says of the permission, roles by name; those that say nothing are left out.
    #[must_use]
    pub fn roles_on(&self, permission: &str) -> Vec<(&str, Vec<Rule<'_>>)> {
        let Some(permission) = self.permission_named(permission) else {
            return Vec::new();
        };
        let said = (0..).zip(self.tables.roles.iter()).map(|(role, row)| {
            let cell = self.role_cell(role, permission);
            let mut rules = Vec::new();
            let mut push = |scopes: ScopeSet, when: Option<String>| {
                rules.push(Rule {
                    effect: if scopes.is_empty() {
                        RuleEffect::Deny
                    } else {
                        RuleEffect::Grant
                    },
                    scopes: scopes.iter().map(Scope::name).collect(),
                    when,
                    limits: None,
                });
            };
            let scopes = ScopeSet::from_bits(cell);
            if !scopes.is_empty() {
                push(scopes, None);
            }
            if cell & CELL_DENY != 0 {
                push(ScopeSet::EMPTY, None);
            }
            if cell & CELL_CONDITIONAL != 0 {
                let rows = row.conditional.of(&self.tables.conditional).iter();
                for row in rows.filter(|row| row.permission == permission) {
                    let when = self.condition_text(row.condition);
                    push(ScopeSet::from_bits(row.scopes as u8), Some(when));
                }
            }
            (self.text(row.name), rules)
        });
        said.filter(|(_, rules)| !rules.is_empty()).collect()
    }

    /// How many active users hold the role, for good or at times, by whatever way.
    #[must_use]
    pub fn holders(&self, role: &str) -> usize {
        let Some(role) = self.find(Kind::ROLE, role) else {
            return 0;
        };
        let for_good: Vec<bool> = (self.tables.role_sets.iter())
            .map(|set| self.list(set.roles).contains(&role))
            .collect();
        let limited = |list: u32| {
            let mut rows = self.list(list).iter();
            rows.any(|&id| {
                let row = self.tables.limited.get(id as usize);
                row.is_some_and(|row| row.role == role)
            })
        };
        let users = self.tables.users.iter().filter(|user| {
            let set = for_good.get(user.role_set as usize);
            user.is_active() && (set == Some(&true) || limited(user.limited))
        });
        users.count()
    }
}
