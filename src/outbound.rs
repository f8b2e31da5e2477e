//! Servers that callgate asks by HTTP: by which authorities they are known, and what goes wrong.

use std::error::Error;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};

/// The largest file of authorities (bytes).
const AUTHORITIES_BYTES_MAX: usize = 1 << 20;

/// Connects to servers whose certificates are of the authorities in this file; none: of the
/// system's. Plain HTTP is none of this connector's.
///
/// # Errors
/// The file cannot be used, or the system has no authorities: in words that say what to do, for
/// whoever may set `setting`.
pub fn https(
    authorities: Option<&Path>,
    setting: &str,
) -> Result<HttpsConnector<HttpConnector>, String> {
    let tls = match authorities {
        Some(path) => builder()?.with_root_certificates(roots(path)?),
        None => builder()?.with_native_roots().map_err(|error| {
            format!(
                "the system has no authorities to know the server by: {error}; name them with \
                 `{setting}`"
            )
        })?,
    };
    let https = HttpsConnectorBuilder::new()
        .with_tls_config(tls.with_no_client_auth())
        .https_only();
    Ok(https.enable_http1().build())
}

/// Connects to servers that prove nothing.
///
/// # Errors
/// A bug in how this was built.
pub fn http() -> Result<HttpsConnector<HttpConnector>, String> {
    let nobody = builder()?.with_root_certificates(RootCertStore::empty());
    let http = HttpsConnectorBuilder::new()
        .with_tls_config(nobody.with_no_client_auth())
        .https_or_http();
    Ok(http.enable_http1().build())
}

fn builder() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, String> {
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())
}

fn roots(path: &Path) -> Result<RootCertStore, String> {
    let wrong = |message: String| format!("{}: {message}", path.display());
    let pem = file(path, AUTHORITIES_BYTES_MAX).map_err(wrong)?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| wrong(format!("it is no PEM: {error}")))?;
        let added = roots.add(certificate);
        added.map_err(|error| wrong(format!("a certificate cannot be an authority: {error}")))?;
    }
    if roots.is_empty() {
        return Err(wrong("there is no certificate in it".to_owned()));
    }
    Ok(roots)
}

/// What stands in the file: at most so many bytes.
///
/// # Errors
/// It cannot be read, or is larger.
pub fn file(path: &Path, bytes_max: usize) -> Result<Vec<u8>, String> {
    let file = File::open(path).map_err(|error| format!("it cannot be opened: {error}"))?;
    let mut bytes = Vec::new();
    let read = file.take(bytes_max as u64 + 1).read_to_end(&mut bytes);
    read.map_err(|error| format!("it cannot be read: {error}"))?;
    if bytes.len() > bytes_max {
        return Err(format!("it is larger than {bytes_max} bytes"));
    }
    Ok(bytes)
}

/// An error with what led to it: the outermost says little.
#[must_use]
pub fn with_sources(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
