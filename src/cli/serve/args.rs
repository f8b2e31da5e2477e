//! What `callgate serve` is told on the command line.

use crate::config::RawConfig;

/// Arguments of `callgate serve`; each, but `--config`, may also stand in a variable
/// `CALLGATE_…` or in the configuration file's table `[serve]`.
///
/// All values are text here: they are read in one place, wherever they were given.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A policy tree, a folder of snapshots, or the URL of what `publish` made [default: policies]
    #[arg(value_name = "SOURCE")]
    source: Option<String>,
    /// A TOML file with what is not said here nor in CALLGATE_… variables
    #[arg(long, value_name = "FILE")]
    config: Option<String>,
    /// Where checks are answered: host:port, unix:/path or fd:NAME; repeatable [default: 127.0.0.1:7070]
    #[arg(long, value_name = "ADDRESS")]
    listen: Vec<String>,
    /// Where operators look [default: 127.0.0.1:7071]
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<String>,
    /// Only this company; repeatable [default: all of the source]
    #[arg(long, value_name = "NAME")]
    company: Vec<String>,
    /// The company of paths that name none [default: the only one, if there is one]
    #[arg(long, value_name = "NAME")]
    default_company: Option<String>,
    /// Under which URL callers see the service: https://…; without it there is no discovery
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// Threads that decide [default: one a core]
    #[arg(long, value_name = "N")]
    workers: Option<String>,
    /// Threads for searches, explanations and large batches [default: one for two cores]
    #[arg(long, value_name = "N")]
    pool_threads: Option<String>,
    /// Of these, how many may wait for a thread [default: 256]
    #[arg(long, value_name = "N")]
    pool_queue: Option<String>,
    /// For how long such a question may wait; then it is turned away [default: 2s]
    #[arg(long, value_name = "TIME")]
    pool_time: Option<String>,
    /// TLS on every address but unix sockets: the certificate and those above it, PEM; watched
    #[arg(long, value_name = "FILE")]
    tls_cert: Option<String>,
    /// The certificate's private key, PEM; watched
    #[arg(long, value_name = "FILE")]
    tls_key: Option<String>,
    /// Callers prove who they are by certificates of these authorities, PEM; watched
    #[arg(long, value_name = "FILE")]
    tls_client_ca: Option<String>,
    /// Callers prove who they are by a bearer token: a line `NAME TOKEN` for each; watched
    #[arg(long, value_name = "FILE")]
    token_file: Option<String>,
    /// What each caller is bound to, companies and interfaces: TOML; watched
    #[arg(long, value_name = "FILE")]
    callers: Option<String>,
    /// Rights of unix sockets, octal; to connect takes the right to write [default: 0600]
    #[arg(long, value_name = "MODE")]
    socket_mode: Option<String>,
    /// Whose unix sockets are: a user's name or number
    #[arg(long, value_name = "USER")]
    socket_owner: Option<String>,
    /// The group of unix sockets: a name or number
    #[arg(long, value_name = "GROUP")]
    socket_group: Option<String>,
    /// Listen where other machines can ask, though nobody proves who asks; take unsigned snapshots
    /// over http:// and nats://
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    insecure: Option<String>,
    /// What a failed policy test does to an activation: refuse or warn [default: refuse]
    #[arg(long, value_name = "WHAT")]
    failed_tests: Option<String>,
    /// The share of a company's users or objects that an activation may drop [default: 0.2]
    #[arg(long, value_name = "SHARE")]
    max_loss: Option<String>,
    /// From one look at the source to the next [default: 500ms; 5s for a URL]
    #[arg(long, value_name = "TIME")]
    poll_interval: Option<String>,
    #[command(flatten)]
    snapshots: SnapshotArgs,
    /// Connections open at once [default: 10000]
    #[arg(long, value_name = "N")]
    max_connections: Option<String>,
    /// Connections open at once on the admin listener [default: 256]
    #[arg(long, value_name = "N")]
    max_admin_connections: Option<String>,
    /// TLS handshakes in a second [default: 1000]
    #[arg(long, value_name = "N")]
    max_handshakes: Option<String>,
    /// Requests that have come whole and are not answered, at once [default: 4096]
    #[arg(long, value_name = "N")]
    max_requests: Option<String>,
    /// Requests whose bodies have not come whole, at once [default: 4096]
    #[arg(long, value_name = "N")]
    max_bodies: Option<String>,
    /// Bytes of such bodies at once, beyond the first 16 KiB of each [default: 64MiB]
    #[arg(long, value_name = "SIZE")]
    max_body_memory: Option<String>,
    /// Path and headers of a request [default: 64KiB]
    #[arg(long, value_name = "SIZE")]
    max_header: Option<String>,
    /// Body of a request [default: 1MiB]
    #[arg(long, value_name = "SIZE")]
    max_body: Option<String>,
    /// Requests that a connection of HTTP/2 may have under way [default: 256]
    #[arg(long, value_name = "N")]
    max_streams: Option<String>,
    /// Results on a page of a search, up to 1000 [default: 1000]
    #[arg(long, value_name = "N")]
    max_page: Option<String>,
    /// Items of a batch, up to 10000 [default: 1000]
    #[arg(long, value_name = "N")]
    max_batch: Option<String>,
    /// From a request's first byte to the end of its head [default: 10s]
    #[arg(long, value_name = "TIME")]
    header_timeout: Option<String>,
    /// From a request's head to the end of its body [default: 10s]
    #[arg(long, value_name = "TIME")]
    body_timeout: Option<String>,
    /// From one request to the next on a connection [default: 5m]
    #[arg(long, value_name = "TIME")]
    idle_timeout: Option<String>,
    /// How long connections to a socket that was handed over wait for companies [default: 10s]
    #[arg(long, value_name = "TIME")]
    start_timeout: Option<String>,
    /// From the signal to stop, and being ready no more, to taking no more connections [default: 0s]
    #[arg(long, value_name = "TIME")]
    drain_delay: Option<String>,
    /// From then to the end, at most [default: 10s]
    #[arg(long, value_name = "TIME")]
    drain_timeout: Option<String>,
    #[command(flatten)]
    decision_log: DecisionLogArgs,
    #[command(flatten)]
    spans: SpanArgs,
    #[command(flatten)]
    proxy: ProxyArgs,
    /// How log lines are written: text or json [default: text]
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
    /// What is logged: error, warn, info, debug, or filter directives [default: info]
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
}

