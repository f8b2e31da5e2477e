//! Signatures of tokens, checked by `ring`: what the crate `jsonwebtoken` asks for, whose own
//! choices would bring a second library of cryptography.

use jsonwebtoken::crypto::{CryptoProvider, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{ErrorKind, Result, new_error};
use jsonwebtoken::signature::{Error, Verifier};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, EdDSAParameters,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
    RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters,
    RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};

/// Checks signatures, and makes none.
static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |_, _| Err(new_error(ErrorKind::UnsupportedAlgorithm)),
    verifier_factory: verifier,
    key_utils: KeyUtils {
        rsa_pub_components_from_private_key: |_| Err(new_error(ErrorKind::UnsupportedAlgorithm)),
        rsa_pub_components_from_public_key: |_| Err(new_error(ErrorKind::UnsupportedAlgorithm)),
        ec_pub_components_from_private_key: |_, _| Err(new_error(ErrorKind::UnsupportedAlgorithm)),
        ed_pub_components_from_private_key: |_, _| Err(new_error(ErrorKind::UnsupportedAlgorithm)),
        compute_digest: |_, _| Err(new_error(ErrorKind::UnsupportedAlgorithm)),
    },
};

/// A key and what it is checked by.
enum Check {
    Rsa {
        how: &'static RsaParameters,
        n: Vec<u8>,
        e: Vec<u8>,
    },
    Point {
        how: &'static dyn VerificationAlgorithm,
        key: Vec<u8>,
    },
}

/// Checks signatures of one key by one algorithm.
struct Checker {
    algorithm: Algorithm,
    check: Check,
}

/// Has `jsonwebtoken` check signatures by `ring`, in this process and from now on.
pub(super) fn install() {
    // It fails where it was done before, which is as well.
    let _ = PROVIDER.install_default();
}

fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>> {
    let check = match (key.family(), key.kind()) {
        (AlgorithmFamily::Rsa, DecodingKeyKind::RsaModulusExponent { n, e }) => Check::Rsa {
            how: rsa(*algorithm).ok_or_else(|| new_error(ErrorKind::InvalidAlgorithm))?,
            n: n.clone(),
            e: e.clone(),
        },
        (
            family @ (AlgorithmFamily::Ec | AlgorithmFamily::Ed),
            DecodingKeyKind::SecretOrDer(key),
        ) => Check::Point {
            how: point(family, *algorithm).ok_or_else(|| new_error(ErrorKind::InvalidAlgorithm))?,
            key: key.clone(),
        },
        // A shared secret: whoever can check a token could have made it.
        _ => return Err(new_error(ErrorKind::InvalidKeyFormat)),
    };
    Ok(Box::new(Checker {
        algorithm: *algorithm,
        check,
    }))
}

const fn rsa(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    Some(match algorithm {
        Algorithm::RS256 => &RSA_PKCS1_2048_8192_SHA256,
        Algorithm::RS384 => &RSA_PKCS1_2048_8192_SHA384,
        Algorithm::RS512 => &RSA_PKCS1_2048_8192_SHA512,
        Algorithm::PS256 => &RSA_PSS_2048_8192_SHA256,
        Algorithm::PS384 => &RSA_PSS_2048_8192_SHA384,
        Algorithm::PS512 => &RSA_PSS_2048_8192_SHA512,
        _ => return None,
    })
}

fn point(
    family: AlgorithmFamily,
    algorithm: Algorithm,
) -> Option<&'static dyn VerificationAlgorithm> {
    const EDWARDS: &EdDSAParameters = &ED25519;
    match (family, algorithm) {
        (AlgorithmFamily::Ec, Algorithm::ES256) => Some(&ECDSA_P256_SHA256_FIXED),
        (AlgorithmFamily::Ec, Algorithm::ES384) => Some(&ECDSA_P384_SHA384_FIXED),
        (AlgorithmFamily::Ed, Algorithm::EdDSA) => Some(EDWARDS),
        _ => None,
    }
}

// === impl Checker ===

impl Verifier<Vec<u8>> for Checker {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> std::result::Result<(), Error> {
        let verified = match &self.check {
            Check::Rsa { how, n, e } => {
                RsaPublicKeyComponents { n, e }.verify(how, message, signature)
            }
            Check::Point { how, key } => {
                UnparsedPublicKey::new(*how, key).verify(message, signature)
            }
        };
        verified.map_err(|_| Error::new())
    }
}

impl JwtVerifier for Checker {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}
