//! One certificate authority follows another, and nobody is shut out before their time.

use std::sync::Arc;
use std::time::Duration;

use hanse_agent::identity::NodeIdentity;
use hanse_client::{Client, ClientError, Credentials, Fingerprint, Role, WallClock, proto};
use hanse_core::authority::AuthorityRole;
use hanse_core::name::NodeName;
use hanse_core::object::Object;
use hanse_core::state::FederationState;

use crate::harness::{FEDERATION, Federation, request};

/// A node that reports, and reports whom it trusts.
struct Node {
    client: Client,
    credentials: Credentials,
    identity: NodeIdentity,
}

impl Node {
    async fn join(federation: &Federation, name: &str) -> Self {
        let (folder, credentials) = federation.join("berlin", name).await;
        Self {
            client: federation.client(&credentials).await,
            identity: NodeIdentity::open(&folder).unwrap(),
            credentials,
        }
    }

    async fn report(&self) {
        let authorities = self.credentials.authorities().iter();
        let trusted = authorities.map(|der| Fingerprint::of(der).as_bytes().to_vec());
        let status = proto::NodeStatus {
            trusted_authorities: trusted.collect(),
            ..Default::default()
        };
        self.client.report(status).await.unwrap();
    }

    /// Trusts whom the federation says in the first event of the node's stream.
    async fn trust(&mut self) {
        let request = proto::FollowRequest::default();
        let mut events = self.client.follow(request).await.unwrap();
        let trust = events.message().await.unwrap().unwrap().trust.unwrap();
        self.credentials = self.identity.trust(&trust).unwrap();
    }

    async fn renew(&mut self) {
        let request = proto::EnrollRequest {
            certificate_request: self.identity.request().unwrap(),
            ..Default::default()
        };
        let response = self.client.enroll(request).await.unwrap();
        let trust = response.trust.as_ref();
        let accepted = self.identity.accept(&response.certificate_chain, trust);
        self.credentials = accepted.unwrap();
    }
}

async fn start() -> (Federation, Client) {
    let federation = Federation::start().await;
    let admin = federation.admin().await;
    // The shortest time after which a node that never reported counts as silent.
    let mut settings = hanse_core::object::Federation::defaults(FEDERATION.parse().unwrap());
    settings.health.check_interval = "1s".parse().unwrap();
    settings.health.failure_threshold = 1;
    let settings = Object::Federation(settings);
    admin.apply(&settings, 0, "settings").await.unwrap();
    (federation, admin)
}

fn roles(state: &FederationState) -> Vec<(u32, AuthorityRole)> {
    let authorities = state.inventory().authorities.iter();
    authorities
        .map(|(number, one)| (number, one.role))
        .collect()
}

async fn until_roles(federation: &Federation, wanted: &[(u32, AuthorityRole)]) {
    let mut changes = federation.voter.replica.changes();
    changes
        .wait_for(|state| roles(state) == wanted)
        .await
        .unwrap();
}

/// Waits until whoever trusts that authority alone is served.
async fn until_served(federation: &Federation, authority: Fingerprint) {
    let endpoints = [federation.endpoint.clone()];
    let name = FEDERATION.parse().unwrap();
    let clock = Arc::new(WallClock);
    while Client::connect_pinned(&endpoints, authority, &name, clock.clone())
        .await
        .is_err()
    {
        tokio::task::yield_now().await;
    }
}

async fn waits(admin: &Client) -> String {
    let snapshot = admin.snapshot(0, Duration::ZERO).await.unwrap();
    let authorities = snapshot.response.authorities.iter();
    let waits: Vec<String> = authorities.flat_map(|one| one.waits_for.clone()).collect();
    waits.join("\n")
}

const BOTH: [(u32, AuthorityRole); 2] =
    [(1, AuthorityRole::Signing), (2, AuthorityRole::Introduced)];
const SWITCHED: [(u32, AuthorityRole); 2] =
    [(1, AuthorityRole::Retiring), (2, AuthorityRole::Signing)];

