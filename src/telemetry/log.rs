//! Logs: to the standard error stream, as text or JSON.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

/// Libraries that would fill the log, and what is logged of them unless the filter names them. `h2`
/// warns of clients that do what they should not, which anybody may; `notify` tells of each watched
/// folder that went, as at each swap of a mounted volume.
const LIBRARIES: [(&str, &str); 2] = [("h2", "error"), ("notify", "warn")];

/// Sends what is logged to the standard error stream: JSON objects or text, which is coloured on a
/// terminal. A second call changes nothing.
///
/// # Errors
/// A filter that cannot be read.
pub fn init(json: bool, filter: &str) -> Result<(), ParseError> {
    let mut told = EnvFilter::builder().parse(filter)?;
    for (library, level) in LIBRARIES {
        if !filter.contains(library) {
            told = told.add_directive(format!("{library}={level}").parse()?);
        }
    }
    let lines = tracing_subscriber::fmt()
        .with_env_filter(told)
        .with_writer(stderr)
        .with_target(false)
        .with_ansi(stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none());
    // It fails only where lines already go somewhere: in tests, where that is well.
    let _ = if json {
        lines.json().flatten_event(true).try_init()
    } else {
        lines.try_init()
    };
    Ok(())
}
