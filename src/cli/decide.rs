//! `callgate decide`: one check, answered here and now.

use std::borrow::Cow;
use std::process::ExitCode;
use std::time::SystemTime;

use serde_json::json;

use crate::decide;
use crate::model::{Action, Entity, Properties, Query, Timestamp, Value};
use crate::server::explanation;
use crate::snapshot::Snapshot;

use super::terminal::{self, Exit, Format, SourceArgs};

mod route;

/// Arguments of `callgate decide`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    source: SourceArgs,
    /// Who asks: a user's id or alias; with --http it may be left out, and nobody asks
    #[arg(long, value_name = "ID", required_unless_present = "http")]
    subject: Option<String>,
    /// The subject's type
    #[arg(long, value_name = "TYPE", default_value = "user")]
    subject_type: String,
    /// What the subject would do
    #[arg(long, value_name = "NAME", required_unless_present = "http")]
    action: Option<String>,
    /// To what; with --section the type alone is enough
    #[arg(long, value_name = "TYPE:ID", required_unless_present = "http")]
    resource: Option<String>,
    /// An HTTP request instead, as a proxy would ask about it: method and URL; routes.yaml says
    /// which check it is
    #[arg(
        long,
        value_name = "METHOD URL",
        conflicts_with_all = ["action", "resource", "property", "subject_property", "action_property", "context", "section", "test_role"]
    )]
    http: Option<String>,
    /// A property of the resource; the value is JSON where it can be read as such, else text
    #[arg(long, value_name = "NAME=VALUE")]
    property: Vec<String>,
    /// A property of the subject
    #[arg(long, value_name = "NAME=VALUE")]
    subject_property: Vec<String>,
    /// A property of the action
    #[arg(long, value_name = "NAME=VALUE")]
    action_property: Vec<String>,
    /// A circumstance
    #[arg(long, value_name = "NAME=VALUE")]
    context: Vec<String>,
    /// May the subject enter this section at all?
    #[arg(long)]
    section: bool,
    /// Decide as if this role and the implicit ones alone were in force
    #[arg(long, value_name = "ROLE")]
    test_role: Option<String>,
    /// When (RFC 3339); default: now
    #[arg(long, value_name = "TIME", value_parser = super::moment)]
    at: Option<jiff::Timestamp>,
    /// Tell the steps
    #[arg(long)]
    explain: bool,
}

/// Decides; the exit code says allow or deny too.
pub(crate) fn run(args: Args) -> ExitCode {
    if let Some(request) = &args.http {
        return route::run(&args, request).into();
    }
    let asked = ask(&args).map_err(|message| {
        terminal::complain(&message);
        Exit::Usage
    });
    asked
        .and_then(|asked| answer(&args, &asked))
        .unwrap_or_else(|exit| exit)
        .into()
}

/// What the arguments ask, owning what a query borrows.
struct Asked {
    resource: (String, String),
    subject_properties: Properties<'static>,
    action_properties: Properties<'static>,
    resource_properties: Properties<'static>,
    context: Properties<'static>,
    now: Timestamp,
}

fn ask(args: &Args) -> Result<Asked, String> {
    let resource = args.resource.as_deref().unwrap_or_default();
    let (kind, id) = match resource.split_once(':') {
        Some((kind, id)) => (kind, id),
        None if args.section => (resource, ""),
        None => return Err("`--resource` is TYPE:ID, or TYPE with `--section`".to_owned()),
    };
    let context = properties("--context", &args.context)?;
    if context.get("callgate").is_some() {
        return Err("`callgate` in the context is callgate's own: use `--section`, `--test-role` and `--explain`".to_owned());
    }
    Ok(Asked {
        resource: (kind.to_owned(), id.to_owned()),
        subject_properties: properties("--subject-property", &args.subject_property)?,
        action_properties: properties("--action-property", &args.action_property)?,
        resource_properties: properties("--property", &args.property)?,
        context,
        now: now(args),
    })
}

fn now(args: &Args) -> Timestamp {
    match args.at {
        Some(at) => Timestamp(at.as_microsecond()),
        None => SystemTime::now().into(),
    }
}

fn answer(args: &Args, asked: &Asked) -> Result<Exit, Exit> {
    let snapshot = args.source.build_one()?.snapshot;
    let query = Query {
        subject: Entity {
            kind: &args.subject_type,
            id: args.subject.as_deref().unwrap_or_default(),
            properties: &asked.subject_properties,
        },
        action: Action {
            name: args.action.as_deref().unwrap_or_default(),
            properties: &asked.action_properties,
        },
        resource: Entity {
            kind: &asked.resource.0,
            id: &asked.resource.1,
            properties: &asked.resource_properties,
        },
        context: &asked.context,
        section: args.section,
        test_role: args.test_role.as_deref(),
        now: asked.now,
    };
    Ok(decided(args, &snapshot, &query, json!({})))
}

/// Decides and prints, with what else there is to say of it.
fn decided(args: &Args, snapshot: &Snapshot, query: &Query<'_>, more: serde_json::Value) -> Exit {
    let reason = decide::check(snapshot, query);
    let explanation = args.explain.then(|| decide::explain(snapshot, query));
    match args.source.format {
        Format::Text => match &explanation {
            Some(explanation) => terminal::say(&format!("{explanation}\n")),
            None => terminal::say(&format!("{}: {reason}\n", reason.decision())),
        },
        Format::Json => {
            let mut document = json!({
                "decision": reason.allows(),
                "reason": reason.to_string(),
                "company": snapshot.company(),
                "revision": snapshot.revision(),
            });
            terminal::merge(&mut document, more);
            if let Some(explanation) = &explanation {
                let context = explanation::context(explanation, snapshot.revision());
                terminal::merge(&mut document, context);
            }
            terminal::say_json(&document);
        }
    }
    if reason.allows() {
        Exit::Done
    } else {
        Exit::Denied
    }
}

/// What such flags give, as properties.
pub(super) fn properties(flag: &str, given: &[String]) -> Result<Properties<'static>, String> {
    let mut members = Vec::with_capacity(given.len());
    for text in given {
        let (name, value) = text
            .split_once('=')
            .filter(|(name, _)| !name.is_empty())
            .ok_or_else(|| format!("`{flag} {text}`: expected NAME=VALUE"))?;
        let value = match serde_json::from_str::<serde_json::Value>(value) {
            Ok(json) => value_of(json),
            Err(_) => Value::String(Cow::Owned(value.to_owned())),
        };
        members.push((Cow::Owned(name.to_owned()), value));
    }
    Properties::new(members).map_err(|error| format!("`{flag}` gives `{}` twice", error.duplicate))
}

/// Members of a JSON object are distinct already, and its nesting is limited by its reader.
fn value_of(json: serde_json::Value) -> Value<'static> {
    match json {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(value) => Value::Bool(value),
        serde_json::Value::Number(number) => number.as_f64().map_or(Value::Null, Value::Number),
        serde_json::Value::String(text) => Value::String(Cow::Owned(text)),
        serde_json::Value::Array(items) => Value::List(items.into_iter().map(value_of).collect()),
        serde_json::Value::Object(members) => {
            let members = members.into_iter();
            let members = members.map(|(name, value)| (Cow::Owned(name), value_of(value)));
            Properties::new(members.collect()).map_or(Value::Null, Value::Object)
        }
    }
}
