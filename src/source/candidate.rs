//! What would become a company's snapshot, and the making of it.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;

use crate::decide::FailedTest;
use crate::policy::{self, Diagnostic, Diagnostics, Place, Policy, Severity};
use crate::snapshot::{Envelope, OpenError, SealError, Snapshot, Trust};

use super::Outcome;
use super::aside::{Hurry, LOOK};

/// What would become a company's snapshot.
#[derive(Debug)]
pub enum Candidate {
    /// The company's files and those of the packs.
    Policies(policy::Files),
    /// A compiled snapshot.
    Snapshot(Arc<[u8]>),
    /// A compiled snapshot in a file, which is read when it is made one.
    File(PathBuf),
}

/// Bytes of a file that are read at once.
const BUFFER_BYTES: usize = 1 << 20;

/// What became of a candidate.
pub struct Built {
    /// The snapshot; its tests are not asked yet.
    pub snapshot: Snapshot,
    /// What it was compiled from; a compiled snapshot does not tell.
    pub policy: Option<Policy>,
    /// What was around a compiled snapshot, if anything was.
    pub envelope: Option<Envelope>,
    /// What is allowed, but hardly meant.
    pub warnings: Diagnostics,
}

/// A file's path within the source, line and column.
pub type FilePlace = (String, u32, u32);

/// Why a candidate does not decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What kind of thing is wrong.
    pub outcome: Outcome,
    /// For people: everything that is wrong.
    pub message: String,
    /// File, line and column of the first error, where it has a place.
    pub place: Option<FilePlace>,
    /// The same in parts, where policy files are wrong.
    pub diagnostics: Option<Diagnostics>,
}

/// Makes the candidate a snapshot, whoever signed it. A bug met on the way is a refusal like others: it must not stop
/// the companies that come after.
///
/// # Errors
/// Whatever is wrong with the candidate.
pub fn build(company: &str, candidate: Candidate) -> Result<Built, Refusal> {
    caught(|| make(company, &candidate, &Trust::default()))
}

/// As [`build`], of what a trusted key signed alone; `None`: it had to stop, and is left behind.
///
/// It is made on a thread that ends with it: the memory that reading and compiling take, which is
/// a few times the snapshot's, is then nobody's, and can be given back.
pub(super) fn build_trusted(
    company: &str,
    candidate: Candidate,
    trust: &Trust,
    hurry: &Hurry,
) -> Option<Result<Built, Refusal>> {
    let (sender, built) = mpsc::channel();
    let (company, trust, heeded) = (company.to_owned(), trust.clone(), hurry.clone());
    let counted = hurry.count();
    let thread = thread::Builder::new().name("callgate-compile".to_owned());
    let started = thread.spawn(move || {
        heeded.watch_me();
        let made = caught(|| make(&company, &candidate, &trust));
        drop((candidate, counted));
        // Nobody waits for what was left behind.
        let _ = sender.send(made);
    });
    if let Err(error) = started {
        let message = format!("the system gives no thread to compile on: {error}");
        return Some(Err(Refusal::new(Outcome::Unreadable, message)));
    }
    let built = loop {
        match built.recv_timeout(LOOK) {
            Ok(built) => break Some(built),
            Err(RecvTimeoutError::Timeout) if hurry.is_set() => break None,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break Some(Err(bug("no message"))),
        }
    };
    hurry.watch_me();
    built
}

fn make(company: &str, candidate: &Candidate, trust: &Trust) -> Result<Built, Refusal> {
    match candidate {
        Candidate::Policies(_) if trust.demands() => Err(unsigned_policies()),
        Candidate::Policies(files) => from_policies(company, files),
        Candidate::Snapshot(bytes) => {
            from_snapshot(company, &mut &**bytes, bytes.len() as u64, trust)
        }
        Candidate::File(path) => from_file(company, path, trust),
    }
}

/// What `make` returns, or that it met a bug.
fn caught(make: impl FnOnce() -> Result<Built, Refusal>) -> Result<Built, Refusal> {
    catch_unwind(AssertUnwindSafe(make)).unwrap_or_else(|panic| {
        let said = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied());
        Err(bug(said.unwrap_or("no message")))
    })
}

fn bug(said: &str) -> Refusal {
    Refusal::new(
        Outcome::Internal,
        format!("callgate failed on this policy, which is a bug in callgate: {said}"),
    )
}

