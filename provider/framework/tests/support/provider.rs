//! A provider that shows every behaviour by the name that is given to a host.

use std::collections::BTreeMap;
use std::sync::Arc;

use terraform_plugin::value::{Type, Value};
use terraform_plugin::{
    Arguments, Attr, Cx, DataSource, DeferReason, Diagnostic, Diagnostics, Empty, Failure, Field,
    Function, FunctionError, Model, Path, PlanAction, PlanCx, Provider, Registry, Resource,
    Signature, async_trait,
};
use tokio::sync::Notify;

pub(crate) const HOST: &str = "test_host";

pub(crate) struct TestProvider {
    pub(crate) started: Arc<Notify>,
}

/// What a disk is.
#[derive(Model)]
pub(crate) struct DiskModel {
    /// How large it is.
    #[attribute(required)]
    pub(crate) size: Attr<i64>,
    /// Where it came to be.
    #[attribute(computed, use_state_for_unknown)]
    pub(crate) device: Attr<String>,
}

#[derive(Model)]
pub(crate) struct TimeoutsModel {
    #[attribute(optional)]
    pub(crate) create: Attr<String>,
}

/// One host.
#[derive(Model)]
pub(crate) struct HostModel {
    #[attribute(computed, use_state_for_unknown)]
    pub(crate) id: Attr<String>,
    /// What the host is called.
    #[attribute(required, requires_replace, validate = label)]
    pub(crate) name: Attr<String>,
    #[attribute(optional, computed, default = 51820)]
    pub(crate) port: Attr<i64>,
    #[attribute(optional, write_only, sensitive)]
    pub(crate) token: Attr<String>,
    #[attribute(optional, computed)]
    pub(crate) note: Attr<String>,
    #[attribute(computed, use_state_for_unknown)]
    pub(crate) seen: Attr<String>,
    #[attribute(optional)]
    pub(crate) disks: Attr<BTreeMap<String, DiskModel>>,
    #[block]
    pub(crate) timeouts: Option<TimeoutsModel>,
}

struct Host;

#[async_trait]
impl Resource for Host {
    type Client = TestProvider;
    type Model = HostModel;
    const TYPE_NAME: &'static str = HOST;
    const VERSION: i64 = 1;

    async fn plan(
        &self,
        cx: &PlanCx<TestProvider>,
        prior: Option<&HostModel>,
        _: &HostModel,
        plan: &mut HostModel,
    ) -> Result<(), Diagnostics> {
        if cx.action() == PlanAction::Create {
            cx.set_private("seen", "planned by plan");
        }
        if plan.name.as_deref() == Attr::Known("meddled") {
            plan.name = "another".into();
        }
        if prior.is_some_and(|prior| prior.port != plan.port) {
            cx.warn_at(Path::root("port"), "The port moves", "Open it first.");
            cx.requires_replace(Path::root("port"));
        }
        Ok(())
    }

    async fn plan_destroy(
        &self,
        _: &PlanCx<TestProvider>,
        prior: &HostModel,
    ) -> Result<(), Diagnostics> {
        if prior.name.as_deref() == Attr::Known("keep") {
            return Err(Diagnostic::error("Unable to destroy host", "It is to be kept.").into());
        }
        Ok(())
    }

    async fn create(
        &self,
        cx: &Cx<TestProvider>,
        mut plan: HostModel,
    ) -> Result<HostModel, Failure<HostModel>> {
        let client = cx.client()?;
        let name = plan.name.clone().unwrap_or_default();
        plan.id = format!("host/{name}").into();
        if name == "half" {
            let failed = Diagnostic::error("Unable to start host", "It was made all the same.");
            return Err(Failure::partial(plan, failed));
        }
        if name == "wait" {
            client.started.notify_one();
            cx.cancellation().cancelled().await;
            return Err(Diagnostic::error("Stopped", "Terraform asked to stop.").into());
        }
        let seen = cx
            .private("seen")
            .and_then(|bytes| String::from_utf8(bytes).ok());
        plan.seen = seen.into();
        if name != "forgetful" {
            let letters = plan.token.as_known().map_or(0, String::len);
            plan.note = format!("token of {letters} letters").into();
        }
        Ok(plan)
    }

