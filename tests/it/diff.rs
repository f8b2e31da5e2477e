//! What differs between two sources: nothing exactly if every check agrees, and else what and whom.

use callgate::decide;
use callgate::model::Reason;
use callgate::policy;
use callgate::snapshot::Snapshot;
use callgate::snapshot::compare::{Cause, Event};
use fastrand::Rng;
use serde_json::Value;

use crate::generate::{Company, Question, Shape, question};
use crate::shrink::{removable, remove};

const PAIRS: u64 = 500;
const QUESTIONS: usize = 120;

const PARTS: [&str; 6] = [
    "catalogue",
    "company",
    "roles",
    "users",
    "objects",
    "projects",
];

fn compile(company: &Company) -> Option<Snapshot> {
    let reading = policy::read_company(&company.files(), "demo").ok()?;
    Snapshot::compile(&reading.policy).ok()
}

/// Takes something away, or puts in its place what stands there in another company of the shape.
fn mutate(company: &mut Value, part: &str, other: &Value, rng: &mut Rng) {
    let mut places = Vec::new();
    removable(&company[part], format!("/{part}"), &mut places);
    if places.is_empty() {
        return;
    }
    let place = &places[rng.usize(0..places.len())];
    match (other.pointer(place), company.pointer_mut(place)) {
        (Some(other), Some(value)) if rng.u32(0..4) > 0 => *value = other.clone(),
        _ => remove(company, place),
    }
}

/// A copy of the company with something else in one part, and what that compiles to.
fn mutated(company: &Company, part: &str, other: &Company, rng: &mut Rng) -> Option<Snapshot> {
    for _ in 0..20 {
        let mut changed = company.clone();
        for _ in 0..rng.usize(1..4) {
            mutate(&mut changed.0, part, &other.0, rng);
        }
        // What does not compile is never compared.
        if changed.0 != company.0
            && let Some(snapshot) = compile(&changed)
        {
            return Some(snapshot);
        }
    }
    None
}

/// Puts lists in another order where that says the same, and adds what decides nothing.
fn restate(value: &mut Value, rng: &mut Rng) {
    match value {
        Value::Array(items) => {
            rng.shuffle(items);
            items.iter_mut().for_each(|item| restate(item, rng));
        }
        Value::Object(members) => members
            .iter_mut()
            // Lists in properties are in the order that they are in.
            .filter(|(name, _)| *name != "properties" && *name != "resources")
            .for_each(|(_, value)| restate(value, rng)),
        _ => {}
    }
}

/// What a change in a part of a company may be told as.
fn fits(part: &str, cause: Cause) -> bool {
    use Cause::*;
    match part {
        "catalogue" => matches!(
            cause,
            ResourceType | Action | Mark | Role | ObjectProperty | UserProperty
        ),
        "company" => !matches!(
            cause,
            Mark | ResourceType
                | Action
                | Role
                | Object
                | ObjectOwner
                | ObjectProject
                | ObjectProperty
                | RoleProject
                | User
                | UserAlias
                | UserActive
        ),
        "roles" => matches!(cause, Role | ImplicitRole | Assignment | UserShift),
        "users" => matches!(
            cause,
            User | UserActive
                | UserAlias
                | Assignment
                | UserGroup
                | UserDepartment
                | LedGroup
                | LedDepartment
                | UserProject
                | UserProperty
                | UserShift
        ),
        "objects" => matches!(
            cause,
            Object
                | ObjectOwner
                | ObjectGroup
                | ObjectDepartment
                | ObjectProject
                | OperatorUser
                | OperatorGroup
                | OperatorDepartment
                | ObjectProperty
        ),
        _ => matches!(
            cause,
            Project | UserProject | ObjectProject | RoleProject | Assignment
        ),
    }
}

#[test]
fn a_diff_is_empty_only_if_every_check_agrees_and_names_what_was_changed() {
    let (mut empty, mut seen) = (0, 0);
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    let first = number("CALLGATE_SEED").unwrap_or(0);
    let pairs = number("CALLGATE_COMPANIES").unwrap_or(PAIRS);
    for seed in first..first + pairs {
        let rng = &mut Rng::with_seed(seed ^ 0xd1ff);
        let shape = Shape::wild(rng);
        let company = Company::generate(&shape, seed);
        let other = Company::generate(&shape, seed + 1_000_000);
        let part = PARTS[rng.usize(0..PARTS.len())];
        let old = compile(&company).unwrap();
        let Some(new) = mutated(&company, part, &other, rng) else {
            continue;
        };
        let diff = old.diff(&new);
        for change in &diff.changes {
            assert!(fits(part, change.cause), "seed {seed}, {part}: {change:?}");
        }
        // Things that are there or not are neither gains nor losses.
        let presence = diff.changes.iter().any(|change| {
            change.event != Event::Changed
                && matches!(
                    change.cause,
                    Cause::Object
                        | Cause::Group
                        | Cause::Department
                        | Cause::Project
                        | Cause::ResourceType
                        | Cause::Action
                        | Cause::User
                        | Cause::Role
                )
        });
        let mut differs = false;
        for _ in 0..QUESTIONS {
            let request = question::wild(&shape, rng);
            let question = Question::new(&request);
            let query = question.query();
            let (before, after) = (decide::check(&old, &query), decide::check(&new, &query));
            let same = before.to_string() == after.to_string();
            differs |= !same;
            let told = || serde_json::to_string_pretty(&diff).unwrap();
            assert!(
                same || !diff.is_empty(),
                "seed {seed}: {before}, then {after}: {request}"
            );
            if presence || query.test_role.is_some() {
                continue;
            }
            let allowed = |reason: &Reason<'_>| reason.allows();
            let (before, after) = (allowed(&before), allowed(&after));
            assert!(
                before || !after || diff.has_gain(),
                "seed {seed}: {request}\n{}",
                told()
            );
            assert!(
                !before || after || diff.has_loss(),
                "seed {seed}: {request}\n{}",
                told()
            );
        }
        empty += usize::from(diff.is_empty());
        seen += usize::from(differs);
    }
    println!("{empty} empty, {seen} seen to differ");
    assert!(
        empty > 20 && seen > 80,
        "{empty} empty, {seen} seen to differ"
    );
}

#[test]
fn the_same_said_in_another_order_is_no_difference() {
    for seed in 0..100 {
        let rng = &mut Rng::with_seed(seed);
        let shape = Shape::wild(rng);
        let company = Company::generate(&shape, seed);
        let mut restated = company.clone();
        restate(&mut restated.0, rng);
        restated.0["company"]["title"] = "Another".into();
        let (old, new) = (compile(&company).unwrap(), compile(&restated).unwrap());
        assert!(
            old.diff(&new).is_empty(),
            "seed {seed}: {:?}",
            old.diff(&new)
        );
    }
}
