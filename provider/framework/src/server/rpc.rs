//! The protocol's service: a table of its calls, with no logic of its own.

use tonic::{Request, Response, Status, Streaming};

use super::answer::Failed;
use super::call::{Answers, Topic};
use super::state_store::{StateWrite, cut_short};
use super::{Service, function, identity};
use crate::proto::tfplugin6 as wire;
use crate::proto::tfplugin6::provider_server;
use crate::{FunctionError, Provider};

/// How many chunks of a state wait for a slow caller: each may be large.
const CHUNKS_WAITING_MAX: usize = 1;

/// Implements the protocol's trait: from a table of the calls that have one answer, which may be
/// nothing but findings, and from the calls that need something else, as they stand.
macro_rules! calls {
    (
        answered { $($rpc:ident($message:ident) => $handler:ident, $subject:tt;)* }
        otherwise { $($otherwise:tt)* }
    ) => {
        #[tonic::async_trait]
        impl<P: Provider> provider_server::Provider for Service<P> {
            $(
                async fn $rpc(
                    &self,
                    request: Request<wire::$message::Request>,
                ) -> Result<Response<wire::$message::Response>, Status> {
                    let request = request.into_inner();
                    self.call(
                        Topic {
                            rpc: stringify!($rpc),
                            subject: calls!(@subject request $subject),
                        },
                        |server, call| async move { server.$handler(request, call).await },
                        Failed::failed,
                    )
                    .await
                }
            )*
            $($otherwise)*
        }
    };
    (@subject $request:ident $text:literal) => { $text.to_owned() };
    (@subject $request:ident $field:ident) => { $request.$field.clone() };
}

// Each row: the call (and its messages), the method of `Server` that answers it, and what a
// finding says that it's about: words, or the request's field that names it.
calls! {
    answered {
        get_metadata(get_metadata) => metadata, "the list of resources";
        get_provider_schema(get_provider_schema) => schemas, "the schema";
        validate_provider_config(validate_provider_config) => validate_config, "the provider block";
        configure_provider(configure_provider) => configure, "the provider block";

        validate_resource_config(validate_resource_config) => validate_resource, type_name;
        upgrade_resource_state(upgrade_resource_state) => upgrade_resource, type_name;
        read_resource(read_resource) => read_resource, type_name;
        plan_resource_change(plan_resource_change) => plan_resource, type_name;
        import_resource_state(import_resource_state) => import_resource, type_name;
        move_resource_state(move_resource_state) => move_resource, target_type_name;
        generate_resource_config(generate_resource_config) => generate_config, type_name;
        get_resource_identity_schemas(get_resource_identity_schemas) => identity_schemas, "the identities of resources";
        upgrade_resource_identity(upgrade_resource_identity) => upgrade_identity, type_name;
        validate_list_resource_config(validate_list_resource_config) => validate_list_resource, type_name;

        validate_data_resource_config(validate_data_resource_config) => validate_data_source, type_name;
        read_data_source(read_data_source) => read_data_source, type_name;

        get_functions(get_functions) => get_functions, "the functions";

        validate_ephemeral_resource_config(validate_ephemeral_resource_config) => validate_ephemeral, type_name;
        open_ephemeral_resource(open_ephemeral_resource) => open_ephemeral, type_name;
        renew_ephemeral_resource(renew_ephemeral_resource) => renew_ephemeral, type_name;
        close_ephemeral_resource(close_ephemeral_resource) => close_ephemeral, type_name;

        validate_action_config(validate_action_config) => validate_action, type_name;
        plan_action(plan_action) => plan_action, action_type;

        validate_state_store_config(validate_state_store) => validate_state_store, type_name;
        configure_state_store(configure_state_store) => configure_state_store, type_name;
        lock_state(lock_state) => lock_state, type_name;
        unlock_state(unlock_state) => unlock_state, type_name;
        get_states(get_states) => states, type_name;
        delete_state(delete_state) => delete_state, type_name;
    }

    otherwise {
        type ListResourceStream = Answers<wire::list_resource::Event>;
        type ReadStateBytesStream = Answers<wire::read_state_bytes::Response>;
        type InvokeActionStream = Answers<wire::invoke_action::Event>;

        async fn apply_resource_change(
            &self,
            request: Request<wire::apply_resource_change::Request>,
        ) -> Result<Response<wire::apply_resource_change::Response>, Status> {
            let request = request.into_inner();
            // Whatever goes wrong here, the object is still known to Terraform as it was.
            let (prior, private) = (request.prior_state.clone(), request.planned_private.clone());
            let new_identity = identity::kept(&request);
            self.call(
                Topic { rpc: "apply_resource_change", subject: request.type_name.clone() },
                |server, call| async move { server.apply_resource(request, call).await },
                |diagnostics| wire::apply_resource_change::Response {
                    new_state: prior,
                    private,
                    new_identity,
                    ..Failed::failed(diagnostics)
                },
            )
            .await
        }

        async fn call_function(
            &self,
            request: Request<wire::call_function::Request>,
        ) -> Result<Response<wire::call_function::Response>, Status> {
            let request = request.into_inner();
            self.call(
                Topic { rpc: "call_function", subject: format!("the function {}", request.name) },
                |server, _| async move { Ok(server.call_function(request).await) },
                |diagnostics| function::failed(FunctionError::new(diagnostics.to_string())),
            )
            .await
        }

        async fn stop_provider(
            &self,
            _: Request<wire::stop_provider::Request>,
        ) -> Result<Response<wire::stop_provider::Response>, Status> {
            self.0.stop();
            Ok(Response::new(wire::stop_provider::Response::default()))
        }

        async fn list_resource(
            &self,
            request: Request<wire::list_resource::Request>,
        ) -> Result<Response<Self::ListResourceStream>, Status> {
            let request = request.into_inner();
            self.stream(
                Topic { rpc: "list_resource", subject: request.type_name.clone() },
                |server, call, events| async move {
                    server.list_objects(request, call, events).await
                },
                Failed::failed,
            )
        }

        async fn write_state_bytes(
            &self,
            request: Request<Streaming<wire::write_state_bytes::RequestChunk>>,
        ) -> Result<Response<wire::write_state_bytes::Response>, Status> {
            let mut others = request.into_inner();
            let first = match others.message().await {
                Ok(first) => first,
                Err(status) => return Ok(Response::new(Failed::failed(cut_short(status)))),
            };
            let meta = first.as_ref().and_then(|chunk| chunk.meta.as_ref());
            let subject = meta.map_or("a state store", |meta| &meta.type_name).to_owned();
            let request = StateWrite { first, others };
            self.call(
                Topic { rpc: "write_state_bytes", subject },
                |server, call| async move { server.write_state(request, call).await },
                Failed::failed,
            )
            .await
        }

        async fn read_state_bytes(
            &self,
            request: Request<wire::read_state_bytes::Request>,
        ) -> Result<Response<Self::ReadStateBytesStream>, Status> {
            let request = request.into_inner();
            self.stream_of(
                CHUNKS_WAITING_MAX,
                Topic { rpc: "read_state_bytes", subject: request.type_name.clone() },
                |server, call, answers| async move { server.read_state(request, call, answers).await },
                Failed::failed,
            )
        }

        async fn invoke_action(
            &self,
            request: Request<wire::invoke_action::Request>,
        ) -> Result<Response<Self::InvokeActionStream>, Status> {
            let request = request.into_inner();
            self.stream(
                Topic { rpc: "invoke_action", subject: request.action_type.clone() },
                |server, call, events| async move { server.invoke_action(request, call, events).await },
                Failed::failed,
            )
        }
    }
}
