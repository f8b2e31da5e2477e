//! callgate

pub mod cli;
pub mod companies;
pub mod decide;
pub mod model;
pub mod policy;
pub mod snapshot;
pub mod source;
