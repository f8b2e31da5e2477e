//! What a source holds, by name and stamp; nothing is read yet.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use super::aside::Hurry;
use super::stamp::Stamp;
use super::{Kind, SourceError};

/// Ends the name of a compiled snapshot's file.
const SNAPSHOT_EXTENSION: &str = ".callgate";
/// Endings of the files that policies are written in. Others (a README, an editor's copy) are not looked at.
const POLICY_EXTENSIONS: [&str; 3] = [".yaml", ".yml", ".csv"];
/// Companies and packs in one source; beyond that the folder is no policy tree.
const UNITS_MAX: usize = 100_000;
/// Policy files in one folder.
const FILES_MAX: usize = 1_000;

/// What changes as one, and is read and judged as one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Unit {
    /// A company's folder, or its snapshot file.
    Company(String),
    /// A pack's folder.
    Pack(String),
}

/// The files of a unit as paths within the source; or why it cannot be listed.
pub(crate) type Contents = Result<BTreeMap<String, Stamp>, String>;

/// All units that a folder holds; when there is no time for that, an error that says nothing.
pub(crate) fn list(
    root: &Path,
    kind: Kind,
    hurry: &Hurry,
) -> Result<BTreeMap<Unit, Contents>, SourceError> {
    let mut units = BTreeMap::new();
    match kind {
        Kind::Policies => {
            list_folders(root, "companies", Unit::Company, &mut units, hurry)?;
            match list_folders(root, "packs", Unit::Pack, &mut units, hurry) {
                // A tree without packs reads; its companies then say which pack they miss.
                Err(SourceError::Unreadable { error, .. })
                    if error.kind() == io::ErrorKind::NotFound => {}
                listed => listed?,
            }
        }
        Kind::Snapshots => list_snapshots(root, &mut units)?,
    }
    if units.keys().any(|unit| matches!(unit, Unit::Company(_))) {
        Ok(units)
    } else {
        Err(SourceError::Empty {
            path: root.to_owned(),
        })
    }
}

/// Whether a name may be a company's folder: one that leads nowhere else.
pub(crate) fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 63
        && (name.bytes()).all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

/// Which kind of source the folder is: what holds `companies/` is a policy tree.
pub(crate) fn kind(root: &Path) -> Result<Kind, SourceError> {
    let mut snapshots = false;
    for name in names(root)? {
        if name == "companies" {
            return Ok(Kind::Policies);
        }
        snapshots |= name.ends_with(SNAPSHOT_EXTENSION);
    }
    if snapshots {
        Ok(Kind::Snapshots)
    } else {
        Err(SourceError::Empty {
            path: root.to_owned(),
        })
    }
}

fn list_folders(
    root: &Path,
    folder: &str,
    unit: fn(String) -> Unit,
    units: &mut BTreeMap<Unit, Contents>,
    hurry: &Hurry,
) -> Result<(), SourceError> {
    for name in names(&root.join(folder))? {
        if hurry.is_set() {
            let (path, error) = (root.to_owned(), io::ErrorKind::Interrupted.into());
            return Err(SourceError::Unreadable { path, error });
        }
        let within = format!("{folder}/{name}");
        let contents = match fs::metadata(root.join(&within)) {
            Ok(metadata) if metadata.is_dir() => list_policy_files(root, &within),
            // A file beside the folders, such as a README.
            Ok(_) => continue,
            Err(error) => Err(unreadable(&within, &error)),
        };
        insert(root, units, unit(name), contents)?;
    }
    Ok(())
}

fn list_snapshots(root: &Path, units: &mut BTreeMap<Unit, Contents>) -> Result<(), SourceError> {
    for name in names(root)? {
        let Some(company) = name.strip_suffix(SNAPSHOT_EXTENSION) else {
            continue;
        };
        let unit = Unit::Company(company.to_owned());
        let contents = match stamp(root, &name) {
            Ok(Some(stamp)) => Ok(BTreeMap::from([(name, stamp)])),
            Ok(None) => continue,
            Err(message) => Err(message),
        };
        insert(root, units, unit, contents)?;
    }
    Ok(())
}

fn insert(
    root: &Path,
    units: &mut BTreeMap<Unit, Contents>,
    unit: Unit,
    contents: Contents,
) -> Result<(), SourceError> {
    if units.len() >= UNITS_MAX {
        return Err(SourceError::TooMany {
            path: root.to_owned(),
            limit: UNITS_MAX,
        });
    }
    units.insert(unit, contents);
    Ok(())
}

fn list_policy_files(root: &Path, folder: &str) -> Contents {
    let mut files = BTreeMap::new();
    let named = |folder: &str| names(&root.join(folder)).map_err(|error| error.to_string());
    let is_policy = |name: &String| POLICY_EXTENSIONS.iter().any(|end| name.ends_with(end));
    let (mut names, others): (Vec<String>, _) = named(folder)?.into_iter().partition(is_policy);
    for other in others {
        // What lies deeper is no policy; its author, who may think so, is told of the first.
        let within = format!("{folder}/{other}");
        if fs::metadata(root.join(&within)).is_ok_and(|metadata| metadata.is_dir()) {
            let deeper = named(&within)?.into_iter().find(is_policy);
            names.extend(deeper.map(|name| format!("{other}/{name}")));
        }
    }
    for name in names {
        let within = format!("{folder}/{name}");
        // Left out, it would be a policy that silently lacks its denies. A file that is mounted and
        // is not there becomes a folder of its name.
        let Some(stamp) = stamp(root, &within)? else {
            return Err(format!("`{within}` is not a file"));
        };
        files.insert(within, stamp);
        if files.len() > FILES_MAX {
            return Err(format!("`{folder}` holds more than {FILES_MAX} files"));
        }
    }
    Ok(files)
}

/// The stamp of what is a file, once links are followed; opening anything else might wait for ever.
fn stamp(root: &Path, within: &str) -> Result<Option<Stamp>, String> {
    match fs::metadata(root.join(within)) {
        Ok(metadata) => Ok(metadata.is_file().then(|| Stamp::of(&metadata))),
        Err(error) => Err(unreadable(within, &error)),
    }
}

/// The names in a folder, without hidden ones: `..data` and `..2026_01_02` are how Kubernetes
/// swaps a mounted volume, `.users.yaml.swp` is an editor's.
fn names(folder: &Path) -> Result<Vec<String>, SourceError> {
    let unreadable = |error| SourceError::Unreadable {
        path: folder.to_owned(),
        error,
    };
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        // A name that is not UTF-8 names no company and no policy file.
        if let Ok(name) = entry.map_err(unreadable)?.file_name().into_string()
            && !name.starts_with('.')
        {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

pub(crate) fn unreadable(within: &str, error: &io::Error) -> String {
    format!("cannot read `{within}`: {error}")
}

impl std::fmt::Display for Unit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Company(name) => write!(f, "company `{name}`"),
            Self::Pack(name) => write!(f, "pack `{name}`"),
        }
    }
}
