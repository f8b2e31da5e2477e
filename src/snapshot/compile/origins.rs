//! Where in the files stands what the tables say.

use std::collections::HashMap;

use foldhash::fast::FixedState;

use super::super::lists::Lists;
use super::super::origins::{
    FileRow, GivenRow, Origins, OriginsRow, PATTERN_ACTION, PATTERN_EVERYTHING, PATTERN_PERMISSION,
    PATTERN_TYPE, ProjectOriginRow, ROLE_IMPLICIT, ROLE_ON_SHIFT, ROLE_REQUIRED, ROLE_TEMPLATE,
    RoleOriginRow, RouteOriginRow, SAID_DENY, SAID_GRANT, SAID_NONE, SaidRow, TeamOriginRow,
    UserOriginRow,
};
use super::super::tables::{NONE, Span};
use super::Builder;
use super::catalogue::Permissions;
use crate::model::{ActionId, RoleId, TypeId};
use crate::policy::{Assignment, Pattern, Place, Role};

/// Origins in the making.
pub(super) struct Gathered {
    texts: String,
    places: HashMap<String, Span, FixedState>,
    lists: Lists,
    given: Vec<GivenRow>,
    pub(super) routes: Vec<RouteOriginRow>,
    users: Vec<UserOriginRow>,
    users_file: u32,
    scratch: Vec<u32>,
}

// === impl Gathered ===

impl Gathered {
    pub(super) fn new() -> Self {
        Self {
            texts: String::new(),
            places: HashMap::default(),
            lists: Lists::new(),
            given: Vec::new(),
            routes: Vec::new(),
            users: Vec::new(),
            users_file: NONE,
            scratch: Vec::new(),
        }
    }

    /// A role that a group, department or team gives, and the row of `limited` that it is, if any.
    pub(super) fn given(&mut self, kind: u32, to: u32, limited: Option<u32>, given: &Assignment) {
        self.given.push(GivenRow {
            kind,
            to,
            role: given.role.0,
            limited: limited.unwrap_or(NONE),
            file: given.place.file,
            line: given.place.line,
        });
    }

    /// The next user's own roles, each with the row of `limited` that it is, if any.
    pub(super) fn user<'p>(&mut self, own: impl Iterator<Item = (&'p Assignment, Option<u32>)>) {
        self.scratch.clear();
        let mut first = 0;
        for (assignment, limited) in own {
            // All users of a company stand in one file.
            self.users_file = assignment.place.file;
            if self.scratch.is_empty() {
                first = assignment.place.line;
            }
            // A policy's lists are sorted; lines may come in any order.
            let after = assignment.place.line.wrapping_sub(first);
            self.scratch
                .extend([assignment.role.0, limited.unwrap_or(NONE), after]);
        }
        let least = self.scratch.iter().skip(2).step_by(3);
        let least = least.map(|&after| after as i32).min().unwrap_or(0);
        for after in self.scratch.iter_mut().skip(2).step_by(3) {
            *after = after.wrapping_sub(least as u32);
        }
        self.users.push(UserOriginRow {
            line: first.wrapping_add(least as u32),
            roles: self.lists.intern(&self.scratch),
        });
    }

    fn text(&mut self, text: &str) -> Span {
        if let Some(&span) = self.places.get(text) {
            return span;
        }
        let span = Span {
            start: self.texts.len() as u32,
            length: text.len() as u32,
        };
        self.texts.push_str(text);
        self.places.insert(text.to_owned(), span);
        span
    }
}

// === impl Builder ===

