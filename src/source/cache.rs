//! What ran last, kept for a start without the source.
//!
//! A file a company, in the envelope that it came in, and beside them one that says how fresh each
//! was and which generation was the highest. All are written whole or not at all.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Serialize};

use crate::snapshot::{Envelope, Snapshot};

use super::listing::is_plain;
use super::whole::write_whole_with;

/// What is known beside the snapshots.
const STATE: &str = "state.json";
/// Ages are written at most so often.
const AGES: Duration = Duration::from_secs(5);
/// While companies are kept, what is known of them is written at most so often: not for each of
/// thousands. What a process that is killed leaves behind is a state older than the snapshots,
/// which a start takes as they are.
const KEPT: Duration = Duration::from_secs(1);

/// A folder of what ran last.
pub(crate) struct Cache {
    folder: PathBuf,
    state: State,
    written: Instant,
    /// Something was kept or went since.
    changed: bool,
    /// Companies of which what runs could not be written, and in which envelope it came.
    unwritten: BTreeMap<String, Option<Envelope>>,
    /// When that is tried again.
    again_at: Instant,
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
    /// There is no snapshot of it any more.
    #[serde(default)]
    pub(crate) gone: bool,
}

// === impl Cache ===

impl Cache {
    pub(crate) fn open(folder: PathBuf) -> Self {
        let cannot = |error: &dyn std::fmt::Display| {
            let folder = folder.display();
            tracing::error!("the cache `{folder}` is of no use: {error}");
        };
        let mut state = State::default();
        let made = fs::create_dir_all(&folder);
        match made.and_then(|()| fs::read(folder.join(STATE))) {
            Ok(bytes) => match serde_json::from_slice(&bytes) {
                Ok(read) => state = read,
                Err(error) => {
                    cannot(&format!(
                        "{STATE}: {error}; the snapshots in it are taken as they are"
                    ));
                    state.companies = found(&folder);
                }
            },
            // A process that ended early has kept some, and not written which.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                state.companies = found(&folder);
            }
            Err(error) => cannot(&error),
        }
        Self {
            folder,
            state,
            written: Instant::now(),
            changed: false,
            unwritten: BTreeMap::new(),
            again_at: Instant::now(),
            failing: false,
        }
    }

    /// The companies that are known: kept, or gone with the highest generation remembered.
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
        let written = write_snapshot(&self.path(company), snapshot, envelope);
        let kept = self.state.companies.entry(company.to_owned());
        let kept = kept.or_insert_with(|| Kept {
            gone: true,
            ..Kept::default()
        });
        if let Some(said) = envelope.map(Envelope::statement) {
            kept.highest = Some((said.generation, said.body_digest.clone()));
        }
        if written.is_ok() {
            kept.fresh_at = now();
            kept.gone = false;
            self.unwritten.remove(company);
        } else {
            // What lies there is older, and must not be taken for this one.
            let envelope = envelope.cloned();
            self.unwritten.insert(company.to_owned(), envelope);
            self.again_at = Instant::now() + AGES;
        }
        self.say(company, written);
        self.changed = true;
        if self.written.elapsed() >= KEPT {
            self.write();
        }
    }

    /// Notes that what runs is what the source holds; keeps it, if that failed before.
    pub(crate) fn fresh(&mut self, company: &str, running: impl FnOnce() -> Option<Arc<Snapshot>>) {
        if let Some(envelope) = self.unwritten.get(company) {
            if Instant::now() >= self.again_at
                && let (envelope, Some(snapshot)) = (envelope.clone(), running())
            {
                self.keep(company, &snapshot, envelope.as_ref());
            }
        } else if let Some(kept) = self.state.companies.get_mut(company) {
            kept.fresh_at = now();
        }
    }

    /// After a look: writes what was kept, and the ages if it is time to.
    pub(crate) fn tick(&mut self) {
        if self.changed || self.written.elapsed() >= AGES {
            self.write();
        }
    }

    /// Lets a company go, but not which generation of it was the highest: who makes a company go
    /// and come back must not bring back what it was long ago.
    pub(crate) fn remove(&mut self, company: &str) {
        let removed = match fs::remove_file(self.path(company)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
        self.say(company, removed);
        self.unwritten.remove(company);
        if let Some(kept) = self.state.companies.get_mut(company) {
            kept.gone = true;
            self.changed = true;
        }
    }

    fn write(&mut self) {
        self.written = Instant::now();
        self.changed = false;
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

/// What lies in the folder, where nobody knows any more what should: snapshots prove themselves, and
/// were fresh when they were written.
fn found(folder: &Path) -> BTreeMap<String, Kept> {
    let mut companies = BTreeMap::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().into_string().unwrap_or_default();
        let company = name.strip_suffix(".callgate").filter(|name| is_plain(name));
        let written = entry.metadata().and_then(|metadata| metadata.modified());
        if let (Some(company), Ok(at)) = (company, written) {
            let fresh_at = micros(at);
            let kept = Kept {
                fresh_at,
                ..Kept::default()
            };
            companies.insert(company.to_owned(), kept);
        }
    }
    companies
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
    micros(SystemTime::now())
}

fn micros(at: SystemTime) -> u64 {
    let since = at
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

// === impl Kept ===

impl Kept {
    pub(crate) fn fresh_at(&self) -> SystemTime {
        let at = SystemTime::UNIX_EPOCH.checked_add(Duration::from_micros(self.fresh_at));
        // What says to be from the future has an age of nothing, no more.
        at.unwrap_or(SystemTime::UNIX_EPOCH).min(SystemTime::now())
    }
}
