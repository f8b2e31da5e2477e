//! Publishing: a generation above the last, by compare-and-swap, and visible as a whole or not.

use std::path::Path;

use crate::snapshot::{Envelope, GENERATION_MAX, PrivateKey, Snapshot, Statement};

use super::body::Body;
use super::index::{self, Index, Listed, Listing, Notice, Root};
use super::layout::{
    BODIES_MAX, BODY_BYTES_MAX, DELTAS_MAX, HEAD_BYTES_MAX, Head, INDEX, INDEX_BYTES_MAX, Step,
    body_key, delta_key, head_key, index_key,
};
use super::look::whole;
use super::store::{Got, Store, StoreError, Tag};
use super::{Link, connect};

/// How often is tried again what another publisher was faster with.
const TRIES: usize = 20;

/// Publishes to one place.
pub struct Publisher {
    link: Link,
    key: Option<PrivateKey>,
    made_by: String,
}

/// What became of a company's snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// The generation that is there now.
    pub generation: u64,
    /// Whether it was there already.
    pub unchanged: bool,
    /// Bytes of the whole snapshot file.
    pub body_bytes: u64,
    /// Bytes that whoever has the generation before must fetch, if there was one.
    pub delta_bytes: Option<usize>,
}

/// What lies at the place of a company.
struct Before {
    tag: Option<Tag>,
    head: Option<(Head, Envelope)>,
}

// === impl Publisher ===

impl Publisher {
    /// Publishes to a folder or a URL.
    ///
    /// # Errors
    /// The place cannot be reached, or takes nothing.
    pub fn connect(
        place: &Path,
        authorities: Option<&Path>,
        key: Option<PrivateKey>,
        made_by: String,
    ) -> Result<Self, String> {
        let link = connect(place, authorities)?;
        if let Store::Objects {
            writable: false, ..
        } = link.store
        {
            return Err(StoreError::ReadOnly.to_string());
        }
        Ok(Self { link, key, made_by })
    }

    /// Publishes a snapshot as its company's next generation, unless it is what is there. Whoever
    /// goes by the index finds it once it is listed, too: [`Publisher::list`].
    ///
    /// # Errors
    /// The place cannot be read or written.
    pub fn publish(&self, snapshot: &Snapshot) -> Result<Published, String> {
        let company = snapshot.company();
        for _ in 0..TRIES {
            let before = self.before(company)?;
            if let Some(same) = self.is_there(&before, snapshot) {
                self.keep_body(snapshot, same.body_bytes)?;
                return Ok(same);
            }
            let (head, published) = self.prepare(snapshot, &before)?;
            let Before { tag, .. } = &before;
            if self.run(
                self.link
                    .store
                    .swap(&head_key(company), tag.as_ref(), head.to_bytes()),
            )? {
                self.clean(company, &before, &head);
                return Ok(published);
            }
        }
        Err(format!("others publish `{company}` again and again"))
    }

    fn before(&self, company: &str) -> Result<Before, String> {
        let got = self.run(
            self.link
                .store
                .get(&head_key(company), HEAD_BYTES_MAX, None),
        )?;
        let Got::Found(bytes, tag) = got else {
            return Ok(Before {
                tag: None,
                head: None,
            });
        };
        let head = Head::read(company, &bytes)?;
        let envelope = head.envelope()?;
        Ok(Before {
            tag: Some(tag),
            head: Some((head, envelope)),
        })
    }

    /// What is there already, if it is this snapshot, signed as it would be.
    fn is_there(&self, before: &Before, snapshot: &Snapshot) -> Option<Published> {
        let (head, envelope) = before.head.as_ref()?;
        let signed = match &self.key {
            None => true,
            Some(key) => envelope.signers().any(|by| by == key.public()),
        };
        (signed && head.file_digest == snapshot.file_digest()).then(|| Published {
            generation: envelope.statement().generation,
            unchanged: true,
            body_bytes: envelope.statement().body_bytes,
            delta_bytes: None,
        })
    }

