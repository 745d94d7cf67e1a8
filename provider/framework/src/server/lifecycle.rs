//! The calls about the provider as a whole: what it has, and its configuration.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use super::{Configured, Server, decode};
use crate::context::Call;
use crate::erased::model;
use crate::private::Private;
use crate::proto::tfplugin6 as wire;
use crate::{Cx, Diagnostics, Model as _, Provider, plan};

const CAPABILITIES: wire::ServerCapabilities = wire::ServerCapabilities {
    plan_destroy: true,
    get_provider_schema_optional: true,
    move_resource_state: false,
    generate_resource_config: false,
};

impl<P: Provider> Server<P> {
    pub(super) async fn metadata(
        &self,
        _: wire::get_metadata::Request,
        _: Call,
    ) -> Result<wire::get_metadata::Response, Diagnostics> {
        use wire::get_metadata::{DataSourceMetadata, FunctionMetadata, ResourceMetadata};
        let registry = self.registry();
        let resource = |type_name: &str| ResourceMetadata {
            type_name: type_name.to_owned(),
        };
        let data_source = |type_name: &str| DataSourceMetadata {
            type_name: type_name.to_owned(),
        };
        let function = |name: &str| FunctionMetadata {
            name: name.to_owned(),
        };
        Ok(wire::get_metadata::Response {
            server_capabilities: Some(CAPABILITIES),
            resources: registry
                .resources
                .iter()
                .map(|of| resource(of.type_name()))
                .collect(),
            data_sources: registry
                .data_sources
                .iter()
                .map(|of| data_source(of.type_name()))
                .collect(),
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
        let mut mistakes = self.known().schema.mistakes("the provider");
        let mut resources = HashMap::new();
        for resource in &registry.resources {
            let (name, schema) = (resource.type_name(), &resource.known().schema);
            mistakes.extend(schema.mistakes(name));
            if resources
                .insert(name.to_owned(), schema.to_wire())
                .is_some()
            {
                mistakes.error(
                    "Invalid provider",
                    format!("The resource {name} comes twice."),
                );
            }
        }
        let mut data_sources = HashMap::new();
        for data_source in &registry.data_sources {
            let (name, schema) = (data_source.type_name(), &data_source.known().schema);
            mistakes.extend(schema.mistakes(name));
            if data_sources
                .insert(name.to_owned(), schema.to_wire())
                .is_some()
            {
                mistakes.error(
                    "Invalid provider",
                    format!("The data source {name} comes twice."),
                );
            }
        }
        Ok(wire::get_provider_schema::Response {
            provider: Some(self.known().schema.to_wire()),
            resource_schemas: resources,
            data_source_schemas: data_sources,
            functions: self.functions(),
            server_capabilities: Some(CAPABILITIES),
            diagnostics: mistakes.into_wire(),
            ..wire::get_provider_schema::Response::default()
        })
    }

    pub(super) async fn validate_config(
        &self,
        request: wire::validate_provider_config::Request,
        call: Call,
    ) -> Result<wire::validate_provider_config::Response, Diagnostics> {
        let config = decode(request.config, &self.known().of)?;
        let mut diagnostics = Diagnostics::new();
        plan::validate(&self.known().schema.block, &config, &mut diagnostics);
        let cx = Cx::new(None, call, Private::default());
        self.provider
            .validate(&cx, &model(config)?, &mut diagnostics)
            .await;
        diagnostics.extend(cx.take_outcome().diagnostics);
        Ok(wire::validate_provider_config::Response {
            diagnostics: diagnostics.into_wire(),
        })
    }

    pub(super) async fn configure(
        &self,
        request: wire::configure_provider::Request,
        mut call: Call,
    ) -> Result<wire::configure_provider::Response, Diagnostics> {
        let terraform_version: Arc<str> = request.terraform_version.into();
        call.terraform_version = Arc::clone(&terraform_version);
        let call = call.with(request.client_capabilities.as_ref());
        let config = P::Config::from_value(decode(request.config, &self.known().of)?)
            .map_err(|error| error.into_diagnostic())?;
        let cx = Cx::new(None, call, Private::default());
        let client = self.provider.configure(&cx, config).await?;
        let configured = Configured {
            client: Some(Arc::new(client)),
            terraform_version,
        };
        *self
            .configured
            .write()
            .unwrap_or_else(PoisonError::into_inner) = configured;
        let diagnostics = cx.take_outcome().diagnostics.into_wire();
        Ok(wire::configure_provider::Response { diagnostics })
    }
}
