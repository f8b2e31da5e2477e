//! How many files the process may have open: each connection is one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files besides connections on the decision listeners: operators' connections, what is read of
/// the source, logs, runtimes.
const OTHERS: u64 = 512;

/// Lets the process open as many files as it may. The limit that most systems begin with is low for
/// programs that are older than they are large, and is theirs to raise.
pub(super) fn raise(connections_max: usize) {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    let most = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => maximum,
        Err(error) => {
            tracing::warn!(%error, "the limit of open files cannot be raised");
            current
        }
    };
    let enough = connections_max as u64 + OTHERS;
    if let Some(most) = most.filter(|most| *most < enough) {
        tracing::warn!(
            most,
            enough,
            "fewer files may be open than --max-connections takes: raise the limit (`ulimit -Hn`, \
             `LimitNOFILE=` in a unit of systemd), or lower --max-connections"
        );
    }
}
