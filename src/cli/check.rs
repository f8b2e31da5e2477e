//! `callgate check`: everything that is wrong in all companies and packs, at once.

use std::collections::BTreeSet;
use std::process::ExitCode;

use serde_json::{Value, json};

use crate::policy::{self, Diagnostics};
use crate::source::{self, Kind, Refusal, Tree};

use super::terminal::{self, Exit, Format, SourceArgs};

/// Arguments of `callgate check`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    source: SourceArgs,
}

/// What was found so far.
#[derive(Default)]
struct Findings {
    text: bool,
    exit: Option<Exit>,
    errors: usize,
    warnings: usize,
    /// A pack's mistakes are told once, not again for each company that uses it.
    told: BTreeSet<String>,
}

/// Validates, and prints what is wrong.
pub(crate) fn run(args: Args) -> ExitCode {
    check(&args).unwrap_or_else(|exit| exit).into()
}

fn check(args: &Args) -> Result<Exit, Exit> {
    let tree = args.source.read()?;
    let mut findings = Findings {
        text: args.source.format == Format::Text,
        ..Findings::default()
    };
    let mut packs = Vec::new();
    // With one company asked for, its pack is read with it; others do not matter.
    if tree.kind() == Kind::Policies && args.source.company.is_none() {
        for pack in tree.packs() {
            let found = findings.take(pack, pack_of(&tree, pack));
            packs.push(named("pack", pack, found));
        }
    }
    let mut companies = Vec::new();
    for company in tree.companies().filter(|name| args.source.wants(name)) {
        let built = tree
            .company(company)
            .and_then(|candidate| source::build(company, candidate))
            .map(|built| built.warnings);
        let found = findings.take(company, built);
        companies.push(named("company", company, found));
    }
    match args.source.format {
        Format::Json => {
            terminal::say_json(&json!({ "packs": packs, "companies": companies }));
        }
        Format::Text => terminal::say(&format!(
            "{}, {}: {}, {}\n",
            terminal::count(companies.len(), "company", "companies"),
            terminal::count(packs.len(), "pack", "packs"),
            terminal::count(findings.errors, "error", "errors"),
            terminal::count(findings.warnings, "warning", "warnings"),
        )),
    }
    Ok(findings.exit.unwrap_or(Exit::Done))
}

fn pack_of(tree: &Tree, pack: &str) -> Result<Diagnostics, Refusal> {
    let files = tree.pack_files()?;
    let reading = policy::read_pack(&files, pack).map_err(Refusal::from)?;
    Ok(reading.warnings)
}

fn named(kind: &str, name: &str, more: Value) -> Value {
    let mut document = json!({ kind: name });
    terminal::merge(&mut document, more);
    document
}

// === impl Findings ===

impl Findings {
    /// Prints and counts what was found, and gives it as a document.
    fn take(&mut self, what: &str, found: Result<Diagnostics, Refusal>) -> Value {
        let (document, diagnostics) = match found {
            Ok(warnings) => (json!({ "code": "ok" }), warnings),
            Err(refusal) => {
                self.exit = self.exit.max(Some(terminal::exit_of(&refusal)));
                let document = json!({ "code": refusal.outcome.code() });
                match refusal.diagnostics {
                    Some(diagnostics) => (document, diagnostics),
                    None => {
                        self.errors += 1;
                        if self.text {
                            terminal::complain(&format!("{what}: {}", refusal.message));
                        }
                        return named("message", &refusal.message, document);
                    }
                }
            }
        };
        let fresh = self.untold(diagnostics);
        if self.text {
            terminal::show(&fresh);
        }
        let mut document = document;
        terminal::merge(&mut document, json!(fresh));
        document
    }

    /// What was not told before.
    fn untold(&mut self, mut diagnostics: Diagnostics) -> Diagnostics {
        diagnostics.retain(|found| self.told.insert(found.to_string()));
        let warnings = diagnostics
            .iter()
            .filter(|found| found.severity == policy::Severity::Warning)
            .count();
        self.warnings += warnings;
        self.errors += diagnostics.len() - warnings;
        diagnostics
    }
}
