//! The closed sets that labels come from.

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    /// `/{company}/access/v1/evaluation`
    Evaluation,
    /// `/{company}/access/v1/evaluations`
    Evaluations,
    /// `/{company}/access/v1/search/subject`
    SearchSubject,
    /// `/{company}/access/v1/search/resource`
    SearchResource,
    /// `/{company}/access/v1/search/action`
    SearchAction,
    /// `/{company}/v1/explain`
    Explain,
    /// `/{company}/v1/filter`
    Filter,
    /// `/{company}/proxy/auth`
    ProxyAuth,
    /// `/{company}/proxy/envoy/…`
    ProxyEnvoy,
    /// gRPC `envoy.service.auth.v3.Authorization`
    ExtAuthz,
    /// gRPC `grpc.health.v1.Health`
    GrpcHealth,
    /// `/.well-known/authzen-configuration`
    Metadata,
    /// No path of ours.
    Unrouted,
}

/// The HTTP status codes that this service answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// 200: a decision, whichever.
    Ok,
    /// 400: the request is not one.
    BadRequest,
    /// 401: nobody knows who asks.
    Unauthorized,
    /// 403: the caller may not ask that.
    Forbidden,
    /// 404: no such path or company.
    NotFound,
    /// 405: not by this method.
    MethodNotAllowed,
    /// 408: the body did not come in time.
    RequestTimeout,
    /// 413: the body is too large.
    TooLarge,
    /// 422: the answer is none that can be given.
    Unprocessable,
    /// 431: the head is too large.
    HeadTooLarge,
    /// 500: our fault.
    Internal,
    /// 503: not now.
    Unavailable,
}

/// A kind of file that says who may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialFile {
    /// Certificate, key and authorities.
    Tls,
    /// Bearer tokens.
    Tokens,
    /// What callers are bound to.
    Callers,
}

/// Why a caller is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallerRefused {
    /// Nothing tells who it is.
    NoCredentials,
    /// What it brings is not known.
    BadCredentials,
    /// It may not use the interface.
    Interface,
    /// It is not bound to the company.
    Company,
}

/// What comes of a TLS handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handshake {
    /// A connection.
    Done,
    /// An error on either side.
    Failed,
    /// It took too long.
    TooSlow,
    /// Too many waited for theirs.
    TooMany,
}

/// A limit that a client can run into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Connections open at once.
    Connections,
    /// Connections open at once on the admin listener.
    AdminConnections,
    /// TLS handshakes in a second.
    Handshakes,
    /// Requests under way at once on a connection of HTTP/2.
    Streams,
    /// Requests that have come whole, at once.
    Requests,
    /// Requests whose bodies have not, at once.
    Bodies,
    /// Bytes of those.
    BodyMemory,
    /// Bytes of a head.
    HeaderBytes,
    /// Seconds that a head takes.
    HeaderTime,
    /// Bytes of a body.
    BodyBytes,
    /// Seconds that a body takes.
    BodyTime,
    /// Seconds without a request.
    IdleTime,
    /// Items of a batch.
    BatchItems,
    /// Results on a page of a search.
    PageResults,
    /// Questions that wait for the pool, at once.
    PoolQueue,
    /// Seconds that one waits for it.
    PoolTime,
}

// === impl Api ===

impl Api {
    /// All of them, in the order of their positions.
    pub const ALL: [Self; 13] = [
        Self::Evaluation,
        Self::Evaluations,
        Self::SearchSubject,
        Self::SearchResource,
        Self::SearchAction,
        Self::Explain,
        Self::Filter,
        Self::ProxyAuth,
        Self::ProxyEnvoy,
        Self::ExtAuthz,
        Self::GrpcHealth,
        Self::Metadata,
        Self::Unrouted,
    ];

