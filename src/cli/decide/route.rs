//! `callgate decide --http`: which route an HTTP request is about, and what comes of it.

use serde_json::{Value, json};

use crate::decide::{self, Routed, Rule, User};
use crate::model::{Action, Entity, HttpRequest, Properties, Query, Reason};
use crate::server::proxy::target;
use crate::snapshot::Snapshot;

use super::super::terminal::{self, Exit, Format};
use super::Args;

/// What is printed where a decision needs a user and none is named: to a client it is status 401.
const UNAUTHENTICATED: &str = "unauthenticated";

pub(super) fn run(args: &Args, request: &str) -> Exit {
    answer(args, request).unwrap_or_else(|exit| exit)
}

fn answer(args: &Args, request: &str) -> Result<Exit, Exit> {
    let usage = |message: String| {
        terminal::complain(&message);
        Exit::Usage
    };
    let (method, url) = request.split_once(' ').ok_or_else(|| {
        usage("`--http` is a method and a URL, such as \"GET https://host/path\"".to_owned())
    })?;
    let url = url.trim();
    let understood = target::method(method.as_bytes()).and_then(|method| {
        let absolute = target::url(url.as_bytes());
        let (host, path) = match url.starts_with('/') {
            true => (None, target::path(url.as_bytes())?),
            false => absolute.map(|(host, path)| (Some(host), path))?,
        };
        Ok((method, host, path))
    });
    let snapshot = args.source.build_one()?.snapshot;
    let (method, host, path) = match understood {
        Ok(understood) => understood,
        Err(why) => return Ok(say(args, &snapshot, why.name(), false, &json!({}))),
    };
    let request = HttpRequest {
        method,
        host: host.as_deref(),
        path: &path,
    };
    let routed = decide::route(&snapshot, &request);
    let more = told(&routed, &snapshot);
    if args.source.format == Format::Text {
        terminal::say(&text(&more));
    }
    let user = args.subject.as_deref();
    let found = user.map(|user| User::find(&snapshot, user).map(drop));
    let plain = |reason: Reason<'_>| {
        let (code, allows) = (reason.to_string(), reason.allows());
        Ok(say(args, &snapshot, &code, allows, &more))
    };
    match (&routed.rule, found) {
        (Rule::Nobody(reason), _) => plain(*reason),
        (Rule::Everybody, _) => plain(Reason::Public),
        (Rule::HostUnknown, _) => Ok(say(args, &snapshot, "host_unknown", false, &more)),
        (Rule::Users | Rule::Check(_), None) => {
            Ok(say(args, &snapshot, UNAUTHENTICATED, false, &more))
        }
        (Rule::Users, Some(Ok(()))) => plain(Reason::Authenticated),
        (Rule::Users, Some(Err(reason))) => plain(reason),
        (Rule::Check(check), Some(_)) => {
            let nothing = Properties::EMPTY;
            let query = Query {
                subject: Entity {
                    kind: decide::user_type(&snapshot),
                    id: user.unwrap_or_default(),
                    properties: &nothing,
                },
                action: Action {
                    name: check.action,
                    properties: &nothing,
                },
                resource: Entity {
                    kind: check.kind,
                    id: &check.id,
                    properties: &check.properties,
                },
                context: &nothing,
                section: check.section,
                test_role: None,
                now: super::now(args),
            };
            Ok(super::decided(args, &snapshot, &query, more))
        }
    }
}

/// The line that counts, and the check that it makes of the request.
fn told(routed: &Routed<'_>, snapshot: &Snapshot) -> Value {
    let mut told = json!({});
    if let Some((file, line)) = routed.place(snapshot) {
        let route = json!({ "route": { "file": file, "line": line } });
        terminal::merge(&mut told, route);
    }
    if let Rule::Check(check) = &routed.rule {
        let mut asked = json!({ "type": check.kind, "action": check.action });
        let about = match check.section {
            true => json!({ "section": true }),
            false => json!({ "id": check.id }),
        };
        terminal::merge(&mut asked, about);
        terminal::merge(&mut told, json!({ "check": asked }));
    }
    told
}

fn text(told: &Value) -> String {
    let mut text = String::new();
    if let Some(route) = told.get("route") {
        let file = route.get("file").and_then(Value::as_str);
        let line = route.get("line").and_then(Value::as_u64);
        let (file, line) = (file.unwrap_or_default(), line.unwrap_or_default());
        text = format!("route: {file}:{line}\n");
    }
    if let Some(check) = told.get("check") {
        let of = |name: &str| check.get(name).and_then(Value::as_str).unwrap_or_default();
        let what = match check.get("id") {
            Some(id) => format!(" of {}", id.as_str().unwrap_or_default()),
            None => " in general".to_owned(),
        };
        text.push_str(&format!("check: {}.{}{what}\n", of("type"), of("action")));
    }
    text
}

fn say(args: &Args, snapshot: &Snapshot, reason: &str, allows: bool, more: &Value) -> Exit {
    match args.source.format {
        Format::Text => {
            let decision = if allows { "allow" } else { "deny" };
            terminal::say(&format!("{decision}: {reason}\n"));
        }
        Format::Json => {
            let mut document = json!({
                "decision": allows,
                "reason": reason,
                "company": snapshot.company(),
                "revision": snapshot.revision(),
            });
            terminal::merge(&mut document, more.clone());
            terminal::say_json(&document);
        }
    }
    if allows { Exit::Done } else { Exit::Denied }
}
