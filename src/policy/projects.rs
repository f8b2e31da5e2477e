//! projects.yaml.

use super::Code;
use super::declare::{Declared, Section, set, twice};
use super::fields::{Fields, words};
use super::names::{Names, Sort};
use super::resolved::{Members, Project, Registry};
use super::sink::{Finding, Sink, Span};
use super::word::Word;
use super::world::World;
use super::yaml::Entry;
use crate::model::{ObjectId, RoleId};

const PROJECT: &[&str] = &["project", "title", "description", "members", "objects"];
/// The project that always exists.
const DEFAULT: &str = "default";

/// All projects, `default` first; without fields if nobody wrote it down.
pub(super) struct Projects<'t> {
    pub(super) names: Names<'t>,
    pub(super) items: Vec<Item<'t>>,
}

/// A project, and what is written of it, if something is.
pub(super) type Item<'t> = (Word<'t>, Option<Fields<'t>>);
/// What of a sort is exclusive, each with the project that has it.
type Taken<I> = Vec<(I, usize, Span)>;

// === impl Projects ===

impl<'t> Projects<'t> {
    /// Gathers projects by name.
    pub(super) fn gather(sink: &'t Sink<'t>, section: Section<'t>) -> Self {
        let declared = Declared::gather(sink, Sort::PROJECT, section, "a project", PROJECT);
        let mut items: Vec<_> = declared
            .items
            .into_iter()
            .map(|(name, fields)| (name, Some(fields)))
            .collect();
        if !items.iter().any(|(name, _)| name.text == DEFAULT) {
            items.push((Word::new(DEFAULT, Span::default()), None));
        }
        items.sort_by_key(|(name, _)| (name.text != DEFAULT, name.text));
        let mut names = Names::number(
            Sort::PROJECT,
            items.iter().map(|(name, _)| (name.text, name.span())),
        );
        names.complete = declared.names.complete;
        Self { names, items }
    }
}

// === impl World ===

impl<'t> World<'t> {
    /// Projects in order.
    pub(super) fn read_projects(&self, items: &[Item<'t>]) -> Vec<Project> {
        let mut objects: Taken<ObjectId> = Vec::new();
        let mut roles: Taken<RoleId> = Vec::new();
        let read = |(number, (name, fields)): (usize, &Item<'t>)| {
            let mut project = Project {
                name: name.text.to_owned(),
                title: fields.and_then(|fields| fields.title()),
                members: Members::default(),
                objects: Vec::new(),
                roles: Vec::new(),
            };
            if let Some(fields) = fields {
                let members = fields.get("members").map_or(Section::Absent, Section::Is);
                project.members = self.members(members, "members");
                let table = fields
                    .get("objects")
                    .and_then(|node| node.table(self.sink, "a table of types and ids"));
                for entry in table.unwrap_or_default() {
                    self.project_objects(entry, number, &mut project, (&mut objects, &mut roles));
                }
                project.objects.sort_unstable();
                project.objects.dedup();
            }
            project
        };
        let all: Vec<Project> = items.iter().enumerate().map(read).collect();
        let name = |number: usize| all.get(number).map_or("", |project| project.name.as_str());
        exclusive(self.sink, objects, name);
        exclusive(self.sink, roles, name);
        all
    }

    /// The objects of one type in a project.
    fn project_objects(
        &self,
        entry: &'t Entry<'t>,
        number: usize,
        project: &mut Project,
        (objects, roles): (&mut Taken<ObjectId>, &mut Taken<RoleId>),
    ) {
        let word = Word::new(&entry.key, entry.key_span);
        let Some(kind) = self.vocabulary.find_type(self.sink, word) else {
            return;
        };
        let registry = self.vocabulary.kind(kind).map(|kind| kind.registry);
        let exclusive = self.vocabulary.exclusive.get(kind.index()) == Some(&true);
        let ids = || {
            let items = entry
                .value
                .list(self.sink, "a list of ids")
                .unwrap_or_default();
            words(self.sink, items, "an id")
        };
        match registry {
            Some(Registry::Open | Registry::Objects) => {
                let find = |word: Word<'t>| self.object(kind, word);
                let found = ids()
                    .into_iter()
                    .filter_map(|word| Some((find(word)?, word)));
                let found: Vec<(ObjectId, Word<'t>)> = found.collect();
                repeated(self.sink, &found);
                if exclusive {
                    objects.extend(found.iter().map(|(id, word)| (*id, number, word.span())));
                }
                project.objects.extend(found.into_iter().map(|(id, _)| id));
            }
            Some(Registry::Roles) => {
                let ids = ids();
                if exclusive {
                    let found = ids.iter().filter_map(|word| {
                        self.roles
                            .get(word.text)
                            .map(|id| (RoleId(id), number, word.span()))
                    });
                    roles.extend(found);
                }
                project.roles = set(self.sink, ids, |word| self.role(word));
            }
            Some(Registry::Users | Registry::Projects) => {
                let help = if registry == Some(Registry::Users) {
                    "name users under `members`: what is a user's is in the user's projects"
                } else {
                    "a project is in itself"
                };
                let message = format!("a project lists no resources of type `{}`", word.text);
                Finding::error(Code::RegisteredByNature, word.span(), message)
                    .help(help)
                    .report(self.sink);
            }
            None => {}
        }
    }
}

/// Reports objects that stand twice in one list.
fn repeated(sink: &Sink<'_>, found: &[(ObjectId, Word<'_>)]) {
    let mut sorted: Vec<&(ObjectId, Word<'_>)> = found.iter().collect();
    sorted.sort_by_key(|(id, _)| *id);
    for pair in sorted.windows(2) {
        if let [(one, first), (other, second)] = pair
            && one == other
        {
            twice(sink, first.span(), second.span(), second.text);
        }
    }
}

/// Reports what is in two projects though it may be in one at most.
fn exclusive<'n, I: Ord + Copy>(
    sink: &Sink<'_>,
    mut taken: Taken<I>,
    name: impl Fn(usize) -> &'n str,
) {
    taken.sort_by_key(|(id, _, span)| (*id, *span));
    for pair in taken.windows(2) {
        if let [(one, project, first), (other, second_project, second)] = pair
            && one == other
            && project != second_project
        {
            let message = format!(
                "this is in project `{}` already, and may be in one at most",
                name(*project)
            );
            Finding::error(Code::ExclusiveObject, *second, message)
                .also(*first, "here it is put there")
                .help("the catalogue says of its type: `exclusive: true`")
                .report(sink);
        }
    }
}
