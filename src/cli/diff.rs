//! `callgate diff`: who gains and who loses what, between two sources.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Value, json};

use crate::snapshot::Snapshot;
use crate::snapshot::compare::Diff;
use crate::source::{self, Built, Outcome, Refusal, Tree};

use super::differences;
use super::terminal::{self, Exit, Format};

/// Arguments of `callgate diff`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A policy tree, a folder of snapshots, one snapshot, or the URL of published ones
    #[arg(value_name = "OLD")]
    old: PathBuf,
    /// What is compared with it
    #[arg(value_name = "NEW")]
    new: PathBuf,
    /// Only this company
    #[arg(long, value_name = "NAME")]
    company: Option<String>,
    /// What is printed to standard output
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// End with exit code 1 if this happened
    #[arg(long, value_enum, value_name = "WHAT")]
    fail_on: Option<FailOn>,
}

/// What a difference must bring to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum FailOn {
    /// Somebody gains, or may gain
    Gain,
    /// Somebody loses, or may lose
    Loss,
    /// Any answer may differ
    Any,
}

/// What became of the companies.
#[derive(Default)]
struct Outcomes {
    gain: bool,
    loss: bool,
    /// How many companies differ.
    differ: usize,
    /// How many cannot be compared.
    refused: usize,
    documents: Vec<Value>,
    exit: Option<Exit>,
}

/// Compares, and prints what differs.
pub(crate) fn run(args: Args) -> ExitCode {
    compare(&args).unwrap_or_else(|exit| exit).into()
}

fn compare(args: &Args) -> Result<Exit, Exit> {
    let (old, new) = (terminal::read(&args.old)?, terminal::read(&args.new)?);
    let companies: BTreeSet<&str> = (old.companies().chain(new.companies()))
        .filter(|name| args.company.as_deref().is_none_or(|wanted| wanted == *name))
        .collect();
    if let (Some(name), true) = (&args.company, companies.is_empty()) {
        let (old, new) = (terminal::companies(&old), terminal::companies(&new));
        terminal::complain(&format!(
            "no company `{name}` in either source; of the old one {old}; of the new one {new}"
        ));
        return Err(Exit::Usage);
    }
    let mut outcomes = Outcomes::default();
    for &company in &companies {
        one(args, company, &old, &new, &mut outcomes);
    }
    match args.format {
        Format::Json => terminal::say_json(&json!({ "companies": outcomes.documents })),
        Format::Text => terminal::say(&format!(
            "{}: {} differ{}\n",
            terminal::count(companies.len(), "company", "companies"),
            outcomes.differ,
            match outcomes.refused {
                0 => String::new(),
                refused => format!(", {refused} cannot be compared"),
            },
        )),
    }
    let happened = match args.fail_on {
        None => false,
        Some(FailOn::Gain) => outcomes.gain,
        Some(FailOn::Loss) => outcomes.loss,
        Some(FailOn::Any) => outcomes.differ > 0,
    };
    let exit = if happened { Exit::Denied } else { Exit::Done };
    Ok(exit.max(outcomes.exit.unwrap_or(Exit::Done)))
}

fn one(args: &Args, company: &str, old: &Tree, new: &Tree, outcomes: &mut Outcomes) {
    let text = args.format == Format::Text;
    // Both at once: at size L compiling takes longer than comparing.
    let (old, new) = std::thread::scope(|scope| {
        let old = scope.spawn(|| build(old, company));
        let new = build(new, company);
        let failed = || Refusal::new(Outcome::Internal, "the thread that reads it failed".into());
        (old.join().unwrap_or_else(|_| Some(Err(failed()))), new)
    });
    let mut document = json!({ "company": company });
    let mut refused = false;
    for (which, built) in [("old", &old), ("new", &new)] {
        if let Some(Err(refusal)) = built {
            refused = true;
            outcomes.exit = outcomes.exit.max(Some(terminal::exit_of(refusal)));
            if text {
                terminal::complain(&format!("{company}: the {which} source does not compile"));
                terminal::show_refusal(company, refusal);
            }
            let refusal = terminal::refusal_json(refusal);
            terminal::merge(&mut document, json!({ which: refusal }));
        }
    }
    if refused {
        outcomes.refused += 1;
        terminal::merge(&mut document, json!({ "event": "refused" }));
        outcomes.documents.push(document);
        return;
    }
    let [old, new] = [old, new].map(|built| Some(built?.ok()?.snapshot));
    let more = match (&old, &new) {
        (Some(old), Some(new)) => {
            let diff = old.diff(new);
            if diff.is_empty() {
                return;
            }
            outcomes.gain |= diff.has_gain();
            outcomes.loss |= diff.has_loss();
            // At size L either takes its time: only what is asked for is made.
            if text {
                terminal::say(&changed_text(old, new, &diff));
                Value::Null
            } else {
                changed_json(old, new, &diff)
            }
        }
        (None, None) => return,
        (gone, come) => {
            outcomes.gain |= come.is_some();
            outcomes.loss |= gone.is_some();
            let event = if come.is_some() { "added" } else { "removed" };
            let Some(snapshot) = come.as_ref().or(gone.as_ref()) else {
                return;
            };
            if text {
                terminal::say(&format!(
                    "{company}: {event}, with {} and {}\n",
                    terminal::count(snapshot.users(), "user", "users"),
                    terminal::count(snapshot.objects(), "object", "objects"),
                ));
            }
            json!({
                "event": event,
                "revision": snapshot.revision(),
                "users": snapshot.users(),
                "objects": snapshot.objects(),
            })
        }
    };
    outcomes.differ += 1;
    terminal::merge(&mut document, more);
    outcomes.documents.push(document);
}

/// The company in a source; `None` where the source has none of the name.
fn build(tree: &Tree, company: &str) -> Option<Result<Built, Refusal>> {
    let there = tree.companies().any(|name| name == company);
    there.then(|| {
        let candidate = tree.company(company)?;
        source::build(company, candidate)
    })
}

fn changed_text(old: &Snapshot, new: &Snapshot, diff: &Diff<'_>) -> String {
    format!(
        "{}: {} -> {}\n{}",
        new.company(),
        old.revision(),
        new.revision(),
        differences::text(diff)
    )
}

fn changed_json(old: &Snapshot, new: &Snapshot, diff: &Diff<'_>) -> Value {
    let mut document = json!({
        "event": "changed",
        "old_revision": old.revision(),
        "new_revision": new.revision(),
    });
    terminal::merge(&mut document, json!(diff));
    document
}
