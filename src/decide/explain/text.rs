//! Explanations and suggestions in words.

use std::fmt;

use super::facts::Words;
use super::offer::Edit;
use super::{Assignment, Change, Explanation, Member, Place, RoleLine, RoleSays, Step, Suggestion};
use crate::model::Value;
use crate::snapshot::Snapshot;
use crate::snapshot::origins::{Giver, Line};
use crate::snapshot::words::quoted;
use crate::snapshot::{self};

/// The edits as a suggestion about this user.
pub(super) fn suggestion(snapshot: &Snapshot, user: u32, edits: &[Edit]) -> Suggestion {
    let words = Words(snapshot);
    let changes: Vec<Change> = (edits.iter())
        .map(|edit| match edit {
            Edit::Policy(change) => words.change(user, change),
            Edit::Property(property) => {
                let (path, value) = (property.path(), value_json(&property.value));
                Change {
                    change: "set_property",
                    text: format!("{path}: {value}"),
                    members: vec![("path", Member::Text(path)), ("value", Member::Json(value))],
                }
            }
        })
        .collect();
    let texts: Vec<&str> = changes.iter().map(|change| change.text.as_str()).collect();
    Suggestion {
        text: texts.join(", and "),
        changes,
    }
}

/// The values that are offered are single, or lists of one.
fn value_json(value: &Value<'_>) -> String {
    match value {
        Value::Bool(value) => value.to_string(),
        Value::Number(value) => value.to_string(),
        Value::String(text) => quoted(text),
        Value::List(items) => {
            let items: Vec<String> = items.iter().map(value_json).collect();
            format!("[{}]", items.join(","))
        }
        Value::Null | Value::Object(_) => "null".to_owned(),
    }
}

// === impl Words ===

impl Words<'_> {
    fn change(self, user: u32, change: &snapshot::Change) -> Change {
        use snapshot::Change as Of;
        let user = self.user(user);
        let text = |name: &'static str, value: &str| (name, Member::Text(value.to_owned()));
        let make = |change, said: String, mut members: Vec<(&'static str, Member)>| {
            if change != "register" && change != "remove_deny" {
                members.insert(0, text("user", user));
            }
            Change {
                change,
                text: said,
                members,
            }
        };
        match change {
            Of::Activate => make("activate_user", format!("user {user} active"), Vec::new()),
            Of::JoinProject(id) => {
                let name = self.project(*id);
                let said = format!("{user} a member of project {name}");
                make("join_project", said, vec![text("project", name)])
            }
            Of::JoinGroup(id) => {
                let name = self.group(*id);
                let said = format!("{user} in group {name}");
                make("join_group", said, vec![text("group", name)])
            }
            Of::JoinDepartment(id) => {
                let name = self.department(*id);
                let said = format!("{user} in department {name}");
                make("join_department", said, vec![text("department", name)])
            }
            Of::LeadGroup(id) => {
                let name = self.group(*id);
                let said = format!("{user} a leader of group {name}");
                make("lead_group", said, vec![text("group", name)])
            }
            Of::LeadDepartment(id) => {
                let name = self.department(*id);
                let said = format!("{user} a leader of department {name}");
                make("lead_department", said, vec![text("department", name)])
            }
            Of::Assign(role) => {
                let role = self.role(*role);
                let said = format!("role {role} for {user}");
                make("assign_role", said, vec![text("role", &role)])
            }
            Of::Unassign(role, by) => {
                let role = self.role(*role);
                let (from, name) = self.giver(*by);
                let said = match (&name, by) {
                    (Some(name), _) => format!("role {role} not for {from} {name}"),
                    (None, Giver::User) => format!("role {role} not for {user}"),
                    (None, _) => format!("role {role} not implicit"),
                };
                let mut members = vec![text("role", &role), text("from", from)];
                members.extend(name.map(|name| text("name", &name)));
                make("unassign_role", said, members)
            }
            Of::Grant(role, permission, scope) => {
                let permission = self.0.permission_name(*permission);
                let mut members =
                    vec![text("permission", &permission), text("scope", scope.name())];
                let said = match role {
                    Some(role) => {
                        let role = self.role(*role);
                        members.push(text("role", &role));
                        format!("scope `{scope}` on {permission} in role {role}")
                    }
                    None => format!(
                        "scope `{scope}` on {permission} in a role of the company's own, for {user}"
                    ),
                };
                make("grant", said, members)
            }
            Of::RemoveDeny(at) => {
                let place = self.place(Line {
                    file: at.file,
                    line: at.line,
                });
                let said = match &place {
                    Some(place) => format!("without the deny at {place}"),
                    None => "without the deny".to_owned(),
                };
                let mut members = Vec::new();
                if let Some(place) = place {
                    members.push(("file", Member::Text(place.file)));
                    members.push(("line", Member::Number(place.line)));
                    members.push(("column", Member::Number(at.column)));
                }
                make("remove_deny", said, members)
            }
            Of::Operate(object) => {
                let row = self.0.object(*object);
                let kind = row.map_or("", |row| self.kind(row.kind));
                let id = row.map_or("", |row| self.0.text(row.id));
                let said = format!("{user} an operator of {kind} {id}");
                make(
                    "add_operator",
                    said,
                    vec![text("type", kind), text("id", id)],
                )
            }
            Of::Register(kind, id) => {
                let kind = self.kind(*kind);
                let said = format!("{kind} {id} registered");
                make("register", said, vec![text("type", kind), text("id", id)])
            }
        }
    }
}

