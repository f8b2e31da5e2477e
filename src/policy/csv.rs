//! Text → table of cells (RFC 4180), each with its place.
//!
//! A table of a hundred thousand rows is three allocations: where each cell lies, where each row
//! begins, and the text of cells in quotes. Cells without quotes are the file's own text. Lines and
//! columns are counted only where one is asked for.

use csv_core::{ReadFieldResult, Reader};

use super::sink::{Finding, Sink, Span};
use super::word::Word;
use super::{Code, Place};

/// The rows of a CSV file below its header line.
#[derive(Debug)]
pub(super) struct Table<'f> {
    file: u32,
    source: &'f str,
    /// The text of cells that are not in the source as they are meant.
    text: String,
    /// Row by row, the header first.
    cells: Vec<Cell>,
    rows: Vec<RowStart>,
    width: usize,
}

#[derive(Clone, Copy, Debug)]
struct Cell {
    /// Where it begins in the source, quotes included.
    source: u32,
    /// Where its text lies: in the source, or, counted on from the source's end, in the table's
    /// own text.
    start: u32,
    end: u32,
}

#[derive(Clone, Copy, Debug)]
struct RowStart {
    source: u32,
    line: u32,
}

// === impl Table ===

impl<'f> Table<'f> {
    /// Reads a file; `None` if that cannot be, which is then reported.
    pub(super) fn parse(sink: &Sink<'_>, file: u32, source: &'f str) -> Option<Self> {
        let mut rows = Rows::new(file, source);
        while rows.next(sink)? {}
        rows.text.shrink_to_fit();
        let text = String::from_utf8(rows.text).ok()?;
        Some(Self {
            file,
            source,
            text,
            width: rows.width,
            cells: rows.cells,
            rows: rows.starts,
        })
    }

    /// The column names.
    pub(super) fn header(&self) -> impl Iterator<Item = Word<'_>> {
        (0..self.width).map(|column| self.at(column))
    }

    /// How many rows there are below the header.
    pub(super) fn len(&self) -> usize {
        self.rows.len().saturating_sub(1)
    }

    /// The cell of a row, from 0 below the header; an empty one is absent.
    pub(super) fn cell(&self, row: usize, column: usize) -> Option<Word<'_>> {
        Some(self.at((row + 1) * self.width + column)).filter(|word| !word.text.is_empty())
    }

    /// The cell of a row, though it be empty.
    pub(super) fn any_cell(&self, row: usize, column: usize) -> Word<'_> {
        self.at((row + 1) * self.width + column)
    }

    /// The place of `part`, a part of a cell's text.
    pub(super) fn span(&self, cell: u32, part: &str) -> Span {
        let (begin, behind) = self.begin(cell, part);
        let end = after(begin, behind);
        Span {
            file: self.file,
            line: begin.0,
            column: begin.1,
            end_line: end.0,
            end_column: end.1,
        }
    }

    /// Where `part`, a part of a cell's text, begins.
    pub(super) fn place(&self, cell: u32, part: &str) -> Place {
        let ((line, column), _) = self.begin(cell, part);
        Place {
            file: self.file,
            line,
            column,
        }
    }

    /// Line and column where `part` of a cell begins, and what stands for it in the source.
    fn begin<'a>(&'a self, cell: u32, part: &'a str) -> ((u32, u32), &'a str) {
        let cell = cell as usize;
        let whole = self.text_of(cell);
        let offset = (part.as_ptr() as usize).saturating_sub(whole.as_ptr() as usize);
        let row = self.rows.get(cell / self.width.max(1));
        let (start, line) = row.map_or((0, 1), |row| (row.source as usize, row.line));
        let raw = self.cells.get(cell).map_or(0, |cell| cell.source as usize);
        if self.is_plain(cell) {
            // There are no quotes in the row, and so no line ends.
            let before = self.source.get(start..raw + offset).unwrap_or_default();
            return ((line, 1 + width(before)), part);
        }
        let before = self.source.get(start..raw).unwrap_or_default();
        let raw = self.source.get(raw..).unwrap_or_default();
        let mut place = (line, 1);
        pass(before, &mut place);
        match raw.strip_prefix('"') {
            None => {
                pass(raw.get(..offset).unwrap_or_default(), &mut place);
                (place, part)
            }
            Some(raw) => {
                place.1 += 1;
                let before = escaped(raw, offset);
                let whole = escaped(raw, offset + part.len());
                let behind = whole.get(before.len()..).unwrap_or_default();
                (after(place, before), behind)
            }
        }
    }

    /// Whether the cell is of a row without quotes.
    fn is_plain(&self, cell: usize) -> bool {
        let start = self.cells.get(cell).map(|cell| cell.start as usize);
        start.is_some_and(|start| start < self.source.len())
    }

    fn at(&self, cell: usize) -> Word<'_> {
        let number = u32::try_from(cell).unwrap_or(u32::MAX);
        Word::in_cell(self.text_of(cell), self, number)
    }

    fn text_of(&self, cell: usize) -> &str {
        let Some(cell) = self.cells.get(cell) else {
            return "";
        };
        let (start, end) = (cell.start as usize, cell.end as usize);
        let own = self.source.len();
        let text = match (start.checked_sub(own), end.checked_sub(own)) {
            (Some(start), Some(end)) => self.text.get(start..end),
            _ => self.source.get(start..end),
        };
        text.unwrap_or_default()
    }
}

