//! All names of a company, and what refers to them in several places: assignments, members, shifts.

use jiff::tz::TimeZone;

use super::Code;
use super::declare::{Section, set};
use super::fields::{Fields, words};
use super::names::{Names, Sort, TextMap, unknown};
use super::resolved::{Assignment, Members, ShiftPlan};
use super::sink::{Finding, Sink, Span};
use super::time::{date, moment};
use super::vocabulary::Vocabulary;
use super::word::Word;
use super::yaml::{Node, Value};
use crate::model::{
    DepartmentId, GroupId, ObjectId, ProjectId, RoleId, ShiftId, TeamId, Timestamp, TypeId, UserId,
};

/// All names of a company.
pub(super) struct World<'t> {
    pub(super) sink: &'t Sink<'t>,
    pub(super) zone: TimeZone,
    pub(super) vocabulary: Vocabulary<'t>,
    pub(super) roles: Names<'t>,
    pub(super) departments: Names<'t>,
    pub(super) groups: Names<'t>,
    pub(super) teams: Names<'t>,
    pub(super) shifts: Names<'t>,
    pub(super) projects: Names<'t>,
    pub(super) users: Users<'t>,
    pub(super) objects: Objects<'t>,
}

/// Ids and aliases of users.
#[derive(Default)]
pub(super) struct Users<'t> {
    pub(super) known: TextMap<&'t str, u32>,
    pub(super) broken: bool,
}

/// Ids of registered objects.
#[derive(Default)]
pub(super) struct Objects<'t> {
    pub(super) known: TextMap<(u32, &'t str), u32>,
    pub(super) broken: bool,
}

/// A period as written.
struct Period<'t> {
    from: Option<Word<'t>>,
    until: Option<Word<'t>>,
}

// === impl World ===

impl<'t> World<'t> {
    /// The role of this name; reported if there is none, and so with all below.
    pub(super) fn role(&self, word: Word<'_>) -> Option<RoleId> {
        self.roles.find(self.sink, word).map(RoleId)
    }

    /// The department of this name.
    pub(super) fn department(&self, word: Word<'_>) -> Option<DepartmentId> {
        self.departments.find(self.sink, word).map(DepartmentId)
    }

    /// The group of this name.
    pub(super) fn group(&self, word: Word<'_>) -> Option<GroupId> {
        self.groups.find(self.sink, word).map(GroupId)
    }

    /// The team of this name.
    pub(super) fn team(&self, word: Word<'_>) -> Option<TeamId> {
        self.teams.find(self.sink, word).map(TeamId)
    }

    /// The shift of this name.
    pub(super) fn shift(&self, word: Word<'_>) -> Option<ShiftId> {
        self.shifts.find(self.sink, word).map(ShiftId)
    }

    /// The project of this name.
    pub(super) fn project(&self, word: Word<'_>) -> Option<ProjectId> {
        self.projects.find(self.sink, word).map(ProjectId)
    }

    /// The user of this id or alias.
    pub(super) fn user(&self, word: Word<'_>) -> Option<UserId> {
        let found = self.users.known.get(word.text).copied().map(UserId);
        if found.is_none() && !self.users.broken {
            let sort = Sort {
                noun: "user",
                unknown: Code::UnknownUser,
            };
            unknown(self.sink, sort, word, "", self.users.known.keys().copied());
        }
        found
    }

    /// The registered object of this type and id.
    pub(super) fn object(&self, kind: TypeId, word: Word<'t>) -> Option<ObjectId> {
        let found = self
            .objects
            .known
            .get(&(kind.0, word.text))
            .copied()
            .map(ObjectId);
        if found.is_none() && !self.objects.broken {
            let sort = Sort {
                noun: "object",
                unknown: Code::UnknownObject,
            };
            let same = self
                .objects
                .known
                .keys()
                .filter(|(other, _)| *other == kind.0);
            let names: Vec<&str> = if self.sink.may_guess(self.objects.known.len()) {
                same.map(|(_, id)| *id).collect()
            } else {
                Vec::new()
            };
            let name = self
                .vocabulary
                .kind(kind)
                .map_or("", |kind| kind.name.as_str());
            unknown(
                self.sink,
                sort,
                word,
                &format!(" of type `{name}`"),
                names.into_iter(),
            );
        }
        found
    }