// === how they are written ===

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

impl fmt::Display for Assignment {
    /// `by group night, until 2026-02-01T00:00:00Z (companies/demo/company.yaml:12)`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.from, &self.name) {
            ("user", _) => write!(f, "the user's own")?,
            ("implicit", _) => write!(f, "everybody's")?,
            ("test_role", _) => write!(f, "tested")?,
            (from, name) => write!(f, "by {from} {}", name.as_deref().unwrap_or_default())?,
        }
        for limit in &self.limits {
            write!(f, ", {limit}")?;
        }
        if let Some(place) = &self.place {
            write!(f, " ({place})")?;
        }
        match self.kept_back {
            Some("time") => write!(f, ", not in force at this time"),
            Some("projects") => write!(f, ", not in force for this resource's projects"),
            Some(_) => write!(f, ", not in force off shift"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for RoleLine {
    /// `grants own when resource.status is "open" (true): call.* at companies/demo/roles.yaml:7`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.effect {
            "grant" => write!(f, "grants {}", self.scopes.join(", "))?,
            "deny" => write!(f, "denies")?,
            _ => write!(f, "says none")?,
        }
        if let Some(when) = &self.when {
            write!(f, " when {when}")?;
        }
        if let Some(condition) = self.condition {
            write!(f, " ({condition})")?;
        }
        write!(f, ": {}", self.pattern)?;
        if let Some(place) = &self.place {
            write!(f, " at {place}")?;
        }
        if !self.extends.is_empty() {
            write!(f, ", extends {}", self.extends.join(" > "))?;
        }
        Ok(())
    }
}

impl fmt::Display for RoleSays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ways: Vec<String> = self.assignments.iter().map(ToString::to_string).collect();
        writeln!(f, "    role {}, {}", self.role, ways.join("; "))?;
        for line in &self.lines {
            writeln!(f, "      {line}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  {}: {}", self.step.replace('_', " "), self.text)?;
        for assignment in &self.assignments {
            writeln!(f, "    role {}, {assignment}", assignment.role)?;
        }
        for role in &self.roles {
            write!(f, "{role}")?;
        }
        for reach in &self.scopes {
            let reached = match reach.reached {
                Some(true) => "reaches",
                Some(false) => "does not reach",
                None => continue,
            };
            writeln!(f, "    scope {} {reached}: {}", reach.scope, reach.why)?;
        }
        Ok(())
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            write!(f, "{step}")?;
        }
        let (decision, other) = match self.allowed {
            true => ("allow", "deny"),
            false => ("deny", "allow"),
        };
        write!(f, "{decision}: {}", self.reason)?;
        if !self.suggestions.is_empty() {
            write!(f, "\nany one of these would turn it to {other}:")?;
        }
        for suggestion in &self.suggestions {
            write!(f, "\n  {}", suggestion.text)?;
        }
        Ok(())
    }
}
