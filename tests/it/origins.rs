//! Where lines stand goes with a snapshot and counts for nothing that decides.

use callgate::policy;
use callgate::snapshot::{FormatError, Snapshot};

use crate::fixture::{ROLES, Running, Tree, settings};
use crate::generate::{Company, Shape};

fn compile(files: &policy::Files) -> Snapshot {
    let reading = policy::read_company(files, "demo").unwrap();
    Snapshot::compile(&reading.policy).unwrap()
}

/// The company's files, and the same with comments and blank lines before all that they say.
fn both() -> (Snapshot, Snapshot) {
    let company = Company::generate(&Shape::S, 1);
    let texts = company.texts(false);
    let moved = texts.iter().map(|(path, text)| {
        let text = [b"# Nothing is changed by this.\n\n", &text[..]].concat();
        (path.clone(), text)
    });
    let moved = moved.collect::<policy::Files>();
    (compile(&company.files()), compile(&moved))
}

#[test]
fn a_comment_moves_lines_and_makes_no_new_revision() {
    let (before, after) = both();
    assert_eq!(before.digest(), after.digest());
    assert_eq!(before.revision(), after.revision());
    assert_ne!(before.file_digest(), after.file_digest());
    assert_ne!(before.to_bytes(), after.to_bytes());
    let diff = before.diff(&after);
    assert!(diff.changes.is_empty() && diff.gains.is_empty(), "{diff:?}");
}

#[test]
fn a_file_gives_back_all_of_it_and_shows_damage_anywhere() {
    let (snapshot, _) = both();
    let bytes = snapshot.to_bytes();
    let read = Snapshot::from_bytes(&bytes).unwrap();
    assert_eq!(read.file_digest(), snapshot.file_digest());
    assert_eq!(read.to_bytes(), bytes);
    // The last sections are those that do not decide.
    for at in [
        20,
        60,
        100,
        bytes.len() / 2,
        bytes.len() - 20,
        bytes.len() - 1,
    ] {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        let error = Snapshot::from_bytes(&damaged).err();
        let refused = matches!(
            error,
            Some(FormatError::Damaged(_) | FormatError::Incomplete)
        );
        assert!(refused, "byte {at}: {error:?}");
    }
}

#[test]
fn what_runs_learns_where_lines_stand_now() {
    let tree = Tree::new();
    let running = Running::start(tree.path(), settings());
    let before = running.companies.load("acme").unwrap();
    tree.write("packs/desk/roles.yaml", &format!("# A comment.\n{ROLES}"));
    let now = || running.companies.load("acme").unwrap();
    running.until("the new lines", || {
        now().file_digest() != before.file_digest()
    });
    assert_eq!(now().revision(), before.revision());
}
