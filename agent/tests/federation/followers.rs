//! What a voter sends to those who follow: differences where it can, whole plans where it must.

use std::net::SocketAddr;
use std::sync::Arc;

use hanse_agent::follower::held::Held;
use hanse_client::proto::api_client::ApiClient;
use hanse_client::proto::follow_event::Event;
use hanse_client::{Client, Credentials, WallClock, proto};
use hanse_core::object::Object;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tonic::Streaming;
use tonic::transport::Endpoint;

use crate::harness::{Federation, cluster, mesh};

/// A node that follows by hand.
struct Follower {
    client: Client,
    events: Streaming<proto::FollowEvent>,
    held: Option<Held>,
}

impl Follower {
    async fn new(federation: &Federation, node: &str) -> (Self, Credentials) {
        let (_, credentials) = federation.join("berlin", node).await;
        let follower = Self::again(federation, &credentials, None).await;
        (follower, credentials)
    }

    async fn again(federation: &Federation, credentials: &Credentials, held: Option<Held>) -> Self {
        let client = federation.client(credentials).await;
        let events = client.follow(request(held.as_ref())).await.unwrap();
        Self {
            client,
            events,
            held,
        }
    }

    /// Takes the next event, and yields it.
    async fn next(&mut self) -> proto::FollowEvent {
        let event = self.events.message().await.unwrap().unwrap();
        match event.event.as_ref().unwrap() {
            Event::Plan(plan) => self.held = Some(Held::whole(plan).unwrap()),
            Event::Change(change) => {
                let held = self.held.as_mut().unwrap();
                held.change(change, &event.plan_digest).unwrap();
            }
            Event::UnchangedUntilRevision(revision) => {
                self.held.as_mut().unwrap().revision = *revision;
            }
        }
        let digest = self.held.as_ref().unwrap().digest();
        assert_eq!(event.plan_digest, digest.to_bytes());
        event
    }

    /// Takes events up to a revision, and yields the last.
    async fn up_to(&mut self, revision: u64) -> proto::FollowEvent {
        loop {
            let event = self.next().await;
            if self.held.as_ref().unwrap().revision >= revision {
                return event;
            }
        }
    }

    /// Tells the federation a key, and yields the revision that has it.
    async fn make_key(&self, key: u8) -> u64 {
        let observed = proto::MeshObservation {
            mesh: "core".to_owned(),
            public_key: vec![key; 32],
            ..Default::default()
        };
        let status = proto::NodeStatus {
            meshes: vec![observed],
            ..Default::default()
        };
        self.client.report(status).await.unwrap().revision
    }
}

fn request(held: Option<&Held>) -> proto::FollowRequest {
    proto::FollowRequest {
        from_revision: held.map_or(0, |held| held.revision),
        plan_digest: held.map_or(Vec::new(), |held| held.digest().to_bytes().to_vec()),
        takes_changes: true,
    }
}

/// Declares two sites and a mesh.
async fn declare(federation: &Federation) {
    let admin = federation.admin().await;
    for name in ["home", "berlin"] {
        admin.apply(&cluster(name), 0, name).await.unwrap();
    }
    admin
        .apply(&mesh(&["home", "berlin"]), 0, "mesh")
        .await
        .unwrap();
}

/// Gives the site `home` another route, and yields the revision that has it.
async fn route(federation: &Federation, number: u8) -> u64 {
    let admin = federation.admin().await;
    let reference = mesh(&[]).reference();
    let stored = admin.get(&reference).await.unwrap().unwrap();
    let Object::VpnMesh(mut spec) = stored.spec else {
        panic!("another object");
    };
    let site = spec.sites.get_mut(&"home".parse().unwrap()).unwrap();
    site.routes = vec![format!("192.168.{number}.0/24").parse().unwrap()];
    let id = format!("route-{number}");
    let applied = admin
        .apply(&Object::VpnMesh(spec), stored.revision, &id)
        .await;
    applied.unwrap().revision
}

#[tokio::test]
async fn a_node_that_has_a_plan_is_sent_what_is_other_in_it() {
    let federation = Federation::start().await;
    declare(&federation).await;
    let (mut a, _) = Follower::new(&federation, "a").await;
    let (b, _) = Follower::new(&federation, "b").await;
    let first = a.next().await;
    assert!(matches!(first.event, Some(Event::Plan(_))) && !first.compacted);
    let told = first.voters.unwrap().endpoints;
    assert_eq!(told, [federation.endpoint.to_string()]);
    a.make_key(1).await;
    a.up_to(b.make_key(2).await).await;
    let Some(Event::Change(change)) = a.up_to(route(&federation, 7).await).await.event else {
        panic!("a whole plan");
    };
    assert_eq!(change.meshes[0].routes_added, ["192.168.7.0/24"]);
    assert!(change.meshes[0].head.is_none() && change.meshes[0].peers.is_empty());
    assert_eq!(a.held.unwrap().plan.meshes[0].peers.len(), 1);
}

