//! A question: may this subject do this to that, in this context, now?

use super::{Properties, Timestamp};

/// A check as it is asked (AuthZEN 1.0, "Access Evaluation API", plus what is callgate's own).
///
/// Everything is borrowed: a query is made, answered and forgotten without a copy.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a> {
    /// Who asks.
    pub subject: Entity<'a>,
    /// What the subject would do.
    pub action: Action<'a>,
    /// To what.
    pub resource: Entity<'a>,
    /// The circumstances, without the member `callgate`.
    pub context: &'a Properties<'a>,
    /// `context.callgate.section`: may the subject enter this section at all? The resource's id
    /// and properties are not looked at.
    pub section: bool,
    /// `context.callgate.test_role`: decide as if this role and the implicit ones alone were in force.
    pub test_role: Option<&'a str>,
    /// When: the service's own time, or what a policy test says.
    pub now: Timestamp,
}

/// A subject or a resource.
#[derive(Clone, Copy, Debug)]
pub struct Entity<'a> {
    /// The type (`user`, `call`).
    pub kind: &'a str,
    /// The id within the type.
    pub id: &'a str,
    /// What the request tells of it.
    pub properties: &'a Properties<'a>,
}

/// An action.
#[derive(Clone, Copy, Debug)]
pub struct Action<'a> {
    /// The name (`listen`).
    pub name: &'a str,
    /// What the request tells of it.
    pub properties: &'a Properties<'a>,
}

/// An HTTP request, as far as routes look at it.
#[derive(Clone, Copy, Debug)]
pub struct HttpRequest<'a> {
    /// The method, upper case as methods are.
    pub method: &'a str,
    /// The host, lower case, without port; `None`: it is not known.
    pub host: Option<&'a str>,
    /// The path, decoded: from its first slash on, each segment as it is meant.
    pub path: &'a str,
}
