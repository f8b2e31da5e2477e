//! A difference in words, for people: short, sorted, with counts.

use std::fmt::Write as _;

use crate::snapshot::compare::{
    Cause, Change, Diff, Effect, Event, Limits, Line, Rule, RuleEffect,
};

use super::terminal::count;

/// So many names are told; the others are counted.
const NAMES_MAX: usize = 5;
/// So many permissions of one line.
const PERMISSIONS_MAX: usize = 8;
/// So many lines alike.
const LINES_MAX: usize = 10;

/// What differs, a line each.
pub(crate) fn text(diff: &Diff<'_>) -> String {
    let mut text = String::new();
    for (heading, sign, effects) in [
        ("users gain by their roles", '+', &diff.gains),
        ("users lose by their roles", '-', &diff.losses),
    ] {
        if !effects.is_empty() {
            let _ = writeln!(text, "  {heading}");
        }
        for effect in effects.iter().take(LINES_MAX) {
            let _ = writeln!(text, "    {}", effect_text(sign, effect));
        }
        more(&mut text, "    ", effects.len());
    }
    let mut heading = "";
    for alike in diff.changes.chunk_by(|a, b| a.cause == b.cause) {
        for change in alike.iter().take(LINES_MAX) {
            if heading != area(change.cause) {
                heading = area(change.cause);
                let _ = writeln!(text, "  {heading}");
            }
            let _ = writeln!(text, "    {}", change_text(change));
            for (sign, lines) in [('-', &change.lost), ('+', &change.gained)] {
                for line in lines.iter().take(LINES_MAX) {
                    let _ = writeln!(text, "      {sign} {}", line_text(line));
                }
                more(&mut text, "      ", lines.len());
            }
        }
        more(&mut text, "    ", alike.len());
    }
    text
}

/// Counts the lines alike that are not told.
fn more(text: &mut String, indent: &str, lines: usize) {
    if let Some(more @ 1..) = lines.checked_sub(LINES_MAX) {
        let _ = writeln!(text, "{indent}... {more} more such lines");
    }
}

fn effect_text(sign: char, effect: &Effect<'_>) -> String {
    let Effect {
        permissions,
        rule,
        users,
    } = effect;
    // Whoever gains is denied something no more.
    let lifted = match (sign, rule.effect) {
        ('+', RuleEffect::Deny) => "no longer ",
        _ => "",
    };
    format!(
        "{sign} {}: {lifted}{} -- {}: {}",
        listed(permissions, PERMISSIONS_MAX),
        rule_text(rule),
        count(users.len(), "user", "users"),
        listed(users, NAMES_MAX),
    )
}

fn line_text(line: &Line<'_>) -> String {
    let permissions = listed(&line.permissions, PERMISSIONS_MAX);
    format!("{permissions}: {}", rule_text(&line.rule))
}

fn rule_text(rule: &Rule<'_>) -> String {
    let mut text = match rule.effect {
        RuleEffect::Grant => rule.scopes.join(", "),
        RuleEffect::Deny => "denied".to_owned(),
    };
    if let Some(when) = &rule.when {
        let _ = write!(text, " when {when}");
    }
    text + &limits_text(rule.limits.as_ref())
}

/// ` (in bank-x, until 2026-02-01T00:00:00Z)`
fn limits_text(limits: Option<&Limits<'_>>) -> String {
    let Some(limits) = limits else {
        return String::new();
    };
    let mut parts = Vec::new();
    let projects = limits.projects.as_ref();
    parts.extend(projects.map(|projects| format!("in {}", listed(projects, NAMES_MAX))));
    parts.extend(limits.from.as_ref().map(|from| format!("from {from}")));
    parts.extend(limits.until.as_ref().map(|until| format!("until {until}")));
    parts.extend(limits.on_shift.then(|| "on shift".to_owned()));
    format!(" ({})", parts.join(", "))
}