    /// Users, by id or alias.
    pub(super) fn user_list(&self, words: impl IntoIterator<Item = Word<'t>>) -> Vec<UserId> {
        set(self.sink, words, |word| self.user(word))
    }

    /// Assignments as a list of role names and tables.
    pub(super) fn assignments(&self, fields: &Fields<'t>) -> Vec<Assignment> {
        let nodes = fields.list("roles", "a list of roles");
        self.sorted(
            nodes
                .iter()
                .filter_map(|node| self.assignment(node))
                .collect(),
        )
    }

    /// Assignments in a CSV cell: `role`, `role[p1 p2]`, `role@from/until`.
    pub(super) fn assignments_in(&self, cell: Option<Word<'t>>) -> Vec<Assignment> {
        let items = cell.into_iter().flat_map(Word::items);
        self.sorted(items.filter_map(|item| self.assignment_in(item)).collect())
    }

    fn sorted(&self, mut all: Vec<(Assignment, Word<'t>)>) -> Vec<Assignment> {
        if all.len() > 1 {
            let order = |(a, _): &(Assignment, Word<'t>), (b, _): &(Assignment, Word<'t>)| {
                let times = (a.role, a.from, a.until).cmp(&(b.role, b.from, b.until));
                times.then_with(|| a.projects.cmp(&b.projects))
            };
            all.sort_by(order);
            for pair in all.windows(2) {
                if let [first, second] = pair
                    && order(first, second).is_eq()
                {
                    super::declare::twice(
                        self.sink,
                        first.1.span(),
                        second.1.span(),
                        second.1.text,
                    );
                }
            }
        }
        // Collecting would keep the memory of the places too.
        let mut assignments = Vec::with_capacity(all.len());
        assignments.extend(all.into_iter().map(|(assignment, _)| assignment));
        assignments
    }

    fn assignment(&self, node: &'t Node<'t>) -> Option<(Assignment, Word<'t>)> {
        const KEYS: &[&str] = &["role", "from", "until", "projects"];
        let Value::Table(_) = node.value else {
            let word = node.text(self.sink, "the name of a role, or a table with `role`")?;
            return self.given(
                word,
                Period {
                    from: None,
                    until: None,
                },
                None,
            );
        };
        let fields = node.fields(self.sink, "an assignment", KEYS)?;
        let period = Period {
            from: fields.text("from", "a date or a moment"),
            until: fields.text("until", "a date or a moment"),
        };
        let projects = fields.get("projects").map(|node| {
            let items = node.some(self.sink, "a list of projects");
            words(
                self.sink,
                items.unwrap_or_default(),
                "the name of a project",
            )
        });
        let word = fields.need("role")?.text(self.sink, "the name of a role")?;
        self.given(word, period, projects)
    }

    fn assignment_in(&self, item: Word<'t>) -> Option<(Assignment, Word<'t>)> {
        let end = item.text.find(['[', '@']).unwrap_or(item.text.len());
        let (name, mut rest) = item.text.split_at_checked(end)?;
        let mut period = Period {
            from: None,
            until: None,
        };
        let mut projects = None;
        while !rest.is_empty() {
            let list = rest.strip_prefix('[').and_then(|rest| rest.split_once(']'));
            let time = rest
                .strip_prefix('@')
                .map(|rest| rest.split_at(rest.find('[').unwrap_or(rest.len())));
            let known = if let (Some((list, behind)), None) = (list, &projects) {
                projects = Some(
                    list.split(' ')
                        .filter(|name| !name.is_empty())
                        .map(|name| item.part(name))
                        .collect(),
                );
                rest = behind;
                !list.trim().is_empty()
            } else if let (Some((time, behind)), None, None) = (time, period.from, period.until) {
                rest = behind;
                let (from, until) = time.split_once('/').unwrap_or(("", ""));
                let word =
                    |text: &'t str| Some(item.part(text)).filter(|word| !word.text.is_empty());
                (period.from, period.until) = (word(from), word(until));
                !(from.is_empty() && until.is_empty())
            } else {
                false
            };
            if !known {
                Finding::error(Code::UnknownValue, item.span(), format!("`{}` is no assignment", item.text))
                    .help("write `role`, `role[project project]`, `role@2026-01-01/2026-02-01`, or `role[project]@2026-01-01/`")
                    .report(self.sink);
                return None;
            }
        }
        self.given(item.part(name), period, projects)
    }

    fn given(
        &self,
        role: Word<'t>,
        period: Period<'t>,
        projects: Option<Vec<Word<'t>>>,
    ) -> Option<(Assignment, Word<'t>)> {
        let time =
            |word: Option<Word<'t>>| word.and_then(|word| moment(self.sink, word, &self.zone));
        let (from, until) = (time(period.from), time(period.until));
        if let (Some(begin), Some(end), Some(word)) = (from, until, period.until)
            && end <= begin
        {
            empty_period(self.sink, word.span(), begin, end);
        }
        let projects = projects.map(|words| set(self.sink, words, |word| self.project(word)));
        let assignment = Assignment {
            role: self.role(role)?,
            from,
            until,
            projects,
            place: role.place(),
        };
        Some((assignment, role))
    }

    /// People in one of the four ways.
    pub(super) fn members(&self, section: Section<'t>, what: &'static str) -> Members {
        const KEYS: &[&str] = &["users", "groups", "departments", "teams"];
        let fields = section
            .node()
            .and_then(|node| node.fields(self.sink, what, KEYS));
        let Some(fields) = fields else {
            return Members::default();
        };
        let sink = self.sink;
        let words = |key, list, item| fields.words(key, list, item);
        Members {
            users: self.user_list(words("users", "a list of users", "the name of a user")),
            groups: set(
                sink,
                words("groups", "a list of groups", "the name of a group"),
                |word| self.group(word),
            ),
            departments: set(
                sink,
                words(
                    "departments",
                    "a list of departments",
                    "the name of a department",
                ),
                |word| self.department(word),
            ),
            teams: set(
                sink,
                words("teams", "a list of teams", "the name of a team"),
                |word| self.team(word),
            ),
        }
    }

    /// A shift's name, or a table that tells the next shift too.
    pub(super) fn shift_plan(&self, node: &'t Node<'t>) -> Option<ShiftPlan> {
        const KEYS: &[&str] = &["shift", "next", "next_from"];
        let name = "the name of a shift";
        let Value::Table(_) = node.value else {
            let word = node.text(
                self.sink,
                "the name of a shift, or a table with `shift`, `next` and `next_from`",
            )?;
            return self
                .shift(word)
                .map(|shift| ShiftPlan { shift, next: None });
        };
        let fields = node.fields(self.sink, "a plan of shifts", KEYS)?;
        let shift = fields
            .need("shift")
            .and_then(|node| node.text(self.sink, name))
            .and_then(|word| self.shift(word));
        let next = match (fields.entry("next"), fields.entry("next_from")) {
            (None, None) => None,
            _ => {
                let next = fields
                    .need("next")
                    .and_then(|node| node.text(self.sink, name));
                let next = next.and_then(|word| self.shift(word));
                let from = fields
                    .need("next_from")
                    .and_then(|node| node.text(self.sink, "a date"));
                next.zip(from.and_then(|word| date(self.sink, word)))
            }
        };
        Some(ShiftPlan {
            shift: shift?,
            next,
        })
    }
}

#[cold]
fn empty_period(sink: &Sink<'_>, span: Span, begin: Timestamp, end: Timestamp) {
    let message = if begin == end {
        "period ends when it begins"
    } else {
        "period ends before it begins"
    };
    Finding::error(Code::EmptyPeriod, span, message)
        .help("`from` is inclusive, `until` exclusive")
        .report(sink);
}
