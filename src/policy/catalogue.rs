//! catalogue.yaml: types, actions, and what is special about each.

use super::Code;
use super::chains::Chains;
use super::declare::{Declared, Section, set};
use super::facts::{self, Fact};
use super::fields::{Fields, words};
use super::names::Sort;
use super::resolved::{Action, Catalogue, FactNames, Registry, ResourceType};
use super::sink::{Finding, Sink, Span};
use super::vocabulary::{Vocabulary, by_nature, find_action, scope};
use super::word::Word;
use super::yaml::{Node, Value};
use crate::model::{ActionId, Scope, ScopeSet, TypeId};

const CATALOGUE: &[&str] = &["catalogue", "title", "description", "resources"];
const TYPE: &[&str] = &[
    "title",
    "description",
    "registered",
    "exclusive",
    "walled",
    "properties",
    "parent",
    "actions",
];
const ACTION: &[&str] = &[
    "title",
    "description",
    "new",
    "scopes",
    "requires",
    "via",
    "lifts_wall",
    "tests_roles",
];
type Types<'t> = Declared<'t, Option<Fields<'t>>>;
type Actions<'t> = Declared<'t, Option<Fields<'t>>>;

impl<'t> Vocabulary<'t> {
    /// Reads a catalogue; without one, an empty catalogue of which nothing is known.
    pub(super) fn read(sink: &'t Sink<'t>, root: Option<&'t Node<'t>>) -> Self {
        let fields = root.and_then(|root| root.fields(sink, "a catalogue", CATALOGUE));
        let name = fields.and_then(|fields| {
            fields.title();
            let name = fields
                .need("catalogue")?
                .text(sink, "the catalogue's name")?;
            name.name(sink, "the name of a catalogue")
        });
        let resources = fields.and_then(|fields| fields.need("resources"));
        let section = resources.map_or(Section::Broken, Section::Is);
        let types = declare(sink, Sort::TYPE, section, "a resource type", TYPE);
        let actions: Vec<Actions<'t>> = types
            .items
            .iter()
            .map(|(_, fields)| match fields {
                Some(fields) => {
                    let section = match fields.get("actions") {
                        Some(node) => Section::Is(node),
                        None if fields.known => Section::Absent,
                        None => Section::Broken,
                    };
                    declare(sink, Sort::ACTION, section, "an action", ACTION)
                }
                None => declare(sink, Sort::ACTION, Section::Broken, "an action", ACTION),
            })
            .collect();
        let reader = CatalogueReader {
            sink,
            types: &types,
            actions: &actions,
        };
        let catalogue = reader.catalogue(name.map_or("", |name| name.text));
        let exclusive = reader.exclusive(&catalogue);
        Self {
            catalogue,
            exclusive,
            types: types.names,
            actions: actions.into_iter().map(|actions| actions.names).collect(),
        }
    }
}

/// Numbers what stands in a table under its names.
fn declare<'t>(
    sink: &'t Sink<'t>,
    sort: Sort,
    section: Section<'t>,
    what: &'static str,
    keys: &[&'static str],
) -> Declared<'t, Option<Fields<'t>>> {
    let table = section
        .node()
        .map(|node| node.table(sink, &format!("a table of {}s", sort.noun)));
    let known = section.is_known() && !matches!(table, Some(None));
    let mut items = Vec::new();
    for entry in table.flatten().unwrap_or_default() {
        let word = Word::new(&entry.key, entry.key_span);
        let word = word
            .name(sink, &format!("the name of {what}"))
            .unwrap_or(word.part(""));
        items.push((word, entry.value.fields(sink, what, keys)));
    }
    // Keys are unique; what stands twice is reported by the tree.
    items.sort_by_key(|(name, _)| name.text);
    items.dedup_by_key(|(name, _)| name.text);
    let mut declared = Declared::new(sink, sort, items);
    declared.names.complete &= known;
    declared
}

struct CatalogueReader<'a, 't> {
    sink: &'t Sink<'t>,
    types: &'a Types<'t>,
    actions: &'a [Actions<'t>],
}

// === impl CatalogueReader ===

