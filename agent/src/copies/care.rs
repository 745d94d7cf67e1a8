//! One copy: its guard runs, its steward keeps it, its reports are sent.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hanse_client::proto;
use hanse_core::dr::duty::CopyPlan;
use hanse_core::name::PlanName;
use hanse_core::object::dr_plan::Workload;
use hanse_guard::{LetGo, Order, Process, Status};
use hanse_workload::{Driller, Guard, GuardError, Setup, Steward};
use tokio::process::Command;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::{drills, reporter, unit};
use crate::data::DataFolder;
use crate::follower::Lines;

/// A guard that doesn't answer for so long is started.
const ABSENCE_MAX: Duration = Duration::from_millis(500);
/// How long one that was started may take to answer, before it is started again.
const START_MAX: Duration = Duration::from_secs(5);
/// How long it may take until a server has told whether it writes.
const OBSERVATION_MAX: Duration = Duration::from_secs(5);
/// How long one attempt to end the care for a copy may take: a standby is stopped in good order first.
const END_MAX: Duration = Duration::from_secs(90);
/// How soon it is attempted again, and how often.
const END_RETRY: Duration = Duration::from_secs(5);
const END_ATTEMPTS: u32 = 24;
/// Below it, what only a server that was started by its guard finds.
const SEALS: &str = "/run/hanse/sealed";
/// Whose a server is that is made here, as Debian has it.
const USER: &str = "postgres";
/// Where Debian has the configuration of servers.
const CONFIGURATIONS: &str = "/etc/postgresql";
/// Where what belongs to users' own programs is, as long as the host runs.
const COMMANDS: &str = "/run/hanse/commands";

/// Care for one copy. Dropped, it leaves everything as it is.
pub(super) struct Care {
    plan: PlanName,
    plans: watch::Sender<Option<(u64, CopyPlan)>>,
    guard: Arc<hanse_guard::Client>,
    setup: Setup,
    /// Ends with this.
    _tasks: JoinSet<()>,
}

/// The plan's guard, over its socket.
struct Socket(Arc<hanse_guard::Client>);

#[async_trait]
impl Guard for Socket {
    async fn order(&self, order: Order) -> Result<u64, GuardError> {
        let ordered = self.0.order(order).await;
        ordered.map_err(|error| GuardError(error.sentence()))
    }

    fn status(&self) -> watch::Receiver<Option<Status>> {
        self.0.status()
    }

    fn began(&self) -> Option<u32> {
        self.0.began()
    }

    fn let_go(&self, log: &Path) -> Result<Vec<LetGo>, GuardError> {
        let found = self.0.let_go(log);
        found.map_err(|error| GuardError(error.sentence()))
    }
}

impl Care {
    pub(super) fn begin(
        folder: &DataFolder,
        plan: PlanName,
        copy: (u64, CopyPlan),
        (lines, news): (Arc<Lines>, mpsc::Sender<proto::CopyPlans>),
    ) -> Self {
        let place = folder.copy(&plan);
        if let Err(error) = std::fs::create_dir_all(&place) {
            tracing::error!(%plan, %error, "unable to make the folder {}", place.display());
        }
        let guard = Arc::new(hanse_guard::Client::new(&place));
        let setup = setup(place, &plan, &copy.1);
        let (plans, told) = watch::channel(Some(copy));
        let (driller, news_of_drills) = Driller::new(setup.clone(), cage(), told.clone());
        let (steward, reports) = Steward::new(setup.clone(), Arc::new(Socket(guard.clone())), told);
        let mut tasks = JoinSet::new();
        tasks.spawn(mind(folder.path().to_owned(), plan.clone(), guard.status()));
        tasks.spawn(steward.run());
        tasks.spawn(driller.run());
        let signer = drills::Signer::new(folder.clone());
        let told = reporter::Told {
            plans: plans.subscribe(),
            reports,
            drills: news_of_drills,
            guard: guard.status(),
        };
        tasks.spawn(reporter::run(plan.clone(), told, signer, (lines, news)));
        Self {
            plan,
            plans,
            guard,
            setup,
            _tasks: tasks,
        }
    }

