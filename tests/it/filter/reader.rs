//! A naive reader of filters: what a client makes of the document.

use std::net::IpAddr;

use callgate::policy::Policy;
use serde_json::{Value, json};

/// How the column `owner.department` was filled for owners with several.
#[derive(Clone, Copy, Debug)]
pub(super) enum Several {
    Null,
    First,
    Last,
}

pub(super) struct Reader<'r> {
    pub(super) policy: &'r Policy,
    pub(super) row: &'r Value,
    pub(super) several: Several,
}

impl Reader<'_> {
    pub(super) fn field(&self, name: &str) -> Value {
        let owner = || {
            let users = &self.policy.users;
            users
                .iter()
                .find(|user| self.row["owner"] == user.id.as_str())
        };
        match name {
            "owner.group" => {
                let group = owner().and_then(|owner| owner.group);
                group.map_or(Value::Null, |id| json!(self.policy.groups[id.index()].name))
            }
            "owner.department" => {
                let of_owner = owner().map_or(&[][..], |owner| &owner.departments);
                let department = match (of_owner, self.several) {
                    ([one], _) | ([one, ..], Several::First) | ([.., one], Several::Last) => one,
                    _ => return Value::Null,
                };
                json!(self.policy.departments[department.index()].name)
            }
            _ => match name.strip_prefix("properties.") {
                None => self.row[name].clone(),
                Some(path) => path
                    .split('.')
                    .fold(self.row["properties"].clone(), |value, name| {
                        value[name].clone()
                    }),
            },
        }
    }

    pub(super) fn lists(&self, document: &Value) -> bool {
        match document["filter"].as_str() {
            Some("always") => true,
            Some("never") => false,
            _ => self.passes(&document["condition"]) == Some(true),
        }
    }

    /// `None`: unknown.
    fn passes(&self, tree: &Value) -> Option<bool> {
        if let Some(parts) = tree["all"].as_array() {
            let parts: Vec<_> = parts.iter().map(|part| self.passes(part)).collect();
            return if parts.contains(&Some(false)) {
                Some(false)
            } else if parts.contains(&None) {
                None
            } else {
                Some(true)
            };
        }
        if let Some(parts) = tree["any"].as_array() {
            let parts: Vec<_> = parts.iter().map(|part| self.passes(part)).collect();
            return if parts.contains(&Some(true)) {
                Some(true)
            } else if parts.contains(&None) {
                None
            } else {
                Some(false)
            };
        }
        if tree.get("not").is_some() {
            return self.passes(&tree["not"]).map(|passes| !passes);
        }
        self.leaf(tree)
    }

    fn leaf(&self, leaf: &Value) -> Option<bool> {
        let found = self.field(leaf["field"].as_str().unwrap());
        let test = leaf["test"].as_str().unwrap();
        let value = &leaf["value"];
        if test == "present" {
            return Some(found.is_null() != *value);
        }
        if let Some(rest) = test.strip_prefix("not_") {
            let positive = json!({ "field": leaf["field"], "test": rest, "value": value });
            return self.leaf(&positive).map(|holds| !holds);
        }
        match test {
            "is" => Some(equal(&single(found)?, &single(self.operand(value))?)),
            "not" => Some(!equal(&single(found)?, &single(self.operand(value))?)),
            "in" => {
                let found = single(found)?;
                let mut held = false;
                match value {
                    Value::Array(items) => {
                        for item in items {
                            held |= equal(&found, &single(self.operand(item))?);
                        }
                    }
                    path => {
                        let list = self.operand(path);
                        held = list.as_array()?.iter().any(|item| equal(&found, item));
                    }
                }
                Some(held)
            }
            "at_least" => Some(found.as_f64()? >= self.operand(value).as_f64()?),
            "at_most" => Some(found.as_f64()? <= self.operand(value).as_f64()?),
            "in_network" => {
                let address: IpAddr = found.as_str()?.parse().ok()?;
                let items = match value {
                    Value::Array(items) => items.clone(),
                    path => match self.operand(path) {
                        Value::Array(items) => items,
                        one => vec![one],
                    },
                };
                let mut held = false;
                for item in items {
                    let block = self.operand(&item);
                    let block: ipnet::IpNet = block.as_str()?.parse().ok()?;
                    if block.addr() != block.network() {
                        return None;
                    }
                    held |= block.contains(&address.to_canonical());
                }
                Some(held)
            }
            "contains" => {
                let wanted = single(self.operand(value))?;
                Some(found.as_array()?.iter().any(|item| equal(item, &wanted)))
            }
            other => panic!("no such test: {other}"),
        }
    }

    fn operand(&self, value: &Value) -> Value {
        match value.get("path") {
            Some(path) => self.field(path.as_str().unwrap()),
            None => value.clone(),
        }
    }
}

pub(super) fn single(value: Value) -> Option<Value> {
    (!value.is_null() && !value.is_array() && !value.is_object()).then_some(value)
}

pub(super) fn equal(a: &Value, b: &Value) -> bool {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a == b,
        _ => a == b && single(a.clone()).is_some(),
    }
}
