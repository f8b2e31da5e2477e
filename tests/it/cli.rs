//! The subcommands as processes: what they print, and how they end.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::fixture::{Tree, USERS, company, users};

/// Runs `callgate` with these arguments, the tree's path in place of `TREE`.
pub(crate) fn callgate(tree: &Tree, arguments: &[&str]) -> Output {
    let arguments = arguments.iter().map(|argument| match *argument {
        "TREE" => tree.path().as_os_str().to_owned(),
        other => other.into(),
    });
    Command::new(env!("CARGO_BIN_EXE_callgate"))
        .args(arguments)
        .output()
        .unwrap()
}

#[track_caller]
pub(crate) fn ends(output: &Output, code: i32) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{out}\n{err}");
    (out, err)
}

#[track_caller]
pub(crate) fn json(output: &Output, code: i32) -> Value {
    serde_json::from_str(&ends(output, code).0).unwrap()
}

const BROKEN: &str = "roles:\n  - role: x\n    grnats: {}\n  - role: z\n    title: [1]\n";

// --- compile ---

#[test]
fn compile_writes_one_file_a_company_and_leaves_nothing_else() {
    let tree = Tree::new();
    tree.company("bolt");
    let out = tree.join("out/deep");
    let out = out.to_str().unwrap();
    let (text, told) = ends(&callgate(&tree, &["compile", "TREE", "-o", out]), 0);
    assert_eq!(told, "");
    assert!(
        text.contains("acme.callgate: 10 users, 0 objects, revision "),
        "{text}"
    );
    let names = || {
        let entries = fs::read_dir(out).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(names(), ["acme.callgate", "bolt.callgate"]);
    let arguments = [
        "compile",
        "TREE",
        "-o",
        out,
        "--company",
        "acme",
        "--format",
        "json",
    ];
    let document = json(&callgate(&tree, &arguments), 0);
    assert_eq!(document["companies"][0]["users"], 10);
    assert_eq!(names(), ["acme.callgate", "bolt.callgate"]);
    tree.remove("companies/bolt");
    let (_, told) = ends(&callgate(&tree, &["compile", "TREE", "-o", out]), 0);
    assert!(told.contains("bolt.callgate: the source has no"), "{told}");
    assert!(!told.contains("acme.callgate"), "{told}");
    assert_eq!(names(), ["acme.callgate", "bolt.callgate"]);
}

#[test]
fn compile_is_a_function_of_what_is_said_and_not_of_how_it_is_ordered() {
    let (one, other) = (Tree::new(), Tree::new());
    let lines: Vec<String> = USERS
        .iter()
        .map(|user| format!("{user},operator"))
        .collect();
    let forward = format!("user,roles\n{}\n", lines.join("\n"));
    let lines: Vec<String> = USERS
        .iter()
        .rev()
        .map(|user| format!("operator,{user}"))
        .collect();
    let backward = format!("roles,user\r\n{}\r\n", lines.join("\r\n"));
    let roles = [
        "  - role: a\n    grants: { call: { view: any, export: own } }\n",
        "  - role: b\n    extends: [a, operator]\n    deny: [call.export, queue.view]\n",
    ];
    let swapped = [
        "  - role: b\n    deny: [queue.view, call.export]\n    extends: [operator, a]\n",
        "  - { role: a, grants: { call: { export: own, view: any } } } # as above\n",
    ];
    one.write("companies/acme/users.csv", &forward);
    one.write(
        "companies/acme/roles.yaml",
        &format!("roles:\n{}", roles.concat()),
    );
    // Written the other way round, lines and files.
    other.write(
        "companies/acme/roles.yaml",
        &format!("roles:\n{}", swapped.concat()),
    );
    other.remove("companies/acme");
    other.write(
        "companies/acme/roles.yaml",
        &format!("roles:\n{}", swapped.concat()),
    );
    other.write("companies/acme/users.csv", &backward);
    other.write("companies/acme/company.yaml", &company("acme"));
    let digest = |tree: &Tree| {
        let out = tree.join("out");
        ends(
            &callgate(tree, &["compile", "TREE", "-o", out.to_str().unwrap()]),
            0,
        );
        let bytes = fs::read(out.join("acme.callgate")).unwrap();
        bytes[16..48].to_vec()
    };
    assert_eq!(digest(&one), digest(&other), "the same policy");
    one.write("companies/acme/users.csv", &users("listener"));
    assert_ne!(digest(&one), digest(&other), "another policy");
}

#[test]
fn compile_refuses_the_broken_company_alone_and_leaves_its_old_file() {
    let tree = Tree::new();
    tree.company("bolt");
    let out = tree.join("out");
    let compile = |format| {
        callgate(
            &tree,
            &[
                "compile",
                "TREE",
                "-o",
                out.to_str().unwrap(),
                "--format",
                format,
            ],
        )
    };
    ends(&compile("text"), 0);
    let old = fs::read(out.join("acme.callgate")).unwrap();
    tree.write("companies/acme/roles.yaml", BROKEN);
    tree.write("companies/bolt/users.csv", &users("listener"));
    fs::remove_file(out.join("bolt.callgate")).unwrap();
    let (_, err) = ends(&compile("text"), 3);
    assert!(err.contains("companies/acme/roles.yaml:3:5"), "{err}");
    assert_eq!(fs::read(out.join("acme.callgate")).unwrap(), old);
    assert!(out.join("bolt.callgate").exists());
    let document = json(&compile("json"), 3);
    assert_eq!(document["companies"][0]["code"], "policy_errors");
    assert_eq!(document["companies"][1]["company"], "bolt");
}

#[test]
fn what_cannot_be_read_or_written_ends_with_4() {
    let tree = Tree::new();
    let nowhere = tree.join("nowhere");
    let (_, err) = ends(&callgate(&tree, &["check", nowhere.to_str().unwrap()]), 4);
    assert!(err.contains("nowhere"), "{err}");
    tree.write("file", "");
    let file = tree.join("file/out");
    ends(
        &callgate(&tree, &["compile", "TREE", "-o", file.to_str().unwrap()]),
        4,
    );
    ends(
        &callgate(&tree, &["check", "http://127.0.0.1:9/policies"]),
        4,
    );
    tree.remove("companies");
    ends(&callgate(&tree, &["check", "TREE"]), 3);
}

// --- check ---

#[test]
fn check_tells_all_mistakes_of_all_companies_at_once() {
    let tree = Tree::new();
    tree.company("bolt");
    let (text, err) = ends(&callgate(&tree, &["check", "TREE"]), 0);
    assert_eq!(
        (text.as_str(), err.as_str()),
        ("2 companies, 1 pack: 0 errors, 0 warnings\n", "")
    );
    tree.write("companies/acme/roles.yaml", BROKEN);
    tree.write("companies/bolt/users.csv", "user,roles\nolga,oprator\n");
    let (text, err) = ends(&callgate(&tree, &["check", "TREE"]), 3);
    for place in [
        "companies/acme/roles.yaml:3:5",
        "companies/acme/roles.yaml:5:12",
        "companies/bolt/users.csv:2:6",
    ] {
        assert!(err.contains(place), "{place}\n{err}");
    }
    assert!(
        err.contains("grants") && err.contains("operator"),
        "what was meant\n{err}"
    );
    assert!(
        !err.contains('\u{1b}'),
        "no colour where there is no terminal"
    );
    assert_eq!(text, "2 companies, 1 pack: 3 errors, 0 warnings\n");
    let document = json(&callgate(&tree, &["check", "TREE", "--format", "json"]), 3);
    assert_eq!(
        document["companies"][0]["diagnostics"][0]["location"]["line"],
        3
    );
    assert_eq!(
        document["companies"][1]["diagnostics"][0]["code"],
        "unknown_role"
    );
    assert_eq!(document["packs"][0]["code"], "ok");
    let arguments = ["check", "TREE", "--company", "acme"];
    let (_, err) = ends(&callgate(&tree, &arguments), 3);
    assert!(!err.contains("bolt"), "{err}");
    ends(
        &callgate(&tree, &["check", "TREE", "--company", "acmee"]),
        2,
    );
}

#[test]
fn a_packs_mistakes_are_told_once() {
    let tree = Tree::new();
    tree.company("bolt");
    tree.write(
        "packs/desk/roles.yaml",
        "roles:\n  - role: operator\n    grnats: {}\n",
    );
    let document = json(&callgate(&tree, &["check", "TREE", "--format", "json"]), 3);
    let told = |of: &Value| of["diagnostics"].as_array().unwrap().len();
    assert_eq!(told(&document["packs"][0]), 1, "{document:#}");
    for company in document["companies"].as_array().unwrap() {
        assert_eq!(
            (&company["code"], told(company)),
            (&Value::from("policy_errors"), 0)
        );
    }
}

// --- test ---

const TESTS: &str = "\
tests:
  - { name: all view, user: lena, action: view, resource: { type: call, id: c1 }, expect: allow }
  - { name: olga <listens>, user: olga, action: listen, resource: { type: call, id: c1 }, expect: allow, reason: granted }
  - { name: nobody exports, user: lena, action: export, resource: { type: call, id: c1 }, expect: deny }
";

#[test]
fn test_tells_what_failed_and_which_grants_no_test_touches() {
    let tree = Tree::new();
    tree.write("companies/acme/tests.yaml", TESTS);
    let own = "\
roles:
  - role: own
    grants:
      call: { view: any, export: own, listen: none }
      queue: any
";
    tree.write("companies/acme/roles.yaml", own);
    let mut all = users("listener");
    all.push_str("zed,own\n");
    tree.write("companies/acme/users.csv", &all);
    let extra = TESTS.to_owned()
        + "  - { name: zed views, user: zed, action: view, resource: { type: call, id: c1 }, expect: allow }\n";
    tree.write("companies/acme/tests.yaml", &extra);
    let (text, _) = ends(&callgate(&tree, &["test", "TREE", "--company", "acme"]), 0);
    assert!(
        text.contains("companies/acme: 4 tests, 0 failed; 2 grants no test touches"),
        "{text}"
    );
    assert!(
        text.contains(
            "companies/acme/roles.yaml:4: no test touches the grant `call.export` of role `own`"
        ),
        "{text}"
    );
    assert!(
        text.contains(
            "companies/acme/roles.yaml:5: no test touches the grant `queue.*` of role `own`"
        ),
        "{text}"
    );
    assert!(!text.contains("`call.view`"), "{text}");

    tree.write(
        "companies/acme/users.csv",
        &all.replace("olga,listener", "olga,operator"),
    );
    let junit = tree.join("junit.xml");
    let arguments = ["test", "TREE", "--junit", junit.to_str().unwrap()];
    let (text, _) = ends(&callgate(&tree, &arguments), 1);
    assert!(text.contains("companies/acme: test `olga <listens>` (companies/acme/tests.yaml:3): expected allow (granted), got deny (no_grant)"), "{text}");
    let xml = fs::read_to_string(junit).unwrap();
    assert!(
        xml.contains("<testsuite name=\"companies/acme\" tests=\"4\" failures=\"1\" errors=\"0\">"),
        "{xml}"
    );
    assert!(
        xml.contains(
            "<testcase name=\"olga &lt;listens&gt;\" classname=\"companies/acme\"><failure"
        ),
        "{xml}"
    );
    let arguments = ["test", "TREE", "--company", "acme", "--format", "json"];
    let document = json(&callgate(&tree, &arguments), 1);
    assert_eq!(
        document["suites"][0]["failed"][0]["actual"]["reason"],
        "no_grant"
    );
}

#[test]
fn test_runs_a_packs_tests_on_the_company_given_with_them() {
    let tree = Tree::new();
    let tests = "\
company:
  company: { company: small, pack: desk, time_zone: Europe/Warsaw }
  users: [{ user: olga, roles: [operator] }]
tests:
  - { name: views, user: olga, action: view, resource: { type: call, id: c1 }, expect: allow }
  - { name: listens, user: olga, action: listen, resource: { type: call, id: c1 }, expect: allow }
";
    tree.write("packs/desk/tests.yaml", tests);
    let (text, _) = ends(&callgate(&tree, &["test", "TREE"]), 1);
    assert!(
        text.contains("packs/desk: test `listens` (packs/desk/tests.yaml:6)"),
        "{text}"
    );
    assert!(
        text.contains("no test touches the grant `call.listen` of role `listener`"),
        "{text}"
    );
}

// --- decide ---

fn decide(tree: &Tree, more: &[&str]) -> Output {
    let mut arguments = vec!["decide", "TREE", "--subject", "olga"];
    arguments.extend(more);
    callgate(tree, &arguments)
}

#[test]
fn decide_says_allow_or_deny_with_text_and_exit_code() {
    let tree = Tree::new();
    let (text, _) = ends(
        &decide(&tree, &["--action", "view", "--resource", "call:c1"]),
        0,
    );
    assert_eq!(text, "allow: granted\n");
    let listen = ["--action", "listen", "--resource", "call:c1"];
    assert_eq!(ends(&decide(&tree, &listen), 1).0, "deny: no_grant\n");
    let section = ["--action", "view", "--resource", "call", "--section"];
    assert_eq!(ends(&decide(&tree, &section), 0).0, "allow: section\n");
    ends(
        &decide(&tree, &["--action", "view", "--resource", "call"]),
        2,
    );
    let explain = [&listen[..], &["--explain"]].concat();
    let (text, _) = ends(&decide(&tree, &explain), 1);
    assert!(
        text.contains("subject: user olga") && text.contains("\ndeny: no_grant\n"),
        "{text}"
    );
    assert!(text.contains("\n  role listener for olga\n"), "{text}");
    let explain = [&explain[..], &["--format", "json"]].concat();
    let document = json(&decide(&tree, &explain), 1);
    assert_eq!(document["decision"], false);
    assert_eq!(document["reason"], "no_grant");
    assert!(
        document["steps"].as_array().unwrap().len() > 2,
        "{document}"
    );
    let own = &document["steps"][0]["assignments"][0];
    assert_eq!(own["file"], "companies/acme/users.csv");
    let changes = document["suggestions"].as_array().unwrap().iter();
    let mut changes = changes.map(|one| &one["changes"][0]);
    let listener = changes.find(|change| change["role"] == "listener");
    assert_eq!(listener.unwrap()["change"], "assign_role");
}

#[test]
fn decide_reads_properties_context_and_time() {
    let tree = Tree::new();
    let roles = "\
roles:
  - role: exporter
    implicit: true
    grants:
      call:
        export: { scope: own, when: { context.amount: { at_most: 10 }, context.word: ten, subject.vip: true, action.fast: true } }
";
    tree.write("companies/acme/roles.yaml", roles);
    let users = users("operator").replace(
        "olga,operator",
        "olga,operator;listener@2026-01-01T00:00:00Z/2026-02-01T00:00:00Z",
    );
    tree.write("companies/acme/users.csv", &users);
    let base = [
        "--action",
        "export",
        "--resource",
        "call:c1",
        "--property",
        "owner=olga",
    ];
    let full = [
        &base[..],
        &["--context", "amount=7.5", "--context", "word=ten"],
        &[
            "--subject-property",
            "vip=true",
            "--action-property",
            "fast=true",
        ],
    ]
    .concat();
    ends(&decide(&tree, &full), 0);
    ends(&decide(&tree, &base), 1);
    let quoted: Vec<&str> = full
        .iter()
        .map(|word| match *word {
            "amount=7.5" => "amount=\"7.5\"",
            other => other,
        })
        .collect();
    ends(&decide(&tree, &quoted), 1);
    let at = |time| ["--action", "listen", "--resource", "call:c1", "--at", time];
    ends(&decide(&tree, &at("2026-01-31T23:59:59Z")), 0);
    ends(&decide(&tree, &at("2026-02-01T01:00:00+01:00")), 1);
    for wrong in [
        &["--at", "yesterday"][..],
        &["--context", "amount"],
        &["--context", "a=1", "--context", "a=2"],
        &["--context", "callgate={\"section\":true}"],
    ] {
        ends(&decide(&tree, &[&base[..], wrong].concat()), 2);
    }
}

#[test]
fn decide_wants_a_company_where_there_are_several_and_does_not_mind_the_others() {
    let tree = Tree::new();
    tree.company("bolt");
    let view = ["--action", "view", "--resource", "call:c1"];
    let (_, err) = ends(&decide(&tree, &view), 2);
    assert!(err.contains("acme, bolt"), "{err}");
    tree.write("companies/bolt/roles.yaml", BROKEN);
    ends(
        &decide(&tree, &[&view[..], &["--company", "acme"]].concat()),
        0,
    );
    let (_, err) = ends(
        &decide(&tree, &[&view[..], &["--company", "bolt"]].concat()),
        3,
    );
    assert!(err.contains("grnats"), "{err}");
}

#[test]
fn decide_reads_compiled_snapshots_too() {
    let tree = Tree::new();
    let out = tree.join("out");
    ends(
        &callgate(&tree, &["compile", "TREE", "-o", out.to_str().unwrap()]),
        0,
    );
    let ask = |folder: &Path| {
        let folder = folder.to_str().unwrap();
        let arguments = [
            "decide",
            folder,
            "--subject",
            "olga",
            "--action",
            "view",
            "--resource",
            "call:c1",
        ];
        callgate(&tree, &arguments)
    };
    ends(&ask(&out), 0);
    let mut bytes = fs::read(out.join("acme.callgate")).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(out.join("acme.callgate"), bytes).unwrap();
    let (_, err) = ends(&ask(&out), 3);
    assert!(err.contains("damaged"), "{err}");
}

#[test]
fn wrong_use_ends_with_2() {
    let tree = Tree::new();
    ends(&callgate(&tree, &[]), 2);
    ends(&callgate(&tree, &["compile", "TREE"]), 2);
    ends(&callgate(&tree, &["check", "TREE", "--format", "xml"]), 2);
    let check = [
        "decide",
        "TREE",
        "--subject=olga",
        "--action=view",
        "--resource=call:c",
    ];
    for moment in ["yesterday", "2026-03-02", "2026-03-02T23:00:00"] {
        let asked = [&check[..], &["--at", moment]].concat();
        let (_, err) = ends(&callgate(&tree, &asked), 2);
        assert!(err.contains("such as 2026-03-02T23:00:00+01:00"), "{err}");
    }
}
