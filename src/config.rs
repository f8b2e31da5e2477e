//! What `serve` is told: by flags, `CALLGATE_…` variables and a TOML file, in this order of weight.
//!
//! First everything is gathered as text with its origin ([`RawConfig`]); then all of it is read,
//! what is outweighed too, so that one start shows every mistake; then [`Config`] holds what is
//! ready for use.

mod access;
mod address;
mod decision_log;
mod freshness;
mod identity;
mod proxy;
mod public_url;
mod raw;
mod table;
mod texts;

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

pub use access::{AccessFiles, SocketRights, TlsFiles};
pub use address::Address;
pub use decision_log::{DecisionLog, LogPath, LogPlace, LogSink, WhenFull};
pub use freshness::{Freshness, SnapshotRules, WhenStale};
pub use identity::{
    Algorithm, CertificateField, DEFAULT_CLOCK_SKEW, DEFAULT_JWKS_REFRESH, Identity, Jwks, Jwt,
    TokenPlace,
};
pub use proxy::{DEFAULT_UPSTREAM, Proxy, TargetHeaders, TrustedPeer, UpstreamHeaders};
pub use public_url::PublicUrl;
pub use raw::{Mistake, Origin, RawConfig, SETTINGS, Setting};
use texts::{
    batch, body, body_memory, boolean, company, cores, count, delay, duration, failed_tests, file,
    header, is_remote, log_format, log_level, otlp, page, share, source, streams, threads,
};
pub use texts::{is_company, is_open_source};

use hyper::Uri;

/// Where policies are.
pub const DEFAULT_SOURCE: &str = "policies";
/// Where checks are answered.
pub const DEFAULT_LISTEN: &str = "127.0.0.1:7070";
/// Where operators look.
pub const DEFAULT_ADMIN: &str = "127.0.0.1:7071";
/// The share of a company's users or objects that an activation may drop.
pub const DEFAULT_MAX_LOSS: f64 = 0.2;
/// Connections open at once on the decision listeners.
pub const DEFAULT_MAX_CONNECTIONS: usize = 10_000;
/// Connections open at once on the admin listener.
pub const DEFAULT_MAX_ADMIN_CONNECTIONS: usize = 256;
/// TLS handshakes in a second.
pub const DEFAULT_MAX_HANDSHAKES: usize = 1_000;
/// Requests under way at once.
pub const DEFAULT_MAX_REQUESTS: usize = 4_096;
/// Bodies that have not come whole at once.
pub const DEFAULT_MAX_BODIES: usize = 4_096;
/// Bytes of such bodies at once, beyond the first 16 KiB of each.
pub const DEFAULT_MAX_BODY_MEMORY: usize = 64 << 20;
/// Bytes of a request's path and headers.
pub const DEFAULT_MAX_HEADER: usize = 64 << 10;
/// Bytes of a request's body.
pub const DEFAULT_MAX_BODY: usize = 1 << 20;
/// Requests that one connection of HTTP/2 may have under way.
pub const DEFAULT_MAX_STREAMS: u32 = 256;
/// Results on a page of a search, whatever the request says.
pub const DEFAULT_MAX_PAGE: usize = 1_000;
/// From a question for the pool to the beginning of its answer.
pub const DEFAULT_POOL_TIME: Duration = Duration::from_secs(2);
/// How long connections to a socket that was handed over wait for companies.
pub const DEFAULT_START_TIMEOUT: Duration = Duration::from_secs(10);
/// From being told to stop to taking no more connections.
pub const DEFAULT_DRAIN_DELAY: Duration = Duration::ZERO;
/// Items of a batch.
pub const DEFAULT_MAX_BATCH: usize = 1_000;
/// Searches, explanations and large batches that wait at once.
pub const DEFAULT_POOL_QUEUE: usize = 256;
/// From a request's first byte to the end of its head.
pub const DEFAULT_HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// From a request's head to the end of its body.
pub const DEFAULT_BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// From one request to the next on a connection; longer than proxies and pools keep theirs, so
/// that it is they who close.
pub const DEFAULT_IDLE_TIMEOUT: Duration = Duration::from_secs(300);
/// From the signal to stop to the end, at most.
pub const DEFAULT_DRAIN_TIMEOUT: Duration = Duration::from_secs(10);
/// From one look at the source to the next.
pub const DEFAULT_POLL_INTERVAL: Duration = Duration::from_millis(500);
/// From one look at a source that is not on this machine to the next.
pub const DEFAULT_REMOTE_POLL_INTERVAL: Duration = Duration::from_secs(5);
/// How long a request waits for the generation that it names.
pub const DEFAULT_GENERATION_TIMEOUT: Duration = Duration::from_secs(2);
/// What is logged.
pub const DEFAULT_LOG_LEVEL: &str = "info";

