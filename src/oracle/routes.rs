//! Which line of the routes is about an HTTP request: all lines are tried, and those that match are
//! laid side by side.
//!
//! Choice: one slash at the end of a path says nothing. Choice: `{*rest}` also takes nothing, so that
//! `/admin/{*rest}` speaks of `/admin` too. Choice: where some lines are of one host and the
//! request's is not known, nobody passes.

use crate::model::HttpRequest;
use crate::policy::{Policy, Route, RouteRule, Segment};

/// What the routes say of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Routed {
    /// No line is about its path.
    NoRoute,
    /// Lines are, and none about its method.
    MethodNotAllowed,
    /// Its host is not known, and must be.
    HostUnknown,
    /// This line counts; of a check, with this id.
    Line(Route, Option<String>),
}

/// Reads the routes once more, line by line.
#[must_use]
pub fn route(policy: &Policy, request: &HttpRequest<'_>) -> Routed {
    let named = policy.routes.iter().any(|route| route.host.is_some());
    if named && request.host.is_none() {
        return Routed::HostUnknown;
    }
    let path = request.path.strip_prefix('/').unwrap_or("//");
    let path = path.strip_suffix('/').unwrap_or(path);
    let segments: Vec<&str> = match path {
        "" => Vec::new(),
        path => path.split('/').collect(),
    };
    let mut about: Vec<&Route> = policy
        .routes
        .iter()
        .filter(|route| route.host.is_none() || route.host.as_deref() == request.host)
        .filter(|route| matches(&route.path, &segments))
        .collect();
    about.sort_by_key(|route| place(route));
    let Some(first) = about.first().map(|route| place(route)) else {
        return Routed::NoRoute;
    };
    about.retain(|route| place(route) == first);
    let named = |route: &&&Route| route.methods.iter().any(|method| method == request.method);
    let line = about.iter().find(named);
    let line = line.or_else(|| about.iter().find(|route| route.methods.is_empty()));
    match line {
        Some(line) => Routed::Line((*line).clone(), id(line, &segments)),
        None => Routed::MethodNotAllowed,
    }
}

fn matches(pattern: &[Segment], segments: &[&str]) -> bool {
    match (pattern.split_first(), segments.split_first()) {
        (None, None) | (Some((Segment::Rest(_), _)), _) => true,
        (Some((Segment::Literal(text), pattern)), Some((segment, segments))) => {
            text == segment && matches(pattern, segments)
        }
        (Some((Segment::Capture(_), pattern)), Some((segment, segments))) => {
            !segment.is_empty() && matches(pattern, segments)
        }
        (Some(_), None) | (None, Some(_)) => false,
    }
}

/// Where a line stands among those that match the same path: a smaller place comes first.
fn place(route: &Route) -> (bool, Vec<u8>) {
    let path = route.path.iter().map(|segment| match segment {
        Segment::Literal(_) => 0,
        Segment::Capture(_) => 1,
        Segment::Rest(_) => 2,
    });
    (route.host.is_none(), path.collect())
}

/// The id, one letter after the other.
fn id(route: &Route, segments: &[&str]) -> Option<String> {
    let RouteRule::Check { id: Some(id), .. } = &route.rule else {
        return None;
    };
    let mut letters = id.chars().peekable();
    let mut made = String::new();
    while let Some(letter) = letters.next() {
        let doubled = letters.peek() == Some(&letter);
        match letter {
            '{' | '}' if doubled => made.extend(letters.next()),
            '{' => {
                let name: String = letters.by_ref().take_while(|one| *one != '}').collect();
                let at = route.path.iter().position(|segment| match segment {
                    Segment::Literal(_) => false,
                    Segment::Capture(of) | Segment::Rest(of) => *of == name,
                });
                let at = at.expect("INVARIANT: an id's captures are its path's");
                match &route.path[at] {
                    Segment::Rest(_) => {
                        made.push_str(&segments.get(at..).unwrap_or_default().join("/"));
                    }
                    _ => made.push_str(segments[at]),
                }
            }
            letter => made.push(letter),
        }
    }
    Some(made)
}
