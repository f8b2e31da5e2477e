//! AuthZEN metadata: where this decision point's interfaces are, for a company or for the one
//! there is. All of it comes from the setting `public-url`, and nothing from the request: else
//! whoever sends a `Host` of their own could send others to a place of their own.

use serde::Serialize;

use super::desk::{Desk, no_snapshot, unknown};
use super::respond::{Answer, Refusal, RefusalCode, json};
use super::routes::INTERFACES;
use crate::companies::Current;
use crate::config::PublicUrl;
use crate::telemetry::{Api, Code};

/// Members without a value are left out, as the standard demands: so there are none.
#[derive(Serialize)]
struct Metadata {
    policy_decision_point: String,
    access_evaluation_endpoint: String,
    access_evaluations_endpoint: String,
    search_subject_endpoint: String,
    search_resource_endpoint: String,
    search_action_endpoint: String,
}

/// Answers for what follows the well-known path: the path of the public URL and the company.
pub(super) fn metadata(desk: &Desk, rest: &str) -> Answer {
    let Some(url) = desk.public_url() else {
        return no_public_url().into();
    };
    let company = match rest.strip_prefix(url.path()) {
        Some("") => None,
        Some(company) if company.starts_with('/') => company.get(1..),
        _ => return unknown(Some(rest)).into(),
    };
    let known = desk.with_company(company, |current| match current {
        Current::Unknown if desk.readiness().is_starting() => Err(no_snapshot()),
        Current::Unknown => Err(unknown(company)),
        Current::Inactive | Current::Active(_) | Current::Stale(_) => Ok(()),
    });
    if let Err(refusal) = known {
        return refusal.into();
    }
    let base = match company {
        Some(company) => format!("{url}/{company}"),
        None => url.to_string(),
    };
    let endpoint = |api: Api| {
        let interface = INTERFACES.iter().find(|interface| interface.api == api);
        let path = interface.map_or("", |interface| interface.path);
        format!("{base}{path}")
    };
    Answer::cacheable(json(&Metadata {
        access_evaluation_endpoint: endpoint(Api::Evaluation),
        access_evaluations_endpoint: endpoint(Api::Evaluations),
        search_subject_endpoint: endpoint(Api::SearchSubject),
        search_resource_endpoint: endpoint(Api::SearchResource),
        search_action_endpoint: endpoint(Api::SearchAction),
        policy_decision_point: base,
    }))
}

/// The company that such a path names; what is no path of ours stands for none that there is.
pub(super) fn company<'p>(desk: &Desk, rest: &'p str) -> Option<&'p str> {
    let path = desk.public_url().map_or("", PublicUrl::path);
    match rest.strip_prefix(path) {
        Some("") => None,
        Some(company) => Some(company.strip_prefix('/').unwrap_or(company)),
        None => Some(rest),
    }
}

#[cold]
fn no_public_url() -> Refusal {
    let message = "this service does not know its address: it must be told with --public-url";
    Refusal::new(Code::NotFound, RefusalCode::NoPublicUrl, message)
}