/// Most threads of a kind.
const THREADS_MAX: usize = 1_024;
/// The most items of a batch that are kept in memory; `max-batch` cannot go beyond.
pub const BATCH_ITEMS_MAX: usize = 10_000;
/// What a number of connections or requests may be.
const COUNT_MAX: usize = 10_000_000;

/// What `serve` is told, ready for use.
#[derive(Clone, Debug)]
pub struct Config {
    /// A policy tree, a folder of snapshots, or the URL of what `publish` made.
    pub source: PathBuf,
    /// What snapshots must prove, and where they are kept.
    pub snapshots: SnapshotRules,
    /// How old they may grow.
    pub freshness: Freshness,
    /// Where checks are answered.
    pub listen: Vec<Address>,
    /// Where operators look.
    pub admin: Address,
    /// Only these companies; empty: all.
    pub companies: BTreeSet<String>,
    /// The company of paths that name none.
    pub default_company: Option<String>,
    /// Who may ask.
    pub access: AccessFiles,
    /// Whether addresses may be open to other machines.
    pub insecure: bool,
    /// Who may connect to unix sockets.
    pub socket: SocketRights,
    /// Reverse proxies, and how the users behind them are known.
    pub proxy: Proxy,
    /// Under which URL callers see the service.
    pub public_url: Option<PublicUrl>,
    /// Threads that decide.
    pub workers: NonZeroUsize,
    /// Threads for searches, explanations and large batches.
    pub pool_threads: NonZeroUsize,
    /// What a failed policy test does.
    pub failed_tests: OnFailedTests,
    /// The share of a company's users or objects that an activation may drop.
    pub max_loss: f64,
    /// From one look at the source to the next.
    pub poll_interval: Duration,
    /// How much the service takes on.
    pub limits: Limits,
    /// Where decisions are logged, and how; by default nowhere.
    pub decision_log: Option<DecisionLog>,
    /// Where spans of requests are sent, and which; by default nowhere.
    pub spans: Option<SpanSettings>,
    /// How log lines are written.
    pub log_format: LogFormat,
    /// What is logged: a level, or directives as of `tracing`'s `EnvFilter`.
    pub log_level: String,
}

/// How much the service takes on, and how long it waits.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections open at once on the decision listeners.
    pub connections_max: usize,
    /// Connections open at once on the admin listener.
    pub admin_connections_max: usize,
    /// TLS handshakes in a second; each worker takes its share.
    pub handshakes_max: usize,
    /// Requests that have come whole and are not answered, at once; each worker takes its share.
    pub requests_max: usize,
    /// Requests whose bodies have not come whole, at once; each worker takes its share.
    pub bodies_max: usize,
    /// Bytes of such bodies at once, beyond the first 16 KiB of each; each worker takes its share.
    pub body_memory_max: usize,
    /// Bytes of a request's path and headers.
    pub header_bytes_max: usize,
    /// Bytes of a request's body.
    pub body_bytes_max: usize,
    /// Requests that one connection of HTTP/2 may have under way.
    pub streams_max: u32,
    /// Results on a page of a search.
    pub page_results_max: usize,
    /// Items of a batch.
    pub batch_items_max: usize,
    /// Searches, explanations and large batches that wait for a thread of the pool at once.
    pub pool_queue_max: usize,
    /// For how long one of these may wait for a thread.
    pub pool_time: Duration,
    /// From a request's first byte to the end of its head.
    pub header_timeout: Duration,
    /// From a request's head to the end of its body.
    pub body_timeout: Duration,
    /// From one request to the next on a connection.
    pub idle_timeout: Duration,
    /// How long a request waits for the generation that it names.
    pub generation_timeout: Duration,
    /// How long connections to a socket that was handed over wait until every company was tried.
    pub start_timeout: Duration,
    /// From being told to stop, and being ready no more, to taking no more connections.
    pub drain_delay: Duration,
    /// From then to the end, at most.
    pub drain_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: DEFAULT_MAX_CONNECTIONS,
            admin_connections_max: DEFAULT_MAX_ADMIN_CONNECTIONS,
            handshakes_max: DEFAULT_MAX_HANDSHAKES,
            requests_max: DEFAULT_MAX_REQUESTS,
            batch_items_max: DEFAULT_MAX_BATCH,
            bodies_max: DEFAULT_MAX_BODIES,
            body_memory_max: DEFAULT_MAX_BODY_MEMORY,
            header_bytes_max: DEFAULT_MAX_HEADER,
            body_bytes_max: DEFAULT_MAX_BODY,
            streams_max: DEFAULT_MAX_STREAMS,
            page_results_max: DEFAULT_MAX_PAGE,
            pool_queue_max: DEFAULT_POOL_QUEUE,
            pool_time: DEFAULT_POOL_TIME,
            header_timeout: DEFAULT_HEADER_TIMEOUT,
            body_timeout: DEFAULT_BODY_TIMEOUT,
            idle_timeout: DEFAULT_IDLE_TIMEOUT,
            generation_timeout: DEFAULT_GENERATION_TIMEOUT,
            start_timeout: DEFAULT_START_TIMEOUT,
            drain_delay: DEFAULT_DRAIN_DELAY,
            drain_timeout: DEFAULT_DRAIN_TIMEOUT,
        }
    }
}

