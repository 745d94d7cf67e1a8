//! What happened is told from any revision that is remembered, and what is forgotten is said.

use futures::future::join_all;
use hanse_client::proto::events_response::Answer;
use hanse_client::{Client, Role, proto};
use hanse_core::command::Request;
use hanse_core::history::EVENTS_MAX;
use hanse_core::object::Object;

use crate::harness::{Federation, cluster};

/// Everything that is told from a revision on.
async fn told(client: &Client, from_revision: u64) -> Vec<Answer> {
    let mut events = client.events(from_revision, false).await.unwrap();
    let mut told = Vec::new();
    while let Some(event) = events.message().await.unwrap() {
        told.push(event.answer.unwrap());
    }
    told
}

fn happened(answers: &[Answer]) -> Vec<&proto::Happened> {
    let happened = answers.iter().filter_map(|answer| match answer {
        Answer::Happened(happened) => Some(happened),
        Answer::Compacted(_) => None,
    });
    happened.collect()
}

#[tokio::test]
async fn what_happened_is_told_in_order_with_its_revision_and_time() {
    let federation = Federation::start().await;
    let admin = federation.admin().await;
    let home = cluster("home");
    let applied = admin.apply(&home, 0, "one").await.unwrap();
    let Object::MemberCluster(mut changed) = home else {
        unreachable!()
    };
    changed.region = "north".to_owned();
    let changed = Object::MemberCluster(changed);
    let revision = applied.stored.revision;
    admin.apply(&changed, revision, "two").await.unwrap();
    admin
        .delete(&changed.reference(), 0, "three")
        .await
        .unwrap();
    let viewer = federation
        .client(&federation.user(Role::Viewer).await)
        .await;
    let answers = told(&viewer, revision).await;
    let told = happened(&answers);
    let kinds: Vec<&str> = told.iter().map(|one| one.kind.as_str()).collect();
    assert_eq!(
        kinds,
        ["object-declared", "object-changed", "object-removed"]
    );
    assert_eq!(told[0].revision, revision);
    assert_eq!(told[0].subject, "member_cluster/home");
    assert_eq!(
        told[1].sentence,
        "the declaration of the member cluster `home` was changed"
    );
    assert!(told.iter().all(|one| one.at_unix_s > 1_600_000_000));
}

#[tokio::test]
async fn a_reader_that_asks_for_what_is_forgotten_is_told_from_where_on_it_is_complete() {
    let federation = Federation::start().await;
    let enrolments = (0..EVENTS_MAX + 10).map(|number| {
        let request = Request::Enroll {
            node: format!("n-{number}").parse().unwrap(),
            cluster: "berlin".parse().unwrap(),
            voter: false,
            advertise: None,
            identity_key: None,
            token: None,
            sealing_key: None,
            boxes: Vec::new(),
        };
        let replica = federation.voter.replica.clone();
        async move { replica.propose(number.to_string(), request).await.unwrap() }
    });
    join_all(enrolments).await;
    let admin = federation.admin().await;
    let answers = told(&admin, 1).await;
    let Some(Answer::Compacted(compacted)) = answers.first() else {
        panic!("{:?}", answers.first());
    };
    let all = happened(&answers);
    assert_eq!(all.len(), EVENTS_MAX);
    assert_eq!(all[0].revision, compacted.first_revision);
    let rest = told(&admin, compacted.first_revision).await;
    assert_eq!(happened(&rest).len(), rest.len(), "nothing is missing");
    let whatever_there_is = told(&admin, 0).await;
    assert_eq!(happened(&whatever_there_is).len(), EVENTS_MAX);
}

#[tokio::test]
async fn a_node_reads_no_events() {
    let federation = Federation::start().await;
    let (_, node) = federation.join("berlin", "a").await;
    let node = federation.client(&node).await;
    let refused = match node.events(0, false).await {
        Ok(mut events) => events.message().await.map(|_| ()).is_err(),
        Err(_) => true,
    };
    assert!(refused);
}
