//! The trait that a resource's author writes.

use async_trait::async_trait;

use crate::{Cx, Diagnostic, Diagnostics, Model, MoveSource, PlanCx, identity};

/// One kind of managed object.
///
/// The framework has decoded every value and planned every attribute by the time it calls; a hook
/// returns findings rather than panics, and a panic still becomes a finding that names the
/// resource.
#[async_trait]
pub trait Resource: Send + Sync + 'static {
    /// What the provider's `configure` returns.
    type Client: Send + Sync + 'static;
    /// The attributes and blocks.
    type Model: Model;

    /// The full name, with the provider's prefix.
    const TYPE_NAME: &'static str;
    /// The version of the state's form. Raise it together with [`Self::upgrade`].
    const VERSION: i64 = 0;
    /// The version of the identity's form. Raise it together with [`Self::upgrade_identity`].
    const IDENTITY_VERSION: i64 = 0;
    /// Whether an object stays the same one when its identity changes. It seldom does: an
    /// attribute of the identity that can be configured has to mean another object.
    const MUTABLE_IDENTITY: bool = false;

    /// Checks a configuration, which may hold unknown values; skip what isn't known. The client
    /// is usually absent.
    async fn validate(
        &self,
        cx: &Cx<Self::Client>,
        config: &Self::Model,
        diagnostics: &mut Diagnostics,
    ) {
        let _ = (cx, config, diagnostics);
    }

    /// Has the last word on a plan to create or change an object. `plan` may be changed, but only
    /// in computed attributes that aren't configured; [`Attr::Unknown`](crate::Attr::Unknown)
    /// says that apply will tell.
    async fn plan(
        &self,
        cx: &PlanCx<Self::Client>,
        prior: Option<&Self::Model>,
        config: &Self::Model,
        plan: &mut Self::Model,
    ) -> Result<(), Diagnostics> {
        let _ = (cx, prior, config, plan);
        Ok(())
    }

    /// May warn about, or refuse, a plan to destroy an object.
    async fn plan_destroy(
        &self,
        cx: &PlanCx<Self::Client>,
        prior: &Self::Model,
    ) -> Result<(), Diagnostics> {
        let _ = (cx, prior);
        Ok(())
    }

    /// Creates the object. Write-only attributes hold what is configured.
    async fn create(
        &self,
        cx: &Cx<Self::Client>,
        plan: Self::Model,
    ) -> Result<Self::Model, Failure<Self::Model>>;

    /// Reads the object as it is now; `None` where it is gone.
    async fn read(
        &self,
        cx: &Cx<Self::Client>,
        state: Self::Model,
    ) -> Result<Option<Self::Model>, Diagnostics>;

    /// Changes the object.
    async fn update(
        &self,
        cx: &Cx<Self::Client>,
        prior: Self::Model,
        plan: Self::Model,
    ) -> Result<Self::Model, Failure<Self::Model>>;

    /// Deletes the object. One that is gone already is a success.
    async fn delete(&self, cx: &Cx<Self::Client>, state: Self::Model) -> Result<(), Diagnostics>;

    /// Adopts an existing object by one text. Terraform reads it right after, so that the
    /// identifying attributes are enough; unknown values aren't allowed. By default the text is
    /// the one required attribute of the identity, where there is one and it holds text.
    async fn import(&self, cx: &Cx<Self::Client>, id: &str) -> Result<Self::Model, Diagnostics> {
        let _ = cx;
        identity::model_by_id(Self::TYPE_NAME, id)
    }

    /// Adopts an existing object by its identity: a model in which only attributes of the
    /// identity are set. By default that is the state to read.
    async fn import_by_identity(
        &self,
        cx: &Cx<Self::Client>,
        identity: Self::Model,
    ) -> Result<Self::Model, Diagnostics> {
        let _ = cx;
        Ok(identity)
    }

    /// Takes over the object of another resource type, which a `moved` block names. `None` says
    /// that this isn't supported from there; unknown values aren't allowed. Terraform does it
    /// before it configures the provider, so that there is no client, and reads the object right
    /// after.
    async fn move_from(
        &self,
        cx: &Cx<Self::Client>,
        source: MoveSource,
    ) -> Result<Option<Self::Model>, Diagnostics> {
        let _ = (cx, source);
        Ok(None)
    }

    /// Has the last word on the configuration that Terraform writes for an object that exists.
    /// `config` is its state without what only the provider sets, defaults, and write-only and
    /// deprecated attributes.
    async fn generate_config(
        &self,
        cx: &Cx<Self::Client>,
        state: &Self::Model,
        config: Self::Model,
    ) -> Result<Self::Model, Diagnostics> {
        let _ = (cx, state);
        Ok(config)
    }

    /// Brings state of an earlier version to this one. Terraform does it before it configures the
    /// provider, so that there is no client.
    async fn upgrade(
        &self,
        cx: &Cx<Self::Client>,
        version: i64,
        state: serde_json::Value,
    ) -> Result<Self::Model, Diagnostics> {
        let _ = (cx, state);
        let detail = format!(
            "The state has version {version} of this resource, and this provider reads only {}. \
             Use the provider release that wrote it.",
            Self::VERSION
        );
        Err(Diagnostic::error(format!("Unable to upgrade {}", Self::TYPE_NAME), detail).into())
    }

    /// Brings an identity of an earlier version to this one: a model in which the attributes of
    /// the identity are set. There is no client here either.
    async fn upgrade_identity(
        &self,
        cx: &Cx<Self::Client>,
        version: i64,
        identity: serde_json::Value,
    ) -> Result<Self::Model, Diagnostics> {
        let _ = (cx, identity);
        let detail = format!(
            "The identity has version {version} of this resource, and this provider reads only \
             {}. Use the provider release that wrote it.",
            Self::IDENTITY_VERSION
        );
        let summary = format!("Unable to upgrade the identity of {}", Self::TYPE_NAME);
        Err(Diagnostic::error(summary, detail).into())
    }
}

/// Why a create or an update failed, and what exists all the same.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure<M> {
    /// Why.
    pub diagnostics: Diagnostics,
    /// The state that resulted. After a failed create Terraform marks such an object as tainted;
    /// after a failed update without one the prior state stays. Unknown values become null.
    pub partial: Option<M>,
}

impl<M> Failure<M> {
    /// A failure that left something behind.
    pub fn partial(state: M, diagnostics: impl Into<Diagnostics>) -> Self {
        Self {
            diagnostics: diagnostics.into(),
            partial: Some(state),
        }
    }
}

impl<M> From<Diagnostics> for Failure<M> {
    fn from(diagnostics: Diagnostics) -> Self {
        Self {
            diagnostics,
            partial: None,
        }
    }
}

impl<M> From<Diagnostic> for Failure<M> {
    fn from(diagnostic: Diagnostic) -> Self {
        Diagnostics::from(diagnostic).into()
    }
}
