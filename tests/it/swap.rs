//! A change made in any way is live within a second; nothing broken, empty or half written is.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{scope, sleep};
use std::time::Duration;

use callgate::source::{Outcome, ReloadOptions, Settings};

use crate::fixture::{Running, Tree, USERS, company, settings, users};

/// The page promises a second, and these companies compile in no time; twice that much is for a
/// machine whose cores are taken by others.
const LIVE: Duration = Duration::from_secs(3);

/// Without the system's hints, as on a network file system.
fn polling() -> Settings {
    Settings {
        hints: false,
        ..settings()
    }
}

/// Makes olga a listener by `change`, and an operator again, with and without hints.
fn live_both_ways(tree: &Tree, change: impl Fn(&str)) {
    live_after(&[Duration::ZERO], tree, change);
}

/// The same at once, while the file is young, and once its stamp is trusted.
fn live_young_and_old(tree: &Tree, change: impl Fn(&str)) {
    live_after(
        &[Duration::ZERO, Duration::from_millis(2_600)],
        tree,
        change,
    );
}

#[track_caller]
fn live_after(pauses: &[Duration], tree: &Tree, change: impl Fn(&str)) {
    for settings in [settings(), polling()] {
        let hints = settings.hints;
        let running = Running::start(tree.path(), settings);
        assert!(!running.listens());
        for pause in pauses {
            sleep(*pause);
            for (role, listens) in [("listener", true), ("operator", false)] {
                change(role);
                let took = running.until("live", || running.listens() == listens);
                println!("hints {hints}: live after {took:?}");
                assert!(took < LIVE, "hints {hints}: took {took:?}");
            }
        }
    }
}

#[test]
fn an_edit_in_place_is_live() {
    let tree = Tree::new();
    live_young_and_old(&tree, |role| {
        tree.write("companies/acme/users.csv", &users(role));
    });
}

#[test]
fn a_file_renamed_over_is_live() {
    let tree = Tree::new();
    live_both_ways(&tree, |role| {
        tree.rename_over("companies/acme/users.csv", &users(role));
    });
}

#[test]
fn an_edit_that_keeps_size_and_date_is_live() {
    let tree = Tree::new();
    live_young_and_old(&tree, |role| {
        tree.write("companies/acme/users.csv", &users(role));
        let file = fs::File::options()
            .append(true)
            .open(tree.join("companies/acme/users.csv"))
            .unwrap();
        file.set_modified(std::time::UNIX_EPOCH).unwrap();
    });
}

/// Kubernetes mounts a volume as links to `..data`, a link to a folder that is replaced at once.
fn mount(folder: &std::path::Path, version: &str, files: &[(&str, String)]) {
    let target = folder.join(format!("..{version}"));
    fs::create_dir_all(&target).unwrap();
    for (name, text) in files {
        fs::write(target.join(name), text).unwrap();
        let link = folder.join(name);
        if fs::symlink_metadata(&link).is_err() {
            symlink(format!("..data/{name}"), link).unwrap();
        }
    }
    let beside = folder.join("..data_tmp");
    symlink(format!("..{version}"), &beside).unwrap();
    fs::rename(beside, folder.join("..data")).unwrap();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        if name.starts_with("..2") && name != format!("..{version}") {
            fs::remove_dir_all(entry.path()).unwrap();
        }
    }
}

#[test]
fn a_data_link_swapped_under_a_company_is_live() {
    let tree = Tree::new();
    let version = std::cell::Cell::new(2000);
    let folder = tree.join("companies/acme");
    let swap = |role: &str| {
        version.set(version.get() + 1);
        let files = [
            ("company.yaml", company("acme")),
            ("users.csv", users(role)),
        ];
        mount(&folder, &version.get().to_string(), &files);
    };
    tree.remove("companies/acme");
    fs::create_dir(&folder).unwrap();
    swap("operator");
    live_both_ways(&tree, swap);
}

#[test]
fn a_link_to_the_whole_tree_swapped_is_live() {
    let (old, new) = (Tree::new(), Tree::new());
    new.write("companies/acme/users.csv", &users("listener"));
    let outer = tempfile::tempdir().unwrap();
    let current = outer.path().join("current");
    let lead_to = |tree: &Tree| {
        let beside = outer.path().join("next");
        symlink(tree.path(), &beside).unwrap();
        fs::rename(beside, &current).unwrap();
    };
    lead_to(&old);
    let running = Running::start(&current, settings());
    assert!(!running.listens());
    lead_to(&new);
    assert!(running.until("live", || running.listens()) < LIVE);
    // The hints must follow the link: an edit in the new tree.
    new.write("companies/acme/users.csv", &users("operator"));
    assert!(running.until("live", || !running.listens()) < LIVE);
}

