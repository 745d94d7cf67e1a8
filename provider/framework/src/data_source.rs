//! The trait that a data source's author writes.

use async_trait::async_trait;

use crate::{Cx, Diagnostics, Model};

/// One kind of thing that can be looked up.
#[async_trait]
pub trait DataSource: Send + Sync + 'static {
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

    /// Looks it up: the configuration with every computed attribute filled in.
    async fn read(
        &self,
        cx: &Cx<Self::Client>,
        config: Self::Model,
    ) -> Result<Self::Model, Diagnostics>;
}
