//! A text of a file that knows its place.

use super::csv::Table;
use super::sink::{Sink, Span};
use super::{Code, Place};

/// A text of a file that knows its place; for a CSV cell, counted only when it is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Word<'t> {
    pub(super) text: &'t str,
    at: At<'t>,
}

#[derive(Clone, Copy, Debug)]
enum At<'t> {
    Span(Span),
    Cell(&'t Table<'t>, u32),
}

// === impl Word ===

impl<'t> Word<'t> {
    pub(super) const fn new(text: &'t str, span: Span) -> Self {
        Self {
            text,
            at: At::Span(span),
        }
    }

    pub(super) const fn in_cell(text: &'t str, table: &'t Table<'t>, cell: u32) -> Self {
        Self {
            text,
            at: At::Cell(table, cell),
        }
    }

    /// Whether it stands in a CSV file.
    pub(super) const fn is_in_cell(self) -> bool {
        matches!(self.at, At::Cell(..))
    }

    /// Where it stands.
    pub(super) fn span(self) -> Span {
        match self.at {
            At::Span(span) => span,
            At::Cell(table, cell) => table.span(cell, self.text),
        }
    }

    /// Where it begins.
    pub(super) fn place(self) -> Place {
        match self.at {
            At::Span(span) => span.place(),
            At::Cell(table, cell) => table.place(cell, self.text),
        }
    }

    /// A part of its text.
    pub(super) const fn part(self, text: &'t str) -> Self {
        Self { text, ..self }
    }

    /// The items of a list in a CSV cell.
    pub(super) fn items(self) -> impl Iterator<Item = Self> + Clone {
        self.text.split(';').map(move |item| self.part(item.trim()))
    }

    /// The text, if it is fit to be a name; what is wrong is reported.
    pub(super) fn name(self, sink: &Sink<'_>, noun: &str) -> Option<Self> {
        self.checked(sink, Code::BadName, noun, super::names::name_fault)
    }

    /// The text, if it is fit to be an id or alias; what is wrong is reported.
    pub(super) fn id(self, sink: &Sink<'_>, noun: &str) -> Option<Self> {
        self.checked(sink, Code::BadId, noun, super::names::id_fault)
    }

    fn checked(
        self,
        sink: &Sink<'_>,
        code: Code,
        noun: &str,
        fault: fn(&str) -> Option<String>,
    ) -> Option<Self> {
        let Some(fault) = fault(self.text) else {
            return Some(self);
        };
        let message = format!("`{}` cannot be {noun}: {fault}", self.text);
        sink.error(code, self.span(), message);
        None
    }
}
