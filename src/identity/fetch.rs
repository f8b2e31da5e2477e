//! Key sets behind https URLs.

use std::path::Path;
use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::header::{ACCEPT, HeaderValue, USER_AGENT};
use hyper::{Request, StatusCode, Uri};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::outbound::{self, with_sources};

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
        let https = outbound::https(authorities, "jwks_ca")?;
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
    outbound::file(path, KEYS_BYTES_MAX)
}