/// Moves line and column behind `text`.
fn pass(text: &str, place: &mut (u32, u32)) {
    let breaks = text.bytes().filter(|byte| *byte == b'\n').count();
    let last = match breaks {
        0 => text,
        _ => text.rsplit('\n').next().unwrap_or_default(),
    };
    if breaks > 0 {
        *place = (place.0 + number(breaks), 1);
    }
    place.1 += width(last);
}

/// How many characters a part of a line has.
fn width(text: &str) -> u32 {
    let width = if text.is_ascii() {
        text.len()
    } else {
        text.chars().count()
    };
    number(width)
}

/// A count of something in a file, which is not so large.
fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX / 4)
}

/// Line and column behind `text`, which begins at `place`.
fn after(mut place: (u32, u32), text: &str) -> (u32, u32) {
    pass(text, &mut place);
    place
}

/// What stands for the first `bytes` of a text in quotes, in which each quote is written twice.
fn escaped(raw: &str, bytes: usize) -> &str {
    let mut text = 0;
    let mut letters = raw.char_indices();
    while text < bytes {
        match letters.next() {
            Some((_, '"')) => {
                text += 1;
                letters.next();
            }
            Some((_, letter)) => text += letter.len_utf8(),
            None => return raw,
        }
    }
    raw.get(..letters.offset()).unwrap_or_default()
}

/// Reads row after row.
struct Rows<'f> {
    file: u32,
    source: &'f str,
    reader: Reader,
    read: usize,
    line: u32,
    text: Vec<u8>,
    written: usize,
    cells: Vec<Cell>,
    starts: Vec<RowStart>,
    width: usize,
}

// === impl Cell ===

impl Cell {
    /// A cell that is the source's own text.
    fn plain(start: usize, end: usize) -> Option<Self> {
        let start = u32::try_from(start).ok()?;
        Some(Self {
            source: start,
            start,
            end: u32::try_from(end).ok()?,
        })
    }
}

// === impl Rows ===

impl<'f> Rows<'f> {
    fn new(file: u32, source: &'f str) -> Self {
        Self {
            file,
            source,
            reader: Reader::new(),
            read: 0,
            line: 1,
            // Quotes go, nothing comes: cells are never longer than the file. What is not written
            // to is never touched, and takes no memory.
            text: vec![0; source.len() + 1],
            written: 0,
            cells: Vec::new(),
            starts: Vec::new(),
            width: 0,
        }
    }

    /// Reads a row; whether there was one, `None` if the rest cannot be read.
    fn next(&mut self, sink: &Sink<'_>) -> Option<bool> {
        let bytes = self.source.as_bytes();
        while let Some(byte @ (b'\n' | b'\r')) = bytes.get(self.read) {
            self.line += u32::from(*byte == b'\n');
            self.read += 1;
        }
        let start = self.read;
        let first = self.cells.len();
        if start >= bytes.len() {
            self.text.truncate(self.written);
            return Some(false);
        }
        if first > 0 && self.plain(start)? {
            return Some(true);
        }
        let own = self.source.len();
        loop {
            let source = u32::try_from(self.read).ok()?;
            let start = u32::try_from(own + self.written).ok()?;
            let ended = self.field()?;
            let end = u32::try_from(own + self.written).ok()?;
            self.cells.push(Cell { source, start, end });
            let raw = self.source.get(source as usize..self.read)?;
            if raw.contains('"') {
                self.quotes(sink, raw, source as usize)?;
            }
            if ended {
                break;
            }
        }
        self.starts.push(RowStart {
            source: u32::try_from(start).ok()?,
            line: self.line,
        });
        self.even(sink, first);
        let row = bytes.get(start..self.read)?;
        let breaks = row.iter().filter(|byte| **byte == b'\n').count();
        self.line += u32::try_from(breaks).ok()?;
        Some(true)
    }

