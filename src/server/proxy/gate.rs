//! What is set about proxies, ready for use.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use super::request::Guarded;
use crate::access::Peer;
use crate::config::{Identity, Proxy, TargetHeaders, TrustedPeer, UpstreamHeaders};
use crate::identity::Identities;
use crate::server::door::PROXY_TOKEN;
use crate::telemetry::ProxyRefused;

/// From one log line about a peer that is not trusted to the next, in seconds.
const WARNING_SECONDS: u64 = 10;

/// What stands between proxies and decisions.
pub(in crate::server) struct Gate {
    trusted: Vec<TrustedPeer>,
    pub(super) way: TargetHeaders,
    pub(in crate::server) upstream: UpstreamHeaders,
    pub(super) guarded: Guarded,
    pub(super) identities: Arc<Identities>,
    began: Instant,
    /// The second from the beginning on in which the next warning may come.
    next_warning: AtomicU64,
}

// === impl Gate ===

impl Gate {
    pub(in crate::server) fn new(proxy: Proxy, identities: Arc<Identities>) -> Self {
        if !proxy.trusted.is_empty() && proxy.identity.is_none() && proxy.companies.is_empty() {
            tracing::warn!(
                "proxies are trusted, and nothing says how their users are known: every route that \
                 needs a user will answer 401; set `identity` in the table [proxy]"
            );
        }
        let known = proxy.companies.values().chain(&proxy.identity);
        let headers = known.filter_map(|identity| match identity {
            Identity::Header(name) => Some(name.clone()),
            Identity::Jwt(_) | Identity::Certificate(_) => None,
        });
        Self {
            guarded: Guarded::new(&proxy.upstream, PROXY_TOKEN.as_str(), headers),
            trusted: proxy.trusted,
            way: proxy.target,
            upstream: proxy.upstream,
            identities,
            began: Instant::now(),
            next_warning: AtomicU64::new(0),
        }
    }

    /// Whether this peer is trusted to say what the original request was, and whose.
    pub(super) fn trusts(&self, peer: &Peer, caller: Option<&str>) -> Result<(), ProxyRefused> {
        let is_trusted = |trusted: &TrustedPeer| match trusted {
            TrustedPeer::Unix => peer.is_unix(),
            TrustedPeer::Caller(name) => caller == Some(name),
            TrustedPeer::Network(_) => peer.address().is_some_and(|at| trusted.is_at(at)),
        };
        if self.trusted.iter().any(is_trusted) {
            return Ok(());
        }
        self.warn(peer.address());
        Err(ProxyRefused::UntrustedPeer)
    }

    /// Says what is missing, but not at each request.
    #[cold]
    fn warn(&self, address: Option<IpAddr>) {
        let now = self.began.elapsed().as_secs();
        let next = self.next_warning.load(Relaxed);
        let ours =
            self.next_warning
                .compare_exchange(next, now + WARNING_SECONDS, Relaxed, Relaxed);
        if now < next || ours.is_err() {
            return;
        }
        let peer = address.map_or_else(|| "unix".to_owned(), |address| address.to_string());
        tracing::warn!(
            peer,
            "a proxy's question was refused, since nobody trusts this peer: if it is your proxy, \
             name it in `trusted_peers` of the table [proxy] (--proxy-trusted-peers)"
        );
    }
}
