//! company.yaml: the company, its departments, groups, teams and shifts.

use super::Code;
use super::chains::Chains;
use super::declare::{Declared, Section, set};
use super::fields::Fields;
use super::names::{Sort, meant};
use super::resolved::{Department, Group, Shift, Team, Turn};
use super::sink::{Finding, Sink, Span};
use super::time::{date, minutes};
use super::word::Word;
use super::world::World;
use super::yaml::Node;
use crate::model::DepartmentId;

/// Names that stand for something else in the service's paths.
const RESERVED: [&str; 3] = ["access", "v1", "proxy"];
const LABEL_MAX: usize = 63;
pub(super) const COMPANY: &[&str] = &[
    "company",
    "title",
    "description",
    "pack",
    "security",
    "roles_per_user",
    "subject_types",
    "time_zone",
    "departments",
    "groups",
    "teams",
    "shifts",
];
const DEPARTMENT: &[&str] = &[
    "department",
    "title",
    "description",
    "parent",
    "leaders",
    "roles",
];
const GROUP: &[&str] = &[
    "group",
    "title",
    "description",
    "color",
    "roles",
    "leaders",
    "shift",
];
const TEAM: &[&str] = &["team", "title", "description", "users", "roles"];
const SHIFT: &[&str] = &["shift", "title", "description", "weekly", "off"];
const TURN: &[&str] = &["days", "from", "to"];
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Departments, groups, teams and shifts with their names.
pub(super) struct Structure<'t> {
    pub(super) departments: Declared<'t, Fields<'t>>,
    pub(super) groups: Declared<'t, Fields<'t>>,
    pub(super) teams: Declared<'t, Fields<'t>>,
    pub(super) shifts: Declared<'t, Fields<'t>>,
}

// === impl Structure ===

impl<'t> Structure<'t> {
    /// Gathers what a company consists of; `known` is false if its file cannot be read.
    pub(super) fn gather(sink: &'t Sink<'t>, company: Option<Fields<'t>>, known: bool) -> Self {
        let section = |key| match company.and_then(|fields| fields.get(key)) {
            Some(node) => Section::Is(node),
            None if known && company.is_none_or(|fields| fields.known) => Section::Absent,
            None => Section::Broken,
        };
        Self {
            departments: Declared::gather(
                sink,
                Sort::DEPARTMENT,
                section("departments"),
                "a department",
                DEPARTMENT,
            ),
            groups: Declared::gather(sink, Sort::GROUP, section("groups"), "a group", GROUP),
            teams: Declared::gather(sink, Sort::TEAM, section("teams"), "a team", TEAM),
            shifts: Declared::gather(sink, Sort::SHIFT, section("shifts"), "a shift", SHIFT),
        }
    }
}

/// The company's name; `folder` is the name of its folder, where it has one.
pub(super) fn check_name(
    sink: &Sink<'_>,
    company: Option<&Fields<'_>>,
    folder: Option<&str>,
) -> String {
    let written = match folder {
        Some(_) => company.and_then(|fields| fields.need("company")),
        None => company.and_then(|fields| fields.get("company")),
    };
    let Some(word) = written.and_then(|node| node.text(sink, "the company's name")) else {
        return folder.unwrap_or("test").to_owned();
    };
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let label = !word.text.is_empty()
        && word.text.len() <= LABEL_MAX
        && word.text.bytes().all(letter)
        && !word.text.starts_with('-')
        && !word.text.ends_with('-');
    let (code, message, help) = if !label {
        let help = format!(
            "a company's name is a DNS label: 1 to {LABEL_MAX} of a to z, digits and inner hyphens"
        );
        (
            Code::BadName,
            format!("`{}` cannot be a company's name", word.text),
            help,
        )
    } else if RESERVED.contains(&word.text) {
        let help = "it stands for something else in the service's paths".to_owned();
        (
            Code::ReservedName,
            format!("no company may be called `{}`", word.text),
            help,
        )
    } else if folder.is_some_and(|folder| folder != word.text) {
        let folder = folder.unwrap_or_default();
        let help = format!("write `company: {folder}`, or rename the folder");
        (
            Code::NameMismatch,
            format!("company `{}` stands in the folder `{folder}`", word.text),
            help,
        )
    } else {
        return word.text.to_owned();
    };
    Finding::error(code, word.span(), message)
        .help(help)
        .report(sink);
    word.text.to_owned()
}

/// One of the words that may stand here.
pub(super) fn choice<'c>(sink: &Sink<'_>, word: Word<'_>, choices: &[&'c str]) -> Option<&'c str> {
    let found = choices.iter().find(|choice| **choice == word.text);
    if found.is_none() {
        let help = meant(sink, word.text, choices.iter().copied()).unwrap_or_else(|| {
            let all: Vec<String> = choices.iter().map(|choice| format!("`{choice}`")).collect();
            format!("it may be {}", all.join(", "))
        });
        Finding::error(
            Code::UnknownValue,
            word.span(),
            format!("unknown value `{}`", word.text),
        )
        .help(help)
        .report(sink);
    }
    found.copied()
}

