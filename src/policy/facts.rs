//! The facts of a resource, and the names under which requests give them.

use super::Code;
use super::names::property_fault;
use super::resolved::FactNames;
use super::sink::{Finding, Sink};
use super::word::Word;
use super::yaml::Node;

const FACTS: &[&str] = &[
    "owner",
    "group",
    "department",
    "departments",
    "project",
    "projects",
];
/// Names that requests give facts under, unless the catalogue has its own, and the id's.
pub(super) const DEFAULT_FACTS: [&str; 7] = [
    "id",
    "owner",
    "group",
    "department",
    "departments",
    "project",
    "projects",
];

/// A fact that requests give under a name.
#[derive(Clone, Copy)]
pub(super) enum Fact {
    Owner,
    Group,
    Departments,
    Projects,
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

    /// The fact that goes by `name`.
    pub(super) fn named(names: &FactNames, name: &str) -> Option<Self> {
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

/// Reads under which names requests give the facts of a type.
pub(super) fn names<'t>(sink: &'t Sink<'t>, node: Option<&'t Node<'t>>) -> FactNames {
    let fields = node.and_then(|node| node.fields(sink, "the names of facts", FACTS));
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
            .report(sink);
        }
        let name = entry.value.text(sink, "the name of a property")?;
        if let Some(fault) = property_fault(name.text) {
            let message = format!("`{}` cannot be the name of a property: {fault}", name.text);
            sink.error(Code::BadName, name.span(), message);
            return None;
        }
        let is_other_default = DEFAULT_FACTS.contains(&name.text) && !keys.contains(&name.text);
        if is_other_default || given.iter().any(|(_, other)| other.text == name.text) {
            let message = format!("`{}` would name two facts", name.text);
            sink.error(Code::NameCollision, name.span(), message);
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
