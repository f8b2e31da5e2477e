//! Places where snapshots are published: a folder, a web server, an object store, NATS.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::ops::Range;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::StreamExt as _;
use object_store::aws::AmazonS3Builder;
use object_store::http::HttpBuilder;
use object_store::path::Path;
use object_store::{
    BackoffConfig, Certificate, ClientOptions, Error, GetOptions, GetRange, GetResult, ObjectStore,
    ObjectStoreExt as _, PutMode, PutOptions, RetryConfig, UpdateVersion,
};

use super::nats::Bucket;
use crate::source::stamp::Stamp;
use crate::source::whole::{write_whole, write_whole_with};

/// From the beginning of a request to the end of its answer.
const REQUEST_TIME: Duration = Duration::from_secs(30);
/// To a connection.
pub(super) const CONNECT_TIME: Duration = Duration::from_secs(5);
/// A request is tried again so often, and for so long.
const RETRIES: (usize, Duration) = (3, Duration::from_secs(20));

/// Where things lie by name.
pub(crate) enum Store {
    Folder(PathBuf),
    Objects {
        store: Arc<dyn ObjectStore>,
        prefix: Path,
        /// A web server gives, and takes nothing.
        writable: bool,
    },
    Nats(Box<Bucket>),
}

/// What is there by a name.
pub(crate) enum Got {
    /// What was there before.
    Same,
    Found(Vec<u8>, Tag),
    Nothing,
}

/// Tells one thing that lay by a name from another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tag(pub(super) String);

/// Why nothing was had, or put.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StoreError {
    #[error("`{0}`: {1}")]
    Failed(String, String),
    #[error("`{0}` has more than {1} bytes")]
    TooLarge(String, usize),
    #[error("a web server takes nothing: publish to the folder that it serves")]
    ReadOnly,
    #[error("`{0}`: {1}")]
    Url(String, String),
}

// === impl Store ===

