//! Explanations of one small company, as people and programs read them.

use callgate::decide::{self, Explanation};
use callgate::model::{Action, Entity, Properties, Query, Value};
use callgate::policy::{self, Files};
use callgate::snapshot::Snapshot;

const CATALOGUE: &str = "catalogue: small
resources:
  call: { actions: { view: {}, listen: {}, read: { via: [deal.view] } } }
  project: { actions: { view_all: { lifts_wall: true, scopes: [any] } } }
  deal: { registered: true, actions: { view: {} } }
  role: { walled: false, actions: { test: { tests_roles: true, scopes: [any] } } }
";
const ROLES: &str = "roles:
  - { role: boss, grants: { \"*\": any } }
  - { role: quiet, grants: { \"*\": any, call: { view: any, listen: none } } }
  - { role: dealer, grants: { deal: { view: any } } }
";
const OWN_ROLES: &str = "roles:
  - role: held
    grants: { \"*\": any }
    deny:
      - { permission: call.view, when: { resource.deal: none } }
      - { permission: call.listen, when: { resource.deal: none } }
";
const COMPANY: &str = "company: small\npack: small\nsecurity: enhanced\n";
const USERS: &str = "users:
  - { user: ada, roles: [boss] }
  - { user: bo, roles: [quiet] }
  - { user: di, roles: [dealer] }
  - { user: ed, roles: [held] }
  - { user: cy, roles: [{ role: quiet, until: 2000-01-01 }] }
  - { user: fay, roles: [dealer] }
";
const PROJECTS: &str = "projects:
  - { project: far, members: { users: [cy, di, ed] }, objects: { deal: [d1] } }
";

/// Of a call in the project `far`, whose deal is `none`, which is no deal.
fn explain(user: &str, action: &str, test_role: Option<&str>) -> Explanation {
    let sent = [("deal", "none"), ("project", "far")];
    explain_of(user, action, test_role, ["call", "c"], &sent)
}

fn explain_of(
    user: &str,
    action: &str,
    test_role: Option<&str>,
    [kind, id]: [&str; 2],
    sent: &[(&str, &str)],
) -> Explanation {
    let files = [
        ("packs/small/catalogue.yaml", CATALOGUE),
        ("packs/small/roles.yaml", ROLES),
        ("companies/small/company.yaml", COMPANY),
        ("companies/small/roles.yaml", OWN_ROLES),
        ("companies/small/users.yaml", USERS),
        ("companies/small/projects.yaml", PROJECTS),
        ("companies/small/objects.csv", "type,id\ndeal,d1\n"),
    ];
    let files = Files::new(files.map(|(path, text)| (path, text.as_bytes())));
    let policy = policy::read_company(&files, "small").unwrap().policy;
    let snapshot = Snapshot::compile(&policy).unwrap();
    let none = Properties::EMPTY;
    let entity = |kind, id| Entity {
        kind,
        id,
        properties: &none,
    };
    let text = |text: &str| Value::String(text.to_owned().into());
    let sent = sent
        .iter()
        .map(|(name, value)| (name.to_owned().into(), text(value)));
    let sent = Properties::new(sent.collect()).unwrap();
    let query = Query {
        subject: entity("user", user),
        action: Action {
            name: action,
            properties: &none,
        },
        resource: Entity {
            properties: &sent,
            ..entity(kind, id)
        },
        context: &none,
        section: false,
        test_role,
        now: std::time::SystemTime::now().into(),
    };
    decide::explain(&snapshot, &query)
}

/// Whether the role is in force, where the step speaks of it.
fn in_force(explained: &Explanation, step: &str, role: &str) -> Option<bool> {
    let steps = explained.steps.iter().filter(|one| one.step == step);
    let mut roles = steps.flat_map(|step| &step.roles);
    Some(roles.find(|says| says.role == role)?.in_force)
}

#[test]
fn a_wall_is_told_in_a_sentence() {
    let text = |user| explain(user, "view", None).to_string();
    let lifted = "wall: lifted for the subject, whose projects are default\n";
    assert!(text("ada").contains(lifted), "{}", text("ada"));
    let far = |role| explain("ada", "view", Some(role)).to_string();
    assert!(far("boss").contains(lifted), "{}", far("boss"));
}

#[test]
fn a_role_in_force_whose_line_is_none_is_told_as_such_a_tested_one_too() {
    let own = explain("bo", "listen", None);
    assert_eq!(own.reason, "no_grant", "{own}");
    assert_eq!(in_force(&own, "grant", "quiet"), Some(true), "{own}");
    let tested = explain("ada", "listen", Some("quiet"));
    assert_eq!(tested.reason, "no_grant", "{tested}");
    assert_eq!(in_force(&tested, "grant", "quiet"), Some(true), "{tested}");
    let text = tested.to_string();
    let says = "role quiet, tested\n      says none: call.listen at packs/small/roles.yaml:3";
    assert!(text.contains(says), "{text}");
    let ended = explain("cy", "listen", None);
    assert_eq!(in_force(&ended, "grant", "quiet"), Some(false), "{ended}");
}

#[test]
fn a_link_to_nothing_is_told_in_a_sentence() {
    let text = explain("di", "read", None).to_string();
    assert!(text.contains("linked: none is not registered\n"), "{text}");
}

/// The other deny stands where this one stood.
#[test]
fn one_of_two_denies_under_a_condition_can_be_taken_out() {
    for action in ["view", "listen"] {
        let explained = explain("ed", action, None);
        assert_eq!(explained.reason.to_string(), "denied_by_role", "{action}");
        let mut changes = explained.suggestions.iter().flat_map(|one| &one.changes);
        assert!(changes.any(|one| one.change == "remove_deny"), "{action}");
    }
}

/// Where the deal is, only the project's own list says.
#[test]
fn who_is_outside_a_project_is_told_to_join_it() {
    let explained = explain_of("fay", "view", None, ["deal", "d1"], &[]);
    assert_eq!(explained.reason, "outside_projects", "{explained}");
    let mut changes = explained.suggestions.iter().flat_map(|one| &one.changes);
    assert!(
        changes.any(|one| one.change == "join_project"),
        "{explained}"
    );
}