impl<'t> CatalogueReader<'_, 't> {
    fn catalogue(&self, name: &str) -> Catalogue {
        let types: Vec<ResourceType> = self
            .types
            .items
            .iter()
            .zip(self.actions)
            .map(|((name, fields), actions)| self.kind(*name, fields.as_ref(), actions))
            .collect();
        self.marks("lifts_wall");
        self.marks("tests_roles");
        self.parents(&types);
        Catalogue {
            name: name.to_owned(),
            types,
        }
    }

    fn kind(
        &self,
        name: Word<'t>,
        fields: Option<&Fields<'t>>,
        actions: &Actions<'t>,
    ) -> ResourceType {
        let written = |key| fields.and_then(|fields| fields.entry(key));
        let flag = |key| fields.is_some_and(|fields| fields.flag(key));
        if let Some(fields) = fields {
            fields.title();
        }
        let registry = match name.text {
            "user" => Registry::Users,
            "project" => Registry::Projects,
            "role" => Registry::Roles,
            _ if flag("registered") => Registry::Objects,
            _ => Registry::Open,
        };
        if let (Some(entry), false) = (
            written("registered"),
            matches!(registry, Registry::Open | Registry::Objects),
        ) {
            let message = format!("resources of type `{}` are registered by nature", name.text);
            Finding::error(Code::RegisteredByNature, entry.key_span, message)
                .help("leave `registered` out")
                .report(self.sink);
        }
        let fact_names = facts::names(self.sink, written("properties").map(|entry| &entry.value));
        let parents = self.parent_types(written("parent").map(|entry| &entry.value), &fact_names);
        let actions = self.read_actions(name.text, actions, &fact_names);
        ResourceType {
            name: name.text.to_owned(),
            registry,
            walled: written("walled").is_none() || flag("walled"),
            fact_names,
            parents,
            actions,
        }
    }

    /// Refuses a property that would both name a resource and give a fact.
    fn collides(&self, word: Word<'_>, property: &str, facts: &FactNames, use_: &str) -> bool {
        let Some(fact) = Fact::named(facts, property) else {
            return false;
        };
        let message = format!(
            "property `{property}` would name {use_} and give the fact `{}`",
            fact.name()
        );
        Finding::error(Code::NameCollision, word.span(), message)
            .help("give the fact another name under `properties` of this type")
            .report(self.sink);
        true
    }

    fn parent_types(&self, node: Option<&'t Node<'t>>, facts: &FactNames) -> Vec<TypeId> {
        let Some(node) = node else { return Vec::new() };
        let Some(items) = node.some(self.sink, "a list of resource types") else {
            return Vec::new();
        };
        let words = words(self.sink, items, "the name of a resource type");
        set(self.sink, words, |word| {
            let found = self.types.names.find(self.sink, word).map(TypeId)?;
            (!self.collides(word, word.text, facts, "a parent")).then_some(found)
        })
    }

    /// Parents are looked up among the registered objects, which users, projects and roles are not.
    fn parents(&self, types: &[ResourceType]) {
        for ((_, fields), kind) in self.types.items.iter().zip(types) {
            let node = fields.and_then(|fields| fields.get("parent"));
            let parents = kind
                .parents
                .iter()
                .filter_map(|parent| types.get(parent.index()));
            for parent in parents.filter(|parent| by_nature(parent.registry)) {
                let message = format!("a resource of type `{}` can be no parent", parent.name);
                let span = node.map_or(Span::default(), |node| node.span);
                Finding::error(Code::RegisteredByNature, span, message)
                    .help("take it out of `parent`: users, projects and roles are no objects")
                    .report(self.sink);
            }
        }
    }

    fn exclusive(&self, catalogue: &Catalogue) -> Vec<bool> {
        let flag = |(fields, kind): (&Option<Fields<'t>>, &ResourceType)| {
            let Some(entry) = fields.and_then(|fields| fields.entry("exclusive")) else {
                return false;
            };
            let exclusive = entry.value.flag(self.sink).unwrap_or(false);
            if exclusive && matches!(kind.registry, Registry::Users | Registry::Projects) {
                let message = format!(
                    "resources of type `{}` are in no project's list, so that none can be exclusive",
                    kind.name
                );
                Finding::error(Code::RegisteredByNature, entry.key_span, message)
                    .help("leave `exclusive` out")
                    .report(self.sink);
            }
            exclusive
        };
        let fields = self.types.items.iter().map(|(_, fields)| fields);
        fields.zip(&catalogue.types).map(flag).collect()
    }

    fn read_actions(&self, kind: &str, actions: &Actions<'t>, facts: &FactNames) -> Vec<Action> {
        let read = |(name, fields): &(Word<'t>, Option<Fields<'t>>)| {
            if matches!(name.text, "scope" | "when") {
                let message = format!(
                    "`{}` cannot be the name of an action: it begins a conditional grant",
                    name.text
                );
                self.sink.error(Code::BadName, name.span(), message);
            }
            self.action(kind, name.text, fields.as_ref(), actions, facts)
        };
        let all: Vec<Action> = actions.items.iter().map(read).collect();
        let span = |at: usize| {
            let item = actions.items.get(at);
            let requires = item.and_then(|(_, fields)| fields.as_ref()?.entry("requires"));
            requires.map_or(Span::default(), |entry| entry.key_span)
        };
        Chains {
            count: all.len(),
            next: &|at, nth| all.get(at)?.requires.get(nth).map(|id| id.index()),
            name: &|at| {
                all.get(at)
                    .map_or(String::new(), |action| format!("{kind}.{}", action.name))
            },
            span: &span,
            verb: "requires",
        }
        .check(self.sink);
        all
    }

    fn action(
        &self,
        kind: &str,
        name: &str,
        fields: Option<&Fields<'t>>,
        siblings: &Actions<'t>,
        facts: &FactNames,
    ) -> Action {
        let flag = |key| fields.is_some_and(|fields| fields.flag(key));
        let items = |key, what| fields.map_or(&[][..], |fields| fields.list(key, what));
        if let Some(fields) = fields {
            fields.title();
        }
        let requires = words(
            self.sink,
            items("requires", "a list of actions"),
            "the name of an action",
        );
        let requires = set(self.sink, requires, |word| {
            find_action(self.sink, &siblings.names, kind, word).map(ActionId)
        });
        let via = words(
            self.sink,
            items("via", "a list of permissions"),
            "a permission such as `deal.view`",
        );
        let via = set(self.sink, via, |word| self.link(word, facts));
        let (lifts_wall, tests_roles) = (flag("lifts_wall"), flag("tests_roles"));
        let mut action = Action {
            name: name.to_owned(),
            new: flag("new"),
            scopes: ScopeSet::ALL,
            requires,
            via,
            lifts_wall,
            tests_roles,
        };
        let node = fields.and_then(|fields| fields.get("scopes"));
        if let Some(node) = node {
            action.scopes = scopes(self.sink, node);
        }
        if lifts_wall || tests_roles {
            let any = ScopeSet::EMPTY.with(Scope::Any);
            if let Some(node) = node.filter(|_| action.scopes != any) {
                Finding::error(Code::AnyScopeOnly, node.span, format!("`{kind}.{name}` can only offer the scope `any`"))
                    .help("write `scopes: [any]`, or leave `scopes` out: what it lifts or tests is not bound to a resource")
                    .report(self.sink);
            }
            action.scopes = any;
        }
        action
    }

    /// The permission that `via` names.
    fn link(&self, word: Word<'t>, facts: &FactNames) -> Option<(TypeId, ActionId)> {
        let Some((kind, action)) = word.text.split_once('.') else {
            Finding::error(
                Code::UnknownValue,
                word.span(),
                format!("`{}` is no permission", word.text),
            )
            .help("write a type, a dot and an action: `deal.view`")
            .report(self.sink);
            return None;
        };
        let found = self.types.names.find(self.sink, word.part(kind))?;
        let names = &self.actions.get(found as usize)?.names;
        let action = find_action(self.sink, names, kind, word.part(action))?;
        (!self.collides(word, kind, facts, "a linked resource"))
            .then_some((TypeId(found), ActionId(action)))
    }

    /// At most one action of a catalogue may bear a mark.
    fn marks(&self, mark: &'static str) {
        let mut marked: Vec<Span> = self
            .actions
            .iter()
            .flat_map(|actions| &actions.items)
            .filter_map(|(_, fields)| fields.as_ref()?.entry(mark))
            .filter(|entry| matches!(entry.value.value, Value::Bool(true, _)))
            .map(|entry| entry.key_span)
            .collect();
        marked.sort_unstable();
        if let Some((first, others)) = marked.split_first() {
            for span in others {
                Finding::error(
                    Code::DuplicateMark,
                    *span,
                    format!("second action with `{mark}`"),
                )
                .also(*first, "the first is here")
                .help("one action of a catalogue may bear it")
                .report(self.sink);
            }
        }
    }
}

/// A list of scopes.
fn scopes<'t>(sink: &Sink<'_>, node: &'t Node<'t>) -> ScopeSet {
    let Some(items) = node.some(sink, "a list of scopes") else {
        return ScopeSet::ALL;
    };
    let words = words(sink, items, "a scope");
    set(sink, words, |word| scope(sink, word))
        .into_iter()
        .collect()
}
