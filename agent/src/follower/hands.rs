//! What the follower asks of the data plane: a seam, so that the loop can be tested without a
//! network to change.

use hanse_core::mesh::MeshPlan;
use hanse_dataplane::{Dataplane, Observation};
use tokio::sync::watch;

/// Whatever puts plans into effect.
pub trait Hands: Send + Sync + 'static {
    /// Hands over a plan; the newest wins.
    fn set_plan(&self, revision: u64, meshes: Vec<MeshPlan>);
    /// The plan that was handed over last also answers this revision.
    fn acknowledge(&self, revision: u64);
    /// What the host has, now and whenever it changes.
    fn observe(&self) -> watch::Receiver<Observation>;
}

impl Hands for Dataplane {
    fn set_plan(&self, revision: u64, meshes: Vec<MeshPlan>) {
        Dataplane::set_plan(self, revision, meshes);
    }

    fn acknowledge(&self, revision: u64) {
        Dataplane::acknowledge(self, revision);
    }

    fn observe(&self) -> watch::Receiver<Observation> {
        Dataplane::observe(self)
    }
}
