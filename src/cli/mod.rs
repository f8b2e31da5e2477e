//! The command line: one file a subcommand. It prints and decides nothing.

mod check;
mod compile;
mod coverage;
mod decide;
mod diff;
mod differences;
mod filter;
mod given;
mod inspect;
mod junit;
mod keygen;
mod keys;
mod publish;
mod says;
mod search;
mod serve;
mod sign;
mod terminal;
mod test;
mod verify;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Policy decision point for contact centres: may this user do this to that?
#[derive(Debug, Parser)]
#[command(name = "callgate", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service
    Serve(Box<serve::Args>),
    /// Compile policies: one snapshot file per company
    Compile(compile::Args),
    /// Validate all companies and packs
    Check(check::Args),
    /// Run the tests of all companies and packs
    Test(test::Args),
    /// Answer one check
    Decide(Box<decide::Args>),
    /// Search for users, resources, actions or roles
    Search(search::Args),
    /// Tell which rows of a table a user may see, as a condition and as SQL
    Filter(Box<filter::Args>),
    /// Compare two sources: who gains and who loses what
    Diff(diff::Args),
    /// Tell what a snapshot file holds
    Inspect(inspect::Args),
    /// Publish compiled snapshots to where sidecars look
    Publish(publish::Args),
    /// Make a key to sign snapshots with
    Keygen(keygen::Args),
    /// Put an envelope around snapshot files, and sign it
    Sign(sign::Args),
    /// Check the signatures of snapshot files
    Verify(verify::Args),
}

/// Does what the arguments of the process say.
#[must_use]
pub fn run() -> ExitCode {
    match Cli::parse().command {
        Command::Serve(args) => serve::run(*args),
        Command::Compile(args) => compile::run(args),
        Command::Check(args) => check::run(args),
        Command::Test(args) => test::run(args),
        Command::Decide(args) => decide::run(*args),
        Command::Search(args) => search::run(args),
        Command::Filter(args) => filter::run(*args),
        Command::Diff(args) => diff::run(args),
        Command::Inspect(args) => inspect::run(args),
        Command::Publish(args) => publish::run(args),
        Command::Keygen(args) => keygen::run(&args),
        Command::Sign(args) => sign::run(&args),
        Command::Verify(args) => verify::run(&args),
    }
}

/// A moment of the command line.
fn moment(text: &str) -> Result<jiff::Timestamp, String> {
    let advice = "write a moment with its offset, such as 2026-03-02T23:00:00+01:00";
    text.parse().map_err(|_| advice.to_owned())
}
