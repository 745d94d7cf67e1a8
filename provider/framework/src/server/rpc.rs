//! The protocol's service: one method for each call, with no logic of its own.

use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use tonic::{Request, Response, Status, Streaming};

use super::answer::Failed;
use super::{Service, function, unbuilt};
use crate::proto::tfplugin6 as wire;
use crate::proto::tfplugin6::provider_server;
use crate::{FunctionError, Provider};

/// A stream of answers.
type Answers<T> = BoxStream<'static, Result<T, Status>>;

#[tonic::async_trait]
impl<P: Provider> provider_server::Provider for Service<P> {
    type ListResourceStream = Answers<wire::list_resource::Event>;
    type ReadStateBytesStream = Answers<wire::read_state_bytes::Response>;
    type InvokeActionStream = Answers<wire::invoke_action::Event>;

    async fn get_metadata(
        &self,
        _: Request<wire::get_metadata::Request>,
    ) -> Result<Response<wire::get_metadata::Response>, Status> {
        self.call(
            "the list of resources",
            |server, _| async move { Ok(server.metadata()) },
            Failed::failed,
        )
        .await
    }

    async fn get_provider_schema(
        &self,
        _: Request<wire::get_provider_schema::Request>,
    ) -> Result<Response<wire::get_provider_schema::Response>, Status> {
        self.call(
            "the schema",
            |server, _| async move { Ok(server.schemas()) },
            Failed::failed,
        )
        .await
    }

    async fn validate_provider_config(
        &self,
        request: Request<wire::validate_provider_config::Request>,
    ) -> Result<Response<wire::validate_provider_config::Response>, Status> {
        let request = request.into_inner();
        self.call(
            "the provider block",
            |server, call| async move { server.validate_config(request, call).await },
            Failed::failed,
        )
        .await
    }

    async fn configure_provider(
        &self,
        request: Request<wire::configure_provider::Request>,
    ) -> Result<Response<wire::configure_provider::Response>, Status> {
        let request = request.into_inner();
        self.call(
            "the provider block",
            |server, call| async move { server.configure(request, call).await },
            Failed::failed,
        )
        .await
    }

    async fn validate_resource_config(
        &self,
        request: Request<wire::validate_resource_config::Request>,
    ) -> Result<Response<wire::validate_resource_config::Response>, Status> {
        let request = request.into_inner();
        self.call(
            &request.type_name.clone(),
            |server, call| async move { server.validate_resource(request, call).await },
            Failed::failed,
        )
        .await
    }

    async fn upgrade_resource_state(
        &self,
        request: Request<wire::upgrade_resource_state::Request>,
    ) -> Result<Response<wire::upgrade_resource_state::Response>, Status> {
        let request = request.into_inner();
        self.call(
            &request.type_name.clone(),
            |server, call| async move { server.upgrade_resource(request, call).await },
            Failed::failed,
        )
        .await
    }

    async fn read_resource(
        &self,
        request: Request<wire::read_resource::Request>,
    ) -> Result<Response<wire::read_resource::Response>, Status> {
        let request = request.into_inner();
        self.call(
            &request.type_name.clone(),
            |server, call| async move { server.read_resource(request, call).await },
            Failed::failed,
        )
        .await
    }

    async fn plan_resource_change(
        &self,
        request: Request<wire::plan_resource_change::Request>,
    ) -> Result<Response<wire::plan_resource_change::Response>, Status> {
        let request = request.into_inner();
        self.call(
            &request.type_name.clone(),
            |server, call| async move { server.plan_resource(request, call).await },
            Failed::failed,
        )
        .await
    }

    async fn import_resource_state(
        &self,
        request: Request<wire::import_resource_state::Request>,
    ) -> Result<Response<wire::import_resource_state::Response>, Status> {
        let request = request.into_inner();
        self.call(
            &request.type_name.clone(),
            |server, call| async move { server.import_resource(request, call).await },
            Failed::failed,
        )
        .await
    }

