//! What people write, read into a [`Policy`] in which every name is resolved.

mod resolved;

pub use resolved::*;
