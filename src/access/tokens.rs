//! Bearer tokens: a file of named ones, of which only digests are kept.
//!
//! ```text
//! # name  token
//! crm     5f0c…
//! crm     9ab1…      # a second one of the same caller, while the first is replaced
//! ```

use std::collections::HashMap;
use std::path::Path;

use super::files::{Contents, FileError};

/// The shortest token: 16 characters of a random text are too many to try.
const TOKEN_BYTES_MIN: usize = 16;
/// The longest.
const TOKEN_BYTES_MAX: usize = 1_024;
/// The most tokens of a file: all are compared with each that comes.
const TOKENS_MAX: usize = 1_000;

/// What digests are made with: of this process alone, so that they tell nobody anything.
pub(super) struct TokenKey([u8; blake3::KEY_LEN]);

/// The tokens of a file: the caller's name and the digest of each.
pub(super) struct Tokens(pub(super) Vec<(String, blake3::Hash)>);

// === impl TokenKey ===

impl TokenKey {
    pub(super) fn random() -> Result<Self, FileError> {
        let mut key = [0; blake3::KEY_LEN];
        getrandom::fill(&mut key).map_err(|error| {
            FileError::new(
                Path::new("random numbers"),
                format!("there are none: {error}"),
            )
        })?;
        Ok(Self(key))
    }

    pub(super) fn digest(&self, token: &[u8]) -> blake3::Hash {
        blake3::keyed_hash(&self.0, token)
    }
}

// === impl Tokens ===

impl Tokens {
    /// Reads the file. What is wrong is told with its line, and never with a token.
    pub(super) fn read(
        path: &Path,
        contents: &Contents,
        key: &TokenKey,
    ) -> Result<Self, FileError> {
        let wrong = |line: usize, message: &str| Err(FileError::new(path, message).at(line + 1));
        let mut tokens = Vec::new();
        let mut known = HashMap::new();
        for (number, line) in contents.text(path)?.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default();
            let mut words = line.split_whitespace();
            let (name, token) = match (words.next(), words.next(), words.next()) {
                (None, ..) => continue,
                (Some(name), Some(token), None) => (name, token),
                _ => return wrong(number, "a line is `NAME TOKEN`, with a space between"),
            };
            if !is_name(name) {
                let message = "a caller's name is of letters, digits, `.`, `_` and `-`, up to 64";
                return wrong(number, message);
            }
            if !is_token(token) {
                let message = format!(
                    "a token is {TOKEN_BYTES_MIN} to {TOKEN_BYTES_MAX} letters, digits or \
                     `-._~+/=`, such as `openssl rand -hex 32` gives"
                );
                return wrong(number, &message);
            }
            let digest = key.digest(token.as_bytes());
            if let Some(line) = known.insert(*digest.as_bytes(), number + 1) {
                return wrong(number, &format!("this token stands in line {line} already"));
            }
            tokens.push((name.to_owned(), digest));
            if tokens.len() > TOKENS_MAX {
                return wrong(number, &format!("there are more than {TOKENS_MAX} tokens"));
            }
        }
        if tokens.is_empty() {
            // As a file that is just being written is: to take all callers out is no accident.
            return Err(FileError::new(path, "there is no token in it"));
        }
        Ok(Self(tokens))
    }
}

/// Whether a caller may be named so.
pub(super) fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && (name.bytes()).all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// The form of RFC 6750.
fn is_token(token: &str) -> bool {
    (TOKEN_BYTES_MIN..=TOKEN_BYTES_MAX).contains(&token.len())
        && (token.bytes()).all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte))
}
