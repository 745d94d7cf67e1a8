//! A volume, which has every kind of block, and a service behind it that spells its own way.

use std::collections::BTreeMap;
use std::time::Duration;

use terraform_plugin::{
    Attr, Cx, Diagnostics, Failure, Model, PlanAction, PlanCx, Resource, Set, Timeouts, async_trait,
};

use crate::provider::Witness;

pub(crate) const VOLUME: &str = "life_volume";

/// What a module says about itself.
#[derive(Model)]
pub(crate) struct MetaModel {
    #[attribute(optional)]
    pub(crate) module: Attr<String>,
}

#[derive(Model)]
pub(crate) struct PartModel {
    #[attribute(optional, equivalent = same_text)]
    pub(crate) mode: Attr<String>,
}

/// A volume.
#[derive(Model)]
#[block(deprecated = "Use life_disk.")]
pub(crate) struct VolumeModel {
    #[attribute(required)]
    pub(crate) name: Attr<String>,
    /// How it is opened.
    #[attribute(optional, equivalent = same_text, requires_replace)]
    pub(crate) mode: Attr<String>,
    #[attribute(optional, equivalent = same_tags, min = 1, max = 3)]
    pub(crate) tags: Attr<Vec<String>>,
    #[attribute(optional)]
    pub(crate) labels: Attr<BTreeMap<String, String>>,
    #[attribute(optional)]
    pub(crate) parts: Attr<Vec<PartModel>>,
    #[attribute(optional, equivalent = same_zones)]
    pub(crate) zones: Attr<Vec<Attr<String>>>,
    /// Predicted by the hook, in a spelling of its own.
    #[attribute(computed, equivalent = same_text)]
    pub(crate) digest: Attr<String>,
    /// What the author's code was told.
    #[attribute(computed)]
    pub(crate) told: Attr<String>,
    #[block]
    pub(crate) limits: BTreeMap<String, PartModel>,
    #[block]
    pub(crate) placement: PartModel,
    #[block(computed)]
    pub(crate) routes: Attr<Vec<PartModel>>,
    #[block(computed)]
    pub(crate) origin: Attr<PartModel>,
    #[block(deprecated = "Use placement.")]
    pub(crate) former: Set<PartModel>,
    #[block]
    pub(crate) timeouts: Option<Timeouts>,
}

pub(crate) struct Volume;

#[async_trait]
impl Resource for Volume {
    type Client = Witness;
    type Model = VolumeModel;
    const TYPE_NAME: &'static str = VOLUME;

    async fn plan(
        &self,
        cx: &PlanCx<Witness>,
        _: Option<&VolumeModel>,
        _: &VolumeModel,
        plan: &mut VolumeModel,
    ) -> Result<(), Diagnostics> {
        let rounds = cx.private("rounds").map_or(0, |rounds| rounds.len());
        cx.set_private("rounds", vec![b'x'; rounds + 1]);
        if cx.store_planned_private() {
            cx.warn("Planned again", format!("{rounds} times before."));
        }
        plan.mode = spelled(&plan.mode);
        plan.digest = match cx.action() {
            PlanAction::Create => "ab".into(),
            _ => "AB".into(),
        };
        if plan.routes.is_unknown() && plan.name.as_deref() == Attr::Known("routed") {
            let route = PartModel {
                mode: "planned".into(),
            };
            plan.routes = vec![route].into();
        }
        Ok(())
    }

    async fn create(
        &self,
        cx: &Cx<Witness>,
        mut plan: VolumeModel,
    ) -> Result<VolumeModel, Failure<VolumeModel>> {
        plan.told = told(cx)?.into();
        plan.mode = spelled(&plan.mode);
        if let Attr::Known(parts) = &mut plan.parts {
            for part in parts {
                part.mode = spelled(&part.mode);
            }
        }
        if plan.routes.is_unknown() {
            let route = PartModel {
                mode: "made".into(),
            };
            plan.routes = vec![route].into();
        }
        if plan.origin.is_unknown() {
            plan.origin = PartModel {
                mode: "made".into(),
            }
            .into();
        }
        Ok(plan)
    }

    async fn read(
        &self,
        cx: &Cx<Witness>,
        mut state: VolumeModel,
    ) -> Result<Option<VolumeModel>, Diagnostics> {
        state.told = told(cx)?.into();
        state.mode = spelled(&state.mode);
        Ok(Some(state))
    }

    async fn update(
        &self,
        cx: &Cx<Witness>,
        _: VolumeModel,
        plan: VolumeModel,
    ) -> Result<VolumeModel, Failure<VolumeModel>> {
        self.create(cx, plan).await
    }

    async fn delete(&self, cx: &Cx<Witness>, _: VolumeModel) -> Result<(), Diagnostics> {
        cx.warn("Deleted", told(cx)?);
        Ok(())
    }
}

/// The timeout and the module that the author's code sees.
fn told(cx: &Cx<Witness>) -> Result<String, Diagnostics> {
    let otherwise = Duration::from_secs(60);
    let timeout = cx.timeout(otherwise);
    let module = cx.provider_meta::<MetaModel>()?;
    let module = module.and_then(|meta| meta.module.into_known());
    Ok(format!("{timeout:?} {}", module.unwrap_or_default()))
}

fn spelled(mode: &Attr<String>) -> Attr<String> {
    mode.clone().map(|mode| mode.to_uppercase())
}

fn same_text(before: &str, after: &str) -> bool {
    before.eq_ignore_ascii_case(after)
}

/// Any zone is as good as another.
fn same_zones(_: &[Attr<String>], _: &[Attr<String>]) -> bool {
    true
}

/// Tags mean the same in any order.
fn same_tags(before: &[String], after: &[String]) -> bool {
    let sorted = |tags: &[String]| {
        let mut tags = tags.to_vec();
        tags.sort();
        tags
    };
    sorted(before) == sorted(after)
}
