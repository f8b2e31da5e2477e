//! Why a source as a whole gave nothing.

use std::io;
use std::path::PathBuf;

use crate::snapshot::OpenError;

/// Why a source as a whole gave nothing. What runs goes on running.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A folder cannot be listed.
    #[error("cannot read `{}`: {error}", path.display())]
    Unreadable {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// There is nothing that could be a company.
    #[error(
        "`{}` holds no company: neither a folder in `companies/` nor a snapshot file `*.callgate`",
        path.display()
    )]
    Empty {
        /// The source.
        path: PathBuf,
    },
    /// There is far too much in it for a source.
    #[error("`{}` holds more than {limit} companies and packs", path.display())]
    TooMany {
        /// The source.
        path: PathBuf,
        /// How many there may be.
        limit: usize,
    },
    /// It is a file, and no snapshot.
    #[error("`{}`: {error}", path.display())]
    NotASnapshot {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: OpenError,
    },
    /// It does not hold still.
    #[error("`{}` was changed again and again while it was read", path.display())]
    Changing {
        /// The source.
        path: PathBuf,
    },
    /// The place where snapshots are published gives nothing.
    #[error("{0}")]
    Unreachable(String),
    /// The source cannot be watched.
    #[error("cannot start the thread that watches the source: {0}")]
    Thread(io::Error),
}
