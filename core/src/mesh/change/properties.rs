//! A difference yields the very plan that the planner makes, whatever changed.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::command::Request;
use crate::mesh::plan::{NodePlan, plan};
use crate::object::federation::Topology as FederationTopology;
use crate::object::vpn_mesh::MeshShape;
use crate::object::{Federation, Object, ObjectRef};
use crate::testing::{Builder, cluster, mesh, mesh_name};

/// One change of a federation. Numbers stand for sites and nodes, modulo how many there are.
#[derive(Debug, Clone)]
enum Step {
    Enroll(usize, usize),
    Rekey(usize, u8),
    Endpoint(usize, bool),
    NodeEndpoint(usize, usize, bool),
    Routes(usize, Vec<u8>),
    Gateways(usize, Vec<usize>),
    Hub(usize, bool),
    Snat(usize, Option<bool>),
    Shape(Option<bool>),
    Federation(bool),
    Mtu(Option<u16>),
    Keepalive(Option<u8>),
    PresharedKeys(bool),
    Site(usize, bool),
    Pools(bool),
    Terms(usize, bool),
    Mesh(bool),
}

const SITES: usize = 4;

fn any_step() -> impl Strategy<Value = Step> {
    let site = || 0..SITES;
    let node = || 0_usize..12;
    prop_oneof![
        3 => (node(), site()).prop_map(|(node, site)| Step::Enroll(node, site)),
        3 => (node(), 1_u8..9).prop_map(|(node, key)| Step::Rekey(node, key)),
        2 => (site(), any::<bool>()).prop_map(|(site, on)| Step::Endpoint(site, on)),
        2 => (site(), node(), any::<bool>()).prop_map(|(site, node, on)| Step::NodeEndpoint(site, node, on)),
        2 => (site(), prop::collection::vec(0_u8..6, 0..3)).prop_map(|(site, routes)| Step::Routes(site, routes)),
        2 => (site(), prop::collection::vec(node(), 0..3)).prop_map(|(site, nodes)| Step::Gateways(site, nodes)),
        1 => (site(), any::<bool>()).prop_map(|(site, on)| Step::Hub(site, on)),
        1 => (site(), any::<Option<bool>>()).prop_map(|(site, snat)| Step::Snat(site, snat)),
        1 => any::<Option<bool>>().prop_map(Step::Shape),
        1 => any::<bool>().prop_map(Step::Federation),
        1 => prop::option::of(1280_u16..1400).prop_map(Step::Mtu),
        1 => prop::option::of(0_u8..30).prop_map(Step::Keepalive),
        1 => any::<bool>().prop_map(Step::PresharedKeys),
        2 => (site(), any::<bool>()).prop_map(|(site, on)| Step::Site(site, on)),
        1 => any::<bool>().prop_map(Step::Pools),
        1 => (site(), any::<bool>()).prop_map(|(site, on)| Step::Terms(site, on)),
        1 => any::<bool>().prop_map(Step::Mesh),
    ]
}

fn site_name(site: usize) -> ClusterName {
    format!("s{site}").parse().unwrap()
}

fn node_name(node: usize) -> NodeName {
    format!("n{node:02}").parse().unwrap()
}

fn endpoint(number: usize, on: bool) -> Option<crate::endpoint::Endpoint> {
    on.then(|| format!("192.0.2.{}:51820", number + 1).parse().unwrap())
}