/// What the failed tests show, a line each.
#[must_use]
pub fn failed_tests_message(
    failed: &[FailedTest],
    place: impl Fn(&str) -> Option<FilePlace>,
) -> String {
    let line = |test: &FailedTest| {
        let place = place(&test.name);
        let place = place.map_or(String::new(), |(file, line, _)| format!(" ({file}:{line})"));
        let (decision, reason) = &test.expected;
        let expected = match reason {
            Some(reason) => format!("{decision} ({reason})"),
            None => decision.to_string(),
        };
        let (decision, reason) = &test.actual;
        format!(
            "test `{}`{place}: expected {expected}, got {decision} ({reason})",
            test.name
        )
    };
    failed.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn from_policies(company: &str, files: &policy::Files) -> Result<Built, Refusal> {
    let reading = policy::read_company(files, company).map_err(Refusal::from)?;
    let snapshot = Snapshot::compile(&reading.policy)
        .map_err(|error| Refusal::new(Outcome::TooLarge, error.to_string()))?;
    Ok(Built {
        snapshot,
        policy: Some(reading.policy),
        envelope: None,
        warnings: reading.warnings,
    })
}

#[cold]
fn unsigned_policies() -> Refusal {
    let message = "policies cannot be signed, and only what a trusted key signed is taken \
                   (`--trust-key`): compile and sign them, or publish them";
    Refusal::new(Outcome::Unsigned, message.to_owned())
}

fn from_file(company: &str, path: &std::path::Path, trust: &Trust) -> Result<Built, Refusal> {
    let unreadable = |error: io::Error| {
        let message = format!("cannot read `{}`: {error}", path.display());
        Refusal::new(Outcome::Unreadable, message)
    };
    let file = File::open(path).map_err(unreadable)?;
    let length = file.metadata().map_err(unreadable)?.len();
    let mut file = BufReader::with_capacity(BUFFER_BYTES, file);
    from_snapshot(company, &mut file, length, trust)
}

pub(crate) fn from_snapshot(
    company: &str,
    from: &mut dyn Read,
    length: u64,
    trust: &Trust,
) -> Result<Built, Refusal> {
    let opened = Snapshot::open(from, length, trust);
    let (snapshot, envelope) = opened.map_err(|error| {
        let outcome = match &error {
            OpenError::Io(_) => Outcome::Unreadable,
            OpenError::Format(_) => Outcome::BadSnapshot,
            OpenError::Seal(error) => outcome_of(error),
        };
        Refusal::new(outcome, format!("`{company}.callgate`: {error}"))
    })?;
    if snapshot.company() != company {
        let message = format!(
            "`{company}.callgate` holds the snapshot of `{}`",
            snapshot.company()
        );
        return Err(Refusal::new(Outcome::OtherCompany, message));
    }
    Ok(Built {
        snapshot,
        policy: None,
        envelope,
        warnings: Diagnostics::default(),
    })
}

/// What kind of thing is wrong with an envelope.
pub(crate) fn outcome_of(error: &SealError) -> Outcome {
    match error {
        SealError::Malformed(_) | SealError::Version(_) | SealError::OtherBody => {
            Outcome::BadSnapshot
        }
        SealError::Unsigned => Outcome::Unsigned,
        SealError::Untrusted(_) => Outcome::UntrustedKey,
        SealError::WrongSignature(_) => Outcome::WrongSignature,
        SealError::OtherCompany { .. } => Outcome::OtherCompany,
    }
}

/// Where a place of the policy is, for people.
#[must_use]
pub fn file_place(policy: &Policy, place: Place) -> FilePlace {
    let file = usize::try_from(place.file).ok();
    let file = file.and_then(|file| policy.files.get(file));
    (file.cloned().unwrap_or_default(), place.line, place.column)
}

/// Where the policy test of this name stands.
#[must_use]
pub fn test_place(policy: &Policy, name: &str) -> Option<FilePlace> {
    let test = policy.tests.iter().find(|test| test.name == name)?;
    Some(file_place(policy, test.place))
}

// === impl Built ===

impl Built {
    /// The packs whose files it was read from.
    pub(crate) fn packs(&self) -> BTreeSet<String> {
        let files = self.policy.iter().flat_map(|policy| &policy.files);
        let pack = |file: &String| Some(file.strip_prefix("packs/")?.split_once('/')?.0.to_owned());
        files.filter_map(pack).collect()
    }

    /// Where the policy test of this name stands.
    pub(crate) fn test_place(&self, name: &str) -> Option<FilePlace> {
        test_place(self.policy.as_ref()?, name)
    }
}

// === impl Refusal ===

impl Refusal {
    /// A refusal without a place.
    #[must_use]
    pub fn new(outcome: Outcome, message: String) -> Self {
        Self {
            outcome,
            message,
            place: None,
            diagnostics: None,
        }
    }
}

impl From<Diagnostics> for Refusal {
    fn from(diagnostics: Diagnostics) -> Self {
        let error = |found: &&Diagnostic| found.severity == Severity::Error;
        let place = diagnostics.iter().find(error).map(|first| {
            let at = &first.location;
            (at.file.to_string(), at.line, at.column)
        });
        Self {
            place,
            message: diagnostics.to_string(),
            diagnostics: Some(diagnostics),
            ..Self::new(Outcome::PolicyErrors, String::new())
        }
    }
}