    /// Says what the copy has to be from now on.
    pub(super) fn tell(&self, copy: (u64, CopyPlan)) {
        let copy = Some(copy);
        self.plans.send_if_modified(|known| {
            let is_other = *known != copy;
            *known = copy;
            is_other
        });
    }

    /// The plan is no more, or has no copy here any more: a primary runs on without a guard, and a
    /// standby is stopped. No data is deleted, and the server starts without a guard from then on.
    pub(super) async fn end(self) {
        let Self {
            plan,
            plans,
            guard,
            setup,
            _tasks: tasks,
        } = self;
        let workload = plans
            .borrow()
            .as_ref()
            .map(|(_, copy)| copy.workload.clone());
        drop((plans, tasks));
        tracing::info!(%plan, "the plan has no copy here any more");
        let ended = || async {
            let ended = end_guard(&guard, &plan).await;
            ended.map_err(|error| format!("unable to end the guard: {}", error.sentence()))
        };
        let is_ended = persist(&plan, ended).await;
        if let Some(workload) = workload.as_ref().filter(|_| is_ended) {
            let forgotten = || async {
                let forgotten = hanse_workload::forget(&setup, &plan, workload);
                forgotten.map_err(|error| format!("unable to forget the copy: {error}"))
            };
            persist(&plan, forgotten).await;
        }
        if let Some(Workload::Postgresql(postgresql)) = workload {
            let withdrawn = || async {
                let withdrawn = hanse_workload::withdraw(&setup, &postgresql).await;
                withdrawn.map_err(|error| format!("unable to take back the settings: {error}"))
            };
            persist(&plan, withdrawn).await;
        }
        if unit::runs_this_machine() {
            let runs_on = guard.status().borrow().as_ref().is_none_or(runs);
            let withdrawn = || async {
                let withdrawn = unit::withdraw(&plan, runs_on).await;
                withdrawn.map_err(|error| format!("unable to take back the guard's unit: {error}"))
            };
            persist(&plan, withdrawn).await;
        }
    }
}

/// Does something until it is done, for a while; yields whether it is.
async fn persist<F>(plan: &PlanName, mut work: impl FnMut() -> F) -> bool
where
    F: Future<Output = Result<(), String>>,
{
    for _ in 0..END_ATTEMPTS {
        match timeout(END_MAX, work()).await {
            Ok(Ok(())) => return true,
            Ok(Err(reason)) => tracing::warn!(%plan, reason, "trying again"),
            Err(_) => tracing::warn!(%plan, "no answer within {END_MAX:?}; trying again"),
        }
        sleep(END_RETRY).await;
    }
    tracing::error!(
        %plan,
        "given up: what runs goes on, and may need its guard; see the guard's own log"
    );
    false
}

/// Ends what can't write, lets go of anything else, and ends the guard itself.
async fn end_guard(guard: &hanse_guard::Client, plan: &PlanName) -> Result<(), hanse_guard::Error> {
    let mut status = guard.status();
    let is_known = |status: &Option<Status>| {
        let status = status.as_ref();
        status.is_some_and(|status| status.observed.is_some() || !runs(status))
    };
    let _ = timeout(OBSERVATION_MAX, status.wait_for(is_known)).await;
    let known = guard.status().borrow().clone();
    if !may_be_stopped(known.as_ref()) {
        return guard.release().await;
    }
    guard
        .order(Order {
            plan: plan.clone(),
            serial: 0,
            lease: None,
            program: None,
            gives_back: false,
            service_address: None,
        })
        .await?;
    let is_stopped = |status: &Option<Status>| status.as_ref().is_none_or(|status| !runs(status));
    let _ = status.wait_for(is_stopped).await;
    guard.release().await
}

