//! Objects that exist already: reading one, adopting one that Terraform didn't make or that was
//! another resource's, and writing the configuration of one.

use super::{Identified, ImportBy, TypedResource, incomplete, model};
use crate::erased::AnyResource as _;
use crate::plan::{self, write_back};
use crate::value::Value;
use crate::{Cx, Diagnostic, Diagnostics, Model, MoveSource, Resource};

impl<R: Resource> TypedResource<R> {
    pub(super) async fn read_state(
        &self,
        cx: &Cx<R::Client>,
        prior: Identified,
    ) -> Result<Identified, Diagnostics> {
        let state = prior.value;
        let before = model::<R::Model>(state.clone())?.into_value();
        let Some(after) = self.resource.read(cx, model(state.clone())?).await? else {
            return Ok(Identified::default());
        };
        let mut now = write_back(state.clone(), before, after.into_value());
        plan::keep_equivalent(&self.known().schema.block, &mut now, &state);
        let read = self.complete(now, prior.identity.as_ref())?;
        self.identity_mistakes(&read, prior.identity.as_ref())
            .into_result()?;
        Ok(read)
    }

    pub(super) async fn import_state(
        &self,
        cx: &Cx<R::Client>,
        by: ImportBy,
    ) -> Result<Identified, Diagnostics> {
        match by {
            ImportBy::Id(id) if id.is_empty() => {
                Err(unable_to_import(R::TYPE_NAME, "The id to import is empty."))
            }
            ImportBy::Id(id) => {
                let state = self.resource.import(cx, &id).await?.into_value();
                self.complete(state, None)
            }
            ImportBy::Identity(wanted) => {
                self.check_wanted(&wanted)?;
                let wanted_model = model(wanted.clone())?;
                let state = self.resource.import_by_identity(cx, wanted_model).await?;
                let imported = self.complete(state.into_value(), Some(&wanted))?;
                if let Some(identity) = &imported.identity {
                    self.identity_changes(identity, Some(&wanted))
                        .into_result()?;
                }
                Ok(imported)
            }
        }
    }

    pub(super) async fn take_over_state(
        &self,
        cx: &Cx<R::Client>,
        source: MoveSource,
    ) -> Result<Identified, Diagnostics> {
        let (type_name, provider) = (source.type_name.clone(), source.provider_address.clone());
        let Some(state) = self.resource.move_from(cx, source).await? else {
            let summary = format!("Unable to move to {}", R::TYPE_NAME);
            let detail = format!(
                "{} can't take over a {type_name} of {provider}. Remove the moved block, and \
                 import the object instead.",
                R::TYPE_NAME
            );
            return Err(Diagnostic::error(summary, detail).into());
        };
        self.complete(state.into_value(), None)
    }

    pub(super) async fn generate_config(
        &self,
        cx: &Cx<R::Client>,
        state: Value,
    ) -> Result<Value, Diagnostics> {
        let block = &self.known().schema.block;
        let mut config = state.clone();
        plan::configuration(block, &mut config);
        let before = model::<R::Model>(config.clone())?.into_value();
        let state = model::<R::Model>(state)?;
        let config_model = model::<R::Model>(config.clone())?;
        let after = self
            .resource
            .generate_config(cx, &state, config_model)
            .await?;
        let mut config = write_back(config, before, after.into_value());
        plan::only_configurable(block, &mut config);
        match incomplete(R::TYPE_NAME, &config) {
            found if found.is_empty() => Ok(config),
            found => Err(found),
        }
    }

    /// An identity to import has to say what the schema requires.
    fn check_wanted(&self, wanted: &Value) -> Result<(), Diagnostics> {
        let Some(schema) = self.identity() else {
            let detail = "This resource has no identity to import by.";
            return Err(unable_to_import(R::TYPE_NAME, detail));
        };
        let missing = schema.missing(wanted);
        if missing.is_empty() && wanted.is_wholly_known() {
            return Ok(());
        }
        let detail = format!(
            "The identity has to be known, and to say: {}.",
            missing.join(", ")
        );
        Err(unable_to_import(R::TYPE_NAME, detail))
    }

    /// A state as it may be stored, with its identity.
    pub(super) fn complete(
        &self,
        mut state: Value,
        identity: Option<&Value>,
    ) -> Result<Identified, Diagnostics> {
        plan::nullify_write_only(&self.known().schema.block, &mut state);
        match incomplete(R::TYPE_NAME, &state) {
            found if found.is_empty() => Ok(self.identified(state, identity)),
            found => Err(found),
        }
    }
}

fn unable_to_import(type_name: &str, why: impl Into<String>) -> Diagnostics {
    Diagnostic::error(format!("Unable to import {type_name}"), why).into()
}
