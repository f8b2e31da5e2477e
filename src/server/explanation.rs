//! Explanations as JSON: the one place that gives their members names.

use serde_json::{Map, Value, json};

use crate::decide::{
    Assignment, Change, Explanation, Member, Place, Reach, RoleLine, RoleSays, Step, Suggestion,
};

/// What `context` of an explained decision holds.
#[must_use]
pub fn context(explanation: &Explanation, revision: &str) -> Value {
    json!({
        "reason": explanation.reason,
        "revision": revision,
        "scopes": explanation.scopes.iter().map(reach).collect::<Vec<_>>(),
        "steps": explanation.steps.iter().map(step).collect::<Vec<_>>(),
        "suggestions": explanation.suggestions.iter().map(suggestion).collect::<Vec<_>>(),
    })
}

/// Puts members in that are there.
struct Members(Map<String, Value>);

impl Members {
    fn new(all: Value) -> Self {
        match all {
            Value::Object(members) => Self(members),
            _ => Self(Map::new()),
        }
    }

    fn some(mut self, name: &str, value: Option<Value>) -> Self {
        self.0.extend(value.map(|value| (name.to_owned(), value)));
        self
    }

    fn list(self, name: &str, list: Vec<Value>) -> Self {
        let list = (!list.is_empty()).then_some(Value::Array(list));
        self.some(name, list)
    }

    fn at(self, place: Option<&Place>) -> Self {
        let file = place.map(|place| json!(place.file));
        let line = place.map(|place| json!(place.line));
        self.some("file", file).some("line", line)
    }

    fn done(self) -> Value {
        Value::Object(self.0)
    }
}

fn reach(reach: &Reach) -> Value {
    let why = (!reach.why.is_empty()).then(|| json!(reach.why));
    let all = Members::new(json!({ "scope": reach.scope, "reached": reach.reached }));
    all.some("why", why).done()
}

fn step(step: &Step) -> Value {
    let test = step.test.as_ref().map(|test| {
        let actual = test.actual.as_deref().map(from_json);
        let all = json!({ "path": test.path, "operator": test.operator, "text": test.text });
        Members::new(all).some("actual", actual).done()
    });
    Members::new(json!({ "step": step.step, "text": step.text }))
        .some(
            "permission",
            step.permission.as_ref().map(|name| json!(name)),
        )
        .some("result", step.result.map(|result| json!(result)))
        .list(
            "assignments",
            step.assignments.iter().map(assignment).collect(),
        )
        .list("roles", step.roles.iter().map(role).collect())
        .list("scopes", step.scopes.iter().map(reach).collect())
        .some("test", test)
        .done()
}

fn assignment(assignment: &Assignment) -> Value {
    let limits = assignment.limits.iter().map(|limit| json!(limit));
    Members::new(json!({ "role": assignment.role, "from": assignment.from }))
        .some("name", assignment.name.as_ref().map(|name| json!(name)))
        .at(assignment.place.as_ref())
        .list("limits", limits.collect())
        .some("kept_back", assignment.kept_back.map(|by| json!(by)))
        .done()
}

fn role(says: &RoleSays) -> Value {
    json!({
        "role": says.role,
        "in_force": says.in_force,
        "assignments": says.assignments.iter().map(assignment).collect::<Vec<_>>(),
        "lines": says.lines.iter().map(line).collect::<Vec<_>>(),
    })
}

fn line(line: &RoleLine) -> Value {
    let scopes = line.scopes.iter().map(|scope| json!(scope));
    let extends = line.extends.iter().map(|role| json!(role));
    Members::new(json!({ "effect": line.effect, "pattern": line.pattern }))
        .list("scopes", scopes.collect())
        .some("when", line.when.as_ref().map(|when| json!(when)))
        .some("condition", line.condition.map(|truth| json!(truth)))
        .list("extends", extends.collect())
        .at(line.place.as_ref())
        .done()
}

fn suggestion(suggestion: &Suggestion) -> Value {
    json!({
        "text": suggestion.text,
        "changes": suggestion.changes.iter().map(change).collect::<Vec<_>>(),
    })
}

fn change(change: &Change) -> Value {
    let mut all = Members::new(json!({ "change": change.change, "text": change.text }));
    for (name, member) in &change.members {
        let value = match member {
            Member::Text(text) => json!(text),
            Member::Json(text) => from_json(text),
            Member::Number(number) => json!(number),
        };
        all = all.some(name, Some(value));
    }
    all.done()
}

/// What was written as JSON here can be read as such.
fn from_json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or(Value::Null)
}