/// Only what is known to be a standby, or not to run at all, is stopped: a server that doesn't answer
/// may be a primary.
fn may_be_stopped(status: Option<&Status>) -> bool {
    status.is_some_and(|status| {
        let observed = status.observed.as_ref();
        !runs(status) || observed.is_some_and(|observed| !observed.writes)
    })
}

fn runs(status: &Status) -> bool {
    match status.process {
        Process::Running { .. } | Process::Stopping => true,
        Process::Stopped { .. } | Process::GaveUp { .. } => false,
    }
}

/// What keeps the place of a drill or of a restore: this program.
pub fn cage() -> Vec<String> {
    vec!["/proc/self/exe".to_owned(), "cage".to_owned()]
}

/// Where the copy's things are. What the server itself has to read lies beside its data, where its
/// user gets to.
pub fn setup(memory: PathBuf, plan: &PlanName, copy: &CopyPlan) -> Setup {
    let beside = |path: &str| PathBuf::from(format!("{}.hanse", path.trim_end_matches('/')));
    let folder = match &copy.workload {
        Workload::Postgresql(postgresql) => beside(&postgresql.data_directory),
        Workload::Directory(directory) => beside(&directory.path),
        Workload::Command(_) => Path::new(COMMANDS).join(plan.as_str()),
    };
    Setup {
        memory,
        log: folder.join("server.log"),
        folder,
        seal: Path::new(SEALS).join(plan.as_str()).join("server"),
        user: USER.to_owned(),
        configurations: PathBuf::from(CONFIGURATIONS),
        sockets: None,
    }
}

/// Starts the guard whenever it is away.
async fn mind(data_dir: PathBuf, plan: PlanName, mut status: watch::Receiver<Option<Status>>) {
    loop {
        let is_away = timeout(ABSENCE_MAX, status.wait_for(Option::is_some))
            .await
            .is_err();
        if is_away {
            if let Err(error) = start(&data_dir, &plan).await {
                tracing::error!(%plan, %error, "unable to start the guard; trying again");
            }
            let _ = timeout(START_MAX, status.wait_for(Option::is_some)).await;
        }
        if status.wait_for(Option::is_none).await.is_err() {
            return;
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// Starts the guard: systemd does, where it runs the machine, and else it is a process by itself.
async fn start(data_dir: &Path, plan: &PlanName) -> std::io::Result<()> {
    tracing::info!(%plan, "starting the guard");
    if unit::runs_this_machine() {
        return unit::start(data_dir, plan).await;
    }
    let log = DataFolder::new(data_dir).copy(plan).join("guard.log");
    let log = std::fs::File::options()
        .create(true)
        .append(true)
        .open(log)?;
    Command::new(std::env::current_exe()?)
        .args(["guard", "--data-dir"])
        .arg(data_dir)
        .args(["--plan", plan.as_str()])
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        // It is to go on when whatever ends the agent ends all that it started.
        .process_group(0)
        .spawn()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use hanse_core::dr::choose::SyncSet;
    use hanse_guard::Observation;

    use super::*;

    fn status(process: Process, writes: Option<bool>) -> Status {
        Status {
            serial: 1,
            epoch: None,
            may_write: false,
            is_lost: false,
            process,
            observed: writes.map(|writes| Observation {
                writes,
                receives: false,
                offset_bytes: 1,
                set: SyncSet::default(),
            }),
            trouble: None,
            watchdog: false,
        }
    }

    #[test]
    fn only_what_is_known_not_to_write_is_stopped_when_its_plan_is_no_more() {
        let running = || Process::Running { start: 1, pid: 7 };
        let gave_up = Process::GaveUp {
            reason: "why".to_owned(),
        };
        assert!(may_be_stopped(Some(&status(running(), Some(false)))));
        assert!(may_be_stopped(Some(&status(gave_up, None))));
        assert!(!may_be_stopped(Some(&status(running(), Some(true)))));
        assert!(!may_be_stopped(Some(&status(running(), None))));
        assert!(!may_be_stopped(Some(&status(Process::Stopping, None))));
        assert!(!may_be_stopped(None));
    }
}
