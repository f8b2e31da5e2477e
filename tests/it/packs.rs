//! The packs and companies that callgate ships, and the pages that lead to them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use callgate::decide;
use callgate::policy::{self, Files, Policy};
use callgate::snapshot::Snapshot;

const PACKS: [&str; 3] = ["oki-toki", "liveagent", "bitrix24"];
const TESTS_MIN: usize = 60;
const USERS_MIN: usize = 60;

fn policies() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("policies")
}

/// The files of the tree that ships.
fn shipped() -> Files {
    let mut files = Vec::new();
    let mut folders = vec![policies()];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
        {
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path
                    .strip_prefix(policies())
                    .unwrap()
                    .to_string_lossy()
                    .into_owned();
                files.push((name, fs::read(&path).unwrap()));
            }
        }
    }
    Files::new(files)
}

fn pack(files: &Files, pack: &str) -> Policy {
    policy::read_pack(files, pack)
        .unwrap_or_else(|errors| panic!("{pack}:\n{errors}"))
        .policy
}

fn company(files: &Files, company: &str) -> Policy {
    policy::read_company(files, company)
        .unwrap_or_else(|errors| panic!("{company}:\n{errors}"))
        .policy
}

/// Asks a policy its own tests.
fn holds(policy: &Policy) {
    let snapshot = Snapshot::compile(policy).unwrap();
    assert_eq!(
        decide::replay(&snapshot, SystemTime::now().into()),
        [],
        "{}",
        policy.company
    );
}

#[test]
fn packs_decide_as_their_tests_say() {
    let files = shipped();
    assert_eq!(
        files.packs().collect::<BTreeSet<_>>(),
        PACKS.into_iter().collect()
    );
    for name in PACKS {
        let pack = pack(&files, name);
        assert!(
            pack.tests.len() >= TESTS_MIN,
            "{name} has {} tests",
            pack.tests.len()
        );
        holds(&pack);
    }
}

#[test]
fn companies_decide_as_their_tests_say_and_each_pack_has_a_large_one() {
    let files = shipped();
    let mut large = BTreeSet::new();
    for name in files.companies() {
        let company = company(&files, name);
        holds(&company);
        if company.users.len() >= USERS_MIN {
            large.insert(company.catalogue.name);
        }
    }
    assert_eq!(large, PACKS.into_iter().map(str::to_owned).collect());
}

/// The rows of a page's first table, without its head.
fn first_table(page: &str) -> Vec<Vec<&str>> {
    let lines = page.lines().skip_while(|line| !line.starts_with('|'));
    let rows = lines.take_while(|line| line.starts_with('|')).skip(2);
    rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect())
        .collect()
}

#[test]
fn every_fact_of_the_manuals_names_a_test_that_is_there() {
    let files = shipped();
    for name in PACKS {
        let page =
            fs::read_to_string(policies().join("packs").join(name).join("sources.md")).unwrap();
        let own = pack(&files, name);
        let facts = first_table(&page);
        assert!(facts.len() >= 20, "{name} tells {} facts", facts.len());
        for row in facts {
            let &[manual, fact, test] = row.as_slice() else {
                panic!("{name}: {row:?}")
            };
            assert!(
                !manual.is_empty() && !fact.is_empty() && !test.is_empty(),
                "{name}: {row:?}"
            );
            let elsewhere = test
                .strip_prefix("company/")
                .and_then(|rest| rest.split_once(": "));
            let found = match elsewhere {
                Some((of, test)) => company(&files, of).tests.iter().any(|has| has.name == test),
                None => own.tests.iter().any(|has| has.name == test),
            };
            assert!(
                found,
                "{name}: there is no test `{test}` for the fact `{fact}`"
            );
        }
    }
}

/// The files that a page shows: a line with the path alone, then a fenced block.
fn shown_files(page: &str) -> Vec<(String, String)> {
    let mut files = Vec::new();
    let mut lines = page.lines().peekable();
    while let Some(line) = lines.next() {
        let path = line
            .strip_prefix('`')
            .and_then(|rest| rest.trim_end_matches(':').strip_suffix('`'))
            .map(|path| path.strip_prefix("policies/").unwrap_or(path));
        if path.is_some() && lines.peek().is_some_and(|next| next.is_empty()) {
            lines.next();
        }
        let Some(path) = path.filter(|_| lines.peek().is_some_and(|next| next.starts_with("```")))
        else {
            continue;
        };
        lines.next();
        let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        files.push((path.to_owned(), block.join("\n") + "\n"));
    }
    files
}

#[test]
fn the_pack_of_one_s_own_that_the_page_writes_is_right() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/own-pack.md");
    let shown = shown_files(&fs::read_to_string(page).unwrap());
    assert_eq!(
        shown.len(),
        9,
        "{:?}",
        shown.iter().map(|(path, _)| path).collect::<Vec<_>>()
    );
    let files = Files::new(
        shown
            .into_iter()
            .map(|(path, text)| (path, text.into_bytes())),
    );
    let own = pack(&files, "ticketing");
    assert!(own.tests.len() > 10);
    holds(&own);
    for name in files.companies() {
        holds(&company(&files, name));
    }
}

/// The page's tree, in which users and objects stand twice: in YAML and in CSV.
#[test]
fn the_tree_that_the_page_of_policy_files_writes_is_right_in_both_forms() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/policy-files.md");
    let shown = shown_files(&fs::read_to_string(page).unwrap());
    for left_out in [".csv", "users.yaml", "objects.yaml"] {
        assert!(shown.iter().any(|(path, _)| path.ends_with(left_out)));
    }
    let without = |left_out: &[&str]| {
        let kept =
            (shown.iter()).filter(|(path, _)| !left_out.iter().any(|end| path.ends_with(end)));
        Files::new(kept.map(|(path, text)| (path.clone(), text.clone().into_bytes())))
    };
    for files in [without(&[".csv"]), without(&["users.yaml", "objects.yaml"])] {
        holds(&pack(&files, "desk"));
        let acme = company(&files, "acme");
        assert!(acme.tests.len() > 15);
        holds(&acme);
    }
}
