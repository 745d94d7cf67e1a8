//! What a plan's guard is made of in this program: `hanse-guard` does the guarding, and here are the
//! federation's answers, the host's addresses, its watchdog and systemd's.
//!
//! It is a process of its own and needs nothing of the agent but what the agent keeps on the disk:
//! who the node is, where the voters are, and what the copy is.

mod addresses;
mod federation;
mod watchdog;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hanse_core::name::PlanName;
use hanse_core::object::dr_plan::Workload;
use hanse_guard::{Config, Ended, Seams, Service, SystemClock, Watch};
use hanse_workload::{BeaconWatch, PostgresqlWatch};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::copies::{Told, setup};
use crate::data::DataFolder;
use crate::notify;

/// The host's watchdog, as the kernel calls it.
pub const WATCHDOG: &str = "/dev/watchdog";

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
    watchdog_device: &Path,
    stop: CancellationToken,
) -> anyhow::Result<Ended> {
    let watch = watch(folder, plan)?;
    let seams = Seams {
        federation: Arc::new(federation::Voters::start(folder, plan.clone())?),
        watch,
        addresses: Arc::new(addresses::Loopback::open()?),
        watchdog: Arc::new(watchdog::Device::new(watchdog_device)),
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

/// What tells whether the workload writes. If what the agent keeps of the copies is damaged, the guard's
/// own order says where that is too.
fn watch(folder: &DataFolder, plan: &PlanName) -> anyhow::Result<Box<dyn Watch>> {
    let place = folder.copy(plan);
    let told = Told::read(folder);
    if let Ok(told) = &told
        && let Some((_, copy)) = told.copies.get(plan)
    {
        return Ok(match &copy.workload {
            Workload::Postgresql(it) => Box::new(PostgresqlWatch::new(it.data_directory.as_ref())),
            Workload::Directory(_) | Workload::Command(_) => {
                Box::new(BeaconWatch::new(&setup(place, plan, copy)))
            }
        });
    }
    if let Some(program) = hanse_guard::ordered_program(&place) {
        return Ok(hanse_workload::watch_of(&program));
    }
    told?;
    anyhow::bail!(
        "this node has no copy of the DR plan `{plan}`; the agent starts the guards of those that \
         it has"
    )
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
