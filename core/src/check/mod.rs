//! What is wrong with an object among all others: the same answer at plan time and at admission.
//!
//! One file for each kind of object, and one for each rule that spans several.

mod dr_backup;
mod dr_plan;
mod dr_redirect;
mod federation;
mod member_cluster;
mod reachability;
mod vpn_mesh;

use crate::finding::{Finding, Path};
use crate::inventory::Inventory;
use crate::name::ClusterName;
use crate::object::{Object, ObjectRef};

/// What to make of a name that is not found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// It may still come: a plan says so and goes on.
    Warn,
    /// It is refused.
    Refuse,
}

/// Everything that is wrong with one object, or worth saying, in the order of its attributes. The
/// inventory already holds the object as it is meant to be.
#[must_use]
pub fn object(inventory: &Inventory, reference: &ObjectRef, missing: Missing) -> Vec<Finding> {
    let mut findings = Vec::new();
    match reference {
        ObjectRef::Federation(_) => federation::check(inventory, &mut findings),
        ObjectRef::MemberCluster(name) => member_cluster::check(inventory, name, &mut findings),
        ObjectRef::VpnMesh(name) => vpn_mesh::check(inventory, name, missing, &mut findings),
        ObjectRef::DrPlan(name) => {
            if let Some(stored) = inventory.dr_plans.get(name) {
                dr_plan::check(inventory, &stored.spec, missing, &mut findings);
            }
        }
    }
    findings
}

/// The finding for an object that names another federation than this one. To be asked before the
/// object is put into the inventory.
#[must_use]
pub fn wrong_federation(inventory: &Inventory, object: &Object) -> Option<Finding> {
    let (own, named) = (inventory.name(), object.federation());
    let attribute = match object {
        Object::Federation(_) => "name",
        Object::MemberCluster(_) | Object::VpnMesh(_) | Object::DrPlan(_) => "federation",
    };
    (own != named).then(|| {
        Finding::error(
            Path::of(attribute),
            "Another federation",
            format!(
                "These endpoints serve the federation `{own}`, named when it was bootstrapped, and \
                 not `{named}`. Write `{own}`, or point the provider at the other federation."
            ),
        )
    })
}

