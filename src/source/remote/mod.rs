//! A source that is not a policy tree: what `publish` made, in a folder, behind a web server, in
//! an object store or in NATS.
//!
//! - `layout`, `index`: what lies there, under which names. `store`, `nats`: how it is had.
//! - `look`: which companies there are, and what is new of them.
//! - `body`: a snapshot, of which only what is lacking is fetched.
//!
//! Everything here runs on the source's own thread, and on one of its own for the network.

mod body;
mod index;
mod layout;
mod look;
mod nats;
mod publish;
mod store;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};

pub use publish::{Published, Publisher};

use crate::snapshot::{Delta, Envelope, OpenError, Snapshot, Trust};

use super::candidate::{Built, outcome_of};
use super::error::SourceError;
use super::folder::State;
use super::listing::Unit;
use super::{Outcome, Refusal};
use body::Body;
use index::Index;
use layout::{Head, INDEX, Step, delta_key};
use store::{Got, Store, Tag};

/// How long to leave a place in peace that fails: at first, and at most.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(4));
/// Bytes of a delta, at most.
const DELTA_BYTES_MAX: usize = 256 << 20;
/// Bytes that a delta may say beyond those of the two snapshots.
const DELTA_MORE: u64 = 1 << 20;

/// A place where snapshots are published, as it was seen last.
pub(crate) struct Remote {
    place: PathBuf,
    shown: PathBuf,
    authorities: Option<PathBuf>,
    only: BTreeSet<String>,
    link: Option<Link>,
    index: Option<Known>,
    heads: BTreeMap<String, Seen>,
    /// When everything is read anew, whatever the place says of it.
    anew_at: Option<Instant>,
    failing: Option<Failing>,
}

/// A connection, and the thread that it runs on.
struct Link {
    store: Store,
    runtime: Runtime,
}

/// The whole index, as it was seen last.
struct Known {
    /// Of `index.json`.
    tag: Tag,
    digest: String,
    index: Index,
}

/// A company's head.
struct Seen {
    /// Of the head, if it was read.
    tag: Option<Tag>,
    digest: String,
    head: Result<Head, String>,
}

/// The place fails, and is left in peace for a while.
struct Failing {
    message: String,
    until: Instant,
    pause: Duration,
}

/// What was fetched of a company.
pub(crate) enum Fetched {
    /// It is what runs.
    Same(Envelope),
    Built(Box<Built>),
}

/// Whether a path means such a place.
pub(crate) fn is_remote(place: &Path) -> bool {
    is_url(place) || place.join(INDEX).is_file()
}

fn is_url(place: &Path) -> bool {
    place.to_str().is_some_and(|text| text.contains("://"))
}