#[tokio::test]
async fn a_node_that_comes_back_is_sent_what_it_has_missed() {
    let federation = Federation::start().await;
    declare(&federation).await;
    let (mut a, credentials) = Follower::new(&federation, "a").await;
    a.up_to(route(&federation, 1).await).await;
    let held = a.held.take();
    drop(a);
    let mut a = Follower::again(&federation, &credentials, held.clone()).await;
    let Some(Event::Change(nothing)) = a.next().await.event else {
        panic!("a whole plan for nothing");
    };
    assert!(nothing.meshes.is_empty());
    drop(a);
    let revision = route(&federation, 2).await;
    let mut a = Follower::again(&federation, &credentials, held).await;
    let Some(Event::Change(missed)) = a.up_to(revision).await.event else {
        panic!("a whole plan");
    };
    assert_eq!(missed.meshes[0].routes_removed, ["192.168.1.0/24"]);
}

#[tokio::test]
async fn after_a_restart_a_node_is_sent_a_whole_plan_if_its_own_is_another() {
    let federation = Federation::start().await;
    declare(&federation).await;
    let (mut a, credentials) = Follower::new(&federation, "a").await;
    a.up_to(route(&federation, 1).await).await;
    let held = a.held.take();
    drop(a);
    let federation = federation.restart().await;
    let mut a = Follower::again(&federation, &credentials, held.clone()).await;
    assert!(
        matches!(a.next().await.event, Some(Event::Change(_))),
        "nothing is other"
    );
    drop(a);
    route(&federation, 2).await;
    let federation = federation.restart().await;
    let mut a = Follower::again(&federation, &credentials, held).await;
    let whole = a.next().await;
    assert!(matches!(whole.event, Some(Event::Plan(_))) && whole.compacted);
}

#[tokio::test]
async fn an_agent_that_knows_no_differences_is_sent_whole_plans() {
    let federation = Federation::start().await;
    declare(&federation).await;
    let (a, credentials) = Follower::new(&federation, "a").await;
    drop(a);
    let client = federation.client(&credentials).await;
    let mut events = client.follow(Default::default()).await.unwrap();
    let first = events.message().await.unwrap().unwrap();
    assert!(matches!(first.event, Some(Event::Plan(_))));
    let revision = route(&federation, 1).await;
    loop {
        let event = events.message().await.unwrap().unwrap();
        assert!(!event.compacted);
        match event.event.unwrap() {
            Event::Plan(plan) if plan.revision >= revision => {
                assert_eq!(plan.meshes[0].routes.len(), 2);
                return;
            }
            Event::Plan(_) | Event::UnchangedUntilRevision(_) => {}
            Event::Change(_) => panic!("a difference"),
        }
    }
}

#[tokio::test]
async fn a_voter_that_is_behind_a_node_sends_it_no_older_plan() {
    let federation = Federation::start().await;
    declare(&federation).await;
    let (mut a, credentials) = Follower::new(&federation, "a").await;
    a.next().await;
    let mut ahead = a.held.clone().unwrap();
    drop(a);
    let newest = federation.voter.replica.read().revision();
    ahead.revision = newest + 2;
    let mut a = Follower::again(&federation, &credentials, Some(ahead)).await;
    route(&federation, 1).await;
    let revision = route(&federation, 2).await;
    assert_eq!(revision, newest + 2);
    let event = a.events.message().await.unwrap().unwrap();
    let Some(Event::Plan(plan)) = event.event else {
        panic!("a difference from a plan that never was");
    };
    assert_eq!(plan.revision, revision);
}

/// Passes bytes on to a voter, until either end hangs up.
async fn relay(federation: &Federation) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let here = listener.local_addr().unwrap();
    let there = federation.endpoint.socket_address().unwrap();
    let passing = tokio::spawn(async move {
        let (mut near, _) = listener.accept().await.unwrap();
        let mut far = TcpStream::connect(there).await.unwrap();
        let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
    });
    (here, passing)
}

/// Follows over a connection that takes a few bytes and no more until somebody reads.
async fn follow_slowly(
    address: SocketAddr,
    credentials: &Credentials,
) -> Streaming<proto::FollowEvent> {
    let clock = Arc::new(WallClock);
    let config = hanse_client::tls::client_config(credentials, clock).unwrap();
    let connector = tower::service_fn(move |_| {
        let config = config.clone();
        async move {
            let stream = TcpStream::connect(address).await?;
            let name = ServerName::try_from("federation.invalid").unwrap();
            let stream = TlsConnector::from(config).connect(name, stream).await?;
            Ok::<_, std::io::Error>(TokioIo::new(stream))
        }
    });
    let channel = Endpoint::from_static("http://federation.invalid")
        .initial_stream_window_size(300)
        .connect_with_connector(connector)
        .await
        .unwrap();
    let mut api = ApiClient::new(channel);
    api.follow(request(None)).await.unwrap().into_inner()
}

#[tokio::test]
async fn a_follower_that_takes_nothing_is_cut_off_and_holds_up_nobody() {
    let federation = Federation::start().await;
    declare(&federation).await;
    let (_, credentials) = federation.join("berlin", "slow").await;
    let (address, passing) = relay(&federation).await;
    let mut slow = follow_slowly(address, &credentials).await;
    let (mut quick, _) = Follower::new(&federation, "quick").await;
    for number in 1..20 {
        quick.up_to(route(&federation, number).await).await;
    }
    // The voter hangs up: the other end never would.
    passing.await.unwrap();
    let ended = loop {
        match slow.message().await {
            Ok(Some(_)) => {}
            ended => break ended,
        }
    };
    assert!(ended.is_err(), "it ends in the middle");
    quick.up_to(route(&federation, 99).await).await;
}
