//! What a node has, what of it is free, and what it may offer within its member cluster's limits.
//!
//! Figures come from nodes, which may be broken or hostile. One rule: a figure that can't be is
//! left out, never guessed, so that nobody places work on it; a load above everything is
//! everything.

use std::time::Duration;

use crate::name::ClusterName;
use crate::object::member_cluster::ResourceLimits;

/// More processors than any machine has.
const CPUS_MAX: u32 = 1 << 16;
/// More memory or disk than any node has: an exbibyte.
const ROOM_MAX_BYTES: u64 = 1 << 60;
/// Faster than any network, in bytes per second.
const RATE_MAX: f64 = 1e15;
/// A longer queue of processes than any machine survives.
const LOAD_AVERAGE_MAX: f64 = 1e6;

/// Figures as they are reported, before anybody believes them. 0 is not known, where nothing has
/// none of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reported {
    /// Processors.
    pub cpus: u32,
    /// The share of their time that is used, 0 to 1.
    pub cpu_load: Option<f64>,
    /// Processes that run or wait, over a minute.
    pub load_average_1m: Option<f64>,
    /// Memory in all, in bytes.
    pub memory_total_bytes: u64,
    /// Memory that programs could still take, in bytes.
    pub memory_available_bytes: u64,
    /// The disk of the data folder in all, in bytes.
    pub disk_total_bytes: u64,
    /// What of it is free, in bytes.
    pub disk_available_bytes: u64,
    /// What the network has brought since the agent began, in bytes.
    pub received_bytes: u64,
    /// What has gone out.
    pub sent_bytes: u64,
    /// What the network brings.
    pub received_bytes_per_s: Option<f64>,
    /// What goes out.
    pub sent_bytes_per_s: Option<f64>,
    /// How old the figures were when they were reported.
    pub measured_age: Duration,
    /// What the node offers.
    pub offer: Option<Offer>,
}

/// Figures that can be.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Capacity {
    /// Processors.
    pub cpus: Option<u32>,
    /// The share of their time that is used, 0 to 1.
    pub cpu_load: Option<f64>,
    /// Processes that run or wait, over a minute.
    pub load_average_1m: Option<f64>,
    /// Memory.
    pub memory: Option<Room>,
    /// The disk of the data folder.
    pub disk: Option<Room>,
    /// What the network has brought since the agent began, in bytes.
    pub received_bytes: u64,
    /// What has gone out.
    pub sent_bytes: u64,
    /// What the network brings.
    pub received_bytes_per_s: Option<f64>,
    /// What goes out.
    pub sent_bytes_per_s: Option<f64>,
    /// How old the figures were when they were reported.
    pub measured_age: Duration,
    /// What the node offers to Hanse's workloads.
    pub offer: Option<Offer>,
}

/// How much there is of something, and how much of it is free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// In all, in bytes.
    pub total_bytes: u64,
    /// Free, in bytes.
    pub available_bytes: u64,
}

/// What a node has left for Hanse's workloads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Offer {
    /// Processors.
    pub cpus: u32,
    /// Memory, in bytes.
    pub memory_bytes: u64,
    /// Disk, in bytes.
    pub disk_bytes: u64,
}

/// What Hanse itself uses of a node.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Used {
    /// Processors' worth of time.
    pub cpus: f64,
    /// Memory, in bytes.
    pub memory_bytes: u64,
    /// Disk, in bytes.
    pub disk_bytes: u64,
}

impl Room {
    fn new(total_bytes: u64, available_bytes: u64) -> Option<Self> {
        let can_be = (1..=ROOM_MAX_BYTES).contains(&total_bytes) && available_bytes <= total_bytes;
        can_be.then_some(Self {
            total_bytes,
            available_bytes,
        })
    }
}

