//! Answers that hold nothing but findings, for calls that failed.

use crate::Diagnostics;
use crate::proto::tfplugin6 as wire;

/// An answer that can say why there is no better one.
pub(super) trait Failed: Default {
    /// Nothing but these findings.
    fn failed(diagnostics: Diagnostics) -> Self;
}

macro_rules! failed {
    ($($module:ident),* $(,)?) => {$(
        impl Failed for wire::$module::Response {
            fn failed(diagnostics: Diagnostics) -> Self {
                let mut answer = Self::default();
                answer.diagnostics.extend(diagnostics.into_wire());
                answer
            }
        }
    )*};
}

failed!(
    apply_resource_change,
    close_ephemeral_resource,
    configure_provider,
    configure_state_store,
    delete_state,
    generate_resource_config,
    get_functions,
    get_metadata,
    get_provider_schema,
    get_resource_identity_schemas,
    get_states,
    import_resource_state,
    lock_state,
    move_resource_state,
    open_ephemeral_resource,
    plan_action,
    plan_resource_change,
    read_data_source,
    read_resource,
    read_state_bytes,
    renew_ephemeral_resource,
    unlock_state,
    upgrade_resource_identity,
    upgrade_resource_state,
    validate_action_config,
    validate_data_resource_config,
    validate_ephemeral_resource_config,
    validate_list_resource_config,
    validate_provider_config,
    validate_resource_config,
    validate_state_store,
    write_state_bytes,
);

impl Failed for wire::invoke_action::Event {
    fn failed(diagnostics: Diagnostics) -> Self {
        use wire::invoke_action::event::{Completed, Type};
        let diagnostics = diagnostics.into_wire();
        Self {
            r#type: Some(Type::Completed(Completed { diagnostics })),
        }
    }
}

impl Failed for wire::list_resource::Event {
    fn failed(diagnostics: Diagnostics) -> Self {
        Self {
            diagnostic: diagnostics.into_wire(),
            ..Self::default()
        }
    }
}
