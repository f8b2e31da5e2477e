//! Properties: of users and objects, and those that tests and routes send.

use std::borrow::Cow;

use super::Code;
use super::fields::kept;
use super::names::property_fault;
use super::scalar::is_json_number;
use super::sink::{Finding, Sink};
use super::word::Word;
use super::yaml::{Node, Value as Written};
use crate::model::{Properties, Value};

type Member = (Cow<'static, str>, Value<'static>);

/// What is asked of properties.
#[derive(Clone, Copy)]
pub(super) struct Rules<'a> {
    /// Whether they are kept: then nulls and names that no path leads to are refused.
    pub(super) stored: bool,
    /// Names that no property may bear.
    pub(super) reserved: &'a dyn Fn(&str) -> bool,
}

// === impl Rules ===

impl Rules<'static> {
    /// Properties that a request sends: anything that JSON can say.
    pub(super) const SENT: Self = Self {
        stored: false,
        reserved: &|_| false,
    };
    /// Constant properties: no nulls, any name.
    pub(super) const CONSTANT: Self = Self {
        stored: true,
        reserved: &|_| false,
    };
}

impl Rules<'_> {
    /// Reads a table of properties.
    pub(super) fn read(self, sink: &Sink<'_>, node: Option<&Node<'_>>) -> Properties<'static> {
        let table = node.and_then(|node| node.table(sink, "a table of properties"));
        let mut members = Vec::new();
        for entry in table.unwrap_or_default() {
            let name = Word::new(&entry.key, entry.key_span);
            self.name(sink, name);
            if let Some(value) = self.value(sink, &entry.value) {
                members.push((Cow::Owned(name.text.to_owned()), value));
            }
        }
        properties(members)
    }

    /// Refuses the name of a stored property that could not be told from a fact, or not be reached.
    pub(super) fn name(self, sink: &Sink<'_>, name: Word<'_>) {
        if (self.reserved)(name.text) {
            let message = format!(
                "no stored property may be called `{}`: requests and conditions mean a fact by it",
                name.text
            );
            Finding::error(Code::ReservedProperty, name.span(), message)
                .help("give the property another name, or write the fact in its own place")
                .report(sink);
        }
        self.reachable(sink, name);
    }

    fn reachable(self, sink: &Sink<'_>, name: Word<'_>) {
        if let Some(fault) = property_fault(name.text).filter(|_| self.stored) {
            let message = format!("`{}` cannot be the name of a property: {fault}", name.text);
            sink.error(Code::BadName, name.span(), message);
        }
    }

    fn value(self, sink: &Sink<'_>, node: &Node<'_>) -> Option<Value<'static>> {
        Some(match &node.value {
            Written::Null if self.stored => {
                Finding::error(Code::NullValue, node.span, "stored null")
                    .help("leave the property out: what is null counts as absent")
                    .report(sink);
                return None;
            }
            Written::Null => Value::Null,
            Written::Bool(value, _) => Value::Bool(*value),
            Written::Number(text) => Value::Number(kept(sink, Word::new(text, node.span))?),
            Written::Text(text) => Value::String(Cow::Owned(text.clone().into_owned())),
            Written::Word(..) | Written::Digits(_) => {
                node.ambiguous(sink);
                return None;
            }
            Written::List(items) => Value::List(
                items
                    .iter()
                    .filter_map(|item| self.value(sink, item))
                    .collect(),
            ),
            Written::Table(entries) => {
                node.table(sink, "a table");
                let mut members = Vec::with_capacity(entries.len());
                for entry in entries {
                    self.reachable(sink, Word::new(&entry.key, entry.key_span));
                    if let Some(value) = self.value(sink, &entry.value) {
                        members.push((Cow::Owned(entry.key.clone().into_owned()), value));
                    }
                }
                Value::Object(properties(members))
            }
        })
    }
}

/// The members; names that stand twice are reported by the tree or the header.
pub(super) fn properties(mut members: Vec<Member>) -> Properties<'static> {
    members.sort_by(|a, b| a.0.cmp(&b.0));
    members.dedup_by(|b, a| a.0 == b.0);
    Properties::new(members).unwrap_or_default()
}

/// A property in a CSV cell: `true`, `false` and JSON numbers as such, a JSON string in quotes as
/// its text, all else as text.
pub(super) fn in_cell(sink: &Sink<'_>, word: Word<'_>) -> Option<Value<'static>> {
    Some(match word.text {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        text if text.starts_with('"') => match serde_json::from_str::<String>(text) {
            Ok(text) => Value::String(Cow::Owned(text)),
            Err(_) => Value::String(Cow::Owned(text.to_owned())),
        },
        text if is_json_number(text) => Value::Number(kept(sink, word)?),
        text => Value::String(Cow::Owned(text.to_owned())),
    })
}
