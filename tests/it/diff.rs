//! What differs between two sources: nothing exactly if every check agrees, and else what and whom.

use std::collections::BTreeSet;
use std::fs::File;
use std::process::{Command, Output};

use callgate::decide;
use callgate::model::Reason;
use callgate::policy;
use callgate::snapshot::Snapshot;
use callgate::snapshot::compare::{Cause, Diff, Effect, Event, Impact};
use fastrand::Rng;
use serde_json::{Value, json};

use crate::cli::{callgate, ends, json};
use crate::fixture::{Tree, company, users};
use crate::generate::{Company, Question, Shape, question};
use crate::shrink::{removable, remove};

const PAIRS: u64 = 500;
const QUESTIONS: usize = 120;

const PARTS: [&str; 6] = [
    "catalogue",
    "company",
    "roles",
    "users",
    "objects",
    "projects",
];

fn compile(company: &Company) -> Option<Snapshot> {
    let reading = policy::read_company(&company.files(), "demo").ok()?;
    Snapshot::compile(&reading.policy).ok()
}

/// Takes something away, or puts in its place what stands there in another company of the shape.
fn mutate(company: &mut Value, part: &str, other: &Value, rng: &mut Rng) {
    let mut places = Vec::new();
    removable(&company[part], format!("/{part}"), &mut places);
    // Half of the time a thing as a whole, or all of one of its members.
    if rng.bool() {
        places.retain(|place| place.matches('/').count() <= 4);
    }
    if places.is_empty() {
        return;
    }
    let place = &places[rng.usize(0..places.len())];
    match (other.pointer(place), company.pointer_mut(place)) {
        (Some(other), Some(value)) if rng.u32(0..4) > 0 => *value = other.clone(),
        _ => remove(company, place),
    }
}

/// A copy of the company with something else in one part, and what that compiles to.
fn mutated(company: &Company, part: &str, other: &Company, rng: &mut Rng) -> Option<Snapshot> {
    for _ in 0..20 {
        let mut changed = company.clone();
        for _ in 0..rng.usize(1..3) {
            mutate(&mut changed.0, part, &other.0, rng);
        }
        // What does not compile is never compared.
        if changed.0 != company.0
            && let Some(snapshot) = compile(&changed)
        {
            return Some(snapshot);
        }
    }
    None
}

/// Puts lists in another order where that says the same, and adds what decides nothing.
fn restate(value: &mut Value, rng: &mut Rng) {
    match value {
        Value::Array(items) => {
            rng.shuffle(items);
            items.iter_mut().for_each(|item| restate(item, rng));
        }
        Value::Object(members) => members
            .iter_mut()
            // Lists in properties are in the order that they are in.
            .filter(|(name, _)| *name != "properties" && *name != "resources")
            .for_each(|(_, value)| restate(value, rng)),
        _ => {}
    }
}

/// Questions of any kind; and, of everybody, what each may do on each object.
fn requests(shape: &Shape, company: &Company, rng: &mut Rng) -> Vec<Value> {
    let mut requests: Vec<Value> = (0..QUESTIONS).map(|_| question::wild(shape, rng)).collect();
    let items = |part: &str| {
        company.0[part][part]
            .as_array()
            .cloned()
            .unwrap_or_default()
    };
    for object in items("objects") {
        for user in items("users") {
            for action in ["view", "edit", "export", "manage"] {
                let mut request = question::wild(shape, rng);
                request["subject"]["type"] = "user".into();
                request["subject"]["id"] = user["user"].clone();
                request["action"]["name"] = action.into();
                request["resource"]["type"] = object["type"].clone();
                request["resource"]["id"] = object["id"].clone();
                request["context"]["callgate"] = json!({});
                requests.push(request);
            }
        }
    }
    requests
}

