//! Policy → tables.
//!
//! Everything is numbered in the order of the policy's lists, which are sorted, or in the order in
//! which it is first met while they are walked: the tables are a function of the policy alone.

#![expect(
    clippy::indexing_slicing,
    reason = "INVARIANT: the numbers in a resolved policy index its own lists"
)]

mod belonging;
mod catalogue;
mod conditions;
mod holdings;
mod lookup;
mod objects;
mod origins;
mod people;
mod roles;
mod routes;
mod shifts;
mod texts;
mod values;

use std::sync::Arc;

use super::lists::Lists;
use super::names::{self, Kind};
use super::tables::{DepartmentRow, ExpectationRow, MetaRow, NONE, NamedRow, Tables};
use super::{CompileError, Snapshot};
use crate::model::Decision;
use crate::policy::{Policy, Test};
use holdings::Implicit;

/// Tables in the making.
struct Builder<'p> {
    policy: &'p Policy,
    texts: texts::Texts<'p>,
    lists: Lists,
    conditions: conditions::Conditions<'p>,
    gathered: origins::Gathered,
    tables: Tables,
}

/// Numbers are 32 bits, and one of them means "none".
const ROWS_MAX: usize = u32::MAX as usize - 1;
/// Cells of a table of roles.
const CELLS_MAX: usize = 1 << 32;

impl Snapshot {
    /// Compiles a policy into decision tables.
    ///
    /// # Errors
    /// More of something than the tables can number.
    pub fn compile(policy: &Policy) -> Result<Self, CompileError> {
        let mut builder = Builder {
            policy,
            texts: texts::Texts::default(),
            lists: Lists::new(),
            conditions: conditions::Conditions::default(),
            gathered: origins::Gathered::new(),
            tables: Tables::default(),
        };
        let permissions = builder.catalogue();
        builder.places();
        let roles = builder.roles(&permissions);
        let implicit = builder.users_and_objects(&roles, permissions.lifts_wall)?;
        builder.shifts();
        builder.expectations();
        builder.routes(&permissions);
        builder.meta(&permissions, implicit);
        let origins = builder.origins(&permissions);
        let (heap, tables) = builder.finish()?;
        Self::new(heap, tables, origins).ok_or(CompileError {
            what: "companies",
            actual: 0,
            limit: 1,
        })
    }
}

// === impl Builder ===

impl<'p> Builder<'p> {
    fn intern(&mut self, text: &'p str) -> u32 {
        self.texts.intern(text)
    }

    /// Enters a name into the table of names.
    fn name(&mut self, kind: Kind, text: &'p str, value: u32) -> u32 {
        self.texts.name(kind, text, value)
    }

    fn text_list(&mut self, texts: &'p [String]) -> u32 {
        let ids: Vec<u32> = texts.iter().map(|text| self.intern(text)).collect();
        self.lists.intern(&ids)
    }

    /// Users, objects and the table of names, which are nearly all of a snapshot: on two threads,
    /// one for what is words and one for what is numbers. Each makes its tables in its own order,
    /// whoever is first.
    fn users_and_objects(
        &mut self,
        roles: &roles::Roles,
        lifts_wall: Option<u32>,
    ) -> Result<Implicit, CompileError> {
        let Self {
            policy,
            texts,
            lists,
            gathered,
            tables,
            ..
        } = self;
        let policy: &'p Policy = policy;
        let (said, mut names, mut objects, mut people) = std::thread::scope(|scope| {
            let words = scope.spawn(move || {
                let said = texts.say(policy);
                // Now every name is known.
                (said, names::table(&std::mem::take(&mut texts.names)))
            });
            let objects = objects::Objects::new(policy, lists);
            let people = people::People::new(policy, roles, lists, gathered);
            let words = words.join();
            let (said, names) = words.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            (said, names, objects, people)
        });
        said.enter(&mut people.rows, &mut objects.rows);
        people.enter_limited_bits(lists, tables);
        names::enter_projects(&mut names, |object| {
            let row = objects.rows.get(object as usize);
            row.map_or(&[], |row| lists.get(row.projects))
        });
        tables.names = names.into();
        tables.objects = objects.rows.into();
        tables.members = objects.members.into();
        people.holdings.finish(lists, tables)?;
        if let Some(lifts) = lifts_wall {
            people::enter_lifts(&mut people.rows, lifts, tables);
        }
        tables.users = people.rows.into();
        Ok(people.implicit)
    }