    async fn validate_data_resource_config(
        &self,
        request: Request<wire::validate_data_resource_config::Request>,
    ) -> Result<Response<wire::validate_data_resource_config::Response>, Status> {
        let request = request.into_inner();
        self.call(
            &request.type_name.clone(),
            |server, call| async move { server.validate_data_source(request, call).await },
            Failed::failed,
        )
        .await
    }

    async fn read_data_source(
        &self,
        request: Request<wire::read_data_source::Request>,
    ) -> Result<Response<wire::read_data_source::Response>, Status> {
        let request = request.into_inner();
        self.call(
            &request.type_name.clone(),
            |server, call| async move { server.read_data_source(request, call).await },
            Failed::failed,
        )
        .await
    }

    async fn apply_resource_change(
        &self,
        request: Request<wire::apply_resource_change::Request>,
    ) -> Result<Response<wire::apply_resource_change::Response>, Status> {
        let request = request.into_inner();
        // Whatever goes wrong here, the object is still known to Terraform as it was.
        let (prior, private) = (request.prior_state.clone(), request.planned_private.clone());
        self.call(
            &request.type_name.clone(),
            |server, call| async move { server.apply_resource(request, call).await },
            |diagnostics| wire::apply_resource_change::Response {
                new_state: prior,
                private,
                ..Failed::failed(diagnostics)
            },
        )
        .await
    }

    async fn get_functions(
        &self,
        _: Request<wire::get_functions::Request>,
    ) -> Result<Response<wire::get_functions::Response>, Status> {
        let functions = self.0.functions();
        Ok(Response::new(wire::get_functions::Response {
            functions,
            diagnostics: Vec::new(),
        }))
    }

    async fn call_function(
        &self,
        request: Request<wire::call_function::Request>,
    ) -> Result<Response<wire::call_function::Response>, Status> {
        let request = request.into_inner();
        self.call(
            &format!("the function {}", request.name),
            |server, _| async move { Ok(server.call_function(request).await) },
            |diagnostics| function::failed(FunctionError::new(diagnostics.to_string())),
        )
        .await
    }

    async fn get_resource_identity_schemas(
        &self,
        _: Request<wire::get_resource_identity_schemas::Request>,
    ) -> Result<Response<wire::get_resource_identity_schemas::Response>, Status> {
        Ok(Response::new(
            wire::get_resource_identity_schemas::Response::default(),
        ))
    }

    async fn stop_provider(
        &self,
        _: Request<wire::stop_provider::Request>,
    ) -> Result<Response<wire::stop_provider::Response>, Status> {
        self.0.stop();
        Ok(Response::new(wire::stop_provider::Response::default()))
    }

    async fn upgrade_resource_identity(
        &self,
        _: Request<wire::upgrade_resource_identity::Request>,
    ) -> Result<Response<wire::upgrade_resource_identity::Response>, Status> {
        Ok(unbuilt::answer("an upgrade of resource identities"))
    }

    async fn move_resource_state(
        &self,
        _: Request<wire::move_resource_state::Request>,
    ) -> Result<Response<wire::move_resource_state::Response>, Status> {
        Ok(unbuilt::answer("moves between resource types"))
    }

    async fn generate_resource_config(
        &self,
        _: Request<wire::generate_resource_config::Request>,
    ) -> Result<Response<wire::generate_resource_config::Response>, Status> {
        Ok(unbuilt::answer("generated configuration"))
    }

    async fn validate_ephemeral_resource_config(
        &self,
        _: Request<wire::validate_ephemeral_resource_config::Request>,
    ) -> Result<Response<wire::validate_ephemeral_resource_config::Response>, Status> {
        Ok(unbuilt::answer("ephemeral resources"))
    }

    async fn open_ephemeral_resource(
        &self,
        _: Request<wire::open_ephemeral_resource::Request>,
    ) -> Result<Response<wire::open_ephemeral_resource::Response>, Status> {
        Ok(unbuilt::answer("ephemeral resources"))
    }