/// What a change in a part of a company may be told as.
fn fits(part: &str, cause: Cause) -> bool {
    use Cause::*;
    match part {
        "catalogue" => matches!(
            cause,
            ResourceType | Action | Mark | Role | ObjectProperty | UserProperty
        ),
        "company" => !matches!(
            cause,
            Mark | ResourceType
                | Action
                | Role
                | Object
                | ObjectOwner
                | ObjectProject
                | ObjectProperty
                | RoleProject
                | User
                | UserAlias
                | UserActive
        ),
        "roles" => matches!(cause, Role | ImplicitRole | Assignment | UserShift),
        "users" => matches!(
            cause,
            User | UserActive
                | UserAlias
                | Assignment
                | UserGroup
                | UserDepartment
                | LedGroup
                | LedDepartment
                | UserProject
                | UserProperty
                | UserShift
        ),
        "objects" => matches!(
            cause,
            Object
                | ObjectOwner
                | ObjectGroup
                | ObjectDepartment
                | ObjectProject
                | OperatorUser
                | OperatorTeam
                | OperatorGroup
                | OperatorDepartment
                | ObjectProperty
        ),
        _ => matches!(
            cause,
            Project | UserProject | ObjectProject | RoleProject | Assignment
        ),
    }
}

/// What a diff comes to, counted name by name.
fn counted(diff: &Diff<'_>) -> Impact {
    let users = |effects: &[Effect<'_>]| {
        let users = effects.iter().flat_map(|effect| &effect.users);
        users.collect::<BTreeSet<_>>().len()
    };
    let permissions = |effects: &[Effect<'_>]| {
        let permissions = effects.iter().flat_map(|effect| &effect.permissions);
        permissions.collect::<BTreeSet<_>>().len()
    };
    Impact {
        users_gain: users(&diff.gains),
        users_lose: users(&diff.losses),
        permissions_gained: permissions(&diff.gains),
        permissions_lost: permissions(&diff.losses),
        changes: diff.changes.len(),
        may_gain: diff.has_gain(),
        may_lose: diff.has_loss(),
    }
}

#[test]
fn a_diff_is_empty_only_if_every_check_agrees_and_names_what_was_changed() {
    let (mut empty, mut seen) = (0, 0);
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    let first = number("CALLGATE_SEED").unwrap_or(0);
    let pairs = number("CALLGATE_COMPANIES").unwrap_or(PAIRS);
    for seed in first..first + pairs {
        let rng = &mut Rng::with_seed(seed ^ 0xd1ff);
        let shape = Shape::wild(rng);
        let company = Company::generate(&shape, seed);
        let other = Company::generate(&shape, seed + 1_000_000);
        let part = PARTS[rng.usize(0..PARTS.len())];
        let old = compile(&company).unwrap();
        let Some(new) = mutated(&company, part, &other, rng) else {
            continue;
        };
        let diff = old.diff(&new);
        assert_eq!(old.impact(&new), counted(&diff), "seed {seed}, {part}");
        for change in &diff.changes {
            assert!(fits(part, change.cause), "seed {seed}, {part}: {change:?}");
        }
        // Things that are there or not are neither gains nor losses.
        let presence = diff.changes.iter().any(|change| {
            change.event != Event::Changed
                && matches!(
                    change.cause,
                    Cause::Object
                        | Cause::Group
                        | Cause::Department
                        | Cause::Project
                        | Cause::ResourceType
                        | Cause::Action
                        | Cause::User
                        | Cause::Role
                )
        });
        let mut differs = false;
        for request in requests(&shape, &company, rng) {
            let question = Question::new(&request);
            let query = question.query();
            let (before, after) = (decide::check(&old, &query), decide::check(&new, &query));
            let same = before.to_string() == after.to_string();
            differs |= !same;
            let told = || serde_json::to_string_pretty(&diff).unwrap();
            assert!(
                same || !diff.is_empty(),
                "seed {seed}: {before}, then {after}: {request}"
            );
            if presence || query.test_role.is_some() {
                continue;
            }
            let allowed = |reason: &Reason<'_>| reason.allows();
            let (before, after) = (allowed(&before), allowed(&after));
            assert!(
                before || !after || diff.has_gain(),
                "seed {seed}: {request}\n{}",
                told()
            );
            assert!(
                !before || after || diff.has_loss(),
                "seed {seed}: {request}\n{}",
                told()
            );
        }
        empty += usize::from(diff.is_empty());
        seen += usize::from(differs);
    }
    println!("{empty} empty, {seen} seen to differ");
    assert!(
        empty as u64 > pairs / 25 && seen as u64 > pairs / 7,
        "{empty} empty, {seen} seen to differ"
    );
}

