//! Writing a file so that it is the old one or the new one, whatever happens.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// Writes a file so that whoever reads, and whoever reads after a power cut, finds the old one or
/// the new one, whole: beside it, to the disk, then over it.
///
/// # Errors
/// It cannot be written; then the old one stays.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_whole_with(path, |file| file.write_all(bytes))
}

/// As [`write_whole`], of what `write` writes.
pub(crate) fn write_whole_with(
    path: &Path,
    write: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // Hidden, so that no source takes it for a snapshot; the process's own, so that two writers
    // do not write into one file.
    let beside = folder.join(format!(".{name}.{}.tmp", std::process::id()));
    let written = write_durably(&beside, write).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        // What matters is the first error; what is left behind is hidden.
        let _ = fs::remove_file(&beside);
    }
    written?;
    match folder.as_os_str().is_empty() {
        true => File::open(".")?.sync_all(),
        false => File::open(folder)?.sync_all(),
    }
}

fn write_durably(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let mut file = File::create(path)?;
    write(&mut file)?;
    file.sync_all()
}
