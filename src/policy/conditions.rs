//! Conditions: tables from paths to tests.

use std::net::IpAddr;

use ipnet::IpNet;

use super::Code;
use super::fields::unknown_key;
use super::names::meant;
use super::order::{order_operands, order_tests};
use super::resolved::{Comparison, Condition, OPERATORS, Operand, Operands, Path, Root};
use super::sink::{Finding, Sink};
use super::vocabulary::Vocabulary;
use super::word::Word;
use super::yaml::{Node, Value};
use crate::model::TypeId;

const SUBJECT_FACTS: &[&str] = &["id", "group", "departments", "projects"];
const RESOURCE_FACTS: &[&str] = &["id", "owner", "group", "departments", "projects"];

/// Reads the conditions of lines that speak of these types.
pub(super) struct Conditions<'a, 't> {
    pub(super) sink: &'t Sink<'t>,
    pub(super) vocabulary: &'a Vocabulary<'t>,
    pub(super) types: &'a [TypeId],
}

// === impl Conditions ===

impl<'t> Conditions<'_, 't> {
    /// Reads a condition; what is wrong is reported and left out.
    pub(super) fn condition(&self, node: &'t Node<'t>) -> Condition {
        let entries = node
            .table(self.sink, "a table of paths and tests")
            .unwrap_or_default();
        if entries.is_empty() && matches!(node.value, Value::Table(_)) {
            Finding::error(Code::EmptyTable, node.span, "condition without a test")
                .help("leave `when` out for what always holds")
                .report(self.sink);
        }
        let mut tests = Vec::with_capacity(entries.len());
        for entry in entries {
            let path = self.path(Word::new(&entry.key, entry.key_span));
            let comparisons = self.comparisons(&entry.value);
            if let Some(path) = path {
                tests.extend(comparisons.into_iter().map(|test| (path.clone(), test)));
            }
        }
        tests.sort_by(order_tests);
        Condition { tests }
    }

    /// The tests of one path: a value, or a table of tests.
    fn comparisons(&self, node: &'t Node<'t>) -> Vec<Comparison> {
        let Value::Table(entries) = &node.value else {
            if let Value::List(_) = node.value {
                let help = "write `{ in: […] }` for one of several values".to_owned();
                node.unexpected(self.sink, "a value or a table of tests", Some(help));
                return Vec::new();
            }
            let operand = self.operand(node, "a value or a table of tests");
            return operand.map(Comparison::Is).into_iter().collect();
        };
        if entries.is_empty() {
            self.sink
                .error(Code::EmptyTable, node.span, "no test of this path");
        }
        if let [entry] = entries.as_slice()
            && entry.key == "path"
        {
            let path = self.reference(node).map(Operand::Path);
            return path.map(Comparison::Is).into_iter().collect();
        }
        let tests = entries
            .iter()
            .map(|entry| self.comparison(Word::new(&entry.key, entry.key_span), &entry.value));
        tests.flatten().collect()
    }

    fn comparison(&self, test: Word<'t>, node: &'t Node<'t>) -> Option<Comparison> {
        let value = "a value";
        Some(match test.text {
            "is" => Comparison::Is(self.operand(node, value)?),
            "not" => Comparison::Not(self.operand(node, value)?),
            "contains" => Comparison::Contains(self.operand(node, value)?),
            "in" => Comparison::In(self.operands(node)?),
            "not_in" => Comparison::NotIn(self.operands(node)?),
            "at_least" => Comparison::AtLeast(self.limit(node)?),
            "at_most" => Comparison::AtMost(self.limit(node)?),
            "in_network" => Comparison::InNetwork(self.networks(node)?),
            "not_in_network" => Comparison::NotInNetwork(self.networks(node)?),
            "present" => Comparison::Present(node.flag(self.sink)?),
            _ => {
                unknown_key(self.sink, test, "a table of tests", &OPERATORS);
                return None;
            }
        })
    }

    /// A value to compare with.
    fn operand(&self, node: &'t Node<'t>, what: &str) -> Option<Operand> {
        match &node.value {
            Value::Text(text) => Some(Operand::String(text.clone().into_owned())),
            Value::Bool(value, _) => Some(Operand::Bool(*value)),
            Value::Number(_) => node.number(self.sink, what).map(Operand::Number),
            Value::Table(_) => self.reference(node).map(Operand::Path),
            Value::Null => {
                let help = "test whether there is a value: `{ present: false }`".to_owned();
                node.unexpected(self.sink, what, Some(help));
                None
            }
            _ => {
                node.unexpected(self.sink, what, None);
                None
            }
        }
    }

    /// A number to compare with.
    fn limit(&self, node: &'t Node<'t>) -> Option<Operand> {
        match &node.value {
            Value::Table(_) => self.reference(node).map(Operand::Path),
            _ => node.number(self.sink, "a number").map(Operand::Number),
        }
    }

    /// `{ path: … }`.
    fn reference(&self, node: &'t Node<'t>) -> Option<Path> {
        let fields = node.fields(self.sink, "a value", &["path"])?;
        self.path(fields.need("path")?.text(self.sink, "a path")?)
    }

    /// Several values to compare with, or a path to them.
    fn operands(&self, node: &'t Node<'t>) -> Option<Operands> {
        if let Value::Table(_) = node.value {
            return self.reference(node).map(Operands::Path);
        }
        let items = node.some(self.sink, "a list of values")?;
        let read = |item| Some((self.operand(item, "a value")?, item));
        self.list(items.iter().filter_map(read).collect())
    }

    /// CIDR blocks, one or several.
    fn networks(&self, node: &'t Node<'t>) -> Option<Operands> {
        let items = match node.value {
            Value::Table(_) => return self.reference(node).map(Operands::Path),
            Value::List(_) => node.some(self.sink, "a list of CIDR blocks")?,
            _ => std::slice::from_ref(node),
        };
        let read = |item: &'t Node<'t>| {
            if let Value::Table(_) = item.value {
                return Some((Operand::Path(self.reference(item)?), item));
            }
            let block = network(self.sink, item.text(self.sink, "a CIDR block")?)?;
            Some((Operand::String(block), item))
        };
        self.list(items.iter().filter_map(read).collect())
    }

    fn list(&self, mut items: Vec<(Operand, &'t Node<'t>)>) -> Option<Operands> {
        items.sort_by(|(a, _), (b, _)| order_operands(a, b));
        for pair in items.windows(2) {
            if let [(one, first), (other, second)] = pair
                && order_operands(one, other).is_eq()
            {
                Finding::error(
                    Code::DuplicateItem,
                    second.span,
                    "value stands twice in one list",
                )
                .also(first.span, "it stands here already")
                .report(self.sink);
            }
        }
        let items: Vec<Operand> = items.into_iter().map(|(operand, _)| operand).collect();
        (!items.is_empty()).then_some(Operands::List(items))
    }

    /// A path, if it leads somewhere.
    fn path(&self, word: Word<'t>) -> Option<Path> {
        let bad = |message: String, help: Option<String>| {
            Finding::error(Code::BadPath, word.span(), message)
                .help_if(help)
                .report(self.sink);
        };
        let (root, rest) = word.text.split_once('.').unwrap_or((word.text, ""));
        let roots = ["subject", "resource", "action", "context"];
        let Some(kind) = root_named(root) else {
            let help = meant(self.sink, root, roots.into_iter()).unwrap_or_else(|| {
                "a path begins with `subject.`, `resource.`, `action.` or `context.`".into()
            });
            bad(
                format!("path `{}` begins with `{root}`", word.text),
                Some(help),
            );
            return None;
        };
        let segments: Vec<String> = rest.split('.').map(str::to_owned).collect();
        if segments.iter().any(String::is_empty) {
            bad(
                format!("path `{}` lacks a property's name", word.text),
                None,
            );
            return None;
        }
        let first = segments.first().map_or("", String::as_str);
        if kind == Root::Context && first == "callgate" {
            let help = "conditions see the context that the application sends".to_owned();
            bad(
                format!("path `{}` leads to what is callgate's own", word.text),
                Some(help),
            );
            return None;
        }
        let facts = match kind {
            Root::Subject => SUBJECT_FACTS,
            Root::Resource => RESOURCE_FACTS,
            Root::Action | Root::Context => &[],
        };
        if facts.contains(&first) {
            if segments.len() > 1 {
                bad(
                    format!("`{root}.{first}` is a fact, below which there is nothing"),
                    None,
                );
                return None;
            }
        } else if kind == Root::Resource && !self.is_property(word, first) {
            return None;
        }
        Some(Path {
            root: kind,
            segments,
        })
    }

    /// Refuses the name under which requests give a fact, if it is one for all types the line speaks of.
    fn is_property(&self, word: Word<'t>, name: &str) -> bool {
        let facts: Option<Vec<_>> = self
            .types
            .iter()
            .map(|kind| self.vocabulary.fact(*kind, name))
            .collect();
        let Some(fact) = facts.and_then(|facts| facts.first().copied()) else {
            return true;
        };
        let message = format!(
            "`resource.{name}` is the name under which requests give a fact, and no property"
        );
        Finding::error(Code::FactPath, word.span(), message)
            .help(format!("write `resource.{}`", fact.name()))
            .report(self.sink);
        false
    }
}

