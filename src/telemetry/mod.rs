//! What the process tells of itself: metrics and logs. Neither ever holds who asked for what.

mod callers;
mod family;
mod labels;
mod log;
mod metrics;
mod shard;

pub use family::{counter, gauge, histogram};
pub use labels::{Api, CallerRefused, Code, CredentialFile, Handshake, Limit};
pub use log::init as init_log;
pub use metrics::Metrics;
pub use shard::Shard;
