//! The federation's settings.

use hanse_core::finding::Path;
use hanse_core::name::FederationName;
use hanse_core::object::Federation;
use hanse_core::object::federation::{HealthPolicy, ReplicationPolicy};

use super::collector::Collector;
use crate::proto;

/// Settings for the wire.
#[must_use]
pub fn federation_to_proto(federation: &Federation) -> proto::Federation {
    proto::Federation {
        name: federation.name.to_string(),
        topology: federation.topology.to_string(),
        health: Some(proto::HealthPolicy {
            check_interval: federation.health.check_interval.to_string(),
            failure_threshold: federation.health.failure_threshold,
        }),
        replication: Some(proto::ReplicationPolicy {
            mode: federation.replication.mode.to_string(),
            min_in_sync: federation.replication.min_in_sync,
        }),
        certificate_lifetime: federation.certificate_lifetime.to_string(),
        rejoin_window: federation.rejoin_window.to_string(),
        labels: federation.labels.clone(),
    }
}

pub(super) fn read(
    collector: &mut Collector,
    federation: &proto::Federation,
) -> Option<Federation> {
    let name = collector.parse::<FederationName>(Path::of("name"), "name", &federation.name);
    // Any name serves to ask for the defaults when the real one is at fault.
    let defaults = Federation::defaults(match &name {
        Some(name) => name.clone(),
        None => "unnamed".parse().ok()?,
    });
    let topology = collector.parse_or(
        Path::of("topology"),
        "topology",
        &federation.topology,
        defaults.topology,
    );
    let health = match &federation.health {
        None => Some(defaults.health),
        Some(health) => collector
            .parse_or(
                Path::of("health").attribute("check_interval"),
                "duration",
                &health.check_interval,
                defaults.health.check_interval,
            )
            .map(|check_interval| HealthPolicy {
                check_interval,
                failure_threshold: health.failure_threshold,
            }),
    };
    let replication = match &federation.replication {
        None => Some(defaults.replication),
        Some(replication) => collector
            .parse_or(
                Path::of("replication").attribute("mode"),
                "replication mode",
                &replication.mode,
                defaults.replication.mode,
            )
            .map(|mode| ReplicationPolicy {
                mode,
                min_in_sync: replication.min_in_sync,
            }),
    };
    let certificate_lifetime = collector.parse_or(
        Path::of("certificate_lifetime"),
        "duration",
        &federation.certificate_lifetime,
        defaults.certificate_lifetime,
    );
    let rejoin_window = collector.parse_or(
        Path::of("rejoin_window"),
        "duration",
        &federation.rejoin_window,
        defaults.rejoin_window,
    );
    Some(Federation {
        name: name?,
        topology: topology?,
        health: health?,
        replication: replication?,
        certificate_lifetime: certificate_lifetime?,
        rejoin_window: rejoin_window?,
        labels: federation.labels.clone(),
    })
}
