//! The strange parts: every operator, every kind of value, clocks at their edges.

use fastrand::Rng;
use serde_json::{Map, Value, json};

use super::{chance, pick};

/// Zones with and without summer time, east, west, and with half hours.
pub const ZONES: [&str; 5] = [
    "Europe/Warsaw",
    "America/New_York",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "Etc/UTC",
];

/// Limits of assignments.
pub const PERIODS: [[&str; 2]; 4] = [
    ["2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"],
    ["2026-01-12T08:30:00+01:00", "2026-03-29T03:00:00Z"],
    ["2020-01-01T00:00:00Z", "2036-01-01T00:00:00Z"],
    ["2030-06-01T00:00:00Z", "2031-06-01T00:00:00Z"],
];

/// Moments at which something begins, ends or jumps, and some between.
pub const MOMENTS: [&str; 16] = [
    "2026-01-01T00:00:00Z",
    "2025-12-31T23:59:59.999999Z",
    "2026-01-12T07:30:00Z",
    "2026-01-12T07:29:59Z",
    "2026-01-15T12:00:00Z",
    "2026-01-16T22:30:00Z",
    "2026-01-17T04:59:59Z",
    "2026-02-01T00:00:00Z",
    "2026-03-29T00:30:00Z",
    "2026-03-29T01:30:00Z",
    "2026-10-25T00:30:00Z",
    "2026-10-25T01:30:00Z",
    "2026-11-01T06:30:00Z",
    "2026-12-24T21:00:00Z",
    "2030-07-01T06:00:00Z",
    "2010-01-01T00:00:00Z",
];

pub fn shifts(rng: &mut Rng) -> Value {
    let days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let mut of = |hours: &[[&str; 2]]| {
        let turns = hours.iter().map(|[from, to]| {
            let days: Vec<&str> = days.into_iter().filter(|_| rng.u32(0..5) > 0).collect();
            let days = if days.is_empty() { vec!["sun"] } else { days };
            json!({ "days": days, "from": from, "to": to })
        });
        turns.collect::<Vec<_>>()
    };
    json!([
        { "shift": "day", "weekly": of(&[["08:00", "16:00"], ["17:00", "24:00"]]) },
        { "shift": "night", "weekly": of(&[["22:00", "06:00"]]), "off": ["2026-12-24"] },
        { "shift": "dawn", "weekly": of(&[["02:15", "02:45"], ["05:00", "05:00"]]) },
    ])
}

pub fn shift_plan(rng: &mut Rng) -> Value {
    let shifts = ["day", "night", "dawn"];
    let shift = pick(rng, &shifts);
    if rng.bool() {
        return json!(shift);
    }
    let next = pick(rng, &shifts);
    let from = pick(rng, &["2026-01-12", "2026-01-17", "2026-03-29"]);
    json!({ "shift": shift, "next": next, "next_from": from })
}

/// A product's own names for facts.
pub fn fact_names(rng: &mut Rng) -> Value {
    let mut names = Map::new();
    for (fact, own) in [
        ("owner", "responsible"),
        ("group", "crew"),
        ("department", "unit"),
        ("projects", "campaign"),
    ] {
        if rng.bool() {
            names.insert(fact.to_owned(), json!(own));
        }
    }
    if names.is_empty() {
        names.insert("owner".to_owned(), json!("responsible"));
    }
    names.into()
}

/// Makes some actions require others, offer less, or be reached through links.
pub fn actions(rng: &mut Rng, kind: &str, actions: &mut Map<String, Value>, wild: u32) {
    let order = ["view", "edit", "export", "manage", "create", "take"];
    let mut before: Vec<&str> = Vec::new();
    for name in order {
        let Some(action) = actions.get_mut(name) else {
            continue;
        };
        let required: Vec<&&str> = before.iter().filter(|_| rng.u32(0..6) == 0).collect();
        if !required.is_empty() {
            action["requires"] = json!(required);
        }
        if name != "take" && chance(rng, wild / 2) {
            let scopes = ["own", "assigned", "group", "department", "branch", "any"];
            let scopes: Vec<&str> = scopes.into_iter().filter(|_| rng.bool()).collect();
            action["scopes"] = if scopes.is_empty() {
                json!(["own"])
            } else {
                json!(scopes)
            };
        }
        if ["call", "chat", "ticket"].contains(&kind) && chance(rng, wild) {
            action["via"] = json!(if rng.bool() {
                vec!["deal.view", "lead.edit"]
            } else {
                vec!["lead.view"]
            });
        }
        before.push(name);
    }
}

