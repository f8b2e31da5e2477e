//! Why a reverse proxy's question is refused before it is one, by closed set.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use prometheus::proto;

use super::family::counter;

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $code:literal,)*) => {
        /// Why a proxy's question is denied without having been decided.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum ProxyRefused { $($(#[$doc])* $name,)* }

        impl ProxyRefused {
            /// All of them, in the order of their positions.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The label's value.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }
        }
    };
}

reasons! {
    /// The peer is not trusted to say what the original request was.
    UntrustedPeer = "untrusted_peer",
    /// The proxy has not proven who it is, or may not ask this.
    Caller = "caller",
    /// None of the headers is there that tell the original request.
    TargetMissing = "target_missing",
    /// Headers are there that tell it in the way that is not set.
    OtherTarget = "other_target",
    /// A header that is read stands there twice.
    DoubledHeader = "doubled_header",
    /// A header is there that others take for one that is read or set.
    AliasedHeader = "aliased_header",
    /// Something says that another method is meant.
    MethodOverride = "method_override",
    /// A header says that another path is meant.
    TargetOverride = "target_override",
    /// The method is none, or written in small letters.
    BadMethod = "bad_method",
    /// The host is none.
    BadHost = "bad_host",
    /// Some routes are of one host alone, and that of the request is not told.
    HostUnknown = "host_unknown",
    /// The target is a URL, where a path is meant.
    AbsoluteTarget = "absolute_target",
    /// A user stands before the host.
    Userinfo = "userinfo",
    /// The target does not begin with a slash.
    NotAPath = "not_a_path",
    /// Two slashes beside each other.
    EmptySegment = "empty_segment",
    /// `.` or `..`.
    DotSegment = "dot_segment",
    /// `%2e`: nobody who means a dot writes so.
    EncodedDot = "encoded_dot",
    /// `%2f`
    EncodedSlash = "encoded_slash",
    /// A backslash.
    Backslash = "backslash",
    /// `%5c`
    EncodedBackslash = "encoded_backslash",
    /// `%00`
    Nul = "nul",
    /// A control character, white space between, as such or encoded.
    Control = "control_character",
    /// `%25`: something might decode twice.
    DoubleEncoding = "double_encoding",
    /// A semicolon, as such or encoded: some take what follows for parameters.
    Semicolon = "semicolon",
    /// `#`, as such or encoded.
    Fragment = "fragment",
    /// `%3f`
    EncodedQuery = "encoded_query",
    /// `%` without two hexadecimal digits.
    BadEscape = "bad_escape",
    /// A byte beyond ASCII that is not encoded.
    RawByte = "raw_byte",
    /// What was encoded is not UTF-8.
    NotUtf8 = "not_utf8",
    /// No company bears the name.
    UnknownCompany = "unknown_company",
    /// Nothing of the company's policy was ever activated.
    NoSnapshot = "no_snapshot",
    /// Too much is being answered.
    Overload = "overload",
    /// The question's own head is too large.
    HeadTooLarge = "head_too_large",
    /// The message is none that is understood, or more than one.
    BadMessage = "bad_message",
    /// The message is compressed.
    CompressedMessage = "compressed_message",
    /// The message is too large.
    MessageTooLarge = "message_too_large",
    /// The message did not come in time.
    MessageTooSlow = "message_too_slow",
    /// The decision log has no room.
    LogFull = "log_full",
    /// A bug.
    Internal = "internal",
    /// Two things say who the user is.
    SeveralIdentities = "several_identities",
    /// What says who the user is can be no id, and no token.
    MalformedIdentity = "malformed_identity",
    /// The token is too long.
    TokenTooLong = "token_too_long",
    /// The token is signed in a way that does not count.
    TokenAlgorithm = "token_algorithm",
    /// The token's key is not in the key set.
    TokenKey = "token_key",
    /// The signature is not of the token.
    TokenSignature = "token_signature",
    /// The token demands what is not understood.
    TokenCritical = "token_critical",
    /// The token is of another issuer.
    TokenIssuer = "token_issuer",
    /// The token is for another audience.
    TokenAudience = "token_audience",
    /// The token has ended.
    TokenExpired = "token_expired",
    /// The token does not count yet.
    TokenNotYet = "token_not_yet",
    /// The token does not say who the user is.
    TokenClaim = "token_claim",
    /// The certificate cannot be read, has ended, or does not say who the user is.
    BadCertificate = "bad_certificate",
    /// The key set was never read.
    NoKeys = "no_keys",
}

/// How often each happened.
pub(super) struct ProxyMetrics(Vec<AtomicU64>);

// === impl ProxyRefused ===

impl ProxyRefused {
    /// The one of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let mut all = Self::ALL.iter().copied();
        all.find(|reason| reason.name() == name)
    }
}

// === impl ProxyMetrics ===

impl Default for ProxyMetrics {
    fn default() -> Self {
        Self(
            ProxyRefused::ALL
                .iter()
                .map(|_| AtomicU64::new(0))
                .collect(),
        )
    }
}

impl ProxyMetrics {
    pub(super) fn refused(&self, why: ProxyRefused) {
        if let Some(count) = self.0.get(why as usize) {
            count.fetch_add(1, Relaxed);
        }
    }

    pub(super) fn family(&self) -> proto::MetricFamily {
        let counts = ProxyRefused::ALL.iter().zip(&self.0);
        counter(
            "callgate_proxy_refused_total",
            "Questions of reverse proxies that were denied without a decision, by reason.",
            counts.map(|(why, count)| (vec![("reason", why.name())], count.load(Relaxed))),
        )
    }
}
