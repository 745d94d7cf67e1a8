//! The calls about the provider's own configuration.

use std::sync::{Arc, PoisonError};

use super::{Configured, Server, decode};
use crate::context::Call;
use crate::erased::model;
use crate::private::Private;
use crate::proto::tfplugin6 as wire;
use crate::{Cx, Diagnostics, Model as _, Provider, plan};

impl<P: Provider> Server<P> {
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
