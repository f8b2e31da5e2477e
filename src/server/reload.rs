//! The way from the admin listener to whatever loads snapshots, which the server does not know.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// What an operator accepts in an emergency, this once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReloadOptions {
    /// Policy tests that are answered otherwise than they say.
    pub accept_failed_tests: bool,
    /// The loss of more users or objects than the limit.
    pub accept_loss: bool,
    /// A snapshot that is older than what ran before.
    pub accept_rollback: bool,
}

type Reloading = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// Looks at the source now; done when all that it holds was activated or refused.
#[derive(Clone)]
pub struct ReloadHandle(Arc<dyn Fn(ReloadOptions) -> Reloading + Send + Sync>);

impl ReloadHandle {
    /// A handle that calls `reload`, whose error says why the source could not be looked at at all.
    pub fn new<F, R>(reload: F) -> Self
    where
        F: Fn(ReloadOptions) -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), String>> + Send + 'static,
    {
        Self(Arc::new(move |options| Box::pin(reload(options))))
    }

    pub(super) async fn call(&self, options: ReloadOptions) -> Result<(), String> {
        (self.0)(options).await
    }
}