    /// The label's value.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Evaluation => "evaluation",
            Self::Evaluations => "evaluations",
            Self::SearchSubject => "search_subject",
            Self::SearchResource => "search_resource",
            Self::SearchAction => "search_action",
            Self::Explain => "explain",
            Self::Filter => "filter",
            Self::ProxyAuth => "proxy_auth",
            Self::ProxyEnvoy => "proxy_envoy",
            Self::ExtAuthz => "ext_authz",
            Self::GrpcHealth => "grpc_health",
            Self::Metadata => "metadata",
            Self::Unrouted => "none",
        }
    }

    /// Whether whoever asks is a reverse proxy, to which everything but an allow is a deny.
    #[must_use]
    pub const fn is_of_proxies(self) -> bool {
        matches!(self, Self::ProxyAuth | Self::ProxyEnvoy | Self::ExtAuthz)
    }

    /// Whether requests of this kind are decisions.
    #[must_use]
    pub const fn decides(self) -> bool {
        match self {
            Self::Evaluation
            | Self::Evaluations
            | Self::Explain
            | Self::ProxyAuth
            | Self::ProxyEnvoy
            | Self::ExtAuthz => true,
            Self::SearchSubject
            | Self::SearchResource
            | Self::SearchAction
            | Self::Filter
            | Self::GrpcHealth
            | Self::Metadata
            | Self::Unrouted => false,
        }
    }
}

// === impl Code ===

impl Code {
    /// All of them, in the order of their positions.
    pub const ALL: [Self; 12] = [
        Self::Ok,
        Self::BadRequest,
        Self::Unauthorized,
        Self::Forbidden,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::RequestTimeout,
        Self::TooLarge,
        Self::Unprocessable,
        Self::HeadTooLarge,
        Self::Internal,
        Self::Unavailable,
    ];

    /// The status code as a number.
    #[must_use]
    pub const fn number(self) -> u16 {
        match self {
            Self::Ok => 200,
            Self::BadRequest => 400,
            Self::Unauthorized => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::RequestTimeout => 408,
            Self::TooLarge => 413,
            Self::Unprocessable => 422,
            Self::HeadTooLarge => 431,
            Self::Internal => 500,
            Self::Unavailable => 503,
        }
    }
}

// === impl CredentialFile ===

impl CredentialFile {
    /// All of them, in the order of their positions.
    pub const ALL: [Self; 3] = [Self::Tls, Self::Tokens, Self::Callers];

    /// The label's value.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tls => "tls",
            Self::Tokens => "tokens",
            Self::Callers => "callers",
        }
    }
}

// === impl CallerRefused ===

impl CallerRefused {
    /// All of them, in the order of their positions.
    pub const ALL: [Self; 4] = [
        Self::NoCredentials,
        Self::BadCredentials,
        Self::Interface,
        Self::Company,
    ];

    /// The label's value.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoCredentials => "no_credentials",
            Self::BadCredentials => "bad_credentials",
            Self::Interface => "interface",
            Self::Company => "company",
        }
    }
}

// === impl Handshake ===

impl Handshake {
    /// All of them, in the order of their positions.
    pub const ALL: [Self; 4] = [Self::Done, Self::Failed, Self::TooSlow, Self::TooMany];

    /// The label's value.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::TooSlow => "too_slow",
            Self::TooMany => "too_many",
        }
    }
}

// === impl Limit ===

impl Limit {
    /// All of them, in the order of their positions.
    pub const ALL: [Self; 16] = [
        Self::Connections,
        Self::AdminConnections,
        Self::Handshakes,
        Self::Streams,
        Self::Requests,
        Self::Bodies,
        Self::BodyMemory,
        Self::HeaderBytes,
        Self::HeaderTime,
        Self::BodyBytes,
        Self::BodyTime,
        Self::IdleTime,
        Self::BatchItems,
        Self::PageResults,
        Self::PoolQueue,
        Self::PoolTime,
    ];

    /// The label's value.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::AdminConnections => "admin_connections",
            Self::Handshakes => "handshakes",
            Self::Streams => "streams",
            Self::Requests => "requests",
            Self::Bodies => "bodies",
            Self::BodyMemory => "body_memory",
            Self::HeaderBytes => "header_bytes",
            Self::HeaderTime => "header_time",
            Self::BodyBytes => "body_bytes",
            Self::BodyTime => "body_time",
            Self::IdleTime => "idle_time",
            Self::BatchItems => "batch_items",
            Self::PageResults => "page_results",
            Self::PoolQueue => "pool_queue",
            Self::PoolTime => "pool_time",
        }
    }
}
