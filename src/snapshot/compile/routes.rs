//! Routes: a tree of path segments for each host.
//!
//! A router library would build such a tree too, but of its own pointers: none of those that are
//! kept (matchit, path-tree, route-recognizer) can lie in a file, or be read without being built
//! anew. A tree of rows takes fewer lines than turning one into the other.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::super::origins::RouteOriginRow;
use super::super::tables::{
    NONE, PART_REST, PART_SEGMENT, PART_TEXT, ROUTE_AUTHENTICATED, ROUTE_CHECK, ROUTE_PUBLIC,
    RouteEdgeRow, RouteHostRow, RouteLineRow, RouteNodeRow, RoutePartRow, Span,
};
use super::Builder;
use super::catalogue::Permissions;
use crate::policy::{Route, RouteRule, Segment};

/// A path so far.
#[derive(Default)]
struct Node<'p> {
    literals: BTreeMap<&'p str, usize>,
    capture: Option<usize>,
    rest: Option<usize>,
    lines: Vec<&'p Route>,
}

/// A part of an id.
enum Part<'p> {
    Text(&'p str),
    Capture(&'p str),
}

// === impl Builder ===

impl<'p> Builder<'p> {
    pub(super) fn routes(&mut self, permissions: &Permissions) {
        let mut routes: Vec<&Route> = self.policy.routes.iter().collect();
        // Their order decides nothing; so the tables must not depend on it.
        routes.sort_by(|a, b| order(a).cmp(&order(b)));
        let mut nodes: Vec<Node<'p>> = Vec::new();
        let mut hosts: BTreeMap<Option<&str>, usize> = BTreeMap::new();
        for route in routes {
            let root = hosts.entry(route.host.as_deref());
            let mut at = *root.or_insert_with(|| add(&mut nodes));
            for segment in &route.path {
                at = behind(&mut nodes, at, segment);
            }
            nodes[at].lines.push(route);
        }
        let any_host = hosts.remove(&None);
        let mut rows: Vec<RouteHostRow> = Vec::new();
        for (host, node) in hosts {
            let host = host.map_or(NONE, |host| self.intern(host));
            rows.push(RouteHostRow {
                host,
                node: node as u32,
            });
        }
        rows.extend(any_host.map(|node| RouteHostRow {
            host: NONE,
            node: node as u32,
        }));
        self.tables.route_hosts = rows.into();
        self.route_nodes(&nodes, permissions);
    }

    fn route_nodes(&mut self, nodes: &[Node<'p>], permissions: &Permissions) {
        let (mut rows, mut edges) = (Vec::new(), Vec::<RouteEdgeRow>::new());
        let (mut lines, mut parts) = (Vec::<RouteLineRow>::new(), Vec::new());
        for node in nodes {
            let number = |node: Option<usize>| node.map_or(NONE, |node| node as u32);
            rows.push(RouteNodeRow {
                literals: span(edges.len(), node.literals.len()),
                capture: number(node.capture),
                rest: number(node.rest),
                lines: span(lines.len(), node.lines.len()),
            });
            for (&segment, &node) in &node.literals {
                edges.push(RouteEdgeRow {
                    segment: self.intern(segment),
                    node: node as u32,
                });
            }
            for route in &node.lines {
                let line = self.route_line(route, permissions, &mut parts);
                lines.push(line);
                self.gathered.routes.push(RouteOriginRow {
                    file: route.place.file,
                    line: route.place.line,
                });
            }
        }
        self.tables.route_nodes = rows.into();
        self.tables.route_edges = edges.into();
        self.tables.route_lines = lines.into();
        self.tables.route_parts = parts.into();
    }

    fn route_line(
        &mut self,
        route: &'p Route,
        permissions: &Permissions,
        parts: &mut Vec<RoutePartRow>,
    ) -> RouteLineRow {
        let mut row = RouteLineRow {
            methods: self.text_list(&route.methods),
            rule: ROUTE_PUBLIC,
            permission: NONE,
            section: 0,
            id: Span::default(),
            properties: NONE,
        };
        match &route.rule {
            RouteRule::Public => {}
            RouteRule::Authenticated => row.rule = ROUTE_AUTHENTICATED,
            RouteRule::Check {
                kind,
                action,
                id,
                section,
                properties,
            } => {
                row.rule = ROUTE_CHECK;
                row.permission = permissions.of(*kind, *action);
                row.section = u32::from(*section);
                row.properties = self.texts.properties(properties);
                let start = parts.len();
                for part in id.as_deref().map(template).unwrap_or_default() {
                    parts.push(self.route_part(&part, &route.path));
                }
                row.id = span(start, parts.len() - start);
            }
        }
        row
    }

    fn route_part(&mut self, part: &Part<'p>, path: &[Segment]) -> RoutePartRow {
        match part {
            Part::Text(text) => RoutePartRow {
                tag: PART_TEXT,
                value: self.intern(text),
            },
            Part::Capture(name) => {
                let is = |segment: &Segment| segment.capture() == Some(name);
                let at = path.iter().position(is).unwrap_or(usize::MAX);
                let tag = match path.get(at) {
                    Some(Segment::Rest(_)) => PART_REST,
                    _ => PART_SEGMENT,
                };
                let value = u32::try_from(at).unwrap_or(NONE);
                RoutePartRow { tag, value }
            }
        }
    }
}

fn add(nodes: &mut Vec<Node<'_>>) -> usize {
    nodes.push(Node::default());
    nodes.len() - 1
}

/// The node behind this segment, made if need be.
fn behind<'p>(nodes: &mut Vec<Node<'p>>, at: usize, segment: &'p Segment) -> usize {
    let node = &nodes[at];
    let known = match segment {
        Segment::Literal(text) => node.literals.get(text.as_str()).copied(),
        Segment::Capture(_) => node.capture,
        Segment::Rest(_) => node.rest,
    };
    known.unwrap_or_else(|| {
        let new = add(nodes);
        let node = &mut nodes[at];
        match segment {
            Segment::Literal(text) => drop(node.literals.insert(text, new)),
            Segment::Capture(_) => node.capture = Some(new),
            Segment::Rest(_) => node.rest = Some(new),
        }
        new
    })
}

fn span(start: usize, length: usize) -> Span {
    Span {
        start: start as u32,
        length: length as u32,
    }
}

/// No two routes are equal in this.
fn order(route: &Route) -> impl Ord + use<'_> {
    let path: Vec<Shape<'_>> = route.path.iter().map(Shape).collect();
    (route.host.as_deref(), path, &route.methods)
}

/// A segment, whatever it calls what it captures.
struct Shape<'p>(&'p Segment);

impl Shape<'_> {
    fn key(&self) -> (u8, &str) {
        match self.0 {
            Segment::Literal(text) => (0, text),
            Segment::Capture(_) => (1, ""),
            Segment::Rest(_) => (2, ""),
        }
    }
}

impl Ord for Shape<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl PartialOrd for Shape<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Shape<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Shape<'_> {}

/// The parts of an id; a brace that is doubled stands for itself. What is wrong with it was told
/// when it was read.
fn template(id: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = id;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, from) = rest.split_at(at);
        let doubled = from.starts_with("{{") || from.starts_with("}}");
        let (text, part, behind) = if doubled {
            let (brace, behind) = from.split_at(1);
            let behind = behind.strip_prefix(['{', '}']).unwrap_or(behind);
            (before, Part::Text(brace), behind)
        } else {
            let (name, behind) = from.split_once('}').unwrap_or((from, ""));
            let name = name.strip_prefix('{').unwrap_or(name);
            (before, Part::Capture(name), behind)
        };
        if !text.is_empty() {
            parts.push(Part::Text(text));
        }
        parts.push(part);
        rest = behind;
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest));
    }
    parts
}
