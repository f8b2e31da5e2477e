//! Where a path of a condition leads in a row, and tests of what lies there.

use super::atom::Atom;
use super::formula::{Formula, all, any};
use super::partial::Partial;
use super::row::Row;
use super::set::{Set, Singles};
use super::tree::{Constant, Field, Leaf, Operand, Term, Test};

/// Where a path leads in a row.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Place<'a> {
    Nowhere,
    Owner,
    Group,
    Departments,
    Projects,
    /// To what the row itself says.
    Field(Field<'a>),
}

// === impl Partial ===

impl<'a> Partial<'_, 'a> {
    /// Whether a single value lies there, one of these.
    pub(super) fn among(&self, place: &Place<'a>, singles: &Singles<'a>) -> Formula<'a> {
        match place {
            Place::Nowhere | Place::Departments | Place::Projects => Formula::Never,
            Place::Owner => self.row.owner(singles),
            Place::Group => self.row.group(singles),
            Place::Field(field) => Formula::single(field.clone(), singles.clone()),
        }
    }

    /// `test` of the field in which the single value that lies there stands, if one does.
    pub(super) fn each(
        &self,
        place: &Place<'a>,
        test: impl Fn(Field<'a>) -> Formula<'a>,
    ) -> Formula<'a> {
        match place {
            Place::Nowhere | Place::Departments | Place::Projects => Formula::Never,
            Place::Owner => all([self.row.owner(&Singles::ALL), test(Field::Owner)]),
            Place::Group => {
                let known = self.row.known_groups(&Singles::ALL);
                any([
                    all([Formula::single(Field::Group, known), test(Field::Group)]),
                    all([
                        Formula::set(Field::Group, Set::ABSENT),
                        test(Field::OwnerGroup),
                    ]),
                ])
            }
            Place::Field(field) => test(field.clone()),
        }
    }

    /// `test` against these, and against what stands in the places.
    pub(super) fn with_terms(
        &self,
        terms: &[Term<'a>],
        places: &[Place<'a>],
        test: impl Fn(Vec<Term<'a>>) -> Formula<'a> + Copy,
    ) -> Formula<'a> {
        match places {
            [] => {
                let mut terms = terms.to_vec();
                terms.sort();
                terms.dedup();
                test(terms)
            }
            [place, rest @ ..] => self.each(place, |field| {
                let mut terms = terms.to_vec();
                terms.push(Term::Field(field));
                // Boxed: the closures of the levels would be types without end.
                let test: &dyn Fn(Vec<Term<'a>>) -> Formula<'a> = &test;
                self.with_terms(&terms, rest, test)
            }),
        }
    }

    /// Whether the list that lies there holds the value.
    pub(super) fn holds(&self, list: &Place<'a>, value: Constant<'a>, wanted: bool) -> Formula<'a> {
        let named = |names: &[Constant<'a>]| {
            let found = names.iter().zip(0..).find(|(name, _)| **name == value);
            found.map(|(_, id)| id)
        };
        match list {
            Place::Nowhere | Place::Owner | Place::Group => Formula::Never,
            Place::Departments => match named(&self.names(list)) {
                Some(id) => self.row.in_departments(&[id], wanted),
                None => (!wanted).into(),
            },
            Place::Projects => match named(&self.names(list)) {
                Some(id) => self.row.in_projects(&[id], wanted),
                None => (!wanted).into(),
            },
            Place::Field(field) => {
                self.looks_into(field, Operand::One(Term::Constant(value)), wanted)
            }
        }
    }

    pub(super) fn looks_into(
        &self,
        field: &Field<'a>,
        value: Operand<'a>,
        wanted: bool,
    ) -> Formula<'a> {
        match field {
            Field::Property(_) => Formula::Holds(Atom {
                leaf: Leaf {
                    field: field.clone(),
                    test: Test::Contains,
                    value,
                },
                negated: !wanted,
            }),
            _ => Formula::Never,
        }
    }

    /// The names of all departments or projects.
    pub(super) fn names(&self, list: &Place<'a>) -> Vec<Constant<'a>> {
        let Row { snapshot, .. } = *self.row;
        match list {
            Place::Departments => (0..snapshot.tables.departments.len() as u32)
                .filter_map(|id| self.row.department_name(id))
                .collect(),
            Place::Projects => (0..snapshot.tables.projects.len() as u32)
                .filter_map(|id| self.row.project_name(id))
                .collect(),
            _ => Vec::new(),
        }
    }
}
