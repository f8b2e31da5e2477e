//! Logs: to the standard error stream, as text or JSON.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{LevelFilter, ParseError};

/// Libraries that would fill the log, and what is logged of them unless the filter names them. `h2`
/// warns of clients that do what they should not, which anybody may; `notify` tells of each watched
/// folder that went, as at each swap of a mounted volume; `object_store` and `async_nats` of each
/// attempt at a source that is gone, of which the source itself tells once.
const LIBRARIES: [(&str, LevelFilter); 4] = [
    ("async_nats", LevelFilter::ERROR),
    ("h2", LevelFilter::ERROR),
    ("notify", LevelFilter::WARN),
    ("object_store", LevelFilter::WARN),
];

/// Sends what is logged to the standard error stream: JSON objects or text, which is coloured on a
/// terminal. A second call changes nothing.
///
/// # Errors
/// A filter that cannot be read.
pub fn init(json: bool, filter: &str) -> Result<(), ParseError> {
    let told = with_libraries(filter)?;
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

/// The filter, and what is logged of libraries that it does not name: never more than of callgate.
fn with_libraries(filter: &str) -> Result<EnvFilter, ParseError> {
    let mut told = EnvFilter::builder().parse(filter)?;
    let most = told.max_level_hint();
    for (library, level) in LIBRARIES {
        let is_more = most.is_some_and(|most| level > most);
        if !filter.contains(library) && !is_more {
            told = told.add_directive(format!("{library}={level}").parse()?);
        }
    }
    Ok(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_libraries_no_more_is_logged_than_was_asked_for() {
        for (filter, is) in [
            ("off", "off"),
            ("error", "async_nats=error,h2=error,error"),
            (
                "info",
                "async_nats=error,h2=error,notify=warn,object_store=warn,info",
            ),
            (
                "info,h2=debug",
                "async_nats=error,h2=debug,notify=warn,object_store=warn,info",
            ),
        ] {
            let told = with_libraries(filter).unwrap().to_string();
            let parts = |text: &str| {
                text.split(',')
                    .map(str::to_owned)
                    .collect::<std::collections::BTreeSet<_>>()
            };
            assert_eq!(parts(&told), parts(is), "{filter}");
        }
    }
}
