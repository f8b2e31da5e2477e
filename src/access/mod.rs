//! Who may ask: TLS, certificates, tokens, and what each caller is bound to.
//!
//! All of it comes from files that are watched. What is new in them counts from the next
//! connection (certificates) or the next request (tokens, bounds) on; what is broken in them
//! changes nothing, and is logged and counted.
//!
//! ```text
//! a connection: TLS handshake ──▶ Peer ─┐
//! a request:    Authorization ──────────┴▶ Access::admit ──▶ a caller's name, or why not
//! ```

mod callers;
mod certificate;
mod files;
mod table;
mod tls;
mod tokens;
mod watch;

pub use callers::Right;
pub use certificate::Peer;
pub use files::FileError;
pub use table::{Admitted, NotAdmitted, Token, Wanted};
pub use tls::TlsFor;
pub use watch::AccessWatch;

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use rustls::ServerConfig;

use self::callers::Callers;
use self::files::Contents;
use self::table::Table;
use self::tls::Tls;
use self::tokens::{TokenKey, Tokens};
use crate::config::AccessFiles;
use crate::telemetry::{CredentialFile, Metrics};

/// Everything that is known of callers, as it stands now.
pub struct Access {
    files: AccessFiles,
    metrics: Arc<Metrics>,
    /// Who may ask what. One look at it decides a request.
    table: ArcSwap<Table>,
    /// The certificates now in use, where there are any.
    tls: Option<ArcSwap<Tls>>,
    /// Raised whenever `tls` is replaced: a certificate that was checked before is checked again.
    generation: AtomicU64,
    key: TokenKey,
    /// What was read last, whether or not it could be used.
    tried: Mutex<[Contents; CredentialFile::ALL.len()]>,
}

// === impl Access ===

impl Access {
    /// Reads all files.
    ///
    /// # Errors
    /// A file that cannot be read or used; or there is no randomness.
    pub fn load(files: AccessFiles, metrics: Arc<Metrics>) -> Result<Arc<Self>, FileError> {
        let key = TokenKey::random()?;
        let tried = CredentialFile::ALL.map(|file| Contents::read(file, &files));
        let [tls, tokens, callers] = &tried;
        let tls = files.tls.is_some().then(|| Tls::read(tls, &files));
        let tls = tls.transpose()?;
        let tokens = (files.tokens.as_ref()).map(|path| Tokens::read(path, tokens, &key));
        let tokens = tokens.transpose()?.map(Arc::new);
        let callers = (files.callers.as_ref()).map(|path| Callers::read(path, callers));
        let callers = callers.transpose()?.map(Arc::new);
        let table = Table { tokens, callers };
        table.warn();
        if let Some(tls) = &tls {
            metrics.certificate_expires(tls.not_after);
        }
        Ok(Arc::new(Self {
            table: ArcSwap::from_pointee(table),
            tls: tls.map(ArcSwap::from_pointee),
            generation: AtomicU64::new(0),
            key,
            tried: Mutex::new(tried),
            files,
            metrics,
        }))
    }

    /// Whether callers must prove who they are.
    #[must_use]
    pub fn demands_proof(&self) -> bool {
        self.files.proves_callers()
    }

    /// What a new TLS connection is served with; none: connections are plain.
    #[must_use]
    pub fn tls(&self, listener: TlsFor) -> Option<Arc<ServerConfig>> {
        self.tls.as_ref().map(|tls| tls.load().of(listener))
    }

    /// Whether connections other than by unix sockets are TLS.
    #[must_use]
    pub const fn has_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Finds out who asks, and whether that one may.
    ///
    /// # Errors
    /// Why not.
    pub fn admit(
        &self,
        peer: &Peer,
        token: Token<'_>,
        wanted: Wanted<'_>,
    ) -> Result<Admitted, NotAdmitted> {
        let certificate = peer.certificate_if(self.generation(), |chain| {
            let tls = self.tls.as_ref()?.load();
            tls.trusts(chain).then_some(())
        });
        let table = self.table.load();
        table.admit(&self.key, peer, certificate, token, wanted)
    }

    /// Which authorities count now: to be asked before a handshake, so that a certificate which is
    /// checked while they change is checked again.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation.load(Acquire)
    }

    /// Which scheme a caller is told to use, for `WWW-Authenticate`, without credentials or with
    /// bad ones.
    #[must_use]
    pub const fn challenge(&self, bad: bool) -> &'static str {
        match (self.files.tokens.is_some(), bad) {
            (true, false) => r#"Bearer realm="callgate""#,
            (true, true) => r#"Bearer realm="callgate", error="invalid_token""#,
            (false, _) => r#"ClientCertificate realm="callgate""#,
        }
    }

    /// What a caller without credentials is told to do.
    #[must_use]
    pub const fn remedy(&self) -> &'static str {
        match (self.files.tokens.is_some(), self.files.client_ca.is_some()) {
            (true, true) => {
                "nothing tells who asks: send `Authorization: Bearer TOKEN`, or use a client certificate"
            }
            (true, false) => "nothing tells who asks: send `Authorization: Bearer TOKEN`",
            (false, true) => "nothing tells who asks: use a client certificate",
            (false, false) => "nothing tells who asks: only a unix socket is open to callers",
        }
    }

    /// Reads the files that have changed since they were read last, and uses what is right in
    /// them. Returns whether all that changed had settled; if not, it is to be called again soon.
    fn refresh(&self, settle: impl Fn()) -> bool {
        let mut tried = self.tried.lock().unwrap_or_else(PoisonError::into_inner);
        let read = || CredentialFile::ALL.map(|file| Contents::read(file, &self.files));
        let now = read();
        if now == *tried {
            return true;
        }
        settle();
        if read() != now {
            return false;
        }
        for (file, (before, after)) in CredentialFile::ALL.into_iter().zip(tried.iter().zip(&now)) {
            if before == after {
                continue;
            }
            let used = self.replace(file, after);
            self.metrics.credentials_loaded(file, used.is_ok());
            let file = file.name();
            match used {
                Ok(()) => tracing::info!(file, "new credentials are in use"),
                Err(error) => tracing::error!(
                    file,
                    %error,
                    "new credentials cannot be used; those before them stay"
                ),
            }
        }
        *tried = now;
        true
    }

    fn replace(&self, file: CredentialFile, contents: &Contents) -> Result<(), FileError> {
        let table = self.table.load();
        let (mut tokens, mut callers) = (table.tokens.clone(), table.callers.clone());
        match (file, &self.files.tokens, &self.files.callers, &self.tls) {
            (CredentialFile::Tls, _, _, Some(tls)) => {
                let new = Tls::read(contents, &self.files)?;
                self.metrics.certificate_expires(new.not_after);
                tls.store(Arc::new(new));
                // After that: who sees the new number sees the new authorities too.
                self.generation.fetch_add(1, Release);
                return Ok(());
            }
            (CredentialFile::Tokens, Some(path), _, _) => {
                tokens = Some(Arc::new(Tokens::read(path, contents, &self.key)?));
            }
            (CredentialFile::Callers, _, Some(path), _) => {
                callers = Some(Arc::new(Callers::read(path, contents)?));
            }
            _ => return Ok(()),
        }
        let table = Table { tokens, callers };
        table.warn();
        self.table.store(Arc::new(table));
        Ok(())
    }
}
