//! Pure functions over a [`Snapshot`](crate::snapshot::Snapshot).
//!
//! The rule stands in `check.rs` and nowhere else: [`check()`] asks it, [`explain()`] listens to it and asks it what would be if, [`replay()`]
//! asks it. A decision has no clock (time is part of the question), takes no lock, does no I/O,
//! allocates nothing and cannot fail.

mod check;
mod condition;
mod explain;
pub mod filter;
mod replay;
mod resource;
mod roles;
mod route;
pub mod search;
mod shift;
mod user;
mod value;
mod watch;

pub use check::check;
pub use explain::{
    Assignment, Change, Explanation, Member, Place, Reach, RoleLine, RoleSays, Step, Suggestion,
    Test, explain, trace,
};
pub use replay::{FailedTest, replay};
pub use route::{RouteCheck, Routed, Rule, route};
pub use user::{User, user_type};
