//! Ed25519 keys: who signs snapshots, and whose signatures are trusted.
//!
//! Keys lie in PEM as OpenSSL writes and reads them: PKCS #8 (RFC 8410, section 7) and
//! SubjectPublicKeyInfo (section 4).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer};

/// Whose signature it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PublicKey([u8; 32]);

/// With which is signed.
pub struct PrivateKey(Ed25519KeyPair);

/// A signature, and by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    pub(super) by: PublicKey,
    pub(super) bytes: [u8; 64],
}

/// The text is no key of the kind that is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It is no public key.
    #[error("it holds no Ed25519 public key in PEM (`-----BEGIN PUBLIC KEY-----`)")]
    NotPublic,
    /// It is no private key.
    #[error("it holds no Ed25519 private key in PEM (`-----BEGIN PRIVATE KEY-----`)")]
    NotPrivate,
    /// There is no randomness.
    #[error("the system gives no randomness for a key")]
    NoRandomness,
}

/// What comes before the 32 bytes of an Ed25519 key in a SubjectPublicKeyInfo.
const SPKI: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];
/// What comes before the 32 bytes of an Ed25519 seed in PKCS #8.
const PKCS8: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

// === impl PublicKey ===

impl PublicKey {
    pub(super) const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub(super) const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Reads a key in PEM.
    ///
    /// # Errors
    /// The text holds no Ed25519 public key.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let found = SubjectPublicKeyInfoDer::from_pem_slice(text.as_bytes());
        let found = found.map_err(|_| KeyError::NotPublic)?;
        let key = found
            .strip_prefix(&SPKI)
            .and_then(|key| key.try_into().ok());
        key.map(Self).ok_or(KeyError::NotPublic)
    }

    /// The key in PEM.
    #[must_use]
    pub fn to_pem(&self) -> String {
        pem("PUBLIC KEY", &[&SPKI[..], &self.0].concat())
    }
}

/// As people compare keys: 64 hexadecimal digits.
impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

// === impl PrivateKey ===

impl PrivateKey {
    /// A new key, as PEM, which is all there is of it.
    ///
    /// # Errors
    /// The system gives no randomness.
    pub fn generate() -> Result<String, KeyError> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|_| KeyError::NoRandomness)?;
        Ok(pem("PRIVATE KEY", &[&PKCS8[..], &seed].concat()))
    }

    /// Reads a key in PEM.
    ///
    /// # Errors
    /// The text holds no Ed25519 private key.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let found = PrivatePkcs8KeyDer::from_pem_slice(text.as_bytes());
        let found = found.map_err(|_| KeyError::NotPrivate)?;
        // OpenSSL leaves the public half out, and so do we.
        let key = Ed25519KeyPair::from_pkcs8_maybe_unchecked(found.secret_pkcs8_der());
        key.map(Self).map_err(|_| KeyError::NotPrivate)
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        let mut key = [0; 32];
        for (to, from) in key.iter_mut().zip(self.0.public_key().as_ref()) {
            *to = *from;
        }
        PublicKey(key)
    }

    pub(super) fn sign(&self, bytes: &[u8]) -> Signature {
        let mut signature = [0; 64];
        for (to, from) in signature.iter_mut().zip(self.0.sign(bytes).as_ref()) {
            *to = *from;
        }
        Signature {
            by: self.public(),
            bytes: signature,
        }
    }
}

// === impl Signature ===

impl Signature {
    /// Whether it is the signature of these bytes.
    pub(super) fn fits(&self, bytes: &[u8]) -> bool {
        let key = UnparsedPublicKey::new(&ED25519, &self.by.0);
        key.verify(bytes, &self.bytes).is_ok()
    }
}

/// Such short DER stands on one line.
fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
}
