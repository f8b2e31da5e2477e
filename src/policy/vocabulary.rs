//! catalogue.yaml: types, actions, and what is special about each.

use super::Code;
use super::chains::Chains;
use super::declare::{Declared, Section, set};
use super::fields::{Fields, words};
use super::names::{Names, Sort, meant, name_fault, property_fault, unknown};
use super::resolved::{Action, Catalogue, FactNames, Registry, ResourceType};
use super::sink::{Finding, Sink, Span};
use super::word::Word;
use super::yaml::Node;
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
const FACTS: &[&str] = &[
    "owner",
    "group",
    "department",
    "departments",
    "project",
    "projects",
];
/// Names that requests give facts under, unless the catalogue has its own, and the id's.
const DEFAULT_FACTS: [&str; 7] = [
    "id",
    "owner",
    "group",
    "department",
    "departments",
    "project",
    "projects",
];

/// The catalogue with the names of its parts.
pub(super) struct Vocabulary<'t> {
    pub(super) catalogue: Catalogue,
    pub(super) types: Names<'t>,
    /// By type.
    pub(super) actions: Vec<Names<'t>>,
    /// By type: an object is in one project at most.
    pub(super) exclusive: Vec<bool>,
}

/// A fact that requests give under a name.
#[derive(Clone, Copy)]
pub(super) enum Fact {
    Owner,
    Group,
    Departments,
    Projects,
}

type Types<'t> = Declared<'t, Option<Fields<'t>>>;
type Actions<'t> = Declared<'t, Option<Fields<'t>>>;

// === impl Vocabulary ===

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
                    let section = fields.get("actions").map_or(Section::Absent, Section::Is);
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

    /// The type of this number.
    pub(super) fn kind(&self, id: TypeId) -> Option<&ResourceType> {
        self.catalogue.types.get(id.index())
    }

    /// The action of this number.
    pub(super) fn action(&self, kind: TypeId, id: ActionId) -> Option<&Action> {
        self.kind(kind)?.actions.get(id.index())
    }

    /// The type that `word` names; reported if there is none.
    pub(super) fn find_type(&self, sink: &Sink<'_>, word: Word<'_>) -> Option<TypeId> {
        self.types.find(sink, word).map(TypeId)
    }

    /// The action of a type that `word` names; reported if there is none.
    pub(super) fn find_action(
        &self,
        sink: &Sink<'_>,
        kind: TypeId,
        word: Word<'_>,
    ) -> Option<ActionId> {
        let names = self.actions.get(kind.index())?;
        let whose = self.kind(kind).map_or("", |kind| kind.name.as_str());
        find_action(sink, names, whose, word).map(ActionId)
    }

    /// Types that have an action of this name; reported if there is none.
    pub(super) fn find_everywhere(&self, sink: &Sink<'_>, word: Word<'_>) -> Option<Vec<TypeId>> {
        let having = |(_, names): &(u32, &Names<'t>)| names.get(word.text).is_some();
        let types: Vec<TypeId> = (0..)
            .zip(&self.actions)
            .filter(having)
            .map(|(number, _)| TypeId(number))
            .collect();
        let complete = self.types.complete && self.actions.iter().all(|names| names.complete);
        if types.is_empty() && complete {
            let mut all: Vec<&str> = self.actions.iter().flat_map(Names::iter).collect();
            all.sort_unstable();
            all.dedup();
            unknown(sink, Sort::ACTION, word, " of any type", all.into_iter());
        }
        Some(types).filter(|types| !types.is_empty())
    }

    /// The type of this name, of which a company may register objects.
    pub(super) fn registered(&self, sink: &Sink<'_>, word: Word<'_>) -> Option<TypeId> {
        let id = self.find_type(sink, word)?;
        let kind = self.kind(id)?;
        if !by_nature(kind.registry) {
            return Some(id);
        }
        let message = format!("resources of type `{}` are registered by nature", kind.name);
        Finding::error(Code::RegisteredByNature, word.span(), message)
            .help("users, projects and roles stand in files of their own")
            .report(sink);
        None
    }

    /// The fact that requests about this type give under `name`.
    pub(super) fn fact(&self, kind: TypeId, name: &str) -> Option<Fact> {
        Fact::named(&self.kind(kind)?.fact_names, name)
    }

    /// Whether no stored property of this type may be called so.
    pub(super) fn is_reserved(&self, kind: TypeId, name: &str) -> bool {
        DEFAULT_FACTS.contains(&name) || self.fact(kind, name).is_some()
    }
}

