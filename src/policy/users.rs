//! users.yaml and users.csv.

use super::Code;
use super::columns::Columns;
use super::csv::Table;
use super::declare::{Section, set};
use super::fields::Fields;
use super::properties::Rules;
use super::resolved::{ShiftPlan, User};
use super::sink::{Finding, Sink};
use super::vocabulary::Vocabulary;
use super::word::Word;
use super::world::{Users, World};
use crate::model::TypeId;

const KEYS: &[&str] = &[
    "user",
    "title",
    "description",
    "aliases",
    "active",
    "properties",
    "group",
    "departments",
    "roles",
    "shift",
];
const COLUMNS: &[&str] = &[
    "user",
    "title",
    "aliases",
    "active",
    "group",
    "departments",
    "roles",
    "shift",
];
const USER_FACTS: &[&str] = &["id", "group", "departments", "projects"];

/// Positions in [`COLUMNS`].
mod column {
    pub(super) const USER: usize = 0;
    pub(super) const TITLE: usize = 1;
    pub(super) const ALIASES: usize = 2;
    pub(super) const ACTIVE: usize = 3;
    pub(super) const GROUP: usize = 4;
    pub(super) const DEPARTMENTS: usize = 5;
    pub(super) const ROLES: usize = 6;
    pub(super) const SHIFT: usize = 7;
}

/// What a company says of its users, or of its objects.
pub(super) enum Rows<'t> {
    /// In YAML.
    Tree(Section<'t>),
    /// In CSV.
    Table(&'t Table<'t>),
}

/// All users by id; each one's number is its position.
pub(super) struct Gathered<'t> {
    drafts: Vec<Draft<'t>>,
    columns: Option<Columns<'t>>,
}

/// A user of whom only the names are read.
struct Draft<'t> {
    id: Word<'t>,
    aliases: Vec<Word<'t>>,
    source: Source<'t>,
}

#[derive(Clone, Copy)]
enum Source<'t> {
    Fields(Fields<'t>),
    Row(usize),
}

// === impl Gathered ===

