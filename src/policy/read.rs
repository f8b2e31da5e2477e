//! From the files of a company or pack to its resolved policy.

use super::company::{COMPANY, check_name};
use super::declare::Section;
use super::fields::Fields;
use super::load::{Folder, Loaded, Loads, open};
use super::names::meant;
use super::resolve::Documents;
use super::sink::{Finding, Sink};
use super::users::Rows;
use super::yaml::{Node, Value};
use super::{Code, Diagnostics, Files, Policy, text, yaml};

/// Files of a company and of a pack; others that look like policy are refused.
const COMPANY_FILES: &[&str] = &[
    "company.yaml",
    "objects.csv",
    "objects.yaml",
    "projects.yaml",
    "roles.yaml",
    "routes.yaml",
    "tests.yaml",
    "users.csv",
    "users.yaml",
];
const PACK_FILES: &[&str] = &["catalogue.yaml", "roles.yaml", "tests.yaml"];
/// A file with one key, and the key.
type Only = (&'static str, &'static str);
const ROLES: Only = ("roles.yaml", "roles");
const USERS: Only = ("users.yaml", "users");
const OBJECTS: Only = ("objects.yaml", "objects");
const PROJECTS: Only = ("projects.yaml", "projects");
const ROUTES: Only = ("routes.yaml", "routes");
const TESTS: Only = ("tests.yaml", "tests");
/// What a pack's tests.yaml says of the company that its tests run on: the files of a company,
/// beside `tests`, or all of them below `company`.
const PACK_TESTS: &[&str] = &["tests", "company", "roles", "users", "objects", "projects"];
const PACK_COMPANY: &[&str] = &["company", "roles", "users", "objects", "projects"];

/// A policy that was read, and what its author should look at.
#[derive(Clone, Debug)]
pub struct Reading {
    /// What the files say.
    pub policy: Policy,
    /// Things that are allowed, but hardly meant.
    pub warnings: Diagnostics,
}

/// Reads a company: its folder and its pack's.
///
/// # Errors
/// Everything that is wrong in any of its files, at once.
pub fn read_company(files: &Files, company: &str) -> Result<Reading, Diagnostics> {
    let pack = pack_of(files, company).filter(|pack| files.packs().any(|other| other == pack));
    let own = Folder::new(
        files,
        format!("companies/{company}/"),
        COMPANY_FILES,
        COMPANY_FILES,
    );
    let mut folders = vec![own.needing("company.yaml")];
    if let Some(pack) = &pack {
        // What a pack tests is the pack's own affair.
        let read: Vec<&str> = PACK_FILES
            .iter()
            .copied()
            .filter(|name| *name != "tests.yaml")
            .collect();
        let folder = Folder::new(files, format!("packs/{pack}/"), &read, PACK_FILES);
        folders.push(folder.needing("catalogue.yaml"));
    }
    let sink = open(&folders);
    let policy = {
        let mut loaded = folders.iter().map(|folder| folder.load(&sink));
        let own = loaded.next().unwrap_or_default();
        let pack = loaded.next();
        let packs: Vec<&str> = files.packs().collect();
        let root = company_fields(&sink, own.get("company.yaml").and_then(Loaded::root));
        if let Some(fields) = root {
            known_pack(&sink, fields.need("pack"), &packs);
        }
        let catalogue = pack.as_ref().and_then(|pack| pack.get("catalogue.yaml"));
        let documents = Documents {
            company: check_name(&sink, root.as_ref(), Some(company)),
            root,
            root_known: root.is_some(),
            catalogue: catalogue.and_then(Loaded::root),
            templates: match &pack {
                Some(pack) => section(&sink, pack, ROLES),
                None => Section::Broken,
            },
            roles: section(&sink, &own, ROLES),
            users: rows(&sink, &own, USERS, "users.csv"),
            objects: rows(&sink, &own, OBJECTS, "objects.csv"),
            projects: section(&sink, &own, PROJECTS),
            routes: section(&sink, &own, ROUTES),
            tests: section(&sink, &own, TESTS),
            needs_holders: true,
        };
        documents.policy(&sink)
    };
    finish(sink, policy)
}

/// Reads a pack: catalogue and roles, with the small company that its `tests.yaml` describes.
///
/// # Errors
/// Everything that is wrong in any of its files, at once.
pub fn read_pack(files: &Files, pack: &str) -> Result<Reading, Diagnostics> {
    let folder = Folder::new(files, format!("packs/{pack}/"), PACK_FILES, PACK_FILES);
    let folders = [folder.needing("catalogue.yaml")];
    let sink = open(&folders);
    let policy = {
        let loaded: Loads<'_> = folders
            .iter()
            .flat_map(|folder| folder.load(&sink))
            .collect();
        let tests = loaded.get("tests.yaml");
        let fields = tests
            .and_then(Loaded::root)
            .and_then(|root| root.fields(&sink, "tests.yaml of a pack", PACK_TESTS));
        let known = fields.is_some() || tests.is_none();
        let whole = fields.and_then(|fields| whole_company(&sink, fields.get("company")?));
        let given_tests = given(fields, "tests", known);
        let given = |key| given(whole.or(fields), key, known);
        let company = given("company");
        let root = company
            .node()
            .and_then(|node| company_fields(&sink, Some(node)));
        if let Some(fields) = &root {
            known_pack(&sink, fields.get("pack"), &[pack]);
        }
        let documents = Documents {
            company: check_name(&sink, root.as_ref(), None),
            root,
            root_known: root.is_some() || matches!(company, Section::Absent),
            catalogue: loaded.get("catalogue.yaml").and_then(Loaded::root),
            templates: section(&sink, &loaded, ROLES),
            roles: given("roles"),
            users: Rows::Tree(given("users")),
            objects: Rows::Tree(given("objects")),
            projects: given("projects"),
            routes: Section::Absent,
            tests: given_tests,
            needs_holders: root.is_some(),
        };
        documents.policy(&sink)
    };
    finish(sink, policy)
}