/// Takes a step, as far as the rules let it.
fn take(federation: &mut Builder, step: &Step) {
    let with_mesh = |federation: &mut Builder, change: &dyn Fn(&mut VpnMesh)| {
        let stored = federation.state.inventory().meshes.get(&mesh_name());
        if let Some(mut mesh) = stored.map(|stored| stored.spec.clone()) {
            change(&mut mesh);
            let _ = federation.try_declare(Object::VpnMesh(mesh));
        }
    };
    let with_site =
        |federation: &mut Builder, site: usize, change: &dyn Fn(&mut crate::object::MeshSite)| {
            with_mesh(federation, &|mesh| {
                if let Some(site) = mesh.sites.get_mut(&site_name(site)) {
                    change(site);
                }
            });
        };
    match step {
        Step::Enroll(node, site) => {
            let _ = federation.try_enroll(node_name(*node).as_str(), site_name(*site).as_str());
        }
        Step::Rekey(node, key) => {
            let _ = federation.ask(Request::SetKey {
                node: node_name(*node),
                mesh: mesh_name(),
                public_key: [*key; 32].into(),
            });
        }
        Step::Endpoint(site, on) => {
            with_site(federation, *site, &|it| it.endpoint = endpoint(*site, *on));
        }
        Step::NodeEndpoint(site, node, on) => with_site(federation, *site, &|it| {
            it.node_endpoints.remove(&node_name(*node));
            let endpoint = endpoint(100 + node, *on);
            it.node_endpoints
                .extend(endpoint.map(|endpoint| (node_name(*node), endpoint)));
        }),
        Step::Routes(site, routes) => with_site(federation, *site, &|it| {
            let routes = routes.iter().collect::<BTreeSet<_>>();
            let routes = routes
                .iter()
                .map(|n| format!("192.168.{n}.0/24").parse().unwrap());
            it.routes = routes.collect();
        }),
        Step::Gateways(site, nodes) => with_site(federation, *site, &|it| {
            it.gateways = nodes.iter().map(|node| node_name(*node)).collect();
        }),
        Step::Hub(site, on) => with_site(federation, *site, &|it| it.hub = *on),
        Step::Snat(site, snat) => with_site(federation, *site, &|it| it.snat = *snat),
        Step::Shape(shape) => with_mesh(federation, &|mesh| {
            mesh.shape = shape.map(|full| {
                if full {
                    MeshShape::Full
                } else {
                    MeshShape::HubSpoke
                }
            });
        }),
        Step::Federation(hub_spoke) => {
            let mut settings = Federation::defaults("test".parse().unwrap());
            if *hub_spoke {
                settings.topology = FederationTopology::HubSpoke;
            }
            let _ = federation.try_declare(Object::Federation(settings));
        }
        Step::Mtu(mtu) => with_mesh(federation, &|mesh| mesh.mtu = *mtu),
        Step::Keepalive(seconds) => with_mesh(federation, &|mesh| {
            let span = |seconds: u8| crate::duration::Span::from_secs(seconds.into());
            mesh.persistent_keepalive = seconds.map(span);
        }),
        Step::PresharedKeys(on) => with_mesh(federation, &|mesh| mesh.preshared_keys = *on),
        Step::Site(site, on) => with_mesh(federation, &|mesh| {
            mesh.sites.remove(&site_name(*site));
            if *on {
                mesh.sites
                    .insert(site_name(*site), crate::testing::dialable_site(*site + 1));
            }
        }),
        Step::Pools(both) => with_mesh(federation, &|mesh| {
            let pools: &[&str] = if *both {
                &["10.0.0.0/24", "fd00::/64"]
            } else {
                &["10.0.0.0/24"]
            };
            mesh.address_pools = pools.iter().map(|pool| pool.parse().unwrap()).collect();
        }),
        Step::Terms(site, on) => {
            let mut cluster = cluster(site_name(*site).as_str());
            cluster.capabilities = on.then(|| "cache".to_owned()).into_iter().collect();
            let _ = federation.try_declare(Object::MemberCluster(cluster));
        }
        Step::Mesh(true) => {
            let mut mesh = mesh(&["10.0.0.0/24", "fd00::/64"]);
            let sites = (0..SITES).map(|n| (site_name(n), crate::testing::dialable_site(n + 1)));
            mesh.sites = sites.collect();
            let _ = federation.try_declare(Object::VpnMesh(mesh));
        }
        Step::Mesh(false) => {
            let reference = ObjectRef::VpnMesh(mesh_name());
            let _ = federation.ask(Request::Delete {
                reference,
                expected_revision: 0,
            });
        }
    }
}

fn start() -> Builder {
    let mut federation = Builder::new();
    for site in 0..SITES {
        federation.declare(Object::MemberCluster(cluster(site_name(site).as_str())));
    }
    take(&mut federation, &Step::Mesh(true));
    for node in 0..6 {
        take(&mut federation, &Step::Enroll(node, node % SITES));
    }
    federation
}

fn pair_key(mesh: &MeshName, a: &NodeName, b: &NodeName) -> Option<crate::key::PresharedKey> {
    let text = format!("{mesh} {} {}", a.min(b), a.max(b));
    let mut bytes = [0; 32];
    bytes[..text.len().min(32)].copy_from_slice(&text.as_bytes()[..text.len().min(32)]);
    Some(bytes.into())
}

fn topology(federation: &Builder, before: Option<&Arc<Topology>>) -> Option<Arc<Topology>> {
    let inventory = federation.state.inventory();
    let stored = inventory.meshes.get(&mesh_name())?;
    let before = before.map(AsRef::as_ref);
    Some(Arc::new(Topology::after(before, inventory, &stored.spec)))
}

fn plans(federation: &Builder) -> Vec<NodePlan> {
    let inventory = federation.state.inventory();
    let nodes = inventory.nodes.keys();
    nodes
        .map(|node| plan(inventory, node, &pair_key).unwrap())
        .collect()
}

