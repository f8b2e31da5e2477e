//! `callgate serve`: the service.

mod args;
mod open_files;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::runtime::{Builder, LocalOptions};
use tokio::signal::unix::{SignalKind, signal};

pub(crate) use args::Args;
use args::gather;

use super::given::Given;
use super::terminal::{Exit, complain};
use crate::access::{Access, AccessWatch};
use crate::companies::Companies;
use crate::config::{Address, Config, LogFormat, LogSink, OnFailedTests, SpanSettings};
use crate::identity::Identities;
use crate::journal::Journal;
use crate::server::{Listener, Readiness, ReloadHandle, Server};
use crate::snapshot::{PublicKey, Trust};
use crate::source::{FailedTests, LoadObserver, Outcome, ReloadOptions, Settings, Watcher};
use crate::telemetry::{Metrics, Spans, init_log};

/// What the demo company allows.
const DEMO_CHECK: &str = r#"{"subject":{"type":"user","id":"olga"},"action":{"name":"listen"},"resource":{"type":"call","id":"c1","properties":{"queue":"bank-in"}}}"#;

/// How long the end waits for the decision log's last lines to be written or acknowledged.
const LOG_TIME: Duration = Duration::from_secs(5);

/// How long the end waits for the last spans to be sent.
const SPANS_TIME: Duration = Duration::from_secs(1);

/// Counts what comes of loads.
struct CountLoads(Arc<Metrics>);

impl LoadObserver for CountLoads {
    fn loaded(&self, _company: &str, outcome: Outcome, duration: Duration) {
        self.0.snapshot_loaded(outcome.code(), duration);
    }
}

/// Serves until it is told to stop.
pub(crate) fn run(args: Args) -> ExitCode {
    let config = match Config::read(&gather(args)) {
        Ok(config) => config,
        Err(mistakes) => {
            for mistake in mistakes {
                complain(&mistake.to_string());
            }
            return Exit::Usage.into();
        }
    };
    let served = init_log(config.log_format == LogFormat::Json, &config.log_level)
        .map_err(io::Error::other)
        .and_then(|()| serve(&config));
    match served {
        Ok(()) => Exit::Done.into(),
        Err(error) => {
            complain(&error.to_string());
            Exit::Io.into()
        }
    }
}

fn serve(config: &Config) -> io::Result<()> {
    open_files::raise(config.limits.connections_max);
    let control = Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())?;
    control.block_on(async {
        let results = Outcome::ALL.map(Outcome::code);
        let metrics = Arc::new(Metrics::new(
            config.workers.get(),
            config.pool_threads.get(),
            results,
        ));
        let access = access(config, &metrics)?;
        let _access_watch = match &access {
            Some(access) => Some(AccessWatch::spawn(
                Arc::clone(access),
                config.poll_interval,
            )?),
            None => None,
        };
        let identities = Identities::start(
            config.proxy.identity.clone(),
            config.proxy.companies.clone(),
            &metrics,
            config.poll_interval,
        );
        let identities = identities.map_err(io::Error::other)?;
        let (listen, admin) = bind(config)?;
        let (journal, spans) = (journal(config)?, spans(config)?);
        announce(&listen, &admin)?;
        let companies = Arc::new(Companies::default());
        let readiness = Arc::new(Readiness::default());
        let settings = settings(config)?;
        let shadow = shadow(config, &settings)?;
        let watcher = Watcher::spawn(
            config.source.clone(),
            settings,
            Arc::clone(&companies),
            Arc::new(CountLoads(Arc::clone(&metrics))),
        )
        .map_err(io::Error::other)?;
        let source = watcher.handle();
        let reloader = watcher.handle();
        let reload = ReloadHandle::new(move |options| {
            let reloader = reloader.clone();
            async move {
                let options = ReloadOptions {
                    accept_failed_tests: options.accept_failed_tests,
                    accept_loss: options.accept_loss,
                    accept_rollback: options.accept_rollback,
                };
                let stopped = reloader.reload(options).await;
                stopped.map_err(|error| error.to_string())?;
                reloader.failure().map_or(Ok(()), Err)
            }
        });
        let server = Server {
            companies: Arc::clone(&companies),
            default_company: config.default_company.clone(),
            access,
            public_url: config.public_url.clone(),
            identities,
            proxy: config.proxy.clone(),
            journal: journal.clone(),
            spans: spans.clone(),
            metrics,
            readiness: Arc::clone(&readiness),
            reload,
            freshness: config.freshness,
            shadow: shadow.as_ref().map(|(companies, _)| Arc::clone(companies)),
            limits: config.limits,
        };
        // Where there is something to prove, a line to try would have to hold a secret.
        let first = listen.first().filter(|_| !config.access.proves_callers());
        let first = first.map(ToString::to_string);
        let named = named(config);
        tokio::task::spawn_local(async move {
            if source.wait_tried().await.is_ok() {
                readiness.all_tried();
                warn_of_unknown(&companies, &named);
                let told = say_ready(&companies, first.as_deref());
                tell_manager(&[NotifyState::Ready, NotifyState::Status(&told)]);
            }
        });
        let stop = stop_signal()?;
        let stop = async {
            stop.await;
            tell_manager(&[NotifyState::Stopping]);
        };
        let served = server.run(listen, admin, stop).await;
        if let Some(journal) = journal {
            journal.finish(LOG_TIME);
        }
        if let Some(spans) = spans {
            spans.finish(SPANS_TIME);
        }
        // It may be in the middle of a compilation; nothing is lost when that ends with us.
        watcher.handle().shutdown();
        served
    })
}

