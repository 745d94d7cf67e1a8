//! Drills beside a copy: the data is copied into a cage, promoted there and verified, and all of that is
//! gone afterwards, however it ends.
//!
//! It runs beside the copy's steward and shares nothing with it: what a drill finds or breaks never
//! touches the copy's own duty. A drill that was begun once is never begun again.

mod findings;
mod verify;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hanse_core::dr::drill::{DrillOutcome, DrillReport};
use hanse_core::dr::duty::{CopyPlan, DrillOrder};
use hanse_core::object::dr_plan::Workload;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::away::away;
use crate::cage::{self, Cage, Caging};
use crate::file::Owner;
use crate::folder;
use crate::memory::Kept;
use crate::postgresql;
use crate::setup::Setup;
use crate::trouble::Trouble;

pub(crate) use self::findings::Findings;
pub(crate) use self::verify::verify;

/// How soon something that failed is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// How far a drill is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrillNews {
    /// Which one of the plan.
    pub number: u64,
    /// In words.
    pub progress: String,
    /// What was found; none: it goes on.
    pub report: Option<DrillReport>,
}

/// Holds the drills of one copy.
pub struct Driller {
    setup: Setup,
    cage: Vec<String>,
    plans: watch::Receiver<Option<(u64, CopyPlan)>>,
    news: watch::Sender<Option<DrillNews>>,
}

/// The latest drill that was begun.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Begun {
    number: u64,
}

impl Driller {
    /// Holds the drills that come with the plan. `cage`: the command that calls [`crate::run_cage`], to which
    /// the folder is added.
    #[must_use]
    pub fn new(
        setup: Setup,
        cage: Vec<String>,
        plans: watch::Receiver<Option<(u64, CopyPlan)>>,
    ) -> (Self, watch::Receiver<Option<DrillNews>>) {
        let (news, told) = watch::channel(None);
        let driller = Self {
            setup,
            cage,
            plans,
            news,
        };
        (driller, told)
    }

    /// Holds drills until nobody has a plan for the copy any more. Dropped, it leaves nothing behind.
    pub async fn run(mut self) {
        loop {
            if let Err(trouble) = self.clear().await {
                tracing::warn!(%trouble, "something of an earlier drill is left");
            }
            let ordered = self.plans.borrow_and_update().clone();
            let ordered = ordered.and_then(|(_, plan)| Some((plan.drill.clone()?, plan)));
            match ordered {
                None => {
                    self.news.send_replace(None);
                }
                Some((order, plan)) if !self.is_told_of(&order) => {
                    let report = self.hold(&order, &plan).await;
                    self.news.send_replace(Some(DrillNews {
                        number: order.number,
                        progress: String::new(),
                        report: Some(report),
                    }));
                    // It may be another order by now.
                    continue;
                }
                Some(_) => {}
            }
            tokio::select! {
                changed = self.plans.changed() => if changed.is_err() {
                    return;
                },
                () = tokio::time::sleep(RETRY), if self.root().exists() => {}
            }
        }
    }

    /// What is of drills lies beside the copy, where there is room for another.
    fn root(&self) -> PathBuf {
        self.setup.folder.join("drill")
    }

    fn is_told_of(&self, order: &DrillOrder) -> bool {
        let news = self.news.borrow();
        news.as_ref()
            .is_some_and(|news| news.number == order.number && news.report.is_some())
    }

    /// Removes what an earlier agent left, or one that lost its power.
    async fn clear(&self) -> Result<(), Trouble> {
        let root = self.root();
        away(move || cage::remove(&root)).await
    }

    /// Holds a drill to its end: its own, its time's, or that of the order.
    async fn hold(&self, order: &DrillOrder, plan: &CopyPlan) -> DrillReport {
        let began = Instant::now();
        let mut findings = Findings::new(order, plan, self.news.clone());
        let ended = self.try_hold(order, plan, &mut findings).await;
        let (outcome, trouble) = match ended {
            Ok(()) => findings.verdict(),
            Err(End::Failed(trouble)) => (DrillOutcome::Failed, trouble.0),
            Err(End::Withdrawn) => {
                let why = "the federation asks for it no more".to_owned();
                (DrillOutcome::Abandoned, why)
            }
        };
        let (plan, number) = (&plan.plan, order.number);
        tracing::info!(%plan, number, %outcome, trouble, "a drill ended");
        findings.finish(outcome, trouble, began.elapsed())
    }

