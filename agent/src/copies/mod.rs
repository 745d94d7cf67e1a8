//! The copies of workloads that this node has: what the federation says of each, kept on the disk, and
//! for each a steward, a guard and reports.
//!
//! What runs outlives the agent: its guard is a process of its own, which renews the lease by itself.

mod care;
mod drills;
mod reporter;
mod told;
mod unit;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use hanse_client::proto;
use hanse_core::name::PlanName;
use tokio::sync::{mpsc, watch};
use tokio::task::{Id, JoinSet};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

pub use care::{cage, setup};
pub use told::Told;

use self::care::Care;
use crate::data::DataFolder;
use crate::follower::Lines;

/// What waits to be taken from answers to reports.
const NEWS_LENGTH: usize = 4;
/// How soon what could not be begun is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// Cares for the copies until `stop`; what runs goes on.
pub async fn run(
    folder: DataFolder,
    told: watch::Sender<Arc<Told>>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut changes = told.subscribe();
    let (sender, mut news) = mpsc::channel(NEWS_LENGTH);
    let mut lines: Option<Arc<Lines>> = None;
    let mut cared: BTreeMap<PlanName, Care> = BTreeMap::new();
    // Each in a task of its own: a guard that hangs keeps nobody else waiting.
    let mut ends = JoinSet::new();
    let mut ending: HashMap<Id, PlanName> = HashMap::new();
    loop {
        let now = changes.borrow_and_update().clone();
        // A node without copies has no need of them.
        if lines.is_none() && !now.copies.is_empty() {
            match Lines::start(&folder) {
                Ok(started) => lines = Some(Arc::new(started)),
                Err(error) => tracing::error!(%error, "no way to the voters; trying again"),
            }
        }
        let lacks_lines = lines.is_none() && !now.copies.is_empty();
        let gone: Vec<_> = cared
            .keys()
            .filter(|plan| !now.copies.contains_key(*plan))
            .cloned()
            .collect();
        for plan in gone {
            if let Some(care) = cared.remove(&plan) {
                let end = ends.spawn(care.end());
                ending.insert(end.id(), plan);
            }
        }
        for (plan, copy) in &now.copies {
            match cared.get(plan) {
                Some(care) => care.tell(copy.clone()),
                // What ends does so first; the end wakes this.
                None if ending.values().any(|ending| ending == plan) => {}
                None => {
                    let Some(lines) = &lines else {
                        continue;
                    };
                    let way = (lines.clone(), sender.clone());
                    let care = Care::begin(&folder, plan.clone(), copy.clone(), way);
                    cared.insert(plan.clone(), care);
                }
            }
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            _ = changes.changed() => {}
            Some(ended) = ends.join_next_with_id() => {
                let id = match ended {
                    Ok((id, ())) => id,
                    Err(error) => error.id(),
                };
                ending.remove(&id);
            }
            () = sleep(RETRY), if lacks_lines => {}
            Some(copies) = news.recv() => take(&folder, &told, &copies),
        }
    }
}

/// Takes what a voter says of the copies. It is on the disk before it is in effect: the guards go by it
/// too.
pub fn take(folder: &DataFolder, told: &watch::Sender<Arc<Told>>, copies: &proto::CopyPlans) {
    // One at a time: a stream and an answer may bring news at once.
    told.send_if_modified(|known| match known.heard(copies) {
        Ok(None) => false,
        Ok(Some(next)) => match next.write(folder) {
            Ok(()) => {
                *known = Arc::new(next);
                true
            }
            Err(error) => {
                tracing::error!(%error, "the copies stay as they were");
                false
            }
        },
        Err(findings) => {
            let reason = findings
                .first()
                .map(ToString::to_string)
                .unwrap_or_default();
            tracing::error!(
                reason,
                "a voter says of copies what this agent does not understand"
            );
            false
        }
    });
}
