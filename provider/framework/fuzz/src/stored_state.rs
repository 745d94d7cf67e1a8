//! Whatever is stored as state is read, or an error that doesn't panic.

use terraform_plugin::proto::tfplugin6 as wire;
use terraform_plugin::value::Value;
use tonic::Request;
use wire::provider_server::Provider as _;

use super::{TYPE_NAME, no_panic, service, thing_type, wait};

/// Reads an input; panics at what must not be.
pub fn read(input: &[u8]) {
    let request = wire::upgrade_resource_state::Request {
        type_name: TYPE_NAME.to_owned(),
        version: 0,
        raw_state: Some(wire::RawState {
            json: input.to_vec(),
            ..Default::default()
        }),
    };
    let answer = wait(service().upgrade_resource_state(Request::new(request)));
    let answer = answer.expect("a finding is no failure").into_inner();
    no_panic(&answer.diagnostics);
    if let Some(state) = answer.upgraded_state {
        Value::from_msgpack(&state.msgpack, &thing_type()).expect("it was written");
    }
}
