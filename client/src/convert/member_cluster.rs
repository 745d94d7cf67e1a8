//! Member clusters.

use hanse_core::finding::Path;
use hanse_core::object::MemberCluster;
use hanse_core::object::member_cluster::ResourceLimits;
use hanse_core::size::ByteSize;

use super::collector::Collector;
use crate::proto;

/// A member cluster for the wire.
#[must_use]
pub fn member_cluster_to_proto(cluster: &MemberCluster) -> proto::MemberCluster {
    proto::MemberCluster {
        federation: cluster.federation.to_string(),
        name: cluster.name.to_string(),
        platform: cluster.platform.to_string(),
        region: cluster.region.clone(),
        role: cluster.role.to_string(),
        weight: cluster.weight,
        capabilities: cluster.capabilities.iter().cloned().collect(),
        labels: cluster.labels.clone(),
        limits: cluster.limits.as_ref().map(limits_to_proto),
        networks: cluster.networks.iter().map(ToString::to_string).collect(),
    }
}

/// Limits for the wire.
pub(super) fn limits_to_proto(limits: &ResourceLimits) -> proto::ResourceLimits {
    let text = |size: &Option<ByteSize>| size.as_ref().map(ToString::to_string).unwrap_or_default();
    proto::ResourceLimits {
        max_memory: text(&limits.max_memory),
        max_storage: text(&limits.max_storage),
        max_cpus: limits.max_cpus,
    }
}

pub(super) fn read(
    collector: &mut Collector,
    cluster: &proto::MemberCluster,
) -> Option<MemberCluster> {
    let federation = collector.parse(Path::of("federation"), "name", &cluster.federation);
    let name = collector.parse(Path::of("name"), "name", &cluster.name);
    let platform = collector.parse(Path::of("platform"), "platform", &cluster.platform);
    let role = collector.parse(Path::of("role"), "role", &cluster.role);
    let limits = match &cluster.limits {
        None => Some(None),
        Some(limits) => read_limits(collector, limits).map(Some),
    };
    let networks = collector.list(&Path::of("networks"), "CIDR", &cluster.networks);
    Some(MemberCluster {
        federation: federation?,
        name: name?,
        platform: platform?,
        region: cluster.region.clone(),
        role: role?,
        weight: cluster.weight,
        capabilities: cluster.capabilities.iter().cloned().collect(),
        labels: cluster.labels.clone(),
        limits: limits?,
        networks: networks?,
    })
}

pub(super) fn read_limits(
    collector: &mut Collector,
    limits: &proto::ResourceLimits,
) -> Option<ResourceLimits> {
    let path = |name| Path::of("limits").attribute(name);
    let max_memory = collector.optional(path("max_memory"), "size", &limits.max_memory);
    let max_storage = collector.optional(path("max_storage"), "size", &limits.max_storage);
    Some(ResourceLimits {
        max_memory: max_memory?,
        max_storage: max_storage?,
        max_cpus: limits.max_cpus,
    })
}
