//! Where to listen.

use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::str::FromStr;

/// Where to listen: `host:port`, `unix:/path`, or `fd:NAME` for a socket that is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// As written, and all addresses that the host's name stands for.
    Tcp(String, Vec<SocketAddr>),
    /// A unix socket.
    Unix(PathBuf),
    /// A socket that listens already, which the process is given under this name.
    Given(String),
}

impl Address {
    /// Whether others than this machine's own processes may reach it.
    #[must_use]
    pub fn is_exposed(&self) -> bool {
        match self {
            Self::Tcp(_, addresses) => !addresses.iter().all(|address| address.ip().is_loopback()),
            // Of a given one nobody knows before it is looked at.
            Self::Unix(_) | Self::Given(_) => false,
        }
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let form = "an address is host:port, unix:/path or fd:NAME";
        if let Some(name) = text.strip_prefix("fd:") {
            return match name {
                "" => Err(format!("`{text}` has no name: {form}")),
                name => Ok(Self::Given(name.to_owned())),
            };
        }
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.starts_with('/') {
                Ok(Self::Unix(PathBuf::from(path)))
            } else {
                Err(format!("`{text}` has no absolute path: {form}"))
            };
        }
        if text
            .rsplit_once(':')
            .is_none_or(|(host, _)| host.is_empty())
        {
            return Err(format!("`{text}` is no address: {form}"));
        }
        let addresses = text.to_socket_addrs();
        let addresses: Vec<_> = addresses
            .map_err(|error| format!("`{text}` stands for no address ({error}): {form}"))?
            .collect();
        if addresses.is_empty() {
            return Err(format!("`{text}` stands for no address"));
        }
        Ok(Self::Tcp(text.to_owned(), addresses))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(text, _) => f.write_str(text),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Given(name) => write!(f, "fd:{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exposed(text: &str) -> Result<bool, String> {
        text.parse().map(|address: Address| address.is_exposed())
    }

    #[test]
    fn loopback_and_unix_sockets_are_not_exposed_all_else_is() {
        assert_eq!(exposed("127.0.0.1:0"), Ok(false));
        assert_eq!(exposed("127.8.9.1:80"), Ok(false));
        assert_eq!(exposed("[::1]:7070"), Ok(false));
        assert_eq!(exposed("unix:/run/callgate.sock"), Ok(false));
        assert_eq!(exposed("0.0.0.0:7070"), Ok(true));
        assert_eq!(exposed("[::]:7070"), Ok(true));
        assert_eq!(exposed("10.0.0.1:7070"), Ok(true));
    }

    #[test]
    fn what_is_no_address_is_said_to_be_none() {
        for text in [
            "",
            ":7070",
            "7070",
            "127.0.0.1",
            "127.0.0.1:x",
            "unix:relative",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }
}
