//! Reverse proxies: whether a request may pass that a proxy asks about.
//!
//! ```text
//! headers, or the request itself ──▶ Original ──▶ Understood ──▶ route ──▶ identity ──▶ decision
//!          `request`                    `target`: one reading only     `decision`
//! ```
//!
//! Every interface of proxies comes to `decision::decide`, and knows of its own protocol alone.
//! Nothing on the way out of it is an error: what cannot be decided is denied.

pub(super) mod decision;
pub(super) mod gate;
pub(super) mod http;
pub(super) mod request;
pub mod target;
