//! callgate

pub mod cli;
pub mod companies;
pub mod config;
pub mod decide;
pub mod model;
#[doc(hidden)]
pub mod oracle;
pub mod policy;
pub mod server;
pub mod snapshot;
pub mod source;
pub mod telemetry;
