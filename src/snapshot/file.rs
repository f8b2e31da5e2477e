//! The snapshot file: header, table of sections, sections.
//!
//! All numbers are little-endian.
//!
//! | bytes | what |
//! | --- | --- |
//! | 8 | `CALLGATE` |
//! | 4 | version of the format: 3 |
//! | 4 | number of sections |
//! | 32 | BLAKE3 digest of the table of sections as far as these decide: the content's digest |
//! | 32 | BLAKE3 digest of the whole table of sections |
//! | 56 each | number (4), size of a row (4), offset in the file (8), length (8), BLAKE3 digest (32) |
//! | rest | the sections, end to end, in the order of the table |
//!
//! Section 1 is the heap of texts; then come the tables of `tables.rs`, which decide, and those of
//! `origins.rs`, which tell where in the files it stands. What the file says is a function of the
//! policy's files alone; what its first digest covers, of the policy alone.

use super::Snapshot;
use super::origins::Origins;
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
}

const MAGIC: &[u8; 8] = b"CALLGATE";
const VERSION: u32 = 3;
const HEAP: u32 = 1;
const HEADER_BYTES: usize = 80;
const DIGESTS_AT: usize = 16;
const ENTRY_BYTES: usize = 56;

/// A line of the table of sections.
struct Entry {
    number: u32,
    row_bytes: u32,
    offset: u64,
    length: u64,
    digest: [u8; 32],
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
        let Sections {
            table,
            content,
            whole,
        } = digested(&self.heap, &self.tables, &self.origins);
        let mut bytes = Vec::with_capacity(HEADER_BYTES + table.len() + self.size_bytes());
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&((table.len() / ENTRY_BYTES) as u32).to_le_bytes());
        bytes.extend_from_slice(content.as_bytes());
        bytes.extend_from_slice(whole.as_bytes());
        bytes.extend_from_slice(&table);
        bytes.extend_from_slice(self.heap.as_bytes());
        let mut append = |_, _: &str, _, table: &[u8]| bytes.extend_from_slice(table);
        self.tables.for_each(&mut append);
        self.origins.for_each(&mut append);
        bytes
    }

    /// Reads a snapshot file.
    ///
    /// # Errors
    /// Bytes that are not a snapshot, whole, undamaged and of this version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FormatError> {
        let sections = sections(bytes)?;
        let part = |number: u32, row_bytes: usize| {
            let found = |(entry, _): &&(Entry, &[u8])| {
                entry.number == number && entry.row_bytes as usize == row_bytes
            };
            sections.iter().find(found).map(|(_, bytes)| *bytes)
        };
        let heap = part(HEAP, 1).and_then(|bytes| std::str::from_utf8(bytes).ok());
        let parts = (heap, Tables::from_parts(part), Origins::from_parts(part));
        let (Some(heap), Some(tables), Some(origins)) = parts else {
            return Err(FormatError::Incomplete);
        };
        let snapshot = Self::new(heap.into(), tables, origins).ok_or(FormatError::Incomplete)?;
        // Sections that are not known, or in another order, would be lost when it is written again.
        let told = bytes
            .get(DIGESTS_AT..HEADER_BYTES)
            .ok_or(FormatError::Truncated)?;
        let digests = snapshot.digest.clone() + &snapshot.file_digest;
        let hex = |digest: &[u8]| blake3::Hash::from_slice(digest).map(|hash| hash.to_hex());
        let told = told.chunks_exact(32).filter_map(|digest| hex(digest).ok());
        if told.map(|hex| hex.to_string()).collect::<String>() == digests {
            Ok(snapshot)
        } else {
            Err(FormatError::Incomplete)
        }
    }
}

/// The sections of a file, each checked against its digest.
fn sections(bytes: &[u8]) -> Result<Vec<(Entry, &[u8])>, FormatError> {
    let rest = bytes.strip_prefix(MAGIC).ok_or(FormatError::NotASnapshot)?;
    let (version, rest) = u32_of(rest)?;
    if version != VERSION {
        return Err(FormatError::Version(version));
    }
    let (count, rest) = u32_of(rest)?;
    let digests = rest.split_first_chunk::<64>();
    let (digests, rest) = digests.ok_or(FormatError::Truncated)?;
    let whole = digests.last_chunk::<32>().ok_or(FormatError::Truncated)?;
    let table_bytes = (count as usize)
        .checked_mul(ENTRY_BYTES)
        .ok_or(FormatError::Truncated)?;
    let (table, mut rest) = rest
        .split_at_checked(table_bytes)
        .ok_or(FormatError::Truncated)?;
    if blake3::hash(table) != *whole {
        return Err(FormatError::Damaged(0));
    }
    let mut sections = Vec::with_capacity(count as usize);
    let mut offset = (HEADER_BYTES + table_bytes) as u64;
    for line in table.chunks_exact(ENTRY_BYTES) {
        let entry = entry(line)?;
        let length = usize::try_from(entry.length).map_err(|_| FormatError::Truncated)?;
        let (section, after) = rest
            .split_at_checked(length)
            .ok_or(FormatError::Truncated)?;
        if entry.offset != offset {
            return Err(FormatError::Truncated);
        }
        if blake3::hash(section) != entry.digest {
            return Err(FormatError::Damaged(entry.number));
        }
        offset += entry.length;
        rest = after;
        sections.push((entry, section));
    }
    if rest.is_empty() {
        Ok(sections)
    } else {
        Err(FormatError::Truncated)
    }
}

fn entry(line: &[u8]) -> Result<Entry, FormatError> {
    let (number, rest) = u32_of(line)?;
    let (row_bytes, rest) = u32_of(rest)?;
    let (offset, rest) = u64_of(rest)?;
    let (length, rest) = u64_of(rest)?;
    let digest = *rest.first_chunk::<32>().ok_or(FormatError::Truncated)?;
    Ok(Entry {
        number,
        row_bytes,
        offset,
        length,
        digest,
    })
}

fn u32_of(bytes: &[u8]) -> Result<(u32, &[u8]), FormatError> {
    let (number, rest) = bytes.split_first_chunk().ok_or(FormatError::Truncated)?;
    Ok((u32::from_le_bytes(*number), rest))
}

fn u64_of(bytes: &[u8]) -> Result<(u64, &[u8]), FormatError> {
    let (number, rest) = bytes.split_first_chunk().ok_or(FormatError::Truncated)?;
    Ok((u64::from_le_bytes(*number), rest))
}
