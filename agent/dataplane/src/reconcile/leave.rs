//! What is done when a mesh leaves the plan: nothing of it stays on the host.

use std::time::Duration;

use hanse_core::mesh::MeshPlan;
use hanse_core::name::MeshName;

use super::Reconciler;
use crate::config::shown;
use crate::daemon;
use crate::device::UserspaceDevice;
use crate::error::Error;
use crate::file;
use crate::gateway;
use crate::key::key_file;
use crate::network::LinkKind;
use crate::observation::Backend;
use crate::owned::OwnedMesh;

/// How long a daemon that was asked to start before a crash may take to come up.
const STRAGGLER_TRIES: u32 = 100;
const STRAGGLER_INTERVAL: Duration = Duration::from_millis(20);

impl Reconciler {
    /// Takes down every mesh that no plan holds, and every interface whose mesh has another now.
    pub(super) async fn leave(&mut self, plans: &[MeshPlan]) -> Result<(), Error> {
        let mut result = Ok(());
        for (mesh, owned) in self.owned.meshes().clone() {
            let plan = plans.iter().find(|plan| plan.mesh == mesh);
            if plan.is_some_and(|plan| plan.interface == owned.interface) {
                continue;
            }
            let left = self.take_down(&mesh, &owned, plan.is_some()).await;
            if left.is_err() {
                result = left;
            }
        }
        self.meshes
            .retain(|mesh, _| plans.iter().any(|plan| plan.mesh == *mesh));
        result
    }

    async fn take_down(
        &mut self,
        mesh: &MeshName,
        owned: &OwnedMesh,
        keep_key: bool,
    ) -> Result<(), Error> {
        if let Some(state) = self.meshes.get_mut(mesh) {
            state.prover = None;
            state.device = None;
            state.applied_table = None;
        }
        if owned.firewall {
            gateway::remove_table(mesh).await?;
        }
        match owned.backend {
            Some(Backend::Kernel) => self.delete_interface(owned, LinkKind::WireGuard).await?,
            Some(Backend::WireguardGo) => self.end_daemon(owned).await?,
            None => {}
        }
        if !keep_key {
            let path = key_file(&self.config.key_folder(), mesh);
            file::remove(&path).map_err(Error::io(format!(
                "delete the private key {}",
                shown(&path)
            )))?;
            self.meshes.remove(mesh);
        }
        self.owned.remove(mesh)
    }

    async fn delete_interface(&self, owned: &OwnedMesh, kind: LinkKind) -> Result<(), Error> {
        match self.network.links().await?.get(owned.interface.as_str()) {
            Some(link) if link.kind == kind => self.network.delete_link(link).await,
            Some(_) | None => Ok(()),
        }
    }

    /// The daemon ends with its interface.
    async fn end_daemon(&self, owned: &OwnedMesh) -> Result<(), Error> {
        let device = UserspaceDevice::new(owned.interface.clone(), self.config.socket_folder());
        if owned.daemon_starting {
            let mut tries = 0;
            while !device.socket().exists() && tries < STRAGGLER_TRIES {
                tries += 1;
                tokio::time::sleep(STRAGGLER_INTERVAL).await;
            }
        }
        if device.socket().exists() {
            self.delete_interface(owned, LinkKind::Tun).await?;
            daemon::wait_until_gone(&device).await?;
        }
        let log = daemon::log_file(&self.config, &owned.interface);
        file::remove(&log).map_err(Error::io(format!("remove {}", shown(&log))))
    }
}
