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

#[test]
#[ignore = "reads the tree that CALLGATE_TREE names"]
fn a_tree_is_read() {
    let root = std::path::PathBuf::from(std::env::var("CALLGATE_TREE").unwrap());
    let mut all = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path
                    .strip_prefix(&root)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned();
                all.push((name, std::fs::read(&path).unwrap()));
            }
        }
    }
    let files = Files::new(all);
    for company in files.companies() {
        let started = std::time::Instant::now();
        let read = read_company(&files, company);
        println!("company {company}: {:?}", started.elapsed());
        match read {
            Ok(read) => println!("ok: {} users\n{}", read.policy.users.len(), read.warnings),
            Err(found) => println!("{found}"),
        }
    }
    for pack in files.packs() {
        match read_pack(&files, pack) {
            Ok(read) => println!("pack {pack} ok\n{}", read.warnings),
            Err(found) => println!("pack {pack}\n{found}"),
        }
    }
}
