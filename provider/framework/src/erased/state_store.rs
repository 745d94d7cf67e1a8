//! A state store behind its type, with the store that its configuration made.

use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;

use super::{Known, LazySchema, checked, model};
use crate::value::Value;
use crate::{Cx, Diagnostic, Diagnostics, StateStore};

#[async_trait]
pub(crate) trait AnyStateStore<C>: Send + Sync {
    fn type_name(&self) -> &'static str;
    fn known(&self) -> &Known;
    fn state_bytes_max(&self) -> usize;
    /// How large a chunk may be, as agreed; an error before the store is configured.
    fn chunk_bytes(&self) -> Result<usize, Diagnostics>;
    async fn validate(&self, cx: &Cx<C>, config: Value) -> Diagnostics;
    async fn configure(
        &self,
        cx: &Cx<C>,
        config: Value,
        chunk_bytes: usize,
    ) -> Result<(), Diagnostics>;
    async fn read(&self, cx: &Cx<C>, id: &str) -> Result<Option<Vec<u8>>, Diagnostics>;
    async fn write(&self, cx: &Cx<C>, id: &str, state: Vec<u8>) -> Result<(), Diagnostics>;
    async fn lock(&self, cx: &Cx<C>, id: &str, operation: &str) -> Result<String, Diagnostics>;
    async fn unlock(&self, cx: &Cx<C>, id: &str, lock_id: &str) -> Result<(), Diagnostics>;
    async fn states(&self, cx: &Cx<C>) -> Result<Vec<String>, Diagnostics>;
    async fn delete(&self, cx: &Cx<C>, id: &str) -> Result<(), Diagnostics>;
}

pub(crate) struct TypedStateStore<S: StateStore> {
    state_store: S,
    schema: LazySchema,
    configured: RwLock<Option<Configured<S::Store>>>,
}

struct Configured<S> {
    store: Arc<S>,
    chunk_bytes: usize,
}

impl<S: StateStore> TypedStateStore<S> {
    pub(crate) fn new(state_store: S) -> Self {
        Self {
            state_store,
            schema: LazySchema::default(),
            configured: RwLock::new(None),
        }
    }

    fn configured<T>(&self, take: impl Fn(&Configured<S::Store>) -> T) -> Result<T, Diagnostics> {
        let configured = self
            .configured
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        configured.as_ref().map(take).ok_or_else(|| {
            Diagnostic::error(
                "State store not configured",
                format!(
                    "Terraform asked for a state before it configured {}. Run `terraform init`.",
                    S::TYPE_NAME
                ),
            )
            .into()
        })
    }

    fn store(&self) -> Result<Arc<S::Store>, Diagnostics> {
        self.configured(|configured| Arc::clone(&configured.store))
    }
}

#[async_trait]
impl<S: StateStore> AnyStateStore<S::Client> for TypedStateStore<S> {
    fn type_name(&self) -> &'static str {
        S::TYPE_NAME
    }

    fn known(&self) -> &Known {
        self.schema.of_model::<S::Config>(0)
    }

    fn state_bytes_max(&self) -> usize {
        S::STATE_BYTES_MAX
    }

    fn chunk_bytes(&self) -> Result<usize, Diagnostics> {
        self.configured(|configured| configured.chunk_bytes)
    }

    async fn validate(&self, cx: &Cx<S::Client>, config: Value) -> Diagnostics {
        let mut diagnostics = Diagnostics::new();
        if let Some(config) = checked::<S::Config>(self.known(), config, &mut diagnostics) {
            let author = &self.state_store;
            author.validate(cx, &config, &mut diagnostics).await;
        }
        diagnostics
    }

    async fn configure(
        &self,
        cx: &Cx<S::Client>,
        config: Value,
        chunk_bytes: usize,
    ) -> Result<(), Diagnostics> {
        let store = Arc::new(self.state_store.configure(cx, model(config)?).await?);
        let mut configured = self
            .configured
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *configured = Some(Configured { store, chunk_bytes });
        Ok(())
    }

    async fn read(&self, cx: &Cx<S::Client>, id: &str) -> Result<Option<Vec<u8>>, Diagnostics> {
        self.state_store.read(cx, &*self.store()?, id).await
    }

    async fn write(&self, cx: &Cx<S::Client>, id: &str, state: Vec<u8>) -> Result<(), Diagnostics> {
        self.state_store.write(cx, &*self.store()?, id, state).await
    }

    async fn lock(
        &self,
        cx: &Cx<S::Client>,
        id: &str,
        operation: &str,
    ) -> Result<String, Diagnostics> {
        let store = self.store()?;
        self.state_store.lock(cx, &*store, id, operation).await
    }

    async fn unlock(&self, cx: &Cx<S::Client>, id: &str, lock_id: &str) -> Result<(), Diagnostics> {
        let store = self.store()?;
        self.state_store.unlock(cx, &*store, id, lock_id).await
    }

    async fn states(&self, cx: &Cx<S::Client>) -> Result<Vec<String>, Diagnostics> {
        self.state_store.states(cx, &*self.store()?).await
    }

    async fn delete(&self, cx: &Cx<S::Client>, id: &str) -> Result<(), Diagnostics> {
        self.state_store.delete(cx, &*self.store()?, id).await
    }
}