fn root_named(name: &str) -> Option<Root> {
    Some(match name {
        "subject" => Root::Subject,
        "resource" => Root::Resource,
        "action" => Root::Action,
        "context" => Root::Context,
        _ => return None,
    })
}

/// A CIDR block, as it is written best.
fn network(sink: &Sink<'_>, word: Word<'_>) -> Option<String> {
    let (message, help) = match (word.text.parse::<IpNet>(), word.text.parse::<IpAddr>()) {
        (Ok(net), _) if net != net.trunc() => (
            format!("`{}` has bits set behind its prefix", word.text),
            format!("did you mean `{}`?", net.trunc()),
        ),
        (Ok(net), _) => return Some(net.to_string()),
        (Err(_), Ok(address)) => (
            format!("`{}` is an address, not a block", word.text),
            format!("write `{}` for this address alone", IpNet::from(address)),
        ),
        (Err(_), Err(_)) => (
            format!("`{}` is no CIDR block", word.text),
            "write an address and the length of its prefix: `10.0.0.0/8`, `2001:db8::/32`".into(),
        ),
    };
    Finding::error(Code::BadNetwork, word.span(), message)
        .help(help)
        .report(sink);
    None
}

/// Whether the condition looks at the resource, on either side of a test.
pub(super) fn tests_resource(condition: &Condition) -> bool {
    let is = |path: &Path| path.root == Root::Resource;
    let one = |operand: &Operand| matches!(operand, Operand::Path(path) if is(path));
    condition.tests.iter().any(|(path, test)| {
        is(path)
            || match test {
                Comparison::Is(it)
                | Comparison::Not(it)
                | Comparison::AtLeast(it)
                | Comparison::AtMost(it)
                | Comparison::Contains(it) => one(it),
                Comparison::In(it)
                | Comparison::NotIn(it)
                | Comparison::InNetwork(it)
                | Comparison::NotInNetwork(it) => match it {
                    Operands::List(items) => items.iter().any(one),
                    Operands::Path(path) => is(path),
                },
                Comparison::Present(_) => false,
            }
    })
}
