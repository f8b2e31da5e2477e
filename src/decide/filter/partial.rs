//! Conditions as far as they can be decided without a row; the rest as formulas over its fields.
//!
//! A test is true, false or unknown. A grant asks for what is true and a deny for what is not false,
//! so two formulas are made of each test: when it is true, and when it is false.

use std::borrow::Cow;

use super::super::condition::{Found, Scene, Sight, Truth, told_network};
use super::super::resource::names_a_fact;
use super::super::value::View;
use super::super::watch::Silent;
use super::formula::{Formula, all, any};
use super::place::Place;
use super::row::Row;
use super::set::{Set, Singles};
use super::tree::{Constant, Field, Number, Operand, Term, Test};
use crate::model::Query;
use crate::snapshot::tables::{
    FACT_DEPARTMENTS, FACT_GROUP, FACT_ID, FACT_NONE, FACT_OWNER, FACT_PROJECTS, NetworkRow,
    OPERAND_NETWORK, OPERAND_PATH, OPERAND_WHOLE_PATH, OperandRow, ROOT_RESOURCE, TEST_AT_LEAST,
    TEST_AT_MOST, TEST_CONTAINS, TEST_IN, TEST_IN_NETWORK, TEST_IS, TEST_NOT, TEST_NOT_IN,
    TEST_NOT_IN_NETWORK, TEST_PRESENT, TestRow, UserRow,
};

/// What conditions look at, where the resource is a row.
#[derive(Clone, Copy)]
pub(super) struct Partial<'r, 'a> {
    pub(super) row: &'r Row<'a>,
    scene: Scene<'a, Silent>,
}

