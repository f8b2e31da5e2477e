//! Routes: which HTTP requests are which checks.

use std::collections::BTreeMap;

use super::super::Snapshot;
use super::super::tables::{
    PART_REST, PART_TEXT, ROUTE_AUTHENTICATED, ROUTE_CHECK, RouteLineRow, some,
};
use super::changes::Notes;
use super::numbering::Pair;
use super::{Cause, Change, Event, May};

/// Segments of a route, and more; a bound for what a file may say.
const LEVELS_MAX: usize = 66;

/// A line that came or went may widen or narrow what another one was about: so either may come of
/// it.
pub(super) fn compare<'s, N: Notes<'s>>(pair: &Pair<'s>, changes: &mut N) {
    let (old, new) = (told(pair.old), told(pair.new));
    let mut push = |event, name: &String, old: Option<&String>, new: Option<&String>| {
        let change = Change {
            old: old.cloned().map(Into::into),
            new: new.cloned().map(Into::into),
            may: Some(May::Either),
            ..Change::new(Cause::Route, event, name.clone().into())
        };
        changes.push(change, N::Users::default());
    };
    for (name, says) in &old {
        match new.get(name) {
            None => push(Event::Removed, name, Some(says), None),
            Some(now) if now != says => push(Event::Changed, name, Some(says), Some(now)),
            Some(_) => {}
        }
    }
    for (name, says) in new.iter().filter(|(name, _)| !old.contains_key(*name)) {
        push(Event::Added, name, None, Some(says));
    }
}

/// By method, host and path what each line says; captures bear the position of their segment, since
/// what they are called changes nothing.
fn told(snapshot: &Snapshot) -> BTreeMap<String, String> {
    let mut told = BTreeMap::new();
    for row in snapshot.tables.route_hosts.iter() {
        let host = some(row.host).map_or("", |host| snapshot.text(host));
        below(snapshot, row.node, host.to_owned(), LEVELS_MAX, &mut told);
    }
    told
}

fn below(
    snapshot: &Snapshot,
    node: u32,
    path: String,
    levels: usize,
    told: &mut BTreeMap<String, String>,
) {
    let row = snapshot.tables.route_nodes.get(node as usize);
    let (Some(row), Some(levels)) = (row, levels.checked_sub(1)) else {
        return;
    };
    for line in row.lines.of(&snapshot.tables.route_lines) {
        let shown = if path.contains('/') { "" } else { "/" };
        let methods = snapshot.list(line.methods).iter();
        let mut methods: Vec<&str> = methods.map(|&method| snapshot.text(method)).collect();
        if methods.is_empty() {
            methods.push("any");
        }
        for method in methods {
            told.insert(format!("{method} {path}{shown}"), says(snapshot, line));
        }
    }
    let position = LEVELS_MAX - levels;
    for edge in row.literals.of(&snapshot.tables.route_edges) {
        let path = format!("{path}/{}", snapshot.text(edge.segment));
        below(snapshot, edge.node, path, levels, told);
    }
    if let Some(node) = some(row.capture) {
        below(
            snapshot,
            node,
            format!("{path}/{{{position}}}"),
            levels,
            told,
        );
    }
    if let Some(node) = some(row.rest) {
        let path = format!("{path}/{{*{position}}}");
        below(snapshot, node, path, levels, told);
    }
}

/// `public`, `authenticated`, `settings.edit in general`, `call.view of {2}`
fn says(snapshot: &Snapshot, line: &RouteLineRow) -> String {
    match line.rule {
        ROUTE_CHECK => {}
        ROUTE_AUTHENTICATED => return "authenticated".to_owned(),
        _ => return "public".to_owned(),
    }
    let mut text = snapshot.permission_name(line.permission);
    if line.section != 0 {
        text.push_str(" in general");
    } else {
        text.push_str(" of ");
    }
    for part in line.id.of(&snapshot.tables.route_parts) {
        let position = u64::from(part.value) + 1;
        match part.tag {
            PART_TEXT => text.push_str(snapshot.text(part.value)),
            PART_REST => text.push_str(&format!("{{*{position}}}")),
            _ => text.push_str(&format!("{{{position}}}")),
        }
    }
    if let Some(node) = snapshot.tables.nodes.get(line.properties as usize) {
        text.push_str(" with ");
        text.push_str(&snapshot.value_text(*node));
    }
    text
}
