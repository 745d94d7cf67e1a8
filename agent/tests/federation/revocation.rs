//! Whoever is revoked, removed or gone loses everything at once, on open connections too.

use std::time::Duration;

use hanse_agent::identity::NodeIdentity;
use hanse_client::client::failure;
use hanse_client::{Client, ClientError, Credentials, RefusalKind, Role, proto};
use hanse_core::name::NodeName;
use tonic::Streaming;

use crate::harness::{Federation, bundle, cluster, mesh};

fn name(text: &str) -> NodeName {
    text.parse().unwrap()
}

/// What ends a stream.
async fn end_of(mut stream: Streaming<proto::FollowEvent>) -> ClientError {
    loop {
        match stream.message().await {
            Ok(event) => assert!(event.is_some(), "a stream ends with a reason"),
            Err(status) => return failure(&status),
        }
    }
}

/// What a refused call says.
fn reason<T: std::fmt::Debug>(refused: Result<T, ClientError>) -> String {
    let error = refused.unwrap_err();
    assert!(
        matches!(error, ClientError::Unauthenticated { .. }),
        "{error:?}"
    );
    error.to_string()
}

async fn renew(client: &Client, folder: &hanse_agent::data::DataFolder) -> Result<(), ClientError> {
    let request = proto::EnrollRequest {
        certificate_request: NodeIdentity::open(folder).unwrap().request().unwrap(),
        ..Default::default()
    };
    client.enroll(request).await.map(|_| ())
}

#[tokio::test]
async fn a_revoked_node_is_out_at_once_on_its_open_connection_and_on_every_new_one() {
    let federation = Federation::start().await;
    let (folder, credentials) = federation.join("berlin", "berlin-1").await;
    let open = federation.client(&credentials).await;
    let stream = open.follow(Default::default()).await.unwrap();
    let admin = federation.admin().await;
    admin.revoke_node(&name("berlin-1"), "one").await.unwrap();
    let ended = end_of(stream).await;
    assert!(ended.to_string().contains("was revoked"), "{ended}");
    for client in [open, federation.client(&credentials).await] {
        let said = reason(client.report(proto::NodeStatus::default()).await);
        assert!(said.contains("hanse node remove"), "{said}");
        assert!(reason(client.follow(Default::default()).await).contains("was revoked"));
        assert!(reason(renew(&client, &folder).await).contains("was revoked"));
        assert!(reason(client.leave("bye").await).contains("was revoked"));
    }
}

#[tokio::test]
async fn the_others_lose_a_revoked_node_with_the_same_commit() {
    let federation = Federation::start().await;
    let (_, a) = federation.join("berlin", "a").await;
    let (_, b) = federation.join("berlin", "b").await;
    let admin = federation.admin().await;
    admin.apply(&cluster("berlin"), 0, "berlin").await.unwrap();
    admin.apply(&mesh(&["berlin"]), 0, "mesh").await.unwrap();
    for (credentials, key) in [(&a, 1), (&b, 2)] {
        let observed = proto::MeshObservation {
            mesh: "core".to_owned(),
            public_key: vec![key; 32],
            ..Default::default()
        };
        let status = proto::NodeStatus {
            meshes: vec![observed],
            ..Default::default()
        };
        federation
            .client(credentials)
            .await
            .report(status)
            .await
            .unwrap();
    }
    let mut stream = federation
        .client(&b)
        .await
        .follow(Default::default())
        .await
        .unwrap();
    let mut peers_at = async |revision: u64| loop {
        let event = stream.message().await.unwrap().unwrap().event.unwrap();
        if let proto::follow_event::Event::Plan(plan) = event
            && plan.revision >= revision
        {
            return plan.meshes[0].peers.len();
        }
    };
    assert_eq!(peers_at(0).await, 1);
    let revision = admin.revoke_node(&name("a"), "one").await.unwrap();
    assert_eq!(peers_at(revision).await, 0);
    let snapshot = admin.snapshot(0, Duration::ZERO).await.unwrap().response;
    assert!(snapshot.nodes.iter().all(|node| node.name != "a"));
    assert_eq!(snapshot.revoked_nodes[0].name, "a");
    assert_eq!(snapshot.retired_addresses[0].addresses.len(), 1);
}

