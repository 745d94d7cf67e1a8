use terraform_plugin::Value;
use terraform_plugin::proto::tfplugin6 as wire;

use crate::bench::{Bench, config, errors, value};
use crate::kit::MachineModel;

#[tokio::test]
async fn a_create_that_is_stopped_keeps_what_exists_already() {
    let bench = Bench::configured().await;
    let unknown = [("id", Value::Unknown), ("address", Value::Unknown)];
    let request = wire::apply_resource_change::Request {
        type_name: "kit_machine".to_owned(),
        planned_state: config::<MachineModel>(&unknown),
        config: config::<MachineModel>(&[]),
        ..Default::default()
    };
    let mut client = bench.client.clone();
    let apply = tokio::spawn(async move { client.apply_resource_change(request).await });
    bench.signals.started.notified().await;
    bench.stop().await;
    let applied = apply.await.unwrap().unwrap().into_inner();
    assert_eq!(errors(&applied.diagnostics), ["Stopped"]);
    let state = value::<MachineModel>(applied.new_state.as_ref());
    assert_eq!(state.attribute("id"), &Value::from("machine/1"));
    assert_eq!(state.attribute("address"), &Value::Null);
}
