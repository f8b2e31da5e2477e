//! Text → tree of values, each with its place.
//!
//! What other readers of YAML would read differently, and what would make a file mean more than
//! it shows, is refused: anchors, merge keys, tags, several documents, keys that stand twice.

use std::borrow::Cow;
use std::collections::HashMap;
use std::str::Chars;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle};

use super::json::{Json, owned};
use super::scalar::{Bare, bare};
use super::sink::{Finding, Sink, Span};
use super::{Code, syntax};

/// Levels of nesting that are read at most.
pub(super) const DEPTH_MAX: usize = 64;
/// Values in one file that are read at most.
const NODES_MAX: usize = 16_000_000;
/// Tables up to this size are searched for duplicates without a hash map.
const SMALL_TABLE: usize = 12;

/// A value and its place.
#[derive(Debug)]
pub(super) struct Node<'f> {
    pub(super) value: Value<'f>,
    pub(super) span: Span,
}

/// A value as written.
#[derive(Debug)]
pub(super) enum Value<'f> {
    Null,
    Bool(bool, Cow<'f, str>),
    /// As JSON writes numbers.
    Number(Cow<'f, str>),
    Text(Cow<'f, str>),
    /// A bare scalar that readers of YAML disagree about: a boolean to some of them.
    Word(bool, Cow<'f, str>),
    /// A bare scalar that readers of YAML disagree about: a number to some of them.
    Digits(Cow<'f, str>),
    List(Vec<Node<'f>>),
    Table(Vec<Entry<'f>>),
}

/// A key and its value.
#[derive(Debug)]
pub(super) struct Entry<'f> {
    pub(super) key: Cow<'f, str>,
    pub(super) key_span: Span,
    pub(super) key_kind: KeyKind,
    pub(super) value: Node<'f>,
}

/// What a key is to a reader of YAML. A key that callgate knows (`off:`) cannot be mistaken; one
/// that is a name must be text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyKind {
    /// Text to all readers.
    Text,
    /// A boolean or number.
    Unquoted,
    /// Readers disagree about it.
    Ambiguous,
    /// No key at all, which is reported; its value is left out.
    Refused,
}

/// A key that waits for its value.
type Key<'f> = (Cow<'f, str>, Span, KeyKind);

/// The tree of a file; `None` if there is none, which is then reported.
pub(super) fn parse<'f>(sink: &Sink<'_>, file: u32, text: &'f str) -> Option<Node<'f>> {
    let json = Json::read(text);
    let builder = Builder {
        sink,
        file,
        json: json.as_ref(),
        stack: Vec::new(),
        root: None,
        nodes: 0,
        documents: 0,
    };
    match &json {
        Some(json) => build(builder, &json.text, owned),
        None => build(builder, text, |text| text),
    }
}

/// Feeds a text to the builder; `own` makes its parts live as long as the tree.
fn build<'i, 'f>(
    mut builder: Builder<'_, 'f>,
    text: &'i str,
    own: impl Fn(Cow<'i, str>) -> Cow<'f, str>,
) -> Option<Node<'f>> {
    let (sink, file) = (builder.sink, builder.file);
    let mut parser = Parser::new_from_str(text);
    let mut quotes = Quotes {
        rest: text.chars(),
        read: 0,
    };
    while let Some(event) = parser.next_event() {
        match event {
            Ok((Event::Scalar(text, style, anchor, tag), at)) => {
                let plain = style == ScalarStyle::Plain;
                let end = if plain { at.end } else { quotes.end(&text, at) };
                let span = builder.span(at.start, end);
                builder.plain_only(span, anchor, tag.as_deref()).ok()?;
                builder.scalar(own(text), style, span).ok()?;
            }
            Ok((event, at)) => builder.event(&event, at).ok()?,
            Err(error) => {
                syntax::report(sink, file, text, &error);
                return None;
            }
        }
    }
    if builder.root.is_none() {
        Finding::error(
            Code::EmptyFile,
            Span::top(file),
            "file holds nothing but comments",
        )
        .help("remove the file, or write an empty list under its key, such as `users: []`")
        .report(sink);
    }
    builder.root
}

/// Finds where texts in quotes end: the parser counts what follows them on their line, too.
struct Quotes<'i> {
    rest: Chars<'i>,
    /// How many characters lie before the rest.
    read: usize,
}

// === impl Quotes ===

impl Quotes<'_> {
    /// Behind the closing quote of a text that stands at `at`. Texts are asked for in their order.
    fn end(&mut self, text: &str, at: saphyr_parser::Span) -> Marker {
        let (start, end) = (at.start, at.end);
        let width = end.col().saturating_sub(start.col());
        if start.line() != end.line() || width <= text.chars().count() + 2 {
            return end;
        }
        if let Some(before) = start.index().saturating_sub(self.read).checked_sub(1) {
            self.rest.nth(before);
        }
        self.read = self.read.max(start.index());
        let mut letters = self.rest.clone().zip(1..).peekable();
        let Some((quote @ ('"' | '\''), _)) = letters.next() else {
            return end;
        };
        while let Some((letter, width)) = letters.next() {
            let mut doubled = || letters.peek().is_some_and(|(next, _)| *next == quote);
            if letter == '\\' && quote == '"' || letter == quote && quote == '\'' && doubled() {
                letters.next();
            } else if letter == quote {
                return Marker::new(start.index() + width, start.line(), start.col() + width);
            }
        }
        end
    }
}

/// The tree was given up; why is reported.
struct GivenUp;

struct Builder<'s, 'f> {
    sink: &'s Sink<'s>,
    file: u32,
    json: Option<&'s Json>,
    stack: Vec<Frame<'f>>,
    root: Option<Node<'f>>,
    nodes: usize,
    documents: usize,
}

/// A list or table that is not closed yet.
enum Frame<'f> {
    List(Marker, Vec<Node<'f>>),
    Table(Marker, Vec<Entry<'f>>, Option<Key<'f>>),
}

// === impl Builder ===

impl<'f> Builder<'_, 'f> {
    fn event(&mut self, event: &Event<'_>, at: saphyr_parser::Span) -> Result<(), GivenUp> {
        let span = self.span(at.start, at.end);
        match event {
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentEnd
            | Event::Scalar(..) => {}
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    let found =
                        Finding::error(Code::SeveralDocuments, span, "second document in one file");
                    return self.give_up(found.help("keep one document; remove the line `---`"));
                }
            }
            Event::Alias(_) => {
                let found = Finding::error(Code::Anchor, span, "alias of an anchor");
                let advice = "write the value out: policy files have no anchors and aliases";
                return self.give_up(found.help(advice));
            }
            Event::SequenceStart(anchor, tag) => {
                self.plain_only(span, *anchor, tag.as_deref())?;
                self.open(Frame::List(at.start, Vec::new()), span)?;
            }
            Event::MappingStart(anchor, tag) => {
                self.plain_only(span, *anchor, tag.as_deref())?;
                self.open(Frame::Table(at.start, Vec::new(), None), span)?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(at.end)?,
        }
        Ok(())
    }

    fn plain_only(
        &self,
        span: Span,
        anchor: usize,
        tag: Option<&saphyr_parser::Tag>,
    ) -> Result<(), GivenUp> {
        if anchor > 0 {
            let found = Finding::error(Code::Anchor, span, "value with an anchor");
            let advice =
                "write the value where it is meant: policy files have no anchors and aliases";
            return self.give_up(found.help(advice));
        }
        if let Some(tag) = tag {
            let core = tag.is_yaml_core_schema();
            let handle = if core { "!!" } else { tag.handle.as_str() };
            let message = format!("value with the tag `{handle}{}`", tag.suffix);
            let found = Finding::error(Code::Tag, span, message);
            return self.give_up(found.help("remove the tag; put text in quotes to keep it text"));
        }
        Ok(())
    }

    fn scalar(
        &mut self,
        text: Cow<'f, str>,
        style: ScalarStyle,
        span: Span,
    ) -> Result<(), GivenUp> {
        let value = match style {
            ScalarStyle::Plain => match bare(&text) {
                Bare::Null => Value::Null,
                Bare::Bool(value) => Value::Bool(value, text),
                Bare::Number => Value::Number(text),
                Bare::Text => Value::Text(text),
                Bare::Word(value) => Value::Word(value, text),
                Bare::Digits => Value::Digits(text),
            },
            _ => Value::Text(text),
        };
        self.put(Node { value, span })
    }

    fn open(&mut self, frame: Frame<'f>, span: Span) -> Result<(), GivenUp> {
        if self.stack.len() >= DEPTH_MAX {
            let message = format!("values nested more than {DEPTH_MAX} deep");
            return self.give_up(Finding::error(Code::TooNested, span, message));
        }
        self.stack.push(frame);
        Ok(())
    }

    fn close(&mut self, end: Marker) -> Result<(), GivenUp> {
        let (value, start) = match self.stack.pop() {
            Some(Frame::List(start, items)) => (Value::List(items), start),
            Some(Frame::Table(start, entries, _)) => {
                duplicates(self.sink, &entries);
                (Value::Table(entries), start)
            }
            None => return Err(GivenUp),
        };
        let span = self.span(start, end);
        self.put(Node { value, span })
    }

    fn put(&mut self, node: Node<'f>) -> Result<(), GivenUp> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            let message = format!("file with more than {NODES_MAX} values");
            return self.give_up(Finding::error(Code::TooLarge, node.span, message));
        }
        match self.stack.last_mut() {
            None => self.root = Some(node),
            Some(Frame::List(_, items)) => items.push(node),
            Some(Frame::Table(_, entries, pending)) => match pending.take() {
                Some((_, _, KeyKind::Refused)) => {}
                Some((key, key_span, key_kind)) => entries.push(Entry {
                    key,
                    key_span,
                    key_kind,
                    value: node,
                }),
                None => *pending = Some(key(self.sink, node)),
            },
        }
        Ok(())
    }

    fn span(&self, start: Marker, end: Marker) -> Span {
        let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX - 1);
        let column = |marker: Marker| {
            let column = number(marker.col()) + 1;
            let line = number(marker.line());
            self.json.map_or(column, |json| json.column(line, column))
        };
        Span {
            file: self.file,
            line: number(start.line()),
            column: column(start),
            end_line: number(end.line()),
            end_column: column(end),
        }
    }

    fn give_up(&self, found: Finding) -> Result<(), GivenUp> {
        found.report(self.sink);
        Err(GivenUp)
    }
}

