//! Which line of a company's routes is about an HTTP request.
//!
//! Of all lines whose path the request's matches, that one counts which comes first when they are
//! laid side by side: its host before any host, then segment by segment what stands as such before
//! `{name}`, and that before `{*rest}`. The method then picks among the lines of that path, and
//! never leads to a wider one.

use std::borrow::Cow;

use super::replay;
use crate::model::{HttpRequest, Properties, Reason};
use crate::snapshot::Snapshot;
use crate::snapshot::tables::{
    NONE, PART_REST, PART_SEGMENT, PART_TEXT, ROUTE_AUTHENTICATED, ROUTE_CHECK, ROUTE_PUBLIC,
    RouteLineRow, RouteNodeRow, some,
};

/// What the routes say of a request.
#[derive(Debug)]
pub struct Routed<'a> {
    /// Who may pass.
    pub rule: Rule<'a>,
    /// The line that says so; `None`: no line does.
    line: Option<u32>,
}

/// Who may pass.
#[derive(Debug)]
pub enum Rule<'a> {
    /// Nobody: no line is about the path, or none about this method of it.
    Nobody(Reason<'a>),
    /// Nobody can tell: some lines are about one host alone, and that of the request is not known.
    HostUnknown,
    /// Everybody.
    Everybody,
    /// Every user who is active.
    Users,
    /// Who may do this.
    Check(RouteCheck<'a>),
}

/// The check that a request is.
#[derive(Debug)]
pub struct RouteCheck<'a> {
    /// The resource's type.
    pub kind: &'a str,
    /// The action.
    pub action: &'a str,
    /// The resource's id, filled from the path.
    pub id: Cow<'a, str>,
    /// Whether it is a section check.
    pub section: bool,
    /// Constant properties of the resource.
    pub properties: Properties<'a>,
}

/// More segments than any route has; a bound for what a file may say.
const SEGMENTS_MAX: usize = 66;

/// Finds the line about the request. Only an id that is more than one segment, and constant
/// properties, are made anew; all else is borrowed.
#[must_use]
pub fn route<'a>(snapshot: &'a Snapshot, request: &HttpRequest<'a>) -> Routed<'a> {
    let none = |rule| Routed { rule, line: None };
    let Some(path) = request.path.strip_prefix('/') else {
        return none(Rule::Nobody(Reason::NoRoute));
    };
    let path = path.strip_suffix('/').unwrap_or(path);
    let node = match node(snapshot, request.host, path) {
        Ok(Some(node)) => node,
        Ok(None) => return none(Rule::Nobody(Reason::NoRoute)),
        Err(HostUnknown) => return none(Rule::HostUnknown),
    };
    let Some((line, row)) = line(snapshot, node, request.method) else {
        return none(Rule::Nobody(Reason::MethodNotAllowed));
    };
    let rule = match row.rule {
        ROUTE_PUBLIC => Rule::Everybody,
        ROUTE_AUTHENTICATED => Rule::Users,
        ROUTE_CHECK => Rule::Check(check(snapshot, row, path)),
        _ => Rule::Nobody(Reason::NoRoute),
    };
    let line = Some(line);
    Routed { rule, line }
}

/// The host of a request is not known and must be.
struct HostUnknown;

/// The node at which the path ends: among the lines of the host, else among those of any host.
fn node<'s>(
    snapshot: &'s Snapshot,
    host: Option<&str>,
    path: &str,
) -> Result<Option<&'s RouteNodeRow>, HostUnknown> {
    let hosts = &snapshot.tables.route_hosts;
    let (any, named) = match hosts.split_last() {
        Some((last, named)) if last.host == NONE => (Some(last), named),
        _ => (None, &**hosts),
    };
    let own = match host {
        None if !named.is_empty() => return Err(HostUnknown),
        None => None,
        Some(host) => {
            let found = named.binary_search_by(|row| snapshot.text(row.host).cmp(host));
            found.ok().and_then(|found| named.get(found))
        }
    };
    let rest = Some(path).filter(|path| !path.is_empty());
    let below = |node: u32| walk(snapshot, node, rest, SEGMENTS_MAX);
    let found = own.and_then(|row| below(row.node));
    Ok(found.or_else(|| below(any?.node)))
}

