//! The service: a decision listener whose workers decide, and an admin listener beside them.
//!
//! One thread runs the acceptors, the admin listener and whatever else waits (the control
//! runtime, which is the caller's); each worker is a thread with a runtime of its own. An acceptor
//! gives each new connection to the next worker, which keeps it. Decisions never run on the control
//! runtime, and nothing but decisions runs on a worker: what takes longer runs on the `pool`.
//!
//! A request's way: `worker` (limits, counts) → `routes` → `door` (who asks) → `authzen` (body) → `desk` (one
//! look at the company's snapshot, decision) → `respond`. A proxy's goes from `door` to `proxy`;
//! Envoy's by gRPC comes there through `rpc`. hyper reads requests and writes answers; plain ones take
//! the same way from `direct`, which reads and writes them itself.

mod acceptor;
mod admin;
mod authzen;
mod away;
mod batch;
mod bodies;
mod body;
mod company_metrics;
mod connection;
mod desk;
mod direct;
mod discovery;
mod door;
mod embedded;
mod evaluation;
mod expect;
pub mod explanation;
pub mod filter;
mod frames;
mod freshness;
mod hush;
mod json;
mod listener;
mod pace;
mod page;
mod plain;
mod pool;
pub mod proxy;
mod readiness;
mod refusal;
mod reload;
mod respond;
mod room;
mod routes;
mod rpc;
mod search;
mod shadow;
mod snapshots;
mod stream;
mod trail;
mod turns;
mod underway;
mod wait;
mod worker;

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::spawn_local;

pub use admin::{ADMIN_INTERFACES, AdminInterface};
pub use embedded::Embedded;
pub use json::NESTING_MAX;
pub use listener::Listener;
pub use page::PAGE_RESULTS;
pub use readiness::Readiness;
pub use reload::{ReloadHandle, ReloadOptions};
pub use routes::{INTERFACES, Interface};

use crate::access::Access;
use crate::companies::Companies;
use crate::config::{Freshness, Limits, Proxy, PublicUrl};
use crate::identity::Identities;
use crate::journal::Journal;
use crate::telemetry::{Metrics, Spans};

/// How long beyond the drain timeout the end waits for a worker that does not keep it: for a bug.
const STUCK_TIME: Duration = Duration::from_secs(1);

/// Everything that the service needs to know.
pub struct Server {
    /// For whom it decides.
    pub companies: Arc<Companies>,
    /// For whom it decides where a path names nobody.
    pub default_company: Option<String>,
    /// Who may ask; none: whoever reaches it, without TLS.
    pub access: Option<Arc<Access>>,
    /// Under which URL callers see it.
    pub public_url: Option<PublicUrl>,
    /// Reverse proxies, and what they are told.
    pub proxy: Proxy,
    /// Who the users behind them are.
    pub identities: Arc<Identities>,
    /// Where decisions are logged, if anywhere; it has a pen for each thread that decides.
    pub journal: Option<Arc<Journal>>,
    /// Where spans of requests are noted, if anywhere; it has a tracer for each worker.
    pub spans: Option<Arc<Spans>>,
    /// Where it counts; it has as many workers, and threads in the pool, as this has shards.
    pub metrics: Arc<Metrics>,
    /// Whether to send requests here.
    pub readiness: Arc<Readiness>,
    /// How `POST /v1/reload` looks at the source.
    pub reload: ReloadHandle,
    /// How old snapshots may grow.
    pub freshness: Freshness,
    /// Whose decisions are compared with those that are given, if anybody's.
    pub shadow: Option<Arc<Companies>>,
    /// How much it takes on.
    pub limits: Limits,
}

/// How far the end has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Serving,
    /// Clients are led elsewhere: connections end after their next answer, and new ones are taken.
    Draining,
    /// No connection is taken any more.
    Stopping,
}

/// What all workers, and the admin listener, know.
struct Shared {
    companies: Arc<Companies>,
    default_company: Option<String>,
    access: Option<Arc<Access>>,
    public_url: Option<PublicUrl>,
    gate: proxy::gate::Gate,
    page_key: page::Key,
    journal: Option<Arc<Journal>>,
    spans: Option<Arc<Spans>>,
    metrics: Arc<Metrics>,
    readiness: Arc<Readiness>,
    freshness: Freshness,
    shadow: Option<shadow::Shadow>,
    room: room::Room,
    limits: Limits,
}

