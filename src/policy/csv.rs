//! Text → table of cells (RFC 4180), each with its place.
//!
//! A table of a hundred thousand rows is three allocations: the cells' text in one piece, where
//! each ends, where each row begins. Lines and columns are counted only where one is asked for.

use csv_core::{ReadFieldResult, Reader};

use super::Code;
use super::sink::{Finding, Sink, Span};
use super::word::Word;

/// The rows of a CSV file below its header line.
#[derive(Debug)]
pub(super) struct Table<'f> {
    file: u32,
    source: &'f str,
    /// The text of all cells, without quotes.
    text: String,
    /// Row by row, the header first.
    cells: Vec<Cell>,
    rows: Vec<RowStart>,
    width: usize,
}

#[derive(Clone, Copy, Debug)]
struct Cell {
    /// Where it ends in the table's text; it begins where the one before ends.
    end: u32,
    /// Where it begins in the source, quotes included.
    source: u32,
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
        let cell = cell as usize;
        let whole = self.text_of(cell);
        let offset = (part.as_ptr() as usize).saturating_sub(whole.as_ptr() as usize);
        let row = self.rows.get(cell / self.width.max(1));
        let (start, line) = row.map_or((0, 1), |row| (row.source as usize, row.line));
        let raw = self.cells.get(cell).map_or(0, |cell| cell.source as usize);
        let before = self.source.get(start..raw).unwrap_or_default();
        let raw = self.source.get(raw..).unwrap_or_default();
        let mut place = (line, 1);
        pass(before, &mut place);
        let (begin, end) = match raw.strip_prefix('"') {
            None => {
                pass(raw.get(..offset).unwrap_or_default(), &mut place);
                (place, after(place, part))
            }
            Some(raw) => {
                place.1 += 1;
                let begin = after(place, escaped(raw, offset));
                (begin, after(place, escaped(raw, offset + part.len())))
            }
        };
        Span {
            file: self.file,
            line: begin.0,
            column: begin.1,
            end_line: end.0,
            end_column: end.1,
        }
    }

    fn at(&self, cell: usize) -> Word<'_> {
        let number = u32::try_from(cell).unwrap_or(u32::MAX);
        Word::in_cell(self.text_of(cell), self, number)
    }

    fn text_of(&self, cell: usize) -> &str {
        let end = |cell: usize| self.cells.get(cell).map(|cell| cell.end as usize);
        let start = cell.checked_sub(1).and_then(end).unwrap_or(0);
        let range = start..end(cell).unwrap_or(start);
        self.text.get(range).unwrap_or_default()
    }
}

/// Moves line and column behind `text`.
fn pass(text: &str, place: &mut (u32, u32)) {
    let breaks = text.bytes().filter(|byte| *byte == b'\n').count();
    let last = match breaks {
        0 => text,
        _ => text.rsplit('\n').next().unwrap_or_default(),
    };
    let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX / 4);
    if breaks > 0 {
        *place = (place.0 + number(breaks), 1);
    }
    let width = if last.is_ascii() {
        last.len()
    } else {
        last.chars().count()
    };
    place.1 += number(width);
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

// === impl Rows ===

impl<'f> Rows<'f> {
    fn new(file: u32, source: &'f str) -> Self {
        Self {
            file,
            source,
            reader: Reader::new(),
            read: 0,
            line: 1,
            // Quotes go, nothing comes: cells are never longer than the file.
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
        loop {
            let source = u32::try_from(self.read).ok()?;
            let ended = self.field()?;
            let end = u32::try_from(self.written).ok()?;
            self.cells.push(Cell { end, source });
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
        let last = last.unwrap_or(Cell { end: 0, source: 0 });
        self.cells.resize(first + self.width, last);
        if let (true, Some(cell)) = (fields > self.width, self.cells.last_mut()) {
            cell.end = last.end;
        }
    }
}
