//! The snapshot file: header, table of sections, sections.
//!
//! All numbers are little-endian.
//!
//! | bytes | what |
//! | --- | --- |
//! | 8 | `CALLGATE` |
//! | 4 | version of the format: 5 |
//! | 4 | number of sections |
//! | 32 | BLAKE3 digest of the table of sections as far as these decide: the content's digest |
//! | 32 | BLAKE3 digest of the whole table of sections |
//! | 56 each | number (4), size of a row (4), offset in the file (8), length (8), BLAKE3 digest (32) |
//! | rest | the sections, end to end, in the order of the table |
//!
//! Section 1 is the heap of texts; then come the tables of `tables.rs`, which decide, and those of
//! `origins.rs`, which tell where in the files it stands. What the file says is a function of the
//! policy's files alone; what its first digest covers, of the policy alone.

use std::io::{self, Read};

use super::Snapshot;
use super::origins::Origins;
use super::reader::Reader;
use super::tables::Tables;

#[cfg(target_endian = "big")]
compile_error!("rows lie in files as in memory, little-endian");

/// The bytes are no snapshot that this version reads.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// It does not begin like a snapshot.
    #[error("this is not a callgate snapshot")]
    NotASnapshot,
    /// It was made by another version.
    #[error(
        "the snapshot has format version {0}, this callgate reads version {VERSION}: compile it again"
    )]
    Version(u32),
    /// It ends early, or says that it does.
    #[error("the snapshot is cut short or its table of sections is wrong")]
    Truncated,
    /// A digest does not fit its section.
    #[error("section {0} of the snapshot does not fit its digest: the file was damaged")]
    Damaged(u32),
    /// The sections do not make a snapshot.
    #[error("the snapshot lacks a section, has one too many, or one that does not hold whole rows")]
    Incomplete,
    /// Following a value, or routes, would take too long.
    #[error(
        "a value or route in the snapshot holds itself or what others hold, or is nested too deep"
    )]
    Endless,
}

/// A section of the file, as its table tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// Its number.
    pub number: u32,
    /// What it holds.
    pub name: &'static str,
    /// Bytes of a row.
    pub row_bytes: usize,
    /// Bytes of all rows.
    pub bytes: usize,
    /// Their BLAKE3 digest, 64 hexadecimal digits.
    pub digest: String,
}

/// A snapshot cannot be had from what is read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It cannot be read out.
    #[error(transparent)]
    Io(io::Error),
    /// It is no snapshot that this version reads.
    #[error(transparent)]
    Format(#[from] FormatError),
}

pub(super) const MAGIC: &[u8; 8] = b"CALLGATE";
/// The version of the format.
pub const VERSION: u32 = 6;
pub(super) const HEAP: u32 = 1;
pub(super) const HEADER_BYTES: usize = 80;
pub(super) const ENTRY_BYTES: usize = 56;

/// A line of the table of sections.
pub(super) struct Entry {
    pub(super) number: u32,
    pub(super) row_bytes: u32,
    pub(super) offset: u64,
    pub(super) length: u64,
    pub(super) digest: blake3::Hash,
}

/// The table of sections in the making, and its two digests.
pub(super) struct Sections {
    table: Vec<u8>,
    /// Of all that decides.
    pub(super) content: blake3::Hash,
    /// Of all.
    pub(super) whole: blake3::Hash,
}

pub(super) fn digested(heap: &str, tables: &Tables, origins: &Origins) -> Sections {
    let mut lines = Vec::new();
    let mut line = |number: u32, row_bytes: usize, bytes: &[u8]| {
        let digest = blake3::hash(bytes);
        lines.push((number, row_bytes as u32, bytes.len() as u64, digest));
    };
    line(HEAP, 1, heap.as_bytes());
    let mut deciding = 1;
    tables.for_each(|number, _, row_bytes, bytes| {
        line(number, row_bytes, bytes);
        deciding += 1;
    });
    origins.for_each(|number, _, row_bytes, bytes| line(number, row_bytes, bytes));
    let mut offset = (HEADER_BYTES + lines.len() * ENTRY_BYTES) as u64;
    let mut table = Vec::with_capacity(lines.len() * ENTRY_BYTES);
    for (number, row_bytes, length, digest) in lines {
        table.extend_from_slice(&number.to_le_bytes());
        table.extend_from_slice(&row_bytes.to_le_bytes());
        table.extend_from_slice(&offset.to_le_bytes());
        table.extend_from_slice(&length.to_le_bytes());
        table.extend_from_slice(digest.as_bytes());
        offset += length;
    }
    let content = table.get(..deciding * ENTRY_BYTES).unwrap_or(&table);
    Sections {
        content: blake3::hash(content),
        whole: blake3::hash(&table),
        table,
    }
}

