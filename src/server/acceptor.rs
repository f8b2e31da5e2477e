//! Acceptors: they hand each new connection to a worker, in turn.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Semaphore, mpsc, watch};

use super::Stage;
use super::listener::Listener;
use super::readiness::Readiness;
use super::stream::{Detached, Stream};
use crate::config::Limits;
use crate::telemetry::Metrics;

/// How long an acceptor waits when the process can open no more connections.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// Connections that are being told that there are too many, at once; beyond it they are closed
/// without a word.
const TURNED_AWAY_MAX: usize = 64;

/// How long that may take.
const TURNED_AWAY_TIME: Duration = Duration::from_secs(1);

/// How often it is looked whether every company was tried.
const START_POLL: Duration = Duration::from_millis(5);

/// What a connection too many is told, in HTTP/1.1: a client of HTTP/2 sees a broken connection.
const TOO_MANY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n\
    Content-Type: application/json\r\nContent-Length: 83\r\nConnection: close\r\n\r\n\
    {\"error\":{\"code\":\"too_many_connections\",\"message\":\"too many connections are open\"}}";

/// Where new connections go.
pub(super) struct Dispatch {
    workers: Vec<mpsc::Sender<Detached>>,
    next: AtomicUsize,
    metrics: Arc<Metrics>,
    connections_max: u64,
    turning_away: Arc<Semaphore>,
    /// Whether TCP connections are TLS: then there is nothing to be said to one too many.
    tls: bool,
    readiness: Arc<Readiness>,
    /// How long connections to a socket that was handed over wait for companies.
    start_timeout: Duration,
}

// === impl Dispatch ===

impl Dispatch {
    pub(super) fn new(
        workers: Vec<mpsc::Sender<Detached>>,
        metrics: Arc<Metrics>,
        limits: &Limits,
        tls: bool,
        readiness: Arc<Readiness>,
    ) -> Self {
        Self {
            workers,
            next: AtomicUsize::new(0),
            metrics,
            connections_max: limits.connections_max as u64,
            turning_away: Arc::new(Semaphore::new(TURNED_AWAY_MAX)),
            tls,
            readiness,
            start_timeout: limits.start_timeout,
        }
    }

    /// Accepts connections until `stopping` is set; from a socket that was handed over not before
    /// every company was tried. Else a client that was answered a moment ago by the process before
    /// this one would be told that there is no such company yet.
    pub(super) async fn accept(
        self: Arc<Self>,
        listener: Listener,
        mut stopping: watch::Receiver<Stage>,
    ) {
        if listener.is_given() {
            tokio::select! {
                () = self.started() => {}
                _ = stopping.wait_for(|stage| *stage == Stage::Stopping) => return,
            }
        }
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = stopping.wait_for(|stage| *stage == Stage::Stopping) => return,
            };
            match accepted {
                Ok(stream) => self.dispatch(stream),
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, %listener, "no connection can be accepted");
                    tokio::time::sleep(EXHAUSTED_PAUSE).await;
                }
            }
        }
    }

    /// Waits until every company was tried, or that takes too long.
    async fn started(&self) {
        let tried = async {
            while self.readiness.is_starting() {
                tokio::time::sleep(START_POLL).await;
            }
        };
        if tokio::time::timeout(self.start_timeout, tried)
            .await
            .is_err()
        {
            tracing::warn!("connections are accepted though not every company was tried yet");
        }
    }

    /// Hands the connection to the next worker; to another if that one takes none: it is hopelessly
    /// behind, or a bug has ended it.
    fn dispatch(&self, stream: Stream) {
        if !self.metrics.connection_opened(self.connections_max) {
            return self.turn_away(stream);
        }
        if let Ok(mut stream) = stream.detach() {
            let next = self.next.fetch_add(1, Relaxed) % self.workers.len().max(1);
            let (before, after) = self.workers.split_at(next);
            for worker in after.iter().chain(before) {
                stream = match worker.try_send(stream) {
                    Ok(()) => return,
                    Err(error) => error.into_inner(),
                };
            }
        }
        self.metrics.connection_closed();
    }

    fn turn_away(&self, mut stream: Stream) {
        if self.tls && matches!(stream, Stream::Tcp(_)) {
            return;
        }
        let Ok(permit) = Arc::clone(&self.turning_away).try_acquire_owned() else {
            return;
        };
        tokio::task::spawn_local(async move {
            let told = async {
                stream.either().write_all(TOO_MANY).await?;
                stream.either().shutdown().await?;
                // Else the kernel would answer what the client still sends with a reset, and
                // that would destroy the answer on its way.
                let mut thrown = [0; 4096];
                while stream.either().read(&mut thrown).await? > 0 {}
                Ok::<_, io::Error>(())
            };
            let _ = tokio::time::timeout(TURNED_AWAY_TIME, told).await;
            drop(permit);
        });
    }
}

/// Whether the error is of the one connection that was to be accepted, and not of the process.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
            | io::ErrorKind::InvalidInput // TCP_NODELAY on a connection that is gone already
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_of_the_last_word_is_right() {
        let text = std::str::from_utf8(TOO_MANY).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(
            head.contains(&format!("Content-Length: {}\r\n", body.len())),
            "{}",
            body.len()
        );
    }
}
