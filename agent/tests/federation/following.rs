//! Agents follow their plan, with the federation and without it.

use std::sync::Arc;

use hanse_agent::data::DataFolder;
use hanse_agent::follower::{Follower, Hands, Known, Voters};
use hanse_agent::run::run;
use hanse_client::{Credentials, WallClock, proto};
use hanse_core::key::PublicKey;
use hanse_core::mesh::MeshPlan;
use hanse_dataplane::{MeshObservation, Observation};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::harness::{Federation, bootstrap, cluster, free_address, mesh};

/// A data plane that makes a key for each mesh and changes nothing.
struct Notebook {
    key: PublicKey,
    plan: watch::Sender<(u64, Vec<MeshPlan>)>,
    observation: watch::Sender<Observation>,
}

impl Notebook {
    fn new(key: u8) -> Arc<Self> {
        let (plan, _) = watch::channel((0, Vec::new()));
        let (observation, _) = watch::channel(Observation::default());
        Arc::new(Self {
            key: [key; 32].into(),
            plan,
            observation,
        })
    }

    async fn wait_for(
        &self,
        wanted: impl Fn(&(u64, Vec<MeshPlan>)) -> bool,
    ) -> (u64, Vec<MeshPlan>) {
        self.plan
            .subscribe()
            .wait_for(wanted)
            .await
            .unwrap()
            .clone()
    }
}

impl Hands for Notebook {
    fn set_plan(&self, revision: u64, meshes: Vec<MeshPlan>) {
        let meshes_seen = meshes.iter().map(|plan| MeshObservation {
            mesh: plan.mesh.clone(),
            public_key: Some(self.key),
            backend: None,
            peers: Vec::new(),
            problems: Vec::new(),
        });
        self.observation.send_replace(Observation {
            applied_revision: revision,
            meshes: meshes_seen.collect(),
            problems: Vec::new(),
        });
        self.plan.send_replace((revision, meshes));
    }

    fn acknowledge(&self, revision: u64) {
        self.observation
            .send_modify(|observation| observation.applied_revision = revision);
        self.plan.send_modify(|plan| plan.0 = revision);
    }

    fn observe(&self) -> watch::Receiver<Observation> {
        self.observation.subscribe()
    }
}

