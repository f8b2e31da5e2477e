//! `callgate sign`: an envelope around snapshot files, signed.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::keys;
use super::terminal::{self, Exit};
use crate::snapshot::{Envelope, GENERATION_MAX, PrivateKey, Trust};
use crate::source;

/// Arguments of `callgate sign`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Snapshot files; each is replaced by itself in its envelope
    #[arg(value_name = "SNAPSHOT", required = true)]
    files: Vec<PathBuf>,
    /// The private key, PEM
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The generation of files that have no envelope yet; others keep theirs
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=GENERATION_MAX))]
    generation: Option<u64>,
    /// By whom they are made [default: this version and machine]
    #[arg(long, value_name = "WHO")]
    made_by: Option<String>,
}

/// Signs each file; one that cannot be signed keeps no other from it.
pub(crate) fn run(args: &Args) -> ExitCode {
    let key = match keys::private(&args.key) {
        Ok(key) => key,
        Err(exit) => return exit.into(),
    };
    let signed = args.files.iter().map(|file| sign(args, file, &key));
    let worst = signed.filter_map(Result::err).max();
    worst.unwrap_or(Exit::Done).into()
}

fn sign(args: &Args, path: &Path, key: &PrivateKey) -> Result<(), Exit> {
    let read = keys::snapshot(path, &Trust::default())?;
    let (mut envelope, body) = match (read.envelope, args.generation) {
        (Some(envelope), _) => (envelope, read.snapshot.to_bytes()),
        (None, Some(generation)) => {
            let made_by = args.made_by.clone().unwrap_or_else(keys::made_by);
            let (statement, body) = keys::statement(&read.snapshot, generation, made_by);
            (Envelope::new(statement), body)
        }
        (None, None) => {
            terminal::complain(&format!(
                "`{}` has no generation yet: say `--generation N`, or let `publish` give it one",
                path.display()
            ));
            return Err(Exit::Usage);
        }
    };
    envelope.sign(key);
    let mut bytes = envelope.to_bytes();
    bytes.extend_from_slice(&body);
    source::write_whole(path, &bytes).map_err(|error| terminal::cannot_write(path, &error))?;
    terminal::say(&format!(
        "{}: generation {}, signed by {}\n",
        path.display(),
        envelope.statement().generation,
        key.public()
    ));
    Ok(())
}
