//! What may stop an activation, what is said of it, and what an operator may force.

use std::fs;
use std::process::Command;
use std::time::Duration;

use callgate::source::{FailedTests, Outcome, ReloadOptions, Settings};

use crate::fixture::{Running, Tree, USERS, company, settings, users};

const FORCE_TESTS: ReloadOptions = ReloadOptions {
    accept_failed_tests: true,
    accept_loss: false,
    accept_rollback: false,
};
const FORCE_LOSS: ReloadOptions = ReloadOptions {
    accept_failed_tests: false,
    accept_loss: true,
    accept_rollback: false,
};
const NO_FORCE: ReloadOptions = ReloadOptions {
    accept_failed_tests: false,
    accept_loss: false,
    accept_rollback: false,
};

/// A policy test that holds as long as olga may not listen.
const TESTS: &str = "\
tests:
  - name: olga does not listen
    user: olga
    action: listen
    resource: { type: call, id: c1 }
    expect: deny
";

fn acme(outcome: Outcome) -> (String, Outcome) {
    ("acme".to_owned(), outcome)
}

#[test]
fn a_broken_file_keeps_the_old_answers_and_says_file_and_line() {
    let tree = Tree::new();
    tree.company("bolt");
    let running = Running::start(tree.path(), settings());
    let fresh = running.companies.status("acme").unwrap().fresh_at;
    assert!(fresh.is_some());
    running.recorded();
    tree.write(
        "companies/acme/roles.yaml",
        "roles:\n  - role: x\n    grnats: {}\n",
    );
    let failure = running.fails("acme", "policy_errors");
    let place = ("companies/acme/roles.yaml".to_owned(), 3, 5);
    assert_eq!(failure.place, Some(place), "{}", failure.message);
    assert!(failure.message.contains("grnats"), "{}", failure.message);
    let fresh = running.companies.status("acme").unwrap().fresh_at;
    running.stays("the old answers", || {
        running.ask("acme", "olga", "view").as_deref() == Some("granted")
    });
    // It is tried, counted and dated once; meanwhile its age grows and others go on.
    assert_eq!(running.recorded(), [acme(Outcome::PolicyErrors)]);
    let status = running.companies.status("acme").unwrap();
    assert_eq!(status.failure, Some(failure));
    assert_eq!(status.fresh_at, fresh);
    tree.write("companies/bolt/users.csv", &users("listener"));
    running.until("bolt", || {
        running.recorded() == [("bolt".to_owned(), Outcome::Activated)]
    });
    assert_eq!(
        running.ask("bolt", "olga", "listen").as_deref(),
        Some("granted")
    );
    // Back to what runs: nothing to compile, nothing failed any more.
    fs::remove_file(tree.join("companies/acme/roles.yaml")).unwrap();
    running.until("fresh", || running.failure("acme").is_none());
    assert!(running.companies.status("acme").unwrap().fresh_at > fresh);
    assert_eq!(running.recorded(), []);
}

#[test]
fn a_company_broken_from_the_start_is_known_and_inactive_and_others_are_not() {
    let tree = Tree::new();
    tree.company("bolt");
    tree.write("companies/bolt/company.yaml", "company: [\n");
    let running = Running::start(tree.path(), settings());
    assert!(running.failure("bolt").is_some());
    assert!(running.companies.load("bolt").is_none());
    assert!(running.ask("acme", "olga", "view").is_some());
    tree.write("companies/bolt/company.yaml", &company("bolt"));
    running.until("mended", || running.ask("bolt", "olga", "view").is_some());
    running.until("no failure", || running.failure("bolt").is_none());
}

#[test]
fn a_failed_policy_test_refuses_until_a_reload_accepts_it() {
    let tree = Tree::new();
    tree.write("companies/acme/tests.yaml", TESTS);
    let running = Running::start(tree.path(), settings());
    assert_eq!(running.recorded(), [acme(Outcome::Activated)]);
    tree.write("companies/acme/users.csv", &users("listener"));
    let failure = running.fails("acme", "failed_tests");
    assert!(
        failure.message.contains("`olga does not listen` (companies/acme/tests.yaml:2): expected deny, got allow (granted)"),
        "{}",
        failure.message
    );
    let (file, line, _) = failure.place.unwrap();
    assert_eq!((file.as_str(), line), ("companies/acme/tests.yaml", 2));
    assert!(!running.listens());
    running.reload(NO_FORCE);
    assert!(!running.listens());
    running.reload(FORCE_LOSS);
    assert!(!running.listens());
    running.reload(FORCE_TESTS);
    assert!(running.listens(), "live when the reload answers");
    assert_eq!(running.failure("acme"), None);
    let refused = acme(Outcome::FailedTests);
    let expected = [
        refused.clone(),
        refused.clone(),
        refused,
        acme(Outcome::Forced),
    ];
    assert_eq!(running.recorded(), expected);
}

#[test]
fn a_failed_policy_test_may_only_warn() {
    let tree = Tree::new();
    tree.write("companies/acme/tests.yaml", TESTS);
    tree.write("companies/acme/users.csv", &users("listener"));
    let warn = Settings {
        failed_tests: FailedTests::Warn,
        ..settings()
    };
    let running = Running::start(tree.path(), warn);
    assert!(running.listens());
    assert_eq!(running.recorded(), [acme(Outcome::Activated)]);
}

