//! A provider of disks, which are named by where they are, and of keys, which are named by a
//! fingerprint.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use terraform_plugin::{
    Attr, Cx, Diagnostics, Empty, Failure, Model, MoveSource, Number, Provider, Registry, Resource,
    async_trait,
};
use tokio::sync::Notify;

use crate::list::Disks;
use crate::volume::{MetaModel, Volume};

pub(crate) const DISK: &str = "life_disk";
pub(crate) const KEY: &str = "life_key";

/// What a test may see of the author's code at work.
#[derive(Clone, Default)]
pub(crate) struct Witness {
    pub(crate) pushed: Arc<AtomicU64>,
    pub(crate) ended: Arc<Notify>,
}

/// A disk, named by the place that holds it. What it does otherwise is told by its label.
#[derive(Model, Default)]
pub(crate) struct DiskModel {
    #[attribute(computed)]
    pub(crate) id: Attr<String>,
    /// The site that holds it.
    #[attribute(required, requires_replace_if = elsewhere, identity)]
    pub(crate) site: Attr<String>,
    /// The slot that it was put into.
    #[attribute(computed, identity)]
    pub(crate) slot: Attr<i64>,
    #[attribute(optional, identity = "optional")]
    pub(crate) label: Attr<String>,
    #[attribute(optional)]
    pub(crate) size: Attr<i64>,
    #[attribute(optional, computed, default = "slow")]
    pub(crate) tier: Attr<String>,
    #[attribute(optional, write_only)]
    pub(crate) passphrase: Attr<String>,
    #[attribute(optional, deprecated = "It has no effect any more.")]
    pub(crate) color: Attr<String>,
    #[attribute(optional, computed)]
    pub(crate) mount: Attr<MountModel>,
    #[attribute(optional)]
    pub(crate) shares: Attr<Vec<MountModel>>,
}

#[derive(Model)]
pub(crate) struct MountModel {
    #[attribute(optional)]
    pub(crate) path: Attr<String>,
    #[attribute(computed)]
    pub(crate) device: Attr<String>,
}

pub(crate) struct Disk;

#[async_trait]
impl Resource for Disk {
    type Client = Witness;
    type Model = DiskModel;
    const TYPE_NAME: &'static str = DISK;
    const IDENTITY_VERSION: i64 = 2;

    async fn create(
        &self,
        _: &Cx<Witness>,
        mut plan: DiskModel,
    ) -> Result<DiskModel, Failure<DiskModel>> {
        plan.id = "made".into();
        if label(&plan) != Some("forgotten slot") {
            plan.slot = 7.into();
        } else {
            plan.slot = Attr::Null;
        }
        if !plan.mount.is_known() {
            plan.mount = Attr::Null;
        }
        Ok(plan)
    }

    async fn read(
        &self,
        _: &Cx<Witness>,
        mut state: DiskModel,
    ) -> Result<Option<DiskModel>, Diagnostics> {
        match state.size.as_known() {
            Some(404) => return Ok(None),
            Some(13) => state.slot = 13.into(),
            _ => {}
        }
        Ok(Some(state))
    }

    async fn update(
        &self,
        _: &Cx<Witness>,
        prior: DiskModel,
        mut plan: DiskModel,
    ) -> Result<DiskModel, Failure<DiskModel>> {
        match plan.size.as_known() {
            Some(1) => panic!("a mistake of the author"),
            Some(2) => plan.slot = 8.into(),
            _ => plan.slot = prior.slot,
        }
        plan.id = prior.id;
        plan.mount = prior.mount;
        Ok(plan)
    }

    async fn delete(&self, _: &Cx<Witness>, _: DiskModel) -> Result<(), Diagnostics> {
        Ok(())
    }

    async fn generate_config(
        &self,
        _: &Cx<Witness>,
        state: &DiskModel,
        mut config: DiskModel,
    ) -> Result<DiskModel, Diagnostics> {
        if label(state) == Some("mirrored") {
            config.size = Attr::Null;
            config.id = "no business of a configuration".into();
            config.passphrase = "nor is a guess".into();
        }
        Ok(config)
    }