/// Checks every node's difference between two moments.
fn check(
    before: (&[NodePlan], Option<&Arc<Topology>>),
    after: (&[NodePlan], Option<&Arc<Topology>>),
) -> Result<(), TestCaseError> {
    let change = MeshChange::between(mesh_name(), before.1, after.1);
    for newer in after.0 {
        let Some(older) = before.0.iter().find(|older| older.node == newer.node) else {
            continue;
        };
        let mut difference = NodeDifference::default();
        let mut digest = PlanDigest::of(older);
        if older.terms() != newer.terms() {
            digest.replace_terms(&older.terms(), &newer.terms());
            difference.terms = Some(newer.terms());
        }
        change.add_to(&newer.node, &pair_key, &mut difference, &mut digest);
        let (mut applied, mut applied_digest) = (older.clone(), PlanDigest::of(older));
        difference.apply(&mut applied, &mut applied_digest).unwrap();
        prop_assert_eq!(&applied, newer);
        prop_assert_eq!(applied_digest, digest);
        prop_assert_eq!(digest, PlanDigest::of(newer));
        prop_assert_eq!(&difference, &NodeDifference::between(older, newer));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// After each step, and from each earlier moment to the last.
    #[test]
    fn a_difference_yields_the_plan(steps in prop::collection::vec(any_step(), 1..14)) {
        let mut federation = start();
        let mut moments = vec![(plans(&federation), topology(&federation, None))];
        for step in &steps {
            take(&mut federation, step);
            let (earlier, shared) = moments.last().unwrap();
            let next = (plans(&federation), topology(&federation, shared.as_ref()));
            check((earlier, shared.as_ref()), (&next.0, next.1.as_ref()))?;
            moments.push(next);
        }
        let (last, latest) = moments.last().unwrap();
        for (plans, topology) in &moments {
            check((plans, topology.as_ref()), (last, latest.as_ref()))?;
        }
    }

    /// Sharing saves memory and decides nothing.
    #[test]
    fn what_is_shared_between_moments_changes_nothing(steps in prop::collection::vec(any_step(), 1..10)) {
        let mut federation = start();
        let mut shared = topology(&federation, None);
        for step in &steps {
            take(&mut federation, step);
            shared = topology(&federation, shared.as_ref());
            prop_assert_eq!(&shared, &topology(&federation, None));
        }
    }
}

/// A mesh so large that not all paths are proved.
#[test]
fn in_a_large_mesh_too_a_difference_yields_the_plan() {
    for hub_spoke in [false, true] {
        let mut federation = Builder::new();
        for site in 0..80 {
            federation = federation.site(&format!("s{site}"));
        }
        let mut federation = federation.mesh(&["10.0.0.0/22"]);
        if hub_spoke {
            federation.change_mesh(|mesh| {
                mesh.shape = Some(MeshShape::HubSpoke);
                mesh.sites.get_mut(&site_name(3)).unwrap().hub = true;
            });
        }
        for node in 0..90 {
            federation.enroll(node_name(node).as_str(), &format!("s{}", node % 80));
        }
        let steps = [
            Step::Enroll(95, 7),
            Step::Rekey(4, 1),
            Step::Routes(5, vec![1]),
            Step::Gateways(6, vec![86]),
            Step::Hub(9, true),
            Step::Hub(3, false),
            Step::Site(11, false),
            Step::Mtu(Some(1300)),
        ];
        let mut changed = 0;
        for step in steps {
            let before = (plans(&federation), topology(&federation, None));
            take(&mut federation, &step);
            let after = (plans(&federation), topology(&federation, before.1.as_ref()));
            changed += usize::from(before.0 != after.0);
            check((&before.0, before.1.as_ref()), (&after.0, after.1.as_ref())).unwrap();
        }
        assert!(changed >= 7, "{changed} steps changed something");
    }
}

#[test]
fn a_difference_for_another_plan_is_refused_or_shows_in_the_digest() {
    let mut federation = start();
    let before = (plans(&federation), topology(&federation, None));
    take(&mut federation, &Step::Enroll(11, 1));
    let after = (plans(&federation), topology(&federation, before.1.as_ref()));
    let change = MeshChange::between(mesh_name(), before.1.as_ref(), after.1.as_ref());
    let (older, other) = (&before.0[0], &before.0[1]);
    let mut difference = NodeDifference::default();
    let mut digest = PlanDigest::of(older);
    change.add_to(&older.node, &pair_key, &mut difference, &mut digest);
    assert!(!difference.is_empty());
    let (mut applied, mut applied_digest) = (other.clone(), PlanDigest::of(other));
    let result = difference.apply(&mut applied, &mut applied_digest);
    assert!(result.is_err() || applied_digest != digest);
}
