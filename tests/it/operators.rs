//! Who operates what, in a diff: whoever came or went is told by one of the ways that led there,
//! and nothing is told of those for whom only the way is another.

use std::collections::{BTreeMap, BTreeSet};

use callgate::policy;
use callgate::snapshot::Snapshot;
use callgate::snapshot::compare::{Cause, Diff, Event};
use fastrand::Rng;
use serde_json::{Value, json};

use crate::generate::{Company, Shape};

const PAIRS: u64 = 400;

fn compile(company: &Company) -> Snapshot {
    let reading = policy::read_company(&company.files(), "demo");
    Snapshot::compile(&reading.unwrap_or_else(|errors| panic!("{errors}")).policy).unwrap()
}

fn names(value: &Value) -> BTreeSet<String> {
    let names = value.as_array().into_iter().flatten();
    names
        .map(|name| name.as_str().unwrap().to_owned())
        .collect()
}

/// Who is in each team, and who operates each object: teams, and users named.
struct Read {
    teams: BTreeMap<String, BTreeSet<String>>,
    operated: BTreeMap<String, (BTreeSet<String>, BTreeSet<String>)>,
}

// === impl Read ===

impl Read {
    fn new(company: &Company) -> Self {
        let teams = company.0["company"]["teams"].as_array().unwrap();
        let teams = teams.iter().map(|team| {
            let name = team["team"].as_str().unwrap().to_owned();
            (name, names(&team["users"]))
        });
        let objects = company.0["objects"]["objects"].as_array().unwrap();
        let key = |object: &Value| format!("{}:{}", text(&object["type"]), text(&object["id"]));
        let by_key: BTreeMap<String, &Value> =
            objects.iter().map(|object| (key(object), object)).collect();
        let operated = objects.iter().map(|object| {
            let (mut teams, mut users) = (BTreeSet::new(), BTreeSet::new());
            let mut next = Some(object);
            while let Some(object) = next {
                teams.extend(names(&object["operators"]["teams"]));
                users.extend(names(&object["operators"]["users"]));
                next = by_key.get(&key(&object["parent"])).copied();
            }
            (key(object), (teams, users))
        });
        Self {
            operated: operated.collect(),
            teams: teams.collect(),
        }
    }

    /// All who operate the object by name or team.
    fn people(&self, object: &str) -> BTreeSet<String> {
        let (teams, users) = &self.operated[object];
        let by_team = teams.iter().flat_map(|team| &self.teams[team]);
        by_team.chain(users).cloned().collect()
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Some of these.
fn some(rng: &mut Rng, of: &[String]) -> Value {
    let chosen = of.iter().filter(|_| rng.u32(0..3) == 0);
    chosen.map(String::as_str).collect::<Value>()
}

/// Gives teams other users or another name, and objects other operators: often those who operated
/// before, named in another way.
fn changed(company: &Company, rng: &mut Rng) -> Company {
    let mut company = company.clone();
    let of = |part: &str, kind: &str| {
        let all = company.0[part][format!("{kind}s")].as_array().unwrap();
        let names = all.iter().map(|one| text(&one[kind]).to_owned());
        names.collect::<Vec<String>>()
    };
    let (users, teams) = (of("users", "user"), of("company", "team"));
    let before = Read::new(&company);
    let renamed = (!teams.is_empty() && rng.bool()).then(|| rng.choice(&teams).unwrap().clone());
    for team in company.0["company"]["teams"].as_array_mut().unwrap() {
        let is_renamed = Some(text(&team["team"])) == renamed.as_deref();
        if !is_renamed && rng.bool() {
            team["users"] = some(rng, &users);
        }
    }
    for object in company.0["objects"]["objects"].as_array_mut().unwrap() {
        match rng.u32(0..6) {
            0 => object["operators"]["users"] = some(rng, &users),
            1 => object["operators"]["teams"] = some(rng, &teams),
            // The same users by name.
            2 => {
                let teams = names(&object["operators"]["teams"]);
                let mut all = names(&object["operators"]["users"]);
                all.extend(teams.iter().flat_map(|team| before.teams[team].clone()));
                object["operators"]["users"] = json!(all);
                object["operators"]["teams"] = json!([]);
            }
            _ => {}
        }
    }
    if let Some(team) = renamed {
        let text = company.0.to_string();
        company.0 = serde_json::from_str(&text.replace(&format!("\"{team}\""), "\"x\"")).unwrap();
    }
    company
}

/// What the diff tells of operators: cause, event, name, and of what.
fn told(diff: &Diff<'_>) -> BTreeSet<(&'static str, Event, String, String)> {
    let mut told = BTreeSet::new();
    for change in &diff.changes {
        let (cause, of): (_, Vec<String>) = match change.cause {
            Cause::OperatorUser => ("user", change.objects.clone()),
            Cause::OperatorTeam => ("team", change.objects.clone()),
            Cause::UserTeam => ("in", change.users.iter().map(|&id| id.into()).collect()),
            _ => continue,
        };
        let name = change.name.to_string();
        told.extend(
            of.into_iter()
                .map(|of| (cause, change.event, name.clone(), of)),
        );
    }
    told
}

#[test]
fn who_came_and_went_is_told_by_a_way_and_nothing_else_is() {
    let (mut quiet, mut seen) = (0, BTreeSet::new());
    for seed in 0..PAIRS {
        let rng = &mut Rng::with_seed(seed ^ 0x09e7);
        let shape = Shape::wild(rng);
        let company = Company::generate(&shape, seed);
        let newer = changed(&company, rng);
        let (old, new) = (compile(&company), compile(&newer));
        let diff = old.diff(&new);
        let mut told = told(&diff);
        let all = told.clone();
        let (old, new) = (Read::new(&company), Read::new(&newer));
        let what = || format!("seed {seed}: {all:?}\n{}\n{}", company.0, newer.0);
        let active = company.0["users"]["users"].as_array().unwrap().iter();
        let active = active.filter(|user| user["active"] != false);
        let active: BTreeSet<&str> = active.map(|user| text(&user["user"])).collect();
        for object in old.operated.keys() {
            let (before, after) = (old.people(object), new.people(object));
            for (here, there, of, event) in [
                (&before, &after, &old, Event::Removed),
                (&after, &before, &new, Event::Added),
            ] {
                for user in here
                    .difference(there)
                    .filter(|user| active.contains(user.as_str()))
                {
                    let teams = of.operated[object].0.iter();
                    let teams: Vec<_> = teams
                        .filter(|team| of.teams[*team].contains(user))
                        .collect();
                    // A team that got another name bears the new one.
                    let names = teams.iter().flat_map(|&team| [team.as_str(), "x"]);
                    let mut ways = vec![("user", event, user.clone(), object.clone())];
                    for name in names {
                        ways.push(("team", event, name.to_owned(), object.clone()));
                        ways.push(("in", event, name.to_owned(), user.clone()));
                    }
                    let ways: Vec<_> = ways.into_iter().filter(|way| all.contains(way)).collect();
                    assert!(
                        !ways.is_empty(),
                        "{user} of {object}, {event:?}\n{}",
                        what()
                    );
                    for way in ways {
                        seen.insert((way.0, way.1));
                        told.remove(&way);
                    }
                }
            }
        }
        assert!(told.is_empty(), "told for nothing: {told:?}\n{}", what());
        quiet += u32::from(all.is_empty());
    }
    assert_eq!(seen.len(), 6, "{seen:?}");
    assert!(quiet > 20, "{quiet} without a change of operators");
}
