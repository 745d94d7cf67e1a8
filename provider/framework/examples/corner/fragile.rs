//! What goes wrong half way, takes its time, or waits for something else to happen.

use std::time::{Duration, Instant};

use terraform_plugin::{
    Attr, Cx, Diagnostic, Diagnostics, Failure, Model, Registry, Resource, Timeouts, async_trait,
};

use crate::store::{Kept, Store, file_name};

/// How long anything may take unless the configuration says otherwise.
const TIMEOUT: Duration = Duration::from_secs(300);

/// How often the log is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Something that fails where it is told to.
#[derive(Model, Clone, Default)]
pub(crate) struct Fragile {
    /// What it is called.
    #[attribute(required, requires_replace, validate = file_name)]
    name: Attr<String>,
    /// What of it fails, once it was begun: `create`, `update` or `delete`.
    #[attribute(optional)]
    fails: Attr<String>,
    /// It is made once the log has this line.
    #[attribute(optional)]
    waits_for: Attr<String>,
    /// So many times.
    #[attribute(optional, computed, default = 1)]
    times: Attr<u64>,
    /// How long the last change was allowed to take, in milliseconds.
    #[attribute(computed)]
    allowed_ms: Attr<u64>,
    /// Not known before it was made as a whole.
    #[attribute(computed)]
    finished: Attr<bool>,
    /// How long each operation may take.
    #[block]
    timeouts: Option<Timeouts>,
}

impl Kept for Fragile {
    const KIND: &'static str = "fragile";

    fn name(&self) -> &Attr<String> {
        &self.name
    }
}

struct FragileResource;

#[async_trait]
impl Resource for FragileResource {
    type Client = Store;
    type Model = Fragile;
    const TYPE_NAME: &'static str = "corner_fragile";

    async fn create(&self, cx: &Cx<Store>, plan: Fragile) -> Result<Fragile, Failure<Fragile>> {
        change(cx, plan, "create").await
    }

    async fn read(&self, cx: &Cx<Store>, state: Fragile) -> Result<Option<Fragile>, Diagnostics> {
        Ok(cx.client()?.load(&state.name)?)
    }

    async fn update(
        &self,
        cx: &Cx<Store>,
        _: Fragile,
        plan: Fragile,
    ) -> Result<Fragile, Failure<Fragile>> {
        change(cx, plan, "update").await
    }

    async fn delete(&self, cx: &Cx<Store>, state: Fragile) -> Result<(), Diagnostics> {
        let kept = cx.client()?.load::<Fragile>(&state.name)?;
        if kept.is_some_and(|kept| kept.fails.as_deref() == Attr::Known("delete")) {
            return Err(failed("delete").into());
        }
        Ok(cx.client()?.remove::<Fragile>(&state.name)?)
    }
}

/// Adds it.
pub(crate) fn register(registry: &mut Registry<Store>) {
    registry.resource(FragileResource);
}

async fn change(
    cx: &Cx<Store>,
    mut plan: Fragile,
    operation: &str,
) -> Result<Fragile, Failure<Fragile>> {
    let store = cx.client()?;
    let allowed_ms = cx.timeout(TIMEOUT).as_millis();
    plan.allowed_ms = u64::try_from(allowed_ms).unwrap_or(u64::MAX).into();
    plan.finished = false.into();
    store.save(&plan)?;
    let waited = wait(cx, store, &plan).await;
    if plan.fails.as_deref() == Attr::Known(operation) {
        return Err(Failure::partial(plan, failed(operation)));
    }
    if let Err(why) = waited {
        return Err(Failure::partial(plan, why));
    }
    plan.finished = true.into();
    store.save(&plan)?;
    Ok(plan)
}

/// Waits for what the plan waits for.
async fn wait(cx: &Cx<Store>, store: &Store, plan: &Fragile) -> Result<(), Diagnostic> {
    let Some(line) = plan.waits_for.as_known() else {
        return Ok(());
    };
    let times = usize::try_from(plan.times.unwrap_or(1)).unwrap_or(usize::MAX);
    let deadline = cx.deadline(TIMEOUT);
    while store.noted(line) < times {
        if Instant::now() >= deadline || cx.cancellation().is_cancelled() {
            let detail = format!("{line:?} did not come {times} times.");
            return Err(Diagnostic::error("Out of time", detail));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}

fn failed(operation: &str) -> Diagnostic {
    let detail = format!("The {operation} was to fail once it was begun.");
    Diagnostic::error("Broken", detail)
}