// === impl Fact ===

impl Fact {
    /// The fact's name in paths.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Group => "group",
            Self::Departments => "departments",
            Self::Projects => "projects",
        }
    }

    fn named(names: &FactNames, name: &str) -> Option<Self> {
        let is = |other: &String| other == name;
        if is(&names.owner) {
            Some(Self::Owner)
        } else if is(&names.group) {
            Some(Self::Group)
        } else if names.departments.iter().any(is) {
            Some(Self::Departments)
        } else if names.projects.iter().any(is) {
            Some(Self::Projects)
        } else {
            None
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

fn find_action(sink: &Sink<'_>, names: &Names<'_>, kind: &str, word: Word<'_>) -> Option<u32> {
    let found = names.get(word.text);
    if found.is_none() && names.complete {
        let all: Vec<&str> = names.iter().collect();
        unknown(
            sink,
            Sort::ACTION,
            word,
            &format!(" of `{kind}`"),
            all.into_iter(),
        );
    }
    found
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
        let fact_names = self.fact_names(written("properties").map(|entry| &entry.value));
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

    fn fact_names(&self, node: Option<&'t Node<'t>>) -> FactNames {
        let fields = node.and_then(|node| node.fields(self.sink, "the names of facts", FACTS));
        let mut given: Vec<(&str, Word<'t>)> = Vec::new();
        let mut own = |fact: &'static str, keys: &[&str]| -> Option<String> {
            let fields = fields?;
            let mut entries = keys.iter().filter_map(|key| fields.entry(key));
            let entry = entries.next()?;
            if let Some(other) = entries.next() {
                Finding::error(
                    Code::ConflictingKeys,
                    other.key_span,
                    format!("`{fact}` is named twice"),
                )
                .also(entry.key_span, "it is named here already")
                .help("one name replaces both forms")
                .report(self.sink);
            }
            let name = entry.value.text(self.sink, "the name of a property")?;
            if let Some(fault) = property_fault(name.text) {
                let message = format!("`{}` cannot be the name of a property: {fault}", name.text);
                self.sink.error(Code::BadName, name.span(), message);
                return None;
            }
            let is_other_default = DEFAULT_FACTS.contains(&name.text) && !keys.contains(&name.text);
            if is_other_default || given.iter().any(|(_, other)| other.text == name.text) {
                let message = format!("`{}` would name two facts", name.text);
                self.sink.error(Code::NameCollision, name.span(), message);
                return None;
            }
            given.push((fact, name));
            Some(name.text.to_owned())
        };
        let several = |own: Option<String>, one: &str, many: &str| match own {
            Some(name) => vec![name],
            None => vec![one.to_owned(), many.to_owned()],
        };
        FactNames {
            owner: own("owner", &["owner"]).unwrap_or_else(|| "owner".into()),
            group: own("group", &["group"]).unwrap_or_else(|| "group".into()),
            departments: several(
                own("department", &["department", "departments"]),
                "department",
                "departments",
            ),
            projects: several(
                own("project", &["project", "projects"]),
                "project",
                "projects",
            ),
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
            .filter(|entry| matches!(entry.value.value, super::yaml::Value::Bool(true, _)))
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
pub(super) fn scopes<'t>(sink: &Sink<'_>, node: &'t Node<'t>) -> ScopeSet {
    let Some(items) = node.some(sink, "a list of scopes") else {
        return ScopeSet::ALL;
    };
    let words = words(sink, items, "a scope");
    set(sink, words, |word| scope(sink, word))
        .into_iter()
        .collect()
}

/// A scope by its name.
pub(super) fn scope(sink: &Sink<'_>, word: Word<'_>) -> Option<Scope> {
    let found = Scope::from_name(word.text);
    if found.is_none() {
        let names = Scope::ALL.map(Scope::name);
        let help = meant(sink, word.text, names.into_iter());
        let help = help.unwrap_or_else(|| {
            format!(
                "scopes are {}",
                names.map(|name| format!("`{name}`")).join(", ")
            )
        });
        Finding::error(
            Code::UnknownScope,
            word.span(),
            format!("unknown scope `{}`", word.text),
        )
        .help(help)
        .report(sink);
    }
    found
}

/// Whether `text` could be a name, known or not.
pub(super) fn is_name(text: &str) -> bool {
    name_fault(text).is_none()
}

/// Whether resources are registered without standing among the objects.
const fn by_nature(registry: Registry) -> bool {
    matches!(
        registry,
        Registry::Users | Registry::Projects | Registry::Roles
    )
}
