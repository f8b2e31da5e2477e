//! objects.yaml and objects.csv.

use super::Code;
use super::chains::Chains;
use super::columns::Columns;
use super::declare::{Section, set};
use super::fields::Fields;
use super::properties::Rules;
use super::resolved::{Members, Object};
use super::sink::{Finding, Sink, Span};
use super::users::Rows;
use super::vocabulary::Vocabulary;
use super::word::Word;
use super::world::{Objects, World};
use super::yaml::Node;
use crate::model::{ObjectId, Properties, TypeId};

const KEYS: &[&str] = &[
    "type",
    "id",
    "title",
    "description",
    "owner",
    "departments",
    "group",
    "parent",
    "operators",
    "properties",
];
const COLUMNS: &[&str] = &[
    "type",
    "id",
    "title",
    "owner",
    "departments",
    "group",
    "parent",
    "operator_users",
    "operator_groups",
    "operator_departments",
    "operator_teams",
];
const TYPE_NAME: &str = "the name of a resource type";
const OBJECT_ID: &str = "the id of an object";

/// Positions in [`COLUMNS`].
mod column {
    pub(super) const TYPE: usize = 0;
    pub(super) const ID: usize = 1;
    pub(super) const TITLE: usize = 2;
    pub(super) const OWNER: usize = 3;
    pub(super) const DEPARTMENTS: usize = 4;
    pub(super) const GROUP: usize = 5;
    pub(super) const PARENT: usize = 6;
    pub(super) const OPERATOR_USERS: usize = 7;
    pub(super) const OPERATOR_GROUPS: usize = 8;
    pub(super) const OPERATOR_DEPARTMENTS: usize = 9;
    pub(super) const OPERATOR_TEAMS: usize = 10;
}

/// All objects by type and id; each one's number is its position.
pub(super) struct Gathered<'t> {
    drafts: Vec<Draft<'t>>,
    columns: Option<Columns<'t>>,
}

/// An object of which only type and id are read.
struct Draft<'t> {
    kind: TypeId,
    id: Word<'t>,
    source: Source<'t>,
}

#[derive(Clone, Copy)]
enum Source<'t> {
    Fields(Fields<'t>),
    Row(usize),
}

// === impl Gathered ===

impl<'t> Gathered<'t> {
    /// Reads types and ids.
    pub(super) fn gather(
        sink: &'t Sink<'t>,
        rows: &Rows<'t>,
        vocabulary: &Vocabulary<'t>,
    ) -> (Self, Objects<'t>) {
        let (mut drafts, columns, count, mut known) = match rows {
            Rows::Tree(section) => {
                let (nodes, known) = section.list(sink, "a list of objects");
                let draft = |node: &'t Node<'t>| Draft::in_tree(sink, vocabulary, node);
                (
                    nodes.iter().filter_map(draft).collect(),
                    None,
                    nodes.len(),
                    known,
                )
            }
            Rows::Table(table) => {
                let columns = Columns::read(sink, table, "objects.csv", COLUMNS, 2);
                let draft = |row| Draft::in_row(sink, vocabulary, &columns, row);
                let drafts: Vec<Draft<'t>> = (0..columns.len()).filter_map(draft).collect();
                let count = columns.len();
                (drafts, Some(columns), count, true)
            }
        };
        known &= drafts.len() == count;
        drafts.sort_by_key(|draft| (draft.kind, draft.id.text));
        let mut objects = Objects {
            broken: !known,
            ..Objects::default()
        };
        objects.known.reserve(drafts.len());
        for (number, draft) in (0..).zip(&drafts) {
            objects
                .known
                .entry((draft.kind.0, draft.id.text))
                .or_insert(number);
        }
        for pair in drafts.windows(2) {
            if let [first, second] = pair
                && (first.kind, first.id.text) == (second.kind, second.id.text)
            {
                Finding::error(
                    Code::DuplicateName,
                    second.id.span(),
                    format!("object `{}` stands twice", second.id.text),
                )
                .also(first.id.span(), "it stands here already")
                .report(sink);
            }
        }
        (Self { drafts, columns }, objects)
    }
}

// === impl Draft ===

impl<'t> Draft<'t> {
    fn in_tree(
        sink: &'t Sink<'t>,
        vocabulary: &Vocabulary<'t>,
        node: &'t Node<'t>,
    ) -> Option<Self> {
        let fields = node.fields(sink, "an object", KEYS)?;
        let kind = fields
            .need("type")
            .and_then(|node| node.text(sink, TYPE_NAME));
        let kind = kind.and_then(|word| vocabulary.registered(sink, word));
        let id = fields
            .need("id")
            .and_then(|node| node.text(sink, OBJECT_ID));
        let id = id.and_then(|word| word.id(sink, OBJECT_ID));
        Some(Self {
            kind: kind?,
            id: id?,
            source: Source::Fields(fields),
        })
    }