    async fn upgrade_identity(
        &self,
        _: &Cx<Witness>,
        version: i64,
        identity: serde_json::Value,
    ) -> Result<DiskModel, Diagnostics> {
        assert_eq!(version, 1);
        Ok(DiskModel {
            site: identity["place"].as_str().unwrap_or_default().into(),
            slot: 1.into(),
            ..DiskModel::default()
        })
    }
}

/// A key.
#[derive(Model, Default)]
pub(crate) struct KeyModel {
    #[attribute(required, identity, requires_replace)]
    pub(crate) fingerprint: Attr<String>,
    #[attribute(optional)]
    pub(crate) comment: Attr<String>,
    #[attribute(optional)]
    pub(crate) strength: Attr<Number>,
}

pub(crate) struct Key;

#[async_trait]
impl Resource for Key {
    type Client = Witness;
    type Model = KeyModel;
    const TYPE_NAME: &'static str = KEY;

    async fn create(&self, _: &Cx<Witness>, plan: KeyModel) -> Result<KeyModel, Failure<KeyModel>> {
        Ok(plan)
    }

    async fn read(
        &self,
        _: &Cx<Witness>,
        state: KeyModel,
    ) -> Result<Option<KeyModel>, Diagnostics> {
        Ok(Some(state))
    }

    async fn update(
        &self,
        _: &Cx<Witness>,
        _: KeyModel,
        plan: KeyModel,
    ) -> Result<KeyModel, Failure<KeyModel>> {
        Ok(plan)
    }

    async fn delete(&self, _: &Cx<Witness>, _: KeyModel) -> Result<(), Diagnostics> {
        Ok(())
    }

    async fn move_from(
        &self,
        cx: &Cx<Witness>,
        source: MoveSource,
    ) -> Result<Option<KeyModel>, Diagnostics> {
        if source.type_name == DISK {
            let disk: DiskModel = source.model()?;
            let fingerprint = format!("of {}", disk.size.unwrap_or_default());
            return Ok(Some(KeyModel {
                fingerprint: fingerprint.into(),
                ..KeyModel::default()
            }));
        }
        if source.provider_address != "registry.terraform.io/example/other" {
            return Ok(None);
        }
        let seen = source.private_value("seen").unwrap_or_default();
        cx.set_private("carried", seen);
        let identity = source.identity.unwrap_or_default();
        Ok(Some(KeyModel {
            fingerprint: source.state["print"].as_str().map(str::to_owned).into(),
            comment: identity["owner"].as_str().map(str::to_owned).into(),
            strength: Attr::Null,
        }))
    }

    async fn import_by_identity(
        &self,
        _: &Cx<Witness>,
        mut identity: KeyModel,
    ) -> Result<KeyModel, Diagnostics> {
        if identity.fingerprint.as_deref() == Attr::Known("mistaken") {
            identity.fingerprint = "another".into();
        }
        Ok(identity)
    }
}

pub(crate) struct LifeProvider(pub(crate) Witness);

#[async_trait]
impl Provider for LifeProvider {
    type Config = Empty;
    type Client = Witness;
    const ADDRESS: &'static str = "registry.terraform.io/example/life";

    fn register(&self, registry: &mut Registry<Witness>) {
        registry.resource(Disk).resource(Key);
        registry.resource(Volume).list_resource(Disks);
        registry.provider_meta::<MetaModel>();
    }

    async fn configure(&self, _: &Cx<()>, _: Empty) -> Result<Witness, Diagnostics> {
        Ok(self.0.clone())
    }
}

fn label(disk: &DiskModel) -> Option<&str> {
    disk.label.as_known().map(String::as_str)
}

/// A site that is only written otherwise is the same one; a provider shouldn't name it so.
fn elsewhere(prior: &Attr<String>, planned: &Attr<String>) -> bool {
    match (prior.as_known(), planned.as_known()) {
        (Some(prior), Some(planned)) => !prior.eq_ignore_ascii_case(planned),
        _ => true,
    }
}