#[test]
fn an_impact_is_what_the_diff_of_two_strangers_comes_to() {
    for seed in 0..200 {
        let shape = Shape::wild(&mut Rng::with_seed(seed ^ 0x57a4));
        let companies = [seed, seed + 1_000_000].map(|seed| Company::generate(&shape, seed));
        let [old, new] = companies.map(|company| compile(&company).unwrap());
        for (old, new) in [(&old, &new), (&new, &old), (&new, &new)] {
            assert_eq!(old.impact(new), counted(&old.diff(new)), "seed {seed}");
        }
    }
}

#[test]
fn the_same_said_in_another_order_is_no_difference() {
    for seed in 0..100 {
        let rng = &mut Rng::with_seed(seed);
        let shape = Shape::wild(rng);
        let company = Company::generate(&shape, seed);
        let mut restated = company.clone();
        restate(&mut restated.0, rng);
        restated.0["company"]["title"] = "Another".into();
        let (old, new) = (compile(&company).unwrap(), compile(&restated).unwrap());
        assert!(
            old.diff(&new).is_empty(),
            "seed {seed}: {:?}",
            old.diff(&new)
        );
    }
}

// --- what is told ---

/// Two trees with the same company in them.
fn trees() -> [Tree; 2] {
    [Tree::new(), Tree::new()]
}

/// What `callgate diff` says of two trees, and how it ends.
fn diff(trees: &[Tree; 2], more: &[&str]) -> Output {
    let [old, new] = trees.each_ref().map(|tree| tree.path().to_str().unwrap());
    callgate(&trees[0], &[&["diff", old, new], more].concat())
}

#[test]
fn the_same_is_no_difference() {
    let trees = trees();
    assert_eq!(
        ends(&diff(&trees, &["--fail-on", "any"]), 0).0,
        "1 company: 0 differ\n"
    );
    trees[1].write(
        "companies/acme/company.yaml",
        &(company("acme") + "# a remark\ntitle: Acme\n"),
    );
    trees[1].write("companies/acme/tests.yaml", "tests: []\n");
    assert_eq!(
        ends(&diff(&trees, &["--fail-on", "any"]), 0).0,
        "1 company: 0 differ\n"
    );
    let document = json(&diff(&trees, &["--format", "json"]), 0);
    assert_eq!(document, json!({ "companies": [] }));
}

/// Ten users have the role; what is said of it is one entry.
#[test]
fn a_changed_role_is_one_entry_with_all_whom_it_reaches() {
    let trees = trees();
    let roles = "
roles:
  - role: operator
    grants: { call: { view: group, listen: { scope: own, when: { resource.status: open } } } }
  - role: listener
    grants: { call: { view: any, listen: any } }
";
    trees[1].write("packs/desk/roles.yaml", roles);
    let (text, _) = ends(&diff(&trees, &[]), 0);
    let (heading, text) = text.split_once('\n').unwrap();
    assert!(
        heading.starts_with("acme: ") && heading.contains(" -> "),
        "{heading}"
    );
    assert_eq!(
        text,
        "  users gain by their roles
    + call.listen: own when resource.status is \"open\" -- 10 users: adam, anna, ewa, igor, jan and 5 more
  users lose by their roles
    - call.view: any -- 10 users: adam, anna, ewa, igor, jan and 5 more
  roles
    ~ role operator -- 10 users: adam, anna, ewa, igor, jan and 5 more
      - call.view: any
      + call.listen: own when resource.status is \"open\"
      + call.view: group
1 company: 1 differ
"
    );
    for what in ["gain", "loss", "any"] {
        ends(&diff(&trees, &["--fail-on", what]), 1);
    }
}

