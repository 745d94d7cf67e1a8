//! What a node tells of the time when nobody heard it: kept once, bounded, and its own alone.

use hanse_client::proto::{self, events_response::Answer};

use crate::harness::Federation;

fn change(sequence: u64, sentence: &str) -> proto::PastChange {
    proto::PastChange {
        sequence,
        at_unix_s: sequence,
        sentence: sentence.to_owned(),
        ended: false,
    }
}

fn status(past: Vec<proto::PastChange>) -> proto::NodeStatus {
    proto::NodeStatus {
        past,
        past_id: "queue".to_owned(),
        past_dropped: 4,
        ..Default::default()
    }
}

async fn recalled(federation: &Federation) -> Vec<proto::Happened> {
    let mut events = federation.admin().await.events(0, false).await.unwrap();
    let mut recalled = Vec::new();
    while let Some(event) = events.message().await.unwrap() {
        if let Some(Answer::Happened(happened)) = event.answer
            && happened.kind == "recalled"
        {
            recalled.push(happened);
        }
    }
    recalled
}

#[tokio::test]
async fn what_a_node_tells_of_the_past_is_kept_once_in_order_and_acknowledged() {
    let federation = Federation::start().await;
    let (_, credentials) = federation.join("berlin", "a").await;
    let node = federation.client(&credentials).await;
    let past = vec![change(7, "first"), change(9, "second")];
    for _ in 0..2 {
        let told = node.report(status(past.clone())).await.unwrap();
        assert_eq!(told.past_until_sequence, 9);
    }
    let told = recalled(&federation).await;
    let times: Vec<u64> = told.iter().skip(1).map(|one| one.at_unix_s).collect();
    assert_eq!(times, [7, 9]);
    assert!(told[0].sentence.contains("4 earlier ones"), "{told:?}");
    assert!(told[1].sentence.ends_with("this began: first"), "{told:?}");
    assert!(told.iter().all(|one| one.subject == "node/a"));
    let nothing = node.report(proto::NodeStatus::default()).await.unwrap();
    assert_eq!(nothing.past_until_sequence, 0);
}

#[tokio::test]
async fn a_past_without_end_and_from_the_future_is_bounded() {
    let federation = Federation::start().await;
    let (_, credentials) = federation.join("berlin", "a").await;
    let node = federation.client(&credentials).await;
    let long = "ä".repeat(5000);
    let mut past: Vec<_> = (1..=50).map(|sequence| change(sequence, &long)).collect();
    past[0].at_unix_s = u64::MAX;
    let told = node.report(status(past)).await.unwrap();
    assert_eq!(told.past_until_sequence, 32);
    let told = recalled(&federation).await;
    assert_eq!(told.len(), 1 + 32);
    assert!(told.iter().all(|one| one.sentence.chars().count() < 300));
    assert!(told[1].at_unix_s < u64::MAX / 2);
}
