//! What operators may know of each company, as JSON.

use std::time::SystemTime;

use serde::Serialize;

use crate::companies::{Companies, Current, Failure, Status};

/// The body of `/v1/snapshots`.
#[derive(Serialize)]
pub(super) struct Snapshots<'e> {
    companies: Vec<Company>,
    /// Why the source could not be looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'e str>,
}

#[derive(Serialize)]
struct Company {
    company: String,
    active: bool,
    source: String,
    revision: Option<String>,
    generation: Option<u64>,
    digest: Option<String>,
    loaded_at: Option<String>,
    age_seconds: Option<f64>,
    size_bytes: Option<usize>,
    users: Option<usize>,
    objects: Option<usize>,
    failure: Option<FailureBody>,
}

#[derive(Serialize)]
struct FailureBody {
    at: String,
    code: &'static str,
    message: String,
    file: Option<String>,
    line: Option<u32>,
    column: Option<u32>,
}

/// What is known of every company.
pub(super) fn snapshots<'e>(
    companies: &Companies,
    now: SystemTime,
    error: Option<&'e str>,
) -> Snapshots<'e> {
    let names = companies.names().into_iter();
    let companies = names
        .map(|name| {
            let status = companies.status(&name).unwrap_or_default();
            let mut company = Company::new(name, &status, now);
            companies.with(&company.company.clone(), |current| company.fill(current));
            company
        })
        .collect();
    Snapshots { companies, error }
}

impl Company {
    fn new(company: String, status: &Status, now: SystemTime) -> Self {
        Self {
            company,
            active: false,
            source: status.source.clone(),
            revision: None,
            generation: status.generation,
            digest: None,
            loaded_at: status.loaded_at.map(time),
            age_seconds: status.age(now).map(|age| age.as_secs_f64()),
            size_bytes: None,
            users: None,
            objects: None,
            failure: status.failure.as_ref().map(FailureBody::from),
        }
    }

    fn fill(&mut self, current: Current<'_>) {
        if let Current::Active(snapshot) | Current::Stale(snapshot) = current {
            self.active = true;
            self.revision = Some(snapshot.revision().to_owned());
            self.digest = Some(snapshot.digest().to_owned());
            self.size_bytes = Some(snapshot.size_bytes());
            self.users = Some(snapshot.users());
            self.objects = Some(snapshot.objects());
        }
    }
}

impl From<&Failure> for FailureBody {
    fn from(failure: &Failure) -> Self {
        let place = failure.place.as_ref();
        Self {
            at: time(failure.at),
            code: failure.code,
            message: failure.message.clone(),
            file: place.map(|(file, ..)| file.clone()),
            line: place.map(|(_, line, _)| *line),
            column: place.map(|(.., column)| *column),
        }
    }
}

/// RFC 3339, in UTC, to the millisecond.
fn time(time: SystemTime) -> String {
    jiff::Timestamp::try_from(time).map_or_else(|_| String::new(), |time| format!("{time:.3}"))
}