/// Where spans are sent, and which.
#[derive(Clone, Debug)]
pub struct SpanSettings {
    /// The collector's URL for spans, in full.
    pub url: Uri,
    /// The share of requests that get a span where no caller has decided that, 0 to 1.
    pub share: f64,
}

/// What a failed policy test does to an activation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailedTests {
    /// It stops it.
    Refuse,
    /// It is logged.
    Warn,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Reads raw values, and collects what is wrong with them.
struct Reader<'r> {
    raw: &'r RawConfig,
    mistakes: Vec<Mistake>,
}

// === impl Config ===

impl Config {
    /// Reads what was gathered.
    ///
    /// # Errors
    /// Every mistake that was made, in the order of the settings.
    pub fn read(raw: &RawConfig) -> Result<Self, Vec<Mistake>> {
        let mut read = Reader {
            raw,
            mistakes: raw.mistakes().to_vec(),
        };
        let insecure = read.one("insecure", boolean, || false);
        let access = read.access();
        let told = read.one("source", source, || PathBuf::from(DEFAULT_SOURCE));
        let poll = match is_remote(&told) {
            true => DEFAULT_REMOTE_POLL_INTERVAL,
            false => DEFAULT_POLL_INTERVAL,
        };
        let config = Self {
            source: told,
            snapshots: read.snapshots(),
            freshness: read.freshness(),
            listen: read.addresses("listen", DEFAULT_LISTEN, insecure, &access),
            admin: read
                .addresses("admin", DEFAULT_ADMIN, insecure, &access)
                .swap_remove(0),
            proxy: read.proxy(insecure, &access),
            access,
            insecure,
            socket: read.socket(),
            companies: read.many("company", company).into_iter().collect(),
            default_company: read.one("default-company", |text| company(text).map(Some), || None),
            public_url: read.one("public-url", |text| text.parse().map(Some), || None),
            workers: read.one("workers", threads, cores),
            pool_threads: read.one("pool-threads", threads, || {
                NonZeroUsize::new(cores().get() / 2).unwrap_or(NonZeroUsize::MIN)
            }),
            failed_tests: read.one("failed-tests", failed_tests, || OnFailedTests::Refuse),
            max_loss: read.one("max-loss", share, || DEFAULT_MAX_LOSS),
            poll_interval: read.one("poll-interval", duration, || poll),
            limits: read.limits(),
            decision_log: read.decision_log(),
            spans: read.spans(),
            log_format: read.one("log-format", log_format, || LogFormat::Text),
            log_level: read.one("log-level", log_level, || DEFAULT_LOG_LEVEL.to_owned()),
        };
        read.default_company_is_served(&config);
        read.sources_are_trusted(&config);
        read.cache_lies_apart(&config);
        if read.mistakes.is_empty() {
            Ok(config)
        } else {
            Err(read.mistakes)
        }
    }
}

// === impl Reader ===

