//! How long a worker is away from its poll loop: between two looks for what came.
//!
//! While it is away, whatever comes waits. The runtime tells when it goes and comes back, so that a
//! request pays for two readings of the clock where one comes at a time, and for none where many do.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tokio::runtime::Builder;

use crate::telemetry::Shard;

/// Has the runtime of a worker tell its shard.
pub(super) fn watch(runtime: &mut Builder, shard: Arc<Shard>) -> &mut Builder {
    let started = Instant::now();
    // The runtime's thread alone writes and reads it; before it first parks it has been nowhere.
    let left = Arc::new(AtomicU64::new(u64::MAX));
    let came = Arc::clone(&left);
    runtime
        .on_thread_unpark(move || left.store(nanos(started), Relaxed))
        .on_thread_park(move || {
            let away = nanos(started).checked_sub(came.load(Relaxed));
            if let Some(away) = away {
                shard.away(Duration::from_nanos(away));
            }
        })
}

fn nanos(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::telemetry::Metrics;

    #[test]
    fn a_worker_that_is_kept_from_looking_has_been_away() {
        let metrics = Metrics::new(1, 0, []);
        let shard = Arc::clone(&metrics.shards()[0]);
        let mut builder = Builder::new_current_thread();
        let runtime = watch(builder.enable_all(), shard).build().unwrap();
        let pause = Duration::from_millis(1);
        runtime.block_on(async {
            tokio::time::sleep(pause).await;
            thread::sleep(Duration::from_millis(12));
            tokio::time::sleep(pause).await;
        });
        let text = metrics.text(Vec::new()).unwrap();
        let line = |name: &str| {
            let line = text.lines().find_map(|line| {
                line.strip_prefix("callgate_worker_away_seconds_")?
                    .strip_prefix(name)
            });
            line.unwrap().trim().parse::<f64>().unwrap()
        };
        let (within, all) = (line("bucket{le=\"0.01\"}"), line("count"));
        assert!(all >= 2.0 && within >= 1.0, "{text}");
        assert_eq!(all - within, 1.0, "{text}");
        assert!(line("sum") >= 0.012, "{text}");
    }
}
