//! callgate

pub mod companies;
pub mod decide;
pub mod model;
#[doc(hidden)]
pub mod oracle;
pub mod policy;
pub mod snapshot;
