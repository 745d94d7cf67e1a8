//! A data source behind its type.

use async_trait::async_trait;

use super::{Known, LazySchema, checked, filled, model};
use crate::value::Value;
use crate::{Cx, DataSource, Diagnostics, Model};

#[async_trait]
pub(crate) trait AnyDataSource<C>: Send + Sync {
    fn type_name(&self) -> &'static str;
    fn known(&self) -> &Known;
    async fn validate(&self, cx: &Cx<C>, config: Value) -> Diagnostics;
    async fn read(&self, cx: &Cx<C>, config: Value) -> Result<Value, Diagnostics>;
}

pub(crate) struct TypedDataSource<D> {
    data_source: D,
    schema: LazySchema,
}

impl<D: DataSource> TypedDataSource<D> {
    pub(crate) fn new(data_source: D) -> Self {
        Self {
            data_source,
            schema: LazySchema::default(),
        }
    }
}

#[async_trait]
impl<D: DataSource> AnyDataSource<D::Client> for TypedDataSource<D> {
    fn type_name(&self) -> &'static str {
        D::TYPE_NAME
    }

    fn known(&self) -> &Known {
        self.schema.of_model::<D::Model>(0)
    }

    async fn validate(&self, cx: &Cx<D::Client>, config: Value) -> Diagnostics {
        let mut diagnostics = Diagnostics::new();
        if let Some(config) = checked::<D::Model>(self.known(), config, &mut diagnostics) {
            let author = &self.data_source;
            author.validate(cx, &config, &mut diagnostics).await;
        }
        diagnostics
    }

    async fn read(&self, cx: &Cx<D::Client>, config: Value) -> Result<Value, Diagnostics> {
        let before = model::<D::Model>(config.clone())?.into_value();
        let read = self.data_source.read(cx, model(config.clone())?).await?;
        filled(D::TYPE_NAME, config, before, read.into_value())
    }
}