#[test]
fn what_another_role_grants_already_is_no_gain() {
    let trees = trees();
    for tree in &trees {
        let everybody =
            "roles: [{ role: all, implicit: true, grants: { call: { listen: any } } }]\n";
        tree.write("companies/acme/roles.yaml", everybody);
    }
    trees[1].write("companies/acme/users.csv", &users("listener"));
    let (text, _) = ends(&diff(&trees, &["--fail-on", "gain"]), 0);
    let (_, text) = text.split_once('\n').unwrap();
    assert_eq!(
        text,
        "  users\n    + role listener -- 1 user: olga\n    - role operator -- 1 user: olga\n1 company: 1 differ\n"
    );
    ends(&diff(&trees, &["--fail-on", "loss"]), 0);
    ends(&diff(&trees, &["--fail-on", "any"]), 1);
}

/// The document is written company by company; who gains in the last one must count all the same.
#[test]
fn a_document_that_nobody_reads_ends_no_comparison() {
    let trees = trees();
    let many: String = (0..2_000).map(|n| format!("u{n},operator\n")).collect();
    trees[0].write("companies/acme/users.csv", &(users("operator") + &many));
    trees[1].write("companies/zeta/company.yaml", &company("zeta"));
    trees[1].write("companies/zeta/users.csv", &users("operator"));
    let [old, new] = trees.each_ref().map(Tree::path);
    for what in ["gain", "any"] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let status = Command::new(env!("CARGO_BIN_EXE_callgate"))
            .arg("diff")
            .args([old, new])
            .args(["--format", "json", "--fail-on", what])
            .stdout(full)
            .status();
        assert_eq!(status.unwrap().code(), Some(1), "{what}");
    }
}

