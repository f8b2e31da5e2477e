//! Metrics of each company, taken from what is known of it at scrape.

use std::time::{SystemTime, UNIX_EPOCH};

use prometheus::proto::MetricFamily;

use crate::companies::{Companies, Current};
use crate::telemetry::gauge;

/// Companies that have labels of their own; those beyond, by name, are told of together.
const COMPANIES_MAX: usize = 100;

/// The label of those beyond. No company can bear it together with the companies before it, and if
/// one does, their values stand under one label.
const OTHER: &str = "other";

/// What a scrape shows of a company, or of several together.
#[derive(Default)]
struct Row {
    company: String,
    generation: Option<f64>,
    age: Option<f64>,
    last_success: Option<f64>,
    bytes: Option<f64>,
}

/// The families of all companies.
pub(super) fn families(companies: &Companies, now: SystemTime) -> Vec<MetricFamily> {
    let mut rows: Vec<Row> = Vec::new();
    for (at, name) in companies.names().into_iter().enumerate() {
        let row = Row::of(companies, name, now);
        match rows.last_mut() {
            Some(other) if at > COMPANIES_MAX => other.join(&row),
            _ if at == COMPANIES_MAX => rows.push(Row {
                company: OTHER.to_owned(),
                ..row
            }),
            _ => rows.push(row),
        }
    }
    let family = |name, help, value: fn(&Row) -> Option<f64>| {
        let values = rows.iter().filter_map(|row| {
            value(row).map(|value| (vec![("company", row.company.as_str())], value))
        });
        gauge(name, help, values)
    };
    vec![
        family(
            "callgate_snapshot_generation",
            "Generation of the snapshot that decides; of several companies the least.",
            |row| row.generation,
        ),
        family(
            "callgate_snapshot_age_seconds",
            "Time since what the source holds was what runs; of several companies the most.",
            |row| row.age,
        ),
        family(
            "callgate_snapshot_last_success_timestamp_seconds",
            "When a snapshot was last activated; of several companies the earliest.",
            |row| row.last_success,
        ),
        family(
            "callgate_snapshot_bytes",
            "Memory that the snapshot holds; of several companies the sum.",
            |row| row.bytes,
        ),
    ]
}

impl Row {
    #[expect(clippy::cast_precision_loss, reason = "the format knows doubles only")]
    fn of(companies: &Companies, company: String, now: SystemTime) -> Self {
        let status = companies.status(&company).unwrap_or_default();
        let bytes = companies.with(&company, |current| match current {
            Current::Active(snapshot) | Current::Stale(snapshot) => {
                Some(snapshot.size_bytes() as f64)
            }
            Current::Inactive | Current::Unknown => None,
        });
        let loaded_at = status
            .loaded_at
            .and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        Self {
            generation: status.generation.map(|generation| generation as f64),
            age: status.age(now).map(|age| age.as_secs_f64()),
            last_success: loaded_at.map(|at| at.as_secs_f64()),
            bytes,
            company,
        }
    }

    fn join(&mut self, other: &Self) {
        let both = |one: Option<f64>, other: Option<f64>, join: fn(f64, f64) -> f64| match one {
            Some(one) => Some(other.map_or(one, |other| join(one, other))),
            None => other,
        };
        self.generation = both(self.generation, other.generation, f64::min);
        self.age = both(self.age, other.age, f64::max);
        self.last_success = both(self.last_success, other.last_success, f64::min);
        self.bytes = both(self.bytes, other.bytes, |one, other| one + other);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn companies_beyond_the_cap_stand_together() {
        let companies = Companies::default();
        let now = UNIX_EPOCH + std::time::Duration::from_secs(1_000);
        for number in 0..150_u64 {
            companies.update_status(&format!("c{number:03}"), |status| {
                status.generation = Some(number);
                status.fresh_at = Some(now - std::time::Duration::from_secs(number));
            });
        }
        let families = families(&companies, now);
        let values = |name: &str| {
            let family = families
                .iter()
                .find(|family| family.name() == name)
                .unwrap();
            let last = family.get_metric().last().unwrap();
            let label = last.get_label()[0].value().to_owned();
            (
                family.get_metric().len(),
                label,
                last.get_gauge().get_value(),
            )
        };
        let generation = values("callgate_snapshot_generation");
        assert_eq!(generation, (101, "other".to_owned(), 100.0));
        let age = values("callgate_snapshot_age_seconds");
        assert_eq!(age, (101, "other".to_owned(), 149.0));
    }
}
