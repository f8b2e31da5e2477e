//! callgate

pub mod cli;
pub mod companies;
pub mod config;
pub mod decide;
pub mod model;
pub mod policy;
pub mod server;
pub mod snapshot;
pub mod telemetry;