#[test]
fn every_cause_is_told_in_its_words() {
    let trees = trees();
    let catalogue = "
catalogue: desk
resources:
  call:
    parent: [queue]
    actions: { view: {}, listen: { requires: [view] }, export: {} }
  queue: { registered: true, actions: { view: {} } }
  deal: { walled: false, actions: { view: {} } }
";
    let roles = "
roles:
  - { role: operator, grants: { call: { view: any, export: { scope: own, when: { subject.region: north } } } } }
  - { role: night, only_on_shift: true, grants: { call: { listen: group } } }
";
    for tree in &trees {
        tree.write("packs/desk/catalogue.yaml", catalogue);
        tree.write("packs/desk/roles.yaml", roles);
        tree.write(
            "companies/acme/company.yaml",
            &(company("acme")
                + "
departments: [{ department: care }, { department: bank }]
groups: [{ group: g1, leaders: [ewa] }, { group: g2 }]
teams: [{ team: t1, users: [olga] }, { team: t2, users: [piotr] }]
shifts:
  - { shift: late, weekly: [{ days: [mon, tue], from: \"22:00\", to: \"06:00\" }] }
  - { shift: early, weekly: [{ days: [sun], from: \"06:00\", to: \"14:00\" }], off: [2026-12-27] }
"),
        );
        tree.write(
            "companies/acme/users.csv",
            "user,aliases,roles,group,departments,shift,active,properties.region
olga,o1,operator;night,g1,care,late,,north
piotr,,operator,g1,,,,
ewa,,operator,,,,,
jan,,operator,,,,,
",
        );
        tree.write(
            "companies/acme/objects.csv",
            "type,id,owner,operator_teams\nqueue,in,ewa,t1\nqueue,out,,\n",
        );
        tree.write(
            "companies/acme/projects.yaml",
            "projects: [{ project: p1, members: { users: [olga] } }]\n",
        );
    }
    let new = &trees[1];
    new.write(
        "packs/desk/catalogue.yaml",
        &catalogue
            .replace(
                "export: {}",
                "export: { requires: [view], via: [deal.view] }, rate: {}",
            )
            .replace("    parent: [queue]\n", ""),
    );
    new.write("companies/acme/company.yaml", &(company("acme") + "
security: enhanced
subject_types: [user, agent]
departments: [{ department: care, parent: bank }, { department: bank, leaders: [jan] }]
groups: [{ group: g1 }, { group: g2 }, { group: g3, roles: [{ role: night, projects: [p1], until: 2030-01-01T00:00:00Z }] }]
teams: [{ team: t1, users: [piotr] }, { team: t2, users: [piotr] }]
shifts:
  - { shift: late, weekly: [{ days: [mon, tue], from: \"22:00\", to: \"06:00\" }] }
  - { shift: early, weekly: [{ days: [sun], from: \"06:00\", to: \"14:00\" }], off: [2026-12-27] }
"));
    new.write(
        "companies/acme/users.csv",
        "user,aliases,roles,group,departments,shift,active,properties.region
olga.nowak,olga;o2,operator;night,g1,care,\"early\",,south
piotr,,operator,g3,bank,,,
ewa,,operator,,,,false,
lena,,operator,,,,,
",
    );
    new.write(
        "companies/acme/company.yaml",
        &std::fs::read_to_string(new.join("companies/acme/company.yaml"))
            .unwrap()
            .replace(", leaders: [jan]", ", leaders: [piotr, lena, olga]"),
    );
    new.write(
        "companies/acme/objects.csv",
        "type,id,owner,operator_teams\nqueue,in,piotr,t1;t2\nqueue,new,,\n",
    );
    new.write("companies/acme/projects.yaml", "projects: [{ project: p1, members: { users: [piotr] }, objects: { queue: [in] } }, { project: p2 }]\n");
    let (text, _) = ends(&diff(&trees, &[]), 0);
    let (_, text) = text.split_once('\n').unwrap();
    assert_eq!(
        text,
        "  users gain by their roles
    + call.export: own when subject.region is \"north\" -- 1 user: lena
    + call.listen: group (in p1, until 2030-01-01T00:00:00Z, on shift) -- 1 user: piotr
    + call.view: any -- 1 user: lena
  users lose by their roles
    - call.export: own when subject.region is \"north\" -- 2 users: ewa, jan
    - call.view: any -- 2 users: ewa, jan
  company
    ~ security: simple -> enhanced
    + subject type agent
  catalogue
    ~ type call: - parent queue
    ~ action call.export: + requires view
    ~ action call.export: + via deal.view
    + action call.rate
  places
    + group g3
    ~ parent of department care: none -> bank
    + project p2
  users
    - gone -- 1 user: jan
    + new -- 1 user: lena
    ~ id: olga -> olga.nowak -- 1 user: olga.nowak
    - active -- 1 user: ewa
    - aliases o1 -- 1 user: olga.nowak
    + aliases o2 -- 1 user: olga.nowak
    + role night (in p1, until 2030-01-01T00:00:00Z, on shift) -- 1 user: piotr
    - role operator -- 2 users: ewa, jan
    + role operator -- 1 user: lena
    ~ group: g1 -> g3 -- 1 user: piotr
    + department bank -- 1 user: piotr
    - team t1 -- 1 user: olga.nowak
    + team t1 -- 1 user: piotr
    - leads group g1 -- 1 user: ewa
    + leads department bank -- 1 user: olga.nowak
    - project default -- 1 user: piotr
    + project default -- 1 user: olga.nowak
    - project p1 -- 1 user: olga.nowak
    + project p1 -- 1 user: piotr
    ~ property region: \"north\" -> \"south\" -- 1 user: olga.nowak
    ~ shift: mon tue 22:00-06:00 -> sun 06:00-14:00, off 2026-12-27 -- 1 user: olga.nowak
  objects
    - gone queue -- 1 object: queue:out
    + new queue -- 1 object: queue:new
    ~ owner: ewa -> piotr -- 1 object: queue:in
    - project default -- 1 object: queue:in
    + project p1 -- 1 object: queue:in
    + operators: team t2 -- 1 object: queue:in
1 company: 1 differ
"
    );
}