/// What stands under a key; `known` is false if nothing of the file could be read.
fn given<'t>(fields: Option<Fields<'t>>, key: &str, known: bool) -> Section<'t> {
    match fields.and_then(|fields| fields.get(key)) {
        Some(node) => Section::Is(node),
        None if known => Section::Absent,
        None => Section::Broken,
    }
}

/// The company below `company`, if all of its files stand there.
fn whole_company<'t>(sink: &'t Sink<'t>, node: &'t Node<'t>) -> Option<Fields<'t>> {
    let Value::Table(entries) = &node.value else {
        return None;
    };
    let is_whole = entries.iter().any(|entry| {
        let table = matches!(entry.value.value, Value::Table(_));
        PACK_COMPANY.contains(&entry.key.as_ref()) && (entry.key != "company" || table)
    });
    is_whole.then(|| node.fields(sink, "a pack's company", PACK_COMPANY))?
}

/// The files that a company is made of: its folder's and its pack's.
///
/// What is read from equal files is equal: a company whose files did not change need not be read
/// again.
#[must_use]
pub fn company_files(files: &Files, company: &str) -> Files {
    let mut folders = vec![format!("companies/{company}/")];
    folders.extend(pack_of(files, company).map(|pack| format!("packs/{pack}/")));
    let below = folders.iter().flat_map(|folder| {
        let files = files.below(folder);
        files.map(move |(name, content)| (format!("{folder}{name}"), content.clone()))
    });
    Files::new(below)
}

/// The pack that a company names, if its file can be read so far.
fn pack_of(files: &Files, company: &str) -> Option<String> {
    let path = format!("companies/{company}/company.yaml");
    let content = files.get(&path)?;
    let sink = Sink::new(vec![(path, content)]);
    let root = yaml::parse(&sink, 0, text::text(&sink, 0)?)?;
    let Value::Table(entries) = &root.value else {
        return None;
    };
    let pack = entries.iter().find(|entry| entry.key == "pack")?;
    match &pack.value.value {
        Value::Text(name) => Some(name.clone().into_owned()),
        _ => None,
    }
}

fn company_fields<'t>(sink: &'t Sink<'t>, node: Option<&'t Node<'t>>) -> Option<Fields<'t>> {
    node?.fields(sink, "a company", COMPANY)
}

/// Refuses a pack that is not there.
fn known_pack(sink: &Sink<'_>, node: Option<&Node<'_>>, packs: &[&str]) {
    let Some(word) = node.and_then(|node| node.text(sink, "the name of a pack")) else {
        return;
    };
    if !packs.contains(&word.text) {
        let message = format!("unknown pack `{}`", word.text);
        Finding::error(Code::UnknownPack, word.span(), message)
            .help_if(meant(sink, word.text, packs.iter().copied()))
            .report(sink);
    }
}

/// What stands under the only key of a file.
fn section<'t>(sink: &'t Sink<'t>, files: &'t Loads<'t>, (name, key): Only) -> Section<'t> {
    match files.get(name) {
        None => Section::Absent,
        Some(Loaded::Broken | Loaded::Table(_)) => Section::Broken,
        Some(Loaded::Tree(root)) => {
            let fields = root.fields(sink, name, &[key]);
            let node = fields.and_then(|fields| fields.need(key));
            node.map_or(Section::Broken, Section::Is)
        }
    }
}

/// Users or objects, as YAML or CSV.
fn rows<'t>(sink: &'t Sink<'t>, files: &'t Loads<'t>, tree: Only, table: &str) -> Rows<'t> {
    match (files.contains_key(tree.0), files.get(table)) {
        (false, Some(Loaded::Table(table))) => Rows::Table(table),
        (false, Some(_)) => Rows::Tree(Section::Broken),
        _ => Rows::Tree(section(sink, files, tree)),
    }
}

fn finish(sink: Sink<'_>, policy: Policy) -> Result<Reading, Diagnostics> {
    let failed = sink.has_errors();
    let diagnostics = sink.into_diagnostics();
    if failed {
        Err(diagnostics)
    } else {
        Ok(Reading {
            policy,
            warnings: diagnostics,
        })
    }
}
