//! What the host has to give: processors, memory, disk, network, and what of it Hanse may use and
//! does. Read cheaply, a few files each time, since it goes into every report.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hanse_client::convert::capacity_to_proto;
use hanse_client::proto;
use hanse_core::capacity::{Capacity, Offer, Reported, Used, breaches};
use hanse_core::name::ClusterName;
use hanse_core::object::member_cluster::ResourceLimits;
use sysinfo::{DiskRefreshKind, Disks, Networks, System};

use super::usage;
use crate::data::DataFolder;

/// Loads and rates over less time say nothing: until then, the last figures are told with their
/// age.
const MEASURE_INTERVAL_MIN: Duration = Duration::from_secs(1);
/// A folder is walked file by file: not for every report.
const WALK_INTERVAL: Duration = Duration::from_secs(60);

/// Measures the host again and again.
pub struct Gauge {
    system: System,
    disks: Disks,
    networks: Networks,
    folder: DataFolder,
    bounds: Option<(ClusterName, ResourceLimits)>,
    /// When loads and rates began to be counted.
    counted_from: Instant,
    cpu_time: Duration,
    last: Option<Measured>,
    walked: Option<(Instant, u64)>,
}

/// What a node tells of its capacity.
#[derive(Debug, Clone, Default)]
pub struct Measurement {
    /// The figures; none where the system tells nothing about itself.
    pub capacity: Option<proto::Capacity>,
    /// Where Hanse uses more than it may, in sentences.
    pub breaches: Vec<String>,
}

#[derive(Debug, Clone)]
struct Measured {
    at: Instant,
    capacity: Capacity,
    used: Used,
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
            bounds: None,
            counted_from: Instant::now(),
            cpu_time: usage::cpu_time(),
            last: None,
            walked: None,
        })
    }

    /// What the node's member cluster allows Hanse here from now on.
    pub fn set_bounds(&mut self, cluster: ClusterName, limits: ResourceLimits) {
        self.bounds = Some((cluster, limits));
    }

    /// What the host has, and whether Hanse keeps within its bounds. Reads files: it blocks for a
    /// moment.
    pub fn measure(&mut self) -> Measurement {
        let measured = match self.last.take() {
            Some(last) if last.at.elapsed() < MEASURE_INTERVAL_MIN => last,
            Some(_) | None => self.measure_now(),
        };
        let (offer, breaches) = self.within_bounds(&measured);
        let capacity = Capacity {
            measured_age: measured.at.elapsed(),
            offer: Some(offer),
            ..measured.capacity.clone()
        };
        self.last = Some(measured);
        Measurement {
            capacity: Some(capacity_to_proto(&capacity)),
            breaches,
        }
    }

    fn within_bounds(&self, measured: &Measured) -> (Offer, Vec<String>) {
        let Measured { capacity, used, .. } = measured;
        match &self.bounds {
            Some((cluster, limits)) => {
                let told = breaches(cluster, used, limits);
                (capacity.offer(used, limits), told)
            }
            None => (capacity.offer(used, &ResourceLimits::default()), Vec::new()),
        }
    }

    fn measure_now(&mut self) -> Measured {
        let at = Instant::now();
        let span = at.duration_since(self.counted_from);
        let is_telling = span >= sysinfo::MINIMUM_CPU_UPDATE_INTERVAL;
        if is_telling {
            self.system.refresh_cpu_usage();
            self.counted_from = at;
        }
        self.system.refresh_memory();
        self.networks.refresh(true);
        let path = std::fs::canonicalize(self.folder.path()).unwrap_or_default();
        let (disk_total_bytes, disk_available_bytes) = self.disk_of(&path);
        let rate = |bytes: u64| is_telling.then(|| per_second(bytes, span));
        let load = f64::from(self.system.global_cpu_usage()) / 100.0;
        let capacity = Capacity::from(Reported {
            cpus: u32::try_from(self.system.cpus().len()).unwrap_or(u32::MAX),
            cpu_load: is_telling.then_some(load),
            load_average_1m: System::load_average().map(|load| load.one).ok(),
            memory_total_bytes: self.system.total_memory(),
            memory_available_bytes: self.system.available_memory(),
            disk_total_bytes,
            disk_available_bytes,
            received_bytes: self.traffic(sysinfo::NetworkData::total_received),
            sent_bytes: self.traffic(sysinfo::NetworkData::total_transmitted),
            received_bytes_per_s: rate(self.traffic(sysinfo::NetworkData::received)),
            sent_bytes_per_s: rate(self.traffic(sysinfo::NetworkData::transmitted)),
            measured_age: Duration::ZERO,
            offer: None,
        });
        let used = self.measure_use(span, &path);
        Measured { at, capacity, used }
    }

    fn disk_of(&mut self, path: &Path) -> (u64, u64) {
        let disk = self
            .disks
            .iter_mut()
            .filter(|disk| path.starts_with(disk.mount_point()))
            .max_by_key(|disk| disk.mount_point().as_os_str().len());
        disk.map_or((0, 0), |disk| {
            disk.refresh_specifics(DiskRefreshKind::nothing().with_storage());
            (disk.total_space(), disk.available_space())
        })
    }

    fn traffic(&self, of: fn(&sysinfo::NetworkData) -> u64) -> u64 {
        let interfaces = self.networks.iter();
        interfaces
            .filter(|(name, _)| *name != "lo")
            .map(|(_, data)| of(data))
            .fold(0, u64::saturating_add)
    }

    fn measure_use(&mut self, span: Duration, path: &Path) -> Used {
        let cpu_time = usage::cpu_time();
        let worked = cpu_time.saturating_sub(self.cpu_time);
        self.cpu_time = cpu_time;
        let walked = self
            .walked
            .filter(|(at, _)| at.elapsed() < WALK_INTERVAL)
            .unwrap_or_else(|| (Instant::now(), usage::folder_size_bytes(path)));
        self.walked = Some(walked);
        Used {
            cpus: if span < MEASURE_INTERVAL_MIN {
                0.0
            } else {
                worked.as_secs_f64() / span.as_secs_f64()
            },
            memory_bytes: usage::memory_bytes(),
            disk_bytes: walked.1,
        }
    }
}