impl Snapshot {
    /// The snapshot file: a function of the policy alone, byte for byte.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = head_of(self);
        bytes.reserve_exact(self.size_bytes());
        self.for_each_section(|_, _, section| bytes.extend_from_slice(section));
        bytes
    }

    /// Writes the snapshot file: the same bytes as [`Snapshot::to_bytes`], held nowhere.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn write_to(&self, to: &mut dyn io::Write) -> io::Result<()> {
        to.write_all(&head_of(self))?;
        let mut written = Ok(());
        self.for_each_section(|_, _, bytes| {
            if written.is_ok() {
                written = to.write_all(bytes);
            }
        });
        written
    }

    /// Calls `each` with every section's position in the table, row size and bytes.
    pub(super) fn for_each_section(&self, mut each: impl FnMut(usize, usize, &[u8])) {
        let mut at = 0;
        let mut tell = |_, _: &str, row_bytes, bytes: &[u8]| {
            each(at, row_bytes, bytes);
            at += 1;
        };
        tell(HEAP, "texts", 1, self.heap.as_bytes());
        self.tables.for_each(&mut tell);
        self.origins.for_each(&mut tell);
    }

    /// Calls `with` with the row size and bytes of the section at this position of the table.
    pub(super) fn with_section<R>(
        &self,
        position: usize,
        with: impl FnOnce(usize, &[u8]) -> R,
    ) -> Option<R> {
        let (mut with, mut result) = (Some(with), None);
        self.for_each_section(|at, row_bytes, bytes| {
            if at == position {
                result = with.take().map(|with| with(row_bytes, bytes));
            }
        });
        result
    }

    /// The sections of the snapshot file.
    #[must_use]
    pub fn sections(&self) -> Vec<Section> {
        let mut sections = Vec::new();
        let mut tell = |number, name, row_bytes, bytes: &[u8]| {
            sections.push(Section {
                number,
                name,
                row_bytes,
                bytes: bytes.len(),
                digest: blake3::hash(bytes).to_hex().to_string(),
            });
        };
        tell(HEAP, "texts", 1, self.heap.as_bytes());
        self.tables.for_each(&mut tell);
        self.origins.for_each(&mut tell);
        sections
    }

    /// Reads a snapshot file that is in memory.
    ///
    /// # Errors
    /// Bytes that are not a snapshot, whole, undamaged and of this version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FormatError> {
        Self::read(&mut &*bytes, bytes.len() as u64).map_err(|error| match error {
            ReadError::Format(error) => error,
            // Memory can be read out as far as it reaches.
            ReadError::Io(_) => FormatError::Truncated,
        })
    }

    /// Reads a snapshot file of so many bytes, section by section, each to where it stays: beside
    /// the snapshot, memory is taken for little more than the heap of texts.
    ///
    /// # Errors
    /// What is read is not a snapshot, whole, undamaged and of this version; or it cannot be read.
    pub fn read(from: &mut dyn Read, length: u64) -> Result<Self, ReadError> {
        let mut reader = Reader::open(from, length)?;
        let heap = reader.heap()?;
        let tables = Tables::read(&mut reader)?;
        let origins = Origins::read(&mut reader)?;
        let (content, whole) = reader.finish()?;
        if !tables.columns_fit() {
            return Err(FormatError::Incomplete.into());
        }
        if !tables.values_end() || !tables.routes_end() {
            return Err(FormatError::Endless.into());
        }
        let snapshot = Self::assemble(heap, tables, origins, content, whole);
        Ok(snapshot.ok_or(FormatError::Incomplete)?)
    }
}

/// The header and the table of sections.
pub(super) fn head_of(snapshot: &Snapshot) -> Vec<u8> {
    let Sections {
        table,
        content,
        whole,
    } = digested(&snapshot.heap, &snapshot.tables, &snapshot.origins);
    let mut bytes = Vec::with_capacity(HEADER_BYTES + table.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&((table.len() / ENTRY_BYTES) as u32).to_le_bytes());
    bytes.extend_from_slice(content.as_bytes());
    bytes.extend_from_slice(whole.as_bytes());
    bytes.extend_from_slice(&table);
    bytes
}