#[test]
fn a_new_company_is_live_and_others_are_not_compiled_again() {
    let tree = Tree::new();
    let running = Running::start(tree.path(), settings());
    assert_eq!(
        running.recorded(),
        [("acme".to_owned(), Outcome::Activated)]
    );
    tree.company("bolt");
    let took = running.until("live", || running.ask("bolt", "olga", "view").is_some());
    assert!(took < LIVE, "took {took:?}");
    running.stays("compiled once", || running.companies.names().len() == 2);
    assert_eq!(
        running.recorded(),
        [("bolt".to_owned(), Outcome::Activated)]
    );
}

#[test]
fn a_changed_pack_compiles_its_companies_and_no_others() {
    let tree = Tree::new();
    tree.company("bolt");
    for file in ["catalogue.yaml", "roles.yaml"] {
        let text = fs::read_to_string(tree.join(&format!("packs/desk/{file}"))).unwrap();
        let text = text.replace("catalogue: desk", "catalogue: other");
        tree.write(&format!("packs/other/{file}"), &text);
    }
    let own = company("bolt").replace("pack: desk", "pack: other");
    tree.write("companies/bolt/company.yaml", &own);
    let running = Running::start(tree.path(), settings());
    assert_eq!(running.recorded().len(), 2);
    let text = fs::read_to_string(tree.join("packs/other/roles.yaml")).unwrap();
    let text = text.replace("view: any", "view: own");
    tree.write("packs/other/roles.yaml", &text);
    running.until("live", || {
        running.ask("bolt", "olga", "view").as_deref() == Some("out_of_scope")
    });
    running.reload(ReloadOptions::default());
    assert_eq!(
        running.recorded(),
        [("bolt".to_owned(), Outcome::Activated)]
    );
}

#[test]
fn a_removed_company_goes_after_the_grace_and_not_before() {
    let tree = Tree::new();
    tree.company("bolt");
    let running = Running::start(tree.path(), settings());
    tree.remove("companies/bolt");
    running.fails("bolt", "gone");
    assert!(
        running.ask("bolt", "olga", "view").is_some(),
        "still decides"
    );
    let took = running.until("gone", || running.companies.names() == ["acme"]);
    assert!(took > Duration::from_millis(500), "took {took:?}");
    assert!(running.ask("acme", "olga", "view").is_some());
}

#[test]
fn a_company_that_comes_back_within_the_grace_never_went() {
    let tree = Tree::new();
    tree.company("bolt");
    let running = Running::start(tree.path(), settings());
    tree.remove("companies/bolt");
    running.fails("bolt", "gone");
    tree.company("bolt");
    running.until("fresh", || running.failure("bolt").is_none());
    running.stays("decides", || running.ask("bolt", "olga", "view").is_some());
}

#[test]
fn no_company_goes_while_something_else_does_not_read() {
    let tree = Tree::new();
    tree.company("bolt");
    tree.company("core");
    let running = Running::start(tree.path(), settings());
    // The volume is half gone: one folder away, in another a link that leads nowhere.
    symlink("nowhere", tree.join("companies/core/roles.yaml")).unwrap();
    running.fails("core", "unreadable");
    tree.remove("companies/bolt");
    running.fails("bolt", "gone");
    running.stays("decides", || running.ask("bolt", "olga", "view").is_some());
    fs::remove_file(tree.join("companies/core/roles.yaml")).unwrap();
    running.until("gone", || running.companies.names() == ["acme", "core"]);
}

#[test]
fn an_empty_or_unreadable_tree_removes_nothing() {
    let tree = Tree::new();
    let running = Running::start(tree.path(), settings());
    fs::rename(tree.join("companies"), tree.join("elsewhere")).unwrap();
    running.fails("acme", "unreadable");
    running.until("failed", || running.watcher().failure().is_some());
    running.stays("decides", || running.ask("acme", "olga", "view").is_some());
    fs::create_dir(tree.join("companies")).unwrap();
    running.stays("decides", || running.ask("acme", "olga", "view").is_some());
    let failure = running.fails("acme", "unreadable");
    assert!(failure.message.contains("holds no company"), "{failure:?}");
    fs::remove_dir(tree.join("companies")).unwrap();
    fs::rename(tree.join("elsewhere"), tree.join("companies")).unwrap();
    running.until("fresh", || running.failure("acme").is_none());
    running.until("sound", || running.watcher().failure().is_none());
}