/// Stored properties.
pub fn stored(rng: &mut Rng, wild: u32, names: &[&str]) -> Value {
    let mut properties = Map::new();
    for name in names {
        if wild == 0 && !["region", "level", "status", "amount"].contains(name) {
            continue;
        }
        if chance(rng, 60) {
            properties.insert((*name).to_owned(), fitting(rng, name));
        }
    }
    properties.into()
}

/// A value such as a property of this name usually has.
pub fn fitting(rng: &mut Rng, name: &str) -> Value {
    match name {
        "region" => json!(pick(rng, &["north", "south", "east"])),
        "status" | "mode" => json!(pick(rng, &["open", "closed", "north"])),
        "level" | "amount" | "hour" => json!(rng.i32(0..8)),
        "tags" | "labels" => json!([pick(rng, &["vip", "north", "d0"]), 3, true]),
        "deep" => json!({ "inner": pick(rng, &["open", "north"]), "number": 4 }),
        "ip" => json!(pick(
            rng,
            &[
                "10.1.2.3",
                "192.168.0.7",
                "::ffff:10.0.0.9",
                "2001:db8::1",
                "no address"
            ]
        )),
        "nets" => json!(pick(
            rng,
            &[
                json!(["10.0.0.0/8"]),
                json!(["192.168.0.0/16", "2001:db8::/32"]),
                json!(["10.0.0.1/8"])
            ]
        )),
        "lead" | "deal" => link(rng),
        _ => json!("open"),
    }
}

/// Any value at all.
pub fn any(rng: &mut Rng) -> Value {
    match rng.u32(0..12) {
        0 => Value::Null,
        1 => json!(true),
        2 => json!([]),
        3 => json!({}),
        4 => json!(""),
        5 => json!([null, "u1", "d0", 3]),
        6 => json!(3.5),
        7 => json!("u1"),
        8 => json!(["vip", { "id": "o2" }]),
        _ => json!(pick(rng, &["open", "north", "vip", "d1", "p0", "g0"])),
    }
}

/// What a link may name.
pub fn link(rng: &mut Rng) -> Value {
    let id = format!("o{}", rng.usize(0..9));
    let object = |rng: &mut Rng, id: &str| {
        let properties = json!({ "owner": format!("u{}", rng.usize(0..4)), "status": "open", "project": ["default", "p0"] });
        json!({ "id": id, "properties": properties })
    };
    match rng.u32(0..8) {
        0 => json!("*"),
        1 => json!([]),
        2 => json!([id, "o2", { "id": "o5" }, 7]),
        7 if rng.bool() => json!({ "id": id, "properties": "odd" }),
        3 | 4 => object(rng, &id),
        5 => json!([object(rng, &id), object(rng, "o2")]),
        _ => json!(id),
    }
}

const FACTS: [&str; 9] = [
    "subject.id",
    "subject.group",
    "subject.departments",
    "subject.projects",
    "resource.id",
    "resource.owner",
    "resource.group",
    "resource.departments",
    "resource.projects",
];

const PROPERTIES: [&str; 17] = [
    "subject.region",
    "subject.level",
    "subject.tags",
    "subject.deep.inner",
    "resource.status",
    "resource.amount",
    "resource.labels",
    "resource.deep.inner",
    "resource.region",
    "resource.ip",
    "resource.queue",
    "action.mode",
    "action.level",
    "context.ip",
    "context.hour",
    "context.nets",
    "context.tags",
];

