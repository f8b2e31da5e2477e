//! Why a request gets no decision, and how that is told.

use std::borrow::Cow;

use crate::telemetry::{Code, Limit};

/// Why a request gets no decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: Code,
    pub(super) code: RefusalCode,
    /// For people.
    pub(super) message: Cow<'static, str>,
}

/// The code of an error's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RefusalCode {
    NoCredentials,
    BadCredentials,
    NotAllowed,
    WrongContentType,
    EmptyBody,
    InvalidJson,
    MissingMember,
    EmptyMember,
    WrongType,
    UnknownMember,
    UnknownSemantic,
    TooManyItems,
    InvalidPageToken,
    InvalidColumn,
    /// Something is named as a field that no row has.
    UnknownField,
    UnknownDialect,
    FilterTooLarge,
    FilterUnsayable,
    BrokenBody,
    BodyTooSlow,
    BodyTooLarge,
    HeadTooLarge,
    UnknownPath,
    MethodNotAllowed,
    UnknownCompany,
    NoPublicUrl,
    NoActiveSnapshot,
    GenerationNotReached,
    PolicyTooOld,
    TooManyRequests,
    TooManyBodies,
    BodyMemoryFull,
    PoolTooSlow,
    PoolFull,
    LogFull,
    Internal,
}
// === impl Refusal ===

impl Refusal {
    #[cold]
    pub(super) fn new(
        status: Code,
        code: RefusalCode,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            status,
            code,
            message: message.into(),
        }
    }

    /// The request itself is wrong.
    #[cold]
    pub(super) fn bad(code: RefusalCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::BadRequest, code, message)
    }
}

impl RefusalCode {
    /// The limit that it stands for.
    pub(super) const fn limit(self) -> Option<Limit> {
        Some(match self {
            Self::TooManyRequests => Limit::Requests,
            Self::TooManyBodies => Limit::Bodies,
            Self::BodyMemoryFull => Limit::BodyMemory,
            Self::PoolFull => Limit::PoolQueue,
            Self::PoolTooSlow => Limit::PoolTime,
            Self::BodyTooSlow => Limit::BodyTime,
            Self::BodyTooLarge => Limit::BodyBytes,
            Self::HeadTooLarge => Limit::HeaderBytes,
            Self::TooManyItems => Limit::BatchItems,
            _ => return None,
        })
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::NoCredentials => "no_credentials",
            Self::BadCredentials => "bad_credentials",
            Self::NotAllowed => "not_allowed",
            Self::WrongContentType => "wrong_content_type",
            Self::EmptyBody => "empty_body",
            Self::InvalidJson => "invalid_json",
            Self::MissingMember => "missing_member",
            Self::EmptyMember => "empty_member",
            Self::WrongType => "wrong_type",
            Self::UnknownMember => "unknown_member",
            Self::UnknownSemantic => "unknown_semantic",
            Self::TooManyItems => "too_many_items",
            Self::InvalidPageToken => "invalid_page_token",
            Self::InvalidColumn => "invalid_column",
            Self::UnknownField => "unknown_field",
            Self::UnknownDialect => "unknown_dialect",
            Self::FilterTooLarge => "filter_too_large",
            Self::FilterUnsayable => "filter_unsayable",
            Self::BrokenBody => "broken_body",
            Self::BodyTooSlow => "body_too_slow",
            Self::BodyTooLarge => "body_too_large",
            Self::HeadTooLarge => "head_too_large",
            Self::UnknownPath => "unknown_path",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::NoPublicUrl => "no_public_url",
            Self::UnknownCompany => "unknown_company",
            Self::NoActiveSnapshot => "no_active_snapshot",
            Self::GenerationNotReached => "generation_not_reached",
            Self::PolicyTooOld => "policy_too_old",
            Self::TooManyRequests => "too_many_requests",
            Self::TooManyBodies => "too_many_bodies",
            Self::BodyMemoryFull => "body_memory_full",
            Self::PoolTooSlow => "pool_too_slow",
            Self::PoolFull => "pool_full",
            Self::LogFull => "log_full",
            Self::Internal => "internal",
        }
    }
}
