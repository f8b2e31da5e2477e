//! Bound sockets.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, fchmod};
use socket2::{Domain, SockAddr, Type};
use tokio::net::{TcpListener, TcpSocket, UnixListener};

use super::stream::Stream;
use crate::config::{Address, SocketRights};

/// Connections that the kernel keeps until they are accepted.
const BACKLOG: u32 = 1024;

/// A bound socket.
pub struct Listener {
    socket: Socket,
    /// Whether it listened before, for another process.
    given: bool,
    /// Of a unix socket.
    _file: Option<SocketFile>,
    /// What was bound: for people, with port 0 resolved.
    local: String,
}

enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// The file of a unix socket; it goes with this.
struct SocketFile {
    path: PathBuf,
    /// Device and number, so that a successor's file is not taken for ours.
    inode: (u64, u64),
}

// === impl Listener ===

impl Listener {
    /// Binds an address; of several that a host's name stands for, the first that can be.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn bind(address: &Address, rights: SocketRights) -> io::Result<Self> {
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
            Address::Unix(path) => bind_unix(path, rights),
            Address::Given(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// A socket that listens already, as a service manager hands it over.
    ///
    /// # Errors
    /// It is no such socket.
    pub fn given(socket: OwnedFd) -> io::Result<Self> {
        let socket = socket2::Socket::from(socket);
        if !socket.is_listener()? {
            return Err(io::Error::other("it is no socket that listens"));
        }
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        let (local, socket) = match address.as_socket() {
            Some(address) => (
                format!("http://{address}"),
                Socket::Tcp(TcpListener::from_std(socket.into())?),
            ),
            None => {
                let path = address.as_pathname().unwrap_or(Path::new("?"));
                (
                    format!("unix:{}", path.display()),
                    Socket::Unix(UnixListener::from_std(socket.into())?),
                )
            }
        };
        // A unix socket's file is whoever's who made it.
        Ok(Self {
            socket,
            given: true,
            _file: None,
            local,
        })
    }

    /// Whether it listened before, for another process: who connects then may wait.
    pub(super) const fn is_given(&self) -> bool {
        self.given
    }

    /// The address, if it is not a unix socket.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn address(&self) -> io::Result<Option<SocketAddr>> {
        match &self.socket {
            Socket::Tcp(listener) => listener.local_addr().map(Some),
            Socket::Unix(_) => Ok(None),
        }
    }

    /// The same, said to speak TLS, unless it is a unix socket.
    #[must_use]
    pub fn secured(self) -> Self {
        let local = match self.local.strip_prefix("http:") {
            Some(rest) => format!("https:{rest}"),
            None => self.local,
        };
        Self { local, ..self }
    }

    /// Waits for the next connection.
    pub(super) async fn accept(&self) -> io::Result<Stream> {
        match &self.socket {
            Socket::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok(Stream::Tcp(stream))
            }
            Socket::Unix(listener) => Ok(Stream::Unix(listener.accept().await?.0)),
        }
    }
}

/// What was bound: `http://127.0.0.1:7070`, `unix:/run/callgate.sock`.
impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.local)
    }
}

// === impl SocketFile ===

impl SocketFile {
    fn new(path: &Path) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            inode: Self::inode(path)?,
        })
    }

    fn inode(path: &Path) -> io::Result<(u64, u64)> {
        let file = std::fs::symlink_metadata(path)?;
        Ok((file.dev(), file.ino()))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if Self::inode(&self.path).is_ok_and(|inode| inode == self.inode) {
            let _ = std::fs::remove_file(&self.path);
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
        given: false,
        _file: None,
    })
}

/// A socket's file that nobody listens on is what a killed process left: it is replaced.
fn bind_unix(path: &Path, rights: SocketRights) -> io::Result<Listener> {
    let listener = match listen_unix(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            let dead = std::os::unix::net::UnixStream::connect(path)
                .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused);
            if !dead {
                return Err(error);
            }
            std::fs::remove_file(path)?;
            listen_unix(path)?
        }
        bound => bound?,
    };
    let file = SocketFile::new(path)?;
    // First to whom it belongs, then what they may: nobody may more than is said at any time.
    if rights.owner.is_some() || rights.group.is_some() {
        chown(path, rights.owner, rights.group)?;
    }
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(rights.mode))?;
    Ok(Listener {
        local: format!("unix:{}", path.display()),
        socket: Socket::Unix(listener),
        given: false,
        _file: Some(file),
    })
}

/// A unix socket that nobody but its owner can connect to, from the first moment on.
fn listen_unix(path: &Path) -> io::Result<UnixListener> {
    let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // Linux gives the file that is bound the rights that the socket has by then; elsewhere this
    // may fail, and the folder's rights must do for a moment.
    let _ = fchmod(&socket, Mode::from_raw_mode(0o600));
    socket.bind(&SockAddr::unix(path)?)?;
    socket.listen(BACKLOG.cast_signed())?;
    socket.set_nonblocking(true)?;
    UnixListener::from_std(socket.into())
}
