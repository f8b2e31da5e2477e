//! What is said of wrong policy files, as data: each folder of `tests/errors` is a case.
//!
//! A case is one file or several, put into a small company, and `expected.txt`; see [`Case::read`].
//! `UPDATE_GOLDEN=1 cargo test --test it policy_errors` writes what is said now.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use callgate::policy::{Code, Diagnostics, Files, read_company, read_pack};

use crate::policy_examples::small;

/// One wrong tree, and what is said of it.
struct Case {
    folder: PathBuf,
    tree: Vec<(String, Vec<u8>)>,
    pack: bool,
}

impl Case {
    /// Reads a case. A file `roles.yaml` takes the place of the company's, `pack.roles.yaml` of the
    /// pack's; `NAME.absent` takes a file away. With a file `pack`, the pack alone is read.
    fn read(folder: &Path) -> Self {
        let mut tree: Vec<(String, Vec<u8>)> = small()
            .into_iter()
            .map(|(path, text)| (path, text.into_bytes()))
            .collect();
        let mut pack = false;
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let name = entry.file_name().into_string().unwrap();
            let path = |name: &str| match name.strip_prefix("pack.") {
                Some(name) => format!("packs/oki-toki/{name}"),
                None => format!("companies/demo/{name}"),
            };
            if name == "expected.txt" {
                continue;
            } else if name == "pack" {
                pack = true;
            } else if let Some(name) = name.strip_suffix(".absent") {
                tree.retain(|(other, _)| *other != path(name));
            } else {
                tree.retain(|(other, _)| *other != path(&name));
                tree.push((path(&name), fs::read(entry.path()).unwrap()));
            }
        }
        Self {
            folder: folder.to_owned(),
            tree,
            pack,
        }
    }

    fn said(&self) -> Diagnostics {
        let files = Files::new(self.tree.iter().cloned());
        let read = if self.pack {
            read_pack(&files, "oki-toki")
        } else {
            read_company(&files, "demo")
        };
        match read {
            Ok(reading) => reading.warnings,
            Err(errors) => errors,
        }
    }
}

fn cases() -> Vec<Case> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/errors");
    let mut folders: Vec<PathBuf> = fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    folders.sort();
    folders.iter().map(|folder| Case::read(folder)).collect()
}

#[test]
fn wrong_files_are_explained_as_expected() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut wrong = Vec::new();
    for case in cases() {
        let said = case.said().to_string();
        let path = case.folder.join("expected.txt");
        let expected = fs::read_to_string(&path).unwrap_or_default();
        if said == expected {
            continue;
        }
        if update {
            fs::write(&path, said).unwrap();
        } else {
            let name = case
                .folder
                .file_name()
                .unwrap()
                .to_string_lossy()
                .into_owned();
            wrong.push(format!("=== {name}: expected\n{expected}=== said\n{said}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_code_has_a_case() {
    let said: Vec<Diagnostics> = cases().iter().map(Case::said).collect();
    let seen: BTreeSet<&str> = said
        .iter()
        .flat_map(|said| said.iter().map(|found| found.code.name()))
        .collect();
    // A file that is too large is no fit case for a repository; see below.
    let small = |code: &&Code| **code != Code::TooLarge;
    let all: BTreeSet<&str> = Code::ALL
        .iter()
        .filter(small)
        .map(|code| code.name())
        .collect();
    let unseen: Vec<&&str> = all.difference(&seen).collect();
    assert!(unseen.is_empty(), "codes without a case: {unseen:?}");
}

#[test]
fn a_file_that_is_too_large_is_not_read() {
    let mut tree: Vec<(String, Vec<u8>)> = small()
        .into_iter()
        .map(|(path, text)| (path, text.into_bytes()))
        .collect();
    tree.push((
        "companies/demo/objects.csv".to_owned(),
        vec![b'a'; (256 << 20) + 1],
    ));
    let said = read_company(&Files::new(tree), "demo").unwrap_err();
    let codes: Vec<Code> = said.iter().map(|found| found.code).collect();
    assert_eq!(codes, [Code::TooLarge]);
}

#[test]
fn as_json_an_error_tells_code_place_and_advice() {
    let mut tree: Vec<(String, String)> = small();
    tree.push(("companies/demo/roles.yaml".into(), "rolse: []\n".into()));
    let said = read_company(
        &Files::new(
            tree.into_iter()
                .map(|(path, text)| (path, text.into_bytes())),
        ),
        "demo",
    )
    .unwrap_err();
    let location = |column: u32, end: u32| serde_json::json!({ "file": "companies/demo/roles.yaml", "line": 1, "column": column, "end_line": 1, "end_column": end });
    let expected = serde_json::json!({
        "diagnostics": [
            {
                "severity": "error",
                "code": "unknown_key",
                "message": "unknown key `rolse` in roles.yaml",
                "location": location(1, 6),
                "notes": [{ "kind": "help", "message": "did you mean `roles`?" }],
            },
            {
                "severity": "error",
                "code": "missing_key",
                "message": "roles.yaml lacks the key `roles`",
                "location": location(1, 6),
                "notes": [],
            },
        ],
        "omitted": 0,
    });
    assert_eq!(serde_json::to_value(&said).unwrap(), expected);
}
