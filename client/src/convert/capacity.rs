//! Capacity: figures that nodes report, believed as far as `hanse-core` believes them.

use std::time::Duration;

use hanse_core::capacity::{Capacity, Offer, Reported};

use crate::proto;

/// A capacity for the wire.
#[must_use]
pub fn capacity_to_proto(capacity: &Capacity) -> proto::Capacity {
    let total = |room: Option<hanse_core::capacity::Room>| room.map_or(0, |room| room.total_bytes);
    let free =
        |room: Option<hanse_core::capacity::Room>| room.map_or(0, |room| room.available_bytes);
    proto::Capacity {
        cpus: capacity.cpus.unwrap_or(0),
        cpu_load: capacity.cpu_load,
        memory_total_bytes: total(capacity.memory),
        memory_available_bytes: free(capacity.memory),
        disk_total_bytes: total(capacity.disk),
        disk_available_bytes: free(capacity.disk),
        load_average_1m: capacity.load_average_1m,
        network_received_bytes: capacity.received_bytes,
        network_sent_bytes: capacity.sent_bytes,
        network_received_bytes_per_s: capacity.received_bytes_per_s,
        network_sent_bytes_per_s: capacity.sent_bytes_per_s,
        measured_age_ms: u64::try_from(capacity.measured_age.as_millis()).unwrap_or(u64::MAX),
        offer: capacity.offer.map(|offer| proto::Offer {
            cpus: offer.cpus,
            memory_bytes: offer.memory_bytes,
            disk_bytes: offer.disk_bytes,
        }),
    }
}

/// A capacity from the wire, without what can't be.
#[must_use]
pub fn capacity_from_proto(capacity: &proto::Capacity) -> Capacity {
    Capacity::from(Reported {
        cpus: capacity.cpus,
        cpu_load: capacity.cpu_load,
        load_average_1m: capacity.load_average_1m,
        memory_total_bytes: capacity.memory_total_bytes,
        memory_available_bytes: capacity.memory_available_bytes,
        disk_total_bytes: capacity.disk_total_bytes,
        disk_available_bytes: capacity.disk_available_bytes,
        received_bytes: capacity.network_received_bytes,
        sent_bytes: capacity.network_sent_bytes,
        received_bytes_per_s: capacity.network_received_bytes_per_s,
        sent_bytes_per_s: capacity.network_sent_bytes_per_s,
        measured_age: Duration::from_millis(capacity.measured_age_ms),
        offer: capacity.offer.as_ref().map(|offer| Offer {
            cpus: offer.cpus,
            memory_bytes: offer.memory_bytes,
            disk_bytes: offer.disk_bytes,
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_that_can_be_cross_the_wire_and_others_do_not() {
        let told = proto::Capacity {
            cpus: 4,
            cpu_load: Some(0.5),
            memory_total_bytes: 8,
            memory_available_bytes: 4,
            disk_total_bytes: 8,
            disk_available_bytes: 9,
            load_average_1m: Some(f64::NAN),
            network_received_bytes_per_s: Some(7.0),
            measured_age_ms: 300,
            offer: Some(proto::Offer {
                cpus: 9,
                memory_bytes: 2,
                disk_bytes: 9,
            }),
            ..Default::default()
        };
        let believed = proto::Capacity {
            disk_total_bytes: 0,
            disk_available_bytes: 0,
            load_average_1m: None,
            offer: Some(proto::Offer {
                cpus: 4,
                memory_bytes: 2,
                disk_bytes: 0,
            }),
            ..told
        };
        assert_eq!(capacity_to_proto(&capacity_from_proto(&told)), believed);
    }
}
