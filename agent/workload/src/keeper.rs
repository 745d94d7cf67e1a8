//! What the steward's loop asks of whoever knows a kind of workload.

use std::sync::Arc;

use async_trait::async_trait;
use hanse_core::dr::duty::CopyPlan;
use tokio::sync::watch;

use crate::report::CopyReport;
use crate::seams::Guard;
use crate::trouble::Trouble;

/// Keeps a copy of one kind of workload. It may be dropped at any instant.
#[async_trait]
pub(crate) trait Keeper: Send {
    /// Looks, tells what the copy is, and takes one step; yields how soon the next turn is due.
    ///
    /// A plan that is older than one which was obeyed before is never obeyed again.
    async fn turn(&mut self, revision: u64, plan: CopyPlan) -> Result<Pace, Trouble>;
}

/// How soon a copy is looked at again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// All is well.
    Calm,
    /// Something is about to change.
    Soon,
    /// Something failed.
    Retry,
    /// A step was taken, and the next one follows.
    Now,
}

/// What every keeper hears, tells and orders.
#[derive(Clone)]
pub(crate) struct Desk {
    pub(crate) guard: Arc<dyn Guard>,
    pub(crate) plans: watch::Receiver<Option<(u64, CopyPlan)>>,
    pub(crate) report: watch::Sender<CopyReport>,
}

impl Desk {
    /// Tells what the copy is, if that is news.
    pub(crate) fn tell(&self, report: CopyReport) {
        self.report.send_if_modified(|told| {
            let is_new = *told != report;
            *told = report;
            is_new
        });
    }
}
