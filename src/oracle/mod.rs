//! The reference evaluator: the decision model read once more, step by step, over the resolved policy.
//!
//! It exists to be compared with the engine. It has no table, no cache and no cleverness: each
//! question is answered from the policy alone, all of it computed anew, so that a reader can lay
//! these files beside the model. It shares nothing with the engine but the words of
//! [`crate::model`] and the types of [`crate::policy`].
//!
//! | file | what it reads |
//! | --- | --- |
//! | `steps.rs` | the steps of a decision, in their order |
//! | `roles.rs` | step 3: assignments; what a role grants and denies |
//! | `facts.rs` | the facts of a resource and of a user |
//! | `names.rs` | whom and what names mean |
//! | `condition.rs` | conditions, three-valued |
//! | `routes.rs` | which line is about an HTTP request |
//! | `shift.rs` | whether a user is on shift |
//!
//! Where the model is silent, the doc comments of these files say what was chosen ("Choice:").

#![expect(
    clippy::indexing_slicing,
    clippy::expect_used,
    reason = "test support: it may fail by panicking"
)]

mod condition;
mod facts;
mod names;
mod roles;
mod routes;
mod shift;
mod steps;

pub use routes::{Routed, route};
pub use steps::{Bearing, bearing, check};