/// What lies at a path.
#[derive(Clone)]
enum Side<'a> {
    /// What the question or the tables say.
    Known(Option<Found<'a>>),
    /// What a row says.
    Row(Place<'a>),
}

/// What one test, in its positive form, asks.
#[derive(Clone, Copy)]
enum Asks {
    Equal,
    OneOf,
    AtLeast,
    AtMost,
    InNetwork,
    Contains,
    Present,
}

// === impl Partial ===

impl<'r, 'a> Partial<'r, 'a> {
    pub(super) fn new(row: &'r Row<'a>, query: &'a Query<'a>, user: &'a UserRow) -> Self {
        let scene = Scene {
            snapshot: row.snapshot,
            query,
            user,
            resource: Sight::None,
            watch: Silent,
        };
        Self { row, scene }
    }

    /// When a condition is true, or, where that is not `wanted`, when it is false.
    pub(super) fn condition(&self, condition: u32, wanted: bool) -> Formula<'a> {
        let tables = &self.row.snapshot.tables;
        let Some(row) = tables.conditions.get(condition as usize) else {
            return Formula::Never;
        };
        let tests = row.tests.of(&tables.tests).iter();
        let tests = tests.map(|test| self.test(test, wanted));
        if wanted { all(tests) } else { any(tests) }
    }

    fn test(&self, test: &TestRow, wanted: bool) -> Formula<'a> {
        if test.resource == 0 {
            return (self.scene.test(test) == Truth::from(wanted)).into();
        }
        let operands = test.operands.of(&self.row.snapshot.tables.operands);
        let left = self.side(test.path);
        let Some(first) = operands.first() else {
            return Formula::Never;
        };
        let (asks, positive) = match test.operator {
            TEST_IS => (Asks::Equal, true),
            TEST_NOT => (Asks::Equal, false),
            TEST_IN => (Asks::OneOf, true),
            TEST_NOT_IN => (Asks::OneOf, false),
            TEST_AT_LEAST => (Asks::AtLeast, true),
            TEST_AT_MOST => (Asks::AtMost, true),
            TEST_IN_NETWORK => (Asks::InNetwork, true),
            TEST_NOT_IN_NETWORK => (Asks::InNetwork, false),
            TEST_CONTAINS => (Asks::Contains, true),
            TEST_PRESENT => (Asks::Present, first.a != 0),
            _ => return Formula::Never,
        };
        let wanted = wanted == positive;
        match asks {
            Asks::Equal => self.equal(left, self.operand(first), wanted),
            Asks::OneOf => self.one_of(left, operands, wanted),
            Asks::AtLeast => self.reaches(left, self.operand(first), wanted),
            // What is at most so much is that which this is at least.
            Asks::AtMost => self.reaches(self.operand(first), left, wanted),
            Asks::InNetwork => self.in_network(left, operands, wanted),
            Asks::Contains => self.contains(left, self.operand(first), wanted),
            Asks::Present => self.present(left, wanted),
        }
    }

    fn side(&self, path: u32) -> Side<'a> {
        let snapshot = self.row.snapshot;
        let Some(row) = snapshot.tables.paths.get(path as usize) else {
            return Side::Known(None);
        };
        if row.root != ROOT_RESOURCE {
            return Side::Known(self.scene.at(path));
        }
        Side::Row(match row.fact {
            FACT_ID => Place::Field(Field::Id),
            FACT_OWNER => Place::Owner,
            FACT_GROUP => Place::Group,
            FACT_DEPARTMENTS => Place::Departments,
            FACT_PROJECTS => Place::Projects,
            FACT_NONE => self.property(snapshot.list(row.segments)),
            _ => Place::Nowhere,
        })
    }

    fn property(&self, segments: &[u32]) -> Place<'a> {
        let Row { snapshot, kind, .. } = *self.row;
        let text = |&id: &u32| snapshot.text(id);
        let parent_name = |&id: &u32| snapshot.kind(id).map(|kind| snapshot.text(kind.name));
        let mut parents = snapshot.list(kind.parents).iter().filter_map(parent_name);
        match segments {
            [] => Place::Nowhere,
            [first, ..] if names_a_fact(snapshot, kind, text(first)) => Place::Nowhere,
            [first, rest @ ..] => match parents.find(|name| *name == text(first)) {
                Some(parent) if rest.is_empty() => Place::Field(Field::Parent(parent)),
                Some(_) => Place::Nowhere,
                None if rest.is_empty() => {
                    Place::Field(Field::Property(Cow::Borrowed(text(first))))
                }
                None => {
                    let names: Vec<&str> = segments.iter().map(text).collect();
                    Place::Field(Field::Property(Cow::Owned(names.join("."))))
                }
            },
        }
    }

    fn operand(&self, operand: &OperandRow) -> Side<'a> {
        match operand.tag {
            OPERAND_PATH => self.side(operand.a),
            _ => Side::Known(self.scene.operand(operand).map(Found::Value)),
        }
    }

    fn equal(&self, left: Side<'a>, right: Side<'a>, wanted: bool) -> Formula<'a> {
        match (left, right) {
            (Side::Row(place), Side::Known(value)) | (Side::Known(value), Side::Row(place)) => {
                let value = value.and_then(constant);
                value.map_or(Formula::Never, |value| {
                    self.among(&place, &Singles::of([value], wanted))
                })
            }
            (Side::Row(place), Side::Row(other)) => {
                let test = if wanted { Test::Is } else { Test::Not };
                self.each(&place, |field| {
                    self.each(&other, |other| {
                        let value = Operand::One(Term::Field(other));
                        Formula::test(field.clone(), test, value)
                    })
                })
            }
            (Side::Known(_), Side::Known(_)) => Formula::Never,
        }
    }

    fn one_of(&self, left: Side<'a>, operands: &[OperandRow], wanted: bool) -> Formula<'a> {
        if let [
            OperandRow {
                tag: OPERAND_WHOLE_PATH,
                a: path,
                ..
            },
        ] = *operands
        {
            return self.contains(self.side(path), left, wanted);
        }
        let (mut values, mut places) = (Vec::new(), Vec::new());
        for operand in operands {
            match self.operand(operand) {
                Side::Row(place) => places.push(place),
                Side::Known(value) => match value.and_then(constant) {
                    Some(value) => values.push(value),
                    None => return Formula::Never,
                },
            }
        }
        match left {
            Side::Row(place) if places.is_empty() => {
                self.among(&place, &Singles::of(values, wanted))
            }
            Side::Row(place) => {
                let test = if wanted { Test::In } else { Test::NotIn };
                let terms: Vec<_> = values.into_iter().map(Term::Constant).collect();
                self.each(&place, |field| {
                    self.with_terms(&terms, &places, |terms| {
                        Formula::test(field.clone(), test, Operand::Many(terms))
                    })
                })
            }
            Side::Known(value) => {
                let Some(value) = value.and_then(constant) else {
                    return Formula::Never;
                };
                let told = values.contains(&value);
                let value = |wanted| Singles::of([value.clone()], wanted);
                let single = places.iter().map(|place| self.among(place, &Singles::ALL));
                let equal = places.iter().map(|place| self.among(place, &value(true)));
                match (wanted, told) {
                    (true, true) => all(single),
                    (true, false) => all(single.chain([any(equal)])),
                    (false, true) => Formula::Never,
                    (false, false) => {
                        all(places.iter().map(|place| self.among(place, &value(false))))
                    }
                }
            }
        }
    }

    /// Whether the left number is at least the right one.
    fn reaches(&self, left: Side<'a>, right: Side<'a>, wanted: bool) -> Formula<'a> {
        let test = |field: &Field<'a>, at: Test, value: Term<'a>| {
            let other = Formula::test(field.clone(), Test::Not, Operand::One(value.clone()));
            let other = match &value {
                Term::Constant(value) => {
                    Formula::single(field.clone(), Singles::of([value.clone()], false))
                }
                Term::Field(_) => other,
            };
            let contrary = match at {
                Test::AtLeast => Test::AtMost,
                _ => Test::AtLeast,
            };
            if wanted {
                Formula::test(field.clone(), at, Operand::One(value))
            } else {
                let contrary = Formula::test(field.clone(), contrary, Operand::One(value));
                all([contrary, other])
            }
        };
        let number = |value: Option<Found<'a>>| match value.and_then(constant) {
            Some(number @ Constant::Number(_)) => Some(Term::Constant(number)),
            _ => None,
        };
        // All other places hold names.
        match (left, right) {
            (Side::Row(Place::Field(field @ Field::Property(_))), Side::Known(value)) => {
                number(value).map_or(Formula::Never, |value| test(&field, Test::AtLeast, value))
            }
            (Side::Known(value), Side::Row(Place::Field(field @ Field::Property(_)))) => {
                number(value).map_or(Formula::Never, |value| test(&field, Test::AtMost, value))
            }
            (
                Side::Row(Place::Field(field @ Field::Property(_))),
                Side::Row(Place::Field(other @ Field::Property(_))),
            ) => test(&field, Test::AtLeast, Term::Field(other)),
            _ => Formula::Never,
        }
    }

    fn in_network(&self, left: Side<'a>, operands: &[OperandRow], wanted: bool) -> Formula<'a> {
        let (mut blocks, mut places, mut whole) = (Vec::new(), Vec::new(), None);
        for operand in operands {
            let value = match operand.tag {
                OPERAND_NETWORK => {
                    let networks = &self.row.snapshot.tables.networks;
                    blocks.extend(networks.get(operand.a as usize).map(block));
                    continue;
                }
                OPERAND_WHOLE_PATH => match self.side(operand.a) {
                    Side::Row(Place::Field(field)) => {
                        whole = Some(field);
                        continue;
                    }
                    Side::Known(Some(Found::Value(View::List(items)))) => {
                        let fit = items.all(|item| {
                            let network = item.and_then(told_network);
                            blocks.extend(network.as_ref().map(block));
                            network.is_some()
                        });
                        if fit {
                            continue;
                        }
                        return Formula::Never;
                    }
                    side => side,
                },
                _ => self.operand(operand),
            };
            match value {
                Side::Row(place) => places.push(place),
                Side::Known(Some(Found::Value(value))) => match told_network(value) {
                    Some(network) => blocks.push(block(&network)),
                    None => return Formula::Never,
                },
                Side::Known(None) => return Formula::Never,
                Side::Known(Some(Found::Names(_))) => return self.unsayable(),
            }
        }
        let Side::Row(place) = left else {
            return self.unsayable();
        };
        if places
            .iter()
            .any(|place| matches!(place, Place::Departments | Place::Projects))
        {
            return self.unsayable();
        }
        blocks.sort();
        blocks.dedup();
        let test = if wanted {
            Test::InNetwork
        } else {
            Test::NotInNetwork
        };
        self.each(&place, |field| match &whole {
            Some(whole) => Formula::test(field, test, Operand::Whole(whole.clone())),
            None => self.with_terms(&blocks, &places, |terms| {
                Formula::test(field.clone(), test, Operand::Many(terms))
            }),
        })
    }

    /// Whether a list holds a value.
    fn contains(&self, list: Side<'a>, value: Side<'a>, wanted: bool) -> Formula<'a> {
        match (list, value) {
            (Side::Row(list), Side::Known(value)) => {
                let value = value.and_then(constant);
                value.map_or(Formula::Never, |value| self.holds(&list, value, wanted))
            }
            (Side::Known(list), Side::Row(place)) => {
                let values = list.and_then(|list| self.items(list));
                values.map_or(Formula::Never, |values| {
                    self.among(&place, &Singles::of(values, wanted))
                })
            }
            (Side::Row(Place::Field(field)), Side::Row(place)) => self.each(&place, |other| {
                self.looks_into(&field, Operand::One(Term::Field(other)), wanted)
            }),
            (Side::Row(list), Side::Row(place)) => {
                let names = self.names(&list);
                let same = |name: &Constant<'a>, same| {
                    self.among(&place, &Singles::of([name.clone()], same))
                };
                let held = |name: &Constant<'a>| self.holds(&list, name.clone(), wanted);
                if wanted {
                    any(names.iter().map(|name| all([same(name, true), held(name)])))
                } else {
                    let others = names
                        .iter()
                        .map(|name| any([same(name, false), held(name)]));
                    all(others.chain([self.among(&place, &Singles::ALL)]))
                }
            }
            (Side::Known(_), Side::Known(_)) => Formula::Never,
        }
    }

    fn present(&self, side: Side<'a>, wanted: bool) -> Formula<'a> {
        match (side, wanted) {
            (Side::Known(found), wanted) => (found.is_some() == wanted).into(),
            (Side::Row(Place::Nowhere), wanted) => (!wanted).into(),
            (Side::Row(Place::Departments | Place::Projects), wanted) => wanted.into(),
            (Side::Row(Place::Owner), true) => self.row.owner(&Singles::ALL),
            (Side::Row(Place::Owner), false) => self.row.no_owner(),
            (Side::Row(Place::Group), true) => self.row.group(&Singles::ALL),
            (Side::Row(Place::Group), false) => self.row.no_group(),
            (Side::Row(Place::Field(field)), true) => Formula::set(field, Set::PRESENT),
            (Side::Row(Place::Field(field)), false) => Formula::set(field, Set::ABSENT),
        }
    }

    /// The single values of a list.
    fn items(&self, found: Found<'a>) -> Option<Vec<Constant<'a>>> {
        let mut values = Vec::new();
        match found {
            Found::Names(names) => {
                self.scene.any_name(names, |name| {
                    values.push(Constant::Text(Cow::Owned(name.to_owned())));
                    false
                });
            }
            Found::Value(View::List(items)) => {
                items.any(|item| {
                    values.extend(constant(Found::Value(item)));
                    false
                });
            }
            Found::Value(_) => return None,
        }
        Some(values)
    }

    fn unsayable(&self) -> Formula<'a> {
        self.row.unsayable.set(true);
        Formula::Never
    }
}

/// A single value.
fn constant(found: Found<'_>) -> Option<Constant<'_>> {
    match found {
        Found::Value(View::Bool(value)) => Some(Constant::Bool(value)),
        Found::Value(View::Number(number)) => Some(Constant::Number(Number::new(number))),
        Found::Value(View::Text(text)) => Some(Constant::Text(Cow::Borrowed(text))),
        Found::Value(View::List(_) | View::Object(_)) | Found::Names(_) => None,
    }
}

/// A block as text.
fn block<'a>(network: &NetworkRow) -> Term<'a> {
    Term::Constant(Constant::Text(Cow::Owned(network.to_string())))
}