/// Arguments of the decision log.
#[derive(Debug, clap::Args)]
struct DecisionLogArgs {
    /// Where decisions are logged: off, stdout, file:PATH, http://… or https://… [default: off]
    #[arg(long, value_name = "WHERE")]
    decision_log: Option<String>,
    /// Authorities of the https:// collector, PEM [default: the system's]
    #[arg(long, value_name = "FILE")]
    decision_log_ca: Option<String>,
    /// A property that a line tells, such as resource.properties.queue; repeatable [default: none]
    #[arg(long, value_name = "PATH")]
    decision_log_include: Vec<String>,
    /// What is replaced in a line, such as subject.id; repeatable [default: nothing]
    #[arg(long, value_name = "PATH")]
    decision_log_mask: Vec<String>,
    /// The share of allows that are logged; denies all are [default: 1]
    #[arg(long, value_name = "SHARE")]
    decision_log_allows: Option<String>,
    /// What a decision does that finds no room: drop its line, or deny, with 503 [default: drop]
    #[arg(long, value_name = "WHAT")]
    decision_log_when_full: Option<String>,
    /// What may wait for the writer, of each thread that decides [default: 1MiB]
    #[arg(long, value_name = "SIZE")]
    decision_log_queue: Option<String>,
    /// From one time that lines are handed over to the next [default: 100ms]
    #[arg(long, value_name = "TIME")]
    decision_log_flush: Option<String>,
    /// Size of a file before the next is begun [default: 100MiB]
    #[arg(long, value_name = "SIZE")]
    decision_log_rotate_size: Option<String>,
    /// Files that are kept besides the one that is written [default: 5]
    #[arg(long, value_name = "N")]
    decision_log_rotate_keep: Option<String>,
    /// What may wait for the collector, compressed [default: 16MiB]
    #[arg(long, value_name = "SIZE")]
    decision_log_buffer: Option<String>,
    /// How long lines are kept for a collector that does not take them [default: 5m]
    #[arg(long, value_name = "TIME")]
    decision_log_retry: Option<String>,
}

