//! One look at a place: which companies there are, and what the head of each is.
//!
//! Whoever serves a few asks for their heads, and for nothing that is others'; whoever serves many
//! asks for the index, which tells whose head is another.

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;

use super::index::{self, Index, Notice, Root};
use super::layout::{HEAD_BYTES_MAX, Head, INDEX, INDEX_BYTES_MAX, head_key, index_key};
use super::store::{Got, Store, StoreError, Tag};
use super::{Known, Remote, Seen};

/// Heads that are fetched at once.
const HEADS_AT_ONCE: usize = 16;
/// Companies that are a few.
const FEW: usize = 16;
/// How often is read, too, what the place says is as it was: one that is wrong in that (a proxy
/// between, a web server that dates by the second) must not hide a change for ever.
const ANEW: Duration = Duration::from_secs(60);
/// How often the index is asked for again whose whole was removed before it was read.
const TRIES: usize = 3;

// === impl Remote ===

impl Remote {
    /// What `on_change` is to be called for.
    pub(super) fn watched(&self) -> Vec<String> {
        match self.serves_few() {
            true => self.only.iter().map(|company| head_key(company)).collect(),
            false => vec![INDEX.to_owned()],
        }
    }

    pub(super) async fn look_at(&mut self, store: &Store, hurry: bool) -> Result<(), StoreError> {
        let anew = hurry || self.anew_at.is_none_or(|at| at <= Instant::now());
        if !self.serves_few() || !self.look_at_heads(store, anew).await? {
            self.look_at_index(store, anew).await?;
        }
        if anew {
            let pause = ANEW.mul_f64(0.8 + 0.4 * fastrand::f64());
            self.anew_at = Some(Instant::now() + pause);
        }
        Ok(())
    }

    fn serves_few(&self) -> bool {
        (1..=FEW).contains(&self.only.len())
    }

    /// Asks for the head of each company that is served; false: one is not there, and the index
    /// tells whether it should be.
    async fn look_at_heads(&mut self, store: &Store, anew: bool) -> Result<bool, StoreError> {
        let ask = self.only.iter().map(|company| {
            let seen = self.heads.get(company).filter(|seen| seen.head.is_ok());
            (company.clone(), seen.and_then(|seen| seen.tag.clone()))
        });
        let ask: Vec<_> = ask.collect();
        let got = heads(store, ask, anew).await;
        if got.iter().any(|(_, got)| matches!(got, Ok(Got::Nothing))) {
            return Ok(false);
        }
        if got.iter().all(|(_, got)| got.is_err())
            && let Some((_, Err(error))) = got.first()
        {
            return Err(error.clone());
        }
        for (company, got) in got {
            self.see(company, got);
        }
        Ok(true)
    }

    async fn look_at_index(&mut self, store: &Store, anew: bool) -> Result<(), StoreError> {
        let known = self.index.as_ref().map(|known| known.tag.clone());
        match store
            .get(INDEX, INDEX_BYTES_MAX, known.as_ref().filter(|_| !anew))
            .await?
        {
            Got::Same => {}
            Got::Found(bytes, tag) => {
                let known = self.index.take();
                self.index = Some(read_index(store, known, bytes, tag).await?);
            }
            Got::Nothing => {
                let message = "it is not there: nothing was published here";
                return Err(failed(INDEX, message));
            }
        }
        let Some(Known { index, .. }) = &self.index else {
            return Ok(());
        };
        self.heads
            .retain(|company, _| index.companies.contains_key(company));
        let wanted = index.companies.iter().filter(|(company, listed)| {
            let served = self.only.is_empty() || self.only.contains(*company);
            let seen = self.heads.get(*company);
            let same = seen.is_some_and(|seen| seen.head.is_ok() && seen.digest == listed.head);
            served && !same && crate::source::listing::is_plain(company)
        });
        let wanted = wanted.map(|(company, _)| (company.clone(), None)).collect();
        for (company, got) in heads(store, wanted, true).await {
            self.see(company, got);
        }
        Ok(())
    }

    /// Takes note of a company's head.
    fn see(&mut self, company: String, got: Result<Got, StoreError>) {
        let nothing = |message| Seen {
            tag: None,
            digest: String::new(),
            head: Err(message),
        };
        let seen = match got {
            Ok(Got::Found(bytes, tag)) => Seen {
                tag: Some(tag),
                digest: index::digest(&bytes),
                head: Head::read(&company, &bytes),
            },
            Ok(Got::Same) => return,
            Ok(Got::Nothing) => nothing(format!("the head of `{company}` is not there")),
            Err(error) => nothing(error.to_string()),
        };
        self.heads.insert(company, seen);
    }
}

/// The heads of companies, where they are not what these tags are of.
async fn heads(
    store: &Store,
    companies: Vec<(String, Option<Tag>)>,
    anew: bool,
) -> Vec<(String, Result<Got, StoreError>)> {
    let ask = companies.into_iter().map(|(company, tag)| async move {
        let known = tag.as_ref().filter(|_| !anew);
        let got = store.get(&head_key(&company), HEAD_BYTES_MAX, known).await;
        (company, got)
    });
    let asking = futures_util::stream::iter(ask).buffer_unordered(HEADS_AT_ONCE);
    asking.collect().await
}

/// The whole index that `index.json` means: out of the one known before, or fetched.
async fn read_index(
    store: &Store,
    known: Option<Known>,
    bytes: Vec<u8>,
    mut tag: Tag,
) -> Result<Known, StoreError> {
    let unreadable = |error: String| StoreError::Failed(INDEX.to_owned(), error);
    let mut notice = match Root::read(&bytes).map_err(unreadable)? {
        Root::Whole(index) => {
            let digest = index::digest(&index.to_bytes());
            return Ok(Known { tag, digest, index });
        }
        Root::Notice(notice) => notice,
    };
    if let Some(Known { digest, index, .. }) = known {
        let index = match digest == notice.index {
            true => Some(index),
            false => notice.follow(index, &digest),
        };
        if let Some(index) = index {
            let digest = notice.index;
            return Ok(Known { tag, digest, index });
        }
    }
    for attempt in 1.. {
        match whole(store, &notice).await {
            Ok(index) => {
                let digest = notice.index;
                return Ok(Known { tag, digest, index });
            }
            Err(error) if attempt == TRIES => return Err(error),
            Err(_) => {}
        }
        // Others may have published so fast that it is gone already.
        if let Got::Found(now, of) = store.get(INDEX, INDEX_BYTES_MAX, None).await?
            && let Root::Notice(now) = Root::read(&now).map_err(unreadable)?
        {
            (notice, tag) = (now, of);
        }
    }
    Err(failed(INDEX, "it changes again and again"))
}

/// The whole index of a notice.
pub(super) async fn whole(store: &Store, notice: &Notice) -> Result<Index, StoreError> {
    let key = index_key(&notice.index);
    if notice.bytes > INDEX_BYTES_MAX as u64 {
        return Err(StoreError::TooLarge(key, INDEX_BYTES_MAX));
    }
    let bytes = store.get_all(&key, notice.bytes).await?;
    if index::digest(&bytes) != notice.index {
        return Err(failed(&key, "it was damaged"));
    }
    Index::read(&bytes).map_err(|error| StoreError::Failed(key, error))
}

fn failed(key: &str, message: &str) -> StoreError {
    StoreError::Failed(key.to_owned(), message.to_owned())
}
