//! A data source behind its type.

use async_trait::async_trait;

use super::{Known, LazySchema, model};
use crate::plan::{self, write_back};
use crate::value::Value;
use crate::{Cx, DataSource, Diagnostic, Diagnostics, Model, Path};

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
        plan::validate(&self.known().schema.block, &config, &mut diagnostics);
        match model::<D::Model>(config) {
            Ok(config) => {
                self.data_source
                    .validate(cx, &config, &mut diagnostics)
                    .await
            }
            Err(found) => diagnostics.extend(found),
        }
        diagnostics
    }

    async fn read(&self, cx: &Cx<D::Client>, config: Value) -> Result<Value, Diagnostics> {
        let before = model::<D::Model>(config.clone())?.into_value();
        let after = self
            .data_source
            .read(cx, model(config.clone())?)
            .await?
            .into_value();
        let state = write_back(config, before, after);
        let incomplete = |path: Path| {
            let detail = format!("{path} is still unknown after reading. Please report this.");
            Diagnostic::error(format!("Incomplete {}", D::TYPE_NAME), detail).at(path)
        };
        let found: Diagnostics = plan::unknown_paths(&state)
            .into_iter()
            .map(incomplete)
            .collect();
        found.into_result().map(|()| state)
    }
}
