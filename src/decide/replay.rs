//! The policy's own tests, asked of the snapshot that carries them.

use std::borrow::Cow;

use super::check;
use super::value::number;
use crate::model::{Action, Decision, Entity, Properties, Query, Timestamp, Value};
use crate::snapshot::Snapshot;
use crate::snapshot::tables::{
    ExpectationRow, NODE_BOOL, NODE_LIST, NODE_NUMBER, NODE_OBJECT, NODE_STRING, NodeRow, Span,
    some,
};

/// A policy test that the snapshot answers otherwise than it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedTest {
    /// The test's name.
    pub name: String,
    /// What it expects, with the reason if it says one.
    pub expected: (Decision, Option<String>),
    /// What the snapshot answers.
    pub actual: (Decision, String),
}

/// Asks the snapshot every test that it carries; `now` stands in where a test says no time.
#[must_use]
pub fn replay(snapshot: &Snapshot, now: Timestamp) -> Vec<FailedTest> {
    snapshot
        .tables
        .expectations
        .iter()
        .filter_map(|test| failed(snapshot, test, now))
        .collect()
}

fn failed(snapshot: &Snapshot, test: &ExpectationRow, now: Timestamp) -> Option<FailedTest> {
    let text = |id: u32| snapshot.text(id);
    let subject = properties(snapshot, test.subject_properties);
    let action = properties(snapshot, test.action_properties);
    let resource = properties(snapshot, test.resource_properties);
    let context = properties(snapshot, test.context);
    let query = Query {
        subject: Entity {
            kind: text(test.subject_type),
            id: text(test.subject),
            properties: &subject,
        },
        action: Action {
            name: text(test.action),
            properties: &action,
        },
        resource: Entity {
            kind: text(test.resource_type),
            id: text(test.resource),
            properties: &resource,
        },
        context: &context,
        section: test.section != 0,
        test_role: some(test.test_role).map(text),
        now: if test.timed != 0 {
            Timestamp(test.at)
        } else {
            now
        },
    };
    let reason = check(snapshot, &query);
    let expected = if test.expect != 0 {
        Decision::Allow
    } else {
        Decision::Deny
    };
    let expected_reason = some(test.reason).map(text);
    let written = reason.to_string();
    let fits =
        reason.decision() == expected && expected_reason.is_none_or(|reason| reason == written);
    (!fits).then(|| FailedTest {
        name: text(test.name).to_owned(),
        expected: (expected, expected_reason.map(str::to_owned)),
        actual: (reason.decision(), written),
    })
}

/// The properties that are stored at a node.
pub(super) fn properties(snapshot: &Snapshot, node: u32) -> Properties<'_> {
    match snapshot
        .tables
        .nodes
        .get(node as usize)
        .map(|&node| value(snapshot, node))
    {
        Some(Value::Object(properties)) => properties,
        _ => Properties::default(),
    }
}

fn value(snapshot: &Snapshot, node: NodeRow) -> Value<'_> {
    let span = Span {
        start: node.a,
        length: node.b,
    };
    let tables = &snapshot.tables;
    match node.tag {
        NODE_BOOL => Value::Bool(node.a != 0),
        NODE_NUMBER => Value::Number(number(node.a, node.b)),
        NODE_STRING => Value::from(snapshot.text(node.a)),
        NODE_LIST => Value::List(
            span.of(&tables.nodes)
                .iter()
                .map(|&node| value(snapshot, node))
                .collect(),
        ),
        NODE_OBJECT => {
            let members = span.of(&tables.members_of_nodes).iter().map(|member| {
                let node = tables.nodes.get(member.node as usize);
                let value = node.map_or(Value::Null, |&node| value(snapshot, node));
                (Cow::Borrowed(snapshot.text(member.name)), value)
            });
            Properties::new(members.collect()).map_or(Value::Null, Value::Object)
        }
        _ => Value::Null,
    }
}
