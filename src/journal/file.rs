//! Lines → a file that is rotated, or the standard output.
//!
//! A line is written by as few calls as will do and kept until all of it is written, so that none is
//! lost while a disk is full. The file is opened for appending, and opened anew when another
//! program has moved it away.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How often to look whether the file was moved.
const LOOK: Duration = Duration::from_millis(500);

/// Who may read the file: the owner and the group, such as a shipper's. It holds people's names.
const MODE: u32 = 0o640;

/// Where lines are appended.
pub(super) struct Stream {
    file: File,
    /// Bytes of a line that were written already.
    begun: usize,
    rotation: Option<Rotation>,
}

/// What is known of a file that is rotated.
struct Rotation {
    path: PathBuf,
    bytes: u64,
    bytes_max: u64,
    keep: usize,
    /// Device and inode.
    identity: (u64, u64),
    looked: Option<Instant>,
}

// === impl Stream ===

impl Stream {
    /// The standard output, by a descriptor of its own: a reader that stalls must not stop whoever
    /// else prints.
    pub(super) fn stdout() -> io::Result<Self> {
        Ok(Self {
            file: File::from(io::stdout().as_fd().try_clone_to_owned()?),
            begun: 0,
            rotation: None,
        })
    }

    /// The file, which is made if it is not there.
    pub(super) fn open(path: &Path, bytes_max: u64, keep: usize) -> io::Result<Self> {
        let told = |error: io::Error| {
            let message = format!("cannot open the decision log {}: {error}", path.display());
            io::Error::new(error.kind(), message)
        };
        let (file, identity, bytes) = open(path).map_err(told)?;
        let rotation = Rotation {
            path: path.to_owned(),
            bytes,
            bytes_max,
            keep,
            identity,
            looked: Some(Instant::now()),
        };
        Ok(Self {
            file,
            begun: 0,
            rotation: Some(rotation),
        })
    }

    /// Has the next write look whether the file was moved.
    pub(super) fn look_again(&mut self) {
        if let Some(rotation) = &mut self.rotation {
            rotation.looked = None;
        }
    }

    /// Writes the lines, and removes from them what was written.
    ///
    /// # Errors
    /// Not all could be written: the rest is still there, from the beginning of a line.
    pub(super) fn write(&mut self, lines: &mut Vec<u8>) -> io::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        let mut done = 0;
        let result = self.write_all(lines, &mut done);
        lines.drain(..done);
        result
    }

    fn write_all(&mut self, lines: &[u8], done: &mut usize) -> io::Result<()> {
        self.follow()?;
        while let Some(rest) = lines.get(*done..).filter(|rest| !rest.is_empty()) {
            let part = match &self.rotation {
                None => rest,
                Some(rotation) => match rotation.fitting(rest) {
                    // Half a line is finished where it was begun.
                    None if self.begun == 0 => {
                        self.rotate()?;
                        continue;
                    }
                    None => first_line(rest),
                    Some(part) => part,
                },
            };
            while let Some(bytes) = part.get(self.begun..).filter(|rest| !rest.is_empty()) {
                match self.file.write(bytes) {
                    Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                    Ok(written) => self.begun += written,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => {
                        *done += self.whole_lines(part);
                        return Err(error);
                    }
                }
            }
            *done += part.len();
            self.begun = 0;
            if let Some(rotation) = &mut self.rotation {
                rotation.bytes += part.len() as u64;
            }
        }
        Ok(())
    }

    /// The bytes of whole lines among what was written of `part`; the rest remains begun.
    fn whole_lines(&mut self, part: &[u8]) -> usize {
        let written = part.get(..self.begun).unwrap_or_default();
        let end = written.iter().rposition(|byte| *byte == b'\n');
        let whole = end.map_or(0, |end| end + 1);
        self.begun -= whole;
        if let Some(rotation) = &mut self.rotation {
            rotation.bytes += whole as u64;
        }
        whole
    }

    /// Opens the file anew if it is not the one at its path any more.
    fn follow(&mut self) -> io::Result<()> {
        let Some(rotation) = &mut self.rotation else {
            return Ok(());
        };
        if rotation.looked.is_some_and(|at| at.elapsed() < LOOK) {
            return Ok(());
        }
        rotation.looked = Some(Instant::now());
        let there = fs::metadata(&rotation.path);
        match there {
            // It may have been cut by whoever copied it.
            Ok(there) if identity(&there) == rotation.identity => rotation.bytes = there.len(),
            _ => self.open_anew()?,
        }
        Ok(())
    }

    /// What is written from now on stands in a new file; the old one is kept under a number.
    fn rotate(&mut self) -> io::Result<()> {
        if let Some(rotation) = &self.rotation {
            rotation.shift()?;
        }
        self.open_anew()
    }

    fn open_anew(&mut self) -> io::Result<()> {
        let Some(rotation) = &mut self.rotation else {
            return Ok(());
        };
        let (file, identity, bytes) = open(&rotation.path)?;
        (self.file, rotation.identity, rotation.bytes) = (file, identity, bytes);
        // A line that was begun elsewhere begins anew.
        self.begun = 0;
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<(File, (u64, u64), u64)> {
    let mut options = OpenOptions::new();
    let file = options.append(true).create(true).mode(MODE).open(path)?;
    let is = file.metadata()?;
    Ok((file, identity(&is), is.len()))
}

fn identity(file: &fs::Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}

fn first_line(lines: &[u8]) -> &[u8] {
    let end = lines.iter().position(|byte| *byte == b'\n');
    end.and_then(|end| lines.get(..=end)).unwrap_or(lines)
}

// === impl Rotation ===

impl Rotation {
    /// As many whole lines as the file has room for; `None`: it is full. An empty file has room for
    /// one line however long.
    fn fitting<'l>(&self, lines: &'l [u8]) -> Option<&'l [u8]> {
        let room = self.bytes_max.saturating_sub(self.bytes);
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        if lines.len() <= room {
            return Some(lines);
        }
        let within = lines.get(..room).unwrap_or_default();
        match within.iter().rposition(|byte| *byte == b'\n') {
            Some(end) => lines.get(..=end),
            None if self.bytes == 0 => Some(first_line(lines)),
            None => None,
        }
    }

    /// `log` becomes `log.1`, that `log.2`, and so on; the last goes.
    fn shift(&self) -> io::Result<()> {
        let numbered = |number: usize| {
            let mut path = self.path.clone().into_os_string();
            path.push(format!(".{number}"));
            PathBuf::from(path)
        };
        if self.keep == 0 {
            return gone(fs::remove_file(&self.path));
        }
        for number in (1..self.keep).rev() {
            gone(fs::rename(numbered(number), numbered(number + 1)))?;
        }
        gone(fs::rename(&self.path, numbered(1)))
    }
}

/// What is not there needs no moving.
fn gone(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}
