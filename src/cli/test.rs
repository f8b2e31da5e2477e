//! `callgate test`: what the policies say they decide, asked of freshly compiled snapshots.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::SystemTime;

use serde_json::{Value, json};

use crate::decide::{self, FailedTest};
use crate::policy::{self, Policy};
use crate::snapshot::Snapshot;
use crate::source::{self, Built, FilePlace, Kind, Outcome, Refusal, Tree};

use super::coverage::{self, Untouched};
use super::junit::{self, Case, Problem};
use super::terminal::{self, Exit, Format, SourceArgs};

/// Arguments of `callgate test`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    source: SourceArgs,
    /// Also write the results as JUnit XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

/// The tests of a company or pack, and what became of them.
struct Suite {
    /// `companies/demo`
    name: String,
    result: Result<Results, Refusal>,
}

struct Results {
    count: usize,
    /// Names of all tests; a compiled snapshot tells those that failed alone.
    names: Vec<String>,
    failed: Vec<(FailedTest, Option<FilePlace>)>,
    /// Unknown for compiled snapshots.
    untouched: Option<Vec<Untouched>>,
}

/// Runs the tests and reports.
pub(crate) fn run(args: Args) -> ExitCode {
    test(&args).unwrap_or_else(|exit| exit).into()
}

fn test(args: &Args) -> Result<Exit, Exit> {
    let tree = args.source.read()?;
    let mut suites = Vec::new();
    if tree.kind() == Kind::Policies && args.source.company.is_none() {
        suites.extend(tree.packs().map(|pack| Suite {
            name: format!("packs/{pack}"),
            result: pack_results(&tree, pack),
        }));
    }
    let wanted = tree.companies().filter(|name| args.source.wants(name));
    suites.extend(wanted.map(|company| Suite {
        name: format!("companies/{company}"),
        result: company_results(&tree, company),
    }));
    match args.source.format {
        Format::Json => {
            let suites: Vec<Value> = suites.iter().map(Suite::json).collect();
            terminal::say_json(&json!({ "suites": suites }));
        }
        Format::Text => suites.iter().for_each(Suite::say),
    }
    if let Some(file) = &args.junit {
        let cases: Vec<junit::Suite> = suites.iter().map(Suite::junit).collect();
        let written = fs::write(file, junit::document(&cases));
        written.map_err(|error| terminal::cannot_write(file, &error))?;
    }
    Ok(suites.iter().map(Suite::exit).max().unwrap_or(Exit::Done))
}

fn pack_results(tree: &Tree, pack: &str) -> Result<Results, Refusal> {
    let reading = policy::read_pack(&tree.pack_files()?, pack).map_err(Refusal::from)?;
    let snapshot = Snapshot::compile(&reading.policy)
        .map_err(|error| Refusal::new(Outcome::TooLarge, error.to_string()))?;
    Ok(results(&snapshot, Some(&reading.policy), true))
}

fn company_results(tree: &Tree, company: &str) -> Result<Results, Refusal> {
    let Built {
        snapshot, policy, ..
    } = source::build(company, tree.company(company)?)?;
    Ok(results(&snapshot, policy.as_ref(), false))
}

/// `templates`: whether the pack's roles are what the tests are about, or the company's own.
fn results(snapshot: &Snapshot, policy: Option<&Policy>, templates: bool) -> Results {
    let failed = decide::replay(snapshot, SystemTime::now().into());
    let place = |name: &str| source::test_place(policy?, name);
    let names = match policy {
        Some(policy) => policy.tests.iter().map(|test| test.name.clone()).collect(),
        None => failed.iter().map(|test| test.name.clone()).collect(),
    };
    let placed = |test: FailedTest| {
        let place = place(&test.name);
        (test, place)
    };
    Results {
        count: snapshot.tests(),
        names,
        failed: failed.into_iter().map(placed).collect(),
        untouched: policy.map(|policy| coverage::untouched(policy, templates)),
    }
}

// === impl Suite ===

impl Suite {
    fn exit(&self) -> Exit {
        match &self.result {
            Ok(results) if results.failed.is_empty() => Exit::Done,
            Ok(_) => Exit::Denied,
            Err(refusal) => terminal::exit_of(refusal),
        }
    }

    fn say(&self) {
        let results = match &self.result {
            Ok(results) => results,
            Err(refusal) => return terminal::show_refusal(&self.name, refusal),
        };
        let mut text = String::new();
        for (test, place) in &results.failed {
            let line = source::failed_tests_message(std::slice::from_ref(test), |_| place.clone());
            text.push_str(&format!("{}: {line}\n", self.name));
        }
        for grant in results.untouched.iter().flatten() {
            let (file, line, _) = &grant.place;
            let what = &grant.what;
            text.push_str(&format!(
                "{file}:{line}: no test touches the grant {what}\n"
            ));
        }
        let untouched = results
            .untouched
            .as_ref()
            .map_or(String::new(), |untouched| {
                let grants = terminal::count(untouched.len(), "grant", "grants");
                format!("; {grants} no test touches")
            });
        text.push_str(&format!(
            "{}: {}, {} failed{untouched}\n",
            self.name,
            terminal::count(results.count, "test", "tests"),
            results.failed.len(),
        ));
        terminal::say(&text);
    }

    fn json(&self) -> Value {
        let mut document = json!({ "suite": self.name });
        let more = match &self.result {
            Err(refusal) => terminal::refusal_json(refusal),
            Ok(results) => json!({
                "tests": results.count,
                "failed": results.failed.iter().map(failed_json).collect::<Vec<_>>(),
                "untouched": results.untouched.as_ref().map(|untouched| {
                    untouched.iter().map(untouched_json).collect::<Vec<_>>()
                }),
            }),
        };
        terminal::merge(&mut document, more);
        document
    }

    fn junit(&self) -> junit::Suite {
        let case = |name: &str, result| Case {
            name: name.to_owned(),
            result,
        };
        let cases = match &self.result {
            Err(refusal) => {
                vec![case(
                    "compiles",
                    Err(Problem::Error(refusal.message.clone())),
                )]
            }
            Ok(results) => {
                let problem = |name: &str| {
                    let mut failed = results.failed.iter();
                    let (test, place) = failed.find(|(test, _)| test.name == name)?;
                    let tests = std::slice::from_ref(test);
                    let message = source::failed_tests_message(tests, |_| place.clone());
                    Some(Problem::Failure(message))
                };
                let tests = results.names.iter();
                tests
                    .map(|name| case(name, problem(name).map_or(Ok(()), Err)))
                    .collect()
            }
        };
        junit::Suite {
            name: self.name.clone(),
            cases,
        }
    }
}

fn failed_json((test, place): &(FailedTest, Option<FilePlace>)) -> Value {
    let (expected, expected_reason) = &test.expected;
    let (actual, actual_reason) = &test.actual;
    json!({
        "test": test.name,
        "expected": { "decision": expected.name(), "reason": expected_reason },
        "actual": { "decision": actual.name(), "reason": actual_reason },
        "place": place.as_ref().map(place_json),
    })
}

fn untouched_json(grant: &Untouched) -> Value {
    json!({ "grant": grant.what, "place": place_json(&grant.place) })
}

fn place_json((file, line, column): &FilePlace) -> Value {
    json!({ "file": file, "line": line, "column": column })
}