impl Store {
    /// The place that a URL or a path means.
    pub(crate) async fn connect(
        place: &FilePath,
        authorities: Option<&FilePath>,
    ) -> Result<Self, StoreError> {
        let text = place.to_string_lossy();
        let wrong = |why: &dyn ToString| StoreError::Url(super::shown(&text), why.to_string());
        let (scheme, rest) = match text.split_once("://") {
            Some(parts) => parts,
            None => return Ok(Self::Folder(place.to_owned())),
        };
        // Whoever installed another one before chose it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        match scheme {
            "http" | "https" => {
                let options = client(authorities, scheme == "http").map_err(|why| wrong(&why))?;
                // What is asked for stands behind one slash, however many the URL ends with.
                let store = HttpBuilder::new()
                    .with_url(text.trim_end_matches('/'))
                    .with_client_options(options)
                    .with_retry(retry());
                Ok(Self::Objects {
                    store: Arc::new(store.build().map_err(|why| wrong(&why))?),
                    prefix: Path::default(),
                    writable: false,
                })
            }
            "s3" => {
                let plain = std::env::var("AWS_ALLOW_HTTP").is_ok_and(|allow| allow == "true");
                let options = client(authorities, plain).map_err(|why| wrong(&why))?;
                let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
                let store = AmazonS3Builder::from_env()
                    .with_bucket_name(bucket)
                    .with_client_options(options)
                    .with_retry(retry());
                Ok(Self::Objects {
                    store: Arc::new(store.build().map_err(|why| wrong(&why))?),
                    prefix: Path::parse(prefix.trim_matches('/')).map_err(|why| wrong(&why))?,
                    writable: true,
                })
            }
            "nats" | "tls" => Bucket::connect(&text, authorities)
                .await
                .map(|bucket| Self::Nats(Box::new(bucket))),
            _ => Err(wrong(&"there are https, http, s3, nats and tls")),
        }
    }

    /// What lies there, of at most so many bytes, unless it is what the tag is of.
    pub(crate) async fn get(
        &self,
        key: &str,
        most: usize,
        known: Option<&Tag>,
    ) -> Result<Got, StoreError> {
        match self {
            Self::Folder(root) => get_file(&root.join(key), key, most, known),
            Self::Objects { store, prefix, .. } => {
                // A server that names no tag is asked for everything each time.
                let known = known.filter(|tag| !tag.0.is_empty());
                let options = GetOptions {
                    if_none_match: known.map(|tag| tag.0.clone()),
                    ..GetOptions::default()
                };
                let found = match store.get_opts(&at(prefix, key), options).await {
                    Ok(found) => found,
                    Err(Error::NotModified { .. }) => return Ok(Got::Same),
                    Err(Error::NotFound { .. }) => return Ok(Got::Nothing),
                    Err(error) => return Err(failed(key, &error)),
                };
                let tag = Tag(found.meta.e_tag.clone().unwrap_or_default());
                Ok(Got::Found(taken(found, key, most).await?, tag))
            }
            Self::Nats(bucket) => bucket.get(key, most, known).await,
        }
    }

    /// All of what lies there, which never changes and has so many bytes.
    pub(crate) async fn get_all(&self, key: &str, bytes: u64) -> Result<Vec<u8>, StoreError> {
        if let Self::Nats(_) = self {
            return self.get_range(key, 0..bytes).await;
        }
        // Not every web server gives stretches.
        let most = usize::try_from(bytes).unwrap_or(usize::MAX);
        match self.get(key, most, None).await? {
            Got::Found(bytes, _) => Ok(bytes),
            Got::Same | Got::Nothing => Err(failed_to_find(key)),
        }
    }

    /// A stretch of what lies there.
    pub(crate) async fn get_range(
        &self,
        key: &str,
        range: Range<u64>,
    ) -> Result<Vec<u8>, StoreError> {
        let length = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
        let bytes = match self {
            Self::Folder(root) => {
                let mut bytes = vec![0; length];
                let mut read = || {
                    let mut file = File::open(root.join(key))?;
                    file.seek(SeekFrom::Start(range.start))?;
                    file.read_exact(&mut bytes)
                };
                read().map_err(|error| failed(key, &error))?;
                bytes
            }
            Self::Objects { store, prefix, .. } => {
                let options = GetOptions {
                    range: Some(GetRange::Bounded(range.clone())),
                    ..GetOptions::default()
                };
                let found = store.get_opts(&at(prefix, key), options).await;
                taken(found.map_err(|error| failed(key, &error))?, key, length).await?
            }
            Self::Nats(bucket) => bucket.get_range(key, range.clone()).await?,
        };
        match bytes.len() == length {
            true => Ok(bytes),
            false => Err(StoreError::Failed(
                key.to_owned(),
                "it came short".to_owned(),
            )),
        }
    }

    /// Puts what never changes.
    pub(crate) async fn put(&self, key: &str, bytes: Vec<u8>) -> Result<(), StoreError> {
        match self {
            Self::Folder(root) => {
                put_file(&root.join(key), &bytes).map_err(|error| failed(key, &error))
            }
            Self::Objects {
                writable: false, ..
            } => Err(StoreError::ReadOnly),
            Self::Objects { store, prefix, .. } => {
                let put = store.put(&at(prefix, key), bytes.into()).await;
                put.map(drop).map_err(|error| failed(key, &error))
            }
            Self::Nats(bucket) => bucket.put(key, bytes).await,
        }
    }

    /// Puts something in the place of what the tag is of, or where nothing is; false: what lies
    /// there is something else by now.
    pub(crate) async fn swap(
        &self,
        key: &str,
        known: Option<&Tag>,
        bytes: Vec<u8>,
    ) -> Result<bool, StoreError> {
        match self {
            Self::Folder(root) => {
                swap_file(root, key, known, &bytes).map_err(|error| failed(key, &error))
            }
            Self::Objects {
                writable: false, ..
            } => Err(StoreError::ReadOnly),
            Self::Objects { store, prefix, .. } => {
                let mode = match known {
                    None => PutMode::Create,
                    Some(tag) => PutMode::Update(UpdateVersion {
                        e_tag: Some(tag.0.clone()),
                        version: None,
                    }),
                };
                let options = PutOptions::from(mode);
                match store
                    .put_opts(&at(prefix, key), bytes.into(), options)
                    .await
                {
                    Ok(_) => Ok(true),
                    Err(
                        Error::AlreadyExists { .. }
                        | Error::Precondition { .. }
                        | Error::NotFound { .. },
                    ) => Ok(false),
                    Err(error) => Err(failed(key, &error)),
                }
            }
            Self::Nats(bucket) => bucket.swap(key, known, bytes).await,
        }
    }

    /// Removes what nobody needs any more; that it stays is no error.
    pub(crate) async fn remove(&self, key: &str) {
        let removed = match self {
            Self::Folder(root) => {
                fs::remove_file(root.join(key)).map_err(|error| error.to_string())
            }
            Self::Objects { store, prefix, .. } => {
                let removed = store.delete(&at(prefix, key)).await;
                removed.map_err(|error| error.to_string())
            }
            Self::Nats(bucket) => bucket.remove(key).await,
        };
        if let Err(error) = removed {
            tracing::debug!(key, error, "what is old could not be removed");
        }
    }

    /// Calls `changed` whenever the place says that one of these is another, if it says so at all.
    pub(crate) async fn on_change(
        &self,
        keys: Vec<String>,
        changed: impl Fn() + Send + Sync + 'static,
    ) {
        if let Self::Nats(bucket) = self {
            bucket.watch(keys, Arc::new(changed)).await;
        }
    }
}

/// All that a server sends, of at most so many bytes: it may send more than was asked for, or than
/// it says.
async fn taken(found: GetResult, key: &str, most: usize) -> Result<Vec<u8>, StoreError> {
    let (mut bytes, mut parts) = (Vec::new(), found.into_stream());
    while let Some(part) = parts.next().await {
        bytes.extend_from_slice(&part.map_err(|error| failed(key, &error))?);
        if bytes.len() > most {
            return Err(StoreError::TooLarge(key.to_owned(), most));
        }
    }
    Ok(bytes)
}

