//! Any object, plan and inventory, for the tests of this folder.

mod dr;

use std::net::IpAddr;

use hanse_core::cidr::Cidr;
use hanse_core::duration::Span;
use hanse_core::endpoint::Endpoint;
use hanse_core::health::{Health, NodeHealth};
use hanse_core::inventory::{Inventory, NodeMesh, NodeRecord, Stored};
use hanse_core::mesh::{MeshPlan, NodePlan, PeerPlan, ProbeTarget};
use hanse_core::object::federation::{HealthPolicy, ReplicationPolicy};
use hanse_core::object::member_cluster::{Platform, ResourceLimits, SiteRole};
use hanse_core::object::vpn_mesh::MeshShape;
use hanse_core::object::{Federation, MemberCluster, MeshSite, Object, VpnMesh};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

pub(crate) use dr::{copy_plan, copy_sight};

pub(crate) fn name<T: std::str::FromStr<Err: std::fmt::Debug> + std::fmt::Debug>()
-> impl Strategy<Value = T> {
    "[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?".prop_map(|text| text.parse().unwrap())
}

fn word<T: std::str::FromStr<Err: std::fmt::Debug> + std::fmt::Debug>(
    words: &'static [&'static str],
) -> impl Strategy<Value = T> {
    select(words).prop_map(|word| word.parse().unwrap())
}

fn address() -> impl Strategy<Value = IpAddr> {
    any::<IpAddr>()
}

fn cidr() -> impl Strategy<Value = Cidr> {
    address().prop_map(Cidr::host)
}

fn span() -> impl Strategy<Value = Span> {
    (0_u64..10_000_000).prop_map(Span::from_secs)
}

fn endpoint() -> impl Strategy<Value = Endpoint> {
    (any::<std::net::IpAddr>(), 1_u16..).prop_map(|(ip, port)| {
        std::net::SocketAddr::new(ip, port)
            .to_string()
            .parse()
            .unwrap()
    })
}

fn labels() -> impl Strategy<Value = std::collections::BTreeMap<String, String>> {
    btree_map(".{0,4}", ".{0,4}", 0..3)
}

fn federation() -> impl Strategy<Value = Federation> {
    use hanse_core::object::federation::{ReplicationMode, Topology};
    let policies = (
        span(),
        any::<u32>(),
        word(ReplicationMode::WORDS),
        any::<u32>(),
    );
    let spans = (span(), span());
    (name(), word(Topology::WORDS), policies, spans, labels()).prop_map(
        |(
            name,
            topology,
            (check_interval, failure_threshold, mode, min_in_sync),
            spans,
            labels,
        )| {
            Federation {
                name,
                topology,
                health: HealthPolicy {
                    check_interval,
                    failure_threshold,
                },
                replication: ReplicationPolicy { mode, min_in_sync },
                certificate_lifetime: spans.0,
                rejoin_window: spans.1,
                labels,
            }
        },
    )
}

fn limits() -> impl Strategy<Value = ResourceLimits> {
    let size = || option::of((0_u32..).prop_map(|n| format!("{n}MiB").parse().unwrap()));
    (size(), size(), option::of(any::<u32>())).prop_map(|(max_memory, max_storage, max_cpus)| {
        ResourceLimits {
            max_memory,
            max_storage,
            max_cpus,
        }
    })
}

fn member_cluster() -> impl Strategy<Value = MemberCluster> {
    let names = (name(), name(), word(Platform::WORDS), word(SiteRole::WORDS));
    (
        names,
        ".{0,5}",
        any::<u32>(),
        btree_set(".{1,4}", 0..3),
        labels(),
        option::of(limits()),
        vec(cidr(), 0..3),
    )
        .prop_map(
            |(
                (federation, name, platform, role),
                region,
                weight,
                capabilities,
                labels,
                limits,
                networks,
            )| {
                MemberCluster {
                    federation,
                    name,
                    platform,
                    region,
                    role,
                    weight,
                    capabilities,
                    labels,
                    limits,
                    networks,
                }
            },
        )
}

fn site() -> impl Strategy<Value = MeshSite> {
    (
        option::of(endpoint()),
        btree_map(name(), endpoint(), 0..3),
        vec(cidr(), 0..3),
        vec(name(), 0..3),
        any::<bool>(),
        option::of(any::<bool>()),
        any::<u32>(),
    )
        .prop_map(
            |(endpoint, node_endpoints, routes, gateways, hub, snat, expected_nodes)| MeshSite {
                endpoint,
                node_endpoints,
                routes,
                gateways,
                hub,
                snat,
                expected_nodes,
            },
        )
}

