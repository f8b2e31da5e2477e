//! Numbers of named things: each is the position in the company's list of its kind.

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u32);

        impl $name {
            /// The position as an index into a slice.
            #[inline]
            #[must_use]
            pub const fn index(self) -> usize {
                self.0 as usize
            }
        }
    )*};
}

ids! {
    /// A resource type of the catalogue (`call`).
    TypeId
    /// An action among those of one resource type (`listen` of `call`).
    ActionId
    /// A role, template or the company's own.
    RoleId
    /// A user.
    UserId
    /// A group of users; a user is in one at most.
    GroupId
    /// A department.
    DepartmentId
    /// A team; a user may be in many.
    TeamId
    /// A shift.
    ShiftId
    /// A project; 0 is `default`.
    ProjectId
    /// A registered object.
    ObjectId
}

impl ProjectId {
    /// The project `default`, which always exists.
    pub const DEFAULT: Self = Self(0);
}