/// The decision log, if there is to be one, with a pen for each thread that decides.
fn journal(config: &Config) -> io::Result<Option<Arc<Journal>>> {
    let Some(told) = &config.decision_log else {
        return Ok(None);
    };
    let threads = config.workers.get() + config.pool_threads.get();
    let journal = Arc::new(Journal::start(told, threads)?);
    if matches!(told.sink, LogSink::File(_)) {
        // Who moves log files away is used to say so by this signal, which would else end us. It is
        // not needed: the writer looks for itself.
        let (mut moved, journal) = (signal(SignalKind::hangup())?, Arc::clone(&journal));
        tokio::task::spawn_local(async move {
            while moved.recv().await.is_some() {
                journal.reopen();
            }
        });
    }
    Ok(Some(journal))
}

fn spans(config: &Config) -> io::Result<Option<Arc<Spans>>> {
    let start = |told: &SpanSettings| {
        let spans = Spans::start(&told.url.to_string(), told.share, config.workers.get());
        spans.map(Arc::new)
    };
    config.spans.as_ref().map(start).transpose()
}

/// Who may ask, where anything is said of it.
fn access(config: &Config, metrics: &Arc<Metrics>) -> io::Result<Option<Arc<Access>>> {
    let files = config.access.clone();
    if files.tls.is_none() && !files.proves_callers() {
        return Ok(None);
    }
    let access = Access::load(files, Arc::clone(metrics));
    access.map(Some).map_err(io::Error::other)
}

fn bind(config: &Config) -> io::Result<(Vec<Listener>, Listener)> {
    let mut given = Given::from_environment();
    let mut bind = |address: &Address| {
        let bound = match address {
            Address::Given(name) => given.take(name).and_then(|listeners| {
                let closed = |listener| closed(config, listener);
                listeners.into_iter().map(closed).collect()
            }),
            address => Listener::bind(address, config.socket).map(|listener| vec![listener]),
        };
        let bound = bound
            .map_err(|error| io::Error::other(format!("cannot listen on {address}: {error}")))?;
        Ok::<Vec<_>, io::Error>(match config.access.tls {
            Some(_) => bound.into_iter().map(Listener::secured).collect(),
            None => bound,
        })
    };
    let mut listen = Vec::new();
    for address in &config.listen {
        listen.extend(bind(address)?);
    }
    let mut admin = bind(&config.admin)?;
    match (admin.pop(), admin.is_empty()) {
        (Some(admin), true) => Ok((listen, admin)),
        _ => Err(io::Error::other(format!(
            "cannot listen on {}: there are several sockets of this name, and operators have one",
            config.admin
        ))),
    }
}

/// The listener that was handed over, if it may be as open as it is: nobody could know that before.
fn closed(config: &Config, listener: Listener) -> io::Result<Listener> {
    let address = listener.address()?.map(|is| is.to_string().parse());
    let address = address.transpose().map_err(io::Error::other)?;
    let open = address.and_then(|is: Address| config.access.is_open_at(&is));
    match open.filter(|_| !config.insecure) {
        Some(open) => Err(io::Error::other(open)),
        None => Ok(listener),
    }
}

fn settings(config: &Config) -> io::Result<Settings> {
    let rules = &config.snapshots;
    Ok(Settings {
        only: config.companies.clone(),
        poll_interval: config.poll_interval,
        failed_tests: match config.failed_tests {
            OnFailedTests::Refuse => FailedTests::Refuse,
            OnFailedTests::Warn => FailedTests::Warn,
        },
        max_loss: config.max_loss,
        trust: trust(&rules.trust_keys)?,
        accept_rollback: rules.accept_rollback,
        cache: rules.cache.clone(),
        source_ca: rules.source_ca.clone(),
        ..Settings::default()
    })
}

