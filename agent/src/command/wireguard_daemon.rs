//! `hanse wireguard-daemon`: becomes the WireGuard daemon of an interface. The data plane starts
//! it; nobody else has a use for it.

use std::path::PathBuf;

use clap::Args;
use hanse_core::object::vpn_mesh::InterfaceName;

/// Becomes the WireGuard daemon of an interface.
#[derive(Debug, Args)]
pub struct WireguardDaemon {
    /// The interface
    #[arg(long)]
    interface: InterfaceName,
    /// Where its socket goes
    #[arg(long)]
    socket_dir: PathBuf,
}

impl WireguardDaemon {
    /// Returns only when it can't.
    pub fn run(self) -> anyhow::Result<()> {
        match hanse_dataplane::run_wireguard_daemon(&self.interface, &self.socket_dir) {
            Err(error) => Err(anyhow::anyhow!(error.sentence())),
        }
    }
}
