//! Taking a tree apart: expect a text, a list, a table with these keys. What is found instead is
//! reported, and reading goes on.

use super::Code;
use super::names::meant;
use super::scalar::{NumberError, number};
use super::sink::{Finding, Sink, Span};
use super::vocabulary::is_name;
use super::word::Word;
use super::yaml::{Entry, KeyKind, Node, Value};

/// A table whose keys are known.
#[derive(Clone, Copy)]
pub(super) struct Fields<'t> {
    entries: &'t [Entry<'t>],
    sink: &'t Sink<'t>,
    what: &'static str,
    /// Whether all of its keys are known; else one that is missing may only be misspelt.
    pub(super) known: bool,
    pub(super) span: Span,
}

// === impl Node ===

impl<'t> Node<'t> {
    /// What was found, for a message.
    fn found(&self) -> String {
        match &self.value {
            Value::Null => "nothing".into(),
            Value::Bool(_, text) => format!("the boolean `{text}`"),
            Value::Number(text) => format!("the number `{text}`"),
            Value::Text(_) => "text".into(),
            Value::Word(_, text) | Value::Digits(text) => format!("the bare `{text}`"),
            Value::List(_) => "a list".into(),
            Value::Table(_) => "a table".into(),
        }
    }

    /// Reports that something else was expected.
    #[cold]
    pub(super) fn unexpected(&self, sink: &Sink<'_>, what: &str, help: Option<String>) {
        if self.ambiguous(sink) {
            return;
        }
        let help = help.or_else(|| match (&self.value, what) {
            (Value::Null, what) if what.starts_with("a list") => {
                Some("write `[]` for none, or leave the key out".into())
            }
            (Value::Null, what) if what.starts_with("a table") => {
                Some("write `{}` for none, or leave the key out".into())
            }
            (Value::Text(text), what) if what.starts_with("a list") => {
                Some(format!("write a list: `[{text}]`"))
            }
            (Value::List(_), "a table of grants") => {
                Some("write types, and actions under them: `{ TYPE: { ACTION: SCOPE } }`".into())
            }
            (Value::List(items), what) if what.starts_with("a table of ") => {
                let key = items.iter().find_map(|item| match &item.value {
                    Value::Text(text) if is_name(text) => Some(text),
                    _ => None,
                });
                key.map(|key| format!("write a table: `{{ {key}: … }}`"))
            }
            _ => None,
        });
        let message = format!("expected {what}, found {}", self.found());
        Finding::error(Code::WrongType, self.span, message)
            .help_if(help)
            .report(sink);
    }

    /// Reports a bare scalar that readers of YAML disagree about; whether it is one.
    pub(super) fn ambiguous(&self, sink: &Sink<'_>) -> bool {
        let (text, help) = match &self.value {
            Value::Word(value, text) => {
                let help = format!("write `{value}` for the boolean, `\"{text}\"` for the text");
                (text, help)
            }
            Value::Digits(text) => {
                let help = format!("write `\"{text}\"` for the text, or the number as in JSON");
                (text, help)
            }
            _ => return false,
        };
        let message = format!("readers of YAML disagree about the bare `{text}`");
        Finding::error(Code::Ambiguous, self.span, message)
            .help(help)
            .report(sink);
        true
    }

    /// Expects text.
    pub(super) fn text(&'t self, sink: &Sink<'_>, what: &str) -> Option<Word<'t>> {
        match &self.value {
            Value::Text(text) => return Some(Word::new(text, self.span)),
            Value::Bool(_, text) | Value::Number(text) => {
                let message = format!("expected {what}, found {}", self.found());
                Finding::error(Code::Unquoted, self.span, message)
                    .help(format!("quote it: `\"{text}\"`"))
                    .report(sink);
            }
            Value::Word(_, text) | Value::Digits(text) => {
                let message = format!(
                    "expected {what}, found the bare `{text}`, about which readers of YAML disagree"
                );
                Finding::error(Code::Ambiguous, self.span, message)
                    .help(format!("quote it: `\"{text}\"`"))
                    .report(sink);
            }
            Value::Null | Value::List(_) | Value::Table(_) => self.unexpected(sink, what, None),
        }
        None
    }

    /// Expects `true` or `false`.
    pub(super) fn flag(&self, sink: &Sink<'_>) -> Option<bool> {
        if let Value::Bool(value, _) = self.value {
            return Some(value);
        }
        let help = match &self.value {
            Value::Text(text) if text == "true" || text == "false" => {
                Some(format!("leave the quotes out: `{text}`"))
            }
            _ => None,
        };
        self.unexpected(sink, "`true` or `false`", help);
        None
    }

    /// Expects a number.
    pub(super) fn number(&self, sink: &Sink<'_>, what: &str) -> Option<f64> {
        match &self.value {
            Value::Number(text) => kept(sink, Word::new(text, self.span)),
            _ => {
                self.unexpected(sink, what, None);
                None
            }
        }
    }

    /// Expects a list.
    pub(super) fn list(&'t self, sink: &Sink<'_>, what: &str) -> Option<&'t [Self]> {
        if let Value::List(items) = &self.value {
            return Some(items);
        }
        self.unexpected(sink, what, None);
        None
    }

    /// Expects a list with something in it.
    pub(super) fn some(&'t self, sink: &Sink<'_>, what: &str) -> Option<&'t [Self]> {
        let items = self.list(sink, what)?;
        if items.is_empty() {
            let message = format!("expected {what}, found an empty list");
            sink.error(Code::EmptyList, self.span, message);
        }
        Some(items).filter(|items| !items.is_empty())
    }

    /// Expects a table.
    pub(super) fn table(&self, sink: &Sink<'_>, what: &str) -> Option<&[Entry<'t>]> {
        if let Value::Table(entries) = &self.value {
            for entry in entries {
                entry.must_be_text(sink);
            }
            return Some(entries);
        }
        self.unexpected(sink, what, None);
        None
    }

    /// Expects a table (`what`: "a role") with some of `keys`; others are reported.
    pub(super) fn fields(
        &'t self,
        sink: &'t Sink<'t>,
        what: &'static str,
        keys: &[&str],
    ) -> Option<Fields<'t>> {
        let Value::Table(entries) = &self.value else {
            let help = keys
                .first()
                .filter(|_| matches!(self.value, Value::Text(_)));
            let help = help.map(|key| format!("{what} is a table: `{{ {key}: … }}`"));
            self.unexpected(sink, &format!("a table for {what}"), help);
            return None;
        };
        let mut known = true;
        for entry in entries {
            if !keys.contains(&entry.key.as_ref()) {
                unknown_key(sink, Word::new(&entry.key, entry.key_span), what, keys);
                known = false;
            }
        }
        Some(Fields {
            entries,
            sink,
            what,
            known,
            span: self.span,
        })
    }
}

