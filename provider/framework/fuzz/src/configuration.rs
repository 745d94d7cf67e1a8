//! Whatever Terraform sends as a value is answered: by an error, or by a plan and an apply that
//! don't panic.

use terraform_plugin::proto::tfplugin6 as wire;
use tonic::Request;
use wire::provider_server::Provider as _;

use super::{TYPE_NAME, no_panic, service, wait};

/// Reads an input; panics at what must not be.
pub fn read(input: &[u8]) {
    let value = |msgpack: &[u8]| {
        Some(wire::DynamicValue {
            msgpack: msgpack.to_vec(),
            json: Vec::new(),
        })
    };
    let service = service();
    let request = wire::plan_resource_change::Request {
        type_name: TYPE_NAME.to_owned(),
        prior_state: value(&[0xc0]),
        proposed_new_state: value(input),
        config: value(input),
        ..Default::default()
    };
    let plan = wait(service.plan_resource_change(Request::new(request)));
    let plan = plan.expect("a finding is no failure").into_inner();
    no_panic(&plan.diagnostics);
    if plan.planned_state.is_none() {
        return;
    }
    let request = wire::apply_resource_change::Request {
        type_name: TYPE_NAME.to_owned(),
        prior_state: value(&[0xc0]),
        planned_state: plan.planned_state,
        config: value(input),
        planned_private: plan.planned_private,
        ..Default::default()
    };
    let applied = wait(service.apply_resource_change(Request::new(request)));
    no_panic(
        &applied
            .expect("a finding is no failure")
            .into_inner()
            .diagnostics,
    );
}
