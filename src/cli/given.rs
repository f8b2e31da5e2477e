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

    /// The sockets of this name: one, or as many as a unit of systemd lists under it.
    pub(super) fn take(&mut self, name: &str) -> io::Result<Vec<Listener>> {
        let names = self.names.clone();
        let named = (names.iter().enumerate()).filter(|(_, known)| *known == name);
        let mut listeners = Vec::new();
        for (position, _) in named {
            let socket = match self.sockets.take_tcp_listener(position) {
                Ok(socket) => socket.map(OwnedFd::from),
                Err(_) => (self.sockets.take_unix_listener(position)?).map(OwnedFd::from),
            };
            if let Some(socket) = socket {
                listeners.push(Listener::given(socket)?);
            }
        }
        if listeners.is_empty() {
            return Err(io::Error::other(match self.sockets.len() {
                0 => {
                    "no socket was handed over to this process (LISTEN_FDS, LISTEN_PID)".to_owned()
                }
                _ => format!(
                    "there is no socket of this name (LISTEN_FDNAMES): there are `{}`",
                    names.join("`, `")
                ),
            }));
        }
        Ok(listeners)
    }
}
