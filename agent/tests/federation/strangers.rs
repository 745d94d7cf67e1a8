//! Those who should not be let in, and messages that should not be taken.

use std::time::Duration;

use hanse_agent::identity::Authority;
use hanse_client::client::failure;
use hanse_client::proto::api_client::ApiClient;
use hanse_client::{Client, ClientError, Identity, MESSAGE_LIMIT_BYTES, Role, convert, proto};
use hanse_core::object::Object;
use rcgen::KeyPair;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tonic::transport::Endpoint;

use crate::harness::{FEDERATION, Federation, bundle, cluster};

const HOUR: Duration = Duration::from_secs(3600);

/// Credentials that an authority of the same name signed, with the real authority to trust.
fn forged(federation: &Federation) -> hanse_client::Credentials {
    let now_unix_s = federation.voter.now_unix_s();
    let impostor = Authority::generate(FEDERATION.parse().unwrap(), 1, now_unix_s).unwrap();
    let name = "root".parse().unwrap();
    let federation_name = FEDERATION.parse().unwrap();
    let root = Identity::User {
        federation: federation_name,
        name,
        role: Role::Admin,
    };
    let key = KeyPair::generate().unwrap();
    let chain = impostor
        .certify_key(&root, false, now_unix_s, HOUR, &key)
        .unwrap();
    bundle(
        &[
            chain[0].clone(),
            federation
                .voter
                .keys()
                .unwrap()
                .authority
                .certificate()
                .to_vec(),
        ],
        &key,
    )
}

#[tokio::test]
async fn a_certificate_of_another_authority_opens_nothing() {
    let federation = Federation::start().await;
    let endpoints = [federation.endpoint.clone()];
    let connected = Client::connect(&endpoints, &forged(&federation)).await;
    // TLS 1.3: the refusal may come with the first call.
    let error = match connected {
        Err(error) => error,
        Ok(client) => {
            let client = client.with_patience(Duration::ZERO);
            client.snapshot(0, Duration::ZERO).await.unwrap_err()
        }
    };
    assert!(
        error.is_transient() || matches!(error, ClientError::Unauthenticated { .. }),
        "{error}"
    );
    assert!(
        error.is_transient() || error.to_string().contains("another authority"),
        "{error}"
    );
}

#[tokio::test]
async fn credentials_that_have_ended_are_told_what_to_do() {
    let federation = Federation::start().await;
    let name = "alex".parse().unwrap();
    let identity = Identity::User {
        federation: FEDERATION.parse().unwrap(),
        name,
        role: Role::Admin,
    };
    let key = KeyPair::generate().unwrap();
    let keys = federation.voter.keys().unwrap();
    let now_unix_s = federation.voter.now_unix_s();
    let chain = keys
        .authority
        .certify_key(&identity, false, now_unix_s, Duration::ZERO, &key)
        .unwrap();
    let endpoints = [federation.endpoint.clone()];
    let refused = loop {
        // It ends with the second in which it began.
        let connected = Client::connect(&endpoints, &bundle(&chain, &key)).await;
        let called = match connected {
            Ok(client) => client.snapshot(0, Duration::ZERO).await.map(|_| ()),
            Err(error) => Err(error),
        };
        match called {
            Err(error) if !error.to_string().contains("snapshot") => break error,
            Ok(()) | Err(_) => {}
        }
    };
    assert!(
        matches!(refused, ClientError::Unauthenticated { .. }),
        "{refused}"
    );
    assert!(
        refused.to_string().contains("hanse credentials issue"),
        "{refused}"
    );
}

#[tokio::test]
async fn whoever_shows_no_certificate_can_only_join() {
    let federation = Federation::start().await;
    let stranger = federation.joiner().await;
    let refused = stranger.snapshot(0, Duration::ZERO).await;
    assert!(
        matches!(refused, Err(ClientError::Unauthenticated { .. })),
        "{refused:?}"
    );
    let refused = stranger.apply(&cluster("home"), 0, "one").await;
    assert!(
        matches!(refused, Err(ClientError::Unauthenticated { .. })),
        "{refused:?}"
    );
    let refused = stranger
        .follow(proto::FollowRequest::default())
        .await
        .map(|_| ());
    assert!(
        matches!(refused, Err(ClientError::Unauthenticated { .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn an_oversize_message_is_refused_with_the_limit() {
    let federation = Federation::start().await;
    let Object::MemberCluster(mut spec) = cluster("home") else {
        panic!()
    };
    spec.labels
        .insert("x".to_owned(), "y".repeat(MESSAGE_LIMIT_BYTES));
    let admin = federation.admin().await;
    let object = Object::MemberCluster(spec);
    let refused = admin.apply(&object, 0, "one").await.unwrap_err();
    assert!(matches!(refused, ClientError::TooLarge { .. }), "{refused}");
    assert!(refused.to_string().contains("16 MiB"), "{refused}");
    // A program that does not check is refused by the voter.
    let socket = format!("unix:{}", federation.folder().socket().display());
    let channel = Endpoint::try_from(socket).unwrap().connect().await.unwrap();
    let request = proto::ApplyRequest {
        object: Some(convert::object_to_proto(&object)),
        expected_revision: 0,
        request_id: "three".to_owned(),
        secrets: Vec::new(),
    };
    let status = ApiClient::new(channel).apply(request).await.unwrap_err();
    let refused = failure(&status);
    assert!(matches!(refused, ClientError::TooLarge { .. }), "{refused}");
    admin.apply(&cluster("home"), 0, "two").await.unwrap();
}

#[tokio::test]
async fn whoever_shows_no_certificate_cannot_fill_the_memory() {
    let federation = Federation::start().await;
    let request = proto::EnrollRequest {
        token: "x".repeat(4 << 20),
        node: "home-2".to_owned(),
        ..Default::default()
    };
    let stranger = federation.joiner().await;
    let cut_off = stranger.enroll(request).await.unwrap_err();
    assert!(
        matches!(cut_off, ClientError::Interrupted { .. }),
        "{cut_off}"
    );
    federation.join("home", "home-2").await;
}

#[tokio::test]
async fn silent_connections_do_not_keep_others_out() {
    let federation = Federation::start().await;
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(
            TcpStream::connect(federation.endpoint.as_str())
                .await
                .unwrap(),
        );
    }
    // From this address there is no more room; those beyond it were closed at once.
    let mut last = silent.pop().unwrap();
    assert_eq!(last.read(&mut [0]).await.unwrap_or(0), 0);
    drop(silent);
    let admin = loop {
        let credentials = federation.user(Role::Admin).await;
        let endpoints = [federation.endpoint.clone()];
        if let Ok(client) = Client::connect(&endpoints, &credentials).await {
            break client;
        }
    };
    admin.snapshot(0, Duration::ZERO).await.unwrap();
}

#[tokio::test]
async fn an_endpoint_that_is_dead_is_passed_over_and_all_dead_are_all_named() {
    let federation = Federation::start().await;
    let credentials = federation.user(Role::Viewer).await;
    let dead: hanse_core::endpoint::Endpoint =
        crate::harness::free_address().to_string().parse().unwrap();
    let endpoints = [dead.clone(), federation.endpoint.clone()];
    let client = Client::connect(&endpoints, &credentials).await.unwrap();
    client.snapshot(0, Duration::ZERO).await.unwrap();
    let endpoints = [dead.clone(), "name.invalid:1".parse().unwrap()];
    let error = Client::connect(&endpoints, &credentials)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains(dead.as_str()) && error.contains("name.invalid:1"),
        "{error}"
    );
}