/// What stands before a colon, as a key.
fn key<'f>(sink: &Sink<'_>, node: Node<'f>) -> Key<'f> {
    let span = node.span;
    let (key, kind) = match node.value {
        Value::Text(text) => {
            if text == "<<" {
                Finding::error(Code::MergeKey, span, "merge key `<<`")
                    .help("write the entries out: policy files have no merge keys")
                    .report(sink);
                (text, KeyKind::Refused)
            } else {
                (text, KeyKind::Text)
            }
        }
        Value::Bool(_, text) | Value::Number(text) => (text, KeyKind::Unquoted),
        Value::Word(_, text) | Value::Digits(text) => (text, KeyKind::Ambiguous),
        Value::Null | Value::List(_) | Value::Table(_) => {
            Finding::error(Code::KeyNotText, span, "key is not text")
                .help("a text with braces, brackets or a star needs quotes: `\"{id}\"`, `\"*\"`")
                .report(sink);
            (Cow::Borrowed(""), KeyKind::Refused)
        }
    };
    (key, span, kind)
}

/// Reports keys that stand twice.
fn duplicates(sink: &Sink<'_>, entries: &[Entry<'_>]) {
    let report = |first: &Entry<'_>, second: &Entry<'_>| {
        let message = format!("key `{}` stands twice in one table", second.key);
        Finding::error(Code::DuplicateKey, second.key_span, message)
            .also(first.key_span, "it stands here already")
            .report(sink);
    };
    if entries.len() <= SMALL_TABLE {
        for (position, entry) in entries.iter().enumerate() {
            let before = entries.get(..position).unwrap_or_default();
            if let Some(first) = before.iter().find(|other| other.key == entry.key) {
                report(first, entry);
            }
        }
        return;
    }
    let mut seen: HashMap<&str, &Entry<'_>> = HashMap::with_capacity(entries.len());
    for entry in entries {
        match seen.entry(&entry.key) {
            std::collections::hash_map::Entry::Occupied(first) => report(first.get(), entry),
            std::collections::hash_map::Entry::Vacant(free) => {
                free.insert(entry);
            }
        }
    }
}