// === impl Server ===

impl Server {
    /// Serves until `stop` is ready; then it is not ready first, leads its clients elsewhere for
    /// the drain delay, accepts nothing more, finishes what runs, and returns when that is done or
    /// the drain timeout has passed.
    ///
    /// It must be called on a `tokio::runtime::LocalRuntime`, the control runtime.
    ///
    /// # Errors
    /// A thread cannot be started, or there is no randomness.
    pub async fn run(
        self,
        decision: Vec<Listener>,
        admin: Listener,
        stop: impl Future<Output = ()>,
    ) -> io::Result<()> {
        let shared = Arc::new(Shared {
            companies: self.companies,
            default_company: self.default_company,
            access: self.access,
            public_url: self.public_url,
            gate: proxy::gate::Gate::new(self.proxy, self.identities),
            page_key: page::Key::random()?,
            journal: self.journal,
            spans: self.spans,
            metrics: self.metrics,
            readiness: self.readiness,
            freshness: self.freshness,
            shadow: self.shadow.map(shadow::Shadow::new),
            room: room::Room::new(self.limits.connections_max),
            limits: self.limits,
        });
        spawn_local(freshness::watch(Arc::clone(&shared)));
        let pool = pool::Pool::start(&shared)?;
        let (stopping, is_stopping) = watch::channel(Stage::Serving);
        let (stopped, is_stopped) = watch::channel(false);
        let (running, mut all_gone) = mpsc::channel(1);
        let workers = (0..shared.metrics.shards().len()).map(|number| {
            let (shared, stopping) = (Arc::clone(&shared), is_stopping.clone());
            worker::start(number, shared, pool.clone(), stopping, running.clone())
        });
        let dispatch = Arc::new(acceptor::Dispatch::new(
            workers.collect::<io::Result<_>>()?,
            Arc::clone(&shared.metrics),
            &shared.limits,
            shared
                .access
                .as_ref()
                .is_some_and(|access| access.has_tls()),
            Arc::clone(&shared.readiness),
        ));
        drop((running, pool));
        for listener in decision {
            spawn_local(Arc::clone(&dispatch).accept(listener, is_stopping.clone()));
        }
        drop(dispatch);
        let admin_page = admin::Admin::new(Arc::clone(&shared), self.reload);
        let admin = spawn_local(admin_page.run(admin, is_stopped));

        stop.await;
        shared.readiness.stop();
        let delay = shared.limits.drain_delay;
        if !delay.is_zero() {
            tracing::info!(?delay, "draining: connections end after their next answer");
            let _ = stopping.send(Stage::Draining);
            tokio::time::sleep(delay).await;
        }
        tracing::info!("stopping: finishing what runs");
        let _ = stopping.send(Stage::Stopping);
        // The admin listener goes on until the last answer is given, so that it can be watched.
        let deadline = shared.limits.drain_timeout + STUCK_TIME;
        if tokio::time::timeout(deadline, all_gone.recv())
            .await
            .is_err()
        {
            tracing::error!("a worker does not come to its end; ending without it");
        }
        let _ = stopped.send(true);
        let _ = admin.await;
        Ok(())
    }
}

// === impl Shared ===

impl Shared {
    /// For so many threads that answer where they are asked, by the default settings.
    fn embedded(companies: Arc<Companies>, threads: usize) -> io::Result<Self> {
        let limits = Limits::default();
        Ok(Self {
            companies,
            default_company: None,
            access: None,
            public_url: None,
            gate: proxy::gate::Gate::new(Proxy::default(), Arc::new(Identities::default())),
            page_key: page::Key::random()?,
            journal: None,
            spans: None,
            metrics: Arc::new(Metrics::new(threads, threads, [])),
            readiness: Arc::default(),
            freshness: Freshness::default(),
            shadow: None,
            room: room::Room::new(limits.connections_max),
            limits,
        })
    }
}
