//! Reading policy files: what is right is read as it is meant.

use callgate::policy::{Diagnostics, Files, Policy, Reading, read_company, read_pack};

use crate::policy_examples::{Tree, good};

fn files(tree: &Tree) -> Files {
    Files::new(
        tree.iter()
            .map(|(path, text)| (path.clone(), text.as_bytes().to_vec())),
    )
}

fn read(tree: &Tree) -> Reading {
    let shown = |found: Diagnostics| panic!("{found}");
    read_company(&files(tree), "demo").unwrap_or_else(shown)
}

fn demo(tree: &Tree) -> Policy {
    read(tree).policy
}

#[test]
fn the_model_s_examples_are_read() {
    let policy = demo(&good());
    println!("{policy:#?}");
    assert_eq!(policy.company, "demo");
}

#[test]
fn the_model_s_pack_is_read() {
    let pack = read_pack(&files(&good()), "oki-toki");
    let pack = pack.unwrap_or_else(|found| panic!("{found}")).policy;
    assert_eq!(pack.users.len(), 2);
    assert_eq!(pack.tests.len(), 1);
}
