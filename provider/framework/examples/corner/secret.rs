//! Write-only values at every level. What comes is noted in the log, so that it can be seen that it
//! came; and it is kept and read back, so that it can be seen that nothing of it is stored.

use std::collections::BTreeMap;

use terraform_plugin::{
    Attr, Cx, Diagnostic, Diagnostics, Failure, Model, MoveSource, Path, PlanAction, PlanCx,
    Registry, Resource, async_trait,
};

use crate::store::{Kept, Store, file_name};

/// Something with secrets.
#[derive(Model, Clone, Default)]
pub(crate) struct Secret {
    /// What it is called.
    #[attribute(required, requires_replace, validate = file_name)]
    name: Attr<String>,
    /// The password as it used to be given. Exactly one of the two is needed.
    #[attribute(optional, sensitive)]
    old_password: Attr<String>,
    /// The password. It goes together with its version.
    #[attribute(optional, sensitive, write_only)]
    password: Attr<String>,
    /// Another one means another password, and another object.
    #[attribute(optional, requires_replace)]
    password_version: Attr<i64>,
    /// Needed to make it, and never again.
    #[attribute(optional, write_only)]
    seed: Attr<String>,
    /// Whether a seed is needed.
    #[attribute(optional)]
    seeded: Attr<bool>,
    /// What nobody needs to see on a screen, and what is stored.
    #[attribute(computed, sensitive)]
    token: Attr<String>,
    #[attribute(optional, write_only)]
    codes: Attr<Vec<String>>,
    #[attribute(optional, write_only)]
    whole: Attr<Whole>,
    #[attribute(optional)]
    by_name: Attr<BTreeMap<String, Part>>,
    #[block]
    parts: Vec<Outer>,
}

/// An object that is write-only as a whole.
#[derive(Model, Clone, Default)]
pub(crate) struct Whole {
    #[attribute(optional, write_only)]
    key: Attr<String>,
}

/// An object of which one value is write-only.
#[derive(Model, Clone, Default)]
pub(crate) struct Part {
    #[attribute(optional)]
    shown: Attr<String>,
    #[attribute(optional, write_only)]
    hidden: Attr<String>,
}

/// A block with a block in it.
#[derive(Model, Clone, Default)]
pub(crate) struct Outer {
    #[attribute(optional)]
    shown: Attr<String>,
    #[attribute(optional, write_only)]
    hidden: Attr<String>,
    #[block]
    inner: Option<Part>,
}

impl Kept for Secret {
    const KIND: &'static str = "secret";

    fn name(&self) -> &Attr<String> {
        &self.name
    }
}

impl Secret {
    /// One whose write-only values are set where they may not be.
    fn careless(name: Attr<String>) -> Self {
        Self {
            name,
            password: "careless".into(),
            token: "token".into(),
            ..Self::default()
        }
    }

    /// All that is hidden in it.
    fn hidden(&self) -> Vec<String> {
        let mut hidden = vec![&self.password, &self.seed];
        let by_name = self.by_name.as_known();
        let by_name = by_name.into_iter().flat_map(BTreeMap::values);
        hidden.extend(self.whole.as_known().map(|whole| &whole.key));
        hidden.extend(by_name.map(|part| &part.hidden));
        for outer in &self.parts {
            hidden.push(&outer.hidden);
            hidden.extend(outer.inner.as_ref().map(|inner| &inner.hidden));
        }
        let codes = self.codes.as_known().into_iter().flatten().cloned();
        let hidden = hidden.into_iter().filter_map(Attr::as_known).cloned();
        hidden.chain(codes).collect()
    }
}

struct SecretResource;

#[async_trait]
impl Resource for SecretResource {
    type Client = Store;
    type Model = Secret;
    const TYPE_NAME: &'static str = "corner_secret";
    const VERSION: i64 = 1;

    async fn validate(&self, _: &Cx<Store>, config: &Secret, diagnostics: &mut Diagnostics) {
        let at = || Path::root("password");
        if !config.old_password.is_null() && !config.password.is_null() {
            diagnostics.error_at(at(), "Two passwords", "Give password or old_password.");
        }
        if config.password.is_null() != config.password_version.is_null() {
            let detail = "Give password together with password_version.";
            diagnostics.error_at(at(), "No version", detail);
        }
    }

    async fn plan(
        &self,
        cx: &PlanCx<Store>,
        _: Option<&Secret>,
        config: &Secret,
        _: &mut Secret,
    ) -> Result<(), Diagnostics> {
        let is_new = matches!(cx.action(), PlanAction::Create | PlanAction::Replace);
        if is_new && config.seeded == Attr::Known(true) && config.seed.is_null() {
            let refused = Diagnostic::error("No seed", "A seed is needed to make it.");
            return Err(refused.at(Path::root("seed")).into());
        }
        Ok(())
    }

    async fn create(&self, cx: &Cx<Store>, mut plan: Secret) -> Result<Secret, Failure<Secret>> {
        plan.token = "token".into();
        Ok(keep(cx, plan, "create")?)
    }

    async fn read(&self, cx: &Cx<Store>, state: Secret) -> Result<Option<Secret>, Diagnostics> {
        Ok(cx.client()?.load(&state.name)?)
    }

    async fn update(
        &self,
        cx: &Cx<Store>,
        prior: Secret,
        mut plan: Secret,
    ) -> Result<Secret, Failure<Secret>> {
        plan.token = prior.token;
        Ok(keep(cx, plan, "update")?)
    }

    async fn delete(&self, cx: &Cx<Store>, state: Secret) -> Result<(), Diagnostics> {
        Ok(cx.client()?.remove::<Secret>(&state.name)?)
    }

    async fn import(&self, _: &Cx<Store>, id: &str) -> Result<Secret, Diagnostics> {
        Ok(Secret::careless(id.into()))
    }

    async fn move_from(
        &self,
        _: &Cx<Store>,
        source: MoveSource,
    ) -> Result<Option<Secret>, Diagnostics> {
        let name = source.state["input"]["value"].as_str();
        Ok(name.map(|name| Secret::careless(name.into())))
    }

    async fn upgrade(
        &self,
        _: &Cx<Store>,
        _: i64,
        state: serde_json::Value,
    ) -> Result<Secret, Diagnostics> {
        let name = state["name"].as_str().map(str::to_owned);
        Ok(Secret::careless(name.into()))
    }
}

/// Adds it.
pub(crate) fn register(registry: &mut Registry<Store>) {
    registry.resource(SecretResource);
}

fn keep(cx: &Cx<Store>, plan: Secret, what: &str) -> Result<Secret, Diagnostics> {
    let store = cx.client()?;
    store.note(&format!("{what} {}", plan.hidden().join(" ")))?;
    store.save(&plan)?;
    Ok(plan)
}
