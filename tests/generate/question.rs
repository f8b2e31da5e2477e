//! Questions to a generated company.

use callgate::model::{Action, Entity, Properties, Query, Timestamp};
use fastrand::Rng;
use serde_json::{Map, Value, json};

use super::{Shape, chance, pick, properties, wild};

/// A question that owns what a [`Query`] borrows.
#[derive(Clone, Debug)]
pub struct Question {
    subject: [String; 2],
    subject_properties: Properties<'static>,
    action: String,
    action_properties: Properties<'static>,
    resource: [String; 2],
    resource_properties: Properties<'static>,
    context: Properties<'static>,
    section: bool,
    test_role: Option<String>,
    now: Timestamp,
}

// === impl Question ===

impl Question {
    /// The question that an evaluation request with a member `at` asks.
    pub fn new(request: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let entity = |name: &str| [text(&request[name]["type"]), text(&request[name]["id"])];
        let callgate = &request["context"]["callgate"];
        let mut context = properties(&request["context"]);
        context.remove("callgate");
        Self {
            subject: entity("subject"),
            subject_properties: properties(&request["subject"]["properties"]),
            action: text(&request["action"]["name"]),
            action_properties: properties(&request["action"]["properties"]),
            resource: entity("resource"),
            resource_properties: properties(&request["resource"]["properties"]),
            context,
            section: callgate["section"] == json!(true),
            test_role: callgate.get("test_role").map(text),
            now: moment(request["at"].as_str().unwrap_or("2026-01-15T12:00:00Z")),
        }
    }

    /// As the library takes it.
    pub fn query(&self) -> Query<'_> {
        Query {
            subject: entity_of(&self.subject, &self.subject_properties),
            action: Action {
                name: &self.action,
                properties: &self.action_properties,
            },
            resource: entity_of(&self.resource, &self.resource_properties),
            context: &self.context,
            section: self.section,
            test_role: self.test_role.as_deref(),
            now: self.now,
        }
    }
}

/// Queries whose texts and properties lie one behind the other, as those of requests that were just
/// read do: what is measured then is the decision, not the fetching of scattered questions.
/// They are never freed.
pub fn packed(questions: &[Question]) -> Vec<Query<'static>> {
    let mut texts = String::new();
    for question in questions {
        question.each_text(&mut |text| texts.push_str(text));
    }
    let mut rest: &'static str = texts.leak();
    let mut take = move |text: &str| {
        let (taken, after) = rest.split_at(text.len());
        rest = after;
        taken
    };
    questions
        .iter()
        .map(|question| question.pack(&mut take))
        .collect()
}

/// A sum over all bytes of a query's texts: reads them once.
pub fn bytes(query: &Query<'_>) -> usize {
    let sum = |text: &str| text.bytes().map(usize::from).sum::<usize>();
    let of = |properties: &Properties<'_>| -> usize {
        let members = properties.iter();
        members
            .map(|(name, value)| sum(name) + value.as_str().map_or(0, sum))
            .sum()
    };
    let [subject, resource] = [&query.subject, &query.resource]
        .map(|entity| sum(entity.kind) + sum(entity.id) + of(entity.properties));
    subject + resource + sum(query.action.name) + of(query.context)
}

impl Question {
    fn each_text(&self, each: &mut impl FnMut(&str)) {
        for text in [
            &self.subject[0],
            &self.subject[1],
            &self.action,
            &self.resource[0],
            &self.resource[1],
        ] {
            each(text);
        }
        for properties in [&self.resource_properties, &self.context] {
            for (name, value) in properties.iter() {
                each(name);
                each(value.as_str().unwrap_or_default());
            }
        }
    }

