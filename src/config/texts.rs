//! What a setting's text means, or why it means nothing.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use hyper::Uri;
use hyper::http::uri::Authority;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use tracing_subscriber::EnvFilter;

use super::{
    BATCH_ITEMS_MAX, COUNT_MAX, DEFAULT_MAX_PAGE, DEFAULT_MAX_STREAMS, LogFormat, OnFailedTests,
    THREADS_MAX,
};

pub(super) fn boolean(text: &str) -> Result<bool, String> {
    text.parse()
        .map_err(|_| format!("`{text}` is neither `true` nor `false`"))
}

/// How URLs of sources begin.
const SCHEMES: [&str; 5] = ["https://", "http://", "s3://", "nats://", "tls://"];

pub(super) fn source(text: &str) -> Result<PathBuf, String> {
    if text.contains("://") && !SCHEMES.iter().any(|scheme| text.starts_with(scheme)) {
        let schemes = SCHEMES.join(", ");
        return Err(format!(
            "`{text}`: a source is a folder, or a URL: {schemes}"
        ));
    }
    Ok(PathBuf::from(text))
}

/// Why whoever is between could change what comes from this source, unless a trusted key signed it:
/// the way to it is not encrypted, and leads to other machines.
#[must_use]
pub fn is_open_source(source: &std::path::Path) -> Option<String> {
    let text = source.to_str()?;
    let (scheme, rest) = text.split_once("://")?;
    let (is_open, instead) = match scheme {
        "http" => (!leads_home(text), "https://"),
        "nats" => (!leads_home(text), "tls://"),
        "s3" => {
            let plain = std::env::var("AWS_ALLOW_HTTP").is_ok_and(|allow| allow == "true");
            let endpoint = s3_endpoint().filter(|_| plain);
            (
                endpoint.is_some_and(|endpoint| !is_encrypted(&endpoint) && !leads_home(&endpoint)),
                "an AWS_ENDPOINT of https://",
            )
        }
        _ => return None,
    };
    // A URL may hold a secret.
    let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
    is_open.then(|| {
        format!(
            "the way to `{scheme}://{place}` is not encrypted, and whoever is between can change \
             what comes: use {instead}"
        )
    })
}

/// Where S3 is, as the environment says, which has several names for it: whoever connects is asked.
fn s3_endpoint() -> Option<String> {
    let s3 = AmazonS3Builder::from_env();
    let keys = [AmazonS3ConfigKey::S3Endpoint, AmazonS3ConfigKey::Endpoint];
    keys.iter().find_map(|key| s3.get_config_value(key))
}

fn is_encrypted(url: &str) -> bool {
    let scheme = url.split_once("://").map(|(scheme, _)| scheme);
    scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"))
}

/// Whether a URL leads to this machine. By what it says: what a name stands for may change.
fn leads_home(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or_default();
    let authority: Option<Authority> = authority.parse().ok();
    let host = authority.as_ref().map_or("", Authority::host);
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || address
            .parse()
            .is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

pub(super) fn is_remote(source: &std::path::Path) -> bool {
    source.to_str().is_some_and(|source| source.contains("://"))
}

pub(super) fn file(text: &str) -> Result<Option<PathBuf>, String> {
    Ok(Some(PathBuf::from(text)))
}

/// Whether a company may be named so: by a DNS label that no path begins with otherwise.
#[must_use]
pub fn is_company(text: &str) -> bool {
    let is_label = (1..=63).contains(&text.len())
        && !text.starts_with('-')
        && !text.ends_with('-')
        && text
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    is_label && !matches!(text, "access" | "v1" | "proxy")
}

pub(super) fn company(text: &str) -> Result<String, String> {
    if is_company(text) {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "`{text}` is no company's name: small letters, digits and hyphens, not `access`, `v1` or `proxy`"
        ))
    }
}

pub(super) fn cores() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

pub(super) fn threads(text: &str) -> Result<NonZeroUsize, String> {
    let number = text.parse().ok().filter(|number| *number <= THREADS_MAX);
    number
        .and_then(NonZeroUsize::new)
        .ok_or_else(|| format!("`{text}` is no number from 1 to {THREADS_MAX}"))
}

