//! The trait that a state store's author writes.

use async_trait::async_trait;

use crate::{Cx, Diagnostics, Model};

/// One kind of place where Terraform may keep its state.
///
/// A state is bytes under an id, which is the name of a workspace. What Terraform sends and gets
/// in chunks is whole here.
#[async_trait]
pub trait StateStore: Send + Sync + 'static {
    /// What the provider's `configure` returns.
    type Client: Send + Sync + 'static;
    /// The attributes and blocks of the store's block.
    type Config: Model;
    /// The configured store.
    type Store: Send + Sync + 'static;

    /// The full name, with the provider's prefix.
    const TYPE_NAME: &'static str;

    /// How large one state may be. What Terraform sends is held in memory until it is whole.
    const STATE_BYTES_MAX: usize = 256 << 20;

    /// Checks a configuration, which may hold unknown values; skip what isn't known.
    async fn validate(
        &self,
        cx: &Cx<Self::Client>,
        config: &Self::Config,
        diagnostics: &mut Diagnostics,
    ) {
        let _ = (cx, config, diagnostics);
    }

    /// Makes the store that all other calls get.
    async fn configure(
        &self,
        cx: &Cx<Self::Client>,
        config: Self::Config,
    ) -> Result<Self::Store, Diagnostics>;

    /// The bytes of a state, or `None` where there is none yet.
    async fn read(
        &self,
        cx: &Cx<Self::Client>,
        store: &Self::Store,
        id: &str,
    ) -> Result<Option<Vec<u8>>, Diagnostics>;

    /// Keeps the bytes of a state in place of what was there. Terraform may write after it was
    /// asked to stop, so that what was done isn't lost: don't give up early.
    async fn write(
        &self,
        cx: &Cx<Self::Client>,
        store: &Self::Store,
        id: &str,
        state: Vec<u8>,
    ) -> Result<(), Diagnostics>;

    /// Takes the lock of a state and returns its id. An error where somebody else holds it, which
    /// should say who, since when, and for which operation.
    async fn lock(
        &self,
        cx: &Cx<Self::Client>,
        store: &Self::Store,
        id: &str,
        operation: &str,
    ) -> Result<String, Diagnostics>;

    /// Gives the lock back. An error where that lock isn't the one that is held.
    async fn unlock(
        &self,
        cx: &Cx<Self::Client>,
        store: &Self::Store,
        id: &str,
        lock_id: &str,
    ) -> Result<(), Diagnostics>;

    /// The ids of all states.
    async fn states(
        &self,
        cx: &Cx<Self::Client>,
        store: &Self::Store,
    ) -> Result<Vec<String>, Diagnostics>;

    /// Deletes a state. One that isn't there is no error.
    async fn delete(
        &self,
        cx: &Cx<Self::Client>,
        store: &Self::Store,
        id: &str,
    ) -> Result<(), Diagnostics>;
}
