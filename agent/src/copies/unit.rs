//! The unit of a plan's guard, where systemd runs the machine: enabled while the plan has a copy here,
//! so that a boot brings the guard back without the agent.

use std::io::{Error, Result};
use std::path::Path;
use std::process::Stdio;

use hanse_core::name::PlanName;
use tokio::process::Command;

/// Where systemd has its units, if it runs this machine.
const SYSTEMD: &str = "/run/systemd/system";
/// The only folder that the unit knows.
const DATA_DIR: &str = "/var/lib/hanse";

/// Whether systemd is there to start anything.
pub(super) fn runs_this_machine() -> bool {
    Path::new(SYSTEMD).is_dir()
}

/// Starts it now and at each boot; returns once the guard is ready.
pub(super) async fn start(data_dir: &Path, plan: &PlanName) -> Result<()> {
    if data_dir != Path::new(DATA_DIR) {
        return Err(Error::other(format!(
            "the agent's folder is {} and the guard's unit knows {DATA_DIR} only: start the agent \
             with --data-dir {DATA_DIR}",
            data_dir.display()
        )));
    }
    // A guard that can't be enabled guards until the next boot.
    let enabled = systemctl("enable", &[], plan).await;
    systemctl("start", &[], plan).await?;
    enabled
}

/// Never starts it again. `runs_on`: the workload was let go, and its processes are still the unit's;
/// the guard ends by itself then.
pub(super) async fn withdraw(plan: &PlanName, runs_on: bool) -> Result<()> {
    systemctl("disable", &[], plan).await?;
    match runs_on {
        true => Ok(()),
        // In good order, without anybody who waits for it.
        false => systemctl("stop", &["--no-block"], plan).await,
    }
}

async fn systemctl(verb: &str, options: &[&str], plan: &PlanName) -> Result<()> {
    let unit = format!("hanse-guard@{plan}.service");
    let ended = Command::new("systemctl")
        .arg(verb)
        .args(options)
        .arg(&unit)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|error| Error::other(format!("unable to start systemctl: {error}")))?;
    if ended.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&ended.stderr);
    Err(Error::other(format!(
        "systemctl {verb} {unit} failed: {}; see: journalctl -u {unit}",
        said.trim().replace('\n', "; ")
    )))
}
