//! What a plan's guard is made of in this program: `hanse-guard` does the guarding, and here are the
//! federation's answers, the host's addresses and systemd's watchdog.
//!
//! It is a process of its own and needs nothing of the agent but what the agent keeps on the disk:
//! who the node is, where the voters are, and what the copy is.

mod addresses;
mod federation;
mod line;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use hanse_core::name::PlanName;
use hanse_core::object::dr_plan::Workload;
use hanse_guard::{Config, Ended, Seams, Service, SystemClock, Watch};
use hanse_workload::{BeaconWatch, PostgresqlWatch};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::copies::{Told, setup};
use crate::data::DataFolder;
use crate::notify;

/// The hidden commands by which the guard starts its own processes.
pub const KEEPER: &str = "guard-keeper";
/// See [`KEEPER`].
pub const STAGE: &str = "guard-stage";

/// Whatever stands in its place since, the guard's processes are of this very program.
const PROGRAM: &str = "/proc/self/exe";

/// Guards a plan's copy until `stop`. To be called on the main thread, in a runtime of it alone.
pub async fn run(
    folder: &DataFolder,
    plan: &PlanName,
    stop: CancellationToken,
) -> anyhow::Result<Ended> {
    let told = Told::read(folder)?;
    let (_, copy) = told.copies.get(plan).with_context(|| {
        format!(
            "this node has no copy of the DR plan `{plan}`; the agent starts the guards of those \
             that it has"
        )
    })?;
    let watch: Box<dyn Watch> = match &copy.workload {
        Workload::Postgresql(it) => Box::new(PostgresqlWatch::new(it.data_directory.as_ref())),
        Workload::Directory(_) | Workload::Command(_) => {
            let setup = setup(folder.copy(plan), plan, copy);
            Box::new(BeaconWatch::new(&setup))
        }
    };
    let seams = Seams {
        federation: Arc::new(federation::Voters::start(folder, plan.clone())?),
        watch,
        addresses: Arc::new(addresses::Loopback::open()?),
        clock: Arc::new(SystemClock),
    };
    let config = Config {
        folder: folder.copy(plan),
        keeper: vec![PROGRAM.to_owned(), KEEPER.to_owned()],
        stage: vec![PROGRAM.to_owned(), STAGE.to_owned()],
    };
    let opened = Service::open(config, seams);
    let service = opened.map_err(|error| anyhow::anyhow!(error.sentence()))?;
    tokio::spawn(watchdog(service.turns()));
    notify::ready();
    let ended = service.run(stop).await;
    ended.map_err(|error| anyhow::anyhow!(error.sentence()))
}

/// Tells systemd that the loop turns: one that doesn't is ended, and with it what it guards.
async fn watchdog(mut turns: watch::Receiver<u64>) {
    let Some(interval) = notify::watchdog_interval() else {
        return;
    };
    while turns.changed().await.is_ok() {
        notify::alive();
        tokio::time::sleep(interval.min(Duration::from_secs(10)) / 3).await;
    }
}
