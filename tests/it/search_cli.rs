//! `callgate search`: what it prints, and that what roles say in the policy is what the tables say.

use std::collections::BTreeMap;

use callgate::model::{ActionId, RoleId, Scope, ScopeSet, TypeId};
use callgate::policy;
use callgate::snapshot::Snapshot;
use callgate::snapshot::compare::RuleEffect;
use fastrand::Rng;
use serde_json::json;

use crate::cli::{callgate, ends, json};
use crate::fixture::Tree;
use crate::generate::{Company, Shape};

/// A tree in which a role is extended, one is implicit, and one denies.
fn tree() -> Tree {
    let tree = Tree::new();
    tree.write(
        "companies/acme/roles.yaml",
        "roles:
  - role: lead
    extends: [listener]
    grants: { call: { export: { scope: own, when: { resource.status: open } } } }
  - role: quiet
    extends: [lead]
    grants: { call: { listen: none } }
    deny: [\"*.export\"]
  - role: office
    implicit: true
    deny: [{ permission: call.export, when: { context.ip: { not_in_network: [10.0.0.0/8] } } }]
",
    );
    tree.write(
        "companies/acme/users.csv",
        "user,roles,active\nolga,lead,\npiotr,operator,\newa,quiet;lead,\nanna,lead,false\n",
    );
    tree
}

#[test]
fn subjects_are_told_an_id_a_line_and_page_by_page() {
    let tree = tree();
    let ask = |more: &[&str]| {
        let first = [
            "search",
            "TREE",
            "subjects",
            "--action",
            "listen",
            "--resource",
            "call:c1",
        ];
        callgate(&tree, &[&first, more].concat())
    };
    assert_eq!(
        ends(&ask(&[]), 0),
        ("ewa\nolga\n".to_owned(), String::new())
    );
    let (out, err) = ends(&ask(&["--limit", "1"]), 0);
    assert_eq!(
        (out.as_str(), err.as_str()),
        ("ewa\n", "there are more: add `--after ewa`\n")
    );
    let (out, err) = ends(&ask(&["--limit", "1", "--after", "ewa"]), 0);
    assert_eq!((out.as_str(), err.as_str()), ("olga\n", ""));
    let (out, err) = ends(&ask(&["--after", "olga"]), 0);
    assert_eq!((out.as_str(), err.as_str()), ("", "none\n"));
    let document = json(&ask(&["--limit", "1", "--format", "json"]), 0);
    assert_eq!(
        document["results"],
        json!([{ "type": "user", "id": "ewa" }])
    );
    assert_eq!(
        (&document["more"], &document["company"]),
        (&json!(true), &json!("acme"))
    );
}

#[test]
fn resources_and_actions_are_those_that_checks_allow() {
    let tree = tree();
    tree.write("companies/acme/objects.csv", "type,id\nqueue,b\nqueue,a\n");
    tree.write(
        "companies/acme/roles.yaml",
        "roles: [{ role: lead, grants: { queue: { view: any } } }, { role: quiet }]\n",
    );
    let resources = [
        "search",
        "TREE",
        "resources",
        "--action",
        "view",
        "--type",
        "queue",
        "--subject",
    ];
    let found = |user| ends(&callgate(&tree, &[&resources[..], &[user]].concat()), 0).0;
    assert_eq!(
        (found("olga").as_str(), found("piotr").as_str()),
        ("a\nb\n", "")
    );
    let actions = [
        "search",
        "TREE",
        "actions",
        "--subject",
        "piotr",
        "--resource",
        "call:c1",
    ];
    assert_eq!(ends(&callgate(&tree, &actions), 0).0, "view\n");
    let document = json(
        &callgate(&tree, &[&actions[..], &["--format", "json"]].concat()),
        0,
    );
    assert_eq!(document["results"], json!([{ "name": "view" }]));
    let section = [
        "search",
        "TREE",
        "actions",
        "--subject",
        "piotr",
        "--resource",
        "queue",
        "--section",
    ];
    assert_eq!(ends(&callgate(&tree, &section), 0).0, "");
}

/// Nothing found would look as if nobody were allowed.
#[test]
fn a_name_that_means_nothing_is_wrong_use() {
    let tree = tree();
    let cases: [(&[&str], &str); 6] = [
        (
            &["subjects", "--action", "lsten", "--resource", "call:c1"],
            "permission `call.lsten`",
        ),
        (
            &["subjects", "--action", "view", "--resource", "cal:c1"],
            "resource type `cal`",
        ),
        (
            &["actions", "--subject", "olag", "--resource", "call:c1"],
            "user `olag`",
        ),
        (
            &[
                "resources",
                "--subject",
                "olga",
                "--action",
                "list",
                "--type",
                "queue",
            ],
            "permission `queue.list`",
        ),
        (&["roles", "--permission", "call"], "permission `call`"),
        (
            &["actions", "--subject", "olga", "--resource", "call"],
            "TYPE:ID",
        ),
    ];
    for (arguments, said) in cases {
        let output = callgate(&tree, &[&["search", "TREE"], arguments].concat());
        let (out, err) = ends(&output, 2);
        assert!(
            out.is_empty() && err.contains(said),
            "{arguments:?}: {out}{err}"
        );
    }
}

#[test]
fn roles_are_told_with_scope_condition_line_and_the_role_that_it_came_from() {
    let tree = tree();
    let ask = |permission| {
        callgate(
            &tree,
            &["search", "TREE", "roles", "--permission", permission],
        )
    };
    assert_eq!(
        ends(&ask("call.listen"), 0).0,
        "lead      any  2 users  packs/desk/roles.yaml:5 call.listen, extends listener\n\
         listener  any  0 users  packs/desk/roles.yaml:5 call.listen\n"
    );
    assert_eq!(
        ends(&ask("call.export"), 0).0,
        "lead    own when resource.status is \"open\"                  2 users  companies/acme/roles.yaml:4 call.export\n\
         office  denies when context.ip not_in_network [10.0.0.0/8]  3 users  companies/acme/roles.yaml:11 call.export\n\
         quiet   denies                                               1 user  companies/acme/roles.yaml:8 *.export\n\
         quiet   own when resource.status is \"open\"                   1 user  companies/acme/roles.yaml:4 call.export, extends lead\n"
    );
    let out = tree.join("out");
    let out = out.to_str().unwrap();
    ends(&callgate(&tree, &["compile", "TREE", "-o", out]), 0);
    // Compiled, all is known but the lines; one file is a source too.
    let file = format!("{out}/acme.callgate");
    let arguments = [
        "search",
        &file,
        "roles",
        "--permission",
        "call.listen",
        "--format",
        "json",
    ];
    let document = json(&callgate(&tree, &arguments), 0);
    let row = |role: &str, users: usize| json!({ "role": role, "effect": "grant", "scopes": ["any"], "when": null, "users": users });
    assert_eq!(
        document["roles"],
        json!([row("lead", 2), row("listener", 0)])
    );
}

type Rules = BTreeMap<(bool, Option<String>), ScopeSet>;

#[test]
fn what_roles_say_in_the_policy_is_what_the_tables_say() {
    let mut rules = 0;
    for seed in 0..150 {
        let rng = &mut Rng::with_seed(seed);
        let company = Company::generate(&Shape::wild(rng), seed);
        let policy = policy::read_company(&company.files(), "demo")
            .unwrap()
            .policy;
        let snapshot = Snapshot::compile(&policy).unwrap();
        for (kind, id) in policy.catalogue.types.iter().zip(0..) {
            for (action, action_id) in kind.actions.iter().zip(0..) {
                let name = format!("{}.{}", kind.name, action.name);
                let permission = (TypeId(id), ActionId(action_id));
                assert_eq!(policy.permission(&name), Some(permission));
                let mut of_tables = BTreeMap::<&str, Rules>::new();
                for (role, said) in snapshot.roles_on(&name) {
                    for rule in said {
                        let scopes = rule.scopes.iter().filter_map(|name| Scope::from_name(name));
                        let key = (rule.effect == RuleEffect::Deny, rule.when);
                        let place = of_tables.entry(role).or_default().entry(key).or_default();
                        *place = place.union(scopes.collect());
                    }
                }
                let mut of_policy = BTreeMap::<&str, Rules>::new();
                for (role, id) in policy.roles.iter().zip(0..) {
                    for said in policy.says(RoleId(id), permission) {
                        let when = said.when.map(ToString::to_string);
                        // The tables have blocks in one form.
                        let when =
                            when.map(|when| when.replace("::ffff:10.0.0.0/104", "10.0.0.0/8"));
                        let key = (said.scopes.is_empty(), when);
                        let place = of_policy
                            .entry(&role.name)
                            .or_default()
                            .entry(key)
                            .or_default();
                        *place = place.union(said.scopes);
                        rules += 1;
                    }
                }
                assert_eq!(of_policy, of_tables, "seed {seed}, {name}");
            }
        }
    }
    assert!(rules > 10_000, "only {rules} rules in all");
}
