//! TLS: certificate, key and authorities from PEM files.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::files::{Contents, FileError};
use crate::config::{AccessFiles, TlsFiles};

/// What is offered to clients that know HTTP/2, best first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Which listener a connection came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsFor {
    /// Where certificates alone prove callers, there is no connection without one.
    Decisions,
    /// Probes bring none: what needs one is told by request.
    Operators,
}

/// The certificates in use.
pub(super) struct Tls {
    decisions: Arc<ServerConfig>,
    operators: Arc<ServerConfig>,
    clients: Option<Arc<dyn ClientCertVerifier>>,
    /// Until when our certificate holds, in seconds since 1970.
    pub(super) not_after: i64,
}

// === impl Tls ===

impl Tls {
    /// Makes of the files what connections are served with.
    pub(super) fn read(contents: &Contents, files: &AccessFiles) -> Result<Self, FileError> {
        let Some(TlsFiles { certificate, key }) = &files.tls else {
            return Err(FileError::new(Path::new("--tls-cert"), "it is not set"));
        };
        let chain = certificates(contents.of(0, certificate)?, certificate)?;
        let private = PrivateKeyDer::from_pem_slice(contents.of(1, key)?)
            .map_err(|error| FileError::new(key, format!("it holds no private key: {error}")))?;
        let provider = Arc::new(ring::default_provider());
        let clients = match &files.client_ca {
            Some(path) => Some(authorities(contents.of(2, path)?, path, &provider)?),
            None => None,
        };
        let not_after = chain.first().and_then(|first| {
            let (_, parsed) = X509Certificate::from_der(first).ok()?;
            Some(parsed.validity().not_after.timestamp())
        });
        let not_after = not_after
            .ok_or_else(|| FileError::new(certificate, "its first certificate cannot be read"))?;
        let make = |verifier: Option<Arc<dyn ClientCertVerifier>>| {
            let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
                .with_safe_default_protocol_versions()
                .map_err(|error| FileError::new(certificate, error.to_string()))?;
            let builder = match verifier {
                Some(verifier) => builder.with_client_cert_verifier(verifier),
                None => builder.with_no_client_auth(),
            };
            let mut config = builder
                .with_single_cert(chain.clone(), private.clone_key())
                .map_err(|error| {
                    let message = format!("with the key of {}: {error}", key.display());
                    FileError::new(certificate, message)
                })?;
            config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
            Ok(Arc::new(config))
        };
        let (demanded, asked) = clients.clone().unzip();
        let certificates_alone = files.tokens.is_none();
        Ok(Self {
            decisions: make(if certificates_alone {
                demanded
            } else {
                asked.clone()
            })?,
            operators: make(asked.clone())?,
            clients: asked,
            not_after,
        })
    }

    pub(super) fn of(&self, listener: TlsFor) -> Arc<ServerConfig> {
        Arc::clone(match listener {
            TlsFor::Decisions => &self.decisions,
            TlsFor::Operators => &self.operators,
        })
    }

    /// Whether a client's certificates, its own first, are good at this moment.
    pub(super) fn trusts(&self, chain: &[CertificateDer<'_>]) -> bool {
        let (Some(clients), Some((own, others))) = (&self.clients, chain.split_first()) else {
            return false;
        };
        let now = UnixTime::now();
        clients.verify_client_cert(own, others, now).is_ok()
    }
}

type Verifier = Arc<dyn ClientCertVerifier>;

/// Two verifiers: one that demands a certificate, one that asks for it.
fn authorities(
    pem: &[u8],
    path: &Path,
    provider: &Arc<CryptoProvider>,
) -> Result<(Verifier, Verifier), FileError> {
    let wrong = |message: String| FileError::new(path, message);
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem, path)? {
        let added = roots.add(certificate);
        added.map_err(|error| wrong(format!("a certificate cannot be an authority: {error}")))?;
    }
    let roots = Arc::new(roots);
    let builder =
        || WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(provider));
    let built = builder().build().and_then(|demanded| {
        let asked = builder().allow_unauthenticated().build()?;
        Ok((demanded, asked))
    });
    let (demanded, asked) = built.map_err(|error| wrong(error.to_string()))?;
    Ok((demanded, asked))
}

fn certificates(pem: &[u8], path: &Path) -> Result<Vec<CertificateDer<'static>>, FileError> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let read = read.map_err(|error| FileError::new(path, format!("it is no PEM: {error}")))?;
    if read.is_empty() {
        return Err(FileError::new(path, "there is no certificate in it"));
    }
    Ok(read)
}
