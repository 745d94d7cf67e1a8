//! A federation in a few words, for the tests of this crate.

use std::net::IpAddr;

use crate::admission::{Admission, Refusal, admit};
use crate::command::Request;
use crate::key::PublicKey;
use crate::name::{ClusterName, MeshName, NodeName};
use crate::object::dr_plan::{Failback, POSTGRESQL_PORT_DEFAULT, Postgresql, Workload};
use crate::object::federation::Topology;
use crate::object::member_cluster::{MemberCluster, Platform, SiteRole};
use crate::object::vpn_mesh::{LISTEN_PORT_DEFAULT, PROBE_PORT_DEFAULT};
use crate::object::{DrPlan, Federation, MeshSite, Object, ObjectRef, VpnMesh};
use crate::state::FederationState;

/// The one mesh of these tests.
pub(crate) fn mesh_name() -> MeshName {
    "backbone".parse().unwrap()
}

/// A member cluster without networks.
pub(crate) fn cluster(name: &str) -> MemberCluster {
    MemberCluster {
        federation: "test".parse().unwrap(),
        name: name.parse().unwrap(),
        platform: Platform::Other,
        region: String::new(),
        role: SiteRole::Primary,
        weight: 1,
        capabilities: Default::default(),
        labels: Default::default(),
        limits: None,
        networks: Vec::new(),
    }
}

/// A mesh without sites.
pub(crate) fn mesh(pools: &[&str]) -> VpnMesh {
    VpnMesh {
        federation: "test".parse().unwrap(),
        name: mesh_name(),
        address_pools: pools.iter().map(|pool| pool.parse().unwrap()).collect(),
        interface: "hanse0".parse().unwrap(),
        listen_port: LISTEN_PORT_DEFAULT,
        probe_port: PROBE_PORT_DEFAULT,
        mtu: None,
        persistent_keepalive: None,
        preshared_keys: true,
        key_rotation_interval: None,
        shape: None,
        sites: Default::default(),
    }
}

/// A site whose first gateway can be dialled.
pub(crate) fn dialable_site(number: usize) -> MeshSite {
    MeshSite {
        endpoint: Some(format!("192.0.2.{number}:51820").parse().unwrap()),
        ..MeshSite::default()
    }
}

/// A plan at home in `a`, with standbys in `b` and `c`.
pub(crate) fn dr_plan() -> DrPlan {
    DrPlan {
        federation: "test".parse().unwrap(),
        name: "orders".parse().unwrap(),
        home: "a".parse().unwrap(),
        standbys: vec!["b".parse().unwrap(), "c".parse().unwrap()],
        nodes: Default::default(),
        workload: Workload::Postgresql(Postgresql {
            data_directory: "/var/lib/postgresql/15/main".to_owned(),
            port: POSTGRESQL_PORT_DEFAULT,
            bin_directory: None,
        }),
        replication: None,
        preset: None,
        timings: None,
        rpo: None,
        rto: None,
        automatic_failover: true,
        failback: Failback::Manual,
        max_lag_on_failover: "1MiB".parse().unwrap(),
        fencing: Default::default(),
        accept_pause_risk: false,
        service_address: None,
        dns: None,
        route53: None,
        drill: None,
        hooks: Default::default(),
        backup: None,
    }
}

/// The addresses of a node in the one mesh.
pub(crate) fn addresses_of(state: &FederationState, node: &str) -> Vec<IpAddr> {
    let node: NodeName = node.parse().unwrap();
    state.inventory().nodes[&node].meshes[&mesh_name()]
        .addresses
        .clone()
}

/// A federation that is asked and answers, as the real one does.
pub(crate) struct Builder {
    /// The state as committed.
    pub(crate) state: FederationState,
    requests: u64,
    /// What the leader's clock says, in seconds since 1970.
    pub(crate) now_unix_s: u64,
}

impl Builder {
    pub(crate) fn new() -> Self {
        Self {
            state: FederationState::founded("test".parse().unwrap()),
            requests: 0,
            now_unix_s: 0,
        }
    }

