//! The plan's guard, as whoever keeps a copy needs it.

use async_trait::async_trait;
use hanse_guard::{Order, Status};
use tokio::sync::watch;

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
}
