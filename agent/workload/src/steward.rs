//! The steward of one copy: has its keeper look and take one step, and look again.
//!
//! It knows no workload and may end at any instant. What must not be forgotten is on the disk before it
//! counts, and every step can be taken again.

use std::sync::Arc;
use std::time::Duration;

use hanse_core::dr::duty::CopyPlan;
use hanse_core::object::dr_plan::Workload;
use tokio::sync::watch;

use crate::command::Programs;
use crate::directory::Folder;
use crate::keeper::{Desk, Keeper, Pace};
use crate::log;
use crate::plain;
use crate::postgresql;
use crate::report::CopyReport;
use crate::seams::Guard;
use crate::setup::Setup;
use crate::trouble::Trouble;

/// How soon it looks again at what is about to change.
const SOON: Duration = Duration::from_millis(100);
/// How soon something that failed is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// How soon it looks again when all is well, at the latest.
const CALM_MAX: Duration = Duration::from_secs(2);

/// The keeper of one copy.
pub struct Steward {
    setup: Setup,
    desk: Desk,
    keeper: Option<Box<dyn Keeper>>,
    /// Why the log is longer than it should be, as it was told last.
    log_trouble: Option<String>,
}

impl Steward {
    /// Keeps the copy that comes with the plan, by the plan's guard.
    #[must_use]
    pub fn new(
        setup: Setup,
        guard: Arc<dyn Guard>,
        plans: watch::Receiver<Option<(u64, CopyPlan)>>,
    ) -> (Self, watch::Receiver<CopyReport>) {
        let (report, reports) = watch::channel(CopyReport::default());
        let desk = Desk {
            guard,
            plans,
            report,
        };
        let keeper = None;
        let steward = Self {
            setup,
            desk,
            keeper,
            log_trouble: None,
        };
        (steward, reports)
    }

    /// Keeps the copy until nobody has a plan for it any more. Dropped, it leaves everything as it is.
    pub async fn run(mut self) {
        let mut status = self.desk.guard.status();
        loop {
            // What changes from here on is seen in the next turn.
            status.mark_unchanged();
            self.desk.plans.mark_unchanged();
            let pause = match self.turn().await {
                Ok(pause) => pause,
                Err(trouble) => {
                    tracing::warn!(%trouble, "the copy is in trouble");
                    self.desk.report.send_if_modified(|report| {
                        let told = Some(trouble.to_string());
                        let is_new = report.trouble != told;
                        report.trouble = told;
                        is_new
                    });
                    RETRY
                }
            };
            // What is about to change waits for no log.
            if pause > SOON {
                self.bound_log().await;
            }
            tokio::select! {
                changed = self.desk.plans.changed() => if changed.is_err() {
                    return;
                },
                Ok(()) = status.changed() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Keeps the log short; says once why it can't.
    async fn bound_log(&mut self) {
        let path = self.setup.log.clone();
        let bounded = tokio::task::spawn_blocking(move || log::bound(&path)).await;
        let trouble = match bounded {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(error) => Some(error.to_string()),
        };
        if let Some(error) = trouble.as_ref().filter(|_| self.log_trouble != trouble) {
            let log = self.setup.log.display();
            tracing::warn!(%log, error, "unable to move the text of a long log aside");
        }
        self.log_trouble = trouble;
    }

    async fn turn(&mut self) -> Result<Duration, Trouble> {
        let Some((revision, plan)) = self.desk.plans.borrow().clone() else {
            return Ok(CALM_MAX);
        };
        let calm = plan.timings.check_interval.value().min(CALM_MAX) / 2;
        let keeper = self
            .keeper
            .get_or_insert_with(|| keeper(&self.setup, &self.desk, &plan.workload));
        Ok(match keeper.turn(revision, plan).await? {
            Pace::Calm => calm,
            Pace::Soon => SOON,
            Pace::Retry => RETRY,
            Pace::Now => Duration::ZERO,
        })
    }
}

/// Whoever knows a kind of workload. A plan keeps its kind for life.
fn keeper(setup: &Setup, desk: &Desk, workload: &Workload) -> Box<dyn Keeper> {
    let (setup, desk) = (setup.clone(), desk.clone());
    match workload {
        Workload::Postgresql(_) => Box::new(postgresql::Keeper::new(setup, desk)),
        Workload::Directory(_) => Box::new(plain::Keeper::<Folder>::new(setup, desk)),
        Workload::Command(_) => Box::new(plain::Keeper::<Programs>::new(setup, desk)),
    }
}