/// A condition; one that leaves the resource alone where the line may decide for everything.
pub fn condition(rng: &mut Rng, of_resource: bool) -> Value {
    let mut tests = Map::new();
    for _ in 0..rng.usize(1..3) {
        let path = path(rng, of_resource);
        tests.insert(path.to_owned(), test(rng, path, of_resource));
    }
    tests.into()
}

fn path(rng: &mut Rng, of_resource: bool) -> &'static str {
    loop {
        let path = if rng.bool() {
            *pick(rng, &FACTS)
        } else {
            *pick(rng, &PROPERTIES)
        };
        if of_resource || !path.starts_with("resource.") {
            return path;
        }
    }
}

/// A test that fits the path more often than not.
fn test(rng: &mut Rng, path_: &str, of_resource: bool) -> Value {
    let operand = |rng: &mut Rng| {
        if chance(rng, 30) {
            json!({ "path": path(rng, of_resource) })
        } else {
            constant(rng, path_)
        }
    };
    let last = path_.rsplit('.').next().unwrap_or_default();
    let operators: &[&str] = match last {
        "level" | "amount" | "hour" => &["at_least", "at_most", "is", "in"],
        "ip" => &[
            "in_network",
            "not_in_network",
            "in_network",
            "not_in_network",
            "present",
        ],
        "tags" | "labels" | "departments" | "projects" | "nets" => {
            &["contains", "contains", "present", "is"]
        }
        _ => &["is", "not", "in", "not_in", "present", "bare"],
    };
    let all = [
        "is",
        "not",
        "in",
        "not_in",
        "at_least",
        "at_most",
        "in_network",
        "not_in_network",
        "contains",
        "present",
    ];
    let operator = if chance(rng, 15) {
        *pick(rng, &all)
    } else {
        *pick(rng, operators)
    };
    match operator {
        "bare" => constant(rng, path_),
        "present" => json!({ "present": rng.bool() }),
        "in" | "not_in" if chance(rng, 40) => {
            let lists = [
                "subject.departments",
                "subject.projects",
                "subject.tags",
                "context.tags",
            ];
            json!({ operator: { "path": pick(rng, &lists) } })
        }
        "in" | "not_in" => {
            let (one, other) = (operand(rng), constant(rng, path_));
            json!({ operator: if one == other { vec![one] } else { vec![one, other] } })
        }
        "at_least" | "at_most" => {
            let number = if chance(rng, 25) {
                json!({ "path": path(rng, of_resource) })
            } else {
                json!(rng.i32(0..8))
            };
            json!({ operator: number })
        }
        "in_network" | "not_in_network" => match rng.u32(0..4) {
            0 => json!({ operator: { "path": "context.nets" } }),
            1 => json!({ operator: ["10.0.0.0/8", { "path": "context.ip" }] }),
            2 => json!({ operator: ["2001:db8::/32", "192.168.0.0/16", "::ffff:10.0.0.0/104"] }),
            _ => json!({ operator: ["10.0.0.0/8"] }),
        },
        _ => json!({ operator: operand(rng) }),
    }
}

/// A single value such as lies at the path.
fn constant(rng: &mut Rng, path: &str) -> Value {
    let name = |rng: &mut Rng, kind: &str| json!(format!("{kind}{}", rng.usize(0..4)));
    match path.rsplit('.').next().unwrap_or_default() {
        "id" | "owner" => name(rng, "u"),
        "group" => name(rng, "g"),
        "departments" => name(rng, "d"),
        "projects" => json!(pick(rng, &["default", "p0", "p1"])),
        "queue" => name(rng, "o"),
        "tags" | "labels" => json!(pick(
            rng,
            &[json!("vip"), json!(3), json!(true), json!("north")]
        )),
        "inner" | "nets" => json!(pick(rng, &["open", "north", "10.0.0.0/8"])),
        other => fitting(rng, other),
    }
}