fn trust(files: &[PathBuf]) -> io::Result<Trust> {
    let key = |path: &PathBuf| {
        let named = |error: &dyn std::fmt::Display| {
            io::Error::other(format!("--trust-key {}: {error}", path.display()))
        };
        let text = std::fs::read_to_string(path).map_err(|error| named(&error))?;
        PublicKey::from_pem(&text).map_err(|error| named(&error))
    };
    Ok(Trust::new(
        files.iter().map(key).collect::<io::Result<_>>()?,
    ))
}

/// The candidate that decides beside, if there is one, and what watches it.
fn shadow(config: &Config, settings: &Settings) -> io::Result<Option<(Arc<Companies>, Watcher)>> {
    let Some(source) = &config.snapshots.shadow else {
        return Ok(None);
    };
    // It answers nothing: what would stop it is what one wants to see.
    let settings = Settings {
        failed_tests: FailedTests::Warn,
        max_loss: 1.0,
        accept_rollback: true,
        cache: None,
        name: "shadow",
        ..settings.clone()
    };
    let companies = Arc::new(Companies::default());
    let observer = Arc::new(Uncounted);
    let watcher = Watcher::spawn(source.clone(), settings, Arc::clone(&companies), observer);
    Ok(Some((companies, watcher.map_err(io::Error::other)?)))
}

/// Counts nothing: loads of the shadow are none of the service's.
struct Uncounted;

impl LoadObserver for Uncounted {
    fn loaded(&self, _: &str, _: Outcome, _: Duration) {}
}

/// Each address on a line of its own, before anything is ready: for whoever started us on port 0.
fn announce(listen: &[Listener], admin: &Listener) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for listener in listen {
        writeln!(out, "listening on {listener}")?;
    }
    writeln!(out, "admin on {admin}")?;
    out.flush()
}

/// Ready when its first request signals; a second signal ends the process at once.
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tokio::task::spawn_local(async move {
            let code = tokio::select! {
                _ = terminate.recv() => 128 + 15,
                _ = interrupt.recv() => 128 + 2,
            };
            std::process::exit(code);
        });
    })
}

/// Tells whoever manages the process, if anybody listens: `NOTIFY_SOCKET`, as of systemd's `sd_notify`.
fn tell_manager(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the service manager cannot be told");
    }
}

/// The companies that settings name, and which setting does.
fn named(config: &Config) -> Vec<(&'static str, String)> {
    let only = config.companies.iter().map(|name| ("--company", name));
    let default = (config.default_company.iter()).map(|name| ("--default-company", name));
    let proxied = config.proxy.companies.keys();
    let proxied = proxied.map(|name| ("[proxy.companies]", name));
    let named = only.chain(default).chain(proxied);
    named
        .map(|(setting, name)| (setting, name.clone()))
        .collect()
}

/// Warns of names that the source does not have: it may come to have them, or they are misspelt, and
/// a company that is meant to know its users in its own way knows them in the way for all.
fn warn_of_unknown(companies: &Companies, named: &[(&str, String)]) {
    let known = companies.names();
    for (setting, name) in named.iter().filter(|(_, name)| !known.contains(name)) {
        let known = known.join(", ");
        tracing::warn!(company = %name, setting, known, "the source has no company of this name");
    }
}

/// Says which companies are active; returns that line.
fn say_ready(companies: &Companies, address: Option<&str>) -> String {
    let names = companies.names().into_iter();
    let active: Vec<_> = names
        .filter(|name| companies.load(name).is_some())
        .collect();
    let told = if active.is_empty() {
        "not ready: no company is active; the log says why".to_owned()
    } else {
        format!("ready: {}", active.join(", "))
    };
    let mut text = format!("{told}\n");
    if let Some(address) = address
        && active.iter().any(|name| name == "demo")
    {
        text.push_str(&demo_check(address));
    }
    let mut out = io::stdout().lock();
    // Whoever does not read our words may still want our answers.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    told
}

/// A check of the demo company that allows, for a shell.
fn demo_check(address: &str) -> String {
    let (socket, base) = match address.strip_prefix("unix:") {
        Some(path) => (format!("--unix-socket {path} "), "http://localhost"),
        None if address.starts_with("https:") => ("--insecure ".to_owned(), address),
        None => (String::new(), address),
    };
    format!(
        "try: curl -s {socket}{base}/demo/access/v1/evaluation -H 'Content-Type: application/json' -d '{DEMO_CHECK}'\n"
    )
}
