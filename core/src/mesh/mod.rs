//! VPN meshes: who gets which address, who talks to whom, and when it is proved.

pub mod addresses;
pub mod convergence;
pub mod plan;
mod proved_pairs;
pub mod topology;

pub use plan::{MeshPlan, NodePlan, PeerPlan, ProbeTarget};
