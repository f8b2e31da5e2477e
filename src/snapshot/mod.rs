//! Policy → [`Snapshot`]: all that is needed to decide for one company, compiled and immutable.

use crate::policy::Policy;

/// All that is needed to decide for one company.
pub struct Snapshot {
    company: String,
}

/// The policy is too large for the tables.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {actual}, at most {limit}")]
pub struct CompileError {
    /// What there is too much of.
    pub what: &'static str,
    /// How many there are.
    pub actual: usize,
    /// How many there may be.
    pub limit: usize,
}

/// The bytes are no snapshot that this version reads.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct FormatError(pub String);

impl Snapshot {
    /// Compiles a policy into decision tables.
    ///
    /// # Errors
    /// More of something than the tables can number.
    pub fn compile(policy: &Policy) -> Result<Self, CompileError> {
        let _ = policy;
        todo!()
    }

    /// The snapshot file: a function of the policy alone, byte for byte.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        todo!()
    }

    /// Reads a snapshot file.
    ///
    /// # Errors
    /// Bytes that are not a snapshot, whole and of this version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FormatError> {
        let _ = bytes;
        todo!()
    }

    /// The company's name.
    #[must_use]
    pub fn company(&self) -> &str {
        &self.company
    }

    /// The revision: 32 hexadecimal digits of the content's BLAKE3 digest.
    #[must_use]
    pub fn revision(&self) -> &str {
        todo!()
    }

    /// The whole BLAKE3 digest of the content, 64 hexadecimal digits.
    #[must_use]
    pub fn digest(&self) -> &str {
        todo!()
    }

    /// Users in it.
    #[must_use]
    pub fn users(&self) -> usize {
        todo!()
    }

    /// Registered objects in it.
    #[must_use]
    pub fn objects(&self) -> usize {
        todo!()
    }

    /// Bytes of memory that it holds.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        todo!()
    }
}
