//! The interface of a mesh: made, adopted, or refused because it is another's.

use std::time::Duration;

use hanse_core::mesh::MeshPlan;
use rustix::io::Errno;
use tokio::time::Instant;

use super::Reconciler;
use crate::daemon;
use crate::device::{Device, KernelDevice, UserspaceDevice};
use crate::error::Error;
use crate::network::{Link, LinkKind, Snapshot};
use crate::observation::Backend;
use crate::owned::{Owned, OwnedMesh};

/// How long an interface may take to go after its daemon, or to come with it.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(2);
const SETTLE_INTERVAL: Duration = Duration::from_millis(20);

/// Writes down that a mesh is about to be made.
pub(super) fn record(owned: &mut Owned, plan: &MeshPlan) -> Result<(), Error> {
    if owned.get(&plan.mesh).is_some() {
        return Ok(());
    }
    let entry = OwnedMesh {
        interface: plan.interface.clone(),
        backend: None,
        daemon_starting: false,
        firewall: false,
    };
    owned.put(&plan.mesh, entry)
}

impl Reconciler {
    /// The mesh's device and interface, made if need be.
    pub(super) async fn interface(
        &mut self,
        plan: &MeshPlan,
        snapshot: &Snapshot,
    ) -> Result<(Device, Link), Error> {
        let name = plan.interface.as_str();
        record(&mut self.owned, plan)?;
        let backend = self.owned.get(&plan.mesh).and_then(|owned| owned.backend);
        let present = snapshot.links.get(name);
        match (present, backend) {
            (Some(link), Some(Backend::Kernel)) => adopt_kernel(plan, link),
            (present, Some(Backend::WireguardGo)) => self.adopt_daemon(plan, present).await,
            (Some(_), None) => Err(foreign(plan)),
            (None, Some(Backend::Kernel) | None) => self.make(plan).await,
        }
    }

    /// The kernel first; what it can't, a daemon does. Only for a mesh that has no daemon yet:
    /// one that was started before a crash may still be on its way.
    async fn make(&mut self, plan: &MeshPlan) -> Result<(Device, Link), Error> {
        if self.config.kernel_allowed && !self.kernel_lacks_wireguard {
            self.own(plan, Backend::Kernel, false)?;
            match self.network.add_wireguard(plan.interface.as_str()).await {
                Ok(()) => {
                    let device = Device::Kernel(KernelDevice::new(plan.interface.clone()));
                    return Ok((device, self.link(plan).await?));
                }
                Err(error) if error.errno() == Some(Errno::OPNOTSUPP) => {
                    self.kernel_lacks_wireguard = true;
                }
                Err(error) => {
                    // Whoever was faster has made it: it is not ours.
                    if error.errno() == Some(Errno::EXIST) {
                        self.owned.remove(&plan.mesh)?;
                        record(&mut self.owned, plan)?;
                        return Err(foreign(plan));
                    }
                    return Err(error);
                }
            }
        }
        self.start_daemon(plan).await
    }

    async fn start_daemon(&mut self, plan: &MeshPlan) -> Result<(Device, Link), Error> {
        self.own(plan, Backend::WireguardGo, true)?;
        let ended = self.signals.reconcile.clone();
        let device = daemon::start(&self.config, &self.network, &plan.interface, ended).await?;
        self.own(plan, Backend::WireguardGo, false)?;
        Ok((Device::Userspace(device), self.link(plan).await?))
    }

    /// A daemon of ours goes on with its work, whoever started it. One that is just ending, or
    /// just starting, is given the time to.
    async fn adopt_daemon(
        &mut self,
        plan: &MeshPlan,
        present: Option<&Link>,
    ) -> Result<(Device, Link), Error> {
        let device = UserspaceDevice::new(plan.interface.clone(), self.config.socket_folder());
        let mut present = present.cloned();
        // By the clock and not by tries: a daemon that hangs makes each of them long.
        let deadline = Instant::now() + SETTLE_TIMEOUT;
        loop {
            let answers = device.socket().exists() && device.observe().await.is_ok();
            match (answers, &present) {
                (true, Some(link)) if link.kind != LinkKind::Tun => return Err(foreign(plan)),
                (true, Some(link)) => {
                    self.own(plan, Backend::WireguardGo, false)?;
                    daemon::bound_log(&daemon::log_file(&self.config, &plan.interface))?;
                    return Ok((Device::Userspace(device), link.clone()));
                }
                (false, None) => return self.start_daemon(plan).await,
                (true, None) | (false, Some(_)) if Instant::now() >= deadline => break,
                (true, None) | (false, Some(_)) => tokio::time::sleep(SETTLE_INTERVAL).await,
            }
            present = self.network.links().await?.remove(plan.interface.as_str());
        }
        let name = &plan.interface;
        Err(Error::problem(match present {
            Some(_) => format!(
                "the interface {name} exists, and no daemon of ours answers at {}: end the daemon \
                 if it hangs, or delete the interface by `ip link del {name}`, and it is made again",
                device.socket().display()
            ),
            None => format!(
                "a daemon answers at {}, and its interface {name} is not on this host: it runs in \
                 another network namespace; stop it",
                device.socket().display()
            ),
        }))
    }

    fn own(&mut self, plan: &MeshPlan, backend: Backend, starting: bool) -> Result<(), Error> {
        let firewall = self
            .owned
            .get(&plan.mesh)
            .is_some_and(|owned| owned.firewall);
        let entry = OwnedMesh {
            interface: plan.interface.clone(),
            backend: Some(backend),
            daemon_starting: starting,
            firewall,
        };
        self.owned.put(&plan.mesh, entry)
    }

    async fn link(&self, plan: &MeshPlan) -> Result<Link, Error> {
        let name = plan.interface.as_str();
        let link = self.network.links().await?.remove(name);
        link.ok_or_else(|| Error::problem(format!("the interface {name} vanished as it was made")))
    }
}

fn adopt_kernel(plan: &MeshPlan, link: &Link) -> Result<(Device, Link), Error> {
    match link.kind {
        LinkKind::WireGuard => Ok((
            Device::Kernel(KernelDevice::new(plan.interface.clone())),
            link.clone(),
        )),
        LinkKind::Tun | LinkKind::Other => Err(foreign(plan)),
    }
}

fn foreign(plan: &MeshPlan) -> Error {
    Error::problem(format!(
        "an interface {} exists on this host and was not made by Hanse: rename it, or give the \
         mesh {} another interface",
        plan.interface, plan.mesh
    ))
}
