//! From what the files say to a policy in which every name is resolved.

use jiff::tz::TimeZone;

use super::company::{Structure, choice};
use super::declare::{Section, set};
use super::fields::{Fields, words};
use super::projects::Projects;
use super::resolved::{Policy, User};
use super::sink::{Finding, Sink};
use super::time::zone;
use super::users::Rows;
use super::vocabulary::Vocabulary;
use super::word::Word;
use super::world::World;
use super::yaml::Node;
use super::{Code, objects, roles, users};
use crate::model::RoleId;

/// The subject type that means a user, unless the company says others.
const SUBJECT_TYPE: &str = "user";
const TIME_ZONE: &str = "UTC";

/// What the files of a company say, each under its key.
pub(super) struct Documents<'t> {
    /// The company's name.
    pub(super) company: String,
    /// company.yaml.
    pub(super) root: Option<Fields<'t>>,
    /// Whether what the root would name is known.
    pub(super) root_known: bool,
    /// The pack's catalogue.yaml.
    pub(super) catalogue: Option<&'t Node<'t>>,
    /// The pack's roles.
    pub(super) templates: Section<'t>,
    /// The company's own roles.
    pub(super) roles: Section<'t>,
    pub(super) users: Rows<'t>,
    pub(super) objects: Rows<'t>,
    pub(super) projects: Section<'t>,
    pub(super) routes: Section<'t>,
    pub(super) tests: Section<'t>,
    /// Whether somebody must have each required role.
    pub(super) needs_holders: bool,
}

// === impl Documents ===

impl<'t> Documents<'t> {
    /// Resolves every name; what is wrong is reported, and the policy then good for nothing.
    pub(super) fn policy(&self, sink: &'t Sink<'t>) -> Policy {
        let vocabulary = Vocabulary::read(sink, self.catalogue);
        let roles = roles::gather(sink, self.templates, self.roles);
        let structure = Structure::gather(sink, self.root, self.root_known);
        let gather_users = || users::Gathered::gather(sink, &self.users, &vocabulary);
        let gather_objects = || objects::Gathered::gather(sink, &self.objects, &vocabulary);
        let ((drafts, users), (things, objects)) = sink
            .both(gather_users, gather_objects)
            .unwrap_or_else(|| (gather_users(), gather_objects()));
        let projects = Projects::gather(sink, self.projects);
        let subject_types = self.subject_types(sink);
        let world = World {
            sink,
            zone: self.time_zone(sink),
            vocabulary,
            roles: roles.names,
            departments: structure.departments.names,
            groups: structure.groups.names,
            teams: structure.teams.names,
            shifts: structure.shifts.names,
            projects: projects.names,
            users,
            objects,
        };
        let read_users = || world.read_users(&drafts);
        let read_objects = || world.read_objects(&things);
        let read_projects = || world.read_projects(&projects.items);
        let (mut all_users, mut all_objects, mut all_projects) = (None, None, None);
        if let Some((users, (objects, projects))) =
            sink.both(read_users, || (read_objects(), read_projects()))
        {
            all_users = Some(users);
            all_objects = Some(objects);
            all_projects = Some(projects);
        }
        let all_users = all_users.unwrap_or_else(read_users);
        if self.needs_holders && !world.users.broken {
            self.holders(sink, &roles::required(&roles.items), &all_users);
        }
        let one_role_each = self.word(sink, "roles_per_user", &["many", "one"]) == Some("one");
        if one_role_each {
            world.one_role_each(&drafts, &all_users);
        }
        let tests_as = subject_types
            .iter()
            .find(|kind| *kind == SUBJECT_TYPE)
            .or(subject_types.first());
        let tests = world.read_tests(self.tests, tests_as.map_or(SUBJECT_TYPE, String::as_str));
        Policy {
            company: self.company.clone(),
            title: self.root.and_then(|fields| fields.title()),
            enhanced: self.word(sink, "security", &["simple", "enhanced"]) == Some("enhanced"),
            one_role_each,
            subject_types,
            time_zone: world.zone.iana_name().unwrap_or(TIME_ZONE).to_owned(),
            roles: world.read_roles(&roles.items),
            departments: world.read_departments(&structure.departments.items),
            groups: world.read_groups(&structure.groups.items),
            teams: world.read_teams(&structure.teams.items),
            shifts: world.read_shifts(&structure.shifts.items),
            users: all_users,
            objects: all_objects.unwrap_or_else(read_objects),
            projects: all_projects.unwrap_or_else(read_projects),
            routes: world.read_routes(self.routes),
            tests,
            catalogue: world.vocabulary.catalogue,
            files: sink.paths(),
        }
    }

    /// One of a few words under a key of company.yaml, if it is there.
    fn word(&self, sink: &Sink<'_>, key: &str, choices: &[&'static str]) -> Option<&'static str> {
        let word = self.root?.text(key, "a word")?;
        choice(sink, word, choices)
    }

    fn subject_types(&self, sink: &Sink<'_>) -> Vec<String> {
        let Some(node) = self.root.and_then(|fields| fields.get("subject_types")) else {
            return vec![SUBJECT_TYPE.to_owned()];
        };
        let items = node
            .some(sink, "a list of subject types")
            .unwrap_or_default();
        let words = words(sink, items, "a subject type");
        let types = set(sink, words, |word| {
            word.id(sink, "a subject type").map(|word| word.text)
        });
        types.into_iter().map(str::to_owned).collect()
    }

    fn time_zone(&self, sink: &Sink<'_>) -> TimeZone {
        let written = self
            .root
            .and_then(|fields| fields.text("time_zone", "the name of a time zone"));
        let written = written.unwrap_or(Word::new(TIME_ZONE, super::sink::Span::default()));
        zone(sink, written).unwrap_or(TimeZone::UTC)
    }

    /// Each required role must be some active user's own, for good.
    fn holders(&self, sink: &Sink<'_>, required: &[(RoleId, Word<'t>)], users: &[User]) {
        for (role, name) in required {
            let holds = |user: &User| {
                let for_good = |assignment: &super::Assignment| {
                    assignment.role == *role
                        && assignment.from.is_none()
                        && assignment.until.is_none()
                        && assignment.projects.is_none()
                };
                user.active && user.roles.iter().any(for_good)
            };
            if !users.iter().any(holds) {
                let span = self.root.map_or(name.span(), |fields| fields.head());
                Finding::error(
                    Code::NoHolder,
                    span,
                    format!("no active user has the role `{}` for good", name.text),
                )
                .also(name.span(), "the role is required")
                .help("give it to a user as an own role, without `from`, `until` and `projects`")
                .report(sink);
            }
        }
    }
}
