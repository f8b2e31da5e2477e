//! Rules of the house that the compiler does not hold.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Which modules a module may import. What a module may not import at all is not named.
const MAY_IMPORT: [(&str, &[&str]); 15] = [
    ("main", &["cli"]),
    (
        "cli",
        &[
            "access",
            "cli",
            "companies",
            "config",
            "decide",
            "identity",
            "journal",
            "model",
            "policy",
            "server",
            "snapshot",
            "source",
            "telemetry",
        ],
    ),
    ("access", &["access", "config", "telemetry"]),
    ("config", &["config"]),
    ("identity", &["identity", "config", "outbound", "telemetry"]),
    (
        "server",
        &[
            "server",
            "access",
            "companies",
            "config",
            "decide",
            "identity",
            "journal",
            "model",
            "snapshot",
            "telemetry",
        ],
    ),
    (
        "source",
        &[
            "source",
            "companies",
            "decide",
            "model",
            "policy",
            "snapshot",
            "telemetry",
        ],
    ),
    (
        "journal",
        &["journal", "config", "model", "outbound", "telemetry"],
    ),
    ("outbound", &[]),
    ("telemetry", &["telemetry", "companies", "model"]),
    ("companies", &["model", "snapshot"]),
    ("decide", &["decide", "model", "snapshot"]),
    ("snapshot", &["snapshot", "model", "policy"]),
    ("oracle", &["oracle", "model", "policy"]),
    ("policy", &["policy", "model"]),
];

/// Crates and modules of `std` that have no place in a module.
const MUST_NOT_NAME: [(&str, &[&str]); 6] = [
    (
        "decide",
        &[
            "tokio",
            "hyper",
            "serde",
            "serde_json",
            "dashmap",
            "arc_swap",
            "tracing",
            "prometheus",
            "std::fs",
            "std::time",
            "std::sync",
            "std::net::Tcp",
        ],
    ),
    ("snapshot", &["tokio", "hyper", "std::fs", "std::time"]),
    ("policy", &["tokio", "hyper", "std::fs", "std::time"]),
    ("oracle", &["tokio", "hyper", "std::fs", "std::time"]),
    ("companies", &["tokio", "hyper", "notify", "std::fs"]),
    ("source", &["hyper"]),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn files_below(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            files_below(&path, into);
        } else {
            into.push(path);
        }
    }
}

/// Source files by module, each as path and text without comments.
fn sources() -> BTreeMap<String, Vec<(PathBuf, String)>> {
    let mut files = Vec::new();
    files_below(&root().join("src"), &mut files);
    let mut modules = BTreeMap::<String, Vec<_>>::new();
    for path in files
        .into_iter()
        .filter(|path| path.extension().is_some_and(|end| end == "rs"))
    {
        let within = path.strip_prefix(root().join("src")).unwrap().to_owned();
        let module = within
            .iter()
            .next()
            .unwrap()
            .to_string_lossy()
            .trim_end_matches(".rs")
            .to_owned();
        let text = fs::read_to_string(&path).unwrap();
        let code = text
            .lines()
            .map(|line| line.split("//").next().unwrap_or_default());
        modules
            .entry(module)
            .or_default()
            .push((within, code.collect::<Vec<_>>().join("\n")));
    }
    modules
}

/// The names that follow `start` in `text` (`crate::` → the modules named).
fn names_after<'t>(text: &'t str, start: &str) -> Vec<&'t str> {
    let pieces = text.split(start).skip(1);
    let name = |piece: &'t str| {
        piece
            .split(|c: char| !c.is_alphanumeric() && c != '_')
            .next()
            .unwrap_or_default()
    };
    pieces.map(name).filter(|name| !name.is_empty()).collect()
}

#[test]
fn imports_point_down() {
    let sources = sources();
    for (module, may) in MAY_IMPORT {
        for (path, text) in sources.get(module).into_iter().flatten() {
            let start = if module == "main" {
                "callgate::"
            } else {
                "crate::"
            };
            for name in names_after(text, start) {
                let lower = name.chars().next().is_some_and(char::is_lowercase);
                assert!(
                    !lower || may.contains(&name),
                    "{} imports {name}",
                    path.display()
                );
            }
        }
    }
    for (path, text) in &sources["model"] {
        assert_eq!(
            names_after(text, "crate::"),
            Vec::<&str>::new(),
            "{}",
            path.display()
        );
        for name in ["tokio", "serde", "hyper", "jiff"] {
            assert!(
                !text.contains(&format!("{name}::")),
                "{} names {name}",
                path.display()
            );
        }
    }
}

#[test]
fn every_module_has_its_rule() {
    let known: Vec<&str> = MAY_IMPORT
        .iter()
        .map(|(module, _)| *module)
        .chain(["lib", "model"])
        .collect();
    for module in sources().keys() {
        assert!(
            known.contains(&module.as_str()),
            "no rule says what `{module}` may import"
        );
    }
}

#[test]
fn modules_name_no_crate_that_has_no_place_in_them() {
    let sources = sources();
    for (module, banned) in MUST_NOT_NAME {
        for (path, text) in sources.get(module).into_iter().flatten() {
            for name in banned {
                let named =
                    text.contains(&format!("{name}::")) || text.contains(&format!("use {name};"));
                assert!(!named, "{} names {name}", path.display());
            }
        }
    }
}

#[test]
fn the_root_holds_what_the_house_says() {
    let mut known = vec![
        "Cargo.toml",
        "Cargo.lock",
        "src",
        "policies",
        "benches",
        "deploy",
        "tests",
    ];
    known.extend(["docs", "README.md", "LICENSE", "target"]);
    for entry in fs::read_dir(root()).unwrap().map(Result::unwrap) {
        let name = entry.file_name().to_string_lossy().into_owned();
        assert!(
            name.starts_with('.') || known.contains(&name.as_str()),
            "`{name}` stands at the root"
        );
    }
}

#[test]
fn main_is_short_and_every_file_says_what_it_is() {
    for (path, _) in sources().into_values().flatten() {
        let text = fs::read_to_string(root().join("src").join(&path)).unwrap();
        assert!(
            text.starts_with("//!"),
            "{} does not begin with what it is",
            path.display()
        );
        let most = if path == Path::new("main.rs") {
            60
        } else {
            600
        };
        let lines = text.lines().count();
        assert!(
            lines <= most,
            "{} has {lines} lines, at most {most}",
            path.display()
        );
    }
}