/// The gauge that a follower and its reporter share.
pub(super) fn lock(gauge: &Mutex<Option<Gauge>>) -> MutexGuard<'_, Option<Gauge>> {
    gauge.lock().unwrap_or_else(PoisonError::into_inner)
}

#[expect(clippy::cast_precision_loss, reason = "a rate is a rough figure")]
fn per_second(bytes: u64, span: Duration) -> f64 {
    bytes as f64 / span.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_has_processors_and_memory() {
        let folder = tempfile::tempdir().unwrap();
        let mut gauge = Gauge::new(DataFolder::new(folder.path())).unwrap();
        let capacity = gauge.measure().capacity.unwrap();
        assert!(capacity.cpus > 0 && capacity.memory_total_bytes > 0);
        assert!(capacity.memory_available_bytes <= capacity.memory_total_bytes);
        let offer = capacity.offer.unwrap();
        assert_eq!(offer.cpus, capacity.cpus);
    }

    #[test]
    fn bounds_that_hanse_does_not_keep_are_told_and_nothing_is_offered_beyond_them() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("log"), vec![1; 1 << 16]).unwrap();
        let mut gauge = Gauge::new(DataFolder::new(folder.path())).unwrap();
        let limits = ResourceLimits {
            max_memory: Some("1MiB".parse().unwrap()),
            max_storage: Some("1KiB".parse().unwrap()),
            max_cpus: Some(1),
        };
        gauge.set_bounds("edge".parse().unwrap(), limits);
        let measurement = gauge.measure();
        let offer = measurement.capacity.unwrap().offer.unwrap();
        assert_eq!(
            (offer.cpus, offer.memory_bytes, offer.disk_bytes),
            (1, 0, 0)
        );
        let breaches = measurement.breaches;
        assert_eq!(breaches.len(), 2, "{breaches:?}");
        assert!(breaches[0].contains("limits.max_memory") && breaches[0].contains("1MiB"));
        assert!(breaches[1].contains("limits.max_storage"), "{breaches:?}");
    }
}