/// The client of a web server or an object store.
fn client(authorities: Option<&FilePath>, plain: bool) -> Result<ClientOptions, String> {
    let mut options = ClientOptions::new()
        .with_timeout(REQUEST_TIME)
        .with_connect_timeout(CONNECT_TIME)
        .with_allow_http(plain);
    if let Some(path) = authorities {
        let named = |error: &dyn ToString| format!("{}: {}", path.display(), error.to_string());
        let pem = fs::read(path).map_err(|error| named(&error))?;
        let bundle = Certificate::from_pem_bundle(&pem).map_err(|error| named(&error))?;
        for certificate in bundle {
            options = options.with_root_certificate(certificate);
        }
    }
    Ok(options)
}

fn retry() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(2),
            base: 2.0,
        },
        max_retries: RETRIES.0,
        retry_timeout: RETRIES.1,
    }
}

fn at(prefix: &Path, key: &str) -> Path {
    let parts = key.split('/').map(object_store::path::PathPart::from);
    prefix.parts().chain(parts).collect()
}

fn failed_to_find(key: &str) -> StoreError {
    StoreError::Failed(key.to_owned(), "it is not there".to_owned())
}

/// What is wrong, in words that stay the same for as long as it does: each is said once. The
/// innermost reason says it. What the client tells of its attempts is left out: how long they took,
/// and the URL with its password; so is what the server sent, which may be another each time.
fn failed(key: &str, error: &(dyn std::error::Error + 'static)) -> StoreError {
    let chain = std::iter::successors(Some(error), |error| error.source());
    let mut links: Vec<String> = chain.map(ToString::to_string).collect();
    let attempts = |link: &String| link.starts_with("Error performing ");
    if let Some(at) = links.iter().rposition(attempts) {
        links.drain(..=at);
    }
    let mut message = String::new();
    for link in links.iter().map(|link| without_page(link)) {
        if message.is_empty() {
            message = link;
        } else if !message.contains(&link) {
            message = format!("{message}: {link}");
        }
    }
    StoreError::Failed(key.to_owned(), message)
}

/// A link of the chain without the page that the server sent, but for the code in it, as S3 gives.
fn without_page(link: &str) -> String {
    let status = link.strip_prefix("Server returned non-2xx status code: ");
    let status = status.map(|rest| rest.split_once(": ").unwrap_or((rest, "")));
    let answer = link.strip_prefix("Server returned error response: ");
    let Some((status, page)) = status.or_else(|| Some(("an error", answer?))) else {
        return link.to_owned();
    };
    let code = page.split_once("<Code>").map_or("", |(_, rest)| rest);
    let code = code.split_once("</Code>").map_or("", |(code, _)| code);
    let is_code =
        (1..=64).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
    match is_code {
        true => format!("the server answers {status} ({code})"),
        false => format!("the server answers {status}"),
    }
}

// === a folder ===

fn tag(path: &FilePath) -> io::Result<Tag> {
    // Each write is of a new file: no other file bears its number, size and dates.
    Ok(Tag(format!("{:?}", Stamp::of(&fs::metadata(path)?))))
}

fn get_file(
    path: &FilePath,
    key: &str,
    most: usize,
    known: Option<&Tag>,
) -> Result<Got, StoreError> {
    let read = || -> io::Result<Option<(Vec<u8>, Tag)>> {
        let is = tag(path)?;
        if Some(&is) == known {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        let mut file = File::open(path)?.take(most as u64 + 1);
        file.read_to_end(&mut bytes)?;
        Ok(Some((bytes, is)))
    };
    match read() {
        Ok(None) => Ok(Got::Same),
        Ok(Some((bytes, _))) if bytes.len() > most => {
            Err(StoreError::TooLarge(key.to_owned(), most))
        }
        Ok(Some((bytes, tag))) => Ok(Got::Found(bytes, tag)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Got::Nothing),
        Err(error) => Err(failed(key, &error)),
    }
}

fn put_file(path: &FilePath, bytes: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    write_whole(path, bytes)
}

fn swap_file(root: &FilePath, key: &str, known: Option<&Tag>, bytes: &[u8]) -> io::Result<bool> {
    fs::create_dir_all(root)?;
    // Whoever else publishes into this folder waits; the lock goes with its holder.
    let lock = File::create(root.join(".callgate.lock"))?;
    lock.lock()?;
    let path = root.join(key);
    let is = match tag(&path) {
        Ok(tag) => Some(tag),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    if is.as_ref() != known {
        return Ok(false);
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let before = fs::metadata(&path)
        .and_then(|before| before.modified())
        .ok();
    write_whole_with(&path, |file| {
        file.write_all(bytes)?;
        dated_after(file, before)
    })?;
    Ok(true)
}

/// Dates a file a second after the one that it replaces, at least: web servers make the `ETag` of
/// whole seconds and the size, and two heads often have the same size.
fn dated_after(file: &File, before: Option<SystemTime>) -> io::Result<()> {
    const SECOND: Duration = Duration::from_secs(1);
    let least = before.and_then(|before| before.checked_add(SECOND));
    match least {
        Some(least) if least > SystemTime::now() => file.set_modified(least),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