impl<'t> Gathered<'t> {
    /// Reads ids and aliases.
    pub(super) fn gather(
        sink: &'t Sink<'t>,
        rows: &Rows<'t>,
        vocabulary: &Vocabulary<'t>,
    ) -> (Self, Users<'t>) {
        let mut known;
        let (mut drafts, columns) = match rows {
            Rows::Tree(section) => {
                let (nodes, read) = section.list(sink, "a list of users");
                known = read;
                let draft = |node: &'t super::yaml::Node<'t>| {
                    Draft::in_tree(sink, node.fields(sink, "a user", KEYS)?)
                };
                let drafts: Vec<Draft<'t>> = nodes.iter().filter_map(draft).collect();
                known &= drafts.len() == nodes.len();
                (drafts, None)
            }
            Rows::Table(table) => {
                let columns = Columns::read(sink, table, "users.csv", COLUMNS, 1);
                let reserved = |name: &str| is_reserved(vocabulary, name);
                let rules = Rules {
                    stored: true,
                    reserved: &reserved,
                };
                for name in columns.property_names() {
                    rules.name(sink, name);
                }
                let drafts = (0..columns.len())
                    .filter_map(|row| Draft::in_row(sink, &columns, row))
                    .collect::<Vec<_>>();
                known = drafts.len() == columns.len();
                (drafts, Some(columns))
            }
        };
        known &= drafts
            .iter()
            .all(|draft: &Draft<'t>| !draft.id.text.is_empty());
        drafts.sort_by_key(|draft| draft.id.text);
        let gathered = Self { drafts, columns };
        let mut users = gathered.names(sink);
        users.broken = !known;
        (gathered, users)
    }

    /// Maps each id and alias to its user; what stands for two is reported.
    fn names(&self, sink: &Sink<'_>) -> Users<'t> {
        let mut users = Users::default();
        users.known.reserve(
            self.drafts
                .iter()
                .map(|draft| 1 + draft.aliases.len())
                .sum(),
        );
        let ids = (0..)
            .zip(&self.drafts)
            .map(|(number, draft)| (number, draft.id));
        let aliases = (0..)
            .zip(&self.drafts)
            .flat_map(|(number, draft): (u32, &Draft<'t>)| {
                draft.aliases.iter().map(move |alias| (number, *alias))
            });
        for (number, word) in ids.chain(aliases).filter(|(_, word)| !word.text.is_empty()) {
            match users.known.entry(word.text) {
                std::collections::hash_map::Entry::Vacant(free) => {
                    free.insert(number);
                }
                std::collections::hash_map::Entry::Occupied(taken) => {
                    self.collision(sink, *taken.get(), word);
                }
            }
        }
        self.similar(sink, &users);
        users
    }

    #[cold]
    fn collision(&self, sink: &Sink<'_>, taken: u32, word: Word<'t>) {
        let mut names = self
            .drafts
            .get(taken as usize)
            .into_iter()
            .flat_map(Draft::names);
        let mut places = [
            names
                .find(|name| name.text == word.text)
                .unwrap_or(word)
                .span(),
            word.span(),
        ];
        places.sort_unstable();
        let [first, second] = places;
        Finding::error(
            Code::IdCollision,
            second,
            format!("`{}` already names a user", word.text),
        )
        .also(first, "here it does")
        .help("ids and aliases share one name space: each stands for one user, and is given once")
        .report(sink);
    }

    /// Warns of names of two users that differ only by case.
    fn similar(&self, sink: &Sink<'_>, users: &Users<'t>) {
        // Of two such names one has a capital at least; most names have none.
        let mut folded: Vec<(String, u32)> = Vec::new();
        for (number, draft) in (0..).zip(&self.drafts) {
            for name in draft.names() {
                let small = |one: char| one.is_ascii() && !one.is_ascii_uppercase();
                if name.text.chars().all(small) {
                    continue;
                }
                let lower = name.text.to_lowercase();
                if lower == name.text {
                    continue;
                }
                if let Some(other) = users
                    .known
                    .get(lower.as_str())
                    .filter(|other| **other != number)
                {
                    self.warn(sink, &lower, [*other, number]);
                }
                folded.push((lower, number));
            }
        }
        folded.sort_unstable();
        for pair in folded.windows(2) {
            if let [(one, first), (other, second)] = pair
                && one == other
                && first != second
            {
                self.warn(sink, one, [*first, *second]);
            }
        }
    }

    /// Warns of names of two users that both fold to `lower`.
    #[cold]
    fn warn(&self, sink: &Sink<'_>, lower: &str, users: [u32; 2]) {
        let name = |number: u32| {
            let draft = self.drafts.get(number as usize)?;
            draft.names().find(|name| name.text.to_lowercase() == lower)
        };
        let [Some(one), Some(other)] = users.map(name) else {
            return;
        };
        let (first, second) = if one.span() < other.span() {
            (one, other)
        } else {
            (other, one)
        };
        let message = format!(
            "`{}` and `{}` name two users and differ only by case",
            second.text, first.text
        );
        Finding::warning(Code::SimilarNames, second.span(), message)
            .also(first.span(), "the other is here")
            .report(sink);
    }
}

// === impl Draft ===

impl<'t> Draft<'t> {
    fn in_tree(sink: &'t Sink<'t>, fields: Fields<'t>) -> Option<Self> {
        let id = fields
            .need("user")
            .and_then(|node| node.text(sink, "the id of a user"));
        let id = id.and_then(|id| id.id(sink, "the id of a user"));
        let aliases = fields.words("aliases", "a list of aliases", "an alias");
        Some(Self {
            id: id.unwrap_or(Word::new("", fields.head())),
            aliases: aliases
                .into_iter()
                .filter_map(|alias| alias.id(sink, "an alias"))
                .collect(),
            source: Source::Fields(fields),
        })
    }

    fn in_row(sink: &'t Sink<'t>, columns: &Columns<'t>, row: usize) -> Option<Self> {
        let id = columns.any(row, column::USER)?;
        let items = columns.items(row, column::ALIASES);
        // Counted first, for growing lists would take half as much again.
        let mut aliases = Vec::with_capacity(items.clone().count());
        aliases.extend(items.filter_map(|alias| alias.id(sink, "an alias")));
        Some(Self {
            id: id.id(sink, "the id of a user").unwrap_or(id.part("")),
            aliases,
            source: Source::Row(row),
        })
    }

    fn names(&self) -> impl Iterator<Item = Word<'t>> {
        std::iter::once(self.id).chain(self.aliases.iter().copied())
    }
}

// === impl World ===

impl<'t> World<'t> {
    /// Users in order.
    pub(super) fn read_users(&self, gathered: &Gathered<'t>) -> Vec<User> {
        let read = |draft: &Draft<'t>| match (draft.source, &gathered.columns) {
            (Source::Fields(fields), _) => Some(self.user_in_tree(draft, &fields)),
            (Source::Row(row), Some(columns)) => Some(self.user_in_row(draft, columns, row)),
            (Source::Row(_), None) => None,
        };
        gathered.drafts.iter().filter_map(read).collect()
    }

