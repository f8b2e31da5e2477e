//! roles.yaml: grants and denies.

use super::Code;
use super::chains::Chains;
use super::conditions::{Conditions, order, tests_resource};
use super::declare::{Declared, Section, set, twice};
use super::fields::{Fields, words};
use super::names::{Names, Sort};
use super::resolved::{Condition, DenyLine, Grant, GrantLine, Pattern, Role};
use super::sink::{Finding, Sink, Span};
use super::vocabulary::{Vocabulary, scope};
use super::word::Word;
use super::world::World;
use super::yaml::{Entry, Node, Value};
use crate::model::{ActionId, RoleId, Scope, ScopeSet, TypeId};

const ROLE: &[&str] = &[
    "role",
    "title",
    "description",
    "required",
    "implicit",
    "only_on_shift",
    "extends",
    "grants",
    "deny",
];

/// A role as written; `true` for a template role.
pub(super) type Item<'t> = (Word<'t>, (Fields<'t>, bool));

/// Gathers the roles of a pack and a company.
pub(super) fn gather<'t>(
    sink: &'t Sink<'t>,
    pack: Section<'t>,
    own: Section<'t>,
) -> Declared<'t, (Fields<'t>, bool)> {
    let pack = Declared::gather(sink, Sort::ROLE, pack, "a role", ROLE);
    let own = Declared::gather(sink, Sort::ROLE, own, "a role", ROLE);
    for (name, _) in &own.items {
        if let (Some(template), false) = (pack.names.span(name.text), name.text.is_empty()) {
            let message = format!(
                "role `{}` is a template role, which a company cannot change",
                name.text
            );
            Finding::error(Code::TemplateRoleIsFixed, name.span(), message)
                .also(template, "the template role is here")
                .help(format!("give the role another name; it may take over the template's grants: `extends: [{}]`", name.text))
                .report(sink);
        }
    }
    let complete = pack.names.complete && own.names.complete;
    let tag = |template: bool| move |(name, fields)| (name, (fields, template));
    let mut items: Vec<_> = pack
        .items
        .into_iter()
        .map(tag(true))
        .chain(own.items.into_iter().map(tag(false)))
        .collect();
    items.sort_by_key(|(name, _)| name.text);
    // What stands twice is reported above; only the numbers are wanted here.
    items.dedup_by(|(b, _), (a, _)| a.text == b.text && !a.text.is_empty());
    let mut all = Declared::new(sink, Sort::ROLE, items);
    all.names.complete = complete;
    all
}

impl<'t> World<'t> {
    /// Roles in order.
    pub(super) fn read_roles(&self, items: &[Item<'t>]) -> Vec<Role> {
        let reader = RoleReader {
            sink: self.sink,
            vocabulary: &self.vocabulary,
            names: &self.roles,
        };
        let read = |(name, (fields, template)): &Item<'t>| reader.role(*name, fields, *template);
        let all: Vec<Role> = items.iter().map(read).collect();
        let span = |at: usize| {
            let entry = items
                .get(at)
                .and_then(|(_, (fields, _))| fields.entry("extends"));
            entry.map_or(Span::default(), |entry| entry.key_span)
        };
        Chains {
            count: all.len(),
            next: &|at, nth| all.get(at)?.extends.get(nth).map(|id| id.index()),
            name: &|at| all.get(at).map_or(String::new(), |role| role.name.clone()),
            span: &span,
            verb: "extends",
        }
        .check(self.sink);
        all
    }
}

struct RoleReader<'a, 't> {
    sink: &'t Sink<'t>,
    vocabulary: &'a Vocabulary<'t>,
    names: &'a Names<'t>,
}

/// A line of grants or a deny, with what is needed to judge it.
struct Line<T> {
    pattern: Pattern,
    span: Span,
    value: T,
}

// === impl RoleReader ===

impl<'t> RoleReader<'_, 't> {
    fn role(&self, name: Word<'t>, fields: &Fields<'t>, template: bool) -> Role {
        let title = fields.title();
        let only_on_shift = fields.flag("only_on_shift");
        if let (true, true, Some(entry)) = (
            fields.flag("required"),
            only_on_shift,
            fields.entry("required"),
        ) {
            let message = format!(
                "nobody can have role `{}` for good: it is bound to shifts",
                name.text
            );
            Finding::error(Code::RequiredOnShift, entry.key_span, message)
                .help("leave out `required` or `only_on_shift`")
                .report(self.sink);
        }
        let extends = fields.words("extends", "a list of roles", "the name of a role");
        let extends = set(self.sink, extends, |word| {
            self.names.find(self.sink, word).map(RoleId)
        });
        let grants = self.grants(fields);
        let denies = self.denies(fields);
        self.marked(name, &grants, &denies);
        Role {
            name: name.text.to_owned(),
            title,
            template,
            implicit: fields.flag("implicit"),
            only_on_shift,
            extends,
            grants: grants
                .into_iter()
                .map(|line| GrantLine {
                    pattern: line.pattern,
                    grants: line.value,
                    place: line.span.place(),
                })
                .collect(),
            denies: denies
                .into_iter()
                .map(|line| DenyLine {
                    pattern: line.pattern,
                    when: line.value,
                    place: line.span.place(),
                })
                .collect(),
            place: name.span().place(),
        }
    }