    /// Puts the body again, if it is lost: a head alone helps nobody who starts.
    fn keep_body(&self, snapshot: &Snapshot, bytes: u64) -> Result<(), String> {
        let store = &self.link.store;
        let key = body_key(snapshot.company(), snapshot.file_digest());
        // Pieces are put in their order, so that the last byte stands for all of them.
        let last = bytes.saturating_sub(1)..bytes;
        if self.run(store.get_range(&key, last)).is_err() {
            let company = snapshot.company();
            tracing::warn!(company, "its body was not there, and is put again");
            self.run(store.put(&key, snapshot.to_bytes()))?;
        }
        Ok(())
    }

    /// Puts all that the next head names, and makes the head.
    fn prepare(&self, snapshot: &Snapshot, before: &Before) -> Result<(Head, Published), String> {
        let (company, file_digest) = (snapshot.company(), snapshot.file_digest());
        let last = before
            .head
            .as_ref()
            .map(|(_, envelope)| envelope.statement());
        let generation = last.map_or(0, |last| last.generation) + 1;
        if generation > GENERATION_MAX {
            return Err(format!("`{company}` has no generations left"));
        }
        let body = snapshot.to_bytes();
        let body_bytes = body.len() as u64;
        if body_bytes > BODY_BYTES_MAX {
            return Err(format!(
                "`{company}` has {body_bytes} bytes, at most {BODY_BYTES_MAX}"
            ));
        }
        let mut envelope = Envelope::new(Statement {
            company: company.to_owned(),
            generation,
            made_at: format!("{:.0}", jiff::Timestamp::now()),
            made_by: self.made_by.clone(),
            body_bytes,
            body_digest: blake3::hash(&body).to_hex().to_string(),
        });
        if let Some(key) = &self.key {
            envelope.sign(key);
        }
        let mut head = Head::new(&envelope, file_digest);
        let mut delta_bytes = None;
        if let Some((old, envelope)) = &before.head {
            head.bodies.clone_from(&old.bodies);
            head.deltas.clone_from(&old.deltas);
            if old.file_digest != file_digest {
                let step = self.put_delta(company, old, envelope, snapshot);
                delta_bytes = step.as_ref().map(|step| step.bytes);
                head.deltas.extend(step);
            }
        }
        // A body that comes back (as one may after a mistake) is the newest again.
        head.bodies.retain(|body| body != file_digest);
        head.bodies.push(file_digest.to_owned());
        let many = head.bodies.len().saturating_sub(BODIES_MAX);
        head.bodies.drain(..many);
        let many = head.deltas.len().saturating_sub(DELTAS_MAX);
        head.deltas.drain(..many);
        self.run(self.link.store.put(&body_key(company, file_digest), body))?;
        let published = Published {
            generation,
            unchanged: false,
            body_bytes,
            delta_bytes,
        };
        Ok((head, published))
    }

    /// Puts what makes the new snapshot out of the old one. Without it all of it is fetched; so
    /// what fails here is no failure.
    fn put_delta(
        &self,
        company: &str,
        old: &Head,
        envelope: &Envelope,
        new: &Snapshot,
    ) -> Option<Step> {
        let bytes = envelope.statement().body_bytes;
        let key = body_key(company, &old.file_digest);
        let handle = self.link.runtime.handle();
        let mut body = Body::new(&self.link.store, handle, key, bytes, Some(new));
        let put = envelope
            .open_body(&mut body, bytes)
            .map_err(|error| error.to_string())
            .and_then(|before| {
                let delta = before.delta_to(new).to_bytes();
                let step = Step {
                    from: old.file_digest.clone(),
                    to: new.file_digest().to_owned(),
                    bytes: delta.len(),
                };
                let key = delta_key(company, &step);
                self.run(self.link.store.put(&key, delta)).map(|()| step)
            });
        match put {
            Ok(step) => Some(step),
            Err(message) => {
                tracing::warn!(company, message, "there is no delta to the new generation");
                None
            }
        }
    }