    async fn try_hold(
        &self,
        order: &DrillOrder,
        plan: &CopyPlan,
        findings: &mut Findings,
    ) -> Result<(), End> {
        self.note(order, plan)?;
        let (name, number) = (&plan.plan, order.number);
        tracing::info!(plan = %name, number, "a drill begins");
        let folder = self.root().join(number.to_string());
        make(&self.root(), &folder)?;
        let cage = Cage::begin(&Caging {
            command: &self.cage,
            folder: &folder,
            others: &[],
            has_network: false,
            is_gentle: true,
        })
        .await?;
        let mut plans = self.plans.clone();
        let is_other = |told: &Option<(u64, CopyPlan)>| {
            let order = told.as_ref().and_then(|(_, plan)| plan.drill.as_ref());
            order.is_none_or(|order| order.number != number)
        };
        let ended = tokio::select! {
            ended = practise(&self.setup, &cage, (order, plan), findings) => ended.map_err(End::Failed),
            _ = plans.wait_for(is_other) => Err(End::Withdrawn),
            () = tokio::time::sleep(order.timeout) => {
                let reached = findings.progress();
                Err(End::Failed(Trouble(format!(
                    "it did not end within {} s (drill.timeout): {reached}",
                    order.timeout.as_secs()
                ))))
            }
        };
        findings.say("it cleans up");
        // What was found stays what it is, however long it takes: what is left is tried again.
        if let Err(trouble) = cage.end().await {
            tracing::warn!(plan = %name, number, %trouble, "a drill's folder is not removed yet");
        }
        ended
    }

    /// Notes on the disk that a drill begins: the next agent does not begin it again.
    fn note(&self, order: &DrillOrder, plan: &CopyPlan) -> Result<(), Trouble> {
        let folder = self.setup.memory.join("drills");
        fs::create_dir_all(&folder).map_err(|error| Trouble::io("make", &folder, &error))?;
        let mut begun = Kept::open(&folder, &plan.plan, |_| Begun::default())?;
        if begun.get().number >= order.number {
            return Err(Trouble(
                "the agent of this node ended in the midst of it, and the next one cleaned up"
                    .to_owned(),
            ));
        }
        begun.change(|begun| begun.number = order.number)
    }
}

/// Why a drill did not come to its own end.
enum End {
    Failed(Trouble),
    Withdrawn,
}

impl From<Trouble> for End {
    fn from(trouble: Trouble) -> Self {
        Self::Failed(trouble)
    }
}

/// What is done in a drill, by the kind of workload.
async fn practise(
    setup: &Setup,
    cage: &Cage,
    (order, plan): (&DrillOrder, &CopyPlan),
    findings: &mut Findings,
) -> Result<(), Trouble> {
    match &plan.workload {
        Workload::Postgresql(postgresql) => {
            postgresql::practise(setup, cage, (order, postgresql), findings).await
        }
        Workload::Directory(directory) => {
            crate::directory::practise(setup, cage, (order, plan, directory), findings).await
        }
        Workload::Command(commands) => {
            crate::command::practise(setup, cage, (order, plan, commands), findings).await
        }
    }
}

/// Makes the drill's folder, which only root enters until somebody is let in. Others pass its parent,
/// however private this process's files are.
fn make(root: &Path, folder: &Path) -> Result<(), Trouble> {
    let private = Owner::own(0o700);
    folder::make(root, Owner::own(0o755))
        .and_then(|_| match folder::make_new(folder, private) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                fs::remove_dir_all(folder).and_then(|()| folder::make_new(folder, private))
            }
            made => made,
        })
        .map(|_| ())
        .map_err(|error| Trouble::io("make", folder, &error))
}
