//! `callgate search`: who may do this here, on what, what else; and which roles say so.

use std::process::ExitCode;
use std::time::SystemTime;

use serde_json::{Value, json};

use crate::decide::search::{self, Page, Window};
use crate::model::{Action, Entity, Query, Timestamp};
use crate::source::Built;

use super::decide::properties;
use super::says;
use super::terminal::{self, Exit, Format, SourceArgs};

/// Arguments of `callgate search`.
#[derive(Debug, clap::Args)]
#[command(
    subcommand_value_name = "WHAT",
    subcommand_help_heading = "What to search for"
)]
pub(crate) struct Args {
    #[command(flatten)]
    source: SourceArgs,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// The users who may do this here
    Subjects {
        #[command(flatten)]
        action: ActionArg,
        #[command(flatten)]
        resource: ResourceArg,
        #[command(flatten)]
        asked: Box<Asked>,
    },
    /// The registered resources of a type on which this user may do this
    Resources {
        #[command(flatten)]
        subject: SubjectArg,
        #[command(flatten)]
        action: ActionArg,
        /// The type of the resources
        #[arg(long = "type", value_name = "TYPE")]
        kind: String,
        #[command(flatten)]
        asked: Box<Asked>,
    },
    /// The actions that this user may do here
    Actions {
        #[command(flatten)]
        subject: SubjectArg,
        #[command(flatten)]
        resource: ResourceArg,
        #[command(flatten)]
        asked: Box<Asked>,
    },
    /// The roles that grant or deny a permission, and the lines that say so
    Roles {
        /// The permission
        #[arg(long, value_name = "TYPE.ACTION")]
        permission: String,
    },
}

#[derive(Debug, clap::Args)]
struct SubjectArg {
    /// Who asks: a user's id or alias
    #[arg(long, value_name = "ID")]
    subject: String,
}

#[derive(Debug, clap::Args)]
struct ActionArg {
    /// What would be done
    #[arg(long, value_name = "NAME")]
    action: String,
}

#[derive(Debug, clap::Args)]
struct ResourceArg {
    /// To what; with --section the type alone is enough
    #[arg(long, value_name = "TYPE:ID")]
    resource: String,
}

/// What all questions may tell, and how much of the answer is wanted.
#[derive(Debug, clap::Args)]
struct Asked {
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
    /// The subject's type
    #[arg(long, value_name = "TYPE", default_value = "user")]
    subject_type: String,
    /// Who may enter the section, whatever the resource?
    #[arg(long)]
    section: bool,
    /// When (RFC 3339); default: now
    #[arg(long, value_name = "TIME", value_parser = super::moment)]
    at: Option<jiff::Timestamp>,
    /// At most so many results
    #[arg(long, value_name = "N", default_value_t = 1000)]
    limit: usize,
    /// Only what comes after this id: the last of the results before
    #[arg(long, value_name = "ID")]
    after: Option<String>,
}

/// Which of the three searches.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Search {
    Subjects,
    Resources,
    Actions,
}

/// What a search asks, but its circumstances.
struct Question<'a> {
    search: Search,
    subject: &'a str,
    action: &'a str,
    kind: &'a str,
    resource: &'a str,
}

/// Searches, and prints what was found.
pub(crate) fn run(args: Args) -> ExitCode {
    search(&args).unwrap_or_else(|exit| exit).into()
}

fn search(args: &Args) -> Result<Exit, Exit> {
    match &args.what {
        What::Subjects {
            action,
            resource,
            asked,
        } => {
            let (kind, resource) = resource.split(asked)?;
            let question = Question {
                search: Search::Subjects,
                subject: "",
                action: &action.action,
                kind,
                resource,
            };
            answer(args, &question, asked)
        }
        What::Resources {
            subject,
            action,
            kind,
            asked,
        } => {
            let question = Question {
                search: Search::Resources,
                subject: &subject.subject,
                action: &action.action,
                kind,
                resource: "",
            };
            answer(args, &question, asked)
        }
        What::Actions {
            subject,
            resource,
            asked,
        } => {
            let (kind, resource) = resource.split(asked)?;
            let question = Question {
                search: Search::Actions,
                subject: &subject.subject,
                action: "",
                kind,
                resource,
            };
            answer(args, &question, asked)
        }
        What::Roles { permission } => {
            let built = args.source.build_one()?;
            says::roles(&built, permission, args.source.format)
        }
    }
}

