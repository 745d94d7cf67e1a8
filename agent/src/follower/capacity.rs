//! What the host has to give: processors, memory, disk, network. Read cheaply, a few files each
//! time, since it goes into every report.

use hanse_client::proto;
use sysinfo::{DiskRefreshKind, Disks, Networks, System};

use crate::data::DataFolder;

/// Measures the host again and again.
pub struct Gauge {
    system: System,
    disks: Disks,
    networks: Networks,
    folder: DataFolder,
}

impl Gauge {
    /// A gauge whose disk is the one that holds the data folder. None where the system tells
    /// nothing about itself.
    #[must_use]
    pub fn new(folder: DataFolder) -> Option<Self> {
        let mut system = System::new().ok()?;
        system.refresh_cpu_usage();
        let kind = DiskRefreshKind::nothing().with_storage();
        let disks = Disks::new_with_refreshed_list_specifics(kind).ok()?;
        let networks = Networks::new_with_refreshed_list().ok()?;
        Some(Self {
            system,
            disks,
            networks,
            folder,
        })
    }

    /// What the host has now. Reads files: it blocks for a moment.
    pub fn measure(&mut self) -> proto::Capacity {
        self.system.refresh_cpu_usage();
        self.system.refresh_memory();
        self.networks.refresh(true);
        let path = std::fs::canonicalize(self.folder.path()).unwrap_or_default();
        let disk = self
            .disks
            .iter_mut()
            .filter(|disk| path.starts_with(disk.mount_point()))
            .max_by_key(|disk| disk.mount_point().as_os_str().len());
        let (disk_total_bytes, disk_available_bytes) = disk.map_or((0, 0), |disk| {
            disk.refresh_specifics(DiskRefreshKind::nothing().with_storage());
            (disk.total_space(), disk.available_space())
        });
        let traffic = |total: fn(&sysinfo::NetworkData) -> u64| {
            let interfaces = self.networks.iter();
            interfaces
                .filter(|(name, _)| *name != "lo")
                .map(|(_, data)| total(data))
                .sum()
        };
        proto::Capacity {
            cpus: u32::try_from(self.system.cpus().len()).unwrap_or(u32::MAX),
            cpu_load: f64::from(self.system.global_cpu_usage()) / 100.0,
            memory_total_bytes: self.system.total_memory(),
            memory_available_bytes: self.system.available_memory(),
            disk_total_bytes,
            disk_available_bytes,
            load_average_1m: System::load_average().map_or(0.0, |load| load.one),
            network_received_bytes: traffic(sysinfo::NetworkData::total_received),
            network_sent_bytes: traffic(sysinfo::NetworkData::total_transmitted),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_has_processors_and_memory() {
        let folder = tempfile::tempdir().unwrap();
        let mut gauge = Gauge::new(DataFolder::new(folder.path())).unwrap();
        let capacity = gauge.measure();
        assert!(capacity.cpus > 0 && capacity.memory_total_bytes > 0);
        assert!(capacity.memory_available_bytes <= capacity.memory_total_bytes);
        assert!((0.0..=1.0).contains(&capacity.cpu_load));
    }
}
