//! What a snapshot says in words: texts, names, and the property values that hold texts.
//!
//! Nothing here needs a list, and no list needs a text: of the users and objects, which are many,
//! the two are made side by side.

use super::super::names::Kind;
use super::super::strings::{Interner, StrId};
use super::super::tables::{ObjectRow, UserRow};
use super::values::Values;
use crate::policy::Policy;

/// Texts, names and values in the making.
#[derive(Default)]
pub(super) struct Texts<'p> {
    pub(super) strings: Interner<'p>,
    /// Entries of the table of names.
    pub(super) names: Vec<(Kind, &'p str, StrId, u32)>,
    pub(super) values: Values,
}

/// What is said of users and objects, row by row.
pub(super) struct Said {
    users: Vec<Words>,
    objects: Vec<Words>,
}

/// What is said of a user or an object.
struct Words {
    id: u32,
    properties: u32,
}

// === impl Texts ===

impl<'p> Texts<'p> {
    pub(super) fn intern(&mut self, text: &'p str) -> u32 {
        self.strings.intern(text).0
    }

    /// Enters a name into the table of names.
    pub(super) fn name(&mut self, kind: Kind, text: &'p str, value: u32) -> u32 {
        let id = self.strings.intern(text);
        self.names.push((kind, text, id, value));
        id.0
    }

    /// Enters the name of one among many users or objects, which need not be looked for first.
    fn id(&mut self, kind: Kind, text: &'p str, value: u32) -> u32 {
        let id = self.strings.place(text);
        self.names.push((kind, text, id, value));
        id.0
    }

    /// Enters the names and properties of all objects and users.
    pub(super) fn say(&mut self, policy: &'p Policy) -> Said {
        self.names
            .reserve(3 * policy.users.len() + policy.objects.len());
        let mut objects = Vec::with_capacity(policy.objects.len());
        for (object, number) in policy.objects.iter().zip(0..) {
            objects.push(Words {
                id: self.id(Kind::object_of(object.kind.0), &object.id, number),
                properties: self.properties(&object.properties),
            });
        }
        let mut users = Vec::with_capacity(policy.users.len());
        for (user, number) in policy.users.iter().zip(0..) {
            let id = self.id(Kind::USER, &user.id, number);
            for alias in &user.aliases {
                self.id(Kind::USER, alias, number);
            }
            users.push(id);
        }
        let with_properties = |(id, user): (u32, &'p crate::policy::User)| Words {
            id,
            properties: self.properties(&user.properties),
        };
        let users = users.into_iter().zip(&policy.users);
        let users = users.map(with_properties).collect();
        Said { users, objects }
    }
}

// === impl Said ===

impl Said {
    /// Writes the words into the rows, which were made without them.
    pub(super) fn enter(self, users: &mut [UserRow], objects: &mut [ObjectRow]) {
        for (row, words) in users.iter_mut().zip(self.users) {
            (row.id, row.properties) = (words.id, words.properties);
        }
        for (row, words) in objects.iter_mut().zip(self.objects) {
            (row.id, row.properties) = (words.id, words.properties);
        }
    }
}