#[test]
fn the_last_company_does_not_go() {
    let tree = Tree::new();
    let running = Running::start(tree.path(), settings());
    tree.remove("companies/acme");
    running.fails("acme", "unreadable");
    running.stays("decides", || running.ask("acme", "olga", "view").is_some());
}

#[test]
fn an_emptied_folder_is_a_failure() {
    let tree = Tree::new();
    tree.company("bolt");
    let running = Running::start(tree.path(), settings());
    tree.remove("companies/acme");
    fs::create_dir(tree.join("companies/acme")).unwrap();
    running.fails("acme", "policy_errors");
    running.stays("decides", || running.ask("acme", "olga", "view").is_some());
    tree.write("companies/bolt/users.csv", "");
    running.fails("bolt", "policy_errors");
    assert!(running.ask("bolt", "lena", "view").is_some());
}

#[test]
fn a_half_written_file_is_not_taken() {
    let tree = Tree::new();
    let running = Running::start(tree.path(), settings());
    let mut file = fs::File::create(tree.join("companies/acme/users.csv")).unwrap();
    let text = users("listener");
    for line in text.split_inclusive('\n') {
        file.write_all(line.as_bytes()).unwrap();
        sleep(Duration::from_millis(15));
        for user in USERS {
            let reason = running.ask("acme", user, "view");
            assert_eq!(reason.as_deref(), Some("granted"), "{user}");
        }
    }
    drop(file);
    running.until("live", || running.listens());
    running.reload(ReloadOptions::default());
    assert_eq!(
        running.recorded(),
        [
            ("acme".to_owned(), Outcome::Activated),
            ("acme".to_owned(), Outcome::Activated)
        ]
    );
}

#[test]
fn a_company_in_motion_stops_no_other() {
    let tree = Tree::new();
    tree.company("bolt");
    let quick = Settings {
        restless_max: Duration::from_millis(500),
        ..settings()
    };
    let running = Running::start(tree.path(), quick);
    let stop = AtomicBool::new(false);
    scope(|scope| {
        scope.spawn(|| {
            let mut size = 0;
            while !stop.load(Ordering::Relaxed) {
                size += 1;
                tree.write("companies/bolt/roles.yaml", &"#".repeat(size));
                sleep(Duration::from_millis(10));
            }
        });
        running.fails("bolt", "changing");
        tree.write("companies/acme/users.csv", &users("listener"));
        let took = running.until("live", || running.listens());
        stop.store(true, Ordering::Relaxed);
        assert!(took < LIVE, "took {took:?}");
    });
}

#[test]
fn while_files_change_every_answer_is_the_old_or_the_new_one_and_it_changes_once() {
    let tree = Tree::new();
    let running = Running::start(tree.path(), settings());
    let stop = AtomicBool::new(false);
    scope(|scope| {
        let asked = scope.spawn(|| {
            let (mut asked, mut changes, mut last) = (0_u64, 0, false);
            let mut stopping = false;
            while !stopping {
                stopping = stop.load(Ordering::Relaxed);
                let reason = running.ask("acme", "olga", "listen");
                let now = match reason.as_deref() {
                    Some("granted") => true,
                    Some("no_grant") => false,
                    other => panic!("{other:?}"),
                };
                changes += u64::from(now != last);
                last = now;
                asked += 1;
            }
            (asked, changes)
        });
        for role in ["listener", "operator", "listener"] {
            tree.write("companies/acme/users.csv", &users(role));
            running.until("live", || running.listens() == (role == "listener"));
        }
        stop.store(true, Ordering::Relaxed);
        let (asked, changes) = asked.join().unwrap();
        assert!(asked > 1_000, "{asked}");
        assert_eq!(changes, 3);
    });
}

#[test]
fn the_replaced_snapshot_is_freed_by_the_watcher_and_not_by_who_held_it_last() {
    let tree = Tree::new();
    let running = Running::start(tree.path(), settings());
    let held = running.companies.load("acme").unwrap();
    let watched = std::sync::Arc::downgrade(&held);
    tree.write("companies/acme/users.csv", &users("listener"));
    running.until("live", || running.listens());
    sleep(Duration::from_millis(100));
    drop(held);
    assert!(watched.upgrade().is_some(), "dropping it freed nothing");
    running.until("freed", || watched.strong_count() == 0);
}
