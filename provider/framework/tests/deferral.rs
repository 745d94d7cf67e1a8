//! A resource is deferred where the caller allows it, in plan, read and import, and an error says so
//! where it doesn't.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use terraform_plugin::proto::tfplugin6 as wire;
use terraform_plugin::value::Value;
use terraform_plugin::{
    Attr, Cx, DeferReason, Diagnostics, Empty, Failure, Model, PlanCx, Provider, Registry,
    Resource, Service, async_trait,
};
use tonic::IntoRequest as _;
use wire::deferred::Reason;
use wire::provider_server::Provider as _;

const TYPE_NAME: &str = "late_thing";

/// What is always too early.
#[derive(Model, Default)]
struct LateModel {
    #[attribute(required)]
    name: Attr<String>,
}

struct Late;

#[async_trait]
impl Resource for Late {
    type Client = ();
    type Model = LateModel;
    const TYPE_NAME: &'static str = TYPE_NAME;

    async fn plan(
        &self,
        cx: &PlanCx<()>,
        _: Option<&LateModel>,
        _: &LateModel,
        _: &mut LateModel,
    ) -> Result<(), Diagnostics> {
        cx.defer(DeferReason::ResourceConfigUnknown)
    }

    async fn create(&self, _: &Cx<()>, plan: LateModel) -> Result<LateModel, Failure<LateModel>> {
        Ok(plan)
    }

    async fn read(&self, cx: &Cx<()>, state: LateModel) -> Result<Option<LateModel>, Diagnostics> {
        cx.defer(DeferReason::ProviderConfigUnknown)?;
        Ok(Some(state))
    }

    async fn update(
        &self,
        _: &Cx<()>,
        _: LateModel,
        plan: LateModel,
    ) -> Result<LateModel, Failure<LateModel>> {
        Ok(plan)
    }

    async fn delete(&self, _: &Cx<()>, _: LateModel) -> Result<(), Diagnostics> {
        Ok(())
    }

    async fn import(&self, cx: &Cx<()>, id: &str) -> Result<LateModel, Diagnostics> {
        if id == "early" {
            cx.defer(DeferReason::AbsentPrerequisite)?;
        }
        Ok(LateModel { name: id.into() })
    }
}

struct LateProvider;

#[async_trait]
impl Provider for LateProvider {
    type Config = Empty;
    type Client = ();
    const ADDRESS: &'static str = "registry.terraform.io/example/late";

    fn register(&self, registry: &mut Registry<()>) {
        registry.resource(Late);
    }

    async fn configure(&self, _: &Cx<()>, _: Empty) -> Result<(), Diagnostics> {
        Ok(())
    }
}

/// What came of a call: why it was deferred, the summaries of its findings, and the name that its
/// value has.
type Outcome = (Option<Reason>, Vec<String>, Option<Value>);

#[tokio::test]
async fn a_plan_is_deferred_where_the_caller_allows_it_and_an_error_elsewhere() {
    let plan = async |allowed| {
        let request = wire::plan_resource_change::Request {
            type_name: TYPE_NAME.to_owned(),
            prior_state: wire_of(&Value::Null),
            proposed_new_state: wire_of(&named("a")),
            config: wire_of(&named("a")),
            client_capabilities: capabilities(allowed),
            ..Default::default()
        };
        let service = service().await;
        let answer = service.plan_resource_change(request.into_request());
        let answer = answer.await.unwrap().into_inner();
        outcome(answer.deferred, &answer.diagnostics, answer.planned_state)
    };
    let (reason, found, planned) = plan(true).await;
    assert_eq!(reason, Some(Reason::ResourceConfigUnknown));
    assert_eq!((found.len(), planned), (0, Some("a".into())));
    let (reason, found, _) = plan(false).await;
    assert_eq!((reason, found), (None, vec!["Unable to defer".to_owned()]));
}

#[tokio::test]
async fn a_refresh_is_deferred_where_the_caller_allows_it_and_an_error_elsewhere() {
    let read = async |allowed| {
        let request = wire::read_resource::Request {
            type_name: TYPE_NAME.to_owned(),
            current_state: wire_of(&named("a")),
            client_capabilities: capabilities(allowed),
            ..Default::default()
        };
        let service = service().await;
        let answer = service.read_resource(request.into_request());
        let answer = answer.await.unwrap().into_inner();
        outcome(answer.deferred, &answer.diagnostics, answer.new_state)
    };
    let (reason, found, state) = read(true).await;
    assert_eq!(reason, Some(Reason::ProviderConfigUnknown));
    assert_eq!((found.len(), state), (0, Some("a".into())));
    let (reason, found, _) = read(false).await;
    assert_eq!((reason, found), (None, vec!["Unable to defer".to_owned()]));
}

#[tokio::test]
async fn one_import_is_deferred_and_another_is_not() {
    let import = async |id: &str| {
        let request = wire::import_resource_state::Request {
            type_name: TYPE_NAME.to_owned(),
            id: id.to_owned(),
            client_capabilities: capabilities(true),
            ..Default::default()
        };
        let service = service().await;
        let answer = service.import_resource_state(request.into_request());
        let answer = answer.await.unwrap().into_inner();
        let imported = answer.imported_resources.into_iter().next();
        let state = imported.and_then(|imported| imported.state);
        outcome(answer.deferred, &answer.diagnostics, state)
    };
    let (reason, found, state) = import("early").await;
    assert_eq!(reason, Some(Reason::AbsentPrereq));
    assert_eq!((found.len(), state), (0, Some("early".into())));
    let (reason, found, state) = import("ready").await;
    assert_eq!((reason, found.len()), (None, 0));
    assert_eq!(state, Some("ready".into()));
}

async fn service() -> Service<LateProvider> {
    let service = Service::new(LateProvider);
    let nothing = Value::object::<&str>([]);
    let request = wire::configure_provider::Request {
        config: Some(wire::DynamicValue {
            msgpack: nothing.to_msgpack(&Empty::block().value_type()).unwrap(),
            json: Vec::new(),
        }),
        ..Default::default()
    };
    let answer = service.configure_provider(request.into_request()).await;
    assert!(answer.unwrap().into_inner().diagnostics.is_empty());
    service
}

fn named(name: &str) -> Value {
    Value::object([("name", name.into())])
}

fn wire_of(value: &Value) -> Option<wire::DynamicValue> {
    Some(wire::DynamicValue {
        msgpack: value.to_msgpack(&LateModel::block().value_type()).unwrap(),
        json: Vec::new(),
    })
}

fn capabilities(deferral_allowed: bool) -> Option<wire::ClientCapabilities> {
    Some(wire::ClientCapabilities {
        deferral_allowed,
        ..Default::default()
    })
}

fn outcome(
    deferred: Option<wire::Deferred>,
    found: &[wire::Diagnostic],
    value: Option<wire::DynamicValue>,
) -> Outcome {
    let name = value.map(|value| {
        let of = LateModel::block().value_type();
        let value = Value::from_msgpack(&value.msgpack, &of).unwrap();
        value.attribute("name").clone()
    });
    let found = found.iter().map(|one| one.summary.clone()).collect();
    (deferred.map(|deferred| deferred.reason()), found, name)
}
