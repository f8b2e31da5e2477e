//! Grants and denies of a role.

use super::Code;
use super::conditions::Conditions;
use super::declare::twice;
use super::fields::{Fields, words};
use super::order::order_conditions;
use super::resolved::{Condition, Grant, Pattern};
use super::sink::{Finding, Sink, Span};
use super::vocabulary::{Vocabulary, scope};
use super::word::Word;
use super::yaml::{Entry, Node, Value};
use crate::model::{ActionId, Scope, ScopeSet, TypeId};

/// Reads the lines of roles.
pub(super) struct Lines<'a, 't> {
    pub(super) sink: &'t Sink<'t>,
    pub(super) vocabulary: &'a Vocabulary<'t>,
}

/// A line of grants or a deny, with what is needed to judge it.
pub(super) struct Line<T> {
    pub(super) pattern: Pattern,
    pub(super) span: Span,
    pub(super) value: T,
}

// === impl Lines ===

impl<'t> Lines<'_, 't> {
    /// The lines of a role's grants, by what they speak of.
    pub(super) fn grants(&self, fields: &Fields<'t>) -> Vec<Line<Vec<Grant>>> {
        let table = fields
            .get("grants")
            .and_then(|node| node.table(self.sink, "a table of grants"));
        let mut lines = Vec::new();
        for entry in table.unwrap_or_default() {
            self.grants_of(entry, &mut lines);
        }
        lines.sort_by(|a, b| a.pattern.cmp(&b.pattern));
        lines
    }

    /// The lines under a type, or under `"*"`.
    fn grants_of(&self, entry: &'t Entry<'t>, lines: &mut Vec<Line<Vec<Grant>>>) {
        let word = Word::new(&entry.key, entry.key_span);
        let kind = match word.text {
            "*" => None,
            text if text.contains('.') && self.vocabulary.types.complete => {
                let (kind, action) = text.split_once('.').unwrap_or((text, "view"));
                Finding::error(
                    Code::UnknownType,
                    word.span(),
                    format!("unknown resource type `{text}`"),
                )
                .help(format!(
                    "an action stands in a table under its type: `{kind}: {{ {action}: … }}`"
                ))
                .report(self.sink);
                return;
            }
            _ => match self.vocabulary.find_type(self.sink, word) {
                Some(kind) => Some(kind),
                None => return,
            },
        };
        match &entry.value.value {
            Value::Table(actions) if !is_conditional(actions) => {
                if actions.is_empty() {
                    Finding::error(
                        Code::EmptyTable,
                        entry.value.span,
                        format!("no grants under `{}`", word.text),
                    )
                    .help("write `none` to grant nothing, or leave the line out")
                    .report(self.sink);
                }
                entry.value.table(self.sink, "a table of actions");
                for action in actions {
                    self.line(kind, Some(action), action, lines);
                }
            }
            _ => self.line(kind, None, entry, lines),
        }
    }

    /// One line: what stands under a type or an action.
    fn line(
        &self,
        kind: Option<TypeId>,
        action: Option<&'t Entry<'t>>,
        entry: &'t Entry<'t>,
        lines: &mut Vec<Line<Vec<Grant>>>,
    ) {
        let word = action.map(|action| Word::new(&action.key, action.key_span));
        let word = word.filter(|word| word.text != "*");
        let Some((pattern, types)) = self.pattern(kind, word) else {
            return;
        };
        let value = self.grant(&entry.value, &pattern, &types);
        lines.push(Line {
            pattern,
            span: entry.key_span,
            value,
        });
    }

    /// What a type and an action together speak of; `None` stands for `*`.
    fn pattern(
        &self,
        kind: Option<TypeId>,
        action: Option<Word<'t>>,
    ) -> Option<(Pattern, Vec<TypeId>)> {
        Some(match (kind, action) {
            (Some(kind), Some(action)) => {
                let action = self.vocabulary.find_action(self.sink, kind, action)?;
                (Pattern::Permission(kind, action), vec![kind])
            }
            (Some(kind), None) => (Pattern::Type(kind), vec![kind]),
            (None, Some(action)) => {
                let types = self.vocabulary.find_everywhere(self.sink, action)?;
                (Pattern::Action(action.text.to_owned()), types)
            }
            (None, None) => {
                let types = (0..)
                    .map(TypeId)
                    .take(self.vocabulary.catalogue.types.len());
                (Pattern::Everything, types.collect())
            }
        })
    }

    /// A grant: `none`, a scope, a conditional grant, or a list.
    fn grant(&self, node: &'t Node<'t>, pattern: &Pattern, types: &[TypeId]) -> Vec<Grant> {
        const WHAT: &str =
            "a grant: `none`, a scope, a table with `scope` and `when`, or a list of these";
        let mut grants: Vec<(Grant, Span)> = Vec::new();
        match &node.value {
            Value::Text(text) if text == "none" => {}
            Value::Text(text) => {
                grants.extend(self.scope(Word::new(text, node.span), pattern, None));
            }
            Value::Table(_) => grants.extend(self.conditional(node, pattern, types)),
            Value::List(_) => {
                for item in node
                    .some(self.sink, "a list of scopes and conditional grants")
                    .unwrap_or_default()
                {
                    match &item.value {
                        Value::Table(_) => grants.extend(self.conditional(item, pattern, types)),
                        _ => {
                            let word =
                                item.text(self.sink, "a scope or a table with `scope` and `when`");
                            grants.extend(word.and_then(|word| self.scope(word, pattern, None)));
                        }
                    }
                }
            }
            _ => node.unexpected(self.sink, WHAT, None),
        }
        self.merged(grants)
    }

    /// One scope, which the action must offer if the line names one.
    fn scope(
        &self,
        word: Word<'t>,
        pattern: &Pattern,
        when: Option<Condition>,
    ) -> Option<(Grant, Span)> {
        if word.text == "none" {
            Finding::error(Code::UnknownScope, word.span(), "`none` is no scope")
                .help("`none` stands alone, in place of all grants")
                .report(self.sink);
            return None;
        }
        if let Pattern::Type(kind) = pattern
            && Scope::from_name(word.text).is_none()
            && self.vocabulary.is_action(*kind, word.text)
        {
            let message = format!("unknown scope `{}`", word.text);
            Finding::error(Code::UnknownScope, word.span(), message)
                .help(format!(
                    "an action stands in a table, with its scope: `{{ {}: … }}`",
                    word.text
                ))
                .report(self.sink);
            return None;
        }
        let scope = scope(self.sink, word)?;
        if let Pattern::Permission(kind, action) = pattern {
            self.offered(word, scope, *kind, *action);
        }
        Some((
            Grant {
                scopes: ScopeSet::EMPTY.with(scope),
                when,
            },
            word.span(),
        ))
    }

    fn offered(&self, word: Word<'t>, scope: Scope, kind: TypeId, action: ActionId) {
        let Some(offers) = self.vocabulary.action(kind, action) else {
            return;
        };
        if offers.scopes.contains(scope) {
            return;
        }
        let all: Vec<String> = offers
            .scopes
            .iter()
            .map(|scope| format!("`{scope}`"))
            .collect();
        let kind = self
            .vocabulary
            .kind(kind)
            .map_or("", |kind| kind.name.as_str());
        let message = format!(
            "`{kind}.{}` does not offer the scope `{scope}`",
            offers.name
        );
        Finding::error(Code::ScopeNotOffered, word.span(), message)
            .help(format!("it offers {}", all.join(", ")))
            .report(self.sink);
    }

    /// `{ scope: …, when: … }`: one grant for each scope.
    fn conditional(
        &self,
        node: &'t Node<'t>,
        pattern: &Pattern,
        types: &[TypeId],
    ) -> Vec<(Grant, Span)> {
        let Some(fields) = node.fields(self.sink, "a conditional grant", &["scope", "when"]) else {
            return Vec::new();
        };
        let when = fields.need("when").map(|node| self.condition(node, types));
        let scopes = fields.need("scope").map(|node| match &node.value {
            Value::List(_) => words(
                self.sink,
                node.some(self.sink, "a list of scopes").unwrap_or_default(),
                "a scope",
            ),
            _ => node
                .text(self.sink, "a scope or a list of scopes")
                .into_iter()
                .collect(),
        });
        let scopes = scopes.unwrap_or_default().into_iter();
        scopes
            .filter_map(|word| self.scope(word, pattern, when.clone()))
            .collect()
    }

    /// Grants of one line, those with one condition united.
    fn merged(&self, mut grants: Vec<(Grant, Span)>) -> Vec<Grant> {
        grants.sort_by(|(a, _), (b, _)| {
            order_conditions(a.when.as_ref(), b.when.as_ref()).then(a.scopes.cmp(&b.scopes))
        });
        for pair in grants.windows(2) {
            if let [(a, first), (b, second)] = pair
                && a.scopes == b.scopes
                && order_conditions(a.when.as_ref(), b.when.as_ref()).is_eq()
            {
                let name = a.scopes.iter().next().map_or("", Scope::name);
                twice(self.sink, *first, *second, name);
            }
        }
        let mut all: Vec<Grant> = Vec::with_capacity(grants.len());
        for (grant, _) in grants {
            match all.last_mut() {
                Some(last) if order_conditions(last.when.as_ref(), grant.when.as_ref()).is_eq() => {
                    last.scopes = last.scopes.union(grant.scopes);
                }
                _ => all.push(grant),
            }
        }
        all
    }

    fn condition(&self, node: &'t Node<'t>, types: &[TypeId]) -> Condition {
        Conditions {
            sink: self.sink,
            vocabulary: self.vocabulary,
            types,
        }
        .condition(node)
    }

    /// The denies of a role, by what they speak of.
    pub(super) fn denies(&self, fields: &Fields<'t>) -> Vec<Line<Option<Condition>>> {
        let mut lines = Vec::new();
        for node in fields.list("deny", "a list of permissions") {
            lines.extend(self.deny(node));
        }
        lines.sort_by(|a: &Line<_>, b| {
            a.pattern
                .cmp(&b.pattern)
                .then_with(|| order_conditions(a.value.as_ref(), b.value.as_ref()))
        });
        for pair in lines.windows(2) {
            if let [a, b] = pair
                && a.pattern == b.pattern
                && order_conditions(a.value.as_ref(), b.value.as_ref()).is_eq()
            {
                Finding::error(Code::DuplicateLine, b.span, "second deny of the same")
                    .also(a.span, "the first is here")
                    .report(self.sink);
            }
        }
        lines
    }

    /// `type.action`, `type.*`, `*.action`, `*`, or a table with one of these.
    fn deny(&self, node: &'t Node<'t>) -> Option<Line<Option<Condition>>> {
        let (word, when) = match node.value {
            Value::Table(_) => {
                let fields = node.fields(self.sink, "a deny", &["permission", "when"])?;
                let when = fields.need("when");
                let word = fields.need("permission")?.text(self.sink, "a permission")?;
                (word, when)
            }
            _ => (
                node.text(
                    self.sink,
                    "a permission, or a table with `permission` and `when`",
                )?,
                None,
            ),
        };
        let (pattern, types) = self.permission(word)?;
        let value = when.map(|node| self.condition(node, &types));
        Some(Line {
            pattern,
            span: word.span(),
            value,
        })
    }

    fn permission(&self, word: Word<'t>) -> Option<(Pattern, Vec<TypeId>)> {
        let (kind, action) = match word.text.split_once('.') {
            None if word.text == "*" => return self.pattern(None, None),
            Some(("*", "*")) | None => {
                let help = match word.text {
                    "*.*" => "write `*` for everything".to_owned(),
                    text => format!(
                        "write `{text}.*` for all actions of a type, `*.{text}` for an action of all types"
                    ),
                };
                Finding::error(
                    Code::UnknownValue,
                    word.span(),
                    format!("`{}` is no permission", word.text),
                )
                .help(help)
                .report(self.sink);
                return None;
            }
            Some(parts) => parts,
        };
        let kind = match kind {
            "*" => None,
            _ => Some(self.vocabulary.find_type(self.sink, word.part(kind))?),
        };
        self.pattern(kind, (action != "*").then(|| word.part(action)))
    }
}

/// Whether a table is a conditional grant and not a table of actions.
fn is_conditional(entries: &[Entry<'_>]) -> bool {
    entries
        .iter()
        .any(|entry| entry.key == "scope" || entry.key == "when")
}
