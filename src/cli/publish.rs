//! `callgate publish`: compiled snapshots to where sidecars look.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};

use super::keys;
use super::terminal::{self, Exit, Format};
use crate::config;
use crate::decide;
use crate::source::{self, Built, Published, Publisher, Tree};

/// Arguments of `callgate publish`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A policy tree, a folder of snapshots, one snapshot, or the URL of published ones
    #[arg(value_name = "SOURCE")]
    source: PathBuf,
    /// Where sidecars look: a folder, s3://BUCKET/PREFIX or nats://HOST:PORT/BUCKET
    #[arg(value_name = "DEST")]
    destination: PathBuf,
    /// The private key to sign with, PEM
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// By whom they are published [default: this version and machine]
    #[arg(long, value_name = "WHO")]
    made_by: Option<String>,
    /// Authorities of the destination's certificate, PEM, besides the system's
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Publish in spite of failed policy tests
    #[arg(long)]
    accept_failed_tests: bool,
    /// Only this company
    #[arg(long, value_name = "NAME")]
    company: Option<String>,
    /// What is printed to standard output
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// How long what is published may wait to be listed together with what follows.
const LIST: Duration = Duration::from_secs(1);

/// Publishes every company that can be; one that is refused keeps no other from it.
pub(crate) fn run(args: Args) -> ExitCode {
    publish(&args).unwrap_or_else(|exit| exit).into()
}

fn publish(args: &Args) -> Result<Exit, Exit> {
    let key = args.key.as_deref().map(keys::private).transpose()?;
    if let Some(open) = config::is_open_source(&args.source).filter(|_| key.is_some()) {
        // The signature would say of whatever came that it is right.
        terminal::complain(&format!("{open}: what is signed here must come unchanged"));
        return Err(Exit::Usage);
    }
    let tree = terminal::read(&args.source)?;
    let wants = |name: &&str| args.company.as_deref().is_none_or(|wanted| wanted == *name);
    let companies: Vec<&str> = tree.companies().filter(wants).collect();
    if companies.is_empty() {
        terminal::complain(&format!("no such company; {}", terminal::companies(&tree)));
        return Err(Exit::Usage);
    }
    let made_by = args.made_by.clone().unwrap_or_else(keys::made_by);
    let publisher = Publisher::connect(&args.destination, args.ca.as_deref(), key, made_by);
    let publisher = publisher.map_err(|message| {
        terminal::complain(&message);
        Exit::Io
    })?;
    let mut exit = Exit::Done;
    let mut documents = Vec::new();
    let (mut published, mut listed_at) = (Vec::new(), Instant::now());
    for company in companies {
        let (document, worse) = one(args, &tree, company, &publisher);
        exit = exit.max(worse);
        if document.get("generation").is_some() {
            published.push(company.to_owned());
        }
        documents.push(document);
        if listed_at.elapsed() >= LIST {
            exit = exit.max(list(&publisher, &mut published));
            listed_at = Instant::now();
        }
    }
    exit = exit.max(list(&publisher, &mut published));
    if args.format == Format::Json {
        terminal::say_json(&json!({ "companies": documents }));
    }
    Ok(exit)
}

/// Has readers find what was published.
fn list(publisher: &Publisher, published: &mut Vec<String>) -> Exit {
    match publisher.list(&std::mem::take(published)) {
        Ok(()) => Exit::Done,
        Err(message) => {
            terminal::complain(&format!(
                "published, but not listed, which another try mends: {message}"
            ));
            Exit::Io
        }
    }
}

fn one(args: &Args, tree: &Tree, company: &str, publisher: &Publisher) -> (Value, Exit) {
    let mut document = json!({ "company": company });
    let built = tree
        .company(company)
        .and_then(|candidate| source::build(company, candidate));
    let Built { snapshot, .. } = match built {
        Ok(built) => built,
        Err(refusal) => {
            terminal::merge(&mut document, terminal::refusal_json(&refusal));
            terminal::show_refusal(company, &refusal);
            return (document, terminal::exit_of(&refusal));
        }
    };
    let failed = decide::replay(&snapshot, SystemTime::now().into());
    if !failed.is_empty() && !args.accept_failed_tests {
        let message = source::failed_tests_message(&failed, |_| None);
        terminal::complain(&format!("{company}: {message}"));
        let code = json!({ "code": "failed_tests", "message": message });
        terminal::merge(&mut document, code);
        return (document, Exit::Denied);
    }
    match publisher.publish(&snapshot) {
        Ok(published) => {
            if args.format == Format::Text {
                terminal::say(&text(company, snapshot.revision(), &published));
            }
            let published = json!({
                "generation": published.generation,
                "unchanged": published.unchanged,
                "revision": snapshot.revision(),
                "body_bytes": published.body_bytes,
                "delta_bytes": published.delta_bytes,
            });
            terminal::merge(&mut document, published);
            (document, Exit::Done)
        }
        Err(message) => {
            terminal::complain(&format!("{company}: {message}"));
            terminal::merge(&mut document, json!({ "code": "io", "message": message }));
            (document, Exit::Io)
        }
    }
}

fn text(company: &str, revision: &str, published: &Published) -> String {
    let generation = published.generation;
    match (published.unchanged, published.delta_bytes) {
        (true, _) => format!("{company}: generation {generation} already, revision {revision}\n"),
        (false, None) => format!(
            "{company}: generation {generation}, revision {revision}, {} bytes\n",
            published.body_bytes
        ),
        (false, Some(delta)) => format!(
            "{company}: generation {generation}, revision {revision}, {} bytes, {delta} from the one before\n",
            published.body_bytes
        ),
    }
}
