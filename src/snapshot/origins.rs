//! Where in the policy's files stands what the tables say.
//!
//! Nothing here decides, and none of it counts for the revision: a comment moves lines and changes
//! no answer. Explanations read it, and make out of it what would turn an answer.

use super::lists;
use super::tables::{self, LimitedRow, NONE, ObjectRow, Span, TypeRow, UserRow, some};
use super::{Kind, Snapshot};
use crate::model::ScopeSet;

tables::rows! {
    /// A file of the policy tree.
    FileRow {
        /// Stretch of `origin_texts`.
        path: Span,
    }
    /// Where a role stands, and what of it the other tables do not tell.
    RoleOriginRow {
        file: u32,
        line: u32,
        /// The `ROLE_…` bits.
        flags: u32,
        /// List of the roles that it extends.
        extends: u32,
    }
    /// One thing that a role says of a permission, `extends` followed. Sorted by role and permission.
    SaidRow {
        role: u32,
        permission: u32,
        /// One of the `SAID_…` numbers.
        effect: u32,
        /// Scopes granted.
        scopes: u32,
        /// A condition, or none.
        condition: u32,
        /// One of the `PATTERN_…` numbers: what the line speaks of.
        pattern: u32,
        /// List of the roles by way of which it came; the last one has the line.
        through: u32,
        file: u32,
        line: u32,
        column: u32,
    }
    /// A role that is given to a group, department or team. Sorted by what it is given to.
    GivenRow {
        /// One of the `GIVEN_…` numbers.
        kind: u32,
        to: u32,
        role: u32,
        /// Row of `limited`, or none.
        limited: u32,
        file: u32,
        line: u32,
    }
    /// Where a user's own roles stand: all in the file that `file` of `OriginsRow` names.
    UserOriginRow {
        /// The line of the first.
        line: u32,
        /// List of threes: role, row of `limited` or none, lines after the first.
        roles: u32,
    }
    /// The members of a project. Lists.
    ProjectOriginRow {
        users: u32,
        groups: u32,
        departments: u32,
        teams: u32,
    }
    /// A team's name.
    TeamOriginRow {
        /// Stretch of `origin_texts`.
        name: Span,
    }
    /// Where a route stands.
    RouteOriginRow {
        file: u32,
        line: u32,
    }
    /// What stands once; one row.
    OriginsRow {
        /// The file of the users.
        users_file: u32,
        /// 1: every active user has exactly one own role.
        one_role_each: u32,
    }
}

/// The role came with the pack.
pub(crate) const ROLE_TEMPLATE: u32 = 1;
/// Everybody has the role.
pub(crate) const ROLE_IMPLICIT: u32 = 2;
/// The role is in force on the user's shift only.
pub(crate) const ROLE_ON_SHIFT: u32 = 4;
/// Some active user must have the role for good.
pub(crate) const ROLE_REQUIRED: u32 = 8;

pub(crate) const SAID_GRANT: u32 = 0;
pub(crate) const SAID_DENY: u32 = 1;
/// `none`: the role grants nothing, and takes over no grants.
pub(crate) const SAID_NONE: u32 = 2;

pub(crate) const PATTERN_PERMISSION: u32 = 0;
pub(crate) const PATTERN_TYPE: u32 = 1;
pub(crate) const PATTERN_ACTION: u32 = 2;
pub(crate) const PATTERN_EVERYTHING: u32 = 3;

pub(crate) const GIVEN_GROUP: u32 = 0;
pub(crate) const GIVEN_DEPARTMENT: u32 = 1;
pub(crate) const GIVEN_TEAM: u32 = 2;

tables::tables! {
    /// The tables of origins, numbered on from those that decide.
    Origins;
    38 origins: OriginsRow,
    39 origin_texts: u8,
    40 origin_lists: u32,
    41 files: FileRow,
    42 role_origins: RoleOriginRow,
    43 said: SaidRow,
    44 given: GivenRow,
    45 user_origins: UserOriginRow,
    46 project_origins: ProjectOriginRow,
    47 team_origins: TeamOriginRow,
    /// For each permission the scopes that the action offers.
    48 offered: u8,
    /// For each group 1: it has a shift.
    49 group_shifts: u8,
    /// For each line of `route_lines` where it stands.
    50 route_origins: RouteOriginRow,
}

/// A line of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Line {
    pub(crate) file: u32,
    pub(crate) line: u32,
}

