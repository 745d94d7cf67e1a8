//! One run's connection to its federation, and what the run has planned so far.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hanse_client::{Client, Credentials, Patience, Snapshot};
use hanse_core::endpoint::Endpoint;
use hanse_core::finding::Finding;
use hanse_core::object::{Object, ObjectRef};
use terraform_plugin::{Diagnostic, Diagnostics};
use tokio::sync::OnceCell;

use crate::diagnostics::of_error;
use crate::run::Run;

/// What `configure` makes and every call uses.
#[derive(Debug)]
pub(crate) struct Session {
    federation: Option<Client>,
    /// Read once for all plans of a run, so that they agree with one another.
    snapshot: OnceCell<Snapshot>,
    run: Mutex<Option<Run>>,
}

impl Session {
    /// A session whose federation depends on what this run applies.
    pub(crate) fn unknown() -> Self {
        Self {
            federation: None,
            snapshot: OnceCell::new(),
            run: Mutex::new(None),
        }
    }

    /// A session with a federation: the first voter that answers.
    pub(crate) async fn connect(
        endpoints: &[Endpoint],
        credentials: &Credentials,
    ) -> Result<Self, Diagnostics> {
        let patience = Patience::default().telling(|waiting| tracing::warn!("{waiting}"));
        let federation = Client::connect_attended(endpoints, credentials, patience).await;
        let federation = federation.map_err(|error| {
            Diagnostic::error("Unable to reach the federation", error.to_string())
        })?;
        Ok(Self {
            federation: Some(federation),
            ..Self::unknown()
        })
    }

    /// Whether the federation depends on what this run applies.
    pub(crate) fn is_unknown(&self) -> bool {
        self.federation.is_none()
    }

    /// The federation.
    pub(crate) fn federation(&self) -> Result<&Client, Diagnostics> {
        self.federation.as_ref().ok_or_else(|| {
            Diagnostic::error(
                "The federation is not known yet",
                "The provider's endpoints or credentials come from something that is not applied \
                 yet. Apply that first, with -target.",
            )
            .into()
        })
    }

    /// What the federation holds now.
    pub(crate) async fn snapshot(&self) -> Result<Snapshot, Diagnostics> {
        let snapshot = self.federation()?.snapshot(0, Duration::ZERO).await;
        snapshot.map_err(|error| of_error("read the federation", &error))
    }

    /// What the federation held when this run began to plan.
    pub(crate) async fn run_snapshot(&self) -> Result<&Snapshot, Diagnostics> {
        let snapshot = self.snapshot.get_or_try_init(|| self.snapshot()).await?;
        let mut run = self.run.lock().unwrap_or_else(PoisonError::into_inner);
        run.get_or_insert_with(|| Run::new(snapshot.inventory.clone()));
        Ok(snapshot)
    }

    /// Lays an object over what the federation holds and says what is wrong with it there.
    pub(crate) fn planned(&self, object: &Object) -> Vec<Finding> {
        let mut run = self.run.lock().unwrap_or_else(PoisonError::into_inner);
        run.as_mut().map_or_else(Vec::new, |run| run.put(object))
    }

    /// Whether an object is there, or planned by this run so far.
    pub(crate) fn knows(&self, reference: &ObjectRef) -> bool {
        let run = self.run.lock().unwrap_or_else(PoisonError::into_inner);
        run.as_ref().is_some_and(|run| run.has(reference))
    }

    /// Takes an object out of what this run plans.
    pub(crate) fn unplanned(&self, reference: &ObjectRef) {
        let mut run = self.run.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(run) = run.as_mut() {
            run.remove(reference);
        }
    }
}
