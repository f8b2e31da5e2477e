//! `callgate inspect`: what a snapshot file holds.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;

use super::keys::{self, Read};
use super::terminal::{self, Exit, Format};
use crate::snapshot::Trust;

/// Arguments of `callgate inspect`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The snapshot file, with or without an envelope
    #[arg(value_name = "SNAPSHOT")]
    file: PathBuf,
    /// A key whose signatures are trusted, PEM; repeatable
    #[arg(long, value_name = "FILE")]
    trust_key: Vec<PathBuf>,
    /// What is printed to standard output
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// Reads and checks the file, and prints what it holds.
pub(crate) fn run(args: Args) -> ExitCode {
    inspect(&args).unwrap_or_else(|exit| exit).into()
}

fn inspect(args: &Args) -> Result<Exit, Exit> {
    let trust = keys::trust(&args.trust_key)?;
    // What is not trusted is shown too: that is what one looks for.
    let read = keys::snapshot(&args.file, &Trust::default())?;
    let signature = signature(&read, &trust);
    match args.format {
        Format::Text => terminal::say(&text(&read, &signature)),
        Format::Json => terminal::say_json(&document(&read, &signature)),
    }
    Ok(Exit::Done)
}

/// What can be said of the signature; one that is wrong is an error already.
fn signature(read: &Read, trust: &Trust) -> String {
    match &read.envelope {
        Some(envelope) if envelope.signers().next().is_some() => {
            match (trust.demands(), envelope.check(trust)) {
                (false, _) => "right".to_owned(),
                (true, Ok(())) => "right, by a trusted key".to_owned(),
                (true, Err(error)) => error.to_string(),
            }
        }
        _ => "none".to_owned(),
    }
}

fn text(read: &Read, signature: &str) -> String {
    let snapshot = &read.snapshot;
    let mut text = String::new();
    let mut line = |name: &str, value: &dyn std::fmt::Display| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name:<12} {value}");
    };
    line("company", &snapshot.company());
    line("revision", &snapshot.revision());
    line("digest", &snapshot.digest());
    line("file digest", &snapshot.file_digest());
    line("format", &keys::FORMAT_VERSION);
    line("bytes", &read.bytes);
    line("users", &snapshot.users());
    line("objects", &snapshot.objects());
    line("role sets", &snapshot.role_sets());
    line("tests", &snapshot.tests());
    if let Some(envelope) = &read.envelope {
        let said = envelope.statement();
        line("generation", &said.generation);
        line("made at", &said.made_at);
        line("made by", &said.made_by);
        line("body digest", &said.body_digest);
        for key in envelope.signers() {
            line("signed by", &key);
        }
    }
    line("signature", &signature);
    text.push_str("\n  no.  section                 rows        bytes  digest\n");
    for section in snapshot.sections() {
        let rows = section.bytes / section.row_bytes;
        let digest = section.digest.get(..16).unwrap_or_default();
        let _ = writeln!(
            text,
            "  {:>3}  {:<18} {rows:>9} {:>12}  {digest}",
            section.number, section.name, section.bytes
        );
    }
    text
}

fn document(read: &Read, signature: &str) -> serde_json::Value {
    let snapshot = &read.snapshot;
    let sections = snapshot.sections().into_iter().map(|section| {
        json!({
            "number": section.number,
            "name": section.name,
            "row_bytes": section.row_bytes,
            "rows": section.bytes / section.row_bytes,
            "bytes": section.bytes,
            "digest": section.digest,
        })
    });
    json!({
        "company": snapshot.company(),
        "revision": snapshot.revision(),
        "digest": snapshot.digest(),
        "file_digest": snapshot.file_digest(),
        "format": keys::FORMAT_VERSION,
        "bytes": read.bytes,
        "users": snapshot.users(),
        "objects": snapshot.objects(),
        "role_sets": snapshot.role_sets(),
        "tests": snapshot.tests(),
        "envelope": read.envelope.as_ref().map(keys::envelope_json),
        "signature": signature,
        "sections": sections.collect::<Vec<_>>(),
    })
}
