//! The same policy for an engine of Rego, with its users, roles and objects as its data.

use callgate::model::{ActionId, RoleId, Scope, TypeId};
use callgate::policy::Policy;
use regorus::{CompiledPolicy, Engine, Value};
use serde_json::{Map, json};

pub(crate) struct Rego(CompiledPolicy);

// === impl Rego ===

impl Rego {
    pub(crate) fn new(policy: &Policy) -> Self {
        let mut engine = Engine::new();
        engine
            .add_policy("policy.rego".to_owned(), include_str!("policy.rego").to_owned())
            .unwrap_or_else(|error| panic!("{error}"));
        let data = Value::from_json_str(&data(policy).to_string());
        let data = data.unwrap_or_else(|error| panic!("{error}"));
        engine.add_data(data).unwrap_or_else(|error| panic!("{error}"));
        let entry = "data.callgate.allow".into();
        let compiled = engine.compile_with_entrypoint(&entry);
        Self(compiled.unwrap_or_else(|error| panic!("{error}")))
    }

    pub(crate) fn allows(&mut self, body: &[u8]) -> bool {
        let Ok(input) = str::from_utf8(body).map(Value::from_json_str) else {
            return false;
        };
        let answer = input.and_then(|input| self.0.eval_with_input(input));
        answer.is_ok_and(|answer| answer == Value::from(true))
    }
}

fn data(policy: &Policy) -> serde_json::Value {
    let (mut users, mut held, mut groups) = (Map::new(), Map::new(), Map::new());
    for (user, n) in policy.users.iter().zip(0_u32..) {
        let number = n.to_string();
        for name in std::iter::once(&user.id).chain(&user.aliases) {
            users.insert(name.clone(), json!(number));
        }
        let roles = user.roles.iter().map(|held| &policy.roles[held.role.index()].name);
        held.insert(number.clone(), roles.cloned().collect());
        if let Some(group) = user.group {
            groups.insert(number, json!(group.0));
        }
    }
    let mut roles = Map::new();
    for (role, n) in policy.roles.iter().zip(0..) {
        let mut kinds = Map::new();
        for (kind, of) in policy.catalogue.types.iter().zip(0..) {
            let scopes = |action| -> Vec<&str> {
                let said = policy.says(RoleId(n), (TypeId(of), ActionId(action)));
                let scopes = [Scope::Any, Scope::Own, Scope::Group];
                let told = scopes.into_iter().filter(|scope| said.iter().any(|said| said.scopes.contains(*scope)));
                told.map(Scope::name).collect()
            };
            let actions = kind.actions.iter().zip(0..);
            let actions = actions.map(|(action, n)| (action.name.clone(), json!(scopes(n))));
            kinds.insert(kind.name.clone(), json!(actions.collect::<Map<_, _>>()));
        }
        roles.insert(role.name.clone(), json!(kinds));
    }
    let (mut objects, mut owners) = (Map::new(), Map::new());
    for object in &policy.objects {
        let kind = &policy.catalogue.types[object.kind.index()].name;
        let of = |map: &mut Map<String, serde_json::Value>, value| {
            let kind = map.entry(kind.clone()).or_insert_with(|| json!({}));
            if let Some(kind) = kind.as_object_mut() {
                kind.insert(object.id.clone(), value);
            }
        };
        of(&mut objects, json!(true));
        if let Some(owner) = object.owner {
            of(&mut owners, json!(owner.0.to_string()));
        }
    }
    json!({
        "users": users, "held": held, "groups": groups, "roles": roles, "objects": objects, "owners": owners,
    })
}