#[test]
fn too_great_a_loss_is_refused_until_a_reload_accepts_it() {
    let tree = Tree::new();
    let running = Running::start(tree.path(), settings());
    let first = |count: usize, extra: &str| {
        let mut text = "user,roles\n".to_owned();
        for user in USERS.iter().take(count) {
            text.push_str(&format!("{user},operator\n"));
        }
        text + extra
    };
    // 2 of 10 is the share that may go.
    tree.write("companies/acme/users.csv", &first(8, ""));
    running.until("live", || {
        running.ask("acme", "lena", "view").as_deref() == Some("unknown_subject")
    });
    // As many as before, but not the same: who goes is counted, not how many stay.
    tree.write(
        "companies/acme/users.csv",
        &first(6, "x,operator\ny,operator\n"),
    );
    let failure = running.fails("acme", "too_great_loss");
    assert!(
        failure.message.contains("2 of 8 users"),
        "{}",
        failure.message
    );
    running.reload(FORCE_TESTS);
    assert_eq!(
        running.ask("acme", "zofia", "view").as_deref(),
        Some("granted")
    );
    running.reload(FORCE_LOSS);
    assert_eq!(
        running.ask("acme", "zofia", "view").as_deref(),
        Some("unknown_subject")
    );
    assert_eq!(running.failure("acme"), None);
}

#[test]
fn objects_are_not_lost_either() {
    let tree = Tree::new();
    let objects = |ids: &[&str]| {
        let rows: Vec<String> = ids.iter().map(|id| format!("queue,{id}\n")).collect();
        format!("type,id\n{}", rows.concat())
    };
    tree.write("companies/acme/objects.csv", &objects(&["a", "b", "c"]));
    let running = Running::start(tree.path(), settings());
    tree.write("companies/acme/objects.csv", &objects(&["a", "b"]));
    let failure = running.fails("acme", "too_great_loss");
    assert!(
        failure.message.contains("1 of 3 objects"),
        "{}",
        failure.message
    );
}

#[test]
fn a_change_that_changes_nothing_activates_nothing() {
    let tree = Tree::new();
    let running = Running::start(tree.path(), settings());
    let before = running.companies.status("acme").unwrap();
    running.recorded();
    let text = company("acme") + "# a word to the reader\n";
    tree.write("companies/acme/company.yaml", &text);
    running.until("tried", || {
        let record = running.recorded();
        record == [acme(Outcome::Unchanged)]
    });
    running.until("fresh", || {
        running.companies.status("acme").unwrap().fresh_at > before.fresh_at
    });
    assert_eq!(
        running.companies.status("acme").unwrap().loaded_at,
        before.loaded_at
    );
}

#[test]
fn a_missing_pack_is_found_when_it_comes() {
    let tree = Tree::new();
    fs::rename(tree.join("packs"), tree.join("later")).unwrap();
    let running = Running::start(tree.path(), settings());
    running.fails("acme", "policy_errors");
    fs::rename(tree.join("later"), tree.join("packs")).unwrap();
    running.until("live", || running.ask("acme", "olga", "view").is_some());
}

#[test]
fn only_the_companies_asked_for_are_activated() {
    let tree = Tree::new();
    tree.company("bolt");
    let only = Settings {
        only: ["bolt".to_owned()].into(),
        ..settings()
    };
    let running = Running::start(tree.path(), only);
    assert_eq!(running.companies.names(), ["bolt"]);
}

#[test]
fn a_source_that_comes_late_is_waited_for() {
    let outer = tempfile::tempdir().unwrap();
    let tree = Tree::new();
    let late = outer.path().join("policies");
    let running = Running::start_early(&late, settings());
    running.until("failure", || running.watcher().failure().is_some());
    assert!(!running.watcher().tried(), "nothing was tried yet");
    std::os::unix::fs::symlink(tree.path(), &late).unwrap();
    running.until("tried", || running.watcher().tried());
    assert!(running.ask("acme", "olga", "view").is_some());
}

/// Compiles the tree's companies into `folder` by the command.
fn compile(tree: &Tree, folder: &std::path::Path) {
    let done = Command::new(env!("CARGO_BIN_EXE_callgate"))
        .arg("compile")
        .arg(tree.path())
        .arg("-o")
        .arg(folder)
        .output()
        .unwrap();
    assert!(done.status.success(), "{done:?}");
}

#[test]
fn a_folder_of_snapshots_is_a_source_too() {
    let tree = Tree::new();
    tree.company("bolt");
    let folder = tempfile::tempdir().unwrap();
    compile(&tree, folder.path());
    let running = Running::start(folder.path(), settings());
    assert_eq!(running.companies.names(), ["acme", "bolt"]);
    assert!(!running.listens());
    tree.write("companies/acme/users.csv", &users("listener"));
    compile(&tree, folder.path());
    let took = running.until("live", || running.listens());
    assert!(took < Duration::from_secs(1), "{took:?}");
    // Damaged, cut short, empty, another company's: what ran goes on.
    let file = folder.path().join("acme.callgate");
    let whole = fs::read(&file).unwrap();
    for bytes in [&whole[..whole.len() - 1], &whole[..10], b""] {
        fs::write(&file, bytes).unwrap();
        running.fails("acme", "bad_snapshot");
        assert!(running.listens());
        fs::write(&file, &whole).unwrap();
        running.until("mended", || running.failure("acme").is_none());
    }
    fs::copy(folder.path().join("bolt.callgate"), &file).unwrap();
    let failure = running.fails("acme", "other_company");
    assert!(failure.message.contains("`bolt`"), "{failure:?}");
    assert!(running.listens());
}

#[test]
fn after_shutdown_a_reload_is_an_error_and_answers_go_on() {
    let tree = Tree::new();
    let running = Running::start(tree.path(), settings());
    let handle = running.watcher();
    // The admin listener keeps it in a boxed future that may move between threads.
    fn movable(_: impl Send) {}
    movable(handle.reload(ReloadOptions::default()));
    handle.shutdown();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        // The thread may be about to stop: whichever way, an answer comes.
        while handle.reload(ReloadOptions::default()).await.is_ok() {}
    });
    assert!(running.ask("acme", "olga", "view").is_some());
}
