//! Changes that the policy would refuse, with more that let it accept them.

use super::offer::{Edit, Offer, Offers, ROLES_MAX};
use crate::snapshot::origins::{Giver, ROLE_IMPLICIT};
use crate::snapshot::{Change, OwnRoles, Refused};

// === impl Offers ===

impl Offers<'_> {
    /// These edits, each time with others beside them; whether that is accepted, and turns the
    /// answer too, is to be asked.
    pub(super) fn accepted(&self, edits: &Offer, refused: &Refused) -> Vec<Offer> {
        let Refused::OwnRoles(own) = refused else {
            return Vec::new();
        };
        let with = |more: Vec<Change>| {
            let more = more.into_iter().map(Edit::Policy);
            edits.iter().cloned().chain(more).collect()
        };
        self.one_role(own).into_iter().map(with).collect()
    }

    /// What leaves the user one own role.
    fn one_role(&self, own: &OwnRoles) -> Vec<Vec<Change>> {
        let all_but = |keep: Option<u32>| {
            let others = own.kept.iter().filter(|&&role| Some(role) != keep);
            let taken = others.map(|&role| Change::Unassign(role, Giver::User));
            taken.collect::<Vec<_>>()
        };
        match (own.kept.as_slice(), own.come.as_slice()) {
            ([], []) => {
                let roles = self.narrowest(|role| self.flags(role) & ROLE_IMPLICIT == 0);
                let roles = roles.into_iter().take(ROLES_MAX);
                roles.map(|role| vec![Change::Assign(role)]).collect()
            }
            // One who was not active may have had several.
            (kept, []) => kept.iter().map(|&role| all_but(Some(role))).collect(),
            (_, [_]) => vec![all_but(None)],
            _ => Vec::new(),
        }
    }
}