impl From<Reported> for Capacity {
    fn from(told: Reported) -> Self {
        let up_to =
            |max: f64| move |figure: &f64| figure.is_finite() && *figure >= 0.0 && *figure <= max;
        let cpus = Some(told.cpus).filter(|cpus| (1..=CPUS_MAX).contains(cpus));
        let memory = Room::new(told.memory_total_bytes, told.memory_available_bytes);
        let disk = Room::new(told.disk_total_bytes, told.disk_available_bytes);
        let free = |room: Option<Room>| room.map_or(0, |room| room.available_bytes);
        Self {
            cpus,
            cpu_load: told
                .cpu_load
                .filter(up_to(f64::MAX))
                .map(|load| load.min(1.0)),
            load_average_1m: told.load_average_1m.filter(up_to(LOAD_AVERAGE_MAX)),
            memory,
            disk,
            received_bytes: told.received_bytes,
            sent_bytes: told.sent_bytes,
            received_bytes_per_s: told.received_bytes_per_s.filter(up_to(RATE_MAX)),
            sent_bytes_per_s: told.sent_bytes_per_s.filter(up_to(RATE_MAX)),
            measured_age: told.measured_age,
            // Nobody offers more than there is.
            offer: told.offer.map(|offer| Offer {
                cpus: offer.cpus.min(cpus.unwrap_or(0)),
                memory_bytes: offer.memory_bytes.min(free(memory)),
                disk_bytes: offer.disk_bytes.min(free(disk)),
            }),
        }
    }
}

impl Capacity {
    /// Processors' worth of time that is idle.
    #[must_use]
    pub fn cpus_idle(&self) -> Option<f64> {
        Some(f64::from(self.cpus?) * (1.0 - self.cpu_load?))
    }

    /// What is left for Hanse's workloads: what is free, and no more than the limits leave.
    #[must_use]
    pub fn offer(&self, used: &Used, limits: &ResourceLimits) -> Offer {
        let left = |room: Option<Room>, limit: Option<u64>, used: u64| {
            let free = room.map_or(0, |room| room.available_bytes);
            limit.map_or(free, |limit| free.min(limit.saturating_sub(used)))
        };
        let bytes = |size: &Option<crate::size::ByteSize>| size.as_ref().map(|size| size.bytes());
        let cpus = self.cpus.unwrap_or(0);
        Offer {
            cpus: limits.max_cpus.map_or(cpus, |limit| cpus.min(limit)),
            memory_bytes: left(self.memory, bytes(&limits.max_memory), used.memory_bytes),
            disk_bytes: left(self.disk, bytes(&limits.max_storage), used.disk_bytes),
        }
    }
}

/// Where Hanse uses more than the member cluster's limits allow it on a node, in sentences.
#[must_use]
pub fn breaches(cluster: &ClusterName, used: &Used, limits: &ResourceLimits) -> Vec<String> {
    let told = |limit: &str, allowed: String, uses: String| {
        format!(
            "limits.{limit} of the member cluster `{cluster}` is {allowed} and Hanse uses {uses} \
             on this node: raise the limit, or give the node less to do"
        )
    };
    let mebibytes = |bytes: u64| format!("{}MiB", bytes.div_ceil(1 << 20));
    let sizes = [
        ("max_memory", &limits.max_memory, used.memory_bytes),
        ("max_storage", &limits.max_storage, used.disk_bytes),
    ];
    let sizes = sizes.into_iter().filter_map(|(name, limit, uses)| {
        let limit = limit.as_ref().filter(|limit| uses > limit.bytes())?;
        Some(told(name, limit.to_string(), mebibytes(uses)))
    });
    let cpus = limits.max_cpus.filter(|max| used.cpus > f64::from(*max));
    let cpus = cpus.map(|max| {
        let uses = format!("{:.1} processors", used.cpus);
        told("max_cpus", max.to_string(), uses)
    });
    sizes.chain(cpus).collect()
}

#[cfg(test)]
mod tests {
    use proptest::option;
    use proptest::prelude::*;

    use super::*;