    /// Refuses an active user without a role or with several, for `roles_per_user: one`.
    pub(super) fn one_role_each(&self, gathered: &Gathered<'t>, users: &[User]) {
        for (draft, user) in gathered
            .drafts
            .iter()
            .zip(users)
            .filter(|(_, user)| user.active)
        {
            let mut roles: Vec<_> = user
                .roles
                .iter()
                .map(|assignment| assignment.role)
                .collect();
            roles.dedup();
            if roles.len() != 1 {
                let message = format!("user `{}` has {} own roles", user.id, roles.len());
                Finding::error(Code::OneRoleEach, draft.id.span(), message)
                    .help("company.yaml says `roles_per_user: one`: every active user has exactly one")
                    .report(self.sink);
            }
        }
    }

    fn user_in_tree(&self, draft: &Draft<'t>, fields: &Fields<'t>) -> User {
        let reserved = |name: &str| is_reserved(&self.vocabulary, name);
        let rules = Rules {
            stored: true,
            reserved: &reserved,
        };
        let departments = fields.words(
            "departments",
            "a list of departments",
            "the name of a department",
        );
        User {
            title: fields.title(),
            active: fields.get("active").is_none() || fields.flag("active"),
            group: fields
                .text("group", "the name of a group")
                .and_then(|word| self.group(word)),
            departments: set(self.sink, departments, |word| self.department(word)),
            roles: self.assignments(fields),
            shift: fields.get("shift").and_then(|node| self.shift_plan(node)),
            properties: rules.read(self.sink, fields.get("properties")),
            ..named(draft)
        }
    }

    fn user_in_row(&self, draft: &Draft<'t>, columns: &Columns<'t>, row: usize) -> User {
        let text = |column| columns.get(row, column);
        let shift = text(column::SHIFT).and_then(|word| self.shift(word));
        User {
            title: text(column::TITLE).map(|word| word.text.to_owned()),
            active: text(column::ACTIVE).is_none_or(|word| self.active(word)),
            group: text(column::GROUP).and_then(|word| self.group(word)),
            departments: set(self.sink, columns.items(row, column::DEPARTMENTS), |word| {
                self.department(word)
            }),
            roles: self.assignments_in(text(column::ROLES)),
            shift: shift.map(|shift| ShiftPlan { shift, next: None }),
            properties: columns.properties(row, |_| {}),
            ..named(draft)
        }
    }

    fn active(&self, word: Word<'t>) -> bool {
        super::company::choice(self.sink, word, &["true", "false"]) == Some("true")
    }
}

/// A user who has only names.
fn named(draft: &Draft<'_>) -> User {
    let mut aliases: Vec<String> = draft
        .aliases
        .iter()
        .map(|alias| alias.text.to_owned())
        .collect();
    aliases.sort_unstable();
    User {
        id: draft.id.text.to_owned(),
        title: None,
        aliases,
        active: true,
        group: None,
        departments: Vec::new(),
        roles: Vec::new(),
        shift: None,
        properties: crate::model::Properties::EMPTY,
    }
}

/// Whether no property of a user may be called so: the subject's facts, and those of the user as a resource.
fn is_reserved(vocabulary: &Vocabulary<'_>, name: &str) -> bool {
    let as_resource = || {
        let kind = vocabulary.types.get("user").map(TypeId);
        kind.is_some_and(|kind| vocabulary.is_reserved(kind, name))
    };
    USER_FACTS.contains(&name) || as_resource()
}