fn vpn_mesh() -> impl Strategy<Value = VpnMesh> {
    let first = (
        name(),
        name(),
        vec(cidr(), 0..3),
        1_u16..,
        1_u16..,
        option::of(any::<u16>()),
    );
    let second = (
        option::of(span()),
        any::<bool>(),
        option::of(span()),
        option::of(word(MeshShape::WORDS)),
        btree_map(name(), site(), 0..3),
    );
    (first, second).prop_map(|(first, second)| {
        let (federation, name, address_pools, listen_port, probe_port, mtu) = first;
        let (persistent_keepalive, preshared_keys, key_rotation_interval, shape, sites) = second;
        VpnMesh {
            federation,
            name,
            address_pools,
            interface: "wg-core_1".parse().unwrap(),
            listen_port,
            probe_port,
            mtu,
            persistent_keepalive,
            preshared_keys,
            key_rotation_interval,
            shape,
            sites,
        }
    })
}

/// Any stored object.
pub(crate) fn stored() -> impl Strategy<Value = Stored<Object>> {
    let object = prop_oneof![
        federation().prop_map(Object::Federation),
        member_cluster().prop_map(Object::MemberCluster),
        vpn_mesh().prop_map(Object::VpnMesh),
        dr::dr_plan().prop_map(|plan| Object::DrPlan(Box::new(plan))),
    ];
    (object, any::<u64>(), any::<bool>()).prop_map(|(spec, revision, retiring)| Stored {
        spec,
        revision,
        retiring,
    })
}

/// Any plan.
pub(crate) fn node_plan() -> impl Strategy<Value = NodePlan> {
    let peer = (
        name(),
        any::<[u8; 32]>(),
        option::of(any::<[u8; 32]>()),
        option::of(endpoint()),
        vec(cidr(), 0..3),
        option::of(1_u16..),
    )
        .prop_map(
            |(node, public, preshared, endpoint, allowed_ips, persistent_keepalive_s)| PeerPlan {
                node,
                public_key: public.into(),
                preshared_key: preshared.map(Into::into),
                endpoint,
                allowed_ips,
                persistent_keepalive_s,
            },
        );
    let target =
        (name(), any::<[u8; 32]>(), vec(address(), 0..3)).prop_map(|(node, key, addresses)| {
            ProbeTarget {
                node,
                public_key: key.into(),
                addresses,
            }
        });
    let mesh = (
        (
            name(),
            vec(address(), 0..3),
            vec(cidr(), 0..3),
            any::<u16>(),
            any::<u16>(),
        ),
        (option::of(any::<u16>()), vec(peer, 0..3), vec(cidr(), 0..3)),
        (any::<bool>(), any::<bool>(), vec(target, 0..3)),
    )
        .prop_map(
            |((mesh, addresses, address_pools, listen_port, probe_port), second, third)| {
                let (mtu, peers, routes) = second;
                let (gateway, snat, probe_targets) = third;
                MeshPlan {
                    mesh,
                    interface: "wg0".parse().unwrap(),
                    addresses,
                    address_pools,
                    listen_port,
                    probe_port,
                    mtu,
                    peers,
                    routes,
                    gateway,
                    snat,
                    probe_targets,
                }
            },
        );
    let capabilities = btree_set(".{1,4}", 0..3);
    (name(), name(), vec(mesh, 0..3), limits(), capabilities).prop_map(
        |(node, cluster, meshes, limits, capabilities)| NodePlan {
            node,
            cluster,
            meshes,
            limits,
            capabilities,
        },
    )
}

fn health() -> impl Strategy<Value = NodeHealth> {
    (word(Health::WORDS), ".{0,5}", any::<u64>()).prop_map(|(state, reason, since_unix_s)| {
        NodeHealth {
            state,
            reason,
            since_unix_s,
        }
    })
}

/// Any inventory, whether or not its objects fit together.
pub(crate) fn inventory() -> impl Strategy<Value = Inventory> {
    let place = (
        vec(address(), 0..3),
        option::of(any::<[u8; 32]>()),
        btree_set(address(), 0..2),
    )
        .prop_map(|(addresses, key, service_addresses)| NodeMesh {
            addresses,
            public_key: key.map(Into::into),
            service_addresses,
        });
    let node = (
        name(),
        any::<bool>(),
        option::of(endpoint()),
        any::<u64>(),
        btree_map(name(), place, 0..3),
        health(),
    )
        .prop_map(
            |(cluster, voter, advertise, enrolled_revision, meshes, health)| NodeRecord {
                cluster,
                voter,
                advertise,
                enrolled_revision,
                meshes,
                health,
                sealing_key: None,
                certified_by: None,
                vote: Default::default(),
            },
        );
    let retired = btree_map(name(), btree_set(address(), 0..3), 0..3);
    (
        federation(),
        vec(stored(), 0..5),
        btree_map(name(), node, 0..4),
        retired,
    )
        .prop_map(|(federation, stored, nodes, retired)| {
            let mut inventory = Inventory::new(federation.name.clone());
            for Stored {
                spec,
                revision,
                retiring: _,
            } in stored
            {
                match spec {
                    Object::Federation(_) => {
                        inventory.put(Object::Federation(federation.clone()), revision.max(1));
                    }
                    Object::MemberCluster(_) | Object::VpnMesh(_) | Object::DrPlan(_) => {
                        inventory.put(spec, revision);
                    }
                }
            }
            inventory.nodes = nodes.into_iter().collect();
            inventory.retired = retired.into_iter().collect();
            inventory
        })
}