    fn limits(max_memory: &str, max_storage: &str, max_cpus: u32) -> ResourceLimits {
        ResourceLimits {
            max_memory: Some(max_memory.parse().unwrap()),
            max_storage: Some(max_storage.parse().unwrap()),
            max_cpus: Some(max_cpus),
        }
    }

    fn host() -> Capacity {
        Capacity::from(Reported {
            cpus: 8,
            cpu_load: Some(0.25),
            memory_total_bytes: 16 << 30,
            memory_available_bytes: 10 << 30,
            disk_total_bytes: 100 << 30,
            disk_available_bytes: 50 << 30,
            ..Reported::default()
        })
    }

    #[test]
    fn what_can_not_be_is_left_out() {
        let nonsense = Capacity::from(Reported {
            cpus: u32::MAX,
            cpu_load: Some(f64::NAN),
            load_average_1m: Some(-1.0),
            memory_total_bytes: 1 << 30,
            memory_available_bytes: 2 << 30,
            disk_total_bytes: u64::MAX,
            disk_available_bytes: 1,
            received_bytes_per_s: Some(f64::INFINITY),
            sent_bytes_per_s: Some(1e300),
            ..Reported::default()
        });
        assert_eq!(nonsense, Capacity::default());
        let busy = Reported {
            cpu_load: Some(1.07),
            ..Reported::default()
        };
        assert_eq!(Capacity::from(busy).cpu_load, Some(1.0));
    }

    #[test]
    fn an_offer_stays_within_the_limits_and_counts_what_is_used() {
        let used = Used {
            cpus: 0.1,
            memory_bytes: 1 << 30,
            disk_bytes: 3 << 30,
        };
        assert_eq!(
            host().offer(&used, &limits("4GiB", "2GiB", 2)),
            Offer {
                cpus: 2,
                memory_bytes: 3 << 30,
                disk_bytes: 0,
            }
        );
        let unbounded = host().offer(&used, &ResourceLimits::default());
        assert_eq!((unbounded.cpus, unbounded.memory_bytes), (8, 10 << 30));
    }

    #[test]
    fn a_breach_names_the_limit_the_figures_and_what_to_do() {
        let used = Used {
            cpus: 2.5,
            memory_bytes: 80 << 20,
            disk_bytes: 0,
        };
        let cluster = "edge".parse().unwrap();
        let said = breaches(&cluster, &used, &limits("64MiB", "1GiB", 2));
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[0].contains("limits.max_memory of the member cluster `edge` is 64MiB"));
        assert!(said[0].contains("uses 80MiB") && said[0].contains("raise the limit"));
        assert!(said[1].contains("2.5 processors"), "{said:?}");
        assert!(breaches(&cluster, &used, &ResourceLimits::default()).is_empty());
    }

    proptest! {
        #[test]
        fn whatever_is_reported_nobody_offers_more_than_there_is(
            cpus in any::<u32>(),
            cpu_load in option::of(any::<f64>()),
            memory in any::<(u64, u64)>(),
            disk in any::<(u64, u64)>(),
            offer in any::<(u32, u64, u64)>(),
        ) {
            let capacity = Capacity::from(Reported {
                cpus,
                cpu_load,
                memory_total_bytes: memory.0,
                memory_available_bytes: memory.1,
                disk_total_bytes: disk.0,
                disk_available_bytes: disk.1,
                offer: Some(Offer { cpus: offer.0, memory_bytes: offer.1, disk_bytes: offer.2 }),
                ..Reported::default()
            });
            if let Some(load) = capacity.cpu_load {
                prop_assert!((0.0..=1.0).contains(&load));
            }
            let offer = capacity.offer.unwrap();
            prop_assert!(offer.cpus <= capacity.cpus.unwrap_or(0));
            for (offered, room) in [(offer.memory_bytes, capacity.memory), (offer.disk_bytes, capacity.disk)] {
                prop_assert!(offered <= room.map_or(0, |room| room.available_bytes));
                prop_assert!(room.is_none_or(|room| room.available_bytes <= room.total_bytes));
            }
        }
    }
}
