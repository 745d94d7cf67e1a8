use terraform_plugin::{
    Attr, Cx, Diagnostics, Empty, Failure, Found, ListQuery, ListResource, Model, Resource,
    async_trait,
};

#[derive(Model)]
struct HostModel {
    #[attribute(required, identity)]
    name: Attr<String>,
}

struct Host;

#[async_trait]
impl Resource for Host {
    type Client = String;
    type Model = HostModel;
    const TYPE_NAME: &'static str = "example_host";

    async fn create(&self, _: &Cx<String>, plan: HostModel) -> Result<HostModel, Failure<HostModel>> {
        Ok(plan)
    }

    async fn read(&self, _: &Cx<String>, state: HostModel) -> Result<Option<HostModel>, Diagnostics> {
        Ok(Some(state))
    }

    async fn update(
        &self,
        _: &Cx<String>,
        _: HostModel,
        plan: HostModel,
    ) -> Result<HostModel, Failure<HostModel>> {
        Ok(plan)
    }

    async fn delete(&self, _: &Cx<String>, _: HostModel) -> Result<(), Diagnostics> {
        Ok(())
    }
}

struct Hosts;

#[async_trait]
impl ListResource for Hosts {
    type Client = u64;
    type Config = Empty;
    type Resource = Host;

    async fn list(
        &self,
        _: &Cx<u64>,
        _: ListQuery<Empty>,
        _: &mut Found<HostModel>,
    ) -> Result<(), Diagnostics> {
        Ok(())
    }
}

fn main() {}
