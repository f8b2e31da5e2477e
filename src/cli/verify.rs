//! `callgate verify`: whether snapshot files are whole and signed by a trusted key.

use std::path::PathBuf;
use std::process::ExitCode;

use super::keys;
use super::terminal::{self, Exit};

/// Arguments of `callgate verify`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Snapshot files
    #[arg(value_name = "SNAPSHOT", required = true)]
    files: Vec<PathBuf>,
    /// A key whose signatures are trusted, PEM; repeatable
    #[arg(long, value_name = "FILE", required = true)]
    trust_key: Vec<PathBuf>,
}

/// Checks each file.
pub(crate) fn run(args: &Args) -> ExitCode {
    let trust = match keys::trust(&args.trust_key) {
        Ok(trust) => trust,
        Err(exit) => return exit.into(),
    };
    let mut exit = Exit::Done;
    for path in &args.files {
        match keys::snapshot(path, &trust) {
            Ok(read) => {
                let generation = read.envelope.map_or(0, |read| read.statement().generation);
                terminal::say(&format!(
                    "{}: `{}`, generation {generation}, signed by a trusted key\n",
                    path.display(),
                    read.snapshot.company(),
                ));
            }
            Err(failed) => exit = exit.max(failed),
        }
    }
    exit.into()
}
