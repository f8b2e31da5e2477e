//! Where to listen, and the sockets bound there.

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use tokio::net::{TcpListener, TcpSocket, UnixListener};

use super::stream::Stream;

/// Connections that the kernel keeps until they are accepted.
const BACKLOG: u32 = 1024;

/// Where to listen: `host:port` or `unix:/path`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// All addresses that the host's name stands for, of which the first that can be bound is.
    Tcp(Vec<SocketAddr>),
    /// A unix socket.
    Unix(PathBuf),
}

/// A bound socket.
pub struct Listener {
    socket: Socket,
    /// What was bound: for people, with port 0 resolved.
    local: String,
}

enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener, PathBuf),
}

// === impl Address ===

impl Address {
    /// Whether others than this machine's own processes may reach it.
    #[must_use]
    pub fn is_exposed(&self) -> bool {
        match self {
            Self::Tcp(addresses) => !addresses.iter().all(|address| address.ip().is_loopback()),
            Self::Unix(_) => false,
        }
    }

    /// Binds it.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn bind(&self) -> io::Result<Listener> {
        match self {
            Self::Tcp(addresses) => {
                let mut error = io::Error::from(io::ErrorKind::AddrNotAvailable);
                for address in addresses {
                    match bind_tcp(*address) {
                        Ok(listener) => return Ok(listener),
                        Err(failed) => error = failed,
                    }
                }
                Err(error)
            }
            Self::Unix(path) => bind_unix(path),
        }
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.starts_with('/') {
                Ok(Self::Unix(PathBuf::from(path)))
            } else {
                Err(format!("`{text}` needs an absolute path: unix:/path"))
            };
        }
        let form = "an address is host:port or unix:/path";
        if text
            .rsplit_once(':')
            .is_none_or(|(host, _)| host.is_empty())
        {
            return Err(format!("`{text}` is no address: {form}"));
        }
        let addresses = text.to_socket_addrs();
        let addresses: Vec<_> = addresses
            .map_err(|error| format!("`{text}` cannot be resolved ({error}): {form}"))?
            .collect();
        if addresses.is_empty() {
            return Err(format!("`{text}` stands for no address"));
        }
        Ok(Self::Tcp(addresses))
    }
}

fn bind_tcp(address: SocketAddr) -> io::Result<Listener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    // Else a restart would have to wait for the last connections of its predecessor to be forgotten.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    let listener = socket.listen(BACKLOG)?;
    Ok(Listener {
        local: format!("http://{}", listener.local_addr()?),
        socket: Socket::Tcp(listener),
    })
}

/// A socket's file that nobody listens on is what a killed process left: it is replaced.
fn bind_unix(path: &Path) -> io::Result<Listener> {
    let bound = UnixListener::bind(path);
    let listener = match bound {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            let dead = std::os::unix::net::UnixStream::connect(path)
                .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused);
            if !dead {
                return Err(error);
            }
            std::fs::remove_file(path)?;
            UnixListener::bind(path)?
        }
        bound => bound?,
    };
    Ok(Listener {
        local: format!("unix:{}", path.display()),
        socket: Socket::Unix(listener, path.to_owned()),
    })
}

// === impl Listener ===

impl Listener {
    /// Waits for the next connection.
    pub(super) async fn accept(&self) -> io::Result<Stream> {
        match &self.socket {
            Socket::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok(Stream::Tcp(stream))
            }
            Socket::Unix(listener, _) => Ok(Stream::Unix(listener.accept().await?.0)),
        }
    }
}

/// What was bound: `http://127.0.0.1:7070`, `unix:/run/callgate.sock`.
impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.local)
    }
}

/// A unix socket's file goes with its listener.
impl Drop for Listener {
    fn drop(&mut self) {
        if let Socket::Unix(_, path) = &self.socket {
            let _ = std::fs::remove_file(path);
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
