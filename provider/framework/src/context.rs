//! What an author's code knows and may say during one call, beside its arguments.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::private::Private;
use crate::timeouts::DURATION_MAX;
use crate::value::Value;
use crate::value::{Refinement, Refinements};
use crate::{Diagnostic, Diagnostics, Model, Path};

/// The circumstances of one call. `C` is what the provider's `configure` returned.
pub struct Cx<C> {
    client: Option<Arc<C>>,
    call: Call,
    began: Instant,
    outcome: Mutex<Outcome>,
}

/// The circumstances of a plan.
pub struct PlanCx<C> {
    cx: Cx<C>,
    action: PlanAction,
    requires_replace: Mutex<Vec<Path>>,
    promises: Mutex<Refinements>,
}

/// What a plan is going to do, as far as the framework knows when the author's hook runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlanAction {
    /// There is no object yet. After a replacement was decided Terraform asks this way too.
    Create,
    /// Nothing changes.
    Unchanged,
    /// The object changes.
    Update,
    /// An attribute changes that means another object.
    Replace,
    /// The object goes.
    Destroy,
}

/// Why an answer has to wait for a later plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeferReason {
    /// The resource's own configuration isn't known enough.
    ResourceConfigUnknown,
    /// The provider's configuration isn't known enough.
    ProviderConfigUnknown,
    /// Something that has to exist first doesn't.
    AbsentPrerequisite,
}

/// What the server knows of one call.
#[derive(Clone, Default)]
pub(crate) struct Call {
    pub(crate) terraform_version: Arc<str>,
    pub(crate) cancellation: CancellationToken,
    pub(crate) deferral_allowed: bool,
    pub(crate) write_only_attributes_allowed: bool,
    pub(crate) store_planned_private: bool,
    pub(crate) computed_blocks_allowed: bool,
    /// What the `timeouts` block says about this operation.
    pub(crate) timeout: Option<Duration>,
    /// What the module says about itself to the provider.
    pub(crate) provider_meta: Value,
    /// Where the progress of an action goes.
    pub(crate) progress: Option<mpsc::Sender<String>>,
}

/// What the author's code said beside its result.
#[derive(Clone, Default)]
pub(crate) struct Outcome {
    pub(crate) diagnostics: Diagnostics,
    pub(crate) private: Private,
    pub(crate) deferred: Option<DeferReason>,
    pub(crate) renew_at: Option<SystemTime>,
}

impl<C> Cx<C> {
    /// A context of its own, for tests of an author's code.
    pub fn for_test(client: Option<Arc<C>>) -> Self {
        Self::new(client, Call::default(), Private::default())
    }

    pub(crate) fn new(client: Option<Arc<C>>, call: Call, private: Private) -> Self {
        let outcome = Outcome {
            private,
            ..Outcome::default()
        };
        Self {
            client,
            call,
            began: Instant::now(),
            outcome: Mutex::new(outcome),
        }
    }

    /// What the provider's `configure` returned. An error where the provider isn't configured,
    /// which is so while Terraform only validates.
    pub fn client(&self) -> Result<&C, Diagnostics> {
        self.client.as_deref().ok_or_else(not_configured)
    }

    /// The same to keep, for work that outlives a borrow.
    pub fn shared_client(&self) -> Result<Arc<C>, Diagnostics> {
        self.client.clone().ok_or_else(not_configured)
    }

    /// Fires when Terraform asks to stop, or is gone. Work should end early and say how far it
    /// came.
    pub fn cancellation(&self) -> &CancellationToken {
        &self.call.cancellation
    }

    /// The version of the Terraform (or OpenTofu) that configured the provider; empty before.
    pub fn terraform_version(&self) -> &str {
        &self.call.terraform_version
    }

    /// Whether this call may be deferred.
    pub fn deferral_allowed(&self) -> bool {
        self.call.deferral_allowed
    }

    /// Whether the caller keeps write-only values out of its state: Terraform and OpenTofu from
    /// 1.11. The framework refuses them elsewhere.
    pub fn write_only_attributes_allowed(&self) -> bool {
        self.call.write_only_attributes_allowed
    }

    /// Whether private data of a plan comes back when the same change is planned again.
    pub fn store_planned_private(&self) -> bool {
        self.call.store_planned_private
    }

    /// Whether the caller takes blocks that the provider computes. Elsewhere say what has to be
    /// configured instead.
    pub fn computed_blocks_allowed(&self) -> bool {
        self.call.computed_blocks_allowed
    }

    /// How long this operation may take: what the [`Timeouts`](crate::Timeouts) block of the
    /// object says, or else this.
    pub fn timeout(&self, otherwise: Duration) -> Duration {
        self.call.timeout.unwrap_or(otherwise)
    }

    /// When this operation should have ended, counted from the call. Nothing cuts it off: end in
    /// time, and say how far it came.
    pub fn deadline(&self, otherwise: Duration) -> Instant {
        self.began + self.timeout(otherwise).min(DURATION_MAX)
    }

    /// What the `provider_meta` block of the module says, as the model that was registered for
    /// it; `None` where there is no such block.
    pub fn provider_meta<M: Model>(&self) -> Result<Option<M>, Diagnostics> {
        match &self.call.provider_meta {
            Value::Null => Ok(None),
            meta => M::from_value(meta.clone())
                .map(Some)
                .map_err(|error| error.into_diagnostic().into()),
        }
    }

