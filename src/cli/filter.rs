//! `callgate filter`: which rows of a table may be listed, as a condition and as SQL.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::SystemTime;

use serde_json::{Value, json};

use crate::decide;
use crate::decide::filter::filter;
use crate::decide::filter::sql::{Columns, Dialect};
use crate::model::{Action, Entity, Properties, Query, Reason, Timestamp};
use crate::server::filter::{NO_FIELD, document};

use super::decide::properties;
use super::terminal::{self, Exit, Format, SourceArgs};

/// Arguments of `callgate filter`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    source: SourceArgs,
    /// Who asks: a user's id or alias
    #[arg(long, value_name = "ID")]
    subject: String,
    /// The subject's type
    #[arg(long, value_name = "TYPE", default_value = "user")]
    subject_type: String,
    /// What the subject would do
    #[arg(long, value_name = "NAME")]
    action: String,
    /// The type of the rows
    #[arg(long = "type", value_name = "TYPE")]
    kind: String,
    /// A property of the subject; the value is JSON where it can be read as such, else text
    #[arg(long, value_name = "NAME=VALUE")]
    subject_property: Vec<String>,
    /// A property of the action
    #[arg(long, value_name = "NAME=VALUE")]
    action_property: Vec<String>,
    /// A circumstance
    #[arg(long, value_name = "NAME=VALUE")]
    context: Vec<String>,
    /// Filter as if this role and the implicit ones alone were in force
    #[arg(long, value_name = "ROLE")]
    test_role: Option<String>,
    /// When (RFC 3339); default: now
    #[arg(long, value_name = "TIME", value_parser = super::moment)]
    at: Option<jiff::Timestamp>,
    /// The column that a field stands in, where it is not the one of its name
    #[arg(long, value_name = "FIELD=COLUMN")]
    column: Vec<String>,
    /// Whose SQL
    #[arg(long, value_enum, default_value = "sqlite")]
    dialect: DialectArg,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum DialectArg {
    /// Parameters are `?`
    Sqlite,
    /// Parameters are `$1`, `$2`…
    Postgresql,
}

/// Prints which rows may be listed.
pub(crate) fn run(args: Args) -> ExitCode {
    answer(&args).unwrap_or_else(|exit| exit).into()
}

fn answer(args: &Args) -> Result<Exit, Exit> {
    let told =
        |flag, given: &[String]| properties(flag, given).map_err(|message| misused(&message));
    let subject_properties = told("--subject-property", &args.subject_property)?;
    let action_properties = told("--action-property", &args.action_property)?;
    let context = told("--context", &args.context)?;
    let columns = columns(&args.column).map_err(|message| misused(&message))?;
    let built = args.source.build_one()?;
    let snapshot = &built.snapshot;
    let query = Query {
        subject: Entity {
            kind: &args.subject_type,
            id: &args.subject,
            properties: &subject_properties,
        },
        action: Action {
            name: &args.action,
            properties: &action_properties,
        },
        resource: Entity {
            kind: &args.kind,
            id: "",
            properties: &Properties::EMPTY,
        },
        context: &context,
        section: false,
        test_role: args.test_role.as_deref(),
        now: match args.at {
            Some(at) => Timestamp(at.as_microsecond()),
            None => SystemTime::now().into(),
        },
    };
    // A name that means nothing is more likely a slip than a question.
    let unknown = match decide::check(snapshot, &query) {
        Reason::UnknownSubject => Some(("user", &args.subject)),
        Reason::UnknownResourceType => Some(("resource type", &args.kind)),
        Reason::UnknownAction => Some(("action of this type", &args.action)),
        Reason::UnknownRole => args.test_role.as_ref().map(|role| ("role", role)),
        _ => None,
    };
    if let Some((what, name)) = unknown {
        let company = snapshot.company();
        return Err(misused(&format!("`{company}` has no {what} `{name}`")));
    }
    if let Some(field) = columns.stranger(snapshot) {
        return Err(misused(&format!(
            "`--column {field}=…`: `{field}` {NO_FIELD}"
        )));
    }
    let filter = filter(snapshot, &query).map_err(|error| misused(&error.to_string()))?;
    let document = document(&filter, &columns, args.dialect.into());
    match args.source.format {
        Format::Text => terminal::say(&text(&document)),
        Format::Json => {
            let mut of_company = json!({
                "company": snapshot.company(),
                "revision": snapshot.revision(),
            });
            terminal::merge(&mut of_company, document);
            terminal::say_json(&of_company);
        }
    }
    Ok(Exit::Done)
}