/// The line of the section at this position, if these bytes are a header and a table of sections.
fn line_of(head: &[u8], position: usize) -> Option<Entry> {
    let start = position.checked_mul(ENTRY_BYTES)?;
    let line = head.get(HEADER_BYTES..)?.get(start..)?.get(..ENTRY_BYTES)?;
    entry(line).ok()
}

/// Bytes of the section at this position, as these bytes tell.
pub(super) fn section_length(head: &[u8], position: usize) -> Option<u64> {
    line_of(head, position).map(|entry| entry.length)
}

/// Bytes of the whole file, as these bytes tell.
pub(super) fn length_of(head: &[u8]) -> Option<u64> {
    let lines = head.len().checked_sub(HEADER_BYTES)? / ENTRY_BYTES;
    let last = line_of(head, lines.checked_sub(1)?)?;
    last.offset.checked_add(last.length)
}

/// Which sections of a file another snapshot has, too.
pub struct FileMap {
    entries: Vec<Entry>,
    /// The same sections of the other snapshot, once they were needed.
    others: std::cell::OnceCell<Vec<blake3::Hash>>,
}

impl FileMap {
    /// Bytes of the header and the table of sections.
    #[must_use]
    pub fn head_bytes(like: &Snapshot) -> u64 {
        let mut sections = 0;
        like.for_each_section(|_, _, _| sections += 1);
        HEADER_BYTES as u64 + sections * ENTRY_BYTES as u64
    }

    /// Reads the table of sections; nothing that is read here is trusted.
    #[must_use]
    pub fn read(head: &[u8]) -> Option<Self> {
        let lines = head.get(HEADER_BYTES..)?.chunks_exact(ENTRY_BYTES);
        let entries = lines.map(entry).collect::<Result<_, _>>().ok()?;
        Some(Self {
            entries,
            others: std::cell::OnceCell::new(),
        })
    }

    /// The bytes from `at` to the end of its section, if the other snapshot has the section; else
    /// up to where they are lacking.
    ///
    /// # Errors
    /// They are lacking.
    pub fn shared(&self, other: &Snapshot, at: u64) -> Result<Vec<u8>, u64> {
        let others = self.others.get_or_init(|| {
            let mut digests = Vec::new();
            other.for_each_section(|_, _, bytes| digests.push(blake3::hash(bytes)));
            digests
        });
        let mut lacking_to = at;
        for (position, (entry, digest)) in self.entries.iter().zip(others).enumerate() {
            let end = entry.offset.saturating_add(entry.length);
            if end <= lacking_to {
                continue;
            }
            if entry.digest != *digest {
                lacking_to = end;
                continue;
            }
            if lacking_to > at {
                break;
            }
            let from = usize::try_from(at.saturating_sub(entry.offset)).unwrap_or(usize::MAX);
            let bytes =
                other.with_section(position, |_, bytes| bytes.get(from..).map(<[u8]>::to_vec));
            return bytes.flatten().ok_or(end);
        }
        Err(lacking_to.max(at + 1))
    }
}

pub(super) fn entry(line: &[u8]) -> Result<Entry, FormatError> {
    let (number, rest) = u32_of(line)?;
    let (row_bytes, rest) = u32_of(rest)?;
    let (offset, rest) = u64_of(rest)?;
    let (length, rest) = u64_of(rest)?;
    let (digest, _) = digest_of(rest)?;
    Ok(Entry {
        number,
        row_bytes,
        offset,
        length,
        digest,
    })
}

pub(super) fn u32_of(bytes: &[u8]) -> Result<(u32, &[u8]), FormatError> {
    let (number, rest) = bytes.split_first_chunk().ok_or(FormatError::Truncated)?;
    Ok((u32::from_le_bytes(*number), rest))
}

fn u64_of(bytes: &[u8]) -> Result<(u64, &[u8]), FormatError> {
    let (number, rest) = bytes.split_first_chunk().ok_or(FormatError::Truncated)?;
    Ok((u64::from_le_bytes(*number), rest))
}

pub(super) fn digest_of(bytes: &[u8]) -> Result<(blake3::Hash, &[u8]), FormatError> {
    let (digest, rest) = bytes.split_first_chunk().ok_or(FormatError::Truncated)?;
    Ok((blake3::Hash::from_bytes(*digest), rest))
}
