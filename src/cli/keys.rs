//! Keys in files, and snapshot files, as commands are given them.

use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};

use crate::snapshot::{
    Envelope, OpenError, PrivateKey, PublicKey, Snapshot, Statement, Trust, VERSION,
};

use super::terminal::{self, Exit};

/// Bytes that are read at once.
const BUFFER_BYTES: usize = 1 << 20;

/// A snapshot file, read and checked.
pub(super) struct Read {
    pub(super) snapshot: Snapshot,
    pub(super) envelope: Option<Envelope>,
    pub(super) bytes: u64,
}

/// The keys whose signatures are trusted.
pub(super) fn trust(files: &[PathBuf]) -> Result<Trust, Exit> {
    let keys = files.iter().map(|path| public(path));
    keys.collect::<Result<_, _>>().map(Trust::new)
}

fn public(path: &Path) -> Result<PublicKey, Exit> {
    let text = text(path)?;
    PublicKey::from_pem(&text).map_err(|error| {
        terminal::complain(&format!("`{}`: {error}", path.display()));
        Exit::Usage
    })
}

/// The key to sign with.
pub(super) fn private(path: &Path) -> Result<PrivateKey, Exit> {
    let text = text(path)?;
    PrivateKey::from_pem(&text).map_err(|error| {
        terminal::complain(&format!("`{}`: {error}", path.display()));
        Exit::Usage
    })
}

fn text(path: &Path) -> Result<String, Exit> {
    fs::read_to_string(path).map_err(|error| cannot_read(path, &error))
}

fn cannot_read(path: &Path, error: &std::io::Error) -> Exit {
    terminal::complain(&format!("cannot read `{}`: {error}", path.display()));
    Exit::Io
}

/// Reads a snapshot file, whoever signed it unless `trust` demands more.
pub(super) fn snapshot(path: &Path, trust: &Trust) -> Result<Read, Exit> {
    let cannot = |error: &std::io::Error| cannot_read(path, error);
    let file = File::open(path).map_err(|error| cannot(&error))?;
    let bytes = file.metadata().map_err(|error| cannot(&error))?.len();
    let mut file = BufReader::with_capacity(BUFFER_BYTES, file);
    match Snapshot::open(&mut file, bytes, trust) {
        Ok((snapshot, envelope)) => Ok(Read {
            snapshot,
            envelope,
            bytes,
        }),
        Err(OpenError::Io(error)) => Err(cannot(&error)),
        Err(error) => {
            terminal::complain(&format!("`{}`: {error}", path.display()));
            Err(Exit::Policy)
        }
    }
}

/// What an envelope says, as a document.
pub(super) fn envelope_json(envelope: &Envelope) -> serde_json::Value {
    let Statement {
        company,
        generation,
        made_at,
        made_by,
        body_bytes,
        body_digest,
    } = envelope.statement();
    serde_json::json!({
        "company": company,
        "generation": generation,
        "made_at": made_at,
        "made_by": made_by,
        "body_bytes": body_bytes,
        "body_digest": body_digest,
        "signed_by": envelope.signers().map(|key| key.to_string()).collect::<Vec<_>>(),
    })
}

/// By whom an envelope is made if nobody says otherwise.
pub(super) fn made_by() -> String {
    let system = rustix::system::uname();
    let host = system.nodename().to_string_lossy().into_owned();
    format!("callgate {} on {host}", env!("CARGO_PKG_VERSION"))
}

/// The statement for a snapshot.
pub(super) fn statement(
    snapshot: &Snapshot,
    generation: u64,
    made_by: String,
) -> (Statement, Vec<u8>) {
    let body = snapshot.to_bytes();
    let statement = Statement {
        company: snapshot.company().to_owned(),
        generation,
        made_at: format!("{:.0}", jiff::Timestamp::now()),
        made_by,
        body_bytes: body.len() as u64,
        body_digest: blake3::hash(&body).to_hex().to_string(),
    };
    (statement, body)
}

/// The version of the format, for people.
pub(super) const FORMAT_VERSION: u32 = VERSION;