    /// Defers the answer to a later plan. An error where the caller doesn't allow it, so ask
    /// [`Self::deferral_allowed`] first and say something more helpful.
    pub fn defer(&self, reason: DeferReason) -> Result<(), Diagnostics> {
        if !self.deferral_allowed() {
            return Err(Diagnostic::error(
                "Unable to defer",
                "This needs values that aren't known yet, and this Terraform can't plan in \
                 several rounds. Apply what the values come from first, with -target.",
            )
            .into());
        }
        self.outcome().deferred = Some(reason);
        Ok(())
    }

    /// Adds a finding to the answer. Use it for warnings; errors are better returned.
    pub fn report(&self, diagnostic: Diagnostic) {
        self.outcome().diagnostics.push(diagnostic);
    }

    /// Adds a warning about the whole.
    pub fn warn(&self, summary: impl Into<String>, detail: impl Into<String>) {
        self.report(Diagnostic::warning(summary, detail));
    }

    /// Adds a warning about an attribute.
    pub fn warn_at(&self, path: Path, summary: impl Into<String>, detail: impl Into<String>) {
        self.report(Diagnostic::warning(summary, detail).at(path));
    }

    /// Private data kept beside the state: what the plan put there during an apply, what the
    /// last apply or read put there otherwise.
    pub fn private(&self, key: &str) -> Option<Vec<u8>> {
        self.outcome().private.0.get(key).cloned()
    }

    /// Keeps private data beside the state. It isn't encrypted: no secrets.
    pub fn set_private(&self, key: impl Into<String>, value: impl Into<Vec<u8>>) {
        self.outcome().private.0.insert(key.into(), value.into());
    }

    /// Forgets private data.
    pub fn remove_private(&self, key: &str) {
        self.outcome().private.0.remove(key);
    }

    /// Tells how far the work is. An action shows it to the person who waits; elsewhere it is
    /// logged. It never waits: where nobody reads any more, or far too slowly, it is dropped.
    /// It may be stored and shown: no secrets.
    pub fn progress(&self, message: impl Into<String>) {
        let message = message.into();
        tracing::info!("{message}");
        if let Some(progress) = &self.call.progress
            && progress.try_send(message).is_err()
        {
            tracing::debug!("nobody takes the progress of this action, and a message was dropped");
        }
    }

    /// Asks to be called again before the value of an ephemeral resource ends. Only `open` and
    /// `renew` listen to it.
    pub fn renew_at(&self, time: SystemTime) {
        self.outcome().renew_at = Some(time);
    }

    pub(crate) fn take_diagnostics(&self) -> Diagnostics {
        std::mem::take(&mut self.outcome().diagnostics)
    }

    pub(crate) fn take_outcome(&self) -> Outcome {
        std::mem::take(&mut *self.outcome())
    }

    /// The outcome, if the author's code deferred.
    pub(crate) fn take_deferral(&self) -> Option<Outcome> {
        let mut outcome = self.outcome();
        outcome.deferred.map(|_| std::mem::take(&mut *outcome))
    }

    fn outcome(&self) -> MutexGuard<'_, Outcome> {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C> PlanCx<C> {
    pub(crate) fn new(cx: Cx<C>, action: PlanAction) -> Self {
        Self {
            cx,
            action,
            requires_replace: Mutex::default(),
            promises: Mutex::default(),
        }
    }

    /// What the plan is going to do.
    pub fn action(&self) -> PlanAction {
        self.action
    }

    /// The change at this path means another object.
    pub fn requires_replace(&self, path: Path) {
        self.requires_replace
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(path);
    }

    /// Says what is known already of the value at this path, where the plan leaves it unknown:
    /// that it isn't null, how it begins, within which bounds it lies. Terraform decides with it
    /// what it can while planning, and refuses an apply that breaks it.
    pub fn promise(&self, path: Path, refinement: Refinement) {
        self.promises
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(path, refinement);
    }

    pub(crate) fn take_promises(&self) -> Refinements {
        let mut promises = self.promises.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *promises)
    }

    pub(crate) fn take_requires_replace(&self) -> Vec<Path> {
        let mut paths = self
            .requires_replace
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *paths)
    }
}

impl<C> Deref for PlanCx<C> {
    type Target = Cx<C>;

    fn deref(&self) -> &Cx<C> {
        &self.cx
    }
}

impl<C> fmt::Debug for Cx<C> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Cx")
            .field("terraform_version", &self.call.terraform_version)
            .finish_non_exhaustive()
    }
}

impl<C> fmt::Debug for PlanCx<C> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("PlanCx")
            .field("action", &self.action)
            .finish_non_exhaustive()
    }
}

fn not_configured() -> Diagnostics {
    Diagnostic::error(
        "Provider not configured",
        "Terraform asked for this before it configured the provider. Check that the provider \
         block has no errors.",
    )
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_counted_from_the_call_and_the_block_wins_over_the_author() {
        let [short, long] = [30, 90].map(Duration::from_secs);
        let mut cx = Cx::<()>::for_test(None);
        assert_eq!(cx.deadline(long) - cx.deadline(short), long - short);
        assert_eq!(cx.deadline(Duration::MAX), cx.began + DURATION_MAX);
        cx.call.timeout = Some(short);
        assert_eq!(cx.deadline(long), cx.began + short);
    }
}
