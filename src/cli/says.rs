//! `callgate search roles`: which roles grant or deny a permission, and the lines that say so.

use serde_json::{Value, json};

use crate::model::{RoleId, Scope};
use crate::policy::{Policy, Said};
use crate::snapshot::Snapshot;
use crate::snapshot::compare::{Rule, RuleEffect};
use crate::source::{self, Built, FilePlace};

use super::terminal::{self, Exit, Format};

/// One thing that a role says of the permission.
struct Row {
    role: String,
    denies: bool,
    scopes: Vec<&'static str>,
    when: Option<String>,
    /// Active users who hold the role.
    users: usize,
    /// What only a policy tree tells.
    written: Option<Written>,
}

/// How a line was written.
struct Written {
    /// What it speaks of (`call.*`).
    line: String,
    /// By way of which roles it came.
    through: Vec<String>,
    place: FilePlace,
}

/// Prints what all roles say of the permission.
pub(crate) fn roles(built: &Built, permission: &str, format: Format) -> Result<Exit, Exit> {
    let snapshot = &built.snapshot;
    if !snapshot.has_permission(permission) {
        terminal::complain(&format!(
            "`{}` has no permission `{permission}`",
            snapshot.company()
        ));
        return Err(Exit::Usage);
    }
    let rows = match &built.policy {
        Some(policy) => of_policy(policy, snapshot, permission),
        None => of_snapshot(snapshot, permission),
    };
    match format {
        Format::Json => terminal::say_json(&json!({
            "company": snapshot.company(),
            "revision": snapshot.revision(),
            "permission": permission,
            "roles": rows.iter().map(Row::json).collect::<Vec<_>>(),
        })),
        Format::Text => {
            terminal::say(&table(&rows));
            if rows.is_empty() {
                terminal::remark("none");
            }
        }
    }
    Ok(Exit::Done)
}

fn of_policy(policy: &Policy, snapshot: &Snapshot, permission: &str) -> Vec<Row> {
    let Some(permission) = policy.permission(permission) else {
        return Vec::new();
    };
    let name = |id: &RoleId| {
        let role = policy.roles.get(id.index());
        role.map_or_else(String::new, |role| role.name.clone())
    };
    let of_role = |id: u32| {
        let said = policy.says(RoleId(id), permission);
        let role = name(&RoleId(id));
        let users = (!said.is_empty()).then(|| snapshot.holders(&role));
        let row = move |said: Said<'_>| Row {
            role: role.clone(),
            denies: said.scopes.is_empty(),
            scopes: said.scopes.iter().map(Scope::name).collect(),
            when: said.when.map(ToString::to_string),
            users: users.unwrap_or_default(),
            written: Some(Written {
                line: policy.pattern_text(said.pattern),
                through: said.through.iter().map(name).collect(),
                place: source::file_place(policy, said.place),
            }),
        };
        said.into_iter().map(row).collect::<Vec<Row>>()
    };
    let roles = 0..u32::try_from(policy.roles.len()).unwrap_or(u32::MAX);
    roles.flat_map(of_role).collect()
}

fn of_snapshot(snapshot: &Snapshot, permission: &str) -> Vec<Row> {
    let of_role = |(role, rules): (&str, Vec<Rule<'_>>)| {
        let users = snapshot.holders(role);
        let row = |rule: Rule<'_>| Row {
            role: role.to_owned(),
            denies: rule.effect == RuleEffect::Deny,
            scopes: rule.scopes,
            when: rule.when,
            users,
            written: None,
        };
        rules.into_iter().map(row).collect::<Vec<Row>>()
    };
    let said = snapshot.roles_on(permission).into_iter();
    said.flat_map(of_role).collect()
}

/// A line each, in columns.
fn table(rows: &[Row]) -> String {
    let cells: Vec<[String; 4]> = rows.iter().map(Row::cells).collect();
    let width = |column: usize| {
        let widths = cells.iter().filter_map(|cells| cells.get(column));
        widths.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let (role, says, users) = (width(0), width(1), width(2));
    let line = |[a, b, c, d]: &[String; 4]| {
        let line = format!("{a:role$}  {b:says$}  {c:>users$}  {d}");
        format!("{}\n", line.trim_end())
    };
    cells.iter().map(line).collect()
}

// === impl Row ===

impl Row {
    fn cells(&self) -> [String; 4] {
        let says = if self.denies {
            "denies".to_owned()
        } else {
            self.scopes.join(", ")
        };
        let when = self.when.as_ref();
        let says = when.map_or_else(|| says.clone(), |when| format!("{says} when {when}"));
        let written = self.written.as_ref().map_or_else(String::new, |written| {
            let (file, line, _) = &written.place;
            let through = match written.through.as_slice() {
                [] => String::new(),
                through => format!(", extends {}", through.join(" > ")),
            };
            format!("{file}:{line} {}{through}", written.line)
        });
        let users = terminal::count(self.users, "user", "users");
        [self.role.clone(), says, users, written]
    }

    fn json(&self) -> Value {
        let mut document = json!({
            "role": self.role,
            "effect": if self.denies { "deny" } else { "grant" },
            "scopes": self.scopes,
            "when": self.when,
            "users": self.users,
        });
        if let Some(written) = &self.written {
            let (file, line, column) = &written.place;
            let more = json!({
                "line": written.line,
                "extends": written.through,
                "place": { "file": file, "line": line, "column": column },
            });
            terminal::merge(&mut document, more);
        }
        document
    }
}