/// A running follower, stopped when dropped.
struct Running {
    hands: Arc<Notebook>,
    credentials: watch::Sender<Arc<Credentials>>,
    stop: CancellationToken,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn follow(
    federation: &Federation,
    folder: DataFolder,
    credentials: Credentials,
    key: u8,
) -> Running {
    let hands = Notebook::new(key);
    let (sender, receiver) = watch::channel(Arc::new(credentials));
    let stop = CancellationToken::new();
    let voters = Arc::new(Voters::learning(
        folder.clone(),
        vec![federation.endpoint.clone()],
    ));
    let known = Known {
        credentials: receiver,
        clock: Arc::new(WallClock),
        trust: watch::channel(None).0,
        duty: watch::channel(None).0,
        complaint: watch::channel(None).0,
        copies: watch::channel(Default::default()).0,
    };
    let follower = Follower::new(folder, voters, known, hands.clone());
    tokio::spawn(follower.run(stop.clone()));
    Running {
        hands,
        credentials: sender,
        stop,
    }
}

async fn declare(federation: &Federation) {
    let admin = federation.admin().await;
    admin.apply(&cluster("home"), 0, "home").await.unwrap();
    admin.apply(&cluster("berlin"), 0, "berlin").await.unwrap();
    admin
        .apply(&mesh(&["home", "berlin"]), 0, "mesh")
        .await
        .unwrap();
}

fn has_peer((_, meshes): &(u64, Vec<MeshPlan>)) -> bool {
    meshes.first().is_some_and(|mesh| mesh.peers.len() == 1)
}

#[tokio::test]
async fn two_nodes_learn_of_one_another_and_share_a_key_that_nobody_else_sees() {
    let federation = Federation::start().await;
    let (folder_a, a) = federation.join("berlin", "a").await;
    let (folder_b, b) = federation.join("berlin", "b").await;
    let a = follow(&federation, folder_a, a, 1);
    let b = follow(&federation, folder_b, b, 2);
    declare(&federation).await;
    let (_, plan_a) = a.hands.wait_for(has_peer).await;
    let (_, plan_b) = b.hands.wait_for(has_peer).await;
    let (peer_of_a, peer_of_b) = (&plan_a[0].peers[0], &plan_b[0].peers[0]);
    assert_eq!(peer_of_a.public_key, [2; 32].into());
    assert_eq!(peer_of_b.public_key, [1; 32].into());
    assert!(peer_of_a.preshared_key.is_some());
    assert_eq!(peer_of_a.preshared_key, peer_of_b.preshared_key);
    let secret = peer_of_a.preshared_key.as_ref().unwrap().as_bytes();
    let state = serde_json::to_string(&*federation.voter.replica.read()).unwrap();
    assert!(!state.contains(&serde_json::to_string(secret).unwrap()));
}

#[tokio::test]
async fn a_node_that_reports_is_live() {
    let federation = Federation::start().await;
    let (folder, credentials) = federation.join("berlin", "a").await;
    let _running = follow(&federation, folder, credentials, 1);
    let admin = federation.admin().await;
    let mut version = 0;
    loop {
        let snapshot = admin
            .snapshot(version, std::time::Duration::from_secs(60))
            .await
            .unwrap();
        version = snapshot.response.version;
        let node = snapshot
            .response
            .nodes
            .iter()
            .find(|node| node.name == "a")
            .unwrap();
        if node.live {
            let capacity = node.status.as_ref().unwrap().capacity.as_ref().unwrap();
            assert!(capacity.memory_total_bytes > 0);
            return;
        }
    }
}

#[tokio::test]
async fn an_agent_goes_by_its_last_plan_without_a_federation_and_catches_up_when_it_is_back() {
    let mut federation = Federation::start().await;
    let (folder, credentials) = federation.join("berlin", "a").await;
    let pem = credentials.to_pem();
    let running = follow(&federation, folder.clone(), credentials, 1);
    declare(&federation).await;
    let (revision, plan) = running
        .hands
        .wait_for(|(_, meshes)| !meshes.is_empty())
        .await;
    drop(running);
    federation.stop().await;

    let credentials = Credentials::from_pem("kept", pem.as_bytes()).unwrap();
    let running = follow(&federation, folder, credentials, 1);
    let (kept_revision, kept) = running
        .hands
        .wait_for(|(_, meshes)| !meshes.is_empty())
        .await;
    assert_eq!(kept, plan);
    assert!(kept_revision <= revision);

    let federation = federation.restart().await;
    federation
        .admin()
        .await
        .apply(&cluster("third"), 0, "third")
        .await
        .unwrap();
    let newest = federation.voter.replica.read().revision();
    running
        .hands
        .wait_for(|(revision, _)| *revision >= newest)
        .await;
}

#[tokio::test]
async fn a_new_certificate_is_used_without_a_restart() {
    let federation = Federation::start().await;
    let (folder, credentials) = federation.join("berlin", "a").await;
    let renewed = Credentials::from_pem("renewed", credentials.to_pem().as_bytes()).unwrap();
    let running = follow(&federation, folder, credentials, 1);
    running.hands.wait_for(|(revision, _)| *revision > 0).await;
    running.credentials.send_replace(Arc::new(renewed));
    declare(&federation).await;
    running
        .hands
        .wait_for(|(_, meshes)| !meshes.is_empty())
        .await;
}

#[tokio::test]
async fn a_node_cannot_be_told_what_concerns_others_only() {
    let federation = Federation::start().await;
    let (folder, credentials) = federation.join("elsewhere", "a").await;
    let running = follow(&federation, folder, credentials, 1);
    declare(&federation).await;
    let newest = federation.voter.replica.read().revision();
    let (_, meshes) = running
        .hands
        .wait_for(|(revision, _)| *revision >= newest)
        .await;
    assert!(meshes.is_empty());
}

#[tokio::test]
async fn a_report_that_names_many_keys_for_one_mesh_changes_one() {
    let federation = Federation::start().await;
    let (_, node) = federation.join("berlin", "a").await;
    declare(&federation).await;
    let before = federation.voter.replica.read().revision();
    let observed = (1..=50).map(|key| proto::MeshObservation {
        mesh: "core".to_owned(),
        public_key: vec![key; 32],
        ..Default::default()
    });
    let status = proto::NodeStatus {
        meshes: observed.collect(),
        ..Default::default()
    };
    let client = federation.client(&node).await;
    assert_eq!(client.report(status).await.unwrap().revision, before + 1);
}

/// A data plane that fails at its first plan, or has died already.
struct Broken(watch::Sender<Observation>, bool);

impl Hands for Broken {
    fn set_plan(&self, _: u64, _: Vec<MeshPlan>) {
        assert!(self.1, "a fault");
    }
    fn acknowledge(&self, _: u64) {}
    fn observe(&self) -> watch::Receiver<Observation> {
        if self.1 {
            return watch::channel(Observation::default()).1;
        }
        self.0.subscribe()
    }
}

#[tokio::test]
async fn an_agent_a_part_of_which_died_ends_and_is_no_ghost() {
    for (is_dead, part) in [(false, "follower"), (true, "data plane")] {
        let parent = tempfile::tempdir().unwrap();
        let attempt = bootstrap(parent.path(), free_address());
        attempt.found().await.unwrap();
        let folder = DataFolder::new(&attempt.data_dir);
        let hands = || async { Ok(Broken(watch::Sender::default(), is_dead)) };
        let ended = run(folder, CancellationToken::new(), hands).await;
        let error = ended.map(|_| ()).unwrap_err();
        assert!(error.to_string().contains(part), "{error:#}");
    }
}