/// What gives a user a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Giver {
    User,
    Group(u32),
    Department(u32),
    Team(u32),
    /// The role is everybody's.
    Implicit,
}

/// A role that a user has, by one of the ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Assigned {
    pub(crate) role: u32,
    /// Row of `limited`; `None`: for good.
    pub(crate) limited: Option<u32>,
    pub(crate) by: Giver,
    pub(crate) at: Line,
}

// === impl Snapshot ===

impl Snapshot {
    pub(super) fn origin_list(&self, id: u32) -> &[u32] {
        lists::list(&self.origins.origin_lists, id)
    }

    fn origin_text(&self, text: Span) -> &str {
        std::str::from_utf8(text.of(&self.origins.origin_texts)).unwrap_or("")
    }

    /// A file's path within the policy tree; empty where it is not known.
    pub(crate) fn file_path(&self, file: u32) -> &str {
        let row = self.origins.files.get(file as usize);
        row.map_or("", |row| self.origin_text(row.path))
    }

    pub(crate) fn team_name(&self, team: u32) -> &str {
        let row = self.origins.team_origins.get(team as usize);
        row.map_or("", |row| self.origin_text(row.name))
    }

    /// Where the role stands, and the `ROLE_…` bits.
    pub(crate) fn role_origin(&self, role: u32) -> Option<(Line, u32)> {
        let row = self.origins.role_origins.get(role as usize)?;
        let RoleOriginRow {
            file, line, flags, ..
        } = *row;
        Some((Line { file, line }, flags))
    }

    /// The roles that the role extends.
    pub(crate) fn extended(&self, role: u32) -> &[u32] {
        let row = self.origins.role_origins.get(role as usize);
        row.map_or(&[], |row| self.origin_list(row.extends))
    }

    /// All that the role says of the permission.
    pub(crate) fn said(&self, role: u32, permission: u32) -> &[SaidRow] {
        let said = &self.origins.said;
        let key = |row: &SaidRow| (row.role, row.permission);
        let start = said.partition_point(|row| key(row) < (role, permission));
        let end = said.partition_point(|row| key(row) <= (role, permission));
        said.get(start..end).unwrap_or(&[])
    }

    /// By way of which roles a line came.
    pub(crate) fn through(&self, said: &SaidRow) -> &[u32] {
        self.origin_list(said.through)
    }

    /// What the line speaks of, as people write it (`call.*`).
    pub(crate) fn pattern_text(&self, said: &SaidRow) -> String {
        let name = self.permission_name(said.permission);
        let (kind, action) = name.split_once('.').unwrap_or((&name, ""));
        match said.pattern {
            PATTERN_TYPE => format!("{kind}.*"),
            PATTERN_ACTION => format!("*.{action}"),
            PATTERN_EVERYTHING => "*".to_owned(),
            _ => name,
        }
    }

    /// The scopes that the permission's action offers.
    pub(crate) fn offered(&self, permission: u32) -> ScopeSet {
        let bits = self.origins.offered.get(permission as usize);
        bits.map_or(ScopeSet::EMPTY, |&bits| ScopeSet::from_bits(bits))
    }

    /// Where a route stands, by its line of `route_lines`.
    pub(crate) fn route_line(&self, line: u32) -> Option<Line> {
        let row = self.origins.route_origins.get(line as usize)?;
        let RouteOriginRow { file, line } = *row;
        Some(Line { file, line })
    }

    pub(crate) fn group_has_shift(&self, group: u32) -> bool {
        self.origins.group_shifts.get(group as usize) == Some(&1)
    }

    /// Whether `default` names the user, or a place where the user is: else only whoever is in no
    /// other project is in that one.
    pub(super) fn is_member_of_default(&self, user: u32, row: &UserRow) -> bool {
        let default = self.origins.project_origins.first();
        let has = |list: u32, id: &u32| self.origin_list(list).binary_search(id).is_ok();
        default.is_some_and(|members| {
            has(members.users, &user)
                || has(members.groups, &row.group)
                || (self.list(row.within).iter()).any(|id| has(members.departments, id))
                || (self.list(row.teams).iter()).any(|id| has(members.teams, id))
        })
    }

