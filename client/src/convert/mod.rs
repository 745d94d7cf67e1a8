//! Between the wire and the core: nothing is lost one way, everything is checked the other.
//!
//! What comes from the wire is read to its end, and every fault is a finding with the attribute's
//! path: a user mends all of them at once. Where the `.proto` files say that an empty value means
//! a default, the default is `hanse-core`'s own. Each kind of object is one file.

pub mod capacity;
mod collector;
pub mod copy;
pub mod dr_backup;
mod dr_fencing;
pub mod dr_plan;
pub mod dr_redirect;
pub mod drill;
pub mod federation;
pub mod finding;
pub mod inventory;
pub mod member_cluster;
pub mod object;
pub mod plan;
pub mod plan_change;
pub mod vpn_mesh;
mod workload;

pub use capacity::{capacity_from_proto, capacity_to_proto};
pub use copy::{
    copy_plan_from_proto, copy_plan_to_proto, copy_status_from_proto, copy_status_to_proto,
    position_to_proto, sync_set_to_proto,
};
pub use dr_backup::{backup_status_from_proto, backup_status_to_proto};
pub use drill::{signed_report_from_proto, signed_report_to_proto};
pub use finding::{finding_from_proto, finding_to_proto};
pub use inventory::{inventory_from_proto, node_to_proto, retired_addresses, snapshot_objects};
pub use object::{
    object_from_proto, object_to_proto, reference_from_proto, reference_to_proto,
    stored_from_proto, stored_to_proto,
};
pub use plan::{
    mesh_plan_from_proto, mesh_plan_to_proto, node_plan_from_proto, node_plan_to_proto,
};
pub use plan_change::{plan_change_from_proto, plan_change_to_proto};

#[cfg(test)]
pub(crate) mod strategies;