/// Arguments of snapshots that travel.
#[derive(Debug, clap::Args)]
struct SnapshotArgs {
    /// Only snapshots that this key signed, PEM; repeatable [default: all]
    #[arg(long, value_name = "FILE")]
    trust_key: Vec<String>,
    /// Take snapshots that are older than what ran before
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    accept_rollback: Option<String>,
    /// Where what runs is kept, for a start without the source
    #[arg(long, value_name = "DIR")]
    cache: Option<String>,
    /// Authorities of the source's certificate, PEM, besides the system's
    #[arg(long, value_name = "FILE")]
    source_ca: Option<String>,
    /// How old what decides may be, since it was last known to be what the source holds [default: any]
    #[arg(long, value_name = "TIME")]
    max_staleness: Option<String>,
    /// What happens beyond that: serve, deny or unready [default: serve]
    #[arg(long, value_name = "WHAT")]
    when_stale: Option<String>,
    /// How long a request waits for the generation that it names [default: 2s]
    #[arg(long, value_name = "TIME")]
    generation_timeout: Option<String>,
    /// A source whose decisions are compared with those that are given
    #[arg(long, value_name = "SOURCE")]
    shadow: Option<String>,
}

/// Arguments of tracing.
#[derive(Debug, clap::Args)]
struct SpanArgs {
    /// Where spans are sent by OTLP, such as http://127.0.0.1:4318/v1/traces [default: nowhere]
    #[arg(long, value_name = "URL")]
    otlp_endpoint: Option<String>,
    /// The share of requests with a span where the caller has not decided that [default: 1]
    #[arg(long, value_name = "SHARE")]
    otlp_share: Option<String>,
}

/// Arguments about reverse proxies. How users are known by tokens or certificates stands in the
/// configuration file alone.
#[derive(Debug, clap::Args)]
struct ProxyArgs {
    /// Whose questions about requests are answered: an address, a network, unix, or caller:NAME; repeatable [default: nobody's]
    #[arg(long, value_name = "PEER")]
    proxy_trusted_peers: Vec<String>,
    /// Which headers tell the original request: original or forwarded [default: original]
    #[arg(long, value_name = "SET")]
    proxy_target: Option<String>,
    /// The header in which the proxy tells who the user is
    #[arg(long, value_name = "NAME")]
    proxy_identity_header: Option<String>,
    /// The header in which the application is told the user's id [default: X-Callgate-User]
    #[arg(long, value_name = "NAME")]
    proxy_user_header: Option<String>,
    /// The same for the roles in force [default: X-Callgate-Roles]
    #[arg(long, value_name = "NAME")]
    proxy_roles_header: Option<String>,
    /// The same for the company [default: X-Callgate-Company]
    #[arg(long, value_name = "NAME")]
    proxy_company_header: Option<String>,
}

