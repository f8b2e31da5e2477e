//! What ran last, kept for a start without the source.
//!
//! A file a company, in the envelope that it came in, and beside them one that says how fresh each
//! was and which generation was the highest. All are written whole or not at all.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Serialize};

use crate::snapshot::{Envelope, Snapshot};

use super::whole::write_whole_with;

/// What is known beside the snapshots.
const STATE: &str = "state.json";
/// Ages are written at most so often.
const AGES: Duration = Duration::from_secs(5);

/// A folder of what ran last.
pub(crate) struct Cache {
    folder: PathBuf,
    state: State,
    written: Instant,
    /// It could not be written, which was said.
    failing: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    companies: BTreeMap<String, Kept>,
}

/// What is known of a company.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// The highest generation that ran, and its body's digest.
    pub(crate) highest: Option<(u64, String)>,
    /// Microseconds since the epoch: when what ran was last known to be what the source holds.
    fresh_at: u64,
}

// === impl Cache ===

impl Cache {
    pub(crate) fn open(folder: PathBuf) -> Self {
        let cannot = |error: &dyn std::fmt::Display| {
            let folder = folder.display();
            tracing::error!("the cache `{folder}` is of no use: {error}");
        };
        let mut state = State::default();
        if let Err(error) = fs::create_dir_all(&folder) {
            cannot(&error);
        }
        match fs::read(folder.join(STATE)) {
            Ok(bytes) => match serde_json::from_slice(&bytes) {
                Ok(read) => state = read,
                Err(error) => cannot(&error),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => cannot(&error),
        }
        Self {
            folder,
            state,
            written: Instant::now(),
            failing: false,
        }
    }

    /// The companies that are kept.
    pub(crate) fn companies(&self) -> impl Iterator<Item = (&str, &Kept)> {
        let companies = self.state.companies.iter();
        companies.map(|(company, kept)| (company.as_str(), kept))
    }

    /// Where a company's snapshot is kept.
    pub(crate) fn path(&self, company: &str) -> PathBuf {
        self.folder.join(format!("{company}.callgate"))
    }

    /// Keeps what runs now.
    pub(crate) fn keep(&mut self, company: &str, snapshot: &Snapshot, envelope: Option<&Envelope>) {
        let path = self.path(company);
        let written = write_snapshot(&path, snapshot, envelope);
        let kept = self.state.companies.entry(company.to_owned()).or_default();
        kept.fresh_at = now();
        if let Some(said) = envelope.map(Envelope::statement) {
            kept.highest = Some((said.generation, said.body_digest.clone()));
        }
        self.say(company, written);
        self.write();
    }

    /// Notes that what runs is what the source holds.
    pub(crate) fn fresh(&mut self, company: &str) {
        if let Some(kept) = self.state.companies.get_mut(company) {
            kept.fresh_at = now();
        }
    }

    /// Writes the ages, if it is time to.
    pub(crate) fn tick(&mut self) {
        if self.written.elapsed() >= AGES {
            self.write();
        }
    }

    /// Lets a company go.
    pub(crate) fn remove(&mut self, company: &str) {
        // What is left of it is not looked at without its line in the state.
        let _ = fs::remove_file(self.path(company));
        self.state.companies.remove(company);
        self.write();
    }

    fn write(&mut self) {
        self.written = Instant::now();
        let text = serde_json::to_vec(&self.state).unwrap_or_default();
        let written = super::write_whole(&self.folder.join(STATE), &text);
        self.say(STATE, written);
    }

    fn say(&mut self, what: &str, written: io::Result<()>) {
        match written {
            Ok(()) => self.failing = false,
            Err(error) => {
                if !self.failing {
                    let folder = self.folder.display();
                    tracing::error!("cannot keep {what} in the cache `{folder}`: {error}");
                }
                self.failing = true;
            }
        }
    }
}

fn write_snapshot(path: &Path, snapshot: &Snapshot, envelope: Option<&Envelope>) -> io::Result<()> {
    write_whole_with(path, |file| {
        let mut file = BufWriter::with_capacity(1 << 20, file);
        if let Some(envelope) = envelope {
            file.write_all(&envelope.to_bytes())?;
        }
        snapshot.write_to(&mut file)?;
        file.flush()
    })
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
    })
}

// === impl Kept ===

impl Kept {
    pub(crate) fn fresh_at(&self) -> SystemTime {
        let at = SystemTime::UNIX_EPOCH.checked_add(Duration::from_micros(self.fresh_at));
        // What says to be from the future has an age of nothing, no more.
        at.unwrap_or(SystemTime::UNIX_EPOCH).min(SystemTime::now())
    }
}
