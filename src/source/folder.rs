//! A folder as a source: what it holds, what of it changed, and its bytes once it holds still.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use blake3::Hash;

use super::aside::Hurry;
use super::listing::{self, Contents, Unit, unreadable};
use super::stamp::Stamp;
use super::{Kind, SourceError};

/// The largest policy or snapshot file that is read.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// The files of a unit: path within the source → bytes.
pub(crate) type Files = BTreeMap<String, Arc<[u8]>>;

/// A folder that is looked at again and again.
///
/// INVARIANT: bytes leave only through [`Folder::read`], and only such as the last look digested,
/// of files that held still before, while and after they were read.
pub(crate) struct Folder {
    root: PathBuf,
    /// How long a unit must keep its stamps before it is read.
    settle: Duration,
    /// Found once and kept: a policy tree that loses `companies/` is broken, not a folder of snapshots.
    kind: Option<Kind>,
    seen: BTreeMap<Unit, Seen>,
    known: HashMap<String, Known>,
    hurry: Hurry,
}

/// How a unit looked last, and since when.
struct Seen {
    contents: Contents,
    since: Instant,
    /// Since when it has not held still.
    restless: Option<Instant>,
}

/// A file's digest, good for as long as the file bears this stamp.
struct Known {
    stamp: Stamp,
    digest: Hash,
    /// Whether the stamp was old when the file was read, so that an equal one proves equal content.
    sure: bool,
}

/// What a look says of a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It is being changed, for so long already.
    Restless(Duration),
    /// It cannot be read, and so it stays for now.
    Unreadable(String),
    /// It holds still; this is the digest of its files' names and contents.
    Still(Hash),
}

/// Why a unit's bytes were not had.
#[derive(Debug)]
pub(crate) enum ReadError {
    /// It changed meanwhile: look again.
    Changed,
    /// It cannot be read.
    Unreadable(String),
}

// === impl Folder ===

impl Folder {
    pub(crate) fn new(root: PathBuf, settle: Duration) -> Self {
        Self {
            root,
            settle,
            kind: None,
            seen: BTreeMap::new(),
            known: HashMap::new(),
            hurry: Hurry::default(),
        }
    }