fn answer(args: &Args, question: &Question<'_>, asked: &Asked) -> Result<Exit, Exit> {
    let told = |flag, given: &[String]| {
        properties(flag, given).map_err(|message| {
            terminal::complain(&message);
            Exit::Usage
        })
    };
    let subject_properties = told("--subject-property", &asked.subject_property)?;
    let action_properties = told("--action-property", &asked.action_property)?;
    let resource_properties = told("--property", &asked.property)?;
    let context = told("--context", &asked.context)?;
    let built = args.source.build_one()?;
    let entity = |kind, id, properties| Entity {
        kind,
        id,
        properties,
    };
    let query = Query {
        subject: entity(&asked.subject_type, question.subject, &subject_properties),
        action: Action {
            name: question.action,
            properties: &action_properties,
        },
        resource: entity(question.kind, question.resource, &resource_properties),
        context: &context,
        section: asked.section,
        test_role: None,
        now: match asked.at {
            Some(at) => Timestamp(at.as_microsecond()),
            None => SystemTime::now().into(),
        },
    };
    question.known(&built, &query)?;
    let window = Window {
        after: asked.after.as_deref(),
        limit: asked.limit,
    };
    let page = match question.search {
        Search::Subjects => search::subjects(&built.snapshot, &query, window),
        Search::Resources => search::resources(&built.snapshot, &query, window),
        Search::Actions => search::actions(&built.snapshot, &query, window),
    };
    match args.source.format {
        Format::Text => say(&page),
        Format::Json => terminal::say_json(&json!({
            "company": built.snapshot.company(),
            "revision": built.snapshot.revision(),
            "results": question.results(&asked.subject_type, &page),
            "more": page.more,
        })),
    }
    Ok(Exit::Done)
}

/// An id a line, so that other programs can take them; what else there is to say goes beside.
fn say(page: &Page<'_>) {
    let lines: Vec<String> = page.results.iter().map(|id| format!("{id}\n")).collect();
    terminal::say(&lines.concat());
    match page.results.last() {
        None => terminal::remark("none"),
        Some(last) if page.more => {
            terminal::remark(&format!("there are more: add `--after {last}`"));
        }
        Some(_) => {}
    }
}

// === impl ResourceArg ===

impl ResourceArg {
    fn split(&self, asked: &Asked) -> Result<(&str, &str), Exit> {
        match self.resource.split_once(':') {
            Some(split) => Ok(split),
            None if asked.section => Ok((&self.resource, "")),
            None => {
                terminal::complain("`--resource` is TYPE:ID, or TYPE with `--section`");
                Err(Exit::Usage)
            }
        }
    }
}

// === impl Question ===

impl Question<'_> {
    /// Refuses names that mean nothing: nothing found would look like nobody allowed.
    fn known(&self, built: &Built, query: &Query<'_>) -> Result<(), Exit> {
        let snapshot = &built.snapshot;
        let refuse = |what: &str, name: &str| {
            let company = snapshot.company();
            terminal::complain(&format!("`{company}` has no {what} `{name}`"));
            Err(Exit::Usage)
        };
        if self.search != Search::Subjects && !snapshot.has_user(self.subject) {
            return refuse("user", self.subject);
        }
        if !snapshot.has_subject_type(query.subject.kind) {
            return refuse("subject type", query.subject.kind);
        }
        if !snapshot.has_type(self.kind) {
            return refuse("resource type", self.kind);
        }
        let permission = format!("{}.{}", self.kind, self.action);
        if self.search != Search::Actions && !snapshot.has_permission(&permission) {
            return refuse("permission", &permission);
        }
        Ok(())
    }

    fn results(&self, subject_type: &str, page: &Page<'_>) -> Vec<Value> {
        let ids = page.results.iter();
        let result = |id: &&str| match self.search {
            Search::Subjects => json!({ "type": subject_type, "id": id }),
            Search::Resources => json!({ "type": self.kind, "id": id }),
            Search::Actions => json!({ "name": id }),
        };
        ids.map(result).collect()
    }
}
