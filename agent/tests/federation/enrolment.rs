//! Tokens let in whom they should, once, and nobody else.

use hanse_agent::clock::wall_ms;
use hanse_agent::identity::token::Claims;
use hanse_agent::identity::{Authority, NodeIdentity, Token};
use hanse_client::{Client, ClientError, Identity, RefusalKind, proto};
use hanse_core::name::NodeName;

use crate::harness::{FEDERATION, Federation, request};

fn enroll(token: &str, node: &str, certificate_request: Vec<u8>) -> proto::EnrollRequest {
    proto::EnrollRequest {
        token: token.to_owned(),
        node: node.to_owned(),
        certificate_request,
        ..Default::default()
    }
}

fn claims(authority: &Authority, expires_unix_s: u64) -> Claims {
    Claims {
        id: "0123".to_owned(),
        federation: authority.federation().clone(),
        cluster: "home".parse().unwrap(),
        expires_unix_s,
        issued_unix_s: 0,
        uses: 1,
        voter: false,
        authority: authority.fingerprint().to_string(),
        endpoints: Vec::new(),
    }
}

async fn reason(federation: &Federation, token: &str) -> String {
    let refused = federation
        .joiner()
        .await
        .enroll(enroll(token, "x", request()))
        .await;
    let error = refused.unwrap_err();
    assert!(
        matches!(error, ClientError::Unauthenticated { .. }),
        "{error}"
    );
    assert!(
        !error.to_string().contains(token),
        "a token is never repeated"
    );
    error.to_string()
}

#[tokio::test]
async fn a_node_comes_in_by_a_token_for_a_cluster_that_is_not_declared_yet() {
    let federation = Federation::start().await;
    let (_, credentials) = federation.join("later", "later-1").await;
    let expected = "spiffe://acme/cluster/later/node/later-1";
    assert_eq!(credentials.identity().to_string(), expected);
    let state = federation.voter.replica.read();
    assert!(
        state
            .inventory()
            .nodes
            .contains_key(&"later-1".parse::<NodeName>().unwrap())
    );
}

#[tokio::test]
async fn every_bad_token_has_a_sentence_of_its_own() {
    let federation = Federation::start().await;
    let keys = federation.voter.keys().unwrap();
    let own = &keys.authority;
    let later = wall_ms() / 1000 + 3600;
    let sign = |authority: &Authority, claims| Token::sign(authority, claims).unwrap().reveal();

    assert!(
        reason(&federation, "hanse1.x.y")
            .await
            .contains("no join token")
    );
    let expired = sign(own, claims(own, wall_ms() / 1000 - 5));
    assert!(reason(&federation, &expired).await.contains("expired"));
    let other = Authority::generate("other".parse().unwrap(), 1, later).unwrap();
    let foreign = sign(&other, claims(&other, later));
    assert!(
        reason(&federation, &foreign)
            .await
            .contains("for the federation `other`")
    );
    let impostor = Authority::generate(FEDERATION.parse().unwrap(), 1, later).unwrap();
    let forged = sign(&impostor, claims(own, later));
    assert!(
        reason(&federation, &forged)
            .await
            .contains("not made by this federation")
    );
}

#[tokio::test]
async fn a_used_token_lets_in_nobody_else_but_a_retry_of_the_same_node() {
    let federation = Federation::start().await;
    let token = federation.token("home", 1).await;
    let joiner = federation.joiner().await;
    let own_request = request();
    joiner
        .enroll(enroll(&token, "a", own_request.clone()))
        .await
        .unwrap();
    // The answer was lost; the node asks again with the same key.
    joiner
        .enroll(enroll(&token, "a", own_request))
        .await
        .unwrap();
    let refused = joiner
        .enroll(enroll(&token, "b", request()))
        .await
        .unwrap_err();
    assert!(matches!(
        refused,
        ClientError::Refused {
            kind: RefusalKind::TokenUsed,
            ..
        }
    ));
    assert!(
        refused.to_string().contains("hanse token create"),
        "{refused}"
    );
    // Nor can somebody else become the node that came in.
    joiner
        .enroll(enroll(&token, "a", request()))
        .await
        .unwrap_err();
}

#[tokio::test]
async fn a_request_that_cannot_be_signed_uses_up_no_token() {
    let federation = Federation::start().await;
    let token = federation.token("home", 1).await;
    let joiner = federation.joiner().await;
    let mut altered = request();
    // The signature no longer fits.
    *altered.last_mut().unwrap() ^= 1;
    joiner
        .enroll(enroll(&token, "a", altered))
        .await
        .unwrap_err();
    joiner.enroll(enroll(&token, "a", request())).await.unwrap();
}

#[tokio::test]
async fn a_token_is_used_up_over_a_restart() {
    let federation = Federation::start().await;
    let token = federation.token("home", 1).await;
    federation
        .joiner()
        .await
        .enroll(enroll(&token, "a", request()))
        .await
        .unwrap();
    let federation = federation.restart().await;
    let refused = federation
        .joiner()
        .await
        .enroll(enroll(&token, "b", request()))
        .await;
    assert!(matches!(
        refused,
        Err(ClientError::Refused {
            kind: RefusalKind::TokenUsed,
            ..
        })
    ));
}

#[tokio::test]
async fn a_joiner_trusts_only_the_authority_that_its_token_names() {
    let federation = Federation::start().await;
    let impostor = Authority::generate(FEDERATION.parse().unwrap(), 1, wall_ms() / 1000).unwrap();
    let endpoints = [federation.endpoint.clone()];
    let name = FEDERATION.parse().unwrap();
    let clock = std::sync::Arc::new(hanse_client::WallClock);
    let refused = Client::connect_pinned(&endpoints, impostor.fingerprint(), &name, clock).await;
    let error = refused.unwrap_err().to_string();
    assert!(
        error.contains("does not show the certificate authority"),
        "{error}"
    );
}

#[tokio::test]
async fn a_node_renews_its_own_certificate_and_nobody_elses() {
    let federation = Federation::start().await;
    let (folder, credentials) = federation.join("home", "home-2").await;
    let client = federation.client(&credentials).await;
    let own = NodeIdentity::open(&folder).unwrap().request().unwrap();
    let renewed = client.enroll(enroll("", "home-1", own)).await.unwrap();
    let identity = Identity::from_certificate(&renewed.certificate_chain[0]).unwrap();
    assert_eq!(&identity, credentials.identity());
    // A key that was copied into another request would make it another machine.
    let other = client.enroll(enroll("", "home-2", request())).await;
    let refused = other.unwrap_err().to_string();
    assert!(refused.contains("leave and join anew"), "{refused}");
}
