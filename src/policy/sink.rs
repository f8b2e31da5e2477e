//! Where the reader puts what it finds, so that it never has to stop at the first error.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::diagnostics::{Diagnostic, Diagnostics, Excerpt, Location, Note, NoteKind, Severity};
use super::{Code, PRINTED_MAX, Place};

/// How many findings are kept; the others are counted.
const KEPT_MAX: usize = 100_000;
/// How many names are compared, in all, to guess what was meant.
const GUESSES_MAX: usize = 2_000_000;
/// Bytes of files that are worth a second thread.
const SHARED_MIN: usize = 1 << 20;
/// Characters of a message.
const MESSAGE_MAX: usize = 400;
/// Characters of a line that is kept whole; the renderer shows what is near.
const LINE_MAX: usize = 4_000;
/// Characters that are kept of a longer line, before and after where the finding begins.
const EXCERPT_BEFORE: usize = 60;
const EXCERPT_AFTER: usize = 100;

/// A stretch of a file: lines and columns in characters from 1, the end exclusive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Span {
    pub(super) file: u32,
    pub(super) line: u32,
    pub(super) column: u32,
    pub(super) end_line: u32,
    pub(super) end_column: u32,
}

/// Something that is wrong, not yet made fit for printing.
#[derive(Debug)]
pub(super) struct Finding {
    severity: Severity,
    code: Code,
    span: Span,
    message: String,
    notes: Vec<(NoteKind, String, Option<Span>)>,
}

/// What was found so far, in these files.
pub(super) struct Sink<'f> {
    /// Path and content; a span's file is an index into this list.
    files: Vec<(String, &'f [u8])>,
    found: Mutex<Found>,
}

struct Found {
    findings: Vec<Finding>,
    /// How many findings more there were.
    omitted: usize,
    /// How many names may still be compared.
    guesses: usize,
}

// === impl Span ===

impl Span {
    /// A stretch of one line.
    pub(super) const fn line(file: u32, line: u32, columns: Range<u32>) -> Self {
        Self {
            file,
            line,
            column: columns.start,
            end_line: line,
            end_column: columns.end,
        }
    }

    /// The beginning of a file.
    pub(super) const fn top(file: u32) -> Self {
        Self::line(file, 1, 1..1)
    }

    /// Where the span begins.
    pub(super) const fn place(self) -> Place {
        Place {
            file: self.file,
            line: self.line,
            column: self.column,
        }
    }
}

// === impl Finding ===

impl Finding {
    /// What keeps the company from compiling.
    #[cold]
    pub(super) fn error(code: Code, span: Span, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            code,
            span,
            message: message.into(),
            notes: Vec::new(),
        }
    }

    /// What does not.
    #[cold]
    pub(super) fn warning(code: Code, span: Span, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(code, span, message)
        }
    }

    /// Tells what to do.
    pub(super) fn help(mut self, message: impl Into<String>) -> Self {
        self.notes.push((NoteKind::Help, message.into(), None));
        self
    }

    /// Tells what to do, if there is something to tell.
    pub(super) fn help_if(self, message: Option<String>) -> Self {
        match message {
            Some(message) => self.help(message),
            None => self,
        }
    }

    /// Points to another place that has to do with it.
    pub(super) fn also(mut self, span: Span, message: impl Into<String>) -> Self {
        self.notes
            .push((NoteKind::Note, message.into(), Some(span)));
        self
    }

    /// Puts the finding into `sink`.
    #[cold]
    pub(super) fn report(mut self, sink: &Sink<'_>) {
        shorten(&mut self.message);
        for (_, note, _) in &mut self.notes {
            shorten(note);
        }
        let mut found = sink.found();
        if found.findings.len() < KEPT_MAX {
            found.findings.push(self);
        } else {
            found.omitted += 1;
        }
    }
}

/// Cuts a message that quotes something long out of a file.
fn shorten(message: &mut String) {
    if let Some((cut, _)) = message.char_indices().nth(MESSAGE_MAX) {
        message.truncate(cut);
        message.push('…');
    }
}

// === impl Sink ===