/// Goes down the tree with what is left of the path; `None`: no line is there.
fn walk<'s>(
    snapshot: &'s Snapshot,
    node: u32,
    rest: Option<&str>,
    levels: usize,
) -> Option<&'s RouteNodeRow> {
    let nodes = &snapshot.tables.route_nodes;
    let row = nodes.get(node as usize)?;
    let levels = levels.checked_sub(1)?;
    let remainder = || nodes.get(some(row.rest)? as usize);
    let Some(rest) = rest else {
        return if row.lines.length == 0 {
            remainder()
        } else {
            Some(row)
        };
    };
    let (segment, behind) = match rest.split_once('/') {
        Some((segment, behind)) => (segment, Some(behind)),
        None => (rest, None),
    };
    let literals = row.literals.of(&snapshot.tables.route_edges);
    let same = literals.binary_search_by(|edge| snapshot.text(edge.segment).cmp(segment));
    let literal = same.ok().and_then(|found| literals.get(found));
    let literal = literal.and_then(|edge| walk(snapshot, edge.node, behind, levels));
    literal
        .or_else(|| {
            let capture = some(row.capture).filter(|_| !segment.is_empty())?;
            walk(snapshot, capture, behind, levels)
        })
        .or_else(remainder)
}

/// The line for the method: one that names it before one for all.
fn line<'s>(
    snapshot: &'s Snapshot,
    node: &RouteNodeRow,
    method: &str,
) -> Option<(u32, &'s RouteLineRow)> {
    let lines = node.lines.of(&snapshot.tables.route_lines);
    let lines = (node.lines.start..).zip(lines);
    let mut for_all = None;
    for (number, row) in lines {
        let methods = snapshot.list(row.methods);
        if methods.is_empty() {
            for_all = Some((number, row));
        } else if methods.iter().any(|&of| snapshot.text_is(of, method)) {
            return Some((number, row));
        }
    }
    for_all
}

fn check<'a>(snapshot: &'a Snapshot, row: &RouteLineRow, path: &'a str) -> RouteCheck<'a> {
    let permission = snapshot.permission(row.permission);
    let kind = permission.and_then(|permission| snapshot.kind(permission.kind));
    RouteCheck {
        kind: kind.map_or("", |kind| snapshot.text(kind.name)),
        action: permission.map_or("", |permission| snapshot.text(permission.name)),
        id: id(snapshot, row, path),
        section: row.section != 0,
        properties: replay::properties(snapshot, row.properties),
    }
}

/// The id that a line makes of a path.
fn id<'a>(snapshot: &'a Snapshot, row: &RouteLineRow, path: &'a str) -> Cow<'a, str> {
    let part = |tag: u32, value: u32| match tag {
        PART_TEXT => snapshot.text(value),
        PART_SEGMENT => path.split('/').nth(value as usize).unwrap_or(""),
        PART_REST => from_segment(path, value as usize),
        _ => "",
    };
    match row.id.of(&snapshot.tables.route_parts) {
        [one] => Cow::Borrowed(part(one.tag, one.value)),
        parts => parts
            .iter()
            .map(|row| part(row.tag, row.value))
            .collect::<String>()
            .into(),
    }
}

/// The path from the segment at this position on.
fn from_segment(path: &str, position: usize) -> &str {
    let Some(before) = position.checked_sub(1) else {
        return path;
    };
    let slash = path.match_indices('/').nth(before);
    slash.map_or("", |(at, _)| path.get(at + 1..).unwrap_or(""))
}

// === impl Routed ===

impl Routed<'_> {
    /// File and line of the line that counts.
    #[must_use]
    pub fn place<'s>(&self, snapshot: &'s Snapshot) -> Option<(&'s str, u32)> {
        let line = snapshot.route_line(self.line?)?;
        Some((snapshot.file_path(line.file), line.line))
    }
}