    /// Usual questions alone: texts as properties, and no more than that.
    fn pack(&self, take: &mut impl FnMut(&str) -> &'static str) -> Query<'static> {
        let [kind, id] = [0, 1].map(|n| take(&self.subject[n]));
        let action = take(&self.action);
        let [resource_kind, resource_id] = [0, 1].map(|n| take(&self.resource[n]));
        let mut pack = |properties: &Properties<'_>| -> &'static Properties<'static> {
            let members = properties.iter();
            let members = members.map(|(name, value)| {
                (
                    take(name).into(),
                    take(value.as_str().unwrap_or_default()).into(),
                )
            });
            Box::leak(Box::new(
                Properties::new(members.collect()).unwrap_or_default(),
            ))
        };
        let resource_properties = pack(&self.resource_properties);
        let context = pack(&self.context);
        static NOTHING: Properties<'static> = Properties::EMPTY;
        Query {
            subject: Entity {
                kind,
                id,
                properties: &NOTHING,
            },
            action: Action {
                name: action,
                properties: &NOTHING,
            },
            resource: Entity {
                kind: resource_kind,
                id: resource_id,
                properties: resource_properties,
            },
            context,
            section: false,
            test_role: None,
            now: self.now,
        }
    }
}

fn entity_of<'a>(of: &'a [String; 2], properties: &'a Properties<'a>) -> Entity<'a> {
    Entity {
        kind: &of[0],
        id: &of[1],
        properties,
    }
}

/// A moment written as in policy files.
pub fn moment(text: &str) -> Timestamp {
    let moment: jiff::Timestamp = text
        .parse()
        .unwrap_or_else(|error| panic!("{text}: {error}"));
    Timestamp(moment.as_microsecond())
}

/// A request such as services send: mostly about what is there.
pub fn usual(shape: &Shape, rng: &mut Rng) -> Value {
    let user = rng.usize(0..shape.users);
    let subject = match rng.u32(0..3) {
        0 => format!("u{user}"),
        1 => format!("u{user}@demo.example"),
        _ => format!("sip:{user}"),
    };
    let kind = *pick(
        rng,
        &[
            "call", "chat", "deal", "lead", "queue", "ticket", "report", "list",
        ],
    );
    let action = *pick(rng, &["view", "edit", "export", "manage"]);
    let (id, properties) = match kind {
        "queue" | "list" | "deal" => {
            let place = ["queue", "list", "deal"]
                .iter()
                .position(|name| *name == kind)
                .unwrap_or(0);
            let n = rng.usize(0..shape.objects.div_ceil(3)) * 3 + place;
            (format!("o{n}"), json!({ "status": "open" }))
        }
        _ => {
            let owner = if rng.u32(0..4) == 0 {
                user
            } else {
                rng.usize(0..shape.users)
            };
            let queue = rng.usize(0..shape.objects.div_ceil(3)) * 3;
            let properties = json!({ "owner": format!("u{owner}"), "queue": format!("o{queue}"), "status": "open" });
            (format!("c{}", rng.u32(0..1_000_000)), properties)
        }
    };
    json!({
        "subject": { "type": "user", "id": subject },
        "action": { "name": action },
        "resource": { "type": kind, "id": id, "properties": properties },
        "context": { "ip": "10.1.2.3" },
    })
}

/// As [`usual`], and allowed. Most of what is usual here is not: users, projects and roles meet by
/// chance.
pub fn allowed(shape: &Shape, rng: &mut Rng, allows: impl Fn(&Question) -> bool) -> Value {
    loop {
        let request = usual(shape, rng);
        if allows(&Question::new(&request)) {
            return request;
        }
    }
}

/// A request of any kind.
pub fn wild(shape: &Shape, rng: &mut Rng) -> Value {
    let user = format!("u{}", rng.usize(0..shape.users + 1));
    let subject_id = match rng.u32(0..10) {
        0 => format!("{user}@demo.example"),
        1 => "nobody".to_owned(),
        _ => user,
    };
    let kinds = [
        "queue", "list", "deal", "call", "chat", "lead", "ticket", "finance", "report", "user",
        "project", "role",
    ];
    let kind = if chance(rng, 2) {
        "ghost"
    } else {
        *pick(rng, &kinds)
    };
    let actions = [
        "view", "edit", "export", "manage", "create", "take", "view_all", "test",
    ];
    let action = actions[rng.usize(0..actions.len()).min(rng.usize(0..actions.len()))];
    let mut context = Map::new();
    for name in ["ip", "hour", "nets", "tags"] {
        if chance(rng, 50) {
            context.insert(name.to_owned(), value(rng, name));
        }
    }
    let mut callgate = Map::new();
    if chance(rng, 12) {
        callgate.insert("section".to_owned(), json!(true));
    }
    if chance(rng, 15) {
        let role = match rng.u32(0..8) {
            0 => "ghost".to_owned(),
            1 => "admin".to_owned(),
            _ => format!("r{}", rng.usize(0..shape.roles)),
        };
        callgate.insert("test_role".to_owned(), json!(role));
    }
    if !callgate.is_empty() {
        context.insert("callgate".to_owned(), callgate.into());
    }
    json!({
        "at": pick(rng, &wild::MOMENTS),
        "subject": {
            "type": if chance(rng, 2) { "robot" } else { "user" },
            "id": subject_id,
            "properties": some_of(rng, &["region", "level", "tags", "deep", "id", "group", "departments"]),
        },
        "action": { "name": action, "properties": some_of(rng, &["mode", "level"]) },
        "resource": { "type": kind, "id": resource_id(shape, rng, kind), "properties": facts(shape, rng) },
        "context": context,
    })
}

