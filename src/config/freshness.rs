//! What snapshots must prove, where they are kept, and how old they may grow.

use std::path::PathBuf;
use std::time::Duration;

use super::texts;

/// How old snapshots may grow, and what then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freshness {
    /// The greatest age; none: any.
    pub max_staleness: Option<Duration>,
    /// What happens beyond it.
    pub when_stale: WhenStale,
}

/// What happens when what decides is too old.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenStale {
    /// It goes on deciding, and the log says so.
    Serve,
    /// Every check is denied.
    Deny,
    /// It goes on deciding, and the service is not ready.
    Unready,
}

impl Default for Freshness {
    fn default() -> Self {
        Self {
            max_staleness: None,
            when_stale: WhenStale::Serve,
        }
    }
}

/// What a source of snapshots is held to.
#[derive(Clone, Debug, Default)]
pub struct SnapshotRules {
    /// Files of the keys whose signatures are trusted; none: a signature is not asked for.
    pub trust_keys: Vec<PathBuf>,
    /// Whether snapshots may be older than what ran before.
    pub accept_rollback: bool,
    /// Where what runs is kept for the next start.
    pub cache: Option<PathBuf>,
    /// Authorities of a source's certificate, PEM, besides the system's.
    pub source_ca: Option<PathBuf>,
    /// What decides beside, for comparison.
    pub shadow: Option<PathBuf>,
}

/// The longest age that can be asked for.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);

pub(super) fn staleness(text: &str) -> Result<Option<Duration>, String> {
    let age = text.parse::<jiff::SignedDuration>().ok();
    age.and_then(|age| Duration::try_from(age).ok())
        .filter(|age| (Duration::from_millis(1)..=LONGEST).contains(age))
        .map(Some)
        .ok_or_else(|| format!("`{text}` is no age from 1ms to 8784h, such as 15m or 48h"))
}

pub(super) fn when_stale(text: &str) -> Result<WhenStale, String> {
    match text {
        "serve" => Ok(WhenStale::Serve),
        "deny" => Ok(WhenStale::Deny),
        "unready" => Ok(WhenStale::Unready),
        _ => Err(format!("`{text}` is neither `serve`, `deny` nor `unready`")),
    }
}

pub(super) fn some_source(text: &str) -> Result<Option<PathBuf>, String> {
    texts::source(text).map(Some)
}

pub(super) fn path(text: &str) -> Result<PathBuf, String> {
    Ok(PathBuf::from(text))
}

impl super::Reader<'_> {
    pub(super) fn snapshots(&mut self) -> SnapshotRules {
        SnapshotRules {
            trust_keys: self.many("trust-key", path),
            accept_rollback: self.one("accept-rollback", texts::boolean, || false),
            cache: self.one("cache", texts::file, || None),
            source_ca: self.one("source-ca", texts::file, || None),
            shadow: self.one("shadow", some_source, || None),
        }
    }

    pub(super) fn freshness(&mut self) -> Freshness {
        let default = Freshness::default();
        Freshness {
            max_staleness: self.one("max-staleness", staleness, || None),
            when_stale: self.one("when-stale", when_stale, || default.when_stale),
        }
    }
}
