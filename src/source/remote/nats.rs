//! A key-value bucket of NATS JetStream: it tells of changes, and so they need not be waited for.
//!
//! A value is bounded by what a message may be; so bodies and whole indexes lie in pieces, by the
//! name of the whole and the number of the piece.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::jetstream;
use async_nats::jetstream::kv::{CreateErrorKind, Entry, Operation, Store, UpdateErrorKind};
use async_nats::jetstream::stream::{Config, DiscardPolicy, StorageType};
use async_nats::{ConnectOptions, ServerAddr};
use futures_util::StreamExt as _;
use percent_encoding::percent_decode_str;

use super::layout::may_be_large;
use super::store::{CONNECT_TIME, Got, StoreError, Tag};

/// The bucket of a URL that names none.
const BUCKET: &str = "callgate";
/// Bytes of a piece: half of what a message may be, where nobody has set that otherwise.
const PIECE: u64 = 512 << 10;
/// How long after it ended a watch is asked for again, times a random factor.
const WATCH_AGAIN: Duration = Duration::from_secs(5);

/// A bucket.
pub(crate) struct Bucket {
    store: Store,
    url: String,
    told: Arc<Told>,
}

/// What was told of keys that are watched, and is not read yet: it need not be asked for.
type Told = Mutex<HashMap<String, Entry>>;

// === impl Bucket ===

impl Bucket {
    /// The bucket of `nats://HOST:PORT/BUCKET`, which is made if it is not there.
    pub(super) async fn connect(url: &str, authorities: Option<&Path>) -> Result<Self, StoreError> {
        let wrong = |why: &dyn ToString| StoreError::Url(super::shown(url), why.to_string());
        let after = url.find("://").map_or(0, |at| at + 3);
        let (server, bucket) = match url.get(after..).and_then(|rest| rest.find('/')) {
            Some(at) => (
                url.get(..after + at).unwrap_or(url),
                url.get(after + at + 1..).unwrap_or("").trim_matches('/'),
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
        let server: ServerAddr = server.parse().map_err(|error| wrong(&error))?;
        // The client leaves it to its user who asks.
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        options = match (server.username().map(decoded), server.password()) {
            (Some(user), Some(password)) => options.user_and_password(user, decoded(password)),
            (Some(token), None) => options.token(token),
            (None, _) => options,
        };
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
            url: super::shown(url),
            told: Arc::default(),
        })
    }

    pub(super) async fn get(
        &self,
        key: &str,
        most: usize,
        known: Option<&Tag>,
    ) -> Result<Got, StoreError> {
        let entry = match known.and_then(|known| self.told_after(key, known)) {
            Some(entry) => Some(entry),
            None => {
                let entry = self.store.entry(key).await;
                entry.map_err(|error| failed(key, &error))?
            }
        };
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

    /// What may be large in pieces, all else in one.
    pub(super) async fn put(&self, key: &str, bytes: Vec<u8>) -> Result<(), StoreError> {
        if may_be_large(key) {
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

    /// Pieces are removed from the first to the last that is there.
    pub(super) async fn remove(&self, key: &str) -> Result<(), String> {
        if !may_be_large(key) {
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

    /// Calls `changed` whenever something new lies by one of these names. It is a hint: what gets
    /// lost with a connection is found by looking.
    pub(super) async fn watch(
        &self,
        keys: Vec<String>,
        changed: Arc<impl Fn() + Send + Sync + 'static>,
    ) {
        for key in keys {
            let (store, url) = (self.store.clone(), self.url.clone());
            let (told, changed) = (Arc::clone(&self.told), Arc::clone(&changed));
            tokio::spawn(async move {
                loop {
                    follow(&store, &url, &key, &told, &*changed).await;
                    // All those whose watch a server ended must not come back at once.
                    tokio::time::sleep(WATCH_AGAIN.mul_f64(0.5 + fastrand::f64())).await;
                }
            });
        }
    }

    /// What was told by a name, if it is newer than what is known.
    fn told_after(&self, key: &str, known: &Tag) -> Option<Entry> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = told.remove(key)?;
        let known: u64 = known.0.parse().ok()?;
        (entry.revision > known).then_some(entry)
    }
}

/// Takes what is told by a name, until the watch ends.
async fn follow(store: &Store, url: &str, key: &str, told: &Told, changed: &(impl Fn() + Sync)) {
    let mut entries = match store.watch(key).await {
        Ok(entries) => entries,
        Err(error) => {
            tracing::warn!(url, %error, "changes are found by polling alone");
            return;
        }
    };
    // What came before the watch held is told by nobody.
    changed();
    while let Some(Ok(entry)) = entries.next().await {
        if entry.operation == Operation::Put {
            let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
            told.insert(key.to_owned(), entry);
        }
        changed();
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
