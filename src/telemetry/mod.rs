//! What the process tells of itself: metrics, logs and spans. None ever holds who asked for what.

mod callers;
mod family;
mod identity;
mod labels;
mod log;
mod metrics;
#[cfg(feature = "otlp")]
mod otlp;
mod proxies;
mod shard;
mod spans;
mod trace;

pub use family::{counter, gauge, histogram};
pub use labels::{Api, CallerRefused, Code, CredentialFile, Handshake, Limit};
pub use log::init as init_log;
pub use metrics::Metrics;
pub use proxies::ProxyRefused;
pub use shard::Shard;
pub use spans::{Begun, Spans, Tracer};
pub use trace::TraceParent;
