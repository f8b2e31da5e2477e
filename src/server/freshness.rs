//! What becomes of answers whose snapshot has grown too old.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::Shared;
use crate::companies::Companies;
use crate::config::{Freshness, WhenStale};

/// How often ages are looked at.
const LOOK: Duration = Duration::from_millis(250);

/// The companies whose snapshot is older than it may be.
pub(super) fn stale(
    companies: &Companies,
    freshness: Freshness,
    now: SystemTime,
) -> BTreeSet<String> {
    let Some(most) = freshness.max_staleness else {
        return BTreeSet::new();
    };
    let names = companies.names().into_iter();
    let old = |name: &String| {
        let status = companies.status(name);
        let age = status.and_then(|status| status.age(now));
        age.is_some_and(|age| age > most)
    };
    names.filter(old).collect()
}

/// Says when a company grows too old or is fresh again, and has its checks denied meanwhile where
/// that is set; for as long as the process runs.
pub(super) async fn watch(shared: Arc<Shared>) {
    let freshness = shared.freshness;
    let Some(most) = freshness.max_staleness else {
        return;
    };
    let mut known = BTreeSet::new();
    let mut tick = tokio::time::interval(LOOK);
    loop {
        tick.tick().await;
        let now = stale(&shared.companies, freshness, SystemTime::now());
        let deny = freshness.when_stale == WhenStale::Deny;
        for company in now.difference(&known) {
            tracing::error!(
                company,
                ?most,
                deny,
                "what decides is too old (--max-staleness)"
            );
            shared.companies.deny(company, deny);
        }
        for company in known.difference(&now) {
            tracing::info!(company, "what decides is fresh again");
            shared.companies.deny(company, false);
        }
        known = now;
    }
}
