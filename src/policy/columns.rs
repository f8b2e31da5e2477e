//! Columns of a CSV file: the known ones by name, and those that hold properties.

use std::borrow::Cow;

use super::Code;
use super::csv::Table;
use super::fields::unknown_key;
use super::properties::{in_cell, properties};
use super::sink::{Finding, Sink, Span};
use super::word::Word;
use crate::model::Properties;

const PROPERTY: &str = "properties.";

/// Which column holds what.
pub(super) struct Columns<'t> {
    table: &'t Table<'t>,
    sink: &'t Sink<'t>,
    /// By position among the known names.
    known: Vec<Option<usize>>,
    /// The name of each column that holds a property.
    properties: Vec<(Word<'t>, usize)>,
}

// === impl Columns ===

impl<'t> Columns<'t> {
    /// Reads a header; the first `needed` of the known names must be there.
    pub(super) fn read(
        sink: &'t Sink<'t>,
        table: &'t Table<'t>,
        what: &str,
        names: &[&str],
        needed: usize,
    ) -> Self {
        let mut known = vec![None; names.len()];
        let mut properties: Vec<(Word<'t>, usize)> = Vec::new();
        let header: Vec<Word<'t>> = table.header().collect();
        for (column, word) in header.iter().enumerate() {
            let before = header
                .iter()
                .take(column)
                .find(|other| other.text == word.text);
            if let Some(first) = before {
                Finding::error(
                    Code::DuplicateKey,
                    word.span(),
                    format!("column `{}` stands twice", word.text),
                )
                .also(first.span(), "it stands here already")
                .report(sink);
            } else if let Some(name) = word.text.strip_prefix(PROPERTY) {
                properties.push((word.part(name), column));
            } else if let Some(place) = names
                .iter()
                .position(|name| *name == word.text)
                .and_then(|at| known.get_mut(at))
            {
                *place = Some(column);
            } else if word.text.contains([';', '\t']) && header.len() == 1 {
                Finding::error(Code::CsvSyntax, word.span(), "header without commas")
                    .help("part the fields of a line with commas; `;` parts the items of a list in a field")
                    .report(sink);
            } else {
                unknown_key(sink, *word, what, names);
            }
        }
        for (name, _) in names
            .iter()
            .zip(&known)
            .take(needed)
            .filter(|(_, column)| column.is_none())
        {
            let span = header.first().map_or(Span::default(), |word| word.span());
            sink.error(
                Code::MissingKey,
                span,
                format!("{what} lacks the column `{name}`"),
            );
        }
        Self {
            table,
            sink,
            known,
            properties,
        }
    }

    /// How many rows there are.
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// A cell, by position among the known names; an empty one is absent.
    pub(super) fn get(&self, row: usize, name: usize) -> Option<Word<'t>> {
        let column = self.known.get(name).copied().flatten()?;
        self.table.cell(row, column)
    }

    /// A cell, though it be empty; `None` if there is no such column.
    pub(super) fn any(&self, row: usize, name: usize) -> Option<Word<'t>> {
        let column = self.known.get(name).copied().flatten()?;
        Some(self.table.any_cell(row, column))
    }

    /// The items of a list in a cell.
    pub(super) fn items(&self, row: usize, name: usize) -> impl Iterator<Item = Word<'t>> + Clone {
        self.get(row, name).into_iter().flat_map(Word::items)
    }

    /// The names of properties.
    pub(super) fn property_names(&self) -> impl Iterator<Item = Word<'t>> {
        self.properties.iter().map(|(name, _)| *name)
    }

    /// The properties of a row; `judge` looks at the name of each that is there.
    pub(super) fn properties(&self, row: usize, judge: impl Fn(Word<'t>)) -> Properties<'static> {
        let mut members = Vec::with_capacity(self.properties.len());
        for (name, column) in &self.properties {
            let Some(cell) = self.table.cell(row, *column) else {
                continue;
            };
            judge(*name);
            if let Some(value) = in_cell(self.sink, cell) {
                members.push((Cow::Owned(name.text.to_owned()), value));
            }
        }
        properties(members)
    }
}
