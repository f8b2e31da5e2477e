//! Keys, the sets that tell of them, and what is signed with them.

use std::process::Command;
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaKeyPair, RsaPublicKeyComponents,
};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};

/// A private key.
pub(crate) enum Signer {
    Ec(Box<EcdsaKeyPair>),
    Ed(Ed25519KeyPair),
    Rsa(Box<RsaKeyPair>),
    Pss(Box<RsaKeyPair>),
    Hmac(Vec<u8>),
    /// No signature, but bytes of one.
    Bytes(Vec<u8>),
    None,
}

pub(crate) fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(crate) fn seconds(now: SystemTime) -> u64 {
    now.duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// A private key of 2048 bits: one for all who need one, since they take their time.
fn rsa() -> RsaKeyPair {
    static KEY: OnceLock<Vec<u8>> = OnceLock::new();
    let der = KEY.get_or_init(|| {
        let arguments = ["genpkey", "-algorithm", "RSA"];
        let made = Command::new("openssl").args(arguments).output().unwrap();
        assert!(made.status.success(), "{made:?}");
        let key = PrivatePkcs8KeyDer::from_pem_slice(&made.stdout).unwrap();
        key.secret_pkcs8_der().to_vec()
    });
    RsaKeyPair::from_pkcs8(der).unwrap()
}

impl Signer {
    pub(crate) fn ec() -> Self {
        let [key, _] = Self::ec_twice();
        key
    }

    /// A key, and the same one that writes signatures in DER, as JSON Web Signatures do not.
    pub(crate) fn ec_twice() -> [Self; 2] {
        let random = SystemRandom::new();
        let ways = [
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            &ECDSA_P256_SHA256_ASN1_SIGNING,
        ];
        let key = EcdsaKeyPair::generate_pkcs8(ways[0], &random).unwrap();
        ways.map(|how| {
            let key = EcdsaKeyPair::from_pkcs8(how, key.as_ref(), &random).unwrap();
            Self::Ec(Box::new(key))
        })
    }

    pub(crate) fn ed() -> Self {
        let key = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self::Ed(Ed25519KeyPair::from_pkcs8(key.as_ref()).unwrap())
    }

    pub(crate) fn rsa() -> Self {
        Self::Rsa(Box::new(rsa()))
    }

    pub(crate) fn pss() -> Self {
        Self::Pss(Box::new(rsa()))
    }

    const fn algorithm(&self) -> &'static str {
        match self {
            Self::Ec(_) => "ES256",
            Self::Ed(_) => "EdDSA",
            Self::Rsa(_) => "RS256",
            Self::Pss(_) => "PS256",
            Self::Hmac(_) => "HS256",
            Self::Bytes(_) | Self::None => "none",
        }
    }

    /// The public key as a key set tells of it, with these members beside.
    pub(crate) fn jwk(&self, id: &str, more: &Value) -> Value {
        let mut jwk = match self {
            Self::Ec(key) => {
                let (x, y) = key.public_key().as_ref()[1..].split_at(32);
                json!({"kty": "EC", "crv": "P-256", "x": base64url(x), "y": base64url(y)})
            }
            Self::Ed(key) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": base64url(key.public_key())})
            }
            Self::Rsa(key) | Self::Pss(key) => {
                let RsaPublicKeyComponents { n, e } =
                    RsaPublicKeyComponents::<Vec<u8>>::from(key.public());
                json!({"kty": "RSA", "n": base64url(n), "e": base64url(e)})
            }
            Self::Hmac(key) => json!({"kty": "oct", "k": base64url(key)}),
            Self::Bytes(_) | Self::None => panic!("there is no key"),
        };
        let members = jwk.as_object_mut().unwrap();
        members.insert("kid".to_owned(), id.into());
        members.extend(more.as_object().unwrap().clone());
        jwk
    }

    /// A token of these two texts.
    pub(crate) fn sign(&self, header: &str, claims: &str) -> String {
        let random = SystemRandom::new();
        let message = format!("{}.{}", base64url(header), base64url(claims));
        let bytes = message.as_bytes();
        let signature = match self {
            Self::Ec(key) => key.sign(&random, bytes).unwrap().as_ref().to_vec(),
            Self::Bytes(bytes) => bytes.clone(),
            Self::Ed(key) => key.sign(bytes).as_ref().to_vec(),
            Self::Rsa(key) | Self::Pss(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                let how: &dyn ring::signature::RsaEncoding = match self {
                    Self::Rsa(_) => &RSA_PKCS1_SHA256,
                    _ => &RSA_PSS_SHA256,
                };
                key.sign(how, &random, bytes, &mut signature).unwrap();
                signature
            }
            Self::Hmac(key) => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, key);
                hmac::sign(&key, bytes).as_ref().to_vec()
            }
            Self::None => Vec::new(),
        };
        format!("{message}.{}", base64url(signature))
    }

    /// A token that names its key and algorithm, with these claims.
    pub(crate) fn token(&self, id: &str, claims: &Value) -> String {
        let header = json!({"alg": self.algorithm(), "kid": id});
        self.sign(&header.to_string(), &claims.to_string())
    }
}
