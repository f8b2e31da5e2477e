//! Sockets that a service manager hands over: `LISTEN_FDS`, as of systemd's `sd_listen_fds`.

use std::io;
use std::os::fd::OwnedFd;

use listenfd::ListenFd;

use crate::server::Listener;

/// The sockets that were handed over, and their names.
pub(super) struct Given {
    sockets: ListenFd,
    names: Vec<String>,
}

// === impl Given ===

impl Given {
    /// Those of this process; what was meant for another is none of ours.
    pub(super) fn from_environment() -> Self {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        Self {
            names: names.split(':').map(str::to_owned).collect(),
            sockets: ListenFd::from_env(),
        }
    }

    /// The socket of this name.
    pub(super) fn take(&mut self, name: &str) -> io::Result<Listener> {
        let names = self.names.join("`, `");
        let message = match self.sockets.len() {
            0 => "no socket was handed over to this process (LISTEN_FDS, LISTEN_PID)".to_owned(),
            _ => format!("there is no socket of this name (LISTEN_FDNAMES): there are `{names}`"),
        };
        let none = || io::Error::other(message.clone());
        let position = (self.names.iter()).position(|known| known == name);
        let position = position.ok_or_else(none)?;
        let socket = match self.sockets.take_tcp_listener(position) {
            Ok(socket) => socket.map(OwnedFd::from),
            Err(_) => (self.sockets.take_unix_listener(position)?).map(OwnedFd::from),
        };
        Listener::given(socket.ok_or_else(none)?)
    }
}
