//! A drill on a folder: the latest snapshot is restored where nobody else is, compared with the
//! repository's own list, and verified by the user's program.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;
use std::time::Instant;

use hanse_core::dr::duty::{CopyPlan, DrillOrder};
use hanse_core::object::dr_plan::Directory;

use super::restic::{Restic, Snapshot};
use super::tree::{self, List};
use crate::cage::Cage;
use crate::drill::{self, Findings};
use crate::plain::user;
use crate::setup::Setup;
use crate::space::check_space;
use crate::trouble::Trouble;

/// How often the latest snapshot is looked for.
const TRIES_MAX: usize = 5;

/// Holds a drill.
pub(crate) async fn practise(
    setup: &Setup,
    cage: &Cage,
    (order, plan, directory): (&DrillOrder, &CopyPlan, &Directory),
    findings: &mut Findings,
) -> Result<(), Trouble> {
    let restic = Restic::find(setup, &plan.plan, directory)?.started_by(cage.starter());
    let (newest, list) = newest(&restic, directory, &cage.folder().join("list")).await?;
    let folder = cage.folder().join("data");
    fs::create_dir(&folder)
        .and_then(|()| fs::set_permissions(&folder, Permissions::from_mode(0o755)))
        .map_err(|error| Trouble::io("make", &folder, &error))?;
    findings.say("it restores the latest snapshot");
    let began = Instant::now();
    let restored = restore(&restic, &newest, &folder).await?;
    findings.copied(restored, began.elapsed());
    // To restore is what a promotion waits for at most; the standby has done it already.
    findings.promoted(order, began.elapsed());
    findings.say("all names, kinds and sizes are compared");
    let since = Instant::now();
    let compared = compare(&list, &newest, &folder).await;
    findings.checked("content", since, compared);
    if order.command.is_empty() {
        return Ok(());
    }
    let user = user(directory.user.as_deref().unwrap_or("root"))?;
    // Whoever that is has to get in.
    chown(cage.folder(), Some(user.id), Some(user.group_id))
        .map_err(|error| Trouble::io("hand over", cage.folder(), &error))?;
    let environment = [
        ("HANSE_PLAN", plan.plan.to_string()),
        ("HANSE_CLUSTER", plan.cluster.to_string()),
        ("HANSE_DRILL", order.number.to_string()),
        ("HANSE_DRILL_COPY", folder.display().to_string()),
    ];
    let environment = environment.map(|(name, value)| (name.to_owned(), value));
    cage.cover_sockets(&[]).await?;
    drill::verify(cage, (order, &user), environment.into(), findings).await;
    Ok(())
}

/// The latest snapshot and what is in it. Whoever publishes may forget one as soon as it was chosen.
async fn newest(
    restic: &Restic,
    directory: &Directory,
    at: &Path,
) -> Result<(Snapshot, List), Trouble> {
    for _ in 0..TRIES_MAX {
        let snapshots = restic.snapshots().await?.into_iter();
        let Some(newest) = snapshots.max_by_key(|it| (it.epoch, it.offset_bytes)) else {
            return Err(Trouble(format!(
                "{} has no snapshot of the plan yet",
                directory.repository
            )));
        };
        if let Some(list) = List::keep(restic, &newest, at).await? {
            return Ok((newest, list));
        }
    }
    Err(Trouble(format!(
        "{} forgets each snapshot before it can be listed: keep more of them, or make fewer",
        directory.repository
    )))
}

/// Restores a snapshot; yields how many bytes it has.
async fn restore(restic: &Restic, snapshot: &Snapshot, into: &Path) -> Result<u64, Trouble> {
    if snapshot.is_empty() {
        return Ok(0);
    }
    check_space(into, restic.size_of(snapshot).await?)?;
    restic.restore(snapshot, into).await?;
    tree::size_of(into).await
}

async fn compare(list: &List, snapshot: &Snapshot, folder: &Path) -> Result<(), Trouble> {
    match list.difference(folder).await? {
        None => Ok(()),
        Some(difference) => Err(Trouble(format!(
            "what was restored is not snapshot {}: {difference}; run `restic check`",
            snapshot.id
        ))),
    }
}
