//! What is told of reverse proxies: which are trusted, which headers tell the request that they ask
//! about, how its user is known, and under which names the user is told.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use hyper::header::HeaderName;
use ipnet::IpNet;

use super::{AccessFiles, Identity, Mistake, Reader};

/// The headers of the user, the roles and the company, as the application behind a proxy sees them.
pub const DEFAULT_UPSTREAM: [&str; 3] =
    ["X-Callgate-User", "X-Callgate-Roles", "X-Callgate-Company"];

/// What is told of reverse proxies.
#[derive(Clone, Debug)]
pub struct Proxy {
    /// Whose requests are answered; empty: nobody's.
    pub trusted: Vec<TrustedPeer>,
    /// Which headers tell the request.
    pub target: TargetHeaders,
    /// How users are known, of every company that has no way of its own.
    pub identity: Option<Identity>,
    /// How the users of these companies are known.
    pub companies: BTreeMap<String, Identity>,
    /// Under which names users are told.
    pub upstream: UpstreamHeaders,
}

/// A peer that is trusted to tell what the original request was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrustedPeer {
    /// Whoever comes from there.
    Network(IpNet),
    /// Whoever comes by a unix socket.
    Unix,
    /// The caller of this name, who has proven it by a token or a certificate.
    Caller(String),
}

/// Which headers tell the original request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetHeaders {
    /// `X-Original-Method`, and `X-Original-URL` or `X-Original-URI` with `X-Original-Host`.
    Original,
    /// `X-Forwarded-Method`, `-Uri` and `-Host`.
    Forwarded,
}

/// Under which names the application behind a proxy is told who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamHeaders {
    /// The user's id.
    pub user: HeaderName,
    /// The names of the roles in force.
    pub roles: HeaderName,
    /// The company.
    pub company: HeaderName,
}

// === impl Proxy ===

impl Default for Proxy {
    /// Nobody is trusted.
    fn default() -> Self {
        let [user, roles, company] = ["user", "roles", "company"]
            .map(|what| HeaderName::try_from(format!("x-callgate-{what}")));
        let fallback = HeaderName::from_static("x-callgate");
        let or = |name: Result<HeaderName, _>| name.unwrap_or_else(|_| fallback.clone());
        Self {
            trusted: Vec::new(),
            target: TargetHeaders::Original,
            identity: None,
            companies: BTreeMap::new(),
            upstream: UpstreamHeaders {
                user: or(user),
                roles: or(roles),
                company: or(company),
            },
        }
    }
}

impl Reader<'_> {
    pub(super) fn proxy(&mut self, insecure: bool, access: &AccessFiles) -> Proxy {
        let default = Proxy::default();
        let trusted = self.all("proxy-trusted-peers", TrustedPeer::from_str);
        for (peer, origin) in &trusted {
            if let Some(message) = peer.fault(access).filter(|_| !insecure) {
                self.mistakes.push(Mistake::new(origin, &message));
            }
        }
        let header = self.one(
            "proxy-identity-header",
            |text| Identity::header(text).map(Some),
            || None,
        );
        let upstream = UpstreamHeaders {
            user: self.one("proxy-user-header", name, || default.upstream.user),
            roles: self.one("proxy-roles-header", name, || default.upstream.roles),
            company: self.one("proxy-company-header", name, || default.upstream.company),
        };
        self.differ(&upstream);
        Proxy {
            trusted: trusted.into_iter().map(|(peer, _)| peer).collect(),
            target: self.one("proxy-target", TargetHeaders::from_str, || default.target),
            identity: header.or_else(|| self.raw.identity().cloned()),
            companies: self.raw.identities().clone(),
            upstream,
        }
    }

    /// Each of the three has a name of its own, and none is what says who the user is: else the
    /// application could not tell one from the other.
    fn differ(&mut self, upstream: &UpstreamHeaders) {
        let UpstreamHeaders {
            user,
            roles,
            company,
        } = upstream;
        if user != roles && roles != company && company != user {
            return;
        }
        for name in [
            "proxy-user-header",
            "proxy-roles-header",
            "proxy-company-header",
        ] {
            let given = self.raw.layers(name).into_iter().flatten().next();
            if let Some((_, origin)) = given {
                let message = "user, roles and company need three headers of different names";
                self.mistakes.push(Mistake::new(origin, message));
                return;
            }
        }
    }
}

// === impl TrustedPeer ===

impl TrustedPeer {
    /// Whether a peer at this address is meant.
    #[must_use]
    pub fn is_at(&self, address: IpAddr) -> bool {
        matches!(self, Self::Network(network) if network.contains(&address))
    }

    /// Why nobody should be trusted so.
    fn fault(&self, access: &AccessFiles) -> Option<String> {
        match self {
            Self::Network(network) if network.prefix_len() == 0 && !access.proves_callers() => {
                Some(format!(
                    "`{network}` trusts everybody to say who the user is: name the proxy's own \
                     address, set --token-file or --tls-client-ca, or accept that with --insecure"
                ))
            }
            Self::Caller(name) if !access.proves_callers() => Some(format!(
                "nobody proves to be the caller `{name}`: set --token-file or --tls-client-ca"
            )),
            Self::Network(_) | Self::Unix | Self::Caller(_) => None,
        }
    }
}

impl FromStr for TrustedPeer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "unix" {
            return Ok(Self::Unix);
        }
        if let Some(name) = text.strip_prefix("caller:").filter(|name| !name.is_empty()) {
            return Ok(Self::Caller(name.to_owned()));
        }
        let network = text.parse::<IpNet>().ok();
        let network = network.or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
        let network = network.ok_or_else(|| {
            format!("`{text}` is no peer: an address, a network such as 10.0.0.0/8, unix, or caller:NAME")
        })?;
        if network.addr() == network.network() {
            Ok(Self::Network(network))
        } else {
            let meant = network.trunc();
            Err(format!(
                "`{text}` has bits beyond its prefix; is `{meant}` meant?"
            ))
        }
    }
}

impl fmt::Display for TrustedPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(network) => network.fmt(f),
            Self::Unix => f.write_str("unix"),
            Self::Caller(name) => write!(f, "caller:{name}"),
        }
    }
}

// === impl TargetHeaders ===

impl FromStr for TargetHeaders {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "original" => Ok(Self::Original),
            "forwarded" => Ok(Self::Forwarded),
            _ => Err(format!("`{text}` is neither `original` nor `forwarded`")),
        }
    }
}

/// The name of a header that only callgate sets.
fn name(text: &str) -> Result<HeaderName, String> {
    let name = HeaderName::try_from(text).ok();
    let own = |name: &HeaderName| {
        let name = name.as_str();
        name.starts_with("x-")
            && !name.starts_with("x-forwarded-")
            && !name.starts_with("x-original-")
    };
    name.filter(own).ok_or_else(|| {
        format!("`{text}` is no name of a header for this: it begins with `X-`, such as X-Callgate-User, and means nothing else")
    })
}
