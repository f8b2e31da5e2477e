//! What explanations say of users, resources, scopes and values.

use super::super::condition::Found;
use super::super::resource::{Many, Resource};
use super::super::value::View;
use super::super::watch::Seen;
use super::{Assignment, Place, Reach};
use crate::model::{Scope, ScopeSet};
use crate::snapshot::Snapshot;
use crate::snapshot::origins::{Assigned, Giver, Line};
use crate::snapshot::tables::{NONE, UserRow};
use crate::snapshot::words::{moment, quoted};

/// Longer values are not repeated.
const VALUE_BYTES_MAX: usize = 200;

/// What there is to say of a snapshot's rows.
#[derive(Clone, Copy)]
pub(super) struct Words<'a>(pub(super) &'a Snapshot);

// === impl Words ===

impl<'a> Words<'a> {
    pub(super) fn role(self, role: u32) -> String {
        let row = self.0.role(role);
        row.map_or_else(String::new, |row| self.0.text(row.name).to_owned())
    }

    pub(super) fn user(self, user: u32) -> &'a str {
        self.0.user(user).map_or("", |row| self.0.text(row.id))
    }

    pub(super) fn group(self, group: u32) -> &'a str {
        let row = self.0.tables.groups.get(group as usize);
        row.map_or("", |row| self.0.text(row.name))
    }

    pub(super) fn department(self, department: u32) -> &'a str {
        let row = self.0.department(department);
        row.map_or("", |row| self.0.text(row.name))
    }

    pub(super) fn project(self, project: u32) -> &'a str {
        let row = self.0.tables.projects.get(project as usize);
        row.map_or("", |row| self.0.text(row.name))
    }

    pub(super) fn kind(self, kind: u32) -> &'a str {
        self.0.kind(kind).map_or("", |row| self.0.text(row.name))
    }

    /// A line, if the snapshot tells where it stands.
    pub(super) fn place(self, at: Line) -> Option<Place> {
        let file = self.0.file_path(at.file);
        (!file.is_empty()).then(|| Place {
            file: file.to_owned(),
            line: at.line,
        })
    }

    pub(super) fn assignment(self, assigned: Assigned) -> Assignment {
        let (from, name) = self.giver(assigned.by);
        Assignment {
            role: self.role(assigned.role),
            from,
            name,
            place: self.place(assigned.at),
            limits: self.limits(assigned.limited),
            kept_back: None,
        }
    }

    pub(super) fn giver(self, by: Giver) -> (&'static str, Option<String>) {
        match by {
            Giver::User => ("user", None),
            Giver::Group(group) => ("group", Some(self.group(group).to_owned())),
            Giver::Department(of) => ("department", Some(self.department(of).to_owned())),
            Giver::Team(team) => ("team", Some(self.0.team_name(team).to_owned())),
            Giver::Implicit => ("implicit", None),
        }
    }

    fn limits(self, limited: Option<u32>) -> Vec<String> {
        let mut limits = Vec::new();
        let Some(row) = limited.and_then(|id| self.0.limited(id)) else {
            return limits;
        };
        if row.from != i64::MIN {
            limits.push(format!("from {}", moment(row.from)));
        }
        if row.until != i64::MAX {
            limits.push(format!("until {}", moment(row.until)));
        }
        if row.projects != NONE {
            let projects = self.0.list(row.projects).iter();
            let projects: Vec<&str> = projects.map(|&id| self.project(id)).collect();
            limits.push(format!("in projects {}", projects.join(", ")));
        }
        if row.on_shift != 0 {
            limits.push("on shift".to_owned());
        }
        limits
    }

    /// Each scope granted, and what there is to say of its reach.
    pub(super) fn reaches(
        self,
        user: &UserRow,
        granted: ScopeSet,
        reached: Option<Scope>,
        resource: Option<&Resource<'_>>,
    ) -> Vec<Reach> {
        let reach = |scope: Scope| {
            let looked = match reached {
                // The rule looks from the narrowest to the first that reaches; `any` alone at once.
                Some(Scope::Any) => scope == Scope::Any,
                Some(first) => scope <= first,
                None => true,
            };
            let resource = resource.filter(|_| looked);
            Reach {
                scope: scope.name(),
                reached: resource.map(|_| reached == Some(scope)),
                why: resource.map_or_else(String::new, |of| {
                    self.why(user, scope, of, reached == Some(scope))
                }),
            }
        };
        granted.iter().map(reach).collect()
    }

    fn why(self, user: &UserRow, scope: Scope, resource: &Resource<'_>, reached: bool) -> String {
        let name = self.0.text(user.id);
        let owner = resource.owner().map_or_else(
            || "it has no owner".to_owned(),
            |owner| format!("its owner is {}", self.user(owner)),
        );
        match scope {
            Scope::Any => "it reaches everything".to_owned(),
            Scope::Own => owner,
            Scope::Assigned => match (reached, resource.operators().next()) {
                (true, _) => format!("{name} is one of its operators"),
                (false, Some(_)) => format!("{name} is none of its operators"),
                (false, None) => "it has no operators".to_owned(),
            },
            Scope::Group => {
                let its = resource.group().map(|group| self.group(group));
                let own = self.0.list(user.reach_groups).iter();
                let own: Vec<&str> = own.map(|&group| self.group(group)).collect();
                let its = its.map_or_else(
                    || "it has no group".to_owned(),
                    |group| format!("its group is {group}"),
                );
                format!("{its}; {name}'s: {}; {owner}", listed(&own))
            }
            Scope::Department | Scope::Branch => {
                let mut its = Vec::new();
                resource.any(resource.departments(), |id| {
                    its.push(self.department(id));
                    false
                });
                let own = self.0.list(user.reach_departments).iter();
                let own: Vec<&str> = own.map(|&id| self.department(id)).collect();
                let below = match scope {
                    Scope::Branch => " and what is below",
                    _ => "",
                };
                let (its, own) = (listed(&its), listed(&own));
                format!("its departments: {its}; {name}'s{below}: {own}; {owner}")
            }
        }
    }

    /// What is known of a resource.
    pub(super) fn facts(self, resource: &Resource<'_>) -> String {
        let mut facts = Vec::new();
        let owner = resource.owner();
        facts.extend(owner.map(|owner| format!("owner {}", self.user(owner))));
        let group = resource.group();
        facts.extend(group.map(|group| format!("group {}", self.group(group))));
        let mut departments = Vec::new();
        resource.any(resource.departments(), |id| {
            departments.push(self.department(id));
            false
        });
        if !departments.is_empty() {
            facts.push(format!("departments {}", departments.join(", ")));
        }
        let projects = self.names_of(resource, resource.projects());
        facts.push(match projects.as_slice() {
            [] => "in no project".to_owned(),
            projects => format!("projects {}", projects.join(", ")),
        });
        facts.join("; ")
    }

    fn names_of<'r>(self, resource: &Resource<'r>, projects: Many<'r>) -> Vec<&'a str> {
        let mut names = Vec::new();
        resource.any(projects, |id| {
            names.push(self.project(id));
            false
        });
        names
    }

    /// What a test found, as JSON, and in words.
    pub(super) fn seen(self, seen: Seen<'_>) -> (Option<String>, String) {
        let json = match seen {
            Seen::Assumed => return (None, "a section has no resource".to_owned()),
            Seen::Nothing => return (None, "there is nothing".to_owned()),
            Seen::Found(Found::Names(names)) => {
                let mut list = Vec::new();
                names.any(self.0, |name| {
                    list.push(quoted(name));
                    false
                });
                Some(format!("[{}]", list.join(",")))
            }
            Seen::Found(Found::Value(value)) => json(value),
        };
        match json.filter(|json| json.len() <= VALUE_BYTES_MAX) {
            Some(json) => {
                let text = format!("there is {json}");
                (Some(json), text)
            }
            None => (None, "there is a long value".to_owned()),
        }
    }
}

fn listed(names: &[&str]) -> String {
    match names {
        [] => "none".to_owned(),
        names => names.join(", "),
    }
}

/// A value as JSON; `None` for an object, which no test compares as a whole.
fn json(value: View<'_>) -> Option<String> {
    Some(match value {
        View::Bool(value) => value.to_string(),
        View::Number(value) => value.to_string(),
        View::Text(text) if text.len() > VALUE_BYTES_MAX => return None,
        View::Text(text) => quoted(text),
        View::List(items) => {
            let mut list = Vec::new();
            let told = items.all(|item| {
                let json = item.map_or_else(|| Some("null".to_owned()), json);
                json.map(|json| list.push(json)).is_some() && list.len() < VALUE_BYTES_MAX
            });
            return told.then(|| format!("[{}]", list.join(",")));
        }
        View::Object(_) => return None,
    })
}
