//! The envelope around a snapshot's bytes: whose it is, which one, made when and by whom, signed.
//!
//! | bytes | what |
//! | --- | --- |
//! | 8 | `CALLSEAL` |
//! | 4 | version of the envelope: 1 |
//! | 4 | bytes of the statement, *n*, at most 4,096 |
//! | *n* | the statement: JSON, UTF-8 |
//! | 4 | number of signatures, at most 8 |
//! | 96 each | public key (32), Ed25519 signature (64) of all bytes up to the statement's end |
//! | rest | the body: a snapshot file |
//!
//! The statement names the body's length and its BLAKE3 digest, so that a signature covers it all.

use std::io::{self, Read};

use serde::{Deserialize, Serialize};

use super::Snapshot;
use super::file::{FormatError, ReadError};
use super::keys::{PrivateKey, PublicKey, Signature};

/// What an envelope says of its body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// Whose snapshot it is.
    pub company: String,
    /// The company's number of it: one above the last at the place where it was published.
    pub generation: u64,
    /// When it was made, RFC 3339.
    pub made_at: String,
    /// By whom.
    pub made_by: String,
    /// Bytes of the body.
    pub body_bytes: u64,
    /// The body's BLAKE3 digest, 64 hexadecimal digits.
    pub body_digest: String,
}

/// A statement, as it was written, and its signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    statement: Statement,
    /// Everything up to the statement's end: what is signed.
    signed: Vec<u8>,
    signatures: Vec<Signature>,
}

/// Whose signatures count; none: a signature is not asked for.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    keys: Vec<PublicKey>,
}

/// Why an envelope, or the lack of one, keeps a snapshot from being used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// It cannot be read as an envelope.
    #[error("the envelope is cut short or is not one: {0}")]
    Malformed(&'static str),
    /// It was made by another version.
    #[error(
        "the envelope has version {0}, this callgate reads version {VERSION}: publish it again"
    )]
    Version(u32),
    /// There is no signature.
    #[error("it is not signed, and only what a trusted key signed is taken (`--trust-key`)")]
    Unsigned,
    /// There are only signatures by other keys.
    #[error("it is signed by {0}, which is no trusted key (`--trust-key`)")]
    Untrusted(String),
    /// A signature is wrong.
    #[error("its signature by {0} is wrong: the envelope was changed after it was signed")]
    WrongSignature(String),
    /// The body is not the one that the statement names.
    #[error("the body is not the one that the envelope was made for")]
    OtherBody,
    /// The body is another company's.
    #[error("the envelope is for `{said}`, and the snapshot in it is of `{is}`")]
    OtherCompany {
        /// The envelope's company.
        said: String,
        /// The body's company.
        is: String,
    },
}

/// Why a snapshot file, with or without an envelope, cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It cannot be read out.
    #[error(transparent)]
    Io(io::Error),
    /// It is no snapshot that this version reads.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The envelope forbids it.
    #[error(transparent)]
    Seal(#[from] SealError),
}

/// The largest generation: a JSON reader may keep numbers as doubles.
pub const GENERATION_MAX: u64 = (1 << 53) - 1;

const MAGIC: &[u8; 8] = b"CALLSEAL";
const VERSION: u32 = 1;
const STATEMENT_BYTES_MAX: usize = 4_096;
const SIGNATURES_MAX: usize = 8;

// === impl Envelope ===

impl Envelope {
    /// An envelope that says so, without a signature.
    #[must_use]
    pub fn new(statement: Statement) -> Self {
        let text = serde_json::to_vec(&statement).unwrap_or_default();
        let mut signed = Vec::with_capacity(16 + text.len());
        signed.extend_from_slice(MAGIC);
        signed.extend_from_slice(&VERSION.to_le_bytes());
        signed.extend_from_slice(&(text.len() as u32).to_le_bytes());
        signed.extend_from_slice(&text);
        Self {
            statement,
            signed,
            signatures: Vec::new(),
        }
    }

    /// What it says.
    #[must_use]
    pub fn statement(&self) -> &Statement {
        &self.statement
    }

    /// Who signed it.
    pub fn signers(&self) -> impl Iterator<Item = PublicKey> {
        self.signatures.iter().map(|signature| signature.by)
    }

    /// Adds a signature, in the place of an earlier one by the same key. The oldest goes when
    /// there are too many.
    pub fn sign(&mut self, key: &PrivateKey) {
        let signature = key.sign(&self.signed);
        self.signatures.retain(|other| other.by != signature.by);
        if self.signatures.len() == SIGNATURES_MAX {
            self.signatures.remove(0);
        }
        self.signatures.push(signature);
    }

    /// Checks every signature, and that one is by a trusted key, if any key is.
    ///
    /// # Errors
    /// What is wrong with the signatures.
    pub fn check(&self, trust: &Trust) -> Result<(), SealError> {
        for signature in &self.signatures {
            if !signature.fits(&self.signed) {
                return Err(SealError::WrongSignature(signature.by.to_string()));
            }
        }
        if trust.keys.is_empty() || self.signers().any(|key| trust.keys.contains(&key)) {
            return Ok(());
        }
        Err(match self.signers().last() {
            Some(key) => SealError::Untrusted(key.to_string()),
            None => SealError::Unsigned,
        })
    }

