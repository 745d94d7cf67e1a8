//! One copy: its guard runs, its steward keeps it, its reports are sent.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hanse_client::Client;
use hanse_core::dr::duty::CopyPlan;
use hanse_core::name::PlanName;
use hanse_core::object::dr_plan::Workload;
use hanse_guard::{Order, Process, Status};
use hanse_workload::{Guard, GuardError, Setup, Steward};
use tokio::process::Command;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::reporter;
use crate::data::DataFolder;

/// A guard that doesn't answer for so long is started.
const ABSENCE_MAX: Duration = Duration::from_millis(500);
/// How long one that was started may take to answer, before it is started again.
const START_MAX: Duration = Duration::from_secs(5);
/// Below it, what only a server that was started by its guard finds.
const SEALS: &str = "/run/hanse/sealed";
/// Whose a server is that is made here, as Debian has it.
const USER: &str = "postgres";
/// Where Debian has the configuration of servers.
const CONFIGURATIONS: &str = "/etc/postgresql";
/// Where what belongs to users' own programs is, as long as the host runs.
const COMMANDS: &str = "/run/hanse/commands";
/// Where systemd has its units, if it runs this machine.
const SYSTEMD: &str = "/run/systemd/system";

/// Care for one copy. Dropped, it leaves everything as it is.
pub(super) struct Care {
    plan: PlanName,
    plans: watch::Sender<Option<(u64, CopyPlan)>>,
    guard: Arc<hanse_guard::Client>,
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
}

impl Care {
    pub(super) fn begin(
        folder: &DataFolder,
        plan: PlanName,
        copy: (u64, CopyPlan),
        client: watch::Receiver<Option<Client>>,
    ) -> Self {
        let place = folder.copy(&plan);
        if let Err(error) = std::fs::create_dir_all(&place) {
            tracing::error!(%plan, %error, "unable to make the folder {}", place.display());
        }
        let guard = Arc::new(hanse_guard::Client::new(&place));
        let setup = setup(place, &plan, &copy.1);
        let (plans, told) = watch::channel(Some(copy));
        let (steward, reports) = Steward::new(setup, Arc::new(Socket(guard.clone())), told);
        let mut tasks = JoinSet::new();
        tasks.spawn(mind(folder.path().to_owned(), plan.clone(), guard.status()));
        tasks.spawn(steward.run());
        tasks.spawn(reporter::run(
            plan.clone(),
            plans.subscribe(),
            reports,
            client,
        ));
        Self {
            plan,
            plans,
            guard,
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
    /// standby is stopped. No data is deleted.
    pub(super) async fn end(self) {
        let Self {
            plan,
            plans,
            guard,
            _tasks: tasks,
        } = self;
        drop((plans, tasks));
        tracing::info!(%plan, "the plan has no copy here any more");
        let status = guard.status().borrow().clone();
        let runs = status.is_some_and(|status| {
            let writes = status.observed.is_some_and(|observed| observed.writes);
            writes && matches!(status.process, Process::Running { .. })
        });
        if !runs {
            let order = Order {
                plan: plan.clone(),
                serial: 0,
                lease: None,
                program: None,
                gives_back: false,
                service_address: None,
            };
            let stopped = async {
                guard.order(order).await?;
                let mut status = guard.status();
                let is_stopped = |status: &Option<Status>| {
                    let process = status.as_ref().map(|status| &status.process);
                    matches!(process, None | Some(Process::Stopped { .. }))
                };
                let _ = status.wait_for(is_stopped).await;
                Ok::<(), hanse_guard::Error>(())
            };
            if let Ok(Err(error)) = timeout(START_MAX, stopped).await {
                tracing::warn!(%plan, "{}", error.sentence());
            }
        }
        if let Err(error) = guard.release().await {
            tracing::warn!(%plan, "unable to end the guard: {}", error.sentence());
        }
    }
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
    if Path::new(SYSTEMD).is_dir() {
        let unit = format!("hanse-guard@{plan}.service");
        let ended = Command::new("systemctl")
            .args(["start", &unit])
            .status()
            .await?;
        return match ended.success() {
            true => Ok(()),
            false => Err(std::io::Error::other(format!(
                "systemctl start {unit} ended with {ended}; see: journalctl -u {unit}"
            ))),
        };
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