fn value(rng: &mut Rng, name: &str) -> Value {
    if chance(rng, 15) {
        wild::any(rng)
    } else {
        wild::fitting(rng, name)
    }
}

fn some_of(rng: &mut Rng, names: &[&str]) -> Value {
    let mut properties = Map::new();
    for name in names {
        if chance(rng, 40) {
            properties.insert((*name).to_owned(), value(rng, name));
        }
    }
    properties.into()
}

fn resource_id(shape: &Shape, rng: &mut Rng, kind: &str) -> String {
    match (rng.u32(0..20), kind) {
        (0, _) => "*".to_owned(),
        (1, _) => String::new(),
        (_, "user") => {
            let user = rng.usize(0..shape.users);
            if rng.bool() {
                format!("u{user}")
            } else {
                format!("sip:{user}")
            }
        }
        (_, "project") => pick(rng, &["default", "p0", "p1", "p9"]).to_string(),
        (_, "role") => pick(rng, &["admin", "r0", "r1", "everyone", "ghost"]).to_string(),
        _ => {
            let place = ["queue", "list", "deal"]
                .iter()
                .position(|name| *name == kind)
                .unwrap_or(0);
            format!(
                "o{}",
                rng.usize(0..3) * 3 + if rng.u32(0..8) == 0 { 1 } else { place }
            )
        }
    }
}

/// What a request tells of a resource: facts under all their names, links, and properties.
fn facts(shape: &Shape, rng: &mut Rng) -> Value {
    let mut told = Map::new();
    let mut tell = |rng: &mut Rng, names: &[&str], percent, value: &dyn Fn(&mut Rng) -> Value| {
        for name in names {
            if chance(rng, percent) {
                let value = if chance(rng, 10) {
                    wild::any(rng)
                } else {
                    value(rng)
                };
                told.insert((*name).to_owned(), value);
            }
        }
    };
    let user = |rng: &mut Rng| match rng.u32(0..6) {
        0 => json!(format!("sip:{}", rng.usize(0..shape.users))),
        1 => json!("ghost"),
        _ => json!(format!("u{}", rng.usize(0..shape.users))),
    };
    let one = |kind: &'static str| move |rng: &mut Rng| json!(format!("{kind}{}", rng.usize(0..4)));
    let many = |kind: &'static str| {
        move |rng: &mut Rng| match rng.u32(0..3) {
            0 => json!([
                format!("{kind}0"),
                "ghost",
                format!("{kind}{}", rng.usize(0..4))
            ]),
            1 => json!([format!("{kind}{}", rng.usize(0..4))]),
            _ => json!(format!("{kind}{}", rng.usize(0..4))),
        }
    };
    tell(rng, &["owner", "responsible"], 50, &user);
    tell(rng, &["group", "crew"], 30, &one("g"));
    tell(rng, &["department", "departments", "unit"], 20, &many("d"));
    tell(rng, &["project", "projects", "campaign"], 15, &many("p"));
    tell(rng, &["queue", "list"], 40, &|rng| {
        json!(format!("o{}", rng.usize(0..3) * 3 + rng.usize(0..2)))
    });
    tell(rng, &["deal", "lead"], 40, &wild::link);
    for name in ["status", "amount", "labels", "deep", "region", "ip", "id"] {
        tell(rng, &[name], 40, &|rng| wild::fitting(rng, name));
    }
    told.into()
}
