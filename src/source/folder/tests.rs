//! The folder, changed in ways that a watcher meets.

use std::fs;
use std::os::unix::fs::symlink;
use std::thread::sleep;

use tempfile::TempDir;

use super::*;

const SETTLE: Duration = Duration::from_millis(20);

fn tree() -> TempDir {
    let tree = tempfile::tempdir().unwrap();
    for company in ["acme", "demo"] {
        fs::create_dir_all(tree.path().join("companies").join(company)).unwrap();
        write(&tree, &format!("companies/{company}/company.yaml"), company);
    }
    tree
}

fn write(tree: &TempDir, path: &str, text: &str) {
    fs::write(tree.path().join(path), text).unwrap();
}

fn company(name: &str) -> Unit {
    Unit::Company(name.to_owned())
}

/// Looks until all holds still.
fn still(folder: &mut Folder) -> BTreeMap<Unit, State> {
    loop {
        let states = folder.look(false).unwrap();
        let restless = |state: &State| matches!(state, State::Restless(_));
        if !states.values().any(restless) {
            return states;
        }
        sleep(SETTLE);
    }
}

#[test]
fn a_unit_is_read_only_once_it_holds_still() {
    let tree = tree();
    let mut folder = Folder::new(tree.path().to_owned(), SETTLE);
    let states = folder.look(false).unwrap();
    assert!(matches!(states[&company("demo")], State::Restless(_)));
    still(&mut folder);
    write(&tree, "companies/demo/users.csv", "user\n");
    let states = folder.look(false).unwrap();
    assert!(matches!(states[&company("demo")], State::Restless(_)));
    assert!(matches!(states[&company("acme")], State::Still(_)));
    let files = folder.read(&company("acme")).unwrap();
    assert_eq!(files["companies/acme/company.yaml"].as_ref(), b"acme");
}

#[test]
fn only_the_unit_that_changed_has_another_digest() {
    let tree = tree();
    let mut folder = Folder::new(tree.path().to_owned(), SETTLE);
    let before = still(&mut folder);
    write(&tree, "companies/demo/company.yaml", "demo, changed");
    let after = still(&mut folder);
    assert_ne!(before[&company("demo")], after[&company("demo")]);
    assert_eq!(before[&company("acme")], after[&company("acme")]);
    write(&tree, "companies/demo/company.yaml", "demo");
    assert_eq!(still(&mut folder), before);
}

#[test]
fn content_changed_behind_an_equal_stamp_is_found_while_it_is_young() {
    let tree = tree();
    let mut folder = Folder::new(tree.path().to_owned(), SETTLE);
    let before = still(&mut folder);
    // As if the file had been written twice within one tick of the clock.
    let known = folder.known.get_mut("companies/demo/company.yaml").unwrap();
    known.digest = blake3::hash(b"what stood there before");
    assert!(!known.sure);
    assert_eq!(still(&mut folder), before);
}

#[test]
fn an_old_stamp_is_trusted_until_a_full_look() {
    let tree = tree();
    let mut folder = Folder::new(tree.path().to_owned(), SETTLE);
    let before = still(&mut folder);
    let known = folder.known.get_mut("companies/demo/company.yaml").unwrap();
    known.digest = blake3::hash(b"something else");
    known.sure = true;
    assert_ne!(folder.look(false).unwrap(), before);
    assert_eq!(folder.look(true).unwrap(), before);
}

#[test]
fn bytes_that_were_not_digested_are_not_given() {
    let tree = tree();
    let mut folder = Folder::new(tree.path().to_owned(), SETTLE);
    still(&mut folder);
    write(&tree, "companies/demo/company.yaml", "half");
    let read = folder.read(&company("demo"));
    assert!(matches!(read, Err(ReadError::Changed)), "{read:?}");
}

#[test]
fn hidden_entries_and_other_files_are_no_policy() {
    let tree = tree();
    fs::create_dir(tree.path().join("companies/..2026_01_02")).unwrap();
    fs::create_dir(tree.path().join("companies/.git")).unwrap();
    write(&tree, "companies/README.md", "about");
    write(&tree, "companies/demo/README.md", "about");
    write(&tree, "companies/demo/users.yaml~", "about");
    write(&tree, "companies/demo/.users.yaml", "about");
    let mut folder = Folder::new(tree.path().to_owned(), SETTLE);
    let units = still(&mut folder);
    assert_eq!(units.len(), 2);
    let files = folder.read(&company("demo")).unwrap();
    assert_eq!(files.len(), 1);
}

#[test]
fn a_link_that_leads_nowhere_is_unreadable_and_others_read() {
    let tree = tree();
    symlink("nowhere", tree.path().join("companies/demo/users.csv")).unwrap();
    let mut folder = Folder::new(tree.path().to_owned(), SETTLE);
    let units = still(&mut folder);
    assert!(
        matches!(&units[&company("demo")], State::Unreadable(why) if why.contains("users.csv"))
    );
    assert!(matches!(units[&company("acme")], State::Still(_)));
}

#[test]
fn a_tree_without_companies_is_a_failure() {
    let tree = tree();
    let mut folder = Folder::new(tree.path().to_owned(), SETTLE);
    still(&mut folder);
    fs::remove_dir_all(tree.path().join("companies")).unwrap();
    let gone = folder.look(false);
    assert!(matches!(gone, Err(SourceError::Unreadable { .. })));
    fs::create_dir(tree.path().join("companies")).unwrap();
    assert!(matches!(folder.look(false), Err(SourceError::Empty { .. })));
    // A broken policy tree is not taken for a folder of snapshots.
    fs::remove_dir_all(tree.path().join("companies")).unwrap();
    write(&tree, "demo.callgate", "bytes");
    assert!(folder.look(false).is_err());
}

#[test]
fn snapshot_files_are_companies() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder, "demo.callgate", "bytes");
    write(&folder, ".demo.callgate.tmp", "half");
    let mut folder = Folder::new(folder.path().to_owned(), SETTLE);
    let units = still(&mut folder);
    assert_eq!(units.keys().collect::<Vec<_>>(), [&company("demo")]);
    assert_eq!(folder.kind(), Some(Kind::Snapshots));
}

#[test]
fn what_is_named_like_a_policy_file_and_is_none_is_not_passed_over() {
    let tree = tree();
    let mut folder = Folder::new(tree.path().to_owned(), Duration::ZERO);
    still(&mut folder);
    fs::create_dir(tree.path().join("companies/demo/roles.yaml")).unwrap();
    let states = still(&mut folder);
    let said = "`companies/demo/roles.yaml` is not a file".to_owned();
    assert_eq!(states[&company("demo")], State::Unreadable(said));
    assert!(matches!(states[&company("acme")], State::Still(_)));
}

#[test]
fn a_policy_file_that_lies_too_deep_is_handed_to_the_reader_which_refuses_it() {
    let tree = tree();
    for (path, text) in [("deep/roles.yaml", "roles: []"), ("notes/README", "x")] {
        let path = tree.path().join("companies/demo").join(path);
        fs::create_dir(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let mut folder = Folder::new(tree.path().to_owned(), Duration::ZERO);
    still(&mut folder);
    let files = folder.read(&company("demo")).unwrap();
    let names: Vec<&String> = files.keys().collect();
    assert_eq!(
        names,
        [
            "companies/demo/company.yaml",
            "companies/demo/deep/roles.yaml"
        ]
    );
}
