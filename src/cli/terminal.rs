//! What all subcommands say in the same way: formats, exit codes, refusals.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Serialize;
use serde_json::{Value, json};

use crate::policy::Diagnostics;
use crate::source::{self, Built, Outcome, Refusal, SourceError, Tree};

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exit {
    /// Done; allowed.
    Done = 0,
    /// A decision of deny, or a failed test.
    Denied = 1,
    /// Wrong use.
    Usage = 2,
    /// Errors in policies or snapshots.
    Policy = 3,
    /// Files or network.
    Io = 4,
}

/// What is printed to standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people
    Text,
    /// For programs: one document
    Json,
}

/// Arguments of every command that reads a source once.
#[derive(Debug, clap::Args)]
pub(crate) struct SourceArgs {
    /// A policy tree, a folder of snapshots, one snapshot, or the URL of published ones
    #[arg(value_name = "SOURCE", default_value = "policies")]
    pub(crate) source: PathBuf,
    /// Only this company
    #[arg(long, value_name = "NAME", global = true)]
    pub(crate) company: Option<String>,
    /// What is printed to standard output
    #[arg(long, value_enum, default_value = "text", global = true)]
    pub(crate) format: Format,
}

// === impl Exit ===

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

// === impl SourceArgs ===

impl SourceArgs {
    /// Reads the source; what is wrong is said on standard error.
    pub(crate) fn read(&self) -> Result<Tree, Exit> {
        let tree = read(&self.source)?;
        match &self.company {
            Some(name) if !tree.companies().any(|company| company == name) => {
                complain(&format!(
                    "no company `{name}` in `{}`; {}",
                    self.source.display(),
                    companies(&tree)
                ));
                Err(Exit::Usage)
            }
            _ => Ok(tree),
        }
    }

    /// The one company that is asked, whatever is wrong with others.
    pub(crate) fn build_one(&self) -> Result<Built, Exit> {
        let tree = self.read()?;
        let mut wanted = tree.companies().filter(|name| self.wants(name));
        let (Some(company), None) = (wanted.next(), wanted.next()) else {
            complain(&format!(
                "which company? Say `--company NAME`; {}",
                companies(&tree)
            ));
            return Err(Exit::Usage);
        };
        let built = tree
            .company(company)
            .and_then(|candidate| source::build(company, candidate));
        built.map_err(|refusal| {
            show_refusal(company, &refusal);
            exit_of(&refusal)
        })
    }

    /// Whether the company is asked for.
    pub(crate) fn wants(&self, company: &str) -> bool {
        self.company.as_deref().is_none_or(|name| name == company)
    }
}

/// Reads a source; what is wrong is said on standard error.
pub(crate) fn read(source: &Path) -> Result<Tree, Exit> {
    Tree::read(source).map_err(|error| {
        complain(&error.to_string());
        match error {
            SourceError::Empty { .. }
            | SourceError::TooMany { .. }
            | SourceError::NotASnapshot { .. } => Exit::Policy,
            SourceError::Unreadable { .. }
            | SourceError::Changing { .. }
            | SourceError::Unreachable(_)
            | SourceError::Thread(_) => Exit::Io,
        }
    })
}

/// The companies of a source, for a message.
pub(crate) fn companies(tree: &Tree) -> String {
    let names: Vec<&str> = tree.companies().take(20).collect();
    let more = match tree.companies().count().saturating_sub(names.len()) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("it has {}{more}", names.join(", "))
}

/// Writes to standard output. A reader that went away (`| head`) is no error of ours.
pub(crate) fn say(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Writes a document to standard output.
pub(crate) fn say_json(document: &impl Serialize) {
    let mut out = io::BufWriter::new(io::stdout().lock());
    // Whoever reads it may go before its end, as of any other output.
    let _ = serde_json::to_writer_pretty(&mut out, document);
    let _ = writeln!(out);
    let _ = out.flush();
}

/// Writes an error to standard error.
pub(crate) fn complain(message: &str) {
    let label = if coloured() {
        "\u{1b}[1;31merror\u{1b}[0m"
    } else {
        "error"
    };
    let _ = writeln!(io::stderr().lock(), "{label}: {message}");
}

/// Writes what belongs to an answer and is none to standard error.
pub(crate) fn remark(message: &str) {
    let _ = writeln!(io::stderr().lock(), "{message}");
}

/// Writes diagnostics to standard error.
pub(crate) fn show(diagnostics: &Diagnostics) {
    if !diagnostics.is_empty() {
        let text = diagnostics.render(coloured());
        let _ = writeln!(io::stderr().lock(), "{}\n", text.trim_end());
    }
}

/// Says why a company or pack is refused, on standard error.
pub(crate) fn show_refusal(what: &str, refusal: &Refusal) {
    match &refusal.diagnostics {
        Some(diagnostics) => show(diagnostics),
        None => complain(&format!("{what}: {}", refusal.message)),
    }
}

/// The same as a document.
pub(crate) fn refusal_json(refusal: &Refusal) -> Value {
    let mut document = json!({ "code": refusal.outcome.code() });
    match &refusal.diagnostics {
        Some(diagnostics) => merge(&mut document, json!(diagnostics)),
        None => merge(&mut document, json!({ "message": refusal.message })),
    }
    document
}

/// Adds the members of one object to another.
pub(crate) fn merge(document: &mut Value, more: Value) {
    if let (Value::Object(document), Value::Object(more)) = (document, more) {
        document.extend(more);
    }
}

/// How a command ends that met this refusal.
pub(crate) fn exit_of(refusal: &Refusal) -> Exit {
    match refusal.outcome {
        Outcome::Unreadable | Outcome::Changing => Exit::Io,
        _ => Exit::Policy,
    }
}

/// A failure to write a file.
pub(crate) fn cannot_write(path: &Path, error: &io::Error) -> Exit {
    complain(&format!("cannot write `{}`: {error}", path.display()));
    Exit::Io
}

/// A number with its noun.
pub(crate) fn count(number: usize, one: &str, many: &str) -> String {
    let mut text = String::new();
    let _ = write!(text, "{number} {}", if number == 1 { one } else { many });
    text
}

/// Whether standard error shows colours (<https://no-color.org>).
fn coloured() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty())
}
