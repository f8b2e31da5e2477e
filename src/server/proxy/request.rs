//! What a proxy tells of the original request, and what there must not be.

use hyper::header::HeaderMap;

use super::target;
use crate::config::{TargetHeaders, UpstreamHeaders};
use crate::identity::{Passed, Sent};
use crate::telemetry::ProxyRefused;

/// The request that a proxy asks about, as it is told and not yet understood.
#[derive(Clone, Copy, Debug)]
pub(in crate::server) struct Original<'r> {
    pub(in crate::server) method: &'r [u8],
    /// The host, perhaps with its port; `None`: it stands in the target, or is not told.
    pub(in crate::server) host: Option<&'r [u8]>,
    pub(in crate::server) target: Form<'r>,
}

/// A target, by its form (RFC 9112, section 3.2).
#[derive(Clone, Copy, Debug)]
pub(in crate::server) enum Form<'r> {
    /// `/calls/7?from=1`
    Origin(&'r [u8]),
    /// `https://host/calls/7?from=1`
    Absolute(&'r [u8]),
}

/// The headers that a proxy passes on, by name.
pub(in crate::server) trait Headers: Passed {
    /// Whether `test` holds for some name, in lower case.
    fn any_name(&self, test: impl FnMut(&str) -> bool) -> bool;
}

// The two ways in which proxies tell the original request.
pub(super) const ORIGINAL: [&str; 4] = [
    "x-original-method",
    "x-original-uri",
    "x-original-url",
    "x-original-host",
];
pub(super) const FORWARDED: [&str; 3] =
    ["x-forwarded-method", "x-forwarded-uri", "x-forwarded-host"];
/// Of the latter those that only a proxy which asks would send: `X-Forwarded-Host` is everywhere.
const FORWARDED_MARKS: [&str; 2] = ["x-forwarded-method", "x-forwarded-uri"];

/// By which applications are told that another method is meant.
const METHOD_OVERRIDES: [&str; 3] = [
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
];
/// By which they are told that another path is. (`X-Original-URL` is one too, and read above.) Two
/// are WSGI's own words for the parts of a path, which some servers take from a header. By the last
/// a connection to the application becomes one of HTTP/2, about whose requests nobody is asked.
const TARGET_OVERRIDES: [&str; 5] = [
    "x-rewrite-url",
    "x-script-name",
    "script-name",
    "path-info",
    "http2-settings",
];

/// Names that callgate reads or sets: what others may take for one of them is refused.
pub(super) struct Guarded {
    names: Vec<String>,
    /// Whether one of them has itself a letter that others read otherwise.
    is_odd: bool,
    /// What says who the user is, and so must not stand there twice.
    once: Vec<String>,
}

// === impl Original ===

impl<'r> Original<'r> {
    /// What the headers of one way say; those of the other must not be there.
    pub(super) fn told(headers: &'r impl Passed, way: TargetHeaders) -> Result<Self, ProxyRefused> {
        let once = |name: &str| match headers.header(name) {
            Sent::Nothing => Ok(None),
            Sent::Once(value) => Ok(Some(value)),
            Sent::Several => Err(ProxyRefused::DoubledHeader),
        };
        let (method, origin, absolute, host) = match way {
            TargetHeaders::Original => {
                none_of(headers, &FORWARDED_MARKS, ProxyRefused::OtherTarget)?;
                let [method, origin, absolute, host] = ORIGINAL.map(once);
                (method?, origin?, absolute?, host?)
            }
            TargetHeaders::Forwarded => {
                none_of(headers, &ORIGINAL, ProxyRefused::OtherTarget)?;
                let [method, origin, host] = FORWARDED.map(once);
                (method?, origin?, None, host?)
            }
        };
        let target = match (origin, absolute) {
            (Some(target), None) => Form::Origin(target),
            (None, Some(target)) if host.is_none() => Form::Absolute(target),
            // Two things that say the same may say different things tomorrow.
            (Some(_) | None, Some(_)) => return Err(ProxyRefused::OtherTarget),
            (None, None) => return Err(ProxyRefused::TargetMissing),
        };
        Ok(Self {
            method: method.ok_or(ProxyRefused::TargetMissing)?,
            host,
            target,
        })
    }

    /// The request itself is the original, but for a path before it: headers of either way must
    /// not be there.
    pub(in crate::server) fn itself(
        headers: &impl Passed,
        method: &'r [u8],
        host: Option<&'r [u8]>,
        target: &'r [u8],
    ) -> Result<Self, ProxyRefused> {
        none_of(headers, &FORWARDED_MARKS, ProxyRefused::OtherTarget)?;
        none_of(headers, &ORIGINAL, ProxyRefused::OtherTarget)?;
        let target = Form::Origin(target);
        Ok(Self {
            method,
            host,
            target,
        })
    }

    /// Method, host and path as routes see them.
    pub(super) fn understood(self) -> Result<Understood<'r>, ProxyRefused> {
        let method = target::method(self.method)?;
        let (host, path) = match self.target {
            Form::Origin(target) => {
                let host = self.host.map(target::host).transpose()?;
                (host, target::path(target)?)
            }
            Form::Absolute(target) => {
                let (host, path) = target::url(target)?;
                (Some(host), path)
            }
        };
        Ok(Understood { method, host, path })
    }
}

