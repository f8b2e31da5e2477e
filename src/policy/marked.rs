//! What decides for an action that lifts the wall or tests roles: it must not look at a resource,
//! for there is none when it is asked.

use super::Code;
use super::conditions::tests_resource;
use super::grants::{Line, Lines};
use super::resolved::{Condition, Grant, Pattern};
use super::sink::Finding;
use super::word::Word;
use crate::model::{ActionId, TypeId};

/// Refuses lines of a role that would look at a resource where there is none.
///
/// A role that extends another needs no look at the other's lines: they are refused where they stand.
pub(super) fn check(
    lines: &Lines<'_, '_>,
    role: Word<'_>,
    grants: &[Line<Vec<Grant>>],
    denies: &[Line<Option<Condition>>],
) {
    for (kind, types) in (0..).map(TypeId).zip(&lines.vocabulary.catalogue.types) {
        let marked =
            |(_, action): &(ActionId, &super::Action)| action.lifts_wall || action.tests_roles;
        for (id, action) in (0..).map(ActionId).zip(&types.actions).filter(marked) {
            // The most specific line decides alone; all denies that speak of the action count.
            let rank = |pattern: &Pattern| match pattern {
                Pattern::Permission(other, at) => (*other == kind && *at == id).then_some(3),
                Pattern::Type(other) => (*other == kind).then_some(2),
                Pattern::Action(name) => (*name == action.name).then_some(1),
                Pattern::Everything => Some(0),
            };
            let name = format!("{}.{}", types.name, action.name);
            let refuse = |span, help: String| {
                let message = format!(
                    "this decides for `{name}`, which is asked without a resource, and tests the resource"
                );
                Finding::error(Code::TestsResourceNotAllowed, span, message)
                    .help(help)
                    .report(lines.sink);
            };
            let looks = |when: &Option<Condition>| when.as_ref().is_some_and(tests_resource);
            let deciding = grants.iter().filter(|line| rank(&line.pattern).is_some());
            if let Some(line) = deciding.max_by_key(|line| rank(&line.pattern))
                && line.value.iter().any(|grant| looks(&grant.when))
            {
                refuse(
                    line.span,
                    format!(
                        "give role `{}` a line for `{name}` of its own, or test subject and context alone",
                        role.text
                    ),
                );
            }
            for line in denies
                .iter()
                .filter(|line| rank(&line.pattern).is_some() && looks(&line.value))
            {
                refuse(line.span, "deny the permissions that are meant one by one, or test subject and context alone".to_owned());
            }
        }
    }
}