#[tokio::test]
async fn the_old_certificate_of_a_node_that_was_removed_and_enrolled_anew_is_worth_nothing() {
    let federation = Federation::start().await;
    let (_, old) = federation.join("berlin", "berlin-1").await;
    let open = federation.client(&old).await;
    let stream = open.follow(Default::default()).await.unwrap();
    let admin = federation.admin().await;
    admin
        .remove_node(&name("berlin-1"), false, "one")
        .await
        .unwrap();
    assert!(end_of(stream).await.to_string().contains("not enrolled"));
    let (_, new) = federation.join_as("berlin", "berlin-1", "again").await;
    for client in [open, federation.client(&old).await] {
        let said = reason(client.follow(Default::default()).await);
        assert!(said.contains("with another key"), "{said}");
    }
    federation
        .client(&new)
        .await
        .follow(Default::default())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_node_that_reports_is_not_removed_by_mistake() {
    let federation = Federation::start().await;
    let (_, credentials) = federation.join("berlin", "berlin-1").await;
    let node = federation.client(&credentials).await;
    node.report(proto::NodeStatus::default()).await.unwrap();
    let admin = federation.admin().await;
    let refused = admin.remove_node(&name("berlin-1"), false, "one").await;
    let said = refused.unwrap_err().to_string();
    assert!(
        said.contains("hanse leave") && said.contains("--force"),
        "{said}"
    );
    admin
        .remove_node(&name("berlin-1"), true, "two")
        .await
        .unwrap();
    federation.join_as("berlin", "berlin-1", "again").await;
    let snapshot = admin.snapshot(0, Duration::ZERO).await.unwrap().response;
    let again = snapshot.nodes.iter().find(|node| node.name == "berlin-1");
    assert!(
        again.unwrap().status.is_none(),
        "what the old one reported is not the new one's"
    );
}

#[tokio::test]
async fn a_node_that_leaves_gets_an_answer_and_nothing_after_it() {
    let federation = Federation::start().await;
    let (_, credentials) = federation.join("berlin", "berlin-1").await;
    let node = federation.client(&credentials).await;
    let stream = node.follow(Default::default()).await.unwrap();
    let revision = node.leave("bye").await.unwrap();
    assert_eq!(revision, federation.voter.replica.read().revision());
    end_of(stream).await;
    assert!(reason(node.leave("again").await).contains("not enrolled"));
    federation.join_as("berlin", "berlin-1", "again").await;
}

#[tokio::test]
async fn a_voter_is_neither_revoked_nor_removed() {
    let federation = Federation::start().await;
    let admin = federation.admin().await;
    let voter = name("home-1");
    for refused in [
        admin.revoke_node(&voter, "one").await,
        admin.remove_node(&voter, true, "two").await,
    ] {
        let said = refused.unwrap_err().to_string();
        assert!(said.contains("hanse voter remove home-1"), "{said}");
    }
    let unknown = admin.revoke_node(&name("nobody"), "three").await;
    assert!(matches!(
        unknown,
        Err(ClientError::Refused {
            kind: RefusalKind::NotFound,
            ..
        })
    ));
}

#[tokio::test]
async fn revoked_credentials_end_a_call_that_waits_and_new_ones_of_the_same_name_are_good() {
    let federation = Federation::start().await;
    let old = federation.user(Role::Admin).await;
    let open = federation.client(&old).await;
    let version = open.snapshot(0, Duration::ZERO).await.unwrap();
    let version = version.response.version;
    let waiting = tokio::spawn({
        let open = open.clone();
        async move { open.snapshot(version, Duration::from_secs(60)).await }
    });
    // They may revoke their own, and are told that it is done.
    open.revoke_user(&name("alex"), "one").await.unwrap();
    let waited = waiting.await.unwrap();
    // The wait ends with the change or with the caller, whichever comes first; no other call does.
    if let Err(error) = waited {
        assert!(error.to_string().contains("revoked"), "{error}");
    }
    for client in [open, federation.client(&old).await] {
        let said = reason(client.snapshot(0, Duration::ZERO).await);
        assert!(said.contains("hanse credentials issue"), "{said}");
    }
    let admin = federation
        .admin()
        .await
        .with_patience(Duration::from_secs(10));
    let alex = name("alex");
    let hour = Duration::from_secs(3600);
    let new = admin
        .issue_credentials(&alex, Role::Viewer, hour)
        .await
        .unwrap();
    let new = Credentials::from_pem("new", new.as_bytes()).unwrap();
    let client = federation.client(&new).await;
    client.snapshot(0, Duration::ZERO).await.unwrap();
}

#[tokio::test]
async fn a_stream_ends_with_its_certificate_and_the_node_may_renew_on_the_same_connection() {
    let federation = Federation::start().await;
    let (folder, credentials) = federation.join("berlin", "berlin-1").await;
    let identity = NodeIdentity::open(&folder).unwrap();
    let lives = Duration::from_secs(2);
    let keys = federation.voter.keys().unwrap();
    let now_unix_s = federation.voter.now_unix_s();
    let chain = keys
        .authority
        .certify_key(
            credentials.identity(),
            false,
            now_unix_s,
            lives,
            identity.key(),
        )
        .unwrap();
    let client = federation.client(&bundle(&chain, identity.key())).await;
    let ended = end_of(client.follow(Default::default()).await.unwrap()).await;
    assert!(ended.to_string().contains("renew it"), "{ended}");
    let said = reason(client.report(proto::NodeStatus::default()).await);
    assert!(said.contains("renew it"), "{said}");
    renew(&client, &folder).await.unwrap();
}