    async fn renew_ephemeral_resource(
        &self,
        _: Request<wire::renew_ephemeral_resource::Request>,
    ) -> Result<Response<wire::renew_ephemeral_resource::Response>, Status> {
        Ok(unbuilt::answer("ephemeral resources"))
    }

    async fn close_ephemeral_resource(
        &self,
        _: Request<wire::close_ephemeral_resource::Request>,
    ) -> Result<Response<wire::close_ephemeral_resource::Response>, Status> {
        Ok(unbuilt::answer("ephemeral resources"))
    }

    async fn validate_list_resource_config(
        &self,
        _: Request<wire::validate_list_resource_config::Request>,
    ) -> Result<Response<wire::validate_list_resource_config::Response>, Status> {
        Ok(unbuilt::answer("list resources"))
    }

    async fn validate_state_store_config(
        &self,
        _: Request<wire::validate_state_store::Request>,
    ) -> Result<Response<wire::validate_state_store::Response>, Status> {
        Ok(unbuilt::answer("state stores"))
    }

    async fn configure_state_store(
        &self,
        _: Request<wire::configure_state_store::Request>,
    ) -> Result<Response<wire::configure_state_store::Response>, Status> {
        Ok(unbuilt::answer("state stores"))
    }

    async fn lock_state(
        &self,
        _: Request<wire::lock_state::Request>,
    ) -> Result<Response<wire::lock_state::Response>, Status> {
        Ok(unbuilt::answer("state stores"))
    }

    async fn unlock_state(
        &self,
        _: Request<wire::unlock_state::Request>,
    ) -> Result<Response<wire::unlock_state::Response>, Status> {
        Ok(unbuilt::answer("state stores"))
    }

    async fn get_states(
        &self,
        _: Request<wire::get_states::Request>,
    ) -> Result<Response<wire::get_states::Response>, Status> {
        Ok(unbuilt::answer("state stores"))
    }

    async fn delete_state(
        &self,
        _: Request<wire::delete_state::Request>,
    ) -> Result<Response<wire::delete_state::Response>, Status> {
        Ok(unbuilt::answer("state stores"))
    }

    async fn validate_action_config(
        &self,
        _: Request<wire::validate_action_config::Request>,
    ) -> Result<Response<wire::validate_action_config::Response>, Status> {
        Ok(unbuilt::answer("actions"))
    }

    async fn plan_action(
        &self,
        _: Request<wire::plan_action::Request>,
    ) -> Result<Response<wire::plan_action::Response>, Status> {
        Ok(unbuilt::answer("actions"))
    }

    async fn write_state_bytes(
        &self,
        _: Request<Streaming<wire::write_state_bytes::RequestChunk>>,
    ) -> Result<Response<wire::write_state_bytes::Response>, Status> {
        Ok(unbuilt::answer("state stores"))
    }

    async fn read_state_bytes(
        &self,
        _: Request<wire::read_state_bytes::Request>,
    ) -> Result<Response<Self::ReadStateBytesStream>, Status> {
        Ok(one(Failed::failed(unbuilt::diagnostics("state stores"))))
    }

    async fn list_resource(
        &self,
        _: Request<wire::list_resource::Request>,
    ) -> Result<Response<Self::ListResourceStream>, Status> {
        let diagnostic = unbuilt::diagnostics("list resources").into_wire();
        Ok(one(wire::list_resource::Event {
            diagnostic,
            ..wire::list_resource::Event::default()
        }))
    }

    async fn invoke_action(
        &self,
        _: Request<wire::invoke_action::Request>,
    ) -> Result<Response<Self::InvokeActionStream>, Status> {
        use wire::invoke_action::event::{Completed, Type};
        let diagnostics = unbuilt::diagnostics("actions").into_wire();
        let completed = Type::Completed(Completed { diagnostics });
        Ok(one(wire::invoke_action::Event {
            r#type: Some(completed),
        }))
    }
}

/// A stream of one answer.
fn one<T: Send + 'static>(answer: T) -> Response<Answers<T>> {
    Response::new(stream::iter([Ok(answer)]).boxed())
}