/// Whether a member cluster is declared and not on its way out.
fn is_declared(inventory: &Inventory, name: &ClusterName) -> bool {
    inventory
        .clusters
        .get(name)
        .is_some_and(|stored| !stored.retiring)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::MeshName;
    use crate::object::{MemberCluster, VpnMesh};
    use crate::testing::{Builder, cluster, dialable_site, mesh, mesh_name};

    /// Two sites, each dialable, in one mesh; changed before it is checked.
    fn findings(
        change: impl FnOnce(&mut VpnMesh, &mut MemberCluster),
    ) -> Vec<(bool, String, String)> {
        let mut inventory = Inventory::new("test".parse().unwrap());
        let (mut wanted, mut site) = (mesh(&["10.0.0.0/24"]), cluster("a"));
        for (number, name) in ["a", "b"].into_iter().enumerate() {
            wanted
                .sites
                .insert(name.parse().unwrap(), dialable_site(number + 1));
        }
        let mut other = cluster("b");
        other.networks = vec!["192.168.2.0/24".parse().unwrap()];
        change(&mut wanted, &mut site);
        for object in [
            Object::MemberCluster(site),
            Object::MemberCluster(other),
            Object::VpnMesh(wanted),
        ] {
            inventory.put(object, 1);
        }
        let name: MeshName = mesh_name();
        let references = [
            ObjectRef::MemberCluster("a".parse().unwrap()),
            ObjectRef::VpnMesh(name),
        ];
        let found = references
            .iter()
            .flat_map(|r| object(&inventory, r, Missing::Refuse));
        found
            .map(|f| (f.is_error(), f.path.to_string(), f.summary))
            .collect()
    }

    fn errors(change: impl FnOnce(&mut VpnMesh, &mut MemberCluster)) -> Vec<(String, String)> {
        let found = findings(change).into_iter().filter(|(error, _, _)| *error);
        found.map(|(_, path, summary)| (path, summary)).collect()
    }

    #[test]
    fn a_sound_mesh_has_only_the_warning_that_its_sites_are_empty() {
        let found = findings(|_, _| ());
        assert_eq!(found.len(), 2);
        assert!(
            found
                .iter()
                .all(|(error, _, summary)| !error && summary == "A site without nodes")
        );
    }

    #[test]
    fn each_mistake_is_found_at_its_own_attribute() {
        type Change = fn(&mut VpnMesh, &mut MemberCluster);
        let cases: [(Change, &str, &str); 15] = [
            (
                |m, _| {
                    let site = m.sites.get_mut(&"a".parse().unwrap()).unwrap();
                    site.routes = vec!["0.0.0.0/0".parse().unwrap()];
                },
                r#"sites["a"].routes[0]"#,
                "A default route",
            ),
            (
                |m, _| m.address_pools.clear(),
                "address_pools",
                "No address pool",
            ),
            (
                |m, _| m.address_pools[0] = "10.0.0.0/32".parse().unwrap(),
                "address_pools[0]",
                "Pool too small",
            ),
            (
                |m, _| m.address_pools.push("10.0.0.0/8".parse().unwrap()),
                "address_pools[1]",
                "Overlapping networks",
            ),
            (
                |m, _| m.address_pools[0] = "192.168.0.0/16".parse().unwrap(),
                "address_pools[0]",
                "Overlapping networks",
            ),
            (
                |_, c| c.networks = vec!["192.168.2.128/25".parse().unwrap()],
                "networks[0]",
                "Overlapping networks",
            ),
            (|m, _| m.listen_port = 0, "listen_port", "Port out of range"),
            (
                |m, _| m.probe_port = m.listen_port,
                "probe_port",
                "One port for two things",
            ),
            (|m, _| m.mtu = Some(500), "mtu", "MTU out of range"),
            (
                |m, _| m.persistent_keepalive = Some("1500ms".parse().unwrap()),
                "persistent_keepalive",
                "Keepalive out of range",
            ),
            (
                |m, _| {
                    m.sites.get_mut(&"a".parse().unwrap()).unwrap().routes =
                        vec!["192.168.2.0/25".parse().unwrap()]
                },
                r#"sites["a"].routes[0]"#,
                "Overlapping networks",
            ),
            (
                |m, _| {
                    m.sites.get_mut(&"a".parse().unwrap()).unwrap().routes =
                        vec!["10.0.0.0/9".parse().unwrap()]
                },
                r#"sites["a"].routes[0]"#,
                "Overlapping networks",
            ),
            (
                |m, _| m.sites.values_mut().for_each(|site| site.endpoint = None),
                r#"sites["b"].endpoint"#,
                "Two nodes that could never meet",
            ),
            (
                |m, _| m.shape = Some(crate::object::vpn_mesh::MeshShape::HubSpoke),
                "sites",
                "No hub",
            ),
            (
                |_, c| {
                    c.limits = Some(crate::object::member_cluster::ResourceLimits {
                        max_cpus: Some(0),
                        ..Default::default()
                    })
                },
                "limits.max_cpus",
                "No processor left",
            ),
        ];
        for (change, path, summary) in cases {
            let found = errors(change);
            assert!(
                found.contains(&(path.to_owned(), summary.to_owned())),
                "{summary}: {found:?}"
            );
        }
    }

    #[test]
    fn whoever_carries_a_sites_endpoint_is_named_and_enrolled_or_it_is_said() {
        let mut federation = Builder::new().site("a").site("b").mesh(&["10.0.0.0/24"]);
        for (node, site) in [("a-1", "a"), ("a-2", "a"), ("b-1", "b")] {
            federation.enroll(node, site);
        }
        let mut warnings = |gateways: &[&str]| {
            federation.change_mesh(|mesh| {
                let site = mesh.sites.get_mut(&"a".parse().unwrap()).unwrap();
                site.gateways = gateways.iter().map(|node| node.parse().unwrap()).collect();
            });
            let reference = ObjectRef::VpnMesh(mesh_name());
            let found = object(federation.state.inventory(), &reference, Missing::Refuse);
            let found = found.into_iter().map(|f| (f.path.to_string(), f.summary));
            found.collect::<Vec<_>>()
        };
        let found = |path: &str, summary: &str| vec![(path.to_owned(), summary.to_owned())];
        assert_eq!(
            warnings(&[]),
            found(r#"sites["a"].endpoint"#, "An endpoint of several nodes")
        );
        assert_eq!(warnings(&["a-1"]), []);
        assert_eq!(
            warnings(&["a-1", "a-9"]),
            found(
                r#"sites["a"].gateways[1]"#,
                "A gateway that is not enrolled"
            )
        );
    }

    /// What is wrong with a second mesh of the sites `a` and `b`, whose first mesh has a route to
    /// the networks behind `a`.
    fn errors_of_a_second_mesh(change: impl FnOnce(&mut VpnMesh)) -> Vec<(String, String)> {
        let mut federation = Builder::new().site("a").site("b").mesh(&["10.0.0.0/24"]);
        federation.change_mesh(|mesh| {
            let site = mesh.sites.get_mut(&"a".parse().unwrap()).unwrap();
            site.routes = vec!["192.168.0.0/16".parse().unwrap()];
        });
        let mut second = federation.state.inventory().meshes[&mesh_name()]
            .spec
            .clone();
        second.name = "second".parse().unwrap();
        second.address_pools = vec!["10.1.0.0/24".parse().unwrap()];
        second.interface = "hanse1".parse().unwrap();
        second.listen_port = 51_830;
        for site in second.sites.values_mut() {
            site.routes.clear();
        }
        change(&mut second);
        let refused = federation.try_declare(Object::VpnMesh(second)).err();
        let found = refused
            .into_iter()
            .flat_map(|refusal| refusal.findings)
            .filter(Finding::is_error);
        found.map(|f| (f.path.to_string(), f.summary)).collect()
    }

    #[test]
    fn two_meshes_of_one_site_get_in_each_others_way_nowhere() {
        type Change = fn(&mut VpnMesh);
        fn route(mesh: &mut VpnMesh, site: &str, route: &str) {
            let site = mesh.sites.get_mut(&site.parse().unwrap()).unwrap();
            site.routes = vec![route.parse().unwrap()];
        }
        let cases: [(Change, &str, &str); 6] = [
            (
                |m| m.address_pools = vec!["192.168.9.0/24".parse().unwrap()],
                "address_pools[0]",
                "Overlapping networks",
            ),
            (
                |m| route(m, "b", "192.168.9.0/24"),
                r#"sites["b"].routes[0]"#,
                "Overlapping networks",
            ),
            (
                |m| route(m, "a", "192.168.9.0/24"),
                r#"sites["a"].routes[0]"#,
                "Overlapping networks",
            ),
            (
                |m| route(m, "b", "10.0.0.0/25"),
                r#"sites["b"].routes[0]"#,
                "Overlapping networks",
            ),
            (
                |m| m.probe_port = 51_820,
                "probe_port",
                "Taken by another mesh",
            ),
            (
                |m| (m.listen_port, m.probe_port) = (51_821, 51_831),
                "listen_port",
                "Taken by another mesh",
            ),
        ];
        assert_eq!(errors_of_a_second_mesh(|_| ()), []);
        for (change, path, summary) in cases {
            let found = errors_of_a_second_mesh(change);
            assert_eq!(found, [(path.to_owned(), summary.to_owned())]);
        }
        let elsewhere = errors_of_a_second_mesh(|mesh| {
            route(mesh, "a", "192.168.9.0/24");
            mesh.sites.remove(&"b".parse().unwrap());
        });
        assert_eq!(elsewhere, [], "no node is in both but those of the site");
    }

    #[test]
    fn the_hub_is_the_gateway_of_its_site_and_not_its_first_node() {
        let mut federation = Builder::new().site("a").site("b").mesh(&["10.0.0.0/24"]);
        for (node, site) in [("a-1", "a"), ("a-2", "a"), ("b-1", "b")] {
            federation.enroll(node, site);
        }
        let mut wanted = federation.state.inventory().meshes[&mesh_name()]
            .spec
            .clone();
        wanted.shape = Some(crate::object::vpn_mesh::MeshShape::HubSpoke);
        wanted
            .sites
            .get_mut(&"b".parse().unwrap())
            .unwrap()
            .endpoint = None;
        let hub = wanted.sites.get_mut(&"a".parse().unwrap()).unwrap();
        hub.hub = true;
        hub.gateways = vec!["a-2".parse().unwrap()];
        federation
            .try_declare(Object::VpnMesh(wanted.clone()))
            .unwrap();
        let hub = wanted.sites.get_mut(&"a".parse().unwrap()).unwrap();
        let elsewhere = hub.endpoint.take().unwrap();
        hub.node_endpoints.insert("a-1".parse().unwrap(), elsewhere);
        let refusal = federation.try_declare(Object::VpnMesh(wanted)).unwrap_err();
        assert_eq!(
            refusal.findings[0].path.to_string(),
            r#"sites["a"].endpoint"#
        );
    }

    #[test]
    fn an_unknown_site_is_a_warning_while_it_may_still_come() {
        let mut inventory = Inventory::new("test".parse().unwrap());
        let mut wanted = mesh(&["10.0.0.0/24"]);
        wanted
            .sites
            .insert("later".parse().unwrap(), dialable_site(1));
        inventory.put(Object::VpnMesh(wanted), 1);
        let reference = ObjectRef::VpnMesh(mesh_name());
        let at = |missing| object(&inventory, &reference, missing)[0].is_error();
        assert!(!at(Missing::Warn));
        assert!(at(Missing::Refuse));
    }
}