    async fn read(
        &self,
        _: &Cx<TestProvider>,
        state: HostModel,
    ) -> Result<Option<HostModel>, Diagnostics> {
        Ok((state.name.as_deref() != Attr::Known("gone")).then_some(state))
    }

    async fn update(
        &self,
        _: &Cx<TestProvider>,
        _: HostModel,
        plan: HostModel,
    ) -> Result<HostModel, Failure<HostModel>> {
        assert_ne!(
            plan.note.as_deref(),
            Attr::Known("panic"),
            "a mistake of the author"
        );
        Ok(plan)
    }

    async fn delete(&self, _: &Cx<TestProvider>, _: HostModel) -> Result<(), Diagnostics> {
        Ok(())
    }

    async fn import(&self, _: &Cx<TestProvider>, id: &str) -> Result<HostModel, Diagnostics> {
        Ok(HostModel {
            id: id.into(),
            ..nothing()
        })
    }

    async fn upgrade(
        &self,
        _: &Cx<TestProvider>,
        version: i64,
        state: serde_json::Value,
    ) -> Result<HostModel, Diagnostics> {
        assert_eq!(version, 0);
        let title = state["title"].as_str().unwrap_or_default();
        Ok(HostModel {
            name: title.into(),
            ..nothing()
        })
    }
}

#[derive(Model)]
pub(crate) struct LookupModel {
    #[attribute(required)]
    pub(crate) name: Attr<String>,
    #[attribute(computed)]
    pub(crate) address: Attr<String>,
}

struct Lookup;

#[async_trait]
impl DataSource for Lookup {
    type Client = TestProvider;
    type Model = LookupModel;
    const TYPE_NAME: &'static str = "test_lookup";

    async fn read(
        &self,
        cx: &Cx<TestProvider>,
        config: LookupModel,
    ) -> Result<LookupModel, Diagnostics> {
        if config.name.is_unknown() {
            cx.defer(DeferReason::ResourceConfigUnknown)?;
        }
        Ok(config)
    }
}

struct Shout;

#[async_trait]
impl Function for Shout {
    const NAME: &'static str = "shout";

    fn signature(&self) -> Signature {
        Signature::returning::<String>("Says it louder").parameter::<String>("text", "What to say.")
    }

    async fn call(&self, arguments: Arguments) -> Result<Value, FunctionError> {
        let text: String = arguments.get(0)?;
        if text.is_empty() {
            return Err(FunctionError::at(0, "There is nothing to say."));
        }
        Ok(text.to_uppercase().encode())
    }
}

#[async_trait]
impl Provider for TestProvider {
    type Config = Empty;
    type Client = TestProvider;
    const ADDRESS: &'static str = "registry.terraform.io/example/test";

    fn register(&self, registry: &mut Registry<TestProvider>) {
        registry.resource(Host).data_source(Lookup).function(Shout);
    }

    async fn configure(&self, cx: &Cx<()>, _: Empty) -> Result<TestProvider, Diagnostics> {
        assert_eq!(cx.terraform_version(), "1.15.5");
        Ok(TestProvider {
            started: Arc::clone(&self.started),
        })
    }
}

pub(crate) fn lookup_type() -> Type {
    LookupModel::block().value_type()
}

fn nothing() -> HostModel {
    HostModel {
        id: Attr::Null,
        name: Attr::Null,
        port: Attr::Null,
        token: Attr::Null,
        note: Attr::Null,
        seen: Attr::Null,
        disks: Attr::Null,
        timeouts: None,
    }
}

fn label(name: &str) -> Result<(), &'static str> {
    if name.contains(' ') {
        Err("A name has no spaces.")
    } else {
        Ok(())
    }
}
