//! The keeper of one server: looks, decides, takes one step, and tells.

use std::sync::Arc;

use async_trait::async_trait;
use hanse_core::dr::duty::CopyPlan;
use hanse_core::name::NodeName;
use hanse_core::object::dr_plan::Workload;
use hanse_guard::Order;
use tokio::sync::watch;

use super::announced::Announced;
use super::backup::Backups;
use super::behind::Behind;
use super::decide::{Ordered, Step, decide};
use super::kept_aside::KeptAside;
use super::lag::Lag;
use super::memory::Memory;
use super::{Observer, Own, Primary, Server};
use crate::keeper::{self, Desk, Pace};
use crate::memory::Kept;
use crate::report::CopyReport;
use crate::seams::Guard;
use crate::setup::Setup;
use crate::trouble::Trouble;

/// The keeper of one server.
pub(crate) struct Keeper {
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
    /// Whether a copy that receives nothing can go on.
    pub(crate) behind: Behind,
    pub(crate) lag: Lag,
    /// What was given up and is kept for a while.
    pub(crate) kept_aside: KeptAside,
    /// The backups, which are made while this copy leads.
    pub(crate) backups: Backups,
    obeyed: u64,
    here: Option<Here>,
}

/// What a turn needs, all of it on this host.
pub(crate) struct Here {
    pub(crate) revision: u64,
    pub(crate) plan: CopyPlan,
    pub(crate) server: Server,
    pub(crate) kept: Kept<Memory>,
    pub(crate) observer: Observer,
}

#[async_trait]
impl keeper::Keeper for Keeper {
    async fn turn(&mut self, revision: u64, plan: CopyPlan) -> Result<Pace, Trouble> {
        let here = self.here.take();
        let Some(mut at) = self.arrive(here, revision, plan)? else {
            return Ok(Pace::Calm);
        };
        let step = self.step(&mut at).await;
        self.here = Some(at);
        Ok(match step? {
            Step::Rest => Pace::Calm,
            Step::Wait(_) | Step::Configure | Step::Promote | Step::Ask | Step::AskLog { .. } => {
                Pace::Soon
            }
            Step::Trouble(_) => Pace::Retry,
            _ => Pace::Now,
        })
    }
}

impl Keeper {
    pub(crate) fn new(setup: Setup, desk: Desk) -> Self {
        Self {
            setup,
            guard: desk.guard,
            plans: desk.plans,
            report: desk.report,
            own: Own::default(),
            ordered: None,
            source: None,
            provided: None,
            set: Announced::default(),
            end: None,
            behind: Behind::default(),
            lag: Lag::default(),
            kept_aside: KeptAside::default(),
            backups: Backups::new(),
            obeyed: 0,
            here: None,
        }
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
        let backup = self.backup(at, &seen);
        let report = self.report_of(at, &seen, &step, self.obeyed).await?;
        let report = CopyReport { backup, ..report };
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
        let Workload::Postgresql(postgresql) = &plan.workload else {
            return Err(Trouble(format!(
                "the DR plan `{}` protected a PostgreSQL server, and another kind of workload now: \
                 declare a plan of another name for it",
                plan.plan
            )));
        };
        let mut kept = match here {
            Some(Here { kept, observer, .. }) => (kept, Some(observer)),
            None => (
                Kept::open(&self.setup.memory, &plan.plan, Memory::new)?,
                None,
            ),
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