    /// Reads a row without quotes that is as wide as the header, as most rows are; whether it is
    /// one. If not, nothing is read.
    fn plain(&mut self, start: usize) -> Option<bool> {
        let bytes = self.source.as_bytes().get(start..)?;
        let first = self.cells.len();
        let mut field = start;
        let mut line_end = false;
        let mut end = start;
        for &byte in bytes {
            match byte {
                b',' => {
                    self.cells.push(Cell::plain(field, end)?);
                    field = end + 1;
                }
                b'\n' => line_end = true,
                b'"' => {
                    self.cells.truncate(first);
                    return Some(false);
                }
                _ => {}
            }
            if line_end {
                break;
            }
            end += 1;
        }
        let text = self.source.get(field..end)?;
        let text = text.strip_suffix('\r').unwrap_or(text);
        self.cells.push(Cell::plain(field, field + text.len())?);
        if self.cells.len() - first != self.width {
            self.cells.truncate(first);
            return Some(false);
        }
        self.starts.push(RowStart {
            source: u32::try_from(start).ok()?,
            line: self.line,
        });
        self.line += u32::from(line_end);
        self.read = end + usize::from(line_end);
        Some(true)
    }

    /// Reads a field; whether it is the last of its row.
    fn field(&mut self) -> Option<bool> {
        loop {
            let input = self.source.as_bytes().get(self.read..)?;
            let output = self.text.get_mut(self.written..)?;
            let (result, read, written) = self.reader.read_field(input, output);
            self.read += read;
            self.written += written;
            match result {
                ReadFieldResult::InputEmpty => {}
                ReadFieldResult::Field { record_end } => return Some(record_end),
                ReadFieldResult::OutputFull => return None,
                ReadFieldResult::End => return Some(true),
            }
        }
    }

    /// Refuses quotes that stand wrongly; what is not closed swallows the rest of the file.
    fn quotes(&self, sink: &Sink<'_>, raw: &str, at: usize) -> Option<()> {
        let raw = raw.trim_end_matches('\n').trim_end_matches('\r');
        let closed = self.read < self.source.len() || raw.len() > 1 && raw.ends_with('"');
        let raw = raw.strip_suffix(',').unwrap_or(raw);
        let inner = raw.strip_prefix('"').and_then(|it| it.strip_suffix('"'));
        let message = match inner {
            Some(inner) if !inner.replace("\"\"", "").contains('"') => return Some(()),
            _ if !raw.starts_with('"') => "quote inside a field without quotes",
            _ if !closed => "quotes that are never closed",
            _ => "text behind the closing quotes",
        };
        let before = self.source.get(..at).unwrap_or_default();
        let line = before.bytes().filter(|byte| *byte == b'\n').count();
        let column = before
            .rsplit('\n')
            .next()
            .unwrap_or_default()
            .chars()
            .count();
        let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX - 2) + 1;
        let first = number(column);
        let span = Span::line(self.file, number(line), first..first + 1);
        Finding::error(Code::CsvSyntax, span, message)
            .help("a field with quotes stands in quotes, and each quote in it is written twice: `\"a \"\"b\"\"\"`")
            .report(sink);
        closed.then_some(())
    }

    /// Makes the row that begins at cell `first` as wide as the header.
    fn even(&mut self, sink: &Sink<'_>, first: usize) {
        let fields = self.cells.len() - first;
        if first == 0 {
            self.width = fields;
        }
        if fields == self.width {
            return;
        }
        let message = format!("row of {fields} fields under a header of {}", self.width);
        Finding::error(
            Code::UnevenRow,
            Span::line(self.file, self.line, 1..u32::MAX),
            message,
        )
        .help("put a field with a comma in quotes; keep the commas of empty fields")
        .report(sink);
        // The cells stay in step, so that what follows is read as it is meant.
        let last = self.cells.last().copied();
        let last = last.unwrap_or(Cell {
            source: 0,
            start: 0,
            end: 0,
        });
        let empty = Cell {
            start: last.end,
            ..last
        };
        self.cells.resize(first + self.width, empty);
        if let (true, Some(cell)) = (fields > self.width, self.cells.last_mut()) {
            cell.end = last.end;
        }
    }
}
