//! The plan's guard, as whoever keeps a copy needs it.

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use hanse_guard::{LetGo, Order, Status};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::trouble::Trouble;

/// How long a guard that took an order may take to tell of it, on a host that has much to do, before the
/// copy is told to wait for it.
const TELLING_MAX: Duration = Duration::from_secs(10);

/// The guard is not there, or refuses.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct GuardError(pub String);

/// A plan's guard.
#[async_trait]
pub trait Guard: Send + Sync {
    /// Orders something; it is in effect once a status has its serial. The serial is given by the
    /// implementation, and returned.
    ///
    /// # Errors
    ///
    /// The guard can't be reached.
    async fn order(&self, order: Order) -> Result<u64, GuardError>;

    /// What the guard tells, now and whenever it changes; none: it is not there.
    fn status(&self) -> watch::Receiver<Option<Status>>;

    /// The process that the guard began last, known before it is the server; none: it began none, or
    /// let it go.
    fn began(&self) -> Option<u32> {
        None
    }

    /// What runs on from earlier plans, of this guard or whose programs print beside `log`.
    ///
    /// # Errors
    ///
    /// Nobody can tell.
    fn let_go(&self, log: &Path) -> Result<Vec<LetGo>, GuardError> {
        let _ = log;
        Ok(Vec::new())
    }
}

/// Orders something, and has the guard's first word of it before anybody looks again.
pub(crate) async fn order(guard: &dyn Guard, order: Order) -> Result<u64, Trouble> {
    let mut status = guard.status();
    let serial = guard
        .order(order)
        .await
        .map_err(|error| Trouble(format!("the plan's guard does not take an order: {error}")))?;
    let is_told = |status: &Option<Status>| {
        let status = status.as_ref();
        status.is_some_and(|status| status.serial >= serial)
    };
    let _ = timeout(TELLING_MAX, status.wait_for(is_told)).await;
    Ok(serial)
}