    pub(crate) fn site(mut self, name: &str) -> Self {
        self.declare(Object::MemberCluster(cluster(name)));
        self
    }

    /// A mesh of all sites declared so far, every one dialable.
    pub(crate) fn mesh(mut self, pools: &[&str]) -> Self {
        let mut mesh = mesh(pools);
        let clusters = self.state.inventory().clusters.keys().cloned();
        mesh.sites = clusters
            .enumerate()
            .map(|(n, name)| (name, dialable_site(n + 1)))
            .collect();
        self.declare(Object::VpnMesh(mesh));
        self
    }

    pub(crate) fn topology(mut self, topology: Topology) -> Self {
        let mut federation = Federation::defaults("test".parse().unwrap());
        federation.topology = topology;
        self.declare(Object::Federation(federation));
        self
    }

    pub(crate) fn ask(&mut self, request: Request) -> Result<(), Refusal> {
        self.requests += 1;
        match admit(
            &self.state,
            &format!("request-{}", self.requests),
            self.now_unix_s,
            request,
        )? {
            Admission::Commit { entry, .. } => {
                self.state.apply(&entry);
            }
            Admission::Already { .. } => {}
        }
        Ok(())
    }

    /// Declares an object, whatever its revision is now.
    pub(crate) fn try_declare(&mut self, object: Object) -> Result<(), Refusal> {
        let current = self
            .state
            .inventory()
            .get(&object.reference())
            .filter(|s| !s.retiring);
        let expected_revision = current.map_or(0, |stored| stored.revision);
        self.ask(Request::Apply {
            object,
            expected_revision,
            boxes: Vec::new(),
        })
    }

    pub(crate) fn declare(&mut self, object: Object) {
        self.try_declare(object).unwrap();
    }

    pub(crate) fn try_enroll(&mut self, node: &str, cluster: &str) -> Result<(), Refusal> {
        let node: NodeName = node.parse().unwrap();
        self.ask(Request::Enroll {
            node: node.clone(),
            cluster: cluster.parse().unwrap(),
            voter: false,
            advertise: None,
            identity_key: None,
            token: None,
            sealing_key: None,
            boxes: Vec::new(),
        })?;
        for mesh in self.state.inventory().nodes[&node]
            .meshes
            .keys()
            .cloned()
            .collect::<Vec<_>>()
        {
            let mut bytes = [0; 32];
            let name = node.as_str().as_bytes();
            bytes[..name.len().min(32)].copy_from_slice(&name[..name.len().min(32)]);
            let public_key = PublicKey::from(bytes);
            self.ask(Request::SetKey {
                node: node.clone(),
                mesh,
                public_key,
            })?;
        }
        Ok(())
    }

    pub(crate) fn enroll(&mut self, node: &str, cluster: &str) {
        self.try_enroll(node, cluster).unwrap();
    }

    /// Declares a member cluster and takes it into the mesh.
    pub(crate) fn add_site(&mut self, name: &str) {
        self.declare(Object::MemberCluster(cluster(name)));
        let number = self.state.inventory().clusters.len();
        self.change_mesh(|mesh| {
            mesh.sites
                .insert(name.parse().unwrap(), dialable_site(number));
        });
    }

    /// Takes a member cluster out of the mesh, then away.
    pub(crate) fn remove_site(&mut self, name: &str) {
        let name: ClusterName = name.parse().unwrap();
        self.change_mesh(|mesh| {
            mesh.sites.remove(&name);
        });
        let reference = ObjectRef::MemberCluster(name);
        self.ask(Request::Delete {
            reference,
            expected_revision: 0,
        })
        .unwrap();
    }

    pub(crate) fn change_mesh(&mut self, change: impl FnOnce(&mut VpnMesh)) {
        let mut mesh = self.state.inventory().meshes[&mesh_name()].spec.clone();
        change(&mut mesh);
        self.declare(Object::VpnMesh(mesh));
    }
}
