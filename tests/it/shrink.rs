//! Failing cases cut down to what makes them fail.

use serde_json::{Value, json};

/// Cuts a failing case down: takes away members and items, larger ones first, as long as it fails.
pub(crate) fn shrink(mut case: Value, fails: &dyn Fn(&Value) -> bool) -> Value {
    loop {
        let mut paths = Vec::new();
        removable(&case, String::new(), &mut paths);
        let smaller = paths.iter().find_map(|path| {
            let mut smaller = case.clone();
            remove(&mut smaller, path);
            fails(&smaller).then_some(smaller)
        });
        match smaller {
            Some(smaller) => case = smaller,
            None => return case,
        }
    }
}

/// Pointers to all members and items, outer ones first.
pub(crate) fn removable(value: &Value, at: String, paths: &mut Vec<String>) {
    let children: Vec<(String, &Value)> = match value {
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(n, item)| (n.to_string(), item))
            .collect(),
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| (name.clone(), value))
            .collect(),
        _ => return,
    };
    for (name, _) in &children {
        paths.push(format!("{at}/{name}"));
    }
    for (name, child) in children {
        removable(child, format!("{at}/{name}"), paths);
    }
}

pub(crate) fn remove(value: &mut Value, path: &str) {
    let Some((parent, name)) = path.rsplit_once('/') else {
        return;
    };
    match value.pointer_mut(parent) {
        Some(Value::Array(items)) => {
            if let Some(n) = name.parse().ok().filter(|n| *n < items.len()) {
                items.remove(n);
            }
        }
        Some(Value::Object(members)) => {
            members.remove(name);
        }
        _ => {}
    }
}

#[test]
fn a_failing_case_is_cut_down_to_what_makes_it_fail() {
    let case = json!({ "users": [{ "user": "u1", "roles": ["a", "b"] }, { "user": "u2" }], "request": { "x": 1 } });
    let fails =
        |case: &Value| case["users"][0]["roles"][1] == "b" || case["users"][0]["roles"][0] == "b";
    assert_eq!(
        shrink(case, &fails),
        json!({ "users": [{ "roles": ["b"] }] })
    );
}
