//! The files of a folder, each read as far as its own grammar goes.

use std::collections::BTreeMap;

use super::csv::Table;
use super::names::meant;
use super::sink::{Finding, Sink, Span};
use super::yaml::{Node, parse};
use super::{Code, Files, text};

/// Endings of files that hold policy.
const ENDINGS: [&str; 4] = [".yaml", ".yml", ".csv", ".json"];

/// A byte of YAML is so much more work than one of CSV.
const TREE_WORK: usize = 8;

/// A folder of policy files.
pub(super) struct Folder<'f> {
    /// With a slash at the end.
    path: String,
    /// What is read, by name.
    files: Vec<(&'f str, &'f [u8])>,
    /// What looks like policy and is not known.
    unknown: Vec<&'f str>,
    /// What must be there and is not.
    missing: Option<&'static str>,
    known: &'static [&'static str],
}

/// A file, read as far as its own grammar goes.
pub(super) enum Loaded<'f> {
    /// It cannot be read, which is reported.
    Broken,
    /// YAML.
    Tree(Node<'f>),
    /// CSV.
    Table(Table<'f>),
}

/// The files of a folder by name.
pub(super) type Loads<'f> = BTreeMap<&'f str, Loaded<'f>>;

// === impl Folder ===

impl<'f> Folder<'f> {
    /// Looks through a folder for the files to `read`, and for others than are `known`.
    pub(super) fn new(
        files: &'f Files,
        path: String,
        read: &[&str],
        known: &'static [&'static str],
    ) -> Self {
        let mut folder = Self {
            path,
            files: Vec::new(),
            unknown: Vec::new(),
            missing: None,
            known,
        };
        for (full, content) in files.iter() {
            let Some(name) = full.strip_prefix(folder.path.as_str()) else {
                continue;
            };
            let hidden = name.split('/').any(|part| part.starts_with('.'));
            if read.contains(&name) {
                folder.files.push((name, content));
            } else if !hidden
                && !known.contains(&name)
                && ENDINGS.iter().any(|ending| name.ends_with(ending))
            {
                folder.unknown.push(name);
            }
        }
        folder
    }

    /// Asks for a file that must be there.
    pub(super) fn needing(mut self, name: &'static str) -> Self {
        self.missing = Some(name).filter(|name| !self.files.iter().any(|(other, _)| other == name));
        self
    }

    /// Reads the files, by name.
    pub(super) fn load<'t>(&self, sink: &Sink<'t>) -> BTreeMap<&'f str, Loaded<'t>> {
        let load = |(name, _): &(&'f str, &'f [u8])| {
            let file = sink.file(&format!("{}{name}", self.path));
            let loaded = file.and_then(|file| load(sink, file, name));
            (*name, loaded.unwrap_or(Loaded::Broken))
        };
        let work = |(name, content): &&(&str, &[u8])| {
            content.len() * if name.ends_with(".csv") { 1 } else { TREE_WORK }
        };
        let largest = self.files.iter().max_by_key(work);
        let (largest, others): (Vec<_>, Vec<_>) =
            (self.files.iter()).partition(|file| Some(*file) == largest);
        let load_largest = || largest.iter().copied().map(load).collect::<Vec<_>>();
        let load_others = || others.iter().copied().map(load).collect::<Vec<_>>();
        let loaded: BTreeMap<_, _> = match sink.both(load_largest, load_others) {
            Some((largest, others)) => largest.into_iter().chain(others).collect(),
            None => self.files.iter().map(load).collect(),
        };
        for (tree, table) in [("users.yaml", "users.csv"), ("objects.yaml", "objects.csv")] {
            if loaded.contains_key(tree) && loaded.contains_key(table) {
                let span = |name| sink.file(&format!("{}{name}", self.path)).map(Span::top);
                let (first, second) = (span(tree), span(table));
                Finding::error(
                    Code::TwoFiles,
                    second.unwrap_or_default(),
                    format!("both `{tree}` and `{table}`"),
                )
                .also(first.unwrap_or_default(), "the other is here")
                .help("keep one of them")
                .report(sink);
            }
        }
        loaded
    }
}

/// Opens a sink for all files of these folders, in the order of their paths.
pub(super) fn open<'f>(folders: &[Folder<'f>]) -> Sink<'f> {
    let mut files: Vec<(String, &'f [u8])> = Vec::new();
    for folder in folders {
        let path = |name: &str| format!("{}{name}", folder.path);
        files.extend(
            folder
                .files
                .iter()
                .map(|(name, content)| (path(name), *content)),
        );
        files.extend(folder.unknown.iter().map(|name| (path(name), &[][..])));
        files.extend(folder.missing.iter().map(|name| (path(name), &[][..])));
    }
    files.sort();
    let sink = Sink::new(files);
    for folder in folders {
        let span = |name: &str| {
            sink.file(&format!("{}{name}", folder.path))
                .map_or(Span::default(), Span::top)
        };
        if let Some(name) = folder.missing {
            let message = format!("there is no `{name}`");
            sink.error(Code::MissingFile, span(name), message);
        }
        for name in &folder.unknown {
            let known = folder.known.iter().copied();
            let help = meant(&sink, name, known).unwrap_or_else(|| {
                let all: Vec<String> = folder
                    .known
                    .iter()
                    .map(|name| format!("`{name}`"))
                    .collect();
                format!("files here are {}", all.join(", "))
            });
            Finding::error(
                Code::UnknownFile,
                span(name),
                format!("unknown file `{name}`"),
            )
            .help(help)
            .report(&sink);
        }
    }
    sink
}

// === impl Loaded ===

impl<'f> Loaded<'f> {
    /// The tree's root, if there is one.
    pub(super) const fn root(&self) -> Option<&Node<'f>> {
        match self {
            Self::Tree(root) => Some(root),
            Self::Broken | Self::Table(_) => None,
        }
    }
}

fn load<'t>(sink: &Sink<'t>, file: u32, name: &str) -> Option<Loaded<'t>> {
    let text = text::text(sink, file)?;
    if name.ends_with(".csv") {
        Table::parse(sink, file, text).map(Loaded::Table)
    } else {
        parse(sink, file, text).map(Loaded::Tree)
    }
}
