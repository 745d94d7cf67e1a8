//! What a plan can do: defaults, values that stay, replacements, promises, findings and deferral.

use terraform_plugin::value::Type;
use terraform_plugin::{
    Attr, Cx, DeferReason, Diagnostic, Diagnostics, Failure, Model, Path, PlanAction, PlanCx,
    Refinement, Registry, Resource, Value, async_trait,
};

use crate::store::{Kept, Store, file_name};

/// From this size on, a plan warns.
const SIZE_LARGE: i64 = 100;

/// Above this size, a plan is refused.
const SIZE_MAX: i64 = 1000;

/// Something whose plan says a lot.
#[derive(Model, Clone, Default)]
pub(crate) struct Planned {
    /// What it is called.
    #[attribute(required, requires_replace, validate = file_name)]
    name: Attr<String>,
    /// What stays as it was made.
    #[attribute(computed, use_state_for_unknown)]
    id: Attr<String>,
    /// How often it changed.
    #[attribute(computed)]
    revision: Attr<i64>,
    /// Never null, and it begins with `corner/`, which a plan knows already.
    #[attribute(computed)]
    address: Attr<String>,
    /// From 1 to 65535, which a plan knows already.
    #[attribute(computed)]
    port: Attr<i64>,
    /// A value of any type: of one at first, and of another after a change.
    #[attribute(computed)]
    mood: Attr<Value>,
    /// Whether it is quick.
    #[attribute(optional, computed, default = "slow")]
    tier: Attr<String>,
    /// Chosen here unless it is configured.
    #[attribute(optional, computed)]
    label: Attr<String>,
    /// It can grow; to shrink means to be made anew.
    #[attribute(optional, requires_replace_if = shrinks)]
    size: Attr<i64>,
    /// Another one means another object.
    #[attribute(optional, requires_replace)]
    region: Attr<String>,
    /// It is refused to be destroyed.
    #[attribute(optional, computed, default = false)]
    guarded: Attr<bool>,
    /// While it isn't known, this waits for a later plan where that is possible.
    #[attribute(optional)]
    prerequisite: Attr<String>,
    /// The colour.
    #[attribute(optional, deprecated = "Use label, which says more than a colour.")]
    colour: Attr<String>,
}

impl Kept for Planned {
    const KIND: &'static str = "planned";

    fn name(&self) -> &Attr<String> {
        &self.name
    }
}

struct PlannedResource;

#[async_trait]
impl Resource for PlannedResource {
    type Client = Store;
    type Model = Planned;
    const TYPE_NAME: &'static str = "corner_planned";

    async fn plan(
        &self,
        cx: &PlanCx<Store>,
        prior: Option<&Planned>,
        config: &Planned,
        plan: &mut Planned,
    ) -> Result<(), Diagnostics> {
        cx.promise(
            Path::root("address"),
            Refinement::not_null().starting_with("corner/"),
        );
        cx.promise(
            Path::root("port"),
            Refinement::not_null().at_least(1).at_most(65535),
        );
        // A label that was chosen once stays, and is known.
        if let (true, Some(prior)) = (config.label.is_null(), prior) {
            plan.label = prior.label.clone();
        }
        let size = plan.size.unwrap_or_default();
        let at = || Path::root("size");
        if size > SIZE_MAX {
            let detail = format!("{size} is more than {SIZE_MAX}.");
            return Err(Diagnostic::error("Too large", detail).at(at()).into());
        }
        if size >= SIZE_LARGE && cx.action() != PlanAction::Unchanged {
            cx.warn_at(at(), "Rather large", format!("{size} takes its time."));
        }
        if config.prerequisite.is_unknown() && cx.deferral_allowed() {
            cx.defer(DeferReason::AbsentPrerequisite)?;
        }
        Ok(())
    }

    async fn plan_destroy(&self, _: &PlanCx<Store>, prior: &Planned) -> Result<(), Diagnostics> {
        if prior.guarded == Attr::Known(true) {
            let refused = Diagnostic::error("Guarded", "Take the guard away first.");
            return Err(refused.at(Path::root("guarded")).into());
        }
        Ok(())
    }

    async fn create(&self, cx: &Cx<Store>, mut plan: Planned) -> Result<Planned, Failure<Planned>> {
        let name = plan.name.clone().unwrap_or_default();
        plan.id = format!("planned/{name}").into();
        if plan.label.is_unknown() {
            plan.label = format!("the label of {name}").into();
        }
        Ok(settle(cx.client()?, plan, 1)?)
    }

    async fn read(&self, cx: &Cx<Store>, state: Planned) -> Result<Option<Planned>, Diagnostics> {
        Ok(cx.client()?.load(&state.name)?)
    }

    async fn update(
        &self,
        cx: &Cx<Store>,
        prior: Planned,
        plan: Planned,
    ) -> Result<Planned, Failure<Planned>> {
        let revision = prior.revision.unwrap_or_default() + 1;
        Ok(settle(cx.client()?, plan, revision)?)
    }

    async fn delete(&self, cx: &Cx<Store>, state: Planned) -> Result<(), Diagnostics> {
        Ok(cx.client()?.remove::<Planned>(&state.name)?)
    }
}

/// Adds it.
pub(crate) fn register(registry: &mut Registry<Store>) {
    registry.resource(PlannedResource);
}

/// Fills in what the plan left open, and keeps it.
fn settle(store: &Store, mut plan: Planned, revision: i64) -> Result<Planned, Diagnostic> {
    let name = plan.name.clone().unwrap_or_default();
    plan.address = format!("corner/{name}/{revision}").into();
    plan.port = (1000 + revision).into();
    plan.revision = revision.into();
    plan.mood = Attr::Known(match revision {
        1 => Value::Dynamic(Type::Bool, Box::new(true.into())),
        _ => Value::Dynamic(Type::Number, Box::new(200.into())),
    });
    store.save(&plan)?;
    Ok(plan)
}

fn shrinks(prior: &Attr<i64>, planned: &Attr<i64>) -> bool {
    match (prior.as_known(), planned.as_known()) {
        (Some(prior), Some(planned)) => planned < prior,
        _ => false,
    }
}