    /// The projects that have the group, or one of the departments, as a member.
    pub(crate) fn projects_with(&self, group: Option<u32>, departments: &[u32]) -> Vec<u32> {
        let has = |list: u32, id: &u32| self.origin_list(list).binary_search(id).is_ok();
        let rows = (0..).zip(&*self.origins.project_origins);
        let with = rows.filter(|(_, row)| {
            group.is_some_and(|group| has(row.groups, &group))
                || departments.iter().any(|id| has(row.departments, id))
        });
        with.map(|(project, _)| project).collect()
    }

    /// The number of the user with this row.
    pub(crate) fn user_number(&self, row: &UserRow) -> Option<u32> {
        self.find(Kind::USER, self.text(row.id))
    }

    /// The number of the registered object with this row.
    pub(crate) fn object_number(&self, row: &ObjectRow) -> Option<u32> {
        self.find(Kind::object_of(row.kind), self.text(row.id))
    }

    /// The number of the type with this row.
    pub(crate) fn kind_number(&self, row: &TypeRow) -> u32 {
        self.find(Kind::TYPE, self.text(row.name)).unwrap_or(NONE)
    }

    /// All roles that a user with this row has, by every way.
    pub(crate) fn assigned(&self, user: u32, row: &UserRow) -> Vec<Assigned> {
        self.assigned_by(user, some(row.group), self.list(row.within), row)
    }

    /// As [`assigned`](Self::assigned), in this group and within these departments instead.
    pub(super) fn assigned_by(
        &self,
        user: u32,
        group: Option<u32>,
        within: &[u32],
        row: &UserRow,
    ) -> Vec<Assigned> {
        let mut all = self.own_roles(user);
        let mut given = |kind: u32, to: u32, by: Giver| all.extend(self.given(kind, to, by));
        if let Some(group) = group {
            given(GIVEN_GROUP, group, Giver::Group(group));
        }
        for &department in within {
            given(GIVEN_DEPARTMENT, department, Giver::Department(department));
        }
        for &team in self.list(row.teams) {
            given(GIVEN_TEAM, team, Giver::Team(team));
        }
        all.extend(self.implicit_roles());
        all
    }

    /// The roles that everybody has.
    pub(crate) fn implicit_roles(&self) -> impl Iterator<Item = Assigned> {
        let roles = (0..).zip(&*self.origins.role_origins);
        let implicit = roles.filter(|(_, row)| row.flags & ROLE_IMPLICIT != 0);
        implicit.map(|(role, row)| Assigned {
            role,
            limited: (row.flags & ROLE_ON_SHIFT != 0)
                .then(|| self.limited_for_good(role))
                .flatten(),
            by: Giver::Implicit,
            at: Line {
                file: row.file,
                line: row.line,
            },
        })
    }

    /// The row of `limited` that binds an implicit role to shifts and to nothing else.
    fn limited_for_good(&self, role: u32) -> Option<u32> {
        let mut rows = self.list(self.meta().implicit_limited).iter().copied();
        rows.find(|&id| self.limited(id).is_some_and(|row| row.role == role))
    }

    pub(super) fn own_roles(&self, user: u32) -> Vec<Assigned> {
        let file = self
            .origins
            .origins
            .first()
            .map_or(NONE, |row| row.users_file);
        let Some(row) = self.origins.user_origins.get(user as usize) else {
            return Vec::new();
        };
        let threes = self.origin_list(row.roles).chunks_exact(3);
        let own = threes.filter_map(|three| match *three {
            [role, limited, after] => Some(Assigned {
                role,
                limited: some(limited),
                by: Giver::User,
                at: Line {
                    file,
                    line: row.line.saturating_add(after),
                },
            }),
            _ => None,
        });
        own.collect()
    }

    /// The roles that a group, department or team gives.
    fn given(&self, kind: u32, to: u32, by: Giver) -> impl Iterator<Item = Assigned> {
        let given = &self.origins.given;
        let key = |row: &GivenRow| (row.kind, row.to);
        let start = given.partition_point(|row| key(row) < (kind, to));
        let end = given.partition_point(|row| key(row) <= (kind, to));
        let rows = given.get(start..end).unwrap_or(&[]).iter();
        rows.map(move |row| Assigned {
            role: row.role,
            limited: some(row.limited),
            by,
            at: Line {
                file: row.file,
                line: row.line,
            },
        })
    }

    /// A role that is in force only at times.
    #[inline]
    pub(crate) fn limited(&self, id: u32) -> Option<&LimitedRow> {
        let row = self.tables.limited.get(id as usize);
        row.or_else(|| self.supposed_limited(id))
    }
}