/// Everything that was said, here, in the environment and in the file.
pub(super) fn gather(args: Args) -> RawConfig {
    let mut raw = RawConfig::default();
    let path = args.config.or_else(RawConfig::config_variable);
    raw.flag("source", args.source);
    raw.flag("listen", args.listen);
    raw.flag("admin", args.admin);
    raw.flag("company", args.company);
    raw.flag("default-company", args.default_company);
    raw.flag("public-url", args.public_url);
    raw.flag("workers", args.workers);
    raw.flag("pool-threads", args.pool_threads);
    raw.flag("pool-queue", args.pool_queue);
    raw.flag("tls-cert", args.tls_cert);
    raw.flag("tls-key", args.tls_key);
    raw.flag("tls-client-ca", args.tls_client_ca);
    raw.flag("token-file", args.token_file);
    raw.flag("callers", args.callers);
    raw.flag("socket-mode", args.socket_mode);
    raw.flag("socket-owner", args.socket_owner);
    raw.flag("socket-group", args.socket_group);
    raw.flag("insecure", args.insecure);
    raw.flag("failed-tests", args.failed_tests);
    raw.flag("max-loss", args.max_loss);
    raw.flag("poll-interval", args.poll_interval);
    let snapshots = args.snapshots;
    raw.flag("trust-key", snapshots.trust_key);
    raw.flag("accept-rollback", snapshots.accept_rollback);
    raw.flag("cache", snapshots.cache);
    raw.flag("source-ca", snapshots.source_ca);
    raw.flag("max-staleness", snapshots.max_staleness);
    raw.flag("when-stale", snapshots.when_stale);
    raw.flag("generation-timeout", snapshots.generation_timeout);
    raw.flag("shadow", snapshots.shadow);
    raw.flag("max-connections", args.max_connections);
    raw.flag("max-admin-connections", args.max_admin_connections);
    raw.flag("max-handshakes", args.max_handshakes);
    raw.flag("max-requests", args.max_requests);
    raw.flag("max-bodies", args.max_bodies);
    raw.flag("max-body-memory", args.max_body_memory);
    raw.flag("max-header", args.max_header);
    raw.flag("max-body", args.max_body);
    raw.flag("max-streams", args.max_streams);
    raw.flag("max-page", args.max_page);
    raw.flag("pool-time", args.pool_time);
    raw.flag("start-timeout", args.start_timeout);
    raw.flag("drain-delay", args.drain_delay);
    raw.flag("max-batch", args.max_batch);
    raw.flag("header-timeout", args.header_timeout);
    raw.flag("body-timeout", args.body_timeout);
    raw.flag("idle-timeout", args.idle_timeout);
    raw.flag("drain-timeout", args.drain_timeout);
    let log = args.decision_log;
    raw.flag("decision-log", log.decision_log);
    raw.flag("decision-log-ca", log.decision_log_ca);
    raw.flag("decision-log-include", log.decision_log_include);
    raw.flag("decision-log-mask", log.decision_log_mask);
    raw.flag("decision-log-allows", log.decision_log_allows);
    raw.flag("decision-log-when-full", log.decision_log_when_full);
    raw.flag("decision-log-queue", log.decision_log_queue);
    raw.flag("decision-log-flush", log.decision_log_flush);
    raw.flag("decision-log-rotate-size", log.decision_log_rotate_size);
    raw.flag("decision-log-rotate-keep", log.decision_log_rotate_keep);
    raw.flag("decision-log-buffer", log.decision_log_buffer);
    raw.flag("decision-log-retry", log.decision_log_retry);
    raw.flag("otlp-endpoint", args.spans.otlp_endpoint);
    raw.flag("otlp-share", args.spans.otlp_share);
    let proxy = args.proxy;
    raw.flag("proxy-trusted-peers", proxy.proxy_trusted_peers);
    raw.flag("proxy-target", proxy.proxy_target);
    raw.flag("proxy-identity-header", proxy.proxy_identity_header);
    raw.flag("proxy-user-header", proxy.proxy_user_header);
    raw.flag("proxy-roles-header", proxy.proxy_roles_header);
    raw.flag("proxy-company-header", proxy.proxy_company_header);
    raw.flag("log-format", args.log_format);
    raw.flag("log-level", args.log_level);
    let variables = std::env::vars_os();
    raw.variables(variables.filter_map(|(name, text)| {
        Some((
            name.into_string().ok()?,
            text.to_string_lossy().into_owned(),
        ))
    }));
    if let Some(path) = path {
        match std::fs::read_to_string(&path) {
            Ok(text) => raw.file(&path, &text),
            Err(error) => raw.unreadable_file(&path, &error),
        }
    }
    raw
}
