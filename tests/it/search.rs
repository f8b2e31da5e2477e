//! A search finds exactly those for whom a check allows, page by page.

use callgate::decide::{self, search};
use callgate::model::{Action, Entity, Query};
use callgate::policy::{self, Policy};
use callgate::snapshot::Snapshot;
use fastrand::Rng;

use crate::generate::question::{self, Question};
use crate::generate::{Company, Shape};

const COMPANIES: u64 = 150;
const QUESTIONS: usize = 40;

/// All results of a search, read in pages of this many.
fn pages<'s>(
    limit: usize,
    search: impl Fn(search::Window<'_>) -> search::Page<'s>,
) -> Vec<&'s str> {
    let mut all: Vec<&str> = Vec::new();
    loop {
        let after = all.last().copied();
        let page = search(search::Window { after, limit });
        assert!(page.results.len() <= limit && !(page.more && page.results.is_empty()));
        all.extend(page.results);
        if !page.more {
            return all;
        }
    }
}

/// The ids of what the query's type has registered, as a check would be asked for them.
fn registered(policy: &Policy, kind: &str) -> Vec<String> {
    let types = &policy.catalogue.types;
    let mut ids: Vec<String> = match kind {
        _ if !types.iter().any(|of| of.name == kind) => Vec::new(),
        "user" => policy.users.iter().map(|user| user.id.clone()).collect(),
        "project" => policy
            .projects
            .iter()
            .map(|project| project.name.clone())
            .collect(),
        "role" => policy.roles.iter().map(|role| role.name.clone()).collect(),
        _ => {
            let of_kind = |object: &&policy::Object| types[object.kind.index()].name == kind;
            policy
                .objects
                .iter()
                .filter(of_kind)
                .map(|object| object.id.clone())
                .collect()
        }
    };
    ids.sort();
    ids
}

#[test]
fn search_is_the_filter_of_checks() {
    let mut found = 0_usize;
    for seed in 0..COMPANIES {
        let rng = &mut Rng::with_seed(seed ^ 0xface);
        let shape = Shape::wild(rng);
        let company = Company::generate(&shape, seed);
        let policy = policy::read_company(&company.files(), "demo")
            .unwrap()
            .policy;
        let snapshot = Snapshot::compile(&policy).unwrap();
        for _ in 0..QUESTIONS {
            let request = question::wild(&shape, rng);
            let question = Question::new(&request);
            let query = question.query();
            let limit = rng.usize(1..4);
            let allowed = |query: Query<'_>| decide::check(&snapshot, &query).allows();

            let users = policy.users.iter().map(|user| user.id.as_str());
            let expected: Vec<&str> = users
                .filter(|id| {
                    allowed(Query {
                        subject: Entity {
                            id,
                            ..query.subject
                        },
                        ..query
                    })
                })
                .collect();
            let subjects = pages(limit, |window| search::subjects(&snapshot, &query, window));
            assert_eq!(subjects, expected, "seed {seed}, subjects of {request}");

            let ids = registered(&policy, query.resource.kind);
            let expected: Vec<&str> = (ids.iter().map(String::as_str))
                .filter(|id| {
                    allowed(Query {
                        resource: Entity {
                            id,
                            ..query.resource
                        },
                        ..query
                    })
                })
                .collect();
            let resources = pages(limit, |window| search::resources(&snapshot, &query, window));
            assert_eq!(resources, expected, "seed {seed}, resources of {request}");

            let types = &policy.catalogue.types;
            let of_kind = types.iter().find(|kind| kind.name == query.resource.kind);
            let names = of_kind
                .iter()
                .flat_map(|kind| &kind.actions)
                .map(|action| action.name.as_str());
            let expected: Vec<&str> = names
                .filter(|name| {
                    allowed(Query {
                        action: Action {
                            name,
                            ..query.action
                        },
                        ..query
                    })
                })
                .collect();
            let actions = pages(limit, |window| search::actions(&snapshot, &query, window));
            assert_eq!(actions, expected, "seed {seed}, actions of {request}");
            found += subjects.len() + resources.len() + actions.len();
        }
    }
    assert!(found > 1_000, "only {found} results in all");
}
