//! roles.yaml: the roles of a pack and a company.

use super::chains::Chains;
use super::declare::{Declared, Section, set};
use super::fields::Fields;
use super::grants::Lines;
use super::names::{Names, Sort};
use super::resolved::{DenyLine, GrantLine, Role};
use super::sink::{Finding, Sink, Span};
use super::vocabulary::Vocabulary;
use super::word::Word;
use super::world::World;
use super::yaml::Value;
use super::{Code, marked};
use crate::model::RoleId;

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
        let lines = Lines {
            sink: self.sink,
            vocabulary: self.vocabulary,
        };
        let grants = lines.grants(fields);
        let denies = lines.denies(fields);
        marked::check(&lines, name, &grants, &denies);
        Role {
            name: name.text.to_owned(),
            title,
            template,
            required: fields.flag("required"),
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
