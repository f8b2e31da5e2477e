//! What is wrong with policy files, and where.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde::ser::{SerializeStruct, Serializer};

use super::Code;
use super::render;

/// How many diagnostics are printed, as text or JSON; the others are counted.
pub const PRINTED_MAX: usize = 200;

/// All that was found in the files of a company or pack, by file, line and column.
///
/// It keeps what it needs to print itself; the files may be gone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics {
    pub(super) list: Vec<Diagnostic>,
    /// Found, but too many to keep.
    pub(super) omitted: usize,
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Whether it keeps the company from compiling.
    pub severity: Severity,
    /// What it is, for tools.
    pub code: Code,
    /// What it is, for people: lowercase, without a final period.
    pub message: String,
    /// Where it is.
    pub location: Location,
    /// What was probably meant, and what else there is to know.
    pub notes: Vec<Note>,
}

/// Whether something keeps a company from compiling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It does.
    Error,
    /// It does not.
    Warning,
}

/// Something more about a diagnostic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Note {
    /// What sort of note it is.
    pub kind: NoteKind,
    /// What it says.
    pub message: String,
    /// Where it points, if it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
}

/// What a note is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum NoteKind {
    /// What to do.
    Help,
    /// What to know.
    Note,
}

/// A stretch of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Location {
    /// The file's path within the policy tree.
    #[serde(serialize_with = "as_text")]
    pub file: Arc<str>,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// Line of the end.
    pub end_line: u32,
    /// Column of the first character that is no longer meant.
    pub end_column: u32,
    /// The line, for printing.
    #[serde(skip)]
    pub(super) excerpt: Option<Excerpt>,
}

/// A line of a file, or what surrounds the place in a long one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Excerpt {
    pub(super) text: String,
    /// What is underlined: bytes of `text`.
    pub(super) underlined: std::ops::Range<usize>,
    /// Whether the line is longer than this.
    pub(super) cut: bool,
}

// === impl Diagnostics ===

impl Diagnostics {
    /// The diagnostics that were kept, by file, line and column.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.list.iter()
    }

    /// How many there are, those that were not kept included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len() + self.omitted
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether one keeps the company from compiling.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.list
            .iter()
            .any(|found| found.severity == Severity::Error)
    }

    /// Keeps only some of them.
    pub fn retain(&mut self, keep: impl FnMut(&Diagnostic) -> bool) {
        self.list.retain(keep);
    }

    /// As text for a terminal, like a compiler's; of many, the first [`PRINTED_MAX`].
    #[must_use]
    pub fn render(&self, coloured: bool) -> String {
        render::render(self, coloured)
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Diagnostics {}

impl Serialize for Diagnostics {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let printed = self.list.get(..PRINTED_MAX).unwrap_or(&self.list);
        let mut all = serializer.serialize_struct("Diagnostics", 2)?;
        all.serialize_field("diagnostics", printed)?;
        all.serialize_field("omitted", &(self.len() - printed.len()))?;
        all.end()
    }
}

// === impl Diagnostic ===

impl fmt::Display for Diagnostic {
    /// One line: where, what, code.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} [{}]", self.location, self.message, self.code)
    }
}

impl Serialize for Diagnostic {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut one = serializer.serialize_struct("Diagnostic", 5)?;
        one.serialize_field("severity", &self.severity)?;
        one.serialize_field("code", self.code.name())?;
        one.serialize_field("message", &self.message)?;
        one.serialize_field("location", &self.location)?;
        one.serialize_field("notes", &self.notes)?;
        one.end()
    }
}

fn as_text<S: Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}