impl<'r> Reader<'r> {
    /// The values of a setting that weigh most, each with its origin. All others are read too, for
    /// their mistakes.
    fn all<T>(
        &mut self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Vec<(T, &'r Origin)> {
        let mut heaviest = Vec::new();
        let mut heaviest_seen = false;
        for layer in self.raw.layers(name) {
            for (text, origin) in layer {
                match parse(text) {
                    Ok(value) if !heaviest_seen => heaviest.push((value, origin)),
                    Ok(_) => {}
                    Err(message) => self.mistakes.push(Mistake::new(origin, &message)),
                }
            }
            heaviest_seen |= !layer.is_empty();
        }
        heaviest
    }

    fn many<T>(&mut self, name: &str, parse: impl Fn(&str) -> Result<T, String>) -> Vec<T> {
        let values = self.all(name, parse).into_iter();
        values.map(|(value, _)| value).collect()
    }

    fn one<T>(
        &mut self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, String>,
        default: impl FnOnce() -> T,
    ) -> T {
        self.many(name, parse).pop().unwrap_or_else(default)
    }

    /// The files that say who may ask: those of TLS are set together or not at all.
    fn access(&mut self) -> AccessFiles {
        let certificate = self.one("tls-cert", file, || None);
        let key = self.one("tls-key", file, || None);
        let access = AccessFiles {
            client_ca: self.one("tls-client-ca", file, || None),
            tokens: self.one("token-file", file, || None),
            callers: self.one("callers", file, || None),
            tls: match (certificate.clone(), key.clone()) {
                (Some(certificate), Some(key)) => Some(TlsFiles { certificate, key }),
                _ => None,
            },
        };
        for (is, lacks, what) in [
            (
                "tls-cert",
                key.is_none(),
                "--tls-key, the key of this certificate",
            ),
            (
                "tls-key",
                certificate.is_none(),
                "--tls-cert, the certificate of this key",
            ),
            (
                "tls-client-ca",
                access.tls.is_none(),
                "--tls-cert and --tls-key",
            ),
        ] {
            let given = self.raw.layers(is).into_iter().flatten().next();
            if let Some((_, origin)) = given.filter(|_| lacks) {
                let message = format!("it takes {what}, too");
                self.mistakes.push(Mistake::new(origin, &message));
            }
        }
        access
    }

    /// What comes over an open way must be signed.
    fn sources_are_trusted(&mut self, config: &Config) {
        if config.insecure || !config.snapshots.trust_keys.is_empty() {
            return;
        }
        let shadow = config.snapshots.shadow.as_ref();
        let sources = [("source", Some(&config.source)), ("shadow", shadow)];
        for (name, source) in sources {
            let Some(open) = source.and_then(|source| is_open_source(source)) else {
                continue;
            };
            let given = self.raw.layers(name).into_iter().flatten().next();
            if let Some((_, origin)) = given {
                let message = format!(
                    "{open}, a loopback address, or --trust-key for what was signed, or accept \
                     that with --insecure"
                );
                self.mistakes.push(Mistake::new(origin, &message));
            }
        }
    }

    /// What is kept would be written over what decides next.
    fn cache_lies_apart(&mut self, config: &Config) {
        let Some(cache) = &config.snapshots.cache else {
            return;
        };
        let leads_to = |source: &PathBuf| {
            source == cache
                || source.canonicalize().is_ok_and(|source| {
                    let cache = cache.canonicalize();
                    cache.is_ok_and(|cache| cache == source)
                })
        };
        let sources = std::iter::once(&config.source).chain(&config.snapshots.shadow);
        let given = self.raw.layers("cache").into_iter().flatten().next();
        if let (true, Some((_, origin))) = (sources.into_iter().any(leads_to), given) {
            let message = "this is the folder of the source: what is kept needs one of its own";
            self.mistakes.push(Mistake::new(origin, message));
        }
    }

    fn socket(&mut self) -> SocketRights {
        let default = SocketRights::default();
        SocketRights {
            mode: self.one("socket-mode", access::mode, || default.mode),
            owner: self.one(
                "socket-owner",
                |text| access::owner(text).map(Some),
                || None,
            ),
            group: self.one(
                "socket-group",
                |text| access::group(text).map(Some),
                || None,
            ),
        }
    }

    /// Addresses, of which none may be open to other machines. Never empty.
    fn addresses(
        &mut self,
        name: &str,
        default: &str,
        insecure: bool,
        access: &AccessFiles,
    ) -> Vec<Address> {
        let addresses = self.all(name, Address::from_str);
        for (address, origin) in &addresses {
            if let Some(message) = access.is_open_at(address).filter(|_| !insecure) {
                self.mistakes.push(Mistake::new(origin, &message));
            }
        }
        if addresses.is_empty() {
            // The default can be read; the branch for when it cannot is for a mistake in this file.
            return vec![
                default
                    .parse()
                    .unwrap_or_else(|_| Address::Unix(PathBuf::new())),
            ];
        }
        addresses.into_iter().map(|(address, _)| address).collect()
    }

    fn limits(&mut self) -> Limits {
        let default = Limits::default();
        Limits {
            connections_max: self.one("max-connections", count, || default.connections_max),
            admin_connections_max: self.one("max-admin-connections", count, || {
                default.admin_connections_max
            }),
            handshakes_max: self.one("max-handshakes", count, || default.handshakes_max),
            requests_max: self.one("max-requests", count, || default.requests_max),
            batch_items_max: self.one("max-batch", batch, || default.batch_items_max),
            bodies_max: self.one("max-bodies", count, || default.bodies_max),
            body_memory_max: self.one("max-body-memory", body_memory, || default.body_memory_max),
            header_bytes_max: self.one("max-header", header, || default.header_bytes_max),
            body_bytes_max: self.one("max-body", body, || default.body_bytes_max),
            streams_max: self.one("max-streams", streams, || default.streams_max),
            page_results_max: self.one("max-page", page, || default.page_results_max),
            pool_queue_max: self.one("pool-queue", count, || default.pool_queue_max),
            pool_time: self.one("pool-time", duration, || default.pool_time),
            header_timeout: self.one("header-timeout", duration, || default.header_timeout),
            body_timeout: self.one("body-timeout", duration, || default.body_timeout),
            idle_timeout: self.one("idle-timeout", duration, || default.idle_timeout),
            generation_timeout: self.one("generation-timeout", duration, || {
                default.generation_timeout
            }),
            start_timeout: self.one("start-timeout", duration, || default.start_timeout),
            drain_delay: self.one("drain-delay", delay, || default.drain_delay),
            drain_timeout: self.one("drain-timeout", duration, || default.drain_timeout),
        }
    }

    /// All of it is read, also where the log is off, for its mistakes.
    fn decision_log(&mut self) -> Option<DecisionLog> {
        let sink = self.one("decision-log", decision_log::sink, || None);
        let authorities = self.one("decision-log-ca", file, || None);
        let given = self.raw.layers("decision-log-ca").into_iter().flatten();
        if let Some((_, origin)) = given.into_iter().next()
            && sink.as_ref().is_some_and(|sink| !sink.is_https())
        {
            let message = "it is of a collector behind https://, and --decision-log is none";
            self.mistakes.push(Mistake::new(origin, message));
        }
        let log = DecisionLog {
            sink: sink.clone().unwrap_or(LogSink::Stdout),
            authorities,
            include: self.many("decision-log-include", decision_log::include),
            mask: self.many("decision-log-mask", decision_log::mask),
            allows: self.one("decision-log-allows", share, || 1.0),
            when_full: self.one("decision-log-when-full", decision_log::when_full, || {
                WhenFull::Drop
            }),
            queue_bytes: self.one("decision-log-queue", decision_log::size, || {
                decision_log::DEFAULT_QUEUE
            }),
            flush: self.one("decision-log-flush", duration, || {
                decision_log::DEFAULT_FLUSH
            }),
            rotate_bytes: self.one("decision-log-rotate-size", decision_log::size, || {
                decision_log::DEFAULT_ROTATE_SIZE
            }) as u64,
            rotate_keep: self.one("decision-log-rotate-keep", decision_log::keep, || {
                decision_log::DEFAULT_ROTATE_KEEP
            }),
            buffer_bytes: self.one("decision-log-buffer", decision_log::size, || {
                decision_log::DEFAULT_BUFFER
            }),
            retry: self.one("decision-log-retry", duration, || {
                decision_log::DEFAULT_RETRY
            }),
        };
        sink.is_some().then_some(log)
    }

    fn spans(&mut self) -> Option<SpanSettings> {
        let share = self.one("otlp-share", share, || 1.0);
        let url = self.one("otlp-endpoint", |text| otlp(text).map(Some), || None)?;
        Some(SpanSettings { url, share })
    }

    fn default_company_is_served(&mut self, config: &Config) {
        let Some(company) = &config.default_company else {
            return;
        };
        if !config.companies.is_empty() && !config.companies.contains(company) {
            let given = self.raw.layers("default-company").into_iter().flatten();
            if let Some((_, origin)) = given.into_iter().next() {
                let message = format!("`{company}` is none of the companies that are served");
                self.mistakes.push(Mistake::new(origin, &message));
            }
        }
    }
}

#[cfg(test)]
mod tests;
