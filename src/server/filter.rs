//! What may be listed, as a document.

use serde_json::{Map, Value, json};

use crate::decide::filter::{Condition, Constant, Filter, Objects, Operand, Rows, Term};

/// The document that answers a filter, but for its SQL.
#[must_use]
pub fn document(filter: &Filter<'_>) -> Value {
    let mut document = Map::new();
    let mut tell = |name: &str, value: Value| document.insert(name.to_owned(), value);
    match &filter.rows {
        Rows::Always => tell("filter", json!("always")),
        Rows::Never => tell("filter", json!("never")),
        Rows::When(condition) => {
            tell("filter", json!("when"));
            tell("condition", tree(condition))
        }
    };
    let Objects { allow, deny } = &filter.objects;
    if !allow.is_empty() || !deny.is_empty() {
        tell("objects", json!({ "allow": allow, "deny": deny }));
    }
    if filter.links {
        tell("links", json!(true));
    }
    Value::Object(document)
}

fn tree(condition: &Condition<'_>) -> Value {
    match condition {
        Condition::All(parts) => json!({ "all": parts.iter().map(tree).collect::<Value>() }),
        Condition::Any(parts) => json!({ "any": parts.iter().map(tree).collect::<Value>() }),
        Condition::Not(part) => json!({ "not": tree(part) }),
        Condition::Leaf(leaf) => json!({
            "field": leaf.field.to_string(),
            "test": leaf.test.name(),
            "value": match &leaf.value {
                Operand::One(one) => term(one),
                Operand::Many(terms) => terms.iter().map(term).collect(),
                Operand::Whole(field) => json!({ "path": field.to_string() }),
            },
        }),
    }
}

fn term(term: &Term<'_>) -> Value {
    match term {
        Term::Constant(value) => constant(value),
        Term::Field(field) => json!({ "path": field.to_string() }),
    }
}

/// A single value as JSON; whole numbers without a fraction.
#[must_use]
pub fn constant(value: &Constant<'_>) -> Value {
    match value {
        Constant::Bool(value) => json!(value),
        Constant::Number(number) => match number.whole() {
            Some(whole) => json!(whole),
            None => json!(number.value()),
        },
        Constant::Text(text) => json!(text),
    }
}