fn misused(message: &str) -> Exit {
    terminal::complain(message);
    Exit::Usage
}

fn columns(given: &[String]) -> Result<Columns, String> {
    let mut columns = BTreeMap::new();
    for text in given {
        let (field, column) = text
            .split_once('=')
            .ok_or_else(|| format!("`--column {text}`: expected FIELD=COLUMN"))?;
        if columns
            .insert(field.to_owned(), column.to_owned())
            .is_some()
        {
            return Err(format!("`--column` gives `{field}` twice"));
        }
    }
    Columns::new(columns).map_err(|error| error.to_string())
}

// === for people ===

/// The document for people: the condition line by line, and the SQL.
fn text(document: &Value) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{}", word(document.get("filter")));
    if let Some(condition) = document.get("condition") {
        tree(condition, 1, &mut text);
    }
    for (list, title) in [
        (
            "allow",
            "these registered objects may be listed all the same:",
        ),
        ("deny", "these registered objects may not be listed:"),
    ] {
        let ids = document
            .pointer(&format!("/objects/{list}"))
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        let ids: Vec<&str> = ids.map(|id| word(Some(id))).collect();
        if !ids.is_empty() {
            let _ = writeln!(text, "{title} {}", ids.join(", "));
        }
    }
    if document.get("links").is_some() {
        text.push_str("links are not followed: they may allow more\n");
    }
    match document.get("sql") {
        Some(sql) => {
            let params = sql.get("params").unwrap_or(&Value::Null);
            let _ = writeln!(text, "sql: {}", word(sql.get("where")));
            let _ = writeln!(text, "params: {params}");
        }
        None => {
            let _ = writeln!(text, "no sql: {}", word(document.get("no_sql")));
        }
    }
    text
}

fn tree(condition: &Value, depth: usize, text: &mut String) {
    let indent = "  ".repeat(depth);
    for (joint, title) in [("all", "all of"), ("any", "any of")] {
        if let Some(parts) = condition.get(joint).and_then(Value::as_array) {
            let _ = writeln!(text, "{indent}{title}");
            parts.iter().for_each(|part| tree(part, depth + 1, text));
            return;
        }
    }
    if let Some(part) = condition.get("not") {
        let _ = writeln!(text, "{indent}not");
        tree(part, depth + 1, text);
        return;
    }
    let (field, test) = (word(condition.get("field")), word(condition.get("test")));
    let value = condition.get("value").unwrap_or(&Value::Null);
    let _ = match (test, value, value.get("path")) {
        ("present", Value::Bool(true), _) => writeln!(text, "{indent}{field} is present"),
        ("present", ..) => writeln!(text, "{indent}{field} is absent"),
        (test, _, Some(path)) => writeln!(text, "{indent}{field} {test} {}", word(Some(path))),
        (test, value, None) => writeln!(text, "{indent}{field} {test} {value}"),
    };
}

fn word(value: Option<&Value>) -> &str {
    value.and_then(Value::as_str).unwrap_or_default()
}

// === impl DialectArg ===

impl From<DialectArg> for Dialect {
    fn from(dialect: DialectArg) -> Self {
        match dialect {
            DialectArg::Sqlite => Self::Sqlite,
            DialectArg::Postgresql => Self::Postgresql,
        }
    }
}
