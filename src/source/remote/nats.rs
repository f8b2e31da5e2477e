//! A key-value bucket of NATS JetStream: it tells of changes, and so they need not be waited for.
//!
//! A value is bounded by what a message may be; so bodies lie in pieces, by the name of the whole
//! and the number of the piece.

use std::ops::Range;
use std::path::Path;

use async_nats::ConnectOptions;
use async_nats::jetstream;
use async_nats::jetstream::kv::{CreateErrorKind, Operation, Store, UpdateErrorKind};
use async_nats::jetstream::stream::{Config, DiscardPolicy, StorageType};
use futures_util::StreamExt as _;

use super::store::{CONNECT_TIME, Got, StoreError, Tag};

/// The bucket of a URL that names none.
const BUCKET: &str = "callgate";
/// Bytes of a piece: half of what a message may be, where nobody has set that otherwise.
const PIECE: u64 = 512 << 10;

/// A bucket.
pub(crate) struct Bucket {
    store: Store,
    url: String,
}

// === impl Bucket ===

impl Bucket {
    /// The bucket of `nats://HOST:PORT/BUCKET`, which is made if it is not there.
    pub(super) async fn connect(url: &str, authorities: Option<&Path>) -> Result<Self, StoreError> {
        let wrong = |why: &dyn ToString| StoreError::Url(url.to_owned(), why.to_string());
        let after = url.find("://").map_or(0, |at| at + 3);
        let (server, bucket) = match url.get(after..).and_then(|rest| rest.find('/')) {
            Some(at) => (
                url.get(..after + at).unwrap_or(url),
                url.get(after + at + 1..).unwrap_or(""),
            ),
            None => (url, ""),
        };
        let bucket = if bucket.is_empty() { BUCKET } else { bucket };
        let mut options = ConnectOptions::new()
            .connection_timeout(CONNECT_TIME)
            .request_timeout(Some(CONNECT_TIME))
            .name("callgate");
        if let Some(path) = authorities {
            options = options.add_root_certificates(path.to_owned());
        }
        if let Some(path) = std::env::var_os("NATS_CREDS") {
            let read = options.credentials_file(Path::new(&path)).await;
            options = read.map_err(|error| wrong(&error))?;
        }
        let client = options
            .connect(server)
            .await
            .map_err(|error| wrong(&error))?;
        let context = jetstream::new(client);
        let store = match context.get_key_value(bucket).await {
            Ok(store) => store,
            Err(_) => {
                let made = context.create_stream(stream_of(bucket)).await;
                made.map_err(|error| wrong(&error))?;
                let store = context.get_key_value(bucket).await;
                store.map_err(|error| wrong(&error))?
            }
        };
        Ok(Self {
            store,
            url: url.to_owned(),
        })
    }

    pub(super) async fn get(
        &self,
        key: &str,
        most: usize,
        known: Option<&Tag>,
    ) -> Result<Got, StoreError> {
        let entry = self
            .store
            .entry(key)
            .await
            .map_err(|error| failed(key, &error))?;
        let Some(entry) = entry.filter(|entry| entry.operation == Operation::Put) else {
            return Ok(Got::Nothing);
        };
        let tag = Tag(entry.revision.to_string());
        if Some(&tag) == known {
            return Ok(Got::Same);
        }
        if entry.value.len() > most {
            return Err(StoreError::TooLarge(key.to_owned(), most));
        }
        Ok(Got::Found(entry.value.to_vec(), tag))
    }

    pub(super) async fn get_range(
        &self,
        key: &str,
        range: Range<u64>,
    ) -> Result<Vec<u8>, StoreError> {
        let mut bytes = Vec::new();
        for piece in range.start / PIECE..range.end.div_ceil(PIECE) {
            let name = format!("{key}/{piece}");
            let value = self.store.get(name.as_str()).await;
            let value = value.map_err(|error| failed(&name, &error))?;
            let value = value.ok_or_else(|| failed(&name, &"there is nothing by this name"))?;
            let start = range.start.saturating_sub(piece * PIECE).min(PIECE) as usize;
            let end = (range.end - piece * PIECE).min(PIECE) as usize;
            let part = value.get(start..end.min(value.len()));
            bytes.extend_from_slice(part.unwrap_or_default());
        }
        Ok(bytes)
    }

    /// A body in pieces; a delta, whose name says so, in one.
    pub(super) async fn put(&self, key: &str, bytes: Vec<u8>) -> Result<(), StoreError> {
        if key.contains("/bodies/") {
            for (number, piece) in bytes.chunks(PIECE as usize).enumerate() {
                let name = format!("{key}/{number}");
                let put = self.store.put(&name, piece.to_vec().into()).await;
                put.map_err(|error| failed(&name, &error))?;
            }
            return Ok(());
        }
        let put = self.store.put(key, bytes.into()).await;
        put.map(drop).map_err(|error| failed(key, &error))
    }

    pub(super) async fn swap(
        &self,
        key: &str,
        known: Option<&Tag>,
        bytes: Vec<u8>,
    ) -> Result<bool, StoreError> {
        let Some(tag) = known else {
            return match self.store.create(key, bytes.into()).await {
                Ok(_) => Ok(true),
                Err(error) if error.kind() == CreateErrorKind::AlreadyExists => Ok(false),
                Err(error) => Err(failed(key, &error)),
            };
        };
        let revision = tag.0.parse().unwrap_or(0);
        match self.store.update(key, bytes.into(), revision).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == UpdateErrorKind::WrongLastRevision => Ok(false),
            Err(error) => Err(failed(key, &error)),
        }
    }

    /// A body's pieces are removed from the first to the last that is there.
    pub(super) async fn remove(&self, key: &str) -> Result<(), String> {
        if !key.contains("/bodies/") {
            let removed = self.store.purge(key).await;
            return removed.map_err(|error| error.to_string());
        }
        for number in 0.. {
            let name = format!("{key}/{number}");
            let there = self.store.get(name.as_str()).await;
            if !matches!(there, Ok(Some(_))) {
                return Ok(());
            }
            let removed = self.store.purge(&name).await;
            removed.map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// Calls `changed` whenever something new lies by the name. It is a hint: what gets lost with a
    /// connection is found by looking.
    pub(super) async fn watch(&self, key: &str, changed: impl Fn() + Send + 'static) {
        match self.store.watch(key).await {
            Ok(mut entries) => {
                tokio::spawn(async move {
                    while entries.next().await.is_some() {
                        changed();
                    }
                });
            }
            Err(error) => tracing::warn!(
                url = self.url,
                %error,
                "changes are found by polling alone"
            ),
        }
    }
}

/// The stream that a bucket is, as of NATS' ADR-8. It is made by hand: whoever has the client make
/// a bucket has it ask for the account first, and servers before 2.10 answer that otherwise.
fn stream_of(bucket: &str) -> Config {
    Config {
        name: format!("KV_{bucket}"),
        subjects: vec![format!("$KV.{bucket}.>")],
        max_messages_per_subject: 1,
        discard: DiscardPolicy::New,
        storage: StorageType::File,
        num_replicas: 1,
        allow_rollup: true,
        deny_delete: true,
        allow_direct: true,
        ..Config::default()
    }
}

fn failed(key: &str, error: &dyn ToString) -> StoreError {
    StoreError::Failed(key.to_owned(), error.to_string())
}