#[tokio::test]
async fn the_new_authority_signs_once_every_live_node_trusts_it_and_old_papers_are_good_until_then()
{
    let (federation, admin) = start().await;
    let old = federation.voter.trust().signing().unwrap().fingerprint;
    let token = federation.token("berlin", 2).await;
    let mut node = Node::join(&federation, "berlin-1").await;
    node.report().await;
    let shown = admin.rotate_authority(false, "one").await.unwrap();
    assert_eq!(shown.len(), 2);
    let again = admin.rotate_authority(false, "two").await.unwrap_err();
    assert!(again.to_string().contains("under way"), "{again}");
    assert_eq!(roles(&federation.voter.replica.read()), BOTH);
    while !waits(&admin).await.contains("berlin-1") {
        node.report().await;
    }

    node.trust().await;
    node.report().await;
    until_roles(&federation, &SWITCHED).await;

    // The bundle and the token that know the old authority only are good all the same, once the
    // voter shows a certificate of the new one.
    let new = federation.voter.trust().signing().unwrap().fingerprint;
    federation.renew_voter();
    until_served(&federation, new).await;
    let admin = federation.admin().await;
    let snapshot = admin.snapshot(0, Duration::ZERO).await.unwrap();
    assert_eq!(snapshot.response.ca_fingerprint, new.to_string());
    let endpoints = [federation.endpoint.clone()];
    let name = FEDERATION.parse().unwrap();
    let joiner = Client::connect_pinned(&endpoints, old, &name, Arc::new(WallClock)).await;
    let enrolment = proto::EnrollRequest {
        token,
        certificate_request: request(),
        node: "berlin-2".to_owned(),
        ..Default::default()
    };
    let response = joiner.unwrap().enroll(enrolment).await.unwrap();
    assert_eq!(Fingerprint::of(&response.certificate_chain[1]), new);
}

#[tokio::test]
async fn the_old_authority_goes_only_when_nobody_needs_it_or_by_force() {
    let (federation, admin) = start().await;
    let mut node = Node::join(&federation, "berlin-1").await;
    admin.rotate_authority(false, "one").await.unwrap();
    admin.rotate_authority(true, "two").await.unwrap();
    until_roles(&federation, &SWITCHED).await;
    assert!(
        federation
            .voter
            .replica
            .read()
            .secrets()
            .names()
            .all(|name| name.to_string() != "authority-key/1")
    );
    node.renew().await;
    node.report().await;
    let record = |state: &Arc<FederationState>| {
        let name: NodeName = "berlin-1".parse().unwrap();
        state.inventory().nodes[&name].certified_by
    };
    let mut changes = federation.voter.replica.changes();
    changes
        .wait_for(|state| record(state) == Some(2))
        .await
        .unwrap();
    let waiting = waits(&admin).await;
    assert!(
        !waiting.contains("berlin-1") && waiting.contains("home-1"),
        "{waiting}"
    );
    assert!(waiting.contains("credentials and tokens"), "{waiting}");

    federation.renew_voter();
    let endpoints = [federation.endpoint.clone()];
    let bundle = federation.user(Role::Admin).await;
    let renewed = loop {
        // Those who connect next meet the new certificate.
        match Client::connect(&endpoints, &bundle).await {
            Ok(client) => break client.with_patience(Duration::ZERO),
            Err(_) => tokio::task::yield_now().await,
        }
    };
    renewed.rotate_authority(true, "three").await.unwrap();
    until_roles(&federation, &[(2, AuthorityRole::Signing)]).await;
    // On open connections and on new ones.
    let refused = loop {
        match admin.snapshot(0, Duration::ZERO).await {
            Err(error) => break error,
            Ok(_) => tokio::task::yield_now().await,
        }
    };
    assert!(
        refused.to_string().contains("has been replaced"),
        "{refused}"
    );
    let bundle = Credentials::read(&federation.admin_bundle()).unwrap();
    let refused = match Client::connect(&endpoints, &bundle).await {
        Err(error) => error,
        Ok(client) => {
            let client = client.with_patience(Duration::ZERO);
            client.snapshot(0, Duration::ZERO).await.unwrap_err()
        }
    };
    assert!(
        !matches!(refused, ClientError::Refused { .. }),
        "it does not come as far as a call: {refused}"
    );
    renewed.snapshot(0, Duration::ZERO).await.unwrap();
}

#[tokio::test]
async fn a_rotation_goes_on_after_a_restart_of_the_voter() {
    let (federation, admin) = start().await;
    admin.rotate_authority(false, "one").await.unwrap();
    let federation = federation.restart().await;
    // Nobody lives who would have to trust it.
    until_roles(&federation, &SWITCHED).await;
}
