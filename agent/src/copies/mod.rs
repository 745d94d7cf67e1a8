//! The copies of workloads that this node has: what the federation says of each, kept on the disk, and
//! for each a steward, a guard and reports.
//!
//! What runs outlives the agent: its guard is a process of its own, which renews the lease by itself.

mod care;
mod reporter;
mod told;

use std::collections::BTreeMap;
use std::sync::Arc;

use hanse_client::Client;
use hanse_core::name::PlanName;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use care::setup;
pub use told::Told;

use self::care::Care;
use crate::data::DataFolder;

/// Cares for the copies until `stop`; what runs goes on. `client`: the federation, while it can be
/// reached.
pub async fn run(
    folder: DataFolder,
    mut told: watch::Receiver<Arc<Told>>,
    client: watch::Receiver<Option<Client>>,
    stop: CancellationToken,
) {
    let mut cared: BTreeMap<PlanName, Care> = BTreeMap::new();
    loop {
        let now = told.borrow_and_update().clone();
        let gone: Vec<_> = cared
            .keys()
            .filter(|plan| !now.copies.contains_key(*plan))
            .cloned()
            .collect();
        for plan in gone {
            if let Some(care) = cared.remove(&plan) {
                care.end().await;
            }
        }
        for (plan, copy) in &now.copies {
            match cared.get(plan) {
                Some(care) => care.tell(copy.clone()),
                None => {
                    let care = Care::begin(&folder, plan.clone(), copy.clone(), client.clone());
                    cared.insert(plan.clone(), care);
                }
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            changed = told.changed() => if changed.is_err() {
                return;
            },
        }
    }
}