    fn grants(&self, fields: &Fields<'t>) -> Vec<Line<Vec<Grant>>> {
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
            order(a.when.as_ref(), b.when.as_ref()).then(a.scopes.cmp(&b.scopes))
        });
        for pair in grants.windows(2) {
            if let [(a, first), (b, second)] = pair
                && a.scopes == b.scopes
                && order(a.when.as_ref(), b.when.as_ref()).is_eq()
            {
                let name = a.scopes.iter().next().map_or("", Scope::name);
                twice(self.sink, *first, *second, name);
            }
        }
        let mut all: Vec<Grant> = Vec::with_capacity(grants.len());
        for (grant, _) in grants {
            match all.last_mut() {
                Some(last) if order(last.when.as_ref(), grant.when.as_ref()).is_eq() => {
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

    fn denies(&self, fields: &Fields<'t>) -> Vec<Line<Option<Condition>>> {
        let mut lines = Vec::new();
        for node in fields.list("deny", "a list of permissions") {
            lines.extend(self.deny(node));
        }
        lines.sort_by(|a: &Line<_>, b| {
            a.pattern
                .cmp(&b.pattern)
                .then_with(|| order(a.value.as_ref(), b.value.as_ref()))
        });
        for pair in lines.windows(2) {
            if let [a, b] = pair
                && a.pattern == b.pattern
                && order(a.value.as_ref(), b.value.as_ref()).is_eq()
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

    /// What decides for an action that lifts the wall or tests roles must not look at a resource:
    /// there is none when it is asked.
    fn marked(
        &self,
        name: Word<'t>,
        grants: &[Line<Vec<Grant>>],
        denies: &[Line<Option<Condition>>],
    ) {
        let types = (0..).map(TypeId).zip(&self.vocabulary.catalogue.types);
        let actions = types.flat_map(|(kind, it)| {
            (0..)
                .map(ActionId)
                .zip(&it.actions)
                .map(move |(id, action)| (kind, it, id, action))
        });
        for (kind, it, id, action) in
            actions.filter(|(_, _, _, action)| action.lifts_wall || action.tests_roles)
        {
            let rank = |pattern: &Pattern| match pattern {
                Pattern::Permission(k, a) => (*k == kind && *a == id).then_some(3),
                Pattern::Type(k) => (*k == kind).then_some(2),
                Pattern::Action(name) => (*name == action.name).then_some(1),
                Pattern::Everything => Some(0),
            };
            let deciding = grants
                .iter()
                .filter_map(|line| Some((rank(&line.pattern)?, line)))
                .max_by_key(|(rank, _)| *rank);
            let grant = deciding.map(|(_, line)| line).filter(|line| {
                line.value
                    .iter()
                    .any(|grant| grant.when.as_ref().is_some_and(tests_resource))
            });
            let denies = denies.iter().filter(|line| {
                rank(&line.pattern).is_some() && line.value.as_ref().is_some_and(tests_resource)
            });
            for span in grant
                .map(|line| line.span)
                .into_iter()
                .chain(denies.map(|line| line.span))
            {
                let message = format!(
                    "this decides for `{}.{}`, which is asked without a resource, and tests the resource",
                    it.name, action.name
                );
                Finding::error(Code::TestsResourceNotAllowed, span, message)
                    .help(format!("give role `{}` a line for `{}.{}` of its own, or test subject and context alone", name.text, it.name, action.name))
                    .report(self.sink);
            }
        }
    }
}

/// Whether a table is a conditional grant and not a table of actions.
fn is_conditional(entries: &[Entry<'_>]) -> bool {
    entries
        .iter()
        .any(|entry| entry.key == "scope" || entry.key == "when")
}

/// Roles that some active user must have for good, with where each is.
pub(super) fn required<'t>(items: &[Item<'t>]) -> Vec<(RoleId, Word<'t>)> {
    let required = |(_, (_, (fields, _))): &(u32, &Item<'t>)| {
        let node = fields.get("required");
        node.is_some_and(|node| matches!(node.value, Value::Bool(true, _)))
    };
    let roles = (0..).zip(items).filter(required);
    roles
        .map(|(number, (name, _))| (RoleId(number), *name))
        .collect()
}
