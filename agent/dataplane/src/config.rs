//! How a data plane is set up on its host.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The routing table that holds the meshes' routes. Not 51820, which wg-quick takes first.
const ROUTING_TABLE: u32 = 8_289;
/// The firewall mark on WireGuard's own packets. Of no bit that others read: Kubernetes drops or
/// hides what is marked with 0x8000 or 0x4000, Cilium reads 0x0f00, Calico and Tailscale the upper
/// half.
const FIREWALL_MARK: u32 = 0x2061;

/// How a data plane is set up on its host.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where keys, sockets and the record of what is owned live.
    pub data_dir: PathBuf,
    /// How often the host is compared with the plan without an occasion.
    pub reconcile_interval: Duration,
    /// How often a path that works is proved again.
    pub probe_interval: Duration,
    /// How to start a WireGuard daemon: `--interface NAME --socket-dir FOLDER` is appended, and
    /// the program must end in [`crate::run_wireguard_daemon`].
    pub daemon_command: Vec<OsString>,
    /// Whether WireGuard in the kernel may be used.
    pub kernel_allowed: bool,
    /// The routing table that holds the meshes' routes.
    pub routing_table: u32,
    /// The firewall mark on WireGuard's own packets.
    pub firewall_mark: u32,
}

impl Config {
    /// The defaults, for an agent whose data lives in `data_dir`.
    #[must_use]
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        let program = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("/proc/self/exe"));
        Self {
            data_dir: data_dir.into(),
            reconcile_interval: Duration::from_secs(30),
            probe_interval: Duration::from_secs(10),
            daemon_command: vec![program.into_os_string(), "wireguard-daemon".into()],
            kernel_allowed: true,
            routing_table: ROUTING_TABLE,
            firewall_mark: FIREWALL_MARK,
        }
    }

    pub(crate) fn key_folder(&self) -> PathBuf {
        self.data_dir.join("wireguard")
    }

    pub(crate) fn run_folder(&self) -> PathBuf {
        self.data_dir.join("run")
    }

    pub(crate) fn socket_folder(&self) -> PathBuf {
        self.run_folder().join("wireguard")
    }

    pub(crate) fn owned_file(&self) -> PathBuf {
        self.data_dir.join("dataplane.json")
    }

    pub(crate) fn lock_file(&self) -> PathBuf {
        self.data_dir.join("dataplane.lock")
    }
}

/// The folder's path, for messages.
pub(crate) fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_means_nothing_to_kubernetes_cilium_calico_tailscale_and_wg_quick() {
        let config = Config::new("data");
        for foreign in [0xc000, 0x0f00, 0xffff_0000] {
            assert_eq!(config.firewall_mark & foreign, 0, "{foreign:#x}");
        }
        assert_ne!(config.firewall_mark, 51_820);
        assert_ne!(config.routing_table, 51_820);
    }
}
