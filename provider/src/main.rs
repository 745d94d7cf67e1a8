//! The Terraform provider of Hanse.
//!
//! One file for each resource: its model and how it maps to the wire. What all of them do alike
//! (plan, create, read, update, delete, import) is written once, in [`declaration`]. No rule about
//! federations lives here: `hanse-core` is asked.

mod capacity;
mod convergence;
mod declaration;
mod declared;
mod diagnostics;
mod dr_backup;
mod dr_convergence;
mod dr_drill;
mod dr_fencing;
mod dr_parts;
mod dr_plan;
mod dr_redirect;
mod dr_run;
mod dr_status;
mod dr_workload;
mod duration;
mod federation;
mod federation_status;
mod functions;
mod join_token;
mod listing;
mod lookup;
mod member_cluster;
mod mesh_peers;
mod nodes;
mod provider;
mod run;
mod session;
mod unknowns;
mod user_credentials;
mod vpn_mesh;

use std::process::ExitCode;

fn main() -> ExitCode {
    terraform_plugin::run(provider::Hanse)
}