impl<'t> World<'t> {
    /// Departments in order.
    pub(super) fn read_departments(&self, items: &[(Word<'t>, Fields<'t>)]) -> Vec<Department> {
        let read = |(name, fields): &(Word<'t>, Fields<'t>)| Department {
            name: name.text.to_owned(),
            title: fields.title(),
            parent: fields
                .text("parent", "the name of a department")
                .and_then(|word| self.department(word)),
            leaders: self.leaders(fields),
            roles: self.assignments(fields),
        };
        let all: Vec<Department> = items.iter().map(read).collect();
        let span = |at: usize| {
            let parent = items.get(at).and_then(|(_, fields)| fields.get("parent"));
            parent.map_or(Span::default(), |node| node.span)
        };
        Chains {
            count: all.len(),
            next: &|at, nth| {
                all.get(at)?
                    .parent
                    .filter(|_| nth == 0)
                    .map(DepartmentId::index)
            },
            name: &|at| all.get(at).map_or(String::new(), |one| one.name.clone()),
            span: &span,
            verb: "lies below",
        }
        .check(self.sink);
        all
    }

    /// Groups in order.
    pub(super) fn read_groups(&self, items: &[(Word<'t>, Fields<'t>)]) -> Vec<Group> {
        let read = |(name, fields): &(Word<'t>, Fields<'t>)| {
            if let Some(color) = fields.text("color", "a colour") {
                self.color(color);
            }
            Group {
                name: name.text.to_owned(),
                title: fields.title(),
                leaders: self.leaders(fields),
                roles: self.assignments(fields),
                shift: fields.get("shift").and_then(|node| self.shift_plan(node)),
            }
        };
        items.iter().map(read).collect()
    }

    /// Teams in order.
    pub(super) fn read_teams(&self, items: &[(Word<'t>, Fields<'t>)]) -> Vec<Team> {
        let read = |(name, fields): &(Word<'t>, Fields<'t>)| Team {
            name: name.text.to_owned(),
            title: fields.title(),
            users: self.user_list(fields.words("users", "a list of users", "the name of a user")),
            roles: self.assignments(fields),
        };
        items.iter().map(read).collect()
    }

    /// Shifts in order.
    pub(super) fn read_shifts(&self, items: &[(Word<'t>, Fields<'t>)]) -> Vec<Shift> {
        let read = |(name, fields): &(Word<'t>, Fields<'t>)| Shift {
            name: name.text.to_owned(),
            title: fields.title(),
            weekly: self.weekly(fields),
            off: set(
                self.sink,
                fields.words("off", "a list of dates", "a date"),
                |word| date(self.sink, word),
            ),
        };
        items.iter().map(read).collect()
    }

    fn leaders(&self, fields: &Fields<'t>) -> Vec<crate::model::UserId> {
        self.user_list(fields.words("leaders", "a list of users", "the name of a user"))
    }

    fn color(&self, word: Word<'t>) {
        let digits = word.text.strip_prefix('#').unwrap_or_default();
        if digits.len() != 6 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            Finding::error(
                Code::UnknownValue,
                word.span(),
                format!("`{}` is no colour", word.text),
            )
            .help("write red, green and blue as in `\"#224488\"`")
            .report(self.sink);
        }
    }

    fn weekly(&self, fields: &Fields<'t>) -> Vec<Turn> {
        let items = fields
            .need("weekly")
            .and_then(|node| node.some(self.sink, "a list of turns"));
        let read = |node: &'t Node<'t>| Some((self.turn(node)?, node));
        let mut turns: Vec<(Turn, &Node<'t>)> =
            items.unwrap_or_default().iter().filter_map(read).collect();
        turns.sort_by(|(a, _), (b, _)| a.cmp(b));
        for pair in turns.windows(2) {
            if let [(a, first), (b, second)] = pair
                && a == b
            {
                Finding::error(
                    Code::DuplicateItem,
                    second.span,
                    "turn stands twice in one shift",
                )
                .also(first.span, "it stands here already")
                .report(self.sink);
            }
        }
        turns.into_iter().map(|(turn, _)| turn).collect()
    }

    fn turn(&self, node: &'t Node<'t>) -> Option<Turn> {
        let fields = node.fields(self.sink, "a turn", TURN)?;
        let days = fields
            .need("days")
            .and_then(|node| node.some(self.sink, "a list of days"));
        let days = super::fields::words(self.sink, days.unwrap_or_default(), "a day");
        let days = set(self.sink, days, |word| {
            let day = choice(self.sink, word, &DAYS)?;
            DAYS.iter().position(|other| *other == day)
        });
        let time = |key, end| {
            let word = fields
                .need(key)?
                .text(self.sink, "a time of the day such as `\"22:00\"`")?;
            minutes(self.sink, word, end)
        };
        let (from, to) = (time("from", false), time("to", true));
        let days = days.into_iter().fold(0, |bits, day| bits | 1 << day);
        Some(Turn {
            days,
            from: from?,
            to: to?,
        })
    }
}
