//! What a node must know for each copy that it has: from what is declared and committed, and so the
//! same by every voter's word.

use std::collections::BTreeMap;

use super::change::PlanChange;
use super::duty::{CopyBackup, CopyPlace, CopyPlan, DrillOrder, Service, duty};
use super::record::PlanRecord;
use crate::inventory::{Inventory, Stored};
use crate::name::{ClusterName, NodeName};
use crate::object::DrPlan;
use crate::object::dr_plan::Fencing;
use crate::state::FederationState;

/// The copies that a node has, each with the revision of what is said of it: of two, the larger one
/// counts.
#[must_use]
pub fn copies_of(state: &FederationState, node: &NodeName) -> Vec<(u64, CopyPlan)> {
    let inventory = state.inventory();
    let plans = inventory.dr_plans.iter();
    plans
        .filter_map(|(name, stored)| {
            let record = state.plans().get(name)?;
            let (cluster, _) = record.nodes.iter().find(|(_, holder)| *holder == node)?;
            let revision = record.revision.max(stored.revision);
            Some((revision, copy_plan(inventory, stored, record, cluster)))
        })
        .collect()
}

/// The next change of where the copies are; none: each is where it belongs. The primary's stays.
#[must_use]
pub fn placement(inventory: &Inventory, plan: &DrPlan, record: &PlanRecord) -> Option<PlanChange> {
    if record.run.is_some() {
        return None;
    }
    let is_standby = |cluster: &ClusterName| record.primary.as_ref() != Some(cluster);
    let mut placed = record.nodes.keys();
    let leaves =
        |cluster: &&ClusterName| is_standby(cluster) && !plan.sites().any(|site| site == *cluster);
    if let Some(cluster) = placed.find(leaves).cloned() {
        return Some(PlanChange::Unplaced { cluster });
    }
    plan.sites()
        .filter(|cluster| is_standby(cluster))
        .find_map(|cluster| {
            let present = record.nodes.get(cluster);
            let named = plan.nodes.contains_key(cluster);
            let is_enrolled = |node: &NodeName| inventory.nodes.contains_key(node);
            // One that was chosen since it was alone stays when others come.
            if !named && present.is_some_and(is_enrolled) {
                return None;
            }
            let node = node_for(inventory, plan, cluster)?;
            (present != Some(&node)).then(|| PlanChange::Placed {
                cluster: cluster.clone(),
                node,
            })
        })
}

/// The node of a site that is to have its copy: the one that the plan names, or the site's only one.
/// None: it has none yet, or several of which none is named.
#[must_use]
pub fn node_for(inventory: &Inventory, plan: &DrPlan, cluster: &ClusterName) -> Option<NodeName> {
    if let Some(named) = plan.nodes.get(cluster) {
        let record = inventory.nodes.get(named)?;
        return (record.cluster == *cluster).then(|| named.clone());
    }
    let mut nodes = inventory.nodes_of(cluster).map(|(name, _)| name);
    let first = nodes.next()?.clone();
    nodes.next().is_none().then_some(first)
}

/// The drill that a site's copy is to hold.
fn drill_order(
    inventory: &Inventory,
    plan: &DrPlan,
    record: &PlanRecord,
    cluster: &ClusterName,
) -> Option<DrillOrder> {
    let drill = record.drill.as_ref();
    let drill = drill.filter(|drill| drill.cluster == *cluster)?;
    let declared = plan.drill.clone().unwrap_or_default();
    let (_, predicted) = plan.timings().worst(plan.others());
    Some(DrillOrder {
        federation: inventory.name().clone(),
        node: drill.node.clone(),
        number: drill.number,
        began_unix_s: drill.began_unix_s,
        lag_bytes: drill.lag_bytes,
        timeout: declared.timeout.value(),
        checks: declared.checks,
        command: declared.command,
        predicted,
    })
}

fn copy_plan(
    inventory: &Inventory,
    stored: &Stored<DrPlan>,
    record: &PlanRecord,
    cluster: &ClusterName,
) -> CopyPlan {
    let plan = &stored.spec;
    let mesh = inventory.mesh_of_plan(plan);
    let address = |node: &NodeName| {
        let place = inventory.nodes.get(node)?.meshes.get(&mesh?.name)?;
        place.addresses.first().copied()
    };
    let places: BTreeMap<NodeName, CopyPlace> = record
        .nodes
        .iter()
        .map(|(cluster, node)| {
            let place = CopyPlace {
                cluster: cluster.clone(),
                address: address(node),
            };
            (node.clone(), place)
        })
        .collect();
    let service = plan
        .service_address
        .zip(mesh)
        .map(|(address, mesh)| Service {
            address,
            interface: mesh.interface.clone(),
        });
    CopyPlan {
        plan: plan.name.clone(),
        cluster: cluster.clone(),
        is_home: plan.home == *cluster,
        workload: plan.workload.clone(),
        duty: duty(
            &plan.terms(stored.revision, &inventory.federation.spec),
            record,
            cluster,
        ),
        timings: plan.timings(),
        places,
        service,
        watchdog: match plan.fencing.get(cluster) {
            Some(Fencing::Watchdog) => true,
            Some(
                Fencing::Lease | Fencing::Command { .. } | Fencing::Proxmox(_) | Fencing::Ec2(_),
            )
            | None => false,
        },
        drill: drill_order(inventory, plan, record, cluster),
        key: None,
        backup: plan.backup.as_ref().map(|backup| CopyBackup {
            declared: backup.clone(),
            password: None,
        }),
    }
}