/// A URL without who asks, and by which password: for logs and whoever else looks.
fn shown(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

// === impl Remote ===

impl Remote {
    pub(crate) fn new(
        place: PathBuf,
        authorities: Option<PathBuf>,
        only: BTreeSet<String>,
    ) -> Self {
        Self {
            shown: shown(&place.to_string_lossy()).into(),
            place,
            authorities,
            only,
            link: None,
            index: None,
            heads: BTreeMap::new(),
            anew_at: None,
            failing: None,
        }
    }

    /// The place, for people.
    pub(crate) fn shown(&self) -> &Path {
        &self.shown
    }

    /// Whether it is not a folder.
    pub(crate) fn is_url(&self) -> bool {
        is_url(&self.place)
    }

    /// What every company is now. A place that failed a moment ago is asked again only when it has
    /// had its peace, or if somebody is in a `hurry`.
    pub(crate) fn look(&mut self, hurry: bool) -> Result<BTreeMap<Unit, State>, SourceError> {
        if let Some(failing) = &self.failing
            && !hurry
            && Instant::now() < failing.until
        {
            return Err(SourceError::Unreachable(failing.message.clone()));
        }
        match self.try_look(hurry) {
            Ok(units) => {
                self.failing = None;
                Ok(units)
            }
            Err(message) => {
                let before = self
                    .failing
                    .as_ref()
                    .map_or(BACKOFF.0, |before| before.pause);
                // Those who lost the same place must not all come back at once.
                let jitter = 0.5 + fastrand::f64();
                self.failing = Some(Failing {
                    message: message.clone(),
                    until: Instant::now() + before.mul_f64(jitter),
                    pause: (before * 2).min(BACKOFF.1),
                });
                Err(SourceError::Unreachable(message))
            }
        }
    }

    /// Has `changed` called whenever the place says that something changed, if it says so at all.
    pub(crate) fn on_change(&mut self, changed: impl Fn() + Send + Sync + 'static) {
        if let Some(link) = &self.link {
            let watch = link.store.on_change(self.watched(), changed);
            link.runtime.block_on(watch);
        }
    }

    /// Whether there is a connection, over which changes may be told.
    pub(crate) fn is_linked(&self) -> bool {
        self.link.is_some()
    }

    fn try_look(&mut self, hurry: bool) -> Result<BTreeMap<Unit, State>, String> {
        let link = match self.link.take() {
            Some(link) => link,
            None => connect(&self.place, self.authorities.as_deref())?,
        };
        let looked = link.runtime.block_on(self.look_at(&link.store, hurry));
        self.link = Some(link);
        looked.map_err(|error| format!("`{}`: {error}", self.shown.display()))?;
        let state = |seen: &Seen| match &seen.head {
            Ok(_) => State::Still(blake3::hash(seen.digest.as_bytes())),
            Err(message) => State::Unreadable(message.clone()),
        };
        let units = self.heads.iter();
        Ok(units
            .map(|(company, seen)| (Unit::Company(company.clone()), state(seen)))
            .collect())
    }

    /// Fetches what is lacking of a company's snapshot.
    pub(crate) fn fetch(
        &self,
        company: &str,
        running: Option<&Snapshot>,
        trust: &Trust,
    ) -> Result<Fetched, Refusal> {
        let unreadable = |message: &str| Refusal::new(Outcome::Unreadable, message.to_owned());
        let seen = self.heads.get(company).map(|seen| seen.head.as_ref());
        let head = match (seen, &self.link) {
            (Some(Ok(head)), Some(_)) => head,
            (Some(Err(message)), _) => return Err(unreadable(message)),
            _ => return Err(unreadable("it was not seen yet")),
        };
        let envelope = head.envelope();
        let envelope = envelope.map_err(|message| Refusal::new(Outcome::BadSnapshot, message))?;
        let said = envelope.statement();
        // Before anything of it is fetched.
        if let Err(error) = envelope.check(trust) {
            return Err(Refusal::new(
                outcome_of(&error),
                format!("`{company}`: {error}"),
            ));
        }
        if said.company != company {
            let message = format!("the head of `{company}` is for `{}`", said.company);
            return Err(Refusal::new(Outcome::OtherCompany, message));
        }
        if let Some(running) = running {
            if running.file_digest() == head.file_digest {
                return Ok(Fetched::Same(envelope));
            }
            match self.by_deltas(company, head, &envelope, running) {
                Some(Ok(snapshot)) => return Ok(built(snapshot, envelope)),
                Some(Err(message)) => {
                    tracing::warn!(company, message, "deltas do not help: all of it is fetched");
                }
                None => {}
            }
        }
        let body = self.body(company, head, said.body_bytes, running)?;
        match envelope.open_body(&mut { body }, said.body_bytes) {
            Ok(snapshot) => Ok(built(snapshot, envelope)),
            Err(error) => Err(Refusal::new(
                match &error {
                    OpenError::Io(_) => Outcome::Unreadable,
                    OpenError::Format(_) => Outcome::BadSnapshot,
                    OpenError::Seal(error) => outcome_of(error),
                },
                format!("`{company}`: {error}"),
            )),
        }
    }

    fn body<'r>(
        &'r self,
        company: &'r str,
        head: &Head,
        bytes: u64,
        running: Option<&'r Snapshot>,
    ) -> Result<Body<'r>, Refusal> {
        let Some(link) = &self.link else {
            let message = "there is no connection".to_owned();
            return Err(Refusal::new(Outcome::Unreadable, message));
        };
        if bytes > layout::BODY_BYTES_MAX {
            let most = layout::BODY_BYTES_MAX;
            let message = format!("the snapshot has {bytes} bytes, at most {most}");
            return Err(Refusal::new(Outcome::BadSnapshot, message));
        }
        let key = layout::body_key(company, &head.file_digest);
        Ok(Body::new(
            &link.store,
            link.runtime.handle(),
            key,
            bytes,
            running,
        ))
    }

    /// The new snapshot out of the running one, if deltas lead there and are less than all of it.
    fn by_deltas(
        &self,
        company: &str,
        head: &Head,
        envelope: &Envelope,
        running: &Snapshot,
    ) -> Option<Result<Snapshot, String>> {
        let steps = head.steps_from(running.file_digest())?;
        // Nobody signed what a step says.
        let bytes = steps.iter().map(|step| step.bytes as u64);
        let bytes = bytes.fold(0, u64::saturating_add);
        (bytes < envelope.statement().body_bytes / 2)
            .then(|| self.follow(company, steps, envelope, running))
    }

    fn follow(
        &self,
        company: &str,
        steps: &[Step],
        envelope: &Envelope,
        running: &Snapshot,
    ) -> Result<Snapshot, String> {
        let Some((last, before)) = steps.split_last() else {
            return Err("there are none".to_owned());
        };
        let bytes = envelope.statement().body_bytes;
        let most = (running.size_bytes() as u64 + DELTA_MORE).saturating_add(bytes);
        let mut between: Option<Snapshot> = None;
        for step in before {
            let delta = self.delta(company, step, most)?;
            let mut made = delta
                .apply(between.as_ref().unwrap_or(running))
                .map_err(|error| error.to_string())?;
            let next = Snapshot::read(&mut made, delta.length());
            drop(made);
            between = Some(next.map_err(|error| error.to_string())?);
        }
        let delta = self.delta(company, last, most)?;
        let mut made = delta
            .apply(between.as_ref().unwrap_or(running))
            .map_err(|error| error.to_string())?;
        let opened = envelope.open_body(&mut made, delta.length());
        opened.map_err(|error| error.to_string())
    }

    fn delta(&self, company: &str, step: &Step, inflated: u64) -> Result<Delta, String> {
        let Some(link) = &self.link else {
            return Err("there is no connection".to_owned());
        };
        let most = step.bytes.min(DELTA_BYTES_MAX);
        let key = delta_key(company, step);
        match link.runtime.block_on(link.store.get(&key, most, None)) {
            Ok(Got::Found(bytes, _)) => {
                Delta::from_bytes(&bytes, inflated).map_err(|error| error.to_string())
            }
            Ok(Got::Same | Got::Nothing) => Err("a delta is not there".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// A company's snapshot in its envelope, as a file would hold it.
    pub(crate) fn download(&self, company: &str) -> Result<Vec<u8>, Refusal> {
        use std::io::Read as _;
        let unreadable = |message: String| Refusal::new(Outcome::Unreadable, message);
        let head = self.heads.get(company).map(|seen| seen.head.clone());
        let head = head.unwrap_or_else(|| Err("it is not there".to_owned()));
        let head = head.map_err(unreadable)?;
        let envelope = head.envelope().map_err(unreadable)?;
        let body_bytes = envelope.statement().body_bytes;
        let mut bytes = envelope.to_bytes();
        let body = self.body(company, &head, body_bytes, None)?;
        let read = body.take(body_bytes).read_to_end(&mut bytes);
        read.map_err(|error| unreadable(error.to_string()))?;
        Ok(bytes)
    }
}

fn built(snapshot: Snapshot, envelope: Envelope) -> Fetched {
    Fetched::Built(Box::new(Built {
        snapshot,
        policy: None,
        envelope: Some(envelope),
        warnings: crate::policy::Diagnostics::default(),
    }))
}

/// A connection, with a thread that keeps it.
fn connect(place: &Path, authorities: Option<&Path>) -> Result<Link, String> {
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("callgate-network")
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let store = runtime.block_on(Store::connect(place, authorities));
    let store = store.map_err(|error| error.to_string())?;
    Ok(Link { store, runtime })
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn no_password_is_shown() {
        for (url, is) in [
            ("nats://me:secret@host:4222/fleet", "nats://host:4222/fleet"),
            ("https://me:p@ss@host/a@b", "https://host/a@b"),
            ("https://host", "https://host"),
            ("folder/with@sign", "folder/with@sign"),
        ] {
            assert_eq!(shown(url), is);
        }
    }
}
