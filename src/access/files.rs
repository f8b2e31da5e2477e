//! The files as they are read: bounded, and compared by what is in them.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::config::AccessFiles;
use crate::telemetry::CredentialFile;

/// The most that is read of a file; certificates and tokens are kilobytes.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// A file that cannot be used, and why.
#[derive(Debug, thiserror::Error)]
pub struct FileError {
    path: PathBuf,
    /// From 1; where there is one.
    line: Option<usize>,
    message: String,
}

/// What stands in the files of one kind, or why they cannot be read.
#[derive(PartialEq, Eq)]
pub(super) struct Contents(Vec<Result<Vec<u8>, String>>);

// === impl FileError ===

impl FileError {
    pub(super) fn new(path: &Path, message: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line: None,
            message: message.into(),
        }
    }

    pub(super) fn at(self, line: usize) -> Self {
        Self {
            line: Some(line),
            ..self
        }
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", self.message)
    }
}

// === impl Contents ===

impl Contents {
    /// Reads the files of this kind, in the order of [`paths`].
    pub(super) fn read(file: CredentialFile, files: &AccessFiles) -> Self {
        Self(paths(file, files).into_iter().map(read).collect())
    }

    /// What stands in the file at this position, which is this path's.
    pub(super) fn of(&self, position: usize, path: &Path) -> Result<&[u8], FileError> {
        match self.0.get(position) {
            Some(Ok(bytes)) => Ok(bytes),
            Some(Err(message)) => Err(FileError::new(path, message)),
            None => Err(FileError::new(path, "it was not read")),
        }
    }

    /// The only file of its kind, as text.
    pub(super) fn text(&self, path: &Path) -> Result<&str, FileError> {
        std::str::from_utf8(self.of(0, path)?)
            .map_err(|error| FileError::new(path, format!("it is not UTF-8: {error}")))
    }
}

/// The files of a kind: certificate, key and authorities; tokens; bounds.
pub(super) fn paths(file: CredentialFile, files: &AccessFiles) -> Vec<&Path> {
    match file {
        CredentialFile::Tls => {
            let pair = files
                .tls
                .iter()
                .flat_map(|tls| [&tls.certificate, &tls.key]);
            pair.chain(&files.client_ca).map(PathBuf::as_path).collect()
        }
        CredentialFile::Tokens => files.tokens.iter().map(PathBuf::as_path).collect(),
        CredentialFile::Callers => files.callers.iter().map(PathBuf::as_path).collect(),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let file = File::open(path).map_err(|error| format!("it cannot be opened: {error}"))?;
    let mut bytes = Vec::new();
    let read = file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes);
    read.map_err(|error| format!("it cannot be read: {error}"))?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("it is larger than {FILE_BYTES_MAX} bytes"));
    }
    Ok(bytes)
}
