//! A key set (RFC 7517): the public keys of whoever issues tokens.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::{
    AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse,
};
use serde::Deserialize;

use crate::config::Algorithm;

/// The most keys of a set: an issuer has a handful.
const KEYS_MAX: usize = 100;

/// The keys that tokens may be signed with.
pub(super) struct KeySet {
    keys: Vec<Key>,
    /// No other key set of this process has it.
    pub(super) number: u64,
}

/// A key, and by what it may be used.
struct Key {
    id: Option<String>,
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
}

#[derive(Deserialize)]
struct Document {
    /// Each is read by itself: one that means nothing to us does not spoil the others.
    keys: Vec<serde_json::Value>,
}

// === impl KeySet ===

impl KeySet {
    /// Reads a key set. What is no signature's key, or none of a kind that counts here, is passed
    /// over (RFC 7517, section 5).
    pub(super) fn read(text: &[u8]) -> Result<Self, String> {
        static SETS: AtomicU64 = AtomicU64::new(1);
        let document: Document = serde_json::from_slice(text)
            .map_err(|error| format!("it is no key set (RFC 7517): {error}"))?;
        if document.keys.len() > KEYS_MAX {
            return Err(format!("it holds more than {KEYS_MAX} keys"));
        }
        let keys: Vec<_> = document.keys.into_iter().filter_map(Key::read).collect();
        if keys.is_empty() {
            let names = Algorithm::ALL.map(Algorithm::name).join(", ");
            return Err(format!("it holds no key for signatures by any of {names}"));
        }
        let number = SETS.fetch_add(1, Relaxed);
        Ok(Self { keys, number })
    }

    /// The one key that a token is signed with which names this key, or none.
    pub(super) fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Option<&DecodingKey> {
        let mut fit = self.keys.iter().filter(|key| {
            let named = id.is_none_or(|id| key.id.as_deref() == Some(id));
            named && key.algorithms.contains(&algorithm)
        });
        let found = fit.next()?;
        fit.next().is_none().then_some(&found.key)
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }
}

// === impl Key ===

impl Key {
    fn read(value: serde_json::Value) -> Option<Self> {
        let key: Jwk = serde_json::from_value(value).ok()?;
        let common = &key.common;
        let signs = (common.public_key_use.as_ref())
            .is_none_or(|is| *is == PublicKeyUse::Signature)
            && (common.key_operations.as_ref())
                .is_none_or(|may| may.contains(&KeyOperations::Verify));
        let algorithms: Vec<_> = algorithms(&key.algorithm)?
            .iter()
            .copied()
            .filter(|is| common.key_algorithm.is_none_or(|own| own == named(*is)))
            .collect();
        if !signs || algorithms.is_empty() {
            return None;
        }
        Some(Self {
            key: decoding(&key.algorithm)?,
            id: key.common.key_id,
            algorithms,
        })
    }
}

/// By what a key of this kind can have signed.
fn algorithms(key: &AlgorithmParameters) -> Option<&'static [Algorithm]> {
    match key {
        AlgorithmParameters::RSA(_) => Some(&[
            Algorithm::Rs256,
            Algorithm::Rs384,
            Algorithm::Rs512,
            Algorithm::Ps256,
            Algorithm::Ps384,
            Algorithm::Ps512,
        ]),
        AlgorithmParameters::EllipticCurve(key) => match key.curve {
            EllipticCurve::P256 => Some(&[Algorithm::Es256]),
            EllipticCurve::P384 => Some(&[Algorithm::Es384]),
            _ => None,
        },
        AlgorithmParameters::OctetKeyPair(key) => {
            (key.curve == EllipticCurve::Ed25519).then_some(&[Algorithm::EdDsa])
        }
        _ => None,
    }
}

fn decoding(key: &AlgorithmParameters) -> Option<DecodingKey> {
    let key = match key {
        AlgorithmParameters::RSA(key) => DecodingKey::from_rsa_components(&key.n, &key.e),
        AlgorithmParameters::EllipticCurve(key) => DecodingKey::from_ec_components(&key.x, &key.y),
        AlgorithmParameters::OctetKeyPair(key) => DecodingKey::from_ed_components(&key.x),
        _ => return None,
    };
    key.ok()
}

const fn named(algorithm: Algorithm) -> KeyAlgorithm {
    match algorithm {
        Algorithm::Rs256 => KeyAlgorithm::RS256,
        Algorithm::Rs384 => KeyAlgorithm::RS384,
        Algorithm::Rs512 => KeyAlgorithm::RS512,
        Algorithm::Ps256 => KeyAlgorithm::PS256,
        Algorithm::Ps384 => KeyAlgorithm::PS384,
        Algorithm::Ps512 => KeyAlgorithm::PS512,
        Algorithm::Es256 => KeyAlgorithm::ES256,
        Algorithm::Es384 => KeyAlgorithm::ES384,
        Algorithm::EdDsa => KeyAlgorithm::EdDSA,
    }
}
