//! The keeper of one copy: looks, decides, takes one step, reports, and looks again.
//!
//! It may end at any instant. What it must not forget is on the disk before it counts, and every step
//! can be taken again.

use std::sync::Arc;
use std::time::Duration;

use hanse_core::dr::duty::CopyPlan;
use hanse_core::name::NodeName;
use hanse_core::object::dr_plan::Workload;
use hanse_guard::Order;
use tokio::sync::watch;

use crate::announced::Announced;
use crate::decide::{Ordered, Step, decide};
use crate::memory::Kept;
use crate::postgresql::{Observer, Own, Primary, Server, Setup};
use crate::report::CopyReport;
use crate::seams::Guard;
use crate::trouble::Trouble;

/// How soon it looks again at what is about to change.
const SOON: Duration = Duration::from_millis(100);
/// How soon something that failed is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// How soon it looks again when all is well, at the latest.
const CALM_MAX: Duration = Duration::from_secs(2);

/// The keeper of one copy.
pub struct Steward {
    pub(crate) setup: Setup,
    pub(crate) guard: Arc<dyn Guard>,
    pub(crate) plans: watch::Receiver<Option<(u64, CopyPlan)>>,
    pub(crate) report: watch::Sender<CopyReport>,
    pub(crate) own: Own,
    /// What was ordered of the guard, and the serial that it had.
    pub(crate) ordered: Option<(Ordered, Order, u64)>,
    /// What the primary told that is to be followed, and the lease under which.
    pub(crate) source: Option<(NodeName, u64, Primary)>,
    /// For whom the server was prepared last.
    pub(crate) provided: Option<String>,
    /// Who has each commit.
    pub(crate) set: Announced,
    /// The end of the log of a server that stands still, by its last checkpoint.
    pub(crate) end: Option<(u64, u64)>,
    obeyed: u64,
}

/// What a turn needs, all of it on this host.
pub(crate) struct Here {
    pub(crate) revision: u64,
    pub(crate) plan: CopyPlan,
    pub(crate) server: Server,
    pub(crate) kept: Kept,
    pub(crate) observer: Observer,
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
        let steward = Self {
            setup,
            guard,
            plans,
            report,
            own: Own::default(),
            ordered: None,
            source: None,
            provided: None,
            set: Announced::default(),
            end: None,
            obeyed: 0,
        };
        (steward, reports)
    }

    /// Keeps the copy until nobody has a plan for it any more. Dropped, it leaves everything as it is.
    pub async fn run(mut self) {
        let mut status = self.guard.status();
        let mut here = None;
        loop {
            // What changes from here on is seen in the next turn.
            status.mark_unchanged();
            self.plans.mark_unchanged();
            let pause = match self.turn(&mut here).await {
                Ok(pause) => pause,
                Err(trouble) => {
                    tracing::warn!(%trouble, "the copy is in trouble");
                    self.report.send_if_modified(|report| {
                        let told = Some(trouble.to_string());
                        let is_new = report.trouble != told;
                        report.trouble = told;
                        is_new
                    });
                    RETRY
                }
            };
            tokio::select! {
                changed = self.plans.changed() => if changed.is_err() {
                    return;
                },
                Ok(()) = status.changed() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Looks, and takes one step; yields how soon the next turn is due.
    async fn turn(&mut self, here: &mut Option<Here>) -> Result<Duration, Trouble> {
        let Some((revision, plan)) = self.plans.borrow().clone() else {
            return Ok(CALM_MAX);
        };
        let Some(mut at) = self.arrive(here.take(), revision, plan)? else {
            return Ok(CALM_MAX);
        };
        let step = self.step(&mut at).await;
        let calm = at.plan.timings.check_interval.value().min(CALM_MAX) / 2;
        *here = Some(at);
        Ok(match step? {
            Step::Rest => calm,
            Step::Wait(_) | Step::Configure | Step::Promote | Step::Ask => SOON,
            Step::Trouble(_) => RETRY,
            _ => Duration::ZERO,
        })
    }

    async fn step(&mut self, at: &mut Here) -> Result<Step, Trouble> {
        let seen = self.look(at).await?;
        let step = {
            let source = self.source_for(at);
            let scene = seen.scene(at, source.map(|primary| &primary.source));
            decide(&scene)
        };
        if step == Step::Rest {
            self.obeyed = at.revision;
        }
        let report = self.report_of(at, &seen, &step, self.obeyed).await?;
        self.report.send_if_modified(|told| {
            let is_new = *told != report;
            *told = report;
            is_new
        });
        tracing::debug!(?step, "begins");
        self.execute(at, &seen, &step).await?;
        tracing::debug!(?step, "done");
        Ok(step)
    }

    /// Finds the copy; none: what was heard is older than what was obeyed before.
    fn arrive(
        &self,
        here: Option<Here>,
        revision: u64,
        plan: CopyPlan,
    ) -> Result<Option<Here>, Trouble> {
        let Workload::Postgresql(postgresql) = &plan.workload;
        let mut kept = match here {
            Some(Here { kept, observer, .. }) => (kept, Some(observer)),
            None => (Kept::open(&self.setup.memory, &plan.plan)?, None),
        };
        if revision < kept.0.get().heard {
            return Ok(None);
        }
        kept.0.change(|memory| memory.heard = revision)?;
        let version = self.source.as_ref().map(|(_, _, primary)| primary.version);
        let server = Server::find(&self.setup, postgresql, version)?;
        let observer = kept.1.unwrap_or_else(|| Observer::new(&server.data));
        Ok(Some(Here {
            revision,
            plan,
            server,
            kept: kept.0,
            observer,
        }))
    }
}