    fn in_row(
        sink: &'t Sink<'t>,
        vocabulary: &Vocabulary<'t>,
        columns: &Columns<'t>,
        row: usize,
    ) -> Option<Self> {
        let kind = vocabulary.registered(sink, columns.any(row, column::TYPE)?);
        let id = columns.any(row, column::ID)?.id(sink, OBJECT_ID);
        Some(Self {
            kind: kind?,
            id: id?,
            source: Source::Row(row),
        })
    }
}

// === impl World ===

impl<'t> World<'t> {
    /// Objects in order.
    pub(super) fn read_objects(&self, gathered: &Gathered<'t>) -> Vec<Object> {
        let read = |draft: &Draft<'t>| match (draft.source, &gathered.columns) {
            (Source::Fields(fields), _) => Some(self.object_in_tree(draft, &fields)),
            (Source::Row(row), Some(columns)) => Some(self.object_in_row(draft, columns, row)),
            (Source::Row(_), None) => None,
        };
        let all: Vec<Object> = gathered.drafts.iter().filter_map(read).collect();
        Chains {
            count: all.len(),
            next: &|at, nth| {
                all.get(at)?
                    .parent
                    .filter(|_| nth == 0)
                    .map(ObjectId::index)
            },
            name: &|at| all.get(at).map_or(String::new(), |one| one.id.clone()),
            span: &|at| {
                gathered
                    .drafts
                    .get(at)
                    .map_or(Span::default(), |draft| draft.id.span())
            },
            verb: "lies below",
        }
        .check(self.sink);
        all
    }

    fn object_in_tree(&self, draft: &Draft<'t>, fields: &Fields<'t>) -> Object {
        let reserved = |name: &str| self.vocabulary.is_reserved(draft.kind, name);
        let rules = Rules {
            stored: true,
            reserved: &reserved,
        };
        let departments = fields.words(
            "departments",
            "a list of departments",
            "the name of a department",
        );
        let operators = fields.get("operators").map_or(Section::Absent, Section::Is);
        Object {
            kind: draft.kind,
            id: draft.id.text.to_owned(),
            title: fields.title(),
            owner: fields
                .text("owner", "the name of a user")
                .and_then(|word| self.user(word)),
            group: fields
                .text("group", "the name of a group")
                .and_then(|word| self.group(word)),
            departments: set(self.sink, departments, |word| self.department(word)),
            parent: fields.get("parent").and_then(|node| self.parent(node)),
            operators: self.members(operators, "operators"),
            properties: rules.read(self.sink, fields.get("properties")),
        }
    }

    fn parent(&self, node: &'t Node<'t>) -> Option<ObjectId> {
        let fields = node.fields(self.sink, "a parent", &["type", "id"])?;
        let kind = fields
            .need("type")
            .and_then(|node| node.text(self.sink, TYPE_NAME));
        let kind = kind.and_then(|word| self.vocabulary.registered(self.sink, word));
        let id = fields
            .need("id")
            .and_then(|node| node.text(self.sink, OBJECT_ID));
        self.object(kind?, id?)
    }

    fn object_in_row(&self, draft: &Draft<'t>, columns: &Columns<'t>, row: usize) -> Object {
        let text = |column| columns.get(row, column);
        let sink = self.sink;
        Object {
            kind: draft.kind,
            id: draft.id.text.to_owned(),
            title: text(column::TITLE).map(|word| word.text.to_owned()),
            owner: text(column::OWNER).and_then(|word| self.user(word)),
            group: text(column::GROUP).and_then(|word| self.group(word)),
            departments: set(sink, columns.items(row, column::DEPARTMENTS), |word| {
                self.department(word)
            }),
            parent: text(column::PARENT).and_then(|word| self.parent_in_cell(word)),
            operators: Members {
                users: self.user_list(columns.items(row, column::OPERATOR_USERS)),
                groups: set(sink, columns.items(row, column::OPERATOR_GROUPS), |word| {
                    self.group(word)
                }),
                departments: set(
                    sink,
                    columns.items(row, column::OPERATOR_DEPARTMENTS),
                    |word| self.department(word),
                ),
                teams: set(sink, columns.items(row, column::OPERATOR_TEAMS), |word| {
                    self.team(word)
                }),
            },
            properties: self.properties_in_row(draft.kind, columns, row),
        }
    }

    fn properties_in_row(
        &self,
        kind: TypeId,
        columns: &Columns<'t>,
        row: usize,
    ) -> Properties<'static> {
        let reserved = |name: &str| self.vocabulary.is_reserved(kind, name);
        let rules = Rules {
            stored: true,
            reserved: &reserved,
        };
        columns.properties(row, |name| rules.name(self.sink, name))
    }

    /// `type:id`; a type's name has no colon, an id may have one.
    fn parent_in_cell(&self, word: Word<'t>) -> Option<ObjectId> {
        let Some((kind, id)) = word.text.split_once(':') else {
            Finding::error(
                Code::UnknownValue,
                word.span(),
                format!("`{}` is no parent", word.text),
            )
            .help("write the parent's type, a colon and its id: `queue:sales-in`")
            .report(self.sink);
            return None;
        };
        let kind = self.vocabulary.registered(self.sink, word.part(kind))?;
        self.object(kind, word.part(id))
    }
}