impl<'f> Sink<'f> {
    /// A sink for findings in these files, which are numbered in their order.
    pub(super) fn new(files: Vec<(String, &'f [u8])>) -> Self {
        Self {
            files,
            found: Mutex::new(Found {
                findings: Vec::new(),
                omitted: 0,
                guesses: GUESSES_MAX,
            }),
        }
    }

    fn found(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does both at once, one of them on another thread, if the files are large and neither finds
    /// anything to report.
    ///
    /// Else what was found is forgotten and both are to be done again, one after the other: how many
    /// findings are kept and how many names are compared depends on their order.
    pub(super) fn both<A: Send, B>(
        &self,
        one: impl FnOnce() -> A + Send,
        other: impl FnOnce() -> B,
    ) -> Option<(A, B)> {
        let bytes: usize = self.files.iter().map(|(_, content)| content.len()).sum();
        if bytes < SHARED_MIN {
            return None;
        }
        let state = |found: &Found| (found.findings.len(), found.omitted, found.guesses);
        let before = state(&self.found());
        let made = thread::scope(|scope| {
            let one = scope.spawn(one);
            let other = other();
            let one = one.join();
            (
                one.unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
                other,
            )
        });
        let mut found = self.found();
        if state(&found) == before {
            return Some(made);
        }
        found.findings.truncate(before.0);
        (found.omitted, found.guesses) = (before.1, before.2);
        None
    }

    /// The number of the file at `path`.
    pub(super) fn file(&self, path: &str) -> Option<u32> {
        let found = self.files.iter().position(|(other, _)| other == path)?;
        u32::try_from(found).ok()
    }

    /// The content of a file.
    pub(super) fn content(&self, file: u32) -> &'f [u8] {
        self.files
            .get(file as usize)
            .map_or(&[], |(_, content)| *content)
    }

    /// The paths of all files, by number.
    pub(super) fn paths(&self) -> Vec<String> {
        self.files.iter().map(|(path, _)| path.clone()).collect()
    }

    /// Reports an error about which there is no more to say.
    #[cold]
    pub(super) fn error(&self, code: Code, span: Span, message: impl Into<String>) {
        Finding::error(code, span, message).report(self);
    }

    /// Whether an error was found.
    pub(super) fn has_errors(&self) -> bool {
        self.found()
            .findings
            .iter()
            .any(|found| found.severity == Severity::Error)
    }

    /// Whether so many names may still be compared to guess what was meant.
    pub(super) fn may_guess(&self, names: usize) -> bool {
        let mut found = self.found();
        let left = found.guesses.checked_sub(names);
        found.guesses = left.unwrap_or(found.guesses);
        left.is_some()
    }

    /// All findings in order, ready to be printed.
    pub(super) fn into_diagnostics(self) -> Diagnostics {
        let found = self.found.into_inner();
        let Found {
            findings: mut found,
            omitted,
            ..
        } = found.unwrap_or_else(PoisonError::into_inner);
        found.sort_by(|a, b| {
            let key = |one: &Finding| (one.span, one.severity, one.code);
            key(a).cmp(&key(b)).then_with(|| a.message.cmp(&b.message))
        });
        found.dedup_by(|b, a| a.span == b.span && a.code == b.code && a.message == b.message);
        let mut excerpts = Excerpts::new(&self.files);
        let list = found
            .into_iter()
            .enumerate()
            .map(|(position, one)| excerpts.diagnostic(one, position < PRINTED_MAX))
            .collect();
        Diagnostics { list, omitted }
    }
}

/// Cuts lines out of files.
struct Excerpts<'a> {
    files: &'a [(String, &'a [u8])],
    paths: Vec<Arc<str>>,
    /// Where the lines of a file begin, once one was asked for.
    lines: HashMap<u32, Vec<usize>>,
}

// === impl Excerpts ===

impl<'a> Excerpts<'a> {
    fn new(files: &'a [(String, &'a [u8])]) -> Self {
        Self {
            files,
            paths: files.iter().map(|(path, _)| path.as_str().into()).collect(),
            lines: HashMap::new(),
        }
    }

    fn diagnostic(&mut self, found: Finding, printed: bool) -> Diagnostic {
        let note = |(kind, message, span): (NoteKind, String, Option<Span>)| Note {
            kind,
            message,
            location: span.map(|span| self.location(span, printed)),
        };
        let notes = found.notes.into_iter().map(note).collect();
        Diagnostic {
            severity: found.severity,
            code: found.code,
            message: found.message,
            location: self.location(found.span, printed),
            notes,
        }
    }

    fn location(&mut self, span: Span, printed: bool) -> Location {
        let file = self.paths.get(span.file as usize).cloned();
        Location {
            file: file.unwrap_or_else(|| "".into()),
            line: span.line,
            column: span.column,
            end_line: span.end_line,
            end_column: span.end_column,
            excerpt: if printed { self.excerpt(span) } else { None },
        }
    }

    fn excerpt(&mut self, span: Span) -> Option<Excerpt> {
        let (_, content) = self.files.get(span.file as usize)?;
        if content.len() > super::text::BYTES_MAX {
            return None;
        }
        let starts = self.lines.entry(span.file).or_insert_with(|| {
            let breaks = content
                .iter()
                .enumerate()
                .filter(|(_, byte)| **byte == b'\n');
            std::iter::once(0)
                .chain(breaks.map(|(at, _)| at + 1))
                .collect()
        });
        let line = (span.line as usize).checked_sub(1)?;
        let start = *starts.get(line)?;
        let end = starts.get(line + 1).copied().unwrap_or(content.len());
        let text = String::from_utf8_lossy(content.get(start..end)?);
        let text = text.trim_start_matches('\u{feff}').trim_end();
        let until = if span.end_line == span.line {
            span.end_column
        } else {
            u32::MAX
        };
        Some(window(text, span.column as usize, until as usize)).filter(|cut| !cut.text.is_empty())
    }
}

/// The line, or of a long one the part around the columns `[from, until)`.
fn window(line: &str, from: usize, until: usize) -> Excerpt {
    let cut = line.chars().nth(LINE_MAX).is_some();
    let (first, last) = if cut {
        let first = from.saturating_sub(1 + EXCERPT_BEFORE);
        (first, from.saturating_add(EXCERPT_AFTER))
    } else {
        (0, usize::MAX)
    };
    let mut text = String::new();
    let (mut start, mut end) = (None, None);
    for (position, letter) in line.chars().enumerate().take(last).skip(first) {
        if position + 1 == from {
            start = Some(text.len());
        }
        if position + 1 == until {
            end = Some(text.len());
        }
        // The renderer widens tabs; one column each keeps what is underlined in its place.
        text.push(if letter == '\t' { ' ' } else { letter });
    }
    let end = end.unwrap_or(text.len());
    let start = start.unwrap_or(end).min(end);
    Excerpt {
        text,
        underlined: start..end,
        cut,
    }
}