    /// Groups, projects and departments.
    fn places(&mut self) {
        let policy = self.policy;
        let departments = policy.departments.iter().zip(0..);
        self.tables.departments = departments
            .map(|(department, id)| DepartmentRow {
                name: self.name(Kind::DEPARTMENT, &department.name, id),
                parent: department.parent.map_or(NONE, |parent| parent.0),
            })
            .collect();
        let groups = policy.groups.iter().zip(0..);
        self.tables.groups = groups
            .map(|(group, id)| NamedRow {
                name: self.name(Kind::GROUP, &group.name, id),
            })
            .collect();
        let projects = policy.projects.iter().zip(0..);
        self.tables.projects = projects
            .map(|(project, id)| NamedRow {
                name: self.name(Kind::PROJECT, &project.name, id),
            })
            .collect();
    }

    /// The company's tests, by name, since their order decides nothing.
    fn expectations(&mut self) {
        let mut tests: Vec<&'p Test> = self.policy.tests.iter().collect();
        tests.sort_by(|a, b| a.name.cmp(&b.name));
        let rows: Vec<ExpectationRow> = tests
            .into_iter()
            .map(|test| self.expectation(test))
            .collect();
        self.tables.expectations = rows.into();
    }

    fn expectation(&mut self, test: &'p Test) -> ExpectationRow {
        ExpectationRow {
            at: test.at.map_or(0, |at| at.0),
            timed: u32::from(test.at.is_some()),
            name: self.intern(&test.name),
            subject_type: self.intern(&test.subject_type),
            subject: self.intern(&test.subject),
            subject_properties: self.texts.properties(&test.subject_properties),
            action: self.intern(&test.action),
            action_properties: self.texts.properties(&test.action_properties),
            resource_type: self.intern(&test.resource_type),
            resource: self.intern(&test.resource),
            resource_properties: self.texts.properties(&test.resource_properties),
            context: self.texts.properties(&test.context),
            section: u32::from(test.section),
            test_role: test
                .test_role
                .as_deref()
                .map_or(NONE, |role| self.intern(role)),
            expect: u32::from(test.expect == Decision::Allow),
            reason: test
                .reason
                .as_deref()
                .map_or(NONE, |reason| self.intern(reason)),
            reserved: 0,
        }
    }

    fn meta(&mut self, permissions: &catalogue::Permissions, implicit: Implicit) {
        let policy = self.policy;
        let subject_types = self.text_list(&policy.subject_types);
        let company = self.intern(&policy.company);
        self.tables.meta = Arc::new([MetaRow {
            company,
            subject_types,
            enhanced: u32::from(policy.enhanced),
            permissions: permissions.count() as u32,
            lifts_wall: permissions.lifts_wall.unwrap_or(NONE),
            tests_roles: permissions.tests_roles.unwrap_or(NONE),
            implicit_set: implicit.role_set,
            implicit_limited: implicit.limited,
        }]);
    }

    fn finish(mut self) -> Result<(Arc<str>, Tables), CompileError> {
        self.texts.values.finish(&mut self.tables);
        self.conditions.finish(&mut self.tables);
        self.tables.lists = self.lists.finish();
        let mut large = Ok(());
        self.tables.for_each(|_, name, row_bytes, bytes| {
            let rows = bytes.len() / row_bytes;
            let limit = if row_bytes == 1 { CELLS_MAX } else { ROWS_MAX };
            if rows > limit {
                large = Err(CompileError {
                    what: name,
                    actual: rows,
                    limit,
                });
            }
        });
        large?;
        Ok((self.texts.strings.finish()?, self.tables))
    }
}