// === impl Entry ===

impl Entry<'_> {
    /// Reports a key that is a name and yet not text to every reader of YAML.
    pub(super) fn must_be_text(&self, sink: &Sink<'_>) {
        let text = &self.key;
        let (code, message) = match self.key_kind {
            KeyKind::Text | KeyKind::Refused => return,
            KeyKind::Unquoted => (Code::Unquoted, format!("key `{text}` is not text")),
            KeyKind::Ambiguous => {
                let message = format!("readers of YAML disagree about the bare key `{text}`");
                (Code::Ambiguous, message)
            }
        };
        Finding::error(code, self.key_span, message)
            .help(format!("quote it: `\"{text}\"`"))
            .report(sink);
    }
}

/// The number that a text writes, if a double keeps it.
pub(super) fn kept(sink: &Sink<'_>, text: Word<'_>) -> Option<f64> {
    let message = match number(text.text) {
        Ok(value) => return Some(value),
        Err(NumberError::NotFinite) => format!("number `{}` is too large", text.text),
        Err(NumberError::Inexact) => {
            format!("number `{}` cannot be kept exactly", text.text)
        }
    };
    // In CSV a text that looks like a number is a JSON string, whose quotes are doubled in a cell.
    let quotes = if text.is_in_cell() { "\"\"\"" } else { "\"" };
    let quoted = format!("{quotes}{}{quotes}", text.text);
    Finding::error(Code::BadNumber, text.span(), message)
        .help(format!("write `{quoted}` if it is not for reckoning"))
        .report(sink);
    None
}

/// Reports a key that is not known in `what`.
#[cold]
pub(super) fn unknown_key(sink: &Sink<'_>, key: Word<'_>, what: &str, keys: &[&str]) {
    let help = meant(sink, key.text, keys.iter().copied());
    let help = help.unwrap_or_else(|| {
        let all: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
        format!("known here: {}", all.join(", "))
    });
    let message = format!("unknown key `{}` in {what}", key.text);
    Finding::error(Code::UnknownKey, key.span(), message)
        .help(help)
        .report(sink);
}

// === impl Fields ===

impl<'t> Fields<'t> {
    /// The value of a key, if it is there.
    pub(super) fn get(&self, key: &str) -> Option<&'t Node<'t>> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// The key and its value, if it is there.
    pub(super) fn entry(&self, key: &str) -> Option<&'t Entry<'t>> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    /// The value of a key that must be there.
    pub(super) fn need(&self, key: &str) -> Option<&'t Node<'t>> {
        let found = self.get(key);
        if found.is_none() {
            let message = format!("{} lacks the key `{key}`", self.what);
            self.sink.error(Code::MissingKey, self.head(), message);
        }
        found
    }

    /// A text, if it is there.
    pub(super) fn text(&self, key: &str, what: &str) -> Option<Word<'t>> {
        self.get(key)?.text(self.sink, what)
    }

    /// A flag; `false` if it is not there.
    pub(super) fn flag(&self, key: &str) -> bool {
        self.get(key)
            .and_then(|node| node.flag(self.sink))
            .unwrap_or(false)
    }

    /// The items of a list, if it is there.
    pub(super) fn list(&self, key: &str, what: &str) -> &'t [Node<'t>] {
        self.get(key)
            .and_then(|node| node.list(self.sink, what))
            .unwrap_or_default()
    }

    /// The texts of a list (`a list of roles`), if it is there.
    pub(super) fn words(&self, key: &str, list: &str, item: &str) -> Vec<Word<'t>> {
        words(self.sink, self.list(key, list), item)
    }

    /// What the thing is called; the description is looked at and left.
    pub(super) fn title(&self) -> Option<String> {
        self.text("description", "a description");
        self.text("title", "a title")
            .map(|title| title.text.to_owned())
    }

    /// Where the table begins: its first key, for a table may be long.
    pub(super) fn head(&self) -> Span {
        let first = self.entries.first().map(|entry| entry.key_span);
        first.unwrap_or(self.span)
    }
}

/// The texts among these nodes; others are reported.
pub(super) fn words<'t>(sink: &Sink<'_>, nodes: &'t [Node<'t>], item: &str) -> Vec<Word<'t>> {
    let texts = nodes.iter().map(|node| node.text(sink, item));
    texts.flatten().collect()
}
