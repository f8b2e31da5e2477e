//! Key sets behind https URLs.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::header::{ACCEPT, HeaderValue, USER_AGENT};
use hyper::{Request, StatusCode, Uri};
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// The largest key set (bytes).
const KEYS_BYTES_MAX: usize = 1 << 20;
/// From the first byte sent to the last one read.
const FETCH_TIME: Duration = Duration::from_secs(10);

/// Gets one URL, again and again.
pub(super) struct Fetcher {
    url: Uri,
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
}

// === impl Fetcher ===

impl Fetcher {
    /// For a URL whose server's certificate is of these authorities; none: of the system's.
    pub(super) fn new(url: &str, authorities: Option<&Path>) -> Result<Self, String> {
        let url: Uri = url.parse().map_err(|error| format!("{url}: {error}"))?;
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        let tls = match authorities {
            Some(path) => builder.with_root_certificates(roots(path)?),
            None => builder.with_native_roots().map_err(|error| {
                format!(
                    "the system has no authorities to know the server of {url} by: {error}; name \
                     them with `jwks_ca`"
                )
            })?,
        };
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(tls.with_no_client_auth())
            .https_only()
            .enable_http1()
            .build();
        let client = Client::builder(TokioExecutor::new())
            // Minutes pass from one look to the next.
            .pool_max_idle_per_host(0)
            .build(https);
        Ok(Self { url, client })
    }

    /// What is there now.
    pub(super) async fn get(&self) -> Result<Vec<u8>, String> {
        let got = tokio::time::timeout(FETCH_TIME, self.read()).await;
        got.map_err(|_| format!("no answer within {} s", FETCH_TIME.as_secs()))?
    }

    async fn read(&self) -> Result<Vec<u8>, String> {
        let mut request = Request::new(Empty::new());
        *request.uri_mut() = self.url.clone();
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, HeaderValue::from_static("callgate"));
        let answer = self.client.request(request).await;
        let answer = answer.map_err(|error| with_sources(&error))?;
        if answer.status() != StatusCode::OK {
            let status = answer.status();
            return Err(match status.is_redirection() {
                true => format!("status {status}: redirects are not followed, name the place"),
                false => format!("status {status}"),
            });
        }
        let body = Limited::new(answer.into_body(), KEYS_BYTES_MAX)
            .collect()
            .await;
        let body = body.map_err(|error| with_sources(error.as_ref()))?;
        Ok(body.to_bytes().into())
    }
}

/// What stands in the file: at most so much as a key set can be.
pub(super) fn file(path: &Path) -> Result<Vec<u8>, String> {
    let file = File::open(path).map_err(|error| format!("it cannot be opened: {error}"))?;
    let mut bytes = Vec::new();
    let read = file.take(KEYS_BYTES_MAX as u64 + 1).read_to_end(&mut bytes);
    read.map_err(|error| format!("it cannot be read: {error}"))?;
    if bytes.len() > KEYS_BYTES_MAX {
        return Err(format!("it is larger than {KEYS_BYTES_MAX} bytes"));
    }
    Ok(bytes)
}

fn roots(path: &Path) -> Result<RootCertStore, String> {
    let wrong = |message: String| format!("{}: {message}", path.display());
    let pem = file(path).map_err(wrong)?;
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

/// An error with what led to it: the outermost says little.
fn with_sources(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
