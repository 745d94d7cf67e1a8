//! The calls that ask what the provider has. An author's mistakes in it are told here, with more
//! to say than Terraform would.

use std::collections::HashMap;

use super::{Server, function};
use crate::context::Call;
use crate::erased::Known;
use crate::proto::tfplugin6 as wire;
use crate::schema::Owner;
use crate::{Diagnostics, Provider};

const CAPABILITIES: wire::ServerCapabilities = wire::ServerCapabilities {
    plan_destroy: true,
    get_provider_schema_optional: true,
    move_resource_state: true,
    generate_resource_config: true,
};

/// One entry of metadata for each thing in a part of the registry.
macro_rules! named {
    ($metadata:ident, $things:expr) => {
        $things
            .iter()
            .map(|thing| wire::get_metadata::$metadata {
                type_name: thing.type_name().to_owned(),
            })
            .collect()
    };
}

/// The name and schema of each thing in a part of the registry.
macro_rules! known {
    ($things:expr) => {
        $things
            .iter()
            .map(|thing| (thing.type_name(), thing.known()))
    };
}

impl<P: Provider> Server<P> {
    pub(super) async fn metadata(
        &self,
        _: wire::get_metadata::Request,
        _: Call,
    ) -> Result<wire::get_metadata::Response, Diagnostics> {
        let registry = self.registry();
        let function = |name: &str| wire::get_metadata::FunctionMetadata {
            name: name.to_owned(),
        };
        Ok(wire::get_metadata::Response {
            server_capabilities: Some(CAPABILITIES),
            resources: named!(ResourceMetadata, registry.resources),
            data_sources: named!(DataSourceMetadata, registry.data_sources),
            ephemeral_resources: named!(EphemeralMetadata, registry.ephemeral_resources),
            list_resources: named!(ListResourceMetadata, registry.list_resources),
            actions: named!(ActionMetadata, registry.actions),
            state_stores: named!(StateStoreMetadata, registry.state_stores),
            functions: registry
                .functions
                .iter()
                .map(|of| function(of.name()))
                .collect(),
            ..wire::get_metadata::Response::default()
        })
    }

    pub(super) async fn schemas(
        &self,
        _: wire::get_provider_schema::Request,
        _: Call,
    ) -> Result<wire::get_provider_schema::Response, Diagnostics> {
        let registry = self.registry();
        let schema = &self.known().schema;
        let mut catalogue = Catalogue::default();
        catalogue.check(Owner::Provider, "the provider", self.known());
        if let Some(meta) = &registry.provider_meta {
            catalogue.check(Owner::Provider, "provider_meta", meta);
        }
        let answer = wire::get_provider_schema::Response {
            provider: Some(schema.to_wire()),
            provider_meta: registry
                .provider_meta
                .as_ref()
                .map(|of| of.schema.to_wire()),
            resource_schemas: catalogue.add(Owner::Resource, known!(registry.resources)),
            data_source_schemas: catalogue.add(Owner::DataSource, known!(registry.data_sources)),
            ephemeral_resource_schemas: catalogue.add(
                Owner::EphemeralResource,
                known!(registry.ephemeral_resources),
            ),
            list_resource_schemas: catalogue
                .add(Owner::ListResource, known!(registry.list_resources)),
            action_schemas: catalogue
                .add(Owner::Action, known!(registry.actions))
                .into_iter()
                .map(|(name, schema)| {
                    let schema = Some(schema);
                    (name, wire::ActionSchema { schema })
                })
                .collect(),
            state_store_schemas: catalogue.add(Owner::StateStore, known!(registry.state_stores)),
            functions: self.functions(&mut catalogue.mistakes),
            server_capabilities: Some(CAPABILITIES),
            ..wire::get_provider_schema::Response::default()
        };
        self.check_lists(&mut catalogue.mistakes);
        Ok(wire::get_provider_schema::Response {
            diagnostics: catalogue.mistakes.into_wire(),
            ..answer
        })
    }

    pub(super) async fn get_functions(
        &self,
        _: wire::get_functions::Request,
        _: Call,
    ) -> Result<wire::get_functions::Response, Diagnostics> {
        let mut mistakes = Diagnostics::new();
        Ok(wire::get_functions::Response {
            functions: self.functions(&mut mistakes),
            diagnostics: mistakes.into_wire(),
        })
    }

    fn functions(&self, mistakes: &mut Diagnostics) -> HashMap<String, wire::Function> {
        let mut functions = HashMap::new();
        for function in &self.registry().functions {
            let (name, signature) = (function.name(), function.signature());
            for mistake in signature.mistakes(name) {
                mistakes.error(format!("Invalid function {name}"), mistake);
            }
            insert(
                &mut functions,
                "function",
                name,
                function::to_wire(signature),
                mistakes,
            );
        }
        functions
    }
}

/// Schemas as they are gathered, with the mistakes in them.
#[derive(Default)]
struct Catalogue {
    mistakes: Diagnostics,
}

impl Catalogue {
    fn check(&mut self, owner: Owner, subject: &str, known: &Known) {
        self.mistakes.extend(known.schema.mistakes(subject));
        self.mistakes.extend(known.schema.misplaced(owner, subject));
    }

    fn add<'a>(
        &mut self,
        owner: Owner,
        things: impl Iterator<Item = (&'static str, &'a Known)>,
    ) -> HashMap<String, wire::Schema> {
        let mut schemas = HashMap::new();
        for (name, known) in things {
            self.check(owner, name, known);
            let schema = known.schema.to_wire();
            insert(&mut schemas, owner.name(), name, schema, &mut self.mistakes);
        }
        schemas
    }
}

fn insert<T>(
    into: &mut HashMap<String, T>,
    kind: &str,
    name: &str,
    value: T,
    mistakes: &mut Diagnostics,
) {
    if into.insert(name.to_owned(), value).is_some() {
        mistakes.error(
            "Invalid provider",
            format!("The {kind} {name} comes twice."),
        );
    }
}