/// An [`Original`] that can be read in one way only.
pub(super) struct Understood<'r> {
    pub(super) method: &'r str,
    pub(super) host: Option<std::borrow::Cow<'r, str>>,
    pub(super) path: std::borrow::Cow<'r, str>,
}

fn none_of(headers: &impl Passed, names: &[&str], why: ProxyRefused) -> Result<(), ProxyRefused> {
    let is_there = |name: &&str| headers.header(name) != Sent::Nothing;
    if names.iter().any(is_there) {
        return Err(why);
    }
    Ok(())
}

// === impl Guarded ===

impl Guarded {
    /// These, and what says who the user is.
    pub(super) fn new(
        upstream: &UpstreamHeaders,
        credential: &str,
        identities: impl Iterator<Item = String>,
    ) -> Self {
        let mut once: Vec<String> = identities.collect();
        once.push("authorization".to_owned());
        let UpstreamHeaders {
            user,
            roles,
            company,
        } = upstream;
        let mut names: Vec<String> = (ORIGINAL.iter().chain(&FORWARDED))
            .chain(&METHOD_OVERRIDES)
            .chain(&TARGET_OVERRIDES)
            .chain(&[
                "cookie",
                "x-forwarded-client-cert",
                "x-forwarded-proto",
                credential,
            ])
            .map(|name| (*name).to_owned())
            .collect();
        names.extend([user, roles, company].map(|name| name.as_str().to_owned()));
        names.extend(once.iter().cloned());
        Self {
            is_odd: names.iter().any(|name| name.bytes().any(is_odd)),
            names,
            once,
        }
    }

    /// Whether nothing among the headers could be taken for something that it is not.
    pub(super) fn check(&self, headers: &impl Headers) -> Result<(), ProxyRefused> {
        none_of(headers, &METHOD_OVERRIDES, ProxyRefused::MethodOverride)?;
        none_of(headers, &TARGET_OVERRIDES, ProxyRefused::TargetOverride)?;
        let twice = |name: &String| headers.header(name) == Sent::Several;
        if self.once.iter().any(twice) {
            return Err(ProxyRefused::DoubledHeader);
        }
        if headers.any_name(|name| self.is_alias(name)) {
            return Err(ProxyRefused::AliasedHeader);
        }
        Ok(())
    }

    /// Whether it is one of the names but for `_`, `.` or the like where that has `-`: many
    /// applications cannot tell them apart.
    fn is_alias(&self, name: &str) -> bool {
        let plain = |byte: u8| if is_odd(byte) { b'-' } else { byte };
        let same = |(a, b): (u8, u8)| plain(a) == plain(b);
        (self.is_odd || name.bytes().any(is_odd))
            && self.names.iter().any(|known| {
                known.len() == name.len()
                    && known != name
                    && name.bytes().zip(known.bytes()).all(same)
            })
    }
}

/// What applications read as they read a hyphen: of CGI's names (RFC 3875, section 4.1.18) all that
/// is neither a letter nor a digit has become `_`.
const fn is_odd(byte: u8) -> bool {
    !byte.is_ascii_alphanumeric() && byte != b'-'
}

// === impl HeaderMap ===

impl Headers for HeaderMap {
    fn any_name(&self, mut test: impl FnMut(&str) -> bool) -> bool {
        self.keys().any(|name| test(name.as_str()))
    }
}
