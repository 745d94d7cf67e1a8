//! The trait that an ephemeral resource's author writes.

use async_trait::async_trait;

use crate::{Cx, Diagnostic, Diagnostics, Model};

/// One kind of value that is obtained while Terraform runs, and stored nowhere: a token, a
/// password, a tunnel.
///
/// What [`Cx::set_private`] keeps in `open` is there again in `renew` and `close`. It stays in
/// Terraform's memory.
#[async_trait]
pub trait EphemeralResource: Send + Sync + 'static {
    /// What the provider's `configure` returns.
    type Client: Send + Sync + 'static;
    /// The attributes and blocks.
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

    /// Obtains it: the configuration with every computed attribute filled in. Terraform opens one
    /// in plan and apply alike, so obtaining it should change nothing that lasts.
    /// [`Cx::renew_at`] asks to be called again in time.
    async fn open(
        &self,
        cx: &Cx<Self::Client>,
        config: Self::Model,
    ) -> Result<Self::Model, Diagnostics>;

    /// Prolongs what was opened. The value that Terraform holds stays the same.
    async fn renew(&self, cx: &Cx<Self::Client>) -> Result<(), Diagnostics> {
        let _ = cx;
        let summary = format!("Unable to renew {}", Self::TYPE_NAME);
        let detail = "It asked to be renewed and can't be. This is a mistake in the provider; \
                      please report it to its authors.";
        Err(Diagnostic::error(summary, detail).into())
    }

    /// Gives it back, when nothing needs it any longer.
    async fn close(&self, cx: &Cx<Self::Client>) -> Result<(), Diagnostics> {
        let _ = cx;
        Ok(())
    }
}
