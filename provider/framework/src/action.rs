//! The trait that an action's author writes.

use async_trait::async_trait;

use crate::{Cx, Diagnostics, Model};

/// One kind of thing to do that leaves nothing in the state: a switchover, a restart, a purge.
#[async_trait]
pub trait Action: Send + Sync + 'static {
    /// What the provider's `configure` returns.
    type Client: Send + Sync + 'static;
    /// The attributes and blocks, none of them computed.
    type Model: Model;

    /// The full name, with the provider's prefix.
    const TYPE_NAME: &'static str;

    /// Checks a configuration, which may hold unknown values; skip what isn't known.
    async fn validate(
        &self,
        cx: &Cx<Self::Client>,
        config: &Self::Model,
        diagnostics: &mut Diagnostics,
    ) {
        let _ = (cx, config, diagnostics);
    }

    /// Says whether it could be done, without doing it. Values may be unknown still.
    async fn plan(&self, cx: &Cx<Self::Client>, config: &Self::Model) -> Result<(), Diagnostics> {
        let _ = (cx, config);
        Ok(())
    }

    /// Does it. [`Cx::progress`] tells the person who waits how far it is.
    async fn invoke(&self, cx: &Cx<Self::Client>, config: Self::Model) -> Result<(), Diagnostics>;
}
