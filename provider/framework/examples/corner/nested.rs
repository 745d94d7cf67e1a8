//! Defaults and computed values inside nested objects and blocks.

use std::collections::BTreeMap;

use terraform_plugin::{
    Attr, Cx, Diagnostics, Failure, Model, Registry, Resource, Set, async_trait,
};

use crate::store::{Kept, Store, file_name};

/// Something that is made of parts.
#[derive(Model, Clone, Default)]
pub(crate) struct Nested {
    /// What it is called.
    #[attribute(required, requires_replace, validate = file_name)]
    name: Attr<String>,
    /// A set of objects with a default in each.
    #[attribute(optional)]
    set: Attr<Set<Defaulted>>,
    /// A set of blocks with a default in each.
    #[block]
    set_block: Set<Defaulted>,
    /// Objects that each get a device.
    #[attribute(optional)]
    disks: Attr<BTreeMap<String, Disk>>,
    /// Blocks that each get a device.
    #[block]
    slot: Vec<Disk>,
    /// An object that the provider makes as a whole, unless it is configured.
    #[attribute(optional, computed)]
    summary: Attr<Summary>,
    /// Objects of the provider alone.
    #[attribute(computed)]
    found: Attr<Vec<Summary>>,
}

/// An object with a default.
#[derive(Model, Clone, Default)]
pub(crate) struct Defaulted {
    #[attribute(optional)]
    value: Attr<String>,
    #[attribute(optional, computed, default = "zero")]
    value_or_default: Attr<String>,
}

/// An object of which the provider knows a part.
#[derive(Model, Clone, Default)]
pub(crate) struct Disk {
    #[attribute(required)]
    size: Attr<u64>,
    #[attribute(computed, use_state_for_unknown)]
    device: Attr<String>,
}

/// How many there are.
#[derive(Model, Clone, Default)]
pub(crate) struct Summary {
    #[attribute(optional, computed)]
    title: Attr<String>,
    #[attribute(computed)]
    disks: Attr<u64>,
}

impl Kept for Nested {
    const KIND: &'static str = "nested";

    fn name(&self) -> &Attr<String> {
        &self.name
    }
}

struct NestedResource;

#[async_trait]
impl Resource for NestedResource {
    type Client = Store;
    type Model = Nested;
    const TYPE_NAME: &'static str = "corner_nested";

    async fn create(&self, cx: &Cx<Store>, mut plan: Nested) -> Result<Nested, Failure<Nested>> {
        let mut count = 0;
        if let Some(disks) = plan.disks.as_known_mut() {
            for (key, disk) in disks {
                settle(disk, key);
                count += 1;
            }
        }
        for (index, disk) in plan.slot.iter_mut().enumerate() {
            settle(disk, &index.to_string());
            count += 1;
        }
        let mut summary = plan.summary.clone().unwrap_or_default();
        if !summary.title.is_known() {
            summary.title = "summary".into();
        }
        summary.disks = count.into();
        plan.found = vec![summary.clone()].into();
        plan.summary = summary.into();
        cx.client()?.save(&plan)?;
        Ok(plan)
    }

    async fn read(&self, cx: &Cx<Store>, state: Nested) -> Result<Option<Nested>, Diagnostics> {
        Ok(cx.client()?.load(&state.name)?)
    }

    async fn update(
        &self,
        cx: &Cx<Store>,
        _: Nested,
        plan: Nested,
    ) -> Result<Nested, Failure<Nested>> {
        self.create(cx, plan).await
    }

    async fn delete(&self, cx: &Cx<Store>, state: Nested) -> Result<(), Diagnostics> {
        Ok(cx.client()?.remove::<Nested>(&state.name)?)
    }
}

/// Adds it.
pub(crate) fn register(registry: &mut Registry<Store>) {
    registry.resource(NestedResource);
}

/// A disk gets its device once, by the size that it had then.
fn settle(disk: &mut Disk, name: &str) {
    if !disk.device.is_known() {
        let size = disk.size.unwrap_or_default();
        disk.device = format!("/dev/{name}-{size}").into();
    }
}
