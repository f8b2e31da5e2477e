//! A user's id as it was found, or why it was not.

use std::sync::Arc;

/// The id, or an alias, of the end user: what was proven, and nothing yet of whether the company
/// knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who(Arc<str>);

/// Why it is not known who the end user is, although something says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotKnown {
    /// Two things say so: two headers, two cookies, or a token in each of two places that is not
    /// the same.
    Several,
    /// It can be no user's id, or no token.
    Malformed,
    /// The token is longer than tokens may be.
    TooLong,
    /// The token is signed in another way than is said to count.
    Algorithm,
    /// The token is signed with a key that is not in the key set, or not for this.
    Key,
    /// The signature is not of this token.
    Signature,
    /// The token demands what is not understood (`crit`).
    Critical,
    /// It is of another issuer.
    Issuer,
    /// It is for another audience.
    Audience,
    /// It has ended, or does not say when it does.
    Expired,
    /// It does not count yet.
    NotYet,
    /// It does not hold the claim that is the user's id.
    Claim,
    /// The certificate cannot be read, does not hold the field once, or has ended.
    BadCertificate,
    /// The key set was never read: our trouble, not the user's.
    NoKeys,
}

/// The longest id (bytes) that a user can have.
const ID_BYTES_MAX: usize = 256;

// === impl Who ===

impl Who {
    /// The id of a user, if the text can be one.
    ///
    /// # Errors
    /// It cannot: it is empty or too long, no UTF-8, or holds white space or control characters.
    pub fn read(text: &[u8]) -> Result<Self, NotKnown> {
        let text = str::from_utf8(text).map_err(|_| NotKnown::Malformed)?;
        let may_be = (1..=ID_BYTES_MAX).contains(&text.len())
            && text != "*"
            && !text.contains(|c: char| c.is_whitespace() || c.is_control());
        may_be.then(|| Self(text.into())).ok_or(NotKnown::Malformed)
    }

    /// The id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

// === impl NotKnown ===

impl NotKnown {
    /// All of them, in the order of their positions.
    pub const ALL: [Self; 14] = [
        Self::Several,
        Self::Malformed,
        Self::TooLong,
        Self::Algorithm,
        Self::Key,
        Self::Signature,
        Self::Critical,
        Self::Issuer,
        Self::Audience,
        Self::Expired,
        Self::NotYet,
        Self::Claim,
        Self::BadCertificate,
        Self::NoKeys,
    ];

    /// As it is counted and told.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Several => "several_identities",
            Self::Malformed => "malformed_identity",
            Self::TooLong => "token_too_long",
            Self::Algorithm => "token_algorithm",
            Self::Key => "token_key",
            Self::Signature => "token_signature",
            Self::Critical => "token_critical",
            Self::Issuer => "token_issuer",
            Self::Audience => "token_audience",
            Self::Expired => "token_expired",
            Self::NotYet => "token_not_yet",
            Self::Claim => "token_claim",
            Self::BadCertificate => "bad_certificate",
            Self::NoKeys => "no_keys",
        }
    }

    /// Whether it is our trouble: to ask the user for another token would help nobody.
    #[must_use]
    pub const fn is_ours(self) -> bool {
        matches!(self, Self::NoKeys)
    }
}
