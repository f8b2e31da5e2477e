//! `callgate keygen`: a key to sign snapshots with.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::terminal::{self, Exit};
use crate::snapshot::PrivateKey;

/// Arguments of `callgate keygen`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where the private key goes; the public one goes beside it, with `.pub` at the end
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

/// Makes a key, never over one that is there.
pub(crate) fn run(args: &Args) -> ExitCode {
    keygen(args).unwrap_or_else(|exit| exit).into()
}

fn keygen(args: &Args) -> Result<Exit, Exit> {
    let failed = |error| {
        terminal::complain(&format!("{error}"));
        Exit::Io
    };
    let pem = PrivateKey::generate().map_err(failed)?;
    let public = PrivateKey::from_pem(&pem).map_err(failed)?.public();
    write_new(&args.output, 0o600, &pem)?;
    let mut beside = args.output.clone().into_os_string();
    beside.push(".pub");
    write_new(Path::new(&beside), 0o644, &public.to_pem())?;
    terminal::say(&format!("{public}\n"));
    Ok(Exit::Done)
}

fn write_new(path: &Path, mode: u32, text: &str) -> Result<(), Exit> {
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(mode).open(path);
    let written = file.and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.map_err(|error| terminal::cannot_write(path, &error))
}