    /// The same, whose looks stop where they have to hurry: then what they give says nothing.
    pub(crate) fn heeding(self, hurry: Hurry) -> Self {
        Self { hurry, ..self }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Which kind of source this is, once a look has found out.
    pub(crate) fn kind(&self) -> Option<Kind> {
        self.kind
    }

    /// What every unit of the folder is now. `full`: trust no stamp, read every file.
    pub(crate) fn look(&mut self, full: bool) -> Result<BTreeMap<Unit, State>, SourceError> {
        let kind = match self.kind {
            Some(kind) => kind,
            None => *self.kind.insert(listing::kind(&self.root)?),
        };
        let listed = listing::list(&self.root, kind, &self.hurry)?;
        self.seen.retain(|unit, _| listed.contains_key(unit));
        let now = Instant::now();
        for (unit, contents) in listed {
            let seen = self.seen.entry(unit).or_insert_with(|| Seen {
                contents: contents.clone(),
                since: now,
                restless: Some(now),
            });
            if seen.contents != contents {
                seen.contents = contents;
                seen.since = now;
                seen.restless.get_or_insert(now);
            }
        }
        self.forget_files();
        Ok(self.states(now, full))
    }

    /// The bytes of a unit, as the last look digested them.
    pub(crate) fn read(&self, unit: &Unit) -> Result<Files, ReadError> {
        let Some(Seen {
            contents: Ok(contents),
            ..
        }) = self.seen.get(unit)
        else {
            return Err(ReadError::Changed);
        };
        let mut files = Files::new();
        for (path, stamp) in contents {
            let bytes = read_file(&self.root, path, stamp)?;
            let digested = self.known.get(path).map(|known| known.digest);
            if digested != Some(blake3::hash(&bytes)) {
                return Err(ReadError::Changed);
            }
            files.insert(path.clone(), bytes.into());
        }
        Ok(files)
    }

    /// Where the one file of a unit lies, as the last look found it.
    pub(crate) fn path(&self, unit: &Unit) -> Option<PathBuf> {
        let contents = self.seen.get(unit)?.contents.as_ref().ok()?;
        contents.keys().next().map(|file| self.root.join(file))
    }

    fn states(&mut self, now: Instant, full: bool) -> BTreeMap<Unit, State> {
        let mut states = BTreeMap::new();
        for (unit, seen) in &mut self.seen {
            if self.hurry.is_set() {
                break;
            }
            let state = if now.duration_since(seen.since) < self.settle {
                None
            } else {
                match &seen.contents {
                    Err(message) => Some(State::Unreadable(message.clone())),
                    Ok(files) => match digest(&self.root, files, &mut self.known, full) {
                        Ok(digest) => Some(State::Still(digest)),
                        Err(ReadError::Unreadable(message)) => Some(State::Unreadable(message)),
                        Err(ReadError::Changed) => {
                            seen.since = now;
                            None
                        }
                    },
                }
            };
            let state = match state {
                Some(state) => {
                    seen.restless = None;
                    state
                }
                None => {
                    let since = *seen.restless.get_or_insert(now);
                    State::Restless(now.duration_since(since))
                }
            };
            states.insert(unit.clone(), state);
        }
        states
    }

    /// Drops the digests of files that are there no more.
    fn forget_files(&mut self) {
        let seen = &self.seen;
        let listed = || {
            let contents = seen.values().filter_map(|seen| seen.contents.as_ref().ok());
            contents.flat_map(BTreeMap::keys)
        };
        if self.known.len() > listed().count() {
            let listed: HashSet<&String> = listed().collect();
            self.known.retain(|path, _| listed.contains(path));
        }
    }
}

/// The digest of a unit: of its files' names and contents, in the order of the names.
fn digest(
    root: &Path,
    files: &BTreeMap<String, Stamp>,
    known: &mut HashMap<String, Known>,
    full: bool,
) -> Result<Hash, ReadError> {
    let mut unit = blake3::Hasher::new();
    for (path, stamp) in files {
        let trusted = known
            .get(path)
            .filter(|known| !full && known.sure && known.stamp == *stamp);
        let digest = match trusted {
            Some(known) => known.digest,
            None => {
                let sure = !stamp.is_young(SystemTime::now());
                let digest = digest_file(root, path, stamp)?;
                let read = Known {
                    stamp: *stamp,
                    digest,
                    sure,
                };
                known.insert(path.clone(), read);
                digest
            }
        };
        // A name holds no NUL, so two lists of files never run into the same bytes.
        unit.update(path.as_bytes()).update(&[0]);
        unit.update(digest.as_bytes());
    }
    Ok(unit.finalize())
}

/// Reads the very file that bore the stamp, and only if it bears it still when it has been read.
fn read_file(root: &Path, within: &str, stamp: &Stamp) -> Result<Vec<u8>, ReadError> {
    let mut bytes = Vec::with_capacity(usize::try_from(stamp.size).unwrap_or_default());
    read_out(root, within, stamp, |file| {
        file.read_to_end(&mut bytes).map(|_| bytes.len() as u64)
    })?;
    Ok(bytes)
}

/// As [`read_file`], without holding it.
fn digest_file(root: &Path, within: &str, stamp: &Stamp) -> Result<Hash, ReadError> {
    let mut hasher = blake3::Hasher::new();
    read_out(root, within, stamp, |file| {
        hasher.update_reader(file).map(|hasher| hasher.count())
    })?;
    Ok(hasher.finalize())
}

/// Calls `read` with the very file that bore the stamp; right only if it bears it still then, and
/// as many bytes were read as it says.
fn read_out(
    root: &Path,
    within: &str,
    stamp: &Stamp,
    read: impl FnOnce(&mut dyn Read) -> std::io::Result<u64>,
) -> Result<(), ReadError> {
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => ReadError::Changed,
        _ => ReadError::Unreadable(unreadable(within, &error)),
    };
    if stamp.size > FILE_BYTES_MAX {
        return Err(ReadError::Unreadable(format!(
            "`{within}` has {} bytes, at most {FILE_BYTES_MAX}",
            stamp.size
        )));
    }
    let mut file = File::open(root.join(within)).map_err(failed)?;
    let unchanged = |file: &File| -> Result<bool, ReadError> {
        Ok(Stamp::of(&file.metadata().map_err(failed)?) == *stamp)
    };
    if !unchanged(&file)? {
        return Err(ReadError::Changed);
    }
    // One byte more than there should be shows a file that grew; a larger one is not read out.
    let taken = read(&mut (&mut file).take(stamp.size + 1)).map_err(failed)?;
    if taken != stamp.size || !unchanged(&file)? {
        return Err(ReadError::Changed);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
