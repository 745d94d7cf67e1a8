//! An ephemeral resource behind its type.

use async_trait::async_trait;

use super::{Known, LazySchema, checked, filled, model};
use crate::value::Value;
use crate::{Cx, Diagnostics, EphemeralResource, Model};

#[async_trait]
pub(crate) trait AnyEphemeralResource<C>: Send + Sync {
    fn type_name(&self) -> &'static str;
    fn known(&self) -> &Known;
    async fn validate(&self, cx: &Cx<C>, config: Value) -> Diagnostics;
    async fn open(&self, cx: &Cx<C>, config: Value) -> Result<Value, Diagnostics>;
    async fn renew(&self, cx: &Cx<C>) -> Result<(), Diagnostics>;
    async fn close(&self, cx: &Cx<C>) -> Result<(), Diagnostics>;
}

pub(crate) struct TypedEphemeralResource<E> {
    ephemeral_resource: E,
    schema: LazySchema,
}

impl<E: EphemeralResource> TypedEphemeralResource<E> {
    pub(crate) fn new(ephemeral_resource: E) -> Self {
        Self {
            ephemeral_resource,
            schema: LazySchema::default(),
        }
    }
}

#[async_trait]
impl<E: EphemeralResource> AnyEphemeralResource<E::Client> for TypedEphemeralResource<E> {
    fn type_name(&self) -> &'static str {
        E::TYPE_NAME
    }

    fn known(&self) -> &Known {
        self.schema.of_model::<E::Model>(0)
    }

    async fn validate(&self, cx: &Cx<E::Client>, config: Value) -> Diagnostics {
        let mut diagnostics = Diagnostics::new();
        if let Some(config) = checked::<E::Model>(self.known(), config, &mut diagnostics) {
            let author = &self.ephemeral_resource;
            author.validate(cx, &config, &mut diagnostics).await;
        }
        diagnostics
    }

    async fn open(&self, cx: &Cx<E::Client>, config: Value) -> Result<Value, Diagnostics> {
        let before = model::<E::Model>(config.clone())?.into_value();
        let opened = self
            .ephemeral_resource
            .open(cx, model(config.clone())?)
            .await?;
        filled(E::TYPE_NAME, config, before, opened.into_value())
    }

    async fn renew(&self, cx: &Cx<E::Client>) -> Result<(), Diagnostics> {
        self.ephemeral_resource.renew(cx).await
    }

    async fn close(&self, cx: &Cx<E::Client>) -> Result<(), Diagnostics> {
        self.ephemeral_resource.close(cx).await
    }
}
