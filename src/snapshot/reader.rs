//! Reads a snapshot file, section by section, each to where it stays.
//!
//! A large file's sections are checked on a thread of their own, while the next ones are read: the
//! digests take about as long as the reading.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::thread::{self, JoinHandle};

use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::file::{
    ENTRY_BYTES, Entry, FormatError, HEADER_BYTES, HEAP, MAGIC, ReadError, VERSION, digest_of,
    entry, u32_of,
};
use super::origins::Origins;
use super::tables::Tables;

/// The least that is worth a thread.
const LARGE: u64 = 1 << 20;

/// Reads the sections of a file in their order, each checked against its digest.
pub(super) struct Reader<'r> {
    from: &'r mut dyn Read,
    entries: std::vec::IntoIter<Entry>,
    content: blake3::Hash,
    whole: blake3::Hash,
    checker: Option<Checker>,
}

/// Whether a section fits its digest.
type Check = Box<dyn FnOnce() -> bool + Send>;

/// A thread that checks sections.
struct Checker {
    checks: Sender<(u32, Check)>,
    /// The first section that does not fit.
    damaged: JoinHandle<Option<u32>>,
}

// === impl Reader ===

impl<'r> Reader<'r> {
    /// Reads the header and the table of sections. What the table says is right, but for the
    /// digests of the sections, which have not been read.
    pub(super) fn open(from: &'r mut dyn Read, length: u64) -> Result<Self, ReadError> {
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
            checker: (length >= LARGE).then(Checker::start).flatten(),
        })
    }

    /// The next section, which must be the heap of texts.
    pub(super) fn heap(&mut self) -> Result<Arc<str>, ReadError> {
        let entry = self.next(HEAP)?;
        let mut bytes = vec![0; entry.length as usize];
        self.from.read_exact(&mut bytes).map_err(cut)?;
        let digest = entry.digest;
        let Ok(heap) = std::str::from_utf8(&bytes) else {
            // Damaged text need not be text.
            let damaged = blake3::hash(&bytes) != digest;
            let error = damaged.then_some(FormatError::Damaged(entry.number));
            return Err(error.unwrap_or(FormatError::Incomplete).into());
        };
        let heap: Arc<str> = heap.into();
        let text = Arc::clone(&heap);
        self.check(entry.number, move || {
            blake3::hash(text.as_bytes()) == digest
        })?;
        Ok(heap)
    }

    /// The next section, which must be the one of this number.
    pub(super) fn rows<T>(&mut self, number: u32) -> Result<Arc<[T]>, ReadError>
    where
        T: FromBytes + IntoBytes + Immutable + Clone + Send + Sync + 'static,
    {
        let entry = self.next(number)?;
        let count = entry.length as usize / size_of::<T>();
        // A row is written where it stays: nothing is copied, and nothing is held twice.
        let zero = T::new_zeroed();
        let mut rows: Arc<[T]> = std::iter::repeat_n(zero, count).collect();
        let memory = Arc::get_mut(&mut rows).ok_or(FormatError::Incomplete)?;
        self.from.read_exact(memory.as_mut_bytes()).map_err(cut)?;
        let digest = entry.digest;
        let read = Arc::clone(&rows);
        self.check(number, move || blake3::hash(read.as_bytes()) == digest)?;
        Ok(rows)
    }

    /// The digests of what was read: of all that decides, and of all.
    pub(super) fn finish(self) -> Result<(blake3::Hash, blake3::Hash), FormatError> {
        if let Some(damaged) = self.checker.and_then(Checker::finish) {
            return Err(FormatError::Damaged(damaged));
        }
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

    /// Checks a section, here or on the checker's thread: [`Reader::finish`] tells then.
    fn check(
        &self,
        section: u32,
        fits: impl FnOnce() -> bool + Send + 'static,
    ) -> Result<(), FormatError> {
        match &self.checker {
            // It ends only after us, or at the first section that does not fit.
            Some(checker) => drop(checker.checks.send((section, Box::new(fits)))),
            None if fits() => {}
            None => return Err(FormatError::Damaged(section)),
        }
        Ok(())
    }
}

// === impl Checker ===

impl Checker {
    /// None: the system gives no thread, and what is read is checked where it is read.
    fn start() -> Option<Self> {
        let (checks, given) = mpsc::channel::<(u32, Check)>();
        let thread = thread::Builder::new().name("callgate-digest".to_owned());
        let damaged = thread.spawn(move || {
            let mut given = given.into_iter();
            given.find_map(|(section, fits)| (!fits()).then_some(section))
        });
        Some(Self {
            checks,
            damaged: damaged.ok()?,
        })
    }

    /// The first section that does not fit its digest.
    fn finish(self) -> Option<u32> {
        drop(self.checks);
        // A thread that ended otherwise has checked nothing.
        self.damaged.join().unwrap_or(Some(0))
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

/// What is shorter than it was when it was measured was cut.
fn cut(error: io::Error) -> ReadError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => FormatError::Truncated.into(),
        _ => ReadError::Io(error),
    }
}
