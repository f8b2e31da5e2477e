//! What lies at a place where snapshots are published, and under which names.
//!
//! ```text
//! index.json                      every company, its generation and its head's digest
//! COMPANY/head.json               the envelope, and what there is to be fetched
//! COMPANY/bodies/FILE-DIGEST      a snapshot file
//! COMPANY/deltas/FROM-TO          how to make one out of another
//! ```
//!
//! Bodies and deltas never change. Heads and the index do, by compare-and-swap: the head last of
//! all that belongs to a generation, and the index after it.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::snapshot::Envelope;

/// The one version of this layout.
const FORMAT: u32 = 1;

/// Where the index is.
pub(crate) const INDEX: &str = "index.json";
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

/// Every company.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Index {
    format: u32,
    pub(crate) companies: BTreeMap<String, Listed>,
}

/// What the index says of a company.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Listed {
    pub(crate) generation: u64,
    /// The head's BLAKE3 digest: who has this head need not ask for it.
    pub(crate) head: String,
}

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
    let short = |digest: &str| digest.get(..32).unwrap_or(digest).to_owned();
    format!("{company}/deltas/{}-{}", short(&step.from), short(&step.to))
}

// === impl Index ===

impl Index {
    pub(crate) const fn empty() -> Self {
        Self {
            format: FORMAT,
            companies: BTreeMap::new(),
        }
    }

    pub(crate) fn read(bytes: &[u8]) -> Result<Self, String> {
        let index: Self = serde_json::from_slice(bytes)
            .map_err(|error| format!("`{INDEX}` cannot be read: {error}"))?;
        known(index.format, INDEX)?;
        Ok(index)
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
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
        known(head.format, "the head")?;
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
        let first = self
            .deltas
            .iter()
            .position(|step| step.from == file_digest)?;
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

fn known(format: u32, what: &str) -> Result<(), String> {
    match format {
        FORMAT => Ok(()),
        _ => Err(format!(
            "{what} has format {format}, this callgate reads {FORMAT}: publish again"
        )),
    }
}

fn is_digest(text: &str) -> bool {
    text.len() == 64
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
