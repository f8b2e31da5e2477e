//! Named things: gathered and numbered in the order of their names before anything refers to them.

use super::Code;
use super::fields::Fields;
use super::names::{Names, Sort};
use super::sink::{Finding, Sink, Span};
use super::word::Word;
use super::yaml::Node;

/// What a file says under one of its keys.
#[derive(Clone, Copy)]
pub(super) enum Section<'t> {
    /// Nothing: the file or key is not there.
    Absent,
    /// It could not be read, which is reported; what it would name is not known.
    Broken,
    /// This.
    Is(&'t Node<'t>),
}

/// Things of one sort, by name; each thing's number is its position.
pub(super) struct Declared<'t, T> {
    pub(super) names: Names<'t>,
    pub(super) items: Vec<(Word<'t>, T)>,
}

// === impl Section ===

impl<'t> Section<'t> {
    /// Whether what it would name is known.
    pub(super) const fn is_known(self) -> bool {
        !matches!(self, Self::Broken)
    }

    /// The section's value.
    pub(super) const fn node(self) -> Option<&'t Node<'t>> {
        match self {
            Self::Is(node) => Some(node),
            Self::Absent | Self::Broken => None,
        }
    }

    /// The items of a list; nothing where there is none, and `false` if it is not known.
    pub(super) fn list(self, sink: &Sink<'_>, what: &str) -> (&'t [Node<'t>], bool) {
        match self.node().map(|node| node.list(sink, what)) {
            None => (&[], self.is_known()),
            Some(None) => (&[], false),
            Some(Some(items)) => (items, true),
        }
    }
}

// === impl Declared ===

impl<'t, T> Declared<'t, T> {
    /// Numbers things by name; a name that stands twice is reported.
    ///
    /// An empty name stands for one that is missing or unfit, which is reported already.
    pub(super) fn new(sink: &Sink<'_>, sort: Sort, mut items: Vec<(Word<'t>, T)>) -> Self {
        items.sort_by_key(|(name, _)| name.text);
        for pair in items.windows(2) {
            if let [(first, _), (second, _)] = pair
                && first.text == second.text
                && !first.text.is_empty()
            {
                duplicate(sink, sort, *first, *second);
            }
        }
        let names = items.iter().map(|(name, _)| (name.text, name.span()));
        let mut names = Names::number(sort, names);
        names.complete = items.first().is_none_or(|(name, _)| !name.text.is_empty());
        Self { names, items }
    }
}

impl<'t> Declared<'t, Fields<'t>> {
    /// Gathers things from a list of tables; the key that holds a thing's name is the first of `keys`.
    pub(super) fn gather(
        sink: &'t Sink<'t>,
        sort: Sort,
        section: Section<'t>,
        what: &'static str,
        keys: &[&'static str],
    ) -> Self {
        let (nodes, mut known) = section.list(sink, &format!("a list of {}s", sort.noun));
        let mut items = Vec::with_capacity(nodes.len());
        for node in nodes {
            match node.fields(sink, what, keys) {
                Some(fields) => items.push((name(sink, what, keys, &fields), fields)),
                None => known = false,
            }
        }
        let mut declared = Self::new(sink, sort, items);
        declared.names.complete &= known;
        declared
    }
}

/// The name of a thing; an empty one where it is missing or unfit.
pub(super) fn name<'t>(
    sink: &Sink<'_>,
    what: &str,
    keys: &[&'static str],
    fields: &Fields<'t>,
) -> Word<'t> {
    let key = keys.first().copied().unwrap_or_default();
    let name = fields
        .need(key)
        .and_then(|node| node.text(sink, &format!("the name of {what}")))
        .and_then(|name| name.name(sink, &format!("the name of {what}")));
    name.unwrap_or(Word::new("", fields.head()))
}

fn duplicate(sink: &Sink<'_>, sort: Sort, first: Word<'_>, second: Word<'_>) {
    let message = format!("{} `{}` stands twice", sort.noun, second.text);
    Finding::error(Code::DuplicateName, second.span(), message)
        .also(first.span(), "it stands here already")
        .report(sink);
}

/// Numbers of the things in a list, sorted; what stands twice is reported.
pub(super) fn set<'t, I: Copy + Ord>(
    sink: &Sink<'_>,
    words: impl IntoIterator<Item = Word<'t>>,
    find: impl Fn(Word<'t>) -> Option<I>,
) -> Vec<I> {
    let mut words = words.into_iter();
    let (Some(first), second) = (words.next(), words.next()) else {
        return Vec::new();
    };
    let Some(second) = second else {
        return find(first).into_iter().collect();
    };
    let words = [first, second].into_iter().chain(words);
    let mut found: Vec<(I, Word<'t>)> =
        words.filter_map(|word| Some((find(word)?, word))).collect();
    found.sort_by_key(|(number, _)| *number);
    for pair in found.windows(2) {
        if let [(one, first), (other, second)] = pair
            && one == other
        {
            twice(sink, first.span(), second.span(), second.text);
        }
    }
    found.dedup_by_key(|(number, _)| *number);
    // Collecting would keep the memory of the words too.
    let mut numbers = Vec::with_capacity(found.len());
    numbers.extend(found.into_iter().map(|(number, _)| number));
    numbers
}

/// Reports an item that stands twice in a list.
#[cold]
pub(super) fn twice(sink: &Sink<'_>, first: Span, second: Span, text: &str) {
    let message = format!("`{text}` stands twice in one list");
    Finding::error(Code::DuplicateItem, second, message)
        .also(first, "it stands here already")
        .report(sink);
}
