//! `callgate compile`: one snapshot file per company.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::json;

use crate::snapshot::Snapshot;
use crate::source::{self, Kind, Tree};

use super::terminal::{self, Exit, Format, SourceArgs};

/// Arguments of `callgate compile`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    source: SourceArgs,
    /// Where the snapshot files go: DIR/<company>.callgate
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
}

/// Compiles every company that can be; the others are refused, and leave the files as they are.
pub(crate) fn run(args: Args) -> ExitCode {
    compile(&args).unwrap_or_else(|exit| exit).into()
}

fn compile(args: &Args) -> Result<Exit, Exit> {
    let tree = args.source.read()?;
    if tree.kind() == Kind::Snapshots {
        terminal::complain("the source holds compiled snapshots already");
        return Err(Exit::Usage);
    }
    let written = fs::create_dir_all(&args.output);
    written.map_err(|error| terminal::cannot_write(&args.output, &error))?;
    let mut exit = Exit::Done;
    let mut documents = Vec::new();
    for company in tree.companies().filter(|name| args.source.wants(name)) {
        let document = match one(&tree, company, args) {
            Ok(document) => document,
            Err((document, failed)) => {
                exit = exit.max(failed);
                document
            }
        };
        documents.push(document);
    }
    if args.source.format == Format::Json {
        terminal::say_json(&json!({ "companies": documents }));
    }
    for file in left_over(&tree, &args.output) {
        terminal::remark(&format!(
            "warning: {}: the source has no such company; remove the file, or it goes on being served",
            file.display()
        ));
    }
    Ok(exit)
}

/// Snapshot files of companies that the source does not have: it had them once. They may be another
/// source's, too, and so are not for us to remove.
fn left_over(tree: &Tree, folder: &Path) -> Vec<PathBuf> {
    let is_known = |path: &Path| {
        let company = path.file_stem().and_then(OsStr::to_str);
        company.is_some_and(|company| tree.companies().any(|known| known == company))
    };
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|is| is == "callgate") && !is_known(path));
    files.sort();
    files
}

type Document = serde_json::Value;

fn one(tree: &Tree, company: &str, args: &Args) -> Result<Document, (Document, Exit)> {
    let built = tree
        .company(company)
        .and_then(|candidate| source::build(company, candidate));
    let built = built.map_err(|refusal| {
        let mut document = json!({ "company": company });
        terminal::merge(&mut document, terminal::refusal_json(&refusal));
        if args.source.format == Format::Text {
            terminal::show_refusal(company, &refusal);
        }
        (document, terminal::exit_of(&refusal))
    })?;
    let file = args.output.join(format!("{company}.callgate"));
    let bytes = built.snapshot.to_bytes();
    source::write_whole(&file, &bytes).map_err(|error| {
        let document = json!({ "company": company, "code": "io", "message": error.to_string() });
        (document, terminal::cannot_write(&file, &error))
    })?;
    let document = describe(&built.snapshot, &file, bytes.len());
    if args.source.format == Format::Text {
        terminal::show(&built.warnings);
        terminal::say(&format!(
            "{}: {}, {}, revision {}\n",
            file.display(),
            terminal::count(built.snapshot.users(), "user", "users"),
            terminal::count(built.snapshot.objects(), "object", "objects"),
            built.snapshot.revision()
        ));
    }
    Ok(document)
}

fn describe(snapshot: &Snapshot, file: &Path, bytes: usize) -> Document {
    json!({
        "company": snapshot.company(),
        "file": file.display().to_string(),
        "revision": snapshot.revision(),
        "digest": snapshot.digest(),
        "users": snapshot.users(),
        "objects": snapshot.objects(),
        "bytes": bytes,
    })
}
