//! Bound sockets.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tokio::net::{TcpListener, TcpSocket, UnixListener};

use super::stream::Stream;
use crate::config::Address;

/// Connections that the kernel keeps until they are accepted.
const BACKLOG: u32 = 1024;

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

// === impl Listener ===

impl Listener {
    /// Binds an address; of several that a host's name stands for, the first that can be.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn bind(address: &Address) -> io::Result<Self> {
        match address {
            Address::Tcp(_, addresses) => {
                let mut error = io::Error::from(io::ErrorKind::AddrNotAvailable);
                for address in addresses {
                    match bind_tcp(*address) {
                        Ok(listener) => return Ok(listener),
                        Err(failed) => error = failed,
                    }
                }
                Err(error)
            }
            Address::Unix(path) => bind_unix(path),
        }
    }

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