    /// Enters the heads of companies, as they are now, into the index: all at once, for each entry
    /// is a change that every reader follows.
    ///
    /// # Errors
    /// The place cannot be read or written.
    pub fn list(&self, companies: &[String]) -> Result<(), String> {
        let store = &self.link.store;
        let mut in_vain: Option<String> = None;
        for _ in 0..TRIES {
            let (before, mut index, tag) = self.index()?;
            let mut news = self.heads(companies)?;
            news.retain(|company, listed| index.companies.get(company) != Some(listed));
            let (notice, old) = match &before {
                // What lies there is of the version before, and is written anew.
                None if tag.is_some() || !news.is_empty() => {
                    index.companies.extend(news);
                    (Notice::first(&index.to_bytes()), Vec::new())
                }
                Some(before) if !news.is_empty() => {
                    index.companies.extend(news.clone());
                    before.next(&index.to_bytes(), news)
                }
                _ => {
                    self.forget(in_vain.take(), before.as_ref());
                    return Ok(());
                }
            };
            // Others were faster, and what was put for them to find is no index of theirs.
            self.forget(in_vain.take(), before.as_ref());
            self.run(store.put(&index_key(&notice.index), index.to_bytes()))?;
            if self.run(store.swap(INDEX, tag.as_ref(), notice.to_bytes()))? {
                for digest in old.iter().filter(|digest| !notice.keeps(digest)) {
                    self.link.runtime.block_on(store.remove(&index_key(digest)));
                }
                return Ok(());
            }
            in_vain = Some(notice.index);
        }
        Err("others change the index again and again".to_owned())
    }

    /// The index as it is: its notice, if it has one, all of it, and the tag of `index.json`.
    fn index(&self) -> Result<(Option<Notice>, Index, Option<Tag>), String> {
        let store = &self.link.store;
        for _ in 0..TRIES {
            let got = self.run(store.get(INDEX, INDEX_BYTES_MAX, None))?;
            let Got::Found(bytes, tag) = got else {
                return Ok((None, Index::empty(), None));
            };
            let notice = match Root::read(&bytes)? {
                Root::Whole(index) => return Ok((None, index, Some(tag))),
                Root::Notice(notice) => notice,
            };
            match self.run(whole(store, &notice)) {
                Ok(index) => return Ok((Some(notice), index, Some(tag))),
                // Unless others published meanwhile, and it is gone for that.
                Err(message) => {
                    let now = self.run(store.get(INDEX, INDEX_BYTES_MAX, Some(&tag)))?;
                    if !matches!(now, Got::Found(..)) {
                        return Err(message);
                    }
                }
            }
        }
        Err("others change the index again and again".to_owned())
    }

    /// What the index is to say of these companies.
    fn heads(&self, companies: &[String]) -> Result<Listing, String> {
        let listed = |company: &String| {
            let head = head_key(company);
            let got = self.run(self.link.store.get(&head, HEAD_BYTES_MAX, None))?;
            let Got::Found(bytes, _) = got else {
                return Err(format!("the head of `{company}` is gone again"));
            };
            let envelope = Head::read(company, &bytes)?.envelope()?;
            let listed = Listed {
                generation: envelope.statement().generation,
                head: index::digest(&bytes),
            };
            Ok((company.clone(), listed))
        };
        companies.iter().map(listed).collect()
    }

    /// Removes the whole index of this digest, unless it was found to be one that holds after all.
    fn forget(&self, digest: Option<String>, notice: Option<&Notice>) {
        let digest = digest.filter(|digest| notice.is_none_or(|notice| !notice.keeps(digest)));
        if let Some(digest) = digest {
            let key = index_key(&digest);
            self.link.runtime.block_on(self.link.store.remove(&key));
        }
    }

    /// Removes what the new head names no more.
    fn clean(&self, company: &str, before: &Before, head: &Head) {
        let Some((old, _)) = &before.head else {
            return;
        };
        let bodies = old.bodies.iter().filter(|body| !head.bodies.contains(body));
        let deltas = old.deltas.iter().filter(|step| !head.deltas.contains(step));
        let keys = bodies.map(|body| body_key(company, body));
        let keys = keys.chain(deltas.map(|step| delta_key(company, step)));
        for key in keys {
            self.link.runtime.block_on(self.link.store.remove(&key));
        }
    }

    fn run<T>(&self, what: impl Future<Output = Result<T, StoreError>>) -> Result<T, String> {
        let done = self.link.runtime.block_on(what);
        done.map_err(|error| error.to_string())
    }
}