impl<'p> Builder<'p> {
    pub(super) fn origins(&mut self, permissions: &Permissions) -> Origins {
        let policy = self.policy;
        let said = self.all_said(permissions);
        let mut gathered = std::mem::replace(&mut self.gathered, Gathered::new());
        let mut set = |ids: &mut dyn Iterator<Item = u32>| {
            gathered.lists.intern_set(&mut ids.collect::<Vec<u32>>())
        };
        let roles = policy.roles.iter().map(|role| RoleOriginRow {
            file: role.place.file,
            line: role.place.line,
            flags: flags(role),
            extends: set(&mut role.extends.iter().map(|id| id.0)),
        });
        let role_origins = roles.collect();
        let projects = policy.projects.iter().map(|project| {
            let members = &project.members;
            ProjectOriginRow {
                users: set(&mut members.users.iter().map(|id| id.0)),
                groups: set(&mut members.groups.iter().map(|id| id.0)),
                departments: set(&mut members.departments.iter().map(|id| id.0)),
                teams: set(&mut members.teams.iter().map(|id| id.0)),
            }
        });
        let project_origins = projects.collect();
        let said = said.into_iter().map(|(mut row, through)| {
            row.through = gathered.lists.intern(&through);
            row
        });
        let said = said.collect();
        let teams = policy.teams.iter();
        let team_origins = teams
            .map(|team| TeamOriginRow {
                name: gathered.text(&team.name),
            })
            .collect();
        let files = policy.files.iter();
        let files = files
            .map(|path| FileRow {
                path: gathered.text(path),
            })
            .collect();
        let actions = policy.catalogue.types.iter().flat_map(|kind| &kind.actions);
        let offered = actions.map(|action| action.scopes.bits()).collect();
        let groups = policy.groups.iter();
        let group_shifts = groups
            .map(|group| u8::from(group.shift.is_some()))
            .collect();
        let mut given = gathered.given;
        given.sort_by_key(|row| (row.kind, row.to));
        Origins {
            origins: [OriginsRow {
                users_file: gathered.users_file,
                one_role_each: u32::from(policy.one_role_each),
            }]
            .into(),
            origin_texts: gathered.texts.into_bytes().into(),
            origin_lists: gathered.lists.finish(),
            files,
            role_origins,
            said,
            given: given.into(),
            user_origins: gathered.users.into(),
            project_origins,
            team_origins,
            offered,
            group_shifts,
            route_origins: gathered.routes.into(),
        }
    }

    /// What each role says of each permission, and by way of which roles it came.
    fn all_said(&mut self, permissions: &Permissions) -> Vec<(SaidRow, Vec<u32>)> {
        let policy = self.policy;
        let mut all = Vec::new();
        for (role, id) in policy.roles.iter().zip(0..) {
            for (kind, kind_id) in policy.catalogue.types.iter().zip(0..) {
                for (action, action_id) in kind.actions.iter().zip(0..) {
                    let at = (TypeId(kind_id), ActionId(action_id));
                    let mut row = SaidRow {
                        role: id,
                        permission: permissions.of(at.0, at.1),
                        effect: SAID_NONE,
                        scopes: 0,
                        condition: NONE,
                        pattern: PATTERN_PERMISSION,
                        through: 0,
                        file: 0,
                        line: 0,
                        column: 0,
                    };
                    let none = role.deciding_line(at, &action.name);
                    if let Some(line) = none.filter(|line| line.grants.is_empty()) {
                        row.pattern = pattern(&line.pattern);
                        row.stand(line.place);
                        all.push((row, Vec::new()));
                    }
                    for said in policy.says(RoleId(id), at) {
                        let deny = said.scopes.is_empty();
                        row.effect = if deny { SAID_DENY } else { SAID_GRANT };
                        row.scopes = u32::from(said.scopes.bits());
                        row.condition = said.when.map_or(NONE, |when| self.condition(when));
                        row.pattern = pattern(said.pattern);
                        row.stand(said.place);
                        let through = said.through.iter().map(|role| role.0).collect();
                        all.push((row, through));
                    }
                }
            }
        }
        all
    }
}

// === impl SaidRow ===

impl SaidRow {
    const fn stand(&mut self, at: Place) {
        (self.file, self.line, self.column) = (at.file, at.line, at.column);
    }
}

const fn flags(role: &Role) -> u32 {
    let mut flags = 0;
    if role.template {
        flags |= ROLE_TEMPLATE;
    }
    if role.implicit {
        flags |= ROLE_IMPLICIT;
    }
    if role.only_on_shift {
        flags |= ROLE_ON_SHIFT;
    }
    if role.required {
        flags |= ROLE_REQUIRED;
    }
    flags
}

const fn pattern(pattern: &Pattern) -> u32 {
    match pattern {
        Pattern::Permission(..) => PATTERN_PERMISSION,
        Pattern::Type(_) => PATTERN_TYPE,
        Pattern::Action(_) => PATTERN_ACTION,
        Pattern::Everything => PATTERN_EVERYTHING,
    }
}
