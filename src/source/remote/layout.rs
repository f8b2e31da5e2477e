//! What lies at a place where snapshots are published, and under which names.
//!
//! ```text
//! index.json                      which index holds, and what changed lately
//! _index/DIGEST                   every company, its generation and its head's digest
//! COMPANY/head.json               the envelope, and what there is to be fetched
//! COMPANY/bodies/FILE-DIGEST      a snapshot file
//! COMPANY/deltas/FROM-TO          how to make one out of another
//! ```
//!
//! Indexes, bodies and deltas never change. Heads and `index.json` do, by compare-and-swap: the head
//! last of all that belongs to a generation, and the index after it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::snapshot::Envelope;

/// The one version of heads.
const FORMAT: u32 = 1;

/// Where is told which index holds.
pub(crate) const INDEX: &str = "index.json";
/// Where whole indexes are. No company's name begins so.
const INDEXES: &str = "_index/";
/// Bytes of an index, at most: a hundred thousand companies.
pub(crate) const INDEX_BYTES_MAX: usize = 32 << 20;
/// Bytes of a head, at most.
pub(crate) const HEAD_BYTES_MAX: usize = 64 << 10;
/// Bytes of a snapshot file, at most.
pub(crate) const BODY_BYTES_MAX: u64 = 1 << 30;
/// Deltas that are kept, from one generation to the next.
pub(crate) const DELTAS_MAX: usize = 8;
/// Bodies that are kept: the newest, and one for whoever is reading it still.
pub(crate) const BODIES_MAX: usize = 2;

/// What there is of a company.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Head {
    format: u32,
    /// The envelope, in base64.
    envelope: String,
    /// The body's file digest, as of [`Snapshot::file_digest`](crate::snapshot::Snapshot).
    pub(crate) file_digest: String,
    /// Deltas between generations, the oldest first.
    pub(crate) deltas: Vec<Step>,
    /// File digests of all bodies that are there, the oldest first.
    pub(crate) bodies: Vec<String>,
}

/// A delta from one file digest to the next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Step {
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) bytes: usize,
}

/// Where a whole index is.
pub(crate) fn index_key(digest: &str) -> String {
    format!("{INDEXES}{digest}")
}

/// Whether what lies there may have more bytes than a message: a body, or a whole index.
pub(crate) fn may_be_large(key: &str) -> bool {
    key.starts_with(INDEXES) || key.contains("/bodies/")
}

/// Where a company's head is.
pub(crate) fn head_key(company: &str) -> String {
    format!("{company}/head.json")
}

/// Where a body is.
pub(crate) fn body_key(company: &str, file_digest: &str) -> String {
    format!("{company}/bodies/{file_digest}")
}

/// Where a delta is.
pub(crate) fn delta_key(company: &str, step: &Step) -> String {
    format!("{company}/deltas/{}-{}", short(&step.from), short(&step.to))
}

// === impl Head ===

impl Head {
    pub(crate) fn new(envelope: &Envelope, file_digest: &str) -> Self {
        Self {
            format: FORMAT,
            envelope: STANDARD.encode(envelope.to_bytes()),
            file_digest: file_digest.to_owned(),
            deltas: Vec::new(),
            bodies: vec![file_digest.to_owned()],
        }
    }

    pub(crate) fn read(company: &str, bytes: &[u8]) -> Result<Self, String> {
        let head: Self = serde_json::from_slice(bytes)
            .map_err(|error| format!("the head of `{company}` cannot be read: {error}"))?;
        known(head.format, FORMAT, "the head")?;
        let digests = head.bodies.iter().chain([&head.file_digest]);
        let steps = head.deltas.iter().flat_map(|step| [&step.from, &step.to]);
        // They become parts of names.
        if !digests.chain(steps).all(|digest| is_digest(digest)) {
            return Err(format!("the head of `{company}` names no digest"));
        }
        Ok(head)
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    pub(crate) fn envelope(&self) -> Result<Envelope, String> {
        let bytes = STANDARD.decode(&self.envelope);
        let bytes = bytes.map_err(|_| "the head's envelope is no base64".to_owned())?;
        match Envelope::read(&mut bytes.as_slice()) {
            Ok(Ok(envelope)) => Ok(envelope),
            Ok(Err(_)) => Err("the head's envelope is none".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// The deltas that lead from one snapshot to this one, if there are such.
    pub(crate) fn steps_from(&self, file_digest: &str) -> Option<&[Step]> {
        // The last of them, if it was this one more than once.
        let first = self
            .deltas
            .iter()
            .rposition(|step| step.from == file_digest)?;
        let steps = self.deltas.get(first..)?;
        let mut at = file_digest;
        for step in steps {
            if step.from != at {
                return None;
            }
            at = &step.to;
        }
        (at == self.file_digest).then_some(steps)
    }
}

/// The beginning of a digest: enough to tell one from another.
pub(super) fn short(digest: &str) -> &str {
    digest.get(..32).unwrap_or(digest)
}

pub(super) fn known(format: u32, reads: u32, what: &str) -> Result<(), String> {
    match format == reads {
        true => Ok(()),
        false => Err(format!(
            "{what} has format {format}, this callgate reads {reads}: publish again"
        )),
    }
}

pub(super) fn is_digest(text: &str) -> bool {
    text.len() == 64
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
