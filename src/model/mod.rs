//! The words of callgate: what is asked, what is answered, and how things are named.
//!
//! This module depends on the standard library alone. The types here are neither
//! serialised nor read from files; wire types and documents live at the edges.

mod ids;
mod query;
mod reason;
mod scope;
mod time;
mod value;

pub use ids::{
    ActionId, DepartmentId, GroupId, ObjectId, ProjectId, RoleId, ShiftId, TeamId, TypeId, UserId,
};
pub use query::{Action, Entity, HttpRequest, Query};
pub use reason::{Decision, Reason};
pub use scope::{Scope, ScopeSet};
pub use time::Timestamp;
pub use value::{Properties, PropertiesError, Value};
pub(crate) use value::{SCANNED_MAX, outline, same};
