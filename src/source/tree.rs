//! A source read once, for the command line.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use crate::policy;
use crate::snapshot::{Snapshot, Trust};

use super::candidate::{Candidate, Refusal};
use super::folder::{Files, Folder, ReadError, State};
use super::listing::Unit;
use super::remote::{self, Remote};
use super::{Kind, Outcome, SourceError};

/// How often a source that changes while it is read is read again, and how long after.
const READ_AGAIN: (usize, Duration) = (20, Duration::from_millis(50));

/// A source as it was at one moment.
pub struct Tree {
    kind: Kind,
    /// What each unit holds, or why it cannot be read.
    units: BTreeMap<Unit, Result<Files, String>>,
}

// === impl Tree ===

impl Tree {
    /// Reads all that the source holds. A file is a snapshot, whatever its name.
    ///
    /// # Errors
    /// The source cannot be listed, holds no company, or does not hold still.
    pub fn read(root: &Path) -> Result<Self, SourceError> {
        let root = root.to_owned();
        if remote::is_remote(&root) {
            return Self::read_published(root);
        }
        if root.is_file() {
            return Self::read_snapshot(root);
        }
        let mut folder = Folder::new(root.clone(), Duration::ZERO);
        for _ in 0..READ_AGAIN.0 {
            let states = folder.look(true)?;
            if let (Some(kind), Some(units)) = (folder.kind(), read_units(&folder, states)) {
                return Ok(Self { kind, units });
            }
            sleep(READ_AGAIN.1);
        }
        Err(SourceError::Changing { path: root })
    }

    fn read_snapshot(path: PathBuf) -> Result<Self, SourceError> {
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) => return Err(SourceError::Unreadable { path, error }),
        };
        let opened = Snapshot::open(&mut &*bytes, bytes.len() as u64, &Trust::default());
        let snapshot = match opened {
            Ok((snapshot, _)) => snapshot,
            Err(error) => return Err(SourceError::NotASnapshot { path, error }),
        };
        let company = snapshot.company().to_owned();
        let files = Files::from([(path.display().to_string(), bytes.into())]);
        Ok(Self {
            kind: Kind::Snapshots,
            units: BTreeMap::from([(Unit::Company(company), Ok(files))]),
        })
    }

    fn read_published(place: PathBuf) -> Result<Self, SourceError> {
        let authorities = std::env::var_os("CALLGATE_SOURCE_CA").map(PathBuf::from);
        let mut remote = Remote::new(place, authorities, BTreeSet::new());
        let units = remote.look(true)?.into_keys();
        let units = units.map(|unit| {
            let files = match &unit {
                Unit::Pack(_) => Ok(Files::new()),
                Unit::Company(company) => {
                    let bytes = remote.download(company);
                    bytes
                        .map(|bytes| Files::from([(format!("{company}.callgate"), bytes.into())]))
                        .map_err(|refusal| refusal.message)
                }
            };
            (unit, files)
        });
        Ok(Self {
            kind: Kind::Snapshots,
            units: units.collect(),
        })
    }

    /// What the source holds.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The companies, by name.
    pub fn companies(&self) -> impl Iterator<Item = &str> {
        self.units.keys().filter_map(|unit| match unit {
            Unit::Company(name) => Some(name.as_str()),
            Unit::Pack(_) => None,
        })
    }

    /// The packs, by name.
    pub fn packs(&self) -> impl Iterator<Item = &str> {
        self.units.keys().filter_map(|unit| match unit {
            Unit::Pack(name) => Some(name.as_str()),
            Unit::Company(_) => None,
        })
    }

    /// What would become the company's snapshot.
    ///
    /// # Errors
    /// The company's files, or those of a pack, cannot be read.
    pub fn company(&self, name: &str) -> Result<Candidate, Refusal> {
        let files = self.unit(&Unit::Company(name.to_owned()))?;
        match self.kind {
            Kind::Snapshots => Ok(Candidate::Snapshot(
                files.values().next().cloned().unwrap_or_else(|| [].into()),
            )),
            Kind::Policies => Ok(Candidate::Policies(self.with_packs(files)?)),
        }
    }

    /// The files of all packs.
    ///
    /// # Errors
    /// A pack's files cannot be read.
    pub fn pack_files(&self) -> Result<policy::Files, Refusal> {
        self.with_packs(&Files::new())
    }

    fn with_packs(&self, files: &Files) -> Result<policy::Files, Refusal> {
        let mut all = files.clone();
        for pack in self.packs() {
            all.extend(self.unit(&Unit::Pack(pack.to_owned()))?.clone());
        }
        Ok(all.into_iter().collect())
    }

    fn unit(&self, unit: &Unit) -> Result<&Files, Refusal> {
        let refuse = |message| Refusal::new(Outcome::Unreadable, message);
        match self.units.get(unit) {
            Some(files) => files.as_ref().map_err(|message| refuse(message.clone())),
            None => Err(refuse(format!("the source has no {unit}"))),
        }
    }
}

/// The bytes of all units; `None` if one changed meanwhile.
fn read_units(
    folder: &Folder,
    states: BTreeMap<Unit, State>,
) -> Option<BTreeMap<Unit, Result<Files, String>>> {
    let read = |(unit, state): (Unit, State)| {
        let files = match state {
            State::Restless(_) => return None,
            State::Unreadable(message) => Err(message),
            State::Still(_) => match folder.read(&unit) {
                Ok(files) => Ok(files),
                Err(ReadError::Unreadable(message)) => Err(message),
                Err(ReadError::Changed) => return None,
            },
        };
        Some((unit, files))
    };
    states.into_iter().map(read).collect()
}