fn change_text(change: &Change<'_>) -> String {
    let sign = match change.event {
        Event::Added => '+',
        Event::Removed => '-',
        Event::Changed => '~',
    };
    let mut text = format!("{sign} {}", what(change.cause, change.event));
    if !change.name.is_empty() {
        let _ = write!(text, " {}", change.name);
    }
    if !change.aliases.is_empty() {
        let _ = write!(text, " {}", listed(&change.aliases, NAMES_MAX));
    }
    text.push_str(&limits_text(change.limits.as_ref()));
    match (&change.old, &change.new) {
        (None, None) => {}
        // Of a set: what came to it, or went.
        (None, Some(come)) if is_set(change.cause) => {
            let _ = write!(text, ": + {come}");
        }
        (Some(gone), None) if is_set(change.cause) => {
            let _ = write!(text, ": - {gone}");
        }
        (old, new) => {
            let of = |side: &Option<_>| side.as_deref().unwrap_or("none").to_owned();
            let _ = write!(text, ": {} -> {}", of(old), of(new));
        }
    }
    if !change.users.is_empty() || change.cause == Cause::Role {
        let users = count(change.users.len(), "user", "users");
        let _ = write!(text, " -- {users}");
    }
    if !change.users.is_empty() {
        let _ = write!(text, ": {}", listed(&change.users, NAMES_MAX));
    }
    if !change.objects.is_empty() {
        let objects = count(change.objects.len(), "object", "objects");
        let _ = write!(
            text,
            " -- {objects}: {}",
            listed(&change.objects, NAMES_MAX)
        );
    }
    text
}

/// Names, the first of them if they are many.
fn listed<T: AsRef<str>>(names: &[T], most: usize) -> String {
    let told: Vec<&str> = names.iter().take(most).map(AsRef::as_ref).collect();
    match names.len() - told.len() {
        0 => told.join(", "),
        more => format!("{} and {more} more", told.join(", ")),
    }
}

const fn is_set(cause: Cause) -> bool {
    matches!(
        cause,
        Cause::ResourceType | Cause::Action | Cause::RoleProject | Cause::Route
    )
}

const fn area(cause: Cause) -> &'static str {
    match cause {
        Cause::Security | Cause::SubjectType | Cause::Clocks => "company",
        Cause::Mark | Cause::ResourceType | Cause::Action => "catalogue",
        Cause::Group | Cause::Department | Cause::DepartmentParent | Cause::Project => "places",
        Cause::Role | Cause::RoleProject | Cause::ImplicitRole => "roles",
        Cause::User
        | Cause::UserActive
        | Cause::UserAlias
        | Cause::Assignment
        | Cause::UserGroup
        | Cause::UserDepartment
        | Cause::UserTeam
        | Cause::LedGroup
        | Cause::LedDepartment
        | Cause::UserProject
        | Cause::UserProperty
        | Cause::UserShift => "users",
        Cause::Object
        | Cause::ObjectOwner
        | Cause::ObjectGroup
        | Cause::ObjectDepartment
        | Cause::ObjectProject
        | Cause::OperatorUser
        | Cause::OperatorTeam
        | Cause::OperatorGroup
        | Cause::OperatorDepartment
        | Cause::ObjectProperty => "objects",
        Cause::Route => "routes",
    }
}

const fn what(cause: Cause, event: Event) -> &'static str {
    match (cause, event) {
        (Cause::Security, _) => "security",
        (Cause::SubjectType, _) => "subject type",
        (Cause::Clocks, _) => "clocks of the time zone",
        (Cause::Mark, _) => "mark",
        (Cause::ResourceType, _) => "type",
        (Cause::Action, _) => "action",
        (Cause::Group | Cause::UserGroup | Cause::ObjectGroup, _) => "group",
        (Cause::Department | Cause::UserDepartment | Cause::ObjectDepartment, _) => "department",
        (Cause::DepartmentParent, _) => "parent of department",
        (Cause::Project | Cause::UserProject | Cause::ObjectProject, _) => "project",
        (Cause::Role | Cause::Assignment, _) => "role",
        (Cause::RoleProject, _) => "projects of role",
        (Cause::ImplicitRole, _) => "role of everybody",
        (Cause::User, Event::Changed) => "id",
        (Cause::User | Cause::Object, Event::Added) => "new",
        (Cause::User | Cause::Object, _) => "gone",
        (Cause::UserActive, _) => "active",
        (Cause::UserAlias, _) => "aliases",
        (Cause::UserTeam, _) => "team",
        (Cause::LedGroup, _) => "leads group",
        (Cause::LedDepartment, _) => "leads department",
        (Cause::UserProperty | Cause::ObjectProperty, _) => "property",
        (Cause::UserShift, _) => "shift",
        (Cause::ObjectOwner, _) => "owner",
        (Cause::OperatorUser, _) => "operator",
        (Cause::OperatorTeam, _) => "operators: team",
        (Cause::OperatorGroup, _) => "operators: group",
        (Cause::OperatorDepartment, _) => "operators: department",
        (Cause::Route, _) => "route",
    }
}
