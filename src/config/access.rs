//! Where certificates and tokens are, and whose a unix socket is.

use std::path::PathBuf;

use nix::unistd::{Group, User};

use super::Address;

/// The files that say who may ask.
#[derive(Clone, Debug, Default)]
pub struct AccessFiles {
    /// TLS on every address but unix sockets.
    pub tls: Option<TlsFiles>,
    /// The authorities of callers' certificates, as PEM.
    pub client_ca: Option<PathBuf>,
    /// The callers' bearer tokens.
    pub tokens: Option<PathBuf>,
    /// What callers are bound to.
    pub callers: Option<PathBuf>,
}

/// What the service proves itself with, as PEM.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The certificate, and those between it and its authority.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Who may connect to a unix socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketRights {
    /// The rights of its file; to connect takes the right to write.
    pub mode: u32,
    /// The user's number; none: whoever runs the service.
    pub owner: Option<u32>,
    /// The group's number; none: that of whoever runs the service.
    pub group: Option<u32>,
}

// === impl AccessFiles ===

impl AccessFiles {
    /// Whether there is anything by which callers prove who they are.
    #[must_use]
    pub const fn proves_callers(&self) -> bool {
        self.client_ca.is_some() || self.tokens.is_some() || self.callers.is_some()
    }

    /// Why this address must not be listened on: others can reach it, and read along or ask what
    /// they like.
    #[must_use]
    pub fn is_open_at(&self, address: &Address) -> Option<String> {
        if !address.is_exposed() {
            return None;
        }
        let proof = self.client_ca.is_some() || self.tokens.is_some();
        let (lack, remedy) = match (&self.tls, proof) {
            (Some(_), true) => return None,
            (None, false) => (
                "whoever reaches it may ask everything",
                "set --tls-cert and --tls-key, and --tls-client-ca or --token-file",
            ),
            (Some(_), false) => (
                "whoever reaches it may ask everything",
                "set --tls-client-ca or --token-file",
            ),
            (None, true) => (
                "without TLS whoever is between can read tokens and change answers",
                "set --tls-cert and --tls-key",
            ),
        };
        Some(format!(
            "`{address}` can be reached from other machines, and {lack}: {remedy}, use a loopback \
             address or unix:/path, or accept that with --insecure"
        ))
    }
}

// === impl SocketRights ===

impl Default for SocketRights {
    /// Whoever runs the service, and nobody else.
    fn default() -> Self {
        Self {
            mode: 0o600,
            owner: None,
            group: None,
        }
    }
}

// === reading texts ===

pub(super) fn mode(text: &str) -> Result<u32, String> {
    let mode = u32::from_str_radix(text, 8).ok();
    mode.filter(|mode| *mode <= 0o777 && mode & 0o200 != 0)
        .ok_or_else(|| {
            format!("`{text}` is no octal mode that lets its owner connect, such as 0660")
        })
}

pub(super) fn owner(text: &str) -> Result<u32, String> {
    number(text, "user", |name| {
        Ok(User::from_name(name)?.map(|user| user.uid.as_raw()))
    })
}

pub(super) fn group(text: &str) -> Result<u32, String> {
    number(text, "group", |name| {
        Ok(Group::from_name(name)?.map(|group| group.gid.as_raw()))
    })
}

/// A number as it stands, or that of a name of this machine.
fn number(
    text: &str,
    kind: &str,
    find: impl Fn(&str) -> nix::Result<Option<u32>>,
) -> Result<u32, String> {
    if let Ok(number) = text.parse() {
        return Ok(number);
    }
    match find(text) {
        Ok(Some(number)) => Ok(number),
        Ok(None) => Err(format!("there is no {kind} `{text}` on this machine")),
        Err(error) => Err(format!("the {kind} `{text}` cannot be looked up: {error}")),
    }
}