pub(super) fn count(text: &str) -> Result<usize, String> {
    up_to(COUNT_MAX, text)
}

pub(super) fn batch(text: &str) -> Result<usize, String> {
    up_to(BATCH_ITEMS_MAX, text)
}

pub(super) fn page(text: &str) -> Result<usize, String> {
    up_to(DEFAULT_MAX_PAGE, text)
}

pub(super) fn streams(text: &str) -> Result<u32, String> {
    up_to(10_000, text).map(|streams| u32::try_from(streams).unwrap_or(DEFAULT_MAX_STREAMS))
}

pub(super) fn header(text: &str) -> Result<usize, String> {
    bytes(8 << 10, 1 << 20, text)
}

pub(super) fn body(text: &str) -> Result<usize, String> {
    bytes(1 << 10, 64 << 20, text)
}

pub(super) fn body_memory(text: &str) -> Result<usize, String> {
    bytes(1 << 20, 1 << 40, text)
}

/// A size with its unit: `64KiB`, `1MiB`, or in bytes.
fn bytes(least: usize, most: usize, text: &str) -> Result<usize, String> {
    let (number, unit) = match (text.strip_suffix("KiB"), text.strip_suffix("MiB")) {
        (Some(number), _) => (number, 1 << 10),
        (_, Some(number)) => (number, 1 << 20),
        (None, None) => (text, 1),
    };
    let number = number.parse().ok();
    number
        .and_then(|number: usize| number.checked_mul(unit))
        .filter(|bytes| (least..=most).contains(bytes))
        .ok_or_else(|| {
            let (least, most) = (least >> 10, most >> 10);
            format!("`{text}` is no size from {least}KiB to {most}KiB, such as 64KiB or 1MiB")
        })
}

/// A time that may be none at all.
pub(super) fn delay(text: &str) -> Result<Duration, String> {
    match text {
        "0" | "0s" => Ok(Duration::ZERO),
        _ => duration(text),
    }
}

fn up_to(most: usize, text: &str) -> Result<usize, String> {
    let number = text.parse().ok();
    number
        .filter(|number| (1..=most).contains(number))
        .ok_or_else(|| format!("`{text}` is no number from 1 to {most}"))
}

pub(super) fn share(text: &str) -> Result<f64, String> {
    let number = text.parse().ok();
    number
        .filter(|number| (0.0..=1.0).contains(number))
        .ok_or_else(|| format!("`{text}` is no share from 0 to 1, such as 0.2"))
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    /// More than anyone waits.
    const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
    let duration = text.parse::<jiff::SignedDuration>().ok();
    duration
        .and_then(|duration| Duration::try_from(duration).ok())
        .filter(|duration| (Duration::from_millis(1)..=LONGEST).contains(duration))
        .ok_or_else(|| {
            format!("`{text}` is no time from 1ms to 24h, with its unit, such as 500ms or 10s")
        })
}

pub(super) fn otlp(text: &str) -> Result<Uri, String> {
    if !cfg!(feature = "otlp") {
        return Err(
            "this build sends no spans: it was built without the feature `otlp`".to_owned(),
        );
    }
    let url = text.parse::<Uri>().ok();
    url.filter(|url| url.scheme_str() == Some("http") && url.host().is_some())
        .ok_or_else(|| format!("`{text}` is no URL such as http://127.0.0.1:4318/v1/traces"))
}

pub(super) fn failed_tests(text: &str) -> Result<OnFailedTests, String> {
    match text {
        "refuse" => Ok(OnFailedTests::Refuse),
        "warn" => Ok(OnFailedTests::Warn),
        _ => Err(format!("`{text}` is neither `refuse` nor `warn`")),
    }
}

pub(super) fn log_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err(format!("`{text}` is neither `text` nor `json`")),
    }
}

pub(super) fn log_level(text: &str) -> Result<String, String> {
    EnvFilter::builder()
        .parse(text)
        .map(|_| text.to_owned())
        .map_err(|error| format!("`{text}` is no log level: {error}"))
}
