//! Waiting for a generation: a request that names one is answered from it or from a newer one.
//!
//! Who has just changed a right asks with the number that the change was given, and so reads its
//! own write. Requests that name none pay for one look at their body's bytes.

use std::sync::LazyLock;
use std::time::Duration;

use memchr::memchr;
use memchr::memmem::Finder;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::worker::Worker;

/// What a body holds that names a generation.
static NAME: LazyLock<Finder<'_>> = LazyLock::new(|| Finder::new(b"\"min_generation\""));

/// What it may hold instead: letters that are written by their numbers.
static ESCAPED: LazyLock<Finder<'_>> = LazyLock::new(|| Finder::new(br"\u00"));

/// How often is looked whether the generation is reached.
const LOOK: Duration = Duration::from_millis(5);

/// Waits until what decides for the company has reached the generations that the body names, or
/// for as long as is set. Whether they were reached is found out where the request is answered.
pub(super) async fn for_generation(worker: &Worker, company: Option<&str>, body: &[u8]) {
    if !may_name_generation(body) {
        return;
    }
    // 0 is what a caller has that was told of no generation yet.
    let Some(least) = named(body).filter(|least| *least > 0) else {
        return;
    };
    let deadline = Instant::now() + worker.desk().limits().generation_timeout;
    while worker.desk().generation(company) < Some(least) && Instant::now() < deadline {
        sleep(LOOK).await;
    }
}

/// Whether the body's bytes may name one.
pub(super) fn may_name_generation(body: &[u8]) -> bool {
    let is_escaped = memchr(b'\\', body).is_some_and(|_| ESCAPED.find(body).is_some());
    is_escaped || NAME.find(body).is_some()
}

/// The largest generation that is named, for the whole request or for an item.
fn named(body: &[u8]) -> Option<u64> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let of = |request: &Value| {
        request
            .pointer("/context/callgate/min_generation")?
            .as_u64()
    };
    let items = body.get("evaluations").and_then(Value::as_array);
    let items = items.into_iter().flatten().filter_map(of);
    items.chain(of(&body)).max()
}
