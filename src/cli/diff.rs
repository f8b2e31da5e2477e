//! `callgate diff`: who gains and who loses what, between two sources.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;

use serde::ser::{Serialize, SerializeMap as _, SerializeSeq as _, Serializer};
use serde_json::Value;

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
    exit: Option<Exit>,
}

/// A company that differs or cannot be compared, as JSON.
#[derive(Default, serde::Serialize)]
struct Document<'d> {
    company: &'d str,
    event: &'static str,
    /// Why the older source does not compile.
    #[serde(skip_serializing_if = "Option::is_none")]
    old: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    new: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    old_revision: Option<&'d str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    new_revision: Option<&'d str>,
    /// Of a company that came or went; likewise the next two.
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<&'d str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    users: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    objects: Option<usize>,
    #[serde(flatten)]
    diff: Option<&'d Diff<'d>>,
}

/// The companies of both sources, compared one by one as they are written: at size L one fills
/// enough memory.
struct Companies<'c> {
    args: &'c Args,
    names: BTreeSet<&'c str>,
    old: &'c Tree,
    new: &'c Tree,
    outcomes: RefCell<Outcomes>,
}

/// Compares, and prints what differs.
pub(crate) fn run(args: Args) -> ExitCode {
    compare(&args).unwrap_or_else(|exit| exit).into()
}

fn compare(args: &Args) -> Result<Exit, Exit> {
    let (old, new) = (terminal::read(&args.old)?, terminal::read(&args.new)?);
    let names: BTreeSet<&str> = (old.companies().chain(new.companies()))
        .filter(|name| args.company.as_deref().is_none_or(|wanted| wanted == *name))
        .collect();
    if let (Some(name), true) = (&args.company, names.is_empty()) {
        let (old, new) = (terminal::companies(&old), terminal::companies(&new));
        terminal::complain(&format!(
            "no company `{name}` in either source; of the old one {old}; of the new one {new}"
        ));
        return Err(Exit::Usage);
    }
    let companies = Companies {
        args,
        names,
        old: &old,
        new: &new,
        outcomes: RefCell::default(),
    };
    match args.format {
        Format::Json => terminal::say_json(&companies),
        Format::Text => companies.say(),
    }
    let outcomes = companies.outcomes.into_inner();
    let happened = match args.fail_on {
        None => false,
        Some(FailOn::Gain) => outcomes.gain,
        Some(FailOn::Loss) => outcomes.loss,
        Some(FailOn::Any) => outcomes.differ > 0,
    };
    let exit = if happened { Exit::Denied } else { Exit::Done };
    Ok(exit.max(outcomes.exit.unwrap_or(Exit::Done)))
}

// === impl Companies ===

impl Serialize for Companies<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut document = serializer.serialize_map(Some(1))?;
        document.serialize_entry("companies", &Each(self))?;
        document.end()
    }
}

/// The list of them.
struct Each<'e>(&'e Companies<'e>);

impl Serialize for Each<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        // Whoever reads may go before the end: how the command ends depends on all companies.
        let mut told = Ok(());
        for company in &self.0.names {
            self.0.one(company, |document| {
                if told.is_ok() {
                    told = list.serialize_element(&document);
                }
            });
        }
        told?;
        list.end()
    }
}

impl Companies<'_> {
    /// All in words.
    fn say(&self) {
        for company in &self.names {
            self.one(company, |_| {});
        }
        let outcomes = self.outcomes.borrow();
        terminal::say(&format!(
            "{}: {} differ{}\n",
            terminal::count(self.names.len(), "company", "companies"),
            outcomes.differ,
            match outcomes.refused {
                0 => String::new(),
                refused => format!(", {refused} cannot be compared"),
            },
        ));
    }

    /// Compares one, and tells of it unless nothing differs.
    fn one(&self, company: &str, tell: impl FnOnce(Document<'_>)) {
        let text = self.args.format == Format::Text;
        let outcomes = &mut *self.outcomes.borrow_mut();
        // Both at once: at size L compiling takes longer than comparing.
        let (old, new) = thread::scope(|scope| {
            let old = scope.spawn(|| build(self.old, company));
            let new = build(self.new, company);
            let failed =
                || Refusal::new(Outcome::Internal, "the thread that reads it failed".into());
            (old.join().unwrap_or_else(|_| Some(Err(failed()))), new)
        });
        let mut document = Document {
            company,
            ..Document::default()
        };
        for (which, built, place) in [
            ("old", &old, &mut document.old),
            ("new", &new, &mut document.new),
        ] {
            if let Some(Err(refusal)) = built {
                outcomes.exit = outcomes.exit.max(Some(terminal::exit_of(refusal)));
                if text {
                    terminal::complain(&format!("{company}: the {which} source does not compile"));
                    terminal::show_refusal(company, refusal);
                }
                *place = Some(terminal::refusal_json(refusal));
            }
        }
        if document.old.is_some() || document.new.is_some() {
            outcomes.refused += 1;
            document.event = "refused";
            return tell(document);
        }
        let [old, new] = [old, new].map(|built| Some(built?.ok()?.snapshot));
        match (&old, &new) {
            (Some(old), Some(new)) => {
                let diff = old.diff(new);
                if diff.is_empty() {
                    return;
                }
                outcomes.gain |= diff.has_gain();
                outcomes.loss |= diff.has_loss();
                outcomes.differ += 1;
                if text {
                    terminal::say(&changed_text(old, new, &diff));
                }
                tell(Document {
                    event: "changed",
                    old_revision: Some(old.revision()),
                    new_revision: Some(new.revision()),
                    diff: Some(&diff),
                    ..document
                });
            }
            (None, None) => {}
            (gone, come) => {
                outcomes.gain |= come.is_some();
                outcomes.loss |= gone.is_some();
                outcomes.differ += 1;
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
                tell(Document {
                    event,
                    revision: Some(snapshot.revision()),
                    users: Some(snapshot.users()),
                    objects: Some(snapshot.objects()),
                    ..document
                });
            }
        }
    }
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
