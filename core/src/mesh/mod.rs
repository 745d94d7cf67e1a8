//! VPN meshes: who gets which address, who talks to whom, and when it is proved.

pub mod addresses;
pub mod apply;
pub mod change;
pub mod convergence;
pub mod difference;
pub mod digest;
pub mod plan;
mod proved_pairs;
pub mod topology;

pub use change::MeshChange;
pub use difference::{NodeDifference, SiteTerms};
pub use digest::PlanDigest;
pub use plan::{MeshPlan, NodePlan, PeerPlan, ProbeTarget};
pub use proved_pairs::PROVE_ALL_PAIRS_NODES_MAX as PEERS_REPORTED_ALL_MAX;
