//! The engine and the reference evaluator agree, on random companies and questions.
//!
//! `CALLGATE_SEED` starts elsewhere, `CALLGATE_COMPANIES` says how many companies are made.

use std::collections::BTreeSet;
use std::env;

use callgate::model::{Reason, Scope};
use callgate::snapshot::Snapshot;
use callgate::{decide, oracle, policy};
use fastrand::Rng;
use serde_json::Value;

use crate::generate::{Company, Question, Shape, question};
use crate::shrink::shrink;

const COMPANIES: u64 = 400;
const QUESTIONS: usize = 80;

#[test]
fn engine_and_oracle_agree() {
    let number = |name: &str| {
        env::var(name)
            .ok()
            .and_then(|text| text.parse::<u64>().ok())
    };
    let first = number("CALLGATE_SEED").unwrap_or(0);
    let mut reached = BTreeSet::new();
    for seed in first..first + number("CALLGATE_COMPANIES").unwrap_or(COMPANIES) {
        let rng = &mut Rng::with_seed(seed ^ 0x5eed);
        let shape = Shape::wild(rng);
        let company = Company::generate(&shape, seed);
        let requests: Vec<Value> = (0..QUESTIONS)
            .map(|_| question::wild(&shape, rng))
            .collect();
        let snapshot = match compile(&company) {
            Ok((_, snapshot)) => snapshot,
            Err(errors) => panic!("seed {seed} makes a company that is refused:\n{errors}"),
        };
        let Some(wrong) = first_disagreement(&company, &requests) else {
            reached.extend(
                requests
                    .iter()
                    .flat_map(|request| traits(&snapshot, request)),
            );
            continue;
        };
        let mut case = company.0.clone();
        case["request"] = wrong.clone();
        let case = shrink(case, &|case| disagreement(case).is_some());
        let why = disagreement(&case).unwrap_or_default();
        panic!(
            "seed {seed}: {why}\n{}",
            serde_json::to_string_pretty(&case).unwrap_or_default()
        );
    }
    let missed: Vec<String> = wanted()
        .into_iter()
        .filter(|want| !reached.contains(want))
        .collect();
    assert!(missed.is_empty(), "never reached: {missed:?}");
}

/// Everything that the decision model names and a run must have met.
fn wanted() -> Vec<String> {
    // Those of routes, and of what is too old to decide, are no part of a check.
    let mut wanted: Vec<String> = Reason::CODES
        .iter()
        .filter(|code| !Reason::BESIDE_CHECKS.contains(code))
        .map(|code| format!("reason {code}"))
        .collect();
    wanted.extend(Scope::ALL.iter().map(|scope| format!("scope {scope}")));
    let facts = [
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
    wanted.extend(facts.iter().map(|fact| format!("path {fact}")));
    let operators = [
        "is",
        "not",
        "in",
        "not_in",
        "at_least",
        "at_most",
        "in_network",
        "not_in_network",
        "contains",
    ];
    for operator in operators {
        wanted.extend(["true", "false", "unknown"].map(|truth| format!("{operator} is {truth}")));
    }
    wanted.extend(["true", "false"].map(|truth| format!("present is {truth}")));
    wanted
}

/// What a check met, read off its explanation.
fn traits(snapshot: &Snapshot, request: &Value) -> Vec<String> {
    let question = Question::new(request);
    let explanation = decide::trace(snapshot, &question.query());
    let code = explanation.reason.split(':').next().unwrap_or_default();
    let mut traits = vec![format!("reason {code}")];
    for step in &explanation.steps {
        if let Some(test) = &step.test {
            traits.push(format!("path {}", test.path));
            let result = step.result.unwrap_or_default();
            traits.push(format!("{} is {result}", test.operator));
        }
        let reached = step
            .scopes
            .iter()
            .filter(|reach| reach.reached == Some(true));
        traits.extend(reached.map(|reach| format!("scope {}", reach.scope)));
    }
    traits
}

fn compile(company: &Company) -> Result<(policy::Policy, Snapshot), String> {
    let reading =
        policy::read_company(&company.files(), "demo").map_err(|errors| errors.to_string())?;
    let snapshot = Snapshot::compile(&reading.policy).map_err(|error| error.to_string())?;
    Ok((reading.policy, snapshot))
}

fn first_disagreement<'r>(company: &Company, requests: &'r [Value]) -> Option<&'r Value> {
    let (policy, snapshot) = compile(company).ok()?;
    requests
        .iter()
        .find(|request| differ(&policy, &snapshot, request).is_some())
}

/// How the answers differ, if they do. A company that does not compile has none.
fn disagreement(case: &Value) -> Option<String> {
    let (policy, snapshot) = compile(&Company(case.clone())).ok()?;
    differ(&policy, &snapshot, &case["request"])
}

fn differ(policy: &policy::Policy, snapshot: &Snapshot, request: &Value) -> Option<String> {
    let question = Question::new(request);
    let query = question.query();
    let engine = decide::check(snapshot, &query).to_string();
    let explained = decide::trace(snapshot, &query);
    let oracle = oracle::check(policy, &query).to_string();
    if engine != oracle {
        return Some(format!(
            "the engine says {engine}, the oracle {oracle}\n{explained}"
        ));
    }
    (engine != explained.reason)
        .then(|| format!("check says {engine}, explain {}", explained.reason))
}
