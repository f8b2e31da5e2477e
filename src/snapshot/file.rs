//! The snapshot file: header, table of sections, sections.
//!
//! All numbers are little-endian.
//!
//! | bytes | what |
//! | --- | --- |
//! | 8 | `CALLGATE` |
//! | 4 | version of the format: 4 |
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
use std::sync::Arc;

use zerocopy::{FromBytes, Immutable, IntoBytes};

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

const MAGIC: &[u8; 8] = b"CALLGATE";
/// The version of the format.
pub const VERSION: u32 = 4;
const HEAP: u32 = 1;
const HEADER_BYTES: usize = 80;
const ENTRY_BYTES: usize = 56;

/// A line of the table of sections.
struct Entry {
    number: u32,
    row_bytes: u32,
    offset: u64,
    length: u64,
    digest: blake3::Hash,
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

/// Reads the sections of a file in their order, each checked against its digest.
pub(super) struct Reader<'r> {
    from: &'r mut dyn Read,
    entries: std::vec::IntoIter<Entry>,
    content: blake3::Hash,
    whole: blake3::Hash,
}

// === impl Reader ===

impl<'r> Reader<'r> {
    /// Reads the header and the table of sections. What the table says is right, but for the
    /// digests of the sections, which have not been read.
    fn open(from: &'r mut dyn Read, length: u64) -> Result<Self, ReadError> {
        let mut header = [0; HEADER_BYTES];
        let there = usize::try_from(length).unwrap_or(usize::MAX);
        let (header, _) = header.split_at_mut(HEADER_BYTES.min(there));
        from.read_exact(header).map_err(cut)?;
        let rest = header
            .strip_prefix(MAGIC)
            .ok_or(FormatError::NotASnapshot)?;
        let (version, rest) = u32_of(rest)?;
        if version != VERSION {
            return Err(FormatError::Version(version).into());
        }
        let (count, rest) = u32_of(rest)?;
        let (content, rest) = digest_of(rest)?;
        let (whole, _) = digest_of(rest)?;
        let table_bytes = u64::from(count) * ENTRY_BYTES as u64;
        if table_bytes > length.saturating_sub(HEADER_BYTES as u64) {
            return Err(FormatError::Truncated.into());
        }
        let mut table = vec![0; count as usize * ENTRY_BYTES];
        from.read_exact(&mut table).map_err(cut)?;
        if blake3::hash(&table) != whole {
            return Err(FormatError::Damaged(0).into());
        }
        Ok(Self {
            from,
            entries: entries(&table, length)?.into_iter(),
            content: checked_content(&table, content)?,
            whole,
        })
    }

    /// The next section, which must be the heap of texts.
    fn heap(&mut self) -> Result<Arc<str>, ReadError> {
        let entry = self.next(HEAP)?;
        let mut bytes = vec![0; entry.length as usize];
        self.fill(&entry, &mut bytes)?;
        let heap = std::str::from_utf8(&bytes).map_err(|_| FormatError::Incomplete)?;
        Ok(heap.into())
    }

    /// The next section, which must be the one of this number.
    pub(super) fn rows<T>(&mut self, number: u32) -> Result<Arc<[T]>, ReadError>
    where
        T: FromBytes + IntoBytes + Immutable + Clone,
    {
        let entry = self.next(number)?;
        let count = entry.length as usize / size_of::<T>();
        // A row is written where it stays: nothing is copied, and nothing is held twice.
        let zero = T::new_zeroed();
        let mut rows: Arc<[T]> = std::iter::repeat_n(zero, count).collect();
        let memory = Arc::get_mut(&mut rows).ok_or(FormatError::Incomplete)?;
        self.fill(&entry, memory.as_mut_bytes())?;
        Ok(rows)
    }

    /// The digests of what was read: of all that decides, and of all.
    fn finish(self) -> Result<(blake3::Hash, blake3::Hash), FormatError> {
        match self.entries.as_slice() {
            [] => Ok((self.content, self.whole)),
            _ => Err(FormatError::Incomplete),
        }
    }

    fn next(&mut self, number: u32) -> Result<Entry, FormatError> {
        let entry = self.entries.next();
        let entry = entry.filter(|entry| entry.number == number);
        entry.ok_or(FormatError::Incomplete)
    }

    fn fill(&mut self, entry: &Entry, bytes: &mut [u8]) -> Result<(), ReadError> {
        self.from.read_exact(bytes).map_err(cut)?;
        if blake3::hash(bytes) != entry.digest {
            return Err(FormatError::Damaged(entry.number).into());
        }
        Ok(())
    }
}

/// The lines of a table of sections: these sections and no others, of whole rows, end to end to
/// the end of the file.
fn entries(table: &[u8], length: u64) -> Result<Vec<Entry>, FormatError> {
    let known = std::iter::once(&(HEAP, 1));
    let known = known.chain(Tables::SHAPE).chain(Origins::SHAPE);
    let mut entries = Vec::with_capacity(table.len() / ENTRY_BYTES);
    let mut offset = (HEADER_BYTES + table.len()) as u64;
    for line in table.chunks_exact(ENTRY_BYTES) {
        let entry = entry(line)?;
        let end = offset.checked_add(entry.length);
        let end = end.filter(|end| entry.offset == offset && *end <= length);
        offset = end.ok_or(FormatError::Truncated)?;
        entries.push(entry);
    }
    if offset != length {
        return Err(FormatError::Truncated);
    }
    let are = entries
        .iter()
        .map(|entry| (entry.number, entry.row_bytes as usize));
    let whole_rows = |entry: &Entry| {
        entry
            .length
            .is_multiple_of(u64::from(entry.row_bytes.max(1)))
    };
    if are.eq(known.copied()) && entries.iter().all(whole_rows) {
        Ok(entries)
    } else {
        Err(FormatError::Incomplete)
    }
}

/// The digest of the lines that decide, if it is the one that the header tells.
fn checked_content(table: &[u8], told: blake3::Hash) -> Result<blake3::Hash, FormatError> {
    let deciding = (1 + Tables::SHAPE.len()) * ENTRY_BYTES;
    let content = blake3::hash(table.get(..deciding).ok_or(FormatError::Incomplete)?);
    (content == told)
        .then_some(content)
        .ok_or(FormatError::Incomplete)
}

fn entry(line: &[u8]) -> Result<Entry, FormatError> {
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

fn u32_of(bytes: &[u8]) -> Result<(u32, &[u8]), FormatError> {
    let (number, rest) = bytes.split_first_chunk().ok_or(FormatError::Truncated)?;
    Ok((u32::from_le_bytes(*number), rest))
}

fn u64_of(bytes: &[u8]) -> Result<(u64, &[u8]), FormatError> {
    let (number, rest) = bytes.split_first_chunk().ok_or(FormatError::Truncated)?;
    Ok((u64::from_le_bytes(*number), rest))
}

fn digest_of(bytes: &[u8]) -> Result<(blake3::Hash, &[u8]), FormatError> {
    let (digest, rest) = bytes.split_first_chunk().ok_or(FormatError::Truncated)?;
    Ok((blake3::Hash::from_bytes(*digest), rest))
}

/// What is shorter than it was when it was measured was cut.
fn cut(error: io::Error) -> ReadError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => FormatError::Truncated.into(),
        _ => ReadError::Io(error),
    }
}