    /// The envelope's bytes, which the body follows.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.signed.clone();
        bytes.extend_from_slice(&(self.signatures.len() as u32).to_le_bytes());
        for signature in &self.signatures {
            bytes.extend_from_slice(signature.by.as_bytes());
            bytes.extend_from_slice(&signature.bytes);
        }
        bytes
    }

    /// Reads an envelope, up to the body. `None`: this is something else, of which the bytes that
    /// were read are returned.
    ///
    /// # Errors
    /// An envelope that is cut short, malformed, or of another version.
    pub fn read(from: &mut dyn Read) -> Result<Result<Self, Vec<u8>>, OpenError> {
        let mut magic = Vec::with_capacity(MAGIC.len());
        let eight = MAGIC.len() as u64;
        from.take(eight)
            .read_to_end(&mut magic)
            .map_err(OpenError::Io)?;
        if magic != MAGIC {
            return Ok(Err(magic));
        }
        let version = number(from)?;
        if version != VERSION {
            return Err(SealError::Version(version).into());
        }
        let length = number(from)?;
        let text = bytes(
            from,
            length,
            STATEMENT_BYTES_MAX,
            "the statement is too long",
        )?;
        let statement: Statement = serde_json::from_slice(&text)
            .map_err(|_| SealError::Malformed("the statement cannot be read"))?;
        if !(1..=GENERATION_MAX).contains(&statement.generation) {
            return Err(SealError::Malformed("the generation is out of range").into());
        }
        let count = number(from)? as usize;
        if count > SIGNATURES_MAX {
            return Err(SealError::Malformed("it has too many signatures").into());
        }
        let signatures = (0..count).map(|_| signature(from));
        let signatures = signatures.collect::<Result<_, OpenError>>()?;
        let mut signed = magic;
        signed.extend_from_slice(&version.to_le_bytes());
        signed.extend_from_slice(&length.to_le_bytes());
        signed.extend_from_slice(&text);
        Ok(Ok(Self {
            statement,
            signed,
            signatures,
        }))
    }

    /// Reads the body, of so many bytes, which must be the one that the statement names. The
    /// signatures are looked at by [`Envelope::check`].
    ///
    /// # Errors
    /// It is another body, or no snapshot, or another company's; or it cannot be read.
    pub fn open_body(&self, from: &mut dyn Read, length: u64) -> Result<Snapshot, OpenError> {
        let said = &self.statement;
        if length != said.body_bytes {
            return Err(SealError::OtherBody.into());
        }
        let mut body = Digesting {
            from,
            hasher: blake3::Hasher::new(),
        };
        let snapshot = Snapshot::read(&mut body, length)?;
        if body.hasher.finalize().to_hex().as_str() != said.body_digest {
            return Err(SealError::OtherBody.into());
        }
        if snapshot.company() != said.company {
            let (said, is) = (said.company.clone(), snapshot.company().to_owned());
            return Err(SealError::OtherCompany { said, is }.into());
        }
        Ok(snapshot)
    }

    fn length(&self) -> u64 {
        self.to_bytes().len() as u64
    }
}

fn number(from: &mut dyn Read) -> Result<u32, OpenError> {
    let mut number = [0; 4];
    from.read_exact(&mut number).map_err(cut)?;
    Ok(u32::from_le_bytes(number))
}

fn bytes(
    from: &mut dyn Read,
    length: u32,
    most: usize,
    too_long: &'static str,
) -> Result<Vec<u8>, OpenError> {
    if length as usize > most {
        return Err(SealError::Malformed(too_long).into());
    }
    let mut bytes = vec![0; length as usize];
    from.read_exact(&mut bytes).map_err(cut)?;
    Ok(bytes)
}

fn signature(from: &mut dyn Read) -> Result<Signature, OpenError> {
    let (mut by, mut bytes) = ([0; 32], [0; 64]);
    from.read_exact(&mut by).map_err(cut)?;
    from.read_exact(&mut bytes).map_err(cut)?;
    let by = PublicKey::new(by);
    Ok(Signature { by, bytes })
}

fn cut(error: io::Error) -> OpenError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => SealError::Malformed("it ends early").into(),
        _ => OpenError::Io(error),
    }
}

// === impl Trust ===

impl Trust {
    /// Only what one of these keys signed; none: everything.
    #[must_use]
    pub fn new(keys: Vec<PublicKey>) -> Self {
        Self { keys }
    }

    /// Whether a signature is asked for.
    #[must_use]
    pub fn demands(&self) -> bool {
        !self.keys.is_empty()
    }
}

// === impl Snapshot ===

impl Snapshot {
    /// Reads a snapshot file of so many bytes, with or without an envelope. An envelope's
    /// signatures are checked before anything of the body is read.
    ///
    /// # Errors
    /// The envelope is missing where a signature is asked for, or forbids it; the body is no
    /// snapshot; or it cannot be read.
    pub fn open(
        from: &mut dyn Read,
        length: u64,
        trust: &Trust,
    ) -> Result<(Self, Option<Envelope>), OpenError> {
        let envelope = match Envelope::read(from)? {
            Ok(envelope) => envelope,
            Err(_) if trust.demands() => return Err(SealError::Unsigned.into()),
            Err(read) => {
                let snapshot = Self::read(&mut read.chain(from), length)?;
                return Ok((snapshot, None));
            }
        };
        envelope.check(trust)?;
        let snapshot = envelope.open_body(from, length.saturating_sub(envelope.length()))?;
        Ok((snapshot, Some(envelope)))
    }
}

/// Digests what is read through it.
struct Digesting<'r> {
    from: &'r mut dyn Read,
    hasher: blake3::Hasher,
}

impl Read for Digesting<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.from.read(into)?;
        self.hasher.update(into.get(..count).unwrap_or_default());
        Ok(count)
    }
}

impl From<ReadError> for OpenError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Io(error) => Self::Io(error),
            ReadError::Format(error) => Self::Format(error),
        }
    }
}
